//! Protobuf: fields meet by number.

use arrow::array::RecordBatch;
use forebay::registry::Language;
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;
use serde_json::Value as Json;

use super::{Rule, Table, rule};
use crate::protobuf::{compile, differential, render, root};

pub(super) static TABLE: Table = Table {
    title: "Protobuf",
    language: Language::Protobuf,
    whole: |fields| {
        // Enums and messages stand behind the fields.
        let (fields, more) = fields.split_once("; enum").map_or_else(
            || {
                fields
                    .split_once("; message")
                    .map_or((fields, None), |(f, m)| (f, Some(("message", m))))
            },
            |(f, m)| (f, Some(("enum", m))),
        );
        let end = if fields.is_empty() || fields.ends_with([';', '}']) { "" } else { ";" };
        let more = more.map(|(what, rest)| format!("{what}{rest}")).unwrap_or_default();
        format!("syntax = \"proto3\"; message R {{ {fields}{end} {more} }}")
    },
    encode,
    oracle,
    rules: RULES,
    notes: NOTES,
};

fn encode(text: &str, record: &Json) -> Vec<u8> {
    let file = compile(&[("t.proto", text)]);
    DynamicMessage::deserialize(root(&file), record).unwrap().encode_to_vec()
}

fn oracle((_, reader): (&str, &str), body: &[u8], row: &RecordBatch) {
    let file = compile(&[("t.proto", reader)]);
    let (got, want) = (render::row(&root(&file), row, 0), differential::oracle(&root(&file), body));
    assert!(render::same(&got, &want), "{reader}: {got}, {want} required");
}

