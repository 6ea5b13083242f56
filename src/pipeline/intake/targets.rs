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

use super::{Intake, Stop, ValuePlan};
use crate::clock::Now;
use crate::config::{EvolutionMode, OnIncompatible};
use crate::decode::Plan;
use crate::decode::codes::INCOMPATIBLE;
use crate::error::Fault;
use crate::evolve::Changes;
use crate::pipeline::versions::{Common, Evolved, Target, Unfit};
use crate::registry::{History, Lookup, Schema, Want, subject};
use crate::telemetry::{DROPPED_MAX, OTHER_COLUMNS};
use crate::wire::Side;

/// First and longest pause between questions that have no answer, in ms.
const ASK_MS: (u64, u64) = (500, 10_000);
/// Writers of a subject, none of them a version of it, whose columns the common ones take in.
const OTHERS_MAX: usize = 256;
/// Plans of former targets at which they are forgotten, with those of today, which are made again.
pub(super) const OUTWORN_MAX: usize = 1_024;

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
    /// The registry has no such subject, or no version of it that can be used, and the grace is over.
    refused: Option<Fault>,
    /// A question is under way.
    asking: bool,
    tries: u32,
    /// For how long the registry said that, from one such answer to the next, and the last one, if it was one.
    /// Time without answers does not count.
    unknown_ms: u64,
    unknown_at_ms: Option<u64>,
    /// The last answer.
    answered_ms: u64,
    /// The newest version of an answer that was behind, as it was said.
    behind: Option<u32>,
    /// Ids of writers that were seen before the last question that was answered.
    seen: HashSet<u32>,
    /// Ids seen before the question under way, and since.
    asked: HashSet<u32>,
    fresh: HashSet<u32>,
    /// Writers that no version names: deleted since, or registered elsewhere.
    others: BTreeMap<u32, Arc<Schema>>,
    /// Columns of all versions, by the Protobuf message or record they are of.
    merged: HashMap<String, Merged>,
    /// A record waits for another answer: this one does not fit it.
    unfit: bool,
}

/// Columns of all versions of a message or record.
#[derive(Debug)]
struct Merged {
    /// Ids of those versions, oldest first, as they were given.
    ids: Vec<u32>,
    target: Target,
}

