//! A report as text: the answer first.

use super::report::{Effect, Mode, Report, Step, listed, on_incompatible};
use super::source::Answer;
use crate::config::{EvolutionMode, OnIncompatible};
use crate::error::Fault;
use crate::evolve::Changes;
use crate::evolve::compare::{Difference, What, brief};
use crate::evolve::verdict::{Level, Reader, Verdict};

/// Lines of one difference list that are written out.
const LINES_MAX: usize = 200;

pub(super) fn text(report: &Report) -> String {
    let mut out = Lines(Vec::new());
    out.line("answer", answer(report));
    out.line("subject", format!("{}: {}{}", report.subject, report.language, of(&report.record)));
    registry(report, &mut out);
    for note in &report.notes {
        out.line("note", note.clone());
    }
    versions(report, &mut out);
    modes(report, &mut out);
    readers(report, &mut out);
    out.0.join("\n")
}

struct Lines(Vec<String>);

impl Lines {
    fn line(&mut self, name: &str, text: impl AsRef<str>) {
        self.0.push(format!("{name:<10} {}", text.as_ref()).trim_end().to_owned());
    }

    fn more(&mut self, text: impl AsRef<str>) {
        self.line("", text);
    }
}

fn of(record: &str) -> String {
    if record.is_empty() { String::new() } else { format!(" {record}") }
}

fn answer(report: &Report) -> String {
    let reasons = report.reasons();
    let mode = Mode(report.selected).name();
    if !reasons.is_empty() {
        return format!("no: {}", reasons.join("; "));
    }
    let asked = match &report.answer {
        Answer::Judged { level, .. } => format!("the registry takes it ({level}), and "),
        Answer::NotAsked(_) | Answer::Known { .. } | Answer::Nothing { .. } => String::new(),
    };
    let broken = report.broken();
    let but = match broken.as_slice() {
        [] => String::new(),
        some => format!("; but old and new files together break for {}", some.join(", ")),
    };
    let what = if report.is_new { "it" } else { "every version" };
    format!("yes: {asked}mode `{mode}` takes {what}{but}")
}

fn registry(report: &Report, out: &mut Lines) {
    match &report.answer {
        Answer::NotAsked(why) => out.line("registry", format!("not asked: {why}")),
        Answer::Nothing { level } => {
            out.line("registry", format!("{level}; `--new FILE` asks about a new version"));
        }
        Answer::Known { version, id } => {
            out.line("registry", format!("has it: version {version}, id {id}"));
        }
        Answer::Judged { level, compatible, messages } => {
            let said = if *compatible { "compatible" } else { "incompatible" };
            out.line("registry", format!("{said} ({level})"));
            messages.iter().for_each(|message| out.more(format!("  {message}")));
        }
    }
}

fn versions(report: &Report, out: &mut Lines) {
    let mut shown = false;
    let mut same: Vec<&str> = Vec::new();
    let flush = |same: &mut Vec<&str>, out: &mut Lines| {
        match same.as_slice() {
            [] => {}
            [one] => out.line(&head(one), "the same columns"),
            [first, .., last] => {
                out.line("versions", format!("{first} to {last}: the same columns"));
            }
        }
        same.clear();
    };
    for step in &report.steps {
        let silent = step.same == Some(true) && step.differences.is_empty();
        if silent && step.lenient.is_empty() && !step.is_new {
            same.push(&step.label);
            continue;
        }
        flush(&mut same, out);
        out.line(&head(&step.label), about(step));
        step.lenient.iter().for_each(|line| out.more(format!("  read leniently: {line}")));
        match (&step.error, &step.columns) {
            (Some(fault), _) => out.more(format!("  not usable: {fault}")),
            (None, Some(_)) if !shown => {
                columns(step, out);
                shown = true;
            }
            (None, _) if silent => out.more("  the same columns"),
            (None, _) => differences(&step.differences, out),
        }
    }
    flush(&mut same, out);
    // The first version's are above; of a long way from there nobody adds up.
    let changed = report.steps.iter().filter(|step| !step.differences.is_empty()).count();
    if let Some(last) = report.steps.iter().rev().find(|step| step.columns.is_some()) {
        if changed > 1 {
            out.line("columns", format!("of {}", named(&last.label)));
            columns(last, out);
        }
        last.notes.iter().for_each(|note| out.line("note", note));
    }
}

fn head(label: &str) -> String {
    match label {
        "new" => "new".to_owned(),
        number if number.bytes().all(|b| b.is_ascii_digit()) => format!("version {number}"),
        file => file.to_owned(),
    }
}

