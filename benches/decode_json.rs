//! JSON bodies → columns: the 16-field order event, in batches of 8,192 rows, beside arrow-json (to Arrow)
//! and serde_json (to its `Value`), in one run; members as the schema lists them, and in another order;
//! then to a gzip Parquet file.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use arrow_json::reader::ReaderBuilder;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay::clock::Seeded;
use forebay::config::{self, Reader};
use forebay::decode::{Decoder, Options, Plan};
use forebay::registry::{self, JsonSchema, Language, Parsed};
use serde_json::Value;

#[path = "../tests/support/gzip_file.rs"]
mod gzip_file;

const ROWS: usize = 8_192;
const SCHEMA: &str = include_str!("../tests/corpus/event/orders.schema.json");

fn pick<'a>(random: &mut Seeded, from: &[&'a str]) -> &'a str {
    from[random.below(from.len() as u64) as usize]
}

/// One event, fields as an online shop would fill them: its members as texts, in the schema's order.
fn members(random: &mut Seeded, number: i64) -> Vec<String> {
    let order_id = uuid::Uuid::from_u64_pair(random.next_u64(), random.next_u64());
    let ms = 1_760_000_000_000 + number * 21 + random.below(1_000) as i64;
    let created_at = jiff::Timestamp::from_millisecond(ms).unwrap();
    let tags: Vec<String> =
        (0..random.below(5)).map(|_| format!("\"tag-{}\"", random.below(50))).collect();
    let coupon = match random.one_in(10) {
        true => format!("\"SAVE{}\"", random.below(50)),
        false => "null".to_owned(),
    };
    vec![
        format!(r#""order_id":"{order_id}""#),
        format!(r#""customer_id":{}"#, 1_000_000 + number),
        format!(r#""created_at":"{created_at}""#),
        format!(r#""country":"C{}""#, random.below(20).min(random.below(20))),
        format!(r#""city":"city-{}""#, random.below(500)),
        format!(
            r#""currency":"{}""#,
            pick(random, &["EUR", "USD", "GBP", "CHF", "SEK", "PLN", "CZK", "DKK"])
        ),
        format!(r#""amount":{}"#, random.below(100_000) as f64 / 100.0),
        format!(r#""quantity":{}"#, 1 + random.below(12)),
        format!(
            r#""status":"{}""#,
            pick(random, &["STATUS_UNSPECIFIED", "PLACED", "PAID", "SHIPPED", "CANCELLED"])
        ),
        format!(r#""is_gift":{}"#, random.one_in(20)),
        format!(r#""email":"user{:07}@example.com""#, random.below(10_000_000)),
        format!(r#""coupon":{coupon}"#),
        format!(
            r#""device":{{"os":"{}","version":{}}}"#,
            pick(random, &["ios", "android", "windows", "macos", "linux", "other"]),
            1 + random.below(20)
        ),
        format!(r#""tags":[{}]"#, tags.join(",")),
        format!(r#""sku":"SKU-{:04}""#, random.below(5_000)),
        format!(r#""score":{}"#, random.unit()),
    ]
}

fn body(members: &[String]) -> Vec<u8> {
    format!("{{{}}}", members.join(",")).into_bytes()
}

fn decode(c: &mut Criterion) {
    let mut random = Seeded::new(1);
    let events: Vec<Vec<String>> =
        (0..ROWS * gzip_file::BATCHES).map(|number| members(&mut random, number as i64)).collect();
    let all: Vec<Vec<u8>> = events.iter().map(|members| body(members)).collect();
    let bodies = &all[..ROWS];

    let options = Options {
        value: config::Value::default(),
        readers: vec![Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb],
        limits: config::Limits::default(),
    };
    let registered = registry::Schema {
        id: 1,
        language: Language::Json,
        parsed: Parsed::Json(JsonSchema { text: SCHEMA.to_owned(), references: Vec::new() }),
    };
    let plan = Plan::compile(&registered, &[], &options).unwrap();
    let mut ours = Decoder::new(plan.clone());
    let mut theirs =
        ReaderBuilder::new(plan.schema.clone()).with_batch_size(ROWS).build_decoder().unwrap();

    let mut group = c.benchmark_group("json orders");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("forebay", |b| {
        b.iter(|| {
            bodies.iter().for_each(|body| ours.append(body).unwrap());
            black_box(ours.finish())
        });
    });
    let reversed: Vec<Vec<u8>> = events[..ROWS]
        .iter()
        .map(|members| body(&members.iter().rev().cloned().collect::<Vec<_>>()))
        .collect();
    group.bench_function("forebay, members in another order", |b| {
        b.iter(|| {
            reversed.iter().for_each(|body| ours.append(body).unwrap());
            black_box(ours.finish())
        });
    });
    group.bench_function("arrow-json", |b| {
        b.iter(|| {
            for body in bodies {
                theirs.decode(body).unwrap();
            }
            black_box(theirs.flush().unwrap())
        });
    });
    group.sample_size(20);
    group.bench_function("serde_json, values only", |b| {
        b.iter(|| {
            for body in bodies {
                black_box(serde_json::from_slice::<Value>(body).unwrap());
            }
        });
    });
    group.finish();

    // The same with the file: decode and encode, as a pipeline with one lane does.
    let mut group = c.benchmark_group("json orders to gzip Parquet");
    group.throughput(Throughput::Elements((ROWS * gzip_file::BATCHES) as u64)).sample_size(10);
    group.bench_function("forebay", |b| {
        b.iter(|| {
            gzip_file::ours(|batch| {
                all[batch * ROWS..][..ROWS].iter().for_each(|body| ours.append(body).unwrap());
                ours.finish()
            })
        });
    });
    group.bench_function("arrow-json and ArrowWriter", |b| {
        b.iter(|| {
            gzip_file::stock(|batch| {
                for body in &all[batch * ROWS..][..ROWS] {
                    theirs.decode(body).unwrap();
                }
                theirs.flush().unwrap().unwrap()
            })
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
