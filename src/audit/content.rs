//! What a file says of itself, and what is in it, against the record that names it.
//!
//! Owns: the footer's comparison; rows, order and multiplicity of offsets.
//! Does not own: whether the file is there (`files`).
//! Bounded by: a footer of [`FOOTER_MAX`] bytes, one batch of one column, a bit an offset of one commit.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::ChunkReader;

use super::finding::{Class, Findings, Place};
use crate::commit::record::{File, Record, Role};
use crate::file::{Provenance, footer};
use crate::position::{Offset, OffsetRange};

/// Bytes of a file's end that nearly always hold its footer.
pub const TAIL: u64 = 64 << 10;
/// Largest footer that is read, in bytes.
pub const FOOTER_MAX: usize = 64 << 20;
/// Offsets of one commit that are told apart one by one: 32 MiB of bits.
pub const OFFSETS_MAX: u64 = 1 << 28;
/// Rows decoded at a time.
const BATCH: usize = 8_192;

/// What the end of a file holds.
#[derive(Debug)]
pub enum Tail {
    Footer(Box<ParquetMetaData>),
    /// So many bytes of the end are needed.
    More(u64),
    Bad(String),
}

/// Reads a footer from a file's last bytes. `total`: bytes of the whole file.
pub fn tail(bytes: &bytes::Bytes, total: u64) -> Tail {
    let mut reader = ParquetMetaDataReader::new();
    match reader.try_parse_sized(bytes, total).and_then(|()| reader.finish()) {
        Ok(footer) => Tail::Footer(Box::new(footer)),
        Err(ParquetError::NeedMoreData(more))
            if more <= FOOTER_MAX && more as u64 <= total && more > bytes.len() =>
        {
            Tail::More(more as u64)
        }
        Err(e) => Tail::Bad(e.to_string()),
    }
}

/// Compares a footer with its record; false: they differ, and that is told.
pub fn says(
    record: &Record,
    file: &File,
    place: Place,
    metadata: &ParquetMetaData,
    out: &mut Findings,
) -> bool {
    let place = place.key(&file.key);
    let said = match Provenance::read(metadata) {
        Ok(said) => said,
        Err(fault) => {
            let message = format!("file `{}`: {}", file.key, fault.message);
            out.add(Class::FooterUnreadable, place, message);
            return false;
        }
    };
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
    let (about, identity) = (&file.about, &record.identity);
    let role = match about.role {
        Role::Data => "data",
        Role::Reject => "reject",
    };
    let from = &said.topic_partition;
    let differing = [
        ("commit", said.commit.clone(), record.id.clone()),
        ("pipeline", said.pipeline.clone(), identity.pipeline.clone()),
        ("topic", from.topic.to_string(), identity.topic.clone()),
        ("partition", from.partition.to_string(), identity.partition.to_string()),
        ("first offset", said.first.to_string(), about.first.to_string()),
        ("last offset", said.last.to_string(), about.last.to_string()),
        ("rows", rows.to_string(), about.rows.to_string()),
        ("role", said.role.to_owned(), role.to_owned()),
        ("target schema id", target(said.target), target(about.target)),
        ("schema ids", list(&said.schema_ids), list(&about.schema_ids)),
        ("partition values", values(&said.partition_values), values(&about.values)),
    ];
    let differing: Vec<String> = differing
        .into_iter()
        .filter(|(_, said, required)| said != required)
        .map(|(what, said, required)| format!("{what} `{said}`, `{required}` required"))
        .collect();
    if differing.is_empty() {
        return true;
    }
    let message = format!("file `{}` of record {}: {}", file.key, record.seq, differing.join("; "));
    out.add(Class::FooterDiffers, place, message);
    false
}

fn list<'a>(ids: impl IntoIterator<Item = &'a u32>) -> String {
    ids.into_iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn target(id: Option<u32>) -> String {
    id.map_or("none".to_owned(), |id| id.to_string())
}

fn values(values: &[(String, Option<String>)]) -> String {
    format!("{values:?}")
}

/// A footer that cannot be read at all.
pub fn no_footer(file: &File, place: Place, why: &str, out: &mut Findings) {
    let message = format!("file `{}`: {why}, a Parquet footer required", file.key);
    out.add(Class::FooterUnreadable, place.key(&file.key), message);
}

/// The column that holds each row's offset, where there is one.
fn offset_column(role: Role, metadata: &ParquetMetaData) -> Option<String> {
    match role {
        Role::Data => footer::offset_column(metadata),
        Role::Reject => Some("offset".to_owned()),
    }
}

/// Offsets of one commit's rows, each of which may come once.
#[derive(Debug)]
pub struct Offsets {
    range: OffsetRange,
    /// None where the range is too long.
    bits: Option<Vec<u64>>,
}

impl Offsets {
    pub fn of(range: OffsetRange) -> Self {
        let bits = (range.len() <= OFFSETS_MAX)
            .then(|| vec![0; usize::try_from(range.len().div_ceil(64)).unwrap_or_default()]);
        Self { range, bits }
    }

    /// False: it was there before.
    fn first_time(&mut self, offset: Offset) -> bool {
        let at = offset.checked_sub(self.range.start).and_then(|at| u64::try_from(at).ok());
        let (Some(at), Some(bits)) = (at, &mut self.bits) else { return true };
        let Some(word) = usize::try_from(at / 64).ok().and_then(|word| bits.get_mut(word)) else {
            return true;
        };
        let bit = 1 << (at % 64);
        let first = *word & bit == 0;
        *word |= bit;
        first
    }
}

/// Reads every row of a file: their number, and their offsets where a column has them.
///
/// `whole`: the file; its bytes were compared before. Tells at most one finding of each class.
pub fn rows<R: ChunkReader + 'static>(
    whole: R,
    record: &Record,
    file: &File,
    place: Place,
    offsets: &mut Offsets,
    out: &mut Findings,
) {
    let place = place.key(&file.key);
    let mut check = Check { file, last: None, rows: 0, disorder: None, twice: None };
    match read(whole, file.about.role, |batch| check.batch(batch, offsets)) {
        Ok(had_offsets) if !had_offsets => out.unseen(file.about.rows),
        Ok(_) => check.ends(),
        Err(why) => {
            let message = format!("file `{}` of record {}: {why}", file.key, record.seq);
            return out.add(Class::RowsDiffer, place, message);
        }
    }
    if check.rows != file.about.rows {
        let message = format!(
            "file `{}` of record {}: {} rows, {} required",
            file.key, record.seq, check.rows, file.about.rows
        );
        out.add(Class::RowsDiffer, place.clone(), message);
    }
    if let Some((at, message)) = check.disorder {
        let place = Place { offset: Some(at), ..place.clone() };
        out.add(Class::OrderBroken, place, format!("file `{}`: {message}", file.key));
    }
    if let Some(offset) = check.twice {
        let message = format!(
            "file `{}`: offset `{offset}` is in another row of commit {} too, one row required",
            file.key, record.seq
        );
        out.add(Class::OffsetTwice, Place { offset: Some(offset), ..place }, message);
    }
}

