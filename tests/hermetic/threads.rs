//! The production driver over a source that a test holds in its hands: what a late answer, a lost partition, or a
//! broker that says nothing come to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use forebay::clock::System;
use forebay::config::{self, Config};
use forebay::error::Fault;
use forebay::pipeline::effects::Shared;
use forebay::pipeline::threads::{self, Budget, Control, Ended, Run};
use forebay::pipeline::watch::Watch;
use forebay::position::{Offset, TopicPartition};
use forebay::record::{RecordBatch, TimestampType};
use forebay::registry::client::NewSchema;
use forebay::registry::{self, Language, server};
use forebay::source::codes;
use forebay::source::{Committed, Event, Source, StartAt, Starts, Ticket, Watermarks};
use forebay::store::{Chance, Memory, Store};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Only a test that hangs gets here.
const PATIENCE_MS: u64 = 60_000;

/// What the brokers would know and do.
#[derive(Default)]
struct Script {
    schema: u8,
    events: VecDeque<Event>,
    /// End of each log; offset and value are the same number.
    ends: BTreeMap<TopicPartition, Offset>,
    flowing: BTreeMap<TopicPartition, Offset>,
    committed: BTreeMap<TopicPartition, Offset>,
    /// What was committed with them, where it is asked for.
    texts: Option<BTreeMap<TopicPartition, (Offset, String)>>,
    starts_asked: u64,
    /// Answers are kept back while these are set.
    hold_starts: bool,
    hold_commits: bool,
    /// The coordinator takes no offsets from this member any more; how often it was asked since.
    refuse_commits: bool,
    refused: u64,
    held: Vec<Event>,
    released: Vec<TopicPartition>,
    /// Of the topic; it can become another one.
    topic_id: Option<String>,
    topics_asked: u64,
    /// How many Kafka partitions the topic has.
    partitions: Option<u32>,
    /// `source.start: latest`
    latest: bool,
    /// First offset of each log.
    low: Offset,
    /// Kafka partitions without a leader.
    leaderless: Vec<TopicPartition>,
    tickets: u64,
    polls: u64,
}

