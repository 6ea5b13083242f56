//! Which encoding each column is worth, learnt from its first rows.
//!
//! Owns: the choice between dictionary, plain and delta, by leaf column; same rows, same choice.
//! Does not own: compression, which comes on top.
//! Bounded by: [`SAMPLE`] values a column.
//!
//! Why: a dictionary of values that do not repeat is hashed, written and then thrown away, and in the
//! end it makes the file longer. `benches/encode.rs` sets the choices against parquet's own.
//!
//! Delta (`DELTA_BINARY_PACKED`) is read by Spark from 3.3, Trino, Athena engine 3 and DuckDB, in data
//! pages of version 1 too; no other encoding beyond Parquet 1.0 is written.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use foldhash::fast::FixedState;

use crate::evolve;

/// Values looked at, by leaf column; and rows gathered before a file's encodings are chosen.
pub const SAMPLE: usize = 4_096;

/// Fewer values than this say nothing: the column gets a dictionary.
const LEAST: usize = 256;

/// Largest dictionary worth having, in bytes. `parquet` gives one up at 1 MiB, after the work is done.
const DICTIONARY_MAX: f64 = 256.0 * 1024.0;

/// How one leaf column is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Dictionary,
    Plain,
    /// `DELTA_BINARY_PACKED`; for columns stored as INT32 or INT64 only.
    Delta,
}

/// What the rows of one file taught about its columns; a hint for the next file of the same columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    columns: u32,
    /// By leaf column, in Parquet's order.
    choices: Arc<[Choice]>,
}

impl Learned {
    /// Looks at the first rows of a file.
    pub fn from_rows(schema: &Schema, rows: &[RecordBatch]) -> Self {
        let mut choices = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            let arrays: Vec<ArrayRef> =
                rows.iter().map(|batch| batch.column(index).clone()).collect();
            leaves(field.data_type(), &arrays, &mut choices);
        }
        Self { columns: evolve::fingerprint(schema), choices: choices.into() }
    }

    /// By leaf column, in Parquet's order.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// Whether this was learnt from a file of these columns.
    pub fn fits(&self, schema: &Schema) -> bool {
        self.columns == evolve::fingerprint(schema)
    }
}

/// Goes down to the leaves in Parquet's order; `arrays` are parts of one column.
fn leaves(data_type: &DataType, arrays: &[ArrayRef], out: &mut Vec<Choice>) {
    match data_type {
        DataType::Struct(fields) => {
            for (index, field) in fields.iter().enumerate() {
                let parts: Vec<ArrayRef> =
                    arrays.iter().map(|a| a.as_struct().column(index).clone()).collect();
                leaves(field.data_type(), &parts, out);
            }
        }
        DataType::List(item) => {
            let parts: Vec<ArrayRef> = arrays.iter().map(items::<i32>).collect();
            leaves(item.data_type(), &parts, out);
        }
        DataType::LargeList(item) => {
            let parts: Vec<ArrayRef> = arrays.iter().map(items::<i64>).collect();
            leaves(item.data_type(), &parts, out);
        }
        DataType::Map(entries, _) => {
            let parts: Vec<ArrayRef> = arrays.iter().map(entries_of).collect();
            leaves(entries.data_type(), &parts, out);
        }
        leaf => out.push(choose(leaf, arrays)),
    }
}

fn items<O: arrow::array::OffsetSizeTrait>(array: &ArrayRef) -> ArrayRef {
    let list = array.as_list::<O>();
    let (start, end) = (list.value_offsets().first(), list.value_offsets().last());
    let start = start.map_or(0, |o| o.as_usize());
    let end = end.map_or(0, |o| o.as_usize());
    list.values().slice(start, end.saturating_sub(start))
}

fn entries_of(array: &ArrayRef) -> ArrayRef {
    let map = array.as_map();
    let start = map.value_offsets().first().map_or(0, |o| *o as usize);
    let end = map.value_offsets().last().map_or(0, |o| *o as usize);
    Arc::new(map.entries().slice(start, end.saturating_sub(start)))
}

