//! What a machine does with what Kafka says, where Kafka decides. Every order of events is `tests/explorer`'s.

use super::*;
use crate::commit::record::tests::{identity, record};
use crate::commit::record::{Kind, Role};
use crate::error::Code;
use crate::position::OffsetRange;
use crate::store::Handle;

static NO_ANSWER: Code =
    Code { id: "FB0999", kind: crate::error::Kind::Retry, title: "", help: "" };

/// A machine, and the records that are in the store, three of which are a chain up to offset 40.
struct Bench {
    machine: Machine,
    there: Vec<Arc<Record>>,
    /// Texts that Kafka was to take, with their offsets.
    texts: Vec<(Offset, String)>,
    published: u32,
    /// Folders of the topic's chains; the text's record is in that of the topic of before, or nowhere.
    folders: Vec<String>,
    named_before: bool,
}

impl Bench {
    fn new(committed: Option<(Offset, &str)>, adopt_lost: bool) -> Self {
        let committed = committed.map(|(offset, text)| (offset, text.to_owned()));
        let assigned = Assigned { start: 0, committed, low: 0, high: 100 };
        let policy = Policy { adopt_lost, ..Policy::default() };
        let machine =
            Machine::new(Arc::new(identity()), "owner".into(), assigned, policy, Ticket(0));
        let there = (1..=3).map(|seq| Arc::new(record(seq))).collect();
        let machine = machine.under(Authority::Kafka);
        let (folders, named_before) = (Vec::new(), false);
        Self { machine, there, texts: Vec::new(), published: 0, folders, named_before }
    }

    /// The topic was made anew before, and new chains begin then.
    fn made_anew(mut self, records: usize, named_before: bool) -> Self {
        self.there.truncate(records);
        self.machine.policy.restart_recreated = true;
        self.folders = vec!["_forebay/orders/log/shop.orders~before/".to_owned()];
        if records > 0 {
            self.folders.push(crate::commit::record::topic_folder(&identity()));
        }
        Self { named_before, ..self }
    }

    fn answer(&mut self, action: Action, out: &mut Vec<Action>) -> Result<(), Fault> {
        match action {
            Action::Get { ticket, seq, id } => {
                let id = id.expect("a record without a name is asked for");
                let found = self.there.iter().find(|r| r.seq == seq && *r.id == *id).cloned();
                self.machine.record(ticket, seq, found, out)
            }
            Action::Put { ticket, record, .. } => {
                self.there.push(record);
                self.machine.wrote(ticket, Wrote::Created, out)
            }
            Action::List { ticket } => {
                let seq_max = self.there.iter().map(|r| r.seq).max().unwrap_or(0);
                let last = self.there.iter().filter(|r| r.seq == seq_max);
                let ends = last.map(|r| Arc::from(r.id.as_str())).collect();
                let folders = self.folders.clone();
                let named_in = self.folders.first().filter(|_| self.named_before).cloned();
                let chains = Chains { folders, seq_max, ends, named_in, ..Chains::default() };
                self.machine.chains(ticket, &chains, out)
            }
            Action::Publish { ticket, .. } => {
                self.published += 1;
                self.machine.published(ticket, out)
            }
            Action::CommitOffset { ticket, offset, text } => {
                self.texts.push((offset, text));
                self.machine.offset_committed(ticket, out)
            }
            _ => Ok(()),
        }
    }

    /// Answers until records flow.
    fn run(&mut self) -> Result<(Offset, u64), &'static str> {
        let mut todo = Vec::new();
        self.machine.begin(&mut todo);
        while let Some(action) = todo.pop() {
            if let Action::Flow { offset, epoch } = action {
                return Ok((offset, epoch));
            }
            let mut out = Vec::new();
            self.answer(action, &mut out).map_err(|fault| fault.code.id)?;
            todo.splice(0..0, out);
        }
        Err("nothing")
    }
}

fn begin(
    committed: Option<(Offset, &str)>,
    adopt_lost: bool,
) -> Result<(Offset, u64), &'static str> {
    Bench::new(committed, adopt_lost).run()
}

#[test]
fn chain_goes_on_behind_the_record_that_kafka_names_and_no_other() {
    let mut bench = Bench::new(Some((30, "fb2:2:p:id-2")), false);
    assert_eq!(bench.run(), Ok((30, 2)));
    // The claim, of the third place though another record waits there; nobody reads that one.
    let claim = bench.there.last().unwrap();
    assert_eq!((claim.kind, claim.seq, claim.prev.as_str()), (Kind::Claim, 3, "id-2"));
    assert_eq!(bench.texts, [(30, format!("fb2:3:p:{}", claim.id))]);
}

#[test]
fn offset_without_a_text_of_ours_stops_where_records_are() {
    // Expired or deleted; set by a tool, which writes no text; a chain of the store's authority.
    for committed in [None, Some((0, "")), Some((40, "")), Some((40, "fb1:3:id-3"))] {
        assert_eq!(begin(committed, false), Err("FB0936"), "{committed:?}");
    }
    // The text is kept and the offset is another.
    assert_eq!(begin(Some((39, "fb2:3:p:id-3")), false), Err("FB0936"));
    // The record is gone, or is another one.
    assert_eq!(begin(Some((40, "fb2:3:p:id-4")), false), Err("FB0924"));
    assert_eq!(begin(Some((50, "fb2:4:c:id-4")), false), Err("FB0924"));
}

