//! Random Protobuf schemas and records: rows of the dialect beside what prost-reflect reads, laid out by the
//! facts of the converter.

use forebay::clock::Seeded;
use forebay::config::{Connect, Dialect};
use forebay::decode::Decoder;
use prost_reflect::prost::Message;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};
use serde_json::{Map, Value as Json, json};

use super::line;
use crate::protobuf::{compile, generate, options, root, try_plan};

/// Anything but null: text of JSON, which other tests look at.
const ANY: &str = "\u{0}any";
/// Before a time in milliseconds.
const MILLIS: &str = "\u{0}ms";

fn object(message: &DynamicMessage, open: &mut Vec<String>) -> Json {
    let descriptor = message.descriptor();
    open.push(descriptor.full_name().to_owned());
    let mut out = Map::new();
    for (index, oneof) in descriptor.oneofs().enumerate().filter(|(_, o)| !o.is_synthetic()) {
        let set = oneof.fields().any(|field| message.has_field(&field));
        let mut members = Map::new();
        for field in oneof.fields() {
            let value = message.has_field(&field).then(|| message.get_field(&field).into_owned());
            let value = value.map_or(Json::Null, |value| single(&field, &value, open));
            members.insert(field.name().to_owned(), value);
        }
        let name = format!("{}_{index}", oneof.name());
        out.insert(name, if set { members.into() } else { Json::Null });
    }
    for field in descriptor.fields() {
        if field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()) {
            continue;
        }
        let absent = field.supports_presence() && !message.has_field(&field);
        let value = match absent {
            true => Json::Null,
            false => value(&field, &message.get_field(&field), open),
        };
        out.insert(field.name().to_owned(), value);
    }
    open.pop();
    out.into()
}

fn value(field: &FieldDescriptor, value: &Value, open: &mut Vec<String>) -> Json {
    match value {
        Value::List(items) => items.iter().map(|item| single(field, item, open)).collect(),
        Value::Map(entries) => {
            let kind = field.kind();
            let entry = kind.as_message().unwrap();
            let (key_field, value_field) =
                (entry.map_entry_key_field(), entry.map_entry_value_field());
            let mut pair = |(key, value): (&prost_reflect::MapKey, &Value)| {
                let key = single(&key_field, &Value::from(key.clone()), open);
                json!({"key": key, "value": single(&value_field, value, open)})
            };
            entries.iter().map(&mut pair).collect()
        }
        other => single(field, other, open),
    }
}

fn single(field: &FieldDescriptor, value: &Value, open: &mut Vec<String>) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::I32(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::U32(value) => (*value).into(),
        Value::U64(value) => (*value as i64).into(),
        Value::F32(value) if value.is_finite() => f64::from(*value).into(),
        Value::F64(value) if value.is_finite() => (*value).into(),
        Value::F32(_) | Value::F64(_) => Json::Null,
        Value::String(value) => value.as_str().into(),
        Value::Bytes(value) => value.iter().map(|b| format!("{b:02x}")).collect::<String>().into(),
        Value::EnumNumber(number) => {
            let Kind::Enum(of) = field.kind() else { panic!() };
            let declared = of.enum_descriptor_proto().value.iter().find(|v| v.number() == *number);
            match declared {
                Some(value) => value.name().into(),
                None => format!("UNKNOWN_ENUM_VALUE_{}_{number}", of.name()).into(),
            }
        }
        Value::Message(message) => sub_message(message, open),
        Value::List(_) | Value::Map(_) => panic!("no single value"),
    }
}

fn sub_message(message: &DynamicMessage, open: &mut Vec<String>) -> Json {
    let descriptor = message.descriptor();
    let number = |at: u32| message.get_field_by_number(at).unwrap().into_owned();
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let (Value::I64(seconds), Value::I32(nanos)) = (number(1), number(2)) else { panic!() };
            format!("{MILLIS}{}", seconds * 1_000 + i64::from(nanos / 1_000_000)).into()
        }
        "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue" => {
            ANY.into()
        }
        name if name.starts_with("google.protobuf.") && name.ends_with("Value") => {
            single(&descriptor.get_field(1).unwrap(), &number(1), open)
        }
        name if open.iter().any(|around| around == name) => ANY.into(),
        _ if is_empty(&descriptor) => true.into(),
        _ => object(message, open),
    }
}

fn is_empty(descriptor: &MessageDescriptor) -> bool {
    descriptor.fields().len() == 0
        || descriptor
            .descriptor_proto()
            .options
            .as_ref()
            .is_some_and(|o| o.message_set_wire_format())
}

/// Whether the row says what is expected.
fn same(row: &Json, expected: &Json) -> bool {
    match (row, expected) {
        (Json::String(text), Json::String(wanted)) if wanted.starts_with(MILLIS) => {
            let at: jiff::Timestamp = text.parse().unwrap();
            at.as_millisecond().to_string() == wanted[MILLIS.len()..]
        }
        (row, Json::String(wanted)) if wanted == ANY => !row.is_null(),
        (Json::Array(row), Json::Array(expected)) if row.len() == expected.len() => {
            let is_map = expected
                .iter()
                .all(|e| e.as_object().is_some_and(|o| o.len() == 2 && o.contains_key("key")));
            let sorted = |items: &[Json]| {
                let mut items = items.to_vec();
                if is_map {
                    items.sort_by_key(|item| item["key"].to_string());
                }
                items
            };
            sorted(row).iter().zip(&sorted(expected)).all(|(row, expected)| same(row, expected))
        }
        (Json::Object(row), Json::Object(expected)) => {
            row.len() == expected.len()
                && expected.iter().all(|(name, e)| row.get(name).is_some_and(|r| same(r, e)))
        }
        (Json::Number(a), Json::Number(b)) if a.is_f64() || b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            // Columns of single precision are written with as few digits as they have.
            a == b || a as f32 == b as f32
        }
        (row, expected) => row == expected,
    }
}

