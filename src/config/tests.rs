use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::clock::Seeded;

/// A world of its own: variables, files, and 10 GiB of memory.
#[derive(Default)]
struct World {
    vars: HashMap<&'static str, &'static str>,
    files: HashMap<&'static str, SecretFile>,
}

impl Env for World {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).map(|value| (*value).to_owned())
    }
    fn file(&self, path: &Path) -> Result<SecretFile, String> {
        let path = path.to_str().unwrap();
        self.files.get(path).cloned().ok_or_else(|| "No such file".to_owned())
    }
    fn plain_file(&self, path: &Path) -> Result<String, String> {
        self.file(path).map(|file| file.text)
    }
    fn memory_bytes(&self) -> u64 {
        10 << 30
    }
}

const LEAST: &str = "
pipeline: orders
source: { brokers: 'localhost:9092', topics: [orders] }
registry: { url: 'http://localhost:8081' }
sink: { url: s3://lake/raw }
";

fn parse(text: &str) -> Result<Config, Vec<Fault>> {
    Config::parse(text, "forebay.yaml", &World::default())
}

/// The least configuration, with lines added or put in place of those of the same first word.
fn with(lines: &str) -> String {
    let replaced = |line: &&str| {
        let word = line.split(':').next().unwrap();
        word.is_empty() || !lines.lines().any(|new| new.starts_with(&format!("{word}:")))
    };
    LEAST.lines().filter(replaced).chain(lines.lines()).map(|line| format!("{line}\n")).collect()
}

fn findings(lines: &str) -> Vec<String> {
    match parse(&with(lines)) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(Fault::to_string).collect(),
    }
}

#[track_caller]
fn one(lines: &str, code: &str, parts: &[&str]) {
    let found = findings(lines);
    assert_eq!(found.len(), 1, "{lines}\n{found:#?}");
    assert!(found[0].starts_with(code), "{lines}\n{found:#?}");
    for part in parts {
        assert!(found[0].contains(part), "`{part}` not in {}", found[0]);
    }
}

#[test]
fn least_configuration_gets_the_defaults_of_the_page() {
    let config = parse(LEAST).unwrap();
    let p = &config.pipeline;
    assert_eq!(p.name, "orders");
    assert_eq!(p.source.group, "forebay-orders");
    assert_eq!(p.source.start, Start::Auto);
    assert_eq!(p.registry.unknown_id_grace, Duration::from_secs(60));
    assert_eq!(p.registry.timeout, Duration::from_secs(30));
    assert_eq!(p.registry.auth, RegistryAuth::None);
    assert_eq!(p.value, Value::default());
    assert_eq!((p.rotate.rows, p.rotate.bytes), (1_000_000, 128 << 20));
    assert_eq!(p.commit.interval, Duration::from_secs(600));
    assert_eq!((p.commit.rows, p.commit.bytes), (None, None));
    assert_eq!(p.rejects.prefix, "_rejects/orders");
    assert_eq!(p.readers, [Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb]);
    let quarter = config.memory_limit / 4;
    assert_eq!(p.limits, Limits { decoded_bytes_max: quarter, ..Limits::default() });
    assert_eq!((p.sink.compression, p.sink.compression_level), (Compression::Gzip, None));
    assert_eq!(p.sink.s3.part_bytes, Some(8 << 20));
    assert_eq!(config.memory_limit, (10 << 30) / 100 * 70);
    assert_eq!(config.shutdown_timeout, Duration::from_secs(25));
    assert_eq!(config.listen, None);
    assert!(config.warnings.is_empty());
}

