//! What Debezium's own types become where its events are unwrapped.

use std::fmt::Write;

use arrow::datatypes::Schema;
use forebay::config::Unwrap;
use forebay::decode::Plan;
use forebay::decode::envelope::Envelope;
use serde_json::json;

use super::{arrow_type, options, parquet_columns, parquet_type, readers};

/// Names of Connect schemas that share a result, and the type they are of.
const ROWS: [(&[&str], &str); 11] = [
    (&["time.Date"], "int32"),
    (&["time.Timestamp"], "int64"),
    (&["time.MicroTimestamp"], "int64"),
    (&["time.NanoTimestamp"], "int64"),
    (&["time.Time"], "int32"),
    (&["time.MicroTime", "time.MicroDuration"], "int64"),
    (&["time.NanoTime", "time.NanoDuration"], "int64"),
    (&["time.ZonedTimestamp", "time.ZonedTime", "time.IsoTimestamp", "time.Interval"], "string"),
    (&["data.Json"], "string"),
    (&["data.Uuid", "data.Enum", "data.Xml"], "string"),
    (&["time.Year"], "int32"),
];

const INTRODUCTION: &str = "
## Change events

With `value.unwrap: debezium` a row is `after`, or `before` for a delete, with `_op`, `_ts_ms` and `_deleted`; `source` and `transaction` are left
away. All columns are nullable. Debezium's own types, by the name of the Connect schema, below `io.debezium.`:

| name | Connect | Arrow | Parquet | DuckDB | Spark | Athena |
|---|---|---|---|---|---|---|
";

const NOTES: &str = "
The names stand in Avro (`connect.name`), in JSON Schema (`title`) and in the Connect schema of a record. Confluent's Protobuf converter writes
none: there integers stay integers, unless the connector has `time.precision.mode: connect`, whose types every format has. Times of day and durations stay
integers for all readers, because MySQL's go below zero and beyond a day; their unit stands in the footer under `forebay.units`. Times with a
zone stay text, because it may hold an offset, `infinity`, or more digits than a timestamp; time functions of `partition_by` read it. Items of
arrays keep their base types. Any other name is its base type.

Where the state is a text named `io.debezium.data.Json` (MongoDB's documents, Extended JSON), or any text in Protobuf, it becomes one column `value`, with
`updateDescription` (`patch` and `filter` of older connectors) beside it, because an update may come with its changes alone.
";

/// Arrow, Parquet, DuckDB, Spark, Athena.
fn cells(name: &str, ty: &str) -> [String; 5] {
    let mut options = options();
    options.value.unwrap = Unwrap::Debezium;
    let state = |field: &str| {
        json!({"field": field, "type": "struct", "optional": true, "fields": [
            {"field": "f", "type": ty, "name": format!("io.debezium.{name}")}]})
    };
    let event = json!({"type": "struct", "fields": [state("before"), state("after"),
        {"field": "op", "type": "string"}, {"field": "ts_ms", "type": "int64"}]});
    let plan = Plan::embedded(event.to_string().as_bytes(), &options).unwrap();
    let field = Envelope::new(&plan, None, &options).unwrap().fields()[0].clone();
    assert!(field.is_nullable());
    let columns = parquet_columns(Schema::new(vec![field.clone()]).into(), &options);
    let [duckdb, spark, athena] = readers::types(&columns[0]);
    [arrow_type(&field), parquet_type(&columns[0]), duckdb, spark, athena]
}

/// The section of the page.
pub(super) fn section() -> String {
    let mut out = INTRODUCTION.to_owned();
    for (names, ty) in ROWS {
        let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let cells = cells(names[0], ty).join(" | ");
        let _ = writeln!(out, "| {} | {ty} | {cells} |", quoted.join(" "));
    }
    out + NOTES
}

#[test]
fn names_of_one_row_have_one_result_that_every_reader_opens() {
    for (names, ty) in ROWS {
        let first = cells(names[0], ty);
        assert!(names.iter().all(|name| cells(name, ty) == first), "{names:?}");
        assert!(first[2..].iter().all(|reader| !reader.contains("**")), "{names:?}: {first:?}");
    }
}
