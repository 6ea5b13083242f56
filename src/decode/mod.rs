//! Bodies of records → Arrow rows, one row or one reject each.
//!
//! Owns: the plan (compiled once per schema, message path and options) and the run (the hot loop),
//! for Protobuf, Avro, JSON, text and bytes; what each type becomes.
//! Does not own: framing (`wire`), schemas (`registry`), which rows share a file (`evolve`).
//! Bounded by: [`crate::config::Limits`], per record; [`columns::COLUMNS_MAX`] columns per plan.
//! Absent: IO, clocks, async, trees of values.

pub mod avro;
pub mod codes;
pub mod columns;
pub mod envelope;
pub mod json;
pub mod onto;
pub mod protobuf;
pub mod readers;
pub mod text;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::config::{self, Dialect, Format, Unwrap};
use crate::error::{Fault, Reject};
use crate::record::Oddities;
use crate::registry::{JsonSchema, Parsed, Schema};
use columns::{Columns, Meter, Shape};

pub use codes::CODES;
pub use onto::Onto;

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
    /// What the columns are of, where they are not the writer's own.
    pub onto: Option<Onto>,
    shape: Arc<Shape>,
    limits: config::Limits,
    program: Program,
}

#[derive(Debug)]
enum Program {
    Protobuf(Box<protobuf::Program>),
    Avro(Box<avro::Program>),
    Json(Box<json::Program>),
    Text(Box<text::Program>),
}

/// What a format's compiler gives: the columns, and how to fill them.
#[derive(Debug)]
pub struct Compiled<P> {
    pub shape: Arc<Shape>,
    pub record_name: String,
    pub notes: Vec<String>,
    pub program: P,
}

impl Plan {
    /// Compiles the plan for one writer schema; `indexes` name the message of a Protobuf file and are
    /// ignored otherwise.
    ///
    /// Errors: indexes that name no message ([`crate::wire::INDEXES`]), a schema that has no columns
    /// here or too many ([`codes::NO_COLUMNS`], [`codes::TOO_WIDE`]), and those of its language. Cost: a
    /// walk over the schema; call it once per schema.
    pub fn compile(
        schema: &Schema,
        indexes: &[u32],
        options: &Options,
    ) -> Result<Arc<Plan>, Fault> {
        Self::of(schema, indexes, options).map(Arc::new)
    }

    /// As [`Plan::compile`], not shared yet.
    pub fn of(schema: &Schema, indexes: &[u32], options: &Options) -> Result<Plan, Fault> {
        Self::bare(schema, indexes, options)?.with_columns()
    }

    /// As [`Plan::of`], perhaps without columns: for rows that take those of another schema.
    pub fn bare(schema: &Schema, indexes: &[u32], options: &Options) -> Result<Plan, Fault> {
        let plan = match &schema.parsed {
            Parsed::Protobuf(file) => {
                Self::new(protobuf::compile(file, indexes, options)?, options, Program::Protobuf)
            }
            Parsed::Avro(avro) => Self::new(avro::compile(avro, options)?, options, Program::Avro),
            Parsed::Json(json) => Self::new(json::compile(json, options)?, options, Program::Json),
        };
        Ok(plan.marked(schema, options))
    }

    /// This plan, with what an unwrapped event goes by in its columns' metadata.
    fn marked(mut self, schema: &Schema, options: &Options) -> Plan {
        let unwraps = options.value.unwrap == Unwrap::Debezium;
        if unwraps && options.value.dialect == Dialect::Clean {
            let names = self.connect_names(Some(schema)).unwrap_or_default();
            self.schema = Arc::new(names.mark(&self.schema));
        }
        self
    }

