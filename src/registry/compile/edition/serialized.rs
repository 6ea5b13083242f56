//! Serialized descriptors with an edition: the parsed form has no place for editions and features, so
//! they are looked for in the bytes; and custom options live in the bytes alone, so what the translation
//! says is added there.
//!
//! Bounded by: the bytes were parsed before, with a bound on their nesting.

use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use prost_types::uninterpreted_option::NamePart;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FieldOptions, FileDescriptorProto, UninterpretedOption,
};

/// One field of a message: number, wire type, what its length speaks of (or the value's own bytes), and
/// all of it.
struct Part<'a> {
    number: u32,
    wire: WireType,
    body: &'a [u8],
    whole: &'a [u8],
}

/// The fields of a message that parsed; ends early where it did not.
fn parts(mut rest: &[u8]) -> impl Iterator<Item = Part<'_>> {
    std::iter::from_fn(move || {
        let whole = rest;
        let (number, wire) = decode_key(&mut rest).ok()?;
        let body = match wire {
            WireType::LengthDelimited => {
                let len = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let (body, tail) = rest.split_at_checked(len)?;
                rest = tail;
                body
            }
            _ => {
                let before = rest;
                prost::encoding::skip_field(wire, number, &mut rest, Default::default()).ok()?;
                &before[..before.len() - rest.len()]
            }
        };
        Some(Part { number, wire, body, whole: &whole[..whole.len() - rest.len()] })
    })
}

fn varint(part: &Part<'_>) -> u64 {
    let mut body = part.body;
    decode_varint(&mut body).unwrap_or_default()
}

/// The edition that a serialized file names: `2023`, or the number that has no name here.
pub fn edition(bytes: &[u8]) -> Option<String> {
    let (mut editions, mut edition) = (false, 0);
    for part in parts(bytes) {
        match part.number {
            12 => editions = part.body == b"editions",
            14 => edition = varint(&part),
            _ => {}
        }
    }
    editions.then(|| match edition {
        1_000 => "2023".to_owned(),
        1_001 => "2024".to_owned(),
        other => other.to_string(),
    })
}

