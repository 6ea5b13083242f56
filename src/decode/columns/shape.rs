//! The tree of columns: one definition for the Arrow schema and for the builders.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::decode::codes;
use crate::error::Fault;

/// Field metadata that make `parquet` write the JSON and UUID logical types (Arrow's canonical extension
/// types).
const EXTENSION_NAME: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";
/// Field metadata of text that is JSON.
pub const JSON_EXTENSION: [(&str, &str); 2] =
    [(EXTENSION_NAME, "arrow.json"), (EXTENSION_METADATA, "")];

/// Most columns of one plan, inner ones counted.
pub const COLUMNS_MAX: usize = 10_000;

/// What a leaf holds. Several may share a builder: a date is an `i32`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Leaf {
    /// Nothing but nulls. Has no builder.
    Null,
    Bool,
    I32,
    I64,
    U32,
    U64,
    F32,
    F64,
    /// Precision 1 to 38, scale; the unscaled value in an `i128`.
    Decimal128(u8, i8),
    /// Precision 1 to 76, scale; the unscaled value in an `i256`.
    Decimal256(u8, i8),
    Utf8,
    /// Text that is JSON (Parquet's JSON logical type).
    Json,
    Binary,
    /// Byte strings of this length, at least 1.
    Fixed(i32),
    /// Sixteen bytes (Parquet's UUID logical type).
    Uuid,
    /// Days since 1970, `i32`.
    Date32,
    /// Time of day, `i32` for seconds and milliseconds, `i64` for microseconds and nanoseconds.
    Time(TimeUnit),
    /// Since 1970 in this unit, `i64`; with time zone UTC if `utc`, else local.
    Timestamp {
        unit: TimeUnit,
        utc: bool,
    },
}

/// Which builder of [`super::Columns`] a column writes to: the index into the field of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    None,
    Bool(u32),
    I32(u32),
    I64(u32),
    U32(u32),
    U64(u32),
    F32(u32),
    F64(u32),
    I128(u32),
    I256(u32),
    Text(u32),
    Fixed(u32),
    Group(u32),
    /// Lists and maps.
    List(u32),
}

impl Slot {
    /// The bare index. 0 for [`Slot::None`].
    pub fn index(self) -> u32 {
        match self {
            Slot::None => 0,
            Slot::Bool(i) | Slot::I32(i) | Slot::I64(i) | Slot::U32(i) | Slot::U64(i) => i,
            Slot::F32(i) | Slot::F64(i) | Slot::I128(i) | Slot::I256(i) => i,
            Slot::Text(i) | Slot::Fixed(i) | Slot::Group(i) | Slot::List(i) => i,
        }
    }
}

/// One column with all below it.
#[derive(Debug, Clone)]
pub struct Column {
    pub(super) field: FieldRef,
    pub(super) slot: Slot,
    pub(super) width: u32,
    pub(super) default: Option<Box<str>>,
    /// Nullable by its field, and never null where its parent is there.
    pub(super) filled: bool,
    /// A null is counted where the parent is there.
    pub(super) required: bool,
    /// A list of keys and values that are a map's.
    pub(super) pairs: bool,
    /// Members of a group, the element of a list, key and value of a map.
    pub(super) children: Vec<Column>,
}

impl Column {
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// Bytes that one row takes here when nothing is written to it, children included (for
    /// [`super::Meter::node`]).
    pub fn width(&self) -> u32 {
        self.width
    }

    pub fn name(&self) -> &str {
        self.field.name()
    }

    pub fn data_type(&self) -> &DataType {
        self.field.data_type()
    }

    pub fn is_nullable(&self) -> bool {
        self.field.is_nullable()
    }

