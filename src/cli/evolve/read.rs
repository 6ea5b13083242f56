//! Reading everything back: every file, row by row, beside the record that each row is of.
//!
//! Owns: what does not hold, and what the files look like.
//! Bounded by: one file at a time; [`TOLD`] findings of each kind are kept, all are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Fields, Int64Type, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::expect::{self, Columns, Difference, Notes, Rows, Rules};
use super::form::Form;
use super::history::Subject;
use crate::config::{EvolutionMode, SinkUrl};
use crate::error::Fault;
use crate::file::Provenance;
use crate::position::TopicPartition;
use crate::store::Store;

/// Findings of one kind that are told one by one.
pub const TOLD: u64 = 5;
/// Column of offsets.
const OFFSET: &str = "_offset";

/// A record as it was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Places in the list of subjects, and of its versions.
    pub subject: usize,
    pub version: usize,
    pub body: Vec<u8>,
}

/// What was sent, by Kafka partition and offset, which counts from 0.
pub type Log = BTreeMap<TopicPartition, Vec<Sent>>;

/// Something that does not hold.
#[derive(Debug, Clone, Default)]
pub struct Finding {
    /// `value`, `missing`, `twice`, `reject`, `footer`, `file`, `audit`, `stopped`
    pub kind: &'static str,
    pub subject: String,
    /// From 1; 0 where it is about none.
    pub version: usize,
    pub partition: String,
    pub offset: Option<i64>,
    pub path: String,
    pub found: String,
    pub expected: String,
    pub file: String,
}

/// Findings by kind: how many, and the first ones.
#[derive(Debug, Default)]
pub struct Findings {
    pub all: BTreeMap<&'static str, u64>,
    pub told: Vec<Finding>,
}

