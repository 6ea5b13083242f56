//! One Kafka partition's own queue: messages out of librdkafka, copied into a batch.
//!
//! Owns: the raw queue and message handles, and every unsafe call of the hot path.
//! Does not own: which partitions are read, and when.
//! Bounded by: [`MESSAGES_MAX`] messages a call, and the room asked for, give or take one record.
//!
//! The wrapper's `poll` costs an event, an `Arc` and a box for each record; the batch call costs none
//! of them. It must not be used on the main queue, whose rebalance events it would swallow.

use std::collections::VecDeque;
use std::ffi::{CStr, CString, c_void};
use std::ptr::{self, NonNull};

use rdkafka::bindings::{self as sys, rd_kafka_message_t, rd_kafka_queue_t, rd_kafka_t};
use rdkafka::types::RDKafkaRespErr;

use super::errors::{Verdict, judge};
use crate::error::Fault;
use crate::position::{Offset, TopicPartition};
use crate::record::{RecordBatch, TimestampType};
use crate::source::codes::CORRUPT;

/// Most messages taken from librdkafka at once.
pub(super) const MESSAGES_MAX: usize = 4_096;

/// What bookkeeping adds to a record's own bytes, for sizing.
const OVERHEAD: usize = 64;

/// A message that librdkafka gave us. Dropping it gives its memory back.
struct Message(NonNull<rd_kafka_message_t>);

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `rd_kafka_consume_batch_queue`, and is destroyed once, here.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

impl Message {
    fn raw(&self) -> &rd_kafka_message_t {
        // SAFETY: librdkafka keeps the message valid and unchanged until it is destroyed.
        unsafe { self.0.as_ref() }
    }

    /// Error number, 0 for a record. Read as a number: a broker may send one that the bindings' list
    /// does not have.
    fn error(&self) -> i32 {
        // SAFETY: `err` is a C enum, 32 bits; every bit pattern is an `i32`.
        unsafe { (&raw const (*self.0.as_ptr()).err).cast::<i32>().read() }
    }

    fn key(&self) -> Option<&[u8]> {
        let raw = self.raw();
        // SAFETY: the pair is librdkafka's own pointer and length, valid while the message lives.
        unsafe { slice(raw.key, raw.key_len) }
    }

    fn value(&self) -> Option<&[u8]> {
        let raw = self.raw();
        // SAFETY: as for the key.
        unsafe { slice(raw.payload, raw.len) }
    }

    fn bytes(&self) -> usize {
        self.raw().len.saturating_add(self.raw().key_len)
    }

    fn timestamp(&self) -> (Option<i64>, TimestampType) {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: reads two fields of a live message.
        let ms = unsafe { sys::rd_kafka_message_timestamp(self.0.as_ptr(), &mut kind) };
        match kind {
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => {
                ((ms != -1).then_some(ms), TimestampType::LogAppendTime)
            }
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => {
                ((ms != -1).then_some(ms), TimestampType::CreateTime)
            }
            sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => {
                (None, TimestampType::CreateTime)
            }
        }
    }

    /// The headers, or librdkafka's error when it cannot parse them.
    fn headers(&self) -> Result<Option<Headers<'_>>, RDKafkaRespErr> {
        let mut list = ptr::null_mut();
        // SAFETY: parses the headers on first use; the list belongs to the message.
        let err = unsafe { sys::rd_kafka_message_headers(self.0.as_ptr(), &mut list) };
        match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {
                Ok(Some(Headers { list, _message: self }))
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__NOENT => Ok(None),
            err => Err(err),
        }
    }
}

/// SAFETY (for the caller): `data` is null or valid for `len` bytes for as long as `'a`.
unsafe fn slice<'a>(data: *const c_void, len: usize) -> Option<&'a [u8]> {
    if data.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) })
}

struct Headers<'m> {
    list: *mut sys::rd_kafka_headers_t,
    _message: &'m Message,
}

impl<'m> Headers<'m> {
    fn get(&self, index: usize) -> Option<(&'m CStr, Option<&'m [u8]>)> {
        let (mut name, mut value, mut len) = (ptr::null(), ptr::null(), 0usize);
        // SAFETY: the list lives as long as the message; an index past the end is an error.
        let err = unsafe {
            sys::rd_kafka_header_get_all(self.list, index, &mut name, &mut value, &mut len)
        };
        if err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            return None;
        }
        // SAFETY: librdkafka ends names with a zero byte and keeps values for the message's life.
        unsafe { Some((CStr::from_ptr(name), slice(value, len))) }
    }

    fn iter(&self) -> impl Iterator<Item = (&'m CStr, Option<&'m [u8]>)> {
        (0..).map_while(|index| self.get(index))
    }
}

/// What one read of a queue gave.
#[derive(Default)]
pub(super) struct Read {
    /// Records, in order; never empty.
    pub(super) batch: Option<RecordBatch>,
    /// Why nothing more comes from this partition.
    pub(super) fault: Option<Fault>,
    /// Nothing is left in the queue or the stash.
    pub(super) drained: bool,
    /// Errors that the client gets over by itself.
    pub(super) notes: Vec<String>,
    /// One of them bore the offset of a record that was not read: the client's position is beyond it.
    pub(super) misplaced: bool,
}

/// The queue of one started Kafka partition, not forwarded to the consumer's main queue.
pub(super) struct PartitionQueue {
    raw: NonNull<rd_kafka_queue_t>,
    /// Taken from librdkafka, and not handed on because the room was used up.
    stash: VecDeque<Message>,
    /// Running average of a record's bytes, from which the next read's count follows.
    average: usize,
}

