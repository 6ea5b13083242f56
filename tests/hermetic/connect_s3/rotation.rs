//! Which records make which files: tests/corpus/connect_s3/rotation_scenarios.json, run through a task.
//!
//! Beside the sink's names stand ours: the same folder, topic, Kafka partition and first offset; the offset is
//! padded to 20 digits, then come the claim and `.parquet` (the sink's tests write Avro).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use forebay::clock::Now;
use forebay::commit::machine::Assigned;
use forebay::commit::record::Role;
use forebay::config::{self, Config, SinkUrl};
use forebay::pipeline::lanes::Output;
use forebay::pipeline::task::{Action, Assignment, Event, Task};
use forebay::position::TopicPartition;
use forebay::record::{RecordBatch, TimestampType};
use forebay::registry::compile::compile;
use forebay::registry::{History, Language, Numbered, Schema};
use forebay::wire::SchemaRef;
use serde_json::Value;

use crate::by_hand;

/// 2 March 2017, 10:00 in Los Angeles.
const TEN: i64 = 1_488_477_600_000;
const MINUTE: i64 = 60_000;

/// One schema and two of other names, by id; 4 and 5 are versions of one subject, 6 is in none.
const SCHEMAS: [&str; 6] = [
    "message R { int32 int = 1; bool boolean = 2; Outer outer = 3; message Outer { int32 inner = 1; } }",
    "message schema1 { int32 field1 = 1; }",
    "message schema2 { int32 field1 = 1; }",
    "message V { int32 field1 = 1; }",
    "message V { int32 field1 = 1; string field2 = 2; }",
    "message V { int32 field1 = 1; bool field3 = 3; }",
];

fn schema(id: u32) -> Arc<Schema> {
    let text = format!("syntax = \"proto3\"; {}", SCHEMAS[id as usize - 1]);
    Arc::new(compile(id, Language::Protobuf, &text, &[]).unwrap())
}

/// A record: its schema's id, none without a frame; its body.
type Sent = (Option<u32>, Vec<u8>);

/// `int` or `field1`.
fn number(id: u32, n: u8) -> Sent {
    (Some(id), vec![0x08, n])
}

/// `int` that goes round 16, 17, 18.
fn cycle(count: u8) -> Vec<Sent> {
    (0..count).map(|n| number(1, 16 + n % 3)).collect()
}

fn same(count: usize) -> Vec<Sent> {
    vec![number(1, 16); count]
}

/// Schemas by turns.
fn turns(ids: &[u32], count: usize) -> Vec<Sent> {
    (0..count).map(|n| number(ids[n % ids.len()], 16)).collect()
}

/// What comes at a time, in ms; nothing is a tick.
type Step = (i64, Vec<Sent>);

