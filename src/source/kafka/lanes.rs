//! The started Kafka partitions of a source, and how a turn reads them.

use std::ffi::CString;

use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::KafkaSource;
use super::queue::PartitionQueue;
use crate::error::Fault;
use crate::position::{Offset, TopicPartition};
use crate::record::RecordBatch;
use crate::source::Event;
use crate::source::codes::ASSIGNMENT;

/// How often positions are asked for that records do not show (control records, aborted ones).
const POSITION_MS: u64 = 250;

/// A started Kafka partition.
pub(super) struct Lane {
    pub(super) partition: TopicPartition,
    pub(super) topic: CString,
    queue: PartitionQueue,
    pub(super) next: Offset,
    /// Nothing more is read, until the driver starts it again.
    stopped: bool,
    /// The queue was empty at the last read.
    drained: bool,
}

impl KafkaSource {
    pub(super) fn lane(&self, partition: &TopicPartition, next: Offset) -> Result<Lane, Fault> {
        let refused = || {
            Fault::new(
                &ASSIGNMENT,
                format!("kafka partition `{partition}`: no queue for this name"),
            )
        };
        let client = self.client()?.client().native_ptr();
        let queue = PartitionQueue::take(client, partition).ok_or_else(refused)?;
        let topic = CString::new(&*partition.topic).map_err(|_| refused())?;
        let partition = partition.clone();
        Ok(Lane { partition, topic, queue, next, stopped: false, drained: false })
    }

    /// Reads every queue that has room once, a fair start each time.
    pub(super) fn read(
        &mut self,
        room: &mut dyn FnMut(&TopicPartition) -> usize,
        out: &mut Vec<Event>,
    ) {
        let count = self.lanes.len();
        self.turn = self.turn.wrapping_add(1);
        for step in 0..count {
            let Some(lane) = self.lanes.get_mut((self.turn.wrapping_add(step)) % count) else {
                return;
            };
            if lane.stopped {
                continue;
            }
            let room = room(&lane.partition);
            if room == 0 {
                lane.drained = false;
                continue;
            }
            let read = lane.queue.read(&lane.partition, lane.next, room, &mut self.buffer);
            lane.drained = read.drained;
            if let Some(client) = &self.client {
                read.notes.iter().for_each(|note| client.context().note(note));
            }
            if let Some(batch) = read.batch {
                lane.next = batch.next;
                out.push(Event::Batch(batch));
            }
            if let Some(fault) = read.fault {
                lane.stopped = true;
                out.push(Event::Stopped(lane.partition.clone(), fault));
            }
        }
    }

    /// Moves positions past offsets that hold no record for us, as far as the client has seen them.
    ///
    /// librdkafka hands control records to nobody but counts them in its position, and every aborted
    /// transaction ends with one; so the position of a drained queue is exact. Gaps that compaction
    /// left at the very end of a log stay unseen until a record follows.
    pub(super) fn positions(&mut self, out: &mut Vec<Event>) {
        let now = self.clock.now().mono_ms;
        if now < self.positions_at.saturating_add(POSITION_MS) {
            return;
        }
        self.positions_at = now;
        let Some(client) = &self.client else { return };
        let drained = |lane: &&mut Lane| lane.drained && !lane.stopped;
        let mut list = TopicPartitionList::new();
        for lane in self.lanes.iter_mut().filter(drained) {
            list.add_partition(&lane.partition.topic, lane.partition.partition);
        }
        if list.count() == 0 {
            return;
        }
        // SAFETY: fills the offsets of a list that we own; no IO.
        let err = unsafe { sys::rd_kafka_position(client.client().native_ptr(), list.ptr()) };
        if err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        let elements = list.elements();
        for (lane, element) in self.lanes.iter_mut().filter(drained).zip(elements) {
            if let rdkafka::Offset::Offset(offset) = element.offset()
                && element.error().is_ok()
                && offset > lane.next
            {
                lane.next = offset;
                out.push(Event::Batch(RecordBatch::new(lane.partition.clone(), offset)));
            }
        }
    }
}
