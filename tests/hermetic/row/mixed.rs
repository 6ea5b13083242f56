//! Options that meet: ways to read message indexes with keys, schemas inside records with what stands
//! beside values, rejects with tombstones.

use std::sync::Arc;

use forebay::clock::Now;
use forebay::pipeline::intake::{Intake, Taken};
use forebay::pipeline::simulated::SimRecord;
use forebay::position::TopicPartition;
use forebay::record::{RecordBatch, TimestampType};
use forebay::wire::SchemaRef;
use serde_json::{Value, json};

use super::{avro, datum, framed, json as rows_of, protobuf, reasons, run};

const ROW: &str = r#"{"type":"record","name":"Row","fields":[{"name":"n","type":"long"}]}"#;
const KEYS: &str = "syntax = \"proto3\";
    message First { int32 i = 1; } message Second { string s = 1; }";

/// Message `[1]` as serializers wrote it before the format was settled: count and index as plain varints.
fn unsigned_key(text: &str) -> Vec<u8> {
    framed(2, &[&[1, 1, 0x0a, text.len() as u8][..], text.as_bytes()].concat())
}

/// The same as today's.
fn zigzag_key(text: &str) -> Vec<u8> {
    framed(2, &[&[2, 2, 0x0a, text.len() as u8][..], text.as_bytes()].concat())
}

fn record(key: Option<Vec<u8>>, value: Option<Vec<u8>>) -> SimRecord {
    SimRecord { key, value, ..SimRecord::default() }
}

#[test]
fn auto_reads_the_indexes_of_keys_whatever_their_values_are() {
    let value = |n: i64| Some(framed(1, &datum(ROW, json!({"n": n}))));
    let records = vec![
        record(Some(zigzag_key("a")), value(1)),
        record(Some(unsigned_key("b")), value(2)),
        record(Some(unsigned_key("c")), None),
    ];
    let more = "wire: { message_indexes: auto }\nkey: { format: auto }\nvalue: { tombstones: row }";
    let (data, rejects) = run(more, vec![avro(1, ROW), protobuf(2, KEYS)], records);
    assert_eq!(reasons(&rejects), []);
    assert_eq!(
        data[0].json(),
        [
            json!({"n": 1, "_deleted": false, "_key": {"s": "a"}}),
            json!({"n": 2, "_deleted": false, "_key": {"s": "b"}}),
            json!({"n": null, "_deleted": true, "_key": {"s": "c"}}),
        ]
    );
    // A value without a frame.
    let records = vec![record(Some(unsigned_key("d")), Some(b"text".to_vec()))];
    let more = "wire: { message_indexes: auto }\nkey: { format: auto }\nvalue: { format: string }";
    let (data, rejects) = run(more, vec![protobuf(2, KEYS)], records);
    assert_eq!(reasons(&rejects), []);
    assert_eq!(data[0].json(), [json!({"value": "text", "_key": {"s": "d"}})]);
}

#[test]
fn auto_reads_key_and_value_each_by_itself() {
    let body = b"\x0a\x01v";
    let values =
        [framed(2, &[&[2, 2], &body[..]].concat()), framed(2, &[&[1, 1], &body[..]].concat())];
    let records = vec![
        record(Some(unsigned_key("a")), Some(values[0].clone())),
        record(Some(zigzag_key("b")), Some(values[1].clone())),
        record(Some(unsigned_key("c")), Some(values[1].clone())),
        record(Some(zigzag_key("d")), Some(values[0].clone())),
    ];
    let more = "wire: { message_indexes: auto }\nkey: { format: auto }";
    let (data, rejects) = run(more, vec![protobuf(2, KEYS)], records);
    assert_eq!(reasons(&rejects), []);
    let keys: Vec<Value> = data[0].json().iter().map(|row| row["_key"]["s"].clone()).collect();
    assert_eq!(keys, ["a", "b", "c", "d"]);
}

#[test]
fn tombstone_takes_no_columns_of_a_record_that_was_refused() {
    const WIDER: &str = r#"{"type":"record","name":"Row","fields":[
        {"name":"n","type":"long"},{"name":"s","type":"string"}]}"#;
    let records = vec![
        record(None, Some(framed(1, &datum(ROW, json!({"n": 1}))))),
        record(None, Some(framed(2, &[2]))), // cut: no `s`
        record(None, None),
    ];
    let more = "value: { tombstones: row }\nmetadata: [offset]";
    let (data, rejects) = run(more, vec![avro(1, ROW), avro(2, WIDER)], records);
    assert_eq!(rejects.len(), 1);
    assert_eq!(data.len(), 1);
    assert_eq!(
        data[0].json(),
        [
            json!({"n": 1, "_deleted": false, "_offset": 0}),
            json!({"n": null, "_deleted": true, "_offset": 2}),
        ]
    );
}

