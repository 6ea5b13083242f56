//! The steps of a writer schema: what to read next, and which builder it goes to.
//!
//! Slots are indexes into the builders of [`crate::decode::columns::Columns`] that hold the type. Steps
//! of the usual types are small, so that those of a record lie side by side; the others are boxed.

use super::onto::OntoStep;
use super::shape::ShapeId;

/// What to read next, and the builder it goes to.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Takes no bytes, writes nothing.
    Null,
    Bool(u32),
    I32(u32),
    I64(u32),
    F32(u32),
    F64(u32),
    Text(u32),
    Binary(u32),
    /// `int` into an `i64` column.
    Wide(u32),
    /// Milliseconds of a day.
    TimeMillis(u32),
    /// Microseconds of a day.
    TimeMicros(u32),
    /// Nanoseconds as microseconds.
    Coarse {
        slot: u32,
        truncate: bool,
    },
    Fixed {
        slot: u32,
        size: u32,
    },
    /// A `fixed` in a column of bytes of any length.
    FixedBinary {
        slot: u32,
        size: u64,
    },
    /// Text of a UUID into sixteen bytes.
    UuidParse(u32),
    /// Sixteen bytes of a UUID into text.
    UuidText(u32),
    Enum(Box<Enum>),
    Decimal(Box<Decimal>),
    Duration(Box<Duration>),
    Record(Box<Record>),
    /// `["null", T]` or `[T, "null"]`: the branch that is null.
    Optional {
        null: u32,
        some: Box<Step>,
    },
    /// A union of one branch.
    Single(Box<Step>),
    /// A union of nothing, or of nothing but null.
    Nothing {
        branches: u32,
    },
    Union(Box<Union>),
    Array(Box<Items>),
    Map(Box<Items>),
    /// JSON text of the value.
    Json(Box<Walked>),
    /// JSON text of a union; nothing for its null branch.
    UnionJson(Box<WalkedUnion>),
    /// The value's own bytes.
    Raw(Box<Walked>),
    /// Nothing is kept of the value.
    Skip(Box<Walked>),
    /// What only reading onto another schema needs.
    Onto(Box<OntoStep>),
}

/// A value that is walked by its shape.
#[derive(Debug, Clone)]
pub(super) struct Walked {
    /// The text or bytes it becomes; unused where it is skipped.
    pub(super) slot: u32,
    pub(super) shape: ShapeId,
    /// Levels it may nest.
    pub(super) depth: u32,
}

#[derive(Debug, Clone)]
pub(super) struct WalkedUnion {
    pub(super) null: Option<u32>,
    pub(super) branches: u32,
    pub(super) walked: Walked,
}

#[derive(Debug, Clone)]
pub(super) struct Enum {
    pub(super) slot: u32,
    pub(super) symbols: Box<[Box<str>]>,
}

#[derive(Debug, Clone)]
pub(super) struct Decimal {
    pub(super) slot: u32,
    pub(super) into: DecimalInto,
    /// Bytes of the `fixed`; `None`: length-prefixed.
    pub(super) fixed: Option<usize>,
    pub(super) precision: usize,
    pub(super) scale: usize,
}

#[derive(Debug, Clone)]
pub(super) enum DecimalInto {
    I128 { bound: u128 },
    I256,
    Text,
}

#[derive(Debug, Clone)]
pub(super) struct Duration {
    pub(super) group: u32,
    pub(super) parts: [u32; 3],
    /// Parts as `u32` columns, else as `i64`.
    pub(super) native: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) into: RecordInto,
    pub(super) steps: Box<[Step]>,
    pub(super) names: Box<[Box<str>]>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum RecordInto {
    /// The top level: its columns are the row.
    Row,
    Group(u32),
    /// A record without columns: true where it stands.
    Presence(u32),
}

#[derive(Debug, Clone)]
pub(super) struct Union {
    pub(super) group: u32,
    pub(super) null: Option<u32>,
    pub(super) branches: Box<[Step]>,
    pub(super) names: Box<[Box<str>]>,
}

#[derive(Debug, Clone)]
pub(super) struct Items {
    pub(super) list: u32,
    /// Builder of the keys, for maps.
    pub(super) key: u32,
    /// Bytes an item takes when nothing is written to it.
    pub(super) width: u32,
    /// An item may take no bytes of the record.
    pub(super) may_be_empty: bool,
    pub(super) item: Step,
}

const _: () = assert!(size_of::<Step>() <= 16);
