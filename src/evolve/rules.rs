//! How the columns of one schema become those of another: the one table of what may be projected.
//!
//! Owns: which column feeds which, promotions, what is added, dropped, renamed, what does not fit.
//! Does not own: how values are converted: the decoders read a writer's bytes into a target's columns
//! (`decode`), and [`super::Widened`] fills the columns of a merge.
//! Bounded by: the columns of the two schemas.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use serde::{Deserialize, Serialize};

use super::EXTENSION;

/// Metadata key of a field's number in its Protobuf message.
pub const FIELD_NUMBER: &str = "forebay.field_number";

/// Metadata key of a field that holds a time or a duration as a bare integer: `s`, `ms`, `us` or `ns`.
pub const UNIT: &str = "forebay.unit";

/// Metadata key of what Kafka Connect calls a field's type, where that says what its values count, and a later step
/// goes by it.
pub const CONNECT_NAME: &str = "forebay.connect_name";

/// Metadata key of a field's other names, a JSON list of them: Avro's aliases.
pub const ALIASES: &str = "forebay.aliases";

/// Metadata key of the names that a type has in its schema, a JSON list without namespaces: its own, then its
/// aliases. Avro's records, enums and fixeds have them.
pub const NAMES: &str = "forebay.names";

/// Metadata key of a struct of which one member is there: a union. Its value says nothing.
pub const UNION: &str = "forebay.union";

/// What the languages see differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// A column that the writer does not have is filled with its default, null or not: Protobuf says so,
    /// and Avro's own resolution decides for itself.
    Defaults,
    /// A column without nulls must be there: a JSON Schema's `required`.
    Required,
    /// As [`Law::Required`], and nothing may be found out record by record: columns are converted as
    /// they are, and each must have its place.
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
    /// The one member of a union that takes it.
    Member(usize, Box<How>),
    /// A list of the one value.
    One(Box<How>),
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

/// Columns whose [`CONNECT_NAME`] is not what it was: of all that [`project`] looks at, what Avro's own resolution
/// does not.
pub fn renamed_types(writer: &Schema, target: &Schema) -> Result<(), Vec<Misfit>> {
    fn walk(writer: &Fields, target: &Fields, path: &str, misfits: &mut Vec<Misfit>) {
        for (to, met) in target.iter().zip(meet(target, writer)) {
            let Some(from) = met.and_then(|at| writer.get(at)) else { continue };
            let path = join(path, to.name());
            let (own, theirs) = (meaning(from, CONNECT_NAME), meaning(to, CONNECT_NAME));
            if own != theirs {
                misfits.push(Misfit { path: path.clone(), found: own, required: theirs });
            }
            if let (DataType::Struct(from), DataType::Struct(to)) =
                (from.data_type(), to.data_type())
            {
                walk(from, to, &path, misfits);
            }
        }
    }
    let mut misfits = Vec::new();
    walk(writer.fields(), target.fields(), "", &mut misfits);
    if misfits.is_empty() { Ok(()) } else { Err(misfits) }
}

/// What integers count, or why two columns of one type are not the same: found and required.
pub(super) fn apart(from: &Field, to: &Field) -> Option<(String, String)> {
    let of = |key| (meaning(from, key), meaning(to, key));
    [UNIT, CONNECT_NAME].map(of).into_iter().find(|(from, to)| from != to)
}

/// Text that is JSON and text that is not, found and required: one value would have two meanings in one column.
pub(super) fn forms(from: &Field, to: &Field) -> Option<(&'static str, &'static str)> {
    let form = |field: &Field| match (field.data_type(), field.metadata().get(EXTENSION)) {
        (DataType::Utf8, Some(name)) if name == "arrow.json" => Some("JSON"),
        (DataType::Utf8, _) => Some("text"),
        (DataType::Binary, _) => Some("bytes"),
        _ => None,
    };
    let (from, to) = (form(from)?, form(to)?);
    (from != to && (from == "JSON" || to == "JSON")).then_some((from, to))
}

