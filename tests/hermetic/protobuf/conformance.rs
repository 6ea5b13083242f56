//! The Protobuf conformance suite: what must not parse is rejected, what parses has the values that
//! Google's implementation prints.

use std::collections::BTreeMap;

use forebay::decode::Decoder;
use prost_reflect::MessageDescriptor;
use serde_json::Value;

use super::{compile, options, render, try_plan, unhex};

/// Messages whose cases are left out, and why.
const LEFT_OUT: &[(&str, &str)] =
    &[("TestAllTypesEdition2023", "protox compiles no editions; four cases of delimited fields")];

fn decoders() -> BTreeMap<&'static str, (MessageDescriptor, Decoder)> {
    let proto3 = include_str!("../../corpus/protobuf/test_messages_proto3.proto");
    let proto2 = include_str!("../../corpus/protobuf/test_messages_proto2.proto");
    let mut out = BTreeMap::new();
    let files = [
        ("TestAllTypesProto3", "test3.proto", proto3),
        ("TestAllTypesProto2", "test2.proto", proto2),
    ];
    for (name, file, text) in files {
        let file = compile(&[(file, text)]);
        let index = file.messages().position(|m| m.name() == name).unwrap();
        let mut options = options();
        options.value.truncate_timestamps = true;
        let plan = try_plan(&file, &[index as u32], &options).unwrap();
        out.insert(name, (file.messages().nth(index).unwrap(), Decoder::new(plan)));
    }
    out
}

#[test]
fn conformance_cases_decode_as_the_suite_says() {
    let corpus = include_str!("../../corpus/protobuf/conformance.json");
    let corpus: Value = serde_json::from_str(corpus).unwrap();
    let mut decoders = decoders();
    let mut wrong = Vec::new();
    let (mut checked, mut skipped) = (0, 0);
    for case in corpus["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        // The editions of proto2 and proto3 say the same as those.
        let message = case["message"].as_str().unwrap().rsplit('.').next().unwrap();
        let Some((descriptor, decoder)) = decoders.get_mut(message) else {
            assert!(LEFT_OUT.iter().any(|(left_out, _)| *left_out == message), "{message}");
            skipped += 1;
            continue;
        };
        checked += 1;
        let body = unhex(case["payload_hex"].as_str().unwrap());
        let got = decoder.append(&body);
        let batch = decoder.finish();
        match (case["parse"].as_str().unwrap(), got) {
            ("error", Ok(())) => wrong.push(format!("{name}: parsed, a reject expected")),
            ("error", Err(_)) => assert_eq!(batch.num_rows(), 0),
            // Timestamps and durations out of range parse, but have no JSON; here they have no row.
            (_, Err(reject)) if case["json"].is_null() && reject.code.id == "FB0205" => {}
            (_, Err(reject)) => wrong.push(format!("{name}: {reject}")),
            (_, Ok(())) if case["json"].is_null() => {}
            (_, Ok(())) => {
                let row = render::row(descriptor, &batch, 0);
                if !render::same(&row, &case["json"]) {
                    wrong.push(format!("{name}: {row}, expected {}", case["json"]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((checked, skipped), (657, 4));
}
