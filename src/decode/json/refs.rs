//! Where the `$ref`s of a JSON Schema lead: inside its own text, and to the references it is registered
//! with, by name, `$id` or anchor. Nothing else: no network, no disk.

use std::collections::HashMap;

use super::codes;
use super::tree::{Object, Tree, line_and_column, too_wide_or};
use crate::error::Fault;
use crate::registry::JsonSchema;

/// Bytes of all names that `$id`s give to schemas inside; those beyond cannot be referred to.
const NAMED_BYTES_MAX: usize = 16 << 20;

/// A text with its tree.
#[derive(Debug)]
pub(super) struct Document<'t> {
    /// Name of the reference; none for the schema itself.
    name: &'t str,
    text: &'t str,
    tree: Tree,
    /// `$id` of the whole, or the name it is registered under.
    id: String,
    /// `$ref` leaves its neighbours standing (2019-09 and later).
    modern: bool,
}

/// A schema inside a document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'d> {
    pub(super) document: usize,
    /// The schema that `#` means here.
    pub(super) base: &'d Tree,
    pub(super) tree: &'d Tree,
}

impl<'d> Place<'d> {
    /// A schema directly inside this one.
    pub(super) fn inner(self, tree: &'d Tree) -> Self {
        let own = tree.object().and_then(|o| o.text("$id")).is_some_and(|id| !id.starts_with('#'));
        Place { base: if own { tree } else { self.base }, tree, ..self }
    }
}

/// The texts of one schema: itself first, then its references.
pub(super) fn documents(schema: &JsonSchema) -> Result<Vec<Document<'_>>, Fault> {
    let own = std::iter::once(("", schema.text.as_str()));
    let others = schema.references.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    own.chain(others)
        .map(|(name, text)| {
            let tree = Tree::parse(text).map_err(|why| {
                let place = place(name, Some(line_and_column(text, why.at)));
                let message = format!("json schema: {place}: {}", why.found);
                Fault::new(too_wide_or(&why, &codes::SCHEMA), message)
            })?;
            let word = |key| tree.object().and_then(|o| o.text(key)).unwrap_or_default();
            let id = [word("$id"), word("id"), name].into_iter().find(|id| !id.is_empty());
            let dialect = word("$schema");
            let old = ["draft-03", "draft-04", "draft-05", "draft-06", "draft-07"];
            // Without a dialect, registries take draft 7.
            let modern = !dialect.is_empty() && !old.iter().any(|draft| dialect.contains(draft));
            let id = id.unwrap_or_default().trim_end_matches('#').to_owned();
            Ok(Document { name, text, id, modern, tree })
        })
        .collect()
}

/// ``line 3 column 7``, ``reference `a.json` line 3 column 7``
fn place(name: &str, line_and_column: Option<(usize, usize)>) -> String {
    let reference = if name.is_empty() { String::new() } else { format!("reference `{name}` ") };
    let (line, column) = line_and_column.unwrap_or((1, 1));
    format!("{reference}line {line} column {column}")
}

