//! JSON bodies → columns: nanoseconds a record for each shape of `tests/support/shapes.rs`, in batches of
//! 8,192 rows, beside arrow-json (to Arrow) and serde_json (to its `Value`), in one run; members as the
//! schema lists them, then sorted by name; the flat one then to a gzip Parquet file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef};
use arrow_json::reader::{Decoder, ReaderBuilder};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay::registry::Language;
use serde_json::Value;

#[path = "../tests/support/gzip_file.rs"]
mod gzip_file;
#[path = "../tests/support/shapes.rs"]
mod shapes;
mod support;

use shapes::ROWS;
use support::{per_record, say_size};

/// arrow-json knows zones by their offset, not by name.
fn arrow_json(columns: &SchemaRef) -> Decoder {
    let zoned = |field: &FieldRef| match field.data_type() {
        DataType::Timestamp(unit, Some(_)) => {
            let kind = DataType::Timestamp(*unit, Some("+00:00".into()));
            Arc::new(field.as_ref().clone().with_data_type(kind))
        }
        _ => field.clone(),
    };
    let columns: Fields = columns.fields().iter().map(zoned).collect();
    let columns = Arc::new(Schema::new(columns));
    ReaderBuilder::new(columns).with_batch_size(ROWS).build_decoder().unwrap()
}

fn decode(c: &mut Criterion) {
    for shape in shapes::all() {
        let bodies = shape.bodies(Language::Json, ROWS);
        // A tree of serde_json keeps its members sorted.
        let sorted: Vec<Vec<u8>> = bodies
            .iter()
            .map(|body| serde_json::from_slice::<Value>(body).unwrap().to_string().into_bytes())
            .collect();
        let name = format!("json {}", shape.name);
        say_size(&name, &bodies);
        let mut group = c.benchmark_group(name);
        group.warm_up_time(Duration::from_secs(1)).sample_size(50);

        let mut ours = shape.decoder(Language::Json);
        let mut theirs = arrow_json(&ours.plan().schema);
        for (order, bodies) in [("", &bodies), (", members by name", &sorted)] {
            per_record(&mut group, &format!("forebay{order}"), ROWS, || {
                bodies.iter().for_each(|body| ours.append(body).unwrap());
                black_box(ours.finish());
            });
            per_record(&mut group, &format!("arrow-json{order}"), ROWS, || {
                for body in bodies {
                    theirs.decode(body).unwrap();
                }
                black_box(theirs.flush().unwrap());
            });
        }
        group.sample_size(20);
        per_record(&mut group, "serde_json, values only", ROWS, || {
            for body in &bodies {
                black_box(serde_json::from_slice::<Value>(body).unwrap());
            }
        });
        group.finish();
    }
}

/// Decode and encode, as a pipeline with one lane does.
fn to_file(c: &mut Criterion) {
    let shape = &shapes::all()[0];
    let all = shape.bodies(Language::Json, ROWS * gzip_file::BATCHES);
    let mut ours = shape.decoder(Language::Json);
    let mut theirs = arrow_json(&ours.plan().schema);
    let mut group = c.benchmark_group("json flat to gzip Parquet");
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

criterion_group!(benches, decode, to_file);
criterion_main!(benches);