impl Findings {
    pub fn add(&mut self, finding: Finding) {
        let count = self.all.entry(finding.kind).or_default();
        *count += 1;
        if *count <= TOLD {
            self.told.push(finding);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// Files of one set of columns.
#[derive(Debug)]
pub struct Shape {
    pub subject: usize,
    pub columns: SchemaRef,
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
    /// Places of the versions whose rows are in them.
    pub versions: BTreeSet<usize>,
    /// Whose columns they are: none for the writers' own, 0 for those of all versions or of a file.
    pub target: Option<u32>,
}

/// What one version became.
#[derive(Debug, Clone, Default)]
pub struct Fate {
    pub records: u64,
    pub rows: u64,
    /// By code.
    pub rejects: BTreeMap<String, u64>,
    /// Rows that have their own columns though the mode asks for a target's.
    pub unprojected: u64,
}

/// Everything read back.
#[derive(Debug, Default)]
pub struct Seen {
    pub findings: Findings,
    pub shapes: Vec<Shape>,
    /// By subject and version.
    pub fates: BTreeMap<(usize, usize), Fate>,
    pub files: u64,
    pub bytes: u64,
    pub cells: u64,
    /// Where what is expected of each row is written down.
    pub book: Option<Book>,
    seen: BTreeMap<TopicPartition, Vec<u32>>,
}

/// What was to be.
pub struct Expected<'a> {
    pub subjects: &'a [Subject],
    pub log: &'a Log,
    pub mode: EvolutionMode,
    /// Version that is pinned; none: `fixed` by a schema file.
    pub pin: Option<u32>,
    /// The schema file that is pinned.
    pub file: Option<Form>,
    /// The newest versions were registered while records flowed: rows may have the columns of before or after.
    pub either: bool,
    /// Offsets from which on the newest versions were registered, by Kafka partition.
    pub boundary: BTreeMap<TopicPartition, i64>,
    pub rules: Rules,
    /// Cells are compared: not where another dialect names the columns.
    pub values: bool,
}

/// Reads every file below the folders of the topics, and of the rejects.
pub async fn everything(
    store: &Store,
    sink: &SinkUrl,
    prefixes: &[String],
    expected: &Expected<'_>,
    book: Option<Book>,
) -> Result<Seen, Fault> {
    let mut seen = Seen { book, ..Seen::of(expected) };
    for prefix in prefixes {
        let mut next: Option<String> = None;
        loop {
            let page = store.list(prefix, next.as_deref()).await?;
            for entry in page.entries.iter().filter(|e| e.key.ends_with(".parquet")) {
                let Some(bytes) = store.get(&entry.key).await? else { continue };
                let name = match sink {
                    SinkUrl::Local(root) => root.join(&entry.key).display().to_string(),
                    SinkUrl::S3 { .. } => format!("{sink}/{}", entry.key),
                };
                seen.bytes += bytes.len() as u64;
                seen.file(&name, bytes, expected);
            }
            next = page.next;
            if next.is_none() {
                break;
            }
        }
    }
    seen.count(expected);
    Ok(seen)
}

impl Seen {
    /// Nothing yet.
    pub fn of(expected: &Expected<'_>) -> Self {
        let mut seen = Self::default();
        for (tp, log) in expected.log {
            seen.seen.insert(tp.clone(), vec![0; log.len()]);
            for sent in log {
                seen.fates.entry((sent.subject, sent.version)).or_default().records += 1;
            }
        }
        seen
    }

    /// One file. What is wrong with it is a finding.
    pub fn file(&mut self, name: &str, bytes: bytes::Bytes, expected: &Expected<'_>) {
        let size = bytes.len() as u64;
        let broken = |what: String| Finding {
            kind: "file",
            file: name.to_owned(),
            found: what,
            expected: "a Parquet file of this program".to_owned(),
            ..Finding::default()
        };
        let builder = match ParquetRecordBatchReaderBuilder::try_new(bytes) {
            Ok(builder) => builder,
            Err(e) => return self.findings.add(broken(e.to_string())),
        };
        let from = match Provenance::read(builder.metadata()) {
            Ok(from) => from,
            Err(fault) => return self.findings.add(broken(fault.message)),
        };
        let schema = builder.schema().clone();
        let batches: Result<Vec<RecordBatch>, _> = match builder.build() {
            Ok(reader) => reader.collect(),
            Err(e) => return self.findings.add(broken(e.to_string())),
        };
        let batches = match batches {
            Ok(batches) => batches,
            Err(e) => return self.findings.add(broken(e.to_string())),
        };
        self.files += 1;
        let mut file = File { name, from: &from, versions: BTreeSet::new(), subject: None };
        for batch in &batches {
            match from.role {
                "data" => self.rows(&mut file, batch, expected),
                _ => self.rejects(&file, batch, expected),
            }
        }
        if from.role == "data" {
            self.footer(&file, expected);
            self.shape(&file, &schema, size, batches.iter().map(|b| b.num_rows() as u64).sum());
        }
    }

    fn rows(&mut self, file: &mut File<'_>, batch: &RecordBatch, expected: &Expected<'_>) {
        let offsets = batch.column_by_name(OFFSET).and_then(|c| c.as_primitive_opt::<Int64Type>());
        let Some(offsets) = offsets else {
            return self.findings.add(Finding {
                kind: "file",
                file: file.name.to_owned(),
                found: format!("no column `{OFFSET}`"),
                expected: "one of 64 bits".to_owned(),
                ..Finding::default()
            });
        };
        let rows = of_value(batch);
        let mut merged = Merged::new();
        for row in 0..batch.num_rows() {
            let offset = offsets.value(row);
            let Some(sent) = self.meet(file, offset, expected) else { continue };
            let Some(subject) = expected.subjects.get(sent.subject) else { continue };
            let Some(version) = subject.versions.get(sent.version) else { continue };
            file.versions.insert(sent.version);
            let fate = self.fates.entry((sent.subject, sent.version)).or_default();
            fate.rows += 1;
            let late = expected.is_late(&file.from.topic_partition, offset);
            let of_all;
            let columns = match file.from.target {
                None => {
                    let own = expected.mode == EvolutionMode::Rotate
                        || expected.targets(subject, late).contains(&Some(version.id));
                    fate.unprojected += u64::from(!own);
                    Columns::Own
                }
                Some(0) => match &expected.file {
                    Some(form) => Columns::Of(form),
                    None => {
                        of_all = expected.merged(&mut merged, sent.subject, late);
                        Columns::Merged(&of_all)
                    }
                },
                Some(id) => match subject.versions.iter().find(|v| v.id == id) {
                    Some(target) => Columns::Of(&target.form),
                    None => Columns::Own,
                },
            };
            if let Some(previous) = file.subject.replace(sent.subject)
                && previous != sent.subject
            {
                let finding = Finding {
                    found: "rows of two records in one file".to_owned(),
                    expected: "rows of one".to_owned(),
                    ..file.about("footer", subject, version.number, Some(offset))
                };
                self.findings.add(finding);
            }
            if !expected.values {
                continue;
            }
            self.cells += rows.columns.len() as u64;
            let notes = self.book.as_ref().map(|_| Notes::default());
            let check = |columns: Columns<'_>| {
                let (form, rules) = (&version.form, expected.rules);
                expect::check(form, columns, &sent.body, &rows, row, rules, notes.as_ref())
            };
            let same = match columns {
                // Names of before, where the newest names something else so.
                Columns::Merged(_) if expected.either => check(columns).or_else(|first| {
                    notes.iter().for_each(|notes| notes.borrow_mut().clear());
                    let before = expected.merged(&mut merged, sent.subject, false);
                    check(Columns::Merged(&before)).map_err(|_| first)
                }),
                columns => check(columns),
            };
            if let (Some(book), Some(notes)) = (&mut self.book, notes) {
                let cells = same.is_ok().then(|| notes.take());
                book.row(&file.from.topic_partition, offset, file.name, cells);
            }
            if let Err(difference) = same {
                let Difference { path, found, expected } = *difference;
                let about = file.about("value", subject, version.number, Some(offset));
                self.findings.add(Finding { path, found, expected, ..about });
            }
        }
    }

    /// The record at an offset, which is seen once more.
    fn meet<'a>(
        &mut self,
        file: &File<'_>,
        offset: i64,
        expected: &Expected<'a>,
    ) -> Option<&'a Sent> {
        let tp = &file.from.topic_partition;
        let at = usize::try_from(offset).ok();
        let sent = expected.log.get(tp).zip(at).and_then(|(log, at)| log.get(at));
        let times = self.seen.get_mut(tp).zip(at).and_then(|(seen, at)| seen.get_mut(at));
        let (Some(sent), Some(times)) = (sent, times) else {
            self.findings.add(Finding {
                kind: "file",
                partition: tp.to_string(),
                offset: Some(offset),
                file: file.name.to_owned(),
                found: "a row of an offset that was not sent".to_owned(),
                expected: "none".to_owned(),
                ..Finding::default()
            });
            return None;
        };
        *times += 1;
        Some(sent)
    }

    /// Rows of a reject file: is each refused by an independent decoder, too?
    fn rejects(&mut self, file: &File<'_>, batch: &RecordBatch, expected: &Expected<'_>) {
        let text = |name: &str| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let offsets =
            batch.column_by_name("offset").and_then(|c| c.as_primitive_opt::<Int64Type>());
        let (Some(offsets), Some(codes), Some(messages)) = (offsets, text("code"), text("message"))
        else {
            return;
        };
        for row in 0..batch.num_rows() {
            let offset = offsets.value(row);
            let Some(sent) = self.meet(file, offset, expected) else { continue };
            let Some(subject) = expected.subjects.get(sent.subject) else { continue };
            let Some(version) = subject.versions.get(sent.version) else { continue };
            let fate = self.fates.entry((sent.subject, sent.version)).or_default();
            *fate.rejects.entry(codes.value(row).to_owned()).or_default() += 1;
            if let Some(book) = &mut self.book {
                book.reject(&file.from.topic_partition, offset, codes.value(row));
            }
            let late = expected.is_late(&file.from.topic_partition, offset);
            let targets = match expected.mode {
                EvolutionMode::Rotate | EvolutionMode::Superset => vec![None],
                _ => expected.targets(subject, late),
            };
            // Where either target may have been asked for, what one of them refuses is refused.
            let reads = |target: &Option<u32>| {
                let target = target.and_then(|id| subject.versions.iter().find(|v| v.id == id));
                let target = target.map(|v| &v.form).or(expected.file.as_ref());
                expect::reads(&version.form, target, &sent.body).is_ok()
            };
            if targets.iter().all(reads) {
                let finding = Finding {
                    found: format!("a reject: {} {}", codes.value(row), messages.value(row)),
                    expected: format!("a row: {} reads it", version.form.oracle()),
                    ..file.about("reject", subject, version.number, Some(offset))
                };
                self.findings.add(finding);
            }
        }
    }

    /// A file declares the writers of its rows, all and no other, and a target that the mode asks for.
    fn footer(&mut self, file: &File<'_>, expected: &Expected<'_>) {
        let Some(subject) = file.subject.and_then(|at| expected.subjects.get(at)) else { return };
        let about = || file.about("footer", subject, 0, Some(file.from.first));
        let ids: BTreeSet<u32> =
            file.versions.iter().filter_map(|v| Some(subject.versions.get(*v)?.id)).collect();
        if ids != file.from.schema_ids {
            self.findings.add(Finding {
                path: "forebay.schema_ids".to_owned(),
                found: format!("{:?}", file.from.schema_ids),
                expected: format!("{ids:?}, the writers of its rows"),
                ..about()
            });
        }
        let late = expected.is_late(&file.from.topic_partition, file.from.first);
        let allowed = match expected.mode {
            EvolutionMode::Rotate => file.from.target.is_none(),
            EvolutionMode::Superset => file.from.target.is_none_or(|id| id == 0),
            EvolutionMode::Latest | EvolutionMode::Fixed => {
                let targets = expected.targets(subject, late);
                file.from.target.is_none_or(|id| targets.contains(&Some(id)))
            }
        };
        if !allowed {
            self.findings.add(Finding {
                path: "forebay.target_schema_id".to_owned(),
                found: format!("{:?}", file.from.target),
                expected: format!("{:?}", expected.target(subject, late)),
                ..about()
            });
        }
    }

    fn shape(&mut self, file: &File<'_>, schema: &Schema, bytes: u64, rows: u64) {
        let Some(subject) = file.subject else { return };
        let fields: Vec<Field> = schema
            .fields()
            .iter()
            .filter(|f| f.name() != OFFSET)
            .map(|f| f.as_ref().clone())
            .collect();
        let columns = Schema::new(fields);
        let known = self.shapes.iter_mut().find(|s| {
            s.subject == subject
                && s.target == file.from.target
                && crate::evolve::same_columns(&s.columns, &columns)
        });
        match known {
            Some(shape) => {
                shape.files += 1;
                shape.rows += rows;
                shape.bytes += bytes;
                shape.versions.extend(&file.versions);
            }
            None => self.shapes.push(Shape {
                subject,
                columns: Arc::new(columns),
                files: 1,
                rows,
                bytes,
                versions: file.versions.clone(),
                target: file.from.target,
            }),
        }
    }

    /// Every offset once.
    pub fn count(&mut self, expected: &Expected<'_>) {
        for (tp, seen) in std::mem::take(&mut self.seen) {
            for (offset, times) in seen.iter().enumerate().filter(|(_, times)| **times != 1) {
                let sent = expected.log.get(&tp).and_then(|log| log.get(offset));
                let Some(sent) = sent else { continue };
                let Some(subject) = expected.subjects.get(sent.subject) else { continue };
                self.findings.add(Finding {
                    kind: if *times == 0 { "missing" } else { "twice" },
                    subject: subject.name.clone(),
                    version: sent.version + 1,
                    partition: tp.to_string(),
                    offset: Some(offset as i64),
                    found: format!("{times} rows"),
                    expected: "one row or reject".to_owned(),
                    ..Finding::default()
                });
            }
            self.seen.insert(tp, seen);
        }
    }
}

