//! Kafka → raw batches.
//!
//! Owns: the consumer, the group, assignment, positions, authentication; raw records copied into
//! [`RecordBatch`]es. Every rdkafka type of the data path stays in here.
//! Does not own: what to do with an assignment (`pipeline` decides the start offset), commits' timing.
//! Bounded by: `room`, asked before a partition's queue is read.
//! Absent: schemas, tasks, async.

pub mod codes;
pub mod kafka;
pub mod mock;
pub mod producer;
mod properties;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use crate::config;
use crate::error::Fault;
use crate::position::{Offset, TopicPartition};
use crate::record::RecordBatch;

pub use self::codes::CODES;
pub use self::properties::check_properties;

/// Findings about a source's configuration, all at once, without a connection.
pub fn check(source: &config::Source) -> Vec<Fault> {
    let mut found = check_properties(&source.properties);
    found.extend(properties::check_oauth(source));
    found.extend(topics::check(&source.topics));
    found
}

/// What the source tells its driver. Assignment changes are events in the same stream.
#[derive(Debug)]
pub enum Event {
    /// The group gave these to us. Nothing flows until the driver calls [`Source::start`] for them, at
    /// once or some turns later, one by one or together; heartbeats and the other partitions go on.
    Assigned(Vec<TopicPartition>),
    /// The group wants these back. They flow no more; the driver flushes and calls [`Source::release`]
    /// for all of them. Until then the group waits and none of this member's partitions flow. A list that
    /// is lost meanwhile comes again as `Lost`.
    Revoked(Vec<TopicPartition>),
    /// These are gone already: what is not committed must be dropped.
    Lost(Vec<TopicPartition>),
    /// Records, in order. Without records: only the position moved, past offsets that hold none for us.
    Batch(RecordBatch),
    /// This Kafka partition cannot go on (CRC error, offset out of range, …); the others do.
    Stopped(TopicPartition, Fault),
    /// Where partitions start: the answer to [`Source::resolve_start`]. The outer error: no answer, ask
    /// again; an inner one concerns its partition only.
    Starts(Ticket, Result<Starts, Fault>),
    /// Ids of topics now: the answer to [`Source::ask_topic_ids`].
    TopicIds(Ticket, Result<TopicIds, Fault>),
    /// The answer to [`Source::commit`].
    Committed(Ticket, Result<(), Fault>),
    /// The client as a whole cannot go on.
    Fatal(Fault),
}

/// Tells which question an answer is to. One source gives each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// Where one Kafka partition starts, and why (shown to the user).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartAt {
    pub offset: Offset,
    /// `committed offset of group forebay-orders`, `earliest`, …
    pub why: String,
    /// The log when asked; `high` is the last stable offset under read_committed.
    pub log: Watermarks,
    /// What the group had committed; it may stand outside of the log.
    pub committed: Option<Committed>,
    /// Id that the brokers gave the topic: another id under the same name is another topic. `None` where
    /// brokers have none.
    pub topic_id: Option<String>,
    /// How many Kafka partitions the topic has.
    pub partitions: Option<u32>,
}

/// One answer for each partition asked about, in their order.
pub type Starts = Vec<(TopicPartition, Result<StartAt, Fault>)>;

/// Topics with their ids, where they have one.
pub type TopicIds = Vec<(Arc<str>, Option<String>)>;

/// A group's committed offset, with the text that was committed with it (may be empty).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub offset: Offset,
    pub metadata: String,
}

/// First and end offset of the log of one Kafka partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    pub low: Offset,
    pub high: Offset,
}

/// A stream of records by Kafka partition. Two implementations: Kafka, and the simulator's.
///
/// Called from one thread. Questions to the brokers are answered by [`Source::poll`]: no call of a run's
/// every day waits for a broker. Those that do say so.
pub trait Source {
    /// Waits at most `wait` for something to happen, reads the queues for which `room` says how many
    /// bytes may come (0: not read), and appends events. Must be called at least every few seconds.
    fn poll(
        &mut self,
        wait: Duration,
        room: &mut dyn FnMut(&TopicPartition) -> usize,
        out: &mut Vec<Event>,
    );

    /// Asks where assigned partitions start: the group's committed offset, else by the configuration.
    /// [`Event::Starts`] follows within some seconds; the other partitions go on.
    fn resolve_start(&mut self, partitions: &[TopicPartition]) -> Result<Ticket, Fault>;

    /// Lets an assigned partition flow from this offset. Always explicit. Does not block: it takes
    /// effect with the next poll, and a refusal comes as [`Event::Stopped`]. For one that flows or has
    /// stopped: go on at this offset instead.
    fn start(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), Fault>;

    /// Gives revoked partitions back to the group; others only stop, and can be started again.
    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault>;

    /// Commits the next offset to read of assigned partitions, with a text for the next owner (may be
    /// empty). [`Event::Committed`] follows within some seconds. A partition that is not ours now is
    /// an error there, and does not keep the others from being committed.
    fn commit(&mut self, offsets: &[(TopicPartition, Offset, String)]) -> Result<Ticket, Fault>;

    /// Watermarks by query. Blocks for at most a few seconds.
    fn watermarks(&mut self, partition: &TopicPartition) -> Result<Watermarks, Fault>;

    /// End of the log as last seen with a fetch: for lag, without asking anybody. `None` before the
    /// first fetch.
    fn end(&self, partition: &TopicPartition) -> Option<Offset>;

    /// As [`Source::end`], of all that flow.
    fn ends(&self, each: &mut dyn FnMut(&TopicPartition, Offset));

    /// Ids that the brokers gave these topics, in their order: another id under the same name is another
    /// topic. `None` where there is none. Blocks for at most a few seconds.
    fn topic_ids(&mut self, topics: &[Arc<str>]) -> Result<Vec<Option<String>>, Fault>;

    /// As [`Source::topic_ids`], without waiting: [`Event::TopicIds`] follows within some seconds.
    fn ask_topic_ids(&mut self, topics: &[Arc<str>]) -> Result<Ticket, Fault>;

    /// The cluster's id, where it has one. Blocks for at most a few seconds.
    fn cluster_id(&mut self) -> Option<String>;

    /// Leaves the group. Blocks for at most a few seconds. Everything after it fails.
    fn close(&mut self);
}
