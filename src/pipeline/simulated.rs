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
use crate::commit::at_least_once::FileId;
use crate::error::{Code, Fault, Kind};
use crate::pipeline::lanes::Output;
use crate::pipeline::task::{Action, Event, Settings, Task};
use crate::position::{Offset, TopicPartition};
use crate::record::{RecordBatch, TimestampType};
use crate::registry::{Lookup, Schema};
use crate::store::{Store, Upload};
use crate::wire::SchemaRef;

pub static AWAY: Code = Code {
    id: "FB0990",
    kind: Kind::Retry,
    title: "simulated fault",
    help: "Only the simulator makes this fault.",
};

/// One record of a simulated log.
#[derive(Debug, Clone)]
pub struct SimRecord {
    pub offset: Offset,
    pub timestamp_ms: i64,
    pub value: Option<Vec<u8>>,
}

/// Everything outside the pipeline.
pub struct World {
    /// Offsets rise; gaps are allowed.
    pub log: BTreeMap<TopicPartition, Vec<SimRecord>>,
    pub schemas: HashMap<SchemaRef, Arc<Schema>>,
    /// Injects its own faults.
    pub store: Store,
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
    pub rewinds: u64,
    pub stopped: Vec<String>,
    /// Every Kafka partition reached its end before `steps_max`.
    pub finished: bool,
}

/// What is to happen at a time.
enum Due {
    ToTask(TopicPartition, u64, Event),
    /// The source hands out the next records.
    Poll(TopicPartition, u64),
    Seek(TopicPartition, u64, Offset),
    Upload(TopicPartition, u64, Output),
    Publish(TopicPartition, u64, u64, Vec<crate::store::Staged>),
    Commit(TopicPartition, u64, u64, Offset),
    Ask(TopicPartition, u64, SchemaRef),
    Tick(TopicPartition, u64),
}

