//! A clean stop while records keep coming. Deaths: `kills`.

use std::time::Duration;

use serde_json::Value;

use crate::rig::Stack;
use crate::{forebay, python};

/// SIGTERM while records come: what was consumed is committed, so the next run repeats nothing.
pub fn sigterm(stack: &Stack) {
    let name = "sigterm";
    let folder = stack.folder(name);
    stack.topic(name, 4);
    let config = numbers_config(&folder, name, "1s");
    let writer =
        python::start(stack, "numbers_write.py", &[name, "numbers", "0", "90000", "4", "15000"]);
    let args = ["run", "-c", config.to_str().unwrap()];
    let first = forebay::start(stack, &folder, "first", &args);
    python::run(stack, "objects.py", &["wait", &format!("{name}/"), "120"]);
    first.signal(libc::SIGTERM);
    let first = first.wait(Duration::from_secs(60)).succeeded();
    writer.finish().unwrap();
    let second = forebay::drain(stack, &folder, "second", &config);
    let read = numbers_read(stack, name, 90_000);
    println!("{name}: first run {}; second {}; {read}", first.cost(), second.cost());
    complete(&read);
    assert_eq!(read["rows"], 90_000, "a clean stop repeated rows");
    assert_eq!(read["unfinished"], 0, "a clean stop left uploads behind");
}

/// Static membership: a restarted process takes its partitions back without waiting for the session of
/// the one that was killed.
fn numbers_config(folder: &std::path::Path, name: &str, interval: &str) -> std::path::PathBuf {
    let more = format!(
        "partition_by: [half]\nsink:\n{}commit: {{ interval: {interval} }}\n",
        forebay::s3_sink(name)
    );
    let config = forebay::config(folder, name, name, "{ url: \"${FOREBAY_REGISTRY}\" }", &more);
    let text = std::fs::read_to_string(&config).unwrap();
    let member = format!("properties: {{ group.instance.id: {name}, ");
    std::fs::write(&config, text.replace("properties: { ", &member)).unwrap();
    config
}

pub fn numbers_read(stack: &Stack, name: &str, count: u32) -> Value {
    let objects = stack.folder(name).join("objects");
    let args = [name, name, objects.to_str().unwrap(), &count.to_string()];
    python::run(stack, "numbers_read.py", &args)
}

/// Everything arrived whole, nothing was rejected, and nothing else lies there.
pub fn complete(read: &Value) {
    assert_eq!(read["missing"], 0, "{read}");
    assert_eq!(read["wrong"], 0, "{read}");
    assert_eq!(read["rejects"], 0, "{read}");
    assert_eq!(read["strays"], 0, "{read}");
}
