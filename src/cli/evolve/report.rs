//! What a run showed, as text and as JSON.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use serde_json::{Value, json};

use super::history::Subject;
use super::read::{Finding, Seen, Shape, TOLD, type_name};
use super::readers;
use crate::decode;
use crate::evolve::{Changes, changes};

/// One mode's run.
#[derive(Debug)]
pub struct Report {
    pub mode: &'static str,
    pub subjects: Vec<Subject>,
    pub seen: Seen,
    pub records: u64,
    pub partitions: usize,
    pub kills: u64,
    pub seed: u64,
    pub seconds: f64,
    /// Cells were compared.
    pub values: bool,
    /// Where the files are, if they were kept.
    pub kept: Option<String>,
    /// Own columns of each version, by subject; none of a version that makes none.
    pub columns: Vec<Vec<Option<SchemaRef>>>,
    pub notes: Vec<String>,
}

impl Report {
    pub fn holds(&self) -> bool {
        self.seen.findings.is_empty()
    }

    /// Own columns of every version of every subject.
    pub fn own_columns(
        subjects: &[Subject],
        options: &decode::Options,
    ) -> Vec<Vec<Option<SchemaRef>>> {
        let of = |subject: &Subject| {
            let own = subject.versions.iter();
            let own = own.map(|v| decode::Plan::compile(&v.schema, &v.indexes, options).ok());
            own.map(|plan| plan.map(|plan| plan.schema.clone())).collect()
        };
        subjects.iter().map(of).collect()
    }

    fn rows(&self) -> u64 {
        self.seen.fates.values().map(|f| f.rows).sum()
    }

