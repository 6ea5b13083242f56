//! Where assigned partitions start: the group's committed offset, else what the configuration says.
//!
//! Three to four requests for all partitions together, not for each.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::Offset as Raw;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::context::Context;
use super::identity::About;
use super::{find, identity, plain};
use crate::clock;
use crate::config::{self, Start};
use crate::error::Fault;
use crate::position::{Offset, TopicPartition};
use crate::source::codes::{BROKERS, GROUP, START_RANGE};
use crate::source::properties::lower;
use crate::source::{Committed, StartAt, Starts, Watermarks};

/// Longest wait for each of the requests.
const WAIT: Duration = Duration::from_secs(4);

/// How often and how soon a request is made again whose leader has moved.
const MOVES_MAX: u32 = 5;
const MOVE_WAIT: Duration = Duration::from_millis(150);

type Answers<T> = HashMap<TopicPartition, Result<T, Fault>>;

/// Starts for all of `partitions`, in their order. The outer error: no answer at all, ask again.
pub(super) fn resolve(
    client: &BaseConsumer<Context>,
    source: &config::Source,
    partitions: &[TopicPartition],
) -> Result<Starts, Fault> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut committed = committed(client, source, partitions)?;
    let mut low = offsets(client, partitions, Raw::Beginning)?;
    // Who did not answer is not asked a second time.
    let answered = |p: &&TopicPartition| matches!(low.get(p), Some(Ok(_)));
    let answered: Vec<TopicPartition> = partitions.iter().filter(answered).cloned().collect();
    let mut high = offsets(client, &answered, Raw::End)?;
    let mut timed = match source.start {
        Start::Timestamp(ms) => offsets(client, &answered, Raw::Offset(ms.max(0)))?,
        _ => Answers::new(),
    };
    let mut topics: Vec<Arc<str>> = partitions.iter().map(|p| p.topic.clone()).collect();
    topics.sort_unstable();
    topics.dedup();
    let about = identity::describe(client, &topics)?;
    let about: HashMap<Arc<str>, Result<About, Fault>> = topics
        .into_iter()
        .zip(about)
        .map(|(topic, about)| {
            let about = about.map(|about| {
                let partitions = about.partitions.or_else(|| count(client, &topic));
                About { partitions, ..about }
            });
            (topic, about)
        })
        .collect();
    let resolved = partitions.iter().map(|partition| {
        let missing = || unanswered(partition);
        let start = (|| {
            let committed = committed.remove(partition).ok_or_else(missing)??;
            let low = low.remove(partition).ok_or_else(missing)??.ok_or_else(missing)?;
            // Anything in its place could be taken for a log that was cut.
            let high = high.remove(partition).ok_or_else(missing)??.ok_or_else(missing)?;
            let timed = timed.remove(partition).transpose()?.flatten();
            let log = Watermarks { low, high: high.max(low) };
            let About { id: topic_id, partitions } =
                about.get(&partition.topic).cloned().ok_or_else(missing)??;
            decide(source, partition, committed, log, timed).map(|s| StartAt {
                topic_id,
                partitions,
                ..s
            })
        })();
        (partition.clone(), start)
    });
    Ok(resolved.collect())
}

/// Chooses the start, and refuses a configured one that the log does not have. Whether the group's offset
/// matters is for the chain of commits to say.
fn decide(
    source: &config::Source,
    partition: &TopicPartition,
    committed: Option<Committed>,
    log: Watermarks,
    timed: Option<Offset>,
) -> Result<StartAt, Fault> {
    let key = (partition.topic.to_string(), partition.partition);
    let (offset, why) = match (&committed, &source.start) {
        (Some(c), _) => (c.offset, format!("committed offset of group {}", source.group)),
        (None, Start::Auto | Start::Earliest) => (log.low, "earliest".to_owned()),
        (None, Start::Latest) => (log.high, "latest".to_owned()),
        (None, Start::Offsets(offsets)) => match offsets.get(&key) {
            Some(offset) => (*offset, "offset given in source.start".to_owned()),
            None => (log.low, "earliest, as source.start gives no offset for it".to_owned()),
        },
        (None, Start::Timestamp(ms)) => match timed {
            Some(offset) => (offset, format!("first record at or after {ms} ms")),
            None => (log.high, format!("latest, as no record is at or after {ms} ms")),
        },
    };
    if committed.is_none() && (offset < log.low || offset > log.high) {
        return Err(Fault::new(
            &START_RANGE,
            format!(
                "start of kafka partition `{partition}`: {why} is `{offset}`, {} to {} required; the log has lost it or was made anew",
                log.low, log.high
            ),
        )
        .at(format!("{partition} offset {offset}")));
    }
    Ok(StartAt { offset, why, log, committed, topic_id: None, partitions: None })
}

