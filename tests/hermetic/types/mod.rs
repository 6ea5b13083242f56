//! `docs/types.md`: what each source type becomes.
//!
//! The tables name source types by schemas; the columns are what a plan gives for them, and what a Parquet
//! file of that plan says. Only what readers make of a Parquet type is written by hand
//! ([`readers`]): it was tried with those programs, or stands in their documentation.

mod avro;
mod debezium;
mod json;
mod protobuf;
mod readers;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use forebay::config::{Compression, Connect, Dialect, Limits, Reader, Value};
use forebay::decode::{Options, Plan};
use forebay::error::Fault;
use forebay::file::{Encoding, ParquetFile, Provenance};
use forebay::position::TopicPartition;
use forebay::registry::Language;
use forebay::registry::compile::compile;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::types::TypePtr;

/// One line of the page.
pub(super) struct Row {
    /// What the page calls it: Markdown.
    pub(super) source: &'static str,
    /// Schemas of it, each with the same result.
    pub(super) schemas: &'static [&'static str],
    /// The option that differs from the default, as the configuration writes it.
    pub(super) option: &'static str,
    pub(super) set: fn(&mut Options),
}

/// A row with every option as it is by default.
pub(super) const fn row(source: &'static str, schemas: &'static [&'static str]) -> Row {
    Row { source, schemas, option: "", set: |_| {} }
}

/// The row above it with an option.
pub(super) const fn with(
    schemas: &'static [&'static str],
    option: &'static str,
    set: fn(&mut Options),
) -> Row {
    Row { source: "", schemas, option, set }
}

/// The table of one language.
pub(super) struct Table {
    pub(super) title: &'static str,
    pub(super) plan: fn(&str, &Options) -> Result<Arc<Plan>, Fault>,
    /// The schema text around a row's schema.
    pub(super) whole: fn(&str) -> String,
    pub(super) rows: &'static [Row],
    /// What the table cannot say.
    pub(super) notes: &'static str,
}

fn options() -> Options {
    Options {
        value: Value::default(),
        readers: vec![Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb],
        limits: Limits::default(),
    }
}

/// The plan of a schema of the registry.
fn registered(language: Language, text: &str, options: &Options) -> Result<Arc<Plan>, Fault> {
    Plan::compile(&compile(1, language, text, &[])?, &[0], options)
}

/// Arrow, Parquet, DuckDB, Spark, Athena.
type Cells = [String; 5];

fn cells(table: &Table, text: &str, set: fn(&mut Options)) -> Cells {
    let mut options = options();
    set(&mut options);
    let text = (table.whole)(text);
    let plan = (table.plan)(&text, &options).unwrap_or_else(|f| panic!("{text}: {f}"));
    let fields = plan.schema.fields().iter().filter(|field| !field.name().starts_with("other"));
    let fields: Vec<&Arc<Field>> = fields.collect();
    if fields.is_empty() {
        return ["no column", "", "", "", ""].map(str::to_owned);
    }
    let named = fields.len() > 1;
    let columns = parquet_columns(plan.schema.clone(), &options);
    let mut cells: [Vec<String>; 5] = Default::default();
    for field in fields {
        let name = if named { format!("{}: ", field.name()) } else { String::new() };
        let column = columns.iter().find(|c| c.name() == field.name()).unwrap();
        let null = if field.is_nullable() { "" } else { ", required" };
        cells[0].push(format!("{name}{}{null}", arrow_type(field)));
        cells[1].push(format!("{name}{}", parquet_type(column)));
        let [duckdb, spark, athena] = readers::types(column);
        cells[2].push(format!("{name}{duckdb}"));
        cells[3].push(format!("{name}{spark}"));
        cells[4].push(format!("{name}{athena}"));
    }
    cells.map(|lines| lines.join("<br>"))
}

/// The columns by `dialect: confluent`, of types that the row's option does not change; none where the
/// schema has none there.
fn confluent_cell(table: &Table, row: &Row) -> String {
    if !row.option.is_empty() {
        return String::new();
    }
    let mut options = options();
    options.value.dialect = Dialect::Confluent(Connect::default());
    let text = (table.whole)(row.schemas[0]);
    let plan = (table.plan)(&text, &options).unwrap_or_else(|f| panic!("{text}: {f}"));
    let fields = plan.schema.fields().iter().filter(|field| !field.name().starts_with("other"));
    let lines: Vec<String> = fields
        .map(|field| {
            let null = if field.is_nullable() { "" } else { ", required" };
            let name =
                if field.name() == "f" { String::new() } else { format!("{}: ", field.name()) };
            format!("{name}{}{null}", arrow_type(field))
        })
        .collect();
    lines.join("<br>")
}

