//! Compatibility levels, and which way each looks.

use crate::registry::{Parsed, Schema};

use super::{compat_avro, compat_protobuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl Level {
    const ALL: [(Level, &'static str); 7] = [
        (Level::None, "NONE"),
        (Level::Backward, "BACKWARD"),
        (Level::BackwardTransitive, "BACKWARD_TRANSITIVE"),
        (Level::Forward, "FORWARD"),
        (Level::ForwardTransitive, "FORWARD_TRANSITIVE"),
        (Level::Full, "FULL"),
        (Level::FullTransitive, "FULL_TRANSITIVE"),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(level, _)| *level == self).map_or("", |(_, name)| name)
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(level, _)| *level)
    }

    /// Against every version, not only the latest.
    pub(super) fn is_transitive(self) -> bool {
        matches!(self, Level::BackwardTransitive | Level::ForwardTransitive | Level::FullTransitive)
    }

    /// The new schema must read what the old one wrote.
    fn is_backward(self) -> bool {
        matches!(
            self,
            Level::Backward | Level::BackwardTransitive | Level::Full | Level::FullTransitive
        )
    }

    /// The old schema must read what the new one writes.
    fn is_forward(self) -> bool {
        matches!(
            self,
            Level::Forward | Level::ForwardTransitive | Level::Full | Level::FullTransitive
        )
    }
}

/// What stands between an old and a new schema; nothing if they are compatible.
pub(super) fn check(level: Level, old: &Schema, new: &Schema) -> Vec<String> {
    let mut messages = Vec::new();
    if level.is_backward() {
        messages.extend(
            reads(new, old).into_iter().map(|m| format!("new schema cannot read old data: {m}")),
        );
    }
    if level.is_forward() {
        messages.extend(
            reads(old, new).into_iter().map(|m| format!("old schema cannot read new data: {m}")),
        );
    }
    messages
}

/// Why `reader` cannot read everything that `writer` writes.
fn reads(reader: &Schema, writer: &Schema) -> Vec<String> {
    match (&reader.parsed, &writer.parsed) {
        (Parsed::Avro(reader), Parsed::Avro(writer)) => {
            compat_avro::check(&reader.schema, &writer.schema)
        }
        (Parsed::Protobuf(reader), Parsed::Protobuf(writer)) => {
            compat_protobuf::check(reader, writer)
        }
        (Parsed::Json(reader), Parsed::Json(writer)) if same_json(&reader.text, &writer.text) => Vec::new(),
        (Parsed::Json(_), Parsed::Json(_)) => vec![
            "changes of JSON Schema are not judged by this registry; set the subject's compatibility to NONE"
                .to_owned(),
        ],
        _ => vec!["another schema type".to_owned()],
    }
}

fn same_json(a: &str, b: &str) -> bool {
    let read = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    read(a).is_some_and(|a| Some(a) == read(b))
}
