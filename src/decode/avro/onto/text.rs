//! One value of the writer → the JSON text that the target's columns would say
//! ([`crate::decode::avro::text`] has its form). Fields stand in the writer's order, defaults after them.

use super::Onto;
use super::pairs::{Fill, Node, NodeId, Take};
use super::read::{known, promoted};
use crate::decode::avro::cursor::{Bad, Block, Cursor};
use crate::decode::avro::failure::{Failure, Read};
use crate::decode::avro::leaf::{write_leaf, write_text};
use crate::decode::avro::shape::{Shape, ShapeId, Shapes, base_name};
use crate::decode::avro::{codes, text};
use crate::decode::columns::Meter;

/// A walk over one value of the writer.
pub(super) struct Walk<'w> {
    writer: &'w Shapes,
    onto: &'w Onto,
    meter: &'w mut Meter,
    depth_left: u32,
    paid: usize,
}

impl<'w> Walk<'w> {
    pub(super) fn new(
        writer: &'w Shapes,
        onto: &'w Onto,
        meter: &'w mut Meter,
        depth_left: u32,
    ) -> Self {
        Self { writer, onto, meter, depth_left, paid: 0 }
    }

    /// Appends the value as JSON text to `out`, which starts empty.
    pub(super) fn json(&mut self, id: NodeId, cursor: &mut Cursor, out: &mut Vec<u8>) -> Read<()> {
        self.paid = out.len();
        self.value(id, cursor, out)?;
        self.pay(cursor, out)
    }

    fn pay(&mut self, cursor: &Cursor, out: &[u8]) -> Read<()> {
        let grown = out.len().saturating_sub(self.paid);
        self.paid = out.len();
        self.meter.bytes(grown).map_err(|reject| Failure::limit(&reject, cursor))
    }

    fn value(&mut self, id: NodeId, cursor: &mut Cursor, out: &mut Vec<u8>) -> Read<()> {
        let Some(depth_left) = self.depth_left.checked_sub(1) else {
            return Err(Failure::depth(self.meter.depth_max(), cursor));
        };
        self.depth_left = depth_left;
        let onto = self.onto;
        match &onto.pairs[id] {
            Node::Branches(nodes) => {
                let branch = cursor.branch(nodes.len() as u32);
                let branch = branch.map_err(|bad| Failure::bad(bad, "union", cursor))?;
                let node = nodes[branch as usize];
                match &onto.pairs[node] {
                    // A union read as a union is one level, as it is when it is not read onto anything.
                    Node::Into { target, branch, node } => {
                        self.branch((*target, *branch), *node, cursor, out)?;
                    }
                    _ => self.value(node, cursor, out)?,
                }
            }
            Node::Into { target, branch, node } => {
                self.branch((*target, *branch), *node, cursor, out)?;
            }
            Node::Array(items) => self.array(*items, cursor, out)?,
            Node::Map(values) => self.map(*values, cursor, out)?,
            Node::Record { target, takes, fills } => {
                self.record(*target, (takes, fills), cursor, out)?;
            }
            leaf => self.leaf(leaf, cursor, out)?,
        }
        self.depth_left += 1;
        Ok(())
    }

    /// A value without others inside. Not inlined: the stack of a deep value has room for what leads down.
    #[inline(never)]
    fn leaf(&mut self, node: &Node, cursor: &mut Cursor, out: &mut Vec<u8>) -> Read<()> {
        let onto = self.onto;
        let leaf = |shape: &Shape, cursor: &mut Cursor, out: &mut Vec<u8>| {
            write_leaf(shape, cursor, out)
                .map_err(|bad| Failure::bad(bad, base_name(shape), cursor))
        };
        match node {
            Node::Leaf { target } => leaf(&onto.target[*target], cursor, out),
            Node::Promote { target, how } => {
                let at = cursor.at();
                let mut bytes = [0; 10];
                let length = promoted(*how, cursor, &mut bytes)?;
                let number = bytes.get(..length).unwrap_or_default();
                leaf(&onto.target[*target], &mut Cursor::new(number), out).map_err(|e| e.from(at))
            }
            Node::Decimal { target, fixed } => {
                let mut shape = onto.target[*target].clone();
                if let Shape::Decimal { fixed: wrapping, .. } = &mut shape {
                    *wrapping = *fixed;
                }
                leaf(&shape, cursor, out)
            }
            Node::Enum { symbols, .. } => {
                let index = cursor.symbol(symbols.len());
                let index = index.map_err(|bad| Failure::bad(bad, "enum", cursor))?;
                write_text(known(symbols, index, cursor)?, out);
                Ok(())
            }
            Node::Refuse(mismatch) => {
                Err(Failure::new(&codes::UNREADABLE, cursor, mismatch.says()))
            }
            Node::Array(_)
            | Node::Map(_)
            | Node::Record { .. }
            | Node::Branches(_)
            | Node::Into { .. } => unreachable!("`value` goes down into these"),
        }
    }

    fn branch(
        &mut self,
        (target, branch): (ShapeId, usize),
        node: NodeId,
        cursor: &mut Cursor,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        let shapes = &self.onto.target;
        let Shape::Union(branches) = &shapes[target] else { return Ok(()) };
        let (name, shape) = &branches[branch];
        if shapes[*shape] == Shape::Null || text::is_plain(shapes, branches) {
            return self.value(node, cursor, out);
        }
        out.push(b'{');
        write_text(name, out);
        out.push(b':');
        self.value(node, cursor, out).map_err(|e| e.within(name))?;
        out.push(b'}');
        Ok(())
    }

