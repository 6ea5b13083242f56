//! Avro: the specification's schema resolution; `superset` by names and aliases.

use std::sync::Arc;

use apache_avro::Schema;
use arrow::array::{RecordBatch, StructArray};
use forebay::registry::Language;
use forebay::registry::encode::Encoder;
use serde_json::Value as Json;

use super::{Rule, Table, rule};
use crate::fuzz::targets::oracle::{Oracle, names};

pub(super) static TABLE: Table = Table {
    title: "Avro",
    language: Language::Avro,
    whole: |fields| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#),
    encode,
    oracle,
    rules: RULES,
    notes: NOTES,
};

fn encode(text: &str, record: &Json) -> Vec<u8> {
    let schema = forebay::registry::compile::compile(1, Language::Avro, text, &[]).unwrap();
    let mut out = Vec::new();
    Encoder::new(Arc::new(schema), None).unwrap().body(record, &mut out).unwrap();
    out
}

#[allow(deprecated)] // the short way through apache-avro
fn oracle((writer, reader): (&str, &str), body: &[u8], row: &RecordBatch) {
    let [writer, reader] = [writer, reader].map(|text| Schema::parse_str(text).unwrap());
    let read = apache_avro::from_avro_datum(&writer, &mut &body[..], Some(&reader))
        .unwrap_or_else(|e| panic!("{reader:?}: {e}"));
    let names = names(&reader);
    Oracle::new(&names).check("", &reader, &read, &StructArray::from(row.clone()), 0);
}

