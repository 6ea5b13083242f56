//! Every cut and every changed byte of some records: no panic, no harm to neighbours, and JSON is what
//! serde_json says is JSON.

use std::sync::Arc;

use arrow::array::RecordBatch;
use forebay::config::Extra;
use forebay::decode::{Decoder, Options, Plan};
use serde_json::Value;

use super::{everyone, native, plan};

const SCHEMA: &str = r##"{"type":"object","required":["id","at"],"properties":{
    "id":{"type":"integer"},"at":{"type":"string","format":"date-time"},"day":{"type":"string","format":"date"},
    "n":{"type":"number"},"on":{"type":["boolean","null"]},"raw":{"type":"string","contentEncoding":"base64"},
    "uuid":{"type":"string","format":"uuid"},"any":{},"tags":{"type":"array","items":{"type":"string"}},
    "sum":{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.parameters":{"scale":"2"}},
    "map":{"type":"object","additionalProperties":{"type":"integer"}},
    "i8":{"type":"integer","connect.type":"int8"},"f32":{"type":"number","connect.type":"float32"},
    "ms":{"type":"integer","title":"org.apache.kafka.connect.data.Time"},
    "days":{"type":"integer","title":"org.apache.kafka.connect.data.Date"},
    "big":{"type":"integer","minimum":0,"maximum":18446744073709551615},
    "wide":{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.parameters":{"scale":"3","connect.decimal.precision":"50"}},
    "pairs":{"type":"array","connect.type":"map","items":{"properties":{"key":{"type":"integer"},"value":{"type":"string"}},"required":["key"]}},
    "time":{"type":"string","format":"time"},"none":{"type":"object","additionalProperties":false},"again":{"$ref":"#"},
    "who":{"oneOf":[{"type":"string"},{"type":"integer"},
        {"title":"P","properties":{"kind":{"const":"p"},"x":{"type":"integer"}}},
        {"title":"Q","properties":{"kind":{"const":"q"},"y":{"type":"string"}},"required":["y"]}]}}}"##;

const RECORDS: &[&str] = &[
    r#"{"id":-12,"at":"2026-01-31T13:45:00.25+01:00","n":-1.5e3,"on":null,"tags":["a\u00e9","\ud83d\ude00"],"who":{"kind":"q","y":"z"}}"#,
    r#"{ "any" : [1, {"b": "\\", "c" :[]}, 0.5E-2], "sum": 12.30, "x": {"y": [null]}, "id": 1e2, "day":"2024-02-29", "at":"1970-01-01T00:00:00Z" }"#,
    r#"{"id":0,"at":"0001-01-01T00:00:00Z","raw":"yv4=","uuid":"f81d4fae-7dec-11d0-a765-00a0c91e6bf6","map":{"ü":1,"b":2,"b":3},"who":7,"sum":"+y4=","id":5}"#,
    r#"{"at":"2026-01-31T13:45:00Z","i8":-128,"f32":1.5e-3,"ms":86399999,"days":-1,"big":18446744073709551615,"wide":-0.125,"pairs":[{"value":"a","key":1},{"key":2}],"time":"23:59:60.5-01:30","none":{},"again":{"id":1,"at":[]},"id":9}"#,
];

struct Victim {
    decoder: Decoder,
    plan: Arc<Plan>,
    good: RecordBatch,
    /// Whether each row is the good neighbour.
    rows: Vec<bool>,
}

impl Victim {
    fn new(schema: &str, good: &'static str, options: &Options) -> Self {
        let plan = plan(schema, options);
        let mut decoder = Decoder::new(plan.clone());
        decoder.append(good.as_bytes()).unwrap();
        let good = decoder.finish();
        Self { decoder, plan, good, rows: Vec::new() }
    }

    /// Appends a text between good neighbours; gives whether it became a row.
    fn append(&mut self, text: &[u8], good: &str) -> bool {
        let taken = match self.decoder.append(text) {
            Ok(()) => true,
            Err(reject) => {
                // A code of the room, where it is, what was found and what is required.
                let m = &reject.message;
                assert!(reject.code.id.starts_with("FB02"), "{reject}");
                assert!(m.contains(" at byte "), "{reject}");
                assert!(m.contains("required") || m.contains("allowed"), "{reject}");
                false
            }
        };
        self.rows.extend(taken.then_some(false));
        self.decoder.append(good.as_bytes()).unwrap();
        self.rows.push(true);
        if self.rows.len() > 4_000 {
            self.look();
        }
        taken
    }

    fn look(&mut self) {
        let batch = self.decoder.finish();
        assert_eq!(batch.num_rows(), self.rows.len());
        assert_eq!(batch.schema(), self.plan.schema);
        // Rows that are not good neighbours may be anything that is a row: `finish` has looked at them.
        for (at, good) in self.rows.iter().enumerate() {
            if *good {
                assert_eq!(batch.slice(at, 1), self.good);
            }
        }
        self.rows.clear();
    }
}