/// An intake of a pipeline, and a way to push records into it.
struct Lone {
    intake: Intake,
    batch: RecordBatch,
}

impl Lone {
    fn new(more: &str) -> Self {
        let pipeline = super::parse(more).pipeline;
        let partitioner = forebay::pipeline::partitioner(&pipeline).unwrap();
        let settings = forebay::pipeline::settings(&pipeline, partitioner, 1 << 20, None);
        let tp = TopicPartition::new("rows", 3);
        let batch = RecordBatch::new(tp.clone(), 0);
        Self { intake: Intake::new(Arc::new(settings), tp), batch }
    }

    fn take(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Taken {
        let offset = self.batch.next;
        let none = std::iter::empty();
        self.batch.push(offset, None, TimestampType::CreateTime, key, value, none);
        let last = self.batch.len() - 1;
        self.intake.take(&self.batch.get(last), Now { wall_ms: 0, mono_ms: 0 })
    }

    fn learn(&mut self, (id, schema): (u32, forebay::registry::Schema)) {
        let now = Now { wall_ms: 0, mono_ms: 0 };
        assert!(self.intake.ask(SchemaRef::Id(id), now));
        self.intake.learn(SchemaRef::Id(id), Ok(Arc::new(schema)), now);
    }

    /// Rows of each slot, and how many rejects.
    fn finish(&mut self) -> (Vec<Vec<Value>>, usize) {
        let drained = self.intake.finish(&[&self.batch]).unwrap();
        let rejects = drained.rejects.iter().map(|rows| rows.num_rows()).sum();
        (drained.rows.iter().map(|ready| rows_of(&ready.rows)).collect(), rejects)
    }
}

fn enveloped(n: usize) -> Vec<u8> {
    format!(
        r#"{{"schema":{{"type":"struct","fields":[{{"field":"c{n}","type":"int64"}}]}},"payload":{{"c{n}":{n}}}}}"#
    )
    .into_bytes()
}

#[test]
fn records_after_many_embedded_schemas_are_not_flushed_one_by_one() {
    for more in [
        "value: { format: json_connect }",
        "value: { format: json_connect, tombstones: row }\nkey: { format: string }\nmetadata: [offset]",
    ] {
        let mut lone = Lone::new(more);
        let mut crowded = None;
        for n in 0..5_000 {
            assert!(matches!(lone.take(Some(b"k"), Some(&enveloped(n))), Taken::Row));
            if lone.intake.is_crowded() {
                crowded = Some(n);
                break;
            }
        }
        let n = crowded.unwrap();
        assert_eq!(lone.finish().1, 0);
        // The same schema as before, from now on.
        let mut flushes = 0;
        for _ in 0..100 {
            assert!(matches!(lone.take(Some(b"k"), Some(&enveloped(n))), Taken::Row));
            if lone.intake.is_crowded() {
                flushes += 1;
                lone.finish();
            }
        }
        assert_eq!(flushes, 0, "{more}");
        assert!(matches!(lone.take(Some(b"k"), None), Taken::Row | Taken::Skipped));
        let (rows, _) = lone.finish();
        let expected = if more.contains("row") { 101 } else { 100 };
        assert_eq!(rows.iter().map(Vec::len).sum::<usize>(), expected);
        assert_eq!(rows.len(), 1, "{more}");
    }
}

#[test]
fn unknown_fields_of_plans_that_were_forgotten_are_counted() {
    let mut lone = Lone::new("value: { format: json_connect }");
    let mut n = 0;
    while !lone.intake.is_crowded() {
        let text = String::from_utf8(enveloped(n)).unwrap().replace("}}}", "},\"x\":1}}");
        let text = text.replace(&format!("\"c{n}\":{n}}}}}"), &format!("\"c{n}\":{n},\"x\":1}}}}"));
        lone.take(None, Some(text.as_bytes()));
        n += 1;
    }
    lone.finish();
    lone.take(None, Some(&enveloped(0)));
    let counted = lone.intake.take_oddities();
    assert_eq!((counted.len(), counted[&0].unknown_fields), (1, n as u64));
}

#[test]
fn keys_of_every_shape_may_be_null_in_a_whole_batch() {
    const KEY: &str = r#"{"type":"record","name":"Key","fields":[
        {"name":"b","type":"boolean"},{"name":"d","type":{"type":"int","logicalType":"date"}},
        {"name":"f","type":{"type":"fixed","name":"F","size":2}},
        {"name":"t","type":"string"},{"name":"y","type":"bytes"},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
        {"name":"r","type":{"type":"record","name":"R","fields":[
            {"name":"x","type":"double"},{"name":"l","type":{"type":"array","items":"string"}}]}},
        {"name":"m","type":{"type":"map","values":"long"}}]}"#;
    let key = json!({"b": true, "d": 1, "f": "ab", "t": "t", "y": "y", "e": "B",
        "r": {"x": 0.5, "l": ["q"]}, "m": {"k": 1}});
    let mut lone = Lone::new("key: { format: auto }\nvalue: { tombstones: row }");
    lone.learn(avro(1, ROW));
    lone.learn(avro(2, KEY));
    let value = framed(1, &datum(ROW, json!({"n": 1})));
    let key = framed(2, &datum(KEY, key));
    assert!(matches!(lone.take(Some(&key), Some(&value)), Taken::Row));
    assert_eq!(lone.finish().0[0][0]["_key"]["m"], json!({"k": 1}));
    for _ in 0..3 {
        assert!(matches!(lone.take(None, Some(&value)), Taken::Row));
        assert!(matches!(lone.take(None, None), Taken::Row));
    }
    let (rows, rejects) = lone.finish();
    assert_eq!((rows.len(), rows[0].len(), rejects), (1, 6, 0));
    assert!(rows[0].iter().all(|row| row["_key"].is_null()));
}

