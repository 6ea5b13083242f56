//! Schema reference → schema with its references, parsed.
//!
//! Owns: the REST client (through `schema_registry_converter`), the cache, references, subject name
//! strategies, compiling Protobuf and Avro text, JSON → wire bytes, the embedded registry server, and
//! the OAuth client (HTTP lives here).
//! Does not own: columns (`decode`), what a record does without a schema (`pipeline`).
//! Bounded by: 8 MiB a response, 256 references, depth 32, 16 MiB of text for one schema.
//! Absent: compatibility of JSON Schema, schema rules and encryption.

use std::sync::Arc;

use crate::error::Fault;

pub mod client;
pub mod codes;
pub mod compile;
pub mod encode;
pub mod message;
pub mod server;
pub mod subject;
pub mod token;

pub use client::Client;
pub use codes::CODES;
pub use subject::subject_name;

/// Schema languages of the registry (`schemaType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    Protobuf,
    Avro,
    Json,
}

impl Language {
    /// As `schemaType` writes it. In answers, an absent one means Avro.
    pub fn name(self) -> &'static str {
        match self {
            Language::Protobuf => "PROTOBUF",
            Language::Avro => "AVRO",
            Language::Json => "JSON",
        }
    }

    /// The language that `schemaType` names.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "PROTOBUF" => Some(Language::Protobuf),
            "AVRO" => Some(Language::Avro),
            "JSON" => Some(Language::Json),
            _ => None,
        }
    }
}

/// A writer schema, whole: references resolved, text parsed.
#[derive(Debug)]
pub struct Schema {
    /// Registry id; 0 where the schema did not come from a registry, or was asked for by GUID and
    /// the registry did not say its id.
    pub id: u32,
    pub language: Language,
    pub parsed: Parsed,
}

impl Schema {
    /// Whether both say the same, references and all. Ids and what had to be forgiven do not count.
    pub fn is_same(&self, other: &Schema) -> bool {
        match (&self.parsed, &other.parsed) {
            (Parsed::Protobuf(a), Parsed::Protobuf(b)) => {
                let files = |file: &ProtobufFile| -> Vec<_> {
                    let pool = file.parent_pool();
                    pool.files().map(|file| file.file_descriptor_proto().clone()).collect()
                };
                a.name() == b.name() && files(a) == files(b)
            }
            (Parsed::Avro(a), Parsed::Avro(b)) => a.json == b.json,
            (Parsed::Json(a), Parsed::Json(b)) => a == b,
            _ => false,
        }
    }
}

#[derive(Debug)]
pub enum Parsed {
    /// The file that message indexes count in; its pool holds all imports.
    Protobuf(ProtobufFile),
    /// Self-contained: every named type defined once, at its first use.
    Avro(AvroSchema),
    Json(JsonSchema),
}

/// A JSON Schema: text as the registry holds it, and that of its references under their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonSchema {
    pub text: String,
    pub references: Vec<(String, String)>,
}

/// A Protobuf file with its pool, and what the two do not say.
#[derive(Debug, Clone)]
pub struct ProtobufFile {
    pub file: prost_reflect::FileDescriptor,
    /// Of files with an edition: they stand in the pool as proto2.
    pub facts: compile::Facts,
    /// What the schema had to be forgiven before it compiled, one line each; empty for one that `protoc` takes.
    pub forgiven: Vec<String>,
}

impl From<prost_reflect::FileDescriptor> for ProtobufFile {
    fn from(file: prost_reflect::FileDescriptor) -> Self {
        Self { file, facts: compile::Facts::default(), forgiven: Vec::new() }
    }
}

impl std::ops::Deref for ProtobufFile {
    type Target = prost_reflect::FileDescriptor;

    fn deref(&self) -> &Self::Target {
        &self.file
    }
}

/// A parsed Avro schema, references inlined at first use.
#[derive(Debug)]
pub struct AvroSchema {
    pub schema: apache_avro::Schema,
    /// The same as JSON text, logical types, defaults and aliases kept.
    pub json: String,
    /// What the schema had to be forgiven before it compiled, one line each: left out, or read otherwise
    /// than the specification says.
    pub forgiven: Vec<String>,
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

impl Lookup {
    pub fn fault(&self) -> &Fault {
        match self {
            Lookup::Unknown(f) | Lookup::Bad(f) | Lookup::Unavailable(f) => f,
        }
    }

    pub fn into_fault(self) -> Fault {
        match self {
            Lookup::Unknown(f) | Lookup::Bad(f) | Lookup::Unavailable(f) => f,
        }
    }
}

/// Which versions of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Want {
    Latest,
    Version(u32),
    /// All that are not deleted.
    All,
}

/// Versions of a subject, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub versions: Vec<Numbered>,
    /// Versions that were wanted and cannot be used, by their numbers, and why.
    pub unusable: Vec<(u32, Fault)>,
}

/// A schema under its version number in a subject.
#[derive(Debug, Clone)]
pub struct Numbered {
    pub version: u32,
    pub schema: Arc<Schema>,
}

impl History {
    /// True if both hold the same versions with the same ids.
    pub fn is_same(&self, other: &Self) -> bool {
        let ids =
            |h: &Self| h.versions.iter().map(|v| (v.version, v.schema.id)).collect::<Vec<_>>();
        ids(self) == ids(other)
    }

    /// True if a version has this schema id.
    pub fn has(&self, id: u32) -> bool {
        self.versions.iter().any(|v| v.schema.id == id)
    }

    /// What is known after another answer. One from a replica that lags, or after a version was deleted, takes
    /// nothing away: the newest version seen stays the newest, and of all versions none goes.
    ///
    /// A version is newer if its number and its schema id are: a subject that was deleted for good and begun anew
    /// counts from 1 again, and its ids go on.
    pub fn then(self: &Arc<Self>, found: &Arc<Self>, want: Want) -> Arc<Self> {
        let Some(newest) = found.versions.last() else { return self.clone() };
        let is_newer = |v: &Numbered| v.version > newest.version && v.schema.id > newest.schema.id;
        if want != Want::All {
            let is_behind = want == Want::Latest && self.versions.last().is_some_and(is_newer);
            return if is_behind { self.clone() } else { found.clone() };
        }
        let gone = self.versions.iter().filter(|v| !found.has(v.schema.id)).cloned();
        let mut versions: Vec<Numbered> = gone.chain(found.versions.iter().cloned()).collect();
        // Of the subject before it was begun anew.
        let is_former =
            |v: &Numbered| v.version >= newest.version && v.schema.id < newest.schema.id;
        versions.sort_by_key(|v| (!is_former(v), v.version));
        Arc::new(Self { versions, unusable: found.unusable.clone() })
    }
}

/// What a lookup gives.
pub type Found = Result<Arc<Schema>, Lookup>;
