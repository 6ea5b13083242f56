//! Kafka as the authority, for stores without conditional writes: what decides a commit there.
//!
//! Owns: which record is the last one, when a record counts, what an offset commit without success comes to.
//! Does not own: how the offset commit is fenced (`source::kafka::fenced`); recovery, claims and the order of commits,
//! which are those of every chain.
//! Absent: reading back. Who is in doubt drops what it has, and begins anew with what Kafka says then.
//!
//! A record is put under a name that nobody else uses, and is nothing yet. It counts when the group's committed offset
//! names it: `fb2:<seq>:c:<id>`, and once its files are visible `fb2:<seq>:p:<id>`. Kafka keeps one such text for each
//! Kafka partition, so the text is the end of the chain, and `prev` leads from there to its start.
//!
//! Three things make the overwriting of that text as good as a create-only put:
//! - *Fenced.* The offset commit carries the group's generation of the time when the Kafka partition was held. The
//!   coordinator refuses it once there is a later generation, however late it comes. What it refused was never named.
//! - *Stable.* It is part of a transaction, and whoever reads the offset waits until no transaction has it in hand. So
//!   what a new owner reads is final: of an older generation nothing can follow.
//! - *One at a time.* An owner has one offset commit under way. Unless it succeeds the owner is done for: it publishes
//!   nothing more, and sends nothing more. The next one, in this process or another, asks Kafka.
//!
//! With that: *G1*: a record follows the one that its owner read or wrote last, and no other is named in between, so
//! ranges join and each is named once. *G2*: files are published after success only, and by recovery from the text.
//! *G3*: a record is put only when the files of the one before are visible, as in every chain. *G4* has nothing to do
//! with it.
//!
//! Weaker than the chain: the end of the chain is known to Kafka only, which forgets offsets of groups that are away
//! for longer than `offsets.retention.minutes`, and lets tools reset them; then the Kafka partition stops. Two clusters
//! that think they are one, or a coordinator that loses acknowledged offsets, are not survived. Records that Kafka
//! never named stay where they are, and are nobody's.

use std::sync::Arc;

use super::{Action, Chains, Machine, Phase, Slot, State, Ticket, Wrote};
use crate::commit::codes::{AUTHORITY_LOST, UNDECIDED};
use crate::commit::record::{Point, Record, chain_folder};
use crate::error::Fault;

impl Machine {
    /// The last record is the one that Kafka names.
    pub(super) fn begin_named(&mut self, out: &mut Vec<Action>) {
        let text = self.assigned.committed.as_ref().map(|(_, text)| text.as_str());
        let Some(point) = text.and_then(Point::parse) else {
            return self.look_around(false, out);
        };
        self.read_named(point.seq, point.id.into(), false, out);
    }

    fn read_named(&mut self, seq: u64, id: Arc<str>, adopted: bool, out: &mut Vec<Action>) {
        let ticket = self.ticket();
        self.phase = Phase::Named { id: id.clone(), ticket, adopted };
        out.push(Action::Get { ticket, seq, id: Some(id) });
    }

    /// Kafka names no record, and there are some.
    ///
    /// The last one follows a record that counted, for its owner had seen that. Whether it counts itself is not
    /// known, and can be decided now by naming it, as long as it is the only one at its place: no other can have
    /// counted there.
    pub(super) fn adopt(&mut self, found: &Chains, out: &mut Vec<Action>) -> Result<(), Fault> {
        match found.ends.as_slice() {
            [end] if self.policy.adopt_lost => {
                self.read_named(found.seq_max, end.clone(), true, out);
                Ok(())
            }
            _ => Err(self.authority_lost(found.seq_max)),
        }
    }

    /// The record that Kafka names, or that there is none of that name.
    pub(super) fn named(
        &mut self,
        found: Option<Arc<Record>>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let Phase::Named { id, adopted, .. } = &self.phase else { return Ok(()) };
        let offset = self.assigned.committed.as_ref().map(|(offset, _)| *offset);
        match found {
            Some(record) if *record.id == **id && *adopted => {
                // Not before Kafka has taken it may anything of it be seen.
                let (ticket, offset) = (self.ticket(), record.to);
                out.push(Action::CommitOffset { ticket, offset, text: point(&record).text() });
                self.offset_sent = Some(ticket);
                self.phase = Phase::Adopting { record, ticket };
                Ok(())
            }
            Some(record) if *record.id == **id && offset == Some(record.to) => {
                self.recover(record, out)
            }
            Some(record) => Err(self.authority_lost(record.seq)),
            None => {
                self.look_around(true, out);
                Ok(())
            }
        }
    }