    /// As [`Plan::bare`], for the Protobuf message, Avro record or JSON Schema of this name; none if the schema
    /// has another.
    pub fn of_message(
        schema: &Schema,
        record_name: &str,
        options: &Options,
    ) -> Option<Result<Plan, Fault>> {
        let plan = match &schema.parsed {
            Parsed::Protobuf(file) => {
                let compiled = protobuf::compile_named(file, record_name, options)?;
                compiled.map(|compiled| Self::new(compiled, options, Program::Protobuf))
            }
            Parsed::Avro(_) | Parsed::Json(_) => Self::bare(schema, &[], options),
        };
        match plan {
            Ok(plan) if plan.record_name != record_name => None,
            plan => Some(plan),
        }
    }

    /// This plan, if it has columns. Error: [`codes::NO_COLUMNS`].
    pub fn with_columns(self) -> Result<Plan, Fault> {
        if !self.schema.fields().is_empty() {
            return Ok(self);
        }
        Err(Fault::new(
            &codes::NO_COLUMNS,
            format!(
                "schema of `{}`: no field that makes a column, at least one required; leave the topic out, or add a field",
                self.record_name
            ),
        ))
    }

    /// True if the one column is the value itself: a schema that is no message or record.
    pub fn is_scalar(&self) -> bool {
        match &self.program {
            Program::Protobuf(_) => false,
            Program::Avro(program) => program.is_scalar(),
            Program::Json(program) => program.is_scalar(),
            Program::Text(_) => true,
        }
    }

    /// Names that Connect's schemas of a change event have; none where its schema cannot hold them: Confluent's
    /// Protobuf converter leaves them away.
    fn connect_names(&self, schema: Option<&Schema>) -> Option<envelope::Names> {
        match (&self.program, schema.map(|schema| &schema.parsed)) {
            (Program::Json(program), _) => Some(program.connect_names().clone()),
            (_, Some(Parsed::Avro(avro))) => Some(envelope::Names::of_avro(&avro.json)),
            _ => None,
        }
    }

    /// Column of `value.unknown_fields: keep`.
    fn unknown_column(&self) -> Option<usize> {
        let Program::Protobuf(program) = &self.program else { return None };
        let own = self.shape.schema();
        // In the columns of a merge it stands elsewhere than in the decoder's.
        let name = own.field(program.unknown_column(own)?).name();
        self.schema.index_of(name).ok()
    }

    /// Values that the writer may write and the target of [`Plan::compile_onto`] has no place for, by path:
    /// records with one of them are rejected. Empty for a plan of the writer's own columns.
    pub fn unreadable(&self) -> &[String] {
        match &self.program {
            Program::Avro(program) => program.unreadable(),
            Program::Protobuf(_) | Program::Json(_) | Program::Text(_) => &[],
        }
    }

    /// The plan that `value.format` gives every record, where it does not depend on them: `json`,
    /// `string`, `bytes`. `None`: it comes with each record, from the registry or inside it.
    ///
    /// Errors: those of `value.schema` as a JSON Schema.
    pub fn fixed(options: &Options) -> Result<Option<Arc<Plan>>, Fault> {
        let plan = match options.value.format {
            Format::Json => {
                let compiled = match &options.value.schema {
                    Some(schema) => {
                        let own = JsonSchema { text: schema.text.clone(), references: Vec::new() };
                        json::compile(&own, options).map_err(|f| f.at(schema.place.clone()))?
                    }
                    None => json::compile_text(options)?,
                };
                Self::new(compiled, options, Program::Json)
            }
            Format::String => Self::new(text::compile(true)?, options, Program::Text),
            Format::Bytes => Self::new(text::compile(false)?, options, Program::Text),
            Format::Auto | Format::Protobuf | Format::Avro => return Ok(None),
            Format::JsonSchema | Format::JsonConnect => return Ok(None),
        };
        Ok(Some(Arc::new(plan.with_columns()?)))
    }

    /// The plan for the Connect schema inside a record ([`json::connect::split`]): decode the payload
    /// by it.
    ///
    /// Errors: [`json::codes::CONNECT`], and those of [`Plan::compile`] about width and depth.
    pub fn embedded(schema: &[u8], options: &Options) -> Result<Arc<Plan>, Fault> {
        let compiled = json::compile_connect(schema, options)?;
        Self::new(compiled, options, Program::Json).with_columns().map(Arc::new)
    }

