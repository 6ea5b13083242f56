//! What the compiler asks of descriptors: fields and extensions alike, message paths, Confluent's meta.

use prost_reflect::{
    EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};

use super::plan::EnumNames;
use crate::error::Fault;
use crate::registry::compile::Facts;
use crate::registry::{ProtobufFile, message as declared};
use crate::wire::INDEXES;

/// A field or an extension.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: String,
    pub number: u32,
    pub kind: Kind,
    pub list: bool,
    pub map: bool,
    pub packed: bool,
    pub group: bool,
    /// Absent differs from default.
    pub presence: bool,
    /// Index of the oneof in its message; none for the synthetic ones of `optional`.
    pub oneof: Option<usize>,
    /// Default that the schema declares, as its text.
    pub default: Option<String>,
    /// `precision` and `scale` of `confluent.field_meta`.
    pub decimal: Option<(i64, i64)>,
}

impl Source {
    pub fn field(field: &FieldDescriptor, facts: &Facts) -> Self {
        let proto = field.field_descriptor_proto();
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        let position = |name: &str| {
            field.parent_message().oneofs().position(|candidate| candidate.name() == name)
        };
        Self {
            name: field.name().to_owned(),
            number: field.number(),
            kind: field.kind(),
            list: field.is_list(),
            map: field.is_map(),
            packed: field.is_packed(),
            group: field.is_group(),
            presence: field.supports_presence() && !facts.implicit.contains(field.full_name()),
            oneof: oneof.and_then(|oneof| position(oneof.name())),
            default: proto.default_value.clone(),
            decimal: decimal_meta(field),
        }
    }

    pub fn extension(extension: &ExtensionDescriptor) -> Self {
        Self {
            name: format!("[{}]", extension.full_name()),
            number: extension.number(),
            kind: extension.kind(),
            list: extension.is_list(),
            map: extension.is_map(),
            packed: extension.is_packed(),
            group: extension.is_group(),
            presence: extension.supports_presence(),
            oneof: None,
            default: extension.field_descriptor_proto().default_value.clone(),
            decimal: None,
        }
    }

    /// Fields of a message in the order of declaration, then the extensions that its pool knows, by
    /// number.
    pub fn all(message: &MessageDescriptor, facts: &Facts) -> Vec<Self> {
        let declared = message.descriptor_proto().field.iter();
        let mut all: Vec<Self> = declared
            .filter_map(|field| message.get_field(u32::try_from(field.number?).ok()?))
            .map(|field| Self::field(&field, facts))
            .collect();
        let mut extensions: Vec<Self> =
            message.extensions().map(|extension| Self::extension(&extension)).collect();
        extensions.sort_by_key(|extension| extension.number);
        all.extend(extensions);
        all
    }
}

/// Precision and scale of `confluent.field_meta = { params: [{ key: "precision", … }] }`. A scale alone
/// has precision 38; a precision alone has scale 0.
fn decimal_meta(field: &FieldDescriptor) -> Option<(i64, i64)> {
    if field.kind().as_message()?.full_name() != "confluent.type.Decimal" {
        return None;
    }
    let options = field.options();
    let meta =
        field.parent_message().parent_pool().get_extension_by_name("confluent.field_meta")?;
    if !options.has_extension(&meta) {
        return None;
    }
    let value = options.get_extension(&meta);
    let params = value.as_message()?.get_field_by_name("params")?;
    let param = |name: &str| -> Option<i64> {
        let entry = params.as_map()?.get(&MapKey::String(name.to_owned()))?;
        entry.as_str()?.trim().parse().ok()
    };
    match (param("precision"), param("scale")) {
        (None, None) => None,
        (precision, scale) => Some((precision.unwrap_or(38), scale.unwrap_or(0))),
    }
}

/// The message that `indexes` name: positions among the declared messages, level by level; entries of
/// maps and messages of groups, which nobody declared, do not count.
///
/// Error: [`INDEXES`].
pub fn message(file: &ProtobufFile, indexes: &[u32]) -> Result<MessageDescriptor, Fault> {
    let mut found: Option<MessageDescriptor> = None;
    for (level, &index) in indexes.iter().enumerate() {
        let next = declared::declared(file, found.as_ref()).nth(index as usize);
        if next.is_none() {
            let has = declared::declared(file, found.as_ref()).count();
            return Err(refuse(file, indexes, level, has));
        }
        found = next;
    }
    found.ok_or_else(|| refuse(file, indexes, 0, declared::declared(file, None).count()))
}

fn refuse(file: &ProtobufFile, indexes: &[u32], level: usize, has: usize) -> Fault {
    let place = match level {
        0 => format!("`{}` has {has} messages", file.name()),
        _ => format!("the message at {:?} has {has} nested messages", &indexes[..level]),
    };
    Fault::new(
        &INDEXES,
        format!(
            "message indexes `{indexes:?}`: {place}, indexes of declared messages required; the record was written with another schema"
        ),
    )
}

/// Numbers and names of an enum in the order of declaration: of several names of one number the first counts.
pub fn enum_names(descriptor: &EnumDescriptor) -> EnumNames {
    let values = descriptor.enum_descriptor_proto().value.iter();
    EnumNames::new(values.map(|value| (value.number(), value.name().to_owned())))
}

/// Number of an enum's default value.
pub fn enum_default(kind: &Kind) -> i32 {
    match kind.default_value() {
        Value::EnumNumber(number) => number,
        _ => 0,
    }
}
