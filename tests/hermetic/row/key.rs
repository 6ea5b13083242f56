//! The column `_key`.

use std::collections::HashMap;
use std::sync::Arc;

use forebay::clock::Now;
use forebay::error::{Code, Fault, Kind};
use forebay::pipeline::intake::Need;
use forebay::pipeline::simulated::SimRecord;
use forebay::pipeline::task::Event;
use forebay::registry::Lookup;
use forebay::wire::SchemaRef;
use serde_json::{Value, json};

use super::{avro, datum, framed, framed_protobuf, protobuf, reasons, run};
use crate::by_hand::{asked, assigned, records, settle, task};

static GONE: Code = Code { id: "FB0998", kind: Kind::Halt, title: "t", help: "h" };
const ROW: &str = r#"{"type":"record","name":"Row","fields":[{"name":"n","type":"long"}]}"#;
const KEY: &str = r#"{"type":"record","name":"Key","namespace":"shop","fields":[
    {"name":"tenant","type":"string"},{"name":"id","type":"int"}]}"#;
const KEY_V2: &str = r#"{"type":"record","name":"Key","namespace":"shop","fields":[
    {"name":"tenant","type":"string"},{"name":"id","type":"int"},{"name":"zone","type":["null","string"]}]}"#;

fn with_key(n: i64, key: Option<Vec<u8>>) -> SimRecord {
    let value = Some(framed(1, &datum(ROW, json!({"n": n}))));
    SimRecord { key, value, ..SimRecord::default() }
}

fn key(id: u32, tenant: &str, number: i32) -> Vec<u8> {
    framed(id, &datum(KEY, json!({"tenant": tenant, "id": number})))
}

#[test]
fn key_of_a_record_becomes_a_struct_and_a_null_key_a_null() {
    let records = vec![
        with_key(1, Some(key(2, "a", 7))),
        with_key(2, None),
        with_key(3, Some(key(2, "b", 8))),
    ];
    let (data, _) = run("key: { format: auto }", vec![avro(1, ROW), avro(2, KEY)], records);
    assert_eq!(data.len(), 1);
    assert_eq!(
        data[0].columns(),
        ["n: Int64", "_key: Struct(\"tenant\": non-null Utf8, \"id\": non-null Int32)?"]
    );
    assert_eq!(
        data[0].json(),
        [
            json!({"n": 1, "_key": {"tenant": "a", "id": 7}}),
            json!({"n": 2, "_key": null}),
            json!({"n": 3, "_key": {"tenant": "b", "id": 8}}),
        ]
    );
}

#[test]
fn key_of_a_primitive_is_the_value_itself() {
    let keys = [json!("k1"), Value::Null, json!("k2")];
    let records = keys.iter().enumerate().map(|(n, k)| {
        with_key(n as i64, (!k.is_null()).then(|| framed(2, &datum("\"string\"", k.clone()))))
    });
    let schemas = vec![avro(1, ROW), avro(2, "\"string\"")];
    let (data, _) = run("key: { format: avro }", schemas, records.collect());
    assert_eq!(data[0].columns(), ["n: Int64", "_key: Utf8?"]);
    let found: Vec<Value> = data[0].json().iter().map(|row| row["_key"].clone()).collect();
    assert_eq!(found, keys);
}

#[test]
fn key_in_protobuf_beside_a_value_in_avro() {
    let text = "syntax = \"proto3\"; message K { uint32 id = 1; }";
    let record = with_key(1, Some(framed_protobuf(2, &[0x08, 0x96, 0x01])));
    let (data, _) =
        run("key: { format: auto }", vec![avro(1, ROW), protobuf(2, text)], vec![record]);
    // 0x96 0x01 is the specification's own example of a varint: 150.
    assert_eq!(data[0].json(), [json!({"n": 1, "_key": {"id": 150}})]);
}

#[test]
fn schema_id_of_a_key_may_stand_in_its_header() {
    let mut record = with_key(1, Some(datum(KEY, json!({"tenant": "h", "id": 1}))));
    record.headers = vec![("__key_schema_id".to_owned(), Some(vec![0, 0, 0, 0, 2]))];
    let (data, _) = run("key: { format: auto }", vec![avro(1, ROW), avro(2, KEY)], vec![record]);
    assert_eq!(data[0].json(), [json!({"n": 1, "_key": {"tenant": "h", "id": 1}})]);
}

