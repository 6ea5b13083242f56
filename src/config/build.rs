//! Values → [`Config`], section by section.
//!
//! Owns: which option fills which field, and forms of their own (start, partition items, URLs).
//! Does not own: presence and ranges (`values`), rules between options (`rules`).
//! Where a value was wrong, something stands in for it: the finding is there, and nobody gets to see it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::commit::{commit, state};
use super::forms::{host_port, http_url, pipeline_name, sink_url};
use super::model::*;
use super::registry::registry;
use super::source::source;
use super::values::{Scalar, Values, printable};
use super::yaml::{Kind, Node};
use super::{MISSING, UNKNOWN_KEY};

pub(super) fn config(v: &mut Values<'_>) -> Config {
    let name = v.checked("pipeline", pipeline_name).unwrap_or_default();
    let memory_limit = v.share("memory.limit").map_or(usize::MAX, to_usize);
    let mut sink = sink(v);
    sink.state = state(v, &sink.url);
    let (metadata, raw_key) = metadata(v);
    let (value, key) = (value(v), key(v, raw_key));
    registry_needed(v, value.format, key.format);
    Config {
        memory_limit,
        listen: v.checked("listen", host_port),
        shutdown_timeout: v.duration("shutdown.timeout").unwrap_or_default(),
        warnings: Vec::new(),
        pipeline: Pipeline {
            source: source(v, &name),
            registry: registry(v),
            wire: wire(v),
            value,
            key,
            metadata,
            partition_by: partition_by(v),
            rotate: Rotate {
                rows: v.count("rotate.rows").unwrap_or(1),
                bytes: v.size("rotate.bytes").unwrap_or(1),
            },
            commit: commit(v),
            evolution: evolution(v),
            rejects: rejects(v, &sink, &name),
            sink,
            readers: readers(v),
            limits: limits(v, memory_limit),
            name,
        },
    }
}

fn evolution(v: &mut Values<'_>) -> Evolution {
    const MODES: [(&str, EvolutionMode); 4] = [
        ("rotate", EvolutionMode::Rotate),
        ("latest", EvolutionMode::Latest),
        ("superset", EvolutionMode::Superset),
        ("fixed", EvolutionMode::Fixed),
    ];
    const INCOMPATIBLE: [(&str, OnIncompatible); 3] = [
        ("rotate", OnIncompatible::Rotate),
        ("reject", OnIncompatible::Reject),
        ("pause", OnIncompatible::Pause),
    ];
    const COMPATIBILITY: [(&str, Compatibility); 4] = [
        ("none", Compatibility::None),
        ("backward", Compatibility::Backward),
        ("forward", Compatibility::Forward),
        ("full", Compatibility::Full),
    ];
    Evolution {
        mode: v.choice("evolution.mode", &MODES).unwrap_or(EvolutionMode::Rotate),
        on_incompatible: v
            .choice("evolution.on_incompatible", &INCOMPATIBLE)
            .unwrap_or(OnIncompatible::Rotate),
        refresh: v.duration("evolution.refresh").unwrap_or_default(),
        version: v.count("evolution.version").and_then(|n| u32::try_from(n).ok()),
        schema: v.text_of_file("evolution.schema"),
        compatibility: v.choice("connect.schema_compatibility", &COMPATIBILITY),
    }
}

fn wire(v: &mut Values<'_>) -> Wire {
    const FORMS: [(&str, IndexForm); 4] = [
        ("zigzag", IndexForm::Zigzag),
        ("unsigned", IndexForm::Unsigned),
        ("absent", IndexForm::Absent),
        ("auto", IndexForm::Auto),
    ];
    const BY_TOPIC: &str = "wire.message_indexes_by_topic";
    let mut by_topic = BTreeMap::new();
    for (topic, value) in v.pairs(BY_TOPIC) {
        match FORMS.iter().find(|(word, _)| *word == value.text) {
            Some((_, form)) => drop(by_topic.insert(topic, *form)),
            None => v.wrong_value(
                &format!("{BY_TOPIC}.{topic}"),
                &value,
                "one of `zigzag`, `unsigned`, `absent`, `auto`",
            ),
        }
    }
    Wire { message_indexes: v.choice("wire.message_indexes", &FORMS).unwrap_or_default(), by_topic }
}

