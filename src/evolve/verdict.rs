//! What programs that read the files make of files of two versions together.
//!
//! Owns: one table of facts, by reader and kind of difference; the statement that helps.
//! Does not own: what differs ([`super::compare()`]), types in each dialect ([`super::sql`]).
//! Bounded by: the differences given.
//!
//! A reader has the columns of the older version: a table with those columns (Athena, Spark, Trino, Iceberg), or
//! what it takes from the first file (DuckDB's `read_parquet`, pyarrow's `dataset`). Then files of the newer
//! version come.
//!
//! Sources
//! - Spark: tried with 4.0.1, a table `USING parquet` with columns of its own, vectorized reader, and the statements
//!   with it. That Spark 3 refuses wider types: SPARK-40876, which is in 4.0.
//! - DuckDB: 2.0.0, `read_parquet` of a list of files; pyarrow: 26.0.1, `dataset.dataset` of one. Both read files of
//!   two versions in `tests/stack/py/plan_readers.py`, and the statements help there.
//! - Athena: its user guide, "Handle schema updates" (Parquet by name, what may change), "Change a column data
//!   type" (which types, and only between partitions), "Add columns at the end of the table".
//! - Trino: the Hive connector's page: columns of Parquet by name by default, `ALTER TABLE` adds columns and
//!   changes no types, coercions are those between a table and its partitions. Not tried.
//! - Iceberg: the table specification ("Schema evolution": promotions; "Column projection": by name mapping where
//!   files have no ids); tried with 1.10.0 on Spark 4.0.1, each version's files added by the procedure `add_files`, the
//!   statements before those of the newer one.

use arrow::datatypes::{DataType, Field, Schema};
use serde::Serialize;

use super::compare::{By, Difference, What, brief, compare};
use super::rules::{decimal, promotes};
use super::sql::Dialect;

mod facts;

pub use facts::ROW_BY_ROW;
use facts::{HELPLESS, NULLABLE, fact};

use Kind::{Case, Precision, Renamed, RequiredAppears, RequiredDisappears, TimeUnit, Widened};
use Reader::{Athena, Duckdb, Iceberg, Pyarrow, Spark, Trino};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reader {
    Athena,
    Spark,
    Trino,
    Duckdb,
    Iceberg,
    Pyarrow,
}

impl Reader {
    pub const ALL: [Reader; 6] = [
        Reader::Athena,
        Reader::Spark,
        Reader::Trino,
        Reader::Duckdb,
        Reader::Iceberg,
        Reader::Pyarrow,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Reader::Athena => "athena",
            Reader::Spark => "spark",
            Reader::Trino => "trino",
            Reader::Duckdb => "duckdb",
            Reader::Iceberg => "iceberg",
            Reader::Pyarrow => "pyarrow",
        }
    }
}

/// Worse ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Level {
    /// Queries go on, and see everything that they ask for.
    #[serde(rename = "reads as is")]
    AsIs,
    /// Queries go on; what is new is not seen before somebody says so to the reader.
    #[serde(rename = "needs ALTER")]
    Alter,
    /// Queries over old and new files fail, or give wrong values, before somebody acts, or for good.
    #[serde(rename = "breaks")]
    Breaks,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::AsIs => "reads as is",
            Level::Alter => "needs ALTER",
            Level::Breaks => "breaks",
        }
    }
}

/// What one reader makes of one difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Point {
    pub path: String,
    pub level: Level,
    pub why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub reader: Reader,
    /// Of the worst of its points.
    pub level: Level,
    pub points: Vec<Point>,
    /// What makes old and new files read together, in this order; empty where nothing is needed or helps.
    pub statements: Vec<String>,
}

