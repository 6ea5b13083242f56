//! Telemetry as OpenMetrics text and as JSON.

use std::fmt::Error;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::clock;
use crate::position::TopicPartition;
use crate::record::Oddities;
use crate::telemetry::{
    BUILD, CPU, DROPPED, PARTITION_AGES, PARTITION_COUNTERS, PARTITION_LEVELS, PREFIX,
    PROCESS_LEVELS, Partition, READY, REGISTRY_REQUESTS, REJECTS, Reason, SCHEMA_COUNTERS,
    STORE_REQUESTS, Telemetry,
};

/// The whole text of a scrape.
pub(super) fn metrics(telemetry: &Arc<Telemetry>, clock: clock::System) -> Result<String, Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Scrape { telemetry: telemetry.clone(), clock }));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

/// One reading of everything.
struct Scrape {
    telemetry: Arc<Telemetry>,
    clock: clock::System,
}

impl std::fmt::Debug for Scrape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scrape")
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let partitions: Vec<Series> =
            self.telemetry.partitions().into_iter().map(Series::new).collect();
        counters(&mut encoder, &partitions)?;
        levels(&mut encoder, &partitions)?;
        ages(&mut encoder, &partitions, self.clock.now().wall_ms)?;
        self.process(&mut encoder)?;
        requests(&mut encoder, STORE_REQUESTS, self.telemetry.store_requests())?;
        requests(&mut encoder, REGISTRY_REQUESTS, self.telemetry.registry_requests())
    }
}

/// A partition with its labels as text.
struct Series {
    topic: String,
    partition: String,
    values: Arc<Partition>,
}

impl Series {
    fn new((tp, values): (TopicPartition, Arc<Partition>)) -> Self {
        Self { topic: tp.topic.to_string(), partition: tp.partition.to_string(), values }
    }

    fn labels(&self) -> [(&str, &str); 2] {
        [("topic", &self.topic), ("partition", &self.partition)]
    }
}

fn counters(encoder: &mut DescriptorEncoder<'_>, partitions: &[Series]) -> Result<(), Error> {
    for metric in PARTITION_COUNTERS {
        let mut family =
            encoder.encode_descriptor(metric.name, metric.help, None, MetricType::Counter)?;
        for series in partitions {
            let value = (metric.read)(&series.values);
            ConstCounter::new(value).encode(family.encode_family(&series.labels())?)?;
        }
    }
    let by_code = |p: &Partition| p.rejects().into_iter().map(|(c, n)| (c.to_owned(), n)).collect();
    labelled(encoder, partitions, REJECTS, "code", by_code)?;
    let by_column = |p: &Partition| p.dropped_columns().into_iter().collect();
    labelled(encoder, partitions, DROPPED, "column", by_column)?;
    for metric in SCHEMA_COUNTERS {
        let by_schema = |p: &Partition| {
            let counts =
                p.oddities().into_iter().map(|(id, o)| (id.to_string(), (metric.read)(&o)));
            counts.filter(|(_, count)| *count > 0).collect()
        };
        labelled(encoder, partitions, (metric.name, metric.help), "schema_id", by_schema)?;
    }
    Ok(())
}

fn oddities(oddities: Oddities) -> serde_json::Value {
    let counts = SCHEMA_COUNTERS.iter().map(|m| (m.name.to_owned(), json!((m.read)(&oddities))));
    serde_json::Value::Object(counts.collect())
}

