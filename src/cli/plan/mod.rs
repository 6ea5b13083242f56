//! `forebay plan`: the columns of a subject's versions, and what a new one would change.
//!
//! Owns: the arguments, the exit code.
//! Does not own: where versions come from (`source`), what becomes of rows (`modes`), how it is shown (`report`,
//! `text`), statements that make tables (`ddl`).
//! Absent: brokers, files of a pipeline; nothing is registered or written.

mod ddl;
mod modes;
mod report;
mod source;
mod text;

use std::path::PathBuf;

use clap::ValueEnum;

use self::modes::Setting;
use crate::cli::{ARGUMENTS, Exit, Output, failed, refused, runtime, say};
use crate::config::{
    self, Config, EvolutionMode, PartitionColumns, PartitionItem, Pipeline, Placed, Topics,
};
use crate::error::{Code, Fault, Kind};
use crate::partition::Partitioner;
use crate::pipeline;
use crate::registry::client::settings;
use crate::registry::{Client, subject_name};
use crate::wire::Side;

pub static DDL: Code = Code {
    id: "FB1060",
    kind: Kind::Halt,
    title: "a table that cannot be described",
    help: "The dialect has no statement for these columns or this place: the message says which. `--location` names the place where readers find the files.",
};

/// Every code of this command.
pub static CODES: &[&Code] = &[&DDL];

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  forebay plan --registry http://localhost:8081 --subject orders-value --new orders.proto
  forebay plan -c forebay.yaml --topic orders
  forebay plan -c forebay.yaml --topic orders --new order.avsc --mode latest
  forebay plan protos/orders
  forebay plan v1.avsc v2.avsc --mode superset --output json
  forebay plan -c forebay.yaml --topic orders --ddl athena

Exit code 3: the registry refuses the new version, or the mode cannot take it.
`fixed` pins what the configuration says, else the newest version before the new one.")]
pub struct Args {
    /// Configuration: its registry, its columns, partitions and evolution mode
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// URL of the registry
    #[arg(long, value_name = "URL", conflicts_with = "paths")]
    registry: Option<String>,
    /// The subject; default: that of the configuration's topic
    #[arg(long)]
    subject: Option<String>,
    /// A topic of the configuration; default: its only one
    #[arg(long, requires = "config")]
    topic: Option<String>,
    /// A schema file that is not registered yet: the newest version
    #[arg(long, value_name = "FILE")]
    new: Option<PathBuf>,
    /// The message, where a Protobuf file declares several; default: the first
    #[arg(long, value_name = "NAME")]
    message: Option<String>,
    /// The evolution mode that decides; default: the configuration's, else `rotate`
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Prints a statement that makes a table of the newest columns, and nothing else
    #[arg(long, value_enum, value_name = "DIALECT")]
    ddl: Option<ddl::Ddl>,
    /// Name of the table (`lake.orders`); default: the topic, else the subject, `_` for what is no letter or digit
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// Where the files are; default: the topic's folder in the configuration's sink
    #[arg(long, value_name = "URL", requires = "ddl")]
    location: Option<String>,
    /// A partition expression; repeatable; in place of the configuration's
    #[arg(long, value_name = "EXPR")]
    partition_by: Vec<String>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// In place of a registry: schema files, oldest first, or a folder of them
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
}

/// `evolution.mode` as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Each version its own columns
    Rotate,
    /// All rows those of the newest version
    Latest,
    /// All rows those of all versions together
    Superset,
    /// All rows those of one version
    Fixed,
}

/// What keeps a plan from being made.
pub(super) enum Stop {
    /// What was given is wrong.
    Refused(Vec<Fault>),
    /// The registry, say.
    Failed(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Refused(vec![fault])
    }
}

impl From<Vec<Fault>> for Stop {
    fn from(faults: Vec<Fault>) -> Self {
        Stop::Refused(faults)
    }
}

pub fn run(args: &Args) -> Exit {
    match plan(args) {
        Ok(exit) => exit,
        Err(Stop::Refused(faults)) => refused(&faults),
        Err(Stop::Failed(fault)) => failed(&fault),
    }
}

