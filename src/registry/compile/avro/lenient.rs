//! The second reading of an Avro schema: what Java's parser, and registries before this one, let pass and
//! the strict parser does not.
//!
//! Owns: one self-contained text of the schema and its references, every named type written out where it
//! is met first, with a note for each thing that was left out or read otherwise:
//!
//! - comments and a byte order mark around the JSON;
//! - a type used before it is defined, defined twice, or defined by several references;
//! - a name without a namespace that only the namespace around it does not have;
//! - `"type": "error"`, the record of Avro's protocols;
//! - a default that is no value of its field; an enum's default that is no symbol of it;
//! - a `logicalType` that is not text.
//!
//! Bounded by: each definition once; the JSON parser's depth; [`DEPTH_MAX`] named types inside one another.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

/// Named types inside one another, and values inside a default.
const DEPTH_MAX: u32 = 100;
/// Notes that are kept: the rest says nothing new.
const NOTES_MAX: usize = 20;

/// What of the defaults is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Defaults {
    Valid,
    None,
}

/// The text of a schema and of its references as one schema; `None` where it is no JSON.
pub(super) fn whole(
    text: &str,
    references: &[&str],
    defaults: Defaults,
) -> Option<(String, Vec<String>)> {
    let mut notes = Vec::new();
    let main = json_of(text, &mut notes)?;
    let parts: Vec<Value> =
        references.iter().map(|text| json_of(text, &mut notes)).collect::<Option<_>>()?;
    let mut definitions = HashMap::new();
    for part in std::iter::once(&main).chain(&parts) {
        collect(part, "", &mut definitions);
    }
    let mut whole = Whole { definitions, written: HashSet::new(), defaults, depth: 0, notes };
    let schema = whole.schema(&main, "")?;
    whole.notes.truncate(NOTES_MAX);
    Some((schema.to_string(), whole.notes))
}

/// JSON, and what stands around it in files that people write.
fn json_of(text: &str, notes: &mut Vec<String>) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let value =
        serde_json::from_str(&without_comments(text.trim_start_matches('\u{feff}'))).ok()?;
    notes.push("schema text: comments or a byte order mark left out".to_owned());
    Some(value)
}

/// Comments become blanks, so that lines and columns stay.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let (mut quoted, mut escaped) = (false, false);
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match (c, next) {
            _ if quoted => {
                quoted = escaped || c != '"';
                escaped = !escaped && c == '\\';
                out.push(c);
            }
            ('/', Some('/')) => {
                while chars.next_if(|c| *c != '\n').is_some() {
                    out.push(' ');
                }
            }
            ('/', Some('*')) => {
                let mut last = ' ';
                chars.next();
                for c in chars.by_ref() {
                    if (last, c) == ('*', '/') {
                        break;
                    }
                    out.push(if c == '\n' { c } else { ' ' });
                    last = c;
                }
            }
            _ => {
                quoted = c == '"';
                out.push(c);
            }
        }
    }
    out
}

/// A definition and the namespace it stands in.
type Definitions<'s> = HashMap<String, (&'s Map<String, Value>, String)>;

/// Full name of a named type. Its namespace: in the name, else said, else that around it.
fn full_name(object: &Map<String, Value>, around: &str) -> Option<String> {
    let name = object.get("name")?.as_str()?;
    let space = object.get("namespace").and_then(Value::as_str).unwrap_or(around);
    Some(qualified(name, space))
}

/// `a.b`; a name alone where there is no namespace.
fn qualified(name: &str, space: &str) -> String {
    match name.strip_prefix('.') {
        Some(name) => name.to_owned(),
        None if name.contains('.') || space.is_empty() => name.to_owned(),
        None => format!("{space}.{name}"),
    }
}

fn split(full: &str) -> (&str, &str) {
    full.rsplit_once('.').unwrap_or(("", full))
}

fn is_named(object: &Map<String, Value>) -> bool {
    let kind = object.get("type").and_then(Value::as_str);
    matches!(kind, Some("record" | "error" | "enum" | "fixed"))
        && ["fields", "symbols", "size"].iter().any(|key| object.contains_key(*key))
}

