//! Leaf columns: values of fixed width, bits, bytes.
//!
//! All of them are written by row number: `set(row, value)` fills the rows that were left out, or cuts
//! back a value the row already has.

use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;

use super::bits::Bits;

/// A column would pass the 2 GiB that 32-bit offsets reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Numbers of one width.
#[derive(Debug, Default, Clone)]
pub struct Numbers<T> {
    values: Vec<T>,
    valid: Bits,
    nullable: bool,
    /// What a row of a column without nulls has when nothing was written.
    default: T,
}

impl<T: ArrowNativeType + Default> Numbers<T> {
    pub(super) fn new(nullable: bool, default: T) -> Self {
        Self { values: Vec::new(), valid: Bits::default(), nullable, default }
    }

    /// Writes the value of `row`, in place of one the row already has.
    #[inline]
    pub fn set(&mut self, row: usize, value: T) {
        if self.values.len() != row {
            self.align(row);
        }
        self.values.push(value);
        if self.nullable {
            self.valid.push(true);
        }
    }

    /// The value that `row` has been given, if any.
    pub fn get(&self, row: usize) -> Option<T> {
        self.values.get(row).copied()
    }

    #[inline(never)]
    fn align(&mut self, rows: usize) {
        self.values.resize(rows, self.default);
        if self.nullable {
            self.valid.align(rows);
        }
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        if self.values.len() > rows {
            self.align(rows);
        }
    }

    pub(super) fn take(&mut self, rows: usize) -> (ScalarBuffer<T>, Option<NullBuffer>) {
        self.align(rows);
        let next = Vec::with_capacity(rows);
        let values = std::mem::replace(&mut self.values, next);
        (ScalarBuffer::from(values), self.nullable.then(|| self.valid.take_nulls()).flatten())
    }
}

/// Booleans.
#[derive(Debug, Default, Clone)]
pub struct Booleans {
    values: Bits,
    valid: Bits,
    nullable: bool,
    /// What a row of a column without nulls has when nothing was written.
    default: bool,
}

impl Booleans {
    pub(super) fn new(nullable: bool, default: bool) -> Self {
        Self { nullable, default, ..Self::default() }
    }

    /// Writes the value of `row`, in place of one the row already has.
    #[inline]
    pub fn set(&mut self, row: usize, value: bool) {
        if self.values.len() != row {
            self.align(row);
        }
        self.values.push(value);
        if self.nullable {
            self.valid.push(true);
        }
    }

    /// The value that `row` has been given, if any.
    pub fn get(&self, row: usize) -> Option<bool> {
        self.values.get(row)
    }

    #[inline(never)]
    fn align(&mut self, rows: usize) {
        if self.default {
            (self.values.len()..rows).for_each(|_| self.values.push(true));
        }
        self.values.align(rows);
        if self.nullable {
            self.valid.align(rows);
        }
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        if self.values.len() > rows {
            self.align(rows);
        }
    }

    pub(super) fn take(&mut self, rows: usize) -> (BooleanBuffer, Option<NullBuffer>) {
        self.align(rows);
        (self.values.take(), self.nullable.then(|| self.valid.take_nulls()).flatten())
    }
}

/// Strings or bytes of any length. Text must be UTF-8 when it comes in: arrays are built on that word.
#[derive(Debug, Default, Clone)]
pub struct Texts {
    /// Where each row's bytes start; its end is the next start, or the end of `data`.
    starts: Vec<i32>,
    data: Vec<u8>,
    valid: Bits,
    nullable: bool,
    /// What a row of a column without nulls has when nothing was written.
    default: Box<[u8]>,
}

impl Texts {
    pub(super) fn new(nullable: bool, default: &str) -> Self {
        Self { nullable, default: default.as_bytes().into(), ..Self::default() }
    }

    /// Writes the value of `row`, in place of one the row already has.
    #[inline]
    pub fn set(&mut self, row: usize, value: &[u8]) -> Result<(), Full> {
        if self.starts.len() != row {
            self.align(row)?;
        }
        let start = self.data.len();
        if value.len() > i32::MAX as usize - start {
            return Err(Full);
        }
        self.starts.push(start as i32);
        self.data.extend_from_slice(value);
        if self.nullable {
            self.valid.push(true);
        }
        Ok(())
    }

