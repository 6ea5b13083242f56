//! Whose columns the rows of a schema get: its own, or those of a target.
//!
//! Owns: which subject says what the target is, when it is asked, what its answer changes.
//! Does not own: how rows get a target's columns (`decode`), asking (`effects`).
//! Bounded by: one entry a subject; subjects are as few as record names.
//!
//! A subject is asked before the first record of a schema id is taken, so that a version that is newer than
//! the last answer is seen before its first record, and again every `evolution.refresh`. A new answer holds
//! from the next record on: what was taken keeps its columns, and its files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::{Intake, Stop, ValuePlan};
use crate::clock::Now;
use crate::config::{EvolutionMode, OnIncompatible};
use crate::decode::Plan;
use crate::error::Fault;
use crate::evolve::{self, Changes, Misfit};
use crate::registry::{History, Lookup, Schema, Want, subject};
use crate::telemetry::{DROPPED_MAX, OTHER_COLUMNS};
use crate::wire::Side;

/// First and longest pause between questions that have no answer, in ms.
const ASK_MS: (u64, u64) = (500, 10_000);

/// What targets did to rows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Times that rows got another target than before.
    pub switches: u64,
    /// Rows in the columns of another schema than their writer's.
    pub projected: u64,
    /// Rows that keep their own columns because those of their target do not take them.
    pub unfit: u64,
    /// Rows whose writer has a column that their target does not, by its path.
    pub dropped: BTreeMap<String, u64>,
}

impl Counted {
    /// Rows of one plan. `changes`: none where they keep their writer's columns; `has_target`: they should not.
    pub(super) fn rows(&mut self, rows: u64, changes: Option<&Changes>, has_target: bool) {
        let Some(changes) = changes else {
            self.unfit += if has_target { rows } else { 0 };
            return;
        };
        self.projected += if changes.is_empty() { 0 } else { rows };
        for path in &changes.dropped {
            let full = self.dropped.len() >= DROPPED_MAX && !self.dropped.contains_key(path);
            let name = if full { OTHER_COLUMNS } else { path };
            *self.dropped.entry(name.to_owned()).or_default() += rows;
        }
    }
}

/// What is known of the subjects.
#[derive(Debug, Default)]
pub(super) struct Targets {
    subjects: HashMap<Arc<str>, Subject>,
}

#[derive(Debug, Default)]
struct Subject {
    history: Option<Arc<History>>,
    /// A question is under way.
    asking: bool,
    tries: u32,
    /// The last answer.
    answered_ms: u64,
    /// Ids of writers that were seen before the last question that was answered.
    seen: HashSet<u32>,
    /// Ids seen before the question under way, and since.
    asked: HashSet<u32>,
    fresh: HashSet<u32>,
    /// Columns of all versions, by the Protobuf message or record they are of.
    merged: HashMap<String, Common>,
    /// A record waits for another answer: this one does not fit it.
    unfit: bool,
}

/// Columns of all versions of a message or record.
#[derive(Debug)]
struct Common {
    columns: SchemaRef,
    /// Writers' ids of the versions that are no part of them, and why.
    left_out: HashMap<u32, Vec<Misfit>>,
}

impl Common {
    /// What rows of one version get.
    fn of(&self, schema: &Schema, own: &Plan) -> Target {
        match self.left_out.get(&schema.id) {
            Some(misfits) => Target::Unfit(own.left_out(misfits)),
            None => Target::Columns(self.columns.clone()),
        }
    }
}

/// A plan, and the schema that its columns are of if that is not the writer's.
pub(super) type Evolved = (Arc<Plan>, Option<Arc<Schema>>);

