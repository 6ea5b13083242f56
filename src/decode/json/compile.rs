//! Shapes → columns, and the steps that fill them. Slow and fallible; runs once per schema.

use std::borrow::Cow;

use arrow::datatypes::TimeUnit;

use super::shape::{Field, Kind, Shape, Struct, Symbols};
use super::step::{
    Branch, Decimal, DecimalInto, Extra, Items, Large, Member, Members, Node, ObjectInto, Pairs,
    Slot, Step, TAKES_BOOL, TAKES_LIST, TAKES_NUMBER, TAKES_OBJECT, TAKES_TEXT, Table, Union,
};
use crate::config::{self, Connect, Presence, Recursion, Unions, Unsigned, Uuids};
use crate::decode::columns::{Column, Layout, Leaf};
use crate::decode::readers::{DEFAULT, Exact, Readers, UNIT, join, scrubbed};
use crate::decode::{Options, codes as shared};
use crate::error::Fault;
use crate::evolve::UNION;

/// Name of the one column of a schema that is no object.
const VALUE: &str = "value";
/// Name of the column of members without columns.
const EXTRA: &str = "_extra";
/// Digits of a decimal whose precision nobody says.
const PRECISION: u32 = 38;
/// The same as Confluent's converters have it.
const CONNECT_PRECISION: u32 = 64;

/// A column, unless the type is dropped, and how to read it.
type Made = (Option<Column>, Step);