    /// The same column with one more entry in its field's metadata.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        let field = Arc::make_mut(&mut self.field);
        let mut metadata = field.metadata().clone();
        metadata.insert(key.to_owned(), value.into());
        field.set_metadata(metadata);
        self
    }

    /// The same column under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        Arc::make_mut(&mut self.field).set_name(name);
        self
    }

    /// The same column, counted as taking `bytes` more per row: for text that is longer than what the
    /// record holds of it (names of enum symbols).
    #[must_use]
    pub fn wider(mut self, bytes: usize) -> Self {
        self.width = self.width.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        self
    }

    /// The same column, whose rows have the default of their type when nothing is written, although its
    /// field is nullable.
    #[must_use]
    pub fn filled(mut self) -> Self {
        self.filled = true;
        self
    }

    /// The same column, whose nulls are counted as missing where its parent is there.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Whether rows left out are null.
    pub(super) fn has_nulls(&self) -> bool {
        self.is_nullable() && !self.filled
    }

    /// The same column, with what its rows have when nothing is written, as text (columns without nulls
    /// only, of text, numbers or booleans). Without this, rows left out are empty, zero or false.
    #[must_use]
    pub fn with_default(mut self, text: &str) -> Self {
        self.default = Some(text.into());
        self.wider(text.len())
    }
}

/// Deals out builders to the columns of one plan. Build from the leaves up; the root is
/// [`Layout::finish`].
#[derive(Debug, Default, Clone)]
pub struct Layout {
    pub(super) counts: Counts,
    columns: usize,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub bools: u32,
    pub i32s: u32,
    pub i64s: u32,
    pub u32s: u32,
    pub u64s: u32,
    pub f32s: u32,
    pub f64s: u32,
    pub i128s: u32,
    pub i256s: u32,
    pub texts: u32,
    pub fixed: u32,
    pub groups: u32,
    pub lists: u32,
}

fn next(count: &mut u32) -> u32 {
    *count += 1;
    *count - 1
}

impl Layout {
    /// Refuses a layout with more than [`COLUMNS_MAX`] columns. Ask while walking the schema, not after.
    pub fn check(&self, record_name: &str) -> Result<(), Fault> {
        if self.columns <= COLUMNS_MAX {
            return Ok(());
        }
        Err(Fault::new(
            &codes::TOO_WIDE,
            format!(
                "schema of `{record_name}`: more than {COLUMNS_MAX} columns, at most {COLUMNS_MAX} allowed; split the topic"
            ),
        ))
    }

    pub fn leaf(&mut self, name: &str, leaf: Leaf, nullable: bool) -> Column {
        self.columns += 1;
        let c = &mut self.counts;
        let (data_type, slot, bytes) = match leaf {
            Leaf::Null => (DataType::Null, Slot::None, 0),
            Leaf::Bool => (DataType::Boolean, Slot::Bool(next(&mut c.bools)), 1),
            Leaf::I32 => (DataType::Int32, Slot::I32(next(&mut c.i32s)), 4),
            Leaf::I64 => (DataType::Int64, Slot::I64(next(&mut c.i64s)), 8),
            Leaf::U32 => (DataType::UInt32, Slot::U32(next(&mut c.u32s)), 4),
            Leaf::U64 => (DataType::UInt64, Slot::U64(next(&mut c.u64s)), 8),
            Leaf::F32 => (DataType::Float32, Slot::F32(next(&mut c.f32s)), 4),
            Leaf::F64 => (DataType::Float64, Slot::F64(next(&mut c.f64s)), 8),
            Leaf::Decimal128(p, s) => {
                (DataType::Decimal128(p, s), Slot::I128(next(&mut c.i128s)), 16)
            }
            Leaf::Decimal256(p, s) => {
                (DataType::Decimal256(p, s), Slot::I256(next(&mut c.i256s)), 32)
            }
            Leaf::Utf8 | Leaf::Json => (DataType::Utf8, Slot::Text(next(&mut c.texts)), 4),
            Leaf::Binary => (DataType::Binary, Slot::Text(next(&mut c.texts)), 4),
            Leaf::Fixed(width) => {
                let bytes = width.max(1) as u32;
                (DataType::FixedSizeBinary(width.max(1)), Slot::Fixed(next(&mut c.fixed)), bytes)
            }
            Leaf::Uuid => (DataType::FixedSizeBinary(16), Slot::Fixed(next(&mut c.fixed)), 16),
            Leaf::Date32 => (DataType::Date32, Slot::I32(next(&mut c.i32s)), 4),
            Leaf::Time(unit @ (TimeUnit::Second | TimeUnit::Millisecond)) => {
                (DataType::Time32(unit), Slot::I32(next(&mut c.i32s)), 4)
            }
            Leaf::Time(unit) => (DataType::Time64(unit), Slot::I64(next(&mut c.i64s)), 8),
            Leaf::Timestamp { unit, utc } => {
                let zone = utc.then(|| Arc::from("UTC"));
                (DataType::Timestamp(unit, zone), Slot::I64(next(&mut c.i64s)), 8)
            }
        };
        let nullable = nullable || leaf == Leaf::Null;
        let column = Column {
            field: Arc::new(Field::new(name, data_type, nullable)),
            slot,
            width: bytes + u32::from(nullable),
            default: None,
            filled: false,
            required: false,
            pairs: false,
            children: Vec::new(),
        };
        match leaf {
            Leaf::Json => column.with(EXTENSION_NAME, "arrow.json").with(EXTENSION_METADATA, ""),
            Leaf::Uuid => column.with(EXTENSION_NAME, "arrow.uuid"),
            _ => column,
        }
    }

