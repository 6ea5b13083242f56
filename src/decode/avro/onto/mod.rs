//! A writer schema read as another schema: the target's columns, filled from the writer's bytes.
//!
//! Owns: Avro's schema resolution: which writer's field goes where, promotions, defaults, unions, what
//! cannot be read and is refused, when the plan is compiled or record by record.
//! Does not own: the target's columns: they are those that the target alone would have, made by
//! [`super::compile`].
//! Bounded by: [`STEPS_MAX`] steps; the limits of every plan.
//! Absent: narrowing (`long` as `int`), enum as text, decimals of another scale: the specification has
//! none of them.
//!
//! `pairs` says how each writer type becomes a target type; here the target's own steps are rewritten by
//! that, so that they read the writer's bytes; `text` does the same for what becomes JSON text; `read` is
//! what the hot loop does with the steps that only a target needs.

mod default;
mod pairs;
mod read;
mod text;

use super::cursor::Cursor;
use super::run::Run;
use super::shape::{Declared, Shape, ShapeId, Shapes};
use super::step::{Items, Record, RecordInto, Step, Walked};
use super::text::is_plain;
use crate::decode::codes as shared;
use crate::decode::columns::{COLUMNS_MAX, Columns, Meter};
use crate::decode::readers::join;
use crate::error::Fault;
use pairs::{Mismatch, Node, NodeId, Pairs, Promotion};

pub(super) use text::write_long;

/// Most steps of a plan onto a target: a writer's unions may lead to one target type many times.
const STEPS_MAX: usize = 10 * COLUMNS_MAX;

/// What the steps need of the target when they run.
#[derive(Debug)]
pub(super) struct Onto {
    pub(super) target: Shapes,
    pairs: Pairs,
}

/// The target's steps, reading the writer's bytes.
#[derive(Debug)]
pub(super) struct Assembled {
    pub(super) root: Step,
    pub(super) onto: Onto,
    pub(super) notes: Vec<String>,
    /// What the writer may write and the target has no place for: records with it are rejected.
    pub(super) unreadable: Vec<String>,
    /// Every default that is filled in, by path.
    pub(super) fills: Vec<(String, OntoFill)>,
}

impl Assembled {
    /// Fills every default in once: one that its column cannot hold would reject every record.
    ///
    /// Error: [`super::codes::RESOLUTION`].
    pub(super) fn try_defaults(
        &self,
        columns: &mut Columns,
        meter: &mut Meter,
    ) -> Result<(), Fault> {
        for (path, fill) in &self.fills {
            let limit = meter.start(fill.bytes.len(), 0);
            let mut run = Run {
                cursor: Cursor::new(&fill.bytes),
                columns,
                meter,
                shapes: &self.onto.target,
                scratch: &mut Vec::new(),
                onto: None,
            };
            let filled = match limit {
                Ok(()) => run.value(&fill.step, 0).map_err(|failure| failure.reject()),
                Err(reject) => Err(reject),
            };
            columns.truncate(0);
            filled.map_err(|reject| {
                let why = format!("default of `{path}`: {reject}");
                Fault::new(&super::codes::RESOLUTION, why)
            })?;
        }
        Ok(())
    }
}

/// Steps that only reading onto a target needs; see [`read`].
#[derive(Debug, Clone)]
pub(super) enum OntoStep {
    /// A number of the writer as the target's.
    Promote {
        how: Promotion,
        into: Step,
    },
    /// A symbol of the writer as the target's.
    Enum {
        slot: u32,
        symbols: Box<[Option<Box<str>>]>,
    },
    Record(OntoRecord),
    /// A union of the writer, each branch on its own.
    Branches {
        steps: Box<[Step]>,
        names: Box<[Box<str>]>,
    },
    /// A value for one branch of the target's union.
    Into {
        group: u32,
        step: Step,
    },
    /// JSON text of what the target would say; none for null, if it is a union.
    Json {
        slot: u32,
        node: NodeId,
        depth: u32,
        union: bool,
    },
    /// No place for it.
    Refuse(Box<str>),
}

