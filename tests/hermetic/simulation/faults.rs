//! Small worlds, each made of its seed: what the log holds, how commits seal, and which faults happen how often.
//! Half of the faults are left out of each world, so that the others reach states that all of them together
//! would not.
//!
//! A failing seed says so; `FOREBAY_SEED=<n>` runs it alone, event by event the same. `FOREBAY_SEEDS=<n>` runs so
//! many, from `FOREBAY_SEED_FIRST` on.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use forebay::clock::{Seeded, System};
use forebay::config::{self, Config};
use forebay::pipeline::simulated::{Report, SimRecord, Simulation, Trouble, World};
use forebay::position::TopicPartition;
use forebay::registry::Schema;
use forebay::store::{Chance, Memory, Store};
use forebay::wire::SchemaRef;

use super::reader::{Bucket, Fate, Reader, Sent, Wrong};
use crate::s3_double::{Double, LIES};

const V1: &str = "syntax = \"proto3\"; message Row { int64 n = 1; string k = 2; string s = 3; }";
const V2: &str = "syntax = \"proto3\"; message Row { int64 n = 1; string k = 2; string s = 3; string added = 4; }";

/// Values of `k` and the folders that Hive's escaping gives them.
const FOLDERS: [(&str, &str); 5] =
    [("a", "k=a"), ("b", "k=b"), ("c d", "k=c d"), ("e/f", "k=e%2Ff"), ("[g]", "k=%5Bg%5D")];

const SEEDS: u64 = 2_000;
const EVENTS_MAX: u64 = 60_000;

/// What happened in all worlds together.
pub(crate) type Reports = Vec<Report>;

fn field(number: u8, text: &str, out: &mut Vec<u8>) {
    out.extend([number << 3 | 2, text.len() as u8]);
    out.extend(text.as_bytes());
}

fn body(n: u64, k: &str, s: &str) -> Vec<u8> {
    let mut out = vec![0x08];
    let mut rest = n;
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    field(2, k, &mut out);
    field(3, s, &mut out);
    out
}

/// The log of one Kafka partition: gaps, hidden records, bad ones and tombstones among the good.
fn log(random: &mut Seeded, partition: i32, sent: &mut Sent) -> Vec<SimRecord> {
    let count = 10 + random.below(50);
    let mut offset = random.below(3) as i64 - 1;
    let mut all = Vec::new();
    for _ in 0..count {
        offset += 1 + i64::from(random.one_in(12)) * random.below(9) as i64;
        let (key, folder) = FOLDERS[random.below(FOLDERS.len() as u64) as usize];
        let text = format!("{partition}/{:x}", (offset as u64 + 7).wrapping_mul(0x9e37_79b9));
        let good = body(offset as u64, key, &text);
        // Ids 1 and 3 have the same columns, and share files.
        let id = 1 + random.below(3) as u32;
        let framed = |id: u32, body: &[u8]| [&[0], &id.to_be_bytes()[..], &[0], body].concat();
        let hidden = random.one_in(15);
        let (value, fate) = match random.below(25) {
            0 => (Some(framed(99, &good)), None),
            1 => (Some(framed(id, &good[..good.len() - 1])), None),
            2 => (Some(vec![7, 1, 2]), None),
            3 => (None, Some(Fate::Skip)),
            _ => (Some(framed(id, &good)), Some(Fate::Row { folder, text })),
        };
        let fate = fate.unwrap_or_else(|| Fate::Reject(value.clone().unwrap()));
        sent.insert((partition, offset), if hidden { Fate::Skip } else { fate });
        let timestamp_ms = 1_767_225_600_000 + offset;
        all.push(SimRecord { offset, timestamp_ms, value, hidden, ..SimRecord::default() });
    }
    all
}

thread_local! {
    static SCHEMAS: HashMap<SchemaRef, Arc<Schema>> = [(1, V1), (2, V2), (3, V1)]
        .map(|(id, text)| (SchemaRef::Id(id), super::schema(id, text)))
        .into();
}

