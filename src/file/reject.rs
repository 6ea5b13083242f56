//! The rows of a reject file: records that did not become rows, as they came, and why.
//!
//! Owns: the reject file's columns and their builder.
//! Does not own: what is rejected, and where it goes.
//! Bounded by: a record over the limit is kept by reference (size, SHA-256, its first [`HEAD`] bytes);
//! a batch ends at [`BATCH_BYTES`].
//! Absent: partition columns: reject files are laid out by topic.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BinaryBuilder, Int32Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
    StructBuilder, TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use sha2::{Digest, Sha256};

use crate::error::Reject;
use crate::position::TopicPartition;
use crate::record::Record;

/// Bytes that stay of a key, a value and the headers of a record kept by reference; each.
pub const HEAD: usize = 4_096;

/// A batch ends at so many bytes of records, far below the 2 GiB that a column can hold.
pub const BATCH_BYTES: usize = 64 << 20;

static HEADER: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("value", DataType::Binary, true),
    ])
});

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let header = Field::new("element", DataType::Struct(HEADER.clone()), false);
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("topic", DataType::Utf8, false),
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("timestamp", time, true),
        Field::new("key", DataType::Binary, true),
        Field::new("value", DataType::Binary, true),
        Field::new("headers", DataType::List(Arc::new(header)), false),
        Field::new("code", DataType::Utf8, false),
        Field::new("message", DataType::Utf8, false),
        Field::new("schema_id", DataType::Int64, true),
        Field::new("size", DataType::Int64, false),
        Field::new("value_sha256", DataType::Utf8, true),
    ]))
});

/// The columns of every reject file. `size` counts key, value and headers as Kafka had them;
/// `value_sha256` is set, in hex, where `key`, `value` or `headers` were cut, and only there.
pub fn schema() -> SchemaRef {
    SCHEMA.clone()
}

/// Rejects of one Kafka partition, in offset order, on their way to a file.
#[derive(Debug)]
pub struct RejectRows {
    from: TopicPartition,
    record_bytes_max: usize,
    columns: Columns,
    rows: usize,
    bytes: usize,
    done: Vec<RecordBatch>,
}

#[derive(Debug)]
struct Columns {
    topic: StringBuilder,
    partition: Int32Builder,
    offset: Int64Builder,
    timestamp: TimestampMillisecondBuilder,
    key: BinaryBuilder,
    value: BinaryBuilder,
    headers: ListBuilder<StructBuilder>,
    code: StringBuilder,
    message: StringBuilder,
    schema_id: Int64Builder,
    size: Int64Builder,
    value_sha256: StringBuilder,
}

impl RejectRows {
    /// `record_bytes_max`: key, value and headers of a record kept whole; larger ones go by reference.
    pub fn new(from: TopicPartition, record_bytes_max: usize) -> Self {
        let columns = Columns::new();
        Self { from, record_bytes_max, columns, rows: 0, bytes: 0, done: Vec::new() }
    }

    /// Adds one record and why it was refused.
    pub fn push(&mut self, record: &Record<'_>, reject: &Reject, schema_id: Option<u32>) {
        let size = size(record);
        let cut = size > self.record_bytes_max;
        let c = &mut self.columns;
        c.topic.append_value(&self.from.topic);
        c.partition.append_value(self.from.partition);
        c.offset.append_value(record.offset);
        c.timestamp.append_option(record.timestamp);
        c.key.append_option(record.key.map(|key| head(key, cut)));
        c.value.append_option(record.value.map(|value| head(value, cut)));
        c.headers(record, cut);
        c.code.append_value(reject.code.id);
        c.message.append_value(&reject.message);
        c.schema_id.append_option(schema_id.map(i64::from));
        c.size.append_value(i64::try_from(size).unwrap_or(i64::MAX));
        c.value_sha256.append_option(cut.then(|| sha256(record.value.unwrap_or_default())));
        self.rows += 1;
        self.bytes += if cut { 3 * HEAD } else { size } + reject.message.len() + 64;
        if self.bytes >= BATCH_BYTES {
            self.seal();
        }
    }

    /// Rows since the last [`RejectRows::finish`].
    pub fn rows(&self) -> usize {
        self.rows + self.done.iter().map(RecordBatch::num_rows).sum::<usize>()
    }

    /// Memory of those rows, about.
    pub fn bytes(&self) -> usize {
        self.bytes + self.done.iter().map(RecordBatch::get_array_memory_size).sum::<usize>()
    }

    /// The rows, in order, and none left: one batch unless they are more than [`BATCH_BYTES`].
    pub fn finish(&mut self) -> Vec<RecordBatch> {
        self.seal();
        std::mem::take(&mut self.done)
    }

    fn seal(&mut self) {
        if self.rows == 0 {
            return;
        }
        let batch = RecordBatch::try_new(schema(), self.columns.finish());
        debug_assert!(batch.is_ok(), "reject columns: {batch:?}");
        self.done.extend(batch);
        (self.rows, self.bytes) = (0, 0);
    }
}

impl Columns {
    fn new() -> Self {
        let element = Field::new("element", DataType::Struct(HEADER.clone()), false);
        let header = StructBuilder::new(
            HEADER.clone(),
            vec![Box::new(StringBuilder::new()), Box::new(BinaryBuilder::new())],
        );
        Self {
            topic: StringBuilder::new(),
            partition: Int32Builder::new(),
            offset: Int64Builder::new(),
            timestamp: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            key: BinaryBuilder::new(),
            value: BinaryBuilder::new(),
            headers: ListBuilder::new(header).with_field(element),
            code: StringBuilder::new(),
            message: StringBuilder::new(),
            schema_id: Int64Builder::new(),
            size: Int64Builder::new(),
            value_sha256: StringBuilder::new(),
        }
    }

    /// Headers in order; of a record kept by reference, those within the first [`HEAD`] bytes.
    fn headers(&mut self, record: &Record<'_>, cut: bool) {
        let mut room = if cut { HEAD } else { usize::MAX };
        let list = self.headers.values();
        for (name, value) in record.headers.iter() {
            let size = name.len() + value.map_or(0, <[u8]>::len);
            if size > room {
                break;
            }
            room -= size;
            if let Some(names) = list.field_builder::<StringBuilder>(0) {
                names.append_value(name);
            }
            if let Some(values) = list.field_builder::<BinaryBuilder>(1) {
                values.append_option(value);
            }
            list.append(true);
        }
        self.headers.append(true);
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.topic.finish()),
            Arc::new(self.partition.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.timestamp.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.value.finish()),
            Arc::new(self.headers.finish()),
            Arc::new(self.code.finish()),
            Arc::new(self.message.finish()),
            Arc::new(self.schema_id.finish()),
            Arc::new(self.size.finish()),
            Arc::new(self.value_sha256.finish()),
        ]
    }
}

/// Bytes of key, value and headers.
fn size(record: &Record<'_>) -> usize {
    let headers =
        record.headers.iter().map(|(n, v)| n.len() + v.map_or(0, <[u8]>::len)).sum::<usize>();
    record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers
}

fn head(bytes: &[u8], cut: bool) -> &[u8] {
    if cut { &bytes[..bytes.len().min(HEAD)] } else { bytes }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