#[test]
fn small_example_of_the_design_parses() {
    let config = parse(
        r#"
pipeline: orders                       # names the chain; required
source:
  brokers: localhost:9092
  topics: [orders]                     # or topics_regex
  group: forebay-orders
  start: auto
  properties: {}
registry:
  url: http://localhost:8081
  subject_name_strategy: topic
value: { format: auto }
key: { format: ignore }
partition_by: [country, "day(created_at)"]
sink:
  url: s3://lake/raw
  endpoint: http://localhost:9000
  format: parquet
  compression: gzip
rotate: { rows: 1000000, bytes: 128MiB }
commit: { interval: 10m }
evolution: { mode: rotate }
rejects: { url: s3://lake/raw/_rejects }
readers: [spark, athena, trino, duckdb]
memory: { limit: 70% }
listen: 127.0.0.1:9464
shutdown: { timeout: 25s }
"#,
    )
    .unwrap();
    let p = &config.pipeline;
    let exprs: Vec<(&str, &str)> = p
        .partition_by
        .iter()
        .map(|item| (item.expr.text.as_str(), item.expr.place.as_str()))
        .collect();
    assert_eq!(
        exprs,
        [
            ("country", "partition_by[0] (forebay.yaml:14)"),
            ("day(created_at)", "partition_by[1] (forebay.yaml:14)"),
        ]
    );
    assert_eq!(p.rejects.prefix, "_rejects");
    assert_eq!(p.sink.url, SinkUrl::S3 { bucket: "lake".into(), prefix: "raw".into() });
    assert_eq!(p.sink.s3.endpoint.as_deref(), Some("http://localhost:9000"));
    assert_eq!(config.listen.as_deref(), Some("127.0.0.1:9464"));
}

#[test]
fn every_option_can_be_set() {
    let config = parse(
        r#"
pipeline: p.1
source:
  brokers: ["a:1", "b:2,c:3"]
  topics_regex: "orders-.*"
  group: g
  start: { offsets: { orders: { 0: 12, 3: 918273 }, refunds: { 1: 0 } } }
  properties: { security.protocol: SASL_SSL, fetch.min.bytes: 1, enable.x: false }
  oauth:
    token_url: https://idp.example/token
    client_id: me
    client_secret: s3cret
    scope: kafka
    extensions: { logicalCluster: lkc-1 }
registry:
  url: [https://sr1.example/, https://sr2.example]
  auth: { username: key, password: pa55 }
  tls: { ca_file: ca.pem, cert_file: me.pem, key_file: me.key }
  headers: { X-Tenant: blue }
  subject_name_strategy: topic_record
  unknown_id_grace: 0s
  timeout: 1500ms
value: { format: avro, unsigned: native, enums: number, presence: nullable, tombstones: reject, recursion: drop, unions: json, truncate_timestamps: false }
partition_by:
  - { name: dt, expr: "day(created_at)", timezone: Europe/Paris }
sink:
  url: s3://lake
  endpoint: https://minio.example:9000
  region: eu-west-3
  path_style: false
  access_key_id: AKIA
  secret_access_key: shh
  session_token: t0k3n
  sse: aws:kms
  kms_key_id: arn
  bucket_key: true
  acl: bucket-owner-full-control
  storage_class: STANDARD_IA
  tags: { team: data, 2: "3" }
  checksum: crc32c
  part_bytes: 16MiB
  compression: zstd
  compression_level: 22
  escape: connect
  partition_columns: keep
rotate: { rows: 7, bytes: 5MiB }
commit: { interval: 1h30m, rows: 10_000, bytes: 1GiB }
rejects: { url: s3://lake/_bad/orders }
readers: [native]
limits: { record_bytes: 1MiB, depth: 20, decoded_bytes: 2MiB, nodes: 1000 }
memory: { limit: 1GiB }
listen: 0.0.0.0:9464
shutdown: { timeout: 1m }
"#,
    )
    .unwrap();
    let p = &config.pipeline;
    assert_eq!(p.source.brokers, "a:1,b:2,c:3");
    assert_eq!(p.source.topics, Topics::Regex("orders-.*".into()));
    let offsets: BTreeMap<(String, i32), i64> =
        [(("orders".into(), 0), 12), (("orders".into(), 3), 918_273), (("refunds".into(), 1), 0)]
            .into();
    assert_eq!(p.source.start, Start::Offsets(offsets));
    assert_eq!(p.source.properties["fetch.min.bytes"].reveal(), "1");
    assert_eq!(p.source.properties["enable.x"].reveal(), "false");
    let oauth = p.source.oauth.as_ref().unwrap();
    assert_eq!(
        (oauth.client_secret.reveal(), oauth.extensions["logicalCluster"].as_str()),
        ("s3cret", "lkc-1")
    );
    assert_eq!(p.registry.urls, ["https://sr1.example", "https://sr2.example"]);
    assert_eq!(
        p.registry.auth,
        RegistryAuth::Basic { username: "key".into(), password: Secret::new("pa55") }
    );
    assert_eq!(p.registry.subject_name_strategy, SubjectNameStrategy::TopicRecord);
    assert_eq!(p.registry.unknown_id_grace, Duration::ZERO);
    assert_eq!((p.value.format, p.value.truncate_timestamps), (Format::Avro, false));
    let item = &p.partition_by[0];
    assert_eq!(item.name.as_deref(), Some("dt"));
    assert_eq!(item.timezone.as_ref().unwrap().place, "partition_by[0].timezone (forebay.yaml:25)");
    assert_eq!(p.sink.s3.tags["2"], "3");
    assert_eq!(p.sink.s3.sse.as_deref(), Some("aws:kms"));
    assert_eq!(
        p.commit,
        Commit {
            interval: Duration::from_secs(5_400),
            rows: Some(10_000),
            bytes: Some(1 << 30),
            schedule: None,
            idle: None,
            skip_lost_offsets: false,
            restart_recreated: false,
            reset_truncated: false,
            ignore_group_ahead: false,
            authority: Authority::Store,
            adopt_lost_authority: false,
            record_version: 1,
        }
    );
    assert_eq!(p.rejects.prefix, "_bad/orders");
    assert_eq!(p.readers, [Reader::Native]);
    assert_eq!(
        p.limits,
        Limits {
            record_bytes: 1 << 20,
            depth: 20,
            decoded_bytes: 2 << 20,
            decoded_bytes_max: config.memory_limit / 4,
            nodes: 1_000
        }
    );
    assert_eq!(config.memory_limit, 1 << 30);
    let shown = format!("{config:?}");
    for secret in ["s3cret", "pa55", "AKIA", "shh", "t0k3n", "blue", "SASL_SSL"] {
        assert!(!shown.contains(secret), "`{secret}` in {shown}");
    }
}

#[test]
fn every_key_of_the_table_is_read() {
    // A value that no option takes: each path must answer with a finding of its own, or take any text.
    for opt in options::OPTIONS {
        let mut text = String::new();
        for (depth, key) in opt.path.split('.').enumerate() {
            text.push_str(&format!("{}{key}:\n", "  ".repeat(depth)));
        }
        let depth = opt.path.split('.').count();
        text.push_str(&format!("{}- {{}}\n{}- {{}}\n", "  ".repeat(depth), "  ".repeat(depth)));
        let faults = parse(&text).unwrap_err();
        let said = faults.iter().any(|fault| {
            fault.code.id == "FB0407" && fault.place.as_ref().unwrap().starts_with(opt.path)
                || opt.path == "partition_by" && fault.message.contains("partition_by[0].expr")
        });
        assert!(said, "{}: {faults:#?}", opt.path);
    }
}

#[test]
fn each_wrong_value_gives_its_own_finding() {
    for (lines, parts) in [
        ("pipeline: a b", &["`pipeline`", "`a b`"][..]),
        ("pipeline: ..", &["letters"]),
        ("commit: { interval: 10 }", &["`10`", "duration", "commit.interval (forebay.yaml:6)"]),
        ("commit: { interval: 0s }", &["`0s`", "1s to 1d"]),
        ("commit: { interval: -5m }", &["`-5m`", "duration"]),
        ("commit: { rows: 0 }", &["1 to"]),
        ("rotate: { bytes: 128mb }", &["`128mb`", "128MiB"]),
        ("rotate: { bytes: 1MiB }", &["5MiB to 5GiB"]),
        ("rotate: { rows: 1.5 }", &["a whole number"]),
        ("rotate: { rows: 99999999999999999999999 }", &["a whole number"]),
        ("memory: { limit: 170% }", &["5% to 95%"]),
        ("memory: { limit: 1MiB }", &["at least 64MiB"]),
        ("memory: { limit: lots }", &["a size", "share"]),
        ("listen: 9464", &["host:port"]),
        ("listen: ':9464'", &["host:port"]),
        ("readers: [sparc]", &["`sparc`", "`spark` is the nearest"]),
        ("readers: []", &["at least one"]),
        ("value: { enums: names }", &["`names`", "`name` is the nearest"]),
        ("value: { truncate_timestamps: yes }", &["`yes`", "`true` or `false`"]),
        ("registry: { url: 'ftp://x' }", &["http"]),
        ("registry: { url: 'localhost:8081' }", &["http"]),
        ("registry: { url: 'http://x:99999' }", &["http"]),
        ("registry: { url: 'http://x', timeout: 1h }", &["100ms to 5m"]),
        ("registry: { url: 'http://x', headers: { 'a b': c } }", &["header name"]),
        ("source: { brokers: ['a:1', 'a b'], topics: [x] }", &["`a b`", "host:port"]),
        ("source: { brokers: 'a:0', topics: [x] }", &["host:port"]),
        ("source: { brokers: a, topics: ['x/y'] }", &["`x/y`", "topic"]),
        ("source: { brokers: a, topics: [x, x] }", &["each topic once"]),
        ("source: { brokers: a, topics: [x], start: yesterday }", &["`yesterday`", "timestamp"]),
        ("source: { brokers: a, topics: [x], start: 2026-01-02 }", &["zone"]),
        ("source: { brokers: a, topics: [x], start: offsets }", &["the offsets themselves"]),
        (
            "source: { brokers: a, topics: [x], start: { offsets: { t: { 0: -1 } } } }",
            &["start.offsets.t.0", "`-1`"],
        ),
        (
            "source: { brokers: a, topics: [x], start: { offsets: { t: { a: 1 } } } }",
            &["Kafka partition"],
        ),
        ("sink: { url: 's3://' }", &["s3://bucket"]),
        ("sink: { url: 'gs://bucket/x' }", &["s3://bucket"]),
        ("sink: { url: 's3://bucket/a/../b' }", &["`..`"]),
        ("sink: { url: 's3://lake', compression: gzipp }", &["`gzip` is the nearest"]),
        ("sink: { url: 's3://lake', part_bytes: 1MiB }", &["5MiB to 5GiB"]),
        ("rejects: { url: 's3://lake/raw/bad' }", &["starts with `_`"]),
        ("rejects: { url: 's3://other/_bad' }", &["below `s3://lake/raw`"]),
        ("rejects: { url: 's3://lake/raw/_forebay/x' }", &["`_forebay`"]),
        ("limits: { depth: 101 }", &["1 to 100"]),
    ] {
        one(lines, "FB0408", parts);
    }
}

#[test]
fn each_missing_part_gives_its_own_finding() {
    one("pipeline:", "FB0406", &["pipeline (forebay.yaml)"]);
    one("source: { topics: [x] }", "FB0406", &["source.brokers"]);
    one("registry: {}", "FB0406", &["registry.url"]);
    one("sink: {}", "FB0406", &["sink.url"]);
    one("source: { brokers: a }", "FB0411", &["`source.topics`", "`source.topics_regex`"]);
    one(
        "registry: { url: 'https://x', auth: { username: u } }",
        "FB0406",
        &["registry.auth.password"],
    );
    one("partition_by: [{ name: x }]", "FB0406", &["partition_by[0].expr"]);
    let all = findings("source: { brokers: a, topics: [x], oauth: {} }");
    assert_eq!(all.len(), 3, "{all:#?}");
    let nothing: Vec<String> =
        parse("").unwrap_err().iter().map(|f| f.place.clone().unwrap()).collect();
    for path in ["pipeline", "source.brokers", "source.topics", "registry.url", "sink.url"] {
        assert!(nothing.contains(&format!("{path} (forebay.yaml)")), "{path}: {nothing:?}");
    }
}

#[test]
fn each_wrong_form_gives_its_own_finding() {
    one("sink: 5", "FB0407", &["section `sink`", "a single value", "a map"]);
    one("pipeline: [a]", "FB0407", &["a list found"]);
    one("rotate: { rows: { a: 1 } }", "FB0407", &["rotate.rows", "a map of keys found"]);
    one("partition_by: country", "FB0407", &["a list of expressions"]);
    one(
        "source: { brokers: a, topics: [x], properties: [a] }",
        "FB0407",
        &["a map of keys required"],
    );
    one(
        "source: { brokers: a, topics: [x], properties: { a: [b] } }",
        "FB0407",
        &["source.properties.a"],
    );
    one("source: { brokers: a, topics: [[x]] }", "FB0407", &["source.topics[0]"]);
    let found = parse("[a, b]").unwrap_err();
    assert!(found[0].to_string().contains("a list found, a map of keys required"), "{found:#?}");
}

#[test]
fn unknown_keys_name_the_nearest() {
    one("pipline: x", "FB0405", &["`pipline`", "`pipeline` is the nearest"]);
    one(
        "commit: { intervall: 5m }",
        "FB0405",
        &["`interval` is the nearest", "commit.intervall (forebay.yaml:6)"],
    );
    one("rotate: { colour: red }", "FB0405", &["one of `rows`, `bytes`"]);
    one("registry: { url: 'http://x', tls: { ca: f } }", "FB0405", &["registry.tls.ca"]);
    one("partition_by: [{ expr: a, nmae: b }]", "FB0405", &["`nmae`"]);
}

#[test]
fn what_the_design_knows_and_this_version_does_not_is_refused_by_name() {
    for (lines, part) in [
        ("pipelines: []", "one process for each pipeline"),
        ("sinks: []", "one pipeline for each sink"),
        ("source: { brokers: a, topics: [x], until: 5 }", "source.until"),
        ("source: { brokers: a, topics: [x], partitions: [0] }", "source.partitions"),
        ("rotate: { idle: 5m }", "rotate.idle"),
        ("sink: { url: 's3://lake', format: avro }", "`avro` is not in this version"),
        ("sink: { url: 's3://lake', format: json }", "`json` is not in this version"),
    ] {
        one(lines, "FB0409", &[part]);
    }
}

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
fn all_findings_come_at_once() {
    let text = r#"
pipeline: "a b"
pipline: x
source:
  brokers: "a b"
  topics: ["x/y", "ok", "ok"]
  start: soon
  until: 5
  properties: [a]
  oauth: { token_url: nowhere }
registry:
  url: nowhere
  timeout: 5
  unknown_id_grace: soon
  colour: blue
  auth: { password: p }
value: { format: jason, enums: nmae, presence: 1 }
key: { format: jsn }
partition_by: [{ name: x }, { expr: a, x: y }]
sink:
  url: gs://x
  format: avro
  compression: zip
  compression_level: 99
  secret_access_key: ${NOWHERE}
  part_bytes: 1
rotate: { rows: none, bytes: 1 }
rotate: { idle: 5m }
commit: { interval: 5 minutes }
readers: [hive]
memory: { limit: all }
listen: 1
shutdown: { timeout: 0s }
"#;
    let faults = parse(text).unwrap_err();
    let shown: Vec<String> = faults.iter().map(Fault::to_string).collect();
    for path in [
        "(pipeline (",
        "(pipline (",
        "source.brokers",
        "source.topics",
        "source.start",
        "source.until",
        "source.properties",
        "source.oauth.token_url",
        "source.oauth.client_id",
        "source.oauth.client_secret",
        "(registry.url (",
        "registry.timeout",
        "registry.unknown_id_grace",
        "registry.colour",
        "registry.auth.username",
        "value.format",
        "value.enums",
        "value.presence",
        "key.format",
        "(partition_by[0] (",
        "partition_by[1].x",
        "(sink.url (",
        "sink.format",
        "sink.compression (",
        "sink.compression_level",
        "sink.secret_access_key",
        "sink.part_bytes",
        "rotate.rows",
        "rotate.bytes",
        "commit.interval",
        "(readers (",
        "memory.limit",
        "(listen (",
        "shutdown.timeout",
    ] {
        assert!(shown.iter().any(|line| line.contains(path)), "{path}: {shown:#?}");
    }
    assert!(
        shown.iter().any(|line| line.starts_with("FB0404") && line.contains("`rotate`")),
        "{shown:#?}"
    );
    assert!(shown.iter().all(|line| line.contains("forebay.yaml")), "{shown:#?}");
}

#[test]
fn one_wrong_value_brings_no_second_finding_with_it() {
    for lines in [
        "sink: { url: 's3://lake', access_key_id: '${NO}', secret_access_key: x }",
        "source: { brokers: a, topics: ['${NO}'] }",
    ] {
        let found = findings(lines);
        assert_eq!(found.len(), 1, "{lines}\n{found:#?}");
    }
}

#[test]
fn rule_between_options_is_silent_where_one_of_them_is_wrong() {
    for lines in [
        "sink: { url: 's3://lake', sse: kms, kms_key_id: k }",
        "sink: { url: 's3://lake', compression: snapy, compression_level: 12 }",
        "sink: { url: 'gs://lake', region: x }",
        "memory: { limit: lots }\nlimits: { decoded_bytes: 8GiB }",
        "registry: { url: 'http:/x', tls: { ca_file: y } }",
    ] {
        let found = findings(lines);
        assert_eq!(found.len(), 1, "{lines}\n{found:#?}");
    }
}

fn world() -> World {
    let secret = |text: &str, exposed: Option<&str>| SecretFile {
        text: text.into(),
        exposed: exposed.map(str::to_owned),
    };
    World {
        vars: [
            ("TOPIC", "orders"),
            ("EMPTY", ""),
            ("INJECT", "a, ${TOPIC}: [x]\nb"),
            ("PW", "hunter2"),
        ]
        .into(),
        files: [
            ("etc/pw", secret("hunter3", None)),
            ("/run/open", secret("hunter4", Some("readable by everybody (mode 644)"))),
        ]
        .into(),
    }
}

fn parse_in_world(lines: &str) -> Result<Config, Vec<Fault>> {
    Config::parse(&with(lines), "etc/forebay.yaml", &world())
}

#[test]
fn variables_and_files_are_substituted_in_values() {
    let config = parse_in_world(
        "source: { brokers: 'b:${PORT:-9092}', topics: ['${TOPIC}', 'x-${TOPIC}-${EMPTY:-y}'], group: 'g$${TOPIC}${EMPTY}' }
registry: { url: 'https://x', auth: { username: u, password: '${file:pw}' }, headers: { a: '${file:/run/open}' } }",
    )
    .unwrap();
    let p = &config.pipeline;
    assert_eq!(p.source.brokers, "b:9092");
    assert_eq!(p.source.topics, Topics::Names(vec!["orders".into(), "x-orders-y".into()]));
    assert_eq!(p.source.group, "g${TOPIC}");
    assert_eq!(
        p.registry.auth,
        RegistryAuth::Basic { username: "u".into(), password: Secret::new("hunter3") }
    );
    assert_eq!(p.registry.headers["a"].reveal(), "hunter4");
    assert_eq!(config.warnings.len(), 1);
    assert!(
        config.warnings[0].contains("`/run/open`")
            && config.warnings[0].contains("registry.headers.a"),
        "{:?}",
        config.warnings
    );
}

#[test]
fn what_was_substituted_is_neither_read_again_nor_taken_for_yaml() {
    let config = parse_in_world("source: { brokers: a, topics: [x], group: '${INJECT}' }").unwrap();
    assert_eq!(config.pipeline.source.group, "a, ${TOPIC}: [x]\nb");
}

#[test]
fn substitution_that_fails_names_what_is_missing() {
    for (value, part) in [
        ("${NOWHERE}", "`NOWHERE`: not set"),
        ("${file:nowhere}", "`etc/nowhere`: No such file"),
        ("${UNFINISHED", "without `}`"),
        ("${1X}", "a variable's name"),
        ("${}", "a variable's name"),
        ("${A:-${PW}}", "inside `${…}`"),
    ] {
        one_of_world(
            &format!("source: {{ brokers: a, topics: [x], group: '{value}' }}"),
            "FB0410",
            part,
        );
    }
}

#[track_caller]
fn one_of_world(lines: &str, code: &str, part: &str) {
    let found = parse_in_world(lines).unwrap_err();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].code.id, code, "{found:#?}");
    assert!(found[0].message.contains(part), "{found:#?}");
}

#[test]
fn no_secret_stands_in_a_finding() {
    for lines in [
        "commit: { interval: '${PW}' }",
        "commit: { interval: '${file:pw}' }",
        "sink: { url: 's3://lake', access_key_id: hunter2, secret_access_key: ['hunter3'] }",
        "registry: { url: 'http://u:hunter2@x y' }",
        "registry: { url: ['https://u:hunter2@x', 'https://v:hunter3@y'] }",
        "sink: { url: 's3://k:hunter2@lake' }",
        "sink: { url: 's3://lake', endpoint: 'http://k:hunter2@x' }",
        "source: { brokers: 'SASL_SSL://u:hunter2@b:9092', topics: [x] }",
        "source: { brokers: a, topics: [x], oauth: { token_url: 'https://u:hunter2@x y', client_id: x, client_secret: [hunter3] } }",
        "registry: { url: 'https://x', headers: { A: \"hunter2\\n\" } }",
    ] {
        let found = format!("{:#?}", parse_in_world(lines).unwrap_err());
        assert!(!found.contains("hunter"), "{lines}\n{found}");
    }
}

#[test]
fn user_in_the_registry_url_becomes_credentials() {
    let config =
        parse(&with("registry: { url: 'http://me:p%40ss%3a@sr.example:8081/base/' }")).unwrap();
    let registry = &config.pipeline.registry;
    assert_eq!(registry.urls, ["http://sr.example:8081/base"]);
    assert_eq!(
        registry.auth,
        RegistryAuth::Basic { username: "me".into(), password: Secret::new("p@ss:") }
    );
    assert!(config.warnings[0].contains("plain HTTP"), "{:?}", config.warnings);
    assert!(!format!("{config:?}").contains("p@ss"));
}

#[test]
fn start_reads_timestamps_with_zones() {
    let start = |text: &str| {
        parse(&with(&format!("source: {{ brokers: a, topics: [x], start: {text} }}")))
            .unwrap()
            .pipeline
            .source
            .start
    };
    assert_eq!(start("2026-01-02T00:00:00Z"), Start::Timestamp(1_767_312_000_000));
    assert_eq!(start("2026-01-02T01:00:00+01:00"), Start::Timestamp(1_767_312_000_000));
    assert_eq!(start("{ timestamp: 2026-01-02T00:00:00Z }"), Start::Timestamp(1_767_312_000_000));
    assert_eq!(start("latest"), Start::Latest);
}

#[test]
fn sinks_on_disk_are_folders() {
    for (url, path) in [
        ("file:///data/raw", "/data/raw"),
        ("/data/raw", "/data/raw"),
        ("out", "out"),
        ("./a b", "./a b"),
    ] {
        let config = parse(&with(&format!("sink: {{ url: '{url}' }}"))).unwrap();
        assert_eq!(config.pipeline.sink.url, SinkUrl::Local(path.into()), "{url}");
    }
    let config = parse(&with("sink: { url: /data }\nrejects: { url: /data/_bad }")).unwrap();
    assert_eq!(config.pipeline.rejects.prefix, "_bad");
}

#[test]
fn yaml_that_is_not_plain_is_refused_at_its_line() {
    let bomb: String = std::iter::once("a0: &a0 [x, x]\n".to_owned())
        .chain((1..30).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1)))
        .collect();
    for (text, line, part) in [
        (bomb.as_str(), 2, "alias"),
        ("pipeline: x\n<<: { a: b }\n", 2, "merge key"),
        ("pipeline: !!str x\n", 1, "tag"),
        ("a: b\n---\na: c\n", 2, "second one"),
        ("a: [b\nc: d\n", 3, ""),
        ("a: 'b\n", 2, ""),
        ("? [a]\n: b\n", 1, "key"),
    ] {
        let found = parse(text).unwrap_err();
        let last = found.last().unwrap();
        assert_eq!(last.code.id, "FB0403", "{text}\n{found:#?}");
        assert!(last.message.contains(part), "{text}\n{found:#?}");
        let place = last.place.as_deref().unwrap();
        assert!(place.starts_with("forebay.yaml:"), "{place}");
        if !part.is_empty() {
            assert_eq!(place, format!("forebay.yaml:{line}"), "{text}");
        }
    }
}

