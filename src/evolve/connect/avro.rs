//! An Avro schema as Confluent's Avro converter hands it to a sink.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Form, Kind, Left};

/// Name of a union of several types.
const UNION: &str = "io.confluent.connect.avro.Union";

/// None: a text that is no schema, or one of too many parts.
pub(super) fn form(text: &str, left: &mut Left) -> Option<Form> {
    let json: Value = serde_json::from_str(text).ok()?;
    let mut types = BTreeMap::new();
    collect(&json, "", &mut types);
    Walk { types, open: Vec::new(), left }.of(&json, "")
}

/// Named types by full name, wherever they are defined.
fn collect<'j>(json: &'j Value, namespace: &str, types: &mut BTreeMap<String, &'j Value>) {
    match json {
        Value::Array(branches) => branches.iter().for_each(|b| collect(b, namespace, types)),
        Value::Object(object) => {
            let inner = match text(object, "name") {
                Some(name) if is_named(object) => {
                    let full = full_name(name, text(object, "namespace").unwrap_or(namespace));
                    let inner = full.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
                    types.entry(full).or_insert(json);
                    inner
                }
                _ => namespace.to_owned(),
            };
            for key in ["type", "items", "values"] {
                object.get(key).into_iter().for_each(|json| collect(json, &inner, types));
            }
            let fields = object.get("fields").and_then(Value::as_array);
            fields.into_iter().flatten().for_each(|field| {
                field.get("type").into_iter().for_each(|json| collect(json, &inner, types));
            });
        }
        _ => {}
    }
}

fn is_named(object: &Map<String, Value>) -> bool {
    matches!(text(object, "type"), Some("record" | "error" | "enum" | "fixed"))
}

fn text<'j>(object: &'j Map<String, Value>, key: &str) -> Option<&'j str> {
    object.get(key).and_then(Value::as_str)
}

fn full_name(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() {
        true => name.to_owned(),
        false => format!("{namespace}.{name}"),
    }
}

struct Walk<'j, 'l> {
    types: BTreeMap<String, &'j Value>,
    /// Full names of the records around.
    open: Vec<String>,
    left: &'l mut Left,
}

