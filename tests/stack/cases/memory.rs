//! Many open files under a bound.

use serde_json::json;

use crate::rig::Stack;
use crate::{forebay, python};

const LIMIT: u64 = 1 << 30;

/// A million records, each of 2,000 keys in each of 4 Kafka partitions, under `memory.limit: 1GiB`.
pub fn million(stack: &Stack) {
    let name = "memory";
    let folder = stack.folder(name);
    stack.topic(name, 4);
    python::run(stack, "orders_write.py", &[name, "1000000", "2000"]);
    let more = format!(
        "partition_by: [city]\nsink:\n{}memory: {{ limit: 1GiB }}\n",
        forebay::s3_sink(name)
    );
    let config = forebay::config(&folder, name, name, "{ url: \"${FOREBAY_REGISTRY}\" }", &more);
    let ended = forebay::drain(stack, &folder, "run", &config);
    let objects = folder.join("objects");
    let read = python::run(stack, "orders_read.py", &[name, name, objects.to_str().unwrap()]);
    println!("{name}: {}; {read}", ended.cost());
    for (what, expected) in [
        ("rows", 1_000_000),
        ("orders", 1_000_000),
        ("cities", 2000),
        ("misplaced", 0),
        ("rejects", 0),
    ] {
        assert_eq!(read[what], json!(expected), "{what}");
    }
    assert!(ended.peak_rss < LIMIT, "{} bytes at its peak, {LIMIT} allowed", ended.peak_rss);
}
