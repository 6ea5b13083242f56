//! When commits seal, in simulated time: by the schedule of a time zone, by silence, by rows and bytes, at a
//! revoke and at a drain; and what goes on while a commit is published.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay::clock::{Now, Seeded};
use forebay::commit::record::{Kind, Record, parse_key};
use forebay::config::{self, Config};
use forebay::pipeline::simulated::{Report, SimRecord, Simulation, Trouble, WALL_MS, World};
use forebay::pipeline::task::{Action, Event, Task};
use forebay::position::{OffsetRange, TopicPartition};
use forebay::store::{Chance, Memory, Store};

use super::by_hand::{self, assigned, settle};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
/// How late a record or a seal can be in the simulation: a poll, a tick.
const LATE: i64 = 130;

fn config(commit: &str) -> Config {
    let text = format!(
        "pipeline: sim\nsource: {{ brokers: 'x:1', topics: [rows] }}\nvalue: {{ format: string }}\n\
         sink: {{ url: 's3://bucket/root' }}\ncommit: {{ {commit} }}\n"
    );
    Config::parse(&text, "sim.yaml", &config::Process).unwrap()
}

/// Records of one Kafka partition at these times, ms since the simulation's start.
fn live(commit: &str, times: &[i64], trouble: Trouble, seed: u64) -> (Memory, Report) {
    let log = times.iter().enumerate().map(|(offset, ms)| SimRecord {
        offset: offset as i64,
        timestamp_ms: WALL_MS + ms,
        value: Some(format!("v{offset}").into_bytes()),
        ..SimRecord::default()
    });
    let memory = Memory::new(seed, 1 << 20, Chance::default());
    let world = World {
        log: BTreeMap::from([(TopicPartition::new("rows", 0), log.collect())]),
        schemas: std::collections::HashMap::new(),
        subjects: BTreeMap::new(),
        store: Store::memory(memory.clone()),
        memory: Some(memory.clone()),
    };
    let pipeline = config(commit).pipeline;
    let settings_of = move |_| {
        let partitioner = forebay::pipeline::partitioner(&pipeline).unwrap();
        Arc::new(forebay::pipeline::settings(&pipeline, partitioner, 1 << 20, None))
    };
    let trouble = Trouble { live: true, ..trouble };
    let report = Simulation::new(settings_of, world, trouble, seed).run(3_000_000);
    assert!(report.finished && report.stopped.is_empty(), "seed {seed}: {report:?}");
    (memory, report)
}

/// The commits of the chain, in order.
fn commits(memory: &Memory) -> Vec<Record> {
    let objects = memory.objects();
    let records = objects.iter().filter(|(key, _)| parse_key(key).is_some());
    let records = records.map(|(_, bytes)| Record::parse(bytes).unwrap());
    records.filter(|r| r.kind == Kind::Commit).collect()
}

/// First and last time of each commit's records, from the simulation's start.
fn times(memory: &Memory) -> Vec<(i64, i64)> {
    let time = |r: &Record| Some((r.min_ms? - WALL_MS, r.max_ms? - WALL_MS));
    commits(memory).iter().filter_map(time).collect()
}

/// Every offset in one commit; files hold what their commit holds, and no other.
fn check(memory: &Memory, records: usize) {
    let mut to = 0;
    for commit in commits(memory) {
        assert_eq!(commit.from, to);
        to = commit.to;
        let rows: u64 = commit.files.iter().map(|f| f.about.rows).sum();
        assert_eq!(rows, (commit.to - commit.from) as u64);
        let inside = |f: &forebay::commit::record::File| {
            f.about.first >= commit.from && f.about.last < commit.to
        };
        assert!(commit.files.iter().all(inside), "a file outlives its commit");
    }
    assert_eq!(to, records as i64);
}

/// Times that rise by random steps below `step_max`.
fn steps(seed: u64, count: usize, step_max: u64) -> Vec<i64> {
    let mut random = Seeded::new(seed);
    let mut at = 0;
    let mut step = || {
        at += random.below(step_max) as i64;
        at
    };
    (0..count).map(|_| step()).collect()
}

#[test]
fn schedule_of_five_minutes_commits_each_stretch_by_itself() {
    for seed in 0..4 {
        let arrive = steps(seed, 300, 12_000);
        let (memory, _) = live("schedule: 5m", &arrive, Trouble::default(), seed);
        check(&memory, arrive.len());
        let times = times(&memory);
        for (first, last) in &times {
            let stretch = |ms: i64| ms.div_euclid(5 * MINUTE);
            // A record is taken a little after it came.
            assert_eq!(stretch(first + LATE.min(last - first)), stretch(*last), "{first} {last}");
        }
        let stretches = arrive.iter().map(|ms| ms / (5 * MINUTE));
        let stretches = stretches.collect::<std::collections::BTreeSet<_>>().len();
        assert!(times.len().abs_diff(stretches) <= 1, "{} of {stretches}", times.len());
    }
}

