//! What is known of the schemas that records name: asked for, there, or refused for a while.
//!
//! Owns: when a schema is asked for, and what an answer means.
//! Bounded by: [`REMEMBERED`] references before refusals that are over are forgotten.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Intake;
use crate::clock::Now;
use crate::error::Fault;
use crate::record::Record;
use crate::registry::{Found, Lookup, Schema};
use crate::wire::{SchemaRef, Side};

/// First and longest pause between questions to the registry, in ms.
const ASK_MS: (u64, u64) = (250, 10_000);
/// Schemas asked for at once: ids come from records, and may be any.
const ASK_MAX: usize = 1_024;
/// References remembered at which refusals that are over are forgotten.
pub(super) const REMEMBERED: usize = 4_096;

/// What is known of a schema reference.
#[derive(Debug)]
pub(super) enum Entry {
    /// `unknown_ms`: for how long the registry said that it has no such schema, from one such answer to
    /// the next; `unknown_at_ms`: the last answer, if it was one. Time without answers does not count.
    Asked {
        unknown_ms: u64,
        unknown_at_ms: Option<u64>,
        tries: u32,
    },
    Ready(Arc<Schema>),
    /// Its records are rejected until the time given; then it is asked for again.
    Refused {
        reason: Fault,
        until_ms: u64,
    },
}

impl Intake {
    /// True if the schema has to be asked for now: it is neither known nor asked for already.
    pub fn ask(&mut self, schema: SchemaRef, now: Now) -> bool {
        match self.schemas.get(&schema) {
            Some(Entry::Ready(_) | Entry::Asked { .. }) if !self.breaker.paused(schema) => false,
            Some(Entry::Refused { until_ms, .. })
                if now.mono_ms < *until_ms && !self.breaker.paused(schema) =>
            {
                false
            }
            _ => {
                self.forget(now);
                // A refusal that ran out has spent its grace: one more "no" is enough, so that an id which
                // stays unknown costs a question now and then, not a grace each time.
                let unknown_ms = match self.schemas.get(&schema) {
                    Some(Entry::Refused { .. }) => self.settings.unknown_id_grace_ms,
                    _ => 0,
                };
                let asked = Entry::Asked { unknown_ms, unknown_at_ms: None, tries: 0 };
                self.schemas.insert(schema, asked);
                true
            }
        }
    }

    /// Drops refusals that are over, once there are many.
    fn forget(&mut self, now: Now) {
        if self.schemas.len() >= self.forget_at {
            self.schemas.retain(
                |_, e| !matches!(e, Entry::Refused { until_ms, .. } if *until_ms <= now.mono_ms),
            );
            self.forget_at = REMEMBERED.max(self.schemas.len() * 2);
        }
    }

    /// Takes the registry's answer in. `Some(ms)`: ask again after this pause.
    pub fn learn(&mut self, schema: SchemaRef, found: Found, now: Now) -> Option<u64> {
        let (unknown_ms, unknown_at_ms, tries) = match self.schemas.get(&schema) {
            Some(Entry::Asked { unknown_ms, unknown_at_ms, tries }) => {
                (*unknown_ms, *unknown_at_ms, *tries)
            }
            // Nobody waits: the answer to a question of an earlier assignment.
            _ => return None,
        };
        let pause = (ASK_MS.0 << tries.min(10)).min(ASK_MS.1);
        let grace = self.settings.unknown_id_grace_ms;
        let tries = tries.saturating_add(1);
        // A registry that comes back may not have everything yet: the grace is not spent while it is away.
        let away = matches!(found, Err(Lookup::Unavailable(_)));
        let unknown_ms = match unknown_at_ms {
            Some(at) if !away => unknown_ms + now.mono_ms.saturating_sub(at),
            _ => unknown_ms,
        };
        let again =
            Entry::Asked { unknown_ms, unknown_at_ms: (!away).then_some(now.mono_ms), tries };
        let (entry, after) = match found {
            Ok(found) if self.breaker.found(schema, &found) => {
                for messages in [&mut self.values, &mut self.keys] {
                    messages.forget(schema);
                }
                self.connected.forget(schema);
                self.by_pair.retain(|_, made| made.is_ok());
                (Entry::Ready(found), None)
            }
            Ok(_) => (again, Some(ASK_MS.1)),
            Err(Lookup::Unavailable(_)) => (again, Some(pause)),
            Err(Lookup::Unknown(reason) | Lookup::Bad(reason)) => {
                let left = grace.saturating_sub(unknown_ms);
                if !self.breaker.refused(schema, &reason.message) {
                    (again, Some(ASK_MS.1))
                } else if left > 0 {
                    (again, Some(pause.min(left)))
                } else {
                    (Entry::Refused { reason, until_ms: now.mono_ms + grace.max(1_000) }, None)
                }
            }
        };
        self.schemas.insert(schema, entry);
        after
    }

    /// True while the breaker holds the records of this schema back.
    pub fn is_paused(&self, schema: SchemaRef) -> bool {
        self.breaker.paused(schema)
    }

    /// True when records of this schema need not wait any more.
    pub fn resolved(&self, schema: SchemaRef) -> bool {
        !matches!(self.schemas.get(&schema), Some(Entry::Asked { .. }) | None)
    }

    /// Schema references among these records that nothing is known of; some of them, if they are many.
    pub fn unknown_in<'a>(&self, records: impl Iterator<Item = Record<'a>>) -> Vec<SchemaRef> {
        let mut unknown = BTreeSet::new();
        for record in records {
            let (key, value) =
                (self.frame_of(&record, Side::Key), self.frame_of(&record, Side::Value));
            for schema in key.into_iter().chain(value) {
                if unknown.len() < ASK_MAX && !self.schemas.contains_key(&schema) {
                    unknown.insert(schema);
                }
            }
        }
        unknown.into_iter().collect()
    }
}
