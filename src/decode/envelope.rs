//! Change events → the rows they are about.
//!
//! Owns: what `value.unwrap: debezium` makes of a decoded batch: the columns of `after`, or of `before`
//! for a delete, with `_op`, `_ts_ms` and `_deleted`; what Debezium's own types become.
//! Does not own: decoding. It works on columns, whatever format they were decoded from.
//! Bounded by: the batch: columns are taken as they are, or copied once where a batch holds deletes.
//! Absent: tombstones (`pipeline::row`), types inside arrays of a table, which keep their base types.
//!
//! | Connect's name of a field | column |
//! |---|---|
//! | `io.debezium.time.Date` | date |
//! | `io.debezium.time.Timestamp`, `MicroTimestamp`, `NanoTimestamp` | timestamp without zone (ms, µs, ns) |
//! | `io.debezium.time.Time`, `MicroTime`, `NanoTime` | the integer, its unit in the field's metadata: MySQL's times go beyond a day and below zero, which Parquet's TIME cannot |
//! | `io.debezium.time.MicroDuration`, `NanoDuration` | the integer, its unit in the field's metadata |
//! | `io.debezium.time.ZonedTimestamp`, `ZonedTime`, `Iso…`, `Interval` | the text: it may hold an offset, `infinity`, or digits beyond the microsecond, and `partition_by` reads ISO 8601 |
//! | `io.debezium.data.Json` | JSON text |
//! | anything else | its base type; `org.apache.kafka.connect.data.*` have theirs from the decoder |
//!
//! The names stand in Avro (`connect.name`), in JSON Schema (`title`) and in the Connect schema of a record.
//! Confluent's Protobuf converter writes no names of fields, so that Protobuf keeps integers; a connector with
//! `time.precision.mode: connect` writes types that every format has.
//!
//! Where the state is one text (MongoDB: the document, Extended JSON), it becomes the column [`VALUE`], beside
//! what the event says of the change itself: an update may come with that alone.
//!
//! Source: Debezium's documentation of change events ("Data change events", "Temporal types") and of
//! its `ExtractNewRecordState` transformation; Confluent's converters. `op` is `c`, `u`, `d`, `r`, `t` or `m`; only
//! `d` takes `before`.

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

use super::columns::JSON_EXTENSION;
use super::readers::{Exact, Readers, UNIT};
use super::{Options, Plan};
use crate::config::Dialect;
use crate::error::{Code, Fault, Kind};
use crate::evolve::CONNECT_NAME;
use crate::registry::Schema as Written;

pub static ENVELOPE: Code = Code {
    id: "FB0285",
    kind: Kind::Reject,
    title: "schema that is no change event",
    help: "`value.unwrap: debezium` takes records of `before`, `after`, `op` and `ts_ms`, of tables or (MongoDB) of documents as JSON text. Topics of heartbeats, transactions and schema changes hold others, and so do topics that a connector has unwrapped already: leave them out of `source`, or read them with a pipeline of their own.",
};

/// Every code of this file.
pub static CODES: &[&Code] = &[&ENVELOPE];

/// Names of the columns beside those of the table.
pub const OP: &str = "_op";
pub const TS_MS: &str = "_ts_ms";
pub const DELETED: &str = "_deleted";
/// Name of the column of a state that is one text.
pub const VALUE: &str = "value";

/// Name of the Connect schema of JSON text.
const JSON: &str = "io.debezium.data.Json";
/// Connect's names that make another column of their base type.
const TYPED: [&str; 10] = [
    "io.debezium.time.Date",
    "io.debezium.time.Timestamp",
    "io.debezium.time.MicroTimestamp",
    "io.debezium.time.NanoTimestamp",
    "io.debezium.time.Time",
    "io.debezium.time.MicroTime",
    "io.debezium.time.NanoTime",
    "io.debezium.time.MicroDuration",
    "io.debezium.time.NanoDuration",
    JSON,
];
/// What an event about a document says of the change, by the versions of the connector.
const CHANGES: [&str; 3] = ["updateDescription", "patch", "filter"];