fn named(label: &str) -> String {
    match label {
        "new" => "the new version".to_owned(),
        label => head(label),
    }
}

fn about(step: &Step) -> String {
    match (step.id, &step.file) {
        (0, Some(file)) => file.clone(),
        (0, None) => String::new(),
        (id, _) => format!("id {id}"),
    }
}

fn columns(step: &Step, out: &mut Lines) {
    let Some(schema) = &step.columns else { return };
    let lines = listed(schema);
    let width = lines.iter().map(|(path, ..)| path.chars().count()).max().unwrap_or(0).min(40);
    for (path, of_type, nullable) in lines.iter().take(LINES_MAX) {
        let null = if *nullable { "nullable" } else { "required" };
        let place = if step.in_path(path) { ", in the path alone" } else { "" };
        let place = if path.contains('.') { "" } else { place };
        out.more(format!("  {path:<width$} {null} {of_type}{place}"));
    }
    rest(lines.len(), out);
}

fn rest(count: usize, out: &mut Lines) {
    if count > LINES_MAX {
        out.more(format!("  … and {} more (`--output json` has all)", count - LINES_MAX));
    }
}

fn differences(all: &[Difference], out: &mut Lines) {
    for difference in all.iter().take(LINES_MAX) {
        let path = difference.dotted();
        out.more(match &difference.what {
            What::Added { to, nullable } => {
                let null = if *nullable { "nullable" } else { "required" };
                format!("  + {path} {null} {}", brief(to))
            }
            What::Dropped { from, .. } => format!("  - {path} ({})", brief(from)),
            What::Renamed { from } => format!("  ~ {path}: was `{from}`"),
            What::Type { from, to } => {
                let how = if difference.what.is_promotion() { "promoted" } else { "another type" };
                format!("  ~ {path}: {} → {}, {how}", brief(from), brief(to))
            }
            What::Unit { from, to } => {
                let unit =
                    |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
                format!("  ~ {path}: unit {} → {}", unit(from), unit(to))
            }
            What::Form { from, to } => format!("  ~ {path}: {from} → {to}"),
            What::Nullable => format!("  ~ {path}: may be null now"),
            What::Required => format!("  ~ {path}: never null now"),
            What::Order if path.is_empty() => "  ~ order of columns".to_owned(),
            What::Order => format!("  ~ {path}: order of fields"),
        });
    }
    rest(all.len(), out);
}

fn modes(report: &Report, out: &mut Lines) {
    let Some(last) = report.steps.last().filter(|_| report.steps.len() > 1) else { return };
    let which = named(&last.label);
    if report.modes.is_empty() {
        return;
    }
    out.line("modes", format!("what {which} does to files; `*` is the one that decides"));
    for effect in &report.modes {
        let star = if effect.mode.0 == report.selected { "*" } else { " " };
        out.more(format!("{star} {:<8} {}", effect.mode.name(), does(effect, &which)));
        for (labels, changes) in runs(&effect.changes) {
            let list = |names: &[String], word: &str| match names {
                [] => None,
                names => Some(format!("{word} {}", names.join(", "))),
            };
            let parts = [
                list(&changes.added, "filled"),
                list(&changes.dropped, "dropped"),
                list(&changes.promoted, "promoted"),
                list(&changes.renamed, "renamed"),
            ];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            out.more(format!("             rows of {labels}: {}", parts.join("; ")));
        }
        for (label, _, fault) in &effect.misfits {
            out.more(format!("             {} does not fit: {}", named(label), why(fault)));
            if effect.mode.0 != EvolutionMode::Rotate {
                let becomes = match report.on_incompatible {
                    OnIncompatible::Rotate => {
                        "its rows keep their own columns, in files of their own"
                    }
                    OnIncompatible::Reject => "its records are rejected",
                    OnIncompatible::Pause => "its Kafka partition waits for another version",
                };
                let what = on_incompatible(report.on_incompatible);
                out.more(format!("             on_incompatible `{what}`: {becomes}"));
            }
        }
    }
}

/// Versions one after the other to whose columns the same happens.
fn runs(changes: &[(String, Changes)]) -> Vec<(String, &Changes)> {
    let mut runs: Vec<(&str, &str, &Changes)> = Vec::new();
    for (label, changes) in changes {
        match runs.last_mut() {
            Some((_, last, same)) if *same == changes => *last = label,
            _ => runs.push((label, label, changes)),
        }
    }
    let words = |(first, last, changes): (&str, &str, _)| match first == last {
        true => (named(first), changes),
        false => (format!("{} to {last}", named(first)), changes),
    };
    runs.into_iter().map(words).collect()
}

