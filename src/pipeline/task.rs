//! One Kafka partition, from raw records to commits, as a step function.
//!
//! Owns: the order of things: when rows are flushed, when a commit seals, what waits for what, going
//! back after a failure.
//! Does not own: any effect. [`Task::step`] takes an [`Event`] and appends [`Action`]s; a driver
//! (`threads`, `simulated`) carries them out and answers with further events.
//! Bounded by: [`Task::wants_input`] turns false before the backlog grows, and the interval seals
//! before [`Task::memory`] outgrows its share.
//! Absent: threads, channels, clocks, await.

mod chain;
mod evolution;
mod seal;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

pub use self::chain::{Look, TopicAt};
pub use self::evolution::Evolution;
use self::seal::Interval;
use crate::clock::Now;
use crate::commit::machine::{self, Chains, FileId, Machine, TakenBack, Ticket, Wrote};
use crate::commit::record::{About, Identity, Record as CommitRecord};
use crate::config;
use crate::error::{Fault, Kind};
use crate::partition::Partitioner;
use crate::pipeline::intake::{Counted, Intake, Need, Taken};
use crate::pipeline::lanes::{Files, Lanes, Output};
use crate::pipeline::row;
use crate::position::{Offset, OffsetRange, TopicPartition};
use crate::record::{Oddities, Record, RecordBatch};
use crate::registry::{Found, History, Lookup, Schema, Want};
use crate::store::{LOST, Staged};
use crate::wire::SchemaRef;

/// Rows in decoders that make a batch.
const FLUSH_ROWS: usize = 8_192;
/// Raw bytes held for rows in decoders that make a batch; below the source's guaranteed minimum.
const FLUSH_BYTES: usize = 2 << 20;
/// Bytes in decoders that make a batch: a small record can be large in columns.
const FLUSH_DECODED_BYTES: usize = 32 << 20;
/// Most bytes of rows and open files, whatever the share: a column of one batch holds 2 GiB at most.
const SHARE_MAX: usize = 1 << 30;
/// Sealed commits that may be under way before the next one waits.
const COMMITS_MAX: usize = 3;
/// Raw bytes waiting for a schema or a commit at which the source reads no more.
const BACKLOG_BYTES: usize = 4 << 20;
/// First and longest pause before reading again after a failed upload, in ms.
const REWIND_MS: (u64, u64) = (1_000, 60_000);

/// What all Kafka partitions of a pipeline share.
#[derive(Debug)]
pub struct Settings {
    pub row: row::Options,
    pub wire: config::Wire,
    /// How values write message indexes, whatever `wire` says of their topic; keys do as it says.
    pub value_indexes: Option<config::IndexForm>,
    /// Rows have the columns of this schema, whatever wrote them; none: as `evolution` says.
    pub target: Option<Arc<Schema>>,
    pub evolution: Evolution,
    pub partitioner: Partitioner,
    pub files: Arc<Files>,
    pub commit: config::Commit,
    pub unknown_id_grace_ms: u64,
    /// Folder of reject files; the topic stands below it.
    pub rejects_prefix: String,
    pub policy: machine::Policy,
    /// False: suspicious rejects never pause a Kafka partition.
    pub breaker: bool,
    pub unusable_schema: config::UnusableSchema,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The Kafka partition is ours: its chain is to be found and claimed. With `stop_at`, the task finishes
    /// there.
    Assigned(Box<Assignment>),
    /// Records flow from this offset on, as [`Action::Seek`] asked.
    Started {
        offset: Offset,
    },
    /// Records, in order; without records, only the position moved.
    Records(RecordBatch),
    Schema(SchemaRef, Found),
    /// Versions of a subject, as [`Action::AskSubject`] wanted.
    Subject(Arc<str>, Result<Arc<History>, Lookup>),
    Staged(FileId, Result<Staged, Fault>),
    /// A record of the chain as it was read, or that there is none.
    Record {
        ticket: Ticket,
        seq: u64,
        found: Result<Option<Arc<CommitRecord>>, Fault>,
    },
    Wrote(Ticket, Wrote),
    /// What is there of the topic's chains.
    Chains(Ticket, Result<Chains, Fault>),
    Published(Ticket),
    /// A file of this record is refused for good.
    NotPublished(Ticket, Fault),
    OffsetCommitted(Ticket),
    /// Where Kafka is the authority: it was refused, or nobody knows.
    OffsetRefused(Ticket, Fault),
    /// Time went by.
    Tick,
    /// Seal, publish, commit, then [`Action::Finished`].
    Finish,
    /// Drop what is not sealed; nothing more is wanted.
    Drop,
}

