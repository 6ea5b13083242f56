//! Bytes → objects under a root: staged first, visible only when published.
//!
//! Owns: S3 and local disk, their retries, and what "exists" means there.
//! Does not own: which keys and formats, when to publish (`commit`).
//! Bounded by: one part a call; every request has a deadline and every call a last try.
//! Absent: rdkafka, columns. Every AWS type stays in `s3`, every system call in `local`.

mod codes;
mod count;
mod key;
mod lifecycle;
mod local;
mod memory;
mod probe;
mod s3;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::error::Fault;

pub use codes::*;
pub use count::Verb;
pub use lifecycle::LifecycleRule;
#[doc(hidden)]
pub use local::seam as disk_seam;
pub use memory::{Chance, Memory, Trouble};
pub use probe::Probe;

/// A place for files: one bucket and prefix, or one folder; and where `_forebay/` stands, which may be another.
///
/// Keys are relative to the root, `/`-separated, without `.` or `..` segments; those of small objects below
/// `_forebay` to the root of the state. Uploads go to the files' place, whatever their key. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    data: Backend,
    /// A local disk knows both of its places itself.
    state: Option<Backend>,
}

/// Everything that is no data stands below it.
const STATE: &str = "_forebay";

#[derive(Debug, Clone)]
enum Backend {
    Local(Arc<local::Local>),
    S3(Arc<s3::S3>),
    Memory(Memory),
}

/// A file being staged. Dropping it leaves an upload or a staged name behind: call [`Store::discard`].
#[derive(Debug)]
pub struct Upload {
    /// Final key.
    pub key: String,
    /// Bytes appended so far.
    pub bytes: u64,
    /// What `publish` will need, as far as it is known.
    handle: Handle,
}

/// A staged file: complete, durable, and not visible under its key.
///
/// Plain data, so that a commit record can carry it and another process can publish it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Staged {
    pub key: String,
    pub bytes: u64,
    pub handle: Handle,
}

/// What publishes a staged file. Single use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handle {
    /// A multipart upload.
    S3 {
        /// Empty until the first part is sent.
        upload_id: String,
        /// Of the parts, in order from part 1.
        etags: Vec<String>,
        /// `<algorithm>=<base64>` of each part, where the upload was made with a checksum algorithm.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        checksums: Vec<String>,
        /// Stands in the object's user metadata: tells this file from any other at its key.
        token: String,
    },
    /// A file below the stage folder.
    Local {
        /// `<owner>/<file>`
        name: String,
        /// Inode number and modification time (ns since 1970) tell this file from any other at its
        /// key: a rename keeps both.
        inode: u64,
        mtime_ns: i64,
    },
}

/// How a create-only put ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Created,
    /// Something is there already. It may be what this very call put: an answer can get lost and the
    /// request be sent again. Read it back.
    Exists,
}

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub bytes: u64,
    /// Milliseconds since 1970 by the store's clock, where it says. Of a multipart upload, Amazon S3 tells when
    /// it was begun.
    pub modified_ms: Option<i64>,
}

/// A part of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// At most [`PAGE_MAX`]; may be empty though more follow.
    pub entries: Vec<Entry>,
    /// Where the next page starts; none on the last one. Means nothing to another store.
    pub next: Option<String>,
}

/// Most objects in a page, as on Amazon S3.
pub const PAGE_MAX: usize = 1_000;

/// Most folders that [`Store::folders`] gives.
pub const FOLDERS_MAX: usize = 10_000;

/// Something staged that no live process of this program may be working on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Final key; unknown on local disk.
    pub key: Option<String>,
    /// `upload_id` of [`Handle::S3`] or `name` of [`Handle::Local`].
    pub id: String,
    /// Milliseconds since 1970 by the store's clock, where it says.
    pub started_ms: Option<i64>,
}

/// Calls the same method of whichever backend this store is.
macro_rules! each {
    ($store:expr, $backend:ident => $call:expr) => {
        match $store {
            Backend::Local($backend) => $call,
            Backend::S3($backend) => $call,
            Backend::Memory($backend) => $call,
        }
    };
}

impl Store {
    /// Opens the sink's root; does not touch it yet.
    ///
    /// Errors: [`CONFIG`] for S3 options that the client cannot take.
    pub async fn open(sink: &config::Sink) -> Result<Self, Fault> {
        match (&sink.url, sink.state_url()) {
            (config::SinkUrl::Local(root), config::SinkUrl::Local(state)) => {
                let local = local::Local::new(root.clone(), state.clone());
                Ok(Self { data: Backend::Local(Arc::new(local)), state: None })
            }
            (
                config::SinkUrl::S3 { bucket, prefix },
                config::SinkUrl::S3 { bucket: state_bucket, prefix: state_prefix },
            ) => {
                let s3 = s3::S3::open(bucket, prefix, &sink.s3).await?;
                let state = sink.state.as_ref().map(|_| s3.at(state_bucket, state_prefix));
                let state = state.map(|state| Backend::S3(Arc::new(state)));
                Ok(Self { data: Backend::S3(Arc::new(s3)), state })
            }
            (sink, state) => Err(Fault::new(
                &CONFIG,
                format!(
                    "state `{state}`: beside the sink `{sink}`, a place of the same kind required"
                ),
            )),
        }
    }

