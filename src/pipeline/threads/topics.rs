//! Whether topics are still the ones that were assigned, asked now and then during a run.
//!
//! Owns: the question, and what a topic that was made anew does to its Kafka partitions.
//! Does not own: what a chain of another topic id means at an assignment (`commit::machine`).
//! Bounded by: one question at a time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Partition, Poller, State};
use crate::commit::TOPIC_IDENTITY;
use crate::error::Fault;
use crate::pipeline::task::Event;
use crate::position::TopicPartition;
use crate::source::{Source, Ticket, TopicIds};

/// The question whether topics are still the same.
#[derive(Debug, Default)]
pub(super) struct Recheck {
    every_ms: u64,
    /// When it is asked next.
    at_ms: u64,
    asked: Option<Ticket>,
}

impl Recheck {
    pub(super) fn every(time: Duration) -> Self {
        Self { every_ms: time.as_millis() as u64, ..Self::default() }
    }
}

impl<S: Source> Poller<S> {
    /// A consumer does not notice a topic that was made anew with offsets beyond its position.
    pub(super) fn recheck_topics(&mut self) {
        let now = self.clock.now().mono_ms;
        if now < self.topics.at_ms || self.topics.asked.is_some() || self.topics.every_ms == 0 {
            return;
        }
        self.topics.at_ms = now + self.topics.every_ms;
        let flowing = |p: &Partition| p.topic_id.is_some() && p.state == State::Flowing;
        let of = self.partitions.iter().filter(|(_, p)| flowing(p)).map(|(tp, _)| tp.topic.clone());
        let topics: Vec<Arc<str>> = of.collect::<BTreeSet<_>>().into_iter().collect();
        if !topics.is_empty() {
            match self.source.ask_topic_ids(&topics) {
                Ok(ticket) => self.topics.asked = Some(ticket),
                Err(fault) => tracing::info!("whether topics are the same is asked later: {fault}"),
            }
        }
    }

    pub(super) fn topic_ids(&mut self, ticket: Ticket, ids: Result<TopicIds, Fault>) {
        if self.topics.asked != Some(ticket) {
            return;
        }
        self.topics.asked = None;
        let ids: HashMap<Arc<str>, Option<String>> = match ids {
            Ok(ids) => ids.into_iter().collect(),
            Err(fault) => {
                tracing::info!("whether topics are the same is asked later: {fault}");
                return;
            }
        };
        let mut others = Vec::new();
        for (tp, partition) in self.partitions.iter().filter(|(_, p)| p.state == State::Flowing) {
            // A topic that is gone says nothing of itself, nor does a broker that is just coming up.
            let now = ids.get(&tp.topic).and_then(Option::as_ref);
            if let (Some(then), Some(now)) = (&partition.topic_id, now)
                && then != now
            {
                let text = format!(
                    "topic `{}`: its id is `{now}` now, `{then}` required as when `{tp}` was assigned; see `commit.on_recreated_topic`",
                    tp.topic
                );
                others.push((tp.clone(), Fault::new(&TOPIC_IDENTITY, text)));
            }
        }
        others.into_iter().for_each(|(tp, fault)| self.recreated(tp, fault));
    }

    /// What is open may hold records of the new topic under the old one's chain: it is dropped.
    fn recreated(&mut self, tp: TopicPartition, fault: Fault) {
        self.to_task(&tp, Event::Drop);
        if let Err(fault) = self.source.release(std::slice::from_ref(&tp)) {
            tracing::warn!("stopping {tp}: {fault}");
        }
        if self.restart_recreated {
            tracing::warn!("{tp} begins anew: {fault}");
            self.remove(std::slice::from_ref(&tp));
            self.unresolved.push((vec![tp], self.clock.now().mono_ms));
        } else {
            self.stopped(tp, fault);
        }
    }
}