pub(super) struct Compiler<'a> {
    options: &'a Options,
    /// Settings of Confluent's converter, if its columns are asked for.
    connect: Option<Connect>,
    readers: Readers,
    record_name: &'a str,
    pub(super) layout: Layout,
    pub(super) notes: Vec<String>,
    /// Entries of the state that tables use.
    pub(super) entries: u32,
    /// Buffers of the state for members without columns.
    pub(super) buffers: u32,
    /// Objects and lists that enclose the value at hand.
    depth: u32,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(options: &'a Options, record_name: &'a str, notes: Vec<String>) -> Self {
        Self {
            options,
            connect: options.value.dialect.connect(),
            readers: Readers::of(options),
            record_name,
            layout: Layout::default(),
            notes,
            entries: 0,
            buffers: 0,
            depth: 0,
        }
    }

    /// The top level: an object's members are the columns; anything else is one column.
    pub(super) fn root(&mut self, shape: &Shape) -> Result<(Vec<Column>, Node), Fault> {
        if let Kind::Struct(s) = &shape.kind
            && !s.fields.is_empty()
        {
            let (columns, table) = self.table("", s, ObjectInto::Row)?;
            let step = Step::Object(Box::new(table));
            return Ok((columns, Node { step, nullable: false }));
        }
        let (column, node) = self.made(VALUE, VALUE, shape, false)?;
        Ok((column.into_iter().collect(), node))
    }

    /// A member's name as its column has it.
    fn named<'n>(&self, name: &'n str) -> Cow<'n, str> {
        match self.connect {
            Some(connect) if connect.scrub_invalid_names => scrubbed(name),
            _ => name.into(),
        }
    }

    fn lenient(&self) -> bool {
        self.options.value.presence == Presence::Nullable
    }

    /// Levels that a value at hand may still have.
    fn levels(&self) -> u32 {
        self.options.limits.depth.saturating_sub(self.depth)
    }

    /// A column within the bounds; `absent`: there may be no value.
    fn made(
        &mut self,
        path: &str,
        name: &str,
        shape: &Shape,
        absent: bool,
    ) -> Result<(Option<Column>, Node), Fault> {
        self.layout.check(self.record_name)?;
        let nullable = shape.nullable || absent || self.lenient();
        let (column, step) = self.column(path, name, &shape.kind, nullable)?;
        Ok((column, Node { step, nullable }))
    }

    /// What is inside the value at hand, one level deeper.
    fn inside<T>(
        &mut self,
        path: &str,
        make: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.depth >= self.options.limits.depth {
            return Err(Fault::new(
                &shared::DEPTH,
                format!(
                    "schema of `{}`: field `{path}` is nested more than {} levels deep, at most `limits.depth` allowed; raise it if the schema is honest",
                    self.record_name, self.options.limits.depth
                ),
            ));
        }
        self.depth += 1;
        let made = make(self);
        self.depth -= 1;
        made
    }

    fn column(
        &mut self,
        path: &str,
        name: &str,
        kind: &Kind,
        nullable: bool,
    ) -> Result<Made, Fault> {
        match kind {
            Kind::Struct(s) if s.fields.is_empty() && s.open => {
                Ok(self.json(name, Leaf::Json, nullable))
            }
            Kind::Struct(s) => self.structure(path, name, s, nullable),
            Kind::List(item) => {
                let (element, item) =
                    self.inside(path, |c| c.made(&format!("{path}[]"), "element", item, false))?;
                let Some(element) = element else { return Ok(self.skip()) };
                let width = element.width();
                let column = self.layout.list(name, nullable, element);
                let list = column.slot().index();
                Ok((Some(column), Step::List(Box::new(Items { list, key: 0, width, item }))))
            }
            Kind::Map(value) => {
                let (value, item) =
                    self.inside(path, |c| c.made(&format!("{path}[]"), "value", value, false))?;
                let Some(value) = value else { return Ok(self.skip()) };
                let key = self.layout.leaf("key", Leaf::Utf8, false);
                let width = key.width().saturating_add(value.width());
                let key_slot = key.slot().index();
                let column = self.layout.map(name, nullable, key, value);
                let list = column.slot().index();
                Ok((Some(column), Step::Map(Box::new(Items { list, key: key_slot, width, item }))))
            }
            Kind::Pairs { key, value, objects } => {
                self.pairs(path, name, [key, value], *objects, nullable)
            }
            Kind::Union(_) if self.options.value.unions == Unions::Json => {
                Ok(self.json(name, Leaf::Json, nullable))
            }
            Kind::Union(branches) => self.union(path, name, branches, nullable),
            Kind::Recursive => Ok(match self.options.value.recursion {
                Recursion::Drop => self.skip(),
                Recursion::Json => self.json(name, Leaf::Json, nullable),
                Recursion::Bytes => self.json(name, Leaf::Binary, nullable),
            }),
            leaf => Ok(self.leaf(path, name, leaf, nullable)),
        }
    }

    fn json(&mut self, name: &str, leaf: Leaf, nullable: bool) -> Made {
        let column = self.layout.leaf(name, leaf, nullable);
        let slot = column.slot().index();
        (Some(column), Step::Json { slot, levels: self.levels() })
    }

    fn skip(&self) -> Made {
        (None, Step::Skip { levels: self.levels() })
    }

    fn structure(
        &mut self,
        path: &str,
        name: &str,
        s: &Struct,
        nullable: bool,
    ) -> Result<Made, Fault> {
        let (columns, mut table) = self.table(path, s, ObjectInto::Row)?;
        // Parquet has no group without members.
        let column = if columns.is_empty() {
            let column = self.layout.leaf(name, Leaf::Bool, nullable);
            table.into = ObjectInto::Presence(column.slot().index());
            column
        } else {
            let column = self.layout.group(name, nullable, columns);
            table.into = ObjectInto::Group(column.slot().index());
            column
        };
        Ok((Some(column), Step::Object(Box::new(table))))
    }

    fn table(
        &mut self,
        path: &str,
        s: &Struct,
        into: ObjectInto,
    ) -> Result<(Vec<Column>, Table), Fault> {
        let keep = s.open && self.options.value.extra == config::Extra::Keep;
        let names = s.fields.iter().map(|field| self.named(&field.name));
        let names: Vec<_> = names.chain(keep.then_some(Cow::Borrowed(EXTRA))).collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let unique = self.readers.names(path, &names, &mut self.notes);
        let mut columns = Vec::with_capacity(names.len());
        let mut slots = Vec::with_capacity(s.fields.len());
        for (field, name) in s.fields.iter().zip(&unique) {
            let (column, slot) = self.inside(path, |c| c.field(&join(path, name), name, field))?;
            columns.extend(column);
            slots.push(slot);
        }
        let extra = keep.then(|| {
            let name = unique.last().map_or(EXTRA, String::as_str);
            let column = self.layout.leaf(name, Leaf::Json, true);
            let slot = column.slot().index();
            columns.push(column);
            self.buffers += 1;
            Extra { slot, buffer: self.buffers - 1 }
        });
        let base = self.entries;
        self.entries += slots.len() as u32 + 1;
        let table = Table {
            into,
            base,
            by_name: slots
                .iter()
                .zip(0..)
                .map(|(slot, index)| (slot.name.as_bytes().into(), index))
                .collect(),
            required: slots.iter().filter(|slot| slot.required).count() as u32,
            fills: slots.iter().any(|slot| slot.filled.is_some()),
            fields: slots.into(),
            extra,
            levels: self.levels().saturating_sub(1),
        };
        Ok((columns, table))
    }

    fn field(
        &mut self,
        path: &str,
        name: &str,
        field: &Field,
    ) -> Result<(Option<Column>, Slot), Fault> {
        // Confluent's converter does not ask whether a property must be there.
        let lenient = self.connect.is_none_or(|connect| connect.use_optional_for_nonrequired);
        let absent =
            !field.required && lenient && (field.filled.is_none() || self.connect.is_some());
        let (column, node) = self.made(path, name, &field.shape, absent)?;
        let column = match &field.said {
            Some(default) => column.map(|column| column.with(DEFAULT, default)),
            None => column,
        };
        let quoted = serde_json::Value::from(field.name.as_str()).to_string();
        let slot = Slot {
            key: format!("{quoted}:").into_bytes().into(),
            name: field.name.as_str().into(),
            // A missing value is null where the column takes nulls.
            required: (field.required || !lenient)
                && field.filled.is_none()
                && !node.nullable
                && column.is_some(),
            filled: field.filled.as_deref().map(Into::into),
            node,
            column: column.clone(),
        };
        Ok((column, slot))
    }

    fn pairs(
        &mut self,
        path: &str,
        name: &str,
        [key, value]: [&Shape; 2],
        objects: bool,
        nullable: bool,
    ) -> Result<Made, Fault> {
        if let Some(connect) = self.connect {
            return self.connect_pairs(connect, path, name, [key, value], objects, nullable);
        }
        if key.nullable || !matches!(key.kind, Kind::Int { .. } | Kind::Text(_) | Kind::Bool) {
            self.notes.push(format!("{path}: map with keys of that type → JSON text"));
            return Ok(self.json(name, Leaf::Json, nullable));
        }
        let levels = self.levels().saturating_sub(2);
        let (key, value) = self.inside(path, |c| {
            c.inside(path, |c| {
                let key = c.column(&format!("{path}[]"), "key", &key.kind, false)?;
                Ok((key, c.made(&format!("{path}[]"), "value", value, false)?))
            })
        })?;
        let ((Some(key), key_step), (Some(value), value_node)) = (key, value) else {
            return Ok(self.skip());
        };
        let width = key.width().saturating_add(value.width());
        let columns = [key.clone(), value.clone()];
        let column = self.layout.map(name, nullable, key, value);
        let list = column.slot().index();
        let parts = [Node { step: key_step, nullable: false }, value_node];
        let step = Step::Pairs(Box::new(Pairs { list, width, objects, parts, columns, levels }));
        Ok((Some(column), step))
    }

    /// A map as Confluent's sink has it: a map if its keys are text, else a list of keys and values.
    fn connect_pairs(
        &mut self,
        connect: Connect,
        path: &str,
        name: &str,
        [key, value]: [&Shape; 2],
        objects: bool,
        nullable: bool,
    ) -> Result<Made, Fault> {
        let text = matches!(key.kind, Kind::Text(_));
        let is_map = text && (!key.nullable || connect.allow_optional_map_keys);
        let scalar = text || matches!(key.kind, Kind::Int { .. } | Kind::Bool);
        let levels = self.levels().saturating_sub(2);
        let ((key_column, key_node), (value_column, value_node)) = self.inside(path, |c| {
            c.inside(path, |c| {
                let path = format!("{path}[]");
                let absent = key.nullable && !is_map;
                let (column, step) = c.column(&path, "key", &key.kind, absent)?;
                let key = (column, Node { step, nullable: absent });
                Ok((key, c.made(&path, "value", value, false)?))
            })
        })?;
        let (Some(key_column), Some(value_column)) = (key_column, value_column) else {
            return Ok(self.skip());
        };
        let width = key_column.width().saturating_add(value_column.width());
        let columns = [key_column.clone(), value_column.clone()];
        let column = if is_map {
            self.layout.map(name, nullable, key_column, value_column)
        } else if scalar && !key.nullable {
            self.layout.pairs(name, nullable, key_column, value_column)
        } else {
            // Keys that are null or of several columns are not compared.
            let members = vec![key_column.named("key"), value_column.named("value")];
            let entry = self.layout.group("element", false, members);
            self.layout.list(name, nullable, entry)
        };
        let list = column.slot().index();
        let parts = [key_node, value_node];
        let step = Step::Pairs(Box::new(Pairs { list, width, objects, parts, columns, levels }));
        Ok((Some(column), step))
    }

    /// A struct of which one member is there.
    fn union(
        &mut self,
        path: &str,
        name: &str,
        branches: &[Shape],
        nullable: bool,
    ) -> Result<Made, Fault> {
        let names: Vec<Cow<'_, str>> = (0..)
            .zip(branches)
            .map(|(index, branch): (usize, _)| match self.connect {
                None => branch.name.as_deref().unwrap_or_else(|| branch.kind.name()).into(),
                // The sink takes these for unions of Avro's, whose members have no names.
                Some(connect) if connect.generalized_sum_type_support => {
                    format!("member{index}").into()
                }
                Some(_) => {
                    let name = format!("io.confluent.connect.json.OneOf.field.{index}");
                    self.named(&name).into_owned().into()
                }
            })
            .collect();
        let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        let unique = self.readers.names(path, &names, &mut self.notes);
        let mut columns = Vec::with_capacity(branches.len());
        let mut steps = Vec::with_capacity(branches.len());
        for (shape, name) in branches.iter().zip(&unique) {
            let (column, node) = self.made(&join(path, name), name, shape, true)?;
            columns.extend(column);
            steps.push(branch(shape, name, node));
        }
        if columns.is_empty() {
            return Ok(self.skip());
        }
        if branches.iter().any(|shape| matches!(shape.kind, Kind::Text(Symbols(None)))) {
            // `"NaN"` is a number only where no text may be meant.
            let numbers =
                steps.iter_mut().filter(|branch| branch.takes == TAKES_NUMBER | TAKES_TEXT);
            numbers.for_each(|branch| branch.takes = TAKES_NUMBER);
        }
        // What may be anything comes last, so that what is something has its turn.
        steps.sort_by_key(|branch| branch.takes == u8::MAX);
        let column = self.layout.group(name, nullable, columns).with(UNION, "");
        let group = column.slot().index();
        let levels = self.levels();
        Ok((Some(column), Step::Union(Box::new(Union { group, branches: steps.into(), levels }))))
    }

    /// True if some reader refuses `exact`; then it is noted.
    fn refused(&mut self, exact: Exact, path: &str) -> bool {
        let note = self.readers.refuse(exact, path);
        let refused = note.is_some();
        self.notes.extend(note);
        refused
    }

    fn leaf(&mut self, path: &str, name: &str, kind: &Kind, nullable: bool) -> Made {
        let mut unit = None;
        let (leaf, step): (Leaf, fn(u32) -> Step) = match kind {
            Kind::Bool => (Leaf::Bool, Step::Bool),
            Kind::Int { most: 127, .. } => (Leaf::I32, |slot| Step::I32 { slot, bits: 8 }),
            Kind::Int { most: 32_767, .. } => (Leaf::I32, |slot| Step::I32 { slot, bits: 16 }),
            Kind::Int { small: true, .. } => (Leaf::I32, |slot| Step::I32 { slot, bits: 32 }),
            Kind::Int { least, most, .. } if *most > i64::MAX.into() => {
                return self.large(name, *least, *most, nullable);
            }
            Kind::Int { .. } => (Leaf::I64, Step::I64),
            Kind::Float32 => (Leaf::F32, Step::F32),
            Kind::Float64 => (Leaf::F64, Step::F64),
            Kind::Text(_) => (Leaf::Utf8, Step::Text),
            Kind::Written => (Leaf::Utf8, Step::Written),
            Kind::Bytes => (Leaf::Binary, Step::Bytes),
            Kind::Date => (Leaf::Date32, Step::Date),
            Kind::Days => (Leaf::Date32, |slot| Step::I32 { slot, bits: 32 }),
            Kind::DateTime => {
                (Leaf::Timestamp { unit: TimeUnit::Microsecond, utc: true }, Step::DateTime)
            }
            Kind::Instant(unit) => (Leaf::Timestamp { unit: *unit, utc: true }, Step::I64),
            Kind::Time if self.refused(Exact::Time, path) => {
                unit = Some("us");
                (Leaf::I64, Step::Time)
            }
            Kind::Time => (Leaf::Time(TimeUnit::Microsecond), Step::Time),
            Kind::Millis if self.refused(Exact::Time, path) => {
                unit = Some("ms");
                (Leaf::I64, |slot| Step::Millis { slot, wide: true })
            }
            Kind::Millis => {
                (Leaf::Time(TimeUnit::Millisecond), |slot| Step::Millis { slot, wide: false })
            }
            Kind::Uuid if self.options.value.uuids == Uuids::Text => (Leaf::Utf8, Step::Text),
            Kind::Uuid if self.refused(Exact::Uuid, path) => (Leaf::Utf8, Step::Text),
            Kind::Uuid => (Leaf::Uuid, Step::Uuid),
            Kind::Decimal { precision, scale } => {
                return self.decimal(path, name, *precision, *scale, nullable);
            }
            Kind::Null => (Leaf::Null, |_| Step::Nothing),
            // What is made of other shapes has its own function.
            _ => return self.json(name, Leaf::Json, nullable),
        };
        let column = self.layout.leaf(name, leaf, nullable);
        let step = step(column.slot().index());
        (Some(unit.into_iter().fold(column, |column, unit| column.with(UNIT, unit))), step)
    }

    fn large(&mut self, name: &str, least: i128, most: i128, nullable: bool) -> Made {
        let unsigned = most <= u64::MAX.into();
        let native = unsigned && self.options.value.unsigned == Unsigned::Native;
        let leaf = match (native, unsigned) {
            (true, _) => Leaf::U64,
            (false, true) => Leaf::Decimal128(20, 0),
            (false, false) => Leaf::Decimal128(38, 0),
        };
        let column = self.layout.leaf(name, leaf, nullable);
        let slot = column.slot().index();
        (Some(column), Step::Large(Box::new(Large { slot, least, most, native })))
    }

    fn decimal(
        &mut self,
        path: &str,
        name: &str,
        precision: u32,
        scale: i32,
        nullable: bool,
    ) -> Made {
        // Parquet has no scale below zero.
        let places = scale.max(0) as u32;
        let unsaid = if self.connect.is_some() { CONNECT_PRECISION } else { PRECISION };
        let digits = if precision == 0 { unsaid } else { precision };
        let digits = digits.max(places).saturating_add(scale.min(0).unsigned_abs());
        let (leaf, into) = match digits {
            0..=38 => (Leaf::Decimal128(digits as u8, places as i8), DecimalInto::I128),
            39..=76 if !self.refused(Exact::WideDecimal, path) => {
                (Leaf::Decimal256(digits as u8, places as i8), DecimalInto::I256)
            }
            _ => (Leaf::Utf8, DecimalInto::Text),
        };
        let column = self.layout.leaf(name, leaf, nullable);
        let slot = column.slot().index();
        let precision = digits.min(255) as u8;
        (Some(column), Step::Decimal(Box::new(Decimal { slot, into, precision, scale })))
    }
}

