//! The task of one Kafka partition, answered by hand: what a certain order of answers comes to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::time::Duration;

use bytes::Bytes;
use forebay::clock::{Now, System};
use forebay::commit::machine::Ticket;
use forebay::config::{self, Config};
use forebay::error::{Code, Fault, Kind};
use forebay::pipeline::effects::{Effects, Shared};
use forebay::pipeline::intake::Need;
use forebay::pipeline::lanes::Output;
use forebay::pipeline::task::{Action, Event, Task};
use forebay::position::{OffsetRange, TopicPartition};
use forebay::registry::compile::compile;
use forebay::registry::{self, Language, Lookup};
use forebay::store::{Chance, Memory, Store};
use forebay::wire::SchemaRef;

use super::by_hand::{self, assigned, settle};

static FAULT: Code = Code { id: "FB0998", kind: Kind::Halt, title: "t", help: "h" };
const ID: SchemaRef = SchemaRef::Id(1);

fn config(commit: &str) -> Config {
    let text = format!(
        "pipeline: t\nsource: {{ brokers: 'x:1', topics: [rows] }}\n\
         registry: {{ url: 'http://x', unknown_id_grace: 2s }}\n\
         sink: {{ url: 's3://bucket/root' }}\ncommit: {{ {commit} }}\n"
    );
    Config::parse(&text, "t.yaml", &config::Process).unwrap()
}

fn task(commit: &str, generation: u64) -> Task {
    by_hand::task(&config(commit).pipeline, "rows", generation)
}

fn records(count: i64) -> Event {
    let values: Vec<_> = (0..count).map(|n| [0, 0, 0, 0, 1, 0, 0x08, n as u8]).collect();
    by_hand::records("rows", values.iter().map(|value| (None, &value[..])))
}

fn known() -> registry::Found {
    let text = "syntax = \"proto3\"; message Row { int64 n = 1; }";
    Ok(Arc::new(compile(1, Language::Protobuf, text, &[]).unwrap()))
}

fn at(mono_ms: u64) -> Now {
    Now { wall_ms: mono_ms as i64, mono_ms }
}

#[test]
fn commit_rows_three_gives_commits_of_three_records() {
    let mut task = task("interval: 1h, rows: 3", 1);
    let mut seen = settle(&mut task, assigned(Some(11)), at(0));
    seen.extend(settle(&mut task, records(11), at(1)));
    seen.extend(settle(&mut task, Event::Schema(ID, known()), at(2)));
    let ranges: Vec<OffsetRange> = seen
        .iter()
        .filter_map(|a| match a {
            Action::Committed { range, files: 1 } => Some(*range),
            _ => None,
        })
        .collect();
    assert_eq!(ranges, [(0, 3), (3, 6), (6, 9), (9, 11)].map(|(a, b)| OffsetRange::new(a, b)));
    assert!(matches!(seen.last(), Some(Action::Finished)));
}

#[test]
fn registry_back_after_longer_than_the_grace_does_not_reject_at_its_first_answer() {
    let fault = || Fault::new(&FAULT, "x");
    let mut task = task("interval: 1h", 1);
    settle(&mut task, assigned(None), at(0));
    settle(&mut task, records(1), at(0));
    settle(&mut task, Event::Schema(ID, Err(Lookup::Unavailable(fault()))), at(60_000));
    let seen = settle(&mut task, Event::Schema(ID, Err(Lookup::Unknown(fault()))), at(60_100));
    assert!(seen.iter().any(|a| matches!(a, Action::Ask { .. })), "{seen:?}");
    assert_eq!(task.waits_for(), Some(&Need::Schema(ID)));
    settle(&mut task, Event::Schema(ID, known()), at(60_200));
    assert_eq!(task.waits_for(), None);
    assert_eq!(task.take_counters().rejects.len(), 0);
}

