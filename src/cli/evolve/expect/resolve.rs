//! Avro's schema resolution over values: what apache-avro's own does not do as the specification says, or does
//! by the look of a value (aliases of fields, branches of unions that look alike, promotions under logical types).
//!
//! Source: Avro 1.12 specification, "Schema Resolution".

use apache_avro::Schema;
use apache_avro::schema::{RecordField, RecordSchema};
use apache_avro::types::Value;
use serde_json::Value as Json;

use crate::cli::evolve::form::{Avro, full_name};

type Resolved = Result<Value, String>;

/// A value of `writer` as one of `reader`. Error: they do not meet.
pub fn resolve(
    value: &Value,
    from: &Avro,
    writer: &Schema,
    to: &Avro,
    reader: &Schema,
) -> Resolved {
    let (writer, reader) = (from.resolve(writer), to.resolve(reader));
    if let (Schema::Union(union), Value::Union(at, inner)) = (writer, value) {
        let branch = union.variants().get(*at as usize).ok_or("a branch that is not there")?;
        return resolve(inner, from, branch, to, reader);
    }
    if let Schema::Union(union) = reader {
        let variants = union.variants();
        let same = |branch: &Schema| named(from, writer, to, branch);
        let at = variants
            .iter()
            .position(same)
            .or_else(|| variants.iter().position(|b| meets(from, writer, to, b)))
            .ok_or_else(|| format!("no branch for {}", kind(writer)))?;
        let branch = variants.get(at).ok_or("no branch")?;
        let inner = resolve(value, from, writer, to, branch)?;
        return Ok(Value::Union(at as u32, Box::new(inner)));
    }
    match (writer, reader, value) {
        (Schema::Record(w), Schema::Record(r), Value::Record(fields)) => {
            record(fields, from, w, to, r)
        }
        // What has no items tells nothing of them: the schemas do.
        (Schema::Array(w), Schema::Array(r), Value::Array(items))
            if items.is_empty() && !fits(from, &w.items, to, &r.items, DEPTH) =>
        {
            Err(format!("items: {} as {}", kind(&w.items), kind(&r.items)))
        }
        (Schema::Map(w), Schema::Map(r), Value::Map(entries))
            if entries.is_empty() && !fits(from, &w.types, to, &r.types, DEPTH) =>
        {
            Err(format!("values: {} as {}", kind(&w.types), kind(&r.types)))
        }
        (Schema::Array(w), Schema::Array(r), Value::Array(items)) => {
            let items = items.iter().map(|item| resolve(item, from, &w.items, to, &r.items));
            Ok(Value::Array(items.collect::<Result<_, _>>()?))
        }
        (Schema::Map(w), Schema::Map(r), Value::Map(entries)) => {
            let entries = entries
                .iter()
                .map(|(k, v)| Ok((k.clone(), resolve(v, from, &w.types, to, &r.types)?)));
            Ok(Value::Map(entries.collect::<Result<_, String>>()?))
        }
        (Schema::Enum(_), Schema::Enum(r), Value::Enum(_, symbol)) => {
            let at = r.symbols.iter().position(|s| s == symbol);
            let symbol = match (at, &r.default) {
                (Some(_), _) => symbol.clone(),
                (None, Some(default)) => default.clone(),
                (None, None) => return Err(format!("symbol `{symbol}`: not one of the reader's")),
            };
            Ok(Value::Enum(at.unwrap_or_default() as u32, symbol))
        }
        (_, _, Value::Bytes(bytes)) if kind(reader) == "string" => {
            String::from_utf8(bytes.clone()).map(Value::String).map_err(|e| e.to_string())
        }
        _ if meets(from, writer, to, reader) => Ok(value.clone()),
        _ => Err(format!("{} as {}", kind(writer), kind(reader))),
    }
}

fn record(
    fields: &[(String, Value)],
    from: &Avro,
    writer: &RecordSchema,
    to: &Avro,
    reader: &RecordSchema,
) -> Resolved {
    let mut out = Vec::with_capacity(reader.fields.len());
    for field in &reader.fields {
        let at = place(writer, field);
        let value = match at.and_then(|at| Some((writer.fields.get(at)?, fields.get(at)?))) {
            Some((own, (_, value))) => resolve(value, from, &own.schema, to, &field.schema)?,
            None => match &field.default {
                Some(json) => default(json, to, &field.schema)?,
                None => return Err(format!("field `{}`: no default", field.name)),
            },
        };
        out.push((field.name.clone(), value));
    }
    Ok(Value::Record(out))
}

/// The writer's field of a reader's: by name, then by the reader's aliases.
fn place(writer: &RecordSchema, field: &RecordField) -> Option<usize> {
    let by = |name: &str| writer.fields.iter().position(|f| f.name == name);
    by(&field.name).or_else(|| field.aliases.iter().find_map(|alias| by(alias)))
}

/// The base type's name.
fn kind(schema: &Schema) -> &'static str {
    use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, UuidSchema};
    match schema {
        Schema::Null => "null",
        Schema::Boolean => "boolean",
        Schema::Int | Schema::Date | Schema::TimeMillis => "int",
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => "long",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::String | Schema::Uuid(UuidSchema::String) => "string",
        Schema::Fixed(_) | Schema::Duration(_) | Schema::Uuid(UuidSchema::Fixed(_)) => "fixed",
        Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(_), .. }) => "fixed",
        Schema::Bytes | Schema::Decimal(_) | Schema::BigDecimal | Schema::Uuid(_) => "bytes",
        Schema::Enum(_) => "enum",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        Schema::Record(_) => "record",
        Schema::Union(_) => "union",
        Schema::Ref { .. } => "reference",
    }
}

