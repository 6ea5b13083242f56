use std::sync::Arc;

use apache_avro::types::Value as Avro;
use serde_json::{Value, json};

use super::*;
use crate::registry::Language;
use crate::registry::compile::compile;

fn encoder(language: Language, text: &str, message: Option<&str>) -> Encoder {
    Encoder::new(Arc::new(compile(1, language, text, &[]).unwrap()), message).unwrap()
}

/// Encoded by us, read by apache-avro.
fn avro(schema: &str, value: Value) -> Result<Avro, Fault> {
    let mut bytes = Vec::new();
    encoder(Language::Avro, schema, None).body(&value, &mut bytes)?;
    let schema = apache_avro::Schema::parse_str(schema).unwrap();
    let mut rest = bytes.as_slice();
    let read = apache_avro::reader::datum::GenericDatumReader::builder(&schema)
        .build()
        .unwrap()
        .read_value(&mut rest)
        .unwrap();
    assert!(rest.is_empty());
    Ok(read)
}

fn field(kind: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{kind}}}]}}"#)
}

/// One field `a` of a type, read back.
fn one(kind: &str, value: Value) -> Result<Avro, String> {
    match avro(&field(kind), json!({ "a": value })) {
        Ok(Avro::Record(mut fields)) => Ok(fields.remove(0).1),
        Ok(other) => panic!("{other:?}"),
        Err(fault) => Err(fault.message),
    }
}

