//! Avro: a row is the type of the one field `f`; records are the specification's bytes in hexadecimal.

use std::sync::Arc;

use forebay::decode::{Options, Plan};
use forebay::registry::compile::compile;
use forebay::registry::{Language, Schema};

use super::{columns, compare, confluent, corpus, line, options, row};

fn schema(field_type: &str) -> Schema {
    let text =
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field_type}}}]}}"#);
    compile(1, Language::Avro, &text, &[]).unwrap_or_else(|e| panic!("{field_type}: {e}"))
}

fn plan(field_type: &str, options: &Options) -> Arc<Plan> {
    Plan::compile(&schema(field_type), &[], options).unwrap_or_else(|e| panic!("{field_type}: {e}"))
}

const fn fact(
    fact: &'static str,
    schema: &'static str,
    record: &'static str,
    columns: &'static str,
    row: &'static str,
) -> super::Row {
    super::Row { fact, settings: "", schema, record, columns, row, differs: "" }
}

const SAME: &str = "boolean,int,long,float,double,string,bytes";
const OTHERS: &str = "timestamp-micros, time-micros, local-timestamp-*, uuid, duration";
const NULLABLE: &str = r#"["null",T] in any order"#;
const ENTRIES: &str = "array of record io.confluent.connect.avro.MapEntry{key,value}";

