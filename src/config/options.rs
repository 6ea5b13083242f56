//! The table of all options: what each is, its form, default, bounds and the reason for them.
//!
//! Owns: the one list that reading, refusing unknown keys and `docs/config.md` share: a key that is
//! not here cannot be read, and what a row says is what is checked.
//! Does not own: rules between options (`rules`).

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Opt {
    /// Dotted path of its key: `rotate.bytes`.
    pub path: &'static str,
    pub form: Form,
    pub default: Unset,
    /// One or two sentences.
    pub what: &'static str,
    /// Why the form has these bounds, or what happens if the value is raised or lowered; may be empty.
    pub why: &'static str,
    /// What users of other programs know it by; may be empty.
    pub elsewhere: &'static str,
}

/// What a value looks like. Bounds are inclusive.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    Text,
    /// Never shown.
    Secret,
    Flag,
    Count(u64, u64),
    /// Milliseconds.
    Duration(u64, u64),
    /// Bytes.
    Size(u64, u64),
    /// Bytes (at least so many), or percent of the memory there is.
    Share(u64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of these words.
    Choices(&'static [&'static str]),
    /// A list of texts, or one text.
    Texts,
    /// Keys of the user's own, with single values.
    Pairs,
    /// The same, never shown.
    SecretPairs,
    /// A form of its own, said in `what`.
    Own,
}

