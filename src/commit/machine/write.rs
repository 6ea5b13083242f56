//! Records on their way to their places: sent, read back, sent again; and who lost a place.
//!
//! Owns: rules 1 and 2 of the protocol: nothing but success is believed, and no record in doubt is abandoned.

use std::sync::Arc;

use super::{
    AGAIN_MS, Action, Authority, FileId, Machine, Pending, Phase, Slot, State, TakenBack, Ticket,
    Wrote,
};
use crate::commit::codes::{FENCED, RECORD_REFUSED};
use crate::commit::record::{Identity, Kind, Record};
use crate::error::Fault;
use crate::flaw::{Flaw, planted};
use crate::position::OffsetRange;

impl Machine {
    /// A record of this machine at the next place, without files.
    pub(super) fn blank(&self, kind: Kind, id: String, range: OffsetRange) -> Record {
        let head = self.head.as_deref();
        Record {
            version: self.version,
            kind,
            identity: Identity::clone(&self.identity),
            seq: head.map_or(1, |head| head.seq.saturating_add(1)),
            id,
            prev: head.map_or(String::new(), |head| head.id.clone()),
            epoch: self.epoch,
            owner: self.owner.to_string(),
            from: range.start,
            to: range.end,
            rows: 0,
            rejects: 0,
            skipped: Vec::new(),
            min_ms: None,
            max_ms: None,
            repairs: None,
            note: None,
            files: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, record: Arc<Record>, out: &mut Vec<Action>) -> Slot {
        let ticket = self.ticket();
        out.push(Action::Put { ticket, record: record.clone(), after_ms: 0 });
        Slot { record, void: None, ticket, tries: 0, refused: None, stored: false }
    }

    /// Nothing is at the place: the same bytes go again, as often as it takes.
    pub(super) fn send_again(
        &mut self,
        mut slot: Slot,
        out: &mut Vec<Action>,
    ) -> Result<Slot, Fault> {
        if let Some(refused) = slot.refused.take() {
            return Err(Fault::new(
                &RECORD_REFUSED,
                format!("commit record {}: {refused}", slot.record.seq),
            ));
        }
        slot.ticket = self.ticket();
        let record = slot.void.clone().unwrap_or_else(|| slot.record.clone());
        let after_ms = (AGAIN_MS.0 << slot.tries.min(8)).min(AGAIN_MS.1);
        // The explorer meets the same state after many tries.
        slot.tries = slot.tries.saturating_add(1).min(8);
        out.push(Action::Put { ticket: slot.ticket, record, after_ms });
        Ok(slot)
    }

    /// The answer to [`Action::Put`]: anything but success is read back.
    pub fn wrote(
        &mut self,
        ticket: Ticket,
        how: Wrote,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        if !self.expects(ticket) {
            return Ok(());
        }
        if self.authority == Authority::Kafka {
            return self.stored(how, out);
        }
        let read = Ticket(self.next_ticket.0 + 1);
        let slot = match &mut self.phase {
            Phase::Claiming(slot) => slot,
            _ => match self.pending.front_mut().map(|p| &mut p.state) {
                Some(State::Recording(slot)) => slot,
                _ => return Ok(()),
            },
        };
        let sent = slot.void.clone().unwrap_or_else(|| slot.record.clone());
        if how != Wrote::Created && self.rules.read_back {
            slot.ticket = read;
            slot.refused = match how {
                Wrote::Refused(fault) => Some(fault.to_string()),
                _ => None,
            };
            self.next_ticket = read;
            out.push(Action::Get { ticket: read, seq: sent.seq, id: None });
            return Ok(());
        }
        let created = (how == Wrote::Created).then_some(sent);
        match (&self.phase, created) {
            (Phase::Claiming(_), Some(record)) => self.claim_read(Some(record), out),
            (Phase::Claiming(_), None) => {
                self.find_on(out);
                Ok(())
            }
            (_, Some(record)) => self.commit_read(Some(record), out),
            (_, None) => {
                self.lose_all(out);
                self.find_on(out);
                Ok(())
            }
        }
    }

    /// L: another record has the place.
    pub(super) fn lost(&mut self, winner: Arc<Record>, out: &mut Vec<Action>) -> Result<(), Fault> {
        self.check_next(&winner)?;
        self.lose_all(out);
        if winner.epoch > self.epoch {
            return Err(self.fenced(&winner));
        }
        self.head = Some(winner);
        self.find_on(out);
        Ok(())
    }

    #[cold]
    pub(super) fn fenced(&mut self, winner: &Record) -> Fault {
        self.phase = Phase::Over;
        Fault::new(
            &FENCED,
            format!(
                "commit record {} of kafka partition `{}-{}`: of owner `{}` in epoch `{}`, the own epoch `{}` required; its files are dropped and read again by that owner",
                winner.seq,
                self.identity.topic,
                self.identity.partition,
                winner.owner,
                winner.epoch,
                self.epoch
            ),
        )
    }

    /// Takes back everything, the commit at the front too: its place is another's for good.
    pub(super) fn lose_all(&mut self, out: &mut Vec<Action>) {
        let back = self.take_back(0);
        out.push(Action::TakeBack(back));
    }

    /// Gives up the commit that is being recorded, by filling its place. The answers tell which of the two
    /// has it.
    ///
    /// A pipeline does not need it: who leaves with a commit in doubt leaves it as it is ([`Machine::abandon`]), and
    /// the next owner's claim fills the place, or finds the record there. It is for who must know at once.
    pub fn void(&mut self, out: &mut Vec<Action>) {
        let Some(Pending { state: State::Recording(slot), .. }) = self.pending.front() else {
            return;
        };
        let mut slot = slot.clone();
        if slot.void.is_some() || self.authority == Authority::Kafka {
            return;
        }
        let at = slot.record.from;
        let id = format!("{}-void", slot.record.id);
        let void = Arc::new(self.blank(Kind::Void, id, OffsetRange::new(at, at)));
        slot.ticket = self.ticket();
        slot.void = Some(void.clone());
        out.push(Action::Put { ticket: slot.ticket, record: void, after_ms: 0 });
        if let Some(front) = self.pending.front_mut() {
            front.state = State::Recording(slot);
        }
    }

    /// A file could not be staged: its commit and everything after it is taken back.
    ///
    /// A commit that is being recorded or published stays. `file` may belong to the open interval; then only
    /// that one is taken back.
    pub fn rewind(&mut self, file: FileId) -> TakenBack {
        let bad = self.pending.iter().position(|p| p.waits_for(file));
        if planted(Flaw::RewindToFile)
            && let Some(pending) = bad.and_then(|bad| self.pending.get_mut(bad))
            && let Some(at) = pending.sealed.files.iter().position(|(id, _)| *id == file)
        {
            let (_, about) = pending.sealed.files.remove(at);
            return TakenBack { offset: about.first, files: vec![file], ..TakenBack::default() };
        }
        self.take_back(bad.unwrap_or(self.pending.len()))
    }

    /// Everything that is neither being recorded nor published is taken back; what is, cannot be called back:
    /// its record may be there.
    pub fn abandon(&mut self) -> TakenBack {
        let under_way = self.pending.front().filter(|p| p.state != State::Staging);
        let kept = under_way.map(|p| p.staged.iter().map(|(_, s)| s.clone()).collect());
        let from = usize::from(kept.is_some());
        TakenBack { kept: kept.unwrap_or_default(), ..self.take_back(from) }
    }

    pub(super) fn take_back(&mut self, from: usize) -> TakenBack {
        let mut back = TakenBack::default();
        back.staged.extend(std::mem::take(&mut self.early).into_iter().map(|(_, s)| s));
        for pending in self.pending.drain(from..) {
            back.files.extend(pending.sealed.files.iter().map(|(id, _)| *id));
            back.staged.extend(pending.staged.into_iter().map(|(_, s)| s));
        }
        back.offset = self.sealed_to();
        // A footer names the commit that its file is in: no two intervals share an id.
        self.intervals += 1;
        back
    }
}
