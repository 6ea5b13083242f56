//! A folder of a local filesystem.
//!
//! Owns: staging, syncing, and renames that never overwrite.
//! Bounded by: no descriptor is kept between calls but the root's and the stage's.
//! Absent: links followed below the root; anything that survives an error of `fsync` as if it had worked.
//!
//! Source: openat2(2), rename(2), fsync(2); "Can applications recover from fsync failures?"
//! (Rebello et al., USENIX ATC 2020).

mod disk;
mod list;
pub mod seam;
mod stage;
mod sys;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OnceCell;

use crate::error::Fault;

use super::count::{Counts, Outcome};
use super::{DISK, Entry, Handle, Orphan, PAGE_MAX, Page, Put, Staged, Upload, Verb, key};
use disk::Disk;

#[derive(Debug)]
pub struct Local {
    root: PathBuf,
    /// Where `_forebay/` stands: a folder of the same filesystem, or the root.
    state: PathBuf,
    read_only: bool,
    disk: OnceCell<Arc<Disk>>,
    counts: Counts,
}

impl Local {
    pub fn new(root: PathBuf, state: PathBuf) -> Self {
        Self { root, state, read_only: false, disk: OnceCell::new(), counts: Counts::default() }
    }

    /// As [`Local::new`], for who writes nothing.
    pub fn reading(root: PathBuf, state: PathBuf) -> Self {
        Self { read_only: true, ..Self::new(root, state) }
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn part_bytes(&self) -> usize {
        0
    }

    pub fn begin(&self, key: &str) -> Result<Handle, Fault> {
        key::check("", key)?;
        Ok(Handle::Local { name: String::new(), inode: 0, mtime_ns: 0 })
    }

    pub async fn part(&self, upload: &mut Upload, bytes: Bytes) -> Result<(), Fault> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (handle, at, len) = (upload.handle.clone(), upload.bytes, bytes.len() as u64);
        upload.handle =
            self.run(Verb::PutPart, move |disk| disk.append(handle, at, &bytes)).await?;
        upload.bytes += len;
        Ok(())
    }

    pub async fn finish(&self, upload: &mut Upload, tail: Bytes) -> Result<(), Fault> {
        let (handle, at, len) = (upload.handle.clone(), upload.bytes, tail.len() as u64);
        upload.handle = self.run(Verb::PutPart, move |disk| disk.seal(handle, at, &tail)).await?;
        upload.bytes += len;
        Ok(())
    }

    pub async fn publish(&self, staged: &Staged) -> Result<(), Fault> {
        key::check("", &staged.key)?;
        let staged = staged.clone();
        self.run(Verb::Complete, move |disk| disk.publish(&staged)).await
    }

    pub async fn discard(&self, _key: &str, handle: &Handle) -> Result<(), Fault> {
        let handle = handle.clone();
        self.run(Verb::Abort, move |disk| disk.discard(&handle)).await
    }

    pub async fn put_create(&self, key: &str, bytes: Bytes) -> Result<Put, Fault> {
        key::check("", key)?;
        let key = key.to_owned();
        self.run(Verb::Put, move |disk| disk.put_create(&key, &bytes)).await
    }

    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        key::check("", key)?;
        let key = key.to_owned();
        self.run(Verb::Get, move |disk| disk.get(&key)).await
    }

    pub async fn range(&self, key: &str, from: u64, len: usize) -> Result<Option<Bytes>, Fault> {
        key::check("", key)?;
        let key = key.to_owned();
        self.run(Verb::Get, move |disk| disk.range(&key, from, len)).await
    }

    pub async fn head(&self, key: &str) -> Result<Option<Entry>, Fault> {
        key::check("", key)?;
        let key = key.to_owned();
        self.run(Verb::Head, move |disk| disk.head(&key)).await
    }

    pub async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Fault> {
        key::check_prefix(prefix)?;
        let (prefix, after) = (prefix.to_owned(), next.unwrap_or_default().to_owned());
        let list = move |disk: &Disk| disk.list(&prefix, &after, PAGE_MAX);
        let entries = self.run(Verb::List, list).await?;
        let full = entries.len() >= PAGE_MAX;
        let next = entries.last().filter(|_| full).map(|entry| entry.key.clone());
        Ok(Page { entries, next })
    }

    pub async fn is_published(&self, _staged: &Staged) -> Result<bool, Fault> {
        Ok(false) // a rename happens once; publishing looks by itself
    }

    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        key::check_prefix(prefix)?;
        let prefix = prefix.to_owned();
        self.run(Verb::List, move |disk| disk.folders(&prefix)).await
    }

    pub async fn delete(&self, key: &str) -> Result<(), Fault> {
        key::check("", key)?;
        let key = key.to_owned();
        self.run(Verb::Delete, move |disk| disk.delete(&key)).await
    }

    pub async fn orphans(&self, _prefix: &str) -> Result<Vec<Orphan>, Fault> {
        let names = self.run(Verb::ListUploads, |disk| disk.orphans()).await?;
        Ok(names.into_iter().map(|id| Orphan { key: None, id, started_ms: None }).collect())
    }

    pub async fn sweep(&self, orphan: &Orphan) -> Result<(), Fault> {
        let name = orphan.id.clone();
        self.run(Verb::Abort, move |disk| disk.sweep(&name)).await
    }

    /// Runs `work` on a thread that may block, the disk opened before, and counts it.
    async fn run<T: Send + 'static>(
        &self,
        verb: Verb,
        work: impl FnOnce(&Disk) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let result = match self.disk().await {
            Ok(disk) => blocking(move || disk.usable().and_then(|()| work(&disk))).await,
            Err(fault) => Err(fault),
        };
        self.counts.add(verb, if result.is_ok() { Outcome::Ok } else { Outcome::Failed });
        result
    }

    async fn disk(&self) -> Result<Arc<Disk>, Fault> {
        let open = async {
            let (root, state) = (self.root.clone(), self.state.clone());
            let open = if self.read_only { Disk::read_only } else { Disk::open };
            blocking(move || open(&root, &state).map(Arc::new)).await
        };
        self.disk.get_or_try_init(|| open).await.cloned()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(seam::carried(work)).await {
        Ok(result) => result,
        Err(e) => Err(Fault::new(&DISK, format!("disk work: {e}, an end required"))),
    }
}
