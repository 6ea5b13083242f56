//! Change events → the rows they are about.
//!
//! Owns: what `value.unwrap: debezium` makes of a decoded batch: the columns of `after`, or of `before`
//! for a delete, with `_op`, `_ts_ms` and `_deleted`; Debezium's own date and time types.
//! Does not own: decoding. It works on columns, whatever format they were decoded from.
//! Bounded by: the batch: columns are taken as they are, or copied once where a batch holds deletes.
//! Absent: tombstones (`pipeline::row`), times of day and times with zone, which keep their base types.
//!
//! Source: Debezium's documentation of change events ("Data change events", "Temporal types") and of
//! its `ExtractNewRecordState` transformation. `op` is `c`, `u`, `d`, `r`, `t` or `m`; only `d` takes `before`.
//! Times come without zone, so the timestamps have none; a `ZonedTimestamp` is text with one.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::compute::kernels::cmp;
use arrow::compute::{interleave, nullif};
use arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, Int32Type, Int64Type, Schema, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use serde_json::Value as Json;

use super::readers::{Exact, Readers, UNIT};
use super::{Options, Plan};
use crate::config::Dialect;
use crate::error::{Code, Fault, Kind};
use crate::registry::{Parsed, Schema as Written};

pub static ENVELOPE: Code = Code {
    id: "FB0285",
    kind: Kind::Reject,
    title: "schema that is no change event",
    help: "`value.unwrap: debezium` takes records of `before`, `after`, `op` and `ts_ms`. Topics of heartbeats, transactions and schema changes hold others, and so do topics that a connector has unwrapped already: leave them out of `source`, or read them with a pipeline of their own.",
};

/// Every code of this file.
pub static CODES: &[&Code] = &[&ENVELOPE];

/// Names of the columns beside those of the table.
pub const OP: &str = "_op";
pub const TS_MS: &str = "_ts_ms";
pub const DELETED: &str = "_deleted";

/// What a column becomes for the sake of its Debezium type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cast {
    None,
    Date,
    Millis,
    Micros,
    Nanos,
    /// Nanoseconds for readers that take microseconds.
    NanosToMicros,
}

/// How batches of one plan are unwrapped.
#[derive(Debug)]
pub struct Envelope {
    before: usize,
    after: usize,
    op: usize,
    ts_ms: Option<usize>,
    /// Unknown fields of the whole event, which are kept as they are.
    unknown: Option<usize>,
    casts: Vec<Cast>,
    fields: Vec<FieldRef>,
    /// What was chosen, one line each.
    pub notes: Vec<String>,
}

/// An unwrapped batch.
#[derive(Debug)]
pub struct Unwrapped {
    /// As [`Envelope::fields`].
    pub columns: Vec<ArrayRef>,
    pub op: ArrayRef,
    pub ts_ms: ArrayRef,
    /// Without nulls.
    pub deleted: BooleanArray,
}

impl Envelope {
    /// How rows of `plan`, compiled from `schema` if the registry has it, are unwrapped. Error: [`ENVELOPE`].
    pub fn new(plan: &Plan, schema: Option<&Written>, options: &Options) -> Result<Self, Fault> {
        let names = match schema.map(|schema| &schema.parsed) {
            Some(Parsed::Avro(avro)) => connect_names(&avro.json),
            _ => plan.connect_names.clone(),
        };
        let Found { before, after, op, ts_ms } =
            find(&plan.schema).map_err(|found| refuse(&plan.record_name, &found))?;
        let DataType::Struct(members) = plan.schema.field(after).data_type() else {
            return Err(refuse(&plan.record_name, "`after` without columns"));
        };
        let readers = Readers::of(options);
        let mut notes = Vec::new();
        let (mut fields, mut casts) = (Vec::new(), Vec::new());
        for member in members {
            let named = names.get(member.name()).map(String::as_str).unwrap_or_default();
            let truncate = options.value.truncate_timestamps;
            let (field, cast) = match options.value.dialect {
                Dialect::Clean => typed(member, named, &readers, truncate, &mut notes),
                // Connect knows the names of these types, and its sinks do not.
                Dialect::Confluent(_) => (member.as_ref().clone(), Cast::None),
            };
            fields.push(Arc::new(field.with_nullable(true)));
            casts.push(cast);
        }
        let unknown = plan.unknown_column();
        if let Some(at) = unknown {
            fields.push(Arc::new(plan.schema.field(at).clone().with_nullable(true)));
        }
        Ok(Self { before, after, op, ts_ms, unknown, casts, fields, notes })
    }

