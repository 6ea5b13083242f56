//! Avro's binary encoding → rows, by the schema the writer used.
//!
//! Owns: what each Avro type becomes, the steps of a writer schema, reading one datum by them.
//! Does not own: framing (`wire`), parsing schemas (`registry`), builders and what readers open
//! (`decode`).
//! Bounded by: `limits.depth` of nesting, [`Meter`] for what a record makes: items of arrays and maps
//! are counted by block, before the first one is read, because an item may take no byte at all.
//! Absent: reader schemas (files follow their writer schema), defaults, aliases of fields, Avro's
//! container files, single-object encoding, trees of values.
//!
//! A schema passes through three forms: `shape` is the schema as a graph, references followed; `compile`
//! lays its columns out and makes one `step` for each; `run` follows the steps. What has no columns of
//! its own (a record inside itself, unions as JSON, dropped fields) is walked by its shape in `text`.
//!
//! Source: the Avro 1.12 specification; Confluent's Avro serializer for a top level of `bytes`, which it
//! writes without a length.

pub mod codes;
mod compile;
mod cursor;
pub(in crate::decode) mod decimal;
mod failure;
mod leaf;
mod run;
mod shape;
mod step;
mod text;

use crate::decode::columns::{Columns, Meter};
use crate::decode::{Compiled, Options};
use crate::error::{Fault, Reject};
use crate::registry::AvroSchema;
use compile::Compiler;
use cursor::Cursor;
use run::Run;
use shape::{Shape, Shapes};
use step::Step;

/// How datums of one writer schema become rows.
#[derive(Debug)]
pub struct Program {
    shapes: Shapes,
    root: Step,
    /// The body is one value of bytes without its length.
    bare: bool,
}

/// Compiles a writer schema.
///
/// Errors: [`codes::SCHEMA`]; [`crate::decode::codes::NO_COLUMNS`], [`crate::decode::codes::TOO_WIDE`]
/// and [`crate::decode::codes::DEPTH`] for a schema beyond the bounds.
pub fn compile(schema: &AvroSchema, options: &Options) -> Result<Compiled<Program>, Fault> {
    let shapes = Shapes::new(&schema.schema).map_err(|fault| *fault)?;
    let mut compiler = Compiler::new(&shapes, options);
    let (columns, root) = compiler.root()?;
    let Compiler { layout, notes, record_name, .. } = compiler;
    let shape = layout.finish(&record_name, columns)?;
    let bare = matches!(shapes[shapes.root], Shape::Bytes | Shape::Decimal { fixed: None, .. });
    Ok(Compiled { shape, record_name, notes, program: Program { shapes, root, bare } })
}

/// What a run keeps from record to record beside the columns.
#[derive(Debug, Default)]
pub struct State {
    /// Text of the value in progress.
    scratch: Vec<u8>,
}

impl State {
    pub fn new(_: &Program) -> Self {
        Self::default()
    }
}

impl Program {
    /// Reads one body into the next row. A failure leaves part of a row behind: roll back.
    ///
    /// Errors: [`codes::CODES`], and the bounds of [`crate::decode::codes`].
    #[inline]
    pub fn row(
        &self,
        columns: &mut Columns,
        meter: &mut Meter,
        state: &mut State,
        body: &[u8],
    ) -> Result<(), Box<Reject>> {
        let row = columns.rows();
        let cursor = Cursor::new(body);
        let scratch = &mut state.scratch;
        let run = Run { cursor, columns, meter, shapes: &self.shapes, scratch };
        if self.bare { run.body(&self.root, body, row) } else { run.datum(&self.root, row) }
    }
}
