//! The whole: every stage and channel. The one room that sees all others.
//!
//! Owns: building a pipeline from its configuration, and running it.
//! Does not own: any stage.
//!
//! ```text
//! source ─▶ task: intake (wire, decode, partition) ─▶ lanes (file) ─▶ store ─▶ commit ─▶ source
//! ```

pub mod lanes;
pub mod breaker;
pub mod row;
pub mod intake;
pub mod versions;
pub mod task;
pub mod effects;
pub mod state;
pub mod watch;
pub mod worker;
pub mod rebuild;
pub mod operate;
pub mod threads;
pub mod simulated;

use std::sync::Arc;
use std::time::Duration;

use crate::clock::System;
use crate::commit::machine::Policy;
use crate::config::{self, Config, SinkUrl};
use crate::decode;
use crate::error::{Code, Fault};
use crate::file::{self, Encoding};
use crate::partition::Partitioner;
use crate::pipeline::effects::Shared;
use crate::pipeline::lanes::Files;
use crate::pipeline::row::{RowPlan, ValuePlan};
use crate::pipeline::task::{Evolution, Settings};
use crate::pipeline::threads::{Budget, Control, Ended, Run};
use crate::pipeline::watch::Watch;
use crate::registry;
use crate::server;
use crate::source::kafka::{self, KafkaSource};
use crate::source::{self, Source};
use crate::store::Store;

/// Every code of this room.
pub static CODES: &[&Code] = &[
    &lanes::GATHER,
    &intake::NO_SCHEMA,
    &intake::TOMBSTONE,
    &intake::TOO_LARGE,
    &intake::FORMAT,
    &intake::PLAN,
    &row::build::ROWS,
    &worker::PANIC,
    &simulated::AWAY,
];

/// Bytes that librdkafka may hold unread of one Kafka partition.
const QUEUE_BYTES: usize = 8 << 20;
/// Longest wait for brokers at the start of a drain.
const BROKERS_MAX: Duration = Duration::from_secs(15);
/// Bytes of one part handed to a store that does not ask for more.
pub const PART_BYTES: usize = 8 << 20;

/// What a run is told beside its configuration.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Stop at the end offsets seen at the start.
    pub drain: bool,
    pub clock: System,
}

/// Builds every stage and streams on this thread until asked to leave, drained, or stopped.
///
/// Errors: all findings about the configuration and about what it points at, before anything is read.
pub fn run(
    config: &Config,
    options: Options,
    control: Arc<Control>,
    watch: Arc<Watch>,
    runtime: &tokio::runtime::Handle,
) -> Result<Ended, Vec<Fault>> {
    let pipeline = &config.pipeline;
    let partitioner = partitioner(pipeline)?;
    let registry = match pipeline.asks_registry() {
        true => Some(Arc::new(registry::Client::new(&pipeline.registry).map_err(|f| vec![f])?)),
        false => None,
    };
    fixed_columns(pipeline, &partitioner)?;
    let target = target(&pipeline.evolution).map_err(|f| vec![f])?;
    let store = runtime.block_on(Store::open(&pipeline.sink)).map_err(|f| vec![f])?;
    let authority = pipeline.commit.authority;
    let store = match authority {
        config::Authority::Store => store,
        config::Authority::Kafka => store.unconditional(),
    };
    let probe = runtime.block_on(store.probe());
    if !probe.faults.is_empty() {
        return Err(probe.faults);
    }
    let memory = Budget::of(config.memory_limit);
    let faults = source::check(&pipeline.source);
    if !faults.is_empty() {
        return Err(faults);
    }
    let token = token(&pipeline.source).map_err(|f| vec![f])?;
    if options.drain {
        // Without its topics a drain would wait for ever; a run waits for them to be made.
        kafka::describe(&pipeline.source, token.clone(), BROKERS_MAX).map_err(|f| vec![f])?;
    }
    let transactional_id = (authority == config::Authority::Kafka)
        .then(|| format!("forebay-{}-{}", pipeline.name, crate::clock::fresh_id()));
    let queue_bytes = QUEUE_BYTES.min(memory.raw / 4);
    let kafka = kafka::Options { queue_bytes, transactional_id, token };
    let mut source = KafkaSource::open(&pipeline.source, kafka).map_err(|f| vec![f])?;
    let cluster = source.cluster_id();
    let own = state::format(pipeline, cluster.clone(), &probe).map_err(|f| vec![f])?;
    runtime.block_on(state::apart(&store, pipeline)).map_err(|f| vec![f])?;
    let format = runtime.block_on(state::admit(&store, &own)).map_err(|f| vec![f])?;
    // Brokers that are away say nothing now: files are named as in every other run, or no janitor knew them.
    let cluster = cluster.or(format.cluster);
    runtime.block_on(state::sweep_disk(&store));
    let part_bytes = store.part_bytes().max(PART_BYTES);
    let mut settings = settings(pipeline, partitioner, part_bytes, cluster);
    settings.target = target;
    let _server =
        serve(config, &watch, &store, registry.as_deref(), runtime).map_err(|f| vec![f])?;
    Ok(threads::run(Run {
        source,
        settings: Arc::new(settings),
        registry,
        shared: Arc::new(Shared::new(store).reviving(probe.revives)),
        runtime: runtime.clone(),
        control,
        watch,
        clock: options.clock,
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        memory,
        drain: options.drain,
        shutdown_timeout: config.shutdown_timeout,
        topics_every: threads::TOPICS_EVERY,
    }))
}

