//! What a new schema does to the files that are open. Pure.
//!
//! Owns: whether two Arrow schemas may share a file; how rows of one take the columns of another
//! ([`rules`]); the columns that hold those of several versions ([`merge()`]); what differs ([`compare()`]);
//! what readers of the files make of it ([`verdict`], [`sql`]); what Kafka Connect's compatibility modes say of a
//! record and a file ([`connect`]).
//! Does not own: decoding onto a target (`decode`), which target it is (`pipeline`), files.
//! Absent: IO, clocks.

pub mod compare;
pub mod connect;
pub mod merge;
mod relabel;
pub mod rules;
pub mod sql;
pub mod verdict;
mod widened;

pub use compare::{By, Difference, What, compare};
pub use merge::{Bounds, Merged, merge};
pub use relabel::relabel;
pub use rules::{
    ALIASES, CONNECT_NAME, Changes, FIELD_NUMBER, Law, Misfit, NAMES, Projection, UNION, UNIT,
    changes, project, renamed_types,
};
pub use widened::Widened;

use arrow::datatypes::{DataType, Field, Schema};

/// Metadata that say what the values are: integers of another unit, or text that is not JSON, make another
/// column.
const MEANINGS: [&str; 2] = [UNIT, EXTENSION];

/// Metadata key of Arrow's canonical extension types: JSON, UUID.
const EXTENSION: &str = "ARROW:extension:name";

/// True when rows of `a` may go into a file of `b`: equal names, order, types, nullability, units of integers
/// and extension types, all the way down. Other metadata (field numbers, documentation) is ignored.
pub fn same_columns(a: &Schema, b: &Schema) -> bool {
    a.fields().len() == b.fields().len()
        && a.fields().iter().zip(b.fields()).all(|(a, b)| same_field(a, b))
}

fn same_field(a: &Field, b: &Field) -> bool {
    a.name() == b.name()
        && a.is_nullable() == b.is_nullable()
        && MEANINGS.iter().all(|key| a.metadata().get(key) == b.metadata().get(key))
        && same_type(a.data_type(), b.data_type())
}

fn same_type(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_field(a, b))
        }
        (DataType::List(a), DataType::List(b)) => same_field(a, b),
        (DataType::Map(a, a_sorted), DataType::Map(b, b_sorted)) => {
            a_sorted == b_sorted && same_field(a, b)
        }
        (a, b) => a == b,
    }
}

/// A number that is equal for schemas that [`same_columns`] calls equal, and stable across releases:
/// CRC-32 of the columns written out as text.
pub fn fingerprint(schema: &Schema) -> u32 {
    let mut text = String::new();
    for field in schema.fields() {
        describe(field, &mut text);
    }
    crc32fast::hash(text.as_bytes())
}

fn describe(field: &Field, out: &mut String) {
    use std::fmt::Write;
    let _ = write!(out, "{:?}{}", field.name(), if field.is_nullable() { '?' } else { '!' });
    for (mark, key) in ['@', '%'].into_iter().zip(MEANINGS) {
        if let Some(meaning) = field.metadata().get(key) {
            let _ = write!(out, "{mark}{meaning:?}");
        }
    }
    match field.data_type() {
        DataType::Struct(fields) => {
            out.push('{');
            fields.iter().for_each(|f| describe(f, out));
            out.push('}');
        }
        DataType::List(item) => {
            out.push('[');
            describe(item, out);
            out.push(']');
        }
        DataType::Map(entries, _) => {
            out.push('<');
            describe(entries, out);
            out.push('>');
        }
        leaf => {
            let _ = write!(out, "{leaf}");
        }
    }
    out.push(',');
}
