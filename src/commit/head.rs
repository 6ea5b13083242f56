//! Where a chain ends: which record to read next, until the last one is known.
//!
//! Owns: the hint, galloping and bisecting, links between records met, holes.
//! Does not own: reading (`pipeline` carries the questions out), whose chain it is (`machine`).
//! Bounded by: two records held, and about 2·log₂(n) questions for a chain of n records.
//! Absent: IO, clocks, async.
//!
//! Records are dense from 1 and never removed, so "is there a record at seq n" is monotonic. With a fresh hint
//! two questions are enough: the record it names, and that there is none after it.

use std::sync::Arc;

use super::codes::LINK;
use super::record::{Hint, Record};
use crate::error::Fault;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Read this record and answer with [`Search::got`].
    Get(u64),
    /// The chain ends with this record.
    Head(Arc<Record>),
    /// There is no chain.
    Nothing,
    /// The record that the hint names is not where it says: there is none, or another one.
    HintGone,
}

/// A search under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Search {
    hint: Option<Hint>,
    asked: u64,
    why: Why,
    /// The latest record that is there.
    low: Option<Arc<Record>>,
    /// `low` is known to follow the record before it.
    linked: bool,
    /// The earliest seq where none was found.
    high: Option<u64>,
    step: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Why {
    Probe,
    /// The record before the head, for its link.
    Link,
    /// The place after the next one: a record there means that one is missing in between.
    Hole,
    /// Once more where none was found: it may have come meanwhile.
    Again,
    Over,
}

impl Search {
    /// A search without a start of its own, and its first question.
    pub fn new(hint: Option<Hint>) -> (Self, u64) {
        let asked = hint.as_ref().map_or(1, |h| h.seq);
        let search =
            Self { hint, asked, why: Why::Probe, low: None, linked: false, high: None, step: 1 };
        (search, asked)
    }

    /// Goes on after a record whose link is known.
    pub fn after(record: Arc<Record>) -> (Self, u64) {
        let asked = record.seq + 1;
        let search = Self {
            hint: Some(Hint { seq: record.seq, id: record.id.clone() }),
            asked,
            why: Why::Probe,
            low: Some(record),
            linked: true,
            high: None,
            step: 2,
        };
        (search, asked)
    }

    /// Takes the answer to the last question. Errors: [`LINK`].
    pub fn got(&mut self, found: Option<Arc<Record>>) -> Result<Next, Fault> {
        let asked = self.asked;
        match (self.why, found) {
            (Why::Probe, Some(record)) => self.present(record),
            (Why::Probe, None) if self.hint_is_at(asked) && self.low.is_none() => {
                Ok(Next::HintGone)
            }
            (Why::Probe, None) => {
                self.high = Some(self.high.map_or(asked, |high| high.min(asked)));
                Ok(self.next())
            }
            (Why::Link, Some(before)) => {
                if let Some(head) = &self.low {
                    head.follows(&before)?;
                }
                self.linked = true;
                Ok(self.next())
            }
            (Why::Link, None) => Err(missing(asked, asked + 1)),
            (Why::Hole, None) => {
                self.why = Why::Over;
                Ok(self.next())
            }
            (Why::Hole, Some(_)) => Ok(self.ask(asked - 1, Why::Again)),
            (Why::Again, None) => Err(missing(asked, asked + 1)),
            (Why::Again, Some(record)) => {
                self.high = None;
                self.present(record)
            }
            (Why::Over, _) => Ok(self.next()),
        }
    }

    fn present(&mut self, record: Arc<Record>) -> Result<Next, Fault> {
        let hinted = self.hint_is_at(record.seq);
        if let Some(hint) = self.hint.as_ref().filter(|_| hinted)
            && hint.id != record.id
        {
            return Ok(Next::HintGone);
        }
        let before = self.low.as_ref().filter(|low| low.seq + 1 == record.seq);
        if let Some(before) = before {
            record.follows(before)?;
        }
        self.linked = hinted || before.is_some() || record.seq == 1;
        self.low = Some(record);
        self.why = Why::Probe;
        Ok(self.next())
    }

