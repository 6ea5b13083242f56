//! What stands around a value in a row: metadata, keys, tombstones, envelopes. Each case runs the whole
//! pipeline in the simulator's calm world, and reads the published files back.

mod dialect;
mod envelope;
mod json_key;
mod key;
mod metadata;
mod mixed;
mod poison;
mod process;
mod tombstones;
mod trouble;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, TimeUnit};
use forebay::config::{self, Config};
use forebay::pipeline::simulated::{SimRecord, Simulation, Trouble, World};
use forebay::position::TopicPartition;
use forebay::registry::compile::compile;
use forebay::registry::{Language, Schema};
use forebay::store::{Chance, Memory, Store};
use forebay::wire::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// One published file.
#[derive(Debug)]
struct File {
    /// Path below the sink's root, without the file's name.
    folder: String,
    rows: RecordBatch,
    footer: HashMap<String, String>,
}

impl File {
    /// `name: type`, `?` where nullable, in the file's order.
    fn columns(&self) -> Vec<String> {
        let of = |f: &Arc<arrow::datatypes::Field>| {
            let null = if f.is_nullable() { "?" } else { "" };
            format!("{}: {}{null}", f.name(), f.data_type())
        };
        self.rows.schema().fields().iter().map(of).collect()
    }

    /// A JSON object for each row, nulls shown, bytes in hex.
    fn json(&self) -> Vec<Value> {
        json(&self.rows)
    }
}

fn json(rows: &RecordBatch) -> Vec<Value> {
    let zone = |ty: &DataType| match ty {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::Date32 => DataType::Timestamp(TimeUnit::Millisecond, None),
        other => other.clone(),
    };
    let columns = rows.columns().iter().map(|c| cast(c, &zone(c.data_type())).unwrap());
    let schema = rows.schema();
    let named = schema.fields().iter().map(|f| f.name().clone()).zip(columns);
    let batch = RecordBatch::try_from_iter_with_nullable(named.map(|(n, c)| (n, c, true))).unwrap();
    let mut writer = arrow_json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow_json::writer::LineDelimited>(Vec::new());
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let text = String::from_utf8(writer.into_inner()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn avro(id: u32, text: &str) -> (u32, Schema) {
    (id, compile(id, Language::Avro, text, &[]).unwrap())
}

fn protobuf(id: u32, text: &str) -> (u32, Schema) {
    (id, compile(id, Language::Protobuf, text, &[]).unwrap())
}

/// Magic byte and schema id before a body.
fn framed(id: u32, body: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), body].concat()
}

/// The same with the message index of a file's first message.
fn framed_protobuf(id: u32, body: &[u8]) -> Vec<u8> {
    framed(id, &[&[0][..], body].concat())
}

/// A datum as another library writes it.
fn datum(schema: &str, value: Value) -> Vec<u8> {
    let schema = apache_avro::Schema::parse_str(schema).unwrap();
    let value = of_type(&schema, &value, &mut HashMap::new());
    let writer = apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

/// JSON as a value of a schema whose unions have a null and one other branch; an absent field is null.
fn of_type<'s>(
    schema: &'s apache_avro::Schema,
    value: &Value,
    named: &mut HashMap<String, &'s apache_avro::Schema>,
) -> apache_avro::types::Value {
    use apache_avro::{Schema as S, types::Value as V};
    match schema {
        S::Null => V::Null,
        S::Boolean => V::Boolean(value.as_bool().unwrap()),
        S::Int => V::Int(value.as_i64().unwrap() as i32),
        S::Long => V::Long(value.as_i64().unwrap()),
        S::Date => V::Date(value.as_i64().unwrap() as i32),
        S::TimestampMillis => V::TimestampMillis(value.as_i64().unwrap()),
        S::Double => V::Double(value.as_f64().unwrap()),
        S::String => V::String(value.as_str().unwrap().to_owned()),
        S::Bytes => V::Bytes(value.as_str().unwrap().as_bytes().to_vec()),
        S::Fixed(f) => V::Fixed(f.size, value.as_str().unwrap().as_bytes().to_vec()),
        S::Enum(e) => {
            let symbol = value.as_str().unwrap();
            let at = e.symbols.iter().position(|s| s == symbol).unwrap();
            V::Enum(at as u32, symbol.to_owned())
        }
        S::Array(a) => {
            let items = value.as_array().unwrap().iter();
            V::Array(items.map(|item| of_type(&a.items, item, named)).collect())
        }
        S::Map(m) => {
            let entries = value.as_object().unwrap().iter();
            V::Map(entries.map(|(k, v)| (k.clone(), of_type(&m.types, v, named))).collect())
        }
        S::Union(u) => {
            let null = u.variants().iter().position(|b| matches!(b, S::Null)).unwrap();
            let at = if value.is_null() { null } else { 1 - null };
            // A branch that is not taken may define what a later field refers to.
            collect(&u.variants()[1 - null], named);
            V::Union(at as u32, Box::new(of_type(&u.variants()[at], value, named)))
        }
        S::Record(r) => {
            collect(schema, named);
            let fields = r.fields.iter();
            V::Record(
                fields
                    .map(|f| (f.name.clone(), of_type(&f.schema, &value[&f.name], named)))
                    .collect(),
            )
        }
        S::Ref { name } => {
            let schema = named[&name.fullname(None)];
            of_type(schema, value, named)
        }
        other => panic!("{other:?}"),
    }
}

