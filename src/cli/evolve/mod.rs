//! `forebay evolve`: what a history of schema versions does to the files, before it is registered.
//!
//! Records of every version are made from the schemas alone, interleaved over Kafka partitions, streamed through
//! the whole pipeline, which is killed and started again on the way, and read back beside what decoders that
//! are not ours make of them.
//!
//! - [`history`]: folders → versions; [`form`]: a version as generator and oracle take it
//! - [`make`]: records; [`expect`]: what their rows must hold
//! - [`progress`]: how far it is, on stderr
//! - [`stack`]: brokers, registry, sink and the pipeline; [`read`]: everything back; [`report`]
//!
//! Bounded by: [`RECORDS_MAX`] records, all kept in memory.

pub mod expect;
pub mod form;
pub mod history;
pub mod make;
pub mod progress;
pub mod read;
pub mod readers;
pub mod report;
pub mod stack;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use crate::cli::{Exit, LOCAL, Output, audit, failed, refused, runtime, say};
use crate::clock::{Seeded, System};
use crate::config::{self, Config, EvolutionMode, SinkUrl, SubjectNameStrategy, Unwrap};
use crate::error::{Code, Fault, Kind};
use crate::pipeline::{self, row};
use crate::position::TopicPartition;
use crate::registry::Client;
use crate::source::producer::{Outgoing, Producer};
use crate::store::Store;

use history::{Histories, Naming, Subject};
use progress::Progress;
use read::{Expected, Finding, Log, Sent};
use report::Report;
use stack::{Job, Plan, Real, Stack};

pub static HISTORY: Code = Code {
    id: "FB1061",
    kind: Kind::Halt,
    title: "a history of schema versions that cannot be run",
    help: "A folder holds the versions of one schema, in one language: `orders/v1.proto`, `orders/v2.proto`. Each has the message that the first one has, or the one that `--message` names.",
};

/// Every code of this command.
pub static CODES: &[&Code] = &[&HISTORY];

/// Most records of one run.
pub const RECORDS_MAX: u64 = 2_000_000;
/// Bytes and records of one Kafka partition, well below what a mock broker keeps.
const PARTITION: (usize, u64) = (3 << 20, 50_000);
/// Longest wait for brokers to confirm the records.
const FLUSH_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Example: forebay evolve protos/orders\n         forebay evolve -c forebay.yaml --mode all --records 20000 protos schemas\n\nExit codes: 0 all holds, 2 a folder or option was refused, 3 something does not hold."
)]
pub struct Args {
    /// A folder of schema versions (v1.proto, v2.proto …, .avsc, or .json for JSON Schema), or folders of such folders
    #[arg(required = true, value_name = "FOLDER")]
    pub folders: Vec<PathBuf>,
    /// Configuration whose options of evolution, values and readers hold; its brokers, registry and sink only with --real
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Whose columns rows get; default: what the configuration says, else rotate
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Version that mode `fixed` pins, where the configuration names none
    #[arg(long, default_value_t = 1, value_name = "VERSION")]
    pub pin: u32,
    /// Records, of all versions together
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=RECORDS_MAX))]
    pub records: u64,
    /// Kafka partitions of each topic; more where the records need them
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub partitions: u32,
    /// How often the pipeline is killed on the way
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub restarts: u32,
    /// The same seed makes the same records
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How subjects are named; default: what the configuration says, else topic
    #[arg(long, value_enum)]
    pub strategy: Option<Strategy>,
    /// Protobuf message of all versions, in full; default: the first one of the oldest file
    #[arg(long, value_name = "NAME")]
    pub message: Option<String>,
    /// Folder for the files, kept; default: one of its own, removed unless something does not hold
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Write beside the files of each mode, as `expected.jsonl`, what every cell of every row must hold, for other readers of the files
    #[arg(long, requires = "dir")]
    pub expected: bool,
    /// Use the configuration's brokers, registry and sink. Topics, subjects and the folder that a run makes there begin with `evolve-` and a
    /// number of its own, and stay: delete them when you have looked
    #[arg(long, requires = "config")]
    pub real: bool,
    /// Real brokers, `host:port,…`
    #[arg(long)]
    pub brokers: Option<String>,
    /// A real registry
    #[arg(long, value_name = "URL")]
    pub registry: Option<String>,
    /// How the report is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// `evolution.mode`, or all of them in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    Rotate,
    Latest,
    Superset,
    Fixed,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    Topic,
    Record,
    #[value(name = "topic_record")]
    TopicRecord,
}

