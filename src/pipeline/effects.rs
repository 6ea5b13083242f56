//! What tasks ask of the world, carried out on the async runtime.
//!
//! Owns: registry questions, uploads in order per file, records of the chain, publishing with retries, the
//! janitor; answers go back to the worker that asked.
//! Does not own: Kafka (`threads`), what an answer means (`task`).
//! Bounded by: `REQUESTS_MAX` store requests at a time; bytes waiting are counted in `uploading`.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{Semaphore, mpsc};

use crate::clock;
use crate::commit::janitor::{self, Claimed};
use crate::commit::machine::{FileId, Ticket, Wrote};
use crate::commit::record::{Record, parse_key};
use crate::error::{Fault, Kind};
use crate::pipeline::lanes::Output;
use crate::pipeline::task::Event;
use crate::position::TopicPartition;
use crate::registry;
use crate::store::{Put, Staged, Store};
use crate::wire::SchemaRef;

/// Store requests at a time, over all Kafka partitions.
const REQUESTS_MAX: usize = 32;
/// Files of one commit that are published at a time.
const PUBLISH_MAX: usize = 16;
/// From the first claim until the janitor looks.
const JANITOR_WAIT: Duration = Duration::from_secs(10);
/// First and longest pause between tries of a publish, or of reading a record.
const PUBLISH_PAUSE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// Takes an answer back to the worker that asked.
pub type Answer = Arc<dyn Fn(TopicPartition, Event) + Send + Sync>;

/// The world as one worker sees it.
pub struct Effects {
    pub runtime: tokio::runtime::Handle,
    /// None where records name no schema.
    pub registry: Option<Arc<registry::Client>>,
    pub shared: Arc<Shared>,
    pub answer: Answer,
    files: HashMap<(TopicPartition, FileId), mpsc::UnboundedSender<Step>>,
}

/// What all workers share.
pub struct Shared {
    pub store: Store,
    requests: Semaphore,
    /// Bytes handed over and not yet staged.
    pub uploading: AtomicUsize,
    /// Claims that the janitor has not looked at yet.
    claims: Mutex<Vec<Claimed>>,
}

impl Shared {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            requests: Semaphore::new(REQUESTS_MAX),
            uploading: AtomicUsize::new(0),
            claims: Mutex::default(),
        }
    }
}

enum Step {
    Part(Bytes),
    End(Bytes),
    Discard,
}

impl Effects {
    pub fn new(
        runtime: tokio::runtime::Handle,
        registry: Option<Arc<registry::Client>>,
        shared: Arc<Shared>,
        answer: Answer,
    ) -> Self {
        Self { runtime, registry, shared, answer, files: HashMap::new() }
    }

    pub fn ask(&self, partition: TopicPartition, schema: SchemaRef, after_ms: u64) {
        let (registry, answer) = (self.registry.clone(), self.answer.clone());
        self.runtime.spawn(async move {
            if after_ms > 0 {
                clock::sleep(Duration::from_millis(after_ms)).await;
            }
            let found = match registry {
                Some(registry) => registry.by_ref(schema).await,
                None => return, // nobody asks where records name no schema
            };
            answer(partition, Event::Schema(schema, found));
        });
    }