impl Script {
    fn answer(&mut self, hold: bool, event: Event) {
        if hold {
            self.held.push(event);
        } else {
            self.events.push_back(event);
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn batch(&self, tp: &TopicPartition, from: Offset) -> RecordBatch {
        let mut batch = RecordBatch::new(tp.clone(), from);
        for offset in from..self.ends[tp].min(from + 50) {
            let value = [0, 0, 0, 0, self.schema, 0, 0x08, offset as u8];
            let none = std::iter::empty();
            batch.push(offset, None, TimestampType::CreateTime, None, Some(&value), none);
        }
        batch
    }
}

struct Scripted(Arc<Mutex<Script>>);

impl Source for Scripted {
    fn poll(
        &mut self,
        _: Duration,
        room: &mut dyn FnMut(&TopicPartition) -> usize,
        out: &mut Vec<Event>,
    ) {
        System::new().block(Duration::from_millis(1));
        let mut script = self.0.lock().unwrap();
        script.polls += 1;
        out.extend(script.events.drain(..));
        let ready: Vec<_> = script.flowing.clone().into_iter().collect();
        for (tp, at) in ready {
            if at < script.ends[&tp] && room(&tp) > 0 {
                let batch = script.batch(&tp, at);
                script.flowing.insert(tp, batch.next);
                out.push(Event::Batch(batch));
            }
        }
    }

    fn resolve_start(&mut self, partitions: &[TopicPartition]) -> Result<Ticket, Fault> {
        let mut script = self.0.lock().unwrap();
        let ticket = script.ticket();
        script.starts_asked += 1;
        let starts: Starts = partitions
            .iter()
            .map(|tp| {
                if script.leaderless.contains(tp) {
                    let text = "offsets of kafka partition: leader not available";
                    return (tp.clone(), Err(Fault::new(&codes::BROKERS, text)));
                }
                let start = if script.latest { script.ends[tp] } else { 0 };
                let offset = script.committed.get(tp).copied().unwrap_or(start);
                let log = Watermarks { low: script.low, high: script.ends[tp] };
                let said = script.texts.as_ref().and_then(|texts| texts.get(tp)).cloned();
                let committed = said.map(|(offset, metadata)| Committed { offset, metadata });
                let why = "test".into();
                let topic_id = script.topic_id.clone();
                let partitions = script.partitions;
                (tp.clone(), Ok(StartAt { offset, why, log, committed, topic_id, partitions }))
            })
            .collect();
        let hold = script.hold_starts;
        script.answer(hold, Event::Starts(ticket, Ok(starts)));
        Ok(ticket)
    }

    fn start(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), Fault> {
        self.0.lock().unwrap().flowing.insert(partition.clone(), offset);
        Ok(())
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault> {
        let mut script = self.0.lock().unwrap();
        script.released.extend(partitions.iter().cloned());
        script.flowing.retain(|tp, _| !partitions.contains(tp));
        Ok(())
    }

    fn commit(&mut self, offsets: &[(TopicPartition, Offset, String)]) -> Result<Ticket, Fault> {
        let mut script = self.0.lock().unwrap();
        let ticket = script.ticket();
        if script.refuse_commits {
            script.refused += 1;
            let fault = Fault::new(&forebay::source::codes::COMMIT, "unknown member");
            script.events.push_back(Event::Committed(ticket, Err(fault)));
            return Ok(ticket);
        }
        let hold = script.hold_commits;
        if !hold {
            if let Some(texts) = &mut script.texts {
                texts.extend(offsets.iter().map(|(tp, o, text)| (tp.clone(), (*o, text.clone()))));
            }
            let offsets = offsets.iter().map(|(tp, offset, _)| (tp.clone(), *offset));
            script.committed.extend(offsets);
        }
        script.answer(hold, Event::Committed(ticket, Ok(())));
        Ok(ticket)
    }

    fn watermarks(&mut self, partition: &TopicPartition) -> Result<Watermarks, Fault> {
        Ok(Watermarks { low: 0, high: self.0.lock().unwrap().ends[partition] })
    }

    fn end(&self, partition: &TopicPartition) -> Option<Offset> {
        self.0.lock().unwrap().ends.get(partition).copied()
    }

    fn ends(&self, each: &mut dyn FnMut(&TopicPartition, Offset)) {
        self.0.lock().unwrap().ends.iter().for_each(|(tp, end)| each(tp, *end));
    }

    fn topic_ids(&mut self, topics: &[Arc<str>]) -> Result<Vec<Option<String>>, Fault> {
        Ok(vec![None; topics.len()])
    }

    fn ask_topic_ids(&mut self, topics: &[Arc<str>]) -> Result<Ticket, Fault> {
        let mut script = self.0.lock().unwrap();
        script.topics_asked += 1;
        let (ticket, id) = (script.ticket(), script.topic_id.clone());
        let ids = topics.iter().map(|topic| (topic.clone(), id.clone())).collect();
        script.answer(false, Event::TopicIds(ticket, Ok(ids)));
        Ok(ticket)
    }

    fn cluster_id(&mut self) -> Option<String> {
        None
    }

    fn close(&mut self) {}
}

/// A run on a thread of its own, and the hands that hold its world.
struct Rig {
    script: Arc<Mutex<Script>>,
    store: Memory,
    control: Arc<Control>,
    run: Option<std::thread::JoinHandle<Ended>>,
    _registry: server::Handle,
    _runtime: tokio::runtime::Runtime,
}

impl Rig {
    fn new(ends: &[Offset]) -> Self {
        Self::running(ends, "", false)
    }

    /// With more of the section `commit`.
    fn with(ends: &[Offset], commit: &str) -> Self {
        Self::running(ends, commit, false)
    }

    fn running(ends: &[Offset], commit: &str, drain: bool) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let registry = runtime.block_on(server::start("127.0.0.1:0")).unwrap();
        let interval = if commit.contains("interval:") { "" } else { "interval: 1s" };
        let text = format!(
            "pipeline: t\nsource: {{ brokers: 'x:1', topics: [rows] }}\nregistry: {{ url: '{}' }}\n\
             sink: {{ url: 's3://bucket/root' }}\ncommit: {{ {interval}{commit} }}\n",
            registry.url
        );
        let config = Config::parse(&text, "t.yaml", &config::Process).unwrap();
        let client = Arc::new(registry::Client::new(&config.pipeline.registry).unwrap());
        let new = NewSchema {
            language: Language::Protobuf,
            text: "syntax = \"proto3\"; message Row { int64 n = 1; }".to_owned(),
            references: Vec::new(),
        };
        let (id, _) = runtime.block_on(client.register("rows-value", &new)).unwrap();
        let ends = (0..).zip(ends).map(|(p, end)| (tp(p), *end)).collect();
        let schema = id as u8;
        let script = Arc::new(Mutex::new(Script { schema, ends, ..Script::default() }));
        let store = Memory::new(1, 1_000, Chance::default());
        let control = Arc::new(Control::default());
        let clock = System::new();
        let partitioner = forebay::pipeline::partitioner(&config.pipeline).unwrap();
        let run = Run {
            source: Scripted(script.clone()),
            settings: Arc::new(forebay::pipeline::settings(
                &config.pipeline,
                partitioner,
                1_000,
                None,
            )),
            registry: Some(client),
            shared: Arc::new(Shared::new(Store::memory(store.clone()))),
            runtime: runtime.handle().clone(),
            control: control.clone(),
            watch: Arc::new(Watch::new(clock)),
            clock,
            workers: 2,
            memory: Budget::of(64 << 20),
            drain,
            shutdown_timeout: Duration::from_secs(25),
            topics_every: Duration::from_millis(20),
        };
        let run = Some(std::thread::spawn(move || threads::run(run)));
        Self { script, store, control, run, _registry: registry, _runtime: runtime }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    fn happens(&self, event: Event) {
        self.script().events.push_back(event);
    }

    fn until(&self, what: &str, done: impl Fn(&Script) -> bool) {
        let clock = System::new();
        while !done(&self.script()) {
            assert!(clock.now().mono_ms < PATIENCE_MS, "{what}: not reached");
            clock.block(Duration::from_millis(5));
        }
    }

    fn leave(mut self) -> Ended {
        self.control.leave();
        self.run.take().unwrap().join().unwrap()
    }

    fn rows(&self) -> Vec<i64> {
        let mut rows: Vec<i64> = Vec::new();
        for (key, bytes) in self.store.objects() {
            if key.starts_with("_forebay/") {
                continue;
            }
            assert!(key.starts_with("rows/"), "{key}");
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
            for batch in reader {
                let batch = batch.unwrap();
                rows.extend(batch.column(0).as_primitive::<Int64Type>().values());
            }
        }
        rows.sort_unstable();
        rows
    }
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("rows", partition)
}

#[test]
fn brokers_that_do_not_answer_hold_nothing_else_up() {
    let rig = Rig::new(&[100, 100]);
    rig.script().hold_commits = true;
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| !s.held.is_empty());
    // Nobody answers the commit, nor where the second partition starts: the first one flows on.
    rig.script().hold_starts = true;
    rig.happens(Event::Assigned(vec![tp(1)]));
    rig.until("the second question", |s| s.held.len() >= 2);
    let polls = rig.script().polls;
    rig.script().ends.insert(tp(0), 120);
    rig.until("the rest of the first", |s| s.flowing[&tp(0)] == 120 && s.polls > polls + 50);
    assert!(!rig.script().flowing.contains_key(&tp(1)));
    {
        let mut script = rig.script();
        (script.hold_commits, script.hold_starts) = (false, false);
        script.committed.insert(tp(0), 100);
        let held = std::mem::take(&mut script.held);
        script.events.extend(held);
    }
    rig.until("everything", |s| {
        s.committed.get(&tp(0)) == Some(&120) && s.committed.get(&tp(1)) == Some(&100)
    });
    let mut expected: Vec<i64> = (0..120).chain(0..100).collect();
    expected.sort_unstable();
    assert_eq!(rig.rows(), expected);
    let ended = rig.leave();
    assert!(ended.stopped.is_empty() && ended.fatal.is_none() && !ended.dropped);
}

#[test]
fn start_answered_after_a_loss_is_not_taken() {
    let rig = Rig::new(&[100]);
    rig.script().hold_starts = true;
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("the first question", |s| s.held.len() == 1);
    // Lost, read by another member up to 60, and ours again.
    rig.happens(Event::Lost(vec![tp(0)]));
    rig.script().committed.insert(tp(0), 60);
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("the second question", |s| s.held.len() == 2);
    let polls = {
        let mut script = rig.script();
        let first = script.held.remove(0); // start at 0
        script.events.push_back(first);
        script.polls
    };
    rig.until("a while", |s| s.polls > polls + 50);
    assert!(rig.script().flowing.is_empty(), "the answer of before the loss was taken");
    {
        let mut script = rig.script();
        let second = script.held.remove(0);
        script.events.push_back(second);
    }
    rig.until("everything", |s| s.committed[&tp(0)] == 100);
    assert_eq!(rig.rows(), (60..100).collect::<Vec<_>>());
    assert!(rig.leave().stopped.is_empty());
}

#[test]
fn commit_answered_after_a_loss_is_nobodys() {
    let rig = Rig::new(&[100]);
    rig.script().hold_commits = true;
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| s.held.len() == 1);
    rig.script().flowing.clear();
    rig.happens(Event::Lost(vec![tp(0)]));
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("the same again", |s| s.flowing.get(&tp(0)) == Some(&100) && s.held.len() == 2);
    // The answer to the first commit must not count for the second assignment's, whose number may be the same.
    let polls = {
        let mut script = rig.script();
        let first = script.held.remove(0);
        script.events.push_back(first);
        script.polls
    };
    rig.until("a while", |s| s.polls > polls + 50);
    rig.happens(Event::Revoked(vec![tp(0)]));
    rig.until("another while", |s| s.polls > polls + 100);
    assert_eq!(rig.script().released, [], "given back before its commit was answered");
    {
        let mut script = rig.script();
        script.committed.insert(tp(0), 100);
        let held = std::mem::take(&mut script.held);
        script.events.extend(held);
    }
    rig.until("the release", |s| s.released == [tp(0)]);
    assert!(rig.leave().stopped.is_empty());
}

/// A session that timed out takes everything from a drain, and it is not over then: the group deals anew.
#[test]
fn drain_that_loses_its_partitions_waits_for_the_next_assignment() {
    let mut rig = Rig::running(&[100], "", true);
    rig.script().hold_commits = true; // not drained before it is lost
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| !s.held.is_empty());
    rig.script().flowing.clear();
    rig.happens(Event::Lost(vec![tp(0)]));
    rig.script().hold_commits = false;
    let polls = rig.script().polls;
    rig.until("a while, or the end", |s| {
        s.polls > polls + 100 || rig.run.as_ref().is_none_or(|run| run.is_finished())
    });
    rig.script().ends.insert(tp(0), 120);
    rig.happens(Event::Assigned(vec![tp(0)]));
    let ended = rig.run.take().unwrap().join().unwrap();
    assert!(ended.stopped.is_empty() && ended.fatal.is_none() && !ended.dropped);
    assert_eq!(rig.script().committed.get(&tp(0)), Some(&120));
    assert_eq!(rig.rows(), (0..120).collect::<Vec<_>>());
}

