//! The commit protocol of one Kafka partition as a step function: events in, actions out.
//!
//! A commit is a range of offsets whose files become visible together. Its life: sealed → all files
//! staged → published → offset committed → done. Commits are published strictly in order: nothing of
//! commit *n + 1* is published before the offset of *n* is committed, so that a crash can leave at
//! most one commit published and not committed. Those rows come again: at least once.

use std::collections::{HashSet, VecDeque};

use crate::position::{Offset, OffsetRange};
use crate::store::Staged;

/// Number of a file within its Kafka partition and run.
pub type FileId = u64;

/// What the driver has to do. It answers with the call named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Publish these, then call [`Machine::published`].
    Publish { commit: u64, files: Vec<Staged> },
    /// Commit the offset to Kafka, then call [`Machine::offset_committed`].
    CommitOffset { commit: u64, offset: Offset },
    /// The commit is done: for logs and counts.
    Done { commit: u64, range: OffsetRange, files: Vec<FileId> },
}

/// What a failure takes back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TakenBack {
    /// Read again from here.
    pub offset: Offset,
    /// Files of the commits that are no more.
    pub files: Vec<FileId>,
    /// Those that are staged: to discard.
    pub staged: Vec<Staged>,
}

#[derive(Debug)]
struct Pending {
    number: u64,
    range: OffsetRange,
    files: Vec<FileId>,
    /// Those of `files` that are not staged yet.
    waiting: HashSet<FileId>,
    staged: Vec<Staged>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Staging,
    Publishing,
    Committing,
}

/// Sealed commits of one Kafka partition, oldest first.
#[derive(Debug)]
pub struct Machine {
    committed: Offset,
    next_number: u64,
    /// Staged files of the interval that is still open.
    early: Vec<(FileId, Staged)>,
    pending: VecDeque<Pending>,
}

impl Machine {
    /// A machine whose first commit starts at `start` and has this number; numbers of an earlier
    /// assignment of the same Kafka partition must not come again.
    pub fn new(start: Offset, first_number: u64) -> Self {
        Self {
            committed: start,
            next_number: first_number,
            early: Vec::new(),
            pending: VecDeque::new(),
        }
    }

    /// Offset up to which everything is published and committed.
    pub fn committed(&self) -> Offset {
        self.committed
    }

    /// Sealed commits that are not done.
    pub fn in_progress(&self) -> usize {
        self.pending.len()
    }

    /// True for the commit whose files are being published now.
    pub fn is_publishing(&self, commit: u64) -> bool {
        self.pending.front().is_some_and(|p| p.number == commit && p.state == State::Publishing)
    }

    /// Seals a commit over `range`: all its files by id, those staged already among them.
    pub fn seal(&mut self, range: OffsetRange, files: &[FileId], out: &mut Vec<Action>) {
        let mut waiting: HashSet<FileId> = files.iter().copied().collect();
        let (staged, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.early).into_iter().partition(|(id, _)| waiting.remove(id));
        self.early = later;
        self.pending.push_back(Pending {
            number: self.next_number,
            range,
            files: files.to_vec(),
            waiting,
            staged: staged.into_iter().map(|(_, s)| s).collect(),
            state: State::Staging,
        });
        self.next_number += 1;
        self.advance(out);
    }

    /// A file is staged. Files of the open interval may come before their seal.
    pub fn staged(&mut self, file: FileId, staged: Staged, out: &mut Vec<Action>) {
        match self.pending.iter_mut().find(|p| p.waiting.contains(&file)) {
            Some(pending) => {
                pending.waiting.remove(&file);
                pending.staged.push(staged);
                self.advance(out);
            }
            None => self.early.push((file, staged)),
        }
    }

    /// All files of a commit are visible.
    pub fn published(&mut self, commit: u64, out: &mut Vec<Action>) {
        if let Some(front) = self.pending.front_mut()
            && front.number == commit
            && front.state == State::Publishing
        {
            front.state = State::Committing;
            out.push(Action::CommitOffset { commit, offset: front.range.end });
        }
    }

    /// Kafka has the offset.
    pub fn offset_committed(&mut self, commit: u64, out: &mut Vec<Action>) {
        let Some(front) = self.pending.front_mut() else { return };
        if front.number != commit || front.state != State::Committing {
            return;
        }
        self.committed = front.range.end;
        let files = std::mem::take(&mut front.files);
        out.push(Action::Done { commit, range: front.range, files });
        self.pending.pop_front();
        self.advance(out);
    }

    /// A file could not be staged: its commit and everything after it is taken back.
    ///
    /// Commits that are being published stay. `file` may belong to the open interval; then only that
    /// one is taken back.
    pub fn rewind(&mut self, file: FileId) -> TakenBack {
        let bad = self.pending.iter().position(|p| p.waiting.contains(&file));
        self.take_back(bad.unwrap_or(self.pending.len()))
    }

