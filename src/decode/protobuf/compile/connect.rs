//! Fields as Confluent's converter and the Parquet format of its S3 sink lay them out.
//!
//! Source: `protobuf-converter`, `avro-data` and the sink's Parquet writer, read for what they do (8.4). Every
//! field is nullable there unless a setting says otherwise, also where the schema gives it a value when it
//! is absent: such columns are *filled*.

use prost_reflect::{EnumDescriptor, Kind as Type, MessageDescriptor};

use super::{Compiler, Made, known, op};
use crate::config::{Connect, Enums, TimestampUnit};
use crate::decode::Options;
use crate::decode::columns::{Column, Leaf};
use crate::decode::protobuf::plan::{Kind, Op};
use crate::decode::protobuf::source::Source;
use crate::decode::protobuf::wire::LEN;
use crate::decode::readers::join;
use crate::error::Fault;

/// The unit of timestamps.
pub(super) fn timestamp_unit(options: &Options) -> TimestampUnit {
    match options.value.dialect.connect() {
        Some(_) => TimestampUnit::Ms,
        None => options.value.timestamps,
    }
}

/// Unsigned numbers of 64 bits keep their bits and lose their sign.
pub(super) fn scalar(kind: &Type) -> (Leaf, Kind) {
    match kind {
        Type::Uint64 => (Leaf::I64, Kind::Int64),
        Type::Fixed64 => (Leaf::I64, Kind::Sfixed64),
        kind => super::scalar(kind, crate::config::Unsigned::Widen),
    }
}

/// What stands before the number of a symbol that an enum does not have.
pub(super) fn unknown_symbol(descriptor: &EnumDescriptor) -> String {
    format!("UNKNOWN_ENUM_VALUE_{}_", descriptor.name())
}