/// The end of the log is asked before the chain is read: an owner that is not known to be gone may commit in between.
#[test]
fn chain_past_the_end_that_was_asked_before_it_is_asked_again() {
    let rig = Rig::new(&[100]);
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&100));
    {
        let mut script = rig.script();
        script.flowing.clear();
        script.ends.insert(tp(0), 90);
        script.events.extend([Event::Lost(vec![tp(0)]), Event::Assigned(vec![tp(0)])]);
    }
    let asked = rig.script().tickets;
    rig.until("the old end", |s| s.tickets > asked);
    let polls = rig.script().polls;
    rig.until("a while", |s| s.polls > polls + 50);
    rig.script().ends.insert(tp(0), 120);
    rig.until("the rest", |s| s.committed.get(&tp(0)) == Some(&120));
    assert_eq!(rig.rows(), (0..120).collect::<Vec<_>>());
    assert!(rig.leave().stopped.is_empty());
}

/// As above, where the end of the log would be believed in the end: not before it was asked as often.
#[test]
fn chain_is_not_set_back_to_an_end_that_was_asked_before_it_was_read() {
    let rig = Rig::with(&[100], ", on_truncated_log: reset");
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&100));
    {
        let mut script = rig.script();
        script.flowing.clear();
        script.ends.insert(tp(0), 90);
        script.events.extend([Event::Lost(vec![tp(0)]), Event::Assigned(vec![tp(0)])]);
    }
    let asked = rig.script().tickets;
    rig.until("the old end", |s| s.tickets > asked);
    let polls = rig.script().polls;
    rig.until("a while", |s| s.polls > polls + 50);
    rig.script().ends.insert(tp(0), 120);
    rig.until("the rest", |s| s.committed.get(&tp(0)) == Some(&120));
    assert_eq!(rig.rows(), (0..120).collect::<Vec<_>>());
    assert!(rig.leave().stopped.is_empty());
}

