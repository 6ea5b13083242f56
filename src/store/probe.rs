//! What a sink must allow, tried out before the first record is read.

use bytes::Bytes;
use futures::future::join_all;

use crate::clock;
use crate::error::Fault;

use super::{
    BRIEFLY, BUCKET, Backend, CLOCK, CREDENTIALS, DENIED, LOST, METADATA, Put, REFUSED, Store,
    UNREACHABLE,
};

/// Puts that meet at one key.
const RACERS: usize = 8;
/// What the probe's keys start with; an id from [`clock::fresh_id`] follows.
const SCRATCH: &str = "_forebay/probe-";
/// Age at which a probe's objects are nobody's any more, in ms.
const LEFTOVER_MS: u64 = 3_600_000;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Probe {
    /// One per missing thing; empty when the sink is fit for a run.
    pub faults: Vec<Fault>,
    /// Whether a create-only put refuses what is there, also when several meet; none when it could
    /// not be tried. Without it the store cannot hold the commit chain.
    pub create_only: Option<bool>,
    /// Whether publishing once more brings back a file that was deleted meanwhile; none when it could
    /// not be tried.
    pub revives: Option<bool>,
}

/// See [`Store::probe`].
pub async fn probe(store: &Store) -> Probe {
    let store = store.trying(BRIEFLY);
    let id = clock::fresh_id();
    let base = format!("{SCRATCH}{id}");
    let mut probe = Probe::default();
    remove_leftovers(&store, &id).await;
    let writable = probe.small_objects(&store, &base).await;
    if writable {
        // Files may stand elsewhere than the state.
        let files = store.of_data();
        if store.state.is_some() {
            remove_leftovers(&files, &id).await;
        }
        probe.uploads(&files, &base).await;
        let uploads = store.orphans(&base).await;
        probe.note(uploads);
    }
    probe
}

