//! Options that depend on each other.

use super::*;

#[test]
fn schedule_takes_the_place_of_the_usual_interval() {
    let of = |lines: &str| parse(&with(lines)).unwrap().pipeline.commit;
    let usual = of("commit: { rows: 5 }");
    assert_eq!((usual.interval, usual.schedule), (Duration::from_secs(600), None));
    let commit = of("commit: { schedule: 15m, timezone: Europe/Paris, idle: 30s }");
    let schedule = commit.schedule.clone().unwrap();
    assert_eq!(schedule.every, Duration::from_secs(900));
    assert_eq!(schedule.zone.iana_name(), Some("Europe/Paris"));
    assert_eq!(commit.idle, Some(Duration::from_secs(30)));
    assert!(commit.interval > Duration::from_secs(25 * 3_600), "{:?}", commit.interval);
    assert_eq!(commit.age_max(), Duration::from_secs(900));
    let both = of("commit: { schedule: 1h, interval: 5m }");
    assert_eq!((both.interval, both.age_max()), (Duration::from_secs(300), both.interval));
    assert_eq!(both.schedule.unwrap().zone, jiff::tz::TimeZone::UTC);
    one("commit: { timezone: Europe/Paris }", "FB0411", &["`commit.schedule` required"]);
    one("commit: { schedule: 1h, timezone: Middle/Earth }", "FB0408", &["`Middle/Earth`"]);
    one("commit: { schedule: 30s }", "FB0408", &["1m to 1d"]);
    one("commit: { schedule: 25h }", "FB0408", &["1m to 1d"]);
}

#[test]
fn what_parts_kafka_and_chain_stops_unless_the_configuration_says_otherwise() {
    let of = |lines: &str| {
        let commit = parse(&with(lines)).unwrap().pipeline.commit;
        [
            commit.skip_lost_offsets,
            commit.restart_recreated,
            commit.reset_truncated,
            commit.ignore_group_ahead,
        ]
    };
    assert_eq!(of("commit: { rows: 5 }"), [false; 4]);
    assert_eq!(of("commit: { on_lost_offsets: skip }"), [true, false, false, false]);
    assert_eq!(of("commit: { on_recreated_topic: restart }"), [false, true, false, false]);
    assert_eq!(of("commit: { on_truncated_log: reset }"), [false, false, true, false]);
    assert_eq!(of("commit: { on_group_ahead: ignore }"), [false, false, false, true]);
    one("commit: { on_group_ahead: skip }", "FB0408", &["`stop`, `ignore`"]);
}

#[test]
fn record_version_is_within_what_the_release_knows() {
    assert_eq!(parse(LEAST).unwrap().pipeline.commit.record_version, 1);
    one("commit: { record_version: 9 }", "FB0408", &["`9`"]);
}

#[test]
fn state_stands_beside_the_files_and_never_in_a_topics_folder() {
    let of =
        |sink: &str, state: &str| findings(&format!("sink: {{ url: '{sink}' }}\nstate: '{state}'"));
    for (sink, state) in [
        ("s3://lake/raw", "s3://lake/raw"),
        ("s3://lake/raw", "s3://state/raw/orders"),
        ("s3://lake/raw", "s3://lake/state"),
        ("s3://lake/raw", "s3://lake"),
        ("s3://lake/raw", "s3://lake/rawer"),
        ("s3://lake/raw", "s3://lake/raw/_state/x"),
        ("/data/raw", "/data/state"),
        ("file:///data/raw", "/data/raw/_state"),
        ("data", "./state"),
    ] {
        assert_eq!(of(sink, state), [""; 0], "{sink} {state}");
    }
    for (sink, state) in [
        ("s3://lake/raw", "s3://lake/raw/orders"),
        ("s3://lake", "s3://lake/orders/_x"),
        ("s3://lake/raw", "s3://lake/raw/_rejects/orders"),
        ("s3://lake/raw", "s3://lake/raw/_rejects/orders/deep"),
        ("s3://lake/raw", "s3://lake/raw/_forebay"),
        ("s3://lake/_forebay/raw", "s3://lake"),
        ("s3://lake/raw", "/data/state"),
        ("/data/raw", "s3://lake/state"),
        ("/data/raw", "/data/raw/orders"),
        ("data", "./data/orders"),
    ] {
        let found = of(sink, state);
        assert_eq!(found.len(), 1, "{sink} {state}: {found:?}");
        assert!(found[0].contains("`state`"), "{found:?}");
    }
    let sink = parse(&with("state: s3://state/x")).unwrap().pipeline.sink;
    assert_eq!(sink.state_url().to_string(), "s3://state/x");
    assert_eq!(parse(LEAST).unwrap().pipeline.sink.state, None);
}