#[test]
fn chain_is_set_back_to_an_end_that_stays() {
    let rig = Rig::with(&[100], ", on_truncated_log: reset");
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&100));
    {
        let mut script = rig.script();
        script.flowing.clear();
        script.ends.insert(tp(0), 90);
        script.events.extend([Event::Lost(vec![tp(0)]), Event::Assigned(vec![tp(0)])]);
    }
    rig.until("the end of the log", |s| s.flowing.get(&tp(0)) == Some(&90));
    rig.script().ends.insert(tp(0), 95);
    rig.until("the rest", |s| s.committed.get(&tp(0)) == Some(&95));
    let mut expected: Vec<i64> = (0..100).chain(90..95).collect();
    expected.sort_unstable();
    assert_eq!(rig.rows(), expected);
    assert!(rig.leave().stopped.is_empty());
}

/// Retention can pass a position at any time.
#[test]
fn offsets_lost_during_the_run_are_skipped_where_the_configuration_says_so() {
    let rig = Rig::with(&[60], ", on_lost_offsets: skip");
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&60));
    let gone = || {
        let text = "kafka partition `rows-0`: offset reset (kafka error -140); stopped";
        Event::Stopped(tp(0), Fault::new(&codes::POSITION_RANGE, text))
    };
    {
        let mut script = rig.script();
        script.low = 80;
        script.flowing.clear();
        script.ends.insert(tp(0), 100);
        script.events.push_back(gone());
    }
    rig.until("the rest", |s| s.committed.get(&tp(0)) == Some(&100));
    let expected: Vec<i64> = (0..60).chain(80..100).collect();
    assert_eq!(rig.rows(), expected);
    // A log that has the position, and is said not to have it, is asked again so often and no more.
    for _ in 0..4 {
        let asked = rig.script().tickets;
        rig.script().flowing.clear();
        rig.happens(gone());
        rig.until("a question, and the answer", |s| s.tickets > asked && s.flowing.len() == 1);
    }
    rig.happens(gone());
    let polls = rig.script().polls;
    rig.until("a while", |s| s.polls > polls + 50);
    let ended = rig.leave();
    let stopped: Vec<_> = ended.stopped.iter().map(|(tp, f)| (tp.partition, f.code.id)).collect();
    assert_eq!(stopped, [(0, "FB0508")]);
}

