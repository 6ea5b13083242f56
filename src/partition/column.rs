//! Paths into columns, and the loops that read them.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, PrimitiveArray, RecordBatch,
    StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Schema, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::expr::Step;
use super::resolve::Resolver;
use super::texts::{NULL, REJECT, Texts};
use crate::error::Reject;

/// A path that was found in a schema.
#[derive(Debug, Clone)]
pub struct Access {
    /// Index of the top-level column.
    pub column: usize,
    hops: Vec<Hop>,
    pub leaf: DataType,
    /// The leaf is marked as a UUID.
    pub uuid: bool,
}

#[derive(Debug, Clone)]
enum Hop {
    Child(usize),
    Entry(MapKey),
}

/// A key as the map's key type has it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum MapKey {
    Text(String),
    Integer(i64),
    Boolean(bool),
}

/// Why a path was not found.
#[derive(Debug, PartialEq, Eq)]
pub enum Missing {
    /// No such field; says which, below what, and the nearest. A schema of another version may have it.
    Field(String),
    /// A step into something that has no such steps, in any version.
    Shape(String),
}

/// Finds a path. Top-level column, struct fields, map entries.
pub fn find(steps: &[Step], schema: &Schema) -> Result<Access, Missing> {
    let Some((Step::Field(head), rest)) = steps.split_first() else {
        return Err(Missing::Shape("an empty path, a field required".to_owned()));
    };
    let Some((column, field)) = schema.column_with_name(head) else {
        let near = super::near::hint(head, schema.fields().iter().map(|f| f.name().as_str()));
        return Err(Missing::Field(format!("no field `{head}` in the schema; {near}")));
    };
    let mut field: &Field = field;
    let mut hops = Vec::with_capacity(rest.len());
    for step in rest {
        let (hop, next) = enter(field, step)?;
        hops.push(hop);
        field = next;
    }
    let uuid = field.extension_type_name() == Some("arrow.uuid");
    Ok(Access { column, hops, leaf: field.data_type().clone(), uuid })
}

fn enter<'a>(field: &'a Field, step: &Step) -> Result<(Hop, &'a Field), Missing> {
    let parent = field.name();
    match (field.data_type(), step) {
        (DataType::Struct(fields), Step::Field(name)) => match fields.find(name) {
            Some((i, child)) => Ok((Hop::Child(i), child)),
            None => {
                let near = super::near::hint(name, fields.iter().map(|f| f.name().as_str()));
                Err(Missing::Field(format!("no field `{name}` in `{parent}`; {near}")))
            }
        },
        (map, Step::Entry(key)) if let Some((keys, values)) = entry_of(map) => {
            let key = map_key(keys.data_type(), key).ok_or_else(|| {
                Missing::Shape(format!(
                    "map key `{key}` of `{parent}`: its keys are {}, one of that type required",
                    keys.data_type()
                ))
            })?;
            Ok((Hop::Entry(key), values))
        }
        (DataType::Map(..), Step::Field(name)) => Err(Missing::Shape(format!(
            "field `{name}` of map `{parent}`: an entry required, `{parent}['{name}']`"
        ))),
        (other, Step::Field(name)) => Err(Missing::Shape(format!(
            "field `{name}` of `{parent}`: it is {}, a struct required",
            type_name(other)
        ))),
        (other, Step::Entry(key)) => Err(Missing::Shape(format!(
            "entry `{key}` of `{parent}`: it is {}, a map required",
            type_name(other)
        ))),
    }
}

/// Key and value of a map, or of a list of them, which stands for a map in some dialects.
fn entry_of(data_type: &DataType) -> Option<(&Field, &Field)> {
    let (entry, is_map) = match data_type {
        DataType::Map(entry, _) => (entry, true),
        DataType::List(entry) => (entry, false),
        _ => return None,
    };
    let DataType::Struct(pair) = entry.data_type() else { return None };
    match pair.as_ref() {
        [key, value] if is_map || key.name() == "key" && value.name() == "value" => {
            Some((key, value))
        }
        _ => None,
    }
}

