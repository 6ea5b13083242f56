//! JSON: serde_json reads the text, and the columns' types say how each value stands in its cell.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Fields};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::cells::{self, Leaf};
use super::{Path, Rows, Same};
use crate::cli::evolve::form::Json;

pub fn check(form: &Json, body: &[u8], rows: &Rows, row: usize, root: Path<'_>) -> Same {
    let value: Value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(why) => return Path::Root.differs("a row", format!("a reject: {why}")),
    };
    let columns: Vec<&dyn Array> = rows.columns.iter().map(|c| c.as_ref()).collect();
    let named = |object: &Map<String, Value>| {
        // One column `value` is of something that is no object with properties.
        let only = rows.fields.len() == 1 && rows.fields[0].name() == "value";
        !only || object.contains_key("value") || has_property(&form.schema, "value")
    };
    match &value {
        Value::Object(object) if named(object) => {
            members(object, &rows.fields, &columns, row, root)
        }
        value => match columns.as_slice() {
            [column] => one(value, *column, row, Path::Name(&root, "value")),
            _ => Path::Root.differs(format!("{} columns", columns.len()), "one column"),
        },
    }
}

/// Whether a schema takes a value, as far as its columns go: types, `required`, references within it.
pub fn fits(value: &Value, schema: &Value, root: &Value, left: u32) -> bool {
    let Some(left) = left.checked_sub(1) else { return true };
    let again = |value: &Value, schema: &Value| fits(value, schema, root, left);
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.is_none_or(|target| again(value, target));
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(branches) = schema.get(key).and_then(Value::as_array) {
            return branches.iter().any(|branch| again(value, branch));
        }
    }
    let is = |kind: &Value| match (kind.as_str().unwrap_or_default(), value) {
        ("integer", Value::Number(n)) => {
            n.is_i64() || n.as_f64().is_some_and(|n| n.fract() == 0.0 && n.abs() < 9e18)
        }
        ("string", Value::String(text)) if schema.get("contentEncoding").is_some() => {
            base64::prelude::BASE64_STANDARD.decode(text).is_ok()
        }
        ("number", Value::Number(_)) | ("string", Value::String(_)) => true,
        ("boolean", Value::Bool(_)) | ("null", Value::Null) => true,
        ("array", Value::Array(_)) | ("object", Value::Object(_)) => true,
        _ => false,
    };
    let typed = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is),
        Some(kind) => is(kind),
        None => true,
    };
    let inner = match value {
        Value::Array(items) => {
            schema.get("items").is_none_or(|of| items.iter().all(|i| again(i, of)))
        }
        Value::Object(object) => {
            let required = schema.get("required").and_then(Value::as_array);
            let there = |name: &Value| name.as_str().is_some_and(|name| object.contains_key(name));
            let others = schema.get("additionalProperties").filter(|of| of.is_object());
            required.into_iter().flatten().all(there)
                && object.iter().all(|(name, value)| {
                    let of = schema.get("properties").and_then(|p| p.get(name)).or(others);
                    of.is_none_or(|of| again(value, of))
                })
        }
        _ => true,
    };
    typed && inner
}

fn has_property(schema: &Value, name: &str) -> bool {
    schema.get("properties").is_some_and(|p| p.get(name).is_some())
}

fn members(
    object: &Map<String, Value>,
    fields: &Fields,
    columns: &[&dyn Array],
    row: usize,
    path: Path<'_>,
) -> Same {
    for (field, column) in fields.iter().zip(columns) {
        let path = Path::Name(&path, field.name());
        match object.get(field.name()) {
            Some(value) => one(value, *column, row, path)?,
            None => cells::null(*column, row, path)?,
        }
    }
    Ok(())
}

