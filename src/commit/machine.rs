//! The commit protocol of one Kafka partition as a step function: events in, actions out.
//!
//! Owns: finding the end of the chain, finishing what the last owner left, claiming, and then for each commit:
//! sealed → staged → recorded (the commit point) → published → offset committed.
//! Does not own: carrying anything out; each [`Action`] says which call answers it.
//! Bounded by: the sealed commits that are not done, which `pipeline` limits.
//! Absent: IO, clocks, async, chance. It is a value: the explorer clones and hashes it.
//!
//! Every answer carries the ticket of its question; one that is not awaited any more changes nothing.

use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::codes::{
    AHEAD, FENCED, LINK, RECORD_REFUSED, RETENTION, START, STATE_LOST, TOPIC_IDENTITY, TRUNCATED,
    UPLOAD_LOST,
};
use super::head::{Next, Search};
use super::record::{self, About, File, Hint, Identity, Kind, Record, Role, Skipped};
use super::rules::Rules;
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
    /// Read a record, then call [`Machine::record`].
    Get { ticket: Ticket, seq: u64 },
    /// Create a record unless one is there, then call [`Machine::wrote`].
    Put { ticket: Ticket, record: Arc<Record>, after_ms: u64 },
    /// List the folders of this topic's chains, then call [`Machine::chains`].
    List { ticket: Ticket },
    /// Publish these files of the record at `seq`, then call [`Machine::published`].
    Publish { ticket: Ticket, seq: u64, files: Vec<Staged> },
    /// Commit the offset to Kafka with this text, then call [`Machine::offset_committed`].
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

