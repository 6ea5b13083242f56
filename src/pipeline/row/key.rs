//! The column `_key`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, RecordBatch, StringBuilder, StructArray, UInt32Array,
};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use crate::decode::{self, Decoder, Plan};
use crate::error::Reject;
use crate::record::Oddities;

/// Name of the column.
pub const KEY: &str = "_key";

/// How the keys of a group of records become the column.
#[derive(Debug, Clone)]
pub enum KeyPlan {
    /// No column: keys are not asked for, or none was there yet to say its type.
    None,
    /// Text as it is.
    Text,
    /// Bytes as they are.
    Bytes,
    /// By a schema.
    Plan(Arc<Plan>),
}

impl KeyPlan {
    /// The column: a struct for a message or record, else the value itself.
    pub(super) fn field(&self) -> Option<Field> {
        let of = |data_type| Some(Field::new(KEY, data_type, true));
        match self {
            KeyPlan::None => None,
            KeyPlan::Text => of(DataType::Utf8),
            KeyPlan::Bytes => of(DataType::Binary),
            KeyPlan::Plan(plan) if plan.is_scalar() => {
                let column = plan.schema.fields().first()?;
                Some(column.as_ref().clone().with_name(KEY).with_nullable(true))
            }
            KeyPlan::Plan(plan) => of(DataType::Struct(plan.schema.fields().clone())),
        }
    }
}

/// Keys of rows under construction.
#[derive(Debug)]
pub(super) enum Keys {
    None,
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    /// `of_row`: the decoder's row of each row; `None` for a record without a key. A key whose value was
    /// refused stays in the decoder, and no row has it.
    Decoded {
        decoder: Box<Decoder>,
        of_row: Vec<Option<u32>>,
        scalar: bool,
        /// Of keys that rows have; missing fields of all that were read.
        oddities: Oddities,
    },
}

impl Keys {
    pub fn new(plan: &KeyPlan) -> Self {
        match plan {
            KeyPlan::None => Keys::None,
            KeyPlan::Text => Keys::Text(StringBuilder::new()),
            KeyPlan::Bytes => Keys::Bytes(BinaryBuilder::new()),
            KeyPlan::Plan(plan) => Keys::Decoded {
                scalar: plan.is_scalar(),
                decoder: Box::new(Decoder::new(plan.clone())),
                of_row: Vec::new(),
                oddities: Oddities::default(),
            },
        }
    }

    /// Decodes a key, if it takes decoding. A row takes it by [`Keys::commit`].
    pub fn read(&mut self, key: Option<&[u8]>) -> Result<(), Box<Reject>> {
        match (self, key) {
            (Keys::Decoded { decoder, .. }, Some(key)) => {
                decoder.take_oddities(); // of a key that was read before and whose value was refused
                decoder.append(key).map_err(|reject| of_key(&reject))
            }
            (Keys::Text(_), Some(key)) => match std::str::from_utf8(key) {
                Ok(_) => Ok(()),
                Err(error) => Err(Reject::new(
                    &decode::codes::UTF8,
                    format!(
                        "field `{KEY}`: {} bytes that are not UTF-8 at byte {}, UTF-8 required; `key.format: bytes` takes them as they are",
                        key.len(),
                        error.valid_up_to()
                    ),
                )),
            },
            _ => Ok(()),
        }
    }

    /// Gives the key that was read last to the next row.
    pub fn commit(&mut self, key: Option<&[u8]>) {
        match self {
            Keys::None => {}
            // It was read.
            Keys::Text(keys) => keys.append_option(key.and_then(|k| std::str::from_utf8(k).ok())),
            Keys::Bytes(keys) => keys.append_option(key),
            Keys::Decoded { decoder, of_row, oddities, .. } => {
                of_row.push(key.map(|_| (decoder.rows() - 1) as u32));
                if key.is_some() {
                    *oddities += decoder.take_oddities();
                }
            }
        }
    }

    /// What was counted since the last call.
    pub fn take_oddities(&mut self) -> Oddities {
        match self {
            Keys::Decoded { oddities, .. } => std::mem::take(oddities),
            Keys::None | Keys::Text(_) | Keys::Bytes(_) => Oddities::default(),
        }
    }

    /// Keys since the last [`Keys::finish`], those that no row has among them.
    pub fn rows(&self) -> usize {
        match self {
            Keys::None => 0,
            Keys::Text(keys) => keys.offsets_slice().len().saturating_sub(1),
            Keys::Bytes(keys) => keys.offsets_slice().len().saturating_sub(1),
            Keys::Decoded { decoder, .. } => decoder.rows(),
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Keys::None => 0,
            Keys::Text(keys) => keys.values_slice().len() + keys.offsets_slice().len() * 4,
            Keys::Bytes(keys) => keys.values_slice().len() + keys.offsets_slice().len() * 4,
            Keys::Decoded { decoder, of_row, .. } => decoder.bytes() + of_row.len() * 8,
        }
    }

    /// The column; the keys start anew.
    pub fn finish(&mut self) -> Result<Option<ArrayRef>, ArrowError> {
        Ok(match self {
            Keys::None => None,
            Keys::Text(keys) => Some(Arc::new(keys.finish())),
            Keys::Bytes(keys) => Some(Arc::new(keys.finish())),
            Keys::Decoded { decoder, of_row, scalar, oddities } => {
                let of_row = std::mem::take(of_row);
                decoder.take_oddities(); // of a last key whose value was refused
                let column = column(decoder.finish(), *scalar)?;
                *oddities += decoder.take_oddities();
                let whole = of_row.len() == column.len() && of_row.iter().all(Option::is_some);
                Some(if whole { column } else { take(&column, &UInt32Array::from(of_row), None)? })
            }
        })
    }
}

fn column(rows: RecordBatch, scalar: bool) -> Result<ArrayRef, ArrowError> {
    match rows.columns().first() {
        Some(column) if scalar => Ok(column.clone()),
        _ => {
            let fields = rows.schema().fields().clone();
            Ok(Arc::new(StructArray::try_new(fields, rows.columns().to_vec(), None)?))
        }
    }
}

/// The reject of a key, with its place said.
#[cold]
pub fn of_key(reject: &Reject) -> Box<Reject> {
    Reject::new(reject.code, format!("field `{KEY}`: {}", reject.message))
}
