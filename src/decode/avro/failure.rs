//! A failed read on its way out: what, where in the bytes, and the field path, gathered while the
//! calls return. The good path pays one pointer for it.

use std::fmt::Write;

use super::codes;
use super::cursor::{Bad, Cursor};
use crate::decode::codes as shared;
use crate::error::{Code, Reject};

/// Segments of a path that are kept; a path through more names nobody reads.
const PATH_MAX: usize = 32;

/// Why a datum cannot become a row.
#[derive(Debug)]
pub(super) struct Failure {
    code: &'static Code,
    /// Segments, innermost first.
    path: Vec<String>,
    at: usize,
    found: String,
}

pub(super) type Read<T> = Result<T, Box<Failure>>;

impl Failure {
    #[cold]
    pub(super) fn new(code: &'static Code, cursor: &Cursor, found: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, path: Vec::new(), at: cursor.at(), found: found.into() })
    }

    /// A limit that the record reached here.
    #[cold]
    pub(super) fn limit(reject: &Reject, cursor: &Cursor) -> Box<Self> {
        Self::new(reject.code, cursor, reject.message.clone())
    }

    /// One level too many.
    #[cold]
    pub(super) fn depth(depth_max: u32, cursor: &Cursor) -> Box<Self> {
        let found = format!(
            "value nested {} levels deep, at most `limits.depth` of {depth_max} required; raise it if the data is honest",
            depth_max.saturating_add(1)
        );
        Self::new(&shared::DEPTH, cursor, found)
    }

    /// What `bad` says about a value of type `what`.
    #[cold]
    pub(super) fn bad(bad: Bad, what: &str, cursor: &Cursor) -> Box<Self> {
        let left = cursor.left();
        let (code, found) = match bad {
            Bad::Truncated(0) => (
                &codes::TRUNCATED,
                format!("{what} cut off after {left} bytes, its last byte required"),
            ),
            Bad::Truncated(n) => (
                &codes::TRUNCATED,
                format!("{what} of {n} bytes, at most the {left} bytes that are left required"),
            ),
            Bad::Varint(bits) => (
                &codes::VARINT,
                format!("{what} of more than {bits} bits, at most {bits} required"),
            ),
            Bad::Length(n) => {
                (&codes::LENGTH, format!("{what} of `{n}` bytes, 0 or more required"))
            }
            Bad::Boolean(byte) => (&codes::BOOLEAN, format!("boolean `{byte}`, 0 or 1 required")),
            Bad::Utf8 => (&shared::UTF8, format!("{what} that is not UTF-8, UTF-8 required")),
            Bad::Union(index, n) => {
                (&codes::UNION, format!("union branch `{index}`, {} required", below(n)))
            }
            Bad::Symbol(index, n) => {
                (&codes::SYMBOL, format!("enum symbol `{index}`, {} required", below(n)))
            }
            Bad::Count(n) => (
                &codes::BLOCK,
                format!(
                    "{what} block of `{n}` items, no more than the {left} bytes that are left required"
                ),
            ),
            Bad::BlockSize(said, taken) => (
                &codes::BLOCK,
                format!("{what} block that says `{said}` bytes, the {taken} bytes it has required"),
            ),
        };
        Self::new(code, cursor, found)
    }

    /// The same failure, one field further out.
    #[cold]
    pub(super) fn within(mut self: Box<Self>, segment: impl Into<String>) -> Box<Self> {
        if self.path.len() < PATH_MAX {
            self.path.push(segment.into());
        }
        self
    }

    /// The same failure, at another byte: for bytes that stand in for those of the record.
    #[cold]
    pub(super) fn from(mut self: Box<Self>, at: usize) -> Box<Self> {
        self.at = at;
        self
    }

    /// The reject, with its whole path: ``avro field `device.os` at byte 17: …``.
    #[cold]
    pub(super) fn reject(&self) -> Box<Reject> {
        let mut message = String::from("avro ");
        if self.path.is_empty() {
            message.push_str("value");
        } else {
            message.push_str("field `");
            for (i, segment) in self.path.iter().rev().enumerate() {
                let joint = if i == 0 || segment.starts_with('[') { "" } else { "." };
                let _ = write!(message, "{joint}{segment}");
            }
            message.push('`');
        }
        let _ = write!(message, " at byte {}: {}", self.at, self.found);
        Reject::new(self.code, message)
    }
}

fn below(n: usize) -> String {
    match n {
        0 => "none, for the schema has none,".to_owned(),
        n => format!("0 to {}", n - 1),
    }
}
