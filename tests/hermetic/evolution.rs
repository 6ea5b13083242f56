//! Versions that are registered while records of them flow, by each `evolution.mode`, through the whole pipeline
//! in a simulated world: every record once, each file with the columns of the target that it names.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int64Type, Schema as Columns};
use forebay::clock::Seeded;
use forebay::config::{self, Config};
use forebay::pipeline::simulated::{SimRecord, Simulation, Trouble, World};
use forebay::position::TopicPartition;
use forebay::registry::compile::compile;
use forebay::registry::{Language, Numbered, Schema};
use forebay::store::{Chance, Memory, Store};
use forebay::wire::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// `n` is the offset; `m` is promoted, `b` comes and `c` goes, and the last version does not fit the others.
const VERSIONS: [&str; 4] = [
    "syntax = \"proto3\"; message Row { int64 n = 1; int32 m = 2; string c = 3; }",
    "syntax = \"proto3\"; message Row { int64 n = 1; int32 m = 2; string c = 3; optional string b = 4; }",
    "syntax = \"proto3\"; message Row { int64 n = 1; int64 m = 2; optional string b = 4; }",
    "syntax = \"proto3\"; message Row { int64 n = 1; string m = 2; optional string b = 4; }",
];

struct File {
    rows: RecordBatch,
    footer: HashMap<String, String>,
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push((n as u8) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// A record of a version, by hand: what stands in each field follows from the offset.
fn record(version: usize, offset: i64) -> SimRecord {
    let mut value = vec![0];
    value.extend((version as u32).to_be_bytes());
    value.push(0);
    value.push(0x08);
    varint(offset as u64, &mut value);
    let text = |field: u8, text: String, out: &mut Vec<u8>| {
        out.push(field << 3 | 2);
        varint(text.len() as u64, out);
        out.extend(text.as_bytes());
    };
    match version {
        4 => text(2, format!("m{offset}"), &mut value),
        _ => {
            value.push(0x10);
            varint(offset as u64 * 2, &mut value);
        }
    }
    if version <= 2 {
        text(3, format!("c{offset}"), &mut value);
    }
    if version >= 2 && offset % 3 > 0 {
        text(4, format!("b{offset}"), &mut value);
    }
    SimRecord { offset, value: Some(value), ..SimRecord::default() }
}

/// Files of a run in which version `n` is registered at `at[n - 1]` ms, and the versions that were sent.
fn run(
    evolution: &str,
    seed: u64,
    at: &[u64],
    trouble: Trouble,
) -> (Vec<File>, Vec<File>, Vec<usize>) {
    let mut random = Seeded::new(seed);
    let sent: Vec<usize> = (0..400).map(|_| 1 + random.below(at.len() as u64) as usize).collect();
    let records = sent.iter().enumerate().map(|(n, version)| record(*version, n as i64)).collect();
    let text = format!(
        "pipeline: sim\nsource: {{ brokers: 'x:1', topics: [rows] }}\nregistry: {{ url: 'http://x' }}\n\
         sink: {{ url: 's3://bucket/root' }}\ncommit: {{ interval: 5s, rows: 60 }}\nevolution: {{ {evolution} }}\n"
    );
    let pipeline = Config::parse(&text, "sim.yaml", &config::Process).unwrap().pipeline;
    let settings_of = move |_| {
        let partitioner = forebay::pipeline::partitioner(&pipeline).unwrap();
        Arc::new(forebay::pipeline::settings(&pipeline, partitioner, 1 << 20, None))
    };
    let memory = Memory::new(seed, 1 << 20, Chance::default());
    let schemas: HashMap<SchemaRef, Arc<Schema>> =
        (1..=4).map(|id| (SchemaRef::Id(id), version(id as usize))).collect();
    let history = at
        .iter()
        .enumerate()
        .map(|(n, at)| (*at, Numbered { version: n as u32 + 1, schema: version(n + 1) }));
    let world = World {
        log: BTreeMap::from([(TopicPartition::new("rows", 0), records)]),
        schemas,
        subjects: BTreeMap::from([("rows-value".to_owned(), history.collect())]),
        store: Store::memory(memory.clone()),
        memory: Some(memory.clone()),
    };
    let mut simulation = Simulation::new(settings_of, world, trouble, seed);
    let report = simulation.run(2_000_000);
    assert!(report.finished, "seed {seed}: {report:?}");
    let (mut data, mut rejects) = (Vec::new(), Vec::new());
    for (_, bytes) in memory.objects().iter().filter(|(key, _)| !key.starts_with("_forebay/")) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
        let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap();
        let footer: HashMap<String, String> =
            pairs.iter().map(|kv| (kv.key.clone(), kv.value.clone().unwrap_or_default())).collect();
        let schema = reader.schema().clone();
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        let rows = concat_batches(&schema, &batches).unwrap();
        let is_data = footer["forebay.role"] == "data";
        let file = File { rows, footer };
        if is_data { data.push(file) } else { rejects.push(file) }
    }
    (data, rejects, sent)
}

fn version(n: usize) -> Arc<Schema> {
    Arc::new(compile(n as u32, Language::Protobuf, VERSIONS[n - 1], &[]).unwrap())
}

fn names(schema: &Columns) -> Vec<(&str, &DataType)> {
    schema.fields().iter().map(|f| (f.name().as_str(), f.data_type())).collect()
}

/// Every offset once; the values of each row are those that its writer wrote, where there is a column.
fn check(seed: u64, files: &[File], sent: &[usize]) {
    let mut seen = vec![0; sent.len()];
    for file in files {
        let offsets = file.rows["n"].as_primitive::<Int64Type>();
        for row in 0..file.rows.num_rows() {
            let offset = offsets.value(row);
            seen[offset as usize] += 1;
            let version = sent[offset as usize];
            let text = |name: &str| {
                let column = file.rows.column_by_name(name)?;
                column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned())
            };
            let b = (version >= 2 && offset % 3 > 0).then(|| format!("b{offset}"));
            if file.rows.column_by_name("b").is_some() {
                assert_eq!(text("b"), b, "seed {seed} offset {offset}");
            }
            let has_c = file.rows.column_by_name("c").is_some();
            if has_c && version <= 2 {
                assert_eq!(text("c"), Some(format!("c{offset}")), "seed {seed} offset {offset}");
            } else if has_c {
                assert!(text("c").is_none_or(|c| c.is_empty()), "seed {seed} offset {offset}");
            }
            let m = &file.rows["m"];
            match m.data_type() {
                DataType::Utf8 => assert_eq!(m.as_string::<i32>().value(row), format!("m{offset}")),
                DataType::Int32 => {
                    let m = m.as_primitive::<arrow::datatypes::Int32Type>();
                    assert_eq!(i64::from(m.value(row)), offset * 2, "seed {seed}");
                }
                _ => {
                    assert_eq!(m.as_primitive::<Int64Type>().value(row), offset * 2, "seed {seed}")
                }
            }
        }
    }
    assert!(seen.iter().all(|times| *times == 1), "seed {seed}: {seen:?}");
}

