//! librdkafka properties: which are the user's, which are the program's, and what a client starts with.
//!
//! Owns: the table of refused properties with a reason in each row; the defaults of consumer and
//! producer. Does not own: meanings and ranges, which are librdkafka's.
//! Absent: secrets in messages. A value is quoted only where its name says that it is none.

use std::collections::BTreeMap;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;

use super::codes::{CLIENT, MECHANISM, PROPERTY, PROPERTY_OWNED};
use crate::config::{self, Secret};
use crate::error::Fault;

/// Properties that the program owns, and why.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set `source.brokers`"),
    ("metadata.broker.list", "set `source.brokers`"),
    ("group.id", "set `source.group`"),
    ("enable.auto.commit", "offsets are committed after files are published, never by a timer"),
    ("auto.commit.enable", "offsets are committed after files are published, never by a timer"),
    (
        "auto.commit.interval.ms",
        "offsets are committed after files are published, never by a timer",
    ),
    ("enable.auto.offset.store", "a record counts as read when its file is published"),
    ("offset.store.method", "offsets are kept by the commit chain and by the group"),
    ("offset.store.path", "offsets are kept by the commit chain and by the group"),
    ("offset.store.sync.interval.ms", "offsets are kept by the commit chain and by the group"),
    (
        "auto.offset.reset",
        "set `source.start`; a position that leaves the log stops the Kafka partition instead of skipping records",
    ),
    ("check.crcs", "checksums are always checked: without them a damaged batch becomes rows"),
    (
        "group.protocol",
        "the group uses the classic protocol; this client's `consumer` protocol has known stalls",
    ),
    ("group.remote.assignor", "the group uses the classic protocol"),
    (
        "partition.assignment.strategy",
        "the group uses `cooperative-sticky`, so that a rebalance stops only what moves",
    ),
    ("enable.partition.eof", "the end of a partition is read from its watermarks"),
    ("queued.max.messages.kbytes", "it follows from `memory.limit`"),
    ("queued.min.messages", "it follows from `memory.limit`"),
    ("fetch.queue.backoff.ms", "it follows from how full queues are read"),
    ("consume.callback.max.messages", "records are read by queue, not by callback"),
    ("statistics.interval.ms", "metrics are read from the client directly"),
    ("allow.auto.create.topics", "reading never creates topics"),
    ("enable.random.seed", "it belongs to the program"),
    ("log_level", "set the log level of Forebay"),
    ("log.queue", "the program reads the client's log"),
    ("log.thread.name", "the program reads the client's log"),
    ("plugin.library.paths", "the program loads no foreign code"),
    ("test.mock.num.brokers", "it is for librdkafka's own tests"),
    ("test.mock.broker.rtt", "it is for librdkafka's own tests"),
    ("enable.sasl.oauthbearer.unsecure.jwt", "unsigned tokens authenticate nobody"),
    ("sasl.oauthbearer.config", "set `source.oauth`"),
    ("sasl.oauthbearer.method", "set `source.oauth`"),
    ("sasl.oauthbearer.client.id", "set `source.oauth.client_id`"),
    ("sasl.oauthbearer.client.secret", "set `source.oauth.client_secret`"),
    ("sasl.oauthbearer.token.endpoint.url", "set `source.oauth.token_url`"),
    ("sasl.oauthbearer.scope", "set `source.oauth.scope`"),
    ("sasl.oauthbearer.extensions", "set `source.oauth.extensions`"),
    ("background_event_cb", "callbacks belong to the program"),
    ("opaque", "callbacks belong to the program"),
    ("interceptors", "callbacks belong to the program"),
    ("events", "callbacks belong to the program"),
    ("enabled_events", "callbacks belong to the program"),
];

/// SASL mechanisms that this build can do.
const MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

/// Findings about `source.properties`, all at once: owned, unknown, out of range, unsupported.
pub fn check_properties(properties: &BTreeMap<String, Secret>) -> Vec<Fault> {
    properties.iter().filter_map(|(name, value)| check_one(name, value.reveal())).collect()
}

fn check_one(name: &str, value: &str) -> Option<Fault> {
    let place = format!("source.properties.{name}");
    if let Some((_, reason)) = OWNED.iter().find(|(owned, _)| *owned == name) {
        return Some(
            Fault::new(
                &PROPERTY_OWNED,
                format!("property `{name}`: set by Forebay itself; {reason}"),
            )
            .at(place),
        );
    }
    if name.ends_with("_cb") {
        let text =
            format!("property `{name}`: a callback, which belongs to the program; remove it");
        return Some(Fault::new(&PROPERTY_OWNED, text).at(place));
    }
    if name == "sasl.mechanism" || name == "sasl.mechanisms" {
        return check_mechanism(name, value).map(|f| f.at(place));
    }
    let mut one = ClientConfig::new();
    one.set(name, value);
    match one.create_native_config() {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(_, reason, ..)) => {
            // librdkafka's reason quotes the value.
            let reason = if is_secret(name) { "value refused".to_owned() } else { reason };
            Some(Fault::new(&PROPERTY, format!("property `{name}`: {}", lower(&reason))).at(place))
        }
        Err(_) => {
            let text = format!("property `{name}`: holds a zero byte, none allowed");
            Some(Fault::new(&PROPERTY, text).at(place))
        }
    }
}

