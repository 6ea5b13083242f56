//! Writer shape and target shape → how one is read as the other, as a graph.
//!
//! Owns: the resolution rules: names, aliases, defaults, promotions, unions, what can never fit.
//! Bounded by: one node a pair of shapes; [`DEPTH_MAX`] levels.
//!
//! Source: the Avro 1.12 specification, "Schema Resolution". Beyond it, and stricter: logical types of
//! one meaning are converted where that is exact (milliseconds as microseconds), and those of different
//! meanings are refused, where the specification would read one's number as the other's.

use std::collections::HashMap;

use arrow::datatypes::TimeUnit;

use super::default;
use crate::decode::avro::shape::{Declared, Shape, ShapeId, Shapes, base_name, simple};

/// Levels of a target that are looked at; a record nests less deep.
const DEPTH_MAX: usize = 512;
/// Bytes of all defaults that are filled in: fields may each have a long one by their type's.
const FILLED_MAX: usize = 16 << 20;

/// Place of a node in its [`Pairs`].
pub(in crate::decode::avro) type NodeId = usize;

/// How values of one writer shape become values of one target shape.
#[derive(Debug)]
pub(in crate::decode::avro) enum Node {
    /// The bytes are those that the target would have.
    Leaf {
        target: ShapeId,
    },
    /// A number of another width or kind.
    Promote {
        target: ShapeId,
        how: Promotion,
    },
    /// A decimal in the writer's wrapping: bytes of a `fixed`, else length-prefixed.
    Decimal {
        target: ShapeId,
        fixed: Option<usize>,
    },
    /// The target's symbol for each of the writer's.
    Enum {
        target: ShapeId,
        symbols: Box<[Option<Box<str>>]>,
    },
    Array(NodeId),
    Map(NodeId),
    Record {
        target: ShapeId,
        /// In the writer's order.
        takes: Vec<Take>,
        fills: Vec<Fill>,
    },
    /// A union of the writer: each branch on its own.
    Branches(Vec<NodeId>),
    /// A branch of the target's union that the writer knows nothing of.
    Into {
        target: ShapeId,
        branch: usize,
        node: NodeId,
    },
    /// Nothing of the target holds it.
    Refuse(Mismatch),
}

/// A field of the writer: which field of the target it becomes, none if it is dropped.
#[derive(Debug)]
pub(in crate::decode::avro) struct Take {
    pub(super) name: String,
    pub(super) writer: ShapeId,
    pub(super) into: Option<(usize, NodeId)>,
}

/// A field of the target that the writer does not have: its default in the target's encoding.
#[derive(Debug)]
pub(in crate::decode::avro) struct Fill {
    pub(super) field: usize,
    pub(super) shape: ShapeId,
    pub(super) bytes: Box<[u8]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decode::avro) enum Wire {
    Int,
    Long,
    Float,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decode::avro) enum Promotion {
    /// To a `long`, times this.
    Long(Wire, i64),
    Float(Wire),
    Double(Wire),
}

/// Why a writer's type cannot be read as the target's, and where, innermost name last.
#[derive(Debug, Clone)]
pub(in crate::decode::avro) struct Mismatch {
    pub(super) path: Vec<String>,
    pub(super) why: String,
}

impl Mismatch {
    fn new(why: impl Into<String>) -> Self {
        Self { path: Vec::new(), why: why.into() }
    }

    /// Of the whole plan.
    pub(super) fn whole(why: impl Into<String>) -> Self {
        Self::new(why)
    }

    /// ``field `device.os`: …``
    pub(super) fn says(&self) -> String {
        match self.path.join(".").replace(".[]", "[]") {
            path if path.is_empty() => self.why.clone(),
            path => format!("`{path}`: {}", self.why),
        }
    }

    fn within(mut self, name: &str) -> Self {
        self.path.insert(0, name.to_owned());
        self
    }
}

/// The nodes of one writer schema and one target schema.
#[derive(Debug)]
pub(in crate::decode::avro) struct Pairs {
    nodes: Vec<Node>,
    /// The writer's shape at each node.
    writers: Vec<ShapeId>,
    pub(super) root: NodeId,
}

impl std::ops::Index<NodeId> for Pairs {
    type Output = Node;