/// The choice for one leaf column.
fn choose(data_type: &DataType, parts: &[ArrayRef]) -> Choice {
    if matches!(data_type, DataType::Boolean) {
        return Choice::Plain; // a bit each: Parquet has no dictionary for it
    }
    let mut sample = Sample::default();
    for part in parts {
        sample.add(part);
    }
    let plain_bits = 8.0 * sample.width();
    if sample.seen < LEAST {
        return Choice::Dictionary;
    }
    let distinct = sample.distinct_in_all();
    let index_bits = distinct.max(2.0).log2().ceil();
    let dictionary = distinct * sample.width() <= DICTIONARY_MAX && index_bits < plain_bits;
    let delta_bits =
        if is_integer(data_type) { delta_bits(&sample.integers) } else { f64::INFINITY };
    match dictionary {
        true if delta_bits < index_bits => Choice::Delta,
        true => Choice::Dictionary,
        false if delta_bits < plain_bits * 0.8 => Choice::Delta,
        false => Choice::Plain,
    }
}

/// Stored as INT32 or INT64, and read as such.
fn is_integer(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int32
            | DataType::Int64
            | DataType::Timestamp(..)
            | DataType::Date32
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Duration(_)
    )
}

/// What was seen of one column.
#[derive(Default)]
struct Sample {
    /// Times each value was seen, by its hash.
    times: HashMap<u64, u32, FixedState>,
    seen: usize,
    bytes: usize,
    /// Integer columns: the values, in order.
    integers: Vec<i64>,
}

impl Sample {
    fn add(&mut self, array: &ArrayRef) {
        match array.data_type() {
            DataType::Utf8 => {
                self.all(array, |i, a| Some(a.as_string::<i32>().value(i).as_bytes()), 4)
            }
            DataType::LargeUtf8 => {
                self.all(array, |i, a| Some(a.as_string::<i64>().value(i).as_bytes()), 4)
            }
            DataType::Binary => self.all(array, |i, a| Some(a.as_binary::<i32>().value(i)), 4),
            DataType::LargeBinary => self.all(array, |i, a| Some(a.as_binary::<i64>().value(i)), 4),
            DataType::FixedSizeBinary(_) => {
                self.all(array, |i, a| Some(a.as_fixed_size_binary().value(i)), 0)
            }
            other => {
                // What has no fixed width here (dictionaries, views) is not sampled, and so gets a dictionary.
                let Some(width) = other.primitive_width() else { return };
                let data = array.to_data();
                let Some(buffer) = data.buffers().first() else { return };
                let bytes = buffer.as_slice();
                let from = data.offset();
                let at = move |i: usize| bytes.get((from + i) * width..(from + i + 1) * width);
                self.all(array, |i, _| at(i), 0);
                self.keep_integers(array, width, at);
            }
        }
    }

    /// Counts the values of an array up to the sample's size; `extra` is what each takes beside its bytes.
    fn all<'a>(
        &mut self,
        array: &'a ArrayRef,
        value: impl Fn(usize, &'a ArrayRef) -> Option<&'a [u8]>,
        extra: usize,
    ) {
        use std::hash::BuildHasher;
        let hasher = FixedState::default();
        for i in 0..array.len() {
            if self.seen == SAMPLE {
                return;
            }
            if array.is_null(i) {
                continue;
            }
            let Some(value) = value(i, array) else { continue };
            self.seen += 1;
            self.bytes += value.len() + extra;
            *self.times.entry(hasher.hash_one(value)).or_default() += 1;
        }
    }

