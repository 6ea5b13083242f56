//! The well-known tutorial: users by company and country, files of three rows.

use serde_json::{Value, json};

use crate::rig::Stack;
use crate::{forebay, python};

pub fn protobuf(stack: &Stack) {
    let paths = check(stack, "tutorial-protobuf", "protobuf", "hive", "company,country");
    assert!(paths.contains(&json!(
        "tutorial-protobuf/company=O%27Keefe, O%27Conner and Ullrich/country=France"
    )));
    assert!(
        paths.contains(&json!("tutorial-protobuf/company=Hauck, Little and Hand/country=China"))
    );
}

pub fn avro(stack: &Stack) {
    let paths = check(stack, "tutorial-avro", "avro", "hive", "company,country");
    assert!(paths.contains(&json!(
        "tutorial-avro/company=O%27Keefe, O%27Conner and Ullrich/country=France"
    )));
}

pub fn connect(stack: &Stack) {
    let paths = check(stack, "tutorial-connect", "protobuf", "connect", "company,country");
    assert!(
        paths.contains(&json!(
            "tutorial-connect/company=O'Keefe, O'Conner and Ullrich/country=France"
        ))
    );
}

pub fn field_and_time(stack: &Stack) {
    let by = "company,country,login_timestamp_day";
    let paths = check(stack, "tutorial-time", "protobuf", "hive", by);
    assert!(paths.contains(&json!(
        "tutorial-time/company=O%27Keefe, O%27Conner and Ullrich/country=France/login_timestamp_day=2024-02-02"
    )));
}

/// Runs the tutorial and gives back the folders it made, in order. `by`: the segments' names.
fn check(stack: &Stack, name: &str, kind: &str, escape: &str, by: &str) -> Vec<Value> {
    let folder = stack.folder(name);
    stack.topic(name, 1);
    python::run(stack, "users_write.py", &[kind, name]);
    let more = format!(
        "partition_by: [{}]\nsink:\n{}  compression: gzip\n  escape: {escape}\ncommit: {{ rows: 3 }}\n",
        by.replace("login_timestamp_day", "\"day(login_timestamp)\""),
        forebay::s3_sink(name),
    );
    let registry = "{ url: \"${FOREBAY_REGISTRY}\", subject_name_strategy: record }";
    let config = forebay::config(&folder, name, name, registry, &more);
    let ended = forebay::drain(stack, &folder, "run", &config);
    println!("{name}: {}", ended.cost());
    users_read(stack, name, name, escape, by)
}

/// Asserts that every user is once in its folder, in files of at most three rows; gives the folders.
pub fn users_read(stack: &Stack, prefix: &str, topic: &str, escape: &str, by: &str) -> Vec<Value> {
    let objects = stack.folder(prefix).join("objects");
    let args = [prefix, topic, objects.to_str().unwrap(), escape, by, "3"];
    let read = python::run(stack, "users_read.py", &args);
    let found = ["users", "repeated", "wrong", "within_rows_max"].map(|name| read[name].clone());
    assert_eq!(found, [json!(60), json!(0), json!(0), json!(true)]);
    read["paths"].as_array().unwrap().clone()
}
