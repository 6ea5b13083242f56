//! Subjects of the topics, the columns that their latest versions give, and whether `partition_by`
//! fits them.

use std::sync::Arc;

use super::report::{Area, Report, Subject};
use crate::config::{EvolutionMode, OnIncompatible, Pipeline, SubjectNameStrategy};
use crate::decode::Plan;
use crate::error::{Fault, Reject};
use crate::partition::Partitioner;
use crate::pipeline;
use crate::pipeline::intake::takes;
use crate::pipeline::row::{KeyPlan, Options, RowPlan, ValuePlan};
use crate::pipeline::versions::Outlook;
use crate::registry::client::Version;
use crate::registry::codes::SUBJECT;
use crate::registry::{Client, Lookup, Numbered, Schema, Want, subject_name};
use crate::wire::Side;

/// Most subjects of one topic that are looked at.
const SUBJECTS_MAX: usize = 20;
/// Most columns that a finding names.
const NAMED_MAX: usize = 40;

/// Looks up what each topic's records may be written with. False if the registry cannot be asked.
pub(super) async fn subjects(
    client: &Client,
    pipeline: &Pipeline,
    partitioner: Option<&Partitioner>,
    report: &mut Report,
) -> bool {
    let strategy = pipeline.registry.subject_name_strategy;
    let known = match strategy {
        SubjectNameStrategy::Topic if !report.topics.is_empty() => Vec::new(),
        _ => match client.subjects().await {
            Ok(known) => known,
            Err(lookup) => {
                report.find(Area::Registry, [lookup.into_fault()]);
                return false;
            }
        },
    };
    let names: Vec<String> = report.topics.iter().map(|t| t.name.clone()).collect();
    for (index, topic) in names.iter().enumerate() {
        let candidates = match candidates(strategy, topic, &known) {
            Ok(candidates) => candidates,
            Err(Said::Note(note)) => {
                report.topics[index].notes.push(note);
                continue;
            }
            Err(Said::Finding(fault)) => {
                report.find(Area::Registry, [fault]);
                continue;
            }
        };
        let key = match key(client, pipeline, topic, &mut report.topics[index].notes).await {
            Ok(key) => key,
            Err(fault) => {
                report.find(Area::Registry, [fault]);
                KeyPlan::None
            }
        };
        for name in candidates {
            match client.latest(&name).await {
                Ok(version) => {
                    let target = match target(client, pipeline, &name).await {
                        Ok(target) => target,
                        Err(fault) => {
                            report.find(Area::Registry, [fault.at(format!("topic {topic}"))]);
                            None
                        }
                    };
                    let looked = Looked { topic, version: &version, key: &key, target };
                    let found = columns(pipeline, partitioner, &looked, report);
                    report.topics[index].subjects.extend(found);
                }
                Err(Lookup::Unavailable(fault)) => {
                    report.find(Area::Registry, [fault]);
                    return false;
                }
                Err(Lookup::Unknown(fault) | Lookup::Bad(fault)) => {
                    report.find(Area::Registry, [fault.at(format!("topic {topic}"))]);
                }
            }
        }
    }
    true
}

/// What the latest version of a topic's key subject makes of keys. Keys follow the strategy `topic`.
pub(in crate::cli) async fn key(
    client: &Client,
    pipeline: &Pipeline,
    topic: &str,
    notes: &mut Vec<String>,
) -> Result<KeyPlan, Fault> {
    let Some(format) = pipeline.key.format.filter(|format| format.is_framed()) else {
        return Options::of(pipeline).key_plan();
    };
    let name = subject_name(SubjectNameStrategy::Topic, topic, Side::Key, None)?;
    match client.latest(&name).await {
        Ok(version) => takes(format, &version.schema, "key.format")
            .map_err(|reject| fault(&reject))
            .and_then(|()| Plan::compile(&version.schema, &[0], &Options::of(pipeline).of_keys()))
            .map(KeyPlan::Plan)
            .map_err(|fault| fault.at(format!("subject {name} version {}", version.version))),
        Err(Lookup::Unknown(_)) => {
            notes.push(format!("key: no subject `{name}`, so `_key` is known once a key is read"));
            Ok(KeyPlan::None)
        }
        Err(lookup) => Err(lookup.into_fault()),
    }
}

