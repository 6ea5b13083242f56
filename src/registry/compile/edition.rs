//! Protobuf editions 2023 and 2024, in the terms of proto2: the compiler underneath knows no editions.
//!
//! A file with an edition is first read without its features ([`text`] for source, [`serialized`] for
//! descriptors, which both leave them as options that nobody interpreted), then every field gets, from
//! the features that hold for it, what proto2 writes out: label, `packed`, the group type for
//! `DELIMITED`. What proto2 cannot write, a field without presence, is kept beside ([`Facts`]).
//!
//! Does not matter here: `enum_type` (unknown numbers are kept either way), `utf8_validation` (text that
//! is not UTF-8 never becomes a string column), `json_format`, naming style, visibility, features of
//! single languages.
//! Source: "Feature Settings for Editions" of the Protocol Buffers documentation.

pub(super) mod serialized;
pub(super) mod text;

use std::collections::{HashMap, HashSet};

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::uninterpreted_option::NamePart;
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FieldOptions, FileDescriptorProto, UninterpretedOption,
};

use crate::error::Fault;
use crate::registry::codes::{BAD, EDITION};

/// What the descriptors of a translated schema do not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Full names of fields whose absence is their default (`field_presence = IMPLICIT`).
    pub implicit: HashSet<String>,
    /// Names of files with an edition: a group type there is a message that the text declares.
    pub editions: HashSet<String>,
}

/// The features that matter here, as they hold for one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Features {
    presence: Presence,
    packed: bool,
    delimited: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Explicit,
    Implicit,
    Required,
}

/// Editions 2023 and 2024 start from these.
const DEFAULTS: Features =
    Features { presence: Presence::Explicit, packed: true, delimited: false };

/// Refuses an edition that is not known here. `edition` is its name: `2023`.
pub(super) fn check(file: &str, edition: &str) -> Result<(), Fault> {
    if matches!(edition, "2023" | "2024") {
        return Ok(());
    }
    Err(Fault::new(
        &EDITION,
        format!("protobuf schema: `{file}` is of edition `{edition}`, `2023` or `2024` required"),
    ))
}

/// Full names of all types of a schema; true for enums.
pub(super) type Types = HashMap<String, bool>;

/// Adds the types of a file.
pub(super) fn declare(file: &FileDescriptorProto, types: &mut Types) {
    let scope = file.package().to_owned();
    types.extend(file.enum_type.iter().map(|item| (join(&scope, item.name()), true)));
    for message in &file.message_type {
        declare_message(message, &scope, types);
    }
}

fn declare_message(message: &DescriptorProto, scope: &str, types: &mut Types) {
    let scope = join(scope, message.name());
    types.extend(message.enum_type.iter().map(|item| (join(&scope, item.name()), true)));
    for nested in &message.nested_type {
        declare_message(nested, &scope, types);
    }
    types.insert(scope, false);
}

/// Rewrites a file with an edition as proto2; `facts` get what does not fit there.
pub(super) fn translate(
    file: &mut FileDescriptorProto,
    types: &Types,
    facts: &mut Facts,
) -> Result<(), Fault> {
    rewrite(file, DEFAULTS, types, facts)?;
    // Features of enum values, ranges, services and methods: none of them matters here.
    super::lenient::visit(file, &mut |options| options.retain(|option| !is_feature(option)));
    facts.editions.insert(file.name().to_owned());
    Ok(())
}

/// Gives fields whose names differ only by case and underscores JSON names of their own, and takes them
/// out of proto3, which has none such. `protoc` has refused them, and not, over the years. Says of which
/// messages.
pub(super) fn part_twins(
    file: &mut FileDescriptorProto,
    types: &Types,
    facts: &mut Facts,
) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    file.message_type.iter_mut().for_each(|message| name_twins(message, &mut found));
    if !found.is_empty() && file.syntax() == "proto3" {
        rewrite(file, Features { presence: Presence::Implicit, ..DEFAULTS }, types, facts)?;
    }
    Ok(found)
}

fn name_twins(message: &mut DescriptorProto, found: &mut Vec<String>) {
    let fold = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let mut seen = HashSet::new();
    if !message.field.iter().all(|field| seen.insert(fold(field.name()))) {
        message.field.iter_mut().for_each(|field| field.json_name.clone_from(&field.name));
        found.push(message.name().to_owned());
    }
    message.nested_type.iter_mut().for_each(|nested| name_twins(nested, found));
}

/// Writes out what the features mean, starting from `base`.
fn rewrite(
    file: &mut FileDescriptorProto,
    base: Features,
    types: &Types,
    facts: &mut Facts,
) -> Result<(), Fault> {
    let name = file.name().to_owned();
    let edition = base == DEFAULTS;
    let mut translator = Translator { file: name.clone(), edition, types, facts };
    let options = file.options.as_mut().map(|options| &mut options.uninterpreted_option);
    let features = translator.take(base, options, &name)?;
    file.syntax = Some("proto2".to_owned());
    let scope = file.package().to_owned();
    for message in &mut file.message_type {
        translator.message(message, features, &scope)?;
    }
    for item in &mut file.enum_type {
        let options = item.options.as_mut().map(|options| &mut options.uninterpreted_option);
        translator.take(features, options, &join(&scope, item.name.as_deref().unwrap_or("")))?;
    }
    for field in &mut file.extension {
        translator.field(field, features, &scope, true)?;
    }
    Ok(())
}

