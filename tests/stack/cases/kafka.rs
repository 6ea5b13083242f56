//! What only a real Kafka shows: transactions, offsets by time, deleted records and topics, rebalances, logins.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::forebay::clock::{self, System};
use ::forebay::config::{self, Secret, Start, Topics};
use ::forebay::error::Fault;
use ::forebay::position::TopicPartition;
use ::forebay::source::kafka::{KafkaSource, Options, Token, TokenFetcher, describe};
use ::forebay::source::producer::{Outgoing, Producer};
use ::forebay::source::{Event, Source as _};
use libtest_mimic::Trial;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::{case, seed};
use crate::answers;
use crate::rig::Stack;

/// Only a test that hangs gets here.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn all() -> Vec<Trial> {
    vec![
        case(
            "kafka_transactions_show_committed_records_and_the_position_passes_the_rest",
            transactions_show_committed_records_and_the_position_passes_the_rest,
        ),
        case("kafka_open_transaction_holds_records_back", open_transaction_holds_records_back),
        case(
            "kafka_start_by_time_finds_the_first_record_at_or_after_it",
            start_by_time_finds_the_first_record_at_or_after_it,
        ),
        case(
            "kafka_records_deleted_before_they_are_read_stop_the_partition",
            records_deleted_before_they_are_read_stop_the_partition,
        ),
        case(
            "kafka_deleted_topic_stops_its_partitions_and_no_others",
            deleted_topic_stops_its_partitions_and_no_others,
        ),
        case(
            "kafka_second_member_gets_half_and_waits_for_the_release",
            second_member_gets_half_and_waits_for_the_release,
        ),
        case("kafka_describe_names_the_cluster", describe_names_the_cluster),
        case(
            "kafka_same_instance_id_twice_fences_the_first",
            same_instance_id_twice_fences_the_first,
        ),
        case(
            "kafka_rebalance_storm_hands_every_partition_over_without_gap_or_double",
            rebalance_storm_hands_every_partition_over_without_gap_or_double,
        ),
        case(
            "kafka_password_right_reads_and_wrong_names_the_cause",
            password_right_reads_and_wrong_names_the_cause,
        ),
        case(
            "kafka_oauth_token_is_fetched_with_extensions_and_renewed",
            oauth_token_is_fetched_with_extensions_and_renewed,
        ),
        case("kafka_topic_made_anew_has_another_id", topic_made_anew_has_another_id),
    ]
}

fn topic(stack: &Stack, partitions: i32) -> String {
    let name = format!("test-{}", clock::fresh_id());
    let producer = Producer::new(&stack.brokers, &BTreeMap::new()).unwrap();
    assert!(producer.create_topic(&name, partitions).unwrap());
    assert!(!producer.create_topic(&name, partitions).unwrap());
    name
}

fn settings(stack: &Stack, topic: &str, start: Start) -> config::Source {
    config::Source {
        brokers: stack.brokers.clone(),
        topics: Topics::Names(vec![topic.to_owned()]),
        group: format!("group-{topic}"),
        start,
        properties: BTreeMap::new(),
        oauth: None,
    }
}