#[derive(Debug, Clone)]
pub(super) struct OntoRecord {
    into: RecordInto,
    /// In the writer's order.
    steps: Box<[Step]>,
    names: Box<[Box<str>]>,
    fills: Box<[OntoFill]>,
}

/// A field that the writer does not have: the target's step and the bytes of its default.
#[derive(Debug, Clone)]
pub(super) struct OntoFill {
    name: Box<str>,
    step: Step,
    bytes: Box<[u8]>,
}

/// Rewrites `root`, the target's own step.
///
/// Error: [`super::codes::RESOLUTION`].
pub(super) fn assemble(
    writer: &Shapes,
    target: Shapes,
    declared: &Declared,
    root: &Step,
    (record_name, depth): (&str, u32),
) -> Result<Assembled, Fault> {
    let refuse = |mismatch: Mismatch| {
        Fault::new(
            &super::codes::RESOLUTION,
            format!("avro schema read as `{record_name}`: {}", mismatch.says()),
        )
    };
    let pairs = Pairs::new(writer, &target, declared).map_err(refuse)?;
    let mut assembler = Assembler {
        writer,
        target: &target,
        pairs: &pairs,
        depth: 0,
        depth_max: depth,
        steps: 0,
        notes: Vec::new(),
        unreadable: Vec::new(),
        fills: Vec::new(),
    };
    let root = assembler.step("", pairs.root, root).map_err(|mismatch| {
        let code =
            if assembler.steps > STEPS_MAX { &shared::TOO_WIDE } else { &super::codes::RESOLUTION };
        Fault::new(code, format!("avro schema read as `{record_name}`: {}", mismatch.says()))
    })?;
    let Assembler { notes, unreadable, fills, .. } = assembler;
    Ok(Assembled { root, notes, unreadable, fills, onto: Onto { target, pairs } })
}

struct Assembler<'s> {
    writer: &'s Shapes,
    target: &'s Shapes,
    pairs: &'s Pairs,
    depth: u32,
    depth_max: u32,
    steps: usize,
    notes: Vec<String>,
    unreadable: Vec<String>,
    fills: Vec<(String, OntoFill)>,
}

