//! JSON value + schema → bytes as a registry's serializer writes them: for `produce`, the demo and
//! tests.
//!
//! Owns: framing, Protobuf's JSON mapping, Avro's JSON encoding and its plain form, faults that name
//! the JSON path.
//! Does not own: reading JSON text, choosing the schema.
//! Bounded by: [`DEPTH_MAX`] levels.

mod avro;
mod decimal;
mod protobuf;
mod scalar;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use prost_reflect::MessageDescriptor;
use serde_json::Value;

use crate::error::Fault;
use crate::wire::SchemaRef;

use super::codes::ENCODE;
use super::{Parsed, Schema, message};

/// Deepest nesting of a value.
pub const DEPTH_MAX: u32 = 100;

/// Writes values of one schema.
#[derive(Debug, Clone)]
pub struct Encoder {
    schema: Arc<Schema>,
    protobuf: Option<(MessageDescriptor, Vec<u32>)>,
    avro: avro::Names,
}

impl Encoder {
    /// `message` names the Protobuf message, in full or within the file's package; without it, the
    /// first of the file. Error: [`ENCODE`] where there is no such message.
    pub fn new(schema: Arc<Schema>, message: Option<&str>) -> Result<Self, Fault> {
        let protobuf = match &schema.parsed {
            Parsed::Protobuf(file) => Some(protobuf::choose(file, message)?),
            Parsed::Avro(_) | Parsed::Json(_) => None,
        };
        let avro = match &schema.parsed {
            Parsed::Avro(parsed) => avro::names(&parsed.schema),
            Parsed::Protobuf(_) | Parsed::Json(_) => avro::Names::new(),
        };
        Ok(Self { schema, protobuf, avro })
    }

    /// Full name of the record type, where it has one: what subject name strategies ask for.
    pub fn record_name(&self) -> Option<String> {
        match (&self.protobuf, &self.schema.parsed) {
            (Some((message, _)), _) => Some(message.full_name().to_owned()),
            (None, Parsed::Avro(avro)) => avro.schema.name().map(|name| name.fullname(None)),
            (None, Parsed::Json(json)) => serde_json::from_str::<Value>(&json.text)
                .ok()
                .and_then(|schema| schema.get("title")?.as_str().map(str::to_owned)),
            (None, Parsed::Protobuf(_)) => None,
        }
    }

    /// The payload with its prefix: magic byte, schema reference, message indexes, body.
    /// Error: [`ENCODE`], with the path of the value that does not fit.
    pub fn framed(&self, reference: SchemaRef, value: &Value) -> Result<Vec<u8>, Fault> {
        let mut out = self.header(reference);
        self.body(value, &mut out)?;
        Ok(out)
    }

    /// The value of the `__value_schema_id` header; the payload is then the body alone.
    pub fn header(&self, reference: SchemaRef) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        match reference {
            SchemaRef::Id(id) => {
                out.push(0);
                out.extend_from_slice(&id.to_be_bytes());
            }
            SchemaRef::Guid(guid) => {
                out.push(1);
                out.extend_from_slice(&guid);
            }
        }
        if let Some((_, indexes)) = &self.protobuf {
            message::write_indexes(indexes, &mut out);
        }
        out
    }

    /// The payload of a JSON Schema's record: its text as it stands, since a tree would lose digits and the
    /// order of members. `None`: the schema is of another language. The text must be JSON.
    pub fn framed_text(&self, reference: SchemaRef, text: &str) -> Option<Vec<u8>> {
        matches!(self.schema.parsed, Parsed::Json(_)).then(|| {
            let mut out = self.header(reference);
            out.extend_from_slice(text.trim().as_bytes());
            out
        })
    }

    /// The body alone, appended; after an error `out` holds a part of it.
    pub fn body(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), Fault> {
        match (&self.schema.parsed, &self.protobuf) {
            (Parsed::Protobuf(_), Some((message, _))) => protobuf::encode(message, value, out),
            (Parsed::Avro(parsed), _) => avro::encode(&parsed.schema, &self.avro, value, out),
            (Parsed::Protobuf(_) | Parsed::Json(_), _) => {
                out.extend_from_slice(value.to_string().as_bytes());
                Ok(())
            }
        }
    }
}

/// Where a value stands: made on the stack on the way down, written out only where it is wrong.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// ``value at `/items/0/price`: …``
    #[cold]
    fn fault(&self, found: impl std::fmt::Display) -> Fault {
        Fault::new(&ENCODE, format!("value at `{self}`: {found}"))
    }

    fn write(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Key(parent, key) => {
                parent.write(f)?;
                write!(f, "/{}", key.replace('~', "~0").replace('/', "~1"))
            }
            Path::Index(parent, index) => {
                parent.write(f)?;
                write!(f, "/{index}")
            }
        }
    }
}

/// A JSON pointer (RFC 6901), `/` for the whole value.
impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Path::Root => f.write_str("/"),
            path => path.write(f),
        }
    }
}