#[test]
fn unknown_for_the_whole_grace_is_a_reject() {
    let fault = || Fault::new(&FAULT, "x");
    let mut task = task("interval: 1h", 1);
    settle(&mut task, assigned(None), at(0));
    settle(&mut task, records(1), at(0));
    for now in [0, 1_000, 1_999] {
        settle(&mut task, Event::Schema(ID, Err(Lookup::Unknown(fault()))), at(now));
        assert_eq!(task.waits_for(), Some(&Need::Schema(ID)), "at {now}");
    }
    settle(&mut task, Event::Schema(ID, Err(Lookup::Unknown(fault()))), at(2_000));
    assert_eq!(task.take_counters().rejects.values().sum::<u64>(), 1);
    // Once the refusal has run out, one more "no" is enough.
    settle(&mut task, records(2), at(9_000));
    assert_eq!(task.waits_for(), Some(&Need::Schema(ID)));
    settle(&mut task, Event::Schema(ID, Err(Lookup::Unknown(fault()))), at(9_001));
    assert_eq!(task.take_counters().rejects.values().sum::<u64>(), 1);
}

#[test]
fn unusable_schema_waits_without_end_where_the_configuration_says_pause() {
    let fault = |text| Fault::new(&FAULT, text);
    let mut task = task("interval: 1h }\nrejects: { unusable_schema: pause", 1);
    settle(&mut task, assigned(None), at(0));
    settle(&mut task, records(3), at(0));
    // Far beyond the grace of 2 s, and whatever the answer says.
    for (now, answer) in (1..60).map(|n| (n * 1_000, if n % 7 < 3 { "40403" } else { "no such" })) {
        let answer = Event::Schema(ID, Err(Lookup::Unknown(fault(answer))));
        settle(&mut task, answer, at(now));
        settle(&mut task, Event::Tick, at(now + 1));
        assert_eq!(task.waits_for(), Some(&Need::Schema(ID)), "at {now}");
    }
    settle(&mut task, Event::Schema(ID, known()), at(61_000));
    assert_eq!(task.waits_for(), None);
    settle(&mut task, Event::Finish, at(61_001));
    let counters = task.take_counters();
    assert_eq!((counters.records, counters.rejects.len()), (3, 0));
    assert_eq!(task.committed(), Some(3));
}

/// A schema that gives no columns here: message index 3 of a file with one message.
#[test]
fn pause_on_a_schema_that_is_there_ends_when_the_registry_gives_another() {
    let fault = |text| Fault::new(&FAULT, text);
    let schema =
        |text| Event::Schema(ID, Ok(Arc::new(compile(1, Language::Protobuf, text, &[]).unwrap())));
    let mut task = task("interval: 1h", 1);
    settle(&mut task, assigned(None), at(0));
    let third = [0, 0, 0, 0, 1, 2, 6, 0x08, 7];
    settle(
        &mut task,
        by_hand::records("rows", std::iter::repeat_n((None, &third[..]), 150)),
        at(0),
    );
    let one = "syntax = \"proto3\"; message Row { int64 n = 1; }";
    let seen = settle(&mut task, schema(one), at(1));
    assert_eq!(task.take_counters().rejects.values().sum::<u64>(), 99);
    assert_eq!(task.waits_for(), Some(&Need::Schema(ID)));
    let anew = |seen: &[Action]| matches!(seen.last(), Some(Action::Ask { anew: true, .. }));
    assert!(anew(&seen), "what is remembered would never change: {seen:?}");
    // The same schema, none at all (it is being replaced), no answer: the pause goes on, and so do the questions.
    for (now, answer) in [
        (2, schema(one)),
        (10_000, Event::Schema(ID, Err(Lookup::Unknown(fault("40403"))))),
        (20_000, Event::Schema(ID, Err(Lookup::Bad(fault("does not compile"))))),
        (30_000, Event::Schema(ID, Err(Lookup::Unavailable(fault("down"))))),
        (40_000, schema(one)),
    ] {
        let seen = settle(&mut task, answer, at(now));
        assert!(anew(&seen), "at {now}: {seen:?}");
        assert_eq!(task.waits_for(), Some(&Need::Schema(ID)), "at {now}");
    }
    let four = "syntax = \"proto3\"; message A { int32 a = 1; } message B { int32 b = 1; } \
        message C { int32 c = 1; } message D { int64 n = 1; }";
    settle(&mut task, schema(four), at(50_000));
    assert_eq!(task.waits_for(), None);
    settle(&mut task, Event::Finish, at(50_001));
    let counters = task.take_counters();
    assert_eq!((counters.records, counters.rejects.len()), (51, 0));
    assert_eq!(task.committed(), Some(150));
}