const ROWS: &[super::Row] = &[
    super::Row {
        differs: "a column of nulls",
        ..fact("null alone", r#""null""#, "", "f null?", r#"{"f":null}"#)
    },
    fact(SAME, r#""boolean""#, "01", "f boolean", r#"{"f":true}"#),
    fact(SAME, r#""int""#, "01", "f int32", r#"{"f":-1}"#),
    fact(SAME, r#""long""#, "8001", "f int64", r#"{"f":64}"#),
    fact(SAME, r#""float""#, "0000c03f", "f float32", r#"{"f":1.5}"#),
    fact(SAME, r#""double""#, "000000000000f8bf", "f float64", r#"{"f":-1.5}"#),
    fact(SAME, r#""string""#, "06666f6f", "f text", r#"{"f":"foo"}"#),
    fact(SAME, r#""bytes""#, "04cafe", "f binary", r#"{"f":"cafe"}"#),
    super::Row {
        differs: "the sink writes them as Avro's fixed again",
        ..fact(
            "fixed",
            r#"{"type":"fixed","name":"F","size":3}"#,
            "010203",
            "f fixed(3)",
            r#"{"f":"010203"}"#,
        )
    },
    fact(
        "enum",
        r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
        "02",
        "f text",
        r#"{"f":"B"}"#,
    ),
    fact(NULLABLE, r#"["null","string"]"#, "00", "f text?", r#"{"f":null}"#),
    fact(NULLABLE, r#"["string","null"]"#, "000261", "f text?", r#"{"f":"a"}"#),
    fact("[T]", r#"["int"]"#, "0002", "f int32", r#"{"f":1}"#),
    super::Row {
        settings: "flatten_singleton_unions: false",
        ..fact("[T]", r#"["int"]"#, "0002", "f {member0 int32?}", r#"{"f":{"member0":1}}"#)
    },
    super::Row {
        differs: "the sink writes a union of Avro's again, and Parquet's Avro writer numbers its members",
        ..fact(
            "other union",
            r#"["int","string",{"type":"record","name":"a.P","fields":[{"name":"x","type":"int"}]}]"#,
            "0402",
            "f {member0 int32?, member1 text?, member2 {x int32}?}",
            r#"{"f":{"member0":null,"member1":null,"member2":{"x":1}}}"#,
        )
    },
    fact(
        "other union",
        r#"["string","null","long"]"#,
        "0406",
        "f {member0 text?, member1 int64?}?",
        r#"{"f":{"member0":null,"member1":3}}"#,
    ),
    fact(
        "other union",
        r#"["string","null","long"]"#,
        "02",
        "f {member0 text?, member1 int64?}?",
        r#"{"f":null}"#,
    ),
    super::Row {
        differs: "the sink writes a list of entries again",
        ..fact(
            ENTRIES,
            r#"{"type":"array","items":{"type":"record","name":"MapEntry","namespace":"io.confluent.connect.avro","fields":[{"name":"key","type":"int"},{"name":"value","type":["null","string"]}]}}"#,
            "020e02026100",
            "f [{key int32, value text?}]",
            r#"{"f":[{"key":7,"value":"a"}]}"#,
        )
    },
    fact(
        ENTRIES,
        r#"{"type":"array","items":{"type":"record","name":"X","connect.internal.type":"MapEntry","fields":[{"name":"key","type":"string"},{"name":"value","type":"int"}]}}"#,
        "0602610202620602610800",
        "f <text, int32>",
        r#"{"f":{"b":3,"a":4}}"#,
    ),
    fact(
        "map",
        r#"{"type":"map","values":["null","int"]}"#,
        "020261020400",
        "f <text, int32?>",
        r#"{"f":{"a":2}}"#,
    ),
    fact(
        "decimal on bytes or fixed",
        r#"{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}"#,
        "0404d2",
        "f decimal(12, 2)",
        r#"{"f":12.34}"#,
    ),
    fact(
        "decimal on bytes or fixed",
        r#"{"type":"fixed","name":"D","size":2,"logicalType":"decimal","precision":4}"#,
        "04d2",
        "f decimal(4, 0)",
        r#"{"f":1234}"#,
    ),
    fact(
        "decimal on bytes or fixed",
        r#"{"type":"bytes","logicalType":"decimal","precision":64,"scale":2}"#,
        "0404d2",
        "f decimal(64, 2)",
        r#"{"f":12.34}"#,
    ),
    fact(
        "date",
        r#"{"type":"int","logicalType":"date"}"#,
        "de9f02",
        "f date",
        r#"{"f":"2020-06-02"}"#,
    ),
    fact(
        "time-millis",
        r#"{"type":"int","logicalType":"time-millis"}"#,
        "d00f",
        "f time(ms)",
        r#"{"f":"00:00:01"}"#,
    ),
    fact(
        "timestamp-millis",
        r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        "d00f",
        "f timestamp(ms, UTC)",
        r#"{"f":"1970-01-01T00:00:01Z"}"#,
    ),
    fact(
        OTHERS,
        r#"{"type":"long","logicalType":"timestamp-micros"}"#,
        "d00f",
        "f int64",
        r#"{"f":1000}"#,
    ),
    fact(
        OTHERS,
        r#"{"type":"long","logicalType":"timestamp-nanos"}"#,
        "d00f",
        "f int64",
        r#"{"f":1000}"#,
    ),
    fact(
        OTHERS,
        r#"{"type":"long","logicalType":"time-micros"}"#,
        "d00f",
        "f int64",
        r#"{"f":1000}"#,
    ),
    fact(
        OTHERS,
        r#"{"type":"long","logicalType":"local-timestamp-millis"}"#,
        "d00f",
        "f int64",
        r#"{"f":1000}"#,
    ),
    fact(
        OTHERS,
        r#"{"type":"long","logicalType":"local-timestamp-micros"}"#,
        "d00f",
        "f int64",
        r#"{"f":1000}"#,
    ),
    fact(OTHERS, r#"{"type":"string","logicalType":"uuid"}"#, "0278", "f text", r#"{"f":"x"}"#),
    fact(
        OTHERS,
        r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#,
        "000102030405060708090a0b0c0d0e0f",
        "f fixed(16)",
        r#"{"f":"000102030405060708090a0b0c0d0e0f"}"#,
    ),
    fact(
        OTHERS,
        r#"{"type":"fixed","name":"D","size":12,"logicalType":"duration"}"#,
        "010000000200000003000000",
        "f fixed(12)",
        r#"{"f":"010000000200000003000000"}"#,
    ),
    fact(
        "int with connect.type int8/int16",
        r#"{"type":"int","connect.type":"int8"}"#,
        "0e",
        "f int32",
        r#"{"f":7}"#,
    ),
    super::Row {
        differs: "Parquet has no type that holds itself: JSON text",
        ..fact(
            "recursive",
            r#"{"type":"record","name":"N","fields":[{"name":"next","type":["null","N"]}]}"#,
            "0200",
            "f {next text?}",
            r#"{"f":{"next":"{\"next\":null}"}}"#,
        )
    },
];

#[test]
fn every_avro_fact_of_the_converter_has_its_column_and_value() {
    let facts = corpus(include_str!("../../corpus/avro/connect_facts.json"));
    println!("| fact | here | why |\n|---|---|---|\n{}", compare(&facts["types"], ROWS));
    for case in ROWS {
        let what = format!("{} {}", case.settings, case.schema);
        let plan = plan(case.schema, &confluent(case.settings));
        assert_eq!(columns(&plan), case.columns, "{what}");
        let batch = row(&plan, &crate::protobuf::unhex(case.record));
        assert_eq!(line(&batch.unwrap_or_else(|e| panic!("{what}: {e}"))), case.row, "{what}");
    }
}

/// The same types by the clean dialect: what a gateway that maps them natively has.
#[test]
fn logical_types_that_connect_forgets_have_columns_of_their_own_by_default() {
    for (field_type, clean) in [
        (r#"{"type":"long","logicalType":"timestamp-micros"}"#, "f timestamp(us, UTC)"),
        (r#"{"type":"long","logicalType":"local-timestamp-millis"}"#, "f timestamp(ms)"),
        (r#"{"type":"long","logicalType":"time-micros"}"#, "f time(us)"),
        (r#"{"type":"string","logicalType":"uuid"}"#, "f fixed(16)"),
        (r#"["int","string"]"#, "f {int int32?, string text?}"),
    ] {
        assert_eq!(columns(&plan(field_type, &options("readers: [native]"))), clean);
    }
}

#[test]
fn uuids_are_text_where_the_option_says_so() {
    let text = options("readers: [native]\nvalue: { uuid: string }");
    let fixed = r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#;
    for field_type in [r#"{"type":"string","logicalType":"uuid"}"#, fixed] {
        assert_eq!(columns(&plan(field_type, &text)), "f text");
    }
    let bytes = crate::protobuf::unhex("000102030405060708090a0b0c0d0e0f");
    assert_eq!(
        line(&row(&plan(fixed, &text), &bytes).unwrap()),
        r#"{"f":"00010203-0405-0607-0809-0a0b0c0d0e0f"}"#
    );
}

/// Schema resolution reads values by what they mean, whatever their columns know of that.
#[test]
fn writers_logical_types_are_resolved_as_in_the_clean_dialect() {
    let onto = |from: &str, to: &str| {
        Plan::compile_onto(&schema(from), &[], &schema(to), &confluent(""))
            .map_err(|f| f.to_string())
    };
    let millis = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
    let micros = r#"{"type":"long","logicalType":"timestamp-micros"}"#;
    let plan = onto(millis, micros).unwrap();
    assert_eq!(columns(&plan), "f int64");
    assert_eq!(line(&row(&plan, &crate::protobuf::unhex("02")).unwrap()), r#"{"f":1000}"#);
    // Microseconds are no milliseconds: nothing is read as something else.
    assert!(onto(micros, millis).unwrap_err().contains("FB"), "refused with a code");
    let plan = onto(r#""int""#, r#"["null","long","string"]"#).unwrap();
    assert_eq!(columns(&plan), "f {member0 int64?, member1 text?}?");
    let batch = row(&plan, &[2]).unwrap();
    assert_eq!(line(&batch), r#"{"f":{"member0":1,"member1":null}}"#);
}

#[test]
fn columns_that_a_reader_refuses_are_named() {
    let notes = |field_type: &str| plan(field_type, &confluent("")).notes.clone();
    assert_eq!(
        notes(r#"{"type":"int","logicalType":"time-millis"}"#),
        ["f: a time of day, which spark, athena, trino cannot read"]
    );
    assert_eq!(
        notes(
            r#"{"type":"array","items":{"type":"bytes","logicalType":"decimal","precision":64,"scale":2}}"#
        ),
        [
            "f.element: a decimal of more than 38 digits, which spark, athena, trino, duckdb cannot read"
        ]
    );
    assert_eq!(
        notes(
            r#"{"type":"record","name":"P","fields":[{"name":"id","type":"int"},{"name":"ID","type":"int"}]}"#
        ),
        ["f.ID: another name differs only by case, which spark, athena, trino cannot read"]
    );
    assert!(notes(r#""long""#).is_empty());
}
