//! Schema texts that strict parsers refuse and registries hold.

use apache_avro::schema::Schema;
use serde_json::Value;

use super::{AvroSchema, Reference, compile};

fn avro(text: &str, references: &[(&str, &str)]) -> Result<AvroSchema, crate::error::Fault> {
    let references: Vec<Reference> = references
        .iter()
        .map(|(name, text)| Reference { name: (*name).into(), text: (*text).into() })
        .collect();
    compile(text, &references)
}

fn record(field: &str) -> String {
    format!(r#"{{"type":"record","name":"n.R","fields":[{field}]}}"#)
}

#[track_caller]
fn lenient(text: &str, references: &[(&str, &str)], note: &str) -> AvroSchema {
    let schema = avro(text, references).unwrap();
    assert!(schema.forgiven.iter().any(|n| n.contains(note)), "{:?}", schema.forgiven);
    // Self-contained: a parser that sees only this text takes it.
    Schema::parse_str(&schema.json).unwrap();
    schema
}

#[test]
fn names_that_java_reads_are_taken_and_noted() {
    for name in ["a-b.Envelope", "com.x.Outer$Inner", "größe.Straße", "db-1.Key", "7.a b.C d"] {
        let text = format!(
            r#"{{"type":"record","name":"{name}","fields":[{{"name":"my field","type":{{"type":"enum","name":"E-1","symbols":["a-b","N/A","<1>"]}}}}]}}"#
        );
        let schema = lenient(&text, &[], " names that the Avro specification refuses, kept: `");
        assert_eq!(schema.json, text, "the text of a schema that parses stays");
    }
    assert!(avro(r#"{"type":"fixed","name":"1.a","size":1}"#, &[]).unwrap().forgiven.len() == 1);
    assert!(avro(r#"{"type":"fixed","name":"_1._a","size":1}"#, &[]).unwrap().forgiven.is_empty());
}

#[test]
fn names_that_nobody_can_use_are_refused() {
    for name in ["", ".", "a.", "a..b", "a/b", "a\\u0000", "a\\nb", "a\\\"b", "a\\\\b"] {
        let text = format!(r#"{{"type":"fixed","name":"{name}","size":1}}"#);
        assert_eq!(avro(&text, &[]).unwrap_err().code.id, "FB0304", "{name}");
    }
    for field in ["", "a\\u0000"] {
        let text = record(&format!(r#"{{"name":"{field}","type":"int"}}"#));
        assert_eq!(avro(&text, &[]).unwrap_err().code.id, "FB0304", "{field}");
    }
}

#[test]
fn namespace_of_nothing_is_none() {
    let text = r#"{"type":"record","name":"R","namespace":"","fields":[{"name":"a","type":{"type":"fixed","name":"F","size":1}},{"name":"b","type":"F"}]}"#;
    assert!(avro(text, &[]).unwrap().forgiven.is_empty());
    let text = r#"{"type":"record","name":"a.R","fields":[{"name":"a","type":{"type":"fixed","name":"F","namespace":"","size":1}},{"name":"b","type":"F"}]}"#;
    // Java looks for `a.F`, then for `F`.
    avro(text, &[]).unwrap();
    let text = text.replace(r#""type":"F""#, r#""type":"F","default":1"#);
    let schema = lenient(&text, &[], "a.R.b: default `1` left out");
    assert!(schema.json.contains(r#"".F""#), "{}", schema.json);
}

/// Field, the default that is left out.
const DEFAULTS: &[(&str, &str)] = &[
    (r#"{"name":"a","type":"int","default":"0"}"#, r#"n.R.a: default `"0"` left out"#),
    (r#"{"name":"a","type":"long","default":null}"#, "n.R.a: default `null` left out"),
    (r#"{"name":"a","type":["null","string"],"default":5}"#, "n.R.a: default `5` left out"),
    (
        r#"{"name":"a","type":{"type":"array","items":"int"},"default":["x"]}"#,
        r#"n.R.a: default `["x"]` left out"#,
    ),
    (
        r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["A"],"default":"B"},"default":"C"}"#,
        r#"n.R.a: default `"C"` left out"#,
    ),
    (
        r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["A"],"default":"B"}}"#,
        "type `n.E`: default of the enum left out",
    ),
    (
        r#"{"name":"a","type":{"type":"record","name":"I","fields":[{"name":"x","type":"int"}]},"default":{}}"#,
        "n.R.a: default `{}` left out",
    ),
];

#[test]
fn default_that_is_no_value_of_its_field_is_left_out_alone() {
    for (field, note) in DEFAULTS {
        let good = r#"{"name":"good","type":["null","int"],"default":null},{"name":"better","type":"long","default":7}"#;
        let schema = lenient(&record(&format!("{good},{field}")), &[], note);
        let json: Value = serde_json::from_str(&schema.json).unwrap();
        assert_eq!(json["fields"][0]["default"], Value::Null);
        assert_eq!(json["fields"][1]["default"], 7);
        assert!(json["fields"][2].get("default").is_none(), "{json}");
    }
}

#[test]
fn comments_and_a_byte_order_mark_are_left_out() {
    let text = "\u{feff}/* of\n * us */ {\"type\": \"fixed\", // bytes\n \"name\": \"F\", \"doc\": \"a // b /* c */ \\\" // d\", \"size\": 1}";
    let schema = lenient(text, &[], "comments or a byte order mark");
    assert!(schema.json.contains(r#"a // b /* c */ \" // d"#), "{}", schema.json);
    assert_eq!(avro("{/*", &[]).unwrap_err().code.id, "FB0304");
}

#[test]
fn type_used_before_it_is_defined_is_found() {
    let text = record(
        r#"{"name":"a","type":["null","F"]},{"name":"b","type":{"type":"fixed","name":"F","size":3}},{"name":"c","type":"n.F"}"#,
    );
    let schema = lenient(&text, &[], "type `n.F`: written out where it is used first");
    assert_eq!(schema.json.matches("\"size\":3").count(), 1, "{}", schema.json);
}

#[test]
fn error_of_a_protocol_is_a_record() {
    let text = record(
        r#"{"name":"e","type":{"type":"error","name":"Bad","fields":[{"name":"why","type":"string"}]}}"#,
    );
    lenient(&text, &[], "type `n.Bad`: an `error` read as a record");
}

#[test]
fn logical_type_that_is_no_text_is_left_out() {
    let text = record(r#"{"name":"a","type":{"type":"long","logicalType":7}}"#);
    lenient(&text, &[], "`logicalType` left out");
}

#[test]
fn logical_type_on_another_base_or_unknown_falls_back_to_the_base() {
    for (text, base) in [
        (r#"{"type":"string","logicalType":"timestamp-millis"}"#, Schema::String),
        (r#"{"type":"long","logicalType":"date"}"#, Schema::Long),
        (r#"{"type":"int","logicalType":"decimal","precision":4}"#, Schema::Int),
        (r#"{"type":"bytes","logicalType":"decimal"}"#, Schema::Bytes),
        (r#"{"type":"bytes","logicalType":"decimal","precision":2,"scale":3}"#, Schema::Bytes),
        (r#"{"type":"bytes","logicalType":"decimal","precision":"4"}"#, Schema::Bytes),
        (r#"{"type":"long","logicalType":"of-the-future"}"#, Schema::Long),
        (r#"{"type":"long","logicalType":"uuid"}"#, Schema::Long),
        (r#"{"type":"bytes","logicalType":"duration"}"#, Schema::Bytes),
    ] {
        assert_eq!(avro(text, &[]).unwrap().schema, base, "{text}");
    }
    let schema = avro(r#"{"type":"fixed","name":"F","size":8,"logicalType":"uuid"}"#, &[]).unwrap();
    assert!(matches!(schema.schema, Schema::Fixed(f) if f.size == 8));
}

#[test]
fn references_that_define_one_type_twice_are_taken() {
    let zip = r#"{"type":"fixed","name":"a.Zip","size":5}"#;
    let address = r#"{"type":"record","name":"a.Address","fields":[{"name":"zip","type":{"type":"fixed","name":"Zip","size":5}}]}"#;
    let text = r#"{"type":"record","name":"b.U","fields":[{"name":"z","type":"a.Zip"},{"name":"h","type":"a.Address"},{"name":"w","type":"a.Address"}]}"#;
    for references in
        [[("a.Zip", zip), ("a.Address", address)], [("a.Address", address), ("a.Zip", zip)]]
    {
        let schema = avro(text, &references).unwrap();
        Schema::parse_str(&schema.json).unwrap();
        assert_eq!(schema.json.matches("\"size\":5").count(), 1, "{}", schema.json);
    }
    // The schema holds a type that a reference holds, too.
    let text = r#"{"type":"record","name":"b.U","fields":[{"name":"z","type":{"type":"fixed","name":"a.Zip","size":5}},{"name":"h","type":"a.Address"}]}"#;
    let schema = avro(text, &[("a.Address", address)]).unwrap();
    assert_eq!(schema.json.matches("\"size\":5").count(), 1, "{}", schema.json);
}

#[test]
fn names_that_refer_in_circles_end() {
    let a = r#"{"type":"record","name":"x.A","fields":[{"name":"b","type":["null","x.B"],"default":7}]}"#;
    let b = r#"{"type":"record","name":"x.B","fields":[{"name":"a","type":["null","x.A"]}]}"#;
    let schema = lenient(r#""x.A""#, &[("x.A", a), ("x.B", b)], "default `7` left out");
    assert_eq!(schema.json.matches("\"name\":\"A\"").count(), 1, "{}", schema.json);
    let endless = record(
        r#"{"name":"d","type":{"type":"record","name":"D","fields":[{"name":"d","type":"D","default":{}}]},"default":{}}"#,
    );
    lenient(&endless, &[], "n.R.d: default `{}` left out");
}

#[test]
fn text_that_no_reading_takes_has_the_strict_parsers_fault() {
    for (text, says) in [
        (r#"{"type":"record","name":"R","fields":[{"name":"a","type":"Missing"}]}"#, "Missing"),
        (r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#, "type"),
        (r#"{"type":"enum","name":"E","symbols":["A","A"]}"#, "A"),
        (r#"["int",["string"]]"#, "union"),
        (r#"{"type":"fixed","name":"F","size":"4"}"#, "size"),
        ("// nothing", "line 1 column 1"),
    ] {
        let fault = avro(text, &[]).unwrap_err();
        assert_eq!(fault.code.id, "FB0304", "{fault}");
        assert!(fault.message.contains(says), "{text}: {fault}");
    }
}