    fn index(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
}

impl Pairs {
    pub(super) fn new(
        writer: &Shapes,
        target: &Shapes,
        declared: &Declared,
    ) -> Result<Self, Mismatch> {
        let mut builder = Builder {
            writer,
            target,
            declared,
            nodes: Vec::new(),
            done: HashMap::new(),
            filled: 0,
        };
        let root = builder.pair(writer.root, target.root, 0)?;
        let (nodes, writers) = builder.nodes.into_iter().unzip();
        Ok(Self { nodes, writers, root })
    }

    pub(super) fn writer(&self, id: NodeId) -> ShapeId {
        self.writers[id]
    }

    /// Nodes at and below `id`, each once.
    fn below(&self, id: NodeId) -> Vec<NodeId> {
        let mut seen = std::collections::HashSet::from([id]);
        let mut found = vec![id];
        let mut next = 0;
        while let Some(&id) = found.get(next) {
            let mut add = |id: NodeId| {
                if seen.insert(id) {
                    found.push(id);
                }
            };
            match &self.nodes[id] {
                Node::Array(node) | Node::Map(node) | Node::Into { node, .. } => add(*node),
                Node::Branches(nodes) => nodes.iter().for_each(|node| add(*node)),
                Node::Record { takes, .. } => {
                    takes.iter().filter_map(|take| take.into).for_each(|(_, node)| add(node));
                }
                _ => {}
            }
            next += 1;
        }
        found
    }

    /// What a value at `id` may hold that is refused.
    pub(super) fn refusals(&self, id: NodeId) -> Vec<String> {
        let mut found = Vec::new();
        for id in self.below(id) {
            match &self.nodes[id] {
                Node::Refuse(mismatch) => found.push(mismatch.says()),
                Node::Enum { symbols, .. } if symbols.iter().any(Option::is_none) => {
                    found.push("enum symbols that the target does not have".to_owned());
                }
                _ => {}
            }
        }
        found
    }

    /// Whether the bytes of every value at `id` are those the target would have.
    pub(super) fn same_bytes(&self, id: NodeId, writer: &Shapes, target: &Shapes) -> bool {
        self.below(id).into_iter().all(|id| match &self.nodes[id] {
            Node::Leaf { .. } => true,
            Node::Array(node) | Node::Map(node) => !self.is_into(*node),
            Node::Decimal { target: t, .. } => writer[self.writers[id]] == target[*t],
            Node::Enum { target: t, .. } => match (&writer[self.writers[id]], &target[*t]) {
                (Shape::Enum(names), Shape::Enum(symbols)) => symbols.starts_with(names),
                _ => false,
            },
            Node::Record { takes, fills, .. } => {
                let in_order = |(i, take): (usize, &Take)| {
                    take.into.is_some_and(|(to, node)| to == i && !self.is_into(node))
                };
                fills.is_empty() && takes.iter().enumerate().all(in_order)
            }
            Node::Branches(nodes) => nodes.iter().enumerate().all(
                |(i, node)| matches!(&self.nodes[*node], Node::Into { branch, .. } if *branch == i),
            ),
            // Asked of whoever leads here.
            Node::Into { .. } => true,
            Node::Promote { .. } | Node::Refuse(_) => false,
        })
    }

    fn is_into(&self, id: NodeId) -> bool {
        matches!(self.nodes[id], Node::Into { .. })
    }
}

/// The first names, and how many there are beside: a message for each of many branches.
fn few(branches: &[(String, ShapeId)]) -> String {
    const NAMES: usize = 5;
    const BYTES: usize = 64;
    let cut =
        |(name, _): &(String, ShapeId)| format!("`{}`", &name[..name.floor_char_boundary(BYTES)]);
    let names: Vec<String> = branches.iter().take(NAMES).map(cut).collect();
    match branches.len().saturating_sub(NAMES) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

struct Builder<'s> {
    writer: &'s Shapes,
    target: &'s Shapes,
    declared: &'s Declared,
    nodes: Vec<(Node, ShapeId)>,
    /// Node of each pair, present before what is below it, so that cycles end.
    done: HashMap<(ShapeId, ShapeId), Result<NodeId, Mismatch>>,
    /// Bytes of defaults.
    filled: usize,
}

impl Builder<'_> {
    fn push(&mut self, node: Node, writer: ShapeId) -> NodeId {
        self.nodes.push((node, writer));
        self.nodes.len() - 1
    }

