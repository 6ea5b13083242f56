//! JSON texts against serde_json: taken or refused, and the values.
//!
//! Input: one byte that picks a schema (or a record with its schema inside), one byte that picks options,
//! then the text. serde_json says what is JSON, and cuts it up; numbers stay text, as a double does not
//! hold all of them. What stands in a column is then worked out by the standard library, jiff and base64.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray, RecordBatch, StructArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use forebay::config::{self, Extra, Reader, Unions};
use forebay::decode::{Decoder, Options, Plan, codes as shared, json::codes, json::connect};
use forebay::registry::{Language, compile};

use super::cells;
use super::tree::{Of, Tree, levels};

pub const WORDS: &[&[u8]] = &[
    b"null",
    b"true",
    b"\"f\":",
    b"{}",
    b"[]",
    b"1e400",
    b"-0",
    b"0.1e-400",
    b"9223372036854775808",
    b"18446744073709551615",
    b"\\ud83d\\ude00",
    b"\\ud800",
    b"\\u0000",
    b"\"NaN\"",
    b"\"2020-02-29\"",
    b"\"1969-12-31T23:59:59.9999999Z\"",
    b"\"yv4=\"",
    b"\"schema\":",
    b"\"payload\":",
    b"[[[[[[[[[[[[[[[[",
    b"]]]]]]]]]]]]]]]]",
    b"{\"next\":",
    b"\xc3\x28",
    b"\x1f",
];