struct Translator<'a> {
    file: String,
    /// False for proto3.
    edition: bool,
    types: &'a Types,
    facts: &'a mut Facts,
}

impl Translator<'_> {
    fn message(
        &mut self,
        message: &mut DescriptorProto,
        around: Features,
        scope: &str,
    ) -> Result<(), Fault> {
        if message.options.as_ref().is_some_and(|options| options.map_entry()) {
            return Ok(());
        }
        let scope = join(scope, message.name());
        let options = message.options.as_mut().map(|options| &mut options.uninterpreted_option);
        let features = self.take(around, options, &scope)?;
        let mut oneofs = Vec::new();
        for oneof in &mut message.oneof_decl {
            let options = oneof.options.as_mut().map(|options| &mut options.uninterpreted_option);
            oneofs.push(self.take(features, options, &scope)?);
        }
        for item in &mut message.enum_type {
            let options = item.options.as_mut().map(|options| &mut options.uninterpreted_option);
            self.take(features, options, &scope)?;
        }
        let maps: HashSet<String> = message
            .nested_type
            .iter()
            .filter(|nested| nested.options.as_ref().is_some_and(|options| options.map_entry()))
            .map(|nested| nested.name().to_owned())
            .collect();
        for field in &mut message.field {
            let last = field.type_name().rsplit('.').next().unwrap_or_default();
            if field.label() == Label::Repeated && maps.contains(last) {
                let options = field.options.as_mut().map(|o| &mut o.uninterpreted_option);
                self.take(features, options, &scope)?;
                continue;
            }
            let oneof = field.oneof_index.and_then(|at| oneofs.get(usize::try_from(at).ok()?));
            self.field(field, oneof.copied().unwrap_or(features), &scope, false)?;
        }
        for field in &mut message.extension {
            self.field(field, features, &scope, true)?;
        }
        message.nested_type.iter_mut().try_for_each(|nested| self.message(nested, features, &scope))
    }

    fn field(
        &mut self,
        field: &mut FieldDescriptorProto,
        around: Features,
        scope: &str,
        extension: bool,
    ) -> Result<(), Fault> {
        let full_name = join(scope, field.name());
        if self.edition && field.proto3_optional() {
            return Err(Fault::new(
                &BAD,
                format!(
                    "protobuf schema: `{full_name}` in `{}` has the label `optional`, `features.field_presence` in its place required by editions",
                    self.file
                ),
            ));
        }
        let options = field.options.as_mut().map(|options| &mut options.uninterpreted_option);
        let features = self.take(around, options, &full_name)?;
        take_default(field);
        let is_enum = match field.r#type {
            Some(kind) if kind == Type::Enum as i32 => true,
            Some(kind) if kind != Type::Message as i32 && kind != Type::Group as i32 => false,
            _ => self.lookup(field.type_name(), scope).unwrap_or(false),
        };
        let is_message = field.type_name.is_some() && !is_enum;
        if is_message && features.delimited {
            field.set_type(Type::Group);
        }
        if field.label() == Label::Repeated {
            let kind = field.r#type.and_then(|kind| Type::try_from(kind).ok());
            let text = matches!(kind, Some(Type::String | Type::Bytes));
            if !is_message && !text {
                let options = field.options.get_or_insert_with(FieldOptions::default);
                options.packed = Some(features.packed);
            }
            return Ok(());
        }
        let bare = !is_message && !extension && field.oneof_index.is_none();
        match features.presence {
            Presence::Required => field.set_label(Label::Required),
            _ => field.set_label(Label::Optional),
        }
        if bare && features.presence == Presence::Implicit {
            self.facts.implicit.insert(full_name);
        }
        Ok(())
    }

    /// Whether the type that a name means inside a scope is an enum; none if it is not known.
    fn lookup(&self, name: &str, scope: &str) -> Option<bool> {
        if let Some(full) = name.strip_prefix('.') {
            return self.types.get(full).copied();
        }
        let mut scope = scope;
        loop {
            if let Some(&found) = self.types.get(&join(scope, name)) {
                return Some(found);
            }
            if scope.is_empty() {
                return None;
            }
            scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
    }

    /// Takes the features out of these options, on top of those around.
    fn take(
        &self,
        around: Features,
        options: Option<&mut Vec<UninterpretedOption>>,
        place: &str,
    ) -> Result<Features, Fault> {
        let Some(options) = options else { return Ok(around) };
        let mut features = around;
        for option in options.iter().filter(|option| is_feature(option)) {
            for (name, value) in settings(option) {
                set(&mut features, &name, &value).ok_or_else(|| {
                    Fault::new(
                        &EDITION,
                        format!(
                            "protobuf schema: feature `{name}` of `{place}` in `{}`: `{value}`, a feature and value of editions 2023 and 2024 required",
                            self.file
                        ),
                    )
                })?;
            }
        }
        options.retain(|option| !is_feature(option));
        Ok(features)
    }
}

