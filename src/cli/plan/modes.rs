//! Versions → what each mode makes of their rows, and what readers make of the files.
//!
//! Owns: which versions are put side by side.
//! Does not own: columns (`pipeline::versions`), differences and verdicts (`evolve`).

use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema as Columns, SchemaRef};

use super::Stop;
use super::report::{Effect, Mode, Report, Step};
use super::source::{Asked, Version};
use crate::cli::ARGUMENTS;
use crate::config::{EvolutionMode, OnIncompatible};
use crate::decode::Plan;
use crate::error::Fault;
use crate::evolve::{self, By, compare, same_columns, verdict};
use crate::partition::near;
use crate::pipeline::versions::{Outlook, Rows};
use crate::registry::{Parsed, Schema, message};

/// What decides.
pub(super) struct Setting {
    pub(super) mode: EvolutionMode,
    pub(super) on_incompatible: OnIncompatible,
    /// What the configuration pins for `fixed`.
    pub(super) pinned: Option<Pinned>,
    pub(super) message: Option<String>,
    pub(super) table: String,
}

#[derive(Debug, Clone)]
pub(super) struct Pinned {
    /// Its version, or where it stands.
    pub(super) label: String,
    pub(super) schema: Arc<Schema>,
}

pub(super) const MODES: [EvolutionMode; 4] =
    [EvolutionMode::Rotate, EvolutionMode::Latest, EvolutionMode::Superset, EvolutionMode::Fixed];

/// Everything that is said.
pub(super) fn report(
    asked: Asked,
    outlook: &Outlook<'_>,
    setting: &Setting,
) -> Result<Report, Stop> {
    let Asked { subject, versions, answer, mut notes, .. } = asked;
    let usable =
        |v: &Version| v.schema.as_ref().ok().map(|schema| (v.label.clone(), schema.clone()));
    let usable: Vec<(String, Arc<Schema>)> = versions.iter().filter_map(usable).collect();
    let Some((_, newest)) = usable.last() else {
        let first = versions.into_iter().find_map(|version| version.schema.err());
        let none = || {
            Fault::new(&ARGUMENTS, format!("subject `{subject}`: no version in it, one required"))
        };
        return Err(Stop::Refused(vec![first.unwrap_or_else(none)]));
    };
    let language = newest.language.name();
    let record = record(newest, setting.message.as_deref(), outlook, &mut notes)?;
    let steps = steps(&versions, outlook, &record);
    let modes = match newest_is_last(&versions) {
        true => {
            MODES.iter().map(|mode| effect(*mode, &usable, outlook, setting, &record)).collect()
        }
        false => Vec::new(),
    };
    Ok(Report {
        subject,
        language,
        record,
        is_new: versions.iter().any(|version| version.is_new),
        answer,
        selected: setting.mode,
        on_incompatible: setting.on_incompatible,
        steps,
        modes,
        notes,
    })
}

/// False where the newest version is one that cannot be used: of the others nothing new is to be said.
fn newest_is_last(versions: &[Version]) -> bool {
    versions.last().is_some_and(|version| version.schema.is_ok())
}

/// The message or record whose rows are looked at.
fn record(
    schema: &Schema,
    wanted: Option<&str>,
    outlook: &Outlook<'_>,
    notes: &mut Vec<String>,
) -> Result<String, Fault> {
    let Parsed::Protobuf(file) = &schema.parsed else {
        let plan = Plan::of(schema, &[], &outlook.options.decode);
        // What cannot be decoded is said with its version.
        return Ok(plan.map(|plan| plan.record_name).unwrap_or_default());
    };
    let all: Vec<String> =
        message::declared(file, None).map(|m| m.full_name().to_owned()).collect();
    let Some(wanted) = wanted else {
        let Some(first) = all.first() else {
            let text = "schema: no message in it, one required: rows are messages";
            return Err(Fault::new(&ARGUMENTS, text));
        };
        if all.len() > 1 {
            let others: Vec<String> = all.iter().skip(1).take(8).cloned().collect();
            let count = all.len();
            notes.push(format!(
                "message: the first of {count}; `--message` takes another: {}",
                others.join(", ")
            ));
        }
        return Ok(first.clone());
    };
    let within = format!("{}.{wanted}", file.package_name());
    let pool = file.parent_pool();
    let found = [wanted, &within].into_iter().find_map(|name| pool.get_message_by_name(name));
    found.map(|message| message.full_name().to_owned()).ok_or_else(|| {
        let near = near::hint(wanted, all.iter().map(String::as_str));
        Fault::new(
            &ARGUMENTS,
            format!(
                "message `{wanted}`: not in the newest version, a message of it required; {near}"
            ),
        )
    })
}

/// Versions one after the other, each beside the one before that has rows.
fn steps(versions: &[Version], outlook: &Outlook<'_>, record: &str) -> Vec<Step> {
    let mut before: Option<Rows> = None;
    let mut steps = Vec::with_capacity(versions.len());
    for version in versions {
        let mut step = Step {
            label: version.label.clone(),
            id: version.id,
            file: version.file.clone(),
            is_new: version.is_new,
            ..Step::default()
        };
        let rows = match &version.schema {
            Err(fault) => Some(Err(fault.clone())),
            Ok(schema) => {
                step.lenient = forgiven(schema).to_vec();
                outlook.own(schema, record)
            }
        };
        match rows {
            None => step.error = Some(no_message(record)),
            Some(Err(fault)) => step.error = Some(fault),
            Some(Ok(rows)) => {
                let all = rows.plan.notes.iter();
                let own =
                    all.filter(|n| !step.lenient.iter().any(|line| n.ends_with(line.as_str())));
                step.notes = own.cloned().collect();
                step.notes
                    .extend(rows.missing.iter().map(|f| format!("partition_by: {}", f.message)));
                if let Some(before) = &before {
                    step.differences = compare(&before.plan.schema, &rows.plan.schema, By::Field);
                    step.same = Some(same_columns(&before.files, &rows.files));
                }
                step.columns = Some(rows.plan.schema.clone());
                step.files = Some(rows.files.clone());
                before = Some(rows);
            }
        }
        steps.push(step);
    }
    steps
}