    fn record(
        &mut self,
        target: ShapeId,
        (takes, fills): (&[Take], &[Fill]),
        cursor: &mut Cursor,
        out: &mut Vec<u8>,
    ) -> Read<()> {
        let onto = self.onto;
        let Shape::Record { fields } = &onto.target[target] else { return Ok(()) };
        let parts = (takes.len() + fills.len()).min(u32::MAX as usize) as u32;
        self.meter.node(parts).map_err(|reject| Failure::limit(&reject, cursor))?;
        out.push(b'{');
        let first = out.len();
        let named = |name: &str, out: &mut Vec<u8>| {
            if out.len() > first {
                out.push(b',');
            }
            write_text(name, out);
            out.push(b':');
        };
        for take in takes {
            match take.into {
                Some((field, node)) => {
                    named(&fields[field].0, out);
                    self.value(node, cursor, out).map_err(|e| e.within(&*take.name))?;
                    self.pay(cursor, out)?;
                }
                None => {
                    let mut walk = text::Walk::new(self.writer, self.meter, self.depth_left);
                    walk.skip(take.writer, cursor).map_err(|e| e.within(&*take.name))?;
                }
            }
        }
        for fill in fills {
            named(&fields[fill.field].0, out);
            let mut text = Vec::new();
            let mut walk = text::Walk::new(&onto.target, self.meter, self.depth_left);
            let written = walk.json(fill.shape, &mut Cursor::new(&fill.bytes), &mut text);
            written.map_err(|e| e.from(cursor.at()).within(&*fields[fill.field].0))?;
            out.extend_from_slice(&text);
            self.paid += text.len();
            self.pay(cursor, out)?;
        }
        out.push(b'}');
        Ok(())
    }

    fn open(&mut self, block: &Block, items: NodeId, map: bool, cursor: &Cursor) -> Read<()> {
        let empty = self.writer.may_be_empty(self.onto.pairs.writer(items));
        if block.count > cursor.left() as u64 && (map || !empty) {
            let what = if map { "map" } else { "array" };
            return Err(Failure::bad(Bad::Count(block.count as i64), what, cursor));
        }
        self.meter
            .nodes(usize::try_from(block.count).unwrap_or(usize::MAX), 0)
            .map_err(|reject| Failure::limit(&reject, cursor))
    }

    fn array(&mut self, items: NodeId, cursor: &mut Cursor, out: &mut Vec<u8>) -> Read<()> {
        let bad = |bad, cursor: &Cursor| Failure::bad(bad, "array", cursor);
        let mut index = 0u64;
        out.push(b'[');
        while let Some(block) = cursor.block().map_err(|e| bad(e, cursor))? {
            self.open(&block, items, false, cursor)?;
            let start = cursor.at();
            for _ in 0..block.count {
                if index > 0 {
                    out.push(b',');
                }
                self.value(items, cursor, out).map_err(|e| e.within(format!("[{index}]")))?;
                self.pay(cursor, out)?;
                index += 1;
            }
            cursor.close(&block, start).map_err(|e| bad(e, cursor))?;
        }
        out.push(b']');
        Ok(())
    }

    fn map(&mut self, values: NodeId, cursor: &mut Cursor, out: &mut Vec<u8>) -> Read<()> {
        let bad = |bad, cursor: &Cursor| Failure::bad(bad, "map", cursor);
        let mut entries: Vec<(&str, usize)> = Vec::new();
        out.push(b'{');
        let first = out.len();
        while let Some(block) = cursor.block().map_err(|e| bad(e, cursor))? {
            self.open(&block, values, true, cursor)?;
            let start = cursor.at();
            for _ in 0..block.count {
                let key = cursor.string().map_err(|e| Failure::bad(e, "map key", cursor))?;
                write_text(key, out);
                out.push(b':');
                self.value(values, cursor, out).map_err(|e| e.within(format!("[{key:?}]")))?;
                out.push(b',');
                entries.push((key, out.len()));
                self.pay(cursor, out)?;
            }
            cursor.close(&block, start).map_err(|e| bad(e, cursor))?;
        }
        text::drop_replaced(&entries, first, out);
        if out.len() > first {
            out.pop();
        }
        out.push(b'}');
        self.paid = self.paid.min(out.len());
        Ok(())
    }
}

/// Copies a number of fixed width to the front of `out`; gives its length.
pub(super) fn write_promoted<const N: usize>(bytes: [u8; N], out: &mut [u8; 10]) -> usize {
    out.iter_mut().zip(bytes).for_each(|(out, byte)| *out = byte);
    N.min(out.len())
}

/// Writes a zigzag varint to the front of `out`; gives its length.
pub(in crate::decode::avro) fn write_long(value: i64, out: &mut [u8; 10]) -> usize {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    let mut length = 0;
    for byte in out {
        length += 1;
        if raw < 0x80 {
            *byte = raw as u8;
            break;
        }
        *byte = raw as u8 | 0x80;
        raw >>= 7;
    }
    length
}
