//! Messages that are kept as text: wire bytes → JSON as Protobuf prints it, with the names that columns
//! have (`created_at`, not `createdAt`).
//!
//! Used for `Struct`, `Value`, `ListValue` and for recursive edges. The occurrences of a message's fields
//! are gathered first and written in order of number, because the wire may bring them in any order and in
//! parts; no tree of values is built.
//! Bounded by: depth, and [`crate::decode::columns::Meter`] for occurrences and for text.
//! Source: "ProtoJSON Format" of the Protocol Buffers documentation.

mod write;

use std::collections::{HashMap, HashSet};

use prost_reflect::{Kind as Type, MessageDescriptor};

use super::plan::EnumNames;
use super::source::{Source, enum_names};
use super::wire;
use crate::registry::compile::Facts;
use write::string;

/// JSON text of an empty message.
pub fn empty(full_name: &str) -> &'static str {
    match full_name {
        "google.protobuf.Value" => "null",
        "google.protobuf.ListValue" => "[]",
        _ => "{}",
    }
}

/// The messages that are written as JSON, and those they hold; by index, so that recursion is none.
#[derive(Debug, Default)]
pub struct Types {
    messages: Vec<Message>,
    enums: Vec<EnumNames>,
    ids: HashMap<String, u32>,
    enum_ids: HashMap<String, u32>,
}

#[derive(Debug)]
struct Message {
    form: Form,
    /// By rising number.
    fields: Vec<Field>,
}

/// How a message looks as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Object,
    Timestamp,
    Duration,
    FieldMask,
    /// The value of its one field.
    Wrapper,
    /// The map or list of its one field.
    Struct,
    /// The field that is set.
    Value,
}

#[derive(Debug)]
struct Field {
    number: u32,
    /// `"name":`
    label: String,
    name: String,
    value: Scalar,
    list: bool,
    map: bool,
    /// Written even if it has the default.
    presence: bool,
    oneof: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Null,
    Enum(u32),
    Message(u32),
    Group(u32),
}

impl Scalar {
    fn wire(self) -> u32 {
        match self {
            Scalar::Double | Scalar::Fixed64 | Scalar::Sfixed64 => wire::I64,
            Scalar::Float | Scalar::Fixed32 | Scalar::Sfixed32 => wire::I32,
            Scalar::String | Scalar::Bytes | Scalar::Message(_) => wire::LEN,
            Scalar::Group(_) => wire::START,
            _ => wire::VARINT,
        }
    }

    /// Whether every value written as this is the same value read as the other.
    fn reads_as(self, other: Self) -> bool {
        self == other
            || matches!(
                (self, other),
                (Scalar::Int32, Scalar::Int64)
                    | (Scalar::Uint32, Scalar::Uint64)
                    | (Scalar::Sint32, Scalar::Sint64)
                    | (Scalar::String, Scalar::Bytes)
                    | (Scalar::Bytes, Scalar::String)
                    | (Scalar::Enum(_), Scalar::Enum(_))
            )
    }

    fn packable(self) -> bool {
        !matches!(self.wire(), wire::LEN | wire::START)
    }
}

impl Types {
    /// Index of a message, compiled with all it holds if it is new.
    pub fn add(&mut self, message: &MessageDescriptor, facts: &Facts) -> u32 {
        if let Some(&id) = self.ids.get(message.full_name()) {
            return id;
        }
        // Breadth first: a schema can nest deeper than a stack.
        let first = self.reserve(message);
        let mut todo = vec![message.clone()];
        while let Some(message) = todo.pop() {
            let id = self.ids[message.full_name()] as usize;
            let mut fields: Vec<Field> =
                Source::all(&message, facts).iter().map(|s| self.field(s, &mut todo)).collect();
            fields.sort_by_key(|field| field.number);
            self.messages[id].fields = fields;
        }
        first
    }

    /// Whether message `own` of these types reads what message `id` of `writer` writes, value by value.
    pub fn reads(&self, own: u32, writer: &Self, id: u32) -> bool {
        let mut met = HashSet::new();
        let mut todo = vec![(own, id)];
        while let Some((own, id)) = todo.pop() {
            if !met.insert((own, id)) {
                continue;
            }
            let (own, from) = (&self.messages[own as usize], &writer.messages[id as usize]);
            if own.form != from.form {
                return false;
            }
            for field in &own.fields {
                let at = from.fields.binary_search_by_key(&field.number, |field| field.number);
                let Ok(at) = at else { continue };
                let was = &from.fields[at];
                if (field.list, field.map) != (was.list, was.map) {
                    return false;
                }
                match (was.value, field.value) {
                    (Scalar::Message(was), Scalar::Message(is))
                    | (Scalar::Group(was), Scalar::Group(is)) => todo.push((is, was)),
                    (was, is) if !was.reads_as(is) => return false,
                    _ => {}
                }
            }
        }
        true
    }

    fn reserve(&mut self, message: &MessageDescriptor) -> u32 {
        let id = self.messages.len() as u32;
        let form = match message.full_name() {
            "google.protobuf.Timestamp" => Form::Timestamp,
            "google.protobuf.Duration" => Form::Duration,
            _ if super::compile::is_field_mask(message) => Form::FieldMask,
            "google.protobuf.Struct" | "google.protobuf.ListValue" => Form::Struct,
            "google.protobuf.Value" => Form::Value,
            _ if super::compile::is_wrapper(message) => Form::Wrapper,
            _ => Form::Object,
        };
        self.messages.push(Message { form, fields: Vec::new() });
        self.ids.insert(message.full_name().to_owned(), id);
        id
    }

    fn field(&mut self, source: &Source, todo: &mut Vec<MessageDescriptor>) -> Field {
        let value = self.scalar(source, todo);
        let mut label = Vec::new();
        string(&source.name, &mut label);
        label.push(b':');
        Field {
            number: source.number,
            label: String::from_utf8(label).unwrap_or_default(),
            name: source.name.clone(),
            value,
            list: source.list,
            map: source.map,
            presence: source.presence,
            oneof: source.oneof,
        }
    }

    fn scalar(&mut self, source: &Source, todo: &mut Vec<MessageDescriptor>) -> Scalar {
        match &source.kind {
            Type::Double => Scalar::Double,
            Type::Float => Scalar::Float,
            Type::Int32 => Scalar::Int32,
            Type::Int64 => Scalar::Int64,
            Type::Uint32 => Scalar::Uint32,
            Type::Uint64 => Scalar::Uint64,
            Type::Sint32 => Scalar::Sint32,
            Type::Sint64 => Scalar::Sint64,
            Type::Fixed32 => Scalar::Fixed32,
            Type::Fixed64 => Scalar::Fixed64,
            Type::Sfixed32 => Scalar::Sfixed32,
            Type::Sfixed64 => Scalar::Sfixed64,
            Type::Bool => Scalar::Bool,
            Type::String => Scalar::String,
            Type::Bytes => Scalar::Bytes,
            Type::Enum(e) if e.full_name() == "google.protobuf.NullValue" => Scalar::Null,
            Type::Enum(e) => {
                let next = self.enums.len() as u32;
                let id = *self.enum_ids.entry(e.full_name().to_owned()).or_insert(next);
                if id == next {
                    self.enums.push(enum_names(e, ""));
                }
                Scalar::Enum(id)
            }
            Type::Message(message) => {
                let id = match self.ids.get(message.full_name()) {
                    Some(&id) => id,
                    None => {
                        todo.push(message.clone());
                        self.reserve(message)
                    }
                };
                if source.group { Scalar::Group(id) } else { Scalar::Message(id) }
            }
        }
    }
}
