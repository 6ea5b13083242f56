//! Rows of one version in the columns of a merge.
//!
//! Owns: the conversion, batch by batch: columns that stay the same are not copied.
//! Bounded by: the rows given; a promoted column is made anew.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, RecordBatchOptions,
};
use arrow::array::{StructArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use arrow::error::ArrowError;

use super::rules::{Changes, Fill, How, Law, Misfit, pair, project};

/// How rows of one version fill the columns of a merge.
#[derive(Debug)]
pub struct Widened {
    pub schema: SchemaRef,
    pub changes: Changes,
    columns: Vec<Fill>,
}

impl Widened {
    /// Errors: what of `writer` does not fit: it was left out of the merge.
    pub fn new(writer: &SchemaRef, merged: &SchemaRef) -> Result<Self, Vec<Misfit>> {
        let projection = project(writer, merged, Law::Columns)?;
        Ok(Self {
            schema: merged.clone(),
            changes: projection.changes,
            columns: projection.columns,
        })
    }

    /// The rows in the columns of the merge. Error: rows with other columns than the writer's.
    pub fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let count = rows.num_rows();
        let columns = fill(&self.columns, rows.columns(), self.schema.fields(), count)?;
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
    }
}

fn fill(
    fills: &[Fill],
    from: &[ArrayRef],
    to: &Fields,
    rows: usize,
) -> Result<Vec<ArrayRef>, ArrowError> {
    let column = |(fill, field): (&Fill, &Arc<Field>)| match fill {
        Fill::Absent => Ok(new_null_array(field.data_type(), rows)),
        Fill::From(at, how) => match from.get(*at) {
            Some(column) => convert(how, column, field.data_type()),
            None => Err(ArrowError::SchemaError(format!("no column {at}"))),
        },
    };
    fills.iter().zip(to).map(column).collect()
}

fn convert(how: &How, from: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match (how, to) {
        (How::Struct(fills), DataType::Struct(fields)) => {
            Ok(Arc::new(structs(fills, from.as_struct(), fields)?))
        }
        (How::List(how), DataType::List(item)) => {
            let (_, offsets, values, nulls) = from.as_list::<i32>().clone().into_parts();
            let values = convert(how, &values, item.data_type())?;
            Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, nulls)?))
        }
        (How::Map(key, value), DataType::Map(entries, sorted)) => {
            let (_, offsets, pairs, nulls, _) = from.as_map().clone().into_parts();
            let (Some((to_key, to_value)), DataType::Struct(fields)) =
                (pair(entries), entries.data_type())
            else {
                return Err(ArrowError::SchemaError("a map without key and value".into()));
            };
            let keys = convert(key, pairs.column(0), to_key.data_type())?;
            let values = convert(value, pairs.column(1), to_value.data_type())?;
            let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
            Ok(Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, nulls, *sorted)?))
        }
        (How::Member(at, how), DataType::Struct(fields)) => {
            let member = |(i, field): (usize, &Arc<Field>)| match i == *at {
                true => convert(how, from, field.data_type()),
                false => Ok(new_null_array(field.data_type(), from.len())),
            };
            let members = fields.iter().enumerate().map(member).collect::<Result<Vec<_>, _>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), members, from.nulls().cloned())?))
        }
        (How::Promote, to) => {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(from, to, &strict)
        }
        _ => Ok(from.clone()),
    }
}

fn structs(fills: &[Fill], from: &StructArray, to: &Fields) -> Result<StructArray, ArrowError> {
    let columns = fill(fills, from.columns(), to, from.len())?;
    StructArray::try_new(to.clone(), columns, from.nulls().cloned())
}
