//! A JSON Schema by the columns that it gives: enums and defaults of its properties are not told apart.

use arrow::datatypes::{DataType, Field, Fields, SchemaRef, TimeUnit};

use super::super::rules::pair;
use super::{Form, Kind, Left};

/// None: too many parts.
pub(super) fn form(name: &str, columns: &SchemaRef, left: &mut Left) -> Option<Form> {
    Some(Form::from(Kind::Struct(members(columns.fields(), left)?)).named(name))
}

fn members(fields: &Fields, left: &mut Left) -> Option<Vec<(String, Form)>> {
    fields.iter().map(|field| Some((field.name().clone(), of(field, left)?))).collect()
}

fn of(field: &Field, left: &mut Left) -> Option<Form> {
    left.take()?;
    let form: Form = match field.data_type() {
        DataType::Null => Kind::Null.into(),
        DataType::Boolean => Kind::Boolean.into(),
        DataType::Int8 => Kind::Int8.into(),
        DataType::Int16 => Kind::Int16.into(),
        DataType::Int32 => Kind::Int32.into(),
        DataType::Int64 => Kind::Int64.into(),
        DataType::Float32 => Kind::Float32.into(),
        DataType::Float64 => Kind::Float64.into(),
        DataType::Utf8 => Kind::String.into(),
        DataType::Struct(fields) => Kind::Struct(members(fields, left)?).into(),
        DataType::List(item) => Kind::Array(Box::new(of(item, left)?)).into(),
        DataType::Map(entries, _) => {
            let (key, value) = pair(entries)?;
            Kind::Map(Box::new(of(key, left)?), Box::new(of(value, left)?)).into()
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => logical(Kind::Int64, field.data_type()),
        DataType::Date32 | DataType::Time32(_) => logical(Kind::Int32, field.data_type()),
        other => logical(Kind::Bytes, other),
    };
    Some(Form { optional: field.is_nullable(), ..form })
}

/// Types of other meanings are told apart by what they are called.
fn logical(kind: Kind, data_type: &DataType) -> Form {
    Form::from(kind).named(data_type.to_string())
}
