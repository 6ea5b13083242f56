//! `forebay plan --ddl`. DuckDB's own reading of its statement is tested with the real program
//! (`tests/stack/py/plan_readers.py`); the expected statements here were written by hand after the grammars in
//! the documentation of Athena, Spark SQL and Iceberg.

use super::{folder, plan};

/// Every kind of column.
const AVSC: &str = r#"{"type":"record","name":"R","fields":[
    {"name":"id","type":"long"},
    {"name":"country","type":["null","string"]},
    {"name":"n","type":"int"},
    {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
    {"name":"huge","type":{"type":"bytes","logicalType":"decimal","precision":50,"scale":2}},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},
    {"name":"local","type":{"type":"long","logicalType":"local-timestamp-millis"}},
    {"name":"day","type":{"type":"int","logicalType":"date"}},
    {"name":"clock","type":{"type":"int","logicalType":"time-millis"}},
    {"name":"key","type":{"type":"string","logicalType":"uuid"}},
    {"name":"kind","type":{"type":"enum","name":"K","symbols":["A"]}},
    {"name":"f4","type":"float"},
    {"name":"f8","type":"double"},
    {"name":"yes","type":"boolean"},
    {"name":"raw","type":"bytes"},
    {"name":"tags","type":{"type":"array","items":"string"}},
    {"name":"counts","type":{"type":"map","values":"long"}},
    {"name":"points","type":{"type":"array","items":{"type":"record","name":"P","fields":[
        {"name":"x","type":"int"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}}}
]}"#;

const BY: [&str; 4] = ["--partition-by", "country", "--partition-by", "day(at)"];

fn statement(avsc: &str, dialect: &str, more: &[&str]) -> String {
    let folder = folder(&[("orders/v1.avsc", avsc)]);
    let args = [&["orders", "--ddl", dialect], more].concat();
    let ended = plan(folder.path(), &args);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    ended.stdout
}

fn at_s3(dialect: &str) -> String {
    statement(AVSC, dialect, &[&["--location", "s3://lake/raw/orders"][..], &BY].concat())
}

#[test]
fn athena_makes_an_external_table_over_the_folders() {
    assert_eq!(
        at_s3("athena"),
        "-- folders of computed values are text: 2026-01-02, 2026-01
CREATE EXTERNAL TABLE `orders` (
  `id` bigint,
  `n` int,
  `price` decimal(10,2),
  `huge` string,
  `at` timestamp,
  `local` timestamp,
  `day` date,
  `clock` bigint,
  `key` string,
  `kind` string,
  `f4` float,
  `f8` double,
  `yes` boolean,
  `raw` binary,
  `tags` array<string>,
  `counts` map<string, bigint>,
  `points` array<struct<x: int, at: timestamp>>
)
PARTITIONED BY (
  `country` string,
  `at_day` string
)
STORED AS PARQUET
LOCATION 's3://lake/raw/orders/';
MSCK REPAIR TABLE `orders`;
"
    );
}

#[test]
fn spark_makes_a_table_whose_folders_are_columns_at_its_end() {
    assert_eq!(
        at_s3("spark"),
        "-- folders of computed values are text: 2026-01-02, 2026-01
CREATE TABLE `orders` (
  `id` BIGINT,
  `n` INT,
  `price` DECIMAL(10,2),
  `huge` STRING,
  `at` TIMESTAMP,
  `local` TIMESTAMP_NTZ,
  `day` DATE,
  `clock` BIGINT,
  `key` STRING,
  `kind` STRING,
  `f4` FLOAT,
  `f8` DOUBLE,
  `yes` BOOLEAN,
  `raw` BINARY,
  `tags` ARRAY<STRING>,
  `counts` MAP<STRING, BIGINT>,
  `points` ARRAY<STRUCT<x: INT, at: TIMESTAMP>>,
  `country` STRING,
  `at_day` STRING
)
USING parquet
PARTITIONED BY (`country`, `at_day`)
LOCATION 's3a://lake/raw/orders';
MSCK REPAIR TABLE `orders`;
"
    );
}

