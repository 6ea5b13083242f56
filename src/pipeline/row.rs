//! What stands in a row: the value's columns, and those beside them.
//!
//! Owns: which columns a row has, in which order and under which names; key, metadata, tombstones.
//! Does not own: what a value becomes (`decode`), which rows share a file (`evolve`).
//! Bounded by: [`build::Builder::bytes`], which the caller flushes by.
//! Absent: schemas and the registry: plans come compiled.
//!
//! The order: the value's columns, `_op` and `_ts_ms` (`value.unwrap`), `_deleted` (with it, and with
//! `value.tombstones: row`), `_key`, then the metadata in the order of [`Metadata`]. These names stay what
//! they are: a field of the value that has one of them gets a suffix.

pub mod build;
mod key;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::config::{self, FieldIds, Metadata, Tombstones, Unwrap};
use crate::decode::envelope::{DELETED, Envelope, OP, TS_MS};
use crate::decode::readers::Readers;
use crate::decode::{self, Onto, Plan};
use crate::error::Fault;
use crate::file::footer;
use crate::registry;

pub use build::Builder;
pub use key::{KeyPlan, of_key};

/// What the configuration says about columns.
#[derive(Debug, Clone)]
pub struct Options {
    pub decode: decode::Options,
    pub key: config::Key,
    pub metadata: Vec<Metadata>,
}

impl Options {
    pub fn of(pipeline: &config::Pipeline) -> Self {
        let decode = decode::Options {
            value: pipeline.value.clone(),
            readers: pipeline.readers.clone(),
            limits: pipeline.limits,
        };
        Self { decode, key: pipeline.key.clone(), metadata: pipeline.metadata.clone() }
    }

    /// True if a row is its value's columns and nothing else.
    pub fn is_plain(&self) -> bool {
        self.metadata.is_empty() && self.key.format.is_none() && !self.has_deleted()
    }

    /// How keys are decoded: as values are, without an envelope and what names fields of values.
    pub fn of_keys(&self) -> decode::Options {
        let mut options = self.decode.clone();
        options.value.format = self.key.format.unwrap_or(config::Format::Auto);
        options.value.schema = self.key.schema.clone();
        options.value.unwrap = Unwrap::None;
        options.value.binary.clear();
        // They number the value's fields; those of a key would be the same numbers again.
        options.value.field_ids = FieldIds::None;
        options
    }

    /// The plan of keys, as far as the configuration says it: of those that say it themselves, none.
    ///
    /// Errors: those of `key.schema` as a JSON Schema.
    pub fn key_plan(&self) -> Result<KeyPlan, Fault> {
        Ok(match self.key.format {
            Some(config::Format::String) => KeyPlan::Text,
            Some(config::Format::Bytes) => KeyPlan::Bytes,
            Some(_) => Plan::fixed(&self.of_keys())?.map_or(KeyPlan::None, KeyPlan::Plan),
            None => KeyPlan::None,
        })
    }

    fn unwraps(&self) -> bool {
        self.decode.value.unwrap == Unwrap::Debezium
    }

    /// Whether there are rows that say that something is gone.
    fn has_deleted(&self) -> bool {
        self.unwraps() || self.decode.value.tombstones == Tombstones::Row
    }
}

/// A value's plan, and the schema it was compiled from if the registry has it.
#[derive(Debug, Clone)]
pub struct ValuePlan {
    pub plan: Arc<Plan>,
    pub schema: Option<Arc<registry::Schema>>,
    /// The schema that the plan's columns are of, if that is another one.
    pub target: Option<Arc<registry::Schema>>,
}

impl ValuePlan {
    /// Id of its schema; 0 without one.
    pub fn schema_id(&self) -> u32 {
        self.schema.as_ref().map_or(0, |schema| schema.id)
    }
}

/// How records of one value plan and one key plan become rows. Compiled once.
#[derive(Debug)]
pub struct RowPlan {
    pub schema: SchemaRef,
    /// Full name of the value's message or record; empty for tombstones without a value to go by.
    pub record_name: String,
    /// The value plan's notes, and what was renamed.
    pub notes: Vec<String>,
    value: Option<ValuePlan>,
    envelope: Option<Envelope>,
    key: KeyPlan,
    /// [`Options::is_plain`]; the options that say so else.
    beside: Option<Options>,
}

impl RowPlan {
    /// Whose columns the value has, where they are not its writer's.
    pub fn onto(&self) -> Option<&Onto> {
        self.value.as_ref()?.plan.onto.as_ref()
    }

    /// `value`: none for tombstones before the first value.
    ///
    /// Error: [`decode::envelope::ENVELOPE`], a value that cannot be unwrapped.
    pub fn new(
        value: Option<ValuePlan>,
        key: KeyPlan,
        options: &Options,
    ) -> Result<Arc<Self>, Fault> {
        let envelope = match &value {
            Some(v) if options.unwraps() => {
                let columns_of = v.target.as_deref().or(v.schema.as_deref());
                Some(Envelope::new(&v.plan, columns_of, &options.decode)?)
            }
            _ => None,
        };
        let mut notes = value.as_ref().map(|v| v.plan.notes.clone()).unwrap_or_default();
        notes.extend(envelope.iter().flat_map(|e| e.notes.iter().cloned()));
        let schema = match &value {
            Some(v) if options.is_plain() => v.plan.schema.clone(),
            _ => {
                let fields = match (&envelope, &value) {
                    (Some(envelope), _) => envelope.fields().to_vec(),
                    (None, Some(v)) => v.plan.schema.fields().to_vec(),
                    (None, None) => Vec::new(),
                };
                with_beside(fields, &key, options, &mut notes)
            }
        };
        Ok(Arc::new(Self {
            schema,
            record_name: value.as_ref().map(|v| v.plan.record_name.clone()).unwrap_or_default(),
            notes,
            value,
            envelope,
            key,
            beside: (!options.is_plain()).then(|| options.clone()),
        }))
    }
}

