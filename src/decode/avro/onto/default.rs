//! A default, as a schema declares it → the bytes that a writer would have written.
//!
//! Source: the Avro 1.12 specification, "Complex Types", the table of defaults: JSON by base type, bytes
//! as characters U+0000 to U+00FF, a union by the first branch that holds the value.

use serde_json::Value as Json;

use super::text::write_long;
use crate::decode::avro::shape::{Declared, Shape, ShapeId, Shapes, base_name};

/// Levels of a default.
const DEPTH_MAX: u32 = 100;
/// Values of a default, those inside others too, and the bytes they may take: records in records may
/// each repeat a long one, or double without any byte.
const VALUES_MAX: u32 = 1 << 16;
const BYTES_MAX: usize = 1 << 20;

/// Appends `value` as a value of shape `id`; says why it is none.
pub(super) fn write(
    shapes: &Shapes,
    declared: &Declared,
    id: ShapeId,
    value: &Json,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    Writer { shapes, declared, depth: 0, left: VALUES_MAX }.value(id, value, out)
}

struct Writer<'s> {
    shapes: &'s Shapes,
    declared: &'s Declared,
    depth: u32,
    left: u32,
}

impl<'s> Writer<'s> {
    fn value(&mut self, id: ShapeId, value: &Json, out: &mut Vec<u8>) -> Result<(), String> {
        if self.depth > DEPTH_MAX || self.left == 0 || out.len() > BYTES_MAX {
            return Err(format!(
                "default of more than {DEPTH_MAX} levels, {VALUES_MAX} values or {BYTES_MAX} bytes, at most these required"
            ));
        }
        self.left -= 1;
        self.depth += 1;
        let written = self.parts(id, value, out);
        self.depth -= 1;
        written
    }

    fn parts(&mut self, id: ShapeId, value: &Json, out: &mut Vec<u8>) -> Result<(), String> {
        let shapes = self.shapes;
        match (&shapes[id], value) {
            (Shape::Union(branches), _) => {
                let start = out.len();
                for (index, (_, branch)) in branches.iter().enumerate() {
                    long(index as i64, out);
                    if self.value(*branch, value, out).is_ok() {
                        return Ok(());
                    }
                    out.truncate(start);
                }
                Err(wrong("union", value))
            }
            (Shape::Record { fields }, Json::Object(members)) => {
                let declared = self.declared.fields.get(&id);
                for (i, (name, field)) in fields.iter().enumerate() {
                    let default = || declared?.get(i)?.default.as_ref();
                    let Some(member) = members.get(name).or_else(default) else {
                        return Err(format!("default without `{name}`, every field required"));
                    };
                    self.value(*field, member, out)?;
                }
                Ok(())
            }
            (Shape::Array(items), Json::Array(values)) => {
                if !values.is_empty() {
                    long(values.len() as i64, out);
                }
                values.iter().try_for_each(|value| self.value(*items, value, out))?;
                out.push(0);
                Ok(())
            }
            (Shape::Map(values), Json::Object(members)) => {
                if !members.is_empty() {
                    long(members.len() as i64, out);
                }
                for (key, member) in members {
                    prefixed(key.as_bytes(), out);
                    self.value(*values, member, out)?;
                }
                out.push(0);
                Ok(())
            }
            (leaf, value) => match self.leaf(leaf, value, out) {
                Some(()) => Ok(()),
                None => Err(wrong(base_name(leaf), value)),
            },
        }
    }

    fn leaf(&self, shape: &Shape, value: &Json, out: &mut Vec<u8>) -> Option<()> {
        match shape {
            Shape::Null => value.as_null()?,
            Shape::Boolean => out.push(u8::from(value.as_bool()?)),
            Shape::Int | Shape::Date | Shape::TimeMillis => {
                long(i64::from(i32::try_from(whole(value)?).ok()?), out);
            }
            Shape::Long | Shape::TimeMicros | Shape::Timestamp { .. } => long(whole(value)?, out),
            Shape::Float => out.extend_from_slice(&(number(value)? as f32).to_le_bytes()),
            Shape::Double => out.extend_from_slice(&number(value)?.to_le_bytes()),
            Shape::String | Shape::Uuid { fixed: false } => {
                prefixed(value.as_str()?.as_bytes(), out);
            }
            Shape::Bytes | Shape::Decimal { fixed: None, .. } => {
                prefixed(&latin1(value.as_str()?)?, out);
            }
            Shape::Fixed(size) | Shape::Decimal { fixed: Some(size), .. } => {
                out.extend_from_slice(&exact(value, *size)?);
            }
            Shape::Uuid { fixed: true } => out.extend_from_slice(&exact(value, 16)?),
            Shape::Duration => out.extend_from_slice(&exact(value, 12)?),
            Shape::Enum(symbols) => {
                let symbol = value.as_str()?;
                long(symbols.iter().position(|s| s == symbol)? as i64, out);
            }
            Shape::Array(_) | Shape::Map(_) | Shape::Record { .. } | Shape::Union(_) => {
                return None;
            }
        }
        Some(())
    }
}

fn wrong(what: &str, value: &Json) -> String {
    let mut text = value.to_string();
    text.truncate(text.floor_char_boundary(100));
    format!("default `{text}`, a value of `{what}` required")
}

/// A whole number, `5.0` too.
fn whole(value: &Json) -> Option<i64> {
    let exact = |f: f64| (f.fract() == 0.0 && f.abs() < 9.0e15).then_some(f as i64);
    value.as_i64().or_else(|| exact(value.as_f64()?))
}

/// A number, or the names that Java writes for those that JSON does not have.
fn number(value: &Json) -> Option<f64> {
    match value {
        Json::String(name) => match name.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" | "INF" => Some(f64::INFINITY),
            "-Infinity" | "-INF" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        other => other.as_f64(),
    }
}

fn exact(value: &Json, size: usize) -> Option<Vec<u8>> {
    latin1(value.as_str()?).filter(|bytes| bytes.len() == size)
}

fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn prefixed(bytes: &[u8], out: &mut Vec<u8>) {
    long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// Appends a zigzag varint.
fn long(value: i64, out: &mut Vec<u8>) {
    let mut bytes = [0; 10];
    let length = write_long(value, &mut bytes);
    out.extend_from_slice(bytes.get(..length).unwrap_or_default());
}
