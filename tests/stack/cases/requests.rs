//! What a commit and a file cost in requests: part of the bill on any S3 that counts them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::rig::Stack;
use crate::{forebay, python};

/// Requests by verb, whatever came of them.
pub type Requests = BTreeMap<String, u64>;

/// 20 commits of five files each: one record a commit, three requests a file, and nothing that lists or looks.
pub fn per_commit_and_file(stack: &Stack) {
    let name = "requests";
    let folder = stack.folder(name);
    stack.topic(name, 1);
    let listen = free_address();
    let more = format!(
        "partition_by: [half]\nsink:\n{}commit: {{ interval: 1h, rows: 50 }}\nlisten: {listen}\n",
        forebay::s3_sink(name)
    );
    let config = forebay::config(&folder, name, name, "{ url: \"${FOREBAY_REGISTRY}\" }", &more);
    let args = ["run", "-c", config.to_str().unwrap()];
    let run = forebay::start(stack, &folder, "run", &args);
    run.says("is claimed");
    // The janitor looks once, some seconds after a claim.
    until("the janitor's look", || so_far(&listen).contains_key("list_uploads"));
    let start = so_far(&listen);
    // The probe looks for what it has deleted once, and waits for nothing.
    assert!(count(&start, "head") <= 4, "{start:?}");
    let stop = folder.join("never").display().to_string();
    python::run(stack, "kills_write.py", &[name, &stop, "1", "5", "64", "0", "1000"]);
    let done = |now: &Requests| count(now, "complete") >= count(&start, "complete") + 100;
    until("20 commits", || done(&so_far(&listen)));
    let now = so_far(&listen);
    run.signal(libc::SIGTERM);
    run.wait(Duration::from_secs(60)).succeeded();

    let spent: Requests = now
        .iter()
        .map(|(verb, n)| (verb.clone(), n - count(&start, verb)))
        .filter(|(_, n)| *n > 0)
        .collect();
    println!("{name}: start {start:?}; 20 commits of 5 files {spent:?}");
    let expected = [("complete", 100), ("create_upload", 100), ("put", 20), ("put_part", 100)];
    assert_eq!(spent, expected.map(|(verb, n)| (verb.to_owned(), n)).into());
}

fn count(requests: &Requests, verb: &str) -> u64 {
    requests.get(verb).copied().unwrap_or(0)
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < forebay::LONG, "{what}: not reached");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// An address that nobody listens on.
pub fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// What the process at this address has asked of its store since it began.
pub fn so_far(listen: &str) -> Requests {
    let mut text = String::new();
    let mut stream = TcpStream::connect(listen).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_to_string(&mut text).unwrap();
    let mut requests = Requests::new();
    for line in text.lines().filter(|l| l.starts_with("forebay_store_requests_total{")) {
        let verb = line.split("verb=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let value = line.split("} ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        *requests.entry(verb.to_owned()).or_default() += value.parse::<f64>().unwrap() as u64;
    }
    requests
}
