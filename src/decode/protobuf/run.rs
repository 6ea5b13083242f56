//! The hot loop: wire bytes → builders, one record at a time, no tree in between.

mod parts;
mod pending;

use parts::Part;
use pending::Pending;

use super::plan::{Kept, Kind, NONE, Narrow, Op, Program, Table};
use super::special::{self, Moment};
use super::wire::{self, Outcome};
use crate::decode::columns::{Columns, Meter, Slot};
use crate::error::Reject;
use crate::record::Oddities;

/// Most bytes that a buffer keeps from batch to batch.
const KEPT_BYTES: usize = 64 << 10;

/// What a run keeps from record to record beside the columns.
#[derive(Debug)]
pub struct State {
    /// By oneof: the row that it was last set in, and the member.
    oneofs: Vec<(usize, u32)>,
    pending: Vec<Pending>,
    /// Dates and times that are none yet.
    parts: Vec<Part>,
    /// Some [`Pending`] is dirty, or there are parts.
    dirty: bool,
    unknown: u64,
    /// Where text is made before it goes into a column.
    pub(super) scratch: Vec<u8>,
}

impl State {
    pub fn new(program: &Program) -> Self {
        Self {
            oneofs: vec![(usize::MAX, NONE); program.oneofs as usize],
            pending: vec![Pending::default(); program.pending.len()],
            parts: Vec::new(),
            dirty: false,
            unknown: 0,
            scratch: Vec::new(),
        }
    }

    /// Unknown fields of rows that stand, since the last call.
    pub fn take_oddities(&mut self) -> Oddities {
        Oddities { unknown_fields: std::mem::take(&mut self.unknown), ..Oddities::default() }
    }

    /// Gives back what one large record made grow.
    pub fn trim(&mut self) {
        self.scratch.shrink_to(KEPT_BYTES);
        self.pending.iter_mut().for_each(|pending| pending.raw.shrink_to(KEPT_BYTES));
    }
}

impl Program {
    /// Writes row `columns.rows()`; the caller commits or rolls back.
    #[inline]
    pub fn row(
        &self,
        columns: &mut Columns,
        meter: &mut Meter,
        state: &mut State,
        body: &[u8],
    ) -> Result<(), Box<Reject>> {
        let row = columns.rows();
        let unknown = state.unknown;
        let mut run = Run { program: self, columns, meter, state, strict: false };
        let mut rest = body;
        let table = &self.tables[self.root as usize];
        let mut outcome = run.message(table, &mut rest, 0, row, self.depth);
        if outcome.is_ok() && run.state.dirty {
            outcome = run.settle();
            if outcome.is_ok() && run.finish_parts().is_err() {
                // Once more, to stop at the first part that is no value: there the place is known.
                run.columns.rollback();
                run.meter.again();
                run.state.unknown = unknown;
                run.strict = true;
                outcome = run.message(table, &mut &*body, 0, row, self.depth);
            }
        }
        outcome.map_err(|failure| {
            state.unknown = unknown;
            state.forget();
            failure.into_reject(&self.record_name, body)
        })
    }
}

impl State {
    #[cold]
    fn forget(&mut self) {
        self.dirty = false;
        self.parts.clear();
        self.pending.iter_mut().for_each(|pending| pending.dirty = false);
    }
}

pub(super) struct Run<'a> {
    pub program: &'a Program,
    pub columns: &'a mut Columns,
    pub meter: &'a mut Meter,
    pub state: &'a mut State,
    /// A date that is none fails at once.
    strict: bool,
}

