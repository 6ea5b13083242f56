//! Values of types without parts → JSON text, or nothing.

use std::io::Write;

use arrow::datatypes::TimeUnit;
use base64::Engine;

use super::cursor::{Bad, Cursor};
use super::decimal;
use super::shape::Shape;

/// Checks a value of a type without parts and moves past it.
pub(super) fn skip_leaf(shape: &Shape, cursor: &mut Cursor) -> Result<(), Bad> {
    match shape {
        Shape::Boolean => cursor.boolean().map(drop),
        Shape::Int | Shape::Date | Shape::TimeMillis => cursor.int().map(drop),
        Shape::Long | Shape::TimeMicros | Shape::Timestamp { .. } => cursor.long().map(drop),
        Shape::Float => cursor.array::<4>().map(drop),
        Shape::Double => cursor.array::<8>().map(drop),
        Shape::Bytes | Shape::Decimal { fixed: None, .. } => cursor.bytes().map(drop),
        Shape::String | Shape::Uuid { fixed: false } => cursor.string().map(drop),
        Shape::Fixed(n) | Shape::Decimal { fixed: Some(n), .. } => cursor.take(*n).map(drop),
        Shape::Uuid { fixed: true } => cursor.array::<16>().map(drop),
        Shape::Duration => cursor.array::<12>().map(drop),
        Shape::Enum(symbols) => cursor.symbol(symbols.len()).map(drop),
        Shape::Null | Shape::Array(_) | Shape::Map(_) | Shape::Record { .. } | Shape::Union(_) => {
            Ok(())
        }
    }
}

/// Appends a value of a type without parts as JSON text.
pub(super) fn write_leaf(shape: &Shape, cursor: &mut Cursor, out: &mut Vec<u8>) -> Result<(), Bad> {
    match shape {
        Shape::Boolean => write(out, format_args!("{}", cursor.boolean()?)),
        Shape::Int => write(out, format_args!("{}", cursor.int()?)),
        Shape::Long => write(out, format_args!("{}", cursor.long()?)),
        Shape::Float => {
            let value = f32::from_le_bytes(cursor.array()?);
            write_float(value.is_finite(), f64::from(value), format_args!("{value:?}"), out);
        }
        Shape::Double => {
            let value = f64::from_le_bytes(cursor.array()?);
            write_float(value.is_finite(), value, format_args!("{value:?}"), out);
        }
        Shape::Bytes => write_base64(cursor.bytes()?, out),
        Shape::Fixed(n) => write_base64(cursor.take(*n)?, out),
        Shape::String | Shape::Uuid { fixed: false } => write_text(cursor.string()?, out),
        Shape::Uuid { fixed: true } => {
            write(out, format_args!("\"{}\"", uuid::Uuid::from_bytes(cursor.array()?)));
        }
        Shape::Enum(symbols) => write_text(&symbols[cursor.symbol(symbols.len())?], out),
        Shape::Decimal { scale, fixed, .. } => {
            let bytes = match fixed {
                Some(n) => cursor.take(*n)?,
                None => cursor.bytes()?,
            };
            write_decimal(bytes, *scale, out);
        }
        Shape::Date => write_date(cursor.int()?, out),
        Shape::TimeMillis => {
            let millis = i64::from(cursor.int()?);
            write_time(millis, 1_000, 3, out);
        }
        Shape::TimeMicros => write_time(cursor.long()?, 1_000_000, 6, out),
        Shape::Timestamp { unit, utc } => write_timestamp(cursor.long()?, *unit, *utc, out),
        Shape::Duration => {
            let [months, days, millis] = duration(cursor.array()?);
            let text = format_args!(r#"{{"months":{months},"days":{days},"millis":{millis}}}"#);
            write(out, text);
        }
        Shape::Null | Shape::Array(_) | Shape::Map(_) | Shape::Record { .. } | Shape::Union(_) => {
            out.extend_from_slice(b"null");
        }
    }
    Ok(())
}

/// Months, days and milliseconds of a `duration`: three little-endian words.
pub(super) fn duration(bytes: [u8; 12]) -> [u32; 3] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l]].map(u32::from_le_bytes)
}

/// Writing to a vector cannot fail.
fn write(out: &mut Vec<u8>, text: std::fmt::Arguments) {
    let _ = out.write_fmt(text);
}

/// Appends text in quotes.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    // A string has no way to fail, and a vector neither.
    let _ = serde_json::to_writer(out, text);
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len() + 1;
    out.push(b'"');
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = base64::engine::general_purpose::STANDARD.encode_slice(bytes, &mut out[start..]);
    out.truncate(start + written.unwrap_or(0));
    out.push(b'"');
}

fn write_float(finite: bool, value: f64, text: std::fmt::Arguments, out: &mut Vec<u8>) {
    match value {
        _ if finite => write(out, text),
        _ if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
        _ if value > 0.0 => out.extend_from_slice(b"\"Infinity\""),
        _ => out.extend_from_slice(b"\"-Infinity\""),
    }
}

/// Every digit, more than the precision too: text can hold them. Past a thousand digits the bytes as base64.
fn write_decimal(bytes: &[u8], scale: usize, out: &mut Vec<u8>) {
    const MAX: usize = decimal::TEXT_PRECISION_MAX;
    out.push(b'"');
    if scale <= MAX && decimal::to_text(bytes, MAX, scale, out).is_some() {
        out.push(b'"');
    } else {
        out.pop();
        write_base64(bytes, out);
    }
}

fn write_date(days: i32, out: &mut Vec<u8>) {
    let midnight = jiff::Timestamp::from_second(i64::from(days) * 86_400);
    match midnight {
        Ok(time) => {
            write(out, format_args!("\"{}\"", jiff::tz::Offset::UTC.to_datetime(time).date()))
        }
        Err(_) => write(out, format_args!("{days}")),
    }
}

fn write_time(units: i64, per_second: i64, digits: usize, out: &mut Vec<u8>) {
    let (seconds, fraction) = (units.div_euclid(per_second), units.rem_euclid(per_second));
    if !(0..86_400).contains(&seconds) {
        return write(out, format_args!("{units}"));
    }
    let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    write(out, format_args!("\"{h:02}:{m:02}:{s:02}.{fraction:0digits$}\""));
}

fn write_timestamp(units: i64, unit: TimeUnit, utc: bool, out: &mut Vec<u8>) {
    let time = match unit {
        TimeUnit::Second => jiff::Timestamp::from_second(units),
        TimeUnit::Millisecond => jiff::Timestamp::from_millisecond(units),
        TimeUnit::Microsecond => jiff::Timestamp::from_microsecond(units),
        TimeUnit::Nanosecond => jiff::Timestamp::from_nanosecond(i128::from(units)),
    };
    match time {
        Ok(time) if utc => write(out, format_args!("\"{time}\"")),
        Ok(time) => write(out, format_args!("\"{}\"", jiff::tz::Offset::UTC.to_datetime(time))),
        Err(_) => write(out, format_args!("{units}")),
    }
}
