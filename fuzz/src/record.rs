//! What stands in the state is foreign text: a hint, and the records of a chain, given to the parser and then to
//! the machine as its answers, whatever they say.
//!
//! Input: the hint's text, a line feed, then records, each ended by the byte 0x1e. What is taken is written again
//! as the same record; the machine comes to an end, and never to a panic.

use std::sync::Arc;

use forebay::commit::machine::{
    Action, Assigned, Authority, Chains, Machine, Policy, Ticket, Wrote,
};
use forebay::commit::record::{Format, Hint, Identity, Record, parse_key};

pub const WORDS: &[&[u8]] = &[
    b"\x1e",
    b"fb1:18446744073709551615:id",
    b"\"seq\": 18446744073709551615",
    b"\"seq\": 9223372036854775808",
    b"\"to\": 9223372036854775807",
    b"\"from\": -9223372036854775808",
    b"\"epoch\": 18446744073709551615",
    b"\"prev\": \"id-1\"",
    b"\"kind\": \"claim\"",
    b"\"kind\": \"repair\"",
    b"\"kind\": \"reset\"",
    b"\"kind\": \"void\"",
    b"\"version\": 2",
    b"\"files\": []",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
];

/// Answers that a machine gets before it must have ended. A search takes about two for each bit of a seq.
const STEPS_MAX: usize = 1_000;

pub fn run(data: &[u8]) -> bool {
    let (hint, rest) = data.split_at(data.iter().position(|b| *b == b'\n').unwrap_or(data.len()));
    let hint = String::from_utf8_lossy(hint).into_owned();
    let parts: Vec<&[u8]> = rest.get(1..).unwrap_or_default().split(|b| *b == 0x1e).collect();
    // JSON as a tree of values, and strings of their own: some dozens of bytes for each byte at worst.
    let bytes_max = (64 << 10) + 400 * data.len();
    let records = super::bounded(bytes_max, || {
        let _ = parse_key(&hint);
        for part in &parts {
            let _ = Format::parse(part);
        }
        let records = parts.iter().filter_map(|part| Record::parse(part).ok()).map(Arc::new);
        records.collect::<Vec<Arc<Record>>>()
    });
    for record in &records {
        again(record);
    }
    if let Some(hint) = Hint::parse(&hint) {
        assert_eq!(Hint::parse(&Hint::text(hint.seq, &hint.id)), Some(hint));
    }
    let Some(first) = records.first() else { return false };
    for skip_lost in [false, true] {
        super::bounded(bytes_max * 4, || drive(first.identity.clone(), &hint, &records, skip_lost));
    }
    true
}

/// A record that was taken says what it says again, and keeps to the form.
fn again(record: &Record) {
    let bytes = record.to_bytes();
    assert_eq!(Record::parse(&bytes).as_ref(), Ok(record));
    let tree: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let number = |name: &str| tree[name].as_i64().unwrap();
    assert!(0 <= number("from") && number("from") <= number("to"));
    assert!(tree["seq"].as_u64().unwrap() > 0 && tree["epoch"].as_u64().unwrap() > 0);
    assert_eq!(tree["seq"] == 1, tree["prev"] == "");
    for file in tree["files"].as_array().unwrap() {
        assert!(!file["key"].as_str().unwrap().starts_with("_forebay/"));
        assert!(file["first"].as_i64().unwrap() <= file["last"].as_i64().unwrap());
    }
}

/// A machine that finds these records where they say that they stand.
fn drive(identity: Identity, hint: &str, records: &[Arc<Record>], skip_lost: bool) {
    let kafka =
        Assigned { start: 10, committed: Some((10, hint.to_owned())), low: 10, high: i64::MAX };
    let policy = Policy {
        skip_lost,
        restart_recreated: skip_lost,
        reset_truncated: skip_lost,
        ignore_ahead: skip_lost,
        adopt_lost: skip_lost,
    };
    let authority = if hint.starts_with("fb2:") { Authority::Kafka } else { Authority::Store };
    let machine = Machine::new(Arc::new(identity), "owner".into(), kafka, policy, Ticket(0));
    let mut machine = machine.under(authority);
    let mut asked = Vec::new();
    machine.begin(&mut asked);
    for _ in 0..STEPS_MAX {
        let Some(action) = asked.pop() else { return };
        let done = match action {
            Action::Get { ticket, seq, id } => {
                let is_it =
                    |r: &&Arc<Record>| r.seq == seq && id.as_ref().is_none_or(|id| **id == *r.id);
                let found = records.iter().find(is_it).cloned();
                machine.record(ticket, seq, found, &mut asked)
            }
            Action::Put { ticket, record, .. } => {
                let there = authority == Authority::Store
                    && records.iter().any(|other| other.seq == record.seq);
                let how = if there { Wrote::Doubt } else { Wrote::Created };
                machine.wrote(ticket, how, &mut asked)
            }
            Action::List { ticket } => machine.chains(ticket, &Chains::default(), &mut asked),
            Action::Publish { ticket, .. } => machine.published(ticket, &mut asked),
            Action::CommitOffset { ticket, .. } => machine.offset_committed(ticket, &mut asked),
            Action::Flow { .. } | Action::TakeBack(_) | Action::Done { .. } => Ok(()),
        };
        if done.is_err() {
            return;
        }
    }
    panic!("no end after {STEPS_MAX} answers");
}