/// Records that name no schema need no registry.
fn registry_needed(v: &mut Values<'_>, value: Format, key: Option<Format>) {
    let by = if value.is_framed() { "value.format" } else { "key.format" };
    let needed = value.is_framed() || key.is_some_and(Format::is_framed);
    // What stands in for a wrong word needs nothing.
    let known = !v.is_wrong("value.format") && !v.is_wrong("key.format");
    if needed && known && v.node("registry.url").is_none() {
        let message = format!(
            "option `registry.url`: not set, required by `{by}`; URL of the schema registry"
        );
        v.missing("registry.url", message);
    }
}

fn value(v: &mut Values<'_>) -> Value {
    let is = Value::default();
    Value {
        format: v
            .choice(
                "value.format",
                &[
                    ("auto", Format::Auto),
                    ("protobuf", Format::Protobuf),
                    ("avro", Format::Avro),
                    ("json_schema", Format::JsonSchema),
                    ("json", Format::Json),
                    ("json_connect", Format::JsonConnect),
                    ("string", Format::String),
                    ("bytes", Format::Bytes),
                ],
            )
            .unwrap_or(is.format),
        schema: v.text_of_file("value.schema"),
        extra: v
            .choice("value.extra", &[("drop", Extra::Drop), ("keep", Extra::Keep)])
            .unwrap_or(is.extra),
        unsigned: v
            .choice("value.unsigned", &[("widen", Unsigned::Widen), ("native", Unsigned::Native)])
            .unwrap_or(is.unsigned),
        enums: v
            .choice("value.enums", &[("name", Enums::Name), ("number", Enums::Number)])
            .unwrap_or(is.enums),
        presence: v
            .choice(
                "value.presence",
                &[("default", Presence::Default), ("nullable", Presence::Nullable)],
            )
            .unwrap_or(is.presence),
        tombstones: v
            .choice(
                "value.tombstones",
                &[
                    ("skip", Tombstones::Skip),
                    ("row", Tombstones::Row),
                    ("reject", Tombstones::Reject),
                ],
            )
            .unwrap_or(is.tombstones),
        recursion: v
            .choice(
                "value.recursion",
                &[
                    ("json", Recursion::Json),
                    ("bytes", Recursion::Bytes),
                    ("drop", Recursion::Drop),
                ],
            )
            .unwrap_or(is.recursion),
        unions: v
            .choice("value.unions", &[("struct", Unions::Struct), ("json", Unions::Json)])
            .unwrap_or(is.unions),
        uuids: v
            .choice("value.uuid", &[("exact", Uuids::Exact), ("string", Uuids::Text)])
            .unwrap_or(is.uuids),
        truncate_timestamps: v.flag("value.truncate_timestamps").unwrap_or(is.truncate_timestamps),
        unwrap: v
            .choice("value.unwrap", &[("none", Unwrap::None), ("debezium", Unwrap::Debezium)])
            .unwrap_or(is.unwrap),
        timestamps: v
            .choice(
                "value.timestamps",
                &[("ms", TimestampUnit::Ms), ("us", TimestampUnit::Us), ("ns", TimestampUnit::Ns)],
            )
            .unwrap_or(is.timestamps),
        binary: v
            .texts("value.binary")
            .unwrap_or_default()
            .into_iter()
            .map(|path| path.text)
            .collect(),
        unknown_fields: v
            .choice(
                "value.unknown_fields",
                &[("drop", UnknownFields::Drop), ("keep", UnknownFields::Keep)],
            )
            .unwrap_or(is.unknown_fields),
        field_ids: v
            .choice("value.field_ids", &[("none", FieldIds::None), ("source", FieldIds::Source)])
            .unwrap_or(is.field_ids),
        dialect: dialect(v),
    }
}

