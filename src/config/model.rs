//! The configuration as the other rooms read it: plain data, defaults filled in, units resolved.

mod commit;
mod evolution;
mod registry;
mod sink;
mod source;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use commit::{Authority, Commit, Schedule};
pub use evolution::{Compatibility, Evolution, EvolutionMode, OnIncompatible};
pub use registry::{IndexForm, Registry, RegistryAuth, SubjectNameStrategy, Tls, Wire};
pub use sink::{Compression, Escape, PartitionColumns, Rejects, Rotate, S3, Sink, SinkUrl};
pub use source::{OAuth, Source, Start, Topics};
pub use value::{
    Connect, Dialect, Enums, Extra, FieldIds, Format, Key, Metadata, Presence, Recursion,
    TimestampUnit, Tombstones, Unions, UnknownFields, Unsigned, Unwrap, Uuids, Value,
};

/// A value that is never shown: not in logs, not in errors, not in `{:?}`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Hand it to the client that needs it and to nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A text that another room compiles, with where it stands: `partition_by[1] (forebay.yaml:12)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placed {
    pub text: String,
    pub place: String,
}

/// A whole configuration file.
#[derive(Debug, Clone)]
pub struct Config {
    pub pipeline: Pipeline,
    /// Bytes for raw records, open rows and open files together.
    pub memory_limit: usize,
    /// `host:port` of `/healthz`, `/readyz` and `/metrics`.
    pub listen: Option<String>,
    /// From the first SIGTERM to leaving without what is not sealed.
    pub shutdown_timeout: Duration,
    /// What is not wrong and still worth saying, one line each, with its place.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Names the consumer group and the state; `[A-Za-z0-9._-]{1,128}`.
    pub name: String,
    pub source: Source,
    pub registry: Registry,
    pub wire: Wire,
    pub value: Value,
    pub key: Key,
    /// Columns beside the value's, without repetition, in the order of [`Metadata`].
    pub metadata: Vec<Metadata>,
    pub partition_by: Vec<PartitionItem>,
    pub sink: Sink,
    pub rotate: Rotate,
    pub commit: Commit,
    pub evolution: Evolution,
    pub rejects: Rejects,
    /// Which programs must be able to open the files.
    pub readers: Vec<Reader>,
    pub limits: Limits,
}

impl Pipeline {
    /// Whether records name schemas of the registry, in their keys or their values.
    pub fn asks_registry(&self) -> bool {
        self.value.format.is_framed() || self.key.format.is_some_and(Format::is_framed)
    }
}

/// One item of `partition_by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionItem {
    /// The expression, compiled by `partition`.
    pub expr: Placed,
    /// Name of the path segment; derived from the expression when not given.
    pub name: Option<String>,
    /// IANA name; default UTC. Checked by `partition`.
    pub timezone: Option<Placed>,
}

/// What a schema that the registry does not have, or that gives no columns, does to its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnusableSchema {
    /// They are rejected, the registry's `unknown_id_grace` over.
    Reject,
    /// Their Kafka partition waits.
    Pause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Spark,
    Athena,
    Trino,
    Duckdb,
    /// The exact types of the mapping tables.
    Native,
}

/// Bounds for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Key and value and headers; larger ones are rejected by reference.
    pub record_bytes: usize,
    /// Nesting of messages, groups, records, arrays.
    pub depth: u32,
    /// Bytes one record may take as columns; the larger of this and 64 times its own size.
    pub decoded_bytes: usize,
    /// And never more than this, however large the record: a quarter of `memory.limit`.
    pub decoded_bytes_max: usize,
    /// List elements, map entries and sub-messages one record may make.
    pub nodes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record_bytes: 32 << 20,
            depth: 100,
            decoded_bytes: 64 << 20,
            decoded_bytes_max: 1 << 30,
            nodes: 10_000_000,
        }
    }
}