#[test]
fn deep_and_large_texts_are_refused_in_little_time() {
    for text in
        ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "a:\n ".repeat(50_000)]
    {
        assert!(parse(&text).is_err());
    }
    let deep = format!("a: {}x{}", "[".repeat(40), "]".repeat(40));
    assert!(parse(&deep).unwrap_err().iter().any(|f| f.message.contains("nesting")), "{deep}");
    let many = format!("a: [{}]", "x,".repeat(200_000));
    assert!(parse(&many).unwrap_err().iter().any(|f| f.message.contains("more than 100000")));
    let large = " ".repeat((1 << 20) + 1);
    assert_eq!(parse(&large).unwrap_err()[0].code.id, "FB0402");
    let keys: String = (0..50_000).map(|i| format!("k{i}: x\n")).collect();
    assert!(parse(&keys).unwrap_err().len() <= 300);
    let key = format!("{}: x", "k".repeat(1_000));
    let found = parse(&key).unwrap_err();
    assert!(found.iter().all(|f| f.to_string().len() < 4_096));
}

#[test]
fn control_characters_do_not_reach_a_terminal() {
    for text in ["\"a\\e[31m\": x", "pipeline: \"a\\e[31m\"", "\"\\e[31m\": 1\n\"\\e[31m\": 2"] {
        let found = parse(text).unwrap_err();
        assert!(found.iter().all(|f| !f.to_string().contains('\u{1b}')), "{found:?}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    let seed = 20_260_102;
    let mut random = Seeded::new(seed);
    let base =
        with("partition_by: [{ expr: a, name: '${X:-y}' }]\nrotate: { rows: 5, bytes: 8MiB }")
            .into_bytes();
    for round in 0..4_000 {
        let mut text = base.clone();
        for _ in 0..1 + random.below(6) {
            let at = random.below(text.len().max(1) as u64) as usize;
            match random.below(4) {
                0 if at < text.len() => text[at] = random.next_u64() as u8,
                1 if at < text.len() => drop(text.remove(at)),
                0 | 1 => {}
                2 => text.insert(at, b"[]{}:-#&*!|>'\"%@`,? \n\t$"[random.below(23) as usize]),
                _ => text.truncate(at.max(1)),
            }
        }
        let text = String::from_utf8_lossy(&text);
        let result = std::panic::catch_unwind(|| drop(parse(&text)));
        assert!(result.is_ok(), "seed {seed}, round {round}:\n{text}");
    }
}

#[test]
fn file_that_is_not_there_is_named() {
    let found = Config::load(Path::new("/nowhere/forebay.yaml"), &World::default()).unwrap_err();
    assert_eq!(found[0].code.id, "FB0401");
    assert!(found[0].message.contains("`/nowhere/forebay.yaml`"), "{found:?}");
    assert_eq!(Config::load(Path::new("/"), &World::default()).unwrap_err()[0].code.id, "FB0401");
}

#[test]
fn process_reads_secret_files_and_its_memory() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pw");
    std::fs::write(&path, "hunter2\r\n").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let file = Process.file(&path).unwrap();
    assert_eq!(file.text, "hunter2");
    assert!(file.exposed.unwrap().contains("644"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(Process.file(&path).unwrap().exposed, None);
    assert!(Process.file(dir.path()).is_err(), "a folder is no secret");
    std::fs::write(&path, vec![b'x'; 70_000]).unwrap();
    assert!(Process.file(&path).unwrap_err().contains("over"));
    assert!(Process.memory_bytes() > 1 << 20);

    std::fs::write(&path, "s").unwrap();
    let config = dir.path().join("forebay.yaml");
    std::fs::write(&config, with("registry: { url: 'https://x', headers: { a: '${file:pw}' } }"))
        .unwrap();
    let config = Config::load(&config, &Process).unwrap();
    assert_eq!(config.pipeline.registry.headers["a"].reveal(), "s");
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

#[test]
fn table_is_in_order_and_every_default_is_legal() {
    for (i, opt) in options::OPTIONS.iter().enumerate() {
        assert!(
            options::OPTIONS[..i].iter().all(|other| other.path != opt.path),
            "{} twice",
            opt.path
        );
        let section = opt.path.rsplit_once('.').map_or("", |(section, _)| section);
        assert!(options::SECTIONS.iter().any(|(name, _)| *name == section), "{}", opt.path);
        assert!(opt.what.ends_with(['.', '…']) && opt.what.len() > 3, "{}", opt.path);
        if let options::Unset::Is(default) = opt.default {
            let keys: Vec<&str> = opt.path.split('.').collect();
            let nested = keys
                .iter()
                .rev()
                .fold(default.to_owned(), |inner, key| format!("{{ {key}: {inner} }}"));
            let line = nested.trim_start_matches("{ ").strip_suffix(" }").unwrap().to_owned();
            let needed = match keys[0] {
                "source" => line.replacen("{ ", "{ brokers: a, topics: [x], ", 1),
                "registry" => line.replacen("{ ", "{ url: 'https://x', ", 1),
                "sink" => line.replacen("{ ", "{ url: 's3://lake', ", 1),
                _ => line,
            };
            let found: Vec<String> =
                findings(&needed).into_iter().filter(|f| !f.contains("oauth")).collect();
            assert!(found.is_empty(), "{needed}: {found:#?}");
        }
    }
}

/// `docs/config.md` is the table; `FOREBAY_BLESS='docs/*'` writes it anew.
#[test]
fn page_of_options_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    let page = page::page();
    if std::env::var("FOREBAY_BLESS").is_ok_and(|glob| matches(&glob, "docs/config.md")) {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/config.md is stale: FOREBAY_BLESS='docs/*' cargo test --lib config writes it anew"
    );
}

/// A glob of `*` and plain text.
fn matches(glob: &str, name: &str) -> bool {
    match glob.split_once('*') {
        None => glob == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(i, _)| i)
                .chain([rest.len()])
                .any(|i| matches(after, &rest[i..]))
        }),
    }
}
