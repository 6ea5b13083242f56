//! What the compiler asks of descriptors: fields and extensions alike, message paths, Confluent's meta.

use prost_reflect::{
    Cardinality, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MapKey,
    MessageDescriptor, Value,
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
    /// `required` of proto2.
    pub required: bool,
    /// `optional` of proto3.
    pub optional: bool,
    /// Index of the oneof in its message; none for the synthetic ones of `optional`.
    pub oneof: Option<usize>,
    /// Default that the schema declares, as its text.
    pub default: Option<String>,
    /// The same as a column is filled with it; none where there is no text for it.
    pub filling: Option<String>,
    /// `precision` and `scale` of `confluent.field_meta`, as far as it says them.
    pub decimal: (Option<i64>, Option<i64>),
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
            required: field.cardinality() == Cardinality::Required,
            optional: proto.proto3_optional(),
            oneof: oneof.and_then(|oneof| position(oneof.name())),
            default: proto.default_value.clone(),
            filling: proto.default_value.as_ref().and_then(|_| filling(field)),
            decimal: decimal_meta(field).unwrap_or_default(),
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
            required: false,
            optional: false,
            oneof: None,
            default: extension.field_descriptor_proto().default_value.clone(),
            filling: None,
            decimal: (None, None),
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

/// A field's default as text; numbers without sign of 64 bits keep their bits, symbols of an enum their
/// names.
fn filling(field: &FieldDescriptor) -> Option<String> {
    Some(match &field.default_value() {
        Value::EnumNumber(number) => field.kind().as_enum()?.get_value(*number)?.name().to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => (*value as i64).to_string(),
        Value::F32(value) => value.to_string(),
        Value::F64(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Bytes(value) => String::from_utf8(value.to_vec()).ok()?,
        _ => return None,
    })
}

/// Precision and scale of `confluent.field_meta = { params: [{ key: "precision", … }] }`.
fn decimal_meta(field: &FieldDescriptor) -> Option<(Option<i64>, Option<i64>)> {
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
    Some((param("precision"), param("scale")))
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
/// `unknown` stands before numbers without one.
pub fn enum_names(descriptor: &EnumDescriptor, unknown: &str) -> EnumNames {
    let values = descriptor.enum_descriptor_proto().value.iter();
    EnumNames::new(values.map(|value| (value.number(), value.name().to_owned())), unknown)
}

/// Number of an enum's default value.
pub fn enum_default(kind: &Kind) -> i32 {
    match kind.default_value() {
        Value::EnumNumber(number) => number,
        _ => 0,
    }
}
