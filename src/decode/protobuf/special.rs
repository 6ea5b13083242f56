//! Messages that become one value: timestamps, durations, dates, times, decimals.
//!
//! Each starts from the value that its row already has: a message that comes in two parts is merged.

use arrow::datatypes::i256;

use super::plan::{DecimalType, Op};
use super::run::Run;
use super::wire::{self, Failure, Outcome};
use crate::config::TimestampUnit;
use crate::decode::codes;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, as `google.protobuf.Timestamp` bounds itself.
const SECONDS_MIN: i64 = -62_135_596_800;
const SECONDS_MAX: i64 = 253_402_300_799;
/// 10,000 years, as `google.protobuf.Duration` bounds itself.
const DURATION_SECONDS_MAX: i64 = 315_576_000_000;
const NANOS: i64 = 1_000_000_000;

#[cold]
#[inline(never)]
fn out_of_range(text: String) -> Box<Failure> {
    Failure::new(&codes::RANGE, text)
}

/// Reads a message whose fields 1 to `N` are varints, over the values it already has.
fn numbers<const N: usize>(
    run: &mut Run<'_>,
    mut buf: &[u8],
    mut values: [i64; N],
    depth: u32,
) -> Outcome<[i64; N]> {
    let depth = depth.checked_sub(1).ok_or_else(|| wire::too_deep(run.program.depth))?;
    while !buf.is_empty() {
        let tag = wire::tag(&mut buf)?;
        match (values.get_mut((tag >> 3).wrapping_sub(1) as usize), tag & 7) {
            (Some(value), wire::VARINT) => *value = wire::varint(&mut buf)? as i64,
            _ => run.count_unknown(&mut buf, tag, depth)?,
        }
    }
    Ok(values)
}