/// What every reader makes of files with the columns of `older` and of `newer` together. `table`: its name.
/// `rows`: [`By::Field`] where rows of older writers are read onto the newer columns, so that a name may hold
/// another field's values there; [`By::Name`] where every file has the names of its writer.
pub fn verdicts(older: &Schema, newer: &Schema, rows: By, table: &str) -> Vec<Verdict> {
    let differences = compare(older, newer, By::Name);
    // Or stands in what is.
    let is_new = |path: &[String]| {
        differences.iter().any(|d| match d.what {
            What::Added { .. } => path.starts_with(&d.path),
            What::Type { .. } => path.len() > d.path.len() && path.starts_with(&d.path),
            _ => false,
        })
    };
    let is_case = |path: &[String], from: &str| {
        path.last().is_some_and(|name| name.to_lowercase() == from.to_lowercase())
    };
    let (mut renamed, mut others) = (Vec::new(), Vec::new());
    for difference in compare(older, newer, By::Field) {
        match difference.what {
            What::Renamed { from } if is_new(&difference.path) => {
                renamed.push((difference.path, from));
            }
            What::Renamed { from } if is_case(&difference.path, &from) => {}
            What::Renamed { .. } | What::Added { .. }
                if rows == By::Field && !is_new(&difference.path) =>
            {
                others.push(difference.dotted());
            }
            _ => {}
        }
    }
    let with_others = |mut verdict: Verdict| {
        if !others.is_empty() {
            let (level, why) = fact(verdict.reader, Kind::Another);
            verdict.level = verdict.level.max(level);
            let point = |path: &String| Point { path: path.clone(), level, why };
            verdict.points.extend(others.iter().map(point));
            verdict.statements.clear();
        }
        verdict
    };
    let of = |reader| with_others(verdict(reader, &differences, &renamed, table));
    Reader::ALL.map(of).into()
}

fn verdict(
    reader: Reader,
    differences: &[Difference],
    renamed: &[(Vec<String>, String)],
    table: &str,
) -> Verdict {
    let mut verdict =
        Verdict { reader, level: Level::AsIs, points: Vec::new(), statements: Vec::new() };
    for difference in differences {
        let (kind, path) = kind(difference, renamed);
        // The column that a rename takes away is said with the one that it brings.
        if kind == Kind::RenamedAway {
            continue;
        }
        let (level, why) = fact(reader, kind);
        verdict.level = verdict.level.max(level);
        verdict.points.push(Point { path, level, why });
        if level > Level::AsIs
            && let Some(statement) = statement(reader, kind, difference, renamed, table)
            && !verdict.statements.contains(&statement)
        {
            verdict.statements.push(statement);
        }
    }
    // One that makes the table anew makes the others needless.
    let anew = |s: &&String| s.starts_with("DROP TABLE") || s.contains(NULLABLE);
    if let Some(anew) = verdict.statements.iter().find(anew).cloned() {
        verdict.statements = vec![anew];
    }
    // What nothing helps leaves no statement to mislead.
    let helpless = |point: &Point| point.why.ends_with(HELPLESS);
    if verdict.points.iter().any(helpless) {
        verdict.statements.clear();
    }
    verdict
}

/// A difference, as readers know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Appears,
    Disappears,
    /// By the number of its field it is the same, by its name it is not.
    Renamed,
    RenamedAway,
    FieldAppears,
    FieldDisappears,
    /// Never null where it is.
    RequiredAppears,
    RequiredDisappears,
    /// Letters' case.
    Case,
    /// int → bigint, float → double.
    Widened,
    /// Decimals: more digits before the point.
    Precision,
    /// int → double, decimals: more digits behind the point.
    Wider,
    /// bigint → double and the like: some integers have no such float.
    Rounded,
    /// The way back of one of those.
    Narrowed,
    TextBytes,
    /// Milliseconds, microseconds, nanoseconds.
    TimeUnit,
    /// Of times that stand as bare integers.
    BareUnit,
    /// Text and JSON text.
    Form,
    /// Its name was another field's.
    Another,
    Retyped,
    Null,
    Order,
}

fn kind(difference: &Difference, renamed: &[(Vec<String>, String)]) -> (Kind, String) {
    let dotted = difference.dotted();
    let path = &difference.path;
    let away = |(new, from): &(Vec<String>, String)| {
        path.split_last().is_some_and(|(last, within)| {
            last == from && new.split_last().is_some_and(|(_, other)| within == other)
        })
    };
    let kind = match &difference.what {
        What::Added { .. } => match renamed.iter().find(|(new, _)| new == path) {
            Some((_, from)) => return (Kind::Renamed, format!("{from} → {dotted}")),
            None if difference.is_top() => Kind::Appears,
            None if matches!(difference.what, What::Added { nullable: false, .. }) => {
                Kind::RequiredAppears
            }
            None => Kind::FieldAppears,
        },
        What::Dropped { .. } if renamed.iter().any(away) => Kind::RenamedAway,
        What::Dropped { .. } if difference.is_top() => Kind::Disappears,
        What::Dropped { nullable: false, .. } => Kind::RequiredDisappears,
        What::Dropped { .. } => Kind::FieldDisappears,
        What::Renamed { .. } => Kind::Case,
        What::Type { from, to } => {
            let path = format!("{dotted}: {} → {}", brief(from), brief(to));
            return (retyped(from, to), path);
        }
        What::Unit { .. } => Kind::BareUnit,
        What::Form { from, to } => return (Kind::Form, format!("{dotted}: {from} → {to}")),
        What::Nullable | What::Required => Kind::Null,
        What::Order => Kind::Order,
    };
    (kind, if dotted.is_empty() { "order of columns".to_owned() } else { dotted })
}

