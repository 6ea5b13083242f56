//! The production driver: one thread polls Kafka, workers step tasks, the runtime does the rest.
//!
//! Owns: the poll loop, channels, the dealing of Kafka partitions to workers, offset commits, leaving.
//! Does not own: what a record comes to (`task`), stepping tasks (`worker`), effects (`effects`).
//! Bounded by: `Gauge`, which says how many raw bytes a Kafka partition has under way; the poll loop
//! never waits for a worker.
//!
//! ```text
//! Kafka ──poll──▶ source thread ──(channel, bounded by gauges)──▶ worker: tasks ──▶ runtime: registry, store
//!    ▲                 ▲                                             │  ▲              │
//!    └────commit───────┴──────────(offsets, seeks, finished)─────────┘  └───answers────┘
//! ```

mod again;
mod fences;
mod offsets;
mod topics;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use self::again::Troubles;
use self::offsets::Commit;
use self::topics::Recheck;
use crate::clock::{self, System};
use crate::commit::{UNDECIDED, machine};
use crate::config::Authority;
use crate::crash::{self, Point};
use crate::error::{Fault, Kind};
use crate::flaw;
use crate::pipeline::effects::{Effects, Shared};
use crate::pipeline::task::{Assignment, Event, Settings};
use crate::pipeline::watch::Watch;
use crate::pipeline::worker::{Asks, Gauge, ToSource, ToWorker, Worker};
use crate::position::{Offset, TopicPartition};
use crate::registry;
use crate::source::{self, Source, StartAt, Starts, Ticket};
use crate::telemetry::Phase;

/// Longest wait of the poll loop; also how late an offset commit may start.
const POLL_WAIT: Duration = Duration::from_millis(20);
/// Raw bytes that every Kafka partition may have under way, whatever the others hold: at least and at
/// most, and in between its part of the budget.
const GUARANTEED_BYTES: (usize, usize) = (1 << 20, 6 << 20);
/// Most raw bytes of one Kafka partition under way.
const PARTITION_BYTES: usize = 24 << 20;
/// Pause before something that failed is asked of Kafka again.
const AGAIN_MS: u64 = 1_000;
/// How often the end of a log is asked until the chain is believed to end after it.
const ENDS_ASKED: u32 = 5;
/// How often topics are asked whether they are still the same.
pub const TOPICS_EVERY: Duration = Duration::from_secs(60);
/// How often the ends of the logs are looked at.
const ENDS_MS: u64 = 250;

/// How a run is asked to end. Levels only rise.
#[derive(Debug, Default)]
pub struct Control(AtomicU8);

impl Control {
    /// Seal, publish, commit, leave the group.
    pub fn leave(&self) {
        self.0.fetch_max(1, Ordering::Relaxed);
    }

    /// Drop what is not sealed and leave at once.
    pub fn leave_at_once(&self) {
        self.0.fetch_max(2, Ordering::Relaxed);
    }