impl Assembler<'_> {
    fn step(&mut self, path: &str, id: NodeId, own: &Step) -> Result<Step, Mismatch> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(Mismatch::whole(format!(
                "more than {STEPS_MAX} ways to read it, at most that many required"
            )));
        }
        if self.depth > self.depth_max {
            return Err(Mismatch::whole(format!(
                "nested deeper than `limits.depth` of {}",
                self.depth_max
            )));
        }
        self.depth += 1;
        let step = self.made(path, id, own);
        self.depth -= 1;
        step
    }

    fn made(&mut self, path: &str, id: NodeId, own: &Step) -> Result<Step, Mismatch> {
        let pairs = self.pairs;
        match own {
            Step::Skip(_) => return Ok(self.skip(pairs.writer(id))),
            Step::Json(walked) => return Ok(self.json(path, walked, id, false)),
            Step::UnionJson(union) => return Ok(self.json(path, &union.walked, id, true)),
            Step::Raw(_) => return self.raw(id, own),
            _ => {}
        }
        match &pairs[id] {
            Node::Leaf { .. } => Ok(own.clone()),
            Node::Promote { how, target } => {
                self.notes.push(format!("{path}: {} of the writer", self.promoted(*how, *target)));
                Ok(match (own, how) {
                    (Step::I64(slot), Promotion::Long(pairs::Wire::Int, 1)) => Step::Wide(*slot),
                    _ => onto(OntoStep::Promote { how: *how, into: own.clone() }),
                })
            }
            Node::Decimal { fixed, .. } => Ok(match own {
                Step::Decimal(decimal) => {
                    let mut decimal = decimal.clone();
                    decimal.fixed = *fixed;
                    Step::Decimal(decimal)
                }
                // Kept as bytes: the wrapping is all that differs.
                Step::FixedBinary { slot, .. } | Step::Binary(slot) | Step::Fixed { slot, .. } => {
                    self.bytes(path, *slot, own, *fixed)?
                }
                other => other.clone(),
            }),
            Node::Enum { symbols, .. } => Ok(self.symbols(path, id, symbols, own)),
            Node::Array(node) | Node::Map(node) => self.items(path, *node, own),
            Node::Record { target, takes, fills } => {
                self.record(path, *target, (takes, fills), own)
            }
            Node::Branches(nodes) => self.branches(path, id, nodes, own),
            Node::Into { target, branch, node } => self.into(path, (*target, *branch), *node, own),
            Node::Refuse(mismatch) => Ok(self.refuse(path, mismatch)),
        }
    }

    fn promoted(&self, how: Promotion, target: ShapeId) -> String {
        let from = match how {
            Promotion::Long(wire, _) | Promotion::Float(wire) | Promotion::Double(wire) => wire,
        };
        let from = match from {
            pairs::Wire::Int => "int",
            pairs::Wire::Long => "long",
            pairs::Wire::Float => "float",
        };
        format!("{} from the {from}", super::shape::base_name(&self.target[target]))
    }

    /// A decimal that no column type holds, kept as bytes: in columns of one width only if both are.
    fn bytes(
        &self,
        path: &str,
        slot: u32,
        own: &Step,
        fixed: Option<usize>,
    ) -> Result<Step, Mismatch> {
        match (own, fixed) {
            (Step::Fixed { size, .. }, Some(n)) if n == *size as usize => Ok(own.clone()),
            (Step::Fixed { .. }, _) => Err(Mismatch::whole(format!(
                "decimal `{path}` in bytes of another length, kept as bytes it must be of one length"
            ))),
            (_, Some(n)) => Ok(Step::FixedBinary { slot, size: n as u64 }),
            (_, None) => Ok(Step::Binary(slot)),
        }
    }

    fn symbols(
        &mut self,
        path: &str,
        id: NodeId,
        symbols: &[Option<Box<str>>],
        own: &Step,
    ) -> Step {
        let Step::Enum(e) = own else { return own.clone() };
        if let Shape::Enum(names) = &self.writer[self.pairs.writer(id)] {
            let lost: Vec<&str> = names
                .iter()
                .zip(symbols)
                .filter(|(_, symbol)| symbol.is_none())
                .map(|(name, _)| name.as_str())
                .collect();
            if !lost.is_empty() {
                let lost = lost.join("`, `");
                self.unreadable.push(format!("{path}: enum symbol `{lost}` of the writer"));
            }
        }
        onto(OntoStep::Enum { slot: e.slot, symbols: symbols.into() })
    }

    fn items(&mut self, path: &str, node: NodeId, own: &Step) -> Result<Step, Mismatch> {
        let (items, wrap): (_, fn(Box<Items>) -> Step) = match own {
            Step::Array(items) => (items, Step::Array),
            Step::Map(items) => (items, Step::Map),
            other => return Ok(other.clone()),
        };
        let path = format!("{path}[]");
        let may_be_empty =
            matches!(own, Step::Array(_)) && self.writer.may_be_empty(self.pairs.writer(node));
        let item = self.step(&path, node, &items.item)?;
        let Items { list, key, width, .. } = **items;
        Ok(wrap(Box::new(Items { list, key, width, may_be_empty, item })))
    }

    fn record(
        &mut self,
        path: &str,
        target: ShapeId,
        (takes, fills): (&[pairs::Take], &[pairs::Fill]),
        own: &Step,
    ) -> Result<Step, Mismatch> {
        let Step::Record(own) = own else { return Ok(own.clone()) };
        let Record { into, steps: own, .. } = &**own;
        let mut steps = Vec::with_capacity(takes.len());
        for take in takes {
            let path = join(path, &take.name);
            steps.push(match take.into {
                Some((field, node)) => self.step(&path, node, &own[field])?,
                None => {
                    self.notes.push(format!("{path}: not in the target, dropped"));
                    self.skip(take.writer)
                }
            });
        }
        let mut filled = Vec::with_capacity(fills.len());
        for fill in fills {
            let Shape::Record { fields } = &self.target[target] else { continue };
            let name = fields[fill.field].0.as_str();
            self.notes.push(format!("{}: default of the target", join(path, name)));
            // A dropped field needs no default.
            if !matches!(own[fill.field], Step::Skip(_)) {
                let (step, bytes) = (own[fill.field].clone(), fill.bytes.clone());
                let fill = OntoFill { name: name.into(), step, bytes };
                self.fills.push((join(path, name), fill.clone()));
                filled.push(fill);
            }
        }
        Ok(onto(OntoStep::Record(OntoRecord {
            into: *into,
            steps: steps.into(),
            names: takes.iter().map(|take| take.name.as_str().into()).collect(),
            fills: filled.into(),
        })))
    }

    fn branches(
        &mut self,
        path: &str,
        id: NodeId,
        nodes: &[NodeId],
        own: &Step,
    ) -> Result<Step, Mismatch> {
        let Shape::Union(branches) = &self.writer[self.pairs.writer(id)] else {
            return Ok(own.clone());
        };
        let mut steps = Vec::with_capacity(nodes.len());
        for node in nodes {
            steps.push(self.step(path, *node, own)?);
        }
        // The usual union, with null on either side.
        if is_plain(self.writer, branches)
            && let Some(null) = steps.iter().position(|step| matches!(step, Step::Null))
            && steps.len() == 2
        {
            let some = Box::new(steps.swap_remove(1 - null));
            return Ok(Step::Optional { null: null as u32, some });
        }
        let names = branches.iter().map(|(name, _)| name.as_str().into()).collect();
        Ok(onto(OntoStep::Branches { steps: steps.into(), names }))
    }

    fn into(
        &mut self,
        path: &str,
        (target, branch): (ShapeId, usize),
        node: NodeId,
        own: &Step,
    ) -> Result<Step, Mismatch> {
        let Shape::Union(branches) = &self.target[target] else { return Ok(own.clone()) };
        let null = self.target[branches[branch].1] == Shape::Null;
        match own {
            _ if null => Ok(Step::Null),
            Step::Optional { some, .. } | Step::Single(some) => self.step(path, node, some),
            Step::Union(union) => {
                let step = self.step(path, node, &union.branches[branch])?;
                Ok(onto(OntoStep::Into { group: union.group, step }))
            }
            other => Ok(other.clone()),
        }
    }

    fn refuse(&mut self, path: &str, mismatch: &Mismatch) -> Step {
        let why = mismatch.says();
        self.unreadable.push(format!("{path}: {why}"));
        onto(OntoStep::Refuse(why.into()))
    }

    /// Passes over a value of the writer.
    fn skip(&self, shape: ShapeId) -> Step {
        Step::Skip(Box::new(Walked { slot: 0, shape, depth: self.depth_left() }))
    }

    fn depth_left(&self) -> u32 {
        (self.depth_max + 1).saturating_sub(self.depth)
    }

    /// As deep as the target's own reading goes.
    fn json(&mut self, path: &str, own: &Walked, node: NodeId, union: bool) -> Step {
        for why in self.pairs.refusals(node) {
            self.unreadable.push(format!("{path}: {why}"));
        }
        onto(OntoStep::Json { slot: own.slot, node, depth: own.depth, union })
    }

    /// The value's own bytes: only where the writer's bytes are what the target's would be.
    fn raw(&mut self, id: NodeId, own: &Step) -> Result<Step, Mismatch> {
        let (Step::Raw(walked), writer) = (own, self.pairs.writer(id)) else {
            return Ok(own.clone());
        };
        if !self.pairs.same_bytes(id, self.writer, self.target) {
            return Err(Mismatch::whole(
                "a record inside itself that differs from the target's, with `recursion: bytes` the same required; use `recursion: json`",
            ));
        }
        Ok(Step::Raw(Box::new(Walked { shape: writer, ..walked.as_ref().clone() })))
    }
}

fn onto(step: OntoStep) -> Step {
    Step::Onto(Box::new(step))
}
