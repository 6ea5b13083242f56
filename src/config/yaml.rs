//! YAML text → a tree that knows its lines.
//!
//! Owns: the only use of the YAML library, which is young and pinned: its event parser, because a
//! configuration wants every scalar as it was written (`0007`, `1e3`, `no`), with its line.
//! Does not own: what a key means.
//! Bounded by: [`FILE_MAX`] bytes, [`DEPTH_MAX`] levels, [`NODES_MAX`] nodes.
//! Absent: aliases, merge keys and tags; they are refused, so no file can be larger than it looks.

use std::collections::HashSet;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, options};

use super::{DUPLICATE, SYNTAX, TOO_LARGE};
use crate::error::Fault;

/// Largest configuration file, in bytes.
pub(super) const FILE_MAX: usize = 1 << 20;
/// Deepest nesting; the deepest option there is stands at four.
pub(super) const DEPTH_MAX: usize = 24;
/// Most scalars, lists and maps together.
pub(super) const NODES_MAX: usize = 100_000;

/// A value with the line it starts on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing after the key, `null` or `~`: as if the key were not there.
    Null,
    /// As written, escapes of quotes undone.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file, each key once.
    Map(Vec<(String, Node)>),
}

impl Kind {
    /// What a message calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Kind::Null => "nothing",
            Kind::Scalar(_) => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map of keys",
        }
    }
}

impl Node {
    /// The value of a key, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(entries) => {
                entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
            }
            _ => None,
        }
    }
}

/// Reads one document. What is wrong with the text itself is in `findings`; keys that came twice are
/// too, and reading goes on with their first value.
pub(super) fn read(text: &str, file: &str, findings: &mut Vec<Fault>) -> Option<Node> {
    if text.len() > FILE_MAX {
        let found = format!("configuration of {} bytes: at most {FILE_MAX} required", text.len());
        findings.push(Fault::new(&TOO_LARGE, found).at(file));
        return None;
    }
    let mut tree = Tree { file, findings, open: Vec::new(), root: None, nodes: 0, documents: 0 };
    let limits = options! { block_nesting_limit: 64, flow_nesting_limit: 64 };
    for event in Parser::new_from_str_with_options(text.trim_start_matches('\u{feff}'), limits) {
        let done = match event {
            Ok((event, span)) => tree.take(event, span.start.line()),
            Err(error) => tree.refuse(error.marker().line(), &format!("text: {}", error.info())),
        };
        done?;
    }
    tree.root.or(Some(Node { line: 1, kind: Kind::Map(Vec::new()) }))
}

/// A list or map whose end has not come.
struct Open {
    node: Node,
    /// Of a map: the key whose value comes next, and whether it came before.
    key: Option<(String, bool)>,
    /// Of a map: the keys that came.
    seen: HashSet<String>,
}

struct Tree<'a> {
    file: &'a str,
    findings: &'a mut Vec<Fault>,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
}

impl Tree<'_> {
    /// Takes one event; `None` when reading cannot go on.
    fn take(&mut self, event: Event<'_>, line: usize) -> Option<()> {
        match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, _, Some(_))
            | Event::MappingStart(_, _, Some(_)) => {
                self.refuse(line, "tag: `!` found, a plain value required")
            }
            Event::Scalar(text, style, ..) => self.scalar(&text, style, line),
            Event::SequenceStart(..) => self.start(Node { line, kind: Kind::List(Vec::new()) }),
            Event::MappingStart(..) => self.start(Node { line, kind: Kind::Map(Vec::new()) }),
            Event::SequenceEnd | Event::MappingEnd => {
                let done = self.open.pop()?;
                self.put(done.node)
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.refuse(line, "alias: `*` found, the value itself required; write it out")
            }
            Event::DocumentStart(..) => {
                self.documents += 1;
                match self.documents {
                    1 => Some(()),
                    _ => {
                        self.refuse(line, "document: a second one found after `---`, one required")
                    }
                }
            }
            _ => Some(()),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, line: usize) -> Option<()> {
        if let Some(Open { node: Node { kind: Kind::Map(_), .. }, key: key @ None, seen }) =
            self.open.last_mut()
        {
            let again = !seen.insert(text.to_owned());
            *key = Some((text.to_owned(), again));
            if again {
                let shown = super::values::printable(text);
                let message =
                    format!("key `{shown}`: found a second time, once required; remove one");
                self.findings
                    .push(Fault::new(&DUPLICATE, message).at(format!("{}:{line}", self.file)));
            }
            return if text == "<<" {
                self.refuse(
                    line,
                    "merge key: `<<` found, the keys themselves required; write them out",
                )
            } else {
                Some(())
            };
        }
        let null =
            style == ScalarStyle::Plain && matches!(text, "" | "~" | "null" | "Null" | "NULL");
        let kind = if null { Kind::Null } else { Kind::Scalar(text.to_owned()) };
        self.put(Node { line, kind })
    }

    fn start(&mut self, node: Node) -> Option<()> {
        if let Some(Open { node: Node { kind: Kind::Map(_), .. }, key: None, .. }) =
            self.open.last()
        {
            return self
                .refuse(node.line, &format!("key: {} found, a word required", node.kind.name()));
        }
        if self.open.len() >= DEPTH_MAX {
            return self.refuse(
                node.line,
                &format!("nesting: deeper than {DEPTH_MAX} levels found, less required"),
            );
        }
        self.open.push(Open { node, key: None, seen: HashSet::new() });
        Some(())
    }

    /// Puts a finished value where it belongs.
    fn put(&mut self, node: Node) -> Option<()> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return self.refuse(
                node.line,
                &format!("values: more than {NODES_MAX} found, fewer required"),
            );
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { node: Node { kind: Kind::Map(entries), .. }, key, .. }) => {
                if let Some((name, false)) = key.take() {
                    entries.push((name, node));
                }
            }
            Some(Open { node: Node { kind: Kind::List(items), .. }, .. }) => items.push(node),
            Some(_) => {}
        }
        Some(())
    }

    fn refuse(&mut self, line: usize, message: &str) -> Option<()> {
        self.findings.push(Fault::new(&SYNTAX, message).at(format!("{}:{line}", self.file)));
        None
    }
}
