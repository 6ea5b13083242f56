//! JSON text → rows: by a JSON Schema, by the Connect schema inside each record, or as text.
//!
//! Owns: what each JSON Schema and Connect type becomes, the steps of a schema, reading one text by them.
//! Does not own: framing (`wire`), fetching schemas and references (`registry`), builders and what readers
//! open (`decode`).
//! Bounded by: `limits.depth` of nesting, what stands in no column counted too; [`Meter`] for what a
//! record makes.
//! Absent: validation (values are typed, not judged: `pattern`, `minLength` and their like are the producer's),
//! `$ref`s to the network or the disk, trees of values.
//!
//! A schema passes through three forms: `shape` is what it says of values, made from JSON Schema by `schema` and
//! `refs`, from Connect's own by `connect`; `compile` lays the columns out and makes one `step` for each;
//! `run` follows the steps through the tokens of a record.
//!
//! Source: RFC 8259; JSON Schema drafts 4 to 2020-12; Kafka Connect's JsonConverter and the properties that
//! Confluent's JSON Schema converter writes (`connect.type`, `connect.index`, `title`).

pub mod codes;
mod compile;
pub mod connect;
mod failure;
mod number;
mod onto;
mod refs;
mod run;
mod schema;
mod shape;
mod step;
mod time;
mod token;
mod tree;

use crate::config::Unwrap;
use crate::decode::columns::{Columns, Meter};
use crate::decode::envelope::Names;
use crate::decode::{Compiled, Options, codes as shared};
use crate::error::{Fault, Reject};
use crate::record::Oddities;
use crate::registry::JsonSchema;
use compile::Compiler;
pub use onto::unlike;
use refs::References;
use run::Run;
use shape::{Kind, Shape};
use step::Node;
use token::Cursor;

/// Text beyond this is not kept between batches.
const KEPT_BYTES: usize = 64 << 10;

/// How texts of one schema become rows.
#[derive(Debug)]
pub struct Program {
    root: Node,
    truncate: bool,
    entries: u32,
    /// What each entry of the state starts with.
    next: Box<[u32]>,
    buffers: u32,
    /// Of a change event, where it is to be unwrapped.
    names: Names,
}

/// Compiles a JSON Schema with its references.
///
/// Errors: [`codes::SCHEMA`], [`codes::REFERENCE`]; [`shared::TOO_WIDE`] and
/// [`shared::DEPTH`] for a schema beyond the bounds.
pub fn compile(schema: &JsonSchema, options: &Options) -> Result<Compiled<Program>, Fault> {
    let documents = refs::documents(schema)?;
    let mut reader =
        schema::Reader::new(References::new(&documents, schema), options.value.dialect.connect());
    let shape = reader.root()?;
    let name = reader.name();
    of_shape(&shape, name, reader.notes, options)
}

/// Compiles the Connect schema of a record ([`connect::split`]).
///
/// Errors: [`codes::CONNECT`]; [`shared::TOO_WIDE`] and [`shared::DEPTH`] for a
/// schema beyond the bounds.
pub fn compile_connect(schema: &[u8], options: &Options) -> Result<Compiled<Program>, Fault> {
    let (shape, name) = connect::shape(schema)?;
    of_shape(&shape, name, Vec::new(), options)
}

/// JSON without any schema: its text in one column `value`.
pub fn compile_text(options: &Options) -> Result<Compiled<Program>, Fault> {
    of_shape(&Kind::Any.into(), None, Vec::new(), options)
}

fn of_shape(
    shape: &Shape,
    name: Option<String>,
    notes: Vec<String>,
    options: &Options,
) -> Result<Compiled<Program>, Fault> {
    let record_name = name.unwrap_or_else(|| shape.kind.name().to_owned());
    let names = match options.value.unwrap {
        Unwrap::Debezium => connect_names(shape),
        Unwrap::None => Names::default(),
    };
    let mut compiler = Compiler::new(options, &record_name, notes);
    let (columns, root) = compiler.root(shape)?;
    let Compiler { layout, notes, entries, buffers, .. } = compiler;
    let shape = layout.finish(&record_name, columns)?;
    let mut next = vec![0; entries as usize];
    first_guesses(&root, &mut next);
    let truncate = options.value.truncate_timestamps;
    let program = Program { root, truncate, entries, next: next.into(), buffers, names };
    Ok(Compiled { shape, record_name, notes, program })
}

