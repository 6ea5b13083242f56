//! Shapes → columns, and the steps that fill them. Slow and fallible; runs once per writer schema.

use arrow::datatypes::TimeUnit;

use super::decimal;
use super::shape::{Declared, Shape, ShapeId, Shapes, base_name};
use super::step::{
    Decimal, DecimalInto, Duration, Enum, Items, Record, RecordInto, Step, Union, Walked,
    WalkedUnion,
};
use super::text::is_plain;
use crate::config::{Connect, Recursion, Unions, Unsigned, Uuids};
use crate::decode::columns::{Column, Layout, Leaf};
use crate::decode::readers::{Exact, Readers, UNIT, join};
use crate::decode::{Options, codes as shared};
use crate::error::Fault;
use crate::evolve::{ALIASES, NAMES, UNION};

/// Longest `fixed` with a column of that width. A null takes the whole width there, so longer ones go to
/// a column of any length.
const FIXED_MAX: usize = 64 << 10;

/// Name of the one column of a schema that is not a record.
const VALUE: &str = "value";

/// A column, unless the type is dropped, and how to read it.
type Made = (Option<Column>, Step);

pub(super) struct Compiler<'a> {
    shapes: &'a Shapes,
    declared: &'a Declared,
    options: &'a Options,
    /// Settings of Confluent's converter, if its columns are asked for.
    connect: Option<Connect>,
    readers: Readers,
    pub(super) layout: Layout,
    pub(super) notes: Vec<String>,
    pub(super) record_name: String,
    /// Records that enclose the type at hand.
    open: Vec<ShapeId>,
    /// Nesting of the type at hand.
    depth: u32,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(shapes: &'a Shapes, declared: &'a Declared, options: &'a Options) -> Self {
        let root = &shapes[shapes.root];
        Self {
            shapes,
            declared,
            options,
            connect: options.value.dialect.connect(),
            readers: Readers::of(options),
            layout: Layout::default(),
            notes: shapes.notes.clone(),
            record_name: shapes.name(shapes.root).unwrap_or(base_name(root)).to_owned(),
            open: Vec::new(),
            depth: 0,
        }
    }

    /// The top level: a record's fields are the columns; anything else is one column.
    pub(super) fn root(&mut self) -> Result<(Vec<Column>, Step), Fault> {
        let id = self.shapes.root;
        if let Shape::Record { fields } = &self.shapes[id] {
            self.open.push(id);
            let (columns, mut record) = self.fields("", Some(id), fields)?;
            record.into = RecordInto::Row;
            return Ok((columns, Step::Record(Box::new(record))));
        }
        let (column, step) = self.made(VALUE, VALUE, id, false)?;
        Ok((column.into_iter().collect(), step))
    }

    /// One level deeper, within the bounds.
    fn made(&mut self, path: &str, name: &str, id: ShapeId, nullable: bool) -> Result<Made, Fault> {
        self.layout.check(&self.record_name)?;
        if self.depth >= self.options.limits.depth {
            return Err(Fault::new(
                &shared::DEPTH,
                format!(
                    "schema of `{}`: field `{path}` is nested {} levels deep, at most `limits.depth` of {} allowed; raise it if the schema is honest",
                    self.record_name,
                    self.depth + 1,
                    self.options.limits.depth
                ),
            ));
        }
        self.depth += 1;
        let made = self.column(path, name, id, nullable);
        self.depth -= 1;
        made
    }

    fn column(
        &mut self,
        path: &str,
        name: &str,
        id: ShapeId,
        nullable: bool,
    ) -> Result<Made, Fault> {
        let (column, step) = self.unnamed(path, name, id, nullable)?;
        let shapes = self.shapes;
        let names = match &shapes[id] {
            Shape::Record { .. } | Shape::Enum(_) | Shape::Fixed(_) => shapes.name(id),
            _ => None,
        };
        let Some(own) = names else { return Ok((column, step)) };
        let aliases = self.declared.aliases.get(&id).map(Vec::as_slice).unwrap_or_default();
        let all = std::iter::once(own).chain(aliases.iter().map(String::as_str));
        let all: Vec<&str> = all.filter_map(|name| name.rsplit('.').next()).collect();
        let names = serde_json::json!(all).to_string();
        Ok((column.map(|column| column.with(NAMES, names)), step))
    }

    /// The same, without the names of its type.
    fn unnamed(
        &mut self,
        path: &str,
        name: &str,
        id: ShapeId,
        nullable: bool,
    ) -> Result<Made, Fault> {
        let shapes = self.shapes;
        match &shapes[id] {
            Shape::Record { .. } if self.open.contains(&id) => Ok(self.edge(name, id, nullable)),
            Shape::Record { fields } => {
                self.open.push(id);
                let made = self.record(path, name, (id, fields), nullable);
                self.open.pop();
                made
            }
            Shape::Array(items) => self.array(path, name, id, *items, nullable),
            Shape::Map(values) => self.map(path, name, id, *values, nullable),
            Shape::Union(branches) => self.union(path, name, id, branches, nullable),
            Shape::Decimal { precision, scale, fixed } => {
                Ok(self.decimal(path, name, (*precision, *scale), *fixed, nullable))
            }
            Shape::Duration => Ok(self.duration(name, nullable)),
            leaf => Ok(self.leaf(path, name, leaf, nullable)),
        }
    }

    /// The columns of a record's fields, and the record without its place.
    fn fields(
        &mut self,
        path: &str,
        id: Option<ShapeId>,
        fields: &[(String, ShapeId)],
    ) -> Result<(Vec<Column>, Record), Fault> {
        let declared = id.and_then(|id| self.declared.fields.get(&id));
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let unique = self.readers.names(path, &names, &mut self.notes);
        let mut columns = Vec::with_capacity(fields.len());
        let mut steps = Vec::with_capacity(fields.len());
        for (at, ((_, id), name)) in fields.iter().zip(&unique).enumerate() {
            let (column, step) = self.made(&join(path, name), name, *id, false)?;
            let aliases = declared.and_then(|fields| fields.get(at)).map(|field| &field.aliases);
            columns.extend(column.map(|column| match aliases {
                Some(aliases) if !aliases.is_empty() => {
                    column.with(ALIASES, serde_json::json!(aliases).to_string())
                }
                _ => column,
            }));
            steps.push(step);
        }
        let record = Record {
            into: RecordInto::Row,
            steps: steps.into(),
            names: names.into_iter().map(Into::into).collect(),
        };
        Ok((columns, record))
    }

    fn record(
        &mut self,
        path: &str,
        name: &str,
        (id, fields): (ShapeId, &[(String, ShapeId)]),
        nullable: bool,
    ) -> Result<Made, Fault> {
        let (columns, mut record) = self.fields(path, Some(id), fields)?;
        // Parquet has no group without members.
        let column = if columns.is_empty() {
            let column = self.layout.leaf(name, Leaf::Bool, nullable);
            record.into = RecordInto::Presence(column.slot().index());
            column
        } else {
            let column = self.layout.group(name, nullable, columns);
            record.into = RecordInto::Group(column.slot().index());
            column
        };
        Ok((Some(column), Step::Record(Box::new(record))))
    }

    /// A record inside itself.
    fn edge(&mut self, name: &str, shape: ShapeId, nullable: bool) -> Made {
        match self.options.value.recursion {
            Recursion::Drop => self.skip(shape),
            Recursion::Json => {
                let column = self.layout.leaf(name, Leaf::Json, nullable);
                let walked = self.walked(&column, shape);
                (Some(column), Step::Json(Box::new(walked)))
            }
            Recursion::Bytes => {
                let column = self.layout.leaf(name, Leaf::Binary, nullable);
                let walked = self.walked(&column, shape);
                (Some(column), Step::Raw(Box::new(walked)))
            }
        }
    }

    /// A value at this depth that goes to `column` by its shape.
    fn walked(&self, column: &Column, shape: ShapeId) -> Walked {
        Walked { slot: column.slot().index(), shape, depth: self.depth_left() }
    }

    /// Levels below this one, itself counted.
    fn depth_left(&self) -> u32 {
        (self.options.limits.depth + 1).saturating_sub(self.depth)
    }

    fn skip(&self, shape: ShapeId) -> Made {
        (None, Step::Skip(Box::new(Walked { slot: 0, shape, depth: self.depth_left() })))
    }

    fn array(
        &mut self,
        path: &str,
        name: &str,
        id: ShapeId,
        items: ShapeId,
        nullable: bool,
    ) -> Result<Made, Fault> {
        if self.connect.is_some()
            && let Some(entry) = self.shapes.text_entry(items)
        {
            return self.entries(path, name, id, entry, nullable);
        }
        let (element, item) = self.made(&format!("{path}[]"), "element", items, false)?;
        let Some(element) = element else { return Ok(self.skip(id)) };
        let width = element.width();
        let column = self.layout.list(name, nullable, element);
        let may_be_empty = self.shapes.may_be_empty(items);
        let list = column.slot().index();
        let step = Step::Array(Box::new(Items { list, key: 0, width, may_be_empty, item }));
        Ok((Some(column), step))
    }

    /// An array of a map's entries as the map.
    fn entries(
        &mut self,
        path: &str,
        name: &str,
        id: ShapeId,
        fields: &[(String, ShapeId)],
        nullable: bool,
    ) -> Result<Made, Fault> {
        self.depth += 1;
        let made = self.fields(&format!("{path}[]"), None, fields);
        self.depth -= 1;
        let (columns, record) = made?;
        let Ok([key, value]) = <[Column; 2]>::try_from(columns) else { return Ok(self.skip(id)) };
        let width = key.width().saturating_add(value.width());
        let column = self.layout.map(name, nullable, key, value);
        let list = column.slot().index();
        let item = Step::Record(Box::new(record));
        let items = Items { list, key: 0, width, may_be_empty: false, item };
        Ok((Some(column), Step::Array(Box::new(items))))
    }

    fn map(
        &mut self,
        path: &str,
        name: &str,
        id: ShapeId,
        values: ShapeId,
        nullable: bool,
    ) -> Result<Made, Fault> {
        let (value, item) = self.made(&format!("{path}[]"), "value", values, false)?;
        let Some(value) = value else { return Ok(self.skip(id)) };
        let key = self.layout.leaf("key", Leaf::Utf8, false);
        let width = key.width().saturating_add(value.width());
        let key_slot = key.slot().index();
        let column = self.layout.map(name, nullable, key, value);
        let list = column.slot().index();
        let step =
            Step::Map(Box::new(Items { list, key: key_slot, width, may_be_empty: false, item }));
        Ok((Some(column), step))
    }

    fn union(
        &mut self,
        path: &str,
        name: &str,
        id: ShapeId,
        branches: &[(String, ShapeId)],
        nullable: bool,
    ) -> Result<Made, Fault> {
        let shapes = self.shapes;
        let null = branches.iter().position(|(_, branch)| shapes[*branch] == Shape::Null);
        let null = null.map(|index| index as u32);
        if !is_plain(shapes, branches) {
            return self.branches(path, name, id, branches, null, nullable || null.is_some());
        }
        match (branches, null) {
            ([first, second], Some(null)) => {
                let some = if null == 0 { second.1 } else { first.1 };
                let (column, step) = self.made(path, name, some, true)?;
                Ok((column, Step::Optional { null, some: Box::new(step) }))
            }
            ([_], None) if self.connect.is_some_and(|c| !c.flatten_singleton_unions) => {
                self.branches(path, name, id, branches, null, nullable)
            }
            ([(_, only)], None) => {
                let (column, step) = self.made(path, name, *only, nullable)?;
                Ok((column, Step::Single(Box::new(step))))
            }
            _ => {
                let column = self.layout.leaf(name, Leaf::Null, true);
                Ok((Some(column), Step::Nothing { branches: branches.len() as u32 }))
            }
        }
    }

    /// A union of several types: JSON text, or a struct of which one member is there.
    fn branches(
        &mut self,
        path: &str,
        name: &str,
        id: ShapeId,
        branches: &[(String, ShapeId)],
        null: Option<u32>,
        nullable: bool,
    ) -> Result<Made, Fault> {
        if self.options.value.unions == Unions::Json {
            let column = self.layout.leaf(name, Leaf::Json, nullable);
            let walked = self.walked(&column, id);
            let branches = branches.len() as u32;
            let union = WalkedUnion { null, branches, walked };
            return Ok((Some(column), Step::UnionJson(Box::new(union))));
        }
        let names: Vec<&str> = branches.iter().map(|(name, _)| name.as_str()).collect();
        let unique = match self.connect {
            None => self.readers.names(path, &names, &mut self.notes),
            Some(_) => members(branches.len(), null),
        };
        let mut columns = Vec::with_capacity(branches.len());
        let mut steps = Vec::with_capacity(branches.len());
        for (index, ((_, branch), name)) in branches.iter().zip(&unique).enumerate() {
            if Some(index as u32) == null {
                steps.push(Step::Null);
                continue;
            }
            let (column, step) = self.made(&join(path, name), name, *branch, true)?;
            columns.extend(column);
            steps.push(step);
        }
        if columns.is_empty() {
            return Ok(self.skip(id));
        }
        let column = self.layout.group(name, nullable, columns).with(UNION, "");
        let step = Step::Union(Box::new(Union {
            group: column.slot().index(),
            null,
            branches: steps.into(),
            names: names.into_iter().map(Into::into).collect(),
        }));
        Ok((Some(column), step))
    }

    /// True if some reader refuses `exact`; then it is noted.
    fn refused(&mut self, exact: Exact, path: &str) -> bool {
        let note = self.readers.refuse(exact, path);
        let refused = note.is_some();
        self.notes.extend(note);
        refused
    }

    fn uuid_is_text(&mut self, path: &str) -> bool {
        self.options.value.uuids == Uuids::Text || self.refused(Exact::Uuid, path)
    }

    fn decimal(
        &mut self,
        path: &str,
        name: &str,
        (precision, scale): (usize, usize),
        fixed: Option<usize>,
        nullable: bool,
    ) -> Made {
        let (leaf, into) = match precision {
            0..=38 => {
                let bound = decimal::bound_128(precision);
                (Leaf::Decimal128(precision as u8, scale as i8), DecimalInto::I128 { bound })
            }
            39..=76 if !self.refused(Exact::WideDecimal, path) => {
                (Leaf::Decimal256(precision as u8, scale as i8), DecimalInto::I256)
            }
            39..=decimal::TEXT_PRECISION_MAX => (Leaf::Utf8, DecimalInto::Text),
            _ => {
                self.notes.push(format!("{path}: decimal of {precision} digits kept as bytes"));
                let base = fixed.map_or(Shape::Bytes, Shape::Fixed);
                return self.leaf(path, name, &base, nullable);
            }
        };
        let column = self.layout.leaf(name, leaf, nullable);
        let slot = column.slot().index();
        let step = Step::Decimal(Box::new(Decimal { slot, into, fixed, precision, scale }));
        (Some(column), step)
    }

    fn duration(&mut self, name: &str, nullable: bool) -> Made {
        let native = self.options.value.unsigned == Unsigned::Native;
        let leaf = if native { Leaf::U32 } else { Leaf::I64 };
        let parts = ["months", "days", "millis"].map(|part| self.layout.leaf(part, leaf, false));
        let slots = [&parts[0], &parts[1], &parts[2]].map(|part| part.slot().index());
        let column = self.layout.group(name, nullable, parts.into());
        let group = column.slot().index();
        (Some(column), Step::Duration(Box::new(Duration { group, parts: slots, native })))
    }

    fn leaf(&mut self, path: &str, name: &str, shape: &Shape, nullable: bool) -> Made {
        let mut unit = None;
        let (leaf, step): (Leaf, fn(u32) -> Step) = match shape {
            Shape::Boolean => (Leaf::Bool, Step::Bool),
            Shape::Int => (Leaf::I32, Step::I32),
            Shape::Long => (Leaf::I64, Step::I64),
            Shape::Float => (Leaf::F32, Step::F32),
            Shape::Double => (Leaf::F64, Step::F64),
            Shape::Bytes => (Leaf::Binary, Step::Binary),
            Shape::String => (Leaf::Utf8, Step::Text),
            Shape::Enum(symbols) => return self.symbols(name, symbols, nullable),
            Shape::Fixed(size) => return self.fixed(path, name, *size, nullable),
            Shape::Date => (Leaf::Date32, Step::I32),
            Shape::Uuid { fixed } => match (self.uuid_is_text(path), fixed) {
                (true, false) => (Leaf::Utf8, Step::Text),
                (true, true) => (Leaf::Utf8, Step::UuidText),
                (false, false) => (Leaf::Uuid, Step::UuidParse),
                (false, true) => (Leaf::Uuid, |slot| Step::Fixed { slot, size: 16 }),
            },
            Shape::TimeMillis if self.refused(Exact::Time, path) => {
                unit = Some("ms");
                (Leaf::I64, Step::Wide)
            }
            Shape::TimeMicros if self.refused(Exact::Time, path) => {
                unit = Some("us");
                (Leaf::I64, Step::I64)
            }
            Shape::TimeMillis => (Leaf::Time(TimeUnit::Millisecond), Step::TimeMillis),
            Shape::TimeMicros => (Leaf::Time(TimeUnit::Microsecond), Step::TimeMicros),
            Shape::Timestamp { unit, utc } => {
                return self.timestamp(path, name, *unit, *utc, nullable);
            }
            // Only null is left: what is made of other shapes has its own function.
            _ => (Leaf::Null, |_| Step::Null),
        };
        let column = self.layout.leaf(name, leaf, nullable);
        let step = step(column.slot().index());
        (Some(unit.into_iter().fold(column, |column, unit| column.with(UNIT, unit))), step)
    }

    fn symbols(&mut self, name: &str, symbols: &[String], nullable: bool) -> Made {
        let column = self.layout.leaf(name, Leaf::Utf8, nullable);
        let symbols = symbols.iter().map(|symbol| symbol.as_str().into()).collect();
        let step = Step::Enum(Box::new(Enum { slot: column.slot().index(), symbols }));
        (Some(column), step)
    }

    fn fixed(&mut self, path: &str, name: &str, size: usize, nullable: bool) -> Made {
        // Parquet has no byte strings of length 0 either.
        if (1..=FIXED_MAX).contains(&size) {
            let column = self.layout.leaf(name, Leaf::Fixed(size as i32), nullable);
            let slot = column.slot().index();
            return (Some(column), Step::Fixed { slot, size: size as u32 });
        }
        self.notes.push(format!("{path}: fixed of {size} bytes → bytes of any length"));
        let column = self.layout.leaf(name, Leaf::Binary, nullable);
        let slot = column.slot().index();
        (Some(column), Step::FixedBinary { slot, size: size as u64 })
    }

    fn timestamp(
        &mut self,
        path: &str,
        name: &str,
        unit: TimeUnit,
        utc: bool,
        nullable: bool,
    ) -> Made {
        let coarse = unit == TimeUnit::Nanosecond && self.refused(Exact::TimestampNs, path);
        let unit = if coarse { TimeUnit::Microsecond } else { unit };
        let column = self.layout.leaf(name, Leaf::Timestamp { unit, utc }, nullable);
        let slot = column.slot().index();
        let truncate = self.options.value.truncate_timestamps;
        let step = if coarse { Step::Coarse { slot, truncate } } else { Step::I64(slot) };
        (Some(column), step)
    }
}

/// Names of a union's branches as Parquet's Avro writer numbers them, null left out.
fn members(branches: usize, null: Option<u32>) -> Vec<String> {
    let null = null.map_or(branches, |null| null as usize);
    (0..branches).map(|at| format!("member{}", if at > null { at - 1 } else { at })).collect()
}
