//! Text of an expression → tree, errors with the byte they stand at. The grammar is in the module's
//! documentation.

use super::codes::{FUNCTION, LATER, SYNTAX};
use crate::error::{Code, Fault};

/// Longest expression, in bytes.
pub const TEXT_MAX: usize = 4_096;
/// Deepest nesting of calls.
const DEPTH_MAX: usize = 8;

/// What Kafka or the registry says of a record, beside its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    Topic,
    Partition,
    Offset,
    Timestamp,
    SchemaId,
    RecordName,
}

/// Every [`Meta`] by name.
pub const METAS: [(&str, Meta); 6] = [
    ("_topic", Meta::Topic),
    ("_partition", Meta::Partition),
    ("_offset", Meta::Offset),
    ("_timestamp", Meta::Timestamp),
    ("_schema_id", Meta::SchemaId),
    ("_record_name", Meta::RecordName),
];

/// One step of a field path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Field(String),
    /// The value of this key in a map.
    Entry(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Path(Vec<Step>),
    Meta(Meta),
    Text(String),
    Integer(u64),
    /// Seconds.
    Duration(u64),
    Call {
        name: String,
        args: Vec<Placed>,
        options: Vec<(String, Placed)>,
    },
}

/// A node and the byte it starts at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub at: usize,
    pub node: Node,
}