fn one(value: &Value, array: &dyn Array, row: usize, path: Path<'_>) -> Same {
    if value.is_null() {
        // A column of any JSON may hold the text `null`.
        let text = array.is_valid(row).then(|| cells::bytes(array, row)).flatten();
        return match text {
            Some(b"null") => {
                cells::any(path);
                Ok(())
            }
            _ => cells::null(array, row, path),
        };
    }
    if !array.is_valid(row) {
        return path.wrong(array, row, value.to_string());
    }
    let unfit = || path.wrong(array, row, value.to_string());
    match (value, array.data_type()) {
        (Value::Bool(value), DataType::Boolean) => {
            cells::leaf(Leaf::Bool(*value), array, row, path)
        }
        // An object that may have no members: whether it is there.
        (Value::Object(_), DataType::Boolean) => cells::leaf(Leaf::Bool(true), array, row, path),
        (Value::Object(object), DataType::Map(..)) => map(object, array, row, path),
        (Value::Array(items), DataType::Map(..)) => pairs(items, array, row, path),
        (Value::Array(items), DataType::List(_)) => {
            let found = array.as_list::<i32>().value(row);
            if found.len() != items.len() {
                return path.wrong(array, row, format!("{} items", items.len()));
            }
            cells::items(items.len(), path);
            let mut all = items.iter().enumerate();
            all.try_for_each(|(n, item)| one(item, &found, n, Path::At(&path, n)))
        }
        (Value::Object(object), DataType::Struct(fields)) => {
            let columns: Vec<&dyn Array> =
                array.as_struct().columns().iter().map(|c| c.as_ref()).collect();
            let known = |name: &String| fields.find(name).is_some();
            // A union's columns are its branches, not the members. Another version may have none of the members.
            let own = !object.is_empty() && !object.keys().any(known);
            if own && fields.iter().any(|f| UNNAMED.contains(&f.name().as_str())) {
                return branch(value, array, row, path);
            }
            let mark = path.mark();
            members(object, fields, &columns, row, path).or_else(|first| {
                path.forget(mark);
                branch(value, array, row, path).map_err(|_| first)
            })
        }
        (_, DataType::Struct(_)) => branch(value, array, row, path),
        (Value::Number(number), DataType::Float32 | DataType::Float64) => {
            let Some(value) = number.as_f64() else { return unfit() };
            float(value, array, row, path)
        }
        (Value::Number(number), _) => {
            let text = number.to_string();
            match text.parse::<i128>() {
                Ok(whole)
                    if !matches!(array.data_type(), DataType::Utf8 | DataType::Decimal128(..)) =>
                {
                    let instant = matches!(array.data_type(), DataType::Timestamp(..));
                    match instant {
                        true => cells::leaf(Leaf::Instant(whole * 1_000_000), array, row, path),
                        false => cells::leaf(Leaf::Int(whole), array, row, path),
                    }
                }
                _ => cells::leaf(Leaf::Decimal(&text), array, row, path)
                    .or_else(|_| cells::tree(value, array, row, path)),
            }
        }
        (Value::String(text), _) => self::text(text, value, array, row, path),
        (value, DataType::Utf8) => cells::tree(value, array, row, path),
        _ => unfit(),
    }
}

/// Names of branches that have none of their own.
const UNNAMED: [&str; 6] = ["boolean", "integer", "number", "string", "array", "object"];

fn float(value: f64, array: &dyn Array, row: usize, path: Path<'_>) -> Same {
    let near = |found: f64| found == value || (found - value).abs() <= value.abs() * f64::EPSILON;
    let single = array.as_primitive_opt::<arrow::datatypes::Float32Type>();
    let double = array.as_primitive_opt::<arrow::datatypes::Float64Type>();
    let same = match (single, double) {
        // serde_json may miss a double by its last bit.
        (_, Some(double)) => near(double.value(row)),
        (Some(single), _) => single.value(row) == value as f32,
        _ => false,
    };
    if !same {
        return path.wrong(array, row, format!("{value:?}"));
    }
    path.note("near", || cells::bits(value));
    Ok(())
}

