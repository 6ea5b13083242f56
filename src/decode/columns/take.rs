//! Builders → Arrow arrays, without copying.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, ListArray, MapArray,
    NullArray, PrimitiveArray, RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, FieldRef,
    Float32Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt32Type, UInt64Type,
};

use super::{Column, Columns, Slot};

/// Lists up to this long are searched for equal keys entry by entry.
const SMALL: usize = 16;

impl Column {
    pub(super) fn width_fixed(&self) -> usize {
        match self.data_type() {
            DataType::FixedSizeBinary(width) => usize::try_from(*width).unwrap_or(1),
            _ => 0,
        }
    }
}

impl Columns {
    /// The rows that stand, as a batch; starts anew at row 0 with the same capacity. A row in progress
    /// must have been committed or rolled back.
    pub fn finish(&mut self) -> RecordBatch {
        let rows = std::mem::take(&mut self.rows);
        let shape = self.shape.clone();
        let arrays: Vec<ArrayRef> = shape.columns.iter().map(|c| self.take(c, rows)).collect();
        self.count_missing(&shape.columns, &arrays, None);
        debug_assert!(arrays.iter().all(|a| a.to_data().validate_full().is_ok()));
        // SAFETY: schema and arrays come from the same tree of columns, and `take` gives `rows` rows.
        unsafe { RecordBatch::new_unchecked(shape.schema().clone(), arrays, rows) }
    }

    /// Nulls of required columns where their parent was there, in rows finished since the last call.
    pub fn take_missing(&mut self) -> u64 {
        std::mem::take(&mut self.missing)
    }

    fn count_missing(&mut self, columns: &[Column], arrays: &[ArrayRef], of: Option<&NullBuffer>) {
        for (_, array) in columns.iter().zip(arrays).filter(|(column, _)| column.required) {
            let Some(nulls) = array.nulls() else { continue };
            let both = NullBuffer::union(of, Some(nulls)).map_or(0, |both| both.null_count());
            // Those of the parent are in both, and are nobody's.
            self.missing += (both - of.map_or(0, NullBuffer::null_count)) as u64;
        }
    }

    fn take(&mut self, column: &Column, rows: usize) -> ArrayRef {
        let data_type = column.data_type();
        match column.slot {
            Slot::None => Arc::new(NullArray::new(rows)),
            Slot::Bool(i) => {
                let (values, nulls) = self.bools[i as usize].take(rows);
                Arc::new(BooleanArray::new(values, nulls))
            }
            Slot::I32(i) => {
                let parts = self.i32s[i as usize].take(rows);
                match data_type {
                    DataType::Date32 => numbers::<Date32Type>(parts, data_type),
                    DataType::Time32(TimeUnit::Second) => {
                        numbers::<Time32SecondType>(parts, data_type)
                    }
                    DataType::Time32(_) => numbers::<Time32MillisecondType>(parts, data_type),
                    _ => numbers::<Int32Type>(parts, data_type),
                }
            }
            Slot::I64(i) => longs(self.i64s[i as usize].take(rows), data_type),
            Slot::U32(i) => numbers::<UInt32Type>(self.u32s[i as usize].take(rows), data_type),
            Slot::U64(i) => numbers::<UInt64Type>(self.u64s[i as usize].take(rows), data_type),
            Slot::F32(i) => numbers::<Float32Type>(self.f32s[i as usize].take(rows), data_type),
            Slot::F64(i) => numbers::<Float64Type>(self.f64s[i as usize].take(rows), data_type),
            Slot::I128(i) => {
                numbers::<Decimal128Type>(self.i128s[i as usize].take(rows), data_type)
            }
            Slot::I256(i) => {
                numbers::<Decimal256Type>(self.i256s[i as usize].take(rows), data_type)
            }
            Slot::Text(i) => {
                let (offsets, data, nulls) = self.texts[i as usize].take(rows);
                // SAFETY: offsets are in range and never fall; text is UTF-8, each value checked by
                // the decoder that wrote it.
                unsafe {
                    match data_type {
                        DataType::Binary => {
                            Arc::new(BinaryArray::new_unchecked(offsets, data, nulls))
                        }
                        _ => Arc::new(StringArray::new_unchecked(offsets, data, nulls)),
                    }
                }
            }
            Slot::Fixed(i) => {
                let (data, nulls) = self.fixed[i as usize].take(rows);
                Arc::new(FixedSizeBinaryArray::new(column.width_fixed() as i32, data, nulls))
            }
            Slot::Group(i) => {
                let nulls = self.groups[i as usize].take(rows);
                let DataType::Struct(fields) = data_type else {
                    unreachable!("a group is a struct")
                };
                let children: Vec<ArrayRef> =
                    column.children.iter().map(|c| self.take(c, rows)).collect();
                self.count_missing(&column.children, &children, nulls.as_ref());
                // SAFETY: children are of the fields' types and have `rows` rows each.
                unsafe { Arc::new(StructArray::new_unchecked(fields.clone(), children, nulls)) }
            }
            Slot::List(i) => {
                let items = self.lists[i as usize].items();
                let (offsets, nulls) = self.lists[i as usize].take(rows);
                let mut children: Vec<ArrayRef> =
                    column.children.iter().map(|c| self.take(c, items)).collect();
                match (data_type, children.pop()) {
                    (DataType::List(element), Some(entries)) => {
                        let (offsets, entries) = match column.pairs {
                            true => pairs(offsets, entries),
                            false => (offsets, entries),
                        };
                        Arc::new(ListArray::new(element.clone(), offsets, entries, nulls))
                    }
                    (DataType::Map(entries, _), Some(values)) => {
                        let keys = children.swap_remove(0);
                        map(entries, offsets, keys, values, nulls)
                    }
                    _ => unreachable!("a list has an element, a map a key and a value"),
                }
            }
        }
    }
}