    /// As [`Store::open`], for who writes nothing: a folder is not made, and need not be writable.
    pub async fn open_to_read(sink: &config::Sink) -> Result<Self, Fault> {
        let (config::SinkUrl::Local(root), config::SinkUrl::Local(state)) =
            (&sink.url, sink.state_url())
        else {
            return Self::open(sink).await;
        };
        let local = local::Local::reading(root.clone(), state.clone());
        Ok(Self { data: Backend::Local(Arc::new(local)), state: None })
    }

    /// The store of a small object, or of a listing.
    fn at(&self, key: &str) -> &Backend {
        self.state.as_ref().filter(|_| key::is_of_state(key)).unwrap_or(&self.data)
    }

    /// The files' place, also for keys below [`STATE`].
    fn of_data(&self) -> Self {
        Self { data: self.data.clone(), state: None }
    }

    /// A store in memory with S3's manners, for simulations; see [`Memory`].
    pub fn memory(memory: Memory) -> Self {
        Self { data: Backend::Memory(memory), state: None }
    }

    /// As [`Store::memory`], the state in a bucket of its own.
    pub fn memory_beside(data: Memory, state: Memory) -> Self {
        Self { data: Backend::Memory(data), state: Some(Backend::Memory(state)) }
    }

    /// Checks what a run needs: credentials, bucket or folder, permissions one by one. Writes and removes
    /// only what starts with `_forebay/probe`. One fault per missing thing.
    pub async fn probe(&self) -> Probe {
        probe::probe(self).await
    }

    /// Least bytes of a part that is not the last (0 on local disk).
    pub fn part_bytes(&self) -> usize {
        each!(&self.data, s => s.part_bytes())
    }

    /// Starts a file at its final key. Sends nothing yet.
    ///
    /// Errors: [`KEY`].
    pub async fn begin(&self, key: &str) -> Result<Upload, Fault> {
        let handle = each!(&self.data, s => s.begin(key))?;
        Ok(Upload { key: key.to_owned(), bytes: 0, handle })
    }

    /// Appends a part: all but the last at least [`Store::part_bytes`].
    ///
    /// After an error the upload is only good for [`Store::discard`].
    pub async fn part(&self, upload: &mut Upload, bytes: Bytes) -> Result<(), Fault> {
        each!(&self.data, s => s.part(upload, bytes).await)
    }

    /// Appends the last bytes (perhaps none) and makes the staged file durable.
    ///
    /// After an error what was staged is discarded, as far as the store still answers.
    pub async fn finish(&self, mut upload: Upload, tail: Bytes) -> Result<Staged, Fault> {
        match each!(&self.data, s => s.finish(&mut upload, tail).await) {
            Ok(()) => Ok(Staged { key: upload.key, bytes: upload.bytes, handle: upload.handle }),
            Err(fault) => {
                // The first fault is the one to tell; what stays behind is an orphan.
                let _ = self.trying(BRIEFLY).discard(upload).await;
                Err(fault)
            }
        }
    }

    /// Makes a staged file visible under its key. Calling it again after success is success.
    /// A file that is there already and is not this one is refused, never overwritten, on local disk.
    ///
    /// Errors: [`FOREIGN`]; [`LOST`] when what was staged is gone and nothing of it is at the key:
    /// it was published and moved away, or it was never published and removed.
    pub async fn publish(&self, staged: &Staged) -> Result<(), Fault> {
        each!(&self.data, s => s.publish(staged).await)
    }

    /// As [`Store::publish`], for what may be published already, on a store where publishing once more brings back
    /// a file that was moved away: looks first.
    pub async fn publish_unless_there(&self, staged: &Staged) -> Result<(), Fault> {
        match each!(&self.data, s => s.is_published(staged).await)? {
            true => Ok(()),
            false => self.publish(staged).await,
        }
    }

    /// Forgets a file that is not published.
    pub async fn discard(&self, upload: Upload) -> Result<(), Fault> {
        each!(&self.data, s => s.discard(&upload.key, &upload.handle).await)
    }

    /// As [`Store::discard`], for a staged one. Does nothing to a published one.
    pub async fn discard_staged(&self, staged: &Staged) -> Result<(), Fault> {
        each!(&self.data, s => s.discard(&staged.key, &staged.handle).await)
    }

