//! The hot loop: rows → ids of texts → nodes of a tree → keys.
//!
//! Each item turns a batch into ids. A tree joins them: a node is a topic, or a parent node and an id, so
//! that a row costs one look-up per item, and a key is made once, when its leaf is first met. All of it is
//! kept from batch to batch, and thrown away whole when it has grown past its bounds.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use foldhash::fast::RandomState;

use super::bind::{Input, Reader, Segment};
use super::codes::{LENGTH, MISFIT};
use super::column::Cells;
use super::expr::Meta;
use super::hive::{self, COMPONENT_MAX};
use super::memo::Memo;
use super::texts::{NULL, Outcome, REJECT, Texts};
use super::{Context, Key, Keys};
use crate::config::Escape;
use crate::error::Reject;

/// Most values, nodes and keys kept between batches.
const ENTRIES_MAX: usize = 1 << 16;
/// Most bytes of text kept between batches, about.
const BYTES_MAX: usize = 8 << 20;
/// Longest object key, in bytes (S3).
const KEY_MAX: usize = 1_024;
/// What a file name has beside the topic: separators, Kafka partition, offset, epoch, hash, extensions.
const FILE_NAME_BYTES: usize = 80;

/// No entry, no parent.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Node {
    parent: u32,
    id: u32,
    /// Index into entries, once a row ended here.
    entry: u32,
    /// The batch in which a row last ended here, and the number of its key there.
    batch: u64,
    index: u32,
}

impl Node {
    fn new(parent: u32, id: u32) -> Self {
        Self { parent, id, entry: NONE, batch: 0, index: 0 }
    }
}

#[derive(Debug)]
struct Entry {
    outcome: Result<Arc<Key>, Box<Reject>>,
    /// The batch that last used it, and its index there.
    batch: u64,
    index: u32,
}

#[derive(Debug)]
pub struct Tree {
    escape: Escape,
    reserved_bytes: usize,
    topics: Vec<(Arc<str>, u32)>,
    nodes: Vec<Node>,
    /// By parent and id.
    children: HashMap<u64, u32, RandomState>,
    /// Children met lately.
    memo: Memo<u64>,
    entries: Vec<Entry>,
    /// Only with `escape: connect`, where different values may make one path.
    by_path: HashMap<String, u32, RandomState>,
    batch: u64,
    bytes: usize,
}

impl Tree {
    pub fn new(escape: Escape, reserved_bytes: usize) -> Self {
        Self {
            escape,
            reserved_bytes,
            topics: Vec::new(),
            nodes: Vec::new(),
            children: HashMap::default(),
            memo: Memo::default(),
            entries: Vec::new(),
            by_path: HashMap::default(),
            batch: 0,
            bytes: 0,
        }
    }

    fn clear(&mut self) {
        self.topics.clear();
        self.nodes.clear();
        self.children.clear();
        self.memo.clear();
        self.entries.clear();
        self.by_path.clear();
        self.bytes = 0;
    }

    fn root(&mut self, topic: &Arc<str>) -> u32 {
        let known =
            self.topics.iter().find(|(known, _)| Arc::ptr_eq(known, topic) || known == topic);
        if let Some((_, node)) = known {
            return *node;
        }
        let node = self.nodes.len() as u32;
        self.nodes.push(Node::new(NONE, self.topics.len() as u32));
        self.topics.push((topic.clone(), node));
        node
    }

    /// Moves every row from its node to the child for its id.
    fn descend(&mut self, nodes: &mut [u32], ids: &[u32]) {
        for (node, &id) in nodes.iter_mut().zip(ids) {
            *node = if id == REJECT { REJECT } else { self.child(*node, id) };
        }
    }

    #[inline]
    fn child(&mut self, parent: u32, id: u32) -> u32 {
        let pair = u64::from(parent) << 32 | u64::from(id);
        match self.memo.get(pair) {
            Some(child) => child,
            None => self.find_child(parent, id, pair),
        }
    }

    fn find_child(&mut self, parent: u32, id: u32, pair: u64) -> u32 {
        let next = self.nodes.len() as u32;
        let child = *self.children.entry(pair).or_insert(next);
        if child == next {
            self.nodes.push(Node::new(parent, id));
        }
        self.memo.put(pair, child);
        child
    }

