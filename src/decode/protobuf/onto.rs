//! A writer's message read as another version of it: the target's columns, filled from the writer's bytes.
//!
//! Owns: which op of the writer fills which builder of the target, and promotions on the way.
//! Does not own: what may be projected at all (`evolve`), asked before.
//! Bounded by: the two programs.
//!
//! Fields meet by number. What the target does not know is an unknown field; what the writer does not know
//! is absent, so it has the target's default, as a reader with the target's descriptor would see it.
//! A single value goes into a list as its one item, as such a reader sees it.
//! Values are read as the *writer* declares them: a `sint32` that became `int64` keeps its sign, and a
//! `float` that became `double` its value, which such a reader would lose.

use super::plan::{DecimalType, EnumNames, Kind, NONE, Narrow, Op, Program, Table};
use crate::decode::Compiled;
use crate::decode::columns::Slot;
use crate::decode::readers::join;
use crate::flaw::{Flaw, planted};

/// The target's columns, filled by the writer's ops.
///
/// Error: path of a field whose forms on the wire cannot meet, though their columns could.
pub fn onto(writer: &Program, target: Compiled<Program>) -> Result<Compiled<Program>, String> {
    let mut join = Join {
        writer,
        target: &target.program,
        tables: Vec::new(),
        enums: Vec::new(),
        decimals: Vec::new(),
        pending: Vec::new(),
    };
    let root = join.table(writer.root, target.program.root)?;
    let (tables, enums, decimals, pending) = (join.tables, join.enums, join.decimals, join.pending);
    let Compiled { shape, record_name, notes, program } = target;
    let program = Program { tables, root, enums, decimals, pending, ..program };
    Ok(Compiled { shape, record_name, notes, program })
}

struct Join<'a> {
    writer: &'a Program,
    target: &'a Program,
    tables: Vec<Table>,
    enums: Vec<EnumNames>,
    decimals: Vec<DecimalType>,
    pending: Vec<String>,
}

