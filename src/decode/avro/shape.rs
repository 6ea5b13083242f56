//! A writer schema as a graph: references followed, logical types settled, cycles kept as cycles.
//!
//! Everything after this reads shapes; only this file knows `apache_avro`'s schema tree.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{Alias, InnerDecimalSchema, Name, UuidSchema};
use arrow::datatypes::TimeUnit;

use super::codes;
use crate::error::Fault;

/// Place of a shape in its [`Shapes`].
pub(super) type ShapeId = usize;

/// Name of Connect's records for entries of maps.
const MAP_ENTRY: &str = "io.confluent.connect.avro.MapEntry";

/// What one type of the schema looks like on the wire, and what it means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<String>),
    Array(ShapeId),
    Map(ShapeId),
    Record {
        fields: Vec<(String, ShapeId)>,
    },
    /// Branches with their names; a `null` branch is one of them.
    Union(Vec<(String, ShapeId)>),
    Decimal {
        precision: usize,
        scale: usize,
        /// Bytes of the `fixed`; `None`: length-prefixed.
        fixed: Option<usize>,
    },
    /// As text, or as a `fixed` of 16.
    Uuid {
        fixed: bool,
    },
    Date,
    /// `int` milliseconds.
    TimeMillis,
    /// `long` microseconds.
    TimeMicros,
    Timestamp {
        unit: TimeUnit,
        utc: bool,
    },
    Duration,
}

/// The shapes of one schema.
#[derive(Debug, Clone)]
pub(super) struct Shapes {
    all: Vec<Shape>,
    /// Full names of records, enums and fixeds, where they have one.
    names: Vec<Option<String>>,
    /// Whether a value may take no byte at all.
    empty: Vec<bool>,
    /// Records of a key and a value, which Connect writes for maps that Avro has no type for.
    entries: Vec<ShapeId>,
    pub(super) root: ShapeId,
    /// What the schema says in a place where it means nothing, one line each.
    pub(super) notes: Vec<String>,
}

impl std::ops::Index<ShapeId> for Shapes {
    type Output = Shape;

    fn index(&self, id: ShapeId) -> &Shape {
        &self.all[id]
    }
}

/// What a schema says to whoever reads other writers' records by it; the wire knows nothing of it.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// Aliases and default of each field, by record.
    pub(super) fields: HashMap<ShapeId, Vec<DeclaredField>>,
    /// Full names of the aliases of records, enums and fixeds.
    pub(super) aliases: HashMap<ShapeId, Vec<String>>,
    /// The symbol that stands for those an enum does not have.
    pub(super) symbols: HashMap<ShapeId, String>,
}

#[derive(Debug, Default)]
pub(super) struct DeclaredField {
    pub(super) aliases: Vec<String>,
    pub(super) default: Option<serde_json::Value>,
}

impl Shapes {
    /// Follows every reference of `schema`.
    ///
    /// Error: [`codes::SCHEMA`], a reference to a name that is not defined.
    pub(super) fn new(schema: &Schema) -> Result<Self, Box<Fault>> {
        Self::with_declared(schema).map(|(shapes, _)| shapes)
    }

    /// The same, with what matters to a reader of other schemas.
    pub(super) fn with_declared(schema: &Schema) -> Result<(Self, Declared), Box<Fault>> {
        let mut builder = Builder::default();
        builder.collect(schema);
        let root = builder.shape(schema)?;
        let empty = empty_shapes(&builder.all);
        let Builder { all, names, notes, declared, entries, .. } = builder;
        Ok((Self { all, names, empty, entries, root, notes }, declared))
    }

    /// Leaves of the logical types those that Connect knows, and makes the others what they annotate.
    pub(super) fn forget_unknown_to_connect(&mut self) {
        for shape in &mut self.all {
            match shape {
                Shape::Timestamp { unit: TimeUnit::Millisecond, utc: true } => {}
                Shape::Timestamp { .. } | Shape::TimeMicros => *shape = Shape::Long,
                Shape::Uuid { fixed: true } => *shape = Shape::Fixed(16),
                Shape::Uuid { fixed: false } => *shape = Shape::String,
                Shape::Duration => *shape = Shape::Fixed(12),
                _ => {}
            }
        }
    }

    /// The value of a map's entry whose key is text, if this is one.
    pub(super) fn text_entry(&self, id: ShapeId) -> Option<&[(String, ShapeId)]> {
        let Shape::Record { fields } = &self.all[id] else { return None };
        match fields.as_slice() {
            [(key, text), (value, _)] if key == "key" && value == "value" => {
                (self.entries.contains(&id) && self.all[*text] == Shape::String).then_some(fields)
            }
            _ => None,
        }
    }

    /// Full name of a named type.
    pub(super) fn name(&self, id: ShapeId) -> Option<&str> {
        self.names[id].as_deref()
    }

    /// Whether a value of this shape may take no byte.
    pub(super) fn may_be_empty(&self, id: ShapeId) -> bool {
        self.empty[id]
    }
}

