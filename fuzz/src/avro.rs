//! Avro datums against apache-avro: taken or refused, and the values.
//!
//! Input: one byte that picks a schema, one byte that picks options, then the datum.

use std::sync::{Arc, OnceLock};

use apache_avro::types::Value;
use apache_avro::{Schema, from_avro_datum, to_avro_datum};
use arrow::array::{RecordBatch, StructArray};
use forebay::config::{self, Reader, Recursion, Unions};
use forebay::decode::{Decoder, Options, Plan, avro::codes, codes as shared};
use forebay::registry::{self, Language, compile};

use super::cells::json;
use super::oracle::{Oracle, names};

pub const WORDS: &[&[u8]] = &[
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    &[0xfe, 0xff, 0xff, 0xff, 0x0f],
    &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[3, 0],
    &[3, 2, 2],
    &[0xc3, 0x28],
];

/// Types by what may go wrong in them; every one is the field of a record.
const TYPES: &[&str] = &[
    r#""int""#,
    r#"["null","string"]"#,
    r#"{"type":"array","items":"null"}"#,
    r#"{"type":"array","items":{"type":"array","items":"int"}}"#,
    r#"{"type":"map","values":["long","null"]}"#,
    r#"{"type":"map","values":{"type":"map","values":"bytes"}}"#,
    r#"["null","boolean","string",{"type":"enum","name":"E","symbols":["A","B"]},{"type":"array","items":"double"},{"type":"fixed","name":"F","size":3}]"#,
    r#"{"type":"record","name":"N","fields":[{"name":"v","type":"long"},{"name":"next","type":["null","N"]},{"name":"all","type":{"type":"array","items":"N"}}]}"#,
    r#"{"type":"record","name":"T","fields":[{"name":"a","type":{"type":"int","logicalType":"date"}},{"name":"b","type":{"type":"int","logicalType":"time-millis"}},{"name":"c","type":{"type":"long","logicalType":"time-micros"}},{"name":"d","type":{"type":"long","logicalType":"timestamp-nanos"}},{"name":"e","type":{"type":"fixed","name":"D","size":12,"logicalType":"duration"}}]}"#,
    r#"{"type":"record","name":"C","fields":[{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}},{"name":"b","type":{"type":"bytes","logicalType":"decimal","precision":50,"scale":10}},{"name":"c","type":{"type":"fixed","name":"X","size":4,"logicalType":"decimal","precision":9}}]}"#,
    r#"{"type":"record","name":"Z","fields":[{"name":"e","type":{"type":"array","items":{"type":"record","name":"E0","fields":[]}}},{"name":"z","type":{"type":"array","items":{"type":"record","name":"E1","fields":[{"name":"n","type":"null"}]}}}]}"#,
    r#"{"type":"record","name":"M","fields":[{"name":"i","type":"int"},{"name":"l","type":"long"},{"name":"f","type":"float"},{"name":"d","type":"double"},{"name":"b","type":"boolean"},{"name":"s","type":"string"},{"name":"y","type":"bytes"},{"name":"x","type":{"type":"fixed","name":"X","size":2}}]}"#,
];

/// Bytes that two records may hold while their columns grow: both decoded, twice.
const PEAK_MAX: usize = 4 * DECODED_MAX;
const DECODED_MAX: usize = 1 << 22;

struct Case {
    schema: Schema,
    /// By options.
    plans: Vec<Arc<Plan>>,
    /// The same, read onto the schema itself: another way to the same rows.
    onto: Vec<Arc<Plan>>,
}

fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| {
        // Else a length of few bytes makes apache-avro ask for half a gigabyte.
        apache_avro::util::max_allocation_bytes(1 << 22);
        TYPES.iter().map(|field_type| case(field_type)).collect()
    })
}

fn case(field_type: &str) -> Case {
    let json =
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field_type}}}]}}"#);
    let registered: registry::Schema = compile::compile(1, Language::Avro, &json, &[]).unwrap();
    let plan = |options| Plan::compile(&registered, &[], &options).unwrap();
    // Another text, else it is the same plan.
    let same = json.replacen('{', r#"{"doc":"the same","#, 1);
    let same = compile::compile(2, Language::Avro, &same, &[]).unwrap();
    let onto = |options| Plan::compile_onto(&registered, &[], &same, &options).unwrap();
    Case {
        schema: Schema::parse_str(&json).unwrap(),
        plans: options().into_iter().map(plan).collect(),
        onto: options().into_iter().map(onto).collect(),
    }
}

