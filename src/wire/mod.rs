//! Bytes of a record → schema reference, message indexes, body. Pure; borrows; allocates nothing for
//! the usual record.
//!
//! Owns: the Confluent wire format: magic byte 0 with a schema id, magic byte 1 with a GUID, the
//! `__key_schema_id` / `__value_schema_id` headers, Protobuf message indexes.
//! Does not own: what an id means (`registry`), the body (`decode`).
//! Bounded by: [`INDEXES_MAX`] message indexes, checked before anything is stored.
//! Absent: IO, clocks, schemas.
//!
//! Source: Confluent's "Wire format" page and the client of schema-registry 8.x, through
//! `tests/corpus/wire`.

use smallvec::SmallVec;

use crate::config::IndexForm;
use crate::error::{Code, Kind, Reject};
use crate::record::Headers;

/// Most message indexes accepted: a message path that deep names nothing real.
pub const INDEXES_MAX: usize = 32;

/// Header that holds the schema reference of a key.
pub const KEY_HEADER: &str = "__key_schema_id";
/// Header that holds the schema reference of a value.
pub const VALUE_HEADER: &str = "__value_schema_id";

pub static EMPTY: Code = Code {
    id: "FB0101",
    kind: Kind::Reject,
    title: "payload too short for a schema reference",
    help: "The producer does not use a schema registry serializer, or the record was cut. Set `value.format` to what the topic holds.",
};
pub static MAGIC: Code = Code {
    id: "FB0102",
    kind: Kind::Reject,
    title: "unknown magic byte",
    help: "The first byte of a framed record is 0 (schema id) or 1 (schema GUID). The producer does not use a schema registry serializer.",
};
pub static INDEXES: Code = Code {
    id: "FB0103",
    kind: Kind::Reject,
    title: "message indexes that name no message",
    help: "The producer wrote message indexes that do not fit the schema: it was registered with another file layout, or the producer omits the indexes (kafkajs does) or writes them unsigned: see `wire.message_indexes`.",
};
pub static HEADER: Code = Code {
    id: "FB0104",
    kind: Kind::Reject,
    title: "schema header of the wrong form",
    help: "`__value_schema_id` holds magic byte 0 and four bytes, or magic byte 1 and sixteen bytes, then message indexes for Protobuf.",
};
pub static SCHEMA_ID: Code = Code {
    id: "FB0105",
    kind: Kind::Reject,
    title: "schema id out of range",
    help: "Registries give ids from 1 to 2147483647. The record was not framed by a registry's serializer.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[&EMPTY, &MAGIC, &INDEXES, &HEADER, &SCHEMA_ID];

/// What a frame says about its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SchemaRef {
    /// `1..=i32::MAX`, unique within a registry.
    Id(u32),
    /// MD5 of the schema, as 16 bytes in the order they are written.
    Guid([u8; 16]),
}

impl std::fmt::Display for SchemaRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SchemaRef::Id(id) => write!(f, "{id}"),
            SchemaRef::Guid(guid) => write!(f, "{}", uuid::Uuid::from_bytes(*guid)),
        }
    }
}

/// Path of a message in its file: index among the declared messages, level by level.
pub type MessageIndexes = SmallVec<[u32; 4]>;

/// One way to read message indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Count and indexes as zigzag varints: the wire format of today.
    Zigzag,
    /// The same as plain varints: serializers before the format was settled, and those told to use it
    /// (`use.deprecated.format`).
    Unsigned,
    /// None: the body follows the schema reference, and is of the first message.
    Absent,
}

/// The readings of a form, in the order they are tried: the first one whose indexes name a message of
/// the schema and whose body decodes to its end is taken.
///
/// Each record is judged alone, so that it becomes the same row however often it is read. The order
/// matters little: a body never starts with field number 0, so what is framed one way hardly decodes the
/// other. Where zigzag indexes name a message and its body decodes, nothing else is looked at.
pub fn readings(form: IndexForm) -> &'static [Reading] {
    match form {
        IndexForm::Zigzag => &[Reading::Zigzag],
        IndexForm::Unsigned => &[Reading::Unsigned],
        IndexForm::Absent => &[Reading::Absent],
        IndexForm::Auto => &[Reading::Zigzag, Reading::Unsigned, Reading::Absent],
    }
}

/// Which half of a record a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Key,
    Value,
}

/// A schema reference and the bytes around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    pub schema: SchemaRef,
    /// Where message indexes stand if the schema is Protobuf.
    tail: &'a [u8],
    /// The body, if the reference came from a header; else the body is what follows in `tail`.
    payload: Option<&'a [u8]>,
}

impl<'a> Frame<'a> {
    /// Splits a payload. A header with a value wins over the payload's own prefix.
    ///
    /// Errors: [`EMPTY`], [`MAGIC`], [`HEADER`], [`SCHEMA_ID`].
    pub fn parse(payload: &'a [u8], headers: Headers<'a>, side: Side) -> Result<Self, Box<Reject>> {
        let name = match side {
            Side::Key => KEY_HEADER,
            Side::Value => VALUE_HEADER,
        };
        match headers.last(name) {
            Some(header) => {
                let (schema, tail) = reference(header).map_err(|e| {
                    Reject::new(
                        &HEADER,
                        format!("schema header `{name}`: {}, magic byte 0 and 4 bytes or 1 and 16 bytes required", e.message),
                    )
                })?;
                Ok(Self { schema, tail, payload: Some(payload) })
            }
            None => {
                let (schema, tail) = reference(payload)?;
                Ok(Self { schema, tail, payload: None })
            }
        }
    }

