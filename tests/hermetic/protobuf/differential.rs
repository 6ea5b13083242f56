//! Random messages, their fields shuffled, repeated and split, against prost-reflect's decoder.

use arrow::array::RecordBatch;
use forebay::clock::Seeded;
use forebay::config::{Reader, Unsigned};
use forebay::decode::{Decoder, Plan};
use forebay::registry::Language;
use prost_reflect::ReflectMessage;
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, Kind, MapKey, MessageDescriptor, SerializeOptions, Value};
use serde_json::json;

use super::conformance::unknown_fields;
use super::generate::{as_edition, message, respell, schema};
use super::{compile, options, render, try_plan};

/// The bytes of a message with its fields in random order, some of them twice.
pub fn shuffled(random: &mut Seeded, whole: &DynamicMessage) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for (field, value) in whole.fields() {
        let mut one = DynamicMessage::new(whole.descriptor());
        one.set_field(&field, value.clone());
        parts.push(one.encode_to_vec());
        if random.one_in(5) {
            parts.push(one.encode_to_vec());
        }
    }
    for (extension, value) in whole.extensions() {
        let mut one = DynamicMessage::new(whole.descriptor());
        one.set_extension(&extension, value.clone());
        parts.push(one.encode_to_vec());
    }
    for i in (1..parts.len()).rev() {
        parts.swap(i, random.below(i as u64 + 1) as usize);
    }
    parts.concat()
}

/// What prost-reflect reads, in the form of [`render::row`].
pub(crate) fn oracle(descriptor: &MessageDescriptor, body: &[u8]) -> serde_json::Value {
    tree(&DynamicMessage::decode(descriptor.clone(), body).unwrap())
}

fn tree(message: &DynamicMessage) -> serde_json::Value {
    let descriptor = message.descriptor();
    match descriptor.full_name().strip_prefix("google.protobuf.") {
        Some("Timestamp" | "Duration" | "FieldMask" | "Struct" | "ListValue") => library(message),
        Some("Value") if message.fields().count() == 0 => json!(null),
        Some("Value") => library(message),
        Some(name) if name.ends_with("Value") => {
            let field = descriptor.get_field(1).unwrap();
            leaf(&field.kind(), &message.get_field(&field))
        }
        _ => {
            let mut out = serde_json::Map::new();
            for (field, value) in message.fields().filter(|(field, _)| message.has_field(field)) {
                out.insert(field.name().to_owned(), leaf(&field.kind(), value));
            }
            for (extension, value) in message.extensions() {
                let value = leaf(&extension.kind(), value);
                out.insert(format!("[{}]", extension.full_name()), value);
            }
            serde_json::Value::Object(out)
        }
    }
}

fn library(message: &DynamicMessage) -> serde_json::Value {
    let options = SerializeOptions::new().use_proto_field_name(true);
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut text);
    message.serialize_with_options(&mut serializer, &options).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn leaf(kind: &Kind, value: &Value) -> serde_json::Value {
    use base64::Engine;
    match value {
        Value::Bool(b) => json!(b),
        Value::I32(n) => json!(n),
        Value::U32(n) => json!(n),
        Value::I64(n) => json!(n.to_string()),
        Value::U64(n) => json!(n.to_string()),
        Value::F32(x) => render::float(f64::from(*x), x.to_string()),
        Value::F64(x) => render::float(*x, x.to_string()),
        Value::String(text) => json!(text),
        Value::Bytes(bytes) => json!(base64::prelude::BASE64_STANDARD.encode(bytes)),
        Value::EnumNumber(number) => match kind {
            Kind::Enum(e) if e.full_name() == "google.protobuf.NullValue" => json!(null),
            Kind::Enum(e) => {
                // In the order of declaration: of two names of one number the first counts.
                let values = &e.enum_descriptor_proto().value;
                let named = values.iter().find(|value| value.number() == *number);
                named.map_or_else(|| json!(number), |value| json!(value.name()))
            }
            other => panic!("{other:?}"),
        },
        Value::Message(message) => tree(message),
        Value::List(items) => items.iter().map(|item| leaf(kind, item)).collect(),
        Value::Map(entries) => {
            let entry = kind.as_message().unwrap();
            let kind = entry.map_entry_value_field().kind();
            let key = |key: &MapKey| match key {
                MapKey::Bool(b) => b.to_string(),
                MapKey::I32(n) => n.to_string(),
                MapKey::I64(n) => n.to_string(),
                MapKey::U32(n) => n.to_string(),
                MapKey::U64(n) => n.to_string(),
                MapKey::String(text) => text.clone(),
            };
            entries.iter().map(|(k, value)| (key(k), leaf(&kind, value))).collect()
        }
    }
}