#[test]
fn late_unknown_answer_leaves_a_known_schema_alone() {
    let mut task = task("interval: 1h", 1);
    settle(&mut task, assigned(None), at(0));
    settle(&mut task, records(1), at(0));
    settle(&mut task, Event::Schema(ID, known()), at(1));
    let late = Event::Schema(ID, Err(Lookup::Unknown(Fault::new(&FAULT, "x"))));
    assert!(settle(&mut task, late, at(2)).is_empty());
}

#[test]
fn refused_publish_of_an_earlier_assignment_stops_nothing() {
    let mut task = task("interval: 1h", 2);
    settle(&mut task, assigned(None), at(0));
    let late = Event::NotPublished(Ticket(1 << 32), Fault::new(&FAULT, "x"));
    assert!(settle(&mut task, late, at(1)).is_empty());
    assert!(task.wants_input());
}

/// Else each rebalance would leave one more question behind, and each answer asks the next one.
#[test]
fn question_of_an_assignment_that_is_over_is_not_answered() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let shared = Arc::new(Shared::new(Store::memory(Memory::new(1, 1, Chance::default()))));
    let server = runtime.block_on(registry::server::start("127.0.0.1:0")).unwrap();
    let mut config = config("interval: 1h").pipeline.registry;
    config.urls = vec![server.url.clone()];
    let registry = Arc::new(registry::Client::new(&config).unwrap());
    let (sender, answers) = channel();
    let sender = std::sync::Mutex::new(sender);
    let answer = Arc::new(move |_, _, event| sender.lock().unwrap().send(event).unwrap());
    let mut effects = Effects::new(runtime.handle().clone(), Some(registry), shared, answer);
    let tp = TopicPartition::new("rows", 0);
    let ask = |effects: &Effects, id, after_ms| {
        effects.ask(tp.clone(), SchemaRef::Id(id), after_ms, false);
    };
    effects.begin(&tp);
    ask(&effects, 1, 0);
    let first = answers.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(matches!(first, Event::Schema(SchemaRef::Id(1), Err(_))), "{first:?}");
    ask(&effects, 2, 200);
    effects.end(&tp);
    effects.begin(&tp);
    ask(&effects, 3, 400);
    let second = answers.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(matches!(second, Event::Schema(SchemaRef::Id(3), Err(_))), "{second:?}");
}

/// What is staged for a commit in doubt may be what a record names. After a later claim of the same chain it is published,
/// or nobody's; the chain of a topic that was made anew says nothing of that of the topic of before.
#[test]
fn files_of_a_commit_in_doubt_are_kept_until_the_next_claim() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let memory = Memory::new(1, 1 << 20, Chance::default());
    let store = Store::memory(memory.clone());
    let key = "rows/rows+0+00000000000000000100+0000000000001-0badcafe.parquet";
    let staged = runtime.block_on(async {
        let upload = store.begin(key).await.unwrap();
        store.finish(upload, Bytes::from_static(&[7; 100])).await.unwrap()
    });
    let shared = Arc::new(Shared::new(store));
    let (first, mut second) = {
        let new = || {
            let answer = Arc::new(|_, _, _| ());
            Effects::new(runtime.handle().clone(), None, shared.clone(), answer)
        };
        (new(), new())
    };
    let (tp, other) = (TopicPartition::new("rows", 0), TopicPartition::new("rows", 1));
    first.keep(&tp, vec![staged]);
    // The next assignment may be another worker's.
    second.claimed(other, 2, "0badcafe".to_owned());
    second.claimed(tp.clone(), 1, "00facade".to_owned());
    let clock = System::new();
    clock.block(Duration::from_millis(50));
    assert_eq!(memory.uploads().len(), 1);
    second.claimed(tp, 2, "0badcafe".to_owned());
    while !memory.uploads().is_empty() {
        assert!(clock.now().mono_ms < 30_000);
        clock.block(Duration::from_millis(5));
    }
}

