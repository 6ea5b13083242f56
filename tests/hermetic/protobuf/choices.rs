//! What options change in the columns, and the corners of the mapping that no option touches. Bytes are
//! written out by hand from the encoding's specification.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};
use forebay::config::{FieldIds, Reader, TimestampUnit, UnknownFields};
use forebay::decode::{Decoder, Options, Plan};
use forebay::registry::Language;
use forebay::registry::compile::compile;
use forebay::registry::encode::Encoder;

use super::{compile as descriptors, options, plan, proto2, proto3};

fn rows(
    file: &prost_reflect::FileDescriptor,
    options: &Options,
    bodies: &[&[u8]],
) -> (RecordBatch, Vec<String>) {
    let plan = plan(file, options);
    let notes = plan.notes.clone();
    let mut decoder = Decoder::new(plan);
    for body in bodies {
        decoder.append(body).unwrap_or_else(|reject| panic!("{reject}"));
    }
    (decoder.finish(), notes)
}

fn moments() -> prost_reflect::FileDescriptor {
    descriptors(&[(
        "t.proto",
        "syntax = \"proto3\"; package t; import \"google/protobuf/timestamp.proto\";
         message M { google.protobuf.Timestamp at = 1; }",
    )])
}

#[test]
fn timestamps_have_the_unit_of_the_option_and_of_the_readers() {
    let file = moments();
    // 1 s and 2,003,004 ns; -1 s and 999,999,999 ns.
    let bodies: [&[u8]; 2] = [
        &[0x0a, 0x06, 0x08, 0x01, 0x10, 0xbc, 0xa0, 0x7a],
        &[
            0x0a, 0x11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x10,
            0xff, 0x93, 0xeb, 0xdc, 0x03,
        ],
    ];
    let with = |unit, readers: &[Reader]| {
        let mut options = options();
        options.value.timestamps = unit;
        options.readers = readers.to_vec();
        rows(&file, &options, &bodies)
    };
    let unit = |batch: &RecordBatch| match batch.schema().field(0).data_type() {
        DataType::Timestamp(unit, Some(zone)) if zone.as_ref() == "UTC" => *unit,
        other => panic!("{other}"),
    };
    let (ms, _) = with(TimestampUnit::Ms, &[Reader::Native]);
    assert_eq!(unit(&ms), TimeUnit::Millisecond);
    assert_eq!(ms.column(0).as_primitive::<TimestampMillisecondType>().values(), &[1_002, -1]);
    let (us, _) = with(TimestampUnit::Us, &[Reader::Native]);
    assert_eq!(us.column(0).as_primitive::<TimestampMicrosecondType>().values(), &[1_002_003, -1]);
    let (ns, notes) = with(TimestampUnit::Ns, &[Reader::Native]);
    assert_eq!((unit(&ns), notes.len()), (TimeUnit::Nanosecond, 0));
    let ns = ns.column(0).as_primitive::<TimestampNanosecondType>();
    assert_eq!(ns.values(), &[1_002_003_004, -1]);
    let (us, notes) = with(TimestampUnit::Ns, &[Reader::Spark]);
    assert_eq!(
        (unit(&us), notes),
        (TimeUnit::Microsecond, vec!["at: ns → µs for spark".to_owned()])
    );
}

