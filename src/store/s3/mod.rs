//! A bucket and prefix of Amazon S3 or of what speaks its protocol.
//!
//! Owns: the client, multipart uploads, and the one layer of retries.
//! Does not own: when to publish (`commit`).
//! Bounded by: 10,000 parts an upload, one part in memory a call, [`TRYING`] a call.
//! Absent: condition headers on completing an upload: after a conflict S3 wants the upload made anew,
//! and a commit record would name a dead one.
//!
//! Source: Amazon S3 API reference, "Uploading and copying objects using multipart upload".

mod call;
mod lifecycle;
mod errors;
mod object;
mod options;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;

use crate::config;
use crate::error::Fault;

use super::count::Counts;
use super::{Handle, key};
use options::Options;

/// How long one call keeps starting new tries.
pub const TRYING: Duration = Duration::from_secs(120);

/// Bytes of a part where the configuration says nothing.
const PART_BYTES: usize = 8 << 20;

#[derive(Debug, Clone)]
pub struct S3 {
    client: Client,
    bucket: String,
    /// Without slashes at its ends; may be empty.
    prefix: String,
    part_bytes: usize,
    options: Options,
    trying: Duration,
    /// Puts say `If-None-Match: *`.
    conditional: bool,
    counts: Arc<Counts>,
}

impl S3 {
    pub async fn open(bucket: &str, prefix: &str, sink: &config::S3) -> Result<Self, Fault> {
        let (client, options) = options::client(sink).await?;
        Ok(Self {
            client,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            part_bytes: sink.part_bytes.unwrap_or(PART_BYTES),
            options,
            trying: TRYING,
            conditional: true,
            counts: Arc::default(),
        })
    }

    /// The same bucket through the same client, each call trying for so long if not less.
    pub fn trying(&self, time: Duration) -> Self {
        Self { trying: self.trying.min(time), ..self.clone() }
    }

    /// The same bucket, whose puts have no condition: what is there is written over.
    pub fn unconditional(&self) -> Self {
        Self { conditional: false, ..self.clone() }
    }

    /// Another place of the same service: one client, one count.
    pub fn at(&self, bucket: &str, prefix: &str) -> Self {
        Self { bucket: bucket.to_owned(), prefix: prefix.to_owned(), ..self.clone() }
    }

    pub fn shares_bucket(&self, other: &Self) -> bool {
        self.bucket == other.bucket
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    pub fn begin(&self, key: &str) -> Result<Handle, Fault> {
        key::check(&self.prefix, key)?;
        Ok(Handle::S3 {
            upload_id: String::new(),
            etags: Vec::new(),
            checksums: Vec::new(),
            token: crate::clock::fresh_id(),
        })
    }

    /// A key with the prefix before it.
    fn full(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) }
    }

    /// The way back; `None` for what does not stand below the prefix.
    fn relative<'a>(&self, full: &'a str) -> Option<&'a str> {
        if self.prefix.is_empty() {
            return Some(full);
        }
        full.strip_prefix(&self.prefix)?.strip_prefix('/')
    }
}