/// A type as messages name it: without what is inside.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(_) => "a struct".to_owned(),
        DataType::Map(..) => "a map".to_owned(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            "a list".to_owned()
        }
        other => format!("{other}"),
    }
}

fn map_key(data_type: &DataType, key: &str) -> Option<MapKey> {
    match data_type {
        DataType::Utf8 => Some(MapKey::Text(key.to_owned())),
        DataType::Boolean => key.parse().ok().map(MapKey::Boolean),
        DataType::Int32 | DataType::Int64 | DataType::UInt32 | DataType::UInt64 => {
            key.parse().ok().map(MapKey::Integer)
        }
        DataType::Decimal128(_, 0) => key.parse().ok().map(MapKey::Integer),
        _ => None,
    }
}

/// A leaf array, and which of its values belongs to a row.
struct View {
    leaf: ArrayRef,
    nulls: Option<NullBuffer>,
    /// By row, behind a map: index into `leaf`, or [`NONE`].
    rows: Option<Vec<u32>>,
}

const NONE: u32 = u32::MAX;

impl View {
    /// Index of the value of `row`, if it has one.
    #[inline]
    fn at(&self, row: usize) -> Option<usize> {
        let at = match &self.rows {
            None => row,
            Some(rows) => match rows.get(row) {
                Some(&at) if at != NONE => at as usize,
                _ => return None,
            },
        };
        match &self.nulls {
            Some(nulls) if nulls.is_null(at) => None,
            _ => Some(at),
        }
    }
}

impl Access {
    /// Walks the path. `None` if the batch has other columns than were bound.
    fn view(&self, batch: &RecordBatch) -> Option<View> {
        let leaf = batch.columns().get(self.column)?.clone();
        let mut view = View { nulls: leaf.nulls().cloned(), leaf, rows: None };
        for hop in &self.hops {
            view = match hop {
                Hop::Child(child) => {
                    let leaf = view.leaf.as_struct_opt()?.columns().get(*child)?.clone();
                    let nulls = NullBuffer::union(view.nulls.as_ref(), leaf.nulls());
                    View { leaf, nulls, rows: view.rows }
                }
                Hop::Entry(key) => {
                    let (keys, leaf, offsets) = match view.leaf.as_map_opt() {
                        Some(map) => (map.keys(), map.values().clone(), map.value_offsets()),
                        None => {
                            let list = view.leaf.as_list_opt::<i32>()?;
                            let [keys, values] = list.values().as_struct_opt()?.columns() else {
                                return None;
                            };
                            (keys, values.clone(), list.value_offsets())
                        }
                    };
                    let entries = entries(keys, offsets, key, &view, batch.num_rows())?;
                    View { nulls: leaf.nulls().cloned(), leaf, rows: Some(entries) }
                }
            };
        }
        Some(view)
    }
}

/// By row, where the last entry of this key stands.
fn entries(
    keys: &ArrayRef,
    offsets: &[i32],
    key: &MapKey,
    view: &View,
    rows: usize,
) -> Option<Vec<u32>> {
    let is_key: Box<dyn Fn(usize) -> bool> = match key {
        MapKey::Text(text) => {
            let keys = keys.as_string_opt::<i32>()?;
            Box::new(move |i| keys.value(i) == text)
        }
        MapKey::Boolean(wanted) => {
            let keys = keys.as_boolean_opt()?;
            Box::new(move |i| keys.value(i) == *wanted)
        }
        MapKey::Integer(wanted) => integer_keys(keys, *wanted)?,
    };
    let find = |row| {
        let at = view.at(row)?;
        let (start, end) = (*offsets.get(at)? as usize, *offsets.get(at + 1)? as usize);
        (start..end).rev().find(|i| keys.is_valid(*i) && is_key(*i)).map(|i| i as u32)
    };
    Some((0..rows).map(|row| find(row).unwrap_or(NONE)).collect())
}