#[test]
fn timestamp_that_its_unit_cannot_hold_is_rejected() {
    let file = moments();
    let mut options = options();
    options.readers = vec![Reader::Native];
    options.value.truncate_timestamps = false;
    // The year 2300: 10413792000 s. A millionth of a second.
    let far = [0x0a, 0x06, 0x08, 0x80, 0xfa, 0xd5, 0xe5, 0x26];
    let fine = [0x0a, 0x03, 0x10, 0xe8, 0x07];
    for (unit, body, fits) in [
        (TimestampUnit::Ns, &far[..], false),
        (TimestampUnit::Us, &far, true),
        (TimestampUnit::Ms, &far, true),
        (TimestampUnit::Ns, &fine, true),
        (TimestampUnit::Us, &fine, true),
        (TimestampUnit::Ms, &fine, false),
    ] {
        options.value.timestamps = unit;
        let got = Decoder::new(plan(&file, &options)).append(body);
        assert_eq!(
            got.map_err(|reject| reject.code.id),
            if fits { Ok(()) } else { Err("FB0205") },
            "{unit:?}"
        );
    }
    // Both parts of a timestamp that comes in two.
    options.value.timestamps = TimestampUnit::Ns;
    let (batch, _) = rows(&file, &options, &[&[0x0a, 0x02, 0x10, 0x05, 0x0a, 0x02, 0x08, 0x07]]);
    let ns = batch.column(0).as_primitive::<TimestampNanosecondType>();
    assert_eq!(ns.values(), &[7_000_000_005]);
}

/// Dates and timestamps each have their first column; what waits for its other part must not be taken for
/// the other's.
#[test]
fn date_that_is_none_beside_a_timestamp_rejects_its_record() {
    let file = descriptors(&[
        (
            "t.proto",
            "syntax = \"proto3\"; package t; import \"google/protobuf/timestamp.proto\"; import \"date.proto\";
             message M { google.type.Date d = 1; google.protobuf.Timestamp at = 2; }",
        ),
        (
            "date.proto",
            "syntax = \"proto3\"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }",
        ),
    ]);
    // May of 2024, without a day; then second 5.
    let body = b"\x0a\x05\x08\xe8\x0f\x10\x05\x12\x02\x08\x05";
    let refused = Decoder::new(plan(&file, &options())).append(body).unwrap_err();
    assert!(refused.to_string().contains("date `2024-5-0`"), "{refused}");
    // The same with its day in a second part.
    let body = [&body[..], b"\x0a\x02\x18\x03"].concat();
    let (batch, _) = rows(&file, &options(), &[&body]);
    let days = batch.column(0).as_primitive::<arrow::datatypes::Date32Type>();
    assert_eq!(days.value(0), 19_846);
    assert_eq!(batch.column(1).as_primitive::<TimestampMicrosecondType>().value(0), 5_000_000);
}

#[test]
fn strings_named_by_their_path_are_bytes() {
    let file = proto3(
        "message M { string raw = 1; S s = 2; repeated string all = 3; map<string, string> m = 4; string text = 5; }
         message S { string raw = 1; string text = 2; }",
    );
    let mut options = options();
    options.value.binary =
        ["raw", "s.raw", "all", "m.value", "text.nowhere"].map(String::from).to_vec();
    let body = [
        0x0a, 1, 0xff, 0x12, 3, 0x0a, 1, 0xfe, 0x1a, 1, 0xfd, 0x22, 6, 0x0a, 1, b'k', 0x12, 1,
        0xfc, 0x2a, 1, b't',
    ];
    let (batch, notes) = rows(&file, &options, &[&body]);
    assert_eq!(batch.column(0).as_binary::<i32>().value(0), [0xff]);
    let s = batch.column(1).as_struct();
    assert_eq!(s.column(0).as_binary::<i32>().value(0), [0xfe]);
    assert_eq!(s.column(1).data_type(), &DataType::Utf8);
    assert_eq!(batch.column(2).as_list::<i32>().value(0).as_binary::<i32>().value(0), [0xfd]);
    assert_eq!(batch.column(3).as_map().values().as_binary::<i32>().value(0), [0xfc]);
    assert_eq!(batch.column(4).as_string::<i32>().value(0), "t");
    assert_eq!(notes, ["text.nowhere: `value.binary` names it, no string field is there"]);
    // Text elsewhere is still text.
    let reject = Decoder::new(plan(&file, &options)).append(&[0x2a, 1, 0xff]).unwrap_err();
    assert_eq!(reject.code.id, "FB0202");
}

