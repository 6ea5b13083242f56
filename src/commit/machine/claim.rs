//! A: finding the end of the chain, finishing what its last record names, claiming.
//!
//! Owns: where a Kafka partition starts, and what is refused where Kafka and the chain part ways.

use std::sync::Arc;

use super::{Action, Assigned, Authority, Chains, Machine, Phase, Place, Ticket};
use crate::commit::codes::{
    AHEAD, LINK, RETENTION, START, STATE_LOST, TOPIC_IDENTITY, TOPIC_UNKNOWN, TRUNCATED,
};
use crate::commit::head::{Next, Search};
use crate::commit::record::{self, File, Hint, Identity, Kind, Point, Record, Skipped};
use crate::error::{Code, Fault};
use crate::flaw::{Flaw, planted};
use crate::position::{Offset, OffsetRange};

/// What a claim says.
struct Start {
    from: Offset,
    to: Offset,
    /// A reset also claims: its epoch rises.
    kind: Kind,
}

impl Machine {
    /// Starts with finding the end of the chain.
    pub fn begin(&mut self, out: &mut Vec<Action>) {
        if self.authority == Authority::Kafka {
            return self.begin_named(out);
        }
        let text = self.assigned.committed.as_ref().map(|(_, text)| text.as_str());
        let (search, seq) = Search::new(text.and_then(Hint::parse));
        self.find(search, seq, out);
    }

    pub(super) fn find(&mut self, search: Search, seq: u64, out: &mut Vec<Action>) {
        let ticket = self.ticket();
        self.phase = Phase::Finding { search, ticket };
        out.push(Action::Get { ticket, seq, id: None });
    }

    /// Looks again from the last record known on.
    pub(super) fn find_on(&mut self, out: &mut Vec<Action>) {
        let (search, seq) = match self.head.clone() {
            Some(head) => Search::after(head),
            None => Search::new(None),
        };
        self.find(search, seq, out);
    }

    /// The answer to [`Action::Get`]: the record, or that there is none.
    pub fn record(
        &mut self,
        ticket: Ticket,
        seq: u64,
        found: Option<Arc<Record>>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        if !self.expects(ticket) {
            return Ok(());
        }
        if let Some(found) = &found {
            found.belongs(&self.identity, seq)?;
        }
        match &mut self.phase {
            Phase::Finding { search, .. } => {
                let next = search.got(found)?;
                self.found(next, out)
            }
            Phase::Named { .. } => self.named(found, out),
            Phase::Claiming(_) => self.claim_read(found, out),
            _ => self.commit_read(found, out),
        }
    }

    pub(super) fn found(&mut self, next: Next, out: &mut Vec<Action>) -> Result<(), Fault> {
        match next {
            Next::Get(seq) => {
                let ticket = self.ticket();
                if let Phase::Finding { ticket: own, .. } = &mut self.phase {
                    *own = ticket;
                }
                out.push(Action::Get { ticket, seq, id: None });
                Ok(())
            }
            Next::Nothing | Next::HintGone => {
                self.look_around(next == Next::HintGone, out);
                Ok(())
            }
            Next::Head(record) => self.recover(record, out),
        }
    }

    /// No chain where one is looked for: what else is there?
    pub(super) fn look_around(&mut self, hint_gone: bool, out: &mut Vec<Action>) {
        let ticket = self.ticket();
        self.phase = Phase::Listing { ticket, hint_gone };
        out.push(Action::List { ticket });
    }