    fn level(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a run is given.
pub struct Run<S> {
    pub source: S,
    pub settings: Arc<Settings>,
    /// None where records name no schema.
    pub registry: Option<Arc<registry::Client>>,
    pub shared: Arc<Shared>,
    pub runtime: tokio::runtime::Handle,
    pub control: Arc<Control>,
    pub watch: Arc<Watch>,
    pub clock: System,
    pub workers: usize,
    pub memory: Budget,
    /// Stop at the end offsets seen when each Kafka partition is assigned.
    pub drain: bool,
    /// From the request to leave until what is not sealed is dropped.
    pub shutdown_timeout: Duration,
    /// How often topics are asked whether they are still the same.
    pub topics_every: Duration,
}

impl<S> Run<S> {
    /// The world as a worker sees it; answers come back through its own channel.
    fn effects(&self, to_worker: Sender<ToWorker>) -> Effects {
        let answer = move |tp, asker, event| {
            // A worker that is gone needs no answer.
            let _ = to_worker.send(ToWorker::Answer(tp, asker, event));
        };
        let (runtime, registry) = (self.runtime.clone(), self.registry.clone());
        Effects::new(runtime, registry, self.shared.clone(), Arc::new(answer))
    }
}

/// `memory.limit`, divided.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Raw records under way, over all Kafka partitions.
    pub raw: usize,
    /// Rows and open files, over all Kafka partitions.
    pub open: usize,
    /// Closed files on their way to the store.
    pub uploading: usize,
}

impl Budget {
    /// Shares of `limit` bytes. A quarter stays for librdkafka's queues, a quarter for buffers in
    /// encoders' hands, allocator slack and code.
    pub fn of(limit: usize) -> Self {
        Self { raw: limit / 8, open: limit / 4, uploading: limit / 8 }
    }
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// Kafka partitions that stopped, with the reason.
    pub stopped: Vec<(TopicPartition, Fault)>,
    /// The client as a whole could not go on.
    pub fatal: Option<Fault>,
    /// Something was dropped because the time to leave was over.
    pub dropped: bool,
}

/// Streams until asked to leave, drained, or stopped by a fault. Runs the poll loop on this thread.
pub fn run<S: Source>(run: Run<S>) -> Ended {
    let (to_source, from_workers) = channel();
    let (workers, threads): (Vec<_>, Vec<_>) = (0..run.workers.max(1))
        .map(|_| {
            let (sender, receiver) = channel();
            let worker = Worker::new(
                run.settings.clone(),
                run.effects(sender.clone()),
                to_source.clone(),
                run.watch.clone(),
                run.clock,
            );
            (sender, std::thread::spawn(flaw::carried(move || worker.run(receiver))))
        })
        .unzip();
    let mut poller = Poller {
        authority: run.settings.commit.authority,
        restart_recreated: run.settings.policy.restart_recreated,
        topics: Recheck::every(run.topics_every),
        source: run.source,
        shared: run.shared,
        control: run.control,
        watch: run.watch,
        clock: run.clock,
        memory: run.memory,
        drain: run.drain,
        shutdown_timeout_ms: run.shutdown_timeout.as_millis() as u64,
        workers,
        partitions: HashMap::new(),
        commits: Vec::new(),
        committing: Vec::new(),
        seeks: Vec::new(),
        troubles: HashMap::new(),
        goes_around_lost: run.settings.policy.skip_lost || run.settings.policy.reset_truncated,
        interval_ms: run.settings.commit.age_max().as_millis() as u64,
        revoking: Vec::new(),
        unresolved: Vec::new(),
        resolving: Vec::new(),
        assigned_once: false,
        leaving_since_ms: None,
        ended: Ended::default(),
        dealt: 0,
        ends_at_ms: 0,
    };
    poller.run(&from_workers);
    for worker in &poller.workers {
        let _ = worker.send(ToWorker::Quit);
    }
    poller.source.close();
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a worker thread panicked; what it had not committed is read again");
        }
    }
    poller.ended
}

/// A Kafka partition as the poll loop sees it.
struct Partition {
    worker: usize,
    /// Of the topic that its chain is of.
    topic_id: Option<String>,
    gauge: Arc<Gauge>,
    /// Tells this assignment's files and commits from those of an earlier one.
    generation: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Flowing,
    /// Asked to seal, publish and commit.
    Finishing,
    Finished,
    Stopped,
}

struct Poller<S> {
    source: S,
    authority: Authority,
    restart_recreated: bool,
    topics: Recheck,
    shared: Arc<Shared>,
    control: Arc<Control>,
    watch: Arc<Watch>,
    clock: System,
    memory: Budget,
    drain: bool,
    shutdown_timeout_ms: u64,
    workers: Vec<Sender<ToWorker>>,
    partitions: HashMap<TopicPartition, Partition>,
    commits: Vec<Commit>,
    /// Sent, and not answered yet.
    committing: Vec<(Ticket, Vec<Commit>)>,
    seeks: Vec<(TopicPartition, Offset, u64)>,
    /// What Kafka partitions were given up for and claimed anew, since the group gave them.
    troubles: HashMap<TopicPartition, Troubles>,
    /// The configuration says how to go on where the log does not have the position.
    goes_around_lost: bool,
    /// From one commit to the next.
    interval_ms: u64,
    /// Partitions that the group wants back, by request, and when the request came.
    revoking: Vec<(Vec<TopicPartition>, u64)>,
    /// Assigned, and the start not known yet; with the time of the next question.
    unresolved: Vec<(Vec<TopicPartition>, u64)>,
    /// Assigned, and the start asked for.
    resolving: Vec<(Ticket, Vec<TopicPartition>)>,
    assigned_once: bool,
    leaving_since_ms: Option<u64>,
    ended: Ended,
    dealt: u64,
    /// When the ends of the logs are looked at next.
    ends_at_ms: u64,
}

