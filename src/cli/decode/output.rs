//! Rows and rejects → lines on standard output, or a Parquet file with the rejects on standard error.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;

use super::{Args, COLUMNS, io};
use crate::cli::decoding::{Decoded, Outcome};
use crate::cli::{LOCAL, Output, rows, say};
use crate::clock;
use crate::config::Pipeline;
use crate::error::Fault;
use crate::evolve;
use crate::file::{self, Encoding, ParquetFile, Provenance};
use crate::partition::Key;
use crate::position::{Offset, TopicPartition};

/// Bytes of a Parquet file that are worth a write.
const PART: usize = 1 << 20;

/// Where a record stood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) n: i64,
    pub(super) offset: Offset,
}

/// Where the results go.
pub(super) struct Sink {
    to: To,
    output: Output,
    /// Whether rows are shown with their keys.
    keys: bool,
    rejects: u64,
    rows: u64,
    skipped: u64,
    line: Vec<u8>,
}

enum To {
    Lines(BufWriter<std::io::Stdout>),
    Parquet(Box<Parquet>),
}

impl Sink {
    pub(super) fn open(args: &Args, pipeline: &Pipeline, keys: bool) -> Result<Self, Fault> {
        let to = match &args.out {
            Some(path) => To::Parquet(Box::new(Parquet::create(path, pipeline)?)),
            None => To::Lines(BufWriter::with_capacity(1 << 16, std::io::stdout())),
        };
        Ok(Self {
            to,
            output: args.output,
            keys,
            rejects: 0,
            rows: 0,
            skipped: 0,
            line: Vec::new(),
        })
    }

    /// Writes what became of some records, in their order. False: nobody reads any more.
    pub(super) fn write(
        &mut self,
        decoded: Decoded,
        places: &[Place],
        from: &TopicPartition,
    ) -> Result<bool, Fault> {
        if let To::Parquet(file) = &mut self.to {
            file.write(&decoded, places, from)?;
        }
        let writers: Vec<rows::Rows<'_>> =
            decoded.batches.iter().map(|batch| rows::Rows::new(&batch.rows)).collect();
        for (outcome, place) in decoded.outcomes.iter().zip(places) {
            self.line.clear();
            match outcome {
                Outcome::Row { batch, row, key } => {
                    self.rows += 1;
                    if matches!(self.to, To::Parquet(_)) {
                        continue;
                    }
                    self.row(place.n, key, &writers[*batch], *row);
                }
                Outcome::Reject { code, message } => {
                    self.rejects += 1;
                    self.reject(place.n, code, message);
                }
                Outcome::Skipped => {
                    self.skipped += 1;
                    self.skip(place.n);
                }
            }
            self.line.push(b'\n');
            let written = match &mut self.to {
                To::Lines(out) => out.write_all(&self.line),
                To::Parquet(_) => std::io::stderr().write_all(&self.line),
            };
            if !goes_on(written)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn row(&mut self, n: i64, key: &Key, row: &rows::Rows<'_>, index: usize) {
        let key = self.keys.then(|| below_topic(key));
        let line = &mut self.line;
        // A vector takes everything.
        match (self.output, key) {
            (Output::Json, None) => drop(write!(line, "{{\"n\":{n},\"row\":")),
            (Output::Json, Some(key)) => {
                let _ = write!(line, "{{\"n\":{n},\"key\":");
                rows::quote(key, line);
                line.extend_from_slice(b",\"row\":");
            }
            (Output::Text, key) => drop(write!(line, "{n} {} ", key.unwrap_or("row"))),
        }
        row.write(index, line);
        if self.output == Output::Json {
            line.push(b'}');
        }
    }

    fn reject(&mut self, n: i64, code: &str, message: &str) {
        let line = &mut self.line;
        match self.output {
            Output::Text => drop(write!(line, "{n} reject {code} {message}")),
            Output::Json => {
                let _ = write!(line, "{{\"n\":{n},\"reject\":{{\"code\":\"{code}\",\"message\":");
                rows::quote(message, line);
                line.extend_from_slice(b"}}");
            }
        }
    }

    fn skip(&mut self, n: i64) {
        let _ = match self.output {
            Output::Text => write!(self.line, "{n} skipped tombstone"),
            Output::Json => write!(self.line, "{{\"n\":{n},\"skipped\":\"tombstone\"}}"),
        };
    }

    /// Shows what is there before more is waited for.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        match &mut self.to {
            To::Lines(out) => goes_on(out.flush()).map(drop),
            To::Parquet(_) => Ok(()),
        }
    }

    /// Ends the output; gives the number of rejects.
    pub(super) fn finish(self) -> Result<u64, Fault> {
        let Self { to, output, rejects, rows, skipped, .. } = self;
        if let To::Parquet(file) = to {
            let path = file.path.clone();
            let bytes = file.finish()?;
            let path = path.display();
            match (output, bytes) {
                (Output::Json, bytes) => say(serde_json::json!({
                    "file": bytes.map(|_| path.to_string()), "bytes": bytes.unwrap_or(0),
                    "rows": rows, "rejects": rejects, "skipped": skipped,
                })),
                (Output::Text, Some(bytes)) => say(format_args!(
                    "{path}: {rows} rows, {bytes} bytes; {rejects} rejects, {skipped} skipped"
                )),
                (Output::Text, None) => {
                    say(format_args!("no rows, no file; {rejects} rejects, {skipped} skipped"));
                }
            }
        }
        Ok(rejects)
    }
}