    pub fn store(&mut self, partition: &TopicPartition, output: Output) {
        let (file, key, step, last) = match output {
            Output::Part { file, key, bytes } => (file, key, Step::Part(bytes), false),
            Output::End { file, key, tail, .. } => (file, key, Step::End(tail), true),
        };
        if let Step::Part(bytes) | Step::End(bytes) = &step {
            self.shared.uploading.fetch_add(bytes.len(), Ordering::Relaxed);
        }
        let id = (partition.clone(), file);
        let sender = self.files.entry(id.clone()).or_insert_with(|| {
            let (sender, steps) = mpsc::unbounded_channel();
            let (shared, answer) = (self.shared.clone(), self.answer.clone());
            let partition = partition.clone();
            self.runtime.spawn(async move {
                if let Some(result) = upload(&shared, &key, steps).await {
                    answer(partition, Event::Staged(file, result));
                }
            });
            sender
        });
        // An upload that failed has said so, and takes no more: nobody else counts these bytes off.
        if let Err(mpsc::error::SendError(Step::Part(bytes) | Step::End(bytes))) = sender.send(step)
        {
            self.shared.uploading.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
        if last {
            self.files.remove(&id);
        }
    }

    pub fn discard(&mut self, partition: &TopicPartition, files: Vec<FileId>, staged: Vec<Staged>) {
        for file in files {
            if let Some(sender) = self.files.remove(&(partition.clone(), file)) {
                let _ = sender.send(Step::Discard);
            }
        }
        if staged.is_empty() {
            return;
        }
        let shared = self.shared.clone();
        self.runtime.spawn(async move {
            for staged in staged {
                if let Err(fault) = shared.store.discard_staged(&staged).await {
                    tracing::warn!(key = staged.key, "a staged file is left behind: {fault}");
                }
            }
        });
    }

    /// Discards whatever is being staged for a Kafka partition whose task is gone.
    pub fn forget(&mut self, partition: &TopicPartition) {
        let files =
            self.files.keys().filter(|(tp, _)| tp == partition).map(|(_, file)| *file).collect();
        self.discard(partition, files, Vec::new());
    }

    pub fn get_record(&self, partition: TopicPartition, ticket: Ticket, seq: u64, key: String) {
        let (shared, answer) = (self.shared.clone(), self.answer.clone());
        self.runtime.spawn(async move {
            let found = patiently(&key, || shared.get(&key)).await;
            let found = found.and_then(|bytes| match bytes {
                Some(bytes) => Record::parse(&bytes).map(|r| Some(Arc::new(r))),
                None => Ok(None),
            });
            let found = found.map_err(|fault| fault.at(key));
            answer(partition, Event::Record { ticket, seq, found });
        });
    }

    pub fn put_record(
        &self,
        partition: TopicPartition,
        ticket: Ticket,
        key: String,
        record: Arc<Record>,
        after_ms: u64,
    ) {
        let (shared, answer) = (self.shared.clone(), self.answer.clone());
        self.runtime.spawn(async move {
            if after_ms > 0 {
                clock::sleep(Duration::from_millis(after_ms)).await;
            }
            let result = {
                let _permit = shared.requests.acquire().await.ok();
                shared.store.put_create(&key, record.to_bytes().into()).await
            };
            answer(partition, Event::Wrote(ticket, wrote(result)));
        });
    }

    pub fn list_chains(&self, partition: TopicPartition, ticket: Ticket, prefix: String) {
        let (shared, answer) = (self.shared.clone(), self.answer.clone());
        self.runtime.spawn(async move {
            let found = patiently(&prefix, || folders(&shared.store, &prefix)).await;
            answer(partition, Event::Chains(ticket, found));
        });
    }

    /// Lets the janitor look, some time from now, together with the claims that come meanwhile.
    pub fn claimed(&self, partition: TopicPartition, epoch: u64, hash: String) {
        let shared = self.shared.clone();
        let first = {
            let mut claims = shared.claims.lock().unwrap_or_else(PoisonError::into_inner);
            claims.push(Claimed { partition, epoch, hash });
            claims.len() == 1
        };
        if first {
            self.runtime.spawn(async move {
                clock::sleep(JANITOR_WAIT).await;
                let claims = {
                    let mut claims = shared.claims.lock().unwrap_or_else(PoisonError::into_inner);
                    std::mem::take(&mut *claims)
                };
                sweep(&shared.store, &claims).await;
            });
        }
    }

    pub fn publish(&self, partition: TopicPartition, commit: Ticket, files: Vec<Staged>) {
        let (shared, answer) = (self.shared.clone(), self.answer.clone());
        self.runtime.spawn(async move {
            let shared = &shared;
            let results: Vec<Result<(), Fault>> = futures::stream::iter(files)
                .map(|staged| async move { publish_one(shared, &staged).await })
                .buffer_unordered(PUBLISH_MAX)
                .collect()
                .await;
            let event = match results.into_iter().find_map(Result::err) {
                None => Event::Published(commit),
                Some(fault) => Event::NotPublished(commit, fault),
            };
            answer(partition, event);
        });
    }
}

impl Shared {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        let _permit = self.requests.acquire().await.ok();
        self.store.get(key).await
    }
}

/// What the machine must know of a create-only put.
pub(super) fn wrote(result: Result<Put, Fault>) -> Wrote {
    match result {
        Ok(Put::Created) => Wrote::Created,
        Ok(Put::Exists) => Wrote::Doubt,
        Err(fault) if passes(&fault) => Wrote::Doubt,
        Err(fault) => Wrote::Refused(fault),
    }
}

/// True for a fault that the same call may not meet the next time.
fn passes(fault: &Fault) -> bool {
    matches!(fault.code.kind, Kind::Retry | Kind::Pause)
}

/// Calls until the answer is no fault that passes.
async fn patiently<T, F: Future<Output = Result<T, Fault>>>(
    what: &str,
    call: impl Fn() -> F,
) -> Result<T, Fault> {
    let mut tries = 0;
    loop {
        match call().await {
            Err(fault) if passes(&fault) => {
                tracing::warn!(what, tries, "the chain of commits is read again: {fault}");
                clock::sleep(clock::backoff(PUBLISH_PAUSE.0, PUBLISH_PAUSE.1, tries)).await;
                tries += 1;
            }
            other => return other,
        }
    }
}

