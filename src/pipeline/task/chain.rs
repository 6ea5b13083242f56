//! The task's side of the chain of commits: what the machine asks, and what its answers do to open rows.

use std::sync::Arc;

use super::{Action, Assignment, Interval, Phase, Task};
use crate::commit::TOO_OLD;
use crate::commit::machine::{self, Chains, FileId, Machine, Sealed, Ticket};
use crate::commit::record::{self, Identity, Record};
use crate::config::Authority;
use crate::error::Fault;
use crate::flaw::{Flaw, planted};
use crate::position::OffsetRange;

/// Where it stands what a topic was when its first chain began, and what it is now, where that is known.
#[derive(Debug, Clone)]
pub struct TopicAt {
    pub key: String,
    pub now: Option<record::Topic>,
}

/// Where chains of a topic may stand.
#[derive(Debug, Clone)]
pub struct Look {
    /// What all folders of the topic's chains start with.
    pub prefix: String,
    /// Of these, that of the topic as it is now.
    pub folder: String,
    pub topic: TopicAt,
    /// Where Kafka is the authority: the folder of this chain's records, whose last ones are wanted.
    pub records: Option<String>,
    /// What the keys of the record that Kafka's text names end with, after the topic's folder; and its id.
    pub named: Option<(String, String)>,
}

impl Task {
    pub(super) fn assigned(
        &mut self,
        assignment: Assignment,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let Assignment { owner, topic_id, partitions, kafka, end_is_sure, stop_at } = assignment;
        if self.machine.is_some() {
            return Ok(());
        }
        if topic_id.is_none() && self.settings.commit.authority == Authority::Kafka {
            let tp = &self.topic_partition;
            let message = format!("kafka partition `{tp}`: its topic has no id, one required");
            return Err(Fault::new(&TOO_OLD, message));
        }
        let identity = Identity {
            pipeline: self.settings.files.pipeline.clone(),
            cluster: self.settings.files.cluster.clone(),
            topic: self.topic_partition.topic.to_string(),
            topic_id,
            partition: self.topic_partition.partition,
        };
        self.stop_at = stop_at;
        self.high = kafka.high;
        let mut policy = self.settings.policy;
        policy.reset_truncated &= end_is_sure;
        let identity = Arc::new(identity);
        self.topic_partitions = partitions;
        let machine = Machine::new(identity, owner.into(), kafka, policy, self.first_ticket);
        let commit = &self.settings.commit;
        self.machine = Some(machine.writing(commit.record_version).under(commit.authority));
        self.on_machine(out, |machine, to| {
            machine.begin(to);
            Ok(())
        })
    }

    pub(super) fn record(
        &mut self,
        ticket: Ticket,
        seq: u64,
        found: Result<Option<Arc<Record>>, Fault>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        if !self.machine.as_ref().is_some_and(|m| m.expects(ticket)) {
            return Ok(());
        }
        let found = found?;
        self.on_machine(out, |machine, to| machine.record(ticket, seq, found, to))
    }

    pub(super) fn chains(
        &mut self,
        ticket: Ticket,
        found: Result<Chains, Fault>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        if !self.machine.as_ref().is_some_and(|m| m.expects(ticket)) {
            return Ok(());
        }
        let found = found?;
        self.on_machine(out, |machine, to| machine.chains(ticket, &found, to))
    }

    /// Seals these files, closed by now, as one commit.
    pub(super) fn seal_files(
        &mut self,
        files: Vec<FileId>,
        interval: Interval,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let mut closed = std::mem::take(&mut self.closed);
        let files: Vec<_> =
            files.into_iter().filter_map(|id| Some((id, closed.remove(&id)?))).collect();
        let position = self.position + i64::from(planted(Flaw::ToOffByOne));
        self.on_machine(out, |machine, to| {
            if !machine.is_flowing() {
                return Ok(());
            }
            let range = OffsetRange::new(machine.sealed_to(), position);
            if !range.is_empty() {
                machine.seal(Sealed { range, files, times_ms: interval.times_ms }, to);
            }
            Ok(())
        })?;
        if let Some(machine) = &self.machine {
            self.lanes.commit_is(machine.commit_id());
        }
        Ok(())
    }

