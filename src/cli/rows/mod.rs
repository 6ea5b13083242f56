//! Rows as JSON, one object a row: the one form that every command shows.
//!
//! Owns: how each column type is written.
//! Bounded by: the row; nothing is kept from row to row.
//!
//! | column | JSON |
//! |---|---|
//! | integers, also of 64 bits | number, every digit |
//! | decimals | string, every digit and the scale (`"12.50"`): most readers of JSON make floats of such numbers |
//! | floats | shortest number that gives the same float; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | text, also JSON text | string |
//! | bytes, fixed bytes | string, base64 with padding |
//! | uuid | string, 8-4-4-4-12 |
//! | date, time of day | string, `2026-01-02`, `15:04:05.250` |
//! | timestamp in UTC | string, RFC 3339: `2026-01-02T15:04:05.250Z`; without zone the same without `Z` |
//! | list, struct, map | array, object, object (keys as text) |
//! | null | `null`, never left out |
//!
//! Seconds have 0, 3, 6 or 9 decimals, as few as hold the value. Years outside 0000 to 9999 have a sign, as
//! ISO 8601 expands them.

mod time;

use std::io::Write as _;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// Writes one value, or `null`.
type Write<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// The rows of one batch, ready to be written.
pub struct Rows<'a> {
    object: Write<'a>,
}

impl<'a> Rows<'a> {
    pub fn new(batch: &'a RecordBatch) -> Self {
        let schema = batch.schema_ref();
        let columns = schema.fields().iter().zip(batch.columns());
        Self { object: object(columns.map(|(field, column)| (field.as_ref(), column.as_ref()))) }
    }

    /// Appends the row as one JSON object without line ends. Panics past the last row, as slices do.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        (self.object)(row, out);
    }
}

/// A JSON object for each row.
pub fn json(batch: &RecordBatch) -> Vec<String> {
    let rows = Rows::new(batch);
    let one = |row| {
        let mut out = Vec::new();
        rows.write(row, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    (0..batch.num_rows()).map(one).collect()
}

/// `text` as a JSON string.
pub fn quote(text: &str, out: &mut Vec<u8>) {
    // A vector takes everything.
    let _ = serde_json::to_writer(out, text);
}

fn object<'a>(members: impl Iterator<Item = (&'a Field, &'a dyn Array)>) -> Write<'a> {
    let members: Vec<(Vec<u8>, Write<'a>)> = members
        .map(|(field, column)| {
            let mut name = Vec::new();
            quote(field.name(), &mut name);
            name.push(b':');
            (name, value(field, column))
        })
        .collect();
    Box::new(move |row, out| {
        out.push(b'{');
        for (i, (name, write)) in members.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            write(row, out);
        }
        out.push(b'}');
    })
}

/// How the values of one column are written, nulls too.
fn value<'a>(field: &Field, array: &'a dyn Array) -> Write<'a> {
    let write = present(field, array);
    match array.logical_nulls() {
        None => write,
        Some(nulls) => Box::new(move |row, out| {
            if nulls.is_null(row) { out.extend_from_slice(b"null") } else { write(row, out) }
        }),
    }
}

macro_rules! shown {
    ($array:expr, $type:ty) => {{
        let array = $array.as_primitive::<$type>();
        Box::new(move |row, out| show(array.value(row), out))
    }};
}