    fn hint_is_at(&self, seq: u64) -> bool {
        self.hint.as_ref().is_some_and(|h| h.seq == seq)
    }

    fn ask(&mut self, seq: u64, why: Why) -> Next {
        (self.asked, self.why) = (seq, why);
        Next::Get(seq)
    }

    fn next(&mut self) -> Next {
        let Some(low) = self.low.clone() else { return Next::Nothing };
        match self.high {
            None => {
                let seq = low.seq.saturating_add(self.step);
                self.step = self.step.saturating_mul(2);
                self.ask(seq, Why::Probe)
            }
            Some(high) if high > low.seq + 1 => {
                self.ask(low.seq + (high - low.seq) / 2, Why::Probe)
            }
            Some(_) if !self.linked => self.ask(low.seq - 1, Why::Link),
            Some(_) if self.hint.is_none() && self.why != Why::Over => {
                self.ask(low.seq + 2, Why::Hole)
            }
            Some(_) => Next::Head(low),
        }
    }
}

#[cold]
fn missing(seq: u64, after: u64) -> Fault {
    Fault::new(
        &LINK,
        format!("commit record {seq}: none, one required as there is a record {after}"),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::commit::record::tests::record;

    /// Answers from a set of places; returns the head's seq (0 for nothing) and the number of questions.
    fn search(there: &BTreeSet<u64>, hint: Option<u64>) -> Result<(u64, u32), Fault> {
        let at = |seq: u64| there.contains(&seq).then(|| Arc::new(record(seq)));
        let hint = hint.map(|seq| Hint { seq, id: record(seq).id });
        let (mut search, mut ask) = Search::new(hint);
        for count in 1.. {
            match search.got(at(ask))? {
                Next::Get(seq) => ask = seq,
                Next::Head(record) => return Ok((record.seq, count)),
                Next::Nothing => return Ok((0, count)),
                Next::HintGone => return Ok((u64::MAX, count)),
            }
            assert!(count < 200, "no end");
        }
        Ok((0, 0))
    }

    #[test]
    fn head_of_every_short_chain_is_found_with_and_without_hint() {
        for len in 0..70 {
            let there: BTreeSet<u64> = (1..=len).collect();
            assert_eq!(search(&there, None).unwrap().0, len);
            for hint in 1..=len {
                assert_eq!(search(&there, Some(hint)).unwrap().0, len, "hint {hint}");
            }
        }
    }

    #[test]
    fn fresh_hint_costs_two_questions_and_none_a_few_dozen() {
        let there: BTreeSet<u64> = (1..=10_000).collect();
        assert_eq!(search(&there, Some(10_000)).unwrap(), (10_000, 2));
        // The record after the hint, one too far, and back in between.
        assert_eq!(search(&there, Some(9_999)).unwrap(), (10_000, 4));
        assert!(search(&there, None).unwrap().1 <= 32);
    }

    #[test]
    fn hint_to_a_record_that_is_not_there_is_told() {
        assert_eq!(search(&BTreeSet::new(), Some(3)).unwrap().0, u64::MAX);
        assert_eq!(search(&(1..3).collect(), Some(3)).unwrap().0, u64::MAX);
    }

    #[test]
    fn hole_before_the_end_is_refused_and_never_taken_for_the_end() {
        for hole in 2..12 {
            let there: BTreeSet<u64> = (1..=12).filter(|seq| *seq != hole).collect();
            match search(&there, None) {
                Err(fault) => assert_eq!(fault.code.id, "FB0923"),
                // Not met on the way: harmless, the next record does not go there.
                Ok((head, _)) => assert_eq!(head, 12, "hole {hole}"),
            }
        }
    }

    #[test]
    fn record_of_another_history_at_the_hint_is_not_the_one_it_names() {
        let (mut search, _) = Search::new(Some(Hint { seq: 2, id: "other".into() }));
        assert_eq!(search.got(Some(Arc::new(record(2)))), Ok(Next::HintGone));
    }
}
