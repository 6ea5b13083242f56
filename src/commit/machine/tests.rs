//! Where Kafka and the chain part ways. Every order of events is `tests/explorer`'s.

use super::*;
use crate::commit::record::tests::{file, identity, record};
use crate::commit::record::{Kind, Role, topic_folder};
use crate::store::Handle;

/// Answers from a chain until records flow or a fault comes; what was put is in the chain then.
fn assign(
    chain: &mut Vec<Record>,
    folders: &[&str],
    policy: Policy,
    assigned: Assigned,
) -> Result<(Offset, u64), &'static str> {
    assign_of(chain, (folders, None), policy, assigned)
}

/// As [`assign`]; beside the folders, how many Kafka partitions the topic had at first.
fn assign_of(
    chain: &mut Vec<Record>,
    beside: (&[&str], Option<u32>),
    policy: Policy,
    assigned: Assigned,
) -> Result<(Offset, u64), &'static str> {
    assign_as(identity(), chain, beside, policy, assigned, &mut Vec::new())
}

/// Records of chains of the topic's that were before: 2 and 500 are looked for by some texts.
const BEFORE: [&str; 2] = ["fb1:2:id-2", "fb1:500:id-of-the-old-topic"];

/// As [`assign_of`], of any topic; `published` gets the seqs of the records whose files were to be published.
fn assign_as(
    identity: Identity,
    chain: &mut Vec<Record>,
    (folders, partitions): (&[&str], Option<u32>),
    policy: Policy,
    assigned: Assigned,
    published: &mut Vec<u64>,
) -> Result<(Offset, u64), &'static str> {
    let owner: Arc<str> = format!("owner{}", chain.len()).into();
    let text = assigned.committed.as_ref().map(|(_, text)| text.clone());
    let named = text.is_some_and(|text| BEFORE.contains(&text.as_str()));
    let mine = topic_folder(&identity);
    let named_in = folders.iter().find(|f| **f != mine).filter(|_| named).map(|f| (*f).to_owned());
    let mut machine = Machine::new(Arc::new(identity), owner, assigned, policy, Ticket(0));
    let mut todo = Vec::new();
    machine.begin(&mut todo);
    while let Some(action) = todo.pop() {
        let mut out = Vec::new();
        let result = match action {
            Action::Get { ticket, seq, .. } => {
                let found = chain.get(seq as usize - 1).cloned().map(Arc::new);
                machine.record(ticket, seq, found, &mut out)
            }
            Action::Put { ticket, record, .. } if record.seq > chain.len() as u64 => {
                chain.push(Record::clone(&record));
                machine.wrote(ticket, Wrote::Created, &mut out)
            }
            Action::Put { ticket, .. } => machine.wrote(ticket, Wrote::Doubt, &mut out),
            Action::List { ticket } => {
                let folders = folders.iter().map(|f| (*f).to_owned()).collect();
                machine.chains(
                    ticket,
                    &Chains {
                        folders,
                        partitions,
                        named_in: named_in.clone(),
                        ..Chains::default()
                    },
                    &mut out,
                )
            }
            Action::Publish { ticket, seq, .. } => {
                published.push(seq);
                machine.published(ticket, &mut out)
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

const STOP: Policy = Policy {
    skip_lost: false,
    restart_recreated: false,
    reset_truncated: false,
    ignore_ahead: false,
    adopt_lost: false,
};
const GO_ON: Policy = Policy { skip_lost: true, restart_recreated: true, ..STOP };

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
    assert_eq!(assign(&mut Vec::new(), &[&own, other], STOP, log(5, 100)), Err("FB0927"));
}

/// Brokers that name no id say nothing of the topic: neither that it is another one, nor that it is the same.
#[test]
fn topic_without_an_id_is_never_taken_for_another_one() {
    let own = topic_folder(&identity());
    let nameless = Identity { topic_id: None, ..identity() };
    let none = topic_folder(&nameless);
    for policy in [STOP, GO_ON] {
        let start = |identity: &Identity, folders: &[&str]| {
            let (mut chain, mut published) = (Vec::new(), Vec::new());
            let beside = (folders, None);
            assign_as(identity.clone(), &mut chain, beside, policy, log(5, 100), &mut published)
        };
        // The brokers say no id for a moment: asked again.
        assert_eq!(start(&nameless, &[&own]), Err("FB0903"));
        assert_eq!(start(&nameless, &[&none, &own]), Err("FB0903"));
        // They did not say ids before, and do now: nobody can tell which topic that was.
        assert_eq!(start(&identity(), &[&none]), Err("FB0927"));
        assert_eq!(start(&nameless, &[&none]), Ok((5, 1)));
    }
}

/// The group's offset and text may still be those of the topic that is no more.
#[test]
fn groups_text_of_the_topic_of_before_says_nothing_of_the_new_ones_records() {
    let other = "_forebay/orders/log/shop.orders~another/";
    let own = topic_folder(&identity());
    for offset in [20, 7_000] {
        let committed = Some((offset, "fb1:500:id-of-the-old-topic".to_owned()));
        let (mut chain, mut published) = (chain(3), Vec::new());
        let staged = Handle::Local { name: "o/f".into(), inode: 1, mtime_ns: 1 };
        chain[2].files = vec![file(Role::Data, staged)];
        let found = assign_as(
            identity(),
            &mut chain,
            (&[&own, other], None),
            GO_ON,
            Assigned { start: 5, committed, ..log(5, 100) },
            &mut published,
        );
        assert_eq!(found, Ok((40, 2)));
        assert_eq!(published, [3], "what the last record names");
    }
}

/// The old chain was not longer than the new one is: at the place that the text names stands a record of the new one.
#[test]
fn groups_text_of_the_topic_of_before_may_name_a_place_that_the_new_chain_has() {
    let other = "_forebay/orders/log/shop.orders~another/";
    let own = topic_folder(&identity());
    let start = |text: &str, policy| {
        let mut chain = chain(3);
        chain[1].id = "of-the-new-topic".into();
        chain[2].prev = "of-the-new-topic".into();
        let assigned = Assigned { committed: Some((20, text.to_owned())), ..log(5, 100) };
        assign(&mut chain, &[&own, other], policy, assigned)
    };
    assert_eq!(start("fb1:2:id-2", GO_ON), Ok((40, 2)));
    assert_eq!(start("fb1:2:id-2", STOP), Err("FB0927"));
    // Of no chain that there is.
    assert_eq!(start("fb1:2:somebody", GO_ON), Err("FB0924"));
}

/// A topic that was made anew once leaves its folder for ever: that does not explain a record that is gone.
#[test]
fn record_that_is_gone_stops_also_beside_a_chain_of_the_topic_of_before() {
    let other = "_forebay/orders/log/shop.orders~another/";
    let own = topic_folder(&identity());
    let hint = || Assigned { committed: Some((60, "fb1:5:id-5".to_owned())), ..log(0, 100) };
    assert_eq!(assign(&mut chain(3), &[&own, other], GO_ON, hint()), Err("FB0924"));
    assert_eq!(assign(&mut Vec::new(), &[other], GO_ON, hint()), Err("FB0924"));
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
    machine.chains(Ticket(2), &Chains::default(), &mut out).unwrap();
    machine.wrote(Ticket(3), Wrote::Created, &mut out).unwrap();
    let range = OffsetRange::new(0, 5);
    machine.seal(Sealed { range, files: Vec::new(), times_ms: None }, &mut out);
    let Some(Action::Put { ticket, .. }) = out.last() else { panic!("{out:?}") };
    let ticket = *ticket;
    let refused = Fault::new(&crate::store::DENIED, "no");
    machine.wrote(ticket, Wrote::Refused(refused), &mut out).unwrap();
    let Some(Action::Get { ticket, seq: 2, .. }) = out.last() else { panic!("{out:?}") };
    let ticket = *ticket;
    let fault = machine.record(ticket, 2, None, &mut out).unwrap_err();
    assert_eq!(fault.code.id, "FB0933");
    assert_eq!(machine.abandon().files, Vec::<FileId>::new());
    assert_eq!(machine.pending(), 1);
}

#[test]
fn log_that_ends_before_the_chain_is_reset_where_the_configuration_says_so() {
    let reset = Policy { reset_truncated: true, ..STOP };
    let mut chain = chain(3);
    assert_eq!(assign(&mut chain, &[], reset, log(0, 25)), Ok((25, 2)));
    let record = chain[3].clone();
    assert_eq!((record.kind, record.from, record.to), (Kind::Reset, 25, 25));
    assert_eq!((record.seq, record.epoch, record.prev.as_str()), (4, 2, "id-3"));
    assert!(Record::parse(&record.to_bytes()).is_ok());
    assert!(record.follows(&chain[2]).is_ok());
    // Nothing was skipped, and the same log asks for no second reset.
    assert_eq!(record.skipped, []);
    assert_eq!(assign(&mut chain, &[], STOP, log(0, 25)), Ok((25, 3)));
    assert_eq!(chain[4].kind, Kind::Claim);
}

#[test]
fn groups_offset_of_before_a_reset_is_not_ahead() {
    let reset = Policy { reset_truncated: true, ..STOP };
    let committed = |text: &str| Assigned { committed: Some((40, text.into())), ..log(0, 25) };
    let mut chain = chain(3);
    assert_eq!(assign(&mut chain, &[], reset, committed("fb1:3:id-3")), Ok((25, 2)));
    // Dead before Kafka heard of it: the offset is still that of record 3.
    assert_eq!(assign(&mut chain, &[], STOP, committed("fb1:3:id-3")), Ok((25, 3)));
    assert_eq!(assign(&mut chain, &[], STOP, committed("by hand")), Err("FB0928"));
}

#[test]
fn group_moved_ahead_is_ignored_where_the_configuration_says_so() {
    let ahead = || Assigned { committed: Some((41, String::new())), ..log(0, 100) };
    let ignore = Policy { ignore_ahead: true, ..STOP };
    assert_eq!(assign(&mut chain(3), &[], ignore, ahead()), Ok((40, 2)));
}

#[test]
fn group_reset_back_changes_nothing() {
    for committed in [0, 7, 39] {
        let back = Assigned { committed: Some((committed, String::new())), ..log(0, 100) };
        assert_eq!(assign(&mut chain(3), &[], STOP, back), Ok((40, 2)));
    }
}

#[test]
fn kafka_partition_added_later_starts_at_its_log_start_whatever_the_configuration_says() {
    // `source.start: latest` gave 90; this is Kafka partition 3.
    let own = topic_folder(&identity());
    let latest = || Assigned { start: 90, ..log(5, 100) };
    let start = |partitions, folders: &[&str]| {
        assign_of(&mut Vec::new(), (folders, partitions), STOP, latest())
    };
    // It was there when the first chain began: this one begins late.
    assert_eq!(start(Some(4), &[&own]), Ok((90, 1)));
    assert_eq!(start(Some(4), &[]), Ok((90, 1)));
    // The topic had three then.
    assert_eq!(start(Some(3), &[&own]), Ok((5, 1)));
    // Nobody wrote it down: the others' chains say it.
    assert_eq!(start(None, &[&own]), Ok((5, 1)));
    assert_eq!(start(None, &[]), Ok((90, 1)));
    // What the group has committed is no chain's.
    let committed = Assigned { committed: Some((50, "of somebody".into())), ..latest() };
    let found = assign_of(&mut Vec::new(), (&[&own], Some(3)), STOP, committed);
    assert_eq!(found, Ok((5, 1)));
}

#[test]
fn record_version_is_the_one_asked_for() {
    let machine =
        Machine::new(Arc::new(identity()), "o".into(), log(0, 1), STOP, Ticket(0)).writing(7);
    let mut machine = machine;
    let mut out = Vec::new();
    machine.begin(&mut out);
    machine.record(Ticket(1), 1, None, &mut out).unwrap();
    machine.chains(Ticket(2), &Chains::default(), &mut out).unwrap();
    let Some(Action::Put { record, .. }) = out.last() else { panic!("{out:?}") };
    assert_eq!(record.version, 7);
}

#[test]
fn record_of_a_later_release_stops_and_is_not_taken_for_the_end() {
    let mut future = record(2);
    future.version = record::VERSION_NOW + 1;
    assert_eq!(Record::parse(&future.to_bytes()).unwrap_err().code.id, "FB0921");
    // Whatever else it holds.
    let text = format!("{{\"version\":{},\"kind\":\"merge\"}}", record::VERSION_NOW + 1);
    assert_eq!(Record::parse(text.as_bytes()).unwrap_err().code.id, "FB0921");
}

/// Carries an operator's action out on a chain; `lost`: whether the last record's files cannot be published.
fn operate(
    chain: &mut Vec<Record>,
    operation: Operation,
    lost: bool,
) -> Result<Record, &'static str> {
    let assigned = log(0, Offset::MAX);
    let mut machine =
        Machine::new(Arc::new(identity()), "operator".into(), assigned, STOP, Ticket(0))
            .operating(operation);
    let mut todo = VecDeque::new();
    let mut out = Vec::new();
    machine.begin(&mut out);
    todo.extend(out);
    while let Some(action) = todo.pop_front() {
        let mut out = Vec::new();
        let result = match action {
            Action::Get { ticket, seq, .. } => {
                let found = chain.get(seq as usize - 1).cloned().map(Arc::new);
                machine.record(ticket, seq, found, &mut out)
            }
            Action::Put { ticket, record, .. } => {
                assert!(Record::parse(&record.to_bytes()).is_ok(), "{record:?}");
                let how = match chain.get(record.seq as usize - 1) {
                    Some(_) => Wrote::Doubt,
                    None => {
                        chain.push(Record::clone(&record));
                        Wrote::Created
                    }
                };
                machine.wrote(ticket, how, &mut out)
            }
            Action::Publish { ticket, seq, .. } if lost && seq as usize == chain.len() => {
                let fault = Fault::new(&crate::store::LOST, "gone");
                machine.files_lost(ticket, fault, &mut out)
            }
            Action::Publish { ticket, .. } => machine.published(ticket, &mut out),
            Action::List { ticket } => machine.chains(ticket, &Chains::default(), &mut out),
            Action::Flow { .. } => match machine.rereads() {
                Some((range, epoch)) => {
                    assert_eq!(epoch, 2);
                    return Err(if range == OffsetRange::new(30, 35) {
                        "rereads"
                    } else {
                        "other"
                    });
                }
                None => return Ok(Record::clone(machine.head().unwrap())),
            },
            _ => Ok(()),
        };
        result.map_err(|fault| fault.code.id)?;
        todo.extend(out);
    }
    Err("nothing")
}

fn action(what: What) -> Operation {
    Operation { head: Hint { seq: 3, id: "id-3".into() }, what, why: "because".into() }
}

#[test]
fn operators_action_is_one_record_of_the_next_epoch() {
    let skip = action(What::Skip(OffsetRange::new(40, 45)));
    let record = operate(&mut chain(3), skip, false).unwrap();
    assert_eq!((record.kind, record.seq, record.epoch), (Kind::Claim, 4, 2));
    assert_eq!((record.from, record.to, record.skipped.len()), (40, 45, 1));
    let record = operate(&mut chain(3), action(What::Reset(7)), false).unwrap();
    assert_eq!((record.kind, record.from, record.to, record.epoch), (Kind::Reset, 7, 7, 2));
    assert_eq!(record.note.as_deref(), Some("because"));
}

#[test]
fn action_on_a_chain_that_went_on_is_refused() {
    let what = What::Skip(OffsetRange::new(50, 55));
    assert_eq!(operate(&mut chain(4), action(what), false), Err("FB0940"));
    assert_eq!(operate(&mut Vec::new(), action(What::Reset(1)), false), Err("FB0940"));
}

#[test]
fn action_that_means_nothing_is_refused() {
    for what in [
        What::Skip(OffsetRange::new(39, 45)),
        What::Skip(OffsetRange::new(45, 45)),
        What::Reset(40),
        What::Removed,
        What::Repair,
    ] {
        assert_eq!(operate(&mut chain(3), action(what.clone()), false), Err("FB0940"), "{what:?}");
    }
}

#[test]
fn file_that_cannot_be_published_is_what_the_operator_says() {
    let mut records = chain(3);
    let about = record::About {
        role: record::Role::Data,
        crc32: 0,
        rows: 5,
        first: 30,
        last: 34,
        values: Vec::new(),
        columns: 0,
        target: None,
        schema_ids: Vec::new(),
    };
    let staged = crate::store::Handle::Local { name: "o/1".into(), inode: 0, mtime_ns: 0 };
    records[2].rows = 5;
    records[2].files = vec![record::File { key: "t/a".into(), bytes: 9, about, staged }];
    let run = |what: What, lost: bool| operate(&mut records.clone(), action(what), lost);
    let removed = run(What::Removed, true).unwrap();
    assert_eq!((removed.kind, removed.from, removed.to), (Kind::Claim, 40, 40));
    assert_eq!(removed.note.as_deref(), Some("because"));
    // Its five offsets are read again.
    assert_eq!(run(What::Repair, true), Err("rereads"));
    // Nothing else may follow before that is said.
    assert_eq!(run(What::Skip(OffsetRange::new(40, 45)), true), Err("FB0930"));
    assert_eq!(run(What::Reset(7), true), Err("FB0930"));
    // And it may not be said of files that are there.
    assert_eq!(run(What::Removed, false), Err("FB0940"));
    assert_eq!(run(What::Repair, false), Err("FB0940"));
}

/// A machine in epoch 1 whose commit over [0, 5) is sent, and no answer says whether it is there; with the record,
/// and the ticket of its next try.
fn in_doubt() -> (Machine, Arc<Record>, Ticket) {
    let mut machine =
        Machine::new(Arc::new(identity()), "owner".into(), log(0, 100), STOP, Ticket(0));
    let mut out = Vec::new();
    machine.begin(&mut out);
    machine.record(Ticket(1), 1, None, &mut out).unwrap();
    machine.chains(Ticket(2), &Chains::default(), &mut out).unwrap();
    machine.wrote(Ticket(3), Wrote::Created, &mut out).unwrap();
    let sealed = Sealed { range: OffsetRange::new(0, 5), files: Vec::new(), times_ms: None };
    machine.seal(sealed, &mut out);
    let Some(Action::Put { ticket, record, .. }) = out.pop() else { panic!("{out:?}") };
    machine.wrote(ticket, Wrote::Doubt, &mut out).unwrap();
    let Some(Action::Get { ticket, seq: 2, .. }) = out.pop() else { panic!("{out:?}") };
    machine.record(ticket, 2, None, &mut out).unwrap();
    let Some(Action::Put { ticket, record: again, .. }) = out.pop() else { panic!("{out:?}") };
    assert_eq!(again, record, "other bytes for the same place");
    (machine, record, ticket)
}

/// Why no pipeline has to void a commit in doubt before it leaves.
#[test]
fn commit_in_doubt_at_shutdown_is_settled_by_the_next_claim_whichever_comes_first() {
    let claim = |chain: &mut Vec<Record>| {
        let (mut machine, record, ticket) = in_doubt();
        // The time to leave is over: nothing of it is discarded, and the place is left as it is.
        assert_eq!(machine.abandon(), TakenBack { offset: 5, ..TakenBack::default() });
        let first = Record {
            kind: Kind::Claim,
            from: 0,
            to: 0,
            id: record.prev.clone(),
            ..Record::clone(&record)
        };
        chain.push(Record { seq: 1, prev: String::new(), ..first });
        (machine, record, ticket)
    };
    // It lands before the next owner looks: that one goes on after it.
    let mut chain = Vec::new();
    let (_, record, _) = claim(&mut chain);
    chain.push(Record::clone(&record));
    assert_eq!(assign(&mut chain, &[], STOP, log(0, 100)), Ok((5, 2)));
    assert_eq!(
        chain.iter().map(|r| r.kind).collect::<Vec<_>>(),
        [Kind::Claim, Kind::Commit, Kind::Claim]
    );
    // The next owner claims before it lands: the place is taken for good.
    let mut chain = Vec::new();
    let (mut machine, _, ticket) = claim(&mut chain);
    assert_eq!(assign(&mut chain, &[], STOP, log(0, 100)), Ok((0, 2)));
    let mut out = Vec::new();
    machine.wrote(ticket, Wrote::Doubt, &mut out).unwrap();
    let Some(Action::Get { ticket, seq: 2, .. }) = out.pop() else { panic!("{out:?}") };
    let found = Some(Arc::new(chain[1].clone()));
    let fault = machine.record(ticket, 2, found, &mut out).unwrap_err();
    assert_eq!(fault.code.id, "FB0929");
    assert_eq!(machine.pending(), 0);
}
