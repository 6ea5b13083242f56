//! Records of every payload format through the task of a Kafka partition, to files and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use forebay::clock::Now;
use forebay::config::{self, Config};
use forebay::pipeline::lanes::Output;
use forebay::pipeline::task::{Action, Event};
use forebay::registry::Language;
use forebay::registry::compile::compile;
use forebay::wire::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::lines;
use crate::by_hand::{asked, assigned, records as batch, settle, task};

/// Rows by file, rejects by code.
struct Came {
    rows: Vec<Vec<RecordBatch>>,
    rejects: BTreeMap<&'static str, u64>,
}

impl Came {
    fn lines(&self) -> Vec<String> {
        self.rows.iter().flatten().flat_map(lines).collect()
    }
}

/// Streams records through one task, everything it asks for answered with success.
fn stream(value: &str, schema: Option<&str>, records: &[Vec<u8>]) -> Came {
    let text = format!(
        "pipeline: t\nsource: {{ brokers: 'x:1', topics: [rows] }}\n\
         sink: {{ url: 's3://bucket/root' }}\n{}value: {{ {value} }}\n",
        if schema.is_some() { "registry: { url: 'http://x' }\n" } else { "" }
    );
    let pipeline = Config::parse(&text, "t.yaml", &config::Process).unwrap().pipeline;
    let mut task = task(&pipeline, "rows", 1);
    let now = Now { wall_ms: 0, mono_ms: 0 };
    let mut seen = settle(&mut task, assigned(Some(records.len() as i64)), now);
    let values = records.iter().map(|value| (None, &value[..]));
    seen.extend(settle(&mut task, batch("rows", values), now));
    for schema_ref in asked(&seen) {
        assert_eq!(schema_ref, SchemaRef::Id(1));
        let schema = compile(1, Language::Json, schema.unwrap(), &[]).unwrap();
        let known = Event::Schema(schema_ref, Ok(Arc::new(schema)));
        seen.extend(settle(&mut task, known, now));
    }
    assert!(matches!(seen.last(), Some(Action::Finished)), "{seen:?}");
    let mut files: BTreeMap<_, (String, Vec<u8>)> = BTreeMap::new();
    for action in seen {
        let (file, key, bytes) = match action {
            Action::Store(Output::Part { file, key, bytes }) => (file, key, bytes),
            Action::Store(Output::End { file, key, tail, .. }) => (file, key, tail),
            _ => continue,
        };
        let entry = files.entry(file).or_insert_with(|| (key.to_string(), Vec::new()));
        entry.1.extend_from_slice(&bytes);
    }
    let rows = files
        .into_values()
        .filter(|(key, _)| !key.contains("_rejects"))
        .map(|(_, bytes)| {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes));
            reader.unwrap().build().unwrap().map(Result::unwrap).collect()
        })
        .collect();
    let rejects = task.take_counters().rejects.into_iter().collect();
    Came { rows, rejects }
}

