//! Every cut and every changed byte of whole records, through the intake: frames, message indexes, keys, headers,
//! change events, schemas inside records. Each becomes one row or one reject that holds what came; the rows beside
//! it stay what they are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use forebay::clock::Now;
use forebay::error::{Code, Fault, Kind};
use forebay::pipeline::intake::{Intake, Need, Taken};
use forebay::position::{Offset, TopicPartition};
use forebay::record::{RecordBatch, TimestampType};
use forebay::registry::{Language, Lookup, Schema, compile::compile};
use forebay::wire::SchemaRef;
use serde_json::{Value, json};

use super::envelope::{COLLECTION, ENVELOPE, state};
use super::{avro, datum, framed, framed_protobuf, json as rows_of, protobuf};
use crate::alloc::measured;

static GONE: Code = Code { id: "FB0998", kind: Kind::Halt, title: "t", help: "h" };
const NOW: Now = Now { wall_ms: 0, mono_ms: 0 };
/// Records between two looks.
const ROUND: usize = 1_000;

#[derive(Debug, Clone, Default, PartialEq)]
struct Whole {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Whole {
    /// The record with one of its parts replaced, for every damage to that part.
    fn damaged(&self) -> Vec<Whole> {
        let mut all = Vec::new();
        for key in damages(self.key.as_deref()) {
            all.push(Whole { key: Some(key), ..self.clone() });
        }
        for value in damages(self.value.as_deref()) {
            all.push(Whole { value: Some(value), ..self.clone() });
        }
        for at in 0..self.headers.len() {
            for value in damages(self.headers[at].1.as_deref()) {
                let mut whole = self.clone();
                whole.headers[at].1 = Some(value);
                all.push(whole);
            }
        }
        all
    }
}

/// Every cut, and every other value of every byte.
fn damages(bytes: Option<&[u8]>) -> Vec<Vec<u8>> {
    let bytes = bytes.unwrap_or_default();
    let mut all: Vec<Vec<u8>> = (0..bytes.len()).map(|end| bytes[..end].to_vec()).collect();
    for at in 0..bytes.len() {
        for change in 1..=255 {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= change;
            all.push(damaged);
        }
    }
    all
}

struct Victim {
    intake: Intake,
    batch: RecordBatch,
    sent: Vec<(Whole, bool)>,
    good: Whole,
    /// What the good record becomes, without its offset.
    row: Value,
    rows: usize,
    rejects: usize,
}

impl Victim {
    fn new(more: &str, schemas: Vec<(u32, Schema)>, good: Whole) -> Self {
        let more = format!("{more}\nrejects: {{ breaker: false }}");
        let pipeline = super::parse(&more).pipeline;
        let partitioner = forebay::pipeline::partitioner(&pipeline).unwrap();
        let mut settings = forebay::pipeline::settings(&pipeline, partitioner, 1 << 20, None);
        settings.unknown_id_grace_ms = 0;
        let tp = TopicPartition::new("rows", 3);
        let batch = RecordBatch::new(tp.clone(), 0);
        let mut intake = Intake::new(Arc::new(settings), tp);
        for (id, schema) in schemas {
            assert!(intake.ask(SchemaRef::Id(id), NOW));
            intake.learn(SchemaRef::Id(id), Ok(Arc::new(schema)), NOW);
        }
        let (sent, row) = (Vec::new(), Value::Null);
        let mut victim = Self { intake, batch, sent, good, row, rows: 0, rejects: 0 };
        victim.good();
        let drained = victim.intake.finish(&[&victim.batch]).unwrap();
        assert_eq!(drained.rejects.len(), 0, "{:?}", drained.rejects);
        victim.row = bare(rows_of(&drained.rows[0].rows).remove(0), 0);
        victim.anew();
        victim
    }

    fn anew(&mut self) {
        self.batch = RecordBatch::new(self.batch.topic_partition.clone(), 0);
        self.sent.clear();
    }

    fn good(&mut self) {
        assert!(matches!(self.take(self.good.clone(), true), Taken::Row));
    }

    fn take(&mut self, whole: Whole, good: bool) -> Taken {
        let headers = whole.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        let (key, value) = (whole.key.as_deref(), whole.value.as_deref());
        let offset = self.batch.next;
        self.batch.push(offset, None, TimestampType::CreateTime, key, value, headers);
        self.sent.push((whole, good));
        let (intake, record) = (&mut self.intake, self.batch.get(self.batch.len() - 1));
        let memory = intake.memory();
        let (taken, used) = measured(|| {
            loop {
                match intake.take(&record, NOW) {
                    Taken::Wait(Need::Subject(subject)) => panic!("{subject}"),
                    Taken::Wait(Need::Schema(schema)) => {
                        intake.ask(schema, NOW);
                        let unknown = Err(Lookup::Unknown(Fault::new(&GONE, "40403")));
                        intake.learn(schema, unknown, NOW);
                    }
                    taken => return taken,
                }
            }
        });
        // Builders grow by what all rows so far take; a plan of a damaged schema is small.
        assert!(used.peak < (1 << 20) + 8 * memory, "{} bytes", used.peak);
        taken
    }

