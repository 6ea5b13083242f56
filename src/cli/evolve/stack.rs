//! What the records stream through: brokers, registry and sink, embedded or real, and the pipeline over them,
//! killed and started again.
//!
//! Owns: the pipeline's configuration for one mode, its lives.
//! Bounded by: mock brokers keep 5 MiB of a Kafka partition: the caller spreads its records.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::progress::Progress;
use crate::cli::{LOCAL, runtime};
use crate::clock::{self, Seeded, System};
use crate::config::{
    self, Config, EvolutionMode, Key, Metadata, OnIncompatible, PartitionColumns, SinkUrl, Start,
    Topics, UnknownFields, UnusableSchema,
};
use crate::error::Fault;
use crate::pipeline::threads::{Control, Ended};
use crate::pipeline::watch::{Totals, Watch};
use crate::pipeline::{self, Options};
use crate::registry::server;
use crate::source::mock::Mock;

/// How often a life that is to be killed is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// Commits that each Kafka partition makes, about.
const COMMITS: u64 = 6;

/// Brokers, registry and sink.
pub struct Stack {
    pub brokers: String,
    pub registry: config::Registry,
    pub sink: config::Sink,
    properties: std::collections::BTreeMap<String, config::Secret>,
    /// The mock brokers, where no real ones were given.
    pub kafka: Option<Mock>,
    pub registry_is_embedded: bool,
    /// Folder of the files, if it is one.
    pub folder: Option<PathBuf>,
    _server: Option<server::Handle>,
}

/// What is real.
#[derive(Debug, Clone, Default)]
pub struct Real {
    pub brokers: Option<String>,
    pub registry: Option<config::Registry>,
    pub sink: Option<config::Sink>,
}

impl Stack {
    /// Starts what is not given.
    pub fn start(
        real: &Real,
        base: &Config,
        folder: &Path,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Self, Fault> {
        let kafka = match real.brokers {
            Some(_) => None,
            None => Some(Mock::new(1)?),
        };
        let brokers = match (&real.brokers, &kafka) {
            (Some(brokers), _) => brokers.clone(),
            (None, kafka) => kafka.as_ref().map(Mock::brokers).unwrap_or_default(),
        };
        let embedded = match real.registry {
            Some(_) => None,
            None => Some(runtime.block_on(server::start_open("127.0.0.1:0"))?),
        };
        let registry = match (&real.registry, &embedded) {
            (Some(registry), _) => registry.clone(),
            (None, handle) => {
                let url = handle.as_ref().map(|h| h.url.clone()).unwrap_or_default();
                crate::registry::client::settings(&url)
            }
        };
        let (sink, folder) = match &real.sink {
            Some(sink) => (sink.clone(), None),
            None => {
                std::fs::create_dir_all(folder).map_err(|e| {
                    let shown = folder.display();
                    Fault::new(&LOCAL, format!("folder `{shown}`: {e}; use another one with --dir"))
                })?;
                let mut sink = base.pipeline.sink.clone();
                sink.url = SinkUrl::Local(folder.to_owned());
                sink.state = None;
                (sink, Some(folder.to_owned()))
            }
        };
        let properties = match kafka {
            Some(_) => Default::default(),
            None => base.pipeline.source.properties.clone(),
        };
        Ok(Self {
            brokers,
            registry,
            sink,
            properties,
            registry_is_embedded: embedded.is_some(),
            kafka,
            folder,
            _server: embedded,
        })
    }

    pub fn properties(&self) -> &std::collections::BTreeMap<String, config::Secret> {
        &self.properties
    }
}

/// One pipeline: what a mode makes of the records.
pub struct Job {
    pub config: Config,
    clock: System,
    /// A group for each life: mock brokers keep a member that left until its session times out. Where a life
    /// starts follows from the chain, whatever its group committed.
    own_groups: bool,
    /// Lives so far.
    lives: u64,
    pub progress: Arc<Progress>,
}

/// What is asked of a job.
#[derive(Debug, Clone)]
pub struct Plan {
    pub name: String,
    pub topics: Vec<String>,
    pub mode: EvolutionMode,
    /// Version that `fixed` pins, where the configuration names none.
    pub pin: u32,
    /// Records of one Kafka partition, about.
    pub per_partition: u64,
}

impl Job {
    /// `base` with what this run needs: its own places, offsets beside the values, frequent commits.
    pub fn new(base: &Config, stack: &Stack, plan: &Plan, progress: Progress) -> Self {
        let mut config = base.clone();
        config.listen = None;
        config.shutdown_timeout = Duration::from_secs(10);
        let pipeline = &mut config.pipeline;
        let strategy = pipeline.registry.subject_name_strategy;
        pipeline.name.clone_from(&plan.name);
        pipeline.source.brokers.clone_from(&stack.brokers);
        pipeline.source.topics = Topics::Names(plan.topics.clone());
        pipeline.source.group = format!("forebay-{}", plan.name);
        pipeline.source.start = Start::Earliest;
        pipeline.source.properties = stack.properties.clone();
        if stack.kafka.is_some() {
            pipeline.source.oauth = None;
        }
        pipeline.registry = stack.registry.clone();
        pipeline.registry.subject_name_strategy = strategy;
        pipeline.registry.unknown_id_grace = Duration::from_secs(2);
        pipeline.sink = stack.sink.clone();
        pipeline.sink.partition_columns = PartitionColumns::Keep;
        pipeline.partition_by = Vec::new();
        pipeline.metadata = vec![Metadata::Offset];
        pipeline.key = Key::default();
        pipeline.value.unknown_fields = UnknownFields::Drop;
        pipeline.value.extra = config::Extra::Drop;
        pipeline.commit.interval = Duration::from_secs(5);
        pipeline.commit.schedule = None;
        pipeline.commit.rows = Some((plan.per_partition / COMMITS).max(10));
        pipeline.rejects.prefix = format!("_rejects/{}", plan.name);
        pipeline.rejects.breaker = false;
        pipeline.rejects.unusable_schema = UnusableSchema::Reject;
        let evolution = &mut pipeline.evolution;
        evolution.mode = plan.mode;
        evolution.refresh = Duration::from_secs(1);
        if plan.mode != EvolutionMode::Fixed {
            evolution.version = None;
            evolution.schema = None;
        } else if evolution.version.is_none() && evolution.schema.is_none() {
            evolution.version = Some(plan.pin);
        }
        // Nobody registers another version here: what would wait is refused, and said.
        if evolution.on_incompatible == OnIncompatible::Pause {
            evolution.on_incompatible = OnIncompatible::Reject;
        }
        let clock = System::new();
        let progress = Arc::new(progress);
        Self { config, clock, own_groups: stack.kafka.is_some(), lives: 0, progress }
    }