    fn new<P>(compiled: Compiled<P>, options: &Options, wrap: fn(Box<P>) -> Program) -> Self {
        let schema = compiled.shape.schema().clone();
        let mut notes = compiled.notes;
        if options.value.dialect != Dialect::Clean {
            notes.extend(readers::warnings(schema.fields(), &options.readers));
        }
        Self {
            schema,
            record_name: compiled.record_name,
            notes,
            onto: None,
            shape: compiled.shape,
            limits: options.limits,
            program: wrap(Box::new(compiled.program)),
        }
    }
}

/// Rows under construction for one plan.
///
/// The contract: [`Decoder::append`] adds exactly one row, or leaves every column as it was.
#[derive(Debug)]
pub struct Decoder {
    plan: Arc<Plan>,
    columns: Columns,
    meter: Meter,
    run: Run,
}

/// What a run keeps from record to record beside the columns.
#[derive(Debug)]
enum Run {
    Protobuf(protobuf::State),
    Avro(avro::State),
    Json(json::State),
    Text,
}

impl Decoder {
    pub fn new(plan: Arc<Plan>) -> Self {
        Self {
            columns: Columns::new(plan.shape.clone()),
            meter: Meter::new(plan.limits),
            run: match &plan.program {
                Program::Protobuf(program) => Run::Protobuf(protobuf::State::new(program)),
                Program::Avro(program) => Run::Avro(avro::State::new(program)),
                Program::Json(program) => Run::Json(json::State::new(program)),
                Program::Text(_) => Run::Text,
            },
            plan,
        }
    }

    /// Appends the row of one body, or nothing. The body must be consumed to its last byte.
    #[inline]
    pub fn append(&mut self, body: &[u8]) -> Result<(), Box<Reject>> {
        self.meter.start(body.len(), self.plan.shape.width())?;
        let (columns, meter) = (&mut self.columns, &mut self.meter);
        let row = match (&self.plan.program, &mut self.run) {
            (Program::Protobuf(program), Run::Protobuf(state)) => {
                program.row(columns, meter, state, body)
            }
            (Program::Avro(program), Run::Avro(state)) => program.row(columns, meter, state, body),
            (Program::Json(program), Run::Json(state)) => program.row(columns, meter, state, body),
            (Program::Text(program), Run::Text) => program.row(columns, body),
            _ => unreachable!("program and run are made together"),
        };
        match row {
            Ok(()) => {
                self.columns.commit();
                self.meter.commit();
                Ok(())
            }
            Err(reject) => {
                self.columns.rollback();
                Err(reject)
            }
        }
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Rows since the last [`Decoder::finish`].
    pub fn rows(&self) -> usize {
        self.columns.rows()
    }

    /// Bytes those rows take as columns, about. Finish well before 2 GiB: a column cannot be longer, and
    /// the record that would make it so is rejected ([`codes::BATCH_FULL`]).
    pub fn bytes(&self) -> usize {
        self.meter.batch_bytes()
    }

    /// What was counted since the last call. Missing fields are known once their rows are finished.
    pub fn take_oddities(&mut self) -> Oddities {
        let mut oddities = match &mut self.run {
            Run::Protobuf(state) => state.take_oddities(),
            Run::Json(state) => state.take_oddities(),
            Run::Avro(_) | Run::Text => Oddities::default(),
        };
        oddities.missing_fields = self.columns.take_missing();
        oddities
    }

    /// The rows as a batch; the decoder starts anew, keeping its capacity.
    pub fn finish(&mut self) -> RecordBatch {
        self.meter.reset();
        match &mut self.run {
            Run::Protobuf(state) => state.trim(),
            Run::Json(state) => state.trim(),
            Run::Avro(_) | Run::Text => {}
        }
        self.columns.finish()
    }
}