    /// The answer to [`Action::List`].
    pub fn chains(
        &mut self,
        ticket: Ticket,
        found: &Chains,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let Phase::Listing { ticket: own, hint_gone } = self.phase else { return Ok(()) };
        if own != ticket {
            return Ok(());
        }
        let mine = record::topic_folder(&self.identity);
        let another = found.folders.iter().find(|folder| !folder.starts_with(&mine));
        let nameless = record::nameless_folder(&self.identity);
        match another {
            // No id is no other id: brokers that come up may name none for a while.
            Some(folder) if self.identity.topic_id.is_none() => Err(Fault::new(
                &TOPIC_UNKNOWN,
                format!(
                    "topic `{}`: the brokers name no id, the one of the chain in `{folder}` required",
                    self.identity.topic
                ),
            )),
            Some(_) if found.folders.contains(&nameless) => Err(Fault::new(
                &TOPIC_IDENTITY,
                format!(
                    "topic `{}`: its id is `{}` now, and `{nameless}` holds a chain of when the brokers named none; whether it is the same topic is not known",
                    self.identity.topic,
                    self.identity.topic_id.as_deref().unwrap_or("none"),
                ),
            )),
            Some(folder) if !self.policy.restart_recreated => Err(Fault::new(
                &TOPIC_IDENTITY,
                format!(
                    "topic `{}`: its id is `{}` now, and `{folder}` holds a chain of another one; see `commit.on_recreated_topic`",
                    self.identity.topic,
                    self.identity.topic_id.as_deref().unwrap_or("none"),
                ),
            )),
            // The text is one of this chain's, and its record is not there: not the other topic's doing.
            _ if hint_gone && found.named_in.is_none() => Err(self.state_lost()),
            // It has records that counted: it does not begin anew.
            Some(_) if found.seq_max > 1 => self.adopt(found, out),
            Some(_) => {
                // What the group has committed belongs to the topic that is no more. A text of its is none of the
                // new chain's: it would say that what the new one's last record names is published.
                Arc::make_mut(&mut self.assigned).committed = None;
                if hint_gone && self.authority == Authority::Store {
                    let (search, seq) = Search::new(None);
                    self.find(search, seq, out);
                    return Ok(());
                }
                self.claim(Some(self.assigned.low), out)
            }
            // Who wrote a second record had seen that Kafka took the first one.
            None if found.seq_max > 1 => self.adopt(found, out),
            // It came after the others: nothing of it was there when `source.start` was decided on.
            None if self.is_new(found, &mine) => self.claim(Some(self.assigned.low), out),
            None => self.claim(None, out),
        }
    }

    /// Whether this Kafka partition was added to a topic that has chains. Where nobody wrote down how many it had
    /// then, the others' chains say so.
    fn is_new(&self, found: &Chains, mine: &str) -> bool {
        match found.partitions {
            Some(then) => i64::from(self.identity.partition) >= i64::from(then),
            None => found.folders.iter().any(|folder| folder == mine),
        }
    }

    /// Place and id of the record that Kafka's text names.
    pub fn named_by_kafka(&self) -> Option<(u64, String)> {
        let (_, text) = self.assigned.committed.as_ref()?;
        match self.authority {
            Authority::Store => Hint::parse(text).map(|hint| (hint.seq, hint.id)),
            Authority::Kafka => Point::parse(text).map(|point| (point.seq, point.id)),
        }
    }

    #[cold]
    pub(super) fn state_lost(&self) -> Fault {
        let text = self.assigned.committed.as_ref().map_or("", |(_, text)| text.as_str());
        Fault::new(
            &STATE_LOST,
            format!(
                "chain `{}`: kafka's committed offset says `{text}` and no such record is there",
                record::chain_folder(&self.identity)
            ),
        )
    }

    /// A2: what the last record names is published before anything follows it.
    pub(super) fn recover(
        &mut self,
        record: Arc<Record>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        self.head = Some(record.clone());
        if self.epoch > 0 && record.epoch > self.epoch {
            return Err(self.fenced(&record));
        }
        if record.files.is_empty() || self.known_published(&record) || !self.rules.finish_first {
            return self.claim(None, out);
        }
        let ticket = self.ticket();
        self.phase = Phase::Recovering { ticket };
        let files = record.files.iter().map(File::staged).collect();
        out.push(Action::Publish { ticket, seq: record.seq, files });
        Ok(())
    }

    /// Kafka is told of a record only once it is published.
    pub(super) fn known_published(&self, record: &Record) -> bool {
        let Some((_, text)) = self.assigned.committed.as_ref() else { return false };
        match self.authority {
            Authority::Store => Hint::parse(text).is_some_and(|hint| hint.seq >= record.seq),
            Authority::Kafka => Point::parse(text).is_some_and(|point| {
                point.published && point.seq == record.seq && point.id == record.id
            }),
        }
    }

    /// A3, or the end of it: who has a claim needs no other one.
    pub(super) fn claim(
        &mut self,
        anew: Option<Offset>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        if let Some(operation) = self.operation.clone() {
            return self.operate(&operation, out);
        }
        if self.epoch > 0 {
            self.flow(out);
            return Ok(());
        }
        let Start { from, to, kind } = self.start(anew)?;
        let skipped = (from < to).then(|| Skipped { from, to, why: "retention".to_owned() });
        let head = self.head.as_deref();
        let mut claim = self.blank(kind, self.commit_id(), OffsetRange::new(from, to));
        claim.epoch = head.map_or(1, |head| head.epoch.saturating_add(1));
        claim.skipped = skipped.into_iter().collect();
        self.intervals += 1;
        let slot = self.send(Arc::new(claim), out);
        self.phase = Phase::Claiming(slot);
        Ok(())
    }

