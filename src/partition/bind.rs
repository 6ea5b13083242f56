//! Items and a schema → [`Bound`]: each source found, each type checked.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};

use super::codes::{COLUMNS, FIELD, NAME, TYPE};
use super::column::{self, Access, Missing};
use super::expr::Meta;
use super::item::{Alternative, Item, Source};
use super::resolve::Resolver;
use super::texts::Texts;
use super::{Bound, Partitioner};
use crate::config::PartitionColumns;
use crate::error::Fault;

/// Where the values of one alternative come from.
#[derive(Debug)]
pub enum Input {
    Column(Access),
    /// A column that this version of the schema does not have.
    Missing,
    Meta(Meta),
    Literal(String),
}

#[derive(Debug)]
pub struct Reader {
    pub input: Input,
    pub resolver: Resolver,
}

/// One segment, bound.
#[derive(Debug)]
pub struct Segment {
    pub texts: Texts,
    pub readers: Vec<Reader>,
}

pub fn bind(
    partitioner: &Partitioner,
    schema: &Schema,
    lenient: bool,
) -> Result<Bound, Vec<Fault>> {
    let mut faults = Vec::new();
    let dropped = dropped(partitioner, schema, lenient, &mut faults);
    let mut segments = Vec::new();
    for item in &partitioner.items {
        let whole = item
            .plain_column()
            .and_then(|name| schema.index_of(name).ok())
            .is_some_and(|i| dropped.contains(&i));
        let mut segment =
            Segment { texts: Texts::new(partitioner.escape, &item.name, whole), readers: vec![] };
        for alternative in &item.alternatives {
            match reader(item, alternative, schema, lenient, &mut segment.texts) {
                Ok(reader) => segment.readers.push(reader),
                Err(fault) => faults.push(fault.at(&item.place)),
            }
        }
        segments.push(segment);
    }
    if faults.is_empty() {
        Ok(Bound::new(segments, dropped, partitioner.escape, partitioner.reserved_bytes))
    } else {
        Err(faults)
    }
}

fn reader(
    item: &Item,
    alternative: &Alternative,
    schema: &Schema,
    lenient: bool,
    texts: &mut Texts,
) -> Result<Reader, Fault> {
    let label: Arc<str> = super::text::quoted(&item.text).into();
    let refused = |found: &DataType, required: String| {
        let found = column::type_name(found);
        Fault::new(&TYPE, format!("expression `{label}`: over {found}, {required} required"))
    };
    let (input, leaf, uuid) = match &alternative.source {
        Source::Path(steps) => match column::find(steps, schema) {
            Ok(access) => {
                let (leaf, uuid) = (access.leaf.clone(), access.uuid);
                (Input::Column(access), leaf, uuid)
            }
            Err(Missing::Field(_)) if lenient => (Input::Missing, DataType::Null, false),
            Err(Missing::Field(what)) => {
                return Err(Fault::new(&FIELD, format!("expression `{label}`: {what}")));
            }
            Err(Missing::Shape(what)) => {
                return Err(Fault::new(&TYPE, format!("expression `{label}`: {what}")));
            }
        },
        Source::Meta(meta) => (Input::Meta(*meta), meta_type(*meta), false),
        Source::Literal(text) => (Input::Literal(text.clone()), DataType::Utf8, false),
    };
    let mut resolver = Resolver::new(&alternative.function, &leaf, uuid, label.clone())
        .map_err(|required| refused(&leaf, required))?;
    if let Input::Literal(text) = &input {
        resolver
            .text(text, texts)
            .map_err(|e| Fault::new(&TYPE, format!("expression `{label}`: {}", e.message)))?;
    }
    Ok(Reader { input, resolver })
}

fn meta_type(meta: Meta) -> DataType {
    match meta {
        Meta::Topic | Meta::RecordName => DataType::Utf8,
        Meta::Partition => DataType::Int32,
        Meta::Offset | Meta::SchemaId => DataType::Int64,
        Meta::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
    }
}

/// Which columns leave the files, and whether names of segments meet names of columns that stay.
fn dropped(
    partitioner: &Partitioner,
    schema: &Schema,
    lenient: bool,
    faults: &mut Vec<Fault>,
) -> Vec<usize> {
    if partitioner.columns == PartitionColumns::Keep {
        return Vec::new();
    }
    let mut dropped: Vec<usize> = partitioner
        .items
        .iter()
        .filter_map(|item| {
            let column = item.plain_column()?;
            // Under another name, readers would not find the column any more.
            let same = partitioner.columns == PartitionColumns::Drop || item.name == column;
            if same { schema.index_of(column).ok() } else { None }
        })
        .collect();
    dropped.sort_unstable();
    dropped.dedup();
    if !dropped.is_empty() && dropped.len() == schema.fields().len() {
        if partitioner.columns == PartitionColumns::Drop && !lenient {
            let what = "partition_columns `drop`: no column would stay in the files, one required; use `keep`";
            faults.push(Fault::new(&COLUMNS, what));
        }
        dropped.clear();
        return dropped;
    }
    if !lenient {
        collisions(partitioner, schema, &dropped, faults);
    }
    dropped
}

/// A name that is both in the path and in the file is seen twice, and crawlers refuse that.
fn collisions(
    partitioner: &Partitioner,
    schema: &Schema,
    dropped: &[usize],
    faults: &mut Vec<Fault>,
) {
    for item in &partitioner.items {
        let met = schema
            .fields()
            .iter()
            .enumerate()
            .find(|(i, f)| !dropped.contains(i) && f.name().eq_ignore_ascii_case(&item.name));
        if let Some((_, field)) = met {
            let what = format!(
                "partition name `{}` of `{}`: column `{}` stays in the files, another name required; give the item a `name`",
                item.name,
                super::text::quoted(&item.text),
                field.name()
            );
            faults.push(Fault::new(&NAME, what).at(&item.place));
        }
    }
}