/// What the oracle knows of a value.
enum Kind {
    Any,
    Bool,
    Integer,
    Int32,
    Number,
    /// A number, of two digits after its point.
    Decimal,
    Text,
    Date,
    DateTime,
    Bytes,
    Nullable(&'static Kind),
    List(&'static Kind),
    Map(&'static Kind),
    /// Name, value, whether it is required.
    Object(&'static [(&'static str, Kind, bool)]),
    /// No two of the same JSON type.
    Union(&'static [Kind]),
}

impl Kind {
    /// A column that takes nulls takes a missing value, too.
    fn is_nullable(&self) -> bool {
        matches!(self, Self::Any | Self::Nullable(_))
    }
}

static INTEGER: Kind = Kind::Integer;
static NUMBER: Kind = Kind::Number;
static TEXT: Kind = Kind::Text;
static INTEGERS: Kind = Kind::List(&INTEGER);
static ITEM: Kind = Kind::Object(&[("a", Kind::Integer, true), ("b", Kind::Text, false)]);

/// Schemas of the property `f`, and what they mean.
static FIELDS: &[(&str, Kind)] = &[
    ("{}", Kind::Any),
    (r#"{"type":"integer"}"#, Kind::Integer),
    (r#"{"type":"number"}"#, Kind::Number),
    (r#"{"type":"string"}"#, Kind::Text),
    (r#"{"type":["boolean","null"]}"#, Kind::Nullable(&Kind::Bool)),
    (r#"{"type":"integer","connect.type":"int32"}"#, Kind::Int32),
    (r#"{"type":"string","format":"date"}"#, Kind::Date),
    (r#"{"type":"string","format":"date-time"}"#, Kind::DateTime),
    (r#"{"type":"string","contentEncoding":"base64"}"#, Kind::Bytes),
    (
        r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2"}}"#,
        Kind::Decimal,
    ),
    (
        r#"{"type":"array","items":{"type":["number","null"]}}"#,
        Kind::List(&Kind::Nullable(&NUMBER)),
    ),
    (r#"{"type":"array"}"#, Kind::List(&Kind::Any)),
    (
        r#"{"type":"array","items":{"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"]}}"#,
        Kind::List(&ITEM),
    ),
    (
        r#"{"additionalProperties":{"type":"array","items":{"type":"integer"}}}"#,
        Kind::Map(&INTEGERS),
    ),
    (
        r#"{"additionalProperties":{"additionalProperties":{"type":"string"}}}"#,
        Kind::Map(&Kind::Map(&TEXT)),
    ),
    (
        r#"{"oneOf":[{"type":"integer"},{"type":"string"},{"type":"array","items":{"type":"integer"}},{"properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"]}]}"#,
        Kind::Union(&[
            Kind::Integer,
            Kind::Text,
            Kind::List(&INTEGER),
            Kind::Object(&[("a", Kind::Integer, true), ("b", Kind::Text, false)]),
        ]),
    ),
    (r##"{"$ref":"#"}"##, Kind::Any),
];

/// Bytes that two records may hold while their columns grow: both decoded, twice.
const PEAK_MAX: usize = 4 * DECODED_MAX;
const DECODED_MAX: usize = 1 << 22;

struct Case {
    /// By options.
    plans: Vec<Arc<Plan>>,
    kind: &'static Kind,
}

fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| FIELDS.iter().map(|(text, kind)| case(text, kind)).collect())
}

fn case(field: &str, kind: &'static Kind) -> Case {
    let text =
        format!(r#"{{"properties":{{"f":{field},"g":{{"type":"integer"}}}},"required":["f"]}}"#);
    let registered = compile::compile(1, Language::Json, &text, &[]).unwrap();
    let plans = options().into_iter().map(|o| Plan::compile(&registered, &[], &o).unwrap());
    Case { plans: plans.collect(), kind }
}

/// The first keeps every exact type.
fn options() -> [Options; 2] {
    let limits =
        config::Limits { nodes: 100_000, decoded_bytes: DECODED_MAX, ..config::Limits::default() };
    let exact = Options { value: config::Value::default(), readers: vec![Reader::Native], limits };
    let mut all = exact.clone();
    all.readers = vec![Reader::Spark, Reader::Athena, Reader::Trino, Reader::Duckdb];
    all.value.unions = Unions::Json;
    all.value.extra = Extra::Keep;
    [exact, all]
}

pub fn run(data: &[u8]) -> bool {
    let [pick, option, text @ ..] = data else { return false };
    let tree = std::str::from_utf8(text).ok().and_then(Tree::parse);
    let pick = usize::from(*pick) % (FIELDS.len() + 1);
    let Some(case) = cases().get(pick) else { return embedded(text, tree.as_ref()) };
    let exact = decoded(&case.plans[0], text);
    if option % 2 == 1 {
        let all = decoded(&case.plans[1], text);
        assert!(tree.is_some() || all.is_err(), "taken, and it is no JSON");
        assert!(all.is_ok() || exact.is_err(), "refused with other columns: {all:?}");
    }
    let Some(tree) = tree else {
        assert!(exact.is_err(), "taken, and it is no JSON");
        return false;
    };
    match &exact {
        Ok(row) => {
            match member(&tree, "f") {
                Some(f) => check(case.kind, f, row.column(0), 0),
                None => assert!(case.kind.is_nullable() && row.column(0).is_null(0)),
            }
            match member(&tree, "g") {
                Some(g) => check(&Kind::Nullable(&INTEGER), g, row.column(1), 0),
                None => assert!(row.column(1).is_null(0)),
            }
        }
        Err(code) => refused(case.kind, &tree, code),
    }
    exact.is_ok()
}

/// A refusal must have its reason in the text.
fn refused(kind: &Kind, tree: &Tree, code: &str) {
    let malformed = [codes::SYNTAX.id, codes::TRAILING.id, codes::ESCAPE.id, shared::UTF8.id];
    assert!(!malformed.contains(&code), "{code}: serde_json takes it");
    if code == shared::DEPTH.id {
        assert!(levels(tree.raw) > 100, "{code}: {} levels", levels(tree.raw));
        return;
    }
    let Of::Object(members) = &tree.of else { return };
    let wrong = |name: &str, kind: &Kind, null: bool| {
        let mut values = members.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        values.any(|value| !(fits(kind, value) || null && matches!(value.of, Of::Null)))
    };
    let missing = !kind.is_nullable() && !members.iter().any(|(key, _)| key == "f");
    let reason = missing || wrong("f", kind, false) || wrong("g", &INTEGER, true);
    assert!(reason, "{code}: every value fits");
}

/// The last of equal members.
fn member<'t, 'a>(tree: &'t Tree<'a>, name: &str) -> Option<&'t Tree<'a>> {
    let Of::Object(members) = &tree.of else { return None };
    members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// True if the value must be taken; false where it must not, or where others may read it another way.
fn fits(kind: &Kind, tree: &Tree) -> bool {
    match (kind, &tree.of) {
        (Kind::Any, _) | (Kind::Bool, Of::Bool(_)) | (Kind::Text, Of::Text(_)) => true,
        (Kind::Nullable(_), Of::Null) => true,
        (Kind::Nullable(kind), _) => fits(kind, tree),
        (Kind::Integer, Of::Number) => tree.raw.parse::<i64>().is_ok(),
        (Kind::Int32, Of::Number) => tree.raw.parse::<i32>().is_ok(),
        (Kind::Number, Of::Number) => tree.raw.parse::<f64>().unwrap().is_finite(),
        (Kind::Decimal, Of::Number) => tree.raw.parse::<i32>().is_ok(),
        (Kind::List(item), Of::List(items)) => items.iter().all(|value| fits(item, value)),
        (Kind::Map(of), Of::Object(members)) => members.iter().all(|(_, value)| fits(of, value)),
        (Kind::Object(fields), Of::Object(members)) => {
            let known = |key: &str| fields.iter().find(|(name, ..)| *name == key);
            fields
                .iter()
                .all(|(name, _, required)| !required || members.iter().any(|(key, _)| key == name))
                && members.iter().all(|(key, value)| match known(key) {
                    Some((.., false)) if matches!(value.of, Of::Null) => true,
                    Some((_, kind, _)) => fits(kind, value),
                    None => true,
                })
        }
        (Kind::Union(branches), _) => branches.iter().any(|branch| fits(branch, tree)),
        _ => false,
    }
}

/// What stands in the column is what the text says.
fn check(kind: &Kind, tree: &Tree, column: &dyn Array, row: usize) {
    if matches!(tree.of, Of::Null) {
        assert!(kind.is_nullable(), "null taken");
        assert!(column.is_null(row));
        return;
    }
    if let Kind::Nullable(kind) = kind {
        return check(kind, tree, column, row);
    }
    let special = matches!((kind, &tree.of), (Kind::Number, Of::Text(_)));
    assert!(!column.is_null(row), "{} became null", tree.raw);
    match (kind, &tree.of) {
        (Kind::Any, _) => assert_eq!(column.as_string::<i32>().value(row), tree.raw),
        (Kind::Bool, Of::Bool(value)) => assert_eq!(column.as_boolean().value(row), *value),
        (Kind::Text, Of::Text(text)) => assert_eq!(column.as_string::<i32>().value(row), text),
        (Kind::Integer, Of::Number) => {
            integer(tree.raw, column.as_primitive::<Int64Type>().value(row));
        }
        (Kind::Int32, Of::Number) => {
            integer(tree.raw, column.as_primitive::<Int32Type>().value(row).into());
        }
        (Kind::Number, Of::Number) => {
            let value = column.as_primitive::<Float64Type>().value(row);
            assert_eq!(value.to_bits(), tree.raw.parse::<f64>().unwrap().to_bits(), "{}", tree.raw);
        }
        (Kind::Number, Of::Text(text)) => {
            let value = column.as_primitive::<Float64Type>().value(row);
            assert!(special && !value.is_finite(), "{text}");
        }
        (Kind::Decimal, Of::Number) => {
            let text = column.as_primitive::<Decimal128Type>().value_as_string(row);
            assert_eq!(text.parse::<f64>().unwrap(), tree.raw.parse::<f64>().unwrap());
        }
        (Kind::Decimal | Kind::Bytes, Of::Text(text)) => bytes(kind, text, column, row),
        (Kind::Date, Of::Text(text)) => {
            let date: jiff::civil::Date = text.parse().expect("jiff takes the date");
            let days = date.since(jiff::civil::date(1970, 1, 1)).unwrap().get_days();
            assert_eq!(column.as_primitive::<Date32Type>().value(row), days, "{text}");
        }
        (Kind::DateTime, Of::Text(text)) => {
            date_time(text, column.as_primitive::<TimestampMicrosecondType>().value(row));
        }
        (Kind::List(kind), Of::List(items)) => {
            let values = column.as_list::<i32>().value(row);
            assert_eq!(values.len(), items.len());
            items.iter().enumerate().for_each(|(at, item)| check(kind, item, &values, at));
        }
        (Kind::Map(kind), Of::Object(members)) => {
            let entries = column.as_map().value(row);
            let keys = entries.column(0).as_string::<i32>();
            let distinct: std::collections::BTreeSet<&String> =
                members.iter().map(|(key, _)| key).collect();
            assert_eq!(entries.len(), distinct.len());
            for at in 0..entries.len() {
                check(kind, member(tree, keys.value(at)).expect("a key"), entries.column(1), at);
            }
        }
        (Kind::Object(fields), Of::Object(_)) => {
            for ((name, kind, _), column) in fields.iter().zip(column.as_struct().columns()) {
                match member(tree, name) {
                    Some(value) if !matches!(value.of, Of::Null) => check(kind, value, column, row),
                    _ => assert!(column.is_null(row), "{name}"),
                }
            }
        }
        (Kind::Union(branches), _) => union(branches, tree, column.as_struct(), row),
        _ => panic!("{}: taken as another type", tree.raw),
    }
}

fn union(branches: &[Kind], tree: &Tree, column: &StructArray, row: usize) {
    let there: Vec<usize> =
        (0..branches.len()).filter(|at| column.column(*at).is_valid(row)).collect();
    let [branch] = there[..] else { panic!("{there:?}: one branch required") };
    check(&branches[branch], tree, column.column(branch), row);
}

/// Whole numbers may have an exponent or a point; then a double says about what they are.
fn integer(raw: &str, value: i64) {
    match raw.parse::<i64>() {
        Ok(exact) => assert_eq!(value, exact),
        Err(_) => assert_eq!(value as f64, raw.parse::<f64>().unwrap(), "{raw}"),
    }
}

fn bytes(kind: &Kind, text: &str, column: &dyn Array, row: usize) {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, config)
        .decode(text)
        .or_else(|_| GeneralPurpose::new(&base64::alphabet::URL_SAFE, config).decode(text))
        .unwrap_or_else(|e| panic!("{text}: {e}"));
    if let Kind::Bytes = kind {
        return assert_eq!(column.as_binary::<i32>().value(row), bytes);
    }
    let sign = if bytes.first().is_some_and(|byte| *byte > 127) { -1i128 } else { 0 };
    let value = bytes.iter().fold(sign, |value, byte| value << 8 | i128::from(*byte));
    assert_eq!(column.as_primitive::<Decimal128Type>().value(row), value, "{text}");
}

fn date_time(text: &str, micros: i64) {
    // jiff makes 59 of a leap second, and takes no more than nine digits after the point.
    let digits = text.split('.').nth(1).unwrap_or_default();
    let digits = digits.bytes().take_while(u8::is_ascii_digit).count();
    if digits > 9 || text.contains(":60") {
        return;
    }
    let instant: jiff::Timestamp = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(i128::from(micros), instant.as_nanosecond().div_euclid(1_000), "{text}");
}

/// A record with its Connect schema inside: cut in two as serde_json cuts it, and decoded.
fn embedded(text: &[u8], tree: Option<&Tree>) -> bool {
    let [options, _] = options();
    let envelope = match connect::split(text, options.limits.depth + 1) {
        Ok(envelope) => envelope,
        Err(reject) => {
            let whole = tree.is_some_and(|tree| {
                ["schema", "payload"].iter().all(|name| member(tree, name).is_some())
                    && levels(tree.raw) <= 100
            });
            assert!(!whole, "{reject}");
            return false;
        }
    };
    let tree = tree.expect("taken, and it is no JSON");
    for (name, part) in [("schema", envelope.schema), ("payload", envelope.payload)] {
        assert_eq!(member(tree, name).expect("a part").raw.as_bytes(), part);
    }
    let Ok(plan) = Plan::embedded(envelope.schema, &options) else { return false };
    decoded(&plan, envelope.payload).is_ok()
}

/// The row of a text, or the code of its reject. A row does not depend on what was appended before.
fn decoded(plan: &Arc<Plan>, text: &[u8]) -> Result<RecordBatch, String> {
    let mut decoder = Decoder::new(plan.clone());
    let (first, again) = super::bounded(PEAK_MAX, || (decoder.append(text), decoder.append(text)));
    assert_eq!(first, again);
    assert_eq!(decoder.rows(), if first.is_ok() { 2 } else { 0 });
    let batch = decoder.finish();
    first.map_err(|reject| reject.code.id.to_owned())?;
    for column in batch.columns() {
        assert_eq!(cells::json(column, 0), cells::json(column, 1));
    }
    Ok(batch.slice(0, 1))
}