/// The first definition of each name. Depth is bounded by the JSON parser's limit of 128.
fn collect<'s>(schema: &'s Value, around: &str, out: &mut Definitions<'s>) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| collect(branch, around, out)),
        Value::Object(object) => {
            let full = full_name(object, around).filter(|_| is_named(object));
            let space = full.as_deref().map_or(around, |full| split(full).0).to_owned();
            if let Some(full) = full {
                out.entry(full).or_insert((object, around.to_owned()));
            }
            for key in ["type", "items", "values"] {
                object.get(key).into_iter().for_each(|inner| collect(inner, &space, out));
            }
            for field in object.get("fields").and_then(Value::as_array).into_iter().flatten() {
                field.get("type").into_iter().for_each(|inner| collect(inner, &space, out));
            }
        }
        _ => {}
    }
}

struct Whole<'s> {
    definitions: Definitions<'s>,
    written: HashSet<String>,
    defaults: Defaults,
    depth: u32,
    notes: Vec<String>,
}

impl<'s> Whole<'s> {
    fn note(&mut self, note: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note);
        }
    }

    fn schema(&mut self, schema: &Value, around: &str) -> Option<Value> {
        match schema {
            Value::String(name) => self.name(name, around),
            Value::Array(branches) => {
                branches.iter().map(|branch| self.schema(branch, around)).collect()
            }
            Value::Object(object) if is_named(object) => self.named(object, around),
            Value::Object(object) => {
                let mut out = object.clone();
                for key in ["type", "items", "values"] {
                    let name = object.get(key);
                    let keyword = key == "type"
                        && matches!(name.and_then(Value::as_str), Some("array" | "map"));
                    if let Some(inner) = name.filter(|_| !keyword) {
                        out.insert(key.to_owned(), self.schema(inner, around)?);
                    }
                }
                self.logical(&mut out, around);
                Some(Value::Object(out))
            }
            _ => None,
        }
    }

    /// A name: the definition itself where it is met first.
    fn name(&mut self, name: &str, around: &str) -> Option<Value> {
        if is_primitive(name) {
            return Some(json!(name));
        }
        let full = self.known(name, around);
        if self.written.contains(&full) {
            return Some(reference(&full, around));
        }
        match self.definitions.get(&full).cloned() {
            Some((object, _)) => {
                self.note(format!("type `{full}`: written out where it is used first"));
                self.definition(&full, object)
            }
            // The strict parser says what is wrong with it.
            None => Some(json!(name)),
        }
    }

    /// The full name that `name` stands for: in the namespace around it, else in none.
    fn known(&self, name: &str, around: &str) -> String {
        let full = qualified(name, around);
        let alone = name.trim_start_matches('.');
        if !self.definitions.contains_key(&full) && self.definitions.contains_key(alone) {
            return alone.to_owned();
        }
        full
    }

    fn named(&mut self, object: &Map<String, Value>, around: &str) -> Option<Value> {
        let full = full_name(object, around)?;
        if self.written.contains(&full) {
            self.note(format!("type `{full}`: defined more than once, the first definition taken"));
            return Some(reference(&full, around));
        }
        self.definition(&full, object)
    }

    fn definition(&mut self, full: &str, object: &Map<String, Value>) -> Option<Value> {
        if self.depth > DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        self.written.insert(full.to_owned());
        let (space, name) = split(full);
        let mut out = object.clone();
        out.insert("name".to_owned(), json!(name));
        out.insert("namespace".to_owned(), json!(space));
        if object.get("type").and_then(Value::as_str) == Some("error") {
            out.insert("type".to_owned(), json!("record"));
            self.note(format!("type `{full}`: an `error` read as a record"));
        }
        if let Some(fields) = object.get("fields") {
            let fields = fields.as_array()?;
            let fields: Option<Vec<Value>> =
                fields.iter().map(|field| self.field(full, field, space)).collect();
            out.insert("fields".to_owned(), Value::Array(fields?));
        }
        self.symbol(full, &mut out);
        self.logical(&mut out, full);
        self.depth -= 1;
        Some(Value::Object(out))
    }

    fn field(&mut self, record: &str, field: &Value, space: &str) -> Option<Value> {
        let object = field.as_object()?;
        let mut out = object.clone();
        let written = self.schema(object.get("type")?, space)?;
        if let Some(default) = object.get("default") {
            let fits = Fits { definitions: &self.definitions }.fits(&written, space, default, 0);
            if !fits || self.defaults == Defaults::None {
                out.remove("default");
                let name = object.get("name").and_then(Value::as_str).unwrap_or_default();
                let mut text = default.to_string();
                text.truncate(text.floor_char_boundary(60));
                self.note(format!(
                    "{record}.{name}: default `{text}` left out, it is no value of the field"
                ));
            }
        }
        out.insert("type".to_owned(), written);
        Some(Value::Object(out))
    }

    /// An enum's default, if it is a symbol.
    fn symbol(&mut self, full: &str, out: &mut Map<String, Value>) {
        let Some(symbols) = out.get("symbols").and_then(Value::as_array) else { return };
        if out.get("default").is_some_and(|default| !symbols.contains(default)) {
            out.remove("default");
            self.note(format!(
                "type `{full}`: default of the enum left out, it is no symbol of it"
            ));
        }
    }

    fn logical(&mut self, out: &mut Map<String, Value>, at: &str) {
        if out.get("logicalType").is_some_and(|logical| !logical.is_string()) {
            out.remove("logicalType");
            self.note(format!("`{at}`: `logicalType` left out, it is not text"));
        }
    }
}