    /// One life of the pipeline: until the end of the log, or killed after `kill_at` records.
    ///
    /// What a kill leaves behind is what a dead process leaves: nothing is sealed, and requests that are under
    /// way are dropped.
    pub fn live(&mut self, kill_at: Option<u64>) -> Result<(Ended, Totals), Vec<Fault>> {
        if self.own_groups {
            self.config.pipeline.source.group.push('+');
        }
        let runtime = runtime().map_err(|f| vec![f])?;
        let control = Arc::new(Control::default());
        let watch = Arc::new(Watch::new(self.clock));
        let over = Arc::new(AtomicBool::new(false));
        self.lives += 1;
        let beside = {
            let (control, watch, over) = (control.clone(), watch.clone(), over.clone());
            let (clock, progress, life) = (self.clock, self.progress.clone(), self.lives);
            std::thread::spawn(move || {
                let at = kill_at.unwrap_or(u64::MAX);
                while !over.load(Ordering::Relaxed) && watch.totals().records < at {
                    progress.life(life, &watch.totals());
                    clock.block(LOOK);
                }
                if kill_at.is_some() {
                    control.leave_at_once();
                }
            })
        };
        let options = Options { drain: true, clock: self.clock };
        let ended = pipeline::run(&self.config, options, control, watch.clone(), runtime.handle());
        over.store(true, Ordering::Relaxed);
        let _ = beside.join();
        runtime.shutdown_background();
        ended.map(|ended| (ended, watch.totals()))
    }
}

/// Points at which lives end early, rising or not: records read since the start of each.
pub fn kills(random: &mut Seeded, records: u64, restarts: u32) -> Vec<u64> {
    (0..restarts).map(|_| 1 + random.below(records.max(1))).collect()
}

/// A folder of this run alone.
pub fn fresh_folder() -> PathBuf {
    let id = clock::fresh_id();
    std::env::temp_dir().join(format!("forebay-evolve-{}", id.get(..16).unwrap_or(&id)))
}
