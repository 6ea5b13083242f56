//! Files of given offsets, made once more from Kafka: for what an operator does to a chain.
//!
//! Owns: reading the offsets, and the same stages that a run has: intake, lanes, uploads.
//! Does not own: which of the files count (`operate`).
//! Bounded by: what one commit's open files take; one batch of raw records.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, System};
use crate::commit::codes::OPERATION;
use crate::commit::machine::FileId;
use crate::commit::record::{About, Identity};
use crate::config;
use crate::error::Fault;
use crate::pipeline::intake::{Intake, Need, Taken};
use crate::pipeline::lanes::{Lanes, Output};
use crate::pipeline::task::Settings;
use crate::position::{Offset, OffsetRange, TopicPartition};
use crate::record::RecordBatch;
use crate::registry::{self, Lookup};
use crate::source::kafka::{Look, Stretch, TokenFetcher};
use crate::store::{Staged, Store, Upload};
use crate::wire::SchemaRef;

/// Longest wait for the brokers, and for more records.
const WAIT: Duration = Duration::from_secs(30);
/// Longest wait for a registry that is away.
const REGISTRY_WAIT_MS: u64 = 120_000;

/// What makes files.
#[derive(Clone)]
pub struct Rebuild {
    pub source: config::Source,
    pub token: Option<TokenFetcher>,
    pub settings: Arc<Settings>,
    pub registry: Option<Arc<registry::Client>>,
}

/// Files, staged, and the times of their records.
#[derive(Debug, Default)]
pub struct Rebuilt {
    pub files: Vec<(About, Staged)>,
    pub times_ms: Option<(i64, i64)>,
}

/// What one rebuilding holds.
struct Work<'a> {
    rebuild: &'a Rebuild,
    store: &'a Store,
    runtime: tokio::runtime::Handle,
    clock: System,
    range: OffsetRange,
    intake: Intake,
    lanes: Lanes,
    uploads: HashMap<FileId, Upload>,
    /// Offset of the next record.
    position: Offset,
    done: Rebuilt,
}

impl Rebuild {
    /// The files of these offsets, under this epoch and commit id. What was staged before an error is discarded.
    pub async fn files(
        self,
        store: &Store,
        identity: &Identity,
        range: OffsetRange,
        epoch: u64,
        commit: String,
    ) -> Result<Rebuilt, Fault> {
        let partition = TopicPartition::new(identity.topic.as_str(), identity.partition);
        let topic_id = identity.topic_id.clone();
        let (store, runtime) = (store.clone(), tokio::runtime::Handle::current());
        let work = move || {
            let settings = &self.settings;
            let mut lanes = Lanes::new(settings.files.clone(), partition.clone(), 0);
            lanes.claimed(epoch, topic_id.as_deref());
            lanes.commit_is(commit);
            let mut work = Work {
                rebuild: &self,
                store: &store,
                runtime,
                clock: System::new(),
                range,
                intake: Intake::new(settings.clone(), partition.clone()),
                lanes,
                uploads: HashMap::new(),
                position: range.start,
                done: Rebuilt::default(),
            };
            let result = work.run(&partition);
            if result.is_err() {
                work.discard();
            }
            result.map(|()| work.done)
        };
        let ended = tokio::task::spawn_blocking(work).await;
        ended.map_err(|e| refused(&format!("an end of reading offsets again ({e})")))?
    }
}

