//! Subjects of the topics, the columns that their latest versions give, and whether `partition_by`
//! fits them.

use super::report::{Area, Report, Subject};
use crate::config::{Pipeline, SubjectNameStrategy};
use crate::decode::Plan;
use crate::error::{Fault, Reject};
use crate::partition::Partitioner;
use crate::pipeline;
use crate::pipeline::intake::takes;
use crate::pipeline::row::{KeyPlan, Options, RowPlan, ValuePlan};
use crate::registry::client::Version;
use crate::registry::codes::SUBJECT;
use crate::registry::{Client, Lookup, subject_name};
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
                    let found = columns(pipeline, partitioner, topic, &version, &key, report);
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
async fn key(
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

/// The columns of a version; findings where it has none, or where `partition_by` does not fit.
fn columns(
    pipeline: &Pipeline,
    partitioner: Option<&Partitioner>,
    topic: &str,
    version: &Version,
    key: &KeyPlan,
    report: &mut Report,
) -> Option<Subject> {
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
        notes: plan.notes.clone(),
    })
}
