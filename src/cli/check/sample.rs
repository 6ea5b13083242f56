//! Some records of each topic, decoded as a run would: rows and output keys.

use std::time::Duration;

use super::report::{Area, Report, Sampled};
use crate::cli::decoding::{Decoded, Decoding, Outcome, Pushed};
use crate::cli::rows;
use crate::config::Pipeline;
use crate::error::Fault;
use crate::partition::Partitioner;
use crate::record::{Record, RecordBatch};
use crate::registry::Client;
use crate::source::kafka::{Look, Stretch};

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
        let mut decoding = match Decoding::new(pipeline, partitioner.clone(), None, None) {
            Ok(decoding) => decoding,
            Err(faults) => return report.find(Area::Configuration, faults),
        };
        let mut sampled = Vec::new();
        'records: for batch in &batches {
            for record in batch.iter() {
                if sampled.len() >= count {
                    break 'records;
                }
                match take(&mut decoding, client, batch, &record).await {
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

/// Row and key, or why it would be rejected. The outer error: the registry cannot be asked.
async fn take(
    decoding: &mut Decoding,
    client: Option<&Client>,
    batch: &RecordBatch,
    record: &Record<'_>,
) -> Result<Result<(String, String), String>, Fault> {
    let from = &batch.topic_partition;
    while let Pushed::Needs(need) = decoding.push(from, record) {
        if client.is_none() {
            return Ok(Err(format!("schema `{need}`: no registry to ask")));
        }
        decoding.supply(from, need, client).await?;
    }
    let Decoded { outcomes, batches } = decoding.finish(batch)?;
    Ok(match outcomes.into_iter().next() {
        Some(Outcome::Row { batch, key, .. }) => {
            let row = rows::json(&batches[batch].rows).into_iter().next().unwrap_or_default();
            Ok((row, key.path.clone()))
        }
        Some(Outcome::Reject { code, message }) => Err(format!("{code} {message}")),
        Some(Outcome::Skipped) => Err("null value (tombstone): left out".to_owned()),
        None => Err("no row".to_owned()),
    })
}
