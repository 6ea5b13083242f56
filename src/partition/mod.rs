//! Rows → output keys. Pure.
//!
//! Owns: typed expressions over rows, time zones, escaping, Hive paths.
//! Does not own: file names (`file::name`), stores.
//! Bounded by: a key of 1,024 bytes, a component of 255, a value of 256; a longer value is cut with a hash
//! or rejected. What is kept between batches: 65,536 values and keys, 8 MiB of text.
//! Absent: IO, clocks (`_timestamp` is the record's), async.
//!
//! # Expressions
//!
//! ```text
//! item     = path | metadata | function
//! path     = name { "." name | "['" map key "']" }          device.os   tags['env']
//! name     = letters, digits, "_"  |  "\"" anything "\""      "my-field".id
//! metadata = _topic _partition _offset _timestamp _schema_id _record_name
//! function = year(x) month(x) day(x) hour(x) minute(x)      time buckets
//!          | interval(x, 15m)                               1m to 24h, dividing a day
//!          | strftime(x, '%Y/%m')
//!          | bucket(n, x) | truncate(n, x)                  as Apache Iceberg has them
//!          | coalesce(x, y, …, 'text')                      the first that is not null
//! x        = path | metadata | coalesce(…)
//! ```
//! A doubled quote inside quotes is one quote. Column names are case-sensitive. `_key` is the column of
//! [`Partitioner::compile`]; `headers.x` is refused by this version.
//!
//! Time functions take timestamps, dates, ISO 8601 strings, and numbers. Options come last:
//!
//! | option | |
//! |---|---|
//! | `unit='ms'` | of integers, and of strings that hold one: `s` `ms` `us` `ns` |
//! | `pattern='%d/%m/%Y'` | how strings are written (strptime) |
//! | `timezone='Europe/Paris'` | whose days these are, and how strings without a zone are read; default the item's `timezone`, else UTC |
//! | `invalid='unknown'` | where rows go whose value is no time, or outside `years`; without it they are rejects |
//! | `years='1970..2100'` | both included; a time outside is a reject, because its unit is usually wrong |
//!
//! | function | text |
//! |---|---|
//! | `year` | `2026` |
//! | `month` | `2026-01` |
//! | `day` | `2026-01-02` |
//! | `hour` | `2026-01-02T15` |
//! | `minute`, `interval` | `2026-01-02T15-04`, the start of the interval: `-` because `:` would be escaped |
//!
//! All local to the zone. When clocks are set back, both of the repeated hours go to one folder; intervals
//! count from local midnight. Timestamps without zone and dates are wall times, which no zone moves.
//! Before 1970 buckets floor.
//!
//! # Names
//!
//! An item without `name` is named by the last part of its path and its functions: `device.os` → `os`,
//! `day(created_at)` → `created_at_day`, `_topic` → `topic`, `_op` → `op`, `day(_timestamp)` → `timestamp_day`,
//! `coalesce(a, 'x')` → `a_coalesce`. With `escape: connect` a path keeps its dots (`device.os`), as
//! Connect writes it. Two items of one name, or a name that a column in the files has too, are findings.
//!
//! # Paths
//!
//! `<topic>/<name>=<value>/…`, escaped by `hive`; how each type is written, by `text`. Null is
//! `__HIVE_DEFAULT_PARTITION__`, the empty text `__EMPTY__`; no escaped value starts with `_`, so neither
//! can be taken for a value. A value over 256 bytes (or 255 with its name) becomes a prefix, `~`, and
//! the first 32 hex digits of its SHA-256, if its column stays in the files; else its row is rejected.
//! With `escape: connect` values stand raw, except `/`, control characters and noncharacters: different
//! values may then share a folder, so that columns stay in the files.

mod bind;
mod calendar;
mod codes;
mod column;
mod expr;
pub mod hive;
mod iceberg;
mod item;
mod memo;
pub mod near;
mod resolve;
mod run;
mod text;
mod texts;
mod time;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use crate::config::{Escape, PartitionColumns, PartitionItem};
pub use codes::{
    CODES, COLUMNS, FIELD, FUNCTION, LATER, LENGTH, MISFIT, NAME, SYNTAX, TIME, TIMEZONE, TYPE,
    VALUE, YEAR,
};

use crate::error::{Fault, Reject};
use crate::position::{Offset, TopicPartition};
use crate::record::Timestamp;

