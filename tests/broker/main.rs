//! What only a real Kafka shows: transactions, offsets by time, deleted records and topics.
//!
//! Left out unless asked for: `FOREBAY_BROKERS=host:port cargo test --test broker -- --ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use forebay::clock::{self, System};
use forebay::config::{self, Secret, Start, Topics};
use forebay::error::Fault;
use forebay::position::TopicPartition;
use forebay::source::kafka::{KafkaSource, Options, Token, TokenFetcher, describe};
use forebay::source::producer::{Outgoing, Producer};
use forebay::source::{Event, Source as _};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

/// Only a test that hangs gets here.
const PATIENCE: Duration = Duration::from_secs(60);

fn brokers() -> String {
    std::env::var("FOREBAY_BROKERS").expect("FOREBAY_BROKERS names a broker, as host:port")
}

fn topic(partitions: i32) -> String {
    let name = format!("test-{}", clock::fresh_id());
    let producer = Producer::new(&brokers(), &BTreeMap::new()).unwrap();
    assert!(producer.create_topic(&name, partitions).unwrap());
    assert!(!producer.create_topic(&name, partitions).unwrap());
    name
}

fn settings(topic: &str, start: Start) -> config::Source {
    config::Source {
        brokers: brokers(),
        topics: Topics::Names(vec![topic.to_owned()]),
        group: format!("group-{topic}"),
        start,
        properties: BTreeMap::new(),
        oauth: None,
    }
}

