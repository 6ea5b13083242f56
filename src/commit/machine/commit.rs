//! C: commits, from their seal to Kafka's offset.
//!
//! Owns: their order: one is recorded only when the one before is published.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Action, Authority, FileId, Machine, Pending, Phase, Place, Sealed, State, Ticket};
use crate::commit::codes::UPLOAD_LOST;
use crate::commit::record::{File, Hint, Kind, Point, Record, Role};
use crate::error::Fault;
use crate::flaw::{Flaw, planted};
use crate::store::Staged;

impl Machine {
    /// Seals a commit: all its files by id, those staged already among them.
    pub fn seal(&mut self, sealed: Sealed, out: &mut Vec<Action>) {
        let ids: HashSet<FileId> = sealed.files.iter().map(|(id, _)| *id).collect();
        let (staged, later) =
            std::mem::take(&mut self.early).into_iter().partition(|(id, _)| ids.contains(id));
        self.early = later;
        let id = self.commit_id();
        self.intervals += 1;
        self.pending.push_back(Pending { sealed, id, staged, state: State::Staging });
        self.advance(out);
    }

    /// A file is staged. Files of the open interval may come before their seal.
    pub fn staged(&mut self, file: FileId, staged: Staged, out: &mut Vec<Action>) {
        match self.pending.iter_mut().find(|p| p.waits_for(file)) {
            Some(pending) => {
                pending.staged.push((file, staged));
                self.advance(out);
            }
            None => self.early.push((file, staged)),
        }
    }

    /// C3 of the front commit, once all its files are staged.
    pub(super) fn advance(&mut self, out: &mut Vec<Action>) {
        let Some(front) = self.pending.front() else { return };
        let ready = front.state == State::Staging && front.is_staged();
        if !ready || self.phase != Phase::Flowing {
            return;
        }
        let mut record = self.blank(Kind::Commit, front.id.clone(), front.sealed.range);
        for (id, about) in &front.sealed.files {
            if planted(Flaw::RejectsOutsideChain) && about.role == Role::Reject {
                continue;
            }
            let Some((_, staged)) = front.staged.iter().find(|(file, _)| file == id) else {
                continue;
            };
            match about.role {
                Role::Data => record.rows += about.rows,
                Role::Reject => record.rejects += about.rows,
            }
            let Staged { key, bytes, handle } = staged.clone();
            record.files.push(File { key, bytes, about: about.clone(), staged: handle });
        }
        (record.min_ms, record.max_ms) = front.sealed.times_ms.unzip();
        if planted(Flaw::NoRecord) {
            return self.recorded(Arc::new(record), out);
        }
        let slot = self.send(Arc::new(record), out);
        if let Some(front) = self.pending.front_mut() {
            front.state = State::Recording(slot);
        }
    }

    pub(super) fn commit_read(
        &mut self,
        found: Option<Arc<Record>>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let Some(Pending { state: State::Recording(slot), .. }) = self.pending.front() else {
            return Ok(());
        };
        match slot.whose(found) {
            Place::Mine(record) => {
                self.recorded(record, out);
                Ok(())
            }
            Place::Voided(void) => {
                self.head = Some(void.clone());
                self.lose_all(out);
                self.want_offset(&void, out);
                self.find_on(out);
                Ok(())
            }
            Place::Another(record) => self.lost(record, out),
            Place::Unknown if !self.rules.resend => {
                self.lose_all(out);
                self.find_on(out);
                Ok(())
            }
            Place::Unknown => {
                let again = self.send_again(slot.clone(), out)?;
                if let Some(front) = self.pending.front_mut() {
                    front.state = State::Recording(again);
                }
                Ok(())
            }
        }
    }

    /// C4: nothing follows the record before its files are published.
    pub(super) fn recorded(&mut self, record: Arc<Record>, out: &mut Vec<Action>) {
        let mut files: Vec<Staged> = record.files.iter().map(File::staged).collect();
        let seq = record.seq;
        if planted(Flaw::RejectsOutsideChain)
            && let Some(front) = self.pending.front()
        {
            files = front.staged.iter().map(|(_, staged)| staged.clone()).collect();
        }
        if planted(Flaw::OffsetBeforePublish) {
            self.want_offset(&record, out);
        }
        self.head = Some(record);
        let ticket = self.ticket();
        if let Some(front) = self.pending.front_mut() {
            front.state = State::Publishing(ticket);
        }
        if files.is_empty() {
            self.done(out);
        } else {
            out.push(Action::Publish { ticket, seq, files });
        }
    }

    /// All files are visible.
    pub fn published(&mut self, ticket: Ticket, out: &mut Vec<Action>) -> Result<(), Fault> {
        if !self.expects(ticket) {
            return Ok(());
        }
        if matches!(self.phase, Phase::Recovering { .. }) {
            return self.claim(None, out);
        }
        self.done(out);
        Ok(())
    }

    /// A file of the awaited record cannot be published: what that means, for the operator.
    #[cold]
    pub fn not_published(&self, fault: Fault) -> Fault {
        let Some(head) = self.head.as_deref().filter(|_| *fault.code == crate::store::LOST) else {
            return fault;
        };
        Fault::new(
            &UPLOAD_LOST,
            format!(
                "commit record {} of kafka partition `{}-{}` over offsets {}: {}",
                head.seq,
                self.identity.topic,
                self.identity.partition,
                head.range(),
                fault.message
            ),
        )
    }

    pub(super) fn done(&mut self, out: &mut Vec<Action>) {
        let Some(front) = self.pending.pop_front() else { return };
        let files = front.sealed.files.iter().map(|(id, _)| *id).collect();
        out.push(Action::Done { range: front.sealed.range, files });
        if let Some(head) = self.head.clone() {
            self.want_offset(&head, out);
        }
        self.advance(out);
    }

    /// C5: one commit to Kafka at a time, the latest wanted last, so that the offset never goes back.
    pub(super) fn want_offset(&mut self, record: &Record, out: &mut Vec<Action>) {
        let Record { seq, id, .. } = record;
        let text = match self.authority {
            Authority::Store => Hint::text(*seq, id),
            // Kafka has named it already, and nothing of it is to be seen.
            Authority::Kafka if record.files.is_empty() => return,
            Authority::Kafka => Point { seq: *seq, id: id.clone(), published: true }.text(),
        };
        self.offset_wanted = Some((record.to, text));
        self.send_offset(out);
    }

    pub(super) fn send_offset(&mut self, out: &mut Vec<Action>) {
        if self.offset_sent.is_none()
            && let Some((offset, text)) = self.offset_wanted.take()
        {
            let ticket = self.ticket();
            self.offset_sent = Some(ticket);
            out.push(Action::CommitOffset { ticket, offset, text });
        }
    }

    /// Kafka has the offset.
    pub fn offset_committed(&mut self, ticket: Ticket, out: &mut Vec<Action>) -> Result<(), Fault> {
        if self.offset_sent != Some(ticket) {
            return Ok(());
        }
        self.offset_sent = None;
        match self.authority {
            Authority::Store => self.send_offset(out),
            Authority::Kafka => return self.decided(ticket, out),
        }
        Ok(())
    }
}
