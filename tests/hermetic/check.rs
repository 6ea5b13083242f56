//! `forebay check`, against brokers and a registry of this process.

use forebay::registry::client::{NewSchema, settings};
use forebay::registry::{Client, Language};
use serde_json::{Value, json};

use crate::world::{Ended, World, forebay};

fn check(world: &World, config: &std::path::Path, more: &[&str]) -> Ended {
    let mut args = vec!["check", "-c", config.to_str().unwrap()];
    args.extend(more);
    forebay(world.folder.path(), &args)
}

/// Area and code of each finding, in order of area and code.
fn findings(report: &Value) -> Vec<(String, String)> {
    let text = |f: &Value, key: &str| f[key].as_str().unwrap().to_owned();
    let mut found: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (text(f, "area"), text(f, "code")))
        .collect();
    found.sort();
    found
}

fn message<'a>(report: &'a Value, code: &str) -> &'a str {
    let all = report["findings"].as_array().unwrap();
    let found =
        all.iter().find(|f| f["code"] == code).unwrap_or_else(|| panic!("{code}: {report:#}"));
    found["message"].as_str().unwrap()
}

#[test]
fn check_of_a_fit_configuration_says_what_would_happen() {
    let world = World::new();
    world.fill("orders", 2, 10);
    let config = world.config(
        "[orders]",
        "partition_by: [country, \"day(_timestamp)\"]\nsink: { url: out }\ncommit: { interval: 10m }\n",
    );
    let ended = check(&world, &config, &["--output", "json", "--sample", "4"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let report = ended.json();
    assert_eq!(report["ok"], true);
    assert_eq!(findings(&report), []);
    let topic = &report["topics"][0];
    assert_eq!(topic["topic"], "orders");
    assert_eq!(
        topic["starts"],
        json!([
            {"partition": 0, "offset": 0, "why": "earliest", "low": 0, "high": 5, "lag": 5},
            {"partition": 1, "offset": 0, "why": "earliest", "low": 0, "high": 5, "lag": 5},
        ])
    );
    let subject = &topic["subjects"][0];
    assert_eq!((&subject["subject"], &subject["version"]), (&json!("orders-value"), &json!(1)));
    let columns: Vec<&str> = subject["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["id", "country", "made"]);
    // Which four depends on the order of arrival; each is one that was sent.
    let sample = topic["sample"].as_array().unwrap();
    assert_eq!(sample.len(), 4, "{topic:#}");
    for record in sample {
        let id = record["offset"].as_i64().unwrap() * 2 + record["partition"].as_i64().unwrap();
        assert_eq!(record["row"]["id"], id);
        let (country, folder) =
            [("FR", "FR"), ("DE", "DE"), ("O'K/é", "O%27K%2Fé")][id as usize % 3];
        assert_eq!(record["row"]["country"], country);
        let key = format!("orders/country={folder}/timestamp_day=2026-01-02");
        assert_eq!(record["key"], key);
    }
    let keys = topic["keys"].as_array().unwrap().len() as i64;
    // 144 intervals of ten minutes a day, two Kafka partitions.
    assert_eq!(report["estimate"]["files_a_day"], keys * 2 * 144);
    assert_eq!(report["estimate"]["requests_a_day"], Value::Null);
    assert_eq!(report["sink"]["create_only"], true);
    // Nothing was written but the probe, which is gone; the group knows nothing of it.
    assert_eq!(world.committed("orders", 2), [-1, -1]);
    assert!(crate::world::parquet_files(&world.path("out")).is_empty());
}

#[test]
fn check_finds_everything_at_once() {
    let world = World::new();
    world.fill("orders", 1, 1);
    // A file where the folder should be: refused whoever runs the test.
    world.file("blocked", "a file");
    let config = world.config(
        "[orders, missing]",
        "partition_by: [contry, \"day(made\", \"hour(id)\"]\nsink: { url: blocked/out }\n",
    );
    let report = check(&world, &config, &["--output", "json"]);
    assert_eq!(report.code(), Some(2), "{report:?}");
    let report = report.json();
    // One expression does not parse; the topic is missing on the cluster and in the registry.
    let found = findings(&report);
    let areas: Vec<&str> = found.iter().map(|(area, _)| area.as_str()).collect();
    assert_eq!(areas, ["broker", "configuration", "registry", "sink"], "{report:#}");
    assert!(message(&report, "FB0505").contains("`missing`"));
    assert!(message(&report, "FB0310").contains("missing-value"));
    // What is there is shown all the same.
    assert_eq!(report["topics"][1]["topic"], "orders");
    assert_eq!(report["topics"][1]["subjects"][0]["subject"], "orders-value");
}

#[test]
fn check_of_a_wrong_field_names_the_columns_there_are() {
    let world = World::new();
    world.fill("orders", 1, 1);
    let config =
        world.config("[orders]", "partition_by: [contry, \"hour(id)\"]\nsink: { url: out }\n");
    let ended = check(&world, &config, &["--output", "json"]);
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    let report = ended.json();
    let codes: Vec<_> = findings(&report).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, ["FB0605", "FB0606"]);
    let field = message(&report, "FB0605");
    assert!(field.contains("`contry`") && field.contains("id, country, made"), "{field}");
}

#[test]
fn check_with_dead_broker_and_registry_and_sink_says_all_three() {
    let world = World::new();
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.file("blocked", "a file");
    let text = format!(
        "pipeline: t\nsource: {{ brokers: \"{}\", topics: [orders] }}\nregistry: {{ url: \"http://{}\" }}\nsink: {{ url: blocked/out }}\n",
        free(),
        free()
    );
    let config = world.file("dead.yaml", &text);
    let ended = check(&world, &config, &["--output", "json", "--sample", "1"]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let report = ended.json();
    let areas: Vec<_> = findings(&report).into_iter().map(|(area, _)| area).collect();
    assert_eq!(areas, ["broker", "registry", "sink"], "{report:#}");
    assert!(message(&report, "FB0506").contains("refused"), "{report:#}");
}

#[test]
fn check_of_a_committed_group_starts_there_and_samples_what_there_is() {
    let world = World::new();
    world.fill("orders", 1, 7);
    let config = world.config("[orders]", "sink: { url: out }\n");
    let drained = forebay(world.folder.path(), &["run", "-c", config.to_str().unwrap(), "--drain"]);
    assert_eq!(drained.code(), Some(0), "{drained:?}");
    let ended = check(&world, &config, &["--sample", "3"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let text = &ended.stdout;
    assert!(
        text.contains(
            "0    starts at 7          lag 0          committed offset of group forebay-t"
        ),
        "{text}"
    );
    assert!(text.contains("no record waits"), "{text}");
    for offset in 4..7 {
        assert!(text.contains(&format!("(orders-0 offset {offset})")), "{text}");
    }
    assert!(text.ends_with("result     nothing found\n"), "{text}");
}

#[test]
fn check_by_topic_and_record_finds_the_subjects_of_a_topic() {
    let world = World::new();
    world.fill("orders", 1, 1);
    let config =
        world.config("[orders]", "  subject_name_strategy: topic_record\nsink: { url: out }\n");
    let ended = check(&world, &config, &["--output", "json"]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(message(&ended.json(), "FB0310").contains("`orders-`"));
    let config = world.config("[orders]", "  subject_name_strategy: record\nsink: { url: out }\n");
    let ended = check(&world, &config, &[]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("the registry has 1 subjects: orders-value"), "{}", ended.stdout);
}

#[test]
fn check_shows_the_columns_beside_the_value() {
    let world = World::new();
    world.fill("orders", 1, 3);
    let config = world.config(
        "[orders]",
        "metadata: [offset, schema_id]\nkey: { format: string }\nvalue: { tombstones: row }\nsink: { url: out }\n",
    );
    let ended = check(&world, &config, &["--output", "json", "--sample", "2"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let report = ended.json();
    let topic = &report["topics"][0];
    let columns: Vec<&str> = topic["subjects"][0]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["id", "country", "made", "_deleted", "_key", "_offset", "_schema_id"]);
    for record in topic["sample"].as_array().unwrap() {
        let row = &record["row"];
        assert_eq!((&row["_offset"], &row["_key"]), (&record["offset"], &Value::Null));
        assert_eq!((&row["id"], &row["_deleted"]), (&record["offset"], &json!(false)));
        assert!(row["_schema_id"].as_i64() > Some(0), "{row}");
    }
}

#[test]
fn check_shows_the_columns_of_the_dialect_and_binds_partitions_to_them() {
    let world = World::new();
    world.fill("orders", 1, 3);
    let config =
        world.config("[orders]", "dialect: confluent\npartition_by: [made]\nsink: { url: out }\n");
    let ended = check(&world, &config, &["--output", "json", "--sample", "1"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let report = ended.json();
    let topic = &report["topics"][0];
    // Connect does not know timestamp-micros.
    assert_eq!(
        topic["subjects"][0]["columns"],
        json!([
            {"name": "id", "type": "Int64", "nullable": false},
            {"name": "country", "type": "Utf8", "nullable": true},
            {"name": "made", "type": "Int64", "nullable": false},
        ])
    );
    assert_eq!(topic["sample"][0]["key"], "orders/made=0");
    let day = world.config(
        "[orders]",
        "dialect: confluent\npartition_by: [\"day(made)\"]\nsink: { url: out }\n",
    );
    let ended = check(&world, &day, &["--output", "json"]);
    assert_ne!(ended.code(), Some(0), "{ended:?}");
    let settings =
        world.config("[orders]", "connect: { flatten_unions: true }\nsink: { url: out }\n");
    let ended = check(&world, &settings, &[]);
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(
        ended.stdout.contains("`dialect`: `connect.flatten_unions` found, `confluent` required"),
        "{ended:?}"
    );
}

#[test]
fn check_finds_a_subject_in_another_language_than_the_format_takes() {
    let world = World::new();
    world.fill("orders", 1, 1);
    let config = world.config("[orders]", "value: { format: protobuf }\nsink: { url: out }\n");
    let ended = check(&world, &config, &["--output", "json"]);
    assert_ne!(ended.code(), Some(0), "{ended:?}");
    let report = ended.json();
    let text = message(&report, "FB0914");
    assert!(text.contains("`value.format`") && text.contains("AVRO"), "{text}");
}

#[test]
fn check_lets_partitions_name_a_key_whose_schema_is_not_there_yet() {
    let world = World::new();
    world.fill("orders", 1, 1);
    let config = world.config(
        "[orders]",
        "key: { format: auto }\npartition_by: [_key.tenant]\nsink: { url: out }\n",
    );
    let ended = check(&world, &config, &["--output", "json", "--sample", "1"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let notes = ended.json()["topics"][0]["notes"].to_string();
    assert!(notes.contains("orders-key"), "{notes}");
}

#[test]
fn check_asks_the_registry_for_keys_where_values_need_none() {
    let world = World::new();
    world.mock.create_topic("words", 1).unwrap();
    let more = "value: { format: string }\nkey: { format: auto }\nsink: { url: out }\n";
    let config = world.config("[words]", more);
    let ended = check(&world, &config, &["--output", "json"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.json()["topics"][0]["notes"].to_string().contains("words-key"), "{ended:?}");
    let text = std::fs::read_to_string(&config).unwrap();
    let dead = world.file("dead.yaml", &text.replace(&world.registry.url, "http://127.0.0.1:1"));
    let ended = check(&world, &dead, &["--output", "json"]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert_eq!(findings(&ended.json())[0].0, "registry");
}

/// `SCHEMA` and two more: one with a column more and one less, one that fits neither.
#[test]
fn check_shows_the_columns_that_files_get_by_the_evolution_mode() {
    let world = World::new();
    world.fill("orders", 1, 1);
    let record = |fields: &str| {
        format!(r#"{{"type":"record","name":"Order","namespace":"shop","fields":[{fields}]}}"#)
    };
    let second = record(
        r#"{"name":"id","type":"long"},{"name":"note","type":["null","string"],"default":null}"#,
    );
    let third = record(
        r#"{"name":"id","type":"string"},{"name":"note","type":["null","string"],"default":null}"#,
    );
    let register = |text: &str| {
        world.runtime.block_on(async {
            let client = Client::new(&settings(&world.registry.url)).unwrap();
            let new = NewSchema {
                language: Language::Avro,
                text: text.to_owned(),
                references: Vec::new(),
            };
            client.register("orders-value", &new).await.unwrap();
        });
    };
    register(&second);
    let columns = |evolution: &str| {
        let config = world
            .config("[orders]", &format!("sink: {{ url: out }}\nevolution: {{ {evolution} }}\n"));
        let ended = check(&world, &config, &["--output", "json"]);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let report = ended.json();
        let subject = &report["topics"][0]["subjects"][0];
        let names: Vec<String> = subject["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["name"].as_str().unwrap().to_owned())
            .collect();
        (names, subject["notes"][0].to_string(), report["warnings"].to_string())
    };
    let (names, _, warnings) = columns("mode: rotate");
    assert_eq!((names, warnings.as_str()), (vec!["id".to_owned(), "note".to_owned()], "[]"));
    let (names, note, _) = columns("mode: superset");
    assert_eq!(names, ["id", "country", "made", "note"]);
    assert!(note.contains("all 2 versions together"), "{note}");
    let (names, note, _) = columns("mode: fixed, version: 1");
    // The second version has no `made`, which the first one requires.
    assert_eq!(names, ["id", "note"], "its own: {note}");
    let (_, _, warnings) = columns("mode: fixed, version: 1, on_incompatible: reject");
    assert!(warnings.contains("version 2 does not fit") && warnings.contains("made"), "{warnings}");
    assert!(warnings.contains("its records are rejected"), "{warnings}");

    world.runtime.block_on(crate::registry::call(
        reqwest::Method::PUT,
        format!("{}/config/orders-value", world.registry.url),
        Some(json!({ "compatibility": "NONE" })),
    ));
    register(&third);
    let (names, note, warnings) = columns("mode: latest");
    assert_eq!(names, ["id", "note"]);
    assert!(note.contains("newest version for all"), "{note}");
    assert!(warnings.contains("version 1 does not fit"), "{warnings}");
    assert!(warnings.contains("version 2 does not fit"), "{warnings}");
    assert!(warnings.contains("keep their own columns"), "{warnings}");
}
