//! JSON → Protobuf, by the Protobuf JSON mapping.

use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use crate::error::Fault;
use crate::registry::codes::ENCODE;
use crate::registry::{ProtobufFile, message};

use super::{DEPTH_MAX, Path};

/// A message of the file and its indexes.
pub(super) fn choose(
    file: &ProtobufFile,
    name: Option<&str>,
) -> Result<(MessageDescriptor, Vec<u32>), Fault> {
    let found = match name {
        None => message::at(file, &[0]),
        Some(name) => {
            let pool = file.parent_pool();
            let within = format!("{}.{name}", file.package_name());
            [name, within.as_str()]
                .iter()
                .find_map(|name| pool.get_message_by_name(name))
                .filter(|message| message.parent_file() == file.file)
        }
    };
    found.and_then(|m| message::indexes(file, &m).map(|indexes| (m, indexes))).ok_or_else(|| {
        let names: Vec<_> = file.messages().map(|m| m.full_name().to_owned()).collect();
        Fault::new(
            &ENCODE,
            format!(
                "message `{}`: not in the schema, one of `{}` required",
                name.unwrap_or("(the first)"),
                names.join("`, `")
            ),
        )
    })
}

pub(super) fn encode(
    message: &MessageDescriptor,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let read = DynamicMessage::deserialize(message.clone(), value)
        .map_err(|error| locate(message, value, Path::Root, 0, &error.to_string()))?;
    // Only a full buffer fails, and a vector grows.
    read.encode(out).map_err(|error| Path::Root.fault(error))
}

/// Finds the value that does not fit: the reader of the mapping does not say where it is. Each part
/// is tried alone, the one that fails is looked into.
fn locate(
    message: &MessageDescriptor,
    value: &Value,
    path: Path<'_>,
    depth: u32,
    why: &str,
) -> Fault {
    let Value::Object(fields) = value else { return path.fault(why) };
    // Types with a JSON form of their own (Timestamp, Any, …) are judged whole.
    if depth > DEPTH_MAX || message.full_name().starts_with("google.protobuf.") {
        return path.fault(why);
    }
    for (key, value) in fields {
        let path = Path::Key(&path, key);
        let Some(error) = refuses(message, key, value) else { continue };
        let field = message.get_field_by_json_name(key).or_else(|| message.get_field_by_name(key));
        let Some(field) = field else { return path.fault(error) };
        let inner = |kind: Kind, value: &Value, path: Path<'_>, error: &str| match kind {
            Kind::Message(inner) => locate(&inner, value, path, depth + 1, error),
            _ => path.fault(error),
        };
        match value {
            Value::Array(items) if field.is_list() => {
                for (i, item) in items.iter().enumerate() {
                    let one = Value::Array(vec![item.clone()]);
                    if let Some(error) = refuses(message, key, &one) {
                        return inner(field.kind(), item, Path::Index(&path, i), &error);
                    }
                }
            }
            Value::Object(entries) if field.is_map() => {
                let Kind::Message(entry) = field.kind() else { continue };
                for (name, item) in entries {
                    let one = Value::Object(Map::from_iter([(name.clone(), item.clone())]));
                    if let Some(error) = refuses(message, key, &one) {
                        let kind = entry.map_entry_value_field().kind();
                        return inner(kind, item, Path::Key(&path, name), &error);
                    }
                }
            }
            value if !field.is_list() => return inner(field.kind(), value, path, &error),
            _ => {}
        }
        return path.fault(error);
    }
    // Each field alone is fine: two of one oneof, or one field under two names.
    path.fault(why)
}

/// What stands against one field alone.
fn refuses(message: &MessageDescriptor, key: &str, value: &Value) -> Option<String> {
    let one = Value::Object(Map::from_iter([(key.to_owned(), value.clone())]));
    DynamicMessage::deserialize(message.clone(), &one).err().map(|error| error.to_string())
}