#[test]
fn keys_of_two_schemas_make_files_of_their_own() {
    let second = framed(3, &datum(KEY_V2, json!({"tenant": "b", "id": 2, "zone": "z"})));
    let records = vec![
        with_key(1, Some(key(2, "a", 1))),
        with_key(2, Some(second)),
        with_key(3, Some(key(4, "c", 3))),
    ];
    // Ids 2 and 4 have the same columns, and share a file.
    let schemas = vec![avro(1, ROW), avro(2, KEY), avro(3, KEY_V2), avro(4, KEY)];
    let (mut data, rejects) = run("key: { format: auto }", schemas, records);
    data.sort_by_key(|file| file.rows.num_rows());
    assert_eq!(rejects.len(), 0);
    assert_eq!(data.len(), 2);
    assert_eq!(data[0].json(), [json!({"n": 2, "_key": {"tenant": "b", "id": 2, "zone": "z"}})]);
    assert_eq!(
        data[1].json(),
        [
            json!({"n": 1, "_key": {"tenant": "a", "id": 1}}),
            json!({"n": 3, "_key": {"tenant": "c", "id": 3}})
        ]
    );
}

#[test]
fn key_that_cannot_be_decoded_rejects_its_record_alone() {
    let cut = key(2, "abc", 1)[..7].to_vec();
    let records = vec![
        with_key(1, Some(key(2, "a", 1))),
        with_key(2, Some(cut)),
        with_key(3, Some(b"plain".to_vec())),
        with_key(4, Some(key(99, "x", 1))),
        // The key is good, the value is not: neither leaves anything behind.
        SimRecord {
            key: Some(key(2, "lost", 1)),
            value: Some(framed(1, &[])),
            ..SimRecord::default()
        },
        with_key(6, Some(key(2, "f", 6))),
    ];
    let (data, rejects) = run("key: { format: auto }", vec![avro(1, ROW), avro(2, KEY)], records);
    assert_eq!(
        data[0].json(),
        [
            json!({"n": 1, "_key": {"tenant": "a", "id": 1}}),
            json!({"n": 6, "_key": {"tenant": "f", "id": 6}})
        ]
    );
    let reasons = reasons(&rejects);
    let codes: Vec<&str> = reasons.iter().map(|(code, _)| code.as_str()).collect();
    assert_eq!(codes[1..3], ["FB0102", "FB0911"], "{reasons:?}");
    assert!(reasons[..3].iter().all(|(_, m)| m.contains("`_key`")), "{reasons:?}");
    assert!(reasons[0].1.contains("tenant"), "{reasons:?}");
    assert!(!reasons[3].1.contains("_key"), "{reasons:?}");
}

#[test]
fn key_as_text_or_bytes_takes_no_schema() {
    let bad = vec![b'a', 0xff];
    let records = || {
        vec![
            with_key(1, Some(b"caf\xc3\xa9".to_vec())),
            with_key(2, None),
            with_key(3, Some(bad.clone())),
        ]
    };
    let (data, rejects) = run("key: { format: string }", vec![avro(1, ROW)], records());
    assert_eq!(data[0].json(), [json!({"n": 1, "_key": "café"}), json!({"n": 2, "_key": null})]);
    let reasons = reasons(&rejects);
    assert_eq!(reasons[0].0, "FB0202");
    assert!(reasons[0].1.contains("`_key`") && reasons[0].1.contains("byte 1"), "{reasons:?}");
    let (data, _) = run("key: { format: bytes }", vec![avro(1, ROW)], records());
    let keys: Vec<Value> = data[0].json().iter().map(|row| row["_key"].clone()).collect();
    assert_eq!(keys, [json!("636166c3a9"), Value::Null, json!("61ff")]);
}

#[test]
fn key_in_another_language_than_asked_for_is_refused_by_the_options_name() {
    let records = vec![with_key(1, Some(key(2, "a", 1)))];
    let (data, rejects) =
        run("key: { format: protobuf }", vec![avro(1, ROW), avro(2, KEY)], records);
    assert_eq!(data.len(), 0);
    let (code, message) = &reasons(&rejects)[0];
    assert_eq!(code, "FB0914");
    assert!(message.contains("`key.format`") && message.contains("`_key`"), "{message}");
}

#[test]
fn keys_that_are_always_null_make_no_column_where_only_a_schema_could_say_its_type() {
    let (data, _) = run("key: { format: auto }", vec![avro(1, ROW)], vec![with_key(1, None)]);
    assert_eq!(data[0].columns(), ["n: Int64"]);
}