    fn poison(&mut self, damaged: Vec<Whole>) {
        for (at, whole) in damaged.into_iter().enumerate() {
            let taken = self.take(whole, false);
            assert!(matches!(taken, Taken::Row | Taken::Rejected), "neither row nor reject");
            if at % 5 == 0 {
                self.good();
            }
            if self.sent.len() > ROUND || self.intake.is_crowded() {
                self.look();
            }
        }
        self.good();
        self.look();
    }

    fn look(&mut self) {
        let drained = self.intake.finish(&[&self.batch]).unwrap();
        let mut rows: HashMap<Offset, Value> = HashMap::new();
        for ready in &drained.rows {
            for column in ready.rows.columns() {
                column.to_data().validate_full().unwrap();
            }
            let values = rows_of(&ready.rows);
            assert_eq!(values.len(), ready.offsets.len());
            // Rows that have no key are rejects, and stay in the batch.
            let keyed = ready.keys.of_row.iter().map(|key| (*key as usize) < ready.keys.keys.len());
            let rest = ready.offsets.iter().copied().zip(values).zip(keyed);
            rows.extend(rest.filter_map(|(row, keyed)| keyed.then_some(row)));
        }
        let mut refused = HashMap::new();
        for batch in &drained.rejects {
            let offsets = batch["offset"].as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                refused.insert(offsets.value(row), (batch, row));
            }
        }
        assert_eq!(rows.len() + refused.len(), self.sent.len());
        (self.rows, self.rejects) = (self.rows + rows.len(), self.rejects + refused.len());
        for (offset, (whole, good)) in self.sent.iter().enumerate() {
            let offset = offset as Offset;
            match (rows.remove(&offset), refused.get(&offset)) {
                (Some(row), None) if *good => assert_eq!(bare(row, offset), self.row),
                (Some(_), None) => {}
                (None, Some((rejects, row))) => {
                    assert!(!good, "a good record beside bad ones");
                    kept_whole(rejects, *row, whole);
                }
                other => panic!("offset {offset}: {other:?}"),
            }
        }
        self.anew();
    }
}

/// A row without its offset, which is that of its record.
fn bare(mut row: Value, offset: Offset) -> Value {
    assert_eq!(row["_offset"], offset);
    row.as_object_mut().unwrap().remove("_offset");
    row
}

/// A reject says why, by a code and with a place, and holds the record as it came.
fn kept_whole(rejects: &arrow::array::RecordBatch, row: usize, whole: &Whole) {
    let text = |name: &str| rejects[name].as_string::<i32>().value(row).to_owned();
    let (code, message) = (text("code"), text("message"));
    assert!(code.starts_with("FB0") && !message.is_empty(), "{code} {message}");
    // What decoding refuses stands somewhere.
    let decoded = code.starts_with("FB02") && code != "FB0285";
    let schema_inside = message.contains("connect schema") || message.contains("record: no `");
    assert!(!decoded || schema_inside || message.contains("byte "), "{code} {message}");
    let bytes = |name: &str| {
        let column = rejects[name].as_binary::<i32>();
        (!column.is_null(row)).then(|| column.value(row).to_vec())
    };
    let headers = rejects["headers"].as_list::<i32>().value(row);
    let (names, values) =
        (headers.as_struct().column(0).clone(), headers.as_struct().column(1).clone());
    let header = |i: usize| {
        let value = values.as_binary::<i32>();
        let name = names.as_string::<i32>().value(i).to_owned();
        (name, (!value.is_null(i)).then(|| value.value(i).to_vec()))
    };
    let kept = Whole {
        key: bytes("key"),
        value: bytes("value"),
        headers: (0..headers.len()).map(header).collect(),
    };
    assert_eq!(kept, *whole);
}

const BESIDE: &str = "metadata: [offset, headers, schema_id]";
const KEY: &str = r#"{"type":"record","name":"Key","fields":[{"name":"id","type":"int"},{"name":"s","type":"string"}]}"#;

#[track_caller]
fn poisoned(more: &str, schemas: Vec<(u32, Schema)>, good: Whole) {
    let mut victim = Victim::new(&format!("{more}\n{BESIDE}"), schemas, good.clone());
    victim.poison(good.damaged());
    let (rows, rejects) = (victim.rows, victim.rejects);
    assert!(rows > 500 && rejects > 500, "{rows} rows, {rejects} rejects");
}