/// What the independent decoders say of each row, a line of JSON each, for a reader that is not ours.
#[derive(Debug)]
pub struct Book {
    out: BufWriter<std::fs::File>,
    failed: Option<std::io::Error>,
}

impl Book {
    pub fn create(path: &std::path::Path) -> std::io::Result<Self> {
        Ok(Self { out: BufWriter::new(std::fs::File::create(path)?), failed: None })
    }

    /// `cells`: none where the row is not as it must be.
    fn row(
        &mut self,
        tp: &TopicPartition,
        offset: i64,
        file: &str,
        cells: Option<Vec<serde_json::Value>>,
    ) {
        let (topic, partition) = (&*tp.topic, tp.partition);
        self.line(serde_json::json!({ "topic": topic, "partition": partition, "offset": offset, "file": file, "cells": cells }));
    }

    fn reject(&mut self, tp: &TopicPartition, offset: i64, code: &str) {
        let (topic, partition) = (&*tp.topic, tp.partition);
        self.line(serde_json::json!({ "topic": topic, "partition": partition, "offset": offset, "reject": code }));
    }

    fn line(&mut self, line: serde_json::Value) {
        if self.failed.is_none() {
            self.failed = writeln!(self.out, "{line}").err();
        }
    }

    /// Error: of the first line that could not be written.
    pub fn finish(mut self) -> std::io::Result<()> {
        self.failed.map_or_else(|| self.out.flush(), Err)
    }
}

