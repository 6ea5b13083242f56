//! Descriptors → tables and columns. Slow and fallible, once per schema.

mod connect;
mod known;

use std::collections::{BTreeSet, HashMap};

use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use prost_reflect::{EnumDescriptor, Kind as Type, MessageDescriptor};

pub use known::{is_field_mask, is_wrapper};

use super::json;
use super::plan::{DecimalType, EnumNames, Kept, Kind, NONE, Op, Program, Table};
use super::source::{Source, enum_default, enum_names};
use crate::config::{
    Connect, Enums, FieldIds, Presence, Recursion, TimestampUnit, UnknownFields, Unsigned,
};
use crate::decode::codes;
use crate::decode::columns::{COLUMNS_MAX, Column, Layout, Leaf, Slot};
use crate::decode::readers::{DEFAULT, FIELD_NUMBER, Readers, join};
use crate::decode::{Compiled, Options};
use crate::error::Fault;
use crate::registry::compile::Facts;

/// Most fields looked at for one plan.
const WALKED_MAX: usize = 4 * COLUMNS_MAX;

/// A column with the op that fills it.
type Made = (Column, Op);

/// Compiles one message and all it holds.
pub fn compile(
    message: &MessageDescriptor,
    facts: &Facts,
    options: &Options,
) -> Result<Compiled<Program>, Fault> {
    let mut compiler = Compiler {
        options,
        connect: options.value.dialect.connect(),
        facts,
        readers: Readers::of(options),
        record_name: message.full_name().to_owned(),
        layout: Layout::default(),
        tables: Vec::new(),
        enums: Vec::new(),
        enum_ids: HashMap::new(),
        decimals: Vec::new(),
        members: Vec::new(),
        oneofs: 0,
        json: json::Types::default(),
        pending: Vec::new(),
        notes: Vec::new(),
        walked: 0,
        unit: connect::timestamp_unit(options),
        binary: options.value.binary.iter().cloned().collect(),
        met: BTreeSet::new(),
        stack: Vec::new(),
    };
    let (mut columns, root) = compiler.message(message, "")?;
    let kept = match options.value.unknown_fields {
        UnknownFields::Keep if !columns.is_empty() => Some(compiler.keep_unknown(&mut columns)),
        _ => None,
    };
    compiler.note_unused_paths();
    let shape = compiler.layout.finish(message.full_name(), columns)?;
    let program = Program {
        record_name: compiler.record_name.clone(),
        tables: compiler.tables,
        root,
        enums: compiler.enums,
        decimals: compiler.decimals,
        members: compiler.members,
        oneofs: compiler.oneofs,
        json: compiler.json,
        pending: compiler.pending,
        depth: options.limits.depth,
        truncate: options.value.truncate_timestamps,
        unit: compiler.unit,
        kept,
    };
    Ok(Compiled { shape, record_name: compiler.record_name, notes: compiler.notes, program })
}

struct Compiler<'a> {
    options: &'a Options,
    /// Settings of Confluent's converter, if its columns are asked for.
    connect: Option<Connect>,
    facts: &'a Facts,
    readers: Readers,
    record_name: String,
    layout: Layout,
    tables: Vec<Table>,
    enums: Vec<EnumNames>,
    enum_ids: HashMap<String, u32>,
    decimals: Vec<DecimalType>,
    members: Vec<Column>,
    oneofs: u32,
    json: json::Types,
    pending: Vec<String>,
    notes: Vec<String>,
    walked: usize,
    unit: TimestampUnit,
    /// Paths of string fields to keep as bytes, and those of them that there are.
    binary: BTreeSet<String>,
    met: BTreeSet<String>,
    /// Full names of the messages around the one at hand.
    stack: Vec<String>,
}

