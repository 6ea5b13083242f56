//! Debezium's change events, as its connectors write them with Avro and Protobuf converters.

use forebay::pipeline::simulated::SimRecord;
use serde_json::{Value, json};

use super::{File, avro, datum, framed, framed_protobuf, protobuf, reasons, run};

/// The envelope of a table, in the form the documentation of the PostgreSQL connector shows.
pub(super) const ENVELOPE: &str = r#"{"type":"record","name":"Envelope","namespace":"dbserver1.inventory.orders","fields":[
    {"name":"before","default":null,"type":["null",{"type":"record","name":"Value","fields":[
        {"name":"id","type":"int"},
        {"name":"name","type":["null","string"],"default":null},
        {"name":"born","type":["null",{"type":"int","connect.version":1,"connect.name":"io.debezium.time.Date"}],"default":null},
        {"name":"made","type":{"type":"long","connect.default":0,"connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"},"default":0},
        {"name":"seen","type":{"type":"long","connect.version":1,"connect.name":"io.debezium.time.Timestamp"}},
        {"name":"fine","type":{"type":"long","connect.version":1,"connect.name":"io.debezium.time.NanoTimestamp"}},
        {"name":"zoned","type":{"type":"string","connect.version":1,"connect.name":"io.debezium.time.ZonedTimestamp"}},
        {"name":"noon","type":{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTime"}}
    ],"connect.name":"dbserver1.inventory.orders.Value"}]},
    {"name":"after","type":["null","Value"],"default":null},
    {"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.postgresql","fields":[
        {"name":"db","type":"string"},{"name":"lsn","type":["null","long"],"default":null}]}},
    {"name":"op","type":"string"},
    {"name":"ts_ms","type":["null","long"],"default":null}
    ],"connect.name":"dbserver1.inventory.orders.Envelope"}"#;

const KEY: &str = r#"{"type":"record","name":"Key","namespace":"dbserver1.inventory.orders","fields":[{"name":"id","type":"int"}]}"#;

const UNWRAP: &str = "value: { unwrap: debezium }";

pub(super) fn state(id: i64, name: &str) -> Value {
    // 2026-01-02 is day 20,455; 03:04:05.678901 of it is 11,045,678,901 µs past midnight.
    let micros = 20_455 * 86_400_000_000_i64 + 11_045_678_901;
    json!({"id": id, "name": name, "born": 20_455, "made": micros, "seen": micros / 1_000,
        "fine": micros * 1_000 + 999, "zoned": "2026-01-02T03:04:05+01:00", "noon": 43_200_000_000_i64})
}

fn event(op: &str, before: Value, after: Value) -> SimRecord {
    let ts_ms = 1_767_323_045_000_i64;
    let value = json!({"before": before, "after": after, "source": {"db": "inventory", "lsn": 7},
        "op": op, "ts_ms": ts_ms});
    SimRecord { value: Some(framed(1, &datum(ENVELOPE, value))), ..SimRecord::default() }
}

fn schemas() -> Vec<(u32, forebay::registry::Schema)> {
    vec![avro(1, ENVELOPE), avro(2, KEY)]
}

fn brief(file: &File) -> Vec<(Value, Value, Value, Value)> {
    let rows = file.json();
    let of = |row: &Value| {
        let at = |name: &str| row[name].clone();
        (at("id"), at("name"), at("_op"), at("_deleted"))
    };
    rows.iter().map(of).collect()
}

#[test]
fn envelope_stays_as_it_is_by_default() {
    let (data, _) = run("", schemas(), vec![event("c", Value::Null, state(1, "a"))]);
    let names: Vec<String> =
        data[0].columns().iter().map(|c| c.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["before", "after", "source", "op", "ts_ms"]);
}

