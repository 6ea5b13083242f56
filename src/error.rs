//! Faults and rejects as plain data.
//!
//! Owns: the shape of an error (stable code, kind, message, place) and its one text form.
//! Does not own: the codes themselves; each room lists its own in a `CODES` slice.
//! Bounded by: messages are cut at [`MESSAGE_MAX`] bytes, because they quote hostile input.
//! Absent: sources, backtraces, downcasting. A room converts what its libraries say into a [`Fault`].

use std::fmt;

/// Longest message a fault or reject keeps, in bytes.
pub const MESSAGE_MAX: usize = 2_048;

/// What the reader of an error has to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nothing: the same call is made again.
    Retry,
    /// Nothing now: the record stands in a reject file.
    Reject,
    /// Nothing: the Kafka partition waits and goes on by itself.
    Pause,
    /// Act: the Kafka partition, or the program, stays stopped until somebody does.
    Halt,
    /// Nothing: another owner has taken over.
    Fenced,
    /// Report it: this cannot happen.
    Bug,
}

impl Kind {
    /// Lower-case name, as logs and metrics show it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Retry => "retry",
            Kind::Reject => "reject",
            Kind::Pause => "pause",
            Kind::Halt => "halt",
            Kind::Fenced => "fenced",
            Kind::Bug => "bug",
        }
    }
}

/// One stable code: `FB` and four digits, never reused.
///
/// 01xx wire · 02xx decode · 03xx registry · 04xx configuration · 05xx source · 06xx partition ·
/// 07xx store · 08xx file · 09xx commit and pipeline · 10xx command line.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Code {
    /// `FB0101`
    pub id: &'static str,
    pub kind: Kind,
    /// A few words: what this code says.
    pub title: &'static str,
    /// What to do about it: one or two sentences for an operator.
    pub help: &'static str,
}

/// Why something could not be done: code, one line of text, and where.
///
/// The message follows `<what was refused> <which>: <found>, <required>; <what to do>`, lower case,
/// values in backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub code: &'static Code,
    pub message: String,
    /// `orders-3 offset 918273`, `sink.url (forebay.yaml:14)`, …
    pub place: Option<String>,
}

impl Fault {
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self { code, message: cut(message.into()), place: None }
    }

    /// The same fault, with its place said.
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.place = Some(place.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.id, self.message)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// Why one record cannot become a row. Becomes a row of a reject file.
///
/// Boxed where it travels through hot loops: the good path pays one pointer for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    pub code: &'static Code,
    pub message: String,
}

impl Reject {
    /// A reject, boxed. Call it out of the hot path (`#[cold]`).
    #[cold]
    pub fn new(code: &'static Code, message: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, message: cut(message.into()) })
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.id, self.message)
    }
}

/// Shortens `text` to [`MESSAGE_MAX`] bytes at a character boundary.
fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_MAX {
        let end = text.floor_char_boundary(MESSAGE_MAX - 4);
        text.truncate(end);
        text.push('…');
    }
    text
}