/// Health and metrics, if `listen` asks for them; they end with the handle.
fn serve(
    config: &Config,
    watch: &Watch,
    store: &Store,
    registry: Option<&registry::Client>,
    runtime: &tokio::runtime::Handle,
) -> Result<Option<server::Handle>, Fault> {
    let telemetry = watch.telemetry();
    let store = store.clone();
    telemetry.watch_store(Arc::new(move || store.requests()));
    if let Some(registry) = registry.cloned() {
        telemetry.watch_registry(Arc::new(move || registry.stats().requests()));
    }
    telemetry.process.memory_limit_bytes.set(config.memory_limit as i64);
    let Some(address) = &config.listen else { return Ok(None) };
    let handle = runtime.block_on(server::start(address, telemetry.clone()))?;
    tracing::info!("health and metrics on http://{}", handle.address());
    Ok(Some(handle))
}

/// What fetches the tokens of `source.oauth`, where it is set.
pub fn token(source: &config::Source) -> Result<Option<kafka::TokenFetcher>, Fault> {
    source.oauth.as_ref().map(registry::token::fetcher).transpose()
}

/// Compiles `partition_by`. Errors: every finding, code 06xx.
pub fn partitioner(pipeline: &config::Pipeline) -> Result<Partitioner, Vec<Fault>> {
    let sink = &pipeline.sink;
    let prefix = match &sink.url {
        SinkUrl::S3 { prefix, .. } => prefix.len() + 1,
        SinkUrl::Local(_) => 0,
    };
    let key = pipeline.key.format.is_some();
    Partitioner::compile(&pipeline.partition_by, sink.escape, sink.partition_columns, key)
        .map(|partitioner| partitioner.reserving(prefix + file::name::NAME_MAX))
}

/// Columns that the configuration gives every row, with `partition_by` fitted to them; none where they
/// come with the records. A key's columns may still be unknown. Errors: all findings.
pub fn fixed_columns(
    pipeline: &config::Pipeline,
    partitioner: &Partitioner,
) -> Result<Option<Arc<RowPlan>>, Vec<Fault>> {
    let options = row::Options::of(pipeline);
    let key = options.key_plan().map_err(|f| vec![f])?;
    let fixed = decode::Plan::fixed(&options.decode).map_err(|f| vec![f])?;
    let Some(plan) = fixed else { return Ok(None) };
    let value = ValuePlan { plan, schema: None, target: None };
    let plan = RowPlan::new(Some(value), key, &options).map_err(|f| vec![f])?;
    partitioner.bind(&plan.schema, options.key.comes_later())?;
    Ok(Some(plan))
}

/// The schema of `evolution.schema`. Errors: those of its language, at its place.
pub fn target(evolution: &config::Evolution) -> Result<Option<Arc<registry::Schema>>, Fault> {
    let Some(schema) = &evolution.schema else { return Ok(None) };
    let language = match &schema.place {
        place if place.ends_with(".proto)") => registry::Language::Protobuf,
        place if place.ends_with(".avsc)") => registry::Language::Avro,
        _ => registry::Language::Json,
    };
    let compiled = registry::compile::compile(0, language, &schema.text, &[]);
    compiled.map(|schema| Some(Arc::new(schema))).map_err(|f| f.at(schema.place.clone()))
}

/// What the tasks of a pipeline share. `cluster`: id of the Kafka cluster, where it has one.
pub fn settings(
    pipeline: &config::Pipeline,
    partitioner: Partitioner,
    part_bytes: usize,
    cluster: Option<String>,
) -> Settings {
    let sink = &pipeline.sink;
    Settings {
        row: row::Options::of(pipeline),
        wire: pipeline.wire.clone(),
        value_indexes: None,
        target: None,
        evolution: Evolution::of(pipeline),
        partitioner,
        files: Arc::new(Files {
            pipeline: pipeline.name.clone(),
            encoding: Encoding {
                compression: sink.compression,
                level: sink.compression_level,
                readers: pipeline.readers.clone(),
            },
            rotate: pipeline.rotate,
            part_bytes,
            cluster,
        }),
        commit: pipeline.commit.clone(),
        policy: Policy {
            skip_lost: pipeline.commit.skip_lost_offsets,
            restart_recreated: pipeline.commit.restart_recreated,
            reset_truncated: pipeline.commit.reset_truncated,
            ignore_ahead: pipeline.commit.ignore_group_ahead,
            adopt_lost: pipeline.commit.adopt_lost_authority,
        },
        unknown_id_grace_ms: pipeline.registry.unknown_id_grace.as_millis() as u64,
        rejects_prefix: pipeline.rejects.prefix.clone(),
        breaker: pipeline.rejects.breaker,
        unusable_schema: pipeline.rejects.unusable_schema,
    }
}
