//! Rows under construction for one [`RowPlan`].
//!
//! The contract is that of [`Decoder`]: one row appended, or none.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Int32Array, Int64Array, MapBuilder, MapFieldNames,
    RecordBatch, StringArray, StringBuilder, TimestampMillisecondArray, UInt32Array,
    new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::key::Keys;
use super::{Options, RowPlan};
use crate::config::Metadata;
use crate::decode::{Decoder, Onto};
use crate::error::{Code, Fault, Kind, Reject};
use crate::position::{Offset, TopicPartition};
use crate::record::{Oddities, Record, Timestamp, TimestampType};

pub static ROWS: Code = Code {
    id: "FB0917",
    kind: Kind::Bug,
    title: "rows whose columns do not fit each other",
    help: "Columns of a value and of what stands beside it could not be put together. Report it with the message; the Kafka partition stops, nothing is lost.",
};

/// A row was refused whose raw record is gone.
#[cold]
pub fn unheld(offset: Offset) -> Fault {
    Fault::new(&ROWS, format!("row of offset {offset}: refused, its record at hand required"))
}

/// Headers of one record up to which equal names are looked for one by one.
const FEW_HEADERS: usize = 16;

/// Rows that may go to lanes.
#[derive(Debug)]
pub struct Finished {
    pub rows: RecordBatch,
    /// By row.
    pub offsets: Vec<Offset>,
    /// By row.
    pub timestamps: Vec<Timestamp>,
}

#[derive(Debug)]
pub struct Builder {
    plan: Arc<RowPlan>,
    value: Option<Decoder>,
    offsets: Vec<Offset>,
    timestamps: Vec<Timestamp>,
    /// What plain rows do not have.
    beside: Option<Box<Beside>>,
}

#[derive(Debug)]
struct Beside {
    options: Options,
    keys: Keys,
    /// Rows without a value, rising.
    tombstones: Vec<u32>,
    timestamp_types: Option<Vec<TimestampType>>,
    headers: Option<MapBuilder<StringBuilder, BinaryBuilder>>,
    header_bytes: usize,
}

impl Builder {
    pub fn new(plan: Arc<RowPlan>) -> Self {
        let beside = plan.beside.as_ref().map(|options| {
            let has = |column| options.metadata.contains(&column);
            Box::new(Beside {
                keys: Keys::new(&plan.key),
                tombstones: Vec::new(),
                timestamp_types: has(Metadata::TimestampType).then(Vec::new),
                headers: has(Metadata::Headers).then(headers),
                header_bytes: 0,
                options: options.clone(),
            })
        });
        Self {
            value: plan.value.as_ref().map(|value| Decoder::new(value.plan.clone())),
            plan,
            offsets: Vec::new(),
            timestamps: Vec::new(),
            beside,
        }
    }

    pub fn plan(&self) -> &Arc<RowPlan> {
        &self.plan
    }

    /// Appends the row of one record, or nothing. `body`: none for a tombstone; `key`: what the key plan
    /// takes.
    #[inline]
    pub fn append(
        &mut self,
        record: &Record<'_>,
        body: Option<&[u8]>,
        key: Option<&[u8]>,
    ) -> Result<(), Box<Reject>> {
        match (&mut self.beside, &mut self.value, body) {
            (None, Some(value), Some(body)) => value.append(body)?,
            (None, ..) => {}
            (Some(beside), value, body) => {
                beside.append(record, value.as_mut(), body, key, self.offsets.len() as u32)?;
            }
        }
        self.offsets.push(record.offset);
        self.timestamps.push(record.timestamp);
        Ok(())
    }

    /// Rows since the last [`Builder::finish`].
    pub fn rows(&self) -> usize {
        self.offsets.len()
    }

    /// Bytes those rows take as columns, about.
    pub fn bytes(&self) -> usize {
        self.value.as_ref().map_or(0, Decoder::bytes)
            + self.beside.as_ref().map_or(0, |b| b.keys.bytes() + b.header_bytes)
    }

    /// Unknown fields skipped since the last call.
    pub fn take_oddities(&mut self) -> [Oddities; 2] {
        let of_values = self.value.as_mut().map(Decoder::take_oddities);
        let of_keys = self.beside.as_mut().map(|b| b.keys.take_oddities());
        [of_values, of_keys].map(Option::unwrap_or_default)
    }