/// Where the position is no more, the end of the log may have fallen behind it: what was read then may be of no log that
/// there is, and is read again.
#[test]
fn rows_in_hand_of_a_log_that_was_cut_are_not_committed() {
    let rig = Rig::with(&[60], ", on_lost_offsets: skip");
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("records", |s| s.flowing.get(&tp(0)) == Some(&60));
    {
        let mut script = rig.script();
        script.flowing.clear();
        script.ends.insert(tp(0), 40);
        let gone = Fault::new(&codes::POSITION_RANGE, "gone");
        script.events.push_back(Event::Stopped(tp(0), gone));
    }
    rig.until("the log from its start", |s| s.flowing.get(&tp(0)) == Some(&40));
    rig.script().ends.insert(tp(0), 100);
    rig.until("the rest", |s| s.committed.get(&tp(0)) == Some(&100));
    assert_eq!(rig.rows(), (0..100).collect::<Vec<_>>());
    assert!(rig.leave().stopped.is_empty());
}

/// What was asked for an earlier assignment says nothing of the log of a later one.
#[test]
fn end_of_the_log_is_asked_as_often_again_after_a_loss() {
    let rig = Rig::with(&[100], ", on_truncated_log: reset");
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&100));
    let asked = rig.script().starts_asked;
    let again = || {
        let mut script = rig.script();
        script.flowing.clear();
        script.ends.insert(tp(0), 90);
        script.events.extend([Event::Lost(vec![tp(0)]), Event::Assigned(vec![tp(0)])]);
    };
    again();
    rig.until("four questions", |s| s.starts_asked == asked + 4);
    let polls = rig.script().polls;
    rig.until("their answer", |s| s.polls > polls + 100);
    again();
    rig.until("a fifth", |s| s.starts_asked == asked + 5);
    let polls = rig.script().polls;
    rig.until("a while", |s| s.polls > polls + 100);
    rig.script().ends.insert(tp(0), 120);
    rig.until("the rest", |s| s.committed.get(&tp(0)) == Some(&120));
    assert_eq!(rig.rows(), (0..120).collect::<Vec<_>>());
    assert!(rig.leave().stopped.is_empty());
}

