//! `forebay check`: a configuration and what it points at.
//!
//! Owns: asking everything once, so that no finding hides another. Writes nothing but the store's probe,
//! and joins no group.

mod report;
mod sample;
pub(in crate::cli) mod schema;
mod state;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use self::report::{Area, Report, Sink, Start, Topic, estimate};
use crate::cli::{Exit, Output, failed, runtime, say};
use crate::config::{self, Config, Pipeline, Topics};
use crate::error::Fault;
use crate::partition::Partitioner;
use crate::pipeline;
use crate::position::TopicPartition;
use crate::source::kafka::{Look, TopicInfo};
use crate::source::{self, Starts};
use crate::store::{Probe, Store};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration, YAML.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Read this many records of each topic, from where they would start, and show rows and keys.
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    sample: u32,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Longest wait for the brokers' metadata.
const BROKERS_WAIT: Duration = Duration::from_secs(10);

pub fn run(args: &Args) -> Exit {
    let report = match Config::load(&args.config, &config::Process) {
        Ok(config) => match runtime() {
            Ok(runtime) => {
                let report = runtime.block_on(check(&config, args.sample as usize));
                // What still waits for an answer belongs to nothing.
                runtime.shutdown_background();
                report
            }
            Err(fault) => return failed(&fault),
        },
        Err(faults) => {
            let mut report = Report::default();
            report.find(Area::Configuration, faults);
            report
        }
    };
    match args.output {
        Output::Json => say(json!(report.json())),
        Output::Text => say(report.text()),
    }
    report.exit()
}

/// Everything that can be found without streaming.
async fn check(config: &Config, sample: usize) -> Report {
    let pipeline = &config.pipeline;
    let mut report = Report::about(config);
    report.find(Area::Configuration, source::check(&pipeline.source));
    let partitioner = match pipeline::partitioner(pipeline) {
        Ok(partitioner) => Some(partitioner),
        Err(faults) => {
            report.find(Area::Configuration, faults);
            None
        }
    };
    let token = match pipeline::token(&pipeline.source) {
        Ok(token) => token,
        Err(fault) => {
            report.find(Area::Configuration, [fault]);
            None
        }
    };
    let source = pipeline.source.clone();
    // A configuration that is wrong in itself was found above; without it there is no client.
    let asked = match source::check(&source).is_empty() {
        true => Some(tokio::task::spawn_blocking(move || cluster(&source, token))),
        false => None,
    };
    let (sink, store) = sink(pipeline, &mut report).await;
    report.sink = Some(sink);
    let look = match asked {
        Some(asked) => match asked.await {
            Ok(found) => found.into_report(&mut report),
            Err(_) => None,
        },
        None => None,
    };
    name_topics(pipeline, &mut report);
    if let Some((store, probe)) = store {
        state::check(&store, &probe, pipeline, &mut report).await;
    }
    schemas(pipeline, partitioner.as_ref(), look, sample, &mut report).await;
    report.estimate = estimate(pipeline, &report);
    report
}

/// What the cluster said.
#[derive(Default)]
struct Cluster {
    look: Option<Look>,
    described: Option<(usize, Option<String>, Vec<TopicInfo>)>,
    starts: Starts,
    faults: Vec<Fault>,
}

/// Asks brokers and group; blocks.
fn cluster(source: &config::Source, token: Option<crate::source::kafka::TokenFetcher>) -> Cluster {
    let mut cluster = Cluster::default();
    let look = match Look::open(source, token) {
        Ok(look) => look,
        Err(fault) => return Cluster { faults: vec![fault], ..cluster },
    };
    match look.describe(BROKERS_WAIT) {
        Ok((about, faults)) => {
            cluster.faults = faults;
            let partitions: Vec<TopicPartition> =
                about.topics.iter().flat_map(partitions_of).collect();
            match look.starts(&partitions) {
                Ok(starts) => cluster.starts = starts,
                Err(fault) => cluster.faults.push(fault),
            }
            cluster.described = Some((about.brokers, about.cluster_id, about.topics));
            cluster.look = Some(look);
        }
        Err(fault) => cluster.faults.push(fault),
    }
    cluster
}