    /// Forgets all rows, and keys that no row has.
    pub fn clear(&mut self) {
        let keys_left = self.beside.as_ref().is_some_and(|beside| beside.keys.rows() > 0);
        if self.offsets.is_empty() && !keys_left {
            return;
        }
        // Made anew, because there are many builders, and this is rare: a Kafka partition goes back, or every
        // record was refused.
        *self = Self::new(self.plan.clone());
    }

    /// The rows; the builder starts anew. `schema_id`: the value's, 0 for none.
    ///
    /// Error: [`ROWS`], a bug.
    pub fn finish(&mut self, tp: &TopicPartition, schema_id: u32) -> Result<Finished, Fault> {
        let offsets = std::mem::take(&mut self.offsets);
        let timestamps = std::mem::take(&mut self.timestamps);
        let value = self.value.as_mut().map(finish).transpose();
        let value = value.map_err(|error| self.fault(&error))?;
        let rows = match (&mut self.beside, value) {
            (None, Some(value)) => Ok(value),
            (None, None) => Ok(RecordBatch::new_empty(self.plan.schema.clone())),
            (Some(beside), value) => {
                let from = From { tp, schema_id, offsets: &offsets, timestamps: &timestamps };
                beside.finish(&self.plan, value, from)
            }
        };
        let rows = rows.map_err(|error| self.fault(&error))?;
        Ok(Finished { rows, offsets, timestamps })
    }

    fn fault(&self, error: &ArrowError) -> Fault {
        Fault::new(&ROWS, format!("rows of `{}`: {error}", self.plan.record_name))
    }
}

/// The decoder's rows, in the columns of the plan's target.
fn finish(decoder: &mut Decoder) -> Result<RecordBatch, ArrowError> {
    let rows = decoder.finish();
    match &decoder.plan().onto {
        Some(Onto { widened: Some(widened), .. }) => widened.apply(&rows),
        _ => Ok(rows),
    }
}

/// Where rows come from.
struct From<'a> {
    tp: &'a TopicPartition,
    schema_id: u32,
    offsets: &'a [Offset],
    timestamps: &'a [Timestamp],
}

impl Beside {
    fn append(
        &mut self,
        record: &Record<'_>,
        value: Option<&mut Decoder>,
        body: Option<&[u8]>,
        key: Option<&[u8]>,
        row: u32,
    ) -> Result<(), Box<Reject>> {
        // What can be refused comes first; a key of a record that is refused is left behind.
        self.keys.read(key)?;
        match (value, body) {
            (Some(value), Some(body)) => value.append(body)?,
            _ => self.tombstones.push(row),
        }
        self.keys.commit(key);
        if let Some(types) = &mut self.timestamp_types {
            types.push(record.timestamp_type);
        }
        if let Some(map) = &mut self.headers {
            self.header_bytes += push_headers(map, record);
        }
        Ok(())
    }

    fn finish(
        &mut self,
        plan: &RowPlan,
        value: Option<RecordBatch>,
        from: From<'_>,
    ) -> Result<RecordBatch, ArrowError> {
        let rows = from.offsets.len();
        let tombstones = std::mem::take(&mut self.tombstones);
        let mut columns = Vec::with_capacity(plan.schema.fields().len());
        let mut deleted = None;
        match (value, &plan.envelope) {
            (Some(value), Some(envelope)) => {
                let unwrapped = envelope.unwrap(&value)?;
                columns.extend(unwrapped.columns);
                columns.extend([unwrapped.op, unwrapped.ts_ms]);
                deleted = Some(unwrapped.deleted);
            }
            (Some(value), None) => columns.extend(value.columns().iter().cloned()),
            (None, _) if self.options.unwraps() => {
                columns.push(new_null_array(&DataType::Utf8, 0));
                columns.push(new_null_array(&DataType::Int64, 0));
            }
            (None, _) => {}
        }
        if !tombstones.is_empty() {
            let at = spread(rows, &tombstones);
            columns = columns.iter().map(|c| nulls_between(c, &at)).collect::<Result<_, _>>()?;
        }
        if self.options.has_deleted() {
            columns.push(Arc::new(say_deleted(rows, deleted.as_ref(), &tombstones)));
        }
        columns.extend(self.keys.finish()?);
        let types = self.timestamp_types.as_mut().map(std::mem::take).unwrap_or_default();
        self.header_bytes = 0;
        for column in &self.options.metadata {
            columns.push(match column {
                Metadata::Topic => Arc::new(StringArray::from(vec![from.tp.topic.as_ref(); rows])),
                Metadata::Partition => Arc::new(Int32Array::from_value(from.tp.partition, rows)),
                Metadata::Offset => Arc::new(Int64Array::from(from.offsets.to_vec())),
                Metadata::Timestamp => {
                    let times = TimestampMillisecondArray::from(from.timestamps.to_vec());
                    Arc::new(times.with_timezone("UTC")) as ArrayRef
                }
                Metadata::TimestampType => Arc::new(say_types(from.timestamps, &types)),
                Metadata::Headers => match &mut self.headers {
                    Some(headers) => Arc::new(headers.finish()),
                    None => Arc::new(headers().finish()),
                },
                Metadata::SchemaId => Arc::new(say_ids(rows, from.schema_id, &tombstones)),
            });
        }
        RecordBatch::try_new(plan.schema.clone(), columns)
    }
}

