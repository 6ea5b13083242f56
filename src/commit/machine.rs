//! The commit protocol of one Kafka partition as a step function: events in, actions out.
//!
//! Owns: finding the end of the chain, finishing what the last owner left, claiming, and then for each commit:
//! sealed → staged → recorded (the commit point) → published → offset committed.
//! Does not own: carrying anything out; each [`Action`] says which call answers it.
//! Bounded by: the sealed commits that are not done, which `pipeline` limits.
//! Absent: IO, clocks, async, chance. It is a value: the explorer clones and hashes it.
//!
//! Every answer carries the ticket of its question; one that is not awaited any more changes nothing.

mod authority;
mod claim;
mod commit;
mod operate;
mod write;

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use self::operate::{Operation, What, span};
use super::head::Search;
use super::record::{self, About, Hint, Identity, Point, Record};
use super::rules::Rules;
pub use crate::config::Authority;
use crate::error::Fault;
use crate::position::{Offset, OffsetRange};
use crate::store::Staged;

/// Number of a file within its Kafka partition and run.
pub type FileId = u64;

/// Tells which question an answer is to. All hash alike: two machines that differ in nothing but how often they
/// asked are in the same state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub u64);

impl Hash for Ticket {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// First and longest pause before a record in doubt is sent again, in ms.
const AGAIN_MS: (u64, u64) = (200, 30_000);

/// What the driver has to do. It answers with the call named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read a record, then call [`Machine::record`]. With an id where Kafka is the authority: the one of that name.
    Get { ticket: Ticket, seq: u64, id: Option<Arc<str>> },
    /// Create a record unless one is there, then call [`Machine::wrote`].
    Put { ticket: Ticket, record: Arc<Record>, after_ms: u64 },
    /// List the folders of this topic's chains, then call [`Machine::chains`].
    List { ticket: Ticket },
    /// Publish these files of the record at `seq`, then call [`Machine::published`].
    Publish { ticket: Ticket, seq: u64, files: Vec<Staged> },
    /// Commit the offset to Kafka with this text, then call [`Machine::offset_committed`]; or, where Kafka is the
    /// authority, once, and on anything but success call [`Machine::offset_refused`].
    CommitOffset { ticket: Ticket, offset: Offset, text: String },
    /// The Kafka partition is claimed: records may flow from here. File names carry the epoch.
    Flow { offset: Offset, epoch: u64 },
    /// Everything that is open or sealed is no more; a [`Action::Flow`] or a fault follows.
    TakeBack(TakenBack),
    /// The commit is published: for logs and counts.
    Done { range: OffsetRange, files: Vec<FileId> },
}

/// What a failure takes back.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub struct TakenBack {
    /// Read again from here.
    pub offset: Offset,
    /// Files of the commits that are no more.
    pub files: Vec<FileId>,
    /// Those that are staged: to discard.
    pub staged: Vec<Staged>,
    /// Those of a commit in doubt: to discard after a later claim of this Kafka partition, which is not there before
    /// what they were staged for is published, or can never be.
    pub kept: Vec<Staged>,
}

/// How a create-only put ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrote {
    Created,
    /// It is not known whether it is there, or will be: an answer was lost, or something is at the place.
    Doubt,
    /// The store takes it under no circumstances, and says why. It may still be there by an earlier try.
    Refused(Fault),
}

/// What Kafka says about the Kafka partition at its assignment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Assigned {
    /// Where to start without a chain.
    pub start: Offset,
    /// The group's committed offset, and the text beside it.
    pub committed: Option<(Offset, String)>,
    /// First and end offset of the log.
    pub low: Offset,
    pub high: Offset,
}

/// What stands beside a chain that is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Chains {
    /// Folders of the topic's chains, whatever the topic's id: below [`record::topic_prefix`], each with its `/`.
    pub folders: Vec<String>,
    /// Kafka partitions that the topic had when its first chain began, where that is known.
    pub partitions: Option<u32>,
    /// Where Kafka is the authority: highest seq of the records in this chain's own folder, 0 for none; and the ids
    /// of those there.
    pub seq_max: u64,
    pub ends: Vec<Arc<str>>,
    /// Of the other folders, the one whose chain has the record that Kafka's text names.
    pub named_in: Option<String>,
}

