//! Schema reference → schema with its references, parsed.
//!
//! Owns: the REST client (through `schema_registry_converter`), the cache, references, subject name
//! strategies, compiling Protobuf and Avro text, the embedded registry server.
//! Does not own: columns (`decode`), what a record does without a schema (`pipeline`).
//! Bounded by: 8 MiB a response, 256 references, depth 32, 16 MiB of text for one schema.

use std::sync::Arc;

use crate::error::Fault;

/// Schema languages of the registry (`schemaType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    Protobuf,
    Avro,
    Json,
}

/// A writer schema, whole: references resolved, text parsed.
#[derive(Debug)]
pub struct Schema {
    /// Registry id; 0 where the schema did not come from a registry.
    pub id: u32,
    pub language: Language,
    pub parsed: Parsed,
}

#[derive(Debug)]
pub enum Parsed {
    /// The file that message indexes count in; its pool holds all imports.
    Protobuf(prost_reflect::FileDescriptor),
    /// Self-contained: every named type defined once, at its first use.
    Avro(AvroSchema),
    /// Text as the registry holds it.
    Json(String),
}

/// A parsed Avro schema, references inlined at first use.
#[derive(Debug)]
pub struct AvroSchema {
    pub schema: apache_avro::Schema,
    /// The same as JSON text, logical types, defaults and aliases kept.
    pub json: String,
}

/// Why there is no schema.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// The registry answers, and does not know it (404, 40403).
    Unknown(Fault),
    /// The registry holds it, and it cannot be used: it does not compile, references are missing or too many.
    Bad(Fault),
    /// The registry cannot be asked now: down, slow, 401, 403, 429, 5xx, an answer that is none. Ask again.
    Unavailable(Fault),
}

/// What a lookup gives.
pub type Found = Result<Arc<Schema>, Lookup>;
