//! Columns under construction, with rollback to any earlier row.
//!
//! Owns: builders for every type that Parquet can hold, the Arrow schema they make, the count of what
//! one record makes.
//! Does not own: what a source type becomes (`protobuf`, `avro`).
//! Bounded by: [`Meter`] per record; 2 GiB of text or items per column and batch, refused as [`Full`].
//! Absent: unions, empty structs, month intervals: Parquet holds none of them. Arrow's own builders:
//! they cannot go back.
//!
//! # How it works
//!
//! Every builder is written **by row number**, and may be left alone. `set(row, value)` on a builder that
//! is behind fills the rows between with null (nullable columns) or the default (the others); on one
//! that already has the row, it writes over it. So
//! - a null or an absent field costs nothing: do not write it;
//! - an absent struct costs nothing, however many columns are below it;
//! - the last of several values wins by being written last;
//! - going back to `rows` rows is [`Columns::truncate`], which needs no marks: whatever is longer is cut.
//!
//! Rows must be written in order: only the newest row of a column can be written over. Children of a
//! struct use the struct's row number. Items of a list or entries of a map have the numbers that
//! [`Lists::push`] gives.
//!
//! ```ignore
//! let mut layout = Layout::default();
//! let id = layout.leaf("id", Leaf::I64, false);
//! let os = layout.leaf("os", Leaf::Utf8, true);
//! let (id_slot, os_slot) = (id.slot().index(), os.slot().index());
//! let device = layout.group("device", true, vec![os]);
//! let device_slot = device.slot().index();
//! let shape = layout.finish("shop.Order", vec![id, device])?;
//!
//! let mut columns = Columns::new(shape);
//! let row = columns.rows();
//! columns.i64s[id_slot as usize].set(row, 7);
//! columns.groups[device_slot as usize].set(row);          // present; else null
//! columns.texts[os_slot as usize].set(row, b"ios")?;      // validated before
//! columns.commit();                                       // or columns.rollback()
//! ```

mod bits;
mod leaf;
mod meter;
mod nest;
mod shape;
mod take;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::i256;

pub use leaf::{Booleans, Fixed, Full, Numbers, Texts};
pub use meter::Meter;
pub use nest::{Groups, Lists};
pub use shape::{COLUMNS_MAX, Column, JSON_EXTENSION, Layout, Leaf, Shape, Slot};

use crate::decode::codes;
use crate::error::Reject;

/// The builders of one plan, by kind; [`Slot`] says which is whose.
#[derive(Debug)]
pub struct Columns {
    shape: Arc<Shape>,
    rows: usize,
    /// Nulls of required columns in finished rows.
    missing: u64,
    pub bools: Vec<Booleans>,
    pub i32s: Vec<Numbers<i32>>,
    pub i64s: Vec<Numbers<i64>>,
    pub u32s: Vec<Numbers<u32>>,
    pub u64s: Vec<Numbers<u64>>,
    pub f32s: Vec<Numbers<f32>>,
    pub f64s: Vec<Numbers<f64>>,
    pub i128s: Vec<Numbers<i128>>,
    pub i256s: Vec<Numbers<i256>>,
    pub texts: Vec<Texts>,
    pub fixed: Vec<Fixed>,
    pub groups: Vec<Groups>,
    pub lists: Vec<Lists>,
}

impl Columns {
    pub fn new(shape: Arc<Shape>) -> Self {
        let c = shape.counts;
        let mut columns = Self {
            rows: 0,
            missing: 0,
            bools: vec![Booleans::default(); c.bools as usize],
            i32s: vec![Numbers::default(); c.i32s as usize],
            i64s: vec![Numbers::default(); c.i64s as usize],
            u32s: vec![Numbers::default(); c.u32s as usize],
            u64s: vec![Numbers::default(); c.u64s as usize],
            f32s: vec![Numbers::default(); c.f32s as usize],
            f64s: vec![Numbers::default(); c.f64s as usize],
            i128s: vec![Numbers::default(); c.i128s as usize],
            i256s: vec![Numbers::default(); c.i256s as usize],
            texts: vec![Texts::default(); c.texts as usize],
            fixed: vec![Fixed::default(); c.fixed as usize],
            groups: vec![Groups::default(); c.groups as usize],
            lists: vec![Lists::default(); c.lists as usize],
            shape: shape.clone(),
        };
        shape.columns.iter().for_each(|column| columns.prepare(column));
        columns
    }