/// None if there is no such feature or value.
fn set(features: &mut Features, name: &str, value: &str) -> Option<()> {
    match (name, value) {
        ("field_presence", "EXPLICIT") => features.presence = Presence::Explicit,
        ("field_presence", "IMPLICIT") => features.presence = Presence::Implicit,
        ("field_presence", "LEGACY_REQUIRED") => features.presence = Presence::Required,
        ("repeated_field_encoding", "PACKED") => features.packed = true,
        ("repeated_field_encoding", "EXPANDED") => features.packed = false,
        ("message_encoding", "DELIMITED") => features.delimited = true,
        ("message_encoding", "LENGTH_PREFIXED") => features.delimited = false,
        ("enum_type", "OPEN" | "CLOSED") => {}
        ("utf8_validation", "VERIFY" | "NONE") => {}
        ("json_format", "ALLOW" | "LEGACY_BEST_EFFORT") => {}
        ("enforce_naming_style", "STYLE2024" | "STYLE_LEGACY") => {}
        (
            "default_symbol_visibility",
            "EXPORT_ALL" | "EXPORT_TOP_LEVEL" | "LOCAL_ALL" | "STRICT",
        ) => {}
        _ => return None,
    }
    Some(())
}

fn is_feature(option: &UninterpretedOption) -> bool {
    option.name.first().is_some_and(|part| !part.is_extension && part.name_part == "features")
}

/// The settings of one option: `features.enum_type = OPEN`, or `features = { enum_type: OPEN … }`.
/// Those of single languages (`features.(pb.java)…`) are left out.
fn settings(option: &UninterpretedOption) -> Vec<(String, String)> {
    let value = || match (&option.identifier_value, &option.string_value) {
        (Some(word), _) => word.clone(),
        (None, Some(text)) => String::from_utf8_lossy(text).into_owned(),
        (None, None) => "(no word)".to_owned(),
    };
    match option.name.as_slice() {
        [_] => aggregate(option.aggregate_value.as_deref().unwrap_or_default()),
        [_, NamePart { is_extension: true, .. }, ..] => Vec::new(),
        [_, rest @ ..] => {
            let name: Vec<&str> = rest.iter().map(|part| part.name_part.as_str()).collect();
            vec![(name.join("."), value())]
        }
        [] => Vec::new(),
    }
}

/// Pairs of a text-format value, extensions with their values left out.
fn aggregate(value: &str) -> Vec<(String, String)> {
    let mut words: Vec<String> = Vec::new();
    let (mut depth, mut skipping) = (0u32, false);
    for part in value.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        let word = part.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        if depth == 0 && !word.is_empty() && !skipping {
            words.push(word.to_owned());
        }
        match part.chars().last() {
            Some('[' | '{' | '<' | '(') => {
                depth += 1;
                skipping = true;
            }
            Some(']' | '}' | '>' | ')') => depth = depth.saturating_sub(1),
            Some(',' | ';') if depth == 0 => skipping = false,
            _ => {}
        }
    }
    let pairs = words.chunks(2);
    pairs.map(|pair| (pair[0].clone(), pair.get(1).cloned().unwrap_or_default())).collect()
}

/// [`text`] gives defaults another name, because the grammar that they are read by has none.
fn take_default(field: &mut FieldDescriptorProto) {
    let Some(options) = &mut field.options else { return };
    let is_default = |option: &UninterpretedOption| match option.name.as_slice() {
        [part] => !part.is_extension && part.name_part == text::DEFAULT,
        _ => false,
    };
    if let Some(at) = options.uninterpreted_option.iter().position(is_default) {
        let option = options.uninterpreted_option.remove(at);
        let bytes = field.r#type == Some(Type::Bytes as i32);
        field.default_value = default_text(&option, bytes);
    }
}

/// A default as descriptors write it.
fn default_text(option: &UninterpretedOption, bytes: bool) -> Option<String> {
    let number = option.positive_int_value.map(|n| n.to_string());
    let number = number.or(option.negative_int_value.map(|n| n.to_string()));
    let number = number.or(option.double_value.map(|n| n.to_string().to_lowercase()));
    option.identifier_value.clone().or(number).or_else(|| {
        let text = option.string_value.as_ref()?;
        Some(match bytes {
            true => text
                .iter()
                .flat_map(|byte| std::ascii::escape_default(*byte))
                .map(char::from)
                .collect(),
            false => String::from_utf8_lossy(text).into_owned(),
        })
    })
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
