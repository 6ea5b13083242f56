//! When rejects look like a fault of the registry or of a deployment, not of records.
//!
//! Owns: counting suspicious rejects by schema, and the verdict to pause.
//! Absent: clocks; the registry.
//!
//! Only codes that such a fault can cause count: no schema, no plan, message indexes that name
//! nothing. One schema pauses its Kafka partition when, within a minute, it made
//! `REJECTS_MAX` of them, or `REJECTS_MANY` that are more than half of all records; or at the first, where
//! the configuration says so. The pause ends by itself when the registry's answer changes: with a schema
//! where there was none, with another reason why there is none, with another schema where one is there and
//! unusable. (While that one is gone it may be under repair: the pause goes on.)

use std::collections::HashMap;
use std::sync::Arc;

use crate::clock::Now;
use crate::config::UnusableSchema;
use crate::error::Reject;
use crate::pipeline::intake;
use crate::registry::Schema;
use crate::wire::{self, SchemaRef};

const WINDOW_MS: u64 = 60_000;
const REJECTS_MAX: u64 = 1_000;
const REJECTS_MANY: u64 = 100;
/// Windows at which those that are over are cleared away: ids come from records, and may be any.
const WINDOWS_MAX: usize = 4_096;

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The record is a reject like others.
    Go,
    /// The record waits until the registry says something else about this schema.
    Pause(SchemaRef),
}

#[derive(Debug)]
struct Window {
    since_ms: u64,
    rejects: u64,
    /// Records taken when the window opened.
    records: u64,
}

#[derive(Debug)]
pub struct Breaker {
    enabled: bool,
    unusable_schema: UnusableSchema,
    windows: HashMap<SchemaRef, Window>,
    /// Paused schemas, and what the registry said of them.
    paused: HashMap<SchemaRef, Paused>,
}

#[derive(Debug, Default)]
struct Paused {
    /// Why the registry had no schema when the pause began; learnt from its next answer.
    answer: Option<String>,
    /// The schema that was there, and is what is wrong.
    unusable: Option<Arc<Schema>>,
}

impl Breaker {
    pub fn new(enabled: bool, unusable_schema: UnusableSchema) -> Self {
        Self { enabled, unusable_schema, windows: HashMap::new(), paused: HashMap::new() }
    }

    /// Counts one reject; `records` is the number of records taken so far.
    pub fn note(
        &mut self,
        reject: &Reject,
        schema: Option<SchemaRef>,
        records: u64,
        now: Now,
    ) -> Verdict {
        let missing = reject.code == &intake::NO_SCHEMA;
        let unusable = reject.code == &intake::PLAN || reject.code == &wire::INDEXES;
        let at_once = self.unusable_schema == UnusableSchema::Pause
            && (missing || reject.code == &intake::PLAN);
        if let Some(schema) = schema.filter(|_| at_once) {
            return self.pause(schema);
        }
        let Some(schema) = schema.filter(|_| self.enabled && (missing || unusable)) else {
            return Verdict::Go;
        };
        if self.windows.len() >= WINDOWS_MAX && !self.windows.contains_key(&schema) {
            self.windows.retain(|_, w| now.mono_ms.saturating_sub(w.since_ms) <= WINDOW_MS);
            if self.windows.len() >= WINDOWS_MAX {
                return Verdict::Go; // so many ids in a minute are noise in records, not one deployment
            }
        }
        let window = self.windows.entry(schema).or_insert(Window {
            since_ms: now.mono_ms,
            rejects: 0,
            records,
        });
        if now.mono_ms.saturating_sub(window.since_ms) > WINDOW_MS {
            *window = Window { since_ms: now.mono_ms, rejects: 0, records };
        }
        window.rejects += 1;
        let share_is_high = window.rejects * 2 > records.saturating_sub(window.records);
        if window.rejects < REJECTS_MAX && !(window.rejects >= REJECTS_MANY && share_is_high) {
            return Verdict::Go;
        }
        self.windows.remove(&schema);
        self.pause(schema)
    }

    fn pause(&mut self, schema: SchemaRef) -> Verdict {
        self.paused.insert(schema, Paused::default());
        Verdict::Pause(schema)
    }

    /// The pause that has just begun is for this schema, which the registry gave.
    pub fn blame(&mut self, schema: SchemaRef, unusable: Arc<Schema>) {
        if let Some(paused) = self.paused.get_mut(&schema) {
            paused.unusable = Some(unusable);
        }
    }

    pub fn paused(&self, schema: SchemaRef) -> bool {
        self.paused.contains_key(&schema)
    }

    /// The registry gave this schema. True if its records may flow.
    pub fn found(&mut self, schema: SchemaRef, found: &Schema) -> bool {
        let unusable = self.paused.get(&schema).and_then(|p| p.unusable.as_ref());
        if unusable.is_some_and(|unusable| unusable.is_same(found)) {
            return false;
        }
        self.paused.remove(&schema);
        true
    }