    fn rejects(&self) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (code, n) in self.seen.fates.values().flat_map(|f| &f.rejects) {
            *all.entry(code.clone()).or_default() += n;
        }
        all
    }

    pub fn text(&self) -> String {
        let rejects: u64 = self.rejects().values().sum();
        let mut lines = vec![format!(
            "{}: {} records in {} Kafka partitions, killed {} times -> {} rows, {rejects} rejects, {} files ({:.1} s, seed {})",
            self.mode,
            self.records,
            self.partitions,
            self.kills,
            self.rows(),
            self.seen.files,
            self.seconds,
            self.seed
        )];
        for (at, subject) in self.subjects.iter().enumerate() {
            self.subject(at, subject, &mut lines);
        }
        let verdict = |kinds: &[&str]| {
            let n: u64 = kinds.iter().filter_map(|k| self.seen.findings.all.get(k)).sum();
            if n == 0 { "yes".to_owned() } else { format!("NO, {n}") }
        };
        lines.push(format!("  every record once             {}", verdict(&["missing", "twice"])));
        let oracle = self.subjects.first().and_then(|s| s.versions.first());
        let oracle = oracle.map_or("", |v| v.form.oracle());
        lines.push(match self.values {
            true => format!(
                "  values as {oracle:<19} {} ({} cells)",
                verdict(&["value", "reject"]),
                self.seen.cells
            ),
            false => {
                "  values                        not compared: another dialect names the columns"
                    .to_owned()
            }
        });
        lines.push(format!("  files are what they declare   {}", verdict(&["footer", "file"])));
        lines.push(format!("  audit of the chain            {}", verdict(&["audit", "stopped"])));
        lines.extend(self.notes.iter().map(|note| format!("  note: {note}")));
        for finding in &self.seen.findings.told {
            lines.push(format!("  {}", told(finding)));
        }
        for (kind, n) in self.seen.findings.all.iter().filter(|(_, n)| **n > TOLD) {
            lines.push(format!("  … {} more of kind `{kind}`", n - TOLD));
        }
        if let Some(kept) = &self.kept {
            lines.push(format!("  files are in {kept}"));
        }
        lines.join("\n")
    }

    fn subject(&self, at: usize, subject: &Subject, lines: &mut Vec<String>) {
        lines.push(format!(
            "  {} ({}, {} versions)",
            subject.name,
            subject.language.name(),
            subject.versions.len()
        ));
        for (n, version) in subject.versions.iter().enumerate() {
            let fate = self.seen.fates.get(&(at, n)).cloned().unwrap_or_default();
            let mut line = format!(
                "    version {:<3} id {:<4} {:>7} rows",
                version.number, version.id, fate.rows
            );
            for (code, n) in &fate.rejects {
                line.push_str(&format!(", {n} rejects {code}"));
            }
            if fate.unprojected > 0 {
                line.push_str(&format!(
                    ", {} in columns of their own: they do not fit the target",
                    fate.unprojected
                ));
            }
            let said = self.changes(at, n).map(|c| words(&c)).unwrap_or_default();
            if !said.is_empty() {
                line.push_str(&format!("   {said}"));
            }
            lines.push(line);
        }
        let shapes: Vec<&Shape> = self.seen.shapes.iter().filter(|s| s.subject == at).collect();
        lines.push(format!("    readers see {} sets of columns", shapes.len()));
        for shape in &shapes {
            let versions: Vec<String> =
                shape.versions.iter().map(|v| (v + 1).to_string()).collect();
            lines.push(format!(
                "      {:>2} columns, {} files, {} rows of versions {}",
                shape.columns.fields().len(),
                shape.files,
                shape.rows,
                versions.join(", ")
            ));
        }
        let seen: Vec<SchemaRef> = shapes.iter().map(|s| s.columns.clone()).collect();
        lines.extend(readers::see(&seen).into_iter().map(|line| format!("      {line}")));
    }

    /// What a version changes for readers, beside the one before.
    fn changes(&self, subject: usize, version: usize) -> Option<Changes> {
        let columns = self.columns.get(subject)?;
        let before = columns.get(version.checked_sub(1)?)?.as_ref()?;
        Some(changes(before, columns.get(version)?.as_ref()?))
    }

    pub fn json(&self) -> Value {
        let subjects = self.subjects.iter().enumerate().map(|(at, s)| self.subject_json(at, s));
        json!({
            "mode": self.mode,
            "holds": self.holds(),
            "records": self.records,
            "partitions": self.partitions,
            "kills": self.kills,
            "seed": self.seed,
            "seconds": self.seconds,
            "rows": self.rows(),
            "rejects": self.rejects(),
            "files": self.seen.files,
            "file_bytes": self.seen.bytes,
            "cells_compared": self.seen.cells,
            "values_compared": self.values,
            "subjects": subjects.collect::<Vec<_>>(),
            "findings": self.seen.findings.all,
            "told": self.seen.findings.told.iter().map(finding_json).collect::<Vec<_>>(),
            "notes": self.notes,
            "kept": self.kept,
        })
    }

    fn subject_json(&self, at: usize, subject: &Subject) -> Value {
        let columns = |schema: &SchemaRef| -> Value {
            let column = |f: &std::sync::Arc<arrow::datatypes::Field>| json!({"name": f.name(), "type": type_name(f.data_type()), "nullable": f.is_nullable()});
            schema.fields().iter().map(column).collect()
        };
        let version = |(n, v): (usize, &super::history::Version)| {
            let fate = self.seen.fates.get(&(at, n)).cloned().unwrap_or_default();
            let own = self.columns.get(at).and_then(|c| c.get(n)).and_then(Option::as_ref);
            json!({
                "version": v.number, "id": v.id, "file": v.path.display().to_string(),
                "records": fate.records, "rows": fate.rows, "rejects": fate.rejects,
                "rows_not_projected": fate.unprojected,
                "columns": own.map(columns), "changes": self.changes(at, n),
            })
        };
        let shapes: Vec<&Shape> = self.seen.shapes.iter().filter(|s| s.subject == at).collect();
        let seen: Vec<SchemaRef> = shapes.iter().map(|s| s.columns.clone()).collect();
        json!({
            "subject": subject.name,
            "topic": subject.topic,
            "language": subject.language.name(),
            "versions": subject.versions.iter().enumerate().map(version).collect::<Vec<_>>(),
            "file_schemas": shapes.iter().map(|s| json!({
                "files": s.files, "rows": s.rows, "bytes": s.bytes,
                "versions": s.versions.iter().map(|v| v + 1).collect::<Vec<_>>(),
                "target_schema_id": s.target,
                "columns": columns(&s.columns),
            })).collect::<Vec<_>>(),
            "readers": readers::see(&seen),
        })
    }
}

/// `adds b; drops c; m: Int32 → Int64`
fn words(changes: &Changes) -> String {
    let mut parts = Vec::new();
    if !changes.added.is_empty() {
        parts.push(format!("adds {}", changes.added.join(", ")));
    }
    if !changes.dropped.is_empty() {
        parts.push(format!("drops {}", changes.dropped.join(", ")));
    }
    parts.extend(changes.promoted.iter().cloned());
    if !changes.renamed.is_empty() {
        parts.push(format!("renames {}", changes.renamed.join(", ")));
    }
    parts.join("; ")
}

fn told(finding: &Finding) -> String {
    let mut place = finding.subject.clone();
    if finding.version > 0 {
        place.push_str(&format!(" version {}", finding.version));
    }
    if let Some(offset) = finding.offset {
        place.push_str(&format!(", {} offset {offset}", finding.partition));
    }
    if !finding.path.is_empty() {
        place.push_str(&format!(", `{}`", finding.path));
    }
    let mut text = format!(
        "{}: {place}: {} found, {} required",
        finding.kind, finding.found, finding.expected
    );
    if !finding.file.is_empty() {
        text.push_str(&format!(" (file {})", finding.file));
    }
    text
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "kind": finding.kind, "subject": finding.subject, "version": finding.version,
        "partition": finding.partition, "offset": finding.offset, "path": finding.path,
        "found": finding.found, "expected": finding.expected, "file": finding.file,
    })
}
