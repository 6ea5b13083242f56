//! Rules between options: a table, with the reason of each.
//!
//! Owns: what single values cannot tell. Does not own: properties that `source` owns; it checks them.

use super::model::*;
use super::options::{OPTIONS, Opt, Unset};
use super::values::Values;
use super::yaml::Kind;
use super::{CONFLICT, units};

/// One rule: which option it is about, why it is, and what it found, if anything.
struct Rule {
    path: &'static str,
    /// The options it compares: where one of them is wrong by itself, the rule is silent.
    beside: &'static [&'static str],
    why: &'static str,
    found: fn(&Config, &Values<'_>) -> Option<String>,
}

/// Every rule; each is asked, so that none hides another.
static RULES: &[Rule] = &[
    Rule {
        path: "source.topics",
        beside: &["source.topics_regex"],
        why: "one of them says which topics are read",
        found: |_, v| match (
            v.node("source.topics").is_some(),
            v.node("source.topics_regex").is_some(),
        ) {
            (true, true) => Some(
                "`source.topics` and `source.topics_regex` found, one of them required".to_owned(),
            ),
            (false, false) if v.node("source").is_none_or(|node| node.get("topics").is_none()) => {
                Some(
                    "neither `source.topics` nor `source.topics_regex` found, one of them required"
                        .to_owned(),
                )
            }
            _ => None,
        },
    },
    Rule {
        path: "commit.authority",
        beside: &["source.properties"],
        why: "an offset that a transaction has in hand is not final, and must not be read",
        found: |config, _| {
            let pipeline = &config.pipeline;
            let level = pipeline.source.properties.get("isolation.level").map(Secret::reveal);
            let reads = level.is_some_and(|level| level != "read_committed");
            (reads && pipeline.commit.authority == Authority::Kafka).then(|| {
                "`kafka` beside `isolation.level: read_uncommitted` found, `read_committed` required"
                    .to_owned()
            })
        },
    },
    Rule {
        path: "key.schema",
        beside: &["key.format"],
        why: "other formats have their schema with the records",
        found: |config, _| {
            let key = &config.pipeline.key;
            (key.schema.is_some() && key.format != Some(Format::Json))
                .then(|| "found, `key.format: json` required beside it".to_owned())
        },
    },
    Rule {
        path: "value.schema",
        beside: &["value.format"],
        why: "other formats have their schema with the records",
        found: |config, _| {
            let value = &config.pipeline.value;
            (value.schema.is_some() && value.format != Format::Json)
                .then(|| "found, `value.format: json` required beside it".to_owned())
        },
    },
    Rule {
        path: "evolution.mode",
        beside: &["evolution.version", "evolution.schema"],
        why: "`fixed` has one schema, the others find theirs",
        found: |config, _| {
            let evolution = &config.pipeline.evolution;
            let given = [evolution.version.is_some(), evolution.schema.is_some()];
            let given = given.iter().filter(|given| **given).count();
            match (evolution.mode, given) {
                (EvolutionMode::Fixed, 1) => None,
                (EvolutionMode::Fixed, n) => Some(format!(
                    "`fixed` found with {n} of `evolution.version` and `evolution.schema`, one of them required"
                )),
                (_, 0) => None,
                _ => Some(
                    "`evolution.version` or `evolution.schema` found, `fixed` required beside them"
                        .to_owned(),
                ),
            }
        },
    },
    Rule {
        path: "evolution.mode",
        beside: &["value.format"],
        why: "versions stand in the registry",
        found: |config, _| {
            let (value, mode) = (&config.pipeline.value, config.pipeline.evolution.mode);
            (mode != EvolutionMode::Rotate && !value.format.is_framed()).then(|| {
                "another mode than `rotate` found, `value.format: auto`, `protobuf`, `avro` or `json_schema` required beside it".to_owned()
            })
        },
    },
    Rule {
        path: "connect.schema_compatibility",
        beside: &["evolution.mode", "value.format"],
        why: "both say whose columns a row has",
        found: |config, _| {
            let (value, evolution) = (&config.pipeline.value, &config.pipeline.evolution);
            let asked = evolution.compatibility.is_some();
            let other = evolution.mode != EvolutionMode::Rotate || !value.format.is_framed();
            (asked && other).then(|| {
                "found, `evolution.mode: rotate` and a `value.format` of the registry required beside it".to_owned()
            })
        },
    },
    Rule {
        path: "evolution.on_incompatible",
        beside: &["evolution.mode", "evolution.schema"],
        why: "a file has no other version to wait for",
        found: |config, _| {
            let evolution = &config.pipeline.evolution;
            let waits = evolution.on_incompatible == OnIncompatible::Pause;
            (waits && evolution.schema.is_some()).then(|| {
                "`pause` found beside `evolution.schema`, `rotate` or `reject` required".to_owned()
            })
        },
    },
    Rule {
        path: "evolution.schema",
        beside: &[],
        why: "the name says the language",
        found: |config, _| {
            let place = &config.pipeline.evolution.schema.as_ref()?.place;
            let known = [".proto)", ".avsc)", ".json)"].iter().any(|end| place.ends_with(end));
            (!known).then(|| {
                "a file of another name found, `.proto`, `.avsc` or `.json` required".to_owned()
            })
        },
    },
    Rule {
        path: "dialect",
        beside: &["value.unsigned", "value.presence", "value.unions", "value.timestamps"],
        why: "each dialect has settings of its own",
        found: |config, v| {
            let (others, dialect) = match config.pipeline.value.dialect {
                Dialect::Clean => (["connect."].as_slice(), "confluent"),
                Dialect::Confluent(_) => (
                    ["value.unsigned", "value.presence", "value.unions", "value.timestamps"]
                        .as_slice(),
                    "clean",
                ),
            };
            let found: Vec<&str> = OPTIONS
                .iter()
                .filter(|opt| others.iter().any(|path| opt.path.starts_with(path)))
                .filter(|opt| is_changed(opt, v))
                .map(|opt| opt.path)
                .collect();
            (!found.is_empty())
                .then(|| format!("`{}` found, `{dialect}` required beside it", found.join("`, `")))
        },
    },
    Rule {
        path: "registry.tls.key_file",
        beside: &["registry.tls.cert_file"],
        why: "a certificate is worth nothing without its key",
        found: |config, _| {
            let tls = &config.pipeline.registry.tls;
            (tls.cert_file.is_some() != tls.key_file.is_some()).then(|| {
                "one of `cert_file` and `key_file` found, both or none required".to_owned()
            })
        },
    },
    Rule {
        path: "registry.tls",
        beside: &["registry.url"],
        why: "certificates play no part in plain HTTP",
        found: |config, _| {
            let registry = &config.pipeline.registry;
            let plain = registry.urls.iter().find(|url| url.starts_with("http://"))?;
            (registry.tls != Tls::default())
                .then(|| format!("found beside `{plain}`, `https://` required"))
        },
    },
    Rule {
        path: "sink.compression_level",
        beside: &["sink.compression"],
        why: "each codec has levels of its own",
        found: |config, _| {
            let sink = &config.pipeline.sink;
            let level = sink.compression_level?;
            let required = match sink.compression {
                Compression::Gzip if level > 9 => "0 to 9 with gzip",
                Compression::Zstd if !(1..=22).contains(&level) => "1 to 22 with zstd",
                Compression::Gzip | Compression::Zstd => return None,
                Compression::Snappy => "none with snappy",
                Compression::Lz4 => "none with lz4",
                Compression::None => "none without compression",
            };
            Some(format!("`{level}` found, {required} required"))
        },
    },
    Rule {
        path: "sink.secret_access_key",
        beside: &["sink.access_key_id", "sink.session_token"],
        why: "a key id and its secret belong together, and a session's token to both",
        found: |config, _| {
            let s3 = &config.pipeline.sink.s3;
            let (id, secret) = (s3.access_key_id.is_some(), s3.secret_access_key.is_some());
            if id != secret {
                Some(
                    "one of `access_key_id` and `secret_access_key` found, both or none required"
                        .to_owned(),
                )
            } else if s3.session_token.is_some() && !id {
                Some("`session_token` found alone, `access_key_id` and `secret_access_key` required beside it".to_owned())
            } else {
                None
            }
        },
    },
    Rule {
        path: "sink.kms_key_id",
        beside: &["sink.sse"],
        why: "the key is used by KMS encryption only",
        found: |config, _| {
            let s3 = &config.pipeline.sink.s3;
            let kms = s3.sse.as_deref().is_some_and(|sse| sse.starts_with("aws:kms"));
            (s3.kms_key_id.is_some() && !kms)
                .then(|| "found without KMS, `sink.sse: aws:kms` required".to_owned())
        },
    },
    Rule {
        path: "sink.tags",
        beside: &[],
        why: "S3 takes 10 tags, keys of 128 and values of 256 characters",
        found: |config, _| {
            let tags = &config.pipeline.sink.s3.tags;
            if tags.len() > 10 {
                return Some(format!("{} tags found, at most 10 required", tags.len()));
            }
            let long = tags.iter().find(|(k, v)| {
                k.is_empty() || k.chars().count() > 128 || v.chars().count() > 256
            })?;
            Some(format!(
                "tag `{}` found, a key of 1 to 128 and a value of at most 256 characters required",
                super::values::printable(long.0)
            ))
        },
    },
    Rule {
        path: "sink.url",
        beside: &[],
        why: "a folder has no buckets, regions and keys: the URL is probably wrong",
        found: |config, v| {
            if !matches!(config.pipeline.sink.url, SinkUrl::Local(_))
                || v.node("sink.url").is_none()
            {
                return None;
            }
            let only_s3 = [
                "endpoint",
                "region",
                "path_style",
                "access_key_id",
                "secret_access_key",
                "session_token",
                "sse",
                "kms_key_id",
                "bucket_key",
                "acl",
                "storage_class",
                "tags",
                "checksum",
                "part_bytes",
            ];
            let found: Vec<&str> = only_s3
                .into_iter()
                .filter(|key| v.node(&format!("sink.{key}")).is_some())
                .collect();
            (!found.is_empty()).then(|| {
                format!(
                    "a folder found beside `{}`, `s3://…` required, or none of them",
                    found.join("`, `")
                )
            })
        },
    },
    Rule {
        path: "rotate.bytes",
        beside: &["sink.part_bytes"],
        why: "S3 takes 10,000 parts a file",
        found: |config, _| {
            let parts = config.pipeline.sink.s3.part_bytes? as u64;
            let most = parts.saturating_mul(10_000);
            (config.pipeline.rotate.bytes > most).then(|| {
                format!(
                    "`{}` found, at most {} with `sink.part_bytes` of {} required",
                    units::show_size(config.pipeline.rotate.bytes),
                    units::show_size(most),
                    units::show_size(parts)
                )
            })
        },
    },
    Rule {
        path: "state",
        beside: &["sink.url", "rejects.url"],
        why: "readers of a topic's folder must meet nothing but its files",
        found: |config, _| {
            let (sink, rejects) = (&config.pipeline.sink, &config.pipeline.rejects.prefix);
            super::commit::misplaced(sink.state.as_ref()?, &sink.url, rejects)
        },
    },
    Rule {
        path: "commit.timezone",
        beside: &["commit.schedule"],
        why: "nothing else in this section has times of a day",
        found: |_, v| {
            (v.node("commit.timezone").is_some() && v.node("commit.schedule").is_none())
                .then(|| "found alone, `commit.schedule` required beside it".to_owned())
        },
    },
    Rule {
        path: "readers",
        beside: &[],
        why: "the exact types are what the others cannot read",
        found: |config, _| {
            let readers = &config.pipeline.readers;
            (readers.contains(&Reader::Native) && readers.len() > 1).then(|| {
                "`native` found beside others, `native` alone or the others required".to_owned()
            })
        },
    },
    Rule {
        path: "key.format",
        beside: &["metadata"],
        why: "`key` there is short for `key.format: bytes`",
        found: |config, v| {
            let ignored = v.node("key.format").is_some_and(
                |node| matches!(&node.kind, super::yaml::Kind::Scalar(word) if word == "ignore"),
            );
            (ignored && config.pipeline.key.format.is_some())
                .then(|| "`ignore` found beside `metadata: [key]`, one of them required".to_owned())
        },
    },
    Rule {
        path: "limits.decoded_bytes",
        beside: &["memory.limit"],
        why: "one record must leave room for the others",
        found: |config, _| {
            let (found, most) = (config.pipeline.limits.decoded_bytes, config.memory_limit / 4);
            (found > most).then(|| {
                format!(
                    "`{}` found, at most {} (a quarter of `memory.limit`) required",
                    units::show_size(found as u64),
                    units::show_size(most as u64)
                )
            })
        },
    },
    Rule {
        path: "limits.record_bytes",
        beside: &["memory.limit"],
        why: "one record must leave room for the others",
        found: |config, _| {
            let (found, most) = (config.pipeline.limits.record_bytes, config.memory_limit / 2);
            (found > most).then(|| {
                format!(
                    "`{}` found, at most {} (half of `memory.limit`) required",
                    units::show_size(found as u64),
                    units::show_size(most as u64)
                )
            })
        },
    },
];