    /// The registry has no usable schema, for this reason. True if its records may be rejected.
    pub fn refused(&mut self, schema: SchemaRef, reason: &str) -> bool {
        let Some(paused) = self.paused.get_mut(&schema) else { return true };
        match &paused.answer {
            _ if paused.unusable.is_some() => false,
            Some(before) if before != reason => {
                self.paused.remove(&schema);
                true
            }
            Some(_) => false,
            None => {
                paused.answer = Some(reason.to_string());
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Language;
    use crate::registry::compile::compile;

    fn now(mono_ms: u64) -> Now {
        Now { wall_ms: 0, mono_ms }
    }

    const ID: SchemaRef = SchemaRef::Id(7);

    fn schema(text: &str) -> Schema {
        compile(7, Language::Avro, text, &[]).unwrap()
    }

    #[test]
    fn few_rejects_among_good_records_never_pause() {
        let mut breaker = Breaker::new(true, UnusableSchema::Reject);
        let reject = Reject::new(&intake::NO_SCHEMA, "x");
        for i in 0..999 {
            assert_eq!(breaker.note(&reject, Some(ID), i * 20, now(i)), Verdict::Go, "reject {i}");
        }
    }

    #[test]
    fn a_thousand_in_a_minute_pause_until_the_answer_changes() {
        let mut breaker = Breaker::new(true, UnusableSchema::Reject);
        let reject = Reject::new(&intake::NO_SCHEMA, "x");
        let verdicts: Vec<_> =
            (0..1_000).map(|i| breaker.note(&reject, Some(ID), i * 20, now(i))).collect();
        assert_eq!(verdicts.last(), Some(&Verdict::Pause(ID)));
        assert!(!breaker.refused(ID, "40403"));
        assert!(!breaker.refused(ID, "40403"));
        assert!(breaker.refused(ID, "does not compile"));
        assert!(!breaker.paused(ID));
    }

    #[test]
    fn a_hundred_that_are_all_records_pause() {
        let mut breaker = Breaker::new(true, UnusableSchema::Reject);
        let reject = Reject::new(&intake::NO_SCHEMA, "x");
        let verdicts: Vec<_> =
            (0..100).map(|i| breaker.note(&reject, Some(ID), i, now(i))).collect();
        assert_eq!(verdicts.last(), Some(&Verdict::Pause(ID)));
        assert!(breaker.found(ID, &schema("\"int\"")));
        assert!(!breaker.paused(ID));
    }

    #[test]
    fn first_reject_pauses_where_the_configuration_says_so_and_each_answer_anew() {
        let mut breaker = Breaker::new(false, UnusableSchema::Pause);
        let missing = Reject::new(&intake::NO_SCHEMA, "x");
        assert_eq!(breaker.note(&missing, Some(ID), 1, now(0)), Verdict::Pause(ID));
        assert!(!breaker.refused(ID, "40403"));
        assert!(breaker.found(ID, &schema("\"int\"")));
        let unusable = Reject::new(&intake::PLAN, "x");
        assert_eq!(breaker.note(&unusable, Some(ID), 2, now(0)), Verdict::Pause(ID));
        breaker.blame(ID, Arc::new(schema("\"int\"")));
        assert!(!breaker.found(ID, &schema("\"int\"")), "it is there, and cannot be used");
        for answer in ["40403", "does not compile"] {
            assert!(!breaker.refused(ID, answer), "it may be under repair");
        }
        assert!(breaker.found(ID, &schema("\"long\"")), "another one");
        assert!(!breaker.paused(ID));
        // What a damaged record can cause as well stays a reject.
        let indexes = Reject::new(&wire::INDEXES, "x");
        assert_eq!(breaker.note(&indexes, Some(SchemaRef::Id(8)), 3, now(0)), Verdict::Go);
    }

    #[test]
    fn slow_rejects_over_many_minutes_never_pause() {
        let mut breaker = Breaker::new(true, UnusableSchema::Reject);
        let reject = Reject::new(&wire::INDEXES, "x");
        for i in 0..5_000 {
            assert_eq!(breaker.note(&reject, Some(ID), i, now(i * 1_000)), Verdict::Go);
        }
    }

    #[test]
    fn rejects_of_ever_new_ids_hold_a_bounded_number_of_windows() {
        let mut breaker = Breaker::new(true, UnusableSchema::Reject);
        let reject = Reject::new(&intake::NO_SCHEMA, "x");
        for i in 0..50_000u32 {
            let id = Some(SchemaRef::Id(i + 1));
            assert_eq!(
                breaker.note(&reject, id, u64::from(i) * 20, now(u64::from(i) * 100)),
                Verdict::Go
            );
            assert!(breaker.windows.len() <= WINDOWS_MAX);
        }
    }

    #[test]
    fn rejects_that_only_a_record_can_cause_never_pause() {
        let mut breaker = Breaker::new(true, UnusableSchema::Reject);
        let reject = Reject::new(&wire::MAGIC, "x");
        for i in 0..5_000 {
            assert_eq!(breaker.note(&reject, Some(ID), i, now(0)), Verdict::Go);
        }
    }
}
