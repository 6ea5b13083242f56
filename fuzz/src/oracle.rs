//! Is this cell the value that was written? Compares `apache_avro`'s values with Arrow's arrays by the
//! schema, and knows nothing of the code under test but the mapping table.

use std::collections::HashMap;

use apache_avro::schema::{DecimalSchema, Name, UuidSchema};
use apache_avro::types::Value;
use apache_avro::{Decimal, Schema};
use arrow::array::{Array, AsArray};
use arrow::datatypes::*;
use serde_json::{Value as Json, json};

pub type Names<'s> = HashMap<String, &'s Schema>;

/// Every definition of a schema by its full name.
pub fn names(schema: &Schema) -> Names<'_> {
    let mut names = Names::new();
    collect(schema, &mut names);
    names
}

fn collect<'s>(schema: &'s Schema, names: &mut Names<'s>) {
    if let Some(name) = name_of(schema) {
        names.entry(name.fullname(None)).or_insert(schema);
    }
    match schema {
        Schema::Record(r) => r.fields.iter().for_each(|f| collect(&f.schema, names)),
        Schema::Array(a) => collect(&a.items, names),
        Schema::Map(m) => collect(&m.types, names),
        Schema::Union(u) => u.variants().iter().for_each(|v| collect(v, names)),
        _ => {}
    }
}

fn name_of(schema: &Schema) -> Option<&Name> {
    use apache_avro::schema::InnerDecimalSchema::Fixed;
    match schema {
        Schema::Decimal(DecimalSchema { inner: Fixed(f), .. }) => Some(&f.name),
        Schema::Uuid(UuidSchema::Fixed(f)) | Schema::Duration(f) => Some(&f.name),
        Schema::Ref { .. } => None,
        other => other.name(),
    }
}

pub fn resolve<'s>(schema: &'s Schema, names: &Names<'s>) -> &'s Schema {
    match schema {
        Schema::Ref { name } => names[&name.fullname(None)],
        other => other,
    }
}

pub struct Oracle<'s> {
    pub names: &'s Names<'s>,
    /// Records that enclose the cell: inside one of them a record of the same name is JSON.
    open: Vec<String>,
}

impl<'s> Oracle<'s> {
    pub fn new(names: &'s Names<'s>) -> Self {
        Self { names, open: Vec::new() }
    }

    /// Panics, saying where, unless `array[row]` holds `value`.
    pub fn check(
        &mut self,
        at: &str,
        schema: &'s Schema,
        value: &Value,
        array: &dyn Array,
        row: usize,
    ) {
        let schema = resolve(schema, self.names);
        if let Value::Null = value {
            assert!(array.is_null(row) || *array.data_type() == DataType::Null, "{at}: null");
            return;
        }
        if let (Schema::Union(union), Value::Union(index, inner)) = (schema, value) {
            return self.check_union(at, union.variants(), *index as usize, inner, array, row);
        }
        assert!(array.is_valid(row), "{at}: {value:?} became null");
        match (schema, value) {
            (Schema::Record(record), Value::Record(fields)) => {
                let name = record.name.fullname(None);
                if self.open.contains(&name) {
                    let text: Json =
                        serde_json::from_str(array.as_string::<i32>().value(row)).unwrap();
                    // Through text, because serde_json does not read back every float it writes.
                    let expected = self.json(schema, value).to_string();
                    let expected: Json = serde_json::from_str(&expected).unwrap();
                    assert_eq!(text, expected, "{at}: JSON");
                    return;
                }
                if fields.is_empty() {
                    assert!(array.as_boolean().value(row), "{at}: presence");
                    return;
                }
                self.open.push(name);
                let columns = array.as_struct();
                assert_eq!(columns.num_columns(), fields.len(), "{at}");
                for (i, (name, value)) in fields.iter().enumerate() {
                    let schema = &record.fields[i].schema;
                    self.check(&format!("{at}.{name}"), schema, value, columns.column(i), row);
                }
                self.open.pop();
            }
            (Schema::Array(schema), Value::Array(items)) => {
                let list = array.as_list::<i32>().value(row);
                assert_eq!(list.len(), items.len(), "{at}: length");
                for (i, item) in items.iter().enumerate() {
                    self.check(&format!("{at}[{i}]"), &schema.items, item, &list, i);
                }
            }
            (Schema::Map(schema), Value::Map(entries)) => {
                let map = array.as_map().value(row);
                assert_eq!(map.len(), entries.len(), "{at}: length");
                let keys = map.column(0).as_string::<i32>();
                for (i, key) in keys.iter().flatten().enumerate() {
                    let value = &entries[key];
                    self.check(&format!("{at}[{key:?}]"), &schema.types, value, map.column(1), i);
                }
            }
            (schema, value) => check_leaf(at, schema, value, array, row),
        }
    }

