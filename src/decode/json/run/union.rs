//! Which branch of a `oneOf` or `anyOf` a value is of.
//!
//! Of the branches that take the value's kind: for an object, the one with the most of its members, among
//! those whose required members are there and whose only texts (`const`, `enum`) fit; for anything else,
//! the first that can hold it. Of equals, the first.

use smallvec::SmallVec;

use super::{Run, read};
use crate::decode::json::codes;
use crate::decode::json::failure::{Failure, Read};
use crate::decode::json::step::{
    TAKES_BOOL, TAKES_LIST, TAKES_NUMBER, TAKES_OBJECT, TAKES_TEXT, Union,
};
use crate::decode::json::token::{Bad, Cursor};

/// What is known of an object for one branch.
#[derive(Debug, Clone, Copy)]
struct Match {
    branch: usize,
    members: u32,
    required: u32,
    fits: bool,
}

impl<'r> Run<'r> {
    #[inline(never)]
    pub(super) fn union(&mut self, union: &'r Union, first: u8, row: usize) -> Read<()> {
        let kind = match first {
            b'{' => TAKES_OBJECT,
            b'[' => TAKES_LIST,
            b'"' => TAKES_TEXT,
            b't' | b'f' => TAKES_BOOL,
            b'-' | b'0'..=b'9' => TAKES_NUMBER,
            _ => return Err(self.bad(Bad::Expected("a value"))),
        };
        let start = self.cursor.at();
        if kind == TAKES_OBJECT {
            let chosen = self.choose(union)?;
            let Some(chosen) = chosen else { return Err(self.no_branch(None)) };
            let branch = &union.branches[chosen];
            self.columns.groups[union.group as usize].set(row);
            let read = self.step(&branch.node.step, first, row);
            return read.map_err(|failure| failure.within(&branch.name));
        }
        let mut last = None;
        for branch in union.branches.iter().filter(|branch| branch.takes & kind != 0) {
            if let (Some(symbols), TAKES_TEXT) = (&branch.symbols, kind) {
                let text = read!(self, self.cursor.string(&mut self.state.scratch));
                let fits = symbols.contains(text);
                self.cursor.rewind(start);
                if !fits {
                    continue;
                }
            }
            match self.step(&branch.node.step, first, row) {
                Ok(()) => {
                    self.columns.groups[union.group as usize].set(row);
                    return Ok(());
                }
                // Leaves write nothing unless they can hold the value; lists do.
                Err(failure) if kind == TAKES_LIST || !is_misfit(&failure) => {
                    return Err(failure.within(&branch.name));
                }
                Err(failure) => last = Some(failure),
            }
            self.cursor.rewind(start);
        }
        Err(self.no_branch(last))
    }

    #[cold]
    fn no_branch(&mut self, last: Option<Box<Failure>>) -> Box<Failure> {
        match last {
            Some(failure) => failure.as_union(),
            None => {
                let mut failure = self.wrong("a value of one of the branches");
                if failure.code == &codes::TYPE {
                    failure.code = &codes::UNION;
                }
                failure
            }
        }
    }

    /// The branch for the object at hand, which is looked through and not read.
    fn choose(&mut self, union: &Union) -> Read<Option<usize>> {
        let mut matches: SmallVec<[Match; 8]> = union
            .branches
            .iter()
            .enumerate()
            .filter(|(_, branch)| branch.takes & TAKES_OBJECT != 0)
            .map(|(branch, _)| Match { branch, members: 0, required: 0, fits: true })
            .collect();
        if matches.len() <= 1 {
            return Ok(matches.first().map(|only| only.branch));
        }
        let mut cursor = self.cursor.clone();
        if let Err(bad) = look(&mut cursor, union, &mut matches) {
            return Err(Failure::bad(bad, &cursor));
        }
        // Unions inside unions are looked through again at each level, and each key for each branch.
        let looked = (cursor.at() - self.cursor.at()).saturating_mul((matches.len() / 4).max(1));
        self.meter.bytes(looked).map_err(|reject| self.limit(&reject))?;
        let fitting = matches.iter().filter(|m| {
            let members = &union.branches[m.branch].members;
            m.fits && members.as_ref().is_none_or(|members| m.required >= members.required)
        });
        // Of equals `max_by_key` takes the last one.
        Ok(fitting.rev().max_by_key(|m| m.members).map(|m| m.branch))
    }
}

/// Looks through an object.
fn look(cursor: &mut Cursor<'_>, union: &Union, matches: &mut [Match]) -> Result<(), Bad> {
    let (mut scratch, mut text) = (Vec::new(), Vec::new());
    let levels = union.levels.checked_sub(1).ok_or(Bad::Depth)?;
    cursor.step();
    if cursor.peek() == b'}' {
        return Ok(());
    }
    loop {
        let key = cursor.string(&mut scratch)?;
        cursor.require(b':', "`:`")?;
        let value = match cursor.peek() {
            b'"' => Some(cursor.string(&mut text)?),
            _ => {
                cursor.skip(levels)?;
                None
            }
        };
        for found in matches.iter_mut() {
            let Some(members) = &union.branches[found.branch].members else { continue };
            match members.known.get(key) {
                Some(member) => {
                    found.members += 1;
                    found.required += u32::from(member.required);
                    if let Some(symbols) = &member.symbols {
                        found.fits &= value.is_some_and(|value| symbols.contains(value));
                    }
                }
                None => found.fits &= !members.closed,
            }
        }
        if cursor.peek() == b'}' {
            return Ok(());
        }
        cursor.require(b',', "`,` or `}`")?;
        if cursor.peek() != b'"' {
            return Err(Bad::Expected("a key"));
        }
    }
}

/// Whether another branch may still hold the value.
fn is_misfit(failure: &Failure) -> bool {
    [&codes::TYPE, &codes::NUMBER, &codes::DECIMAL, &codes::BASE64, &codes::FORMAT]
        .contains(&failure.code)
}
