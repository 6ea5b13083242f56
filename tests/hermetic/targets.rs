//! What a subject's answers do to rows, one answer after the other: a version that is gone, one that is behind,
//! one that the registry does not have, a writer that no version names.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int32Type;
use forebay::clock::Now;
use forebay::commit::record::{About, Role};
use forebay::config::{self, Config};
use forebay::error::{Code, Fault, Kind};
use forebay::pipeline::intake::Need;
use forebay::pipeline::lanes::Output;
use forebay::pipeline::task::{Action, Event, Task};
use forebay::position::TopicPartition;
use forebay::record::{RecordBatch as Records, TimestampType};
use forebay::registry::compile::compile;
use forebay::registry::{History, Language, Lookup, Numbered, Schema};
use forebay::wire::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::by_hand::{self, assigned, settle};

static FAULT: Code = Code { id: "FB0998", kind: Kind::Halt, title: "t", help: "h" };

/// One task, and what it wrote.
struct Run {
    task: Task,
    /// The next record's offset, and the time.
    next: i64,
    now_ms: u64,
    bytes: HashMap<String, Vec<u8>>,
    files: Vec<(About, String)>,
}

fn at(mono_ms: u64) -> Now {
    Now { wall_ms: mono_ms as i64, mono_ms }
}

fn protobuf(id: u32, fields: &str) -> Arc<Schema> {
    let text =
        format!("syntax = \"proto3\"; message R {{ {fields} }} message Other {{ int32 z = 1; }}");
    Arc::new(compile(id, Language::Protobuf, &text, &[]).unwrap())
}

/// Versions in this order, numbered as their ids.
fn history(schemas: &[&Arc<Schema>]) -> History {
    let numbered =
        |schema: &&Arc<Schema>| Numbered { version: schema.id, schema: Arc::clone(schema) };
    History { versions: schemas.iter().map(numbered).collect(), ..History::default() }
}

fn no() -> Lookup {
    Lookup::Unknown(Fault::new(&FAULT, "subject `x`: 40401"))
}

impl Run {
    fn new(evolution: &str) -> Self {
        let text = format!(
            "pipeline: t\nsource: {{ brokers: 'x:1', topics: [rows] }}\n\
             registry: {{ url: 'http://x', unknown_id_grace: 2s, subject_name_strategy: record }}\n\
             sink: {{ url: 's3://bucket/root' }}\nevolution: {{ {evolution} }}\n"
        );
        let pipeline = Config::parse(&text, "t.yaml", &config::Process).unwrap().pipeline;
        let (task, bytes, files) =
            (by_hand::task(&pipeline, "rows", 1), HashMap::new(), Vec::new());
        let mut run = Self { task, next: 0, now_ms: 0, bytes, files };
        run.step(assigned(None));
        run
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let seen = settle(&mut self.task, event, at(self.now_ms));
        for action in &seen {
            match action {
                Action::Store(Output::Part { key, bytes, .. }) => {
                    self.bytes.entry(key.clone()).or_default().extend_from_slice(bytes);
                }
                Action::Store(Output::End { key, tail, about, .. }) => {
                    self.bytes.entry(key.clone()).or_default().extend_from_slice(tail);
                    self.files.push((About::clone(about), key.clone()));
                }
                _ => {}
            }
        }
        seen
    }

    /// Sends one record: the body of a message of a schema, whose id the registry knows.
    fn send(&mut self, schema: &Arc<Schema>, message: u8, body: &[u8]) {
        let indexes: &[u8] = if message == 0 { &[0] } else { &[2, message * 2] };
        let value = [&[0, 0, 0, 0, schema.id as u8], indexes, body].concat();
        let mut batch = Records::new(TopicPartition::new("rows", 0), self.next);
        batch.push(
            self.next,
            None,
            TimestampType::CreateTime,
            None,
            Some(&value),
            std::iter::empty(),
        );
        self.next += 1;
        self.step(Event::Records(batch));
        self.step(Event::Schema(SchemaRef::Id(schema.id), Ok(schema.clone())));
    }

