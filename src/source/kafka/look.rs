//! A client that looks at a cluster without joining the group: for `check` and `decode`.
//!
//! Owns: the topics there are, where their Kafka partitions would start, some records.
//! Does not own: what they mean. Commits nothing, subscribes to nothing.
//! Bounded by: the waits given; [`PARTITIONS_MAX`] Kafka partitions of a topic are sampled.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::context::Context;
use super::describe::{Description, survey};
use super::queue::PartitionQueue;
use super::token::{Refresher, TokenFetcher};
use super::{connect, start};
use crate::clock;
use crate::config;
use crate::error::Fault;
use crate::position::{Offset, TopicPartition};
use crate::record::RecordBatch;
use crate::source::codes::{ASSIGNMENT, BROKERS, PARTITION};
use crate::source::properties::{self, lower};
use crate::source::{Starts, Watermarks};

/// Most Kafka partitions of one topic that a sample reads.
pub const PARTITIONS_MAX: usize = 64;
/// Bytes taken from one queue in a turn.
const ROOM: usize = 256 << 10;
/// One turn.
const TURN: Duration = Duration::from_millis(20);

/// A connected client that is no member of the group.
pub struct Look {
    // Before the client, whose token it renews.
    _token: Option<Refresher>,
    client: BaseConsumer<Context>,
    source: config::Source,
}

/// Where a sample of one Kafka partition starts, and where its log ends.
#[derive(Debug, Clone)]
pub struct Stretch {
    pub partition: TopicPartition,
    pub from: Offset,
    pub log: Watermarks,
}

impl Look {
    /// Makes the client; does not wait for brokers. Errors: as [`super::KafkaSource::open`].
    pub fn open(source: &config::Source, token: Option<TokenFetcher>) -> Result<Self, Fault> {
        if let Some(fault) = crate::source::check(source).into_iter().next() {
            return Err(fault);
        }
        let client = connect(&properties::consumer(source, 1 << 20))?;
        let token = Refresher::begin(&client, token)?;
        Ok(Self { _token: token, client, source: source.clone() })
    }

    /// What the cluster has of the configured topics, and a finding for each that is not right.
    /// The outer error: no answer. Blocks for up to `wait`.
    pub fn describe(&self, wait: Duration) -> Result<(Description, Vec<Fault>), Fault> {
        survey(&self.client, &self.source, wait)
    }

    /// Where these Kafka partitions would start now, and why. Blocks for some seconds at most.
    pub fn starts(&self, partitions: &[TopicPartition]) -> Result<Starts, Fault> {
        start::resolve(&self.client, &self.source, partitions)
    }

    /// First and end offset of a log. Blocks for up to `wait`. Error: `BROKERS` with the cause.
    pub fn log(&self, partition: &TopicPartition, wait: Duration) -> Result<Watermarks, Fault> {
        let asked = self
            .client
            .fetch_watermarks(&partition.topic, partition.partition, wait)
            .map_err(|e| {
                let cause = start::with_recent(&self.client, &e);
                Fault::new(&BROKERS, format!("log of kafka partition `{partition}`: {cause}"))
            })?;
        Ok(Watermarks { low: asked.0, high: asked.1 })
    }

    /// Hands the records of one stretch on, batch by batch, until `take` says false or its log ends; then
    /// gives the offset after the last one. Less than the log's end: nothing more came for `idle` (the
    /// rest may be control records). Error: the Kafka partition gives none, or `take` failed.
    pub fn read(
        &self,
        stretch: &Stretch,
        idle: Duration,
        take: &mut dyn FnMut(RecordBatch) -> Result<bool, Fault>,
    ) -> Result<Offset, Fault> {
        let Stretch { partition, from, log } = stretch;
        let mut next = *from;
        let mut list = TopicPartitionList::new();
        let queue = PartitionQueue::take(self.client.client().native_ptr(), partition);
        let at = rdkafka::Offset::Offset(next);
        let listed = list.add_partition_offset(&partition.topic, partition.partition, at);
        let (Some(mut queue), Ok(())) = (queue, listed) else {
            let text = format!("kafka partition `{partition}`: a name or an offset that is none");
            return Err(Fault::new(&PARTITION, text));
        };
        self.client.assign(&list).map_err(|e| {
            let text = format!("kafka assignment: {}", lower(&e.to_string()));
            Fault::new(&ASSIGNMENT, text)
        })?;
        let clock = clock::System::new();
        let (mut buffer, mut heard_ms) = (Vec::new(), 0);
        let ended = loop {
            if next >= log.high || clock.now().mono_ms - heard_ms >= idle.as_millis() as u64 {
                break Ok(next);
            }
            let read = queue.read(partition, next, ROOM, &mut buffer);
            if let Some(batch) = read.batch {
                next = batch.next;
                match take(batch) {
                    Ok(true) => {}
                    Ok(false) => break Ok(next),
                    Err(fault) => break Err(fault),
                }
                heard_ms = clock.now().mono_ms;
            } else {
                let _ = self.client.poll(TURN);
            }
            if let Some(fault) = read.fault {
                break Err(fault);
            }
        };
        drop(queue);
        let _ = self.client.unassign();
        ended
    }

    /// Records from these places on, until `count` of them are there, all logs have ended, or the time
    /// is over; the faults are of Kafka partitions that give none. May give some records more.
    pub fn sample(
        &self,
        stretches: &[Stretch],
        count: usize,
        wait: Duration,
    ) -> (Vec<RecordBatch>, Vec<Fault>) {
        let mut lanes = Vec::new();
        let mut faults = Vec::new();
        let mut list = TopicPartitionList::new();
        let open = stretches.iter().filter(|s| s.from < s.log.high).take(PARTITIONS_MAX);
        for Stretch { partition, from, log } in open {
            let native = self.client.client().native_ptr();
            let Some(queue) = PartitionQueue::take(native, partition) else { continue };
            let at = rdkafka::Offset::Offset(*from);
            if list.add_partition_offset(&partition.topic, partition.partition, at).is_ok() {
                lanes.push((partition, *from, log.high, queue));
            }
        }
        let mut batches = Vec::new();
        if let Err(e) = self.client.assign(&list) {
            let text = format!("kafka assignment of a sample: {}", lower(&e.to_string()));
            return (batches, vec![Fault::new(&ASSIGNMENT, text)]);
        }
        let clock = clock::System::new();
        let mut buffer = Vec::new();
        let mut left = count;
        while left > 0 && !lanes.is_empty() && clock.now().mono_ms < wait.as_millis() as u64 {
            let _ = self.client.poll(TURN);
            lanes.retain_mut(|(partition, next, end, queue)| {
                if left == 0 {
                    return false;
                }
                let read = queue.read(partition, *next, ROOM, &mut buffer);
                if let Some(batch) = read.batch {
                    *next = batch.next;
                    left = left.saturating_sub(batch.len());
                    batches.push(batch);
                }
                let failed = read.fault.is_some();
                faults.extend(read.fault);
                !failed && *next < *end
            });
        }
        drop(lanes);
        if left == count
            && count > 0
            && !stretches.is_empty()
            && faults.is_empty()
            && list.count() > 0
        {
            let text = format!(
                "sample of topic `{}`: no record came within {} s; a log of control records alone, or brokers that do not serve it",
                stretches[0].partition.topic,
                wait.as_secs()
            );
            faults.push(Fault::new(&PARTITION, text));
        }
        let _ = self.client.unassign();
        (batches, faults)
    }
}
