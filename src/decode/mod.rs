//! Bodies of records → Arrow rows, one row or one reject each.
//!
//! Owns: the plan (compiled once per schema, message path and options) and the run (the hot loop),
//! for Protobuf and Avro; what each type becomes.
//! Does not own: framing (`wire`), schemas (`registry`), which rows share a file (`evolve`).
//! Bounded by: [`crate::config::Limits`], per record.
//! Absent: IO, clocks, async, trees of values.

pub mod columns;
pub mod protobuf;
pub mod avro;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::config;
use crate::error::{Fault, Reject};
use crate::registry::Schema;

/// What the configuration says about columns.
#[derive(Debug, Clone)]
pub struct Options {
    pub value: config::Value,
    pub readers: Vec<config::Reader>,
    pub limits: config::Limits,
}

/// How records of one writer schema (and message) become rows. Compiled once, shared by all workers.
#[derive(Debug)]
pub struct Plan {
    /// Columns of the rows, in the order the source declares its fields. Nothing in it makes
    /// `parquet`'s writer refuse or panic.
    pub schema: SchemaRef,
    /// Full name of the message or record: `shop.Order`; for an Avro type without a name, its type.
    pub record_name: String,
    /// What was chosen for the sake of the readers, one line each: `created_at: ns → µs for spark`.
    pub notes: Vec<String>,
    program: Program,
}

#[derive(Debug)]
enum Program {
    Protobuf(protobuf::Program),
    Avro(avro::Program),
}

impl Plan {
    /// Compiles the plan for one writer schema; `indexes` name the message of a Protobuf file and are
    /// ignored otherwise.
    ///
    /// Errors: indexes that name no message ([`crate::wire::INDEXES`]), a schema that has no columns
    /// here (code 02xx). Cost: a walk over the schema; call it once per schema.
    pub fn compile(
        schema: &Schema,
        indexes: &[u32],
        options: &Options,
    ) -> Result<Arc<Plan>, Fault> {
        let _ = (schema, indexes, options);
        unimplemented!()
    }
}

/// Rows under construction for one plan.
///
/// The contract: [`Decoder::append`] adds exactly one row, or leaves every column as it was.
#[derive(Debug)]
pub struct Decoder {
    plan: Arc<Plan>,
    columns: columns::Columns,
}

impl Decoder {
    pub fn new(plan: Arc<Plan>) -> Self {
        let _ = plan;
        unimplemented!()
    }

    /// Appends the row of one body, or nothing. The body must be consumed to its last byte.
    #[inline]
    pub fn append(&mut self, body: &[u8]) -> Result<(), Box<Reject>> {
        let _ = body;
        unimplemented!()
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Rows since the last [`Decoder::finish`].
    pub fn rows(&self) -> usize {
        unimplemented!()
    }

    /// Bytes those rows take as columns, about.
    pub fn bytes(&self) -> usize {
        unimplemented!()
    }

    /// Unknown fields skipped since the last call (Protobuf).
    pub fn take_unknown_fields(&mut self) -> u64 {
        unimplemented!()
    }

    /// The rows as a batch; the decoder starts anew, keeping its capacity.
    pub fn finish(&mut self) -> RecordBatch {
        unimplemented!()
    }
}
