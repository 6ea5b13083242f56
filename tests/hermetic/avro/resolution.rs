//! Records of one schema as rows of another: the rules of the specification, and what other programs make
//! of the same bytes.

use apache_avro::Schema;
use arrow::array::StructArray;
use forebay::config::{Recursion, Unions};
use forebay::decode::avro::codes;
use forebay::decode::{Decoder, Options, codes as shared};
use forebay::error::Code;
use serde_json::{Value as Json, json};

use super::corpus::{cell, equal};
use super::{everyone, native, onto, unhex};

/// All cases of `tests/corpus/avro/resolution.json`; none is left out. A topmost `bytes` is taken without
/// its length, because Confluent's serializers write it so.
#[test]
fn pairs_of_other_programs_are_read_as_they_read_them() {
    let text = std::fs::read_to_string("tests/corpus/avro/resolution.json").unwrap();
    let corpus: Json = serde_json::from_str(&text).unwrap();
    let cases = corpus["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 65);
    let mut values = 0;
    for case in cases {
        let (writer, reader) = (case["writer"].to_string(), case["reader"].to_string());
        let at = format!("{writer} as {reader}");
        let plan = onto(&writer, &reader, &native());
        let whole = plan.as_ref().is_ok_and(|plan| plan.unreadable().is_empty());
        assert_eq!(whole, case["compatible"].as_bool().unwrap(), "{at}: {plan:?}");
        for value in case["values"].as_array().into_iter().flatten() {
            let mut bytes = unhex(value["writer_hex"].as_str().unwrap());
            if writer == "\"bytes\"" {
                bytes.remove(0);
            }
            let mut decoder = Decoder::new(plan.clone().unwrap());
            decoder.append(&bytes).unwrap_or_else(|e| panic!("{at}: {e}"));
            let row = StructArray::from(decoder.finish());
            let mut got = cell(&row, 0);
            if let Some(alone) = got.get("value").filter(|_| !value["resolved"].is_object()) {
                got = alone.clone();
            } else if let (Some(alone), true) = (got.get("value"), row.num_columns() == 1) {
                got = alone.clone();
            }
            let resolved = match value["resolved"].get("__bytes_hex") {
                Some(hex) => json!({ "hex": hex }),
                None => value["resolved"].clone(),
            };
            let same = match (&got, &resolved) {
                (Json::Object(a), Json::Object(b)) => {
                    a.len() == b.len() && a.iter().all(|(k, v)| equal(v, &b[k]))
                }
                (a, b) => equal(a, b),
            };
            assert!(same, "{at}: {got}, {resolved} required");
            values += 1;
        }
    }
    assert!(values > 50, "{values}");
}

/// Writer, target, bytes of a datum of the writer, the row as JSON. Numbers and texts are those of the
/// specification's rules, worked out by hand.
const RULES: &[(&str, &str, &str, &str)] = &[
    // Promotions: int → long, float, double; long → float, double; float → double; string ↔ bytes.
    (r#""int""#, r#""long""#, "01", "-1"),
    (r#""int""#, r#""float""#, "03", "-2.0"),
    (r#""int""#, r#""double""#, "03", "-2.0"),
    (r#""long""#, r#""float""#, "8001", "64.0"),
    (r#""long""#, r#""double""#, "8001", "64.0"),
    (r#""float""#, r#""double""#, "0000c03f", "1.5"),
    (r#""string""#, r#""bytes""#, "0461c3", r#"{"hex":"61c3"}"#),
    (r#""bytes""#, r#""string""#, "046162", r#""ab""#),
    // Logical types: of one meaning; given and taken.
    (r#""int""#, r#"{"type":"int","logicalType":"date"}"#, "02", r#"{"days":1}"#),
    (r#"{"type":"int","logicalType":"date"}"#, r#""long""#, "02", "1"),
    (r#""long""#, r#"{"type":"long","logicalType":"timestamp-millis"}"#, "02", r#"{"ms":1}"#),
    (
        r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        r#"{"type":"long","logicalType":"timestamp-micros"}"#,
        "03",
        r#"{"us":-2000}"#,
    ),
    (
        r#"{"type":"long","logicalType":"local-timestamp-millis"}"#,
        r#"{"type":"long","logicalType":"local-timestamp-nanos"}"#,
        "02",
        r#"{"ns":1000000}"#,
    ),
    (
        r#"{"type":"int","logicalType":"time-millis"}"#,
        r#"{"type":"long","logicalType":"time-micros"}"#,
        "02",
        r#"{"us":1000}"#,
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#,
        r#"{"type":"bytes","logicalType":"decimal","precision":30,"scale":2}"#,
        "0404d2",
        r#"{"decimal":"12.34"}"#,
    ),
    (
        r#"{"type":"fixed","name":"D","size":3,"logicalType":"decimal","precision":4,"scale":2}"#,
        r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#,
        "fffb2e",
        r#"{"decimal":"-12.34"}"#,
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#,
        r#""bytes""#,
        "0404d2",
        r#"{"hex":"04d2"}"#,
    ),
    // Unions, on one side or on both.
    (r#""int""#, r#"["null","long"]"#, "02", "1"),
    (r#"["null","int"]"#, r#"["long","null"]"#, "0202", "1"),
    (r#"["null","int"]"#, r#"["long","null"]"#, "00", "null"),
    (r#""null""#, r#"["null","long"]"#, "", "null"),
    (r#"["int"]"#, r#""long""#, "0002", "1"),
    (
        r#"["int","string"]"#,
        r#"["string","null","double"]"#,
        "0002",
        r#"{"string":null,"double":1.0}"#,
    ),
    (
        r#"["int","string"]"#,
        r#"["string","null","double"]"#,
        "020261",
        r#"{"string":"a","double":null}"#,
    ),
    // The same type before one it may be promoted to, wherever it stands.
    (r#""int""#, r#"["double","int"]"#, "02", r#"{"double":null,"int":1}"#),
    (
        r#""int""#,
        r#"["null","string","float","double"]"#,
        "02",
        r#"{"string":null,"float":1.0,"double":null}"#,
    ),
    (
        r#"["null","string",{"type":"array","items":"int"}]"#,
        r#"["null",{"type":"array","items":"long"},"bytes"]"#,
        "04020200",
        r#"{"array":[1],"bytes":null}"#,
    ),
    // Lists and maps by what they hold; blocks with their size too.
    (
        r#"{"type":"array","items":"int"}"#,
        r#"{"type":"array","items":["null","long"]}"#,
        "03040204020600",
        "[1,2,3]",
    ),
    (
        r#"{"type":"map","values":"int"}"#,
        r#"{"type":"map","values":"double"}"#,
        "0202610200",
        r#"{"a":1.0}"#,
    ),
    // Symbols by name; the default of the target's enum for those it has not.
    (
        r#"{"type":"enum","name":"E","symbols":["A","B","C"]}"#,
        r#"{"type":"enum","name":"x.E","symbols":["C","B","Z"],"default":"Z"}"#,
        "04",
        r#""C""#,
    ),
    (
        r#"{"type":"enum","name":"E","symbols":["A","B","C"]}"#,
        r#"{"type":"enum","name":"E","symbols":["C","B","Z"],"default":"Z"}"#,
        "00",
        r#""Z""#,
    ),
    (
        r#"{"type":"fixed","name":"a.F","size":2}"#,
        r#"{"type":"fixed","name":"G","size":2,"aliases":["F"]}"#,
        "0102",
        r#"{"hex":"0102"}"#,
    ),
    // Records: fields by name or alias in any order, what is new by its default, what is gone passed over.
    (
        r#"{"type":"record","name":"S","fields":[{"name":"a","type":"int"},{"name":"gone","type":{"type":"array","items":["null","string"]}},{"name":"b","type":"string"}]}"#,
        r#"{"type":"record","name":"T","aliases":["S"],"fields":[{"name":"c","type":"string","aliases":["x","b"]},{"name":"a","type":"long"},{"name":"d","type":["null","int"],"default":null}]}"#,
        "02040002026100026d",
        r#"{"c":"m","a":1,"d":null}"#,
    ),
    (
        r#"{"type":"record","name":"S","fields":[]}"#,
        r#"{"type":"record","name":"S","fields":[{"name":"b","type":"boolean","default":true},{"name":"i","type":"int","default":-3},{"name":"l","type":"long","default":9007199254740993},{"name":"f","type":"float","default":0.5},{"name":"d","type":"double","default":"NaN"},{"name":"y","type":"bytes","default":"\u00ff\u0001"},{"name":"s","type":"string","default":"é"},{"name":"x","type":{"type":"fixed","name":"F","size":2},"default":"ab"},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]},"default":"B"},{"name":"a","type":{"type":"array","items":"int"},"default":[1,2]},{"name":"m","type":{"type":"map","values":"string"},"default":{"k":"v"}},{"name":"r","type":{"type":"record","name":"I","fields":[{"name":"p","type":"int"},{"name":"q","type":"int","default":7}]},"default":{"p":5}},{"name":"u","type":["string","null"],"default":"first"},{"name":"v","type":["null","int"],"default":4},{"name":"n","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":1},"default":"\u0001"}]}"#,
        "",
        r#"{"b":true,"i":-3,"l":9007199254740993,"f":0.5,"d":"NaN","y":{"hex":"ff01"},"s":"é","x":{"hex":"6162"},"e":"B","a":[1,2],"m":{"k":"v"},"r":{"p":5,"q":7},"u":"first","v":4,"n":{"decimal":"0.1"}}"#,
    ),
    // A record of nothing in place of one with fields.
    (
        r#"{"type":"record","name":"E","fields":[{"name":"a","type":"int"}]}"#,
        r#"["null",{"type":"record","name":"E","fields":[]}]"#,
        "02",
        "true",
    ),
];

/// The row of a datum of `writer` as `target`, each the type of one field.
fn resolved(writer: &str, target: &str, hex: &str, options: &Options) -> Result<Json, String> {
    let plan = onto(&wrapped(writer), &wrapped(target), options).map_err(|e| e.to_string())?;
    let mut decoder = Decoder::new(plan);
    decoder.append(&unhex(hex)).map_err(|e| e.to_string())?;
    let batch = decoder.finish();
    assert_eq!(
        batch.schema(),
        super::plan(&wrapped(target), options).schema,
        "{writer} as {target}"
    );
    Ok(cell(batch.column(0), 0))
}

fn wrapped(field_type: &str) -> String {
    format!(r#"{{"type":"record","name":"W","fields":[{{"name":"f","type":{field_type}}}]}}"#)
}

#[test]
fn rule_gives_the_row_that_the_specification_says() {
    for (writer, target, hex, expected) in RULES {
        let expected: Json = serde_json::from_str(expected).unwrap();
        let got = resolved(writer, target, hex, &native());
        assert_eq!(got, Ok(expected), "{writer} as {target}");
        // For every reader the columns differ, and must still be those of the target.
        resolved(writer, target, hex, &everyone()).unwrap();
    }
}

/// Writer, target, how the fault goes on.
const INCOMPATIBLE: &[(&str, &str, &str)] = &[
    (r#""long""#, r#""int""#, "`f`: `long` of the writer, `int` required"),
    (r#""string""#, r#""int""#, "`f`: `string` of the writer, `int` required"),
    (r#""null""#, r#""string""#, "`f`: `null` of the writer, `string` required"),
    (
        r#""long""#,
        r#"["null","string"]"#,
        "`f`: `long` of the writer, one of `null`, `string` required",
    ),
    (
        r#"{"type":"int","logicalType":"date"}"#,
        r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        "`f`: `date` of the writer, `timestamp-millis` required",
    ),
    (
        r#"{"type":"long","logicalType":"timestamp-micros"}"#,
        r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        "`f`: `timestamp-micros` of the writer, `timestamp-millis` required",
    ),
    (
        r#"{"type":"long","logicalType":"timestamp-micros"}"#,
        r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
        "`f`: `timestamp-micros` of the writer, `local-timestamp-micros` required",
    ),
    (
        r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#,
        r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":1}"#,
        "`f`: `decimal(4, 2)` of the writer, `decimal(4, 1)` required",
    ),
    (
        r#""string""#,
        r#"{"type":"bytes","logicalType":"decimal","precision":4}"#,
        "`f`: `string` of the writer, `decimal(4, 0)` required",
    ),
    (
        r#"{"type":"array","items":{"type":"record","name":"R","fields":[]}}"#,
        r#"{"type":"array","items":{"type":"record","name":"R","fields":[{"name":"x","type":"int"}]}}"#,
        "`f[].x`: not in the writer's schema, a default required",
    ),
    (
        r#"{"type":"record","name":"R","fields":[]}"#,
        r#"{"type":"record","name":"S","fields":[]}"#,
        "`f`: `R` of the writer, `S` required; give the target's type an alias",
    ),
];

#[test]
fn target_that_cannot_be_filled_is_refused_with_the_path() {
    for (writer, target, expected) in INCOMPATIBLE {
        let fault = onto(&wrapped(writer), &wrapped(target), &native()).unwrap_err();
        assert_eq!(fault.code, &codes::RESOLUTION, "{fault}");
        let expected = format!("avro schema read as `W`: {expected}");
        assert!(fault.message.starts_with(&expected), "{fault}");
    }
}

/// Writer, target, a datum that fits, one that does not, its code and message, what the plan says of it.
const PARTLY: &[(&str, &str, &str, &str, &Code, &str, &str)] = &[
    (
        r#"["int","string"]"#,
        r#""int""#,
        "0002",
        "020261",
        &codes::UNREADABLE,
        "avro field `f.string` at byte 1: `string`: `string` of the writer, `int` required",
        "f: `string`: `string` of the writer, `int` required",
    ),
    (
        r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
        r#"{"type":"enum","name":"E","symbols":["B"]}"#,
        "02",
        "00",
        &codes::UNREADABLE,
        "avro field `f` at byte 1: enum symbol `0` of the writer, one that the target has",
        "f: enum symbol `A` of the writer",
    ),
];

#[test]
fn value_without_a_place_is_rejected_and_its_neighbours_stay() {
    for (writer, target, good, bad, code, message, unreadable) in PARTLY {
        let plan = onto(&wrapped(writer), &wrapped(target), &native()).unwrap();
        assert_eq!(plan.unreadable(), [*unreadable]);
        let mut decoder = Decoder::new(plan);
        decoder.append(&unhex(good)).unwrap();
        let reject = decoder.append(&unhex(bad)).unwrap_err();
        decoder.append(&unhex(good)).unwrap();
        assert_eq!(reject.code, *code, "{reject}");
        assert!(reject.message.starts_with(message), "{reject}");
        let batch = decoder.finish();
        assert_eq!(batch.num_rows(), 2);
        assert_eq!(cell(batch.column(0), 0), cell(batch.column(0), 1));
    }
}

#[test]
fn number_beyond_the_targets_unit_is_rejected_where_it_stands() {
    let (millis, nanos) = (
        wrapped(r#"{"type":"long","logicalType":"timestamp-millis"}"#),
        wrapped(r#"{"type":"long","logicalType":"timestamp-nanos"}"#),
    );
    let mut decoder = Decoder::new(onto(&millis, &nanos, &native()).unwrap());
    let reject = decoder.append(&unhex("80808080808080808001")).unwrap_err();
    assert_eq!(reject.code, &shared::RANGE, "{reject}");
    assert!(reject.message.starts_with("avro field `f` at byte 10: time of `"), "{reject}");
}

#[test]
fn damaged_record_read_onto_a_target_names_its_field_and_byte() {
    let writer = r#"{"type":"record","name":"S","fields":[{"name":"gone","type":"string"},{"name":"a","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"x","type":"int"}]}}}]}"#;
    let target = r#"{"type":"record","name":"S","fields":[{"name":"a","type":{"type":"array","items":{"type":"record","name":"I","fields":[{"name":"x","type":"double"}]}}}]}"#;
    let mut decoder = Decoder::new(onto(writer, target, &native()).unwrap());
    for (hex, expected) in [
        ("0e61", "FB0240 avro field `gone` at byte 1: string of 7 bytes"),
        (
            "026104028080808080808000",
            "FB0245 avro field `a[1].x` at byte 4: int of more than 32 bits",
        ),
        ("0261040206", "FB0240 avro field `a` at byte 5: array cut off"),
        ("02610402060000", "FB0241 avro value at byte 6: 1 bytes after the datum"),
    ] {
        let message = decoder.append(&unhex(hex)).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{hex}: {message}");
    }
    decoder.append(&unhex("026104020600")).unwrap();
    assert_eq!(cell(decoder.finish().column(0), 0), json!([{"x": 1.0}, {"x": 3.0}]));
}

#[test]
fn record_inside_itself_is_json_of_the_target() {
    let writer = r#"{"type":"record","name":"N","fields":[{"name":"v","type":"int"},{"name":"gone","type":"string"},{"name":"next","type":["null","N"]}]}"#;
    let target = r#"{"type":"record","name":"N","fields":[{"name":"next","type":["null","N"]},{"name":"w","type":["null","long"],"aliases":["v"]},{"name":"new","type":"string","default":"d"}]}"#;
    let mut decoder = Decoder::new(onto(writer, target, &native()).unwrap());
    // 1 → 2 → 3
    decoder.append(&unhex("02000204000206000000")[..9]).unwrap();
    let row = decoder.finish();
    let text = cell(row.column_by_name("next").unwrap(), 0);
    let text: Json = serde_json::from_str(text.as_str().unwrap()).unwrap();
    assert_eq!(text, json!({"w": 2, "new": "d", "next": {"w": 3, "new": "d", "next": null}}));
    assert_eq!(cell(row.column_by_name("w").unwrap(), 0), json!(1));
    assert_eq!(cell(row.column_by_name("new").unwrap(), 0), json!("d"));

    let mut options = native();
    options.value.recursion = Recursion::Drop;
    let mut decoder = Decoder::new(onto(writer, target, &options).unwrap());
    decoder.append(&unhex("020002040002060000")).unwrap();
    assert_eq!(decoder.finish().num_columns(), 2);

    options.value.recursion = Recursion::Bytes;
    let fault = onto(writer, target, &options).unwrap_err();
    assert_eq!(fault.code, &codes::RESOLUTION, "{fault}");
    let grown = r#"{"type":"record","name":"N","fields":[{"name":"v","type":"int"},{"name":"gone","type":"string","default":"x"},{"name":"next","type":["null","N"]}]}"#;
    let mut decoder = Decoder::new(onto(writer, grown, &options).unwrap());
    decoder.append(&unhex("020002040002060000")).unwrap();
    assert_eq!(cell(decoder.finish().column(2), 0), json!({"hex": "040002060000"}));
}

#[test]
fn union_as_json_says_the_targets_branches() {
    let mut options = native();
    options.value.unions = Unions::Json;
    let (writer, target) =
        (r#"["null","int","string"]"#, r#"["string","null","double","boolean"]"#);
    for (hex, expected) in [
        ("00", json!(null)),
        ("0206", json!(r#"{"double":3.0}"#)),
        ("040261", json!(r#"{"string":"a"}"#)),
    ] {
        assert_eq!(resolved(writer, target, hex, &options), Ok(expected));
    }
    assert_eq!(resolved(r#""int""#, target, "06", &options), Ok(json!(r#"{"double":3.0}"#)));
    let lost = onto(
        &wrapped(r#"["int","bytes","boolean"]"#),
        &wrapped(r#"["int","boolean","null"]"#),
        &options,
    );
    assert_eq!(lost.unwrap().unreadable().len(), 1);
}

#[test]
fn topmost_bytes_without_a_length_become_what_the_target_says() {
    for (target, expected) in [
        (r#""string""#, json!("ab")),
        (r#"["null","bytes"]"#, json!({"hex": "6162"})),
        (r#"["null","string","long"]"#, json!({"string": "ab", "long": null})),
    ] {
        let mut decoder = Decoder::new(onto(r#""bytes""#, target, &native()).unwrap());
        decoder.append(b"ab").unwrap();
        assert_eq!(cell(decoder.finish().column(0), 0), expected, "{target}");
    }
}

#[test]
fn fields_dropped_filled_and_promoted_are_noted() {
    let writer = r#"{"type":"record","name":"S","fields":[{"name":"a","type":"int"},{"name":"gone","type":"int"}]}"#;
    let target = r#"{"type":"record","name":"S","fields":[{"name":"a","type":"long"},{"name":"new","type":"int","default":1}]}"#;
    let plan = onto(writer, target, &native()).unwrap();
    assert_eq!(
        plan.notes,
        [
            "a: long from the int of the writer",
            "gone: not in the target, dropped",
            "new: default of the target"
        ]
    );
}

#[test]
fn long_default_is_paid_for_by_every_record() {
    // A record of no bytes at all stands for as many as its defaults say.
    let writer = r#"{"type":"record","name":"S","fields":[]}"#;
    let text = "x".repeat(300_000);
    let target = format!(
        r#"{{"type":"record","name":"S","fields":[{{"name":"t","type":"string","default":"{text}"}}]}}"#
    );
    let mut options = native();
    options.limits.decoded_bytes = 200_000;
    let mut decoder = Decoder::new(onto(writer, &target, &options).unwrap());
    assert_eq!(decoder.append(&[]).unwrap_err().code, &shared::TOO_LARGE);
    options.limits.decoded_bytes = 400_000;
    let mut decoder = Decoder::new(onto(writer, &target, &options).unwrap());
    decoder.append(&[]).unwrap();
    assert!(decoder.bytes() >= 300_000);
}

#[test]
fn default_that_its_column_cannot_hold_refuses_the_target() {
    let mut tried = 0;
    let writer = wrapped(r#"{"type":"record","name":"S","fields":[]}"#);
    for (field, says) in [
        (
            r#"{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":2},"default":"\u00ff\u0000\u0000"}"#,
            "default of `f.d`: FB0248 avro value at byte 4: decimal in 3 bytes of more digits",
        ),
        (
            r#"{"name":"u","type":{"type":"string","logicalType":"uuid"},"default":"none"}"#,
            "default of `f.u`: FB0249 avro value at byte 5: uuid `none`",
        ),
    ] {
        // apache-avro's parser refuses some of them, Java's does not.
        let target = wrapped(&format!(r#"{{"type":"record","name":"S","fields":[{field}]}}"#));
        let Ok(schema) = Schema::parse_str(&target) else { continue };
        drop(schema);
        let fault = onto(&writer, &target, &native()).unwrap_err();
        assert_eq!(fault.code, &codes::RESOLUTION, "{fault}");
        assert!(fault.message.starts_with(says), "{fault}");
        tried += 1;
    }
    assert!(tried > 0);
}

#[test]
fn schemas_that_multiply_are_refused() {
    // Each union leads to one record in five ways, ten levels deep.
    let record = |name: &str, inner: &str| {
        format!(r#"{{"type":"record","name":"{name}","fields":[{{"name":"n","type":{inner}}}]}}"#)
    };
    let (mut writer, mut target) = ("\"int\"".to_owned(), "\"int\"".to_owned());
    for level in 0..10 {
        let first = record(&format!("a.R{level}"), &writer);
        let again: Vec<String> = (0..4)
            .map(|i| {
                let below = if level == 0 {
                    "\"int\"".to_owned()
                } else {
                    format!(r#"["a.R{0}","b0.R{0}","b1.R{0}","b2.R{0}","b3.R{0}"]"#, level - 1)
                };
                record(&format!("b{i}.R{level}"), &below)
            })
            .collect();
        writer = format!("[{first},{}]", again.join(","));
        target = record(&format!("R{level}"), &target);
    }
    let fault = onto(&wrapped(&writer), &wrapped(&target), &native()).unwrap_err();
    assert_eq!(fault.code, &shared::TOO_WIDE, "{fault}");
}