    fn answer(&mut self, subject: &str, found: Result<History, Lookup>) -> Vec<Action> {
        self.step(Event::Subject(subject.into(), found.map(Arc::new)))
    }

    fn later(&mut self, ms: u64) -> Vec<Action> {
        self.now_ms += ms;
        self.step(Event::Tick)
    }

    fn waits_for(&self, subject: &str) -> bool {
        self.task.waits_for() == Some(&Need::Subject(subject.into()))
    }

    /// Closes all files: role, target and writers of each, and its rows.
    fn finish(mut self) -> Vec<(Role, Option<u32>, Vec<u32>, RecordBatch)> {
        self.step(Event::Finish);
        assert_eq!(self.task.waits_for(), None);
        let read = |(about, key): &(About, String)| {
            let bytes = bytes::Bytes::from(self.bytes[key].clone());
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            let schema = reader.schema().clone();
            let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
            let rows = concat_batches(&schema, &batches).unwrap();
            (about.role, about.target, about.schema_ids.clone(), rows)
        };
        self.files.iter().map(read).collect()
    }
}

fn names(rows: &RecordBatch) -> Vec<String> {
    rows.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn ints(rows: &RecordBatch, name: &str) -> Vec<Option<i32>> {
    rows[name].as_primitive::<Int32Type>().iter().collect()
}

/// `a: 1, b: 2`
const BOTH: &[u8] = &[0x08, 1, 0x10, 2];

#[test]
fn superset_keeps_the_values_of_a_writer_that_no_version_names() {
    let (gone, listed) = (protobuf(1, "int32 a = 1; int32 b = 2;"), protobuf(2, "int32 a = 1;"));
    let mut run = Run::new("mode: superset");
    run.send(&listed, 0, &[0x08, 7]);
    run.answer("R", Ok(history(&[&listed])));
    // A producer that has had its id since before the version was deleted.
    run.send(&gone, 0, BOTH);
    assert!(run.waits_for("R"));
    run.answer("R", Ok(history(&[&listed])));
    run.send(&listed, 0, &[0x08, 8]);
    let files = run.finish();
    let found: Vec<_> =
        files.iter().map(|(_, target, ids, rows)| (*target, ids.clone(), names(rows))).collect();
    let [narrow, wide] = ["a", "a b"].map(|n| n.split(' ').map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(found, [(Some(0), vec![2], narrow), (Some(0), vec![1, 2], wide)]);
    assert_eq!(ints(&files[1].3, "b"), [Some(2), None]);
}

#[test]
fn superset_never_drops_a_column_of_a_writer_that_does_not_fit() {
    // `b` is a text there and cannot be both.
    let gone = protobuf(1, "int32 a = 1; int32 b = 2; int32 c = 3;");
    let listed = protobuf(2, "int32 a = 1; string b = 2;");
    for (on_incompatible, expected) in [("rotate", Role::Data), ("reject", Role::Reject)] {
        let mut run = Run::new(&format!("mode: superset, on_incompatible: {on_incompatible}"));
        run.send(&gone, 0, &[0x08, 1, 0x10, 2, 0x18, 3]);
        run.answer("R", Ok(history(&[&listed])));
        let files = run.finish();
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].0, files[0].1), (expected, None), "{on_incompatible}");
        if expected == Role::Data {
            assert_eq!(names(&files[0].3), ["a", "b", "c"]);
        }
    }
}

#[test]
fn superset_does_not_narrow_when_a_version_is_deleted() {
    let (old, new) = (protobuf(1, "int32 a = 1; int32 b = 2;"), protobuf(2, "int32 a = 1;"));
    let mut run = Run::new("mode: superset, refresh: 1s");
    run.send(&old, 0, BOTH);
    run.answer("R", Ok(history(&[&old, &new])));
    run.later(2_000);
    run.answer("R", Ok(history(&[&new])));
    run.send(&old, 0, BOTH);
    run.send(&new, 0, &[0x08, 7]);
    let files = run.finish();
    assert_eq!(files.len(), 1);
    assert_eq!(names(&files[0].3), ["a", "b"]);
    assert_eq!(ints(&files[0].3, "b"), [Some(2), Some(2), None]);
}