/// Sends records `from..to` to a partition, with their number as value and as time in seconds.
fn fill(stack: &Stack, topic: &str, partition: i32, from: i64, to: i64) {
    let producer = Producer::new(&stack.brokers, &BTreeMap::new()).unwrap();
    for n in from..to {
        let value = n.to_string();
        let record = Outgoing {
            topic,
            partition: Some(partition),
            value: Some(value.as_bytes()),
            timestamp_ms: Some((n + 1) * 1_000),
            ..Outgoing::default()
        };
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// A member that starts everything where the source says.
struct Member {
    source: KafkaSource,
    seen: HashMap<i32, Vec<i64>>,
    next: HashMap<i32, i64>,
    assigned: BTreeSet<i32>,
    stopped: Vec<(i32, &'static str)>,
    lost: Vec<TopicPartition>,
    hold_revoked: bool,
    revoked: Vec<TopicPartition>,
}

impl Member {
    fn new(settings: &config::Source) -> Self {
        Self::open(settings, None)
    }

    fn open(settings: &config::Source, token: Option<TokenFetcher>) -> Self {
        let options = Options { token, ..Options::default() };
        Self {
            source: KafkaSource::open(settings, options).unwrap(),
            seen: HashMap::new(),
            next: HashMap::new(),
            assigned: BTreeSet::new(),
            stopped: Vec::new(),
            lost: Vec::new(),
            hold_revoked: false,
            revoked: Vec::new(),
        }
    }

    fn turn(&mut self) {
        let mut events = Vec::new();
        self.source.poll(Duration::from_millis(20), &mut |_| 1 << 20, &mut events);
        for event in events {
            match event {
                Event::Assigned(list) => drop(self.source.resolve_start(&list).unwrap()),
                Event::Committed(_, result) => result.unwrap(),
                Event::Starts(_, starts) => {
                    for (tp, start) in starts.unwrap() {
                        self.assigned.insert(tp.partition);
                        self.source.start(&tp, start.unwrap().offset).unwrap();
                    }
                }
                Event::Revoked(list) => {
                    for tp in &list {
                        self.assigned.remove(&tp.partition);
                    }
                    let offsets: Vec<_> = list
                        .iter()
                        .filter_map(|tp| {
                            Some((tp.clone(), *self.next.get(&tp.partition)?, String::new()))
                        })
                        .collect();
                    // Sent before the partitions are given back, on the same connection.
                    self.source.commit(&offsets).unwrap();
                    self.revoked = list;
                    if !self.hold_revoked {
                        self.release();
                    }
                }
                Event::Batch(batch) => {
                    let partition = batch.topic_partition.partition;
                    self.next.insert(partition, batch.next);
                    let seen = self.seen.entry(partition).or_default();
                    seen.extend(batch.iter().map(|r| r.offset));
                }
                Event::Stopped(tp, fault) => {
                    self.stopped.push((tp.partition, fault.code.id));
                }
                Event::Lost(list) => self.lost.extend(list),
                Event::TopicIds(..) => {}
                Event::Fatal(fault) => panic!("{fault}"),
            }
        }
    }

    fn release(&mut self) {
        self.source.release(&self.revoked).unwrap();
        self.revoked.clear();
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let clock = System::new();
        while !done(self) {
            let late = clock.now().mono_ms > PATIENCE.as_millis() as u64;
            assert!(!late, "{what}: not reached; {:?}", self.source.recent_errors());
            self.turn();
        }
    }

    fn total(&self) -> usize {
        self.seen.values().map(Vec::len).sum()
    }
}

pub fn transactions_show_committed_records_and_the_position_passes_the_rest(stack: &Stack) {
    let topic = topic(stack, 1);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", stack.brokers.as_str())
        .set("transactional.id", &topic)
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    for (count, commit) in [(5, true), (7, false), (3, true), (2, false)] {
        producer.begin_transaction().unwrap();
        for _ in 0..count {
            producer.send(BaseRecord::<(), str>::to(&topic).partition(0).payload("x")).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        if commit {
            producer.commit_transaction(PATIENCE).unwrap();
        } else {
            producer.abort_transaction(PATIENCE).unwrap();
        }
    }
    // Each transaction ends with one control record: 0-4 5 | 6-12 13 | 14-16 17 | 18-19 20.
    let mut member = Member::new(&settings(stack, &topic, Start::Earliest));
    member.until("all records", |m| m.total() >= 8);
    member.until("the end", |m| m.next[&0] == 21);
    assert_eq!(member.seen[&0], [0, 1, 2, 3, 4, 14, 15, 16]);
    let tp = TopicPartition::new(topic, 0);
    assert_eq!(member.source.end(&tp), Some(21));
    let log = member.source.watermarks(&tp).unwrap();
    assert_eq!((log.low, log.high), (0, 21));
}

pub fn open_transaction_holds_records_back(stack: &Stack) {
    let topic = topic(stack, 1);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", stack.brokers.as_str())
        .set("transactional.id", &topic)
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    fill(stack, &topic, 0, 0, 3);
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<(), str>::to(&topic).partition(0).payload("x")).unwrap();
    producer.flush(PATIENCE).unwrap();
    fill(stack, &topic, 0, 3, 6);
    let mut member = Member::new(&settings(stack, &topic, Start::Earliest));
    member.until("what is stable", |m| m.total() >= 3);
    for _ in 0..20 {
        member.turn();
    }
    assert_eq!((member.total(), member.next[&0]), (3, 3));
    producer.commit_transaction(PATIENCE).unwrap();
    member.until("the rest", |m| m.next[&0] == 8);
    assert_eq!(member.seen[&0], [0, 1, 2, 3, 4, 5, 6]);
}

pub fn start_by_time_finds_the_first_record_at_or_after_it(stack: &Stack) {
    let topic = topic(stack, 2);
    fill(stack, &topic, 0, 0, 10);
    fill(stack, &topic, 1, 0, 3);
    let mut member = Member::new(&settings(stack, &topic, Start::Timestamp(6_500)));
    member.until("assignment", |m| m.assigned.len() == 2);
    member.until("records", |m| m.total() >= 4);
    fill(stack, &topic, 1, 3, 4);
    member.until("the other partition's next", |m| m.total() >= 5);
    assert_eq!(member.seen[&0], [6, 7, 8, 9]);
    assert_eq!(member.seen[&1], [3]);
}

fn admin(stack: &Stack) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", stack.brokers.as_str()).create().unwrap()
}

pub fn records_deleted_before_they_are_read_stop_the_partition(stack: &Stack) {
    let topic = topic(stack, 2);
    fill(stack, &topic, 0, 0, 10);
    fill(stack, &topic, 1, 0, 10);
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, rdkafka::Offset::Offset(6)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin(stack).delete_records(&list, &AdminOptions::new())).unwrap();

    let mut member = Member::new(&settings(stack, &topic, Start::Earliest));
    member.until("records", |m| m.total() >= 14);
    assert_eq!(member.seen[&0], [6, 7, 8, 9]);
    member.source.start(&TopicPartition::new(topic.as_str(), 0), 2).unwrap();
    member.until("a stop", |m| !m.stopped.is_empty());
    assert_eq!(member.stopped, [(0, "FB0508")]);
    fill(stack, &topic, 1, 10, 12);
    member.until("the other partition", |m| m.seen[&1].len() == 12);

    // A group that committed what is gone now.
    let behind = [(TopicPartition::new(topic.as_str(), 0), 1, String::new())];
    answers::commit(&mut member.source, &behind, &mut Vec::new()).unwrap();
    let partitions = [0, 1].map(|p| TopicPartition::new(topic.as_str(), p));
    let starts = answers::starts(&mut member.source, &partitions, &mut Vec::new()).unwrap();
    let start = starts[0].1.as_ref().unwrap();
    assert_eq!((start.offset, start.log.low), (1, 6));
    assert_eq!(starts[1].1.as_ref().unwrap().log.low, 0);
}

pub fn deleted_topic_stops_its_partitions_and_no_others(stack: &Stack) {
    let (gone, stays) = (topic(stack, 1), topic(stack, 1));
    fill(stack, &gone, 0, 0, 5);
    fill(stack, &stays, 0, 0, 5);
    let mut settings = settings(stack, &gone, Start::Earliest);
    settings.topics = Topics::Names(vec![gone.clone(), stays.clone()]);
    let refresh = ("topic.metadata.refresh.interval.ms".to_owned(), Secret::new("1000"));
    settings.properties.extend([refresh]);
    let mut member = Member::new(&settings);
    member.until("records", |m| m.total() >= 10);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin(stack).delete_topics(&[&gone], &AdminOptions::new())).unwrap();
    fill(stack, &stays, 0, 5, 9);
    member.until("the other topic", |m| m.total() >= 14);
    let expected = [TopicPartition::new(gone.as_str(), 0)];
    member.until("the loss", |m| m.lost == expected);
    assert_eq!(member.stopped, []);
    fill(stack, &stays, 0, 9, 12);
    member.until("the other topic", |m| m.total() >= 17);
}

