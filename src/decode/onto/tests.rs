use super::*;
use crate::config::{Limits, Reader, UnknownFields, Unwrap, Value};
use crate::decode::envelope::Envelope;
use crate::registry::Language;
use crate::registry::compile::compile;

/// Its column is the last of a version, and is not the last of several.
#[test]
fn kept_unknown_fields_stay_beside_an_unwrapped_row_in_the_columns_of_all_versions() {
    let version = |more: &str| {
        let text = format!(
            "syntax = \"proto3\"; message E {{ R before = 1; R after = 2; string op = 3; int64 ts_ms = 4; {more} }}
             message R {{ int64 id = 1; }}"
        );
        compile(1, Language::Protobuf, &text, &[]).unwrap()
    };
    let value = Value { unknown_fields: UnknownFields::Keep, ..Value::default() };
    let options = Options { value, readers: Vec::new(), limits: Limits::default() };
    let (old, new) = (version(""), version("string source = 5;"));
    let plan = |schema| Plan::of(schema, &[0], &options).unwrap();
    let merged =
        crate::evolve::merge(&[plan(&old).schema, plan(&new).schema], &options.bounds()).unwrap();
    for schema in [&old, &new] {
        let plan = plan(schema).widened(&merged.schema).unwrap();
        let envelope = Envelope::new(&plan, Some(schema), &options).unwrap();
        let names: Vec<&String> = envelope.fields().iter().map(|f| f.name()).collect();
        assert_eq!(names, ["id", "_unknown"]);
    }
}

fn with_unwrap(unwrap: Unwrap) -> Options {
    let value = Value { unwrap, ..Value::default() };
    Options { value, readers: vec![Reader::Spark], limits: Limits::default() }
}

fn avro(id: u32, text: &str) -> Schema {
    compile(id, Language::Avro, text, &[]).unwrap()
}

/// A change event whose table has one column of this type and, perhaps, name among Connect's.
fn event(id: u32, base: &str, name: &str) -> Schema {
    let column = match name {
        "" => format!(r#""{base}""#),
        name => format!(r#"{{"type":"{base}","connect.name":"io.debezium.{name}"}}"#),
    };
    avro(
        id,
        &format!(
            r#"{{"type":"record","name":"Envelope","fields":[
            {{"name":"before","type":["null",{{"type":"record","name":"Value","fields":[{{"name":"at","type":{column}}}]}}]}},
            {{"name":"after","type":["null","Value"]}},{{"name":"op","type":"string"}}]}}"#
        ),
    )
}

fn json_event(id: u32, title: &str) -> Schema {
    let table = |role: &str| {
        format!(
            r#""{role}":{{"oneOf":[{{"type":"null"}},{{"type":"object","title":"V","properties":{{"at":{{"type":"integer","title":"io.debezium.{title}","connect.type":"int64"}}}}}}]}}"#
        )
    };
    let text = format!(
        r#"{{"type":"object","title":"E","properties":{{{},{},"op":{{"type":"string"}}}}}}"#,
        table("before"),
        table("after")
    );
    compile(id, Language::Json, &text, &[]).unwrap()
}

/// What the number counts stands in the name of its Connect schema, and a reader of the target takes the
/// writer's number for its own.
#[test]
fn change_events_whose_times_count_something_else_do_not_fit() {
    let unlike = [
        (event(1, "long", "time.Timestamp"), event(2, "long", "time.MicroTimestamp")),
        (event(1, "long", ""), event(2, "long", "time.Timestamp")),
        (event(1, "long", "time.MicroTime"), event(2, "long", "")),
        (event(1, "int", "time.Time"), event(2, "long", "time.MicroTime")),
        (event(1, "int", "time.Date"), event(2, "int", "")),
        (json_event(1, "time.Timestamp"), json_event(2, "time.MicroTimestamp")),
    ];
    for (old, new) in &unlike {
        let options = with_unwrap(Unwrap::Debezium);
        for (writer, target) in [(old, new), (new, old)] {
            let found = Plan::compile_onto(writer, &[0], target, &options);
            let narrowed = matches!(&writer.parsed, Parsed::Avro(a) if a.json.contains("long"))
                && matches!(&target.parsed, Parsed::Avro(a) if a.json.contains("\"int\""));
            let code = found.expect_err("another unit").code.id;
            assert!(code == INCOMPATIBLE.id || narrowed, "{code}");
        }
        let columns = [old, new].map(|schema| Plan::bare(schema, &[0], &options).unwrap().schema);
        let merged = crate::evolve::merge(&columns, &options.bounds()).unwrap();
        assert_eq!(merged.left_out.len(), 1, "{:?}", merged.schema);
        // As events, they are what their base types are.
        if let Parsed::Avro(_) = &old.parsed {
            Plan::compile_onto(old, &[0], new, &with_unwrap(Unwrap::None)).unwrap();
        }
    }
    let same = [event(1, "long", "time.Timestamp"), event(2, "long", "time.Timestamp")];
    Plan::compile_onto(&same[0], &[0], &same[1], &with_unwrap(Unwrap::Debezium)).unwrap();
    // Names that make no difference to the column.
    let text = [event(1, "string", "time.ZonedTimestamp"), event(2, "string", "")];
    Plan::compile_onto(&text[0], &[0], &text[1], &with_unwrap(Unwrap::Debezium)).unwrap();
}