fn dialect(v: &mut Values<'_>) -> Dialect {
    let is = Connect::default();
    let mut flag = |path, unset| v.flag(path).unwrap_or(unset);
    let connect = Connect {
        optional_for_nullables: flag("connect.optional_for_nullables", is.optional_for_nullables),
        optional_for_proto2: flag("connect.optional_for_proto2", is.optional_for_proto2),
        wrapper_for_nullables: flag("connect.wrapper_for_nullables", is.wrapper_for_nullables),
        wrapper_for_raw_primitives: flag(
            "connect.wrapper_for_raw_primitives",
            is.wrapper_for_raw_primitives,
        ),
        generate_struct_for_nulls: flag(
            "connect.generate_struct_for_nulls",
            is.generate_struct_for_nulls,
        ),
        generate_index_for_unions: flag(
            "connect.generate_index_for_unions",
            is.generate_index_for_unions,
        ),
        flatten_unions: flag("connect.flatten_unions", is.flatten_unions),
        flatten_singleton_unions: flag(
            "connect.flatten_singleton_unions",
            is.flatten_singleton_unions,
        ),
        use_optional_for_nonrequired: flag(
            "connect.use_optional_for_nonrequired",
            is.use_optional_for_nonrequired,
        ),
        generalized_sum_type_support: flag(
            "connect.generalized_sum_type_support",
            is.generalized_sum_type_support,
        ),
        scrub_invalid_names: flag("connect.scrub_invalid_names", is.scrub_invalid_names),
        allow_optional_map_keys: flag(
            "connect.allow_optional_map_keys",
            is.allow_optional_map_keys,
        ),
    };
    let words = [("clean", Dialect::Clean), ("confluent", Dialect::Confluent(connect))];
    v.choice("dialect", &words).unwrap_or_default()
}

/// `raw`: `metadata` asks for the key as it is.
fn key(v: &mut Values<'_>, raw: bool) -> Key {
    const WORDS: [(&str, Option<Format>); 9] = [
        ("ignore", None),
        ("auto", Some(Format::Auto)),
        ("protobuf", Some(Format::Protobuf)),
        ("avro", Some(Format::Avro)),
        ("json_schema", Some(Format::JsonSchema)),
        ("json", Some(Format::Json)),
        ("json_connect", Some(Format::JsonConnect)),
        ("string", Some(Format::String)),
        ("bytes", Some(Format::Bytes)),
    ];
    let format = v.choice("key.format", &WORDS).flatten();
    Key { format: format.or(raw.then_some(Format::Bytes)), schema: v.text_of_file("key.schema") }
}

/// The columns asked for, and whether the key is among them: it has a section of its own.
fn metadata(v: &mut Values<'_>) -> (Vec<Metadata>, bool) {
    const PATH: &str = "metadata";
    const WORDS: [(&str, Option<Metadata>); 8] = [
        ("topic", Some(Metadata::Topic)),
        ("partition", Some(Metadata::Partition)),
        ("offset", Some(Metadata::Offset)),
        ("timestamp", Some(Metadata::Timestamp)),
        ("timestamp_type", Some(Metadata::TimestampType)),
        ("key", None),
        ("headers", Some(Metadata::Headers)),
        ("schema_id", Some(Metadata::SchemaId)),
    ];
    if v.node(PATH).is_some_and(|node| matches!(&node.kind, Kind::List(items) if items.is_empty()))
    {
        return (Vec::new(), false);
    }
    let words = v.choices(PATH, &WORDS).unwrap_or_default();
    let mut columns: Vec<Metadata> = words.iter().copied().flatten().collect();
    columns.sort_unstable();
    columns.dedup();
    (columns, words.contains(&None))
}

fn partition_by(v: &mut Values<'_>) -> Vec<PartitionItem> {
    const PATH: &str = "partition_by";
    let Some(node) = v.node(PATH).cloned() else { return Vec::new() };
    let Kind::List(items) = &node.kind else {
        v.wrong_form(PATH, &node, "a list of expressions");
        return Vec::new();
    };
    items
        .iter()
        .enumerate()
        .filter_map(|(i, item)| partition_item(v, item, &format!("{PATH}[{i}]")))
        .collect()
}

