//! Text of a schema → a tree, in the order of the text. For schemas, never for records.

use std::collections::HashMap;

use super::failure::Failure;
use super::schema::READ_MAX;
use super::token::{Bad, Cursor};
use crate::decode::codes as shared;
use crate::error::Code;

/// Deepest nesting of a schema's text. A level of columns takes two or three of these.
pub(super) const LEVELS_MAX: u32 = 400;
/// Objects larger than this have an index of their keys.
const SMALL: usize = 16;
/// Most objects in one list: as many schemas as are read of one text. It is refused before the rest of it takes
/// memory.
pub(super) const OBJECTS_MAX: usize = READ_MAX;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    /// As written.
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Object(Object),
}

/// Members in the order of the text; of equal keys the last counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Object {
    members: Vec<(String, Tree)>,
    /// Of those with many members.
    index: Option<Box<Index>>,
}

/// Where each key stands last. Boxed: few objects have one, and all would have room for it.
#[derive(Debug, Clone, PartialEq)]
struct Index(HashMap<String, usize>);

impl Object {
    pub(super) fn get(&self, key: &str) -> Option<&Tree> {
        if let Some(index) = &self.index {
            return index.0.get(key).map(|at| &self.members[*at].1);
        }
        self.members.iter().rev().find(|(k, _)| k == key).map(|(_, tree)| tree)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Tree::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Members, each key once.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Tree)> {
        let last = |at: usize, key: &str| match &self.index {
            Some(index) => index.0.get(key) == Some(&at),
            None => self.members[at + 1..].iter().all(|(later, _)| later != key),
        };
        let members = self.members.iter().enumerate();
        members.filter(move |(at, (key, _))| last(*at, key)).map(|(_, (key, t))| (key.as_str(), t))
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }
}

impl Tree {
    /// Error: where the text is no JSON, or too much of it, and why.
    pub(super) fn parse(text: &str) -> Result<Tree, Box<Failure>> {
        let mut cursor = Cursor::new(text);
        let tree = value(&mut cursor, LEVELS_MAX);
        let tree = tree.map_err(|bad| Failure::bad(bad, &cursor));
        let done = cursor.is_done();
        tree.and_then(|tree| if done { Ok(tree) } else { Err(Failure::trailing(&cursor)) })
    }

    /// Line and column, from 1, of a value inside this one, which `text` was read to. None: it is not inside.
    #[cold]
    pub(super) fn line_and_column(&self, text: &str, inside: &Tree) -> Option<(usize, usize)> {
        let mut steps = Vec::new();
        if !self.leads_to(inside, &mut steps) {
            return None;
        }
        let mut cursor = Cursor::new(text);
        steps.into_iter().rev().try_for_each(|step| enter(&mut cursor, step)).ok()?;
        cursor.peek();
        Some(line_and_column(text, cursor.at()))
    }

    /// The way to a value inside, by its place in each list and object: the last step first.
    fn leads_to(&self, inside: &Tree, steps: &mut Vec<usize>) -> bool {
        if std::ptr::eq(self, inside) {
            return true;
        }
        let at = match self {
            Tree::List(items) => items.iter().position(|item| item.leads_to(inside, steps)),
            Tree::Object(object) => {
                object.members.iter().position(|(_, value)| value.leads_to(inside, steps))
            }
            _ => None,
        };
        steps.extend(at);
        at.is_some()
    }

    pub(super) fn object(&self) -> Option<&Object> {
        match self {
            Tree::Object(object) => Some(object),
            _ => None,
        }
    }

    /// Bytes of all texts in it, and one for each value.
    pub(super) fn text_bytes(&self) -> usize {
        1 + match self {
            Tree::Null | Tree::Bool(_) => 0,
            Tree::Number(text) | Tree::Text(text) => text.len(),
            Tree::List(items) => items.iter().map(Tree::text_bytes).sum(),
            Tree::Object(object) => {
                object.members.iter().map(|(key, value)| key.len() + value.text_bytes()).sum()
            }
        }
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Tree::Null => "null",
            Tree::Bool(_) => "a boolean",
            Tree::Number(_) => "a number",
            Tree::Text(_) => "a string",
            Tree::List(_) => "an array",
            Tree::Object(_) => "an object",
        }
    }
}

/// The code of a schema whose text could not be read: that of its size, or the one given.
pub(super) fn too_wide_or(why: &Failure, code: &'static Code) -> &'static Code {
    if why.code == &shared::TOO_WIDE { &shared::TOO_WIDE } else { code }
}

fn value(cursor: &mut Cursor<'_>, levels: u32) -> Result<Tree, Bad> {
    match cursor.peek() {
        b'{' => {
            let levels = levels.checked_sub(1).ok_or(Bad::Depth)?;
            cursor.step();
            let mut object = Object::default();
            if cursor.peek() == b'}' {
                cursor.step();
                return Ok(Tree::Object(object));
            }
            loop {
                let key = text(cursor)?;
                cursor.require(b':', "`:`")?;
                let value = value(cursor, levels)?;
                object.members.push((key, value));
                if cursor.peek() == b'}' {
                    cursor.step();
                    break;
                }
                cursor.require(b',', "`,` or `}`")?;
                cursor.peek();
            }
            // A vector takes room for four at once, and schemas are many small objects.
            object.members.shrink_to_fit();
            if object.members.len() > SMALL {
                let keys = object.members.iter().enumerate();
                let index = keys.map(|(at, (key, _))| (key.clone(), at)).collect();
                object.index = Some(Box::new(Index(index)));
            }
            Ok(Tree::Object(object))
        }
        b'[' => {
            let levels = levels.checked_sub(1).ok_or(Bad::Depth)?;
            cursor.step();
            let mut list = Vec::new();
            let mut objects = 0;
            if cursor.peek() == b']' {
                cursor.step();
                return Ok(Tree::List(list));
            }
            loop {
                let item = value(cursor, levels)?;
                objects += usize::from(matches!(item, Tree::Object(_)));
                if objects > OBJECTS_MAX {
                    return Err(Bad::Many);
                }
                list.push(item);
                if cursor.peek() == b']' {
                    cursor.step();
                    return Ok(Tree::List(list));
                }
                cursor.require(b',', "`,` or `]`")?;
            }
        }
        b'"' => Ok(Tree::Text(text(cursor)?)),
        b't' | b'f' => cursor.boolean().map(Tree::Bool),
        b'n' => cursor.null().map(|()| Tree::Null),
        _ => Ok(Tree::Number(cursor.number()?.text.to_owned())),
    }
}

/// Moves to the value at place `step` of the list or object that stands here.
fn enter(cursor: &mut Cursor<'_>, step: usize) -> Result<(), Bad> {
    let keyed = cursor.peek() == b'{';
    cursor.step();
    for before in (0..=step).rev() {
        if keyed {
            cursor.peek();
            cursor.skip_string()?;
            cursor.require(b':', "`:`")?;
        }
        if before > 0 {
            cursor.skip(LEVELS_MAX)?;
            cursor.require(b',', "`,`")?;
        }
    }
    Ok(())
}

/// Line and column, from 1, of byte `at`; columns count characters.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

fn text(cursor: &mut Cursor<'_>) -> Result<String, Bad> {
    let mut scratch = Vec::new();
    let bytes = cursor.string(&mut scratch)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}