/// A coordinator that was away for a moment is no second pipeline: nobody waits for an interval.
#[test]
fn partition_whose_claim_kafka_did_not_answer_is_claimed_again_soon() {
    let rig = Rig::with(&[30], "interval: 1h, rows: 30, authority: kafka");
    {
        let mut script = rig.script();
        script.texts = Some(BTreeMap::new());
        script.topic_id = Some("an-id-of-the-topic-0000".to_owned());
        script.refuse_commits = true;
        script.events.push_back(Event::Assigned(vec![tp(0)]));
    }
    rig.until("three refusals", |s| s.refused >= 3);
    rig.script().refuse_commits = false;
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&30));
    // Where Kafka decides, files are published after it has the offset.
    rig.until("files", |_| !rig.rows().is_empty());
    assert_eq!(rig.rows(), (0..30).collect::<Vec<_>>());
    assert!(rig.leave().stopped.is_empty());
}

/// Brokers between two controllers name no topic's id.
#[test]
fn topic_without_an_id_for_a_moment_is_no_topic_of_old_brokers() {
    let rig = Rig::with(&[30], "interval: 1h, rows: 30, authority: kafka");
    {
        let mut script = rig.script();
        script.texts = Some(BTreeMap::new());
        script.events.push_back(Event::Assigned(vec![tp(0)]));
    }
    rig.until("two questions", |s| s.starts_asked >= 2);
    rig.script().topic_id = Some("an-id-of-the-topic-0000".to_owned());
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&30));
    assert!(rig.leave().stopped.is_empty());
    let old = Rig::with(&[30], "interval: 1h, rows: 30, authority: kafka");
    old.happens(Event::Assigned(vec![tp(0)]));
    old.until("all questions", |s| s.starts_asked >= 5);
    let polls = old.script().polls;
    old.until("a while", |s| s.polls > polls + 100);
    assert_eq!(old.leave().stopped.len(), 1);
}

#[test]
fn offsets_lost_during_the_run_stop_their_partition_where_the_configuration_says_nothing() {
    let rig = Rig::new(&[60]);
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&60));
    rig.happens(Event::Stopped(tp(0), Fault::new(&codes::POSITION_RANGE, "gone")));
    let polls = rig.script().polls;
    rig.until("a while", |s| s.polls > polls + 20);
    assert_eq!(rig.leave().stopped.len(), 1);
}

