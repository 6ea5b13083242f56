use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::clock::Seeded;

mod refusals;
mod rules;
mod substitution;
mod table;
mod text;

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
fn small_example_parses() {
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
