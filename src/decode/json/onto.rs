//! Whether the texts of one schema mean the same to the steps of another.
//!
//! Owns: the forms of text that a target's steps may read in place of their writer's: columns of one type may be
//! filled from texts that have nothing in common (a date from `2026-01-31` or from a number of days), or from equal
//! texts that mean different values (base64 of 12.30 with two digits behind the point, or with four).
//! Does not own: which columns fit (`evolve`), asked before.
//! Bounded by: the steps of the two programs.

use super::Program;
use super::step::{Node, Pairs, Step, Table, Union};
use crate::decode::readers::join;
use crate::evolve::Misfit;

/// Every place where the writer's texts are not what the target reads, by the writer's names.
pub fn unlike(writer: &Program, target: &Program) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    node(&writer.root, &target.root, "", &mut misfits);
    misfits
}

fn node(from: &Node, to: &Node, path: &str, out: &mut Vec<Misfit>) {
    match (&from.step, &to.step) {
        (Step::Object(from), Step::Object(to)) => members(from, to, path, out),
        (Step::List(from), Step::List(to)) | (Step::Map(from), Step::Map(to)) => {
            node(&from.item, &to.item, &format!("{path}[]"), out);
        }
        (Step::Pairs(from), Step::Pairs(to)) if from.objects == to.objects => {
            pairs(from, to, path, out);
        }
        (Step::Union(from), Step::Union(to)) => branches(from, to, path, out),
        // The text says which branch it is of.
        (_, Step::Union(to)) if to.branches.iter().any(|b| fits(from, &b.node)) => {}
        (from, to) if is_alike(from, to) => {}
        (from, to) => {
            out.push(Misfit { path: path.to_owned(), found: form(from), required: form(to) })
        }
    }
}

fn fits(from: &Node, to: &Node) -> bool {
    let mut misfits = Vec::new();
    node(from, to, "", &mut misfits);
    misfits.is_empty()
}

fn members(from: &Table, to: &Table, path: &str, out: &mut Vec<Misfit>) {
    for own in &from.fields {
        let known = to.by_name.get(own.name.as_bytes()).and_then(|at| to.fields.get(*at as usize));
        if let Some(slot) = known {
            node(&own.node, &slot.node, &join(path, &own.name), out);
        }
    }
}

fn pairs(from: &Pairs, to: &Pairs, path: &str, out: &mut Vec<Misfit>) {
    for (from, to) in from.parts.iter().zip(&to.parts) {
        node(from, to, &format!("{path}[]"), out);
    }
}

fn branches(from: &Union, to: &Union, path: &str, out: &mut Vec<Misfit>) {
    for own in &from.branches {
        let path = join(path, &own.name);
        match to.branches.iter().find(|branch| branch.name == own.name) {
            Some(branch) => node(&own.node, &branch.node, &path, out),
            None if to.branches.iter().any(|branch| fits(&own.node, &branch.node)) => {}
            None => out.push(Misfit {
                path,
                found: form(&own.node.step),
                required: "one of the target's types".to_owned(),
            }),
        }
    }
}

/// Whether texts of a leaf mean to another what they meant.
fn is_alike(from: &Step, to: &Step) -> bool {
    use Step::{
        Bool, Bytes, Date, DateTime, Decimal, F32, F64, I32, I64, Json, Large, Millis, Nothing,
        Skip, Text, Time, Uuid, Written,
    };
    match (from, to) {
        // Null is null, any text is JSON, and what is not kept has no meaning.
        (Nothing, _) | (_, Json { .. } | Skip { .. }) => true,
        (Bool(_), Bool(_)) | (Bytes(_), Bytes(_)) | (Uuid(_), Uuid(_)) => true,
        (Date(_), Date(_)) | (Time(_), Time(_)) | (DateTime(_), DateTime(_)) => true,
        (Millis { .. }, Millis { .. }) => true,
        (Text(_), Text(_) | Written(_)) | (Written(_), Written(_)) => true,
        // Numbers as they are written; columns say which take which.
        (I32 { .. } | I64(_) | Large(_), I32 { .. } | I64(_) | Large(_) | Decimal(_)) => true,
        (I32 { .. } | I64(_) | Large(_) | F32(_) | F64(_), F32(_) | F64(_)) => true,
        (Decimal(from), Decimal(to)) => from.scale == to.scale,
        _ => false,
    }
}

/// What a step reads, in words.
fn form(step: &Step) -> String {
    let form = match step {
        Step::Nothing => "null",
        Step::Bool(_) => "a boolean",
        Step::I64(_) | Step::I32 { .. } | Step::Large(_) | Step::Millis { .. } => "a whole number",
        Step::F32(_) | Step::F64(_) => "a number",
        Step::Text(_) => "text",
        Step::Written(_) => "text or a number",
        Step::Bytes(_) => "base64",
        Step::Date(_) => "text of a date",
        Step::Time(_) => "text of a time",
        Step::DateTime(_) => "text of a date and time",
        Step::Uuid(_) => "text of a UUID",
        Step::Decimal(decimal) => {
            return format!("a decimal with `{}` digits behind the point", decimal.scale);
        }
        Step::Json { .. } | Step::Skip { .. } => "anything",
        Step::Object(_) => "an object of known members",
        Step::Map(_) => "an object of any members",
        Step::List(_) => "an array",
        Step::Pairs(pairs) if pairs.objects => "an array of objects of key and value",
        Step::Pairs(_) => "an array of arrays of key and value",
        Step::Union(_) => "one of several types",
    };
    form.to_owned()
}
