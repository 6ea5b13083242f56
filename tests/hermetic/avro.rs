//! Avro datums → rows, against encoders and decoders that are not ours.
#![allow(clippy::print_stderr)] // seeds and schemas, shown where a test fails
#![allow(deprecated)] // the short way through apache-avro

mod bombs;
mod corpus;
mod differential;
mod evolved;
mod mapping;
mod poison;
mod random;
mod resolution;

use std::sync::Arc;

use crate::fuzz::targets::oracle;
use apache_avro::Schema;
use forebay::config::{Limits, Reader, Value};
use forebay::decode::{Decoder, Options, Plan};
use forebay::error::Fault;
use forebay::registry::{AvroSchema, Language, Parsed, Schema as Registered};

/// Every exact type kept.
fn native() -> Options {
    Options { value: Value::default(), readers: vec![Reader::Native], limits: Limits::default() }
}

/// What the configuration's defaults make of columns.
fn everyone() -> Options {
    let readers = vec![Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb];
    Options { readers, ..native() }
}

fn registered(json: &str) -> Registered {
    let schema = Schema::parse_str(json).unwrap();
    let parsed = Parsed::Avro(AvroSchema { schema, json: json.to_owned(), forgiven: Vec::new() });
    Registered { id: 1, language: Language::Avro, parsed }
}

fn decoder(json: &str, options: &Options) -> Decoder {
    Decoder::new(plan(json, options))
}

fn plan(json: &str, options: &Options) -> Arc<Plan> {
    Plan::compile(&registered(json), &[], options).unwrap()
}

/// Records of `writer` as rows of `target`.
fn onto(writer: &str, target: &str, options: &Options) -> Result<Arc<Plan>, Fault> {
    Plan::compile_onto(&registered(writer), &[], &registered(target), options)
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