fn texts(records: &[&str]) -> Vec<Vec<u8>> {
    records.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn framed_json_is_decoded_by_its_json_schema() {
    let schema = r#"{"properties":{"n":{"type":"integer"}},"required":["n"]}"#;
    let framed = |text: &str| [&[0, 0, 0, 0, 1], text.as_bytes()].concat();
    let records = vec![framed(r#"{"n":1}"#), framed(r#"{"n":"x"}"#), framed(r#"{"n":2}"#)];
    for format in ["format: auto", "format: json_schema"] {
        let came = stream(format, Some(schema), &records);
        assert_eq!(came.lines(), [r#"{"n":1}"#, r#"{"n":2}"#]);
        assert_eq!(came.rejects, BTreeMap::from([("FB0262", 1)]));
    }
    let came = stream("format: avro", Some(schema), &records);
    assert_eq!(came.rejects, BTreeMap::from([("FB0914", 3)]));
}

#[test]
fn json_without_a_schema_is_one_column_of_text() {
    let came = stream("format: json", None, &texts(&[r#" {"a": [1.10]} "#, "5", "{", "null"]));
    assert_eq!(
        came.lines(),
        [r#"{"value":"{\"a\": [1.10]}"}"#, r#"{"value":"5"}"#, r#"{"value":null}"#]
    );
    assert_eq!(came.rejects, BTreeMap::from([("FB0260", 1)]));
}

#[test]
fn json_with_a_schema_of_the_configuration_has_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("order.json");
    std::fs::write(&file, r#"{"properties":{"n":{"type":"integer"}}}"#).unwrap();
    let value = format!("format: json, schema: '{}', extra: keep", file.display());
    let came = stream(&value, None, &texts(&[r#"{"n":1,"x":2}"#, r#"{"n":"a"}"#, "{}"]));
    assert_eq!(came.lines(), [r#"{"n":1,"_extra":"{\"x\":2}"}"#, r#"{"n":null,"_extra":null}"#]);
    assert_eq!(came.rejects, BTreeMap::from([("FB0262", 1)]));
}

#[test]
fn text_and_bytes_are_one_column_as_they_are() {
    let records = vec![b"a\0b".to_vec(), b"\xff\xfe".to_vec(), Vec::new(), "ü".into()];
    let came = stream("format: string", None, &records);
    assert_eq!(came.lines(), [r#"{"value":"a\u0000b"}"#, r#"{"value":""}"#, r#"{"value":"ü"}"#]);
    assert_eq!(came.rejects, BTreeMap::from([("FB0280", 1)]));
    let came = stream("format: bytes", None, &records);
    let column = came.rows[0][0].column(0).as_binary::<i32>();
    assert_eq!(column.iter().flatten().collect::<Vec<_>>(), records);
    assert!(came.rejects.is_empty());
}

/// A record as JsonConverter writes it.
fn enveloped(schema: &str, payload: &str) -> Vec<u8> {
    format!(r#"{{"schema":{schema},"payload":{payload}}}"#).into_bytes()
}

const USER: &str = r#"{"type":"struct","name":"shop.User","optional":false,"fields":[
    {"field":"id","type":"int64","optional":false},
    {"field":"name","type":"string","optional":true},
    {"field":"level","type":"int32","optional":true,"default":7},
    {"field":"balance","type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2","connect.decimal.precision":"10"}},
    {"field":"born","type":"int32","optional":true,"name":"org.apache.kafka.connect.data.Date","version":1},
    {"field":"wakes","type":"int32","optional":true,"name":"org.apache.kafka.connect.data.Time","version":1},
    {"field":"seen","type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1},
    {"field":"photo","type":"bytes","optional":true},
    {"field":"tags","type":"array","optional":true,"items":{"type":"string","optional":false}},
    {"field":"props","type":"map","optional":true,"keys":{"type":"string","optional":false},"values":{"type":"double","optional":true}}]}"#;

#[test]
fn embedded_connect_schema_types_its_payload() {
    let full = r#"{"id":1,"name":"Ann","level":2,"balance":"+y4=","born":18415,"wakes":1000,"seen":1591092000250,"photo":"yv4=","tags":["a"],"props":{"x":null}}"#;
    let records = [
        enveloped(USER, full),
        enveloped(USER, r#"{"id":2,"level":null}"#),
        // Spaces and order make no difference; other keys neither.
        format!(" {{ \"payload\" : {{\"id\":3}} , \"x\":[], \"schema\" : {USER} }} ").into_bytes(),
        enveloped(USER, r#"{"name":"no id"}"#),
        enveloped(USER, r#"{"id":4},"payload":{"id":5}"#),
        br#"{"payload":{"id":6}}"#.to_vec(),
        enveloped(r#"{"type":"word"}"#, "1"),
        b"5".to_vec(),
    ];
    let came = stream("format: json_connect", None, &records);
    let empty = r#""name":null,"level":7,"balance":null,"born":null,"wakes":null,"seen":null,"photo":null,"tags":null,"props":null}"#;
    assert_eq!(
        came.lines(),
        [
            r#"{"id":1,"name":"Ann","level":2,"balance":-12.34,"born":"2020-06-02","wakes":1000,"seen":"2020-06-02T10:00:00.250Z","photo":"cafe","tags":["a"],"props":{"x":null}}"#.to_owned(),
            format!(r#"{{"id":2,{empty}"#),
            format!(r#"{{"id":3,{empty}"#),
            format!(r#"{{"id":5,{empty}"#),
        ]
    );
    let rejects = [("FB0264", 1), ("FB0273", 2), ("FB0274", 1)];
    assert_eq!(came.rejects, BTreeMap::from(rejects));
}

#[test]
fn embedded_schemas_that_differ_go_to_files_of_their_own_and_do_not_pile_up() {
    // More schemas than are kept at once, each with a column of its own name, two records each.
    let records: Vec<Vec<u8>> = (0..2_500)
        .map(|n| {
            let schema = format!(
                r#"{{"type":"struct","fields":[{{"field":"c{}","type":"int64"}}]}}"#,
                n / 2
            );
            enveloped(&schema, &format!(r#"{{"c{}":{n}}}"#, n / 2))
        })
        .collect();
    let came = stream("format: json_connect", None, &records);
    assert!(came.rejects.is_empty(), "{:?}", came.rejects);
    assert_eq!(came.rows.len(), 1_250);
    let mut all: Vec<i64> = Vec::new();
    for batch in came.rows.iter().flatten() {
        let column = batch.column(0).as_primitive::<Int64Type>();
        let name = format!("c{}", column.value(0) / 2);
        assert_eq!(batch.schema().field(0).name(), &name);
        all.extend(column.values().iter());
    }
    all.sort_unstable();
    assert_eq!(all, (0..2_500).collect::<Vec<_>>());
}

#[test]
fn null_schema_is_json_without_a_schema() {
    let came = stream("format: json_connect", None, &[enveloped("null", r#"{"a":1}"#)]);
    assert_eq!(came.lines(), [r#"{"value":"{\"a\":1}"}"#]);
}

/// The beginning that records share is a short cut; what it comes to must be what the long way comes to.
#[test]
fn changed_envelopes_come_to_the_same_by_the_short_cut_and_the_long_way() {
    use forebay::decode::json::connect;
    use forebay::decode::{Decoder, Plan};

    let schema = r#"{"type":"struct","fields":[{"field":"a","type":"int64","optional":true},{"field":"s","type":"string","optional":true}]}"#;
    let good = enveloped(schema, r#"{"a":1,"s":"x\n}"}"#);
    let mut changed: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
    for at in 0..good.len() {
        for byte in *b"\0 \"\\{}[],:a1e-." {
            let mut text = good.clone();
            text[at] = byte;
            changed.push(text);
            changed.push([&good[..at], &[byte], &good[at..]].concat());
        }
    }
    for tail in [" ", "\u{c}", "} \u{c}\n", "x", ",", r#","payload":{}}"#, r#","x":1}"#, "}"] {
        changed.push([&good, tail.as_bytes()].concat());
        changed.push([&good[..good.len() - 1], tail.as_bytes()].concat());
    }
    let options = super::everyone();
    let long_way = |text: &[u8]| {
        let envelope = connect::split(text, options.limits.depth + 1)?;
        let plan = Plan::embedded(envelope.schema, &options)
            .map_err(|fault| forebay::error::Reject::new(fault.code, fault.message))?;
        Decoder::new(plan).append(envelope.payload)
    };
    let (mut rows, mut rejects) = (0, BTreeMap::new());
    let mut records = Vec::new();
    for text in changed {
        match long_way(&text) {
            Ok(()) => rows += 1,
            Err(reject) => *rejects.entry(reject.code.id).or_insert(0) += 1,
        }
        rows += 1;
        records.extend([good.clone(), text]);
    }
    let came = stream("format: json_connect", None, &records);
    // A cut record can be empty, which is no tombstone and no JSON either.
    assert_eq!(came.rejects, rejects);
    assert_eq!(came.rows.iter().flatten().map(RecordBatch::num_rows).sum::<usize>(), rows);
}

#[test]
fn columns_of_the_configuration_are_checked_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("order.json");
    let findings = |schema: &str, partition_by: &str| {
        std::fs::write(&file, schema).unwrap();
        let text = format!(
            "pipeline: t\nsource: {{ brokers: 'x:1', topics: [rows] }}\nsink: {{ url: 's3://bucket/root' }}\n\
             value: {{ format: json, schema: '{}' }}\npartition_by: [{partition_by}]\n",
            file.display()
        );
        let pipeline = Config::parse(&text, "t.yaml", &config::Process).unwrap().pipeline;
        let partitioner = forebay::pipeline::partitioner(&pipeline).unwrap();
        let found = forebay::pipeline::fixed_columns(&pipeline, &partitioner);
        found.map(|plan| plan.is_some()).map_err(|faults| faults[0].to_string())
    };
    let schema = r#"{"properties":{"country":{"type":"string"}}}"#;
    assert_eq!(findings(schema, "country"), Ok(true));
    assert!(findings(schema, "town").unwrap_err().contains("town"));
    let unreadable = findings(r#"{"properties":{"a":{"$ref":"http://x/y"}}}"#, "country");
    assert!(unreadable.unwrap_err().starts_with("FB0272"));
}