/// A name without its namespace.
pub(super) fn simple(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[derive(Default)]
struct Builder<'s> {
    /// Definitions by full name, then by alias.
    named: HashMap<String, &'s Schema>,
    aliased: HashMap<String, &'s Schema>,
    all: Vec<Shape>,
    names: Vec<Option<String>>,
    done: HashMap<String, ShapeId>,
    notes: Vec<String>,
    declared: Declared,
    entries: Vec<ShapeId>,
}

impl<'s> Builder<'s> {
    /// Notes every definition in the tree; the first of a name wins.
    fn collect(&mut self, schema: &'s Schema) {
        match schema {
            Schema::Record(record) => {
                self.define(schema, &record.name, &record.aliases);
                record.fields.iter().for_each(|field| self.collect(&field.schema));
            }
            Schema::Enum(e) => self.define(schema, &e.name, &e.aliases),
            Schema::Fixed(f) | Schema::Duration(f) | Schema::Uuid(UuidSchema::Fixed(f)) => {
                self.define(schema, &f.name, &f.aliases);
            }
            Schema::Decimal(d) => {
                if let InnerDecimalSchema::Fixed(f) = &d.inner {
                    self.define(schema, &f.name, &f.aliases);
                }
            }
            Schema::Array(a) => self.collect(&a.items),
            Schema::Map(m) => self.collect(&m.types),
            Schema::Union(u) => u.variants().iter().for_each(|branch| self.collect(branch)),
            _ => {}
        }
    }

    fn define(&mut self, schema: &'s Schema, name: &Name, aliases: &Option<Vec<Alias>>) {
        self.named.entry(name.fullname(None)).or_insert(schema);
        for alias in aliases.iter().flatten() {
            self.aliased.entry(alias.fullname(None)).or_insert(schema);
        }
    }

    fn push(&mut self, shape: Shape, name: Option<&Name>) -> ShapeId {
        let id = self.all.len();
        self.all.push(shape);
        let name = name.map(|n| n.fullname(None));
        if let Some(name) = &name {
            self.done.entry(name.clone()).or_insert(id);
        }
        self.names.push(name);
        id
    }

    fn shape(&mut self, schema: &'s Schema) -> Result<ShapeId, Box<Fault>> {
        let timestamp = |unit, utc| Shape::Timestamp { unit, utc };
        let (shape, name) = match schema {
            Schema::Null => (Shape::Null, None),
            Schema::Boolean => (Shape::Boolean, None),
            Schema::Int => (Shape::Int, None),
            Schema::Long => (Shape::Long, None),
            Schema::Float => (Shape::Float, None),
            Schema::Double => (Shape::Double, None),
            // `big-decimal` has its scale in each value and no column type to match; `uuid` annotates
            // text and fixed only. Both keep their base type.
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => {
                (Shape::Bytes, None)
            }
            Schema::String => (Shape::String, None),
            Schema::Uuid(UuidSchema::String) => (Shape::Uuid { fixed: false }, None),
            Schema::Uuid(UuidSchema::Fixed(f)) => (Shape::Uuid { fixed: true }, Some(&f.name)),
            Schema::Fixed(f) => (Shape::Fixed(f.size), Some(&f.name)),
            Schema::Duration(f) => (Shape::Duration, Some(&f.name)),
            Schema::Enum(e) => (Shape::Enum(e.symbols.clone()), Some(&e.name)),
            Schema::Decimal(d) => {
                let (fixed, name) = match &d.inner {
                    InnerDecimalSchema::Bytes => (None, None),
                    InnerDecimalSchema::Fixed(f) => (Some(f.size), Some(&f.name)),
                };
                (Shape::Decimal { precision: d.precision, scale: d.scale, fixed }, name)
            }
            Schema::Date => (Shape::Date, None),
            Schema::TimeMillis => (Shape::TimeMillis, None),
            Schema::TimeMicros => (Shape::TimeMicros, None),
            Schema::TimestampMillis => (timestamp(TimeUnit::Millisecond, true), None),
            Schema::TimestampMicros => (timestamp(TimeUnit::Microsecond, true), None),
            Schema::TimestampNanos => (timestamp(TimeUnit::Nanosecond, true), None),
            Schema::LocalTimestampMillis => (timestamp(TimeUnit::Millisecond, false), None),
            Schema::LocalTimestampMicros => (timestamp(TimeUnit::Microsecond, false), None),
            Schema::LocalTimestampNanos => (timestamp(TimeUnit::Nanosecond, false), None),
            Schema::Array(a) => (Shape::Array(self.shape(&a.items)?), None),
            Schema::Map(m) => (Shape::Map(self.shape(&m.types)?), None),
            Schema::Union(u) => (self.union(u.variants())?, None),
            Schema::Record(record) => {
                // The id exists before its fields, so that a field may refer back to it.
                let id = self.push(Shape::Null, Some(&record.name));
                let internal = record.attributes.get("connect.internal.type");
                if record.name.fullname(None) == MAP_ENTRY
                    || internal.is_some_and(|name| name == "MapEntry")
                {
                    self.entries.push(id);
                }
                let mut fields = Vec::with_capacity(record.fields.len());
                for field in &record.fields {
                    if let Some(logical) = field.custom_attributes.get("logicalType") {
                        self.notes.push(format!(
                            "{}.{}: logicalType {logical} has no effect: it stands beside the field's `type`, not in it",
                            record.name.fullname(None), field.name
                        ));
                    }
                    fields.push((field.name.clone(), self.shape(&field.schema)?));
                }
                self.all[id] = Shape::Record { fields };
                self.declare(id, schema);
                return Ok(id);
            }
            Schema::Ref { name } => return self.reference(name),
        };
        let id = self.push(shape, name);
        if name.is_some() {
            self.declare(id, schema);
        }
        Ok(id)
    }