fn partition_item(v: &mut Values<'_>, item: &Node, path: &str) -> Option<PartitionItem> {
    let Kind::Map(entries) = &item.kind else {
        let value = v.scalar_of(item, path, false)?;
        if value.text.trim().is_empty() {
            v.wrong_value(path, &value, "an expression");
        }
        return Some(PartitionItem { expr: v.placed(&value, path), name: None, timezone: None });
    };
    let (mut expr, mut name, mut timezone) = (None, None, None);
    for (key, below) in entries {
        let path = format!("{path}.{key}");
        let slot = match key.as_str() {
            "expr" => &mut expr,
            "name" => &mut name,
            "timezone" => &mut timezone,
            _ => {
                let message = format!(
                    "key `{}`: no option, one of `expr`, `name`, `timezone` required; correct or remove it",
                    printable(key)
                );
                v.find(&UNKNOWN_KEY, &path, Some(below.line), message);
                continue;
            }
        };
        if below.kind != Kind::Null {
            *slot = v.scalar_of(below, &path, false).map(|value| (v.placed(&value, &path), value));
        }
    }
    if item.get("expr").is_none_or(|node| node.kind == Kind::Null) {
        v.find(
            &MISSING,
            path,
            Some(item.line),
            format!("option `{path}.expr`: not set, an expression required"),
        );
    }
    if let Some((_, value)) = name.as_ref().filter(|(placed, _)| placed.text.is_empty()) {
        v.wrong_value(&format!("{path}.name"), value, "a name");
    }
    Some(PartitionItem {
        expr: expr?.0,
        name: name.map(|(placed, _)| placed.text),
        timezone: timezone.map(|(placed, _)| placed),
    })
}

fn sink(v: &mut Values<'_>) -> Sink {
    v.choice("sink.format", &[("parquet", ())]);
    let url = v.text("sink.url").unwrap_or_default();
    let url = sink_url(&url).unwrap_or_else(|required| {
        if let Some(value) = v.scalar("sink.url") {
            v.wrong_value("sink.url", &value, &required);
        }
        SinkUrl::Local(PathBuf::new())
    });
    Sink {
        url,
        s3: s3(v),
        compression: v
            .choice(
                "sink.compression",
                &[
                    ("gzip", Compression::Gzip),
                    ("zstd", Compression::Zstd),
                    ("snappy", Compression::Snappy),
                    ("lz4", Compression::Lz4),
                    ("none", Compression::None),
                ],
            )
            .unwrap_or(Compression::Gzip),
        compression_level: v.count("sink.compression_level").map(|level| level as u32),
        escape: v
            .choice("sink.escape", &[("hive", Escape::Hive), ("connect", Escape::Connect)])
            .unwrap_or(Escape::Hive),
        partition_columns: v
            .choice(
                "sink.partition_columns",
                &[
                    ("auto", PartitionColumns::Auto),
                    ("keep", PartitionColumns::Keep),
                    ("drop", PartitionColumns::Drop),
                ],
            )
            .unwrap_or(PartitionColumns::Auto),
        state: None,
    }
}

fn s3(v: &mut Values<'_>) -> S3 {
    let word = |v: &mut Values<'_>, path: &str| -> Option<String> {
        let super::options::Form::Choice(words) = super::options::find(path)?.form else {
            return None;
        };
        let meanings: Vec<(&str, &str)> = words.iter().map(|word| (*word, *word)).collect();
        v.choice(path, &meanings).map(str::to_owned)
    };
    S3 {
        endpoint: v.checked("sink.endpoint", |text| match http_url(text)? {
            (_, Some(_)) => {
                Err("a URL without a user, whose keys stand in `sink.access_key_id`,".to_owned())
            }
            (_, None) => Ok(()),
        }),
        region: v.text("sink.region"),
        path_style: v.flag("sink.path_style"),
        access_key_id: v.secret("sink.access_key_id"),
        secret_access_key: v.secret("sink.secret_access_key"),
        session_token: v.secret("sink.session_token"),
        sse: word(v, "sink.sse"),
        kms_key_id: v.text("sink.kms_key_id"),
        bucket_key: v.flag("sink.bucket_key"),
        acl: word(v, "sink.acl"),
        storage_class: word(v, "sink.storage_class"),
        tags: plain(v.pairs("sink.tags")),
        checksum: word(v, "sink.checksum"),
        part_bytes: v.size("sink.part_bytes").map(to_usize),
    }
}