/// Names of the Connect schemas inside a change event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of `after` itself.
    pub state: Option<String>,
    /// Of its members, by their names.
    pub columns: HashMap<String, String>,
}

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
    parts: Parts,
    /// Columns of the whole event that are kept as they are, behind those of the state.
    kept: Vec<usize>,
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
        let names = plan.connect_names(schema);
        let parts = find(&plan.schema, names.as_ref())
            .map_err(|found| refuse(&plan.record_name, &found))?;
        let names = names.unwrap_or_default();
        let state = plan.schema.field(parts.after);
        let readers = Readers::of(options);
        let truncate = options.value.truncate_timestamps;
        let mut notes = Vec::new();
        let mut typed = |member: &Field, named: Option<&String>| {
            // In the columns of several versions, the one that has the column names it.
            let (member, marked) = unmarked(member);
            let named = marked.as_ref().or(named).map(String::as_str).unwrap_or_default();
            match options.value.dialect {
                Dialect::Clean => typed(&member, named, &readers, truncate, &mut notes),
                // Connect knows the names of these types, and its sinks do not.
                Dialect::Confluent(_) => (member.clone(), Cast::None),
            }
        };
        let typed: Vec<(Field, Cast)> = match state.data_type() {
            DataType::Struct(members) => {
                members.iter().map(|m| typed(m, names.columns.get(m.name()))).collect()
            }
            _ => vec![typed(&state.clone().with_name(VALUE), names.state.as_ref())],
        };
        let (mut fields, casts): (Vec<_>, Vec<_>) = typed.into_iter().unzip();
        let mut kept: Vec<usize> = plan.unknown_column().into_iter().collect();
        if !parts.is_table {
            kept.extend(CHANGES.iter().filter_map(|name| plan.schema.index_of(name).ok()));
        }
        fields.extend(kept.iter().map(|at| plan.schema.field(*at).clone()));
        let fields = fields.into_iter().map(|field| Arc::new(field.with_nullable(true))).collect();
        Ok(Self { parts, kept, casts, fields, notes })
    }

    /// The columns of the table, all nullable, without [`OP`], [`TS_MS`] and [`DELETED`]; behind them that
    /// of `value.unknown_fields: keep`, and what is said of a document's change.
    pub fn fields(&self) -> &[FieldRef] {
        &self.fields
    }

    /// Unwraps rows of the plan. Errors: none with rows of the plan it was made for.
    pub fn unwrap(&self, rows: &RecordBatch) -> Result<Unwrapped, ArrowError> {
        let Parts { before, after, op, ts_ms, .. } = self.parts;
        let op = rows.column(op);
        let deleted = cmp::eq(op, &StringArray::new_scalar("d"))?;
        // A null is no delete.
        let deleted = match deleted.nulls() {
            Some(nulls) => BooleanArray::new(deleted.values() & nulls.inner(), None),
            None => deleted,
        };
        let after = rows.column(after);
        let state = match before.filter(|_| deleted.has_true()).map(|at| rows.column(at)) {
            Some(before) => {
                let from: Vec<(usize, usize)> = deleted
                    .values()
                    .iter()
                    .enumerate()
                    .map(|(row, d)| (usize::from(d), row))
                    .collect();
                interleave(&[after.as_ref(), before.as_ref()], &from)?
            }
            None => after.clone(),
        };
        let columns = match state.as_struct_opt() {
            Some(table) => flatten(table)?,
            None => vec![state],
        };
        let columns = columns.into_iter().zip(&self.casts).map(|(c, cast)| cast.apply(c));
        let columns = columns.chain(self.kept.iter().map(|at| rows.column(*at).clone())).collect();
        let ts_ms = match ts_ms {
            Some(ts_ms) => rows.column(ts_ms).clone(),
            None => Arc::new(Int64Array::new_null(rows.num_rows())),
        };
        Ok(Unwrapped { columns, op: op.clone(), ts_ms, deleted })
    }
}

