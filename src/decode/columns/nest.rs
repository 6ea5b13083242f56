//! Structs, lists and maps: validity and where lists start; their children are columns of their own.

use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};

use super::bits::Bits;
use super::leaf::Full;

/// Which rows of a struct are there. Children share its row numbers.
#[derive(Debug, Default, Clone)]
pub struct Groups {
    valid: Bits,
    nullable: bool,
}

impl Groups {
    pub(super) fn new(nullable: bool) -> Self {
        Self { nullable, ..Self::default() }
    }

    /// Marks the struct of `row` as there. Twice is once.
    #[inline]
    pub fn set(&mut self, row: usize) {
        if self.nullable && self.valid.len() != row + 1 {
            if self.valid.len() != row {
                self.valid.align(row);
            }
            self.valid.push(true);
        }
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        if self.valid.len() > rows {
            self.valid.align(rows);
        }
    }

    pub(super) fn take(&mut self, rows: usize) -> Option<NullBuffer> {
        if !self.nullable {
            return None;
        }
        self.valid.align(rows);
        self.valid.take_nulls()
    }
}

/// Where the items of each row start. Maps are lists of entries.
#[derive(Debug, Default, Clone)]
pub struct Lists {
    /// First item of each row; its end is the next start, or `items`.
    starts: Vec<i32>,
    /// Items so far: the row count of the children.
    items: usize,
    valid: Bits,
    nullable: bool,
}

impl Lists {
    pub(super) fn new(nullable: bool) -> Self {
        Self { nullable, ..Self::default() }
    }

    /// Makes `row` a list, empty until items come. A row that was never opened is null, or empty in a
    /// column without nulls.
    #[inline]
    pub fn open(&mut self, row: usize) {
        if self.starts.len() != row + 1 {
            self.align(row);
            self.starts.push(self.items as i32);
            if self.nullable {
                self.valid.push(true);
            }
        }
    }

    /// Adds one item to the list of `row`; gives the item's row number in the children.
    #[inline]
    pub fn push(&mut self, row: usize) -> Result<usize, Full> {
        self.open(row);
        let item = self.items;
        if item >= i32::MAX as usize {
            return Err(Full);
        }
        self.items = item + 1;
        Ok(item)
    }

    /// Adds `count` items to the list of `row`; gives the first one's row number in the children.
    #[inline]
    pub fn extend(&mut self, row: usize, count: usize) -> Result<usize, Full> {
        self.open(row);
        let item = self.items;
        if count > i32::MAX as usize - item {
            return Err(Full);
        }
        self.items = item + count;
        Ok(item)
    }

    fn align(&mut self, rows: usize) {
        if self.starts.len() > rows {
            self.truncate(rows);
        }
        self.starts.resize(rows, self.items as i32);
        if self.nullable {
            self.valid.align(rows);
        }
    }

    pub(super) fn items(&self) -> usize {
        self.items
    }

    /// Cuts back to `rows`; the children are cut to [`Lists::items`] by the caller.
    pub(super) fn truncate(&mut self, rows: usize) {
        if let Some(&start) = self.starts.get(rows) {
            self.items = start as usize;
            self.starts.truncate(rows);
            if self.nullable {
                self.valid.align(rows);
            }
        }
    }

    pub(super) fn take(&mut self, rows: usize) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        self.align(rows);
        self.starts.push(std::mem::take(&mut self.items) as i32);
        let starts = std::mem::replace(&mut self.starts, Vec::with_capacity(rows + 1));
        // SAFETY: starts begin at 0, never fall, and end at the number of items, which `push` and
        // `extend` keep within i32.
        let offsets = unsafe { OffsetBuffer::new_unchecked(ScalarBuffer::from(starts)) };
        (offsets, self.nullable.then(|| self.valid.take_nulls()).flatten())
    }
}
