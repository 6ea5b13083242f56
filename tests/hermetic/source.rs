//! The Kafka source and the producer, against librdkafka's mock brokers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay::clock::{Seeded, System};
use forebay::config::{self, Secret, Start, Topics};
use forebay::error::Fault;
use forebay::position::TopicPartition;
use forebay::record::TimestampType;
use forebay::source::kafka::{KafkaSource, Options, describe};
use forebay::source::mock::{Mock, Refusal, Request};
use forebay::source::producer::{Outgoing, Producer};
use forebay::source::{Event, Source as _, check, check_properties};

use crate::answers;

/// Only a test that hangs gets here.
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(mock: &Mock, topic: &str, start: Start) -> config::Source {
    config::Source {
        brokers: mock.brokers(),
        topics: Topics::Names(vec![topic.to_owned()]),
        group: "forebay-test".to_owned(),
        start,
        // The mock coordinator gives every rebalance the session timeout less one second.
        properties: properties(&[("session.timeout.ms", "2000"), ("heartbeat.interval.ms", "200")]),
        oauth: None,
    }
}

fn producer(mock: &Mock) -> Producer {
    Producer::new(&mock.brokers(), &BTreeMap::new()).unwrap()
}

/// Sends `count` records to a partition; value = its number as text.
fn fill(producer: &Producer, topic: &str, partition: i32, from: usize, count: usize) {
    for n in from..from + count {
        let value = n.to_string();
        let record = Outgoing {
            topic,
            partition: Some(partition),
            value: Some(value.as_bytes()),
            ..Outgoing::default()
        };
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

type Chain = Arc<Mutex<HashMap<TopicPartition, i64>>>;

/// A driver as simple as can be: starts what is assigned, releases what is revoked, keeps everything.
struct Driver {
    source: KafkaSource,
    /// Values by partition, in order of arrival.
    seen: HashMap<TopicPartition, Vec<(i64, String)>>,
    next: HashMap<TopicPartition, i64>,
    /// Stands for the commit chain: where the owner before left off.
    chain: Chain,
    log: Vec<String>,
    assigned: BTreeSet<TopicPartition>,
    stopped: Vec<(TopicPartition, &'static str)>,
    closed_room: BTreeSet<TopicPartition>,
    room: usize,
}

impl Driver {
    fn new(settings: &config::Source) -> Self {
        Self::with_chain(settings, &Chain::default())
    }

    fn with_chain(settings: &config::Source, chain: &Chain) -> Self {
        Self {
            chain: chain.clone(),
            source: KafkaSource::open(settings, Options::default()).unwrap(),
            seen: HashMap::new(),
            next: HashMap::new(),
            log: Vec::new(),
            assigned: BTreeSet::new(),
            stopped: Vec::new(),
            closed_room: BTreeSet::new(),
            room: 1 << 20,
        }
    }

    fn turn(&mut self) {
        let mut events = Vec::new();
        let (closed, room) = (&self.closed_room, self.room);
        self.source.poll(
            Duration::from_millis(20),
            &mut |tp| if closed.contains(tp) { 0 } else { room },
            &mut events,
        );
        for event in events {
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Assigned(list) => {
                self.log.push(format!("assigned {}", list.len()));
                self.assigned.extend(list.iter().cloned());
                self.source.resolve_start(&list).unwrap();
            }
            Event::Starts(_, starts) => {
                for (partition, start) in starts.unwrap() {
                    let start = start.unwrap().offset;
                    let head = self.chain.lock().unwrap().get(&partition).copied();
                    self.source.start(&partition, head.unwrap_or(start)).unwrap();
                }
            }
            Event::Revoked(list) => {
                self.log.push(format!("revoked {}", list.len()));
                for tp in &list {
                    if let Some(next) = self.next.get(tp) {
                        self.chain.lock().unwrap().insert(tp.clone(), *next);
                    }
                }
                self.source.release(&list).unwrap();
                self.assigned.retain(|tp| !list.contains(tp));
                self.next.retain(|tp, _| !list.contains(tp));
            }
            Event::Lost(list) => {
                self.log.push(format!("lost {}", list.len()));
                self.assigned.retain(|tp| !list.contains(tp));
            }
            Event::Batch(batch) => {
                let seen = self.seen.entry(batch.topic_partition.clone()).or_default();
                for record in batch.iter() {
                    let value = record.value.map(|v| String::from_utf8(v.to_vec()).unwrap());
                    seen.push((record.offset, value.unwrap_or_default()));
                }
                self.next.insert(batch.topic_partition.clone(), batch.next);
            }
            Event::Stopped(partition, fault) => self.stopped.push((partition, fault.code.id)),
            Event::Committed(_, result) => result.unwrap(),
            Event::TopicIds(..) => {}
            Event::Fatal(fault) => panic!("fatal: {fault}"),
        }
    }

    fn commit(&mut self, offsets: &[(TopicPartition, i64, String)]) -> Result<(), Fault> {
        let mut events = Vec::new();
        let answer = answers::commit(&mut self.source, offsets, &mut events);
        events.into_iter().for_each(|event| self.handle(event));
        answer
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let clock = System::new();
        while !done(self) {
            assert!(
                clock.now().mono_ms < PATIENCE.as_millis() as u64,
                "{what}: not reached; log {:?}, stopped {:?}, client says {:?}",
                self.log,
                self.stopped,
                self.source.recent_errors()
            );
            self.turn();
        }
    }

    fn total(&self) -> usize {
        self.seen.values().map(Vec::len).sum()
    }

    /// Turns for as long as a thing that must not happen would need.
    fn settle(&mut self, turns: usize) {
        for _ in 0..turns {
            self.turn();
        }
    }

    fn offsets(&self, topic: &str, partition: i32) -> Vec<i64> {
        let seen = self.seen.get(&TopicPartition::new(topic, partition));
        seen.map(|s| s.iter().map(|(o, _)| *o).collect()).unwrap_or_default()
    }

    fn commit_all(&mut self) {
        let offsets: Vec<_> =
            self.next.iter().map(|(tp, o)| (tp.clone(), *o, "fb1:7:abc".to_owned())).collect();
        self.commit(&offsets).unwrap();
    }
}

#[test]
fn consume_of_produced_records_gives_all_fields_exactly() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    let producer = producer(&mock);
    let headers = [("a", Some(&b"1"[..])), ("a", None), ("ü", Some(&b""[..]))];
    let send = |key, value, headers, timestamp_ms| {
        let record = Outgoing { topic: "t", partition: Some(0), key, value, headers, timestamp_ms };
        producer.send(record).unwrap();
    };
    send(Some(&b"k"[..]), Some(&b"v"[..]), &headers[..], Some(1_700_000_000_123));
    send(Some(&b""[..]), None, &[], Some(1));
    send(None, Some(&b""[..]), &[], Some(2));
    producer.flush(PATIENCE).unwrap();
    assert_eq!(producer.delivered(), 3);

    let mut source =
        KafkaSource::open(&settings(&mock, "t", Start::Earliest), Options::default()).unwrap();
    let mut batches = Vec::new();
    let clock = System::new();
    while batches.iter().map(forebay::record::RecordBatch::len).sum::<usize>() < 3 {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        let mut events = Vec::new();
        source.poll(Duration::from_millis(20), &mut |_| 1 << 20, &mut events);
        for event in events {
            match event {
                Event::Assigned(list) => source.start(&list[0], 0).unwrap(),
                Event::Batch(batch) => batches.push(batch),
                other => panic!("{other:?}"),
            }
        }
    }
    let last = batches.last().unwrap().next;
    assert_eq!(last, 3);
    let mut records = batches.iter().flat_map(forebay::record::RecordBatch::iter);
    let first = records.next().unwrap();
    assert_eq!((first.offset, first.timestamp), (0, Some(1_700_000_000_123)));
    assert_eq!(first.timestamp_type, TimestampType::CreateTime);
    assert_eq!((first.key, first.value), (Some(&b"k"[..]), Some(&b"v"[..])));
    assert_eq!(first.headers.iter().collect::<Vec<_>>(), headers);
    let second = records.next().unwrap();
    assert_eq!((second.offset, second.timestamp), (1, Some(1)));
    assert_eq!((second.key, second.value), (Some(&b""[..]), None));
    assert!(second.headers.is_empty());
    let third = records.next().unwrap();
    assert_eq!((third.key, third.value), (None, Some(&b""[..])));
    assert_eq!(source.end(&TopicPartition::new("t", 0)), Some(3));
    source.close();
}

#[test]
fn consume_of_many_partitions_gives_every_offset_once_in_order() {
    let mock = Mock::new(3).unwrap();
    mock.create_topic("t", 6).unwrap();
    let producer = producer(&mock);
    for partition in 0..6 {
        fill(&producer, "t", partition, 0, 2_000);
    }
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    driver.until("all records", |d| d.total() >= 12_000);
    driver.settle(10);
    for partition in 0..6 {
        assert_eq!(driver.offsets("t", partition), (0..2_000).collect::<Vec<_>>());
    }
}

#[test]
fn room_of_nothing_holds_one_partition_back_and_no_other() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 2).unwrap();
    let producer = producer(&mock);
    fill(&producer, "t", 0, 0, 3_000);
    fill(&producer, "t", 1, 0, 3_000);
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    driver.closed_room.insert(TopicPartition::new("t", 0));
    driver.until("the other partition", |d| d.offsets("t", 1).len() >= 3_000);
    driver.settle(20);
    assert!(driver.offsets("t", 0).is_empty());
    driver.closed_room.clear();
    driver.until("the held partition", |d| d.offsets("t", 0).len() >= 3_000);
    driver.settle(10);
    assert_eq!(driver.offsets("t", 0), (0..3_000).collect::<Vec<_>>());
    assert_eq!(driver.offsets("t", 1), (0..3_000).collect::<Vec<_>>());
}

