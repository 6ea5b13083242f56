//! JSON records → rows, against parsers and types that are not ours.
#![allow(clippy::print_stderr)] // seeds and schemas, shown where a test fails

mod bombs;
mod differential;
mod intake;
mod mapping;
mod poison;
mod program;
mod random;

use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay::config::{Limits, Reader, Value};
use forebay::decode::{Decoder, Options, Plan};
use forebay::error::{Fault, Reject};
use forebay::registry::Language;
use forebay::registry::compile::{Reference, compile};

/// Every exact type kept.
fn native() -> Options {
    Options { value: Value::default(), readers: vec![Reader::Native], limits: Limits::default() }
}

/// What the configuration's defaults make of columns.
fn everyone() -> Options {
    let readers = vec![Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb];
    Options { readers, ..native() }
}

fn try_plan(schema: &str, options: &Options) -> Result<Arc<Plan>, Fault> {
    with_references(schema, &[], options)
}

fn with_references(
    schema: &str,
    references: &[(&str, &str)],
    options: &Options,
) -> Result<Arc<Plan>, Fault> {
    let references: Vec<Reference> = references
        .iter()
        .map(|(name, text)| Reference { name: (*name).to_owned(), text: (*text).to_owned() })
        .collect();
    let schema = compile(1, Language::Json, schema, &references).unwrap();
    Plan::compile(&schema, &[], options)
}

fn plan(schema: &str, options: &Options) -> Arc<Plan> {
    try_plan(schema, options).unwrap()
}

/// One record, or why not.
fn row(plan: &Arc<Plan>, text: &str) -> Result<RecordBatch, Box<Reject>> {
    let mut decoder = Decoder::new(plan.clone());
    decoder.append(text.as_bytes())?;
    Ok(decoder.finish())
}

/// Columns as `name: type`, `?` for nullable, one each.
fn columns(plan: &Plan) -> Vec<String> {
    let shown = |f: &arrow::datatypes::FieldRef| {
        format!("{}{}: {}", f.name(), if f.is_nullable() { "?" } else { "" }, f.data_type())
    };
    plan.schema.fields().iter().map(shown).collect()
}

/// Rows as JSON texts, by arrow-json's writer.
pub(crate) fn lines(batch: &RecordBatch) -> Vec<String> {
    use arrow::datatypes::{DataType, Field, FieldRef, Schema};
    // The writer knows offsets, not the name of a zone.
    fn zoned(data_type: &DataType) -> DataType {
        let of = |f: &FieldRef| Arc::new(f.as_ref().clone().with_data_type(zoned(f.data_type())));
        match data_type {
            DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(of).collect()),
            DataType::List(item) => DataType::List(of(item)),
            DataType::Map(entries, sorted) => DataType::Map(of(entries), *sorted),
            other => other.clone(),
        }
    }
    let schema = batch.schema();
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|f| f.as_ref().clone().with_data_type(zoned(f.data_type())))
        .collect();
    let arrays = fields.iter().zip(batch.columns());
    let arrays = arrays.map(|(f, a)| arrow::compute::cast(a, f.data_type()).unwrap()).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    let mut writer = arrow_json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow_json::writer::LineDelimited>(Vec::new());
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    String::from_utf8(writer.into_inner()).unwrap().lines().map(str::to_owned).collect()
}