#[test]
fn unknown_fields_are_kept_where_the_option_says_so() {
    let file = proto3(
        "message M { int32 a = 1; S s = 2; repeated S l = 3; map<int32, S> m = 4; M again = 5; }
         message S { int32 x = 1; }",
    );
    let mut options = options();
    options.value.unknown_fields = UnknownFields::Keep;
    let unknown: [&[u8]; 5] = [
        &[0x50, 0x07],
        &[0x5b, 0x08, 0x01, 0x5c],
        &[0x22, 0x01, b'x'],
        &[0x2d, 1, 2, 3, 4],
        &[0xa1, 0x1f, 1, 2, 3, 4, 5, 6, 7, 8],
    ];
    let body = [
        unknown[0],
        &[0x08, 0x01],
        unknown[1],
        &[0x12, 3],
        unknown[2],
        &[0x1a, 0x00, 0x1a, 5],
        unknown[3],
        &[0x22, 12, 0x12, 10],
        unknown[4],
    ]
    .concat();
    let cut = [0x50, 0x07, 0x0a];
    let mut decoder = Decoder::new(plan(&file, &options));
    decoder.append(&[]).unwrap();
    decoder.append(&cut).unwrap_err();
    decoder.append(&body).unwrap();
    assert_eq!(decoder.take_oddities().unknown_fields, 5);
    let batch = decoder.finish();
    let kept = batch.column_by_name("_unknown").unwrap().as_list::<i32>();
    assert_eq!((kept.value(0).len(), kept.value(1).len(), kept.null_count()), (0, 5, 0));
    let kept = kept.value(1);
    let (paths, bytes) = (kept.as_struct().column(0), kept.as_struct().column(1));
    let paths: Vec<&str> = paths.as_string::<i32>().iter().flatten().collect();
    assert_eq!(paths, ["", "", "s", "l", "m.value"]);
    assert_eq!(bytes.as_binary::<i32>().iter().flatten().collect::<Vec<_>>(), unknown);
    // Without the option there is no such column; and a field of that name keeps it.
    assert!(plan(&file, &super::options()).schema.field_with_name("_unknown").is_err());
    let taken = proto3("message M { int32 _unknown = 1; }");
    let schema = plan(&taken, &options).schema.clone();
    assert_eq!(
        schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(),
        ["_unknown", "_unknown_"]
    );
}

#[test]
fn unknown_fields_inside_json_text_are_counted_once_however_the_message_comes() {
    let file = proto3("message M { int32 a = 1; M m = 2; }");
    let mut decoder = Decoder::new(plan(&file, &options()));
    // m { 9: 1, m { 9: 1 } }, and then the same again: four in all.
    let part = [0x12, 6, 0x48, 1, 0x12, 2, 0x48, 1];
    decoder.append(&part).unwrap();
    assert_eq!(decoder.take_oddities().unknown_fields, 2);
    decoder.append(&[part, part].concat()).unwrap();
    assert_eq!(decoder.take_oddities().unknown_fields, 4);
    decoder.append(&part).unwrap();
    assert_eq!(decoder.take_oddities().unknown_fields, 2);
}