/// What to do where Kafka and the chain part ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Policy {
    /// Offsets that Kafka has deleted are recorded as skipped; else the Kafka partition stops.
    pub skip_lost: bool,
    /// A topic that was made anew starts a new chain; else the Kafka partition stops.
    pub restart_recreated: bool,
    /// A log that ends before the chain sets the chain's end back; else the Kafka partition stops.
    pub reset_truncated: bool,
    /// The group's offset beyond the chain means nothing; else the Kafka partition stops.
    pub ignore_ahead: bool,
    /// Where Kafka is the authority and names no record, the one last record is the end; else the Kafka partition
    /// stops.
    pub adopt_lost: bool,
}

/// An interval that is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sealed {
    pub range: OffsetRange,
    pub files: Vec<(FileId, About)>,
    /// Least and greatest time of its records, ms since 1970.
    pub times_ms: Option<(i64, i64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    sealed: Sealed,
    id: String,
    staged: Vec<(FileId, Staged)>,
    state: State,
}

impl Hash for Pending {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.sealed.range, &self.sealed.files, self.staged.len(), &self.state).hash(state);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    Staging,
    Recording(Slot),
    Publishing(Ticket),
}

/// A record on its way to its place, until it is known who has the place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slot {
    record: Arc<Record>,
    /// Sent instead, to fill the place for good.
    void: Option<Arc<Record>>,
    ticket: Ticket,
    tries: u32,
    refused: Option<String>,
    /// Where Kafka is the authority: the record is in the store, and Kafka has yet to name it.
    stored: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    New,
    Finding {
        search: Search,
        ticket: Ticket,
    },
    /// Kafka names the last record.
    Named {
        id: Arc<str>,
        ticket: Ticket,
        /// Kafka does not; there is no other one at its place.
        adopted: bool,
    },
    /// Kafka is to name this one.
    Adopting {
        record: Arc<Record>,
        ticket: Ticket,
    },
    /// No chain here: is the topic new, or made anew?
    Listing {
        ticket: Ticket,
        hint_gone: bool,
    },
    Recovering {
        ticket: Ticket,
    },
    Claiming(Slot),
    Flowing,
    /// Another owner has taken over, or a fault was told.
    Over,
}

/// Whose the place of a slot is.
enum Place {
    Mine(Arc<Record>),
    Voided(Arc<Record>),
    Another(Arc<Record>),
    Unknown,
}

/// The chain of one Kafka partition during one assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    identity: Arc<Identity>,
    owner: Arc<str>,
    assigned: Arc<Assigned>,
    policy: Policy,
    authority: Authority,
    rules: Rules,
    /// Of the records written.
    version: u32,
    /// Done instead of a claim.
    operation: Option<Arc<Operation>>,
    /// A file of the last record can never be published.
    lost: bool,
    next_ticket: Ticket,
    phase: Phase,
    /// The last record known; what it names is published unless it is being recovered or published.
    head: Option<Arc<Record>>,
    /// Of the own claim; 0 before it.
    epoch: u64,
    /// Intervals begun so far.
    intervals: u64,
    /// Staged files of the interval that is still open.
    early: Vec<(FileId, Staged)>,
    pending: VecDeque<Pending>,
    offset_sent: Option<Ticket>,
    offset_wanted: Option<(Offset, String)>,
}

/// What decides the machine's next steps; ids and counters only tell its records apart from others.
impl Hash for Machine {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let seq = |text: &str| match Point::parse(text) {
            Some(point) => point.seq << 1 | u64::from(point.published),
            None => Hint::parse(text).map_or(0, |hint| hint.seq),
        };
        let committed = self.assigned.committed.as_ref().map(|(offset, text)| (*offset, seq(text)));
        (&self.owner, committed, &self.phase, self.epoch).hash(state);
        self.head.as_ref().map(|head| head.seq).hash(state);
        (&self.early, &self.pending, self.offset_sent.is_some()).hash(state);
        self.offset_wanted.as_ref().map(|(offset, _)| *offset).hash(state);
    }
}