#[test]
fn columns_beside_the_values_are_read_in_one_order_without_repetition() {
    let of = |lines: &str| parse(&with(lines)).unwrap().pipeline;
    let p = of("metadata: [schema_id, topic, topic, key]");
    assert_eq!(p.metadata, [Metadata::Topic, Metadata::SchemaId]);
    assert_eq!(p.key.format, Some(Format::Bytes));
    let p = of("metadata: [key]\nkey: { format: avro }");
    assert_eq!((p.metadata.len(), p.key.format), (0, Some(Format::Avro)));
    assert_eq!(of("key: { format: ignore }").key.format, None);
    let p = of("value: { format: string }\nkey: { format: json_connect }");
    assert!(p.key.comes_later() && !p.asks_registry());
    let p = of("key: { format: json }");
    assert!(!p.key.comes_later() && p.key.schema.is_none());
    assert_eq!(of("metadata: []").metadata, []);
    assert_eq!(of("metadata: headers").metadata, [Metadata::Headers]);
    one("metadata: [offset, epoch]", "FB0408", &["`metadata`", "`epoch`", "timestamp_type"]);
    let p = of("value: { unwrap: debezium, tombstones: row }");
    assert_eq!((p.value.unwrap, p.value.tombstones), (Unwrap::Debezium, Tombstones::Row));
}

#[test]
fn rows_of_tombstones_without_the_key_are_warned_of() {
    let warnings = |lines: &str| parse(&with(lines)).unwrap().warnings.join(" ");
    assert!(warnings("value: { tombstones: row }").contains("`key.format`"));
    assert_eq!(warnings("value: { tombstones: row }\nkey: { format: string }"), "");
}

#[test]
fn wrong_format_asks_for_no_registry_besides() {
    let least = LEAST.replace("registry: { url: 'http://localhost:8081' }\n", "");
    for wrong in ["value: { format: jsn }", "value: { format: json }\nkey: { format: jsn }"] {
        let findings = parse(&format!("{least}{wrong}\n")).unwrap_err();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].code.id, "FB0408");
    }
}

#[test]
fn records_that_name_no_schema_need_no_registry() {
    let least = LEAST.replace("registry: { url: 'http://localhost:8081' }\n", "");
    for format in ["json", "json_connect", "string", "bytes"] {
        let config = parse(&format!("{least}value: {{ format: {format} }}\n")).unwrap();
        assert_eq!(config.pipeline.registry.urls, Vec::<String>::new());
    }
    for format in ["auto", "protobuf", "avro", "json_schema"] {
        let findings = parse(&format!("{least}value: {{ format: {format} }}\n")).unwrap_err();
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code.id, "FB0406");
    }
}

#[test]
fn schema_of_keys_is_read_from_its_file_and_belongs_to_their_format() {
    let text = with("key: { format: json, schema: key.json }");
    let file = SecretFile { text: "{}".to_owned(), exposed: None };
    let world = World { files: HashMap::from([("conf/key.json", file)]), ..World::default() };
    let config = Config::parse(&text, "conf/forebay.yaml", &world).unwrap();
    assert_eq!(config.pipeline.key.schema.unwrap().text, "{}");
    for other in ["format: string,", "format: json_connect,", ""] {
        let text = text.replace("format: json,", other);
        let findings = Config::parse(&text, "conf/forebay.yaml", &world).unwrap_err();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].to_string().contains("key.format: json"), "{findings:?}");
    }
}

#[test]
fn schema_of_values_is_read_from_its_file() {
    let text = with("value: { format: json, schema: order.json, extra: keep }");
    let file = SecretFile { text: "{}".to_owned(), exposed: None };
    let world = World { files: HashMap::from([("conf/order.json", file)]), ..World::default() };
    let config = Config::parse(&text, "conf/forebay.yaml", &world).unwrap();
    let value = config.pipeline.value;
    assert_eq!((value.schema.unwrap().text.as_str(), value.extra), ("{}", Extra::Keep));
    let beside = text.replace("format: json,", "");
    let findings = Config::parse(&beside, "conf/forebay.yaml", &world).unwrap_err();
    assert_eq!(findings[0].code.id, "FB0411");
    let findings = Config::parse(&text, "conf/forebay.yaml", &World::default()).unwrap_err();
    assert_eq!(findings[0].code.id, "FB0408");
    assert!(findings[0].message.contains("No such file"), "{findings:?}");
}

