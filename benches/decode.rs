//! Protobuf bodies → columns: the 16-field order event, in batches of 8,192 rows, beside prost-reflect (to
//! its `DynamicMessage`) and ptars-core (to Arrow), in one run; then to a gzip Parquet file.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use arrow::array::BinaryArray;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay::clock::Seeded;
use forebay::config::{self, Reader};
use forebay::decode::{Decoder, Options, Plan};
use forebay::registry::{Language, Parsed, Schema};
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FileDescriptor, MessageDescriptor, Value};

#[path = "../tests/support/gzip_file.rs"]
mod gzip_file;

const ROWS: usize = 8_192;

/// Compiles the event's file, which imports nothing.
fn orders() -> FileDescriptor {
    let text = include_str!("../tests/corpus/event/orders.proto");
    let file = protox::file::File::from_source("orders.proto", text).unwrap();
    let mut pool = prost_reflect::DescriptorPool::new();
    pool.add_file_descriptor_proto(file.file_descriptor_proto().clone()).unwrap();
    pool.get_file_by_name("orders.proto").unwrap()
}

fn pick(random: &mut Seeded, from: &[&str]) -> Value {
    text(from[random.below(from.len() as u64) as usize])
}

fn text(value: impl Into<String>) -> Value {
    Value::String(value.into())
}

/// One event, values spread as an online shop's would be.
fn order(random: &mut Seeded, message: &MessageDescriptor, number: i64) -> Vec<u8> {
    let (a, b) = (random.next_u64(), random.next_u64());
    let device_field = message.get_field_by_name("device").unwrap();
    let mut device = DynamicMessage::new(device_field.kind().as_message().unwrap().clone());
    let systems = ["ios", "android", "windows", "macos", "linux", "other"];
    device.set_field_by_name("os", pick(random, &systems));
    device.set_field_by_name("version", Value::I32(1 + random.below(20) as i32));
    let tags = (0..random.below(5)).map(|_| text(format!("tag-{}", random.below(50)))).collect();
    let currencies = ["EUR", "USD", "GBP", "CHF", "SEK", "PLN", "CZK", "DKK"];
    let country = random.below(20).min(random.below(20));
    let jitter = random.below(1_000) as i64;
    let fields = [
        ("order_id", text(uuid::Uuid::from_u64_pair(a, b).to_string())),
        ("customer_id", Value::I64(1_000_000 + number)),
        ("created_at", Value::I64(1_760_000_000_000 + number * 21 + jitter)),
        ("country", text(format!("C{country}"))),
        ("city", text(format!("city-{}", random.below(500)))),
        ("currency", pick(random, &currencies)),
        ("amount", Value::F64(random.below(100_000) as f64 / 100.0)),
        ("quantity", Value::I32(1 + random.below(12) as i32)),
        ("status", Value::EnumNumber(random.below(5) as i32)),
        ("is_gift", Value::Bool(random.one_in(20))),
        ("email", text(format!("user{:07}@example.com", random.below(10_000_000)))),
        ("device", Value::Message(device)),
        ("tags", Value::List(tags)),
        ("sku", text(format!("SKU-{:04}", random.below(5_000)))),
        ("score", Value::F64(random.unit())),
    ];
    let mut order = DynamicMessage::new(message.clone());
    for (name, value) in fields {
        order.set_field_by_name(name, value);
    }
    if random.one_in(10) {
        order.set_field_by_name("coupon", text(format!("SAVE{}", random.below(50))));
    }
    order.encode_to_vec()
}

fn decode(c: &mut Criterion) {
    let file = orders();
    let message = file.messages().next().unwrap();
    let mut random = Seeded::new(1);
    let all: Vec<Vec<u8>> = (0..ROWS * gzip_file::BATCHES)
        .map(|number| order(&mut random, &message, number as i64))
        .collect();
    let bodies = &all[..ROWS];

    let mut group = c.benchmark_group("protobuf orders");
    group.throughput(Throughput::Elements(ROWS as u64));

    let options = Options {
        value: config::Value::default(),
        readers: vec![Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb],
        limits: config::Limits::default(),
    };
    let schema =
        Schema { id: 1, language: Language::Protobuf, parsed: Parsed::Protobuf(file.into()) };
    let mut ours = Decoder::new(Plan::compile(&schema, &[0], &options).unwrap());
    group.bench_function("forebay", |b| {
        b.iter(|| {
            bodies.iter().for_each(|body| ours.append(body).unwrap());
            black_box(ours.finish())
        });
    });

    let array = BinaryArray::from_iter_values(bodies);
    let config = ptars_core::PtarsConfig::new();
    group.bench_function("ptars-core", |b| {
        b.iter(|| {
            let batch = ptars_core::binary_array_to_record_batch_direct(&array, &message, &config);
            black_box(batch.unwrap())
        });
    });

    group.sample_size(20);
    group.bench_function("prost-reflect, values only", |b| {
        b.iter(|| {
            for body in bodies {
                black_box(DynamicMessage::decode(message.clone(), body.as_slice()).unwrap());
            }
        });
    });
    group.finish();

    // The same with the file: decode and encode, as a pipeline with one lane does.
    let mut group = c.benchmark_group("protobuf orders to gzip Parquet");
    group.throughput(Throughput::Elements((ROWS * gzip_file::BATCHES) as u64)).sample_size(10);
    group.bench_function("forebay", |b| {
        b.iter(|| {
            gzip_file::ours(|batch| {
                all[batch * ROWS..][..ROWS].iter().for_each(|body| ours.append(body).unwrap());
                ours.finish()
            })
        });
    });
    let arrays: Vec<BinaryArray> = all.chunks(ROWS).map(BinaryArray::from_iter_values).collect();
    group.bench_function("ptars-core and ArrowWriter", |b| {
        b.iter(|| {
            gzip_file::stock(|batch| {
                let array = &arrays[batch];
                ptars_core::binary_array_to_record_batch_direct(array, &message, &config).unwrap()
            })
        });
    });
    group.finish();
}

criterion_group!(benches, decode);
criterion_main!(benches);
