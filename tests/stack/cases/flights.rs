//! 336,776 real rows, written by Confluent's Python client and serializers, read by DuckDB.

use serde_json::json;

use crate::rig::Stack;
use crate::{forebay, python};

const ROWS: u64 = 336_776;

pub fn protobuf(stack: &Stack) {
    check(stack, "protobuf", "[carrier, month]");
}

pub fn avro(stack: &Stack) {
    check(stack, "avro", "[origin, \"day(time_hour)\"]");
}

fn check(stack: &Stack, kind: &str, partition_by: &str) {
    let name = format!("flights-{kind}");
    let folder = stack.folder(&name);
    stack.topic(&name, 4);
    let written = python::run(stack, "flights_write.py", &[kind, &name]);
    assert_eq!(written["rows"], ROWS);

    let more = format!(
        "partition_by: {partition_by}\nsink:\n{}  compression: gzip\n",
        forebay::s3_sink(&name)
    );
    let config = forebay::config(&folder, &name, &name, "{ url: \"${FOREBAY_REGISTRY}\" }", &more);
    let ended = forebay::drain(stack, &folder, "run", &config);

    let objects = folder.join("objects");
    let read =
        python::run(stack, "flights_read.py", &[kind, &name, &name, objects.to_str().unwrap()]);
    let summary = ended.summary();
    assert_eq!((&summary["records"], &summary["rows"]), (&json!(ROWS), &json!(ROWS)));
    println!("{name}: {}; {} files, {} bytes", ended.cost(), read["files"], read["bytes"]);
    assert_eq!(read["rows"], ROWS);
    assert_eq!(
        (&read["missing"], &read["added"], &read["misplaced"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(read["nulls"], read["nulls_expected"]);
    assert_ne!(read["nulls"], 0);
}
