//! The whole pipeline in one thread, in a world made from a seed: crashes, rebalances, a registry
//! and a store that fail, answers that are lost or late, offset commits that fail, two owners at once. Whatever
//! happens, every offset stands exactly once in the published files, or in a reject file.

pub(crate) mod faults;
pub(crate) mod reader;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use forebay::clock::{Seeded, System};
use forebay::commit::record::{Record, parse_key};
use forebay::config::{self, Config};
use forebay::pipeline::simulated::{Report, SimRecord, Simulation, Trouble, World};
use forebay::position::{Offset, TopicPartition};
use forebay::registry::compile::compile;
use forebay::registry::{Language, Schema};

use forebay::store::{Chance, Memory, Store};
use forebay::wire::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const V1: &str = "syntax = \"proto3\"; message Row { int64 n = 1; string k = 2; }";
const V2: &str =
    "syntax = \"proto3\"; message Row { int64 n = 1; string k = 2; string added = 3; }";
const STEPS_MAX: u64 = 2_000_000;

fn schema(id: u32, text: &str) -> Arc<Schema> {
    Arc::new(compile(id, Language::Protobuf, text, &[]).unwrap())
}

/// Protobuf by hand: tag 1 a varint, tag 2 a string.
fn body(n: u64, k: &str) -> Vec<u8> {
    let mut out = vec![0x08];
    let mut rest = n;
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out.extend([0x12, k.len() as u8]);
    out.extend(k.as_bytes());
    out
}

fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    out.extend(id.to_be_bytes());
    out.push(0);
    out.extend(body);
    out
}

/// What one record must come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Row,
    Reject,
    Skip,
}

struct Made {
    world: World,
    memory: Memory,
    fates: BTreeMap<(TopicPartition, Offset), Fate>,
    /// What was sent and must be in reject files byte by byte.
    refused: BTreeMap<(TopicPartition, Offset), Vec<u8>>,
}

fn make(seed: u64, records: u64, chance: Chance) -> Made {
    make_with_keys(seed, records, 0, chance)
}

