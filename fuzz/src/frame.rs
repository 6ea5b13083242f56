//! Payload and header → frame, and back: what was parsed, written again, is what was there.
//!
//! Input: one byte (bit 0: there is a header, bit 1: a key), for a header one byte of its length and its
//! bytes, then the payload.

use forebay::position::TopicPartition;
use forebay::record::{RecordBatch, TimestampType};
use forebay::wire::{Frame, INDEXES_MAX, SchemaRef, Side};

pub const WORDS: &[&[u8]] =
    &[&[0, 0, 0, 0, 1], &[0x7f, 0xff, 0xff, 0xff], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[2, 0], &[1]];

pub fn run(data: &[u8]) -> bool {
    let Some((flags, rest)) = data.split_first() else { return false };
    let (header, payload) = match (flags & 1, rest.split_first()) {
        (1, Some((length, rest))) => {
            let (header, payload) = rest.split_at(rest.len().min(usize::from(*length)));
            (Some(header), payload)
        }
        _ => (None, rest),
    };
    let (side, name) = match flags & 2 {
        0 => (Side::Value, "__value_schema_id"),
        _ => (Side::Key, "__key_schema_id"),
    };
    let mut batch = RecordBatch::new(TopicPartition::new("t", 0), 0);
    // A header of the other side says nothing, nor does an earlier one of the same name.
    let other = if flags & 2 == 0 { "__key_schema_id" } else { "__value_schema_id" };
    let headers = header.into_iter().flat_map(|header| {
        [(name, Some(&[9u8][..])), (name, Some(header)), (other, Some(&[7u8][..]))]
    });
    batch.push(0, None, TimestampType::CreateTime, None, Some(payload), headers);
    let record = batch.get(0);
    let source = header.unwrap_or(payload);
    match Frame::parse(record.value.unwrap(), record.headers, side) {
        Ok(frame) => {
            let prefix = written(frame.schema);
            assert!(source.starts_with(&prefix), "{:?}", frame.schema);
            let body = if header.is_some() { payload } else { &payload[prefix.len()..] };
            assert_eq!(frame.body(), body);
            indexes(&frame, &source[prefix.len()..], header.is_some().then_some(payload));
            true
        }
        Err(reject) => {
            assert!(!is_reference(source), "{reject}");
            false
        }
    }
}

/// Whether bytes begin with a schema reference, by the words of the specification.
fn is_reference(bytes: &[u8]) -> bool {
    match bytes {
        [0, a, b, c, d, ..] => (1..=i32::MAX).contains(&i32::from_be_bytes([*a, *b, *c, *d])),
        [1, guid @ ..] => guid.len() >= 16,
        _ => false,
    }
}

fn written(schema: SchemaRef) -> Vec<u8> {
    match schema {
        SchemaRef::Id(id) => [&[0], &id.to_be_bytes()[..]].concat(),
        SchemaRef::Guid(guid) => [&[1], &guid[..]].concat(),
    }
}

fn zigzag(value: u32, out: &mut Vec<u8>) {
    let mut raw = u64::from(value) << 1;
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// Message indexes, written again in their shortest form, are read as the same.
fn indexes(frame: &Frame<'_>, tail: &[u8], payload: Option<&[u8]>) {
    let Ok((indexes, body)) = frame.protobuf() else { return };
    assert!(!indexes.is_empty() && indexes.len() <= INDEXES_MAX);
    assert!(payload.unwrap_or(tail).ends_with(body));
    let mut again = vec![0, 0, 0, 0, 1];
    zigzag(indexes.len() as u32, &mut again);
    indexes.iter().for_each(|index| zigzag(*index, &mut again));
    let length = again.len();
    again.extend_from_slice(body);
    let mut batch = RecordBatch::new(TopicPartition::new("t", 0), 0);
    batch.push(0, None, TimestampType::CreateTime, None, None, std::iter::empty());
    let frame = Frame::parse(&again, batch.get(0).headers, Side::Value).unwrap();
    let (same, rest) = frame.protobuf().unwrap();
    assert_eq!((same, rest), (indexes, &again[length..]));
}