fn partitions_of(topic: &TopicInfo) -> Vec<TopicPartition> {
    let name: std::sync::Arc<str> = topic.name.as_str().into();
    (0..topic.partitions as i32)
        .map(|p| TopicPartition { topic: name.clone(), partition: p })
        .collect()
}

impl Cluster {
    fn into_report(self, report: &mut Report) -> Option<Look> {
        report.find(Area::Broker, self.faults);
        let (brokers, cluster_id, topics) = self.described?;
        report.brokers = Some((brokers, cluster_id));
        for topic in topics {
            if topic.leaderless > 0 {
                let text = format!(
                    "topic `{}`: {} of {} Kafka partitions have no leader, one each required",
                    topic.name, topic.leaderless, topic.partitions
                );
                report.find(Area::Broker, [Fault::new(&source::codes::PARTITION, text)]);
            }
            report
                .topics
                .push(Topic { partitions: Some(topic.partitions), ..Topic::named(&topic.name) });
        }
        for (partition, start) in self.starts {
            match start {
                Ok(at) => {
                    let topic = report.topics.iter_mut().find(|t| *t.name == *partition.topic);
                    let start = Start { partition, offset: at.offset, why: at.why, log: at.log };
                    topic.into_iter().for_each(|t| t.starts.push(start.clone()));
                }
                Err(fault) => report.find(Area::Broker, [fault]),
            }
        }
        self.look
    }
}

/// Topics that the cluster did not show are asked about at the registry all the same.
fn name_topics(pipeline: &Pipeline, report: &mut Report) {
    if let Topics::Names(names) = &pipeline.source.topics {
        for name in names {
            if !report.topics.iter().any(|t| t.name == *name) {
                report.topics.push(Topic::named(name));
            }
        }
    }
    report.topics.sort_by(|a, b| a.name.cmp(&b.name));
}

/// What the probe found; the store with it, if it is fit to be asked more.
async fn sink(pipeline: &Pipeline, report: &mut Report) -> (Sink, Option<(Store, Probe)>) {
    let state = pipeline.sink.state.as_ref().map(ToString::to_string);
    let mut sink = Sink { url: pipeline.sink.url.to_string(), state, ..Sink::default() };
    let store = match Store::open(&pipeline.sink).await {
        Ok(store) => store,
        Err(fault) => {
            report.find(Area::Configuration, [fault]);
            return (sink, None);
        }
    };
    let probe = store.probe().await;
    sink.create_only = probe.create_only;
    sink.revives = probe.revives;
    sink.fit = probe.faults.is_empty();
    sink.requests = store.requests();
    report.find(Area::Sink, probe.faults.clone());
    let fit = sink.fit;
    (sink, fit.then_some((store, probe)))
}

/// Subjects and columns, then the sample.
async fn schemas(
    pipeline: &Pipeline,
    partitioner: Option<&Partitioner>,
    look: Option<Look>,
    sample: usize,
    report: &mut Report,
) {
    let client = match pipeline.asks_registry() {
        true => match crate::registry::Client::new(&pipeline.registry) {
            Ok(client) => Some(client),
            Err(fault) => return report.find(Area::Configuration, [fault]),
        },
        false => None,
    };
    let answers = match (&client, partitioner) {
        (Some(client), _) if pipeline.value.format.is_framed() => {
            schema::subjects(client, pipeline, partitioner, report).await
        }
        (client, Some(partitioner)) => {
            let keys = match client {
                Some(client) => schema::keys(client, pipeline, report).await,
                None => true,
            };
            schema::fixed(pipeline, partitioner, report) && keys
        }
        (_, None) => false,
    };
    let (Some(look), Some(partitioner), true, true) = (look, partitioner, answers, sample > 0)
    else {
        return;
    };
    sample::sample(look, client.as_ref(), pipeline, partitioner, sample, report).await;
}
