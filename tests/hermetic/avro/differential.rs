//! Random schemas and values: written by apache-avro, read here, compared with what was written; and
//! read by arrow-avro beside us, where it can.

use apache_avro::types::Value;
use apache_avro::{Schema, from_avro_datum, to_avro_datum};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow_avro::reader::{DecoderMode, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use forebay::clock::Seeded;
use forebay::decode::avro::codes;
use forebay::decode::codes as shared;

use super::evolved::Changes;
use super::oracle::{Names, Oracle, names};
use super::random::{Kinds, Schemas, value};
use super::{decoder, everyone, native, onto};
use forebay::decode::Decoder;

/// A random schema with values and their encodings; `None` where apache-avro refuses the schema.
struct Case {
    json: String,
    schema: Schema,
}

fn case(random: &mut Seeded, kinds: Kinds, depth: u64) -> Option<Case> {
    let json = Schemas::new(random, kinds).record(depth).to_string();
    let schema = Schema::parse_str(&json).ok()?;
    Some(Case { json, schema })
}

fn datums(random: &mut Seeded, case: &Case, names: &Names, count: usize) -> Vec<(Value, Vec<u8>)> {
    (0..count)
        .map(|_| {
            let value = value(random, &case.schema, names, 6);
            let bytes = to_avro_datum(&case.schema, value.clone())
                .unwrap_or_else(|e| panic!("{e}\n{}\n{value:?}", case.json));
            (value, bytes)
        })
        .collect()
}

fn check_row(case: &Case, names: &Names, value: &Value, batch: &RecordBatch, row: usize) {
    // The top level has no column of its own: its columns are the batch's.
    let (Schema::Record(record), Value::Record(fields)) = (&case.schema, value) else { panic!() };
    let _ = record;
    assert_eq!(fields.len(), batch.num_columns());
    let columns = arrow::array::StructArray::from(batch.clone());
    Oracle::new(names).check("", &case.schema, value, &columns, row);
}

#[test]
fn random_values_of_random_schemas_come_back() {
    let mut read = 0;
    for seed in seeds(0, 2_000) {
        let mut random = Seeded::new(seed);
        let Some(case) = case(&mut random, Kinds { all: true }, 4) else { continue };
        eprintln!("seed {seed}: {}", case.json);
        let names = names(&case.schema);
        let mut decoder = decoder(&case.json, &native());
        let datums = datums(&mut random, &case, &names, 6);
        for (value, bytes) in &datums {
            decoder.append(bytes).unwrap_or_else(|e| panic!("{e}\n{value:?}"));
        }
        let batch = decoder.finish();
        assert_eq!(batch.num_rows(), datums.len());
        for (row, (value, _)) in datums.iter().enumerate() {
            check_row(&case, &names, value, &batch, row);
            read += 1;
        }
    }
    assert!(read > 3_000, "{read} rows: the generator makes schemas that nobody parses");
}

/// The same schemas for every reader, written to Parquet: no schema may make the writer refuse.
#[test]
fn random_schemas_are_written_to_parquet_and_come_back() {
    for seed in seeds(0, 300) {
        let mut random = Seeded::new(seed);
        let Some(case) = case(&mut random, Kinds { all: true }, 4) else { continue };
        eprintln!("seed {seed}: {}", case.json);
        let names = names(&case.schema);
        let options = if seed % 2 == 0 { everyone() } else { native() };
        let mut decoder = decoder(&case.json, &options);
        for (_, bytes) in datums(&mut random, &case, &names, 5) {
            // Nanoseconds that do not fit microseconds are rejected for some readers.
            let _ = decoder.append(&bytes);
        }
        let batch = decoder.finish();
        let file = tempfile::tempfile().unwrap();
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(file.try_clone().unwrap(), batch.schema(), None)
                .unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 1024);
        let read: Vec<RecordBatch> = reader.unwrap().map(|batch| batch.unwrap()).collect();
        assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), batch.num_rows());
        for read in read {
            for (i, column) in batch.columns().iter().enumerate() {
                same(&format!("seed {seed}, f{i} of {}", case.json), column, read.column(i));
            }
        }
    }
}

