//! Message indexes ↔ messages of a Protobuf file.
//!
//! Indexes count the messages that the text declares, level by level; the entry messages that the
//! compiler makes for maps, and the bodies of groups, do not count. (In a file with an edition no text
//! declares a group: there all but the entries count.)

use prost_reflect::MessageDescriptor;

use super::ProtobufFile;

/// The message that a path of indexes names, or none.
pub fn at(file: &ProtobufFile, indexes: &[u32]) -> Option<MessageDescriptor> {
    let (&first, rest) = indexes.split_first()?;
    let mut message = declared(file, None).nth(first as usize)?;
    for &index in rest {
        let child = declared(file, Some(&message)).nth(index as usize)?;
        message = child;
    }
    Some(message)
}

/// The messages that count: of the file, or inside a message of it.
pub fn declared<'a>(
    file: &'a ProtobufFile,
    parent: Option<&'a MessageDescriptor>,
) -> Box<dyn Iterator<Item = MessageDescriptor> + 'a> {
    let groups = !file.facts.editions.contains(file.file.name());
    let counts = move |m: &MessageDescriptor| !(m.is_map_entry() || groups && is_group_body(m));
    match parent {
        Some(parent) => Box::new(parent.child_messages().filter(counts)),
        None => Box::new(file.file.messages().filter(counts)),
    }
}

/// The indexes that name a message of the file; none for a map entry or a group.
pub fn indexes(file: &ProtobufFile, message: &MessageDescriptor) -> Option<Vec<u32>> {
    let mut path = Vec::new();
    let mut message = message.clone();
    loop {
        let parent = message.parent_message();
        let position = declared(file, parent.as_ref()).position(|m| m == message);
        path.push(u32::try_from(position?).ok()?);
        match parent {
            Some(parent) => message = parent,
            None => {
                path.reverse();
                return Some(path);
            }
        }
    }
}

/// Indexes as the serializers write them: zigzag varints after their count, `[0]` as one zero byte.
pub fn write_indexes(indexes: &[u32], out: &mut Vec<u8>) {
    if indexes == [0] {
        out.push(0);
        return;
    }
    zigzag(indexes.len() as u64, out);
    for &index in indexes {
        zigzag(u64::from(index), out);
    }
}

fn zigzag(value: u64, out: &mut Vec<u8>) {
    let mut rest = value << 1;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// A group declares its body beside the field that uses it; only that one field refers to it.
fn is_group_body(message: &MessageDescriptor) -> bool {
    let is_body = |field: prost_reflect::FieldDescriptor| {
        field.is_group() && field.kind().as_message() == Some(message)
    };
    let is_extension_body = |field: prost_reflect::ExtensionDescriptor| {
        field.is_group() && field.kind().as_message() == Some(message)
    };
    match message.parent_message() {
        Some(parent) => {
            parent.fields().any(is_body) || parent.child_extensions().any(is_extension_body)
        }
        None => message.parent_file().extensions().any(is_extension_body),
    }
}