#[test]
fn room_bounds_a_batch_give_or_take_one_record() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    let producer = producer(&mock);
    let value = [b'x'; 1_000];
    for _ in 0..2_000 {
        let record =
            Outgoing { topic: "t", partition: Some(0), value: Some(&value), ..Outgoing::default() };
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let mut source =
        KafkaSource::open(&settings(&mock, "t", Start::Earliest), Options::default()).unwrap();
    let (clock, mut expected) = (System::new(), 0);
    while expected < 2_000 {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        let mut events = Vec::new();
        source.poll(Duration::from_millis(20), &mut |_| 10_000, &mut events);
        for event in events {
            match event {
                Event::Assigned(list) => source.start(&list[0], 0).unwrap(),
                Event::Batch(batch) => {
                    assert!(batch.bytes() <= 10_000 + 1_100, "{} bytes", batch.bytes());
                    for record in batch.iter() {
                        assert_eq!(record.offset, expected);
                        expected += 1;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn commit_then_new_member_resumes_with_the_metadata() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 2).unwrap();
    let producer = producer(&mock);
    fill(&producer, "t", 0, 0, 100);
    fill(&producer, "t", 1, 0, 50);
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    driver.until("first records", |d| d.total() >= 150);
    driver.commit_all();
    drop(driver);

    fill(&producer, "t", 0, 100, 10);
    let mut source =
        KafkaSource::open(&settings(&mock, "t", Start::Latest), Options::default()).unwrap();
    let clock = System::new();
    let starts = loop {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        let mut events = Vec::new();
        source.poll(Duration::from_millis(20), &mut |_| 1 << 20, &mut events);
        match events.pop() {
            Some(Event::Assigned(list)) => {
                break answers::starts(&mut source, &list, &mut events).unwrap();
            }
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    };
    let mut found: Vec<_> = starts
        .into_iter()
        .map(|(tp, start)| {
            let start = start.unwrap();
            (tp.partition, start.offset, start.log.high, start.committed.unwrap().metadata)
        })
        .collect();
    found.sort();
    let metadata = "fb1:7:abc".to_owned();
    assert_eq!(found, [(0, 100, 110, metadata.clone()), (1, 50, 50, metadata)]);
}

#[test]
fn second_member_takes_over_without_gap_or_double() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 4).unwrap();
    let producer = producer(&mock);
    for partition in 0..4 {
        fill(&producer, "t", partition, 0, 500);
    }
    let settings = settings(&mock, "t", Start::Earliest);
    let chain = Chain::default();
    let mut one = Driver::with_chain(&settings, &chain);
    one.until("all records", |d| d.total() >= 2_000);
    let mut two = Driver::with_chain(&settings, &chain);
    let clock = System::new();
    while one.assigned.len() != 2 || two.assigned.len() != 2 {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64, "{:?} {:?}", one.log, two.log);
        one.turn();
        two.turn();
    }
    assert!(one.log.contains(&"revoked 2".to_owned()), "{:?}", one.log);
    for partition in 0..4 {
        fill(&producer, "t", partition, 500, 500);
    }
    while one.total() + two.total() < 4_000 {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        one.turn();
        two.turn();
    }
    one.settle(5);
    two.settle(5);
    for partition in 0..4 {
        let mut offsets = one.offsets("t", partition);
        offsets.extend(two.offsets("t", partition));
        assert_eq!(offsets, (0..1_000).collect::<Vec<_>>(), "partition {partition}");
    }
    // The member that leaves gives its partitions to the other.
    chain.lock().unwrap().extend(two.next.drain());
    two.source.close();
    one.until("all partitions again", |d| d.assigned.len() == 4);
    for partition in 0..4 {
        fill(&producer, "t", partition, 1_000, 10);
    }
    one.until("the rest", |d| d.total() + two.total() >= 4_040);
    for partition in 0..4 {
        let mut offsets = one.offsets("t", partition);
        offsets.extend(two.offsets("t", partition));
        offsets.sort_unstable();
        assert_eq!(offsets, (0..1_010).collect::<Vec<_>>(), "partition {partition}");
    }
}

#[test]
fn partitions_kept_in_a_rebalance_flow_before_new_ones_are_started() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 2).unwrap();
    let producer = producer(&mock);
    fill(&producer, "t", 0, 0, 10);
    fill(&producer, "t", 1, 0, 10);
    let mut source =
        KafkaSource::open(&settings(&mock, "t", Start::Earliest), Options::default()).unwrap();
    let (clock, mut seen, mut other) = (System::new(), BTreeSet::new(), None);
    while seen.len() < 10 || other.is_none() {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        let mut events = Vec::new();
        source.poll(Duration::from_millis(20), &mut |_| 1 << 20, &mut events);
        for event in events {
            match event {
                // Only one of them is started; the other waits for its driver.
                Event::Assigned(list) => {
                    source.start(&list[0], 0).unwrap();
                    other = Some((list[0].clone(), list[1].clone()));
                }
                Event::Batch(batch) => {
                    assert_eq!(Some(&batch.topic_partition), other.as_ref().map(|o| &o.0));
                    seen.extend(batch.iter().map(|r| r.offset));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let (_, late) = other.unwrap();
    source.start(&late, 7).unwrap();
    let mut offsets = Vec::new();
    while offsets.len() < 3 {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        let mut events = Vec::new();
        source.poll(Duration::from_millis(20), &mut |_| 1 << 20, &mut events);
        for event in events {
            let Event::Batch(batch) = event else { panic!("{event:?}") };
            assert_eq!(batch.topic_partition, late);
            offsets.extend(batch.iter().map(|r| r.offset));
        }
    }
    assert_eq!(offsets, [7, 8, 9]);
}

#[test]
fn start_again_goes_on_at_the_new_offset() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    fill(&producer(&mock), "t", 0, 0, 20);
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    driver.until("all records", |d| d.total() >= 20);
    driver.source.start(&TopicPartition::new("t", 0), 15).unwrap();
    driver.until("five again", |d| d.total() >= 25);
    driver.settle(5);
    let offsets: Vec<i64> = (0..20).chain(15..20).collect();
    assert_eq!(driver.offsets("t", 0), offsets);
}

fn starts(mock: &Mock, start: Start) -> Vec<Result<i64, &'static str>> {
    let mut settings = settings(mock, "t", start);
    settings.group = format!("group-{:?}", settings.start).replace(' ', "");
    let mut source = KafkaSource::open(&settings, Options::default()).unwrap();
    let clock = System::new();
    loop {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        let mut events = Vec::new();
        source.poll(Duration::from_millis(20), &mut |_| 1 << 20, &mut events);
        if let Some(Event::Assigned(list)) = events.pop() {
            let mut starts = answers::starts(&mut source, &list, &mut events).unwrap();
            starts.sort_by_key(|(tp, _)| tp.partition);
            return starts
                .into_iter()
                .map(|(_, s)| s.map(|s| s.offset).map_err(|f| f.code.id))
                .collect();
        }
    }
}

#[test]
fn start_without_commit_follows_the_configuration() {
    let mock = Mock::new(2).unwrap();
    mock.create_topic("t", 2).unwrap();
    let producer = producer(&mock);
    fill(&producer, "t", 0, 0, 30);
    fill(&producer, "t", 1, 0, 40);
    assert_eq!(starts(&mock, Start::Auto), [Ok(0), Ok(0)]);
    assert_eq!(starts(&mock, Start::Latest), [Ok(30), Ok(40)]);
    let given = BTreeMap::from([(("t".to_owned(), 0), 12), (("t".to_owned(), 1), 41)]);
    assert_eq!(starts(&mock, Start::Offsets(given)), [Ok(12), Err("FB0507")]);
    // The mock brokers know no offsets by time: they say that there is none, which is the end.
    assert_eq!(starts(&mock, Start::Timestamp(5)), [Ok(30), Ok(40)]);
}

#[test]
fn start_asks_again_while_a_leader_moves() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 2).unwrap();
    fill(&producer(&mock), "t", 0, 0, 3);
    mock.fail(Request::ListOffsets, &[Refusal::NotLeader, Refusal::NotLeader]);
    assert_eq!(starts(&mock, Start::Latest), [Ok(3), Ok(0)]);
}