enum How {
    /// `config`, the first offset, and what comes.
    Run(&'static str, i64, fn() -> Vec<Step>),
    /// Not to be said in our options, and why.
    Not(&'static str),
}
use How::{Not, Run};

fn at_once(records: Vec<Sent>) -> Vec<Step> {
    vec![(0, records)]
}

const RECORD_TIME: &str = "the time of records closes no file here: `commit.interval`, `commit.schedule` and `commit.idle` go by the clock";
const OPEN_FILES: &str =
    "there is no limit of open files: a Kafka partition that outgrows its share of memory seals";
const ON_CHANGE: &str = "a change of the folder closes no file";

/// `flush.size` is `commit.rows`: it counts the records of all files of a Kafka partition.
static SCENARIOS: &[(&str, How)] = &[
    (
        "default_flush3_pad2",
        Run("partition_by: [_partition]\ncommit: { rows: 3 }", 0, || at_once(same(10))),
    ),
    (
        "default_flush3",
        Run("partition_by: [_partition]\ncommit: { rows: 3 }", 0, || at_once(same(9))),
    ),
    (
        "default_empty_topics_dir",
        Run(
            "partition_by: [_partition]\ncommit: { rows: 3 }\nsink: { url: 's3://bucket' }",
            0,
            || at_once(same(9)),
        ),
    ),
    (
        "flush10_only9",
        Run("partition_by: [_partition]\ncommit: { rows: 10 }", 0, || at_once(same(9))),
    ),
    (
        "rotate_interval_ignored_without_time_partitioner",
        Run("partition_by: [_partition]\ncommit: { rows: 10 }", 0, || at_once(same(9))),
    ),
    ("field_flush9", Run("partition_by: [int]\ncommit: { rows: 9 }", 0, || at_once(cycle(18)))),
    (
        "nested_field_flush9",
        Run(
            "partition_by: [{ expr: outer.inner, name: outer.inner }]\ncommit: { rows: 9 }",
            0,
            || {
                let nested = |n: u8| (Some(1), vec![0x1a, 2, 0x08, 16 + n % 3]);
                at_once((0..18).map(nested).collect())
            },
        ),
    ),
    ("field_max_open_files_5", Not(OPEN_FILES)),
    ("field_multi_max_open_files_5", Not(OPEN_FILES)),
    (
        "field_flush10_max_open_unset",
        Run("partition_by: [int]\ncommit: { rows: 10 }", 0, || at_once(same(20))),
    ),
    ("hourly_record_ts_rotate_1min", Not(RECORD_TIME)),
    ("daily_record_ts_rotate_1min", Not(RECORD_TIME)),
    ("record_field_ts_hours", Not(RECORD_TIME)),
    (
        "null_record_timestamp",
        Not("a record without a time is a reject, or has a folder of its own; the task goes on"),
    ),
    ("out_of_order_no_rotate_on_partition_change", Not(RECORD_TIME)),
    ("out_of_order_rotate_on_partition_change", Not(ON_CHANGE)),
    ("hourly_partition_daily_rotation", Not(RECORD_TIME)),
    (
        "wallclock_batch_time",
        Not("folders come from records: there is no expression for the clock"),
    ),
    (
        "schedule_rotation_idle",
        Run("partition_by: [_partition]\ncommit: { schedule: 10m }", 0, || {
            vec![(11 * MINUTE, same(3)), (22 * MINUTE, Vec::new())]
        }),
    ),
    (
        "schedule_rotation_idle_loops",
        Run("partition_by: [_partition]\ncommit: { schedule: 10m }", 0, || {
            let mut steps = vec![(11, Vec::new()), (11, same(3)), (22, Vec::new())];
            steps.extend((3..8).map(|n| (n * 11, Vec::new())));
            steps.extend([(77, same(3)), (88, Vec::new())]);
            steps.into_iter().map(|(minutes, records)| (minutes * MINUTE, records)).collect()
        }),
    ),
    (
        "tombstone_then_records_flush3",
        Not(
            "records with and without a schema do not stand in one topic: those without are rejects",
        ),
    ),
    (
        "records_then_schemaless_then_record_flush3",
        Not(
            "records with and without a schema do not stand in one topic: those without are rejects",
        ),
    ),
    (
        "schemaless_x3_flush3",
        Run(
            "partition_by: [_partition]\ncommit: { rows: 3 }\nvalue: { format: string }",
            0,
            || at_once(vec![(None, b"x".to_vec()); 3]),
        ),
    ),
    (
        "keys_and_headers_files",
        Not("keys and headers are columns beside the value's: `key.format`, `metadata: [headers]`"),
    ),
    ("schema_partitioner_prefix_time_rotate_on_change", Not(ON_CHANGE)),
    (
        "schema_partitioner_no_rotate_on_change_flush6",
        Run(
            "partition_by:\n- { expr: _record_name, name: schema_name }\n\
             - { expr: \"strftime(_timestamp, '%Y', timezone='America/Los_Angeles')\", name: year }\n\
             - { expr: \"strftime(_timestamp, '%m', timezone='America/Los_Angeles')\", name: month }\n\
             - { expr: \"strftime(_timestamp, '%d', timezone='America/Los_Angeles')\", name: day }\n\
             - { expr: \"strftime(_timestamp, '%H', timezone='America/Los_Angeles')\", name: hour }\n\
             commit: { rows: 6 }",
            0,
            || at_once(turns(&[2, 3], 6)),
        ),
    ),
    (
        "schema_partitioner_default_flush9_3schemas",
        Not("a record type has a name: that of its type where it declares none"),
    ),
    (
        "schema_partitioner_field_flush10",
        Run(
            "partition_by: [{ expr: _record_name, name: schema_name }, field1]\ncommit: { rows: 10 }",
            0,
            || at_once(turns(&[2, 3], 12)),
        ),
    ),
    (
        "tombstone_partition",
        Not("tombstones are rows of their value's folder (`value.tombstones: row`)"),
    ),
    (
        "conditional_write_exists_scan",
        Not("the chain of commits says where to go on: names are not looked for"),
    ),
    (
        "schema_alternating_NONE",
        Not(
            "no file closes where schemas turn: the two have files of their own side by side (the test below)",
        ),
    ),
    (
        "schema_alternating_BACKWARD",
        Run(
            "rotate: { rows: 2 }\ncommit: { interval: 1h }\ndialect: confluent\nconnect: { schema_compatibility: backward }",
            0,
            || vec![(0, turns(&[4, 5], 7)), (61 * MINUTE, Vec::new())],
        ),
    ),
    (
        "schema_alternating_FORWARD",
        Run(
            "rotate: { rows: 2 }\ncommit: { interval: 1h }\ndialect: confluent\nconnect: { schema_compatibility: forward }",
            1,
            || vec![(0, turns(&[5, 4], 7)), (61 * MINUTE, Vec::new())],
        ),
    ),
    (
        "no_version_with_BACKWARD",
        Not("records at which the sink fails follow `evolution.on_incompatible` (the test below)"),
    ),
    ("precommit_size", Not("commits, not files (the test below)")),
    (
        "precommit_schema_change",
        Not("no file closes where schemas turn: both records are in one commit"),
    ),
    ("rebalance", Not("several owners (the test below)")),
    ("spanning_parts", Run("commit: { rows: 10000 }", 0, || at_once(same(11_000)))),
    ("non_zero_initial", Run("commit: { rows: 3 }", 9, || at_once(same(7)))),
];

/// A committed file: its folder, its name up to the offset, that offset, its rows.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct File {
    first: i64,
    stem: String,
    folder: String,
    rows: u64,
}

/// A file as it was handed to the store.
struct Closed {
    file: File,
    last: i64,
    role: Role,
    target: Option<u32>,
    schema_ids: Vec<u32>,
}

/// A task that is answered with success, and what it made.
struct Driven {
    task: Task,
    next: i64,
    partition: i32,
    /// Of the sink.
    prefix: String,
    closed: Vec<Closed>,
    /// Ends of its commits.
    commits: Vec<i64>,
}

impl Driven {
    fn new(more: &str, partition: i32, start: i64) -> Self {
        let mut text = "pipeline: t\nsource: { brokers: 'x:1', topics: [test-topic] }\n".to_owned();
        if !more.contains("format: string") {
            text += "registry: { url: 'http://x' }\n";
        }
        if !more.contains("sink:") {
            text += "sink: { url: 's3://bucket/topics' }\n";
        }
        text += more;
        let pipeline = Config::parse(&text, "t.yaml", &config::Process)
            .unwrap_or_else(|e| panic!("{text}\n{e:?}"))
            .pipeline;
        let prefix = match &pipeline.sink.url {
            SinkUrl::S3 { prefix, .. } if !prefix.is_empty() => format!("{prefix}/"),
            _ => String::new(),
        };
        let partitioner = forebay::pipeline::partitioner(&pipeline).unwrap();
        // Small parts, so that a file has several.
        let settings = forebay::pipeline::settings(&pipeline, partitioner, 1 << 10, None);
        let tp = TopicPartition::new("test-topic", partition);
        let task = Task::new(Arc::new(settings), tp, 1);
        let mut driven =
            Self { task, next: start, partition, prefix, closed: Vec::new(), commits: Vec::new() };
        let kafka = Assigned { start, committed: None, low: start, high: 1 << 20 };
        driven.settle(
            Event::Assigned(Box::new(Assignment {
                owner: "owner".into(),
                topic_id: None,
                partitions: None,
                kafka,
                end_is_sure: true,
                stop_at: None,
            })),
            0,
        );
        driven
    }

