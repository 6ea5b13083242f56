//! Rows of one lane → bytes of one file. Pure: bytes come out, nobody writes here.
//!
//! Owns: Parquet encoding, properties, the footer that says where rows came from, names, rotation,
//! the reject file's columns.
//! Does not own: stores, which rows belong together (`partition`, `evolve`).
//! Bounded by: [`ParquetFile::memory`], which the caller watches.
//! Absent: IO, clocks, async.

pub mod parquet;
mod gzip;
pub mod schema;
pub mod learn;
pub mod footer;
pub mod name;
pub mod rotation;
pub mod reject;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Compression, Reader};
use crate::error::{Code, Kind};
use crate::evolve::Changes;
use crate::position::{Offset, TopicPartition};

pub use learn::Learned;
pub use parquet::ParquetFile;

pub static COLUMNS: Code = Code {
    id: "FB0801",
    kind: Kind::Halt,
    title: "columns that Parquet cannot hold",
    help: "The schema of these records gives a column that no Parquet file can have. Change the schema, or choose another form for the column under `value`.",
};
pub static LEVEL: Code = Code {
    id: "FB0802",
    kind: Kind::Halt,
    title: "compression level out of range",
    help: "gzip has levels 0 to 9 and zstd 1 to 22; snappy, lz4 and none have no level. Set or remove `sink.compression_level`.",
};
pub static ENCODE: Code = Code {
    id: "FB0803",
    kind: Kind::Bug,
    title: "rows that could not be encoded",
    help: "The encoder refused rows of columns that it had accepted. The file is dropped and its records are read again; please report it with the message.",
};
pub static FOOTER: Code = Code {
    id: "FB0804",
    kind: Kind::Halt,
    title: "a file without a readable origin",
    help: "The file's footer does not say which records it holds, or says it in a form this version does not know. It was not written by this program, or by a newer version.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[&COLUMNS, &LEVEL, &ENCODE, &FOOTER];

/// How files are encoded; one per sink.
#[derive(Debug, Clone)]
pub struct Encoding {
    pub compression: Compression,
    /// gzip 0 to 9 (default 6), zstd 1 to 22 (default 3); must be `None` for the others.
    pub level: Option<u32>,
    pub readers: Vec<Reader>,
}

/// Where the rows of one file came from; grows while it is written, ends in its footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    pub pipeline: String,
    /// Id of the commit record that names the file; empty where none does.
    pub commit: String,
    pub topic_partition: TopicPartition,
    /// First and last offset of the rows in the file (both in it).
    pub first: Offset,
    pub last: Offset,
    /// Ids of the writer schemas.
    pub schema_ids: BTreeSet<u32>,
    pub record_name: String,
    /// Id of the schema whose columns the rows have, where that is not their writers' own; 0 for those of no
    /// one schema.
    pub target: Option<u32>,
    /// What became of the columns of a writer's schema, by its id; those of which something did.
    pub changes: BTreeMap<u32, Changes>,
    /// `data` or `reject`
    pub role: &'static str,
    /// Partition values, unescaped.
    pub partition_values: Vec<(String, Option<String>)>,
}

/// What a closed file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStats {
    pub rows: u64,
    pub bytes: u64,
}
