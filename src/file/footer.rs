//! What a file says of itself: key-value pairs in its Parquet footer, and back.
//!
//! Owns: the `forebay.*` keys, stable across releases: new ones may come, none changes its meaning.
//! Does not own: the commit record, which says the same of a file (`commit`).
//! Bounded by: what the footer holds; nothing is allocated by a number read from it.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use ::parquet::file::metadata::{KeyValue, ParquetMetaData};
use arrow::datatypes::{DataType, Field, Fields, Schema};

use super::{FOOTER, Provenance};
use crate::error::Fault;
use crate::position::TopicPartition;

pub use crate::evolve::{FIELD_NUMBER, UNIT};

pub const PIPELINE: &str = "forebay.pipeline";
/// Id of the commit record that names the file. Not in files that no commit names.
pub const COMMIT: &str = "forebay.commit";
pub const TOPIC: &str = "forebay.topic";
/// Kafka partition, decimal.
pub const PARTITION: &str = "forebay.partition";
/// Offset of the first row, decimal.
pub const FIRST: &str = "forebay.first_offset";
/// Offset of the last row (it is in the file), decimal.
pub const LAST: &str = "forebay.last_offset";
pub const ROWS: &str = "forebay.rows";
/// Ids of the writer schemas: decimal, rising, comma-separated.
pub const SCHEMA_IDS: &str = "forebay.schema_ids";
/// Id of the schema whose columns the rows have, decimal; 0 for those of no one schema. Only where it is not
/// the writers' own.
pub const TARGET: &str = "forebay.target_schema_id";
/// JSON: an object from writer schema id to what became of its columns: `added`, `dropped`, `promoted`,
/// `renamed`, lists of paths. Only writers with changes.
pub const CHANGES: &str = "forebay.changes";
pub const RECORD_NAME: &str = "forebay.record_name";
/// `data` or `reject`
pub const ROLE: &str = "forebay.role";
/// JSON: a list of `[name, value or null]`, in path order, unescaped.
pub const PARTITION_VALUES: &str = "forebay.partition_values";
/// JSON: an object from column path to the field's number in its schema. Only where fields have numbers.
pub const FIELD_NUMBERS: &str = "forebay.field_numbers";
/// JSON: an object from column path to the unit (`s`, `ms`, `us`, `ns`) of a time of day or a duration that is a
/// whole number in the file. Only where there are such columns.
pub const UNITS: &str = "forebay.units";
/// Name of the column that holds each row's offset, where there is one: a value's own column may be named `_offset`.
/// The column has the same key, with nothing behind it, in its own metadata.
pub const OFFSET_COLUMN: &str = "forebay.offset_column";

/// The pairs of a file's footer.
pub(super) fn pairs(from: &Provenance, rows: u64, schema: &Schema) -> Vec<KeyValue> {
    let ids: Vec<String> = from.schema_ids.iter().map(u32::to_string).collect();
    let values: Vec<(&str, Option<&str>)> =
        from.partition_values.iter().map(|(n, v)| (n.as_str(), v.as_deref())).collect();
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let mut pairs = vec![
        pair(PIPELINE, from.pipeline.clone()),
        pair(TOPIC, from.topic_partition.topic.to_string()),
        pair(PARTITION, from.topic_partition.partition.to_string()),
        pair(FIRST, from.first.to_string()),
        pair(LAST, from.last.to_string()),
        pair(ROWS, rows.to_string()),
        pair(SCHEMA_IDS, ids.join(",")),
        pair(RECORD_NAME, from.record_name.clone()),
        pair(ROLE, from.role.to_owned()),
        pair(PARTITION_VALUES, serde_json::json!(values).to_string()),
    ];
    if !from.commit.is_empty() {
        pairs.push(pair(COMMIT, from.commit.clone()));
    }
    pairs.extend(from.target.map(|id| pair(TARGET, id.to_string())));
    if !from.changes.is_empty() {
        pairs.push(pair(CHANGES, serde_json::json!(from.changes).to_string()));
    }
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    collect(schema.fields(), "", FIELD_NUMBER, &mut numbers);
    if !numbers.is_empty() {
        pairs.push(pair(FIELD_NUMBERS, serde_json::json!(numbers).to_string()));
    }
    let mut units: BTreeMap<String, String> = BTreeMap::new();
    collect(schema.fields(), "", UNIT, &mut units);
    if !units.is_empty() {
        pairs.push(pair(UNITS, serde_json::json!(units).to_string()));
    }
    let offset = schema.fields().iter().find(|f| f.metadata().contains_key(OFFSET_COLUMN));
    pairs.extend(offset.map(|field| pair(OFFSET_COLUMN, field.name().clone())));
    pairs
}

/// What all fields that have it hold under a key of their metadata; a path is dotted, and leaves out the levels
/// that only lists and maps have: what an element or a map's value holds stands at the path of the list or map.
fn collect<T: FromStr>(fields: &Fields, above: &str, key: &str, out: &mut BTreeMap<String, T>) {
    for field in fields {
        let path = if above.is_empty() {
            field.name().clone()
        } else {
            format!("{above}.{}", field.name())
        };
        let mut level = Some(field.as_ref());
        while let Some(field) = level {
            if let Some(held) = field.metadata().get(key).and_then(|text| text.parse().ok()) {
                out.entry(path.clone()).or_insert(held);
            }
            if let DataType::Struct(fields) = field.data_type() {
                collect(fields, &path, key, out);
            }
            level = inner(field);
        }
    }
}