/// A broker that restarts leaves its partitions without a leader for a while.
#[test]
fn partition_without_a_leader_is_asked_again_and_holds_no_other_up() {
    let rig = Rig::new(&[30, 40]);
    rig.script().leaderless = vec![tp(1)];
    rig.happens(Event::Assigned(vec![tp(0), tp(1)]));
    rig.until("the other one", |s| s.committed.get(&tp(0)) == Some(&30));
    let asked = rig.script().tickets;
    rig.until("more questions", |s| s.tickets > asked + 1);
    assert!(!rig.script().flowing.contains_key(&tp(1)));
    rig.script().leaderless.clear();
    rig.until("the one with a leader again", |s| s.committed.get(&tp(1)) == Some(&40));
    assert!(rig.leave().stopped.is_empty());
}

/// The client refuses an assignment: nothing is wrong with the partition.
#[test]
fn partition_whose_stop_passes_is_started_again() {
    let rig = Rig::new(&[30]);
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&30));
    rig.script().flowing.clear();
    rig.script().ends.insert(tp(0), 50);
    rig.happens(Event::Stopped(tp(0), Fault::new(&codes::BROKERS, "no thread")));
    rig.until("the rest", |s| s.committed.get(&tp(0)) == Some(&50));
    assert_eq!(rig.rows(), (0..50).collect::<Vec<_>>());
    assert!(rig.leave().stopped.is_empty());
}

/// The run ends well if all that was stopped has recovered.
#[test]
fn partition_that_comes_again_after_a_stop_is_not_stopped_in_the_end() {
    let rig = Rig::new(&[30]);
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&30));
    {
        let mut script = rig.script();
        script.flowing.clear();
        script.ends.insert(tp(0), 50);
        let stop = Event::Stopped(tp(0), Fault::new(&codes::PARTITION, "refused"));
        script.events.extend([stop, Event::Lost(vec![tp(0)]), Event::Assigned(vec![tp(0)])]);
    }
    rig.until("the rest", |s| s.committed.get(&tp(0)) == Some(&50));
    assert!(rig.leave().stopped.is_empty());
}

/// A member that the group has given up gets no offset through, and no partitions anew before it has given the old
/// ones back. Its commits stand in the chain.
#[test]
fn revoked_partition_whose_offset_is_refused_is_given_back_soon() {
    let rig = Rig::new(&[30]);
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("a commit", |s| s.committed.get(&tp(0)) == Some(&30));
    rig.script().refuse_commits = true;
    rig.script().ends.insert(tp(0), 50);
    rig.until("the rest read", |s| s.flowing[&tp(0)] == 50);
    rig.happens(Event::Revoked(vec![tp(0)]));
    rig.until("the release", |s| s.released == [tp(0)]);
    let refused = rig.script().refused;
    assert!(refused <= 4, "asked {refused} times, once a second");
    assert!(!rig.leave().dropped);
}

#[test]
fn revoked_partition_is_committed_before_it_is_given_back_and_others_flow_on() {
    let rig = Rig::new(&[30, 40]);
    rig.happens(Event::Assigned(vec![tp(0), tp(1)]));
    rig.until("both committed", |s| {
        s.committed.get(&tp(0)) == Some(&30) && s.committed.get(&tp(1)) == Some(&40)
    });
    // The schema is known by now: what is read is decoded at once, and not left to the next owner.
    rig.script().ends.insert(tp(0), 50);
    rig.until("the rest read", |s| s.flowing[&tp(0)] == 50);
    rig.happens(Event::Revoked(vec![tp(0)]));
    rig.until("the release", |s| s.released == [tp(0)]);
    assert_eq!(rig.script().committed[&tp(0)], 50);
    rig.script().ends.insert(tp(1), 70);
    rig.until("the other", |s| s.committed.get(&tp(1)) == Some(&70));
    let mut expected: Vec<i64> = (0..50).chain(0..70).collect();
    expected.sort_unstable();
    assert_eq!(rig.rows(), expected);
    assert!(rig.leave().stopped.is_empty());
}

