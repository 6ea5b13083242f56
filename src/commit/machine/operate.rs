//! What an operator does to a chain: pass offsets, move its end, say that files were removed, bring lost ones back.
//!
//! Owns: the one record of each action; who it fences; that the chain still ends where the operator saw it.
//! Does not own: asking the operator, reading offsets again (`pipeline::operate`).
//!
//! Each action takes the place of a claim: its record has the next epoch, so that a live owner is fenced by it and
//! goes on behind it. Before it, what the last record names is published, as before any claim.

use std::sync::Arc;

use super::{Action, Machine, Phase, Ticket};
use crate::commit::codes::OPERATION;
use crate::commit::record::{About, File, Hint, Kind, Record, Role, Skipped};
use crate::error::Fault;
use crate::position::{Offset, OffsetRange};
use crate::store::Staged;

/// What is to be done, and to which chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Operation {
    /// The last record that the operator saw.
    pub head: Hint,
    pub what: What,
    /// The operator's words; they stand in the record.
    pub why: String,
}

/// An operator's action.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// These offsets are in no file, on purpose. What is between the chain's end and them is committed first.
    Skip(OffsetRange),
    /// The chain goes on at this offset.
    Reset(Offset),
    /// Files of the last record that are not there were published, and somebody removed them.
    Removed,
    /// Files of the last record that are not there are made anew from Kafka.
    Repair,
}

impl Machine {
    /// The same machine, to do this instead of a claim, once.
    pub fn operating(mut self, operation: Operation) -> Self {
        self.operation = Some(Arc::new(operation));
        self
    }

    /// The last record known.
    pub fn head(&self) -> Option<&Arc<Record>> {
        self.head.as_ref()
    }

    /// Offsets that are to be made into files, for [`Machine::rebuilt`], and the epoch that their names carry.
    pub fn rereads(&self) -> Option<(OffsetRange, u64)> {
        let (operation, head) = (self.operation.as_ref()?, self.head.as_ref()?);
        if self.phase != Phase::Flowing || self.epoch > 0 {
            return None;
        }
        let range = match operation.what {
            What::Skip(range) => OffsetRange { start: head.to, end: range.start },
            What::Repair => span(head)?,
            What::Reset(_) | What::Removed => return None,
        };
        Some((range, head.epoch.saturating_add(1)))
    }

    /// The action, once everything before it is published; or that it is done.
    pub(super) fn operate(
        &mut self,
        operation: &Operation,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        if self.epoch > 0 {
            self.flow(out);
            return Ok(());
        }
        let head = self.head.clone().ok_or_else(|| refused("a chain that is not there"))?;
        if head.id != operation.head.id {
            return Err(moved(&head, &operation.head));
        }
        let mut record = match operation.what {
            What::Skip(range) if range.is_empty() || range.start < head.to => {
                return Err(refused(&format!(
                    "offsets {range} to skip, some offsets from `{}` on, where the chain ends,",
                    head.to
                )));
            }
            What::Skip(range) if range.start > head.to => return self.reread(&head, out),
            What::Skip(range) => {
                let mut claim = self.blank(Kind::Claim, self.commit_id(), range);
                claim.skipped = vec![skipped(range, &operation.why)];
                claim
            }
            What::Reset(to) if to < 0 || to == head.to => {
                return Err(refused(&format!(
                    "offset `{to}`, one from 0 on that is not the chain's end"
                )));
            }
            What::Reset(to) => {
                self.blank(Kind::Reset, self.commit_id(), OffsetRange { start: to, end: to })
            }
            What::Removed | What::Repair if !self.lost => {
                return Err(refused(&format!(
                    "record {} whose files are all there, a missing one",
                    head.seq
                )));
            }
            What::Removed => {
                let end = OffsetRange { start: head.to, end: head.to };
                self.blank(Kind::Claim, self.commit_id(), end)
            }
            What::Repair => return self.reread(&head, out),
        };
        record.note = Some(operation.why.clone());
        self.record_of(record, &head, out);
        Ok(())
    }

