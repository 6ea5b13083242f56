//! The Protobuf conformance suite: what must not parse is rejected, what parses has the values that
//! Google's implementation prints.

use std::collections::BTreeMap;

use forebay::decode::{Decoder, Plan};
use forebay::registry::{Language, Parsed};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::Value;

use super::{options, render, unhex};

/// Cases that are left out, by name, and why.
///
/// Rows of a Markdown table: `| case | reason |`.
const LEFT_OUT: &[(&str, &str)] = &[];

/// Cases that differ from the suite on purpose: which, how, why. Rows of a Markdown table.
///
/// `applies` says for which cases a rule holds; the test fails if it holds for none.
struct Difference {
    what: &'static str,
    here: &'static str,
    /// The reject's code; none for a row.
    code: Option<&'static str>,
    applies: fn(&Value) -> bool,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "a `Timestamp` or `Duration` out of range, which the suite parses and then cannot print as JSON",
        here: "rejected with `FB0205`: no column holds it",
        code: Some("FB0205"),
        applies: |case| has_no_json(case, &["Timestamp", "Duration"]),
    },
    Difference {
        what: "a `FieldMask` whose paths have no form in JSON",
        here: "a row: the column holds the paths as they are",
        code: None,
        applies: |case| has_no_json(case, &["FieldMask"]),
    },
    Difference {
        what: "a `Value` that holds an infinite number or NaN, which JSON numbers cannot be",
        here: "a row: the JSON text holds `\"Infinity\"`, `\"-Infinity\"` or `\"NaN\"`",
        code: None,
        applies: |case| has_no_json(case, &["ValueReject"]),
    },
];

fn has_no_json(case: &Value, parts: &[&str]) -> bool {
    let name = case["name"].as_str().unwrap();
    case["json"].is_null() && case["parse"] == "ok" && parts.iter().any(|part| name.contains(part))
}

fn decoders() -> BTreeMap<String, (MessageDescriptor, Decoder)> {
    let mut out = BTreeMap::new();
    for text in [
        include_str!("../../corpus/protobuf/test_messages_proto3.proto"),
        include_str!("../../corpus/protobuf/test_messages_proto2.proto"),
        include_str!("../../corpus/protobuf/test_messages_proto3_editions.proto"),
        include_str!("../../corpus/protobuf/test_messages_proto2_editions.proto"),
        include_str!("../../corpus/protobuf/test_messages_edition2023.proto"),
    ] {
        let schema = forebay::registry::compile::compile(1, Language::Protobuf, text, &[]).unwrap();
        let Parsed::Protobuf(file) = &schema.parsed else { panic!() };
        let index = file.messages().position(|m| m.name().starts_with("TestAllTypes")).unwrap();
        let mut options = options();
        options.value.truncate_timestamps = true;
        let plan = Plan::compile(&schema, &[index as u32], &options).unwrap();
        let message = file.messages().nth(index).unwrap();
        out.insert(message.full_name().to_owned(), (message, Decoder::new(plan)));
    }
    out
}

#[test]
fn conformance_cases_decode_as_the_suite_says() {
    let corpus = include_str!("../../corpus/protobuf/conformance.json");
    let corpus: Value = serde_json::from_str(corpus).unwrap();
    let mut decoders = decoders();
    let mut wrong = Vec::new();
    let mut applied = vec![0; DIFFERENCES.len()];
    let (mut checked, mut skipped) = (0, 0);
    for case in corpus["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if LEFT_OUT.iter().any(|(left_out, _)| *left_out == name) {
            skipped += 1;
            continue;
        }
        let (descriptor, decoder) = decoders.get_mut(case["message"].as_str().unwrap()).unwrap();
        checked += 1;
        let body = unhex(case["payload_hex"].as_str().unwrap());
        let got = decoder.append(&body);
        let unknown = decoder.take_oddities().unknown_fields;
        let batch = decoder.finish();
        if let Some(at) = DIFFERENCES.iter().position(|difference| (difference.applies)(case)) {
            applied[at] += 1;
            assert_eq!(got.err().map(|reject| reject.code.id), DIFFERENCES[at].code, "{name}");
            continue;
        }
        match (case["parse"].as_str().unwrap(), got) {
            ("error", Ok(())) => wrong.push(format!("{name}: parsed, a reject expected")),
            ("error", Err(_)) => assert_eq!((batch.num_rows(), unknown), (0, 0)),
            (_, Err(reject)) => wrong.push(format!("{name}: {reject}")),
            (_, Ok(())) => {
                let row = render::row(descriptor, &batch, 0);
                if !render::same(&row, &case["json"]) {
                    wrong.push(format!("{name}: {row}, expected {}", case["json"]));
                }
                let want = unknown_fields(descriptor, &body);
                if unknown != want {
                    wrong.push(format!("{name}: {unknown} unknown fields, expected {want}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((checked, skipped), (661, LEFT_OUT.len()));
    assert!(applied.iter().all(|count| *count > 0), "{applied:?}");
    println!("| left out | reason |\n|---|---|");
    LEFT_OUT.iter().for_each(|(case, reason)| println!("| `{case}` | {reason} |"));
    println!("| cases that differ | number | here |\n|---|---|---|");
    for (difference, count) in DIFFERENCES.iter().zip(applied) {
        println!("| {} | {count} | {} |", difference.what, difference.here);
    }
}

/// Fields that another decoder does not know either, at every level.
pub fn unknown_fields(descriptor: &MessageDescriptor, body: &[u8]) -> u64 {
    fn of_value(value: &prost_reflect::Value) -> u64 {
        match value {
            prost_reflect::Value::Message(message) => of(message),
            prost_reflect::Value::List(items) => items.iter().map(of_value).sum(),
            prost_reflect::Value::Map(entries) => entries.values().map(of_value).sum(),
            _ => 0,
        }
    }
    fn of(message: &DynamicMessage) -> u64 {
        let below = message.fields().map(|(_, value)| of_value(value));
        let extensions = message.extensions().map(|(_, value)| of_value(value));
        message.unknown_fields().count() as u64 + below.sum::<u64>() + extensions.sum::<u64>()
    }
    of(&DynamicMessage::decode(descriptor.clone(), body).unwrap())
}