impl Run<'_> {
    pub(super) fn timestamp(
        &mut self,
        slot: usize,
        row: usize,
        body: &[u8],
        depth: u32,
    ) -> Outcome<()> {
        let before = self.unfinished(Moment::Timestamp, slot, row);
        let before = before.map(|[seconds, nanos, ..]| [seconds, nanos]);
        let before = before.unwrap_or_else(|| match self.columns.i64s[slot].get(row) {
            Some(before) => {
                let second = NANOS / nanos_in(self.program.unit);
                let nanos = before.rem_euclid(second) * nanos_in(self.program.unit);
                [before.div_euclid(second), nanos]
            }
            None => [0, 0],
        });
        let [seconds, nanos] = numbers(self, body, before, depth)?;
        let values = [seconds, i64::from(nanos as i32), 0, 0];
        match self.finish(Moment::Timestamp, slot, row, values) {
            Ok(()) => Ok(()),
            Err(failure) => self.put_off(failure, Moment::Timestamp, slot, row, values),
        }
    }

    pub(super) fn duration(
        &mut self,
        slot: usize,
        row: usize,
        body: &[u8],
        depth: u32,
    ) -> Outcome<()> {
        let before = self.unfinished(Moment::Duration, slot, row);
        let before = before.map(|[seconds, nanos, ..]| [seconds, nanos]);
        let before = before.unwrap_or_else(|| {
            let before = self.columns.i64s[slot].get(row).unwrap_or(0);
            [before / 1_000_000, before % 1_000_000 * 1_000]
        });
        let [seconds, nanos] = numbers(self, body, before, depth)?;
        let values = [seconds, i64::from(nanos as i32), 0, 0];
        self.finish(Moment::Duration, slot, row, values)
            .or_else(|failure| self.put_off(failure, Moment::Duration, slot, row, values))
    }

    pub(super) fn date(&mut self, slot: usize, row: usize, body: &[u8], depth: u32) -> Outcome<()> {
        let before = self.unfinished(Moment::Date, slot, row);
        let before = before.map(|[year, month, day, _]| [year, month, day]);
        let before = before
            .unwrap_or_else(|| self.columns.i32s[slot].get(row).map_or([0; 3], civil_from_days));
        let parts = numbers(self, body, before, depth)?;
        let [year, month, day] = parts.map(|part| i64::from(part as i32));
        let values = [year, month, day, 0];
        self.finish(Moment::Date, slot, row, values)
            .or_else(|failure| self.put_off(failure, Moment::Date, slot, row, values))
    }

    pub(super) fn time_of_day(
        &mut self,
        moment: Moment,
        slot: usize,
        row: usize,
        body: &[u8],
        depth: u32,
    ) -> Outcome<()> {
        let before = self.unfinished(moment, slot, row).unwrap_or_else(|| {
            let micros = match moment.is_short() {
                true => self.columns.i32s[slot].get(row).map(|millis| i64::from(millis) * 1_000),
                false => self.columns.i64s[slot].get(row),
            };
            let before = micros.unwrap_or(0);
            let (seconds, nanos) = (before / 1_000_000, before % 1_000_000 * 1_000);
            [seconds / 3_600, seconds / 60 % 60, seconds % 60, nanos]
        });
        let values = numbers(self, body, before, depth)?.map(|part| i64::from(part as i32));
        self.finish(moment, slot, row, values)
            .or_else(|failure| self.put_off(failure, moment, slot, row, values))
    }

    /// Writes a value whose parts are all here. Error: they make none.
    #[inline]
    pub(super) fn finish(
        &mut self,
        moment: Moment,
        slot: usize,
        row: usize,
        values: [i64; 4],
    ) -> Outcome<()> {
        let [a, b, c, d] = values;
        match moment {
            Moment::Timestamp => {
                check_timestamp(a, b)?;
                // With the divisor known, a division is none.
                let value = match self.program.unit {
                    TimestampUnit::Us => self.in_unit::<1_000>(a, b),
                    TimestampUnit::Ms => self.in_unit::<1_000_000>(a, b),
                    TimestampUnit::Ns => self.in_unit::<1>(a, b),
                };
                self.columns.i64s[slot].set(row, value?);
            }
            Moment::Duration => {
                check_duration(a, b)?;
                let micros = self.micros(b, "duration")?;
                self.columns.i64s[slot].set(row, a * 1_000_000 + micros);
            }
            Moment::Date => {
                let Some(days) = days_from_civil(a as i32, b as i32, c as i32) else {
                    return Err(out_of_range(format!(
                        "date `{a}-{b}-{c}`: a whole date from 1-1-1 to 9999-12-31 required"
                    )));
                };
                self.columns.i32s[slot].set(row, days);
            }
            Moment::TimeOfDay => {
                check_time_of_day([a, b, c, d])?;
                let micros = self.micros(d, "time of day")?;
                let seconds = a * 3_600 + b * 60 + c;
                self.columns.i64s[slot].set(row, seconds * 1_000_000 + micros);
            }
            Moment::TimeOfDayMillis => {
                check_time_of_day([a, b, c, d])?;
                if d % 1_000_000 != 0 && !self.program.truncate {
                    return Err(out_of_range(format!(
                        "time of day with `{d}` ns: whole milliseconds required by `dialect: confluent`; set `value.truncate_timestamps` to cut finer digits off"
                    )));
                }
                let millis = (a * 3_600 + b * 60 + c) * 1_000 + d / 1_000_000;
                self.columns.i32s[slot].set(row, millis as i32);
            }
        }
        self.forget_part(moment, slot, row);
        Ok(())
    }

    /// A timestamp in units of so many nanoseconds. `nanos` are not negative.
    #[inline(always)]
    fn in_unit<const UNIT: i64>(&self, seconds: i64, nanos: i64) -> Outcome<i64> {
        if nanos % UNIT != 0 && !self.program.truncate {
            return Err(out_of_range(format!(
                "timestamp with `{nanos}` ns: whole multiples of {UNIT} ns required; set `value.truncate_timestamps` to cut finer digits off"
            )));
        }
        let value = seconds.checked_mul(NANOS / UNIT).and_then(|s| s.checked_add(nanos / UNIT));
        value.ok_or_else(|| {
            out_of_range(format!(
                "timestamp of `{seconds}` s: years 1678 to 2261 required by `value.timestamps: ns`"
            ))
        })
    }

    fn micros(&self, nanos: i64, what: &str) -> Outcome<i64> {
        if nanos % 1_000 != 0 && !self.program.truncate {
            return Err(out_of_range(format!(
                "{what} with `{nanos}` ns: whole microseconds required; set `value.truncate_timestamps` to cut finer digits off"
            )));
        }
        Ok(nanos.div_euclid(1_000) + i64::from(nanos < 0 && nanos % 1_000 != 0))
    }

    pub(super) fn decimal(
        &mut self,
        op: &Op,
        row: usize,
        mut body: &[u8],
        depth: u32,
    ) -> Outcome<()> {
        let depth = depth.checked_sub(1).ok_or_else(|| wire::too_deep(self.program.depth))?;
        let mut unscaled: &[u8] = &[];
        let mut scale = 0i32;
        while !body.is_empty() {
            match wire::tag(&mut body)? {
                0x0a => unscaled = wire::delimited(&mut body)?,
                // The precision says nothing that the digits do not.
                0x10 => drop(wire::varint(&mut body)?),
                0x18 => scale = wire::varint(&mut body)? as i32,
                tag => self.count_unknown(&mut body, tag, depth)?,
            }
        }
        let value = big_endian(unscaled)?;
        let slot = op.slot as usize;
        match self.program.decimals[op.aux as usize] {
            DecimalType::Short(precision, to) => {
                let value = rescale(value, scale, i32::from(to), precision)?;
                let value = value.to_i128().unwrap_or_default();
                self.columns.i128s[slot].set(row, value);
            }
            DecimalType::Long(precision, to) => {
                let value = rescale(value, scale, i32::from(to), precision)?;
                self.columns.i256s[slot].set(row, value);
            }
            DecimalType::Text => {
                let text = plain_text(value, scale)?;
                self.columns.texts[slot].set(row, text.as_bytes())?;
            }
        }
        Ok(())
    }
}

