//! A record batch whose bytes change on their way from the broker: its checksum is of other bytes. A proxy before a
//! mock broker changes one byte of a record's value, which stands after the checksum.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use forebay::clock::System;
use forebay::config::{self, Secret, Start, Topics};
use forebay::position::TopicPartition;
use forebay::source::kafka::{KafkaSource, Options};
use forebay::source::mock::Mock;
use forebay::source::producer::{Outgoing, Producer};
use forebay::source::{Event, Source as _};

/// Only a test that hangs gets here.
const PATIENCE_MS: u64 = 60_000;
/// The value that is changed, and what it becomes.
const VALUE: &[u8; 15] = b"the right value";
const CHANGED: u8 = b'T';

#[derive(Default)]
struct Line {
    damages: AtomicBool,
    damaged: AtomicU64,
}

/// Passes connections on to `target`; from there the value is changed while it damages.
fn proxy(target: &str) -> (u16, Arc<Line>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (line, target) = (Arc::new(Line::default()), target.to_owned());
    let shared = line.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(&target) else { continue };
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass(from, to, None));
            let line = shared.clone();
            std::thread::spawn(move || pass(server, client, Some(line)));
        }
    });
    (port, line)
}

fn pass(mut from: TcpStream, mut to: TcpStream, line: Option<Arc<Line>>) {
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..read];
        if let Some(line) = line.as_ref().filter(|line| line.damages.load(Ordering::SeqCst))
            && let Some(at) = bytes.windows(VALUE.len()).position(|part| part == VALUE)
        {
            bytes[at] = CHANGED;
            line.damaged.fetch_add(1, Ordering::SeqCst);
        }
        if to.write_all(bytes).is_err() {
            return;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Sends one batch.
fn send(producer: &Producer, values: &[&[u8]]) {
    for value in values {
        let record =
            Outgoing { topic: "t", partition: Some(0), value: Some(value), ..Outgoing::default() };
        producer.send(record).unwrap();
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

#[test]
fn damaged_batch_stops_its_partition_and_the_right_one_is_read_from_the_same_offset() {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    let plain = BTreeMap::from([("compression.type".to_owned(), Secret::new("none"))]);
    let producer = Producer::new(&mock.brokers(), &plain).unwrap();
    send(&producer, &[b"first", b"second"]);
    send(&producer, &[b"third", VALUE]);
    send(&producer, &[b"fifth"]);
    let (port, line) = proxy(&mock.brokers());
    mock.advertise(1, "127.0.0.1", port).unwrap();
    line.damages.store(true, Ordering::SeqCst);

    let settings = config::Source {
        brokers: format!("127.0.0.1:{port}"),
        topics: Topics::Names(vec!["t".into()]),
        group: "g".into(),
        start: Start::Earliest,
        properties: BTreeMap::new(),
        oauth: None,
    };
    let mut source = KafkaSource::open(&settings, Options::default()).unwrap();
    let tp = TopicPartition::new("t", 0);
    let (mut seen, mut stopped, mut again) = (Vec::new(), None, false);
    let clock = System::new();
    while seen.len() < 5 {
        assert!(clock.now().mono_ms < PATIENCE_MS, "{seen:?}, {:?}", source.recent_errors());
        let mut events = Vec::new();
        source.poll(Duration::from_millis(20), &mut |_| 1 << 20, &mut events);
        for event in events {
            match event {
                Event::Assigned(list) => drop(source.resolve_start(&list).unwrap()),
                Event::Starts(_, starts) => {
                    for (tp, start) in starts.unwrap() {
                        source.start(&tp, start.unwrap().offset).unwrap();
                    }
                }
                Event::Batch(batch) => seen.extend(
                    batch
                        .iter()
                        .map(|r| (r.offset, r.value.map(<[u8]>::to_vec).unwrap_or_default())),
                ),
                Event::Stopped(tp, fault) => {
                    let place = fault.to_string();
                    stopped.get_or_insert((
                        tp,
                        fault.code.id,
                        place.contains("offset 2"),
                        clock.now().mono_ms,
                    ));
                }
                _ => {}
            }
        }
        let Some((.., since)) = stopped.as_ref().filter(|_| !again) else { continue };
        // Nothing of the batch comes, nor of those after it: not for long.
        let right: [(i64, &[u8]); 2] = [(0, b"first"), (1, b"second")];
        assert_eq!(seen, right.map(|(at, value)| (at, value.to_vec())));
        if clock.now().mono_ms > since + 1_500 {
            line.damages.store(false, Ordering::SeqCst);
            source.start(&tp, 2).unwrap();
            again = true;
        }
    }
    assert!(line.damaged.load(Ordering::SeqCst) > 0);
    let (at, code, at_its_offset, _) = stopped.unwrap();
    assert_eq!((at, code, at_its_offset), (tp, "FB0509", true));
    let all: [&[u8]; 5] = [b"first", b"second", b"third", VALUE, b"fifth"];
    assert_eq!(seen, (0..).zip(all.map(<[u8]>::to_vec)).collect::<Vec<_>>());
}