impl Join<'_> {
    /// The table that reads a message of the writer into the builders of one of the target.
    fn table(&mut self, from: u32, to: u32) -> Result<u32, String> {
        let (writer, target) = (self.writer, self.target);
        let (from, to) = (&writer.tables[from as usize], &target.tables[to as usize]);
        let mut fields = Vec::with_capacity(from.ops.len());
        for (op, name) in from.ops.iter().zip(&from.names) {
            let known = to.find(op.number).map(|at| &to.ops[at]);
            let Some(into) = known else { continue };
            let op = match (op.kind, into.kind) {
                (Kind::Dropped, _) | (_, Kind::Dropped) => dropped(op),
                _ => self.op(op, into, &join(&to.path, name))?,
            };
            fields.push((name.clone(), op));
        }
        Ok(self.add(Table::new(&to.path, fields)))
    }

    fn add(&mut self, table: Table) -> u32 {
        self.tables.push(table);
        self.tables.len() as u32 - 1
    }

    /// `op` of the writer, writing where `into` of the target does. Error: the path.
    fn op(&mut self, op: &Op, into: &Op, path: &str) -> Result<Op, String> {
        if (op.kind == Kind::FieldMask) != (into.kind == Kind::FieldMask)
            || (op.list != NONE && into.list == NONE)
        {
            return Err(path.to_owned());
        }
        let place = self.place(into);
        let mut made = Op {
            slot: place.index(),
            list: into.list,
            width: into.width,
            oneof: into.oneof,
            group: into.group,
            member: into.member,
            ..op.clone()
        };
        match (op.kind, into.kind) {
            (Kind::Message | Kind::Group, Kind::Message | Kind::Group)
            | (Kind::Map, Kind::Map)
            | (Kind::FieldMask, Kind::FieldMask) => made.aux = self.table(op.aux, into.aux)?,
            (Kind::Message | Kind::Group | Kind::Map, _) => return Err(path.to_owned()),
            (Kind::Presence | Kind::GroupPresence, _) => made.aux = self.add(Table::default()),
            (Kind::Wrapper(_), _) => {
                let writer = self.writer;
                let table = &writer.tables[op.aux as usize];
                let inner = self.inner(into);
                let mut value = Vec::new();
                for (op, name) in table.ops.iter().zip(&table.names) {
                    value.push((name.clone(), self.op(op, &inner, path)?));
                }
                made.kind = Kind::Wrapper(place);
                made.aux = self.add(Table::new(&table.path, value));
            }
            (Kind::Json | Kind::JsonGroup, Kind::Json | Kind::JsonGroup)
                if self.target.json.reads(into.aux, &self.writer.json, op.aux) =>
            {
                // The text has the target's names.
                made.aux = into.aux;
                made.pending = self.pending.len() as u32;
                self.pending.push(path.to_owned());
            }
            (Kind::Json | Kind::JsonGroup, _) | (_, Kind::Json | Kind::JsonGroup) => {
                return Err(path.to_owned());
            }
            (Kind::EnumName, _) => made.aux = self.names(op, into),
            (Kind::Decimal, Kind::Decimal) => {
                made.aux = self.decimal(self.target.decimals[into.aux as usize]);
            }
            (Kind::Decimal, _) => {
                made.aux = self.decimal(self.writer.decimals[op.aux as usize]);
            }
            // What reads columns of text takes them for UTF-8.
            (Kind::Raw | Kind::RawGroup, _) if self.is_text(into) => return Err(path.to_owned()),
            (Kind::String | Kind::Bytes, _) if matches!(place, Slot::Text(_)) => {
                made.kind = if self.is_text(into) { Kind::String } else { Kind::Bytes };
            }
            // The digits of a whole number are not those of one with a fraction.
            (_, Kind::Decimal) if self.has_scale(into) => return Err(path.to_owned()),
            (kind, _) => {
                if let Some(own) = slot_of(kind, NONE)
                    && std::mem::discriminant(&own) != std::mem::discriminant(&place)
                {
                    use Slot::{F32, F64, I64, I128, U64};
                    let takes = matches!(place, I64(_) | U64(_) | F32(_) | F64(_) | I128(_));
                    let narrow = match planted(Flaw::PromotedAsTarget) {
                        true => Narrow::of(into.kind).or(Narrow::of(kind)),
                        false => Narrow::of(kind),
                    };
                    let narrow = narrow.filter(|_| takes).ok_or_else(|| path.to_owned())?;
                    made.kind = Kind::Promoted(narrow, place);
                }
            }
        }
        Ok(made)
    }

    /// The builder that a value of this op goes to.
    fn place(&self, into: &Op) -> Slot {
        match into.kind {
            Kind::Wrapper(slot) => slot,
            Kind::Decimal => match self.target.decimals[into.aux as usize] {
                DecimalType::Short(..) => Slot::I128(into.slot),
                DecimalType::Long(..) => Slot::I256(into.slot),
                DecimalType::Text => Slot::Text(into.slot),
            },
            Kind::Message | Kind::Group => Slot::Group(into.slot),
            Kind::Map | Kind::FieldMask => Slot::List(into.slot),
            kind => slot_of(kind, into.slot).unwrap_or(Slot::None),
        }
    }

    /// Whether the column is text, not bytes.
    fn is_text(&self, into: &Op) -> bool {
        match into.kind {
            Kind::Bytes | Kind::Raw | Kind::RawGroup => false,
            Kind::Wrapper(_) => {
                let value = self.target.tables[into.aux as usize].ops.first();
                value.is_none_or(|value| value.kind != Kind::Bytes)
            }
            _ => true,
        }
    }

    fn has_scale(&self, into: &Op) -> bool {
        match self.target.decimals[into.aux as usize] {
            DecimalType::Short(_, scale) | DecimalType::Long(_, scale) => scale != 0,
            DecimalType::Text => false,
        }
    }

    /// What the field of a wrapper meets: the field of the target's, or the target's own value.
    fn inner(&self, into: &Op) -> Op {
        let wrapped = match into.kind {
            Kind::Wrapper(_) => self.target.tables[into.aux as usize].ops.first(),
            _ => None,
        };
        let own = || Op { list: NONE, oneof: NONE, group: NONE, member: NONE, ..into.clone() };
        wrapped.cloned().unwrap_or_else(own)
    }

    /// Names of an enum: the target's, and the writer's for numbers that the target does not name.
    fn names(&mut self, op: &Op, into: &Op) -> u32 {
        let own = &self.writer.enums[op.aux as usize];
        let names = match into.kind {
            Kind::EnumName => self.target.enums[into.aux as usize].or(own),
            _ => own.clone(),
        };
        self.enums.push(names);
        self.enums.len() as u32 - 1
    }

    fn decimal(&mut self, decimal: DecimalType) -> u32 {
        self.decimals.push(decimal);
        self.decimals.len() as u32 - 1
    }
}

/// A field that is read and not kept: it has no builders, and the numbers of the writer's are others' here.
fn dropped(op: &Op) -> Op {
    Op {
        kind: Kind::Dropped,
        list: NONE,
        packed: false,
        oneof: NONE,
        group: NONE,
        member: NONE,
        ..op.clone()
    }
}

/// The builder that values of this kind go to.
fn slot_of(kind: Kind, slot: u32) -> Option<Slot> {
    Some(match kind {
        Kind::Double => Slot::F64(slot),
        Kind::Float => Slot::F32(slot),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 | Kind::EnumNumber => Slot::I32(slot),
        Kind::Date | Kind::TimeOfDayMillis => Slot::I32(slot),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint32Wide | Kind::Fixed32Wide => {
            Slot::I64(slot)
        }
        Kind::Timestamp | Kind::Duration | Kind::TimeOfDay => Slot::I64(slot),
        Kind::Uint64Wide | Kind::Fixed64Wide => Slot::I128(slot),
        Kind::Uint32 | Kind::Fixed32 => Slot::U32(slot),
        Kind::Uint64 | Kind::Fixed64 => Slot::U64(slot),
        Kind::Bool | Kind::Presence | Kind::GroupPresence => Slot::Bool(slot),
        Kind::EnumName | Kind::String | Kind::Bytes => Slot::Text(slot),
        Kind::Json | Kind::JsonGroup | Kind::Raw | Kind::RawGroup => Slot::Text(slot),
        Kind::Message | Kind::Group | Kind::Map | Kind::Wrapper(_) | Kind::FieldMask => {
            return None;
        }
        Kind::Decimal | Kind::Dropped | Kind::Promoted(..) => return None,
    })
}

#[cfg(test)]
mod tests;