#[test]
fn events_become_rows_of_the_table_with_debeziums_types() {
    let records = vec![event("c", Value::Null, state(1, "a"))];
    let (data, _) = run(UNWRAP, schemas(), records);
    assert_eq!(
        data[0].columns(),
        [
            "id: Int32?",
            "name: Utf8?",
            "born: Date32?",
            "made: Timestamp(µs)?",
            "seen: Timestamp(ms)?",
            "fine: Timestamp(µs)?",
            "zoned: Utf8?",
            "noon: Int64?",
            "_op: Utf8?",
            "_ts_ms: Int64?",
            "_deleted: Boolean",
        ]
    );
    let expected = json!({"id": 1, "name": "a", "born": "2026-01-02T00:00:00",
        "made": "2026-01-02T03:04:05.678901", "seen": "2026-01-02T03:04:05.678",
        "fine": "2026-01-02T03:04:05.678901", "zoned": "2026-01-02T03:04:05+01:00",
        "noon": 43_200_000_000_i64, "_op": "c", "_ts_ms": 1_767_323_045_000_i64, "_deleted": false});
    assert_eq!(data[0].json(), [expected]);
}

#[test]
fn deletes_take_before_and_everything_else_takes_after() {
    let null = || Value::Null;
    let records = vec![
        event("r", null(), state(1, "snapshot")),
        event("c", null(), state(2, "made")),
        event("u", state(2, "made"), state(2, "changed")),
        event("d", state(2, "changed"), null()),
        // A connector that has no row to show: what is gone stands in the key.
        event("d", null(), null()),
        event("t", null(), null()),
        event("u", state(1, "snapshot"), state(1, "last")),
    ];
    let (data, rejects) = run(UNWRAP, schemas(), records);
    assert_eq!(rejects.len(), 0);
    let row =
        |id: Value, name: Value, op: &str, deleted: bool| (id, name, json!(op), json!(deleted));
    assert_eq!(
        brief(&data[0]),
        [
            row(json!(1), json!("snapshot"), "r", false),
            row(json!(2), json!("made"), "c", false),
            row(json!(2), json!("changed"), "u", false),
            row(json!(2), json!("changed"), "d", true),
            row(null(), null(), "d", true),
            row(null(), null(), "t", false),
            row(json!(1), json!("last"), "u", false),
        ]
    );
}

#[test]
fn tombstones_after_deletes_are_skipped_or_are_rows_by_the_tombstones_option() {
    let records = || {
        vec![
            event("c", Value::Null, state(1, "a")),
            event("d", state(1, "a"), Value::Null),
            SimRecord {
                key: Some(framed(2, &datum(KEY, json!({"id": 1})))),
                ..SimRecord::default()
            },
            event("c", Value::Null, state(2, "b")),
        ]
    };
    let (data, rejects) = run(UNWRAP, schemas(), records());
    assert_eq!((data[0].rows.num_rows(), rejects.len()), (3, 0));
    let more = "value: { unwrap: debezium, tombstones: row }\nkey: { format: auto }";
    let (data, _) = run(more, schemas(), records());
    let with_keys: Vec<_> = data.iter().flat_map(File::json).collect();
    let tombstone = with_keys.iter().find(|row| row["_key"] == json!({"id": 1})).unwrap();
    assert_eq!((&tombstone["_deleted"], &tombstone["_op"]), (&json!(true), &Value::Null));
    assert_eq!((&tombstone["id"], &tombstone["_ts_ms"]), (&Value::Null, &Value::Null));
    let deleted = with_keys.iter().filter(|row| row["_deleted"] == true).count();
    assert_eq!((with_keys.len(), deleted), (4, 2));
}

#[test]
fn partition_expressions_see_the_unwrapped_columns() {
    let more = format!("{UNWRAP}\npartition_by: [name, day(made), _op]");
    let records =
        vec![event("c", Value::Null, state(1, "a")), event("d", state(1, "b"), Value::Null)];
    let (data, _) = run(&more, schemas(), records);
    let mut folders: Vec<&str> = data.iter().map(|file| file.folder.as_str()).collect();
    folders.sort();
    // Readers hide folders that start with `_`.
    assert_eq!(
        folders,
        ["rows/name=a/made_day=2026-01-02/op=c", "rows/name=b/made_day=2026-01-02/op=d"]
    );
}