#[test]
fn schedule_counts_from_the_midnight_of_its_zone() {
    // 00:00 UTC is 05:45 in Kathmandu: seven minutes from its midnight end at 05:50, 05:57, …, so 5 minutes
    // after the start, 12, 19.
    let arrive: Vec<i64> = (1..200).map(|n| n * 6 * SECOND).collect();
    let commit = "schedule: 7m, timezone: Asia/Kathmandu";
    let (memory, _) = live(commit, &arrive, Trouble::default(), 1);
    check(&memory, arrive.len());
    let ends: Vec<i64> = times(&memory).iter().map(|(_, last)| last / MINUTE).collect();
    assert_eq!(ends, [4, 11, 18, 19]);
}

#[test]
fn schedule_with_an_interval_seals_at_whatever_comes_first() {
    let arrive: Vec<i64> = (1..100).map(|n| n * 6 * SECOND).collect();
    let (memory, _) = live("schedule: 5m, interval: 2m", &arrive, Trouble::default(), 1);
    check(&memory, arrive.len());
    let longest = times(&memory).iter().map(|(first, last)| last - first).max().unwrap();
    assert!(longest <= 2 * MINUTE + LATE, "{longest}");
    assert!(times(&memory).iter().all(|(a, b)| (a + LATE) / (5 * MINUTE) == b / (5 * MINUTE)));
}

#[test]
fn idle_partition_commits_and_a_busy_one_waits() {
    for seed in 0..4 {
        // Bursts of 20 records, with silences of 1 s to 60 s between them.
        let mut random = Seeded::new(seed);
        let (mut at, mut arrive) = (0, Vec::new());
        for _ in 0..20 {
            at += SECOND + random.below(59_000) as i64;
            for _ in 0..20 {
                at += random.below(400) as i64;
                arrive.push(at);
            }
        }
        let (memory, _) = live("interval: 1d, idle: 10s", &arrive, Trouble::default(), seed);
        check(&memory, arrive.len());
        let commits = commits(&memory);
        let inside = |to: i64| commits.iter().any(|c| c.from < to && to < c.to);
        for (i, pair) in arrive.windows(2).enumerate() {
            let (gap, to) = (pair[1] - pair[0], i as i64 + 1);
            if gap > 10 * SECOND + 2 * LATE {
                assert!(!inside(to), "seed {seed}: a silence of {gap} ms sealed nothing");
            } else if gap < 10 * SECOND - LATE {
                assert!(inside(to), "seed {seed}: sealed in a silence of {gap} ms");
            }
        }
    }
}

#[test]
fn schedule_and_idle_through_crashes_and_rebalances_every_record_once() {
    for seed in 0..10 {
        let arrive = steps(seed, 400, 2_000);
        let trouble = Trouble {
            crash: 2_000,
            rebalance: 900,
            lost: 3_000,
            zombie: 2_500,
            ..Trouble::default()
        };
        let (memory, report) = live("schedule: 1m, idle: 5s", &arrive, trouble, seed);
        check(&memory, arrive.len());
        assert_eq!(memory.overwritten(), Vec::<String>::new(), "seed {seed}");
        assert!(report.crashes + report.rebalances + report.losses > 0, "too calm");
    }
}

fn task(commit: &str) -> Task {
    by_hand::task(&config(commit).pipeline, "rows", 1)
}

fn records(count: usize) -> Event {
    let values: Vec<Vec<u8>> = (0..count).map(|n| vec![b'v'; 1 + n % 7]).collect();
    by_hand::records("rows", values.iter().map(|v| (None, v.as_slice())))
}

fn committed(seen: &[Action]) -> Vec<OffsetRange> {
    let range = |action: &Action| match action {
        Action::Committed { range, .. } => Some(*range),
        _ => None,
    };
    seen.iter().filter_map(range).collect()
}

fn at(wall_ms: i64, mono_ms: u64) -> Now {
    Now { wall_ms, mono_ms }
}

#[test]
fn wall_clock_set_back_or_forth_delays_no_commit() {
    // 00:04 UTC, with marks every five minutes.
    let start = WALL_MS + 4 * MINUTE;
    for (wall, mono, seals) in [
        (start + MINUTE - 1, 59_999, false),
        (start + MINUTE, 60_000, true),
        // An hour back: the steady clock says that the minute is over.
        (start - 60 * MINUTE, 59_999, false),
        (start - 59 * MINUTE, 60_000, true),
        // An hour forth: the mark is behind.
        (start + 60 * MINUTE, 1_000, true),
    ] {
        let mut task = task("schedule: 5m");
        settle(&mut task, assigned(None), at(start, 0));
        settle(&mut task, records(3), at(start, 0));
        assert_eq!(task.seals_at_ms(), Some(60_000));
        let seen = settle(&mut task, Event::Tick, at(wall, mono));
        let expected = if seals { vec![OffsetRange::new(0, 3)] } else { Vec::new() };
        assert_eq!(committed(&seen), expected, "wall {wall}, steady {mono}");
    }
}