impl Machine {
    /// A machine before [`Machine::begin`]. `owner` is unique to this assignment; tickets of an earlier one
    /// of the same Kafka partition must not come again from `first_ticket` on.
    pub fn new(
        identity: Arc<Identity>,
        owner: Arc<str>,
        assigned: Assigned,
        policy: Policy,
        first_ticket: Ticket,
    ) -> Self {
        Self {
            identity,
            owner,
            assigned: Arc::new(assigned),
            policy,
            authority: Authority::default(),
            rules: Rules::default(),
            version: record::VERSION_WRITTEN,
            operation: None,
            lost: false,
            next_ticket: first_ticket,
            phase: Phase::New,
            head: None,
            epoch: 0,
            intervals: 0,
            early: Vec::new(),
            pending: VecDeque::new(),
            offset_sent: None,
            offset_wanted: None,
        }
    }

    /// The same machine, writing records of another version.
    pub fn writing(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// The same machine, its commits decided there.
    pub fn under(mut self, authority: Authority) -> Self {
        self.authority = authority;
        self
    }

    /// The same machine with rules of the protocol turned off: to show what each is for.
    #[doc(hidden)]
    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Offset up to which everything is recorded.
    pub fn committed(&self) -> Option<Offset> {
        self.head.as_ref().map(|head| head.to)
    }

    /// Of the own claim; 0 before it.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// True while records may flow and commits be sealed.
    pub fn is_flowing(&self) -> bool {
        self.phase == Phase::Flowing
    }

    /// Sealed commits that are not published.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// True when nothing is awaited any more.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty() && self.offset_sent.is_none()
    }

    /// True for the question that is awaited now, by the commit at the front or a recovery.
    pub fn expects(&self, ticket: Ticket) -> bool {
        let front = self.pending.front().is_some_and(|p| match &p.state {
            State::Staging => false,
            State::Recording(slot) => slot.ticket == ticket,
            State::Publishing(own) => *own == ticket,
        });
        front
            || match &self.phase {
                Phase::Finding { ticket: own, .. }
                | Phase::Named { ticket: own, .. }
                | Phase::Adopting { ticket: own, .. }
                | Phase::Listing { ticket: own, .. }
                | Phase::Recovering { ticket: own } => *own == ticket,
                Phase::Claiming(slot) => slot.ticket == ticket,
                Phase::New | Phase::Flowing | Phase::Over => false,
            }
    }

    /// Id of the commit that the open interval becomes: for the footers of its files.
    pub fn commit_id(&self) -> String {
        format!("{}-{}", self.owner, self.intervals)
    }

    /// Where the open interval starts.
    pub fn sealed_to(&self) -> Offset {
        let head = || self.head.as_ref().map_or(self.assigned.start, |head| head.to);
        self.pending.back().map_or_else(head, |p| p.sealed.range.end)
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket.0 += 1;
        self.next_ticket
    }
}

impl Pending {
    fn waits_for(&self, file: FileId) -> bool {
        self.sealed.files.iter().any(|(id, _)| *id == file)
            && !self.staged.iter().any(|(id, _)| *id == file)
    }

    fn is_staged(&self) -> bool {
        self.staged.len() == self.sealed.files.len()
    }
}

impl Slot {
    fn whose(&self, found: Option<Arc<Record>>) -> Place {
        match found {
            None => Place::Unknown,
            Some(found) if found.id == self.record.id => Place::Mine(found),
            Some(found) if self.void.as_ref().is_some_and(|v| v.id == found.id) => {
                Place::Voided(found)
            }
            Some(found) => Place::Another(found),
        }
    }
}

#[cfg(test)]
mod authority_tests;
#[cfg(test)]
mod tests;