    /// Keeps aliases and defaults of a named type.
    fn declare(&mut self, id: ShapeId, schema: &Schema) {
        if let Some(aliases) = schema.aliases().filter(|aliases| !aliases.is_empty()) {
            let names = aliases.iter().map(|alias| alias.fullname(None)).collect();
            self.declared.aliases.insert(id, names);
        }
        match schema {
            Schema::Record(record) => {
                let fields = record.fields.iter().map(|field| DeclaredField {
                    aliases: field.aliases.clone(),
                    default: field.default.clone(),
                });
                self.declared.fields.insert(id, fields.collect());
            }
            Schema::Enum(e) => {
                if let Some(symbol) = &e.default {
                    self.declared.symbols.insert(id, symbol.clone());
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, name: &Name) -> Result<ShapeId, Box<Fault>> {
        let full = name.fullname(None);
        if let Some(&id) = self.done.get(&full) {
            return Ok(id);
        }
        let Some(&schema) = self.named.get(&full).or_else(|| self.aliased.get(&full)) else {
            return Err(Box::new(Fault::new(
                &codes::SCHEMA,
                format!("avro type `{full}`: not defined in the schema, a definition required"),
            )));
        };
        // Behind an alias stands a definition of another name, which may be done already.
        let defined = defined_name(schema).map(|name| name.fullname(None));
        match defined.and_then(|name| self.done.get(&name)) {
            Some(&id) => Ok(id),
            None => self.shape(schema),
        }
    }

    fn union(&mut self, variants: &'s [Schema]) -> Result<Shape, Box<Fault>> {
        let mut branches: Vec<(String, ShapeId)> = Vec::with_capacity(variants.len());
        for schema in variants {
            let id = self.shape(schema)?;
            let full = self.names[id].as_deref();
            let name = full.map_or_else(|| base_name(&self.all[id]), simple).to_owned();
            let name = match full {
                Some(full) if branches.iter().any(|(taken, _)| *taken == name) => full.to_owned(),
                _ => name,
            };
            branches.push((name, id));
        }
        Ok(Shape::Union(branches))
    }
}

fn defined_name(schema: &Schema) -> Option<&Name> {
    match schema {
        Schema::Record(r) => Some(&r.name),
        Schema::Enum(e) => Some(&e.name),
        Schema::Fixed(f) | Schema::Duration(f) | Schema::Uuid(UuidSchema::Fixed(f)) => {
            Some(&f.name)
        }
        Schema::Decimal(d) => match &d.inner {
            InnerDecimalSchema::Fixed(f) => Some(&f.name),
            InnerDecimalSchema::Bytes => None,
        },
        _ => None,
    }
}

/// What the specification calls an unnamed type: logical types by the type they annotate.
pub(super) fn base_name(shape: &Shape) -> &'static str {
    match shape {
        Shape::Null => "null",
        Shape::Boolean => "boolean",
        Shape::Int | Shape::Date | Shape::TimeMillis => "int",
        Shape::Long | Shape::TimeMicros | Shape::Timestamp { .. } => "long",
        Shape::Float => "float",
        Shape::Double => "double",
        Shape::Bytes | Shape::Decimal { fixed: None, .. } => "bytes",
        Shape::String | Shape::Uuid { fixed: false } => "string",
        Shape::Fixed(_) | Shape::Decimal { .. } | Shape::Uuid { .. } | Shape::Duration => "fixed",
        Shape::Enum(_) => "enum",
        Shape::Array(_) => "array",
        Shape::Map(_) => "map",
        Shape::Record { .. } => "record",
        Shape::Union(_) => "union",
    }
}

/// Which shapes may take no byte. A record is taken for empty until a field says otherwise, so one that
/// holds itself stays empty: depth and nodes bound it.
fn empty_shapes(all: &[Shape]) -> Vec<bool> {
    let mut empty: Vec<bool> = all
        .iter()
        .map(|shape| match shape {
            Shape::Null | Shape::Fixed(0) | Shape::Record { .. } => true,
            Shape::Decimal { fixed, .. } => *fixed == Some(0),
            _ => false,
        })
        .collect();
    let mut changed = true;
    while changed {
        changed = false;
        for (id, shape) in all.iter().enumerate().rev() {
            if let Shape::Record { fields } = shape
                && empty[id]
                && fields.iter().any(|(_, field)| !empty[*field])
            {
                empty[id] = false;
                changed = true;
            }
        }
    }
    empty
}