/// Names that Connect's schemas of a change event have: that of `after`, and those of its members. A JSON Schema
/// has them as titles.
fn connect_names(event: &Shape) -> Names {
    let Kind::Struct(event) = &event.kind else { return Names::default() };
    let state = event.fields.iter().find(|field| field.name == "after");
    let members = match state.map(|field| &field.shape.kind) {
        Some(Kind::Struct(table)) => table.fields.as_slice(),
        _ => &[],
    };
    let named = |f: &shape::Field| Some((f.name.clone(), f.shape.name.clone()?));
    Names {
        state: state.and_then(|field| field.shape.name.clone()),
        columns: members.iter().filter_map(named).collect(),
    }
}

/// Members come as the schema lists them, until a record says otherwise.
fn first_guesses(node: &Node, next: &mut [u32]) {
    use step::Step;
    match &node.step {
        Step::Object(table) => {
            for (index, slot) in table.fields.iter().enumerate() {
                next[table.base as usize + index] = index as u32 + 1;
                first_guesses(&slot.node, next);
            }
        }
        Step::List(items) | Step::Map(items) => first_guesses(&items.item, next),
        Step::Pairs(pairs) => pairs.parts.iter().for_each(|part| first_guesses(part, next)),
        Step::Union(union) => union.branches.iter().for_each(|b| first_guesses(&b.node, next)),
        _ => {}
    }
}

/// What a run keeps from record to record beside the columns.
#[derive(Debug, Default)]
pub struct State {
    /// By entry: the object that last had the member.
    stamps: Vec<u64>,
    /// By entry: the member that last came after it.
    next: Vec<u32>,
    /// Objects so far.
    epoch: u64,
    oddities: Oddities,
    /// Text of the string in progress.
    scratch: Vec<u8>,
    /// Bytes of the base64 in progress.
    bytes: Vec<u8>,
    /// Members without columns, an object each.
    extras: Vec<Vec<u8>>,
}

impl State {
    pub fn new(program: &Program) -> Self {
        Self {
            stamps: vec![0; program.entries as usize],
            next: program.next.to_vec(),
            extras: vec![Vec::new(); program.buffers as usize],
            ..Self::default()
        }
    }

    /// Unknown members and repeated keys of rows that stand, since the last call.
    pub fn take_oddities(&mut self) -> Oddities {
        std::mem::take(&mut self.oddities)
    }

    /// Gives back what one large record made grow.
    pub fn trim(&mut self) {
        self.scratch.shrink_to(KEPT_BYTES);
        self.bytes.shrink_to(KEPT_BYTES);
        self.extras.iter_mut().for_each(|extra| extra.shrink_to(KEPT_BYTES));
    }
}

impl Program {
    /// Of a change event that is to be unwrapped.
    pub fn connect_names(&self) -> &Names {
        &self.names
    }

    /// True if the schema is no object with members, so that its one column is the value itself.
    pub fn is_scalar(&self) -> bool {
        !matches!(self.root.step, step::Step::Object(_))
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
        let cursor = Cursor::new(utf8(body)?);
        Run { cursor, columns, meter, state, truncate: self.truncate }.record(&self.root, row)
    }
}

/// The body as text.
#[inline]
fn utf8(body: &[u8]) -> Result<&str, Box<Reject>> {
    simdutf8::basic::from_utf8(body).map_err(|_| {
        let at = std::str::from_utf8(body).map_or_else(|e| e.valid_up_to(), str::len);
        Reject::new(&shared::UTF8, format!("json text at byte {at}: not UTF-8, UTF-8 required"))
    })
}
