//! Four shapes of records, each as a Protobuf file, an Avro schema, a JSON Schema, and values as JSON: what
//! the decode benchmarks measure.
//!
//! One value serves all encodings: `registry::encode` takes plain JSON, and leaves out what is absent. A JSON
//! record has its members in the order of its schema, and instants as text.

use std::fmt::Write;
use std::sync::Arc;

use arrow::datatypes::{DataType, Fields};
use forebay::clock::Seeded;
use forebay::config::{Limits, Reader, Value as Values};
use forebay::decode::{Decoder, Options, Plan};
use forebay::registry::compile::compile;
use forebay::registry::encode::Encoder;
use forebay::registry::{Language, Schema};
use serde_json::{Map, Value, json};

/// Rows of one batch.
pub const ROWS: usize = 8_192;

/// One shape of records.
pub struct Shape {
    pub name: &'static str,
    /// Of which the first message is meant.
    pub proto: String,
    pub avsc: String,
    pub json: String,
    /// Record number `n` of a stream.
    pub value: fn(&mut Seeded, i64) -> Value,
}

/// `flat`: 16 fields, an order. `nested`: lists of messages, a map, four levels. `wide`: 100 columns, all
/// set. `sparse`: 100 columns, one in ten set.
pub fn all() -> Vec<Shape> {
    let include = |name, [proto, avsc, json]: [&str; 3], value| Shape {
        name,
        proto: proto.to_owned(),
        avsc: avsc.to_owned(),
        json: json.to_owned(),
        value,
    };
    vec![
        include(
            "flat",
            [
                include_str!("../corpus/event/orders.proto"),
                include_str!("../corpus/event/orders.avsc"),
                include_str!("../corpus/event/orders.schema.json"),
            ],
            order,
        ),
        include(
            "nested",
            [
                include_str!("../corpus/event/bids.proto"),
                include_str!("../corpus/event/bids.avsc"),
                include_str!("../corpus/event/bids.schema.json"),
            ],
            bid,
        ),
        Shape {
            name: "wide",
            proto: columns_proto(""),
            avsc: columns_avsc(false),
            json: columns_json(false),
            value: wide,
        },
        Shape {
            name: "sparse",
            proto: columns_proto("optional "),
            avsc: columns_avsc(true),
            json: columns_json(true),
            value: sparse,
        },
    ]
}

impl Shape {
    pub fn schema(&self, language: Language) -> Arc<Schema> {
        let text = match language {
            Language::Protobuf => &self.proto,
            Language::Avro => &self.avsc,
            Language::Json => &self.json,
        };
        Arc::new(compile(1, language, text, &[]).expect("a schema of the corpus"))
    }

    /// Bodies of the first `count` records, without frames.
    pub fn bodies(&self, language: Language, count: usize) -> Vec<Vec<u8>> {
        if language == Language::Json {
            return self.texts(count);
        }
        let encoder = Encoder::new(self.schema(language), None).expect("an encoder");
        let mut random = Seeded::new(1);
        let body = |n| {
            let mut out = Vec::new();
            encoder.body(&(self.value)(&mut random, n as i64), &mut out).expect("a value");
            out
        };
        (0..count).map(body).collect()
    }

    /// The same as JSON texts.
    fn texts(&self, count: usize) -> Vec<Vec<u8>> {
        let columns = self.decoder(Language::Json).plan().schema.clone();
        let mut random = Seeded::new(1);
        let text = |n| {
            let mut out = String::new();
            members(&(self.value)(&mut random, n as i64), columns.fields(), &mut out);
            out.into_bytes()
        };
        (0..count).map(text).collect()
    }

    /// Forebay's decoder as a pipeline would have it by default.
    pub fn decoder(&self, language: Language) -> Decoder {
        let options = Options {
            value: Values::default(),
            readers: vec![Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb],
            limits: Limits::default(),
        };
        Decoder::new(Plan::compile(&self.schema(language), &[0], &options).expect("a plan"))
    }
}

/// An object as text, its members in the order of the columns; those that are absent are left out.
fn members(value: &Value, fields: &Fields, out: &mut String) {
    out.push('{');
    let there = fields.iter().filter_map(|field| Some((field, value.get(field.name())?)));
    for (at, (field, value)) in there.enumerate() {
        let _ = write!(out, "{}\"{}\":", if at == 0 { "" } else { "," }, field.name());
        text(value, field.data_type(), out);
    }
    out.push('}');
}

