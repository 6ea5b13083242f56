//! Versions that come while files are written: across a restart, and across a rebalance between two instances.
//! Files of all ages are one table to DuckDB and to pyarrow.

use std::path::Path;
use std::time::Duration;

use crate::rig::Stack;
use crate::{forebay, python};

pub fn superset(stack: &Stack) {
    check(stack, "superset");
}

pub fn latest(stack: &Stack) {
    check(stack, "latest");
}

/// Records of the first version, then of two, then of all three by turns.
fn check(stack: &Stack, mode: &str) {
    let name = format!("evolved-{mode}");
    let folder = stack.folder(&name);
    stack.topic(&name, 4);
    let config = config(&folder, &name, mode);
    python::run(stack, "evolved_write.py", &[&name, "1", "0", "4000", "4", "0"]);
    forebay::drain(stack, &folder, "first", &config);
    python::run(stack, "evolved_write.py", &[&name, "2", "4000", "4000", "4", "0"]);
    forebay::drain(stack, &folder, "restarted", &config);

    // Two instances, the second of which comes while records flow.
    let writer =
        python::start(stack, "evolved_write.py", &[&name, "3", "8000", "16000", "4", "1000"]);
    let args = ["run", "-c", config.to_str().unwrap()];
    let one = forebay::start(stack, &folder, "one", &args);
    one.says("rows take the columns of subject");
    let other = forebay::start(stack, &folder, "other", &args);
    other.says("rows take the columns of subject");
    let written = writer.finish().unwrap();
    for running in [&one, &other] {
        running.signal(libc::SIGTERM);
    }
    for running in [one, other] {
        running.wait(Duration::from_secs(60)).succeeded();
    }
    forebay::drain(stack, &folder, "rest", &config);

    let objects = folder.join("objects");
    let ids = written["ids"].to_string();
    let args = [mode, &name, &name, objects.to_str().unwrap(), "24000", &ids];
    let read = python::run(stack, "evolved_read.py", &args);
    println!("{name}: {read}");
    assert_eq!(read["rows"], 24_000, "{read}");
    for nothing in ["rejects", "wrong", "missing", "twice"] {
        assert_eq!(read[nothing], 0, "{read}");
    }
    assert_eq!(read["readers_differ"], false, "{read}");
    // A file's rows are of the writers that it names, in the columns of the target that it names.
    assert_eq!(read["undeclared"], serde_json::json!([]), "{read}");
    assert_eq!(read["columns"], 3, "columns of three ages: {read}");
    assert!(read["mixed"].as_u64() > Some(0), "versions share files: {read}");
}

fn config(folder: &Path, name: &str, mode: &str) -> std::path::PathBuf {
    let more = format!(
        "evolution: {{ mode: {mode}, refresh: 1s }}\ncommit: {{ interval: 1s }}\nsink:\n{}",
        forebay::s3_sink(name)
    );
    forebay::config(folder, name, name, "{ url: \"${FOREBAY_REGISTRY}\" }", &more)
}
