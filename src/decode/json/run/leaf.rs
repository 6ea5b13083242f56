//! Values that are one token.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Run, read};
use crate::decode::avro::decimal as unscaled;
use crate::decode::codes as shared;
use crate::decode::json::codes;
use crate::decode::json::failure::{Failure, Read};
use crate::decode::json::number::{self, Misfit};
use crate::decode::json::step::{Decimal, DecimalInto, Large, Step};
use crate::decode::json::time;
use crate::decode::json::token::Cursor;

/// With or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Characters of a text that a message shows.
const SHOWN: usize = 64;
const DAY_MILLIS: i128 = 86_400_000;

/// The start of a text, for a message.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(SHOWN).collect()
}

#[cold]
fn misformed(cursor: &Cursor<'_>, text: &[u8], required: &str) -> Box<Failure> {
    Failure::new(&codes::FORMAT, cursor, format!("`{}`, {required} required", shown(text)))
}

#[cold]
fn no_time(cursor: &Cursor<'_>, bad: time::Bad, text: &[u8], required: &str) -> Box<Failure> {
    match bad {
        time::Bad::Form => misformed(cursor, text, required),
        time::Bad::Fine => Failure::new(
            &shared::RANGE,
            cursor,
            format!(
                "`{}`, whole microseconds required; set `value.truncate_timestamps: true` to cut it",
                shown(text)
            ),
        ),
    }
}

impl<'r> Run<'r> {
    /// The steps that few schemas have, out of the way of those that all have.
    #[inline(never)]
    pub(super) fn leaf(&mut self, step: &'r Step, first: u8, row: usize) -> Read<()> {
        match step {
            Step::I32 { slot, bits } => {
                let half = 1i128 << (bits - 1);
                let value = self.integer(first, -half, half - 1)? as i32;
                self.columns.i32s[*slot as usize].set(row, value);
            }
            Step::F32(slot) => {
                let value = match first {
                    b'"' => self.named_float()? as f32,
                    b'-' | b'0'..=b'9' => {
                        let number = read!(self, self.cursor.number());
                        match number::to_f32(number.text) {
                            Some(value) => value,
                            None => return Err(self.far(number.text, "single precision")),
                        }
                    }
                    _ => return Err(self.wrong("a number")),
                };
                self.columns.f32s[*slot as usize].set(row, value);
            }
            Step::Millis { slot, wide } => {
                let value = self.integer(first, 0, DAY_MILLIS - 1)?;
                match wide {
                    true => self.columns.i64s[*slot as usize].set(row, value as i64),
                    false => self.columns.i32s[*slot as usize].set(row, value as i32),
                }
            }
            Step::Large(large) => self.large(large, first, row)?,
            Step::Decimal(decimal) => self.decimal(decimal, first, row)?,
            Step::Nothing => return Err(self.wrong("null")),
            Step::Written(slot) => {
                if matches!(first, b'{' | b'[') {
                    return Err(self.wrong("a text, number or boolean"));
                }
                let start = self.cursor.at();
                let text = match first {
                    b'"' => read!(self, self.cursor.string(&mut self.state.scratch)),
                    _ => {
                        read!(self, self.cursor.skip(1));
                        self.cursor.since(start).as_bytes()
                    }
                };
                let set = self.columns.texts[*slot as usize].set(row, text);
                set.map_err(|full| self.full(full))?;
            }
            text => return self.text(text, first, row),
        }
        Ok(())
    }

