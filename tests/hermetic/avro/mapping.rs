//! What each Avro type becomes, and how a refusal reads.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use forebay::config::{Reader, Recursion, Unions, Unsigned};
use forebay::decode::{Options, Plan};

use super::{decoder, everyone, native, registered, unhex};

pub(super) fn field(field_type: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field_type}}}]}}"#)
}

/// The column of the one field `f`, written out: type, `?` if nullable, value as JSON.
fn column(field_type: &str, hex: &str, options: &Options) -> String {
    let mut decoder = decoder(&field(field_type), options);
    decoder.append(&unhex(hex)).unwrap_or_else(|e| panic!("{field_type}: {e}"));
    written(&decoder.finish())
}

fn written(batch: &RecordBatch) -> String {
    let schema = batch.schema();
    let field = schema.field(0);
    // The JSON writer knows offsets, not the name of a zone.
    let column = match field.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let offset = DataType::Timestamp(*unit, Some("+00:00".into()));
            arrow::compute::cast(batch.column(0), &offset).unwrap()
        }
        _ => batch.column(0).clone(),
    };
    let batch = RecordBatch::try_from_iter_with_nullable([(field.name(), column, true)]).unwrap();
    let mut json = Vec::new();
    let mut writer = arrow_json::writer::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow_json::writer::LineDelimited>(&mut json);
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let row = String::from_utf8(json).unwrap();
    let value = row.trim().strip_prefix(&format!("{{\"{}\":", field.name())).unwrap();
    let value = value.strip_suffix('}').unwrap();
    let mut data_type = field.data_type().to_string();
    while let Some((before, after)) = data_type.split_once(", metadata: {") {
        data_type = format!("{before}{}", after.split_once('}').unwrap().1);
    }
    format!("{data_type}{} {value}", if field.is_nullable() { "?" } else { "" })
}