/// `keys`: how many folders the rows go to; 0 for four with names that need care.
fn make_with_keys(seed: u64, records: u64, keys: u64, chance: Chance) -> Made {
    let mut random = Seeded::new(seed);
    let mut log = BTreeMap::new();
    let (mut fates, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for p in 0..3 {
        let tp = TopicPartition::new("rows", p);
        let mut offset = 0;
        let mut of_partition = Vec::new();
        for _ in 0..records {
            offset += 1 + i64::from(random.one_in(10)) * random.below(5) as i64;
            let key = match keys {
                0 => ["a", "b", "c d", "e/f"][random.below(4) as usize].to_string(),
                keys => format!("key {}", random.below(keys)),
            };
            let good = body(offset as u64, &key);
            // Ids 1 and 3 have the same columns, and share files.
            let id = 1 + random.below(3) as u32;
            let (value, fate) = match random.below(40) {
                0 => (Some(framed(99, &good)), Fate::Reject),
                1 => (Some(framed(id, &good[..good.len() - 1])), Fate::Reject),
                2 => (Some(vec![7, 1, 2]), Fate::Reject),
                3 => (None, Fate::Skip),
                _ => (Some(framed(id, &good)), Fate::Row),
            };
            fates.insert((tp.clone(), offset), fate);
            if let (Fate::Reject, Some(value)) = (fate, &value) {
                refused.insert((tp.clone(), offset), value.clone());
            }
            of_partition.push(SimRecord {
                offset,
                timestamp_ms: 1_767_225_600_000 + offset,
                value,
                ..SimRecord::default()
            });
        }
        log.insert(tp, of_partition);
    }
    let memory = Memory::new(seed ^ 0x5eed, 1 << 20, chance);
    let schemas = HashMap::from([
        (SchemaRef::Id(1), schema(1, V1)),
        (SchemaRef::Id(2), schema(2, V2)),
        (SchemaRef::Id(3), schema(3, V1)),
    ]);
    Made {
        world: World {
            log,
            schemas,
            subjects: std::collections::BTreeMap::new(),
            store: Store::memory(memory.clone()),
            memory: Some(memory.clone()),
        },
        memory,
        fates,
        refused,
    }
}

fn config(commit_rows: u64) -> Config {
    let text = format!(
        "pipeline: sim\nsource: {{ brokers: 'x:1', topics: [rows] }}\n\
         registry: {{ url: 'http://x', unknown_id_grace: 2s }}\n\
         partition_by: [k]\nsink: {{ url: 's3://bucket/root' }}\n\
         commit: {{ interval: 5s, rows: {commit_rows} }}\nrotate: {{ rows: 50 }}\n"
    );
    Config::parse(&text, "sim.yaml", &config::Process).unwrap()
}

fn simulate(made: Made, trouble: Trouble, seed: u64, commit_rows: u64) -> (Simulation, Report) {
    let pipeline = config(commit_rows).pipeline;
    let settings_of = move |_| {
        let partitioner = forebay::pipeline::partitioner(&pipeline).unwrap();
        let cluster = Some("cluster".to_owned());
        Arc::new(forebay::pipeline::settings(&pipeline, partitioner, 1 << 20, cluster))
    };
    let mut simulation = Simulation::new(settings_of, made.world, trouble, seed);
    let report = simulation.run(STEPS_MAX);
    (simulation, report)
}

/// How often each offset stands in the published files, by fate; rows must hold their offset as `n`.
fn published(objects: &BTreeMap<String, Bytes>) -> BTreeMap<(TopicPartition, Offset, Fate), u64> {
    let mut found = BTreeMap::new();
    for (key, bytes) in objects.iter().filter(|(key, _)| !key.starts_with("_forebay/")) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
        let footer: HashMap<String, String> = reader
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .unwrap()
            .iter()
            .map(|kv| (kv.key.clone(), kv.value.clone().unwrap_or_default()))
            .collect();
        let tp = TopicPartition::new("rows", footer["forebay.partition"].parse().unwrap());
        let (column, fate) = match footer["forebay.role"].as_str() {
            "data" => ("n", Fate::Row),
            _ => ("offset", Fate::Reject),
        };
        let mut offsets = Vec::new();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column = batch.column_by_name(column).unwrap();
            offsets.extend(
                arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(column)
                    .values()
                    .iter()
                    .copied(),
            );
        }
        assert!(offsets.is_sorted(), "{key}: offsets out of order");
        assert_eq!(footer["forebay.first_offset"], offsets[0].to_string(), "{key}");
        assert_eq!(footer["forebay.last_offset"], offsets[offsets.len() - 1].to_string(), "{key}");
        for offset in offsets {
            *found.entry((tp.clone(), offset, fate)).or_default() += 1;
        }
    }
    found
}

/// Every offset exactly once; the chains say so too, and name every file and no other one.
fn check(
    seed: u64,
    objects: &BTreeMap<String, Bytes>,
    memory: &Memory,
    fates: &BTreeMap<(TopicPartition, Offset), Fate>,
) {
    let found = published(objects);
    for ((tp, offset), fate) in fates.iter().filter(|(_, f)| **f != Fate::Skip) {
        let times = found.get(&(tp.clone(), *offset, *fate)).copied().unwrap_or(0);
        assert_eq!(times, 1, "seed {seed}: {tp} offset {offset} ({fate:?})");
    }
    let expected = fates.values().filter(|f| **f != Fate::Skip).count();
    assert_eq!(found.len(), expected, "seed {seed}: something is published that nobody sent");
    assert_eq!(memory.overwritten(), Vec::<String>::new(), "seed {seed}");
    check_chains(seed, objects);
}