/// The first keeps every exact type; apache-avro's values are compared with its columns.
fn options() -> Vec<Options> {
    // Few enough that a run is quick, and more than an honest input of a few kilobytes takes.
    let limits =
        config::Limits { nodes: 100_000, decoded_bytes: DECODED_MAX, ..config::Limits::default() };
    let exact = Options { value: config::Value::default(), readers: vec![Reader::Native], limits };
    let mut all = exact.clone();
    all.readers = vec![Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb];
    all.value.unions = Unions::Json;
    let mut bytes = exact.clone();
    bytes.value.recursion = Recursion::Bytes;
    vec![exact, all, bytes]
}

pub fn run(data: &[u8]) -> bool {
    let [pick, option, datum @ ..] = data else { return false };
    let case = &cases()[usize::from(*pick) % TYPES.len()];
    let exact = decoded(&case.plans[0], datum);
    let option = 1 + usize::from(*option) % 2;
    let other = decoded(&case.plans[option], datum);
    for (plain, onto) in [(&exact, &case.onto[0]), (&other, &case.onto[option])] {
        let said = |row: &Result<RecordBatch, String>| {
            let row = row.as_ref();
            row.map(|row| json(&StructArray::from(row.clone()), 0)).map_err(String::clone)
        };
        assert_eq!(said(&decoded(onto, datum)), said(plain), "read onto the schema itself");
    }
    if let (Err(code), Ok(_)) = (&exact, &other) {
        // Other columns hold more: a time of day as a number, a long text as bytes.
        let wider = [shared::RANGE.id, codes::UUID.id, codes::DECIMAL.id, shared::TOO_LARGE.id];
        assert!(wider.contains(&code.as_str()), "{code}");
    }
    match (&exact, theirs(&case.schema, datum)) {
        (Ok(batch), Ok(value)) => {
            let names = names(&case.schema);
            Oracle::new(&names).check(
                "",
                &case.schema,
                &value,
                &StructArray::from(batch.clone()),
                0,
            );
        }
        (Ok(_), Err(error)) => {
            // Its bounds are not ours.
            let bounds = ["Unable to allocate", "memory"].iter().any(|text| error.contains(text));
            assert!(bounds, "taken, but: {error}");
        }
        (Err(code), Ok(value)) => {
            // It takes records that end early. What it writes back byte by byte was whole.
            if to_avro_datum(&case.schema, value).ok().as_deref() == Some(datum) {
                let bounds = [shared::TOO_LARGE.id, shared::DEPTH.id];
                let held = [shared::RANGE.id, codes::DECIMAL.id];
                assert!(held.contains(&code.as_str()) || bounds.contains(&code.as_str()), "{code}");
            }
        }
        (Err(_), Err(_)) => {}
    }
    exact.is_ok()
}

fn theirs(schema: &Schema, datum: &[u8]) -> Result<Value, String> {
    let mut rest = datum;
    let value = from_avro_datum(schema, &mut rest, None).map_err(|e| e.to_string())?;
    if rest.is_empty() { Ok(value) } else { Err(format!("{} bytes left", rest.len())) }
}

/// The row of a datum, or the code of its reject. A row does not depend on what was appended before.
fn decoded(plan: &Arc<Plan>, datum: &[u8]) -> Result<RecordBatch, String> {
    let mut decoder = Decoder::new(plan.clone());
    let (first, again) =
        super::bounded(PEAK_MAX, || (decoder.append(datum), decoder.append(datum)));
    assert_eq!(first, again);
    assert_eq!(decoder.rows(), if first.is_ok() { 2 } else { 0 });
    let batch = decoder.finish();
    first.map_err(|reject| {
        assert!(reject.message.contains(" at byte "), "{reject}");
        reject.code.id.to_owned()
    })?;
    for column in batch.columns() {
        assert!(column.slice(0, 1).to_data() == column.slice(1, 1).to_data() || has_nan(column));
    }
    Ok(batch.slice(0, 1))
}

/// NaN is not equal to itself.
fn has_nan(column: &dyn arrow::array::Array) -> bool {
    json(column, 0).to_string().contains("NaN")
}