#[test]
fn rows_that_are_dropped_leave_nothing_to_the_next_ones() {
    let mut lone = Lone::new(
        "key: { format: auto }\nvalue: { tombstones: row }\nmetadata: [offset, timestamp_type, headers]\npartition_by: [_key]",
    );
    lone.learn(avro(1, ROW));
    lone.learn(avro(2, "\"string\""));
    let value = framed(1, &datum(ROW, json!({"n": 1})));
    let key = |text: &str| framed(2, &datum("\"string\"", json!(text)));
    lone.take(Some(&key("a")), Some(&value));
    lone.take(Some(&key("b")), Some(&framed(1, &[])));
    lone.take(Some(&key("c")), None);
    lone.intake.drop_rows();
    assert_eq!(lone.intake.rows(), 0);
    lone.take(Some(&key("lost")), Some(&framed(1, &[])));
    lone.take(Some(&key("d")), None);
    lone.take(Some(&key("e")), Some(&value));
    let (rows, rejects) = lone.finish();
    assert_eq!(rejects, 1);
    let keys: Vec<Value> = rows[0].iter().map(|row| row["_key"].clone()).collect();
    assert_eq!(keys, ["d", "e"]);
    assert_eq!(rows[0][1]["n"], 1);
    assert_eq!(rows[0][0]["_offset"], 4);
}

