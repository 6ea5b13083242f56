//! One worker thread: steps the tasks of some Kafka partitions, and carries their actions out.
//!
//! Owns: the messages between the poll loop and workers, timers, what a panic in a task comes to.
//! Does not own: which Kafka partitions a worker has (`threads`), effects (`effects`).
//! Bounded by: what the poll loop sends, by each Kafka partition's `Gauge`.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::clock::System;
use crate::commit::machine::Ticket;
use crate::error::{Code, Fault, Kind};
use crate::pipeline::effects::{Asker, Effects};
use crate::pipeline::task::{Action, Assignment, Event, Settings, Task};
use crate::pipeline::watch::Watch;
use crate::position::{Offset, TopicPartition};

/// How often tasks look at their timers.
const TICK: Duration = Duration::from_millis(100);

pub static PANIC: Code = Code {
    id: "FB0916",
    kind: Kind::Bug,
    title: "the worker of a Kafka partition panicked",
    help: "Report it with the log lines before it. The Kafka partition stops at its last commit, nothing is lost; the others go on.",
};

/// Raw bytes of one Kafka partition under way, and whether it wants more.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    pub(super) under_way: AtomicUsize,
    pub(super) wants: AtomicBool,
}

pub(super) enum ToWorker {
    Assign {
        partition: TopicPartition,
        gauge: Arc<Gauge>,
        generation: u64,
        assignment: Box<Assignment>,
    },
    Task(TopicPartition, Event),
    /// An answer to a question of an assignment that may be over.
    Answer(TopicPartition, Asker, Event),
    Remove(TopicPartition),
    /// Bytes one task may hold from now on.
    Share(usize),
    Quit,
}

/// What the task of one assignment asks of the poll loop.
pub(super) struct ToSource {
    pub(super) partition: TopicPartition,
    pub(super) generation: u64,
    pub(super) what: Asks,
}

pub(super) enum Asks {
    CommitOffset { ticket: Ticket, offset: Offset, text: String },
    Seek { offset: Offset, after_ms: u64 },
    Committed,
    Finished,
    Stopped(Fault),
}

/// One worker thread: the tasks of some Kafka partitions.
pub(super) struct Worker {
    settings: Arc<Settings>,
    effects: Effects,
    to_source: Sender<ToSource>,
    watch: Arc<Watch>,
    clock: System,
    tasks: HashMap<TopicPartition, Slot>,
    share: usize,
}

struct Slot {
    task: Task,
    gauge: Arc<Gauge>,
    generation: u64,
    /// Raw bytes the task held after its last step.
    held: usize,
}

impl Worker {
    pub(super) fn new(
        settings: Arc<Settings>,
        effects: Effects,
        to_source: Sender<ToSource>,
        watch: Arc<Watch>,
        clock: System,
    ) -> Self {
        let (tasks, share) = (HashMap::new(), usize::MAX);
        Self { settings, effects, to_source, watch, clock, tasks, share }
    }