fn text(value: &Value, kind: &DataType, out: &mut String) {
    match (kind, value) {
        (DataType::Struct(fields), _) => members(value, fields, out),
        (DataType::List(item), Value::Array(items)) => {
            out.push('[');
            for (at, value) in items.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                text(value, item.data_type(), out);
            }
            out.push(']');
        }
        (DataType::Timestamp(..), Value::Number(ms)) => {
            let instant = jiff::Timestamp::from_millisecond(ms.as_i64().expect("milliseconds"));
            let _ = write!(out, "\"{}\"", instant.expect("an instant of our time"));
        }
        (_, value) => {
            let _ = write!(out, "{value}");
        }
    }
}

fn pick<'a>(random: &mut Seeded, words: &'a str) -> &'a str {
    let count = words.split(' ').count() as u64;
    words.split(' ').nth(random.below(count) as usize).unwrap_or_default()
}

fn uuid(random: &mut Seeded) -> String {
    let (a, b) = (random.next_u64(), random.next_u64());
    let (c, d) = ((a >> 16) as u16, a as u16);
    format!("{:08x}-{c:04x}-{d:04x}-{:04x}-{:012x}", a >> 32, b >> 48, b & 0xffff_ffff_ffff)
}

fn texts(random: &mut Seeded, most: u64, text: impl Fn(&mut Seeded) -> String) -> Vec<String> {
    (0..random.below(most + 1)).map(|_| text(random)).collect()
}

/// An order of an online shop; one in ten has a coupon.
fn order(r: &mut Seeded, n: i64) -> Value {
    let mut order = json!({
        "order_id": uuid(r),
        "customer_id": 1_000_000 + n,
        "created_at": 1_760_000_000_000 + n * 21 + r.below(1_000) as i64,
        "country": format!("C{}", r.below(20).min(r.below(20))),
        "city": format!("city-{}", r.below(500)),
        "currency": pick(r, "EUR USD GBP CHF SEK PLN CZK DKK"),
        "amount": r.below(100_000) as f64 / 100.0,
        "quantity": 1 + r.below(12),
        "status": pick(r, "STATUS_UNSPECIFIED PLACED PAID SHIPPED CANCELLED"),
        "is_gift": r.one_in(20),
        "email": format!("user{:07}@example.com", r.below(10_000_000)),
        "device": {"os": pick(r, "ios android windows macos linux other"), "version": 1 + r.below(20)},
        "tags": texts(r, 4, |r| format!("tag-{}", r.below(50))),
        "sku": format!("SKU-{:04}", r.below(5_000)),
        "score": r.unit(),
    });
    if r.one_in(10) {
        order["coupon"] = json!(format!("SAVE{}", r.below(50)));
    }
    order
}