    fn prepare(&mut self, column: &Column) {
        let nullable = column.has_nulls();
        match column.slot {
            Slot::None => {}
            Slot::Bool(i) => self.bools[i as usize] = Booleans::new(nullable, parsed(column)),
            Slot::I32(i) => self.i32s[i as usize] = Numbers::new(nullable, parsed(column)),
            Slot::I64(i) => self.i64s[i as usize] = Numbers::new(nullable, parsed(column)),
            Slot::U32(i) => self.u32s[i as usize] = Numbers::new(nullable, parsed(column)),
            Slot::U64(i) => self.u64s[i as usize] = Numbers::new(nullable, parsed(column)),
            Slot::F32(i) => self.f32s[i as usize] = Numbers::new(nullable, parsed(column)),
            Slot::F64(i) => self.f64s[i as usize] = Numbers::new(nullable, parsed(column)),
            Slot::I128(i) => self.i128s[i as usize] = Numbers::new(nullable, parsed(column)),
            Slot::I256(i) => self.i256s[i as usize] = Numbers::new(nullable, parsed(column)),
            Slot::Text(i) => {
                let default = column.default.as_deref().unwrap_or_default();
                self.texts[i as usize] = Texts::new(nullable, default);
            }
            Slot::Fixed(i) => self.fixed[i as usize] = Fixed::new(nullable, column.width_fixed()),
            Slot::Group(i) => self.groups[i as usize] = Groups::new(nullable),
            Slot::List(i) => self.lists[i as usize] = Lists::new(nullable),
        }
        column.children.iter().for_each(|child| self.prepare(child));
    }

    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Rows that stand: the number of the row in progress.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The row in progress stands.
    #[inline]
    pub fn commit(&mut self) {
        self.rows += 1;
    }

    /// Throws the row in progress away.
    #[cold]
    pub fn rollback(&mut self) {
        self.truncate(self.rows);
    }

    /// Goes back to the first `rows` rows. Cost: one look at every column.
    pub fn truncate(&mut self, rows: usize) {
        let shape = self.shape.clone();
        shape.columns.iter().for_each(|column| self.cut(column, rows));
        self.rows = self.rows.min(rows);
    }

    /// Cuts one column, with all below it, back to `rows` rows of its own: what a `oneof` does to the
    /// member that loses. The rows cut away read as not written.
    pub fn cut(&mut self, column: &Column, rows: usize) {
        let mut inner = rows;
        match column.slot {
            Slot::None => {}
            Slot::Bool(i) => self.bools[i as usize].truncate(rows),
            Slot::I32(i) => self.i32s[i as usize].truncate(rows),
            Slot::I64(i) => self.i64s[i as usize].truncate(rows),
            Slot::U32(i) => self.u32s[i as usize].truncate(rows),
            Slot::U64(i) => self.u64s[i as usize].truncate(rows),
            Slot::F32(i) => self.f32s[i as usize].truncate(rows),
            Slot::F64(i) => self.f64s[i as usize].truncate(rows),
            Slot::I128(i) => self.i128s[i as usize].truncate(rows),
            Slot::I256(i) => self.i256s[i as usize].truncate(rows),
            Slot::Text(i) => self.texts[i as usize].truncate(rows),
            Slot::Fixed(i) => self.fixed[i as usize].truncate(rows),
            Slot::Group(i) => self.groups[i as usize].truncate(rows),
            Slot::List(i) => {
                self.lists[i as usize].truncate(rows);
                inner = self.lists[i as usize].items();
            }
        }
        column.children.iter().for_each(|child| self.cut(child, inner));
    }
}

/// The default of a column of numbers or booleans, as its text says.
fn parsed<T: std::str::FromStr + Default>(column: &Column) -> T {
    column.default.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl From<Full> for Box<Reject> {
    #[cold]
    fn from(_: Full) -> Self {
        Reject::new(
            &codes::BATCH_FULL,
            "record as columns: a column of this batch passes 2 GiB, less required; finish batches earlier",
        )
    }
}
