//! The second driver: the same tasks, one thread, and a world made from a seed.
//!
//! Owns: simulated time, the order in which answers come back, and what goes wrong outside of the store:
//! see [`Trouble`].
//! Does not own: what holds at the end; the caller reads the store and [`Simulation::committed`].
//! Bounded by: `steps_max` events.
//! Absent: threads, sleeping, real clocks. The same seed gives the same run, event by event.

use std::cmp::Reverse;
mod answers;
mod trouble;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

use futures::executor::block_on;

use crate::clock::{Now, Seeded};
use crate::commit::AUTHORITY_LOST;
use crate::commit::janitor::Claimed;
use crate::commit::machine::{self, FileId, Ticket};
use crate::commit::record::{Point, Record, chain_folder};
use crate::config::Authority;
use crate::error::{Code, Fault, Kind};
use crate::file::name;
use crate::flaw::{Flaw, planted};
use crate::pipeline::effects;
use crate::pipeline::lanes::Output;
use crate::pipeline::task::{Action, Assignment, Event, Look, Settings, Task};
use crate::position::{Offset, TopicPartition};
use crate::record::{RecordBatch, TimestampType};
use crate::registry::{History, Lookup, Numbered, Schema, Want};
use crate::store::{Chance, Memory, Staged, Store, Upload};
use crate::wire::SchemaRef;

pub use self::trouble::Trouble;

pub static AWAY: Code = Code {
    id: "FB0990",
    kind: Kind::Retry,
    title: "simulated fault",
    help: "Only the simulator makes this fault.",
};

/// One record of a simulated log.
#[derive(Debug, Clone, Default)]
pub struct SimRecord {
    pub offset: Offset,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// A control record, or one of an aborted transaction: the consumer only sees that its position moves.
    pub hidden: bool,
}

/// Everything outside the pipeline.
pub struct World {
    /// Offsets rise; gaps are allowed.
    pub log: BTreeMap<TopicPartition, Vec<SimRecord>>,
    pub schemas: HashMap<SchemaRef, Arc<Schema>>,
    /// Versions of each subject, with the time in ms at which each is registered.
    pub subjects: BTreeMap<String, Vec<(u64, Numbered)>>,
    /// Injects its own faults.
    pub store: Store,
    /// What the store keeps things in, for somebody downstream who moves files away.
    pub memory: Option<Memory>,
}

/// How a simulated run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub events: u64,
    pub crashes: u64,
    pub rebalances: u64,
    pub losses: u64,
    pub zombies: u64,
    pub fenced: u64,
    pub thefts: u64,
    pub rewinds: u64,
    pub pauses: u64,
    pub storms: u64,
    pub outages: u64,
    pub expiries: u64,
    pub retentions: u64,
    /// Owners whose position Kafka had deleted.
    pub out_of_range: u64,
    pub stopped: Vec<String>,
    /// Every Kafka partition reached its end before `steps_max`.
    pub finished: bool,
}

/// The wall clock at the start of every simulation: 1 January 2026, 00:00 UTC.
pub const WALL_MS: i64 = 1_767_225_600_000;
/// Owners of one Kafka partition that live at a time, with the one that the group knows.
const OWNERS_MAX: usize = 3;
/// Events that still happen after everything is committed: what old owners do then must do no harm.
const AFTERMATH: u64 = 500;

/// What is to happen at a time. The number is the owner's.
enum Due {
    Assign(TopicPartition),
    ToTask(u64, Event),
    /// The source hands out the next records.
    Poll(u64),
    Seek(u64, u64, Offset),
    Upload(u64, Output),
    Get(u64, Ticket, u64, String),
    Put(u64, Ticket, String, Arc<Record>, Authority),
    List(u64, Ticket, Box<Look>),
    Publish(u64, Ticket, Vec<Staged>, bool),
    Commit(u64, Ticket, Offset, String),
    Ask(u64, SchemaRef),
    AskSubject(u64, Arc<str>, Want),
    Sweep(Claimed),
    Tick(u64),
}

impl Due {
    /// Whose it is.
    fn owner(&self) -> Option<u64> {
        match self {
            Due::Assign(_) | Due::Sweep(_) => None,
            Due::ToTask(number, _)
            | Due::Poll(number)
            | Due::Seek(number, ..)
            | Due::Upload(number, _)
            | Due::Get(number, ..)
            | Due::Put(number, ..)
            | Due::List(number, ..)
            | Due::Publish(number, ..)
            | Due::Commit(number, ..)
            | Due::Ask(number, _)
            | Due::AskSubject(number, ..)
            | Due::Tick(number) => Some(*number),
        }
    }

