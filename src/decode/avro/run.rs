//! The hot loop: one datum → one row, following the steps that `compile` laid out.
//!
//! Nulls and absent branches are not written: columns fill them in. A step that fails leaves half a row
//! behind, which the caller rolls back.

use super::codes;
use super::cursor::{Bad, Block, Cursor};
use super::decimal;
use super::failure::{Failure, Read};
use super::leaf::duration;
use super::onto::Onto;
use super::shape::Shapes;
use super::step::{Decimal, DecimalInto, Items, Record, RecordInto, Step, Union, Walked};
use super::text::Walk;
use crate::decode::codes as shared;
use crate::decode::columns::{Columns, Full, Meter};
use crate::error::Reject;

/// JSON text beyond this is not kept between records.
const SCRATCH_KEPT: usize = 1 << 20;

/// The state of one record.
pub(super) struct Run<'r> {
    pub(super) cursor: Cursor<'r>,
    pub(super) columns: &'r mut Columns,
    pub(super) meter: &'r mut Meter,
    pub(super) shapes: &'r Shapes,
    pub(super) scratch: &'r mut Vec<u8>,
    /// The target, where the writer's records are read onto another schema.
    pub(super) onto: Option<&'r Onto>,
}

/// Gives `result` its type and place if it failed.
macro_rules! read {
    ($run:expr, $what:literal, $read:expr) => {
        match $read {
            Ok(value) => value,
            Err(bad) => return Err(Failure::bad(bad, $what, &$run.cursor)),
        }
    };
}

