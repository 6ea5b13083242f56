//! `forebay demo`: the main job with everything embedded.
//!
//! Kafka is librdkafka's mock cluster, the registry is the embedded one, the sink is a local folder:
//! no network, no broker, no Java. What runs between them is what `forebay run` runs.

mod data;
mod evolution;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::evolve::Mode;
use crate::cli::{ARGUMENTS, Exit, LOCAL, audit, failed, refused, run, runtime, say};
use crate::clock::{Seeded, System};
use crate::config::{self, Config};
use crate::error::Fault;
use crate::pipeline::threads::Control;
use crate::pipeline::watch::Watch;
use crate::pipeline::{self, Options};
use crate::registry::client::{NewSchema, settings};
use crate::registry::encode::Encoder;
use crate::registry::{Client, Language, Lookup, server};
use crate::source::mock::Mock;
use crate::source::producer::{Outgoing, Producer};
use crate::store::Store;
use crate::wire::SchemaRef;

/// Seed of the demo's records: every run makes the same.
const SEED: u64 = 20_260_101;
/// Longest wait for the mock brokers to confirm the records.
const FLUSH_MAX: Duration = Duration::from_secs(60);
/// Most records: mock brokers keep 5 MiB a partition.
const RECORDS_MAX: u64 = 1_000_000;
/// Records that a partition of a mock broker surely keeps.
const RECORDS_PER_PARTITION: u64 = 15_000;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Records to stream, half orders, half payments.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(2..=RECORDS_MAX))]
    records: u64,
    /// Folder for the files; a folder of an earlier demo is replaced.
    #[arg(long, default_value = "forebay-demo", value_name = "DIR")]
    dir: PathBuf,
    /// Both versions of each schema from the first record to the last, and what that did to the files.
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "rotate", value_name = "MODE")]
    evolve: Option<Mode>,
}

/// One topic of the demo.
struct Topic {
    name: &'static str,
    language: Language,
    /// Schema texts, version by version.
    versions: [&'static str; 2],
}

const TOPICS: [Topic; 2] = [
    Topic {
        name: "orders",
        language: Language::Protobuf,
        versions: [
            include_str!("../../../protos/orders/v1.proto"),
            include_str!("../../../protos/orders/v2.proto"),
        ],
    },
    Topic {
        name: "payments",
        language: Language::Avro,
        versions: [
            include_str!("../../../schemas/payments/v1.avsc"),
            include_str!("../../../schemas/payments/v2.avsc"),
        ],
    },
];

pub fn run(args: &Args) -> Exit {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(fault) => return failed(&fault),
    };
    match demo(args, &runtime) {
        Ok(exit) => exit,
        Err(faults) => match refused(&faults) {
            Exit::Refused => Exit::Fault,
            other => other,
        },
    }
}

fn demo(args: &Args, runtime: &tokio::runtime::Runtime) -> Result<Exit, Vec<Fault>> {
    let one = |fault: Fault| vec![fault];
    if args.evolve == Some(Mode::All) {
        let why = "mode `all`: the demo runs one, rotate, latest, superset or fixed required; `forebay evolve` runs all";
        return Err(vec![Fault::new(&ARGUMENTS, why).at("--evolve")]);
    }
    let clock = System::new();
    prepare(&args.dir).map_err(one)?;
    let kafka = Mock::new(1).map_err(one)?;
    let registry = runtime.block_on(server::start("127.0.0.1:0")).map_err(one)?;
    say(format_args!("Kafka     {} (mock brokers inside this process)", kafka.brokers()));
    say(format_args!("registry  {} (embedded)", registry.url));
    say(format_args!("sink      {}\n", args.dir.display()));

    let encoders = runtime.block_on(register(&registry.url)).map_err(one)?;
    let partitions = (args.records / 2).div_ceil(RECORDS_PER_PARTITION).max(4) as i32;
    for topic in &TOPICS {
        kafka.create_topic(topic.name, partitions).map_err(one)?;
    }
    let flips = produce(&kafka.brokers(), &encoders, args, partitions).map_err(one)?;
    let made_ms = clock.now().mono_ms;
    say(format_args!(
        "\n{} records in {} Kafka partitions, made in {:.1} s. Streaming:",
        args.records,
        partitions * TOPICS.len() as i32,
        made_ms as f64 / 1e3
    ));

    let config = config(&kafka.brokers(), &registry.url, args)?;
    let watch = Arc::new(Watch::new(clock));
    let progress = runtime.spawn(show::progress(watch.clone(), args.records));
    let options = Options { drain: true, clock };
    let cpu_before = clock.process_cpu();
    let ended = pipeline::run(
        &config,
        options,
        Arc::new(Control::default()),
        watch.clone(),
        runtime.handle(),
    )?;
    progress.abort();
    let totals = watch.totals();
    let (wall, cpu) = (
        (clock.now().mono_ms - made_ms) as f64 / 1e3,
        (clock.process_cpu() - cpu_before).as_secs_f64(),
    );
    say(format_args!(
        "\nstreamed in {wall:.1} s: {} records -> {} rows in {} files, {} rejects; {:.2} CPU-us a record, mock brokers included\n",
        totals.records,
        totals.rows,
        totals.files,
        totals.rejected(),
        cpu.max(0.0) * 1e6 / totals.records.max(1) as f64
    ));
    let audited = runtime.block_on(prove(&config.pipeline, clock)).map_err(one)?;
    show::results(&args.dir).map_err(one)?;
    if let Some(mode) = args.evolve {
        evolution::report(&args.dir, mode, &flips).map_err(one)?;
    }
    Ok(match run::exit_of(&ended, true) {
        Exit::Done => audited,
        other => other,
    })
}