impl Probe {
    /// Keeps the fault, if any.
    fn note<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                // A request refused twice misses one thing.
                let request = |f: &Fault| f.message.split(' ').next().map(str::to_owned);
                let same = |f: &Fault| f.code == fault.code && request(f) == request(&fault);
                if !self.faults.iter().any(same) {
                    self.faults.push(fault);
                }
                None
            }
        }
    }

    /// Create, create again, read, look, list, delete. Whether it makes sense to go on.
    async fn small_objects(&mut self, store: &Store, base: &str) -> bool {
        let key = format!("{base}.json");
        let body = Bytes::from_static(b"forebay");
        match store.put_create(&key, body.clone()).await {
            Ok(_) => {}
            Err(fault) => {
                // The rest would say the same, or wait as long for it.
                let all = [&UNREACHABLE, &CREDENTIALS, &BUCKET, &CLOCK, &DENIED];
                let go_on = !all.contains(&fault.code) && store.is_s3();
                self.note::<()>(Err(fault));
                return go_on;
            }
        }
        let again = store.put_create(&key, body.clone()).await;
        self.create_only = self.note(again).map(|put| put == Put::Exists);
        if self.create_only == Some(true) {
            self.race(store, base).await;
        }
        let read = store.get(&key).await;
        if let Some(read) = self.note(read) {
            if read.as_ref() != Some(&body) {
                self.faults.push(odd(&key, "what was written reads back otherwise"));
            }
            let none = store.head(&format!("{base}.none")).await;
            self.note(none);
        }
        let listed = store.list(base, None).await;
        if let Some(listed) = self.note(listed)
            && !listed
                .entries
                .iter()
                .any(|entry| entry.key == key && entry.bytes == body.len() as u64)
        {
            self.faults.push(odd(&key, "what was written is not listed"));
        }
        self.delete(store, &key).await;
        true
    }

    /// Several create-only puts at once: one may win, and its bytes must be those that are there.
    async fn race(&mut self, store: &Store, base: &str) {
        let key = format!("{base}.race");
        let puts = join_all((0..RACERS).map(|racer| {
            let key = &key;
            async move { store.put_create(key, Bytes::from(racer.to_string())).await }
        }));
        let mut winners = Vec::new();
        for (racer, put) in puts.await.into_iter().enumerate() {
            if self.note(put) == Some(Put::Created) {
                winners.push(racer.to_string());
            }
        }
        let read = store.get(&key).await;
        if let Some(read) = self.note(read) {
            let kept = |w: &String| read.as_deref() == Some(w.as_bytes());
            self.create_only = Some(winners.len() <= 1 && winners.iter().all(kept));
        }
        self.delete(store, &key).await;
    }

    /// Stage and publish, publish again, delete and publish again; stage and discard.
    async fn uploads(&mut self, store: &Store, base: &str) {
        let key = format!("{base}.file");
        let body = Bytes::from_static(b"forebay");
        let staged = stage(store, &key, body.clone()).await;
        let Some(staged) = self.note(staged) else { return };
        let published = store.publish(&staged).await;
        if self.note(published).is_some() {
            let kept = store.keeps_token(&staged.key).await;
            if self.note(kept) == Some(false) {
                self.faults.push(Fault::new(
                    &METADATA,
                    format!("object `{key}`: no user metadata, `forebay-upload` required"),
                ));
            } else {
                let again = store.publish(&staged).await;
                self.note(again);
            }
            if self.delete(store, &key).await {
                self.revives = match store.publish_again(&staged).await {
                    Err(fault) if *fault.code == LOST => Some(false),
                    Err(fault) => self.note(Err(fault)),
                    Ok(()) => {
                        let there = store.head(&key).await;
                        self.note(there).map(|there| there.is_some())
                    }
                };
                self.delete(store, &key).await;
            }
        }
        let staged = stage(store, &format!("{base}.discarded"), body).await;
        if let Some(staged) = self.note(staged) {
            let discarded = store.discard_staged(&staged).await;
            self.note(discarded);
        }
    }

    async fn delete(&mut self, store: &Store, key: &str) -> bool {
        let deleted = store.delete(key).await;
        self.note(deleted).is_some()
    }
}

/// Removes what probes of processes that were killed left behind, an hour ago or more. What it may not do, the
/// probe itself will say.
async fn remove_leftovers(store: &Store, id: &str) {
    let Ok(page) = store.list(SCRATCH, None).await else { return };
    let begun_ms = |id: &str| id.get(..12).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let now_ms = begun_ms(id).unwrap_or_default();
    for entry in page.entries {
        let begun_ms = entry.key.strip_prefix(SCRATCH).and_then(begun_ms);
        if begun_ms.is_some_and(|begun_ms| begun_ms.saturating_add(LEFTOVER_MS) < now_ms) {
            let _ = store.delete(&entry.key).await;
        }
    }
}

async fn stage(store: &Store, key: &str, body: Bytes) -> Result<super::Staged, Fault> {
    let upload = store.begin(key).await?;
    store.finish(upload, body).await
}

impl Store {
    fn is_s3(&self) -> bool {
        matches!(self.data, Backend::S3(_))
    }

    /// Publishes what was published and deleted. Nothing is under way that a second look could find: a start does not
    /// wait for it.
    async fn publish_again(&self, staged: &super::Staged) -> Result<(), Fault> {
        match &self.data {
            Backend::S3(s3) => s3.publish_looking(staged, 1).await,
            _ => self.publish(staged).await,
        }
    }

    async fn keeps_token(&self, key: &str) -> Result<bool, Fault> {
        match &self.data {
            Backend::S3(s3) => Ok(s3.head_token(key).await?.is_none_or(|f| f.token.is_some())),
            _ => Ok(true),
        }
    }
}

#[cold]
fn odd(key: &str, found: &str) -> Fault {
    Fault::new(
        &REFUSED,
        format!("probe `{key}`: {found}, a store that keeps what it is given required"),
    )
}
