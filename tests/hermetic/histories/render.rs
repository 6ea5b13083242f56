//! A model's version as the text of each language.

use std::collections::HashSet;
use std::fmt::Write;

use serde_json::{Value, json};

use super::model::{Field, Model, Type};

pub fn protobuf(model: &Model) -> String {
    let mut text = String::from(
        "syntax = \"proto3\";\npackage g;\nimport \"google/protobuf/timestamp.proto\";\n",
    );
    let (inside, outside): (Vec<usize>, Vec<usize>) =
        (1..model.records.len()).partition(|at| model.records[*at].inside);
    let _ = writeln!(text, "message {} {{", model.records[0].name);
    inside.iter().for_each(|at| message(model, *at, &mut text));
    fields(model, 0, &mut text);
    text.push_str("}\n");
    outside.iter().for_each(|at| message(model, *at, &mut text));
    for (name, symbols) in &model.enums {
        let _ = writeln!(text, "enum {name} {{");
        for (number, symbol) in symbols.iter().enumerate() {
            let _ = writeln!(text, "  {symbol} = {number};");
        }
        text.push_str("}\n");
    }
    text
}

fn message(model: &Model, at: usize, text: &mut String) {
    let _ = writeln!(text, "message {} {{", model.records[at].name);
    fields(model, at, text);
    text.push_str("}\n");
}

fn fields(model: &Model, at: usize, text: &mut String) {
    for field in &model.records[at].fields {
        let (name, number) = (&field.name, field.number);
        let _ = match &field.of {
            Type::Union(members) => {
                let mut out = format!("  oneof {name} {{\n");
                for (number, of) in members {
                    // A member keeps its name when its oneof has another.
                    let _ = writeln!(out, "    {} m{number} = {number};", kind(model, of));
                }
                writeln!(text, "{out}  }}")
            }
            Type::List(item) => {
                writeln!(text, "  repeated {} {name} = {number};", kind(model, item))
            }
            Type::Map(value) => {
                writeln!(text, "  map<string, {}> {name} = {number};", kind(model, value))
            }
            Type::Record(_) | Type::Time => {
                writeln!(text, "  {} {name} = {number};", kind(model, &field.of))
            }
            of => {
                let label = if field.optional { "optional " } else { "" };
                writeln!(text, "  {label}{} {name} = {number};", kind(model, of))
            }
        };
    }
}

fn kind(model: &Model, of: &Type) -> String {
    match of {
        Type::Bool => "bool",
        Type::Int => "int32",
        Type::Sint => "sint32",
        Type::Long => "int64",
        Type::Float => "float",
        Type::Double => "double",
        Type::Text => "string",
        Type::Bytes => "bytes",
        Type::Time => "google.protobuf.Timestamp",
        Type::Enum(at) => &model.enums[*at].0,
        Type::Record(at) if model.records[*at].inside => {
            return format!("{}.{}", model.records[0].name, model.records[*at].name);
        }
        Type::Record(at) => &model.records[*at].name,
        Type::List(_) | Type::Map(_) | Type::Union(_) => panic!("{of:?} has no name"),
    }
    .to_owned()
}

pub fn avro(model: &Model) -> String {
    Avro { model, defined: HashSet::new() }.record(0).to_string()
}

struct Avro<'a> {
    model: &'a Model,
    defined: HashSet<String>,
}

