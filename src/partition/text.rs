//! Canonical text of a value, by type: what Hive and Spark write into folder names.
//!
//! | type | text |
//! |---|---|
//! | string, enum | itself |
//! | boolean | `true` `false` |
//! | integers | decimal digits, `-` in front |
//! | float, double | Java's `Double.toString`: `1.5`, `-0.0`, `1.0E10`, `1.0E-7`, `NaN`, `Infinity` |
//! | decimal | plain digits, as many after the point as the scale: `1.50` |
//! | date | `2026-01-02` |
//! | timestamp | `2026-01-02 15:04:05.123456`, in UTC, fraction without trailing zeros |
//! | time of day | `15:04:05.123456`, the same |
//! | UUID | `f79c3e09-677c-4bbd-a479-3f349cb785e7` |
//! | other bytes | lower-case hex |

use std::fmt::Write;

use arrow::datatypes::TimeUnit;
use jiff::civil;

use super::calendar::civil_at;

/// How an `i64` that came from a column is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    Integer,
    Boolean,
    /// Days since 1970.
    Date,
    Timestamp(TimeUnit),
    /// Since midnight.
    Time(TimeUnit),
    /// Bits of an `f32`, an `f64`; every NaN is the same.
    Float,
    Double,
}

/// Units of this kind in a second.
pub fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Appends the text of `value`; false if it has none (a date beyond year 9999, a time beyond a day).
pub fn push_long(kind: Long, value: i64, out: &mut String) -> bool {
    match kind {
        Long::Integer => write!(out, "{value}").is_ok(),
        Long::Boolean => {
            out.push_str(if value == 0 { "false" } else { "true" });
            true
        }
        Long::Float => {
            let value = f32::from_bits(value as u32);
            push_float(
                f64::from(value),
                &scientific(&format!("{value:e}"), || format!("{value:.1e}")),
                out,
            );
            true
        }
        Long::Double => {
            let value = f64::from_bits(value as u64);
            push_float(value, &scientific(&format!("{value:e}"), || format!("{value:.1e}")), out);
            true
        }
        Long::Date => written_at(value.saturating_mul(86_400)).is_some_and(|at| {
            push_date(at.date(), out);
            true
        }),
        Long::Timestamp(unit) => {
            let per = per_second(unit);
            let Some(at) = written_at(value.div_euclid(per)) else { return false };
            push_date(at.date(), out);
            out.push(' ');
            push_time(at.time(), value.rem_euclid(per), per, out);
            true
        }
        Long::Time(unit) => {
            let per = per_second(unit);
            if !(0..86_400).contains(&value.div_euclid(per)) {
                return false;
            }
            let Some(at) = written_at(value.div_euclid(per)) else { return false };
            push_time(at.time(), value.rem_euclid(per), per, out);
            true
        }
    }
}

/// A time whose year has four digits.
fn written_at(second: i64) -> Option<civil::DateTime> {
    civil_at(second).filter(|at| (0..=9999).contains(&at.year()))
}

fn push_date(date: civil::Date, out: &mut String) {
    let _ = write!(out, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
}

fn push_time(time: civil::Time, fraction: i64, per: i64, out: &mut String) {
    let _ = write!(out, "{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    if fraction != 0 {
        let digits = per.ilog10() as usize;
        let _ = write!(out, ".{fraction:0digits$}");
        out.truncate(out.trim_end_matches('0').len());
    }
}

/// The shortest digits that read back, but two at least: where one would do, Java takes the nearest two
/// (4.9E-324, not 5E-324).
fn scientific(shortest: &str, two: impl Fn() -> String) -> String {
    if shortest.contains('.') { shortest.to_owned() } else { two() }
}

/// `scientific` is Rust's shortest form, `1.5e10`; Java writes the same digits in another dress.
fn push_float(value: f64, scientific: &str, out: &mut String) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if value == 0.0 {
        return out.push_str(if value.is_sign_negative() { "-0.0" } else { "0.0" });
    }
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.trim_start_matches('-').replace('.', "");
    let digits = match digits.trim_end_matches('0') {
        "" => "0",
        digits => digits,
    };
    if value < 0.0 {
        out.push('-');
    }
    if !(-3..7).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        let _ = write!(out, "{first}.{rest}E{exponent}");
    } else if exponent < 0 {
        let zeros = (-exponent - 1) as usize;
        let _ = write!(out, "0.{:0<zeros$}{digits}", "");
    } else {
        let whole = exponent as usize + 1;
        let (left, right) = digits.split_at(whole.min(digits.len()));
        let right = if right.is_empty() { "0" } else { right };
        let _ = write!(out, "{left:0<whole$}.{right}");
    }
}

/// Lower-case hex of `bytes`.
pub fn push_hex(bytes: &[u8], out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)] as char);
        out.push(HEX[usize::from(byte & 15)] as char);
    }
}

/// Text of sixteen bytes as a UUID, of any others as hex.
pub fn push_bytes(bytes: &[u8], uuid: bool, out: &mut String) {
    match <[u8; 16]>::try_from(bytes) {
        Ok(bytes) if uuid => {
            let _ = write!(out, "{}", uuid::Uuid::from_bytes(bytes));
        }
        _ => push_hex(bytes, out),
    }
}

/// A value as a message quotes it: at most 64 bytes.
pub fn quoted(text: &str) -> &str {
    &text[..text.floor_char_boundary(64)]
}