/// Parses a whole expression; `key`: rows have the column `_key`. Errors: [`SYNTAX`], [`LATER`], and [`FUNCTION`] for a path that is called.
pub fn parse(text: &str, key: bool) -> Result<Placed, Fault> {
    if text.len() > TEXT_MAX {
        return Err(Fault::new(
            &SYNTAX,
            format!("expression of {} bytes: at most {TEXT_MAX} required", text.len()),
        ));
    }
    let mut parser = Parser { text, at: 0, key };
    let node = parser.expression(0)?;
    parser.space();
    match parser.peek() {
        None => Ok(node),
        Some(found) => Err(parser.fault(parser.at, format!("found `{found}`, the end required"))),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    key: bool,
}

impl Parser<'_> {
    fn fault(&self, at: usize, what: String) -> Fault {
        self.fault_of(&SYNTAX, at, what)
    }

    fn fault_of(&self, code: &'static Code, at: usize, what: String) -> Fault {
        let quoted = super::text::quoted(self.text);
        Fault::new(code, format!("expression `{quoted}` at byte {at}: {what}"))
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn space(&mut self) {
        while let Some(c) = self.peek().filter(|c| c.is_whitespace()) {
            self.at += c.len_utf8();
        }
    }

    /// Takes `c`, after space, if it comes next.
    fn take(&mut self, c: char) -> bool {
        self.space();
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn require(&mut self, c: char, what: &str) -> Result<(), Fault> {
        if self.take(c) {
            return Ok(());
        }
        Err(match self.peek() {
            Some(found) => self.fault(self.at, format!("found `{found}`, {what} required")),
            None => self.fault(self.at, format!("the text ends, {what} required")),
        })
    }

    fn while_matching(&mut self, matches: impl Fn(char) -> bool) -> &str {
        let start = self.at;
        while let Some(c) = self.peek().filter(|c| matches(*c)) {
            self.at += c.len_utf8();
        }
        &self.text[start..self.at]
    }

    fn expression(&mut self, depth: usize) -> Result<Placed, Fault> {
        self.space();
        let at = self.at;
        if depth > DEPTH_MAX {
            let what = format!("calls nested deeper than {DEPTH_MAX}, at most that required");
            return Err(self.fault(at, what));
        }
        let node = match self.peek() {
            Some('\'') => Node::Text(self.quoted('\'')?),
            Some(c) if c.is_ascii_digit() => self.number()?,
            Some('"') => self.path(true)?,
            Some(c) if c.is_alphabetic() || c == '_' => self.named(depth)?,
            Some(c) => {
                let what = format!("found `{c}`, a field, a function or a 'text' required");
                return Err(self.fault(at, what));
            }
            None => {
                return Err(
                    self.fault(at, "the text ends, a field or a function required".to_owned())
                );
            }
        };
        Ok(Placed { at, node })
    }

    /// A path or a call: both start with a plain name.
    fn named(&mut self, depth: usize) -> Result<Node, Fault> {
        let start = self.at;
        let name = self.word().to_owned();
        self.space();
        if self.peek() == Some('(') {
            self.at += 1;
            return self.call(name, depth);
        }
        self.at = start;
        let node = self.path(false)?;
        if self.take('(') {
            let what = "a path is called, a function name without dots required".to_owned();
            return Err(self.fault_of(&FUNCTION, start, what));
        }
        Ok(node)
    }

    fn word(&mut self) -> &str {
        self.while_matching(|c| c.is_alphanumeric() || c == '_')
    }

    fn call(&mut self, name: String, depth: usize) -> Result<Node, Fault> {
        let mut args = Vec::new();
        let mut options: Vec<(String, Placed)> = Vec::new();
        if self.take(')') {
            return Ok(Node::Call { name, args, options });
        }
        loop {
            let option = self.option_name();
            let value = self.expression(depth + 1)?;
            match option {
                Some(option) => options.push((option, value)),
                None if options.is_empty() => args.push(value),
                None => {
                    let what = "an argument after an option, options last required".to_owned();
                    return Err(self.fault(value.at, what));
                }
            }
            if self.take(',') {
                continue;
            }
            self.require(')', "`,` or `)`")?;
            return Ok(Node::Call { name, args, options });
        }
    }

    /// `name =`, if that comes next.
    fn option_name(&mut self) -> Option<String> {
        self.space();
        let start = self.at;
        let name = self.word().to_owned();
        if !name.is_empty() && self.take('=') {
            return Some(name);
        }
        self.at = start;
        None
    }

    fn path(&mut self, quoted: bool) -> Result<Node, Fault> {
        let start = self.at;
        let mut steps = vec![Step::Field(self.field()?)];
        loop {
            if self.take('.') {
                self.space();
                steps.push(Step::Field(self.field()?));
            } else if self.take('[') {
                self.space();
                if self.peek() != Some('\'') {
                    let what = "a map key in single quotes required".to_owned();
                    return Err(self.fault(self.at, what));
                }
                steps.push(Step::Entry(self.quoted('\'')?));
                self.require(']', "`]`")?;
            } else {
                break;
            }
        }
        if quoted { Ok(Node::Path(steps)) } else { self.reserved(start, steps) }
    }

    /// Names that are not fields unless quoted.
    fn reserved(&self, start: usize, steps: Vec<Step>) -> Result<Node, Fault> {
        let Some(Step::Field(head)) = steps.first() else { return Ok(Node::Path(steps)) };
        if head == "_key" && !self.key {
            let what = "`_key` is the record's key, which makes no column; another `key.format` than `ignore` required, or a field of that name in double quotes";
            return Err(self.fault_of(&LATER, start, what.to_owned()));
        }
        if head == "headers" && steps.len() > 1 {
            let what = format!(
                "`{head}` is the record's, which this version does not partition by; a field of that name required, in double quotes"
            );
            return Err(self.fault_of(&LATER, start, what));
        }
        match METAS.iter().find(|(name, _)| name == head) {
            Some((_, meta)) if steps.len() == 1 => Ok(Node::Meta(*meta)),
            Some((name, _)) => {
                let what = format!("`{name}` has no fields inside, the name alone required");
                Err(self.fault(start, what))
            }
            None => Ok(Node::Path(steps)),
        }
    }

    fn field(&mut self) -> Result<String, Fault> {
        if self.peek() == Some('"') {
            return self.quoted('"');
        }
        let at = self.at;
        let starts = self.peek().is_some_and(|c| c.is_alphabetic() || c == '_');
        if starts {
            return Ok(self.word().to_owned());
        }
        Err(match self.peek() {
            Some(c) => self.fault(
                at,
                format!("found `{c}`, a field name required; names with odd characters stand in double quotes"),
            ),
            None => self.fault(at, "the text ends, a field name required".to_owned()),
        })
    }

    /// A text between `quote`s; a doubled quote is one.
    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            text.push_str(self.while_matching(|c| c != quote));
            if self.peek().is_none() {
                let what = format!("a {quote} that nothing closes, another {quote} required");
                return Err(self.fault(start, what));
            }
            self.at += 1;
            if self.peek() != Some(quote) {
                break;
            }
            text.push(quote);
            self.at += 1;
        }
        if text.is_empty() && quote == '"' {
            return Err(self.fault(start, "an empty name, at least one letter required".to_owned()));
        }
        Ok(text)
    }

    /// `16`, or a duration: `15m`.
    fn number(&mut self) -> Result<Node, Fault> {
        let start = self.at;
        let digits = self.while_matching(|c| c.is_ascii_digit()).to_owned();
        let unit = self.word().to_owned();
        let seconds = match unit.as_str() {
            "" => None,
            "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3_600),
            "d" => Some(86_400),
            _ => {
                let what = format!("unit `{unit}` of a duration, one of s m h d required");
                return Err(self.fault(start + digits.len(), what));
            }
        };
        let value = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(seconds.unwrap_or(1)));
        match (value, seconds) {
            (Some(value), None) => Ok(Node::Integer(value)),
            (Some(value), Some(_)) => Ok(Node::Duration(value)),
            (None, _) => {
                Err(self.fault(start, format!("number `{digits}`, one below 2^64 required")))
            }
        }
    }
}
