//! The section `source`.

use std::collections::BTreeMap;

use super::build::{plain, secrets};
use super::forms::{broker_address, http_url, topic_name};
use super::model::*;
use super::values::{Values, printable};
use super::yaml::{Kind, Node};
use super::{CONFLICT, UNKNOWN_KEY, VALUE};

pub(super) fn source(v: &mut Values<'_>, pipeline: &str) -> Source {
    let brokers = v.texts("source.brokers").unwrap_or_default();
    let mut list = Vec::new();
    for value in &brokers {
        for broker in value.text.split(',').map(str::trim) {
            match broker_address(broker) {
                Ok(()) => list.push(broker.to_owned()),
                Err(required) => v.wrong_value("source.brokers", value, &required),
            }
        }
    }
    Source {
        brokers: list.join(","),
        topics: topics(v),
        group: v.text("source.group").unwrap_or_else(|| format!("forebay-{pipeline}")),
        start: start(v),
        properties: secrets(v.pairs("source.properties")),
        oauth: oauth(v),
    }
}

fn topics(v: &mut Values<'_>) -> Topics {
    let names = v.texts("source.topics");
    if let Some(regex) = v.text("source.topics_regex") {
        return Topics::Regex(regex);
    }
    let mut topics: Vec<String> = Vec::new();
    for value in names.iter().flatten() {
        match topic_name(&value.text) {
            Ok(()) if topics.contains(&value.text) => {
                v.wrong_value("source.topics", value, "each topic once")
            }
            Ok(()) => topics.push(value.text.clone()),
            Err(required) => v.wrong_value("source.topics", value, &required),
        }
    }
    Topics::Names(topics)
}

fn start(v: &mut Values<'_>) -> Start {
    const PATH: &str = "source.start";
    let Some(node) = v.node(PATH).cloned() else { return Start::Auto };
    match &node.kind {
        Kind::Map(entries) => {
            let mut start = Start::Auto;
            for (key, below) in entries {
                let path = format!("{PATH}.{key}");
                match key.as_str() {
                    "offsets" => start = Start::Offsets(offsets(v, below)),
                    "timestamp" => start = timestamp(v, below, &path),
                    _ => {
                        let message = format!(
                            "key `{}`: no option, one of `offsets`, `timestamp` required; correct or remove it",
                            printable(key)
                        );
                        v.find(&UNKNOWN_KEY, &path, Some(below.line), message);
                    }
                }
            }
            if entries.len() > 1 {
                v.find(
                    &CONFLICT,
                    PATH,
                    Some(node.line),
                    format!(
                        "value of `{PATH}`: {} ways to start found, one required",
                        entries.len()
                    ),
                );
            }
            start
        }
        _ => {
            match v.scalar(PATH) {
                None => Start::Auto,
                Some(value) => {
                    match value.text.as_str() {
                        "auto" => Start::Auto,
                        "earliest" => Start::Earliest,
                        "latest" => Start::Latest,
                        "offsets" => {
                            v.wrong_value(PATH, &value, "the offsets themselves, `{ offsets: { <topic>: { 0: 918273 } } }`,");
                            Start::Auto
                        }
                        _ => timestamp(v, &node, PATH),
                    }
                }
            }
        }
    }
}

fn timestamp(v: &mut Values<'_>, node: &Node, path: &str) -> Start {
    let Some(value) = v.scalar_of(node, path, false) else { return Start::Auto };
    match value.text.parse::<jiff::Timestamp>() {
        Ok(time) if time.as_millisecond() >= 0 => Start::Timestamp(time.as_millisecond()),
        _ => {
            v.wrong_value(path, &value, "`auto`, `earliest`, `latest`, a timestamp with its zone (`2026-01-02T00:00:00Z`), or `{ offsets: … }`");
            Start::Auto
        }
    }
}

fn offsets(v: &mut Values<'_>, node: &Node) -> BTreeMap<(String, i32), i64> {
    const PATH: &str = "source.start.offsets";
    let mut offsets = BTreeMap::new();
    let Kind::Map(topics) = &node.kind else {
        v.wrong_form(PATH, node, "a map of topics");
        return offsets;
    };
    for (topic, below) in topics {
        let path = format!("{PATH}.{topic}");
        let Kind::Map(partitions) = &below.kind else {
            v.wrong_form(&path, below, "a map of Kafka partitions to offsets");
            continue;
        };
        for (partition, offset) in partitions {
            let path = format!("{path}.{partition}");
            let Some(value) = v.scalar_of(offset, &path, false) else { continue };
            let partition = partition.parse::<i32>().ok().filter(|p| *p >= 0);
            let offset = value.text.parse::<i64>().ok().filter(|o| *o >= 0);
            match (partition, offset) {
                (Some(partition), Some(offset)) => {
                    offsets.insert((topic.clone(), partition), offset);
                }
                (None, _) => {
                    let message = format!(
                        "Kafka partition of `{}`: not a number, 0 or more required",
                        printable(&path)
                    );
                    v.find(&VALUE, &path, Some(value.line), message);
                }
                (_, None) => v.wrong_value(&path, &value, "an offset, 0 or more,"),
            }
        }
    }
    offsets
}

fn oauth(v: &mut Values<'_>) -> Option<OAuth> {
    v.node("source.oauth")?;
    let token_url = v.checked("source.oauth.token_url", |text| http_url(text).map(|_| ()));
    let client_id = v.text("source.oauth.client_id");
    let client_secret = v.secret("source.oauth.client_secret");
    for key in ["token_url", "client_id", "client_secret"] {
        let path = format!("source.oauth.{key}");
        if v.node(&path).is_none() {
            v.missing(&path, format!("option `{path}`: not set, required in `source.oauth`"));
        }
    }
    Some(OAuth {
        token_url: token_url.unwrap_or_default(),
        client_id: client_id.unwrap_or_default(),
        client_secret: client_secret.unwrap_or_default(),
        scope: v.text("source.oauth.scope"),
        extensions: plain(v.pairs("source.oauth.extensions")),
    })
}
