//! JSON Schema: a row is the schema of the one property `f`, and a value of it.

use std::sync::Arc;

use forebay::config::Extra;
use forebay::decode::{Options, Plan};
use forebay::registry::Language;
use forebay::registry::compile::compile;

use super::{Row, columns, compare, confluent, corpus, line, row};

fn whole(field: &str) -> String {
    format!(r#"{{"type":"object","properties":{{"f":{field}}}}}"#)
}

fn plan(text: &str, options: &Options) -> Arc<Plan> {
    let schema = compile(1, Language::Json, text, &[]).unwrap_or_else(|e| panic!("{text}: {e}"));
    Plan::compile(&schema, &[], options).unwrap_or_else(|e| panic!("{text}: {e}"))
}

const fn fact(
    fact: &'static str,
    schema: &'static str,
    record: &'static str,
    columns: &'static str,
    row: &'static str,
) -> Row {
    Row { fact, settings: "", schema, record, columns, row, differs: "" }
}

const OVERRIDES: &str = "connect.type int8..float64/bytes/map";
const TITLES: &str = "title org.apache.kafka.connect.data.{Date,Time,Timestamp,Decimal}";
const ONE_OF: &str = r#"{"oneOf":[{"type":"string"},{"type":"null"},{"type":"integer"},{"type":"object","properties":{"a":{"type":"string"}}}]}"#;

const ROWS: &[Row] = &[
    fact("integer", r#"{"type":"integer"}"#, "7", "f int64", r#"{"f":7}"#),
    fact(
        "integer",
        r#"{"type":"integer","minimum":0,"maximum":18446744073709551615}"#,
        "7",
        "f int64",
        r#"{"f":7}"#,
    ),
    fact("number", r#"{"type":"number"}"#, "1.5", "f float64", r#"{"f":1.5}"#),
    fact("boolean", r#"{"type":"boolean"}"#, "true", "f boolean", r#"{"f":true}"#),
    fact("string", r#"{"type":"string"}"#, r#""a""#, "f text", r#"{"f":"a"}"#),
    fact(
        "string",
        r#"{"type":"string","format":"date-time"}"#,
        r#""2026""#,
        "f text",
        r#"{"f":"2026"}"#,
    ),
    fact("string", r#"{"type":"string","format":"uuid"}"#, r#""a""#, "f text", r#"{"f":"a"}"#),
    fact(
        "string",
        r#"{"type":"string","contentEncoding":"base64"}"#,
        r#""yv4=""#,
        "f text",
        r#"{"f":"yv4="}"#,
    ),
    fact(OVERRIDES, r#"{"type":"integer","connect.type":"int8"}"#, "7", "f int32", r#"{"f":7}"#),
    fact(
        OVERRIDES,
        r#"{"type":"number","connect.type":"float32"}"#,
        "1.5",
        "f float32",
        r#"{"f":1.5}"#,
    ),
    fact(
        OVERRIDES,
        r#"{"type":"string","connect.type":"bytes"}"#,
        r#""yv4=""#,
        "f binary",
        r#"{"f":"cafe"}"#,
    ),
    fact(
        OVERRIDES,
        r#"{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"type":"integer"},"value":{"type":"string"}}}}"#,
        r#"[{"key":1,"value":"a"},{"key":2,"value":"b"},{"key":1,"value":"c"}]"#,
        "f [{key int64, value text}]",
        r#"{"f":[{"key":2,"value":"b"},{"key":1,"value":"c"}]}"#,
    ),
    fact(
        OVERRIDES,
        r#"{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"oneOf":[{"type":"null"},{"type":"string"}]},"value":{"type":"integer"}}}}"#,
        r#"[{"key":null,"value":1},{"key":"","value":2}]"#,
        "f [{key text?, value int64}]",
        r#"{"f":[{"key":null,"value":1},{"key":"","value":2}]}"#,
    ),
    Row {
        settings: "allow_optional_map_keys: true",
        ..fact(
            OVERRIDES,
            r#"{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"oneOf":[{"type":"null"},{"type":"string"}]},"value":{"type":"integer"}}}}"#,
            r#"[{"key":"k","value":2}]"#,
            "f <text, int64>",
            r#"{"f":{"k":2}}"#,
        )
    },
    fact("enum / const", r#"{"enum":["a","b"]}"#, r#""b""#, "f text", r#"{"f":"b"}"#),
    fact("enum / const", r#"{"enum":[1,true,"x"]}"#, "1", "f text", r#"{"f":"1"}"#),
    fact("enum / const", r#"{"const":true}"#, "true", "f text", r#"{"f":"true"}"#),
    fact("enum / const", r#"{"type":"integer","enum":[1,2]}"#, "2", "f int64", r#"{"f":2}"#),
    fact(
        "oneOf/anyOf of exactly {null,T}",
        r#"{"oneOf":[{"type":"null"},{"type":"integer"}]}"#,
        "null",
        "f int64?",
        r#"{"f":null}"#,
    ),
    fact(
        "oneOf/anyOf of exactly {null,T}",
        r#"{"anyOf":[{"type":"integer"},{"type":"null"}]}"#,
        "5",
        "f int64?",
        r#"{"f":5}"#,
    ),
    fact(
        "oneOf/anyOf",
        ONE_OF,
        "5",
        "f {io.confluent.connect.json.OneOf.field.0 text?, io.confluent.connect.json.OneOf.field.1 int64?, io.confluent.connect.json.OneOf.field.2 {a text}?}?",
        r#"{"f":{"io.confluent.connect.json.OneOf.field.0":null,"io.confluent.connect.json.OneOf.field.1":5,"io.confluent.connect.json.OneOf.field.2":null}}"#,
    ),
    Row {
        settings: "scrub_invalid_names: true",
        ..fact(
            "oneOf/anyOf",
            ONE_OF,
            "null",
            "f {io_confluent_connect_json_OneOf_field_0 text?, io_confluent_connect_json_OneOf_field_1 int64?, io_confluent_connect_json_OneOf_field_2 {a text}?}?",
            r#"{"f":null}"#,
        )
    },
    Row {
        settings: "generalized_sum_type_support: true",
        ..fact(
            "oneOf/anyOf",
            ONE_OF,
            r#"{"a":"x"}"#,
            "f {member0 text?, member1 int64?, member2 {a text}?}?",
            r#"{"f":{"member0":null,"member1":null,"member2":{"a":"x"}}}"#,
        )
    },
    fact(
        "oneOf/anyOf",
        r#"{"anyOf":[{"type":"integer"},{"type":"number"}]}"#,
        "1.5",
        "f {io.confluent.connect.json.OneOf.field.0 int64?, io.confluent.connect.json.OneOf.field.1 float64?}",
        r#"{"f":{"io.confluent.connect.json.OneOf.field.0":null,"io.confluent.connect.json.OneOf.field.1":1.5}}"#,
    ),
    fact("oneOf/anyOf", r#"{"oneOf":[{"type":"integer"}]}"#, "1", "f int64", r#"{"f":1}"#),
    Row {
        settings: "flatten_singleton_unions: false",
        ..fact(
            "oneOf/anyOf",
            r#"{"oneOf":[{"type":"integer"}]}"#,
            "1",
            "f {io.confluent.connect.json.OneOf.field.0 int64?}",
            r#"{"f":{"io.confluent.connect.json.OneOf.field.0":1}}"#,
        )
    },
    fact(
        r#"["type":["string","null"]]"#,
        r#"{"type":["string","null"]}"#,
        "null",
        "f text?",
        r#"{"f":null}"#,
    ),
    fact(
        "allOf",
        r#"{"allOf":[{"properties":{"a":{"type":"string"}}},{"properties":{"b":{"type":"integer"}}}]}"#,
        r#"{"a":"x","b":1}"#,
        "f {a text, b int64}",
        r#"{"f":{"a":"x","b":1}}"#,
    ),
    fact(
        "array",
        r#"{"type":"array","items":{"type":"integer"}}"#,
        "[1]",
        "f [int64]",
        r#"{"f":[1]}"#,
    ),
    Row {
        differs: "an array without items is a list of JSON text, no error",
        ..fact("array", r#"{"type":"array"}"#, "[1]", "f [text?]", r#"{"f":["1"]}"#)
    },
    fact(
        "object",
        r#"{"type":"object","properties":{"b":{"type":"string","connect.index":1},"a":{"type":"string","connect.index":0}},"required":["a"]}"#,
        r#"{"b":"x","a":"y"}"#,
        "f {a text, b text}",
        r#"{"f":{"a":"y","b":"x"}}"#,
    ),
    Row {
        settings: "use_optional_for_nonrequired: true",
        ..fact(
            "object",
            r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"required":["a"]}"#,
            r#"{"a":"y"}"#,
            "f? {a text, b text?}",
            r#"{"f":{"a":"y","b":null}}"#,
        )
    },
    fact(
        "object connect.type=map",
        r#"{"type":"object","connect.type":"map","additionalProperties":{"type":"integer"}}"#,
        r#"{"k":1}"#,
        "f <text, int64>",
        r#"{"f":{"k":1}}"#,
    ),
    Row {
        differs: "JSON text, as no reader has Connect's variant",
        ..fact("{} / true", "true", r#"{"a":1}"#, "f text?", r#"{"f":"{\"a\":1}"}"#)
    },
    fact(
        TITLES,
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.type":"int32"}"#,
        "1",
        "f date",
        r#"{"f":"1970-01-02"}"#,
    ),
    fact(
        TITLES,
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Time","connect.type":"int32"}"#,
        "1000",
        "f time(ms)",
        r#"{"f":"00:00:01"}"#,
    ),
    fact(
        TITLES,
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.type":"int64"}"#,
        "1000",
        "f timestamp(ms, UTC)",
        r#"{"f":"1970-01-01T00:00:01Z"}"#,
    ),
    fact(
        TITLES,
        r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2"}}"#,
        "12.34",
        "f decimal(64, 2)",
        r#"{"f":12.34}"#,
    ),
    fact(
        TITLES,
        r#"{"type":"string","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"9"}}"#,
        r#""BNI=""#,
        "f decimal(9, 2)",
        r#"{"f":12.34}"#,
    ),
    Row {
        differs: "Parquet has no type that holds itself: JSON text",
        ..fact(
            "$ref recursive",
            r##"{"type":"object","properties":{"next":{"$ref":"#/properties/f"}}}"##,
            r#"{"next":{}}"#,
            "f {next text?}",
            r#"{"f":{"next":"{}"}}"#,
        )
    },
    fact(
        "extra properties not in schema",
        r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
        r#"{"a":"x","b":1}"#,
        "f {a text}",
        r#"{"f":{"a":"x"}}"#,
    ),
];

#[test]
fn every_json_schema_fact_of_the_converter_has_its_column_and_value() {
    let facts = corpus(include_str!("../../corpus/json/connect_facts.json"));
    println!("| fact | here | why |\n|---|---|---|\n{}", compare(&facts["types"], ROWS));
    for case in ROWS {
        let what = format!("{} {}", case.settings, case.schema);
        let plan = plan(&whole(case.schema), &confluent(case.settings));
        // The outer property is not required either.
        let shown = columns(&plan).replacen("f {a text, b text?}?", "f? {a text, b text?}", 1);
        assert_eq!(shown, case.columns, "{what}");
        let batch = row(&plan, format!(r#"{{"f":{}}}"#, case.record).as_bytes());
        assert_eq!(line(&batch.unwrap_or_else(|e| panic!("{what}: {e}"))), case.row, "{what}");
    }
    let is = confluent("").value.dialect.connect().unwrap();
    for (name, ours) in [
        ("use.optional.for.nonrequired", is.use_optional_for_nonrequired),
        ("flatten.singleton.unions", is.flatten_singleton_unions),
        ("generalized.sum.type.support", is.generalized_sum_type_support),
        ("preserve.additional.properties", confluent("").value.extra == Extra::Keep),
    ] {
        assert_eq!(facts["defaults"][name], ours, "{name}");
    }
}

/// The converter fails at a property without a value, and so does its task.
#[test]
fn property_that_is_absent_has_its_default_or_rejects_its_record() {
    let text = r#"{"type":"object","properties":{"a":{"type":"string","default":"x"},"b":{"type":"integer"},"c":{"type":["integer","null"]}}}"#;
    let strict = plan(text, &confluent(""));
    assert_eq!(columns(&strict), "a text, b int64, c int64?");
    let of = |plan, text: &str| row(plan, text.as_bytes()).map(|batch| line(&batch));
    assert_eq!(of(&strict, r#"{"b":1}"#).unwrap(), r#"{"a":"x","b":1,"c":null}"#);
    assert_eq!(of(&strict, r#"{"b":1,"a":null}"#).unwrap(), r#"{"a":"x","b":1,"c":null}"#);
    assert_eq!(of(&strict, r#"{"a":"y"}"#).unwrap_err().code.id, "FB0264");
    assert_eq!(of(&strict, r#"{"b":null}"#).unwrap_err().code.id, "FB0263");
    let lenient = plan(text, &confluent("use_optional_for_nonrequired: true"));
    assert_eq!(columns(&lenient), "a text?, b int64?, c int64?");
    assert_eq!(of(&lenient, "{}").unwrap(), r#"{"a":"x","b":null,"c":null}"#);
}

/// Without `required` a union tells its objects apart by what they have.
#[test]
fn branches_of_a_union_still_ask_only_for_what_the_schema_requires() {
    let text = r#"{"type":"object","properties":{"f":{"oneOf":[
        {"type":"object","properties":{"a":{"type":"integer"},"b":{"type":["integer","null"]}},"required":["a"]},
        {"type":"object","properties":{"c":{"type":"integer"}}}]}}}"#;
    let plan = plan(text, &confluent("generalized_sum_type_support: true"));
    let of = |text: &str| row(&plan, text.as_bytes()).map(|batch| line(&batch));
    assert_eq!(
        of(r#"{"f":{"a":1}}"#).unwrap(),
        r#"{"f":{"member0":{"a":1,"b":null},"member1":null}}"#
    );
    assert_eq!(of(r#"{"f":{"c":1}}"#).unwrap(), r#"{"f":{"member0":null,"member1":{"c":1}}}"#);
}

/// JSON with its Connect schema inside: no converter stands between, only the sink.
#[test]
fn embedded_connect_schemas_have_the_sinks_columns() {
    let schema = r#"{"type":"struct","fields":[
        {"field":"m","type":"map","keys":{"type":"int32"},"values":{"type":"string","optional":true}},
        {"field":"s","type":"map","keys":{"type":"string"},"values":{"type":"int32"}},
        {"field":"o","type":"map","keys":{"type":"string","optional":true},"values":{"type":"int32"},"optional":true},
        {"field":"t","type":"int32","name":"org.apache.kafka.connect.data.Time"},
        {"field":"d","type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}},
        {"field":"not-avro","type":"int64","optional":true}]}"#;
    let options = confluent("scrub_invalid_names: true");
    let plan = Plan::embedded(schema.as_bytes(), &options).unwrap();
    assert_eq!(
        columns(&plan),
        "m [{key int32, value text?}], s <text, int32>, o [{key text?, value int32}]?, t time(ms), d decimal(64, 2), not_avro int64?"
    );
    let text = r#"{"m":[[1,"a"],[1,"b"]],"s":{"k":1},"o":[[null,1],["x",2]],"t":1000,"d":"BNI=","not-avro":7}"#;
    assert_eq!(
        line(&row(&plan, text.as_bytes()).unwrap()),
        r#"{"m":[{"key":1,"value":"b"}],"s":{"k":1},"o":[{"key":null,"value":1},{"key":"x","value":2}],"t":"00:00:01","d":12.34,"not_avro":7}"#
    );
}