/// The value's columns under names that do not clash, and those beside them.
fn with_beside(
    fields: Vec<FieldRef>,
    key: &KeyPlan,
    options: &Options,
    notes: &mut Vec<String>,
) -> SchemaRef {
    let beside = beside(key, options);
    // Kept free before the first key, so that a field of the value has one name from start to end.
    let later = (options.key.format.is_some() && key.field().is_none()).then_some(key::KEY);
    let taken: Vec<&str> = beside.iter().map(|f| f.name().as_str()).chain(later).collect();
    let names: Vec<&str> =
        taken.iter().copied().chain(fields.iter().map(|f| f.name().as_str())).collect();
    let unique = Readers::of(&options.decode).names("", &names, &mut Vec::new());
    let nullable = options.decode.value.tombstones == Tombstones::Row;
    let mut all = Vec::with_capacity(names.len());
    for (field, name) in fields.iter().zip(unique.into_iter().skip(taken.len())) {
        if *field.name() != name {
            notes.push(format!(
                "{}: renamed `{name}`: a column beside the value's has its name",
                field.name()
            ));
        }
        let nullable = nullable || field.is_nullable();
        all.push(Arc::new(field.as_ref().clone().with_name(name).with_nullable(nullable)));
    }
    all.extend(beside);
    Arc::new(Schema::new(all))
}

/// The columns beside the value's.
fn beside(key: &KeyPlan, options: &Options) -> Vec<FieldRef> {
    let mut fields = Vec::new();
    if options.unwraps() {
        fields.push(Field::new(OP, DataType::Utf8, true));
        fields.push(Field::new(TS_MS, DataType::Int64, true));
    }
    if options.has_deleted() {
        fields.push(Field::new(DELETED, DataType::Boolean, false));
    }
    fields.extend(key.field());
    fields.extend(options.metadata.iter().map(|column| metadata(*column)));
    fields.into_iter().map(Arc::new).collect()
}

fn metadata(column: Metadata) -> Field {
    match column {
        Metadata::Topic => Field::new("_topic", DataType::Utf8, false),
        Metadata::Partition => Field::new("_partition", DataType::Int32, false),
        Metadata::Offset => Field::new("_offset", DataType::Int64, false)
            .with_metadata([(footer::OFFSET_COLUMN.to_owned(), String::new())]),
        Metadata::Timestamp => {
            let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
            Field::new("_timestamp", time, true)
        }
        Metadata::TimestampType => Field::new("_timestamp_type", DataType::Utf8, true),
        Metadata::Headers => {
            let entry = Fields::from(vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Binary, true),
            ]);
            let entries = Arc::new(Field::new("key_value", DataType::Struct(entry), false));
            Field::new("_headers", DataType::Map(entries, false), false)
        }
        Metadata::SchemaId => Field::new("_schema_id", DataType::Int32, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Process};
    use crate::registry::Language;
    use crate::registry::compile::compile;

    fn options(more: &str) -> Options {
        let text = format!(
            "pipeline: t\nsource: {{ brokers: 'x:1', topics: [t] }}\nregistry: {{ url: 'http://x' }}\n\
             sink: {{ url: 's3://lake' }}\n{more}\n"
        );
        Options::of(&Config::parse(&text, "t.yaml", &Process).unwrap().pipeline)
    }

    fn value(text: &str, options: &Options) -> ValuePlan {
        let schema = Arc::new(compile(1, Language::Protobuf, text, &[]).unwrap());
        let plan = Plan::compile(&schema, &[0], &options.decode).unwrap();
        ValuePlan { plan, schema: Some(schema), target: None }
    }

    const ROW: &str = "syntax = \"proto3\"; message R { int64 _offset = 1; }";

    /// The path that most pipelines take must stay the decoder's own.
    #[test]
    fn plain_rows_are_the_decoders_and_nothing_stands_beside_them() {
        let options = options("");
        assert!(options.is_plain());
        let value = value(ROW, &options);
        let plan = RowPlan::new(Some(value.clone()), KeyPlan::None, &options).unwrap();
        assert!(Arc::ptr_eq(&plan.schema, &value.plan.schema));
        assert!(plan.beside.is_none() && plan.envelope.is_none());
        for more in [
            "metadata: [offset]",
            "key: { format: auto }",
            "value: { tombstones: row }",
            "value: { unwrap: debezium }",
        ] {
            assert!(!super::tests::options(more).is_plain(), "{more}");
        }
    }

    #[test]
    fn renamed_field_is_noted() {
        for readers in ["", "readers: [native]"] {
            let options = options(&format!("metadata: [offset]\n{readers}"));
            let plan = RowPlan::new(Some(value(ROW, &options)), KeyPlan::None, &options).unwrap();
            let expected = "_offset: renamed `_offset_2`: a column beside the value's has its name";
            assert_eq!(plan.notes, [expected]);
            assert_eq!(plan.schema.field(0).name(), "_offset_2");
        }
    }
}
