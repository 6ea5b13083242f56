//! Single values beside the cells of a column, whichever of the types that may hold them it has.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_array};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type,
    Int32Type, Int64Type, Schema, Time32MillisecondType, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt32Type, UInt64Type,
};

use super::{Path, Same};
use crate::cli::rows;
use serde_json::{Value, json};

/// A value without parts.
#[derive(Debug, Clone, Copy)]
pub enum Leaf<'a> {
    Bool(bool),
    Int(i128),
    Double(f64),
    Single(f32),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// A decimal, as text.
    Decimal(&'a str),
    Uuid(uuid::Uuid),
    Days(i64),
    /// Since midnight, in `unit` nanoseconds.
    Clock {
        value: i64,
        unit: i64,
    },
    /// Since 1970, in nanoseconds.
    Instant(i128),
}

impl std::fmt::Display for Leaf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Leaf::Bool(value) => write!(f, "{value}"),
            Leaf::Int(value) => write!(f, "{value}"),
            Leaf::Double(value) => write!(f, "{value:?}"),
            Leaf::Single(value) => write!(f, "{value:?}"),
            Leaf::Text(value) => write!(f, "{value:?}"),
            Leaf::Bytes(value) => write!(f, "{} bytes {value:02x?}", value.len()),
            Leaf::Decimal(value) => f.write_str(value),
            Leaf::Uuid(value) => write!(f, "{value}"),
            Leaf::Days(value) => write!(f, "day {value}"),
            Leaf::Clock { value, unit } => write!(f, "{value} times {unit} ns since midnight"),
            Leaf::Instant(value) => write!(f, "{value} ns since 1970"),
        }
    }
}