/// What can be referred to.
#[derive(Debug)]
pub(super) struct References<'d> {
    documents: &'d [Document<'d>],
    /// By name and by `$id`, as written and in full.
    named: HashMap<String, (usize, &'d Tree)>,
    /// By document and anchor.
    anchors: HashMap<(usize, &'d str), &'d Tree>,
    /// Bytes of names that were made for this.
    named_bytes: usize,
}

impl<'d> References<'d> {
    /// `names`: those the references are registered under, in the order of `documents` after the first.
    pub(super) fn new(documents: &'d [Document<'d>], schema: &JsonSchema) -> Self {
        let (named, anchors) = (HashMap::new(), HashMap::new());
        let mut references = Self { documents, named, anchors, named_bytes: 0 };
        for (at, document) in documents.iter().enumerate() {
            references.collect(at, &document.tree);
            if !document.id.is_empty() {
                references.named.entry(document.id.clone()).or_insert((at, &document.tree));
            }
        }
        // A registered name is what the registry promises; it wins over any `$id`.
        for (at, (name, _)) in schema.references.iter().enumerate() {
            let name = name.trim_end_matches('#').to_owned();
            references.named.insert(name, (at + 1, &documents[at + 1].tree));
        }
        references
    }

    pub(super) fn root(&self) -> Place<'d> {
        let tree = &self.documents[0].tree;
        Place { document: 0, base: tree, tree }
    }

    pub(super) fn is_modern(&self, place: Place<'_>) -> bool {
        self.documents[place.document].modern
    }

    /// Where `tree` stands, for messages: ``json schema: line 3 column 7``.
    #[cold]
    pub(super) fn at(&self, document: usize, tree: &Tree) -> String {
        let Document { name, text, tree: whole, .. } = &self.documents[document];
        format!("json schema: {}", place(name, whole.line_and_column(text, tree)))
    }

    fn collect(&mut self, at: usize, tree: &'d Tree) {
        match tree {
            Tree::List(items) => items.iter().for_each(|item| self.collect(at, item)),
            Tree::Object(object) => {
                for key in ["$id", "id"] {
                    let Some(id) = object.text(key) else { continue };
                    match id.strip_prefix('#') {
                        Some(anchor) if !anchor.is_empty() => {
                            self.anchors.entry((at, anchor)).or_insert(tree);
                        }
                        _ => {
                            let id = id.trim_end_matches('#');
                            // Each may be as long as the document's own, which many share.
                            self.named_bytes += self.documents[at].id.len() + 2 * id.len();
                            if self.named_bytes > NAMED_BYTES_MAX {
                                continue;
                            }
                            let full = join(&self.documents[at].id, id);
                            for id in [id.to_owned(), full] {
                                self.named.entry(id).or_insert((at, tree));
                            }
                        }
                    }
                }
                for key in ["$anchor", "$dynamicAnchor"] {
                    if let Some(anchor) = object.text(key) {
                        self.anchors.entry((at, anchor)).or_insert(tree);
                    }
                }
                object.iter().for_each(|(_, member)| self.collect(at, member));
            }
            _ => {}
        }
    }

    /// Follows `reference` from `place`; `said` is its text in the tree. Error: [`codes::REFERENCE`].
    pub(super) fn follow(
        &self,
        place: Place<'d>,
        reference: &str,
        said: &Tree,
    ) -> Result<Place<'d>, Fault> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let missing = |why: &str| {
            let at = self.at(place.document, said);
            Fault::new(&codes::REFERENCE, format!("{at}: `$ref` to `{reference}`: {why}"))
        };
        let (document, base) = if uri.is_empty() {
            (place.document, place.base)
        } else {
            let full = join(&self.documents[place.document].id, uri);
            let found = self.named.get(uri).or_else(|| self.named.get(&full));
            *found.ok_or_else(|| missing("no reference of that name or `$id`, one required; register the schema with it (nothing is fetched)"))?
        };
        let found = if fragment.is_empty() {
            Some(base)
        } else if let Some(pointer) = fragment.strip_prefix('/') {
            // Old schemas point from the top of their text, whatever `$id` stands between.
            pointed(base, pointer).or_else(|| pointed(&self.documents[document].tree, pointer))
        } else {
            self.anchors.get(&(document, fragment)).copied()
        };
        let tree = found.ok_or_else(|| missing("nothing stands there, a schema required"))?;
        Ok(Place { document, base, tree })
    }
}

/// What a JSON pointer (RFC 6901, in a URI's fragment) points to; its first `/` is gone.
fn pointed<'d>(tree: &'d Tree, pointer: &str) -> Option<&'d Tree> {
    pointer.split('/').try_fold(tree, |tree, segment| {
        let segment = percent_decoded(segment).replace("~1", "/").replace("~0", "~");
        match tree {
            Tree::Object(object) => object.get(&segment),
            Tree::List(items) => items.get(segment.parse::<usize>().ok()?),
            _ => None,
        }
    })
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|d| char::from(*d).to_digit(16));
        match (first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high << 4 | low) as u8);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A URI reference in full: relative ones take the place of the last segment of `base`, or of its path.
fn join(base: &str, uri: &str) -> String {
    let has_scheme = uri.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if has_scheme || base.is_empty() {
        return uri.to_owned();
    }
    let path_at = base.find("://").map_or(0, |at| {
        let host = at + 3;
        base[host..].find('/').map_or(base.len(), |slash| host + slash)
    });
    if uri.starts_with('/') {
        return format!("{}{uri}", &base[..path_at]);
    }
    let (host, path) = base.split_at(path_at);
    let folder = path.rfind('/').map_or("", |at| &path[..at]);
    let mut segments: Vec<&str> = folder.split('/').filter(|s| !s.is_empty()).collect();
    for segment in uri.split('/') {
        match segment {
            "." | "" => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    let slash = if host.is_empty() && !path.starts_with('/') { "" } else { "/" };
    format!("{host}{slash}{}", segments.join("/"))
}

/// Keywords that say what a value looks like, beside a `$ref`.
pub(super) fn says_something(object: &Object) -> bool {
    [
        "type",
        "properties",
        "additionalProperties",
        "patternProperties",
        "required",
        "items",
        "prefixItems",
        "allOf",
        "anyOf",
        "oneOf",
        "enum",
        "const",
    ]
    .iter()
    .any(|key| object.has(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_join_as_rfc_3986_says() {
        for (base, uri, full) in [
            ("http://a/b/c/d.json", "g.json", "http://a/b/c/g.json"),
            ("http://a/b/c/d.json", "./g", "http://a/b/c/g"),
            ("http://a/b/c/d.json", "../g", "http://a/b/g"),
            ("http://a/b/c/d.json", "/g", "http://a/g"),
            ("http://a/b/c/d.json", "g:h", "g:h"),
            ("http://a", "g", "http://a/g"),
            ("orders/v1.json", "address.json", "orders/address.json"),
            ("v1.json", "address.json", "address.json"),
            ("", "address.json", "address.json"),
        ] {
            assert_eq!(join(base, uri), full);
        }
    }
}