pub fn second_member_gets_half_and_waits_for_the_release(stack: &Stack) {
    let topic = topic(stack, 4);
    for partition in 0..4 {
        fill(stack, &topic, partition, 0, 100);
    }
    let settings = settings(stack, &topic, Start::Earliest);
    let mut one = Member::new(&settings);
    one.until("all", |m| m.total() == 400);
    one.hold_revoked = true;
    let mut two = Member::new(&settings);
    let clock = System::new();
    while one.revoked.is_empty() {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        one.turn();
        two.turn();
    }
    // Nobody gets them before the release, however long the flush takes.
    for _ in 0..50 {
        one.turn();
        two.turn();
    }
    assert!(two.assigned.is_empty());
    one.release();
    while two.assigned.len() < 2 {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        one.turn();
        two.turn();
    }
    for partition in 0..4 {
        fill(stack, &topic, partition, 100, 200);
    }
    while one.total() + two.total() < 800 {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        one.turn();
        two.turn();
    }
    for partition in 0..4 {
        let mut offsets = one.seen.get(&partition).cloned().unwrap_or_default();
        offsets.extend(two.seen.get(&partition).cloned().unwrap_or_default());
        assert_eq!(offsets, (0..200).collect::<Vec<_>>());
    }
}

pub fn describe_names_the_cluster(stack: &Stack) {
    let topic = topic(stack, 3);
    let found = describe(&settings(stack, &topic, Start::Auto), None, PATIENCE).unwrap();
    assert!(found.cluster_id.is_some_and(|id| !id.is_empty()));
    assert_eq!(found.topics[0].partitions, 3);
}

