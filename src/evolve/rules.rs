//! How the columns of one schema become those of another: the one table of what may be projected.
//!
//! Owns: which column feeds which, promotions, what is added, dropped, renamed, what does not fit.
//! Does not own: how values are converted: the decoders read a writer's bytes into a target's columns
//! (`decode`), and [`super::Widened`] fills the columns of a merge.
//! Bounded by: the columns of the two schemas.

use arrow::datatypes::{DataType, Field, Fields, Schema};
use serde::{Deserialize, Serialize};

/// Metadata key of a field's number in its Protobuf message.
pub const FIELD_NUMBER: &str = "forebay.field_number";

/// Metadata key of a field that holds a time or a duration as a bare integer: `s`, `ms`, `us` or `ns`.
pub const UNIT: &str = "forebay.unit";

/// What the languages see differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// A column that the writer does not have is filled with its default, null or not: Protobuf says so,
    /// and Avro's own resolution decides for itself.
    Defaults,
    /// A column without nulls must be there: a JSON Schema's `required`.
    Required,
    /// As [`Law::Required`], and nothing may be found out record by record: columns are converted as
    /// they are.
    Columns,
}

/// How a target's columns are filled from a writer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// By target column.
    pub columns: Vec<Fill>,
    pub changes: Changes,
}

/// Where one column of the target comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// The writer has none: null, or the default.
    Absent,
    /// The writer's column of this number in its struct.
    From(usize, How),
}

/// What becomes of a value on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    Same,
    /// The type changes: see [`promotes`].
    Promote,
    Struct(Vec<Fill>),
    List(Box<How>),
    Map(Box<How>, Box<How>),
}

/// What a reader of the files might want to know, by dotted path. Paths are the target's, but for those
/// that it does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Changes {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// `amount: Int32 → Int64`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub promoted: Vec<String>,
    /// `street → road`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub renamed: Vec<String>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.dropped.is_empty()
            && self.promoted.is_empty()
            && self.renamed.is_empty()
    }
}

