//! Avro: schema text and referenced schemas → one self-contained schema, strictly read; what does not
//! pass so is read again by `lenient`, and [`AvroSchema::forgiven`] says what that changed.

mod lenient;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Once;

use apache_avro::AvroResult;
use apache_avro::error::Details;
use apache_avro::schema::{Name, Schema, UnionSchema};
use apache_avro::validator::{
    EnumSymbolNameValidator, RecordFieldNameValidator, SchemaNameValidator,
    SchemaNamespaceValidator,
};

use crate::error::Fault;
use crate::registry::AvroSchema;
use crate::registry::codes::{BAD, REFERENCES, TOO_LARGE};

use super::Reference;

/// Most named types in references: each is looked for among all, once.
const DEFINITIONS_MAX: usize = 10_000;
/// Most objects in one text. No plan has as many columns, and the parser takes some hundred bytes for each.
const OBJECTS_MAX: usize = 40_000;

pub(super) fn compile(text: &str, references: &[Reference]) -> Result<AvroSchema, Fault> {
    accept_names();
    for text in std::iter::once(text).chain(references.iter().map(|r| r.text.as_str())) {
        check_objects(text)?;
    }
    let mut compiled =
        strict(text, references).or_else(|fault| again(text, references).ok_or(fault))?;
    compiled.forgiven.extend(odd_names(&compiled.schema));
    Ok(compiled)
}

/// Refuses a text of too many objects before it is parsed.
fn check_objects(text: &str) -> Result<(), Fault> {
    let (mut quoted, mut escaped, mut objects) = (false, false, 0usize);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' if !quoted => objects += 1,
            _ => {}
        }
    }
    if objects <= OBJECTS_MAX {
        return Ok(());
    }
    Err(Fault::new(
        &TOO_LARGE,
        format!("avro schema: {objects} objects in its text, at most {OBJECTS_MAX} required"),
    ))
}

/// The second reading; `None` where that fails too, and the first fault stands.
fn again(text: &str, references: &[Reference]) -> Option<AvroSchema> {
    use lenient::Defaults;
    let parts: Vec<&str> = references.iter().map(|r| r.text.as_str()).collect();
    [Defaults::Valid, Defaults::None].into_iter().find_map(|defaults| {
        let (json, forgiven) = lenient::whole(text, &parts, defaults)?;
        let schema = Schema::parse_str(&json).ok()?;
        Some(AvroSchema { schema, json, forgiven })
    })
}

fn strict(text: &str, references: &[Reference]) -> Result<AvroSchema, Fault> {
    if references.is_empty() {
        let schema = Schema::parse_str(text).map_err(|e| bad(&e, text))?;
        return Ok(AvroSchema { schema, json: text.to_owned(), forgiven: Vec::new() });
    }
    let mut seen = HashSet::new();
    // The first of a name wins, as in the reference clients.
    let parts: Vec<&str> = references
        .iter()
        .filter(|r| seen.insert(r.name.as_str()))
        .map(|r| r.text.as_str())
        .collect();
    for reference in references {
        check_named(reference)?;
    }
    let (mut schema, parts) =
        Schema::parse_str_with_list(text, &parts).map_err(|e| bad(&e, text))?;
    // Types that a reference defines inside another one are as good as those it is named for.
    let mut definitions = Vec::new();
    for part in parts {
        flatten(part, &mut definitions).map_err(|e| bad(&e, text))?;
    }
    if definitions.len() > DEFINITIONS_MAX {
        return Err(Fault::new(
            &REFERENCES,
            format!(
                "avro schema: {} named types in its references, at most {DEFINITIONS_MAX} required",
                definitions.len()
            ),
        ));
    }
    schema.denormalize(&definitions).map_err(|e| Fault::new(&REFERENCES, says(&e, text)))?;
    let json = serde_json::to_string(&schema)
        .map_err(|e| Fault::new(&BAD, format!("avro schema: {e}")))?;
    // Parsed again, so that the schema and its text cannot differ.
    let schema = Schema::parse_str(&json).map_err(|e| bad(&e, text))?;
    Ok(AvroSchema { schema, json, forgiven: Vec::new() })
}

