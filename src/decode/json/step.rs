//! The steps of a schema: what a value looks like, and which builder it goes to.
//!
//! Slots are indexes into the builders of [`crate::decode::columns::Columns`] that hold the type.

use std::collections::{HashMap, HashSet};

use foldhash::fast::FixedState;

use crate::decode::columns::Column;

/// One value.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) step: Step,
    /// Its column takes nulls.
    pub(super) nullable: bool,
}

#[derive(Debug)]
pub(super) enum Step {
    /// Only `null`.
    Nothing,
    Bool(u32),
    I64(u32),
    /// Integers of fewer bits, in a column of 32.
    I32 {
        slot: u32,
        bits: u8,
    },
    F32(u32),
    F64(u32),
    Text(u32),
    /// Text, or a number or boolean as it is written.
    Written(u32),
    /// Base64.
    Bytes(u32),
    Date(u32),
    /// Microseconds of a day.
    Time(u32),
    DateTime(u32),
    Uuid(u32),
    /// Milliseconds of a day; `wide`: in a column of 64 bits.
    Millis {
        slot: u32,
        wide: bool,
    },
    /// Integers over 64 bits, or without a sign.
    Large(Box<Large>),
    Decimal(Box<Decimal>),
    /// The text as it stands; at most so many levels.
    Json {
        slot: u32,
        levels: u32,
    },
    /// Nothing is kept.
    Skip {
        levels: u32,
    },
    Object(Box<Table>),
    List(Box<Items>),
    Map(Box<Items>),
    Pairs(Box<Pairs>),
    Union(Box<Union>),
}

#[derive(Debug)]
pub(super) struct Large {
    pub(super) slot: u32,
    pub(super) least: i128,
    pub(super) most: i128,
    /// In a column of `u64`, else of `i128`.
    pub(super) native: bool,
}

#[derive(Debug)]
pub(super) struct Decimal {
    pub(super) slot: u32,
    pub(super) into: DecimalInto,
    /// Of the column.
    pub(super) precision: u8,
    /// Of the unscaled value in base64.
    pub(super) scale: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DecimalInto {
    I128,
    I256,
    Text,
}

/// Keys without a hostile hash: names come from schemas, and a lookup is by the key of a record.
pub(super) type Names<V> = HashMap<Box<[u8]>, V, FixedState>;

/// The members of an object.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) into: ObjectInto,
    /// First of its entries in the state: one a field, and one for the start.
    pub(super) base: u32,
    pub(super) fields: Box<[Slot]>,
    pub(super) by_name: Names<u32>,
    /// Fields that must be there.
    pub(super) required: u32,
    /// Some field has a value for when it is absent.
    pub(super) fills: bool,
    /// Where members without a column go.
    pub(super) extra: Option<Extra>,
    /// Levels that a member without a column may have.
    pub(super) levels: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum ObjectInto {
    /// The top level: its columns are the row.
    Row,
    Group(u32),
    /// An object without columns: true where it stands.
    Presence(u32),
}

#[derive(Debug)]
pub(super) struct Extra {
    pub(super) slot: u32,
    /// Its buffer in the state.
    pub(super) buffer: u32,
}

#[derive(Debug)]
pub(super) struct Slot {
    /// `"name":` as most producers write it.
    pub(super) key: Box<[u8]>,
    pub(super) name: Box<str>,
    pub(super) node: Node,
    pub(super) required: bool,
    /// JSON text that stands in for an absent value or null.
    pub(super) filled: Option<Box<str>>,
    /// What to cut where the key comes again.
    pub(super) column: Option<Column>,
}

#[derive(Debug)]
pub(super) struct Items {
    pub(super) list: u32,
    /// Builder of the keys, for maps.
    pub(super) key: u32,
    /// Bytes an item takes when nothing is written to it.
    pub(super) width: u32,
    pub(super) item: Node,
}

#[derive(Debug)]
pub(super) struct Pairs {
    pub(super) list: u32,
    pub(super) width: u32,
    /// `{"key": k, "value": v}`, else `[k, v]`.
    pub(super) objects: bool,
    pub(super) parts: [Node; 2],
    pub(super) columns: [Column; 2],
    pub(super) levels: u32,
}

#[derive(Debug)]
pub(super) struct Union {
    pub(super) group: u32,
    pub(super) branches: Box<[Branch]>,
    /// Levels that the value may have.
    pub(super) levels: u32,
}

#[derive(Debug)]
pub(super) struct Branch {
    pub(super) name: Box<str>,
    pub(super) node: Node,
    /// Kinds of values it takes: the bits below.
    pub(super) takes: u8,
    /// The only texts it takes.
    pub(super) symbols: Option<HashSet<Box<[u8]>>>,
    /// What tells its objects from those of other branches.
    pub(super) members: Option<Members>,
}

pub(super) const TAKES_BOOL: u8 = 1;
pub(super) const TAKES_NUMBER: u8 = 2;
pub(super) const TAKES_TEXT: u8 = 4;
pub(super) const TAKES_LIST: u8 = 8;
pub(super) const TAKES_OBJECT: u8 = 16;

#[derive(Debug, Default)]
pub(super) struct Members {
    pub(super) known: Names<Member>,
    /// How many of them must be there.
    pub(super) required: u32,
    /// No others may be there.
    pub(super) closed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Member {
    pub(super) required: bool,
    pub(super) symbols: Option<HashSet<Box<[u8]>>>,
}

const _: () = assert!(size_of::<Step>() <= 16);