impl Avro<'_> {
    fn record(&mut self, at: usize) -> Value {
        let record = &self.model.records[at];
        if !self.defined.insert(record.name.clone()) {
            return json!(format!("g.{}", record.name));
        }
        let fields: Vec<Value> = record.fields.iter().map(|field| self.field(field)).collect();
        json!({"type": "record", "name": record.name, "namespace": "g", "fields": fields})
    }

    /// Every field has a default, so that older records can be read, but for those of records.
    fn field(&mut self, field: &Field) -> Value {
        let of = self.kind(&field.of);
        let mut out = json!({"name": field.name});
        if !field.aliases.is_empty() {
            out["aliases"] = json!(field.aliases);
        }
        let default = self.default(&field.of);
        match (&field.of, field.optional, default) {
            (Type::Union(_), true, _) => {
                let mut branches = of.as_array().unwrap().clone();
                branches.insert(0, json!("null"));
                (out["type"], out["default"]) = (json!(branches), Value::Null);
            }
            (_, true, _) => (out["type"], out["default"]) = (json!(["null", of]), Value::Null),
            (_, false, Some(default)) => (out["type"], out["default"]) = (of, default),
            (_, false, None) => out["type"] = of,
        }
        out
    }

    fn kind(&mut self, of: &Type) -> Value {
        match of {
            Type::Bool => json!("boolean"),
            Type::Int | Type::Sint => json!("int"),
            Type::Long => json!("long"),
            Type::Float => json!("float"),
            Type::Double => json!("double"),
            Type::Text => json!("string"),
            Type::Bytes => json!("bytes"),
            Type::Time => json!({"type": "long", "logicalType": "timestamp-micros"}),
            Type::Enum(at) => {
                let (name, symbols) = &self.model.enums[*at];
                if !self.defined.insert(name.clone()) {
                    return json!(format!("g.{name}"));
                }
                json!({"type": "enum", "name": name, "namespace": "g", "symbols": symbols, "default": symbols[0]})
            }
            Type::Record(at) => self.record(*at),
            Type::List(item) => json!({"type": "array", "items": self.kind(item)}),
            Type::Map(value) => json!({"type": "map", "values": self.kind(value)}),
            Type::Union(members) => members.iter().map(|(_, of)| self.kind(of)).collect(),
        }
    }

    fn default(&self, of: &Type) -> Option<Value> {
        Some(match of {
            Type::Bool => json!(true),
            Type::Int | Type::Sint | Type::Long | Type::Time => json!(-7),
            Type::Float | Type::Double => json!(2.5),
            Type::Text => json!("neu"),
            Type::Bytes => json!("\u{ff}b"),
            Type::Enum(at) => json!(self.model.enums[*at].1[0]),
            Type::List(_) => json!([]),
            Type::Map(_) => json!({}),
            Type::Union(members) => self.default(&members[0].1)?,
            Type::Record(_) => return None,
        })
    }
}

pub fn json(model: &Model) -> String {
    let definitions: serde_json::Map<String, Value> = model.records[1..]
        .iter()
        .enumerate()
        .map(|(n, record)| (record.name.clone(), object(model, n + 1)))
        .collect();
    let mut root = object(model, 0);
    root["title"] = json!(model.records[0].name);
    root["definitions"] = definitions.into();
    root.to_string()
}

fn object(model: &Model, at: usize) -> Value {
    let record = &model.records[at];
    let properties: serde_json::Map<String, Value> =
        record.fields.iter().map(|f| (f.name.clone(), schema(model, &f.of))).collect();
    // What is required in one version and absent in another does not meet: few are.
    let required: Vec<&str> = record
        .fields
        .iter()
        .filter(|f| !f.optional && f.number % 4 == 0)
        .map(|f| f.name.as_str())
        .collect();
    let mut out = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    out
}

fn schema(model: &Model, of: &Type) -> Value {
    match of {
        Type::Bool => json!({"type": "boolean"}),
        Type::Int | Type::Sint => json!({"type": "integer", "connect.type": "int32"}),
        Type::Long => json!({"type": "integer"}),
        Type::Float => json!({"type": "number", "connect.type": "float32"}),
        Type::Double => json!({"type": "number"}),
        Type::Text => json!({"type": "string"}),
        Type::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Type::Time => json!({"type": "string", "format": "date-time"}),
        Type::Enum(at) => json!({"enum": model.enums[*at].1}),
        Type::Record(at) => json!({"$ref": format!("#/definitions/{}", model.records[*at].name)}),
        Type::List(item) => json!({"type": "array", "items": schema(model, item)}),
        Type::Map(value) => json!({"type": "object", "additionalProperties": schema(model, value)}),
        Type::Union(members) => {
            // Text and bytes are one to a reader of JSON.
            let branches = members.iter().filter(|(_, of)| *of != Type::Bytes);
            let branches: Vec<Value> = branches.map(|(_, of)| schema(model, of)).collect();
            json!({ "oneOf": branches })
        }
    }
}