/// What a task is told at its assignment.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// Unique to this assignment.
    pub owner: String,
    /// Id of the topic, where the brokers have ids.
    pub topic_id: Option<String>,
    /// How many Kafka partitions the topic has now, where that is known.
    pub partitions: Option<u32>,
    pub kafka: machine::Assigned,
    /// That the log ends there was asked often enough to set a chain back to it.
    pub end_is_sure: bool,
    pub stop_at: Option<Offset>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Ask the registry after this pause; answer with [`Event::Schema`]. `anew`: a schema that is remembered
    /// does not do.
    Ask { schema: SchemaRef, after_ms: u64, anew: bool },
    /// The same of a subject; answer with [`Event::Subject`].
    AskSubject { subject: Arc<str>, want: Want, after_ms: u64 },
    /// Hand bytes to the store; the last ones of a file are answered with [`Event::Staged`], and so is
    /// a failure.
    Store(Output),
    /// Forget files that are being staged, and staged ones. No answer.
    Discard { files: Vec<FileId>, staged: Vec<Staged> },
    /// Discard these once this Kafka partition is claimed again, by whichever task. No answer.
    Keep(Vec<Staged>),
    /// Read a record of the chain; answer with [`Event::Record`]. Faults that pass are tried again.
    GetRecord { ticket: Ticket, seq: u64, key: String },
    /// Create a record of the chain, once, after this pause; answer with [`Event::Wrote`]. Where Kafka is the
    /// authority, its name is its own: whether something is there does not matter.
    PutRecord {
        ticket: Ticket,
        key: String,
        record: Arc<CommitRecord>,
        after_ms: u64,
        authority: config::Authority,
    },
    /// Look for chains of the topic; read what it was when its first chain began, or write it down if it begins
    /// now. Answer with [`Event::Chains`].
    ListChains { ticket: Ticket, look: Box<Look> },
    /// The Kafka partition is claimed; uploads of this hash and a lower epoch are nobody's.
    Claimed { offset: Offset, epoch: u64, high: Offset, hash: String },
    /// Answer with [`Event::Published`]; faults that pass are tried again. `recovery`: another owner's files, which
    /// may be published already.
    Publish { ticket: Ticket, files: Vec<Staged>, recovery: bool },
    /// Answer with [`Event::OffsetCommitted`], whatever it takes; where Kafka is the authority, send it once, and
    /// answer with [`Event::OffsetRefused`] on anything but success.
    CommitOffset { ticket: Ticket, offset: Offset, text: String },
    /// A commit is done.
    Committed { range: OffsetRange, files: usize },
    /// Read again from here after this pause; answer with [`Event::Started`].
    Seek { offset: Offset, after_ms: u64, why: Option<Fault> },
    /// Everything up to the end is committed.
    Finished,
    /// This Kafka partition cannot go on.
    Stopped(Fault),
}

/// What a task counted since it was last asked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counters {
    pub records: u64,
    pub bytes: u64,
    pub rejects: HashMap<&'static str, u64>,
    pub tombstones: u64,
    /// By id of the schema; 0 for schemas without an id.
    pub oddities: BTreeMap<u32, Oddities>,
    /// Closed files, their rows and bytes, by role (`data`, `reject`).
    pub files: HashMap<&'static str, (u64, u64, u64)>,
    pub commits: u64,
    pub rewinds: u64,
    /// What targets did to rows.
    pub evolved: Counted,
    /// Kafka's timestamp of the last record taken.
    pub last_timestamp_ms: Option<i64>,
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Phase {
    /// Until [`Event::Started`].
    Idle,
    Running,
    /// Sealed for good; commits are still under way.
    Finishing,
    Finished,
    Stopped,
}

