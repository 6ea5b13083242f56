//! What an audit found: data, its JSON, its text.
//!
//! The JSON's keys and classes are stable: new ones may come, none changes its meaning.

use std::fmt::Write;

use serde_json::{Value, json};

use super::kafka::{self, Said};
use super::read::Options;
use crate::audit::Chain;
use crate::audit::finding::{CLASSES, Finding, Findings};
use crate::config;

/// Findings that the text shows.
const SHOWN: usize = 40;

#[derive(Debug)]
pub struct Report {
    pub pipeline: String,
    pub root: String,
    pub options: Options,
    /// One chain each, by topic and Kafka partition.
    pub partitions: Vec<Chain>,
    pub kafka: Vec<Said>,
    pub findings: Findings,
    /// Kafka decides over some chain, and was not asked which record is the last.
    pub unasked: bool,
    /// Listed files and bytes.
    pub files: u64,
    pub bytes: u64,
    /// By verb and outcome.
    pub requests: Vec<(&'static str, &'static str, u64)>,
}

impl Report {
    pub fn new(pipeline: &config::Pipeline, options: &Options) -> Self {
        Self {
            pipeline: pipeline.name.clone(),
            root: pipeline.sink.url.to_string(),
            options: *options,
            partitions: Vec::new(),
            kafka: Vec::new(),
            findings: Findings::default(),
            unasked: false,
            files: 0,
            bytes: 0,
            requests: Vec::new(),
        }
    }

    /// Findings that speak against the promise.
    pub fn violations(&self) -> u64 {
        self.findings.violations(self.options.strictness)
    }

    pub fn json(&self) -> Value {
        let strictness = self.options.strictness;
        let counts: serde_json::Map<String, Value> = CLASSES
            .iter()
            .map(|class| (class.name().to_owned(), self.findings.count(*class).into()))
            .collect();
        let findings: Vec<Value> =
            self.findings.clone().sorted().iter().map(|f| finding(f, self)).collect();
        let requests: serde_json::Map<String, Value> =
            self.requests.iter().fold(serde_json::Map::new(), |mut all, (verb, _, n)| {
                let sum = all.get(*verb).and_then(Value::as_u64).unwrap_or_default() + n;
                all.insert((*verb).to_owned(), sum.into());
                all
            });
        let sum =
            |of: fn(&Chain) -> u64| self.partitions.iter().map(of).fold(0, u64::saturating_add);
        json!({
            "pipeline": self.pipeline,
            "root": self.root,
            "holds": self.violations() == 0,
            "kafka_unasked": self.unasked,
            "violations": self.violations(),
            "options": {
                "deep": self.options.deep, "footers": self.options.footers || self.options.deep,
                "since_ms": self.options.since_ms,
                "expect_all": strictness.expect_all, "strict": strictness.strict,
                "broker": self.options.broker,
            },
            "partitions": self.partitions.iter().map(|chain| self.partition(chain)).collect::<Vec<_>>(),
            "totals": {
                "chains": self.partitions.len(),
                "records": sum(|c| c.records),
                "rows": sum(|c| c.rows),
                "rejects": sum(|c| c.rejects),
                "files": sum(|c| c.data_files),
                "reject_files": sum(|c| c.reject_files),
                "bytes": sum(|c| c.bytes),
                "skipped_offsets": sum(skipped),
                "listed_files": self.files,
                "listed_bytes": self.bytes,
                "rows_without_offset_column": self.options.deep.then(|| self.findings.rows_unseen()),
            },
            "counts": counts,
            "findings": findings,
            "findings_left_out": self.findings.all() - self.findings.kept() as u64,
            "requests": requests,
        })
    }

    fn partition(&self, chain: &Chain) -> Value {
        let skips: Vec<Value> = chain
            .skipped
            .iter()
            .map(|s| json!({"from": s.range.start, "to": s.range.end, "why": s.why, "seq": s.seq}))
            .collect();
        let resets: Vec<Value> = chain
            .resets
            .iter()
            .map(|r| json!({"from": r.from, "to": r.to, "why": r.why, "seq": r.seq}))
            .collect();
        let said = kafka::of(chain, &self.kafka);
        json!({
            "topic": chain.topic, "topic_id": chain.topic_id, "partition": chain.partition,
            "chain": chain.folder,
            "first_seq": chain.first_seq, "head_seq": chain.head_seq, "head_id": chain.head_id,
            "epoch": chain.epoch, "records": chain.records, "claims": chain.claims,
            "start": chain.start,
            "committed_to": chain.committed_to, "published_to": chain.published_to(),
            "rows": chain.rows, "rejects": chain.rejects,
            "offsets": chain.offsets, "offsets_without_rows": chain.offsets_without_rows(),
            "skipped": skips, "resets": resets, "repaired_seqs": chain.repaired.keys().collect::<Vec<_>>(),
            "files": chain.data_files, "reject_files": chain.reject_files, "bytes": chain.bytes,
            "files_pending": chain.pending, "files_removed": chain.removed,
            "files_undecided": chain.undecided,
            "last_commit_ms": chain.last_commit_ms,
            "min_ms": chain.times_ms.map(|t| t.0), "max_ms": chain.times_ms.map(|t| t.1),
            "kafka": said.map(|said| json!({
                "log_start": said.log.low, "log_end": said.log.high,
                "committed": said.committed.as_ref().map(|c| c.0),
                "lag": lag(chain, said),
                "lag_ms": self.lag_ms(chain, said),
            })),
        })
    }