fn bad(error: &apache_avro::Error, text: &str) -> Fault {
    let code = match error.details() {
        Details::SchemaResolutionError(_) => &REFERENCES,
        _ => &BAD,
    };
    Fault::new(code, says(error, text))
}

fn says(error: &apache_avro::Error, text: &str) -> String {
    let (place, why) = match error.details() {
        Details::ParseSchemaJson(json) => (Some((json.line(), json.column())), json.to_string()),
        _ => (place(text, &error.to_string()), error.to_string()),
    };
    match place {
        Some((line, column)) => format!("avro schema: line {line} column {column}: {why}"),
        None => format!("avro schema: {why}"),
    }
}

/// Line and column, from 1, of what an error is about, which it names without saying where: the first text of
/// the schema that is one of its words, words of every schema aside. None where it names nothing.
fn place(text: &str, error: &str) -> Option<(usize, usize)> {
    const COMMON: [&str; 26] = [
        "record",
        "enum",
        "array",
        "map",
        "fixed",
        "union",
        "null",
        "boolean",
        "int",
        "long",
        "float",
        "double",
        "string",
        "bytes",
        "name",
        "type",
        "fields",
        "items",
        "values",
        "symbols",
        "size",
        "default",
        "namespace",
        "aliases",
        "order",
        "doc",
    ];
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '$');
    let words = error.split(|c| !word(c)).map(|w| w.trim_matches('.'));
    let at = words
        .filter(|w| !w.is_empty() && !COMMON.contains(&w.to_ascii_lowercase().as_str()))
        .find_map(|w| {
            // A full name may stand in the text without its namespace.
            let last = w.rsplit('.').next().unwrap_or(w);
            [w, last].into_iter().find_map(|w| text.find(&format!("\"{w}\"")))
        })?;
    let before = text.get(..at)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Some((before.matches('\n').count() + 1, before[start..].chars().count() + 1))
}

/// A referenced schema that is a plain type, a list or a union has no name to refer to.
fn check_named(reference: &Reference) -> Result<(), Fault> {
    let named = match serde_json::from_str::<serde_json::Value>(&reference.text) {
        Ok(value) => value.get("name").is_some(),
        Err(error) => {
            return Err(Fault::new(
                &BAD,
                format!("avro schema of reference `{}`: {error}", reference.name),
            ));
        }
    };
    if named {
        return Ok(());
    }
    Err(Fault::new(
        &REFERENCES,
        format!(
            "avro reference `{}`: a schema without a name, a record, enum or fixed required",
            reference.name
        ),
    ))
}

/// Takes a schema apart: every named type goes to `out` by itself, and a name stays in its place.
/// Depth is bounded by the JSON parser's limit of 128.
fn flatten(schema: Schema, out: &mut Vec<Schema>) -> AvroResult<Schema> {
    let inside = |place: &mut Schema, out: &mut Vec<Schema>| -> AvroResult<()> {
        *place = flatten(std::mem::replace(place, Schema::Null), out)?;
        Ok(())
    };
    let named = match schema {
        Schema::Ref { .. } => return Ok(schema),
        Schema::Record(mut record) => {
            for field in &mut record.fields {
                inside(&mut field.schema, out)?;
            }
            Schema::Record(record)
        }
        Schema::Array(mut array) => {
            inside(&mut array.items, out)?;
            return Ok(Schema::Array(array));
        }
        Schema::Map(mut map) => {
            inside(&mut map.types, out)?;
            return Ok(Schema::Map(map));
        }
        Schema::Union(union) => {
            let branches = union.variants().iter().cloned().map(|branch| flatten(branch, out));
            return Ok(Schema::Union(UnionSchema::new(branches.collect::<AvroResult<_>>()?)?));
        }
        other => other,
    };
    let Some(name) = named.name().cloned() else { return Ok(named) };
    out.push(named);
    Ok(Schema::Ref { name })
}