#[test]
fn topic_made_anew_during_the_run_stops_its_partitions() {
    let rig = Rig::new(&[30, 40]);
    rig.script().topic_id = Some("first".into());
    rig.happens(Event::Assigned(vec![tp(0), tp(1)]));
    rig.until("both committed", |s| {
        s.committed.get(&tp(0)) == Some(&30) && s.committed.get(&tp(1)) == Some(&40)
    });
    // Asked again and again, and nothing comes of it.
    let asked = rig.script().topics_asked;
    rig.until("more questions", |s| s.topics_asked > asked + 3);
    assert_eq!(rig.script().released, []);
    rig.script().topic_id = None; // brokers that say nothing
    let asked = rig.script().topics_asked;
    rig.until("more questions", |s| s.topics_asked > asked + 3);
    assert_eq!(rig.script().released, []);
    rig.script().topic_id = Some("second".into());
    rig.until("both stopped", |s| s.released.len() == 2);
    let files = rig.store.objects().len();
    rig.script().ends.insert(tp(0), 60);
    let polls = rig.script().polls;
    rig.until("a while", |s| s.polls > polls + 50);
    assert_eq!(rig.store.objects().len(), files, "records of the new topic under the old chain");
    let ended = rig.leave();
    let mut stopped: Vec<_> =
        ended.stopped.iter().map(|(tp, f)| (tp.partition, f.code.id)).collect();
    stopped.sort_unstable();
    assert_eq!(stopped, [(0, "FB0927"), (1, "FB0927")]);
}

#[test]
fn topic_made_anew_during_the_run_begins_a_new_chain_where_the_configuration_says_so() {
    let rig = Rig::with(&[30], ", on_recreated_topic: restart");
    rig.script().topic_id = Some("first".into());
    rig.happens(Event::Assigned(vec![tp(0)]));
    rig.until("committed", |s| s.committed.get(&tp(0)) == Some(&30));
    {
        let mut script = rig.script();
        script.topic_id = Some("second".into());
        script.committed.clear();
        script.ends.insert(tp(0), 50);
    }
    rig.until("the new topic read from its start", |s| s.committed.get(&tp(0)) == Some(&50));
    let rows = rig.rows();
    let chains = rig.store.objects();
    let chain = |id: &str| chains.keys().filter(|k| k.contains(&format!("rows~{id}/0/"))).count();
    assert!(chain("first") >= 2 && chain("second") >= 2, "{:?}", chains.keys());
    // The old topic's rows stay, and the new one's are all there.
    assert!((0..50).all(|value| rows.contains(&value)), "{rows:?}");
    assert_eq!(rows.iter().filter(|v| **v < 30).count(), 60);
    assert!(rig.leave().stopped.is_empty());
}

#[test]
fn kafka_partition_added_to_the_topic_is_read_from_its_start_and_a_late_one_is_not() {
    let rig = Rig::new(&[30, 40, 50]);
    {
        let mut script = rig.script();
        (script.latest, script.partitions) = (true, Some(2));
    }
    let flows = |p: i32, from: Offset| {
        rig.happens(Event::Assigned(vec![tp(p)]));
        rig.until("records flow", |s| s.flowing.contains_key(&tp(p)));
        // Nothing was read before it was looked at, or all of it.
        let at = rig.script().flowing[&tp(p)];
        assert!(at >= from, "kafka partition {p} flows from {at}");
        rig.until("its commit", |s| s.committed.contains_key(&tp(p)));
    };
    flows(0, 30);
    // It was there from the start, and comes to this member late: at the end, as the configuration says.
    flows(1, 40);
    // This one is new.
    rig.script().partitions = Some(3);
    flows(2, 0);
    rig.until("all of the new one", |s| s.committed[&tp(2)] == 50);
    assert_eq!(rig.rows(), (0..50).collect::<Vec<_>>());
    let objects = rig.store.objects();
    let topic = objects.get("_forebay/t/topics/rows~none.json").expect("what the topic was");
    assert!(String::from_utf8_lossy(topic).contains("\"partitions\": 2"), "{topic:?}");
    assert!(rig.leave().stopped.is_empty());
}