fn nanos_in(unit: TimestampUnit) -> i64 {
    match unit {
        TimestampUnit::Ms => 1_000_000,
        TimestampUnit::Us => 1_000,
        TimestampUnit::Ns => 1,
    }
}

/// What a message of numbers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Timestamp,
    Duration,
    Date,
    TimeOfDay,
    TimeOfDayMillis,
}

impl Moment {
    /// Whether its column is of 32 bits.
    pub fn is_short(self) -> bool {
        match self {
            Moment::Date | Moment::TimeOfDayMillis => true,
            Moment::Timestamp | Moment::Duration | Moment::TimeOfDay => false,
        }
    }
}

fn check_time_of_day([hours, minutes, seconds, nanos]: [i64; 4]) -> Outcome<()> {
    let good = (0..24).contains(&hours)
        && (0..60).contains(&minutes)
        && (0..60).contains(&seconds)
        && (0..NANOS).contains(&nanos);
    if good {
        return Ok(());
    }
    Err(out_of_range(format!(
        "time of day `{hours}:{minutes}:{seconds}` and {nanos} ns: 0:0:0 to 23:59:59 and under 1000000000 ns required"
    )))
}

/// Refuses what `google.protobuf.Timestamp` does not allow.
pub fn check_timestamp(seconds: i64, nanos: i64) -> Outcome<()> {
    if (SECONDS_MIN..=SECONDS_MAX).contains(&seconds) && (0..NANOS).contains(&nanos) {
        return Ok(());
    }
    Err(out_of_range(format!(
        "timestamp of `{seconds}` s and `{nanos}` ns: years 1 to 9999 and 0 to 999999999 ns required"
    )))
}

/// Refuses what `google.protobuf.Duration` does not allow.
pub fn check_duration(seconds: i64, nanos: i64) -> Outcome<()> {
    let good = (-DURATION_SECONDS_MAX..=DURATION_SECONDS_MAX).contains(&seconds)
        && (-NANOS + 1..NANOS).contains(&nanos)
        && (seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0));
    if good {
        return Ok(());
    }
    Err(out_of_range(format!(
        "duration of `{seconds}` s and `{nanos}` ns: at most 315576000000 s, under 1000000000 ns and equal signs required"
    )))
}

/// Days since 1970 of a date of the Gregorian calendar; none if there is no such date in the years 1 to
/// 9999.
fn days_from_civil(year: i32, month: i32, day: i32) -> Option<i32> {
    let date = jiff::civil::Date::new(
        i16::try_from(year).ok().filter(|year| *year >= 1)?,
        i8::try_from(month).ok()?,
        i8::try_from(day).ok()?,
    );
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    epoch.until(date.ok()?).ok().map(|span| span.get_days())
}

fn civil_from_days(days: i32) -> [i64; 3] {
    let epoch = jiff::civil::Date::constant(1970, 1, 1);
    match epoch.checked_add(jiff::Span::new().days(days)) {
        Ok(date) => [i64::from(date.year()), i64::from(date.month()), i64::from(date.day())],
        Err(_) => [0; 3],
    }
}

/// A two's complement number, most significant byte first, as `BigInteger.toByteArray` writes it.
fn big_endian(bytes: &[u8]) -> Outcome<i256> {
    let Some(&first) = bytes.first() else {
        return Err(out_of_range("decimal of 0 bytes: at least 1 required".to_owned()));
    };
    let fill = if first >= 0x80 { 0xff } else { 0 };
    let extra = bytes.len().saturating_sub(32);
    let (head, tail) = bytes.split_at(extra);
    let sign_fits = tail.first().is_some_and(|byte| (byte ^ fill) < 0x80);
    if head.iter().any(|byte| *byte != fill) || !sign_fits {
        return Err(out_of_range(format!(
            "decimal of {} bytes: at most 32 bytes required",
            bytes.len()
        )));
    }
    let mut whole = [fill; 32];
    whole[32 - tail.len()..].copy_from_slice(tail);
    Ok(i256::from_be_bytes(whole))
}