/// Versions of subjects, newest first; with and without the newest.
type Merged = BTreeMap<(usize, bool), Arc<Vec<Form>>>;

/// One file that is read.
struct File<'a> {
    name: &'a str,
    from: &'a Provenance,
    versions: BTreeSet<usize>,
    subject: Option<usize>,
}

impl File<'_> {
    fn about(
        &self,
        kind: &'static str,
        subject: &Subject,
        version: usize,
        offset: Option<i64>,
    ) -> Finding {
        Finding {
            kind,
            subject: subject.name.clone(),
            version,
            partition: self.from.topic_partition.to_string(),
            offset,
            file: self.name.to_owned(),
            ..Finding::default()
        }
    }
}

impl Expected<'_> {
    /// Whether all versions were registered when this offset was read.
    fn is_late(&self, tp: &TopicPartition, offset: i64) -> bool {
        self.boundary.get(tp).is_none_or(|from| offset >= *from)
    }

    /// The target, or both that may be.
    fn targets(&self, subject: &Subject, late: bool) -> Vec<Option<u32>> {
        match self.either {
            true => vec![self.target(subject, false), self.target(subject, true)],
            false => vec![self.target(subject, late)],
        }
    }

    /// The versions that were registered, newest first.
    fn merged(&self, known: &mut Merged, subject: usize, late: bool) -> Arc<Vec<Form>> {
        let made = || {
            let Some(of) = self.subjects.get(subject) else { return Arc::default() };
            let newest = self.newest(of, late);
            Arc::new(of.versions.iter().take(newest).rev().map(|v| v.form.clone()).collect())
        };
        known.entry((subject, late)).or_insert_with(made).clone()
    }

    /// How many versions were registered.
    fn newest(&self, subject: &Subject, late: bool) -> usize {
        if late { subject.versions.len() } else { (subject.versions.len() - 1).max(1) }
    }

    /// Id of the schema whose columns the mode asks for.
    fn target(&self, subject: &Subject, late: bool) -> Option<u32> {
        match self.mode {
            EvolutionMode::Rotate => None,
            EvolutionMode::Superset => Some(0),
            EvolutionMode::Latest => {
                let newest = self.newest(subject, late);
                subject.versions.get(newest - 1).map(|v| v.id)
            }
            EvolutionMode::Fixed => match self.pin {
                Some(pin) => subject.versions.get(pin.max(1) as usize - 1).map(|v| v.id),
                None => Some(0),
            },
        }
    }
}

/// The value's columns: those beside them left out.
fn of_value(batch: &RecordBatch) -> Rows {
    let schema = batch.schema();
    let own = schema.fields().iter().zip(batch.columns()).filter(|(f, _)| f.name() != OFFSET);
    let (fields, columns): (Vec<_>, Vec<ArrayRef>) =
        own.map(|(f, c)| (f.clone(), c.clone())).unzip();
    Rows { fields: Fields::from(fields), columns }
}

/// `Struct` and lists are long when written out: a type in a few words.
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(fields) => {
            let inner: Vec<String> = fields
                .iter()
                .map(|f| format!("{} {}", f.name(), type_name(f.data_type())))
                .collect();
            format!("Struct{{{}}}", inner.join(", "))
        }
        DataType::List(item) => format!("List of {}", type_name(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => format!(
                "Map of {} to {}",
                type_name(pair[0].data_type()),
                type_name(pair[1].data_type())
            ),
            _ => "Map".to_owned(),
        },
        other => other.to_string(),
    }
}
