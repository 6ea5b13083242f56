//! Which Arrow columns a Parquet file can hold.
//!
//! Owns: the refusal, before a writer opens. `parquet` panics on a union, and fails only at the first
//! row on others; some types it writes lose their meaning when the Arrow schema stays out of the footer.
//! Bounded by: [`DEPTH_MAX`] levels.

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};

use super::COLUMNS;
use crate::error::Fault;

/// Deepest nesting of columns. A reader recurses once a level, with its own stack.
pub const DEPTH_MAX: usize = 120;

/// Refuses a schema that Parquet cannot hold: [`COLUMNS`], with the path of the first such column.
pub fn check(schema: &Schema) -> Result<(), Fault> {
    if schema.fields().is_empty() {
        return Err(Fault::new(&COLUMNS, "columns: none found, at least one required"));
    }
    let mut path = Vec::new();
    fields(schema.fields(), &mut path)
}

fn fields<'a>(all: &'a Fields, path: &mut Vec<&'a str>) -> Result<(), Fault> {
    let mut names: Vec<&str> = all.iter().map(|f| f.name().as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        path.push(pair[0]);
        return Err(refuse(path, "two columns of this name found, distinct names required"));
    }
    for field in all {
        path.push(field.name());
        column(field, path)?;
        path.pop();
    }
    Ok(())
}

fn column<'a>(field: &'a Field, path: &mut Vec<&'a str>) -> Result<(), Fault> {
    if path.len() > DEPTH_MAX {
        path.truncate(3);
        return Err(refuse(path, &format!("nested deeper than {DEPTH_MAX} levels below it")));
    }
    match field.data_type() {
        DataType::Struct(children) if children.is_empty() => {
            Err(refuse(path, "a struct without fields found, at least one field required"))
        }
        DataType::Struct(children) => fields(children, path),
        DataType::List(item) | DataType::LargeList(item) => {
            path.push(item.name());
            column(item, path)?;
            path.pop();
            Ok(())
        }
        DataType::Map(entries, _) => map(entries, path),
        DataType::Dictionary(_, value) if plain(value) => Ok(()),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            if *scale < 0 || i16::from(*scale) > i16::from(*precision) {
                let found = format!(
                    "decimal({precision}, {scale}) found, a scale of 0 to {precision} required"
                );
                return Err(refuse(path, &found));
            }
            Ok(())
        }
        DataType::FixedSizeBinary(length) if *length < 1 => {
            Err(refuse(path, &format!("fixed binary of {length} bytes found, at least 1 required")))
        }
        leaf if plain(leaf) => Ok(()),
        other => Err(refuse(
            path,
            &format!("type `{other}` found, a type of the mapping tables required"),
        )),
    }
}

fn map<'a>(entries: &'a Field, path: &mut Vec<&'a str>) -> Result<(), Fault> {
    let DataType::Struct(pair) = entries.data_type() else {
        return Err(refuse(
            path,
            "a map whose entries are no struct found, key and value required",
        ));
    };
    match pair.as_ref() {
        [key, _] if key.is_nullable() => {
            Err(refuse(path, "a map with a nullable key found, a key required"))
        }
        [_, _] if entries.is_nullable() => {
            Err(refuse(path, "a map with nullable entries found, entries that are there required"))
        }
        [_, _] => fields(pair, path),
        other => {
            Err(refuse(path, &format!("map entries of {} fields found, 2 required", other.len())))
        }
    }
}

/// Types without children whose meaning Parquet's own logical types carry.
fn plain(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float16
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => true,
        // Parquet knows no seconds: they would be bare integers.
        DataType::Timestamp(unit, _) => *unit != TimeUnit::Second,
        DataType::Time32(unit) => *unit == TimeUnit::Millisecond,
        DataType::Time64(unit) => matches!(unit, TimeUnit::Microsecond | TimeUnit::Nanosecond),
        // Written as bare INT64; `decode` names the unit in the field's metadata.
        DataType::Duration(_) => true,
        DataType::Interval(unit) => *unit != IntervalUnit::MonthDayNano,
        _ => false,
    }
}

fn refuse(path: &[&str], found: &str) -> Fault {
    Fault::new(&COLUMNS, format!("column `{}`: {found}", path.join(".")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn one(data_type: DataType) -> Schema {
        Schema::new(vec![Field::new("a", data_type, true)])
    }

    #[test]
    fn schema_without_columns_is_refused() {
        assert_eq!(check(&Schema::empty()).unwrap_err().code.id, "FB0801");
    }

    #[test]
    fn column_nested_too_deep_is_refused_without_overflow() {
        let mut data_type = DataType::Int32;
        for _ in 0..5_000 {
            data_type = DataType::List(Arc::new(Field::new("element", data_type, true)));
        }
        let schema = one(data_type);
        assert_eq!(check(&schema).unwrap_err().code.id, "FB0801");
        // Dropping 5,000 nested types recurses in arrow; that stack is not ours to test.
        std::mem::forget(schema);
    }

    #[test]
    fn two_columns_of_one_name_are_refused_by_path() {
        let inner = Fields::from(vec![
            Field::new("x", DataType::Int32, true),
            Field::new("x", DataType::Utf8, true),
        ]);
        let message = check(&one(DataType::Struct(inner))).unwrap_err().message;
        assert!(message.contains("`a.x`"), "{message}");
    }
}