/// librdkafka fails the whole question for an error of one partition.
#[test]
fn start_of_one_partition_that_brokers_refuse_fails_no_other() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 2).unwrap();
    fill(&producer(&mock), "t", 0, 0, 3);
    fill(&producer(&mock), "t", 1, 0, 4);
    mock.fail(Request::ListOffsets, &[Refusal::TopicAuthorization]);
    assert_eq!(starts(&mock, Start::Latest), [Ok(3), Ok(4)]);
    // The question for all, then that for one of them.
    mock.fail(Request::ListOffsets, &[Refusal::TopicAuthorization; 2]);
    let found = starts(&mock, Start::Earliest);
    assert_eq!(found.iter().filter(|start| **start == Ok(0)).count(), 1, "{found:?}");
    assert_eq!(found.iter().filter(|start| **start == Err("FB0506")).count(), 1, "{found:?}");
}

/// A broker that is there for the metadata and for nobody else.
#[test]
fn start_of_a_partition_whose_leader_does_not_answer_fails_no_other() {
    let mock = Mock::new(2).unwrap();
    mock.create_topic("t", 2).unwrap();
    mock.lead("t", 0, 1).unwrap();
    mock.lead("t", 1, 2).unwrap();
    mock.coordinate("group-Latest", 1).unwrap();
    fill(&producer(&mock), "t", 0, 0, 3);
    mock.down(2).unwrap();
    assert_eq!(starts(&mock, Start::Latest), [Ok(3), Err("FB0506")]);
}