fn some(bytes: impl Into<Vec<u8>>) -> Option<Vec<u8>> {
    Some(bytes.into())
}

fn header(name: &str, value: &[u8]) -> (String, Option<Vec<u8>>) {
    (name.to_owned(), Some(value.to_vec()))
}

#[test]
fn change_event_in_avro_with_key_and_headers() {
    let value = json!({"before": state(1, "a"), "after": state(1, "b"),
        "source": {"db": "d", "lsn": 7}, "op": "u", "ts_ms": 5});
    let good = Whole {
        key: some(framed(2, &datum(KEY, json!({"id": 7, "s": "k"})))),
        value: some(framed(1, &datum(ENVELOPE, value))),
        headers: vec![header("trace", b"ab\xff"), ("none".to_owned(), None)],
    };
    let more = "value: { unwrap: debezium }\nkey: { format: auto }\npartition_by: ['day(made)']";
    poisoned(more, vec![avro(1, ENVELOPE), avro(2, KEY)], good);
}

#[test]
fn change_event_of_a_document() {
    let value = json!({"before": null, "after": "{\"_id\": 1}", "updateDescription":
        {"removedFields": ["a"], "updatedFields": "{}"}, "source": {"db": "d"}, "op": "u", "ts_ms": 5});
    let good = Whole {
        key: some(framed(2, &datum(KEY, json!({"id": 7, "s": "k"})))),
        value: some(framed(1, &datum(COLLECTION, value))),
        headers: Vec::new(),
    };
    let more = "value: { unwrap: debezium }\nkey: { format: avro }";
    poisoned(more, vec![avro(1, COLLECTION), avro(2, KEY)], good);
}

#[test]
fn protobuf_with_message_indexes_of_any_form_and_a_key() {
    let text = "syntax = \"proto3\"; message A { string s = 1; message B { int32 i = 1; repeated string l = 2; } }";
    // Message A.B is [0, 0]: zigzag count 2 is 4.
    let body = [4, 0, 0, 0x08, 7, 0x12, 1, b'x', 0x12, 2, b'y', b'z'];
    let good = Whole {
        key: some(framed_protobuf(2, &[0x0a, 1, b'k'])),
        value: some(framed(1, &body)),
        headers: vec![header("h", b"12")],
    };
    let key = "syntax = \"proto3\"; message K { string s = 1; uint64 n = 2; }";
    let more = "key: { format: auto }\nwire: { message_indexes: auto }";
    poisoned(more, vec![protobuf(1, text), protobuf(2, key)], good);
}

#[test]
fn schema_references_in_headers_and_keys_in_json() {
    let schema = r#"{"type":"object","required":["a"],"properties":{"a":{"type":"integer"},"b":{"type":"string","format":"date"},"l":{"type":"array","items":{"type":"number"}}}}"#;
    let good = Whole {
        key: some(r#"{"k": [1, "x"]}"#),
        value: some(r#"{"a": 12, "b": "2026-01-02", "l": [1.5, -2e3]}"#),
        headers: vec![header("__value_schema_id", &[0, 0, 0, 0, 1]), header("h", b"")],
    };
    let schemas = vec![(1, compile(1, Language::Json, schema, &[]).unwrap())];
    poisoned("key: { format: json }", schemas, good);
}

#[test]
fn schemas_inside_key_and_value() {
    let of = |fields: Value, payload: Value| {
        some(
            json!({"schema": {"type": "struct", "fields": fields}, "payload": payload}).to_string(),
        )
    };
    let field = |name: &str, ty: &str| json!({"field": name, "type": ty, "optional": true});
    let table = |name: &str| {
        json!({"field": name, "type": "struct", "optional": true, "fields":
            [{"field": "at", "type": "int64", "name": "io.debezium.time.Timestamp"}, field("s", "string")]})
    };
    let fields =
        json!([table("before"), table("after"), field("op", "string"), field("ts_ms", "int64")]);
    let event = json!({"before": null, "after": {"at": 1, "s": "x"}, "op": "c", "ts_ms": 2});
    let good = Whole {
        key: of(json!([field("id", "int32")]), json!({"id": 7})),
        value: of(fields, event),
        headers: vec![header("h", b"1")],
    };
    let more = "value: { format: json_connect, unwrap: debezium }\nkey: { format: json_connect }";
    poisoned(more, Vec::new(), good);
}

#[test]
fn text_with_a_key_of_text() {
    let good = Whole {
        key: some("schlüssel"),
        value: some("träge Straße"),
        headers: vec![header("h", "ü".as_bytes())],
    };
    poisoned("value: { format: string }\nkey: { format: string }", Vec::new(), good);
}