#[test]
fn avro_scalars_are_written_as_another_library_reads_them() {
    assert_eq!(one(r#""null""#, json!(null)), Ok(Avro::Null));
    assert_eq!(one(r#""boolean""#, json!(true)), Ok(Avro::Boolean(true)));
    for n in [0, -1, 63, 64, -65, i32::MAX, i32::MIN] {
        assert_eq!(one(r#""int""#, json!(n)), Ok(Avro::Int(n)));
    }
    for n in [0, i64::MAX, i64::MIN, 1 << 40] {
        assert_eq!(one(r#""long""#, json!(n)), Ok(Avro::Long(n)));
        assert_eq!(one(r#""long""#, json!(n.to_string())), Ok(Avro::Long(n)));
    }
    assert_eq!(one(r#""long""#, json!(3.0)), Ok(Avro::Long(3)));
    assert_eq!(one(r#""float""#, json!(1.5)), Ok(Avro::Float(1.5)));
    assert_eq!(one(r#""double""#, json!("-Infinity")), Ok(Avro::Double(f64::NEG_INFINITY)));
    assert_eq!(one(r#""string""#, json!("héllo")), Ok(Avro::String("héllo".into())));
    assert_eq!(one(r#""bytes""#, json!("\u{0}é")), Ok(Avro::Bytes(vec![0, 0xe9])));
    let fixed = r#"{"type":"fixed","name":"F","size":2}"#;
    assert_eq!(one(fixed, json!("ab")), Ok(Avro::Fixed(2, b"ab".to_vec())));
    let item = r#"{"type":"enum","name":"E","symbols":["A","B"]}"#;
    assert_eq!(one(item, json!("B")), Ok(Avro::Enum(1, "B".into())));
}

#[test]
fn avro_logical_types_take_numbers_and_text() {
    let logical = |base: &str, name: &str| format!(r#"{{"type":"{base}","logicalType":"{name}"}}"#);
    let date = logical("int", "date");
    assert_eq!(one(&date, json!("1969-12-31")), Ok(Avro::Date(-1)));
    assert_eq!(one(&date, json!(19_782)), Ok(Avro::Date(19_782)));
    let millis = logical("long", "timestamp-millis");
    assert_eq!(one(&millis, json!("1970-01-01T00:00:01.5Z")), Ok(Avro::TimestampMillis(1_500)));
    assert_eq!(one(&millis, json!("1970-01-01T01:00:00+01:00")), Ok(Avro::TimestampMillis(0)));
    let nanos = logical("long", "timestamp-nanos");
    assert_eq!(one(&nanos, json!("1970-01-01T00:00:00.000000007Z")), Ok(Avro::TimestampNanos(7)));
    let local = logical("long", "local-timestamp-micros");
    assert_eq!(
        one(&local, json!("1970-01-02T00:00:00")),
        Ok(Avro::LocalTimestampMicros(86_400_000_000))
    );
    assert_eq!(
        one(&logical("int", "time-millis"), json!("00:00:02.25")),
        Ok(Avro::TimeMillis(2_250))
    );
    assert_eq!(
        one(&logical("long", "time-micros"), json!("00:01:00")),
        Ok(Avro::TimeMicros(60_000_000))
    );
    let uuid = "6b29fc40-ca47-1067-b31d-00dd010662da";
    let expected = uuid::Uuid::parse_str(uuid).unwrap();
    assert_eq!(one(&logical("string", "uuid"), json!(uuid)), Ok(Avro::Uuid(expected)));
    let fixed = r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#;
    assert_eq!(one(fixed, json!(uuid)), Ok(Avro::Uuid(expected)));
    let duration = r#"{"type":"fixed","name":"D","size":12,"logicalType":"duration"}"#;
    let Ok(Avro::Duration(read)) = one(duration, json!({"months": 1, "days": 2, "millis": 3}))
    else {
        panic!()
    };
    assert_eq!(<[u8; 12]>::from(read), [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    assert!(one(&date, json!("2026-02-30")).is_err());
}

#[test]
fn avro_decimals_keep_every_digit() {
    let bytes = r#"{"type":"bytes","logicalType":"decimal","precision":30,"scale":2}"#;
    let read = |value| match one(bytes, value) {
        Ok(Avro::Decimal(decimal)) => Vec::<u8>::try_from(decimal).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(read(json!("12.34")), 1234i16.to_be_bytes());
    assert_eq!(read(json!(12.5)), 1250i16.to_be_bytes());
    assert_eq!(read(json!(-1)), [(-100i8) as u8]);
    let wide = 1_234_567_890_123_456_789_012_345_678i128;
    let text = "12345678901234567890123456.78";
    let expected = wide.to_be_bytes();
    let skip = expected.iter().take_while(|b| **b == 0).count();
    assert_eq!(read(json!(text)), &expected[skip..]);
    for bad in [json!("1.234"), json!("x"), json!(null), json!(format!("1{}", "0".repeat(40)))] {
        assert!(one(bytes, bad).is_err());
    }
    let fixed =
        r#"{"type":"fixed","name":"D","size":2,"logicalType":"decimal","precision":4,"scale":0}"#;
    let Ok(Avro::Decimal(read)) = one(fixed, json!(-2)) else { panic!() };
    assert_eq!(Vec::<u8>::try_from(read).unwrap(), [0xff, 0xfe]);
    let big = r#"{"type":"bytes","logicalType":"big-decimal"}"#;
    let Ok(Avro::BigDecimal(read)) = one(big, json!("-0.001")) else { panic!() };
    assert_eq!(read.to_string(), "-0.001");
}

#[test]
fn avro_unions_take_tagged_and_plain_values() {
    let simple = r#"["null","string"]"#;
    let string = |text: &str| Avro::Union(1, Box::new(Avro::String(text.into())));
    assert_eq!(one(simple, json!(null)), Ok(Avro::Union(0, Box::new(Avro::Null))));
    assert_eq!(one(simple, json!("x")), Ok(string("x")));
    assert_eq!(one(simple, json!({"string": "x"})), Ok(string("x")));
    let records = r#"["null",
        {"type":"record","name":"n.A","fields":[{"name":"x","type":"int"}]},
        {"type":"record","name":"n.B","fields":[{"name":"y","type":"int"}]},
        {"type":"map","values":"string"}, "long", "double"]"#;
    let index = |value| match one(records, value) {
        Ok(Avro::Union(index, _)) => index,
        other => panic!("{other:?}"),
    };
    assert_eq!(index(json!({"y": 1})), 2);
    assert_eq!(index(json!({"n.B": {"y": 1}})), 2);
    assert_eq!(index(json!({"B": {"y": 1}})), 2);
    assert_eq!(index(json!({"y": "a"})), 3);
    assert_eq!(index(json!({"map": {"y": "a"}})), 3);
    assert_eq!(index(json!(7)), 4);
    assert_eq!(index(json!(7.5)), 5);
    assert_eq!(index(json!({"double": 7})), 5);
    let fault = one(records, json!({"n.B": {"y": "a"}, "z": 1})).unwrap_err();
    assert!(fault.starts_with("value at `/a"), "{fault}");
    let fault = one(records, json!({"n.B": {"y": true}})).unwrap_err();
    assert_eq!(fault, "value at `/a/n.B/y`: `true`, a whole number of 64 bits required");
}

#[test]
fn avro_absent_fields_take_their_defaults() {
    let schema = r#"{"type":"record","name":"R","fields":[
        {"name":"a","type":"int","default":7},
        {"name":"b","type":["null","string"]},
        {"name":"c","type":{"type":"array","items":"int"},"default":[1,2]},
        {"name":"d","type":["string","null"],"default":"x"}]}"#;
    let Avro::Record(fields) = avro(schema, json!({})).unwrap() else { panic!() };
    assert_eq!(fields[0].1, Avro::Int(7));
    assert_eq!(fields[1].1, Avro::Union(0, Box::new(Avro::Null)));
    assert_eq!(fields[2].1, Avro::Array(vec![Avro::Int(1), Avro::Int(2)]));
    assert_eq!(fields[3].1, Avro::Union(0, Box::new(Avro::String("x".into()))));
}

#[test]
fn avro_value_that_does_not_fit_is_refused_with_its_path() {
    let items = r#"{"type":"array","items":{"type":"map","values":"int"}}"#;
    for (kind, value, expected) in [
        (r#""int""#, json!(1i64 << 31), "value at `/a`: `2147483648`, 32 bits required"),
        (r#""int""#, json!(1.5), "value at `/a`: `1.5`, a whole number of 64 bits required"),
        (
            items,
            json!([{}, {"x/y": "no"}]),
            "value at `/a/1/x~1y`: `\"no\"`, a whole number of 64 bits required",
        ),
        (r#""string""#, json!(1), "value at `/a`: `1`, a string required"),
        (
            r#""bytes""#,
            json!("ā"),
            "value at `/a`: a character above U+00FF, one character a byte required",
        ),
        (
            r#"{"type":"fixed","name":"F","size":2}"#,
            json!("a"),
            "value at `/a`: 1 bytes, 2 required by `F`",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
            json!("C"),
            "value at `/a`: `C`, one of `A`, `B` required",
        ),
    ] {
        assert_eq!(one(kind, value).unwrap_err(), expected);
    }
    let fault = avro(&field(r#""int""#), json!({"a": 1, "b": 2})).unwrap_err();
    assert_eq!(fault.message, "value at `/b`: no field of `R`");
    let fault = avro(&field(r#""int""#), json!({})).unwrap_err();
    assert_eq!(fault.message, "value at `/a`: absent, and the field has no default");
}

#[test]
fn avro_default_that_never_ends_is_refused() {
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"r","type":"R","default":{}}]}"#;
    // The compiler leaves such a default out.
    let schema = compile(1, Language::Avro, schema, &[]).unwrap();
    let encoder = Encoder::new(Arc::new(schema), None).unwrap();
    let fault = encoder.body(&json!({}), &mut Vec::new()).unwrap_err();
    assert!(fault.message.contains("absent, and the field has no default"), "{fault}");
}

const PROTO: &str = r#"syntax = "proto3"; package p;
    message First { int32 x = 1; }
    message Order {
      message Item { string sku = 1; int32 n = 2; }
      repeated Item items = 1;
      map<string, Item> by_name = 2;
      oneof pay { string card = 3; int64 cash = 4; }
      enum E { A = 0; B = 1; }
      E e = 5;
    }"#;

#[test]
fn protobuf_message_is_named_in_full_in_the_package_or_first() {
    let indexes =
        |name| encoder(Language::Protobuf, PROTO, name).header(SchemaRef::Id(1))[5..].to_vec();
    assert_eq!(indexes(None), [0]);
    assert_eq!(indexes(Some("p.First")), [0]);
    assert_eq!(indexes(Some("Order")), [2, 2]);
    assert_eq!(indexes(Some("p.Order.Item")), [4, 2, 0]);
    let schema = Arc::new(compile(1, Language::Protobuf, PROTO, &[]).unwrap());
    let fault = Encoder::new(schema, Some("Nope")).unwrap_err();
    assert_eq!(
        fault.message,
        "message `Nope`: not in the schema, one of `p.First`, `p.Order` required"
    );
}

#[test]
fn protobuf_value_that_does_not_fit_is_refused_with_its_path() {
    let encoder = encoder(Language::Protobuf, PROTO, Some("Order"));
    assert_eq!(encoder.record_name().as_deref(), Some("p.Order"));
    for (value, path) in [
        (json!([]), "/"),
        (json!({"nope": 1}), "/nope"),
        (json!({"items": [{"n": 1}, {"n": "x"}]}), "/items/1/n"),
        (json!({"byName": {"a": {"sku": 1}}}), "/byName/a/sku"),
        (json!({"by_name": {"a": {"n": 2147483648i64}}}), "/by_name/a/n"),
        (json!({"card": "x", "cash": "1"}), "/"),
        (json!({"e": "C"}), "/e"),
    ] {
        let fault = encoder.body(&value, &mut Vec::new()).unwrap_err();
        assert!(fault.message.starts_with(&format!("value at `{path}`: ")), "{fault}");
    }
}

#[test]
fn message_indexes_skip_generated_messages() {
    let text = r#"syntax = "proto2";
        message A {
          map<string, int32> m = 1;
          optional group G = 2 { optional int32 x = 1; }
          message B {}
        }
        message C {}"#;
    let schema = compile(1, Language::Protobuf, text, &[]).unwrap();
    let Parsed::Protobuf(file) = &schema.parsed else { panic!() };
    assert_eq!(message::at(file, &[0, 0]).unwrap().full_name(), "A.B");
    assert_eq!(message::at(file, &[1]).unwrap().full_name(), "C");
    assert!(message::at(file, &[0, 1]).is_none());
    assert!(message::at(file, &[u32::MAX]).is_none());
    assert!(message::at(file, &[]).is_none());
    let pool = file.parent_pool();
    assert_eq!(message::indexes(file, &pool.get_message_by_name("A.B").unwrap()), Some(vec![0, 0]));
    assert_eq!(message::indexes(file, &pool.get_message_by_name("A.G").unwrap()), None);
}

/// The body of a JSON Schema's record is the text itself after magic byte and id (Confluent's wire format).
#[test]
fn json_text_is_framed_as_it_stands() {
    let encoder = encoder(Language::Json, r#"{"title":"Order"}"#, None);
    assert_eq!(encoder.record_name().as_deref(), Some("Order"));
    let text = "{\"z\": 12345678901234567890.10, \"a\": 1}";
    let framed = encoder.framed_text(SchemaRef::Id(258), &format!(" {text}\n")).unwrap();
    assert_eq!(framed, [&[0, 0, 0, 1, 2], text.as_bytes()].concat());
    let value = json!({"a": [1, "x"]});
    let framed = encoder.framed(SchemaRef::Id(258), &value).unwrap();
    assert_eq!(framed, [&[0, 0, 0, 1, 2], br#"{"a":[1,"x"]}"#.as_slice()].concat());
}