    /// The record is in the store, or not.
    pub(super) fn stored(&mut self, how: Wrote, out: &mut Vec<Action>) -> Result<(), Fault> {
        let Some(slot) = self.slot() else { return Ok(()) };
        match how {
            Wrote::Created => {
                slot.stored = true;
                self.send_point(out);
                Ok(())
            }
            // Nobody else uses the name: the same bytes can go again.
            Wrote::Doubt | Wrote::Refused(_) => {
                let mut again = slot.clone();
                again.refused = match how {
                    Wrote::Refused(fault) => Some(fault.to_string()),
                    _ => None,
                };
                let again = self.send_again(again, out)?;
                if let Some(slot) = self.slot() {
                    *slot = again;
                }
                Ok(())
            }
        }
    }

    /// The commit point, unless an offset is under way: one at a time.
    fn send_point(&mut self, out: &mut Vec<Action>) {
        if self.offset_sent.is_some() {
            return;
        }
        let ticket = Ticket(self.next_ticket.0 + 1);
        let Some(slot) = self.slot().filter(|slot| slot.stored) else { return };
        slot.ticket = ticket;
        let (offset, text) = (slot.record.to, point(&slot.record).text());
        out.push(Action::CommitOffset { ticket, offset, text });
        self.next_ticket = ticket;
        self.offset_sent = Some(ticket);
        // What it would say is said by the point: nothing is recorded before what is before it is published.
        self.offset_wanted = None;
    }

    /// Kafka has the offset: the point of a record, or that its files are visible.
    pub(super) fn decided(&mut self, ticket: Ticket, out: &mut Vec<Action>) -> Result<(), Fault> {
        if let Phase::Adopting { record, .. } = &self.phase {
            return self.recover(record.clone(), out);
        }
        let point = self.slot().filter(|slot| slot.stored && slot.ticket == ticket);
        match point.map(|slot| slot.record.clone()) {
            Some(record) if matches!(self.phase, Phase::Claiming(_)) => {
                self.claim_read(Some(record), out)
            }
            Some(record) => self.commit_read(Some(record), out),
            None => {
                self.send_point(out);
                self.send_offset(out);
                Ok(())
            }
        }
    }

    /// Kafka refused the offset, or nobody knows: where Kafka is the authority, this owner is done for.
    ///
    /// Its commit may be named all the same. Nothing of it is taken back, and nothing of it published.
    pub fn offset_refused(&mut self, ticket: Ticket, fault: &Fault) -> Result<(), Fault> {
        if self.offset_sent != Some(ticket) {
            return Ok(());
        }
        self.phase = Phase::Over;
        Err(Fault::new(
            &UNDECIDED,
            format!(
                "kafka partition `{}-{}`: {}; asked again what kafka has",
                self.identity.topic, self.identity.partition, fault.message
            ),
        ))
    }

    #[cold]
    pub(super) fn authority_lost(&self, seq: u64) -> Fault {
        let committed = self.assigned.committed.as_ref();
        let said = committed.map_or_else(
            || "nothing".to_owned(),
            |(offset, text)| format!("offset `{offset}` with text `{text}`"),
        );
        Fault::new(
            &AUTHORITY_LOST,
            format!(
                "chain `{}`: kafka's committed offset says {said}, and there are records up to {seq}",
                chain_folder(&self.identity)
            ),
        )
    }

    /// The record on its way to its place.
    fn slot(&mut self) -> Option<&mut Slot> {
        match (&mut self.phase, self.pending.front_mut().map(|p| &mut p.state)) {
            (Phase::Claiming(slot), _) => Some(slot),
            (Phase::Flowing, Some(State::Recording(slot))) => Some(slot),
            _ => None,
        }
    }
}

/// What Kafka is to say of a record.
fn point(record: &Record) -> Point {
    Point { seq: record.seq, id: record.id.clone(), published: record.files.is_empty() }
}
