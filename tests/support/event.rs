//! The 16-field event that benches and tests encode: rows from a seed, the same on every machine.
//!
//! Values: order_id unique, customer_id a running number, created_at rising over six hours with jitter,
//! country 20 values skewed, city 500, currency 8, amount with cents, quantity 1 to 12, status 5,
//! is_gift 5 %, email nearly unique, coupon in 10 %, device {os of 6, version 1 to 20}, tags 0 to 4 of
//! 50, sku 5,000, score uniform.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, SchemaRef, TimeUnit};
use forebay::clock::Seeded;

const COUNTRIES: &str = "FR DE US GB ES IT NL BE PL SE NO DK FI PT CH AT CZ IE GR JP";
const CURRENCIES: &str = "EUR USD GBP CHF SEK NOK PLN JPY";
const STATUSES: &str = "STATUS_UNSPECIFIED PLACED PAID SHIPPED CANCELLED";
const SYSTEMS: &str = "ios android windows macos linux tv";

fn device_fields() -> Fields {
    Fields::from(vec![
        Field::new("os", DataType::Utf8, false),
        Field::new("version", DataType::Int32, false),
    ])
}

pub fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let status = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        text("order_id"),
        Field::new("customer_id", DataType::Int64, false),
        Field::new("created_at", time, false),
        text("country"),
        text("city"),
        text("currency"),
        Field::new("amount", DataType::Float64, false),
        Field::new("quantity", DataType::Int32, false),
        Field::new("status", status, false),
        Field::new("is_gift", DataType::Boolean, false),
        text("email"),
        Field::new("coupon", DataType::Utf8, true),
        Field::new("device", DataType::Struct(device_fields()), false),
        Field::new("tags", DataType::List(Arc::new(text("element"))), false),
        text("sku"),
        Field::new("score", DataType::Float64, false),
    ]))
}

/// `rows` events, of which the first is number `first` of the stream.
pub fn batch(seed: u64, first: i64, rows: usize) -> RecordBatch {
    let mut random = Seeded::new(seed ^ (first as u64) << 20);
    let of = |list: &'static str, n: u64| list.split(' ').nth(n as usize).unwrap_or("?");
    let strings = |f: &mut dyn FnMut(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(f)))
    };
    let mut r = || random.next_u64();
    let order_id = strings(&mut |_| {
        let (a, b) = (r(), r());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) as u16,
            a as u16,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    });
    let customer_id: Vec<i64> = (0..rows as i64).map(|i| 1_000_000 + first + i).collect();
    let created_at: Vec<i64> = (0..rows as i64)
        .map(|i| 1_767_312_000_000 + (first + i) * 22 + (r() % 2_000) as i64)
        .collect();
    let skewed = |n: u64, r: u64| ((r % n) * ((r >> 32) % n)) / n;
    let country = strings(&mut |_| of(COUNTRIES, skewed(20, r())).to_owned());
    let city = strings(&mut |_| format!("city-{:03}", r() % 500));
    let currency = strings(&mut |_| of(CURRENCIES, r() % 8).to_owned());
    let amount: Vec<f64> = (0..rows).map(|_| (r() % 50_000) as f64 / 100.0 + 0.99).collect();
    let quantity: Vec<i32> = (0..rows).map(|_| (r() % 12) as i32 + 1).collect();
    let status: DictionaryArray<Int32Type> =
        (0..rows).map(|_| Some(of(STATUSES, r() % 5))).collect();
    let is_gift: BooleanArray = (0..rows).map(|_| Some(r() % 20 == 0)).collect();
    let email = strings(&mut |_| format!("u{:09}@example.com", r() % 1_000_000_000));
    let coupon: StringArray = (0..rows)
        .map(|_| {
            let v = r();
            (v % 10 == 0).then(|| format!("SAVE{}", (v >> 8) % 40))
        })
        .collect();
    let os = strings(&mut |_| of(SYSTEMS, r() % 6).to_owned());
    let version: Vec<i32> = (0..rows).map(|_| (r() % 20) as i32 + 1).collect();
    let device =
        StructArray::new(device_fields(), vec![os, Arc::new(Int32Array::from(version))], None);
    let element = Field::new("element", DataType::Utf8, false);
    let mut tags = ListBuilder::new(StringBuilder::new()).with_field(element);
    for _ in 0..rows {
        for _ in 0..r() % 5 {
            tags.values().append_value(format!("tag-{:02}", r() % 50));
        }
        tags.append(true);
    }
    let sku = strings(&mut |_| format!("SKU-{:06}", r() % 5_000));
    let score: Vec<f64> = (0..rows).map(|_| (r() >> 11) as f64 / (1u64 << 53) as f64).collect();
    let columns: Vec<ArrayRef> = vec![
        order_id,
        Arc::new(Int64Array::from(customer_id)),
        Arc::new(TimestampMillisecondArray::from(created_at).with_timezone("UTC")),
        country,
        city,
        currency,
        Arc::new(Float64Array::from(amount)),
        Arc::new(Int32Array::from(quantity)),
        Arc::new(status),
        Arc::new(is_gift),
        email,
        Arc::new(coupon),
        Arc::new(device),
        Arc::new(tags.finish()),
        sku,
        Arc::new(Float64Array::from(score)),
    ];
    RecordBatch::try_new(schema(), columns).expect("columns of the event")
}
