//! Statements that make a table of the newest columns.
//!
//! Owns: one statement a dialect, with what its reader has to be told beside it, as comments.
//! Does not own: types and quotes (`evolve::sql`).
//!
//! Sources: the documentation of `CREATE TABLE` in Athena, Spark SQL (`USING parquet`) and Iceberg's Spark DDL,
//! Iceberg's procedure `add_files`, DuckDB's `read_parquet`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use clap::ValueEnum;

use super::DDL;
use super::report::Report;
use crate::config::{Pipeline, SinkUrl};
use crate::error::Fault;
use crate::evolve::sql::Dialect;
use crate::evolve::verdict::ROW_BY_ROW;
use crate::partition::Partitioner;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Ddl {
    /// An external table of Glue's catalog
    Athena,
    /// A table `USING parquet`
    Spark,
    /// A view over `read_parquet`
    Duckdb,
    /// An Iceberg table, by Spark SQL, and the call that adds the files to it
    Iceberg,
}

impl Ddl {
    fn dialect(self) -> Dialect {
        match self {
            Ddl::Athena => Dialect::Athena,
            Ddl::Spark => Dialect::Spark,
            Ddl::Duckdb => Dialect::Duckdb,
            Ddl::Iceberg => Dialect::Iceberg,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Ddl::Athena => "athena",
            Ddl::Spark => "spark",
            Ddl::Duckdb => "duckdb",
            Ddl::Iceberg => "iceberg",
        }
    }
}

/// The folder of the files: as given, else that of the topic in the sink; none is known without both.
pub(super) fn location(
    given: Option<&str>,
    pipeline: &Pipeline,
    topic: Option<&str>,
) -> Option<String> {
    if let Some(given) = given {
        return Some(given.trim_end_matches('/').to_owned());
    }
    let folder = crate::partition::hive::component(pipeline.sink.escape, topic?);
    Some(match &pipeline.sink.url {
        SinkUrl::Local(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            path.join(folder).display().to_string()
        }
        url => format!("{url}/{folder}"),
    })
}

/// The folders' names, each with the type of what stands there: of a column that is written as it is its own, if
/// every reader reads it in a path, else text.
pub(super) fn partitions(partitioner: &Partitioner, report: &Report) -> Vec<Field> {
    let columns = report.effect().and_then(|effect| effect.target.clone());
    let of = |(name, plain): (&str, Option<&str>)| {
        let column = columns.as_ref().and_then(|c| c.field_with_name(plain?).ok().cloned());
        let data_type = match column.as_ref().map(Field::data_type) {
            Some(of_type @ (DataType::Int32 | DataType::Int64 | DataType::Date32)) => {
                of_type.clone()
            }
            _ => DataType::Utf8,
        };
        Field::new(name, data_type, true)
    };
    partitioner.named_columns().map(of).collect()
}

/// The statement, with its comments. Error: [`DDL`].
pub(super) fn statement(
    ddl: Ddl,
    table: &str,
    report: &Report,
    partitions: &[Field],
    location: Option<String>,
) -> Result<String, Fault> {
    let columns = report.effect().and_then(|effect| effect.columns.as_ref());
    let Some(columns) = columns else {
        return Err(Fault::new(
            &DDL,
            "columns: the newest version has none, a version with rows required",
        ));
    };
    let Some(location) = location else {
        return Err(Fault::new(
            &DDL,
            "place of the files: not known without a configuration and a topic, `--location` required",
        ));
    };
    if ddl == Ddl::Athena && !location.starts_with("s3://") {
        let text = format!(
            "place of the files `{location}`: Athena reads S3 alone, `--location s3://…` required"
        );
        return Err(Fault::new(&DDL, text));
    }
    let mut made = Made {
        dialect: ddl.dialect(),
        comments: Vec::new(),
        columns: Vec::new(),
        properties: String::new(),
    };
    for field in columns.fields() {
        made.column(field, partitions, ddl);
    }
    if made.columns.is_empty() && partitions.is_empty() {
        return Err(Fault::new(
            &DDL,
            format!("columns: none that {} reads, one required", ddl.name()),
        ));
    }
    let millis = columns.fields().iter().any(|field| has_millis(field.data_type()));
    if ddl == Ddl::Iceberg && millis {
        made.comments.push(
            "milliseconds: Spark's vectorized reader of Iceberg tables takes them for microseconds"
                .to_owned(),
        );
        made.properties = format!("TBLPROPERTIES ({ROW_BY_ROW})\n");
    }
    made.partitions_of(partitions, ddl);
    let body = match ddl {
        Ddl::Athena => made.athena(table, partitions, &location),
        Ddl::Spark => made.spark(table, partitions, &location),
        Ddl::Duckdb => made.duckdb(table, partitions, &location),
        Ddl::Iceberg => made.iceberg(table, partitions, &location),
    };
    let mut lines: Vec<String> = made.comments.iter().map(|line| format!("-- {line}")).collect();
    lines.push(body);
    Ok(lines.join("\n"))
}

