//! Protobuf bodies → columns: nanoseconds a record for each shape of `tests/support/shapes.rs`, in batches
//! of 8,192 rows, beside prost-reflect (to its `DynamicMessage`) and ptars-core (to Arrow), in one run; the
//! flat one then to a gzip Parquet file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::time::Duration;

use arrow::array::BinaryArray;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay::registry::{Language, Parsed};
use prost_reflect::{DynamicMessage, MessageDescriptor};

#[path = "../tests/support/gzip_file.rs"]
mod gzip_file;
#[path = "../tests/support/shapes.rs"]
mod shapes;
mod support;

use shapes::{ROWS, Shape};
use support::{per_record, say_size};

fn message(shape: &Shape) -> MessageDescriptor {
    match &shape.schema(Language::Protobuf).parsed {
        Parsed::Protobuf(file) => file.messages().next().unwrap(),
        Parsed::Avro(_) | Parsed::Json(_) => unreachable!("compiled as Protobuf"),
    }
}

fn decode(c: &mut Criterion) {
    let config = ptars_core::PtarsConfig::new();
    for shape in shapes::all() {
        let message = message(&shape);
        let bodies = shape.bodies(Language::Protobuf, ROWS);
        let name = format!("protobuf {}", shape.name);
        say_size(&name, &bodies);
        let mut group = c.benchmark_group(name);
        group.warm_up_time(Duration::from_secs(1)).sample_size(50);

        let mut ours = shape.decoder(Language::Protobuf);
        per_record(&mut group, "forebay", ROWS, || {
            bodies.iter().for_each(|body| ours.append(body).unwrap());
            black_box(ours.finish());
        });
        let array = BinaryArray::from_iter_values(&bodies);
        per_record(&mut group, "ptars-core", ROWS, || {
            let batch = ptars_core::binary_array_to_record_batch_direct(&array, &message, &config);
            black_box(batch.unwrap());
        });
        group.sample_size(20);
        per_record(&mut group, "prost-reflect, values only", ROWS, || {
            for body in &bodies {
                black_box(DynamicMessage::decode(message.clone(), body.as_slice()).unwrap());
            }
        });
        group.finish();
    }
}

/// Decode and encode, as a pipeline with one lane does.
fn to_file(c: &mut Criterion) {
    let shape = &shapes::all()[0];
    let (message, config) = (message(shape), ptars_core::PtarsConfig::new());
    let all = shape.bodies(Language::Protobuf, ROWS * gzip_file::BATCHES);
    let mut ours = shape.decoder(Language::Protobuf);
    let mut group = c.benchmark_group("protobuf flat to gzip Parquet");
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

criterion_group!(benches, decode, to_file);
criterion_main!(benches);
