//! Requests by verb and outcome.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    CreateUpload,
    PutPart,
    Complete,
    Abort,
    Put,
    Get,
    Head,
    List,
    ListUploads,
    Delete,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// Answered with "no such thing" or "exists already".
    Negative,
    /// Failed, and sent again.
    Retried,
    Failed,
}

const VERBS: [(Verb, &str); 10] = [
    (Verb::CreateUpload, "create_upload"),
    (Verb::PutPart, "put_part"),
    (Verb::Complete, "complete"),
    (Verb::Abort, "abort"),
    (Verb::Put, "put"),
    (Verb::Get, "get"),
    (Verb::Head, "head"),
    (Verb::List, "list"),
    (Verb::ListUploads, "list_uploads"),
    (Verb::Delete, "delete"),
];
const OUTCOMES: [&str; 4] = ["ok", "negative", "retried", "failed"];

/// Counters of one store.
#[derive(Debug, Default)]
pub struct Counts([[AtomicU64; OUTCOMES.len()]; VERBS.len()]);

impl Counts {
    pub fn add(&self, verb: Verb, outcome: Outcome) {
        self.0[verb as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Those that are not 0.
    pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut all = Vec::new();
        for (row, (_, verb)) in self.0.iter().zip(VERBS) {
            for (count, outcome) in row.iter().zip(OUTCOMES) {
                match count.load(Ordering::Relaxed) {
                    0 => {}
                    count => all.push((verb, outcome, count)),
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verb_table_order_is_the_enums() {
        for (index, (verb, _)) in VERBS.iter().enumerate() {
            assert_eq!(*verb as usize, index);
        }
    }
}