struct Owner {
    task: Task,
    /// Next offset that the source hands out.
    next: Offset,
    generation: u64,
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
    owners: BTreeMap<TopicPartition, Owner>,
    uploads: HashMap<(TopicPartition, FileId), Upload>,
    committed: BTreeMap<TopicPartition, Offset>,
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
        let committed = world.log.keys().map(|tp| (tp.clone(), 0)).collect();
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
            uploads: HashMap::new(),
            committed,
            generation: 0,
            report: Report::default(),
        }
    }

    /// Offsets that Kafka has for the group.
    pub fn committed(&self) -> &BTreeMap<TopicPartition, Offset> {
        &self.committed
    }

    pub fn store(&self) -> &Store {
        &self.world.store
    }

    /// Runs until every Kafka partition is drained and committed, or `steps_max` events happened.
    pub fn run(&mut self, steps_max: u64) -> Report {
        let all: Vec<TopicPartition> = self.world.log.keys().cloned().collect();
        all.iter().for_each(|tp| self.assign(tp));
        while self.report.events < steps_max && !self.is_over() {
            let Some(Reverse((at, seq))) = self.queue.pop() else { break };
            self.now_ms = self.now_ms.max(at);
            self.report.events += 1;
            if let Some(due) = self.due.remove(&seq) {
                self.happen(due);
            }
            self.make_trouble();
        }
        self.report.finished = self.is_over();
        self.report.clone()
    }

    fn is_over(&self) -> bool {
        self.world.log.iter().all(|(tp, log)| {
            let end = log.last().map_or(0, |r| r.offset + 1);
            self.committed.get(tp).is_some_and(|c| *c >= end)
        })
    }

    fn make_trouble(&mut self) {
        let trouble = self.trouble;
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
        if self.chance(trouble.lost) {
            let pick = self.random.below(self.owners.len().max(1) as u64) as usize;
            if let Some(tp) = self.owners.keys().nth(pick).cloned() {
                self.report.losses += 1;
                self.step(&tp, Event::Drop);
                self.assign(&tp);
            }
        }
        if self.chance(trouble.rebalance) {
            let pick = self.random.below(self.owners.len().max(1) as u64) as usize;
            if let Some(tp) = self.owners.keys().nth(pick).cloned() {
                self.report.rebalances += 1;
                if let Some(owner) = self.owners.get_mut(&tp) {
                    owner.leaving = true;
                }
                self.step(&tp, Event::Finish);
            }
        }
    }

    fn chance(&mut self, one_in: u64) -> bool {
        one_in > 0 && self.random.one_in(one_in)
    }

    fn assign(&mut self, tp: &TopicPartition) {
        self.generation += 1;
        let offset = self.committed.get(tp).copied().unwrap_or(0);
        let mut task = Task::new(self.settings.clone(), tp.clone(), self.generation);
        if self.trouble.share > 0 {
            task.set_share(self.trouble.share);
        }
        let owner = Owner { task, next: offset, generation: self.generation, leaving: false };
        self.owners.insert(tp.clone(), owner);
        let stop_at = self.world.log[tp].last().map(|r| r.offset + 1);
        let generation = self.generation;
        self.later(0, 5, Due::ToTask(tp.clone(), generation, Event::Started { offset, stop_at }));
        self.later(0, 20, Due::Poll(tp.clone(), generation));
        self.later(100, 1, Due::Tick(tp.clone(), generation));
    }

    /// Schedules at a random time from `after_ms` on.
    fn later(&mut self, after_ms: u64, spread_ms: u64, due: Due) {
        let at = self.now_ms + after_ms + self.random.below(spread_ms.max(1));
        self.seq += 1;
        self.due.insert(self.seq, due);
        self.queue.push(Reverse((at, self.seq)));
    }

    fn is_current(&self, tp: &TopicPartition, generation: u64) -> bool {
        self.owners.get(tp).is_some_and(|o| o.generation == generation)
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::ToTask(tp, generation, event) => {
                if self.is_current(&tp, generation) {
                    self.step(&tp, event);
                }
            }
            Due::Poll(tp, generation) => self.poll(tp, generation),
            Due::Seek(tp, generation, offset) => {
                if let Some(owner) = self.owners.get_mut(&tp)
                    && owner.generation == generation
                {
                    owner.next = offset;
                    self.step(&tp, Event::Started { offset, stop_at: None });
                }
            }
            Due::Upload(tp, generation, output) => self.upload(tp, generation, output),
            Due::Publish(tp, generation, commit, files) => {
                self.publish(tp, generation, commit, files);
            }
            Due::Commit(tp, generation, commit, offset) => {
                self.commit(tp, generation, commit, offset);
            }
            Due::Ask(tp, generation, schema) => self.answer(tp, generation, schema),
            Due::Tick(tp, generation) => {
                if self.is_current(&tp, generation) {
                    self.step(&tp, Event::Tick);
                    self.later(100, 1, Due::Tick(tp, generation));
                }
            }
        }
    }

    fn poll(&mut self, tp: TopicPartition, generation: u64) {
        if !self.is_current(&tp, generation) {
            return;
        }
        let count = 1 + self.random.below(40) as usize;
        if let Some(owner) = self.owners.get_mut(&tp)
            && owner.task.wants_input()
        {
            let mut batch = RecordBatch::new(tp.clone(), owner.next);
            let from = owner.next;
            for r in self.world.log[&tp].iter().filter(|r| r.offset >= from).take(count) {
                let value = r.value.as_deref();
                let no_headers = std::iter::empty();
                batch.push(
                    r.offset,
                    Some(r.timestamp_ms),
                    TimestampType::CreateTime,
                    None,
                    value,
                    no_headers,
                );
            }
            owner.next = batch.next;
            if !batch.is_empty() {
                self.step(&tp, Event::Records(batch));
            }
        }
        self.later(1, 20, Due::Poll(tp, generation));
    }

    fn upload(&mut self, tp: TopicPartition, generation: u64, output: Output) {
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
                self.later(0, 50, Due::ToTask(tp, generation, Event::Staged(file, Ok(staged))));
            }
            Ok((None, None)) => {}
            Err(fault) => {
                self.later(0, 50, Due::ToTask(tp, generation, Event::Staged(file, Err(fault))));
            }
        }
    }

    fn publish(
        &mut self,
        tp: TopicPartition,
        generation: u64,
        commit: u64,
        files: Vec<crate::store::Staged>,
    ) {
        let store = self.world.store.clone();
        let result: Result<(), Fault> = block_on(async {
            for staged in &files {
                store.publish(staged).await?;
            }
            Ok(())
        });
        match result {
            Ok(()) => self.later(0, 20, Due::ToTask(tp, generation, Event::Published(commit))),
            Err(fault) if fault.code.kind == Kind::Retry => {
                self.later(100, 400, Due::Publish(tp, generation, commit, files));
            }
            Err(fault) => {
                self.later(0, 20, Due::ToTask(tp, generation, Event::NotPublished(commit, fault)));
            }
        }
    }

    fn commit(&mut self, tp: TopicPartition, generation: u64, commit: u64, offset: Offset) {
        // Kafka fences commits of members that are gone; a new owner is a new member here.
        if !self.is_current(&tp, generation) {
            return;
        }
        if self.chance(self.trouble.commit) {
            self.later(500, 500, Due::Commit(tp, generation, commit, offset));
            return;
        }
        self.committed.insert(tp.clone(), offset);
        self.later(0, 10, Due::ToTask(tp, generation, Event::OffsetCommitted(commit)));
    }

    fn answer(&mut self, tp: TopicPartition, generation: u64, schema: SchemaRef) {
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
        self.later(0, 100, Due::ToTask(tp, generation, Event::Schema(schema, found)));
    }

    fn step(&mut self, tp: &TopicPartition, event: Event) {
        let now = Now { wall_ms: 1_767_225_600_000 + self.now_ms as i64, mono_ms: self.now_ms };
        let mut actions = Vec::new();
        let Some(owner) = self.owners.get_mut(tp) else { return };
        let generation = owner.generation;
        owner.task.step(event, now, &mut actions);
        for action in actions {
            self.act(tp.clone(), generation, action);
        }
    }

    fn act(&mut self, tp: TopicPartition, generation: u64, action: Action) {
        match action {
            Action::Ask { schema, after_ms } => {
                self.later(after_ms, 50, Due::Ask(tp, generation, schema))
            }
            // Steps of one file keep their order: they are due at rising sequence numbers.
            Action::Store(output) => self.later(5, 1, Due::Upload(tp, generation, output)),
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
            Action::Publish { commit, files } => {
                self.later(0, 100, Due::Publish(tp, generation, commit, files));
            }
            Action::CommitOffset { commit, offset } => {
                self.later(0, 50, Due::Commit(tp, generation, commit, offset));
            }
            Action::Committed { .. } => {}
            Action::Seek { offset, after_ms, .. } => {
                self.report.rewinds += 1;
                self.later(after_ms, 50, Due::Seek(tp, generation, offset));
            }
            Action::Finished => {
                if self.owners.get(&tp).is_some_and(|o| o.leaving) {
                    self.assign(&tp);
                }
            }
            Action::Stopped(fault) => self.report.stopped.push(format!("{tp}: {fault}")),
        }
    }
}
