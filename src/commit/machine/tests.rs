//! Where Kafka and the chain part ways. Every order of events is `tests/explorer`'s.

use super::*;
use crate::commit::record::tests::{identity, record};
use crate::commit::record::{Kind, topic_folder};

/// Answers from a chain until records flow or a fault comes; what was put is in the chain then.
fn assign(
    chain: &mut Vec<Record>,
    folders: &[&str],
    policy: Policy,
    assigned: Assigned,
) -> Result<(Offset, u64), &'static str> {
    let owner: Arc<str> = format!("owner{}", chain.len()).into();
    let mut machine = Machine::new(Arc::new(identity()), owner, assigned, policy, Ticket(0));
    let mut todo = Vec::new();
    machine.begin(&mut todo);
    while let Some(action) = todo.pop() {
        let mut out = Vec::new();
        let result = match action {
            Action::Get { ticket, seq } => {
                let found = chain.get(seq as usize - 1).cloned().map(Arc::new);
                machine.record(ticket, seq, found, &mut out)
            }
            Action::Put { ticket, record, .. } => {
                chain.push(Record::clone(&record));
                machine.wrote(ticket, Wrote::Created, &mut out)
            }
            Action::List { ticket } => {
                let folders: Vec<String> = folders.iter().map(|f| (*f).to_owned()).collect();
                machine.chains(ticket, &folders, &mut out)
            }
            Action::Flow { offset, epoch } => return Ok((offset, epoch)),
            _ => Ok(()),
        };
        result.map_err(|fault| fault.code.id)?;
        todo.splice(0..0, out);
    }
    Err("nothing")
}

fn log(low: Offset, high: Offset) -> Assigned {
    Assigned { start: low, committed: None, low, high }
}

/// Ten offsets a record, from 10 on.
fn chain(len: u64) -> Vec<Record> {
    (1..=len).map(record).collect()
}

const STOP: Policy = Policy { skip_lost: false, restart_recreated: false };
const GO_ON: Policy = Policy { skip_lost: true, restart_recreated: true };

#[test]
fn chain_decides_the_start_whatever_the_group_has() {
    for committed in [None, Some((0, String::new())), Some((39, "of somebody".to_owned()))] {
        let assigned = Assigned { committed, ..log(0, 100) };
        let mut chain = chain(3);
        assert_eq!(assign(&mut chain, &[], STOP, assigned), Ok((40, 2)));
        let claim = &chain[3];
        assert_eq!((claim.kind, claim.from, claim.to, claim.seq), (Kind::Claim, 40, 40, 4));
        assert_eq!(claim.prev, "id-3");
    }
}

#[test]
fn first_claim_records_the_start() {
    let mut chain = Vec::new();
    let assigned = Assigned { start: 7, ..log(0, 100) };
    assert_eq!(assign(&mut chain, &[], STOP, assigned), Ok((7, 1)));
    assert_eq!((chain[0].from, chain[0].to, chain[0].prev.as_str()), (7, 7, ""));
    assert_eq!(assign(&mut chain, &[], STOP, log(0, 100)), Ok((7, 2)));
}

#[test]
fn retention_ahead_of_the_chain_stops_or_is_recorded() {
    assert_eq!(assign(&mut chain(3), &[], STOP, log(41, 100)), Err("FB0925"));
    let mut chain = chain(3);
    assert_eq!(assign(&mut chain, &[], GO_ON, log(55, 100)), Ok((55, 2)));
    assert_eq!((chain[3].from, chain[3].to), (40, 55));
    assert_eq!((chain[3].skipped[0].from, chain[3].skipped[0].to), (40, 55));
    assert!(Record::parse(&chain[3].to_bytes()).is_ok());
}

#[test]
fn log_that_ends_before_the_chain_stops_always() {
    assert_eq!(assign(&mut chain(3), &[], STOP, log(0, 39)), Err("FB0926"));
    assert_eq!(assign(&mut chain(3), &[], GO_ON, log(0, 39)), Err("FB0926"));
    assert_eq!(assign(&mut chain(3), &[], STOP, log(0, 40)), Ok((40, 2)));
}