/// The same type, of the same name where types have names.
fn named(from: &Avro, writer: &Schema, to: &Avro, reader: &Schema) -> bool {
    let (writer, reader) = (from.resolve(writer), to.resolve(reader));
    kind(writer) == kind(reader)
        && match kind(writer) {
            "record" | "enum" | "fixed" => full_name(writer) == full_name(reader),
            _ => true,
        }
}

/// The first thing that resolution asks of two schemas.
fn meets(from: &Avro, writer: &Schema, to: &Avro, reader: &Schema) -> bool {
    let (writer, reader) = (from.resolve(writer), to.resolve(reader));
    let simple = |schema: &Schema| {
        full_name(schema).map(|n| n.rsplit('.').next().unwrap_or_default().to_owned())
    };
    match (kind(writer), kind(reader)) {
        ("record" | "enum" | "fixed", _) if kind(writer) == kind(reader) => {
            simple(writer) == simple(reader) || aliased(writer, reader)
        }
        (a, b) if a == b => true,
        ("int", "long" | "float" | "double")
        | ("long", "float" | "double")
        | ("float", "double")
        | ("string", "bytes")
        | ("bytes", "string") => true,
        _ => false,
    }
}

/// How deep schemas are looked at where there is no value; what is deeper fits.
const DEPTH: u32 = 16;

/// Whether the schemas match, whatever the values: "applied recursively to the item schemas". Which branch of a
/// writer's union comes is for the values to say.
fn fits(from: &Avro, writer: &Schema, to: &Avro, reader: &Schema, left: u32) -> bool {
    let Some(left) = left.checked_sub(1) else { return true };
    let (writer, reader) = (from.resolve(writer), to.resolve(reader));
    match (writer, reader) {
        (Schema::Union(_), _) => true,
        (_, Schema::Union(union)) => {
            union.variants().iter().any(|branch| fits(from, writer, to, branch, left))
        }
        (Schema::Array(w), Schema::Array(r)) => fits(from, &w.items, to, &r.items, left),
        (Schema::Map(w), Schema::Map(r)) => fits(from, &w.types, to, &r.types, left),
        (Schema::Record(w), Schema::Record(r)) if meets(from, writer, to, reader) => {
            r.fields.iter().all(|field| match place(w, field).and_then(|at| w.fields.get(at)) {
                Some(own) => fits(from, &own.schema, to, &field.schema, left),
                None => field.default.is_some(),
            })
        }
        _ => meets(from, writer, to, reader),
    }
}

fn aliased(writer: &Schema, reader: &Schema) -> bool {
    let aliases = match reader {
        Schema::Record(r) => &r.aliases,
        Schema::Enum(e) => &e.aliases,
        Schema::Fixed(f) => &f.aliases,
        _ => return false,
    };
    let name = full_name(writer);
    aliases.iter().flatten().any(|alias| Some(alias.fullname(None)) == name)
}

/// What a field's default says.
pub fn default(json: &Json, of: &Avro, schema: &Schema) -> Resolved {
    let unfit = || format!("default {json} of {}", kind(schema));
    let text = || json.as_str().map(str::to_owned).ok_or_else(unfit);
    // Bytes stand as the characters of their numbers.
    let bytes =
        || -> Result<Vec<u8>, String> { Ok(text()?.chars().map(|c| c as u32 as u8).collect()) };
    Ok(match of.resolve(schema) {
        Schema::Null if json.is_null() => Value::Null,
        Schema::Null => return Err(unfit()),
        Schema::Union(union) => {
            // The first branch that takes it, as the 1.12 specification says.
            let mut tried = union.variants().iter().enumerate();
            let found = tried.find_map(|(at, b)| Some((at, default(json, of, b).ok()?)));
            let (at, value) = found.ok_or_else(unfit)?;
            Value::Union(at as u32, Box::new(value))
        }
        Schema::Record(record) => {
            let object = json.as_object().ok_or_else(unfit)?;
            let field = |f: &RecordField| {
                let json = object.get(&f.name).or(f.default.as_ref()).ok_or_else(unfit)?;
                Ok((f.name.clone(), default(json, of, &f.schema)?))
            };
            Value::Record(record.fields.iter().map(field).collect::<Result<_, String>>()?)
        }
        Schema::Array(a) => {
            let items = json.as_array().ok_or_else(unfit)?.iter();
            Value::Array(items.map(|i| default(i, of, &a.items)).collect::<Result<_, _>>()?)
        }
        Schema::Map(m) => {
            let entries = json.as_object().ok_or_else(unfit)?.iter();
            let entries = entries.map(|(k, v)| Ok((k.clone(), default(v, of, &m.types)?)));
            Value::Map(entries.collect::<Result<_, String>>()?)
        }
        Schema::Enum(_) => Value::Enum(0, text()?),
        leaf => match kind(leaf) {
            "boolean" => Value::Boolean(json.as_bool().ok_or_else(unfit)?),
            "int" => Value::Int(json.as_i64().ok_or_else(unfit)? as i32),
            "long" => Value::Long(json.as_i64().ok_or_else(unfit)?),
            "float" => Value::Float(json.as_f64().ok_or_else(unfit)? as f32),
            "double" => Value::Double(json.as_f64().ok_or_else(unfit)?),
            "string" => Value::String(text()?),
            "bytes" => Value::Bytes(bytes()?),
            "fixed" => {
                let bytes = bytes()?;
                Value::Fixed(bytes.len(), bytes)
            }
            _ => return Err(unfit()),
        },
    })
}