    fn pair(&mut self, w: ShapeId, t: ShapeId, depth: usize) -> Result<NodeId, Mismatch> {
        if let Some(done) = self.done.get(&(w, t)) {
            return done.clone();
        }
        if depth > DEPTH_MAX {
            return Err(Mismatch::new(format!("nested deeper than {DEPTH_MAX} levels")));
        }
        let id = self.push(Node::Refuse(Mismatch::new("not resolved")), w);
        self.done.insert((w, t), Ok(id));
        match self.node(w, t, depth) {
            Ok(node) => {
                self.nodes[id].0 = node;
                Ok(id)
            }
            Err(mismatch) => {
                self.nodes[id].0 = Node::Refuse(mismatch.clone());
                self.done.insert((w, t), Err(mismatch.clone()));
                Err(mismatch)
            }
        }
    }

    fn node(&mut self, w: ShapeId, t: ShapeId, depth: usize) -> Result<Node, Mismatch> {
        let (writer, target) = (self.writer, self.target);
        match (&writer[w], &target[t]) {
            (Shape::Union(branches), _) => self.branches(branches, t, depth),
            (_, Shape::Union(branches)) => self.into(w, t, branches, depth),
            (Shape::Array(a), Shape::Array(b)) => {
                let items = self.pair(*a, *b, depth + 1);
                items.map(Node::Array).map_err(|m| m.within("[]"))
            }
            (Shape::Map(a), Shape::Map(b)) => {
                let values = self.pair(*a, *b, depth + 1);
                values.map(Node::Map).map_err(|m| m.within("[]"))
            }
            (Shape::Record { fields: a }, Shape::Record { fields: b }) => {
                self.same_name(w, t)?;
                self.record(a, t, b, depth)
            }
            (Shape::Enum(a), Shape::Enum(b)) => {
                self.same_name(w, t)?;
                Ok(self.symbols(a, t, b))
            }
            (a, b) => self.leaf(w, a, t, b),
        }
    }

    /// Named types match by name, without the namespace, or by an alias of the target.
    fn same_name(&self, w: ShapeId, t: ShapeId) -> Result<(), Mismatch> {
        if self.matches_name(w, t, false) {
            return Ok(());
        }
        let name = |shapes: &Shapes, id| shapes.name(id).unwrap_or_default().to_owned();
        Err(Mismatch::new(format!(
            "`{}` of the writer, `{}` required; give the target's type an alias if they are the same",
            name(self.writer, w),
            name(self.target, t)
        )))
    }

    fn matches_name(&self, w: ShapeId, t: ShapeId, full: bool) -> bool {
        let (Some(a), Some(b)) = (self.writer.name(w), self.target.name(t)) else { return true };
        let equal = |b: &str| if full { a == b } else { simple(a) == simple(b) };
        equal(b) || self.declared.aliases.get(&t).into_iter().flatten().any(|alias| equal(alias))
    }

    fn branches(
        &mut self,
        branches: &[(String, ShapeId)],
        t: ShapeId,
        depth: usize,
    ) -> Result<Node, Mismatch> {
        let mut nodes = Vec::with_capacity(branches.len());
        let mut first = None;
        let mut readable = branches.is_empty();
        for (name, branch) in branches {
            match self.pair(*branch, t, depth + 1) {
                Ok(node) => {
                    readable = true;
                    nodes.push(node);
                }
                Err(mismatch) => {
                    let mismatch = mismatch.within(name);
                    first.get_or_insert_with(|| mismatch.clone());
                    nodes.push(self.push(Node::Refuse(mismatch), *branch));
                }
            }
        }
        match first {
            Some(mismatch) if !readable => Err(mismatch),
            _ => Ok(Node::Branches(nodes)),
        }
    }

    /// The branch of the target's union for a type that is none: the same type, then the same type of
    /// another namespace, then one it may be promoted to.
    fn into(
        &mut self,
        w: ShapeId,
        t: ShapeId,
        branches: &[(String, ShapeId)],
        depth: usize,
    ) -> Result<Node, Mismatch> {
        let mut first = None;
        for pass in 0..3 {
            for (index, (name, branch)) in branches.iter().enumerate() {
                if !self.fits(w, *branch, pass) {
                    continue;
                }
                match self.pair(w, *branch, depth + 1) {
                    Ok(node) => return Ok(Node::Into { target: t, branch: index, node }),
                    Err(mismatch) => {
                        first.get_or_insert_with(|| mismatch.within(name));
                    }
                }
            }
        }
        let what = base_name(&self.writer[w]);
        let what = self.writer.name(w).unwrap_or(what);
        Err(first.unwrap_or_else(|| {
            Mismatch::new(format!("`{what}` of the writer, one of {} required", few(branches)))
        }))
    }

