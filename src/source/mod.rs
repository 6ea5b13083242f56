//! Kafka → raw batches.
//!
//! Owns: the consumer, the group, assignment, positions, authentication; raw records copied into
//! [`RecordBatch`]es. Every rdkafka type of the data path stays in here.
//! Does not own: what to do with an assignment (`pipeline` decides the start offset), commits' timing.
//! Bounded by: `room`, asked before a partition's queue is read.
//! Absent: schemas, tasks, async.

use std::time::Duration;

use crate::error::Fault;
use crate::position::{Offset, TopicPartition};
use crate::record::RecordBatch;

/// What the source tells its driver. Assignment changes are events in the same stream.
#[derive(Debug)]
pub enum Event {
    /// The group gave these to us. Nothing flows until the driver calls [`Source::start`] for them.
    Assigned(Vec<TopicPartition>),
    /// The group wants these back. They flow no more; the driver flushes and calls [`Source::release`].
    Revoked(Vec<TopicPartition>),
    /// These are gone already: what is not committed must be dropped.
    Lost(Vec<TopicPartition>),
    /// Records, in order.
    Batch(RecordBatch),
    /// This Kafka partition cannot go on (CRC error, offset out of range, …); the others do.
    Stopped(TopicPartition, Fault),
    /// The client as a whole cannot go on.
    Fatal(Fault),
}

/// Where one Kafka partition starts, and why (shown to the user).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartAt {
    pub offset: Offset,
    /// `committed offset of group forebay-orders`, `earliest`, …
    pub why: String,
}

/// First and end offset of the log of one Kafka partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    pub low: Offset,
    pub high: Offset,
}

/// A stream of records by Kafka partition. Two implementations: Kafka, and the simulator's.
///
/// Called from one thread. No call blocks longer than it says.
pub trait Source {
    /// Waits at most `wait` for something to happen, reads the queues for which `room` says how many
    /// bytes may come (0: not read), and appends events. Must be called at least every few seconds.
    fn poll(
        &mut self,
        wait: Duration,
        room: &mut dyn FnMut(&TopicPartition) -> usize,
        out: &mut Vec<Event>,
    );

    /// Resolves where an assigned partition starts: the group's committed offset, else by the
    /// configuration. Blocks for at most a few seconds.
    fn resolve_start(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, StartAt)>, Fault>;

    /// Lets an assigned partition flow from this offset. Always explicit.
    fn start(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), Fault>;

    /// Gives revoked partitions back to the group.
    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault>;

    /// Commits the next offset to read. Waits for the broker's answer (a few seconds at most).
    fn commit(&mut self, offsets: &[(TopicPartition, Offset)]) -> Result<(), Fault>;

    /// Watermarks by query. Blocks for at most a few seconds.
    fn watermarks(&mut self, partition: &TopicPartition) -> Result<Watermarks, Fault>;

    /// Leaves the group.
    fn close(&mut self);
}
