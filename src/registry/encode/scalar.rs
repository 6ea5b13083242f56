//! Scalars, logical types and the binary form of Avro.

use apache_avro::schema::{DecimalSchema, FixedSchema, InnerDecimalSchema, Schema, UuidSchema};
use serde_json::Value;

use crate::error::Fault;

use super::{Path, decimal};

pub(super) fn write_scalar(
    schema: &Schema,
    value: &Value,
    path: Path<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    match schema {
        Schema::Null if value.is_null() => {}
        Schema::Null => return Err(expected("null", value, path)),
        Schema::Boolean => {
            let yes = value.as_bool().ok_or_else(|| expected("true or false", value, path))?;
            out.push(u8::from(yes));
        }
        Schema::Int => int(whole(value, path)?, path, out)?,
        Schema::Long => long(whole(value, path)?, out),
        Schema::Float => out.extend_from_slice(&(float(value, path)? as f32).to_le_bytes()),
        Schema::Double => out.extend_from_slice(&float(value, path)?.to_le_bytes()),
        Schema::String => prefixed(string(value, path)?.as_bytes(), out),
        Schema::Bytes => prefixed(&latin1(value, path)?, out),
        Schema::Fixed(fixed) => out.extend_from_slice(&sized(latin1(value, path)?, fixed, path)?),
        Schema::Decimal(decimal) => write_decimal(decimal, value, path, out)?,
        Schema::BigDecimal => {
            let number = number(value, path)?;
            let mut inner = Vec::new();
            prefixed(&number.to_bytes(), &mut inner);
            long(number.scale, &mut inner);
            prefixed(&inner, out);
        }
        Schema::Uuid(form) => {
            let text = string(value, path)?;
            let uuid = uuid::Uuid::parse_str(text).map_err(|_| expected("a UUID", value, path))?;
            match form {
                UuidSchema::String => prefixed(text.as_bytes(), out),
                UuidSchema::Bytes => prefixed(uuid.as_bytes(), out),
                UuidSchema::Fixed(fixed) => {
                    out.extend_from_slice(&sized(uuid.as_bytes().to_vec(), fixed, path)?);
                }
            }
        }
        Schema::Duration(_) => {
            for part in ["months", "days", "millis"] {
                let amount = value.get(part).and_then(Value::as_u64);
                let amount = amount
                    .and_then(|a| u32::try_from(a).ok())
                    .ok_or_else(|| expected("an object of months, days and millis", value, path))?;
                out.extend_from_slice(&amount.to_le_bytes());
            }
        }
        Schema::Date | Schema::TimeMillis => int(moment(schema, value, path)?, path, out)?,
        _ => long(moment(schema, value, path)?, out),
    }
    Ok(())
}

fn write_decimal(
    schema: &DecimalSchema,
    value: &Value,
    path: Path<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let (precision, scale) = (schema.precision, schema.scale);
    let fits = number(value, path)?
        .at_scale(i64::try_from(scale).unwrap_or(i64::MAX))
        .filter(|number| number.digits.len() <= precision);
    let bytes = fits
        .ok_or_else(|| {
            let found = format!("a decimal of precision {precision} and scale {scale}");
            expected(&found, value, path)
        })?
        .to_bytes();
    match &schema.inner {
        InnerDecimalSchema::Bytes => prefixed(&bytes, out),
        InnerDecimalSchema::Fixed(fixed) => {
            let wide = decimal::widen(&bytes, fixed.size).ok_or_else(|| {
                expected(&format!("a decimal of {} bytes", fixed.size), value, path)
            })?;
            out.extend_from_slice(&wide);
        }
    }
    Ok(())
}

