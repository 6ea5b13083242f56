//! JSON as serde_json cuts it up, nothing lost: numbers as text, equal keys one after another.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub struct Tree<'a> {
    /// The value's text, without the white space around it.
    pub raw: &'a str,
    pub of: Of<'a>,
}

pub enum Of<'a> {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Tree<'a>>),
    Object(Vec<(String, Tree<'a>)>),
}

impl<'a> Tree<'a> {
    /// `None`: not JSON, or a string in it that no UTF-8 can hold.
    pub fn parse(text: &'a str) -> Option<Self> {
        // Its own reader follows no more levels than that; one of raw values follows any.
        let raw = serde_json::from_str::<&RawValue>(text).ok()?.get();
        Some(Self { raw, of: Of::read(raw)? })
    }
}

impl<'a> Of<'a> {
    fn read(raw: &'a str) -> Option<Self> {
        Some(match raw.as_bytes()[0] {
            b'n' => Self::Null,
            b't' | b'f' => Self::Bool(raw == "true"),
            b'"' => Self::Text(serde_json::from_str(raw).ok()?),
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
                Self::List(
                    items.into_iter().map(|item| Tree::parse(item.get())).collect::<Option<_>>()?,
                )
            }
            b'{' => {
                let Members(members) = serde_json::from_str(raw).ok()?;
                let read =
                    |(key, value): (String, &'a RawValue)| Some((key, Tree::parse(value.get())?));
                Self::Object(members.into_iter().map(read).collect::<Option<_>>()?)
            }
            _ => Self::Number,
        })
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut a: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = a.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Each)
    }
}

/// How deep the objects and lists of a JSON text stand in one another.
pub fn levels(text: &str) -> usize {
    let (mut level, mut most, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                level += 1;
                most = most.max(level);
            }
            b']' | b'}' if !quoted => level -= 1,
            _ => {}
        }
    }
    most
}