impl Work<'_> {
    fn run(&mut self, partition: &TopicPartition) -> Result<(), Fault> {
        let look = Look::open(&self.rebuild.source, self.rebuild.token.clone())?;
        let mut log = look.log(partition, WAIT)?;
        let range = self.range;
        if log.low > range.start || log.high < range.end {
            return Err(refused(&format!(
                "offsets {range} of kafka partition `{partition}`: its log has `{}` to `{}`, all of them",
                log.low, log.high
            )));
        }
        log.high = range.end;
        let stretch = Stretch { partition: partition.clone(), from: range.start, log };
        let read = look.read(&stretch, WAIT, &mut |batch| self.take(batch).map(|()| true));
        match read {
            // What comes after the range may be what cannot be read.
            Err(_) if self.position >= range.end => {}
            Err(fault) => return Err(fault),
            Ok(_) if self.position >= range.end => {}
            Ok(_) => {
                return Err(refused(&format!(
                    "offsets {range} of kafka partition `{partition}`: read up to `{}` and nothing more for {} s, all of them",
                    self.position,
                    WAIT.as_secs()
                )));
            }
        }
        let mut outputs = Vec::new();
        self.lanes.seal(&mut outputs)?;
        self.stage(outputs)
    }

    fn take(&mut self, batch: RecordBatch) -> Result<(), Fault> {
        let range = self.range;
        for record in batch.iter().filter(|r| (range.start..range.end).contains(&r.offset)) {
            let mut asked = None;
            while let Taken::Wait(need) = self.intake.take(&record, self.clock.now()) {
                match &need {
                    Need::Schema(schema) => self.ask(*schema)?,
                    Need::Subject(subject) if asked.as_ref() != Some(&need) => {
                        self.ask_subject(subject)?;
                    }
                    // `evolution.on_incompatible: pause`
                    Need::Subject(subject) => {
                        return Err(refused(&format!("another version of subject `{subject}`")));
                    }
                }
                asked = Some(need);
            }
            if let Some(ms) = record.timestamp {
                let (min, max) = self.done.times_ms.unwrap_or((ms, ms));
                self.done.times_ms = Some((min.min(ms), max.max(ms)));
            }
        }
        self.position = self.position.max(batch.next);
        self.intake.flush(&[&batch], &mut self.lanes)?;
        let mut outputs = Vec::new();
        self.lanes.write_ready(&mut outputs)?;
        self.stage(outputs)
    }

    fn ask(&mut self, schema: SchemaRef) -> Result<(), Fault> {
        let registry = self.rebuild.registry.clone();
        let registry = registry.ok_or_else(|| refused("a registry"))?;
        self.intake.ask(schema, self.clock.now());
        let begun = self.clock.now().mono_ms;
        loop {
            let found = self.runtime.block_on(registry.by_ref(schema));
            let away = match &found {
                Err(Lookup::Unavailable(fault)) => Some(fault.clone()),
                _ => None,
            };
            let now = self.clock.now();
            let Some(after_ms) = self.intake.learn(schema, found, now) else { return Ok(()) };
            if let Some(fault) = away.filter(|_| now.mono_ms - begun > REGISTRY_WAIT_MS) {
                return Err(fault);
            }
            self.runtime.block_on(clock::sleep(Duration::from_millis(after_ms)));
        }
    }

    fn ask_subject(&mut self, subject: &Arc<str>) -> Result<(), Fault> {
        let registry = self.rebuild.registry.clone();
        let registry = registry.ok_or_else(|| refused("a registry"))?;
        let want = self.rebuild.settings.evolution.want();
        self.intake.ask_subject(subject);
        let begun = self.clock.now().mono_ms;
        loop {
            let found = self.runtime.block_on(registry.history(subject, want));
            let away = match &found {
                Err(Lookup::Unavailable(fault)) => Some(fault.clone()),
                _ => None,
            };
            let now = self.clock.now();
            let Some((_, after_ms)) = self.intake.learn_subject(subject, found, now) else {
                return Ok(());
            };
            if let Some(fault) = away.filter(|_| now.mono_ms - begun > REGISTRY_WAIT_MS) {
                return Err(fault);
            }
            self.runtime.block_on(clock::sleep(Duration::from_millis(after_ms)));
        }
    }

    /// Carries parts of files to the store, one after the other.
    fn stage(&mut self, outputs: Vec<Output>) -> Result<(), Fault> {
        for output in outputs {
            let (file, key) = match &output {
                Output::Part { file, key, .. } | Output::End { file, key, .. } => (*file, key),
            };
            let mut upload = match self.uploads.remove(&file) {
                Some(upload) => upload,
                None => self.runtime.block_on(self.store.begin(key))?,
            };
            match output {
                Output::Part { bytes, .. } => {
                    let result = self.runtime.block_on(self.store.part(&mut upload, bytes));
                    self.uploads.insert(file, upload);
                    result?;
                }
                Output::End { tail, about, .. } => {
                    let staged = self.runtime.block_on(self.store.finish(upload, tail))?;
                    self.done.files.push((*about, staged));
                }
            }
        }
        Ok(())
    }

    fn discard(&mut self) {
        let store = self.store;
        for (_, upload) in self.uploads.drain() {
            let _ = self.runtime.block_on(store.discard(upload));
        }
        for (_, staged) in self.done.files.drain(..) {
            let _ = self.runtime.block_on(store.discard_staged(&staged));
        }
    }
}

#[cold]
fn refused(what: &str) -> Fault {
    Fault::new(&OPERATION, format!("action on a chain: {what} required"))
}
