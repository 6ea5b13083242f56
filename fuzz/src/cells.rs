//! A cell of an Arrow array as JSON, maps as objects, so that their order does not count.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};

/// Row `row` of `array`. Text that is JSON is taken for what it says.
pub fn json(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            columns.map(|(field, column)| (field.name().clone(), json(column, row))).collect()
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|i| json(&items, i)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let mut out = Map::new();
            for i in 0..entries.len() {
                let key = json(entries.column(0), i).to_string();
                out.insert(key, json(entries.column(1), i));
            }
            Value::Object(out)
        }
        DataType::Utf8 => {
            let text = array.as_string::<i32>().value(row);
            match text.starts_with(['{', '[']) {
                true => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
                false => text.into(),
            }
        }
        DataType::Timestamp(..) => {
            json(&arrow::compute::cast(&array.slice(row, 1), &DataType::Int64).unwrap(), 0)
        }
        _ => {
            let formatter = ArrayFormatter::try_new(array, &FormatOptions::default()).unwrap();
            formatter.value(row).try_to_string().map_or(Value::Null, Value::String)
        }
    }
}