#[test]
fn arrow_avro_reads_the_same_columns() {
    let mut compared = 0;
    for seed in seeds(0, 1_000) {
        let mut random = Seeded::new(seed);
        let Some(case) = case(&mut random, Kinds { all: false }, 3) else { continue };
        let names = names(&case.schema);
        let datums = datums(&mut random, &case, &names, 10);
        let Some(theirs) = arrow_avro(&case.json, None, &datums) else { continue };
        let mut decoder = decoder(&case.json, &native());
        datums.iter().for_each(|(_, bytes)| decoder.append(bytes).unwrap());
        let ours = decoder.finish();
        assert_eq!(ours.num_rows(), theirs.num_rows(), "seed {seed}");
        for (i, column) in ours.columns().iter().enumerate() {
            let at = format!("seed {seed}, f{i} of {}", case.json);
            same(&at, column, theirs.column(i));
        }
        compared += 1;
    }
    assert!(compared > 100, "only {compared} schemas that arrow-avro reads");
}

fn arrow_avro(
    json: &str,
    target: Option<&str>,
    datums: &[(Value, Vec<u8>)],
) -> Option<RecordBatch> {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(1), AvroSchema::new(json.to_owned())).ok()?;
    let mut builder = ReaderBuilder::new()
        .with_batch_size(datums.len())
        .with_writer_schema_store(store)
        .with_active_fingerprint(Fingerprint::Id(1))
        .with_decoder_mode(DecoderMode::UnframedDatum);
    if let Some(target) = target {
        builder = builder.with_reader_schema(AvroSchema::new(target.to_owned()));
    }
    let mut decoder = builder.build_decoder().ok()?;
    for (_, bytes) in datums {
        if decoder.decode(bytes).ok()? != bytes.len() {
            return None;
        }
    }
    decoder.flush().ok()?
}

/// Equal values, whatever the fields are called and whether text has a dictionary.
fn same(at: &str, ours: &ArrayRef, theirs: &ArrayRef) {
    assert_eq!(ours.len(), theirs.len(), "{at}");
    for row in 0..ours.len() {
        assert_eq!(ours.is_null(row), theirs.is_null(row), "{at}[{row}]");
    }
    match (ours.data_type(), theirs.data_type()) {
        (_, DataType::Dictionary(..)) => {
            let theirs = arrow::compute::cast(theirs, &DataType::Utf8).unwrap();
            same(at, ours, &theirs);
        }
        // A record without fields: that it is there is all there is.
        (DataType::Boolean, DataType::Struct(fields)) if fields.is_empty() => {}
        (DataType::Struct(_), DataType::Struct(_)) => {
            let (a, b) = (ours.as_struct(), theirs.as_struct());
            for (a, b) in a.columns().iter().zip(b.columns()) {
                // Below an absent struct nobody says what stands.
                let present = arrow::compute::is_not_null(ours).unwrap();
                let keep = |x: &ArrayRef| arrow::compute::filter(x, &present).unwrap();
                same(at, &keep(a), &keep(b));
            }
        }
        (DataType::List(_), DataType::List(_)) => {
            let (a, b) = (ours.as_list::<i32>(), theirs.as_list::<i32>());
            for row in (0..ours.len()).filter(|row| ours.is_valid(*row)) {
                same(at, &a.value(row), &b.value(row));
            }
        }
        (DataType::Map(..), DataType::Map(..)) => {
            let (a, b) = (ours.as_map(), theirs.as_map());
            for row in (0..ours.len()).filter(|row| ours.is_valid(*row)) {
                let (a, b) = (a.value(row), b.value(row));
                same(at, a.column(0), b.column(0));
                same(at, a.column(1), b.column(1));
            }
        }
        (DataType::Timestamp(unit, zone), DataType::Timestamp(other, other_zone)) => {
            assert_eq!((unit, zone.is_some()), (other, other_zone.is_some()), "{at}");
            let long = |x: &ArrayRef| arrow::compute::cast(x, &DataType::Int64).unwrap();
            same(at, &long(ours), &long(theirs));
        }
        (a, b) => {
            assert_eq!(a, b, "{at}");
            assert!(ours.to_data() == theirs.to_data(), "{at}: {ours:?} {theirs:?}");
        }
    }
}