type Parts<T> = (ScalarBuffer<T>, Option<NullBuffer>);

fn numbers<T: ArrowPrimitiveType>(parts: Parts<T::Native>, data_type: &DataType) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(parts.0, parts.1).with_data_type(data_type.clone()))
}

fn longs(parts: Parts<i64>, data_type: &DataType) -> ArrayRef {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    match data_type {
        DataType::Time64(Nanosecond) => numbers::<Time64NanosecondType>(parts, data_type),
        DataType::Time64(_) => numbers::<Time64MicrosecondType>(parts, data_type),
        DataType::Timestamp(Second, _) => numbers::<TimestampSecondType>(parts, data_type),
        DataType::Timestamp(Millisecond, _) => {
            numbers::<TimestampMillisecondType>(parts, data_type)
        }
        DataType::Timestamp(Microsecond, _) => {
            numbers::<TimestampMicrosecondType>(parts, data_type)
        }
        DataType::Timestamp(Nanosecond, _) => numbers::<TimestampNanosecondType>(parts, data_type),
        _ => numbers::<Int64Type>(parts, data_type),
    }
}

fn map(
    entries: &FieldRef,
    offsets: OffsetBuffer<i32>,
    keys: ArrayRef,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    let DataType::Struct(fields) = entries.data_type() else {
        unreachable!("entries are a struct")
    };
    let (offsets, columns) = last_of_equal_keys(offsets, keys, values);
    let pairs = StructArray::new(fields.clone(), columns, None);
    Arc::new(MapArray::new(entries.clone(), offsets, pairs, nulls, false))
}

/// The entries of a map that is a list of structs.
fn pairs(offsets: OffsetBuffer<i32>, entries: ArrayRef) -> (OffsetBuffer<i32>, ArrayRef) {
    let entry = entries.as_struct();
    let [keys, values] = entry.columns() else { unreachable!("an entry has a key and a value") };
    let (offsets, columns) = last_of_equal_keys(offsets, keys.clone(), values.clone());
    (offsets, Arc::new(StructArray::new(entry.fields().clone(), columns, None)))
}