#[test]
fn random_records_have_the_rows_that_the_facts_say() {
    let mut compared = 0;
    for seed in 0..300 {
        let mut random = Seeded::new(seed);
        let text = generate::schema(&mut random);
        let file = compile(&[("g.proto", &text)]);
        let mut options = options();
        options.value.dialect = Dialect::Confluent(Connect::default());
        let Ok(plan) = try_plan(&file, &[0], &options) else { continue };
        let mut decoder = Decoder::new(plan);
        for _ in 0..4 {
            let message = generate::message(&mut random, &root(&file), 3, 2);
            let bytes = message.encode_to_vec();
            // What the wire has: empty lists and default values are not written.
            let message = DynamicMessage::decode(root(&file), bytes.as_slice()).unwrap();
            decoder.append(&bytes).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
            let batch = decoder.finish();
            let row: Json = serde_json::from_str(&line(&batch)).unwrap();
            let expected = object(&message, &mut Vec::new());
            assert!(same(&row, &expected), "seed {seed}\n{text}\n{row:#}\nexpected {expected:#}");
            compared += 1;
            if seed < 60 {
                unharmed(&mut decoder, &bytes, &line(&batch));
            }
        }
    }
    assert!(compared > 800, "{compared}");
}

/// Records that are cut short leave what stands before and after them as it is.
fn unharmed(decoder: &mut Decoder, bytes: &[u8], row: &str) {
    decoder.append(bytes).unwrap();
    for cut in 0..bytes.len() {
        let rows = decoder.rows();
        let taken = usize::from(decoder.append(&bytes[..cut]).is_ok());
        assert_eq!(decoder.rows(), rows + taken);
    }
    decoder.append(bytes).unwrap();
    let lines = crate::json::lines(&decoder.finish());
    assert_eq!(
        (lines.first().map(String::as_str), lines.last().map(String::as_str)),
        (Some(row), Some(row))
    );
}

/// Whatever the settings, the same records are refused.
#[test]
fn conformance_cases_are_refused_alike_by_every_setting() {
    use forebay::decode::Plan;
    use forebay::registry::{Language, Parsed};
    let corpus = include_str!("../../corpus/protobuf/conformance.json");
    let corpus: Json = serde_json::from_str(corpus).unwrap();
    let is = Connect::default();
    let settings = [
        Dialect::Clean,
        Dialect::Confluent(is),
        Dialect::Confluent(Connect { flatten_unions: true, generate_struct_for_nulls: true, ..is }),
        Dialect::Confluent(Connect {
            optional_for_nullables: true,
            optional_for_proto2: false,
            ..is
        }),
        Dialect::Confluent(Connect {
            wrapper_for_raw_primitives: false,
            allow_optional_map_keys: true,
            generalized_sum_type_support: true,
            ..is
        }),
    ];
    let mut decoders: Vec<(String, Vec<Decoder>)> = Vec::new();
    for text in [
        include_str!("../../corpus/protobuf/test_messages_proto3.proto"),
        include_str!("../../corpus/protobuf/test_messages_proto2.proto"),
        include_str!("../../corpus/protobuf/test_messages_proto3_editions.proto"),
        include_str!("../../corpus/protobuf/test_messages_proto2_editions.proto"),
        include_str!("../../corpus/protobuf/test_messages_edition2023.proto"),
    ] {
        let schema = forebay::registry::compile::compile(1, Language::Protobuf, text, &[]).unwrap();
        let Parsed::Protobuf(file) = &schema.parsed else { panic!() };
        let index = file.messages().position(|m| m.name().starts_with("TestAllTypes")).unwrap();
        let name = file.messages().nth(index).unwrap().full_name().to_owned();
        let of = |dialect| {
            let mut options = options();
            options.value.dialect = dialect;
            Decoder::new(Plan::compile(&schema, &[index as u32], &options).unwrap())
        };
        decoders.push((name, settings.map(of).into()));
    }
    let mut seen = 0;
    for case in corpus["cases"].as_array().unwrap() {
        let Some((_, decoders)) = decoders.iter_mut().find(|(name, _)| *name == case["message"])
        else {
            continue;
        };
        let name = case["name"].as_str().unwrap();
        let body = crate::protobuf::unhex(case["payload_hex"].as_str().unwrap());
        let verdicts: Vec<_> =
            decoders.iter_mut().map(|d| d.append(&body).err().map(|e| e.code.id)).collect();
        // A duration is a struct of its fields in the dialect, whatever they are.
        let expected = match (verdicts[0], name.contains("Duration")) {
            (Some("FB0205"), true) => None,
            (verdict, _) => verdict,
        };
        assert!(verdicts[1..].iter().all(|v| *v == expected), "{name}: {verdicts:?}");
        for decoder in decoders {
            let batch = decoder.finish();
            let columns = batch.columns().to_vec();
            arrow::array::RecordBatch::try_new(batch.schema(), columns).unwrap();
        }
        seen += 1;
    }
    assert_eq!(seen, 661);
}
