//! How a record becomes columns.

use super::*;

/// How a record's value becomes columns (design: the mapping tables in ARCHITECTURE.md).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub format: Format,
    /// JSON Schema text of every value, for [`Format::Json`].
    pub schema: Option<Placed>,
    /// Members of JSON objects that their schema does not name.
    pub extra: Extra,
    /// `uint32` as Int64 and `uint64` as Decimal(20,0), or as the unsigned types.
    pub unsigned: Unsigned,
    pub enums: Enums,
    /// proto3 scalars without presence: the default value, or nullable and null when absent.
    pub presence: Presence,
    /// A null value of a record.
    pub tombstones: Tombstones,
    /// Fields that refer back to a message or record they stand in.
    pub recursion: Recursion,
    /// Avro unions of several branches.
    pub unions: Unions,
    /// Avro's and JSON Schema's UUIDs.
    pub uuids: Uuids,
    /// Timestamps finer than the column: reject the record, or cut the digits off.
    pub truncate_timestamps: bool,
    /// Envelopes that are taken off.
    pub unwrap: Unwrap,
    /// Unit of `google.protobuf.Timestamp` columns.
    pub timestamps: TimestampUnit,
    /// Paths of Protobuf `string` fields that are kept as bytes, whatever they hold.
    pub binary: Vec<String>,
    pub unknown_fields: UnknownFields,
    pub field_ids: FieldIds,
    /// Whose columns they are: of keys too.
    pub dialect: Dialect,
}

impl Default for Value {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            schema: None,
            extra: Extra::Drop,
            unsigned: Unsigned::Widen,
            enums: Enums::Name,
            presence: Presence::Default,
            tombstones: Tombstones::Skip,
            recursion: Recursion::Json,
            unions: Unions::Struct,
            uuids: Uuids::Exact,
            truncate_timestamps: true,
            unwrap: Unwrap::None,
            timestamps: TimestampUnit::Us,
            binary: Vec::new(),
            unknown_fields: UnknownFields::Drop,
            field_ids: FieldIds::None,
            dialect: Dialect::Clean,
        }
    }
}

/// Which mapping a schema becomes columns by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Of the tables of docs/types.md.
    #[default]
    Clean,
    /// Of Confluent's converters and the Parquet format of its S3 sink, for tables that it has begun.
    Confluent(Connect),
}

impl Dialect {
    /// The converters' settings, if their columns are asked for.
    pub fn connect(self) -> Option<Connect> {
        match self {
            Dialect::Clean => None,
            Dialect::Confluent(connect) => Some(connect),
        }
    }
}

/// Settings of Confluent's converters that change columns, under their names there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connect {
    /// Protobuf: only fields that say `optional` are nullable, and messages, enums, lists.
    pub optional_for_nullables: bool,
    /// Protobuf: fields of proto2 that are absent are null, else what the schema says in their place.
    pub optional_for_proto2: bool,
    /// Protobuf: only wrappers are nullable, and messages, enums, lists.
    pub wrapper_for_nullables: bool,
    /// Protobuf: wrappers are the scalars in them.
    pub wrapper_for_raw_primitives: bool,
    /// Protobuf: a message that is absent is there with defaults.
    pub generate_struct_for_nulls: bool,
    /// Protobuf: a oneof's column is `<oneof>_<index>`, else `<oneof>`.
    pub generate_index_for_unions: bool,
    /// Protobuf: members of oneofs stand in their message.
    pub flatten_unions: bool,
    /// Avro, JSON Schema: a union of one type is that type.
    pub flatten_singleton_unions: bool,
    /// JSON Schema: properties that are not required are nullable.
    pub use_optional_for_nonrequired: bool,
    /// Protobuf, JSON Schema: unions are told to Avro as unions.
    pub generalized_sum_type_support: bool,
    /// Names that Avro does not allow are changed.
    pub scrub_invalid_names: bool,
    /// Maps whose text keys are nullable are maps, else lists of keys and values.
    pub allow_optional_map_keys: bool,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            optional_for_nullables: false,
            optional_for_proto2: true,
            wrapper_for_nullables: false,
            wrapper_for_raw_primitives: true,
            generate_struct_for_nulls: false,
            generate_index_for_unions: true,
            flatten_unions: false,
            flatten_singleton_unions: true,
            use_optional_for_nonrequired: false,
            generalized_sum_type_support: false,
            scrub_invalid_names: false,
            allow_optional_map_keys: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// What the registry says the schema is.
    Auto,
    Protobuf,
    Avro,
    /// By a JSON Schema of the registry.
    JsonSchema,
    /// JSON without a frame.
    Json,
    /// JSON without a frame, a Connect schema in each record.
    JsonConnect,
    /// UTF-8 text without a frame.
    String,
    /// Any bytes.
    Bytes,
}

impl Format {
    /// Whether its columns are the same for every record, and known without one.
    pub fn is_fixed(self) -> bool {
        match self {
            Format::Json | Format::String | Format::Bytes => true,
            Format::Auto | Format::Protobuf | Format::Avro => false,
            Format::JsonSchema | Format::JsonConnect => false,
        }
    }

    /// Whether records name a schema of the registry.
    pub fn is_framed(self) -> bool {
        match self {
            Format::Auto | Format::Protobuf | Format::Avro | Format::JsonSchema => true,
            Format::Json | Format::JsonConnect | Format::String | Format::Bytes => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Counted, and left out.
    Drop,
    /// As JSON text in a column `_extra`.
    Keep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    Widen,
    Native,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enums {
    Name,
    Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Default,
    Nullable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tombstones {
    /// Counted, and left out of the files.
    Skip,
    /// A row of nulls whose `_deleted` is true.
    Row,
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recursion {
    Json,
    Bytes,
    Drop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unions {
    Struct,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uuids {
    /// Parquet's UUID where every reader opens it, else text.
    Exact,
    /// Text, for whichever reader.
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwrap {
    /// Values are columns as they are.
    None,
    /// Change events: the columns of `after`, or of `before` for a delete.
    Debezium,
}

/// How a record's key becomes the column `_key`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Key {
    /// `None`: keys make no column.
    pub format: Option<Format>,
    /// The JSON Schema of every key, for the format `json`.
    pub schema: Option<Placed>,
}

impl Key {
    /// Whether `_key` is known only once a key is read.
    pub fn comes_later(&self) -> bool {
        self.format.is_some_and(|format| !format.is_fixed())
    }
}

/// A column of what Kafka or the registry says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metadata {
    Topic,
    Partition,
    Offset,
    Timestamp,
    TimestampType,
    Headers,
    SchemaId,
}

/// Unit of Protobuf's `Timestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampUnit {
    Ms,
    Us,
    Ns,
}

/// Protobuf fields that a record has and its schema has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    /// Counted, and left out of the files.
    Drop,
    /// Counted, and kept in the column `_unknown`.
    Keep,
}

/// What Parquet's field ids are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldIds {
    None,
    /// Protobuf field numbers.
    Source,
}
