//! What each type of JSON Schema becomes, and how a refusal reads.

use arrow::array::{AsArray, RecordBatch};
use forebay::config::{Extra, Presence, Recursion, Unions, Unsigned};
use forebay::decode::{Decoder, Options, Plan};

use super::{columns, everyone, lines, native, plan, row, try_plan, with_references};

/// A schema of one required property `f`.
fn field(schema: &str) -> String {
    format!(r#"{{"type":"object","properties":{{"f":{schema}}},"required":["f"]}}"#)
}

/// The column of the one field `f`, written out: type, `?` if nullable, value as JSON.
fn column(schema: &str, value: &str, options: &Options) -> String {
    let plan = try_plan(&field(schema), options).unwrap_or_else(|e| panic!("{schema}: {e}"));
    let batch = row(&plan, &format!(r#"{{"f":{value}}}"#));
    written(&batch.unwrap_or_else(|e| panic!("{schema} {value}: {e}")))
}

fn written(batch: &RecordBatch) -> String {
    let schema = batch.schema();
    let field = schema.field(0);
    let json = lines(&batch.project(&[0]).unwrap());
    let value = json[0].trim().strip_prefix(&format!("{{\"{}\":", field.name())).unwrap();
    let value = value.strip_suffix('}').unwrap();
    let mut data_type = field.data_type().to_string();
    while let Some((before, after)) = data_type.split_once(", metadata: {") {
        data_type = format!("{before}{}", after.split_once('}').unwrap().1);
    }
    format!("{data_type}{} {value}", if field.is_nullable() { "?" } else { "" })
}

/// Schema, value, exact column, column for every reader where it is another one.
const TYPES: &[(&str, &str, &str, &str)] = &[
    (r#"{"type":"null"}"#, "null", "Null? null", ""),
    (r#"{"type":"boolean"}"#, "true", "Boolean true", ""),
    (r#"{"type":"integer"}"#, "-7", "Int64 -7", ""),
    (r#"{"type":"integer"}"#, "1e3", "Int64 1000", ""),
    (r#"{"type":"integer"}"#, "1.0", "Int64 1", ""),
    (r#"{"type":"integer"}"#, "9223372036854775807", "Int64 9223372036854775807", ""),
    (r#"{"type":"integer"}"#, "-9223372036854775808", "Int64 -9223372036854775808", ""),
    (
        r#"{"type":"integer","minimum":0,"maximum":18446744073709551615}"#,
        "18446744073709551615",
        "Decimal128(20, 0) 18446744073709551615",
        "",
    ),
    (
        r#"{"type":"integer","maximum":1e30}"#,
        "123456789012345678901234567890",
        "Decimal128(38, 0) 123456789012345678901234567890",
        "",
    ),
    (r#"{"type":"number"}"#, "1.5", "Float64 1.5", ""),
    (r#"{"type":"number"}"#, "3", "Float64 3.0", ""),
    (r#"{"type":"number"}"#, r#""NaN""#, "Float64 null", ""),
    (r#"{"type":"string"}"#, r#""a\u00e9\n\ud83d\ude00""#, r#"Utf8 "aé\n😀""#, ""),
    (r#"{"type":["string","null"]}"#, "null", "Utf8? null", ""),
    (r#"{"type":["null","string"]}"#, r#""x""#, r#"Utf8? "x""#, ""),
    (r#"{"oneOf":[{"type":"null"},{"type":"integer"}]}"#, "null", "Int64? null", ""),
    (r#"{"anyOf":[{"type":"integer"},{"type":"null"}]}"#, "5", "Int64? 5", ""),
    (r#"{"type":["integer","number"]}"#, "5", "Float64 5.0", ""),
    (r#"{"enum":["A","B"]}"#, r#""B""#, r#"Utf8 "B""#, ""),
    (r#"{"enum":["A",null]}"#, "null", "Utf8? null", ""),
    (r#"{"enum":[1,2]}"#, "2", "Int64 2", ""),
    (r#"{"type":"string","enum":["A"]}"#, r#""Z""#, r#"Utf8 "Z""#, ""),
    (r#"{"const":"x"}"#, r#""x""#, r#"Utf8 "x""#, ""),
    (r#"{"const":true}"#, "true", "Boolean true", ""),
    (r#"{"oneOf":[{"const":"a"},{"const":"b","title":"B"}]}"#, r#""b""#, r#"Utf8 "b""#, ""),
    (r#"{"type":"string","format":"email"}"#, r#""a@b""#, r#"Utf8 "a@b""#, ""),
    (r#"{"type":"string","format":"date"}"#, r#""2020-06-02""#, r#"Date32 "2020-06-02""#, ""),
    (
        r#"{"type":"string","format":"date-time"}"#,
        r#""2020-06-02T12:00:00.25+02:00""#,
        r#"Timestamp(µs, "UTC") "2020-06-02T10:00:00.250Z""#,
        "",
    ),
    (
        r#"{"type":"string","format":"time"}"#,
        r#""00:00:01.5Z""#,
        r#"Time64(µs) "00:00:01.500""#,
        "Int64 1500000",
    ),
    (
        r#"{"type":"string","format":"uuid"}"#,
        r#""F81D4FAE-7dec-11d0-a765-00a0c91e6bf6""#,
        r#"FixedSizeBinary(16) "f81d4fae7dec11d0a76500a0c91e6bf6""#,
        r#"Utf8 "F81D4FAE-7dec-11d0-a765-00a0c91e6bf6""#,
    ),
    (r#"{"type":"string","contentEncoding":"base64"}"#, r#""yv4=""#, r#"Binary "cafe""#, ""),
    (r#"{"type":"string","connect.type":"bytes"}"#, r#""yv4""#, r#"Binary "cafe""#, ""),
    (r#"{"type":"integer","connect.type":"int8"}"#, "-128", "Int32 -128", ""),
    (r#"{"type":"integer","connect.type":"int16"}"#, "32767", "Int32 32767", ""),
    (r#"{"type":"integer","connect.type":"int32"}"#, "-2147483648", "Int32 -2147483648", ""),
    (r#"{"type":"integer","connect.type":"int64"}"#, "1", "Int64 1", ""),
    (r#"{"type":"number","connect.type":"float32"}"#, "1.5", "Float32 1.5", ""),
    (r#"{"type":"number","connect.type":"float64"}"#, "1.5", "Float64 1.5", ""),
    (
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.type":"int32"}"#,
        "18415",
        r#"Date32 "2020-06-02""#,
        "",
    ),
    (
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Time","connect.type":"int32"}"#,
        "1000",
        r#"Time32(ms) "00:00:01""#,
        "Int64 1000",
    ),
    (
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.type":"int64"}"#,
        "1591092000250",
        r#"Timestamp(ms, "UTC") "2020-06-02T10:00:00.250Z""#,
        "",
    ),
    (
        r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2"}}"#,
        "12.30",
        "Decimal128(38, 2) 12.30",
        "",
    ),
    (
        r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"5"}}"#,
        // -1234 in two's complement, as BigInteger.toByteArray has it
        r#""+y4=""#,
        "Decimal128(5, 2) -12.34",
        "",
    ),
    (
        r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"50"}}"#,
        "123456789012345678901234567890123456789012345678.9",
        "Decimal256(50, 2) 123456789012345678901234567890123456789012345678.90",
        r#"Utf8 "123456789012345678901234567890123456789012345678.9""#,
    ),
    (
        r#"{"type":"array","items":{"type":"integer"}}"#,
        "[1,2]",
        "List(non-null Int64, field: 'element') [1,2]",
        "",
    ),
    (
        r#"{"type":"array","items":{"type":["integer","null"]}}"#,
        "[1,null]",
        "List(Int64, field: 'element') [1,null]",
        "",
    ),
    (r#"{"type":"array"}"#, r#"[1,"a"]"#, r#"List(Utf8, field: 'element') ["1","\"a\""]"#, ""),
    (
        r#"{"type":"array","items":[{"type":"integer"}]}"#,
        r#"[1, "a"]"#,
        r#"Utf8? "[1, \"a\"]""#,
        "",
    ),
    (
        r#"{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}"#,
        r#"{"a":1,"z":[{}]}"#,
        r#"Struct("a": non-null Int64) {"a":1}"#,
        "",
    ),
    (
        r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#,
        "{}",
        r#"Struct("a": Int64) {"a":null}"#,
        "",
    ),
    (
        r#"{"type":"object","additionalProperties":{"type":"integer"}}"#,
        r#"{"x":1,"y":2,"x":3}"#,
        r#"Map("key_value": non-null Struct("key": non-null Utf8, "value": non-null Int64), unsorted) {"y":2,"x":3}"#,
        "",
    ),
    (
        r#"{"type":"object","connect.type":"map","additionalProperties":{"type":["string","null"]}}"#,
        r#"{"x":null}"#,
        r#"Map("key_value": non-null Struct("key": non-null Utf8, "value": Utf8), unsorted) {"x":null}"#,
        "",
    ),
    (
        r#"{"type":"object","patternProperties":{"^x":{"type":"boolean"}},"additionalProperties":false}"#,
        r#"{"x1":true}"#,
        r#"Map("key_value": non-null Struct("key": non-null Utf8, "value": non-null Boolean), unsorted) {"x1":true}"#,
        "",
    ),
    (r#"{"type":"object"}"#, r#"{"a" : 1}"#, r#"Utf8 "{\"a\" : 1}""#, ""),
    (r#"{"type":"object","additionalProperties":false}"#, "{}", "Boolean true", ""),
    ("{}", "[1e400]", r#"Utf8? "[1e400]""#, ""),
    ("true", "12345678901234567890.10", r#"Utf8? "12345678901234567890.10""#, ""),
    ("{}", "null", "Utf8? null", ""),
    (
        r#"{"type":["integer","string"]}"#,
        "1",
        r#"Struct("integer": Int64, "string": Utf8) {"integer":1,"string":null}"#,
        "",
    ),
    (
        r#"{"oneOf":[{"type":"integer"},{"type":"string","format":"date-time"},{"type":"string"},{"type":"null"}]}"#,
        r#""2020""#,
        r#"Struct("integer": Int64, "date_time": Timestamp(µs, "UTC"), "string": Utf8)? {"integer":null,"date_time":null,"string":"2020"}"#,
        "",
    ),
    (
        r#"{"oneOf":[{"title":"Card","properties":{"kind":{"const":"card"},"pan":{"type":"string"}}},{"title":"Cash","properties":{"kind":{"const":"cash"},"paid":{"type":"number"}}}]}"#,
        r#"{"paid":1.5,"kind":"cash"}"#,
        r#"Struct("Card": Struct("kind": Utf8, "pan": Utf8), "Cash": Struct("kind": Utf8, "paid": Float64)) {"Card":null,"Cash":{"kind":"cash","paid":1.5}}"#,
        "",
    ),
    (
        r#"{"anyOf":[{"title":"A","properties":{"x":{"type":"integer"}}},{"title":"B","properties":{"x":{"type":"integer"},"y":{"type":"integer"}}}]}"#,
        r#"{"x":1,"y":2}"#,
        r#"Struct("A": Struct("x": Int64), "B": Struct("x": Int64, "y": Int64)) {"A":null,"B":{"x":1,"y":2}}"#,
        "",
    ),
    (
        r#"{"allOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"b":{"type":"string"}},"required":["a"]}]}"#,
        r#"{"b":"x","a":1}"#,
        r#"Struct("a": non-null Int64, "b": Utf8) {"a":1,"b":"x"}"#,
        "",
    ),
    (r#"{"allOf":[{"type":"integer"},{"minimum":3}]}"#, "5", "Int64 5", ""),
    (r#"{"allOf":[{"type":"integer"},{"type":"string"}]}"#, "5", r#"Utf8? "5""#, ""),
    (
        r#"{"type":"object","properties":{"t":{"type":"string"}},"oneOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},{"required":["t"]}]}"#,
        r#"{"a":1}"#,
        r#"Struct("t": Utf8, "a": Int64) {"t":null,"a":1}"#,
        "",
    ),
];

#[test]
fn every_type_becomes_its_column() {
    for (schema, value, exact, for_all) in TYPES {
        assert_eq!(column(schema, value, &native()), *exact, "{schema} {value}");
        let for_all = if for_all.is_empty() { exact } else { for_all };
        assert_eq!(column(schema, value, &everyone()), *for_all, "{schema} {value}, every reader");
    }
}

/// Schema, value, code.
const REFUSED: &[(&str, &str, &str)] = &[
    (r#"{"type":"integer"}"#, "1.5", "FB0265"),
    (r#"{"type":"integer"}"#, "9223372036854775808", "FB0265"),
    (r#"{"type":"integer"}"#, "1e999999999", "FB0265"),
    (r#"{"type":"integer"}"#, r#""1""#, "FB0262"),
    (r#"{"type":"integer"}"#, "null", "FB0263"),
    (r#"{"type":"integer"}"#, "nul", "FB0260"),
    (r#"{"type":"integer"}"#, "01", "FB0260"),
    (r#"{"type":"integer"}"#, "+1", "FB0260"),
    (r#"{"type":"integer"}"#, "NaN", "FB0260"),
    (r#"{"type":"integer","connect.type":"int8"}"#, "128", "FB0265"),
    (r#"{"type":"integer","connect.type":"int32"}"#, "2147483648", "FB0265"),
    (r#"{"type":"number"}"#, "1e400", "FB0265"),
    (r#"{"type":"number"}"#, r#""nan""#, "FB0262"),
    (r#"{"type":"number","connect.type":"float32"}"#, "1e39", "FB0265"),
    (r#"{"type":"boolean"}"#, "0", "FB0262"),
    (r#"{"type":"boolean"}"#, "tru", "FB0260"),
    (r#"{"type":"string"}"#, "1", "FB0262"),
    (r#"{"type":"string"}"#, r#""\ud800""#, "FB0269"),
    (r#"{"type":"string"}"#, r#""\ud800\u0041""#, "FB0269"),
    (r#"{"type":"string"}"#, r#""\udc00""#, "FB0269"),
    (r#"{"type":"string"}"#, r#""\x""#, "FB0260"),
    (r#"{"type":"string"}"#, "\"\n\"", "FB0260"),
    (r#"{"type":"string","format":"date"}"#, r#""2020-02-30""#, "FB0268"),
    (r#"{"type":"string","format":"date-time"}"#, r#""2020-02-03T00:00:00""#, "FB0268"),
    (r#"{"type":"string","format":"time"}"#, r#""25:00:00Z""#, "FB0268"),
    (r#"{"type":"string","format":"uuid"}"#, r#""f81d4fae7dec11d0a76500a0c91e6bf6""#, "FB0268"),
    (r#"{"type":"string","connect.type":"bytes"}"#, r#""a?""#, "FB0267"),
    (
        r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.parameters":{"scale":"2","connect.decimal.precision":"5"}}"#,
        "1000",
        "FB0266",
    ),
    (
        r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.parameters":{"scale":"2"}}"#,
        "0.001",
        "FB0266",
    ),
    (r#"{"type":"array","items":{"type":"integer"}}"#, "[1,null]", "FB0263"),
    (r#"{"type":"array","items":{"type":"integer"}}"#, "[1,]", "FB0260"),
    (r#"{"type":"array","items":{"type":"integer"}}"#, "{}", "FB0262"),
    (r#"{"properties":{"a":{"type":"integer"}},"required":["a"]}"#, "{}", "FB0264"),
    (r#"{"properties":{"a":{"type":"integer"}}}"#, r#"{"a":1,}"#, "FB0260"),
    (r#"{"type":["integer","string"]}"#, "true", "FB0270"),
    (
        r#"{"oneOf":[{"required":["a"],"properties":{"a":{}}},{"required":["b"],"properties":{"b":{}}}]}"#,
        r#"{"c":1}"#,
        "FB0270",
    ),
];

#[test]
fn value_of_another_kind_is_refused_by_its_code() {
    for (schema, value, code) in REFUSED {
        let plan = plan(&field(schema), &native());
        let refused = row(&plan, &format!(r#"{{"f":{value}}}"#)).unwrap_err();
        assert_eq!(refused.code.id, *code, "{schema} {value}: {refused}");
    }
}

#[test]
fn refusal_names_field_place_found_and_required() {
    let schema = r#"{"properties":{"items":{"type":"array","items":{"properties":{"price":{"type":"integer"}}}}}}"#;
    let refused = row(&plan(schema, &native()), r#"{"items":[{"price":1},{"price":"a"}]}"#);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "FB0262 json field `items[1].price` at byte 31: a string, an integer required"
    );
    let refused = row(&plan(schema, &native()), r#"{"items":[]} x"#).unwrap_err();
    assert_eq!(refused.code.id, "FB0261");
    let refused = Decoder::new(plan(schema, &native())).append(b"{\"a\":\"\xff\"}").unwrap_err();
    assert_eq!(refused.code.id, "FB0202");
}

#[test]
fn missing_values_are_null_where_presence_is_nullable() {
    let mut options = native();
    options.value.presence = Presence::Nullable;
    let schema = r#"{"properties":{"a":{"type":"integer"},"l":{"type":"array","items":{"type":"string"}}},"required":["a","l"]}"#;
    let plan = plan(schema, &options);
    assert_eq!(columns(&plan)[0], "a?: Int64");
    let batch = row(&plan, r#"{"l":[null]}"#).unwrap();
    assert_eq!(batch.column(0).null_count(), 1);
    assert_eq!(batch.column(1).as_list::<i32>().values().null_count(), 1);
}

#[test]
fn last_of_equal_keys_counts_and_leaves_nothing_of_the_first() {
    let schema = r#"{"properties":{"s":{"properties":{"x":{"type":"integer"},"y":{"type":"integer"}}},
        "l":{"type":"array","items":{"type":"integer"}},"t":{"type":"string"}}}"#;
    let plan = plan(schema, &native());
    let shown = |text: &str| lines(&row(&plan, text).unwrap()).remove(0);
    assert_eq!(
        shown(r#"{"s":{"x":1},"l":[1,2],"t":"a","s":{"y":2},"l":[3],"t":null}"#),
        r#"{"s":{"x":null,"y":2},"l":[3],"t":null}"#
    );
    assert_eq!(
        shown(r#"{"s":{"x":1,"x":2},"s":{"x":3,"x":null}}"#),
        r#"{"s":{"x":null,"y":null},"l":null,"t":null}"#
    );
}

#[test]
fn text_that_names_no_number_is_text_where_a_union_has_text() {
    let of = |types: &str| {
        let plan = plan(&format!(r#"{{"properties":{{"a":{{{types}}}}}}}"#), &native());
        let batch = row(&plan, r#"{"a":"NaN"}"#).unwrap();
        let union = batch.column(0).as_struct();
        let names = plan.schema.field(0).data_type().to_string();
        let set: Vec<bool> = union.columns().iter().map(|c| !c.is_null(0)).collect();
        (names, set)
    };
    let (names, set) = of(r#""type":["number","string"]"#);
    assert_eq!((set, names.contains("Utf8")), (vec![false, true], true), "{names}");
    // Of these texts it is none, so it is what a writer makes of a float that JSON cannot write.
    let (names, set) = of(r#""oneOf":[{"type":"number"},{"enum":["x"]}]"#);
    assert_eq!(set, [true, false], "{names}");
}

#[test]
fn keys_that_come_again_are_counted_and_the_last_one_stands() {
    let schema =
        r#"{"properties":{"a":{"type":"integer"},"s":{"properties":{"b":{"type":"integer"}}}}}"#;
    let mut decoder = Decoder::new(plan(schema, &native()));
    decoder.append(br#"{"a":1,"s":{"b":1,"b":2,"b":3},"a":4,"x":1,"x":2}"#).unwrap();
    decoder.append(br#"{"a":1,"a":2,"a":"no"}"#).unwrap_err();
    decoder.append(br#"{"a":1,"s":{"b":1}}"#).unwrap();
    let counted = decoder.take_oddities();
    // What the schema does not know is unknown each time.
    assert_eq!((counted.repeated_keys, counted.unknown_fields), (3, 2));
    let batch = decoder.finish();
    assert_eq!(batch.column(0).as_primitive::<arrow::datatypes::Int64Type>().values(), &[4, 1]);
}

#[test]
fn unknown_members_are_counted_or_kept() {
    let schema = r#"{"properties":{"a":{"type":"integer"},"s":{"properties":{"b":{"type":"integer"}},"additionalProperties":false}}}"#;
    let text = r#"{"x":[1, {"y":2}],"a":1,"s":{"b":2,"z":0},"\u0078":"ü"}"#;
    let mut decoder = Decoder::new(plan(schema, &native()));
    decoder.append(text.as_bytes()).unwrap();
    decoder.append(br#"{"x":1,"a":"no"}"#).unwrap_err();
    assert_eq!(decoder.take_oddities().unknown_fields, 3);
    assert_eq!(columns(decoder.plan()).len(), 2);

    let mut options = native();
    options.value.extra = Extra::Keep;
    let plan = plan(schema, &options);
    assert_eq!(columns(&plan)[2], "_extra?: Utf8");
    let batch = row(&plan, text).unwrap();
    assert_eq!(batch.column(2).as_string::<i32>().value(0), r#"{"x":[1, {"y":2}],"\u0078":"ü"}"#);
    assert_eq!(row(&plan, r#"{"a":1}"#).unwrap().column(2).null_count(), 1);
}

#[test]
fn column_order_is_that_of_the_text_or_of_connect_index() {
    let names = |schema: &str| {
        let plan = plan(schema, &native());
        plan.schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(r#"{"properties":{"z":{},"a":{},"m":{}}}"#), ["z", "a", "m"]);
    let indexed = r#"{"properties":{"z":{"connect.index":2,"oneOf":[{"type":"null"},{"type":"string"}]},"a":{"connect.index":0},"m":{"connect.index":1}}}"#;
    assert_eq!(names(indexed), ["a", "m", "z"]);
}

#[test]
fn top_level_that_is_no_object_is_one_column() {
    for (schema, value, column) in [
        (r#"{"type":"integer"}"#, "5", "Int64 5"),
        (
            r#"{"type":"array","items":{"type":"string"}}"#,
            r#"["a"]"#,
            r#"List(non-null Utf8, field: 'element') ["a"]"#,
        ),
        (
            r#"{"additionalProperties":{"type":"integer"}}"#,
            r#"{"a":1}"#,
            r#"Map("key_value": non-null Struct("key": non-null Utf8, "value": non-null Int64), unsorted) {"a":1}"#,
        ),
        ("{}", r#" {"a" : 1} "#, r#"Utf8? "{\"a\" : 1}""#),
    ] {
        assert_eq!(written(&row(&plan(schema, &native()), value).unwrap()), column);
    }
}

#[test]
fn recursion_is_text_or_left_out() {
    let schema = r##"{"title":"Node","properties":{"v":{"type":"integer"},"next":{"$ref":"#"}}}"##;
    let text = r#"{"v":1,"next":{"v":2,"next":{"v":3}}}"#;
    let batch = row(&plan(schema, &native()), text).unwrap();
    assert_eq!(batch.column(1).as_string::<i32>().value(0), r#"{"v":2,"next":{"v":3}}"#);
    let mut options = native();
    options.value.recursion = Recursion::Drop;
    assert_eq!(columns(&plan(schema, &options)), ["v?: Int64"]);
    row(&plan(schema, &options), text).unwrap();
    options.value.recursion = Recursion::Bytes;
    assert_eq!(columns(&plan(schema, &options))[1], "next?: Binary");
}

#[test]
fn options_choose_other_columns() {
    let mut options = native();
    options.value.unions = Unions::Json;
    options.value.unsigned = Unsigned::Native;
    let schema = r#"{"properties":{"u":{"type":["integer","string"]},"n":{"type":"integer","minimum":0,"maximum":18446744073709551615}}}"#;
    let plan = plan(schema, &options);
    assert_eq!(columns(&plan), ["u?: Utf8", "n?: UInt64"]);
    let batch = row(&plan, r#"{"u": "x" ,"n":18446744073709551615}"#).unwrap();
    assert_eq!(batch.column(0).as_string::<i32>().value(0), "\"x\"");
    row(&plan, r#"{"n":-1}"#).unwrap_err();
    let date_times = r#"{"properties":{"t":{"type":"string","format":"date-time"}}}"#;
    let fine = r#"{"t":"2020-01-01T00:00:00.1234567Z"}"#;
    row(&super::plan(date_times, &options), fine).unwrap();
    options.value.truncate_timestamps = false;
    assert_eq!(row(&super::plan(date_times, &options), fine).unwrap_err().code.id, "FB0205");
}

#[test]
fn references_lead_inside_the_text_and_to_registered_schemas() {
    let column = |plan: &Plan| columns(plan).join("; ");
    for schema in [
        r##"{"properties":{"a":{"$ref":"#/definitions/A"}},"definitions":{"A":{"type":"integer"}}}"##,
        r##"{"properties":{"a":{"$ref":"#/$defs/A~1b%25"}},"$defs":{"A/b%":{"type":"integer"}}}"##,
        r##"{"properties":{"a":{"$ref":"#int"}},"definitions":{"A":{"$id":"#int","type":"integer"}}}"##,
        r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","properties":{"a":{"$ref":"#int"}},"$defs":{"A":{"$anchor":"int","type":"integer"}}}"##,
        r##"{"id":"http://x/root.json","properties":{"a":{"$ref":"item.json"}},"definitions":{"A":{"id":"item.json","type":"integer"}}}"##,
    ] {
        assert_eq!(column(&plan(schema, &native())), "a?: Int64", "{schema}");
    }
    let own = r##"{"$id":"https://x/schemas/order.json","properties":{"a":{"$ref":"address.json"},"b":{"$ref":"other.json#/definitions/B"}}}"##;
    let address =
        r#"{"properties":{"zip":{"type":"string"},"again":{"$ref":"other.json#/definitions/B"}}}"#;
    let other = r#"{"$id":"https://x/schemas/other.json","definitions":{"B":{"type":"boolean"}}}"#;
    let references = [("address.json", address), ("registered-name", other)];
    let plan = with_references(own, &references, &native());
    // The address has no `$id`, so its own references start at its name.
    assert_eq!(plan.unwrap_err().code.id, "FB0272");
    let references = [("address.json", address), ("other.json", other)];
    let plan = with_references(own, &references, &native()).unwrap();
    assert_eq!(column(&plan), r#"a?: Struct("zip": Utf8, "again": Boolean); b?: Boolean"#);
}

#[test]
fn reference_to_anywhere_else_is_refused_and_never_fetched() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for target in [
        format!("http://127.0.0.1:{port}/schema.json"),
        "http://169.254.169.254/latest".to_owned(),
        "file:///etc/passwd".to_owned(),
        "../../etc/passwd".to_owned(),
        "#/definitions/missing".to_owned(),
        "#missing".to_owned(),
    ] {
        let schema = format!(r#"{{"properties":{{"a":{{"$ref":"{target}"}}}}}}"#);
        assert_eq!(try_plan(&schema, &native()).unwrap_err().code.id, "FB0272", "{target}");
    }
    assert!(listener.accept().is_err(), "somebody called");
}

#[test]
fn neighbours_of_a_reference_count_since_2019() {
    let schema = |dialect: &str| {
        format!(
            r##"{{"$schema":"{dialect}","properties":{{"a":{{"$ref":"#/definitions/A","properties":{{"y":{{"type":"integer"}}}}}}}},
            "definitions":{{"A":{{"properties":{{"x":{{"type":"integer"}}}}}}}}}}"##
        )
    };
    let of = |dialect| columns(&plan(&schema(dialect), &native())).join("");
    assert_eq!(of("http://json-schema.org/draft-07/schema#"), r#"a?: Struct("x": Int64)"#);
    assert_eq!(
        of("https://json-schema.org/draft/2019-09/schema"),
        r#"a?: Struct("x": Int64, "y": Int64)"#
    );
}

/// Takes the mark out of a text: the text, and the line and column where it stood.
fn marked(text: &str) -> (String, String) {
    let at = text.find('☞').unwrap();
    let lines: Vec<&str> = text[..at].split('\n').collect();
    let place =
        format!("line {} column {}", lines.len(), lines[lines.len() - 1].chars().count() + 1);
    (text.replacen('☞', "", 1), place)
}

#[test]
fn schema_that_is_none_is_refused_with_its_line_and_column() {
    for (schema, why) in [
        (
            r#"{"properties":{"a":{"type":☞"text"}}}"#,
            "field `a`: type `text`, one of null, boolean, integer, number, string, array, object required",
        ),
        (
            "{\"title\":\"é\", \"properties\" : {\n  \"b\": {}, \"a\":{ \"type\":\n\t ☞5}}}",
            "field `a`: a number, the name of a type required",
        ),
        (
            r#"{"properties":{"a":{"type":["null",☞[]]}}}"#,
            "field `a`: an array, the name of a type required",
        ),
        ("{\"properties\":\n ☞[]}", "an array, an object of schemas required"),
        (
            r#"{"properties":{"a":{},"a":☞5}}"#,
            "field `a`: a number, a schema: an object or a boolean required",
        ),
        (
            r#"{"properties":{"a":{"oneOf":☞{}}}}"#,
            "field `a`: an object, a list of `oneOf` required",
        ),
        (
            r#"{"properties":{"a":{"allOf":[{},{"enum":☞1}]}}}"#,
            "field `a`: a number, a list of `enum` required",
        ),
        (
            r#"{"properties":{"a":{"items":{"items":☞null}}}}"#,
            "field `a[][]`: null, a schema: an object or a boolean required",
        ),
        (
            r#"{"properties":{"a":{"$ref":☞5}}}"#,
            "field `a`: a number, the text of a reference required",
        ),
        (
            r##"{"properties":{"a":{"$ref":"#/definitions/b"}},"definitions":{"b":{"type":☞"x"}}}"##,
            "field `a`: type `x`, one of null, boolean, integer, number, string, array, object required",
        ),
        ("\n ☞5", "a number, a schema: an object or a boolean required"),
    ] {
        let (schema, place) = marked(schema);
        let fault = try_plan(&schema, &native()).unwrap_err();
        assert_eq!(fault.code.id, "FB0271", "{schema}");
        assert_eq!(fault.message, format!("json schema: {place}: {why}"), "{schema}");
    }
    let own = r#"{"properties":{"a":{"$ref":"b.json"}}}"#;
    let (other, place) = marked("{\n \"properties\":{\"c\":{\"type\":☞7}}}");
    let fault = with_references(own, &[("b.json", &other)], &native()).unwrap_err();
    let why = "field `a.c`: a number, the name of a type required";
    assert_eq!(fault.message, format!("json schema: reference `b.json` {place}: {why}"));
}

#[test]
fn schema_too_wide_or_of_no_reference_is_refused_with_its_line_and_column() {
    let wide = format!("{{\"oneOf\":\n[{}{{}}]}}", "{},".repeat(1 << 17));
    let fault = try_plan(&wide, &native()).unwrap_err();
    assert!(fault.message.starts_with("json schema: line 2 column "), "{fault}");
    let (schema, place) = marked("{\"properties\":\n{\"a\":{\"$ref\": ☞\"#/definitions/b\"}}}");
    let fault = try_plan(&schema, &native()).unwrap_err();
    let why = "`$ref` to `#/definitions/b`: nothing stands there, a schema required";
    assert_eq!((fault.code.id, fault.message), ("FB0272", format!("json schema: {place}: {why}")));
    let fault = with_references("{}", &[("b.json", "{\n  nonsense}")], &native()).unwrap_err();
    assert!(
        fault.message.starts_with("json schema: reference `b.json` line 2 column 3: "),
        "{fault}"
    );
}

#[test]
fn map_with_keys_of_any_type_is_written_as_entries() {
    let schema = field(
        r#"{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"type":"integer","connect.type":"int32"},"value":{"type":"string"}},"required":["key","value"]}}"#,
    );
    let plan = plan(&schema, &native());
    let text = r#"{"f":[{"value":"a","key":1},{"key":2,"value":"b"},{"x":0,"key":9,"value":"x","key":1,"value":"c"}]}"#;
    let batch = row(&plan, text).unwrap();
    let map = batch.column(0).as_map();
    let keys = map.keys().as_primitive::<arrow::datatypes::Int32Type>().values().to_vec();
    let values: Vec<_> = map.values().as_string::<i32>().iter().flatten().collect();
    assert_eq!((keys, values), (vec![2, 1], vec!["b", "c"]));
    for (value, code) in [(r#"[{}]"#, "FB0264"), (r#"[{"key":1,}]"#, "FB0260"), ("[1]", "FB0262")] {
        let refused = row(&plan, &format!(r#"{{"f":{value}}}"#)).unwrap_err();
        assert_eq!(refused.code.id, code, "{value}: {refused}");
    }
}

/// What Confluent's converter makes of each schema, beside what stands here: schema, columns. Where they differ,
/// the last text says why.
const BESIDE_CONNECT: &[(&str, &str, &str, &str)] = &[
    ("integer", r#"{"type":"integer"}"#, "f: Int64", ""),
    ("number", r#"{"type":"number"}"#, "f: Float64", ""),
    ("boolean", r#"{"type":"boolean"}"#, "f: Boolean", ""),
    ("string", r#"{"type":"string"}"#, "f: Utf8", ""),
    (
        "connect.type int8..float64/bytes/map",
        r#"{"type":"integer","connect.type":"int8"}"#,
        "f: Int32",
        "Parquet's smallest integer",
    ),
    ("enum / const", r#"{"enum":["a","b"]}"#, "f: Utf8", "numbers stay numbers"),
    (
        "oneOf/anyOf of exactly {null,T}",
        r#"{"oneOf":[{"type":"null"},{"type":"integer"}]}"#,
        "f?: Int64",
        "",
    ),
    (
        "oneOf/anyOf",
        r#"{"oneOf":[{"type":"string"},{"type":"integer"}]}"#,
        r#"f: Struct("string": Utf8, "integer": Int64)"#,
        "branches have names, not numbers",
    ),
    (r#"["type":["string","null"]]"#, r#"{"type":["string","null"]}"#, "f?: Utf8", ""),
    (
        "allOf",
        r#"{"allOf":[{"properties":{"a":{"type":"string"}}},{"properties":{"b":{"type":"integer"}}}]}"#,
        r#"f: Struct("a": Utf8, "b": Int64)"#,
        "",
    ),
    (
        "array",
        r#"{"type":"array","items":{"type":"integer"}}"#,
        "f: List(non-null Int64, field: 'element')",
        "an array without items is a list of JSON text, no error",
    ),
    (
        "object",
        r#"{"type":"object","properties":{"b":{"type":"string","connect.index":1},"a":{"type":"string","connect.index":0}},"required":["a"]}"#,
        r#"f: Struct("a": non-null Utf8, "b": Utf8)"#,
        "properties that are not required are nullable",
    ),
    (
        "object connect.type=map",
        r#"{"type":"object","connect.type":"map","additionalProperties":{"type":"integer"}}"#,
        r#"f: Map("key_value": non-null Struct("key": non-null Utf8, "value": non-null Int64), unsorted)"#,
        "",
    ),
    ("{} / true", "true", "f?: Utf8", "JSON text, as no reader has Connect's variant"),
    (
        "title org.apache.kafka.connect.data.{Date,Time,Timestamp,Decimal}",
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.type":"int64"}"#,
        r#"f: Timestamp(ms, "UTC")"#,
        "",
    ),
    (
        "$ref recursive",
        r##"{"type":"object","properties":{"next":{"$ref":"#"}}}"##,
        r#"f: Struct("next": Utf8)"#,
        "Parquet has no type that holds itself",
    ),
    (
        "extra properties not in schema",
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        r#"f: Struct("a": Utf8)"#,
        "",
    ),
];

#[test]
fn every_fact_of_the_connect_converter_has_its_column() {
    let facts = include_str!("../../corpus/json/connect_facts.json");
    let facts: serde_json::Value = serde_json::from_str(facts).unwrap();
    let names: Vec<&str> =
        facts["types"].as_array().unwrap().iter().map(|fact| fact[0].as_str().unwrap()).collect();
    let here: Vec<&str> = BESIDE_CONNECT.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, here, "a fact without a row, or a row without a fact");
    for (name, schema, column, _) in BESIDE_CONNECT {
        let mut shown = columns(&plan(&field(schema), &native())).join("; ");
        while let Some((before, after)) = shown.split_once(", metadata: {") {
            shown = format!("{before}{}", after.split_once('}').unwrap().1);
        }
        assert_eq!(shown, *column, "{name}");
    }
}

#[test]
fn names_that_clash_get_a_suffix_and_their_own_values() {
    let schema = r#"{"properties":{"id":{"type":"integer"},"ID":{"type":"string"},"_extra":{"type":"boolean"}}}"#;
    let mut options = everyone();
    options.value.extra = Extra::Keep;
    let plan = plan(schema, &options);
    assert_eq!(
        columns(&plan),
        ["id?: Int64", "ID_2?: Utf8", "_extra?: Boolean", "_extra_2?: Utf8"]
    );
    let batch = row(&plan, r#"{"ID":"a","_extra":true,"id":1,"x":0}"#).unwrap();
    assert_eq!(lines(&batch), [r#"{"id":1,"ID_2":"a","_extra":true,"_extra_2":"{\"x\":0}"}"#]);
}

#[test]
fn schema_as_confluent_writes_it_for_a_connect_struct_has_its_columns() {
    // The form of JsonSchemaData: optional fields as oneOf with null, their place outside of it.
    let schema = r#"{"type":"object","title":"shop.User","properties":{
        "tags":{"connect.index":2,"oneOf":[{"type":"null"},{"type":"array","items":{"type":"string"}}]},
        "id":{"type":"integer","connect.index":0,"connect.type":"int32"},
        "born":{"connect.index":1,"oneOf":[{"type":"null"},{"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.version":1,"connect.type":"int32"}]},
        "counts":{"type":"object","connect.index":3,"connect.type":"map","additionalProperties":{"connect.type":"int64","type":"integer"}}}}"#;
    let plan = plan(schema, &native());
    assert_eq!(plan.record_name, "shop.User");
    let batch = row(&plan, r#"{"id":1,"born":0,"tags":["x"],"counts":{"a":2}}"#).unwrap();
    assert_eq!(lines(&batch), [r#"{"id":1,"born":"1970-01-01","tags":["x"],"counts":{"a":2}}"#]);
    assert_eq!(columns(&plan)[0], "id?: Int32");
}