/// Every named type below a schema. Depth is bounded by the JSON parser's limit of 128.
fn collect<'a>(schema: &'a Schema, out: &mut Vec<&'a Schema>) {
    match schema {
        Schema::Ref { .. } => {}
        Schema::Record(record) => {
            out.push(schema);
            record.fields.iter().for_each(|field| collect(&field.schema, out));
        }
        Schema::Array(array) => collect(&array.items, out),
        Schema::Map(map) => collect(&map.types, out),
        Schema::Union(union) => union.variants().iter().for_each(|s| collect(s, out)),
        other if other.name().is_some() => out.push(schema),
        _ => {}
    }
}

/// The named types of a schema, by name.
pub(crate) fn definitions(schema: &Schema) -> HashMap<&Name, &Schema> {
    let mut found = Vec::new();
    collect(schema, &mut found);
    found.into_iter().filter_map(|schema| Some((schema.name()?, schema))).collect()
}

/// Names that the specification refuses and this program takes, said once.
fn odd_names(schema: &Schema) -> Option<String> {
    let is_plain = |name: &str| {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
    };
    let mut named = Vec::new();
    collect(schema, &mut named);
    let mut odd = Vec::new();
    for schema in named {
        let full = schema.name().map(|name| name.fullname(None)).unwrap_or_default();
        let (fields, symbols) = match schema {
            Schema::Record(record) => (record.fields.as_slice(), [].as_slice()),
            Schema::Enum(e) => ([].as_slice(), e.symbols.as_slice()),
            _ => ([].as_slice(), [].as_slice()),
        };
        let inner = fields.iter().map(|field| &field.name).chain(symbols);
        odd.extend(inner.filter(|name| !is_plain(name)).map(|name| format!("`{full}.{name}`")));
        if !full.split('.').all(is_plain) {
            odd.push(format!("`{full}`"));
        }
    }
    let (count, first) = (odd.len(), odd.into_iter().take(5).collect::<Vec<_>>().join(", "));
    (count > 0).then(|| format!("{count} names that the Avro specification refuses, kept: {first}"))
}

/// Registries hold names that the specification refuses and Java's reader takes: letters of every
/// script, `-` of Debezium's namespaces, `$` of nested classes; without validation, any text. The
/// validators are global to the process and can be set once.
pub(crate) fn accept_names() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody parsed a schema before: then the specification holds.
        let _ = apache_avro::validator::set_schema_name_validator(Box::new(Lenient));
        let _ = apache_avro::validator::set_schema_namespace_validator(Box::new(Lenient));
        let _ = apache_avro::validator::set_enum_symbol_name_validator(Box::new(Lenient));
        let _ = apache_avro::validator::set_record_field_name_validator(Box::new(Lenient));
    });
}

struct Lenient;

/// Any text but none, and but what would break lines and paths.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | '"'))
}

fn is_symbol(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(char::is_control)
}

const RULE: &str = "text without control characters, slashes and quotes";

impl SchemaNameValidator for Lenient {
    fn validate(&self, name: &str) -> AvroResult<usize> {
        let start = name.rfind('.').map_or(0, |dot| dot + 1);
        if is_name(name) && start < name.len() && !name.contains("..") {
            return Ok(start);
        }
        Err(Details::InvalidSchemaName(name.to_owned(), RULE).into())
    }
}

impl SchemaNamespaceValidator for Lenient {
    fn validate(&self, namespace: &str) -> AvroResult<()> {
        let dots =
            namespace.starts_with('.') || namespace.ends_with('.') || namespace.contains("..");
        if namespace.is_empty() || (is_name(namespace) && !dots) {
            return Ok(());
        }
        Err(Details::InvalidNamespace(namespace.to_owned(), RULE).into())
    }
}

impl EnumSymbolNameValidator for Lenient {
    fn validate(&self, symbol: &str) -> AvroResult<()> {
        if is_symbol(symbol) {
            return Ok(());
        }
        Err(Details::EnumSymbolName(symbol.to_owned()).into())
    }
}

impl RecordFieldNameValidator for Lenient {
    fn validate(&self, name: &str) -> AvroResult<()> {
        if is_symbol(name) {
            return Ok(());
        }
        Err(Details::FieldName(name.to_owned()).into())
    }
}