/// The step function of one Kafka partition.
#[derive(Debug)]
pub struct Task {
    settings: Arc<Settings>,
    topic_partition: TopicPartition,
    first_ticket: Ticket,
    phase: Phase,
    /// Offset of the next record to take.
    position: Offset,
    stop_at: Option<Offset>,
    topic_partitions: Option<u32>,
    /// End of the log when assigned.
    high: Offset,
    machine: Option<Machine>,
    intake: Intake,
    lanes: Lanes,
    /// What the front of the backlog waits for.
    waiting: Option<Need>,
    backlog: VecDeque<RecordBatch>,
    /// Next record of the backlog's first batch.
    cursor: usize,
    /// Batches whose records are in decoders: partitioning may still reject one.
    held: Vec<RecordBatch>,
    held_bytes: usize,
    /// Files that are opened and not in a finished commit, with the commit once sealed.
    files: HashSet<FileId>,
    /// What closed files of the open interval hold.
    closed: HashMap<FileId, About>,
    interval: Interval,
    share: usize,
    /// Rewinds since the last commit, for the pause.
    rewinds: u32,
    finish_wanted: bool,
    counters: Counters,
}

impl Settings {
    /// Folder of the reject files of a topic.
    pub fn rejects_folder(&self, topic: &str) -> String {
        format!(
            "{}/{}",
            self.rejects_prefix,
            crate::partition::hive::component(crate::config::Escape::Hive, topic)
        )
    }
}

impl Task {
    /// A task before its start. `generation` must differ from that of an earlier task of the same Kafka
    /// partition, whose answers may still be on their way.
    pub fn new(settings: Arc<Settings>, topic_partition: TopicPartition, generation: u64) -> Self {
        Self {
            lanes: Lanes::new(settings.files.clone(), topic_partition.clone(), generation),
            first_ticket: Ticket(generation << 32),
            intake: Intake::new(settings.clone(), topic_partition.clone()),
            topic_partition,
            settings,
            phase: Phase::Idle,
            position: 0,
            stop_at: None,
            topic_partitions: None,
            high: 0,
            machine: None,
            waiting: None,
            backlog: VecDeque::new(),
            cursor: 0,
            held: Vec::new(),
            held_bytes: 0,
            files: HashSet::new(),
            closed: HashMap::new(),
            interval: Interval::default(),
            share: SHARE_MAX,
            rewinds: 0,
            finish_wanted: false,
            counters: Counters::default(),
        }
    }

    /// Bytes this task may hold before it seals early. Falls as more Kafka partitions are assigned.
    pub fn set_share(&mut self, bytes: usize) {
        self.share = bytes.min(SHARE_MAX);
    }

    /// Bytes of raw records that are not yet rows in lanes or rejects.
    pub fn raw_bytes(&self) -> usize {
        self.held_bytes + self.backlog_bytes()
    }

    /// Bytes of rows and open files.
    pub fn memory(&self) -> usize {
        self.lanes.memory() + self.intake.memory()
    }

    pub fn open_lanes(&self) -> usize {
        self.lanes.open()
    }

    /// Sets of columns with rows in lanes.
    pub fn open_schemas(&self) -> usize {
        self.lanes.open_groups()
    }

    /// Offset of the next record to take.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// Offset up to which all is committed; `None` before the start is known.
    pub fn committed(&self) -> Option<Offset> {
        self.machine.as_ref().and_then(Machine::committed)
    }

    /// Whose chain it is; `None` before the assignment.
    pub fn chain(&self) -> Option<Arc<Identity>> {
        self.machine.as_ref().map(|machine| machine.identity().clone())
    }

    /// What this Kafka partition waits for, if it waits.
    pub fn waits_for(&self) -> Option<&Need> {
        self.waiting.as_ref()
    }

    /// Records taken since the last seal.
    pub fn interval_records(&self) -> u64 {
        self.interval.records
    }

    /// False while what is here has to be worked off first.
    pub fn wants_input(&self) -> bool {
        self.phase == Phase::Running && self.backlog_bytes() < BACKLOG_BYTES
    }