/// The element of a list, the value of a map.
fn inner(field: &Field) -> Option<&Field> {
    match field.data_type() {
        DataType::List(item) | DataType::LargeList(item) => Some(item),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => pair.get(1).map(AsRef::as_ref),
            _ => None,
        },
        _ => None,
    }
}

impl Provenance {
    /// Reads what the footer of a file says. Error: [`FOOTER`] where a key is missing, cannot be read,
    /// or speaks against the footer's own row count.
    pub fn read(metadata: &ParquetMetaData) -> Result<Self, Fault> {
        let file = metadata.file_metadata();
        let empty = Vec::new();
        let pairs = file.key_value_metadata().unwrap_or(&empty);
        let text = |key: &str| {
            let found = pairs.iter().rev().find(|pair| pair.key == key);
            found.and_then(|pair| pair.value.as_deref()).ok_or_else(|| {
                Fault::new(
                    &FOOTER,
                    format!("footer without key `{key}`: a file of this program required"),
                )
            })
        };
        let rows: u64 = number(ROWS, text(ROWS)?)?;
        if u64::try_from(file.num_rows()) != Ok(rows) {
            return Err(wrong(
                ROWS,
                text(ROWS)?,
                &format!("the footer's own count {}", file.num_rows()),
            ));
        }
        let (first, last) = (number(FIRST, text(FIRST)?)?, number(LAST, text(LAST)?)?);
        if first > last || first < 0 {
            return Err(wrong(FIRST, text(FIRST)?, &format!("0 to last offset `{last}`")));
        }
        Ok(Self {
            pipeline: text(PIPELINE)?.to_owned(),
            // Files of before the chain have none, nor have those that `decode` makes.
            commit: text(COMMIT).unwrap_or_default().to_owned(),
            topic_partition: TopicPartition::new(
                text(TOPIC)?,
                number(PARTITION, text(PARTITION)?)?,
            ),
            first,
            last,
            schema_ids: ids(text(SCHEMA_IDS)?)?,
            record_name: text(RECORD_NAME)?.to_owned(),
            target: match text(TARGET) {
                Ok(id) => Some(number(TARGET, id)?),
                Err(_) => None,
            },
            changes: match text(CHANGES) {
                Ok(changes) => serde_json::from_str(changes)
                    .map_err(|_| wrong(CHANGES, changes, "changes by schema id"))?,
                Err(_) => BTreeMap::new(),
            },
            role: match text(ROLE)? {
                "data" => "data",
                "reject" => "reject",
                other => return Err(wrong(ROLE, other, "data or reject")),
            },
            partition_values: serde_json::from_str(text(PARTITION_VALUES)?).map_err(|_| {
                wrong(
                    PARTITION_VALUES,
                    text(PARTITION_VALUES).unwrap_or_default(),
                    "a list of pairs",
                )
            })?,
        })
    }
}

/// The column that holds each row's offset, as the footer says.
pub fn offset_column(metadata: &ParquetMetaData) -> Option<String> {
    let pairs = metadata.file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == OFFSET_COLUMN)?.value.clone()
}

fn ids(text: &str) -> Result<BTreeSet<u32>, Fault> {
    text.split(',').filter(|id| !id.is_empty()).map(|id| number(SCHEMA_IDS, id)).collect()
}

fn number<T: std::str::FromStr>(key: &str, text: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| wrong(key, text, "a decimal number"))
}

fn wrong(key: &str, found: &str, required: &str) -> Fault {
    Fault::new(&FOOTER, format!("footer key `{key}`: `{found}` found, {required} required"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn units_of_elements_and_of_values_stand_at_the_path_of_their_list_or_map() {
        let unit = |name: &str, unit: &str| {
            let field = Field::new(name, DataType::Int64, true);
            field.with_metadata(HashMap::from([(UNIT.to_owned(), unit.to_owned())]))
        };
        let list = |name: &str, item: Field| Field::new(name, DataType::List(Arc::new(item)), true);
        let pair = vec![Field::new("key", DataType::Utf8, false), unit("value", "ms")];
        let entries = Field::new("entries", DataType::Struct(pair.into()), false);
        let inside =
            DataType::Struct(vec![unit("u", "ns"), list("l", unit("element", "s"))].into());
        let fields = Fields::from(vec![
            unit("own", "us"),
            list("items", list("element", unit("element", "us"))),
            Field::new("map", DataType::Map(Arc::new(entries), false), true),
            list("structs", Field::new("element", inside, true)),
            list("plain", Field::new("element", DataType::Int64, true)),
        ]);
        let mut units: BTreeMap<String, String> = BTreeMap::new();
        collect(&fields, "", UNIT, &mut units);
        let units: Vec<(&str, &str)> =
            units.iter().map(|(p, u)| (p.as_str(), u.as_str())).collect();
        let expected = [
            ("items", "us"),
            ("map", "ms"),
            ("own", "us"),
            ("structs.l", "s"),
            ("structs.u", "ns"),
        ];
        assert_eq!(units, expected);
    }
}
