//! What `plan` found: data, its JSON, its answer and exit code.

use arrow::datatypes::{DataType, Field, SchemaRef};
use serde_json::{Value, json};

use super::source::Answer;
use crate::cli::Exit;
use crate::config::{EvolutionMode, OnIncompatible};
use crate::error::Fault;
use crate::evolve::Changes;
use crate::evolve::compare::{Difference, What, brief};
use crate::evolve::verdict::{Level, Verdict};

/// One version, and what is other in it than in the one before.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) label: String,
    pub(super) id: u32,
    pub(super) file: Option<String>,
    pub(super) is_new: bool,
    /// What its text had to be forgiven.
    pub(super) lenient: Vec<String>,
    /// Why it has no rows.
    pub(super) error: Option<Fault>,
    /// Of rows.
    pub(super) columns: Option<SchemaRef>,
    /// Those without what stands in the path alone.
    pub(super) files: Option<SchemaRef>,
    pub(super) differences: Vec<Difference>,
    /// Whether its rows may go into files of the version before; none for the first.
    pub(super) same: Option<bool>,
    pub(super) notes: Vec<String>,
}

/// `evolution.mode` with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode(pub(super) EvolutionMode);

impl Default for Mode {
    fn default() -> Self {
        Mode(EvolutionMode::Rotate)
    }
}

impl Mode {
    pub(super) fn of(mode: EvolutionMode) -> Self {
        Mode(mode)
    }

    pub(super) fn name(self) -> &'static str {
        match self.0 {
            EvolutionMode::Rotate => "rotate",
            EvolutionMode::Latest => "latest",
            EvolutionMode::Superset => "superset",
            EvolutionMode::Fixed => "fixed",
        }
    }
}

/// What the newest version does under one mode.
#[derive(Debug, Default)]
pub(super) struct Effect {
    pub(super) mode: Mode,
    /// Version whose columns `fixed` gives.
    pub(super) pinned: Option<String>,
    /// Columns of the files that rows of the newest version go to; none: it has no rows.
    pub(super) columns: Option<SchemaRef>,
    /// The same with what stands in the path alone.
    pub(super) target: Option<SchemaRef>,
    /// Other columns than those of the files of the version before.
    pub(super) columns_change: bool,
    /// Rows of the newest version go to files beside those of the older ones.
    pub(super) new_lane: bool,
    /// Open files of older versions close.
    pub(super) switches: bool,
    /// By version: what becomes of its columns.
    pub(super) changes: Vec<(String, Changes)>,
    /// By version: why its rows cannot have the columns; whether the newest version brought that.
    pub(super) misfits: Vec<(String, bool, Fault)>,
    /// Of old files and new ones together; empty where there are no old ones.
    pub(super) readers: Vec<Verdict>,
}

#[derive(Debug)]
pub(super) struct Report {
    pub(super) subject: String,
    pub(super) language: &'static str,
    pub(super) record: String,
    pub(super) is_new: bool,
    pub(super) answer: Answer,
    pub(super) selected: EvolutionMode,
    pub(super) on_incompatible: OnIncompatible,
    pub(super) steps: Vec<Step>,
    /// Empty where the newest version cannot be used.
    pub(super) modes: Vec<Effect>,
    pub(super) notes: Vec<String>,
}

impl Report {
    pub(super) fn effect(&self) -> Option<&Effect> {
        self.modes.iter().find(|effect| effect.mode.0 == self.selected)
    }

    /// Why the answer is no, a line each; none: it is yes.
    pub(super) fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if let Answer::Judged { compatible: false, level, .. } = &self.answer {
            reasons.push(format!("the registry refuses it ({level})"));
        }
        if self.modes.is_empty() {
            reasons.push("the newest version cannot be used".to_owned());
        }
        if let Some(effect) = self.effect() {
            let counted = |(_, is_news, _): &&(String, bool, Fault)| *is_news || !self.is_new;
            let labels: Vec<&str> =
                effect.misfits.iter().filter(counted).map(|(label, ..)| label.as_str()).collect();
            if !labels.is_empty() {
                let which = if labels.len() == 1 { "version" } else { "versions" };
                let labels = labels.join(", ");
                let mode = effect.mode.name();
                reasons.push(format!("mode `{mode}` cannot take {which} {labels}"));
            }
        }
        reasons
    }

    pub(super) fn exit(&self) -> Exit {
        if self.reasons().is_empty() { Exit::Done } else { Exit::No }
    }

    /// Readers for which old and new files together are not one table any more, under the selected mode.
    pub(super) fn broken(&self) -> Vec<&'static str> {
        let readers = self.effect().map(|effect| effect.readers.as_slice()).unwrap_or_default();
        let broken = readers.iter().filter(|verdict| verdict.level == Level::Breaks);
        broken.map(|verdict| verdict.reader.name()).collect()
    }

    pub(super) fn json(&self) -> Value {
        let registry = match &self.answer {
            Answer::NotAsked(why) => json!({ "asked": false, "why": why }),
            Answer::Nothing { level } => json!({ "asked": false, "level": level }),
            Answer::Known { version, id } => {
                json!({ "asked": true, "compatible": true, "version": version, "id": id })
            }
            Answer::Judged { level, compatible, messages } => json!({
                "asked": true, "compatible": compatible, "level": level, "messages": messages,
            }),
        };
        let reasons = self.reasons();
        json!({
            "ok": reasons.is_empty(),
            "reasons": reasons,
            "subject": self.subject,
            "language": self.language,
            "record": self.record,
            "registry": registry,
            "mode": Mode(self.selected).name(),
            "on_incompatible": on_incompatible(self.on_incompatible),
            "versions": self.steps.iter().map(Step::json).collect::<Vec<_>>(),
            "modes": self.modes.iter().map(|e| e.json(self.selected)).collect::<Vec<_>>(),
            "breaks": self.broken(),
            "notes": self.notes,
        })
    }
}