fn collect<'s>(
    schema: &'s apache_avro::Schema,
    named: &mut HashMap<String, &'s apache_avro::Schema>,
) {
    if let Some(name) = schema.name().filter(|_| !matches!(schema, apache_avro::Schema::Ref { .. }))
    {
        named.insert(name.fullname(None), schema);
    }
}

fn parse(more: &str) -> Config {
    let text = format!(
        "pipeline: sim\nsource: {{ brokers: 'x:1', topics: [rows] }}\n\
         registry: {{ url: 'http://x', unknown_id_grace: 2s }}\n\
         sink: {{ url: 's3://bucket/root' }}\ncommit: {{ interval: 5s }}\n{more}\n"
    );
    Config::parse(&text, "sim.yaml", &config::Process).unwrap()
}

/// Data files and reject files after everything was read; offsets count from 0 where a record has none.
fn run(more: &str, schemas: Vec<(u32, Schema)>, records: Vec<SimRecord>) -> (Vec<File>, Vec<File>) {
    run_in(Trouble::default(), 7, more, schemas, records)
}

fn run_in(
    trouble: Trouble,
    seed: u64,
    more: &str,
    schemas: Vec<(u32, Schema)>,
    mut records: Vec<SimRecord>,
) -> (Vec<File>, Vec<File>) {
    for (at, record) in records.iter_mut().enumerate() {
        record.offset = record.offset.max(at as i64);
    }
    let pipeline = parse(more).pipeline;
    let settings_of = move |_| {
        let partitioner = forebay::pipeline::partitioner(&pipeline).unwrap();
        Arc::new(forebay::pipeline::settings(&pipeline, partitioner, 1 << 20, None))
    };
    let memory = Memory::new(1, 1 << 20, Chance::default());
    let schemas: HashMap<_, _> =
        schemas.into_iter().map(|(id, s)| (SchemaRef::Id(id), Arc::new(s))).collect();
    let log = BTreeMap::from([(TopicPartition::new("rows", 3), records)]);
    let store = Store::memory(memory.clone());
    let subjects = BTreeMap::new();
    let world = World { log, schemas, subjects, store, memory: Some(memory.clone()) };
    let mut simulation = Simulation::new(settings_of, world, trouble, seed);
    let report = simulation.run(1_000_000);
    assert!(report.finished, "seed {seed}: {report:?}");
    let (mut data, mut rejects) = (Vec::new(), Vec::new());
    for (key, bytes) in memory.objects() {
        if key.starts_with("_forebay/") {
            continue;
        }
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
        let schema = reader.schema().clone();
        let pairs = reader.metadata().file_metadata().key_value_metadata().cloned();
        let pairs = pairs.into_iter().flatten().filter_map(|pair| Some((pair.key, pair.value?)));
        let footer = pairs.collect();
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        let rows = concat_batches(&schema, &batches).unwrap();
        let (folder, _) = key.rsplit_once('/').unwrap();
        let file = File { folder: folder.to_owned(), rows, footer };
        if folder.contains("_rejects") { rejects.push(file) } else { data.push(file) }
    }
    (data, rejects)
}

/// Code and message of each reject.
fn reasons(rejects: &[File]) -> Vec<(String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let of = |row: Value| (text(&row, "code"), text(&row, "message"));
    rejects.iter().flat_map(|file| file.json().into_iter().map(of)).collect()
}