struct Made {
    dialect: Dialect,
    comments: Vec<String>,
    /// Name and type.
    columns: Vec<(String, String)>,
    /// Iceberg's clause of properties.
    properties: String,
}

impl Made {
    fn column(&mut self, field: &Arc<Field>, partitions: &[Field], ddl: Ddl) {
        let name = field.name();
        let twin = |p: &&Field| p.name().to_lowercase() == name.to_lowercase();
        if partitions.iter().any(|p| twin(&p)) {
            let comment = format!(
                "column `{name}` of the files stands in their path too: {}",
                match ddl {
                    Ddl::Duckdb => "the view has the path's",
                    _ => "the table has the path's, and reads no other",
                }
            );
            return self.comments.push(one_line(&comment));
        }
        match self.dialect.type_of(field) {
            Some(of_type) => self.columns.push((name.clone(), of_type)),
            None => {
                let of_type = field.data_type();
                let comment =
                    format!("column `{name}` left out: {} reads no {of_type}", ddl.name());
                self.comments.push(one_line(&comment));
            }
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if ddl == Ddl::Athena && !name.chars().all(plain) {
            let comment =
                format!("column `{name}`: Athena documents names of letters, digits and `_` alone");
            self.comments.push(one_line(&comment));
        }
    }

    fn partitions_of(&mut self, partitions: &[Field], ddl: Ddl) {
        let computed = partitions.iter().any(|p| *p.data_type() == DataType::Utf8);
        if ddl == Ddl::Iceberg && !partitions.is_empty() {
            self.comments.push(
                "add_files takes the values of folders, and no transforms: partitions are columns"
                    .to_owned(),
            );
        }
        if ddl == Ddl::Duckdb {
            self.comments.push(
                "a column that no file has yet is an error: make the view once there is a file of the newest version".to_owned(),
            );
        }
        if computed && matches!(ddl, Ddl::Athena | Ddl::Spark) {
            self.comments
                .push("folders of computed values are text: 2026-01-02, 2026-01".to_owned());
        }
    }

    /// `  name type`, a line each, with commas between.
    fn list<'a>(&self, columns: impl Iterator<Item = (&'a str, &'a str)>) -> String {
        let lines: Vec<String> = columns
            .map(|(name, of_type)| format!("  {} {of_type}", self.dialect.name(name)))
            .collect();
        lines.join(",\n")
    }

    fn own(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns.iter().map(|(name, of_type)| (name.as_str(), of_type.as_str()))
    }

    /// Names and types of folders.
    fn folders(&self, partitions: &[Field]) -> Vec<(String, String)> {
        let of_type = |field: &Field| self.dialect.type_of(field).unwrap_or_default();
        partitions.iter().map(|field| (field.name().clone(), of_type(field))).collect()
    }

    fn athena(&self, table: &str, partitions: &[Field], location: &str) -> String {
        let name = self.dialect.table(table);
        let folders = self.folders(partitions);
        let (mut by, mut repair) = (String::new(), String::new());
        if !folders.is_empty() {
            let list = self.list(folders.iter().map(|(n, t)| (n.as_str(), t.as_str())));
            by = format!("PARTITIONED BY (\n{list}\n)\n");
            repair = format!("\nMSCK REPAIR TABLE {name};");
        }
        let place = self.dialect.text(&format!("{location}/"));
        format!(
            "CREATE EXTERNAL TABLE {name} (\n{}\n)\n{by}STORED AS PARQUET\nLOCATION {place};{repair}",
            self.list(self.own())
        )
    }