const TROUBLE: Trouble = Trouble {
    crash: 300,
    rebalance: 300,
    registry: 4,
    until: 20_000,
    commit: 0,
    lost: 0,
    zombie: 0,
    thief: 0,
    share: 0,
    pause: 0,
    storm: 0,
    outage: 0,
    expire: 0,
    retention: 0,
    clock: 0,
    unfenced: false,
    lazy: false,
    calm: false,
    live: false,
    revives: false,
};

#[test]
fn latest_gives_every_row_the_columns_of_the_newest_version_there_is() {
    for seed in 0..20 {
        let (files, rejects, sent) = run("mode: latest, refresh: 1s", seed, &[0, 0, 0], TROUBLE);
        check(seed, &files, &sent);
        assert!(rejects.is_empty());
        for file in &files {
            let expected =
                [("n", &DataType::Int64), ("m", &DataType::Int64), ("b", &DataType::Utf8)];
            assert_eq!(names(&file.rows.schema()), expected, "seed {seed}");
            assert_eq!(file.footer["forebay.target_schema_id"], "3");
        }
        let first = serde_json::json!({
            "added": ["b"], "dropped": ["c"], "promoted": ["m: Int32 → Int64"]
        });
        for file in files.iter().filter(|f| f.footer["forebay.schema_ids"].starts_with('1')) {
            let changes: serde_json::Value =
                serde_json::from_str(&file.footer["forebay.changes"]).unwrap();
            assert_eq!(changes["1"], first, "seed {seed}");
        }
    }
}