#[test]
fn iceberg_makes_a_table_and_adds_the_files() {
    let made = at_s3("iceberg");
    // Iceberg 1.10 on Spark 4.0 was tried: 1 ms of a Parquet file came as 1 µs, without this as 1 ms.
    assert!(made.starts_with("-- milliseconds: "), "{made}");
    assert!(made.contains("\n-- add_files takes the values of folders"), "{made}");
    assert!(made.contains("  `local` TIMESTAMP_NTZ,\n"), "{made}");
    assert!(
        made.ends_with(
            ",
  `country` STRING,
  `at_day` STRING
)
USING iceberg
PARTITIONED BY (`country`, `at_day`)
TBLPROPERTIES ('read.parquet.vectorization.enabled' = 'false');
CALL system.add_files(table => 'orders', source_table => '`parquet`.`s3://lake/raw/orders`');
"
        ),
        "{made}"
    );
    let micros = AVSC.replace("millis", "micros");
    let plain = statement(&micros, "iceberg", &["--location", "s3://lake/raw/orders"]);
    let more = ["--location", "s3://lake/raw/orders", "--table", "lake.shop.orders"];
    let named = statement(AVSC, "iceberg", &more);
    assert!(named.contains("CREATE TABLE `lake`.`shop`.`orders` ("), "{named}");
    assert!(named.contains("CALL `lake`.system.add_files(table => 'shop.orders', "), "{named}");
    assert!(plain.contains("\n)\nUSING iceberg;\nCALL system.add_files("), "{plain}");
}

#[test]
fn duckdb_makes_a_view_that_reads_by_name() {
    let made = statement(
        r#"{"type":"record","name":"R","fields":[{"name":"id","type":"int"},{"name":"n","type":"int"}]}"#,
        "duckdb",
        &["--location", "/data/it's", "--partition-by", "n", "--table", "or\"ders"],
    );
    assert_eq!(
        made,
        "-- a column that no file has yet is an error: make the view once there is a file of the newest version
CREATE OR REPLACE VIEW \"or\"\"ders\" AS
SELECT
  CAST(\"id\" AS INTEGER) AS \"id\",
  CAST(\"n\" AS INTEGER) AS \"n\"
FROM read_parquet('/data/it''s/**/*.parquet', union_by_name = true, hive_partitioning = true, hive_types = {'n': INTEGER});
"
    );
}

/// A configuration that keeps exact types, and partition columns in the files too.
#[test]
fn column_that_a_reader_does_not_open_is_left_out_and_said() {
    let folder = folder(&[("orders/v1.avsc", AVSC)]);
    let config = "pipeline: t\nsource: { brokers: 'x:1', topics: [orders] }\nregistry: { url: 'http://x' }\n\
        sink: { url: 's3://lake/raw', partition_columns: keep }\npartition_by: [country]\nreaders: [native]\n";
    std::fs::write(folder.path().join("f.yaml"), config).unwrap();
    let args = ["-c", "f.yaml", "orders", "--topic", "orders", "--ddl"];
    let made = |dialect: &str| {
        let ended = plan(folder.path(), &[&args[..], &[dialect]].concat());
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        ended.stdout
    };
    let athena = made("athena");
    for name in ["huge", "clock", "key"] {
        assert!(
            athena.contains(&format!("-- column `{name}` left out: athena reads no ")),
            "{athena}"
        );
        assert!(!athena.contains(&format!("  `{name}`")), "{athena}");
    }
    assert!(
        athena.contains("-- column `country` of the files stands in their path too"),
        "{athena}"
    );
    assert_eq!(athena.matches("`country` string").count(), 1, "{athena}");
    // The topic's folder in the sink.
    assert!(athena.contains("LOCATION 's3://lake/raw/orders/';"), "{athena}");
    let duckdb = made("duckdb");
    assert!(
        duckdb.contains("CAST(\"key\" AS UUID)") && duckdb.contains("CAST(\"clock\" AS TIME)"),
        "{duckdb}"
    );
    assert!(duckdb.contains("-- column `huge` left out: duckdb reads no "), "{duckdb}");
}

#[test]
fn place_that_is_not_known_or_not_read_is_refused() {
    let folder = folder(&[("orders/v1.avsc", AVSC)]);
    for (more, expected) in [
        (&["--ddl", "spark"][..], "`--location` required"),
        (&["--ddl", "athena", "--location", "/data"], "Athena reads S3 alone"),
    ] {
        let ended = plan(folder.path(), &[&["orders"], more].concat());
        assert_eq!(ended.code(), Some(2), "{ended:?}");
        assert!(
            ended.stderr.contains("FB1060") && ended.stderr.contains(expected),
            "{}",
            ended.stderr
        );
    }
}