impl<S: Source> Poller<S> {
    fn run(&mut self, from_workers: &Receiver<ToSource>) {
        let mut events = Vec::new();
        loop {
            while let Ok(message) = from_workers.try_recv() {
                self.worker_says(message);
            }
            self.commit_offsets();
            self.seek_due();
            self.resolve_again();
            self.recheck_topics();
            self.release_revoked();
            if self.is_over() {
                return;
            }
            self.poll(&mut events);
            for event in events.drain(..) {
                self.event(event);
            }
        }
    }

    fn poll(&mut self, events: &mut Vec<source::Event>) {
        // What was on its way to a task that is gone is counted off by nobody.
        let reads = |p: &&Partition| matches!(p.state, State::Flowing | State::Finishing);
        let under_way: usize = self
            .partitions
            .values()
            .filter(reads)
            .map(|p| p.gauge.under_way.load(Ordering::Relaxed))
            .sum();
        let uploads_full = self.shared.uploading.load(Ordering::Relaxed) > self.memory.uploading;
        self.watch.set_in_flight(under_way, self.shared.uploading.load(Ordering::Relaxed));
        let (partitions, raw) = (&self.partitions, self.memory.raw);
        let guaranteed =
            (raw / partitions.len().max(1)).clamp(GUARANTEED_BYTES.0, GUARANTEED_BYTES.1);
        // What one poll lets many Kafka partitions read counts as well as what is here.
        let mut left = raw.saturating_sub(under_way);
        let mut room = |tp: &TopicPartition| {
            let Some(partition) = partitions.get(tp) else { return 0 };
            let mine = partition.gauge.under_way.load(Ordering::Relaxed);
            let wants = partition.gauge.wants.load(Ordering::Relaxed);
            if partition.state != State::Flowing || !wants || uploads_full {
                0
            } else {
                let most = PARTITION_BYTES.saturating_sub(mine).min(left);
                let room = most.max(guaranteed.saturating_sub(mine));
                left = left.saturating_sub(room);
                room
            }
        };
        self.source.poll(POLL_WAIT, &mut room, events);
        let now = self.clock.now().mono_ms;
        if now < self.ends_at_ms {
            return;
        }
        self.ends_at_ms = now + ENDS_MS;
        let watch = &self.watch;
        self.source.ends(&mut |tp, end| {
            if partitions.contains_key(tp) {
                watch.ends_at(tp, end);
            }
        });
    }

    fn event(&mut self, event: source::Event) {
        match event {
            source::Event::Assigned(partitions) => self.assigned(partitions),
            source::Event::Revoked(partitions) => self.revoked(partitions),
            source::Event::Lost(partitions) => {
                tracing::warn!(
                    ?partitions,
                    "lost these Kafka partitions; what was not committed is dropped"
                );
                for tp in &partitions {
                    self.to_task(tp, Event::Drop);
                }
                self.remove(&partitions);
                self.forget_troubles(&partitions);
                // The group deals anew, perhaps to this member: a drain waits for what it says.
                self.assigned_once = false;
                // They may come again at once: what was to be given back is no more.
                for (revoked, _) in &mut self.revoking {
                    revoked.retain(|tp| !partitions.contains(tp));
                }
                self.revoking.retain(|(revoked, _)| !revoked.is_empty());
            }
            source::Event::Batch(batch) => {
                let Some(partition) = self.partitions.get(&batch.topic_partition) else { return };
                partition.gauge.under_way.fetch_add(batch.bytes(), Ordering::Relaxed);
                if let Some(troubles) = self.troubles.get_mut(&batch.topic_partition) {
                    troubles.lost = 0;
                }
                let tp = batch.topic_partition.clone();
                self.to_task(&tp, Event::Records(batch));
            }
            source::Event::Stopped(tp, fault) => {
                // Whether the log's start passed it or its end fell behind it, nobody knows yet: rows in hand may be of
                // a log that is no more.
                let again = self.goes_around(&tp, &fault) || passes(&fault);
                self.to_task(&tp, Event::Drop);
                if again {
                    self.start_anew(tp, &fault);
                } else {
                    self.stopped(tp, fault);
                }
            }
            source::Event::Starts(ticket, starts) => self.starts(ticket, starts),
            source::Event::TopicIds(ticket, ids) => self.topic_ids(ticket, ids),
            source::Event::Committed(ticket, result) => self.committed(ticket, result),
            source::Event::Fatal(fault) => {
                tracing::error!("the Kafka client cannot go on: {fault}");
                self.watch.fatal(&fault);
                self.ended.fatal.get_or_insert(fault);
                self.control.leave_at_once();
            }
        }
    }