/// The configuration where none is given.
const DEFAULT: &str = "pipeline: evolve\nsource: { brokers: 'x:1', topics: [x] }\nregistry: { url: 'http://x' }\nsink: { url: /x }\n";

pub fn run(args: &Args) -> Exit {
    match evolve(args) {
        Ok(reports) => {
            match args.output {
                Output::Json => {
                    let holds = reports.iter().all(Report::holds);
                    let runs: Vec<_> = reports.iter().map(Report::json).collect();
                    say(serde_json::json!({ "holds": holds, "runs": runs }));
                }
                Output::Text => reports.iter().for_each(|report| say(report.text())),
            }
            if reports.iter().all(Report::holds) { Exit::Done } else { Exit::No }
        }
        Err(Stop::Refused(faults)) => refused(&faults),
        Err(Stop::Failed(fault)) => failed(&fault),
    }
}

/// Why there is no report.
#[derive(Debug)]
pub enum Stop {
    Refused(Vec<Fault>),
    Failed(Box<Fault>),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Failed(Box::new(fault))
    }
}

fn refuse(fault: Fault) -> Stop {
    Stop::Refused(vec![fault])
}

/// Every mode that was asked for, in turn.
pub fn evolve(args: &Args) -> Result<Vec<Report>, Stop> {
    let mut base = match &args.config {
        Some(path) => Config::load(path, &config::Process),
        None => Config::parse(DEFAULT, "evolve.yaml", &config::Process),
    }
    .map_err(Stop::Refused)?;
    if let Some(strategy) = args.strategy {
        base.pipeline.registry.subject_name_strategy = match strategy {
            Strategy::Topic => SubjectNameStrategy::Topic,
            Strategy::Record => SubjectNameStrategy::Record,
            Strategy::TopicRecord => SubjectNameStrategy::TopicRecord,
        };
    }
    if !base.pipeline.value.format.is_framed() || base.pipeline.value.unwrap != Unwrap::None {
        return Err(refuse(Fault::new(
            &HISTORY,
            "configuration: values without a schema of the registry, or change events, values whose schema a registry versions required",
        )));
    }
    let modes = match args.mode {
        None => vec![base.pipeline.evolution.mode],
        Some(Mode::Rotate) => vec![EvolutionMode::Rotate],
        Some(Mode::Latest) => vec![EvolutionMode::Latest],
        Some(Mode::Superset) => vec![EvolutionMode::Superset],
        Some(Mode::Fixed) => vec![EvolutionMode::Fixed],
        Some(Mode::All) => vec![
            EvolutionMode::Rotate,
            EvolutionMode::Latest,
            EvolutionMode::Superset,
            EvolutionMode::Fixed,
        ],
    };
    let begun = System::new();
    modes.into_iter().map(|mode| one_mode(args, &base, mode, begun)).collect()
}

/// The name of a mode, as the configuration has it.
pub fn mode_name(mode: EvolutionMode) -> &'static str {
    match mode {
        EvolutionMode::Rotate => "rotate",
        EvolutionMode::Latest => "latest",
        EvolutionMode::Superset => "superset",
        EvolutionMode::Fixed => "fixed",
    }
}

fn real(args: &Args, base: &Config) -> Result<Real, Stop> {
    let pipeline = &base.pipeline;
    let real = Real {
        brokers: args.brokers.clone().or(args.real.then(|| pipeline.source.brokers.clone())),
        registry: match &args.registry {
            Some(url) => Some(crate::registry::client::settings(url)),
            None => args.real.then(|| pipeline.registry.clone()),
        },
        sink: args.real.then(|| pipeline.sink.clone()),
    };
    if real.registry.is_some()
        && pipeline.registry.subject_name_strategy == SubjectNameStrategy::Record
    {
        return Err(refuse(Fault::new(
            &HISTORY,
            "strategy `record` with a real registry: versions would be registered under the records' own names, `topic` or `topic_record` required, or the embedded registry",
        )));
    }
    Ok(real)
}