impl Intake {
    /// The plan of a writer's schema, by `evolution.mode`. The inner fault is that of every record of it.
    ///
    /// Error: [`Stop::Subject`].
    pub(super) fn evolved(
        &mut self,
        schema: &Arc<Schema>,
        indexes: &[u32],
    ) -> Result<Result<Evolved, Fault>, Stop> {
        let settings = self.settings.clone();
        let options = &settings.row.decode;
        // A message without fields may still be a row of a target's columns.
        let own = match (Plan::bare(schema, indexes, options), &settings.target) {
            (Ok(own), _) => own,
            (Err(fault), None) => return Ok(Err(fault)),
            (Err(_), Some(target)) => {
                let plan = Plan::compile_onto(schema, indexes, target, options);
                return Ok(plan.map(|plan| (plan, Some(target.clone()))));
            }
        };
        let (target, subject) = match (&settings.target, settings.evolution.mode) {
            (Some(target), _) => (Target::Schema(target.clone()), None),
            (None, EvolutionMode::Rotate) => (Target::Own, None),
            (None, _) => {
                let subject = match self.subject(&own.record_name) {
                    Ok(subject) => subject,
                    Err(fault) => return Ok(Err(fault)),
                };
                let history = self.targets.history(&subject, schema.id)?;
                (self.target(&subject, &history, schema, &own), Some(subject))
            }
        };
        let (fault, own) = match target {
            Target::Own => return Ok(own.with_columns().map(|own| (Arc::new(own), None))),
            Target::Unfit(fault) => (fault, own),
            Target::Columns(merged) => match own.widened(&merged) {
                Ok(plan) => return Ok(Ok((Arc::new(plan), None))),
                Err((fault, own)) => (*fault, *own),
            },
            Target::Schema(target) => match Plan::compile_onto(schema, indexes, &target, options) {
                Ok(plan) => return Ok(Ok((plan, Some(target)))),
                Err(fault) => (fault, own),
            },
        };
        match self.unfit(&fault, subject)? {
            Unfit::Reject => Ok(Err(fault)),
            Unfit::Own => {
                tracing::warn!("rows of schema id `{}` keep their own columns: {fault}", schema.id);
                Ok(own.with_columns().map(|own| (Arc::new(own), None)))
            }
        }
    }

    /// What becomes of records whose rows cannot have the columns of their target.
    ///
    /// Error: [`Stop::Subject`]: they wait for another version.
    pub(super) fn unfit(
        &mut self,
        fault: &Fault,
        subject: Option<Arc<str>>,
    ) -> Result<Unfit, Stop> {
        match (self.settings.evolution.on_incompatible, subject) {
            (OnIncompatible::Reject, _) => Ok(Unfit::Reject),
            (OnIncompatible::Pause, Some(subject)) => {
                tracing::warn!("{}: waits for subject `{subject}`: {fault}", self.topic_partition);
                self.targets.unfit(&subject);
                Err(Stop::Subject(subject))
            }
            (OnIncompatible::Pause, None) | (OnIncompatible::Rotate, _) => Ok(Unfit::Own),
        }
    }

    pub(super) fn subject(&self, record_name: &str) -> Result<Arc<str>, Fault> {
        let strategy = self.settings.evolution.strategy;
        let topic = &self.topic_partition.topic;
        subject::subject_name(strategy, topic, Side::Value, Some(record_name)).map(Arc::from)
    }

    /// What a subject's versions make of rows of a plan.
    fn target(
        &mut self,
        subject: &Arc<str>,
        history: &History,
        schema: &Schema,
        own: &Plan,
    ) -> Target {
        let Some(newest) = history.versions.last() else { return Target::Own };
        if self.settings.evolution.mode != EvolutionMode::Superset {
            return Target::Schema(newest.schema.clone());
        }
        let known = self.targets.subjects.entry(subject.clone()).or_default();
        if let Some(merged) = known.merged.get(&own.record_name) {
            return merged.of(schema, own);
        }
        let options = &self.settings.row.decode;
        // Versions that cannot be compiled, or are of another message, have no rows here.
        let plans = history.versions.iter().filter_map(|v| {
            let plan = Plan::of_message(&v.schema, &own.record_name, options)?.ok()?;
            Some(((v.version, v.schema.id), plan.schema))
        });
        let (numbers, columns): (Vec<(u32, u32)>, Vec<SchemaRef>) = plans.unzip();
        let Some(merged) = evolve::merge(&columns, &options.bounds()) else { return Target::Own };
        let mut left_out = HashMap::new();
        for (at, misfits) in merged.left_out {
            let why: Vec<String> = misfits.iter().map(ToString::to_string).collect();
            let (version, id) = numbers.get(at).copied().unwrap_or_default();
            tracing::warn!(
                "subject `{subject}`: version {version} is not part of the common columns: {}",
                why.join("; ")
            );
            left_out.insert(id, misfits);
        }
        if merged.schema.fields().is_empty() {
            return Target::Own;
        }
        let common = Common { columns: merged.schema, left_out };
        let target = common.of(schema, own);
        known.merged.insert(own.record_name.clone(), common);
        target
    }

    /// Says what becomes of the columns of a writer, once for each plan.
    pub(super) fn say_changes(&self, value: &ValuePlan) {
        let Some(onto) = value.plan.onto.as_ref().filter(|onto| !onto.changes.is_empty()) else {
            return;
        };
        let Changes { added, dropped, promoted, renamed } = &onto.changes;
        let all =
            [("added", added), ("dropped", dropped), ("promoted", promoted), ("renamed", renamed)];
        let said = all.iter().filter(|(_, paths)| !paths.is_empty());
        let said: Vec<String> =
            said.map(|(what, paths)| format!("{what} `{}`", paths.join("`, `"))).collect();
        let target = match onto.target {
            0 => "all versions, or of a file".to_owned(),
            id => format!("schema id `{id}`"),
        };
        tracing::info!(
            "{}: rows of schema id `{}` take the columns of {target}: {}",
            self.topic_partition,
            value.schema_id(),
            said.join("; ")
        );
    }

