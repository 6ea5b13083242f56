//! JSON Schema: properties meet by name, and the text is read by the target.

use arrow::array::RecordBatch;
use forebay::registry::Language;
use serde_json::Value as Json;

use super::{Rule, Table, rule};

pub(super) static TABLE: Table = Table {
    title: "JSON Schema",
    language: Language::Json,
    whole: |rest| format!(r#"{{"title":"R","type":"object",{rest}}}"#),
    encode: |_, record| record.to_string().into_bytes(),
    oracle,
    rules: RULES,
    notes: NOTES,
};

/// Each property that the reader knows is what serde_json reads; a union's is in the one member that is there.
fn oracle((_, reader): (&str, &str), body: &[u8], row: &RecordBatch) {
    let (record, reader): (Json, Json) =
        (serde_json::from_slice(body).unwrap(), serde_json::from_str(reader).unwrap());
    let columns = row.schema();
    let row: Json = serde_json::from_str(&super::line(row)).unwrap();
    let properties = reader["properties"].as_object().unwrap();
    for (name, column) in row.as_object().unwrap() {
        if properties.is_empty() {
            continue; // whether it is there
        }
        assert!(properties.contains_key(name), "{name}");
        let value = record.get(name).unwrap_or(&Json::Null);
        let extension = columns.field_with_name(name).unwrap().extension_type_name();
        match (extension, column) {
            (Some("arrow.json"), Json::String(text)) => {
                same(&serde_json::from_str(text).unwrap(), value);
            }
            _ => same(column, value),
        }
    }
}

fn same(column: &Json, value: &Json) {
    match (column, value) {
        (Json::Object(members), value) if !value.is_object() => {
            let there: Vec<&Json> = members.values().filter(|member| !member.is_null()).collect();
            same(there[0], value);
        }
        (Json::Object(members), Json::Object(values)) => {
            for (name, member) in members {
                same(member, values.get(name).unwrap_or(&Json::Null));
            }
        }
        (Json::Array(items), Json::Array(values)) => {
            assert_eq!(items.len(), values.len());
            items.iter().zip(values).for_each(|(item, value)| same(item, value));
        }
        (Json::Number(a), Json::Number(b)) => assert_eq!(a.as_f64(), b.as_f64()),
        (column, value) => assert_eq!(column, value),
    }
}

static RULES: &[Rule] = &[
    rule(
        "property added",
        [
            r#""properties":{"a":{"type":"integer"}}"#,
            r#""properties":{"a":{"type":"integer"},"b":{"type":"string"}}"#,
        ],
        [r#"{"a":1}"#, r#"{"a":1,"b":"x"}"#],
    ),
    rule(
        "required property added",
        [
            r#""properties":{"a":{"type":"integer"}}"#,
            r#""properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["b"]"#,
        ],
        [r#"{"a":1}"#, r#"{"a":1,"b":"x"}"#],
    ),
    rule(
        "property removed",
        [
            r#""properties":{"a":{"type":"integer"},"b":{"type":"string"}}"#,
            r#""properties":{"a":{"type":"integer"}}"#,
        ],
        [r#"{"a":1,"b":"x"}"#, r#"{"a":1}"#],
    ),
    rule(
        "properties in another order",
        [
            r#""properties":{"a":{"type":"integer"},"b":{"type":"string"}}"#,
            r#""properties":{"b":{"type":"string"},"a":{"type":"integer"}}"#,
        ],
        [r#"{"a":1,"b":"x"}"#, r#"{"a":1,"b":"x"}"#],
    ),
    rule(
        "renamed",
        [r#""properties":{"a":{"type":"integer"}}"#, r#""properties":{"b":{"type":"integer"}}"#],
        [r#"{"a":1}"#, r#"{"b":1}"#],
    ),
    rule(
        "`integer` → `number`",
        [r#""properties":{"a":{"type":"integer"}}"#, r#""properties":{"a":{"type":"number"}}"#],
        [r#"{"a":1}"#, r#"{"a":1.5}"#],
    ),
    rule(
        "value added to an enum",
        [
            r#""properties":{"a":{"enum":["A","B"]}}"#,
            r#""properties":{"a":{"enum":["A","B","C"]}}"#,
        ],
        [r#"{"a":"B"}"#, r#"{"a":"C"}"#],
    ),
    rule(
        "enum → `string`",
        [r#""properties":{"a":{"enum":["A","B"]}}"#, r#""properties":{"a":{"type":"string"}}"#],
        [r#"{"a":"B"}"#, r#"{"a":"x"}"#],
    ),
    rule(
        "required → not",
        [
            r#""properties":{"a":{"type":"integer"}},"required":["a"]"#,
            r#""properties":{"a":{"type":"integer"}}"#,
        ],
        [r#"{"a":1}"#, "{}"],
    ),
    rule(
        "not required → required",
        [
            r#""properties":{"a":{"type":"integer"}}"#,
            r#""properties":{"a":{"type":"integer"}},"required":["a"]"#,
        ],
        ["{}", r#"{"a":1}"#],
    ),
    rule(
        "one type becomes several",
        [
            r#""properties":{"a":{"type":"integer"}}"#,
            r#""properties":{"a":{"type":["integer","string"]}}"#,
        ],
        [r#"{"a":1}"#, r#"{"a":"x"}"#],
    ),
    rule(
        "item of an array promoted",
        [
            r#""properties":{"a":{"type":"array","items":{"type":"integer"}}}"#,
            r#""properties":{"a":{"type":"array","items":{"type":"number"}}}"#,
        ],
        [r#"{"a":[1,2]}"#, r#"{"a":[1.5]}"#],
    ),
    rule(
        "property of an object inside added",
        [
            r#""properties":{"a":{"type":"object","properties":{"b":{"type":"integer"}}}}"#,
            r#""properties":{"a":{"type":"object","properties":{"b":{"type":"integer"},"c":{"type":"string"}}}}"#,
        ],
        [r#"{"a":{"b":1}}"#, r#"{"a":{"b":1,"c":"x"}}"#],
    ),
    rule(
        "text → time",
        [
            r#""properties":{"a":{"type":"string"}}"#,
            r#""properties":{"a":{"type":"string","format":"date-time"}}"#,
        ],
        [r#"{"a":"2026-01-01T00:00:00Z"}"#, r#"{"a":"2026-01-01T00:00:00Z"}"#],
    ),
    rule(
        "text → any JSON",
        [r#""properties":{"a":{"type":"string"}}"#, r#""properties":{"a":{}}"#],
        [r#"{"a":"x"}"#, r#"{"a":"x"}"#],
    ),
    rule(
        "text → base64",
        [
            r#""properties":{"a":{"type":"string"}}"#,
            r#""properties":{"a":{"type":"string","contentEncoding":"base64"}}"#,
        ],
        [r#"{"a":"test"}"#, r#"{"a":"dGVzdA=="}"#],
    ),
    rule(
        "decimal of another scale",
        [
            r#""properties":{"a":{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"10"}}}"#,
            r#""properties":{"a":{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"4","connect.decimal.precision":"12"}}}"#,
        ],
        [r#"{"a":"MDk="}"#, r#"{"a":"EtaI"}"#],
    ),
    rule(
        "date as text → as a number of days",
        [
            r#""properties":{"a":{"type":"string","format":"date"}}"#,
            r#""properties":{"a":{"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.type":"int32"}}"#,
        ],
        [r#"{"a":"2026-01-02"}"#, r#"{"a":20455}"#],
    ),
    rule(
        "incompatible types",
        [r#""properties":{"a":{"type":"integer"}}"#, r#""properties":{"a":{"type":"string"}}"#],
        [r#"{"a":1}"#, r#"{"a":"x"}"#],
    ),
    rule(
        "first property of an empty object",
        [
            r#""properties":{},"additionalProperties":false"#,
            r#""properties":{"a":{"type":"integer"}}"#,
        ],
        ["{}", r#"{"a":1}"#],
    ),
];

const NOTES: &str = "
A JSON Schema has no aliases: a renamed property is one removed and one added. An object without properties has the one column `value`, which says
that it is there; `superset` keeps it beside those of the other versions.
";