    /// The columns of the table, all nullable, without [`OP`], [`TS_MS`] and [`DELETED`]; behind them that
    /// of `value.unknown_fields: keep`.
    pub fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// Unwraps rows of the plan. Errors: none with rows of the plan it was made for.
    pub fn unwrap(&self, rows: &RecordBatch) -> Result<Unwrapped, ArrowError> {
        let op = rows.column(self.op);
        let deleted = cmp::eq(op, &StringArray::new_scalar("d"))?;
        // A null is no delete.
        let deleted = match deleted.nulls() {
            Some(nulls) => BooleanArray::new(deleted.values() & nulls.inner(), None),
            None => deleted,
        };
        let after = rows.column(self.after);
        let columns = if deleted.has_true() {
            let from: Vec<(usize, usize)> =
                deleted.values().iter().enumerate().map(|(row, d)| (usize::from(d), row)).collect();
            let before = rows.column(self.before);
            flatten(interleave(&[after.as_ref(), before.as_ref()], &from)?.as_struct())?
        } else {
            flatten(after.as_struct())?
        };
        let columns = columns.into_iter().zip(&self.casts).map(|(c, cast)| cast.apply(c));
        let columns = columns.chain(self.unknown.map(|at| rows.column(at).clone())).collect();
        let ts_ms = match self.ts_ms {
            Some(ts_ms) => rows.column(ts_ms).clone(),
            None => Arc::new(Int64Array::new_null(rows.num_rows())),
        };
        Ok(Unwrapped { columns, op: op.clone(), ts_ms, deleted })
    }
}

/// The members of a struct; null where the struct is.
fn flatten(rows: &StructArray) -> Result<Vec<ArrayRef>, ArrowError> {
    match rows.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => Ok(rows.columns().to_vec()),
        Some(nulls) => {
            let absent = BooleanArray::new(!nulls.inner(), None);
            rows.columns().iter().map(|column| nullif(column, &absent)).collect()
        }
    }
}

struct Found {
    before: usize,
    after: usize,
    op: usize,
    ts_ms: Option<usize>,
}

/// The parts of an envelope, or what is there in their place.
fn find(schema: &Schema) -> Result<Found, String> {
    let index = |name: &str| schema.index_of(name).map_err(|_| format!("no field `{name}`"));
    let (before, after, op) = (index("before")?, index("after")?, index("op")?);
    for (name, at) in [("before", before), ("after", after)] {
        let found = schema.field(at).data_type();
        if !matches!(found, DataType::Struct(_)) {
            return Err(format!("`{name}` of type {found}"));
        }
    }
    if schema.field(before).data_type() != schema.field(after).data_type() {
        return Err("`before` and `after` of different fields".to_owned());
    }
    if schema.field(op).data_type() != &DataType::Utf8 {
        return Err(format!("`op` of type {}", schema.field(op).data_type()));
    }
    let ts_ms = schema.index_of("ts_ms").ok();
    if let Some(found) = ts_ms.map(|at| schema.field(at).data_type())
        && found != &DataType::Int64
    {
        return Err(format!("`ts_ms` of type {found}"));
    }
    Ok(Found { before, after, op, ts_ms })
}

fn refuse(record_name: &str, found: &str) -> Fault {
    Fault::new(
        &ENVELOPE,
        format!(
            "schema of `{record_name}`: {found}, records `before` and `after` of the same fields and a text `op` required by `value.unwrap: debezium`; leave the topic out of `source`, or unwrap nothing"
        ),
    )
}