/// `in ms`, `in units`; `io.debezium.time.Date`, `no name of Connect's`.
fn meaning(field: &Field, key: &str) -> String {
    match (field.metadata().get(key), key) {
        (Some(unit), UNIT) => format!("in {unit}"),
        (None, UNIT) => "in units".to_owned(),
        (Some(name), _) => format!("`{name}`"),
        (None, _) => "no name of Connect's".to_owned(),
    }
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
        (Int32 | UInt32, DataType::Decimal128(p, 0) | DataType::Decimal256(p, 0)) => *p >= 10,
        (Int64, DataType::Decimal128(p, 0) | DataType::Decimal256(p, 0)) => *p >= 19,
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

/// For each column of `a` the same one of `b`: by number, by name, and then, of those that are left, by alias.
pub(super) fn meet(a: &Fields, b: &Fields) -> Vec<Option<usize>> {
    let numbers = first_of(b, |field| field.metadata().get(FIELD_NUMBER));
    let names = first_of(b, |field| Some(field.name()));
    let of = |field: &FieldRef| match field.metadata().get(FIELD_NUMBER) {
        // Numbers on one side only: a column that stands beside the fields.
        Some(number) if !numbers.is_empty() => numbers.get(number).copied(),
        _ => names.get(field.name()).copied(),
    };
    let mut found: Vec<Option<usize>> = a.iter().map(of).collect();
    let known = known_as(b);
    let mut taken: HashSet<usize> = found.iter().flatten().copied().collect();
    for (field, found) in a.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
        let own = aliases(field).into_iter().filter_map(|alias| names.get(&alias).copied());
        let mut by_alias = known.get(field.name()).copied().into_iter().chain(own);
        *found = by_alias.find(|at| taken.insert(*at));
    }
    found
}

/// A name that was another column's before: `a` of one version is `b` of the next by its alias, and another
/// column is `a` now.
pub(super) fn ambiguous<'f>(
    a: &'f Fields,
    b: &'f Fields,
    met: &[Option<usize>],
) -> Option<&'f str> {
    let taken: HashSet<usize> = met.iter().flatten().copied().collect();
    let is_met = |at: usize| met.get(at).is_some_and(Option::is_some);
    let (of_a, of_b) = (known_as(a), known_as(b));
    let named_in_b = b.iter().enumerate().filter(|(at, _)| taken.contains(at));
    let named_in_a = a.iter().enumerate().filter(|(at, _)| is_met(*at));
    let mut found = named_in_b
        .filter(|(_, field)| of_a.get(field.name()).is_some_and(|holder| !is_met(*holder)))
        .chain(named_in_a.filter(|(_, field)| {
            of_b.get(field.name()).is_some_and(|holder| !taken.contains(holder))
        }));
    found.next().map(|(_, field)| field.name().as_str())
}

/// The first column for each of what `key` says.
fn first_of(fields: &Fields, key: fn(&Field) -> Option<&String>) -> HashMap<&String, usize> {
    let mut first = HashMap::with_capacity(fields.len());
    for (at, field) in fields.iter().enumerate() {
        if let Some(key) = key(field) {
            first.entry(key).or_insert(at);
        }
    }
    first
}

/// The first column for each alias.
fn known_as(fields: &Fields) -> HashMap<String, usize> {
    let mut known = HashMap::new();
    for (at, field) in fields.iter().enumerate() {
        for alias in aliases(field) {
            known.entry(alias).or_insert(at);
        }
    }
    known
}

pub(super) fn aliases(field: &Field) -> Vec<String> {
    listed(field, ALIASES)
}