impl Leaf<'_> {
    /// What it is, for who reads notes.
    fn kind(&self) -> &'static str {
        match self {
            Leaf::Bool(_) => "bool",
            Leaf::Int(_) => "int",
            Leaf::Double(_) | Leaf::Single(_) => "float",
            Leaf::Text(_) => "text",
            Leaf::Bytes(_) => "bytes",
            Leaf::Decimal(_) => "decimal",
            Leaf::Uuid(_) => "uuid",
            Leaf::Days(_) => "days",
            Leaf::Clock { .. } => "clock",
            Leaf::Instant(_) => "instant",
        }
    }

    /// Without loss: whole numbers as digits, floats as the bits of a double, bytes as hex digits, instants in
    /// nanoseconds, times of day as a number and its unit in nanoseconds.
    fn json(&self) -> Value {
        match self {
            Leaf::Bool(value) => json!(value),
            Leaf::Int(value) => json!(value.to_string()),
            Leaf::Double(value) => bits(*value),
            Leaf::Single(value) => bits(f64::from(*value)),
            Leaf::Text(value) | Leaf::Decimal(value) => json!(value),
            Leaf::Bytes(value) => {
                json!(value.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
            Leaf::Uuid(value) => json!(value.to_string()),
            Leaf::Days(value) => json!(value.to_string()),
            Leaf::Clock { value, unit } => json!([value.to_string(), unit.to_string()]),
            Leaf::Instant(value) => json!(value.to_string()),
        }
    }
}

/// A double, as sixteen hex digits.
pub fn bits(value: f64) -> Value {
    json!(format!("{:016x}", value.to_bits()))
}

/// How many items a list has, or entries a map; the caller has looked.
pub fn items(count: usize, path: Path<'_>) {
    path.note("items", || json!(count));
}

/// A cell of which nothing can be said but that it is there.
pub fn any(path: Path<'_>) {
    path.note("any", || Value::Null);
}

/// A cell as JSON shows it.
pub fn show(array: &dyn Array, row: usize) -> String {
    if row >= array.len() {
        return "nothing".to_owned();
    }
    let column: ArrayRef = make_array(array.to_data().slice(row, 1));
    let field = Field::new("v", column.data_type().clone(), true);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![column]);
    let text = batch.map(|batch| rows::json(&batch).concat()).unwrap_or_default();
    let text = text.strip_prefix("{\"v\":").and_then(|t| t.strip_suffix('}')).unwrap_or(&text);
    let mut shown: String = text.chars().take(200).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// The cell holds this value.
pub fn leaf(leaf: Leaf<'_>, array: &dyn Array, row: usize, path: Path<'_>) -> Same {
    if row < array.len() && array.is_valid(row) && holds(leaf, array, row) {
        path.note(leaf.kind(), || leaf.json());
        return Ok(());
    }
    path.wrong(array, row, leaf.to_string())
}

/// The cell is null.
pub fn null(array: &dyn Array, row: usize, path: Path<'_>) -> Same {
    match row < array.len() && (array.is_null(row) || *array.data_type() == DataType::Null) {
        true => {
            path.note("null", || Value::Null);
            Ok(())
        }
        false => path.wrong(array, row, "null"),
    }
}

fn holds(leaf: Leaf<'_>, array: &dyn Array, row: usize) -> bool {
    match leaf {
        Leaf::Bool(value) => array.as_boolean_opt().is_some_and(|a| a.value(row) == value),
        Leaf::Int(value) => match array.data_type() {
            // A promotion: the nearest float.
            DataType::Float32 => float32(array, row) == Some(value as f32),
            DataType::Float64 => float64(array, row) == Some(value as f64),
            _ => whole(array, row) == Some(value),
        },
        Leaf::Double(value) => match float64(array, row) {
            Some(found) => same(found, value),
            None => false,
        },
        Leaf::Single(value) => match (float32(array, row), float64(array, row)) {
            (Some(found), _) => same(f64::from(found), f64::from(value)),
            (_, Some(found)) => same(found, f64::from(value)),
            _ => false,
        },
        Leaf::Text(value) => bytes(array, row).is_some_and(|found| found == value.as_bytes()),
        Leaf::Bytes(value) => bytes(array, row).is_some_and(|found| found == value),
        Leaf::Decimal(value) => {
            decimal(array, row).is_some_and(|text| number(&text) == number(value))
        }
        Leaf::Uuid(value) => bytes(array, row).is_some_and(|found| {
            found == value.as_bytes() || found == value.to_string().as_bytes()
        }),
        Leaf::Days(value) => whole(array, row) == Some(i128::from(value)),
        Leaf::Clock { value, unit } => clock(array, row, value, unit),
        Leaf::Instant(nanos) => instant(array, row)
            .is_some_and(|(value, unit)| nanos.div_euclid(unit) == i128::from(value)),
    }
}

/// Bit by bit, but for which NaN it is.
fn same(found: f64, expected: f64) -> bool {
    found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
}

fn float32(array: &dyn Array, row: usize) -> Option<f32> {
    array.as_primitive_opt::<Float32Type>().map(|a| a.value(row))
}

fn float64(array: &dyn Array, row: usize) -> Option<f64> {
    array.as_primitive_opt::<Float64Type>().map(|a| a.value(row))
}

/// A whole number, whatever its column calls it.
pub fn whole(array: &dyn Array, row: usize) -> Option<i128> {
    Some(match array.data_type() {
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().value(row).into(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().value(row).into(),
        DataType::Date32 => array.as_primitive::<Date32Type>().value(row).into(),
        DataType::Decimal128(_, 0) => array.as_primitive::<Decimal128Type>().value(row),
        DataType::Timestamp(..) => instant(array, row)?.0.into(),
        _ => return None,
    })
}

pub fn bytes(array: &dyn Array, row: usize) -> Option<&[u8]> {
    if let Some(text) = array.as_string_opt::<i32>() {
        return Some(text.value(row).as_bytes());
    }
    if let Some(bytes) = array.as_binary_opt::<i32>() {
        return Some(bytes.value(row));
    }
    array.as_fixed_size_binary_opt().map(|bytes| bytes.value(row))
}

fn decimal(array: &dyn Array, row: usize) -> Option<String> {
    match array.data_type() {
        DataType::Decimal128(..) => {
            Some(array.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        DataType::Decimal256(..) => {
            Some(array.as_primitive::<Decimal256Type>().value_as_string(row))
        }
        DataType::Utf8 => Some(array.as_string::<i32>().value(row).to_owned()),
        _ => whole(array, row).map(|value| value.to_string()),
    }
}

/// The digits that count: sign, whole part, fraction.
fn number(text: &str) -> (bool, String, String) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let zero = whole.is_empty() && fraction.is_empty();
    (negative && !zero, whole.to_owned(), fraction.to_owned())
}

fn clock(array: &dyn Array, row: usize, value: i64, unit: i64) -> bool {
    match array.data_type() {
        DataType::Time32(_) => {
            let found = array.as_primitive_opt::<Time32MillisecondType>().map(|a| a.value(row));
            found.is_some_and(|ms| i64::from(ms) * 1_000_000 == value * unit)
        }
        DataType::Time64(_) => {
            let found = array.as_primitive_opt::<Time64MicrosecondType>().map(|a| a.value(row));
            found.is_some_and(|us| us * 1_000 == value * unit)
        }
        _ => whole(array, row) == Some(i128::from(value)),
    }
}

/// The number in a timestamp's column, and its unit in nanoseconds.
fn instant(array: &dyn Array, row: usize) -> Option<(i64, i128)> {
    let DataType::Timestamp(unit, _) = array.data_type() else { return None };
    Some(match unit {
        TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().value(row), 1_000_000_000),
        TimeUnit::Millisecond => {
            (array.as_primitive::<TimestampMillisecondType>().value(row), 1_000_000)
        }
        TimeUnit::Microsecond => {
            (array.as_primitive::<TimestampMicrosecondType>().value(row), 1_000)
        }
        TimeUnit::Nanosecond => (array.as_primitive::<TimestampNanosecondType>().value(row), 1),
    })
}

/// Two trees of JSON say the same: numbers by value, as readers of JSON lose the last digit.
pub fn same_tree(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Number(a), Number(b)) => {
            let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) else { return false };
            a == b
                || x == y
                || (x - y).abs() <= x.abs() * 4.0 * f64::EPSILON
                || x as f32 == y as f32
        }
        (Array(a), Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_tree(a, b)),
        (Object(a), Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_tree(a, b)))
        }
        (a, b) => a == b,
    }
}

/// The cell holds JSON text that says this.
pub fn tree(expected: &serde_json::Value, array: &dyn Array, row: usize, path: Path<'_>) -> Same {
    let text = array.is_valid(row).then(|| bytes(array, row)).flatten();
    let found: Option<serde_json::Value> = text.and_then(|text| serde_json::from_slice(text).ok());
    match found {
        Some(found) if same_tree(&found, expected) => {
            path.note("tree", || expected.clone());
            Ok(())
        }
        _ => path.wrong(array, row, expected.to_string()),
    }
}