/// The column of a field whose Connect schema has this name.
fn typed(
    field: &Field,
    named: &str,
    readers: &Readers,
    truncate: bool,
    notes: &mut Vec<String>,
) -> (Field, Cast) {
    let timestamp = |unit| DataType::Timestamp(unit, None);
    let (data_type, cast) = match (named, field.data_type()) {
        ("io.debezium.time.Date", DataType::Int32) => (DataType::Date32, Cast::Date),
        ("io.debezium.time.Timestamp", DataType::Int64) => {
            (timestamp(TimeUnit::Millisecond), Cast::Millis)
        }
        ("io.debezium.time.MicroTimestamp", DataType::Int64) => {
            (timestamp(TimeUnit::Microsecond), Cast::Micros)
        }
        ("io.debezium.time.NanoTimestamp", DataType::Int64) => {
            match readers.refuse(Exact::TimestampNs, field.name()) {
                None => (timestamp(TimeUnit::Nanosecond), Cast::Nanos),
                Some(note) if truncate => {
                    notes.push(note);
                    (timestamp(TimeUnit::Microsecond), Cast::NanosToMicros)
                }
                // Cutting digits off is not allowed, and there is no record to reject any more.
                Some(_) => return (unit(field, "ns"), Cast::None),
            }
        }
        ("io.debezium.time.Time", DataType::Int32) => return (unit(field, "ms"), Cast::None),
        ("io.debezium.time.MicroTime", DataType::Int64) => return (unit(field, "us"), Cast::None),
        ("io.debezium.time.NanoTime", DataType::Int64) => return (unit(field, "ns"), Cast::None),
        _ => return (field.clone(), Cast::None),
    };
    (field.clone().with_data_type(data_type), cast)
}

/// The field, with the unit of its integers said.
fn unit(field: &Field, unit: &str) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(UNIT.to_owned(), unit.to_owned());
    field.clone().with_metadata(metadata)
}

impl Cast {
    /// Another name for the same buffers, except where digits are cut off.
    fn apply(self, column: ArrayRef) -> ArrayRef {
        match self {
            Cast::None => column,
            Cast::Date => {
                Arc::new(column.as_primitive::<Int32Type>().reinterpret_cast::<Date32Type>())
            }
            Cast::Millis => {
                let column = column.as_primitive::<Int64Type>();
                Arc::new(column.reinterpret_cast::<TimestampMillisecondType>())
            }
            Cast::Micros => {
                let column = column.as_primitive::<Int64Type>();
                Arc::new(column.reinterpret_cast::<TimestampMicrosecondType>())
            }
            Cast::Nanos => {
                let column = column.as_primitive::<Int64Type>();
                Arc::new(column.reinterpret_cast::<TimestampNanosecondType>())
            }
            Cast::NanosToMicros => {
                let column = column.as_primitive::<Int64Type>();
                let micros: TimestampMicrosecondArray = column.unary(|ns| ns.div_euclid(1_000));
                Arc::new(micros)
            }
        }
    }
}

/// Names of the Connect schemas of a table's fields, out of an envelope's Avro text: the table's record
/// stands where it is used first.
fn connect_names(json: &str) -> HashMap<String, String> {
    let Ok(envelope) = serde_json::from_str::<Json>(json) else { return HashMap::new() };
    let fields = |record: &Json| record.get("fields").and_then(Json::as_array).cloned();
    let record = fields(&envelope).unwrap_or_default().into_iter().find_map(|field| {
        let name = field.get("name").and_then(Json::as_str)?;
        let of_table = matches!(name, "before" | "after");
        branches(field.get("type")?).into_iter().find_map(fields).filter(|_| of_table)
    });
    let named = |field: &Json| {
        let name = field.get("name").and_then(Json::as_str)?;
        let connect = |ty: &&Json| ty.get("connect.name").and_then(Json::as_str).map(str::to_owned);
        let branches = branches(field.get("type")?);
        Some((name.to_owned(), branches.iter().find_map(connect)?))
    };
    record.unwrap_or_default().iter().filter_map(named).collect()
}

