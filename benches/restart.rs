//! A restart over long chains: from the process's start until each of 100 Kafka partitions is claimed and flows, and
//! what that takes in requests. With the hint of Kafka's committed offset, and without.
//!
//! `FOREBAY_STACK_S3=versitygw cargo bench --bench restart`; `FOREBAY_RESTART_COMMITS` changes the length of a chain
//! (10,000). Chains are written as files, also those that the S3 server shows as objects: it keeps each as a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods)]
#![allow(dead_code)] // the rig is shared with the stack tests

#[path = "../tests/stack/forebay.rs"]
mod forebay;
#[path = "../tests/stack/python.rs"]
mod python;
#[path = "../tests/stack/cases/requests.rs"]
mod requests;
#[path = "../tests/stack/rig/mod.rs"]
mod rig;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::forebay::commit::record::{About, File, Hint, Kind, Record, Role};
use ::forebay::source::producer::{Outgoing, Producer};
use ::forebay::store::Handle;
use rdkafka::ClientConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};

const PARTITIONS: i32 = 100;
const RUNS: usize = 10;

fn main() {
    if std::env::args().nth(1).as_deref() == Some(rig::supervisor::FLAG) {
        rig::supervisor::serve();
        return;
    }
    let depth = std::env::var("FOREBAY_RESTART_COMMITS").ok().and_then(|n| n.parse().ok());
    let depth = depth.unwrap_or(10_000);
    let stack = match rig::stack() {
        Ok(stack) if stack.s3.name == "versitygw" => stack,
        Ok(_) => {
            eprintln!("restart: left out: FOREBAY_STACK_S3=versitygw required");
            rig::stop();
            return;
        }
        Err(rig::Absent::LeftOut(why) | rig::Absent::Failed(why)) => {
            eprintln!("restart: left out: {why}");
            return;
        }
    };
    for kind in ["s3", "disk"] {
        Chains::new(stack, kind, depth).measure();
    }
    rig::stop();
}

/// Chains of one pipeline.
struct Chains<'a> {
    stack: &'a rig::Stack,
    name: String,
    folder: PathBuf,
    /// Where the store keeps its objects as files.
    root: PathBuf,
    sink: String,
    depth: u64,
}

impl<'a> Chains<'a> {
    /// Has the program claim empty logs, and makes its chains longer by hand.
    fn new(stack: &'a rig::Stack, kind: &str, depth: u64) -> Self {
        let name = format!("restart-{kind}");
        let folder = stack.folder(&name);
        let (root, sink) = match kind {
            "s3" => (stack.s3_folder().join(stack.s3.bucket).join(&name), forebay::s3_sink(&name)),
            _ => (folder.join("lake"), format!("  url: {}\n", folder.join("lake").display())),
        };
        let chains = Self { stack, name, folder, root, sink, depth };
        stack.topic(&chains.name, PARTITIONS);
        chains.start("first", &chains.group(0), false);
        let begun = Instant::now();
        let hints = chains.lengthen();
        println!(
            "{}: {PARTITIONS} chains of {depth} records written in {:.0} s",
            chains.name,
            begun.elapsed().as_secs_f64()
        );
        chains.fill();
        chains.commit_offsets(&hints);
        chains
    }

    fn group(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }

    fn measure(&self) {
        for (what, fresh) in [("with the hint", false), ("without it", true)] {
            let mut times: Vec<f64> = Vec::new();
            let (mut all, mut assigned, mut last) = (Vec::new(), Vec::new(), Default::default());
            for run in 0..RUNS {
                let group = self.group(if fresh { run + 1 } else { 0 });
                let (first, claims, requests) = self.start("run", &group, true);
                assigned.push(first);
                all.push(claims.iter().copied().fold(0.0, f64::max));
                times.extend(claims);
                last = requests;
            }
            println!(
                "{}, {what}: ms from the start of the process: assigned p50 {:.0}; a Kafka partition flows p50 {:.0}, p99 {:.0}; all {PARTITIONS} flow p50 {:.0}, worst {:.0}; requests of the last run {last:?}",
                self.name,
                at(&mut assigned, 0.5),
                at(&mut times, 0.5),
                at(&mut times, 0.99),
                at(&mut all, 0.5),
                at(&mut all, 1.0),
            );
        }
    }

