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
    let is_new = |path: &[String]| {
        let told = |d: &&Difference| matches!(d.what, What::Added { .. } | What::Type { .. });
        differences.iter().filter(told).any(|d| path.starts_with(&d.path))
    };
    let (mut renamed, mut others) = (Vec::new(), Vec::new());
    for difference in compare(older, newer, By::Field) {
        match difference.what {
            What::Renamed { from } if is_new(&difference.path) => {
                renamed.push((difference.path, from));
            }
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

/// Iceberg's reader that knows Parquet's milliseconds.
pub const ROW_BY_ROW: &str = "'read.parquet.vectorization.enabled' = 'false'";

/// A schema in which no field is required.
const NULLABLE: &str = "<the columns of both versions, every field nullable>";

/// How a fact ends that no statement helps.
const HELPLESS: &str = "nothing helps but another name for the column";

struct Fact {
    reader: Reader,
    kinds: &'static [Kind],
    level: Level,
    why: &'static str,
}

const fn row(reader: Reader, kinds: &'static [Kind], level: Level, why: &'static str) -> Fact {
    Fact { reader, kinds, level, why }
}

use Kind::{
    Appears, BareUnit, Case, Disappears, FieldAppears, FieldDisappears, Narrowed, Null, Order,
    Precision, Renamed, RequiredAppears, RequiredDisappears, Retyped, Rounded, TextBytes, TimeUnit,
    Widened, Wider,
};
use Level::{Alter, AsIs, Breaks};
use Reader::{Athena, Duckdb, Iceberg, Pyarrow, Spark, Trino};

/// Sources: the head of this page.
static FACTS: &[Fact] = &[
    row(Athena, &[Appears], Alter, "not seen before the table has it; null in old rows"),
    row(Athena, &[Disappears, FieldDisappears, RequiredDisappears], AsIs, "null in new rows"),
    row(
        Athena,
        &[Renamed],
        Alter,
        "looks like drop and add: the old name is null in new rows, the new one in old rows",
    ),
    row(
        Athena,
        &[FieldAppears, RequiredAppears],
        Alter,
        "not seen before the table is made anew: no statement changes a struct",
    ),
    row(
        Athena,
        &[Widened],
        Breaks,
        "queries that read it fail on new files; made anew, the table reads both only where no partition holds both",
    ),
    row(Athena, &[Narrowed], Breaks, "read as the table's type only where no partition holds both"),
    row(
        Athena,
        &[Precision, Wider, Rounded, TextBytes, Retyped],
        Breaks,
        "queries that read it fail on old or on new files: nothing helps but another name for the column",
    ),
    row(Athena, &[Null, TimeUnit, Case], AsIs, ""),
    row(Athena, &[Order], AsIs, "by name, unless the table says parquet.column.index.access"),
    row(Trino, &[Appears], Alter, "not seen before the table has it; null in old rows"),
    row(Trino, &[Disappears, FieldDisappears, RequiredDisappears], AsIs, "null in new rows"),
    row(
        Trino,
        &[Renamed],
        Alter,
        "looks like drop and add: the old name is null in new rows, the new one in old rows",
    ),
    row(
        Trino,
        &[FieldAppears, RequiredAppears],
        Alter,
        "not seen before the table is made anew: no statement changes a struct",
    ),
    row(Trino, &[Widened], Breaks, "queries that read it fail on new files"),
    row(Trino, &[Narrowed], AsIs, "read as the table's type"),
    row(
        Trino,
        &[Precision, Wider, Rounded, TextBytes, Retyped],
        Breaks,
        "queries that read it fail on old or on new files: nothing helps but another name for the column",
    ),
    row(Trino, &[Null, TimeUnit, Case], AsIs, ""),
    row(Trino, &[Order], AsIs, "by name, unless hive.parquet.use-column-names is false"),
    row(Spark, &[Appears], Alter, "not seen before the table has it; null in old rows"),
    row(Spark, &[Disappears, FieldDisappears, RequiredDisappears], AsIs, "null in new rows"),
    row(
        Spark,
        &[Renamed],
        Alter,
        "looks like drop and add: the old name is null in new rows, the new one in old rows",
    ),
    row(
        Spark,
        &[FieldAppears, RequiredAppears],
        Alter,
        "not seen before the table is made anew: no statement changes a struct",
    ),
    row(
        Spark,
        &[Widened, Precision, Wider],
        Breaks,
        "queries that read it fail on new files; Spark 4 reads both once the table is made anew, Spark 3 does not",
    ),
    row(
        Spark,
        &[Rounded, Retyped],
        Breaks,
        "queries that read it fail on old or on new files: nothing helps but another name for the column",
    ),
    row(
        Spark,
        &[Narrowed],
        AsIs,
        "Spark 4 reads both; in Spark 3 queries that read it fail on new files",
    ),
    row(
        Spark,
        &[TextBytes],
        Breaks,
        "read as the table's type: bytes that are no text come as U+FFFD; made anew, the table reads both as bytes",
    ),
    row(Spark, &[Null, Order, TimeUnit, Case], AsIs, ""),
    row(
        Duckdb,
        &[Appears],
        Alter,
        "not seen where the first file is an old one, an error where it is a new one",
    ),
    row(Duckdb, &[Disappears], Breaks, "the query fails at the first file that lacks it"),
    row(
        Duckdb,
        &[Renamed],
        Breaks,
        "looks like drop and add: the query fails at the first file that lacks the name",
    ),
    row(
        Duckdb,
        &[FieldAppears, RequiredAppears],
        Alter,
        "not seen where the first file is an old one",
    ),
    row(Duckdb, &[FieldDisappears, RequiredDisappears], AsIs, "null in new rows"),
    row(
        Duckdb,
        &[Widened, Precision, Wider, Rounded],
        Breaks,
        "read in the type of the first file: values too large for it fail, digits that it lacks are lost",
    ),
    row(
        Duckdb,
        &[TextBytes],
        Breaks,
        "read in the type of the first file: bytes that are no text come as `\\xFF`",
    ),
    row(
        Duckdb,
        &[Retyped],
        Breaks,
        "read in the type of the first file, or the query fails: nothing helps but another name for the column",
    ),
    row(Duckdb, &[TimeUnit, Narrowed], AsIs, "read in the type of the first file"),
    row(Duckdb, &[Null, Order, Case], AsIs, ""),
    row(
        Iceberg,
        &[Appears, FieldAppears, RequiredAppears],
        Alter,
        "not seen before the table has it; null in old rows",
    ),
    row(Iceberg, &[Disappears, FieldDisappears, RequiredDisappears], AsIs, "null in new rows"),
    row(Iceberg, &[Renamed, Case], Alter, "null in new rows before the table knows both names"),
    row(
        Iceberg,
        &[Widened, Precision],
        Alter,
        "before the first new file is added: queries that read it fail on new files else",
    ),
    row(
        Iceberg,
        &[Wider, Rounded, TextBytes, Retyped],
        Breaks,
        "no promotion of the specification: nothing helps but another name for the column",
    ),
    row(Iceberg, &[Narrowed], AsIs, "read as the table's type"),
    row(Iceberg, &[Null], AsIs, "where the table's column is nullable"),
    row(Iceberg, &[Order], AsIs, ""),
    row(
        Iceberg,
        &[TimeUnit],
        Breaks,
        "Spark's vectorized reader takes milliseconds for microseconds: the specification has no others",
    ),
    row(Pyarrow, &[Appears, FieldAppears], Alter, "not seen where the first file is an old one"),
    row(Pyarrow, &[Disappears, FieldDisappears], AsIs, "null in new rows"),
    row(
        Pyarrow,
        &[Renamed, Case],
        Alter,
        "looks like drop and add: the old name is null in new rows, the new one in old rows",
    ),
    row(
        Pyarrow,
        &[Widened, Precision, Wider, TimeUnit],
        Breaks,
        "read in the type of the first file: values that it cannot hold fail, doubles are rounded to floats",
    ),
    row(
        Pyarrow,
        &[TextBytes],
        Breaks,
        "read in the type of the first file: bytes that are no text fail",
    ),
    row(
        Pyarrow,
        &[Rounded, Retyped],
        Breaks,
        "values that do not fit fail: nothing helps but another name for the column",
    ),
    row(Pyarrow, &[Null, Order], AsIs, ""),
    row(Pyarrow, &[Narrowed], AsIs, "read in the type of the first file"),
    row(
        Pyarrow,
        &[RequiredAppears],
        Alter,
        "not seen where the first file is an old one; a schema with it has to let it be null",
    ),
    row(
        Pyarrow,
        &[RequiredDisappears],
        Breaks,
        "the query fails at the first file that lacks it: never null in the first one",
    ),
];

fn fact(reader: Reader, kind: Kind) -> (Level, &'static str) {
    // What no reader knows.
    match kind {
        BareUnit => {
            return (
                Breaks,
                "the numbers of new rows mean another unit: nothing helps but another name for the column",
            );
        }
        Kind::Form => {
            return (
                Breaks,
                "the text of new rows is written otherwise: nothing helps but another name for the column",
            );
        }
        Kind::Another => {
            return (
                Breaks,
                "new files have another field under the name: nothing helps but another name for the column",
            );
        }
        _ => {}
    }
    let found = FACTS.iter().find(|fact| fact.reader == reader && fact.kinds.contains(&kind));
    found.map_or((AsIs, ""), |fact| (fact.level, fact.why))
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
mod tests {
    use super::*;

    #[test]
    fn every_reader_has_one_fact_about_every_kind() {
        let kinds = [
            Appears,
            Disappears,
            Renamed,
            FieldAppears,
            FieldDisappears,
            RequiredAppears,
            RequiredDisappears,
            Case,
            Widened,
            Precision,
            Wider,
            Rounded,
            Narrowed,
            TextBytes,
            TimeUnit,
            Retyped,
            Null,
            Order,
        ];
        for reader in Reader::ALL {
            for kind in kinds {
                let of = |fact: &&Fact| fact.reader == reader && fact.kinds.contains(&kind);
                assert_eq!(FACTS.iter().filter(of).count(), 1, "{reader:?} {kind:?}");
            }
        }
        assert!(FACTS.iter().all(|fact| !fact.kinds.contains(&Kind::RenamedAway)));
    }

    #[test]
    fn statements_are_those_of_the_documentation() {
        let old = Schema::new(vec![Field::new("a", DataType::Int32, true)]);
        let new = Schema::new(vec![
            Field::new("a", DataType::Int64, true),
            Field::new("e mail", DataType::Utf8, true),
        ]);
        let found = verdicts(&old, &new, By::Name, "orders");
        let of = |reader| found.iter().find(|v| v.reader == reader).unwrap();
        assert_eq!(
            of(Iceberg).statements,
            [
                "ALTER TABLE `orders` ALTER COLUMN `a` TYPE BIGINT",
                "ALTER TABLE `orders` ADD COLUMN `e mail` STRING"
            ]
        );
        assert_eq!(of(Iceberg).level, Alter);
        assert_eq!(of(Spark).level, Breaks);
        assert_eq!(
            of(Spark).statements,
            ["DROP TABLE `orders`, then as `--ddl` says; the files stay"]
        );
        let only = Schema::new(vec![
            Field::new("a", DataType::Int32, true),
            Field::new("e mail", DataType::Utf8, true),
        ]);
        let found = verdicts(&old, &only, By::Name, "orders");
        let statements: Vec<&str> = found.iter().map(|v| v.statements[0].as_str()).collect();
        assert_eq!(
            statements,
            [
                "ALTER TABLE `orders` ADD COLUMNS (`e mail` string)",
                "ALTER TABLE `orders` ADD COLUMNS (`e mail` STRING)",
                "ALTER TABLE \"orders\" ADD COLUMN \"e mail\" VARCHAR",
                "read_parquet(…, union_by_name = true)",
                "ALTER TABLE `orders` ADD COLUMN `e mail` STRING",
                "pyarrow.dataset.dataset(…, schema=pyarrow.unify_schemas([…], promote_options=\"permissive\"))",
            ]
        );
    }
}
