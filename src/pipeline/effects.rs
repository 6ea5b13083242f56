//! What tasks ask of the world, carried out on the async runtime.
//!
//! Owns: registry questions, uploads in order per file, records of the chain, publishing with retries, the
//! janitor; answers go back to the worker that asked.
//! Does not own: Kafka (`threads`), what an answer means (`task`).
//! Bounded by: `REQUESTS_MAX` store requests at a time; bytes waiting are counted in `uploading`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{Semaphore, mpsc};

use crate::clock;
use crate::commit::janitor::{self, Claimed};
use crate::commit::machine::{Chains, FileId, Ticket, Wrote};
use crate::commit::record::{self, Record, Topic};
use crate::config::Authority;
use crate::crash::{self, Point};
use crate::error::{Fault, Kind};
use crate::file::name;
use crate::pipeline::lanes::Output;
use crate::pipeline::task::{Event, Look, TopicAt};
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
pub type Answer = Arc<dyn Fn(TopicPartition, Asker, Event) + Send + Sync>;

/// The assignment that asked; it is gone before another one of the same Kafka partition begins.
#[derive(Debug, Clone, Default)]
pub struct Asker(Weak<()>);

impl Asker {
    pub fn is_there(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// The world as one worker sees it.
pub struct Effects {
    pub runtime: tokio::runtime::Handle,
    /// None where records name no schema.
    pub registry: Option<Arc<registry::Client>>,
    pub shared: Arc<Shared>,
    pub answer: Answer,
    files: HashMap<(TopicPartition, FileId), mpsc::UnboundedSender<Step>>,
    /// Of the assignments that are: questions to the registry of one that is over end, and are not answered.
    askers: HashMap<TopicPartition, Arc<()>>,
}

/// What all workers share.
pub struct Shared {
    pub store: Store,
    /// Publishing once more may bring back a file that was moved away: it is looked for first.
    revives: bool,
    requests: Semaphore,
    /// Bytes handed over and not yet staged.
    pub uploading: AtomicUsize,
    /// Claims that the janitor has not looked at yet.
    claims: Mutex<Vec<Claimed>>,
    /// Staged for commits in doubt of assignments that are over.
    kept: Mutex<HashMap<TopicPartition, Vec<Staged>>>,
}

impl Shared {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            revives: false,
            requests: Semaphore::new(REQUESTS_MAX),
            uploading: AtomicUsize::new(0),
            claims: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// As the probe says; what it could not try is taken for the worse.
    pub fn reviving(self, revives: Option<bool>) -> Self {
        Self { revives: revives != Some(false), ..self }
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
        let (files, askers) = (HashMap::new(), HashMap::new());
        Self { runtime, registry, shared, answer, files, askers }
    }

    /// An assignment begins: the questions of one before it end.
    pub fn begin(&mut self, partition: &TopicPartition) {
        self.askers.insert(partition.clone(), Arc::default());
    }

    /// An assignment is over.
    pub fn end(&mut self, partition: &TopicPartition) {
        self.askers.remove(partition);
    }

    fn asker(&self, partition: &TopicPartition) -> Asker {
        Asker(self.askers.get(partition).map(Arc::downgrade).unwrap_or_default())
    }

    pub fn ask(&self, partition: TopicPartition, schema: SchemaRef, after_ms: u64, anew: bool) {
        let (registry, answer) = (self.registry.clone(), self.answer.clone());
        let asker = self.asker(&partition);
        self.runtime.spawn(async move {
            if after_ms > 0 {
                clock::sleep(Duration::from_millis(after_ms)).await;
            }
            if !asker.is_there() {
                return;
            }
            let found = match registry {
                Some(registry) if anew => registry.by_ref_anew(schema).await,
                Some(registry) => registry.by_ref(schema).await,
                None => return, // nobody asks where records name no schema
            };
            answer(partition, asker, Event::Schema(schema, found));
        });
    }

    pub fn ask_subject(
        &self,
        partition: TopicPartition,
        subject: Arc<str>,
        want: registry::Want,
        after_ms: u64,
    ) {
        let (registry, answer) = (self.registry.clone(), self.answer.clone());
        let asker = self.asker(&partition);
        self.runtime.spawn(async move {
            if after_ms > 0 {
                clock::sleep(Duration::from_millis(after_ms)).await;
            }
            if !asker.is_there() {
                return;
            }
            let found = match registry {
                Some(registry) => registry.history(&subject, want).await,
                None => return, // nobody asks where records name no schema
            };
            answer(partition, asker, Event::Subject(subject, found));
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
        let asker = self.asker(partition);
        let sender = self.files.entry(id.clone()).or_insert_with(|| {
            let (sender, steps) = mpsc::unbounded_channel();
            let (shared, answer) = (self.shared.clone(), self.answer.clone());
            let (partition, asker) = (partition.clone(), asker.clone());
            self.runtime.spawn(async move {
                if let Some(result) = upload(&shared, &key, steps).await {
                    answer(partition, asker, Event::Staged(file, result));
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

    /// Keeps what is staged for a commit in doubt until this process claims the Kafka partition again.
    pub fn keep(&self, partition: &TopicPartition, staged: Vec<Staged>) {
        let mut kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entry(partition.clone()).or_default().extend(staged);
    }

    /// Discards whatever is being staged for a Kafka partition whose task is gone.
    pub fn forget(&mut self, partition: &TopicPartition) {
        self.end(partition);
        let files =
            self.files.keys().filter(|(tp, _)| tp == partition).map(|(_, file)| *file).collect();
        self.discard(partition, files, Vec::new());
    }

    pub fn get_record(&self, partition: TopicPartition, ticket: Ticket, seq: u64, key: String) {
        let (shared, answer) = (self.shared.clone(), self.answer.clone());
        let asker = self.asker(&partition);
        self.runtime.spawn(async move {
            let Some(found) = patiently(&key, &asker, || shared.get(&key)).await else { return };
            let found = found.and_then(|bytes| match bytes {
                Some(bytes) => Record::parse(&bytes).map(|r| Some(Arc::new(r))),
                None => Ok(None),
            });
            let found = found.map_err(|fault| fault.at(key));
            answer(partition, asker, Event::Record { ticket, seq, found });
        });
    }

    pub fn put_record(
        &self,
        partition: TopicPartition,
        ticket: Ticket,
        (key, record): (String, Arc<Record>),
        after_ms: u64,
        authority: Authority,
    ) {
        let (shared, answer) = (self.shared.clone(), self.answer.clone());
        let asker = self.asker(&partition);
        self.runtime.spawn(async move {
            if after_ms > 0 {
                clock::sleep(Duration::from_millis(after_ms)).await;
            }
            let result = {
                let _permit = shared.requests.acquire().await.ok();
                let [unsent, sent, there] = points(&record);
                crash::point(unsent);
                let put = put_record(&shared.store, &key, &record, authority);
                let result = crash::under_way(sent, put).await;
                crash::point(there);
                result
            };
            answer(partition, asker, Event::Wrote(ticket, wrote(result)));
        });
    }

    pub fn list_chains(&self, partition: TopicPartition, ticket: Ticket, look: Box<Look>) {
        let (shared, answer) = (self.shared.clone(), self.answer.clone());
        let asker = self.asker(&partition);
        self.runtime.spawn(async move {
            let store = &shared.store;
            let found = patiently(&look.prefix, &asker, || chains(store, &look)).await;
            if let Some(found) = found {
                answer(partition, asker, Event::Chains(ticket, found));
            }
        });
    }

    /// Lets the janitor look, some time from now, together with the claims that come meanwhile.
    pub fn claimed(&mut self, partition: TopicPartition, epoch: u64, hash: String) {
        let kept = {
            let mut kept = self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let of_any = kept.remove(&partition).unwrap_or_default();
            // Not those of another chain, which the topic had before it was made anew.
            let (own, others): (Vec<_>, Vec<_>) =
                of_any.into_iter().partition(|s| name::is_of(&s.key, &hash));
            if !others.is_empty() {
                kept.insert(partition.clone(), others);
            }
            own
        };
        // The claim has the place that their record wanted, or one after it: they are published, or never will be.
        self.discard(&partition, Vec::new(), kept);
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

    pub fn publish(
        &self,
        partition: TopicPartition,
        commit: Ticket,
        files: Vec<Staged>,
        recovery: bool,
    ) {
        let (shared, answer) = (self.shared.clone(), self.answer.clone());
        let asker = self.asker(&partition);
        self.runtime.spawn(async move {
            let (shared, asking) = (&shared, &asker);
            let count = files.len();
            let results: Vec<Option<Result<(), Fault>>> = futures::stream::iter(files)
                .map(|staged| async move { publish_one(shared, asking, &staged, recovery).await })
                .buffer_unordered(PUBLISH_MAX)
                .enumerate()
                .map(|(done, result)| {
                    if done + 1 < count {
                        crash::point(Point::SomePublished);
                    }
                    result
                })
                .collect()
                .await;
            // Nobody asks any more: who comes next publishes what is not.
            let Some(results) = results.into_iter().collect::<Option<Vec<_>>>() else { return };
            let event = match results.into_iter().find_map(Result::err) {
                None => {
                    crash::point(Point::AllPublished);
                    Event::Published(commit)
                }
                Some(fault) => Event::NotPublished(commit, fault),
            };
            answer(partition, asker, event);
        });
    }
}

impl Shared {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        let _permit = self.requests.acquire().await.ok();
        self.store.get(key).await
    }
}

/// Before a record is sent, while it is, and when it is there.
fn points(record: &Record) -> [Point; 3] {
    match record.kind {
        record::Kind::Claim => [Point::ClaimUnsent, Point::ClaimSent, Point::ClaimThere],
        _ => [Point::RecordUnsent, Point::RecordSent, Point::RecordThere],
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

/// Calls until the answer is no fault that passes; `None` if nobody waits for it any more.
async fn patiently<T, F: Future<Output = Result<T, Fault>>>(
    what: &str,
    asker: &Asker,
    call: impl Fn() -> F,
) -> Option<Result<T, Fault>> {
    let mut tries = 0;
    loop {
        match call().await {
            Err(_) if !asker.is_there() => return None,
            Err(fault) if passes(&fault) => {
                tracing::warn!(what, tries, "the chain of commits is read again: {fault}");
                clock::sleep(clock::backoff(PUBLISH_PAUSE.0, PUBLISH_PAUSE.1, tries)).await;
                tries += 1;
            }
            other => return Some(other),
        }
    }
}

/// What is there of a topic's chains; `topic` is written down if none of them is.
///
/// The folders first: what is in this topic's own before anybody wrote the topic down was there before it.
pub(super) async fn chains(store: &Store, look: &Look) -> Result<Chains, Fault> {
    let Look { prefix, folder, topic: TopicAt { key, now }, records, named } = look;
    let folders = store.folders(prefix).await?;
    let mut there = store.get(key).await?;
    let begun = folders.iter().any(|f| f == folder);
    if let Some(now) = now.as_ref().filter(|_| there.is_none() && !begun) {
        // Another instance may be doing the same: what is there in the end counts.
        store.put_once(key, now.to_bytes().into()).await?;
        there = store.get(key).await?;
    }
    let (seq_max, ends) = match records {
        Some(folder) => ends(store, folder).await?,
        None => (0, Vec::new()),
    };
    let topic =
        there.map(|bytes| Topic::parse(&bytes).map_err(|f| f.at(key.clone()))).transpose()?;
    let mut named_in = None;
    for other in folders.iter().filter(|f| *f != folder) {
        let Some((end, id)) = named else { break };
        let key = format!("{other}{end}");
        let Some(bytes) = store.get(&key).await? else { continue };
        if Record::parse(&bytes).map_err(|f| f.at(key))?.id == *id {
            named_in = Some(other.clone());
            break;
        }
    }
    let partitions = topic.map(|topic| topic.partitions);
    Ok(Chains { folders, partitions, seq_max, ends, named_in })
}

/// The highest seq of the records in a folder, 0 for none, and the ids of those there.
async fn ends(store: &Store, folder: &str) -> Result<(u64, Vec<Arc<str>>), Fault> {
    let (mut seq_max, mut ends, mut next) = (0, Vec::new(), None);
    loop {
        let page = store.list(folder, next.as_deref()).await?;
        for entry in &page.entries {
            let Some((_, seq, id)) = record::parse_named_key(&entry.key) else { continue };
            if seq > seq_max {
                (seq_max, ends) = (seq, Vec::new());
            }
            if seq == seq_max {
                ends.push(Arc::from(id));
            }
        }
        next = page.next;
        if next.is_none() {
            return Ok((seq_max, ends));
        }
    }
}

/// Puts a record where its authority wants it.
pub(super) async fn put_record(
    store: &Store,
    key: &str,
    record: &Record,
    authority: Authority,
) -> Result<Put, Fault> {
    let put = store.put_create(key, record.to_bytes().into()).await;
    match authority {
        Authority::Store => put,
        // By an earlier try: nobody else uses the name.
        Authority::Kafka => put.map(|_| Put::Created),
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
        crash::point(Point::BeforeUpload);
        *open = Some(shared.store.begin(key).await?);
    }
    let Some(mut upload) = open.take() else { return Ok(None) };
    match step {
        Step::Part(bytes) => {
            let result = shared.store.part(&mut upload, bytes).await;
            *open = Some(upload);
            crash::point(Point::PartSent);
            result.map(|()| None)
        }
        Step::End(tail) => {
            let staged = shared.store.finish(upload, tail).await?;
            crash::point(Point::FileStaged);
            Ok(Some(Done::Staged(staged)))
        }
        Step::Discard => Ok(None),
    }
}

/// Publishes one file: transient faults are tried again until they pass, also if nobody waits for it any more: a chain
/// whose topic was made anew has no other to do it. `None` where the store brings files back and nobody waits: who went
/// on may have published it, and a file that was moved since must not come back.
async fn publish_one(
    shared: &Shared,
    asker: &Asker,
    staged: &Staged,
    recovery: bool,
) -> Option<Result<(), Fault>> {
    let mut tries = 0;
    loop {
        let result = {
            let _permit = shared.requests.acquire().await.ok();
            let publishing = async {
                match shared.revives && (recovery || tries > 0) {
                    true => shared.store.publish_unless_there(staged).await,
                    false => shared.store.publish(staged).await,
                }
            };
            crash::under_way(Point::PublishSent, publishing).await
        };
        match result {
            Err(_) if shared.revives && !asker.is_there() => return None,
            Err(fault) if passes(&fault) => {
                tracing::warn!(key = staged.key, tries, "publishing is tried again: {fault}");
                clock::sleep(clock::backoff(PUBLISH_PAUSE.0, PUBLISH_PAUSE.1, tries)).await;
                tries += 1;
            }
            other => return Some(other),
        }
    }
}
