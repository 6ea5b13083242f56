//! Bad records at random places among good ones.

use super::seed;
use crate::rig::Stack;
use crate::{forebay, python};

/// Good records, and bad ones of each kind: under 1 % of what one schema has.
const GOOD: &str = "6000";
const EACH: &str = "9";

pub fn protobuf(stack: &Stack) {
    check(stack, "protobuf", 6);
}

pub fn avro(stack: &Stack) {
    check(stack, "avro", 5);
}

fn check(stack: &Stack, kind: &str, kinds: u64) {
    let name = format!("poison-{kind}");
    let folder = stack.folder(&name);
    let seed = seed(&name).to_string();
    stack.topic(&name, 3);
    let manifest = folder.join("manifest.json");
    let manifest = manifest.to_str().unwrap();
    let written =
        python::run(stack, "poison_write.py", &[kind, &name, manifest, &seed, GOOD, EACH]);
    assert_eq!(written["bad"], 9 * kinds);

    let more = format!("sink:\n{}", forebay::s3_sink(&name));
    let registry = "{ url: \"${FOREBAY_REGISTRY}\", unknown_id_grace: 1s }";
    let config = forebay::config(&folder, &name, &name, registry, &more);
    let ended = forebay::drain(stack, &folder, "run", &config);

    let objects = folder.join("objects");
    let read = python::run(
        stack,
        "poison_read.py",
        &[kind, &name, &name, &name, objects.to_str().unwrap(), manifest],
    );
    println!("{name}: {}", ended.cost());
    assert_eq!(read["rejects"], 9 * kinds, "{read}");
    assert_eq!(read["rejects_wrong"], 0, "{read}");
    assert_eq!(read["messages_empty"], 0, "{read}");
    assert_eq!(read["rows_exact"], true, "{read}");
}
