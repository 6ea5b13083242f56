use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type};
use arrow::util::display::array_value_to_string;

use crate::config::{Limits, Recursion, Value};
use crate::decode::{Decoder, Options, Plan, codes};
use crate::registry::Language;
use crate::registry::compile::compile;

fn options(recursion: Recursion) -> Options {
    let value = Value { recursion, ..Value::default() };
    Options { value, readers: Vec::new(), limits: Limits::default() }
}

const IMPORTS: &str = r#"syntax = "proto3"; import "google/protobuf/wrappers.proto";
    import "google/protobuf/duration.proto"; import "confluent/meta.proto"; import "confluent/type/decimal.proto";"#;

/// A body of one version in the columns of another. Error: the id of the code, and what it says.
fn read(
    recursion: Recursion,
    [writer, target]: [&str; 2],
    body: &[u8],
) -> Result<RecordBatch, (&'static str, String)> {
    let schema =
        |id, text| compile(id, Language::Protobuf, &format!("{IMPORTS} {text}"), &[]).unwrap();
    let plan =
        Plan::compile_onto(&schema(1, writer), &[0], &schema(2, target), &options(recursion));
    let mut decoder = Decoder::new(plan.map_err(|fault| (fault.code.id, fault.to_string()))?);
    decoder.append(body).map_err(|reject| (reject.code.id, reject.to_string()))?;
    Ok(decoder.finish())
}

fn message(field: &str) -> String {
    format!("message R {{ {field} }} enum E {{ NONE = 0; }}")
}

/// Columns of text are taken for UTF-8 by everything behind them.
#[test]
fn bytes_in_any_column_of_text_are_rejected_unless_they_are_utf8() {
    let writers = ["bytes x = 1;", "google.protobuf.BytesValue x = 1;"];
    let targets = [
        "string x = 1;",
        "E x = 1;",
        "google.protobuf.StringValue x = 1;",
        "confluent.type.Decimal x = 1;",
        "oneof o { E x = 1; }",
    ];
    for (writer, target) in writers.iter().flat_map(|w| targets.map(|t| (*w, t))) {
        let versions = [message(writer), message(target)];
        let versions = [versions[0].as_str(), versions[1].as_str()];
        let wrapped = |value: u8| match writer.contains("Value") {
            true => vec![0x0a, 3, 0x0a, 1, value],
            false => vec![0x0a, 1, value],
        };
        let found = read(Recursion::Json, versions, &wrapped(0xff));
        let found = found.map_err(|(code, _)| code);
        assert_eq!(found, Err(codes::UTF8.id), "{writer} as {target}");
        let rows = read(Recursion::Json, versions, &wrapped(b'A')).unwrap();
        assert_eq!(array_value_to_string(&rows["x"], 0).unwrap(), "A", "{writer} as {target}");
    }
    let versions = [message("repeated bytes x = 1;"), message("repeated E x = 1;")];
    let versions = [versions[0].as_str(), versions[1].as_str()];
    let found = read(Recursion::Json, versions, &[0x0a, 1, b'A', 0x0a, 1, 0xff]);
    assert_eq!(found.map_err(|(code, _)| code), Err(codes::UTF8.id));
}

#[test]
fn message_kept_as_bytes_is_no_text() {
    for target in ["string x = 1;", "E x = 1;", "google.protobuf.StringValue x = 1;"] {
        let versions = ["message R { R x = 1; }", &message(target)];
        let found = read(Recursion::Bytes, versions, &[0x0a, 0]);
        assert_eq!(found.map_err(|(code, _)| code), Err(codes::INCOMPATIBLE.id), "{target}");
    }
}

/// The builders of what the target drops are not there, and their numbers are those of others.
#[test]
fn field_that_the_target_drops_fills_nothing() {
    let other = "message X { int32 a = 1; }";
    for (writer, target, body) in [
        (
            "message E { repeated X kids = 1; }",
            "message E { repeated E kids = 1; repeated int32 n = 2; }",
            [0x0a, 0, 0x0a, 0].as_slice(),
        ),
        (
            "message E { repeated X kids = 1; }",
            "message E { repeated E kids = 1; int32 n = 2; }",
            &[0x0a, 0, 0x0a, 0],
        ),
        (
            "message E { oneof o { X kid = 1; int32 b = 2; } }",
            "message E { E kid = 1; repeated int32 n = 3; }",
            &[0x0a, 0, 0x10, 1],
        ),
        (
            "message E { repeated int32 kids = 1; }",
            "message E { repeated E kids = 1; repeated int32 n = 2; }",
            &[0x0a, 2, 1, 2, 0x08, 3],
        ),
    ] {
        let rows = read(Recursion::Drop, [&format!("{writer} {other}"), target], body);
        let rows = rows.unwrap_or_else(|(_, why)| panic!("{writer} as {target}: {why}"));
        let columns: Vec<String> =
            rows.columns().iter().map(|c| array_value_to_string(c, 0).unwrap()).collect();
        let empty = if target.contains("repeated int32") { "[]" } else { "0" };
        assert_eq!(columns, [empty], "{writer} as {target}");
    }
}

fn decimal(precision: u8, scale: u8) -> String {
    message(&format!(
        r#"confluent.type.Decimal x = 1 [(confluent.field_meta) = {{ params: [{{key: "precision", value: "{precision}"}}, {{key: "scale", value: "{scale}"}}] }}];"#
    ))
}

/// 100 is not 1.00.
#[test]
fn whole_numbers_go_to_decimals_without_digits_behind_the_point_alone() {
    for (writer, body) in [
        ("uint64 x = 1;", [0x08, 100].as_slice()),
        ("fixed64 x = 1;", &[0x09, 100, 0, 0, 0, 0, 0, 0, 0]),
        ("google.protobuf.UInt64Value x = 1;", &[0x0a, 2, 0x08, 100]),
    ] {
        let writer = message(writer);
        let found = read(Recursion::Json, [&writer, &decimal(38, 2)], body);
        assert_eq!(found.map_err(|(code, _)| code), Err(codes::INCOMPATIBLE.id), "{writer}");
        let rows = read(Recursion::Json, [&writer, &decimal(38, 0)], body).unwrap();
        assert_eq!(rows["x"].as_primitive::<Decimal128Type>().value(0), 100, "{writer}");
    }
}

/// A unit is said of the value, in a list or not.
#[test]
fn durations_and_whole_numbers_are_different_in_lists_and_maps_too() {
    let duration = "google.protobuf.Duration";
    for (writer, target) in [
        ("repeated int64 x = 1;".to_owned(), format!("repeated {duration} x = 1;")),
        ("int64 x = 1;".to_owned(), format!("repeated {duration} x = 1;")),
        ("map<string, int64> x = 1;".to_owned(), format!("map<string, {duration}> x = 1;")),
        (format!("{duration} x = 1;"), "repeated int64 x = 1;".to_owned()),
    ] {
        let found = read(Recursion::Json, [&message(&writer), &message(&target)], &[]);
        let found = found.map_err(|(code, _)| code);
        assert_eq!(found, Err(codes::INCOMPATIBLE.id), "{writer} as {target}");
    }
    let versions =
        [message(&format!("{duration} x = 1;")), message(&format!("repeated {duration} x = 1;"))];
    // One second.
    let rows = read(Recursion::Json, [&versions[0], &versions[1]], &[0x0a, 2, 0x08, 1]).unwrap();
    let items = rows["x"].as_list::<i32>().value(0);
    assert_eq!(items.as_primitive::<Int64Type>().values(), &[1_000_000]);
}
