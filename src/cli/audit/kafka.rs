//! What Kafka says of the Kafka partitions of an audit, where it is to be asked.

use std::time::Duration;

use crate::audit::Chain;
use crate::audit::finding::{Class, Findings, Place};
use crate::cli::RUNTIME;
use crate::commit::record::{Hint, Point};
use crate::config;
use crate::error::Fault;
use crate::pipeline;
use crate::position::{Offset, TopicPartition};
use crate::source::Watermarks;
use crate::source::kafka::Look;

/// Longest wait for the brokers.
const WAIT: Duration = Duration::from_secs(15);

/// What Kafka has of one Kafka partition.
#[derive(Debug, Clone)]
pub struct Said {
    pub partition: TopicPartition,
    pub log: Watermarks,
    /// The group's committed offset, with its text.
    pub committed: Option<(Offset, String)>,
    /// Of the topic that has this name now.
    pub topic_id: Option<String>,
}

/// Asks for the Kafka partitions of one topic. Errors: no answer.
pub async fn ask(pipeline: &config::Pipeline, chains: &[Chain]) -> Result<Vec<Said>, Fault> {
    let mut partitions: Vec<TopicPartition> =
        chains.iter().map(|c| TopicPartition::new(c.topic.as_str(), c.partition)).collect();
    partitions.sort();
    partitions.dedup();
    let (source, token) = (pipeline.source.clone(), pipeline::token(&pipeline.source)?);
    let asked = tokio::task::spawn_blocking(move || {
        let look = Look::open(&source, token)?;
        if let Some(first) = partitions.first() {
            look.log(first, WAIT)?;
        }
        let starts = look.starts(&partitions)?;
        starts
            .into_iter()
            .map(|(partition, at)| {
                // Where it would start may be refused, and its log is still to be known.
                let (log, committed, topic_id) = match at {
                    Ok(at) => {
                        let committed = at.committed.map(|c| (c.offset, c.metadata));
                        (at.log, committed, at.topic_id)
                    }
                    Err(_) => (look.log(&partition, WAIT)?, None, None),
                };
                Ok(Said { partition, log, committed, topic_id })
            })
            .collect::<Result<Vec<_>, Fault>>()
    });
    asked.await.map_err(|e| Fault::new(&RUNTIME, format!("asking kafka: {e}, an end required")))?
}

/// What Kafka said of a chain; nothing of one whose topic was made anew since.
pub fn of<'a>(chain: &Chain, said: &'a [Said]) -> Option<&'a Said> {
    said.iter().find(|said| {
        let other = said.topic_id.as_ref().is_some_and(|id| !chain.may_be_of(id));
        *said.partition.topic == *chain.topic
            && said.partition.partition == chain.partition
            && !other
    })
}

/// The last record of a chain, as Kafka names it where it decides.
pub fn named(chain: &Chain, said: &[Said]) -> Option<Point> {
    of(chain, said)?.committed.as_ref().and_then(|(_, text)| Point::parse(text))
}

/// The place up to which the group's committed offset calls everything published.
pub fn published(chain: &Chain, said: &[Said]) -> Option<u64> {
    let (_, text) = of(chain, said)?.committed.as_ref()?;
    match Point::parse(text) {
        Some(point) if point.published => Some(point.seq),
        // Nothing is named before all that is before it is published.
        Some(point) => point.seq.checked_sub(1),
        None => Hint::parse(text).map(|hint| hint.seq),
    }
}

/// Where Kafka and the chains part ways.
pub fn check(chains: &[Chain], said: &[Said], out: &mut Findings) {
    for chain in chains {
        let (Some(said), Some(end)) = (of(chain, said), chain.committed_to) else { continue };
        let place = || Place { offset: Some(end), ..chain.place(chain.head_seq) };
        let name = &said.partition;
        if let Some((committed, _)) = said.committed.as_ref().filter(|(at, _)| *at > end) {
            let message = format!(
                "group's offset of kafka partition `{name}`: `{committed}`, at most `{end}` required, where the chain ends"
            );
            out.add(Class::KafkaAhead, place(), message);
        }
        if said.log.high < end {
            let message = format!(
                "log of kafka partition `{name}`: it ends at `{}`, at least `{end}` required, where the chain ends",
                said.log.high
            );
            out.add(Class::LogEndsBefore, place(), message);
        }
        if said.log.low > end {
            let message = format!(
                "log of kafka partition `{name}`: it starts at `{}`, at most `{end}` required, where the chain ends",
                said.log.low
            );
            out.add(Class::LogStartsAfter, place(), message);
        }
    }
}