    /// What was counted since the last call.
    pub fn take_counters(&mut self) -> Counters {
        let mut counters = std::mem::take(&mut self.counters);
        counters.rejects = self.intake.take_rejected();
        counters.oddities = self.intake.take_oddities();
        counters.evolved = self.intake.take_counted();
        counters
    }

    /// Takes one event in.
    pub fn step(&mut self, event: Event, now: Now, out: &mut Vec<Action>) {
        let result = match event {
            Event::Assigned(assignment) => self.assigned(*assignment, out),
            Event::Started { offset } => {
                self.started(offset);
                Ok(())
            }
            Event::Records(batch) => {
                // Batches from before a rewind, or after the end, are read again.
                if self.phase == Phase::Running {
                    self.backlog.push_back(batch);
                }
                Ok(())
            }
            Event::Schema(schema, found) => {
                self.schema(schema, found, now, out);
                Ok(())
            }
            Event::Subject(subject, found) => {
                self.subject(subject, found, now, out);
                Ok(())
            }
            Event::Staged(file, result) => self.staged(file, result, out),
            Event::Record { ticket, seq, found } => self.record(ticket, seq, found, out),
            Event::Wrote(ticket, how) => self.on_machine(out, |m, to| m.wrote(ticket, how, to)),
            Event::Chains(ticket, found) => self.chains(ticket, found, out),
            Event::Published(ticket) => self.on_machine(out, |m, to| m.published(ticket, to)),
            // One of an earlier assignment concerns that one only.
            Event::NotPublished(ticket, fault) => match &self.machine {
                Some(machine) if machine.expects(ticket) => Err(machine.not_published(fault)),
                _ => Ok(()),
            },
            Event::OffsetCommitted(ticket) => {
                self.on_machine(out, |m, to| m.offset_committed(ticket, to))
            }
            Event::OffsetRefused(ticket, fault) => {
                self.on_machine(out, |m, _| m.offset_refused(ticket, &fault))
            }
            Event::Tick => self.tick(now, out),
            Event::Finish => {
                self.finish_wanted = true;
                Ok(())
            }
            Event::Drop => {
                self.drop_uncommitted(out);
                self.phase = Phase::Stopped;
                Ok(())
            }
        };
        if let Err(fault) = result.and_then(|()| self.go_on(now, out)) {
            self.drop_uncommitted(out);
            if std::mem::replace(&mut self.phase, Phase::Stopped) != Phase::Stopped {
                out.push(Action::Stopped(fault));
            }
        }
    }

    fn started(&mut self, offset: Offset) {
        let Some(machine) = &self.machine else { return };
        // Else it answers a seek that a later one, further back, has replaced.
        if self.phase == Phase::Idle && machine.is_flowing() && machine.sealed_to() == offset {
            self.position = offset;
            self.phase = Phase::Running;
        }
    }

    fn schema(&mut self, schema: SchemaRef, found: Found, now: Now, out: &mut Vec<Action>) {
        if let Some(after_ms) = self.intake.learn(schema, found, now) {
            out.push(Action::Ask { schema, after_ms, anew: self.intake.is_paused(schema) });
        }
        if matches!(self.waiting, Some(Need::Schema(s)) if self.intake.resolved(s)) {
            self.waiting = None;
        }
    }

    fn subject(
        &mut self,
        subject: Arc<str>,
        found: Result<Arc<History>, Lookup>,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        let again = self.intake.learn_subject(&subject, found, now);
        if let Some(Need::Subject(waits)) = &self.waiting
            && self.intake.has_subject(waits)
        {
            self.waiting = None;
        }
        if let Some((want, after_ms)) = again {
            out.push(Action::AskSubject { subject, want, after_ms });
        }
    }

    /// After any event: takes what can be taken, seals what must be sealed, says when it is over.
    fn go_on(&mut self, now: Now, out: &mut Vec<Action>) -> Result<(), Fault> {
        while self.phase == Phase::Running {
            if self.finish_wanted || self.stop_at.is_some_and(|stop| self.position >= stop) {
                return self.finish(out);
            }
            if self.must_seal(now, self.is_quiet()) && !self.seal(out)? {
                return Ok(());
            }
            if self.waiting.is_some() {
                return Ok(());
            }
            let Some(batch) = self.backlog.pop_front() else { return Ok(()) };
            self.take_batch(batch, now, out)?;
        }
        self.say_finished(out);
        Ok(())
    }