    /// Age of the newest record that is committed, where more wait.
    fn lag_ms(&self, chain: &Chain, said: &Said) -> Option<i64> {
        match lag(chain, said) {
            0 => Some(0),
            _ => {
                chain.times_ms.map(|(_, newest)| self.options.now_ms.saturating_sub(newest).max(0))
            }
        }
    }

    pub fn text(&self) -> String {
        let mut text = format!("pipeline {} in {}\n\n", self.pipeline, self.root);
        let head = [
            "Kafka partition",
            "from",
            "published to",
            "rows",
            "rejects",
            "skipped",
            "files",
            "last commit",
            "lag",
        ];
        let mut lines: Vec<Vec<String>> = vec![head.iter().map(|h| (*h).to_owned()).collect()];
        lines.extend(self.partitions.iter().map(|chain| self.line(chain)));
        table(&lines, &mut text);
        for chain in &self.partitions {
            notes(chain, &mut text);
        }
        self.tell(&mut text);
        text
    }

    fn line(&self, chain: &Chain) -> Vec<String> {
        let offset = |at: Option<i64>| at.map_or("-".to_owned(), |at| at.to_string());
        let said = kafka::of(chain, &self.kafka);
        let last = chain.last_commit_ms.map_or("-".to_owned(), |at| {
            let age = self.options.now_ms.saturating_sub(at).max(0) as u64;
            format!("{} ago", short(age))
        });
        let lag = said.map_or("-".to_owned(), |said| {
            match self.lag_ms(chain, said).filter(|ms| *ms > 0) {
                Some(ms) => format!("{} ({})", lag(chain, said), short(ms as u64)),
                None => lag(chain, said).to_string(),
            }
        });
        vec![
            format!("{}-{}", chain.topic, chain.partition),
            offset(chain.start),
            offset(chain.published_to()),
            chain.rows.to_string(),
            chain.rejects.to_string(),
            skipped(chain).to_string(),
            (chain.data_files + chain.reject_files).to_string(),
            last,
            lag,
        ]
    }

    fn tell(&self, text: &mut String) {
        let strictness = self.options.strictness;
        let all = self.findings.clone().sorted();
        let (bad, notes): (Vec<_>, Vec<_>) =
            all.iter().partition(|f| f.class.is_violation(strictness));
        for found in bad.iter().take(SHOWN) {
            let _ = writeln!(text, "VIOLATION {}: {}", found.class.name(), found.message);
        }
        let left = self.violations().saturating_sub(bad.len().min(SHOWN) as u64);
        if left > 0 {
            let _ = writeln!(text, "… and {left} more; --output json lists them");
        }
        for class in CLASSES.iter().filter(|c| !c.is_violation(strictness)) {
            let count = self.findings.count(*class);
            if let Some(first) = notes.iter().find(|f| f.class == *class).filter(|_| count > 0) {
                let _ = writeln!(
                    text,
                    "{count} {} ({}): {}{}",
                    class.name(),
                    class.meaning(),
                    first.message,
                    if count > 1 { ", …" } else { "" }
                );
            }
        }
        text.push_str(&self.verdict());
    }

    /// Whether it holds, and how much that says, in one line.
    pub fn verdict(&self) -> String {
        let records: u64 = self.partitions.iter().map(|c| c.records).sum();
        let read = match (self.options.deep, self.options.footers) {
            (true, _) => ", every file read",
            (false, true) => ", every footer read",
            (false, false) => "",
        };
        let unseen = match self.findings.rows_unseen() {
            0 => String::new(),
            rows => format!(
                "; {rows} rows were only counted: no column says their offsets (metadata: [offset])"
            ),
        };
        let about = format!(
            "{records} records in {} chains, {} listed files{read}{unseen}",
            self.partitions.len(),
            self.files
        );
        match self.violations() {
            0 => format!("holds: {about}"),
            n => format!("does NOT hold: {n} violations; {about}"),
        }
    }
}

fn skipped(chain: &Chain) -> u64 {
    chain.skipped.iter().map(|s| s.range.len()).fold(0, u64::saturating_add)
}

fn lag(chain: &Chain, said: &Said) -> i64 {
    said.log.high.saturating_sub(chain.committed_to.unwrap_or(said.log.low)).max(0)
}

fn finding(found: &Finding, report: &Report) -> Value {
    let place = &found.place;
    json!({
        "class": found.class.name(),
        "violation": found.class.is_violation(report.options.strictness),
        "topic": place.topic, "partition": place.partition, "chain": place.chain,
        "seq": place.seq, "key": place.key, "offset": place.offset,
        "message": found.message,
    })
}

/// Skipped ranges, moves, and what is not there of one chain.
fn notes(chain: &Chain, text: &mut String) {
    let name = format!("{}-{}", chain.topic, chain.partition);
    for skip in &chain.skipped {
        let _ = writeln!(text, "{name} skipped {}: {}", skip.range, skip.why);
    }
    for reset in &chain.resets {
        let _ = writeln!(text, "{name} moved from {} to {}: {}", reset.from, reset.to, reset.why);
    }
    if let (Some(published), Some(committed)) = (chain.published_to(), chain.committed_to)
        && published < committed
    {
        let _ =
            writeln!(text, "{name} committed to {committed}, not yet published from {published}");
    }
}

/// Aligned columns: the first to the left, the others to the right.
pub fn table(lines: &[Vec<String>], text: &mut String) {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        lines.iter().filter_map(|l| l.get(at)).map(|t| t.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in lines {
        for (at, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = match at {
                0 => write!(text, "{cell:<width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        text.push('\n');
    }
}

/// A time as its two greatest units.
fn short(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m{}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h{}m", s / 3_600, s / 60 % 60),
        _ => format!("{}d{}h", s / 86_400, s / 3_600 % 24),
    }
}
