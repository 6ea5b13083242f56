//! What the named readers cannot open, and what they get in its place.
//!
//! Owns: one table of types and readers, for every format alike; names that differ only by case.
//! Source: files tried with Spark 4.0, DuckDB 2.0 and Polars 2.1; for Athena and Trino their
//! documentation, read carefully.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use arrow::datatypes::{DataType, Fields};

use super::Options;
use crate::config::{Dialect, Reader};

pub use crate::evolve::rules::join;
pub use crate::evolve::{FIELD_NUMBER, UNIT};
/// Metadata key of the default that the schema declares and that is not filled in.
pub const DEFAULT: &str = "forebay.default";

/// A type, or a habit, that some reader refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exact {
    Uuid,
    /// Time of day, any unit.
    Time,
    /// Timestamps in nanoseconds, UTC or local.
    TimestampNs,
    /// Decimals of more than 38 digits.
    WideDecimal,
    /// Columns of one struct whose names differ only by case.
    CaseTwins,
}

struct Rule {
    exact: Exact,
    refused_by: &'static [Reader],
    change: &'static str,
}

use Reader::{Athena, Duckdb, Spark, Trino};

static RULES: &[Rule] = &[
    // Spark: PARQUET_TYPE_ILLEGAL. Athena: no such type. Trino: Hive tables have none.
    Rule { exact: Exact::Uuid, refused_by: &[Spark, Athena, Trino], change: "uuid → string" },
    // Spark refuses TIME; Hive tables (Athena, Trino) have none.
    Rule { exact: Exact::Time, refused_by: &[Spark, Athena, Trino], change: "time → int64" },
    // Spark refuses TIMESTAMP(NANOS); Athena's timestamps are milliseconds; Trino reads it only with
    // a session property.
    Rule { exact: Exact::TimestampNs, refused_by: &[Spark, Athena, Trino], change: "ns → µs" },
    // DuckDB reads DECIMAL(50,2) as DOUBLE and loses digits.
    Rule {
        exact: Exact::WideDecimal,
        refused_by: &[Spark, Athena, Trino, Duckdb],
        change: "decimal of more than 38 digits → string",
    },
    // Spark refuses the whole file; Hive's names know no case.
    Rule { exact: Exact::CaseTwins, refused_by: &[Spark, Athena, Trino], change: "renamed" },
];

/// The readers a plan is compiled for.
#[derive(Debug, Clone)]
pub struct Readers(Vec<Reader>);

impl Readers {
    /// [`Reader::Native`] asks for nothing, so a list of it alone keeps every exact type.
    pub fn new(readers: &[Reader]) -> Self {
        Self(readers.to_vec())
    }

    /// The readers whose columns `options` ask for: nobody's are asked in the columns of another program.
    pub fn of(options: &Options) -> Self {
        match options.value.dialect {
            Dialect::Clean => Self::new(&options.readers),
            Dialect::Confluent(_) => Self(Vec::new()),
        }
    }

    /// A note for the operator if some reader refuses `exact`, so that `column` has to become what
    /// [`RULES`](self) says; none if the exact type stays.
    pub fn refuse(&self, exact: Exact, column: &str) -> Option<String> {
        let rule = RULES.iter().find(|rule| rule.exact == exact)?;
        let names = self.refusing(rule);
        (!names.is_empty()).then(|| format!("{column}: {} for {}", rule.change, names.join(", ")))
    }

    fn refusing(&self, rule: &Rule) -> Vec<&'static str> {
        let refusing = self.0.iter().filter(|reader| rule.refused_by.contains(reader));
        refusing.map(|reader| name(*reader)).collect()
    }

    /// Names for the columns of one struct, in order: the second of two that clash gets `_2`, the third
    /// `_3`. Exact twins always clash; names that differ by case only where a reader minds. `path` is the
    /// struct's own path, empty at the top.
    pub fn names(&self, path: &str, names: &[&str], notes: &mut Vec<String>) -> Vec<String> {
        let fold = self.refuse(Exact::CaseTwins, "").is_some();
        let key = |name: &str| if fold { name.to_lowercase() } else { name.to_owned() };
        let all: HashSet<String> = names.iter().map(|name| key(name)).collect();
        let mut used = HashSet::new();
        // The number that the next clash of a name tries first.
        let mut next = HashMap::new();
        let mut out = Vec::with_capacity(names.len());
        for &name in names {
            if used.insert(key(name)) {
                out.push(name.to_owned());
                continue;
            }
            let number = next.entry(key(name)).or_insert(2u32);
            let fresh = loop {
                let candidate = format!("{name}_{number}");
                *number += 1;
                let folded = key(&candidate);
                if !all.contains(&folded) && used.insert(folded) {
                    break candidate;
                }
            };
            let column = join(path, name);
            if let Some(note) = self.refuse(Exact::CaseTwins, &column) {
                notes.push(format!("{note}: `{fresh}`, another name differs only by case"));
            }
            out.push(fresh);
        }
        out
    }
}