    /// A file of the last record can never be published: what that means depends on the action. Error: it cannot
    /// be done before the operator has said what became of that file.
    pub fn files_lost(
        &mut self,
        ticket: Ticket,
        fault: Fault,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        if !self.expects(ticket) {
            return Ok(());
        }
        match self.operation.clone() {
            Some(operation)
                if self.epoch == 0 && matches!(operation.what, What::Removed | What::Repair) =>
            {
                self.lost = true;
                self.operate(&operation, out)
            }
            _ => Err(self.not_published(fault)),
        }
    }

    /// The files that [`Machine::rereads`] asked for, all staged.
    pub fn rebuilt(
        &mut self,
        files: Vec<(About, Staged)>,
        times_ms: Option<(i64, i64)>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let (Some(operation), Some(head)) = (self.operation.clone(), self.head.clone()) else {
            return Ok(());
        };
        if self.rereads().is_none() {
            return Ok(());
        }
        let end = OffsetRange { start: head.to, end: head.to };
        let mut record = match operation.what {
            What::Skip(range) => {
                let whole = OffsetRange { start: head.to, end: range.end };
                let mut commit = self.blank(Kind::Commit, self.commit_id(), whole);
                commit.skipped = vec![skipped(range, &operation.why)];
                (commit.min_ms, commit.max_ms) = times_ms.unzip();
                commit
            }
            _ => {
                let mut repair = self.blank(Kind::Repair, self.commit_id(), end);
                repair.repairs = Some(head.seq);
                repair
            }
        };
        record.note = Some(operation.why.clone());
        for (about, Staged { key, bytes, handle }) in files {
            match about.role {
                Role::Data => record.rows += about.rows,
                Role::Reject => record.rejects += about.rows,
            }
            record.files.push(File { key, bytes, about, staged: handle });
        }
        self.record_of(record, &head, out);
        Ok(())
    }

    fn reread(&mut self, head: &Record, out: &mut Vec<Action>) -> Result<(), Fault> {
        self.phase = Phase::Flowing;
        let Some((range, epoch)) = self.rereads() else {
            return Err(refused(&format!("record {} without files, one with files", head.seq)));
        };
        out.push(Action::Flow { offset: range.start, epoch });
        Ok(())
    }

    fn record_of(&mut self, mut record: Record, head: &Record, out: &mut Vec<Action>) {
        record.epoch = head.epoch.saturating_add(1);
        self.intervals += 1;
        let slot = self.send(Arc::new(record), out);
        self.phase = Phase::Claiming(slot);
    }

    /// The action's own files are published before it is done.
    pub(super) fn publish_own(&mut self, record: &Record, out: &mut Vec<Action>) {
        let ticket = self.ticket();
        self.phase = Phase::Recovering { ticket };
        let files = record.files.iter().map(File::staged).collect();
        out.push(Action::Publish { ticket, seq: record.seq, files });
    }

    /// Another record has the place: what the operator saw is not so any more.
    pub(super) fn check_unmoved(&self, winner: &Record) -> Result<(), Fault> {
        match &self.operation {
            Some(operation) => Err(moved(winner, &operation.head)),
            None => Ok(()),
        }
    }
}

/// From the first row of a record's files to the last.
pub fn span(record: &Record) -> Option<OffsetRange> {
    let start = record.files.iter().map(|file| file.about.first).min()?;
    let last = record.files.iter().map(|file| file.about.last).max()?;
    Some(OffsetRange { start, end: last.saturating_add(1) })
}

fn skipped(range: OffsetRange, why: &str) -> Skipped {
    Skipped { from: range.start, to: range.end, why: why.to_owned() }
}

#[cold]
fn refused(what: &str) -> Fault {
    Fault::new(&OPERATION, format!("action on a chain: {what} required"))
}

#[cold]
fn moved(found: &Record, seen: &Hint) -> Fault {
    Fault::new(
        &OPERATION,
        format!(
            "action on a chain: it ends with record {} `{}` of owner `{}` now, record {} `{}` required, as when it was looked at; look again",
            found.seq, found.id, found.owner, seen.seq, seen.id
        ),
    )
}
