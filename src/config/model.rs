//! The configuration as the other rooms read it: plain data, defaults filled in, units resolved.

mod evolution;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use evolution::{Compatibility, Evolution, EvolutionMode, OnIncompatible};

/// A value that is never shown: not in logs, not in errors, not in `{:?}`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Hand it to the client that needs it and to nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A text that another room compiles, with where it stands: `partition_by[1] (forebay.yaml:12)`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placed {
    pub text: String,
    pub place: String,
}

/// A whole configuration file.
#[derive(Debug, Clone)]
pub struct Config {
    pub pipeline: Pipeline,
    /// Bytes for raw records, open rows and open files together.
    pub memory_limit: usize,
    /// `host:port` of `/healthz`, `/readyz` and `/metrics`.
    pub listen: Option<String>,
    /// From the first SIGTERM to leaving without what is not sealed.
    pub shutdown_timeout: Duration,
    /// What is not wrong and still worth saying, one line each, with its place.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Names the consumer group and the state; `[A-Za-z0-9._-]{1,128}`.
    pub name: String,
    pub source: Source,
    pub registry: Registry,
    pub wire: Wire,
    pub value: Value,
    pub key: Key,
    /// Columns beside the value's, without repetition, in the order of [`Metadata`].
    pub metadata: Vec<Metadata>,
    pub partition_by: Vec<PartitionItem>,
    pub sink: Sink,
    pub rotate: Rotate,
    pub commit: Commit,
    pub evolution: Evolution,
    pub rejects: Rejects,
    /// Which programs must be able to open the files.
    pub readers: Vec<Reader>,
    pub limits: Limits,
}

impl Pipeline {
    /// Whether records name schemas of the registry, in their keys or their values.
    pub fn asks_registry(&self) -> bool {
        self.value.format.is_framed() || self.key.format.is_some_and(Format::is_framed)
    }
}

#[derive(Debug, Clone)]
pub struct Source {
    /// `bootstrap.servers`
    pub brokers: String,
    pub topics: Topics,
    /// `group.id`
    pub group: String,
    pub start: Start,
    /// librdkafka properties as given, those the program owns refused.
    pub properties: BTreeMap<String, Secret>,
    /// SASL OAUTHBEARER by client credentials.
    pub oauth: Option<OAuth>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    Names(Vec<String>),
    /// A regular expression over whole topic names; topics that start with `__` never match.
    Regex(String),
}

/// Where a Kafka partition starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The group's committed offset, else earliest.
    Auto,
    /// The group's committed offset, else earliest: but never before what the group committed.
    Earliest,
    /// The group's committed offset, else the end of the log when first assigned.
    Latest,
    /// The group's committed offset, else these, by topic and Kafka partition; else earliest.
    Offsets(BTreeMap<(String, i32), i64>),
    /// The group's committed offset, else the first record at or after this time (ms since 1970).
    Timestamp(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    pub token_url: String,
    pub client_id: String,
    pub client_secret: Secret,
    pub scope: Option<String>,
    /// SASL extensions (`logicalCluster`, `identityPoolId`, …).
    pub extensions: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub struct Registry {
    /// Tried in order. No trailing slash, no user information.
    pub urls: Vec<String>,
    pub auth: RegistryAuth,
    pub tls: Tls,
    pub headers: BTreeMap<String, Secret>,
    pub subject_name_strategy: SubjectNameStrategy,
    /// How long an id that the registry does not know is asked for again before its records are rejected.
    pub unknown_id_grace: Duration,
    /// Of one request, connection included.
    pub timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RegistryAuth {
    #[default]
    None,
    Basic {
        username: String,
        password: Secret,
    },
    Bearer(Secret),
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    pub ca_file: Option<String>,
    pub cert_file: Option<String>,
    pub key_file: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectNameStrategy {
    Topic,
    Record,
    TopicRecord,
}

/// How producers write what stands before the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wire {
    pub message_indexes: IndexForm,
    /// Topics that differ.
    pub by_topic: BTreeMap<String, IndexForm>,
}

impl Wire {
    /// How message indexes are written in this topic.
    pub fn message_indexes(&self, topic: &str) -> IndexForm {
        self.by_topic.get(topic).copied().unwrap_or(self.message_indexes)
    }
}

/// How producers write Protobuf message indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IndexForm {
    /// As the wire format says.
    #[default]
    Zigzag,
    /// As it was before it was settled.
    Unsigned,
    /// Not at all: the first message.
    Absent,
    /// By record: the first of these, in this order, that fits the schema.
    Auto,
}

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

/// One item of `partition_by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionItem {
    /// The expression, compiled by `partition`.
    pub expr: Placed,
    /// Name of the path segment; derived from the expression when not given.
    pub name: Option<String>,
    /// IANA name; default UTC. Checked by `partition`.
    pub timezone: Option<Placed>,
}

