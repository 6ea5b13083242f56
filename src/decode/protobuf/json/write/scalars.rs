//! Values without members as JSON text.

use std::io::Write;

use super::{Found, Writer};
use crate::decode::codes;
use crate::decode::protobuf::json::{Form, Scalar};
use crate::decode::protobuf::special;
use crate::decode::protobuf::wire::{self, Failure, Outcome};

impl Writer<'_> {
    pub(super) fn number(&mut self, value: i64) -> Outcome<()> {
        let _ = write!(self.out, "{value}");
        self.count()
    }

    pub(super) fn long(&mut self, value: impl std::fmt::Display) -> Outcome<()> {
        let _ = write!(self.out, "\"{value}\"");
        self.count()
    }

    pub(super) fn float(
        &mut self,
        value: f64,
        shortest: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
    ) -> Outcome<()> {
        if value.is_nan() {
            return self.put(b"\"NaN\"");
        }
        if value.is_infinite() {
            return self.put(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
        }
        let _ = shortest(self.out);
        // Whole numbers without their ".0".
        if self.out.ends_with(b".0") {
            self.out.truncate(self.out.len() - 2);
        }
        self.count()
    }

    pub(super) fn enumeration(&mut self, scalar: Scalar, number: i32) -> Outcome<()> {
        let Scalar::Enum(id) = scalar else { return self.put(b"null") };
        match self.types.enums[id as usize].get(number) {
            Some(name) => {
                string(name, self.out);
                self.count()
            }
            None => self.number(i64::from(number)),
        }
    }

    /// Seconds and nanoseconds of the last values found.
    pub(super) fn time(&mut self, form: Form, found: &[Found<'_>]) -> Outcome<()> {
        let (mut seconds, mut nanos) = (0i64, 0i64);
        for part in found {
            let value = wire::varint(&mut &*part.bytes)? as i64;
            match part.field {
                0 => seconds = value,
                _ => nanos = i64::from(value as i32),
            }
        }
        let text = match form {
            Form::Timestamp => {
                special::check_timestamp(seconds, nanos)?;
                let at = jiff::Timestamp::new(seconds, nanos as i32).map_err(|e| {
                    Failure::new(
                        &codes::RANGE,
                        format!("timestamp of `{seconds}` s: {e}, years 1 to 9999 required"),
                    )
                })?;
                let civil = jiff::tz::TimeZone::UTC.to_datetime(at);
                format!("{}{}Z", civil.strftime("%Y-%m-%dT%H:%M:%S"), fraction(nanos))
            }
            _ => {
                special::check_duration(seconds, nanos)?;
                let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
                format!("{sign}{}{}s", seconds.unsigned_abs(), fraction(nanos.abs()))
            }
        };
        string(&text, self.out);
        self.count()
    }

    /// Paths in lowerCamelCase, joined by commas.
    pub(super) fn field_mask(&mut self, found: &[Found<'_>]) -> Outcome<()> {
        let mut text = String::new();
        for part in found {
            wire::utf8(part.bytes)?;
            if !text.is_empty() {
                text.push(',');
            }
            let mut up = false;
            for c in std::str::from_utf8(part.bytes).unwrap_or_default().chars() {
                match c {
                    '_' => up = true,
                    c if std::mem::take(&mut up) => text.push(c.to_ascii_uppercase()),
                    c => text.push(c),
                }
            }
        }
        string(&text, self.out);
        self.count()
    }

    pub(super) fn put(&mut self, text: &[u8]) -> Outcome<()> {
        self.out.extend_from_slice(text);
        self.count()
    }

    #[inline]
    pub(super) fn count(&mut self) -> Outcome<()> {
        let new = self.out.len() - self.counted.min(self.out.len());
        self.counted = self.out.len();
        Ok(self.meter.bytes(new)?)
    }
}

/// `.5`, `.000001`: three, six or nine digits, none for zero.
fn fraction(nanos: i64) -> String {
    match nanos {
        0 => String::new(),
        n if n % 1_000_000 == 0 => format!(".{:03}", n / 1_000_000),
        n if n % 1_000 == 0 => format!(".{:06}", n / 1_000),
        n => format!(".{n:09}"),
    }
}

/// `text` as a JSON string.
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => {
                out.extend_from_slice(&text.as_bytes()[plain..at]);
                let _ = write!(out, "\\u{byte:04x}");
                plain = at + 1;
                continue;
            }
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[plain..at]);
        out.extend_from_slice(escape);
        plain = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[plain..]);
    out.push(b'"');
}
