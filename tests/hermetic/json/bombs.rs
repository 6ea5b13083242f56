//! Texts and schemas that ask for much: refused, in the time of their bytes, without a trace.

use forebay::config::Limits;
use forebay::decode::{Decoder, Options, Plan, codes, json};
use forebay::error::Code;

use super::{native, plan, try_plan};
use crate::alloc::measured;

/// The text is refused with `code`, costs no memory, and leaves the decoder as it was.
#[track_caller]
fn refused(schema: &str, text: &str, code: &Code, options: &Options) {
    refused_within(schema, text, code, options, 64 << 10);
}

/// At most `peak_max` bytes are allocated at once on the way to the refusal.
#[track_caller]
fn refused_within(schema: &str, text: &str, code: &Code, options: &Options, peak_max: usize) {
    let mut decoder = Decoder::new(plan(schema, options));
    let (result, used) = measured(|| decoder.append(text.as_bytes()));
    let reject = result.unwrap_err();
    assert_eq!(reject.code, code, "{reject}");
    assert!(used.peak < peak_max, "{} bytes at once, {peak_max} allowed: {reject}", used.peak);
    assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
    let kept = decoder.finish().get_array_memory_size();
    assert!(kept < 2 << 20, "{kept} bytes kept of a refused record");
}

/// The text is taken, with at most `peak_max` bytes at once beside it.
#[track_caller]
fn taken_within(schema: &str, text: &str, options: &Options, peak_max: usize) {
    let mut decoder = Decoder::new(plan(schema, options));
    let (result, used) = measured(|| decoder.append(text.as_bytes()));
    result.unwrap();
    assert!(used.peak < peak_max, "{} bytes at once, {peak_max} allowed", used.peak);
}

/// The schema is refused with `code`, with at most `peak_max` bytes at once.
#[track_caller]
fn schema_refused_within(schema: &str, code: &Code, peak_max: usize) {
    let (result, used) = measured(|| try_plan(schema, &native()));
    assert_eq!(result.unwrap_err().code, code);
    assert!(used.peak < peak_max, "{} bytes at once, {peak_max} allowed", used.peak);
}

