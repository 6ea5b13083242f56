//! The compiled form of a message: flat tables that the run walks.

use arrow::datatypes::Schema;

use crate::decode::columns::{Column, Slot};

use super::json;
use crate::config::TimestampUnit;

/// No list, no oneof, no sub-table.
pub const NONE: u32 = u32::MAX;

/// How records of one message fill the columns.
#[derive(Debug)]
pub struct Program {
    pub(super) record_name: String,
    pub(super) tables: Vec<Table>,
    pub(super) root: u32,
    pub(super) enums: Vec<EnumNames>,
    pub(super) decimals: Vec<DecimalType>,
    /// Columns of oneof members, cut when another member comes.
    pub(super) members: Vec<Column>,
    pub(super) oneofs: u32,
    pub(super) json: json::Types,
    /// Paths of the columns that keep their raw bytes while their row may still grow (JSON).
    pub(super) pending: Vec<String>,
    pub(super) depth: u32,
    /// Timestamps and durations finer than their column are cut, not rejected.
    pub(super) truncate: bool,
    /// Unit of timestamps.
    pub(super) unit: TimestampUnit,
    /// Where unknown fields go, if they are kept.
    pub(super) kept: Option<Kept>,
}

impl Program {
    /// The column of kept unknown fields: the last one.
    pub fn unknown_column(&self, columns: &Schema) -> Option<usize> {
        self.kept.and_then(|_| columns.fields().len().checked_sub(1))
    }
}

/// The list of unknown fields: slots of its builders, and what one item takes.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    pub list: u32,
    pub group: u32,
    pub path: u32,
    pub bytes: u32,
    pub width: u32,
}

/// One message where it stands in the tree of columns.
#[derive(Debug, Default)]
pub struct Table {
    /// By rising field number: encoders write so, and the run looks at the next one first.
    pub ops: Vec<Op>,
    pub names: Vec<String>,
    /// Where the message stands: `device.os`; empty at the top.
    pub path: String,
    /// Index into `ops` by field number, or [`NONE`].
    pub dense: Vec<u32>,
    /// The same for numbers past `dense`, sorted.
    pub sparse: Vec<(u32, u32)>,
}

/// Numbers below this have a place in [`Table::dense`].
pub const DENSE: u32 = 512;

impl Table {
    /// A table of these fields; of equal numbers the first stays.
    pub fn new(path: &str, mut fields: Vec<(String, Op)>) -> Self {
        fields.sort_by_key(|(_, op)| op.number);
        fields.dedup_by_key(|(_, op)| op.number);
        let mut table = Table { path: path.to_owned(), ..Table::default() };
        for (index, (name, mut op)) in fields.into_iter().enumerate() {
            let index = index as u32;
            if op.number < DENSE {
                table.dense.resize(op.number as usize + 1, NONE);
                table.dense[op.number as usize] = index;
            } else {
                table.sparse.push((op.number, index));
            }
            // Items of an unpacked list follow each other.
            let again = op.list != NONE && !op.packed;
            op.next = if again { index } else { index + 1 };
            table.names.push(name);
            table.ops.push(op);
        }
        table
    }

    #[inline]
    pub fn find(&self, number: u32) -> Option<usize> {
        let index = match self.dense.get(number as usize) {
            Some(&index) => index,
            None if self.sparse.is_empty() => NONE,
            None => {
                let at = self.sparse.binary_search_by_key(&number, |(n, _)| *n);
                at.map_or(NONE, |at| self.sparse[at].1)
            }
        };
        (index != NONE).then_some(index as usize)
    }
}

/// What to do with one field.
#[derive(Debug, Clone)]
pub struct Op {
    /// Number and wire type as the schema's encoders write them.
    pub tag: u32,
    pub number: u32,
    pub kind: Kind,
    /// Builder of the value; of the struct for messages, of the inner list for field masks.
    pub slot: u32,
    /// Builder of the list around it, or [`NONE`].
    pub list: u32,
    /// Items are expected packed.
    pub packed: bool,
    /// Index of the table, enum, decimal, JSON type.
    pub aux: u32,
    /// Second index: the JSON column's pending buffer.
    pub pending: u32,
    /// What one item takes ([`crate::decode::columns::Meter::node`]).
    pub width: u32,
    /// Index of the oneof, or [`NONE`]; and of this member's column.
    pub oneof: u32,
    pub member: u32,
    /// Builder of the struct that the oneof is, or [`NONE`].
    pub group: u32,
    /// The op looked at first after this one.
    pub next: u32,
}

/// What a value is on the wire and as a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    /// `uint32` in an `i64`.
    Uint32Wide,
    /// `uint64` in an `i128`.
    Uint64Wide,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32Wide,
    Fixed64Wide,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    EnumName,
    EnumNumber,
    String,
    Bytes,
    /// A struct; `aux` is its table.
    Message,
    /// A struct between a start and an end tag.
    Group,
    /// A map: `list` is the map, `aux` the table of key and value.
    Map,
    /// A message without fields: true where it is.
    Presence,
    /// The same for a group without fields.
    GroupPresence,
    /// A wrapper: `aux` is the table of its one field, which writes to the slot.
    Wrapper(Slot),
    /// `google.protobuf.FieldMask`: `slot` is a list, `aux` the table that fills it.
    FieldMask,
    Timestamp,
    Duration,
    Date,
    TimeOfDay,
    /// The same to the millisecond, in 32 bits.
    TimeOfDayMillis,
    Decimal,
    /// JSON text; `aux` is the JSON type.
    Json,
    /// The same for a field that is a group.
    JsonGroup,
    /// The message's bytes as they are.
    Raw,
    RawGroup,
    /// Known and not kept.
    Dropped,
    /// A number of a writer in a wider column of its target.
    Promoted(Narrow, Slot),
}

