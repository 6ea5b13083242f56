//! A schema version as the generator and the independent decoders take it.

use std::collections::BTreeMap;

use prost_reflect::MessageDescriptor;
use serde_json::Value;

use crate::error::Fault;
use crate::registry::compile::Facts;
use crate::registry::{Parsed, Schema, message};

use super::HISTORY;

/// One version, by its language's own library.
#[derive(Debug, Clone)]
pub enum Form {
    Protobuf(Protobuf),
    Avro(Avro),
    Json(Json),
}

#[derive(Debug, Clone)]
pub struct Protobuf {
    pub message: MessageDescriptor,
    /// What files with an edition say beside their descriptors.
    pub facts: Facts,
}

#[derive(Debug, Clone)]
pub struct Avro {
    pub schema: apache_avro::Schema,
    /// Every definition by its full name.
    pub names: BTreeMap<String, apache_avro::Schema>,
}

#[derive(Debug, Clone)]
pub struct Json {
    pub schema: Value,
    /// Schemas that `$ref` may name.
    pub others: BTreeMap<String, Value>,
}

impl Form {
    /// `name`: of the Protobuf message, in full; without it the first one of the file.
    ///
    /// Error: there is no such message.
    pub fn of(schema: &Schema, name: Option<&str>) -> Result<Self, Fault> {
        Ok(match &schema.parsed {
            Parsed::Protobuf(file) => {
                let found = match name {
                    Some(name) => file.parent_pool().get_message_by_name(name),
                    None => message::declared(file, None).next(),
                };
                let message = found.ok_or_else(|| {
                    let name = name.map_or("any message".to_owned(), |name| format!("`{name}`"));
                    Fault::new(
                        &HISTORY,
                        format!("message of a version: no {name} in it, one required"),
                    )
                })?;
                Form::Protobuf(Protobuf { message, facts: file.facts.clone() })
            }
            Parsed::Avro(avro) => {
                let mut names = BTreeMap::new();
                define(&avro.schema, &mut names);
                Form::Avro(Avro { schema: avro.schema.clone(), names })
            }
            Parsed::Json(json) => {
                let parse = |text: &str| serde_json::from_str(text).unwrap_or(Value::Bool(true));
                let others = json.references.iter();
                let others = others.map(|(name, text)| (name.clone(), parse(text))).collect();
                Form::Json(Json { schema: parse(&json.text), others })
            }
        })
    }

    /// What reads its records independently.
    pub fn oracle(&self) -> &'static str {
        match self {
            Form::Protobuf(_) => "prost-reflect",
            Form::Avro(_) => "apache-avro",
            Form::Json(_) => "serde_json",
        }
    }
}

impl Avro {
    /// The definition that a name refers to, or the schema itself.
    pub fn resolve<'s>(&'s self, schema: &'s apache_avro::Schema) -> &'s apache_avro::Schema {
        match schema {
            apache_avro::Schema::Ref { name } => {
                self.names.get(&name.fullname(None)).unwrap_or(schema)
            }
            other => other,
        }
    }
}

/// Full name of a named type.
pub fn full_name(schema: &apache_avro::Schema) -> Option<String> {
    use apache_avro::Schema;
    use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, UuidSchema};
    let name = match schema {
        Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(f), .. }) => &f.name,
        Schema::Uuid(UuidSchema::Fixed(f)) | Schema::Duration(f) => &f.name,
        Schema::Ref { name } => name,
        other => other.name()?,
    };
    Some(name.fullname(None))
}

fn define(schema: &apache_avro::Schema, names: &mut BTreeMap<String, apache_avro::Schema>) {
    use apache_avro::Schema;
    if let (Some(name), false) = (full_name(schema), matches!(schema, Schema::Ref { .. })) {
        names.entry(name).or_insert_with(|| schema.clone());
    }
    match schema {
        Schema::Record(r) => r.fields.iter().for_each(|f| define(&f.schema, names)),
        Schema::Array(a) => define(&a.items, names),
        Schema::Map(m) => define(&m.types, names),
        Schema::Union(u) => u.variants().iter().for_each(|v| define(v, names)),
        _ => {}
    }
}
