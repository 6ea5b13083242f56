//! The hot loop's part for steps that read onto another schema.

use super::pairs::{Promotion, Wire};
use super::text::{self, write_promoted};
use super::{OntoFill, OntoRecord, OntoStep};
use crate::decode::avro::codes;
use crate::decode::avro::cursor::Cursor;
use crate::decode::avro::failure::{Failure, Read};
use crate::decode::avro::run::Run;
use crate::decode::avro::step::Step;

impl Run<'_> {
    #[inline(never)]
    pub(in crate::decode::avro) fn onto_step(&mut self, step: &OntoStep, row: usize) -> Read<()> {
        match step {
            OntoStep::Promote { how, into } => self.promote(*how, into, row),
            OntoStep::Enum { slot, symbols } => self.symbol(*slot, symbols, row),
            OntoStep::Record(record) => self.onto_record(record, row),
            OntoStep::Branches { steps, names } => {
                let branch = self.cursor.branch(steps.len() as u32);
                let branch = branch.map_err(|bad| Failure::bad(bad, "union", &self.cursor))?;
                let branch = branch as usize;
                self.value(&steps[branch], row).map_err(|e| e.within(&*names[branch]))
            }
            OntoStep::Into { group, step } => {
                self.columns.groups[*group as usize].set(row);
                self.value(step, row)
            }
            OntoStep::Json { slot, node, depth, union } => {
                let Some(onto) = self.onto else { return Ok(()) };
                self.scratch.clear();
                let mut walk = text::Walk::new(self.shapes, onto, self.meter, *depth);
                walk.json(*node, &mut self.cursor, self.scratch)?;
                if *union && self.scratch.as_slice() == b"null" {
                    return Ok(());
                }
                self.put_scratch(*slot, row, false)
            }
            OntoStep::Refuse(why) => Err(Failure::new(&codes::UNREADABLE, &self.cursor, &**why)),
        }
    }

    /// Reads a number of the writer and gives it to the target's step in the target's encoding.
    fn promote(&mut self, how: Promotion, into: &Step, row: usize) -> Read<()> {
        let at = self.cursor.at();
        let mut bytes = [0; 10];
        let length = promoted(how, &mut self.cursor, &mut bytes)?;
        let number = bytes.get(..length).unwrap_or_default();
        self.beside(number, row, into).map_err(|e| e.from(at))
    }

    /// Follows a step of the target over bytes in the target's own encoding.
    fn beside(&mut self, bytes: &[u8], row: usize, step: &Step) -> Read<()> {
        let shapes = self.onto.map_or(self.shapes, |onto| &onto.target);
        let mut run = Run {
            cursor: Cursor::new(bytes),
            columns: self.columns,
            meter: self.meter,
            shapes,
            scratch: self.scratch,
            onto: None,
        };
        run.value(step, row)
    }

    fn symbol(&mut self, slot: u32, symbols: &[Option<Box<str>>], row: usize) -> Read<()> {
        let index = self.cursor.symbol(symbols.len());
        let index = index.map_err(|bad| Failure::bad(bad, "enum", &self.cursor))?;
        let name = known(symbols, index, &self.cursor)?;
        self.meter.bytes(name.len()).map_err(|reject| Failure::limit(&reject, &self.cursor))?;
        let set = self.columns.texts[slot as usize].set(row, name.as_bytes());
        set.map_err(|full| self.full(full))
    }

    fn onto_record(&mut self, record: &OntoRecord, row: usize) -> Read<()> {
        self.enter(record.into, row);
        for (step, name) in record.steps.iter().zip(&record.names) {
            self.value(step, row).map_err(|e| e.within(&**name))?;
        }
        let at = self.cursor.at();
        for OntoFill { name, step, bytes } in &record.fills {
            let limit = self.meter.bytes(bytes.len());
            limit.map_err(|reject| Failure::limit(&reject, &self.cursor))?;
            self.beside(bytes, row, step).map_err(|e| e.from(at).within(&**name))?;
        }
        Ok(())
    }
}

/// The target's symbol.
pub(super) fn known<'s>(
    symbols: &'s [Option<Box<str>>],
    index: usize,
    cursor: &Cursor,
) -> Read<&'s str> {
    symbols.get(index).and_then(Option::as_deref).ok_or_else(|| {
        Failure::new(
            &codes::UNREADABLE,
            cursor,
            format!("enum symbol `{index}` of the writer, one that the target has or a default of its enum required"),
        )
    })
}

/// Reads a number of the writer and writes it as the target would; gives the length.
pub(super) fn promoted(how: Promotion, cursor: &mut Cursor, out: &mut [u8; 10]) -> Read<usize> {
    let bad = |bad, what, cursor: &Cursor| Failure::bad(bad, what, cursor);
    let (Promotion::Long(wire, _) | Promotion::Float(wire) | Promotion::Double(wire)) = how;
    if wire == Wire::Float {
        let value = cursor.array().map_err(|e| bad(e, "float", cursor))?;
        return Ok(write_promoted(f64::from(f32::from_le_bytes(value)).to_le_bytes(), out));
    }
    let number = match wire {
        Wire::Int => i64::from(cursor.int().map_err(|e| bad(e, "int", cursor))?),
        _ => cursor.long().map_err(|e| bad(e, "long", cursor))?,
    };
    Ok(match how {
        Promotion::Long(_, times) => {
            let Some(number) = number.checked_mul(times) else {
                return Err(Failure::new(
                    &crate::decode::codes::RANGE,
                    cursor,
                    format!("time of `{number}`, one that fits the target's unit required"),
                ));
            };
            text::write_long(number, out)
        }
        Promotion::Float(_) => write_promoted((number as f32).to_le_bytes(), out),
        Promotion::Double(_) => write_promoted((number as f64).to_le_bytes(), out),
    })
}