/// A name that means the same in every namespace.
fn reference(full: &str, around: &str) -> Value {
    match full.contains('.') || around.is_empty() {
        true => json!(full),
        false => json!(format!(".{full}")),
    }
}

fn is_primitive(name: &str) -> bool {
    matches!(name, "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string")
}

/// Whether a default is a value of its type, as the specification writes defaults.
struct Fits<'d, 's> {
    definitions: &'d Definitions<'s>,
}

impl Fits<'_, '_> {
    fn fits(&self, schema: &Value, around: &str, value: &Value, depth: u32) -> bool {
        if depth > DEPTH_MAX {
            return false;
        }
        match schema {
            Value::Array(branches) => {
                branches.iter().any(|branch| self.fits(branch, around, value, depth + 1))
            }
            Value::String(name) => match (name.as_str(), value) {
                ("null", value) => value.is_null(),
                ("boolean", value) => value.is_boolean(),
                ("int", value) => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
                ("long", value) => value.is_i64(),
                ("float" | "double", value) => value.is_number(),
                ("bytes" | "string", value) => value.is_string(),
                (name, value) => {
                    let full = qualified(name, around);
                    let alone = name.trim_start_matches('.');
                    let found = self.definitions.get(&full).or_else(|| self.definitions.get(alone));
                    found
                        .is_some_and(|(object, space)| self.object(object, space, value, depth + 1))
                }
            },
            Value::Object(object) => self.object(object, around, value, depth + 1),
            _ => false,
        }
    }

    fn object(&self, object: &Map<String, Value>, around: &str, value: &Value, depth: u32) -> bool {
        let inner = |key: &str, value: &Value| {
            object.get(key).is_some_and(|schema| self.fits(schema, around, value, depth + 1))
        };
        match object.get("type").and_then(Value::as_str) {
            Some("array") => {
                value.as_array().is_some_and(|items| items.iter().all(|v| inner("items", v)))
            }
            Some("map") => {
                value.as_object().is_some_and(|map| map.values().all(|v| inner("values", v)))
            }
            Some("fixed") => {
                let size = object.get("size").and_then(Value::as_u64);
                value.as_str().is_some_and(|text| Some(text.chars().count() as u64) == size)
            }
            Some("enum") => {
                let symbols = object.get("symbols").and_then(Value::as_array);
                symbols.is_some_and(|symbols| symbols.contains(value))
            }
            Some("record" | "error") => {
                let full = full_name(object, around).unwrap_or_default();
                let (Some(members), fields) =
                    (value.as_object(), object.get("fields").and_then(Value::as_array))
                else {
                    return false;
                };
                fields.into_iter().flatten().all(|field| {
                    let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
                    let member = members.get(name).or_else(|| field.get("default"));
                    member.zip(field.get("type")).is_some_and(|(member, schema)| {
                        self.fits(schema, split(&full).0, member, depth + 1)
                    })
                })
            }
            _ => inner("type", value),
        }
    }
}
