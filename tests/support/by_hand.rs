//! One task of one Kafka partition, driven by hand: everything it asks for is answered with success, but for
//! questions to the registry, which the test answers.

use std::collections::VecDeque;
use std::sync::Arc;

use forebay::clock::Now;
use forebay::commit::machine::{Assigned, Chains, Wrote};
use forebay::config::Pipeline;
use forebay::pipeline::lanes::Output;
use forebay::pipeline::task::{Action, Assignment, Event, Task};
use forebay::position::TopicPartition;
use forebay::record::{RecordBatch, TimestampType};
use forebay::store::{Handle, Staged};
use forebay::wire::SchemaRef;

/// A task of a pipeline before its assignment.
pub(crate) fn task(pipeline: &Pipeline, topic: &str, generation: u64) -> Task {
    let partitioner = forebay::pipeline::partitioner(pipeline).unwrap();
    let settings = forebay::pipeline::settings(pipeline, partitioner, 1 << 20, None);
    Task::new(Arc::new(settings), TopicPartition::new(topic, 0), generation)
}

/// An assignment of a log of a hundred records, without a chain.
pub(crate) fn assigned(stop_at: Option<i64>) -> Event {
    Event::Assigned(Box::new(Assignment {
        owner: "owner".into(),
        topic_id: None,
        partitions: None,
        kafka: Assigned { start: 0, committed: None, low: 0, high: 100 },
        end_is_sure: true,
        stop_at,
    }))
}

/// Records with these keys and values, at offsets from 0.
pub(crate) fn records<'a>(
    topic: &str,
    records: impl IntoIterator<Item = (Option<&'a [u8]>, &'a [u8])>,
) -> Event {
    let mut batch = RecordBatch::new(TopicPartition::new(topic, 0), 0);
    for (offset, (key, value)) in records.into_iter().enumerate() {
        let none = std::iter::empty();
        batch.push(offset as i64, None, TimestampType::CreateTime, key, Some(value), none);
    }
    Event::Records(batch)
}

/// Steps, and answers until nothing is asked any more; returns all that was asked.
pub(crate) fn settle(task: &mut Task, event: Event, now: Now) -> Vec<Action> {
    let (mut events, mut seen) = (VecDeque::from([event]), Vec::new());
    while let Some(event) = events.pop_front() {
        let mut out = Vec::new();
        task.step(event, now, &mut out);
        events.extend(out.iter().filter_map(success));
        seen.extend(out);
    }
    seen
}

/// The schemas that are asked for.
pub(crate) fn asked(seen: &[Action]) -> Vec<SchemaRef> {
    let of = |action: &Action| match action {
        Action::Ask { schema, .. } => Some(*schema),
        _ => None,
    };
    seen.iter().filter_map(of).collect()
}

/// The answer of a store and a group where all goes well, and where there was nothing before.
pub(crate) fn success(action: &Action) -> Option<Event> {
    Some(match action {
        Action::Store(Output::End { file, key, .. }) => {
            let handle = Handle::Local { name: "n".into(), inode: 1, mtime_ns: 1 };
            Event::Staged(*file, Ok(Staged { key: key.clone(), bytes: 1, handle }))
        }
        Action::GetRecord { ticket, seq, .. } => {
            Event::Record { ticket: *ticket, seq: *seq, found: Ok(None) }
        }
        Action::ListChains { ticket, .. } => Event::Chains(*ticket, Ok(Chains::default())),
        Action::PutRecord { ticket, .. } => Event::Wrote(*ticket, Wrote::Created),
        Action::Seek { offset, .. } => Event::Started { offset: *offset },
        Action::Publish { ticket, .. } => Event::Published(*ticket),
        Action::CommitOffset { ticket, .. } => Event::OffsetCommitted(*ticket),
        _ => return None,
    })
}