/// How the values that are not null are written.
fn present<'a>(field: &Field, array: &'a dyn Array) -> Write<'a> {
    use DataType as D;
    match array.data_type() {
        D::Boolean => {
            let array = array.as_boolean();
            Box::new(move |row, out| show(array.value(row), out))
        }
        D::Int8 => shown!(array, Int8Type),
        D::Int16 => shown!(array, Int16Type),
        D::Int32 => shown!(array, Int32Type),
        D::Int64 => shown!(array, Int64Type),
        D::UInt8 => shown!(array, UInt8Type),
        D::UInt16 => shown!(array, UInt16Type),
        D::UInt32 => shown!(array, UInt32Type),
        D::UInt64 => shown!(array, UInt64Type),
        D::Float16 => {
            let array = array.as_primitive::<Float16Type>();
            Box::new(move |row, out| {
                let value = array.value(row).to_f32();
                float(f64::from(value), &value, out)
            })
        }
        D::Float32 => {
            let array = array.as_primitive::<Float32Type>();
            Box::new(move |row, out| float(f64::from(array.value(row)), &array.value(row), out))
        }
        D::Float64 => {
            let array = array.as_primitive::<Float64Type>();
            Box::new(move |row, out| float(array.value(row), &array.value(row), out))
        }
        D::Decimal128(..) => {
            let array = array.as_primitive::<Decimal128Type>();
            Box::new(move |row, out| quoted(array.value_as_string(row), out))
        }
        D::Decimal256(..) => {
            let array = array.as_primitive::<Decimal256Type>();
            Box::new(move |row, out| quoted(array.value_as_string(row), out))
        }
        D::Utf8 | D::LargeUtf8 | D::Utf8View => text(array),
        D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_) => bytes(field, array),
        D::Date32 => {
            let array = array.as_primitive::<Date32Type>();
            Box::new(move |row, out| quoted(time::date(i64::from(array.value(row))), out))
        }
        D::Time32(_) | D::Time64(_) => time_of_day(array),
        D::Timestamp(unit, zone) => timestamp(*unit, zone.is_some(), array),
        D::List(_) | D::LargeList(_) | D::FixedSizeList(..) | D::Map(..) | D::Dictionary(..) => {
            nested(field, array)
        }
        D::Struct(fields) => {
            let columns = array.as_struct().columns();
            let fields = fields.iter().zip(columns);
            object(fields.map(|(field, column)| (field.as_ref(), column.as_ref())))
        }
        _ => other(array),
    }
}

fn nested<'a>(field: &Field, array: &'a dyn Array) -> Write<'a> {
    match array.data_type() {
        DataType::List(element) => {
            let list = array.as_list::<i32>();
            let item = value(element, list.values().as_ref());
            let range = |row: usize| (list.value_offsets()[row], list.value_offsets()[row + 1]);
            Box::new(move |row, out| {
                items(range(row).0 as usize, range(row).1 as usize, &item, out)
            })
        }
        DataType::LargeList(element) => {
            let list = array.as_list::<i64>();
            let item = value(element, list.values().as_ref());
            let range = |row: usize| (list.value_offsets()[row], list.value_offsets()[row + 1]);
            Box::new(move |row, out| {
                items(range(row).0 as usize, range(row).1 as usize, &item, out)
            })
        }
        DataType::FixedSizeList(element, length) => {
            let item = value(element, array.as_fixed_size_list().values().as_ref());
            let length = *length as usize;
            Box::new(move |row, out| items(row * length, (row + 1) * length, &item, out))
        }
        DataType::Map(entries, _) => map(entries, array),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.normalized_keys();
            let write = value(field, dictionary.values().as_ref());
            Box::new(move |row, out| write(keys[row], out))
        }
        _ => other(array),
    }
}

fn items(from: usize, to: usize, item: &Write<'_>, out: &mut Vec<u8>) {
    out.push(b'[');
    for i in from..to {
        if i > from {
            out.push(b',');
        }
        item(i, out);
    }
    out.push(b']');
}

fn map<'a>(entries: &Field, array: &'a dyn Array) -> Write<'a> {
    let map = array.as_map();
    let (DataType::Struct(pair), [keys, values]) = (entries.data_type(), map.entries().columns())
    else {
        return other(array);
    };
    let (key, write) = (value(&pair[0], keys.as_ref()), value(&pair[1], values.as_ref()));
    Box::new(move |row, out| {
        out.push(b'{');
        let (from, to) = (map.value_offsets()[row] as usize, map.value_offsets()[row + 1] as usize);
        for i in from..to {
            if i > from {
                out.push(b',');
            }
            // Keys that are no text (numbers, booleans) become one.
            let at = out.len();
            key(i, out);
            if out.get(at) != Some(&b'"') {
                out.insert(at, b'"');
                out.push(b'"');
            }
            out.push(b':');
            write(i, out);
        }
        out.push(b'}');
    })
}