fn rejects(v: &mut Values<'_>, sink: &Sink, pipeline: &str) -> Rejects {
    const PATH: &str = "rejects.url";
    let breaker = v.flag("rejects.breaker").unwrap_or(true);
    let words = [("reject", UnusableSchema::Reject), ("pause", UnusableSchema::Pause)];
    let unusable_schema =
        v.choice("rejects.unusable_schema", &words).unwrap_or(UnusableSchema::Reject);
    let prefix = format!("_rejects/{pipeline}");
    let default = Rejects { prefix, breaker, unusable_schema };
    let Some(text) = v.text(PATH) else { return default };
    let below = sink_url(&text).ok().and_then(|url| match (&sink.url, url) {
        (SinkUrl::S3 { bucket, prefix }, SinkUrl::S3 { bucket: b, prefix: p }) if *bucket == b => {
            if prefix.is_empty() {
                Some(p)
            } else {
                Some(p.strip_prefix(prefix)?.strip_prefix('/')?.to_owned())
            }
        }
        (SinkUrl::Local(root), SinkUrl::Local(path)) => {
            Some(path.strip_prefix(root).ok()?.to_str()?.to_owned())
        }
        _ => None,
    });
    let legal = |prefix: &str| {
        prefix.starts_with('_')
            && prefix != "_forebay"
            && !prefix.starts_with("_forebay/")
            && prefix.split('/').all(|part| !matches!(part, "" | "." | ".."))
    };
    match below.filter(|prefix| legal(prefix)) {
        Some(prefix) => Rejects { prefix, ..default },
        None => {
            if let Some(value) = v.scalar(PATH) {
                v.wrong_value(
                    PATH,
                    &value,
                    &format!(
                        "a folder below `{}` that starts with `_` and is not `_forebay`",
                        sink.url
                    ),
                );
            }
            default
        }
    }
}

fn readers(v: &mut Values<'_>) -> Vec<Reader> {
    const WORDS: [(&str, Reader); 5] = [
        ("spark", Reader::Spark),
        ("athena", Reader::Athena),
        ("trino", Reader::Trino),
        ("duckdb", Reader::Duckdb),
        ("native", Reader::Native),
    ];
    let mut readers = v
        .choices("readers", &WORDS)
        .unwrap_or_else(|| WORDS[..4].iter().map(|(_, r)| *r).collect());
    readers.dedup();
    readers
}

fn limits(v: &mut Values<'_>, memory_limit: usize) -> Limits {
    let is = Limits::default();
    let quarter = memory_limit / 4;
    Limits {
        record_bytes: v.size("limits.record_bytes").map_or(is.record_bytes, to_usize),
        depth: v.count("limits.depth").map_or(is.depth, |depth| depth as u32),
        decoded_bytes: v
            .size("limits.decoded_bytes")
            .map_or(is.decoded_bytes.min(quarter), to_usize),
        decoded_bytes_max: quarter,
        nodes: v.count("limits.nodes").map_or(is.nodes, |nodes| nodes as u32),
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

pub(super) fn secrets(pairs: BTreeMap<String, Scalar>) -> BTreeMap<String, Secret> {
    pairs.into_iter().map(|(key, value)| (key, Secret::new(value.text))).collect()
}

pub(super) fn plain(pairs: BTreeMap<String, Scalar>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key, value.text)).collect()
}