#[test]
fn heartbeat_is_rejected_by_a_code_that_names_the_option_and_pauses_nothing() {
    let heartbeat = r#"{"type":"record","name":"Heartbeat","namespace":"io.debezium.connector.common","fields":[{"name":"ts_ms","type":"long"}]}"#;
    let beat = || SimRecord {
        value: Some(framed(3, &datum(heartbeat, json!({"ts_ms": 5})))),
        ..SimRecord::default()
    };
    // More than the breaker lets pass where a schema is to blame.
    let mut records: Vec<SimRecord> = (0..1_500).map(|_| beat()).collect();
    records.push(event("c", Value::Null, state(1, "a")));
    let schemas = vec![avro(1, ENVELOPE), avro(3, heartbeat)];
    let (data, rejects) = run(UNWRAP, schemas, records);
    assert_eq!(data[0].rows.num_rows(), 1);
    let reasons = reasons(&rejects);
    assert_eq!(reasons.len(), 1_500);
    assert_eq!(reasons[0].0, "FB0285");
    assert!(reasons[0].1.contains("`value.unwrap: debezium`"), "{reasons:?}");
    assert!(reasons[0].1.contains("Heartbeat") && reasons[0].1.contains("`before`"));
}

#[test]
fn envelope_in_protobuf_is_unwrapped_like_one_in_avro() {
    let text = "syntax = \"proto3\"; package dbserver1.inventory.orders; \
        message Envelope { Value before = 1; Value after = 2; string op = 4; optional int64 ts_ms = 5; } \
        message Value { int32 id = 1; optional string name = 2; }";
    // Fields 1 and 2 with length, field 4 text, field 5 a varint: by hand from the specification.
    let create = [0x12, 5, 0x08, 7, 0x12, 1, b'x', 0x22, 1, b'c', 0x28, 9];
    let delete = [0x0a, 2, 0x08, 8, 0x22, 1, b'd'];
    let of =
        |body: &[u8]| SimRecord { value: Some(framed_protobuf(1, body)), ..SimRecord::default() };
    let (data, _) =
        run(UNWRAP, vec![protobuf(1, text)], vec![of(&create), of(&delete), of(&create)]);
    let create = json!({"id": 7, "name": "x", "_op": "c", "_ts_ms": 9, "_deleted": false});
    let delete = json!({"id": 8, "name": null, "_op": "d", "_ts_ms": null, "_deleted": true});
    assert_eq!(data[0].json(), [create.clone(), delete, create]);
}

#[test]
fn schemas_close_to_an_envelope_are_refused_for_what_they_lack() {
    let table = r#"{"type":"record","name":"V","fields":[{"name":"id","type":"int"}]}"#;
    let of = |before: &str, after: &str, op: &str, ts: &str| {
        format!(
            r#"{{"type":"record","name":"E","fields":[{{"name":"before","type":{before}}},
            {{"name":"after","type":{after}}},{{"name":"op","type":{op}}},{{"name":"ts_ms","type":{ts}}}]}}"#
        )
    };
    let other = r#"{"type":"record","name":"W","fields":[{"name":"id","type":"long"}]}"#;
    for (schema, part) in [
        (of("\"string\"", "\"string\"", "\"string\"", "\"long\""), "`before` of type Utf8"),
        (of(table, other, "\"string\"", "\"long\""), "different fields"),
        (of(table, "\"V\"", "\"int\"", "\"long\""), "`op` of type Int32"),
        (of(table, "\"V\"", "\"string\"", "\"string\""), "`ts_ms` of type Utf8"),
    ] {
        // The body is not looked at.
        let record = SimRecord { value: Some(framed(1, &[2])), ..SimRecord::default() };
        let (_, rejects) = run(UNWRAP, vec![avro(1, &schema)], vec![record]);
        let reasons = reasons(&rejects);
        assert_eq!(reasons[0].0, "FB0285", "{reasons:?}");
        assert!(reasons[0].1.contains(part), "{part}: {reasons:?}");
    }
}

#[test]
fn field_of_the_table_named_like_an_added_column_gets_a_suffix() {
    let schema = r#"{"type":"record","name":"E","fields":[{"name":"before","type":["null",
        {"type":"record","name":"V","fields":[{"name":"_op","type":"int"}]}]},
        {"name":"after","type":["null","V"]},{"name":"op","type":"string"}]}"#;
    let value = json!({"before": null, "after": {"_op": 4}, "op": "c"});
    let record =
        SimRecord { value: Some(framed(1, &datum(schema, value))), ..SimRecord::default() };
    let (data, _) = run(UNWRAP, vec![avro(1, schema)], vec![record]);
    // `ts_ms` is not there: nobody said when.
    assert_eq!(
        data[0].json(),
        [json!({"_op_2": 4, "_op": "c", "_ts_ms": null, "_deleted": false})]
    );
}