    /// What is asked about a subject and after which pause, in ms, if it has to be asked now.
    pub fn ask_subject(&mut self, subject: &Arc<str>) -> Option<(Want, u64)> {
        let want = self.settings.evolution.want();
        let known = self.targets.subjects.entry(subject.clone()).or_default();
        if known.asking {
            return None;
        }
        known.ask();
        Some((want, if known.unfit { ASK_MS.1 } else { 0 }))
    }

    /// Subjects whose last answer is old.
    pub fn stale_subjects(&mut self, now: Now) -> Vec<(Arc<str>, Want)> {
        let evolution = &self.settings.evolution;
        let (refresh_ms, want) = (evolution.refresh_ms, evolution.want());
        if matches!(want, Want::Version(_)) || evolution.compatibility.is_some() {
            return Vec::new(); // what a version is never changes
        }
        let mut stale = Vec::new();
        for (subject, known) in &mut self.targets.subjects {
            let age_ms = now.mono_ms.saturating_sub(known.answered_ms);
            if !known.asking && known.history.is_some() && age_ms >= refresh_ms {
                known.ask();
                stale.push((subject.clone(), want));
            }
        }
        stale.sort_by(|(a, _), (b, _)| a.cmp(b));
        stale
    }

    /// Takes an answer in. `Some`: ask again after this pause, in ms.
    pub fn learn_subject(
        &mut self,
        subject: &Arc<str>,
        found: Result<Arc<History>, Lookup>,
        now: Now,
    ) -> Option<(Want, u64)> {
        let want = self.settings.evolution.want();
        let known = self.targets.subjects.get_mut(subject)?;
        let history = match found {
            Ok(history) => history,
            Err(why) => {
                let pause = (ASK_MS.0 << known.tries.min(8)).min(ASK_MS.1);
                known.tries = known.tries.saturating_add(1);
                tracing::warn!("subject `{subject}`: asked again in {pause} ms: {}", why.fault());
                return Some((want, pause));
            }
        };
        known.asking = false;
        known.tries = 0;
        known.answered_ms = now.mono_ms;
        let asked = std::mem::take(&mut known.asked);
        known.seen.extend(asked);
        if known.history.as_ref().is_some_and(|old| old.is_same(&history)) {
            return None;
        }
        let newest = history.versions.last().map_or(0, |v| v.version);
        tracing::info!(
            "{}: rows take the columns of subject `{subject}`, newest version {newest}",
            self.topic_partition
        );
        known.unfit = false;
        self.counted.switches += u64::from(known.history.is_some());
        known.history = Some(history);
        known.merged.clear();
        self.forget_plans();
        None
    }

    /// True when records need not wait for this subject any more.
    pub fn has_subject(&self, subject: &Arc<str>) -> bool {
        self.targets.subjects.get(subject).is_some_and(|known| !known.asking)
    }
}

/// What becomes of rows that cannot have the columns of their target.
pub(super) enum Unfit {
    /// They keep their own.
    Own,
    Reject,
}

/// Whose columns rows get.
enum Target {
    Own,
    Schema(Arc<Schema>),
    Columns(SchemaRef),
    /// It has some, and they cannot have them.
    Unfit(Fault),
}

impl Subject {
    fn ask(&mut self) {
        self.asking = true;
        let fresh = std::mem::take(&mut self.fresh);
        self.asked.extend(fresh);
    }
}

impl Targets {
    /// The versions of a subject, as they were after the writer's id was first seen.
    pub(super) fn history(
        &mut self,
        subject: &Arc<str>,
        writer: u32,
    ) -> Result<Arc<History>, Stop> {
        let known = self.subjects.entry(subject.clone()).or_default();
        if let Some(history) = &known.history {
            let listed = history.versions.iter().any(|v| v.schema.id == writer);
            if listed || known.seen.contains(&writer) {
                return Ok(history.clone());
            }
        }
        known.fresh.insert(writer);
        Err(Stop::Subject(subject.clone()))
    }

    /// The answer there is does not do: the next question waits a little.
    fn unfit(&mut self, subject: &Arc<str>) {
        self.subjects.entry(subject.clone()).or_default().unfit = true;
    }
}
