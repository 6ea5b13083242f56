//! Some records of each topic, decoded as a run would: rows and output keys.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch as Rows;

use super::report::{Area, Report, Sampled};
use crate::cli::rows;
use crate::config::Pipeline;
use crate::decode::json::connect;
use crate::decode::{Decoder, Plan};
use crate::error::Fault;
use crate::partition::{Context, Partitioner};
use crate::pipeline;
use crate::position::TopicPartition;
use crate::record::{Record, RecordBatch};
use crate::registry::{Client, Language, Lookup};
use crate::source::kafka::{Look, Stretch};
use crate::wire::{Frame, MessageIndexes, SchemaRef, Side};

/// Longest wait for the records of one topic.
const WAIT: Duration = Duration::from_secs(10);

/// Reads and decodes `count` records of each topic into the report.
pub(super) async fn sample(
    look: Look,
    client: Option<&Client>,
    pipeline: &Pipeline,
    partitioner: &Partitioner,
    count: usize,
    report: &mut Report,
) {
    let mut look = Some(look);
    for index in 0..report.topics.len() {
        let topic = &mut report.topics[index];
        let stretches = stretches(topic, count);
        if stretches.is_empty() {
            topic.notes.push("sample: the topic holds no record".to_owned());
            continue;
        }
        let Some(asked) = look.take() else { return };
        let read = tokio::task::spawn_blocking(move || {
            let read = asked.sample(&stretches, count, WAIT);
            (asked, read)
        });
        let Ok((back, (batches, faults))) = read.await else { return };
        look = Some(back);
        report.find(Area::Broker, faults);
        let mut sampler = Sampler { client, pipeline, partitioner, plans: HashMap::new() };
        let mut sampled = Vec::new();
        'records: for batch in &batches {
            for record in batch.iter() {
                if sampled.len() >= count {
                    break 'records;
                }
                match sampler.take(batch, &record).await {
                    Ok(outcome) => sampled.push(Sampled {
                        partition: batch.topic_partition.partition,
                        offset: record.offset,
                        outcome,
                    }),
                    Err(fault) => {
                        report.find(Area::Registry, [fault]);
                        break 'records;
                    }
                }
            }
        }
        report.topics[index].sampled = sampled;
    }
    // The client waits for its threads; no async thread should.
    let _ = tokio::task::spawn_blocking(move || drop(look)).await;
}

/// From the starts on; where nothing waits, the last records there are.
fn stretches(topic: &mut super::report::Topic, count: usize) -> Vec<Stretch> {
    let none_waits = topic.starts.iter().all(|s| s.offset >= s.log.high);
    let stretches: Vec<Stretch> = topic
        .starts
        .iter()
        .map(|s| {
            let last = s.log.high.saturating_sub(count as i64).max(s.log.low);
            let from = if none_waits { last } else { s.offset };
            Stretch { partition: s.partition.clone(), from, log: s.log }
        })
        .filter(|s| s.from < s.log.high)
        .collect();
    if none_waits && !stretches.is_empty() {
        topic.notes.push("sample: no record waits, so the last ones are shown".to_owned());
    }
    stretches
}

type Made = Result<Arc<Plan>, String>;

struct Sampler<'a> {
    /// None where records name no schema.
    client: Option<&'a Client>,
    pipeline: &'a Pipeline,
    partitioner: &'a Partitioner,
    plans: HashMap<(SchemaRef, MessageIndexes), Made>,
}

impl Sampler<'_> {
    /// Row and key, or why it would be rejected. The outer error: the registry cannot be asked.
    async fn take(
        &mut self,
        batch: &RecordBatch,
        record: &Record<'_>,
    ) -> Result<Result<(String, String), String>, Fault> {
        let Some(value) = record.value else { return Ok(Err("null value (tombstone)".to_owned())) };
        let Some(client) = self.client else {
            return Ok(self.unframed(value).and_then(|(plan, body)| {
                self.row(&plan, body, &batch.topic_partition, record, 0)
            }));
        };
        let frame = match Frame::parse(value, record.headers, Side::Value) {
            Ok(frame) => frame,
            Err(reject) => return Ok(Err(reject.to_string())),
        };
        let schema = match client.by_ref(frame.schema).await {
            Ok(schema) => schema,
            Err(Lookup::Unavailable(fault)) => return Err(fault),
            Err(lookup) => return Ok(Err(lookup.into_fault().to_string())),
        };
        let (indexes, body) = match schema.language {
            Language::Protobuf => match frame.protobuf() {
                Ok(found) => found,
                Err(reject) => return Ok(Err(reject.to_string())),
            },
            Language::Avro | Language::Json => (MessageIndexes::new(), frame.body()),
        };
        let options = pipeline::decode_options(self.pipeline);
        let plan = self.plans.entry((frame.schema, indexes.clone())).or_insert_with(|| {
            Plan::compile(&schema, &indexes, &options).map_err(|f| f.to_string())
        });
        let plan = plan.clone();
        Ok(plan.and_then(|plan| self.row(&plan, body, &batch.topic_partition, record, schema.id)))
    }

    /// The plan of a record that names no schema, and what it decodes.
    fn unframed<'v>(&self, value: &'v [u8]) -> Result<(Arc<Plan>, &'v [u8]), String> {
        let options = pipeline::decode_options(self.pipeline);
        if let Some(plan) = Plan::fixed(&options).map_err(|f| f.to_string())? {
            return Ok((plan, value));
        }
        let levels = options.limits.depth.saturating_add(1);
        let envelope = connect::split(value, levels).map_err(|reject| reject.to_string())?;
        let plan = Plan::embedded(envelope.schema, &options).map_err(|f| f.to_string())?;
        Ok((plan, envelope.payload))
    }

    /// Row and key of one body.
    fn row(
        &self,
        plan: &Arc<Plan>,
        body: &[u8],
        topic_partition: &TopicPartition,
        record: &Record<'_>,
        schema_id: u32,
    ) -> Result<(String, String), String> {
        let mut decoder = Decoder::new(plan.clone());
        decoder.append(body).map_err(|reject| reject.to_string())?;
        let rows = decoder.finish();
        let key = key(self.partitioner, plan, &rows, topic_partition, record, schema_id)?;
        let json = rows::json(&rows).map_err(|e| e.to_string())?;
        Ok((json.into_iter().next().unwrap_or_default(), key))
    }
}

/// The output key of the one row.
fn key(
    partitioner: &Partitioner,
    plan: &Plan,
    rows: &Rows,
    topic_partition: &TopicPartition,
    record: &Record<'_>,
    schema_id: u32,
) -> Result<String, String> {
    let mut bound = partitioner.bind(&plan.schema, true).map_err(|faults| {
        faults.first().map_or_else(|| "no key".to_owned(), ToString::to_string)
    })?;
    let context = Context {
        topic_partition,
        record_name: &plan.record_name,
        offsets: &[record.offset],
        timestamps: &[record.timestamp],
        schema_ids: &[schema_id],
    };
    let keys = bound.keys(rows, context);
    match (keys.keys.first(), keys.rejects.first()) {
        (_, Some((_, reject))) => Err(reject.to_string()),
        (Some(key), None) => Ok(key.path.clone()),
        (None, None) => Err("no key".to_owned()),
    }
}
