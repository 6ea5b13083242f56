//! Whether a reader's Protobuf file takes what a writer's file writes, by the rules of the reference
//! registry: names of fields and enum values do not count, numbers and kinds do.

use std::collections::BTreeMap;

use prost_reflect::{Cardinality, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};

/// Every reason, each with its message; nothing if all is well.
pub(super) fn check(reader: &FileDescriptor, writer: &FileDescriptor) -> Vec<String> {
    let mut messages = Vec::new();
    let readers = declared(reader);
    for (name, written) in declared(writer) {
        match readers.get(&name) {
            Some(read) => compare(&name, read, &written, &mut messages),
            None => messages.push(format!("message `{name}` is gone")),
        }
    }
    messages
}

/// Messages of a file by their name within the package, which may change.
fn declared(file: &FileDescriptor) -> BTreeMap<String, MessageDescriptor> {
    let mut found = BTreeMap::new();
    let mut queue: Vec<_> = file.messages().collect();
    while let Some(message) = queue.pop() {
        queue.extend(message.child_messages());
        if !message.is_map_entry() {
            found.insert(local_name(&message, file), message);
        }
    }
    found
}

fn local_name(message: &MessageDescriptor, file: &FileDescriptor) -> String {
    within(message.full_name(), file.package_name())
}

fn within(full_name: &str, package: &str) -> String {
    full_name
        .strip_prefix(package)
        .and_then(|rest| rest.strip_prefix('.'))
        .unwrap_or(full_name)
        .to_owned()
}

fn compare(
    name: &str,
    reader: &MessageDescriptor,
    writer: &MessageDescriptor,
    out: &mut Vec<String>,
) {
    for written in writer.fields() {
        let number = written.number();
        match reader.get_field(number) {
            Some(read) => field(name, &read, &written, out),
            None if written.cardinality() == Cardinality::Required => {
                out.push(format!("required field {number} of `{name}` is gone"));
            }
            None if real_oneof(&written).is_some_and(|o| has_oneof(reader, &o)) => {
                out.push(format!("field {number} of `{name}` is gone from its oneof"));
            }
            None => {}
        }
    }
    for read in reader.fields() {
        if read.cardinality() == Cardinality::Required && writer.get_field(read.number()).is_none()
        {
            out.push(format!("required field {} of `{name}` is new", read.number()));
        }
    }
    oneofs(name, reader, writer, out);
}

fn field(name: &str, reader: &FieldDescriptor, writer: &FieldDescriptor, out: &mut Vec<String>) {
    let number = writer.number();
    let (r, w) = (group(reader), group(writer));
    if r != w {
        out.push(format!("field {number} of `{name}` was {w}, and is {r}"));
        return;
    }
    let single_and_list = reader.is_list() != writer.is_list();
    let texts = matches!(reader.kind(), Kind::String | Kind::Bytes | Kind::Message(_));
    if single_and_list && !texts {
        out.push(format!("field {number} of `{name}` changed between one number and many"));
    }
}

/// Kinds of one group are read as one another.
fn group(field: &FieldDescriptor) -> String {
    if field.is_map()
        && let Kind::Message(entry) = field.kind()
    {
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        return format!("a map of {} and {}", group(&key), group(&value));
    }
    let file = field.parent_message().parent_file();
    match field.kind() {
        Kind::Int32 | Kind::Uint32 | Kind::Int64 | Kind::Uint64 | Kind::Bool => {
            "a varint (int32, uint32, int64, uint64, bool)".to_owned()
        }
        Kind::Sint32 | Kind::Sint64 => "a zigzag varint (sint32, sint64)".to_owned(),
        Kind::Fixed32 | Kind::Sfixed32 => "four bytes (fixed32, sfixed32)".to_owned(),
        Kind::Fixed64 | Kind::Sfixed64 => "eight bytes (fixed64, sfixed64)".to_owned(),
        Kind::String | Kind::Bytes => "bytes (string, bytes)".to_owned(),
        Kind::Float => "a float".to_owned(),
        Kind::Double => "a double".to_owned(),
        Kind::Message(message) => {
            let form = if field.is_group() { "group" } else { "message" };
            format!("the {form} `{}`", within(message.full_name(), file.package_name()))
        }
        Kind::Enum(item) => format!("the enum `{}`", within(item.full_name(), file.package_name())),
    }
}

/// Name of the oneof the text declares; not that of a proto3 `optional`.
fn real_oneof(field: &FieldDescriptor) -> Option<String> {
    field.containing_oneof().filter(|o| !o.is_synthetic()).map(|o| o.name().to_owned())
}

fn has_oneof(message: &MessageDescriptor, name: &str) -> bool {
    message.oneofs().any(|o| !o.is_synthetic() && o.name() == name)
}

/// A field that moves into a oneof loses its value when another member is written: one may move
/// into a oneof of its own, no more.
fn oneofs(
    name: &str,
    reader: &MessageDescriptor,
    writer: &MessageDescriptor,
    out: &mut Vec<String>,
) {
    for oneof in reader.oneofs().filter(|o| !o.is_synthetic()) {
        let moved: Vec<u32> = oneof
            .fields()
            .map(|f| f.number())
            .filter(|&n| writer.get_field(n).is_some_and(|w| real_oneof(&w).is_none()))
            .collect();
        let existing = oneof
            .fields()
            .any(|f| writer.get_field(f.number()).is_some_and(|w| real_oneof(&w).is_some()));
        if moved.len() > 1 || (existing && !moved.is_empty()) {
            out.push(format!(
                "fields {moved:?} of `{name}` move into the oneof `{}`",
                oneof.name()
            ));
        }
    }
}
