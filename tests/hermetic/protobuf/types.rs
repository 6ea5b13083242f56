//! What each type becomes, one test each; bytes are made by prost-reflect from text values.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Int32Type, Int64Type, Schema,
    TimeUnit, TimestampMicrosecondType, UInt32Type,
};
use forebay::config::{Enums, Presence, Reader, Recursion, Unsigned};
use forebay::decode::{Decoder, Options};
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;

use super::{compile, decoder, options, plan, proto2, proto3, root, try_plan};

/// Bytes of a message given in Protobuf's JSON.
fn encode(file: &prost_reflect::FileDescriptor, json: &str) -> Vec<u8> {
    let mut de = serde_json::Deserializer::from_str(json);
    DynamicMessage::deserialize(root(file), &mut de).unwrap().encode_to_vec()
}

fn decode(
    file: &prost_reflect::FileDescriptor,
    options: &Options,
    bodies: &[Vec<u8>],
) -> RecordBatch {
    let mut decoder = Decoder::new(plan(file, options));
    for body in bodies {
        decoder.append(body).unwrap_or_else(|e| panic!("{e}"));
    }
    let batch = decoder.finish();
    // The schema is what the arrays are, and Parquet's writer takes both.
    let checked = RecordBatch::try_new(batch.schema(), batch.columns().to_vec()).unwrap();
    let mut out = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut out, checked.schema(), None).unwrap();
    writer.write(&checked).unwrap();
    writer.close().unwrap();
    checked
}

fn types(schema: &Schema) -> Vec<(String, DataType, bool)> {
    let one = |f: &Arc<Field>| (f.name().clone(), f.data_type().clone(), f.is_nullable());
    schema.fields().iter().map(one).collect()
}

fn column(name: &str, data_type: DataType, nullable: bool) -> (String, DataType, bool) {
    (name.to_owned(), data_type, nullable)
}

