//! Bytes → objects under a root: staged first, visible only when published.
//!
//! Owns: S3 and local disk, their retries, and what "exists" means there.
//! Does not own: keys, formats, when to publish (`commit`).
//! Bounded by: one part a call; every request has a deadline.
//! Absent: rdkafka, columns. Every AWS type stays in here.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::error::Fault;

/// A place for files: one bucket and prefix, or one folder.
///
/// Keys are relative to the root, `/`-separated, without `.` or `..` segments. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {}

/// A file being staged. Dropping it leaves an upload or a staged name behind: call [`Store::discard`].
#[derive(Debug)]
pub struct Upload {
    /// Final key.
    pub key: String,
}

/// A staged file: complete, durable, and not visible under its key.
///
/// Plain data, so that a commit record can carry it and another process can publish it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    pub key: String,
    pub bytes: u64,
    pub handle: Handle,
}

/// What publishes a staged file. Single use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handle {
    /// Upload id and the ETags of its parts, in order from part 1.
    S3 { upload_id: String, etags: Vec<String> },
    /// Name of the staged file below the stage folder.
    Local { name: String },
}

impl Store {
    /// Opens the sink's root; does not touch it yet.
    pub async fn open(sink: &config::Sink) -> Result<Self, Fault> {
        let _ = sink;
        unimplemented!()
    }

    /// Checks what a run needs: credentials, bucket or folder, permissions one by one. Writes and removes
    /// only what starts with `_forebay/probe`. One fault per missing thing.
    pub async fn probe(&self) -> Vec<Fault> {
        unimplemented!()
    }

    /// Least bytes of a part that is not the last (0 on local disk).
    pub fn part_bytes(&self) -> usize {
        unimplemented!()
    }

    /// Starts a file at its final key.
    pub async fn begin(&self, key: &str) -> Result<Upload, Fault> {
        let _ = key;
        unimplemented!()
    }

    /// Appends a part: all but the last at least [`Store::part_bytes`].
    pub async fn part(&self, upload: &mut Upload, bytes: Bytes) -> Result<(), Fault> {
        let _ = (upload, bytes);
        unimplemented!()
    }

    /// Appends the last bytes (perhaps none) and makes the staged file durable.
    pub async fn finish(&self, upload: Upload, tail: Bytes) -> Result<Staged, Fault> {
        let _ = (upload, tail);
        unimplemented!()
    }

    /// Makes a staged file visible under its key. Calling it again after success is success.
    /// A file that is there already and is not this one is refused, never overwritten, on local disk.
    pub async fn publish(&self, staged: &Staged) -> Result<(), Fault> {
        let _ = staged;
        unimplemented!()
    }

    /// Forgets a file that is not published.
    pub async fn discard(&self, upload: Upload) -> Result<(), Fault> {
        let _ = upload;
        unimplemented!()
    }

    /// As [`Store::discard`], for a staged one.
    pub async fn discard_staged(&self, staged: &Staged) -> Result<(), Fault> {
        let _ = staged;
        unimplemented!()
    }

    /// Requests so far by verb and outcome, for metrics: (`put_part`, `ok`, 12) …
    pub fn requests(&self) -> Vec<(&'static str, &'static str, u64)> {
        unimplemented!()
    }
}