fn integer_keys(keys: &ArrayRef, wanted: i64) -> Option<Box<dyn Fn(usize) -> bool + '_>> {
    fn over<T: ArrowPrimitiveType>(
        keys: &ArrayRef,
        wanted: i64,
    ) -> Option<Box<dyn Fn(usize) -> bool + '_>>
    where
        T::Native: Into<i128>,
    {
        let keys = keys.as_primitive_opt::<T>()?;
        Some(Box::new(move |i| keys.value(i).into() == i128::from(wanted)))
    }
    match keys.data_type() {
        DataType::Int32 => over::<Int32Type>(keys, wanted),
        DataType::Int64 => over::<Int64Type>(keys, wanted),
        DataType::UInt32 => over::<UInt32Type>(keys, wanted),
        DataType::UInt64 => over::<UInt64Type>(keys, wanted),
        DataType::Decimal128(..) => over::<Decimal128Type>(keys, wanted),
        _ => None,
    }
}

/// The ids of one item, row by row, under construction.
pub struct Cells<'a> {
    /// [`NULL`] is open; [`REJECT`] and others are decided.
    pub ids: &'a mut [u32],
    pub rejects: &'a mut Vec<(u32, Box<Reject>)>,
}

impl Cells<'_> {
    /// Decides every open row that has a value.
    #[inline]
    fn each(
        &mut self,
        at: impl Fn(usize) -> Option<usize>,
        mut resolve: impl FnMut(usize) -> Result<u32, Box<Reject>>,
    ) {
        for (row, id) in self.ids.iter_mut().enumerate() {
            if *id != NULL {
                continue;
            }
            let Some(at) = at(row) else { continue };
            *id = match resolve(at) {
                Ok(found) => found,
                Err(reject) => {
                    self.rejects.push((row as u32, reject));
                    REJECT
                }
            };
        }
    }

    /// Gives every open row the same.
    pub fn fill(&mut self, found: Result<u32, Box<Reject>>) {
        self.each(Some, |_| found.clone());
    }

    /// A value for each row that has one.
    pub fn longs(
        &mut self,
        value: impl Fn(usize) -> Option<i64>,
        resolver: &mut Resolver,
        texts: &mut Texts,
    ) {
        self.each(
            |row| value(row).map(|_| row),
            |row| value(row).map_or(Ok(NULL), |v| resolver.long(v, texts)),
        );
    }

    fn primitives<T: ArrowPrimitiveType>(
        &mut self,
        view: &View,
        resolver: &mut Resolver,
        texts: &mut Texts,
        long: impl Fn(T::Native) -> i64,
    ) -> Option<()> {
        let array: &PrimitiveArray<T> = view.leaf.as_primitive_opt::<T>()?;
        let values = array.values();
        if view.rows.is_none() && view.nulls.is_none() && values.len() == self.ids.len() {
            self.each(Some, |i| resolver.long(long(values[i]), texts));
        } else {
            self.each(|row| view.at(row), |i| resolver.long(long(values[i]), texts));
        }
        Some(())
    }

    /// Codes are resolved once each: a column has few.
    fn dictionary(
        &mut self,
        view: &View,
        resolver: &mut Resolver,
        texts: &mut Texts,
    ) -> Option<()> {
        let array: &DictionaryArray<Int32Type> = view.leaf.as_dictionary_opt()?;
        let names: &StringArray = array.values().as_string_opt()?;
        let codes = array.keys().values();
        let mut known: Vec<Option<u32>> = vec![None; names.len()];
        self.each(
            |row| view.at(row),
            |i| {
                let code = codes[i] as usize;
                match known.get(code) {
                    Some(Some(id)) => Ok(*id),
                    Some(None) if names.is_null(code) => Ok(NULL),
                    Some(None) => {
                        let id = resolver.text(names.value(code), texts)?;
                        known[code] = Some(id);
                        Ok(id)
                    }
                    None => Ok(NULL),
                }
            },
        );
        Some(())
    }

    /// Reads one column. `None` if the batch has other columns than were bound.
    pub fn column(
        &mut self,
        access: &Access,
        batch: &RecordBatch,
        resolver: &mut Resolver,
        texts: &mut Texts,
    ) -> Option<()> {
        let view = access.view(batch)?;
        if *view.leaf.data_type() != access.leaf {
            return None;
        }
        let leaf = &view.leaf;
        macro_rules! long {
            ($type:ty, $long:expr) => {
                self.primitives::<$type>(&view, resolver, texts, $long)
            };
        }
        match &access.leaf {
            DataType::Null => Some(()),
            DataType::Int8 => long!(Int8Type, i64::from),
            DataType::Int16 => long!(Int16Type, i64::from),
            DataType::Int32 => long!(Int32Type, i64::from),
            DataType::Int64 => long!(Int64Type, |v| v),
            DataType::UInt8 => long!(UInt8Type, i64::from),
            DataType::UInt16 => long!(UInt16Type, i64::from),
            DataType::UInt32 => long!(UInt32Type, i64::from),
            DataType::Float32 => {
                long!(Float32Type, |v| i64::from(if v.is_nan() { f32::NAN } else { v }.to_bits()))
            }
            DataType::Float64 => {
                long!(Float64Type, |v| if v.is_nan() { f64::NAN } else { v }.to_bits() as i64)
            }
            DataType::Date32 => long!(Date32Type, i64::from),
            DataType::Timestamp(TimeUnit::Second, _) => long!(TimestampSecondType, |v| v),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                long!(TimestampMillisecondType, |v| v)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                long!(TimestampMicrosecondType, |v| v)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => long!(TimestampNanosecondType, |v| v),
            DataType::Time32(TimeUnit::Second) => long!(Time32SecondType, i64::from),
            DataType::Time32(_) => long!(Time32MillisecondType, i64::from),
            DataType::Time64(TimeUnit::Nanosecond) => long!(Time64NanosecondType, |v| v),
            DataType::Time64(_) => long!(Time64MicrosecondType, |v| v),
            DataType::UInt64 => {
                let values = leaf.as_primitive_opt::<UInt64Type>()?.values();
                self.each(|r| view.at(r), |i| resolver.wide(i128::from(values[i]), texts));
                Some(())
            }
            DataType::Decimal128(..) => {
                let values = leaf.as_primitive_opt::<Decimal128Type>()?.values();
                self.each(|r| view.at(r), |i| resolver.wide(values[i], texts));
                Some(())
            }
            DataType::Decimal256(..) => {
                let values = leaf.as_primitive_opt::<Decimal256Type>()?.values();
                self.each(|r| view.at(r), |i| resolver.widest(values[i], texts));
                Some(())
            }
            DataType::Boolean => {
                let array: &BooleanArray = leaf.as_boolean_opt()?;
                self.each(|r| view.at(r), |i| resolver.long(i64::from(array.value(i)), texts));
                Some(())
            }
            DataType::Utf8 => {
                let array: &StringArray = leaf.as_string_opt()?;
                self.each(|r| view.at(r), |i| resolver.text(array.value(i), texts));
                Some(())
            }
            DataType::Dictionary(..) => self.dictionary(&view, resolver, texts),
            DataType::Binary => {
                let array = leaf.as_binary_opt::<i32>()?;
                self.each(|r| view.at(r), |i| resolver.bytes(array.value(i), texts));
                Some(())
            }
            DataType::FixedSizeBinary(_) => {
                let array = leaf.as_fixed_size_binary_opt()?;
                self.each(|r| view.at(r), |i| resolver.bytes(array.value(i), texts));
                Some(())
            }
            _ => None,
        }
    }
}