#[test]
fn latest_switches_when_a_version_is_registered_and_each_file_has_the_columns_it_names() {
    for seed in 0..20 {
        let at = [0, 0, 2_000];
        let trouble = Trouble { live: true, ..TROUBLE };
        let (files, _, sent) = run("mode: latest, refresh: 1s", seed, &at, trouble);
        check(seed, &files, &sent);
        for file in &files {
            // A record of the third version before it is registered: its own columns, for its numbers do not
            // fit the second's.
            let target = file.footer.get("forebay.target_schema_id").map(String::as_str);
            let columns: &[&str] = match (target, file.footer["forebay.schema_ids"].as_str()) {
                (Some("2"), "1" | "2" | "1,2") => &["n", "m", "c", "b"],
                (Some("3"), _) | (None, "3") => &["n", "m", "b"],
                other => panic!("seed {seed}: {other:?}"),
            };
            let found = file.rows.schema();
            let found: Vec<&str> = found.fields().iter().map(|f| f.name().as_str()).collect();
            assert_eq!(found, columns, "seed {seed}");
        }
    }
}

#[test]
fn superset_gives_every_row_the_columns_of_all_versions() {
    for seed in 0..20 {
        let (files, _, sent) = run("mode: superset, refresh: 1s", seed, &[0, 0, 0], TROUBLE);
        check(seed, &files, &sent);
        for file in &files {
            let expected = [
                ("n", &DataType::Int64),
                ("m", &DataType::Int64),
                ("c", &DataType::Utf8),
                ("b", &DataType::Utf8),
            ];
            assert_eq!(names(&file.rows.schema()), expected, "seed {seed}");
            assert_eq!(file.footer["forebay.target_schema_id"], "0");
        }
    }
}

#[test]
fn incompatible_versions_follow_on_incompatible() {
    let at = [0, 0, 0, 0];
    // The newest has a text where the others have a number.
    for mode in ["latest", "superset"] {
        let (files, rejects, sent) =
            run(&format!("mode: {mode}, refresh: 1s"), 1, &at, Trouble::default());
        check(1, &files, &sent);
        assert!(rejects.is_empty());
        let own = files.iter().filter(|f| !f.footer.contains_key("forebay.target_schema_id"));
        assert!(own.count() > 0, "{mode}");
    }
    let (files, rejects, sent) =
        run("mode: latest, refresh: 1s, on_incompatible: reject", 1, &at, Trouble::default());
    let rows: usize = files.iter().map(|f| f.rows.num_rows()).sum();
    let refused: usize = rejects.iter().map(|f| f.rows.num_rows()).sum();
    assert_eq!(rows, sent.iter().filter(|version| **version == 4).count());
    assert_eq!(rows + refused, sent.len());
    let reject = &rejects[0].rows;
    assert_eq!(reject["code"].as_string::<i32>().value(0), "FB0210");
    let message = reject["message"].as_string::<i32>().value(0);
    assert!(message.contains("`m`") && message.contains("required"), "{message}");
}

#[test]
fn fixed_version_is_every_rows_and_what_it_lacks_is_named() {
    let (files, _, sent) = run("mode: fixed, version: 2", 3, &[0, 0, 0], Trouble::default());
    // `int64 m` does not fit `int32 m`: those rows keep their own columns.
    check(3, &files, &sent);
    for file in &files {
        let ids = &file.footer["forebay.schema_ids"];
        let target = file.footer.get("forebay.target_schema_id").map(String::as_str);
        match ids.as_str() {
            "3" => assert_eq!(target, None),
            _ => assert_eq!(target, Some("2"), "{ids}"),
        }
    }
}

