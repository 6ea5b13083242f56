//! The program on topics of JSON, with no registry anywhere.

use std::collections::BTreeMap;

use forebay::source::producer::{Outgoing, Producer};
use serde_json::{Value, json};

use crate::world::{World, forebay, parquet_files, rows};

/// A world with a topic of these values, and a configuration that names no registry.
fn world(values: &[&str], more: &str) -> (World, std::path::PathBuf) {
    let world = World::new();
    world.mock.create_topic("events", 1).unwrap();
    let producer = Producer::new(&world.mock.brokers(), &BTreeMap::new()).unwrap();
    for value in values {
        let record = Outgoing {
            topic: "events",
            partition: Some(0),
            value: Some(value.as_bytes()),
            ..Outgoing::default()
        };
        producer.send(record).unwrap();
    }
    producer.flush(std::time::Duration::from_secs(30)).unwrap();
    let text = format!(
        "pipeline: t\nsource:\n  brokers: {}\n  topics: [events]\n  properties: {{ session.timeout.ms: \"6000\", heartbeat.interval.ms: \"500\" }}\n{more}",
        world.mock.brokers()
    );
    let config = world.file("t.yaml", &text);
    (world, config)
}

#[test]
fn json_by_a_schema_of_the_configuration_is_checked_sampled_and_drained() {
    let (world, config) = world(
        &[r#"{"n":1,"kind":"a"}"#, r#"{"kind":"b","n":2}"#, "no json"],
        "value: { format: json, schema: event.json }\npartition_by: [kind]\nsink: { url: out }\n",
    );
    world.file("event.json", r#"{"properties":{"n":{"type":"integer"},"kind":{"type":"string"}}}"#);
    let config = config.to_str().unwrap();
    let checked =
        forebay(world.folder.path(), &["check", "-c", config, "--sample", "3", "--output", "json"]);
    assert_eq!(checked.code(), Some(0), "{checked:?}");
    let topic = &checked.json()["topics"][0];
    let notes: Vec<&str> =
        topic["notes"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert_eq!(notes, ["column n nullable Int64", "column kind nullable Utf8"]);
    assert_eq!(topic["sample"][0]["row"], json!({"n": 1, "kind": "a"}));
    assert_eq!(topic["sample"][1]["key"], "events/kind=b");
    assert_ne!(topic["sample"][2]["reject"], Value::Null);
    let drained = forebay(world.folder.path(), &["run", "-c", config, "--drain"]);
    assert_eq!(drained.code(), Some(0), "{drained:?}");
    assert_eq!(rows(&world.path("out/events")), 2);
    assert_eq!(parquet_files(&world.path("out/_rejects")).len(), 1);
}

#[test]
fn json_with_connect_schemas_is_sampled_and_drained() {
    let record = |n: i64| {
        format!(
            r#"{{"schema":{{"type":"struct","fields":[{{"field":"n","type":"int64"}}]}},"payload":{{"n":{n}}}}}"#
        )
    };
    let (one, two) = (record(1), record(2));
    let (world, config) =
        world(&[&one, &two], "value: { format: json_connect }\nsink: { url: out }\n");
    let config = config.to_str().unwrap();
    let checked =
        forebay(world.folder.path(), &["check", "-c", config, "--sample", "2", "--output", "json"]);
    assert_eq!(checked.code(), Some(0), "{checked:?}");
    assert_eq!(checked.json()["topics"][0]["sample"][1]["row"], json!({"n": 2}));
    let drained = forebay(world.folder.path(), &["run", "-c", config, "--drain"]);
    assert_eq!(drained.code(), Some(0), "{drained:?}");
    assert_eq!(rows(&world.path("out/events")), 2);
}