fn trouble(random: &mut Seeded) -> Trouble {
    // Half of all worlds know a fault; how often it happens there differs by a factor of eight.
    let mut once_in = |events: u64| match random.below(2) {
        0 => 0,
        _ => events << random.below(4),
    };
    Trouble {
        crash: once_in(60),
        rebalance: once_in(60),
        registry: once_in(2),
        commit: once_in(2),
        lost: once_in(100),
        zombie: once_in(60),
        pause: once_in(60),
        storm: once_in(150),
        outage: once_in(150),
        expire: if once_in(1) % 4 == 1 { 400 } else { 0 },
        retention: if once_in(1) % 4 == 1 { 150 } else { 0 },
        clock: once_in(100),
        unfenced: once_in(1) > 0,
        lazy: true,
        thief: once_in(80),
        calm: true,
        until: 800 + once_in(100),
        ..Trouble::default()
    }
}

fn config(random: &mut Seeded) -> Config {
    let (rows, interval, rotate) =
        (3 + random.below(20), 1 + random.below(5), 2 + random.below(12));
    let compression = if random.one_in(20) { "gzip" } else { "none" };
    let lost = ["stop", "skip"][random.below(2) as usize];
    let text = format!(
        "pipeline: sim\nsource: {{ brokers: 'x:1', topics: [rows] }}\n\
         registry: {{ url: 'http://x', unknown_id_grace: 2s }}\n\
         partition_by: [k]\nsink: {{ url: 's3://bucket/root', compression: {compression} }}\n\
         commit: {{ interval: {interval}s, rows: {rows}, on_lost_offsets: {lost} }}\n\
         rotate: {{ rows: {rotate} }}\n"
    );
    Config::parse(&text, "sim.yaml", &config::Process).unwrap()
}

/// What a seed makes.
struct Made {
    random: Seeded,
    logs: BTreeMap<TopicPartition, Vec<SimRecord>>,
    sent: Sent,
    pipeline: config::Pipeline,
    trouble: Trouble,
}

fn made(seed: u64, partitions: u64) -> Made {
    let mut random = Seeded::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xfa17);
    let (mut sent, mut logs) = (Sent::new(), BTreeMap::new());
    for p in 0..1 + random.below(partitions) as i32 {
        logs.insert(TopicPartition::new("rows", p), log(&mut random, p, &mut sent));
    }
    let pipeline = config(&mut random).pipeline;
    let trouble = trouble(&mut random);
    Made { random, logs, sent, pipeline, trouble }
}

impl Made {
    /// Runs it to its end, somebody reading all the time.
    fn run(
        mut self,
        store: Store,
        memory: Option<Memory>,
        bucket: &impl Bucket,
        calm: impl FnOnce(),
    ) -> Result<Report, Wrong> {
        let (log, seed) = (std::mem::take(&mut self.logs), self.random.next_u64());
        let Made { sent, pipeline, trouble, .. } = &self;
        let schemas = SCHEMAS.with(Clone::clone);
        let world = World { log, schemas, subjects: BTreeMap::new(), store, memory };
        let partitioner = forebay::pipeline::partitioner(pipeline).unwrap();
        let cluster = Some("cluster".to_owned());
        let settings =
            Arc::new(forebay::pipeline::settings(pipeline, partitioner, 1 << 20, cluster));
        let mut run = Simulation::new(move |_| settings.clone(), world, *trouble, seed);
        let reader = match pipeline.commit.authority {
            config::Authority::Store => Reader::default(),
            config::Authority::Kafka => Reader::of_kafka(),
        };
        let (mut reader, mut found) = (reader, Ok(()));
        let report = run.run_watched(EVENTS_MAX, |run| {
            if found.is_ok() {
                found = reader.look(run, bucket, sent);
            }
        });
        found?;
        calm();
        reader.look(&run, bucket, sent)?;
        if !report.finished {
            let left = (run.committed(), run.stopped());
            return Err(format!("I10: not at the end: {left:?}, {report:?}, {trouble:?}"));
        }
        for stopped in &report.stopped {
            // An upload that a lifecycle rule aborted after the record, or a file that was moved away before
            // its owner heard that it is published: nothing can tell the two apart. Offsets that Kafka deleted.
            let known = (stopped.contains("FB0930") && trouble.expire + trouble.thief > 0)
                || (stopped.contains("FB0925")
                    && trouble.retention > 0
                    && !pipeline.commit.skip_lost_offsets);
            if !known {
                return Err(format!("I12: stopped: {stopped}"));
            }
        }
        reader.end(&run, sent)?;
        Ok(report)
    }
}