/// Cuts and changes every byte: a row or a reject, and the rows around stay what they are.
#[test]
fn damaged_records_are_refused_or_read_alone() {
    let (mut refused, mut accepted) = (0, 0);
    for seed in 1_000..1_060 {
        let mut random = Seeded::new(seed);
        let Some(case) = case(&mut random, Kinds { all: true }, 3) else { continue };
        let names = names(&case.schema);
        let mut decoder = decoder(&case.json, &native());
        let datums = datums(&mut random, &case, &names, 3);
        for (value, bytes) in &datums {
            for damaged in damages(&mut random, bytes) {
                decoder.append(bytes).unwrap();
                let result = decoder.append(&damaged);
                decoder.append(bytes).unwrap();
                assert!(decoder.bytes() < 300 << 20, "seed {seed}: {} bytes", decoder.bytes());
                let batch = decoder.finish();
                assert_eq!(batch.num_rows(), 2 + usize::from(result.is_ok()), "seed {seed}");
                check_row(&case, &names, value, &batch, 0);
                check_row(&case, &names, value, &batch, batch.num_rows() - 1);
                let theirs = theirs(&case, &damaged);
                if let Err(reject) = result {
                    // What can be written back byte by byte was no damage: only values that no column
                    // holds are refused then.
                    if theirs.is_ok_and(|v| to_avro_datum(&case.schema, v).ok() == Some(damaged)) {
                        let codes = [&codes::DECIMAL, &codes::UUID, &shared::RANGE];
                        assert!(codes.contains(&reject.code), "seed {seed}: {reject}");
                    }
                    refused += 1;
                    continue;
                }
                accepted += 1;
                match theirs {
                    // apache-avro takes UUIDs in any form and keeps none of it; text stays as it is.
                    Ok(_) if case.json.contains("uuid") => {}
                    Ok(value) => check_row(&case, &names, &value, &batch, 1),
                    Err(e) => assert!(e.contains("UUID"), "seed {seed}: accepted, but {e}"),
                }
            }
        }
    }
    eprintln!("{refused} refused, {accepted} accepted");
    assert!(refused > 1_000 && accepted > 1_000);
}

fn theirs(case: &Case, bytes: &[u8]) -> Result<Value, String> {
    let mut rest = bytes;
    let value = from_avro_datum(&case.schema, &mut rest, None).map_err(|e| e.to_string())?;
    if rest.is_empty() { Ok(value) } else { Err(format!("{} bytes left", rest.len())) }
}

fn damages(random: &mut Seeded, bytes: &[u8]) -> Vec<Vec<u8>> {
    let bytes = &bytes[..bytes.len().min(200)];
    let mut damages: Vec<Vec<u8>> = (0..bytes.len()).map(|end| bytes[..end].to_vec()).collect();
    for at in 0..bytes.len() {
        for value in [bytes[at] ^ (1 << random.below(8)), 0xff, 0x80, random.next_u64() as u8] {
            let mut damaged = bytes.to_vec();
            damaged[at] = value;
            damages.push(damaged);
        }
    }
    for _ in 0..20 {
        // Small bytes are lengths and branches that lead on; large ones end soon.
        let most = [4, 16, 256][random.below(3) as usize];
        damages.push((0..random.below(64)).map(|_| random.below(most) as u8).collect());
    }
    damages.push([bytes, &[0]].concat());
    damages
}

/// A random schema, a random next version of it, and records of the first read as the second: the same
/// rows that apache-avro's resolution gives.
#[test]
fn apache_avro_resolves_the_same_rows() {
    let mut compared = [0u32; 4];
    for seed in seeds(10_000, 1_500) {
        let mut random = Seeded::new(seed);
        let json = Schemas::new(&mut random, Kinds { all: true }).record(3);
        let next = Changes::new(&mut random).schema(&json);
        let Some((case, target)) = versions(&json, &next) else { continue };
        let datums = datums(&mut random, &case, &names(&case.schema), 4);
        let plan = onto(&case.json, &target.json, &native());
        let look_alikes = has_look_alikes(&json) || has_look_alikes(&next);
        let names = names(&target.schema);
        let at = format!("seed {seed}: {} as {}", case.json, target.json);
        for (value, bytes) in &datums {
            let theirs = from_avro_datum(&case.schema, &mut bytes.as_slice(), Some(&target.schema));
            let ours = plan.as_ref().map_err(ToString::to_string).and_then(|plan| {
                let mut decoder = Decoder::new(plan.clone());
                decoder.append(bytes).map_err(|e| e.to_string())?;
                Ok(decoder.finish())
            });
            let kind = match (ours, theirs) {
                (_, Ok(_)) if look_alikes => continue,
                (Ok(batch), Ok(theirs)) => {
                    eprintln!("{at}");
                    check_row(&target, &names, &theirs, &batch, 0);
                    0
                }
                (Err(_), Err(_)) => 1,
                (Err(ours), Ok(theirs)) => {
                    let known = REFUSED_BY_US.iter().any(|(text, _)| ours.contains(text));
                    assert!(known, "{at}\n{value:?}\nours: {ours}\ntheirs: {theirs:?}");
                    2
                }
                (Ok(_), Err(theirs)) => {
                    let theirs = theirs.to_string();
                    let known = REFUSED_BY_APACHE.iter().any(|(text, _)| theirs.contains(text));
                    assert!(known, "{at}\n{value:?}\ntheirs: {theirs}");
                    3
                }
            };
            compared[kind] += 1;
        }
    }
    eprintln!("{compared:?}: both, neither, apache-avro only, we only");
    assert!(compared[0] > 500, "{compared:?}");
}