    /// Number of the key of `leaf` in this batch; `Err` if it has none.
    #[inline]
    fn number(
        &mut self,
        leaf: u32,
        segments: &[Segment],
        keys: &mut Vec<Arc<Key>>,
    ) -> Result<u32, Box<Reject>> {
        match self.nodes.get(leaf as usize) {
            Some(node) if node.batch == self.batch => Ok(node.index),
            _ => self.number_first(leaf, segments, keys),
        }
    }

    /// The first row of a batch that ends at `leaf`: its key is made if it never was.
    fn number_first(
        &mut self,
        leaf: u32,
        segments: &[Segment],
        keys: &mut Vec<Arc<Key>>,
    ) -> Result<u32, Box<Reject>> {
        let entry = match self.nodes.get(leaf as usize) {
            Some(node) if node.entry != NONE => node.entry,
            _ => self.add_entry(leaf, segments),
        };
        let Some(entry) = self.entries.get_mut(entry as usize) else { return Err(misfit("a key")) };
        let key = entry.outcome.as_ref().map_err(Clone::clone)?;
        if entry.batch != self.batch {
            entry.batch = self.batch;
            entry.index = keys.len() as u32;
            keys.push(key.clone());
        }
        if let Some(node) = self.nodes.get_mut(leaf as usize) {
            node.batch = self.batch;
            node.index = entry.index;
        }
        Ok(entry.index)
    }

    #[cold]
    fn add_entry(&mut self, leaf: u32, segments: &[Segment]) -> u32 {
        let outcome = self.key(leaf, segments);
        let mut entry = self.entries.len() as u32;
        if let (Escape::Connect, Ok(key)) = (self.escape, &outcome) {
            entry = *self.by_path.entry(key.path.clone()).or_insert(entry);
        }
        if entry as usize == self.entries.len() {
            self.bytes += size_of::<Entry>() + outcome.as_ref().map_or(256, |k| 2 * k.path.len());
            self.entries.push(Entry { outcome: outcome.map(Arc::new), batch: 0, index: 0 });
        }
        if let Some(node) = self.nodes.get_mut(leaf as usize) {
            node.entry = entry;
        }
        entry
    }

    /// Walks up from a leaf and writes the key down.
    fn key(&self, leaf: u32, segments: &[Segment]) -> Result<Key, Box<Reject>> {
        let mut ids = Vec::with_capacity(segments.len());
        let mut at = leaf;
        let topic = loop {
            let Some(node) = self.nodes.get(at as usize) else { return Err(misfit("a node")) };
            if node.parent == NONE {
                break self.topics.get(node.id as usize);
            }
            ids.push(node.id);
            at = node.parent;
        };
        let Some((topic, _)) = topic else { return Err(misfit("a topic")) };
        let mut path = hive::component(self.escape, topic);
        if path.len() > COMPONENT_MAX {
            return Err(too_long("topic", path.len(), COMPONENT_MAX));
        }
        let mut values = Vec::with_capacity(segments.len());
        for (segment, id) in segments.iter().zip(ids.iter().rev()) {
            match segment.texts.get(*id) {
                Some(Outcome::Segment { segment: text, value }) => {
                    path.push('/');
                    path.push_str(text);
                    let value = value.as_ref().map(|v| v.to_string());
                    values.push((segment.texts.name().to_owned(), value));
                }
                Some(Outcome::Reject(reject)) => return Err(reject.clone()),
                None => return Err(misfit("a value")),
            }
        }
        let whole = self.reserved_bytes + path.len() + 1 + topic.len() + FILE_NAME_BYTES;
        if whole > KEY_MAX {
            return Err(too_long("key with its file name", whole, KEY_MAX));
        }
        Ok(Key { path, values })
    }
}

#[cold]
fn too_long(what: &str, found: usize, max: usize) -> Box<Reject> {
    Reject::new(
        &LENGTH,
        format!(
            "{what} of {found} bytes: at most {max} required; partition by fewer or shorter values"
        ),
    )
}

#[cold]
fn misfit(what: &str) -> Box<Reject> {
    Reject::new(&MISFIT, format!("batch: {what} that the plan does not have, its own required"))
}

/// Memory of [`keys`] that is used again for each batch.
#[derive(Debug, Default)]
pub struct Scratch {
    nodes: Vec<u32>,
    ids: Vec<u32>,
}

