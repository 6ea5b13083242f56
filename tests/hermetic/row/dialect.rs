//! `dialect: confluent` through the whole pipeline: keys, envelopes, partitions, files that two schemas share.

use forebay::pipeline::simulated::SimRecord;
use serde_json::{Value, json};

use super::{avro, datum, framed, framed_protobuf, protobuf, reasons, run};

fn record(key: Option<Vec<u8>>, value: Vec<u8>) -> SimRecord {
    SimRecord { key, value: Some(value), ..SimRecord::default() }
}

const V1: &str = "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\";
    message Order { uint64 id = 1; oneof pay { string card = 2; int64 cash = 3; } map<string, string> tags = 4;
    google.protobuf.Timestamp at = 5; Status status = 6; } enum Status { NEW = 0; PAID = 1; }";
/// Other types that have the same columns in the dialect, and only there.
const V2: &str = "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\";
    message Order { optional int64 id = 1; oneof pay { string card = 2; sint64 cash = 3; } map<string, string> tags = 4;
    google.protobuf.Timestamp at = 5; string status = 6; }";

/// `at` is 2026-01-02T03:04:05.678999999Z, and a tag says the country.
const AT: &[u8] = b"\x2a\x0c\x08\xa5\xeb\xdc\xca\x06\x10\xbf\xef\xe2\xc3\x02";
const FR: &[u8] = b"\x22\x0d\x0a\x07country\x12\x02FR";

fn orders(more: &str) -> (Vec<super::File>, Vec<super::File>) {
    let first = [&b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x00"[..], &[0x18, 5]].concat();
    // The oneof's field 3 as a varint; what stands before is field 3 with another wire type, unknown.
    let first = [&first[..], FR, AT, b"\x30\x01"].concat();
    let second = [b"\x12\x01k", FR, AT, b"\x32\x04PAID"].concat();
    let records =
        vec![record(None, framed_protobuf(1, &first)), record(None, framed_protobuf(2, &second))];
    run(more, vec![protobuf(1, V1), protobuf(2, V2)], records)
}

#[test]
fn schemas_with_equal_columns_share_a_file_and_partitions_bind_to_them() {
    let by = "partition_by: [\"day(at)\", { name: card, expr: pay_0.card }, { name: land, expr: \"tags['country']\" }]";
    let (data, rejects) = orders(&format!("dialect: confluent\n{by}"));
    assert_eq!(reasons(&rejects), []);
    let mut folders: Vec<&str> =
        data.iter().map(|file| file.folder.split_once("rows/").unwrap().1).collect();
    folders.sort_unstable();
    assert_eq!(
        folders,
        [
            "at_day=2026-01-02/card=__HIVE_DEFAULT_PARTITION__/land=FR",
            "at_day=2026-01-02/card=k/land=FR"
        ]
    );

    let (data, rejects) = orders("dialect: confluent\npartition_by: [\"day(at)\"]");
    assert_eq!((data.len(), reasons(&rejects).len()), (1, 0));
    let tags = json!([{"key": "country", "value": "FR"}]);
    let at = "2026-01-02T03:04:05.678Z";
    assert_eq!(
        data[0].json(),
        [
            json!({"pay_0": {"card": null, "cash": 5}, "id": -1, "tags": tags, "at": at, "status": "PAID"}),
            json!({"pay_0": {"card": "k", "cash": null}, "id": null, "tags": tags, "at": at, "status": "PAID"}),
        ]
    );
    // In the tables of its own, they have columns of two files.
    let (data, _) = orders("partition_by: [\"day(at)\"]");
    assert_eq!(data.len(), 2);
}

#[test]
fn keys_and_tombstones_have_the_dialect_too() {
    const ROW: &str = r#"{"type":"record","name":"Row","fields":[{"name":"t","type":{"type":"long","logicalType":"timestamp-micros"}}]}"#;
    const KEY: &str = "syntax = \"proto3\"; message K { uint64 id = 1; oneof x { string s = 2; } }";
    let value = |n: i64| {
        let schema = ROW.replace(r#","logicalType":"timestamp-micros""#, "");
        framed(1, &datum(&schema, json!({"t": n})))
    };
    let key = framed_protobuf(2, b"\x12\x01k");
    let records = vec![
        record(Some(key.clone()), value(1)),
        SimRecord { key: Some(key), value: None, ..SimRecord::default() },
    ];
    let more = "dialect: confluent\nkey: { format: auto }\nvalue: { tombstones: row }";
    let (data, rejects) = run(more, vec![avro(1, ROW), protobuf(2, KEY)], records);
    assert_eq!(reasons(&rejects), []);
    let key = json!({"x_0": {"s": "k"}, "id": 0});
    assert_eq!(
        data[0].json(),
        [
            json!({"t": 1, "_deleted": false, "_key": key}),
            json!({"t": null, "_deleted": true, "_key": key}),
        ]
    );
}

/// Connect's sinks know nothing of Debezium's types.
#[test]
fn change_events_are_unwrapped_without_debeziums_types() {
    const ENVELOPE: &str = r#"{"type":"record","name":"Envelope","fields":[
        {"name":"before","type":["null",{"type":"record","name":"Value","fields":[
            {"name":"id","type":"int"},
            {"name":"born","type":["null",{"type":"int","connect.name":"io.debezium.time.Date"}]},
            {"name":"seen","type":["null",{"type":"long","connect.name":"io.debezium.time.Timestamp"}]}]}]},
        {"name":"after","type":["null","Value"]},{"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"]}]}"#;
    let state = json!({"id": 1, "born": 20_455, "seen": 7});
    let event = |op: &str, before: Value, after: Value| {
        let event = json!({"before": before, "after": after, "op": op, "ts_ms": 9});
        record(None, framed(1, &datum(ENVELOPE, event)))
    };
    let records = vec![event("c", Value::Null, state.clone()), event("d", state, Value::Null)];
    let more = "dialect: confluent\nvalue: { unwrap: debezium }";
    let (data, rejects) = run(more, vec![avro(1, ENVELOPE)], records);
    assert_eq!(reasons(&rejects), []);
    let row = |op: &str, deleted: bool| json!({"id": 1, "born": 20_455, "seen": 7, "_op": op, "_ts_ms": 9, "_deleted": deleted});
    assert_eq!(data[0].json(), [row("c", false), row("d", true)]);
}

#[test]
fn partitions_bind_to_branches_of_a_union_by_their_names() {
    use forebay::registry::Language;
    let schema =
        r#"{"type":"object","properties":{"f":{"oneOf":[{"type":"string"},{"type":"integer"}]}}}"#;
    let schema = forebay::registry::compile::compile(1, Language::Json, schema, &[]).unwrap();
    let records =
        vec![record(None, framed(1, br#"{"f":"FR"}"#)), record(None, framed(1, br#"{"f":7}"#))];
    let by =
        r#"partition_by: [{ name: land, expr: 'f."io.confluent.connect.json.OneOf.field.0"' }]"#;
    let (data, rejects) = run(&format!("dialect: confluent\n{by}"), vec![(1, schema)], records);
    assert_eq!(reasons(&rejects), []);
    let mut folders: Vec<&str> =
        data.iter().map(|file| file.folder.rsplit_once('/').unwrap().1).collect();
    folders.sort_unstable();
    assert_eq!(folders, ["land=FR", "land=__HIVE_DEFAULT_PARTITION__"]);
}
