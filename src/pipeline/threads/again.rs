//! Kafka partitions that are given up and claimed anew.
//!
//! Owns: which stops pass by themselves, and how often that is believed.
//! Does not own: fences (`fences`), what the next claim does (`task`).
//! Bounded by: the Kafka partitions that the group gave.

use super::{AGAIN_MS, ENDS_ASKED, Poller};
use crate::commit::{AUTHORITY_LOST, TOO_OLD, TRUNCATED};
use crate::error::Fault;
use crate::position::TopicPartition;
use crate::source::Source;
use crate::source::codes::POSITION_RANGE;

/// Longest pause before Kafka is asked again whether it has an offset.
const UNDECIDED_MS_MAX: u64 = 30_000;

/// What a Kafka partition was given up for and claimed anew, and how often in a row.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    /// Its chain ended after its log.
    pub(super) past_end: u32,
    /// Kafka named no record of its chain.
    pub(super) unnamed: u32,
    /// The brokers gave its topic no id, where Kafka decides.
    pub(super) no_topic_id: u32,
    /// Its log did not have the position, without a record in between.
    pub(super) lost: u32,
    /// Others claimed it, without a commit here in between.
    pub(super) fenced: u32,
    /// Nobody knew whether Kafka had taken an offset, without a commit in between.
    pub(super) undecided: u32,
}

impl<S: Source> Poller<S> {
    /// Gives a Kafka partition up for a while; then it is claimed anew if the group still says that it is ours.
    pub(super) fn give_up(&mut self, tp: TopicPartition, for_ms: u64) {
        self.remove(std::slice::from_ref(&tp));
        let given_back = self.revoking.iter().any(|(tps, _)| tps.contains(&tp));
        if self.leaving_since_ms.is_none() && !given_back {
            self.unresolved.push((vec![tp], self.clock.now().mono_ms + for_ms));
        }
    }

    /// Whether the log has lost the position, and the configuration says how to go on: the next claim asks what
    /// the log has, and records what is done. Not without end where the log has the position after all.
    pub(super) fn goes_around(&mut self, tp: &TopicPartition, fault: &Fault) -> bool {
        if *fault.code != POSITION_RANGE || !self.goes_around_lost {
            return false;
        }
        let lost = &mut self.troubles.entry(tp.clone()).or_default().lost;
        *lost += 1;
        *lost < ENDS_ASKED
    }

    /// Whether Kafka has the offset that decides a commit is not known. It says so when it is asked: soon, and
    /// later where that did not help.
    pub(super) fn undecided(&mut self, tp: TopicPartition, fault: &Fault) {
        let times = &mut self.troubles.entry(tp.clone()).or_default().undecided;
        let pause_ms = (AGAIN_MS << (*times).min(10)).min(UNDECIDED_MS_MAX);
        *times += 1;
        tracing::warn!("{tp} is claimed anew in {pause_ms} ms: {fault}");
        if let Err(fault) = self.source.release(std::slice::from_ref(&tp)) {
            tracing::warn!("stopping {tp}: {fault}");
        }
        self.give_up(tp, pause_ms);
    }

    /// These are not ours any more, or not for long: what comes after is another story.
    pub(super) fn forget_troubles(&mut self, partitions: &[TopicPartition]) {
        partitions.iter().for_each(|tp| {
            self.troubles.remove(tp);
        });
    }

    /// What stopped it passes: it is read no more, and claimed anew in a second.
    pub(super) fn start_anew(&mut self, tp: TopicPartition, fault: &Fault) {
        tracing::warn!("{tp} is started anew in a second: {fault}");
        if let Err(fault) = self.source.release(std::slice::from_ref(&tp)) {
            tracing::warn!("stopping {tp}: {fault}");
        }
        self.give_up(tp, AGAIN_MS);
    }

    /// Kafka was asked before the records were read, and an owner that the group has given up, or that it has
    /// preferred, may have committed in between; and brokers between two controllers name no topic's id. It is asked
    /// again. False when that was done often enough.
    pub(super) fn asks_end_again(&mut self, tp: &TopicPartition, fault: &Fault) -> bool {
        let troubles = self.troubles.entry(tp.clone()).or_default();
        let asked = match fault.code {
            code if *code == TRUNCATED => &mut troubles.past_end,
            code if *code == AUTHORITY_LOST => &mut troubles.unnamed,
            code if *code == TOO_OLD => &mut troubles.no_topic_id,
            _ => return false,
        };
        *asked += 1;
        let again = *asked < ENDS_ASKED;
        if again {
            tracing::warn!("{tp}: kafka is asked again: {fault}");
            self.give_up(tp.clone(), AGAIN_MS);
        }
        again
    }
}