#[test]
fn envelope_and_key_in_json_schema_are_read_like_those_of_other_formats() {
    let table =
        r#"{"type":"object","properties":{"id":{"type":"integer"},"name":{"type":"string"}}}"#;
    let schema = format!(
        r#"{{"type":"object","title":"Envelope","properties":{{
            "before":{{"oneOf":[{{"type":"null"}},{table}]}},"after":{{"oneOf":[{{"type":"null"}},{table}]}},
            "op":{{"type":"string"}},"ts_ms":{{"type":"integer"}}}}}}"#
    );
    let json_schema = |id, text: &str| {
        (
            id,
            forebay::registry::compile::compile(id, forebay::registry::Language::Json, text, &[])
                .unwrap(),
        )
    };
    let schemas = vec![
        json_schema(1, &schema),
        json_schema(2, r#"{"type":"object","properties":{"id":{"type":"integer"}}}"#),
        json_schema(3, r#"{"type":"string"}"#),
    ];
    let of = |key: u32, text: &str, value: Value| SimRecord {
        key: Some(framed(key, text.as_bytes())),
        value: Some(framed(1, value.to_string().as_bytes())),
        ..SimRecord::default()
    };
    let row = json!({"id": 7, "name": "x"});
    let records = vec![
        of(2, r#"{"id": 7}"#, json!({"before": null, "after": row, "op": "c", "ts_ms": 9})),
        of(2, r#"{"id": 7}"#, json!({"before": row, "after": null, "op": "d", "ts_ms": 10})),
        of(3, r#""plain""#, json!({"before": null, "after": row, "op": "r", "ts_ms": 11})),
    ];
    let more = "value: { unwrap: debezium }\nkey: { format: json_schema }";
    let (data, rejects) = run(more, schemas, records);
    assert_eq!(rejects.len(), 0, "{:?}", reasons(&rejects));
    let mut rows: Vec<Value> = data.iter().flat_map(File::json).collect();
    rows.sort_by_key(|row| row["_ts_ms"].as_i64());
    let expected = |op: &str, ts_ms: i64, key: Value| json!({"id": 7, "name": "x", "_op": op, "_ts_ms": ts_ms, "_deleted": op == "d", "_key": key});
    assert_eq!(
        rows,
        [
            expected("c", 9, json!({"id": 7})),
            expected("d", 10, json!({"id": 7})),
            expected("r", 11, json!("plain")),
        ]
    );
}

#[test]
fn text_without_a_registry_may_have_metadata_keys_and_tombstones() {
    let record = |value: Option<&str>| SimRecord {
        key: Some(b"k".to_vec()),
        value: value.map(|text| text.as_bytes().to_vec()),
        ..SimRecord::default()
    };
    let more = "value: { format: string, tombstones: row }\nkey: { format: string }\nmetadata: [offset, schema_id]";
    let (data, _) = run(more, Vec::new(), vec![record(Some("a")), record(None)]);
    assert_eq!(
        data[0].json(),
        [
            json!({"value": "a", "_deleted": false, "_key": "k", "_offset": 0, "_schema_id": null}),
            json!({"value": null, "_deleted": true, "_key": "k", "_offset": 1, "_schema_id": null}),
        ]
    );
}

/// A JSON Schema as Confluent's converter writes it for an optional field: the name of the Connect schema is
/// the title of the branch that is not null.
fn optional(inner: Value, index: u32) -> Value {
    json!({"oneOf": [{"type": "null"}, inner], "connect.index": index})
}

#[test]
fn debeziums_types_are_known_by_the_titles_of_a_json_schema() {
    let time = |name: &str, connect: &str, index: u32| {
        json!({"type": "integer", "title": format!("io.debezium.time.{name}"), "connect.version": 1,
            "connect.type": connect, "connect.index": index})
    };
    let table = json!({"type": "object", "title": "dbserver1.inventory.orders.Value", "properties": {
        "id": {"type": "integer", "connect.type": "int32", "connect.index": 0},
        "born": optional(time("Date", "int32", 0), 1),
        "made": time("MicroTimestamp", "int64", 2),
        "seen": time("Timestamp", "int64", 3),
        "fine": time("NanoTimestamp", "int64", 4),
        "zoned": {"type": "string", "title": "io.debezium.time.ZonedTimestamp", "connect.index": 5},
        "noon": time("MicroTime", "int64", 6),
        "took": time("MicroDuration", "int64", 7),
        "doc": optional(json!({"type": "string", "title": "io.debezium.data.Json"}), 8)}});
    let envelope = json!({"type": "object", "title": "dbserver1.inventory.orders.Envelope", "properties": {
        "before": optional(table.clone(), 0),
        "after": optional(table, 1),
        "op": {"type": "string", "connect.index": 2},
        "ts_ms": optional(json!({"type": "integer", "connect.type": "int64"}), 3)}});
    let schema = forebay::registry::compile::compile(
        1,
        forebay::registry::Language::Json,
        &envelope.to_string(),
        &[],
    );
    let mut row = state(1, "a");
    row["took"] = json!(90_000_000_000_i64);
    row["doc"] = json!("{\"a\": 1}");
    let value = json!({"before": null, "after": row, "op": "c", "ts_ms": 9});
    let record =
        SimRecord { value: Some(framed(1, value.to_string().as_bytes())), ..SimRecord::default() };
    let (data, rejects) = run(UNWRAP, vec![(1, schema.unwrap())], vec![record]);
    assert_eq!(reasons(&rejects), []);
    assert_eq!(
        data[0].columns(),
        [
            "id: Int32?",
            "born: Date32?",
            "made: Timestamp(µs)?",
            "seen: Timestamp(ms)?",
            "fine: Timestamp(µs)?",
            "zoned: Utf8?",
            "noon: Int64?",
            "took: Int64?",
            "doc: Utf8?",
            "_op: Utf8?",
            "_ts_ms: Int64?",
            "_deleted: Boolean",
        ]
    );
    // The day and the microseconds of `state`, by hand.
    let expected = json!({"id": 1, "born": "2026-01-02T00:00:00",
        "made": "2026-01-02T03:04:05.678901", "seen": "2026-01-02T03:04:05.678",
        "fine": "2026-01-02T03:04:05.678901", "zoned": "2026-01-02T03:04:05+01:00",
        "noon": 43_200_000_000_i64, "took": 90_000_000_000_i64, "doc": "{\"a\": 1}",
        "_op": "c", "_ts_ms": 9, "_deleted": false});
    assert_eq!(data[0].json(), [expected]);
    // Durations are no times of day: both say their unit. JSON is JSON to Parquet's readers.
    let schema = data[0].rows.schema();
    let of =
        |name: &str, key: &str| schema.field_with_name(name).unwrap().metadata().get(key).cloned();
    let units = json!({"noon": "us", "took": "us"});
    assert_eq!(data[0].footer["forebay.units"], units.to_string());
    assert_eq!(of("doc", "ARROW:extension:name").as_deref(), Some("arrow.json"));
    assert_eq!(of("zoned", "ARROW:extension:name"), None);
}

/// The envelope of a collection, in the form the documentation of the MongoDB connector shows: the state is
/// Extended JSON in a text.
pub(super) const COLLECTION: &str = r#"{"type":"record","name":"Envelope","namespace":"dbserver1.inventory.customers","fields":[
    {"name":"before","type":["null",{"type":"string","connect.version":1,"connect.name":"io.debezium.data.Json"}],"default":null},
    {"name":"after","type":["null",{"type":"string","connect.version":1,"connect.name":"io.debezium.data.Json"}],"default":null},
    {"name":"updateDescription","type":["null",{"type":"record","name":"updatedescription","namespace":"io.debezium.connector.mongodb.changestream","fields":[
        {"name":"removedFields","type":["null",{"type":"array","items":"string"}],"default":null},
        {"name":"updatedFields","type":["null",{"type":"string","connect.version":1,"connect.name":"io.debezium.data.Json"}],"default":null}],
        "connect.name":"io.debezium.connector.mongodb.changestream.updatedescription"}],"default":null},
    {"name":"source","type":{"type":"record","name":"Source","namespace":"io.debezium.connector.mongo","fields":[{"name":"db","type":"string"}]}},
    {"name":"op","type":["null","string"],"default":null},
    {"name":"ts_ms","type":["null","long"],"default":null}
    ],"connect.name":"dbserver1.inventory.customers.Envelope"}"#;

#[test]
fn documents_of_mongodb_are_json_texts_beside_what_their_updates_say() {
    let document =
        r#"{"_id": {"$numberLong": "1004"},"first_name": "Anne","at": {"$date": 1558965508000}}"#;
    let changes =
        json!({"removedFields": ["email"], "updatedFields": "{\"first_name\": \"Anne\"}"});
    let event = |op: &str, before: Value, after: Value, changes: Value| {
        let value = json!({"before": before, "after": after, "updateDescription": changes,
            "source": {"db": "inventory"}, "op": op, "ts_ms": 5});
        SimRecord { value: Some(framed(1, &datum(COLLECTION, value))), ..SimRecord::default() }
    };
    let null = || Value::Null;
    let records = vec![
        event("c", null(), json!(document), null()),
        // Without `capture.mode: change_streams_update_full` an update has its changes alone.
        event("u", null(), null(), changes.clone()),
        event("d", json!(document), null(), null()),
        event("d", null(), null(), null()),
    ];
    let (data, rejects) = run(UNWRAP, vec![avro(1, COLLECTION)], records);
    assert_eq!(reasons(&rejects), []);
    let names: Vec<String> =
        data[0].columns().iter().map(|c| c.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["value", "updateDescription", "_op", "_ts_ms", "_deleted"]);
    let row = |value: Value, changes: Value, op: &str| {
        json!({"value": value, "updateDescription": changes,
        "_op": op, "_ts_ms": 5, "_deleted": op == "d"})
    };
    assert_eq!(
        data[0].json(),
        [
            row(json!(document), null(), "c"),
            row(null(), changes, "u"),
            row(json!(document), null(), "d"),
            row(null(), null(), "d"),
        ]
    );
    let schema = data[0].rows.schema();
    assert_eq!(schema.field(0).metadata().get("ARROW:extension:name").unwrap(), "arrow.json");
}

#[test]
fn documents_of_older_connectors_and_of_protobuf_are_taken_too() {
    // Up to version 1 there was no `before`, and `patch` said the changes of an update.
    let old = r#"{"type":"record","name":"Envelope","fields":[
        {"name":"after","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}],"default":null},
        {"name":"patch","type":["null",{"type":"string","connect.name":"io.debezium.data.Json"}],"default":null},
        {"name":"op","type":["null","string"],"default":null}]}"#;
    let of = |after: Value, patch: Value, op: &str| SimRecord {
        value: Some(framed(1, &datum(old, json!({"after": after, "patch": patch, "op": op})))),
        ..SimRecord::default()
    };
    let records = vec![
        of(json!("{}"), Value::Null, "c"),
        of(Value::Null, json!("{\"$set\":{}}"), "u"),
        of(Value::Null, Value::Null, "d"),
    ];
    let (data, _) = run(UNWRAP, vec![avro(1, old)], records);
    let row = |value: Value, patch: Value, op: &str| json!({"value": value, "patch": patch, "_op": op, "_ts_ms": null, "_deleted": op == "d"});
    assert_eq!(
        data[0].json(),
        [
            row(json!("{}"), Value::Null, "c"),
            row(Value::Null, json!("{\"$set\":{}}"), "u"),
            row(Value::Null, Value::Null, "d")
        ]
    );
    // Confluent's Protobuf converter writes no names of fields: a text is taken for a document.
    let text = "syntax = \"proto3\"; message Envelope { optional string before = 1; \
        optional string after = 2; optional string op = 3; optional int64 ts_ms = 4; }";
    // Field 2 with two bytes, field 3 with one: by hand from the specification.
    let body = [0x12, 2, b'{', b'}', 0x1a, 1, b'c'];
    let record = SimRecord { value: Some(framed_protobuf(1, &body)), ..SimRecord::default() };
    let (data, _) = run(UNWRAP, vec![protobuf(1, text)], vec![record]);
    assert_eq!(
        data[0].json(),
        [json!({"value": "{}", "_op": "c", "_ts_ms": null, "_deleted": false})]
    );
}