#[test]
fn partition_expressions_may_name_the_key_where_it_is_a_column() {
    let records = vec![with_key(1, Some(key(2, "a", 1))), with_key(2, None)];
    let more = "key: { format: auto }\npartition_by: [_key.tenant]";
    let (data, _) = run(more, vec![avro(1, ROW), avro(2, KEY)], records);
    let mut folders: Vec<&str> = data.iter().map(|file| file.folder.as_str()).collect();
    folders.sort();
    assert_eq!(folders, ["rows/tenant=__HIVE_DEFAULT_PARTITION__", "rows/tenant=a"]);
    let more = "key: { format: string }\npartition_by: [_key]";
    let (data, _) = run(more, vec![avro(1, ROW)], vec![with_key(1, Some(b"k".to_vec()))]);
    assert_eq!(data[0].folder, "rows/key=k");
    assert_eq!(data[0].columns(), ["n: Int64", "_key: Utf8?"]);
    let pipeline = super::parse("partition_by: [_key]").pipeline;
    let faults = forebay::pipeline::partitioner(&pipeline).unwrap_err();
    assert!(faults[0].message.contains("`key.format`"), "{faults:?}");
}

/// What a task does with records whose keys name schema 99, which the registry does not know.
#[test]
fn unknown_schema_of_keys_is_asked_for_together_with_the_values_and_pauses_by_the_breaker() {
    let pipeline = super::parse("key: { format: auto }").pipeline;
    let mut task = task(&pipeline, "rows", 1);
    let at = |mono_ms| Now { wall_ms: 0, mono_ms };
    settle(&mut task, assigned(None), at(0));
    let (key, value) = (key(99, "a", 1), framed(1, &datum(ROW, json!({"n": 1}))));
    let same = std::iter::repeat_n((Some(&key[..]), &value[..]), 150);
    let seen = settle(&mut task, records("rows", same), at(0));
    assert_eq!(asked(&seen), [SchemaRef::Id(1), SchemaRef::Id(99)]);
    let known = Ok(Arc::new(avro(1, ROW).1));
    settle(&mut task, Event::Schema(SchemaRef::Id(1), known), at(1));
    assert_eq!(task.waits_for(), Some(&Need::Schema(SchemaRef::Id(99))));
    let unknown = || Err(Lookup::Unknown(Fault::new(&GONE, "40403")));
    // The grace is 2 s; then its records are rejects, until there are too many of them.
    for now in [10, 1_000, 2_500] {
        settle(&mut task, Event::Schema(SchemaRef::Id(99), unknown()), at(now));
    }
    let counters = task.take_counters();
    assert_eq!(counters.rejects, HashMap::from([("FB0911", 99)]));
    assert_eq!(task.waits_for(), Some(&Need::Schema(SchemaRef::Id(99))));
}

#[test]
fn field_of_the_value_named_like_the_key_has_one_name_before_and_after_the_first_key() {
    let row = r#"{"type":"record","name":"Row","fields":[{"name":"_key","type":"long"}]}"#;
    let value = |n: i64| Some(framed(1, &datum(row, json!({"_key": n}))));
    let record = |n, key| SimRecord { key, value: value(n), ..SimRecord::default() };
    let records = vec![record(1, None), record(2, Some(key(2, "a", 7))), record(3, None)];
    for format in ["auto", "avro"] {
        let more = format!("key: {{ format: {format} }}");
        let (data, rejects) = run(&more, vec![avro(1, row), avro(2, KEY)], records.clone());
        assert_eq!(reasons(&rejects), []);
        let mut rows: Vec<Value> = data.iter().flat_map(|f| f.json()).collect();
        rows.sort_by_key(|row| row["_key_2"].as_i64());
        assert_eq!(
            rows,
            [
                json!({"_key_2": 1}),
                json!({"_key_2": 2, "_key": {"tenant": "a", "id": 7}}),
                json!({"_key_2": 3, "_key": null}),
            ]
        );
    }
    // Without a column for keys nothing is in its way.
    let (data, _) = run("", vec![avro(1, row)], vec![record(1, None)]);
    assert_eq!(data[0].json(), [json!({"_key": 1})]);
}

#[test]
fn unknown_fields_of_keys_are_counted_for_rows_alone() {
    let key_text = "syntax = \"proto3\"; message K { uint32 id = 1; }";
    let row_text = "syntax = \"proto3\"; message R { uint32 n = 1; }";
    let pipeline = super::parse("key: { format: auto }").pipeline;
    let mut task = task(&pipeline, "rows", 1);
    let now = Now { wall_ms: 0, mono_ms: 0 };
    settle(&mut task, assigned(None), now);
    // Fields 2 and 3 are not in K, field 9 is not in R.
    let key = framed_protobuf(2, &[0x08, 1, 0x10, 2, 0x18, 3]);
    let good = framed_protobuf(1, &[0x08, 1, 0x48, 1]);
    let cut = framed_protobuf(1, &[0x08]);
    let all = [(Some(&key[..]), &good[..]), (Some(&key[..]), &cut[..]), (None, &good[..])];
    settle(&mut task, records("rows", all), now);
    for (id, text) in [(1, row_text), (2, key_text)] {
        let known = Event::Schema(SchemaRef::Id(id), Ok(Arc::new(protobuf(id, text).1)));
        settle(&mut task, known, now);
    }
    settle(&mut task, Event::Finish, now);
    let counters = task.take_counters();
    // One in the value of each row, two in the key of the first row; the refused record counts for nothing.
    let unknown = counters.oddities.iter().map(|(id, o)| (*id, o.unknown_fields)).collect();
    let by_schema: std::collections::BTreeMap<u32, u64> =
        std::collections::BTreeMap::from([(1, 1 + 1), (2, 2)]);
    assert_eq!((unknown, counters.rejects.len()), (by_schema, 1));
}

