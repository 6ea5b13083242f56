//! Text of a schema → a tree, in the order of the text. For schemas, never for records.

use std::collections::HashMap;

use super::failure::Failure;
use super::schema::READ_MAX;
use super::token::{Bad, Cursor};
use crate::decode::codes as shared;
use crate::error::{Code, Reject};

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
    pub(super) fn parse(text: &str) -> Result<Tree, Box<Reject>> {
        let mut cursor = Cursor::new(text);
        let tree = value(&mut cursor, LEVELS_MAX);
        let tree = tree.map_err(|bad| Failure::bad(bad, &cursor));
        let done = cursor.is_done();
        tree.and_then(|tree| if done { Ok(tree) } else { Err(Failure::trailing(&cursor)) })
            .map_err(|failure| failure.reject())
    }

    pub(super) fn object(&self) -> Option<&Object> {
        match self {
            Tree::Object(object) => Some(object),
            _ => None,
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
pub(super) fn too_wide_or(why: &Reject, code: &'static Code) -> &'static Code {
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

fn text(cursor: &mut Cursor<'_>) -> Result<String, Bad> {
    let mut scratch = Vec::new();
    let bytes = cursor.string(&mut scratch)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}