#[test]
fn start_of_a_partition_without_a_leader_fails_no_other() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 2).unwrap();
    fill(&producer(&mock), "t", 0, 0, 3);
    mock.lead("t", 1, -1).unwrap();
    assert_eq!(starts(&mock, Start::Latest), [Ok(3), Err("FB0506")]);
}

#[test]
fn broker_errors_lose_and_double_nothing() {
    let mock = Mock::new(3).unwrap();
    mock.create_topic("t", 3).unwrap();
    let producer = producer(&mock);
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    driver.until("assignment", |d| d.assigned.len() == 3);
    for round in 0..4 {
        for partition in 0..3 {
            fill(&producer, "t", partition, round * 300, 300);
        }
        match round {
            0 => mock.fail(
                Request::Fetch,
                &[Refusal::NotLeader, Refusal::StorageError, Refusal::Disconnect],
            ),
            1 => mock.lead("t", 0, 2).unwrap(),
            2 => {
                mock.down(1).unwrap();
                driver.settle(10);
                mock.up(1).unwrap();
            }
            _ => mock.fail(Request::Heartbeat, &[Refusal::NotCoordinator]),
        }
        driver.until("a round", |d| d.total() >= (round + 1) * 900);
    }
    driver.settle(10);
    for partition in 0..3 {
        assert_eq!(driver.offsets("t", partition), (0..1_200).collect::<Vec<_>>());
    }
    assert_eq!(driver.stopped, []);
}