/// Runs the world of a seed over a store in memory.
pub(crate) fn run(seed: u64) -> Result<Report, Wrong> {
    let mut made = made(seed, 3);
    let random = &mut made.random;
    let mut once_in = |n: u64| if random.one_in(2) { 0 } else { n << random.below(3) };
    let chance = Chance { before_one_in: once_in(8), after_one_in: once_in(8) };
    let memory = Memory::new(random.next_u64(), 1 << 20, chance);
    memory.set_late(if random.one_in(2) { 0 } else { 5 });
    memory.set_stale(if random.one_in(2) { 0 } else { 2 });
    let report = made.run(Store::memory(memory.clone()), Some(memory.clone()), &memory, || {})?;
    if !memory.overwritten().is_empty() {
        return Err(format!("I2: overwritten: {:?}", memory.overwritten()));
    }
    Ok(report)
}

/// The same where the store writes over what is there, and Kafka decides.
fn run_under_kafka(seed: u64, unfenced: bool) -> Result<Report, Wrong> {
    let mut made = made(seed, 3);
    made.trouble.unfenced = unfenced;
    made.pipeline.commit.authority = config::Authority::Kafka;
    let random = &mut made.random;
    let mut once_in = |n: u64| if random.one_in(2) { 0 } else { n << random.below(3) };
    let chance = Chance { before_one_in: once_in(8), after_one_in: once_in(8) };
    made.trouble.commit = once_in(8);
    let memory = Memory::new(random.next_u64(), 1 << 20, chance);
    memory.set_unconditional();
    memory.set_late(if random.one_in(2) { 0 } else { 5 });
    memory.set_stale(if random.one_in(2) { 0 } else { 2 });
    made.run(Store::memory(memory.clone()), Some(memory.clone()), &memory, || {})
}

impl Bucket for Double {
    fn changes(&self) -> u64 {
        self.inner().seen.len() as u64
    }

    fn objects(&self) -> BTreeMap<String, Bytes> {
        let inner = self.inner();
        let below = |key: &String| Some(key.strip_prefix("root/")?.to_owned());
        inner.objects.iter().filter_map(|(key, o)| Some((below(key)?, o.bytes.clone()))).collect()
    }

    fn is_open(&self, upload_id: &str) -> bool {
        self.inner().uploads.contains_key(upload_id)
    }
}