/// Type, bytes of one value (the specification's examples where it has them), exact column, column for
/// every reader where it is another one.
pub(super) const TYPES: &[(&str, &str, &str, &str)] = &[
    (r#""null""#, "", "Null? null", ""),
    (r#""boolean""#, "01", "Boolean true", ""),
    (r#""int""#, "01", "Int32 -1", ""),
    (r#""long""#, "8001", "Int64 64", ""),
    (r#""float""#, "0000c03f", "Float32 1.5", ""),
    (r#""double""#, "000000000000f8bf", "Float64 -1.5", ""),
    (r#""bytes""#, "04cafe", r#"Binary "cafe""#, ""),
    (r#""string""#, "06666f6f", r#"Utf8 "foo""#, ""),
    (r#"["null","string"]"#, "00", "Utf8? null", ""),
    (r#"["null","string"]"#, "020261", r#"Utf8? "a""#, ""),
    (r#"["string","null"]"#, "000261", r#"Utf8? "a""#, ""),
    (r#"["string","null"]"#, "02", "Utf8? null", ""),
    (r#"["int"]"#, "0002", "Int32 1", ""),
    (r#"["null"]"#, "00", "Null? null", ""),
    (r#"{"type":"fixed","name":"F","size":3}"#, "010203", r#"FixedSizeBinary(3) "010203""#, ""),
    (r#"{"type":"fixed","name":"F","size":0}"#, "", r#"Binary """#, ""),
    (r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, "02", r#"Utf8 "B""#, ""),
    (r#"{"type":"int","logicalType":"date"}"#, "de9f02", r#"Date32 "2020-06-02""#, ""),
    (
        r#"{"type":"int","logicalType":"time-millis"}"#,
        "d00f",
        r#"Time32(ms) "00:00:01""#,
        "Int64 1000",
    ),
    (
        r#"{"type":"long","logicalType":"time-micros"}"#,
        "d00f",
        r#"Time64(µs) "00:00:00.001""#,
        "Int64 1000",
    ),
    (
        r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        "d00f",
        r#"Timestamp(ms, "UTC") "1970-01-01T00:00:01Z""#,
        "",
    ),
    (
        r#"{"type":"long","logicalType":"timestamp-micros"}"#,
        "01",
        r#"Timestamp(µs, "UTC") "1969-12-31T23:59:59.999999Z""#,
        "",
    ),
    (
        r#"{"type":"long","logicalType":"timestamp-nanos"}"#,
        "cf0f",
        r#"Timestamp(ns, "UTC") "1969-12-31T23:59:59.999999Z""#,
        r#"Timestamp(µs, "UTC") "1969-12-31T23:59:59.999999Z""#,
    ),
    (
        r#"{"type":"long","logicalType":"local-timestamp-millis"}"#,
        "d00f",
        r#"Timestamp(ms) "1970-01-01T00:00:01""#,
        "",
    ),
    (
        r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
        "d00f",
        r#"Timestamp(µs) "1970-01-01T00:00:00.001""#,
        "",
    ),
    (
        r#"{"type":"map","values":"int"}"#,
        "0202610200",
        r#"Map("key_value": non-null Struct("key": non-null Utf8, "value": non-null Int32), unsorted) {"a":1}"#,
        "",
    ),
    (
        r#"{"type":"map","values":["string","null"]}"#,
        "04026102026200026300",
        r#"Map("key_value": non-null Struct("key": non-null Utf8, "value": Utf8), unsorted) {"a":null,"b":"c"}"#,
        "",
    ),
    (
        r#"{"type":"long","logicalType":"local-timestamp-nanos"}"#,
        "d00f",
        r#"Timestamp(ns) "1970-01-01T00:00:00.000001""#,
        r#"Timestamp(µs) "1970-01-01T00:00:00.000001""#,
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}"#,
        "0404d2",
        "Decimal128(5, 2) 12.34",
        "",
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}"#,
        "00",
        "Decimal128(5, 2) 0.00",
        "",
    ),
    (
        r#"{"type":"fixed","name":"D","size":3,"logicalType":"decimal","precision":5}"#,
        "fffb2e",
        "Decimal128(5, 0) -1234",
        "",
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":50,"scale":2}"#,
        "0404d2",
        "Decimal256(50, 2) 12.34",
        r#"Utf8 "12.34""#,
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":90,"scale":2}"#,
        "0404d2",
        r#"Utf8 "12.34""#,
        "",
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":2000,"scale":2}"#,
        "0404d2",
        r#"Binary "04d2""#,
        "",
    ),
    (
        r#"{"type":"string","logicalType":"uuid"}"#,
        "4866383164346661652d376465632d313164302d613736352d303061306339316536626636",
        r#"FixedSizeBinary(16) "f81d4fae7dec11d0a76500a0c91e6bf6""#,
        r#"Utf8 "f81d4fae-7dec-11d0-a765-00a0c91e6bf6""#,
    ),
    (
        r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#,
        "f81d4fae7dec11d0a76500a0c91e6bf6",
        r#"FixedSizeBinary(16) "f81d4fae7dec11d0a76500a0c91e6bf6""#,
        r#"Utf8 "f81d4fae-7dec-11d0-a765-00a0c91e6bf6""#,
    ),
    (
        r#"{"type":"fixed","name":"P","size":12,"logicalType":"duration"}"#,
        "010000000200000003000000",
        r#"Struct("months": non-null Int64, "days": non-null Int64, "millis": non-null Int64) {"months":1,"days":2,"millis":3}"#,
        "",
    ),
    (r#"{"type":"long","logicalType":"light-years"}"#, "02", "Int64 1", ""),
    (r#"{"type":"bytes","logicalType":"big-decimal"}"#, "0404d2", r#"Binary "04d2""#, ""),
    (
        r#"{"type":"array","items":"long"}"#,
        "04063600",
        r#"List(non-null Int64, field: 'element') [3,27]"#,
        "",
    ),
    (
        r#"{"type":"array","items":["null","long"]}"#,
        "030600020600",
        r#"List(Int64, field: 'element') [null,3]"#,
        "",
    ),
    (
        r#"{"type":"array","items":"null"}"#,
        "0600",
        r#"List(Null, field: 'element') [null,null,null]"#,
        "",
    ),
    (r#"{"type":"record","name":"E","fields":[]}"#, "", "Boolean true", ""),
    (r#"["null",{"type":"record","name":"E","fields":[]}]"#, "00", "Boolean? null", ""),
    (
        r#"["null","string",{"type":"record","name":"a.P","fields":[{"name":"x","type":"int"}]},{"type":"record","name":"b.Q","fields":[]}]"#,
        "0402",
        r#"Struct("string": Utf8, "P": Struct("x": non-null Int32), "Q": Boolean)? {"string":null,"P":{"x":1},"Q":null}"#,
        "",
    ),
    (
        r#"["long","string"]"#,
        "020261",
        r#"Struct("long": Int64, "string": Utf8) {"long":null,"string":"a"}"#,
        "",
    ),
    (
        r#"[{"type":"fixed","name":"a.T","size":1},{"type":"fixed","name":"b.T","size":1}]"#,
        "0207",
        r#"Struct("T": FixedSizeBinary(1), "b.T": FixedSizeBinary(1)) {"T":null,"b.T":"07"}"#,
        "",
    ),
    (
        r#"["null",{"type":"record","name":"N","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","N"]}]}]"#,
        "020202040206020800",
        r#"Struct("v": non-null Int32, "next": Utf8)? {"v":1,"next":"{\"v\":2,\"next\":{\"v\":3,\"next\":{\"v\":4,\"next\":null}}}"}"#,
        "",
    ),
];

#[test]
fn every_type_has_its_column() {
    for (field_type, hex, exact, readable) in TYPES {
        assert_eq!(column(field_type, hex, &native()), *exact, "{field_type}");
        let readable = if readable.is_empty() { exact } else { readable };
        assert_eq!(column(field_type, hex, &everyone()), *readable, "{field_type} for all");
    }
}

#[test]
fn map_with_equal_keys_keeps_the_last() {
    let mut decoder = decoder(&field(r#"{"type":"map","values":"int"}"#), &native());
    decoder.append(&unhex("040261020262040202610600")).unwrap();
    let batch = decoder.finish();
    let entries = batch.column(0).as_map().value(0);
    let keys: Vec<&str> = entries.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(keys, ["b", "a"]);
    let values = entries.column(1).as_primitive::<arrow::datatypes::Int32Type>();
    assert_eq!(values.values(), &[2, 3]);
}

#[test]
fn json_map_with_equal_keys_keeps_the_last() {
    let mut options = native();
    options.value.unions = Unions::Json;
    let union = r#"["string",{"type":"map","values":"int"}]"#;
    let got = column(union, "02040261020262040202610600", &options);
    assert!(got.ends_with(r#" "{\"map\":{\"b\":2,\"a\":3}}""#), "{got}");
}

#[test]
fn union_as_json_keeps_null_as_null() {
    let mut options = native();
    options.value.unions = Unions::Json;
    let union = r#"["string","null","bytes"]"#;
    assert_eq!(column(union, "02", &options), "Utf8? null");
    assert_eq!(column(union, "0404cafe", &options), r#"Utf8? "{\"bytes\":\"yv4=\"}""#);
}

#[test]
fn recursive_field_as_bytes_keeps_the_bytes_of_the_value() {
    let mut options = native();
    options.value.recursion = Recursion::Bytes;
    let list = r#"{"type":"record","name":"L","fields":[{"name":"v","type":"int"},{"name":"l","type":["null","L"]}]}"#;
    let got = column(list, "02020400", &options);
    assert!(got.ends_with(r#"{"v":1,"l":"0400"}"#), "{got}");
}

#[test]
fn recursive_field_dropped_leaves_the_fields_around_it() {
    let mut options = native();
    options.value.recursion = Recursion::Drop;
    let tree = r#"{"type":"record","name":"T","fields":[{"name":"kids","type":{"type":"array","items":"T"}},{"name":"v","type":"int"}]}"#;
    // Two children, then the value.
    let got = column(tree, "04000200040006", &options);
    assert_eq!(got, r#"Struct("v": non-null Int32) {"v":3}"#);
}

#[test]
fn unsigned_parts_of_a_duration_stay_unsigned_by_option() {
    let mut options = native();
    options.value.unsigned = Unsigned::Native;
    let got = column(
        r#"{"type":"fixed","name":"P","size":12,"logicalType":"duration"}"#,
        "ffffffff0000000000000000",
        &options,
    );
    assert!(got.contains("non-null UInt32") && got.contains("4294967295"), "{got}");
}

#[test]
fn top_level_that_is_no_record_is_one_column() {
    for (schema, hex, expected) in [
        (r#""string""#, "0261", r#"Utf8 "a""#),
        (r#""bytes""#, "0261", r#"Binary "0261""#),
        (r#""bytes""#, "", r#"Binary """#),
        (
            r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#,
            "04d2",
            "Decimal128(4, 2) 12.34",
        ),
        (r#"["null","bytes"]"#, "020261", r#"Binary? "61""#),
        (
            r#"{"type":"array","items":"int"}"#,
            "020200",
            "List(non-null Int32, field: 'element') [1]",
        ),
    ] {
        let mut decoder = decoder(schema, &native());
        decoder.append(&unhex(hex)).unwrap();
        let batch = decoder.finish();
        assert_eq!(batch.schema().field(0).name(), "value");
        assert_eq!(written(&batch), expected, "{schema}");
    }
    let plan = Plan::compile(&registered(r#""bytes""#), &[], &native()).unwrap();
    assert_eq!(plan.record_name, "bytes");
    let plan = Plan::compile(&registered(&field("\"int\"")), &[], &native()).unwrap();
    assert_eq!(plan.record_name, "R");
}

#[test]
fn columns_of_one_name_but_for_case_are_told_apart() {
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"int"},{"name":"ID","type":"long"}]}"#;
    let plan = Plan::compile(&registered(schema), &[], &everyone()).unwrap();
    let names: Vec<&String> = plan.schema.fields().iter().map(|f| f.name()).collect();
    assert_eq!(names, ["id", "ID_2"]);
    assert_eq!(plan.notes.len(), 1, "{:?}", plan.notes);
}

#[test]
fn what_was_chosen_for_the_readers_is_noted_with_its_path() {
    let schema = field(
        r#"{"type":"record","name":"I","fields":[{"name":"at","type":{"type":"array","items":{"type":"long","logicalType":"timestamp-nanos"}}}]}"#,
    );
    let mut options = native();
    options.readers = vec![Reader::Spark];
    let plan = Plan::compile(&registered(&schema), &[], &options).unwrap();
    assert_eq!(plan.notes, ["f.at[]: ns → µs for spark"]);
}

#[test]
fn time_as_an_integer_says_its_unit() {
    let schema = field(r#"{"type":"int","logicalType":"time-millis"}"#);
    let plan = Plan::compile(&registered(&schema), &[], &everyone()).unwrap();
    assert_eq!(plan.schema.field(0).data_type(), &DataType::Int64);
    assert_eq!(plan.schema.field(0).metadata()["forebay.unit"], "ms");
}

#[test]
fn nanoseconds_are_cut_only_by_option() {
    let schema = field(r#"{"type":"long","logicalType":"timestamp-nanos"}"#);
    let mut options = everyone();
    options.value.truncate_timestamps = false;
    let message = decoder(&schema, &options).append(&[1]).unwrap_err().to_string();
    assert!(
        message.starts_with("FB0205 avro field `f` at byte 1: timestamp of `-1` nanoseconds"),
        "{message}"
    );
    options.value.truncate_timestamps = true;
    let mut decoder = decoder(&schema, &options);
    decoder.append(&[1]).unwrap();
    assert_eq!(written(&decoder.finish()), r#"Timestamp(µs, "UTC") "1969-12-31T23:59:59.999999Z""#);
}

#[test]
fn named_type_used_twice_has_its_columns_twice() {
    let schema = r#"{"type":"record","name":"R","namespace":"n","fields":[
        {"name":"a","type":{"type":"fixed","name":"D","size":2,"logicalType":"decimal","precision":4,"scale":1}},
        {"name":"b","type":{"type":"record","name":"S","aliases":["Old"],"fields":[{"name":"x","type":"D"}]}},
        {"name":"c","type":["null","n.S"]},
        {"name":"d","type":"Old"}]}"#;
    let mut decoder = decoder(schema, &native());
    decoder.append(&unhex("000100020200040005")).unwrap();
    let batch = decoder.finish();
    let text = |array: &dyn Array| {
        array.as_primitive::<arrow::datatypes::Decimal128Type>().value_as_string(0)
    };
    let inner = |i: usize| text(batch.column(i).as_struct().column(0));
    assert_eq!(batch.column(0).data_type(), &DataType::Decimal128(4, 1));
    assert_eq!([text(batch.column(0)), inner(1), inner(2), inner(3)], ["0.1", "0.2", "0.4", "0.5"]);
}

/// Field type, bytes, what the reject says.
const REFUSALS: &[(&str, &str, &str)] = &[
    (
        r#""int""#,
        "",
        "FB0240 avro field `f` at byte 0: int cut off after 0 bytes, its last byte required",
    ),
    (
        r#""string""#,
        "0a6162",
        "FB0240 avro field `f` at byte 1: string of 5 bytes, at most the 2 bytes that are left required",
    ),
    (
        r#""double""#,
        "00",
        "FB0240 avro field `f` at byte 0: double of 8 bytes, at most the 1 bytes that are left required",
    ),
    (r#""int""#, "0200", "FB0241 avro value at byte 1: 1 bytes after the datum, none required"),
    (
        r#"["null","int"]"#,
        "04",
        "FB0242 avro field `f` at byte 1: union branch `2`, 0 to 1 required",
    ),
    (
        r#"["int","string","null"]"#,
        "01",
        "FB0242 avro field `f` at byte 1: union branch `-1`, 0 to 2 required",
    ),
    (
        r#"{"type":"enum","name":"E","symbols":["A"]}"#,
        "02",
        "FB0243 avro field `f` at byte 1: enum symbol `1`, 0 to 0 required",
    ),
    (r#""boolean""#, "02", "FB0244 avro field `f` at byte 0: boolean `2`, 0 or 1 required"),
    (
        r#""string""#,
        "04c328",
        "FB0202 avro field `f` at byte 3: string that is not UTF-8, UTF-8 required",
    ),
    (
        r#""int""#,
        "feffffff1f",
        "FB0245 avro field `f` at byte 0: int of more than 32 bits, at most 32 required",
    ),
    (
        r#""long""#,
        "8080808080808080808001",
        "FB0245 avro field `f` at byte 0: long of more than 64 bits, at most 64 required",
    ),
    (
        r#""bytes""#,
        "01",
        "FB0246 avro field `f` at byte 1: bytes of `-1` bytes, 0 or more required",
    ),
    (
        r#"{"type":"array","items":"int"}"#,
        "c80100",
        "FB0247 avro field `f` at byte 2: array block of `100` items, no more than the 1 bytes that are left required",
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":3}"#,
        "0403e8",
        "FB0248 avro field `f` at byte 3: decimal in 2 bytes of more digits than the schema says, at most 3 required",
    ),
    (
        r#"{"type":"int","logicalType":"time-millis"}"#,
        "01",
        "FB0205 avro field `f` at byte 1: time of day of `-1` milliseconds, 0 to 86399999 required",
    ),
    (
        r#"{"type":"string","logicalType":"uuid"}"#,
        "0261",
        "FB0249 avro field `f` at byte 2: uuid `a`",
    ),
    (
        r#"{"type":"array","items":{"type":"record","name":"P","fields":[{"name":"m","type":{"type":"map","values":["null","boolean"]}}]}}"#,
        "04000202610207",
        "FB0244 avro field `f[1].m[\"a\"]` at byte 6: boolean `7`, 0 or 1 required",
    ),
];

#[test]
fn refusal_names_field_byte_found_and_required() {
    for (field_type, hex, expected) in REFUSALS {
        let mut decoder = decoder(&field(field_type), &native());
        let message = decoder.append(&unhex(hex)).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{field_type}: {message}");
    }
}

#[test]
fn logical_type_beside_the_type_is_ignored_and_noted() {
    let schema = r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"at","type":"long","logicalType":"timestamp-millis"}]}"#;
    let plan = Plan::compile(&registered(schema), &[], &native()).unwrap();
    assert_eq!(plan.schema.field(0).data_type(), &DataType::Int64);
    assert!(plan.notes[0].starts_with(r#"n.R.at: logicalType "timestamp-millis" has no effect"#));
}

/// Type, bytes of a value, the column for Spark, Athena, Trino and DuckDB, each alone: the exact type where
/// the reader opens it (files written and opened with Spark 4.0 and DuckDB 2.0; the documentation of the
/// other two).
const READERS: &[(&str, &str, [&str; 4])] = &[
    (
        r#"{"type":"string","logicalType":"uuid"}"#,
        "4866383164346661652d376465632d313164302d613736352d303061306339316536626636",
        ["Utf8", "Utf8", "Utf8", "FixedSizeBinary(16)"],
    ),
    (
        r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#,
        "f81d4fae7dec11d0a76500a0c91e6bf6",
        ["Utf8", "Utf8", "Utf8", "FixedSizeBinary(16)"],
    ),
    (
        r#"{"type":"int","logicalType":"time-millis"}"#,
        "02",
        ["Int64", "Int64", "Int64", "Time32(ms)"],
    ),
    (
        r#"{"type":"long","logicalType":"time-micros"}"#,
        "02",
        ["Int64", "Int64", "Int64", "Time64(µs)"],
    ),
    (
        r#"{"type":"long","logicalType":"timestamp-nanos"}"#,
        "d00f",
        [
            r#"Timestamp(µs, "UTC")"#,
            r#"Timestamp(µs, "UTC")"#,
            r#"Timestamp(µs, "UTC")"#,
            r#"Timestamp(ns, "UTC")"#,
        ],
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":39,"scale":2}"#,
        "0404d2",
        ["Utf8", "Utf8", "Utf8", "Utf8"],
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":38,"scale":2}"#,
        "0404d2",
        ["Decimal128(38, 2)", "Decimal128(38, 2)", "Decimal128(38, 2)", "Decimal128(38, 2)"],
    ),
];

#[test]
fn each_reader_alone_gets_what_it_opens() {
    let readers = [Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb];
    for (field_type, hex, expected) in READERS {
        for (reader, expected) in readers.into_iter().zip(expected) {
            let options = Options { readers: vec![reader], ..native() };
            let mut decoder = decoder(&field(field_type), &options);
            decoder.append(&unhex(hex)).unwrap();
            let batch = decoder.finish();
            let got = batch.schema().field(0).data_type().to_string();
            assert_eq!(got, *expected, "{field_type} for {reader:?}");
        }
    }
}

/// Type, bytes, the JSON text of its value: bytes as base64, numbers with every digit, times as RFC 3339.
const TEXTS: &[(&str, &str, &str)] = &[
    (r#""boolean""#, "01", "true"),
    (r#""int""#, "01", "-1"),
    (r#""long""#, "feffffffffffffffff01", "9223372036854775807"),
    (r#""float""#, "cdcccc3d", "0.1"),
    (r#""float""#, "0000c07f", r#""NaN""#),
    (r#""double""#, "000000000000f0ff", r#""-Infinity""#),
    (r#""double""#, "9a9999999999b93f", "0.1"),
    (r#""bytes""#, "04cafe", r#""yv4=""#),
    (r#""string""#, "08610a2201", r#""a\n\"\u0001""#),
    (r#"{"type":"fixed","name":"F","size":2}"#, "cafe", r#""yv4=""#),
    (r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, "02", r#""B""#),
    (r#"{"type":"array","items":["null","int"]}"#, "0402020000", "[1,null]"),
    (r#"{"type":"map","values":"int"}"#, "0202610200", r#"{"a":1}"#),
    (r#"{"type":"record","name":"I","fields":[{"name":"x","type":"int"}]}"#, "02", r#"{"x":1}"#),
    (r#"{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}"#, "0404d2", r#""12.34""#),
    (r#"{"type":"int","logicalType":"date"}"#, "de9f02", r#""2020-06-02""#),
    (r#"{"type":"int","logicalType":"time-millis"}"#, "d00f", r#""00:00:01.000""#),
    (r#"{"type":"long","logicalType":"time-micros"}"#, "d00f", r#""00:00:00.001000""#),
    (r#"{"type":"long","logicalType":"timestamp-millis"}"#, "d00f", r#""1970-01-01T00:00:01Z""#),
    (
        r#"{"type":"long","logicalType":"timestamp-nanos"}"#,
        "02",
        r#""1970-01-01T00:00:00.000000001Z""#,
    ),
    (
        r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
        "01",
        r#""1969-12-31T23:59:59.999999""#,
    ),
    (
        r#"{"type":"string","logicalType":"uuid"}"#,
        "4866383164346661652d376465632d313164302d613736352d303061306339316536626636",
        r#""f81d4fae-7dec-11d0-a765-00a0c91e6bf6""#,
    ),
    (
        r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#,
        "f81d4fae7dec11d0a76500a0c91e6bf6",
        r#""f81d4fae-7dec-11d0-a765-00a0c91e6bf6""#,
    ),
    (
        r#"{"type":"fixed","name":"P","size":12,"logicalType":"duration"}"#,
        "010000000200000003000000",
        r#"{"months":1,"days":2,"millis":3}"#,
    ),
];

/// Where a value has no columns, in a union as JSON and below a record inside itself, its text is the same.
#[test]
fn every_type_has_its_json_text() {
    let mut options = native();
    options.value.unions = Unions::Json;
    for (value_type, hex, text) in TEXTS {
        let other = if value_type.contains("\"boolean\"") {
            "\"null\",\"int\""
        } else {
            "\"null\",\"boolean\""
        };
        let mut decoder = decoder(&field(&format!("[{other},{value_type}]")), &options);
        decoder.append(&unhex(&format!("04{hex}"))).unwrap_or_else(|e| panic!("{value_type}: {e}"));
        let batch = decoder.finish();
        let got = batch.column(0).as_string::<i32>().value(0).to_owned();
        let (_, value) = got.split_once(':').unwrap();
        assert_eq!(value, format!("{text}}}"), "{value_type} in {got}");

        let schema = format!(
            r#"{{"type":"record","name":"N","fields":[{{"name":"v","type":["null",{value_type}]}},{{"name":"n","type":["null","N"]}}]}}"#
        );
        let mut decoder = super::decoder(&schema, &native());
        decoder.append(&unhex(&format!("000202{hex}00"))).unwrap();
        let batch = decoder.finish();
        let got = batch.column(1).as_string::<i32>().value(0);
        assert_eq!(got, format!(r#"{{"v":{text},"n":null}}"#), "{value_type}");
    }
}

#[test]
fn refusal_below_a_record_inside_itself_names_the_whole_path() {
    let schema = r#"{"type":"record","name":"N","fields":[{"name":"next","type":["null","N"]},{"name":"all","type":{"type":"map","values":["null","string","N"]}}]}"#;
    for recursion in [Recursion::Json, Recursion::Bytes, Recursion::Drop] {
        let mut options = native();
        options.value.recursion = recursion;
        let mut decoder = decoder(schema, &options);
        for (hex, expected) in [
            (
                "020204",
                "FB0242 avro field `next.next.next` at byte 3: union branch `2`, 0 to 1 required",
            ),
            (
                "02000202610409",
                "FB0242 avro field `next.all[\"a\"].N.next` at byte 7: union branch `-5`, 0 to 1 required",
            ),
            (
                "020002026b0201",
                "FB0246 avro field `next.all[\"k\"].string` at byte 7: string of `-1` bytes, 0 or more required",
            ),
        ] {
            let message = decoder.append(&unhex(hex)).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{recursion:?} {hex}: {message}");
        }
    }
}