/// Whether some duration has seconds and nanoseconds of different signs.
fn no_duration(value: &Value) -> bool {
    match value {
        Value::Message(message)
            if message.descriptor().full_name() == "google.protobuf.Duration" =>
        {
            let part = |number| message.get_field_by_number(number).unwrap().into_owned();
            let seconds = part(1).as_i64().unwrap();
            seconds.signum() * i64::from(part(2).as_i32().unwrap()) < 0
        }
        Value::Message(message) => {
            message.fields().any(|(_, value)| no_duration(value))
                || message.extensions().any(|(_, value)| no_duration(value))
        }
        Value::List(items) => items.iter().any(no_duration),
        Value::Map(entries) => entries.values().any(no_duration),
        _ => false,
    }
}

/// The same rows, written as Parquet and read again.
fn through_parquet(rows: &RecordBatch) -> RecordBatch {
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
        bytes::Bytes::from(bytes),
    );
    let read: Vec<RecordBatch> = reader.unwrap().build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&read[0].schema(), &read).unwrap()
}

/// Schemas of the generated test; `FOREBAY_FUZZ_SCHEMAS` asks for more.
const SCHEMAS: u64 = 4_000;
const SEED: u64 = 20_261_122;

#[test]
fn random_records_of_random_schemas_decode_as_prost_reflect_decodes_them() {
    let asked = std::env::var("FOREBAY_FUZZ_SCHEMAS").ok().and_then(|n| n.parse().ok());
    let seed = std::env::var("FOREBAY_FUZZ_SEED").ok().and_then(|n| n.parse().ok());
    let (schemas, first) = (asked.unwrap_or(SCHEMAS), seed.unwrap_or(SEED));
    let (mut compared, mut without) = (0, 0);
    for seed in first..first + schemas {
        match one_schema(seed) {
            Some(rows) => compared += rows,
            None => without += 1,
        }
    }
    println!(
        "seeds {first} to {}: {compared} rows, {without} schemas without columns",
        first + schemas
    );
    assert!(without * 5 < schemas, "{without} of {schemas} schemas have no columns");
}

#[test]
fn random_schemas_written_as_an_edition_make_the_same_columns() {
    let compiled = |text: &str| {
        let schema = forebay::registry::compile::compile(1, Language::Protobuf, text, &[]);
        let schema = schema.unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        Plan::compile(&schema, &[0], &options()).map_err(|fault| fault.code.id)
    };
    let mut compared = 0;
    for seed in SEED..SEED + 600 {
        let text = schema(&mut Seeded::new(seed));
        let Some(edition) = as_edition(&text) else { continue };
        match (compiled(&text), compiled(&edition)) {
            (Ok(a), Ok(b)) => assert_eq!(a.schema, b.schema, "seed {seed}\n{text}\n{edition}"),
            (a, b) => assert_eq!(a.err(), b.err(), "seed {seed}\n{text}\n{edition}"),
        }
        compared += 1;
    }
    assert!(compared > 300, "{compared}");
}

/// Rows compared; none if the schema makes no table.
fn one_schema(seed: u64) -> Option<u64> {
    let mut random = Seeded::new(seed);
    let text = schema(&mut random);
    let file = compile(&[("g.proto", &text)]);
    let descriptor = file.messages().next().unwrap();
    let mut options = options();
    if random.one_in(3) {
        options.value.unsigned = Unsigned::Native;
        options.readers = vec![Reader::Native];
    }
    let plan = match try_plan(&file, &[0], &options) {
        Ok(plan) => plan,
        Err(fault) if matches!(fault.code.id, "FB0207" | "FB0208") => return None,
        Err(fault) => panic!("seed {seed}: {fault}\n{text}"),
    };
    let mut decoder = Decoder::new(plan);
    let mut bodies = Vec::new();
    for _ in 0..6 {
        let sparse = 1 + random.below(4);
        let mut body = message(&mut random, &descriptor, 4, sparse).encode_to_vec();
        if random.one_in(4) {
            body.extend(message(&mut random, &descriptor, 3, 2).encode_to_vec());
        }
        if random.one_in(2) {
            body = respell(&mut random, &descriptor, &body);
        }
        if let Err(reject) = decoder.append(&body) {
            // Parts of two durations may make none.
            let whole = DynamicMessage::decode(descriptor.clone(), body.as_slice()).unwrap();
            let none = reject.code.id == "FB0205" && no_duration(&Value::Message(whole));
            assert!(none, "seed {seed}: {reject}\n{text}\n{body:02x?}");
            continue;
        }
        // prost-reflect forgets what another value took the place of.
        let (unknown, known_to) =
            (decoder.take_oddities().unknown_fields, unknown_fields(&descriptor, &body));
        assert!(unknown >= known_to, "seed {seed}: {unknown} unknown, {known_to} required\n{text}");
        bodies.push(body);
    }
    let mut rows = decoder.finish();
    if random.one_in(8) {
        rows = through_parquet(&rows);
    }
    for (row, body) in bodies.iter().enumerate() {
        let (got, want) = (render::row(&descriptor, &rows, row), oracle(&descriptor, body));
        assert!(
            render::same(&got, &want),
            "seed {seed} row {row}: {}\n{text}\n{body:02x?}",
            render::difference(&got, &want)
        );
    }
    Some(bodies.len() as u64)
}