/// `begun`: when the first mode did.
fn one_mode(
    args: &Args,
    base: &Config,
    mode: EvolutionMode,
    begun: System,
) -> Result<Report, Stop> {
    let clock = System::new();
    let runtime = runtime()?;
    let mut real = real(args, base)?;
    let is_real = real.brokers.is_some() || real.registry.is_some() || real.sink.is_some();
    let own = crate::clock::fresh_id();
    let name = match is_real {
        true => format!("evolve-{}-{}", own.get(..12).unwrap_or(&own), mode_name(mode)),
        false => format!("evolve-{}", mode_name(mode)),
    };
    if let Some(sink) = &mut real.sink {
        match &mut sink.url {
            SinkUrl::S3 { prefix, .. } => {
                *prefix = format!("{prefix}/_{name}").trim_matches('/').to_owned()
            }
            SinkUrl::Local(root) => *root = root.join(format!("_{name}")),
        }
        sink.state = None;
    }
    let naming = Naming {
        strategy: base.pipeline.registry.subject_name_strategy,
        prefix: if is_real { format!("{name}-") } else { String::new() },
        message: args.message.clone(),
    };
    let mut histories = Histories::read(&args.folders, &naming).map_err(refuse)?;
    let phases = make_records(&histories.subjects, args).map_err(refuse)?;
    let folder = match &args.dir {
        Some(dir) => std::path::absolute(dir).unwrap_or_else(|_| dir.clone()).join(&name),
        None => stack::fresh_folder(),
    };
    let stack = Stack::start(&real, base, &folder, &runtime)?;
    let cleaner = Cleaner { folder: stack.folder.clone(), keep: args.dir.is_some() };
    let plan = Plan {
        name,
        topics: histories.topics(),
        mode,
        pin: args.pin,
        per_partition: args.records / phases.log.len().max(1) as u64,
    };
    let progress = Progress::new(begun, mode_name(mode));
    let mut job = Job::new(base, &stack, &plan, progress);
    let mut notes = Vec::new();
    if job.config.pipeline.evolution.on_incompatible != base.pipeline.evolution.on_incompatible {
        notes.push(
            "the configuration would pause where records do not fit; they are refused here"
                .to_owned(),
        );
    }
    let streamed = stream(args, &stack, &mut job, &mut histories, &phases, &runtime)?;
    let book = match args.expected {
        true => Some(folder.join("expected.jsonl")),
        false => None,
    };
    let of = &histories.subjects;
    let mut seen = read_back(&job, of, &phases, mode, &runtime, book.as_deref())?;
    streamed.stopped.into_iter().for_each(|finding| seen.findings.add(finding));
    let kept = cleaner.finish(seen.findings.is_empty());
    let options = row::Options::of(&job.config.pipeline).decode;
    let report = Report {
        mode: mode_name(mode),
        columns: Report::own_columns(&histories.subjects, &options),
        subjects: histories.subjects,
        seen,
        records: args.records,
        partitions: phases.log.len(),
        kills: streamed.kills,
        seed: args.seed,
        seconds: clock.now().mono_ms as f64 / 1e3,
        values: compares_values(base),
        kept: kept.map(|path| path.display().to_string()),
        notes,
    };
    Ok(report)
}

/// Cells follow the tables of docs/types.md.
fn compares_values(base: &Config) -> bool {
    let value = &base.pipeline.value;
    value.dialect.connect().is_none() && value.binary.is_empty()
}

/// A folder that goes when all is well.
struct Cleaner {
    folder: Option<PathBuf>,
    keep: bool,
}

