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

impl Run<'_> {
    /// The numbers so far of a value that is none yet.
    #[inline]
    pub(in crate::decode::protobuf) fn unfinished(
        &self,
        slot: usize,
        row: usize,
    ) -> Option<[i64; 4]> {
        if self.state.parts.is_empty() {
            return None;
        }
        let same = |part: &&Part| part.slot == slot && part.row == row;
        self.state.parts.iter().find(same).map(|part| part.values)
    }

    /// The value is whole now.
    #[inline]
    pub(in crate::decode::protobuf) fn forget_part(&mut self, slot: usize, row: usize) {
        if !self.state.parts.is_empty() {
            self.state.parts.retain(|part| part.slot != slot || part.row != row);
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
        self.forget_part(slot, row);
        if self.strict || failure.code != &codes::RANGE || self.state.parts.len() == PARTS_MAX {
            return Err(failure);
        }
        match moment {
            Moment::Date => self.columns.i32s[slot].set(row, 0),
            _ => self.columns.i64s[slot].set(row, 0),
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
        self.state.parts.retain(|part| match part.moment {
            Moment::Date => columns.i32s[part.slot].get(part.row).is_some(),
            _ => columns.i64s[part.slot].get(part.row).is_some(),
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