    fn keep_integers<'a>(
        &mut self,
        array: &ArrayRef,
        width: usize,
        at: impl Fn(usize) -> Option<&'a [u8]>,
    ) {
        for i in (0..array.len()).filter(|&i| array.is_valid(i)) {
            if self.integers.len() == SAMPLE {
                return;
            }
            let Some(bytes) = at(i) else { return };
            let value = match width {
                4 => bytes.try_into().map(i32::from_le_bytes).map(i64::from),
                8 => bytes.try_into().map(i64::from_le_bytes),
                _ => return,
            };
            self.integers.extend(value);
        }
    }

    /// Mean bytes of a value as a dictionary stores it.
    fn width(&self) -> f64 {
        self.bytes as f64 / self.seen.max(1) as f64
    }

    /// Estimate of how many distinct values all rows have (Chao's estimator: what was seen once and
    /// twice tells how much was not seen).
    fn distinct_in_all(&self) -> f64 {
        let once = self.times.values().filter(|&&n| n == 1).count() as f64;
        let twice = self.times.values().filter(|&&n| n == 2).count() as f64;
        self.times.len() as f64 + once * once / (2.0 * twice.max(0.5))
    }
}

/// Mean bits of a value under `DELTA_BINARY_PACKED`: blocks of 128, each in 4 parts with their own width.
fn delta_bits(values: &[i64]) -> f64 {
    if values.len() < 2 {
        return f64::INFINITY;
    }
    let deltas: Vec<i64> = values.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    let mut bits = 0u64;
    for block in deltas.chunks(128) {
        let least = block.iter().copied().min().unwrap_or(0);
        bits += 8 * 9; // the block's least delta and four widths
        for part in block.chunks(32) {
            let widest = part.iter().map(|d| d.wrapping_sub(least) as u64).max().unwrap_or(0);
            bits += 32 * u64::from(64 - widest.leading_zeros());
        }
    }
    bits as f64 / deltas.len() as f64
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray};
    use arrow::datatypes::Field;

    use super::*;
    use crate::clock::Seeded;

    fn learn(array: ArrayRef) -> Choice {
        let schema = Arc::new(Schema::new(vec![Field::new("c", array.data_type().clone(), true)]));
        let batch = RecordBatch::try_new(schema.clone(), vec![array]).unwrap();
        Learned::from_rows(&schema, &[batch]).choices()[0]
    }

    #[test]
    fn strings_that_never_repeat_are_plain() {
        let values: Vec<String> = (0..4_096).map(|i| format!("order-{i:030}")).collect();
        assert_eq!(learn(Arc::new(StringArray::from(values))), Choice::Plain);
    }

    #[test]
    fn five_thousand_values_get_a_dictionary_though_the_sample_sees_each_once_or_so() {
        let mut random = Seeded::new(7);
        let values: Vec<String> =
            (0..4_096).map(|_| format!("sku-{:05}", random.below(5_000))).collect();
        assert_eq!(learn(Arc::new(StringArray::from(values))), Choice::Dictionary);
    }

    #[test]
    fn times_that_rise_with_jitter_are_delta() {
        let mut random = Seeded::new(7);
        let values: Vec<i64> =
            (0..4_096).map(|i| 1_767_312_000_000 + i * 22 + random.below(900) as i64).collect();
        assert_eq!(learn(Arc::new(Int64Array::from(values))), Choice::Delta);
    }

    #[test]
    fn random_integers_are_plain_and_extremes_do_not_overflow() {
        let mut random = Seeded::new(7);
        let values: Vec<i64> = (0..4_096).map(|_| random.next_u64() as i64).collect();
        assert_eq!(learn(Arc::new(Int64Array::from(values))), Choice::Plain);
        let values: Vec<i64> =
            (0..4_096).map(|i| if i % 2 == 0 { i64::MIN } else { i64::MAX }).collect();
        assert_eq!(learn(Arc::new(Int64Array::from(values))), Choice::Dictionary);
    }

    #[test]
    fn few_rows_and_nulls_get_a_dictionary() {
        assert_eq!(learn(Arc::new(Float64Array::from(vec![1.0, 2.0]))), Choice::Dictionary);
        assert_eq!(learn(Arc::new(Int64Array::from(vec![None; 5_000]))), Choice::Dictionary);
    }
}
