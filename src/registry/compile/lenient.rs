//! What the second reading of a Protobuf schema forgives: imports that nobody registered and custom
//! options whose definition is not imported (Kafka Connect and Debezium write
//! `(confluent.field_meta)` without importing it).

use std::collections::{BTreeSet, HashMap};

use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto};
use prost_types::{FileDescriptorProto, UninterpretedOption};

use super::protobuf::Source;

const META: &str = "confluent/meta.proto";

/// Turns the texts into descriptors without what cannot be resolved. Texts that do not parse stay:
/// their error is reported when they are opened. Says which options were left out.
pub(super) fn relax(files: &mut HashMap<String, Source>) -> Vec<String> {
    let mut dropped = BTreeSet::new();
    for (name, source) in files.iter_mut() {
        match source {
            Source::Text(text) => {
                if let Ok(file) = protox_parse::parse(name, text) {
                    *source = Source::Descriptor(Box::new(file));
                }
            }
            Source::Serialized(file, _) => *source = Source::Descriptor(std::mem::take(file)),
            Source::Descriptor(_) | Source::Edition(..) => {}
        }
        if let Source::Descriptor(file) = source {
            let mut meta = false;
            visit(file, &mut |options| {
                let lost = options.iter().filter(|option| is_extension(option) && !is_meta(option));
                dropped.extend(lost.map(label));
                options.retain(|option| !is_extension(option) || is_meta(option));
                meta |= options.iter().any(is_meta);
            });
            if meta && !file.dependency.iter().any(|d| d == META) {
                file.dependency.push(META.to_owned());
            }
        }
    }
    dropped.into_iter().collect()
}

/// `option (acme.owner) not read`
fn label(option: &UninterpretedOption) -> String {
    let parts = option.name.iter().map(|part| match part.is_extension {
        true => format!("({})", part.name_part),
        false => part.name_part.clone(),
    });
    format!("option `{}` not read", parts.collect::<Vec<_>>().join("."))
}

/// Takes out imports that do not exist, and those listed twice; what is public or weak keeps so.
pub(super) fn drop_missing_imports(file: &mut FileDescriptorProto, exists: impl Fn(&str) -> bool) {
    let old = std::mem::take(&mut file.dependency);
    let mut moved = vec![None; old.len()];
    for (i, import) in old.into_iter().enumerate() {
        if exists(&import) && !file.dependency.contains(&import) {
            moved[i] = i32::try_from(file.dependency.len()).ok();
            file.dependency.push(import);
        }
    }
    for indexes in [&mut file.public_dependency, &mut file.weak_dependency] {
        *indexes = indexes
            .iter()
            .filter_map(|&i| moved.get(usize::try_from(i).ok()?).copied().flatten())
            .collect();
    }
}

/// Deepest value of an option, and longest path to one.
const OPTION_DEPTH_MAX: usize = 64;

/// Whether some option is nested too deep: the resolver of options calls itself for each level, and
/// knows no limit.
pub(super) fn has_bottomless_option(source: &Source) -> bool {
    let mut parsed;
    let file = match source {
        Source::Descriptor(file) | Source::Serialized(file, _) | Source::Edition(file, _) => {
            parsed = file.as_ref().clone();
            &mut parsed
        }
        Source::Text(text) => match protox_parse::parse("", text) {
            Ok(file) => {
                parsed = file;
                &mut parsed
            }
            Err(_) => return false,
        },
    };
    let mut found = false;
    visit(file, &mut |options| {
        found |= options.iter().any(|option| {
            option.name.len() > OPTION_DEPTH_MAX
                || option.aggregate_value.as_deref().is_some_and(|v| nesting(v) > OPTION_DEPTH_MAX)
        });
    });
    found
}

/// Deepest nesting of brackets in a text-format value, outside of strings and comments.
fn nesting(value: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let mut quote = None;
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (Some(_), b'\\') => drop(bytes.next()),
            (Some(open), byte) => quote = Some(open).filter(|open| *open != byte),
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'#') => drop(bytes.find(|b| *b == b'\n')),
            (None, b'{' | b'<' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (None, b'}' | b'>' | b']') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    deepest
}

fn is_extension(option: &UninterpretedOption) -> bool {
    option.name.iter().any(|part| part.is_extension)
}

/// `(confluent.field_meta)` and its sisters: decimals have precision and scale there, and the
/// definition comes with the program. Newer ones carry rules, which the definition here has not.
fn is_meta(option: &UninterpretedOption) -> bool {
    let known = option.name.first().is_some_and(|part| {
        part.is_extension
            && matches!(
                part.name_part.trim_start_matches('.'),
                "confluent.field_meta"
                    | "confluent.message_meta"
                    | "confluent.file_meta"
                    | "confluent.enum_meta"
                    | "confluent.enum_value_meta"
            )
    });
    known && !option.aggregate_value.as_deref().is_some_and(|text| text.contains("rules"))
}

/// Calls `f` with the unread options of everything in a file.
pub(super) fn visit(
    file: &mut FileDescriptorProto,
    f: &mut impl FnMut(&mut Vec<UninterpretedOption>),
) {
    if let Some(options) = &mut file.options {
        f(&mut options.uninterpreted_option);
    }
    file.message_type.iter_mut().for_each(|message| visit_message(message, f));
    file.enum_type.iter_mut().for_each(|item| visit_enum(item, f));
    file.extension.iter_mut().for_each(|field| visit_field(field, f));
    for service in &mut file.service {
        if let Some(options) = &mut service.options {
            f(&mut options.uninterpreted_option);
        }
        for options in service.method.iter_mut().filter_map(|m| m.options.as_mut()) {
            f(&mut options.uninterpreted_option);
        }
    }
}

/// Depth is bounded by the parsers: 31 levels in text, 100 in a serialized descriptor.
fn visit_message(message: &mut DescriptorProto, f: &mut impl FnMut(&mut Vec<UninterpretedOption>)) {
    if let Some(options) = &mut message.options {
        f(&mut options.uninterpreted_option);
    }
    message.field.iter_mut().for_each(|field| visit_field(field, f));
    message.extension.iter_mut().for_each(|field| visit_field(field, f));
    message.enum_type.iter_mut().for_each(|item| visit_enum(item, f));
    for options in message.oneof_decl.iter_mut().filter_map(|o| o.options.as_mut()) {
        f(&mut options.uninterpreted_option);
    }
    for options in message.extension_range.iter_mut().filter_map(|r| r.options.as_mut()) {
        f(&mut options.uninterpreted_option);
    }
    for nested in &mut message.nested_type {
        visit_message(nested, f);
    }
}

fn visit_field(
    field: &mut FieldDescriptorProto,
    f: &mut impl FnMut(&mut Vec<UninterpretedOption>),
) {
    if let Some(options) = &mut field.options {
        f(&mut options.uninterpreted_option);
    }
}

fn visit_enum(item: &mut EnumDescriptorProto, f: &mut impl FnMut(&mut Vec<UninterpretedOption>)) {
    if let Some(options) = &mut item.options {
        f(&mut options.uninterpreted_option);
    }
    for options in item.value.iter_mut().filter_map(|v| v.options.as_mut()) {
        f(&mut options.uninterpreted_option);
    }
}