/// `partition_by`, compiled: knows the expressions, not yet the columns.
#[derive(Debug, Clone)]
pub struct Partitioner {
    items: Vec<item::Item>,
    escape: Escape,
    columns: PartitionColumns,
    reserved_bytes: usize,
}

/// A partitioner bound to the columns of one plan.
///
/// Keeps what it has met from batch to batch; one thread uses it.
#[derive(Debug)]
pub struct Bound {
    segments: Vec<bind::Segment>,
    dropped: Vec<usize>,
    tree: run::Tree,
    scratch: run::Scratch,
}

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

/// Longest name of a segment, in bytes after escaping.
const NAME_MAX: usize = 100;

impl Partitioner {
    /// Compiles the expressions; `key`: rows have the column `_key`, which they may name. Every finding at
    /// once: code 06xx, placed as the items are.
    pub fn compile(
        items: &[PartitionItem],
        escape: Escape,
        columns: PartitionColumns,
        key: bool,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut compiled: Vec<item::Item> = Vec::new();
        for item in items {
            let found = item::compile(item, escape, key)
                .and_then(|item| check_name(&compiled, escape, &item).map(|()| item));
            match found {
                Ok(item) => compiled.push(item),
                Err(fault) => faults.push(fault.at(&item.expr.place)),
            }
        }
        let columns = match (escape, columns) {
            (Escape::Connect, PartitionColumns::Drop) => {
                faults.push(Fault::new(
                    &COLUMNS,
                    "partition_columns `drop` with escape `connect`: different values may share a folder, `keep` or escape `hive` required",
                ));
                columns
            }
            (Escape::Connect, PartitionColumns::Auto) => PartitionColumns::Keep,
            _ => columns,
        };
        if faults.is_empty() {
            Ok(Self { items: compiled, escape, columns, reserved_bytes: 0 })
        } else {
            Err(faults)
        }
    }

    /// Counts what stands before the topic in every object key (the sink's prefix and its slash) toward
    /// the 1,024 bytes that a key may have. Default 0.
    pub fn reserving(mut self, bytes: usize) -> Self {
        self.reserved_bytes = bytes;
        self
    }

    /// Names of the segments, in order, unescaped.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|item| item.name.as_str())
    }

    /// Names of the segments with the column that each writes as it is, if it is one.
    pub fn named_columns(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.items.iter().map(|item| (item.name.as_str(), item.plain_column()))
    }

    /// Binds to the columns of a plan. A path no column has gives nulls if `lenient`, else a fault that
    /// names the nearest there is; a type that an expression cannot take is a fault always.
    pub fn bind(&self, schema: &Schema, lenient: bool) -> Result<Bound, Vec<Fault>> {
        bind::bind(self, schema, lenient)
    }
}

fn check_name(earlier: &[item::Item], escape: Escape, item: &item::Item) -> Result<(), Fault> {
    let (name, text) = (&item.name, text::quoted(&item.text));
    let fault = |what: String| Err(Fault::new(&NAME, what));
    if name.is_empty() {
        return fault(format!("partition name of `{text}`: empty, at least one letter required"));
    }
    let escaped = hive::component(escape, name).len();
    if escaped > NAME_MAX {
        return fault(format!(
            "partition name of `{text}`: {escaped} bytes when escaped, at most {NAME_MAX} required; give the item a `name`"
        ));
    }
    // Hive and Glue fold case.
    match earlier.iter().find(|other| other.name.to_lowercase() == name.to_lowercase()) {
        Some(other) => fault(format!(
            "partition name `{name}` of `{text}`: item `{}` has it too, another required; give one of them a `name`",
            text::quoted(&other.text)
        )),
        None => Ok(()),
    }
}

impl Bound {
    fn new(
        segments: Vec<bind::Segment>,
        dropped: Vec<usize>,
        escape: Escape,
        reserved_bytes: usize,
    ) -> Self {
        let tree = run::Tree::new(escape, reserved_bytes);
        Self { segments, dropped, tree, scratch: run::Scratch::default() }
    }

    /// Indexes of the top-level columns that files do not repeat (`partition_columns`), rising.
    pub fn dropped(&self) -> &[usize] {
        &self.dropped
    }

    /// The key of every row. Batches of several topics may come in any order.
    ///
    /// Rejects: [`TIME`], [`YEAR`], [`LENGTH`], [`VALUE`]; one per row at most, rows rising.
    pub fn keys(&mut self, batch: &RecordBatch, context: Context<'_>) -> Keys {
        run::keys(&mut self.segments, &mut self.tree, &mut self.scratch, batch, context)
    }
}
