//! When the open interval of a Kafka partition is over, and its seal.
//!
//! Owns: the reasons to seal that are no event: rows, bytes, memory, age, the schedule, silence.
//! Does not own: those that are (revoke, drain, shutdown: `Event::Finish`), what a seal sets off (`machine`).

use super::{Action, COMMITS_MAX, Machine, Phase, Task};
use crate::clock::Now;
use crate::commit::schedule::next_mark_ms;
use crate::config::Commit;
use crate::error::Fault;

/// What the open interval holds.
#[derive(Debug, Default)]
pub(super) struct Interval {
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// Since it holds anything, be it only a position.
    begun: Option<Begun>,
    /// Least and greatest time of its records.
    pub(super) times_ms: Option<(i64, i64)>,
}

#[derive(Debug, Clone, Copy)]
struct Begun {
    at: Now,
    /// Of the last record, by the steady clock.
    last_ms: u64,
    /// When the schedule seals, ms since 1970.
    mark_ms: Option<i64>,
}

impl Begun {
    fn aged_ms(&self, commit: &Commit) -> u64 {
        let Self { at, mark_ms, .. } = self;
        let due = at.mono_ms.saturating_add(commit.interval.as_millis() as u64);
        // By the steady clock as well: where the wall's is set back, the mark does not move away.
        let mark = |mark: i64| at.mono_ms.saturating_add_signed(mark.saturating_sub(at.wall_ms));
        mark_ms.map_or(due, |ms| due.min(mark(ms)))
    }
}

impl Interval {
    /// Something came.
    pub(super) fn touch(&mut self, now: Now, commit: &Commit) {
        let begun = self.begun.get_or_insert_with(|| {
            let mark = |s: &crate::config::Schedule| {
                next_mark_ms(now.wall_ms, s.every.as_millis() as i64, &s.zone)
            };
            Begun { at: now, last_ms: now.mono_ms, mark_ms: commit.schedule.as_ref().map(mark) }
        });
        begun.last_ms = now.mono_ms;
    }

    /// When it seals at the latest, by the steady clock, if nothing more comes.
    pub(super) fn due_ms(&self, commit: &Commit) -> Option<u64> {
        let begun = self.begun?;
        let idle = commit.idle.map(|idle| begun.last_ms.saturating_add(idle.as_millis() as u64));
        let aged = begun.aged_ms(commit);
        Some(idle.map_or(aged, |idle| idle.min(aged)))
    }

    /// `quiet`: every record that came is taken.
    fn is_over(&self, now: Now, commit: &Commit, quiet: bool) -> bool {
        let Some(begun) = self.begun else { return false };
        let silent = commit.idle.is_some_and(|idle| {
            quiet && now.mono_ms.saturating_sub(begun.last_ms) >= idle.as_millis() as u64
        });
        let scheduled = begun.mark_ms.is_some_and(|mark| now.wall_ms >= mark);
        silent || scheduled || now.mono_ms >= begun.aged_ms(commit)
    }
}

impl Task {
    /// When the open interval seals at the latest, by the steady clock.
    pub fn seals_at_ms(&self) -> Option<u64> {
        self.interval.due_ms(&self.settings.commit)
    }

    /// `quiet`: nothing that came waits to be taken.
    pub(super) fn must_seal(&self, now: Now, quiet: bool) -> bool {
        let commit = &self.settings.commit;
        self.interval.begun.is_some()
            && (commit.rows.is_some_and(|rows| self.interval.records >= rows)
                || commit.bytes.is_some_and(|bytes| self.interval.bytes >= bytes)
                || self.lanes.memory() >= self.share
                || self.interval.is_over(now, commit, quiet))
    }

    /// Who waits for a schema, or for a commit, is not silent.
    pub(super) fn is_quiet(&self) -> bool {
        self.backlog.is_empty() && self.waiting.is_none()
    }

    /// Seals the interval; false if as many commits as may be are under way already.
    pub(super) fn seal(&mut self, out: &mut Vec<Action>) -> Result<bool, Fault> {
        if self.machine.as_ref().is_some_and(|m| m.pending() >= COMMITS_MAX) {
            return Ok(false);
        }
        self.seal_now(out)?;
        Ok(true)
    }

    fn seal_now(&mut self, out: &mut Vec<Action>) -> Result<(), Fault> {
        self.flush(None, out)?;
        let mut outputs = Vec::new();
        let files = self.lanes.seal(&mut outputs)?;
        self.emit(outputs, out);
        self.files.extend(&files);
        let interval = std::mem::take(&mut self.interval);
        self.seal_files(files, interval, out)
    }

    pub(super) fn finish(&mut self, out: &mut Vec<Action>) -> Result<(), Fault> {
        self.seal_now(out)?;
        self.backlog.clear();
        self.cursor = 0;
        self.waiting = None;
        self.phase = Phase::Finishing;
        self.say_finished(out);
        Ok(())
    }

    pub(super) fn say_finished(&mut self, out: &mut Vec<Action>) {
        let done = self.machine.as_ref().is_none_or(Machine::is_settled);
        let over =
            self.phase == Phase::Finishing || (self.phase == Phase::Idle && self.finish_wanted);
        if over && done {
            self.phase = Phase::Finished;
            out.push(Action::Finished);
        }
    }
}