/// Sends records `from..to` to a partition, with their number as value and as time in seconds.
fn fill(topic: &str, partition: i32, from: i64, to: i64) {
    let producer = Producer::new(&brokers(), &BTreeMap::new()).unwrap();
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
                Event::Assigned(list) => {
                    for (tp, start) in self.source.resolve_start(&list).unwrap() {
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

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS"]
fn transactions_show_committed_records_and_the_position_passes_the_rest() {
    let topic = topic(1);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers())
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
    let mut member = Member::new(&settings(&topic, Start::Earliest));
    member.until("all records", |m| m.total() >= 8);
    member.until("the end", |m| m.next[&0] == 21);
    assert_eq!(member.seen[&0], [0, 1, 2, 3, 4, 14, 15, 16]);
    let tp = TopicPartition::new(topic, 0);
    assert_eq!(member.source.end(&tp), Some(21));
    let log = member.source.watermarks(&tp).unwrap();
    assert_eq!((log.low, log.high), (0, 21));
}

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS"]
fn open_transaction_holds_records_back() {
    let topic = topic(1);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers())
        .set("transactional.id", &topic)
        .create()
        .unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    fill(&topic, 0, 0, 3);
    producer.begin_transaction().unwrap();
    producer.send(BaseRecord::<(), str>::to(&topic).partition(0).payload("x")).unwrap();
    producer.flush(PATIENCE).unwrap();
    fill(&topic, 0, 3, 6);
    let mut member = Member::new(&settings(&topic, Start::Earliest));
    member.until("what is stable", |m| m.total() >= 3);
    for _ in 0..20 {
        member.turn();
    }
    assert_eq!((member.total(), member.next[&0]), (3, 3));
    producer.commit_transaction(PATIENCE).unwrap();
    member.until("the rest", |m| m.next[&0] == 8);
    assert_eq!(member.seen[&0], [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS"]
fn start_by_time_finds_the_first_record_at_or_after_it() {
    let topic = topic(2);
    fill(&topic, 0, 0, 10);
    fill(&topic, 1, 0, 3);
    let mut member = Member::new(&settings(&topic, Start::Timestamp(6_500)));
    member.until("assignment", |m| m.assigned.len() == 2);
    member.until("records", |m| m.total() >= 4);
    fill(&topic, 1, 3, 4);
    member.until("the other partition's next", |m| m.total() >= 5);
    assert_eq!(member.seen[&0], [6, 7, 8, 9]);
    assert_eq!(member.seen[&1], [3]);
}

fn admin() -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers()).create().unwrap()
}

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS"]
fn records_deleted_before_they_are_read_stop_the_partition() {
    let topic = topic(2);
    fill(&topic, 0, 0, 10);
    fill(&topic, 1, 0, 10);
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, rdkafka::Offset::Offset(6)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin().delete_records(&list, &AdminOptions::new())).unwrap();

    let mut member = Member::new(&settings(&topic, Start::Earliest));
    member.until("records", |m| m.total() >= 14);
    assert_eq!(member.seen[&0], [6, 7, 8, 9]);
    member.source.start(&TopicPartition::new(topic.as_str(), 0), 2).unwrap();
    member.until("a stop", |m| !m.stopped.is_empty());
    assert_eq!(member.stopped, [(0, "FB0508")]);
    fill(&topic, 1, 10, 12);
    member.until("the other partition", |m| m.seen[&1].len() == 12);

    // A group that committed what is gone now.
    let behind = [(TopicPartition::new(topic.as_str(), 0), 1, String::new())];
    member.source.commit(&behind).unwrap();
    let partitions = [0, 1].map(|p| TopicPartition::new(topic.as_str(), p));
    let starts = member.source.resolve_start(&partitions).unwrap();
    assert_eq!(starts[0].1.as_ref().unwrap_err().code.id, "FB0507");
    assert_eq!(starts[1].1.as_ref().unwrap().log.low, 0);
}

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS"]
fn deleted_topic_stops_its_partitions_and_no_others() {
    let (gone, stays) = (topic(1), topic(1));
    fill(&gone, 0, 0, 5);
    fill(&stays, 0, 0, 5);
    let mut settings = settings(&gone, Start::Earliest);
    settings.topics = Topics::Names(vec![gone.clone(), stays.clone()]);
    let refresh = ("topic.metadata.refresh.interval.ms".to_owned(), Secret::new("1000"));
    settings.properties.extend([refresh]);
    let mut member = Member::new(&settings);
    member.until("records", |m| m.total() >= 10);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin().delete_topics(&[&gone], &AdminOptions::new())).unwrap();
    fill(&stays, 0, 5, 9);
    member.until("the other topic", |m| m.total() >= 14);
    let expected = [TopicPartition::new(gone.as_str(), 0)];
    member.until("the loss", |m| m.lost == expected);
    assert_eq!(member.stopped, []);
    fill(&stays, 0, 9, 12);
    member.until("the other topic", |m| m.total() >= 17);
}

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS"]
fn second_member_gets_half_and_waits_for_the_release() {
    let topic = topic(4);
    for partition in 0..4 {
        fill(&topic, partition, 0, 100);
    }
    let settings = settings(&topic, Start::Earliest);
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
        fill(&topic, partition, 100, 200);
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

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS"]
fn describe_names_the_cluster() {
    let topic = topic(3);
    let found = describe(&settings(&topic, Start::Auto), None, PATIENCE).unwrap();
    assert!(found.cluster_id.is_some_and(|id| !id.is_empty()));
    assert_eq!(found.topics[0].partitions, 3);
}

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS"]
fn same_instance_id_twice_fences_the_first() {
    let topic = topic(1);
    let mut settings = settings(&topic, Start::Earliest);
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
#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS"]
fn rebalance_storm_hands_every_partition_over_without_gap_or_double() {
    let seed = 7;
    let mut random = clock::Seeded::new(seed);
    let topic = topic(6);
    let settings = settings(&topic, Start::Earliest);
    let mut chain: HashMap<TopicPartition, i64> = HashMap::new();
    let mut members: Vec<KafkaSource> = Vec::new();
    let (clock, mut produced, mut joins) = (System::new(), 0, 0);
    let mut hands = 0;
    while joins < 12 || chain.values().sum::<i64>() < produced * 6 {
        let late = clock.now().mono_ms > 3 * PATIENCE.as_millis() as u64;
        assert!(!late, "seed {seed}, {joins} joins, {chain:?} of {produced}");
        if joins < 12 && random.one_in(12) {
            for partition in 0..6 {
                fill(&topic, partition, produced, produced + 40);
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

/// A listener with PLAIN (user `u`, password `right`) and unsigned OAUTHBEARER tokens.
fn secured(topic: &str, properties: &[(&str, &str)]) -> config::Source {
    let mut settings = settings(topic, Start::Earliest);
    settings.brokers = std::env::var("FOREBAY_BROKERS_SASL").expect("FOREBAY_BROKERS_SASL");
    let pairs = properties.iter().map(|(k, v)| ((*k).to_owned(), Secret::new(*v)));
    settings.properties.extend(pairs);
    settings.properties.insert("security.protocol".to_owned(), Secret::new("sasl_plaintext"));
    settings
}

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS_SASL"]
fn password_right_reads_and_wrong_names_the_cause() {
    let topic = topic(1);
    fill(&topic, 0, 0, 5);
    let plain = [("sasl.mechanism", "PLAIN"), ("sasl.username", "u"), ("sasl.password", "right")];
    let mut member = Member::new(&secured(&topic, &plain));
    member.until("records", |m| m.total() >= 5);

    let wrong = [("sasl.mechanism", "PLAIN"), ("sasl.username", "u"), ("sasl.password", "hunter2")];
    let fault = describe(&secured(&topic, &wrong), None, Duration::from_secs(3)).unwrap_err();
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

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS_SASL"]
fn oauth_token_is_fetched_with_extensions_and_renewed() {
    let topic = topic(1);
    fill(&topic, 0, 0, 5);
    let mut settings = secured(&topic, &[]);
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
            Err(Fault::new(&forebay::source::codes::TOKEN, "identity provider: down"))
        }
        _ => Ok(token(5_000, &counted)),
    });
    let found = describe(&settings, Some(fetch.clone()), Duration::from_secs(20)).unwrap();
    assert_eq!(found.topics.len(), 1);
    let mut member = Member::open(&settings, Some(fetch));
    member.until("records", |m| m.total() >= 5);
    let before = calls.load(Ordering::Relaxed);
    member.until("renewals", |_| calls.load(Ordering::Relaxed) >= before + 3);
    fill(&topic, 0, 5, 10);
    member.until("the rest", |m| m.total() >= 10);
    assert!(member.lost.is_empty());
}

/// CPU of the whole process for each record, both ways of reading. Prints; asserts only the counts.
#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS; a measurement"]
fn measure_cpu_per_record() {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::message::Message as _;

    let (topic, count) = (topic(4), 1_000_000);
    let producer = Producer::new(&brokers(), &BTreeMap::new()).unwrap();
    let mut random = clock::Seeded::new(7);
    let value: Vec<u8> = (0..195).map(|_| random.below(64) as u8).collect();
    for n in 0..count {
        let record = Outgoing {
            topic: &topic,
            partition: Some(n % 4),
            key: Some(&n.to_le_bytes()),
            value: Some(&value),
            ..Outgoing::default()
        };
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    drop(producer);
    let clock = System::new();
    let per_record = |from: Duration| (clock.process_cpu() - from).as_secs_f64() * 1e6 / 1e6;
    for round in 0..3 {
        let from = clock.process_cpu();
        let mut settings = settings(&topic, Start::Earliest);
        settings.group = format!("{topic}-{round}");
        let mut source = KafkaSource::open(&settings, Options::default()).unwrap();
        let (mut seen, mut bytes) = (0, 0);
        while seen < count {
            let mut events = Vec::new();
            source.poll(Duration::from_millis(20), &mut |_| 1 << 20, &mut events);
            for event in events {
                match event {
                    Event::Assigned(list) => {
                        for tp in &list {
                            source.start(tp, 0).unwrap();
                        }
                    }
                    Event::Batch(batch) => {
                        seen += batch.len() as i32;
                        bytes +=
                            batch.iter().map(|r| r.value.map_or(0, <[u8]>::len)).sum::<usize>();
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        source.close();
        println!("source: {:.3} us a record, {bytes} bytes", per_record(from));

        let from = clock.process_cpu();
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers())
            .set("group.id", "poll")
            .set("check.crcs", "true")
            .create()
            .unwrap();
        let mut list = rdkafka::TopicPartitionList::new();
        for partition in 0..4 {
            list.add_partition_offset(&topic, partition, rdkafka::Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let (mut seen, mut bytes) = (0, 0);
        while seen < count {
            if let Some(message) = consumer.poll(Duration::from_millis(20)) {
                bytes += message.unwrap().payload().map_or(0, <[u8]>::len);
                seen += 1;
            }
        }
        println!("poll:   {:.3} us a record, {bytes} bytes, not copied", per_record(from));
    }
}

#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS"]
fn topic_made_anew_has_another_id() {
    let name = topic(1);
    let mut member = Member::new(&settings(&name, Start::Earliest));
    let topics = [name.as_str().into(), "no-such-topic".into()];
    let first = member.source.topic_ids(&topics).unwrap();
    assert!(first[0].as_ref().is_some_and(|id| id.len() == 22), "{first:?}");
    assert_eq!(first[1], None);
    assert_eq!(member.source.topic_ids(&topics).unwrap(), first);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin().delete_topics(&[&name], &AdminOptions::new())).unwrap();
    let producer = Producer::new(&brokers(), &BTreeMap::new()).unwrap();
    let clock = System::new();
    while !producer.create_topic(&name, 1).unwrap_or(false) {
        assert!(clock.now().mono_ms < PATIENCE.as_millis() as u64);
    }
    let second = member.source.topic_ids(&topics).unwrap();
    assert!(second[0].is_some() && second[0] != first[0], "{first:?} {second:?}");
    assert!(member.source.cluster_id().is_some());
}

/// CPU of a member with nothing to read. Prints.
#[test]
#[ignore = "needs a broker at FOREBAY_BROKERS; a measurement"]
fn measure_cpu_idle() {
    let topic = topic(200);
    let mut member = Member::new(&settings(&topic, Start::Earliest));
    member.until("assignment", |m| m.assigned.len() == 200);
    let clock = System::new();
    while clock.now().mono_ms < 2_000 {
        member.turn();
    }
    let (from, start) = (clock.process_cpu(), clock.now().mono_ms);
    while clock.now().mono_ms < start + 5_000 {
        member.turn();
    }
    let cpu = (clock.process_cpu() - from).as_secs_f64() / 5.0 * 100.0;
    println!("idle, 200 partitions: {cpu:.2} % of a core");
}