#[test]
fn schedule_on_the_day_clocks_change_follows_the_local_time() {
    // Paris, 29 March 2026, 01:30 local: the clocks go from 02:00 to 03:00. Marks every three hours: 03:00 is
    // half an hour away, 06:00 then three hours more.
    let start = 1_774_744_200_000; // 2026-03-29T00:30:00Z
    let mut task = task("schedule: 3h, timezone: Europe/Paris");
    settle(&mut task, assigned(None), at(start, 0));
    settle(&mut task, records(2), at(start, 0));
    assert_eq!(task.seals_at_ms(), Some(30 * 60_000));
}

#[test]
fn idle_does_not_end_while_records_wait_for_their_schema() {
    let text = "pipeline: t\nsource: { brokers: 'x:1', topics: [rows] }\nregistry: { url: 'http://x' }\n\
                sink: { url: 's3://bucket/root' }\ncommit: { idle: 5s, interval: 1h }\n";
    let pipeline = Config::parse(text, "t.yaml", &config::Process).unwrap().pipeline;
    let mut task = by_hand::task(&pipeline, "rows", 1);
    settle(&mut task, assigned(None), at(0, 0));
    // The first record is refused at once, the second waits.
    let framed: &[u8] = &[0, 0, 0, 0, 1, 0, 8, 1];
    let two = [(None, &b"no frame"[..]), (None, framed)];
    let seen = settle(&mut task, by_hand::records("rows", two), at(0, 0));
    assert_eq!(by_hand::asked(&seen).len(), 1);
    assert_eq!(task.interval_records(), 1);
    for seconds in 1..60 {
        let seen = settle(&mut task, Event::Tick, at(seconds, seconds as u64 * 1_000));
        assert_eq!(committed(&seen), [], "after {seconds} s");
    }
}

#[test]
fn bytes_and_rows_seal_where_they_are_reached() {
    let mut task = task("interval: 1h, bytes: 1MiB");
    settle(&mut task, assigned(None), at(0, 0));
    let value = vec![b'x'; 300 << 10];
    let seen = settle(
        &mut task,
        by_hand::records("rows", (0..9).map(|_| (None, value.as_slice()))),
        at(1, 1),
    );
    // Four times 300 KiB are the first sum over 1 MiB.
    assert_eq!(committed(&seen), [OffsetRange::new(0, 4), OffsetRange::new(4, 8)]);
}

#[test]
fn next_range_is_consumed_while_the_last_is_published_and_recorded_only_after_it() {
    let mut task = task("interval: 1h, rows: 10");
    settle(&mut task, assigned(None), at(0, 0));
    // Everything is answered but publishing.
    let mut publishing = None;
    let mut puts = Vec::new();
    let mut events = std::collections::VecDeque::from([records(35)]);
    while let Some(event) = events.pop_front() {
        let mut out = Vec::new();
        task.step(event, at(1, 1), &mut out);
        for action in out {
            match &action {
                Action::Publish { ticket, .. } => {
                    assert_eq!(publishing.replace(*ticket), None, "two at a time");
                }
                Action::PutRecord { record, .. } => puts.push((record.from, record.to)),
                _ => {}
            }
            if !matches!(action, Action::Publish { .. }) {
                events.extend(by_hand::success(&action));
            }
        }
    }
    // Three commits are sealed, one of them recorded; the fourth is being read.
    assert_eq!((task.position(), task.committed()), (35, Some(10)));
    assert_eq!(puts, [(0, 10)]);
    let seen = settle(&mut task, Event::Published(publishing.unwrap()), at(2, 2));
    assert_eq!(
        committed(&seen),
        [(0, 10), (10, 20), (20, 30)].map(|(a, b)| OffsetRange::new(a, b))
    );
    assert_eq!(task.position(), 35);
}

#[test]
fn revoke_drain_and_drop_seal_what_they_should() {
    for (event, stop_at, expected) in [
        (Some(Event::Finish), None, vec![OffsetRange::new(0, 5)]),
        (None, Some(5), vec![OffsetRange::new(0, 5)]),
        (Some(Event::Drop), None, Vec::new()),
    ] {
        let mut task = task("interval: 1h, schedule: 1h, idle: 30m");
        settle(&mut task, assigned(stop_at), at(WALL_MS, 0));
        let mut seen = settle(&mut task, records(5), at(WALL_MS, 0));
        seen.extend(event.into_iter().flat_map(|e| settle(&mut task, e, at(WALL_MS, 1))));
        assert_eq!(committed(&seen), expected);
        assert_eq!(task.memory(), 0, "rows are still held");
    }
}