/// `value` × 10^-`from` as a multiple of 10^-`to`, exactly, of at most `precision` digits.
fn rescale(value: i256, from: i32, to: i32, precision: u8) -> Outcome<i256> {
    let refuse = || {
        out_of_range(format!(
            "decimal `{value}` of scale {from}: at most {precision} digits of scale {to} required"
        ))
    };
    let shift = i64::from(to) - i64::from(from);
    let ten = i256::from_i128(10);
    let power =
        |n: i64| u32::try_from(n).ok().filter(|n| *n <= 76).and_then(|n| ten.checked_pow(n));
    let moved = match shift {
        _ if value == i256::ZERO => value,
        0.. => power(shift).and_then(|p| value.checked_mul(p)).ok_or_else(refuse)?,
        _ => {
            let divisor = power(-shift).ok_or_else(refuse)?;
            if value.wrapping_rem(divisor) != i256::ZERO {
                return Err(refuse());
            }
            value.wrapping_div(divisor)
        }
    };
    let bound = power(i64::from(precision)).ok_or_else(refuse)?;
    if moved >= bound || moved <= bound.wrapping_neg() {
        return Err(refuse());
    }
    Ok(moved)
}

/// Decimal text without exponent: `-12.30`.
fn plain_text(value: i256, scale: i32) -> Outcome<String> {
    const SCALE_MAX: usize = 76;
    let digits = value.to_string();
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits.as_str()),
    };
    let places = scale.unsigned_abs() as usize;
    if places > SCALE_MAX {
        return Err(out_of_range(format!("decimal of scale `{scale}`: -76 to 76 required")));
    }
    if scale <= 0 {
        let zeros = if digits == "0" { 0 } else { places };
        return Ok(format!("{sign}{digits}{}", "0".repeat(zeros)));
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, part) = padded.split_at(padded.len() - places);
    Ok(format!("{sign}{whole}.{part}"))
}

/// `number` as decimal digits behind `before`, in place of what `out` holds.
pub fn decimal_text(before: &str, number: i64, out: &mut Vec<u8>) {
    use std::io::Write;
    out.clear();
    out.extend_from_slice(before.as_bytes());
    // Writing to a vector does not fail.
    let _ = write!(out, "{number}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_there_are_and_are_not() {
        assert_eq!(days_from_civil(1970, 1, 1), Some(0));
        assert_eq!(days_from_civil(2024, 2, 29), Some(19_782));
        assert_eq!(days_from_civil(1, 1, 1), Some(-719_162));
        assert_eq!(days_from_civil(2023, 2, 29), None);
        assert_eq!(days_from_civil(2023, 2, 0), None);
        assert_eq!(days_from_civil(0, 1, 1), None);
        assert_eq!(civil_from_days(19_782), [2024, 2, 29]);
    }

    #[test]
    fn decimals_read_as_java_writes_them() {
        assert_eq!(big_endian(&[0xff]).unwrap(), i256::from_i128(-1));
        assert_eq!(big_endian(&[0x00, 0x80]).unwrap(), i256::from_i128(128));
        assert_eq!(
            big_endian(&[[0xff; 40].as_slice(), &[0x80]].concat()).unwrap(),
            i256::from_i128(-128)
        );
        assert!(big_endian(&[1; 33]).is_err());
        assert!(big_endian(&[]).is_err());
    }

    #[test]
    fn decimal_that_does_not_fit_its_column_is_refused() {
        let n = i256::from_i128;
        assert_eq!(rescale(n(1230), 3, 2, 5).unwrap(), n(123));
        assert_eq!(rescale(n(-5), 0, 2, 5).unwrap(), n(-500));
        assert!(rescale(n(1231), 3, 2, 5).is_err());
        assert!(rescale(n(100_000), 2, 2, 5).is_err());
        assert_eq!(rescale(n(0), i32::MAX, 2, 5).unwrap(), n(0));
        assert!(rescale(n(1), i32::MIN, 2, 5).is_err());
    }

    #[test]
    fn decimal_text_has_no_exponent() {
        let text = |v: i128, s| plain_text(i256::from_i128(v), s).unwrap();
        assert_eq!(text(-1230, 2), "-12.30");
        assert_eq!(text(5, 3), "0.005");
        assert_eq!(text(5, -3), "5000");
        assert_eq!(text(0, 0), "0");
    }
}