/// What of our refusal, and why apache-avro takes the record.
const REFUSED_BY_US: &[(&str, &str)] = &[
    ("no field that makes a column", "a record without fields makes no table"),
    ("`double` of the writer, one of", "it narrows a number if the value at hand fits"),
    ("`float` of the writer, one of", "the same"),
    ("`long` of the writer, one of", "it narrows a number if the value at hand fits"),
    ("`string` of the writer, ", "it takes a text for a symbol, or its bytes for a number"),
    ("[]", "it resolves values, not schemas: a list without items is a list of anything"),
];

/// What of apache-avro's refusal, and why we take the record.
const REFUSED_BY_APACHE: &[(&str, &str)] = &[
    ("Missing field in record", "it does not look for fields by the target's aliases"),
    (
        "too small to hold decimal values",
        "it refuses decimals in fewer bytes than their precision may need",
    ),
    ("Expected Value::Long or Value::Int, got: ", "it does not promote an int with a logical type"),
    ("Expected Value::Bytes, got: Decimal", "nor bytes with one to those without"),
    ("Expected Value::String, Value::Bytes or Value::Fixed, got: Uuid", "nor text with one"),
    ("Could not find matching type in UnionSchema", "all of the above, inside a union"),
];

/// apache-avro finds a union's branch by the value, not by the writer's branch, and so takes a map for a
/// record where all fields have defaults, one record or one `fixed` for another.
fn has_look_alikes(schema: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object, String};
    let look = |branch: &serde_json::Value| match branch {
        String(name) => name.starts_with("t."),
        other => {
            ["record", "map", "fixed", "enum"].iter().any(|kind| other["type"] == *kind)
                || ["decimal", "uuid"].iter().any(|kind| other["logicalType"] == *kind)
        }
    };
    match schema {
        Array(items) => {
            items.iter().filter(|branch| look(branch)).count() > 1
                || items.iter().any(has_look_alikes)
        }
        Object(object) => object.values().any(has_look_alikes),
        _ => false,
    }
}

/// arrow-avro reads unions of several types as another Arrow type.
fn has_union(data_type: &DataType) -> bool {
    match data_type {
        DataType::Union(..) => true,
        DataType::Struct(fields) => fields.iter().any(|field| has_union(field.data_type())),
        DataType::List(field) | DataType::Map(field, _) => has_union(field.data_type()),
        _ => false,
    }
}

fn versions(json: &serde_json::Value, next: &serde_json::Value) -> Option<(Case, Case)> {
    let case = |json: String| Some(Case { schema: Schema::parse_str(&json).ok()?, json });
    Some((case(json.to_string())?, case(next.to_string())?))
}

/// The same against arrow-avro, for the types that it reads.
#[test]
fn arrow_avro_resolves_the_same_columns() {
    let mut compared = 0;
    for seed in seeds(20_000, 1_500) {
        let mut random = Seeded::new(seed);
        let json = Schemas::new(&mut random, Kinds { all: false }).record(3);
        let next = Changes::new(&mut random).schema(&json);
        let Some((case, target)) = versions(&json, &next) else { continue };
        let datums = datums(&mut random, &case, &names(&case.schema), 4);
        let Ok(plan) = onto(&case.json, &target.json, &native()) else { continue };
        let mut decoder = Decoder::new(plan);
        if datums.iter().any(|(_, bytes)| decoder.append(bytes).is_err()) {
            continue;
        }
        let Some(theirs) = arrow_avro(&case.json, Some(&target.json), &datums) else { continue };
        let ours = decoder.finish();
        for (i, column) in ours.columns().iter().enumerate() {
            let field = ours.schema().field(i).name().clone();
            let at = format!("seed {seed}, {field} of {} as {}", case.json, target.json);
            // Nor does it map the symbols of an enum that is referred to by name.
            let by_name = next["fields"][i]["type"].to_string().contains(r#""t.N"#);
            if has_union(theirs.column(i).data_type()) || by_name {
                continue;
            }
            same(&at, column, theirs.column(i));
        }
        compared += 1;
    }
    eprintln!("{compared} compared");
    assert!(compared > 100, "only {compared} pairs that arrow-avro reads");
}

/// Seeds from `first`: `count` of them, or as many as `FOREBAY_FUZZ_SCHEMAS` says.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let more = std::env::var("FOREBAY_FUZZ_SCHEMAS").ok().and_then(|n| n.parse().ok());
    first..first + more.unwrap_or(count)
}