#[test]
fn scalars_have_their_types_in_declaration_order() {
    let file = proto3(
        "message M { double d = 3; float f = 2; int32 i = 1; sint64 s = 4; fixed32 u = 5; uint64 v = 6;
         bool b = 7; string t = 8; bytes y = 9; optional int32 o = 10; E e = 11; }
         enum E { ZERO = 0; ONE = 1; UNO = -1; }",
    );
    let schema = plan(&file, &options()).schema.clone();
    let want = vec![
        column("d", DataType::Float64, false),
        column("f", DataType::Float32, false),
        column("i", DataType::Int32, false),
        column("s", DataType::Int64, false),
        column("u", DataType::Int64, false),
        column("v", DataType::Decimal128(20, 0), false),
        column("b", DataType::Boolean, false),
        column("t", DataType::Utf8, false),
        column("y", DataType::Binary, false),
        column("o", DataType::Int32, true),
        column("e", DataType::Utf8, false),
    ];
    assert_eq!(types(&schema), want);
    assert_eq!(schema.field(0).metadata()["forebay.field_number"], "3");

    let body = encode(&file, r#"{"u": 4294967295, "v": "18446744073709551615", "e": -7}"#);
    let batch = decode(&file, &options(), &[body, vec![], encode(&file, r#"{"e": -1, "o": 0}"#)]);
    assert_eq!(batch.column(4).as_primitive::<Int64Type>().values(), &[4_294_967_295, 0, 0]);
    assert_eq!(batch.column(5).as_primitive::<Decimal128Type>().value(0), u64::MAX.into());
    let names: Vec<_> = batch.column(10).as_string::<i32>().iter().flatten().collect();
    assert_eq!(names, ["-7", "ZERO", "UNO"]);
    assert_eq!(batch.column(9).null_count(), 2);
}

#[test]
fn options_change_unsigned_enums_and_presence() {
    let file =
        proto3("message M { uint32 u = 1; E e = 2; repeated uint64 v = 3; } enum E { ZERO = 0; }");
    let mut options = options();
    options.value.unsigned = Unsigned::Native;
    options.value.enums = Enums::Number;
    options.value.presence = Presence::Nullable;
    let batch = decode(&file, &options, &[encode(&file, r#"{"u": 7, "v": ["1"]}"#), vec![]]);
    assert_eq!(
        batch.column(0).as_primitive::<UInt32Type>().iter().collect::<Vec<_>>(),
        [Some(7), None]
    );
    assert_eq!(batch.column(1).as_primitive::<Int32Type>().null_count(), 2);
    assert!(!batch.schema().field(2).is_nullable());
}

#[test]
fn well_known_types_become_columns_of_their_own() {
    let file = compile(&[(
        "t.proto",
        r#"syntax = "proto3"; package t;
        import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
        import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
        import "google/protobuf/any.proto"; import "google/protobuf/field_mask.proto";
        import "google/protobuf/empty.proto";
        message M {
          google.protobuf.Timestamp at = 1; google.protobuf.Duration took = 2;
          google.protobuf.Int64Value n = 3; google.protobuf.Struct s = 4;
          google.protobuf.Any any = 5; google.protobuf.FieldMask mask = 6; google.protobuf.Empty e = 7;
          google.protobuf.StringValue text = 8; repeated google.protobuf.Value values = 9;
          map<string, google.protobuf.ListValue> lists = 10;
        }"#,
    )]);
    let body = encode(
        &file,
        r#"{"at": "2026-01-02T03:04:05.000006Z", "took": "-1.5s", "n": "0",
            "s": {"b": [1, 2.5, "x\n", null, true], "a": {}}, "mask": "fooBar,x", "e": {},
            "values": [null, 1], "lists": {"k": [1]}}"#,
    );
    // A wrapper that is there and empty; a map entry without value.
    let bare = vec![0x42, 0x00, 0x52, 0x03, 0x0a, 0x01, b'k'];
    let batch = decode(&file, &options(), &[body, vec![], bare]);
    let schema = batch.schema();
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(schema.field(0).data_type(), &utc);
    assert_eq!(schema.field(1).metadata()["forebay.unit"], "us");
    assert_eq!(schema.field(3).metadata()["ARROW:extension:name"], "arrow.json");
    let at = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(at.iter().collect::<Vec<_>>(), [Some(1_767_323_045_000_006), None, None]);
    let longs = |i: usize| batch.column(i).as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
    assert_eq!(longs(1), [Some(-1_500_000), None, None]);
    assert_eq!(longs(2), [Some(0), None, None]);
    let json = batch.column(3).as_string::<i32>().value(0);
    assert!(
        json == r#"{"a":{},"b":[1,2.5,"x\n",null,true]}"#
            || json == r#"{"b":[1,2.5,"x\n",null,true],"a":{}}"#,
        "{json}"
    );
    assert_eq!(batch.column(4).as_struct().column_names(), ["type_url", "value"]);
    assert!(batch.column(4).is_null(0));
    let mask = batch.column(5).as_list::<i32>();
    assert_eq!(
        mask.value(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(),
        ["foo_bar", "x"]
    );
    assert!(mask.is_null(1));
    let there = batch.column(6).as_boolean();
    assert_eq!(there.iter().collect::<Vec<_>>(), [Some(true), None, None]);
    let texts: Vec<_> = batch.column(7).as_string::<i32>().iter().collect();
    assert_eq!(texts, [None, None, Some("")]);
    let values = batch.column(8).as_list::<i32>().value(0);
    assert_eq!(values.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["null", "1"]);
    let lists = batch.column(9).as_map();
    assert_eq!(lists.value(2).column(1).as_string::<i32>().value(0), "[]");
}

#[test]
fn timestamp_finer_than_its_column_is_rejected_or_cut() {
    let file = compile(&[(
        "t.proto",
        r#"syntax = "proto3"; import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
        message M { google.protobuf.Timestamp at = 1; google.protobuf.Duration took = 2; }"#,
    )]);
    let body = encode(&file, r#"{"at": "1969-12-31T23:59:59.999999999Z"}"#);
    let mut options = options();
    options.value.truncate_timestamps = false;
    let mut strict = Decoder::new(plan(&file, &options));
    assert_eq!(strict.append(&body).unwrap_err().code.id, "FB0205");
    assert_eq!(strict.rows(), 0);
    options.value.truncate_timestamps = true;
    let took = encode(&file, r#"{"took": "-0.000001999s"}"#);
    let batch = decode(&file, &options, &[body, took]);
    assert_eq!(batch.column(0).as_primitive::<TimestampMicrosecondType>().value(0), -1);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(1), -1);
    // A year that Timestamp does not have.
    let mut far = vec![0x0a, 0x0a, 0x08];
    far.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(strict.append(&far).unwrap_err().code.id, "FB0205");
}

const DATES: &str = r#"syntax = "proto3"; package google.type;
    message Date { int32 year = 1; int32 month = 2; int32 day = 3; }
    message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }
    message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }"#;

#[test]
fn google_types_become_dates_times_and_structs() {
    let text = r#"syntax = "proto3"; import "google/type/all.proto";
        message M { google.type.Date d = 1; google.type.TimeOfDay t = 2; google.type.Money m = 3;
        map<int32, google.type.Date> ds = 4; }"#;
    let file = compile(&[("t.proto", text), ("google/type/all.proto", DATES)]);
    let body = encode(
        &file,
        r#"{"d": {"year": 2024, "month": 2, "day": 29}, "t": {"hours": 23, "seconds": 1, "nanos": 5000},
            "m": {"currencyCode": "EUR", "units": "3"}}"#,
    );
    let no_date = vec![0x22, 0x02, 0x08, 0x07];
    let batch = decode(&file, &options(), &[body.clone(), no_date]);
    assert_eq!(batch.column(0).as_primitive::<Date32Type>().value(0), 19_782);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(0), 82_801_000_005);
    assert_eq!(batch.schema().field(1).metadata()["forebay.unit"], "us");
    assert_eq!(batch.column(2).as_struct().column(0).as_string::<i32>().value(0), "EUR");
    assert!(batch.column(3).as_map().value(1).column(1).is_null(0));

    let native = Options { readers: vec![Reader::Native], ..options() };
    let batch = decode(&file, &native, &[body]);
    assert_eq!(batch.schema().field(1).data_type(), &DataType::Time64(TimeUnit::Microsecond));
    let feb30 = encode(&file, r#"{"d": {"year": 2024, "month": 2, "day": 30}}"#);
    assert_eq!(decoder(&file).append(&feb30).unwrap_err().code.id, "FB0205");
}

const META: &str = r#"syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto";
    message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
    extend google.protobuf.FieldOptions { Meta field_meta = 1088; }"#;
const DECIMAL: &str = r#"syntax = "proto3"; package confluent.type;
    message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"#;

#[test]
fn confluent_decimal_has_the_precision_of_its_meta() {
    let field = |name: &str, n: u32, p: u32, s: u32| {
        format!(
            "confluent.type.Decimal {name} = {n} [(confluent.field_meta) = {{ params: [ {{ key: \"precision\" value: \"{p}\" }}, {{ key: \"scale\" value: \"{s}\" }} ] }}];"
        )
    };
    let text = format!(
        "syntax = \"proto3\"; import \"confluent/meta.proto\"; import \"confluent/type/decimal.proto\"; message M {{ {} {} confluent.type.Decimal free = 3; }}",
        field("price", 1, 10, 2),
        field("wide", 2, 50, 4)
    );
    let file = compile(&[
        ("t.proto", &text),
        ("confluent/meta.proto", META),
        ("confluent/type/decimal.proto", DECIMAL),
    ]);
    // 123.45 as Java's BigInteger writes it: 0x3039, scale 2.
    let body = encode(
        &file,
        r#"{"price": {"value": "MDk=", "scale": 2}, "wide": {"value": "/w==", "scale": 1},
            "free": {"value": "MDk=", "precision": 5, "scale": 2}}"#,
    );
    let batch = decode(&file, &options(), std::slice::from_ref(&body));
    assert_eq!(batch.schema().field(0).data_type(), &DataType::Decimal128(10, 2));
    assert_eq!(batch.column(0).as_primitive::<Decimal128Type>().value(0), 12_345);
    assert_eq!(batch.column(1).as_string::<i32>().value(0), "-0.1");
    assert_eq!(batch.column(2).as_string::<i32>().value(0), "123.45");
    assert_eq!(plan(&file, &options()).notes.len(), 2);

    let native = Options { readers: vec![Reader::Native], ..options() };
    let batch = decode(&file, &native, &[body]);
    assert_eq!(batch.schema().field(1).data_type(), &DataType::Decimal256(50, 4));
    let value = batch.column(1).as_primitive::<Decimal256Type>().value(0);
    assert_eq!(value.to_string(), "-1000");
    let finer = encode(&file, r#"{"price": {"value": "MDk=", "scale": 3}}"#);
    assert_eq!(decoder(&file).append(&finer).unwrap_err().code.id, "FB0205");
}

#[test]
fn recursive_field_becomes_json_bytes_or_nothing() {
    let file = proto3("message M { int32 first_value = 1; M next = 2; repeated M more = 3; }");
    let body = encode(
        &file,
        r#"{"firstValue": 1, "next": {"firstValue": 2, "next": {"firstValue": 3}}, "more": [{}, {"firstValue": 4}]}"#,
    );
    let batch = decode(&file, &options(), std::slice::from_ref(&body));
    assert_eq!(
        batch.column(1).as_string::<i32>().value(0),
        r#"{"first_value":2,"next":{"first_value":3}}"#
    );
    let more = batch.column(2).as_list::<i32>().value(0);
    assert_eq!(
        more.as_string::<i32>().iter().flatten().collect::<Vec<_>>(),
        ["{}", "{\"first_value\":4}"]
    );

    let mut options = options();
    options.value.recursion = Recursion::Bytes;
    let batch = decode(&file, &options, std::slice::from_ref(&body));
    assert_eq!(batch.column(1).as_binary::<i32>().value(0), [0x08, 2, 0x12, 2, 0x08, 3]);
    options.value.recursion = Recursion::Drop;
    let batch = decode(&file, &options, &[body]);
    assert_eq!(batch.num_columns(), 1);
}

#[test]
fn group_inside_a_recursive_field_is_json_too() {
    let file = proto2(
        "message M { optional group G = 1 { optional int32 x = 2; optional M m = 3; repeated M all = 4; } }",
    );
    // g { m { g { x: 7 } } all { g { all { } } } }
    let body = vec![0x0b, 0x1a, 4, 0x0b, 0x10, 7, 0x0c, 0x22, 4, 0x0b, 0x22, 0, 0x0c, 0x0c];
    let batch = decode(&file, &options(), &[body]);
    let g = batch.column(0).as_struct();
    assert_eq!(g.column(1).as_string::<i32>().value(0), r#"{"g":{"x":7}}"#);
    let all = g.column(2).as_list::<i32>().value(0);
    assert_eq!(all.as_string::<i32>().value(0), r#"{"g":{"all":[{}]}}"#);
}

#[test]
fn parts_of_a_message_are_merged_and_oneof_keeps_the_last() {
    let file = proto3(
        "message M { S s = 1; oneof o { int32 a = 2; S b = 3; string c = 4; } repeated S list = 5; M m = 6; }
         message S { int32 x = 1; repeated int32 y = 2; }",
    );
    // s{x:1,y:[1]} · a:7 · s{y:[2]} · b{x:1} · b{y:[5]}
    let one = vec![
        0x0a, 4, 0x08, 1, 0x10, 1, 0x10, 7, 0x0a, 2, 0x10, 2, 0x1a, 2, 0x08, 1, 0x1a, 2, 0x10, 5,
    ];
    // b{x:9} · a:3 ; m in two parts
    let two = vec![0x1a, 2, 0x08, 9, 0x10, 3, 0x32, 4, 0x1a, 2, 0x08, 9, 0x32, 2, 0x10, 8];
    let batch = decode(&file, &options(), &[one, two]);
    let s = batch.column(0).as_struct();
    assert_eq!(s.column(1).as_list::<i32>().value(0).as_primitive::<Int32Type>().values(), &[1, 2]);
    let a = batch.column(1).as_primitive::<Int32Type>();
    assert_eq!(a.iter().collect::<Vec<_>>(), [None, Some(3)]);
    let b = batch.column(2).as_struct();
    assert!(b.is_valid(0) && b.is_null(1));
    assert_eq!(b.column(0).as_primitive::<Int32Type>().value(0), 1);
    assert_eq!(b.column(1).as_list::<i32>().value(0).as_primitive::<Int32Type>().values(), &[5]);
    let m = batch.column(5).as_string::<i32>();
    assert_eq!(m.value(1), r#"{"a":8}"#);
}

#[test]
fn proto2_groups_extensions_and_required_fields_are_nullable_columns() {
    let file = proto2(
        "message M { required int32 r = 1; optional string o = 2 [default = \"x\"]; optional group G = 3 { optional int32 z = 4; }
         repeated group H = 5 { optional int32 z = 6; } extensions 100 to 200; }
         extend M { optional int32 extra = 100; }",
    );
    let body = vec![0x1b, 0x20, 9, 0x1c, 0x2b, 0x2c, 0x2b, 0x30, 1, 0x2c, 0xa0, 0x06, 5];
    let batch = decode(&file, &options(), &[body]);
    let schema = batch.schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["r", "o", "g", "h", "[t.extra]"]);
    assert!(batch.column(0).is_null(0) && batch.column(1).is_null(0));
    assert_eq!(schema.field(1).metadata()["forebay.default"], "x");
    assert_eq!(batch.column(2).as_struct().column(0).as_primitive::<Int32Type>().value(0), 9);
    assert_eq!(batch.column(3).as_list::<i32>().value(0).len(), 2);
    assert_eq!(batch.column(4).as_primitive::<Int32Type>().value(0), 5);
}

#[test]
fn unknown_fields_are_skipped_and_counted() {
    let old = proto3("message M { int32 a = 1; }");
    let new = proto3("message M { int32 a = 1; string b = 2; repeated M c = 3; double d = 1000; }");
    let body = encode(&new, r#"{"a": 1, "b": "x", "c": [{}, {}], "d": 1.5}"#);
    let mut decoder = decoder(&old);
    decoder.append(&body).unwrap();
    assert_eq!(decoder.take_oddities().unknown_fields, 4);
    assert_eq!(decoder.take_oddities().unknown_fields, 0);
    assert_eq!(decoder.finish().column(0).as_primitive::<Int32Type>().values(), &[1]);
}

#[test]
fn required_fields_that_did_not_come_are_null_and_counted_where_their_message_is_there() {
    let file = proto2(
        "message M { required int32 a = 1; optional N n = 2; repeated N l = 3; required N r = 4; map<string, N> m = 5; }
         message N { required string s = 1; required bytes b = 2; optional int32 o = 3; }",
    );
    let mut decoder = decoder(&file);
    let bodies: [(&[u8], u64); 5] = [
        (&[], 2),                                                             // a, r
        (&[0x08, 1, 0x22, 4, 0x0a, 0, 0x12, 0], 0),                           // all of them
        (&[0x08, 1, 0x12, 0, 0x22, 2, 0x12, 0], 3),                           // n.s, n.b, r.s
        (&[0x1a, 0, 0x1a, 2, 0x0a, 0, 0x22, 4, 0x0a, 0, 0x12, 0], 1 + 2 + 1), // a, l[0].s, l[0].b, l[1].b
        (&[0x08, 1, 0x22, 0, 0x2a, 2, 0x12, 0], 2 + 2), // r.s, r.b, m[""].s, m[""].b
    ];
    for (body, missing) in bodies {
        decoder.append(body).unwrap();
        decoder.append(&[0x08]).unwrap_err();
        decoder.finish();
        assert_eq!(decoder.take_oddities().missing_fields, missing, "{body:?}");
    }
    for (body, _) in bodies {
        decoder.append(body).unwrap();
    }
    assert!(decoder.finish().column(0).is_null(0));
    let all: u64 = bodies.iter().map(|(_, missing)| missing).sum();
    assert_eq!(decoder.take_oddities().missing_fields, all);
    assert_eq!(decoder.take_oddities().missing_fields, 0);
}

#[test]
fn message_indexes_count_declared_messages_only() {
    let file = proto2(
        "message A { map<string, int32> m = 1; optional group G = 2 { optional int32 z = 3; }
         message B { optional int32 b = 1; } message C { optional int32 c = 1; } } message D { optional int32 d = 1; }",
    );
    let name =
        |indexes: &[u32]| try_plan(&file, indexes, &options()).map(|p| p.record_name.clone());
    assert_eq!(name(&[0, 0]).unwrap(), "t.A.B");
    assert_eq!(name(&[0, 1]).unwrap(), "t.A.C");
    assert_eq!(name(&[1]).unwrap(), "t.D");
    for wrong in [&[2][..], &[0, 2], &[1, 0], &[], &[u32::MAX]] {
        assert_eq!(name(wrong).unwrap_err().code.id, "FB0103", "{wrong:?}");
    }
}

#[test]
fn schemas_without_columns_or_with_too_many_are_refused() {
    let empty = proto3("message M {}");
    assert_eq!(try_plan(&empty, &[0], &options()).unwrap_err().code.id, "FB0207");
    // Each level names the next one eight times: 8^6 columns.
    let mut text = String::from("message M { L0 a = 1; } message L6 { int32 x = 1; }");
    for level in 0..6 {
        text.push_str(&format!("message L{level} {{"));
        for field in 1..=8 {
            text.push_str(&format!("L{} f{field} = {field};", level + 1));
        }
        text.push('}');
    }
    assert_eq!(try_plan(&proto3(&text), &[0], &options()).unwrap_err().code.id, "FB0208");
}

#[test]
fn names_that_differ_by_case_are_told_apart_for_readers_that_mind() {
    let file = proto2("message M { optional int32 id = 1; optional int32 ID = 2; }");
    let plan_all = plan(&file, &options());
    assert_eq!(plan_all.schema.field(1).name(), "ID_2");
    assert_eq!(plan_all.notes.len(), 1);
    let duckdb = Options { readers: vec![Reader::Duckdb], ..options() };
    assert_eq!(plan(&file, &duckdb).schema.field(1).name(), "ID");
}

#[test]
fn date_in_parts_is_the_whole_date_and_half_a_date_is_a_reject_with_its_place() {
    let file = compile(&[
        (
            "d.proto",
            "syntax = \"proto3\"; package t; import \"google/type/date.proto\";
         import \"google/protobuf/duration.proto\";
         message M { google.type.Date d = 1; google.protobuf.Duration t = 2;
                     oneof o { google.type.Date e = 3; bool b = 4; } }",
        ),
        (
            "google/type/date.proto",
            include_str!("../../../src/registry/known/google/type/date.proto"),
        ),
    ]);
    let mut decoder = decoder(&file);
    // 2024 (e8 0f), then month 2, then day 29; a duration of -1 s in its first part and 1 ns more than
    // nothing in its second, whose sign the third turns.
    let minus = |n: u8| [n, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let parts = [
        &[0x0a, 0x03, 0x08, 0xe8, 0x0f, 0x0a, 0x02, 0x10, 0x02, 0x0a, 0x02, 0x18, 0x1d][..],
        &[0x12, 0x0b, 0x08],
        &minus(0xff),
        &[0x12, 0x02, 0x10, 0x01, 0x12, 0x02, 0x08, 0x01],
        // Half a date that loses its oneof.
        &[0x1a, 0x02, 0x10, 0x02, 0x20, 0x01],
    ]
    .concat();
    decoder.append(&parts).unwrap();
    // Year and month alone.
    let reject = decoder.append(&[0x0a, 0x00, 0x0a, 0x03, 0x08, 0xe8, 0x0f]).unwrap_err();
    assert_eq!(reject.code.id, "FB0205");
    assert!(reject.message.contains("field `d` at byte 0 of 7"), "{reject}");
    decoder.append(&[0x20, 0x01]).unwrap();
    let batch = decoder.finish();
    let dates = batch.column(0).as_primitive::<Date32Type>();
    assert_eq!(dates.iter().collect::<Vec<_>>(), [Some(19_782), None]);
    assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(0), 1_000_000);
    assert!(batch.column(2).is_null(0));
}
