//! Each form against text written by hand; dates against jiff.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, TimeUnit, UInt8Type, i256};

use super::{json, time};

fn one(name: &str, array: ArrayRef) -> String {
    let field = Field::new(name, array.data_type().clone(), true);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array]).unwrap();
    json(&batch).join("\n")
}

#[test]
fn integers_and_decimals_keep_every_digit() {
    let ints: ArrayRef = Arc::new(Int64Array::from(vec![i64::MIN, 9_007_199_254_740_993]));
    assert_eq!(one("a", ints), "{\"a\":-9223372036854775808}\n{\"a\":9007199254740993}");
    assert_eq!(
        one("a", Arc::new(UInt64Array::from(vec![u64::MAX]))),
        r#"{"a":18446744073709551615}"#
    );
    let decimals = Decimal128Array::from(vec![Some(-5), None, Some(i128::from(i64::MAX) * 100)]);
    let decimals = decimals.with_precision_and_scale(38, 2).unwrap();
    assert_eq!(
        one("a", Arc::new(decimals)),
        "{\"a\":\"-0.05\"}\n{\"a\":null}\n{\"a\":\"9223372036854775807.00\"}"
    );
    let wide = Decimal256Array::from(vec![i256::from_string(&"9".repeat(76)).unwrap()]);
    let wide = wide.with_precision_and_scale(76, 0).unwrap();
    assert_eq!(one("a", Arc::new(wide)), format!("{{\"a\":\"{}\"}}", "9".repeat(76)));
}

#[test]
fn floats_are_the_shortest_that_read_back_and_strings_where_json_has_no_number() {
    let floats = vec![0.1, 1e300, -0.0, 5e-324, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 3.0];
    assert_eq!(
        one("a", Arc::new(Float64Array::from(floats))),
        [r#"0.1"#, "1e300", "-0.0", "5e-324", r#""NaN""#, r#""Infinity""#, r#""-Infinity""#, "3.0"]
            .map(|v| format!("{{\"a\":{v}}}"))
            .join("\n")
    );
    assert_eq!(one("a", Arc::new(Float32Array::from(vec![0.1f32]))), r#"{"a":0.1}"#);
}

#[test]
fn text_is_escaped_and_bytes_are_base64() {
    assert_eq!(
        one("k\"ey", Arc::new(StringArray::from(vec!["a\"\n\u{1}ü\u{2028}"]))),
        "{\"k\\\"ey\":\"a\\\"\\n\\u0001ü\u{2028}\"}"
    );
    // RFC 4648, section 10.
    assert_eq!(one("a", Arc::new(BinaryArray::from(vec![&b"foob"[..]]))), r#"{"a":"Zm9vYg=="}"#);
    let fixed: ArrayRef =
        Arc::new(FixedSizeBinaryArray::try_from_iter([[0xffu8; 16]].into_iter()).unwrap());
    assert_eq!(one("a", fixed.clone()), r#"{"a":"/////////////////////w=="}"#);
    let field = Field::new("a", DataType::FixedSizeBinary(16), false)
        .with_metadata([("ARROW:extension:name".to_owned(), "arrow.uuid".to_owned())]);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![fixed]).unwrap();
    assert_eq!(json(&batch), [r#"{"a":"ffffffff-ffff-ffff-ffff-ffffffffffff"}"#]);
}

#[test]
fn times_are_rfc_3339_with_as_few_decimals_as_hold_them() {
    let at = |value, unit| time::instant(value, unit, true);
    assert_eq!(at(1_767_312_000_000, TimeUnit::Millisecond), "2026-01-02T00:00:00Z");
    assert_eq!(at(-1, TimeUnit::Millisecond), "1969-12-31T23:59:59.999Z");
    assert_eq!(at(1_000, TimeUnit::Nanosecond), "1970-01-01T00:00:00.000001Z");
    assert_eq!(at(1, TimeUnit::Nanosecond), "1970-01-01T00:00:00.000000001Z");
    // The last microsecond of 64 bits, as PostgreSQL and Java give it.
    assert_eq!(at(i64::MAX, TimeUnit::Microsecond), "+294247-01-10T04:00:54.775807Z");
    assert_eq!(time::date(-719_529), "-0001-12-31");
    assert_eq!(time::clock(54_245_250, TimeUnit::Millisecond), "15:04:05.250");
    assert_eq!(time::instant(0, TimeUnit::Second, false), "1970-01-01T00:00:00");
    for extreme in [i64::MIN, i64::MAX] {
        for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Nanosecond] {
            assert!(at(extreme, unit).ends_with('Z'));
        }
    }
}

#[test]
fn dates_are_those_of_another_library() {
    let epoch = jiff::civil::date(1970, 1, 1);
    for days in (-719_528..2_932_896).step_by(37) {
        let theirs = epoch + jiff::Span::new().days(days);
        assert_eq!(time::date(days), theirs.to_string());
    }
}

#[test]
fn nested_values_are_objects_and_arrays_and_null_is_null() {
    let pair = Fields::from(vec![
        Field::new("x", DataType::Int32, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), true),
    ]);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![Some(1), None, Some(3)])),
        Arc::new(TimestampMillisecondArray::from(vec![0, 1, 2]).with_timezone("UTC")),
    ];
    let structs = StructArray::new(pair, columns, Some(vec![true, true, false].into()));
    assert_eq!(
        one("s", Arc::new(structs)),
        "{\"s\":{\"x\":1,\"at\":\"1970-01-01T00:00:00Z\"}}\n{\"s\":{\"x\":null,\"at\":\"1970-01-01T00:00:00.001Z\"}}\n{\"s\":null}"
    );
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None]),
        Some(vec![]),
        None,
    ]);
    assert_eq!(one("l", Arc::new(lists)), "{\"l\":[1,null]}\n{\"l\":[]}\n{\"l\":null}");
    let words: DictionaryArray<UInt8Type> =
        [Some("a"), None, Some("b"), Some("a")].into_iter().collect();
    assert_eq!(
        one("d", Arc::new(words)),
        "{\"d\":\"a\"}\n{\"d\":null}\n{\"d\":\"b\"}\n{\"d\":\"a\"}"
    );
}

#[test]
fn maps_are_objects_whatever_their_keys_are() {
    let mut texts = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    texts.keys().append_value("a\"b");
    texts.values().append_value(1);
    texts.keys().append_value("");
    texts.values().append_null();
    texts.append(true).unwrap();
    assert_eq!(one("m", Arc::new(texts.finish())), r#"{"m":{"a\"b":1,"":null}}"#);
    let mut numbers = MapBuilder::new(None, Int64Builder::new(), BooleanBuilder::new());
    numbers.keys().append_value(-7);
    numbers.values().append_value(true);
    numbers.append(true).unwrap();
    assert_eq!(one("m", Arc::new(numbers.finish())), r#"{"m":{"-7":true}}"#);
}