pub fn same_instance_id_twice_fences_the_first(stack: &Stack) {
    let topic = topic(stack, 1);
    let mut settings = settings(stack, &topic, Start::Earliest);
    settings.properties.insert("group.instance.id".to_owned(), Secret::new("same"));
    let mut one = KafkaSource::open(&settings, Options::default()).unwrap();
    let mut two = None;
    let (clock, mut fenced) = (System::new(), false);
    while !fenced {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
        let mut events = Vec::new();
        one.poll(Duration::from_millis(20), &mut |_| 1 << 20, &mut events);
        for event in events {
            match event {
                Event::Assigned(_) => two = Some(Member::new(&settings)),
                Event::Fatal(fault) => fenced = fault.code.id == "FB0512",
                _ => {}
            }
        }
        if let Some(two) = &mut two {
            two.turn();
        }
    }
}

/// Members come and go by a seed; where each batch starts must be where the owner before left off.
pub fn rebalance_storm_hands_every_partition_over_without_gap_or_double(stack: &Stack) {
    let seed = seed("rebalance-storm");
    let mut random = clock::Seeded::new(seed);
    let topic = topic(stack, 6);
    let settings = settings(stack, &topic, Start::Earliest);
    let mut chain: HashMap<TopicPartition, i64> = HashMap::new();
    let mut members: Vec<KafkaSource> = Vec::new();
    let (clock, mut produced, mut joins) = (System::new(), 0, 0);
    let mut hands = 0;
    while joins < 12 || chain.values().sum::<i64>() < produced * 6 {
        let late = clock.now().mono_ms > 3 * PATIENCE.as_millis() as u64;
        assert!(!late, "seed {seed}, {joins} joins, {chain:?} of {produced}");
        if joins < 12 && random.one_in(12) {
            for partition in 0..6 {
                fill(stack, &topic, partition, produced, produced + 40);
            }
            produced += 40;
            if members.len() > 1 && (members.len() > 3 || random.one_in(2)) {
                let leaver = random.below(members.len() as u64) as usize;
                members.swap_remove(leaver).close();
            } else {
                members.push(KafkaSource::open(&settings, Options::default()).unwrap());
            }
            joins += 1;
        }
        for member in &mut members {
            let mut events = Vec::new();
            let room = 200 + random.below(3_000) as usize;
            member.poll(Duration::from_millis(10), &mut |_| room, &mut events);
            for event in events {
                match event {
                    Event::Assigned(list) => {
                        hands += list.len();
                        for tp in list {
                            let head = *chain.entry(tp.clone()).or_default();
                            member.start(&tp, head).unwrap();
                        }
                    }
                    Event::Revoked(list) => member.release(&list).unwrap(),
                    Event::Batch(batch) => {
                        let head = chain.get_mut(&batch.topic_partition).unwrap();
                        for record in batch.iter() {
                            let tp = &batch.topic_partition;
                            assert_eq!(record.offset, *head, "seed {seed}, {tp}");
                            *head += 1;
                        }
                    }
                    Event::Lost(_) => {}
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
        }
    }
    assert!(hands > 12, "seed {seed}: only {hands} partitions moved");
}

/// As [`settings`], through the listener that asks for TLS and a login.
fn secured(stack: &Stack, topic: &str, properties: &[(&str, &str)]) -> config::Source {
    let mut settings = settings(stack, topic, Start::Earliest);
    settings.brokers = stack.secure.brokers.clone();
    let pairs = properties.iter().map(|(k, v)| ((*k).to_owned(), Secret::new(*v)));
    settings.properties.extend(pairs);
    let ca = Secret::new(stack.secure.ca_file.to_str().unwrap());
    settings.properties.insert("security.protocol".to_owned(), Secret::new("sasl_ssl"));
    settings.properties.insert("ssl.ca.location".to_owned(), ca);
    settings
}

pub fn password_right_reads_and_wrong_names_the_cause(stack: &Stack) {
    let topic = topic(stack, 1);
    fill(stack, &topic, 0, 0, 5);
    let plain = [("sasl.mechanism", "PLAIN"), ("sasl.username", "u"), ("sasl.password", "right")];
    let mut member = Member::new(&secured(stack, &topic, &plain));
    member.until("records", |m| m.total() >= 5);

    let wrong = [("sasl.mechanism", "PLAIN"), ("sasl.username", "u"), ("sasl.password", "hunter2")];
    let fault =
        describe(&secured(stack, &topic, &wrong), None, Duration::from_secs(3)).unwrap_err();
    assert_eq!(fault.code.id, "FB0506");
    assert!(fault.message.to_lowercase().contains("authentication"), "{fault}");
    assert!(!fault.to_string().contains("hunter2"));
}

/// An unsigned token of a few seconds, as Kafka's own test handler takes it.
fn token(life_ms: i64, calls: &AtomicUsize) -> Token {
    calls.fetch_add(1, Ordering::Relaxed);
    let encode = |text: String| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
    };
    let now = System::new().now().wall_ms;
    let head = encode(r#"{"alg":"none"}"#.to_owned());
    let (from, to) = (now / 1_000 - 1, (now + life_ms) / 1_000);
    let body = encode(format!(r#"{{"sub":"u","iat":{from},"exp":{to}}}"#));
    Token {
        value: Secret::new(format!("{head}.{body}.")),
        principal: "u".to_owned(),
        expires_ms: now + life_ms,
        extensions: vec![("logicalCluster".to_owned(), "lkc1".to_owned())],
    }
}

pub fn oauth_token_is_fetched_with_extensions_and_renewed(stack: &Stack) {
    let topic = topic(stack, 1);
    fill(stack, &topic, 0, 0, 5);
    let mut settings = secured(stack, &topic, &[]);
    settings.oauth = Some(config::OAuth {
        token_url: "http://unused".to_owned(),
        client_id: "c".to_owned(),
        client_secret: Secret::new("s"),
        scope: None,
        extensions: BTreeMap::new(),
    });
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    // The first call fails: the client waits and asks again.
    let fetch: TokenFetcher = Arc::new(move || match counted.load(Ordering::Relaxed) {
        0 => {
            counted.fetch_add(1, Ordering::Relaxed);
            Err(Fault::new(&::forebay::source::codes::TOKEN, "identity provider: down"))
        }
        _ => Ok(token(5_000, &counted)),
    });
    let found = describe(&settings, Some(fetch.clone()), Duration::from_secs(20)).unwrap();
    assert_eq!(found.topics.len(), 1);
    let mut member = Member::open(&settings, Some(fetch));
    member.until("records", |m| m.total() >= 5);
    let before = calls.load(Ordering::Relaxed);
    member.until("renewals", |_| calls.load(Ordering::Relaxed) >= before + 3);
    fill(stack, &topic, 0, 5, 10);
    member.until("the rest", |m| m.total() >= 10);
    assert!(member.lost.is_empty());
}

pub fn topic_made_anew_has_another_id(stack: &Stack) {
    let name = topic(stack, 1);
    let mut member = Member::new(&settings(stack, &name, Start::Earliest));
    let topics = [name.as_str().into(), "no-such-topic".into()];
    let first = member.source.topic_ids(&topics).unwrap();
    assert!(first[0].as_ref().is_some_and(|id| id.len() == 22), "{first:?}");
    assert_eq!(first[1], None);
    assert_eq!(member.source.topic_ids(&topics).unwrap(), first);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin(stack).delete_topics(&[&name], &AdminOptions::new())).unwrap();
    let producer = Producer::new(&stack.brokers, &BTreeMap::new()).unwrap();
    let clock = System::new();
    while !producer.create_topic(&name, 1).unwrap_or(false) {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
    }
    let second = member.source.topic_ids(&topics).unwrap();
    assert!(second[0].is_some() && second[0] != first[0], "{first:?} {second:?}");
    assert!(member.source.cluster_id().is_some());
}
