//! The whole process: 2 M of the 16-field event from a real Kafka to local gzip Parquet with
//! `run --drain`: wall, CPU, memory and bytes a record.
//!
//! `cargo bench --bench drain`; `FOREBAY_DRAIN_RECORDS` changes the count. `FOREBAY_DRAIN_AGAINST=<binary>` measures
//! another binary of the program in turn with this one, and `FOREBAY_DRAIN_S3=1` both on the S3 server too, and this
//! one with every 20th request answered `503 SlowDown`. Needs what the stack tests need.
//! 4 Kafka partitions, lz4, keyed by order, partitioned by country and day.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::disallowed_methods)]
#![allow(dead_code)] // the rig is shared with the stack tests

#[path = "../tests/stack/forebay.rs"]
mod forebay;
#[path = "../tests/stack/python.rs"]
mod python;
#[path = "../tests/stack/rig/mod.rs"]
mod rig;
#[path = "../tests/stack/slow_down.rs"]
mod slow_down;

use std::time::Duration;

use ::forebay::clock::Seeded;
use ::forebay::registry::client::{NewSchema, settings};
use ::forebay::registry::encode::Encoder;
use ::forebay::registry::{Client, Language};
use ::forebay::source::producer::{Outgoing, Producer};
use ::forebay::wire::SchemaRef;
use serde_json::{Value, json};

const RUNS: usize = 3;
const PROTO: &str = include_str!("../tests/corpus/event/orders.proto");
const AVRO: &str = include_str!("../tests/corpus/event/orders.avsc");

fn main() {
    if std::env::args().nth(1).as_deref() == Some(rig::supervisor::FLAG) {
        rig::supervisor::serve();
        return;
    }
    let records = std::env::var("FOREBAY_DRAIN_RECORDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(2_000_000);
    let stack = match rig::stack() {
        Ok(stack) => stack,
        Err(rig::Absent::LeftOut(why) | rig::Absent::Failed(why)) => {
            eprintln!("drain: left out: {why}");
            return;
        }
    };
    let variants = variants(stack);
    for (language, text) in [(Language::Protobuf, PROTO), (Language::Avro, AVRO)] {
        let topic = format!("drain-{}", language.name().to_lowercase());
        fill(stack, &topic, language, text, records);
        let day = match language {
            Language::Protobuf => "day(created_at, unit='ms')",
            _ => "day(created_at)",
        };
        for run in 0..RUNS {
            for variant in &variants {
                measure(stack, &topic, day, run, variant, records);
            }
        }
    }
    rig::stop();
}

/// Produces the events; which takes longer than draining them, and is not measured.
fn fill(stack: &rig::Stack, topic: &str, language: Language, text: &str, records: u64) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = Client::new(&settings(&stack.registry)).unwrap();
    let new = NewSchema { language, text: text.to_owned(), references: Vec::new() };
    let subject = format!("{topic}-value");
    let (id, _) = runtime.block_on(client.register(&subject, &new)).unwrap();
    let schema = runtime.block_on(client.by_ref(SchemaRef::Id(id))).unwrap();
    let encoder = Encoder::new(schema, None).unwrap();
    let producer = Producer::new(&stack.brokers, &Default::default()).unwrap();
    producer.create_topic(topic, 4).unwrap();
    let mut random = Seeded::new(1);
    for number in 0..records {
        let (key, value) = event(&mut random, number, records);
        let payload = encoder.framed(SchemaRef::Id(id), &value).unwrap();
        producer
            .send(Outgoing {
                topic,
                key: Some(key.as_bytes()),
                value: Some(&payload),
                ..Outgoing::default()
            })
            .unwrap();
    }
    producer.flush(Duration::from_secs(120)).unwrap();
}

