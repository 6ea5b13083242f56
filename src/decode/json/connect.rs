//! Records with their schema inside, as Kafka Connect's `JsonConverter` writes them:
//! `{"schema": …, "payload": …}`; and that schema → `Shape`.

use arrow::datatypes::TimeUnit;

use super::codes;
use super::failure::{Failure, Read, too_deep};
use super::schema::{CONNECT_DATA, whole, written};
use super::shape::{Field, Kind, Shape, Struct};
use super::token::Cursor;
use super::tree::{Object, Tree, too_wide_or};
use crate::decode::codes as shared;
use crate::decode::columns::COLUMNS_MAX;
use crate::decode::readers::join;
use crate::error::{Fault, Reject};

/// A record in its two parts, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// JSON text of the Connect schema; `null` where the record has none.
    pub schema: &'a [u8],
    /// JSON text of the value.
    pub payload: &'a [u8],
}

/// Splits a record; of equal keys the last counts, other keys are left out. `levels`: objects and arrays
/// inside one another that the record may have.
///
/// Errors: [`codes::ENVELOPE`], [`codes::SYNTAX`], [`codes::TRAILING`], [`shared::DEPTH`],
/// [`shared::UTF8`].
pub fn split(body: &[u8], levels: u32) -> Result<Envelope<'_>, Box<Reject>> {
    let text = super::utf8(body)?;
    let mut cursor = Cursor::new(text);
    let parts = parts(&mut cursor, levels).map_err(|failure| failure.reject())?;
    match parts {
        (Some(schema), Some(payload)) => {
            Ok(Envelope { schema: schema.as_bytes(), payload: payload.as_bytes() })
        }
        (schema, _) => {
            let missing = if schema.is_none() { "schema" } else { "payload" };
            Err(Reject::new(
                &codes::ENVELOPE,
                format!("record: no `{missing}` in it, `schema` and `payload` required"),
            ))
        }
    }
}

type Parts<'a> = (Option<&'a str>, Option<&'a str>);

fn parts<'a>(cursor: &mut Cursor<'a>, levels: u32) -> Read<Parts<'a>> {
    let (mut schema, mut payload) = (None, None);
    let mut scratch = Vec::new();
    if cursor.peek() != b'{' {
        return match cursor.skip(levels) {
            Ok(()) => Err(Failure::new(
                &codes::ENVELOPE,
                cursor,
                "not an object, one with `schema` and `payload` required",
            )),
            Err(bad) => Err(Failure::bad(bad, cursor)),
        };
    }
    let inner = levels.checked_sub(1).ok_or_else(|| too_deep(cursor))?;
    cursor.step();
    if cursor.peek() == b'}' {
        cursor.step();
    } else {
        loop {
            let key = cursor.string(&mut scratch).map_err(|bad| Failure::bad(bad, cursor))?;
            let (slot, levels) = match key {
                // A level of columns takes three of the schema's text.
                b"schema" => (Some(&mut schema), LEVELS_MAX),
                b"payload" => (Some(&mut payload), inner),
                _ => (None, inner),
            };
            let value = member(cursor, levels).map_err(|bad| Failure::bad(bad, cursor))?;
            if let Some(slot) = slot {
                *slot = Some(value);
            }
            if cursor.peek() == b'}' {
                cursor.step();
                break;
            }
            let comma = cursor.require(b',', "`,` or `}`");
            comma.map_err(|bad| Failure::bad(bad, cursor))?;
        }
    }
    if !cursor.is_done() {
        return Err(Failure::trailing(cursor));
    }
    Ok((schema, payload))
}

fn member<'a>(cursor: &mut Cursor<'a>, levels: u32) -> Result<&'a str, super::token::Bad> {
    cursor.require(b':', "`:`")?;
    cursor.peek();
    let start = cursor.at();
    cursor.skip(levels)?;
    Ok(cursor.since(start))
}

/// Reads a Connect schema. Gives its name too.
///
/// Errors: [`codes::CONNECT`]; [`shared::DEPTH`] and [`shared::TOO_WIDE`] for one beyond the bounds.
pub(super) fn shape(schema: &[u8]) -> Result<(Shape, Option<String>), Fault> {
    let text = std::str::from_utf8(schema).unwrap_or_default();
    let tree = Tree::parse(text).map_err(|why| {
        let code = too_wide_or(&why, &codes::CONNECT);
        Fault::new(code, format!("connect schema: {}", why.reject().message))
    })?;
    // JsonConverter writes data without a schema with a null one.
    if tree == Tree::Null {
        return Ok((Kind::Any.into(), None));
    }
    let mut read = 0;
    let shape = of(&tree, "", 0, &mut read)?;
    let name = tree.object().and_then(|o| o.text("name")).map(str::to_owned);
    Ok((shape, name))
}