static RULES: &[Rule] = &[
    rule(
        "field added, with a default",
        [
            r#"{"name":"a","type":"int"}"#,
            r#"{"name":"a","type":"int"},{"name":"b","type":"string","default":"x"}"#,
        ],
        [r#"{"a":1}"#, r#"{"a":1,"b":"y"}"#],
    ),
    rule(
        "field added, null by default",
        [
            r#"{"name":"a","type":"int"}"#,
            r#"{"name":"a","type":"int"},{"name":"b","type":["null","string"],"default":null}"#,
        ],
        [r#"{"a":1}"#, r#"{"a":1,"b":"y"}"#],
    ),
    rule(
        "field added, without a default",
        [
            r#"{"name":"a","type":"int"}"#,
            r#"{"name":"a","type":"int"},{"name":"b","type":"string"}"#,
        ],
        [r#"{"a":1}"#, r#"{"a":1,"b":"y"}"#],
    ),
    rule(
        "field removed",
        [
            r#"{"name":"a","type":"int"},{"name":"b","type":"string"}"#,
            r#"{"name":"a","type":"int"}"#,
        ],
        [r#"{"a":1,"b":"y"}"#, r#"{"a":1}"#],
    ),
    rule(
        "fields in another order",
        [
            r#"{"name":"a","type":"int"},{"name":"b","type":"string"}"#,
            r#"{"name":"b","type":"string"},{"name":"a","type":"int"}"#,
        ],
        [r#"{"a":1,"b":"y"}"#, r#"{"a":1,"b":"y"}"#],
    ),
    Rule {
        change: "renamed, with an alias",
        versions: [r#"{"name":"a","type":"int"}"#, r#"{"name":"b","aliases":["a"],"type":"int"}"#],
        records: [r#"{"a":1}"#, r#"{"b":1}"#],
        // apache-avro refuses it; that Java's and fastavro take it so stands in tests/corpus/avro/resolution.json.
        differs: "libraries that know no aliases of fields refuse it",
    },
    rule(
        "renamed, without an alias",
        [r#"{"name":"a","type":"int","default":7}"#, r#"{"name":"b","type":"int","default":8}"#],
        [r#"{"a":1}"#, r#"{"b":1}"#],
    ),
    rule(
        "`int` → `long`",
        [r#"{"name":"a","type":"int"}"#, r#"{"name":"a","type":"long"}"#],
        [r#"{"a":1}"#, r#"{"a":1}"#],
    ),
    rule(
        "`int` → `float`",
        [r#"{"name":"a","type":"int"}"#, r#"{"name":"a","type":"float"}"#],
        [r#"{"a":1}"#, r#"{"a":1.5}"#],
    ),
    rule(
        "`long` → `double`",
        [r#"{"name":"a","type":"long"}"#, r#"{"name":"a","type":"double"}"#],
        [r#"{"a":1}"#, r#"{"a":1.5}"#],
    ),
    rule(
        "`float` → `double`",
        [r#"{"name":"a","type":"float"}"#, r#"{"name":"a","type":"double"}"#],
        [r#"{"a":1.5}"#, r#"{"a":1.5}"#],
    ),
    rule(
        "`string` → `bytes`",
        [r#"{"name":"a","type":"string"}"#, r#"{"name":"a","type":"bytes"}"#],
        [r#"{"a":"x"}"#, r#"{"a":"x"}"#],
    ),
    rule(
        "symbol added to an enum",
        [
            r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["A","B"]}}"#,
            r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["A","B","C"]}}"#,
        ],
        [r#"{"a":"B"}"#, r#"{"a":"C"}"#],
    ),
    rule(
        "symbol added, the enum with a default",
        [
            r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}}"#,
            r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["A","B","C"],"default":"A"}}"#,
        ],
        [r#"{"a":"B"}"#, r#"{"a":"C"}"#],
    ),
    rule(
        "enum → `string`",
        [
            r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["A"]}}"#,
            r#"{"name":"a","type":"string"}"#,
        ],
        [r#"{"a":"A"}"#, r#"{"a":"x"}"#],
    ),
    Rule {
        change: "decimal of more digits",
        versions: [
            r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}"#,
            r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}}"#,
        ],
        records: [r#"{"a":"1.25"}"#, r#"{"a":"1.25"}"#],
        // apache-avro refuses short bytes; the corpus has what Java's and fastavro make of them.
        differs: "the specification leaves it open",
    },
    rule(
        "decimal of another scale",
        [
            r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}"#,
            r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":12,"scale":4}}"#,
        ],
        [r#"{"a":"1.25"}"#, r#"{"a":"1.25"}"#],
    ),
    rule(
        "nullable",
        [r#"{"name":"a","type":"int"}"#, r#"{"name":"a","type":["null","int"]}"#],
        [r#"{"a":1}"#, r#"{"a":1}"#],
    ),
    rule(
        "nullable, null",
        [r#"{"name":"a","type":"int"}"#, r#"{"name":"a","type":["null","int"]}"#],
        [r#"{"a":1}"#, r#"{"a":null}"#],
    ),
    rule(
        "union grows",
        [
            r#"{"name":"a","type":["null","int","string"]}"#,
            r#"{"name":"a","type":["null","int","string","boolean"]}"#,
        ],
        [r#"{"a":{"int":1}}"#, r#"{"a":{"boolean":true}}"#],
    ),
    rule(
        "one type becomes a union",
        [r#"{"name":"a","type":["null","int"]}"#, r#"{"name":"a","type":["null","int","string"]}"#],
        [r#"{"a":1}"#, r#"{"a":{"string":"x"}}"#],
    ),
    rule(
        "one type becomes a union of wider ones",
        [r#"{"name":"a","type":"int"}"#, r#"{"name":"a","type":["string","long"]}"#],
        [r#"{"a":1}"#, r#"{"a":{"long":1}}"#],
    ),
    Rule {
        change: "timestamp: ms → µs",
        versions: [
            r#"{"name":"a","type":{"type":"long","logicalType":"timestamp-millis"}}"#,
            r#"{"name":"a","type":{"type":"long","logicalType":"timestamp-micros"}}"#,
        ],
        records: [r#"{"a":1000}"#, r#"{"a":1000}"#],
        differs: "the time stays what it is; libraries that know the specification's resolution alone take the number as it is",
    },
    rule(
        "item of an array promoted",
        [
            r#"{"name":"a","type":{"type":"array","items":"int"}}"#,
            r#"{"name":"a","type":{"type":"array","items":"long"}}"#,
        ],
        [r#"{"a":[1,2]}"#, r#"{"a":[5]}"#],
    ),
    rule(
        "value of a map promoted",
        [
            r#"{"name":"a","type":{"type":"map","values":"int"}}"#,
            r#"{"name":"a","type":{"type":"map","values":"long"}}"#,
        ],
        [r#"{"a":{"k":1}}"#, r#"{"a":{"k":5}}"#],
    ),
    rule(
        "field of a record inside added",
        [
            r#"{"name":"a","type":{"type":"record","name":"N","fields":[{"name":"b","type":"int"}]}}"#,
            r#"{"name":"a","type":{"type":"record","name":"N","fields":[{"name":"b","type":"int"},{"name":"c","type":"int","default":3}]}}"#,
        ],
        [r#"{"a":{"b":1}}"#, r#"{"a":{"b":1,"c":2}}"#],
    ),
    rule(
        "single → array",
        [r#"{"name":"a","type":"int"}"#, r#"{"name":"a","type":{"type":"array","items":"int"}}"#],
        [r#"{"a":1}"#, r#"{"a":[1]}"#],
    ),
    rule(
        "incompatible types",
        [r#"{"name":"a","type":"int"}"#, r#"{"name":"a","type":"string"}"#],
        [r#"{"a":1}"#, r#"{"a":"x"}"#],
    ),
    rule(
        "narrowed",
        [r#"{"name":"a","type":"long"}"#, r#"{"name":"a","type":"int"}"#],
        [r#"{"a":1}"#, r#"{"a":1}"#],
    ),
    rule(
        "first field of an empty record",
        ["", r#"{"name":"a","type":"int","default":7}"#],
        ["{}", r#"{"a":1}"#],
    ),
];

const NOTES: &str = "
`superset` gives a column its newest name; the alias must stand in one of the versions. Where a name was one field's before and is another's now, the
older version keeps its own columns. A type that became a union goes to the one member of its type, or of the one type that it may be promoted to;
where two members would do, rows keep their own columns. Units of time stay: a time far away would not fit the finer one.
";