    fn fits(&self, w: ShapeId, t: ShapeId, pass: u32) -> bool {
        let (a, b) = (base_name(&self.writer[w]), base_name(&self.target[t]));
        match pass {
            0 => a == b && self.matches_name(w, t, true),
            1 => a == b && self.matches_name(w, t, false),
            _ => promotes(a, b),
        }
    }

    fn record(
        &mut self,
        writers: &[(String, ShapeId)],
        t: ShapeId,
        targets: &[(String, ShapeId)],
        depth: usize,
    ) -> Result<Node, Mismatch> {
        let declared = self.declared.fields.get(&t).map(Vec::as_slice).unwrap_or_default();
        let at: HashMap<&str, usize> =
            writers.iter().enumerate().map(|(i, (name, _))| (name.as_str(), i)).collect();
        let mut into = vec![None; writers.len()];
        let mut missing = Vec::new();
        for (i, (name, _)) in targets.iter().enumerate() {
            let aliases = declared.get(i).map(|d| d.aliases.as_slice()).unwrap_or_default();
            let names = std::iter::once(name).chain(aliases);
            // A writer's field goes to one field of the target: the first that asks for it.
            match names.filter_map(|n| at.get(n.as_str())).find(|at| into[**at].is_none()) {
                Some(at) => into[*at] = Some(i),
                None => missing.push(i),
            }
        }
        let mut takes = Vec::with_capacity(writers.len());
        for ((name, writer), into) in writers.iter().zip(into) {
            let into = match into {
                Some(i) => {
                    let node = self.pair(*writer, targets[i].1, depth + 1);
                    Some((i, node.map_err(|m| m.within(name))?))
                }
                None => None,
            };
            takes.push(Take { name: name.clone(), writer: *writer, into });
        }
        let mut fills = Vec::with_capacity(missing.len());
        for i in missing {
            let default = declared.get(i).and_then(|field| field.default.as_ref());
            let fill = match default {
                Some(default) => self.fill(i, &targets[i], default),
                None => Err(Mismatch::new("not in the writer's schema, a default required")),
            };
            fills.push(fill.map_err(|m| m.within(&targets[i].0))?);
        }
        Ok(Node::Record { target: t, takes, fills })
    }

    fn fill(
        &mut self,
        field: usize,
        (_, shape): &(String, ShapeId),
        default: &serde_json::Value,
    ) -> Result<Fill, Mismatch> {
        let mut bytes = Vec::new();
        default::write(self.target, self.declared, *shape, default, &mut bytes)
            .map_err(Mismatch::new)?;
        self.filled += bytes.len();
        if self.filled > FILLED_MAX {
            return Err(Mismatch::new(format!(
                "defaults of more than {FILLED_MAX} bytes, at most that required"
            )));
        }
        Ok(Fill { field, shape: *shape, bytes: bytes.into() })
    }

    fn symbols(&self, writers: &[String], t: ShapeId, targets: &[String]) -> Node {
        let default = self.declared.symbols.get(&t);
        let default = default.filter(|symbol| targets.contains(symbol));
        let known: std::collections::HashSet<&String> = targets.iter().collect();
        let symbol = |name: &String| {
            let found = known.get(name).copied().or(default);
            found.map(|symbol| symbol.as_str().into())
        };
        Node::Enum { target: t, symbols: writers.iter().map(symbol).collect() }
    }

