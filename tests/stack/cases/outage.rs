//! The registry goes away and comes back.

use std::time::{Duration, Instant};

use super::restarts::{complete, numbers_read};
use crate::proxy::Proxy;
use crate::rig::Stack;
use crate::{forebay, python};

/// A schema that is asked for while the registry is down: its records wait, none is rejected, and everything
/// arrives once the registry is back.
pub fn registry(stack: &Stack) {
    let name = "outage";
    let folder = stack.folder(name);
    stack.topic(name, 2);
    let (host, path) = stack.registry.trim_start_matches("http://").split_once('/').unwrap();
    let proxy = Proxy::start(host);
    let registry = format!(
        "{{ url: \"http://{}/{path}\", timeout: 2s, unknown_id_grace: 1s }}",
        proxy.address()
    );
    let more = format!(
        "partition_by: [half]\nsink:\n{}commit: {{ interval: 1s }}\n",
        forebay::s3_sink(name)
    );
    let config = forebay::config(&folder, name, name, &registry, &more);

    python::run(stack, "numbers_write.py", &[name, "numbers", "0", "20000", "2", "0"]);
    let args = ["run", "-c", config.to_str().unwrap()];
    let mut run = forebay::start(stack, &folder, "run", &args);
    python::run(stack, "objects.py", &["wait", &format!("{name}/"), "120"]);

    proxy.down();
    python::run(stack, "numbers_write.py", &[name, "numbers2", "20000", "20000", "2", "0"]);
    let refused = proxy.refused();
    let begun = Instant::now();
    while proxy.refused() < refused + 3 {
        assert!(begun.elapsed() < Duration::from_secs(120), "nobody asked the registry");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(run.running(), "it ended with the registry:\n{}", run.said());
    proxy.up();
    run.signal(libc::SIGTERM);
    run.wait(Duration::from_secs(60)).succeeded();

    let last = forebay::drain(stack, &folder, "last", &config);
    let read = numbers_read(stack, name, 40_000);
    println!("{name}: last run {}; {read}", last.cost());
    complete(&read);
    assert_eq!(read["rows"], 40_000, "an outage repeated rows");
}