/// For each row the decoder's row; none for a tombstone.
fn spread(rows: usize, tombstones: &[u32]) -> UInt32Array {
    let mut tombstones = tombstones.iter().peekable();
    let mut next = 0;
    let of_row = (0..rows as u32).map(|row| {
        if tombstones.next_if_eq(&&row).is_some() {
            return None;
        }
        next += 1;
        Some(next - 1)
    });
    of_row.collect()
}

fn nulls_between(column: &ArrayRef, at: &UInt32Array) -> Result<ArrayRef, ArrowError> {
    if column.is_empty() {
        return Ok(new_null_array(column.data_type(), at.values().len()));
    }
    take(column, at, None)
}

/// True for deletes and for tombstones.
fn say_deleted(rows: usize, deleted: Option<&BooleanArray>, tombstones: &[u32]) -> BooleanArray {
    if let (Some(deleted), []) = (deleted, tombstones) {
        return deleted.clone();
    }
    let mut tombstones = tombstones.iter().peekable();
    let mut next = 0;
    let said: Vec<bool> = (0..rows as u32)
        .map(|row| {
            let tombstone = tombstones.next_if_eq(&&row).is_some();
            next += usize::from(!tombstone);
            tombstone || deleted.is_some_and(|d| d.value(next - 1))
        })
        .collect();
    BooleanArray::from(said)
}

/// Kafka's names of `message.timestamp.type`; null where there is no timestamp, or nobody said.
fn say_types(timestamps: &[Timestamp], types: &[TimestampType]) -> StringArray {
    let name = |(timestamp, of): (&Timestamp, &TimestampType)| {
        timestamp.and_then(|_| match of {
            TimestampType::CreateTime => Some("CreateTime"),
            TimestampType::LogAppendTime => Some("LogAppendTime"),
            TimestampType::Unknown => None,
        })
    };
    timestamps.iter().zip(types).map(name).collect()
}

fn say_ids(rows: usize, schema_id: u32, tombstones: &[u32]) -> Int32Array {
    let id = i32::try_from(schema_id).ok().filter(|id| *id > 0);
    let mut tombstones = tombstones.iter().peekable();
    let of_row = |row| id.filter(|_| tombstones.next_if_eq(&&row).is_none());
    (0..rows as u32).map(of_row).collect()
}

fn headers() -> MapBuilder<StringBuilder, BinaryBuilder> {
    let names =
        MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    MapBuilder::new(Some(names), StringBuilder::new(), BinaryBuilder::new())
}

/// Appends one record's headers as a map: of those of one name the last, as Kafka's `lastHeader`.
/// Returns the bytes they take.
fn push_headers(map: &mut MapBuilder<StringBuilder, BinaryBuilder>, record: &Record<'_>) -> usize {
    let mut bytes = 4;
    if !record.headers.is_empty() {
        let all: Vec<(&str, Option<&[u8]>)> = record.headers.iter().collect();
        let few = all.len() <= FEW_HEADERS;
        let last: HashMap<&str, usize> = match few {
            true => HashMap::new(),
            false => all.iter().enumerate().map(|(at, (name, _))| (*name, at)).collect(),
        };
        for (at, (name, value)) in all.iter().enumerate() {
            let again = match few {
                true => all[at + 1..].iter().any(|(later, _)| later == name),
                false => last.get(name) != Some(&at),
            };
            if again {
                continue;
            }
            map.keys().append_value(name);
            map.values().append_option(*value);
            bytes += 8 + name.len() + value.map_or(0, <[u8]>::len);
        }
    }
    // Keys and values are as many.
    let appended = map.append(true);
    debug_assert!(appended.is_ok());
    bytes
}
