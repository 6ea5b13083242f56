//! Dates and times that come in parts: a first part alone may be no value, and the whole one is.

use super::Run;
use crate::decode::codes;
use crate::decode::protobuf::special::Moment;
use crate::decode::protobuf::wire::{Failure, Outcome};

/// Values waiting for their other parts; no encoder writes even one.
const PARTS_MAX: usize = 16;

/// A value whose parts so far make none.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    moment: Moment,
    slot: usize,
    row: usize,
    values: [i64; 4],
}

impl Part {
    /// Slots of 32 and of 64 bits are numbered each from 0.
    fn is_at(&self, moment: Moment, slot: usize, row: usize) -> bool {
        self.slot == slot && self.row == row && self.moment.is_short() == moment.is_short()
    }
}

impl Run<'_> {
    /// The numbers so far of a value that is none yet.
    #[inline]
    pub(in crate::decode::protobuf) fn unfinished(
        &self,
        moment: Moment,
        slot: usize,
        row: usize,
    ) -> Option<[i64; 4]> {
        if self.state.parts.is_empty() {
            return None;
        }
        self.state.parts.iter().find(|part| part.is_at(moment, slot, row)).map(|part| part.values)
    }

    /// The value is whole now.
    #[inline]
    pub(in crate::decode::protobuf) fn forget_part(
        &mut self,
        moment: Moment,
        slot: usize,
        row: usize,
    ) {
        if !self.state.parts.is_empty() {
            self.state.parts.retain(|part| !part.is_at(moment, slot, row));
        }
    }

    /// Keeps these numbers until the row is over; the column has the row meanwhile.
    #[cold]
    #[inline(never)]
    pub(in crate::decode::protobuf) fn put_off(
        &mut self,
        failure: Box<Failure>,
        moment: Moment,
        slot: usize,
        row: usize,
        values: [i64; 4],
    ) -> Outcome<()> {
        self.forget_part(moment, slot, row);
        if self.strict || failure.code != &codes::RANGE || self.state.parts.len() == PARTS_MAX {
            return Err(failure);
        }
        match moment.is_short() {
            true => self.columns.i32s[slot].set(row, 0),
            false => self.columns.i64s[slot].set(row, 0),
        }
        self.state.parts.push(Part { moment, slot, row, values });
        self.state.dirty = true;
        Ok(())
    }

    /// Forgets values that lost their oneof.
    #[cold]
    #[inline(never)]
    pub(super) fn forget_lost_parts(&mut self) {
        let columns = &*self.columns;
        self.state.parts.retain(|part| match part.moment.is_short() {
            true => columns.i32s[part.slot].get(part.row).is_some(),
            false => columns.i64s[part.slot].get(part.row).is_some(),
        });
    }

    /// Writes all that was put off. Error: something is still no value.
    #[cold]
    pub(super) fn finish_parts(&mut self) -> Outcome<()> {
        for part in std::mem::take(&mut self.state.parts) {
            self.finish(part.moment, part.slot, part.row, part.values)?;
        }
        Ok(())
    }
}
