//! A Protobuf message as Confluent's Protobuf converter hands it to a sink.

use prost_reflect::{
    Cardinality, EnumDescriptor, FieldDescriptor, Kind as Type, MessageDescriptor,
};

use super::{Form, Kind, Left};
use crate::config::Connect;
use crate::registry::ProtobufFile;

/// Parameter of a field: its number.
const TAG: &str = "io.confluent.type.protobuf.Tag";

/// None: no such message, or too many parts.
pub(super) fn form(
    file: &ProtobufFile,
    message: &str,
    connect: Connect,
    left: &mut Left,
) -> Option<Form> {
    let message = file.parent_pool().get_message_by_name(message)?;
    Walk { file, connect, open: Vec::new(), left }.message(&message)
}

struct Walk<'a> {
    file: &'a ProtobufFile,
    connect: Connect,
    /// Full names of the messages around.
    open: Vec<String>,
    left: &'a mut Left,
}

impl Walk<'_> {
    fn message(&mut self, message: &MessageDescriptor) -> Option<Form> {
        let name = message.full_name();
        if self.open.iter().any(|open| open == name) {
            return Some(Form::from(Kind::Again).named(name));
        }
        self.open.push(name.to_owned());
        let mut fields = Vec::new();
        for (index, oneof) in message.oneofs().enumerate().filter(|(_, o)| !o.is_synthetic()) {
            let mut members = Vec::new();
            for field in oneof.fields() {
                members.push((field.name().to_owned(), self.field(&field, true)?));
            }
            if self.connect.flatten_unions {
                fields.extend(members);
                continue;
            }
            let column = match self.connect.generate_index_for_unions {
                true => format!("{}_{index}", oneof.name()),
                false => oneof.name().to_owned(),
            };
            let form = Form::from(Kind::Struct(members)).named(oneof.name());
            fields.push((column, Form { optional: true, ..form }));
        }
        for field in message.fields() {
            if field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()) {
                continue;
            }
            let optional = self.is_optional(&field);
            fields.push((field.name().to_owned(), self.field(&field, optional)?));
        }
        self.open.pop();
        Some(Form::from(Kind::Struct(fields)).named(name))
    }

    fn field(&mut self, field: &FieldDescriptor, optional: bool) -> Option<Form> {
        self.left.take()?;
        let form = if field.is_map() {
            let kind = field.kind();
            let entry = kind.as_message()?;
            let key = self.single(&entry.map_entry_key_field().kind())?;
            let value = self.single(&entry.map_entry_value_field().kind())?;
            Kind::Map(Box::new(key), Box::new(value)).into()
        } else if field.is_list() {
            Kind::Array(Box::new(self.single(&field.kind())?)).into()
        } else {
            self.single(&field.kind())?
        };
        let default = field.field_descriptor_proto().default_value.clone();
        Some(Form { optional, default, ..form }.with(TAG, field.number()))
    }

    /// As the columns of the dialect are nullable.
    fn is_optional(&self, field: &FieldDescriptor) -> bool {
        let always = matches!(field.kind(), Type::Message(_) | Type::Enum(_));
        let presence = field.supports_presence()
            && !self.file.facts.implicit.contains(field.full_name())
            && field.cardinality() != Cardinality::Required;
        let all = !(self.connect.optional_for_nullables || self.connect.wrapper_for_nullables);
        always || presence || all
    }

    fn single(&mut self, kind: &Type) -> Option<Form> {
        self.left.take()?;
        Some(match kind {
            Type::Bool => Kind::Boolean.into(),
            Type::Int32 | Type::Sint32 | Type::Sfixed32 => Kind::Int32.into(),
            Type::Uint32 | Type::Fixed32 | Type::Int64 | Type::Sint64 => Kind::Int64.into(),
            Type::Sfixed64 | Type::Uint64 | Type::Fixed64 => Kind::Int64.into(),
            Type::Float => Kind::Float32.into(),
            Type::Double => Kind::Float64.into(),
            Type::String => Kind::String.into(),
            Type::Bytes => Kind::Bytes.into(),
            Type::Enum(of) => symbols(of),
            Type::Message(message) => return self.known(message),
        })
    }

    fn known(&mut self, message: &MessageDescriptor) -> Option<Form> {
        let logical = |kind: Kind, name: &str| {
            Some(Form::from(kind).named(format!("org.apache.kafka.connect.data.{name}")))
        };
        match message.full_name() {
            "google.protobuf.Timestamp" => logical(Kind::Int64, "Timestamp"),
            "google.type.Date" => logical(Kind::Int32, "Date"),
            "google.type.TimeOfDay" => logical(Kind::Int32, "Time"),
            "confluent.type.Decimal" => logical(Kind::Bytes, "Decimal"),
            name if self.connect.wrapper_for_raw_primitives && is_wrapper(name) => {
                self.single(&message.get_field(1)?.kind())
            }
            _ => self.message(message),
        }
    }
}

fn is_wrapper(name: &str) -> bool {
    let of = name.strip_prefix("google.protobuf.").and_then(|name| name.strip_suffix("Value"));
    let wrapped =
        ["Bool", "Int32", "Int64", "UInt32", "UInt64", "Float", "Double", "String", "Bytes"];
    of.is_some_and(|of| wrapped.contains(&of))
}

fn symbols(of: &EnumDescriptor) -> Form {
    let symbols = of.values().map(|value| (value.name().to_owned(), value.number().to_string()));
    Form { symbols: Some(symbols.collect()), ..Form::from(Kind::String).named(of.full_name()) }
}
