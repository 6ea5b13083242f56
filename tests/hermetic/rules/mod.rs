//! `docs/evolution.md`: what each change of a schema does to a value, by each `evolution.mode`.
//!
//! The tables name two versions and a record of each; the cells are what plans make of those records. What
//! `latest` and `fixed` make is beside that what a library reads which knows the other version only.

mod avro;
mod json;
mod protobuf;

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay::config::{Limits, Reader, Value};
use forebay::decode::{Decoder, Options, Plan};
use forebay::error::Fault;
use forebay::evolve::{self, Widened};
use forebay::registry::compile::compile;
use forebay::registry::{Language, Schema};
use serde_json::Value as Json;

use crate::connect_s3;

/// One change.
pub(super) struct Rule {
    /// What the page calls it: Markdown.
    pub(super) change: &'static str,
    /// What stands in the schema before and after.
    pub(super) versions: [&'static str; 2],
    /// A record of each, as JSON.
    pub(super) records: [&'static str; 2],
    /// Why a library that knows the other version only reads something else; empty: it does not.
    pub(super) differs: &'static str,
}

pub(super) const fn rule(
    change: &'static str,
    versions: [&'static str; 2],
    records: [&'static str; 2],
) -> Rule {
    Rule { change, versions, records, differs: "" }
}

/// The rules of one language.
pub(super) struct Table {
    title: &'static str,
    language: Language,
    /// The schema text around a version.
    whole: fn(&str) -> String,
    /// A record as its producer's library writes it.
    encode: fn(&str, &Json) -> Vec<u8>,
    /// Asserts that a row is what a library reads of a record of one schema that knows the other.
    oracle: fn((&str, &str), &[u8], &RecordBatch),
    rules: &'static [Rule],
    notes: &'static str,
}

static TABLES: [&Table; 3] = [&protobuf::TABLE, &avro::TABLE, &json::TABLE];

fn options() -> Options {
    Options {
        value: Value::default(),
        readers: vec![Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb],
        limits: Limits::default(),
    }
}

fn schema(table: &Table, id: u32, version: &str) -> Schema {
    let text = (table.whole)(version);
    compile(id, table.language, &text, &[]).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// What becomes of a record.
enum Cell {
    Row(RecordBatch),
    /// Its row keeps the columns of its writer.
    Own(String),
    Reject(String),
}

fn read(plan: Result<Arc<Plan>, Fault>, body: &[u8]) -> Cell {
    let plan = match plan {
        Ok(plan) => plan,
        Err(fault) if fault.code.id == "FB0207" => return Cell::Reject(fault.to_string()),
        Err(fault) => return Cell::Own(fault.message),
    };
    let mut decoder = Decoder::new(plan);
    match decoder.append(body) {
        Ok(()) => Cell::Row(decoder.finish()),
        Err(reject) => Cell::Reject(reject.to_string()),
    }
}

/// The columns of both versions, filled from a record of the first.
fn superset(schemas: &[Schema; 2], body: &[u8]) -> Cell {
    let [old, new] = [0, 1].map(|at| Plan::bare(&schemas[at], &[0], &options()).unwrap());
    let merged =
        evolve::merge(&[old.schema.clone(), new.schema.clone()], &options().bounds()).unwrap();
    if let Some((_, misfits)) = merged.left_out.first() {
        let why: Vec<String> = misfits.iter().map(ToString::to_string).collect();
        assert!(Widened::new(&old.schema, &merged.schema).is_err(), "{why:?}");
        return Cell::Own(why.join("; "));
    }
    let widened = Widened::new(&old.schema, &merged.schema).unwrap();
    match read(Ok(Arc::new(old)), body) {
        Cell::Row(row) => Cell::Row(widened.apply(&row).unwrap()),
        other => other,
    }
}

fn line(row: &RecordBatch) -> String {
    match row.num_columns() {
        0 => "{}".to_owned(),
        _ => crate::json::lines(row).remove(0),
    }
}

fn shown(cell: &Cell) -> String {
    let text = match cell {
        Cell::Row(row) => format!("`{}`", line(row)),
        Cell::Own(why) => {
            let why = why.rsplit_once("`: `").map_or(why.as_str(), |(_, why)| why);
            format!("own columns: {}", why.trim_start_matches('`').replace('`', ""))
        }
        Cell::Reject(why) => format!("reject: {}", why.replace('`', "")),
    };
    text.replace('|', "\\|")
}

/// Rotate, latest, superset, fixed.
fn cells(table: &Table, rule: &Rule) -> [Cell; 4] {
    let [old, new] = rule.versions;
    let schemas = [schema(table, 1, old), schema(table, 2, new)];
    let [was, now] = [(old, rule.records[0]), (new, rule.records[1])].map(|(version, record)| {
        let record = serde_json::from_str(record).unwrap_or_else(|e| panic!("{record}: {e}"));
        (table.encode)(&(table.whole)(version), &record)
    });
    let onto =
        |from: usize, to: usize| Plan::compile_onto(&schemas[from], &[0], &schemas[to], &options());
    [
        read(Plan::compile(&schemas[0], &[0], &options()), &was),
        read(onto(0, 1), &was),
        superset(&schemas, &was),
        read(onto(1, 0), &now),
    ]
}

/// Every value that is there, whatever column it stands in.
fn values(json: &Json, out: &mut Vec<String>) {
    match json {
        Json::Null => {}
        Json::Array(items) => items.iter().for_each(|item| values(item, out)),
        Json::Object(members) => members.values().for_each(|member| values(member, out)),
        Json::Number(number) => out.push(number.as_f64().unwrap().to_string()),
        other => out.push(other.to_string()),
    }
}

/// `latest` and `fixed` read what a library reads; `superset` keeps every value that the writer's columns have.
#[test]
fn rules_hold_what_other_libraries_read() {
    let mut compared = 0;
    for table in TABLES {
        for rule in table.rules {
            let [old, new] = rule.versions.map(table.whole);
            let [rotate, latest, superset, fixed] = cells(table, rule);
            let [was, now] = [(&old, rule.records[0]), (&new, rule.records[1])]
                .map(|(text, record)| (table.encode)(text, &serde_json::from_str(record).unwrap()));
            let both = [(&latest, (&old, &new), &was), (&fixed, (&new, &old), &now)];
            for (cell, (writer, reader), body) in both {
                if let (Cell::Row(row), "") = (cell, rule.differs) {
                    (table.oracle)((writer, reader), body, row);
                    compared += 1;
                }
            }
            if let (Cell::Row(own), Cell::Row(widened)) = (&rotate, &superset) {
                let [own, widened] = [own, widened].map(|row| {
                    let mut found = Vec::new();
                    values(&serde_json::from_str(&line(row)).unwrap(), &mut found);
                    found.sort();
                    found
                });
                // Bytes are written as hex digits, text as it is.
                let bytes = |values: &[String]| -> Vec<String> {
                    let hex = |b: u8| format!("{b:02x}");
                    let of = |v: &String| v.trim_matches('"').bytes().map(hex).collect::<String>();
                    values.iter().map(|v| format!("\"{}\"", of(v))).collect()
                };
                assert!(
                    own == widened || bytes(&own) == widened,
                    "{}: {own:?} {widened:?}",
                    rule.change
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

const INTRODUCTION: &str = "# Evolution

<!-- Generated from the tables of tests/hermetic/rules: `FOREBAY_BLESS='docs/*' cargo test --test hermetic rules` writes it anew. -->

What a change of a schema does to a value. Each row names the change, a field before and after it, and what becomes of a record:

- `rotate`: a record of the older version, in its own columns. Both versions have files of their own, side by side.
- `latest`: the same record, in the columns of the newer version.
- `superset`: the same record, in the columns of both versions together. What another version has and this one has not is null.
- `fixed`: a record of the *newer* version, in the columns of the older one, which is pinned.

The cells are what the program made of these records when this page was generated; beside it, prost-reflect and apache-avro read the same bytes
with the other version, and found the same. **Own columns**: the other version's columns cannot take the rows of this one. `evolution.on_incompatible`
says what happens then: `rotate` (the default) gives them their own columns in files of their own, `reject` makes them rejects, `pause` waits for
another version. A *reject* in a cell is about the one value; other records of the same writer become rows.

Columns that the target does not have are left out, counted by name (`forebay_dropped_column_rows_total`), and named in the footers of the files
(`forebay.changes`), beside those that were added, promoted and renamed.

Which versions count:

- `latest`: the newest that can be used; one that does not compile is named in the log. A target does not go back: an answer of the registry with an
  older newest version (a replica that lags, a version that was deleted) changes nothing until the next start, and the log says so; where records
  wait (`pause`), it is taken.
- `superset`: all that can be used, those that were deleted while the pipeline ran, and the schemas of writers that no version names (deleted before,
  or registered elsewhere): no value of a writer is dropped. Text and JSON text share no column: `x` is one thing in the one and none in the other.
- A subject that the registry does not have, or without a version that can be used, is asked for again for `registry.unknown_id_grace`; then its
  records follow `evolution.on_incompatible`, and it is looked for every `evolution.refresh`. What was known of a subject that is gone holds.
";

const CONNECT: &str = "
## `connect.schema_compatibility`

With `dialect: confluent`, whose columns a row has may follow the rules of Kafka Connect's S3 sink in place of `evolution.mode`. Each Kafka partition
keeps, for each message or record, the schema that its files were begun with last. **keep**: the record's row takes the columns of that schema.
Otherwise a file of the record's own schema is begun for the reason given, and that schema is kept from there on; files of the other schema stay open
beside it until their commit, where the sink closes every file of the Kafka partition. **error**: the sink fails; here the record follows
`evolution.on_incompatible`, and so do records that the rules keep and whose values the columns cannot hold (a null where the sink would
write a default). Every file names the schema of its columns in its footer (`forebay.target_schema_id`).

Of a JSON Schema the columns are compared: enums and defaults of its properties are not told apart.

| record beside file | `none` | `backward` | `forward` | `full` |
|---|---|---|---|---|
";

const SCENARIOS: &str = "
### What the sink does and a pipeline does not

The sink's own test scenarios run as tests, with the same folders, first offsets and rows by file. These cannot, and why:

| scenario | here |
|---|---|
";

fn page() -> String {
    let mut out = INTRODUCTION.to_owned();
    for table in TABLES {
        let _ = write!(
            out,
            "\n## {}\n\n| change | before | after | `rotate` | `latest` | `superset` | `fixed` |\n|---|---|---|---|---|---|---|\n",
            table.title
        );
        for rule in table.rules {
            let [before, after] = rule.versions.map(|version| match version {
                "" => "no field".to_owned(),
                text => format!("`{}`", text.replace('|', "\\|")),
            });
            let cells = cells(table, rule).map(|cell| shown(&cell)).join(" | ");
            let change = match rule.differs {
                "" => rule.change.to_owned(),
                why => format!("{}: {why}", rule.change),
            };
            let _ = writeln!(out, "| {change} | {before} | {after} | {cells} |");
        }
        let _ = write!(out, "\n{}\n", table.notes.trim());
    }
    out + CONNECT + &connect_s3::compat_rows() + SCENARIOS + &connect_s3::differences()
}

/// `docs/evolution.md` is the tables; `FOREBAY_BLESS='docs/*'` writes it anew.
#[test]
fn page_of_evolution_is_fresh() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/evolution.md");
    let page = page();
    let bless = std::env::var("FOREBAY_BLESS").unwrap_or_default();
    if ["docs/*", "docs/evolution.md", "*"].contains(&bless.as_str()) {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (kept, made)) in kept.lines().zip(page.lines()).enumerate() {
        assert_eq!(kept, made, "docs/evolution.md line {} is stale", line + 1);
    }
    assert!(
        kept == page,
        "docs/evolution.md is stale: FOREBAY_BLESS='docs/*' cargo test --test hermetic rules writes it anew"
    );
}
