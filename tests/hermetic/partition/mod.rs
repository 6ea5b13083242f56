//! `partition`, from outside: rows in, keys out.

pub(crate) mod escape;
mod expressions;
mod random;
mod rows;
pub(crate) mod times;
mod vectors;

use arrow::array::{ArrayRef, RecordBatch};
use forebay::config::{Escape, PartitionColumns, PartitionItem, Placed};
use forebay::error::Fault;
use forebay::partition::{Bound, Context, Keys, Partitioner};
use forebay::position::TopicPartition;

/// An item without name; `a as b` names it `b`.
pub fn item(expr: &str) -> PartitionItem {
    let (expr, name) = match expr.split_once(" as ") {
        Some((expr, name)) => (expr, Some(name.to_owned())),
        None => (expr, None),
    };
    let expr = Placed { text: expr.to_owned(), place: "partition_by[0] (test.yaml:1)".to_owned() };
    PartitionItem { expr, name, timezone: None }
}

pub fn compile(items: &[&str], escape: Escape) -> Result<Partitioner, Vec<Fault>> {
    let items: Vec<_> = items.iter().map(|i| item(i)).collect();
    Partitioner::compile(&items, escape, PartitionColumns::Keep, false)
}

/// Columns by name, all nullable.
pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

/// The keys of a batch of topic `orders`, Kafka partition 3, offsets from 100, timestamps as given.
pub fn keys_at(bound: &mut Bound, batch: &RecordBatch, timestamps: &[Option<i64>]) -> Keys {
    let rows = batch.num_rows();
    let offsets: Vec<i64> = (100..100 + rows as i64).collect();
    bound.keys(
        batch,
        Context {
            topic_partition: &TopicPartition::new("orders", 3),
            record_name: "shop.Order",
            offsets: &offsets,
            timestamps,
            schema_ids: &vec![7; rows],
        },
    )
}

pub fn keys(bound: &mut Bound, batch: &RecordBatch) -> Keys {
    keys_at(bound, batch, &vec![Some(1_767_366_245_000); batch.num_rows()])
}

/// By row, the path without `orders/`, or the code of the reject.
pub fn paths(keys: &Keys) -> Vec<String> {
    (0u32..)
        .zip(&keys.of_row)
        .map(|(row, key)| match *key {
            Keys::REJECTED => {
                let (_, reject) = keys.rejects.iter().find(|(r, _)| *r == row).unwrap();
                reject.code.id.to_owned()
            }
            key => {
                let path = &keys.keys[key as usize].path;
                path.strip_prefix("orders/").unwrap_or("").to_owned()
            }
        })
        .collect()
}

/// Compiles, binds and runs over one column `x`.
pub fn run(expr: &str, column: ArrayRef) -> Vec<String> {
    run_as(expr, column, Escape::Hive)
}

pub fn run_as(expr: &str, column: ArrayRef, escape: Escape) -> Vec<String> {
    let batch = batch(vec![("x", column)]);
    let mut bound = compile(&[expr], escape).unwrap().bind(&batch.schema(), false).unwrap();
    paths(&keys(&mut bound, &batch))
}

/// What binding one expression over one column `x` says.
pub fn refused(expr: &str, column: ArrayRef) -> String {
    let batch = batch(vec![("x", column)]);
    let faults = compile(&[expr], Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].to_string()
}

pub fn corpus(name: &str) -> serde_json::Value {
    let path = format!("{}/tests/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}