/// A feature: its number, its name, its values.
type Feature = (u32, &'static str, &'static [(u64, &'static str)]);

const FEATURES: &[Feature] = &[
    (1, "field_presence", &[(1, "EXPLICIT"), (2, "IMPLICIT"), (3, "LEGACY_REQUIRED")]),
    (2, "enum_type", &[(1, "OPEN"), (2, "CLOSED")]),
    (3, "repeated_field_encoding", &[(1, "PACKED"), (2, "EXPANDED")]),
    (4, "utf8_validation", &[(2, "VERIFY"), (3, "NONE")]),
    (5, "message_encoding", &[(1, "LENGTH_PREFIXED"), (2, "DELIMITED")]),
    (6, "json_format", &[(1, "ALLOW"), (2, "LEGACY_BEST_EFFORT")]),
    (7, "enforce_naming_style", &[(1, "STYLE2024"), (2, "STYLE_LEGACY")]),
];

/// The features in the bytes of options, as options that nobody interpreted. `number` is their field.
fn features(options: &[u8], number: u32) -> Vec<UninterpretedOption> {
    let mut out = Vec::new();
    for set in parts(options).filter(|part| part.number == number) {
        for part in parts(set.body).filter(|part| part.wire == WireType::Varint) {
            let Some((_, name, values)) = FEATURES.iter().find(|(n, ..)| *n == part.number) else {
                // Visibility and what is newer: no bytes of a record depend on it.
                continue;
            };
            let value = varint(&part);
            if value == 0 {
                continue;
            }
            let known = values.iter().find(|(n, _)| *n == value).map(|(_, name)| *name);
            let word = known.map_or_else(|| value.to_string(), str::to_owned);
            let name = ["features", name]
                .map(|name| NamePart { name_part: name.to_owned(), is_extension: false });
            out.push(UninterpretedOption {
                name: name.to_vec(),
                identifier_value: Some(word),
                ..UninterpretedOption::default()
            });
        }
    }
    out
}

/// Adds the features in the bytes to the parsed file, where the text's parser would leave them.
pub fn adopt(bytes: &[u8], file: &mut FileDescriptorProto) {
    let (mut messages, mut enums, mut extensions) = (0, 0, 0);
    for part in parts(bytes) {
        match part.number {
            4 => adopt_message(part.body, file.message_type.get_mut(next(&mut messages))),
            5 => {
                let item = file.enum_type.get_mut(next(&mut enums));
                if let Some(options) = item.and_then(|item| item.options.as_mut()) {
                    let found = parts(part.body).filter(|p| p.number == 3);
                    let found = found.flat_map(|p| features(p.body, 7));
                    options.uninterpreted_option.extend(found);
                }
            }
            7 => adopt_field(part.body, file.extension.get_mut(next(&mut extensions))),
            8 => {
                if let Some(options) = &mut file.options {
                    options.uninterpreted_option.extend(features(part.body, 50));
                }
            }
            _ => {}
        }
    }
}

fn next(count: &mut usize) -> usize {
    *count += 1;
    *count - 1
}

fn adopt_message(bytes: &[u8], message: Option<&mut DescriptorProto>) {
    let Some(message) = message else { return };
    let (mut fields, mut nested, mut extensions, mut oneofs) = (0, 0, 0, 0);
    for part in parts(bytes) {
        match part.number {
            2 => adopt_field(part.body, message.field.get_mut(next(&mut fields))),
            3 => adopt_message(part.body, message.nested_type.get_mut(next(&mut nested))),
            6 => adopt_field(part.body, message.extension.get_mut(next(&mut extensions))),
            7 => {
                if let Some(options) = &mut message.options {
                    options.uninterpreted_option.extend(features(part.body, 12));
                }
            }
            8 => {
                let oneof = message.oneof_decl.get_mut(next(&mut oneofs));
                if let Some(options) = oneof.and_then(|oneof| oneof.options.as_mut()) {
                    let found = parts(part.body).filter(|p| p.number == 2);
                    let found = found.flat_map(|p| features(p.body, 1));
                    options.uninterpreted_option.extend(found);
                }
            }
            _ => {}
        }
    }
}

fn adopt_field(bytes: &[u8], field: Option<&mut FieldDescriptorProto>) {
    if let Some(options) = field.and_then(|field| field.options.as_mut()) {
        let found = parts(bytes).filter(|part| part.number == 8);
        options.uninterpreted_option.extend(found.flat_map(|part| features(part.body, 21)));
    }
}

/// The bytes of a file with what the translated form says of its fields.
pub fn graft(bytes: &[u8], file: &FileDescriptorProto) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 4);
    let (mut messages, mut extensions) = (0, 0);
    for part in parts(bytes) {
        match part.number {
            4 => put(
                4,
                graft_message(part.body, file.message_type.get(next(&mut messages))),
                &mut out,
            ),
            7 => {
                put(7, graft_field(part.body, file.extension.get(next(&mut extensions))), &mut out)
            }
            // The syntax and the edition.
            12 | 14 => {}
            _ => out.extend_from_slice(part.whole),
        }
    }
    let syntax = FileDescriptorProto { syntax: file.syntax.clone(), ..Default::default() };
    out.extend(syntax.encode_to_vec());
    out
}

fn put(number: u32, body: Vec<u8>, out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(body.len() as u64, out);
    out.extend(body);
}

fn graft_message(bytes: &[u8], message: Option<&DescriptorProto>) -> Vec<u8> {
    let Some(message) = message else { return bytes.to_vec() };
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 4);
    let (mut fields, mut nested, mut extensions) = (0, 0, 0);
    for part in parts(bytes) {
        match part.number {
            2 => put(2, graft_field(part.body, message.field.get(next(&mut fields))), &mut out),
            3 => {
                let inner = message.nested_type.get(next(&mut nested));
                put(3, graft_message(part.body, inner), &mut out);
            }
            6 => {
                let field = message.extension.get(next(&mut extensions));
                put(6, graft_field(part.body, field), &mut out);
            }
            _ => out.extend_from_slice(part.whole),
        }
    }
    out
}

/// What comes last wins, and options merge.
fn graft_field(bytes: &[u8], field: Option<&FieldDescriptorProto>) -> Vec<u8> {
    let Some(field) = field else { return bytes.to_vec() };
    let packed = field.options.as_ref().and_then(|options| options.packed);
    let said = FieldDescriptorProto {
        label: field.label,
        r#type: field.r#type,
        options: packed.map(|packed| FieldOptions { packed: Some(packed), ..Default::default() }),
        ..FieldDescriptorProto::default()
    };
    [bytes, &said.encode_to_vec()].concat()
}