/// A counter with one label more than its Kafka partition.
fn labelled(
    encoder: &mut DescriptorEncoder<'_>,
    partitions: &[Series],
    (name, help): (&'static str, &'static str),
    label: &'static str,
    read: impl Fn(&Partition) -> Vec<(String, u64)>,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for series in partitions {
        for (value, count) in read(&series.values) {
            let [topic, partition] = series.labels();
            let labels = [topic, partition, (label, value.as_str())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn levels(encoder: &mut DescriptorEncoder<'_>, partitions: &[Series]) -> Result<(), Error> {
    for metric in PARTITION_LEVELS {
        let mut family =
            encoder.encode_descriptor(metric.name, metric.help, None, MetricType::Gauge)?;
        for series in partitions {
            if let Some(value) = (metric.read)(&series.values) {
                ConstGauge::new(value).encode(family.encode_family(&series.labels())?)?;
            }
        }
    }
    Ok(())
}

fn ages(
    encoder: &mut DescriptorEncoder<'_>,
    partitions: &[Series],
    now_ms: i64,
) -> Result<(), Error> {
    for (name, help, read) in PARTITION_AGES {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for series in partitions {
            if let Some(ms) = read(&series.values, now_ms) {
                let seconds = ms as f64 / 1_000.0;
                ConstGauge::new(seconds).encode(family.encode_family(&series.labels())?)?;
            }
        }
    }
    Ok(())
}

impl Scrape {
    fn process(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        for metric in PROCESS_LEVELS {
            if let Some(value) = (metric.read)(&self.telemetry.process) {
                ConstGauge::new(value).encode(gauge(encoder, metric.name, metric.help)?)?;
            }
        }
        let ready = i64::from(self.telemetry.reasons().is_empty());
        ConstGauge::new(ready).encode(gauge(encoder, READY.0, READY.1)?)?;
        let cpu = self.clock.process_cpu().as_secs_f64();
        let counter = encoder.encode_descriptor(CPU.0, CPU.1, None, MetricType::Counter)?;
        ConstCounter::new(cpu).encode(counter)?;
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("target", std::env::consts::ARCH)];
        let mut build = gauge(encoder, BUILD.0, BUILD.1)?;
        ConstGauge::new(1i64).encode(build.encode_family(&labels)?)
    }
}

fn gauge<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    name: &'e str,
    help: &str,
) -> Result<MetricEncoder<'e>, Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)
}

fn requests(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    counts: Vec<(&'static str, &'static str, u64)>,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (verb, outcome, count) in counts {
        let labels = [("verb", verb), ("outcome", outcome)];
        ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// Reasons for not being ready.
pub(super) fn reasons(reasons: &[Reason]) -> Vec<Value> {
    let one = |reason: &Reason| {
        json!({
            "what": reason.what,
            "partition": reason.partition.as_ref().map(ToString::to_string),
            "code": reason.fault.as_ref().map(|f| f.code.id),
            "message": reason.fault.as_ref().map(ToString::to_string),
            "help": reason.fault.as_ref().map(|f| f.code.help),
        })
    };
    reasons.iter().map(one).collect()
}

/// The process at a glance.
pub(super) fn status(telemetry: &Telemetry, now_ms: i64) -> Value {
    let partition = |(tp, p): &(TopicPartition, Arc<Partition>)| {
        json!({
            "topic": &*tp.topic,
            "partition": tp.partition,
            "position": p.position.get(),
            "committed": p.committed.get(),
            "end": p.end.get(),
            "lag_offsets": p.lag(),
            "lag_ms": p.lag_ms(now_ms),
            "commit_age_ms": p.commit_age_ms(now_ms),
            "records": p.records.get(),
            "rows": p.rows.get(),
            "rejects": p.rejects().into_iter().map(|(c, n)| (c.to_owned(), json!(n))).collect::<serde_json::Map<_, _>>(),
            "oddities": p.oddities().into_iter().map(|(id, o)| (id.to_string(), oddities(o))).collect::<serde_json::Map<_, _>>(),
            "files": p.files.get(),
            "evolution": {
                "switches": p.switches.get(),
                "projected_rows": p.projected.get(),
                "incompatible_rows": p.incompatible.get(),
                "dropped_column_rows": p.dropped_columns(),
                "open_schemas": p.open_schemas.get(),
            },
            "stopped": p.stopped().map(|f| f.to_string()),
        })
    };
    let found = telemetry.reasons();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "phase": format!("{:?}", telemetry.phase()).to_lowercase(),
        "ready": found.is_empty(),
        "reasons": reasons(&found),
        "partitions": telemetry.partitions().iter().map(partition).collect::<Vec<_>>(),
    })
}