#[test]
fn latest_does_not_go_back_to_a_version_before_the_newest_seen() {
    let (old, new) = (protobuf(2, "int32 a = 1;"), protobuf(3, "int32 a = 1; int32 b = 2;"));
    let mut run = Run::new("mode: latest, refresh: 1s");
    run.send(&new, 0, BOTH);
    run.answer("R", Ok(history(&[&new])));
    run.later(2_000);
    // A replica that lags, or a version that was deleted.
    run.answer("R", Ok(history(&[&old])));
    run.send(&new, 0, BOTH);
    // Deleted for good, and begun anew: its ids go on.
    let anew = protobuf(9, "int32 a = 1; int32 b = 2; int32 c = 3;");
    run.later(2_000);
    let first = Numbered { version: 1, schema: anew.clone() };
    run.answer("R", Ok(History { versions: vec![first], ..History::default() }));
    run.send(&new, 0, BOTH);
    let files = run.finish();
    let found: Vec<_> =
        files.iter().map(|(_, target, _, rows)| (*target, rows.num_rows())).collect();
    assert_eq!(found, [(Some(3), 2), (Some(9), 1)]);
}

/// The second message of the file, under the strategy by which each message has a subject of its own.
/// The way out of a pause: the version that does not fit is deleted.
#[test]
fn pause_ends_when_the_version_that_does_not_fit_is_gone() {
    let (old, new) = (protobuf(1, "int32 a = 1;"), protobuf(2, "string a = 1;"));
    for mode in ["latest", "superset"] {
        let mut run = Run::new(&format!("mode: {mode}, on_incompatible: pause"));
        run.send(&old, 0, &[8, 7]);
        let versions: &[_] = if mode == "latest" { &[&new] } else { &[&old, &new] };
        run.answer("R", Ok(history(versions)));
        assert!(run.waits_for("R"), "{mode}");
        run.later(20_000);
        run.answer("R", Ok(history(&[&old])));
        assert!(!run.waits_for("R"), "{mode}");
        let files = run.finish();
        assert_eq!(files.len(), 1, "{mode}");
        assert_eq!(ints(&files[0].3, "a"), [Some(7)], "{mode}");
    }
}

#[test]
fn subject_that_the_registry_does_not_have_holds_records_for_the_grace_alone() {
    let schema = protobuf(1, "int32 a = 1;");
    let modes = ["mode: latest", "mode: superset", "mode: fixed, version: 7"];
    let cases = modes.iter().flat_map(|mode| [(mode, "rotate"), (mode, "reject")]);
    for (mode, on_incompatible) in cases {
        let mut run = Run::new(&format!("{mode}, on_incompatible: {on_incompatible}"));
        run.send(&schema, 0, &[0x08, 5]);
        let mut good = history(&[&schema]);
        if mode.contains("fixed") {
            good.versions[0].version = 7;
        }
        run.answer("R", Ok(good));
        run.send(&schema, 1, &[0x08, 6]);
        // No answer spends no grace.
        run.now_ms = 60_000;
        run.answer("Other", Err(Lookup::Unavailable(Fault::new(&FAULT, "away"))));
        for now in [60_000, 61_000, 61_999] {
            run.now_ms = now;
            let seen = run.answer("Other", Err(no()));
            assert!(matches!(seen.last(), Some(Action::AskSubject { .. })), "{seen:?}");
            assert!(run.waits_for("Other"), "{mode} {on_incompatible} at {now}");
        }
        run.now_ms = 62_000;
        run.answer("Other", Err(no()));
        assert_eq!(run.task.waits_for(), None, "{mode} {on_incompatible}");
        run.send(&schema, 0, &[0x08, 7]);
        run.send(&schema, 1, &[0x08, 8]);
        let files = run.finish();
        let rows = |role, target: Option<u32>| -> usize {
            let of = files.iter().filter(|file| (file.0, file.1) == (role, target));
            of.map(|file| file.3.num_rows()).sum()
        };
        let target = if mode.contains("superset") { 0 } else { 1 };
        assert_eq!(rows(Role::Data, Some(target)), 2, "{mode} {on_incompatible}");
        let kept = if on_incompatible == "rotate" { Role::Data } else { Role::Reject };
        assert_eq!(rows(kept, None), 2, "{mode} {on_incompatible}");
    }
}

