//! What a cluster has of the configured topics: for `check`, without joining the group.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::connect;
use super::context::Context;
use super::start::with_recent;
use super::token::{Refresher, TokenFetcher};
use crate::config::{self, Topics};
use crate::error::Fault;
use crate::source::codes::{BROKERS, PARTITION, TOPICS};
use crate::source::{properties, topics};

/// A cluster, and the topics of it that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub brokers: usize,
    pub cluster_id: Option<String>,
    /// By name.
    pub topics: Vec<TopicInfo>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    pub name: String,
    /// Ids of its Kafka partitions are `0..partitions`.
    pub partitions: usize,
    /// Those without a leader now.
    pub leaderless: usize,
}

/// Asks the cluster. Blocks for up to `wait`, and a little for the client's last words.
///
/// Errors: what the configuration's own check finds, `BROKERS` with the cause, `TOPICS` where a named
/// topic does not exist or none matches, `PARTITION` where the broker refuses a topic.
pub fn describe(
    source: &config::Source,
    token: Option<TokenFetcher>,
    wait: Duration,
) -> Result<Description, Fault> {
    if let Some(fault) = crate::source::check(source).into_iter().next() {
        return Err(fault);
    }
    let mut config = properties::consumer(source, 1 << 20);
    config.remove("group.id");
    let client = connect(&config)?;
    let _token = Refresher::begin(&client, token)?;
    let (description, findings) = survey(&client, source, wait)?;
    match findings.into_iter().next() {
        Some(fault) => Err(fault),
        None => Ok(description),
    }
}

/// The topics, and a finding for each that is not right.
pub(super) fn survey(
    client: &BaseConsumer<Context>,
    source: &config::Source,
    wait: Duration,
) -> Result<(Description, Vec<Fault>), Fault> {
    let metadata = client.fetch_metadata(None, wait).map_err(|e| {
        listen(client);
        Fault::new(&BROKERS, format!("brokers `{}`: {}", source.brokers, with_recent(client, &e)))
    })?;
    let (mut found, mut findings) = (Vec::new(), Vec::new());
    let mut refused = Vec::new();
    for topic in metadata.topics() {
        if !topics::matches(&source.topics, topic.name()) {
            continue;
        }
        if let Some(error) = topic.error() {
            let text = format!("topic `{}`: {error:?}", topic.name());
            findings.push(Fault::new(&PARTITION, text));
            refused.push(topic.name().to_owned());
            continue;
        }
        found.push(TopicInfo {
            name: topic.name().to_owned(),
            partitions: topic.partitions().len(),
            leaderless: topic.partitions().iter().filter(|p| p.leader() < 0).count(),
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    findings.extend(missing(&source.topics, &found, &refused));
    let description = Description {
        brokers: metadata.brokers().len(),
        cluster_id: client.client().fetch_cluster_id(Duration::from_secs(1)),
        topics: found,
    };
    Ok((description, findings))
}

fn missing(wanted: &Topics, found: &[TopicInfo], refused: &[String]) -> Option<Fault> {
    let text = match wanted {
        Topics::Names(names) => {
            let known = |n: &&String| !found.iter().any(|f| f.name == **n) && !refused.contains(n);
            let absent: Vec<_> = names.iter().filter(known).cloned().collect();
            if absent.is_empty() {
                return None;
            }
            format!(
                "topics `{}`: not on the cluster, or not visible to this user (DESCRIBE); create them or correct `source.topics`",
                absent.join(", ")
            )
        }
        Topics::Regex(regex) if found.is_empty() && refused.is_empty() => format!(
            "topics `{regex}`: no topic of the cluster matches, or none is visible to this user"
        ),
        Topics::Regex(_) => return None,
    };
    Some(Fault::new(&TOPICS, text))
}

/// Takes the errors that the client still holds.
fn listen(client: &BaseConsumer<Context>) {
    for _ in 0..16 {
        let _ = client.poll(Duration::from_millis(5));
    }
}
