//! The hot loop: one text → one row, following the steps that `compile` laid out.
//!
//! Nulls and absent members are not written: columns fill them in. A step that fails leaves half a row
//! behind, which the caller rolls back.

mod leaf;
mod many;
mod union;

use super::State;
use super::codes;
use super::failure::{Failure, Read};
use super::step::{Node, ObjectInto, Slot, Step, Table};
use super::token::{Bad, Cursor};
use crate::decode::columns::{Column, Columns, Full, Meter};
use crate::error::Reject;

/// The state of one record.
pub(super) struct Run<'r> {
    pub(super) cursor: Cursor<'r>,
    pub(super) columns: &'r mut Columns,
    pub(super) meter: &'r mut Meter,
    pub(super) state: &'r mut State,
    /// Digits of times finer than microseconds are cut.
    pub(super) truncate: bool,
}

/// Gives `result` its place if it failed.
macro_rules! read {
    ($run:expr, $read:expr) => {
        match $read {
            Ok(value) => value,
            Err(bad) => return Err($run.bad(bad)),
        }
    };
}
use read;

impl<'r> Run<'r> {
    /// The whole record into row `row`.
    #[inline]
    pub(super) fn record(mut self, root: &'r Node, row: usize) -> Result<(), Box<Reject>> {
        let oddities = self.state.oddities;
        let read = self.value(root, row).and_then(|()| match self.cursor.is_done() {
            true => Ok(()),
            false => Err(Failure::trailing(&self.cursor)),
        });
        read.map_err(|failure| {
            self.state.oddities = oddities;
            failure.reject()
        })
    }

    /// Reads one value into row `row` of its builders.
    #[inline]
    fn value(&mut self, node: &'r Node, row: usize) -> Read<()> {
        let first = self.cursor.peek();
        if first == b'n' {
            return self.null(node);
        }
        self.step(&node.step, first, row)
    }

    #[inline(never)]
    fn null(&mut self, node: &Node) -> Read<()> {
        read!(self, self.cursor.null());
        if node.nullable {
            return Ok(());
        }
        Err(self.fail(&codes::NULL, "null, a value required"))
    }

    /// Reads one value that is not null; `first` is its first byte.
    fn step(&mut self, step: &'r Step, first: u8, row: usize) -> Read<()> {
        match step {
            Step::Text(slot) => {
                if first != b'"' {
                    return Err(self.wrong("a string"));
                }
                let value = read!(self, self.cursor.string(&mut self.state.scratch));
                let set = self.columns.texts[*slot as usize].set(row, value);
                set.map_err(|full| self.full(full))
            }
            Step::I64(slot) => {
                let value = match self.cursor.small() {
                    Some(value) => value,
                    None => self.integer(first, i64::MIN.into(), i64::MAX.into())? as i64,
                };
                self.columns.i64s[*slot as usize].set(row, value);
                Ok(())
            }
            Step::F64(slot) => {
                let value = self.float(first)?;
                self.columns.f64s[*slot as usize].set(row, value);
                Ok(())
            }
            Step::Bool(slot) => {
                if !matches!(first, b't' | b'f') {
                    return Err(self.wrong("a boolean"));
                }
                let value = read!(self, self.cursor.boolean());
                self.columns.bools[*slot as usize].set(row, value);
                Ok(())
            }
            Step::Object(table) => self.object(table, first, row),
            Step::List(items) => self.list(items, first, row),
            Step::Map(items) => self.map(items, first, row),
            Step::Json { slot, levels } => {
                let start = self.cursor.at();
                read!(self, self.cursor.skip(*levels));
                let set = self.columns.texts[*slot as usize]
                    .set(row, self.cursor.since(start).as_bytes());
                set.map_err(|full| self.full(full))
            }
            Step::Pairs(pairs) => self.pairs(pairs, first, row),
            Step::Union(union) => self.union(union, first, row),
            Step::Skip { levels } => {
                read!(self, self.cursor.skip(*levels));
                Ok(())
            }
            leaf => self.leaf(leaf, first, row),
        }
    }

    fn object(&mut self, table: &'r Table, first: u8, row: usize) -> Read<()> {
        if first != b'{' {
            return Err(self.wrong("an object"));
        }
        match table.into {
            ObjectInto::Row => {}
            ObjectInto::Group(slot) => self.columns.groups[slot as usize].set(row),
            ObjectInto::Presence(slot) => self.columns.bools[slot as usize].set(row, true),
        }
        if let Some(extra) = &table.extra {
            self.state.extras[extra.buffer as usize].clear();
        }
        self.cursor.step();
        self.state.epoch += 1;
        let epoch = self.state.epoch;
        let base = table.base as usize;
        // The entry of the member before: it says which one came next the last time.
        let mut link = base + table.fields.len();
        let mut required = 0;
        if self.cursor.peek() == b'}' {
            self.cursor.step();
        } else {
            loop {
                if self.cursor.peek() != b'"' {
                    return Err(self.bad(Bad::Expected("a key")));
                }
                if let Some(index) = self.key(table, link)? {
                    let slot = &table.fields[index];
                    link = base + index;
                    if std::mem::replace(&mut self.state.stamps[link], epoch) == epoch {
                        self.again(slot.column.as_ref(), row)?;
                    } else {
                        required += u32::from(slot.required);
                    }
                    if let Err(failure) = self.field(slot, row) {
                        return Err(failure.within(&slot.name));
                    }
                }
                match self.cursor.peek() {
                    b',' => self.cursor.step(),
                    b'}' => {
                        self.cursor.step();
                        break;
                    }
                    _ => return Err(self.bad(Bad::Expected("`,` or `}`"))),
                }
            }
        }
        if required != table.required || table.fills {
            self.absent(table, epoch, row)?;
        }
        if let Some(extra) = &table.extra {
            return self.extra(extra.buffer as usize, extra.slot, row);
        }
        Ok(())
    }

