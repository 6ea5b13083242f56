//! Two versions of one schema, interleaved record by record, beside one version alone: records a second through the
//! whole pipeline (decode, lanes, gzip Parquet, chain, local disk), and how many files come out.
//!
//! `cargo bench --bench evolve`; `FOREBAY_EVOLVE_RECORDS` changes the count (400,000; the claim is made at 10,000,000).
//! Records come from memory, 4 Kafka partitions, so that no broker is measured.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use forebay::cli::evolve::form::Form;
use forebay::cli::evolve::make::{self, Turn};
use forebay::clock::{Seeded, System};
use forebay::config::{self, Config};
use forebay::error::Fault;
use forebay::pipeline::effects::Shared;
use forebay::pipeline::threads::{self, Budget, Control, Run};
use forebay::pipeline::watch::Watch;
use forebay::position::{Offset, TopicPartition};
use forebay::record::{RecordBatch, TimestampType};
use forebay::registry::client::NewSchema;
use forebay::registry::encode::Encoder;
use forebay::registry::{self, Language, server};
use forebay::source::{Event, Source, StartAt, Starts, Ticket, Watermarks};
use forebay::store::Store;
use forebay::wire::SchemaRef;

const PARTITIONS: i32 = 4;
/// Different bodies of each version.
const BODIES: u64 = 4_000;
const BATCH: i64 = 1_000;
const VERSIONS: [&str; 2] =
    [include_str!("../protos/orders/v1.proto"), include_str!("../protos/orders/v2.proto")];

/// Records out of memory: offset `n` has frame `n` modulo their number.
struct Ring {
    frames: Arc<Vec<Vec<u8>>>,
    end: Offset,
    events: VecDeque<Event>,
    flowing: BTreeMap<TopicPartition, Offset>,
    tickets: u64,
}

impl Ring {
    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }
}

impl Source for Ring {
    fn poll(
        &mut self,
        wait: Duration,
        room: &mut dyn FnMut(&TopicPartition) -> usize,
        out: &mut Vec<Event>,
    ) {
        out.extend(self.events.drain(..));
        for (tp, at) in &mut self.flowing {
            if *at >= self.end || room(tp) == 0 {
                continue;
            }
            let mut batch = RecordBatch::new(tp.clone(), *at);
            for offset in *at..self.end.min(*at + BATCH) {
                let frame = &self.frames[offset as usize % self.frames.len()];
                let none = std::iter::empty();
                batch.push(offset, None, TimestampType::CreateTime, None, Some(frame), none);
            }
            *at = batch.next;
            out.push(Event::Batch(batch));
        }
        if out.is_empty() {
            System::new().block(wait.min(Duration::from_millis(1)));
        }
    }

    fn resolve_start(&mut self, partitions: &[TopicPartition]) -> Result<Ticket, Fault> {
        let ticket = self.ticket();
        let start = |tp: &TopicPartition| {
            let log = Watermarks { low: 0, high: self.end };
            let start = StartAt {
                offset: 0,
                why: "bench".into(),
                log,
                committed: None,
                topic_id: None,
                partitions: None,
            };
            (tp.clone(), Ok(start))
        };
        let starts: Starts = partitions.iter().map(start).collect();
        self.events.push_back(Event::Starts(ticket, Ok(starts)));
        Ok(ticket)
    }