    fn check_union(
        &mut self,
        at: &str,
        variants: &'s [Schema],
        index: usize,
        inner: &Value,
        array: &dyn Array,
        row: usize,
    ) {
        let real: Vec<usize> =
            (0..variants.len()).filter(|i| !matches!(variants[*i], Schema::Null)).collect();
        if real.len() <= 1 || matches!(inner, Value::Null) {
            return self.check(at, &variants[index], inner, array, row);
        }
        assert!(array.is_valid(row), "{at}: union");
        for (column, branch) in array.as_struct().columns().iter().zip(&real) {
            let at = format!("{at}|{branch}");
            if *branch == index {
                self.check(&at, &variants[index], inner, column, row);
            } else {
                assert!(column.is_null(row), "{at}: a branch that was not taken");
            }
        }
    }

    /// The JSON text of a value without columns.
    fn json(&self, schema: &Schema, value: &Value) -> Json {
        let schema = resolve(schema, self.names);
        match (schema, value) {
            (Schema::Union(union), Value::Union(index, inner)) => {
                let branch = &union.variants()[*index as usize];
                let value = self.json(branch, inner);
                let real = union.variants().iter().filter(|v| !matches!(v, Schema::Null)).count();
                match value {
                    value if real <= 1 || value.is_null() => value,
                    value => json!({ branch_name(resolve(branch, self.names)): value }),
                }
            }
            (Schema::Record(record), Value::Record(fields)) => {
                let pairs = record.fields.iter().zip(fields);
                pairs.map(|(f, (name, v))| (name.clone(), self.json(&f.schema, v))).collect()
            }
            (Schema::Array(a), Value::Array(items)) => {
                items.iter().map(|item| self.json(&a.items, item)).collect()
            }
            (Schema::Map(m), Value::Map(entries)) => {
                entries.iter().map(|(k, v)| (k.clone(), self.json(&m.types, v))).collect()
            }
            (schema, value) => json_leaf(schema, value),
        }
    }
}

fn branch_name(schema: &Schema) -> String {
    match name_of(schema) {
        Some(name) => name.name().to_owned(),
        None => match schema {
            Schema::Boolean => "boolean",
            Schema::Int | Schema::Date | Schema::TimeMillis => "int",
            Schema::Float => "float",
            Schema::Double => "double",
            Schema::Bytes | Schema::Decimal(_) => "bytes",
            Schema::String | Schema::Uuid(_) => "string",
            Schema::Array(_) => "array",
            Schema::Map(_) => "map",
            _ => "long",
        }
        .to_owned(),
    }
}

/// Big-endian bytes → number, as text.
fn decimal_text(decimal: &Decimal, scale: usize) -> String {
    // No bytes are zero; apache-avro reads them so, and cannot give them back.
    let bytes: Vec<u8> = decimal.try_into().unwrap_or_default();
    let mut wide = [if bytes.first().is_some_and(|b| *b > 127) { 0xff } else { 0 }; 32];
    let start = 32 - bytes.len();
    wide[start..].copy_from_slice(&bytes);
    Decimal256Type::format_decimal(i256::from_be_bytes(wide), 76, scale as i8)
}

fn check_leaf(at: &str, schema: &Schema, value: &Value, array: &dyn Array, row: usize) {
    macro_rules! number {
        ($t:ty, $v:expr) => {
            assert_eq!(array.as_primitive::<$t>().value(row), $v, "{at}")
        };
    }
    match (schema, value) {
        (_, Value::Boolean(v)) => assert_eq!(array.as_boolean().value(row), *v, "{at}"),
        (_, Value::Int(v)) => number!(Int32Type, *v),
        (_, Value::Long(v)) => number!(Int64Type, *v),
        (_, Value::Float(v)) => {
            assert_eq!(
                array.as_primitive::<Float32Type>().value(row).to_bits(),
                v.to_bits(),
                "{at}"
            );
        }
        (_, Value::Double(v)) => {
            assert_eq!(
                array.as_primitive::<Float64Type>().value(row).to_bits(),
                v.to_bits(),
                "{at}"
            );
        }
        (_, Value::Bytes(v)) => assert_eq!(array.as_binary::<i32>().value(row), v, "{at}"),
        (_, Value::String(v)) => assert_eq!(array.as_string::<i32>().value(row), v, "{at}"),
        (_, Value::Enum(_, v)) => assert_eq!(array.as_string::<i32>().value(row), v, "{at}"),
        (_, Value::Fixed(_, v)) => assert_eq!(array.as_fixed_size_binary().value(row), v, "{at}"),
        (_, Value::Uuid(v)) => {
            assert_eq!(array.as_fixed_size_binary().value(row), v.as_bytes(), "{at}");
        }
        (Schema::Decimal(schema), Value::Decimal(v)) => {
            let text = decimal_text(v, schema.scale);
            if schema.precision <= 38 {
                assert_eq!(
                    array.as_primitive::<Decimal128Type>().value_as_string(row),
                    text,
                    "{at}"
                );
            } else {
                assert_eq!(
                    array.as_primitive::<Decimal256Type>().value_as_string(row),
                    text,
                    "{at}"
                );
            }
        }
        (_, Value::Date(v)) => number!(Date32Type, *v),
        (_, Value::TimeMillis(v)) => number!(Time32MillisecondType, *v),
        (_, Value::TimeMicros(v)) => number!(Time64MicrosecondType, *v),
        (_, Value::TimestampMillis(v) | Value::LocalTimestampMillis(v)) => {
            number!(TimestampMillisecondType, *v);
        }
        (_, Value::TimestampMicros(v) | Value::LocalTimestampMicros(v)) => {
            number!(TimestampMicrosecondType, *v);
        }
        (_, Value::TimestampNanos(v) | Value::LocalTimestampNanos(v)) => {
            number!(TimestampNanosecondType, *v);
        }
        (_, Value::Duration(v)) => {
            let parts = [u32::from(v.months()), u32::from(v.days()), u32::from(v.millis())];
            for (column, part) in array.as_struct().columns().iter().zip(parts) {
                assert_eq!(column.as_primitive::<Int64Type>().value(row), i64::from(part), "{at}");
            }
        }
        other => panic!("{at}: no comparison for {other:?}"),
    }
}