/// librdkafka's message for such an error bears the offset of the record that was not read yet.
#[test]
fn fetch_error_at_the_end_of_the_log_hides_no_record() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    let producer = producer(&mock);
    fill(&producer, "t", 0, 0, 5);
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    driver.until("the first records", |d| d.total() >= 5);
    for round in 0..2 {
        mock.fail(Request::Fetch, &[Refusal::Unknown]);
        let noted = |d: &Driver| {
            let errors = d.source.recent_errors();
            errors.iter().filter(|text| text.contains("kafka error -1")).count() > round
        };
        driver.until("the error", noted);
        // Longer than positions stay unasked for.
        driver.settle(40);
        let end = 5 + round as i64;
        assert_eq!(driver.next.values().collect::<Vec<_>>(), [&end], "round {round}");
        fill(&producer, "t", 0, 5 + round, 1);
        driver.until("the record after the error", |d| d.total() > 5 + round);
    }
    assert_eq!(driver.offsets("t", 0), (0..7).collect::<Vec<_>>());
    assert_eq!(driver.stopped, []);
}

#[test]
fn start_further_back_is_not_taken_for_the_position_of_before() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    fill(&producer(&mock), "t", 0, 0, 20);
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    driver.until("all records", |d| d.total() >= 20);
    for round in 0..40 {
        driver.seen.clear();
        driver.next.clear();
        driver.source.start(&TopicPartition::new("t", 0), 15).unwrap();
        driver.until("the end", |d| d.next.values().any(|next| *next == 20));
        assert_eq!(driver.offsets("t", 0), [15, 16, 17, 18, 19], "round {round}");
    }
}