    fn leaf(&self, w: ShapeId, a: &Shape, t: ShapeId, b: &Shape) -> Result<Node, Mismatch> {
        let (from, to) = (base_name(a), base_name(b));
        if from != to && !promotes(from, to) && !both_decimal(a, b) {
            return Err(Mismatch::new(format!("`{from}` of the writer, `{to}` required")));
        }
        if from == "fixed" && to == "fixed" {
            self.same_name(w, t)?;
            if size(a) != size(b) {
                return Err(Mismatch::new(format!(
                    "`fixed` of {} bytes of the writer, {} required",
                    size(a),
                    size(b)
                )));
            }
        }
        let times = meaning(a, b)?;
        if let (Shape::Decimal { fixed, .. }, Shape::Decimal { .. }) = (a, b) {
            return Ok(Node::Decimal { target: t, fixed: *fixed });
        }
        let wire = match from {
            "int" => Wire::Int,
            "long" => Wire::Long,
            _ => Wire::Float,
        };
        let how = match (from, to) {
            ("int", "int") | ("long", "long") if times == 1 => return Ok(Node::Leaf { target: t }),
            ("int" | "long", "long") => Promotion::Long(wire, times),
            ("int" | "long", "float") => Promotion::Float(wire),
            ("int" | "long" | "float", "double") => Promotion::Double(wire),
            _ => return Ok(Node::Leaf { target: t }),
        };
        Ok(Node::Promote { target: t, how })
    }
}

fn promotes(from: &str, to: &str) -> bool {
    matches!(
        (from, to),
        ("int", "long" | "float" | "double")
            | ("long", "float" | "double")
            | ("float", "double")
            | ("string", "bytes")
            | ("bytes", "string")
    )
}

fn both_decimal(a: &Shape, b: &Shape) -> bool {
    matches!((a, b), (Shape::Decimal { .. }, Shape::Decimal { .. }))
}

fn size(shape: &Shape) -> usize {
    match shape {
        Shape::Fixed(size) | Shape::Decimal { fixed: Some(size), .. } => *size,
        Shape::Duration => 12,
        _ => 16,
    }
}

/// What the writer's number is multiplied with. A type without a logical type takes any, and gives itself
/// to any: that is how schemas grow logical types.
fn meaning(a: &Shape, b: &Shape) -> Result<i64, Mismatch> {
    use Shape::{Bytes, Date, Decimal, Duration, Fixed, TimeMicros, TimeMillis, Timestamp, Uuid};
    let differ = || Err(Mismatch::new(format!("{} of the writer, {} required", say(a), say(b))));
    match (a, b) {
        (Timestamp { unit: from, utc: x }, Timestamp { unit: to, utc: y }) if x == y => {
            match (from, to) {
                (from, to) if from == to => Ok(1),
                (TimeUnit::Millisecond, TimeUnit::Microsecond)
                | (TimeUnit::Microsecond, TimeUnit::Nanosecond) => Ok(1_000),
                (TimeUnit::Millisecond, TimeUnit::Nanosecond) => Ok(1_000_000),
                _ => differ(),
            }
        }
        (TimeMillis, TimeMicros) => Ok(1_000),
        (Decimal { precision: p, scale: s, .. }, Decimal { precision: q, scale: r, .. }) => {
            if s == r && p <= q { Ok(1) } else { differ() }
        }
        (a, b) if a == b => Ok(1),
        // Text is no number, however it is wrapped; a date is no timestamp.
        (Shape::String | Uuid { .. }, Decimal { .. }) | (Decimal { .. }, Shape::String) => differ(),
        (
            Date
            | TimeMillis
            | TimeMicros
            | Timestamp { .. }
            | Decimal { .. }
            | Uuid { .. }
            | Duration,
            other,
        )
        | (
            other,
            Date
            | TimeMillis
            | TimeMicros
            | Timestamp { .. }
            | Decimal { .. }
            | Uuid { .. }
            | Duration,
        ) if !matches!(
            other,
            Shape::Int
                | Shape::Long
                | Shape::Float
                | Shape::Double
                | Bytes
                | Shape::String
                | Fixed(_)
        ) =>
        {
            differ()
        }
        _ => Ok(1),
    }
}

fn say(shape: &Shape) -> String {
    let base = base_name(shape);
    match shape {
        Shape::Decimal { precision, scale, .. } => format!("`decimal({precision}, {scale})`"),
        Shape::Uuid { .. } => "`uuid`".to_owned(),
        Shape::Date => "`date`".to_owned(),
        Shape::TimeMillis => "`time-millis`".to_owned(),
        Shape::TimeMicros => "`time-micros`".to_owned(),
        Shape::Duration => "`duration`".to_owned(),
        Shape::Timestamp { unit, utc } => {
            let unit = match unit {
                TimeUnit::Nanosecond => "nanos",
                TimeUnit::Microsecond => "micros",
                _ => "millis",
            };
            format!("`{}timestamp-{unit}`", if *utc { "" } else { "local-" })
        }
        _ => format!("`{base}`"),
    }
}