/// A column of the writer that no column of the target can take, or the other way round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Dotted path of the target's column.
    pub path: String,
    /// Type that the writer has; `nothing` without a column.
    pub found: String,
    pub required: String,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`: {} found, {} required", self.path, self.found, self.required)
    }
}

/// Decides how rows of `writer` take the columns of `target`.
///
/// Columns meet by the number of their field where both have one, else by name. Errors: every misfit.
pub fn project(writer: &Schema, target: &Schema, law: Law) -> Result<Projection, Vec<Misfit>> {
    let mut walk = Walk { law, changes: Changes::default(), misfits: Vec::new() };
    let columns = walk.fields(writer.fields(), target.fields(), "");
    if walk.misfits.is_empty() {
        return Ok(Projection { columns, changes: walk.changes });
    }
    Err(walk.misfits)
}

/// What [`project`] would say changes, also where something does not fit: Avro's own resolution decides that.
pub fn changes(writer: &Schema, target: &Schema) -> Changes {
    let mut walk = Walk { law: Law::Defaults, changes: Changes::default(), misfits: Vec::new() };
    walk.fields(writer.fields(), target.fields(), "");
    walk.changes
}

/// Whether every value of `from` is one of `to`, or (`Binary` to `Utf8`) may be, record by record.
///
/// Source: Avro's schema resolution, and decimals that only grow.
pub fn promotes(from: &DataType, to: &DataType) -> bool {
    use DataType::{Binary, Float32, Float64, Int32, Int64, Null, UInt32, UInt64, Utf8};
    match (from, to) {
        (Int32, Int64 | Float32 | Float64) | (Int64, Float32 | Float64) | (Float32, Float64) => {
            true
        }
        (UInt32, UInt64) | (Utf8, Binary) | (Binary, Utf8) | (Null, _) => true,
        _ => match (decimal(from), decimal(to)) {
            (Some((p, s)), Some((q, t))) => t >= s && q - t >= p - s,
            _ => false,
        },
    }
}

/// Precision and scale.
pub(super) fn decimal(data_type: &DataType) -> Option<(i32, i32)> {
    match data_type {
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => {
            Some((i32::from(*p), i32::from(*s)))
        }
        _ => None,
    }
}

/// The column of `fields` that is the same as `field`.
pub(super) fn counterpart(field: &Field, fields: &Fields) -> Option<usize> {
    let number = |field: &Field| field.metadata().get(FIELD_NUMBER).cloned();
    let own = number(field);
    if own.is_some() {
        let by_number = fields.iter().position(|other| number(other) == own);
        // Numbers on one side only: a column that stands beside the fields.
        if by_number.is_some() || fields.iter().any(|other| number(other).is_some()) {
            return by_number;
        }
    }
    let same = |other: &&std::sync::Arc<Field>| {
        other.name() == field.name() && (own.is_none() || number(other).is_none())
    };
    fields.iter().position(|other| same(&other))
}

struct Walk {
    law: Law,
    changes: Changes,
    misfits: Vec<Misfit>,
}

impl Walk {
    fn fields(&mut self, writer: &Fields, target: &Fields, path: &str) -> Vec<Fill> {
        let fills: Vec<Fill> = target.iter().map(|to| self.field(writer, to, path)).collect();
        let taken =
            |at: usize| fills.iter().any(|f| matches!(f, Fill::From(from, _) if *from == at));
        for (at, field) in writer.iter().enumerate() {
            if !taken(at) {
                self.changes.dropped.push(join(path, field.name()));
            }
        }
        fills
    }

    fn field(&mut self, writer: &Fields, to: &Field, path: &str) -> Fill {
        let path = join(path, to.name());
        let Some(at) = counterpart(to, writer) else {
            if !to.is_nullable() && self.law != Law::Defaults {
                self.misfit(&path, "nothing".into(), required(to));
            }
            self.changes.added.push(path);
            return Fill::Absent;
        };
        let Some(from) = writer.get(at) else { return Fill::Absent };
        if from.name() != to.name() {
            self.changes.renamed.push(format!("{} → {path}", from.name()));
        }
        if self.law == Law::Columns && from.is_nullable() && !to.is_nullable() {
            self.misfit(&path, format!("{} or null", from.data_type()), required(to));
        }
        let (own, theirs) = (from.metadata().get(UNIT), to.metadata().get(UNIT));
        if own != theirs {
            let unit = |unit: Option<&String>| format!("in {}", unit.map_or("units", |u| u));
            self.misfit(&path, unit(own), unit(theirs));
        }
        Fill::From(at, self.value(from.data_type(), to.data_type(), &path))
    }

    fn value(&mut self, from: &DataType, to: &DataType, path: &str) -> How {
        match (from, to) {
            (DataType::Struct(from), DataType::Struct(to)) => {
                How::Struct(self.fields(from, to, path))
            }
            (DataType::List(from), DataType::List(to)) => {
                How::List(Box::new(self.item(from, to, path)))
            }
            (DataType::Map(from, _), DataType::Map(to, _)) => match (pair(from), pair(to)) {
                (Some((from_key, from_value)), Some((to_key, to_value))) => How::Map(
                    Box::new(self.item(from_key, to_key, &join(path, "key"))),
                    Box::new(self.item(from_value, to_value, &join(path, "value"))),
                ),
                _ => How::Same,
            },
            (from, to) if from == to => How::Same,
            (DataType::Binary, DataType::Utf8) if self.law == Law::Columns => {
                self.misfit(path, from.to_string(), to.to_string());
                How::Promote
            }
            (from, to) => {
                match promotes(from, to) {
                    true => self.changes.promoted.push(format!("{path}: {from} → {to}")),
                    false => self.misfit(path, from.to_string(), to.to_string()),
                }
                How::Promote
            }
        }
    }

    /// An element of a list, a key or a value of a map.
    fn item(&mut self, from: &Field, to: &Field, path: &str) -> How {
        if self.law == Law::Columns && from.is_nullable() && !to.is_nullable() {
            self.misfit(path, format!("{} or null", from.data_type()), required(to));
        }
        self.value(from.data_type(), to.data_type(), path)
    }

    fn misfit(&mut self, path: &str, found: String, required: String) {
        self.misfits.push(Misfit { path: path.to_owned(), found, required });
    }
}

/// Key and value of a map's entries.
pub(super) fn pair(entries: &Field) -> Option<(&Field, &Field)> {
    match entries.data_type() {
        DataType::Struct(fields) => match fields.as_ref() {
            [key, value] => Some((key, value)),
            _ => None,
        },
        _ => None,
    }
}

fn required(field: &Field) -> String {
    match field.is_nullable() {
        true => field.data_type().to_string(),
        false => format!("{} without null", field.data_type()),
    }
}

/// `device` and `os` → `device.os`
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