/// How many Kafka partitions a topic has, from brokers that do not describe topics.
fn count(client: &BaseConsumer<Context>, topic: &str) -> Option<u32> {
    let metadata = client.fetch_metadata(Some(topic), WAIT).ok()?;
    let found = metadata.topics().iter().find(|t| t.name() == topic)?;
    u32::try_from(found.partitions().len()).ok().filter(|count| *count > 0)
}

fn committed(
    client: &BaseConsumer<Context>,
    source: &config::Source,
    partitions: &[TopicPartition],
) -> Result<Answers<Option<Committed>>, Fault> {
    let list = client.committed_offsets(plain(partitions), WAIT).map_err(|e| {
        Fault::new(
            &GROUP,
            format!("committed offsets of group `{}`: {}", source.group, with_recent(client, &e)),
        )
    })?;
    let mut answers = Answers::new();
    for element in list.elements() {
        let Some(partition) = find(partitions, element.topic(), element.partition()) else {
            continue;
        };
        let answer = match (element.error(), element.offset()) {
            // A transaction has it in hand, and will end soon: nothing is known before.
            (Err(e), _) if unstable(&e) => Err(Fault::new(
                &GROUP,
                format!("committed offset of kafka partition `{partition}`: in a transaction"),
            )),
            (Err(e), _) => Err(Fault::new(
                &GROUP,
                format!(
                    "committed offset of kafka partition `{partition}`: {}",
                    lower(&e.to_string())
                ),
            )),
            (Ok(()), Raw::Offset(offset)) => {
                Ok(Some(Committed { offset, metadata: element.metadata().to_owned() }))
            }
            (Ok(()), _) => Ok(None),
        };
        answers.insert(partition.clone(), answer);
    }
    Ok(answers)
}

fn unstable(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::UnstableOffsetCommit)
}

/// Asks the leaders for one offset each: first, end, or by time. `None`: there is no such record.
///
/// `Beginning` and `End` go through the same request (ListOffsets, timestamps -2 and -1).
fn offsets(
    client: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
    what: Raw,
) -> Result<Answers<Option<Offset>>, Fault> {
    if partitions.is_empty() {
        return Ok(Answers::new());
    }
    match ask_offsets(client, partitions, what, MOVES_MAX) {
        // What a broker says of one partition fails the question for all: each is asked for itself.
        Err(e) if partitions.len() > 1 && is_said(&e) => {
            let mut answers = Answers::new();
            for partition in partitions {
                let one = std::slice::from_ref(partition);
                match ask_offsets(client, one, what, 0) {
                    Ok(answer) => answers.extend(answer),
                    Err(e) if is_said(&e) => {
                        answers.insert(partition.clone(), Err(unasked(client, &e)));
                    }
                    Err(_) => return by_leader(client, partitions, what),
                }
            }
            Ok(answers)
        }
        // A broker that does not answer fails the question for the others, too.
        Err(_) if partitions.len() > 1 => by_leader(client, partitions, what),
        answers => answers.map_err(|e| unasked(client, &e)),
    }
}

/// Asks each leader for its own partitions only.
fn by_leader(
    client: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
    what: Raw,
) -> Result<Answers<Option<Offset>>, Fault> {
    let mut led: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
    for topic in partitions.iter().map(|p| &p.topic).collect::<BTreeSet<_>>() {
        let metadata = client.fetch_metadata(Some(topic), WAIT).map_err(|e| unasked(client, &e))?;
        let topics = metadata.topics().iter().filter(|t| t.name() == &**topic);
        let leaders: HashMap<i32, i32> =
            topics.flat_map(|t| t.partitions()).map(|p| (p.id(), p.leader())).collect();
        for partition in partitions.iter().filter(|p| p.topic == *topic) {
            let leader = leaders.get(&partition.partition).copied().unwrap_or(-1);
            led.entry(leader).or_default().push(partition.clone());
        }
    }
    let mut answers = Answers::new();
    for partitions in led.values() {
        let said = match ask_offsets(client, partitions, what, 0) {
            Ok(answer) => {
                answers.extend(answer);
                continue;
            }
            Err(e) => e,
        };
        // What a broker says of one is not true of its others; a silent one is asked no more often than this.
        let alone = is_said(&said) && partitions.len() > 1;
        for one in partitions.chunks(1) {
            let answer = match alone {
                true => ask_offsets(client, one, what, 0),
                false => Err(said.clone()),
            };
            answers.extend(answer.unwrap_or_else(|e| {
                let fault = unasked(client, &e);
                one.iter().map(|p| (p.clone(), Err(fault.clone()))).collect()
            }));
        }
    }
    Ok(answers)
}