    fn assigned(&mut self, partitions: Vec<TopicPartition>) {
        if !self.assigned_once {
            self.assigned_once = true;
            self.watch.phase(Phase::Running);
        }
        if partitions.is_empty() || self.leaving_since_ms.is_some() {
            return; // who leaves starts nothing
        }
        match self.source.resolve_start(&partitions) {
            Ok(ticket) => self.resolving.push((ticket, partitions)),
            Err(fault) => self.ask_again(partitions, &fault),
        }
    }

    fn ask_again(&mut self, partitions: Vec<TopicPartition>, fault: &Fault) {
        tracing::warn!("where to start is asked again in a second: {fault}");
        self.unresolved.push((partitions, self.clock.now().mono_ms + AGAIN_MS));
    }

    /// Starts those that are still ours.
    fn starts(&mut self, ticket: Ticket, starts: Result<Starts, Fault>) {
        let Some(asked) = self.resolving.iter().position(|(asked, _)| *asked == ticket) else {
            return;
        };
        let (_, partitions) = self.resolving.swap_remove(asked);
        if self.leaving_since_ms.is_some() {
            return;
        }
        match starts {
            Ok(starts) => {
                let mut again: Option<(Vec<TopicPartition>, Fault)> = None;
                for (tp, start) in starts.into_iter().filter(|(tp, _)| partitions.contains(tp)) {
                    match start {
                        // A partition without a leader has one soon.
                        Err(fault) if passes(&fault) => {
                            again.get_or_insert((Vec::new(), fault)).0.push(tp);
                            continue;
                        }
                        Ok(start) => {
                            self.add(&tp);
                            self.start(&tp, start);
                        }
                        Err(fault) => {
                            self.add(&tp);
                            self.stopped(tp, fault);
                        }
                    }
                }
                if let Some((partitions, fault)) = again {
                    self.ask_again(partitions, &fault);
                }
                self.deal_memory();
            }
            Err(fault) => self.ask_again(partitions, &fault),
        }
    }

