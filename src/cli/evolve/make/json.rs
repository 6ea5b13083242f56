//! JSON texts of a JSON Schema.
//!
//! What it reads of a schema is what gives values their form; `pattern`, `minLength` and their like are the
//! producer's, and left out here.

use base64::Engine;
use serde_json::{Map, Value, json};

use super::{DEPTH, Turn};
use crate::cli::evolve::form::Json;
use crate::registry::Schema;

pub fn body(form: &Json, _: &Schema, turn: &mut Turn<'_>) -> Result<Vec<u8>, String> {
    let value = Maker { form }.value(&form.schema, &form.schema, turn, DEPTH + 2, 64)?;
    Ok(value.to_string().into_bytes())
}

struct Maker<'a> {
    form: &'a Json,
}

type Made = Result<Value, String>;

impl<'a> Maker<'a> {
    /// A value of `schema`, which stands in `root`. `left`: levels until a schema that never ends is given up.
    fn value(
        &self,
        schema: &'a Value,
        root: &'a Value,
        turn: &mut Turn<'_>,
        depth: u32,
        left: u32,
    ) -> Made {
        let left = left.checked_sub(1).ok_or("a schema whose values never end")?;
        let Some(object) = schema.as_object() else {
            return Ok(if schema == &Value::Bool(false) { Value::Null } else { anything(turn, 2) });
        };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let (target, root) = self.follow(reference, root)?;
            return self.value(target, root, turn, depth, left);
        }
        let null = object.get("nullable") == Some(&Value::Bool(true));
        if null && turn.one_in(3) {
            return Ok(Value::Null);
        }
        if let Some(values) = object.get("enum").and_then(Value::as_array) {
            let at = turn.choice(values.len());
            return Ok(values.get(at).cloned().unwrap_or_default());
        }
        if let Some(value) = object.get("const") {
            return Ok(value.clone());
        }
        for key in ["oneOf", "anyOf"] {
            let Some(branches) = object.get(key).and_then(Value::as_array) else { continue };
            let short = |b: &&Value| b.get("type") == Some(&json!("null"));
            let branch = match branches.iter().find(short) {
                Some(null) if depth == 0 => Some(null),
                _ => branches.get(turn.choice(branches.len())),
            };
            let made = branch.map(|b| self.value(b, root, turn, depth, left)).transpose()?;
            // Branches that only constrain say nothing of their own.
            let bare = |b: &Value| {
                b.as_object().is_some_and(|b| !b.keys().any(|k| TELLS.contains(&k.as_str())))
            };
            if !branches.iter().all(bare) {
                return match (made, object.contains_key("properties")) {
                    (Some(Value::Object(more)), true) => {
                        let mut own = self.typed(object, "object", root, turn, depth, left)?;
                        own.as_object_mut().into_iter().for_each(|o| o.extend(more.clone()));
                        Ok(own)
                    }
                    (made, _) => Ok(made.unwrap_or_default()),
                };
            }
        }
        let own = self.own(object, root, turn, depth, left)?;
        let Some(all) = object.get("allOf").and_then(Value::as_array) else { return Ok(own) };
        let mut made = own;
        for part in all {
            let part = self.value(part, root, turn, depth, left)?;
            match (&mut made, part) {
                (Value::Object(made), Value::Object(part)) => made.extend(part),
                (made, part) if !object.contains_key("type") => *made = part,
                _ => {}
            }
        }
        Ok(made)
    }

    fn own(
        &self,
        object: &'a Map<String, Value>,
        root: &'a Value,
        turn: &mut Turn<'_>,
        depth: u32,
        left: u32,
    ) -> Made {
        let kind = match object.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(Value::Array(kinds)) => {
                let null = kinds.iter().position(|k| k == "null");
                let at = match null {
                    Some(null) if depth == 0 => null,
                    _ => turn.choice(kinds.len()),
                };
                kinds.get(at).and_then(Value::as_str).unwrap_or("null")
            }
            _ if object.contains_key("properties")
                || object.contains_key("additionalProperties")
                || object.contains_key("required") =>
            {
                "object"
            }
            _ if object.contains_key("items") => "array",
            _ if object.contains_key("allOf") => return Ok(Value::Object(Map::new())),
            _ => return Ok(anything(turn, 2)),
        };
        self.typed(object, kind, root, turn, depth, left)
    }

    fn typed(
        &self,
        object: &'a Map<String, Value>,
        kind: &str,
        root: &'a Value,
        turn: &mut Turn<'_>,
        depth: u32,
        left: u32,
    ) -> Made {
        let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
        let below = depth.saturating_sub(1);
        let title = text("title").rsplit("kafka.connect.data.").next().unwrap_or_default();
        Ok(match kind {
            "null" => Value::Null,
            "boolean" => json!(turn.choice(2) == 1),
            "integer" | "number" if title == "Date" => json!(turn.int() % 1_000_000),
            "integer" | "number" if title == "Time" => {
                json!(turn.pick(&[0, 1, 86_399_999]).unwrap_or_default())
            }
            "integer" | "number" if title == "Timestamp" => json!(turn.long() / 1_000_000),
            "number" | "integer" if title == "Decimal" => json!(turn.random.below(1_000)),
            "integer" => integer(object, text("connect.type"), turn),
            "number" if text("connect.type").starts_with("int") => {
                integer(object, text("connect.type"), turn)
            }
            "number" if text("connect.type") == "float32" => {
                let float = turn.float();
                json!(if float.is_finite() { float } else { 2.5 })
            }
            "number" => {
                let double = turn.double();
                json!(if double.is_finite() { double } else { 0.125 })
            }
            "string" => {
                json!(string(text("format"), text("contentEncoding"), text("connect.type"), turn))
            }
            "array" => match object.get("items") {
                Some(items @ (Value::Object(_) | Value::Bool(_))) => {
                    let count = if depth == 0 { 0 } else { turn.count() };
                    let items = (0..count).map(|_| self.value(items, root, turn, below, left));
                    Value::Array(items.collect::<Result<_, _>>()?)
                }
                _ => Value::Array((0..turn.count()).map(|_| anything(turn, 1)).collect()),
            },
            _ => self.object(object, root, turn, depth, left)?,
        })
    }

    fn object(
        &self,
        object: &'a Map<String, Value>,
        root: &'a Value,
        turn: &mut Turn<'_>,
        depth: u32,
        left: u32,
    ) -> Made {
        let below = depth.saturating_sub(1);
        let required: Vec<&str> = object
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut out = Map::new();
        let properties = object.get("properties").and_then(Value::as_object);
        let sparse = turn.pick(&[0, 4, 2]).unwrap_or_default();
        for (name, property) in properties.into_iter().flatten() {
            let must = required.contains(&name.as_str());
            if *property == Value::Bool(false)
                || !must && (depth == 0 || sparse > 0 && !turn.random.one_in(sparse))
            {
                continue;
            }
            out.insert(name.clone(), self.value(property, root, turn, below, left)?);
        }
        if properties.is_none_or(Map::is_empty) {
            let patterns = object.get("patternProperties").and_then(Value::as_object);
            let others = object.get("additionalProperties").filter(|v| v.is_object());
            let values = others.or_else(|| patterns.and_then(|p| p.values().next()));
            let count = if depth == 0 { 0 } else { turn.count() };
            for at in 0..count {
                let key = if at == 0 { turn.text().to_owned() } else { format!("k{at}") };
                let value = match values {
                    Some(values) => self.value(values, root, turn, below, left)?,
                    None => anything(turn, 1),
                };
                out.insert(key, value);
            }
        }
        for name in required {
            if !out.contains_key(name) {
                out.insert(name.to_owned(), anything(turn, 1));
            }
        }
        Ok(Value::Object(out))
    }

    /// What a `$ref` names, and the document it stands in.
    fn follow(&self, reference: &str, root: &'a Value) -> Result<(&'a Value, &'a Value), String> {
        let missing = || format!("reference `{reference}`: nothing found there");
        let (document, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let root = match document {
            "" => root,
            name => self.form.others.get(name).ok_or_else(missing)?,
        };
        let pointer = pointer.replace("%25", "%").replace("%22", "\"");
        root.pointer(&pointer).map(|target| (target, root)).ok_or_else(missing)
    }
}