/// A column without its [`CONNECT_NAME`], and that.
fn unmarked(column: &Field) -> (Field, Option<String>) {
    let mut metadata = column.metadata().clone();
    let name = metadata.remove(CONNECT_NAME);
    (column.clone().with_metadata(metadata), name)
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

/// Where the parts of an envelope stand.
#[derive(Debug, Clone, Copy)]
struct Parts {
    /// Documents may come without.
    before: Option<usize>,
    after: usize,
    op: usize,
    ts_ms: Option<usize>,
    /// The state has columns; else it is one text.
    is_table: bool,
}

/// The parts of an envelope, or what is there in their place. `names`: none where the schema cannot say them.
fn find(schema: &Schema, names: Option<&Names>) -> Result<Parts, String> {
    let index = |name: &str| schema.index_of(name).map_err(|_| format!("no field `{name}`"));
    let type_of = |at: usize| schema.field(at).data_type();
    let (after, op) = (index("after")?, index("op")?);
    let is_table = matches!(type_of(after), DataType::Struct(_));
    let is_document = type_of(after) == &DataType::Utf8
        && names.is_none_or(|names| names.state.as_deref() == Some(JSON));
    let before = match index("before") {
        Err(_) if is_document => None,
        before => Some(before?),
    };
    let is_state = |at: usize| is_document || matches!(type_of(at), DataType::Struct(_));
    let states = before.map(|at| ("before", at)).into_iter().chain([("after", after)]);
    if let Some((name, at)) = states.into_iter().find(|(_, at)| !is_state(*at)) {
        return Err(format!("`{name}` of type {}", type_of(at)));
    }
    if before.is_some_and(|before| type_of(before) != type_of(after)) {
        return Err("`before` and `after` of different fields".to_owned());
    }
    if type_of(op) != &DataType::Utf8 {
        return Err(format!("`op` of type {}", type_of(op)));
    }
    let ts_ms = schema.index_of("ts_ms").ok();
    if let Some(found) = ts_ms.map(type_of)
        && found != &DataType::Int64
    {
        return Err(format!("`ts_ms` of type {found}"));
    }
    Ok(Parts { before, after, op, ts_ms, is_table })
}

fn refuse(record_name: &str, found: &str) -> Fault {
    Fault::new(
        &ENVELOPE,
        format!(
            "schema of `{record_name}`: {found}, records (or, of documents, JSON texts) `before` and `after` of the same fields and a text `op` required by `value.unwrap: debezium`; leave the topic out of `source`, or unwrap nothing"
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
        ("io.debezium.time.MicroDuration", DataType::Int64) => {
            return (unit(field, "us"), Cast::None);
        }
        ("io.debezium.time.NanoDuration", DataType::Int64) => {
            return (unit(field, "ns"), Cast::None);
        }
        (JSON, DataType::Utf8) => return (as_json(field), Cast::None),
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

/// The field, as Parquet's JSON.
fn as_json(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.extend(JSON_EXTENSION.map(|(key, value)| (key.to_owned(), value.to_owned())));
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

impl Names {
    /// The columns of a change event, with [`CONNECT_NAME`] where it makes a difference: `evolve` goes by it.
    pub(super) fn mark(&self, event: &Schema) -> Schema {
        let mark = |field: &FieldRef, name: Option<&String>| match name {
            Some(name) if TYPED.contains(&name.as_str()) => {
                let mut metadata = field.metadata().clone();
                metadata.insert(CONNECT_NAME.to_owned(), name.clone());
                Arc::new(field.as_ref().clone().with_metadata(metadata))
            }
            _ => field.clone(),
        };
        let state = |field: &FieldRef| match (field.name().as_str(), field.data_type()) {
            ("before" | "after", DataType::Struct(members)) => {
                let members = members.iter().map(|m| mark(m, self.columns.get(m.name())));
                let table = DataType::Struct(members.collect());
                Arc::new(field.as_ref().clone().with_data_type(table))
            }
            ("before" | "after", _) => mark(field, self.state.as_ref()),
            _ => field.clone(),
        };
        let fields: Vec<FieldRef> = event.fields().iter().map(state).collect();
        Schema::new_with_metadata(fields, event.metadata().clone())
    }

    /// Out of an envelope's Avro text: the table's record stands where it is used first.
    pub(super) fn of_avro(json: &str) -> Self {
        let Ok(envelope) = serde_json::from_str::<Json>(json) else { return Self::default() };
        let fields = |record: &Json| record.get("fields").and_then(Json::as_array).cloned();
        let named = |field: &Json| {
            let name = field.get("name").and_then(Json::as_str)?;
            let connect =
                |ty: &&Json| ty.get("connect.name").and_then(Json::as_str).map(str::to_owned);
            let branches = branches(field.get("type")?);
            Some((name.to_owned(), branches.iter().find_map(connect)?))
        };
        let states: Vec<Json> = fields(&envelope).unwrap_or_default();
        let states = states.iter().filter(|field| {
            matches!(field.get("name").and_then(Json::as_str), Some("before" | "after"))
        });
        let of_table = |field: &Json| branches(field.get("type")?).into_iter().find_map(fields);
        Self {
            columns: states
                .clone()
                .find_map(of_table)
                .unwrap_or_default()
                .iter()
                .filter_map(named)
                .collect(),
            state: states.filter_map(named).find(|(name, _)| name == "after").map(|(_, c)| c),
        }
    }
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
        let envelope = Envelope {
            parts: find(&rows.schema(), Some(&Names::default())).unwrap(),
            kept: Vec::new(),
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
        let names = Names::of_avro(
            r#"{"fields":[{"name":"source","type":{"fields":[{"name":"at","type":{"type":"long","connect.name":"no"}}]}},
            {"name":"after","type":["null",{"name":"V","fields":[
                {"name":"at","type":["null",{"type":"long","connect.name":"yes"}]},{"name":"id","type":"int"}]}]}]}"#,
        );
        assert_eq!(names.columns, HashMap::from([("at".to_owned(), "yes".to_owned())]));
        for odd in ["", "3", "[]", r#"{"fields":{}}"#, r#"{"fields":[{"name":"after"}]}"#] {
            assert_eq!(Names::of_avro(odd), Names::default(), "{odd}");
        }
    }
}