    /// Takes records of a batch until its end, a seal, or a wait; then puts the rest back.
    fn take_batch(
        &mut self,
        batch: RecordBatch,
        now: Now,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        while self.cursor < batch.len() && !self.must_seal(now, false) {
            let record = batch.get(self.cursor);
            if self.stop_at.is_some_and(|stop| record.offset >= stop) {
                self.position = record.offset;
                break;
            }
            if record.offset >= self.position {
                match self.intake.take(&record, now) {
                    Taken::Wait(need) => {
                        self.waiting = Some(need.clone());
                        match need {
                            Need::Schema(schema) => self.wait_for(schema, &batch, now, out),
                            Need::Subject(subject) => self.ask_subject(subject, out),
                        }
                        break;
                    }
                    Taken::Skipped => self.counters.tombstones += 1,
                    Taken::Row | Taken::Rejected => {}
                }
                self.count(&record, now);
            }
            self.cursor += 1;
            if self.intake.rows() >= FLUSH_ROWS
                || self.intake.taken_bytes() >= FLUSH_DECODED_BYTES
                || self.intake.is_crowded()
            {
                self.flush(Some(&batch), out)?;
            }
        }
        if self.cursor < batch.len() {
            // The held rows are flushed while the batch they came from is at hand.
            self.flush(Some(&batch), out)?;
            self.backlog.push_front(batch);
            return Ok(());
        }
        if batch.next > self.position {
            // Control records, aborted transactions, compacted offsets: a commit moves past them too.
            self.position = batch.next;
            self.interval.touch(now, &self.settings.commit);
        }
        self.cursor = 0;
        self.held_bytes += batch.bytes();
        self.held.push(batch);
        if self.held_bytes >= FLUSH_BYTES { self.flush(None, out) } else { Ok(()) }
    }

    fn count(&mut self, record: &Record<'_>, now: Now) {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        self.position = record.offset.saturating_add(1);
        self.counters.records += 1;
        self.counters.bytes += bytes as u64;
        self.counters.last_timestamp_ms = record.timestamp.or(self.counters.last_timestamp_ms);
        self.interval.bytes += bytes as u64;
        self.interval.records += 1;
        if let Some(ms) = record.timestamp {
            let (min, max) = self.interval.times_ms.unwrap_or((ms, ms));
            self.interval.times_ms = Some((min.min(ms), max.max(ms)));
        }
        self.interval.touch(now, &self.settings.commit);
    }

    /// Waits for a schema, and asks for all others that the backlog needs, so that they wait together.
    fn wait_for(
        &mut self,
        schema: SchemaRef,
        batch: &RecordBatch,
        now: Now,
        out: &mut Vec<Action>,
    ) {
        if !self.intake.ask(schema, now) {
            return; // asked for already, and so was all that was here then
        }
        out.push(Action::Ask { schema, after_ms: 0, anew: self.intake.is_paused(schema) });
        let rest = (self.cursor..batch.len()).map(|i| batch.get(i));
        let queued = self.backlog.iter().flat_map(RecordBatch::iter);
        for schema in self.intake.unknown_in(rest.chain(queued)) {
            if self.intake.ask(schema, now) {
                out.push(Action::Ask { schema, after_ms: 0, anew: false });
            }
        }
    }

    fn ask_subject(&mut self, subject: Arc<str>, out: &mut Vec<Action>) {
        if let Some((want, after_ms)) = self.intake.ask_subject(&subject) {
            out.push(Action::AskSubject { subject, want, after_ms });
        }
    }

    /// Moves rows from decoders to lanes, and from lanes to files where they are worth it.
    fn flush(&mut self, current: Option<&RecordBatch>, out: &mut Vec<Action>) -> Result<(), Fault> {
        if self.intake.rows() > 0 {
            let held: Vec<&RecordBatch> = self.held.iter().chain(current).collect();
            self.intake.flush(&held, &mut self.lanes)?;
            let mut outputs = Vec::new();
            self.lanes.write_ready(&mut outputs)?;
            self.emit(outputs, out);
        }
        self.held.clear();
        self.held_bytes = 0;
        Ok(())
    }