fn check_mechanism(name: &str, value: &str) -> Option<Fault> {
    if MECHANISMS.iter().any(|m| m.eq_ignore_ascii_case(value)) {
        return None;
    }
    let instead = match value.to_ascii_uppercase().as_str() {
        "GSSAPI" => "Kerberos is not built in; use SCRAM or TLS client certificates",
        "AWS_MSK_IAM" => {
            "it is not built in; use SCRAM on the MSK cluster, or OAUTHBEARER with `source.oauth`"
        }
        _ => "use another",
    };
    Some(Fault::new(
        &MECHANISM,
        format!(
            "property `{name}`: `{value}`, one of {} required; {instead}",
            MECHANISMS.join(", ")
        ),
    ))
}

/// Findings about OAuth: both or neither of `source.oauth` and the mechanism.
pub(super) fn check_oauth(source: &config::Source) -> Option<Fault> {
    let mechanism = mechanism(&source.properties).unwrap_or_default();
    match (mechanism.eq_ignore_ascii_case("OAUTHBEARER"), &source.oauth) {
        (true, None) => Some(Fault::new(
            &MECHANISM,
            "property `sasl.mechanism`: `OAUTHBEARER` without `source.oauth`; add it, tokens come from there",
        )),
        (false, Some(_)) if !mechanism.is_empty() => Some(Fault::new(
            &MECHANISM,
            format!(
                "property `sasl.mechanism`: `{mechanism}` beside `source.oauth`, `OAUTHBEARER` required"
            ),
        )),
        _ => None,
    }
}

/// The SASL mechanism that the properties name.
pub(super) fn mechanism(properties: &BTreeMap<String, Secret>) -> Option<&str> {
    ["sasl.mechanism", "sasl.mechanisms"]
        .iter()
        .find_map(|name| properties.get(*name))
        .map(Secret::reveal)
}

/// True for properties whose value must not be shown.
fn is_secret(name: &str) -> bool {
    ["password", "secret", "key.pem", "jaas", "token", "assertion.private"]
        .iter()
        .any(|part| name.contains(part))
}

/// Puts the first letter in lower case, and drops the full stop.
pub(super) fn lower(text: &str) -> String {
    let mut chars = text.trim().trim_end_matches('.').chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Other names of settings that have a default here: alias, name.
const ALIASES: &[(&str, &str)] = &[
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("compression.codec", "compression.type"),
    ("queue.buffering.max.ms", "linger.ms"),
];

/// What every client starts with: brokers, defaults below the user's properties.
pub(super) fn client(
    brokers: &str,
    properties: &BTreeMap<String, Secret>,
    defaults: &[(&str, &str)],
    owned: &[(&str, &str)],
) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", "forebay");
    config.set("socket.keepalive.enable", "true");
    config.set("reconnect.backoff.max.ms", "2000");
    config.set("log.connection.close", "false");
    for (name, value) in defaults {
        // librdkafka knows two names for some settings; the user's wins under either.
        let given = ALIASES.iter().any(|(a, b)| *b == *name && properties.contains_key(*a));
        if !given {
            config.set(*name, *value);
        }
    }
    for (name, value) in properties {
        config.set(name, value.reveal());
    }
    config.set("bootstrap.servers", brokers);
    for (name, value) in owned {
        config.set(*name, *value);
    }
    config
}

/// Consumer settings; `queue_bytes` is what one Kafka partition may hold unread.
pub(super) fn consumer(source: &config::Source, queue_bytes: usize) -> ClientConfig {
    let kbytes = (queue_bytes / 1024).clamp(64, 1 << 20).to_string();
    // One partition's share of a response: not far more than its queue may hold.
    let fetch = queue_bytes.clamp(64 << 10, 1 << 20).to_string();
    let blacklist = match source.properties.get("topic.blacklist") {
        Some(more) => format!("^__.*,{}", more.reveal()),
        None => "^__.*".to_owned(),
    };
    let mut config = client(
        &source.brokers,
        &source.properties,
        &[
            ("isolation.level", "read_committed"),
            ("topic.metadata.refresh.interval.ms", "60000"),
            ("fetch.message.max.bytes", &fetch),
            ("fetch.error.backoff.ms", "200"),
        ],
        &[
            ("group.id", &source.group),
            ("group.protocol", "classic"),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
            ("enable.partition.eof", "false"),
            ("allow.auto.create.topics", "false"),
            ("queued.max.messages.kbytes", &kbytes),
            ("queued.min.messages", "100000"),
            ("fetch.queue.backoff.ms", "20"),
            ("topic.blacklist", &blacklist),
        ],
    );
    if source.oauth.is_some() && mechanism(&source.properties).is_none() {
        config.set("sasl.mechanism", "OAUTHBEARER");
    }
    config
}

/// A client that could not be made, as a fault.
pub(super) fn client_fault(error: &KafkaError) -> Fault {
    match error {
        KafkaError::ClientConfig(_, reason, name, _) if is_secret(name) => {
            let _ = reason;
            Fault::new(&PROPERTY, format!("property `{name}`: value refused"))
        }
        KafkaError::ClientConfig(_, reason, name, _) => {
            Fault::new(&PROPERTY, format!("property `{name}`: {}", lower(reason)))
        }
        KafkaError::ClientCreation(reason) => {
            Fault::new(&CLIENT, format!("kafka client: {}", lower(reason)))
        }
        other => Fault::new(&CLIENT, format!("kafka client: {}", lower(&other.to_string()))),
    }
}
