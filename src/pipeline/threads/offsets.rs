//! Offsets on their way to Kafka.
//!
//! Owns: what is committed together, what is tried again, what is given up.
//! Does not own: which offset a commit of the chain comes to (`task`).
//! Bounded by: the commits that tasks have under way.

use super::{AGAIN_MS, Partition, Poller, State};
use crate::commit::machine;
use crate::config::Authority;
use crate::crash::{self, Point};
use crate::error::Fault;
use crate::pipeline::task::Event;
use crate::position::{Offset, TopicPartition};
use crate::source::{Source, Ticket};

/// Tries of an offset commit of a Kafka partition that is to be given back.
const LAST_TRIES: u32 = 3;

/// An offset to commit.
pub(super) struct Commit {
    pub(super) partition: TopicPartition,
    pub(super) ticket: machine::Ticket,
    pub(super) offset: Offset,
    pub(super) text: String,
    /// Time of the next try.
    pub(super) at_ms: u64,
    /// How often it failed. From then on it goes alone: one that cannot succeed must not keep others from it.
    pub(super) failed: u32,
}

impl<S: Source> Poller<S> {
    /// Commits what is due: all together, and of those that failed before, one a turn.
    pub(super) fn commit_offsets(&mut self) {
        let now = self.clock.now().mono_ms;
        let mut alone = false;
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.commits).into_iter().partition(|c| {
                c.at_ms <= now && (c.failed == 0 || !std::mem::replace(&mut alone, true))
            });
        self.commits = later;
        let (alone, together): (Vec<_>, Vec<_>) = due.into_iter().partition(|c| c.failed > 0);
        // What is given back may be refused where the rest is not.
        let leaves = |c: &Commit| {
            self.partitions.get(&c.partition).is_some_and(|p| p.state == State::Finishing)
        };
        let (leaving, together): (Vec<_>, Vec<_>) = together.into_iter().partition(leaves);
        for due in [together, leaving, alone] {
            self.commit_together(due);
        }
    }

    fn commit_together(&mut self, due: Vec<Commit>) {
        if due.is_empty() {
            return;
        }
        let offsets: Vec<_> =
            due.iter().map(|c| (c.partition.clone(), c.offset, c.text.clone())).collect();
        match self.source.commit(&offsets) {
            Ok(ticket) => {
                crash::point(Point::OffsetSent);
                self.committing.push((ticket, due));
            }
            Err(fault) => self.commit_again(due, &fault),
        }
    }

    fn commit_again(&mut self, due: Vec<Commit>, fault: &Fault) {
        if self.authority == Authority::Kafka {
            // What was sent may be there, or come to be there: who sent it is done for.
            for Commit { partition, ticket, .. } in due {
                self.to_task(&partition, Event::OffsetRefused(ticket, fault.clone()));
            }
            return;
        }
        let at_ms = self.clock.now().mono_ms + AGAIN_MS;
        let again = due.into_iter().map(|c| Commit { at_ms, failed: c.failed + 1, ..c });
        // Who is to give a Kafka partition back may be no member any more: then none of these comes through, and
        // the group waits for it. The offset is a hint, the chain has the commit.
        let (given_up, again): (Vec<_>, Vec<_>) = again.partition(|c| {
            let finishing = |p: &Partition| p.state == State::Finishing;
            c.failed >= LAST_TRIES && self.partitions.get(&c.partition).is_some_and(finishing)
        });
        for commit in given_up {
            let Commit { partition, offset, .. } = commit;
            tracing::warn!("offset {offset} of {partition} stays uncommitted: {fault}");
            self.to_task(&partition, Event::OffsetCommitted(commit.ticket));
        }
        if !again.is_empty() {
            tracing::warn!("offsets are committed again in a second: {fault}");
            self.commits.extend(again);
        }
    }

    /// What Kafka partitions given back meanwhile had sent is not in the list any more.
    pub(super) fn committed(&mut self, ticket: Ticket, result: Result<(), Fault>) {
        let Some(sent) = self.committing.iter().position(|(sent, _)| *sent == ticket) else {
            return;
        };
        let (_, commits) = self.committing.swap_remove(sent);
        match result {
            Ok(()) => {
                for commit in commits {
                    self.to_task(&commit.partition, Event::OffsetCommitted(commit.ticket));
                }
            }
            Err(fault) => self.commit_again(commits, &fault),
        }
    }
}