    /// Whether it is a request to the store that changes something: it may land after its sender died.
    fn is_request(&self) -> bool {
        matches!(self, Due::Put(..) | Due::Publish(..) | Due::Upload(..))
    }
}

struct Owner {
    partition: TopicPartition,
    task: Task,
    /// Next offset that the source hands out, if records flow.
    next: Option<Offset>,
    /// Seeks asked for: a later one, further back, replaces those before it, as in `threads`.
    seeks: u64,
    leaving: bool,
}

pub struct Simulation {
    /// Settings of one life of the process, by its number.
    settings_of: Box<dyn Fn(u64) -> Arc<Settings>>,
    settings: Arc<Settings>,
    world: World,
    trouble: Trouble,
    random: Seeded,
    now_ms: u64,
    seq: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    due: HashMap<u64, Due>,
    owners: BTreeMap<u64, Owner>,
    /// Staged for commits in doubt, in this life of the process.
    kept: HashMap<TopicPartition, Vec<Staged>>,
    /// Whom the group knows.
    current: BTreeMap<TopicPartition, u64>,
    uploads: HashMap<(TopicPartition, FileId), Upload>,
    committed: BTreeMap<TopicPartition, (Offset, String)>,
    /// Highest offset ever committed: old owners without a group may set it back.
    reached: BTreeMap<TopicPartition, Offset>,
    /// First offset that Kafka still has.
    low: BTreeMap<TopicPartition, Offset>,
    /// Owners that do nothing until then.
    paused: BTreeMap<u64, u64>,
    /// Kafka partitions that wait for an operator.
    stopped: BTreeSet<TopicPartition>,
    store_ill_until_ms: u64,
    /// How often the store fails when it is not ill.
    usual: Option<Chance>,
    registry_away_until_ms: u64,
    wall_shift_ms: i64,
    expired: BTreeSet<String>,
    stolen: BTreeMap<String, bytes::Bytes>,
    generation: u64,
    report: Report,
}

impl Simulation {
    /// `settings_of` gives the settings of the process's first, second, … life: their epochs differ.
    pub fn new(
        settings_of: impl Fn(u64) -> Arc<Settings> + 'static,
        world: World,
        trouble: Trouble,
        seed: u64,
    ) -> Self {
        Self {
            settings: settings_of(0),
            settings_of: Box::new(settings_of),
            world,
            trouble,
            random: Seeded::new(seed),
            now_ms: 0,
            seq: 0,
            queue: BinaryHeap::new(),
            due: HashMap::new(),
            owners: BTreeMap::new(),
            kept: HashMap::new(),
            current: BTreeMap::new(),
            uploads: HashMap::new(),
            committed: BTreeMap::new(),
            reached: BTreeMap::new(),
            low: BTreeMap::new(),
            paused: BTreeMap::new(),
            stopped: BTreeSet::new(),
            store_ill_until_ms: 0,
            usual: None,
            registry_away_until_ms: 0,
            wall_shift_ms: 0,
            expired: BTreeSet::new(),
            stolen: BTreeMap::new(),
            generation: 0,
            report: Report::default(),
        }
    }

    /// Offsets that Kafka has for the group, with their texts.
    pub fn committed(&self) -> &BTreeMap<TopicPartition, (Offset, String)> {
        &self.committed
    }

    /// First offset that Kafka still has, where it deleted some.
    pub fn low(&self, tp: &TopicPartition) -> Offset {
        self.low.get(tp).copied().unwrap_or(0)
    }

    /// Kafka partitions that wait for an operator.
    pub fn stopped(&self) -> &BTreeSet<TopicPartition> {
        &self.stopped
    }

    /// Ids of uploads that a lifecycle rule aborted.
    pub fn expired(&self) -> &BTreeSet<String> {
        &self.expired
    }

    /// What somebody downstream moved away.
    pub fn stolen(&self) -> &BTreeMap<String, bytes::Bytes> {
        &self.stolen
    }

    pub fn store(&self) -> &Store {
        &self.world.store
    }

    /// Most bytes of rows and open files that one owner holds now.
    pub fn memory(&self) -> usize {
        self.owners.values().map(|owner| owner.task.memory()).max().unwrap_or(0)
    }

    /// Runs until every Kafka partition is drained and committed, or `steps_max` events happened.
    pub fn run(&mut self, steps_max: u64) -> Report {
        self.run_watched(steps_max, |_| {})
    }