fn check_chains(seed: u64, objects: &BTreeMap<String, Bytes>) {
    let mut named = BTreeSet::new();
    let mut before: Option<(String, Record)> = None;
    for (key, bytes) in objects.iter().filter(|(key, _)| key.starts_with("_forebay/sim/log/")) {
        let (chain, seq) = parse_key(key).unwrap();
        let record = Record::parse(bytes).unwrap();
        assert_eq!(record.seq, seq, "seed {seed}: {key}");
        match before.as_ref().filter(|(of, _)| of == chain) {
            Some((_, before)) => record.follows(before).unwrap(),
            None => assert_eq!(seq, 1, "seed {seed}: {key}"),
        }
        for file in &record.files {
            assert!(named.insert(file.key.clone()), "seed {seed}: {} is named twice", file.key);
            let bytes = &objects[&file.key];
            assert_eq!(bytes.len() as u64, file.bytes, "seed {seed}: {}", file.key);
            assert_eq!(crc32fast::hash(bytes), file.about.crc32, "seed {seed}: {}", file.key);
        }
        before = Some((chain.to_owned(), record));
    }
    let data: BTreeSet<String> =
        objects.keys().filter(|key| !key.starts_with("_forebay/")).cloned().collect();
    assert_eq!(data, named, "seed {seed}: what is visible is not what the chains name");
}

#[test]
fn calm_world_every_record_once() {
    for seed in 0..5 {
        let made = make(seed, 400, Chance::default());
        let (memory, fates) = (made.memory.clone(), made.fates.clone());
        let (_, report) = simulate(made, Trouble::default(), seed, 70);
        assert!(report.finished, "seed {seed}: {report:?}");
        check(seed, &memory.objects(), &memory, &fates);
    }
}

#[test]
fn rebalances_and_a_registry_away_every_record_once() {
    for seed in 0..20 {
        let made = make(seed, 300, Chance::default());
        let (memory, fates) = (made.memory.clone(), made.fates.clone());
        let trouble =
            Trouble { rebalance: 60, registry: 3, commit: 4, crash: 0, ..Trouble::default() };
        let (_, report) = simulate(made, trouble, seed, 40);
        assert!(report.finished, "seed {seed}: {report:?}");
        check(seed, &memory.objects(), &memory, &fates);
    }
}

/// Runs a seed in the worst of worlds; says what happened in it.
fn worst(seed: u64) -> Report {
    let made = make(seed, 200, Chance { before_one_in: 25, after_one_in: 40 });
    made.memory.set_late(6);
    let (memory, fates) = (made.memory.clone(), made.fates.clone());
    let trouble = Trouble {
        crash: 900,
        rebalance: 600,
        registry: 5,
        commit: 6,
        lost: 1_500,
        zombie: 700,
        until: 30_000,
        ..Trouble::default()
    };
    let (_, report) = simulate(made, trouble, seed, 60);
    assert!(report.finished && report.stopped.is_empty(), "seed {seed}: {report:?}");
    check(seed, &memory.objects(), &memory, &fates);
    report
}

/// Larger worlds than those of `faults`: few of them.
const LARGE: u64 = 12;

#[test]
fn crashes_two_owners_and_a_lying_store_every_record_once() {
    let clock = System::new();
    let (reports, wrong) = faults::run_many(0..LARGE, |seed| Ok(worst(seed)));
    assert_eq!(wrong, None);
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    println!(
        "{} seeds in {} ms: {} crashes, {} rebalances, {} losses, {} second owners, {} fenced, {} rewinds; every record once",
        reports.len(),
        clock.now().mono_ms,
        sum(|r| r.crashes),
        sum(|r| r.rebalances),
        sum(|r| r.losses),
        sum(|r| r.zombies),
        sum(|r| r.fenced),
        sum(|r| r.rewinds),
    );
    for (what, count) in [
        ("crashes", sum(|r| r.crashes)),
        ("rewinds", sum(|r| r.rewinds)),
        ("second owners", sum(|r| r.zombies)),
        ("fenced", sum(|r| r.fenced)),
    ] {
        assert!(count > 0, "the world was too calm: no {what}");
    }
}

