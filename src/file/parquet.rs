//! One Parquet file under construction.
//!
//! Owns: the writer and its properties. Does not own: which rows come, when it closes (`rotation`).
//! Bounded by: one row group of [`ROW_GROUP_BYTES`], the bytes not taken yet, and at most
//! [`learn::SAMPLE`] rows (or [`WAITING_BYTES`]) that wait for their encodings to be chosen.

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_writer::ArrowWriterOptions;
use ::parquet::basic::{Compression as Codec, Encoding as PageEncoding, GzipLevel, ZstdLevel};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::schema::types::ColumnPath;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::buf::Writer;
use bytes::{BufMut, Bytes, BytesMut};

use super::gzip::GzipWriter;
use super::learn::{self, Choice, Learned};
use super::{COLUMNS, ENCODE, Encoding, FileStats, LEVEL, Provenance, footer, schema};
use crate::config::{Compression, Reader};
use crate::error::Fault;
use crate::evolve;
use crate::flaw::{Flaw, planted};

/// A row group closes at so many bytes as stored: its bytes can be uploaded then, and readers get
/// something to share out.
pub const ROW_GROUP_BYTES: usize = 32 << 20;
/// … or at so many rows.
pub const ROW_GROUP_ROWS: usize = 1_000_000;
/// Rows wait for their encodings to be chosen up to so many bytes.
pub const WAITING_BYTES: usize = 4 << 20;

/// What `created_by` says. Java's readers parse this form, and distrust the statistics of files where
/// they cannot.
pub const CREATED_BY: &str = concat!("forebay version ", env!("CARGO_PKG_VERSION"));

/// gzip level where none is given.
pub const GZIP_DEFAULT: u32 = 6;
/// zstd level where none is given.
pub const ZSTD_DEFAULT: u32 = 3;

pub(super) type Sink = Writer<BytesMut>;

/// One Parquet file under construction; its bytes are taken out as they are made.
pub struct ParquetFile {
    schema: SchemaRef,
    codec: Codec,
    native: bool,
    learned: Option<Learned>,
    state: State,
    rows: u64,
    taken: u64,
}

enum State {
    /// Rows whose encodings are not chosen yet, and the memory they hold.
    Waiting {
        rows: Vec<RecordBatch>,
        bytes: usize,
    },
    Open(Box<Out>),
}

/// The two ways to write: parquet's own, and the one that compresses gzip pages itself.
enum Out {
    Stock(ArrowWriter<Sink>),
    Gzip(GzipWriter),
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetFile")
            .field("rows", &self.rows)
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

impl ParquetFile {
    /// Starts a file with these columns; encodings are chosen from its first rows.
    ///
    /// Errors: [`COLUMNS`] for a schema that Parquet cannot hold, [`LEVEL`].
    pub fn new(schema: SchemaRef, encoding: &Encoding) -> Result<Self, Fault> {
        schema::check(&schema)?;
        let codec = codec(encoding)?;
        let native = encoding.readers.contains(&Reader::Native);
        let state = State::Waiting { rows: Vec::new(), bytes: 0 };
        Ok(Self { schema, codec, native, learned: None, state, rows: 0, taken: 0 })
    }

    /// As [`ParquetFile::new`], with the encodings that an earlier file of the same columns chose.
    /// A hint from other columns is not used.
    pub fn with_learned(
        schema: SchemaRef,
        encoding: &Encoding,
        learned: &Learned,
    ) -> Result<Self, Fault> {
        let mut file = Self::new(schema, encoding)?;
        if learned.fits(&file.schema) {
            file.learned = Some(learned.clone());
            file.open()?;
        }
        Ok(file)
    }

    /// The file's columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What this file's rows taught: give it to the next file of the same columns. `None` while there
    /// are fewer than [`learn::SAMPLE`] rows.
    pub fn learned(&self) -> Option<&Learned> {
        self.learned.as_ref()
    }

