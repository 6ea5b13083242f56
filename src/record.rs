//! Kafka records as raw bytes, many in one arena.
//!
//! Owns: [`RecordBatch`], the unit that `source` hands on, and [`Record`], a borrowed view of one.
//! Does not own: what the bytes mean (`wire`, `decode`).
//! Bounded by: what `source` puts in; [`RecordBatch::bytes`] is what a permit counts.

use crate::position::{Offset, TopicPartition};

/// Milliseconds since 1970 that Kafka stamped, or none (`-1` on the wire).
pub type Timestamp = Option<i64>;

/// Where a record's timestamp comes from (Kafka's `message.timestamp.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
    /// Nobody said: a record that did not come from Kafka.
    Unknown,
}

/// Consecutive records of one Kafka partition, offsets strictly rising, gaps allowed.
#[derive(Debug)]
pub struct RecordBatch {
    pub topic_partition: TopicPartition,
    /// Position after the last record: the offset to read next, at least last offset + 1.
    pub next: Offset,
    arena: Vec<u8>,
    records: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: Offset,
    timestamp_ms: i64,
    timestamp_type: TimestampType,
    /// Arena index of the key; then value, then headers, back to back.
    start: usize,
    key: Option<u32>,
    value: Option<u32>,
    /// Bytes of the header block: repeated (u32 name length, name, u32 value length + 1 or 0, value).
    headers: u32,
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub offset: Offset,
    pub timestamp: Timestamp,
    pub timestamp_type: TimestampType,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: Headers<'a>,
}

/// The headers of one record, in order; names need not be unique.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Pairs of name and value, in the order the producer set them.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let name = take(&mut rest)?;
            let value = take(&mut rest);
            // Only `push` writes the block, and it takes names as `str`.
            Some((std::str::from_utf8(name?).unwrap_or_default(), value?))
        })
    }

    /// Value of the last header of this name, as the Java deserializers take it.
    pub fn last(&self, name: &str) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        self.iter().filter(|(n, _)| *n == name).last().and_then(|(_, value)| value)
    }
}

/// Reads one length-prefixed item: `None` at the end, `Some(None)` for a null.
fn take<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let (len, tail) = rest.split_first_chunk::<4>()?;
    let len = u32::from_le_bytes(*len) as usize;
    if len == 0 {
        *rest = tail;
        return Some(None);
    }
    let (item, tail) = tail.split_at(len - 1);
    *rest = tail;
    Some(Some(item))
}

fn put(arena: &mut Vec<u8>, item: Option<&[u8]>) {
    let len = item.map_or(0, |i| i.len() as u32 + 1);
    arena.extend_from_slice(&len.to_le_bytes());
    arena.extend_from_slice(item.unwrap_or_default());
}

impl RecordBatch {
    /// An empty batch that starts at `position`.
    pub fn new(topic_partition: TopicPartition, position: Offset) -> Self {
        Self { topic_partition, next: position, arena: Vec::new(), records: Vec::new() }
    }

    /// Room for this many records and bytes, so that a fill allocates once.
    pub fn reserve(&mut self, records: usize, bytes: usize) {
        self.records.reserve(records);
        self.arena.reserve(bytes);
    }

    /// Copies one record in and moves `next` past it.
    pub fn push<'h>(
        &mut self,
        offset: Offset,
        timestamp: Timestamp,
        timestamp_type: TimestampType,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) {
        let start = self.arena.len();
        self.arena.extend_from_slice(key.unwrap_or_default());
        self.arena.extend_from_slice(value.unwrap_or_default());
        let before = self.arena.len();
        for (name, value) in headers {
            put(&mut self.arena, Some(name.as_bytes()));
            put(&mut self.arena, value);
        }
        self.records.push(Entry {
            offset,
            timestamp_ms: timestamp.unwrap_or(i64::MIN),
            timestamp_type,
            start,
            key: key.map(|k| k.len() as u32),
            value: value.map(|v| v.len() as u32),
            headers: (self.arena.len() - before) as u32,
        });
        self.next = offset.saturating_add(1);
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes held: keys, values, headers and bookkeeping.
    pub fn bytes(&self) -> usize {
        self.arena.len() + self.records.len() * size_of::<Entry>()
    }

    /// Record `index`; panics past the end, as slices do.
    pub fn get(&self, index: usize) -> Record<'_> {
        let entry = &self.records[index];
        let key_end = entry.start + entry.key.unwrap_or(0) as usize;
        let value_end = key_end + entry.value.unwrap_or(0) as usize;
        let headers_end = value_end + entry.headers as usize;
        Record {
            offset: entry.offset,
            timestamp: (entry.timestamp_ms != i64::MIN).then_some(entry.timestamp_ms),
            timestamp_type: entry.timestamp_type,
            key: entry.key.map(|_| &self.arena[entry.start..key_end]),
            value: entry.value.map(|_| &self.arena[key_end..value_end]),
            headers: Headers(&self.arena[value_end..headers_end]),
        }
    }

    /// The record at this offset, if the batch holds it.
    pub fn find(&self, offset: Offset) -> Option<Record<'_>> {
        self.records.binary_search_by_key(&offset, |r| r.offset).ok().map(|i| self.get(i))
    }

    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        (0..self.records.len()).map(|i| self.get(i))
    }
}

/// Where records that are rows and their schema disagree, counted; none of it rejects a record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oddities {
    /// Fields and members that the schema does not know.
    pub unknown_fields: u64,
    /// Protobuf's `required` fields that did not come: null, or the default.
    pub missing_fields: u64,
    /// Keys of a JSON object that came before: the last one counts.
    pub repeated_keys: u64,
}

impl std::ops::AddAssign for Oddities {
    fn add_assign(&mut self, more: Self) {
        self.unknown_fields += more.unknown_fields;
        self.missing_fields += more.missing_fields;
        self.repeated_keys += more.repeated_keys;
    }
}