/// A registry may have another version one day; a file is what it is.
#[test]
fn records_that_do_not_fit_a_schema_of_a_file_cannot_wait_for_another() {
    let file = SecretFile { text: "syntax = \"proto3\";".to_owned(), exposed: None };
    let world = World { files: HashMap::from([("conf/f.proto", file)]), ..World::default() };
    let parse = |more: &str| {
        let text = with(&format!("evolution: {{ mode: fixed, {more} }}"));
        Config::parse(&text, "conf/forebay.yaml", &world)
    };
    for other in ["rotate", "reject"] {
        parse(&format!("schema: f.proto, on_incompatible: {other}")).unwrap();
    }
    parse("version: 1, on_incompatible: pause").unwrap();
    let findings = parse("schema: f.proto, on_incompatible: pause").unwrap_err();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].code.id, "FB0411");
    let text = findings[0].to_string();
    assert!(text.contains("evolution.schema") && text.contains("no other version"), "{text}");
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    for (lines, part) in [
        ("source: { brokers: a, topics: [x], topics_regex: y }", "one of them required"),
        (
            "source: { brokers: a, topics: [x], start: { offsets: {}, timestamp: 2026-01-02T00:00:00Z } }",
            "2 ways",
        ),
        ("registry: { url: 'https://u:p@x', auth: { bearer: t } }", "one required"),
        ("registry: { url: ['https://u:p@x', 'https://v:p@y'] }", "different ones"),
        ("registry: { url: 'https://x', tls: { key_file: k } }", "cert_file"),
        ("registry: { url: 'http://x', tls: { ca_file: k } }", "https"),
        ("sink: { url: 's3://lake', compression_level: 10 }", "0 to 9 with gzip"),
        (
            "sink: { url: 's3://lake', compression: zstd, compression_level: 0 }",
            "1 to 22 with zstd",
        ),
        (
            "sink: { url: 's3://lake', compression: snappy, compression_level: 1 }",
            "none with snappy",
        ),
        ("metadata: [key]\nkey: { format: ignore }", "`metadata: [key]`"),
        ("sink: { url: 's3://lake', access_key_id: a }", "secret_access_key"),
        ("sink: { url: 's3://lake', session_token: a }", "session_token"),
        ("sink: { url: 's3://lake', kms_key_id: a }", "aws:kms"),
        ("sink: { url: /data, region: x, acl: private }", "`region`, `acl`"),
        ("readers: [native, spark]", "native"),
        ("limits: { decoded_bytes: 8GiB }", "a quarter"),
    ] {
        one(lines, "FB0411", &[part]);
    }
}

#[test]
fn settings_of_one_dialect_are_refused_beside_the_other() {
    let is = Connect::default();
    let config =
        "dialect: confluent\nconnect: { flatten_unions: true, wrapper_for_raw_primitives: false }";
    let value = parse(&with(config)).unwrap().pipeline.value;
    assert_eq!(
        value.dialect,
        Dialect::Confluent(Connect {
            flatten_unions: true,
            wrapper_for_raw_primitives: false,
            ..is
        })
    );
    assert_eq!(
        parse(&with("connect: { flatten_unions: false }")).unwrap().pipeline.value.dialect,
        Dialect::Clean
    );
    for (config, named) in [
        ("connect: { flatten_unions: true }", "connect.flatten_unions"),
        ("dialect: confluent\nvalue: { unsigned: native }", "value.unsigned"),
        ("dialect: confluent\nvalue: { timestamps: ns }", "value.timestamps"),
        (
            "dialect: confluent\nvalue: { unions: json, presence: nullable }",
            "value.presence`, `value.unions",
        ),
    ] {
        let found = findings(config);
        assert!(found.len() == 1 && found[0].contains(&format!("`{named}` found")), "{found:?}");
    }
    assert!(findings("dialect: avro")[0].contains("`clean`"), "{:?}", findings("dialect: avro"));
}

#[test]
fn sinks_compatibility_stands_in_place_of_another_mode() {
    let full = "dialect: confluent\nconnect: { schema_compatibility: full }";
    let evolution = parse(&with(full)).unwrap().pipeline.evolution;
    assert_eq!(evolution.compatibility, Some(Compatibility::Full));
    assert_eq!(parse(&with("")).unwrap().pipeline.evolution.compatibility, None);
    for more in ["evolution: { mode: latest }", "value: { format: string }"] {
        let found = findings(&format!("{full}\n{more}"));
        assert!(found.len() == 1 && found[0].contains("connect.schema_compatibility"), "{found:?}");
        assert!(found[0].contains("`evolution.mode: rotate`"), "{found:?}");
    }
    let alone = findings("connect: { schema_compatibility: none }");
    assert!(alone[0].contains("`connect.schema_compatibility` found"), "{alone:?}");
}