/// Numbers that may be promoted, as they stand on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Narrow {
    Int32,
    Sint32,
    Sfixed32,
    Int64,
    Sint64,
    Sfixed64,
    Uint32,
    Fixed32,
    Float,
}

impl Narrow {
    /// `None`: no number that is narrower than another.
    pub fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Int32 | Kind::EnumNumber => Narrow::Int32,
            Kind::Sint32 => Narrow::Sint32,
            Kind::Sfixed32 => Narrow::Sfixed32,
            Kind::Int64 => Narrow::Int64,
            Kind::Sint64 => Narrow::Sint64,
            Kind::Sfixed64 => Narrow::Sfixed64,
            Kind::Uint32 | Kind::Uint32Wide => Narrow::Uint32,
            Kind::Fixed32 | Kind::Fixed32Wide => Narrow::Fixed32,
            Kind::Float => Narrow::Float,
            _ => return None,
        })
    }
}

impl Kind {
    /// True for what repeated fields may pack.
    pub fn is_packable(self) -> bool {
        self.wire() != super::wire::LEN
            && self.wire() != super::wire::START
            && self != Kind::Dropped
    }

    /// Wire type of one value.
    pub fn wire(self) -> u32 {
        use super::wire::{I32, I64, LEN, START, VARINT};
        match self {
            Kind::Double | Kind::Fixed64 | Kind::Fixed64Wide | Kind::Sfixed64 => I64,
            Kind::Float | Kind::Fixed32 | Kind::Fixed32Wide | Kind::Sfixed32 => I32,
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint32Wide => VARINT,
            Kind::Uint64 | Kind::Uint64Wide | Kind::Sint32 | Kind::Sint64 => VARINT,
            Kind::Bool | Kind::EnumName | Kind::EnumNumber => VARINT,
            Kind::Group | Kind::GroupPresence | Kind::JsonGroup | Kind::RawGroup => START,
            Kind::Promoted(narrow, _) => match narrow {
                Narrow::Int32 | Narrow::Sint32 | Narrow::Int64 | Narrow::Sint64 => VARINT,
                Narrow::Uint32 => VARINT,
                Narrow::Sfixed32 | Narrow::Fixed32 | Narrow::Float => I32,
                Narrow::Sfixed64 => I64,
            },
            _ => LEN,
        }
    }
}

/// Names of an enum's numbers.
#[derive(Debug, Default, Clone)]
pub struct EnumNames {
    /// By number from 0.
    dense: Vec<Option<Box<str>>>,
    /// Other numbers, sorted.
    sparse: Vec<(i32, Box<str>)>,
    /// What stands before a number without a name.
    pub unknown: Box<str>,
    /// Bytes of the longest name or number.
    pub longest: usize,
}

impl EnumNames {
    /// Of several names of one number the first stays.
    pub fn new(values: impl Iterator<Item = (i32, String)>, unknown: &str) -> Self {
        let longest = "-2147483648".len() + unknown.len();
        let mut names = Self { longest, unknown: unknown.into(), ..Self::default() };
        for (number, name) in values {
            names.longest = names.longest.max(name.len());
            match usize::try_from(number) {
                Ok(at) if at < DENSE as usize => {
                    if names.dense.len() <= at {
                        names.dense.resize(at + 1, None);
                    }
                    names.dense[at].get_or_insert(name.into());
                }
                _ => names.sparse.push((number, name.into())),
            }
        }
        // Stable: the first of equal numbers stays first.
        names.sparse.sort_by_key(|(number, _)| *number);
        names.sparse.dedup_by_key(|(number, _)| *number);
        names
    }

    /// These names, and those of `others` for numbers that have none here.
    pub fn or(&self, others: &Self) -> Self {
        let all = [self, others].map(|names| {
            let dense = names.dense.iter().enumerate();
            let dense =
                dense.filter_map(|(at, name)| Some((at as i32, name.as_deref()?.to_owned())));
            dense.chain(names.sparse.iter().map(|(at, name)| (*at, name.to_string())))
        });
        Self::new(all.into_iter().flatten(), &self.unknown)
    }

    #[inline]
    pub fn get(&self, number: i32) -> Option<&str> {
        match self.dense.get(number as usize) {
            Some(name) => name.as_deref(),
            None => {
                let at = self.sparse.binary_search_by_key(&number, |(n, _)| *n).ok()?;
                Some(&self.sparse[at].1)
            }
        }
    }
}

/// What a `confluent.type.Decimal` field becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecimalType {
    /// Precision to 38, scale.
    Short(u8, i8),
    /// Precision to 76, scale.
    Long(u8, i8),
    /// Decimal text: the schema does not say the scale, or a reader refuses the type.
    Text,
}