/// Whether an option says another word than its default.
fn is_changed(opt: &Opt, v: &Values<'_>) -> bool {
    let Some(Kind::Scalar(word)) = v.node(opt.path).map(|node| &node.kind) else { return false };
    !matches!(opt.default, Unset::Is(default) if default == word)
}

/// Asks every rule; adds findings and warnings.
pub(super) fn check(config: &Config, v: &mut Values<'_>) {
    for rule in RULES {
        if v.is_wrong(rule.path) || rule.beside.iter().any(|path| v.is_wrong(path)) {
            continue;
        }
        if let Some(found) = (rule.found)(config, v) {
            let line = v.line(rule.path);
            v.find(
                &CONFLICT,
                rule.path,
                line,
                format!("option `{}`: {found}; {}", rule.path, rule.why),
            );
        }
    }
    let pipeline = &config.pipeline;
    if pipeline.value.tombstones == Tombstones::Row && pipeline.key.format.is_none() {
        v.warn(
            "value.tombstones",
            "rows of tombstones without the key do not say what was deleted: set `key.format`",
        );
    }
    let registry = &config.pipeline.registry;
    if registry.auth != RegistryAuth::None
        && registry.urls.iter().any(|url| url.starts_with("http://"))
    {
        v.warn("registry.url", "registry credentials over plain HTTP: everybody on the way can read them; use `https://`");
    }
}