impl<'j> Walk<'j, '_> {
    fn of(&mut self, json: &'j Value, namespace: &str) -> Option<Form> {
        self.left.take()?;
        match json {
            Value::String(name) => self.by_name(name, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => self.object(object, namespace),
            _ => None,
        }
    }

    fn by_name(&mut self, name: &str, namespace: &str) -> Option<Form> {
        if let Some(kind) = primitive(name) {
            return Some(kind.into());
        }
        let full = full_name(name, namespace);
        let defined = self.types.get(&full).or_else(|| self.types.get(name)).copied()?;
        if self.open.contains(&full) {
            return Some(Form::from(Kind::Again).named(full));
        }
        let space = full.rsplit_once('.').map_or("", |(space, _)| space);
        self.object(defined.as_object()?, space)
    }

    fn union(&mut self, branches: &'j [Value], namespace: &str) -> Option<Form> {
        let optional = branches.iter().any(|branch| branch == "null");
        let others: Vec<&Value> = branches.iter().filter(|branch| *branch != "null").collect();
        if let [only] = others[..] {
            return Some(Form { optional, ..self.of(only, namespace)? });
        }
        let mut members = Vec::with_capacity(others.len());
        for branch in others {
            let member = self.of(branch, namespace)?;
            let name = member.name.clone().unwrap_or_else(|| kind_name(&member.kind).to_owned());
            members.push((name, Form { optional: true, ..member }));
        }
        Some(Form { optional, ..Form::from(Kind::Struct(members)).named(UNION) })
    }

    fn object(&mut self, object: &'j Map<String, Value>, namespace: &str) -> Option<Form> {
        let kind = match object.get("type")? {
            Value::String(kind) => kind.as_str(),
            // `{"type": {"type": …}}`
            inner => return self.of(inner, namespace),
        };
        let doc = text(object, "doc").map(str::to_owned);
        let full = || {
            let space = text(object, "namespace").unwrap_or(namespace);
            text(object, "name").map(|name| full_name(name, space))
        };
        let form = match kind {
            "record" | "error" => self.record(object, full()?)?,
            "enum" => {
                let symbols = object.get("symbols")?.as_array()?.iter().filter_map(Value::as_str);
                let symbols = symbols.map(|symbol| (symbol.to_owned(), symbol.to_owned()));
                let symbols = Some(symbols.collect());
                Form { symbols, ..Form::from(Kind::String).named(full()?) }
            }
            "fixed" => {
                let size = object.get("size").map(Value::to_string).unwrap_or_default();
                let form = Form::from(Kind::Bytes).with("connect.fixed.size", size);
                logical(form, object, Some(full()?))
            }
            "array" => Kind::Array(Box::new(self.of(object.get("items")?, namespace)?)).into(),
            "map" => {
                let values = self.of(object.get("values")?, namespace)?;
                Kind::Map(Box::new(Kind::String.into()), Box::new(values)).into()
            }
            name => match primitive(name) {
                Some(kind) => logical(numeric(kind, object), object, None),
                None => self.by_name(name, namespace)?,
            },
        };
        Some(Form { doc: doc.or(form.doc.clone()), ..form })
    }

    fn record(&mut self, object: &'j Map<String, Value>, full: String) -> Option<Form> {
        if self.open.contains(&full) {
            return Some(Form::from(Kind::Again).named(full));
        }
        let space = full.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        self.open.push(full.clone());
        let mut fields = Vec::new();
        for field in object.get("fields")?.as_array()? {
            let field = field.as_object()?;
            let form = self.of(field.get("type")?, &space)?;
            let default = field.get("default").filter(|d| !d.is_null()).map(Value::to_string);
            let doc = text(field, "doc").map(str::to_owned).or(form.doc.clone());
            fields.push((text(field, "name")?.to_owned(), Form { default, doc, ..form }));
        }
        self.open.pop();
        Some(Form::from(Kind::Struct(fields)).named(full))
    }
}

/// `connect.type` of narrow integers.
fn numeric(kind: Kind, object: &Map<String, Value>) -> Form {
    match (kind, text(object, "connect.type")) {
        (Kind::Int32, Some("int8")) => Kind::Int8.into(),
        (Kind::Int32, Some("int16")) => Kind::Int16.into(),
        (kind, _) => kind.into(),
    }
}

/// The name that a logical type has in Connect, else that of the type.
fn logical(form: Form, object: &Map<String, Value>, own: Option<String>) -> Form {
    let said = |key: &str| object.get(key).map(Value::to_string).unwrap_or_else(|| "0".into());
    let name = |name: &str| format!("org.apache.kafka.connect.data.{name}");
    match text(object, "logicalType") {
        Some("decimal") => form
            .with("scale", said("scale"))
            .with("connect.decimal.precision", said("precision"))
            .named(name("Decimal")),
        Some("date") => form.named(name("Date")),
        Some("time-millis") => form.named(name("Time")),
        Some("timestamp-millis") => form.named(name("Timestamp")),
        _ => {
            let declared = text(object, "connect.name").map(str::to_owned).or(own);
            Form { name: declared, ..form }
        }
    }
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int32,
        "long" => Kind::Int64,
        "float" => Kind::Float32,
        "double" => Kind::Float64,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        _ => return None,
    })
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Boolean => "boolean",
        Kind::Int8 | Kind::Int16 | Kind::Int32 => "int",
        Kind::Int64 => "long",
        Kind::Float32 => "float",
        Kind::Float64 => "double",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Array(_) => "array",
        Kind::Map(..) => "map",
        Kind::Null | Kind::Struct(_) | Kind::Again | Kind::Alone(_) => "record",
    }
}