/// The same out of the Connect schema inside an event, in which each field says its own name.
pub(super) fn embedded_names(schema: &[u8]) -> HashMap<String, String> {
    let Ok(envelope) = serde_json::from_slice::<Json>(schema) else { return HashMap::new() };
    let fields = |of: &Json| of.get("fields").and_then(Json::as_array).cloned().unwrap_or_default();
    let text = |of: &Json, key: &str| of.get(key).and_then(Json::as_str).map(str::to_owned);
    let table =
        fields(&envelope).into_iter().find(|f| text(f, "field").as_deref() == Some("after"));
    let named = |field: &Json| Some((text(field, "field")?, text(field, "name")?));
    table.iter().flat_map(fields).filter_map(|field| named(&field)).collect()
}

/// The branches of a union; any other type alone.
fn branches(ty: &Json) -> Vec<&Json> {
    match ty {
        Json::Array(branches) => branches.iter().collect(),
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int32Array};
    use arrow::datatypes::{Fields, Int64Type};

    use super::*;

    fn table(ids: Vec<Option<i32>>) -> ArrayRef {
        let fields: Fields = vec![Field::new("id", DataType::Int32, true)].into();
        let there = ids.iter().map(Option::is_some).collect::<Vec<_>>();
        let column: ArrayRef = Arc::new(Int32Array::from(ids));
        Arc::new(StructArray::new(fields, vec![column], Some(there.into())))
    }

    fn batch(after: Vec<Option<i32>>, ops: Vec<&str>) -> (Envelope, RecordBatch) {
        let none = vec![None; ops.len()];
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("op", Arc::new(StringArray::from(ops))),
            ("after", table(after)),
            ("before", table(none)),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let Found { before, after, op, ts_ms } = find(&rows.schema()).unwrap();
        let envelope = Envelope {
            before,
            after,
            op,
            ts_ms,
            unknown: None,
            casts: vec![Cast::None],
            fields: vec![Arc::new(Field::new("id", DataType::Int32, true))],
            notes: Vec::new(),
        };
        (envelope, rows)
    }

    #[test]
    fn columns_of_a_batch_without_deletes_are_taken_as_they_are() {
        let (envelope, rows) = batch(vec![Some(1), Some(2)], vec!["c", "u"]);
        let unwrapped = envelope.unwrap(&rows).unwrap();
        let after = rows.column_by_name("after").unwrap().as_struct().column(0);
        assert!(Arc::ptr_eq(&unwrapped.columns[0], after));
        assert!(!unwrapped.deleted.has_true());
        assert_eq!(unwrapped.ts_ms.as_primitive::<Int64Type>().null_count(), 2);
    }

    #[test]
    fn state_that_is_not_there_is_null_in_every_column() {
        let (envelope, rows) = batch(vec![Some(1), None, Some(3)], vec!["c", "d", "r"]);
        let unwrapped = envelope.unwrap(&rows).unwrap();
        let ids: Vec<_> = unwrapped.columns[0].as_primitive::<Int32Type>().iter().collect();
        assert_eq!(ids, [Some(1), None, Some(3)]);
        let deleted: Vec<_> = unwrapped.deleted.iter().collect();
        assert_eq!(deleted, [Some(false), Some(true), Some(false)]);
    }

    #[test]
    fn names_of_connect_schemas_are_found_in_the_first_of_before_and_after() {
        let names = connect_names(
            r#"{"fields":[{"name":"source","type":{"fields":[{"name":"at","type":{"type":"long","connect.name":"no"}}]}},
            {"name":"after","type":["null",{"name":"V","fields":[
                {"name":"at","type":["null",{"type":"long","connect.name":"yes"}]},{"name":"id","type":"int"}]}]}]}"#,
        );
        assert_eq!(names, HashMap::from([("at".to_owned(), "yes".to_owned())]));
        for odd in ["", "3", "[]", r#"{"fields":{}}"#, r#"{"fields":[{"name":"after"}]}"#] {
            assert_eq!(connect_names(odd), HashMap::new(), "{odd}");
        }
    }
}
