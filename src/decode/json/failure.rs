//! A failed read on its way out: what, where in the text, and the field path, gathered while the calls
//! return. The good path pays one pointer for it.

use super::codes;
use super::token::{Bad, Cursor};
use super::tree::OBJECTS_MAX;
use crate::decode::codes as shared;
use crate::decode::columns::Full;
use crate::decode::readers;
use crate::error::{Code, Reject};

/// Segments of a path that are kept; a path through more names nobody reads.
const PATH_MAX: usize = 32;
/// Bytes of a segment that are kept: keys of maps are the record's own.
const SEGMENT_MAX: usize = 64;

/// Why a text cannot become a row.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: &'static Code,
    /// Segments, innermost first.
    path: Vec<String>,
    /// Byte of the text.
    pub(super) at: usize,
    pub(super) found: String,
}

pub(super) type Read<T> = Result<T, Box<Failure>>;

impl Failure {
    #[cold]
    pub(super) fn new(
        code: &'static Code,
        cursor: &Cursor<'_>,
        found: impl Into<String>,
    ) -> Box<Self> {
        Box::new(Self { code, path: Vec::new(), at: cursor.at(), found: found.into() })
    }

    /// A limit that the record reached here.
    #[cold]
    pub(super) fn limit(reject: &Reject, cursor: &Cursor<'_>) -> Box<Self> {
        Self::new(reject.code, cursor, reject.message.clone())
    }

    #[cold]
    pub(super) fn full(full: Full, cursor: &Cursor<'_>) -> Box<Self> {
        let reject: Box<Reject> = full.into();
        Self::limit(&reject, cursor)
    }

    /// What `bad` says of the text at the cursor.
    #[cold]
    pub(super) fn bad(bad: Bad, cursor: &Cursor<'_>) -> Box<Self> {
        match bad {
            Bad::Expected(what) => {
                Self::new(&codes::SYNTAX, cursor, format!("{}, {what} required", cursor.here()))
            }
            Bad::Control => Self::new(
                &codes::SYNTAX,
                cursor,
                format!("{} inside a string, its escape required", cursor.here()),
            ),
            Bad::Surrogate => Self::new(
                &codes::ESCAPE,
                cursor,
                "a lone surrogate, both halves of a character required",
            ),
            Bad::Depth => too_deep(cursor),
            Bad::Many => Self::new(
                &shared::TOO_WIDE,
                cursor,
                format!("more than {OBJECTS_MAX} objects in one list, at most that allowed"),
            ),
        }
    }

    #[cold]
    pub(super) fn trailing(cursor: &Cursor<'_>) -> Box<Self> {
        let found = format!("{} after the value, nothing required", cursor.here());
        Self::new(&codes::TRAILING, cursor, found)
    }

    /// The same failure, one field further out.
    #[cold]
    pub(super) fn within(mut self: Box<Self>, segment: &str) -> Box<Self> {
        if self.path.len() < PATH_MAX {
            self.path.push(segment[..segment.floor_char_boundary(SEGMENT_MAX)].to_owned());
        }
        self
    }

    /// The same failure, one entry of a map further out. The key may be as long as the record: cut before it
    /// is copied.
    #[cold]
    pub(super) fn within_key(self: Box<Self>, key: &str) -> Box<Self> {
        let kept = &key[..key.floor_char_boundary(SEGMENT_MAX - 2)];
        self.within(&format!("[{kept}]"))
    }

    /// The reject, with its whole path: ``json field `device.os` at byte 17: …``.
    #[cold]
    pub(super) fn reject(&self) -> Box<Reject> {
        let place = readers::place(&self.path, self.at);
        let message = format!("json {place}: {}", self.found);
        Reject::new(self.code, message)
    }
}

#[cold]
pub(super) fn too_deep(cursor: &Cursor<'_>) -> Box<Failure> {
    Failure::new(
        &shared::DEPTH,
        cursor,
        "value nested deeper than `limits.depth`, at most that required; raise it if the data is honest",
    )
}

impl Failure {
    /// The same failure, of the last branch that was tried.
    #[cold]
    pub(super) fn as_union(mut self: Box<Self>) -> Box<Self> {
        self.code = &codes::UNION;
        self
    }
}
