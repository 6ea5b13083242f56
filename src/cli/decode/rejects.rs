//! A reject file of a pipeline → the records it holds, to be tried again.
//!
//! Bounded by: the file's row groups; [`ROWS`] rows at a time.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch as Rows};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMillisecondType};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::input::{Chunk, Flow, Place, Take, wrong};
use super::io;
use crate::error::{Fault, Reject};
use crate::file::reject;
use crate::pipeline::intake::TOO_LARGE;
use crate::position::TopicPartition;
use crate::record::{RecordBatch, TimestampType};

/// Rows read at a time.
const ROWS: usize = 256;

pub(super) struct Rejects {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
}

impl Rejects {
    /// Error: a file without the columns of a reject file.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let required = "a reject file of a pipeline (Parquet)";
        let file = File::open(path).map_err(|e| io(path, &e, required))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|e| wrong(path, &e, required))?;
        for field in reject::schema().fields() {
            let found = builder.schema().field_with_name(field.name());
            if !found.is_ok_and(|f| f.data_type() == field.data_type()) {
                let found = format!("no column `{}` of type {}", field.name(), field.data_type());
                return Err(wrong(path, &found, required));
            }
        }
        let reader =
            builder.with_batch_size(ROWS).build().map_err(|e| wrong(path, &e, required))?;
        Ok(Self { path: path.to_owned(), reader })
    }

    pub(super) fn each(self, take: &mut Take<'_>) -> Result<(), Fault> {
        for rows in self.reader {
            let rows = rows.map_err(|e| wrong(&self.path, &e, "a reject file that is whole"))?;
            let unread = || wrong(&self.path, &"columns of other types", "a reject file");
            for chunk in chunks(&rows).ok_or_else(unread)? {
                if take(chunk)? == Flow::Stop {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The records of some rows, those of one Kafka partition together as they stand.
fn chunks(rows: &Rows) -> Option<Vec<Chunk>> {
    let column = |name: &str| rows.column_by_name(name);
    let topics = column("topic")?.as_string_opt::<i32>()?;
    let partitions = column("partition")?.as_primitive_opt::<Int32Type>()?;
    let offsets = column("offset")?.as_primitive_opt::<Int64Type>()?;
    let timestamps = column("timestamp")?.as_primitive_opt::<TimestampMillisecondType>()?;
    let keys = column("key")?.as_binary_opt::<i32>()?;
    let values = column("value")?.as_binary_opt::<i32>()?;
    let headers = column("headers")?.as_list_opt::<i32>()?;
    let pairs = headers.values().as_struct_opt()?;
    let names = pairs.column_by_name("name")?.as_string_opt::<i32>()?;
    let header_values = pairs.column_by_name("value")?.as_binary_opt::<i32>()?;
    let sizes = column("size")?.as_primitive_opt::<Int64Type>()?;
    let hashes = column("value_sha256")?.as_string_opt::<i32>()?;
    let mut chunks: Vec<Chunk> = Vec::new();
    for row in 0..rows.num_rows() {
        let (topic, partition) = (topics.value(row), partitions.value(row));
        let from = TopicPartition::new(topic, partition);
        if !chunks.last().is_some_and(|c| c.takes(&from, offsets.value(row))) {
            chunks.push(Chunk { batch: RecordBatch::new(from, 0), places: Vec::new() });
        }
        let chunk = chunks.last_mut()?;
        let range =
            headers.value_offsets()[row] as usize..headers.value_offsets()[row + 1] as usize;
        let header =
            |i| (names.value(i), (!header_values.is_null(i)).then(|| header_values.value(i)));
        chunk.batch.push(
            offsets.value(row),
            (!timestamps.is_null(row)).then(|| timestamps.value(row)),
            TimestampType::Unknown, // the file does not say
            (!keys.is_null(row)).then(|| keys.value(row)),
            (!values.is_null(row)).then(|| values.value(row)),
            range.map(header),
        );
        // Cut: what is left of it is no record.
        let cut = (!hashes.is_null(row)).then(|| {
            let text = format!(
                "record of {} bytes: the reject file holds its first bytes alone, all of it required; read it from Kafka with `-c`",
                sizes.value(row)
            );
            Reject::new(&TOO_LARGE, text)
        });
        chunk.places.push(Place { n: offsets.value(row), refused: cut });
    }
    Some(chunks)
}
