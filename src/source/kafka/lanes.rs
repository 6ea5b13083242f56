//! The started Kafka partitions of a source, and how a turn reads them.
//!
//! librdkafka's own position of a partition is believed only while it follows from records and control
//! records that were read. It does not
//! - after an error message: the call that reads a queue counts it like a record, by the offset that it
//!   bears, which is that of the next record, not read yet. The position would pass that record, and a pause
//!   in a rebalance would make librdkafka itself skip it. The partition is assigned anew where we stand.
//! - after an assignment, until the stop of the one before it is served: a moment later, elsewhere.

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
/// Pause before a partition is assigned anew after an error that the client gets over.
const AGAIN_MS: u64 = 500;
/// How long the end of an earlier assignment is waited for before it is asked for again.
const SETTLE_MS: u64 = 10_000;

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
    /// The client has forgotten the position of an earlier assignment. Until then nothing is read: what is
    /// read sets the position anew.
    settled: bool,
    /// Not read: to be assigned anew at `next`, at this time.
    again_at: Option<u64>,
    began_ms: u64,
}

impl Lane {
    fn reads(&self) -> bool {
        !self.stopped && self.settled && self.again_at.is_none()
    }
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
        Ok(Lane {
            partition,
            topic,
            queue,
            next,
            stopped: false,
            drained: false,
            settled: false,
            again_at: None,
            began_ms: self.clock.now().mono_ms,
        })
    }

    /// Reads every queue that has room once, a fair start each time.
    pub(super) fn read(
        &mut self,
        room: &mut dyn FnMut(&TopicPartition) -> usize,
        out: &mut Vec<Event>,
    ) {
        self.settle_lanes();
        let count = self.lanes.len();
        self.turn = self.turn.wrapping_add(1);
        for step in 0..count {
            let Some(lane) = self.lanes.get_mut((self.turn.wrapping_add(step)) % count) else {
                return;
            };
            if !lane.reads() {
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
            if read.misplaced {
                lane.again_at = Some(self.clock.now().mono_ms.saturating_add(AGAIN_MS));
            }
            if let Some(fault) = read.fault {
                lane.stopped = true;
                out.push(Event::Stopped(lane.partition.clone(), fault));
            }
        }
    }

    /// Lets lanes be read whose partition has no position from before, and assigns those anew that are due.
    fn settle_lanes(&mut self) {
        let Some(client) = &self.client else { return };
        let mut again = Vec::new();
        for lane in self.lanes.iter_mut().filter(|lane| !lane.reads() && !lane.stopped) {
            if !lane.settled {
                lane.settled = has_no_position(client.client().native_ptr(), &lane.partition);
            }
            let unsettled_until = lane.began_ms.saturating_add(SETTLE_MS);
            let at = lane.again_at.or((!lane.settled).then_some(unsettled_until));
            if at.is_some_and(|at| at <= self.clock.now().mono_ms) {
                again.push((lane.partition.clone(), lane.next));
            }
        }
        for (partition, next) in again {
            self.lanes.retain(|lane| lane.partition != partition);
            // Refused only for one that is not ours any more.
            let _ = self.group.start(&partition, next);
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
        let drained = |lane: &&mut Lane| lane.drained && lane.reads();
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

/// Whether nothing was read of the partition since it was assigned, as far as the client knows; no IO.
fn has_no_position(client: *mut sys::rd_kafka_t, partition: &TopicPartition) -> bool {
    let mut list = TopicPartitionList::new();
    list.add_partition(&partition.topic, partition.partition);
    // SAFETY: a live client, a list that we own.
    let err = unsafe { sys::rd_kafka_position(client, list.ptr()) };
    err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        && list.elements().iter().all(|e| e.offset() == rdkafka::Offset::Invalid)
}