    /// Everything that is not being published is taken back; what is, cannot be called back.
    pub fn abandon(&mut self) -> TakenBack {
        let publishing = self.pending.front().is_some_and(|p| p.state != State::Staging);
        self.take_back(usize::from(publishing))
    }

    fn take_back(&mut self, from: usize) -> TakenBack {
        let mut back = TakenBack::default();
        back.staged.extend(std::mem::take(&mut self.early).into_iter().map(|(_, s)| s));
        for pending in self.pending.drain(from..) {
            back.files.extend(pending.files);
            back.staged.extend(pending.staged);
        }
        back.offset = self.sealed_to();
        back
    }

    /// Where the open interval starts.
    pub fn sealed_to(&self) -> Offset {
        self.pending.back().map_or(self.committed, |p| p.range.end)
    }

    /// Starts what the front commit is ready for.
    fn advance(&mut self, out: &mut Vec<Action>) {
        let Some(front) = self.pending.front_mut() else { return };
        if front.state != State::Staging || !front.waiting.is_empty() {
            return;
        }
        if front.staged.is_empty() {
            front.state = State::Committing;
            out.push(Action::CommitOffset { commit: front.number, offset: front.range.end });
        } else {
            front.state = State::Publishing;
            out.push(Action::Publish { commit: front.number, files: front.staged.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Handle;

    fn staged(name: &str) -> Staged {
        Staged {
            key: name.into(),
            bytes: 1,
            handle: Handle::Local { name: name.into(), inode: 1, mtime_ns: 1 },
        }
    }

    #[test]
    fn second_commit_staged_first_waits_for_the_first() {
        let mut machine = Machine::new(0, 0);
        let mut out = Vec::new();
        machine.seal(OffsetRange::new(0, 10), &[1], &mut out);
        machine.seal(OffsetRange::new(10, 20), &[2], &mut out);
        machine.staged(2, staged("b"), &mut out);
        assert_eq!(out, []);
        machine.staged(1, staged("a"), &mut out);
        assert_eq!(out, [Action::Publish { commit: 0, files: vec![staged("a")] }]);
        out.clear();
        machine.published(0, &mut out);
        assert_eq!(out, [Action::CommitOffset { commit: 0, offset: 10 }]);
        out.clear();
        machine.offset_committed(0, &mut out);
        assert_eq!(
            out,
            [
                Action::Done { commit: 0, range: OffsetRange::new(0, 10), files: vec![1] },
                Action::Publish { commit: 1, files: vec![staged("b")] }
            ]
        );
        assert_eq!(machine.committed(), 10);
    }

    #[test]
    fn commit_without_files_still_moves_the_offset() {
        let mut machine = Machine::new(5, 0);
        let mut out = Vec::new();
        machine.seal(OffsetRange::new(5, 9), &[], &mut out);
        assert_eq!(out, [Action::CommitOffset { commit: 0, offset: 9 }]);
    }

    #[test]
    fn file_staged_before_its_seal_counts() {
        let mut machine = Machine::new(0, 0);
        let mut out = Vec::new();
        machine.staged(1, staged("a"), &mut out);
        assert_eq!(out, []);
        machine.seal(OffsetRange::new(0, 3), &[1], &mut out);
        assert_eq!(out, [Action::Publish { commit: 0, files: vec![staged("a")] }]);
    }

    #[test]
    fn failed_file_takes_back_its_commit_and_the_later_ones_only() {
        let mut machine = Machine::new(0, 0);
        let mut out = Vec::new();
        machine.seal(OffsetRange::new(0, 10), &[1], &mut out);
        machine.staged(1, staged("a"), &mut out);
        machine.seal(OffsetRange::new(10, 20), &[2, 3], &mut out);
        machine.staged(2, staged("b"), &mut out);
        machine.staged(4, staged("open"), &mut out);
        let back = machine.rewind(3);
        assert_eq!(back.offset, 10);
        assert_eq!(back.files, [2, 3]);
        assert_eq!(back.staged, [staged("open"), staged("b")]);
        assert_eq!(machine.in_progress(), 1);
    }

    #[test]
    fn late_answers_of_a_dropped_commit_change_nothing() {
        let mut machine = Machine::new(0, 0);
        let mut out = Vec::new();
        machine.seal(OffsetRange::new(0, 10), &[1], &mut out);
        assert_eq!(machine.rewind(1).offset, 0);
        machine.published(0, &mut out);
        machine.offset_committed(0, &mut out);
        assert_eq!(out, []);
        assert_eq!(machine.committed(), 0);
    }
}
