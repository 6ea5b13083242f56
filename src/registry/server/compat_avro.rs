//! Whether an Avro reader schema resolves everything a writer schema can write (specification,
//! "Schema Resolution"). Logical types do not count; names are compared without their namespace, or
//! by the reader's aliases, as Java does.

use std::collections::{HashMap, HashSet};

use apache_avro::schema::{
    Alias, EnumSchema, FixedSchema, InnerDecimalSchema, Name, RecordSchema, Schema, SchemaKind,
    UuidSchema,
};

use crate::registry::compile::avro_definitions;

/// Every reason, each with its path; nothing if all resolves.
pub(super) fn check(reader: &Schema, writer: &Schema) -> Vec<String> {
    let mut check = Check {
        readers: avro_definitions(reader),
        writers: avro_definitions(writer),
        seen: HashSet::new(),
        messages: Vec::new(),
    };
    check.resolve(reader, writer, &mut String::new());
    check.messages
}

struct Check<'a> {
    readers: HashMap<&'a Name, &'a Schema>,
    writers: HashMap<&'a Name, &'a Schema>,
    /// Pairs of named types that are being compared, or were.
    seen: HashSet<(Name, Name)>,
    messages: Vec<String>,
}

impl<'a> Check<'a> {
    fn refuse(&mut self, path: &str, why: impl std::fmt::Display) {
        let path = if path.is_empty() { "/" } else { path };
        self.messages.push(format!("{path}: {why}"));
    }

    /// Resolves, and says whether all went well. Depth is bounded by the JSON parser's 128 levels
    /// between named types, and each pair of those is entered once.
    fn resolve(&mut self, reader: &'a Schema, writer: &'a Schema, path: &mut String) -> bool {
        let reader = follow(reader, &self.readers);
        let writer = follow(writer, &self.writers);
        if let (Some(r), Some(w)) = (reader.name(), writer.name())
            && !self.seen.insert((r.clone(), w.clone()))
        {
            return true;
        }
        match (reader, writer) {
            (_, Schema::Union(union)) => {
                let mut all = true;
                for branch in union.variants() {
                    all &= self.resolve(reader, branch, path);
                }
                all
            }
            (Schema::Union(union), _) => {
                if union.variants().iter().any(|branch| self.quietly(branch, writer)) {
                    return true;
                }
                self.refuse(
                    path,
                    format_args!("no branch of the reader's union takes {}", word(writer)),
                );
                false
            }
            _ => self.same_kind(reader, writer, path),
        }
    }

    /// Tries without leaving messages or pairs behind where it fails.
    fn quietly(&mut self, reader: &'a Schema, writer: &'a Schema) -> bool {
        let messages = self.messages.len();
        let seen = self.seen.clone();
        let ok = self.resolve(reader, writer, &mut String::new());
        if !ok {
            self.messages.truncate(messages);
            self.seen = seen;
        }
        ok
    }

    fn same_kind(&mut self, reader: &'a Schema, writer: &'a Schema, path: &mut String) -> bool {
        match (reader, writer) {
            (Schema::Record(r), Schema::Record(w)) => self.record(r, w, path),
            (Schema::Enum(r), Schema::Enum(w)) => self.enumeration(r, w, path),
            (Schema::Array(r), Schema::Array(w)) => {
                self.below(path, "/items", |this, path| this.resolve(&r.items, &w.items, path))
            }
            (Schema::Map(r), Schema::Map(w)) => {
                self.below(path, "/values", |this, path| this.resolve(&r.types, &w.types, path))
            }
            _ => match (fixed(reader), fixed(writer)) {
                (Some(r), Some(w)) => self.fixed(r, w, path),
                (None, None) if promotes(base(writer), base(reader)) => true,
                _ => {
                    self.refuse(
                        path,
                        format_args!("reader has {}, writer has {}", word(reader), word(writer)),
                    );
                    false
                }
            },
        }
    }

    fn below(
        &mut self,
        path: &mut String,
        step: &str,
        f: impl FnOnce(&mut Self, &mut String) -> bool,
    ) -> bool {
        let length = path.len();
        path.push_str(step);
        let ok = f(self, path);
        path.truncate(length);
        ok
    }

