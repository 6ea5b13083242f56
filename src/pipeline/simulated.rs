//! The second driver: the same tasks, one thread, and a world made from a seed.
//!
//! Owns: simulated time, the order in which answers come back, crashes, rebalances, a registry that
//! is away, offset commits that fail.
//! Does not own: what holds at the end; the caller reads the store and [`Simulation::committed`].
//! Bounded by: `steps_max` events.
//! Absent: threads, sleeping, real clocks. The same seed gives the same run, event by event.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use futures::executor::block_on;

use crate::clock::{Now, Seeded};
use crate::commit::janitor::Claimed;
use crate::commit::machine::{self, FileId, Ticket};
use crate::commit::record::{Record, STATE};
use crate::error::{Code, Fault, Kind};
use crate::pipeline::effects;
use crate::pipeline::lanes::Output;
use crate::pipeline::task::{Action, Assignment, Event, Settings, Task};
use crate::position::{Offset, TopicPartition};
use crate::record::{RecordBatch, TimestampType};
use crate::registry::{Lookup, Schema};
use crate::store::{Memory, Staged, Store, Upload};
use crate::wire::SchemaRef;

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
}

/// Everything outside the pipeline.
pub struct World {
    /// Offsets rise; gaps are allowed.
    pub log: BTreeMap<TopicPartition, Vec<SimRecord>>,
    pub schemas: HashMap<SchemaRef, Arc<Schema>>,
    /// Injects its own faults.
    pub store: Store,
    /// What the store keeps things in, for somebody downstream who moves files away.
    pub memory: Option<Memory>,
}

/// How often what goes wrong: once in so many chances, 0 for never.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trouble {
    /// The process dies, per event.
    pub crash: u64,
    /// The group takes a Kafka partition away and gives it back, per event.
    pub rebalance: u64,
    /// The registry cannot be asked, per question.
    pub registry: u64,
    /// An offset commit fails, per try.
    pub commit: u64,
    /// The group takes a Kafka partition away without asking, per event.
    pub lost: u64,
    /// The group gives a Kafka partition to another owner, and the old one does not hear of it, per event.
    pub zombie: u64,
    /// Somebody downstream moves a published file away, per event.
    pub thief: u64,
    /// Crashes, rebalances, losses and second owners end after so many events; 0: never.
    pub until: u64,
    /// Bytes that one task may hold, 0 for no bound: a small share seals early.
    pub share: usize,
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
    pub stopped: Vec<String>,
    /// Every Kafka partition reached its end before `steps_max`.
    pub finished: bool,
}

/// Owners of one Kafka partition that live at a time, with the one that the group knows.
const OWNERS_MAX: usize = 3;
/// Events that still happen after everything is committed: what old owners do then must do no harm.
const AFTERMATH: u64 = 3_000;