#[test]
fn bytes_for_an_upload_that_failed_do_not_count_for_ever() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let memory = Memory::new(1, 1 << 20, Chance { before_one_in: 1, after_one_in: 0 });
    let shared = Arc::new(Shared::new(Store::memory(memory)));
    let registry =
        Arc::new(registry::Client::new(&config("interval: 1h").pipeline.registry).unwrap());
    let (sender, answers) = channel();
    let sender = std::sync::Mutex::new(sender);
    let answer = Arc::new(move |_, _, event| sender.lock().unwrap().send(event).unwrap());
    let mut effects =
        Effects::new(runtime.handle().clone(), Some(registry), shared.clone(), answer);
    let tp = TopicPartition::new("rows", 0);
    let part =
        || Output::Part { file: 1, key: "k.parquet".into(), bytes: Bytes::from_static(&[7; 100]) };
    effects.store(&tp, part());
    let answer = answers.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(matches!(answer, Event::Staged(1, Err(_))), "{answer:?}");
    assert_eq!(shared.uploading.load(Ordering::Relaxed), 0);
    effects.store(&tp, part());
    assert_eq!(shared.uploading.load(Ordering::Relaxed), 0);
}

/// The files that are closed by these actions.
fn closed(seen: &[Action]) -> Vec<u64> {
    let of = |action: &Action| match action {
        Action::Store(Output::End { file, .. }) => Some(*file),
        _ => None,
    };
    seen.iter().filter_map(of).collect()
}

#[test]
fn file_that_cannot_be_staged_now_is_read_again_and_stops_nothing() {
    use forebay::store::{CLOCK, CREDENTIALS, DISK, DISK_FULL, LOST, UNREACHABLE};
    // The codes of the store that say "goes on by itself", and an upload that a lifecycle rule aborted.
    for code in [&DISK_FULL, &DISK, &CREDENTIALS, &CLOCK, &UNREACHABLE, &LOST] {
        let mut task = task("interval: 1h", 1);
        settle(&mut task, assigned(None), at(0));
        settle(&mut task, records(3), at(0));
        settle(&mut task, Event::Schema(ID, known()), at(1));
        let mut out = Vec::new();
        task.step(Event::Tick, at(3_600_001), &mut out);
        let [file] = closed(&out)[..] else { panic!("{out:?}") };
        let seen =
            settle(&mut task, Event::Staged(file, Err(Fault::new(code, "x"))), at(3_600_002));
        let back = |a: &Action| matches!(a, Action::Seek { offset: 0, why: Some(_), .. });
        assert!(seen.iter().any(back), "{}: {seen:?}", code.id);
        assert!(!seen.iter().any(|a| matches!(a, Action::Stopped(_))), "{}: {seen:?}", code.id);
        settle(&mut task, records(3), at(3_600_003));
        settle(&mut task, Event::Finish, at(3_600_004));
        assert_eq!(task.committed(), Some(3), "{}", code.id);
    }
}

#[test]
fn file_that_is_refused_for_good_stops_the_kafka_partition() {
    let mut task = task("interval: 1h", 1);
    settle(&mut task, assigned(None), at(0));
    settle(&mut task, records(3), at(0));
    settle(&mut task, Event::Schema(ID, known()), at(1));
    let mut out = Vec::new();
    task.step(Event::Tick, at(3_600_001), &mut out);
    let [file] = closed(&out)[..] else { panic!("{out:?}") };
    let fault = Fault::new(&forebay::store::DENIED, "x");
    let seen = settle(&mut task, Event::Staged(file, Err(fault)), at(3_600_002));
    assert!(
        matches!(&seen[..], [.., Action::Stopped(fault)] if fault.code.id == "FB0703"),
        "{seen:?}"
    );
}
