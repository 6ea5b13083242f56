//! Kafka partitions that are given up and claimed anew.
//!
//! Owns: which stops pass by themselves, and how often that is believed.
//! Does not own: fences (`fences`), what the next claim does (`task`).
//! Bounded by: the Kafka partitions that the group gave.

use super::{AGAIN_MS, ENDS_ASKED, Poller};
use crate::commit::{AUTHORITY_LOST, TRUNCATED};
use crate::error::Fault;
use crate::position::TopicPartition;
use crate::source::Source;
use crate::source::codes::POSITION_RANGE;

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
        let lost = self.lost.entry(tp.clone()).or_default();
        *lost += 1;
        *lost < ENDS_ASKED
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
    /// preferred, may have committed in between: it is asked again. False when that was done often enough.
    pub(super) fn asks_end_again(&mut self, tp: &TopicPartition, fault: &Fault) -> bool {
        if *fault.code != TRUNCATED && *fault.code != AUTHORITY_LOST {
            return false;
        }
        let asked = self.past_end.entry(tp.clone()).or_default();
        *asked += 1;
        let again = *asked < ENDS_ASKED;
        if again {
            tracing::warn!("{tp}: kafka is asked again: {fault}");
            self.give_up(tp.clone(), AGAIN_MS);
        }
        again
    }
}
