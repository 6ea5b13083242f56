//! A topic of a Debezium connector through the program itself: real client, real registry, files on disk.

use std::collections::BTreeMap;

use forebay::registry::client::{NewSchema, settings};
use forebay::registry::{Client, Language};
use forebay::source::producer::{Outgoing, Producer};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use super::{datum, framed, json as rows_of};
use crate::world::{PATIENCE, World, forebay, parquet_files};

const KEY: &str = r#"{"type":"record","name":"Key","namespace":"db.public.orders","fields":[{"name":"id","type":"int"}]}"#;
const ENVELOPE: &str = r#"{"type":"record","name":"Envelope","namespace":"db.public.orders","fields":[
    {"name":"before","default":null,"type":["null",{"type":"record","name":"Value","fields":[
        {"name":"id","type":"int"},{"name":"country","type":["null","string"],"default":null},
        {"name":"made","type":{"type":"long","connect.version":1,"connect.name":"io.debezium.time.MicroTimestamp"}}]}]},
    {"name":"after","type":["null","Value"],"default":null},
    {"name":"op","type":"string"},{"name":"ts_ms","type":["null","long"],"default":null}]}"#;

#[test]
fn debezium_topic_becomes_the_tables_rows_with_key_headers_and_offsets() {
    let world = World::new();
    world.mock.create_topic("orders", 1).unwrap();
    let ids: Vec<u32> = world.runtime.block_on(async {
        let client = Client::new(&settings(&world.registry.url)).unwrap();
        let mut ids = Vec::new();
        for (subject, text) in [("orders-key", KEY), ("orders-value", ENVELOPE)] {
            let new = NewSchema {
                language: Language::Avro,
                text: text.to_owned(),
                references: Vec::new(),
            };
            ids.push(client.register(subject, &new).await.unwrap().0);
        }
        ids
    });
    let state = json!({"id": 7, "country": "FR", "made": 1_767_312_000_000_000_i64});
    let event = |op: &str, before: &Value, after: &Value| {
        let event = json!({"before": before, "after": after, "op": op, "ts_ms": 5});
        Some(framed(ids[1], &datum(ENVELOPE, event)))
    };
    let key = framed(ids[0], &datum(KEY, json!({"id": 7})));
    let null = Value::Null;
    let producer = Producer::new(&world.mock.brokers(), &BTreeMap::new()).unwrap();
    let headers: [(&str, Option<&[u8]>); 2] = [("tx", Some(b"\x01")), ("empty", None)];
    for value in [event("c", &null, &state), event("d", &state, &null), None] {
        let record = Outgoing {
            topic: "orders",
            partition: Some(0),
            key: Some(&key),
            value: value.as_deref(),
            headers: &headers,
            timestamp_ms: Some(1_767_312_000_001),
        };
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let config = world.config(
        "[orders]",
        "value: { unwrap: debezium }\nkey: { format: auto }\nmetadata: [offset, timestamp_type, headers]\n\
         partition_by: [country, day(made)]\nsink: { url: out }\n",
    );
    let config = config.to_str().unwrap();
    let checked = forebay(world.folder.path(), &["check", "-c", config, "--output", "json"]);
    assert_eq!(checked.code(), Some(0), "{checked:?}");
    let columns = &checked.json()["topics"][0]["subjects"][0]["columns"];
    let names: Vec<&str> =
        columns.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    let all = [
        "id",
        "country",
        "made",
        "_op",
        "_ts_ms",
        "_deleted",
        "_key",
        "_offset",
        "_timestamp_type",
        "_headers",
    ];
    assert_eq!(names, all);
    let ended = forebay(world.folder.path(), &["run", "-c", config, "--drain", "--output", "json"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    // The tombstone after the delete is skipped, and committed past.
    assert_eq!(ended.json()["skipped"], 1, "{ended:?}");
    assert_eq!(world.committed("orders", 1), [3]);
    let files = parquet_files(&world.path("out"));
    assert_eq!(files.len(), 1, "{files:?}");
    let folder = files[0].parent().unwrap();
    assert!(folder.ends_with("out/orders/country=FR/made_day=2026-01-02"), "{folder:?}");
    let file = std::fs::File::open(&files[0]).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let rows = rows_of(&reader.next().unwrap().unwrap());
    let row = |op: &str, offset: i64| {
        json!({"id": 7, "made": "2026-01-02T00:00:00", "_op": op, "_ts_ms": 5, "_deleted": op == "d",
            "_key": {"id": 7}, "_offset": offset, "_timestamp_type": "CreateTime",
            "_headers": {"tx": "01", "empty": null}})
    };
    assert_eq!(rows, [row("c", 0), row("d", 1)]);
}