#[test]
fn depth_is_bounded_wherever_it_stands() {
    let deep = |open: &str, close: &str, levels: usize| open.repeat(levels) + &close.repeat(levels);
    for levels in [101, 1_000, 100_000] {
        for text in [deep("[", "]", levels), "[".repeat(levels), "{\"a\":".repeat(levels)] {
            refused("{}", &text, &codes::DEPTH, &native());
            let member = format!("{{\"x\":{text}");
            refused(
                r#"{"properties":{"a":{"type":"integer"}}}"#,
                &member,
                &codes::DEPTH,
                &native(),
            );
            refused(r#"{"properties":{"x":{}}}"#, &member, &codes::DEPTH, &native());
        }
        let union = r#"{"properties":{"u":{"oneOf":[{"title":"A","properties":{"a":{}}},{"title":"B","properties":{"b":{}}}]}}}"#;
        let text = format!("{{\"u\":{{\"z\":{}", "[".repeat(levels));
        refused(union, &text, &codes::DEPTH, &native());
    }
    // A hundred levels in all, the record's own counted.
    let mut decoder = Decoder::new(plan(r#"{"properties":{"x":{}}}"#, &native()));
    decoder.append(format!("{{\"x\":{}}}", deep("[", "]", 99)).as_bytes()).unwrap();
    decoder.append(format!("{{\"x\":{}}}", deep("[", "]", 100)).as_bytes()).unwrap_err();
    decoder.append(format!("{{\"y\":{}}}", deep("[", "]", 99)).as_bytes()).unwrap();
    decoder.append(format!("{{\"y\":{}}}", deep("[", "]", 100)).as_bytes()).unwrap_err();
}

#[test]
fn items_are_counted() {
    let limits = Limits { nodes: 1_000, ..Limits::default() };
    let options = Options { limits, ..native() };
    let list = r#"{"properties":{"l":{"type":"array","items":{"type":"integer"}}}}"#;
    let items = |n: usize| format!("{{\"l\":[{}0]}}", "0,".repeat(n - 1));
    Decoder::new(plan(list, &options)).append(items(1_000).as_bytes()).unwrap();
    refused(list, &items(1_001), &codes::TOO_LARGE, &options);
    let map = r#"{"properties":{"m":{"additionalProperties":{"type":"integer"}}}}"#;
    let text = format!("{{\"m\":{{{}\"k\":0}}}}", "\"k\":0,".repeat(1_000));
    refused(map, &text, &codes::TOO_LARGE, &options);
}

#[test]
fn items_of_many_columns_are_counted_by_what_they_make() {
    let columns: Vec<String> =
        (0..2_000).map(|i| format!(r#""c{i}":{{"type":"integer"}}"#)).collect();
    let item = format!(r#"{{"properties":{{{}}}}}"#, columns.join(","));
    let schema = format!(r#"{{"properties":{{"l":{{"type":"array","items":{item}}}}}}}"#);
    let limits = Limits { decoded_bytes: 1 << 20, ..Limits::default() };
    // Three bytes an item, and 18,000 in columns.
    let text = format!("{{\"l\":[{}{{}}]}}", "{},".repeat(10_000));
    refused(&schema, &text, &codes::TOO_LARGE, &Options { limits, ..native() });
}

#[test]
fn long_numbers_are_read_once_and_refused() {
    let long = "9".repeat(1 << 20);
    for (schema, code) in [
        (r#"{"type":"integer"}"#, &json::codes::NUMBER),
        (r#"{"type":"number"}"#, &json::codes::NUMBER),
        (
            r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.parameters":{"scale":"2"}}"#,
            &json::codes::DECIMAL,
        ),
    ] {
        for text in [long.clone(), format!("-{long}"), format!("1e{long}"), format!("{long}e-5")] {
            refused(schema, &text, code, &native());
        }
    }
    let mut decoder = Decoder::new(plan(r#"{"type":"number"}"#, &native()));
    decoder.append(format!("0.{long}").as_bytes()).unwrap();
    decoder.append(format!("1e-{long}").as_bytes()).unwrap();
}

#[test]
fn long_strings_are_copied_once() {
    let text = format!("{{\"s\":\"{}\"}}", "\\u0061".repeat(1 << 20));
    let schema = r#"{"properties":{"s":{"type":"string"}}}"#;
    let mut decoder = Decoder::new(plan(schema, &native()));
    decoder.append(text.as_bytes()).unwrap();
    assert_eq!(decoder.finish().column(0).get_array_memory_size() >> 20, 1);
    // A megabyte of text, made in one place and moved to the column; both double while they grow.
    taken_within(schema, &text, &native(), 6 << 20);
    let plain = format!("{{\"s\":\"{}\"}}", "a".repeat(1 << 20));
    taken_within(schema, &plain, &native(), (1 << 20) + (64 << 10));
    // What is no string of the column leaves nothing, whatever its length.
    let number = r#"{"properties":{"s":{"type":"integer"}}}"#;
    refused(number, &text, &json::codes::TYPE, &native());
    refused_within(schema, &text[..text.len() - 2], &json::codes::SYNTAX, &native(), 2 << 20);
}

#[test]
fn base64_takes_no_more_than_its_text() {
    let schema = r#"{"properties":{"b":{"type":"string","contentEncoding":"base64"}}}"#;
    let long = "AAAA".repeat(1 << 20);
    taken_within(schema, &format!("{{\"b\":\"{long}\"}}"), &native(), 4 * long.len());
    let bad = format!("{{\"b\":\"{long}?\"}}");
    refused_within(schema, &bad, &json::codes::BASE64, &native(), 4 * long.len());
    let decimal = r#"{"properties":{"b":{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.parameters":{"scale":"2"}}}}"#;
    let giant = format!("{{\"b\":\"{}\"}}", "f39/".repeat(1 << 20));
    refused_within(decimal, &giant, &json::codes::DECIMAL, &native(), 4 * giant.len());
}

#[test]
fn members_without_a_column_take_their_text_or_nothing() {
    let schema = r#"{"properties":{"a":{"type":"integer"}}}"#;
    let members: Vec<String> = (0..100_000).map(|i| format!("\"x{i}\":[{{}}]")).collect();
    let text = format!("{{{}}}", members.join(","));
    taken_within(schema, &text, &native(), 64 << 10);
    let mut options = native();
    options.value.extra = forebay::config::Extra::Keep;
    taken_within(schema, &text, &options, 6 * text.len());
    let cut = &text[..text.len() - 1];
    refused_within(schema, cut, &json::codes::SYNTAX, &options, 3 * text.len());
}

#[test]
fn equal_keys_of_a_map_take_what_they_say() {
    let schema = r#"{"additionalProperties":{"type":"integer"}}"#;
    let text = format!("{{{}\"k\":0}}", "\"k\":0,".repeat(200_000));
    // Entries stand until the last of equal keys is known: the key's offset and byte, the value.
    taken_within(schema, &text, &native(), 32 << 20);
    let long = "k".repeat(1 << 20);
    let text = format!("{{{}\"k\":0}}", format!("\"{long}\":0,").repeat(4));
    taken_within(schema, &text, &native(), 4 * text.len());
}

/// What a message shows of a record is cut short.
#[test]
fn reject_says_little_of_a_long_key() {
    let long = "k".repeat(4 << 20);
    let text = format!("{{\"{long}\":\"x\"}}");
    let schema = r#"{"additionalProperties":{"type":"integer"}}"#;
    let mut decoder = Decoder::new(plan(schema, &native()));
    let (result, used) = measured(|| decoder.append(text.as_bytes()));
    let reject = result.unwrap_err();
    assert_eq!(reject.code, &json::codes::TYPE);
    assert!(reject.message.len() < 4 << 10, "{} bytes of message", reject.message.len());
    assert!(used.peak < 3 * text.len(), "{} bytes at once", used.peak);
}

/// A record brings its own schema: it may not cost more than a schema may.
#[test]
fn schema_inside_a_record_is_bounded() {
    let planned = |schema: &str, code: &Code, peak_max: usize| {
        let (result, used) = measured(|| Plan::embedded(schema.as_bytes(), &native()));
        assert_eq!(result.unwrap_err().code, code);
        assert!(used.peak < peak_max, "{} bytes at once, {peak_max} allowed", used.peak);
    };
    let fields: Vec<String> =
        (0..200_000).map(|i| format!(r#"{{"field":"c{i}","type":"int64"}}"#)).collect();
    let wide = format!(r#"{{"type":"struct","fields":[{}]}}"#, fields.join(","));
    planned(&wide, &codes::TOO_WIDE, 24 * wide.len());
    let deep = r#"{"type":"array","items":"#.repeat(100_000);
    planned(&deep, &json::codes::CONNECT, 1 << 20);
    let deep = r#"{"type":"array","items":"#.repeat(120) + r#"{"type":"int64"}"# + &"}".repeat(120);
    planned(&deep, &codes::DEPTH, 1 << 20);
    // The record is cut in two without a copy.
    let record = format!(r#"{{"schema":{wide},"payload":{{}}}}"#);
    let (result, used) = measured(|| json::connect::split(record.as_bytes(), 101).is_ok());
    assert!(result && used.peak < 4 << 10, "{} bytes at once", used.peak);
}

#[test]
fn unions_inside_unions_are_counted_each_time_they_are_looked_through() {
    // Forty levels, each looked through by those above: the bytes of the record times its levels.
    let mut schema = r#"{"type":"integer"}"#.to_owned();
    for level in 0..40 {
        schema = format!(
            r#"{{"oneOf":[{{"title":"A{level}","properties":{{"a":{schema}}}}},{{"title":"B{level}","properties":{{"b":{{}}}}}}]}}"#
        );
    }
    let schema = format!(r#"{{"properties":{{"u":{schema}}}}}"#);
    let text = format!("{{\"u\":{}1{}}}", "{\"a\":".repeat(40), "}".repeat(40));
    Decoder::new(plan(&schema, &native())).append(text.as_bytes()).unwrap();
    let padded = text.replacen("1}", &format!("1,\"z\":\"{}\"}}", "z".repeat(1 << 20)), 1);
    let limits = Limits { decoded_bytes: 1 << 20, ..Limits::default() };
    let mut decoder = Decoder::new(plan(&schema, &Options { limits, ..native() }));
    // 40 MiB are looked at, 64 times its size may be: taken, and counted.
    decoder.append(padded.as_bytes()).unwrap();
    assert!(decoder.bytes() > 40 << 20, "{}", decoder.bytes());
}

#[test]
fn schema_that_grows_is_refused() {
    // Each definition names the next one ten times: 10^7 columns from 70 properties.
    let mut definitions = vec![r#""d0":{"properties":{"x":{"type":"integer"}}}"#.to_owned()];
    for level in 1..=7 {
        let properties: Vec<String> = (0..10)
            .map(|i| format!(r##""p{i}":{{"$ref":"#/definitions/d{}"}}"##, level - 1))
            .collect();
        definitions.push(format!(r#""d{level}":{{"properties":{{{}}}}}"#, properties.join(",")));
    }
    let schema =
        format!(r##"{{"$ref":"#/definitions/d7","definitions":{{{}}}}}"##, definitions.join(","));
    schema_refused_within(&schema, &codes::TOO_WIDE, 32 << 20);
}

#[test]
fn schema_that_is_deep_or_goes_round_is_refused_or_cut() {
    for levels in [60, 110, 390, 5_000] {
        let schema = r#"{"properties":{"a":"#.repeat(levels) + "{}" + &"}}".repeat(levels);
        // The registry's own check of the text refuses what is deeper.
        if let Ok(schema) =
            forebay::registry::compile::compile(1, forebay::registry::Language::Json, &schema, &[])
        {
            let planned = Plan::compile(&schema, &[], &native());
            assert_eq!(planned.is_ok(), levels < 100, "{levels} levels");
        }
    }
    for round in [
        r##"{"$ref":"#"}"##,
        r##"{"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}}"##,
        r##"{"allOf":[{"$ref":"#"}]}"##,
        r##"{"anyOf":[{"$ref":"#"},{"type":"integer"}]}"##,
        r##"{"$dynamicRef":"#a","$dynamicAnchor":"a"}"##,
        r##"{"type":"array","items":{"$ref":"#"}}"##,
    ] {
        let mut decoder = Decoder::new(plan(round, &native()));
        decoder.append(b"[[1]]").unwrap_or_else(|e| panic!("{round}: {e}"));
    }
    let chain: Vec<String> =
        (0..3_000).map(|i| format!(r##""d{i}":{{"$ref":"#/definitions/d{}"}}"##, i + 1)).collect();
    let chain = format!(r##"{{"$ref":"#/definitions/d0","definitions":{{{}}}}}"##, chain.join(","));
    schema_refused_within(&chain, &codes::DEPTH, 4 << 20);
}

#[test]
fn symbols_without_a_type_are_joined_in_one_go() {
    let symbols: Vec<String> = (0..20_000).map(|n| format!("\"s{n}\"")).collect();
    let schema = format!(r#"{{"properties":{{"a":{{"enum":[{}]}}}}}}"#, symbols.join(","));
    let (plan, used) = measured(|| plan(&schema, &native()));
    assert_eq!(plan.schema.field(0).data_type().to_string(), "Utf8");
    assert!(used.calls < 500_000, "{} allocations for 20,000 symbols", used.calls);
    let branches: Vec<String> = (0..20_000).map(|n| format!("{{\"const\":\"s{n}\"}}")).collect();
    let schema = format!(r#"{{"properties":{{"a":{{"oneOf":[{}]}}}}}}"#, branches.join(","));
    let (_, used) = measured(|| super::plan(&schema, &native()));
    assert!(used.calls < 1_000_000, "{} allocations for 20,000 branches", used.calls);
}

#[test]
fn ids_inside_a_document_of_a_long_id_cost_what_they_are() {
    let ids = r#"{"$id":"k"},"#.repeat(30_000);
    let base = "b".repeat(100_000);
    let schema = format!(
        r#"{{"$id":"http://{base}/x","properties":{{"a":{{"type":"integer"}}}},"more":[{ids}{{}}]}}"#
    );
    let (plan, used) = measured(|| try_plan(&schema, &native()));
    plan.unwrap();
    assert!(used.peak < 64 << 20, "{} bytes at once", used.peak);
}

#[test]
fn texts_that_are_read_again_through_references_are_counted_again() {
    let long = "x".repeat(1 << 20);
    for what in [
        format!(r#""default":"{long}""#),
        format!(r#""enum":["{long}"]"#),
        format!(r#""properties":{{"{long}":{{}}}}"#),
        format!(r#""properties":{{"b":{{}}}},"required":["{long}"]"#),
    ] {
        let properties: Vec<String> = (0..1_000)
            .map(|n| format!(r##""p{n}":{{"properties":{{"q":{{"$ref":"#/definitions/d"}}}}}}"##))
            .collect();
        let schema = format!(
            r#"{{"properties":{{{}}},"definitions":{{"d":{{"properties":{{"a":{{{what}}}}}}}}}}}"#,
            properties.join(",")
        );
        schema_refused_within(&schema, &codes::TOO_WIDE, 256 << 20);
    }
}

#[test]
fn schema_of_many_branches_is_read_within_its_bounds() {
    let branches = r#"{"type":"integer"},"#.repeat(100_000);
    let schema = format!(r#"{{"anyOf":[{branches}{{}}]}}"#);
    // No more of it is read than may be a schema: 40,000 of the branches.
    schema_refused_within(&schema, &codes::TOO_WIDE, 8 << 20);
    // All of these are read, and are one type.
    let branches = r#"{"type":"integer"},"#.repeat(39_000);
    let schema = format!(r#"{{"anyOf":[{branches}{{"type":"null"}}]}}"#);
    let (plan, used) = measured(|| try_plan(&schema, &native()));
    assert_eq!(plan.unwrap().schema.field(0).data_type().to_string(), "Int64");
    assert!(used.peak < 24 << 20, "{} bytes at once", used.peak);
}

#[test]
fn key_that_comes_again_and_again_is_counted_by_what_it_undoes() {
    let columns: Vec<String> =
        (0..2_000).map(|i| format!(r#""c{i}":{{"type":"integer"}}"#)).collect();
    let inner = format!(r#"{{"properties":{{{}}}}}"#, columns.join(","));
    let schema = format!(r#"{{"properties":{{"s":{inner}}}}}"#);
    let limits = Limits { decoded_bytes: 1 << 20, ..Limits::default() };
    // Seven bytes each, and a look at 2,000 columns.
    let text = format!("{{{}\"s\":{{}}}}", "\"s\":{},".repeat(10_000));
    refused(&schema, &text, &codes::TOO_LARGE, &Options { limits, ..native() });
}