    /// Starts, waits until every Kafka partition is claimed, and leaves: ms until they were assigned, until each was
    /// claimed, and the requests until then.
    fn start(
        &self,
        label: &str,
        group: &str,
        counted: bool,
    ) -> (f64, Vec<f64>, requests::Requests) {
        let listen = requests::free_address();
        let text = format!(
            "pipeline: {name}
source:
  brokers: ${{FOREBAY_BROKERS}}
  topics: [{name}]
  group: {group}
  start: earliest
registry: {{ url: \"${{FOREBAY_REGISTRY}}\" }}
value: {{ format: string }}
sink:
{sink}commit: {{ interval: 1h }}
listen: {listen}
",
            name = self.name,
            sink = self.sink,
        );
        let config = self.folder.join(format!("{label}.yaml"));
        std::fs::write(&config, text).unwrap();
        let begun_ms = wall_ms();
        let args = ["run", "-c", config.to_str().unwrap()];
        let run = forebay::start(self.stack, &self.folder, label, &args);
        let begun = Instant::now();
        while run.said().matches("is claimed").count() < PARTITIONS as usize {
            assert!(begun.elapsed() < forebay::LONG, "not claimed:\n{}", run.said());
            std::thread::sleep(Duration::from_millis(5));
        }
        let requests = if counted { requests::so_far(&listen) } else { Default::default() };
        let times = |what: &str| -> Vec<f64> {
            let said = run.said();
            let lines = said.lines().filter(|line| line.contains(what));
            lines.map(|line| stamp_ms(line) - begun_ms).collect()
        };
        let (assigned, claimed) = (times("is assigned"), times("is claimed"));
        run.signal(libc::SIGTERM);
        run.wait(forebay::LONG).succeeded();
        (assigned[0], claimed, requests)
    }

    /// Writes the records after each claim; gives the last ones.
    fn lengthen(&self) -> Vec<Hint> {
        let log = self.root.join("_forebay").join(&self.name).join("log");
        let topic = std::fs::read_dir(log).unwrap().next().unwrap().unwrap().path();
        (0..PARTITIONS).map(|partition| self.chain(&topic.join(partition.to_string()))).collect()
    }

    fn chain(&self, folder: &Path) -> Hint {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let head = Record::parse(&std::fs::read(names.last().unwrap()).unwrap()).unwrap();
        let mut record = Record { kind: Kind::Commit, rows: 1, ..head };
        while record.seq < self.depth {
            record.prev = std::mem::take(&mut record.id);
            record.seq += 1;
            record.id = format!("{}-{}", record.owner, record.seq);
            record.from = record.to;
            record.to += 1;
            // Nothing is left to publish at the end: that is measured by other means.
            let last = record.seq == self.depth;
            record.files = if last { Vec::new() } else { vec![self.file(&record)] };
            record.rows = u64::from(!last);
            let path = folder.join(format!("{:020}.json", record.seq));
            std::fs::write(path, record.to_bytes()).unwrap();
        }
        Hint { seq: record.seq, id: record.id }
    }

    fn file(&self, record: &Record) -> File {
        let about = About {
            role: Role::Data,
            crc32: 1,
            rows: 1,
            first: record.from,
            last: record.from,
            values: vec![("country".into(), Some("C1".into()))],
            columns: 1,
            target: None,
            schema_ids: vec![1],
        };
        let key = format!("{}/country=C1/{}+{:020}.parquet", self.name, self.name, record.from);
        let staged = Handle::S3 {
            upload_id: "0".repeat(36),
            etags: vec!["0".repeat(32)],
            checksums: Vec::new(),
            token: "0".repeat(32),
        };
        File { key, bytes: 1_000, about, staged }
    }

    /// As many records as the chains say.
    fn fill(&self) {
        let producer = Producer::new(&self.stack.brokers, &Default::default()).unwrap();
        for _ in 1..self.depth {
            for partition in 0..PARTITIONS {
                let record = Outgoing {
                    topic: &self.name,
                    partition: Some(partition),
                    value: Some(b"x"),
                    ..Outgoing::default()
                };
                producer.send(record).unwrap();
            }
        }
        producer.flush(Duration::from_secs(300)).unwrap();
    }

    /// What the last commits would have told Kafka.
    fn commit_offsets(&self, hints: &[Hint]) {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.stack.brokers).set("group.id", self.group(0));
        let consumer: BaseConsumer = client.create().unwrap();
        let mut list = TopicPartitionList::new();
        for (partition, hint) in (0..).zip(hints) {
            let mut one = list.add_partition(&self.name, partition);
            one.set_offset(rdkafka::Offset::Offset(self.depth as i64 - 1)).unwrap();
            one.set_metadata(Hint::text(hint.seq, &hint.id));
        }
        consumer.commit(&list, CommitMode::Sync).unwrap();
    }
}

/// The value below which this part of the list lies.
fn at(list: &mut [f64], part: f64) -> f64 {
    list.sort_by(f64::total_cmp);
    list[((list.len() - 1) as f64 * part) as usize]
}

fn wall_ms() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64() * 1_000.0
}

/// When a line of the log was written.
fn stamp_ms(line: &str) -> f64 {
    let stamp: jiff::Timestamp = line.split(' ').next().unwrap().parse().unwrap();
    stamp.as_nanosecond() as f64 / 1e6
}
