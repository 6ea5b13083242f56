//! gzip pages by libdeflate, beneath parquet's own encoders.
//!
//! Owns: a page store that compresses each finished page, and a writer that puts such pages into row
//! groups. Does not own: encoding (parquet's column writers do it, told to leave pages uncompressed).
//! Bounded by: the compressed pages of one row group, and the page each column is at.
//!
//! Why: gzip is most of the time it takes to write a file, parquet's codecs cannot be replaced, and
//! libdeflate is the faster maker of the same format (`benches/encode.rs` sets it against parquet's own
//! writer). A page is one gzip member either way: no reader can tell.
//!
//! How: parquet hands a page store the header and the body of each page, in turn. The header's third
//! field is the compressed size; it is the only thing that changes. What does not look as it should is an
//! error, never a guess.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_writer::{
    ArrowColumnWriter, ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves,
};
use ::parquet::basic::{Compression as Codec, GzipLevel};
use ::parquet::column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory};
use ::parquet::column::writer::ColumnCloseResult;
use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::metadata::{KeyValue, OffsetIndexBuilder};
use ::parquet::file::writer::SerializedFileWriter;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};

use super::parquet::{ROW_GROUP_BYTES, ROW_GROUP_ROWS, Sink};

/// Rows go to the encoders in pieces of about so many bytes, so that a row group ends near its limit.
const PIECE_BYTES: usize = 4 << 20;

/// A Parquet file whose pages are compressed here.
pub(super) struct GzipWriter {
    file: SerializedFileWriter<Sink>,
    factory: ArrowRowGroupWriterFactory,
    shelves: Arc<Shelves>,
    schema: SchemaRef,
    group: Option<Group>,
}

/// The row group that is being written.
struct Group {
    columns: Vec<(ArrowColumnWriter, Arc<Mutex<Shelf>>)>,
    rows: usize,
}