    /// Strings that are something else than text.
    fn text(&mut self, step: &Step, first: u8, row: usize) -> Read<()> {
        if first != b'"' {
            return Err(self.wrong("a string"));
        }
        let text = read!(self, self.cursor.string(&mut self.state.scratch));
        match step {
            Step::Bytes(slot) => {
                self.state.bytes.clear();
                if BASE64.decode_vec(text, &mut self.state.bytes).is_err() {
                    let text = shown(text);
                    return Err(self.fail(&codes::BASE64, format!("`{text}`, base64 required")));
                }
                let set = self.columns.texts[*slot as usize].set(row, &self.state.bytes);
                set.map_err(|full| self.full(full))?;
            }
            Step::Date(slot) => match time::days(text) {
                Some(days) => self.columns.i32s[*slot as usize].set(row, days),
                None => return Err(misformed(&self.cursor, text, "a date as `2026-01-31`")),
            },
            Step::DateTime(slot) => match time::timestamp(text, self.truncate) {
                Ok(micros) => self.columns.i64s[*slot as usize].set(row, micros),
                Err(bad) => {
                    let required = "a date-time as `2026-01-31T13:45:00Z`";
                    return Err(no_time(&self.cursor, bad, text, required));
                }
            },
            Step::Time(slot) => match time::time_of_day(text, self.truncate) {
                Ok(micros) => self.columns.i64s[*slot as usize].set(row, micros),
                Err(bad) => return Err(no_time(&self.cursor, bad, text, "a time as `13:45:00Z`")),
            },
            Step::Uuid(slot) => {
                let uuid = Some(text).filter(|text| text.len() == 36);
                match uuid.and_then(|text| uuid::Uuid::try_parse_ascii(text).ok()) {
                    Some(uuid) => self.columns.fixed[*slot as usize].set(row, uuid.as_bytes()),
                    None => {
                        let required = "hexadecimal digits in groups of 8-4-4-4-12";
                        return Err(misformed(&self.cursor, text, required));
                    }
                }
            }
            // The others stand in `step` and `leaf`.
            _ => {}
        }
        Ok(())
    }

    /// A whole number in `least..=most`, however it is written.
    #[inline(never)]
    pub(super) fn integer(&mut self, first: u8, least: i128, most: i128) -> Read<i128> {
        if !matches!(first, b'-' | b'0'..=b'9') {
            return Err(self.wrong("an integer"));
        }
        let number = read!(self, self.cursor.number());
        number::whole(number.text, least, most).map_err(|misfit| {
            let required = match misfit {
                Misfit::Fine => "a whole number".to_owned(),
                Misfit::Large => format!("{least} to {most}"),
            };
            let text = shown(number.text.as_bytes());
            self.fail(&codes::NUMBER, format!("`{text}`, {required} required"))
        })
    }

    #[inline]
    pub(super) fn float(&mut self, first: u8) -> Read<f64> {
        match first {
            b'-' | b'0'..=b'9' => {
                let number = read!(self, self.cursor.number());
                match number::to_f64(number.text) {
                    Some(value) => Ok(value),
                    None => Err(self.far(number.text, "double precision")),
                }
            }
            b'"' => self.named_float(),
            _ => Err(self.wrong("a number")),
        }
    }

    #[cold]
    fn far(&self, text: &str, what: &str) -> Box<Failure> {
        let text = shown(text.as_bytes());
        self.fail(&codes::NUMBER, format!("`{text}`, a number of {what} required"))
    }

    /// What JSON has no number for, as Java's writers put it.
    #[cold]
    fn named_float(&mut self) -> Read<f64> {
        let start = self.cursor.at();
        let text = read!(self, self.cursor.string(&mut self.state.scratch));
        match text {
            b"NaN" => Ok(f64::NAN),
            b"Infinity" => Ok(f64::INFINITY),
            b"-Infinity" => Ok(f64::NEG_INFINITY),
            _ => {
                self.cursor.rewind(start);
                Err(self.wrong("a number"))
            }
        }
    }

    fn large(&mut self, large: &Large, first: u8, row: usize) -> Read<()> {
        let value = self.integer(first, large.least, large.most)?;
        match large.native {
            true => self.columns.u64s[large.slot as usize].set(row, value as u64),
            false => self.columns.i128s[large.slot as usize].set(row, value),
        }
        Ok(())
    }