/// What `forebay audit --deep --strict --expect-all` says.
async fn prove(pipeline: &config::Pipeline, clock: System) -> Result<Exit, Fault> {
    let store = Store::open_to_read(&pipeline.sink).await?;
    let report =
        audit::audit(pipeline, &store, &audit::Options::thorough(clock.now().wall_ms)).await?;
    if report.violations() > 0 {
        say(format_args!("audit {}\n", report.text()));
        return Ok(Exit::No);
    }
    say(format_args!(
        "audit {}: every offset in one commit, every file named once\n",
        report.verdict()
    ));
    Ok(Exit::Done)
}

/// An empty folder; one that holds anything but an earlier demo is refused.
fn prepare(dir: &std::path::Path) -> Result<(), Fault> {
    let fault = |what: &str, e: &dyn std::fmt::Display| {
        Fault::new(
            &LOCAL,
            format!("folder `{}`: {what}{e}; use another one with --dir", dir.display()),
        )
    };
    let old: Vec<_> = match std::fs::read_dir(dir) {
        Ok(entries) => entries.flatten().map(|e| e.path()).collect(),
        Err(_) => Vec::new(),
    };
    let is_ours = |path: &PathBuf| {
        path.file_name()
            .and_then(|n| n.to_str())
            .is_some_and(|name| name == "_forebay" || TOPICS.iter().any(|t| t.name == name))
    };
    if let Some(other) = old.iter().find(|p| !is_ours(p)) {
        let other = other.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(fault("it holds something that no demo made: ", &other));
    }
    for path in old {
        std::fs::remove_dir_all(&path).map_err(|e| fault("", &e))?;
    }
    std::fs::create_dir_all(dir).map_err(|e| fault("", &e))
}

/// Encoders of each topic, version by version, with the schema's id.
type Encoders = Vec<Vec<(u32, Encoder)>>;

/// Registers all versions of all topics.
async fn register(url: &str) -> Result<Encoders, Fault> {
    let client = Client::new(&settings(url))?;
    let mut encoders = Vec::new();
    for topic in &TOPICS {
        let subject = format!("{}-value", topic.name);
        let mut of_topic = Vec::new();
        for text in topic.versions {
            let new = NewSchema {
                language: topic.language,
                text: text.to_string(),
                references: Vec::new(),
            };
            let (id, version) =
                client.register(&subject, &new).await.map_err(Lookup::into_fault)?;
            say(format_args!(
                "registered {subject} version {version} as id {id} ({})",
                topic.language.name()
            ));
            let schema = client.by_ref(SchemaRef::Id(id)).await.map_err(Lookup::into_fault)?;
            of_topic.push((id, Encoder::new(schema, None)?));
        }
        encoders.push(of_topic);
    }
    Ok(encoders)
}

/// Fills the topics: version 1 first; from the middle on both versions interleave, as they do while
/// producers are rolled out; version 2 alone at the end. With `--evolve` they interleave all the time.
fn produce(
    brokers: &str,
    encoders: &Encoders,
    args: &Args,
    partitions: i32,
) -> Result<evolution::Flips, Fault> {
    let records = args.records;
    let mut last: BTreeMap<(usize, i32), u32> = BTreeMap::new();
    let mut flips = evolution::Flips::new();
    let producer = Producer::new(brokers, &Default::default())?;
    let mut random = Seeded::new(SEED);
    for index in 0..records {
        let version = match index * 100 / records {
            _ if args.evolve.is_some() => 1 + random.below(2) as u32,
            0..45 => 1,
            45..55 => 1 + random.below(2) as u32,
            _ => 2,
        };
        let topic = (index % 2) as usize;
        let time_ms = data::time_ms(&mut random, index, records);
        let (key, value) = match topic {
            0 => data::order(&mut random, index, time_ms, version),
            _ => data::payment(&mut random, time_ms, version),
        };
        // Named here, so that the changes of version in each Kafka partition are known.
        let partition = args.evolve.map(|_| random.below(partitions.max(1) as u64) as i32);
        let before = last.insert((topic, partition.unwrap_or_default()), version);
        *flips.entry(TOPICS[topic].name).or_default() += u64::from(before != Some(version));
        let (id, encoder) = &encoders[topic][version as usize - 1];
        let payload = encoder.framed(SchemaRef::Id(*id), &value)?;
        producer.send(Outgoing {
            topic: TOPICS[topic].name,
            partition,
            key: Some(key.as_bytes()),
            value: Some(&payload),
            timestamp_ms: Some(time_ms),
            ..Outgoing::default()
        })?;
    }
    producer.flush(FLUSH_MAX)?;
    Ok(flips)
}

/// The configuration of the demo, as a user would write it.
fn config(brokers: &str, registry: &str, args: &Args) -> Result<Config, Vec<Fault>> {
    let dir = std::path::absolute(&args.dir).unwrap_or_else(|_| args.dir.clone());
    let mode = evolution::name(args.evolve.unwrap_or(Mode::Rotate));
    let pin = if mode == "fixed" { ", version: 1" } else { "" };
    let text = format!(
        "pipeline: demo\n\
         source:\n  brokers: {brokers}\n  topics: [orders, payments]\n\
         registry:\n  url: {registry}\n\
         partition_by:\n  - {{ name: market, expr: \"coalesce(country, currency)\" }}\n  - \"day(_timestamp)\"\n\
         metadata: [offset]\nsink:\n  url: {}\nevolution: {{ mode: {mode}{pin} }}\n",
        serde_json::Value::String(dir.display().to_string())
    );
    Config::parse(&text, "demo.yaml", &config::Process)
}
