//! Random messages, their fields shuffled, repeated and split, against prost-reflect's decoder.

use forebay::clock::Seeded;
use forebay::decode::Decoder;
use prost_reflect::ReflectMessage;
use prost_reflect::prost::Message;
use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    SerializeOptions, Value,
};

use super::{compile, options, render, try_plan};

/// A random message with about one field in `sparse`, `depth` levels deep.
pub fn message(
    random: &mut Seeded,
    descriptor: &MessageDescriptor,
    depth: u32,
    sparse: u64,
) -> DynamicMessage {
    let mut out = DynamicMessage::new(descriptor.clone());
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            out.set_field_by_number(
                1,
                Value::I64(random.below(4_000_000_000) as i64 - 2_000_000_000),
            );
            out.set_field_by_number(2, Value::I32(random.below(1_000_000) as i32 * 1_000));
            return out;
        }
        "google.protobuf.Duration" => {
            let sign = if random.one_in(2) { 1 } else { -1 };
            out.set_field_by_number(1, Value::I64(random.below(1_000_000) as i64 * sign));
            let micros = random.below(1_000_000) as i32 * sign as i32;
            out.set_field_by_number(2, Value::I32(micros * 1_000));
            return out;
        }
        "google.protobuf.FieldMask" => {
            let paths = ["a", "foo_bar", "x_y_z"].map(|path| Value::String(path.to_owned()));
            out.set_field_by_number(
                1,
                Value::List(paths[random.below(4).min(3) as usize..].to_vec()),
            );
            return out;
        }
        "google.protobuf.Value" => {
            let number = 1 + random.below(if depth == 0 { 4 } else { 6 }) as u32;
            let field = descriptor.get_field(number).unwrap();
            let value = match number {
                2 => Value::F64(random.below(1_000) as f64 / 8.0),
                1 => Value::EnumNumber(0),
                _ => single(random, &field.kind(), depth),
            };
            out.set_field(&field, value);
            return out;
        }
        _ => {}
    }
    for field in descriptor.fields() {
        if !random.one_in(sparse) {
            continue;
        }
        if let Some(value) = any_value(random, &field, depth) {
            out.set_field(&field, value);
        }
    }
    for extension in descriptor.extensions() {
        let nested = matches!(extension.kind(), Kind::Message(_));
        if random.one_in(sparse) && extension.cardinality() != Cardinality::Repeated && !nested {
            out.set_extension(&extension, single(random, &extension.kind(), depth));
        }
    }
    out
}

fn any_value(random: &mut Seeded, field: &FieldDescriptor, depth: u32) -> Option<Value> {
    if let Kind::Message(inner) = field.kind() {
        // `Any` has JSON only where its type is known; message sets are left out.
        let left_out =
            inner.full_name() == "google.protobuf.Any" || inner.name().starts_with("MessageSet");
        if depth == 0 || left_out {
            return None;
        }
    }
    if field.is_map() {
        let entry = field.kind();
        let entry = entry.as_message().unwrap();
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let count = random.below(4);
        return Some(Value::Map(
            (0..count)
                .map(|_| {
                    let key: MapKey = match single(random, &key.kind(), 0) {
                        Value::Bool(b) => MapKey::Bool(b),
                        Value::I32(n) => MapKey::I32(n),
                        Value::I64(n) => MapKey::I64(n),
                        Value::U32(n) => MapKey::U32(n),
                        Value::U64(n) => MapKey::U64(n),
                        Value::String(text) => MapKey::String(text),
                        other => panic!("{other:?} as a key"),
                    };
                    (key, single(random, &value.kind(), depth.saturating_sub(1)))
                })
                .collect(),
        ));
    }
    if field.is_list() {
        let count = random.below(4);
        let items = (0..count).map(|_| single(random, &field.kind(), depth.saturating_sub(1)));
        return Some(Value::List(items.collect()));
    }
    Some(single(random, &field.kind(), depth.saturating_sub(1)))
}

fn single(random: &mut Seeded, kind: &Kind, depth: u32) -> Value {
    let bits = random.next_u64() >> random.below(64);
    let signed = if random.one_in(2) { bits as i64 } else { -(bits as i64 >> 1) };
    match kind {
        // No infinities: prost-reflect prints those of wrappers as null.
        Kind::Double => Value::F64([0.0, -0.5, 1e300, 12.25, 1e-9][(bits % 5) as usize]),
        Kind::Float => Value::F32([0.0, -0.5, 1e30, 0.1, -1e-30][(bits % 5) as usize]),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(signed as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(signed),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(bits as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(bits),
        Kind::Bool => Value::Bool(bits % 2 == 1),
        Kind::String => {
            let texts = [
                "",
                "a",
                "straße",
                "日本語 テキスト",
                "quote\"\\\n\u{1}",
                "a longer piece of plain text",
            ];
            Value::String(texts[(bits % 6) as usize].to_owned())
        }
        Kind::Bytes => {
            Value::Bytes((0..bits % 5).map(|b| (b * 77) as u8).collect::<Vec<u8>>().into())
        }
        Kind::Enum(e) => {
            let values: Vec<i32> = e.values().map(|v| v.number()).collect();
            Value::EnumNumber(values[(bits as usize) % values.len()])
        }
        Kind::Message(m) => Value::Message(message(random, m, depth, 4)),
    }
}

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

fn oracle(descriptor: &MessageDescriptor, body: &[u8]) -> serde_json::Value {
    let message = DynamicMessage::decode(descriptor.clone(), body).unwrap();
    let options = SerializeOptions::new().use_proto_field_name(true);
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut text);
    message.serialize_with_options(&mut serializer, &options).unwrap();
    serde_json::from_slice(&text).unwrap()
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
                "{message_name} seed {seed} batch {batch} row {row}:\n{got}\nwanted\n{want}"
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