fn retyped(from: &DataType, to: &DataType) -> Kind {
    use DataType::{Binary, Float32, Float64, Int32, Int64, Timestamp, Utf8};
    match (from, to) {
        (Int32, Int64) | (Float32, Float64) => Kind::Widened,
        (Int64, Int32) | (Float64, Float32 | Int32) => Kind::Narrowed,
        (Int32, Float64) => Kind::Wider,
        (Utf8, Binary) | (Binary, Utf8) => Kind::TextBytes,
        (Timestamp(_, from), Timestamp(_, to)) if from == to => Kind::TimeUnit,
        _ => match (decimal(from), decimal(to)) {
            (Some((_, s)), Some((_, t))) if promotes(from, to) && s == t => Kind::Precision,
            (Some(_), Some(_)) if promotes(from, to) => Kind::Wider,
            (Some(_), Some(_)) if promotes(to, from) => Kind::Narrowed,
            _ if promotes(from, to) && !matches!(from, DataType::Null) => Kind::Rounded,
            _ => Kind::Retyped,
        },
    }
}

/// What helps, where the reader has a statement for it.
fn statement(
    reader: Reader,
    kind: Kind,
    difference: &Difference,
    renamed: &[(Vec<String>, String)],
    table: &str,
) -> Option<String> {
    let dialect = match reader {
        Athena => Dialect::Athena,
        Spark => Dialect::Spark,
        Trino => Dialect::Trino,
        Iceberg => Dialect::Iceberg,
        Duckdb => return Some("read_parquet(…, union_by_name = true)".to_owned()),
        Pyarrow if matches!(kind, RequiredAppears | RequiredDisappears) => {
            return Some(format!("pyarrow.dataset.dataset(…, schema={NULLABLE})"));
        }
        Pyarrow => {
            let both = "pyarrow.unify_schemas([…], promote_options=\"permissive\")";
            return Some(format!("pyarrow.dataset.dataset(…, schema={both})"));
        }
    };
    let name = dialect.table(table);
    let path = |path: &[String]| {
        let names: Vec<String> = path.iter().map(|step| dialect.name(step)).collect();
        names.join(".")
    };
    let of_type = |data_type: &DataType| dialect.type_of(&Field::new("", data_type.clone(), true));
    let column = path(&difference.path);
    match (&difference.what, kind) {
        (What::Added { .. }, Renamed) if reader == Iceberg => {
            let from = renamed.iter().find(|(new, _)| *new == difference.path)?;
            let (last, within) = difference.path.split_last()?;
            let old: Vec<String> = within.iter().chain([&from.1]).cloned().collect();
            let (old, new) = (path(&old), dialect.name(last));
            Some(format!("ALTER TABLE {name} RENAME COLUMN {old} TO {new}"))
        }
        (What::Renamed { from }, Case) if reader == Iceberg => {
            let (last, within) = difference.path.split_last()?;
            let old: Vec<String> = within.iter().chain([from]).cloned().collect();
            let (old, new) = (path(&old), dialect.name(last));
            Some(format!("ALTER TABLE {name} RENAME COLUMN {old} TO {new}"))
        }
        (What::Added { to, .. }, _) if difference.is_top() || reader == Iceberg => {
            let added = format!("{column} {}", of_type(to)?);
            Some(match reader {
                Athena | Spark => format!("ALTER TABLE {name} ADD COLUMNS ({added})"),
                _ => format!("ALTER TABLE {name} ADD COLUMN {added}"),
            })
        }
        (_, TimeUnit) if reader == Iceberg => {
            Some(format!("ALTER TABLE {name} SET TBLPROPERTIES ({ROW_BY_ROW})"))
        }
        (What::Type { to, .. }, Widened | Precision) if reader == Iceberg => {
            Some(format!("ALTER TABLE {name} ALTER COLUMN {column} TYPE {}", of_type(to)?))
        }
        _ if reader == Iceberg => None,
        _ => Some(format!("DROP TABLE {name}, then as `--ddl` says; the files stay")),
    }
}

#[cfg(test)]
mod tests;
