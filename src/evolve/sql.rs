//! Columns in the words of the programs that read the files.
//!
//! Owns: names in quotes, types, as each dialect writes them and as its reader opens Parquet.
//! Does not own: what readers make of differences ([`super::verdict`]), whole statements (`cli`).
//! Bounded by: the columns given.
//!
//! Sources: the grammars in the documentation of Athena (data types, `CREATE TABLE`), Spark SQL (data types,
//! identifiers), Iceberg (Spark DDL, "Spark type to Iceberg type"), Trino (types, Hive connector), DuckDB
//! (data types, keywords and identifiers). What Spark 4.0 and DuckDB 2.0 make of a Parquet type was tried.

use arrow::datatypes::{DataType, Field, TimeUnit};

use super::rules::pair;

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Athena,
    Spark,
    /// Spark SQL with Iceberg's extensions.
    Iceberg,
    Trino,
    Duckdb,
}

impl Dialect {
    /// A name in quotes.
    pub fn name(self, name: &str) -> String {
        match self {
            Dialect::Athena | Dialect::Spark | Dialect::Iceberg => {
                format!("`{}`", name.replace('`', "``"))
            }
            Dialect::Trino | Dialect::Duckdb => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// The name of a table, each part in quotes: `lake.orders` is the table `orders` of `lake`.
    pub fn table(self, name: &str) -> String {
        let parts: Vec<String> = name.split('.').map(|part| self.name(part)).collect();
        parts.join(".")
    }

    /// A text in quotes.
    pub fn text(self, text: &str) -> String {
        match self {
            // Spark reads `\` in texts, as Hive does; the others double quotes only.
            Dialect::Athena | Dialect::Spark | Dialect::Iceberg => {
                format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
            }
            Dialect::Trino | Dialect::Duckdb => format!("'{}'", text.replace('\'', "''")),
        }
    }

    /// The type of a column. None: this reader opens no such column.
    pub fn type_of(self, field: &Field) -> Option<String> {
        let of = |field: &Field| self.type_of(field);
        Some(match field.data_type() {
            DataType::Struct(fields) => {
                let between = if self.is_hive() { ": " } else { " " };
                let each = |field: &std::sync::Arc<Field>| {
                    Some(format!("{}{between}{}", self.field_name(field.name()), of(field)?))
                };
                let fields = fields.iter().map(each).collect::<Option<Vec<_>>>()?.join(", ");
                match self {
                    Dialect::Trino => format!("ROW({fields})"),
                    Dialect::Duckdb => format!("STRUCT({fields})"),
                    _ => format!("{}<{fields}>", self.case("STRUCT")),
                }
            }
            DataType::List(item) => match self {
                Dialect::Duckdb => format!("{}[]", of(item)?),
                Dialect::Trino => format!("ARRAY({})", of(item)?),
                _ => format!("{}<{}>", self.case("ARRAY"), of(item)?),
            },
            DataType::Map(entries, _) => {
                let (key, value) = pair(entries)?;
                let (key, value) = (of(key)?, of(value)?);
                match self {
                    Dialect::Duckdb | Dialect::Trino => format!("MAP({key}, {value})"),
                    _ => format!("{}<{key}, {value}>", self.case("MAP")),
                }
            }
            DataType::Dictionary(_, value) => {
                return of(&field.clone().with_data_type(value.as_ref().clone()));
            }
            _ => return self.leaf(field).map(|name| self.case(&name)),
        })
    }

    fn leaf(self, field: &Field) -> Option<String> {
        use Dialect::{Athena, Duckdb, Iceberg, Spark, Trino};
        let duckdb = self == Duckdb;
        let only_duckdb = |name| if duckdb { Some(name) } else { None };
        let name = match field.data_type() {
            DataType::Boolean => "BOOLEAN",
            DataType::Int8 => "TINYINT",
            DataType::Int16 => "SMALLINT",
            DataType::Int32 => match self {
                Duckdb | Trino => "INTEGER",
                _ => "INT",
            },
            // Parquet has milliseconds and the like as bare integers.
            DataType::Int64 | DataType::Duration(_) => "BIGINT",
            DataType::UInt32 => match self {
                Duckdb => "UINTEGER",
                Spark => "BIGINT",
                Athena | Iceberg | Trino => return None,
            },
            DataType::UInt64 => match self {
                Duckdb => "UBIGINT",
                Spark => "DECIMAL(20,0)",
                Athena | Iceberg | Trino => return None,
            },
            DataType::Float32 => match self {
                Trino => "REAL",
                _ => "FLOAT",
            },
            DataType::Float64 => "DOUBLE",
            DataType::Decimal128(p, s) => return Some(format!("DECIMAL({p},{s})")),
            DataType::Utf8 | DataType::LargeUtf8 => match self {
                Duckdb if field.extension_type_name() == Some("arrow.json") => "JSON",
                Duckdb | Trino => "VARCHAR",
                _ => "STRING",
            },
            DataType::FixedSizeBinary(_) if field.extension_type_name() == Some("arrow.uuid") => {
                only_duckdb("UUID")?
            }
            DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => match self {
                Duckdb => "BLOB",
                Trino => "VARBINARY",
                _ => "BINARY",
            },
            DataType::Date32 => "DATE",
            DataType::Time32(_) | DataType::Time64(TimeUnit::Microsecond) => only_duckdb("TIME")?,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => only_duckdb("TIMESTAMP_NS")?,
            DataType::Timestamp(_, zone) => match (self, zone) {
                (Duckdb, Some(_)) => "TIMESTAMP WITH TIME ZONE",
                (Spark | Iceberg, None) => "TIMESTAMP_NTZ",
                _ => "TIMESTAMP",
            },
            _ => return None,
        };
        Some(name.to_owned())
    }

    /// Types of Hive are written small, as its own tools do.
    fn case(self, name: &str) -> String {
        if self == Dialect::Athena { name.to_lowercase() } else { name.to_owned() }
    }

    fn is_hive(self) -> bool {
        matches!(self, Dialect::Athena | Dialect::Spark | Dialect::Iceberg)
    }

    /// A name inside a struct: Hive's grammar has them without quotes.
    fn field_name(self, name: &str) -> String {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match self.is_hive() && plain {
            true => name.to_owned(),
            false => self.name(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn types(data_type: DataType) -> [Option<String>; 5] {
        use Dialect::{Athena, Duckdb, Iceberg, Spark, Trino};
        let field = Field::new("x", data_type, true);
        [Athena, Spark, Iceberg, Trino, Duckdb].map(|dialect| dialect.type_of(&field))
    }

    /// Expected: the tables of types in each program's documentation.
    #[test]
    fn types_are_those_of_each_dialect() {
        let all = |names: [&str; 5]| names.map(|n| (n != "-").then(|| n.to_owned()));
        let utc = Some("UTC".into());
        let struct_of = DataType::Struct(
            vec![
                Field::new("lat", DataType::Float64, true),
                Field::new("a b", DataType::Int32, true),
            ]
            .into(),
        );
        let list = DataType::List(Arc::new(Field::new("element", struct_of.clone(), true)));
        let entries = DataType::Struct(
            vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Int64, true),
            ]
            .into(),
        );
        let map = DataType::Map(Arc::new(Field::new("key_value", entries, false)), false);
        for (data_type, expected) in [
            (DataType::Int32, ["int", "INT", "INT", "INTEGER", "INTEGER"]),
            (DataType::Int64, ["bigint", "BIGINT", "BIGINT", "BIGINT", "BIGINT"]),
            (DataType::Float32, ["float", "FLOAT", "FLOAT", "REAL", "FLOAT"]),
            (DataType::UInt64, ["-", "DECIMAL(20,0)", "-", "-", "UBIGINT"]),
            (DataType::Utf8, ["string", "STRING", "STRING", "VARCHAR", "VARCHAR"]),
            (DataType::Binary, ["binary", "BINARY", "BINARY", "VARBINARY", "BLOB"]),
            (
                DataType::Decimal128(10, 2),
                [
                    "decimal(10,2)",
                    "DECIMAL(10,2)",
                    "DECIMAL(10,2)",
                    "DECIMAL(10,2)",
                    "DECIMAL(10,2)",
                ],
            ),
            (DataType::Decimal256(50, 2), ["-", "-", "-", "-", "-"]),
            (
                DataType::Timestamp(TimeUnit::Microsecond, utc),
                ["timestamp", "TIMESTAMP", "TIMESTAMP", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"],
            ),
            (
                DataType::Timestamp(TimeUnit::Millisecond, None),
                ["timestamp", "TIMESTAMP_NTZ", "TIMESTAMP_NTZ", "TIMESTAMP", "TIMESTAMP"],
            ),
            (DataType::Timestamp(TimeUnit::Nanosecond, None), ["-", "-", "-", "-", "TIMESTAMP_NS"]),
            (DataType::Time64(TimeUnit::Microsecond), ["-", "-", "-", "-", "TIME"]),
            (
                list,
                [
                    "array<struct<lat: double, `a b`: int>>",
                    "ARRAY<STRUCT<lat: DOUBLE, `a b`: INT>>",
                    "ARRAY<STRUCT<lat: DOUBLE, `a b`: INT>>",
                    "ARRAY(ROW(\"lat\" DOUBLE, \"a b\" INTEGER))",
                    "STRUCT(\"lat\" DOUBLE, \"a b\" INTEGER)[]",
                ],
            ),
            (
                map,
                [
                    "map<string, bigint>",
                    "MAP<STRING, BIGINT>",
                    "MAP<STRING, BIGINT>",
                    "MAP(VARCHAR, BIGINT)",
                    "MAP(VARCHAR, BIGINT)",
                ],
            ),
        ] {
            assert_eq!(types(data_type.clone()), all(expected), "{data_type}");
        }
    }

    #[test]
    fn quotes_inside_names_and_texts_are_written_so_that_they_stay_inside() {
        assert_eq!(Dialect::Athena.name("a`b"), "`a``b`");
        assert_eq!(Dialect::Duckdb.name("a\"b"), "\"a\"\"b\"");
        assert_eq!(Dialect::Trino.table("lake.or ders"), "\"lake\".\"or ders\"");
        assert_eq!(Dialect::Duckdb.text("O'K"), "'O''K'");
        assert_eq!(Dialect::Spark.text("O'K\\"), "'O\\'K\\\\'");
    }
}