static RULES: &[Rule] = &[
    rule(
        "field added",
        ["int32 a = 1", "int32 a = 1; string b = 2"],
        [r#"{"a":1}"#, r#"{"a":1,"b":"x"}"#],
    ),
    rule(
        "field with presence added",
        ["int32 a = 1", "int32 a = 1; optional string b = 2"],
        [r#"{"a":1}"#, r#"{"a":1,"b":"x"}"#],
    ),
    rule(
        "field removed",
        ["int32 a = 1; string b = 2", "int32 a = 1"],
        [r#"{"a":1,"b":"x"}"#, r#"{"a":1}"#],
    ),
    rule(
        "fields in another order",
        ["int32 a = 1; string b = 2", "string b = 2; int32 a = 1"],
        [r#"{"a":1,"b":"x"}"#, r#"{"a":1,"b":"x"}"#],
    ),
    rule("renamed, the number kept", ["int32 a = 1", "int32 b = 1"], [r#"{"a":1}"#, r#"{"b":1}"#]),
    rule(
        "another number for the name",
        ["int32 a = 1; int32 z = 9", "int32 a = 2; int32 z = 9"],
        [r#"{"a":1}"#, r#"{"a":2}"#],
    ),
    rule(
        "the name of a field that is gone",
        ["int32 a = 1; int32 b = 2", "int32 b = 1"],
        [r#"{"a":1,"b":2}"#, r#"{"b":1}"#],
    ),
    rule(
        "`int32` → `int64`",
        ["int32 a = 1", "int64 a = 1"],
        [r#"{"a":-1}"#, r#"{"a":"5000000000"}"#],
    ),
    Rule {
        change: "`sint32` → `int64`",
        versions: ["sint32 a = 1", "int64 a = 1"],
        records: [r#"{"a":-1}"#, r#"{"a":"1"}"#],
        differs: "values are read as their writer declares them; a reader that knows the newer version only takes -1 for 1",
    },
    Rule {
        change: "`float` → `double`",
        versions: ["float a = 1", "double a = 1"],
        records: [r#"{"a":1.5}"#, r#"{"a":1.5}"#],
        differs: "such a reader finds nothing, for the forms on the wire differ",
    },
    Rule {
        change: "`int32` → `double`",
        versions: ["int32 a = 1", "double a = 1"],
        records: [r#"{"a":3}"#, r#"{"a":3.5}"#],
        differs: "as above",
    },
    rule(
        "`uint32` → `uint64`",
        ["uint32 a = 1", "uint64 a = 1"],
        [r#"{"a":4000000000}"#, r#"{"a":"4000000000"}"#],
    ),
    rule(
        "`string` → `bytes`",
        ["string a = 1", "bytes a = 1"],
        [r#"{"a":"x"}"#, r#"{"a":"eA=="}"#],
    ),
    rule(
        "`bytes` → `string`",
        ["bytes a = 1", "string a = 1"],
        [r#"{"a":"eA=="}"#, r#"{"a":"x"}"#],
    ),
    Rule {
        change: "`bytes` → `string`, no text",
        versions: ["bytes a = 1", "string a = 1"],
        records: [r#"{"a":"/w=="}"#, r#"{"a":"x"}"#],
        differs: "",
    },
    Rule {
        change: "symbol added to an enum",
        versions: ["E a = 1; enum E { A = 0; B = 1; }", "E a = 1; enum E { A = 0; B = 1; C = 2; }"],
        records: [r#"{"a":"B"}"#, r#"{"a":"C"}"#],
        differs: "a number that the target does not name keeps the name that its writer has for it",
    },
    Rule {
        change: "symbol of an enum renamed",
        versions: ["E a = 1; enum E { A = 0; B = 1; }", "E a = 1; enum E { A = 0; BE = 1; }"],
        records: [r#"{"a":"B"}"#, r#"{"a":"BE"}"#],
        differs: "",
    },
    Rule {
        change: "enum → `string`",
        versions: ["E a = 1; enum E { A = 0; B = 1; }", "string a = 1"],
        records: [r#"{"a":"B"}"#, r#"{"a":"B"}"#],
        differs: "the columns are text both; such a reader finds no text",
    },
    rule("`optional` added", ["int32 a = 1", "optional int32 a = 1"], [r#"{"a":1}"#, r#"{"a":1}"#]),
    rule(
        "`optional` taken away, absent",
        ["optional int32 a = 1; int32 z = 9", "int32 a = 1; int32 z = 9"],
        [r#"{"z":1}"#, r#"{"z":1}"#],
    ),
    rule(
        "field moved into a oneof",
        ["int32 a = 1; string b = 2", "oneof o { int32 a = 1; string b = 2; }"],
        [r#"{"b":"x"}"#, r#"{"b":"x"}"#],
    ),
    rule(
        "member added to a oneof",
        [
            "oneof o { int32 a = 1; string b = 2; }",
            "oneof o { int32 a = 1; string b = 2; bool c = 3; }",
        ],
        [r#"{"b":"x"}"#, r#"{"c":true}"#],
    ),
    rule(
        "single → `repeated`",
        ["int32 a = 1", "repeated int32 a = 1"],
        [r#"{"a":1}"#, r#"{"a":[1,2]}"#],
    ),
    rule(
        "single message → `repeated`",
        ["N a = 1; message N { int32 b = 1; }", "repeated N a = 1; message N { int32 b = 1; }"],
        [r#"{"a":{"b":1}}"#, r#"{"a":[{"b":1}]}"#],
    ),
    rule(
        "element of a list promoted",
        ["repeated int32 a = 1", "repeated int64 a = 1"],
        [r#"{"a":[1,2]}"#, r#"{"a":["5000000000"]}"#],
    ),
    rule(
        "value of a map promoted",
        ["map<string, int32> a = 1", "map<string, int64> a = 1"],
        [r#"{"a":{"k":1}}"#, r#"{"a":{"k":"5000000000"}}"#],
    ),
    rule(
        "field of a message inside added",
        ["N a = 1; message N { int32 b = 1; }", "N a = 1; message N { int32 b = 1; int32 c = 2; }"],
        [r#"{"a":{"b":1}}"#, r#"{"a":{"b":1,"c":2}}"#],
    ),
    rule(
        "field → message",
        ["int32 a = 1", "N a = 1; message N { int32 b = 1; }"],
        [r#"{"a":1}"#, r#"{"a":{"b":1}}"#],
    ),
    rule("incompatible types", ["int32 a = 1", "string a = 1"], [r#"{"a":1}"#, r#"{"a":"x"}"#]),
    rule("narrowed", ["int64 a = 1", "int32 a = 1"], [r#"{"a":"1"}"#, r#"{"a":1}"#]),
    rule("first field of an empty message", ["", "int32 a = 1"], ["{}", r#"{"a":1}"#]),
];

const NOTES: &str = "
`superset` does not put a single value into a list: in its columns a field without presence that is absent looks like its default, and a list of
that default is not an empty list. Columns of `superset` that a version lacks are null for its rows, where `latest` has the default, as Protobuf says.
Messages meet by their full names: rows of different messages never share columns.
";
