//! What another owner's claim of a Kafka partition of ours comes to.
//!
//! Owns: the pause before it is claimed back.
//! Does not own: noticing the claim (`commit::machine`), the claim.
//! Bounded by: one count for each Kafka partition that was claimed over.

use super::Poller;
use crate::clock;
use crate::error::Fault;
use crate::position::TopicPartition;
use crate::source::Source;

/// Pause before a Kafka partition that another owner has claimed is claimed back, if it is still ours then; and
/// the least of the longer ones of a second time.
const FENCED_MS: u64 = 5_000;
/// Longest interval that a pause follows. A Kafka partition that is ours alone, and was claimed over in some
/// rebalances, is not left for days where the schedule says days.
const INTERVAL_MS_MAX: u64 = 600_000;

impl<S: Source> Poller<S> {
    /// Another owner has claimed it. If the group still says that it is ours, that owner is one that the group
    /// has given up, or a second pipeline of the same name: it is claimed back after a pause.
    pub(super) fn fenced(&mut self, tp: TopicPartition, fault: &Fault) {
        let times = &mut self.troubles.entry(tp.clone()).or_default().fenced;
        let pause_ms = fenced_pause_ms(*times, self.interval_ms, clock::chance());
        *times += 1;
        tracing::warn!("{tp} is given up for {pause_ms} ms: {fault}");
        self.give_up(tp, pause_ms);
    }
}

/// Pause before a Kafka partition is claimed back that others have claimed `times` times before without a commit
/// here in between; `chance` in `[0, 1)`.
///
/// Who is claimed over notices it at the next commit. Two that claim in turn, each before the other's first
/// commit, would never come to one: in the end one of them waits for longer than an interval. With intervals beyond
/// [`INTERVAL_MS_MAX`] that takes some turns more, until one claim comes soon enough after the other.
fn fenced_pause_ms(times: u32, interval_ms: u64, chance: f64) -> u64 {
    let interval_ms = interval_ms.min(INTERVAL_MS_MAX);
    let longest = match times {
        0 => return FENCED_MS,
        1 => interval_ms / 2,
        2 => interval_ms,
        _ => interval_ms.saturating_mul(2),
    };
    FENCED_MS + (longest as f64 * chance) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Seeded;

    /// Each of two owners needs a whole interval after its claim for its first commit, and notices the other's
    /// claim there.
    #[test]
    fn two_owners_that_claim_in_turn_come_to_commits() {
        for (seed, interval_ms) in (0..100).flat_map(|seed| [(seed, 10_000), (seed, 600_000)]) {
            let mut chance = Seeded::new(seed);
            let (mut times, mut commits) = ([0; 2], 0);
            // The owner that claims next, and when; the other one claimed at `claimed`.
            let (mut turn, mut claimed, mut now) = (0, 0, chance.below(interval_ms));
            for _ in 0..40 {
                if now - claimed >= interval_ms {
                    commits += 1;
                    times[1 - turn] = 0;
                }
                // The other one notices this claim when it would commit next, and pauses.
                let into = (now - claimed) % interval_ms;
                let pause = fenced_pause_ms(times[1 - turn], interval_ms, chance.unit());
                times[1 - turn] += 1;
                let back = now + (interval_ms - into) + pause;
                (claimed, now, turn) = (now, back, 1 - turn);
            }
            assert!(commits >= 2, "seed {seed}: {commits} commits in 40 claims");
        }
    }

    #[test]
    fn first_pause_after_a_fence_is_short_and_none_is_too_long() {
        assert_eq!(fenced_pause_ms(0, 600_000, 0.99), 5_000);
        for times in 1..9 {
            assert!((5_000..1_205_000).contains(&fenced_pause_ms(times, 600_000, 0.999)));
            assert!((5_000..1_205_000).contains(&fenced_pause_ms(times, 86_400_000, 0.999)));
        }
    }
}