fn no_message(record: &str) -> Fault {
    Fault::new(&crate::wire::INDEXES, format!("no message `{record}`: no such rows"))
}

/// What a schema had to be forgiven before it compiled.
fn forgiven(schema: &Schema) -> &[String] {
    match &schema.parsed {
        Parsed::Protobuf(file) => &file.forgiven,
        Parsed::Avro(avro) => &avro.forgiven,
        Parsed::Json(_) => &[],
    }
}

/// What the newest version does under a mode.
fn effect(
    mode: EvolutionMode,
    versions: &[(String, Arc<Schema>)],
    outlook: &Outlook<'_>,
    setting: &Setting,
    record: &str,
) -> Effect {
    let schemas: Vec<Arc<Schema>> = versions.iter().map(|(_, schema)| schema.clone()).collect();
    let older = schemas.get(..schemas.len().saturating_sub(1)).unwrap_or_default();
    let pinned = setting.pinned.clone().or_else(|| {
        // What a pipeline that runs would have pinned.
        let at = versions.len().saturating_sub(2);
        let (label, schema) = versions.get(at)?;
        Some(Pinned { label: label.clone(), schema: schema.clone() })
    });
    let fixed = pinned.as_ref().map(|pinned| &pinned.schema);
    let before = outlook.rows(mode, older, fixed, record);
    let after = outlook.rows(mode, &schemas, fixed, record);
    let label = |at: usize| versions.get(at).map(|(label, _)| label.clone()).unwrap_or_default();
    let fits = |rows: &Option<Result<Rows, Fault>>| !matches!(rows, Some(Err(_)));
    let mut effect = Effect {
        mode: Mode::of(mode),
        pinned: pinned.map(|pinned| pinned.label).filter(|_| mode == EvolutionMode::Fixed),
        ..Effect::default()
    };
    for (at, rows) in after.iter().enumerate() {
        match rows {
            Some(Err(fault)) => {
                let is_newest = at + 1 == after.len();
                let is_news = is_newest || before.get(at).is_some_and(fits);
                effect.misfits.push((label(at), is_news, fault.clone()));
            }
            Some(Ok(rows)) => {
                let changes = rows.plan.onto().map(|onto| onto.changes.clone());
                if let Some(changes) = changes.filter(|changes| !changes.is_empty()) {
                    effect.changes.push((label(at), changes));
                }
            }
            None => {}
        }
    }
    let old_files = before.iter().flatten().rev().find_map(|rows| rows.as_ref().ok());
    let own = schemas.last().and_then(|newest| outlook.own(newest, record)?.ok());
    // Rows that do not fit keep their own columns where that is what becomes of them.
    let keeps = setting.on_incompatible == OnIncompatible::Rotate;
    let new_rows = match after.last() {
        Some(Some(Ok(rows))) => Some(rows),
        Some(Some(Err(_))) if keeps => own.as_ref(),
        _ => None,
    };
    let Some(new_rows) = new_rows else { return effect };
    effect.columns = Some(new_rows.files.clone());
    effect.target = Some(new_rows.plan.schema.clone());
    let Some(old_rows) = old_files else { return effect };
    let known = |rows: &Rows| same_columns(&rows.files, &new_rows.files);
    effect.new_lane = !before.iter().flatten().flatten().any(known);
    // Open files of the versions before get other columns: they close once.
    let moved = before.iter().zip(&after).any(|(before, after)| match (before, after) {
        (Some(Ok(before)), Some(Ok(after))) => !same_columns(&before.files, &after.files),
        _ => false,
    });
    effect.switches = moved;
    let rows = if after.iter().flatten().flatten().any(moves) { By::Field } else { By::Name };
    let misfit = |rows: &Option<Result<Rows, Fault>>| keeps && matches!(rows, Some(Err(_)));
    let mut table = vec![old_rows.files.clone()];
    for (rows, schema) in before.iter().zip(older).rev() {
        // Files of a time when that version was the newest, too.
        let own = (mode == EvolutionMode::Latest || misfit(rows))
            .then(|| outlook.own(schema, record)?.ok())
            .flatten();
        let all = rows.iter().flatten().chain(&own);
        table.extend(all.map(|rows| rows.files.clone()));
    }
    let table = once_there(&table, &new_rows.files);
    effect.readers = verdict::verdicts(&table, &new_rows.files, rows, &setting.table);
    effect.columns_change = !evolve::same_columns(&old_rows.files, &new_rows.files);
    effect
}

/// Whether rows of a version are read onto columns whose names may be other fields'.
fn moves(rows: &Rows) -> bool {
    rows.plan.onto().is_some_and(|onto| {
        let changes = &onto.changes;
        !changes.renamed.is_empty() || changes.added.iter().any(|p| changes.dropped.contains(p))
    })
}

/// The columns that readers know: those of the last files, and, of those before, last ones first, what the new
/// files have again.
fn once_there(files: &[SchemaRef], new: &SchemaRef) -> Columns {
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    let mut known: Vec<FieldRef> = Vec::new();
    for (at, columns) in files.iter().enumerate() {
        for field in columns.fields() {
            let is_known = known.iter().any(|other| same(other.name(), field.name()));
            let returns = || new.fields().iter().any(|other| same(other.name(), field.name()));
            if at == 0 || !is_known && returns() {
                known.push(field.clone());
            }
        }
    }
    Columns::new(known)
}