    fn send(&mut self, records: &[Sent], ms: i64) {
        let mut batch =
            RecordBatch::new(TopicPartition::new("test-topic", self.partition), self.next);
        for (id, body) in records {
            let mut value = Vec::new();
            if let Some(id) = id {
                value.push(0);
                value.extend(id.to_be_bytes());
                value.push(0);
            }
            value.extend(body);
            let none = std::iter::empty();
            batch.push(self.next, Some(TEN), TimestampType::CreateTime, None, Some(&value), none);
            self.next += 1;
        }
        self.settle(Event::Records(batch), ms);
    }

    fn settle(&mut self, event: Event, ms: i64) {
        let now = Now { wall_ms: ms, mono_ms: ms as u64 };
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut out = Vec::new();
            self.task.step(event, now, &mut out);
            for action in out {
                match &action {
                    Action::Ask { schema: SchemaRef::Id(id), .. } => {
                        events.push_back(Event::Schema(SchemaRef::Id(*id), Ok(schema(*id))));
                    }
                    Action::AskSubject { subject, .. } => {
                        assert_eq!(&**subject, "test-topic-value");
                        let version = |id: u32| Numbered { version: id, schema: schema(id) };
                        let history = History {
                            versions: vec![version(4), version(5)],
                            ..History::default()
                        };
                        events.push_back(Event::Subject(subject.clone(), Ok(Arc::new(history))));
                    }
                    Action::Store(Output::End { key, about, .. }) => {
                        let (folder, name) = key.rsplit_once('/').unwrap();
                        let parts: Vec<&str> = name.split('+').collect();
                        let [topic, partition, offset, _] = parts[..] else { panic!("{name}") };
                        assert_eq!(offset.parse(), Ok(about.first));
                        let stem = format!("{topic}+{partition}");
                        let file = File {
                            first: about.first,
                            stem,
                            folder: format!("{}{folder}", self.prefix),
                            rows: about.rows,
                        };
                        self.closed.push(Closed {
                            file,
                            last: about.last,
                            role: about.role,
                            target: about.target,
                            schema_ids: about.schema_ids.clone(),
                        });
                    }
                    Action::Committed { range, .. } => self.commits.push(range.end),
                    _ => {}
                }
                events.extend(by_hand::success(&action));
            }
        }
    }