    /// A number, or base64 of its unscaled value.
    fn decimal(&mut self, decimal: &Decimal, first: u8, row: usize) -> Read<()> {
        let slot = decimal.slot as usize;
        let scale = i64::from(decimal.scale.max(0));
        match first {
            b'-' | b'0'..=b'9' => {
                let number = read!(self, self.cursor.number());
                let put = match decimal.into {
                    DecimalInto::I128 => number::to_i128(number.text, decimal.precision, scale)
                        .map(|value| self.columns.i128s[slot].set(row, value)),
                    DecimalInto::I256 => number::to_i256(number.text, decimal.precision, scale)
                        .map(|value| self.columns.i256s[slot].set(row, value)),
                    DecimalInto::Text => {
                        let set = self.columns.texts[slot].set(row, number.text.as_bytes());
                        return set.map_err(|full| self.full(full));
                    }
                };
                put.map_err(|misfit| self.unfit(misfit, decimal, number.text.as_bytes()))
            }
            b'"' => {
                let text = read!(self, self.cursor.string(&mut self.state.scratch));
                self.state.bytes.clear();
                if BASE64.decode_vec(text, &mut self.state.bytes).is_err()
                    || self.state.bytes.is_empty()
                {
                    let text = shown(text);
                    let found = format!("`{text}`, a number or base64 of one required");
                    return Err(self.fail(&codes::BASE64, found));
                }
                self.unscaled(decimal, row)
            }
            _ => Err(self.wrong("a number")),
        }
    }

    /// The unscaled value that stands in the state's bytes.
    fn unscaled(&mut self, decimal: &Decimal, row: usize) -> Read<()> {
        let slot = decimal.slot as usize;
        // Digits that a scale below zero puts behind the value.
        let zeros = decimal.scale.min(0).unsigned_abs();
        let bytes = &self.state.bytes;
        let put = match decimal.into {
            DecimalInto::I128 => unscaled::to_i128(bytes, unscaled::bound_128(38))
                .and_then(|value| value.checked_mul(10i128.checked_pow(zeros)?))
                .filter(|v| v.unsigned_abs() < unscaled::bound_128(decimal.precision.into()))
                .map(|value| self.columns.i128s[slot].set(row, value)),
            DecimalInto::I256 => {
                use arrow::datatypes::i256;
                let bound = i256::from_i128(10).checked_pow(decimal.precision.into());
                unscaled::to_i256(bytes, 76)
                    .and_then(|v| v.checked_mul(i256::from_i128(10).checked_pow(zeros)?))
                    .filter(|v| bound.is_some_and(|b| *v < b && *v > b.wrapping_neg()))
                    .map(|value| self.columns.i256s[slot].set(row, value))
            }
            DecimalInto::Text => {
                self.state.scratch.clear();
                let places = decimal.scale.max(0) as usize;
                let digits = unscaled::TEXT_PRECISION_MAX;
                let made = unscaled::to_text(bytes, digits, places, &mut self.state.scratch);
                if made.is_some() {
                    let text = &mut self.state.scratch;
                    if text.as_slice() != b"0" {
                        text.resize(text.len() + zeros as usize, b'0');
                    }
                    let len = text.len();
                    self.meter.bytes(len).map_err(|reject| self.limit(&reject))?;
                    let set = self.columns.texts[slot].set(row, &self.state.scratch);
                    set.map_err(|full| self.full(full))?;
                }
                made
            }
        };
        put.ok_or_else(|| self.unfit(Misfit::Large, decimal, b"(base64)"))
    }

    #[cold]
    fn unfit(&self, misfit: Misfit, decimal: &Decimal, text: &[u8]) -> Box<Failure> {
        let text = shown(text);
        let required = match misfit {
            Misfit::Fine => format!("at most {} digits after the point", decimal.scale.max(0)),
            Misfit::Large => format!("at most {} digits", decimal.precision),
        };
        self.fail(&codes::DECIMAL, format!("`{text}`, {required} required"))
    }
}