/// Where the row of an offset stands in a file; rows count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    At(u64),
    /// The file has offsets, and not this one.
    Absent,
    /// The file does not say.
    Unknown,
}

/// Finds an offset by the file's own column. Error: the file cannot be read.
pub fn find<R: ChunkReader + 'static>(whole: R, role: Role, offset: Offset) -> Result<Row, String> {
    let (mut at, mut found) = (0, None);
    let had = read(whole, role, |batch| {
        if let Some(Some(values)) = batch.offsets {
            let here = values.iter().position(|value| *value == offset);
            found = found.or(here.map(|row| at + row as u64));
        }
        at += batch.rows as u64;
    })?;
    Ok(match found {
        Some(row) => Row::At(row),
        None if had => Row::Absent,
        None => Row::Unknown,
    })
}

/// Rows, and their offsets: none where no column has them; inner none where some are null.
struct Batch<'a> {
    rows: usize,
    offsets: Option<Option<&'a [Offset]>>,
}

/// Decodes the offset column, or the first one where there is none. Returns whether there is one.
fn read<R: ChunkReader + 'static>(
    whole: R,
    role: Role,
    mut take: impl FnMut(Batch<'_>),
) -> Result<bool, String> {
    let say = |e: &dyn std::fmt::Display| format!("cannot be read: {e}");
    let builder = ParquetRecordBatchReaderBuilder::try_new(whole).map_err(|e| say(&e))?;
    let schema = builder.parquet_schema();
    let column = offset_column(role, builder.metadata());
    let is_offset = |c: &parquet::schema::types::ColumnDescriptor| {
        c.path().parts().len() == 1
            && Some(c.name()) == column.as_deref()
            && c.physical_type() == parquet::basic::Type::INT64
            && c.max_rep_level() == 0
    };
    let place = schema.columns().iter().position(|c| is_offset(c));
    let leaf = place.unwrap_or(0).min(schema.num_columns().saturating_sub(1));
    let mask = ProjectionMask::leaves(schema, [leaf]);
    let batches =
        builder.with_projection(mask).with_batch_size(BATCH).build().map_err(|e| say(&e))?;
    for batch in batches {
        let batch = batch.map_err(|e| say(&e))?;
        let values = place.is_some().then(|| {
            let array = batch.columns().first().and_then(|c| c.as_primitive_opt::<Int64Type>());
            array
                .filter(|array| arrow::array::Array::null_count(*array) == 0)
                .map(|array| &array.values()[..])
        });
        take(Batch { rows: batch.num_rows(), offsets: values });
    }
    Ok(place.is_some())
}

/// What the rows of one file came to so far.
struct Check<'a> {
    file: &'a File,
    last: Option<Offset>,
    rows: u64,
    disorder: Option<(Offset, String)>,
    twice: Option<Offset>,
}

impl Check<'_> {
    fn batch(&mut self, batch: Batch<'_>, offsets: &mut Offsets) {
        self.rows += batch.rows as u64;
        let Some(values) = batch.offsets else { return };
        let Some(values) = values else {
            let first = self.file.about.first;
            self.disorder.get_or_insert((first, "rows without an offset".to_owned()));
            return;
        };
        for &offset in values {
            self.one(offset, offsets);
        }
    }

    fn one(&mut self, offset: Offset, offsets: &mut Offsets) {
        let about = &self.file.about;
        let first_wrong = self.last.is_none() && offset != about.first;
        if self.disorder.is_none() && (first_wrong || offset > about.last) {
            let message = format!(
                "offset `{offset}`, offsets from `{}` to `{}` required",
                about.first, about.last
            );
            self.disorder = Some((offset, message));
        }
        if let Some(last) = self.last.filter(|last| *last > offset) {
            let message = format!("offset `{offset}` after `{last}`, rising offsets required");
            self.disorder.get_or_insert((offset, message));
        }
        self.last = Some(offset);
        if !offsets.first_time(offset) {
            self.twice.get_or_insert(offset);
        }
    }

    fn ends(&mut self) {
        let last = self.file.about.last;
        if let Some(found) = self.last.filter(|found| *found != last) {
            let message = format!("last offset `{found}`, `{last}` required");
            self.disorder.get_or_insert((found, message));
        }
    }
}
