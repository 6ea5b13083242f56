//! `dialect: confluent`: the columns of Confluent's converters and of its S3 sink's Parquet, beside the facts of
//! tests/corpus that were read from their sources.

mod avro;
mod json;
mod oracle;
mod protobuf;

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, TimeUnit};
use forebay::config::{Config, Process};
use forebay::decode::{Decoder, Options, Plan};
use forebay::error::Reject;

/// The options of a configuration; `more` is lines of it.
fn options(more: &str) -> Options {
    let text = format!(
        "pipeline: t\nsource: {{ brokers: 'x:1', topics: [t] }}\nregistry: {{ url: 'http://x' }}\n\
         sink: {{ url: 's3://lake' }}\n{more}\n"
    );
    let pipeline =
        Config::parse(&text, "t.yaml", &Process).unwrap_or_else(|e| panic!("{e:?}")).pipeline;
    Options { value: pipeline.value, readers: pipeline.readers, limits: pipeline.limits }
}

/// The dialect with settings of the section `connect`.
fn confluent(settings: &str) -> Options {
    options(&format!("dialect: confluent\nconnect: {{ {settings} }}"))
}

/// One fact beside what stands here.
struct Row {
    /// The fact's first words, as the corpus has them.
    fact: &'static str,
    /// Settings of `connect`.
    settings: &'static str,
    schema: &'static str,
    /// A record as JSON, and its row.
    record: &'static str,
    columns: &'static str,
    row: &'static str,
    /// Why the columns are not the fact's; empty: they are.
    differs: &'static str,
}

/// Every fact has a row, and every row a fact; gives those that differ, as rows of a table.
fn compare(facts: &serde_json::Value, rows: &[Row]) -> String {
    let facts: BTreeSet<&str> =
        facts.as_array().unwrap().iter().map(|fact| fact[0].as_str().unwrap()).collect();
    let here: BTreeSet<&str> = rows.iter().map(|row| row.fact).collect();
    assert_eq!(facts, here);
    let differ = rows.iter().filter(|row| !row.differs.is_empty());
    let line = |row: &Row| format!("| {} | `{}` | {} |\n", row.fact, row.columns, row.differs);
    differ.map(line).collect()
}

fn corpus(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

fn row(plan: &Arc<Plan>, body: &[u8]) -> Result<RecordBatch, Box<Reject>> {
    let mut decoder = Decoder::new(plan.clone());
    decoder.append(body)?;
    let batch = decoder.finish();
    // The schema is what the arrays are, and Parquet's writer takes both.
    let checked = RecordBatch::try_new(batch.schema(), batch.columns().to_vec()).unwrap();
    let mut out = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut out, checked.schema(), None).unwrap();
    writer.write(&checked).unwrap();
    writer.close().unwrap();
    Ok(checked)
}

/// `name type` of each column, `?` where nullable: `{…}` a struct, `[…]` a list, `<k, v>` a map.
fn columns(plan: &Plan) -> String {
    members(plan.schema.fields().iter())
}

fn members<'f>(fields: impl Iterator<Item = &'f Arc<Field>>) -> String {
    let of = |f: &Arc<Field>| format!("{} {}", f.name(), shown(f));
    fields.map(of).collect::<Vec<_>>().join(", ")
}

fn shown(field: &Field) -> String {
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    let text = match field.data_type() {
        DataType::Struct(fields) => format!("{{{}}}", members(fields.iter())),
        DataType::List(item) => format!("[{}]", shown(item)),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => format!("<{}, {}>", shown(&pair[0]), shown(&pair[1])),
            other => panic!("{other}"),
        },
        DataType::Timestamp(u, Some(_)) => format!("timestamp({}, UTC)", unit(u)),
        DataType::Timestamp(u, None) => format!("timestamp({})", unit(u)),
        DataType::Time32(u) | DataType::Time64(u) => format!("time({})", unit(u)),
        DataType::FixedSizeBinary(n) => format!("fixed({n})"),
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => format!("decimal({p}, {s})"),
        DataType::Utf8 => "text".to_owned(),
        DataType::Date32 => "date".to_owned(),
        other => other.to_string().to_lowercase(),
    };
    format!("{text}{}", if field.is_nullable() { "?" } else { "" })
}

/// The one row as JSON, by arrow-json's writer.
fn line(batch: &RecordBatch) -> String {
    crate::json::lines(batch).remove(0)
}
