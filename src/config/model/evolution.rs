//! Whose columns rows have: the section `evolution`.

use std::time::Duration;

use super::Placed;

/// What a new schema version does to the columns of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evolution {
    pub mode: EvolutionMode,
    pub on_incompatible: OnIncompatible,
    /// How often a subject is asked for new versions.
    pub refresh: Duration,
    /// [`EvolutionMode::Fixed`]: the version of each subject whose columns all rows have, or
    pub version: Option<u32>,
    /// the text of a schema, in the language that its file name says.
    pub schema: Option<Placed>,
    /// [`EvolutionMode::Rotate`], by the rules of Kafka Connect's sinks.
    pub compatibility: Option<Compatibility>,
}

/// Which schema's columns a record's row takes beside files that were begun with another: the sinks'
/// `schema.compatibility`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compatibility {
    /// Its own.
    None,
    /// Those of the newest version so far.
    Backward,
    /// Those of the oldest version so far.
    Forward,
    /// As [`Compatibility::Backward`].
    Full,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvolutionMode {
    /// Those of the schema that wrote the record.
    Rotate,
    /// Those of the newest version of its subject.
    Latest,
    /// Those of all versions of its subject.
    Superset,
    /// Those of one schema.
    Fixed,
}

/// What becomes of records whose rows cannot have the columns of their target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnIncompatible {
    /// Their rows keep their own columns, in files of their own.
    Rotate,
    Reject,
    /// The Kafka partition waits for another version.
    Pause,
}