#[test]
fn subject_that_comes_after_the_grace_gives_its_columns_from_then_on() {
    let (old, new) = (protobuf(1, "int32 a = 1;"), protobuf(2, "int32 a = 1; int32 b = 2;"));
    for (mode, asks) in
        [("latest", "on_incompatible: rotate"), ("latest", "on_incompatible: pause")]
    {
        let mut run = Run::new(&format!("mode: {mode}, refresh: 1s, {asks}"));
        run.send(&old, 0, &[0x08, 5]);
        for now in [0, 2_000] {
            run.now_ms = now;
            run.answer("R", Err(no()));
        }
        let waits = asks.ends_with("pause");
        assert_eq!(run.waits_for("R"), waits);
        run.later(2_000);
        run.answer("R", Ok(history(&[&new])));
        run.send(&old, 0, &[0x08, 6]);
        let files = run.finish();
        let found: Vec<_> =
            files.iter().map(|(_, target, _, rows)| (*target, rows.num_rows())).collect();
        match waits {
            true => assert_eq!(found, [(Some(2), 2)]),
            false => assert_eq!(found, [(None, 1), (Some(2), 1)]),
        }
    }
}

/// What was known of a subject holds where it is gone.
#[test]
fn writer_that_is_new_to_a_subject_that_is_gone_takes_the_columns_there_were() {
    let (old, new) = (protobuf(1, "int32 a = 1;"), protobuf(2, "int32 a = 1; int32 b = 2;"));
    let mut run = Run::new("mode: latest");
    run.send(&old, 0, &[0x08, 5]);
    run.answer("R", Ok(history(&[&old])));
    run.send(&new, 0, BOTH);
    for now in [0, 2_000] {
        assert!(run.waits_for("R"));
        run.now_ms = now;
        run.answer("R", Err(no()));
    }
    let files = run.finish();
    assert_eq!(files.len(), 1);
    assert_eq!((files[0].1, files[0].3.num_rows()), (Some(1), 2));
}

/// A tombstone is a row of its value's table, whatever table that was when the last value came.
#[test]
fn tombstone_after_a_switch_takes_the_new_target() {
    let (old, new) = (protobuf(1, "int32 a = 1;"), protobuf(2, "int32 a = 1; int32 b = 2;"));
    let mut run = Run::new("mode: latest, refresh: 1s }\nvalue: { tombstones: row");
    run.send(&old, 0, &[0x08, 5]);
    run.answer("R", Ok(history(&[&old])));
    run.later(2_000);
    run.answer("R", Ok(history(&[&new])));
    let mut batch = Records::new(TopicPartition::new("rows", 0), run.next);
    for offset in run.next..run.next + 2 {
        let none = std::iter::empty();
        batch.push(offset, None, TimestampType::CreateTime, None, None, none);
    }
    run.next += 2;
    run.step(Event::Records(batch));
    run.send(&old, 0, &[0x08, 6]);
    let files = run.finish();
    let found: Vec<_> =
        files.iter().map(|(_, target, _, rows)| (*target, ints(rows, "a"))).collect();
    assert_eq!(found, [(Some(1), vec![Some(5)]), (Some(2), vec![None, None, Some(6)])]);
}