#[test]
fn offset_out_of_range_stops_its_partition_only() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 2).unwrap();
    let producer = producer(&mock);
    fill(&producer, "t", 0, 0, 10);
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    driver.until("records", |d| d.total() >= 10);
    driver.source.start(&TopicPartition::new("t", 1), 99).unwrap();
    driver.until("a stop", |d| !d.stopped.is_empty());
    assert_eq!(driver.stopped, [(TopicPartition::new("t", 1), "FB0508")]);
    fill(&producer, "t", 0, 10, 10);
    fill(&producer, "t", 1, 0, 5);
    driver.until("the other partition", |d| d.offsets("t", 0).len() >= 20);
    assert!(driver.offsets("t", 1).is_empty());
    driver.source.start(&TopicPartition::new("t", 1), 2).unwrap();
    driver.until("the stopped one, told where to go on", |d| d.offsets("t", 1).len() >= 3);
    assert_eq!(driver.offsets("t", 1), [2, 3, 4]);
}

#[test]
fn corrupt_batch_stops_its_partition() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    fill(&producer(&mock), "t", 0, 0, 10);
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    mock.fail(Request::Fetch, &[Refusal::Corrupt]);
    driver.until("a stop", |d| !d.stopped.is_empty());
    assert_eq!(driver.stopped, [(TopicPartition::new("t", 0), "FB0509")]);
    driver.settle(10);
    assert_eq!(driver.total(), 0);
}

#[test]
fn commit_without_a_coordinator_is_an_error_in_bounded_time() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    fill(&producer(&mock), "t", 0, 0, 10);
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    driver.until("records", |d| d.total() >= 10);
    mock.down(1).unwrap();
    let partition = TopicPartition::new("t", 0);
    let fault = driver.commit(&[(partition.clone(), 5, String::new())]).unwrap_err();
    assert_eq!(fault.code.id, "FB0513");
    mock.up(1).unwrap();
    let clock = System::new();
    while let Err(fault) = driver.commit(&[(partition.clone(), 5, String::new())]) {
        let late = clock.now().mono_ms >= PATIENCE.as_millis() as u64;
        assert!(!late, "{fault}; log {:?}", driver.log);
        driver.turn();
    }
}

#[test]
fn describe_of_a_cluster_names_topics_and_what_is_missing() {
    let mock = Mock::new(3).unwrap();
    mock.create_topic("orders-eu", 4).unwrap();
    mock.create_topic("orders-us", 2).unwrap();
    mock.create_topic("__orders", 2).unwrap();
    let mut settings = settings(&mock, "orders-eu", Start::Auto);
    let wait = Duration::from_secs(20);
    let found = describe(&settings, None, wait).unwrap();
    assert_eq!(found.brokers, 3);
    assert_eq!(found.topics.len(), 1);
    assert_eq!((found.topics[0].partitions, found.topics[0].leaderless), (4, 0));
    settings.topics = Topics::Regex(".*orders.*".to_owned());
    let names: Vec<_> =
        describe(&settings, None, wait).unwrap().topics.into_iter().map(|t| t.name).collect();
    assert_eq!(names, ["orders-eu", "orders-us"]);
    settings.topics = Topics::Names(vec!["orders-eu".to_owned(), "absent".to_owned()]);
    let fault = describe(&settings, None, wait).unwrap_err();
    assert_eq!(fault.code.id, "FB0505");
    assert!(fault.message.contains("`absent`"), "{fault}");
}

#[test]
fn describe_without_a_broker_says_why() {
    let mut settings = settings(&Mock::new(1).unwrap(), "t", Start::Auto);
    settings.brokers = "127.0.0.1:1".to_owned();
    let fault = describe(&settings, None, Duration::from_secs(2)).unwrap_err();
    assert_eq!(fault.code.id, "FB0506");
    assert!(fault.message.contains("refused"), "{fault}");
}

#[test]
fn regex_subscription_reads_matching_topics() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("a-1", 1).unwrap();
    mock.create_topic("a-2", 1).unwrap();
    mock.create_topic("b-1", 1).unwrap();
    let mut settings = settings(&mock, "t", Start::Earliest);
    settings.topics = Topics::Regex("a-[0-9]+".to_owned());
    let mut driver = Driver::new(&settings);
    driver.until("both topics", |d| d.assigned.len() == 2);
    let topics: Vec<_> = driver.assigned.iter().map(|tp| tp.topic.to_string()).collect();
    assert_eq!(topics, ["a-1", "a-2"]);
}

fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, Secret> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), Secret::new(*v))).collect()
}