    /// Steps tasks until told to quit.
    pub(super) fn run(mut self, inbox: Receiver<ToWorker>) {
        let mut ticked_ms = 0;
        loop {
            match inbox.recv_timeout(TICK) {
                Ok(ToWorker::Quit) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.message(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.clock.now().mono_ms;
            if now.saturating_sub(ticked_ms) >= TICK.as_millis() as u64 {
                ticked_ms = now;
                let all: Vec<TopicPartition> = self.tasks.keys().cloned().collect();
                all.iter().for_each(|tp| self.step(tp, Event::Tick));
            }
        }
    }

    fn message(&mut self, message: ToWorker) {
        match message {
            ToWorker::Assign { partition, gauge, generation, assignment } => {
                let mut task = Task::new(self.settings.clone(), partition.clone(), generation);
                task.set_share(self.share);
                self.effects.begin(&partition);
                self.tasks.insert(partition.clone(), Slot { task, gauge, generation, held: 0 });
                self.step(&partition, Event::Assigned(assignment));
            }
            ToWorker::Task(partition, event) => self.step(&partition, event),
            ToWorker::Answer(partition, asker, event) => {
                // What was asked before says nothing to a question of now. A file that is staged is discarded.
                if asker.is_there() || matches!(event, Event::Staged(..)) {
                    self.step(&partition, event);
                }
            }
            ToWorker::Remove(partition) => {
                self.effects.end(&partition);
                self.tasks.remove(&partition);
            }
            ToWorker::Share(bytes) => {
                self.share = bytes;
                self.tasks.values_mut().for_each(|s| s.task.set_share(bytes));
            }
            ToWorker::Quit => {}
        }
    }

    /// Steps one task. A panic in it stops its Kafka partition; the others of this worker go on.
    fn step(&mut self, partition: &TopicPartition, event: Event) {
        let step = AssertUnwindSafe(|| self.step_task(partition, event));
        if std::panic::catch_unwind(step).is_err() {
            // What the task holds may be half changed: it goes as a whole.
            let Some(slot) = self.tasks.remove(partition) else { return };
            slot.gauge.under_way.store(0, Ordering::Relaxed);
            self.effects.forget(partition);
            let fault = Fault::new(
                &PANIC,
                format!("{partition}: a panic, an answer required; see the log"),
            );
            self.tell(partition, slot.generation, Asks::Stopped(fault));
        }
    }

    fn step_task(&mut self, partition: &TopicPartition, event: Event) {
        let Some(slot) = self.tasks.get_mut(partition) else {
            if let Event::Staged(_, Ok(staged)) = event {
                self.effects.discard(partition, Vec::new(), vec![staged]);
            }
            return;
        };
        let generation = slot.generation;
        let incoming = match &event {
            Event::Records(batch) => batch.bytes(),
            _ => 0,
        };
        let mut actions = Vec::new();
        slot.task.step(event, self.clock.now(), &mut actions);
        let held = slot.task.raw_bytes();
        slot.gauge
            .under_way
            .fetch_sub((slot.held + incoming).saturating_sub(held), Ordering::Relaxed);
        slot.gauge.wants.store(slot.task.wants_input(), Ordering::Relaxed);
        slot.held = held;
        self.watch.stepped(partition, &mut slot.task);
        for action in actions {
            self.act(partition, generation, action);
        }
    }

    fn act(&mut self, tp: &TopicPartition, generation: u64, action: Action) {
        let partition = tp.clone();
        match action {
            Action::Ask { schema, after_ms, anew } => {
                self.effects.ask(partition, schema, after_ms, anew);
            }
            Action::AskSubject { subject, want, after_ms } => {
                self.effects.ask_subject(partition, subject, want, after_ms);
            }
            Action::Store(output) => self.effects.store(tp, output),
            Action::Discard { files, staged } => self.effects.discard(tp, files, staged),
            Action::Keep(staged) => self.effects.keep(tp, staged),
            Action::GetRecord { ticket, seq, key } => {
                self.effects.get_record(partition, ticket, seq, key);
            }
            Action::PutRecord { ticket, key, record, after_ms, authority } => {
                self.effects.put_record(partition, ticket, (key, record), after_ms, authority);
            }
            Action::ListChains { ticket, look } => {
                self.effects.list_chains(partition, ticket, look);
            }
            Action::Claimed { offset, epoch, high, hash } => {
                let behind = high.saturating_sub(offset).max(0);
                tracing::info!(
                    "{tp} is claimed in epoch {epoch} and starts at offset {offset}, {behind} records behind the end"
                );
                self.watch.assigned(tp, offset, high);
                self.effects.claimed(partition, epoch, hash);
            }
            Action::Publish { ticket, files, recovery } => {
                self.effects.publish(partition, ticket, files, recovery);
            }
            Action::CommitOffset { ticket, offset, text } => {
                self.tell(tp, generation, Asks::CommitOffset { ticket, offset, text });
            }
            Action::Committed { range, files } => {
                tracing::debug!("{tp}: committed {range}, {files} files");
                self.watch.committed(tp, range);
                self.tell(tp, generation, Asks::Committed);
            }
            Action::Seek { offset, after_ms, why } => {
                if let Some(why) = why {
                    tracing::warn!("{tp} goes back to offset {offset} in {after_ms} ms: {why}");
                }
                self.tell(tp, generation, Asks::Seek { offset, after_ms });
            }
            Action::Finished => self.tell(tp, generation, Asks::Finished),
            Action::Stopped(fault) => self.tell(tp, generation, Asks::Stopped(fault)),
        }
    }

    fn tell(&self, partition: &TopicPartition, generation: u64, what: Asks) {
        // The source thread is gone only when the run is over.
        let _ = self.to_source.send(ToSource { partition: partition.clone(), generation, what });
    }
}
