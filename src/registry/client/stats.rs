//! Counters of the client, by what was asked and how it went.

use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::{Request, StatusCode};

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Id,
    Guid,
    Subject,
    Register,
    Compatibility,
    Other,
}

impl Verb {
    const ALL: [(Verb, &'static str); 6] = [
        (Verb::Id, "id"),
        (Verb::Guid, "guid"),
        (Verb::Subject, "subject"),
        (Verb::Register, "register"),
        (Verb::Compatibility, "compatibility"),
        (Verb::Other, "other"),
    ];

    pub(super) fn of(request: &Request) -> Self {
        let path = request.url().path();
        let post = request.method() == reqwest::Method::POST;
        match path.trim_start_matches('/').split('/').collect::<Vec<_>>().as_slice() {
            ["schemas", "ids", ..] => Verb::Id,
            ["schemas", "guids", ..] => Verb::Guid,
            ["subjects", _, "versions"] if post => Verb::Register,
            ["subjects", ..] => Verb::Subject,
            ["compatibility", ..] => Verb::Compatibility,
            _ => Verb::Other,
        }
    }
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// 404 of a registry.
    Unknown,
    /// 409, 422.
    Refused,
    /// No answer: one try at one URL.
    Failed,
}

impl Outcome {
    const ALL: [(Outcome, &'static str); 4] = [
        (Outcome::Ok, "ok"),
        (Outcome::Unknown, "unknown"),
        (Outcome::Refused, "refused"),
        (Outcome::Failed, "failed"),
    ];

    pub(super) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Outcome::Ok,
            404 => Outcome::Unknown,
            _ => Outcome::Refused,
        }
    }
}

/// Requests since the start; plain atomics, read by whoever renders metrics.
#[derive(Debug, Default)]
pub struct Stats {
    counts: [[AtomicU64; 4]; 6],
    /// Lookups that were asked of the registry because the cache had no answer.
    pub(super) misses: AtomicU64,
}

impl Stats {
    pub(super) fn count(&self, verb: Verb, outcome: Outcome) {
        self.counts[verb as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Requests by verb and outcome, names as metrics show them.
    pub fn requests(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut out = Vec::with_capacity(24);
        for (verb, verb_name) in Verb::ALL {
            for (outcome, outcome_name) in Outcome::ALL {
                let count = self.counts[verb as usize][outcome as usize].load(Ordering::Relaxed);
                out.push((verb_name, outcome_name, count));
            }
        }
        out
    }

    /// Requests of one kind.
    pub fn requests_of(&self, verb: Verb, outcome: Outcome) -> u64 {
        self.counts[verb as usize][outcome as usize].load(Ordering::Relaxed)
    }

    /// Schemas that were not in the cache.
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }
}