#[test]
fn properties_that_the_user_may_set_are_accepted() {
    let good = properties(&[
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "u"),
        ("sasl.password", "p"),
        ("ssl.endpoint.identification.algorithm", "https"),
        ("group.instance.id", "one"),
        ("session.timeout.ms", "45000"),
        ("isolation.level", "read_uncommitted"),
        ("client.rack", "a"),
        ("fetch.message.max.bytes", "2000000"),
    ]);
    assert_eq!(check_properties(&good), []);
}

#[test]
fn properties_found_wrong_are_all_named_at_once_and_no_secret_is_shown() {
    let bad = properties(&[
        ("enable.auto.commit", "true"),
        ("auto.offset.reset", "latest"),
        ("group.protocol", "consumer"),
        ("rebalance_cb", "x"),
        ("no.such.thing", "1"),
        ("session.timeout.ms", "soon"),
        ("sasl.mechanism", "GSSAPI"),
        ("ssl.key.password", "hunter2\0"),
        ("ssl.truststore.location", "/x.jks"),
    ]);
    let found = check_properties(&bad);
    let mut codes: Vec<_> = found
        .iter()
        .map(|f| (f.place.clone().unwrap().replace("source.properties.", ""), f.code.id))
        .collect();
    codes.sort();
    let expected = [
        ("auto.offset.reset", "FB0501"),
        ("enable.auto.commit", "FB0501"),
        ("group.protocol", "FB0501"),
        ("no.such.thing", "FB0502"),
        ("rebalance_cb", "FB0501"),
        ("sasl.mechanism", "FB0503"),
        ("session.timeout.ms", "FB0502"),
        ("ssl.key.password", "FB0502"),
        ("ssl.truststore.location", "FB0502"),
    ];
    assert_eq!(codes, expected.map(|(n, c)| (n.to_owned(), c)));
    assert!(!found.iter().any(|f| f.to_string().contains("hunter2")));
}

#[test]
fn msk_iam_is_refused_by_name_with_what_to_use() {
    let found = check_properties(&properties(&[("sasl.mechanisms", "AWS_MSK_IAM")]));
    assert_eq!(found.len(), 1);
    assert!(found[0].message.contains("AWS_MSK_IAM") && found[0].message.contains("SCRAM"));
    let mock = Mock::new(1).unwrap();
    let mut settings = settings(&mock, "t", Start::Auto);
    settings.properties = properties(&[("sasl.mechanism", "OAUTHBEARER")]);
    let found = check(&settings);
    assert_eq!(found.iter().map(|f| f.code.id).collect::<Vec<_>>(), ["FB0503"]);
}

#[test]
fn produce_to_an_unknown_partition_is_reported() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    let producer = producer(&mock);
    let record =
        Outgoing { topic: "t", partition: Some(9), value: Some(b"x"), ..Outgoing::default() };
    let refused = producer.send(record).and_then(|()| producer.flush(PATIENCE)).unwrap_err();
    assert_eq!(refused.code.id, "FB0516");
}

#[test]
fn member_thrown_out_of_the_group_loses_all_and_comes_back() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 2).unwrap();
    let producer = producer(&mock);
    fill(&producer, "t", 0, 0, 50);
    fill(&producer, "t", 1, 0, 50);
    let chain = Chain::default();
    let mut driver = Driver::with_chain(&settings(&mock, "t", Start::Earliest), &chain);
    driver.until("first records", |d| d.total() >= 100);
    chain.lock().unwrap().extend(driver.next.clone());
    mock.fail(Request::Heartbeat, &[Refusal::UnknownMember]);
    driver.until("loss", |d| d.log.contains(&"lost 2".to_owned()));
    driver.until("new assignment", |d| d.assigned.len() == 2);
    fill(&producer, "t", 0, 50, 50);
    fill(&producer, "t", 1, 50, 50);
    driver.until("the rest", |d| d.total() >= 200);
    driver.settle(5);
    assert_eq!(driver.offsets("t", 0), (0..100).collect::<Vec<_>>());
    assert_eq!(driver.offsets("t", 1), (0..100).collect::<Vec<_>>());
}

#[test]
fn close_without_a_broker_ends_in_bounded_time() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    let mut driver = Driver::new(&settings(&mock, "t", Start::Earliest));
    driver.until("assignment", |d| d.assigned.len() == 1);
    mock.down(1).unwrap();
    let clock = System::new();
    driver.source.close();
    assert!(clock.now().mono_ms < 20_000);
    let late = driver.source.commit(&[(TopicPartition::new("t", 0), 0, String::new())]);
    assert!(late.is_err());
    let mut events = Vec::new();
    driver.source.poll(Duration::ZERO, &mut |_| 1, &mut events);
    assert!(events.is_empty());
}