impl Compiler<'_> {
    /// Says what the column cannot hold.
    pub(super) fn note_loss(&mut self, path: &str, kind: &Type) {
        let name = kind.as_message().map(|m| m.full_name().to_owned());
        let loss = match (kind, name.as_deref()) {
            (Type::Uint64 | Type::Fixed64, _) => "from 9223372036854775808 on negative",
            (_, Some("google.protobuf.Timestamp" | "google.type.TimeOfDay")) => {
                "cut to the millisecond"
            }
            _ => return,
        };
        self.notes.push(format!("{path}: {loss}, by `dialect: confluent`"));
    }

    /// The columns of a message: its oneofs, then its other fields. Extensions are unknown to the
    /// converter.
    pub(super) fn connect_members(
        &mut self,
        message: &MessageDescriptor,
        sources: &[Source],
        path: &str,
        (first_oneof, connect): (u32, Connect),
        ops: &mut Vec<(String, Op)>,
    ) -> Result<Vec<Column>, Fault> {
        let (own, extensions): (Vec<&Source>, Vec<&Source>) =
            sources.iter().partition(|source| !source.name.starts_with('['));
        for extension in extensions {
            let path = join(path, &extension.name);
            self.notes.push(format!("{path}: an unknown field, by `dialect: confluent`"));
        }
        let (chosen, others): (Vec<Source>, Vec<Source>) =
            own.into_iter().cloned().partition(|source| source.oneof.is_some());
        let oneofs: Vec<(u32, String, Vec<Source>)> = (0..)
            .zip(message.oneofs())
            .map(|(index, oneof)| {
                let members = chosen.iter().filter(|s| s.oneof == Some(index as usize));
                let name = match connect.generate_index_for_unions {
                    true => format!("{}_{index}", oneof.name()),
                    false => oneof.name().to_owned(),
                };
                (index, name, members.cloned().collect())
            })
            .filter(|(_, _, members): &(u32, String, Vec<Source>)| !members.is_empty())
            .collect();
        if connect.flatten_unions {
            let all: Vec<Source> =
                oneofs.into_iter().flat_map(|(.., members)| members).chain(others).collect();
            return self.members(&all, path, first_oneof, ops);
        }
        let names = oneofs.iter().map(|(_, name, _)| name.as_str());
        let names: Vec<&str> = names.chain(others.iter().map(|s| s.name.as_str())).collect();
        let names = self.readers.names(path, &names, &mut self.notes);
        let mut columns = Vec::with_capacity(names.len());
        for ((.., members), name) in oneofs.iter().zip(&names) {
            columns.extend(self.oneof(members, name, path, (first_oneof, connect), ops)?);
        }
        for (source, name) in others.iter().zip(names.iter().skip(oneofs.len())) {
            columns.extend(self.member(source, name, path, first_oneof, ops)?);
        }
        Ok(columns)
    }

    /// A oneof as the struct of its members, of which one is there.
    fn oneof(
        &mut self,
        members: &[Source],
        name: &str,
        path: &str,
        (first_oneof, connect): (u32, Connect),
        ops: &mut Vec<(String, Op)>,
    ) -> Result<Option<Column>, Fault> {
        let first = ops.len();
        let columns = self.members(members, &join(path, name), first_oneof, ops)?;
        if columns.is_empty() {
            return Ok(None);
        }
        let columns = match connect.generalized_sum_type_support {
            // The sink takes it for a union of Avro's, whose members have no names.
            true => {
                (0..).zip(columns).map(|(i, c): (u32, _)| c.named(&format!("member{i}"))).collect()
            }
            false => columns,
        };
        let column = self.layout.group(name, true, columns);
        for (_, op) in ops.iter_mut().skip(first).filter(|(_, op)| op.kind != Kind::Dropped) {
            op.group = column.slot().index();
        }
        Ok(Some(column))
    }

    /// One field as it stands in its message or oneof.
    pub(super) fn connect_field(
        &mut self,
        connect: Connect,
        source: &Source,
        name: &str,
        path: &str,
    ) -> Result<Option<Made>, Fault> {
        if source.map {
            return self.connect_map(connect, source, name, path);
        }
        if source.list {
            let made = self.list(source, name, (true, true), path)?;
            return Ok(made.map(|(column, op)| (column.filled(), op)));
        }
        let nullable = source.oneof.is_some() || is_nullable(connect, source);
        let Some((column, op)) = self.value(source, name, nullable, path)? else {
            return Ok(None);
        };
        let column = match &source.default {
            Some(default) => column.with(super::DEFAULT, default),
            None => column,
        };
        if source.oneof.is_some() || !fills(connect, source) {
            return Ok(Some((column, op)));
        }
        let column = match (&source.filling, &source.kind) {
            (Some(symbol), Type::Enum(of)) if self.options.value.enums == Enums::Number => {
                let number = of.get_value_by_name(symbol).map_or(0, |value| value.number());
                column.with_default(&number.to_string())
            }
            (Some(default), _) => column.with_default(default),
            (None, _) => column,
        };
        Ok(Some((column.filled(), op)))
    }

    /// A map of text keys that cannot be null, else a list of keys and values.
    fn connect_map(
        &mut self,
        connect: Connect,
        source: &Source,
        name: &str,
        path: &str,
    ) -> Result<Option<Made>, Fault> {
        let Type::Message(entry) = &source.kind else { return Ok(None) };
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let (key, value) = (Source::field(&key, self.facts), Source::field(&value, self.facts));
        let optional_key = is_nullable(connect, &key);
        let is_map =
            matches!(key.kind, Type::String) && (!optional_key || connect.allow_optional_map_keys);
        let key = self.value(&key, "key", optional_key && !is_map, &join(path, "key"))?;
        let no_default =
            matches!(&value.kind, Type::Message(m) if known::has_no_default(m.full_name()));
        let nullable = no_default || is_nullable(connect, &value);
        let value = self.value(&value, "value", nullable, &join(path, "value"))?;
        let (Some((key, key_op)), Some((value, value_op))) = (key, value) else {
            return Ok(None);
        };
        let (key, value) = (key.filled(), if no_default { value } else { value.filled() });
        let width = key.width().saturating_add(value.width());
        let ops = vec![("key".to_owned(), key_op), ("value".to_owned(), value_op)];
        let nullable = !connect.optional_for_nullables && !connect.wrapper_for_nullables;
        let column = match is_map {
            true => self.layout.map(name, nullable, key, value),
            false => self.layout.pairs(name, nullable, key, value),
        };
        let mut op = op(source.number << 3 | LEN, Kind::Map, column.slot().index());
        op.list = column.slot().index();
        op.aux = self.table(path, ops);
        op.width = width;
        Ok(Some((column.filled(), op)))
    }
}

fn is_nullable(connect: Connect, source: &Source) -> bool {
    let always = matches!(source.kind, Type::Message(_) | Type::Enum(_));
    let explicit = source.presence && !source.required;
    always || explicit || !(connect.optional_for_nullables || connect.wrapper_for_nullables)
}

/// Whether absence is the type's default.
fn fills(connect: Connect, source: &Source) -> bool {
    match &source.kind {
        Type::Message(message) => {
            let name = message.full_name();
            let json =
                ["google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"];
            connect.generate_struct_for_nulls
                && !known::has_no_default(name)
                && !json.contains(&name)
        }
        // Bytes that are no text have no default here.
        Type::Bytes if source.default.is_some() && source.filling.is_none() => false,
        _ => {
            let proto2 = source.presence && !source.optional;
            connect.generate_struct_for_nulls
                || !source.presence
                || proto2 && !connect.optional_for_proto2
        }
    }
}