fn show(value: impl std::fmt::Display, out: &mut Vec<u8>) {
    let _ = write!(out, "{value}");
}

/// Text that needs no escaping.
fn quoted(text: impl std::fmt::Display, out: &mut Vec<u8>) {
    let _ = write!(out, "\"{text}\"");
}

/// `shown` is the value in its own width: the fewest digits that give it back.
fn float(value: f64, shown: &dyn std::fmt::Debug, out: &mut Vec<u8>) {
    if value.is_finite() {
        let _ = write!(out, "{shown:?}");
    } else if value.is_nan() {
        quoted("NaN", out);
    } else {
        quoted(if value > 0.0 { "Infinity" } else { "-Infinity" }, out);
    }
}

fn text<'a>(array: &'a dyn Array) -> Write<'a> {
    if let Some(array) = array.as_string_opt::<i32>() {
        Box::new(move |row, out| quote(array.value(row), out))
    } else if let Some(array) = array.as_string_opt::<i64>() {
        Box::new(move |row, out| quote(array.value(row), out))
    } else {
        let array = array.as_string_view();
        Box::new(move |row, out| quote(array.value(row), out))
    }
}

fn bytes<'a>(field: &Field, array: &'a dyn Array) -> Write<'a> {
    let base64 = |bytes: &[u8], out: &mut Vec<u8>| quoted(BASE64_STANDARD.encode(bytes), out);
    if let Some(array) = array.as_binary_opt::<i32>() {
        Box::new(move |row, out| base64(array.value(row), out))
    } else if let Some(array) = array.as_binary_opt::<i64>() {
        Box::new(move |row, out| base64(array.value(row), out))
    } else if let Some(array) = array.as_fixed_size_binary_opt() {
        let is_uuid = field.extension_type_name() == Some("arrow.uuid");
        Box::new(move |row, out| match uuid::Uuid::from_slice(array.value(row)) {
            Ok(uuid) if is_uuid => quoted(uuid, out),
            _ => base64(array.value(row), out),
        })
    } else {
        let array = array.as_binary_view();
        Box::new(move |row, out| base64(array.value(row), out))
    }
}

fn time_of_day<'a>(array: &'a dyn Array) -> Write<'a> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    macro_rules! clock {
        ($type:ty, $unit:expr) => {{
            let array = array.as_primitive::<$type>();
            Box::new(move |row, out| quoted(time::clock(i64::from(array.value(row)), $unit), out))
        }};
    }
    match array.data_type() {
        DataType::Time32(Second) => clock!(Time32SecondType, Second),
        DataType::Time32(_) => clock!(Time32MillisecondType, Millisecond),
        DataType::Time64(Nanosecond) => clock!(Time64NanosecondType, Nanosecond),
        _ => clock!(Time64MicrosecondType, Microsecond),
    }
}

fn timestamp<'a>(unit: TimeUnit, utc: bool, array: &'a dyn Array) -> Write<'a> {
    macro_rules! instant {
        ($type:ty) => {{
            let array = array.as_primitive::<$type>();
            Box::new(move |row, out| quoted(time::instant(array.value(row), unit, utc), out))
        }};
    }
    match unit {
        TimeUnit::Second => instant!(TimestampSecondType),
        TimeUnit::Millisecond => instant!(TimestampMillisecondType),
        TimeUnit::Microsecond => instant!(TimestampMicrosecondType),
        TimeUnit::Nanosecond => instant!(TimestampNanosecondType),
    }
}

/// What no plan gives: as arrow shows it.
fn other<'a>(array: &'a dyn Array) -> Write<'a> {
    static OPTIONS: FormatOptions<'static> = FormatOptions::new();
    match ArrayFormatter::try_new(array, &OPTIONS) {
        Ok(shown) => Box::new(move |row, out| quote(&shown.value(row).to_string(), out)),
        Err(_) => Box::new(|_, out| out.extend_from_slice(b"null")),
    }
}

#[cfg(test)]
mod tests;