/// What a topic leaves that was made anew once says nothing of a chain that has records since.
#[test]
fn chain_with_records_does_not_begin_anew_beside_that_of_the_topic_of_before() {
    let begin = |committed, adopt, records, before| {
        Bench::new(committed, adopt).made_anew(records, before).run()
    };
    for committed in [None, Some((0, "")), Some((40, "fb1:3:id-3"))] {
        assert_eq!(begin(committed, false, 3, false), Err("FB0936"), "{committed:?}");
        assert_eq!(begin(committed, true, 3, false), Ok((40, 2)), "{committed:?}");
    }
    // The record that is named is in no chain; or in that of before, and this one had counted since.
    assert_eq!(begin(Some((50, "fb2:4:c:id-4")), false, 3, false), Err("FB0924"));
    assert_eq!(begin(Some((50, "fb2:4:c:id-4")), false, 0, false), Err("FB0924"));
    assert_eq!(begin(Some((50, "fb2:9:p:id-9")), false, 3, true), Err("FB0936"));
    // A first record does not count unless Kafka names it.
    for records in [0, 1] {
        assert_eq!(begin(Some((50, "fb2:9:p:id-9")), false, records, true), Ok((0, 1)));
        assert_eq!(begin(None, false, records, false), Ok((0, 1)));
    }
}

#[test]
fn last_record_is_adopted_where_it_is_the_only_one_there() {
    let mut bench = Bench::new(Some((7, "")), true);
    assert_eq!(bench.run(), Ok((40, 2)));
    let named: Vec<&str> = bench.texts.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(named[0], "fb2:3:p:id-3");
    let mut two = Bench::new(None, true);
    two.there.push(Arc::new(Record { id: "other".into(), ..record(3) }));
    assert_eq!(two.run(), Err("FB0936"));
}

#[test]
fn chain_that_never_got_beyond_its_first_record_begins_anew() {
    let mut bench = Bench::new(None, false);
    bench.there.truncate(1);
    assert_eq!(bench.run(), Ok((0, 1)));
}

/// Seals offset 40 in one file, and stages it; what is asked then.
fn seal(bench: &mut Bench) -> Vec<Action> {
    let about = About {
        role: Role::Data,
        crc32: 0,
        rows: 1,
        first: 40,
        last: 40,
        values: Vec::new(),
        columns: 0,
        target: None,
        schema_ids: Vec::new(),
    };
    let handle = Handle::Local { name: "s".into(), inode: 1, mtime_ns: 0 };
    let staged = Staged { key: "t/f".into(), bytes: 1, handle };
    let range = OffsetRange { start: 40, end: 41 };
    let mut out = Vec::new();
    bench.machine.seal(Sealed { range, files: vec![(1, about)], times_ms: None }, &mut out);
    bench.machine.staged(1, staged, &mut out);
    out
}

#[test]
fn commit_counts_when_kafka_has_it_and_is_marked_when_it_is_visible() {
    let mut bench = Bench::new(Some((40, "fb2:3:p:id-3")), false);
    bench.run().unwrap();
    bench.texts.clear();
    let mut todo = seal(&mut bench);
    while let Some(action) = todo.pop() {
        let mut out = Vec::new();
        bench.answer(action, &mut out).unwrap();
        todo.splice(0..0, out);
    }
    let id = bench.machine.head().unwrap().id.clone();
    assert_eq!(bench.texts, [(41, format!("fb2:5:c:{id}")), (41, format!("fb2:5:p:{id}"))]);
    assert_eq!(bench.published, 1);
    assert!(bench.machine.is_settled());
    // Who comes next publishes what is not marked, and only that.
    for (mark, published) in [("c", 1), ("p", 0)] {
        let text = format!("fb2:5:{mark}:{id}");
        let mut next = Bench::new(Some((41, &text)), false);
        next.there.clone_from(&bench.there);
        assert_eq!(next.run(), Ok((41, 3)));
        assert_eq!(next.published, published, "{text}");
    }
}

#[test]
fn refused_commit_ends_the_owner_and_keeps_its_uploads() {
    let mut bench = Bench::new(Some((40, "fb2:3:p:id-3")), false);
    bench.run().unwrap();
    let put = seal(&mut bench).pop().unwrap();
    let mut asked = Vec::new();
    bench.answer(put, &mut asked).unwrap();
    let [Action::CommitOffset { ticket, .. }] = asked[..] else { panic!("{asked:?}") };
    let fault = bench.machine.offset_refused(ticket, &Fault::new(&NO_ANSWER, "no answer"));
    assert_eq!(fault.unwrap_err().code.id, "FB0937");
    // It may be named all the same: nothing of it is thrown away, and a late answer changes nothing.
    assert_eq!(bench.machine.abandon().staged, []);
    let mut out = Vec::new();
    bench.machine.offset_committed(ticket, &mut out).unwrap();
    assert_eq!(out, []);
}