/// What is to happen at a time. The number is the owner's.
enum Due {
    Assign(TopicPartition),
    ToTask(u64, Event),
    /// The source hands out the next records.
    Poll(u64),
    Seek(u64, u64, Offset),
    Upload(u64, Output),
    Get(u64, Ticket, u64, String),
    Put(u64, Ticket, String, Arc<Record>),
    List(u64, Ticket, String),
    Publish(u64, Ticket, Vec<Staged>),
    Commit(u64, Ticket, Offset, String),
    Ask(u64, SchemaRef),
    Sweep(Claimed),
    Tick(u64),
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
    /// Whom the group knows.
    current: BTreeMap<TopicPartition, u64>,
    uploads: HashMap<(TopicPartition, FileId), Upload>,
    committed: BTreeMap<TopicPartition, (Offset, String)>,
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
            current: BTreeMap::new(),
            uploads: HashMap::new(),
            committed: BTreeMap::new(),
            stolen: BTreeMap::new(),
            generation: 0,
            report: Report::default(),
        }
    }

    /// Offsets that Kafka has for the group, with their texts.
    pub fn committed(&self) -> &BTreeMap<TopicPartition, (Offset, String)> {
        &self.committed
    }

    /// What somebody downstream moved away.
    pub fn stolen(&self) -> &BTreeMap<String, bytes::Bytes> {
        &self.stolen
    }

    pub fn store(&self) -> &Store {
        &self.world.store
    }

    /// Runs until every Kafka partition is drained and committed, or `steps_max` events happened.
    pub fn run(&mut self, steps_max: u64) -> Report {
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
            if last == steps_max {
                self.make_trouble();
            }
        }
        self.report.finished = self.is_over();
        self.report.clone()
    }

    fn is_over(&self) -> bool {
        self.world.log.iter().all(|(tp, log)| {
            let end = log.last().map_or(0, |r| r.offset + 1);
            self.committed.get(tp).is_some_and(|c| c.0 >= end)
        })
    }

    fn make_trouble(&mut self) {
        let trouble = self.trouble;
        if trouble.until > 0 && self.report.events > trouble.until {
            return;
        }
        if self.chance(trouble.crash) {
            self.report.crashes += 1;
            // What is under way dies with the process; what the store took, it has.
            self.queue.clear();
            self.due.clear();
            self.uploads.clear();
            self.owners.clear();
            self.settings = (self.settings_of)(self.report.crashes);
            let all: Vec<TopicPartition> = self.world.log.keys().cloned().collect();
            all.iter().for_each(|tp| self.assign(tp));
        }
        if self.chance(trouble.lost)
            && let Some(tp) = self.any_partition()
        {
            self.report.losses += 1;
            if let Some(owner) = self.current.get(&tp).copied() {
                self.step(owner, Event::Drop);
                self.owners.remove(&owner);
            }
            self.assign(&tp);
        }
        if self.chance(trouble.zombie)
            && let Some(tp) = self.any_partition()
        {
            self.report.zombies += 1;
            self.assign(&tp);
            let owners = self.owners.iter().filter(|(_, o)| o.partition == tp);
            let owners: Vec<u64> = owners.map(|(number, _)| *number).collect();
            if owners.len() > OWNERS_MAX {
                self.owners.remove(&owners[0]);
            }
        }
        if self.chance(trouble.rebalance)
            && let Some(tp) = self.any_partition()
            && let Some(number) = self.current.get(&tp).copied()
            && let Some(owner) = self.owners.get_mut(&number)
        {
            self.report.rebalances += 1;
            owner.leaving = true;
            self.step(number, Event::Finish);
        }
        if self.chance(trouble.thief) {
            self.steal();
        }
    }

    fn any_partition(&mut self) -> Option<TopicPartition> {
        let pick = self.random.below(self.world.log.len().max(1) as u64) as usize;
        self.world.log.keys().nth(pick).cloned()
    }

    fn steal(&mut self) {
        let Some(memory) = &self.world.memory else { return };
        let files = memory.objects();
        let mut files: Vec<_> = files.into_iter().filter(|(k, _)| !k.starts_with(STATE)).collect();
        if files.is_empty() {
            return;
        }
        let pick = self.random.below(files.len() as u64) as usize;
        let (key, bytes) = files.swap_remove(pick);
        memory.remove_foreign(&key);
        self.report.thefts += 1;
        self.stolen.insert(key, bytes);
    }

    fn chance(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.random.one_in(one_in)
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
        let committed = self.committed.get(tp).cloned();
        let assignment = Assignment {
            owner: format!("owner{number}"),
            topic_id: Some("id".to_owned()),
            kafka: machine::Assigned { start: 0, committed, low: 0, high: end },
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
            Due::Put(number, ticket, key, record) => {
                let bytes = record.to_bytes().into();
                let result = block_on(self.world.store.put_create(&key, bytes));
                let event = Event::Wrote(ticket, effects::wrote(result));
                self.later(0, 30, Due::ToTask(number, event));
            }
            Due::List(number, ticket, prefix) => {
                match block_on(effects::folders(&self.world.store, &prefix)) {
                    Err(fault) if fault.code.kind == Kind::Retry => {
                        self.later(100, 400, Due::List(number, ticket, prefix));
                    }
                    found => self.later(0, 30, Due::ToTask(number, Event::Chains(ticket, found))),
                }
            }
            Due::Publish(number, ticket, files) => self.publish(number, ticket, files),
            Due::Commit(number, ticket, offset, text) => self.commit(number, ticket, offset, text),
            Due::Ask(number, schema) => self.answer(number, schema),
            Due::Sweep(claimed) => block_on(effects::sweep(&self.world.store, &[claimed])),
            Due::Tick(number) => {
                if self.owners.contains_key(&number) {
                    self.step(number, Event::Tick);
                    self.later(100, 1, Due::Tick(number));
                }
            }
        }
    }

    fn get(&mut self, number: u64, ticket: Ticket, seq: u64, key: String) {
        let found = match block_on(self.world.store.get(&key)) {
            Err(fault) if fault.code.kind == Kind::Retry => {
                self.later(100, 400, Due::Get(number, ticket, seq, key));
                return;
            }
            Err(fault) => Err(fault),
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => Record::parse(&bytes).map(|r| Some(Arc::new(r))),
        };
        self.later(0, 30, Due::ToTask(number, Event::Record { ticket, seq, found }));
    }

    fn poll(&mut self, number: u64) {
        let Some(owner) = self.owners.get_mut(&number) else { return };
        let count = 1 + self.random.below(40) as usize;
        if let Some(from) = owner.next
            && owner.task.wants_input()
        {
            let mut batch = RecordBatch::new(owner.partition.clone(), from);
            let log = &self.world.log[&owner.partition];
            for r in log.iter().filter(|r| r.offset >= from).take(count) {
                let (key, value) = (r.key.as_deref(), r.value.as_deref());
                let headers = r.headers.iter().map(|(name, v)| (name.as_str(), v.as_deref()));
                batch.push(
                    r.offset,
                    Some(r.timestamp_ms),
                    TimestampType::CreateTime,
                    key,
                    value,
                    headers,
                );
            }
            owner.next = Some(batch.next);
            if !batch.is_empty() {
                self.step(number, Event::Records(batch));
            }
        }
        self.later(1, 20, Due::Poll(number));
    }

    fn upload(&mut self, number: u64, output: Output) {
        let Some(tp) = self.owners.get(&number).map(|o| o.partition.clone()) else { return };
        let store = self.world.store.clone();
        let (file, key) = match &output {
            Output::Part { file, key, .. } | Output::End { file, key, .. } => (*file, key.clone()),
        };
        let id = (tp.clone(), file);
        let result = block_on(async {
            let mut upload = match self.uploads.remove(&id) {
                Some(upload) => upload,
                None => store.begin(&key).await?,
            };
            match output {
                Output::Part { bytes, .. } => {
                    store.part(&mut upload, bytes).await?;
                    Ok((Some(upload), None))
                }
                Output::End { tail, .. } => {
                    store.finish(upload, tail).await.map(|staged| (None, Some(staged)))
                }
            }
        });
        match result {
            Ok((Some(upload), _)) => {
                self.uploads.insert(id, upload);
            }
            Ok((None, Some(staged))) => {
                self.later(0, 50, Due::ToTask(number, Event::Staged(file, Ok(staged))));
            }
            Ok((None, None)) => {}
            Err(fault) => {
                self.later(0, 50, Due::ToTask(number, Event::Staged(file, Err(fault))));
            }
        }
    }

    fn publish(&mut self, number: u64, ticket: Ticket, files: Vec<Staged>) {
        let store = self.world.store.clone();
        let result: Result<(), Fault> = block_on(async {
            for staged in &files {
                store.publish(staged).await?;
            }
            Ok(())
        });
        match result {
            Ok(()) => self.later(0, 20, Due::ToTask(number, Event::Published(ticket))),
            Err(fault) if fault.code.kind == Kind::Retry => {
                self.later(100, 400, Due::Publish(number, ticket, files));
            }
            Err(fault) => {
                self.later(0, 20, Due::ToTask(number, Event::NotPublished(ticket, fault)));
            }
        }
    }

    fn commit(&mut self, number: u64, ticket: Ticket, offset: Offset, text: String) {
        // Kafka fences commits of members that are gone; a new owner is a new member here.
        if !self.is_current(number) {
            return;
        }
        if self.chance(self.trouble.commit) {
            self.later(500, 500, Due::Commit(number, ticket, offset, text));
            return;
        }
        if let Some(owner) = self.owners.get(&number) {
            self.committed.insert(owner.partition.clone(), (offset, text));
        }
        self.later(0, 10, Due::ToTask(number, Event::OffsetCommitted(ticket)));
    }

    fn answer(&mut self, number: u64, schema: SchemaRef) {
        let found = if self.chance(self.trouble.registry) {
            Err(Lookup::Unavailable(Fault::new(&AWAY, "registry: away")))
        } else {
            self.world.schemas.get(&schema).cloned().ok_or_else(|| {
                Lookup::Unknown(Fault::new(
                    &AWAY,
                    format!("schema `{schema}`: not in the registry"),
                ))
            })
        };
        self.later(0, 100, Due::ToTask(number, Event::Schema(schema, found)));
    }

    fn step(&mut self, number: u64, event: Event) {
        let now = Now { wall_ms: 1_767_225_600_000 + self.now_ms as i64, mono_ms: self.now_ms };
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
            Action::Ask { schema, after_ms } => self.later(after_ms, 50, Due::Ask(number, schema)),
            // Steps of one file keep their order: they are due at rising sequence numbers.
            Action::Store(output) => self.later(5, 1, Due::Upload(number, output)),
            Action::Discard { files, staged } => {
                for file in files {
                    if let Some(upload) = self.uploads.remove(&(tp.clone(), file)) {
                        let _ = block_on(self.world.store.discard(upload));
                    }
                }
                for staged in staged {
                    let _ = block_on(self.world.store.discard_staged(&staged));
                }
            }
            Action::GetRecord { ticket, seq, key } => {
                self.later(0, 50, Due::Get(number, ticket, seq, key));
            }
            Action::PutRecord { ticket, key, record, after_ms } => {
                self.later(after_ms, 50, Due::Put(number, ticket, key, record));
            }
            Action::ListChains { ticket, prefix } => {
                self.later(0, 50, Due::List(number, ticket, prefix));
            }
            Action::Claimed { epoch, hash, .. } => {
                let claimed = Claimed { partition: tp.clone(), epoch, hash };
                self.later(200, 2_000, Due::Sweep(claimed));
            }
            Action::Publish { ticket, files } => {
                self.later(0, 100, Due::Publish(number, ticket, files));
            }
            Action::CommitOffset { ticket, offset, text } => {
                self.later(0, 50, Due::Commit(number, ticket, offset, text));
            }
            Action::Committed { .. } => {}
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
            Action::Stopped(fault) if fault.code.kind == Kind::Fenced => {
                self.report.fenced += 1;
                let current = self.is_current(number);
                self.owners.remove(&number);
                if current {
                    self.later(1_000, 2_000, Due::Assign(tp.clone()));
                }
            }
            Action::Stopped(fault) => self.report.stopped.push(format!("{tp}: {fault}")),
        }
    }
}