    /// A struct. `members` must not be empty: Parquet has no empty group.
    pub fn group(&mut self, name: &str, nullable: bool, members: Vec<Column>) -> Column {
        self.columns += 1;
        debug_assert!(!members.is_empty());
        let fields: Fields = members.iter().map(|m| m.field.clone()).collect();
        let inner = members.iter().fold(0u32, |sum, m| sum.saturating_add(m.width));
        Column {
            field: Arc::new(Field::new(name, DataType::Struct(fields), nullable)),
            slot: Slot::Group(next(&mut self.counts.groups)),
            width: inner.saturating_add(u32::from(nullable)),
            default: None,
            filled: false,
            required: false,
            pairs: false,
            children: members,
        }
    }

    /// A list; `element` is renamed so, its nullability kept.
    pub fn list(&mut self, name: &str, nullable: bool, element: Column) -> Column {
        self.columns += 1;
        let element = element.named("element");
        Column {
            field: Arc::new(Field::new(name, DataType::List(element.field.clone()), nullable)),
            slot: Slot::List(next(&mut self.counts.lists)),
            width: 4 + u32::from(nullable),
            default: None,
            filled: false,
            required: false,
            pairs: false,
            children: vec![element],
        }
    }

    /// A map; key and value are renamed so. The key must not be nullable. Of entries with equal keys the
    /// last stays.
    pub fn map(&mut self, name: &str, nullable: bool, key: Column, value: Column) -> Column {
        self.columns += 1;
        debug_assert!(!key.is_nullable());
        let (key, value) = (key.named("key"), value.named("value"));
        let entry = DataType::Struct(Fields::from(vec![key.field.clone(), value.field.clone()]));
        let entries = Arc::new(Field::new("key_value", entry, false));
        Column {
            field: Arc::new(Field::new(name, DataType::Map(entries, false), nullable)),
            slot: Slot::List(next(&mut self.counts.lists)),
            width: 4 + u32::from(nullable),
            default: None,
            filled: false,
            required: false,
            pairs: false,
            children: vec![key, value],
        }
    }

    /// A map as a list of structs of `key` and `value`, for maps whose key Parquet's own maps cannot have. Of
    /// entries with equal keys the last stays; keys must never be null.
    pub fn pairs(&mut self, name: &str, nullable: bool, key: Column, value: Column) -> Column {
        debug_assert!(!key.has_nulls());
        let members = vec![key.named("key"), value.named("value")];
        let entry = self.group("element", false, members);
        let mut list = self.list(name, nullable, entry);
        list.pairs = true;
        list
    }

    /// The shape of a plan with these top-level columns; there may be none ([`super::super::Plan::bare`]).
    ///
    /// Error: [`codes::TOO_WIDE`].
    pub fn finish(self, record_name: &str, columns: Vec<Column>) -> Result<Arc<Shape>, Fault> {
        self.check(record_name)?;
        let fields: Fields = columns.iter().map(|c| c.field.clone()).collect();
        let width = columns.iter().fold(0usize, |sum, c| sum.saturating_add(c.width as usize));
        let schema = Arc::new(Schema::new(fields));
        Ok(Arc::new(Shape { schema, width, columns, counts: self.counts }))
    }
}

/// The columns of one plan: fixed once compiled, shared by all builders made from it.
#[derive(Debug)]
pub struct Shape {
    schema: SchemaRef,
    width: usize,
    pub(super) columns: Vec<Column>,
    pub(super) counts: Counts,
}

impl Shape {
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Bytes that one row takes when nothing is written to it.
    pub fn width(&self) -> usize {
        self.width
    }
}