/// Folders of topics' chains below a prefix, each with its `/`.
pub(super) async fn folders(store: &Store, prefix: &str) -> Result<Vec<String>, Fault> {
    let mut found = BTreeSet::new();
    let mut next = None;
    loop {
        let page = store.list(prefix, next.as_deref()).await?;
        for entry in &page.entries {
            let topic = parse_key(&entry.key)
                .and_then(|(chain, _)| chain.trim_end_matches('/').rsplit_once('/'))
                .map(|(topic, _)| format!("{topic}/"));
            found.extend(topic);
        }
        // More than two are no other case than two.
        if page.next.is_none() || found.len() > 1 {
            return Ok(found.into_iter().collect());
        }
        next = page.next;
    }
}

/// The janitor: aborts what no owner can publish any more, under these claims.
pub(super) async fn sweep(store: &Store, claims: &[Claimed]) {
    let orphans = match store.orphans("").await {
        Ok(orphans) => orphans,
        Err(fault) => {
            tracing::info!("unfinished uploads of dead owners stay for now: {fault}");
            return;
        }
    };
    let garbage =
        |key: &Option<String>| key.as_ref().is_some_and(|k| janitor::is_garbage(k, claims));
    for orphan in orphans.iter().filter(|o| garbage(&o.key)) {
        match store.sweep(orphan).await {
            Ok(()) => tracing::info!(key = orphan.key, "an upload of a dead owner is removed"),
            Err(fault) => tracing::info!(key = orphan.key, "an upload is left behind: {fault}"),
        }
    }
}

/// Carries one file through; `None` when it was discarded.
async fn upload(
    shared: &Shared,
    key: &str,
    mut steps: mpsc::UnboundedReceiver<Step>,
) -> Option<Result<Staged, Fault>> {
    let mut open = None;
    while let Some(step) = steps.recv().await {
        let bytes = match &step {
            Step::Part(bytes) | Step::End(bytes) => bytes.len(),
            Step::Discard => 0,
        };
        let result = take_step(shared, key, &mut open, step).await;
        shared.uploading.fetch_sub(bytes, Ordering::Relaxed);
        match result {
            Ok(None) => {}
            Ok(Some(Done::Staged(staged))) => return Some(Ok(staged)),
            Ok(Some(Done::Discarded)) => return None,
            Err(fault) => {
                drain(shared, steps).await;
                discard(shared, key, open).await;
                return Some(Err(fault));
            }
        }
    }
    None
}

/// Counts off what is in the queue of a failed upload.
async fn drain(shared: &Shared, mut steps: mpsc::UnboundedReceiver<Step>) {
    steps.close();
    while let Some(step) = steps.recv().await {
        if let Step::Part(bytes) | Step::End(bytes) = step {
            shared.uploading.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
    }
}

async fn discard(shared: &Shared, key: &str, upload: Option<crate::store::Upload>) {
    if let Some(upload) = upload
        && let Err(fault) = shared.store.discard(upload).await
    {
        tracing::warn!(key, "an unfinished upload is left behind: {fault}");
    }
}

enum Done {
    Staged(Staged),
    Discarded,
}

async fn take_step(
    shared: &Shared,
    key: &str,
    open: &mut Option<crate::store::Upload>,
    step: Step,
) -> Result<Option<Done>, Fault> {
    // The semaphore is never closed.
    let _permit = shared.requests.acquire().await.ok();
    if matches!(step, Step::Discard) {
        discard(shared, key, open.take()).await;
        return Ok(Some(Done::Discarded));
    }
    if open.is_none() {
        *open = Some(shared.store.begin(key).await?);
    }
    let Some(mut upload) = open.take() else { return Ok(None) };
    match step {
        Step::Part(bytes) => {
            let result = shared.store.part(&mut upload, bytes).await;
            *open = Some(upload);
            result.map(|()| None)
        }
        Step::End(tail) => Ok(Some(Done::Staged(shared.store.finish(upload, tail).await?))),
        Step::Discard => Ok(None),
    }
}

/// Publishes one file: transient faults are tried again until they pass.
async fn publish_one(shared: &Shared, staged: &Staged) -> Result<(), Fault> {
    let mut tries = 0;
    loop {
        let result = {
            let _permit = shared.requests.acquire().await.ok();
            shared.store.publish(staged).await
        };
        match result {
            Err(fault) if passes(&fault) => {
                tracing::warn!(key = staged.key, tries, "publishing is tried again: {fault}");
                clock::sleep(clock::backoff(PUBLISH_PAUSE.0, PUBLISH_PAUSE.1, tries)).await;
                tries += 1;
            }
            other => return other,
        }
    }
}
