//! Rows → output keys. Pure.
//!
//! Owns: typed expressions over rows, time zones, escaping, Hive paths.
//! Does not own: file names (`file::name`), stores.
//! Bounded by: a key of 1,024 bytes, a value of 256; what is longer is cut with a hash or rejected.
//! Absent: IO, clocks (`_timestamp` is the record's), async.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use crate::config::{Escape, PartitionColumns, PartitionItem};
use crate::error::{Fault, Reject};
use crate::position::{Offset, TopicPartition};
use crate::record::Timestamp;

/// `partition_by`, compiled: knows the expressions, not yet the columns.
#[derive(Debug, Clone)]
pub struct Partitioner {}

/// A partitioner bound to the columns of one plan.
#[derive(Debug)]
pub struct Bound {}

/// What rows of one batch have in common, and what each row has beside its columns.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub topic_partition: &'a TopicPartition,
    /// Full name of the message or record.
    pub record_name: &'a str,
    /// By row; as long as the batch.
    pub offsets: &'a [Offset],
    /// By row; as long as the batch.
    pub timestamps: &'a [Timestamp],
    /// By row; as long as the batch.
    pub schema_ids: &'a [u32],
}

/// One output key: where rows with these partition values go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Path below the sink's root without file name and without slashes at its ends:
    /// `orders/country=FR/created_at_day=2026-01-02`. Starts with the topic, escaped.
    pub path: String,
    /// Name and text of each partition value, unescaped; `None` is null.
    pub values: Vec<(String, Option<String>)>,
}

/// The keys of one batch.
#[derive(Debug, Default)]
pub struct Keys {
    /// By row: index into `keys`, or [`Keys::REJECTED`].
    pub of_row: Vec<u32>,
    /// Distinct keys in order of first use.
    pub keys: Vec<Arc<Key>>,
    /// Rows that have no key, with the reason.
    pub rejects: Vec<(u32, Box<Reject>)>,
}

impl Keys {
    pub const REJECTED: u32 = u32::MAX;
}

impl Partitioner {
    /// Compiles the expressions. Every finding at once: code 06xx, placed as the items are.
    pub fn compile(
        items: &[PartitionItem],
        escape: Escape,
        columns: PartitionColumns,
    ) -> Result<Self, Vec<Fault>> {
        let _ = (items, escape, columns);
        unimplemented!()
    }

    /// Binds to the columns of a plan. A path no column has gives nulls if `lenient`, else a fault that
    /// names the columns there are; a type that an expression cannot take is a fault always.
    pub fn bind(&self, schema: &Schema, lenient: bool) -> Result<Bound, Vec<Fault>> {
        let _ = (schema, lenient);
        unimplemented!()
    }
}

impl Bound {
    /// Indexes of the top-level columns that files do not repeat (`partition_columns`), rising.
    pub fn dropped(&self) -> &[usize] {
        unimplemented!()
    }

    /// The key of every row.
    pub fn keys(&mut self, batch: &RecordBatch, context: Context<'_>) -> Keys {
        let _ = (batch, context);
        unimplemented!()
    }
}
