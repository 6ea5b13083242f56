//! The distinct values of one item, each with its path segment: numbered, so that rows carry numbers.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::codes::LENGTH;
use super::hive::{self, COMPONENT_MAX, VALUE_MAX};
use super::memo::{Memo, pack};
use crate::config::Escape;
use crate::error::Reject;

/// Id of null.
pub const NULL: u32 = 0;
/// Stands for the id of a row that was rejected.
pub const REJECT: u32 = u32::MAX;

/// What a value becomes in the path.
#[derive(Debug)]
pub enum Outcome {
    Segment { segment: Box<str>, value: Option<Box<str>> },
    Reject(Box<Reject>),
}

#[derive(Debug)]
pub struct Texts {
    escape: Escape,
    name: String,
    /// `name=`, escaped.
    prefix: String,
    /// A value that does not fit is rejected, not cut: files do not hold it.
    whole: bool,
    outcomes: Vec<Outcome>,
    by_text: HashMap<Box<str>, u32, RandomState>,
    /// Texts over [`VALUE_MAX`] by hash, so that they need not be kept.
    by_digest: HashMap<[u8; 16], u32, RandomState>,
    /// Short texts met lately.
    memo: Memo<(u64, u64, u8)>,
    bytes: usize,
}

impl Texts {
    pub fn new(escape: Escape, name: &str, whole: bool) -> Self {
        let mut texts = Self {
            escape,
            name: name.to_owned(),
            prefix: hive::component(escape, name) + "=",
            whole,
            outcomes: Vec::new(),
            by_text: HashMap::default(),
            by_digest: HashMap::default(),
            memo: Memo::default(),
            bytes: 0,
        };
        let null = texts.outcome(None);
        texts.outcomes.push(null);
        texts
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Entries kept and about how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        (self.outcomes.len(), self.bytes)
    }

    /// Forgets every id but null's.
    pub fn clear(&mut self) {
        self.outcomes.truncate(1);
        self.by_text.clear();
        self.by_digest.clear();
        self.memo.clear();
        self.bytes = 0;
    }

    /// What `id` stands for; `None` if it was never given.
    pub fn get(&self, id: u32) -> Option<&Outcome> {
        self.outcomes.get(id as usize)
    }

    /// The number of `text`.
    #[inline]
    pub fn intern(&mut self, text: &str) -> u32 {
        let Some(packed) = pack(text) else { return self.find(text) };
        if let Some(id) = self.memo.get(packed) {
            return id;
        }
        let id = self.find(text);
        self.memo.put(packed, id);
        id
    }

    fn find(&mut self, text: &str) -> u32 {
        if text.len() > VALUE_MAX {
            return self.intern_long(text);
        }
        match self.by_text.get(text) {
            Some(id) => *id,
            None => {
                let id = self.add(text);
                self.bytes += text.len();
                self.by_text.insert(text.into(), id);
                id
            }
        }
    }

    #[cold]
    fn intern_long(&mut self, text: &str) -> u32 {
        let digest = hive::digest(text);
        if let Some(id) = self.by_digest.get(&digest) {
            return *id;
        }
        let id = self.add(text);
        self.by_digest.insert(digest, id);
        id
    }

    #[cold]
    fn add(&mut self, text: &str) -> u32 {
        let outcome = self.outcome(Some(text));
        let id = self.outcomes.len() as u32;
        self.bytes += size_of::<Outcome>() + 64;
        self.bytes += match &outcome {
            Outcome::Segment { segment, value } => {
                segment.len() + value.as_ref().map_or(0, |v| v.len())
            }
            Outcome::Reject(reject) => reject.message.len(),
        };
        self.outcomes.push(outcome);
        id
    }

    fn outcome(&self, text: Option<&str>) -> Outcome {
        let max = VALUE_MAX.min(COMPONENT_MAX.saturating_sub(self.prefix.len()));
        let mut segment = self.prefix.clone();
        let cut = hive::push_value(self.escape, text, max, &mut segment);
        let value = match (text, cut) {
            (None, _) => None,
            (Some(text), None) => Some(text.into()),
            (Some(text), Some(_)) if self.whole => {
                return Outcome::Reject(Reject::new(
                    &LENGTH,
                    format!(
                        "value `{}…` of partition `{}`: over {max} bytes when escaped, at most that required of a column that files do not repeat; set `partition_columns: keep`",
                        super::text::quoted(text),
                        self.name
                    ),
                ));
            }
            (Some(text), Some(taken)) => {
                let mut value = text[..taken].to_owned();
                hive::push_mark(&hive::digest(text), &mut value);
                Some(value.into())
            }
        };
        Outcome::Segment { segment: segment.into(), value }
    }
}