fn unasked(client: &BaseConsumer<Context>, error: &KafkaError) -> Fault {
    Fault::new(&BROKERS, format!("offsets of the logs: {}", with_recent(client, error)))
}

/// True for what a broker answered. librdkafka's own errors (no connection, no answer in time) are below -1.
fn is_said(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| code as i32 >= -1)
}

fn ask_offsets(
    client: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
    what: Raw,
    moves_max: u32,
) -> Result<Answers<Option<Offset>>, KafkaError> {
    let mut tries = 0;
    let list = loop {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            let _ = list.add_partition_offset(&partition.topic, partition.partition, what);
        }
        match client.offsets_for_times(list, WAIT) {
            Ok(list) => break list,
            // A leader that moves fails the whole request; it has refreshed the metadata as well.
            Err(e) if tries < moves_max && moved(&e) => {
                tries += 1;
                clock::System::new().block(MOVE_WAIT);
            }
            Err(e) => return Err(e),
        }
    };
    let mut answers = Answers::new();
    for element in list.elements() {
        let Some(partition) = find(partitions, element.topic(), element.partition()) else {
            continue;
        };
        let answer = match (element.error(), element.offset()) {
            (Err(e), _) => Err(Fault::new(
                &BROKERS,
                format!("offsets of kafka partition `{partition}`: {}", lower(&e.to_string())),
            )),
            (Ok(()), Raw::Offset(offset)) => Ok(Some(offset)),
            (Ok(()), _) => Ok(None),
        };
        answers.insert(partition.clone(), answer);
    }
    Ok(answers)
}

fn moved(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotLeaderForPartition | Code::LeaderNotAvailable | Code::UnknownTopicOrPartition
        )
    )
}

fn unanswered(partition: &TopicPartition) -> Fault {
    Fault::new(
        &BROKERS,
        format!("start of kafka partition `{partition}`: no answer for it; asked again"),
    )
}

/// An error with what the client said last: there the cause stands (a name, a certificate, a password).
pub(super) fn with_recent(client: &BaseConsumer<Context>, error: &dyn std::fmt::Display) -> String {
    let mut text = lower(&error.to_string());
    if let Some(last) = client.context().recent().last() {
        text = format!("{text}; last from the client: `{last}`");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn source(start: Start) -> config::Source {
        config::Source {
            brokers: "b:1".into(),
            topics: config::Topics::Names(vec!["t".into()]),
            group: "g".into(),
            start,
            properties: BTreeMap::new(),
            oauth: None,
        }
    }

    fn at(start: Start, committed: Option<i64>, timed: Option<i64>) -> Result<i64, &'static str> {
        let committed = committed.map(|offset| Committed { offset, metadata: String::new() });
        let log = Watermarks { low: 10, high: 20 };
        decide(&source(start), &TopicPartition::new("t", 1), committed, log, timed)
            .map(|s| s.offset)
            .map_err(|f| f.code.id)
    }

    #[test]
    fn start_without_commit_follows_the_configuration() {
        assert_eq!(at(Start::Auto, None, None), Ok(10));
        assert_eq!(at(Start::Earliest, None, None), Ok(10));
        assert_eq!(at(Start::Latest, None, None), Ok(20));
        assert_eq!(at(Start::Timestamp(5), None, Some(17)), Ok(17));
        assert_eq!(at(Start::Timestamp(5), None, None), Ok(20));
        let given = BTreeMap::from([(("t".to_owned(), 1), 12), (("t".to_owned(), 2), 13)]);
        assert_eq!(at(Start::Offsets(given), None, None), Ok(12));
        assert_eq!(at(Start::Offsets(BTreeMap::new()), None, None), Ok(10));
    }

    #[test]
    fn start_with_commit_takes_it() {
        assert_eq!(at(Start::Latest, Some(15), None), Ok(15));
        assert_eq!(at(Start::Earliest, Some(10), None), Ok(10));
        assert_eq!(at(Start::Earliest, Some(20), None), Ok(20));
        assert_eq!(at(Start::Auto, Some(9), None), Ok(9));
        assert_eq!(at(Start::Auto, Some(21), None), Ok(21));
    }

    #[test]
    fn start_outside_of_the_log_is_refused() {
        let given = BTreeMap::from([(("t".to_owned(), 1), 99)]);
        assert_eq!(at(Start::Offsets(given), None, None), Err("FB0507"));
    }
}