/// What holds when the key is absent.
#[derive(Debug, Clone, Copy)]
pub enum Unset {
    Required,
    /// Nothing: the option is off, or somebody else decides as `what` says.
    Absent,
    /// This text, read like a value of the file.
    Is(&'static str),
    /// Said in words; worked out by `read`.
    Derived(&'static str),
}

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 3_600 * SECOND;

/// Sections in the order of the page, with a line each.
pub const SECTIONS: &[(&str, &str)] = &[
    ("", "Top level"),
    ("source", "Kafka: where records come from"),
    ("source.oauth", "SASL OAUTHBEARER by client credentials"),
    ("registry", "The schema registry"),
    (
        "registry.auth",
        "How the registry knows us: a user name with its password, or a bearer token",
    ),
    ("registry.tls", "Certificates for the registry; PEM files"),
    ("wire", "What stands before a record's body"),
    ("value", "How a record's value becomes columns"),
    ("key", "How a record's key becomes a column"),
    (
        "connect",
        "Settings of Confluent's converters, for `dialect: confluent`, under their own names",
    ),
    ("sink", "Where files go and how they are written"),
    ("rotate", "When one file closes"),
    ("commit", "When all files of a Kafka partition close and become visible"),
    ("evolution", "What a new schema does to open files"),
    ("rejects", "Records that cannot become rows"),
    ("limits", "Bounds for one record"),
    ("memory", "Memory"),
    ("shutdown", "Leaving"),
];

use Form::{
    Choice, Choices, Count, Duration, Flag, Own, Pairs, Secret, SecretPairs, Share, Size, Text,
    Texts,
};
use Unset::{Absent, Derived, Is, Required};

/// One row, in the order of [`Opt`]'s fields.
const fn row(
    path: &'static str,
    form: Form,
    default: Unset,
    what: &'static str,
    why: &'static str,
    elsewhere: &'static str,
) -> Opt {
    Opt { path, form, default, what, why, elsewhere }
}

/// Every option of this version.
#[rustfmt::skip]
pub static OPTIONS: &[Opt] = &[
    row("pipeline", Text, Required,
        "Names the pipeline: its consumer group, its state, its rejects. 1 to 128 letters, digits, `.`, `_`, `-`.",
        "The name stands in keys and in the group's id; a new name starts anew.",
        "`name` of a connector"),
    row("partition_by", Own, Is("[]"),
        "List of expressions whose values make the folders below the topic's: `country`, `\"day(created_at)\"`, or `{ name: dt, expr: \"day(created_at)\", timezone: Europe/Paris }`.",
        "Each distinct combination is an open file: many small values make many small files.",
        "`partitioner.class`, `partition.field.name`, `path.format`"),
    row("readers", Choices(&["spark", "athena", "trino", "duckdb", "native"]), Is("[spark, athena, trino, duckdb]"),
        "Programs that must be able to open the files; types are chosen so that all of them can. `native`, alone, keeps the exact types.",
        "Fewer readers, fewer compromises: see the mapping tables.",
        ""),
    row("dialect", Choice(&["clean", "confluent"]), Is("clean"),
        "Whose columns a schema becomes: those of docs/types.md, or those that Confluent's converters and its S3 sink's Parquet format make of it, so that a table goes on as it was begun. For values and keys.",
        "`confluent` loses what the converters lose: unsigned 64-bit numbers beyond the signed range turn negative, timestamps are milliseconds, maps are lists. It takes no regard of `readers`; `check` names the columns that one of them cannot open.",
        ""),
    row("metadata", Choices(&["topic", "partition", "offset", "timestamp", "timestamp_type", "key", "headers", "schema_id"]), Is("[]"),
        "Columns of what Kafka and the registry say of each record: `_topic`, `_partition`, `_offset`, `_timestamp` (with `_timestamp_type`: `CreateTime` or `LogAppendTime`), `_headers` (a map; of headers of one name the last), `_schema_id` of the value. `key` is short for `key.format: bytes`.",
        "A field of the value that has such a name gets a suffix.",
        "`InsertField`, `store.kafka.headers`"),
    row("state", Text, Derived("`sink.url`"),
        "Where `_forebay/` stands: commit records, the `format` object, files being staged on a disk. A place of the sink's kind: another prefix, another bucket of the same service and credentials, or a folder of the same filesystem.",
        "Never inside a topic's folder. Lifecycle rules must leave it alone. Moving it is moving its objects, with the pipeline stopped.",
        ""),
    row("listen", Text, Absent,
        "`host:port` of `/healthz`, `/readyz`, `/metrics` and `/status`, JSON. None by default.",
        "",
        "`rest.port`"),

    row("source.brokers", Texts, Required,
        "`host:port` of some brokers, comma-separated or a list; the others are found through them.",
        "",
        "`bootstrap.servers`"),
    row("source.topics", Texts, Absent,
        "Topics to read. Either this or `source.topics_regex`.",
        "",
        "`topics`"),
    row("source.topics_regex", Text, Absent,
        "Regular expression over whole topic names; topics that start with `__` never match.",
        "",
        "`topics.regex`"),
    row("source.group", Text, Derived("`forebay-<pipeline>`"),
        "Consumer group. Instances of one group share the Kafka partitions among themselves.",
        "",
        "`group.id`"),
    row("source.start", Own, Is("auto"),
        "Where a Kafka partition starts that has neither a chain of commits nor a committed offset of the group: `auto` or `earliest` (the beginning), `latest` (the end), a timestamp (`2026-01-02T00:00:00Z`), or `{ offsets: { orders: { 0: 918273 } } }`.",
        "The chain always wins, then the group's committed offset. Kafka partitions that are added to a topic later start at the start of their log.",
        "`auto.offset.reset`"),
    row("source.properties", SecretPairs, Is("{}"),
        "Any librdkafka property the program does not own: `security.protocol`, `sasl.username`, `ssl.ca.location`, …",
        "Values are never shown.",
        "`consumer.override.*`"),
    row("source.oauth.token_url", Text, Absent,
        "Where tokens are fetched by client credentials. Required in this section.",
        "",
        "`sasl.oauthbearer.token.endpoint.url`"),
    row("source.oauth.client_id", Text, Absent, "Client id. Required in this section.", "", "`sasl.oauthbearer.client.id`"),
    row("source.oauth.client_secret", Secret, Absent, "Client secret. Required in this section.", "", "`sasl.oauthbearer.client.secret`"),
    row("source.oauth.scope", Text, Absent, "Scope asked for.", "", "`sasl.oauthbearer.scope`"),
    row("source.oauth.extensions", Pairs, Is("{}"),
        "SASL extensions: `logicalCluster`, `identityPoolId`, …", "", "`sasl.oauthbearer.extensions`"),

    row("registry.url", Texts, Derived("required unless `value.format` is `json`, `json_connect`, `string` or `bytes`"),
        "URL of the schema registry, or a list tried in order. A user name and password in it become `registry.auth`.",
        "",
        "`schema.registry.url`"),
    row("registry.auth.username", Text, Absent, "User name, or API key.", "", "`schema.registry.basic.auth.user.info`"),
    row("registry.auth.password", Secret, Absent, "Password, or API secret.", "", "`schema.registry.basic.auth.user.info`"),
    row("registry.auth.bearer", Secret, Absent, "Bearer token, in place of user name and password.", "", "`bearer.auth.token`"),
    row("registry.tls.ca_file", Text, Absent, "Certificates of the authorities to trust. The system's by default.", "", "`schema.registry.ssl.truststore.location`"),
    row("registry.tls.cert_file", Text, Absent, "Our certificate, for mutual TLS; with `registry.tls.key_file`.", "", "`schema.registry.ssl.keystore.location`"),
    row("registry.tls.key_file", Text, Absent, "Its private key.", "", "`schema.registry.ssl.keystore.location`"),
    row("registry.headers", SecretPairs, Is("{}"), "Headers of every request. Values are never shown.", "", ""),
    row("registry.subject_name_strategy", Choice(&["topic", "record", "topic_record"]), Is("topic"),
        "How subjects are named; asked for only where a record's schema id does not say enough.",
        "",
        "`value.subject.name.strategy`"),
    row("registry.unknown_id_grace", Duration(0, HOUR), Is("60s"),
        "How long an id that the registry does not know is asked for again before its records are rejected; and a subject that it does not know, before `evolution.on_incompatible` says what becomes of them.",
        "Registries replicate late. Raise it where schemas arrive after records; lower it to see bad producers sooner.",
        ""),
    row("registry.timeout", Duration(100, 300 * SECOND), Is("30s"),
        "Of one request, connection included.",
        "Raise it for a registry far away. Lower it to fail over sooner.",
        "`schema.registry.request.timeout.ms`"),

    row("wire.message_indexes", Choice(&["zigzag", "unsigned", "absent", "auto"]), Is("zigzag"),
        "How producers write Protobuf message indexes: `zigzag` (the wire format), `unsigned` (its deprecated form), `absent` (not at all: the first message of the schema), or `auto`.",
        "`auto` judges key and value of each record alone: of `zigzag`, `unsigned`, `absent`, in this order, the first is taken whose indexes name a message of the schema and whose body decodes to its end.",
        "`use.deprecated.format`"),
    row("wire.message_indexes_by_topic", Pairs, Is("{}"),
        "Topics whose producers differ: `{ legacy-orders: unsigned }`.",
        "",
        ""),

    row("value.format", Choice(&["auto", "protobuf", "avro", "json_schema", "json", "json_connect", "string", "bytes"]), Is("auto"),
        "`auto`: what the registry says the schema is; `protobuf`, `avro` and `json_schema` refuse the others. Without a registry: `json` by `value.schema`, or as one column `value` of JSON text; `json_connect` by the Connect schema in each record (`{\"schema\": …, \"payload\": …}`); `string` and `bytes` as one column `value`.",
        "",
        "`value.converter`, `value.converter.schemas.enable`"),
    row("value.schema", Text, Absent,
        "File with the JSON Schema of every value, for `value.format: json`; a path relative to this file's folder.",
        "References inside the file only. At most 1 MiB.",
        ""),
    row("value.extra", Choice(&["drop", "keep"]), Is("drop"),
        "Members of JSON objects that the schema does not name: counted and left out, or kept as JSON text in a column `_extra` of each object that may have others.",
        "",
        "`preserve.additional.properties`"),
    row("value.unsigned", Choice(&["widen", "native"]), Is("widen"),
        "Protobuf `uint32` and `uint64` as INT64 and DECIMAL(20,0), or as Parquet's unsigned types.",
        "Few readers of Hive's family know unsigned types.",
        ""),
    row("value.enums", Choice(&["name", "number"]), Is("name"),
        "Enum values as their names, or as their numbers.",
        "",
        "`enhanced.protobuf.schema.support`"),
    row("value.presence", Choice(&["default", "nullable"]), Is("default"),
        "proto3 fields without presence: the default value where absent, or a nullable column. `nullable` also takes nulls and absence where a JSON Schema has neither.",
        "",
        "`optional.for.nullables`"),
    row("value.tombstones", Choice(&["skip", "row", "reject"]), Is("skip"),
        "Records with a null value: counted and left out, or a row of nulls whose column `_deleted` is true, or rejected.",
        "With `row` every column is nullable. A tombstone takes the columns of the value before it in its Kafka partition; before the first value since the start, only those of key and metadata.",
        "`behavior.on.null.values`"),
    row("value.recursion", Choice(&["json", "bytes", "drop"]), Is("json"),
        "A field that refers back to a message or schema it stands in: as JSON text, as its bytes, or left out.",
        "",
        ""),
    row("value.unions", Choice(&["struct", "json"]), Is("struct"),
        "Avro unions and JSON `oneOf`s of several branches: a struct with a column a branch, or JSON text.",
        "",
        ""),
    row("value.uuid", Choice(&["exact", "string"]), Is("exact"),
        "Avro and JSON Schema UUIDs: Parquet's own type where every one of the `readers` opens it, else text; or text always.",
        "",
        ""),
    row("value.truncate_timestamps", Flag, Is("true"),
        "Timestamps finer than their column: cut the digits off (`true`), or reject the record.",
        "",
        ""),
    row("value.unwrap", Choice(&["none", "debezium"]), Is("none"),
        "`debezium`: change events become rows of `after` (of `before` for deletes) with the columns `_op`, `_ts_ms` and `_deleted`, all nullable; in Avro, and in JSON with the schema inside, dates and timestamps get their types. Records of another form are rejected.",
        "Topics of heartbeats, transactions and schema changes hold no change events: leave them out of `source`. `_unknown` stays, where it is asked for.",
        "`ExtractNewRecordState`"),
    row("value.timestamps", Choice(&["ms", "us", "ns"]), Is("us"),
        "Unit of Protobuf's `Timestamp`. Values that the unit cannot hold are rejected; `ns` reaches from 1677 to 2262.",
        "`ns` becomes `us` where one of the `readers` cannot open nanoseconds.",
        ""),
    row("value.binary", Texts, Absent,
        "Protobuf `string` fields that hold bytes which are no text, by their dotted path (`device.raw`): binary columns, nothing checked.",
        "Text that is not UTF-8 rejects its record otherwise.",
        ""),
    row("value.unknown_fields", Choice(&["drop", "keep"]), Is("drop"),
        "Protobuf fields that a record has and its schema has not: counted, or counted and kept in the column `_unknown`, a list of the message's path and the field's bytes.",
        "Inside messages that become one value (timestamps, JSON text) they are not kept.",
        ""),
    row("value.field_ids", Choice(&["none", "source"]), Is("none"),
        "Parquet field ids: none, or the numbers of the Protobuf fields.",
        "Numbers repeat from message to message, and Iceberg trusts any id it finds.",
        ""),
    row("key.format", Choice(&["ignore", "auto", "protobuf", "avro", "json_schema", "json", "json_connect", "string", "bytes"]), Is("ignore"),
        "The column `_key`: a struct for a message, record or object, else the value itself; null where the record has no key. `auto`, `protobuf`, `avro` and `json_schema` are framed by the registry's serializers; `json` is typed by `key.schema`, or is JSON text without it; `json_connect` has its Connect schema in each key; `string` and `bytes` take the key as it is.",
        "A key that cannot be decoded rejects its record. Where the type of keys comes with them, rows before the first key since the start have no column `_key`.",
        "`key.converter`, `key.converter.schemas.enable`, `store.kafka.keys`"),
    row("key.schema", Text, Absent,
        "File with the JSON Schema of every key, for `key.format: json`; a path relative to this file's folder.",
        "References inside the file only. At most 1 MiB.",
        ""),

    row("connect.optional_for_nullables", Flag, Is("false"),
        "Protobuf: nullable are fields that say `optional`, messages, enums and lists; else every field is.", "", "`optional.for.nullables`"),
    row("connect.optional_for_proto2", Flag, Is("true"),
        "Protobuf: a field of proto2 that is absent is null, else its default: that of the schema, or of its type.", "", "`optional.for.proto2`"),
    row("connect.wrapper_for_nullables", Flag, Is("false"),
        "Protobuf: nullable are wrappers, messages, enums and lists. Fields that say `optional` stay nullable too: the converter fails where they are absent.", "", "`wrapper.for.nullables`"),
    row("connect.wrapper_for_raw_primitives", Flag, Is("true"),
        "Protobuf: a wrapper is the scalar in it, else a struct with `value`.", "", "`wrapper.for.raw.primitives`"),
    row("connect.generate_struct_for_nulls", Flag, Is("false"),
        "Protobuf: a message that is absent becomes a struct of defaults.", "Dates and decimals have no default, and stay null.", "`generate.struct.for.nulls`"),
    row("connect.generate_index_for_unions", Flag, Is("true"),
        "Protobuf: the column of a oneof is `<oneof>_<index>`, else `<oneof>`.", "", "`generate.index.for.unions`"),
    row("connect.flatten_unions", Flag, Is("false"),
        "Protobuf: members of a oneof are columns of their message.", "", "`flatten.unions`"),
    row("connect.flatten_singleton_unions", Flag, Is("true"),
        "Avro, JSON Schema: a union of one type is that type, else a struct of one column.", "", "`flatten.singleton.unions`"),
    row("connect.use_optional_for_nonrequired", Flag, Is("false"),
        "JSON Schema: properties that are not in `required` are nullable. Else a property is nullable where its schema takes null, and a record without the others is rejected, as the converter refuses it.", "", "`use.optional.for.nonrequired`"),
    row("connect.generalized_sum_type_support", Flag, Is("false"),
        "Protobuf, JSON Schema: the columns of a union are `member0`, `member1` …, as those of an Avro union always are.", "", "`generalized.sum.type.support`"),
    row("connect.scrub_invalid_names", Flag, Is("false"),
        "Names that Avro does not allow are changed: `abc-def` becomes `abc_def`, `0abc` becomes `x0abc`, `é` becomes `_C3_A9`. The converter and the sink fail at such names otherwise; here they stay.", "", "`scrub.invalid.names`"),
    row("connect.allow_optional_map_keys", Flag, Is("false"),
        "Maps whose text keys are nullable are maps, else lists of `key` and `value`. With the other defaults that is every Protobuf map.", "", "`allow.optional.map.keys`"),
    row("connect.schema_compatibility", Choice(&["none", "backward", "forward", "full"]), Absent,
        "Whose columns a row has, by the sink's rules in place of `evolution.mode`: `none` those of the schema that wrote it; `backward` and `full` those of the newest version that its Kafka partition has brought, `forward` those of the oldest, where the sink would project a record to them; else its own, from there on. Where the sink closes all files, a file of the other schema is begun beside them. docs/evolution.md has the cases.",
        "What a version is comes from the record's subject. After a restart the first record says anew where it begins, as in the sink. A record at which the sink would fail follows `evolution.on_incompatible`, and so does one whose values the other schema's columns cannot hold.", "`schema.compatibility`"),

    row("sink.url", Text, Required,
        "`s3://bucket/prefix`, `file:///absolute/folder`, or a folder's path.",
        "",
        "`s3.bucket.name`, `topics.dir`"),
    row("sink.format", Choice(&["parquet"]), Is("parquet"), "File format.", "", "`format.class`"),
    row("sink.compression", Choice(&["gzip", "zstd", "snappy", "lz4", "none"]), Is("gzip"),
        "Compression of the pages inside the files. `lz4` is Parquet's LZ4_RAW.",
        "gzip opens everywhere; zstd costs less time at the same size; snappy and lz4 cost least.",
        "`parquet.codec`"),
    row("sink.compression_level", Count(0, 22), Derived("6 for gzip, 3 for zstd"),
        "gzip 0 to 9, zstd 1 to 22; the others have none.",
        "Raise it for smaller files at more CPU time, lower it for speed.",
        ""),
    row("sink.escape", Choice(&["hive", "connect"]), Is("hive"),
        "Folder names: Hive's `%XX`, reversible; or raw as Connect writes them, except where a value would leave its folder.",
        "",
        ""),
    row("sink.partition_columns", Choice(&["auto", "keep", "drop"]), Is("auto"),
        "Columns that are also folders: `auto` leaves out of the files only top-level columns used as themselves.",
        "Hive readers see a column twice that is in both.",
        "`partition.field.name` with `keep`"),
    row("sink.endpoint", Text, Absent, "S3: URL of the service, for stores that are not Amazon's.", "", "`store.url`"),
    row("sink.region", Text, Absent, "S3: region. Default: the SDK's own chain (`AWS_REGION`, profile).", "", "`s3.region`"),
    row("sink.path_style", Flag, Derived("`true` with `sink.endpoint`, else `false`"),
        "S3: bucket in the path instead of the host name.", "", "`s3.path.style.access.enabled`"),
    row("sink.access_key_id", Secret, Absent, "S3: key id. Default: the SDK's own chain (environment, profile, instance role).", "", "`aws.access.key.id`"),
    row("sink.secret_access_key", Secret, Absent, "S3: its secret.", "", "`aws.secret.access.key`"),
    row("sink.session_token", Secret, Absent, "S3: token of temporary credentials.", "", ""),
    row("sink.sse", Choice(&["AES256", "aws:kms", "aws:kms:dsse"]), Absent, "S3: encryption at rest. Default: the bucket's.", "", "`s3.ssea.name`"),
    row("sink.kms_key_id", Text, Absent, "S3: key for `sink.sse: aws:kms`.", "", "`s3.sse.kms.key.id`"),
    row("sink.bucket_key", Flag, Absent, "S3: use a bucket key, for fewer KMS requests.", "", ""),
    row("sink.acl", Choice(&["private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control"]), Absent,
        "S3: canned ACL.", "", "`s3.acl.canned`"),
    row("sink.storage_class", Choice(&["STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "REDUCED_REDUNDANCY", "GLACIER_IR", "EXPRESS_ONEZONE"]), Absent,
        "S3: storage class. Classes that readers would have to restore from are not accepted.", "", "`s3.storage.class`"),
    row("sink.tags", Pairs, Is("{}"), "S3: tags of every file; at most 10.", "", "`s3.object.tagging`"),
    row("sink.checksum", Choice(&["crc32", "crc32c", "crc64nvme", "sha256"]), Absent,
        "S3: checksum sent with every part. Default: only where the store requires one.", "Buckets with object lock require one.", ""),
    row("sink.part_bytes", Size(5 * MIB, 5 * GIB), Is("8MiB"),
        "S3: bytes of a multipart part.",
        "S3 takes 5 MiB to 5 GiB, 10,000 parts a file. Raise it for fewer requests; each open file may hold one part in memory.",
        "`s3.part.size`"),

    row("rotate.rows", Count(1, 1_000_000_000), Is("1000000"),
        "A file closes at so many rows.",
        "Raise it for fewer files; a file closes with its commit anyway.",
        "`flush.size`"),
    row("rotate.bytes", Size(5 * MIB, 5 * GIB), Is("128MiB"),
        "A file closes at so many bytes as stored.",
        "Below 5 MiB a lake drowns in small files. Query engines like 128 MiB to 1 GiB.",
        "`rotate.file.size`"),
    row("commit.interval", Duration(SECOND, 24 * HOUR), Derived("`10m`; none with `commit.schedule`"),
        "Longest time from a record's arrival to its file being visible, and the greatest age of a file.",
        "Raise it for larger and fewer files, lower it for fresher data. After a crash as much is read again.",
        "`offset.flush.interval.ms`"),
    row("commit.schedule", Duration(MINUTE, 24 * HOUR), Absent,
        "Commit at multiples of this time since midnight of `commit.timezone`, and at midnight: `15m` is 00:00, 00:15, … Files then hold what arrived in one such stretch.",
        "Marks are local times, on the days the clocks change too. With `commit.interval` or `commit.idle` set as well, whatever comes first seals.",
        "`rotate.schedule.interval.ms`"),
    row("commit.timezone", Text, Derived("`UTC`"),
        "Time zone of `commit.schedule`: `Europe/Paris`, `+05:30`.",
        "",
        "`timezone`"),
    row("commit.idle", Duration(SECOND, 24 * HOUR), Absent,
        "Commit when a Kafka partition brought no record for so long.",
        "Fresher data from topics that fall silent, at more and smaller files.",
        ""),
    row("commit.rows", Count(1, 1_000_000_000_000), Absent, "Commit after so many rows of one Kafka partition.", "", ""),
    row("commit.bytes", Size(MIB, 1 << 40), Absent, "Commit after so many raw bytes of one Kafka partition.", "", ""),
    row("commit.on_lost_offsets", Choice(&["stop", "skip"]), Is("stop"),
        "What to do when Kafka has deleted offsets that are not committed: stop the Kafka partition, or go on at the start of the log.",
        "`skip` records the skipped range in the chain of commits.", "`auto.offset.reset`"),
    row("commit.on_recreated_topic", Choice(&["stop", "restart"]), Is("stop"),
        "What to do when a topic was deleted and made again under its name: stop, or begin a new chain at the start of its log.",
        "It is asked at each assignment and every minute. The files of the old topic stay where they are.", ""),
    row("commit.on_truncated_log", Choice(&["stop", "reset"]), Is("stop"),
        "What to do when Kafka's log ends before the chain of commits, as after an unclean leader election: stop the Kafka partition, or set the chain's end back to the end of the log.",
        "`reset` records where the chain was set back; new records then have offsets that published files name, too.", ""),
    row("commit.on_group_ahead", Choice(&["stop", "ignore"]), Is("stop"),
        "What to do when somebody moved the group's committed offset beyond the chain of commits: stop the Kafka partition, or go on at the end of the chain.",
        "Nothing is skipped either way: the chain decides what is published.", ""),
    row("commit.authority", Choice(&["store", "kafka"]), Is("store"),
        "Who decides a commit: the store, by a record that can be created once; or Kafka, by an offset commit of the group that names the record, in a transaction and fenced by the group's generation. `kafka` is for stores without conditional writes.",
        "It cannot be changed for a pipeline that has run. With `kafka`, brokers must allow the transactional id `forebay-<pipeline>-…`, the group's offsets must outlive every stop of the pipeline (`offsets.retention.minutes`), and `forebay chain skip`, `reset`, `repair` and `removed` are refused.", ""),
    row("commit.on_lost_authority", Choice(&["stop", "adopt"]), Is("stop"),
        "With `commit.authority: kafka`, what to do when the group's committed offset names no record while records are there: stop the Kafka partition, or go on behind the last record, where there is one and no other at its place.",
        "Set `adopt` for one start, after a look at `forebay audit`.", ""),
    row("commit.record_version", Count(1, 1), Is("1"),
        "Version of the commit records that are written. All versions up to the release's own are read.",
        "A release writes the version of the release before it, so that going back stays possible; raise it when no older one will come back.", ""),
    row("evolution.mode", Choice(&["rotate", "latest", "superset", "fixed"]), Is("rotate"),
        "Whose columns the rows of a value have: `rotate` those of the schema that wrote it, versions side by side in files of their own; `latest` those of the newest version of its subject; `superset` those of all its versions together, which only widen; `fixed` those of `evolution.version` or `evolution.schema`.",
        "The subject follows `registry.subject_name_strategy`. Rows of different messages or records never share columns.",
        "`schema.compatibility`"),
    row("evolution.on_incompatible", Choice(&["rotate", "reject", "pause"]), Is("rotate"),
        "Records whose rows cannot have those columns, or whose subject gives none: their own columns in files of their own, a reject, or a Kafka partition that waits for another version.",
        "The schema of a file (`evolution.schema`) has no other version: `pause` is refused beside it.", ""),
    row("evolution.refresh", Duration(1_000, 86_400_000), Is("1m"),
        "How often `latest` and `superset` look for new versions. The first record of an id that is not known yet asks at once.",
        "", ""),
    row("evolution.version", Count(1, 2_147_483_647), Absent,
        "`fixed`: the version of each value's subject.", "", ""),
    row("evolution.schema", Text, Absent,
        "`fixed`: a file with the schema, `.proto`, `.avsc` or `.json`; a path relative to this file's folder.",
        "Without imports or references, but for the well-known ones. At most 1 MiB.", ""),
    row("rejects.url", Text, Derived("`<sink.url>/_rejects/<pipeline>`"),
        "Where reject files go; the topic stands below it. Must be below `sink.url`, in a folder that starts with `_`.",
        "Rejects are part of the same commit as the rows, so they need the same store; and no topic's folder may hold them.",
        "`errors.deadletterqueue.topic.name`"),
    row("rejects.breaker", Flag, Is("true"),
        "Pause a Kafka partition when one schema id makes 1,000 rejects in a minute, or 100 that are over half of all records, of kinds that a registry or a deployment can cause.",
        "The pause ends by itself when the registry's answer changes; for a schema that is there and cannot be used, change the configuration and restart. `false` rejects such records without end.",
        "`errors.tolerance`"),
    row("rejects.unusable_schema", Choice(&["reject", "pause"]), Is("reject"),
        "Records whose schema the registry does not have, or whose schema gives no columns: rejected, or their Kafka partition waits.",
        "With `pause` a schema that appears in the registry ends the wait; for one that is there and cannot be used, change the configuration and restart. It takes the place of `rejects.breaker` for these records.",
        "`errors.tolerance`"),

    row("limits.record_bytes", Size(1 << 10, 256 * MIB), Is("32MiB"),
        "Key, value and headers of one record. Larger ones are rejected by reference: size, SHA-256, first 4 KiB.",
        "", "`max.partition.fetch.bytes`"),
    row("limits.depth", Count(1, 100), Is("100"),
        "Nesting of messages, groups, records and lists inside one record.",
        "Decoders recurse once a level; 100 is Protobuf's own limit.", ""),
    row("limits.decoded_bytes", Size(MIB, 16 * GIB), Derived("`64MiB`, or a quarter of `memory.limit` if that is less"),
        "Bytes one record may take as columns; the larger of this and 64 times its own size.",
        "A few bytes can describe gigabytes. At most a quarter of `memory.limit`.", ""),
    row("limits.nodes", Count(1_000, 1_000_000_000), Is("10000000"),
        "List elements, map entries and sub-messages one record may make.",
        "Elements without content take no bytes in a record and some in memory.", ""),
    row("memory.limit", Share(64 * MIB), Is("70%"),
        "Memory for raw records, open rows and open files together: a size, or a share of the container's (or the machine's) memory, 5% to 95%.",
        "Raise it for larger files from many partition values. The rest is for clients, stacks and the allocator.",
        "`buffer.memory`"),
    row("shutdown.timeout", Duration(SECOND, HOUR), Is("25s"),
        "From the first SIGTERM to leaving without what is not committed (it is read again at the next start).",
        "Below Kubernetes' 30 s of grace by default.",
        "`task.shutdown.graceful.timeout.ms`"),
];

/// Keys that users of other programs may try and this version does not have, each with what to do instead.
pub static NOT_YET: &[(&str, &str)] = &[
    ("pipelines", "run one process for each pipeline"),
    ("sinks", "run one pipeline for each sink, with names of their own"),
    ("source.until", "stop with `--drain`, or by hand"),
    ("source.partitions", "read the whole topic"),
    ("rotate.idle", "files close with their commit: set `commit.idle`"),
    (
        "rotate.interval",
        "files close with their commit: set `commit.interval` or `commit.schedule`",
    ),
    ("path", "folders are `name=value`: use `partition_by`"),
    ("unknown_fields", "set `value.unknown_fields`"),
];

/// Words that users of other programs may try for an option and this version does not have.
pub static NOT_YET_WORDS: &[(&str, &[&str])] =
    &[("sink.format", &["avro", "json"]), ("sink.compression", &["brotli", "lzo"])];

/// The row of a path.
pub fn find(path: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|opt| opt.path == path)
}

/// Keys that may stand in a section (`""` is the top level), sections among them.
pub fn keys_of(section: &str) -> Vec<&'static str> {
    let mut keys: Vec<&'static str> = Vec::new();
    for opt in OPTIONS {
        let below = match section {
            "" => Some(opt.path),
            _ => opt.path.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')),
        };
        if let Some(key) = below.and_then(|below| below.split('.').next())
            && !keys.contains(&key)
        {
            keys.push(key);
        }
    }
    keys
}
