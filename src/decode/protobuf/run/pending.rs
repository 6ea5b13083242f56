//! Messages that are kept as JSON: their text may have to be made twice.

use super::{Run, State};
use crate::decode::protobuf::plan::Op;
use crate::decode::protobuf::wire::{self, Outcome};

/// The bytes behind the newest value of a JSON column: another occurrence of the field merges with them.
#[derive(Debug, Default, Clone)]
pub struct Pending {
    row: usize,
    slot: u32,
    json: u32,
    depth: u32,
    /// Unknown fields in the text as it is.
    unknown: u64,
    pub(super) raw: Vec<u8>,
    /// The column's text was made before the last bytes came.
    pub(super) dirty: bool,
}

impl Run<'_> {
    /// A message that is kept as JSON. Its text is made at once; if the field comes again in the same
    /// row, the bytes are put together (which is what merging means) and the text is made anew when the
    /// row is over.
    pub(super) fn json(&mut self, op: &Op, row: usize, body: &[u8], depth: u32) -> Outcome<()> {
        let depth = depth.checked_sub(1).ok_or_else(|| wire::too_deep(self.program.depth))?;
        let index = op.pending as usize;
        let has_row = self.columns.texts[op.slot as usize].get(row).is_some();
        let pending = &mut self.state.pending[index];
        if has_row && pending.row == row {
            pending.raw.extend_from_slice(body);
            pending.dirty = true;
            self.state.dirty = true;
            return Ok(());
        }
        if pending.dirty {
            self.settle_one(index)?;
        }
        let pending = &mut self.state.pending[index];
        pending.raw.clear();
        pending.raw.extend_from_slice(body);
        pending.unknown = 0;
        (pending.row, pending.slot, pending.json, pending.depth) = (row, op.slot, op.aux, depth);
        self.json_text(index)
    }

    /// Makes the texts of all JSON values that grew after their text was made.
    #[cold]
    pub(super) fn settle(&mut self) -> Outcome<()> {
        self.state.dirty = false;
        for index in 0..self.state.pending.len() {
            if self.state.pending[index].dirty {
                self.settle_one(index)?;
            }
        }
        Ok(())
    }

    fn settle_one(&mut self, index: usize) -> Outcome<()> {
        let pending = &mut self.state.pending[index];
        pending.dirty = false;
        // The row may be gone: another member of its oneof came.
        match self.columns.texts[pending.slot as usize].get(pending.row) {
            Some(_) => self.json_text(index).map_err(|mut failure| {
                failure.path.push(self.program.pending[index].clone());
                failure
            }),
            None => Ok(()),
        }
    }

    fn json_text(&mut self, index: usize) -> Outcome<()> {
        let State { pending, scratch, unknown, .. } = &mut *self.state;
        let pending = &mut pending[index];
        scratch.clear();
        let (json, limit) = (&self.program.json, self.program.depth);
        let found =
            json.write(pending.json, &pending.raw, pending.depth, limit, self.meter, scratch)?;
        // The text of the first parts alone was counted before.
        *unknown = unknown.saturating_sub(pending.unknown) + found;
        pending.unknown = found;
        Ok(self.columns.texts[pending.slot as usize].set(pending.row, scratch)?)
    }
}