impl Run<'_> {
    /// Reads one value into row `row` of its builders.
    pub(super) fn value(&mut self, step: &Step, row: usize) -> Read<()> {
        match step {
            Step::Null => {}
            Step::Bool(slot) => {
                let value = read!(self, "boolean", self.cursor.boolean());
                self.columns.bools[*slot as usize].set(row, value);
            }
            Step::I32(slot) => {
                let value = read!(self, "int", self.cursor.int());
                self.columns.i32s[*slot as usize].set(row, value);
            }
            Step::I64(slot) => {
                let value = read!(self, "long", self.cursor.long());
                self.columns.i64s[*slot as usize].set(row, value);
            }
            Step::F32(slot) => {
                let value = f32::from_le_bytes(read!(self, "float", self.cursor.array()));
                self.columns.f32s[*slot as usize].set(row, value);
            }
            Step::F64(slot) => {
                let value = f64::from_le_bytes(read!(self, "double", self.cursor.array()));
                self.columns.f64s[*slot as usize].set(row, value);
            }
            Step::Text(slot) => {
                let value = read!(self, "string", self.cursor.string());
                let set = self.columns.texts[*slot as usize].set(row, value.as_bytes());
                set.map_err(|full| self.full(full))?;
            }
            Step::Binary(slot) => {
                let value = read!(self, "bytes", self.cursor.bytes());
                let set = self.columns.texts[*slot as usize].set(row, value);
                set.map_err(|full| self.full(full))?;
            }
            Step::Enum(e) => {
                let symbol = read!(self, "enum", self.cursor.symbol(e.symbols.len()));
                let name = &e.symbols[symbol];
                self.meter.bytes(name.len()).map_err(|reject| self.limit(&reject))?;
                let set = self.columns.texts[e.slot as usize].set(row, name.as_bytes());
                set.map_err(|full| self.full(full))?;
            }
            Step::Optional { null, some } => {
                if read!(self, "union", self.cursor.branch(2)) != *null {
                    return self.value(some, row);
                }
            }
            Step::Record(record) => return self.record(record, row),
            Step::Array(items) => return self.array(items, row),
            Step::Map(items) => return self.map(items, row),
            Step::Fixed { slot, size } => {
                let value = read!(self, "fixed", self.cursor.take(*size as usize));
                self.columns.fixed[*slot as usize].set(row, value);
            }
            rare => return self.rare(rare, row),
        }
        Ok(())
    }

    /// The steps that few schemas have, out of the way of those that all have.
    #[inline(never)]
    fn rare(&mut self, step: &Step, row: usize) -> Read<()> {
        match step {
            Step::Wide(slot) => {
                let value = read!(self, "int", self.cursor.int());
                self.columns.i64s[*slot as usize].set(row, i64::from(value));
            }
            Step::TimeMillis(slot) => {
                let value = read!(self, "int", self.cursor.int());
                self.time_of_day(i64::from(value), 86_400_000, "milliseconds")?;
                self.columns.i32s[*slot as usize].set(row, value);
            }
            Step::TimeMicros(slot) => {
                let value = read!(self, "long", self.cursor.long());
                self.time_of_day(value, 86_400_000_000, "microseconds")?;
                self.columns.i64s[*slot as usize].set(row, value);
            }
            Step::Coarse { slot, truncate } => {
                let nanos = read!(self, "long", self.cursor.long());
                if nanos % 1_000 != 0 && !truncate {
                    return Err(self.fail(
                        &shared::RANGE,
                        format!("timestamp of `{nanos}` nanoseconds, whole microseconds required by the readers; set `truncate_timestamps: true` to cut it"),
                    ));
                }
                self.columns.i64s[*slot as usize].set(row, nanos.div_euclid(1_000));
            }
            Step::FixedBinary { slot, size } => {
                let value = read!(
                    self,
                    "fixed",
                    self.cursor.take(usize::try_from(*size).unwrap_or(usize::MAX))
                );
                let set = self.columns.texts[*slot as usize].set(row, value);
                set.map_err(|full| self.full(full))?;
            }
            Step::UuidParse(slot) => {
                let text = read!(self, "uuid", self.cursor.string());
                let Ok(uuid) = uuid::Uuid::try_parse(text) else {
                    let text = &text[..text.floor_char_boundary(64)];
                    return Err(self.fail(
                        &codes::UUID,
                        format!(
                            "uuid `{text}`, hexadecimal digits in groups of 8-4-4-4-12 required"
                        ),
                    ));
                };
                self.columns.fixed[*slot as usize].set(row, uuid.as_bytes());
            }
            Step::UuidText(slot) => {
                let uuid = uuid::Uuid::from_bytes(read!(self, "uuid", self.cursor.array()));
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                let text = uuid.hyphenated().encode_lower(&mut text);
                self.meter.bytes(text.len()).map_err(|reject| self.limit(&reject))?;
                let set = self.columns.texts[*slot as usize].set(row, text.as_bytes());
                set.map_err(|full| self.full(full))?;
            }
            Step::Decimal(decimal) => self.decimal(decimal, row)?,
            Step::Duration(step) => {
                let parts = duration(read!(self, "duration", self.cursor.array()));
                self.columns.groups[step.group as usize].set(row);
                for (slot, value) in step.parts.iter().zip(parts) {
                    match step.native {
                        true => self.columns.u32s[*slot as usize].set(row, value),
                        false => self.columns.i64s[*slot as usize].set(row, i64::from(value)),
                    }
                }
            }
            Step::Single(only) => {
                read!(self, "union", self.cursor.branch(1));
                self.value(only, row)?;
            }
            Step::Nothing { branches } => {
                read!(self, "union", self.cursor.branch(*branches));
            }
            Step::Union(union) => self.union(union, row)?,
            Step::Json(walked) => self.json(walked, row)?,
            Step::UnionJson(union) => {
                let branch = read!(self, "union", self.cursor.clone().branch(union.branches));
                if union.null == Some(branch) {
                    read!(self, "union", self.cursor.branch(union.branches));
                } else {
                    self.json(&union.walked, row)?;
                }
            }
            Step::Raw(walked) => {
                let start = self.cursor.at();
                self.skip(walked)?;
                let value = self.cursor.since(start);
                let set = self.columns.texts[walked.slot as usize].set(row, value);
                set.map_err(|full| self.full(full))?;
            }
            Step::Skip(walked) => self.skip(walked)?,
            Step::Onto(step) => self.onto_step(step, row)?,
            // The others stand in `value`.
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn record(&mut self, record: &Record, row: usize) -> Read<()> {
        self.enter(record.into, row);
        for (i, step) in record.steps.iter().enumerate() {
            if let Err(failure) = self.value(step, row) {
                return Err(failure.within(&*record.names[i]));
            }
        }
        Ok(())
    }

    /// The record is there, before its fields are.
    #[inline]
    pub(super) fn enter(&mut self, into: RecordInto, row: usize) {
        match into {
            RecordInto::Row => {}
            RecordInto::Group(slot) => self.columns.groups[slot as usize].set(row),
            RecordInto::Presence(slot) => self.columns.bools[slot as usize].set(row, true),
        }
    }

    fn union(&mut self, union: &Union, row: usize) -> Read<()> {
        let branch = read!(self, "union", self.cursor.branch(union.branches.len() as u32));
        if union.null == Some(branch) {
            return Ok(());
        }
        self.columns.groups[union.group as usize].set(row);
        self.value(&union.branches[branch as usize], row)
            .map_err(|e| e.within(&*union.names[branch as usize]))
    }

    /// Counts the items of a block before any is read, and gives the row of the first one.
    fn open(&mut self, items: &Items, block: &Block, what: &str, row: usize) -> Read<usize> {
        if block.count > self.cursor.left() as u64 && !items.may_be_empty {
            return Err(Failure::bad(Bad::Count(block.count as i64), what, &self.cursor));
        }
        let count = usize::try_from(block.count).unwrap_or(usize::MAX);
        self.meter.nodes(count, items.width).map_err(|reject| self.limit(&reject))?;
        let first = self.columns.lists[items.list as usize].extend(row, count);
        first.map_err(|full| self.full(full))
    }

    fn array(&mut self, items: &Items, row: usize) -> Read<()> {
        self.columns.lists[items.list as usize].open(row);
        let mut index = 0u64;
        while let Some(block) = read!(self, "array", self.cursor.block()) {
            let first = self.open(items, &block, "array", row)?;
            let start = self.cursor.at();
            for item in first..first + block.count as usize {
                if let Err(failure) = self.value(&items.item, item) {
                    return Err(failure.within(format!("[{}]", index + (item - first) as u64)));
                }
            }
            index += block.count;
            read!(self, "array", self.cursor.close(&block, start));
        }
        Ok(())
    }

    fn map(&mut self, items: &Items, row: usize) -> Read<()> {
        self.columns.lists[items.list as usize].open(row);
        while let Some(block) = read!(self, "map", self.cursor.block()) {
            let first = self.open(items, &block, "map", row)?;
            let start = self.cursor.at();
            for entry in first..first + block.count as usize {
                let key = read!(self, "map key", self.cursor.string());
                let set = self.columns.texts[items.key as usize].set(entry, key.as_bytes());
                set.map_err(|full| self.full(full))?;
                if let Err(failure) = self.value(&items.item, entry) {
                    let key = &key[..key.floor_char_boundary(64)];
                    return Err(failure.within(format!("[{key:?}]")));
                }
            }
            read!(self, "map", self.cursor.close(&block, start));
        }
        Ok(())
    }

    fn decimal(&mut self, decimal: &Decimal, row: usize) -> Read<()> {
        let bytes = match decimal.fixed {
            Some(size) => read!(self, "decimal", self.cursor.take(size)),
            None => read!(self, "decimal", self.cursor.bytes()),
        };
        self.put_decimal(decimal, bytes, row)
    }

    fn put_decimal(&mut self, decimal: &Decimal, bytes: &[u8], row: usize) -> Read<()> {
        let slot = decimal.slot as usize;
        let fits = match decimal.into {
            DecimalInto::I128 { bound } => {
                decimal::to_i128(bytes, bound).map(|value| self.columns.i128s[slot].set(row, value))
            }
            DecimalInto::I256 => decimal::to_i256(bytes, decimal.precision)
                .map(|value| self.columns.i256s[slot].set(row, value)),
            DecimalInto::Text => {
                self.scratch.clear();
                decimal::to_text(bytes, decimal.precision, decimal.scale, self.scratch)
            }
        };
        if fits.is_none() {
            return Err(self.fail(
                &codes::DECIMAL,
                format!(
                    "decimal in {} bytes of more digits than the schema says, at most {} required",
                    bytes.len(),
                    decimal.precision
                ),
            ));
        }
        match decimal.into {
            DecimalInto::Text => self.put_scratch(decimal.slot, row, true),
            _ => Ok(()),
        }
    }

    fn json(&mut self, walked: &Walked, row: usize) -> Read<()> {
        self.scratch.clear();
        let mut walk = Walk::new(self.shapes, self.meter, walked.depth);
        walk.json(walked.shape, &mut self.cursor, self.scratch)?;
        self.put_scratch(walked.slot, row, false)
    }

    fn skip(&mut self, walked: &Walked) -> Read<()> {
        Walk::new(self.shapes, self.meter, walked.depth).skip(walked.shape, &mut self.cursor)
    }

    /// Writes the scratch text to its column; `count`: its bytes are not counted yet.
    pub(super) fn put_scratch(&mut self, slot: u32, row: usize, count: bool) -> Read<()> {
        if count {
            self.meter.bytes(self.scratch.len()).map_err(|reject| self.limit(&reject))?;
        }
        let set = self.columns.texts[slot as usize].set(row, self.scratch);
        self.scratch.shrink_to(SCRATCH_KEPT);
        set.map_err(|full| self.full(full))
    }

    fn time_of_day(&self, value: i64, end: i64, unit: &str) -> Read<()> {
        if (0..end).contains(&value) {
            return Ok(());
        }
        Err(self.fail(
            &shared::RANGE,
            format!("time of day of `{value}` {unit}, 0 to {} required", end - 1),
        ))
    }

    #[cold]
    fn fail(&self, code: &'static crate::error::Code, found: String) -> Box<Failure> {
        Failure::new(code, &self.cursor, found)
    }

    #[cold]
    fn limit(&self, reject: &Reject) -> Box<Failure> {
        Failure::limit(reject, &self.cursor)
    }

    #[cold]
    pub(super) fn full(&self, full: Full) -> Box<Failure> {
        self.limit(&Box::<Reject>::from(full))
    }

    /// The whole datum: every byte of it, and no more.
    pub(super) fn datum(mut self, root: &Step, row: usize) -> Result<(), Box<Reject>> {
        self.value(root, row).map_err(|failure| failure.reject())?;
        match self.cursor.left() {
            0 => Ok(()),
            left => Err(self.left_over(left)),
        }
    }

    /// A body that is one value of bytes, without the length that Avro puts before it.
    pub(super) fn body(mut self, root: &Step, body: &[u8], row: usize) -> Result<(), Box<Reject>> {
        match root {
            Step::Decimal(decimal) => self.put_decimal(decimal, body, row),
            Step::Binary(slot) => {
                let set = self.columns.texts[*slot as usize].set(row, body);
                set.map_err(|full| self.full(full))
            }
            _ => Ok(()),
        }
        .map_err(|failure| failure.reject())
    }

    #[cold]
    fn left_over(&self, left: usize) -> Box<Reject> {
        self.fail(&codes::TRAILING, format!("{left} bytes after the datum, none required")).reject()
    }
}
