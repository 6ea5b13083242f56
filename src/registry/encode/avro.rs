//! JSON → Avro binary, by the schema.
//!
//! Values are those of Avro's JSON encoding (specification, "JSON Encoding"), and the plain forms
//! people write:
//!
//! | Avro | JSON |
//! |---|---|
//! | union | `{"string": "x"}` with the branch's name, full or short; or the value itself: the first branch it fits |
//! | field that is absent | its default, else null where the type allows it |
//! | int, long | a whole number, or its digits in a string |
//! | float, double | a number, or `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | bytes, fixed | a string of characters U+0000 to U+00FF, one a byte |
//! | decimal | a number or its digits in a string; fitting precision and scale |
//! | big-decimal | the same, of any scale |
//! | uuid | its text |
//! | date, time-*, timestamp-*, local-timestamp-* | the number, or ISO 8601 text (`2026-01-02`, `10:00:00.5`, `2026-01-02T10:00:00Z`) |
//! | duration | `{"months": 1, "days": 2, "millis": 3}` |

use std::collections::HashMap;

use apache_avro::schema::{Name, RecordSchema, Schema, UnionSchema, UuidSchema};
use serde_json::Value;

use crate::error::Fault;
use crate::registry::compile::avro_definitions;

use super::scalar::{blocks, expected, latin1, long, prefixed, string, write_scalar};
use super::{DEPTH_MAX, Path};

/// Named types of a schema, by name.
pub(super) type Names = HashMap<Name, Schema>;

pub(super) fn names(schema: &Schema) -> Names {
    let defined = avro_definitions(schema);
    defined.into_iter().map(|(name, schema)| (name.clone(), schema.clone())).collect()
}

pub(super) fn encode(
    schema: &Schema,
    names: &Names,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    // A topmost `bytes` is the payload itself, without a length, as the serializers write it.
    if matches!(schema, Schema::Bytes) {
        out.extend_from_slice(&latin1(value, Path::Root)?);
        return Ok(());
    }
    Writer { names }.write(schema, value, Path::Root, 0, out)
}

struct Writer<'a> {
    names: &'a Names,
}

