//! Avro bodies → columns: the 16-field order event, in batches of 8,192 rows, beside apache-avro (to its
//! `Value`) and arrow-avro (to Arrow), in one run; then to a gzip Parquet file.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use apache_avro::types::Value;
use apache_avro::{Schema, reader::datum::GenericDatumReader};
use arrow_avro::reader::{DecoderMode, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay::clock::Seeded;
use forebay::config::{self, Reader};
use forebay::decode::{Decoder, Options, Plan};
use forebay::registry::{self, Language, Parsed};

#[path = "../tests/support/gzip_file.rs"]
mod gzip_file;

const ROWS: usize = 8_192;
const SCHEMA: &str = include_str!("../tests/corpus/event/orders.avsc");

fn pick<'a>(random: &mut Seeded, from: &[&'a str]) -> &'a str {
    from[random.below(from.len() as u64) as usize]
}

fn text(value: impl Into<String>) -> Value {
    Value::String(value.into())
}

/// One event, fields as an online shop would fill them.
fn order(random: &mut Seeded, number: i64) -> Value {
    let (a, b) = (random.next_u64(), random.next_u64());
    let status = random.below(5) as u32;
    let statuses = ["STATUS_UNSPECIFIED", "PLACED", "PAID", "SHIPPED", "CANCELLED"];
    let coupon = match random.one_in(10) {
        true => Value::Union(1, Box::new(text(format!("SAVE{}", random.below(50))))),
        false => Value::Union(0, Box::new(Value::Null)),
    };
    let device = vec![
        (
            "os".to_owned(),
            text(pick(random, &["ios", "android", "windows", "macos", "linux", "other"])),
        ),
        ("version".to_owned(), Value::Int(1 + random.below(20) as i32)),
    ];
    let tags = (0..random.below(5)).map(|_| text(format!("tag-{}", random.below(50)))).collect();
    let fields = [
        ("order_id", text(apache_avro::Uuid::from_u64_pair(a, b).to_string())),
        ("customer_id", Value::Long(1_000_000 + number)),
        (
            "created_at",
            Value::TimestampMillis(1_760_000_000_000 + number * 21 + random.below(1_000) as i64),
        ),
        ("country", text(format!("C{}", random.below(20).min(random.below(20))))),
        ("city", text(format!("city-{}", random.below(500)))),
        ("currency", text(pick(random, &["EUR", "USD", "GBP", "CHF", "SEK", "PLN", "CZK", "DKK"]))),
        ("amount", Value::Double(random.below(100_000) as f64 / 100.0)),
        ("quantity", Value::Int(1 + random.below(12) as i32)),
        ("status", Value::Enum(status, statuses[status as usize].to_owned())),
        ("is_gift", Value::Boolean(random.one_in(20))),
        ("email", text(format!("user{:07}@example.com", random.below(10_000_000)))),
        ("coupon", coupon),
        ("device", Value::Record(device)),
        ("tags", Value::Array(tags)),
        ("sku", text(format!("SKU-{:04}", random.below(5_000)))),
        ("score", Value::Double(random.unit())),
    ];
    Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn decode(c: &mut Criterion) {
    let schema = Schema::parse_str(SCHEMA).unwrap();
    let mut random = Seeded::new(1);
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().unwrap();
    let all: Vec<Vec<u8>> = (0..ROWS * gzip_file::BATCHES)
        .map(|number| writer.write_value_to_vec(order(&mut random, number as i64)).unwrap())
        .collect();
    let bodies = &all[..ROWS];

    let mut group = c.benchmark_group("avro orders");
    group.throughput(Throughput::Elements(ROWS as u64));

    let options = Options {
        value: config::Value::default(),
        readers: vec![Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb],
        limits: config::Limits::default(),
    };
    let registered = registry::Schema {
        id: 1,
        language: Language::Avro,
        parsed: Parsed::Avro(registry::AvroSchema {
            schema: schema.clone(),
            json: SCHEMA.into(),
            forgiven: Vec::new(),
        }),
    };
    let mut ours = Decoder::new(Plan::compile(&registered, &[], &options).unwrap());
    group.bench_function("forebay", |b| {
        b.iter(|| {
            bodies.iter().for_each(|body| ours.append(body).unwrap());
            black_box(ours.finish())
        });
    });

    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(1), AvroSchema::new(SCHEMA.to_owned())).unwrap();
    let mut theirs = ReaderBuilder::new()
        .with_batch_size(ROWS)
        .with_writer_schema_store(store)
        .with_active_fingerprint(Fingerprint::Id(1))
        .with_decoder_mode(DecoderMode::UnframedDatum)
        .build_decoder()
        .unwrap();
    group.bench_function("arrow-avro", |b| {
        b.iter(|| {
            for body in bodies {
                theirs.decode(body).unwrap();
            }
            black_box(theirs.flush().unwrap())
        });
    });

    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    group.sample_size(20);
    group.bench_function("apache-avro, values only", |b| {
        b.iter(|| {
            for body in bodies {
                black_box(reader.read_value(&mut body.as_slice()).unwrap());
            }
        });
    });
    group.finish();

    // The same with the file: decode and encode, as a pipeline with one lane does.
    let mut group = c.benchmark_group("avro orders to gzip Parquet");
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

criterion_group!(benches, decode);
criterion_main!(benches);