#[test]
fn event_in_an_embedded_schema_becomes_a_row_with_debeziums_types() {
    let table = r#"{"type":"struct","optional":true,"fields":[
        {"field":"id","type":"int32","optional":false},
        {"field":"born","type":"int32","optional":true,"name":"io.debezium.time.Date","version":1},
        {"field":"made","type":"int64","optional":false,"name":"io.debezium.time.MicroTimestamp","version":1}],"field":"F"}"#;
    let schema = format!(
        r#"{{"type":"struct","name":"db.Envelope","fields":[{},{},
            {{"field":"op","type":"string","optional":false}},{{"field":"ts_ms","type":"int64","optional":true}}]}}"#,
        table.replace("\"F\"", "\"before\""),
        table.replace("\"F\"", "\"after\"")
    );
    let event = |payload: &str| {
        record(None, Some(format!(r#"{{"schema":{schema},"payload":{payload}}}"#).into_bytes()))
    };
    let records = vec![
        event(
            r#"{"before":null,"after":{"id":1,"born":20455,"made":1767323045678901},"op":"c","ts_ms":5}"#,
        ),
        event(r#"{"before":{"id":1,"born":null,"made":0},"after":null,"op":"d","ts_ms":6}"#),
    ];
    let more = "value: { format: json_connect, unwrap: debezium, tombstones: row }";
    let (data, rejects) = run(more, vec![], records);
    assert_eq!(reasons(&rejects), []);
    assert_eq!(
        data[0].columns(),
        [
            "id: Int32?",
            "born: Date32?",
            "made: Timestamp(µs)?",
            "_op: Utf8?",
            "_ts_ms: Int64?",
            "_deleted: Boolean"
        ]
    );
    assert_eq!(data[0].json()[0]["made"], "2026-01-02T03:04:05.678901");
}

/// Change events of a table with a column of every shape, one of them of Avro's type null, without state.
#[test]
fn events_without_state_are_nulls_in_columns_of_every_shape() {
    const ENVELOPE: &str = r#"{"type":"record","name":"Envelope","fields":[
        {"name":"before","type":["null",{"type":"record","name":"Value","fields":[
            {"name":"b","type":"boolean"},{"name":"z","type":"null"},
            {"name":"f","type":{"type":"fixed","name":"F","size":2}},
            {"name":"r","type":{"type":"record","name":"R","fields":[
                {"name":"x","type":"double"},{"name":"l","type":{"type":"array","items":"string"}}]}},
            {"name":"m","type":{"type":"map","values":"long"}}]}]},
        {"name":"after","type":["null","Value"]},{"name":"op","type":"string"}]}"#;
    let state = json!({"b": true, "f": "ab", "r": {"x": 0.5, "l": ["q"]}, "m": {"k": 1}});
    let event = |op: &str, before: Value, after: Value| {
        let value = json!({"before": before, "after": after, "op": op});
        record(None, Some(framed(1, &datum(ENVELOPE, value))))
    };
    for more in ["", ", tombstones: row"] {
        let more = format!("value: {{ unwrap: debezium{more} }}\nmetadata: [headers, timestamp]");
        let records = vec![
            event("t", Value::Null, Value::Null),
            event("c", Value::Null, state.clone()),
            record(None, None),
            event("d", state.clone(), Value::Null),
            event("d", Value::Null, Value::Null),
        ];
        let (data, rejects) = run(&more, vec![avro(1, ENVELOPE)], records);
        assert_eq!(reasons(&rejects), []);
        let rows = data[0].json();
        let found: Vec<(&Value, &Value)> =
            rows.iter().map(|row| (&row["m"], &row["r"]["l"])).collect();
        let (null, m, l) = (Value::Null, json!({"k": 1}), json!(["q"]));
        let mut expected = vec![(&null, &null), (&m, &l), (&m, &l), (&null, &null)];
        if more.contains("row") {
            expected.insert(2, (&null, &null));
        }
        assert_eq!(found, expected);
    }
}

#[test]
fn envelope_in_a_protobuf_edition_is_unwrapped_with_unknown_fields_and_ids() {
    const ENVELOPE: &str = "edition = \"2023\"; package db;
        message Envelope { Value before = 1; Value after = 2; string op = 4; int64 ts_ms = 5; }
        message Value { int32 id = 1; string name = 2; bytes raw = 9; }";
    // id 7, name ff (no UTF-8), and field 3, which no schema knows: 15.
    let state = b"\x08\x07\x12\x01\xff\x18\x0f";
    let event = |field: u8, op: u8| {
        let body =
            [&[field << 3 | 2, state.len() as u8][..], state, &[0x22, 1, op, 0x28, 5]].concat();
        record(Some(b"k".to_vec()), Some(super::framed_protobuf(1, &body)))
    };
    let more = "value: { unwrap: debezium, unknown_fields: keep, field_ids: source, binary: [before.name, after.name], tombstones: row }\n\
        key: { format: string }\nmetadata: [offset, schema_id]";
    let records = vec![event(2, b'c'), event(1, b'd'), record(Some(b"k".to_vec()), None)];
    let (data, rejects) = run(more, vec![protobuf(1, ENVELOPE)], records);
    assert_eq!(reasons(&rejects), []);
    let rows = data[0].json();
    assert_eq!(rows.len(), 3);
    for (row, deleted) in rows.iter().zip([false, true, true]) {
        assert_eq!((&row["_deleted"], &row["_key"]), (&json!(deleted), &json!("k")));
    }
    for row in &rows[..2] {
        assert_eq!(
            (&row["id"], &row["name"], &row["_ts_ms"]),
            (&json!(7), &json!("ff"), &json!(5))
        );
    }
    // What the event has and the schema has not is kept where it stood.
    let unknown = |path: &str| json!([{"path": path, "bytes": "180f"}]);
    assert_eq!(
        (&rows[0]["_unknown"], &rows[1]["_unknown"]),
        (&unknown("after"), &unknown("before"))
    );
    assert_eq!(rows[2]["_unknown"], Value::Null);
    let schema = data[0].rows.schema();
    let ids: Vec<(&str, &str)> = schema
        .fields()
        .iter()
        .filter_map(|f| Some((f.name().as_str(), f.metadata().get("PARQUET:field_id")?.as_str())))
        .collect();
    assert_eq!(ids, [("id", "1"), ("name", "2"), ("raw", "9")]);
}

#[test]
fn binary_fields_of_values_say_nothing_of_keys() {
    const VALUE: &str = "syntax = \"proto3\"; message V { string s = 1; }";
    const KEY: &str = "syntax = \"proto3\"; message K { string s = 1; }";
    let text = b"\x0a\x01a";
    let records =
        vec![record(Some(super::framed_protobuf(2, text)), Some(super::framed_protobuf(1, text)))];
    let more = "value: { binary: [s] }\nkey: { format: auto }";
    let (data, _) = run(more, vec![protobuf(1, VALUE), protobuf(2, KEY)], records);
    assert_eq!(data[0].json(), [json!({"s": "61", "_key": {"s": "a"}})]);
}
