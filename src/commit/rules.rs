//! Rules of the protocol that a test can turn off, to show that each prevents a loss or a duplicate.

use crate::flaw::{Flaw, planted};

/// All on, except in the explorer and where a test plants a flaw.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    /// 1: a record is read back on any answer but success.
    pub read_back: bool,
    /// 2: a commit in doubt is sent again, never abandoned.
    pub resend: bool,
    /// 3: the last commit is published, by anyone, before the next is recorded.
    pub finish_first: bool,
    /// 4: a staged file is published at most once. Held by the store; the explorer's store reads this.
    pub single_use: bool,
    /// 6: the janitor removes only what carries a lower epoch than its own claim.
    pub janitor_epoch: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            read_back: !planted(Flaw::NoReadBack),
            resend: !planted(Flaw::DoubtAbandoned),
            finish_first: !planted(Flaw::PublishNotFinished),
            single_use: !planted(Flaw::PublishByPut),
            janitor_epoch: !planted(Flaw::JanitorWithoutEpoch),
        }
    }
}