/// The columns of a Parquet file of these columns, as its footer has them.
fn parquet_columns(schema: SchemaRef, options: &Options) -> Vec<TypePtr> {
    let encoding =
        Encoding { compression: Compression::None, level: None, readers: options.readers.clone() };
    let mut file = ParquetFile::new(schema.clone(), &encoding).unwrap();
    file.write(&RecordBatch::new_empty(schema)).unwrap();
    let provenance = Provenance {
        pipeline: "types".into(),
        topic_partition: TopicPartition::new("types", 0),
        first: 0,
        last: 0,
        schema_ids: BTreeSet::new(),
        record_name: "types".into(),
        target: None,
        changes: std::collections::BTreeMap::new(),
        role: "data",
        partition_values: Vec::new(),
        commit: String::new(),
    };
    let (bytes, _) = file.finish(&provenance).unwrap();
    let reader = SerializedFileReader::new(bytes).unwrap();
    let schema = reader.metadata().file_metadata().schema();
    schema.get_fields().to_vec()
}

/// The type without its metadata, except what says how to read it.
fn arrow_type(field: &Field) -> String {
    let unit = match field.metadata().get("forebay.unit") {
        Some(unit) => format!(" of {}", unit.replace("us", "µs")),
        None => String::new(),
    };
    let nullable = |field: &Field| if field.is_nullable() { " or null" } else { "" };
    let text = match field.data_type() {
        DataType::List(element) => format!("List of {}{}", arrow_type(element), nullable(element)),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => format!(
                "Map of {} to {}{}",
                arrow_type(&pair[0]),
                arrow_type(&pair[1]),
                nullable(&pair[1])
            ),
            other => panic!("entries of a map: {other}"),
        },
        DataType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|f| format!("{} {}{}", f.name(), arrow_type(f), nullable(f)))
                .collect();
            format!("Struct{{{}}}", fields.join(", "))
        }
        DataType::Timestamp(unit, zone) => {
            format!("Timestamp({}{})", unit_name(*unit), if zone.is_some() { ", UTC" } else { "" })
        }
        DataType::Time32(unit) => format!("Time32({})", unit_name(*unit)),
        DataType::Time64(unit) => format!("Time64({})", unit_name(*unit)),
        other => other.to_string().replace(' ', ""),
    };
    text + &unit
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "µs",
        TimeUnit::Nanosecond => "ns",
    }
}

/// Physical type and annotation; lists and maps with what they hold.
fn parquet_type(column: &TypePtr) -> String {
    if let Some(inner) = readers::list_of(column) {
        return format!("LIST of {}", parquet_type(inner));
    }
    if let Some((key, value)) = readers::map_of(column) {
        return format!("MAP of {} to {}", parquet_type(key), parquet_type(value));
    }
    if column.is_group() {
        let fields: Vec<String> = column
            .get_fields()
            .iter()
            .map(|f| format!("{} {}", f.name(), parquet_type(f)))
            .collect();
        return format!("group{{{}}}", fields.join(", "));
    }
    match readers::annotation(column) {
        Some(annotation) => format!("{}, {annotation}", readers::physical(column)),
        None => readers::physical(column),
    }
}

static TABLES: [&Table; 4] = [&protobuf::TABLE, &avro::TABLE, &json::TABLE, &json::CONNECT];

const INTRODUCTION: &str = "# Types

<!-- Generated from the tables of tests/hermetic/types: `FOREBAY_BLESS='docs/*' cargo test --test hermetic types` writes it anew. -->

What each type of a schema becomes. The Arrow and Parquet columns are what the program made of the schemas when this page was
generated. An option stands in the row it changes; every other row has the defaults, with `readers: [spark, athena, trino, duckdb]`, which
takes the types that all of these open. `required` columns are never null.

DuckDB 2.0 and Spark 4.0 were tried by hand, with files that pyarrow wrote; Athena's column follows its documentation, and holds for Trino's Hive tables.
**refused** means that the program does not open a file with such a column.

Of milliseconds: Spark's vectorized reader of Iceberg tables (1.10) takes TIMESTAMP(MILLIS) for microseconds, without an error, because Iceberg's
specification has no milliseconds; `forebay plan --ddl iceberg` turns that reader off for a table with such a column. DuckDB reads them, but a query
fails at a value that microseconds cannot hold, after 294247-01-10.