/// What the named readers refuse among columns that were made regardless of them, a line each.
pub fn warnings(fields: &Fields, readers: &[Reader]) -> Vec<String> {
    let mut notes = Vec::new();
    warn(fields, "", &Readers::new(readers), 0, &mut notes);
    notes
}

fn warn(fields: &Fields, path: &str, readers: &Readers, depth: u32, notes: &mut Vec<String>) {
    let mut names = HashSet::new();
    for field in fields {
        let path = join(path, field.name());
        let mut refuse = |exact, what: &str| {
            let rule = RULES.iter().find(|rule| rule.exact == exact);
            let by = rule.map(|rule| readers.refusing(rule)).unwrap_or_default();
            if !by.is_empty() {
                notes.push(format!("{path}: {what}, which {} cannot read", by.join(", ")));
            }
        };
        if !names.insert(field.name().to_lowercase()) {
            refuse(Exact::CaseTwins, "another name differs only by case");
        }
        match field.data_type() {
            DataType::Time32(_) | DataType::Time64(_) => refuse(Exact::Time, "a time of day"),
            DataType::Decimal256(..) => {
                refuse(Exact::WideDecimal, "a decimal of more than 38 digits");
            }
            // Plans are bounded, and this is their depth.
            DataType::Struct(inner) if depth < 512 => warn(inner, &path, readers, depth + 1, notes),
            DataType::List(inner) | DataType::Map(inner, _) if depth < 512 => {
                warn(&Fields::from(vec![inner.clone()]), &path, readers, depth + 1, notes);
            }
            _ => {}
        }
    }
}

/// A name as Confluent's converters and sink write it where `scrub.invalid.names` is set: as in the query
/// of a URL, with `_` for what Avro does not allow there, and `x` before a digit.
pub fn scrubbed(name: &str) -> Cow<'_, str> {
    let starts_well = !name.starts_with(|first: char| first.is_ascii_digit());
    if starts_well && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return name.into();
    }
    let mut out = String::from(if starts_well { "" } else { "x" });
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'_' | b' ' | b'.' | b'-' | b'*' => out.push('_'),
            other => out.push_str(&format!("_{other:02X}")),
        }
    }
    out.into()
}

/// Where a value of a record stands, for messages: ``field `device.os[3]` at byte 17``; without a path,
/// `value at byte 17`. Segments come from the inside out.
#[cold]
pub fn place(path: &[String], at: usize) -> String {
    let mut text = String::from("value");
    if !path.is_empty() {
        text.clear();
        text.push_str("field `");
        for (i, segment) in path.iter().rev().enumerate() {
            if i > 0 && !segment.starts_with('[') {
                text.push('.');
            }
            text.push_str(segment);
        }
        text.push('`');
    }
    text + &format!(" at byte {at}")
}

fn name(reader: Reader) -> &'static str {
    match reader {
        Spark => "spark",
        Athena => "athena",
        Trino => "trino",
        Duckdb => "duckdb",
        Reader::Native => "native",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Reader] = &[Spark, Athena, Trino, Duckdb];

    #[test]
    fn exact_types_stay_for_readers_that_open_them() {
        let duckdb = Readers::new(&[Duckdb]);
        assert_eq!(duckdb.refuse(Exact::Uuid, "id"), None);
        assert!(duckdb.refuse(Exact::WideDecimal, "id").is_some());
        assert_eq!(Readers::new(&[Reader::Native]).refuse(Exact::WideDecimal, "id"), None);
        assert_eq!(
            Readers::new(ALL).refuse(Exact::TimestampNs, "at").as_deref(),
            Some("at: ns → µs for spark, athena, trino")
        );
    }

    /// Cases of the converter's own test of this.
    #[test]
    fn names_are_scrubbed_as_the_converter_does() {
        for (name, scrubbed_name) in [
            ("", ""),
            ("abc_DEF_123", "abc_DEF_123"),
            ("abc+-.*_", "abc_2B____"),
            ("abc-def", "abc_def"),
            ("abc+def", "abc_2Bdef"),
            ("abc  def", "abc__def"),
            ("abc.def", "abc_def"),
            ("0abc.def", "x0abc_def"),
            ("0abc", "x0abc"),
        ] {
            assert_eq!(scrubbed(name), scrubbed_name);
        }
    }

    #[test]
    fn names_that_differ_by_case_get_a_free_suffix() {
        let mut notes = Vec::new();
        let names = ["id", "ID", "Id", "id_2"];
        let got = Readers::new(ALL).names("a", &names, &mut notes);
        assert_eq!(got, ["id", "ID_3", "Id_4", "id_2"].map(String::from).to_vec());
        assert_eq!(notes.len(), 2);
        assert_eq!(Readers::new(&[Duckdb]).names("a", &names, &mut notes), names);
    }
}