#[test]
fn required_fields_missing_in_keys_are_counted_under_the_schema_of_the_key() {
    let key_text =
        "syntax = \"proto2\"; message K { required uint32 id = 1; optional uint32 o = 2; }";
    let row_text = "syntax = \"proto3\"; message R { uint32 n = 1; }";
    let pipeline = super::parse("key: { format: auto }").pipeline;
    let mut task = task(&pipeline, "rows", 1);
    let now = Now { wall_ms: 0, mono_ms: 0 };
    settle(&mut task, assigned(None), now);
    let (without, with) = (framed_protobuf(2, &[0x10, 2]), framed_protobuf(2, &[0x08, 1, 0x10, 2]));
    let row = framed_protobuf(1, &[0x08, 1]);
    let all = [(Some(&without[..]), &row[..]), (Some(&with[..]), &row[..]), (None, &row[..])];
    settle(&mut task, records("rows", all), now);
    for (id, text) in [(1, row_text), (2, key_text)] {
        let known = Event::Schema(SchemaRef::Id(id), Ok(Arc::new(protobuf(id, text).1)));
        settle(&mut task, known, now);
    }
    settle(&mut task, Event::Finish, now);
    let counted = task.take_counters().oddities;
    assert_eq!((counted.len(), counted[&2].missing_fields), (1, 1), "{counted:?}");
}

#[test]
fn fields_of_keys_have_no_ids_where_those_of_values_have_their_numbers() {
    let key_text = "syntax = \"proto3\"; message K { uint32 id = 1; }";
    let row_text = "syntax = \"proto3\"; message R { uint32 n = 1; uint32 m = 5; }";
    let record = SimRecord {
        key: Some(framed_protobuf(2, &[0x08, 7])),
        value: Some(framed_protobuf(1, &[0x08, 1, 0x28, 2])),
        ..SimRecord::default()
    };
    let more = "key: { format: auto }\nvalue: { field_ids: source }";
    let (data, _) = run(more, vec![protobuf(1, row_text), protobuf(2, key_text)], vec![record]);
    let schema = data[0].rows.schema();
    let id = |field: &arrow::datatypes::Field| field.metadata().get("PARQUET:field_id").cloned();
    let ids: Vec<_> = schema.fields().iter().map(|f| (f.name().as_str(), id(f))).collect();
    assert_eq!(ids, [("n", Some("1".to_owned())), ("m", Some("5".to_owned())), ("_key", None)]);
    let arrow::datatypes::DataType::Struct(key) = schema.field(2).data_type() else { panic!() };
    assert_eq!(key.iter().map(|f| id(f)).collect::<Vec<_>>(), [None]);
}

/// `partition_by` fits the columns that one schema of keys gives and not those of another: that one is to
/// blame, not the schema of the values, which all records share.
#[test]
fn key_whose_columns_do_not_fit_partition_by_is_blamed_alone() {
    let pipeline = super::parse("key: { format: auto }\npartition_by: ['day(_key.id)']").pipeline;
    let mut task = task(&pipeline, "rows", 1);
    let at = |mono_ms| Now { wall_ms: 0, mono_ms };
    settle(&mut task, assigned(None), at(0));
    let bare = r#"{"type":"record","name":"Key","fields":[{"name":"id","type":"boolean"}]}"#;
    let wrong = framed(3, &datum(bare, json!({"id": true})));
    let value = framed(1, &datum(ROW, json!({"n": 1})));
    settle(
        &mut task,
        records("rows", std::iter::repeat_n((Some(&wrong[..]), &value[..]), 150)),
        at(0),
    );
    for (id, text) in [(1, ROW), (3, bare)] {
        let known = Event::Schema(SchemaRef::Id(id), Ok(Arc::new(avro(id, text).1)));
        settle(&mut task, known, at(1));
    }
    assert_eq!(task.take_counters().rejects, HashMap::from([("FB0915", 99)]));
    assert_eq!(
        task.waits_for(),
        Some(&Need::Schema(SchemaRef::Id(3))),
        "the key's schema, not the value's"
    );
}
