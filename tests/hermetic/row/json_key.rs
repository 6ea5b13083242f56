//! Keys in JSON without a registry: `key.format: json` and `json_connect`, as Kafka Connect's `JsonConverter`
//! writes them with and without `schemas.enable`.

use forebay::clock::Now;
use forebay::pipeline::simulated::SimRecord;
use serde_json::{Value, json};

use super::{avro, datum, framed, parse, reasons, run};
use crate::by_hand::{assigned, records, settle, task};

const ROW: &str = r#"{"type":"record","name":"Row","fields":[{"name":"n","type":"long"}]}"#;

/// A value beside a key.
fn with_key(n: i64, key: Option<&str>) -> SimRecord {
    SimRecord {
        key: key.map(|key| key.as_bytes().to_vec()),
        value: Some(framed(1, &datum(ROW, json!({"n": n})))),
        ..SimRecord::default()
    }
}

/// A key of one field as `JsonConverter` writes it.
fn connect(ty: &str, name: &str, payload: Value) -> String {
    json!({"schema": {"type": "struct", "fields": [{"type": ty, "optional": false, "field": name}],
        "optional": false, "name": "shop.Key"}, "payload": payload})
    .to_string()
}

#[test]
fn key_as_json_is_typed_by_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let schema = r#"{"type":"object","required":["id"],"properties":
        {"id":{"type":"integer"},"at":{"type":"string","format":"date"}}}"#;
    std::fs::write(&path, schema).unwrap();
    let more = format!("key: {{ format: json, schema: '{}' }}", path.display());
    let keys = vec![
        with_key(1, Some(r#"{"at": "2026-01-02", "id": 9007199254740993}"#)),
        with_key(2, None),
        with_key(3, Some(r#"{"id": 7, "more": 1}"#)),
        with_key(4, Some(r#"{"id": "7"}"#)),
        with_key(5, Some(r#"{"id": 1} {"#)),
    ];
    let (data, rejects) = run(&more, vec![avro(1, ROW)], keys);
    assert_eq!(
        data[0].columns(),
        ["n: Int64", "_key: Struct(\"id\": non-null Int64, \"at\": Date32)?"]
    );
    assert_eq!(
        data[0].json(),
        [
            json!({"n": 1, "_key": {"id": 9_007_199_254_740_993_i64, "at": "2026-01-02"}}),
            json!({"n": 2, "_key": null}),
            json!({"n": 3, "_key": {"id": 7, "at": null}}),
        ]
    );
    let reasons = reasons(&rejects);
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons.iter().all(|(_, m)| m.starts_with("field `_key`: ")), "{reasons:?}");
    assert!(reasons[0].1.contains("`id` at byte 7"), "{reasons:?}");
}

#[test]
fn key_as_json_without_a_schema_is_its_text() {
    let texts = [r#"{"b": [1, 2.50], "a": 1e400}"#, "\"k\"", "7", "{broken"];
    let keys = texts.iter().enumerate().map(|(n, text)| with_key(n as i64, Some(text))).collect();
    let more = "key: { format: json }\npartition_by: [n]";
    let (data, rejects) = run(more, vec![avro(1, ROW)], keys);
    let mut found: Vec<String> =
        data.iter().map(|f| f.json()[0]["_key"].as_str().unwrap().to_owned()).collect();
    found.sort();
    assert_eq!(found, ["\"k\"", "7", texts[0]]);
    assert!(data[0].columns().contains(&"_key: Utf8?".to_owned()), "{:?}", data[0].columns());
    assert_eq!(reasons(&rejects).len(), 1);
}

#[test]
fn key_with_its_schema_inside_is_typed_by_it() {
    let keys = vec![
        with_key(1, None),
        with_key(2, Some(&connect("int32", "id", json!({"id": 5})))),
        with_key(3, None),
        with_key(4, Some(&connect("int32", "id", json!({"id": 6})))),
        with_key(5, Some(r#"{"schema":{"type":"string","optional":false},"payload":"plain"}"#)),
        with_key(6, Some(r#"{"payload":"no schema"}"#)),
        with_key(7, Some(&connect("int32", "id", json!({"id": 1_u64 << 40})))),
        with_key(8, Some(&connect("nothing", "id", json!({"id": 1})))),
    ];
    let (data, rejects) = run("key: { format: json_connect }", vec![avro(1, ROW)], keys);
    let mut rows: Vec<Value> = data.iter().flat_map(super::File::json).collect();
    rows.sort_by_key(|row| row["n"].as_i64());
    // Before the first key nobody knows the column's type; then a null takes that of the key before it.
    assert_eq!(
        rows,
        [
            json!({"n": 1}),
            json!({"n": 2, "_key": {"id": 5}}),
            json!({"n": 3, "_key": null}),
            json!({"n": 4, "_key": {"id": 6}}),
            json!({"n": 5, "_key": "plain"}),
        ]
    );
    let reasons = reasons(&rejects);
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.iter().all(|(_, m)| m.starts_with("field `_key`: ")), "{reasons:?}");
    assert!(reasons[0].1.contains("`schema`"), "{reasons:?}");
    assert!(reasons[1].1.contains("`id`"), "{reasons:?}");
    assert!(reasons[2].1.contains("`nothing`"), "{reasons:?}");
}

#[test]
fn key_and_value_may_both_have_their_schemas_inside_and_need_no_registry() {
    let record = |id: i32, n: i64| SimRecord {
        key: Some(connect("int32", "id", json!({"id": id})).into_bytes()),
        value: Some(connect("int64", "n", json!({"n": n})).into_bytes()),
        ..SimRecord::default()
    };
    let tombstone = SimRecord { value: None, ..record(3, 0) };
    let more = "key: { format: json_connect }\nvalue: { format: json_connect, tombstones: row }\n\
                partition_by: [_key.id]";
    let (data, rejects) = run(more, Vec::new(), vec![record(1, 10), record(2, 20), tombstone]);
    assert_eq!(reasons(&rejects), []);
    let mut found: Vec<(String, Value)> =
        data.iter().map(|f| (f.folder.clone(), f.json()[0].clone())).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let row = |n: Value, id: i32, gone: bool| json!({"n": n, "_deleted": gone, "_key": {"id": id}});
    assert_eq!(
        found,
        [
            ("rows/id=1".to_owned(), row(json!(10), 1, false)),
            ("rows/id=2".to_owned(), row(json!(20), 2, false)),
            ("rows/id=3".to_owned(), row(Value::Null, 3, true)),
        ]
    );
}

/// Schemas come with records, and may be any: what is known of them stays bounded, and so does the number of
/// plans, while every row keeps its key.
#[test]
fn thousands_of_schemas_inside_keys_are_forgotten_in_time() {
    let pipeline = parse("key: { format: json_connect }\nvalue: { format: string }").pipeline;
    let mut task = task(&pipeline, "rows", 1);
    let now = Now { wall_ms: 0, mono_ms: 0 };
    settle(&mut task, assigned(None), now);
    let keys: Vec<String> = (0..3_000)
        .map(|n| connect("int32", &format!("f{n}"), json!({format!("f{n}"): n})))
        .collect();
    let all = keys.iter().map(|key| (Some(key.as_bytes()), &b"v"[..]));
    settle(&mut task, records("rows", all), now);
    let counters = task.take_counters();
    assert_eq!((counters.records, counters.rejects.len()), (3_000, 0));
}