/// Looks up what keys are written with, where values need no registry. False if it cannot be asked.
pub(super) async fn keys(client: &Client, pipeline: &Pipeline, report: &mut Report) -> bool {
    for index in 0..report.topics.len() {
        let topic = report.topics[index].name.clone();
        if let Err(fault) = key(client, pipeline, &topic, &mut report.topics[index].notes).await {
            report.find(Area::Registry, [fault]);
            return false;
        }
    }
    true
}

/// The columns that the configuration gives every record. False if it gives none that can be used.
pub(super) fn fixed(pipeline: &Pipeline, partitioner: &Partitioner, report: &mut Report) -> bool {
    let plan = match pipeline::fixed_columns(pipeline, partitioner) {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            let note =
                "columns: those of the schema in each record, known once one is read (--sample)";
            report.topics.iter_mut().for_each(|topic| topic.notes.push(note.to_owned()));
            return true;
        }
        Err(faults) => {
            report.find(Area::Configuration, faults);
            return false;
        }
    };
    for topic in &mut report.topics {
        let fields = plan.schema.fields().iter();
        let shown = fields.map(|f| {
            let nullable = if f.is_nullable() { "nullable" } else { "required" };
            format!("column {} {nullable} {}", f.name(), f.data_type())
        });
        topic.notes.extend(shown.chain(plan.notes.iter().map(|note| format!("note: {note}"))));
    }
    true
}

/// What every record would be rejected for, said once.
fn fault(reject: &Reject) -> Fault {
    Fault::new(reject.code, reject.message.clone())
}

/// Why a topic has no subject to look at.
enum Said {
    Note(String),
    Finding(Fault),
}

/// Subjects that a topic's values may have, as far as they follow from names.
fn candidates(
    strategy: SubjectNameStrategy,
    topic: &str,
    known: &[String],
) -> Result<Vec<String>, Said> {
    match strategy {
        SubjectNameStrategy::Topic => subject_name(strategy, topic, Side::Value, None)
            .map(|name| vec![name])
            .map_err(Said::Finding),
        SubjectNameStrategy::TopicRecord => {
            let prefix = format!("{topic}-");
            let of_topic = |name: &&String| {
                let rest = name.strip_prefix(&prefix);
                rest.is_some_and(|rest| rest != "key" && rest != "value")
            };
            let found: Vec<String> =
                known.iter().filter(of_topic).take(SUBJECTS_MAX).cloned().collect();
            if found.is_empty() {
                let text = format!(
                    "subjects of topic `{topic}`: none starts with `{prefix}`, one required by the subject name strategy `topic_record`; register a schema"
                );
                return Err(Said::Finding(Fault::new(&SUBJECT, text)));
            }
            Ok(found)
        }
        SubjectNameStrategy::Record => {
            let shown: Vec<&str> = known.iter().take(SUBJECTS_MAX).map(String::as_str).collect();
            Err(Said::Note(format!(
                "subject: the record's own name, known once a record is read (--sample); the registry has {} subjects: {}{}",
                known.len(),
                shown.join(", "),
                if known.len() > shown.len() { ", …" } else { "" }
            )))
        }
    }
}

/// What rows of a subject get in place of their own columns.
struct Target {
    versions: Vec<Numbered>,
    /// Of `fixed`: what it is called, and the schema.
    fixed: Option<(String, Arc<Schema>)>,
}

/// A version whose columns are looked at.
struct Looked<'a> {
    topic: &'a str,
    version: &'a Version,
    key: &'a KeyPlan,
    target: Option<Target>,
}

/// Looks up what `evolution.mode` asks for; none under `rotate`. Errors: as of the registry.
async fn target(
    client: &Client,
    pipeline: &Pipeline,
    subject: &str,
) -> Result<Option<Target>, Fault> {
    let evolution = &pipeline.evolution;
    if evolution.mode == EvolutionMode::Rotate {
        return Ok(None);
    }
    let history = client.history(subject, Want::All).await.map_err(Lookup::into_fault)?;
    let fixed = match (pipeline::target(evolution)?, evolution.version) {
        (Some(schema), _) => {
            let place = evolution.schema.as_ref().map(|placed| placed.place.clone());
            Some((place.unwrap_or_default(), schema))
        }
        (None, Some(version)) => {
            let found = client.version(subject, version).await.map_err(Lookup::into_fault)?;
            Some((format!("version {version}"), found.schema))
        }
        (None, None) => None,
    };
    Ok(Some(Target { versions: history.versions.clone(), fixed }))
}