/// Batches of random messages of one schema, compared row by row.
fn compare(files: &[(&str, &str)], message_name: &str, seed: u64, batches: usize) {
    let file = compile(files);
    let index = file.messages().position(|m| m.name() == message_name).unwrap();
    let descriptor = file.messages().nth(index).unwrap();
    let mut decoder = Decoder::new(try_plan(&file, &[index as u32], &options()).unwrap());
    let mut random = Seeded::new(seed);
    for batch in 0..batches {
        let mut bodies = Vec::new();
        for row in 0..20 {
            let sparse = 1 + random.below(12);
            let mut body = Vec::new();
            for _ in 0..1 + random.below(2) {
                let part = message(&mut random, &descriptor, 3, sparse);
                body.extend(match random.one_in(2) {
                    true => shuffled(&mut random, &part),
                    false => part.encode_to_vec(),
                });
            }
            decoder.append(&body).unwrap_or_else(|e| {
                panic!("{message_name} seed {seed} batch {batch} row {row}: {e}")
            });
            bodies.push(body);
        }
        let rows = decoder.finish();
        for (row, body) in bodies.iter().enumerate() {
            let (got, want) = (render::row(&descriptor, &rows, row), oracle(&descriptor, body));
            assert!(
                render::same(&got, &want),
                "{message_name} seed {seed} batch {batch} row {row}: {}",
                render::difference(&got, &want)
            );
        }
    }
}

const NESTED: &str = r#"syntax = "proto3"; package n;
    message Root {
      repeated Line lines = 1; map<string, Line> by_name = 2; Line one = 3; optional string note = 4;
      oneof which { int32 number = 5; Line line = 6; string text = 7; Root again = 8; Nothing none = 9; }
      map<int64, Nothing> nothings = 600; repeated Root roots = 5000; fixed64 last = 536870911;
    }
    message Line {
      repeated Tag tags = 1; map<bool, bytes> flags = 2; sint64 amount = 3; optional Kind kind = 4;
      repeated Kind kinds = 5; Tag first = 6; repeated string words = 7;
    }
    message Tag { string key = 1; oneof value { string text = 2; double number = 3; Deep deep = 4; } }
    message Deep { repeated float f = 1; repeated bool b = 2 [packed = false]; Deep deeper = 3; }
    message Nothing {}
    enum Kind { NO = 0; YES = 1; MAYBE = -5; FAR = 1000000; }"#;

#[test]
fn random_nested_messages_decode_as_prost_reflect_decodes_them() {
    for seed in 0..12 {
        compare(&[("nested.proto", NESTED)], "Root", seed, 4);
    }
}

#[test]
fn random_proto3_messages_of_all_types_decode_as_prost_reflect_decodes_them() {
    let text = include_str!("../../corpus/protobuf/test_messages_proto3.proto");
    for seed in 0..6 {
        compare(&[("test3.proto", text)], "TestAllTypesProto3", seed, 2);
    }
}

#[test]
fn random_proto2_messages_of_all_types_decode_as_prost_reflect_decodes_them() {
    let text = include_str!("../../corpus/protobuf/test_messages_proto2.proto");
    for seed in 0..6 {
        compare(&[("test2.proto", text)], "TestAllTypesProto2", seed, 2);
    }
}

#[test]
fn random_events_decode_as_prost_reflect_decodes_them() {
    compare(&[("orders.proto", include_str!("../../corpus/event/orders.proto"))], "Order", 1, 20);
}