/// Keeps of the entries with equal keys, in each row, the last. Done by batch, because a row cannot
/// be looked at cheaper while it is written, and equal keys are rare.
fn last_of_equal_keys(
    offsets: OffsetBuffer<i32>,
    keys: ArrayRef,
    values: ArrayRef,
) -> (OffsetBuffer<i32>, Vec<ArrayRef>) {
    let lost = lost_entries(&offsets, &Keys::new(&keys));
    if lost.is_empty() {
        return (offsets, vec![keys, values]);
    }
    let mut lost = lost.into_iter().peekable();
    let mut kept = Vec::with_capacity(keys.len());
    let mut starts = Vec::with_capacity(offsets.len());
    starts.push(0);
    for row in offsets.windows(2) {
        for entry in row[0] as u32..row[1] as u32 {
            if lost.next_if_eq(&entry).is_none() {
                kept.push(entry);
            }
        }
        starts.push(kept.len() as i32);
    }
    let kept = UInt32Array::from(kept);
    let take = |array: &ArrayRef| arrow::compute::take(array, &kept, None);
    match (take(&keys), take(&values)) {
        (Ok(new_keys), Ok(new_values)) => {
            (OffsetBuffer::new(ScalarBuffer::from(starts)), vec![new_keys, new_values])
        }
        // Not seen: indexes are in range and the result is smaller than what is there.
        _ => (offsets, vec![keys, values]),
    }
}

/// Entries that a later one of the same row and key replaces, rising.
fn lost_entries(offsets: &OffsetBuffer<i32>, keys: &Keys<'_>) -> Vec<u32> {
    let mut lost = Vec::new();
    let state = foldhash::fast::RandomState::default();
    let mut seen = hashbrown::HashTable::<usize>::new();
    for row in offsets.windows(2) {
        let (start, end) = (row[0] as usize, row[1] as usize);
        if end - start <= SMALL {
            for entry in start..end {
                if (entry + 1..end).any(|later| keys.get(later) == keys.get(entry)) {
                    lost.push(entry as u32);
                }
            }
            continue;
        }
        seen.clear();
        let first = lost.len();
        let hash = |entry: &usize| state.hash_one(keys.get(*entry));
        for entry in (start..end).rev() {
            let same = |other: &usize| keys.get(*other) == keys.get(entry);
            match seen.find(hash(&entry), same) {
                Some(_) => lost.push(entry as u32),
                None => {
                    seen.insert_unique(hash(&entry), entry, hash);
                }
            }
        }
        lost[first..].reverse();
    }
    lost
}

/// Map keys as bytes.
enum Keys<'a> {
    Bools(&'a BooleanArray),
    Texts(&'a StringArray),
    Numbers { bytes: &'a [u8], width: usize },
}

impl<'a> Keys<'a> {
    fn new(array: &'a ArrayRef) -> Self {
        let any = array.as_any();
        if let Some(bools) = any.downcast_ref::<BooleanArray>() {
            return Keys::Bools(bools);
        }
        if let Some(texts) = any.downcast_ref::<StringArray>() {
            return Keys::Texts(texts);
        }
        let width = array.data_type().primitive_width().unwrap_or(0);
        Keys::Numbers { bytes: number_bytes(array), width }
    }

    fn get(&self, entry: usize) -> &'a [u8] {
        match self {
            Keys::Bools(bools) => {
                if bools.value(entry) {
                    &[1]
                } else {
                    &[0]
                }
            }
            Keys::Texts(texts) => texts.value(entry).as_bytes(),
            Keys::Numbers { bytes, width } => {
                bytes.get(entry * width..(entry + 1) * width).unwrap_or_default()
            }
        }
    }
}

/// The values of a number array as they lie in memory; every key type that is neither text nor Boolean.
fn number_bytes(array: &ArrayRef) -> &[u8] {
    match array.data_type() {
        DataType::Int32 => array.as_primitive::<Int32Type>().values().inner().as_slice(),
        DataType::Int64 => array.as_primitive::<Int64Type>().values().inner().as_slice(),
        DataType::UInt32 => array.as_primitive::<UInt32Type>().values().inner().as_slice(),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().values().inner().as_slice(),
        DataType::Decimal128(..) => {
            array.as_primitive::<Decimal128Type>().values().inner().as_slice()
        }
        other => unreachable!("map keys are integers, text or Boolean, not {other}"),
    }
}
