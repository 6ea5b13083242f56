//! Records of a schema version, made from the schema alone.
//!
//! Owns: values of every type at its edges, every union branch, symbol and member of a oneof: the first
//! [`EDGES`] records of a version walk through them in turn, the rest is random.
//! Does not own: frames, Kafka.
//! Bounded by: [`DEPTH`] levels; a few elements a list or map.

pub mod avro;
pub mod json;
pub mod protobuf;

use crate::clock::Seeded;
use crate::registry::Schema;

use super::form::Form;

/// Records of a version that walk through edges in turn.
pub const EDGES: u64 = 64;
/// Levels of nesting that are filled.
pub const DEPTH: u32 = 4;

/// Texts at the edges: empty, plain, not ASCII, beyond the basic plane, quotes and control characters, long.
pub const TEXTS: [&str; 10] = [
    "",
    "a",
    "plain text",
    "straße",
    "日本語 テキスト",
    "😀 e\u{301}",
    "quote \" backslash \\ newline \n tab \t \u{1}",
    "null",
    "  spaces  ",
    "a longer text that no one would call short: 0123456789 0123456789 0123456789 0123456789",
];

/// Chance, and which record of its version is made.
pub struct Turn<'a> {
    pub random: &'a mut Seeded,
    /// From 0 in each version.
    pub number: u64,
}

impl Turn<'_> {
    /// One of `count` choices, by turn at first.
    pub fn choice(&mut self, count: usize) -> usize {
        let count = count.max(1) as u64;
        let at = match self.number < EDGES && !self.random.one_in(4) {
            true => self.number % count,
            false => self.random.below(count),
        };
        at as usize
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.choice(from.len());
        from.get(at).copied()
    }

    /// True for about one in `count`; by turn at first, so that both ways are taken.
    pub fn one_in(&mut self, count: u64) -> bool {
        match self.number < EDGES {
            true => self.choice(count as usize) == 0,
            false => self.random.one_in(count),
        }
    }

    /// Elements of a list or map: none, one, or several.
    pub fn count(&mut self) -> usize {
        self.choice(3) + usize::from(self.random.one_in(8)) * 3
    }

    pub fn text(&mut self) -> &'static str {
        self.pick(&TEXTS).unwrap_or_default()
    }

    /// A whole number of up to 64 bits, often at an edge of its range, small ones more often.
    pub fn long(&mut self) -> i64 {
        let edges =
            [0, 1, -1, i64::MAX, i64::MIN, 1 << 31, (1 << 53) + 1, -(1 << 31) - 1, 127, -128, 255];
        match self.number < EDGES || self.random.one_in(8) {
            true => self.pick(&edges).unwrap_or_default(),
            false => {
                let bits = self.random.below(64);
                let value = (self.random.next_u64() >> bits) as i64;
                if self.random.one_in(2) { value.wrapping_neg() } else { value }
            }
        }
    }

    /// The same for 32 bits.
    pub fn int(&mut self) -> i32 {
        let edges = [0, 1, -1, i32::MAX, i32::MIN, 127, -128, 32_768, 65_535];
        match self.number < EDGES || self.random.one_in(8) {
            true => self.pick(&edges).unwrap_or_default(),
            false => (self.long() >> self.random.below(32)) as i32,
        }
    }

    pub fn double(&mut self) -> f64 {
        let edges = [
            0.0,
            -0.0,
            1.5,
            -2.25,
            0.1,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e21,
        ];
        match self.number < EDGES || self.random.one_in(8) {
            true => self.pick(&edges).unwrap_or_default(),
            false => (self.random.unit() - 0.5) * 1e6,
        }
    }

    pub fn float(&mut self) -> f32 {
        let edges = [
            0.0,
            -0.0,
            1.5,
            0.1,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            1e-45,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            16_777_217.0,
        ];
        match self.number < EDGES || self.random.one_in(8) {
            true => self.pick(&edges).unwrap_or_default(),
            false => ((self.random.unit() - 0.5) * 1e6) as f32,
        }
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.random.next_u64() as u8).collect()
    }

    /// Bytes of any length, sometimes text.
    pub fn any_bytes(&mut self) -> Vec<u8> {
        match self.choice(4) {
            0 => Vec::new(),
            1 => self.text().as_bytes().to_vec(),
            2 => vec![0, 0xff, 0x80, 0xfe],
            _ => {
                let count = self.random.below(20) as usize;
                self.bytes(count)
            }
        }
    }
}

/// The body of one record. Error: what of the schema has no values here.
pub fn body(form: &Form, schema: &Schema, turn: &mut Turn<'_>) -> Result<Vec<u8>, String> {
    match form {
        Form::Protobuf(form) => Ok(protobuf::body(&form.message, turn)),
        Form::Avro(form) => avro::body(form, turn),
        Form::Json(form) => json::body(form, schema, turn),
    }
}