fn event(random: &mut Seeded, number: u64, records: u64) -> (String, Value) {
    let (a, b) = (random.next_u64(), random.next_u64());
    let order_id = uuid::Uuid::from_u64_pair(a, b).to_string();
    let country = random.below(20).min(random.below(20));
    let rising = 21_600_000 * number / records;
    let tags: Vec<String> =
        (0..random.below(5)).map(|_| format!("tag-{}", random.below(50))).collect();
    let status = ["STATUS_UNSPECIFIED", "PLACED", "PAID", "SHIPPED", "CANCELLED"];
    let mut value = json!({
        "order_id": order_id,
        "customer_id": 1_000_000 + number,
        "created_at": 1_767_225_600_000_u64 + rising + random.below(1_000),
        "country": format!("C{country}"),
        "city": format!("city-{}", random.below(500)),
        "currency": format!("CU{}", random.below(8)),
        "amount": random.below(100_000) as f64 / 100.0,
        "quantity": 1 + random.below(12),
        "status": status[random.below(5) as usize],
        "is_gift": random.one_in(20),
        "email": format!("user{:07}@example.com", random.below(10_000_000)),
        "device": {"os": format!("os-{}", random.below(6)), "version": 1 + random.below(20)},
        "tags": tags,
        "sku": format!("SKU-{:05}", random.below(5_000)),
        "score": random.unit(),
    });
    if random.one_in(10) {
        value["coupon"] = json!(format!("SAVE{}", random.below(100)));
    }
    (order_id, value)
}

/// One way to drain the topic.
struct Variant {
    label: &'static str,
    environment: Vec<(String, String)>,
    s3: bool,
    proxy: Option<slow_down::SlowDown>,
}

fn variants(stack: &rig::Stack) -> Vec<Variant> {
    let variant = |label, s3, more: Option<(&str, String)>| {
        let mut environment = python::environment(stack);
        environment.extend(more.map(|(name, value)| (name.to_owned(), value)));
        Variant { label, environment, s3, proxy: None }
    };
    let against =
        || std::env::var("FOREBAY_DRAIN_AGAINST").ok().map(|path| (forebay::PROGRAM, path));
    let mut all = vec![variant("disk", false, None)];
    all.extend(against().map(|other| variant("disk-against", false, Some(other))));
    if std::env::var_os("FOREBAY_DRAIN_S3").is_some() {
        all.push(variant("s3", true, None));
        all.extend(against().map(|other| variant("s3-against", true, Some(other))));
        let target = stack.s3.endpoint.trim_start_matches("http://");
        for (label, percent) in [("s3-proxy", 0), ("s3-refused", 5)] {
            let proxy = slow_down::SlowDown::start(target, percent);
            let endpoint = format!("http://{}", proxy.address);
            let variant = variant(label, true, Some(("S3_ENDPOINT", endpoint)));
            all.push(Variant { proxy: Some(proxy), ..variant });
        }
    }
    all
}

fn measure(
    stack: &rig::Stack,
    topic: &str,
    day: &str,
    run: usize,
    variant: &Variant,
    records: u64,
) {
    let name = format!("{topic}-{}-{run}", variant.label);
    let folder = stack.folder(&name);
    let sink = match variant.s3 {
        true => forebay::s3_sink(&name),
        false => format!("  url: {}\n", folder.join("out").display()),
    };
    let more = format!("partition_by: [country, \"{day}\"]\nsink:\n{sink}");
    let config = forebay::config(&folder, &name, topic, "{ url: \"${FOREBAY_REGISTRY}\" }", &more);
    let args = ["run", "-c", config.to_str().unwrap(), "--drain", "--output", "json"];
    let run = forebay::start_with(&variant.environment, &folder, "run", &args);
    let ended = run.wait(forebay::LONG).succeeded();
    let summary = ended.summary();
    assert_eq!(summary["rows"], json!(records), "{summary}");
    println!(
        "{name}: {} records, {:.2} CPU-us a record, {:.0} records/s, {:.1} B a record in {} files; {}",
        records,
        ended.cpu.as_secs_f64() * 1e6 / records as f64,
        records as f64 / ended.wall.as_secs_f64(),
        summary["file_bytes"].as_f64().unwrap() / records as f64,
        summary["files"],
        ended.cost()
    );
    if let Some(proxy) = &variant.proxy {
        let [passed, refused] = proxy.counts();
        println!("{name}: so far {passed} requests passed on, {refused} refused");
    }
    if !variant.s3 {
        std::fs::remove_dir_all(folder.join("out")).unwrap();
    }
}