    /// Reads a key with its colon: the field of that name, or none, its value skipped.
    #[inline]
    fn key(&mut self, table: &'r Table, link: usize) -> Read<Option<usize>> {
        let guess = self.state.next[link] as usize;
        for guess in [guess, guess + 1] {
            if let Some(slot) = table.fields.get(guess)
                && self.cursor.eat(&slot.key)
            {
                return Ok(Some(guess));
            }
        }
        self.other_key(table, link)
    }

    #[inline(never)]
    fn other_key(&mut self, table: &'r Table, link: usize) -> Read<Option<usize>> {
        let start = self.cursor.at();
        let key = read!(self, self.cursor.string(&mut self.state.scratch));
        let found = table.by_name.get(key).copied();
        read!(self, self.cursor.require(b':', "`:`"));
        if let Some(index) = found {
            self.state.next[link] = index;
            return Ok(Some(index as usize));
        }
        read!(self, self.cursor.skip(table.levels));
        self.state.oddities.unknown_fields += 1;
        if let Some(extra) = &table.extra {
            let buffer = &mut self.state.extras[extra.buffer as usize];
            buffer.push(if buffer.is_empty() { b'{' } else { b',' });
            buffer.extend_from_slice(self.cursor.since(start).as_bytes());
        }
        Ok(None)
    }

    #[inline]
    fn field(&mut self, slot: &'r Slot, row: usize) -> Read<()> {
        if slot.filled.is_some() && self.cursor.peek() == b'n' {
            read!(self, self.cursor.null());
            return self.fill(slot, row);
        }
        self.value(&slot.node, row)
    }

    /// The key came before: the last one counts. Cutting looks at every column below, so it is paid for.
    #[cold]
    fn again(&mut self, column: Option<&Column>, row: usize) -> Read<()> {
        self.state.oddities.repeated_keys += 1;
        let Some(column) = column else { return Ok(()) };
        self.meter.node(column.width()).map_err(|reject| self.limit(&reject))?;
        self.columns.cut(column, row);
        Ok(())
    }

    /// Fills in what did not come, and refuses the object if something must have.
    #[inline(never)]
    fn absent(&mut self, table: &'r Table, epoch: u64, row: usize) -> Read<()> {
        for (index, slot) in table.fields.iter().enumerate() {
            if self.state.stamps[table.base as usize + index] == epoch {
                continue;
            }
            if slot.required {
                let missing = self.fail(&codes::MISSING, "nothing, a value required");
                return Err(missing.within(&slot.name));
            }
            if slot.filled.is_some() {
                self.fill(slot, row).map_err(|failure| failure.within(&slot.name))?;
            }
        }
        Ok(())
    }

    /// Reads the value that the schema has for an absent one.
    fn fill(&mut self, slot: &'r Slot, row: usize) -> Read<()> {
        let Some(text) = slot.filled.as_deref() else { return Ok(()) };
        self.meter.bytes(text.len()).map_err(|reject| self.limit(&reject))?;
        let record = std::mem::replace(&mut self.cursor, Cursor::new(text));
        let filled = self.value(&slot.node, row);
        self.cursor = record;
        filled
    }

    fn extra(&mut self, buffer: usize, slot: u32, row: usize) -> Read<()> {
        let text = &mut self.state.extras[buffer];
        if text.is_empty() {
            return Ok(());
        }
        text.push(b'}');
        let set = self.columns.texts[slot as usize].set(row, text);
        set.map_err(|full| self.full(full))
    }

    /// The value at hand is of another type; or it is no value at all.
    #[cold]
    #[inline(never)]
    fn wrong(&mut self, required: &str) -> Box<Failure> {
        let found = match self.cursor.peek() {
            b'{' => "an object",
            b'[' => "an array",
            b'"' => "a string",
            b't' | b'f' => "a boolean",
            b'n' => "null",
            b'-' | b'0'..=b'9' => "a number",
            _ => return self.bad(Bad::Expected("a value")),
        };
        self.fail(&codes::TYPE, format!("{found}, {required} required"))
    }

    #[cold]
    #[inline(never)]
    fn bad(&self, bad: Bad) -> Box<Failure> {
        Failure::bad(bad, &self.cursor)
    }

    #[cold]
    fn fail(&self, code: &'static crate::error::Code, found: impl Into<String>) -> Box<Failure> {
        Failure::new(code, &self.cursor, found)
    }

    #[cold]
    fn limit(&self, reject: &Reject) -> Box<Failure> {
        Failure::limit(reject, &self.cursor)
    }

    #[cold]
    fn full(&self, full: Full) -> Box<Failure> {
        Failure::full(full, &self.cursor)
    }
}
