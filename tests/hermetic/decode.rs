//! `forebay decode`: every input and output, by the program as a process.
//!
//! Payloads are bytes written by hand after the encodings' specifications, or come from the program's
//! own producer where only their way is tested.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use forebay::registry::client::{NewSchema, RefTo, settings};
use forebay::registry::{Client, Language};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::world::{Ended, World, forebay, parquet_files};

const PROTO: &str = "syntax = \"proto3\"; package shop;
    message Order { int64 id = 1; string country = 2; }
    message Other { bool yes = 1; }";

const AVSC: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"long"},{"name":"country","type":["null","string"]}]}"#;

/// id 150, as in the specification's first example (`08 96 01`); country `FR`.
const ORDER: &[u8] = &[0x08, 0x96, 0x01, 0x12, 0x02, b'F', b'R'];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("order.proto"), PROTO).unwrap();
    std::fs::write(folder.path().join("order.avsc"), AVSC).unwrap();
    folder
}

/// The program with a text as its standard input.
fn piped(folder: &Path, args: &[&str], text: &str) -> Ended {
    let mut child = Command::new(env!("CARGO_BIN_EXE_forebay"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { status: ended.status, stdout: text(ended.stdout), stderr: text(ended.stderr) }
}

fn lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

#[test]
fn payloads_become_rows_and_rejects_in_input_order() {
    let folder = folder();
    let cut = base64(&ORDER[..4]);
    // An empty line is an empty payload: a message of defaults.
    let text = format!("{}\n{cut}\n\r\n{}\n", base64(ORDER), base64(ORDER).trim_end_matches('='));
    std::fs::write(folder.path().join("in.b64"), text).unwrap();
    let args = ["decode", "--proto", "order.proto", "--message", "shop.Order", "--in", "in.b64"];
    let ended = forebay(folder.path(), &args);
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    let found = lines(&ended);
    assert_eq!(found[0], json!({"n": 0, "row": {"id": 150, "country": "FR"}}));
    assert_eq!((&found[1]["n"], found[1].as_object().unwrap().len()), (&json!(1), 2));
    let reject = &found[1]["reject"];
    assert!(reject["code"].as_str().unwrap().starts_with("FB02"), "{reject}");
    assert!(!reject["message"].as_str().unwrap().is_empty());
    assert_eq!(found[2], json!({"n": 2, "row": {"id": 0, "country": ""}}));
    assert_eq!(found[3], json!({"n": 3, "row": {"id": 150, "country": "FR"}}));
    assert_eq!(found.len(), 4);
    // The first two alone, for people.
    let ended =
        forebay(folder.path(), &[&args[..], &["--count", "2", "--output", "text"]].concat());
    assert_eq!(ended.code(), Some(3));
    let shown: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(shown[0], r#"0 row {"id":150,"country":"FR"}"#);
    assert!(shown[1].starts_with("1 reject FB02"), "{shown:?}");
    assert_eq!(shown.len(), 2);
}

#[test]
fn hex_from_standard_input_is_decoded_by_an_avro_schema() {
    let folder = folder();
    let args = ["decode", "--avsc", "order.avsc", "--in", "-", "--encoding", "hex"];
    // Zigzag: 64 is 80 01, -1 is 01; branch 1 is 02, a string of two bytes 04.
    let ended = piped(folder.path(), &args, "80010204 4652\n0100");
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    let ended = piped(folder.path(), &args, "800102044652\n0100");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(
        lines(&ended),
        [
            json!({"n": 0, "row": {"id": 64, "country": "FR"}}),
            json!({"n": 1, "row": {"id": -1, "country": null}})
        ]
    );
}

#[test]
fn line_that_is_no_payload_is_named_after_the_rows_above_it() {
    let folder = folder();
    let run = |encoding: &str, text: &str| {
        let args = ["decode", "--avsc", "order.avsc", "--in", "-", "--encoding", encoding];
        piped(folder.path(), &args, text)
    };
    for (encoding, good, bad, says) in [
        ("base64", "AQA=", "A*==", "base64"),
        ("hex", "0100", "01x0", "hexadecimal"),
        ("hex", "0100", "010", "even number"),
        ("record", r#"{"value":"AQA="}"#, r#"{"value":7}"#, "JSON object"),
        ("record", r#"{"value":"AQA="}"#, r#"{"valu":"AQA="}"#, "valu"),
        ("record", r#"{"value":"AQA="}"#, r#"{"value":"AQA=","offset":-1}"#, "`offset`"),
    ] {
        let ended = run(encoding, &format!("{good}\n{bad}\n{good}\n"));
        assert_eq!(ended.code(), Some(2), "{ended:?}");
        assert_eq!(lines(&ended), [json!({"n": 0, "row": {"id": -1, "country": null}})]);
        assert!(ended.stderr.starts_with("FB1030 "), "{}", ended.stderr);
        assert!(ended.stderr.contains("line 2") && ended.stderr.contains(says), "{}", ended.stderr);
    }
}

#[test]
fn imports_are_found_in_the_folders_given() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "a/main.proto",
        "syntax = \"proto3\"; import \"lib/device.proto\"; import \"google/protobuf/timestamp.proto\";
         message Main { lib.Device device = 1; google.protobuf.Timestamp at = 2; }",
    );
    write(
        "b/lib/device.proto",
        "syntax = \"proto3\"; package lib; import \"lib/os.proto\"; message Device { Os os = 1; }",
    );
    write("b/lib/os.proto", "syntax = \"proto3\"; package lib; enum Os { NONE = 0; IOS = 1; }");
    // device { os: IOS }, at { seconds: 1 }
    let payload = base64(&[0x0a, 0x02, 0x08, 0x01, 0x12, 0x02, 0x08, 0x01]);
    let row = json!({"device": {"os": "IOS"}, "at": "1970-01-01T00:00:01Z"});
    let args = ["decode", "--proto", "a/main.proto", "--proto-path", "b", "--in", "-"];
    let ended = piped(folder.path(), &args, &payload);
    assert_eq!(lines(&ended), [json!({"n": 0, "row": row})], "{ended:?}");
    // The file itself may be named below a folder, and the message stand in an import.
    let args = [
        "decode",
        "--proto",
        "main.proto",
        "--proto-path",
        "a",
        "--proto-path",
        "b",
        "--message",
        "lib.Device",
        "--in",
        "-",
    ];
    let ended = piped(folder.path(), &args, &base64(&[0x08, 0x01]));
    assert_eq!(lines(&ended), [json!({"n": 0, "row": {"os": "IOS"}})], "{ended:?}");
    let ended = piped(folder.path(), &["decode", "--proto", "a/main.proto", "--in", "-"], &payload);
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("lib/device.proto"), "{}", ended.stderr);
}

#[test]
fn wrong_arguments_are_refused_by_name() {
    let folder = folder();
    let proto = ["--proto", "order.proto", "--message", "Order"];
    for (args, says) in [
        (vec!["--in", "-"], "schema: none given"),
        (proto.to_vec(), "input: none given"),
        ([&proto[..], &["--in", "-", "--target", "new.txt"]].concat(), "--target new.txt"),
        (vec!["--proto", "order.proto", "--in", "-"], "`shop.Order`, `shop.Other`"),
        (vec!["--proto", "order.proto", "--message", "X", "--in", "-"], "`X`"),
        (vec!["--proto", "none.proto", "--in", "-"], "none.proto"),
        (vec!["--avsc", "order.proto", "--in", "-"], "order.proto"),
        ([&proto[..], &["--in", "none.b64"]].concat(), "none.b64"),
        ([&proto[..], &["--in", "."]].concat(), "folder"),
        ([&proto[..], &["--in", "-", "--partition-by", "contry"]].concat(), "contry"),
        (
            [&proto[..], &["--in", "-", "--partition-by", "day("]].concat(),
            "--partition-by, number 1",
        ),
        ([&proto[..], &["--in", "-", "--avsc", "order.avsc"]].concat(), "--avsc"),
        ([&proto[..], &["--in", "-", "--out", "no/such/x.parquet"]].concat(), "x.parquet"),
        (vec!["--registry", "http://localhost:1", "--in", "-"], "--framed"),
        (vec!["--avsc", "order.avsc", "--in", "-", "--encoding", "base32"], "base32"),
    ] {
        let ended = forebay(folder.path(), &[&["decode"], &args[..]].concat());
        assert_eq!(ended.code(), Some(2), "{args:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{args:?}");
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn rows_come_with_the_key_of_their_partition() {
    let folder = folder();
    let args = [
        "decode",
        "--avsc",
        "order.avsc",
        "--in",
        "-",
        "--encoding",
        "record",
        "--partition-by",
        "country",
        "--partition-by",
        "day(_timestamp)",
    ];
    // 2026-01-02T00:00:00Z; the second record has neither country nor time.
    let text = "{\"value\":\"gAECBEZS\",\"timestamp\":1767312000000}\n{\"value\":\"AQA=\"}\n{\"value\":null}\n{}\n";
    let ended = piped(folder.path(), &args, text);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let none = "__HIVE_DEFAULT_PARTITION__";
    assert_eq!(
        lines(&ended),
        [
            json!({"n": 0, "key": "country=FR/timestamp_day=2026-01-02", "row": {"id": 64, "country": "FR"}}),
            json!({"n": 1, "key": format!("country={none}/timestamp_day={none}"), "row": {"id": -1, "country": null}}),
            json!({"n": 2, "skipped": "tombstone"}),
            json!({"n": 3, "skipped": "tombstone"}),
        ]
    );
}

#[test]
fn records_of_one_offset_or_of_several_topics_keep_their_places() {
    let folder = folder();
    let args = [
        "decode",
        "--avsc",
        "order.avsc",
        "--in",
        "-",
        "--encoding",
        "record",
        "--partition-by",
        "_topic",
        "--partition-by",
        "_offset",
    ];
    let lines_in = [
        ("a", 7, "AgA="), // id 1, no country
        ("a", 7, "BAA="),
        ("b", 7, "Bg=="), // cut
        ("a", 3, "CAA="),
        ("b", 9, "CgA="),
    ];
    let text = lines_in.map(|(topic, offset, value)| {
        json!({"topic": topic, "offset": offset, "value": value}).to_string()
    });
    let ended = piped(folder.path(), &args, &text.join("\n"));
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    let found = lines(&ended);
    let row = |n: i64, topic: &str, offset: i64, id: i64| json!({"n": n, "key": format!("topic={topic}/offset={offset}"), "row": {"id": id, "country": null}});
    assert_eq!(found[0], row(0, "a", 7, 1));
    assert_eq!(found[1], row(1, "a", 7, 2));
    assert_eq!((&found[2]["n"], found[2]["reject"].is_object()), (&json!(2), true));
    assert_eq!(found[3], row(3, "a", 3, 4));
    assert_eq!(found[4], row(4, "b", 9, 5));
}

#[test]
fn many_records_stream_in_order() {
    let folder = folder();
    // Zigzag varint of n; every seventh record is cut.
    let mut text = String::new();
    for n in 0..20_000u64 {
        let mut body = Vec::new();
        let mut rest = n << 1;
        while rest >= 0x80 {
            body.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        body.push(rest as u8);
        if n % 7 != 0 {
            body.push(0);
        }
        text += &base64(&body);
        text.push('\n');
    }
    std::fs::write(folder.path().join("in.b64"), text).unwrap();
    let ended = forebay(folder.path(), &["decode", "--avsc", "order.avsc", "--in", "in.b64"]);
    assert_eq!(ended.code(), Some(3));
    let found = lines(&ended);
    assert_eq!(found.len(), 20_000);
    for (n, line) in found.iter().enumerate() {
        assert_eq!(line["n"], n);
        match n % 7 {
            0 => assert_eq!(line["reject"]["code"], "FB0240", "{line}"),
            _ => assert_eq!(line["row"]["id"], n, "{line}"),
        }
    }
}

#[test]
fn rows_are_projected_onto_a_target_as_avro_resolves_them() {
    let folder = folder();
    // A new field with a default, one promoted, one gone; and one without a default.
    let target = r#"{"type":"record","name":"Order","fields":[
        {"name":"added","type":"string","default":"new"},{"name":"id","type":"double"}]}"#;
    std::fs::write(folder.path().join("v2.avsc"), target).unwrap();
    let args = ["decode", "--avsc", "order.avsc", "--target", "v2.avsc", "--in", "-"];
    let ended = piped(folder.path(), &args, "gAECBEZS\nAQA=\n");
    assert_eq!(
        lines(&ended),
        [
            json!({"n": 0, "row": {"added": "new", "id": 64.0}}),
            json!({"n": 1, "row": {"added": "new", "id": -1.0}})
        ],
        "{ended:?}"
    );
    std::fs::write(folder.path().join("v2.avsc"), target.replace(r#","default":"new""#, ""))
        .unwrap();
    let ended = piped(folder.path(), &args, "AQA=\n");
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(2), ""), "{ended:?}");
    assert!(ended.stderr.contains("added"), "{}", ended.stderr);
}

/// A registry with a Protobuf file that imports another one; the id of the first.
fn referenced(world: &World) -> u32 {
    world.runtime.block_on(async {
        let client = Client::new(&settings(&world.registry.url)).unwrap();
        let new = |text: &str, references| NewSchema {
            language: Language::Protobuf,
            text: text.to_owned(),
            references,
        };
        let device = "syntax = \"proto3\"; message Device { string os = 1; }";
        client.register("device", &new(device, Vec::new())).await.unwrap();
        let order = "syntax = \"proto3\"; import \"device.proto\";
            message None {} message Order { int64 id = 1; Device device = 2; }";
        let import =
            RefTo { name: "device.proto".to_owned(), subject: "device".to_owned(), version: 1 };
        client.register("order-value", &new(order, vec![import])).await.unwrap().0
    })
}

#[test]
fn framed_records_are_decoded_by_the_schema_they_name() {
    let world = World::new();
    let id = referenced(&world).to_be_bytes();
    // Magic byte 0, id, message indexes [1] as zigzag varints (count 1: 02, index 1: 02), body.
    let body = [0x08, 0x96, 0x01, 0x12, 0x03, 0x0a, 0x01, b'x'];
    let framed = [&[0][..], &id, &[2, 2], &body].concat();
    let unknown = [&[0, 0, 0x7f, 0, 0, 0][..], &body].concat();
    let header = base64(&[&[0][..], &id, &[2, 2]].concat());
    let text = format!(
        "{{\"value\":\"{}\"}}\n{{\"value\":\"{}\"}}\n{{\"value\":\"{}\",\"headers\":[[\"__value_schema_id\",\"{header}\"],[\"x\",null]]}}\n{{\"value\":\"AQ==\"}}\n",
        base64(&framed),
        base64(&unknown),
        base64(&body)
    );
    let args = [
        "decode",
        "--registry",
        &world.registry.url,
        "--framed",
        "--in",
        "-",
        "--encoding",
        "record",
    ];
    let ended = piped(world.folder.path(), &args, &text);
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    let found = lines(&ended);
    let row = json!({"id": 150, "device": {"os": "x"}});
    assert_eq!(found[0], json!({"n": 0, "row": row}));
    assert_eq!(found[1]["reject"]["code"], "FB0911");
    assert_eq!(found[2], json!({"n": 2, "row": row}));
    assert_eq!(found[3]["reject"]["code"], "FB0101");
    // The same without a registry: the file says what the id would.
    let proto = "syntax = \"proto3\"; message None {} message Order { int64 id = 1; }";
    world.file("order.proto", proto);
    let args = ["decode", "--proto", "order.proto", "--framed", "--in", "-"];
    let ended = piped(world.folder.path(), &args, &base64(&framed));
    assert_eq!(lines(&ended), [json!({"n": 0, "row": {"id": 150}})], "{ended:?}");
    // A registry that is not there is no reason to reject.
    let args = ["decode", "--registry", "http://127.0.0.1:1", "--framed", "--in", "-"];
    let ended = piped(world.folder.path(), &args, &base64(&framed));
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
}

#[test]
fn records_of_a_kafka_partition_are_read_from_an_offset_on() {
    let world = World::new();
    world.fill("orders", 2, 40);
    let config = world.config("[orders]", "partition_by: [country]\nsink: { url: out }\n");
    let config = config.to_str().unwrap();
    let decode =
        |more: &[&str]| forebay(world.folder.path(), &[&["decode", "-c", config], more].concat());
    let ended =
        decode(&["--topic", "orders", "--partition", "1", "--offset", "17", "--count", "2"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    // Ids go round the two Kafka partitions: 35 and 37; countries round three.
    assert_eq!(
        lines(&ended),
        [
            json!({"n": 17, "key": "country=O%27K%2Fé",
                "row": {"id": 35, "country": "O'K/é", "made": "1970-01-01T00:00:00.000035Z"}}),
            json!({"n": 18, "key": "country=DE",
                "row": {"id": 37, "country": "DE", "made": "1970-01-01T00:00:00.000037Z"}}),
        ]
    );
    // To the end of the log; the only topic, the first Kafka partition, ten records by default.
    let ended = decode(&["--offset", "18", "--partition", "1", "--count", "100"]);
    assert_eq!(lines(&ended).iter().map(|l| l["n"].clone()).collect::<Vec<_>>(), [18, 19]);
    let ended = decode(&[]);
    assert_eq!(
        lines(&ended).iter().map(|l| l["n"].clone()).collect::<Vec<_>>(),
        (0..10).collect::<Vec<_>>()
    );
    let ended = decode(&["--offset", "21"]);
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("0 to 20 required"), "{}", ended.stderr);
    // Nobody joined the group.
    assert_eq!(world.committed("orders", 2), [-1, -1]);
}

fn columns(path: &PathBuf) -> (arrow::datatypes::SchemaRef, i64, Vec<(String, String)>) {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let meta = reader.metadata().file_metadata();
    let pairs = meta.key_value_metadata().unwrap().iter();
    let pairs = pairs.map(|p| (p.key.clone(), p.value.clone().unwrap())).collect();
    (reader.schema().clone(), meta.num_rows(), pairs)
}

/// A Parquet file without its footer, whose length stands before the last four bytes.
fn before_footer(path: &PathBuf) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    let end = bytes.len() - 8;
    let footer = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize;
    bytes.truncate(end - footer);
    assert!(bytes.len() > 4);
    bytes
}

#[test]
fn parquet_file_is_the_one_a_pipeline_writes() {
    let world = World::new();
    world.fill("orders", 1, 30);
    let config = world.config("[orders]", "sink: { url: out, compression: zstd }\n");
    let config = config.to_str().unwrap();
    let args = ["decode", "-c", config, "--out", "made.parquet", "--count", "100"];
    let ended = forebay(world.folder.path(), &args);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(ended.json()["rows"], 30);
    let made = world.path("made.parquet");
    assert_eq!(ended.json()["bytes"], made.metadata().unwrap().len());
    let drained = forebay(world.folder.path(), &["run", "-c", config, "--drain"]);
    assert_eq!(drained.code(), Some(0), "{drained:?}");
    let theirs = parquet_files(&world.path("out"));
    let (mut schema, rows, mut pairs) = columns(&theirs[0]);
    // But for the commit, which only a pipeline makes.
    let commit = pairs.iter().position(|(key, _)| key == "forebay.commit").unwrap();
    assert_ne!(pairs.remove(commit).1, "");
    Arc::make_mut(&mut schema).metadata.remove("forebay.commit");
    assert_eq!(columns(&made), (schema, rows, pairs));
    assert_eq!(before_footer(&made), before_footer(&theirs[0]));
}

#[test]
fn parquet_file_holds_the_rows_and_standard_error_the_rejects() {
    let folder = folder();
    let args = ["decode", "--avsc", "order.avsc", "--in", "-", "--out", "made.parquet"];
    let ended = piped(folder.path(), &args, "gAECBEZS\nAQ==\nAQA=\n");
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    let said = ended.json();
    assert_eq!((&said["rows"], &said["rejects"]), (&json!(2), &json!(1)));
    let reject: Value = serde_json::from_str(ended.stderr.trim()).unwrap();
    assert_eq!(reject["n"], 1);
    let file = std::fs::File::open(folder.path().join("made.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let rows = reader.collect::<Result<Vec<_>, _>>().unwrap().remove(0);
    let ids = rows["id"].as_primitive::<Int64Type>();
    assert_eq!(ids.values(), &[64, -1]);
    let countries = rows["country"].as_string::<i32>();
    assert_eq!((countries.value(0), countries.is_null(1)), ("FR", true));
    // Nothing but the file is left, and where there is no row there is no file.
    let ended = piped(
        folder.path(),
        &["decode", "--avsc", "order.avsc", "--in", "-", "--out", "none.parquet"],
        "AQ==\n",
    );
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["made.parquet", "order.avsc", "order.proto"]);
}

#[test]
fn rows_of_several_schemas_share_a_file_only_if_their_columns_are_equal() {
    let world = World::new();
    let register = |text: &str| {
        world.runtime.block_on(async {
            let client = Client::new(&settings(&world.registry.url)).unwrap();
            let new =
                NewSchema { language: Language::Avro, text: text.to_owned(), references: vec![] };
            let id = client.register(&format!("s{}", text.len()), &new).await.unwrap().0;
            move |body: &[u8]| base64(&[&[0][..], &id.to_be_bytes(), body].concat())
        })
    };
    let a = register(r#"{"type":"record","name":"A","fields":[{"name":"x","type":"long"}]}"#);
    let b =
        register(r#"{"type":"record","name":"A","doc":"d","fields":[{"name":"x","type":"long"}]}"#);
    let c = register(r#"{"type":"record","name":"A","fields":[{"name":"x","type":"string"}]}"#);
    let args = [
        "decode",
        "--registry",
        &world.registry.url,
        "--framed",
        "--in",
        "-",
        "--out",
        "x.parquet",
    ];
    let ended = piped(world.folder.path(), &args, &[a(&[2]), b(&[4]), a(&[6]), b(&[8])].join("\n"));
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let file = std::fs::File::open(world.path("x.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let rows = reader.collect::<Result<Vec<_>, _>>().unwrap().remove(0);
    assert_eq!(rows["x"].as_primitive::<Int64Type>().values(), &[1, 2, 3, 4]);
    let ended = piped(world.folder.path(), &args, &[a(&[2]), c(&[2, b'x'])].join("\n"));
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("FB1031 record 1 of `A`"), "{}", ended.stderr);
}

#[test]
fn reject_file_is_tried_again() {
    let world = World::new();
    world.fill("orders", 1, 3);
    // Two records that no schema of the registry explains, and one that is cut.
    let garbage = [&[0, 0, 0x7f, 0, 0][..], b"x"].concat();
    let producer = forebay::source::producer::Producer::new(
        &world.mock.brokers(),
        &std::collections::BTreeMap::new(),
    )
    .unwrap();
    for value in [&garbage[..], &[0, 0, 0, 0, 1, 0x02], &garbage[..]] {
        producer
            .send(forebay::source::producer::Outgoing {
                topic: "orders",
                partition: Some(0),
                key: Some(b"k"),
                value: Some(value),
                ..Default::default()
            })
            .unwrap();
    }
    producer.flush(crate::world::PATIENCE).unwrap();
    let more = "  unknown_id_grace: 1s\nsink: { url: out }\n";
    let config = world.config("[orders]", more);
    let config = config.to_str().unwrap();
    let drained = forebay(world.folder.path(), &["run", "-c", config, "--drain"]);
    assert_eq!(drained.code(), Some(0), "{drained:?}");
    let rejects = parquet_files(&world.path("out/_rejects"));
    assert_eq!(rejects.len(), 1, "{drained:?}");
    let rejects = rejects[0].to_str().unwrap();
    let ended = forebay(world.folder.path(), &["decode", "-c", config, "--in", rejects]);
    assert_eq!(ended.code(), Some(3), "{ended:?}");
    let found = lines(&ended);
    let codes: Vec<_> =
        found.iter().map(|l| (l["n"].clone(), l["reject"]["code"].clone())).collect();
    assert_eq!(codes[0], (json!(3), json!("FB0911")));
    assert_eq!(codes[1].0, json!(4));
    assert_eq!(codes[2], (json!(5), json!("FB0911")));
    // With the schema they were really written by, two of them are rows: one int field of 'x' (-61).
    world.file("x.avsc", r#"{"type":"record","name":"X","fields":[{"name":"a","type":"int"}]}"#);
    let ended = forebay(
        world.folder.path(),
        &["decode", "--avsc", "x.avsc", "--framed", "--in", rejects, "--partition-by", "_topic"],
    );
    assert_eq!(
        lines(&ended),
        [
            json!({"n": 3, "key": "topic=orders", "row": {"a": 60}}),
            json!({"n": 4, "key": "topic=orders", "row": {"a": 1}}),
            json!({"n": 5, "key": "topic=orders", "row": {"a": 60}}),
        ]
    );
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    // Parquet that is no reject file.
    let data = parquet_files(&world.path("out/orders"));
    let ended =
        forebay(world.folder.path(), &["decode", "-c", config, "--in", data[0].to_str().unwrap()]);
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("no column `topic`"), "{}", ended.stderr);
}

#[test]
fn every_column_type_reads_as_the_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let schema = r#"{"type":"record","name":"T","fields":[
        {"name":"l","type":"long"},
        {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":30,"scale":2}},
        {"name":"f","type":"double"},{"name":"b","type":"bytes"},
        {"name":"t","type":{"type":"long","logicalType":"timestamp-micros"}},
        {"name":"m","type":{"type":"map","values":"int"}},
        {"name":"day","type":{"type":"int","logicalType":"date"}}]}"#;
    std::fs::write(folder.path().join("t.avsc"), schema).unwrap();
    // i64::MIN zigzag is ff…ff 01; -1.00 as one byte 9c; NaN; "\0\xff"; 0; {"a": 1}; 1 day.
    let hex = "ffffffffffffffffff01029c000000000000f87f0400ff0002026102000 2".replace(' ', "");
    let args = ["decode", "--avsc", "t.avsc", "--in", "-", "--encoding", "hex"];
    let ended = piped(folder.path(), &args, &hex);
    assert_eq!(
        ended.stdout,
        "{\"n\":0,\"row\":{\"l\":-9223372036854775808,\"d\":\"-1.00\",\"f\":\"NaN\",\"b\":\"AP8=\",\"t\":\"1970-01-01T00:00:00Z\",\"m\":{\"a\":1},\"day\":\"1970-01-02\"}}\n",
        "{ended:?}"
    );
}

#[test]
fn configured_columns_beside_the_value_are_shown_as_a_run_writes_them() {
    let world = World::new();
    world.fill("orders", 1, 3);
    let more = "key: { format: string }\nmetadata: [offset, partition]\nvalue: { tombstones: row }\npartition_by: [country]\nsink: { url: out }\n";
    let config = world.config("[orders]", more);
    let ended =
        forebay(world.folder.path(), &["decode", "-c", config.to_str().unwrap(), "--offset", "2"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(
        lines(&ended),
        [json!({"n": 2, "key": "country=O%27K%2Fé", "row": {
            "id": 2, "country": "O'K/é", "made": "1970-01-01T00:00:00.000002Z",
            "_deleted": false, "_key": null, "_offset": 2, "_partition": 0}})]
    );
    // A tombstone of a file: the offset is its line's.
    let text = "{\"value\":null,\"offset\":7,\"key\":\"aw==\"}";
    let ended = piped(
        world.folder.path(),
        &["decode", "-c", config.to_str().unwrap(), "--in", "-", "--encoding", "record"],
        text,
    );
    let found = lines(&ended);
    assert_eq!(found[0]["row"]["_deleted"], true, "{ended:?}");
    assert_eq!((&found[0]["row"]["_key"], &found[0]["row"]["_offset"]), (&json!("k"), &json!(7)));
}

#[test]
fn schema_that_is_given_wins_over_the_format_of_a_configuration_and_keeps_its_keys() {
    let folder = folder();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let common =
        "pipeline: p\nsource: { brokers: \"localhost:1\", topics: [t] }\nsink: { url: out }\n";
    write(
        "json.yaml",
        &format!(
            "{common}value: {{ format: json }}\nkey: {{ format: string }}\nmetadata: [offset]\npartition_by: [_key]\n"
        ),
    );
    write("in.txt", "{\"key\":\"aw==\",\"value\":\"AQA=\",\"offset\":5}\n");
    let args = [
        "decode",
        "-c",
        "json.yaml",
        "--avsc",
        "order.avsc",
        "--in",
        "in.txt",
        "--encoding",
        "record",
    ];
    let ended = forebay(folder.path(), &args);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let row = json!({"id": -1, "country": null, "_key": "k", "_offset": 5});
    assert_eq!(lines(&ended), [json!({"n": 0, "key": "key=k", "row": row})]);
    // An expression of the command may name the key too.
    let ended = forebay(folder.path(), &[&args[..], &["--partition-by", "_key"]].concat());
    assert_eq!(lines(&ended), [json!({"n": 0, "key": "key=k", "row": row})], "{ended:?}");
    // Rows of another schema need one to come from.
    let args = [
        "decode",
        "-c",
        "json.yaml",
        "--target",
        "order.avsc",
        "--in",
        "in.txt",
        "--encoding",
        "record",
    ];
    let ended = forebay(folder.path(), &args);
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("`--target`"), "{}", ended.stderr);
}

#[test]
fn keys_beside_a_schema_that_is_given_are_looked_up_in_the_registry() {
    let world = World::new();
    let id = world.runtime.block_on(async {
        let client = Client::new(&settings(&world.registry.url)).unwrap();
        let text = "\"string\"".to_owned();
        let new = NewSchema { language: Language::Avro, text, references: vec![] };
        client.register("orders-key", &new).await.unwrap().0
    });
    // The first id of a registry: what names the given schema must not be mistaken for it.
    assert_eq!(id, 1);
    world.file("order.avsc", AVSC);
    let config = world.config("[orders]", "key: { format: auto }\nsink: { url: out }\n");
    let key = base64(&[&[0][..], &id.to_be_bytes(), b"\x04k1"].concat());
    let ended = piped(
        world.folder.path(),
        &[
            "decode",
            "-c",
            config.to_str().unwrap(),
            "--avsc",
            "order.avsc",
            "--in",
            "-",
            "--encoding",
            "record",
        ],
        &format!("{{\"key\":\"{key}\",\"value\":\"AQA=\"}}"),
    );
    let row = json!({"id": -1, "country": null, "_key": "k1"});
    assert_eq!(lines(&ended), [json!({"n": 0, "row": row})], "{ended:?}");
}

#[test]
fn records_without_frames_are_shown_sampled_drained_and_tried_again_in_every_format() {
    let connect = |n: i64, field: &str| {
        format!(
            r#"{{"schema":{{"type":"struct","fields":[{{"field":"{field}","type":"int64"}}]}},"payload":{{"{field}":{n}}}}}"#
        )
    };
    /// Format, good records, their rows, a bad record.
    type Case = (&'static str, Vec<String>, Vec<Value>, &'static [u8]);
    let cases: Vec<Case> = vec![
        (
            "format: json",
            vec!["{\"a\":1}".to_owned(), "7".to_owned()],
            vec![json!({"value": "{\"a\":1}"}), json!({"value": "7"})],
            b"{",
        ),
        (
            "format: json, schema: schema.json, extra: keep",
            vec!["{\"a\":1,\"b\":2}".to_owned(), "{}".to_owned()],
            vec![json!({"a": 1, "_extra": "{\"b\":2}"}), json!({"a": null, "_extra": null})],
            b"{\"a\":\"x\"}",
        ),
        (
            "format: json_connect",
            vec![connect(1, "a"), connect(2, "b")],
            vec![json!({"a": 1}), json!({"b": 2})],
            b"{\"payload\":1}",
        ),
        (
            "format: string",
            vec!["x".to_owned(), String::new()],
            vec![json!({"value": "x"}), json!({"value": ""})],
            b"\xff",
        ),
    ];
    for (at, (format, good, rows, bad)) in cases.into_iter().enumerate() {
        let world = World::new();
        let topic = format!("t{at}");
        world.mock.create_topic(&topic, 1).unwrap();
        world.file("schema.json", r#"{"properties":{"a":{"type":"integer"}}}"#);
        let producer = forebay::source::producer::Producer::new(
            &world.mock.brokers(),
            &std::collections::BTreeMap::new(),
        )
        .unwrap();
        for value in [Some(good[0].as_bytes()), Some(bad), None, Some(good[1].as_bytes())] {
            let record = forebay::source::producer::Outgoing {
                topic: &topic,
                partition: Some(0),
                key: Some(b"k"),
                value,
                timestamp_ms: Some(1),
                ..Default::default()
            };
            producer.send(record).unwrap();
        }
        producer.flush(crate::world::PATIENCE).unwrap();
        let more = "key: { format: string }\nmetadata: [offset]\npartition_by: [_key]\nsink: { url: out }\n";
        let config = world.config(
            &format!("[{topic}]"),
            &format!("value: {{ {format}, tombstones: row }}\n{more}"),
        );
        let config = config.to_str().unwrap();
        let beside = |row: &Value, deleted: bool, offset: i64| {
            let mut row = row.clone();
            row["_deleted"] = json!(deleted);
            row["_key"] = json!("k");
            row["_offset"] = json!(offset);
            row
        };
        let mut gone = rows[0].clone();
        gone.as_object_mut().unwrap().values_mut().for_each(|v| *v = Value::Null);
        let expected = [
            Some(beside(&rows[0], false, 0)),
            None,
            Some(beside(&gone, true, 2)),
            Some(beside(&rows[1], false, 3)),
        ];
        let shown = forebay(world.folder.path(), &["decode", "-c", config]);
        assert_eq!(shown.code(), Some(3), "{format}: {shown:?}");
        for (line, expected) in lines(&shown).iter().zip(&expected) {
            match expected {
                Some(row) => assert_eq!((&line["row"], &line["key"]), (row, &json!("key=k"))),
                None => assert!(line["reject"]["code"].is_string(), "{line}"),
            }
        }
        let checked = forebay(
            world.folder.path(),
            &["check", "-c", config, "--sample", "4", "--output", "json"],
        );
        assert_eq!(checked.code(), Some(0), "{format}: {checked:?}");
        let report = checked.json();
        let sample = report["topics"][0]["sample"].as_array().unwrap();
        assert_eq!(sample.len(), 4, "{report:#}");
        for (record, expected) in sample.iter().zip(&expected) {
            assert_eq!(record.get("row"), expected.as_ref(), "{format}: {record}");
        }
        let drained = forebay(world.folder.path(), &["run", "-c", config, "--drain"]);
        assert_eq!(drained.code(), Some(0), "{format}: {drained:?}");
        assert_eq!(crate::world::rows(&world.path("out").join(&topic)), 3);
        let rejects = parquet_files(&world.path("out/_rejects"));
        assert_eq!(rejects.len(), 1);
        let again = forebay(
            world.folder.path(),
            &["decode", "-c", config, "--in", rejects[0].to_str().unwrap()],
        );
        assert_eq!(again.code(), Some(3), "{format}: {again:?}");
        assert_eq!(lines(&again)[0]["n"], 1);
        assert_eq!(lines(&again)[0]["reject"], lines(&shown)[1]["reject"]);
        // As bytes there is nothing to refuse.
        let text = std::fs::read_to_string(config).unwrap();
        let text = text.replace(format, "format: bytes");
        let bytes = world.file("bytes.yaml", &text);
        let again = forebay(
            world.folder.path(),
            &[
                "decode",
                "-c",
                bytes.to_str().unwrap(),
                "--in",
                rejects[0].to_str().unwrap(),
                "--out",
                "b.parquet",
            ],
        );
        assert_eq!(again.code(), Some(0), "{format}: {again:?}");
        assert_eq!(again.json()["rows"], 1);
    }
}

#[test]
fn topic_of_lines_is_the_only_one_of_the_configuration_unless_they_say_it() {
    let folder = folder();
    let text = "pipeline: p\nsource: { brokers: \"localhost:1\", topics: [orders] }\nsink: { url: out }\n\
        value: { format: string }\nmetadata: [topic, partition]\n";
    std::fs::write(folder.path().join("c.yaml"), text).unwrap();
    let args = ["decode", "-c", "c.yaml", "--in", "-", "--encoding", "record"];
    let input = "{\"value\":\"eA==\"}\n{\"value\":\"eA==\",\"partition\":3}\n{\"value\":\"eA==\",\"topic\":\"b\"}";
    let from = |more: &[&str]| -> Vec<(Value, Value)> {
        let ended = piped(folder.path(), &[&args[..], more].concat(), input);
        let of = |line: &Value| (line["row"]["_topic"].clone(), line["row"]["_partition"].clone());
        lines(&ended).iter().map(of).collect()
    };
    let orders = |partition: i32| (json!("orders"), json!(partition));
    assert_eq!(from(&[]), [orders(0), orders(3), (json!("b"), json!(0))]);
    let other = |topic: &str, partition: i32| (json!(topic), json!(partition));
    assert_eq!(
        from(&["--topic", "x", "--partition", "2"]),
        [other("x", 2), other("x", 3), other("b", 2)]
    );
}

/// Frames of messages `Order` (index 0) and `Other` (index 1) in each form of message indexes.
#[test]
fn framed_payloads_of_a_schema_file_may_write_their_indexes_in_any_form() {
    let folder = folder();
    let frame = |indexes: &[u8], body: &[u8]| {
        [&[0, 0, 0, 0, 1], indexes, body].concat().iter().map(|b| format!("{b:02x}")).collect()
    };
    let run = |more: &[&str], lines_in: &[String]| {
        let args =
            ["decode", "--proto", "order.proto", "--framed", "--in", "-", "--encoding", "hex"];
        let ended = piped(folder.path(), &[&args[..], more].concat(), &lines_in.join("\n"));
        lines(&ended)
            .into_iter()
            .map(|line| line.get("row").cloned().unwrap_or_else(|| line["reject"]["code"].clone()))
            .collect::<Vec<_>>()
    };
    let (order, other) = (json!({"id": 150, "country": "FR"}), json!({"yes": true}));
    // Field 1 of `Other` is a varint of 1. One index: zigzag writes count and index 1 as 02 02, plain
    // varints as 01 01.
    let yes = [0x08, 1];
    let zigzag: Vec<String> = vec![frame(&[0], ORDER), frame(&[2, 2], &yes)];
    let unsigned: Vec<String> = vec![frame(&[0], ORDER), frame(&[1, 1], &yes)];
    let absent: Vec<String> = vec![frame(&[], ORDER)];
    assert_eq!(run(&[], &zigzag), [order.clone(), other.clone()]);
    assert_eq!(run(&[], &unsigned), [order.clone(), json!("FB0103")]);
    let form = |name| ["--message-indexes", name];
    assert_eq!(run(&form("unsigned"), &unsigned), [order.clone(), other.clone()]);
    assert_eq!(run(&form("absent"), &absent), std::slice::from_ref(&order));
    let all = [&zigzag[..], &unsigned[..], &absent[..]].concat();
    let expected = [&order, &other, &order, &other, &order];
    assert_eq!(run(&form("auto"), &all), expected.map(Clone::clone));
    // The message that is named counts, whatever the indexes say; they still have to be passed over.
    let of_other = vec![frame(&[2, 2], &yes), frame(&[1, 1], &yes), frame(&[], &yes)];
    let named = |form| ["--message", "Other", "--message-indexes", form];
    assert_eq!(run(&named("auto"), &of_other), vec![other.clone(); 3]);
    assert_eq!(run(&named("unsigned"), &of_other[1..2]), std::slice::from_ref(&other));
    assert_eq!(run(&named("absent"), &of_other[2..]), std::slice::from_ref(&other));
    // A configuration says it too, by topic; a payload without a frame has no indexes whatever it says.
    let config = "pipeline: p\nsource: { brokers: \"localhost:1\", topics: [old] }\nsink: { url: out }\n\
        registry: { url: \"http://localhost:1\" }\nwire: { message_indexes_by_topic: { old: unsigned } }\n";
    std::fs::write(folder.path().join("old.yaml"), config).unwrap();
    assert_eq!(run(&["-c", "old.yaml"], &unsigned), [order, other.clone()]);
    let bare = ["decode", "-c", "old.yaml", "--proto", "order.proto", "--message", "Other"];
    let ended =
        piped(folder.path(), &[&bare[..], &["--in", "-", "--encoding", "hex"]].concat(), "0801");
    assert_eq!(lines(&ended), [json!({"n": 0, "row": other})], "{ended:?}");
}

#[test]
fn timestamp_type_of_a_record_is_what_its_line_says_or_null() {
    let folder = folder();
    let config = "pipeline: p\nsource: { brokers: \"localhost:1\", topics: [t] }\nsink: { url: out }\n\
        value: { format: string }\nmetadata: [timestamp, timestamp_type]\n";
    std::fs::write(folder.path().join("c.yaml"), config).unwrap();
    let args = ["decode", "-c", "c.yaml", "--in", "-", "--encoding", "record"];
    let text = "{\"value\":\"YQ==\",\"timestamp\":1000,\"timestamp_type\":\"LogAppendTime\"}\n\
        {\"value\":\"YQ==\",\"timestamp\":1000,\"timestamp_type\":\"CreateTime\"}\n\
        {\"value\":\"YQ==\",\"timestamp\":1000}\n\
        {\"value\":\"YQ==\",\"timestamp_type\":\"CreateTime\"}\n";
    let ended = piped(folder.path(), &args, text);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let at = "1970-01-01T00:00:01Z";
    let row = |at: Value, of: Value| json!({"value": "a", "_timestamp": at, "_timestamp_type": of});
    let found: Vec<Value> = lines(&ended).into_iter().map(|line| line["row"].clone()).collect();
    assert_eq!(
        found,
        [
            row(json!(at), json!("LogAppendTime")),
            row(json!(at), json!("CreateTime")),
            row(json!(at), Value::Null),
            // A type of no timestamp says nothing.
            row(Value::Null, Value::Null),
        ]
    );
    let ended =
        piped(folder.path(), &args, "{\"value\":\"YQ==\",\"timestamp_type\":\"create_time\"}\n");
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("`timestamp_type`: create_time"), "{}", ended.stderr);
}
