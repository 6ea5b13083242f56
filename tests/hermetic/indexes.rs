//! `wire.message_indexes`: how records of producers that write message indexes otherwise become rows.
//! Which message a record became is seen by the folder of its row: each schema's messages differ in `s`.

use std::sync::Arc;

use forebay::clock::Now;
use forebay::config::{self, Config};
use forebay::pipeline::lanes::Output;
use forebay::pipeline::task::{Action, Event};
use forebay::registry::Language;
use forebay::registry::compile::compile;
use forebay::wire::SchemaRef;
use serde_json::Value;

use super::by_hand::{assigned, records, settle, task};

/// Message `[1]` and `[1, 1]` exist, `[2]` and what is deeper does not.
const SCHEMA: &str = "syntax = \"proto3\";
    message First { string s = 1; int32 i = 2; }
    message Second { string s = 1; message A { string s = 1; } message B { string s = 1; bytes b = 2; } }";

/// Folders of the rows, and codes of the rejects, that framed records of schema id 4 come to.
fn outcome(wire: &str, schema: &str, payloads: &[Vec<u8>]) -> (Vec<String>, Vec<&'static str>) {
    let text = format!(
        "pipeline: t\nsource: {{ brokers: 'x:1', topics: [old] }}\nregistry: {{ url: 'http://x' }}\n\
         wire: {wire}\npartition_by: [s]\nsink: {{ url: 's3://bucket/root' }}\n"
    );
    let pipeline = Config::parse(&text, "t.yaml", &config::Process).unwrap().pipeline;
    let mut task = task(&pipeline, "old", 1);
    let schema = compile(4, Language::Protobuf, schema, &[]).unwrap();
    let mut folders = Vec::new();
    for event in [
        assigned(Some(payloads.len() as i64)),
        records("old", payloads.iter().map(|payload| (None, &payload[..]))),
        Event::Schema(SchemaRef::Id(4), Ok(Arc::new(schema))),
    ] {
        for action in settle(&mut task, event, Now { wall_ms: 1, mono_ms: 1 }) {
            if let Action::Store(Output::End { key, .. }) = action {
                let text = key.to_string();
                folders.extend(text.split('/').find(|p| p.starts_with("s=")).map(str::to_owned));
            }
        }
    }
    folders.sort();
    let rejects = task.take_counters().rejects;
    let codes = rejects.iter().flat_map(|(code, n)| vec![*code; *n as usize]).collect();
    (folders, codes)
}

fn framed(indexes: &[u8], body: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 4], indexes, body].concat()
}

fn rows(folders: &[&str]) -> (Vec<String>, Vec<&'static str>) {
    (folders.iter().map(|s| (*s).to_owned()).collect(), Vec::new())
}

#[test]
fn records_without_indexes_become_rows_where_the_option_says_so() {
    let vectors: Value =
        serde_json::from_str(include_str!("../corpus/wire/wire_vectors.json")).unwrap();
    let cases = vectors["kafkajs"]["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["type"] == "PROTOBUF").unwrap();
    let hex = case["value_hex"].as_str().unwrap();
    let payload: Vec<u8> = (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
        .collect();
    let schema = case["schema"].as_str().unwrap();
    for wire in [
        "{ message_indexes: absent }",
        "{ message_indexes: auto }",
        "{ message_indexes_by_topic: { old: absent } }",
    ] {
        assert_eq!(outcome(wire, schema, std::slice::from_ref(&payload)), rows(&["s=hello"]));
    }
    for wire in ["{}", "{ message_indexes: unsigned }", "{ message_indexes_by_topic: { x: auto } }"]
    {
        let (folders, codes) = outcome(wire, schema, std::slice::from_ref(&payload));
        assert_eq!((folders.len(), codes), (0, vec!["FB0103"]), "{wire}");
    }
}

#[test]
fn unsigned_indexes_become_rows_where_the_option_says_so() {
    // Counts and indexes as plain varints: [0] as one zero byte, [1], [1, 1].
    let payloads = [
        framed(&[0], b"\x0a\x01a"),
        framed(&[1, 1], b"\x0a\x01b"),
        framed(&[2, 1, 1], b"\x0a\x01c\x12\x01\xff"),
    ];
    for wire in ["{ message_indexes: unsigned }", "{ message_indexes: auto }"] {
        assert_eq!(outcome(wire, SCHEMA, &payloads), rows(&["s=a", "s=b", "s=c"]), "{wire}");
    }
    let (folders, codes) = outcome("{ message_indexes: zigzag }", SCHEMA, &payloads);
    assert_eq!((folders, codes), (vec!["s=a".to_owned()], vec!["FB0103", "FB0103"]));
}

#[test]
fn auto_reads_each_record_alone_and_the_wire_format_first() {
    // By turns: zigzag [0], [1], [1, 1]; unsigned [1]; none; none and empty.
    let payloads = [
        framed(&[0], b"\x0a\x01a"),
        framed(&[], b"\x0a\x01e"),
        framed(&[2, 2], b"\x0a\x01b"),
        framed(&[1, 1], b"\x0a\x01d"),
        framed(&[4, 2, 2], b"\x0a\x01c"),
        framed(&[], b""),
    ];
    let want = rows(&["s=__EMPTY__", "s=a", "s=b", "s=c", "s=d", "s=e"]);
    let got = outcome("{ message_indexes: auto }", SCHEMA, &payloads);
    assert_eq!(got.0.len(), want.0.len(), "{got:?}");
    assert_eq!((&got.0[1..], got.1), (&want.0[1..], want.1));
    let reversed: Vec<Vec<u8>> = payloads.iter().rev().cloned().collect();
    assert_eq!(outcome("{ message_indexes: auto }", SCHEMA, &reversed).0, got.0);
}

#[test]
fn auto_makes_a_reject_of_what_fits_no_reading_with_the_reason_of_the_first() {
    let payloads = [framed(&[0], b"\x0a\x09a"), framed(&[2, 6], b"\x0a\x01a")];
    let (folders, mut codes) = outcome("{ message_indexes: auto }", SCHEMA, &payloads);
    codes.sort_unstable();
    assert_eq!((folders.len(), codes), (0, vec!["FB0103", "FB0201"]));
}