/// What a mode does, in a sentence.
fn does(effect: &Effect, which: &str) -> String {
    let same = !effect.columns_change && !effect.new_lane && !effect.switches;
    if effect.columns.is_none() {
        return format!("{which} has no rows");
    }
    match effect.mode.0 {
        EvolutionMode::Rotate if same => {
            "the same columns: its rows go into the same files, nothing closes".to_owned()
        }
        EvolutionMode::Rotate => {
            format!("rows of {which} go to files of their own, beside the others; nothing closes")
        }
        EvolutionMode::Latest | EvolutionMode::Superset if same => {
            "the same columns: nothing closes".to_owned()
        }
        EvolutionMode::Latest if effect.switches => {
            format!("all rows get the columns of {which}; open files close once")
        }
        EvolutionMode::Superset if effect.switches => {
            let count = effect.columns.as_ref().map_or(0, |columns| columns.fields().len());
            format!(
                "all rows get the {count} columns of all versions together; open files close once"
            )
        }
        EvolutionMode::Latest | EvolutionMode::Superset => {
            format!("rows of {which} go to files of their own; nothing closes")
        }
        EvolutionMode::Fixed if effect.new_lane => {
            format!("rows of {which} go to files of their own; nothing closes")
        }
        EvolutionMode::Fixed => {
            let pinned = effect.pinned.as_deref().map(named).unwrap_or_default();
            format!("all rows keep the columns of {pinned}; nothing closes")
        }
    }
}

/// A fault without what stands around it here: `schema id 0 read as …`, `columns of … in those of all versions`.
fn why(fault: &Fault) -> String {
    if let Some((_, rest)) = fault.message.split_once("` in those of all versions: ") {
        return rest.to_owned();
    }
    match fault.message.split_once("`: ") {
        Some((before, rest))
            if before.starts_with("schema id `") && before.contains(" read as ") =>
        {
            rest.to_owned()
        }
        _ => fault.message.clone(),
    }
}

fn readers(report: &Report, out: &mut Lines) {
    let with: Vec<&Effect> =
        report.modes.iter().filter(|effect| !effect.readers.is_empty()).collect();
    if with.is_empty() {
        return;
    }
    let is_fine = |effect: &&Effect| effect.readers.iter().all(|v| v.level == Level::AsIs);
    if with.iter().all(is_fine) {
        let names: Vec<&str> = Reader::ALL.iter().map(|reader| reader.name()).collect();
        let text = "read files from before and after together as they are, in every mode";
        return out.line("readers", format!("{} {text}", names.join(", ")));
    }
    out.line("readers", "files from before and after together, by a table (or first file) with the columns from before");
    let names: Vec<String> = Reader::ALL.iter().map(|r| format!("{:<12}", r.name())).collect();
    out.more(format!("  {:<8} {}", "", names.concat().trim_end()));
    for effect in &with {
        let star = if effect.mode.0 == report.selected { "*" } else { " " };
        let levels: Vec<String> =
            effect.readers.iter().map(|v| format!("{:<12}", v.level.name())).collect();
        out.more(format!("{star} {:<8} {}", effect.mode.name(), levels.concat().trim_end()));
    }
    let Some(effect) = report.effect() else { return };
    // Those that see the same are said together.
    let mut groups: Vec<Vec<&Verdict>> = Vec::new();
    for verdict in effect.readers.iter().filter(|verdict| verdict.level > Level::AsIs) {
        match groups.iter_mut().find(|group| group.iter().all(|v| v.points == verdict.points)) {
            Some(group) => group.push(verdict),
            None => groups.push(vec![verdict]),
        }
    }
    for group in groups {
        let names: Vec<&str> = group.iter().map(|verdict| verdict.reader.name()).collect();
        let Some(first) = group.first() else { continue };
        out.more(format!("{}: {}", names.join(", "), first.level.name()));
        let points = first.points.iter().filter(|point| point.level > Level::AsIs);
        points.for_each(|point| out.more(format!("  {}: {}", point.path, point.why)));
        for verdict in &group {
            let who = if group.len() > 1 { verdict.reader.name() } else { "" };
            let lines = verdict.statements.iter();
            lines.for_each(|s| out.more(format!("  > {who:<8}{s}").replace(">         ", "> ")));
        }
    }
}
