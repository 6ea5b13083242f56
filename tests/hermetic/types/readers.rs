//! What readers make of Parquet types: facts, written by hand.
//!
//! Tried: files by pyarrow 26.0, read by Spark 4.0.1 and DuckDB 2.0. Athena: its documentation.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::schema::types::TypePtr;

const REFUSED: &str = "**refused**";
/// Neither tried nor found in the documentation.
const UNTRIED: &str = "not tried";

/// The element of a three-level list.
pub(super) fn list_of(column: &TypePtr) -> Option<&TypePtr> {
    let is_list = column.get_basic_info().converted_type() == ConvertedType::LIST;
    is_list.then(|| &column.get_fields()[0].get_fields()[0])
}

/// Key and value of a map.
pub(super) fn map_of(column: &TypePtr) -> Option<(&TypePtr, &TypePtr)> {
    let is_map = column.get_basic_info().converted_type() == ConvertedType::MAP;
    is_map.then(|| {
        let pair = column.get_fields()[0].get_fields();
        (&pair[0], &pair[1])
    })
}

pub(super) fn physical(column: &TypePtr) -> String {
    match column.get_physical_type() {
        Physical::FIXED_LEN_BYTE_ARRAY => format!("FIXED_LEN_BYTE_ARRAY({})", length(column)),
        other => other.to_string(),
    }
}

fn length(column: &TypePtr) -> i32 {
    match column.as_ref() {
        parquet::schema::types::Type::PrimitiveType { type_length, .. } => *type_length,
        parquet::schema::types::Type::GroupType { .. } => 0,
    }
}

fn unit(unit: &TimeUnit) -> &'static str {
    match unit {
        TimeUnit::MILLIS => "MILLIS",
        TimeUnit::MICROS => "MICROS",
        TimeUnit::NANOS => "NANOS",
    }
}

/// The logical type, as the Parquet format writes it.
pub(super) fn annotation(column: &TypePtr) -> Option<String> {
    Some(match column.get_basic_info().logical_type_ref()? {
        LogicalType::String => "STRING".to_owned(),
        LogicalType::Json => "JSON".to_owned(),
        LogicalType::Uuid => "UUID".to_owned(),
        LogicalType::Date => "DATE".to_owned(),
        LogicalType::Unknown => "UNKNOWN".to_owned(),
        LogicalType::Decimal(d) => format!("DECIMAL({}, {})", d.precision, d.scale),
        LogicalType::Time(t) => format!("TIME({})", unit(&t.unit)),
        LogicalType::Timestamp(t) => {
            let utc = if t.is_adjusted_to_u_t_c { ", UTC" } else { "" };
            format!("TIMESTAMP({}{utc})", unit(&t.unit))
        }
        LogicalType::Integer(i) => {
            format!("{}({})", if i.is_signed { "INT" } else { "UINT" }, i.bit_width)
        }
        other => panic!("{other:?}: say here how the format writes it"),
    })
}

/// DuckDB, Spark, Athena.
pub(super) fn types(column: &TypePtr) -> [String; 3] {
    if let Some(element) = list_of(column) {
        let [duckdb, spark, athena] = types(element);
        return [format!("{duckdb}[]"), format!("array<{spark}>"), format!("array<{athena}>")];
    }
    if let Some((key, value)) = map_of(column) {
        let ([dk, sk, ak], [dv, sv, av]) = (types(key), types(value));
        return [
            format!("MAP({dk}, {dv})"),
            format!("map<{sk}, {sv}>"),
            format!("map<{ak}, {av}>"),
        ];
    }
    if column.is_group() {
        let fields = column.get_fields();
        let each = |reader: usize, between: &str| {
            let fields: Vec<String> = fields
                .iter()
                .map(|f| format!("{}{between}{}", f.name(), types(f)[reader]))
                .collect();
            fields.join(", ")
        };
        return [
            format!("STRUCT({})", each(0, " ")),
            format!("struct<{}>", each(1, ": ")),
            format!("struct<{}>", each(2, ": ")),
        ];
    }
    leaf(column)
}

fn leaf(column: &TypePtr) -> [String; 3] {
    let all = |duckdb: &str, spark: &str, athena: &str| {
        [duckdb.to_owned(), spark.to_owned(), athena.to_owned()]
    };
    let annotation = annotation(column).unwrap_or_default();
    match (column.get_physical_type(), annotation.as_str()) {
        (Physical::BOOLEAN, "") => all("BOOLEAN", "boolean", "boolean"),
        (Physical::INT32, "") => all("INTEGER", "int", "int"),
        (Physical::INT64, "") => all("BIGINT", "bigint", "bigint"),
        (Physical::FLOAT, "") => all("FLOAT", "float", "float"),
        (Physical::DOUBLE, "") => all("DOUBLE", "double", "double"),
        (Physical::BYTE_ARRAY, "STRING") => all("VARCHAR", "string", "string"),
        (Physical::BYTE_ARRAY, "JSON") => all("JSON", "string", "string"),
        (Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY, "") => {
            all("BLOB", "binary", "binary")
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, "UUID") => all("UUID", REFUSED, REFUSED),
        (Physical::INT32, "DATE") => all("DATE", "date", "date"),
        (Physical::INT32, "UINT(32)") => all("UINTEGER", "bigint", UNTRIED),
        (Physical::INT64, "UINT(64)") => all("UBIGINT", "decimal(20,0)", UNTRIED),
        (_, "TIME(MILLIS)" | "TIME(MICROS)") => all("TIME", REFUSED, REFUSED),
        (_, "TIMESTAMP(MILLIS, UTC)" | "TIMESTAMP(MICROS, UTC)") => {
            all("TIMESTAMP WITH TIME ZONE", "timestamp", "timestamp")
        }
        (_, "TIMESTAMP(MILLIS)" | "TIMESTAMP(MICROS)") => {
            all("TIMESTAMP", "timestamp_ntz", "timestamp")
        }
        (_, "TIMESTAMP(NANOS, UTC)" | "TIMESTAMP(NANOS)") => all("TIMESTAMP_NS", REFUSED, REFUSED),
        // Nothing but nulls.
        (Physical::INT32, "UNKNOWN") => all(UNTRIED, UNTRIED, UNTRIED),
        (_, decimal) if decimal.starts_with("DECIMAL(") => {
            let text = decimal.replace(", ", ",");
            let precision: u32 = text[8..].split(',').next().unwrap().parse().unwrap();
            match precision {
                39.. => all("**DOUBLE, digits lost**", REFUSED, REFUSED),
                _ => all(&text, &text.to_lowercase(), &text.to_lowercase()),
            }
        }
        (physical, annotation) => {
            panic!("{physical} {annotation}: say here what readers make of it")
        }
    }
}