    /// Encodes rows; columns as in the schema. After an error the file is lost.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), Fault> {
        let theirs = rows.schema_ref();
        if !std::sync::Arc::ptr_eq(theirs, &self.schema)
            && !evolve::same_columns(theirs, &self.schema)
        {
            return Err(Fault::new(
                &ENCODE,
                "rows of other columns than the file's: the same columns required",
            ));
        }
        self.rows += rows.num_rows() as u64;
        match &mut self.state {
            State::Open(writer) => writer.write(rows).map_err(|e| lost(&e)),
            State::Waiting { rows: waiting, bytes } => {
                waiting.push(rows.clone());
                *bytes += rows.get_array_memory_size();
                if *bytes < WAITING_BYTES && self.rows < learn::SAMPLE as u64 {
                    return Ok(());
                }
                self.open()
            }
        }
    }

    /// Chooses encodings, opens the writer, and encodes what waited.
    fn open(&mut self) -> Result<(), Fault> {
        let State::Waiting { rows, .. } = &mut self.state else { return Ok(()) };
        let waiting = std::mem::take(rows);
        let chosen = match &self.learned {
            Some(learned) => learned.clone(),
            None => Learned::from_rows(&self.schema, &waiting),
        };
        let mut writer = Box::new(Out::open(&self.schema, self.codec, self.native, &chosen)?);
        // A short file waits as a whole: it is one row group, the last.
        let kept = if planted(Flaw::LastRowGroupDropped) { 0 } else { waiting.len() };
        for batch in waiting.iter().take(kept) {
            writer.write(batch).map_err(|e| lost(&e))?;
        }
        if self.rows >= learn::SAMPLE as u64 {
            self.learned = Some(chosen);
        }
        self.state = State::Open(writer);
        Ok(())
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the file if it were closed now, about: written plus in progress, as stored.
    pub fn size(&self) -> u64 {
        match &self.state {
            // A guess: the event of the tests takes 195 bytes a row as columns and 46 in a gzip file.
            State::Waiting { bytes, .. } => *bytes as u64 / 4,
            State::Open(writer) => (writer.written() + writer.in_progress()) as u64,
        }
    }

    /// Memory held by encoders, by rows that wait, and by bytes not yet taken.
    pub fn memory(&self) -> usize {
        match &self.state {
            State::Waiting { bytes, .. } => *bytes,
            State::Open(writer) => writer.memory(),
        }
    }

    /// The bytes made so far if they are at least `min`, exactly `min` of them; with `min` 0 all there
    /// are, if any.
    pub fn take_part(&mut self, min: usize) -> Option<Bytes> {
        let State::Open(writer) = &mut self.state else { return None };
        let made = writer.sink().get_mut();
        let part = match min {
            _ if made.is_empty() || made.len() < min => return None,
            0 => made.split(),
            min => made.split_to(min),
        };
        self.taken += part.len() as u64;
        Some(part.freeze())
    }

    /// Closes the file with its footer; gives the bytes not yet taken.
    pub fn finish(mut self, provenance: &Provenance) -> Result<(Bytes, FileStats), Fault> {
        self.open()?;
        let State::Open(mut writer) = self.state else {
            return Err(Fault::new(&ENCODE, "file not open at its end: an open file required"));
        };
        writer.finish(footer::pairs(provenance, self.rows, &self.schema)).map_err(|e| lost(&e))?;
        let rest = writer.sink().get_mut().split().freeze();
        let stats = FileStats { rows: self.rows, bytes: self.taken + rest.len() as u64 };
        Ok((rest, stats))
    }
}

impl Out {
    fn open(
        schema: &SchemaRef,
        codec: Codec,
        native: bool,
        learned: &Learned,
    ) -> Result<Self, Fault> {
        // Without the Arrow schema in the footer no dictionary type and no zone name reaches a reader,
        // and the same rows give the same bytes whatever wrote them.
        let inside = if matches!(codec, Codec::GZIP(_)) { Codec::UNCOMPRESSED } else { codec };
        let options = ArrowWriterOptions::new()
            .with_skip_arrow_metadata(!native)
            .with_properties(properties(schema, inside, learned)?);
        let sink = BytesMut::new().writer();
        match codec {
            Codec::GZIP(level) => {
                GzipWriter::new(sink, schema.clone(), options, level.compression_level())
                    .map(Out::Gzip)
            }
            _ => ArrowWriter::try_new_with_options(sink, schema.clone(), options).map(Out::Stock),
        }
        .map_err(|e| refused(&e))
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        match self {
            Out::Stock(writer) => writer.write(rows),
            Out::Gzip(writer) => writer.write(rows),
        }
    }

