//! One value without columns of its own → JSON text, or nothing: recursive fields, unions as JSON,
//! dropped fields.
//!
//! The text says what columns would say: `["null", T]` as the value itself, other unions as
//! `{"branch": value}`, bytes and fixed as base64, decimals as text with every digit, times as RFC 3339
//! (as the number where the calendar does not reach), NaN and infinities as text.

use super::cursor::{Bad, Block, Cursor};
use super::failure::{Failure, Read};
use super::leaf::{skip_leaf, write_leaf, write_text};
use super::shape::{Shape, ShapeId, Shapes, base_name};
use crate::decode::columns::Meter;

/// Map entries up to which duplicate keys are looked for pair by pair.
const PAIRS_MAX: usize = 16;

/// A walk over one value of any shape, recursive ones included.
pub(super) struct Walk<'w> {
    shapes: &'w Shapes,
    meter: &'w mut Meter,
    /// Levels that may still be entered.
    depth_left: u32,
    /// Length of the text that is paid for.
    paid: usize,
}

impl<'w> Walk<'w> {
    pub(super) fn new(shapes: &'w Shapes, meter: &'w mut Meter, depth_left: u32) -> Self {
        Self { shapes, meter, depth_left, paid: 0 }
    }

    /// Checks the value and moves past it.
    pub(super) fn skip(&mut self, id: ShapeId, cursor: &mut Cursor) -> Read<()> {
        self.value::<false>(id, cursor, &mut Vec::new())
    }

    /// Appends the value as JSON text to `out`, which starts empty.
    pub(super) fn json(&mut self, id: ShapeId, cursor: &mut Cursor, out: &mut Vec<u8>) -> Read<()> {
        self.paid = out.len();
        self.value::<true>(id, cursor, out)?;
        self.pay(cursor, out)
    }

    /// Counts the text written since the last call.
    #[inline]
    fn pay(&mut self, cursor: &Cursor, out: &[u8]) -> Read<()> {
        let grown = out.len().saturating_sub(self.paid);
        self.paid = out.len();
        self.meter.bytes(grown).map_err(|reject| Failure::limit(&reject, cursor))
    }

    fn value<const TEXT: bool>(
        &mut self,
        id: ShapeId,
        cursor: &mut Cursor,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        let Some(depth_left) = self.depth_left.checked_sub(1) else {
            return Err(Failure::depth(self.meter.depth_max(), cursor));
        };
        self.depth_left = depth_left;
        let shapes = self.shapes;
        match &shapes[id] {
            Shape::Array(items) => self.array::<TEXT>(*items, cursor, out)?,
            Shape::Map(values) => self.map::<TEXT>(*values, cursor, out)?,
            Shape::Union(branches) => self.union::<TEXT>(branches, cursor, out)?,
            Shape::Record { fields } => self.record::<TEXT>(fields, cursor, out)?,
            leaf => {
                let result =
                    if TEXT { write_leaf(leaf, cursor, out) } else { skip_leaf(leaf, cursor) };
                result.map_err(|bad| Failure::bad(bad, base_name(leaf), cursor))?;
            }
        }
        self.depth_left += 1;
        Ok(())
    }

    fn record<const TEXT: bool>(
        &mut self,
        fields: &[(String, ShapeId)],
        cursor: &mut Cursor,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        // Fields may take no bytes and leave no text, but each takes time.
        let fields_max = fields.len().min(u32::MAX as usize) as u32;
        self.meter.node(fields_max).map_err(|reject| Failure::limit(&reject, cursor))?;
        for (i, (name, field)) in fields.iter().enumerate() {
            if TEXT {
                out.push(if i == 0 { b'{' } else { b',' });
                write_text(name, out);
                out.push(b':');
            }
            self.value::<TEXT>(*field, cursor, out).map_err(|e| e.within(name))?;
            if TEXT {
                self.pay(cursor, out)?;
            }
        }
        if TEXT {
            out.extend_from_slice(if fields.is_empty() { b"{}" } else { b"}" });
        }
        Ok(())
    }

    fn union<const TEXT: bool>(
        &mut self,
        branches: &[(String, ShapeId)],
        cursor: &mut Cursor,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        let index = cursor
            .branch(branches.len() as u32)
            .map_err(|bad| Failure::bad(bad, "union", cursor))?;
        let (name, branch) = &branches[index as usize];
        if self.shapes[*branch] == Shape::Null || is_plain(self.shapes, branches) {
            return self.value::<TEXT>(*branch, cursor, out);
        }
        if TEXT {
            out.push(b'{');
            write_text(name, out);
            out.push(b':');
        }
        self.value::<TEXT>(*branch, cursor, out).map_err(|e| e.within(name))?;
        if TEXT {
            out.push(b'}');
        }
        Ok(())
    }

