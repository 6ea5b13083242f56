//! Rows → Parquet: nanoseconds and bytes a record, for the 16-field event of `tests/support/event.rs`.
//!
//! `cargo bench --bench encode`. `stock` is parquet's writer as it comes, at the same compression;
//! `fresh` chooses encodings from the first rows of each file, `learned` is told by the file before.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use forebay::config::{Compression, Reader};
use forebay::file::{Encoding, Learned, ParquetFile, Provenance};
use forebay::position::TopicPartition;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

#[path = "../tests/support/event.rs"]
mod event;

const ROWS: usize = 200_000;
const BATCH: usize = 8_192;

fn batches() -> Vec<RecordBatch> {
    (0..ROWS / BATCH).map(|i| event::batch(1, (i * BATCH) as i64, BATCH)).collect()
}

fn provenance() -> Provenance {
    Provenance {
        commit: "c-1".into(),
        pipeline: "bench".into(),
        topic_partition: TopicPartition::new("orders", 0),
        first: 0,
        last: ROWS as i64,
        schema_ids: BTreeSet::from([1]),
        record_name: "rig.orders.Order".into(),
        target: None,
        changes: std::collections::BTreeMap::new(),
        role: "data",
        partition_values: Vec::new(),
    }
}

fn write(
    rows: &[RecordBatch],
    encoding: &Encoding,
    learned: Option<&Learned>,
) -> (u64, Option<Learned>) {
    let mut file = match learned {
        Some(learned) => ParquetFile::with_learned(event::schema(), encoding, learned),
        None => ParquetFile::new(event::schema(), encoding),
    }
    .expect("file");
    for batch in rows {
        file.write(batch).expect("rows");
        while file.take_part(8 << 20).is_some() {}
    }
    let learned = file.learned().cloned();
    (file.finish(&provenance()).expect("end").1.bytes, learned)
}

fn stock(rows: &[RecordBatch], codec: Codec) -> u64 {
    let properties = WriterProperties::builder().set_compression(codec).build();
    let mut writer =
        ArrowWriter::try_new(Vec::new(), event::schema(), Some(properties)).expect("writer");
    rows.iter().for_each(|batch| writer.write(batch).expect("rows"));
    writer.into_inner().expect("end").len() as u64
}

fn encode(c: &mut Criterion) {
    let rows = batches();
    let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
    let cases = [
        ("gzip-6", Compression::Gzip, 6, Codec::GZIP(GzipLevel::try_new(6).expect("level"))),
        ("gzip-1", Compression::Gzip, 1, Codec::GZIP(GzipLevel::try_new(1).expect("level"))),
        ("zstd-3", Compression::Zstd, 3, Codec::ZSTD(ZstdLevel::try_new(3).expect("level"))),
        ("none", Compression::None, 0, Codec::UNCOMPRESSED),
    ];
    let mut group = c.benchmark_group("encode");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(5)).throughput(Throughput::Elements(count as u64));
    for (name, compression, level, codec) in cases {
        let level = (compression != Compression::None).then_some(level);
        let encoding = Encoding { compression, level, readers: vec![Reader::Spark] };
        let (fresh, learned) = write(&rows, &encoding, None);
        let learned = learned.expect("enough rows to learn from");
        let told = write(&rows, &encoding, Some(&learned)).0;
        let bytes = |bytes: u64| bytes as f64 / count as f64;
        println!(
            "{name}: bytes a record: stock {:.1}, fresh {:.1}, learned {:.1}",
            bytes(stock(&rows, codec)),
            bytes(fresh),
            bytes(told)
        );
        group.bench_function(BenchmarkId::new("stock", name), |b| b.iter(|| stock(&rows, codec)));
        group.bench_function(BenchmarkId::new("fresh", name), |b| {
            b.iter(|| write(&rows, &encoding, None).0)
        });
        group.bench_function(BenchmarkId::new("learned", name), |b| {
            b.iter(|| write(&rows, &encoding, Some(&learned)).0)
        });
    }
    group.finish();
}

/// What it would save to hand the writer dictionaries: `plain` and `dictionaries` hold the same texts. Parquet's
/// writer hashes every row either way; what building the dictionaries costs would come on top.
fn texts(c: &mut Criterion) {
    let columns = ["country", "city", "sku"].map(|name| event::schema().index_of(name));
    let columns = columns.map(|index| index.expect("a column of the event"));
    let plain: Vec<RecordBatch> =
        batches().iter().map(|b| b.project(&columns).expect("columns")).collect();
    let dictionaries: Vec<RecordBatch> = plain.iter().map(as_dictionaries).collect();
    let count: usize = plain.iter().map(RecordBatch::num_rows).sum();
    let mut group = c.benchmark_group("texts");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements((count * columns.len()) as u64));
    for (name, rows) in [("plain", plain), ("dictionaries", dictionaries)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut writer =
                    ArrowWriter::try_new(std::io::sink(), rows[0].schema(), None).expect("writer");
                rows.iter().for_each(|batch| writer.write(batch).expect("rows"));
                writer.close().expect("end")
            })
        });
    }
    group.finish();
}

fn as_dictionaries(rows: &RecordBatch) -> RecordBatch {
    let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let columns = rows.columns().iter().map(|column| cast(column, &kind).expect("texts"));
    let names = rows.schema();
    let names = names.fields().iter().map(|f| f.name().clone());
    RecordBatch::try_from_iter(names.zip(columns)).expect("columns")
}

criterion_group!(benches, encode, texts);
criterion_main!(benches);