#[test]
fn close_with_an_open_revoke_does_not_hang() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 2).unwrap();
    let settings = settings(&mock, "t", Start::Earliest);
    let mut one = KafkaSource::open(&settings, Options::default()).unwrap();
    let mut two: Option<KafkaSource> = None;
    let (clock, mut revoked) = (System::new(), false);
    while !revoked {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        let mut events = Vec::new();
        one.poll(Duration::from_millis(20), &mut |_| 1 << 20, &mut events);
        for event in events {
            match event {
                Event::Assigned(list) => {
                    for partition in &list {
                        one.start(partition, 0).unwrap();
                    }
                    two = two.or_else(|| KafkaSource::open(&settings, Options::default()).ok());
                }
                // Never released.
                Event::Revoked(_) => revoked = true,
                other => panic!("{other:?}"),
            }
        }
        if let Some(two) = &mut two {
            two.poll(Duration::ZERO, &mut |_| 1 << 20, &mut Vec::new());
        }
    }
    one.close();
}

/// Everything of a record that a consumer can see.
type Whole = (i64, Option<i64>, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

#[test]
fn batch_reading_equals_reading_one_by_one() {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::message::{Headers as _, Message as _};

    let seed = 20_261_122;
    let mut random = Seeded::new(seed);
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    let producer = producer(&mock);
    let mut bytes = |below: u64| -> Option<Vec<u8>> {
        let len = random.below(below + 1);
        (len > 0).then(|| (1..len).map(|_| random.below(256) as u8).collect())
    };
    for n in 0..5_000 {
        let (key, value, header) = (bytes(20), bytes(600), bytes(10));
        let headers = [("h", header.as_deref()), ("h2", Some(&b"x"[..]))];
        let count = header.as_ref().map_or(0, Vec::len) % 3;
        let record = Outgoing {
            topic: "t",
            partition: Some(0),
            key: key.as_deref(),
            value: value.as_deref(),
            headers: &headers[..count],
            timestamp_ms: Some(n + 1),
        };
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();

    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", mock.brokers())
        .set("group.id", "plain")
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset("t", 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut expected: Vec<Whole> = Vec::new();
    let clock = System::new();
    while expected.len() < 5_000 {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64, "seed {seed}");
        let Some(message) = consumer.poll(Duration::from_millis(20)) else { continue };
        let message = message.unwrap();
        let headers = message.headers().map(|headers| {
            let owned = |h: rdkafka::message::Header<'_, &[u8]>| {
                (h.key.to_owned(), h.value.map(<[u8]>::to_vec))
            };
            headers.iter().map(owned).collect()
        });
        expected.push((
            message.offset(),
            message.timestamp().to_millis(),
            message.key().map(<[u8]>::to_vec),
            message.payload().map(<[u8]>::to_vec),
            headers.unwrap_or_default(),
        ));
    }

    let mut source =
        KafkaSource::open(&settings(&mock, "t", Start::Earliest), Options::default()).unwrap();
    let (clock, mut found) = (System::new(), Vec::<Whole>::new());
    while found.len() < 5_000 {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64, "seed {seed}");
        let mut events = Vec::new();
        source.poll(Duration::from_millis(20), &mut |_| 70_000, &mut events);
        for event in events {
            match event {
                Event::Assigned(list) => source.start(&list[0], 0).unwrap(),
                Event::Batch(batch) => found.extend(batch.iter().map(|r| {
                    let headers = r.headers.iter();
                    (
                        r.offset,
                        r.timestamp,
                        r.key.map(<[u8]>::to_vec),
                        r.value.map(<[u8]>::to_vec),
                        headers.map(|(k, v)| (k.to_owned(), v.map(<[u8]>::to_vec))).collect(),
                    )
                })),
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(found == expected, "seed {seed}");
}

/// After these librdkafka goes on behind the batch (`rdkafka.h`): a checksum that is wrong is one of them.
#[test]
pub(crate) fn error_after_which_records_would_be_missing_stops_the_kafka_partition() {
    for (number, what) in [(-199, "bad message"), (-198, "bad compression"), (2, "corrupt message")]
    {
        assert!(forebay::source::kafka::stops(number), "{what}");
    }
    for (number, what) in [(-195, "transport"), (-191, "end of partition"), (-185, "timed out")] {
        assert!(!forebay::source::kafka::stops(number), "{what}");
    }
}