#[derive(Debug, Clone)]
pub struct Sink {
    pub url: SinkUrl,
    pub s3: S3,
    pub compression: Compression,
    /// gzip 0 to 9 (default 6), zstd 1 to 22 (default 3); none for the others.
    pub compression_level: Option<u32>,
    pub escape: Escape,
    pub partition_columns: PartitionColumns,
    /// Where `_forebay/` stands, if not at the root: a place of the same kind.
    pub state: Option<SinkUrl>,
}

impl Sink {
    /// The root of `_forebay/`.
    pub fn state_url(&self) -> &SinkUrl {
        self.state.as_ref().unwrap_or(&self.url)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkUrl {
    /// Prefix without leading or trailing slash; may be empty.
    S3 { bucket: String, prefix: String },
    /// Absolute or relative path of a folder.
    Local(std::path::PathBuf),
}

impl fmt::Display for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkUrl::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            SinkUrl::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            SinkUrl::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What only S3 sinks have. Everything optional; the SDK's own chain fills the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3 {
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Default: true with an endpoint, false without.
    pub path_style: Option<bool>,
    pub access_key_id: Option<Secret>,
    pub secret_access_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub sse: Option<String>,
    pub kms_key_id: Option<String>,
    pub bucket_key: Option<bool>,
    /// Canned ACL: `private`, `bucket-owner-full-control`, …
    pub acl: Option<String>,
    pub storage_class: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// `crc32`, `crc32c`, `crc64nvme`, `sha256`: sent with every part. Default: only when the store requires one.
    pub checksum: Option<String>,
    /// Bytes of a multipart part; 5 MiB to 5 GiB, default 8 MiB.
    pub part_bytes: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zstd,
    Snappy,
    Lz4,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Hive's `%XX`, injective.
    Hive,
    /// Raw, as Connect's partitioners write them, except where a value would leave its folder.
    Connect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionColumns {
    /// A column leaves the file only if it is top level and used as itself.
    Auto,
    Keep,
    Drop,
}

/// When one file closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotate {
    pub rows: u64,
    /// As stored.
    pub bytes: u64,
}

/// When all files of a Kafka partition close and become visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Since the first record; longer than any schedule where only that is set.
    pub interval: Duration,
    /// By the clock on the wall.
    pub schedule: Option<Schedule>,
    /// Without a record.
    pub idle: Option<Duration>,
    pub rows: Option<u64>,
    /// Raw bytes consumed.
    pub bytes: Option<u64>,
    /// Offsets that Kafka has deleted before they were committed are skipped, and the chain says so.
    pub skip_lost_offsets: bool,
    /// A topic that was made anew begins a new chain.
    pub restart_recreated: bool,
    /// A log that ends before the chain: the chain's end is set back to it, and says so.
    pub reset_truncated: bool,
    /// A committed offset of the group beyond the chain means nothing.
    pub ignore_group_ahead: bool,
    pub authority: Authority,
    /// Where Kafka is the authority and says nothing: go on at the one end that the records have.
    pub adopt_lost_authority: bool,
    /// Of the records and the `format` object that are written.
    pub record_version: u32,
}

/// Where a commit is decided.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// In the store: by the create-only put of its record.
    #[default]
    Store,
    /// In Kafka: by the group's committed offset, whose text names its record.
    Kafka,
}

impl Authority {
    /// As the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Authority::Store => "store",
            Authority::Kafka => "kafka",
        }
    }
}

impl Commit {
    /// Longest time from a record's arrival to its commit, but for what delays everything.
    pub fn age_max(&self) -> Duration {
        match &self.schedule {
            Some(schedule) => self.interval.min(schedule.every),
            None => self.interval,
        }
    }
}

/// Times of a day at which commits seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Since midnight; at most a day.
    pub every: Duration,
    pub zone: jiff::tz::TimeZone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejects {
    /// Key prefix below the sink's root, without slashes at its ends, with the topic below it:
    /// `_rejects/<pipeline>`. Its first segment starts with `_`, which no topic's folder does.
    pub prefix: String,
    /// Whether rejects that look like a fault of the registry or of a deployment pause a Kafka partition.
    pub breaker: bool,
    pub unusable_schema: UnusableSchema,
}

/// What a schema that the registry does not have, or that gives no columns, does to its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnusableSchema {
    /// They are rejected, the registry's `unknown_id_grace` over.
    Reject,
    /// Their Kafka partition waits.
    Pause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Spark,
    Athena,
    Trino,
    Duckdb,
    /// The exact types of the mapping tables.
    Native,
}

/// Bounds for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Key and value and headers; larger ones are rejected by reference.
    pub record_bytes: usize,
    /// Nesting of messages, groups, records, arrays.
    pub depth: u32,
    /// Bytes one record may take as columns; the larger of this and 64 times its own size.
    pub decoded_bytes: usize,
    /// And never more than this, however large the record: a quarter of `memory.limit`.
    pub decoded_bytes_max: usize,
    /// List elements, map entries and sub-messages one record may make.
    pub nodes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record_bytes: 32 << 20,
            depth: 100,
            decoded_bytes: 64 << 20,
            decoded_bytes_max: 1 << 30,
            nodes: 10_000_000,
        }
    }
}
