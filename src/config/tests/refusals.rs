//! What is refused, each with a finding of its own.

use super::*;

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
fn key_of_another_program_is_refused_by_name() {
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
