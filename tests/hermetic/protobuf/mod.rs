//! `decode::protobuf` against the conformance suite, against prost-reflect, and against hostile bytes.

mod bombs;
mod choices;
mod conformance;
pub(crate) mod differential;
mod evolved;
pub mod generate;
mod hostile;
pub(crate) mod render;
mod types;

use std::collections::HashMap;
use std::sync::Arc;

use forebay::config;
use forebay::decode::{Decoder, Options, Plan};
use forebay::error::Fault;
use forebay::registry::{Language, Parsed, Schema};
use prost_reflect::{FileDescriptor, MessageDescriptor};

/// Every reader that the defaults name.
pub const READERS: &[config::Reader] =
    &[config::Reader::Spark, config::Reader::Athena, config::Reader::Trino, config::Reader::Duckdb];

pub fn options() -> Options {
    Options {
        value: config::Value::default(),
        readers: READERS.to_vec(),
        limits: config::Limits::default(),
    }
}

/// Files by name, besides those that protox knows.
struct Files(HashMap<String, String>);

impl protox::file::FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        match self.0.get(name) {
            Some(text) => protox::file::File::from_source(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Compiles files; the first is the one that messages are looked for in.
pub fn compile(files: &[(&str, &str)]) -> FileDescriptor {
    let mut resolver = protox::file::ChainFileResolver::new();
    let all = files.iter().map(|(n, t)| ((*n).to_owned(), (*t).to_owned())).collect();
    resolver.add(Files(all));
    resolver.add(protox::file::GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file(files[0].0).unwrap_or_else(|e| panic!("{e:?}"));
    // Not by way of a `FileDescriptorSet` of prost's types: that drops custom options.
    compiler.descriptor_pool().get_file_by_name(files[0].0).unwrap()
}

pub fn proto3(text: &str) -> FileDescriptor {
    compile(&[("t.proto", &format!("syntax = \"proto3\"; package t; {text}"))])
}

pub fn proto2(text: &str) -> FileDescriptor {
    compile(&[("t.proto", &format!("syntax = \"proto2\"; package t; {text}"))])
}

pub fn try_plan(
    file: &FileDescriptor,
    indexes: &[u32],
    options: &Options,
) -> Result<Arc<Plan>, Fault> {
    let parsed = Parsed::Protobuf(file.clone().into());
    let schema = Schema { id: 1, language: Language::Protobuf, parsed };
    Plan::compile(&schema, indexes, options)
}

pub fn plan(file: &FileDescriptor, options: &Options) -> Arc<Plan> {
    try_plan(file, &[0], options).unwrap_or_else(|e| panic!("{e}"))
}

pub fn decoder(file: &FileDescriptor) -> Decoder {
    Decoder::new(plan(file, &options()))
}

pub fn root(file: &FileDescriptor) -> MessageDescriptor {
    file.messages().next().unwrap()
}

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