    fn start(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), Fault> {
        self.flowing.insert(partition.clone(), offset);
        Ok(())
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault> {
        self.flowing.retain(|tp, _| !partitions.contains(tp));
        Ok(())
    }

    fn commit(&mut self, _: &[(TopicPartition, Offset, String)]) -> Result<Ticket, Fault> {
        let ticket = self.ticket();
        self.events.push_back(Event::Committed(ticket, Ok(())));
        Ok(ticket)
    }

    fn watermarks(&mut self, _: &TopicPartition) -> Result<Watermarks, Fault> {
        Ok(Watermarks { low: 0, high: self.end })
    }

    fn end(&self, _: &TopicPartition) -> Option<Offset> {
        Some(self.end)
    }

    fn ends(&self, _: &mut dyn FnMut(&TopicPartition, Offset)) {}

    fn topic_ids(&mut self, topics: &[Arc<str>]) -> Result<Vec<Option<String>>, Fault> {
        Ok(vec![None; topics.len()])
    }

    fn ask_topic_ids(&mut self, topics: &[Arc<str>]) -> Result<Ticket, Fault> {
        let ticket = self.ticket();
        let ids = topics.iter().map(|topic| (topic.clone(), None)).collect();
        self.events.push_back(Event::TopicIds(ticket, Ok(ids)));
        Ok(ticket)
    }

    fn cluster_id(&mut self) -> Option<String> {
        None
    }

    fn close(&mut self) {}
}

/// What one run came to.
struct Measured {
    per_second: f64,
    cpu_us: f64,
    files: u64,
    commits: u64,
}

fn main() {
    let records = std::env::var("FOREBAY_EVOLVE_RECORDS").ok().and_then(|n| n.parse().ok());
    let records: i64 = records.unwrap_or(400_000);
    let alone = run("one version", "rotate", &[1], records);
    for mode in ["rotate", "latest", "superset"] {
        let both = run("two versions", mode, &[0, 1], records);
        let lanes = if mode == "rotate" { 2 } else { 1 };
        // A file closes for its size after a million rows, or 128 MiB, and a seal closes every lane.
        let bound = both.commits * lanes + records as u64 / 1_000_000 * lanes;
        println!(
            "  {:.2} of one version's speed; {} files, {lanes} lanes times {} seals and size rotations allow {bound}; one file a flip: {records}",
            both.per_second / alone.per_second,
            both.files,
            both.commits,
        );
        assert!(both.files <= bound, "more files than lanes and seals");
    }
}

fn run(label: &str, mode: &str, versions: &[usize], records: i64) -> Measured {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(server::start("127.0.0.1:0")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "pipeline: bench\nsource: {{ brokers: 'x:1', topics: [rows] }}\nregistry: {{ url: '{}' }}\n\
         sink: {{ url: '{}' }}\nevolution: {{ mode: {mode} }}\n",
        server.url,
        folder.path().display()
    );
    let config = Config::parse(&text, "bench.yaml", &config::Process).unwrap();
    let client = Arc::new(registry::Client::new(&config.pipeline.registry).unwrap());
    let frames = frames(&client, &runtime, versions);
    let (clock, watch) = (System::new(), Arc::new(Watch::new(System::new())));
    let partitioner = forebay::pipeline::partitioner(&config.pipeline).unwrap();
    let store = runtime.block_on(Store::open(&config.pipeline.sink)).unwrap();
    runtime.block_on(store.probe());
    let partitions = (0..PARTITIONS).map(|p| TopicPartition::new("rows", p)).collect();
    let source = Ring {
        frames: Arc::new(frames),
        end: records / i64::from(PARTITIONS),
        events: VecDeque::from([Event::Assigned(partitions)]),
        flowing: BTreeMap::new(),
        tickets: 0,
    };
    let part_bytes = store.part_bytes().max(forebay::pipeline::PART_BYTES);
    let settings = forebay::pipeline::settings(&config.pipeline, partitioner, part_bytes, None);
    let before = clock.process_cpu();
    let ended = threads::run(Run {
        source,
        settings: Arc::new(settings),
        registry: Some(client),
        shared: Arc::new(Shared::new(store)),
        runtime: runtime.handle().clone(),
        control: Arc::new(Control::default()),
        watch: watch.clone(),
        clock,
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        memory: Budget::of(4 << 30),
        drain: true,
        shutdown_timeout: Duration::from_secs(25),
        topics_every: threads::TOPICS_EVERY,
    });
    assert!(ended.stopped.is_empty() && ended.fatal.is_none(), "{ended:?}");
    let (wall, totals) = (clock.now().mono_ms as f64 / 1e3, watch.totals());
    let cpu = clock.process_cpu().saturating_sub(before).as_secs_f64();
    assert_eq!(totals.rows, totals.records);
    let measured = Measured {
        per_second: totals.records as f64 / wall,
        cpu_us: cpu * 1e6 / totals.records as f64,
        files: totals.files,
        commits: totals.commits,
    };
    println!(
        "{label}, {mode}: {} records, {:.0} records/s, {:.2} CPU-us a record, {} files in {} commits",
        totals.records, measured.per_second, measured.cpu_us, measured.files, measured.commits
    );
    measured
}

/// Frames of the versions, in turn.
fn frames(
    client: &registry::Client,
    runtime: &tokio::runtime::Runtime,
    versions: &[usize],
) -> Vec<Vec<u8>> {
    let mut random = Seeded::new(1);
    let mut encoders = Vec::new();
    for text in VERSIONS {
        let new = NewSchema {
            language: Language::Protobuf,
            text: text.to_owned(),
            references: Vec::new(),
        };
        let (id, _) = runtime.block_on(client.register("rows-value", &new)).unwrap();
        let schema = runtime.block_on(client.by_ref(SchemaRef::Id(id))).unwrap();
        let form = Form::of(&schema, None).unwrap();
        encoders.push((id, Encoder::new(schema.clone(), None).unwrap(), form, schema));
    }
    let mut frames = Vec::new();
    for number in 0..BODIES {
        for version in versions {
            let (id, encoder, form, schema) = &encoders[*version];
            let mut frame = encoder.header(SchemaRef::Id(*id));
            let turn = &mut Turn { random: &mut random, number: number + make::EDGES };
            frame.extend(make::body(form, schema, turn).unwrap());
            frames.push(frame);
        }
    }
    frames
}
