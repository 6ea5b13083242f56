//! What `check` found: data, its text, its JSON, its exit code.

use serde_json::{Value, json};

use crate::cli::Exit;
use crate::config::{Config, Pipeline, SinkUrl};
use crate::error::Fault;
use crate::position::{Offset, TopicPartition};
use crate::source::Watermarks;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Area {
    /// To be corrected in the file: exit 2.
    Configuration,
    Broker,
    Registry,
    Sink,
    /// A record of the sample: said, and no reason to fail.
    Record,
}

impl Area {
    fn name(self) -> &'static str {
        match self {
            Area::Configuration => "configuration",
            Area::Broker => "broker",
            Area::Registry => "registry",
            Area::Sink => "sink",
            Area::Record => "record",
        }
    }
}

/// Where one Kafka partition would start.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) partition: TopicPartition,
    pub(super) offset: Offset,
    pub(super) why: String,
    pub(super) log: Watermarks,
}

impl Start {
    fn lag(&self) -> i64 {
        (self.log.high - self.offset).max(0)
    }
}

/// The latest version of one subject, and what it becomes.
#[derive(Debug, Clone, Default)]
pub(super) struct Subject {
    pub(super) name: String,
    pub(super) version: u32,
    pub(super) id: u32,
    pub(super) language: &'static str,
    pub(super) record: String,
    /// Name, type, nullable.
    pub(super) columns: Vec<(String, String, bool)>,
    pub(super) notes: Vec<String>,
}

/// One record of the sample.
#[derive(Debug, Clone)]
pub(super) struct Sampled {
    pub(super) partition: i32,
    pub(super) offset: Offset,
    /// Row as JSON text and output key; or the reject.
    pub(super) outcome: Result<(String, String), String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: Option<usize>,
    pub(super) starts: Vec<Start>,
    pub(super) subjects: Vec<Subject>,
    /// What could not be said before a record is read.
    pub(super) notes: Vec<String>,
    pub(super) sampled: Vec<Sampled>,
}