/// All cuts, and all changes of one byte. At each byte: every bit alone, and the characters of JSON.
fn mutations(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut all: Vec<Vec<u8>> = (0..bytes.len()).map(|end| bytes[..end].to_vec()).collect();
    for at in 0..bytes.len() {
        for byte in 0..=255 {
            if byte != bytes[at] {
                let mut changed = bytes.to_vec();
                changed[at] = byte;
                all.push(changed);
            }
        }
        all.push([&bytes[..at], &bytes[at + 1..]].concat());
    }
    all
}

/// What serde_json takes, and numbers that only its tree has no room for.
fn is_json(text: &[u8]) -> bool {
    let parsed = serde_json::from_slice::<Value>(text);
    parsed.map_or_else(|e| e.to_string().starts_with("number out of range"), |_| true)
}

#[test]
fn changed_records_are_refused_or_rows_and_neighbours_stand() {
    for (at, record) in RECORDS.iter().enumerate() {
        let good = RECORDS[(at + 1) % RECORDS.len()];
        // Half of them with every other choice of columns.
        let mut options = if at % 2 == 0 { native() } else { everyone() };
        options.value.extra = if at % 2 == 0 { Extra::Drop } else { Extra::Keep };
        let mut victim = Victim::new(SCHEMA, good, &options);
        for text in mutations(record) {
            if victim.append(&text, good) {
                assert!(is_json(&text), "taken: {}", String::from_utf8_lossy(&text));
            }
        }
        victim.look();
    }
}

#[test]
fn any_json_is_taken_and_nothing_else() {
    for (at, record) in RECORDS.iter().enumerate() {
        let good = RECORDS[(at + 1) % RECORDS.len()];
        let mut victim = Victim::new("{}", good, &native());
        for text in mutations(record) {
            let taken = victim.append(&text, good);
            assert_eq!(taken, is_json(&text), "{}", String::from_utf8_lossy(&text));
        }
        victim.look();
    }
}

/// The edges of the grammar.
#[test]
fn syntax_is_that_of_serde_json() {
    let mut decoder = Decoder::new(plan("{}", &native()));
    for text in [
        "",
        " ",
        "nul",
        "null",
        "nullx",
        "true false",
        "[]",
        "[ ]",
        "[,]",
        "[1,]",
        "[1 2]",
        "{}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "{1:2}",
        "'a'",
        "\"a",
        "\"\\",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\uD800\"",
        "\"\\uDC00\\uD800\"",
        "\"\\ud83d\\ude00\"",
        "\"\u{7f}\"",
        "\"\u{1f}\"",
        "\"\t\"",
        "-",
        "-a",
        "--1",
        "+1",
        "01",
        "-01",
        "00",
        "0",
        "-0",
        "0.",
        ".5",
        "0.5.5",
        "1e",
        "1e+",
        "1e5",
        "1E-5",
        "1e05",
        "0x10",
        "1_000",
        "Infinity",
        "NaN",
        "-Infinity",
        "[1]]",
        "[[1]",
        "{\"a\":[}",
        "\u{feff}1",
        "1\u{a0}",
        "\u{c}1",
        "//\n1",
        "1\0",
        "\0",
        "\"\\/\"",
        "\"\\v\"",
        "\"\u{2028}\"",
        "[\"a\",\n\"b\"]",
    ] {
        let ours = decoder.append(text.as_bytes()).is_ok();
        let theirs = serde_json::from_str::<Value>(text).is_ok();
        assert_eq!(ours, theirs, "{text:?}");
    }
}

/// Strings are looked at eight bytes at a time: whatever ends or changes one, at every place of two words.
#[test]
fn strings_end_where_serde_json_says_at_every_place() {
    let schema = r#"{"properties":{"s":{"type":"string"}}}"#;
    let mut decoder = Decoder::new(plan(schema, &native()));
    let mut wanted = Vec::new();
    for length in 0..26 {
        for at in 0..=length {
            for what in [
                "\"", "\\\"", "\\\\", "\\n", "\\u00e9", "\u{1f}", "\u{20}", "\u{7f}", "\u{80}",
                "\u{7ff}", "\u{ffff}", "😀", "!", "#", "[", "]",
            ] {
                let text =
                    format!("{{\"s\":\"{}{what}{}\"}}", "a".repeat(at), "b".repeat(length - at));
                let ours = decoder.append(text.as_bytes()).is_ok();
                let theirs = serde_json::from_str::<Value>(&text);
                assert_eq!(ours, theirs.is_ok(), "{text:?}");
                wanted.extend(theirs.ok().map(|value| value["s"].as_str().unwrap().to_owned()));
            }
        }
    }
    let batch = decoder.finish();
    let column = arrow::array::AsArray::as_string::<i32>(batch.column(0).as_ref());
    assert_eq!(column.iter().flatten().collect::<Vec<_>>(), wanted);
}
