//! 329 real documents of 58 schemas, up to 7 deep, many times over in one topic.

use serde_json::json;

use crate::rig::Stack;
use crate::{forebay, python};

const COPIES: &str = "20";

pub fn avro(stack: &Stack) {
    check(stack, "avro");
}

pub fn protobuf(stack: &Stack) {
    check(stack, "protobuf");
}

fn check(stack: &Stack, kind: &str) {
    let name = format!("webhooks-{kind}");
    let folder = stack.folder(&name);
    stack.topic(&name, 3);
    let written = python::run(stack, "webhooks_write.py", &[kind, &name, COPIES]);
    assert_eq!(written, json!({ "records": 329 * 20, "schemas": 58 }));

    let more = format!(
        "partition_by: [{{ name: event, expr: _record_name }}]\nsink:\n{}",
        forebay::s3_sink(&name)
    );
    let registry = "{ url: \"${FOREBAY_REGISTRY}\", subject_name_strategy: record }";
    let config = forebay::config(&folder, &name, &name, registry, &more);
    let ended = forebay::drain(stack, &folder, "run", &config);

    let objects = folder.join("objects");
    let read = python::run(
        stack,
        "webhooks_read.py",
        &[kind, &name, &name, objects.to_str().unwrap(), COPIES],
    );
    println!("{name}: {}; {} files, {} fields", ended.cost(), read["files"], read["fields"]);
    assert_eq!(
        (&read["missing"], &read["repeated"], &read["wrong"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert!(read["fields"].as_u64() > Some(1_000_000));
}