    fn written(&self) -> usize {
        match self {
            Out::Stock(writer) => writer.bytes_written(),
            Out::Gzip(writer) => writer.bytes_written(),
        }
    }

    fn in_progress(&self) -> usize {
        match self {
            Out::Stock(writer) => writer.in_progress_size(),
            Out::Gzip(writer) => writer.in_progress_size(),
        }
    }

    fn memory(&self) -> usize {
        match self {
            Out::Stock(writer) => writer.memory_size() + writer.inner().get_ref().capacity(),
            Out::Gzip(writer) => writer.memory_size() + writer.sink().get_ref().capacity(),
        }
    }

    fn sink(&mut self) -> &mut Sink {
        match self {
            Out::Stock(writer) => writer.inner_mut(),
            Out::Gzip(writer) => writer.sink_mut(),
        }
    }

    fn finish(&mut self, pairs: Vec<KeyValue>) -> Result<(), ParquetError> {
        match self {
            Out::Stock(writer) => {
                pairs.into_iter().for_each(|pair| writer.append_key_value_metadata(pair));
                writer.finish().map(drop)
            }
            Out::Gzip(writer) => {
                pairs.into_iter().for_each(|pair| writer.append_key_value_metadata(pair));
                writer.finish()
            }
        }
    }
}

fn properties(
    schema: &SchemaRef,
    codec: Codec,
    learned: &Learned,
) -> Result<WriterProperties, Fault> {
    let descriptor =
        ::parquet::arrow::ArrowSchemaConverter::new().convert(schema).map_err(|e| refused(&e))?;
    let mut builder = WriterProperties::builder()
        .set_compression(codec)
        .set_created_by(CREATED_BY.to_owned())
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES));
    for (column, choice) in descriptor.columns().iter().zip(learned.choices()) {
        let path: ColumnPath = column.path().clone();
        builder = match choice {
            Choice::Dictionary => builder,
            Choice::Plain => builder.set_column_dictionary_enabled(path, false),
            Choice::Delta => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, PageEncoding::DELTA_BINARY_PACKED),
        };
    }
    Ok(builder.build())
}

fn codec(encoding: &Encoding) -> Result<Codec, Fault> {
    let level = |default| encoding.level.unwrap_or(default);
    let refuse = |found: &str, required: &str| {
        Fault::new(&LEVEL, format!("compression level of {found}: {required} required"))
    };
    match encoding.compression {
        Compression::Gzip => GzipLevel::try_new(level(GZIP_DEFAULT))
            .ok()
            .filter(|_| level(GZIP_DEFAULT) <= 9)
            .map(Codec::GZIP)
            .ok_or_else(|| refuse(&format!("gzip: `{}` found", level(0)), "0 to 9")),
        Compression::Zstd => i32::try_from(level(ZSTD_DEFAULT))
            .ok()
            .filter(|level| (1..=22).contains(level))
            .and_then(|level| ZstdLevel::try_new(level).ok())
            .map(Codec::ZSTD)
            .ok_or_else(|| refuse(&format!("zstd: `{}` found", level(0)), "1 to 22")),
        other if encoding.level.is_some() => {
            let name = format!("{other:?}").to_lowercase();
            Err(refuse(&format!("{name}: `{}` found", level(0)), "none"))
        }
        Compression::Snappy => Ok(Codec::SNAPPY),
        Compression::Lz4 => Ok(Codec::LZ4_RAW),
        Compression::None => Ok(Codec::UNCOMPRESSED),
    }
}

#[cold]
fn refused(error: &ParquetError) -> Fault {
    Fault::new(&COLUMNS, format!("columns: {error}; columns that Parquet can hold required"))
}

#[cold]
fn lost(error: &ParquetError) -> Fault {
    Fault::new(
        &ENCODE,
        format!("rows of a file: {error}; the file is dropped and its records read again"),
    )
}