/// A version without fields makes no table; beside another it makes rows of that one's columns.
#[test]
fn records_of_a_version_without_columns_are_rows_of_the_target() {
    use crate::by_hand::{self, assigned, settle};
    use forebay::clock::Now;
    use forebay::commit::record::Role;
    use forebay::pipeline::lanes::Output;
    use forebay::pipeline::task::{Action, Event};
    use forebay::registry::History;
    let proto = |fields: &str| format!("syntax = \"proto3\"; message R {{ {fields} }}");
    let avro =
        |fields: &str| format!(r#"{{ "type": "record", "name": "R", "fields": [{fields}] }}"#);
    let long = r#"{ "name": "a", "type": "long", "default": 7 }"#;
    let cases = [
        (Language::Protobuf, proto(""), proto("int64 a = 1;"), &[0][..], &[0, 0x08, 5][..]),
        (Language::Avro, avro(""), avro(long), &[], &[10]),
    ];
    for (language, empty, full, first, second) in &cases {
        for mode in ["latest", "superset"] {
            let text = format!(
                "pipeline: t\nsource: {{ brokers: 'x:1', topics: [rows] }}\nregistry: {{ url: 'http://x' }}\n\
                 sink: {{ url: 's3://bucket/root' }}\nevolution: {{ mode: {mode} }}\n"
            );
            let pipeline = Config::parse(&text, "t.yaml", &config::Process).unwrap().pipeline;
            let mut task = by_hand::task(&pipeline, "rows", 1);
            let version = |id, text: &String| Arc::new(compile(id, *language, text, &[]).unwrap());
            let (old, new) = (version(1, empty), version(2, full));
            let frame = |id: u8, body: &[u8]| [&[0, 0, 0, 0, id], body].concat();
            let sent = [frame(1, first), frame(2, second)];
            let now = Now { wall_ms: 0, mono_ms: 0 };
            settle(&mut task, assigned(None), now);
            let sent = sent.iter().map(|value| (None, value.as_slice()));
            settle(&mut task, by_hand::records("rows", sent), now);
            for schema in [&old, &new] {
                settle(&mut task, Event::Schema(SchemaRef::Id(schema.id), Ok(schema.clone())), now);
            }
            let numbered =
                |version, schema: &Arc<Schema>| Numbered { version, schema: schema.clone() };
            let history = History {
                versions: vec![numbered(1, &old), numbered(2, &new)],
                ..History::default()
            };
            let answer = Event::Subject("rows-value".into(), Ok(Arc::new(history)));
            settle(&mut task, answer, now);
            let seen = settle(&mut task, Event::Finish, now);
            let files: Vec<(Role, u64, Vec<u32>)> = seen
                .iter()
                .filter_map(|action| match action {
                    Action::Store(Output::End { about, .. }) => {
                        Some((about.role, about.rows, about.schema_ids.clone()))
                    }
                    _ => None,
                })
                .collect();
            assert_eq!(files, [(Role::Data, 2, vec![1, 2])], "{language:?} {mode}");
        }
    }
}

/// What is noted inside a column is no part of its type: versions that differ in it alone share files.
#[test]
fn versions_with_other_names_inside_a_column_share_a_file() {
    use crate::by_hand::{self, assigned, settle};
    use forebay::clock::Now;
    use forebay::pipeline::lanes::Output;
    use forebay::pipeline::task::{Action, Event};
    let text = "pipeline: t\nsource: { brokers: 'x:1', topics: [rows] }\nregistry: { url: 'http://x' }\n\
                sink: { url: 's3://bucket/root' }\n";
    let pipeline = Config::parse(text, "t.yaml", &config::Process).unwrap().pipeline;
    let mut task = by_hand::task(&pipeline, "rows", 1);
    let version = |id, more: &str| {
        let text = format!(
            r#"{{ "type": "record", "name": "R", "fields": [{{ "name": "of", "type": {{ "type": "array", "items":
            {{ "type": "record", "name": "I", "fields": [{{ "name": "x", {more} "type": "string" }}] }} }} }}] }}"#
        );
        Arc::new(compile(id, Language::Avro, &text, &[]).unwrap())
    };
    let schemas = [version(1, ""), version(2, r#""aliases": ["was"],"#)];
    // One item, the text of one letter, and the end of the list.
    let frame = |id: u8, letter: u8| vec![0, 0, 0, 0, id, 2, 2, letter, 0];
    let sent = [frame(1, b'a'), frame(2, b'b'), frame(1, b'c')];
    let now = Now { wall_ms: 0, mono_ms: 0 };
    settle(&mut task, assigned(None), now);
    let sent = sent.iter().map(|value| (None, value.as_slice()));
    settle(&mut task, by_hand::records("rows", sent), now);
    for schema in schemas {
        settle(&mut task, Event::Schema(SchemaRef::Id(schema.id), Ok(schema)), now);
    }
    let seen = settle(&mut task, Event::Finish, now);
    let files = seen.iter().filter_map(|action| match action {
        Action::Store(Output::End { about, .. }) => Some((about.rows, about.schema_ids.clone())),
        _ => None,
    });
    assert_eq!(files.collect::<Vec<_>>(), [(3, vec![1, 2])]);
}