    /// Counts the items of a block before the first one is read: a count costs nothing to write.
    fn open(&mut self, block: &Block, items: ShapeId, map: bool, cursor: &Cursor) -> Read<()> {
        if block.count > cursor.left() as u64 && (map || !self.shapes.may_be_empty(items)) {
            let what = if map { "map" } else { "array" };
            return Err(Failure::bad(Bad::Count(block.count as i64), what, cursor));
        }
        self.meter
            .nodes(usize::try_from(block.count).unwrap_or(usize::MAX), 0)
            .map_err(|reject| Failure::limit(&reject, cursor))
    }

    fn array<const TEXT: bool>(
        &mut self,
        items: ShapeId,
        cursor: &mut Cursor,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        let bad = |bad, cursor: &Cursor| Failure::bad(bad, "array", cursor);
        let mut index = 0u64;
        if TEXT {
            out.push(b'[');
        }
        while let Some(block) = cursor.block().map_err(|e| bad(e, cursor))? {
            self.open(&block, items, false, cursor)?;
            let start = cursor.at();
            for _ in 0..block.count {
                if TEXT && index > 0 {
                    out.push(b',');
                }
                self.value::<TEXT>(items, cursor, out)
                    .map_err(|e| e.within(format!("[{index}]")))?;
                if TEXT {
                    self.pay(cursor, out)?;
                }
                index += 1;
            }
            cursor.close(&block, start).map_err(|e| bad(e, cursor))?;
        }
        if TEXT {
            out.push(b']');
        }
        Ok(())
    }

    fn map<const TEXT: bool>(
        &mut self,
        values: ShapeId,
        cursor: &mut Cursor,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        let bad = |bad, cursor: &Cursor| Failure::bad(bad, "map", cursor);
        // Keys with the end of their entry in `out`, to drop what a later entry replaces.
        let mut entries: Vec<(&str, usize)> = Vec::new();
        if TEXT {
            out.push(b'{');
        }
        let first = out.len();
        while let Some(block) = cursor.block().map_err(|e| bad(e, cursor))? {
            self.open(&block, values, true, cursor)?;
            let start = cursor.at();
            for _ in 0..block.count {
                let key = cursor.string().map_err(|e| Failure::bad(e, "map key", cursor))?;
                if TEXT {
                    write_text(key, out);
                    out.push(b':');
                }
                self.value::<TEXT>(values, cursor, out)
                    .map_err(|e| e.within(format!("[{key:?}]")))?;
                if TEXT {
                    out.push(b',');
                    entries.push((key, out.len()));
                    self.pay(cursor, out)?;
                }
            }
            cursor.close(&block, start).map_err(|e| bad(e, cursor))?;
        }
        if TEXT {
            drop_replaced(&entries, first, out);
            if out.len() > first {
                out.pop();
            }
            out.push(b'}');
            self.paid = self.paid.min(out.len());
        }
        Ok(())
    }
}

/// Keeps the last entry of each key, in place.
pub(super) fn drop_replaced(entries: &[(&str, usize)], first: usize, out: &mut Vec<u8>) {
    let keep = match last_of_each(entries.iter().map(|(key, _)| *key)) {
        None => return,
        Some(keep) => keep,
    };
    let (mut start, mut to) = (first, first);
    for ((_, end), keep) in entries.iter().zip(keep) {
        if keep {
            out.copy_within(start..*end, to);
            to += end - start;
        }
        start = *end;
    }
    out.truncate(to);
}

/// Which items are the last of their key, or `None` when every key stands once.
pub(super) fn last_of_each<'k>(
    keys: impl ExactSizeIterator<Item = &'k str> + DoubleEndedIterator + Clone,
) -> Option<Vec<bool>> {
    let count = keys.len();
    if count <= PAIRS_MAX {
        let twice = keys
            .clone()
            .enumerate()
            .any(|(i, key)| keys.clone().skip(i + 1).any(|other| other == key));
        if !twice {
            return None;
        }
    }
    let mut seen = std::collections::HashSet::with_capacity(count);
    let mut keep: Vec<bool> = keys.rev().map(|key| seen.insert(key)).collect();
    keep.reverse();
    (seen.len() < count).then_some(keep)
}

/// Whether a union is one type, nullable or not, and so needs no branch names.
pub(super) fn is_plain(shapes: &Shapes, branches: &[(String, ShapeId)]) -> bool {
    branches.iter().filter(|(_, id)| shapes[*id] != Shape::Null).count() <= 1
}