/// What to do where Kafka and the chain part ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Policy {
    /// Offsets that Kafka has deleted are recorded as skipped; else the Kafka partition stops.
    pub skip_lost: bool,
    /// A topic that was made anew starts a new chain; else the Kafka partition stops.
    pub restart_recreated: bool,
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
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    New,
    Finding {
        search: Search,
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
    rules: Rules,
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
        let committed = self
            .assigned
            .committed
            .as_ref()
            .map(|(offset, text)| (*offset, Hint::parse(text).map_or(0, |hint| hint.seq)));
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
            rules: Rules::default(),
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
    pub fn awaits(&self, ticket: Ticket) -> bool {
        let front = self.pending.front().is_some_and(|p| match &p.state {
            State::Staging => false,
            State::Recording(slot) => slot.ticket == ticket,
            State::Publishing(own) => *own == ticket,
        });
        front
            || match &self.phase {
                Phase::Finding { ticket: own, .. }
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

    // -- A: finding, recovering, claiming --

    /// Starts with finding the end of the chain.
    pub fn begin(&mut self, out: &mut Vec<Action>) {
        let text = self.assigned.committed.as_ref().map(|(_, text)| text.as_str());
        let (search, seq) = Search::new(text.and_then(Hint::parse));
        self.find(search, seq, out);
    }

    fn find(&mut self, search: Search, seq: u64, out: &mut Vec<Action>) {
        let ticket = self.ticket();
        self.phase = Phase::Finding { search, ticket };
        out.push(Action::Get { ticket, seq });
    }

    /// Looks again from the last record known on.
    fn find_on(&mut self, out: &mut Vec<Action>) {
        let (search, seq) = match self.head.clone() {
            Some(head) => Search::after(head),
            None => Search::new(None),
        };
        self.find(search, seq, out);
    }

    /// The answer to [`Action::Get`]: the record, or that there is none.
    pub fn record(
        &mut self,
        ticket: Ticket,
        seq: u64,
        found: Option<Arc<Record>>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        if !self.awaits(ticket) {
            return Ok(());
        }
        if let Some(found) = &found {
            found.belongs(&self.identity, seq)?;
        }
        match &mut self.phase {
            Phase::Finding { search, .. } => {
                let next = search.got(found)?;
                self.found(next, out)
            }
            Phase::Claiming(_) => self.claim_read(found, out),
            _ => self.commit_read(found, out),
        }
    }

    fn found(&mut self, next: Next, out: &mut Vec<Action>) -> Result<(), Fault> {
        match next {
            Next::Get(seq) => {
                let ticket = self.ticket();
                if let Phase::Finding { ticket: own, .. } = &mut self.phase {
                    *own = ticket;
                }
                out.push(Action::Get { ticket, seq });
                Ok(())
            }
            Next::Nothing | Next::HintGone => {
                let ticket = self.ticket();
                self.phase = Phase::Listing { ticket, hint_gone: next == Next::HintGone };
                out.push(Action::List { ticket });
                Ok(())
            }
            Next::Head(record) => self.recover(record, out),
        }
    }

    /// The answer to [`Action::List`]: folders below [`record::topic_prefix`], each with its `/`.
    pub fn chains(
        &mut self,
        ticket: Ticket,
        folders: &[String],
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let Phase::Listing { ticket: own, hint_gone } = self.phase else { return Ok(()) };
        if own != ticket {
            return Ok(());
        }
        let mine = record::topic_folder(&self.identity);
        let another = folders.iter().find(|folder| !folder.starts_with(&mine));
        match another {
            Some(folder) if !self.policy.restart_recreated => Err(Fault::new(
                &TOPIC_IDENTITY,
                format!(
                    "topic `{}`: its id is `{}` now, and `{folder}` holds a chain of another one; see `commit.on_recreated_topic`",
                    self.identity.topic,
                    self.identity.topic_id.as_deref().unwrap_or("none"),
                ),
            )),
            // What the group has committed belongs to the topic that is no more.
            Some(_) => self.claim(Some(self.assigned.low), out),
            None if hint_gone => Err(self.state_lost()),
            None => self.claim(None, out),
        }
    }

    #[cold]
    fn state_lost(&self) -> Fault {
        let text = self.assigned.committed.as_ref().map_or("", |(_, text)| text.as_str());
        Fault::new(
            &STATE_LOST,
            format!(
                "chain `{}`: kafka's committed offset says `{text}` and no such record is there",
                record::chain_folder(&self.identity)
            ),
        )
    }

    /// A2: what the last record names is published before anything follows it.
    fn recover(&mut self, record: Arc<Record>, out: &mut Vec<Action>) -> Result<(), Fault> {
        self.head = Some(record.clone());
        if self.epoch > 0 && record.epoch > self.epoch {
            return Err(self.fenced(&record));
        }
        if record.files.is_empty() || self.known_published(&record) || !self.rules.finish_first {
            return self.claim(None, out);
        }
        let ticket = self.ticket();
        self.phase = Phase::Recovering { ticket };
        let files = record.files.iter().map(File::staged).collect();
        out.push(Action::Publish { ticket, seq: record.seq, files });
        Ok(())
    }

    /// Kafka is told of a record only once it is published.
    fn known_published(&self, record: &Record) -> bool {
        let text = self.assigned.committed.as_ref().map(|(_, text)| text.as_str());
        text.and_then(Hint::parse).is_some_and(|hint| hint.seq >= record.seq)
    }

    /// A3, or the end of it: who has a claim needs no other one.
    fn claim(&mut self, anew: Option<Offset>, out: &mut Vec<Action>) -> Result<(), Fault> {
        if self.epoch > 0 {
            self.flow(out);
            return Ok(());
        }
        let (from, to) = self.start(anew)?;
        let skipped = (from < to).then(|| Skipped { from, to, why: "retention".to_owned() });
        let head = self.head.as_deref();
        let mut claim = self.blank(Kind::Claim, self.commit_id(), OffsetRange::new(from, to));
        claim.epoch = head.map_or(1, |head| head.epoch.saturating_add(1));
        claim.skipped = skipped.into_iter().collect();
        self.intervals += 1;
        let slot = self.send(Arc::new(claim), out);
        self.phase = Phase::Claiming(slot);
        Ok(())
    }

    /// The offsets of the claim: none, unless Kafka has lost some and they are to be skipped.
    fn start(&self, anew: Option<Offset>) -> Result<(Offset, Offset), Fault> {
        let Assigned { start, committed, low, high } = &*self.assigned;
        let Some(head) = &self.head else {
            let start = anew.unwrap_or(*start);
            return match start {
                start if (*low..=*high).contains(&start) => Ok((start, start)),
                start if start < *low && self.policy.skip_lost => Ok((*low, *low)),
                _ => Err(self.outside(&START, "the start is", start)),
            };
        };
        if let Some((committed, _)) = committed.as_ref().filter(|(offset, _)| *offset > head.to) {
            return Err(Fault::new(
                &AHEAD,
                format!(
                    "group's offset of kafka partition `{}-{}`: `{committed}`, at most `{}` required, where the chain ends",
                    self.identity.topic, self.identity.partition, head.to
                ),
            ));
        }
        if head.to > *high {
            return Err(self.outside(&TRUNCATED, "the chain ends at", head.to));
        }
        if head.to >= *low {
            return Ok((head.to, head.to));
        }
        if self.policy.skip_lost {
            return Ok((head.to, *low));
        }
        Err(self.outside(&RETENTION, "the chain ends at", head.to))
    }

    #[cold]
    fn outside(&self, code: &'static crate::error::Code, what: &str, offset: Offset) -> Fault {
        let Identity { topic, partition, .. } = &*self.identity;
        let Assigned { low, high, .. } = &*self.assigned;
        Fault::new(
            code,
            format!(
                "kafka partition `{topic}-{partition}`: {what} `{offset}`, an offset of the log `{low}` to `{high}` required"
            ),
        )
    }

    fn claim_read(
        &mut self,
        found: Option<Arc<Record>>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let Phase::Claiming(slot) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Ok(());
        };
        match slot.whose(found) {
            Place::Mine(claim) | Place::Voided(claim) => {
                self.claimed(claim, out);
                Ok(())
            }
            Place::Another(record) => {
                self.check_next(&record)?;
                self.head = Some(record);
                self.find_on(out);
                Ok(())
            }
            Place::Unknown => {
                let slot = self.send_again(slot, out)?;
                self.phase = Phase::Claiming(slot);
                Ok(())
            }
        }
    }

    fn claimed(&mut self, claim: Arc<Record>, out: &mut Vec<Action>) {
        self.epoch = claim.epoch;
        self.want_offset(&claim, out);
        self.head = Some(claim);
        self.flow(out);
    }

    fn flow(&mut self, out: &mut Vec<Action>) {
        self.phase = Phase::Flowing;
        out.push(Action::Flow { offset: self.sealed_to(), epoch: self.epoch });
    }

    fn check_next(&self, record: &Record) -> Result<(), Fault> {
        match &self.head {
            Some(head) => record.follows(head),
            None if record.seq == 1 => Ok(()),
            None => Err(Fault::new(
                &LINK,
                format!("commit record {}: no record before it, one required", record.seq),
            )),
        }
    }

    // -- records on their way --

    /// A record of this machine at the next place, without files.
    fn blank(&self, kind: Kind, id: String, range: OffsetRange) -> Record {
        let head = self.head.as_deref();
        Record {
            version: record::VERSION_NOW,
            kind,
            identity: Identity::clone(&self.identity),
            seq: head.map_or(1, |head| head.seq.saturating_add(1)),
            id,
            prev: head.map_or(String::new(), |head| head.id.clone()),
            epoch: self.epoch,
            owner: self.owner.to_string(),
            from: range.start,
            to: range.end,
            rows: 0,
            rejects: 0,
            skipped: Vec::new(),
            min_ms: None,
            max_ms: None,
            repairs: None,
            files: Vec::new(),
        }
    }

    fn send(&mut self, record: Arc<Record>, out: &mut Vec<Action>) -> Slot {
        let ticket = self.ticket();
        out.push(Action::Put { ticket, record: record.clone(), after_ms: 0 });
        Slot { record, void: None, ticket, tries: 0, refused: None }
    }

    /// Nothing is at the place: the same bytes go again, as often as it takes.
    fn send_again(&mut self, mut slot: Slot, out: &mut Vec<Action>) -> Result<Slot, Fault> {
        if let Some(refused) = slot.refused.take() {
            return Err(Fault::new(
                &RECORD_REFUSED,
                format!("commit record {}: {refused}", slot.record.seq),
            ));
        }
        slot.ticket = self.ticket();
        let record = slot.void.clone().unwrap_or_else(|| slot.record.clone());
        let after_ms = (AGAIN_MS.0 << slot.tries.min(8)).min(AGAIN_MS.1);
        // The explorer meets the same state after many tries.
        slot.tries = slot.tries.saturating_add(1).min(8);
        out.push(Action::Put { ticket: slot.ticket, record, after_ms });
        Ok(slot)
    }

    /// The answer to [`Action::Put`]: anything but success is read back.
    pub fn wrote(
        &mut self,
        ticket: Ticket,
        how: Wrote,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        if !self.awaits(ticket) {
            return Ok(());
        }
        let read = Ticket(self.next_ticket.0 + 1);
        let slot = match &mut self.phase {
            Phase::Claiming(slot) => slot,
            _ => match self.pending.front_mut().map(|p| &mut p.state) {
                Some(State::Recording(slot)) => slot,
                _ => return Ok(()),
            },
        };
        let sent = slot.void.clone().unwrap_or_else(|| slot.record.clone());
        if how != Wrote::Created && self.rules.read_back {
            slot.ticket = read;
            slot.refused = match how {
                Wrote::Refused(fault) => Some(fault.to_string()),
                _ => None,
            };
            self.next_ticket = read;
            out.push(Action::Get { ticket: read, seq: sent.seq });
            return Ok(());
        }
        let created = (how == Wrote::Created).then_some(sent);
        match (&self.phase, created) {
            (Phase::Claiming(_), Some(record)) => self.claim_read(Some(record), out),
            (Phase::Claiming(_), None) => {
                self.find_on(out);
                Ok(())
            }
            (_, Some(record)) => self.commit_read(Some(record), out),
            (_, None) => {
                self.lose_all(out);
                self.find_on(out);
                Ok(())
            }
        }
    }

    // -- C: commits --

    /// Seals a commit: all its files by id, those staged already among them.
    pub fn seal(&mut self, sealed: Sealed, out: &mut Vec<Action>) {
        let ids: HashSet<FileId> = sealed.files.iter().map(|(id, _)| *id).collect();
        let (staged, later) =
            std::mem::take(&mut self.early).into_iter().partition(|(id, _)| ids.contains(id));
        self.early = later;
        let id = self.commit_id();
        self.intervals += 1;
        self.pending.push_back(Pending { sealed, id, staged, state: State::Staging });
        self.advance(out);
    }

    /// A file is staged. Files of the open interval may come before their seal.
    pub fn staged(&mut self, file: FileId, staged: Staged, out: &mut Vec<Action>) {
        match self.pending.iter_mut().find(|p| p.waits_for(file)) {
            Some(pending) => {
                pending.staged.push((file, staged));
                self.advance(out);
            }
            None => self.early.push((file, staged)),
        }
    }

    /// C3 of the front commit, once all its files are staged.
    fn advance(&mut self, out: &mut Vec<Action>) {
        let Some(front) = self.pending.front() else { return };
        let ready = front.state == State::Staging && front.is_staged();
        if !ready || self.phase != Phase::Flowing {
            return;
        }
        let mut record = self.blank(Kind::Commit, front.id.clone(), front.sealed.range);
        for (id, about) in &front.sealed.files {
            let Some((_, staged)) = front.staged.iter().find(|(file, _)| file == id) else {
                continue;
            };
            match about.role {
                Role::Data => record.rows += about.rows,
                Role::Reject => record.rejects += about.rows,
            }
            let Staged { key, bytes, handle } = staged.clone();
            record.files.push(File { key, bytes, about: about.clone(), staged: handle });
        }
        (record.min_ms, record.max_ms) = front.sealed.times_ms.unzip();
        let slot = self.send(Arc::new(record), out);
        if let Some(front) = self.pending.front_mut() {
            front.state = State::Recording(slot);
        }
    }

    fn commit_read(
        &mut self,
        found: Option<Arc<Record>>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let Some(Pending { state: State::Recording(slot), .. }) = self.pending.front() else {
            return Ok(());
        };
        match slot.whose(found) {
            Place::Mine(record) => {
                self.recorded(record, out);
                Ok(())
            }
            Place::Voided(void) => {
                self.head = Some(void.clone());
                self.lose_all(out);
                self.want_offset(&void, out);
                self.find_on(out);
                Ok(())
            }
            Place::Another(record) => self.lost(record, out),
            Place::Unknown if !self.rules.resend => {
                self.lose_all(out);
                self.find_on(out);
                Ok(())
            }
            Place::Unknown => {
                let again = self.send_again(slot.clone(), out)?;
                if let Some(front) = self.pending.front_mut() {
                    front.state = State::Recording(again);
                }
                Ok(())
            }
        }
    }

    /// C4: nothing follows the record before its files are published.
    fn recorded(&mut self, record: Arc<Record>, out: &mut Vec<Action>) {
        let files: Vec<Staged> = record.files.iter().map(File::staged).collect();
        let seq = record.seq;
        self.head = Some(record);
        let ticket = self.ticket();
        if let Some(front) = self.pending.front_mut() {
            front.state = State::Publishing(ticket);
        }
        if files.is_empty() {
            self.done(out);
        } else {
            out.push(Action::Publish { ticket, seq, files });
        }
    }

    /// All files are visible.
    pub fn published(&mut self, ticket: Ticket, out: &mut Vec<Action>) -> Result<(), Fault> {
        if !self.awaits(ticket) {
            return Ok(());
        }
        if matches!(self.phase, Phase::Recovering { .. }) {
            return self.claim(None, out);
        }
        self.done(out);
        Ok(())
    }

    /// A file of the awaited record cannot be published: what that means, for the operator.
    #[cold]
    pub fn not_published(&self, fault: Fault) -> Fault {
        let Some(head) = self.head.as_deref().filter(|_| *fault.code == crate::store::LOST) else {
            return fault;
        };
        Fault::new(
            &UPLOAD_LOST,
            format!(
                "commit record {} of kafka partition `{}-{}` over offsets {}: {}",
                head.seq,
                self.identity.topic,
                self.identity.partition,
                head.range(),
                fault.message
            ),
        )
    }

    fn done(&mut self, out: &mut Vec<Action>) {
        let Some(front) = self.pending.pop_front() else { return };
        let files = front.sealed.files.iter().map(|(id, _)| *id).collect();
        out.push(Action::Done { range: front.sealed.range, files });
        if let Some(head) = self.head.clone() {
            self.want_offset(&head, out);
        }
        self.advance(out);
    }

    /// C5: one commit to Kafka at a time, the latest wanted last, so that the offset never goes back.
    fn want_offset(&mut self, record: &Record, out: &mut Vec<Action>) {
        self.offset_wanted = Some((record.to, Hint::text(record.seq, &record.id)));
        self.send_offset(out);
    }

    fn send_offset(&mut self, out: &mut Vec<Action>) {
        if self.offset_sent.is_none()
            && let Some((offset, text)) = self.offset_wanted.take()
        {
            let ticket = self.ticket();
            self.offset_sent = Some(ticket);
            out.push(Action::CommitOffset { ticket, offset, text });
        }
    }

    /// Kafka has the offset.
    pub fn offset_committed(&mut self, ticket: Ticket, out: &mut Vec<Action>) {
        if self.offset_sent == Some(ticket) {
            self.offset_sent = None;
            self.send_offset(out);
        }
    }

    // -- failures --

    /// L: another record has the place.
    fn lost(&mut self, winner: Arc<Record>, out: &mut Vec<Action>) -> Result<(), Fault> {
        self.check_next(&winner)?;
        self.lose_all(out);
        if winner.epoch > self.epoch {
            return Err(self.fenced(&winner));
        }
        self.head = Some(winner);
        self.find_on(out);
        Ok(())
    }

    #[cold]
    fn fenced(&mut self, winner: &Record) -> Fault {
        self.phase = Phase::Over;
        Fault::new(
            &FENCED,
            format!(
                "commit record {} of kafka partition `{}-{}`: of owner `{}` in epoch `{}`, the own epoch `{}` required; its files are dropped and read again by that owner",
                winner.seq,
                self.identity.topic,
                self.identity.partition,
                winner.owner,
                winner.epoch,
                self.epoch
            ),
        )
    }

    /// Takes back everything, the commit at the front too: its place is another's for good.
    fn lose_all(&mut self, out: &mut Vec<Action>) {
        let back = self.take_back(0);
        out.push(Action::TakeBack(back));
    }

    /// Gives up the commit that is being recorded, by filling its place. The answers tell which of the two
    /// has it.
    pub fn void(&mut self, out: &mut Vec<Action>) {
        let Some(Pending { state: State::Recording(slot), .. }) = self.pending.front() else {
            return;
        };
        let mut slot = slot.clone();
        if slot.void.is_some() {
            return;
        }
        let at = slot.record.from;
        let id = format!("{}-void", slot.record.id);
        let void = Arc::new(self.blank(Kind::Void, id, OffsetRange::new(at, at)));
        slot.ticket = self.ticket();
        slot.void = Some(void.clone());
        out.push(Action::Put { ticket: slot.ticket, record: void, after_ms: 0 });
        if let Some(front) = self.pending.front_mut() {
            front.state = State::Recording(slot);
        }
    }

    /// A file could not be staged: its commit and everything after it is taken back.
    ///
    /// A commit that is being recorded or published stays. `file` may belong to the open interval; then only
    /// that one is taken back.
    pub fn rewind(&mut self, file: FileId) -> TakenBack {
        let bad = self.pending.iter().position(|p| p.waits_for(file));
        self.take_back(bad.unwrap_or(self.pending.len()))
    }

    /// Everything that is neither being recorded nor published is taken back; what is, cannot be called back:
    /// its record may be there.
    pub fn abandon(&mut self) -> TakenBack {
        let under_way = self.pending.front().is_some_and(|p| p.state != State::Staging);
        self.take_back(usize::from(under_way))
    }

    fn take_back(&mut self, from: usize) -> TakenBack {
        let mut back = TakenBack::default();
        back.staged.extend(std::mem::take(&mut self.early).into_iter().map(|(_, s)| s));
        for pending in self.pending.drain(from..) {
            back.files.extend(pending.sealed.files.iter().map(|(id, _)| *id));
            back.staged.extend(pending.staged.into_iter().map(|(_, s)| s));
        }
        back.offset = self.sealed_to();
        // A footer names the commit that its file is in: no two intervals share an id.
        self.intervals += 1;
        back
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
