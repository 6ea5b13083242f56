//! Avro datums of a schema.
#![allow(deprecated)] // the short way through apache-avro

use apache_avro::types::Value;
use apache_avro::{Days, Decimal, Duration, Millis, Months, Schema, to_avro_datum};
use arrow::datatypes::i256;

use super::{DEPTH, Turn};
use crate::cli::evolve::form::Avro;

pub fn body(form: &Avro, turn: &mut Turn<'_>) -> Result<Vec<u8>, String> {
    let value = value(form, &form.schema, turn, DEPTH + 2)?;
    to_avro_datum(&form.schema, value).map_err(|e| e.to_string())
}

/// A value; recursive ones end when `depth` runs out, if a null or an empty list lets them.
fn value(form: &Avro, schema: &Schema, turn: &mut Turn<'_>, depth: u32) -> Result<Value, String> {
    let below = depth.saturating_sub(1);
    Ok(match form.resolve(schema) {
        Schema::Array(a) => {
            let count = if depth == 0 { 0 } else { turn.count() };
            let items = (0..count).map(|_| value(form, &a.items, turn, below));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Schema::Map(m) => {
            let count = if depth == 0 { 0 } else { turn.count() };
            let mut entries = std::collections::HashMap::new();
            for at in 0..count {
                let key = if at == 0 { turn.text().to_owned() } else { format!("k{at}") };
                entries.insert(key, value(form, &m.types, turn, below)?);
            }
            Value::Map(entries)
        }
        Schema::Union(union) => {
            let variants = union.variants();
            let null = variants.iter().position(|v| matches!(v, Schema::Null));
            let at = match null {
                Some(null) if depth == 0 => null,
                _ => turn.choice(variants.len()),
            };
            let branch = variants.get(at).ok_or("a union without branches")?;
            Value::Union(at as u32, Box::new(value(form, branch, turn, below)?))
        }
        Schema::Record(record) => {
            let field = |f: &apache_avro::schema::RecordField| {
                Ok((f.name.clone(), value(form, &f.schema, turn, below)?))
            };
            Value::Record(record.fields.iter().map(field).collect::<Result<_, String>>()?)
        }
        leaf => self::leaf(leaf, turn)?,
    })
}

fn leaf(schema: &Schema, turn: &mut Turn<'_>) -> Result<Value, String> {
    Ok(match schema {
        Schema::Null => Value::Null,
        Schema::Boolean => Value::Boolean(turn.choice(2) == 1),
        Schema::Int => Value::Int(turn.int()),
        Schema::Long => Value::Long(turn.long()),
        Schema::Float => Value::Float(turn.float()),
        Schema::Double => Value::Double(turn.double()),
        Schema::Bytes => Value::Bytes(turn.any_bytes()),
        Schema::String => Value::String(turn.text().to_owned()),
        Schema::Fixed(f) => Value::Fixed(f.size, turn.bytes(f.size)),
        Schema::Enum(e) => {
            let at = turn.choice(e.symbols.len());
            Value::Enum(at as u32, e.symbols.get(at).cloned().unwrap_or_default())
        }
        Schema::Date => Value::Date(turn.int()),
        Schema::TimeMillis => {
            Value::TimeMillis(turn.pick(&[0, 1, 86_399_999, 43_200_000]).unwrap_or_default())
        }
        Schema::TimeMicros => {
            Value::TimeMicros(turn.pick(&[0, 1, 86_399_999_999]).unwrap_or_default())
        }
        Schema::TimestampMillis => Value::TimestampMillis(turn.long()),
        Schema::TimestampMicros => Value::TimestampMicros(turn.long()),
        Schema::TimestampNanos => Value::TimestampNanos(turn.long()),
        Schema::LocalTimestampMillis => Value::LocalTimestampMillis(turn.long()),
        Schema::LocalTimestampMicros => Value::LocalTimestampMicros(turn.long()),
        Schema::LocalTimestampNanos => Value::LocalTimestampNanos(turn.long()),
        Schema::Uuid(_) => {
            let (a, b) = (turn.random.next_u64(), turn.random.next_u64());
            Value::Uuid(apache_avro::Uuid::from_u64_pair(a, b))
        }
        Schema::Duration(_) => Value::Duration(Duration::new(
            Months::new(turn.int() as u32),
            Days::new(turn.int() as u32),
            Millis::new(turn.int() as u32),
        )),
        Schema::Decimal(d) => Value::Decimal(decimal(turn, d.precision)),
        other => return Err(format!("type {other:?}: no values are made for it")),
    })
}

/// A number of at most `precision` digits, and often of exactly that many nines.
fn decimal(turn: &mut Turn<'_>, precision: usize) -> Decimal {
    let precision = precision.clamp(1, 76);
    let digits = match turn.choice(3) {
        0 => precision,
        1 => 1,
        _ => 1 + turn.random.below(precision as u64) as usize,
    };
    let nines = turn.random.one_in(3);
    let mut number = i256::ZERO;
    for _ in 0..digits {
        let digit = if nines { 9 } else { turn.random.below(10) };
        number =
            number.wrapping_mul(i256::from_i128(10)).wrapping_add(i256::from_i128(digit.into()));
    }
    if turn.random.one_in(2) {
        number = number.wrapping_neg();
    }
    let bytes = number.to_be_bytes();
    let fill = if number.is_negative() { 0xff } else { 0 };
    let mut start = bytes.iter().take_while(|b| **b == fill).count().min(31);
    if bytes.get(start).is_some_and(|b| (*b > 127) != number.is_negative()) {
        start = start.saturating_sub(1);
    }
    Decimal::from(bytes.get(start..).unwrap_or_default())
}