/// A JSON list of the metadata; empty without one.
pub(super) fn listed(field: &Field, key: &str) -> Vec<String> {
    let text = field.metadata().get(key);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The members of a union.
pub(super) fn union_of(field: &Field) -> Option<&Fields> {
    match field.data_type() {
        DataType::Struct(members) if field.metadata().contains_key(UNION) => Some(members),
        _ => None,
    }
}

/// Whether two types may be the same one by their names: where both have one, it is known to the other.
fn is_named_alike(a: &Field, b: &Field) -> bool {
    let [a, b] = [a, b].map(|field| listed(field, NAMES));
    match (a.first(), b.first()) {
        (Some(name), Some(other)) => b.contains(name) || a.contains(other),
        _ => true,
    }
}

/// The one member of a union that takes values of a column: of the same type, else of one they may become. Types
/// with names go to those of their name.
pub(super) fn member_for(field: &Field, members: &Fields) -> Option<usize> {
    let only = |fits: &dyn Fn(&Field) -> bool| {
        let mut found = members.iter().enumerate().filter(|(_, member)| fits(member));
        let first = found.next()?.0;
        found.next().is_none().then_some(first)
    };
    let of = field.data_type();
    let means = |other: &Field| apart(field, other).is_none() && is_named_alike(field, other);
    let same = |other: &Field| {
        let nested = matches!(of, DataType::Struct(_) | DataType::List(_) | DataType::Map(..));
        let alike = std::mem::discriminant(other.data_type()) == std::mem::discriminant(of);
        means(other) && (other.data_type() == of || nested && alike)
    };
    let wider =
        |other: &Field| means(other) && *of != DataType::Null && promotes(of, other.data_type());
    match members.iter().any(|member| same(member)) {
        true => only(&same),
        false => only(&wider),
    }
}

struct Walk {
    law: Law,
    changes: Changes,
    misfits: Vec<Misfit>,
}

impl Walk {
    fn fields(&mut self, writer: &Fields, target: &Fields, path: &str) -> Vec<Fill> {
        let met = meet(target, writer);
        if self.law == Law::Columns
            && let Some(name) = ambiguous(target, writer, &met)
        {
            let found = "the name of two fields, by the aliases of one".to_owned();
            self.misfit(&join(path, name), found, "the same field".into());
        }
        let fills: Vec<Fill> =
            target.iter().zip(met).map(|(to, met)| self.field(writer, to, met, path)).collect();
        let from = |fill: &Fill| match fill {
            Fill::From(at, _) => Some(*at),
            Fill::Absent => None,
        };
        let taken: HashSet<usize> = fills.iter().filter_map(from).collect();
        let dropped = writer.iter().enumerate().filter(|(at, _)| !taken.contains(at));
        for (_, field) in dropped {
            let path = join(path, field.name());
            if self.law == Law::Columns {
                let name = field.name().to_lowercase();
                // Whose values nobody would look for elsewhere.
                match target.iter().any(|to| to.name().to_lowercase() == name) {
                    true => {
                        let found = "another field of that name".into();
                        self.misfit(&path, found, "the same field".into());
                    }
                    false => self.misfit(&path, plain(field.data_type()), "nothing".into()),
                }
            }
            self.changes.dropped.push(path);
        }
        fills
    }

    fn field(&mut self, writer: &Fields, to: &Field, met: Option<usize>, path: &str) -> Fill {
        let path = join(path, to.name());
        let Some(at) = met else {
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
            self.misfit(&path, format!("{} or null", plain(from.data_type())), required(to));
        }
        Fill::From(at, self.of(from, to, &path))
    }

    /// A value, which may become one member of a union, or the one item of a list.
    fn of(&mut self, from: &Field, to: &Field, path: &str) -> How {
        match (union_of(from), union_of(to)) {
            (None, Some(members)) if *from.data_type() != DataType::Null => {
                return self.member(from, to, members, path);
            }
            (Some(_), None) if matches!(to.data_type(), DataType::Struct(_)) => {
                self.misfit(path, "one of several types".into(), plain(to.data_type()));
            }
            _ => {}
        }
        if let DataType::List(item) = to.data_type()
            && self.law == Law::Defaults
            && !matches!(from.data_type(), DataType::List(_) | DataType::Map(..))
        {
            self.changes.promoted.push(format!("{path}: {} → List", plain(from.data_type())));
            return How::One(Box::new(self.of(from, item, path)));
        }
        if let Some((found, required)) = apart(from, to) {
            self.misfit(path, found, required);
        }
        self.form(from, to, path);
        self.value(from.data_type(), to.data_type(), path)
    }

    /// A decoder that reads a writer's bytes writes JSON into JSON; as they are, the two do not mix.
    fn form(&mut self, from: &Field, to: &Field, path: &str) {
        if self.law == Law::Columns
            && let Some((found, required)) = forms(from, to)
        {
            self.misfit(path, found.to_owned(), required.to_owned());
        }
    }

    /// The member of a union that takes a column, as its one value.
    fn member(&mut self, from: &Field, to: &Field, members: &Fields, path: &str) -> How {
        let found = plain(from.data_type());
        let at = member_for(from, members);
        let Some((at, member)) = at.and_then(|at| Some((at, members.get(at)?))) else {
            self.misfit(path, found, plain(to.data_type()));
            return How::Same;
        };
        self.form(from, member, path);
        self.changes.promoted.push(format!("{path}: {found} → one of several types"));
        let inner = self.value(from.data_type(), member.data_type(), &join(path, member.name()));
        How::Member(at, Box::new(inner))
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
                self.misfit(path, plain(from), plain(to));
                How::Promote
            }
            (from, to) => {
                match promotes(from, to) {
                    true => self.changes.promoted.push(format!("{path}: {from} → {to}")),
                    false => self.misfit(path, plain(from), plain(to)),
                }
                How::Promote
            }
        }
    }

    /// An element of a list, a key or a value of a map.
    fn item(&mut self, from: &Field, to: &Field, path: &str) -> How {
        if self.law == Law::Columns && from.is_nullable() && !to.is_nullable() {
            self.misfit(path, format!("{} or null", plain(from.data_type())), required(to));
        }
        self.of(from, to, path)
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
        true => plain(field.data_type()),
        false => format!("{} without null", plain(field.data_type())),
    }
}

/// A type without what is noted of its fields: `Struct{b Int32}`, `List of Int32`.
pub(super) fn plain(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|f| format!("{} {}", f.name(), plain(f.data_type()))).collect();
            format!("Struct{{{}}}", fields.join(", "))
        }
        DataType::List(item) => format!("List of {}", plain(item.data_type())),
        DataType::Map(entries, _) => match pair(entries) {
            Some((key, value)) => {
                format!("Map of {} to {}", plain(key.data_type()), plain(value.data_type()))
            }
            None => "Map".to_owned(),
        },
        leaf => leaf.to_string(),
    }
}

/// `device` and `os` → `device.os`
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
