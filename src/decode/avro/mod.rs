//! Avro's binary encoding → rows, by the schema the writer used.
//!
//! Owns: what each Avro type becomes, the steps of a writer schema, reading one datum by them.
//! Does not own: framing (`wire`), parsing schemas (`registry`), builders and what readers open
//! (`decode`).
//! Bounded by: `limits.depth` of nesting, [`Meter`] for what a record makes: items of arrays and maps
//! are counted by block, before the first one is read, because an item may take no byte at all.
//! Absent: Avro's container files, single-object encoding, trees of values.
//!
//! A schema passes through three forms: `shape` is the schema as a graph, references followed; `compile`
//! lays its columns out and makes one `step` for each; `run` follows the steps; `onto` rewrites them where records are read as another schema. What has no columns of
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
mod onto;
mod run;
mod shape;
mod step;
mod text;

use crate::config::Dialect;
use crate::decode::columns::{Columns, Meter};
use crate::decode::{Compiled, Options};
use crate::error::{Fault, Reject};
use crate::registry::AvroSchema;
use compile::Compiler;
use cursor::Cursor;
use onto::{Assembled, Onto};
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
    /// The target, where records are read onto another schema; `shapes` are the writer's.
    onto: Option<Box<Onto>>,
    /// What the writer may write and the target has no place for.
    unreadable: Vec<String>,
}

/// Compiles a writer schema.
///
/// Errors: [`codes::SCHEMA`]; [`crate::decode::codes::TOO_WIDE`] and [`crate::decode::codes::DEPTH`] for a schema beyond the bounds.
pub fn compile(schema: &AvroSchema, options: &Options) -> Result<Compiled<Program>, Fault> {
    let (mut shapes, declared) = Shapes::with_declared(&schema.schema).map_err(|fault| *fault)?;
    if options.value.dialect != Dialect::Clean {
        shapes.forget_unknown_to_connect();
    }
    let mut compiler = Compiler::new(&shapes, &declared, options);
    let (columns, root) = compiler.root()?;
    let Compiler { layout, mut notes, record_name, .. } = compiler;
    notes.extend(schema.forgiven.iter().cloned());
    let shape = layout.finish(&record_name, columns)?;
    let bare = is_bare(&shapes);
    let program = Program { shapes, root, bare, onto: None, unreadable: Vec::new() };
    Ok(Compiled { shape, record_name, notes, program })
}

/// Compiles a writer schema to the columns of `target`: those that [`compile`] makes of the target alone.
///
/// Errors: those of [`compile`]; [`codes::RESOLUTION`] where no record of the writer, or not every part of
/// one, can be read as the target. Where only some values cannot, [`Program::unreadable`] names them.
pub fn compile_onto(
    writer: &AvroSchema,
    target: &AvroSchema,
    options: &Options,
) -> Result<Compiled<Program>, Fault> {
    if writer.json == target.json {
        return compile(target, options);
    }
    let shapes = Shapes::new(&writer.schema).map_err(|fault| *fault)?;
    let (target, declared) = Shapes::with_declared(&target.schema).map_err(|fault| *fault)?;
    // What a value means decides how it is read, whatever its column knows of that.
    let mut laid_out = target.clone();
    if options.value.dialect != Dialect::Clean {
        laid_out.forget_unknown_to_connect();
    }
    let mut compiler = Compiler::new(&laid_out, &declared, options);
    let (columns, own) = compiler.root()?;
    let Compiler { layout, mut notes, record_name, .. } = compiler;
    let shape = layout.finish(&record_name, columns)?;
    let bounds = (record_name.as_str(), options.limits.depth);
    let assembled = onto::assemble(&shapes, target, &declared, &own, bounds)?;
    assembled.try_defaults(&mut Columns::new(shape.clone()), &mut Meter::new(options.limits))?;
    let Assembled { root, onto, notes: more, unreadable, .. } = assembled;
    notes.extend(more);
    notes.extend(writer.forgiven.iter().cloned());
    let (bare, onto) = (is_bare(&shapes), Some(Box::new(onto)));
    let program = Program { shapes, root, bare, onto, unreadable };
    Ok(Compiled { shape, record_name, notes, program })
}

/// Whether Confluent's serializers write the top level without its length.
fn is_bare(shapes: &Shapes) -> bool {
    matches!(shapes[shapes.root], Shape::Bytes | Shape::Decimal { fixed: None, .. })
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
    /// True if the schema is no record, so that its one column is the datum itself.
    pub fn is_scalar(&self) -> bool {
        match &self.root {
            Step::Record(_) => false,
            Step::Onto(onto) => !matches!(**onto, onto::OntoStep::Record(_)),
            _ => true,
        }
    }

    /// See [`crate::decode::Plan::unreadable`].
    pub fn unreadable(&self) -> &[String] {
        &self.unreadable
    }

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
        let onto = self.onto.as_deref();
        let run = Run { cursor, columns, meter, shapes: &self.shapes, scratch, onto };
        match (self.bare, onto) {
            (false, _) => run.datum(&self.root, row),
            (true, None) => run.body(&self.root, body, row),
            (true, Some(_)) => {
                // Rare enough for a copy: the target may wrap these bytes in any way.
                let mut length = [0; 10];
                let count = onto::write_long(body.len() as i64, &mut length);
                let whole = [length.get(..count).unwrap_or_default(), body].concat();
                Run { cursor: Cursor::new(&whole), ..run }.datum(&self.root, row)
            }
        }
    }
}