    /// Creates a small object, whole and durable, unless something is at its key.
    ///
    /// After an error it may be there, or come to be there later: read it back.
    pub async fn put_create(&self, key: &str, bytes: Bytes) -> Result<Put, Fault> {
        each!(self.at(key), s => s.put_create(key, bytes).await)
    }

    /// As [`Store::put_create`], of what is not decided by Kafka: also a store whose records have no condition is
    /// asked to keep what is there.
    pub async fn put_once(&self, key: &str, bytes: Bytes) -> Result<Put, Fault> {
        match self.at(key) {
            Backend::S3(s3) => s3.put_once(key, bytes).await,
            _ => self.put_create(key, bytes).await,
        }
    }

    /// Reads a small object; `None` when there is none. Over [`GET_BYTES_MAX`] it is refused.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        each!(self.at(key), s => s.get(key).await)
    }

    /// Reads `len` bytes of an object of any size from `from` on: fewer, or none, where it ends before that.
    /// `None` when there is no object.
    pub async fn range(&self, key: &str, from: u64, len: usize) -> Result<Option<Bytes>, Fault> {
        each!(self.at(key), s => s.range(key, from, len).await)
    }

    /// Whether there is an object, and of what size.
    pub async fn head(&self, key: &str) -> Result<Option<Entry>, Fault> {
        each!(self.at(key), s => s.head(key).await)
    }

    /// The first or, after a page's `next`, a later page of the objects whose keys start with
    /// `prefix`. Keys come in order of their bytes; SeaweedFS has its own order, folder by folder.
    pub async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Fault> {
        each!(self.at(prefix), s => s.list(prefix, next).await)
    }

    /// What stands between `prefix` and the next `/`, with both, where there is an object below: in one request,
    /// however many there are. At most [`FOLDERS_MAX`].
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        each!(self.at(prefix), s => s.folders(prefix).await)
    }

    /// Rules by which the buckets of files and state remove things by themselves; empty on local disk. Errors:
    /// the bucket does not say, or may not be asked.
    pub async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, Fault> {
        let mut rules = match &self.data {
            Backend::S3(s3) => s3.lifecycle().await?,
            Backend::Local(_) | Backend::Memory(_) => Vec::new(),
        };
        if let (Backend::S3(data), Some(Backend::S3(state))) = (&self.data, &self.state)
            && !data.shares_bucket(state)
        {
            rules.extend(state.lifecycle().await?);
        }
        Ok(rules)
    }

    /// Removes an object. That there is none is success.
    pub async fn delete(&self, key: &str) -> Result<(), Fault> {
        each!(self.at(key), s => s.delete(key).await)
    }

    /// What was staged below `prefix` and is neither published nor discarded: every unfinished upload
    /// on S3, also of live processes; on local disk what processes left that are gone, at any key.
    ///
    /// A commit record may still name them. So ask first, then read the records, and only then
    /// [`Store::sweep`] what no record names: in another order a record written in between is missed.
    pub async fn orphans(&self, prefix: &str) -> Result<Vec<Orphan>, Fault> {
        each!(&self.data, s => s.orphans(prefix).await)
    }

    /// Discards one orphan. On local disk it is left alone if its owner is alive.
    pub async fn sweep(&self, orphan: &Orphan) -> Result<(), Fault> {
        each!(&self.data, s => s.sweep(orphan).await)
    }

    /// The same store for one without conditional writes: [`Store::put_create`] writes over what is there, on S3. Only
    /// for names that nobody else uses, and where Kafka is the authority over commits.
    pub fn unconditional(&self) -> Self {
        let plain = |backend: &Backend| match backend {
            Backend::S3(s3) => Backend::S3(s3.unconditional().into()),
            other => other.clone(),
        };
        Self { data: plain(&self.data), state: self.state.as_ref().map(plain) }
    }

    /// The same store, each call trying for so long where it would try longer.
    fn trying(&self, time: Duration) -> Self {
        let trying = |backend: &Backend| match backend {
            Backend::S3(s3) => Backend::S3(s3.trying(time).into()),
            other => other.clone(),
        };
        Self { data: trying(&self.data), state: self.state.as_ref().map(trying) }
    }

    /// Requests so far by verb and outcome, for metrics: (`put_part`, `ok`, 12) …
    pub fn requests(&self) -> Vec<(&'static str, &'static str, u64)> {
        each!(&self.data, s => s.counts().all())
    }
}

/// What [`Store::range`] gives of a whole object.
fn part(whole: &Bytes, from: u64, len: usize) -> Bytes {
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(whole.len());
    whole.slice(from..from.saturating_add(len).min(whole.len()))
}

/// How long a call is tried whose failure is not the end of anything.
const BRIEFLY: Duration = Duration::from_secs(10);

/// Largest object that [`Store::get`] reads, in bytes.
pub const GET_BYTES_MAX: usize = 64 << 20;