/// A date or time as its number: given so, or as text.
fn moment(schema: &Schema, value: &Value, path: Path<'_>) -> Result<i64, Fault> {
    let Value::String(text) = value else { return whole(value, path) };
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let parsed = match schema {
        Schema::Date => text.parse::<jiff::civil::Date>().ok().and_then(days),
        Schema::TimeMillis => time_of_day(text).map(|nanos| nanos / 1_000_000),
        Schema::TimeMicros => time_of_day(text).map(|nanos| nanos / 1_000),
        _ => instant(schema, text),
    };
    parsed.ok_or_else(|| expected("a date or time as a number or in ISO 8601", value, path))
}

fn instant(schema: &Schema, text: &str) -> Option<i64> {
    let local = |text: &str| -> Option<jiff::Timestamp> {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    match schema {
        Schema::TimestampMillis => Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()),
        Schema::TimestampMicros => Some(text.parse::<jiff::Timestamp>().ok()?.as_microsecond()),
        Schema::TimestampNanos => {
            i64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_nanosecond()).ok()
        }
        Schema::LocalTimestampMillis => Some(local(text)?.as_millisecond()),
        Schema::LocalTimestampMicros => Some(local(text)?.as_microsecond()),
        Schema::LocalTimestampNanos => i64::try_from(local(text)?.as_nanosecond()).ok(),
        _ => None,
    }
}

fn days(date: jiff::civil::Date) -> Option<i64> {
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second().div_euclid(86_400))
}

fn time_of_day(text: &str) -> Option<i64> {
    let time: jiff::civil::Time = text.parse().ok()?;
    let seconds =
        i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
    Some(seconds * 1_000_000_000 + i64::from(time.subsec_nanosecond()))
}

// -- JSON side --

pub(super) fn expected(required: &str, value: &Value, path: Path<'_>) -> Fault {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => format!("`{other}`"),
    };
    path.fault(format_args!("{found}, {required} required"))
}

pub(super) fn string<'v>(value: &'v Value, path: Path<'_>) -> Result<&'v str, Fault> {
    value.as_str().ok_or_else(|| expected("a string", value, path))
}

fn whole(value: &Value, path: Path<'_>) -> Result<i64, Fault> {
    let found = match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            // 1.0 and 1e3 are whole numbers too; beyond 2^53 a float does not say which.
            let float = number.as_f64()?;
            (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64)
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    found.ok_or_else(|| expected("a whole number of 64 bits", value, path))
}

fn float(value: &Value, path: Path<'_>) -> Result<f64, Fault> {
    let found = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    };
    found.ok_or_else(|| expected("a number", value, path))
}

fn number(value: &Value, path: Path<'_>) -> Result<decimal::Unscaled, Fault> {
    let text = match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    text.and_then(|text| decimal::parse(&text))
        .ok_or_else(|| expected("a decimal number", value, path))
}

pub(super) fn latin1(value: &Value, path: Path<'_>) -> Result<Vec<u8>, Fault> {
    string(value, path)?
        .chars()
        .map(|c| u8::try_from(u32::from(c)).ok())
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(|| path.fault("a character above U+00FF, one character a byte required"))
}

fn sized(bytes: Vec<u8>, fixed: &FixedSchema, path: Path<'_>) -> Result<Vec<u8>, Fault> {
    if bytes.len() == fixed.size {
        return Ok(bytes);
    }
    let (found, size) = (bytes.len(), fixed.size);
    Err(path.fault(format_args!("{found} bytes, {size} required by `{}`", fixed.name)))
}

// -- binary side --

fn int(value: i64, path: Path<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    i32::try_from(value).map_err(|_| path.fault(format_args!("`{value}`, 32 bits required")))?;
    long(value, out);
    Ok(())
}

/// Zigzag, then seven bits a byte.
pub(super) fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub(super) fn prefixed(bytes: &[u8], out: &mut Vec<u8>) {
    long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// One block of items, and the empty one that ends the list.
pub(super) fn blocks(
    count: usize,
    out: &mut Vec<u8>,
    items: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if count > 0 {
        long(count as i64, out);
        items(out)?;
    }
    out.push(0);
    Ok(())
}
