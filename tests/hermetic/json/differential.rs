//! Random schemas and texts: what comes out of the columns is what serde_json's tree says, or both refuse.

use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type};
use forebay::clock::Seeded;
use forebay::decode::Decoder;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value, json};

use super::random::{Field, Texts, Type, Typed, expected, object, schema};
use super::{native, plan};

/// One value of a column, in the form of [`expected`].
fn value(typed: &Typed, column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match &typed.of {
        Type::Bool => json!(column.as_boolean().value(row)),
        Type::Integer => json!(column.as_primitive::<Int64Type>().value(row)),
        Type::Int32 => json!(column.as_primitive::<Int32Type>().value(row)),
        Type::Number => json!(column.as_primitive::<Float64Type>().value(row)),
        Type::Text | Type::Symbol => json!(column.as_string::<i32>().value(row)),
        Type::Date => json!(column.as_primitive::<Date32Type>().value(row)),
        Type::Bytes => json!(column.as_binary::<i32>().value(row)),
        Type::Any => serde_json::from_str(column.as_string::<i32>().value(row)).unwrap(),
        Type::List(item) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|at| value(item, &items, at)).collect()
        }
        Type::Map(of) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
            let entries =
                (0..entries.len()).map(|at| (keys.value(at).to_owned(), value(of, values, at)));
            Value::Object(entries.collect())
        }
        Type::Struct(fields) => members(fields, column.as_struct(), row),
        Type::Union(branches) => {
            let group = column.as_struct();
            let there: Vec<usize> =
                (0..group.num_columns()).filter(|at| group.column(*at).is_valid(row)).collect();
            assert_eq!(there.len(), 1, "one branch of a union");
            let name = group.column_names()[there[0]];
            json!({ name: value(&branches[there[0]], group.column(there[0]), row) })
        }
    }
}

fn members(fields: &[Field], group: &StructArray, row: usize) -> Value {
    assert_eq!(fields.len(), group.num_columns());
    let members = fields.iter().map(|field| {
        let at = group.column_names().iter().position(|name| *name == field.name).unwrap();
        (field.name.clone(), value(&field.value, group.column(at), row))
    });
    Value::Object(members.collect::<Map<_, _>>())
}

fn through_parquet(batch: &RecordBatch) -> RecordBatch {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&batch.schema(), &batches).unwrap()
}

/// How many rows and refusals a seed gave.
fn check(seed: u64) -> (usize, usize) {
    let random = &mut Seeded::new(seed);
    let fields = object(random, 3);
    let text = schema(random, &fields).to_string();
    eprintln!("seed {seed}: {text}");
    let mut decoder = Decoder::new(plan(&text, &native()));
    let mut rows = Vec::new();
    let mut refused = 0;
    for _ in 0..12 {
        // Few texts are wrong in a schema of many values, and few are right in one that is wrong often.
        let record = Texts::record(random, &fields, 60);
        let parsed: Value =
            serde_json::from_str(&record).unwrap_or_else(|e| panic!("{e}: {record}"));
        match (expected(&fields, &parsed), decoder.append(record.as_bytes())) {
            (Some(row), Ok(())) => rows.push(row),
            (None, Err(_)) => refused += 1,
            (Some(row), Err(reject)) => {
                // A key that comes twice is read both times, and may be wrong the first time.
                assert!(has_twice(&record), "{reject}: {record}, {row} required");
                refused += 1;
            }
            (None, Ok(())) => panic!("taken: {record}, nothing required"),
        }
    }
    let mut batch = decoder.finish();
    assert_eq!(batch.num_rows(), rows.len());
    if seed.is_multiple_of(8) {
        batch = through_parquet(&batch);
    }
    let columns = StructArray::from(batch);
    for (row, wanted) in rows.iter().enumerate() {
        assert_eq!(&members(&fields, &columns, row), wanted);
    }
    (rows.len(), refused)
}

/// Whether some object of the text has a key twice.
fn has_twice(text: &str) -> bool {
    struct Seen(bool);
    impl<'de> serde::Deserialize<'de> for Seen {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct Look;
            impl<'de> serde::de::Visitor<'de> for Look {
                type Value = bool;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("json")
                }
                fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
                    Ok(false)
                }
                fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
                    Ok(false)
                }
                fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
                    Ok(false)
                }
                fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
                    Ok(false)
                }
                fn visit_str<E>(self, _: &str) -> Result<bool, E> {
                    Ok(false)
                }
                fn visit_unit<E>(self) -> Result<bool, E> {
                    Ok(false)
                }
                fn visit_seq<A: serde::de::SeqAccess<'de>>(
                    self,
                    mut a: A,
                ) -> Result<bool, A::Error> {
                    let mut twice = false;
                    while let Some(Seen(inner)) = a.next_element()? {
                        twice |= inner;
                    }
                    Ok(twice)
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut a: A,
                ) -> Result<bool, A::Error> {
                    let (mut keys, mut twice) = (std::collections::HashSet::new(), false);
                    while let Some((key, Seen(inner))) = a.next_entry::<String, Seen>()? {
                        twice |= inner | !keys.insert(key);
                    }
                    Ok(twice)
                }
            }
            from.deserialize_any(Look).map(Seen)
        }
    }
    serde_json::from_str::<Seen>(text).unwrap().0
}

#[test]
fn random_texts_of_random_schemas_become_what_serde_json_reads() {
    let schemas = std::env::var("FOREBAY_FUZZ_SCHEMAS").ok().and_then(|n| n.parse().ok());
    let (mut rows, mut refused) = (0, 0);
    for seed in 0..schemas.unwrap_or(2_500) {
        let (some, others) = check(seed);
        rows += some;
        refused += others;
    }
    assert!(rows > refused && refused > rows / 20, "{rows} rows, {refused} refused");
}
