//! One gzip-6 file of several batches: by Forebay's writer, and by parquet's own as it comes.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use forebay::config::{Compression, Reader};
use forebay::file::{Encoding, ParquetFile, Provenance};
use forebay::position::TopicPartition;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as Codec, GzipLevel};
use parquet::file::properties::WriterProperties;

/// Batches of one file.
pub const BATCHES: usize = 16;

/// Bytes of the file that `batch` fills, called with `0..BATCHES`. Batches must differ: repeated values
/// flatter dictionaries.
pub fn ours(mut batch: impl FnMut(usize) -> RecordBatch) -> u64 {
    let encoding =
        Encoding { compression: Compression::Gzip, level: Some(6), readers: vec![Reader::Duckdb] };
    let first = batch(0);
    let mut file = ParquetFile::new(first.schema(), &encoding).unwrap();
    file.write(&first).unwrap();
    for number in 1..BATCHES {
        file.write(&batch(number)).unwrap();
    }
    let provenance = Provenance {
        commit: "c-1".into(),
        pipeline: "bench".into(),
        topic_partition: TopicPartition::new("orders", 0),
        first: 0,
        last: 1,
        schema_ids: BTreeSet::from([1]),
        record_name: "rig.orders.Order".into(),
        target: None,
        changes: std::collections::BTreeMap::new(),
        role: "data",
        partition_values: Vec::new(),
    };
    file.finish(&provenance).unwrap().1.bytes
}

/// The same by parquet's writer with its defaults and gzip level 6.
pub fn stock(mut batch: impl FnMut(usize) -> RecordBatch) -> u64 {
    let codec = Codec::GZIP(GzipLevel::try_new(6).unwrap());
    let properties = WriterProperties::builder().set_compression(codec).build();
    let first = batch(0);
    let mut writer = ArrowWriter::try_new(Vec::new(), first.schema(), Some(properties)).unwrap();
    writer.write(&first).unwrap();
    for number in 1..BATCHES {
        writer.write(&batch(number)).unwrap();
    }
    writer.into_inner().unwrap().len() as u64
}