    /// Those in commits, by their first offset.
    fn files(&self) -> Vec<File> {
        let end = self.commits.last().copied().unwrap_or(0);
        let mut files: Vec<File> =
            self.closed.iter().filter(|c| c.last < end).map(|c| c.file.clone()).collect();
        files.sort();
        files
    }

    fn firsts(&self) -> Vec<i64> {
        self.files().iter().map(|file| file.first).collect()
    }
}

/// What the corpus expects: the folder, if it says one, and the first offset.
fn expected(fact: &Value) -> Vec<(Option<String>, i64)> {
    if let Some(starts) = fact["file_starts"].as_array() {
        return starts.iter().map(|start| (None, start.as_i64().unwrap())).collect();
    }
    let names = fact["expect_files"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    names
        .map(|name| match name.strip_prefix("...") {
            Some(rest) => {
                let offset = &rest[rest.len() - 10..];
                let folder = rest.trim_matches('/').rsplit_once('/').map(|(folder, _)| folder);
                (folder.map(|folder| format!(".../{folder}")), offset.parse().unwrap())
            }
            None => {
                let (folder, file) = name.rsplit_once('/').unwrap();
                let stem = file.strip_suffix(".avro").unwrap();
                let parts: Vec<&str> = stem.split('+').collect();
                assert_eq!(parts[..2], ["test-topic", "12"]);
                (Some(folder.to_owned()), parts[2].parse().unwrap())
            }
        })
        .collect()
}

fn sizes(fact: &Value, files: usize) -> Option<Vec<u64>> {
    match &fact["sizes"] {
        Value::Array(sizes) => Some(sizes.iter().map(|size| size.as_u64().unwrap()).collect()),
        Value::String(text) => {
            let each = text.strip_suffix(" each").unwrap().parse().unwrap();
            Some(vec![each; files])
        }
        _ => None,
    }
}

fn corpus() -> BTreeMap<String, Value> {
    let text = include_str!("../../corpus/connect_s3/rotation_scenarios.json");
    let corpus: Value = serde_json::from_str(text).unwrap();
    let of = |key: &str| corpus[key].as_array().unwrap().clone();
    let all = of("scenarios").into_iter().chain(of("task_level"));
    all.map(|fact| (fact["id"].as_str().unwrap().to_owned(), fact)).collect()
}

#[test]
fn rotation_scenarios_give_the_sinks_files_where_options_can_say_them() {
    let corpus = corpus();
    let here: Vec<&str> = SCENARIOS.iter().map(|(id, _)| *id).collect();
    assert_eq!(here.len(), corpus.len(), "each scenario once");
    assert!(here.iter().all(|id| corpus.contains_key(*id)), "no other scenario");
    let mut run = 0;
    for (id, how) in SCENARIOS {
        let Run(config, start, steps) = how else { continue };
        run += 1;
        let fact = &corpus[*id];
        let mut driven = Driven::new(config, 12, *start);
        for (ms, records) in steps() {
            match records.is_empty() {
                true => driven.settle(Event::Tick, ms),
                false => driven.send(&records, ms),
            }
        }
        let (files, mut expected) = (driven.files(), expected(fact));
        let expected_sizes = sizes(fact, expected.len());
        expected.sort_by_key(|(_, first)| *first);
        assert_eq!(
            driven.firsts(),
            expected.iter().map(|(_, first)| *first).collect::<Vec<_>>(),
            "{id}"
        );
        for (file, (folder, _)) in files.iter().zip(&expected) {
            assert_eq!(file.stem, "test-topic+12", "{id}");
            match folder.as_deref().map(|folder| (folder, folder.strip_prefix("..."))) {
                Some((_, Some(end))) => assert!(file.folder.ends_with(end), "{id}: {file:?}"),
                Some((folder, None)) => assert_eq!(file.folder, folder, "{id}"),
                None => {}
            }
        }
        if let Some(expected) = expected_sizes {
            let rows: Vec<u64> = files.iter().map(|file| file.rows).collect();
            assert_eq!(rows, expected, "{id}");
        }
    }
    assert!(run >= 17, "{run}");
}

/// The scenarios that do not go so here, as rows of a table of docs/evolution.md.
pub(crate) fn differences() -> String {
    let row = |(id, how): &(&str, How)| match how {
        Run(..) => None,
        Not(why) => Some(format!("| `{id}` | {why} |\n")),
    };
    SCENARIOS.iter().filter_map(row).collect()
}

/// The rows of each schema have files of its own, and none closes for the other: `schema_alternating_NONE`.
#[test]
fn alternating_schemas_by_none_stand_side_by_side() {
    let config = "rotate: { rows: 2 }\ncommit: { interval: 1h }\ndialect: confluent\n\
                  connect: { schema_compatibility: none }";
    let mut driven = Driven::new(config, 12, 0);
    driven.send(&turns(&[4, 5], 7), 0);
    driven.settle(Event::Tick, 61 * MINUTE);
    // The sink makes six files of one row, and a seventh later.
    assert_eq!(driven.firsts(), [0, 1, 4, 5]);
    for closed in &driven.closed {
        let own = 4 + (closed.file.first % 2) as u32;
        assert_eq!((closed.target, &closed.schema_ids[..]), (Some(own), &[own][..]));
    }
}

/// Each file holds rows of both versions, in the columns of the one that it names.
#[test]
fn alternating_schemas_are_projected_up_by_backward_and_down_by_forward() {
    for (mode, start, ids, target) in [("backward", 0, [4, 5], 5), ("forward", 1, [5, 4], 4)] {
        let config = format!(
            "rotate: {{ rows: 2 }}\ncommit: {{ interval: 1h }}\ndialect: confluent\n\
             connect: {{ schema_compatibility: {mode} }}"
        );
        let mut driven = Driven::new(&config, 12, start);
        driven.send(&turns(&ids, 7), 0);
        driven.settle(Event::Tick, 61 * MINUTE);
        for closed in &driven.closed {
            let first = closed.file.first == start;
            let expected = if first { (ids[0], vec![ids[0]]) } else { (target, vec![4, 5]) };
            assert_eq!((closed.target, &closed.schema_ids), (Some(expected.0), &expected.1));
        }
        // The second record turns the schema; of those after it every other one is projected.
        let counted = driven.task.take_counters().evolved;
        assert_eq!((counted.switches, counted.projected, counted.unfit), (1, 3, 0), "{mode}");
        let dropped: Vec<(&str, u64)> =
            counted.dropped.iter().map(|(column, rows)| (column.as_str(), *rows)).collect();
        let expected: &[(&str, u64)] = if mode == "forward" { &[("field2", 3)] } else { &[] };
        assert_eq!(dropped, expected);
    }
}

/// `no_version_with_BACKWARD`: the sink's task dies, here the record follows `evolution.on_incompatible`.
#[test]
fn record_without_a_version_beside_one_with_is_incompatible() {
    for (unfit, roles) in
        [("reject", [Role::Data, Role::Reject]), ("rotate", [Role::Data, Role::Data])]
    {
        let config = format!(
            "commit: {{ rows: 2 }}\ndialect: confluent\nconnect: {{ schema_compatibility: backward }}\n\
             evolution: {{ on_incompatible: {unfit} }}"
        );
        let mut driven = Driven::new(&config, 12, 0);
        driven.send(&turns(&[6, 4], 2), 0);
        driven.closed.sort_by_key(|closed| closed.file.first);
        let found: Vec<Role> = driven.closed.iter().map(|closed| closed.role).collect();
        assert_eq!(found, roles);
    }
}

/// `precommit_size`.
#[test]
fn offsets_are_committed_by_size_in_each_kafka_partition() {
    let mut tasks = [12, 13].map(|partition| Driven::new("commit: { rows: 3 }", partition, 0));
    let mut step = |counts: [usize; 2]| {
        for (task, count) in tasks.iter_mut().zip(counts) {
            task.send(&same(count), 0);
        }
        [&tasks[0], &tasks[1]].map(|task| task.commits.last().copied())
    };
    assert_eq!(step([3, 3]), [Some(3), Some(3)]);
    assert_eq!(step([2, 2]), [Some(3), Some(3)]);
    assert_eq!(step([1, 1]), [Some(6), Some(6)]);
    assert_eq!(step([3, 2]), [Some(9), Some(6)]);
}

/// `rebalance`: owners that lose their Kafka partitions, and those that come after them.
#[test]
fn files_after_a_rebalance_begin_where_the_last_commit_ended() {
    let owner = |partition, start, count| {
        let mut driven = Driven::new("commit: { rows: 3 }", partition, start);
        driven.send(&same(count), 0);
        driven.settle(Event::Drop, 0);
        driven.firsts()
    };
    assert_eq!([owner(12, 0, 7), owner(13, 0, 7)], [[0, 3], [0, 3]]);
    assert_eq!([owner(12, 6, 7), owner(14, 6, 7)], [[6, 9], [6, 9]]);
}