impl Run<'_> {
    /// Reads one message into row `row` of its columns: to the end of `buf`, or to the tag `end` if that
    /// is not 0. `depth` is how many levels may still open.
    fn message(
        &mut self,
        table: &Table,
        buf: &mut &[u8],
        end: u32,
        row: usize,
        depth: u32,
    ) -> Outcome<()> {
        let mut next = 0usize;
        while !buf.is_empty() {
            let place = buf.as_ptr();
            let tag = match wire::tag(buf) {
                Ok(tag) => tag,
                Err(failure) => return Err(failure.at(place)),
            };
            let index = match table.ops.get(next) {
                Some(op) if op.tag == tag => next,
                _ => match table.ops.get(next + 1) {
                    Some(op) if op.tag == tag => next + 1,
                    _ if tag == end && end != 0 => return Ok(()),
                    _ => match table.find(tag >> 3) {
                        Some(index) => index,
                        None => {
                            if let Err(failure) = self.unknown(table, buf, tag, depth) {
                                return Err(failure.inside(&format!("#{}", tag >> 3), place));
                            }
                            continue;
                        }
                    },
                },
            };
            let op = &table.ops[index];
            next = op.next as usize;
            let done = if op.tag == tag {
                self.field(op, buf, row, depth)
            } else {
                self.other_wire(table, op, tag, buf, row, depth)
            };
            if let Err(failure) = done {
                return Err(failure.inside(&table.names[index], place));
            }
        }
        if end != 0 {
            let failure = wire::malformed("a group without its end tag, one required");
            return Err(failure.at(buf.as_ptr()));
        }
        Ok(())
    }

    #[inline(always)]
    fn field(&mut self, op: &Op, buf: &mut &[u8], row: usize, depth: u32) -> Outcome<()> {
        let at = if op.list == NONE {
            if op.oneof != NONE {
                self.choose(op, row)?;
            }
            row
        } else if op.packed {
            return self.packed(op, buf, row);
        } else {
            self.meter.node(op.width)?;
            self.columns.lists[op.list as usize].push(row)?
        };
        self.value(op, buf, at, depth)
    }

    /// A field that came with another wire type than its own: packed where items were expected or the
    /// other way round; else it is no field of ours.
    #[cold]
    #[inline(never)]
    fn other_wire(
        &mut self,
        table: &Table,
        op: &Op,
        tag: u32,
        buf: &mut &[u8],
        row: usize,
        depth: u32,
    ) -> Outcome<()> {
        if op.list != NONE && op.kind.is_packable() {
            if tag & 7 == wire::LEN {
                return self.packed(op, buf, row);
            }
            if tag & 7 == op.kind.wire() {
                self.meter.node(op.width)?;
                let item = self.columns.lists[op.list as usize].push(row)?;
                return self.value(op, buf, item, depth);
            }
        }
        if op.kind == Kind::Dropped {
            return wire::skip(buf, tag, depth, self.program.depth);
        }
        self.unknown(table, buf, tag, depth)
    }

    #[inline(never)]
    fn unknown(&mut self, table: &Table, buf: &mut &[u8], tag: u32, depth: u32) -> Outcome<()> {
        let before = *buf;
        self.count_unknown(buf, tag, depth)?;
        match &self.program.kept {
            Some(kept) => self.keep(kept, &table.path, tag, &before[..before.len() - buf.len()]),
            None => Ok(()),
        }
    }

    pub(super) fn count_unknown(&mut self, buf: &mut &[u8], tag: u32, depth: u32) -> Outcome<()> {
        self.state.unknown += 1;
        wire::skip(buf, tag, depth, self.program.depth)
    }

    /// Writes an unknown field as it came, its tag before it, to the list of the row.
    #[cold]
    fn keep(&mut self, kept: &Kept, path: &str, tag: u32, value: &[u8]) -> Outcome<()> {
        self.meter.node(kept.width)?;
        self.meter.bytes(path.len())?;
        let row = self.columns.rows();
        let item = self.columns.lists[kept.list as usize].push(row)?;
        self.columns.groups[kept.group as usize].set(item);
        self.columns.texts[kept.path as usize].set(item, path.as_bytes())?;
        let scratch = &mut self.state.scratch;
        scratch.clear();
        prost::encoding::encode_varint(u64::from(tag), scratch);
        scratch.extend_from_slice(value);
        Ok(self.columns.texts[kept.bytes as usize].set(item, scratch)?)
    }

    /// A member of a oneof came: the one set before, if another, is not there any more.
    #[inline]
    fn choose(&mut self, op: &Op, row: usize) -> Outcome<()> {
        let last = &mut self.state.oneofs[op.oneof as usize];
        let (last_row, last_member) = *last;
        *last = (row, op.member);
        if op.group != NONE {
            self.columns.groups[op.group as usize].set(row);
        }
        if last_row == row && last_member != op.member {
            let loser = &self.program.members[last_member as usize];
            // A cut looks at every column below: two members that come by turns must not be free.
            self.meter.node(loser.width())?;
            self.columns.cut(loser, row);
            if !self.state.parts.is_empty() {
                self.forget_lost_parts();
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn packed(&mut self, op: &Op, buf: &mut &[u8], row: usize) -> Outcome<()> {
        let mut items = wire::delimited(buf)?;
        let count = match op.kind.wire() {
            wire::I64 => items.len() / 8,
            wire::I32 => items.len() / 4,
            _ => items.iter().filter(|byte| **byte < 0x80).count(),
        };
        self.meter.nodes(count, op.width)?;
        // An empty run of items makes no difference between absent and empty.
        let first = self.columns.lists[op.list as usize].extend(row, count)?;
        for item in first..first + count {
            self.value(op, &mut items, item, 0)?;
        }
        if !items.is_empty() {
            return Err(wire::malformed(
                "a packed value that passes its end, a whole one required",
            ));
        }
        Ok(())
    }

    /// Reads one value into row `row` of its column.
    #[inline(always)]
    fn value(&mut self, op: &Op, buf: &mut &[u8], row: usize, depth: u32) -> Outcome<()> {
        let slot = op.slot as usize;
        let c = &mut *self.columns;
        match op.kind {
            Kind::String => {
                let text = wire::delimited(buf)?;
                wire::utf8(text)?;
                c.texts[slot].set(row, text)?;
            }
            Kind::Int64 => c.i64s[slot].set(row, wire::varint(buf)? as i64),
            Kind::Int32 => c.i32s[slot].set(row, wire::varint(buf)? as i32),
            Kind::Double => c.f64s[slot].set(row, f64::from_le_bytes(wire::fixed(buf)?)),
            Kind::Float => c.f32s[slot].set(row, f32::from_le_bytes(wire::fixed(buf)?)),
            Kind::Bool => c.bools[slot].set(row, wire::varint(buf)? != 0),
            Kind::EnumName => {
                let number = wire::varint(buf)? as i32;
                match self.program.enums[op.aux as usize].get(number) {
                    Some(name) => c.texts[slot].set(row, name.as_bytes())?,
                    None => self.enum_number(op, row, number)?,
                }
            }
            Kind::Message => {
                let mut body = wire::delimited(buf)?;
                c.groups[slot].set(row);
                self.nested(op, &mut body, 0, row, depth)?;
            }
            Kind::Bytes => c.texts[slot].set(row, wire::delimited(buf)?)?,
            Kind::EnumNumber => c.i32s[slot].set(row, wire::varint(buf)? as i32),
            Kind::Uint32Wide => c.i64s[slot].set(row, i64::from(wire::varint(buf)? as u32)),
            Kind::Uint64Wide => c.i128s[slot].set(row, i128::from(wire::varint(buf)?)),
            Kind::Uint32 => c.u32s[slot].set(row, wire::varint(buf)? as u32),
            Kind::Uint64 => c.u64s[slot].set(row, wire::varint(buf)?),
            Kind::Sint32 => {
                c.i32s[slot].set(row, wire::zigzag(u64::from(wire::varint(buf)? as u32)) as i32);
            }
            Kind::Sint64 => c.i64s[slot].set(row, wire::zigzag(wire::varint(buf)?)),
            Kind::Fixed32Wide => {
                c.i64s[slot].set(row, i64::from(u32::from_le_bytes(wire::fixed(buf)?)));
            }
            Kind::Fixed64Wide => {
                c.i128s[slot].set(row, i128::from(u64::from_le_bytes(wire::fixed(buf)?)));
            }
            Kind::Fixed32 => c.u32s[slot].set(row, u32::from_le_bytes(wire::fixed(buf)?)),
            Kind::Fixed64 => c.u64s[slot].set(row, u64::from_le_bytes(wire::fixed(buf)?)),
            Kind::Sfixed32 => c.i32s[slot].set(row, i32::from_le_bytes(wire::fixed(buf)?)),
            Kind::Sfixed64 => c.i64s[slot].set(row, i64::from_le_bytes(wire::fixed(buf)?)),
            Kind::Timestamp => {
                let body = wire::delimited(buf)?;
                self.timestamp(slot, row, body, depth)?;
            }
            _ => self.rare(op, buf, row, depth)?,
        }
        Ok(())
    }

    /// Values that are not worth a place in the loop.
    #[inline(never)]
    fn rare(&mut self, op: &Op, buf: &mut &[u8], row: usize, depth: u32) -> Outcome<()> {
        let slot = op.slot as usize;
        let start = op.number << 3 | wire::START;
        match op.kind {
            Kind::Group => {
                self.columns.groups[slot].set(row);
                self.nested(op, buf, start + 1, row, depth)
            }
            Kind::GroupPresence => {
                self.columns.bools[slot].set(row, true);
                self.nested(op, buf, start + 1, row, depth)
            }
            Kind::Map => self.nested(op, &mut wire::delimited(buf)?, 0, row, depth),
            Kind::Presence => {
                self.columns.bools[slot].set(row, true);
                self.nested(op, &mut wire::delimited(buf)?, 0, row, depth)
            }
            Kind::Wrapper(slot) => {
                self.present(slot, row)?;
                self.nested(op, &mut wire::delimited(buf)?, 0, row, depth)
            }
            Kind::FieldMask => {
                self.columns.lists[slot].open(row);
                self.nested(op, &mut wire::delimited(buf)?, 0, row, depth)
            }
            Kind::Duration => self.duration(slot, row, wire::delimited(buf)?, depth),
            Kind::Date => self.date(slot, row, wire::delimited(buf)?, depth),
            Kind::TimeOfDay => {
                self.time_of_day(Moment::TimeOfDay, slot, row, wire::delimited(buf)?, depth)
            }
            Kind::TimeOfDayMillis => {
                self.time_of_day(Moment::TimeOfDayMillis, slot, row, wire::delimited(buf)?, depth)
            }
            Kind::Decimal => self.decimal(op, row, wire::delimited(buf)?, depth),
            Kind::Json => self.json(op, row, wire::delimited(buf)?, depth),
            Kind::JsonGroup => {
                let body = wire::group(buf, start, depth, self.program.depth)?;
                self.json(op, row, body, depth)
            }
            Kind::Raw => Ok(self.columns.texts[slot].append(row, wire::delimited(buf)?)?),
            Kind::RawGroup => {
                let body = wire::group(buf, start, depth, self.program.depth)?;
                Ok(self.columns.texts[slot].append(row, body)?)
            }
            Kind::Dropped => wire::skip(buf, op.tag, depth, self.program.depth),
            Kind::Promoted(from, to) => self.promoted(from, to, buf, row),
            _ => unreachable!("the loop has this kind"),
        }
    }

    /// A number as its writer wrote it, into the column that a later version has.
    fn promoted(&mut self, from: Narrow, to: Slot, buf: &mut &[u8], row: usize) -> Outcome<()> {
        let c = &mut *self.columns;
        let whole = match from {
            Narrow::Int32 => i64::from(wire::varint(buf)? as i32),
            Narrow::Sint32 => i64::from(wire::zigzag(u64::from(wire::varint(buf)? as u32)) as i32),
            Narrow::Sfixed32 => i64::from(i32::from_le_bytes(wire::fixed(buf)?)),
            Narrow::Int64 => wire::varint(buf)? as i64,
            Narrow::Sint64 => wire::zigzag(wire::varint(buf)?),
            Narrow::Sfixed64 => i64::from_le_bytes(wire::fixed(buf)?),
            Narrow::Uint32 => i64::from(wire::varint(buf)? as u32),
            Narrow::Fixed32 => i64::from(u32::from_le_bytes(wire::fixed(buf)?)),
            Narrow::Float => {
                let value = f32::from_le_bytes(wire::fixed(buf)?);
                if let Slot::F64(slot) = to {
                    c.f64s[slot as usize].set(row, f64::from(value));
                }
                return Ok(());
            }
        };
        match to {
            Slot::I64(slot) => c.i64s[slot as usize].set(row, whole),
            Slot::U64(slot) => c.u64s[slot as usize].set(row, whole as u64),
            Slot::I128(slot) => c.i128s[slot as usize].set(row, i128::from(whole)),
            Slot::F32(slot) => c.f32s[slot as usize].set(row, whole as f32),
            Slot::F64(slot) => c.f64s[slot as usize].set(row, whole as f64),
            _ => debug_assert!(false, "`evolve` promotes to no such column"),
        }
        Ok(())
    }

    #[inline]
    fn nested(
        &mut self,
        op: &Op,
        buf: &mut &[u8],
        end: u32,
        row: usize,
        depth: u32,
    ) -> Outcome<()> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(wire::too_deep(self.program.depth));
        };
        self.meter.node(0)?;
        self.message(&self.program.tables[op.aux as usize], buf, end, row, depth)
    }

    #[cold]
    fn enum_number(&mut self, op: &Op, row: usize, number: i32) -> Outcome<()> {
        let before = &self.program.enums[op.aux as usize].unknown;
        special::decimal_text(before, i64::from(number), &mut self.state.scratch);
        Ok(self.columns.texts[op.slot as usize].set(row, &self.state.scratch)?)
    }

    /// A wrapper is there: its value is the default unless it has one.
    fn present(&mut self, slot: Slot, row: usize) -> Outcome<()> {
        let c = &mut *self.columns;
        match slot {
            Slot::Bool(i) if c.bools[i as usize].get(row).is_none() => {
                c.bools[i as usize].set(row, false);
            }
            Slot::I32(i) if c.i32s[i as usize].get(row).is_none() => c.i32s[i as usize].set(row, 0),
            Slot::I64(i) if c.i64s[i as usize].get(row).is_none() => c.i64s[i as usize].set(row, 0),
            Slot::U32(i) if c.u32s[i as usize].get(row).is_none() => c.u32s[i as usize].set(row, 0),
            Slot::U64(i) if c.u64s[i as usize].get(row).is_none() => c.u64s[i as usize].set(row, 0),
            Slot::F32(i) if c.f32s[i as usize].get(row).is_none() => {
                c.f32s[i as usize].set(row, 0.0)
            }
            Slot::F64(i) if c.f64s[i as usize].get(row).is_none() => {
                c.f64s[i as usize].set(row, 0.0)
            }
            Slot::I128(i) if c.i128s[i as usize].get(row).is_none() => {
                c.i128s[i as usize].set(row, 0);
            }
            Slot::Text(i) if c.texts[i as usize].get(row).is_none() => {
                c.texts[i as usize].set(row, b"")?;
            }
            _ => {}
        }
        Ok(())
    }
}