    /// Calls the machine, and turns what it wants into actions, also where it ends with a fault.
    pub(super) fn on_machine(
        &mut self,
        out: &mut Vec<Action>,
        call: impl FnOnce(&mut Machine, &mut Vec<machine::Action>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Some(machine) = &mut self.machine else { return Ok(()) };
        let mut actions = Vec::new();
        let result = call(machine, &mut actions);
        let identity = machine.identity().clone();
        for action in actions {
            self.chain_wants(&identity, action, out);
        }
        result
    }

    fn chain_wants(&mut self, identity: &Identity, action: machine::Action, out: &mut Vec<Action>) {
        let action = match action {
            machine::Action::Get { ticket, seq, id } => {
                let key = match id {
                    Some(id) => record::named_key(identity, seq, &id),
                    None => record::key(identity, seq),
                };
                Action::GetRecord { ticket, seq, key }
            }
            machine::Action::Put { ticket, record, after_ms } => {
                let authority = self.settings.commit.authority;
                let key = match authority {
                    Authority::Store => record::key(identity, record.seq),
                    Authority::Kafka => record::named_key(identity, record.seq, &record.id),
                };
                Action::PutRecord { ticket, key, record, after_ms, authority }
            }
            machine::Action::List { ticket } => {
                let prefix = record::topic_prefix(&identity.pipeline, &identity.topic);
                let folder = record::topic_folder(identity);
                let now = self.topic_partitions.map(|partitions| record::Topic {
                    version: self.settings.commit.record_version,
                    topic: identity.topic.clone(),
                    partitions,
                });
                let topic = TopicAt { key: record::Topic::key(identity), now };
                let records = match self.settings.commit.authority {
                    Authority::Store => None,
                    Authority::Kafka => Some(record::chain_folder(identity)),
                };
                let named = self.machine.as_ref().and_then(Machine::named_by_kafka);
                let named = named.map(|(seq, id)| {
                    let key = match self.settings.commit.authority {
                        Authority::Store => record::key(identity, seq),
                        Authority::Kafka => record::named_key(identity, seq, &id),
                    };
                    (key.strip_prefix(&folder).unwrap_or_default().to_owned(), id)
                });
                Action::ListChains {
                    ticket,
                    look: Box::new(Look { prefix, folder, topic, records, named }),
                }
            }
            machine::Action::Publish { ticket, files, .. } => {
                let recovery = !self.machine.as_ref().is_some_and(Machine::is_flowing);
                Action::Publish { ticket, files, recovery }
            }
            machine::Action::CommitOffset { ticket, offset, text } => {
                Action::CommitOffset { ticket, offset, text }
            }
            machine::Action::Flow { offset, epoch } => {
                if self.phase != Phase::Idle || self.finish_wanted {
                    return; // who leaves, or has stopped, reads no more
                }
                self.lanes.claimed(epoch, identity.topic_id.as_deref());
                if let Some(machine) = &self.machine {
                    self.lanes.commit_is(machine.commit_id());
                }
                let hash = self.lanes.hash().to_owned();
                out.push(Action::Claimed { offset, epoch, high: self.high, hash });
                Action::Seek { offset, after_ms: 0, why: None }
            }
            machine::Action::TakeBack(back) => {
                self.discard(back, out);
                let drains = self.phase == Phase::Finishing && self.stop_at.is_some();
                if self.phase == Phase::Running || drains {
                    self.phase = Phase::Idle;
                }
                return;
            }
            machine::Action::Done { range, files } => {
                self.counters.commits += 1;
                self.rewinds = 0;
                for file in &files {
                    self.files.remove(file);
                }
                Action::Committed { range, files: files.len() }
            }
        };
        out.push(action);
    }
}
