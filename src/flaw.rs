//! Flaws that a test plants in the program on purpose, to show that some test finds each.
//!
//! Owns: the list of them, and the switch: one flaw at a time, on the thread that planted it.
//! Does not own: what finds a flaw (`tests/hermetic/flaws.rs`, `docs/faults.md`).
//! Absent: any way to turn one on in a release build: [`planted`] is a constant there, and nothing else is
//! compiled. No option, variable or file turns one on anywhere.

/// What is done wrong.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The offset goes to Kafka when the record is there, before its files are published.
    OffsetBeforePublish,
    /// An error that the client reports for a batch with a wrong CRC does not stop the Kafka partition.
    CrcErrorsSkipped,
    /// A new owner starts at the group's committed offset, not where the chain ends.
    StartAtKafkaOffset,
    /// A staged file is not synced.
    FileNotSynced,
    /// A folder is not synced.
    FolderNotSynced,
    /// One character of partition values is not escaped.
    EscapeOmitted,
    /// Reject files are published by themselves; no record names them.
    RejectsOutsideChain,
    /// A file is closed without its last row group.
    LastRowGroupDropped,
    /// A commit says that it ends one offset later than it does.
    ToOffByOne,
    /// Local times use the zone's offset of the start of the year.
    DaylightIgnored,
    /// Schemas are remembered by id alone, whichever registry gave them.
    SchemaCacheWithoutUrl,
    /// x1: a record is put without a condition.
    PlainPutOfRecord,
    /// x2: any answer but success means that somebody else won.
    NoReadBack,
    /// x3: a new owner does not publish what the last record names.
    PublishNotFinished,
    /// x4: records below the end of a chain are deleted.
    ChainTrimmed,
    /// x5: the janitor aborts uploads of its own epoch too.
    JanitorWithoutEpoch,
    /// x6: a file is published by putting its bytes, as often as asked.
    PublishByPut,
    /// x7: files are published under their names without a record.
    NoRecord,
    /// x9: when one file of a commit fails, reading goes back to its first offset and the others stay.
    RewindToFile,
    /// x10: a record in doubt that is not there is given up.
    DoubtAbandoned,
    /// A number that became wider is read in the form that the newer version writes.
    PromotedAsTarget,
}

/// Whether this flaw is planted on this thread.
#[cfg(not(debug_assertions))]
#[doc(hidden)]
#[inline(always)]
pub const fn planted(_: Flaw) -> bool {
    false
}

/// Work for another thread.
#[cfg(not(debug_assertions))]
#[doc(hidden)]
#[inline(always)]
pub fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    work
}

#[cfg(debug_assertions)]
pub use self::switch::{carried, plant, planted};

#[cfg(debug_assertions)]
mod switch {
    use std::cell::Cell;

    use super::Flaw;

    thread_local! {
        static PLANTED: Cell<Option<Flaw>> = const { Cell::new(None) };
    }

    /// Whether this flaw is planted on this thread.
    #[doc(hidden)]
    #[inline]
    pub fn planted(flaw: Flaw) -> bool {
        PLANTED.get() == Some(flaw)
    }

    /// Does `work` on this thread with the flaw planted; it is gone afterwards, also after a panic.
    #[doc(hidden)]
    pub fn plant<T>(flaw: Flaw, work: impl FnOnce() -> T) -> T {
        struct Pull(Option<Flaw>);
        impl Drop for Pull {
            fn drop(&mut self) {
                PLANTED.set(self.0);
            }
        }
        let _pull = Pull(PLANTED.replace(Some(flaw)));
        work()
    }

    /// Work for another thread, with what is planted on this one.
    #[doc(hidden)]
    pub fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        let planted = PLANTED.get();
        move || match planted {
            Some(flaw) => plant(flaw, work),
            None => work(),
        }
    }
}