pub(super) fn on_incompatible(what: OnIncompatible) -> &'static str {
    match what {
        OnIncompatible::Rotate => "rotate",
        OnIncompatible::Reject => "reject",
        OnIncompatible::Pause => "pause",
    }
}

impl Step {
    fn json(&self) -> Value {
        json!({
            "version": self.label,
            "id": (self.id > 0).then_some(self.id),
            "new": self.is_new,
            "file": self.file,
            "lenient": self.lenient,
            "error": self.error.as_ref().map(|fault| json!({ "code": fault.code.id, "message": fault.message })),
            "columns": self.columns.as_ref().map(columns),
            "same_files": self.same,
            "differences": self.differences.iter().map(difference).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }

    /// True for a column that stands in the path alone.
    pub(super) fn in_path(&self, name: &str) -> bool {
        self.files.as_ref().is_some_and(|files| files.index_of(name).is_err())
    }
}

impl Effect {
    fn json(&self, selected: EvolutionMode) -> Value {
        let misfits: Vec<Value> = self
            .misfits
            .iter()
            .map(|(version, news, fault)| {
                json!({ "version": version, "new": news, "code": fault.code.id, "message": fault.message })
            })
            .collect();
        let changes: serde_json::Map<String, Value> =
            self.changes.iter().map(|(label, changes)| (label.clone(), json!(changes))).collect();
        json!({
            "mode": self.mode.name(),
            "selected": self.mode.0 == selected,
            "pinned": self.pinned,
            "columns": self.columns.as_ref().map(columns),
            "columns_change": self.columns_change,
            "new_lane": self.new_lane,
            "open_files_close": self.switches,
            "changes": changes,
            "misfits": misfits,
            "readers": self.readers,
        })
    }
}

fn columns(schema: &SchemaRef) -> Value {
    let column = |field: &std::sync::Arc<Field>| {
        json!({
            "name": field.name(), "type": field.data_type().to_string(), "nullable": field.is_nullable(),
        })
    };
    schema.fields().iter().map(column).collect()
}

fn difference(difference: &Difference) -> Value {
    let path = difference.dotted();
    match &difference.what {
        What::Added { to, nullable } => {
            json!({ "path": path, "what": "added", "type": to.to_string(), "nullable": nullable })
        }
        What::Dropped { from, .. } => {
            json!({ "path": path, "what": "dropped", "type": from.to_string() })
        }
        What::Renamed { from } => json!({ "path": path, "what": "renamed", "from": from }),
        What::Type { from, to } => json!({
            "path": path,
            "what": if difference.what.is_promotion() { "promoted" } else { "retyped" },
            "from": from.to_string(), "to": to.to_string(),
        }),
        What::Unit { from, to } => json!({ "path": path, "what": "unit", "from": from, "to": to }),
        What::Form { from, to } => json!({ "path": path, "what": "form", "from": from, "to": to }),
        What::Nullable => json!({ "path": path, "what": "nullable" }),
        What::Required => json!({ "path": path, "what": "required" }),
        What::Order => json!({ "path": path, "what": "reordered" }),
    }
}

/// Columns with what stands in them, a line each: path, type, whether it may be null.
pub(super) fn listed(schema: &SchemaRef) -> Vec<(String, String, bool)> {
    let mut lines = Vec::new();
    for field in schema.fields() {
        list(field, field.name(), 0, &mut lines);
    }
    lines
}

fn list(field: &Field, path: &str, depth: u32, lines: &mut Vec<(String, String, bool)>) {
    lines.push((path.to_owned(), brief(field.data_type()), field.is_nullable()));
    inside(field.data_type(), path, depth + 1, lines);
}

fn inside(data_type: &DataType, path: &str, depth: u32, lines: &mut Vec<(String, String, bool)>) {
    // Plans are bounded, and this is their depth.
    if depth > 512 {
        return;
    }
    let mut below = |field: &Field, name: &str| {
        let path = format!("{path}.{name}");
        match field.data_type().is_nested() {
            true => list(field, &path, depth, lines),
            false if name == field.name() => list(field, &path, depth, lines),
            false => {}
        }
    };
    match data_type {
        DataType::Struct(fields) => fields.iter().for_each(|field| below(field, field.name())),
        // Elements that are no struct stand in the type's own name.
        DataType::List(item) if item.data_type().is_nested() => below(item, "element"),
        DataType::Map(entries, _) => {
            if let DataType::Struct(pair) = entries.data_type()
                && let [_, value] = pair.as_ref()
                && value.data_type().is_nested()
            {
                below(value, "value");
            }
        }
        _ => {}
    }
}