impl Cleaner {
    /// The folder, if it stays.
    fn finish(mut self, holds: bool) -> Option<PathBuf> {
        self.keep |= !holds;
        self.folder.clone().filter(|_| self.keep)
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        if let (Some(folder), false) = (&self.folder, self.keep) {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// The records, in the order in which they are sent; the newest versions come in the second half.
struct Phases {
    log: Log,
    /// Kafka partition and offset of each record.
    order: Vec<(TopicPartition, usize)>,
    /// How many of them come before the newest versions are registered.
    first: usize,
    boundary: BTreeMap<TopicPartition, i64>,
}

fn make_records(subjects: &[Subject], args: &Args) -> Result<Phases, Fault> {
    let mut random = Seeded::new(args.seed);
    let evolves = subjects.iter().any(|s| s.versions.len() > 1);
    let first = if evolves { args.records / 2 } else { args.records };
    let mut turns: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    let mut made = Vec::with_capacity(args.records as usize);
    let mut bytes: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for n in 0..args.records {
        let subject = random.below(subjects.len() as u64) as usize;
        let versions = &subjects[subject].versions;
        let known = if n < first { (versions.len() - 1).max(1) } else { versions.len() };
        let version = random.below(known as u64) as usize;
        let number = turns.entry((subject, version)).or_default();
        let mut turn = make::Turn { random: &mut random, number: *number };
        *number += 1;
        let of = &versions[version];
        let body = make::body(&of.form, &of.schema, &mut turn).map_err(|why| {
            let place = of.path.display().to_string();
            Fault::new(&HISTORY, format!("records of version {}: {why}", of.number)).at(place)
        })?;
        let sum = bytes.entry(&subjects[subject].topic).or_default();
        *sum = (sum.0 + body.len() + 100, sum.1 + 1);
        made.push(Sent { subject, version, body });
    }
    let partitions: BTreeMap<&str, u64> = bytes
        .into_iter()
        .map(|(topic, (bytes, records))| {
            let least = (bytes / PARTITION.0) as u64 + records / PARTITION.1 + 1;
            (topic, least.max(u64::from(args.partitions)))
        })
        .collect();
    let mut log = Log::new();
    for (topic, count) in &partitions {
        log.extend((0..*count).map(|n| (TopicPartition::new(*topic, n as i32), Vec::new())));
    }
    let mut phases =
        Phases { log, order: Vec::new(), first: first as usize, boundary: BTreeMap::new() };
    for (n, sent) in made.into_iter().enumerate() {
        if n == phases.first {
            phases.mark();
        }
        let topic = subjects[sent.subject].topic.as_str();
        let count = partitions.get(topic).copied().unwrap_or(1);
        let tp = TopicPartition::new(topic, random.below(count) as i32);
        let all = phases.log.entry(tp.clone()).or_default();
        phases.order.push((tp, all.len()));
        all.push(sent);
    }
    if !evolves {
        phases.boundary = phases.log.keys().map(|tp| (tp.clone(), 0)).collect();
    }
    Ok(phases)
}

impl Phases {
    /// From here on the newest versions are registered.
    fn mark(&mut self) {
        self.boundary = self.log.iter().map(|(tp, log)| (tp.clone(), log.len() as i64)).collect();
    }
}

/// What the lives of the pipeline came to.
struct Streamed {
    kills: u64,
    stopped: Vec<Finding>,
}

/// Registers all versions but the newest, streams their records, registers the newest, streams the rest.
fn stream(
    args: &Args,
    stack: &Stack,
    job: &mut Job,
    histories: &mut Histories,
    phases: &Phases,
    runtime: &tokio::runtime::Runtime,
) -> Result<Streamed, Stop> {
    let client = Client::new(&job.config.pipeline.registry)?;
    let producer = Producer::new(&stack.brokers, stack.properties())?;
    for topic in histories.topics() {
        let of_topic = phases.log.keys().filter(|tp| *tp.topic == *topic).count() as i32;
        match &stack.kafka {
            Some(kafka) => kafka.create_topic(&topic, of_topic)?,
            None => drop(producer.create_topic(&topic, of_topic)?),
        }
    }
    // Not the order of the records: it is the same for every number of restarts.
    let mut random = Seeded::new(args.seed ^ 0x6b69_6c6c);
    let mut streamed = Streamed { kills: 0, stopped: Vec::new() };
    let (first, second) = phases.order.split_at(phases.first.min(phases.order.len()));
    for (n, part) in [first, second].into_iter().enumerate().filter(|(_, part)| !part.is_empty()) {
        runtime.block_on(histories.register(&client, 1 - n))?;
        for (tp, offset) in part {
            let Some(sent) = phases.log.get(tp).and_then(|log| log.get(*offset)) else { continue };
            let version = &histories.subjects[sent.subject].versions[sent.version];
            producer.send(Outgoing {
                topic: &tp.topic,
                partition: Some(tp.partition),
                value: Some(&version.framed(&sent.body)),
                ..Outgoing::default()
            })?;
        }
        producer.flush(FLUSH_MAX)?;
        let restarts = match n {
            _ if second.is_empty() => args.restarts,
            0 => args.restarts / 2,
            _ => args.restarts - args.restarts / 2,
        };
        for at in stack::kills(&mut random, part.len() as u64, restarts) {
            job.live(Some(at)).map_err(Stop::Refused)?;
            streamed.kills += 1;
        }
        let (ended, _) = job.live(None).map_err(Stop::Refused)?;
        if let Some(fault) = ended.fatal {
            return Err(fault.into());
        }
        for (tp, fault) in ended.stopped {
            streamed.stopped.push(Finding {
                kind: "stopped",
                partition: tp.to_string(),
                found: format!("{tp} stopped: {fault}"),
                expected: "every Kafka partition at its end".to_owned(),
                ..Finding::default()
            });
        }
    }
    Ok(streamed)
}

/// Files, values, and the audit of the chain.
fn read_back(
    job: &Job,
    subjects: &[Subject],
    phases: &Phases,
    mode: EvolutionMode,
    runtime: &tokio::runtime::Runtime,
    book: Option<&Path>,
) -> Result<read::Seen, Stop> {
    let pipeline = &job.config.pipeline;
    let pinned = mode == EvolutionMode::Fixed;
    let schema = pipeline::target(&pipeline.evolution).map_err(refuse)?;
    let message =
        subjects.first().and_then(|s| s.versions.first()).and_then(|v| v.encoder.record_name());
    let file = match &schema {
        Some(schema) => Some(form::Form::of(schema, message.as_deref()).map_err(refuse)?),
        None => None,
    };
    let expected = Expected {
        subjects,
        log: &phases.log,
        mode,
        pin: pipeline.evolution.version.filter(|_| pinned),
        file,
        either: false,
        boundary: phases.boundary.clone(),
        rules: expect::Rules {
            presence: pipeline.value.presence,
            recursion: pipeline.value.recursion,
            partial: false,
        },
        values: compares_values(&job.config),
    };
    let store = runtime.block_on(Store::open_to_read(&pipeline.sink))?;
    let mut prefixes: Vec<String> = subjects.iter().map(|s| format!("{}/", s.topic)).collect();
    prefixes.push(format!("{}/", pipeline.rejects.prefix));
    prefixes.sort();
    prefixes.dedup();
    let lost = |path: &Path, e: std::io::Error| {
        Fault::new(&LOCAL, format!("file `{}`: {e}; use another folder with --dir", path.display()))
    };
    let made = book.map(|path| {
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        folder.and_then(|()| read::Book::create(path)).map_err(|e| lost(path, e))
    });
    let made = made.transpose()?;
    job.progress.say(|| "reading the files back".to_owned());
    let seen = read::everything(&store, &pipeline.sink.url, &prefixes, &expected, made);
    let mut seen = runtime.block_on(seen)?;
    if let (Some(path), Some(book)) = (book, seen.book.take()) {
        book.finish().map_err(|e| lost(path, e))?;
    }
    let options = audit::Options::thorough(System::new().now().wall_ms);
    let audited = runtime.block_on(audit::audit(pipeline, &store, &options))?;
    if audited.violations() > 0 {
        seen.findings.add(Finding {
            kind: "audit",
            found: audited.text(),
            expected: "every offset in one commit, every file named once".to_owned(),
            ..Finding::default()
        });
    }
    Ok(seen)
}