#[test]
fn files_moved_downstream_never_come_back() {
    let mut thefts = 0;
    for seed in 0..10 {
        let made = make(seed, 300, Chance::default());
        let (memory, fates) = (made.memory.clone(), made.fates.clone());
        let trouble = Trouble { rebalance: 80, thief: 60, commit: 4, ..Trouble::default() };
        let (simulation, report) = simulate(made, trouble, seed, 40);
        assert!(report.finished && report.stopped.is_empty(), "seed {seed}: {report:?}");
        let mut all = memory.objects();
        for (key, bytes) in simulation.stolen() {
            let back = all.insert(key.clone(), bytes.clone());
            assert!(back.is_none(), "seed {seed}: {key} came back");
        }
        check(seed, &all, &memory, &fates);
        thefts += report.thefts;
    }
    assert!(thefts > 0, "nothing was moved");
}

#[test]
fn dead_owners_uploads_are_swept_under_the_next_claims() {
    let (mut left, mut crashes) = (0, 0);
    for seed in 0..10 {
        let made = make(seed, 300, Chance::default());
        let memory = made.memory.clone();
        let trouble = Trouble { crash: 200, ..Trouble::default() };
        let (_, report) = simulate(made, trouble, seed, 100);
        assert!(report.finished, "seed {seed}: {report:?}");
        crashes += report.crashes;
        left += memory.uploads().len();
    }
    // What the last owner of a run leaves is swept by the one after it.
    assert!(crashes > 50 && left < 10, "{left} uploads are left after {crashes} crashes");
}

#[test]
fn same_seed_same_run_event_by_event() {
    let run = || {
        let made = make(7, 200, Chance { before_one_in: 20, after_one_in: 20 });
        let memory = made.memory.clone();
        let trouble = Trouble {
            crash: 500,
            rebalance: 300,
            registry: 5,
            commit: 5,
            lost: 400,
            zombie: 400,
            share: 60_000,
            ..Trouble::default()
        };
        let (_, report) = simulate(made, trouble, 7, 50);
        (report, memory.objects())
    };
    let (first, second) = (run(), run());
    assert_eq!(first.0, second.0);
    assert!(first.1 == second.1, "the same seed published other bytes");
}

/// Values of the rejects in reject files, as they were sent.
fn refused(objects: &BTreeMap<String, Bytes>) -> BTreeMap<(TopicPartition, Offset), Vec<u8>> {
    use arrow::array::AsArray;
    use arrow::datatypes::{Int32Type, Int64Type};
    let mut found = BTreeMap::new();
    for bytes in objects.iter().filter(|(key, _)| key.contains("rejects")).map(|(_, bytes)| bytes) {
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap().build().unwrap();
        for batch in reader {
            let batch = batch.unwrap();
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            for row in 0..batch.num_rows() {
                let p = column("partition").as_primitive::<Int32Type>().value(row);
                let offset = column("offset").as_primitive::<Int64Type>().value(row);
                let value = column("value").as_binary::<i32>().value(row).to_vec();
                found.insert((TopicPartition::new("rows", p), offset), value);
            }
        }
    }
    found
}

#[test]
fn rejects_hold_the_bytes_that_were_sent() {
    for seed in 0..5 {
        let made = make(seed, 300, Chance::default());
        let (memory, expected) = (made.memory.clone(), made.refused.clone());
        let (_, report) =
            simulate(made, Trouble { rebalance: 100, ..Trouble::default() }, seed, 50);
        assert!(report.finished, "seed {seed}: {report:?}");
        assert!(!expected.is_empty() && refused(&memory.objects()) == expected, "seed {seed}");
    }
}

#[test]
fn many_keys_and_a_share_that_seals_early_every_record_once() {
    for seed in 0..3 {
        let made = make_with_keys(seed, 3_000, 700, Chance::default());
        let (memory, fates) = (made.memory.clone(), made.fates.clone());
        let trouble = Trouble { registry: 3, share: 400_000, ..Trouble::default() };
        let (_, report) = simulate(made, trouble, seed, 100_000);
        assert!(report.finished, "seed {seed}: {report:?}");
        check(seed, &memory.objects(), &memory, &fates);
    }
}