/// A column that another version has is typed by that one.
#[test]
fn unwrapped_rows_of_all_versions_have_the_same_columns() {
    let options = with_unwrap(Unwrap::Debezium);
    let version = |id, more: &str| {
        avro(
            id,
            &format!(
                r#"{{"type":"record","name":"Envelope","fields":[
                {{"name":"before","type":["null",{{"type":"record","name":"Value","fields":[{{"name":"id","type":"int"}}{more}]}}]}},
                {{"name":"after","type":["null","Value"]}},{{"name":"op","type":"string"}}]}}"#
            ),
        )
    };
    let more =
        r#",{"name":"at","type":{"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}}"#;
    let versions = [version(1, ""), version(2, more)];
    let plans = versions.each_ref().map(|schema| Plan::of(schema, &[0], &options).unwrap());
    let merged =
        crate::evolve::merge(&plans.each_ref().map(|p| p.schema.clone()), &options.bounds())
            .unwrap();
    for (plan, schema) in plans.into_iter().zip(&versions) {
        let plan = plan.widened(&merged.schema).unwrap();
        let envelope = Envelope::new(&plan, Some(schema), &options).unwrap();
        let types: Vec<String> =
            envelope.fields().iter().map(|f| format!("{} {}", f.name(), f.data_type())).collect();
        assert_eq!(types, ["id Int32", "at Timestamp(µs)"]);
        assert!(envelope.fields().iter().all(|field| field.metadata().is_empty()));
    }
}