/// Levels of a Connect schema.
const LEVELS_MAX: u32 = 128;

fn of(tree: &Tree, path: &str, level: u32, read: &mut usize) -> Result<Shape, Fault> {
    let refuse = |found: &str, required: &str| {
        let message = format!("connect schema at `{path}`: {found}, {required} required");
        Fault::new(&codes::CONNECT, message)
    };
    *read += 1;
    if *read > COLUMNS_MAX {
        return Err(Fault::new(
            &shared::TOO_WIDE,
            format!("connect schema: more than {COLUMNS_MAX} fields, at most that allowed"),
        ));
    }
    if level > LEVELS_MAX {
        return Err(Fault::new(
            &shared::DEPTH,
            format!("connect schema at `{path}`: over {LEVELS_MAX} levels, fewer required"),
        ));
    }
    let object = tree.object().ok_or_else(|| refuse(tree.kind(), "an object"))?;
    let mut inner = |key: &str| {
        let tree = object.get(key).ok_or_else(|| refuse("nothing", &format!("`{key}`")))?;
        Ok::<_, Fault>(Box::new(of(tree, &format!("{path}[]"), level + 1, read)?))
    };
    let logical = object.text("name").and_then(|name| name.strip_prefix(CONNECT_DATA));
    let kind = match (object.text("type").unwrap_or_default(), logical) {
        ("bytes", Some("Decimal")) => decimal(object),
        ("int32", Some("Date")) => Kind::Days,
        ("int32", Some("Time")) => Kind::Millis,
        ("int64", Some("Timestamp")) => Kind::Instant(TimeUnit::Millisecond),
        ("int8", _) => Kind::int(8),
        ("int16", _) => Kind::int(16),
        ("int32", _) => Kind::int(32),
        ("int64", _) => Kind::I64,
        ("float" | "float32", _) => Kind::Float32,
        ("double" | "float64", _) => Kind::Float64,
        ("boolean", _) => Kind::Bool,
        ("string", _) => Kind::text(),
        ("bytes", _) => Kind::Bytes,
        ("array", _) => Kind::List(inner("items")?),
        ("map", _) => {
            let (key, value) = (inner("keys")?, inner("values")?);
            // Only maps of plain text are written as objects.
            if matches!(key.kind, Kind::Text(_)) && !key.nullable {
                Kind::Map(value)
            } else {
                Kind::Pairs { key, value, objects: false }
            }
        }
        ("struct", _) => Kind::Struct(fields(object, path, level, read)?),
        (other, _) => return Err(refuse(&format!("type `{other}`"), "a type of Connect's")),
    };
    let nullable = object.get("optional") == Some(&Tree::Bool(true));
    Ok(Shape { kind, nullable, name: object.text("name").map(str::to_owned) })
}

fn fields(object: &Object, path: &str, level: u32, read: &mut usize) -> Result<Struct, Fault> {
    let listed = match object.get("fields") {
        Some(Tree::List(fields)) => fields.as_slice(),
        None => &[],
        Some(other) => {
            let message = format!("connect schema at `{path}`: {}, a list required", other.kind());
            return Err(Fault::new(&codes::CONNECT, message));
        }
    };
    let mut fields: Vec<Field> = Vec::with_capacity(listed.len());
    let mut names = std::collections::HashSet::new();
    for tree in listed {
        let name = tree.object().and_then(|o| o.text("field"));
        let name = name.filter(|name| names.insert(*name)).ok_or_else(|| {
            let message = format!(
                "connect schema at `{path}`: a field without a name of its own, one required"
            );
            Fault::new(&codes::CONNECT, message)
        })?;
        let shape = of(tree, &join(path, name), level + 1, read)?;
        let default = tree.object().and_then(|o| o.get("default"));
        let filled = default.filter(|d| **d != Tree::Null).map(written);
        let required = !shape.nullable && filled.is_none();
        let name = name.to_owned();
        fields.push(Field { name, shape, required, filled, said: None, index: None });
    }
    Ok(Struct { fields, required: Vec::new(), open: true })
}

fn decimal(object: &Object) -> Kind {
    let parameters = object.get("parameters").and_then(Tree::object);
    let number = |key: &str| parameters.and_then(|p| p.get(key)).and_then(whole);
    let precision = number("connect.decimal.precision").unwrap_or(0).clamp(0, 100_000) as u32;
    let scale = number("scale").unwrap_or(0).clamp(-100_000, 100_000) as i32;
    Kind::Decimal { precision, scale }
}