    /// The offsets of the claim: none, unless Kafka has lost some and they are to be skipped.
    fn start(&self, anew: Option<Offset>) -> Result<Start, Fault> {
        let Assigned { start, low, high, committed, .. } = &*self.assigned;
        let claim = |from, to| Ok(Start { from, to, kind: Kind::Claim });
        let Some(head) = &self.head else {
            let start = anew.unwrap_or(*start);
            return match start {
                start if (*low..=*high).contains(&start) => claim(start, start),
                start if start < *low && self.policy.skip_lost => claim(*low, *low),
                _ => Err(self.outside(&START, "the start is", start)),
            };
        };
        if let Some(committed) = self.ahead(head).filter(|_| !self.policy.ignore_ahead) {
            return Err(Fault::new(
                &AHEAD,
                format!(
                    "group's offset of kafka partition `{}-{}`: `{committed}`, at most `{}` required, where the chain ends; see `commit.on_group_ahead`",
                    self.identity.topic, self.identity.partition, head.to
                ),
            ));
        }
        if let Some((committed, _)) =
            committed.as_ref().filter(|_| planted(Flaw::StartAtKafkaOffset))
        {
            return claim(*committed, *committed);
        }
        if head.to > *high {
            if self.policy.reset_truncated {
                return Ok(Start { from: *high, to: *high, kind: Kind::Reset });
            }
            return Err(self.outside(&TRUNCATED, "the chain ends at", head.to));
        }
        if head.to >= *low {
            return claim(head.to, head.to);
        }
        if self.policy.skip_lost {
            return claim(head.to, *low);
        }
        Err(self.outside(&RETENTION, "the chain ends at", head.to))
    }

    /// The group's offset, if somebody moved it beyond the chain. With the text of an earlier record beside it, it
    /// is the chain's own, and the chain was set back since.
    fn ahead(&self, head: &Record) -> Option<Offset> {
        let (committed, text) = self.assigned.committed.as_ref()?;
        let own = Hint::parse(text).is_some_and(|hint| hint.seq < head.seq);
        (*committed > head.to && !own).then_some(*committed)
    }

    #[cold]
    pub(super) fn outside(&self, code: &'static Code, what: &str, offset: Offset) -> Fault {
        let Identity { topic, partition, .. } = &*self.identity;
        let Assigned { low, high, .. } = &*self.assigned;
        Fault::new(
            code,
            format!(
                "kafka partition `{topic}-{partition}`: {what} `{offset}`, an offset of the log `{low}` to `{high}` required"
            ),
        )
    }

    pub(super) fn claim_read(
        &mut self,
        found: Option<Arc<Record>>,
        out: &mut Vec<Action>,
    ) -> Result<(), Fault> {
        let Phase::Claiming(slot) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Ok(());
        };
        match slot.whose(found) {
            Place::Mine(claim) | Place::Voided(claim) => {
                self.claimed(claim, out);
                Ok(())
            }
            Place::Another(record) => {
                self.check_unmoved(&record)?;
                self.check_next(&record)?;
                self.head = Some(record);
                self.find_on(out);
                Ok(())
            }
            Place::Unknown => {
                let slot = self.send_again(slot, out)?;
                self.phase = Phase::Claiming(slot);
                Ok(())
            }
        }
    }

    pub(super) fn claimed(&mut self, claim: Arc<Record>, out: &mut Vec<Action>) {
        self.epoch = claim.epoch;
        if !claim.files.is_empty() {
            self.publish_own(&claim, out);
            self.head = Some(claim);
            return;
        }
        self.want_offset(&claim, out);
        self.head = Some(claim);
        self.flow(out);
    }

    pub(super) fn flow(&mut self, out: &mut Vec<Action>) {
        self.phase = Phase::Flowing;
        out.push(Action::Flow { offset: self.sealed_to(), epoch: self.epoch });
    }

    pub(super) fn check_next(&self, record: &Record) -> Result<(), Fault> {
        match &self.head {
            Some(head) => record.follows(head),
            None if record.seq == 1 => Ok(()),
            None => Err(Fault::new(
                &LINK,
                format!("commit record {}: no record before it, one required", record.seq),
            )),
        }
    }
}
