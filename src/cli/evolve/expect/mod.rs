//! What a row must hold, worked out by decoders that are not ours.
//!
//! Owns: reading a record's body with prost-reflect, apache-avro or serde_json, giving it the columns of a
//! target, and comparing that with a row of a file, cell by cell.
//! Does not own: reading files.
//! Bounded by: one record.
//!
//! Nothing of the program's own decoding is asked, but for the mapping tables (docs/types.md), which are
//! written down here once more.

pub mod avro;
pub mod cells;
pub mod json;
pub mod protobuf;
pub mod resolve;

use std::cell::RefCell;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::Fields;
use serde_json::{Value, json};

use super::form::Form;
use crate::config::{Presence, Recursion};

/// The first cell that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Dotted, `[n]` for elements: `lines[2].amount`.
    pub path: String,
    pub found: String,
    pub expected: String,
}

pub type Same = Result<(), Box<Difference>>;

/// Whose columns a file has.
#[derive(Debug, Clone, Copy)]
pub enum Columns<'a> {
    /// The writer's own.
    Own,
    /// Those of another version.
    Of(&'a Form),
    /// Those of all versions, newest first.
    Merged(&'a [Form]),
}

/// Options that change what a cell holds.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub presence: Presence,
    pub recursion: Recursion,
    /// Columns of several versions may lack those of a newer one.
    pub partial: bool,
}

/// Rows of a file: its columns, those that are not of the value left out.
#[derive(Debug, Clone)]
pub struct Rows {
    pub fields: Fields,
    pub columns: Vec<ArrayRef>,
}

/// Compares one row with the record that it is of.
///
/// `notes`: takes down what was expected of each cell. Error: the first difference; a body that the independent decoder does not take is one, at no path.
pub fn check(
    writer: &Form,
    columns: Columns<'_>,
    body: &[u8],
    rows: &Rows,
    row: usize,
    rules: Rules,
    notes: Option<&Notes>,
) -> Same {
    let top = match columns {
        Columns::Merged(_) => Path::Merged,
        _ => Path::Root,
    };
    let root = match notes {
        Some(notes) => Path::Noted(&top, notes),
        None => top,
    };
    match writer {
        Form::Protobuf(form) => protobuf::check(form, columns, body, rows, row, rules, root),
        Form::Avro(form) => avro::check(form, columns, body, rows, row, rules, root),
        Form::Json(form) => json::check(form, body, rows, row, root),
    }
}

/// What was expected of each cell of a row: the steps to it, what it is, the value.
pub type Notes = RefCell<Vec<Value>>;

/// Whether an independent decoder reads the body as `target`; a reject is right where it does not.
pub fn reads(writer: &Form, target: Option<&Form>, body: &[u8]) -> Result<(), String> {
    match (writer, target) {
        (Form::Protobuf(from), to) => {
            let to = match to {
                Some(Form::Protobuf(to)) => to,
                _ => from,
            };
            protobuf::read(&from.message, &to.message, body).map(|_| ())
        }
        (Form::Avro(from), Some(Form::Avro(to))) => {
            let value = avro::read(from, body)?;
            resolve::resolve(&value, from, &from.schema, to, &to.schema).map(|_| ())
        }
        (Form::Avro(from), _) => avro::read(from, body).map(|_| ()),
        (Form::Json(_), target) => {
            let value = serde_json::from_slice(body).map_err(|e| e.to_string())?;
            match target {
                Some(Form::Json(to)) if !json::fits(&value, &to.schema, &to.schema, 64) => {
                    Err("a value that the target does not take".to_owned())
                }
                _ => Ok(()),
            }
        }
    }
}

/// A place in a row: made on the stack on the way down, written out only where something differs.
#[derive(Clone, Copy)]
pub enum Path<'a> {
    Root,
    /// Of a row whose columns are of several versions.
    Merged,
    /// Either of them, of a row of which all that is expected is written down.
    Noted(&'a Path<'a>, &'a Notes),
    Name(&'a Path<'a>, &'a str),
    At(&'a Path<'a>, usize),
}

impl Path<'_> {
    /// Whether the row's columns are of several versions.
    pub fn is_merged(&self) -> bool {
        match self {
            Path::Root => false,
            Path::Merged => true,
            Path::Noted(above, _) | Path::Name(above, _) | Path::At(above, _) => above.is_merged(),
        }
    }

    /// Writes down what the cell was found to hold, as it must.
    pub fn note(&self, is: &str, value: impl FnOnce() -> Value) {
        if let Some(notes) = self.notes() {
            let mut steps = Vec::new();
            self.steps(&mut steps);
            notes.borrow_mut().push(json!([steps, is, value()]));
        }
    }

    /// What is written down so far; [`Path::forget`] goes back to it.
    pub fn mark(&self) -> usize {
        self.notes().map_or(0, |notes| notes.borrow().len())
    }

    /// Takes back what was written down since: it was the wrong way.
    pub fn forget(&self, mark: usize) {
        if let Some(notes) = self.notes() {
            notes.borrow_mut().truncate(mark);
        }
    }

    fn notes(&self) -> Option<&Notes> {
        match self {
            Path::Root | Path::Merged => None,
            Path::Noted(_, notes) => Some(notes),
            Path::Name(above, _) | Path::At(above, _) => above.notes(),
        }
    }

    fn steps(&self, steps: &mut Vec<Value>) {
        match self {
            Path::Root | Path::Merged | Path::Noted(..) => {}
            Path::Name(above, name) => {
                above.steps(steps);
                steps.push(json!(name));
            }
            Path::At(above, at) => {
                above.steps(steps);
                steps.push(json!(at));
            }
        }
    }

    #[cold]
    pub fn differs(&self, found: impl Into<String>, expected: impl Into<String>) -> Same {
        Err(Box::new(Difference {
            path: self.to_string(),
            found: found.into(),
            expected: expected.into(),
        }))
    }

    /// The cell holds something else.
    #[cold]
    pub fn wrong(&self, array: &dyn Array, row: usize, expected: impl Into<String>) -> Same {
        self.differs(cells::show(array, row), expected)
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Path::Root | Path::Merged | Path::Noted(..) => Ok(()),
            Path::Name(Path::Root | Path::Merged | Path::Noted(..), name) => f.write_str(name),
            Path::Name(above, name) => write!(f, "{above}.{name}"),
            Path::At(above, at) => write!(f, "{above}[{at}]"),
        }
    }
}