    /// Adds bytes to the value of `row`, or makes it if there is none.
    pub fn append(&mut self, row: usize, more: &[u8]) -> Result<(), Full> {
        if self.starts.len() != row + 1 {
            return self.set(row, more);
        }
        if more.len() > i32::MAX as usize - self.data.len() {
            return Err(Full);
        }
        self.data.extend_from_slice(more);
        Ok(())
    }

    /// The value that `row` has been given, if any; only for the newest row.
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let start = *self.starts.get(row)?;
        self.data.get(start as usize..)
    }

    #[inline(never)]
    fn align(&mut self, rows: usize) -> Result<(), Full> {
        if self.starts.len() > rows {
            self.truncate(rows);
            return Ok(());
        }
        let missing = rows - self.starts.len();
        if !self.nullable && !self.default.is_empty() {
            let room = i32::MAX as usize - self.data.len();
            if missing.checked_mul(self.default.len()).is_none_or(|need| need > room) {
                return Err(Full);
            }
            for _ in 0..missing {
                self.starts.push(self.data.len() as i32);
                self.data.extend_from_slice(&self.default);
            }
        } else {
            self.starts.resize(rows, self.data.len() as i32);
        }
        if self.nullable {
            self.valid.align(rows);
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        if let Some(&start) = self.starts.get(rows) {
            self.data.truncate(start as usize);
            self.starts.truncate(rows);
            if self.nullable {
                self.valid.align(rows);
            }
        }
    }

    pub(super) fn take(&mut self, rows: usize) -> (OffsetBuffer<i32>, Buffer, Option<NullBuffer>) {
        if self.align(rows).is_err() {
            // Defaults that do not fit: empty text keeps the batch whole. `Meter` counts defaults, so
            // a batch ends long before.
            self.starts.resize(rows, self.data.len() as i32);
        }
        self.starts.push(self.data.len() as i32);
        let starts = std::mem::replace(&mut self.starts, Vec::with_capacity(rows + 1));
        let next = Vec::with_capacity(self.data.len());
        let data = std::mem::replace(&mut self.data, next);
        // SAFETY: starts begin at 0 (the first row starts in empty data), never fall, and end at the
        // data's length, which `set` and `align` keep within i32.
        let offsets = unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(starts)) };
        let nulls = self.nullable.then(|| self.valid.take_nulls()).flatten();
        (offsets, Buffer::from_vec(data), nulls)
    }
}

/// Byte strings of one length.
#[derive(Debug, Default, Clone)]
pub struct Fixed {
    width: usize,
    rows: usize,
    data: Vec<u8>,
    valid: Bits,
    nullable: bool,
}

impl Fixed {
    pub(super) fn new(nullable: bool, width: usize) -> Self {
        Self { nullable, width, ..Self::default() }
    }

    /// Writes the value of `row`, in place of one the row already has. `value` has the column's
    /// width; what is missing is zero, what is over is left out.
    #[inline]
    pub fn set(&mut self, row: usize, value: &[u8]) {
        debug_assert_eq!(value.len(), self.width);
        if self.rows != row {
            self.align(row);
        }
        self.data.extend_from_slice(value);
        self.rows += 1;
        self.data.resize(self.rows * self.width, 0);
        if self.nullable {
            self.valid.push(true);
        }
    }

    #[inline(never)]
    fn align(&mut self, rows: usize) {
        self.data.resize(rows * self.width, 0);
        self.rows = rows;
        if self.nullable {
            self.valid.align(rows);
        }
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        if self.rows > rows {
            self.align(rows);
        }
    }

    pub(super) fn take(&mut self, rows: usize) -> (Buffer, Option<NullBuffer>) {
        self.align(rows);
        self.rows = 0;
        let next = Vec::with_capacity(self.data.len());
        let data = std::mem::replace(&mut self.data, next);
        (Buffer::from_vec(data), self.nullable.then(|| self.valid.take_nulls()).flatten())
    }
}
