//! What the group gave us, and what the client still has to be told: a table without IO.
//!
//! Owns: the state of each assigned partition, and when a revoked list may be answered.
//! Absent: librdkafka, queues, clocks.

use std::collections::HashMap;

use crate::error::Fault;
use crate::position::{Offset, TopicPartition};
use crate::source::codes::ASSIGNMENT;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The group says it is ours; the client does not fetch it.
    Idle,
    /// To be assigned to the client at this offset; `true` if the client has it already and must let
    /// go first.
    Starting(Offset, bool),
    /// The client fetches it.
    Running,
    /// The group wants it back, the driver has not released it; `true` if the client has it.
    Revoked(bool),
}

/// The assignment of one member.
#[derive(Debug, Default)]
pub(super) struct Group {
    partitions: HashMap<TopicPartition, State>,
    /// To be unassigned with the next answer.
    unassign: Vec<TopicPartition>,
    /// The group waits for an answer to a revoke, even if nothing is to be unassigned.
    owed: bool,
}

impl Group {
    pub(super) fn assigned(&mut self, list: &[TopicPartition]) {
        for partition in list {
            self.partitions.entry(partition.clone()).or_insert(State::Idle);
        }
    }

    /// Unknown partitions are counted too: the driver releases all of the list.
    pub(super) fn revoked(&mut self, list: &[TopicPartition]) {
        for partition in list {
            let held = match self.partitions.get(partition) {
                Some(State::Running | State::Starting(_, true) | State::Revoked(true)) => true,
                Some(State::Idle | State::Starting(_, false) | State::Revoked(false)) | None => {
                    false
                }
            };
            self.partitions.insert(partition.clone(), State::Revoked(held));
        }
        self.owed = true;
    }

    /// Gone at once, whatever state they were in.
    pub(super) fn lost(&mut self, list: &[TopicPartition]) {
        self.revoked(list);
        self.release(list);
    }

    /// The partitions of a revoke that the driver has not released, now given up; none if no revoke
    /// is open.
    pub(super) fn give_up(&mut self) -> Option<Vec<TopicPartition>> {
        let mut list: Vec<_> = self.waiting().cloned().collect();
        if list.is_empty() {
            return None;
        }
        list.sort();
        self.release(&list);
        Some(list)
    }

    /// True while the group counts the partition as ours, revoked ones included.
    pub(super) fn holds(&self, partition: &TopicPartition) -> bool {
        self.partitions.contains_key(partition)
    }

    /// Asks for a start; again for one that runs means another offset.
    pub(super) fn start(
        &mut self,
        partition: &TopicPartition,
        offset: Offset,
    ) -> Result<(), Fault> {
        match self.partitions.get_mut(partition) {
            Some(state @ State::Running) => *state = State::Starting(offset, true),
            Some(State::Starting(at, _)) => *at = offset,
            Some(state @ State::Idle) => *state = State::Starting(offset, false),
            Some(State::Revoked(_)) | None => {
                return Err(Fault::new(
                    &ASSIGNMENT,
                    format!(
                        "kafka partition `{partition}`: not assigned to this member, required to start it"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Gives revoked partitions back; of partitions that are not revoked, only stops them.
    pub(super) fn release(&mut self, list: &[TopicPartition]) {
        for partition in list {
            let Some(state) = self.partitions.get_mut(partition) else { continue };
            let held = match *state {
                State::Running | State::Starting(_, true) | State::Revoked(true) => true,
                State::Idle | State::Starting(_, false) | State::Revoked(false) => false,
            };
            if held {
                self.unassign.push(partition.clone());
            }
            match state {
                State::Revoked(_) => {
                    self.partitions.remove(partition);
                }
                state => *state = State::Idle,
            }
        }
    }

    /// True while a revoke waits for its partitions to be released.
    pub(super) fn is_revoking(&self) -> bool {
        self.waiting().next().is_some()
    }

    /// True if the group waits for what [`Group::take_unassign`] gives.
    pub(super) fn owes(&self) -> bool {
        self.owed
    }

    fn waiting(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.iter().filter(|(_, s)| matches!(s, State::Revoked(_))).map(|(p, _)| p)
    }

    /// What to unassign now, perhaps nothing but the answer itself. While a revoke is open nothing is
    /// said: the client would take it for the answer.
    pub(super) fn take_unassign(&mut self) -> Option<Vec<TopicPartition>> {
        if self.is_revoking() {
            return None;
        }
        for (partition, state) in &mut self.partitions {
            if let State::Starting(_, again @ true) = state {
                self.unassign.push(partition.clone());
                *again = false;
            }
        }
        if !self.owed && self.unassign.is_empty() {
            return None;
        }
        self.owed = false;
        Some(std::mem::take(&mut self.unassign))
    }

    /// What to assign now, in order. Empty while a revoke is open.
    pub(super) fn take_starting(&mut self) -> Vec<(TopicPartition, Offset)> {
        if self.is_revoking() {
            return Vec::new();
        }
        let mut list = Vec::new();
        for (partition, state) in &mut self.partitions {
            if let State::Starting(offset, _) = *state {
                list.push((partition.clone(), offset));
                *state = State::Running;
            }
        }
        list.sort();
        list
    }

    /// The client did not take it.
    pub(super) fn not_started(&mut self, partition: &TopicPartition) {
        if let Some(state @ State::Running) = self.partitions.get_mut(partition) {
            *state = State::Idle;
        }
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