/// See [`super::Bound::keys`].
pub fn keys(
    segments: &mut [Segment],
    tree: &mut Tree,
    scratch: &mut Scratch,
    batch: &RecordBatch,
    context: Context<'_>,
) -> Keys {
    let rows = batch.num_rows();
    let mut keys = Keys::default();
    let given = [context.offsets.len(), context.timestamps.len(), context.schema_ids.len()];
    if given.iter().any(|len| *len != rows) {
        let reject = misfit("as many offsets, timestamps and schema ids as rows");
        keys.of_row = vec![Keys::REJECTED; rows];
        keys.rejects = (0..rows as u32).map(|row| (row, reject.clone())).collect();
        return keys;
    }
    trim(segments, tree);
    tree.batch += 1;
    let root = tree.root(&context.topic_partition.topic);
    scratch.nodes.clear();
    scratch.nodes.resize(rows, root);
    for segment in segments.iter_mut() {
        scratch.ids.clear();
        if keys.rejects.is_empty() {
            scratch.ids.resize(rows, NULL);
        } else {
            let open = |node: &u32| if *node == REJECT { REJECT } else { NULL };
            scratch.ids.extend(scratch.nodes.iter().map(open));
        }
        let mut cells = Cells { ids: &mut scratch.ids, rejects: &mut keys.rejects };
        for reader in &mut segment.readers {
            read(&mut cells, reader, &mut segment.texts, batch, context);
        }
        tree.descend(&mut scratch.nodes, &scratch.ids);
    }
    collect(segments, tree, &scratch.nodes, &mut keys);
    keys
}

/// Throws everything kept away once it is past its bounds: ids are worth nothing without each other.
fn trim(segments: &mut [Segment], tree: &mut Tree) {
    let mut entries = tree.nodes.len();
    let mut bytes = tree.bytes;
    for segment in segments.iter() {
        let (count, size) = segment.texts.size();
        entries = entries
            .max(count)
            .max(segment.readers.iter().map(|r| r.resolver.len()).max().unwrap_or(0));
        bytes += size;
    }
    if entries <= ENTRIES_MAX && bytes <= BYTES_MAX {
        return;
    }
    tree.clear();
    for segment in segments {
        segment.texts.clear();
        segment.readers.iter_mut().for_each(|r| r.resolver.clear());
    }
}

/// Gives the open rows what one alternative has for them.
fn read(
    cells: &mut Cells<'_>,
    reader: &mut Reader,
    texts: &mut Texts,
    batch: &RecordBatch,
    context: Context<'_>,
) {
    let Reader { input, resolver } = reader;
    match input {
        Input::Missing => {}
        Input::Column(access) => {
            if cells.column(access, batch, resolver, texts).is_none() {
                cells.fill(Err(misfit("a column")));
            }
        }
        Input::Literal(text) => cells.fill(resolver.text(text, texts)),
        Input::Meta(Meta::Topic) => {
            cells.fill(resolver.text(&context.topic_partition.topic, texts));
        }
        Input::Meta(Meta::RecordName) => cells.fill(resolver.text(context.record_name, texts)),
        Input::Meta(Meta::Partition) => {
            cells.fill(resolver.long(i64::from(context.topic_partition.partition), texts));
        }
        Input::Meta(Meta::Offset) => {
            cells.longs(|row| context.offsets.get(row).copied(), resolver, texts);
        }
        Input::Meta(Meta::Timestamp) => {
            cells.longs(|row| context.timestamps.get(row).copied().flatten(), resolver, texts);
        }
        Input::Meta(Meta::SchemaId) => {
            let id = |row| context.schema_ids.get(row).map(|id| i64::from(*id));
            cells.longs(id, resolver, texts);
        }
    }
}

/// Numbers the keys of this batch in order of first use.
fn collect(segments: &[Segment], tree: &mut Tree, nodes: &[u32], keys: &mut Keys) {
    keys.of_row.reserve(nodes.len());
    let rejected = !keys.rejects.is_empty();
    for (row, &node) in nodes.iter().enumerate() {
        let number = match node {
            REJECT => Keys::REJECTED,
            leaf => match tree.number(leaf, segments, &mut keys.keys) {
                Ok(number) => number,
                Err(reject) => {
                    keys.rejects.push((row as u32, reject));
                    Keys::REJECTED
                }
            },
        };
        keys.of_row.push(number);
    }
    if rejected {
        keys.rejects.sort_by_key(|(row, _)| *row);
    }
}
