//! Avro bodies → columns: nanoseconds a record for each shape of `tests/support/shapes.rs`, in batches of
//! 8,192 rows, beside apache-avro (to its `Value`) and arrow-avro (to Arrow), in one run; the flat one then
//! to a gzip Parquet file.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::hint::black_box;
use std::time::Duration;

use apache_avro::{Schema, reader::datum::GenericDatumReader};
use arrow_avro::reader::{Decoder, DecoderMode, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay::registry::Language;

#[path = "../tests/support/gzip_file.rs"]
mod gzip_file;
#[path = "../tests/support/shapes.rs"]
mod shapes;
mod support;

use shapes::ROWS;
use support::{per_record, say_size};

fn arrow_avro(avsc: &str) -> Decoder {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(1), AvroSchema::new(avsc.to_owned())).unwrap();
    ReaderBuilder::new()
        .with_batch_size(ROWS)
        .with_writer_schema_store(store)
        .with_active_fingerprint(Fingerprint::Id(1))
        .with_decoder_mode(DecoderMode::UnframedDatum)
        .build_decoder()
        .unwrap()
}

fn decode(c: &mut Criterion) {
    for shape in shapes::all() {
        let bodies = shape.bodies(Language::Avro, ROWS);
        let name = format!("avro {}", shape.name);
        say_size(&name, &bodies);
        let mut group = c.benchmark_group(name);
        group.warm_up_time(Duration::from_secs(1)).sample_size(50);

        let mut ours = shape.decoder(Language::Avro);
        per_record(&mut group, "forebay", ROWS, || {
            bodies.iter().for_each(|body| ours.append(body).unwrap());
            black_box(ours.finish());
        });
        let mut theirs = arrow_avro(&shape.avsc);
        per_record(&mut group, "arrow-avro", ROWS, || {
            for body in &bodies {
                theirs.decode(body).unwrap();
            }
            black_box(theirs.flush().unwrap());
        });
        let schema = Schema::parse_str(&shape.avsc).unwrap();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        group.sample_size(20);
        per_record(&mut group, "apache-avro, values only", ROWS, || {
            for body in &bodies {
                black_box(reader.read_value(&mut body.as_slice()).unwrap());
            }
        });
        group.finish();
    }
}

/// Decode and encode, as a pipeline with one lane does.
fn to_file(c: &mut Criterion) {
    let shape = &shapes::all()[0];
    let all = shape.bodies(Language::Avro, ROWS * gzip_file::BATCHES);
    let (mut ours, mut theirs) = (shape.decoder(Language::Avro), arrow_avro(&shape.avsc));
    let mut group = c.benchmark_group("avro flat to gzip Parquet");
    group.throughput(Throughput::Elements((ROWS * gzip_file::BATCHES) as u64)).sample_size(10);
    group.bench_function("forebay", |b| {
        b.iter(|| {
            gzip_file::ours(|batch| {
                all[batch * ROWS..][..ROWS].iter().for_each(|body| ours.append(body).unwrap());
                ours.finish()
            })
        });
    });
    group.bench_function("arrow-avro and ArrowWriter", |b| {
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
