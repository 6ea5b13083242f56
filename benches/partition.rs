//! Nanoseconds a row costs in `partition`: 8,192 rows of the event that the other benches use.
//!
//! `cargo bench --bench partition`. Time is CPU time per batch, so that a busy machine matters
//! little; the throughput is in rows.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int32Type;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay::clock::{Seeded, System};
use forebay::config::{Escape, PartitionColumns, PartitionItem, Placed};
use forebay::partition::{Context, Partitioner};
use forebay::position::TopicPartition;

const ROWS: usize = 8_192;

fn batch() -> RecordBatch {
    let mut random = Seeded::new(1);
    // 20 countries, the first ones more often.
    let mut country = || {
        let skewed = random.below(20).min(random.below(20)).min(random.below(20));
        format!("C{skewed}")
    };
    let countries: Vec<String> = (0..ROWS).map(|_| country()).collect();
    let mut random = Seeded::new(2);
    // Rising over six hours with a minute of jitter.
    let created: Vec<i64> = (0..ROWS as i64)
        .map(|i| 1_767_366_245_000_000 + i * 2_636_718 + random.below(60_000_000) as i64)
        .collect();
    let iso: Vec<String> = created
        .iter()
        .map(|us| jiff::Timestamp::from_microsecond(*us).unwrap().to_string())
        .collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("country", Arc::new(StringArray::from(countries.clone()))),
        (
            "status",
            Arc::new(countries.iter().map(String::as_str).collect::<DictionaryArray<Int32Type>>()),
        ),
        ("created_at", Arc::new(TimestampMicrosecondArray::from(created).with_timezone("UTC"))),
        ("iso", Arc::new(StringArray::from(iso))),
        ("customer_id", Arc::new(Int64Array::from_iter_values(0..ROWS as i64))),
        (
            "order_id",
            Arc::new(StringArray::from_iter_values((0..ROWS).map(|i| format!("{i:036}")))),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn partition(c: &mut Criterion) {
    let batch = batch();
    let (offsets, timestamps): (Vec<i64>, Vec<_>) =
        (0..ROWS as i64).map(|i| (i, Some(1_767_366_245_000 + i))).unzip();
    let ids = vec![1; ROWS];
    let topic_partition = TopicPartition::new("orders", 0);
    let context = Context {
        topic_partition: &topic_partition,
        record_name: "Order",
        offsets: &offsets,
        timestamps: &timestamps,
        schema_ids: &ids,
    };
    let mut group = c.benchmark_group("partition");
    group.throughput(Throughput::Elements(ROWS as u64));
    let cases: [(&str, &[&str]); 9] = [
        ("country", &["country"]),
        ("enum", &["status"]),
        ("day", &["day(created_at)"]),
        ("country, day", &["country", "day(created_at)"]),
        ("country, hour in Paris", &["country", "hour(created_at, timezone='Europe/Paris')"]),
        ("day of Kafka's timestamp", &["day(_timestamp)"]),
        ("day of ISO strings", &["day(iso)"]),
        ("bucket of long", &["bucket(16, customer_id)"]),
        ("bucket of string", &["bucket(16, order_id)"]),
    ];
    for (name, items) in cases {
        let items: Vec<PartitionItem> = items
            .iter()
            .map(|expr| PartitionItem {
                expr: Placed { text: (*expr).to_owned(), place: String::new() },
                name: None,
                timezone: None,
            })
            .collect();
        let partitioner =
            Partitioner::compile(&items, Escape::Hive, PartitionColumns::Auto, false).unwrap();
        let mut bound = partitioner.bind(&batch.schema(), false).unwrap();
        group.bench_function(name, |b| {
            b.iter_custom(|count| {
                let clock = System::new();
                let start = clock.process_cpu();
                for _ in 0..count {
                    black_box(bound.keys(black_box(&batch), context));
                }
                clock.process_cpu() - start
            });
        });
    }
    group.finish();
}

criterion_group!(benches, partition);
criterion_main!(benches);