/// Keys by which a branch says what its values look like.
const TELLS: [&str; 9] =
    ["type", "properties", "$ref", "enum", "const", "items", "allOf", "oneOf", "anyOf"];

fn integer(object: &Map<String, Value>, hint: &str, turn: &mut Turn<'_>) -> Value {
    let bits = match hint {
        "int8" => 8,
        "int16" => 16,
        "int32" => 32,
        _ => 64,
    };
    let value = turn.long() >> (64 - bits);
    let bound = |key: &str| object.get(key).and_then(Value::as_i64);
    let least = bound("minimum").or(bound("exclusiveMinimum").map(|n| n.saturating_add(1)));
    let most = bound("maximum").or(bound("exclusiveMaximum").map(|n| n.saturating_sub(1)));
    let value = value.max(least.unwrap_or(i64::MIN));
    json!(value.min(most.unwrap_or(i64::MAX)))
}

fn string(format: &str, encoding: &str, hint: &str, turn: &mut Turn<'_>) -> String {
    if encoding == "base64" || hint == "bytes" {
        return base64::prelude::BASE64_STANDARD.encode(turn.any_bytes());
    }
    let from: &[&str] = match format {
        "date" => &["1970-01-01", "2024-02-29", "0001-01-01", "9999-12-31"],
        "time" => &["00:00:00Z", "23:59:59.999999Z", "12:30:00.5Z"],
        "date-time" => &[
            "1970-01-01T00:00:00Z",
            "2026-01-02T03:04:05.678901Z",
            "1969-12-31T23:59:59.999Z",
            "2026-01-02T03:04:05+05:30",
        ],
        "uuid" => {
            let bits =
                (u128::from(turn.random.next_u64()) << 64) | u128::from(turn.random.next_u64());
            return uuid::Uuid::from_u128(bits).to_string();
        }
        _ => return turn.text().to_owned(),
    };
    turn.pick(from).unwrap_or_default().to_owned()
}

/// Any JSON.
fn anything(turn: &mut Turn<'_>, depth: u32) -> Value {
    match turn.choice(if depth == 0 { 4 } else { 6 }) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(turn.int()),
        3 => json!(turn.text()),
        4 => Value::Array((0..turn.count()).map(|_| anything(turn, depth - 1)).collect()),
        _ => {
            let pairs = (0..turn.count()).map(|at| (format!("k{at}"), anything(turn, depth - 1)));
            Value::Object(pairs.collect())
        }
    }
}
