//! Rows of one lane → bytes of one file. Pure: bytes come out, nobody writes here.
//!
//! Owns: Parquet encoding, properties, the footer that says where rows came from, names, rotation,
//! the reject file's columns.
//! Does not own: stores, which rows belong together (`partition`, `evolve`).
//! Bounded by: [`ParquetFile::memory`], which the caller watches.
//! Absent: IO, clocks, async.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use crate::config::{Compression, Reader};
use crate::error::Fault;
use crate::position::{Offset, TopicPartition};

/// How files are encoded; one per sink.
#[derive(Debug, Clone)]
pub struct Encoding {
    pub compression: Compression,
    pub level: Option<u32>,
    pub readers: Vec<Reader>,
}

/// Where the rows of one file came from; grows while it is written, ends in its footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    pub pipeline: String,
    pub topic_partition: TopicPartition,
    /// First and last offset of the rows in the file (both in it).
    pub first: Offset,
    pub last: Offset,
    /// Ids of the writer schemas.
    pub schema_ids: BTreeSet<u32>,
    pub record_name: String,
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

/// One Parquet file under construction; its bytes are taken out as they are made.
pub struct ParquetFile {}

impl ParquetFile {
    /// Starts a file with these columns. Refuses a schema that Parquet cannot hold (code 08xx).
    pub fn new(schema: SchemaRef, encoding: &Encoding) -> Result<Self, Fault> {
        let _ = (schema, encoding);
        unimplemented!()
    }

    /// Encodes rows; columns as in the schema. After an error the file is lost.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), Fault> {
        let _ = rows;
        unimplemented!()
    }

    pub fn rows(&self) -> u64 {
        unimplemented!()
    }

    /// Bytes of the file if it were closed now, about: written plus in progress, as stored.
    pub fn size(&self) -> u64 {
        unimplemented!()
    }

    /// Memory held by encoders and by bytes not yet taken.
    pub fn memory(&self) -> usize {
        unimplemented!()
    }

    /// The bytes made so far if they are at least `min`, exactly `min` of them.
    pub fn take_part(&mut self, min: usize) -> Option<Bytes> {
        let _ = min;
        unimplemented!()
    }

    /// Closes the file with its footer; gives the bytes not yet taken.
    pub fn finish(self, provenance: &Provenance) -> Result<(Bytes, FileStats), Fault> {
        let _ = provenance;
        unimplemented!()
    }
}