    /// The body of an Avro or JSON record.
    pub fn body(&self) -> &'a [u8] {
        self.payload.unwrap_or(self.tail)
    }

    /// What follows the schema reference, in one piece: message indexes if there are any, and the body.
    pub fn write_tail(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.tail);
        out.extend_from_slice(self.payload.unwrap_or_default());
    }

    /// Message indexes and body of a Protobuf record.
    ///
    /// An empty list on the wire means `[0]`. Error: [`INDEXES`].
    #[inline]
    pub fn protobuf(&self) -> Result<(MessageIndexes, &'a [u8]), Box<Reject>> {
        self.protobuf_as(Reading::Zigzag)
    }

    /// The same, where message indexes are written otherwise. Error: [`INDEXES`].
    #[inline]
    pub fn protobuf_as(&self, reading: Reading) -> Result<(MessageIndexes, &'a [u8]), Box<Reject>> {
        let (indexes, rest) = match reading {
            Reading::Zigzag => indexes(self.tail, zigzag)?,
            Reading::Unsigned => indexes(self.tail, unsigned)?,
            Reading::Absent => (SmallVec::from_slice(&[0]), self.tail),
        };
        match self.payload {
            None => Ok((indexes, rest)),
            Some(_) if !rest.is_empty() => Err(Reject::new(
                &HEADER,
                format!(
                    "schema header: {} bytes after the message indexes, none required",
                    rest.len()
                ),
            )),
            Some(payload) => Ok((indexes, payload)),
        }
    }
}

fn reference(bytes: &[u8]) -> Result<(SchemaRef, &[u8]), Box<Reject>> {
    match bytes.split_first() {
        None => {
            Err(Reject::new(&EMPTY, "payload of 0 bytes: a magic byte and a schema id required"))
        }
        Some((0, rest)) => {
            let Some((id, rest)) = rest.split_first_chunk::<4>() else {
                return Err(too_short(bytes, 5));
            };
            let id = i32::from_be_bytes(*id);
            if id < 1 {
                return Err(Reject::new(
                    &SCHEMA_ID,
                    format!("schema id `{id}`: 1 to 2147483647 required"),
                ));
            }
            Ok((SchemaRef::Id(id as u32), rest))
        }
        Some((1, rest)) => {
            let Some((guid, rest)) = rest.split_first_chunk::<16>() else {
                return Err(too_short(bytes, 17));
            };
            Ok((SchemaRef::Guid(*guid), rest))
        }
        Some((magic, _)) => {
            Err(Reject::new(&MAGIC, format!("magic byte `{magic}`: 0 or 1 required")))
        }
    }
}

#[cold]
fn too_short(bytes: &[u8], required: usize) -> Box<Reject> {
    Reject::new(&EMPTY, format!("payload of {} bytes: at least {required} required", bytes.len()))
}

type Read<'a> = Result<(i64, &'a [u8]), Box<Reject>>;

#[inline]
fn indexes(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> Read<'_>,
) -> Result<(MessageIndexes, &[u8]), Box<Reject>> {
    // Nearly every record: the first message of its file.
    if let [0, rest @ ..] = bytes {
        return Ok((SmallVec::from_slice(&[0]), rest));
    }
    let (count, mut rest) = read(bytes)?;
    if count == 0 {
        return Ok((SmallVec::from_slice(&[0]), rest));
    }
    if count < 0 || count as usize > INDEXES_MAX {
        return Err(Reject::new(
            &INDEXES,
            format!("message indexes: count `{count}`, 0 to {INDEXES_MAX} required"),
        ));
    }
    let mut path = MessageIndexes::new();
    for _ in 0..count {
        let (index, tail) = read(rest)?;
        rest = tail;
        let index = i32::try_from(index).ok().and_then(|index| u32::try_from(index).ok());
        path.push(index.ok_or_else(|| {
            Reject::new(
                &INDEXES,
                "message index: negative or over 31 bits, 0 to 2147483647 required",
            )
        })?);
    }
    Ok((path, rest))
}

/// A zigzag varint of at most five bytes (32 bits), as the serializers write them.
fn zigzag(bytes: &[u8]) -> Read<'_> {
    unsigned(bytes).map(|(raw, rest)| ((raw >> 1) ^ -(raw & 1), rest))
}

/// A varint of at most five bytes (32 bits).
fn unsigned(bytes: &[u8]) -> Read<'_> {
    let mut raw = 0u64;
    for (i, &byte) in bytes.iter().take(5).enumerate() {
        raw |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            let Ok(raw) = u32::try_from(raw) else { break };
            return Ok((i64::from(raw), &bytes[i + 1..]));
        }
    }
    Err(Reject::new(
        &INDEXES,
        "message indexes: a varint that is cut or over 32 bits, at most 5 bytes required",
    ))
}