    fn emit(&mut self, outputs: Vec<Output>, out: &mut Vec<Action>) {
        for output in outputs {
            if let Output::End { file, stats, role, about, .. } = &output {
                self.closed.insert(*file, About::clone(about));
                let (files, rows, bytes) = self.counters.files.entry(role).or_default();
                *files += 1;
                *rows += stats.rows;
                *bytes += stats.bytes;
            }
            out.push(Action::Store(output));
        }
    }

    fn tick(&mut self, now: Now, out: &mut Vec<Action>) -> Result<(), Fault> {
        for (subject, want) in self.intake.stale_subjects(now) {
            out.push(Action::AskSubject { subject, want, after_ms: 0 });
        }
        // Quiet traffic: rows go on to the lanes, and their raw bytes are given back.
        if self.phase == Phase::Running && self.backlog.is_empty() {
            self.flush(None, out)
        } else {
            Ok(())
        }
    }

    fn staged(
        &mut self,
        file: FileId,
        result: Result<Staged, Fault>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        match result {
            Ok(staged) if self.files.contains(&file) || self.lanes.opened(file) => {
                self.on_machine(out, |m, to| {
                    m.staged(file, staged, to);
                    Ok(())
                })
            }
            // Of an interval that was taken back.
            Ok(staged) => {
                out.push(Action::Discard { files: Vec::new(), staged: vec![staged] });
                Ok(())
            }
            Err(_) if !self.files.contains(&file) && !self.lanes.opened(file) => Ok(()),
            Err(fault) if is_read_again(&fault) => {
                self.rewind(file, fault, out);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    /// Goes back to the last commit that stands, to read the rest again.
    fn rewind(&mut self, file: FileId, why: Fault, out: &mut Vec<Action>) {
        let Some(machine) = &mut self.machine else { return };
        let back = machine.rewind(file);
        let offset = back.offset;
        let finishing = self.phase == Phase::Finishing;
        self.discard(back, out);
        self.counters.rewinds += 1;
        let after_ms = (REWIND_MS.0 << self.rewinds.min(6)).min(REWIND_MS.1);
        self.rewinds += 1;
        if finishing && self.stop_at.is_none() {
            // Asked to leave: what is not committed is left to the next owner.
            return;
        }
        self.phase = Phase::Idle;
        out.push(Action::Seek { offset, after_ms, why: Some(why) });
    }

    fn drop_uncommitted(&mut self, out: &mut Vec<Action>) {
        let back = self.machine.as_mut().map(Machine::abandon).unwrap_or_default();
        self.discard(back, out);
    }

    /// Drops the open interval and what a failure took back.
    fn discard(&mut self, back: TakenBack, out: &mut Vec<Action>) {
        self.intake.drop_rows();
        let TakenBack { mut files, staged, kept, .. } = back;
        if !kept.is_empty() {
            out.push(Action::Keep(kept));
        }
        for file in &files {
            self.files.remove(file);
        }
        files.extend(self.lanes.drop_all());
        self.backlog.clear();
        self.cursor = 0;
        self.held.clear();
        self.held_bytes = 0;
        self.waiting = None;
        self.interval = Interval::default();
        self.closed.clear();
        if let Some(machine) = &self.machine {
            self.lanes.commit_is(machine.commit_id());
        }
        if !(files.is_empty() && staged.is_empty()) {
            out.push(Action::Discard { files, staged });
        }
    }

    fn backlog_bytes(&self) -> usize {
        self.backlog.iter().map(RecordBatch::bytes).sum()
    }
}

/// Whether the file that could not be staged is made anew: for what passes, and where somebody aborted its upload.
/// No record names it yet, and Kafka has its rows.
fn is_read_again(fault: &Fault) -> bool {
    matches!(fault.code.kind, Kind::Retry | Kind::Pause) || *fault.code == LOST
}