    /// Asks again where Kafka partitions start, after an answer that did not come.
    fn resolve_again(&mut self) {
        let now = self.clock.now().mono_ms;
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unresolved).into_iter().partition(|(_, at)| *at <= now);
        self.unresolved = later;
        for (partitions, _) in due {
            self.assigned(partitions);
        }
    }

    /// The task finds and claims the chain, and asks for records then.
    fn start(&mut self, tp: &TopicPartition, start: StartAt) {
        let StartAt { offset, why, log, committed, topic_id, partitions } = start;
        tracing::info!("{tp} is assigned; without a chain: offset {offset}, {why}");
        if let Some(partition) = self.partitions.get_mut(tp) {
            partition.topic_id.clone_from(&topic_id);
        }
        let assignment = Box::new(Assignment {
            owner: clock::fresh_id(),
            topic_id,
            partitions,
            kafka: machine::Assigned {
                start: offset,
                committed: committed.map(|c| (c.offset, c.metadata)),
                low: log.low,
                high: log.high,
            },
            // Else what is recorded after the last answer would be set back, and published twice.
            end_is_sure: self.troubles.get(tp).is_some_and(|t| t.past_end + 1 >= ENDS_ASKED),
            stop_at: self.drain.then_some(log.high),
        });
        self.to_worker_of(tp, |partition| ToWorker::Assign {
            partition: tp.clone(),
            gauge: partition.gauge.clone(),
            generation: partition.generation,
            assignment,
        });
    }

    fn add(&mut self, tp: &TopicPartition) {
        // One that begins anew is not stopped any more.
        self.ended.stopped.retain(|(stopped, _)| stopped != tp);
        let gauge = Arc::new(Gauge::default());
        gauge.wants.store(true, Ordering::Relaxed);
        let generation = self.dealt;
        let worker = generation as usize % self.workers.len();
        self.dealt += 1;
        let state = State::Flowing;
        let partition = Partition { worker, topic_id: None, gauge, generation, state };
        self.partitions.insert(tp.clone(), partition);
    }

    /// Tells all tasks what they may hold now.
    fn deal_memory(&self) {
        let share = self.memory.open / self.partitions.len().max(1);
        for worker in &self.workers {
            let _ = worker.send(ToWorker::Share(share));
        }
    }

    fn revoked(&mut self, partitions: Vec<TopicPartition>) {
        tracing::info!(?partitions, "the group wants these back: sealing and committing them");
        for tp in &partitions {
            self.finish(tp);
        }
        self.forget_unresolved(&partitions);
        self.forget_troubles(&partitions);
        self.revoking.push((partitions, self.clock.now().mono_ms));
        crash::point(Point::RevokeBegun);
    }

    fn finish(&mut self, tp: &TopicPartition) {
        if let Some(partition) = self.partitions.get_mut(tp)
            && partition.state == State::Flowing
        {
            partition.state = State::Finishing;
            self.to_task(tp, Event::Finish);
        }
    }

    /// Gives back what is finished, or what took too long.
    fn release_revoked(&mut self) {
        let now = self.clock.now().mono_ms;
        let (partitions, timeout) = (&self.partitions, self.shutdown_timeout_ms);
        let is_over = |tp: &TopicPartition| {
            partitions.get(tp).is_none_or(|p| matches!(p.state, State::Finished | State::Stopped))
        };
        let (ready, wait) =
            std::mem::take(&mut self.revoking).into_iter().partition(|(tps, since)| {
                now.saturating_sub(*since) > timeout || tps.iter().all(is_over)
            });
        self.revoking = wait;
        let ready: Vec<(Vec<TopicPartition>, u64)> = ready;
        for (tps, _) in ready {
            for tp in &tps {
                self.to_task(tp, Event::Drop);
            }
            crash::point(Point::RevokeFlushed);
            if let Err(fault) = self.source.release(&tps) {
                tracing::warn!("giving Kafka partitions back: {fault}");
            }
            self.remove(&tps);
        }
    }

    fn forget_unresolved(&mut self, partitions: &[TopicPartition]) {
        for (waiting, _) in &mut self.unresolved {
            waiting.retain(|tp| !partitions.contains(tp));
        }
        self.unresolved.retain(|(waiting, _)| !waiting.is_empty());
        for (_, waiting) in &mut self.resolving {
            waiting.retain(|tp| !partitions.contains(tp));
        }
        self.resolving.retain(|(_, waiting)| !waiting.is_empty());
    }

    fn remove(&mut self, partitions: &[TopicPartition]) {
        self.forget_unresolved(partitions);
        for tp in partitions {
            self.to_worker_of(tp, |_| ToWorker::Remove(tp.clone()));
            self.partitions.remove(tp);
            self.commits.retain(|c| c.partition != *tp);
            self.committing.iter_mut().for_each(|(_, sent)| sent.retain(|c| c.partition != *tp));
            self.seeks.retain(|(p, ..)| p != tp);
            self.watch.revoked(tp);
        }
        self.deal_memory();
    }

    fn stopped(&mut self, tp: TopicPartition, fault: Fault) {
        tracing::error!("{tp} is stopped: {fault}. The others go on");
        if let Some(partition) = self.partitions.get_mut(&tp) {
            partition.state = State::Stopped;
        }
        self.watch.stopped(&tp, &fault);
        self.ended.stopped.push((tp, fault));
    }

    fn worker_says(&mut self, message: ToSource) {
        let ToSource { partition: tp, generation, what } = message;
        let Some(partition) = self.partitions.get_mut(&tp).filter(|p| p.generation == generation)
        else {
            return; // given back or lost meanwhile: it is somebody else's, perhaps ours anew
        };
        match what {
            Asks::CommitOffset { ticket, offset, text } => {
                let (at_ms, failed) = (0, 0);
                self.commits.push(Commit { partition: tp, ticket, offset, text, at_ms, failed });
            }
            Asks::Seek { offset, after_ms } => {
                if let Some(troubles) = self.troubles.get_mut(&tp) {
                    (troubles.past_end, troubles.unnamed, troubles.no_topic_id) = (0, 0, 0);
                }
                // A later failure goes further back: only the last place counts.
                self.seeks.retain(|(other, ..)| *other != tp);
                self.seeks.push((tp, offset, self.clock.now().mono_ms + after_ms));
            }
            Asks::Committed => {
                if let Some(troubles) = self.troubles.get_mut(&tp) {
                    (troubles.fenced, troubles.undecided) = (0, 0);
                }
            }
            Asks::Finished if partition.state == State::Stopped => {}
            Asks::Finished => partition.state = State::Finished,
            Asks::Stopped(fault) if *fault.code == UNDECIDED => self.undecided(tp, &fault),
            Asks::Stopped(fault) if fault.code.kind == Kind::Fenced => self.fenced(tp, &fault),
            Asks::Stopped(fault) if self.asks_end_again(&tp, &fault) => {}
            Asks::Stopped(fault) if passes(&fault) => self.start_anew(tp, &fault),
            Asks::Stopped(fault) => self.stopped(tp, fault),
        }
    }

    fn seek_due(&mut self) {
        let now = self.clock.now().mono_ms;
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.seeks).into_iter().partition(|(.., at)| *at <= now);
        self.seeks = later;
        for (tp, offset, _) in due {
            match self.source.start(&tp, offset) {
                Ok(()) => self.to_task(&tp, Event::Started { offset }),
                Err(fault) => {
                    tracing::warn!("{tp}: going back to offset {offset} is tried again: {fault}");
                    self.seeks.push((tp, offset, now + AGAIN_MS));
                }
            }
        }
    }

    /// Asks tasks to finish when it is time to leave; true when all is done.
    fn is_over(&mut self) -> bool {
        let now = self.clock.now().mono_ms;
        if self.control.level() >= 1 && self.leaving_since_ms.is_none() {
            self.leaving_since_ms = Some(now);
            self.watch.phase(Phase::Stopping);
            let all: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
            all.iter().for_each(|tp| self.finish(tp));
        }
        let busy = self.partitions.values().any(|p| match p.state {
            State::Flowing | State::Finishing => true,
            State::Finished | State::Stopped => false,
        });
        let late =
            self.leaving_since_ms.is_some_and(|s| now.saturating_sub(s) > self.shutdown_timeout_ms);
        if self.control.level() >= 2 || late {
            self.ended.dropped = busy;
            return true;
        }
        let drained = self.drain
            && self.assigned_once
            && self.unresolved.is_empty()
            && self.resolving.is_empty();
        !busy && (self.leaving_since_ms.is_some() || drained)
    }

    fn to_task(&self, tp: &TopicPartition, event: Event) {
        self.to_worker_of(tp, |_| ToWorker::Task(tp.clone(), event));
    }

    fn to_worker_of(&self, tp: &TopicPartition, message: impl FnOnce(&Partition) -> ToWorker) {
        if let Some(partition) = self.partitions.get(tp) {
            // A worker only ends after this side has dropped its sender.
            let _ = self.workers[partition.worker].send(message(partition));
        }
    }
}

/// True for a fault that the same call may not meet the next time.
fn passes(fault: &Fault) -> bool {
    matches!(fault.code.kind, Kind::Retry | Kind::Pause)
}
