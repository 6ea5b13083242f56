//! Datums that other programs wrote: `tests/corpus/avro`.

use arrow::array::{Array, AsArray};
use arrow::datatypes::*;
use serde_json::{Value as Json, json};

use super::{decoder, everyone, native, unhex};

#[test]
fn datum_of_another_program_becomes_its_row() {
    let text = std::fs::read_to_string("tests/corpus/avro/datums.json").unwrap();
    let corpus: Json = serde_json::from_str(&text).unwrap();
    let mut cases = 0;
    for case in ["apache", "confluent"].iter().flat_map(|name| corpus[name].as_array().unwrap()) {
        for options in [native(), everyone()] {
            let schema = case["schema"].as_str().unwrap();
            let mut decoder = decoder(schema, &options);
            decoder
                .append(&unhex(case["datum"].as_str().unwrap()))
                .unwrap_or_else(|e| panic!("{case}: {e}"));
            let batch = decoder.finish();
            for (name, expected) in case["row"].as_object().unwrap() {
                let column = batch.column_by_name(name).unwrap_or_else(|| panic!("{case}: {name}"));
                assert!(equal(expected, &cell(column, 0)), "{case}: {name} is {}", cell(column, 0));
                cases += 1;
            }
        }
    }
    assert!(cases > 120, "{cases}");
}

/// Equal, where 1 and 1.0 are the same number: some expected values were promoted.
pub(super) fn equal(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}

pub(super) fn cell(array: &dyn Array, row: usize) -> Json {
    if array.is_null(row) {
        return Json::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => json!(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => match array.as_primitive::<Float64Type>().value(row) {
            nan if nan.is_nan() => json!("NaN"),
            number => json!(number),
        },
        DataType::Date32 => json!({"days": array.as_primitive::<Date32Type>().value(row)}),
        DataType::Time64(_) => {
            json!({"us": array.as_primitive::<Time64MicrosecondType>().value(row)})
        }
        DataType::Timestamp(unit, _) => {
            let number = arrow::compute::cast(&array.slice(row, 1), &DataType::Int64).unwrap();
            json!({ (unit.to_string().replace('µ', "u")): number.as_primitive::<Int64Type>().value(0) })
        }
        DataType::Decimal128(..) => {
            json!({"decimal": array.as_primitive::<Decimal128Type>().value_as_string(row)})
        }
        DataType::FixedSizeBinary(_) => {
            let bytes = array.as_fixed_size_binary().value(row);
            json!({"hex": bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()})
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            columns.map(|(field, column)| (field.name().clone(), cell(column, row))).collect()
        }
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Binary => {
            let bytes = array.as_binary::<i32>().value(row);
            json!({"hex": bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()})
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|i| cell(&items, i)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let key = |i| entries.column(0).as_string::<i32>().value(i).to_owned();
            (0..entries.len()).map(|i| (key(i), cell(entries.column(1), i))).collect()
        }
        other => panic!("no JSON for {other}"),
    }
}