#[test]
fn group_moved_ahead_of_the_chain_stops() {
    let ahead = Assigned { committed: Some((41, String::new())), ..log(0, 100) };
    assert_eq!(assign(&mut chain(3), &[], GO_ON, ahead), Err("FB0928"));
}

#[test]
fn hint_without_its_record_stops() {
    let hint = |text: &str| Assigned { committed: Some((40, text.to_owned())), ..log(0, 100) };
    assert_eq!(assign(&mut chain(3), &[], GO_ON, hint("fb1:4:id-4")), Err("FB0924"));
    assert_eq!(assign(&mut chain(3), &[], GO_ON, hint("fb1:3:other")), Err("FB0924"));
    assert_eq!(assign(&mut Vec::new(), &[], GO_ON, hint("fb1:1:id-1")), Err("FB0924"));
    assert_eq!(assign(&mut chain(3), &[], GO_ON, hint("fb1:3:id-3")), Ok((40, 2)));
}

#[test]
fn topic_made_anew_stops_or_begins_at_the_start_of_its_log() {
    let other = "_forebay/orders/log/shop.orders~another/";
    let own = topic_folder(&identity());
    let committed = Some((20, "fb1:2:id-2".to_owned()));
    let assigned = || Assigned { start: 20, committed: committed.clone(), ..log(5, 100) };
    assert_eq!(assign(&mut Vec::new(), &[other], STOP, assigned()), Err("FB0927"));
    assert_eq!(assign(&mut Vec::new(), &[other], GO_ON, assigned()), Ok((5, 1)));
    // A chain of another Kafka partition of the same topic is none of this.
    assert_eq!(assign(&mut Vec::new(), &[&own], STOP, log(5, 100)), Ok((5, 1)));
}

#[test]
fn group_outside_of_the_log_without_a_chain_stops_or_starts_at_the_log() {
    let assigned = |start| Assigned { start, ..log(10, 100) };
    assert_eq!(assign(&mut Vec::new(), &[], STOP, assigned(9)), Err("FB0934"));
    assert_eq!(assign(&mut Vec::new(), &[], STOP, assigned(101)), Err("FB0934"));
    assert_eq!(assign(&mut Vec::new(), &[], GO_ON, assigned(9)), Ok((10, 1)));
    assert_eq!(assign(&mut Vec::new(), &[], GO_ON, assigned(101)), Err("FB0934"));
}

#[test]
fn record_of_another_topic_in_the_chain_stops() {
    let mut chain = chain(1);
    chain[0].identity.topic_id = Some("another".into());
    assert_eq!(assign(&mut chain, &[], GO_ON, log(0, 100)), Err("FB0922"));
}

#[test]
fn record_refused_for_good_stops_and_abandons_nothing() {
    let assigned = log(0, 100);
    let mut machine = Machine::new(Arc::new(identity()), "o".into(), assigned, STOP, Ticket(0));
    let mut out = Vec::new();
    machine.begin(&mut out);
    machine.record(Ticket(1), 1, None, &mut out).unwrap();
    machine.chains(Ticket(2), &[], &mut out).unwrap();
    machine.wrote(Ticket(3), Wrote::Created, &mut out).unwrap();
    let range = OffsetRange::new(0, 5);
    machine.seal(Sealed { range, files: Vec::new(), times_ms: None }, &mut out);
    let Some(Action::Put { ticket, .. }) = out.last() else { panic!("{out:?}") };
    let ticket = *ticket;
    let refused = Fault::new(&crate::store::DENIED, "no");
    machine.wrote(ticket, Wrote::Refused(refused), &mut out).unwrap();
    let Some(Action::Get { ticket, seq: 2 }) = out.last() else { panic!("{out:?}") };
    let ticket = *ticket;
    let fault = machine.record(ticket, 2, None, &mut out).unwrap_err();
    assert_eq!(fault.code.id, "FB0933");
    assert_eq!(machine.abandon().files, Vec::<FileId>::new());
    assert_eq!(machine.pending(), 1);
}
