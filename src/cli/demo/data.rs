//! Records of the demo: a web shop's orders (Protobuf) and payments (Avro), made from a seed.

use serde_json::{Value, json};

use crate::clock::Seeded;

/// First moment of the demo's day: 2026-01-01T00:00:00Z, in ms.
const DAY_MS: i64 = 1_767_225_600_000;
/// The events rise over this span, so that they touch two days.
const SPAN_MS: i64 = 36 * 3_600_000;

const COUNTRIES: [&str; 20] = [
    "DE", "FR", "GB", "US", "NL", "ES", "IT", "PL", "SE", "AT", "BE", "CH", "DK", "FI", "IE", "NO",
    "PT", "CZ", "JP", "BR",
];
const CURRENCIES: [&str; 8] = ["EUR", "USD", "GBP", "CHF", "SEK", "PLN", "JPY", "BRL"];
const STATUS: [&str; 5] = ["PLACED", "PAID", "SHIPPED", "CANCELLED", "STATUS_UNSPECIFIED"];
const SYSTEMS: [&str; 6] = ["iOS", "Android", "Windows", "macOS", "Linux", "ChromeOS"];
const TAGS: [&str; 10] =
    ["new", "vip", "promo", "bulk", "fragile", "express", "eco", "preorder", "b2b", "outlet"];

fn pick<'a>(random: &mut Seeded, from: &[&'a str]) -> &'a str {
    from[random.below(from.len() as u64) as usize]
}

/// A country; the first ones much more often than the last.
fn country(random: &mut Seeded) -> &'static str {
    let skewed = random.unit() * random.unit();
    COUNTRIES[((skewed * COUNTRIES.len() as f64) as usize).min(COUNTRIES.len() - 1)]
}

fn uuid(random: &mut Seeded) -> String {
    let bits = (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
}

/// Milliseconds since 1970 of record `index` of `count`.
pub fn time_ms(random: &mut Seeded, index: u64, count: u64) -> i64 {
    let rising = (SPAN_MS as f64 * (index as f64 / count.max(1) as f64)) as i64;
    DAY_MS + rising + random.below(60_000) as i64
}

fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map(|t| t.to_string()).unwrap_or_default()
}

/// An order as version 1 or 2 of its schema has it: (key, value).
pub fn order(random: &mut Seeded, index: u64, time_ms: i64, version: u32) -> (String, Value) {
    let order_id = uuid(random);
    let tags: Vec<&str> = (0..random.below(5)).map(|_| pick(random, &TAGS)).collect();
    let mut value = json!({
        "orderId": order_id,
        "customerId": (1_000_000 + index).to_string(),
        "createdAt": rfc3339(time_ms),
        "country": country(random),
        "city": format!("City {}", random.below(500)),
        "currency": pick(random, &CURRENCIES),
        "amount": (random.below(50_000) as f64 + 99.0) / 100.0,
        "quantity": 1 + random.below(12),
        "status": pick(random, &STATUS),
        "isGift": random.one_in(20),
        "email": format!("user{}@example.com", random.below(10_000_000)),
        "device": {"os": pick(random, &SYSTEMS), "version": 1 + random.below(20)},
        "tags": tags,
        "sku": format!("SKU-{:05}", random.below(5_000)),
        "score": random.unit(),
    });
    if random.one_in(10) {
        value["coupon"] = json!(format!("SAVE{}", random.below(50)));
    }
    if version >= 2 {
        value["channel"] = json!(pick(random, &["web", "app", "store"]));
        value["attributes"] = json!({"campaign": format!("c{}", random.below(30))});
        value["shipping"] = json!({
            "carrier": pick(random, &["DHL", "UPS", "GLS"]),
            "promisedAt": rfc3339(time_ms + 86_400_000 * (1 + random.below(5) as i64)),
            "weightG": 50 + random.below(5_000),
        });
    }
    (order_id, value)
}

/// A payment as version 1 or 2 of its schema has it: (key, value).
pub fn payment(random: &mut Seeded, time_ms: i64, version: u32) -> (String, Value) {
    let payment_id = uuid(random);
    let method = if random.one_in(4) {
        json!({"shop.Transfer": {"iban": format!("DE{:020}", random.below(1 << 60))}})
    } else {
        json!({"shop.Card": {
            "brand": pick(random, &["VISA", "MASTERCARD", "AMEX"]),
            "last_four": format!("{:04}", random.below(10_000)),
            "expires": 20_500 + random.below(1_500),
        }})
    };
    let mut value = json!({
        "payment_id": payment_id,
        "order_id": uuid(random),
        "paid_at": time_ms,
        "amount": format!("{}.{:02}", random.below(500), random.below(100)),
        "currency": pick(random, &CURRENCIES),
        "state": pick(random, &["AUTHORIZED", "CAPTURED", "REFUNDED"]),
        "method": method,
        "fees": {"scheme": random.below(40), "interchange": random.below(90)},
        "note": if random.one_in(5) { json!({"string": "manual review"}) } else { Value::Null },
    });
    if version >= 2 {
        value["risk_score"] = json!({"double": random.unit()});
        value["labels"] = json!([pick(random, &TAGS)]);
    }
    (payment_id, value)
}