impl GzipWriter {
    /// `options` must leave pages uncompressed; `level` is 0 to 9.
    pub(super) fn new(
        sink: Sink,
        schema: SchemaRef,
        options: ArrowWriterOptions,
        level: u32,
    ) -> Result<Self> {
        let shelves = Arc::new(Shelves { level, made: Mutex::default() });
        let writer = ArrowWriter::try_new_with_options(sink, schema.clone(), options)?;
        let (file, factory) = writer.into_serialized_writer()?;
        let factory = factory.with_page_store_factory(shelves.clone());
        Ok(Self { file, factory, shelves, schema, group: None })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<()> {
        let row_bytes = (rows.get_array_memory_size() / rows.num_rows().max(1)).max(1);
        let piece = (PIECE_BYTES / row_bytes).max(1);
        let schema = self.schema.clone();
        let mut done = 0;
        while done < rows.num_rows() {
            let group = self.group()?;
            let take = piece
                .min(rows.num_rows() - done)
                .min(ROW_GROUP_ROWS.saturating_sub(group.rows).max(1));
            group.write(&schema, &rows.slice(done, take))?;
            done += take;
            if self.group()?.rows >= ROW_GROUP_ROWS || self.in_progress_size() >= ROW_GROUP_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// The open row group; opens one if there is none.
    fn group(&mut self) -> Result<&mut Group> {
        if self.group.is_none() {
            let index = self.file.flushed_row_groups().len();
            let writers = self.factory.create_column_writers(index)?;
            let shelves = std::mem::take(&mut *lock(&self.shelves.made));
            if writers.len() != shelves.len() {
                return Err(odd("page stores and columns differ in number"));
            }
            self.group =
                Some(Group { columns: writers.into_iter().zip(shelves).collect(), rows: 0 });
        }
        self.group.as_mut().ok_or_else(|| odd("no row group"))
    }

    /// Ends the row group: all its bytes are in the sink then.
    fn flush(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let mut into = self.file.next_row_group()?;
        for (writer, shelf) in group.columns {
            let close = writer.close()?.close().clone();
            let pages = std::mem::take(&mut lock(&shelf).pages);
            let (chunk, close) = assemble(pages, close, self.shelves.level)?;
            into.append_column(&chunk, close)?;
        }
        into.close()?;
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        self.flush()?;
        self.file.finish().map(drop)
    }

    pub(super) fn append_key_value_metadata(&mut self, pair: KeyValue) {
        self.file.append_key_value_metadata(pair);
    }

    pub(super) fn bytes_written(&self) -> usize {
        self.file.bytes_written()
    }

    /// Bytes of the open row group as stored: what is compressed, and a guess at what is not yet.
    pub(super) fn in_progress_size(&self) -> usize {
        let Some(group) = &self.group else { return 0 };
        let (mut encoded, mut raw, mut stored) = (0, 0, 0);
        for (writer, shelf) in &group.columns {
            encoded += writer.get_estimated_total_bytes();
            let shelf = lock(shelf);
            raw += shelf.raw;
            stored += shelf.stored;
        }
        let open = encoded.saturating_sub(raw);
        stored
            + if raw == 0 { open / 2 } else { (open as f64 * stored as f64 / raw as f64) as usize }
    }

    pub(super) fn memory_size(&self) -> usize {
        self.group
            .iter()
            .flat_map(|group| &group.columns)
            .map(|(writer, _)| writer.memory_size())
            .sum()
    }

    pub(super) fn sink(&self) -> &Sink {
        self.file.inner()
    }

    pub(super) fn sink_mut(&mut self) -> &mut Sink {
        self.file.inner_mut()
    }
}

impl Group {
    fn write(&mut self, schema: &SchemaRef, rows: &RecordBatch) -> Result<()> {
        let mut columns = self.columns.iter_mut();
        for (field, array) in schema.fields().iter().zip(rows.columns()) {
            for leaf in compute_leaves(field, array)? {
                let (writer, _) = columns.next().ok_or_else(|| odd("more leaves than columns"))?;
                writer.write(&leaf)?;
            }
        }
        self.rows += rows.num_rows();
        Ok(())
    }
}

/// The bytes of a column chunk, dictionary first, and what its footer says of them.
fn assemble(
    pages: Vec<Page>,
    mut close: ColumnCloseResult,
    level: u32,
) -> Result<(Bytes, ColumnCloseResult)> {
    let size: usize = pages.iter().map(Page::stored).sum();
    let raw: usize = pages.iter().map(|page| page.header.len() + page.raw).sum();
    let (dictionary, data): (Vec<Page>, Vec<Page>) =
        pages.into_iter().partition(|page| page.dictionary);
    let dictionary_bytes: usize = dictionary.iter().map(Page::stored).sum();
    if let Some(index) = close.offset_index.take() {
        let old = index.page_locations();
        if old.len() != data.len() {
            return Err(odd("offset index and pages differ in number"));
        }
        let mut builder = OffsetIndexBuilder::new();
        let mut offset = dictionary_bytes;
        for (i, page) in data.iter().enumerate() {
            let next =
                old.get(i + 1).map_or(close.rows_written as i64, |next| next.first_row_index);
            builder.append_row_count(next - old[i].first_row_index);
            let stored = i32::try_from(page.stored()).map_err(|_| odd("page over 2 GiB"))?;
            builder.append_offset_and_size(offset as i64, stored);
            builder.append_unencoded_byte_array_data_bytes(
                index.unencoded_byte_array_data_bytes().and_then(|b| b.get(i).copied()),
            );
            offset += page.stored();
        }
        close.offset_index = Some(builder.build());
    }
    close.metadata = close
        .metadata
        .into_builder()
        .set_compression(Codec::GZIP(GzipLevel::try_new(level)?))
        .set_total_compressed_size(size as i64)
        .set_total_uncompressed_size(raw as i64)
        .set_dictionary_page_offset((!dictionary.is_empty()).then_some(0))
        .set_data_page_offset(dictionary_bytes as i64)
        .build()?;
    close.bytes_written = size as u64;
    let mut chunk = Vec::with_capacity(size);
    for page in dictionary.into_iter().chain(data) {
        chunk.extend_from_slice(&page.header);
        chunk.extend_from_slice(&page.body);
    }
    Ok((chunk.into(), close))
}

/// Makes a shelf for each column of a row group, in order.
#[derive(Debug)]
struct Shelves {
    level: u32,
    made: Mutex<Vec<Arc<Mutex<Shelf>>>>,
}

/// The finished pages of one column chunk.
#[derive(Debug, Default)]
struct Shelf {
    pages: Vec<Page>,
    /// A header whose body has not come.
    header: Option<Bytes>,
    /// Bytes of headers and bodies that came, and that are kept.
    raw: usize,
    stored: usize,
}

#[derive(Debug)]
struct Page {
    dictionary: bool,
    header: Vec<u8>,
    /// Compressed.
    body: Vec<u8>,
    /// Bytes of the body before.
    raw: usize,
}

impl Page {
    fn stored(&self) -> usize {
        self.header.len() + self.body.len()
    }
}

impl PageStoreFactory for Shelves {
    fn create(&self, _: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        let shelf = Arc::new(Mutex::new(Shelf::default()));
        lock(&self.made).push(shelf.clone());
        Ok(Box::new(Store { level: self.level, shelf, puts: 0 }))
    }
}

struct Store {
    level: u32,
    shelf: Arc<Mutex<Shelf>>,
    puts: u64,
}

impl PageStore for Store {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        let mut shelf = lock(&self.shelf);
        shelf.raw += value.len();
        match shelf.header.take() {
            None => shelf.header = Some(value),
            Some(header) => {
                let page = compress(&header, &value, self.level)?;
                shelf.stored += page.stored();
                shelf.pages.push(page);
            }
        }
        self.puts += 1;
        Ok(PageKey::new(self.puts))
    }

    /// Pages leave by the shelf.
    fn take(&mut self, _: PageKey) -> Result<Bytes> {
        Err(odd("page asked for by another way"))
    }

    fn memory_size(&self) -> usize {
        lock(&self.shelf).stored
    }
}

thread_local! {
    /// A compressor is large and is used by one page at a time.
    static COMPRESSOR: RefCell<Option<(u32, Compressor)>> = const { RefCell::new(None) };
}

fn compress(header: &[u8], body: &[u8], level: u32) -> Result<Page> {
    let body_out = COMPRESSOR.with_borrow_mut(|kept| -> Result<Vec<u8>> {
        if kept.as_ref().is_none_or(|(is, _)| *is != level) {
            let wanted =
                CompressionLvl::new(level as i32).map_err(|_| odd("gzip level unknown"))?;
            *kept = Some((level, Compressor::new(wanted)));
        }
        let (_, compressor) = kept.as_mut().ok_or_else(|| odd("no compressor"))?;
        let mut out = vec![0; compressor.gzip_compress_bound(body.len())];
        let size =
            compressor.gzip_compress(body, &mut out).map_err(|_| odd("page over its bound"))?;
        out.truncate(size);
        out.shrink_to_fit();
        Ok(out)
    })?;
    let (dictionary, header) = resize(header, body.len(), body_out.len())
        .ok_or_else(|| odd("page header of another form"))?;
    Ok(Page { dictionary, header, body: body_out, raw: body.len() })
}

/// A page header with another compressed size, and whether the page is a dictionary. `None` for a header
/// that does not begin with type, size and size of an uncompressed page.
///
/// Thrift's compact protocol (parquet.thrift, `PageHeader`): each of the first three fields is the byte
/// `0x15` (next field id, i32) and a zigzag varint.
fn resize(header: &[u8], raw: usize, stored: usize) -> Option<(bool, Vec<u8>)> {
    const DICTIONARY: u64 = 2;
    let (kind, rest) = field(header)?;
    let (uncompressed, rest) = field(rest)?;
    let before = header.len() - rest.len();
    let (compressed, rest) = field(rest)?;
    if uncompressed != raw as u64 || compressed != raw as u64 {
        return None;
    }
    let mut out = Vec::with_capacity(header.len() + 5);
    out.extend_from_slice(&header[..before]);
    out.push(0x15);
    let mut zigzag = (u32::try_from(stored).ok()? as u64) << 1;
    while zigzag >= 0x80 {
        out.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    out.push(zigzag as u8);
    out.extend_from_slice(rest);
    Some((kind == DICTIONARY, out))
}

/// One i32 field that is 0 or more, and what follows it.
fn field(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = bytes.strip_prefix(&[0x15])?;
    let mut value = 0u64;
    for shift in (0..35).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (value & 1 == 0).then_some((value >> 1, rest));
        }
    }
    None
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cold]
fn odd(what: &str) -> ParquetError {
    ParquetError::General(format!("gzip pages: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_keeps_all_but_its_compressed_size() {
        // type 0, 300 bytes uncompressed and compressed, then fields that are not looked at.
        let header = [0x15, 0, 0x15, 0xd8, 0x04, 0x15, 0xd8, 0x04, 0x2c, 0x15, 9, 0];
        let expected = [0x15, 0, 0x15, 0xd8, 0x04, 0x15, 0x14, 0x2c, 0x15, 9, 0];
        assert_eq!(resize(&header, 300, 10), Some((false, expected.to_vec())));
    }

    #[test]
    fn header_of_another_form_is_refused() {
        for header in [
            &[][..],
            &[0x15],
            &[0x15, 0, 0x15, 2],
            &[0x15, 0, 0x15, 2, 0x15, 4],
            &[0x15, 0, 0x25, 2, 0x15, 2],
            &[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(resize(header, 1, 1), None, "{header:?}");
        }
    }
}
