//! `schema.compatibility` case by case: tests/corpus/connect_s3/schema_compat.json.

use std::collections::BTreeSet;

use forebay::config::{Compatibility, Connect, Limits, Value};
use forebay::decode::{Options, Plan};
use forebay::evolve::connect::{Declared, Verdict, decide};
use forebay::registry::Language;
use forebay::registry::compile::compile;

/// The columns of the corpus.
const MODES: [Compatibility; 4] =
    [Compatibility::None, Compatibility::Backward, Compatibility::Forward, Compatibility::Full];

/// A schema, and its version.
type Side = Option<(&'static str, Option<u32>)>;

struct Case {
    /// As the corpus has it.
    case: &'static str,
    record: Side,
    file: Side,
}

const fn both(case: &'static str, record: &'static str, file: &'static str) -> Case {
    Case { case, record: Some((record, Some(1))), file: Some((file, Some(1))) }
}

const fn versions(case: &'static str, record: Option<u32>, file: Option<u32>) -> Case {
    Case { case, record: Some((PLAIN, record)), file: Some((PLAIN, file)) }
}

const PLAIN: &str = r#"record R { "name": "a", "type": "int" }"#;
const NEXT: &str = "either side has no version";
const TYPES: &str = "type changed int->string / struct->string";
const PROMOTED: &str = "int8..int64,float promotions (record narrower than file)";
const SYMBOLS: &str =
    "enum: record has symbol file lacks (also nested in struct/array/map, Avro and Protobuf)";
const FEWER: &str = "enum: file has more symbols";
const PARAMS: &str = "parameters differ (non-doc)";
const TO_NULL: &str = "record optional, file required without default";
const TO_DEFAULT: &str = "record optional, file required WITH default";
const MISSING: &str = "file has extra required field w/o default";
const FILLED: &str = "file has extra required field with default";
const NULLED: &str = "file has extra optional field";

const AB: &str =
    r#"record R { "name": "a", "type": { "type": "enum", "name": "E", "symbols": ["A", "B"] } }"#;
const ABC: &str = r#"record R { "name": "a", "type": { "type": "enum", "name": "E", "symbols": ["A", "B", "C"] } }"#;

/// `record R { fields }` is an Avro record; other texts are Protobuf.
const CASES: &[Case] = &[
    both("identical copy", PLAIN, PLAIN),
    both("identical copy", AB, AB),
    versions("record older version than file", Some(1), Some(2)),
    versions("record newer version than file", Some(2), Some(1)),
    both("schema renamed", r#"record S { "name": "a", "type": "int" }"#, PLAIN),
    both(
        "schema renamed",
        "message R { N n = 1; } message N { int32 a = 1; } message O { int32 a = 1; }",
        "message R { O n = 1; } message N { int32 a = 1; } message O { int32 a = 1; }",
    ),
    both(TYPES, PLAIN, r#"record R { "name": "a", "type": "string" }"#),
    both(
        TYPES,
        r#"record R { "name": "a", "type": { "type": "record", "name": "N", "fields": [] } }"#,
        r#"record R { "name": "a", "type": "string" }"#,
    ),
    both(TYPES, "message R { int32 a = 1; }", "message R { string a = 1; }"),
    both(
        PROMOTED,
        r#"record R { "name": "a", "type": { "type": "int", "connect.type": "int8" } }"#,
        r#"record R { "name": "a", "type": { "type": "int", "connect.type": "int16" } }"#,
    ),
    both(
        PROMOTED,
        r#"record R { "name": "a", "type": { "type": "int", "connect.type": "int16" } }"#,
        PLAIN,
    ),
    both(PROMOTED, PLAIN, r#"record R { "name": "a", "type": "long" }"#),
    both(
        PROMOTED,
        r#"record R { "name": "a", "type": "long" }"#,
        r#"record R { "name": "a", "type": "float" }"#,
    ),
    both(
        PROMOTED,
        r#"record R { "name": "a", "type": "float" }"#,
        r#"record R { "name": "a", "type": "double" }"#,
    ),
    both(PROMOTED, "message R { sint32 a = 1; }", "message R { int64 a = 1; }"),
    both(PARAMS, "message R { int32 a = 1; }", "message R { int32 a = 2; }"),
    both(
        PARAMS,
        r#"record R { "name": "a", "type": { "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2 } }"#,
        r#"record R { "name": "a", "type": { "type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 3 } }"#,
    ),
    both("doc differs only", r#"record R { "name": "a", "type": "int", "doc": "x" }"#, PLAIN),
    both(
        "record required, file optional",
        PLAIN,
        r#"record R { "name": "a", "type": ["null", "int"] }"#,
    ),
    both(TO_NULL, r#"record R { "name": "a", "type": ["null", "int"] }"#, PLAIN),
    both(
        TO_DEFAULT,
        r#"record R { "name": "a", "type": ["null", "int"] }"#,
        r#"record R { "name": "a", "type": "int", "default": 7 }"#,
    ),
    both(
        NULLED,
        PLAIN,
        r#"record R { "name": "a", "type": "int" }, { "name": "b", "type": ["null", "int"] }"#,
    ),
    both(NULLED, "message R { int32 a = 1; }", "message R { int32 a = 1; int32 b = 2; }"),
    both(
        MISSING,
        PLAIN,
        r#"record R { "name": "a", "type": "int" }, { "name": "b", "type": "int" }"#,
    ),
    both(
        FILLED,
        PLAIN,
        r#"record R { "name": "a", "type": "int" }, { "name": "b", "type": "int", "default": 1 }"#,
    ),
    both(
        "record has extra field",
        r#"record R { "name": "a", "type": "int" }, { "name": "b", "type": "int" }"#,
        PLAIN,
    ),
    both(
        "record has extra field",
        "message R { int32 a = 1; oneof o { string b = 2; string c = 3; } }",
        "message R { int32 a = 1; oneof o { string b = 2; } }",
    ),
    both(SYMBOLS, ABC, AB),
    both(
        SYMBOLS,
        "message R { E a = 1; } enum E { A = 0; B = 1; C = 2; }",
        "message R { E a = 1; } enum E { A = 0; B = 1; }",
    ),
    both(
        SYMBOLS,
        "message R { repeated E a = 1; } enum E { A = 0; B = 1; }",
        "message R { repeated E a = 1; } enum E { A = 0; }",
    ),
    both(
        SYMBOLS,
        "message R { map<string, E> a = 1; } enum E { A = 0; B = 1; }",
        "message R { map<string, E> a = 1; } enum E { A = 0; }",
    ),
    both(
        SYMBOLS,
        "message R { N n = 1; } message N { E a = 1; } enum E { A = 0; B = 1; }",
        "message R { N n = 1; } message N { E a = 1; } enum E { A = 0; }",
    ),
    both(FEWER, AB, ABC),
    both(
        FEWER,
        "message R { E a = 1; } enum E { A = 0; }",
        "message R { E a = 1; } enum E { A = 0; B = 1; }",
    ),
    both(
        "nested struct field type int32->string",
        r#"record R { "name": "n", "type": { "type": "record", "name": "N", "fields": [{ "name": "a", "type": "int" }] } }"#,
        r#"record R { "name": "n", "type": { "type": "record", "name": "N", "fields": [{ "name": "a", "type": "string" }] } }"#,
    ),
    both(
        "nested struct field type int32->string",
        "message R { N n = 1; } message N { int32 a = 1; }",
        "message R { N n = 1; } message N { string a = 1; }",
    ),
    Case { case: "schema <-> schemaless switch", record: None, file: Some((PLAIN, Some(1))) },
    Case { case: "schema <-> schemaless switch", record: Some((PLAIN, Some(1))), file: None },
    versions(NEXT, None, Some(1)),
    versions(NEXT, Some(1), None),
];

/// As the pipeline declares it.
fn declared(text: &str, version: Option<u32>) -> Declared {
    let (language, text) = match text.strip_prefix("record ") {
        Some(record) => {
            let (name, fields) = record.split_once(" { ").unwrap();
            // Not to be confused with the braces of a last field.
            let fields = fields.strip_suffix(" }").unwrap();
            let record = format!(
                r#"{{ "type": "record", "name": "{name}", "namespace": "t", "fields": [{{ {fields} }}] }}"#
            );
            (Language::Avro, record)
        }
        None => (Language::Protobuf, format!("syntax = \"proto3\"; package t; {text}")),
    };
    let schema = compile(1, language, &text, &[]).unwrap_or_else(|e| panic!("{text}: {e}"));
    let options =
        Options { value: Value::default(), readers: Vec::new(), limits: Limits::default() };
    let plan = Plan::of(&schema, &[0], &options).unwrap();
    Declared::of(&schema, &plan.record_name, &plan.schema, version, Connect::default())
}

#[test]
fn compatibility_modes_decide_as_the_sink_does() {
    let corpus: serde_json::Value =
        serde_json::from_str(include_str!("../../corpus/connect_s3/schema_compat.json")).unwrap();
    let cases = corpus["cases"].as_array().unwrap();
    let named: BTreeSet<&str> = cases.iter().map(|case| case["case"].as_str().unwrap()).collect();
    let here: BTreeSet<&str> = CASES.iter().map(|case| case.case).collect();
    assert_eq!(here, named, "every case of the corpus, and no other");
    for case in CASES {
        let fact = cases.iter().find(|fact| fact["case"] == case.case).unwrap();
        let side = |side: &Side| side.map(|(text, version)| declared(text, version));
        let (record, file) = (side(&case.record), side(&case.file));
        for (mode, expected) in MODES.iter().zip(fact["result"].as_array().unwrap()) {
            let found = match decide(*mode, record.as_ref(), file.as_ref()) {
                Verdict::Keep => serde_json::Value::Null,
                Verdict::Rotate(reason) => reason.name().into(),
                Verdict::Refuse(_) => "ERROR".into(),
            };
            let sides = (&case.record, &case.file);
            assert_eq!(found, *expected, "{}: {mode:?} {sides:?}", case.case);
        }
    }
}

/// Types that stand inside themselves end, and are compared.
#[test]
fn compatibility_of_recursive_types_ends() {
    let node = |more: &str| {
        let text = format!("message R {{ R left = 1; repeated R right = 2; int32 v = 3; {more} }}");
        declared(&text, Some(1))
    };
    let keeps = |record: &Declared, file: &Declared| {
        decide(Compatibility::Backward, Some(record), Some(file)) == Verdict::Keep
    };
    assert!(keeps(&node("string a = 4;"), &node("")));
    assert!(!keeps(&node("string a = 4;"), &node("bytes a = 4;")));
}

/// The corpus as rows of a table of docs/evolution.md.
pub(crate) fn rows() -> String {
    let corpus: serde_json::Value =
        serde_json::from_str(include_str!("../../corpus/connect_s3/schema_compat.json")).unwrap();
    let mut out = String::new();
    for case in corpus["cases"].as_array().unwrap() {
        out += &format!("| {} |", case["case"].as_str().unwrap().replace("->", "→"));
        for result in case["result"].as_array().unwrap() {
            out += &match result.as_str() {
                None => " keep |".to_owned(),
                Some("ERROR") => " **error** |".to_owned(),
                Some(reason) => format!(" {reason} |"),
            };
        }
        out.push('\n');
    }
    out
}