    /// Without the namespace, as Java compares; or by an alias of the reader.
    fn same_name(
        &mut self,
        reader: &Name,
        aliases: &Option<Vec<Alias>>,
        writer: &Name,
        path: &str,
    ) -> bool {
        let alias = |a: &Alias| a.fullname(reader.namespace()) == writer.fullname(None);
        if reader.name() == writer.name() || aliases.iter().flatten().any(alias) {
            return true;
        }
        self.refuse(path, format_args!("reader's name is `{reader}`, writer's `{writer}`"));
        false
    }

    fn record(
        &mut self,
        reader: &'a RecordSchema,
        writer: &'a RecordSchema,
        path: &mut String,
    ) -> bool {
        let mut ok = self.same_name(&reader.name, &reader.aliases, &writer.name, path);
        for field in &reader.fields {
            let written = std::iter::once(&field.name)
                .chain(&field.aliases)
                .find_map(|name| writer.fields.iter().find(|w| w.name == *name));
            ok &= match written {
                Some(written) => self.below(path, &format!("/{}", field.name), |this, path| {
                    this.resolve(&field.schema, &written.schema, path)
                }),
                None if field.default.is_some() => true,
                None => {
                    let name = &field.name;
                    self.refuse(path, format_args!("reader's field `{name}` has no default, and the writer does not have it"));
                    false
                }
            };
        }
        ok
    }

    fn enumeration(&mut self, reader: &EnumSchema, writer: &EnumSchema, path: &str) -> bool {
        let mut ok = self.same_name(&reader.name, &reader.aliases, &writer.name, path);
        if reader.default.is_none() {
            for symbol in writer.symbols.iter().filter(|s| !reader.symbols.contains(s)) {
                self.refuse(
                    path,
                    format_args!("reader's enum has neither `{symbol}` nor a default"),
                );
                ok = false;
            }
        }
        ok
    }

    fn fixed(&mut self, reader: &FixedSchema, writer: &FixedSchema, path: &str) -> bool {
        let ok = self.same_name(&reader.name, &reader.aliases, &writer.name, path);
        if reader.size == writer.size {
            return ok;
        }
        let (r, w) = (reader.size, writer.size);
        self.refuse(path, format_args!("reader's fixed has {r} bytes, writer's {w}"));
        false
    }
}

fn follow<'a>(schema: &'a Schema, names: &HashMap<&'a Name, &'a Schema>) -> &'a Schema {
    match schema {
        Schema::Ref { name } => names.get(name).copied().unwrap_or(schema),
        other => other,
    }
}

fn fixed(schema: &Schema) -> Option<&FixedSchema> {
    match schema {
        Schema::Fixed(fixed) | Schema::Duration(fixed) => Some(fixed),
        Schema::Uuid(UuidSchema::Fixed(fixed)) => Some(fixed),
        Schema::Decimal(decimal) => match &decimal.inner {
            InnerDecimalSchema::Fixed(fixed) => Some(fixed),
            InnerDecimalSchema::Bytes => None,
        },
        _ => None,
    }
}

/// The type below a logical type.
fn base(schema: &Schema) -> SchemaKind {
    match schema {
        Schema::Date | Schema::TimeMillis => SchemaKind::Int,
        Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => SchemaKind::Long,
        Schema::Uuid(UuidSchema::String) => SchemaKind::String,
        Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => SchemaKind::Bytes,
        Schema::Decimal(decimal) if matches!(decimal.inner, InnerDecimalSchema::Bytes) => {
            SchemaKind::Bytes
        }
        other => SchemaKind::from(other),
    }
}

/// Promotions of the specification; only scalars are asked about.
fn promotes(writer: SchemaKind, reader: SchemaKind) -> bool {
    use SchemaKind::{Boolean, Bytes, Double, Float, Int, Long, Null, String};
    matches!(
        (writer, reader),
        (Int, Int | Long | Float | Double)
            | (Long, Long | Float | Double)
            | (Float, Float | Double)
            | (String | Bytes, String | Bytes)
            | (Null, Null)
            | (Boolean, Boolean)
            | (Double, Double)
    )
}

fn word(schema: &Schema) -> String {
    match schema.name() {
        Some(name) => format!("`{name}`"),
        None => format!("`{}`", format!("{:?}", base(schema)).to_lowercase()),
    }
}
