//! Schema text and its references → parsed schema. Pure: the names that a text imports are looked
//! up among the references and the files that come with the program, never on disk or network.
//!
//! Owns: limits before parsing, Protobuf (strict, then lenient), Avro (self-contained), faults with
//! line and column.
//! Does not own: fetching references (`client`).
//! Bounded by: [`TEXT_MAX`] bytes and [`REFERENCES_MAX`] references a schema.
//! Absent: validation of JSON Schema.

mod avro;
mod edition;
mod known;
mod lenient;
mod protobuf;

#[cfg(test)]
mod tests;

use crate::error::Fault;

use super::codes::{BAD, REFERENCES, TOO_LARGE};
use super::{JsonSchema, Language, Parsed, Schema};

pub(crate) use avro::definitions as avro_definitions;
pub use edition::Facts;

/// Most bytes of text of one schema with its references.
pub const TEXT_MAX: usize = 16 << 20;
/// Most references of one schema, those of references included.
pub const REFERENCES_MAX: usize = 256;

/// A referenced schema, under the name it is imported by: a path for Protobuf, a full name for Avro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub name: String,
    pub text: String,
}

/// Compiles a schema. `references` holds every schema that is reachable, in any order.
///
/// Protobuf text may be `.proto` source or base64 of a serialized `FileDescriptorProto`.
///
/// Errors: [`BAD`], [`REFERENCES`], [`TOO_LARGE`], [`super::codes::EDITION`].
pub fn compile(
    id: u32,
    language: Language,
    text: &str,
    references: &[Reference],
) -> Result<Schema, Fault> {
    check_size(text, references)?;
    let parsed = match language {
        Language::Protobuf => Parsed::Protobuf(guard(|| protobuf::compile(text, references))?),
        Language::Avro => Parsed::Avro(guard(|| avro::compile(text, references))?),
        Language::Json => {
            // Only that it is JSON: `{}` and `true` are schemas.
            serde_json::from_str::<serde::de::IgnoredAny>(text)
                .map_err(|e| Fault::new(&BAD, format!("json schema: {e}")))?;
            let references = references.iter().map(|r| (r.name.clone(), r.text.clone())).collect();
            Parsed::Json(JsonSchema { text: text.to_owned(), references })
        }
    };
    Ok(Schema { id, language, parsed })
}

/// Whether every reader of a Protobuf schema has this file without a reference.
pub(crate) fn is_known_import(name: &str) -> bool {
    known::text(name).is_some() || protobuf::is_google(name)
}

/// What a Protobuf file imports, files that need no reference left out. Errors: as [`compile`].
pub fn protobuf_imports(text: &str) -> Result<Vec<String>, Fault> {
    check_size(text, &[])?;
    guard(|| protobuf::imports(text))
}

fn check_size(text: &str, references: &[Reference]) -> Result<(), Fault> {
    if references.len() > REFERENCES_MAX {
        return Err(Fault::new(
            &REFERENCES,
            format!("schema: {} references, at most {REFERENCES_MAX} required", references.len()),
        ));
    }
    let total = references.iter().fold(text.len(), |sum, r| sum.saturating_add(r.text.len()));
    if total > TEXT_MAX {
        return Err(Fault::new(
            &TOO_LARGE,
            format!("schema: {total} bytes with its references, at most {TEXT_MAX} required"),
        ));
    }
    Ok(())
}

/// Schema compilers are written for the files of a developer, not for hostile text: should one
/// panic, the schema is bad and the program lives.
fn guard<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Fault::new(&BAD, "schema: its compiler failed on it; report the schema"))
    })
}