fn json_leaf(schema: &Schema, value: &Value) -> Json {
    use base64::Engine;
    let base64 = |bytes: &[u8]| json!(base64::engine::general_purpose::STANDARD.encode(bytes));
    let time = |result: Result<jiff::Timestamp, jiff::Error>, raw: i64, utc: bool| match result {
        Ok(t) if utc => json!(t.to_string()),
        Ok(t) => json!(t.to_string().trim_end_matches('Z')),
        Err(_) => json!(raw),
    };
    let utc = matches!(
        schema,
        Schema::TimestampMillis | Schema::TimestampMicros | Schema::TimestampNanos
    );
    match (schema, value) {
        (_, Value::Null) => Json::Null,
        (_, Value::Boolean(v)) => json!(v),
        (_, Value::Int(v)) => json!(v),
        (_, Value::Long(v)) => json!(v),
        (_, Value::Float(v)) if v.is_finite() => serde_json::from_str(&format!("{v:?}")).unwrap(),
        (_, Value::Double(v)) if v.is_finite() => json!(v),
        (_, Value::Float(v)) => json!(if v.is_nan() {
            "NaN"
        } else if *v > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }),
        (_, Value::Double(v)) => json!(if v.is_nan() {
            "NaN"
        } else if *v > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }),
        (_, Value::Bytes(v) | Value::Fixed(_, v)) => base64(v),
        (_, Value::String(v) | Value::Enum(_, v)) => json!(v),
        (_, Value::Uuid(v)) => json!(v.to_string()),
        (Schema::Decimal(schema), Value::Decimal(v)) => json!(decimal_text(v, schema.scale)),
        (_, Value::Date(v)) => {
            let second = jiff::Timestamp::from_second(i64::from(*v) * 86_400);
            second.map_or(json!(v), |t| json!(t.to_string().trim_end_matches("T00:00:00Z")))
        }
        (_, Value::TimeMillis(v)) if !(0..86_400_000).contains(v) => json!(v),
        (_, Value::TimeMicros(v)) if !(0..86_400_000_000).contains(v) => json!(v),
        (_, Value::TimeMillis(v)) => {
            let t = jiff::Timestamp::from_millisecond(i64::from(*v)).unwrap();
            json!(format!("{}", t.strftime("%H:%M:%S.%3f")))
        }
        (_, Value::TimeMicros(v)) => {
            let t = jiff::Timestamp::from_microsecond(*v).unwrap();
            json!(format!("{}", t.strftime("%H:%M:%S.%6f")))
        }
        (_, Value::TimestampMillis(v) | Value::LocalTimestampMillis(v)) => {
            time(jiff::Timestamp::from_millisecond(*v), *v, utc)
        }
        (_, Value::TimestampMicros(v) | Value::LocalTimestampMicros(v)) => {
            time(jiff::Timestamp::from_microsecond(*v), *v, utc)
        }
        (_, Value::TimestampNanos(v) | Value::LocalTimestampNanos(v)) => {
            time(jiff::Timestamp::from_nanosecond(i128::from(*v)), *v, utc)
        }
        (_, Value::Duration(v)) => json!({
            "months": u32::from(v.months()), "days": u32::from(v.days()), "millis": u32::from(v.millis())
        }),
        other => panic!("no JSON for {other:?}"),
    }
}
