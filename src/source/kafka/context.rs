//! What librdkafka calls back: rebalances, errors, log lines.
//!
//! Owns: the list of news that the polling thread takes after each poll. A callback only records;
//! the polling thread answers the group. Does not own: what to do about them.
//! Bounded by: [`RECENT_MAX`] error texts; one line a second for each kind of error in the log.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::members;
use crate::clock;
use crate::position::TopicPartition;

/// Error texts kept for messages and the status page.
const RECENT_MAX: usize = 8;
/// The same kind of error is logged once in this time.
const QUIET_MS: u64 = 1_000;

/// The member that this process is; `None` where it is none.
pub(super) type Member = Option<Arc<ConsumerGroupMetadata>>;

/// What happened to the assignment, in order.
pub(super) enum News {
    Assigned(Vec<TopicPartition>, Member),
    Revoked(Vec<TopicPartition>, Member),
    Lost(Vec<TopicPartition>),
}

#[derive(Default)]
struct Inbox {
    news: Vec<News>,
    recent: VecDeque<(String, u64)>,
}

pub(super) struct Context {
    clock: clock::System,
    closing: AtomicBool,
    inbox: Mutex<Inbox>,
}

impl Context {
    pub(super) fn new() -> Self {
        Self {
            clock: clock::System::new(),
            closing: AtomicBool::new(false),
            inbox: Mutex::default(),
        }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what has happened since the last call.
    pub(super) fn take(&self) -> Vec<News> {
        std::mem::take(&mut self.inbox().news)
    }

    /// From now on rebalances are answered at once: everything is given back.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// The last error texts, oldest first.
    pub(super) fn recent(&self) -> Vec<String> {
        self.inbox().recent.iter().map(|(text, _)| text.clone()).collect()
    }

    /// An error of one partition that the client gets over.
    pub(super) fn note(&self, text: &str) {
        if self.keep(text) {
            tracing::warn!(target: "forebay::kafka", "{text}");
        }
    }

    /// Keeps an error text; true if it is to be logged.
    fn keep(&self, text: &str) -> bool {
        let now = self.clock.now().mono_ms;
        let mut inbox = self.inbox();
        let old = inbox.recent.iter().position(|(t, _)| t == text);
        let old = old.and_then(|index| inbox.recent.remove(index));
        let loud = old.as_ref().is_none_or(|(_, at)| now.saturating_sub(*at) >= QUIET_MS);
        let at = if loud { now } else { old.map_or(now, |(_, at)| at) };
        if inbox.recent.len() >= RECENT_MAX {
            inbox.recent.pop_front();
        }
        inbox.recent.push_back((text.to_owned(), at));
        loud
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                if self.keep(text) {
                    tracing::warn!(target: "forebay::kafka", facility, "{text}");
                }
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "forebay::kafka", facility, "{text}");
            }
            RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "forebay::kafka", facility, "{text}");
            }
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        // "n/n brokers are down" follows the cause and would hide it.
        let summary = matches!(error, KafkaError::Global(RDKafkaErrorCode::AllBrokersDown));
        if !summary && self.keep(reason) {
            tracing::warn!(target: "forebay::kafka", %error, "{reason}");
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Relaxed) {
            // While the client closes, librdkafka takes any such call as "give all back".
            let _ = consumer.incremental_unassign(&TopicPartitionList::new());
            return;
        }
        let partitions = partitions(list);
        // The group goes on only after this is answered: no later generation can be meant.
        let member = || members::member(consumer).map(Arc::new);
        let news = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                News::Assigned(partitions, member())
            }
            _ if consumer.assignment_lost() => News::Lost(partitions),
            _ => News::Revoked(partitions, member()),
        };
        self.inbox().news.push(news);
    }
}

/// The list's partitions; one allocation for each topic in a row.
fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let mut out: Vec<TopicPartition> = Vec::with_capacity(list.count());
    for element in list.elements() {
        let topic = match out.last() {
            Some(last) if &*last.topic == element.topic() => last.topic.clone(),
            _ => Arc::from(element.topic()),
        };
        out.push(TopicPartition { topic, partition: element.partition() });
    }
    out
}