    /// As [`Simulation::run`]; `watch` looks at everything after every event.
    pub fn run_watched(&mut self, steps_max: u64, mut watch: impl FnMut(&Self)) -> Report {
        let all: Vec<TopicPartition> = self.world.log.keys().cloned().collect();
        all.iter().for_each(|tp| self.assign(tp));
        let mut last = steps_max;
        while self.report.events < last {
            let Some(Reverse((at, seq))) = self.queue.pop() else { break };
            self.now_ms = self.now_ms.max(at);
            self.report.events += 1;
            if let Some(due) = self.due.remove(&seq) {
                self.happen(due);
            }
            if last == steps_max && self.is_over() {
                last = steps_max.min(self.report.events + AFTERMATH);
            }
            watch(self);
            if last == steps_max {
                self.make_trouble();
                watch(self);
            }
        }
        self.report.finished = self.is_over();
        self.report.clone()
    }

    fn is_over(&self) -> bool {
        self.world.log.iter().all(|(tp, log)| {
            let end = log.last().map_or(0, |r| r.offset + 1);
            self.stopped.contains(tp) || self.reached.get(tp).is_some_and(|reached| *reached >= end)
        })
    }

    fn assign(&mut self, tp: &TopicPartition) {
        self.generation += 1;
        let number = self.generation;
        let mut task = Task::new(self.settings.clone(), tp.clone(), number);
        if self.trouble.share > 0 {
            task.set_share(self.trouble.share);
        }
        let owner = Owner { partition: tp.clone(), task, next: None, seeks: 0, leaving: false };
        self.owners.insert(number, owner);
        self.current.insert(tp.clone(), number);
        let end = self.world.log[tp].last().map_or(0, |r| r.offset + 1);
        let (committed, low) = (self.committed.get(tp).cloned(), self.low(tp));
        let assignment = Assignment {
            owner: format!("owner{number}"),
            topic_id: Some("id".to_owned()),
            partitions: Some(self.world.log.len() as u32),
            kafka: machine::Assigned { start: low, committed, low, high: end },
            end_is_sure: true,
            stop_at: Some(end),
        };
        self.later(0, 30, Due::ToTask(number, Event::Assigned(Box::new(assignment))));
        self.later(0, 20, Due::Poll(number));
        self.later(100, 1, Due::Tick(number));
    }

    /// Schedules at a random time from `after_ms` on.
    fn later(&mut self, after_ms: u64, spread_ms: u64, due: Due) {
        let at = self.now_ms + after_ms + self.random.below(spread_ms.max(1));
        self.seq += 1;
        self.due.insert(self.seq, due);
        self.queue.push(Reverse((at, self.seq)));
    }

    fn is_current(&self, number: u64) -> bool {
        self.owners.get(&number).is_some_and(|o| self.current.get(&o.partition) == Some(&number))
    }

    fn happen(&mut self, due: Due) {
        let until = due.owner().and_then(|number| self.paused.get(&number).copied());
        if let Some(until) = until.filter(|until| *until > self.now_ms) {
            return self.later(until - self.now_ms, 1, due);
        }
        match due {
            Due::Assign(tp) => {
                let gone = |number: &u64| !self.owners.contains_key(number);
                if self.current.get(&tp).is_none_or(gone) {
                    self.assign(&tp);
                }
            }
            Due::ToTask(number, event) => self.step(number, event),
            Due::Poll(number) => self.poll(number),
            Due::Seek(number, seek, offset) => {
                if let Some(owner) = self.owners.get_mut(&number)
                    && owner.seeks == seek
                {
                    owner.next = Some(offset);
                    self.step(number, Event::Started { offset });
                }
            }
            Due::Upload(number, output) => self.upload(number, output),
            Due::Get(number, ticket, seq, key) => self.get(number, ticket, seq, key),
            Due::Put(number, ticket, key, record, authority) => {
                let store = &self.world.store;
                let result = block_on(effects::put_record(store, &key, &record, authority));
                let event = Event::Wrote(ticket, effects::wrote(result));
                self.later(0, 30, Due::ToTask(number, event));
            }
            Due::List(number, ticket, look) => {
                match block_on(effects::chains(&self.world.store, &look)) {
                    Err(fault) if fault.code.kind == Kind::Retry => {
                        self.later(100, 400, Due::List(number, ticket, look));
                    }
                    found => self.later(0, 30, Due::ToTask(number, Event::Chains(ticket, found))),
                }
            }
            Due::Publish(number, ticket, files, recovery) => {
                self.publish(number, ticket, files, recovery);
            }
            Due::Commit(number, ticket, offset, text) => self.commit(number, ticket, offset, text),
            Due::Ask(number, schema) => self.answer(number, schema),
            Due::AskSubject(number, subject, want) => self.answer_subject(number, subject, want),
            Due::Sweep(claimed) => block_on(effects::sweep(&self.world.store, &[claimed])),
            Due::Tick(number) => {
                if self.owners.contains_key(&number) {
                    self.step(number, Event::Tick);
                    self.later(100, 1, Due::Tick(number));
                }
            }
        }
    }