impl Compiler<'_> {
    /// The columns of a message's fields, and its table. May have no columns.
    fn message(
        &mut self,
        message: &MessageDescriptor,
        path: &str,
    ) -> Result<(Vec<Column>, u32), Fault> {
        self.stack.push(message.full_name().to_owned());
        let mut sources = Source::all(message, self.facts);
        let options = message.descriptor_proto().options.as_ref();
        if options.is_some_and(|options| options.message_set_wire_format()) {
            // Its extensions stand on the wire in groups that say their number.
            sources.clear();
            let name = message.full_name();
            let place = if path.is_empty() { "the record" } else { path };
            self.notes.push(format!(
                "{place}: `{name}` is a message set, its contents are unknown fields"
            ));
        }
        let first_oneof = self.oneofs;
        self.oneofs += message.oneofs().len() as u32;
        let mut ops = Vec::new();
        let columns = match self.connect {
            None => self.members(&sources, path, first_oneof, &mut ops)?,
            Some(connect) => {
                self.connect_members(message, &sources, path, (first_oneof, connect), &mut ops)?
            }
        };
        self.stack.pop();
        Ok((columns, self.table(path, ops)))
    }

    /// The columns of these fields, which share a struct; how each is filled goes to `ops`.
    fn members(
        &mut self,
        sources: &[Source],
        path: &str,
        first_oneof: u32,
        ops: &mut Vec<(String, Op)>,
    ) -> Result<Vec<Column>, Fault> {
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        let names = self.readers.names(path, &names, &mut self.notes);
        let mut columns = Vec::new();
        for (source, name) in sources.iter().zip(&names) {
            columns.extend(self.member(source, name, path, first_oneof, ops)?);
        }
        Ok(columns)
    }

    /// One of them; none if it is dropped.
    fn member(
        &mut self,
        source: &Source,
        name: &str,
        path: &str,
        first_oneof: u32,
        ops: &mut Vec<(String, Op)>,
    ) -> Result<Option<Column>, Fault> {
        self.layout.check(&self.record_name)?;
        self.walk()?;
        let Some((column, mut op)) = self.field(source, name, path)? else {
            let tag = source.number << 3 | super::wire::LEN;
            ops.push((source.name.clone(), self::op(tag, Kind::Dropped, 0)));
            return Ok(None);
        };
        let mut column = column.with(FIELD_NUMBER, source.number.to_string());
        if source.required {
            column = column.required();
        }
        if self.options.value.field_ids == FieldIds::Source {
            column = column.with(PARQUET_FIELD_ID_META_KEY, source.number.to_string());
        }
        if let Some(oneof) = source.oneof {
            op.oneof = first_oneof + oneof as u32;
            op.member = self.members.len() as u32;
            self.members.push(column.clone());
        }
        ops.push((source.name.clone(), op));
        Ok(Some(column))
    }

    /// The column of unknown fields, under a name that is free.
    fn keep_unknown(&mut self, columns: &mut Vec<Column>) -> Kept {
        let mut name = "_unknown".to_owned();
        while columns.iter().any(|column| column.name() == name) {
            name.push('_');
        }
        let path = self.layout.leaf("path", Leaf::Utf8, false);
        let bytes = self.layout.leaf("bytes", Leaf::Binary, false);
        let slots = (path.slot().index(), bytes.slot().index());
        let item = self.layout.group("element", false, vec![path, bytes]);
        let (group, width) = (item.slot().index(), item.width());
        let list = self.layout.list(&name, false, item);
        let kept = Kept { list: list.slot().index(), group, path: slots.0, bytes: slots.1, width };
        columns.push(list);
        kept
    }

    fn note_unused_paths(&mut self) {
        let missing = self.binary.difference(&self.met);
        self.notes.extend(
            missing
                .map(|path| format!("{path}: `value.binary` names it, no string field is there")),
        );
    }

    /// Counts one field. Where recursive fields are dropped, types that hold each other make walks far
    /// longer than their columns.
    fn walk(&mut self) -> Result<(), Fault> {
        self.walked += 1;
        if self.walked <= WALKED_MAX {
            return Ok(());
        }
        Err(Fault::new(
            &codes::TOO_WIDE,
            format!(
                "schema of `{}`: more than {WALKED_MAX} fields written out in full, at most {WALKED_MAX} allowed; split the topic",
                self.record_name
            ),
        ))
    }

    fn table(&mut self, path: &str, ops: Vec<(String, Op)>) -> u32 {
        self.tables.push(Table::new(path, ops));
        self.tables.len() as u32 - 1
    }

    /// One field as it stands in its message; none if it is dropped.
    fn field(&mut self, source: &Source, name: &str, path: &str) -> Result<Option<Made>, Fault> {
        let path = join(path, name);
        if let Some(connect) = self.connect {
            return self.connect_field(connect, source, name, &path);
        }
        if source.map {
            return self.map(source, name, &path);
        }
        if source.list {
            return self.list(source, name, (false, false), &path);
        }
        let scalar = !matches!(source.kind, Type::Message(_));
        let nullable =
            source.presence || !scalar || self.options.value.presence == Presence::Nullable;
        let made = self.value(source, name, nullable, &path)?;
        Ok(made.map(|(column, op)| match &source.default {
            Some(default) => (column.with(DEFAULT, default), op),
            None => (column, op),
        }))
    }

    /// Whether the list, and whether its elements are nullable.
    fn list(
        &mut self,
        source: &Source,
        name: &str,
        (nullable, elements): (bool, bool),
        path: &str,
    ) -> Result<Option<Made>, Fault> {
        let Some((element, mut op)) = self.value(source, name, elements, path)? else {
            return Ok(None);
        };
        op.width = element.width();
        let column = self.layout.list(name, nullable, element);
        op.list = column.slot().index();
        if source.packed && op.kind.is_packable() {
            op.tag = source.number << 3 | super::wire::LEN;
            op.packed = true;
        }
        Ok(Some((column, op)))
    }

    fn map(&mut self, source: &Source, name: &str, path: &str) -> Result<Option<Made>, Fault> {
        let Type::Message(entry) = &source.kind else { return Ok(None) };
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let (key, value) = (Source::field(&key, self.facts), Source::field(&value, self.facts));
        let key_path = join(path, "key");
        if self.binary.remove(&key_path) {
            self.notes
                .push(format!("{key_path}: keys of maps stay text, whatever `value.binary` says"));
            self.met.insert(key_path);
        }
        let Some((key, key_op)) = self.value(&key, "key", false, &join(path, "key"))? else {
            return Ok(None);
        };
        // An entry without a value has the default of its type; a date has none.
        let nullable =
            matches!(&value.kind, Type::Message(m) if known::has_no_default(m.full_name()));
        let Some((value, value_op)) =
            self.value(&value, "value", nullable, &join(path, "value"))?
        else {
            return Ok(None);
        };
        let width = key.width().saturating_add(value.width());
        let ops = vec![("key".to_owned(), key_op), ("value".to_owned(), value_op)];
        let column = self.layout.map(name, false, key, value);
        let mut op = op(source.number << 3 | super::wire::LEN, Kind::Map, column.slot().index());
        op.list = column.slot().index();
        op.aux = self.table(path, ops);
        op.width = width;
        Ok(Some((column, op)))
    }

    /// One value: of a singular field, of a list's element, of a map's key or value.
    fn value(
        &mut self,
        source: &Source,
        name: &str,
        nullable: bool,
        path: &str,
    ) -> Result<Option<Made>, Fault> {
        match &source.kind {
            Type::Message(message) => self.sub_message(source, message, name, nullable, path),
            Type::Enum(descriptor) => {
                Ok(Some(self.enumeration(source, descriptor, name, nullable)))
            }
            Type::String if self.binary.contains(path) => {
                self.met.insert(path.to_owned());
                let column = self.layout.leaf(name, Leaf::Binary, nullable);
                let tag = source.number << 3 | Kind::Bytes.wire();
                let op = op(tag, Kind::Bytes, column.slot().index());
                Ok(Some((column, op)))
            }
            kind => {
                let (leaf, kind) = match self.connect {
                    None => scalar(kind, self.options.value.unsigned),
                    Some(_) => {
                        self.note_loss(path, kind);
                        connect::scalar(kind)
                    }
                };
                let column = self.layout.leaf(name, leaf, nullable);
                let op = op(source.number << 3 | kind.wire(), kind, column.slot().index());
                Ok(Some((column, op)))
            }
        }
    }

    /// Names as plain text, not as an Arrow dictionary: `parquet` hashes each value either way, and
    /// schemas with one more symbol stay equal.
    fn enumeration(
        &mut self,
        source: &Source,
        descriptor: &EnumDescriptor,
        name: &str,
        nullable: bool,
    ) -> Made {
        if self.options.value.enums == Enums::Number {
            let column = self.layout.leaf(name, Leaf::I32, nullable);
            let tag = source.number << 3;
            let op = op(tag, Kind::EnumNumber, column.slot().index());
            return (column, op);
        }
        let id = match self.enum_ids.get(descriptor.full_name()) {
            Some(&id) => id,
            None => {
                let id = self.enums.len() as u32;
                let unknown = match self.connect {
                    None => String::new(),
                    Some(_) => connect::unknown_symbol(descriptor),
                };
                self.enums.push(enum_names(descriptor, &unknown));
                self.enum_ids.insert(descriptor.full_name().to_owned(), id);
                id
            }
        };
        let names = &self.enums[id as usize];
        let default = names.get(enum_default(&source.kind)).unwrap_or_default().to_owned();
        let longest = names.longest;
        let column = self.layout.leaf(name, Leaf::Utf8, nullable).wider(longest);
        // Where the column takes nulls, the default is not written: nobody fills it.
        let column =
            if nullable && self.connect.is_none() { column } else { column.with_default(&default) };
        let mut op = op(source.number << 3, Kind::EnumName, column.slot().index());
        op.aux = id;
        (column, op)
    }

    fn sub_message(
        &mut self,
        source: &Source,
        message: &MessageDescriptor,
        name: &str,
        nullable: bool,
        path: &str,
    ) -> Result<Option<Made>, Fault> {
        if let Some(made) = self.known(source, message, name, nullable, path)? {
            return Ok(Some(made));
        }
        let recursive = self.stack.iter().any(|around| around == message.full_name());
        if recursive || self.stack.len() >= self.options.limits.depth as usize {
            return Ok(self.recursive(source, message, name, nullable, path));
        }
        let (members, table) = self.message(message, path)?;
        let (column, kind) = match members.is_empty() {
            true => (self.layout.leaf(name, Leaf::Bool, nullable), Kind::Presence),
            false => (self.layout.group(name, nullable, members), Kind::Message),
        };
        let kind = if source.group { Kind::Group } else { kind };
        let mut op = op(source.number << 3 | kind.wire(), kind, column.slot().index());
        op.aux = table;
        if source.group && matches!(column.slot(), Slot::Bool(_)) {
            op.kind = Kind::GroupPresence;
        }
        Ok(Some((column, op)))
    }

    fn recursive(
        &mut self,
        source: &Source,
        message: &MessageDescriptor,
        name: &str,
        nullable: bool,
        path: &str,
    ) -> Option<Made> {
        let (leaf, kind) = match self.options.value.recursion {
            Recursion::Json if source.group => (Leaf::Json, Kind::JsonGroup),
            Recursion::Json => (Leaf::Json, Kind::Json),
            Recursion::Bytes if source.group => (Leaf::Binary, Kind::RawGroup),
            Recursion::Bytes => (Leaf::Binary, Kind::Raw),
            Recursion::Drop => {
                self.notes.push(format!("{path}: dropped, `{}` is recursive", message.full_name()));
                return None;
            }
        };
        let what = if leaf == Leaf::Json { "JSON" } else { "bytes" };
        self.notes.push(format!("{path}: as {what}, `{}` is recursive", message.full_name()));
        let column = self.layout.leaf(name, leaf, nullable);
        match leaf {
            Leaf::Json => Some(self.json(source, message, column, nullable, kind, path)),
            _ => {
                let op = op(source.number << 3 | kind.wire(), kind, column.slot().index());
                Some((column, op))
            }
        }
    }

    fn json(
        &mut self,
        source: &Source,
        message: &MessageDescriptor,
        column: Column,
        nullable: bool,
        kind: Kind,
        path: &str,
    ) -> Made {
        let mut op = op(source.number << 3 | kind.wire(), kind, column.slot().index());
        op.aux = self.json.add(message, self.facts);
        op.pending = self.pending.len() as u32;
        self.pending.push(path.to_owned());
        let empty = json::empty(message.full_name());
        (if nullable && self.connect.is_none() { column } else { column.with_default(empty) }, op)
    }
}