/// What values a branch takes, and what tells its objects from others.
fn branch(shape: &Shape, name: &str, node: Node) -> Branch {
    let texts = |symbols: &Symbols| {
        let texts = symbols.0.as_ref()?;
        Some(texts.iter().map(|text| text.as_bytes().into()).collect())
    };
    let takes = match &shape.kind {
        Kind::Null => 0,
        Kind::Bool => TAKES_BOOL,
        Kind::Int { .. } | Kind::Days | Kind::Millis | Kind::Instant(_) => TAKES_NUMBER,
        Kind::Float32 | Kind::Float64 | Kind::Decimal { .. } => TAKES_NUMBER | TAKES_TEXT,
        Kind::Text(_) | Kind::Bytes | Kind::Date => TAKES_TEXT,
        Kind::Time | Kind::DateTime | Kind::Uuid => TAKES_TEXT,
        Kind::List(_) | Kind::Pairs { .. } => TAKES_LIST,
        Kind::Map(_) | Kind::Struct(_) => TAKES_OBJECT,
        Kind::Written => TAKES_BOOL | TAKES_NUMBER | TAKES_TEXT,
        Kind::Any | Kind::Recursive | Kind::Union(_) => u8::MAX,
    };
    let members = match &shape.kind {
        Kind::Struct(s) => {
            let mut members = Members { closed: !s.open, ..Members::default() };
            for field in &s.fields {
                let symbols = match &field.shape.kind {
                    Kind::Text(symbols) => texts(symbols),
                    _ => None,
                };
                let member = Member { required: field.required, symbols };
                members.known.insert(field.name.as_bytes().into(), member);
            }
            for name in &s.required {
                members.known.entry(name.as_bytes().into()).or_default().required = true;
            }
            members.required = members.known.values().filter(|m| m.required).count() as u32;
            Some(members)
        }
        _ => None,
    };
    let symbols = match &shape.kind {
        Kind::Text(symbols) => texts(symbols),
        _ => None,
    };
    Branch { name: name.into(), node, takes, symbols, members }
}