    fn step(&mut self, number: u64, event: Event) {
        let wall_ms = WALL_MS + self.now_ms as i64 + self.wall_shift_ms;
        let now = Now { wall_ms, mono_ms: self.now_ms };
        let mut actions = Vec::new();
        let Some(owner) = self.owners.get_mut(&number) else {
            if let Event::Staged(_, Ok(staged)) = event {
                let _ = block_on(self.world.store.discard_staged(&staged));
            }
            return;
        };
        let tp = owner.partition.clone();
        owner.task.step(event, now, &mut actions);
        for action in actions {
            self.act(&tp, number, action);
        }
    }

    fn act(&mut self, tp: &TopicPartition, number: u64, action: Action) {
        match action {
            Action::Ask { schema, after_ms, .. } => {
                self.later(after_ms, 50, Due::Ask(number, schema))
            }
            Action::AskSubject { subject, want, after_ms } => {
                self.later(after_ms, 50, Due::AskSubject(number, subject, want));
            }
            // Steps of one file keep their order: they are due at rising sequence numbers.
            Action::Store(output) => self.later(5, 1, Due::Upload(number, output)),
            Action::Discard { files, staged } => {
                for file in files {
                    if let Some(upload) = self.uploads.remove(&(tp.clone(), file)) {
                        let _ = block_on(self.world.store.discard(upload));
                    }
                }
                self.discard(&staged);
            }
            Action::Keep(staged) => self.kept.entry(tp.clone()).or_default().extend(staged),
            Action::GetRecord { ticket, seq, key } => {
                self.later(0, 50, Due::Get(number, ticket, seq, key));
            }
            Action::PutRecord { ticket, key, record, after_ms, authority } => {
                self.later(after_ms, 50, Due::Put(number, ticket, key, record, authority));
            }
            Action::ListChains { ticket, look } => {
                self.later(0, 50, Due::List(number, ticket, look));
            }
            Action::Claimed { epoch, hash, .. } => {
                let kept = self.kept.remove(tp).unwrap_or_default();
                let (own, others): (Vec<_>, Vec<_>) =
                    kept.into_iter().partition(|s| name::is_of(&s.key, &hash));
                self.kept.insert(tp.clone(), others);
                self.discard(&own);
                let claimed = Claimed { partition: tp.clone(), epoch, hash };
                self.later(200, 2_000, Due::Sweep(claimed));
            }
            Action::Publish { ticket, files, recovery } => {
                self.later(0, 100, Due::Publish(number, ticket, files, recovery));
            }
            Action::CommitOffset { ticket, offset, text } => {
                self.later(0, 50, Due::Commit(number, ticket, offset, text));
            }
            Action::Committed { .. } => self.committed_one(number),
            Action::Seek { offset, after_ms, why } => {
                self.report.rewinds += u64::from(why.is_some());
                let Some(owner) = self.owners.get_mut(&number) else { return };
                owner.seeks += 1;
                let seek = owner.seeks;
                self.later(after_ms, 50, Due::Seek(number, seek, offset));
            }
            Action::Finished => {
                if self.is_current(number) && self.owners.get(&number).is_some_and(|o| o.leaving) {
                    self.owners.remove(&number);
                    self.assign(tp);
                }
            }
            // Who asked Kafka before another one was preferred asks again.
            Action::Stopped(fault)
                if fault.code.kind == Kind::Fenced
                    || (*fault.code == AUTHORITY_LOST && !self.is_current(number)) =>
            {
                self.report.fenced += 1;
                let current = self.is_current(number);
                self.owners.remove(&number);
                if current {
                    self.later(1_000, 2_000, Due::Assign(tp.clone()));
                }
            }
            Action::Stopped(fault) => {
                self.report.stopped.push(format!("{tp}: {fault}"));
                if self.is_current(number) {
                    self.stopped.insert(tp.clone());
                }
            }
        }
    }

    /// Nothing trims a chain. Here somebody does it, if a test wants to see what becomes of it.
    fn committed_one(&self, number: u64) {
        let Some(owner) = self.owners.get(&number).filter(|_| planted(Flaw::ChainTrimmed)) else {
            return;
        };
        if let (Some(chain), Some(memory)) = (owner.task.chain(), &self.world.memory) {
            let folder = chain_folder(&chain);
            let first = memory.objects().into_keys().find(|key| key.starts_with(&folder));
            first.map(|key| memory.remove_foreign(&key));
        }
    }
}