#[test]
fn field_numbers_are_parquet_ids_where_the_option_says_so() {
    let file = proto3(
        "message M { int32 a = 7; S s = 9; repeated int32 l = 11; } message S { int32 x = 3; }",
    );
    let ids = |options: &Options| {
        let (batch, _) = rows(&file, options, &[&[]]);
        let mut out = Vec::new();
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(&mut out, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let footer = writer.close().unwrap();
        let root = footer.file_metadata().schema_descr().root_schema().clone();
        root.get_fields()
            .iter()
            .map(|f| {
                let info = f.get_basic_info();
                info.has_id().then(|| info.id())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&options()), [None; 3]);
    let mut options = options();
    options.value.field_ids = FieldIds::Source;
    assert_eq!(ids(&options), [Some(7), Some(9), Some(11)]);
}

#[test]
fn enum_numbers_without_a_name_are_kept_as_text_open_or_closed() {
    let text =
        "message M { optional E e = 1; repeated E l = 2; } enum E { ZERO = 0; ONE = 1; UNO = 1; }";
    let alias = text.replace("{ ZERO", "{ option allow_alias = true; ZERO");
    for file in [proto3(&alias), proto2(&alias)] {
        // 1 has two names; 7 and -2 have none.
        let body =
            [0x08, 0x07, 0x10, 1, 0x10, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let (batch, _) = rows(&file, &options(), &[&body]);
        assert_eq!(batch.column(0).as_string::<i32>().value(0), "7");
        let list = batch.column(1).as_list::<i32>().value(0);
        assert_eq!(list.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["ONE", "-2"]);
    }
}

#[test]
fn maps_keep_the_last_of_equal_keys_and_hold_maps() {
    let file = proto3("message M { map<int32, S> m = 1; } message S { map<string, int64> n = 1; }");
    // 5: { "a": 1 }, then 6: { }, then 5: { "b": 2, "b": 3, "": 0 }.
    let body = [
        0x0a, 11, 0x08, 5, 0x12, 7, 0x0a, 5, 0x0a, 1, b'a', 0x10, 1, //
        0x0a, 2, 0x08, 6, //
        0x0a, 20, 0x08, 5, 0x12, 16, 0x0a, 5, 0x0a, 1, b'b', 0x10, 2, 0x0a, 5, 0x0a, 1, b'b', 0x10,
        3, 0x0a, 0,
    ];
    let (batch, _) = rows(&file, &options(), &[&body]);
    let map = batch.column(0).as_map();
    let keys: Vec<i32> = map.keys().as_primitive::<Int32Type>().values().to_vec();
    let inner = map.values().as_struct().column(0).as_map();
    let mut found: Vec<(i32, Vec<(String, i64)>)> = keys
        .iter()
        .enumerate()
        .map(|(at, key)| {
            let entries = inner.value(at);
            let values = entries.column(1).as_primitive::<Int64Type>().values().to_vec();
            let keys = entries.column(0).as_string::<i32>().iter().flatten().map(str::to_owned);
            (*key, keys.zip(values).collect())
        })
        .collect();
    found.sort();
    assert_eq!(found.len(), 2, "{found:?}");
    let mut five = found[0].1.clone();
    five.sort();
    assert_eq!((found[0].0, five), (5, vec![(String::new(), 0), ("b".to_owned(), 3)]));
    assert_eq!(found[1], (6, Vec::new()));
}

#[test]
fn any_keeps_its_url_and_bytes_and_nested_any_is_not_opened() {
    let file = descriptors(&[(
        "t.proto",
        "syntax = \"proto3\"; package t; import \"google/protobuf/any.proto\";
         message M { google.protobuf.Any any = 1; repeated google.protobuf.Any all = 2; }",
    )]);
    let body = [0x0a, 8, 0x0a, 2, b'u', b'/', 0x12, 2, 0x0a, 0xff, 0x12, 0];
    let (batch, _) = rows(&file, &options(), &[&body]);
    let any = batch.column(0).as_struct();
    assert_eq!(any.column(0).as_string::<i32>().value(0), "u/");
    assert_eq!(any.column(1).as_binary::<i32>().value(0), [0x0a, 0xff]);
    assert_eq!(batch.column(1).as_list::<i32>().value(0).len(), 1);
}

#[test]
fn delimited_fields_of_an_edition_are_written_and_read_as_groups() {
    let text = "edition = \"2023\"; package t; option features.message_encoding = DELIMITED;
        message M { S s = 1; repeated S l = 2; map<int32, S> m = 3; message S { int32 x = 1; M deep = 2; } }";
    let schema = compile(1, Language::Protobuf, text, &[]).unwrap();
    let plan = Plan::compile(&schema, &[0], &options()).unwrap();
    let encoder = Encoder::new(Arc::new(schema), None).unwrap();
    let value = serde_json::json!({ "s": { "x": 5, "deep": { "s": { "x": 6 } } }, "l": [{}, { "x": 7 }], "m": { "1": { "x": 8 } } });
    let mut body = Vec::new();
    encoder.body(&value, &mut body).unwrap();
    let want = [
        // s: group 1 { x: 5, deep: group 2 { s: group 1 { x: 6 } } }
        &[0x0b, 0x08, 5, 0x13, 0x0b, 0x08, 6, 0x0c, 0x14, 0x0c][..],
        &[0x13, 0x14, 0x13, 0x08, 7, 0x14],
        // Entries of maps, and their values, keep their lengths.
        &[0x1a, 6, 0x08, 1, 0x12, 2, 0x08, 8],
    ]
    .concat();
    assert_eq!(body, want);
    let mut decoder = Decoder::new(plan);
    decoder.append(&body).unwrap();
    let batch = decoder.finish();
    let s = batch.column(0).as_struct();
    assert_eq!(s.column(0).as_primitive::<Int32Type>().value(0), 5);
    assert_eq!(s.column(1).as_string::<i32>().value(0), r#"{"s":{"x":6}}"#);
    assert_eq!(batch.column(1).as_list::<i32>().value(0).len(), 2);
    let values = batch.column(2).as_map().values().as_struct().column(0).clone();
    assert_eq!(values.as_primitive::<Int32Type>().value(0), 8);
}

#[test]
fn plan_says_what_its_schema_was_forgiven() {
    let text = "syntax = \"proto3\"; import \"gone.proto\"; message M { int32 a = 1 [(acme.pii) = true]; }";
    let schema = compile(1, Language::Protobuf, text, &[]).unwrap();
    let plan = Plan::compile(&schema, &[0], &options()).unwrap();
    assert_eq!(
        plan.notes,
        ["schema: option `(acme.pii)` not read", "schema: import `gone.proto` not found"]
    );
}

#[test]
fn message_set_is_there_or_not_and_its_contents_are_unknown_fields() {
    let file = proto2(
        "message M { optional Set s = 1; optional int32 after = 2; }
         message Set { option message_set_wire_format = true; extensions 4 to max; }
         message Item { extend Set { optional Item item = 1547769; } optional int32 i = 25; }",
    );
    // item { type_id: 1547769, message: { 25: 1 } }, as a group of number 1.
    let body = [0x0a, 11, 0x0b, 0x10, 0xf9, 0xbb, 0x5e, 0x1a, 3, 0xc8, 0x01, 1, 0x0c, 0x10, 3];
    let mut decoder = Decoder::new(plan(&file, &options()));
    assert_eq!(
        decoder.plan().notes,
        ["s: `t.Set` is a message set, its contents are unknown fields"]
    );
    decoder.append(&body).unwrap();
    assert_eq!(decoder.take_oddities().unknown_fields, 1);
    let batch = decoder.finish();
    assert!(batch.column(0).as_boolean().value(0));
    assert_eq!(batch.column(1).as_primitive::<Int32Type>().value(0), 3);
}

#[test]
fn keys_of_maps_stay_text_whatever_is_said_of_them() {
    let mut options = options();
    let file = proto3("message M { map<string, string> m = 1; }");
    options.value.binary = vec!["m.key".into(), "m.value".into()];
    let keys = plan(&file, &options);
    assert_eq!(keys.notes, ["m.key: keys of maps stay text, whatever `value.binary` says"]);
    let mut decoder = Decoder::new(keys);
    decoder.append(&[0x0a, 6, 0x0a, 1, b'k', 0x12, 1, 0xff]).unwrap();
    decoder.append(&[0x0a, 3, 0x0a, 1, b'k', 0x0a, 3, 0x0a, 1, b'k']).unwrap();
    let maps = decoder.finish();
    assert_eq!(maps.column(0).as_map().keys().as_string::<i32>().value(0), "k");
}