impl<'a> Writer<'a> {
    fn follow(&self, schema: &'a Schema) -> &'a Schema {
        match schema {
            Schema::Ref { name } => self.names.get(name).unwrap_or(schema),
            other => other,
        }
    }

    fn write(
        &self,
        schema: &'a Schema,
        value: &Value,
        path: Path<'_>,
        depth: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if depth > DEPTH_MAX {
            return Err(path.fault(format_args!("more than {DEPTH_MAX} levels")));
        }
        match self.follow(schema) {
            Schema::Ref { name } => {
                Err(path.fault(format_args!("type `{name}` is not in the schema")))
            }
            Schema::Union(union) => self.union(union, value, path, depth, out),
            Schema::Record(record) => self.record(record, value, path, depth, out),
            Schema::Array(array) => {
                let Value::Array(items) = value else {
                    return Err(expected("a list", value, path));
                };
                blocks(items.len(), out, |out| {
                    for (i, item) in items.iter().enumerate() {
                        self.write(&array.items, item, Path::Index(&path, i), depth + 1, out)?;
                    }
                    Ok(())
                })
            }
            Schema::Map(map) => {
                let Value::Object(entries) = value else {
                    return Err(expected("an object", value, path));
                };
                blocks(entries.len(), out, |out| {
                    for (key, item) in entries {
                        prefixed(key.as_bytes(), out);
                        self.write(&map.types, item, Path::Key(&path, key), depth + 1, out)?;
                    }
                    Ok(())
                })
            }
            Schema::Enum(item) => {
                let text = string(value, path)?;
                let index = item.symbols.iter().position(|symbol| symbol == text);
                let index = index.ok_or_else(|| {
                    let symbols = item.symbols.join("`, `");
                    path.fault(format_args!("`{text}`, one of `{symbols}` required"))
                })?;
                long(index as i64, out);
                Ok(())
            }
            scalar => write_scalar(scalar, value, path, out),
        }
    }

    fn record(
        &self,
        record: &'a RecordSchema,
        value: &Value,
        path: Path<'_>,
        depth: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Value::Object(members) = value else { return Err(expected("an object", value, path)) };
        if let Some(key) = members.keys().find(|key| !record.lookup.contains_key(key.as_str())) {
            let path = Path::Key(&path, key);
            return Err(path.fault(format_args!("no field of `{}`", record.name)));
        }
        for field in &record.fields {
            let path = Path::Key(&path, &field.name);
            let given = std::iter::once(&field.name)
                .chain(&field.aliases)
                .find_map(|name| members.get(name.as_str()));
            match given.or(field.default.as_ref()) {
                Some(value) => self.write(&field.schema, value, path, depth + 1, out)?,
                None => self
                    .write(&field.schema, &Value::Null, path, depth + 1, out)
                    .map_err(|_| path.fault("absent, and the field has no default"))?,
            }
        }
        Ok(())
    }

    fn union(
        &self,
        union: &'a UnionSchema,
        value: &Value,
        path: Path<'_>,
        depth: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut told = None;
        if let Some((index, inner, name)) = tagged(union, value) {
            match self.branch(union, index, inner, Path::Key(&path, name), depth, out) {
                Ok(()) => return Ok(()),
                Err(error) => told = Some(error),
            }
        }
        for (index, branch) in union.variants().iter().enumerate() {
            if !is_form(self.follow(branch), value) {
                continue;
            }
            match self.branch(union, index, value, path, depth, out) {
                Ok(()) => return Ok(()),
                Err(error) => told = told.or(Some(error)),
            }
        }
        Err(told.unwrap_or_else(|| {
            let names: Vec<_> = union.variants().iter().map(branch_name).collect();
            expected(&format!("a value of the union `{}`", names.join("`, `")), value, path)
        }))
    }

    /// Writes into `out` only if all of it fits.
    fn branch(
        &self,
        union: &'a UnionSchema,
        index: usize,
        value: &Value,
        path: Path<'_>,
        depth: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let length = out.len();
        long(index as i64, out);
        let written = self.write(&union.variants()[index], value, path, depth + 1, out);
        if written.is_err() {
            out.truncate(length);
        }
        written
    }
}

/// `{"branch": value}`.
fn tagged<'v>(union: &UnionSchema, value: &'v Value) -> Option<(usize, &'v Value, &'v str)> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    let (name, inner) = members.iter().next()?;
    let names = |schema: &Schema| match schema.name() {
        Some(full) => full.fullname(None) == *name || full.name() == name,
        None => branch_name(schema) == *name,
    };
    let index = union.variants().iter().position(names)?;
    Some((index, inner, name))
}

/// The name a branch has in Avro's JSON encoding.
fn branch_name(schema: &Schema) -> String {
    if let Some(name) = schema.name() {
        return name.fullname(None);
    }
    match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int | Schema::Date | Schema::TimeMillis => "int",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes
        | Schema::BigDecimal
        | Schema::Decimal(_)
        | Schema::Uuid(UuidSchema::Bytes) => "bytes",
        Schema::String | Schema::Uuid(_) => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        _ => "long",
    }
    .to_owned()
}

/// Whether a type takes JSON of this kind at all: a value is tried with such branches only.
fn is_form(schema: &Schema, value: &Value) -> bool {
    match schema {
        Schema::Null => value.is_null(),
        Schema::Boolean => value.is_boolean(),
        Schema::Record(_) | Schema::Map(_) | Schema::Duration(_) => value.is_object(),
        Schema::Array(_) => value.is_array(),
        Schema::Enum(_) | Schema::String | Schema::Bytes | Schema::Fixed(_) | Schema::Uuid(_) => {
            value.is_string()
        }
        Schema::Union(_) | Schema::Ref { .. } => true,
        _ => value.is_number() || value.is_string(),
    }
}