fn scalar(kind: &Type, unsigned: Unsigned) -> (Leaf, Kind) {
    let widen = unsigned == Unsigned::Widen;
    let wide = Leaf::Decimal128(20, 0);
    match kind {
        Type::Double => (Leaf::F64, Kind::Double),
        Type::Float => (Leaf::F32, Kind::Float),
        Type::Int32 => (Leaf::I32, Kind::Int32),
        Type::Int64 => (Leaf::I64, Kind::Int64),
        Type::Uint32 if widen => (Leaf::I64, Kind::Uint32Wide),
        Type::Uint32 => (Leaf::U32, Kind::Uint32),
        Type::Uint64 if widen => (wide, Kind::Uint64Wide),
        Type::Uint64 => (Leaf::U64, Kind::Uint64),
        Type::Sint32 => (Leaf::I32, Kind::Sint32),
        Type::Sint64 => (Leaf::I64, Kind::Sint64),
        Type::Fixed32 if widen => (Leaf::I64, Kind::Fixed32Wide),
        Type::Fixed32 => (Leaf::U32, Kind::Fixed32),
        Type::Fixed64 if widen => (wide, Kind::Fixed64Wide),
        Type::Fixed64 => (Leaf::U64, Kind::Fixed64),
        Type::Sfixed32 => (Leaf::I32, Kind::Sfixed32),
        Type::Sfixed64 => (Leaf::I64, Kind::Sfixed64),
        Type::Bool => (Leaf::Bool, Kind::Bool),
        Type::String => (Leaf::Utf8, Kind::String),
        // Messages and enums do not come here.
        Type::Bytes | Type::Message(_) | Type::Enum(_) => (Leaf::Binary, Kind::Bytes),
    }
}

fn op(tag: u32, kind: Kind, slot: u32) -> Op {
    Op {
        tag,
        number: tag >> 3,
        kind,
        slot,
        list: NONE,
        packed: false,
        aux: NONE,
        pending: NONE,
        width: 0,
        oneof: NONE,
        member: NONE,
        group: NONE,
        next: 0,
    }
}