The last column is what `dialect: confluent` makes, with the defaults of Confluent's converters: what its S3 sink has written into a table that
is to go on. It takes no regard of `readers`. Settings of the converters that change it stand under `connect` in [config.md](config.md).
";

/// What the dialect's column cannot say.
const DIALECT: &str = "
## Where `dialect: confluent` is not what Connect's S3 sink writes

| where | there | here | why |
|---|---|---|---|
| a message, record or schema inside itself | the sink fails | JSON text, or as `value.recursion` says | Parquet has no type that holds itself |
| a message or record without fields | the sink fails | BOOLEAN: whether it is there | Parquet has no empty group |
| Protobuf groups; editions | the converter fails at groups, and writes defaults for absent fields of editions | structs; null where the schema tells absence from default | nothing is made up |
| a number that a closed enum of proto2 does not have | dropped | `UNKNOWN_ENUM_VALUE_<enum>_<number>`, as for open ones | nothing is lost |
| `confluent.type.Variant`, a JSON Schema that takes anything | Parquet's VARIANT | the two columns of the message; JSON text | few readers open VARIANT |
| `array` without `items` | the converter fails | a list of JSON text | |
| `object` of `additionalProperties` alone, without `connect.type: map` | a struct without fields, at which the sink fails | a map | |
| a null whose Avro type has a `connect.default` | that default | null | a known fault of Connect |
| lists of items that are never null | two levels | three levels | readers see the same lists; Parquet asks for three |
| Avro enums | BYTE_ARRAY, ENUM | BYTE_ARRAY, STRING | readers see the same text |
| decimals in bytes | BYTE_ARRAY, DECIMAL | the shortest type that holds the digits | readers see the same decimals |
| decimals of more than 76 digits, or of a scale below zero or above the precision | bytes | text | |
| names that Avro does not allow, without `connect.scrub_invalid_names` | the sink fails | kept | |
";

fn page() -> String {
    let mut out = INTRODUCTION.to_owned();
    for table in TABLES {
        let _ = write!(
            out,
            "\n## {}\n\n| type | option | Arrow | Parquet | DuckDB | Spark | Athena | `dialect: confluent` |\n|---|---|---|---|---|---|---|---|\n",
            table.title
        );
        for row in table.rows {
            let cells = cells(table, row.schemas[0], row.set).join(" | ");
            let option = match row.option {
                "" => String::new(),
                option => format!("`{option}`"),
            };
            let confluent = confluent_cell(table, row);
            let _ = writeln!(out, "| {} | {option} | {cells} | {confluent} |", row.source);
        }
        let _ = write!(out, "\n{}\n", table.notes.trim());
    }
    out + &debezium::section() + DIALECT
}

/// `docs/types.md` is the tables; `FOREBAY_BLESS='docs/*'` writes it anew.
#[test]
fn page_of_types_is_fresh() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/types.md");
    let page = page();
    let bless = std::env::var("FOREBAY_BLESS").unwrap_or_default();
    if ["docs/*", "docs/types.md", "*"].contains(&bless.as_str()) {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (kept, made)) in kept.lines().zip(page.lines()).enumerate() {
        assert_eq!(kept, made, "docs/types.md line {} is stale", line + 1);
    }
    assert!(
        kept == page,
        "docs/types.md is stale: FOREBAY_BLESS='docs/*' cargo test --test hermetic types writes it anew"
    );
}

#[test]
fn source_types_of_one_row_have_one_result() {
    for table in TABLES {
        for row in table.rows {
            let results: BTreeSet<Cells> =
                row.schemas.iter().map(|schema| cells(table, schema, row.set)).collect();
            assert_eq!(results.len(), 1, "{} {}: {results:#?}", row.source, row.option);
        }
    }
}

#[test]
fn option_of_a_row_changes_it() {
    for table in TABLES {
        for row in table.rows.iter().filter(|row| !row.option.is_empty()) {
            let default = cells(table, row.schemas[0], |_| {});
            let changed = cells(table, row.schemas[0], row.set);
            assert_ne!(default, changed, "{:?} {}", row.schemas, row.option);
        }
    }
}

/// With the default readers nothing is written that one of them refuses: the promise of `readers`.
#[test]
fn default_columns_are_opened_by_every_reader() {
    for table in TABLES {
        for row in table.rows.iter().filter(|row| !row.option.contains("native")) {
            for schema in row.schemas {
                let [_, parquet, readers @ ..] = cells(table, schema, row.set);
                for reader in readers {
                    assert!(!reader.contains("**"), "{schema}: {parquet} is {reader}");
                }
            }
        }
    }
}