fn text(text: &str, value: &Value, array: &dyn Array, row: usize, path: Path<'_>) -> Same {
    match array.data_type() {
        // Plain text of one version, in a column that another made one of bytes.
        DataType::Binary
            if path.is_merged() && cells::leaf(Leaf::Text(text), array, row, path).is_ok() =>
        {
            Ok(())
        }
        DataType::Binary | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            let config = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent)
                .with_decode_allow_trailing_bits(true);
            let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, config)
                .decode(text)
                .or_else(|_| GeneralPurpose::new(&base64::alphabet::URL_SAFE, config).decode(text));
            let Ok(bytes) = bytes else { return path.wrong(array, row, value.to_string()) };
            match array.data_type() {
                DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => {
                    let text = super::avro::decimal_text(&bytes, i32::from(*scale));
                    cells::leaf(Leaf::Decimal(&text), array, row, path)
                }
                _ => cells::leaf(Leaf::Bytes(&bytes), array, row, path),
            }
        }
        DataType::Date32 => {
            let date = text.parse::<jiff::civil::Date>().ok();
            let days = date.and_then(|d| jiff::civil::date(1970, 1, 1).until(d).ok());
            match days {
                Some(days) => cells::leaf(Leaf::Days(days.get_days().into()), array, row, path),
                None => path.wrong(array, row, value.to_string()),
            }
        }
        DataType::Timestamp(..) => match text.parse::<jiff::Timestamp>() {
            Ok(instant) => cells::leaf(Leaf::Instant(instant.as_nanosecond()), array, row, path),
            Err(_) => path.wrong(array, row, value.to_string()),
        },
        DataType::Int64 | DataType::Time64(_) => {
            let time = text.trim_end_matches('Z').parse::<jiff::civil::Time>().ok();
            let since = time.map(|t| t.duration_since(jiff::civil::Time::midnight()).as_micros());
            match since.and_then(|micros| i64::try_from(micros).ok()) {
                Some(value) => cells::leaf(Leaf::Clock { value, unit: 1_000 }, array, row, path),
                None => path.wrong(array, row, value.to_string()),
            }
        }
        DataType::FixedSizeBinary(16) => match uuid::Uuid::parse_str(text) {
            Ok(uuid) => cells::leaf(Leaf::Uuid(uuid), array, row, path),
            Err(_) => path.wrong(array, row, value.to_string()),
        },
        // The text, or in a column of any JSON the text in quotes.
        _ => cells::leaf(Leaf::Text(text), array, row, path)
            .or_else(|first| cells::tree(value, array, row, path).map_err(|_| first)),
    }
}

/// The value of a union: one of its columns has it, the others are null.
fn branch(value: &Value, array: &dyn Array, row: usize, path: Path<'_>) -> Same {
    let Some(union) = array.as_struct_opt() else {
        return path.wrong(array, row, value.to_string());
    };
    let there: Vec<usize> =
        (0..union.num_columns()).filter(|at| union.column(*at).is_valid(row)).collect();
    match there.as_slice() {
        [only] => {
            let name = union.fields()[*only].name();
            one(value, union.column(*only), row, Path::Name(&path, name))
        }
        _ => path.wrong(array, row, value.to_string()),
    }
}

fn map(object: &Map<String, Value>, array: &dyn Array, row: usize, path: Path<'_>) -> Same {
    let found = array.as_map().value(row);
    if found.len() != object.len() {
        return path.wrong(array, row, format!("{} entries", object.len()));
    }
    cells::items(object.len(), path);
    for n in 0..found.len() {
        let key = cells::bytes(found.column(0), n).unwrap_or_default();
        let key = String::from_utf8_lossy(key);
        match object.get(key.as_ref()) {
            Some(value) => one(value, found.column(1), n, Path::Name(&path, &key))?,
            None => return path.differs(format!("key {key:?}"), "no such key"),
        }
    }
    Ok(())
}

/// A map written as a list of its keys and values.
fn pairs(items: &[Value], array: &dyn Array, row: usize, path: Path<'_>) -> Same {
    let found = array.as_map().value(row);
    cells::items(found.len(), path);
    let part = |item: &Value, name: &str, at: usize| {
        item.get(name).or_else(|| item.get(at)).cloned().unwrap_or_default()
    };
    for n in 0..found.len() {
        let is = |item: &&Value| one(&part(item, "key", 0), found.column(0), n, Path::Root).is_ok();
        let Some(item) = items.iter().rev().find(is) else {
            return path.wrong(array, row, "keys of the list");
        };
        one(&part(item, "value", 1), found.column(1), n, Path::At(&path, n))?;
    }
    Ok(())
}