impl Merged {
    fn place(&self, id: u32) -> Option<usize> {
        self.ids.iter().position(|of| *of == id)
    }
}

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
        let mut asked = None;
        let target = match (&settings.target, settings.evolution.mode) {
            (Some(target), _) => Ok((Target::Schema(target.clone()), None)),
            (None, EvolutionMode::Rotate) => Ok((Target::Own, None)),
            (None, _) => {
                let subject = match self.subject(&own.record_name) {
                    Ok(subject) => subject,
                    Err(fault) => return Ok(Err(fault)),
                };
                let history = self.targets.history(&subject, schema.id)?;
                asked = Some(subject.clone());
                history.map(|history| self.target(&subject, &history, schema, &own))
            }
        };
        let Unfit { fault, own } = match target {
            Ok((target, at)) => match target.plan(schema, indexes, own, at, options) {
                Ok(evolved) => return Ok(Ok(evolved)),
                Err(unfit) => *unfit,
            },
            Err(fault) => Unfit { fault, own: Some(own) },
        };
        let Some(own) = own else { return Ok(Err(fault)) };
        match self.unfit(&fault, asked)? {
            Instead::Reject => Ok(Err(fault)),
            Instead::Own => {
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
    ) -> Result<Instead, Stop> {
        match (self.settings.evolution.on_incompatible, subject) {
            (OnIncompatible::Reject, _) => Ok(Instead::Reject),
            (OnIncompatible::Pause, Some(subject)) => {
                tracing::warn!("{}: waits for subject `{subject}`: {fault}", self.topic_partition);
                self.targets.unfit(&subject);
                Err(Stop::Subject(subject))
            }
            (OnIncompatible::Pause, None) | (OnIncompatible::Rotate, _) => Ok(Instead::Own),
        }
    }

    pub(super) fn subject(&self, record_name: &str) -> Result<Arc<str>, Fault> {
        let strategy = self.settings.evolution.strategy;
        let topic = &self.topic_partition.topic;
        subject::subject_name(strategy, topic, Side::Value, Some(record_name)).map(Arc::from)
    }

    /// Whose columns a subject's versions give the rows of a plan, and the place of its writer among them.
    fn target(
        &mut self,
        subject: &Arc<str>,
        history: &History,
        schema: &Arc<Schema>,
        own: &Plan,
    ) -> (Target, Option<usize>) {
        let Some(newest) = history.versions.last() else { return (Target::Own, None) };
        if self.settings.evolution.mode != EvolutionMode::Superset {
            return (Target::Schema(newest.schema.clone()), None);
        }
        let known = self.targets.subjects.entry(subject.clone()).or_default();
        if !history.has(schema.id) && known.others.len() < OTHERS_MAX {
            known.others.entry(schema.id).or_insert_with(|| schema.clone());
        }
        let before = known.merged.get(&own.record_name);
        if let Some(merged) = before {
            let at = merged.place(schema.id);
            if at.is_some() || !known.others.contains_key(&schema.id) {
                return (merged.target.clone(), at);
            }
        }
        let listed = history.versions.iter().map(|v| &v.schema);
        let all: Vec<&Arc<Schema>> = known.others.values().chain(listed).collect();
        let ids: Vec<u32> = all.iter().map(|schema| schema.id).collect();
        let of_all = all.iter().map(|schema| schema.as_ref());
        let target = match Common::of(of_all, &own.record_name, &self.settings.row.decode) {
            Some(common) => {
                let left_out =
                    common.left_out.iter().filter_map(|(at, why)| Some((ids.get(*at)?, why)));
                for (id, why) in
                    left_out.filter(|(id, _)| before.is_none_or(|b| b.place(**id).is_none()))
                {
                    let why: Vec<String> = why.iter().map(ToString::to_string).collect();
                    tracing::warn!(
                        "subject `{subject}`: schema id `{id}` is not part of the common columns: {}",
                        why.join("; ")
                    );
                }
                Target::Common(Arc::new(common))
            }
            None => Target::Own,
        };
        let merged = Merged { ids, target: target.clone() };
        let at = merged.place(schema.id);
        let others_move = before.is_some_and(|before| !before.target.is_same(&target));
        known.merged.insert(own.record_name.clone(), merged);
        if others_move {
            tracing::info!(
                "{}: subject `{subject}`: the common columns take in those of schema id `{}`, which is no version of it",
                self.topic_partition,
                schema.id
            );
            self.counted.switches += 1;
            self.forget_plans();
        }
        (target, at)
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
        // What a version is never changes; whether there is one does.
        let is_final = matches!(want, Want::Version(_)) || evolution.compatibility.is_some();
        let mut stale = Vec::new();
        for (subject, known) in &mut self.targets.subjects {
            let age_ms = now.mono_ms.saturating_sub(known.answered_ms);
            let changes = known.refused.is_some() || !is_final && known.history.is_some();
            if !known.asking && changes && age_ms >= refresh_ms {
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
        let grace_ms = self.settings.unknown_id_grace_ms;
        let known = self.targets.subjects.get_mut(subject)?;
        let found = match found {
            Ok(found) => found,
            Err(why) => {
                let again = known.not_found(&why, grace_ms, now)?;
                tracing::warn!("subject `{subject}`: asked again in {again} ms: {}", why.fault());
                return Some((want, again));
            }
        };
        known.answered(now);
        (known.unknown_ms, known.unknown_at_ms) = (0, None);
        let newest = |history: &History| history.versions.last().map_or(0, |v| v.version);
        let history = match &known.history {
            // Who waits for another version takes the one that there is: the one that does not fit may be deleted.
            Some(before) if !known.unfit => before.then(&found, want),
            _ => found.clone(),
        };
        let behind = Some(newest(&found)).filter(|found| *found < newest(&history));
        if let Some(found) = behind.filter(|_| behind != known.behind) {
            tracing::warn!(
                "{}: subject `{subject}`: newest version {found} in the registry's answer, {} seen before, which stays",
                self.topic_partition,
                newest(&history)
            );
        }
        known.behind = behind;
        let was_said = |version| {
            let mut before = known.history.iter().flat_map(|before| &before.unusable);
            before.any(|(said, _)| *said == version)
        };
        for (version, why) in history.unusable.iter().filter(|(version, _)| !was_said(*version)) {
            tracing::warn!(
                "{}: subject `{subject}`: version {version} gives rows no columns: {why}",
                self.topic_partition
            );
        }
        if known.history.as_ref().is_some_and(|old| old.is_same(&history)) {
            known.history = Some(history);
            return None;
        }
        tracing::info!(
            "{}: rows take the columns of subject `{subject}`, newest version {}",
            self.topic_partition,
            newest(&history)
        );
        known.unfit = false;
        let was_refused = known.refused.take().is_some();
        let had = was_refused || known.history.is_some();
        self.counted.switches += u64::from(had);
        known.others.retain(|id, _| !history.has(*id));
        known.history = Some(history);
        known.merged.clear();
        if was_refused {
            self.connected.forget_versionless();
        }
        self.forget_plans();
        None
    }

    /// Frees what former targets left behind, if it is much; no slot may hold rows.
    pub(super) fn forget_outworn(&mut self) {
        if self.outworn < OUTWORN_MAX {
            return;
        }
        self.forget_plans();
        self.connected.forget_plans();
        self.forget_slots();
        self.value_plans.clear();
        (self.before, self.outworn) = (None, 0);
    }

    /// True when records need not wait for this subject any more.
    pub fn has_subject(&self, subject: &Arc<str>) -> bool {
        self.targets.subjects.get(subject).is_some_and(|known| !known.asking)
    }
}

/// What becomes of rows that cannot have the columns of their target.
pub(super) enum Instead {
    /// They keep their own.
    Own,
    Reject,
}

impl Subject {
    fn ask(&mut self) {
        self.asking = true;
        let fresh = std::mem::take(&mut self.fresh);
        self.asked.extend(fresh);
    }

    /// The question under way is answered, for the writers that were seen before it.
    fn answered(&mut self, now: Now) {
        self.asking = false;
        self.tries = 0;
        self.answered_ms = now.mono_ms;
        let asked = std::mem::take(&mut self.asked);
        self.seen.extend(asked);
    }

    /// There is no answer, or one that gives nothing: `Some` pause, in ms, before the next question; none once
    /// the grace is over, with what was known before, if there was something.
    fn not_found(&mut self, why: &Lookup, grace_ms: u64, now: Now) -> Option<u64> {
        let pause = (ASK_MS.0 << self.tries.min(8)).min(ASK_MS.1);
        self.tries = self.tries.saturating_add(1);
        let away = matches!(why, Lookup::Unavailable(_));
        match self.unknown_at_ms {
            Some(at) if !away => self.unknown_ms += now.mono_ms.saturating_sub(at),
            _ => {}
        }
        self.unknown_at_ms = (!away).then_some(now.mono_ms);
        let left = grace_ms.saturating_sub(self.unknown_ms);
        if away || left > 0 {
            return Some(if away { pause } else { pause.min(left) });
        }
        self.answered(now);
        if self.history.is_none() {
            self.refused = Some(why.fault().clone());
        }
        None
    }
}

impl Targets {
    /// The versions of a subject, as they were after the writer's id was first seen. The inner fault: the
    /// registry has none.
    pub(super) fn history(
        &mut self,
        subject: &Arc<str>,
        writer: u32,
    ) -> Result<Result<Arc<History>, Fault>, Stop> {
        let known = self.subjects.entry(subject.clone()).or_default();
        let seen = known.seen.contains(&writer);
        match (&known.history, &known.refused) {
            (Some(history), _) if seen || history.has(writer) => return Ok(Ok(history.clone())),
            (None, Some(why)) if seen => {
                let text = format!("columns of subject `{subject}`: {why}");
                return Ok(Err(Fault::new(&INCOMPATIBLE, text)));
            }
            _ => {}
        }
        known.fresh.insert(writer);
        Err(Stop::Subject(subject.clone()))
    }

    /// The answer there is does not do: the next question waits a little.
    fn unfit(&mut self, subject: &Arc<str>) {
        self.subjects.entry(subject.clone()).or_default().unfit = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Config};
    use crate::pipeline::lanes::Lanes;
    use crate::position::TopicPartition;
    use crate::record::{RecordBatch, TimestampType};
    use crate::registry::compile::compile;
    use crate::registry::{Language, Numbered};
    use crate::wire::SchemaRef;

    /// Each switch leaves plans behind, and builders; a flush looks at all there are.
    #[test]
    fn plans_of_former_targets_do_not_pile_up() {
        for beside in ["", "value: { tombstones: row }\n"] {
            let text = format!(
                "pipeline: t\nsource: {{ brokers: 'x:1', topics: [rows] }}\nregistry: {{ url: 'http://x' }}\n\
                 sink: {{ url: 's3://bucket/root' }}\nevolution: {{ mode: latest }}\n{beside}"
            );
            let pipeline = Config::parse(&text, "t.yaml", &config::Process).unwrap().pipeline;
            let partitioner = crate::pipeline::partitioner(&pipeline).unwrap();
            let settings =
                Arc::new(crate::pipeline::settings(&pipeline, partitioner, 1 << 20, None));
            let at = TopicPartition::new("rows", 0);
            let mut intake = Intake::new(settings.clone(), at.clone());
            let mut lanes = Lanes::new(settings.files.clone(), at.clone(), 1);
            let proto = "syntax = \"proto3\"; message R { int32 a = 1; }";
            let schema = |id| Arc::new(compile(id, Language::Protobuf, proto, &[]).unwrap());
            let now = Now { wall_ms: 0, mono_ms: 0 };
            intake.ask(SchemaRef::Id(1), now);
            intake.learn(SchemaRef::Id(1), Ok(schema(1)), now);
            let subject: Arc<str> = "rows-value".into();
            let mut rows = 0;
            for version in 1..=3 * OUTWORN_MAX as u32 {
                let mut batch = RecordBatch::new(at.clone(), i64::from(version));
                let (value, none) = ([0, 0, 0, 0, 1, 0, 0x08, 7], std::iter::empty());
                let offset = i64::from(version);
                batch.push(offset, None, TimestampType::CreateTime, None, Some(&value), none);
                let record = batch.iter().next().unwrap();
                let _ = intake.take(&record, now);
                intake.ask_subject(&subject);
                let versions = vec![Numbered { version, schema: schema(version) }];
                let found = Arc::new(History { versions, ..History::default() });
                assert!(intake.learn_subject(&subject, Ok(found), now).is_none());
                rows += usize::from(matches!(
                    intake.take(&record, now),
                    crate::pipeline::intake::Taken::Row
                ));
                intake.flush(&[&batch], &mut lanes).unwrap();
                assert!(intake.slots.len() <= OUTWORN_MAX + 2, "{}", intake.slots.len());
                assert!(intake.value_plans.len() <= OUTWORN_MAX + 2);
            }
            assert_eq!(rows, 3 * OUTWORN_MAX);
        }
    }
}