/// A configuration that says nothing: what is asked of it is defaults.
const NOTHING: &str = "pipeline: plan
source: { brokers: \"localhost:9092\", topics: [plan] }
registry: { url: \"http://localhost:8081\" }
sink: { url: . }
";

fn plan(args: &Args) -> Result<Exit, Stop> {
    let config = match &args.config {
        Some(path) => Some(Config::load(path, &config::Process)?),
        None => None,
    };
    let pipeline = match &config {
        Some(config) => config.pipeline.clone(),
        None => Config::parse(NOTHING, "defaults", &config::Process)?.pipeline,
    };
    if !pipeline.value.format.is_framed() {
        let text = "configuration: its `value.format` names no schemas of a registry, one of `auto`, `protobuf`, `avro` and `json_schema` required: other columns do not evolve";
        return Err(Fault::new(&ARGUMENTS, text).into());
    }
    let partitioner = partitioner(args, &pipeline)?;
    let topic = config.as_ref().map(|_| topic(args, &pipeline)).transpose()?.flatten();
    let runtime = runtime().map_err(Stop::Failed)?;
    let asked = match (args.paths.is_empty(), &args.registry, &config) {
        (false, ..) => source::files(&args.paths, args.subject.as_deref(), args.new.as_deref())?,
        (true, None, None) => {
            let text =
                "versions: no source given, `--registry URL`, `-c FILE` or schema files required";
            return Err(Fault::new(&ARGUMENTS, text).into());
        }
        (true, url, _) => {
            let client = match url {
                Some(url) => Client::new(&settings(url))?,
                None => Client::new(&pipeline.registry)?,
            };
            let subject = subject(args, &pipeline, topic.as_deref())?;
            runtime.block_on(source::registry(&client, &subject, args.new.as_deref()))?
        }
    };
    let mut notes = Vec::new();
    let options = pipeline::row::Options::of(&pipeline);
    let key = match (&asked.client, &topic) {
        (Some(client), Some(topic)) => runtime
            .block_on(crate::cli::check::schema::key(client, &pipeline, topic, &mut notes))
            .map_err(Stop::Failed)?,
        _ => options.key_plan()?,
    };
    let outlook = pipeline::versions::Outlook {
        options,
        format: pipeline.value.format,
        key,
        partitioner: &partitioner,
    };
    let setting = Setting {
        mode: mode(args, &pipeline),
        on_incompatible: pipeline.evolution.on_incompatible,
        pinned: pinned(&pipeline, &asked)?,
        message: args.message.clone(),
        table: args.table.clone().unwrap_or_else(|| table(topic.as_deref(), &asked.subject)),
    };
    let mut report = modes::report(asked, &outlook, &setting)?;
    report.notes.splice(0..0, notes);
    if let Some(dialect) = args.ddl {
        let place = ddl::location(args.location.as_deref(), &pipeline, topic.as_deref());
        let partitions = ddl::partitions(&partitioner, &report);
        say(ddl::statement(dialect, &setting.table, &report, &partitions, place)?);
        return Ok(report.exit());
    }
    match args.output {
        Output::Text => say(text::text(&report)),
        Output::Json => say(report.json()),
    }
    Ok(report.exit())
}

fn mode(args: &Args, pipeline: &Pipeline) -> EvolutionMode {
    match args.mode {
        Some(Mode::Rotate) => EvolutionMode::Rotate,
        Some(Mode::Latest) => EvolutionMode::Latest,
        Some(Mode::Superset) => EvolutionMode::Superset,
        Some(Mode::Fixed) => EvolutionMode::Fixed,
        None => pipeline.evolution.mode,
    }
}

/// The topic that is meant; none where a subject is named and the configuration has several topics.
fn topic(args: &Args, pipeline: &Pipeline) -> Result<Option<String>, Fault> {
    let names = match &pipeline.source.topics {
        Topics::Names(names) => names.clone(),
        Topics::Regex(_) => Vec::new(),
    };
    match (&args.topic, names.as_slice()) {
        (Some(topic), []) => Ok(Some(topic.clone())),
        (Some(topic), names) if names.contains(topic) => Ok(Some(topic.clone())),
        (Some(topic), names) => {
            let near = crate::partition::near::hint(topic, names.iter().map(String::as_str));
            let text = format!(
                "topic `{topic}`: not in the configuration, one of its topics required; {near}"
            );
            Err(Fault::new(&ARGUMENTS, text))
        }
        (None, [one]) => Ok(Some(one.clone())),
        (None, _) if args.subject.is_some() || !args.paths.is_empty() => Ok(None),
        (None, _) => {
            let text = "topic: the configuration has several, `--topic` or `--subject` required";
            Err(Fault::new(&ARGUMENTS, text))
        }
    }
}

fn subject(args: &Args, pipeline: &Pipeline, topic: Option<&str>) -> Result<String, Fault> {
    if let Some(subject) = &args.subject {
        return Ok(subject.clone());
    }
    let Some(topic) = topic else {
        return Err(Fault::new(&ARGUMENTS, "subject: none given, `--subject` required"));
    };
    let strategy = pipeline.registry.subject_name_strategy;
    subject_name(strategy, topic, Side::Value, args.message.as_deref()).map_err(|_| {
        let text = "subject: named after records by the configuration's `subject_name_strategy`, `--subject` required";
        Fault::new(&ARGUMENTS, text)
    })
}

/// The schema that `fixed` pins by the configuration.
fn pinned(pipeline: &Pipeline, asked: &source::Asked) -> Result<Option<modes::Pinned>, Fault> {
    let evolution = &pipeline.evolution;
    if let Some(schema) = pipeline::target(evolution)? {
        let label = evolution.schema.as_ref().map_or("", |placed| &placed.place).to_owned();
        return Ok(Some(modes::Pinned { label, schema }));
    }
    let Some(version) = evolution.version else { return Ok(None) };
    let label = version.to_string();
    let found = asked.versions.iter().find(|v| v.label == label);
    let schema = found.and_then(|version| version.schema.clone().ok());
    schema.map(|schema| Some(modes::Pinned { label, schema })).ok_or_else(|| {
        let text = format!(
            "evolution.version `{version}`: not among the versions of `{}` that can be used, one of them required",
            asked.subject
        );
        Fault::new(&ARGUMENTS, text)
    })
}

/// What the table is called: the topic; else the subject without what the strategy added. Catalogs take letters,
/// digits and `_`.
fn table(topic: Option<&str>, subject: &str) -> String {
    let name = topic.unwrap_or_else(|| subject.strip_suffix("-value").unwrap_or(subject));
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// What gives rows their keys.
fn partitioner(args: &Args, pipeline: &Pipeline) -> Result<Partitioner, Vec<Fault>> {
    if args.partition_by.is_empty() {
        return pipeline::partitioner(pipeline);
    }
    let item = |(i, text): (usize, &String)| PartitionItem {
        expr: Placed { text: text.clone(), place: format!("--partition-by, number {}", i + 1) },
        name: None,
        timezone: None,
    };
    let items: Vec<PartitionItem> = args.partition_by.iter().enumerate().map(item).collect();
    let key = pipeline.key.format.is_some();
    Partitioner::compile(&items, pipeline.sink.escape, PartitionColumns::Auto, key)
}