/// A reader that is gone ends the work, quietly.
fn goes_on(written: std::io::Result<()>) -> Result<bool, Fault> {
    match written {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Fault::new(&LOCAL, format!("output: {e}, one that can be written required"))),
    }
}

/// The key without the topic's folder.
fn below_topic(key: &Key) -> &str {
    key.path.split_once('/').map_or("", |(_, below)| below)
}

/// One Parquet file, under a hidden name until it is whole.
struct Parquet {
    path: PathBuf,
    hidden: PathBuf,
    out: File,
    encoding: Encoding,
    pipeline: String,
    open: Option<(ParquetFile, Provenance)>,
}

impl Parquet {
    fn create(path: &Path, pipeline: &Pipeline) -> Result<Self, Fault> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let hidden = path.with_file_name(format!(".{name}.{}", clock::fresh_id()));
        let out = File::create_new(&hidden).map_err(|e| io(path, &e, "a place for a new file"))?;
        let encoding = Encoding {
            compression: pipeline.sink.compression,
            level: pipeline.sink.compression_level,
            readers: pipeline.readers.clone(),
        };
        let pipeline = pipeline.name.clone();
        Ok(Self { path: path.to_owned(), hidden, out, encoding, pipeline, open: None })
    }

    fn write(
        &mut self,
        decoded: &Decoded,
        places: &[Place],
        from: &TopicPartition,
    ) -> Result<(), Fault> {
        let at: Vec<(usize, usize, Place)> = decoded
            .outcomes
            .iter()
            .zip(places)
            .filter_map(|(outcome, place)| match outcome {
                Outcome::Row { batch, row, .. } => Some((*batch, *row, *place)),
                Outcome::Reject { .. } | Outcome::Skipped => None,
            })
            .collect();
        let Some((first, _, place)) = at.first() else { return Ok(()) };
        let first = &decoded.batches[*first];
        if self.open.is_none() {
            let file = ParquetFile::new(first.rows.schema(), &self.encoding)?;
            let provenance = Provenance {
                pipeline: self.pipeline.clone(),
                topic_partition: from.clone(),
                first: place.offset,
                last: place.offset,
                schema_ids: BTreeSet::new(),
                record_name: first.record_name.clone(),
                target: None,
                changes: std::collections::BTreeMap::new(),
                role: "data",
                partition_values: Vec::new(),
                commit: String::new(),
            };
            self.open = Some((file, provenance));
        }
        let Some((file, provenance)) = &mut self.open else { return Ok(()) };
        if provenance.topic_partition != *from {
            // Of several: offsets alone say nothing then.
            provenance.topic_partition = TopicPartition::new("", -1);
        }
        for (batch, _, place) in &at {
            let schema = decoded.batches[*batch].rows.schema_ref();
            if !evolve::same_columns(schema, file.schema()) {
                let text = format!(
                    "record {} of `{}`: other columns than those of the file, the same required",
                    place.n, decoded.batches[*batch].record_name
                );
                return Err(Fault::new(&COLUMNS, text));
            }
            provenance.first = provenance.first.min(place.offset);
            provenance.last = provenance.last.max(place.offset);
        }
        let ids = decoded.batches.iter().map(|batch| batch.schema_id);
        provenance.schema_ids.extend(ids.filter(|id| *id != 0));
        file.write(&in_order(decoded, &at)?)?;
        while let Some(part) = file.take_part(PART) {
            self.out.write_all(&part).map_err(|e| io(&self.path, &e, "room for a file"))?;
        }
        Ok(())
    }

    /// Bytes of the file; none where there was no row, and so no file.
    fn finish(mut self: Box<Self>) -> Result<Option<u64>, Fault> {
        let Some((file, provenance)) = self.open.take() else { return Ok(None) };
        let (rest, stats) = file.finish(&provenance)?;
        let required = "room for a file";
        self.out.write_all(&rest).map_err(|e| io(&self.path, &e, required))?;
        self.out.sync_all().map_err(|e| io(&self.path, &e, required))?;
        std::fs::rename(&self.hidden, &self.path)
            .map_err(|e| io(&self.path, &e, "a place for a file"))?;
        Ok(Some(stats.bytes))
    }
}

impl Drop for Parquet {
    fn drop(&mut self) {
        // Gone already where the file was made.
        let _ = std::fs::remove_file(&self.hidden);
    }
}

/// The rows as the records came, whichever decoder made them.
fn in_order(decoded: &Decoded, at: &[(usize, usize, Place)]) -> Result<RecordBatch, Fault> {
    if let [only] = decoded.batches.as_slice()
        && only.rows.num_rows() == at.len()
    {
        return Ok(only.rows.clone());
    }
    let batches: Vec<&RecordBatch> = decoded.batches.iter().map(|batch| &batch.rows).collect();
    let rows: Vec<(usize, usize)> = at.iter().map(|(batch, row, _)| (*batch, *row)).collect();
    interleave_record_batch(&batches, &rows)
        .map_err(|e| Fault::new(&file::ENCODE, format!("rows of several schemas: {e}")))
}