/// Runs the world of a seed over the store's real S3 client and an S3 that lies. Its order is that of the seed
/// but for what the connections do to it.
fn run_over_s3(seed: u64, runtime: &tokio::runtime::Runtime) -> Result<Report, Wrong> {
    let made = made(seed, 2);
    let double = runtime.block_on(Double::start());
    double.inner().forgets_uploads = seed.is_multiple_of(2);
    double.lie(seed, 200, &LIES);
    let url = config::SinkUrl::S3 { bucket: "bucket".into(), prefix: "root".into() };
    let sink = crate::store_checks::sink(url, double.sink());
    let store = runtime.block_on(Store::open(&sink)).unwrap();
    let _entered = runtime.enter();
    made.run(store, None, &double, || double.calm())
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

/// Runs seeds on as many threads as there are; the first that breaks a promise, with it.
pub(crate) fn run_many(
    seeds: std::ops::Range<u64>,
    run: impl Fn(u64) -> Result<Report, Wrong> + Sync,
) -> (Reports, Option<(u64, Wrong)>) {
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new((Reports::new(), None::<(u64, Wrong)>));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let ended =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed)))
                            .unwrap_or_else(|_| Err("a panic".to_owned()));
                    let mut found = found.lock().unwrap();
                    match ended {
                        Ok(report) => found.0.push(report),
                        Err(wrong) => {
                            next.store(seeds.end, Ordering::Relaxed);
                            if found.1.as_ref().is_none_or(|(first, _)| seed < *first) {
                                found.1 = Some((seed, wrong));
                            }
                        }
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn whatever_happens_every_record_stands_once_at_every_moment() {
    if let Some(seed) = number("FOREBAY_SEED") {
        println!("{seed}: {:#?}", run(seed).unwrap_or_else(|wrong| panic!("{wrong}")));
        return;
    }
    let first = number("FOREBAY_SEED_FIRST").unwrap_or(0);
    let count = number("FOREBAY_SEEDS").unwrap_or(SEEDS);
    let clock = System::new();
    let (reports, wrong) = run_many(first..first + count, run);
    if let Some((seed, wrong)) = wrong {
        panic!("{wrong}\nFOREBAY_SEED={seed} cargo test --test hermetic simulation::faults");
    }
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let happened = [
        ("events", sum(|r| r.events)),
        ("deaths", sum(|r| r.crashes)),
        ("rebalances", sum(|r| r.rebalances)),
        ("losses", sum(|r| r.losses)),
        ("second owners", sum(|r| r.zombies)),
        ("pauses", sum(|r| r.pauses)),
        ("fenced", sum(|r| r.fenced)),
        ("rewinds", sum(|r| r.rewinds)),
        ("storms", sum(|r| r.storms)),
        ("outages", sum(|r| r.outages)),
        ("expiries", sum(|r| r.expiries)),
        ("thefts", sum(|r| r.thefts)),
        ("retentions", sum(|r| r.retentions)),
        ("out of range", sum(|r| r.out_of_range)),
        ("stopped", sum(|r| r.stopped.len() as u64)),
    ];
    println!("{} seeds in {} ms: {happened:?}", reports.len(), clock.now().mono_ms);
    for (what, times) in happened.iter().filter(|_| count >= SEEDS) {
        assert!(*times > 20, "the worlds were too calm: {times} {what}");
    }
}

/// Worlds in which Kafka decides.
const SEEDS_UNDER_KAFKA: u64 = 300;

#[test]
fn where_kafka_decides_every_record_stands_once_at_every_moment() {
    let first = number("FOREBAY_SEED_FIRST").unwrap_or(0);
    let (seed, count) =
        (number("FOREBAY_SEED"), number("FOREBAY_SEEDS").unwrap_or(SEEDS_UNDER_KAFKA));
    let seeds = seed.map_or(first..first + count, |seed| seed..seed + 1);
    let clock = System::new();
    let (reports, wrong) = run_many(seeds, |seed| run_under_kafka(seed, false));
    if let Some((seed, wrong)) = wrong {
        panic!(
            "{wrong}\nFOREBAY_SEED={seed} cargo test --test hermetic simulation::faults::where_kafka"
        );
    }
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let happened = [
        ("deaths", sum(|r| r.crashes)),
        ("second owners", sum(|r| r.zombies)),
        ("pauses", sum(|r| r.pauses)),
        ("fenced", sum(|r| r.fenced)),
    ];
    println!("{} seeds in {} ms: {happened:?}", reports.len(), clock.now().mono_ms);
    for (what, times) in happened.iter().filter(|_| count >= SEEDS_UNDER_KAFKA && seed.is_none()) {
        assert!(*times > 20, "the worlds were too calm: {times} {what}");
    }
}

#[test]
fn where_kafka_decides_and_hears_old_owners_the_reader_finds_it() {
    let (_, wrong) = run_many(0..200, |seed| run_under_kafka(seed, true));
    assert!(wrong.is_some(), "nobody was fenced, and nothing was found");
}

#[test]
fn a_seed_runs_the_same_event_by_event_each_time() {
    for seed in [3, 14, 15] {
        assert_eq!(run(seed), run(seed));
    }
}

/// Worlds over an S3 in another thread: each waits out what the store waits out.
const SEEDS_OVER_S3: u64 = 24;

#[test]
fn an_s3_that_lies_loses_and_doubles_nothing() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let first = number("FOREBAY_SEED_FIRST").unwrap_or(0);
    let (seed, count) = (number("FOREBAY_SEED"), number("FOREBAY_SEEDS").unwrap_or(SEEDS_OVER_S3));
    let seeds = seed.map_or(first..first + count, |seed| seed..seed + 1);
    let (reports, wrong) = run_many(seeds, |seed| run_over_s3(seed, &runtime));
    if let Some((seed, wrong)) = wrong {
        panic!("{wrong}\nFOREBAY_SEED={seed} cargo test --test hermetic simulation::faults::an_s3");
    }
    assert!(reports.iter().map(|r| r.crashes + r.zombies).sum::<u64>() > 20, "{reports:?}");
}
