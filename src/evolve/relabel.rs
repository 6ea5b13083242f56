//! Rows under other metadata.
//!
//! Owns: the same values in columns that [`super::same_columns`] calls the same. Arrow takes two columns for one type
//! only where all that is noted inside them is the same too: names that a type had, aliases of a field.
//! Bounded by: the columns given; no value is copied.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::datatypes::{DataType, Fields, SchemaRef};
use arrow::error::ArrowError;

/// The rows in columns that differ from theirs in what is noted of them.
///
/// Error: columns that differ in more.
pub fn relabel(rows: RecordBatch, to: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    if Arc::ptr_eq(rows.schema_ref(), to) {
        return Ok(rows);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    let columns = columns(rows.columns(), to.fields())?;
    RecordBatch::try_new_with_options(to.clone(), columns, &options)
}

fn columns(from: &[ArrayRef], to: &Fields) -> Result<Vec<ArrayRef>, ArrowError> {
    if from.len() != to.len() {
        return Err(ArrowError::SchemaError(format!("{} columns as {}", from.len(), to.len())));
    }
    from.iter().zip(to).map(|(from, to)| column(from, to.data_type())).collect()
}

fn column(from: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if from.data_type() == to {
        return Ok(from.clone());
    }
    match (from.data_type(), to) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            Ok(Arc::new(structs(from.as_struct(), fields)?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let (_, offsets, values, nulls) = from.as_list::<i32>().clone().into_parts();
            let values = column(&values, item.data_type())?;
            Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls)?))
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let (_, offsets, pairs, nulls, _) = from.as_map().clone().into_parts();
            let DataType::Struct(fields) = entries.data_type() else {
                return Err(ArrowError::SchemaError("a map without key and value".into()));
            };
            let pairs = structs(&pairs, fields)?;
            Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, nulls, *sorted)?))
        }
        (from, to) => Err(ArrowError::SchemaError(format!("{from} as {to}"))),
    }
}

fn structs(from: &StructArray, to: &Fields) -> Result<StructArray, ArrowError> {
    let columns = columns(from.columns(), to)?;
    StructArray::try_new_with_length(to.clone(), columns, from.nulls().cloned(), from.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    use arrow::array::Int32Array;
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::compute::interleave_record_batch;
    use arrow::datatypes::{Field, Schema};

    /// A list of structs, and a map of them, with a note on the innermost field.
    fn rows(note: &str) -> RecordBatch {
        let noted = HashMap::from([("forebay.names".to_owned(), note.to_owned())]);
        let inner = Field::new("x", DataType::Int32, true).with_metadata(noted);
        let fields = Fields::from(vec![inner]);
        let of = || {
            let values: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
            let nulls = NullBuffer::from(vec![true, true, false]);
            StructArray::new(fields.clone(), vec![values], Some(nulls))
        };
        let offsets = || OffsetBuffer::from_lengths([2, 0, 1]);
        let item = Arc::new(Field::new("element", of().data_type().clone(), true));
        let list = ListArray::new(item, offsets(), Arc::new(of()), None);
        let keys: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        let pair = Fields::from(vec![
            Field::new("key", DataType::Int32, false),
            Field::new("value", of().data_type().clone(), true),
        ]);
        let pairs = StructArray::new(pair.clone(), vec![keys, Arc::new(of())], None);
        let entries = Arc::new(Field::new("key_value", DataType::Struct(pair), false));
        let map = MapArray::new(entries, offsets(), pairs, None, false);
        RecordBatch::try_from_iter([("l", Arc::new(list) as ArrayRef), ("m", Arc::new(map))])
            .unwrap()
    }

    #[test]
    fn rows_of_two_notes_are_gathered_and_keep_their_values() {
        let (one, two) = (rows("one"), rows("two"));
        assert!(crate::evolve::same_columns(one.schema_ref(), two.schema_ref()));
        let at = [(0, 0), (1, 0), (1, 2)];
        assert!(interleave_record_batch(&[&one, &two], &at).is_err(), "nothing to do");
        let moved = relabel(two.clone(), one.schema_ref()).unwrap();
        assert_eq!(moved.schema_ref(), one.schema_ref());
        assert_eq!(moved, one, "only what is noted differs");
        let gathered = interleave_record_batch(&[&one, &moved], &at).unwrap();
        assert_eq!(
            gathered.slice(0, 2),
            interleave_record_batch(&[&one], &[(0, 0), (0, 0)]).unwrap()
        );
    }

    #[test]
    fn other_columns_are_refused() {
        let other = Arc::new(Schema::new(vec![Field::new("l", DataType::Int32, true)]));
        assert!(relabel(rows("one"), &other).is_err());
        let typed =
            vec![Field::new("l", DataType::Int32, true), Field::new("m", DataType::Utf8, true)];
        assert!(relabel(rows("one"), &Arc::new(Schema::new(typed))).is_err());
    }
}