/// Avro's resolution asks for the same name of records, and so does a merge.
#[test]
fn record_goes_to_the_branch_of_its_name_alone() {
    let plan = |ty: &str| {
        let text =
            format!(r#"{{"type":"record","name":"T","fields":[{{"name":"f","type":{ty}}}]}}"#);
        Plan::bare(&avro(1, &text), &[0], &with_unwrap(Unwrap::None)).unwrap()
    };
    let record = |name: &str, more: &str| {
        format!(
            r#"{{"type":"record","name":"{name}","fields":[{{"name":"x","type":"int"}}]{more}}}"#
        )
    };
    let union = |member: &str| format!(r#"["null",{member},"string"]"#);
    let symbols = |name: &str| format!(r#"{{"type":"enum","name":"{name}","symbols":["A"]}}"#);
    let fixed = |name: &str| format!(r#"{{"type":"fixed","name":"{name}","size":2}}"#);
    for (older, member, fits) in [
        (record("R", ""), record("R", ""), true),
        (record("R", ""), record("S", ""), false),
        (record("R", ""), record("S", r#","aliases":["R"]"#), true),
        (record("R", r#","aliases":["S"]"#), record("S", ""), true),
        (record("a.R", ""), record("b.R", ""), true),
        (fixed("R"), fixed("R"), true),
        (fixed("R"), fixed("S"), false),
    ] {
        let older = plan(&older);
        let both = [older.schema.clone(), plan(&union(&member)).schema];
        let merged = crate::evolve::merge(&both, &with_unwrap(Unwrap::None).bounds()).unwrap();
        assert_eq!(merged.left_out.is_empty(), fits, "{} {member}", older.schema);
        assert_eq!(older.widened(&merged.schema).is_ok(), fits, "{member}");
    }
    // No member is of that name: text is none of an enum's.
    let union = format!(r#"["null",{},"int"]"#, symbols("F"));
    let both = [plan(&symbols("E")).schema, plan(&union).schema];
    let merged = crate::evolve::merge(&both, &with_unwrap(Unwrap::None).bounds()).unwrap();
    assert_eq!(merged.left_out.len(), 1);
}

/// Text is read by the target: a text that means something else there does not fit, nor does one that the target
/// never reads.
#[test]
fn json_texts_of_another_form_do_not_fit() {
    let whole = |id, property: &str| {
        let text = format!(r#"{{"title":"R","type":"object","properties":{{"a":{property}}}}}"#);
        compile(id, Language::Json, &text, &[]).unwrap()
    };
    let fits = |from: &str, to: &str| {
        let options = with_unwrap(Unwrap::None);
        match Plan::compile_onto(&whole(1, from), &[], &whole(2, to), &options) {
            Ok(_) => true,
            Err(fault) => {
                assert_eq!(fault.code.id, INCOMPATIBLE.id, "{fault}");
                assert!(fault.message.contains("`a"), "{fault}");
                false
            }
        }
    };
    let decimal = |precision: u32, scale: u32| {
        format!(
            r#"{{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{{"scale":"{scale}","connect.decimal.precision":"{precision}"}}}}"#
        )
    };
    let list = |item: &str| format!(r#"{{"type":"array","items":{item}}}"#);
    let map = |value: &str| format!(r#"{{"type":"object","additionalProperties":{value}}}"#);
    let inside = |value: &str| {
        format!(r#"{{"type":"object","properties":{{"b":{value},"c":{{"type":"string"}}}}}}"#)
    };
    let several = |value: &str| format!(r#"{{"oneOf":[{value},{{"type":"boolean"}}]}}"#);
    let text = r#"{"type":"string"}"#;
    let bytes = r#"{"type":"string","contentEncoding":"base64"}"#;
    let date = r#"{"type":"string","format":"date"}"#;
    let days =
        r#"{"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.type":"int32"}"#;
    let pairs = r#"{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"type":"string"},"value":{"type":"integer"}}}}"#;
    let whole_number = r#"{"type":"integer"}"#;
    let unlike: Vec<(String, String)> = vec![
        (decimal(10, 2), decimal(12, 4)),
        (text.into(), bytes.into()),
        (date.into(), days.into()),
        (map(whole_number), pairs.into()),
    ];
    for (a, b) in &unlike {
        for wrap in [|v: &str| v.to_owned(), list, map, inside, several] as [fn(&str) -> String; 5]
        {
            let (a, b) = (wrap(a), wrap(b));
            assert!(!fits(&a, &b), "{a} as {b}");
            assert!(!fits(&b, &a), "{b} as {a}");
            assert!(fits(&a, &a) && fits(&b, &b), "{a} {b}");
        }
    }
    for (from, to) in [
        (decimal(10, 2), decimal(12, 2)),
        (whole_number.to_owned(), r#"{"type":"number"}"#.to_owned()),
        (whole_number.to_owned(), decimal(20, 0)),
        (text.to_owned(), "{}".to_owned()),
        (text.to_owned(), several(text)),
        (r#"{"type":"null"}"#.to_owned(), several(text)),
        (inside(text), inside(text).replace("\"c\"", "\"d\"")),
    ] {
        assert!(fits(&from, &to), "{from} as {to}");
    }
}

/// Readers that have no decimals of more than 38 digits get none by a merge either.
#[test]
fn merged_decimals_are_within_what_the_readers_have() {
    let options =
        |readers: &[Reader]| Options { readers: readers.to_vec(), ..with_unwrap(Unwrap::None) };
    let version = |scale: u32| {
        let text = format!(
            r#"{{"type":"record","name":"T","fields":[{{"name":"a","type":{{"type":"array","items":{{"type":"bytes","logicalType":"decimal","precision":38,"scale":{scale}}}}}}}]}}"#
        );
        Plan::bare(&avro(1, &text), &[0], &options(&[Reader::Native])).unwrap().schema
    };
    let both = [version(0), version(10)];
    let native = crate::evolve::merge(&both, &options(&[Reader::Native]).bounds()).unwrap();
    assert!(native.left_out.is_empty());
    for reader in [Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb] {
        let merged = crate::evolve::merge(&both, &options(&[reader]).bounds()).unwrap();
        assert_eq!(merged.schema, both[1]);
        assert_eq!(merged.left_out[0].1[0].path, "a.element", "{reader:?}");
    }
}
