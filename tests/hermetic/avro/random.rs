//! Random schemas, and random values of them, from a seed.

use std::collections::HashMap;

use apache_avro::types::Value;
use apache_avro::{Days, Decimal, Duration, Millis, Months, Schema};
use forebay::clock::Seeded;
use serde_json::{Value as Json, json};

use super::oracle::{Names, resolve};

/// Which types a random schema may have.
#[derive(Debug, Clone, Copy)]
pub struct Kinds {
    /// Records that hold themselves, unions of several types, durations, empty records: what arrow-avro
    /// does not read, or reads as another type.
    pub all: bool,
}

pub struct Schemas<'r> {
    pub random: &'r mut Seeded,
    pub kinds: Kinds,
    named: Vec<(String, bool)>,
    open: Vec<String>,
    count: u32,
}

impl<'r> Schemas<'r> {
    pub fn new(random: &'r mut Seeded, kinds: Kinds) -> Self {
        Self { random, kinds, named: Vec::new(), open: Vec::new(), count: 0 }
    }

    fn fresh(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    /// A record, the usual top level.
    pub fn record(&mut self, depth: u64) -> Json {
        let name = self.fresh("R");
        let least = u64::from(!self.kinds.all || self.open.is_empty());
        let count = least + self.random.below(6);
        self.open.push(name.clone());
        let fields: Vec<Json> = (0..count)
            .map(|i| json!({"name": format!("f{i}"), "type": self.any(depth.saturating_sub(1))}))
            .collect();
        self.open.pop();
        self.named.push((name.clone(), false));
        json!({"type": "record", "name": name, "namespace": "t", "fields": fields})
    }

    /// Any type, unions among them.
    pub fn any(&mut self, depth: u64) -> Json {
        match self.random.below(10) {
            0..4 => {
                let other = self.not_union(depth);
                if other == json!("null") {
                    return other;
                }
                if self.random.one_in(2) { json!(["null", other]) } else { json!([other, "null"]) }
            }
            4 if self.kinds.all => self.union(depth),
            _ => self.not_union(depth),
        }
    }

    fn union(&mut self, depth: u64) -> Json {
        let mut kinds = HashMap::new();
        for _ in 0..self.random.below(5) {
            let branch = self.not_union(depth.saturating_sub(1));
            let kind = match &branch {
                Json::String(name) => name.clone(),
                branch => match branch["type"].as_str().unwrap() {
                    "record" | "enum" | "fixed" => branch["name"].as_str().unwrap().to_owned(),
                    base => base.to_owned(),
                },
            };
            kinds.entry(kind).or_insert(branch);
        }
        let mut branches: Vec<(String, Json)> = kinds.into_iter().collect();
        branches.sort_by(|a, b| a.0.cmp(&b.0));
        if branches.is_empty() {
            return json!(["long"]);
        }
        Json::Array(branches.into_iter().map(|(_, branch)| branch).collect())
    }

    fn not_union(&mut self, depth: u64) -> Json {
        match self.random.below(if depth > 0 { 30 } else { 22 }) {
            0 if self.kinds.all => json!("null"),
            0 | 1 => json!("boolean"),
            2 => json!("int"),
            3 => json!("long"),
            4 => json!("float"),
            5 => json!("double"),
            6 => json!("bytes"),
            7..9 => json!("string"),
            9 => json!({"type": "int", "logicalType": "date"}),
            10 => json!({"type": "int", "logicalType": "time-millis"}),
            11 => json!({"type": "long", "logicalType": "time-micros"}),
            12 => {
                let zone = ["", "local-"][self.random.below(2) as usize];
                let unit = ["millis", "micros", "nanos"][self.random.below(3) as usize];
                json!({"type": "long", "logicalType": format!("{zone}timestamp-{unit}")})
            }
            13 => json!({"type": "string", "logicalType": "uuid"}),
            14 => {
                let precision = 1 + self.random.below(76);
                let scale = self.random.below(precision + 1);
                json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
            }
            15..18 => self.named_leaf(),
            18 if self.kinds.all => json!({"type": "long", "logicalType": "of-the-future"}),
            19 if !self.named.is_empty() => {
                let at = self.random.below(self.named.len() as u64) as usize;
                json!(format!("t.{}", self.named[at].0))
            }
            20 if self.kinds.all && !self.open.is_empty() => {
                let at = self.random.below(self.open.len() as u64) as usize;
                json!({"type": "array", "items": format!("t.{}", self.open[at])})
            }
            18..22 => json!("long"),
            22..25 => json!({"type": "array", "items": self.any(depth - 1)}),
            25..27 => json!({"type": "map", "values": self.any(depth - 1)}),
            _ => self.record(depth - 1),
        }
    }

    fn named_leaf(&mut self) -> Json {
        let name = self.fresh("N");
        let kind = self.random.below(if self.kinds.all { 5 } else { 4 });
        self.named.push((name.clone(), true));
        match kind {
            0 => {
                let symbols: Vec<String> =
                    (0..=self.random.below(5)).map(|i| format!("S{i}")).collect();
                json!({"type": "enum", "name": name, "namespace": "t", "symbols": symbols})
            }
            1 => {
                let size = 1 + self.random.below(20);
                json!({"type": "fixed", "name": name, "namespace": "t", "size": size})
            }
            2 => {
                json!({"type": "fixed", "name": name, "namespace": "t", "size": 16, "logicalType": "uuid"})
            }
            3 => {
                let precision = 1 + self.random.below(20);
                let scale = self.random.below(precision + 1);
                json!({"type": "fixed", "name": name, "namespace": "t", "size": 9, "logicalType": "decimal", "precision": precision, "scale": scale})
            }
            _ => {
                json!({"type": "fixed", "name": name, "namespace": "t", "size": 12, "logicalType": "duration"})
            }
        }
    }
}

const TEXTS: &[&str] = &[
    "",
    "a",
    "Grüße",
    "日本語",
    "line\nbreak \"quoted\" \\",
    "0123456789012345678901234567890123456789",
];

/// A value of `schema`; recursive ones end when `depth` runs out.
pub fn value(random: &mut Seeded, schema: &Schema, names: &Names, depth: u32) -> Value {
    match resolve(schema, names) {
        Schema::Null => Value::Null,
        Schema::Boolean => Value::Boolean(random.one_in(2)),
        Schema::Int => Value::Int(long(random) as i32),
        Schema::Long => Value::Long(long(random)),
        Schema::Float => Value::Float(
            [0.0, -1.5, f32::MAX, f32::NAN, f32::INFINITY, 1e-7][random.below(6) as usize],
        ),
        Schema::Double => Value::Double(
            [-0.0, 0.1, f64::MIN_POSITIVE, f64::NAN, f64::NEG_INFINITY, 1e21]
                [random.below(6) as usize],
        ),
        Schema::Bytes => {
            Value::Bytes((0..random.below(20)).map(|_| random.next_u64() as u8).collect())
        }
        Schema::String => {
            Value::String(TEXTS[random.below(TEXTS.len() as u64) as usize].to_owned())
        }
        Schema::Fixed(f) => {
            Value::Fixed(f.size, (0..f.size).map(|_| random.next_u64() as u8).collect())
        }
        Schema::Enum(e) => {
            let at = random.below(e.symbols.len() as u64) as usize;
            Value::Enum(at as u32, e.symbols[at].clone())
        }
        Schema::Date => Value::Date(long(random) as i32),
        Schema::TimeMillis => Value::TimeMillis(random.below(86_400_000) as i32),
        Schema::TimeMicros => Value::TimeMicros(random.below(86_400_000_000) as i64),
        Schema::TimestampMillis => Value::TimestampMillis(long(random)),
        Schema::TimestampMicros => Value::TimestampMicros(long(random)),
        Schema::TimestampNanos => Value::TimestampNanos(long(random)),
        Schema::LocalTimestampMillis => Value::LocalTimestampMillis(long(random)),
        Schema::LocalTimestampMicros => Value::LocalTimestampMicros(long(random)),
        Schema::LocalTimestampNanos => Value::LocalTimestampNanos(long(random)),
        Schema::Uuid(_) => {
            let (a, b) = (random.next_u64(), random.next_u64());
            Value::Uuid(apache_avro::Uuid::from_u64_pair(a, b))
        }
        Schema::Duration(_) => Value::Duration(Duration::new(
            Months::new(random.next_u64() as u32),
            Days::new(random.next_u64() as u32),
            Millis::new(random.next_u64() as u32),
        )),
        Schema::Decimal(d) => Value::Decimal(decimal(random, d.precision)),
        Schema::Array(a) => {
            let count = if depth == 0 { 0 } else { random.below(4) };
            Value::Array((0..count).map(|_| value(random, &a.items, names, depth - 1)).collect())
        }
        Schema::Map(m) => {
            let count = if depth == 0 { 0 } else { random.below(4) };
            let entries =
                (0..count).map(|i| (format!("k{i}"), value(random, &m.types, names, depth - 1)));
            Value::Map(entries.collect())
        }
        Schema::Union(u) => {
            let null = u.variants().iter().position(|v| matches!(v, Schema::Null));
            let at = match null {
                Some(null) if depth == 0 => null,
                _ => random.below(u.variants().len() as u64) as usize,
            };
            let inner = value(random, &u.variants()[at], names, depth.saturating_sub(1));
            Value::Union(at as u32, Box::new(inner))
        }
        Schema::Record(r) => {
            let field = |f: &apache_avro::schema::RecordField| {
                (f.name.clone(), value(random, &f.schema, names, depth.saturating_sub(1)))
            };
            Value::Record(r.fields.iter().map(field).collect())
        }
        other => panic!("no values for {other:?}"),
    }
}

/// Numbers of every length, small ones more often.
fn long(random: &mut Seeded) -> i64 {
    let bits = random.below(64);
    (random.next_u64() >> bits) as i64 * if random.one_in(2) { -1 } else { 1 }
}

/// A number of at most `precision` digits, and often of exactly that many.
fn decimal(random: &mut Seeded, precision: usize) -> Decimal {
    use arrow::datatypes::i256;
    let digits =
        if random.one_in(3) { precision } else { 1 + random.below(precision as u64) as usize };
    let mut number = i256::ZERO;
    for _ in 0..digits {
        let digit = if random.one_in(4) { 9 } else { random.below(10) };
        number =
            number.wrapping_mul(i256::from_i128(10)).wrapping_add(i256::from_i128(digit.into()));
    }
    if random.one_in(2) {
        number = number.wrapping_neg();
    }
    let bytes = number.to_be_bytes();
    let fill = if number.is_negative() { 0xff } else { 0 };
    let mut start = bytes.iter().take_while(|b| **b == fill).count().min(31);
    if (bytes[start] > 127) != number.is_negative() {
        start -= 1;
    }
    Decimal::from(&bytes[start..])
}