/// Rows of the newest version in the columns of the target, with what is to be said of the others; none where
/// they keep their own.
fn evolved(
    pipeline: &Pipeline,
    partitioner: Option<&Partitioner>,
    looked: &Looked<'_>,
    record: &str,
    report: &mut Report,
) -> Option<(Arc<RowPlan>, String)> {
    let (target, partitioner) = (looked.target.as_ref()?, partitioner?);
    let mode = pipeline.evolution.mode;
    let outlook = Outlook {
        options: Options::of(pipeline),
        format: pipeline.value.format,
        key: looked.key.clone(),
        partitioner,
    };
    let schemas: Vec<Arc<Schema>> = target.versions.iter().map(|v| v.schema.clone()).collect();
    let fixed = target.fixed.as_ref().map(|(_, schema)| schema);
    let mut rows = outlook.rows(mode, &schemas, fixed, record);
    let becomes = match pipeline.evolution.on_incompatible {
        OnIncompatible::Rotate => "its rows keep their own columns, in files of their own",
        OnIncompatible::Reject => "its records are rejected",
        OnIncompatible::Pause => "its Kafka partition waits for another version",
    };
    for (version, rows) in target.versions.iter().zip(&rows) {
        if let Some(Err(fault)) = rows {
            report.warnings.push(format!(
                "subject `{}`: version {} does not fit: {fault}; {becomes}",
                looked.version.subject, version.version
            ));
        }
    }
    let plan = rows.pop().flatten()?.ok()?.plan;
    let whose = match (mode, &target.fixed) {
        (EvolutionMode::Superset, _) => {
            format!("of all {} versions together (evolution.mode: superset)", schemas.len())
        }
        (EvolutionMode::Fixed, Some((what, _))) => format!("of {what} (evolution.mode: fixed)"),
        _ => "of the newest version for all (evolution.mode: latest)".to_owned(),
    };
    Some((plan, format!("columns {whose}")))
}

/// The columns of a version, or those that its rows get; findings where it has none, or where `partition_by`
/// does not fit.
fn columns(
    pipeline: &Pipeline,
    partitioner: Option<&Partitioner>,
    looked: &Looked<'_>,
    report: &mut Report,
) -> Option<Subject> {
    let Looked { topic, version, key, .. } = *looked;
    let place = format!("subject {} version {}", version.subject, version.version);
    let options = Options::of(pipeline);
    let taken = takes(pipeline.value.format, &version.schema, "value.format")
        .map_err(|reject| fault(&reject));
    let plan = taken.and_then(|()| Plan::compile(&version.schema, &[0], &options.decode));
    let plan = plan.and_then(|plan| {
        let value = ValuePlan { plan, schema: Some(version.schema.clone()), target: None };
        RowPlan::new(Some(value), key.clone(), &options)
    });
    let plan = match plan {
        Ok(plan) => plan,
        Err(fault) => {
            report.find(Area::Registry, [fault.at(place)]);
            return None;
        }
    };
    let (plan, whose) = match evolved(pipeline, partitioner, looked, &plan.record_name, report) {
        Some((plan, whose)) => (plan, Some(whose)),
        None => (plan, None),
    };
    let fields = plan.schema.fields();
    // A key's columns may come with the first one that is read.
    let key_comes_later = matches!(key, KeyPlan::None) && pipeline.key.comes_later();
    if let Some(Err(faults)) = partitioner.map(|p| p.bind(&plan.schema, key_comes_later)) {
        let mut names: Vec<&str> =
            fields.iter().take(NAMED_MAX).map(|f| f.name().as_str()).collect();
        if fields.len() > NAMED_MAX {
            names.push("…");
        }
        let names = names.join(", ");
        let located = faults.into_iter().map(|fault| {
            let found = fault.place.clone().unwrap_or_else(|| "partition_by".to_owned());
            Fault::new(
                fault.code,
                format!("{}; columns of topic `{topic}`: {names}", fault.message),
            )
            .at(format!("{found}, {place}"))
        });
        report.find(Area::Configuration, located.collect::<Vec<_>>());
    }
    Some(Subject {
        name: version.subject.clone(),
        version: version.version,
        id: version.schema.id,
        language: version.schema.language.name(),
        record: plan.record_name.clone(),
        columns: fields
            .iter()
            .map(|f| (f.name().clone(), f.data_type().to_string(), f.is_nullable()))
            .collect(),
        notes: whose.into_iter().chain(plan.notes.iter().cloned()).collect(),
    })
}
