//! Rows as JSON, one object a row, for people to look at.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow_json::WriterBuilder;
use arrow_json::writer::LineDelimited;

/// A JSON object for each row, nulls shown.
pub fn json(batch: &RecordBatch) -> Result<Vec<String>, ArrowError> {
    let batch = offset_zones(batch)?;
    let mut writer =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(&batch)?;
    writer.finish()?;
    Ok(String::from_utf8_lossy(&writer.into_inner()).lines().map(str::to_owned).collect())
}

/// Timestamps in UTC with the zone written `+00:00`: the JSON writer knows no zone names.
fn offset_zones(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let wanted = offset_zone(field.data_type());
        columns.push(cast(column, &wanted)?);
        fields.push(field.as_ref().clone().with_data_type(wanted));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

fn offset_zone(data_type: &DataType) -> DataType {
    let retyped =
        |f: &Arc<Field>| Arc::new(f.as_ref().clone().with_data_type(offset_zone(f.data_type())));
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(retyped).collect()),
        DataType::List(item) => DataType::List(retyped(item)),
        DataType::Map(entries, sorted) => DataType::Map(retyped(entries), *sorted),
        other => other.clone(),
    }
}