/// A bid request, of about 600 bytes.
fn bid(r: &mut Seeded, n: i64) -> Value {
    let imp: Vec<Value> = (0..1 + r.below(3))
        .map(|i| {
            json!({
                "id": (i + 1).to_string(),
                "banner": {
                    "w": 160 + 8 * r.below(40), "h": 90 + 10 * r.below(30), "pos": r.below(8),
                    "battr": (0..r.below(5)).map(|_| r.below(17)).collect::<Vec<_>>(),
                },
                "bidfloor": r.below(500) as f64 / 100.0,
                "tagid": format!("tag-{:06}", r.below(1_000_000)),
                "secure": !r.one_in(4),
            })
        })
        .collect();
    let site = r.below(2_000);
    let mut device = json!({
        "ua": format!("Mozilla/5.0 (Linux; Android {}; SM-G{}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
            8 + r.below(8), 900 + r.below(99), 90 + r.below(50)),
        "ip": format!("{}.{}.{}.{}", r.below(256), r.below(256), r.below(256), r.below(256)),
        "geo": {
            "lat": r.below(18_000_000) as f64 / 1e5 - 90.0, "lon": r.below(36_000_000) as f64 / 1e5 - 180.0,
            "country": pick(r, "DEU FRA USA GBR POL ESP ITA NLD"), "city": format!("city-{}", r.below(500)),
        },
        "os": pick(r, "Android iOS Windows macOS"), "osv": format!("{}.{}", 8 + r.below(10), r.below(6)),
        "model": format!("model-{}", r.below(300)),
        "kind": pick(r, "UNKNOWN PHONE TABLET DESKTOP TV"),
    });
    if !r.one_in(3) {
        device["ifa"] = json!(uuid(r));
    }
    let mut user = json!({"id": uuid(r)});
    if r.one_in(3) {
        user["yob"] = json!(1940 + r.below(70));
        user["gender"] = json!(pick(r, "F M O"));
    }
    json!({
        "id": uuid(r),
        "at": 1_760_000_000_000 + n * 3,
        "imp": imp,
        "site": {
            "id": site.to_string(), "domain": format!("site-{site}.example.com"),
            "cat": texts(r, 3, |r| format!("IAB{}", 1 + r.below(26))),
            "page": format!("https://site-{site}.example.com/articles/{}", r.below(100_000)),
            "publisher": {"id": (site / 7).to_string(), "name": format!("Publisher {}", site / 7)},
        },
        "device": device,
        "user": user,
        "tmax": 100 + 10 * r.below(20),
        "cur": ["EUR"],
        "bcat": texts(r, 5, |r| format!("IAB{}-{}", 1 + r.below(26), 1 + r.below(20))),
        "ext": {"exchange": pick(r, "a b c d"), "schain": format!("1.0,{}!{}", r.below(50), r.below(9_999))},
    })
}

const COLUMNS: usize = 100;

/// Of ten columns four are whole numbers, two floats, three texts, one a flag.
fn kind(column: usize) -> (&'static str, &'static str) {
    match column % 10 {
        0..=3 => ("int64", "long"),
        4 | 5 => ("double", "double"),
        6..=8 => ("string", "string"),
        _ => ("bool", "boolean"),
    }
}

fn columns_proto(label: &str) -> String {
    let mut text = "syntax = \"proto3\";\npackage rig;\nmessage Columns {\n".to_owned();
    for i in 0..COLUMNS {
        let _ = writeln!(text, "  {label}{} c{i} = {};", kind(i).0, i + 1);
    }
    text + "}\n"
}

fn columns_avsc(nullable: bool) -> String {
    let fields: Vec<Value> = (0..COLUMNS)
        .map(|i| match nullable {
            true => json!({"name": format!("c{i}"), "type": ["null", kind(i).1], "default": null}),
            false => json!({"name": format!("c{i}"), "type": kind(i).1}),
        })
        .collect();
    json!({"type": "record", "name": "Columns", "namespace": "rig", "fields": fields}).to_string()
}

fn columns_json(nullable: bool) -> String {
    let kind = |i| match kind(i).1 {
        "long" => "integer",
        "double" => "number",
        other => other,
    };
    let name = |i| format!("c{i}");
    let properties: Vec<String> =
        (0..COLUMNS).map(|i| format!(r#""{}":{{"type":"{}"}}"#, name(i), kind(i))).collect();
    let required: Vec<String> = (0..COLUMNS).filter(|_| !nullable).map(name).collect();
    let (properties, required) = (properties.join(","), json!(required));
    format!(
        r#"{{"title":"Columns","type":"object","properties":{{{properties}}},"required":{required}}}"#
    )
}

fn cell(r: &mut Seeded, column: usize, n: i64) -> Value {
    match kind(column).1 {
        "long" => json!(r.below(1 << (4 * (column % 10) + 8)) as i64 + n),
        "double" => json!(r.unit()),
        "string" => json!(format!("value-{}", r.below(10_000))),
        _ => json!(r.one_in(2)),
    }
}

fn wide(r: &mut Seeded, n: i64) -> Value {
    let cells = (0..COLUMNS).map(|i| (format!("c{i}"), cell(r, i, n)));
    Value::Object(cells.collect::<Map<_, _>>())
}

fn sparse(r: &mut Seeded, n: i64) -> Value {
    let mut cells = Map::new();
    for i in 0..COLUMNS {
        if r.one_in(10) {
            cells.insert(format!("c{i}"), cell(r, i, n));
        }
    }
    Value::Object(cells)
}