    fn spark(&self, table: &str, partitions: &[Field], location: &str) -> String {
        let name = self.dialect.table(table);
        let (list, by) = self.with_folders(partitions);
        let repair =
            if by.is_empty() { String::new() } else { format!("\nMSCK REPAIR TABLE {name};") };
        // Outside EMR no program of Hadoop's answers to `s3:`.
        let place = match location.strip_prefix("s3://") {
            Some(rest) => format!("s3a://{rest}"),
            None => location.to_owned(),
        };
        let place = self.dialect.text(&place);
        format!("CREATE TABLE {name} (\n{list}\n)\nUSING parquet\n{by}LOCATION {place};{repair}")
    }

    fn iceberg(&self, table: &str, partitions: &[Field], location: &str) -> String {
        let name = self.dialect.table(table);
        let (list, by) = self.with_folders(partitions);
        let source = self.dialect.text(&format!("`parquet`.{}", self.dialect.name(location)));
        // Procedures stand in a catalog, and take the names of its tables.
        let (catalog, table) = match table.splitn(3, '.').collect::<Vec<_>>().as_slice() {
            [catalog, rest @ ..] if rest.len() == 2 => {
                (format!("{}.", self.dialect.name(catalog)), rest.join("."))
            }
            _ => (String::new(), table.to_owned()),
        };
        let table = self.dialect.text(&table);
        let properties = &self.properties;
        format!(
            "CREATE TABLE {name} (\n{list}\n)\nUSING iceberg\n{by}{properties};\nCALL {catalog}system.add_files(table => {table}, source_table => {source});"
        )
        .replace("iceberg\n;", "iceberg;")
        .replace(")\n;", ");")
    }

    /// All columns, those of folders last, and the clause that names these.
    fn with_folders(&self, partitions: &[Field]) -> (String, String) {
        let folders = self.folders(partitions);
        let all = self.own().chain(folders.iter().map(|(n, t)| (n.as_str(), t.as_str())));
        let list = self.list(all);
        if folders.is_empty() {
            return (list, String::new());
        }
        let names: Vec<String> = folders.iter().map(|(n, _)| self.dialect.name(n)).collect();
        (list, format!("PARTITIONED BY ({})\n", names.join(", ")))
    }

    fn duckdb(&self, table: &str, partitions: &[Field], location: &str) -> String {
        let folders = self.folders(partitions);
        let all = self.own().chain(folders.iter().map(|(n, t)| (n.as_str(), t.as_str())));
        let selected: Vec<String> = all
            .map(|(name, of_type)| {
                let name = self.dialect.name(name);
                format!("  CAST({name} AS {of_type}) AS {name}")
            })
            .collect();
        let files = self.dialect.text(&format!("{location}/**/*.parquet"));
        let hive = if folders.is_empty() {
            ", hive_partitioning = false".to_owned()
        } else {
            let types: Vec<String> = folders
                .iter()
                .map(|(name, of_type)| format!("{}: {of_type}", self.dialect.text(name)))
                .collect();
            format!(", hive_partitioning = true, hive_types = {{{}}}", types.join(", "))
        };
        format!(
            "CREATE OR REPLACE VIEW {} AS\nSELECT\n{}\nFROM read_parquet({files}, union_by_name = true{hive});",
            self.dialect.table(table),
            selected.join(",\n")
        )
    }
}

/// Whether a time in milliseconds stands in it.
fn has_millis(data_type: &DataType) -> bool {
    match data_type {
        DataType::Timestamp(TimeUnit::Millisecond, _) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_millis(field.data_type())),
        DataType::List(item) | DataType::Map(item, _) => has_millis(item.data_type()),
        _ => false,
    }
}

/// A name with a line's end in it must not end the comment.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