impl Topic {
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Distinct output keys of the sample, in order of first use.
    fn keys(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = Vec::new();
        for (_, key) in self.sampled.iter().filter_map(|s| s.outcome.as_ref().ok()) {
            if !keys.contains(&key.as_str()) {
                keys.push(key);
            }
        }
        keys
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Sink {
    pub(super) url: String,
    /// Where `_forebay/` stands, if not at the sink's root.
    pub(super) state: Option<String>,
    pub(super) notes: Vec<String>,
    pub(super) fit: bool,
    pub(super) create_only: Option<bool>,
    pub(super) revives: Option<bool>,
    /// Verb, outcome, count.
    pub(super) requests: Vec<(&'static str, &'static str, u64)>,
}

/// Files and requests a day, and how they were reckoned.
#[derive(Debug, Clone)]
pub(super) struct Estimate {
    partitions: u64,
    keys: u64,
    commits: u64,
    files: u64,
    /// None on local disk.
    requests: Option<u64>,
    words: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Report {
    pub(super) pipeline: String,
    pub(super) partition_by: Vec<String>,
    pub(super) warnings: Vec<String>,
    pub(super) findings: Vec<(Area, Fault)>,
    /// How many, and the cluster's id.
    pub(super) brokers: Option<(usize, Option<String>)>,
    pub(super) group: String,
    pub(super) topics: Vec<Topic>,
    pub(super) sink: Option<Sink>,
    pub(super) estimate: Option<Estimate>,
}

/// Reckons files and requests a day; none while the Kafka partitions are not known.
pub(super) fn estimate(pipeline: &Pipeline, report: &Report) -> Option<Estimate> {
    let partitions: u64 = report.topics.iter().filter_map(|t| t.partitions).sum::<usize>() as u64;
    if partitions == 0 {
        return None;
    }
    // Where a topic gave no sample, one key; else what the sample shows, which is the least there are.
    let files_a_commit: u64 = report
        .topics
        .iter()
        .map(|t| t.partitions.unwrap_or(0) as u64 * (t.keys().len() as u64).max(1))
        .sum();
    let interval_ms = (pipeline.commit.age_max().as_millis() as u64).max(1);
    let commits = 86_400_000_u64.div_ceil(interval_ms);
    let files = files_a_commit.saturating_mul(commits);
    let requests = match pipeline.sink.url {
        SinkUrl::S3 { .. } => Some(files.saturating_mul(3)),
        SinkUrl::Local(_) => None,
    };
    let sampled = report.topics.iter().any(|t| !t.sampled.is_empty());
    let words = format!(
        "files a day = Kafka partitions x output keys in each commit ({}) x commits a day (86,400 s / commit.interval or commit.schedule){}; \
         if every Kafka partition has records of every key in every interval. Fewer when traffic is less, more when \
         `rotate` or several schemas close files earlier",
        if sampled { "those in the sample" } else { "taken as 1: --sample counts them" },
        if requests.is_some() {
            "; requests a day = files x 3 (create, one part, complete), one more for each further part"
        } else {
            ""
        },
    );
    let keys = files_a_commit.div_ceil(partitions);
    Some(Estimate { partitions, keys, commits, files, requests, words })
}

impl Report {
    pub(super) fn about(config: &Config) -> Self {
        let pipeline = &config.pipeline;
        Self {
            pipeline: pipeline.name.clone(),
            partition_by: pipeline.partition_by.iter().map(|i| i.expr.text.clone()).collect(),
            warnings: config.warnings.clone(),
            group: pipeline.source.group.clone(),
            ..Self::default()
        }
    }

    pub(super) fn find(&mut self, area: Area, faults: impl IntoIterator<Item = Fault>) {
        for fault in faults {
            if !self.findings.iter().any(|(_, f)| *f == fault) {
                self.findings.push((area, fault));
            }
        }
    }

    /// 2 for what is to be corrected in the file, else 1 for what it points at.
    pub(super) fn exit(&self) -> Exit {
        let has = |wanted: fn(Area) -> bool| self.findings.iter().any(|(area, _)| wanted(*area));
        if has(|area| area == Area::Configuration) {
            Exit::Refused
        } else if has(|area| area != Area::Record) {
            Exit::Fault
        } else {
            Exit::Done
        }
    }

    pub(super) fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|(area, f)| {
                json!({
                    "area": area.name(), "code": f.code.id, "message": f.message,
                    "place": f.place, "help": f.code.help,
                })
            })
            .collect();
        json!({
            "ok": self.exit() == Exit::Done,
            "pipeline": self.pipeline,
            "group": self.group,
            "partition_by": self.partition_by,
            "findings": findings,
            "warnings": self.warnings,
            "brokers": self.brokers.as_ref().map(|(n, id)| json!({"count": n, "cluster_id": id})),
            "topics": self.topics.iter().map(Topic::json).collect::<Vec<_>>(),
            "sink": self.sink.as_ref().map(Sink::json),
            "estimate": self.estimate.as_ref().map(|e| json!({
                "kafka_partitions": e.partitions, "keys": e.keys, "commits_a_day": e.commits,
                "files_a_day": e.files, "requests_a_day": e.requests, "formula": e.words,
            })),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut out = Vec::new();
        let mut line = |name: &str, text: String| out.push(format!("{name:<10} {text}"));
        line("pipeline", or(&self.pipeline, "not readable"));
        if let Some((count, id)) = &self.brokers {
            let id = id.as_deref().map_or_else(String::new, |id| format!(", cluster {id}"));
            line("brokers", format!("{count}{id}; group {}", self.group));
        }
        for topic in &self.topics {
            topic.lines(&mut line);
        }
        if let Some(sink) = &self.sink {
            line("sink", sink.line());
        }
        if let Some(e) = &self.estimate {
            let requests = e.requests.map_or_else(String::new, |n| format!(", {n} requests"));
            line("a day", format!("about {} files{requests}", e.files));
            line(
                "",
                format!(
                    "{} Kafka partitions x {} keys x {} commits",
                    e.partitions, e.keys, e.commits
                ),
            );
            line("", e.words.clone());
        }
        for warning in &self.warnings {
            line("warning", warning.clone());
        }
        for (area, fault) in &self.findings {
            line(area.name(), fault.to_string());
        }
        let wrong = self.findings.iter().filter(|(area, _)| *area != Area::Record).count();
        line(
            "result",
            if wrong == 0 { "nothing found".to_owned() } else { format!("{wrong} found") },
        );
        out.join("\n")
    }
}

impl Topic {
    fn lines(&self, line: &mut impl FnMut(&str, String)) {
        let partitions = match self.partitions {
            Some(n) => format!("{n} Kafka partitions"),
            None => "Kafka partitions not known".to_owned(),
        };
        line("topic", format!("{}: {partitions}", self.name));
        for start in &self.starts {
            line(
                "",
                format!(
                    "  {:<4} starts at {:<10} lag {:<10} {}",
                    start.partition.partition,
                    start.offset,
                    start.lag(),
                    start.why
                ),
            );
        }
        for subject in &self.subjects {
            line(
                "subject",
                format!(
                    "{} version {} id {} ({}) {}",
                    subject.name, subject.version, subject.id, subject.language, subject.record
                ),
            );
            let width = subject.columns.iter().map(|c| c.0.len()).max().unwrap_or(0);
            for (name, of_type, nullable) in &subject.columns {
                let null = if *nullable { "nullable" } else { "required" };
                line("", format!("  {name:<width$} {null} {of_type}"));
            }
            for note in &subject.notes {
                line("", format!("  note: {note}"));
            }
        }
        for note in &self.notes {
            line("", format!("  {note}"));
        }
        for sampled in &self.sampled {
            let at = format!("{}-{} offset {}", self.name, sampled.partition, sampled.offset);
            match &sampled.outcome {
                Ok((row, key)) => {
                    line("key", format!("{key}  ({at})"));
                    line("row", row.clone());
                }
                Err(reject) => line("reject", format!("{reject} ({at})")),
            }
        }
    }

    fn json(&self) -> Value {
        let starts: Vec<Value> = self
            .starts
            .iter()
            .map(|s| {
                json!({
                    "partition": s.partition.partition, "offset": s.offset, "why": s.why,
                    "low": s.log.low, "high": s.log.high, "lag": s.lag(),
                })
            })
            .collect();
        let sample: Vec<Value> = self
            .sampled
            .iter()
            .map(|s| match &s.outcome {
                Ok((row, key)) => json!({
                    "partition": s.partition, "offset": s.offset, "key": key,
                    "row": serde_json::from_str::<Value>(row).unwrap_or(Value::Null),
                }),
                Err(reject) => {
                    json!({"partition": s.partition, "offset": s.offset, "reject": reject})
                }
            })
            .collect();
        json!({
            "topic": self.name, "partitions": self.partitions, "starts": starts,
            "subjects": self.subjects.iter().map(Subject::json).collect::<Vec<_>>(),
            "notes": self.notes, "keys": self.keys(), "sample": sample,
        })
    }
}

impl Subject {
    fn json(&self) -> Value {
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|(name, of_type, nullable)| json!({"name": name, "type": of_type, "nullable": nullable}))
            .collect();
        json!({
            "subject": self.name, "version": self.version, "id": self.id, "language": self.language,
            "record": self.record, "columns": columns, "notes": self.notes,
        })
    }
}

impl Sink {
    fn line(&self) -> String {
        let said = |answer: Option<bool>| match answer {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not tried",
        };
        let fit = if self.fit { "fit for a run" } else { "not fit for a run" };
        let mut text = format!("{}: {fit}; create-only puts {}", self.url, said(self.create_only));
        if let Some(state) = &self.state {
            text.push_str(&format!("; state in {state}"));
        }
        for note in &self.notes {
            text.push_str(&format!("\n  note: {note}"));
        }
        text
    }

    fn json(&self) -> Value {
        let requests: Vec<Value> = self
            .requests
            .iter()
            .map(|(verb, outcome, n)| json!({"verb": verb, "outcome": outcome, "count": n}))
            .collect();
        json!({
            "url": self.url, "fit": self.fit, "create_only": self.create_only,
            "revives": self.revives, "requests": requests, "state": self.state, "notes": self.notes,
        })
    }
}

fn or(text: &str, empty: &str) -> String {
    if text.is_empty() { empty.to_owned() } else { text.to_owned() }
}
