//! One row of a batch as the JSON that Protobuf prints for the message: nulls and defaults without
//! presence left out, 64-bit integers as text, original field names.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt32Type, UInt64Type,
};
use base64::Engine;
use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

pub fn row(message: &MessageDescriptor, batch: &RecordBatch, row: usize) -> Value {
    Value::Object(fields(message, &StructArray::from(batch.clone()), row))
}

struct Item {
    name: String,
    kind: Kind,
    list: bool,
    map: bool,
}

fn fields(message: &MessageDescriptor, columns: &StructArray, row: usize) -> Map<String, Value> {
    let declared = message.fields().map(|f| Item {
        name: f.name().to_owned(),
        kind: f.kind(),
        list: f.is_list(),
        map: f.is_map(),
    });
    let extensions = message.extensions().map(|f| Item {
        name: format!("[{}]", f.full_name()),
        kind: f.kind(),
        list: f.is_list(),
        map: f.is_map(),
    });
    let mut out = Map::new();
    for item in declared.chain(extensions) {
        let Some((at, field)) = columns.fields().find(&item.name) else { continue };
        let column = columns.column(at);
        if column.is_null(row) {
            continue;
        }
        let value = if item.map {
            map(&item.kind, column, row)
        } else if item.list {
            let inner = column.as_list::<i32>().value(row);
            Value::Array((0..inner.len()).map(|i| value(&item.kind, &inner, i)).collect())
        } else {
            value(&item.kind, column, row)
        };
        if field.is_nullable() || !is_default(&item.kind, &value) {
            out.insert(item.name, value);
        }
    }
    out
}

fn is_default(kind: &Kind, value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::String(text) => match kind {
            Kind::Enum(e) => *text == e.default_value().name(),
            Kind::String | Kind::Bytes => text.is_empty(),
            _ => text == "0",
        },
        Value::Number(n) => n.as_f64() == Some(0.0) && !n.as_f64().unwrap().is_sign_negative(),
        Value::Bool(b) => !b,
        Value::Null => true,
    }
}

fn map(kind: &Kind, column: &ArrayRef, row: usize) -> Value {
    let entry = kind.as_message().unwrap();
    let entries = column.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    let (key_kind, value_kind) =
        (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
    let mut out = Map::new();
    for i in 0..entries.len() {
        let key = match value(&key_kind, keys, i) {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let item = if values.is_null(i) { Value::Null } else { value(&value_kind, values, i) };
        assert!(out.insert(key, item).is_none(), "a key twice");
    }
    Value::Object(out)
}

pub fn float(value: f64, text: String) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        json!(text.parse::<f64>().unwrap())
    }
}

fn value(kind: &Kind, column: &ArrayRef, row: usize) -> Value {
    match (kind, column.data_type()) {
        (Kind::Message(m), _) => message(m, column, row),
        (Kind::Enum(e), _) if e.full_name() == "google.protobuf.NullValue" => Value::Null,
        (Kind::Enum(_), DataType::Utf8) => {
            let text = column.as_string::<i32>().value(row);
            text.parse::<i32>().map_or_else(|_| json!(text), |n| json!(n))
        }
        (_, DataType::Boolean) => json!(column.as_boolean().value(row)),
        (_, DataType::Int32) => json!(column.as_primitive::<Int32Type>().value(row)),
        (_, DataType::UInt32) => json!(column.as_primitive::<UInt32Type>().value(row)),
        (Kind::Uint32 | Kind::Fixed32, DataType::Int64) => {
            json!(column.as_primitive::<Int64Type>().value(row))
        }
        (_, DataType::Int64) => json!(column.as_primitive::<Int64Type>().value(row).to_string()),
        (_, DataType::UInt64) => json!(column.as_primitive::<UInt64Type>().value(row).to_string()),
        (_, DataType::Decimal128(20, 0)) => {
            json!(column.as_primitive::<Decimal128Type>().value(row).to_string())
        }
        (_, DataType::Float32) => {
            let value = column.as_primitive::<Float32Type>().value(row);
            float(f64::from(value), value.to_string())
        }
        (_, DataType::Float64) => {
            let value = column.as_primitive::<Float64Type>().value(row);
            float(value, value.to_string())
        }
        (_, DataType::Utf8) => json!(column.as_string::<i32>().value(row)),
        (_, DataType::Binary) => {
            let bytes = column.as_binary::<i32>().value(row);
            json!(base64::prelude::BASE64_STANDARD.encode(bytes))
        }
        (kind, other) => panic!("{kind:?} as {other}"),
    }
}

/// Microseconds as three or six digits, or none.
fn fraction(micros: u64) -> String {
    match micros {
        0 => String::new(),
        n if n % 1_000 == 0 => format!(".{:03}", n / 1_000),
        n => format!(".{n:06}"),
    }
}

fn message(m: &MessageDescriptor, column: &ArrayRef, row: usize) -> Value {
    match (m.full_name(), column.data_type()) {
        ("google.protobuf.Timestamp", _) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            let seconds = jiff::Timestamp::from_second(micros.div_euclid(1_000_000)).unwrap();
            let text = seconds.to_string();
            let part = fraction(micros.rem_euclid(1_000_000) as u64);
            json!(format!("{}{part}Z", text.trim_end_matches('Z')))
        }
        ("google.protobuf.Duration", _) => {
            let micros = column.as_primitive::<Int64Type>().value(row);
            let sign = if micros < 0 { "-" } else { "" };
            let (whole, part) =
                (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
            let part = fraction(part);
            json!(format!("{sign}{whole}{part}s"))
        }
        ("google.protobuf.FieldMask", _) => {
            let paths = column.as_list::<i32>().value(row);
            let camel = |path: &str| {
                let mut parts = path.split('_');
                let first = parts.next().unwrap().to_owned();
                parts.fold(first, |out, part| {
                    let mut chars = part.chars();
                    let head = chars.next().map(|c| c.to_ascii_uppercase());
                    out + &head.into_iter().collect::<String>() + chars.as_str()
                })
            };
            let paths: Vec<String> = paths.as_string::<i32>().iter().flatten().map(camel).collect();
            json!(paths.join(","))
        }
        (name, DataType::Utf8) if !name.ends_with("StringValue") => {
            serde_json::from_str(column.as_string::<i32>().value(row)).unwrap()
        }
        (_, DataType::Boolean) if m.fields().len() == 0 => json!({}),
        (_, DataType::Struct(_)) => Value::Object(fields(m, column.as_struct(), row)),
        _ => value(&m.get_field(1).unwrap().kind(), column, row),
    }
}

/// Numbers are equal by value, but for what `serde_json` loses when it reads them; other values exactly.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            a == b || (a - b).abs() <= a.abs() * 4.0 * f64::EPSILON
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (a, b) => a == b,
    }
}

/// Path of the first difference, and what stands there on either side.
pub fn difference(a: &Value, b: &Value) -> String {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys()) {
                let (x, y) = (a.get(key), b.get(key));
                if x.is_none() || y.is_none() {
                    return format!("{key}: {x:?} is not {y:?}");
                }
                if let (Some(x), Some(y)) = (x, y)
                    && !same(x, y)
                {
                    return format!("{key}.{}", difference(x, y));
                }
            }
            String::new()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let at = a.iter().zip(b).position(|(x, y)| !same(x, y)).unwrap_or_default();
            format!("{at}.{}", difference(&a[at], &b[at]))
        }
        _ => format!(": {a} is not {b}"),
    }
}