// SAFETY: librdkafka's handles may be used from any thread, and these are used from one at a time.
unsafe impl Send for PartitionQueue {}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        self.stash.clear();
        // SAFETY: the reference came from `rd_kafka_queue_get_partition` and is given back once.
        unsafe { sys::rd_kafka_queue_destroy(self.raw.as_ptr()) }
    }
}

impl PartitionQueue {
    /// Takes the partition's queue off the main queue. Before the partition is assigned, so that no
    /// message ever reaches the main queue. `None` for a name with a zero byte.
    pub(super) fn take(client: *mut rd_kafka_t, partition: &TopicPartition) -> Option<Self> {
        let topic = CString::new(&*partition.topic).ok()?;
        // SAFETY: `client` is a live handle (its owner calls us), the name a C string.
        let raw = NonNull::new(unsafe {
            sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition.partition)
        })?;
        // SAFETY: a null destination ends forwarding, and marks the queue as the application's.
        unsafe { sys::rd_kafka_queue_forward(raw.as_ptr(), ptr::null_mut()) };
        Some(Self { raw, stash: VecDeque::new(), average: 512 })
    }

    /// Reads about `room` bytes of records at or after `next`, without waiting.
    ///
    /// A record below `next` was handed on before: a pause by librdkafka during a rebalance can rewind
    /// to before messages that were being taken at that moment.
    pub(super) fn read(
        &mut self,
        partition: &TopicPartition,
        next: Offset,
        room: usize,
        buffer: &mut Vec<*mut rd_kafka_message_t>,
    ) -> Read {
        let mut read = Read::default();
        let empty = self.stash.is_empty() && self.fill(room, buffer);
        if self.stash.is_empty() {
            read.drained = empty;
            return read;
        }
        let mut batch = RecordBatch::new(partition.clone(), next);
        let bytes: usize = self.stash.iter().map(Message::bytes).sum();
        self.average = (self.average * 3 + bytes / self.stash.len() + OVERHEAD) / 4;
        batch.reserve(self.stash.len(), bytes.min(room.saturating_add(bytes / self.stash.len())));
        while batch.bytes() < room {
            let Some(message) = self.stash.pop_front() else { break };
            match take_one(&message, partition, &mut batch) {
                Ok(None) => continue,
                Ok(Some(note)) => {
                    read.notes.push(note);
                    read.misplaced = message.raw().offset >= -1;
                    if !read.misplaced {
                        continue;
                    }
                }
                Err(fault) => read.fault = Some(fault),
            }
            self.stash.clear();
            break;
        }
        read.drained = empty && self.stash.is_empty();
        read.batch = (!batch.is_empty()).then_some(batch);
        read
    }

    /// Moves messages from librdkafka into the stash, at most about `room` bytes of them. True if none
    /// is left there.
    fn fill(&mut self, room: usize, buffer: &mut Vec<*mut rd_kafka_message_t>) -> bool {
        let want = (room / self.average.max(1)).clamp(1, MESSAGES_MAX);
        buffer.clear();
        buffer.reserve(want);
        // SAFETY: the buffer has room for `want` pointers; the call writes as many as it returns.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(self.raw.as_ptr(), 0, buffer.as_mut_ptr(), want)
        };
        let count = usize::try_from(count).unwrap_or(0).min(want);
        // SAFETY: that many pointers were just written.
        unsafe { buffer.set_len(count) };
        self.stash.extend(buffer.drain(..).filter_map(NonNull::new).map(Message));
        count < want
    }
}

/// Copies one message into the batch, skips it, or says why the partition stops. A text: an error that
/// the client gets over.
fn take_one(
    message: &Message,
    partition: &TopicPartition,
    batch: &mut RecordBatch,
) -> Result<Option<String>, Fault> {
    let err = message.error();
    if err != 0 {
        let text = message.value().map(String::from_utf8_lossy).unwrap_or_default();
        return match judge(err, text.trim_end_matches('\0'), partition, batch.next) {
            Verdict::Ignore => Ok(None),
            Verdict::Log(text) => Ok(Some(format!("kafka partition `{partition}`: {text}"))),
            Verdict::Stop(fault) => Err(fault),
        };
    }
    let raw = message.raw();
    if raw.offset < batch.next {
        return Ok(None);
    }
    if raw.offset == Offset::MAX {
        return Err(Fault::new(
            &CORRUPT,
            format!("kafka partition `{partition}`: offset `{}`, less required", raw.offset),
        ));
    }
    let (timestamp, kind) = message.timestamp();
    let headers = message.headers().map_err(|err| {
        Fault::new(
            &CORRUPT,
            format!("kafka partition `{partition}`: headers that cannot be parsed ({err:?})"),
        )
        .at(format!("{partition} offset {}", raw.offset))
    })?;
    let (key, value) = (message.key(), message.value());
    match headers {
        None => batch.push(raw.offset, timestamp, kind, key, value, std::iter::empty()),
        Some(headers) => push_headers(batch, raw.offset, timestamp, kind, key, value, &headers),
    }
    Ok(None)
}

/// The rarer half: a record with headers. Names that are not UTF-8 get replacement characters.
fn push_headers(
    batch: &mut RecordBatch,
    offset: Offset,
    timestamp: Option<i64>,
    kind: TimestampType,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &Headers<'_>,
) {
    let named: Vec<_> =
        headers.iter().map(|(name, value)| (name.to_string_lossy(), value)).collect();
    let pairs = named.iter().map(|(name, value)| (&**name, *value));
    batch.push(offset, timestamp, kind, key, value, pairs);
}
