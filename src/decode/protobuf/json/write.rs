//! Wire bytes → JSON text.

mod scalars;

use std::collections::HashMap;
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

pub(super) use scalars::string;

use super::{Field, Form, Message, Scalar, Types};
use crate::decode::columns::Meter;
use crate::decode::protobuf::wire::{self, Outcome};

impl Types {
    /// Writes the message `id` of these bytes to `out`; gives the number of unknown fields in them.
    /// `depth` of `limit` levels may still open.
    pub fn write(
        &self,
        id: u32,
        body: &[u8],
        depth: u32,
        limit: u32,
        meter: &mut Meter,
        out: &mut Vec<u8>,
    ) -> Outcome<u64> {
        let mut writer = Writer { types: self, limit, meter, out, counted: 0, unknown: 0 };
        writer.message(id, body, depth)?;
        Ok(writer.unknown)
    }
}

struct Writer<'a> {
    types: &'a Types,
    limit: u32,
    meter: &'a mut Meter,
    out: &'a mut Vec<u8>,
    /// Bytes of `out` that the meter knows.
    counted: usize,
    unknown: u64,
}

/// One value of one field, where it stands in the body.
#[derive(Debug, Clone, Copy)]
struct Found<'b> {
    field: usize,
    /// Wire type it came with.
    wire: u32,
    /// The value; of a length-delimited one what its length speaks of; of a group without its end.
    bytes: &'b [u8],
}

impl Writer<'_> {
    fn message(&mut self, id: u32, body: &[u8], depth: u32) -> Outcome<()> {
        let message = &self.types.messages[id as usize];
        let found = self.gather(message, body, depth)?;
        match message.form {
            Form::Object => self.object(message, &found, depth),
            Form::Timestamp | Form::Duration => self.time(message.form, &found),
            Form::FieldMask => self.field_mask(&found),
            Form::Wrapper => match (found.last(), message.fields.first()) {
                (Some(last), Some(field)) => self.value(field.value, last.bytes, depth),
                (None, Some(field)) => self.default(field.value),
                _ => self.put(b"null"),
            },
            Form::Struct => match message.fields.first() {
                Some(field) => self.members(field, &found, depth),
                None => self.put(b"{}"),
            },
            Form::Value => {
                let fields = found.chunk_by(|a, b| a.field == b.field).next();
                match fields.and_then(|all| Some((all, message.fields.get(all.first()?.field)?))) {
                    Some((all, field)) => self.singular(field, all, depth),
                    None => self.put(b"null"),
                }
            }
        }
    }

    /// Finds the known fields of a body, sorted by number, in order of coming; without those that lost
    /// their oneof.
    fn gather<'b>(
        &mut self,
        message: &Message,
        body: &'b [u8],
        depth: u32,
    ) -> Outcome<Vec<Found<'b>>> {
        let mut found: Vec<Found<'b>> = Vec::new();
        // By oneof: the member that came last, and where its run begins in `found`.
        let mut chosen: Vec<(usize, usize)> = Vec::new();
        let mut buf = body;
        while !buf.is_empty() {
            let tag = wire::tag(&mut buf)?;
            let at = message.fields.binary_search_by_key(&(tag >> 3), |field| field.number);
            let field = at.ok().filter(|&at| {
                let field = &message.fields[at];
                tag & 7 == field.value.wire()
                    || field.map && tag & 7 == wire::LEN
                    || field.list && field.value.packable() && tag & 7 == wire::LEN
            });
            let Some(field) = field else {
                self.unknown += 1;
                wire::skip(&mut buf, tag, depth, self.limit)?;
                continue;
            };
            let before = buf;
            let bytes = match tag & 7 {
                wire::LEN => wire::delimited(&mut buf)?,
                wire::START => wire::group(&mut buf, tag, depth, self.limit)?,
                _ => {
                    wire::skip(&mut buf, tag, depth, self.limit)?;
                    &before[..before.len() - buf.len()]
                }
            };
            self.meter.node(size_of::<Found>() as u32)?;
            if let Some(oneof) = message.fields[field].oneof {
                chosen.resize(chosen.len().max(oneof + 1), (field, 0));
                if chosen[oneof].0 != field {
                    chosen[oneof] = (field, found.len());
                }
            }
            found.push(Found { field, wire: tag & 7, bytes });
        }
        let mut at = 0;
        found.retain(|f| {
            at += 1;
            let run = message.fields[f.field].oneof.and_then(|oneof| chosen.get(oneof));
            run.is_none_or(|(field, start)| f.field == *field && at > *start)
        });
        found.sort_by_key(|f| f.field);
        Ok(found)
    }

    fn object(&mut self, message: &Message, found: &[Found<'_>], depth: u32) -> Outcome<()> {
        self.put(b"{")?;
        let mut first = true;
        for all in found.chunk_by(|a, b| a.field == b.field) {
            let Some(field) = all.first().and_then(|f| message.fields.get(f.field)) else {
                continue;
            };
            let start = self.out.len();
            if !std::mem::take(&mut first) {
                self.put(b",")?;
            }
            self.put(field.label.as_bytes())?;
            let label = self.out.len();
            let done = match field.list || field.map {
                true => self.members(field, all, depth),
                false => self.singular(field, all, depth),
            };
            done.map_err(|mut failure| {
                failure.path.push(field.name.clone());
                failure
            })?;
            if !field.presence && self.is_default(field, label) {
                self.out.truncate(start);
                self.counted = self.counted.min(start);
                first = self.out.last() == Some(&b'{');
            }
        }
        self.put(b"}")
    }

    /// True if what was written from `start` is the default of a field without presence.
    fn is_default(&self, field: &Field, start: usize) -> bool {
        let text = &self.out[start..];
        match field.value {
            _ if field.list => text == b"[]",
            _ if field.map => text == b"{}",
            Scalar::Enum(id) => {
                let names = &self.types.enums[id as usize];
                names.get(0).is_some_and(|name| {
                    text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\""))
                        == Some(name.as_bytes())
                })
            }
            Scalar::Bool => text == b"false",
            Scalar::String | Scalar::Bytes => text == b"\"\"",
            Scalar::Null => true,
            _ => text == b"0" || text == b"\"0\"",
        }
    }

    /// A list as an array, a map as an object.
    fn members(&mut self, field: &Field, all: &[Found<'_>], depth: u32) -> Outcome<()> {
        if field.map {
            return self.map(field, all, depth);
        }
        self.put(b"[")?;
        let mut first = true;
        for found in all {
            if found.wire != wire::LEN || !field.value.packable() {
                self.comma(&mut first)?;
                self.value(field.value, found.bytes, depth)?;
                continue;
            }
            let mut items = found.bytes;
            while !items.is_empty() {
                self.meter.node(1)?;
                self.comma(&mut first)?;
                let before = items;
                wire::skip(&mut items, 1 << 3 | field.value.wire(), 0, self.limit)?;
                self.value(field.value, &before[..before.len() - items.len()], depth)?;
            }
        }
        self.put(b"]")
    }

    fn comma(&mut self, first: &mut bool) -> Outcome<()> {
        if std::mem::take(first) { Ok(()) } else { self.put(b",") }
    }

    /// Of entries with equal keys the last is written, where the first stood.
    fn map(&mut self, field: &Field, all: &[Found<'_>], depth: u32) -> Outcome<()> {
        let Scalar::Message(id) = field.value else { return self.put(b"{}") };
        let depth = depth.checked_sub(1).ok_or_else(|| wire::too_deep(self.limit))?;
        let entry = &self.types.messages[id as usize];
        let [key_field, value_field] = entry.fields.as_slice() else { return self.put(b"{}") };
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut entries: Vec<(Vec<u8>, Vec<Found<'_>>)> = Vec::new();
        for found in all {
            let parts = self.gather(entry, found.bytes, depth)?;
            let key = self.key(key_field.value, parts.iter().rfind(|part| part.field == 0))?;
            let values = parts.into_iter().filter(|part| part.field == 1).collect();
            match places.get(&key) {
                Some(&place) => entries[place].1 = values,
                None => {
                    places.insert(key.clone(), entries.len());
                    entries.push((key, values));
                }
            }
        }
        self.put(b"{")?;
        let mut first = true;
        for (key, values) in &entries {
            self.comma(&mut first)?;
            self.put(key)?;
            self.put(b":")?;
            match values.is_empty() {
                true => self.default(value_field.value)?,
                false => self.singular(value_field, values, depth)?,
            }
        }
        self.put(b"}")
    }

    /// A map key as a JSON string.
    fn key(&mut self, scalar: Scalar, found: Option<&Found<'_>>) -> Outcome<Vec<u8>> {
        let start = self.out.len();
        match found {
            Some(found) => self.value(scalar, found.bytes, 0)?,
            None => self.default(scalar)?,
        }
        let text = self.out.split_off(start);
        self.counted = self.counted.min(start);
        Ok(match text.first() {
            Some(b'"') => text,
            _ => [b"\"", text.as_slice(), b"\""].concat(),
        })
    }

    /// The value of a field that is not repeated: the last, or all parts of a message.
    fn singular(&mut self, field: &Field, all: &[Found<'_>], depth: u32) -> Outcome<()> {
        let Some(last) = all.last() else { return self.default(field.value) };
        match field.value {
            Scalar::Message(_) | Scalar::Group(_) if all.len() > 1 => {
                let whole: Vec<u8> = all.iter().flat_map(|found| found.bytes).copied().collect();
                self.meter.bytes(whole.len())?;
                self.value(field.value, &whole, depth)
            }
            _ => self.value(field.value, last.bytes, depth),
        }
    }

    fn default(&mut self, scalar: Scalar) -> Outcome<()> {
        match scalar {
            Scalar::String | Scalar::Bytes => self.put(b"\"\""),
            Scalar::Bool => self.put(b"false"),
            Scalar::Null => self.put(b"null"),
            Scalar::Message(id) | Scalar::Group(id) => self.message(id, b"", 1),
            Scalar::Enum(_) => self.enumeration(scalar, 0),
            Scalar::Int64
            | Scalar::Uint64
            | Scalar::Sint64
            | Scalar::Fixed64
            | Scalar::Sfixed64 => self.put(b"\"0\""),
            _ => self.put(b"0"),
        }
    }

    fn value(&mut self, scalar: Scalar, mut bytes: &[u8], depth: u32) -> Outcome<()> {
        let buf = &mut bytes;
        match scalar {
            Scalar::Double => {
                let value = f64::from_le_bytes(wire::fixed(buf)?);
                self.float(value, |out| write!(out, "{value:?}"))
            }
            Scalar::Float => {
                let value = f32::from_le_bytes(wire::fixed(buf)?);
                self.float(f64::from(value), |out| write!(out, "{value:?}"))
            }
            Scalar::Int32 => self.number(i64::from(wire::varint(buf)? as i32)),
            Scalar::Sint32 => {
                self.number(i64::from(wire::zigzag(u64::from(wire::varint(buf)? as u32)) as i32))
            }
            Scalar::Sfixed32 => self.number(i64::from(i32::from_le_bytes(wire::fixed(buf)?))),
            Scalar::Uint32 => self.number(i64::from(wire::varint(buf)? as u32)),
            Scalar::Fixed32 => self.number(i64::from(u32::from_le_bytes(wire::fixed(buf)?))),
            Scalar::Int64 => self.long(wire::varint(buf)? as i64),
            Scalar::Sint64 => self.long(wire::zigzag(wire::varint(buf)?)),
            Scalar::Sfixed64 => self.long(i64::from_le_bytes(wire::fixed(buf)?)),
            Scalar::Uint64 => self.long(wire::varint(buf)?),
            Scalar::Fixed64 => self.long(u64::from_le_bytes(wire::fixed(buf)?)),
            Scalar::Bool => self.put(if wire::varint(buf)? != 0 { b"true" } else { b"false" }),
            Scalar::Null => self.put(b"null"),
            Scalar::Enum(_) => {
                let number = wire::varint(buf)? as i32;
                self.enumeration(scalar, number)
            }
            Scalar::String => {
                wire::utf8(bytes)?;
                string(std::str::from_utf8(bytes).unwrap_or_default(), self.out);
                self.count()
            }
            Scalar::Bytes => {
                self.put(b"\"")?;
                self.put(BASE64_STANDARD.encode(bytes).as_bytes())?;
                self.put(b"\"")
            }
            Scalar::Message(id) | Scalar::Group(id) => {
                let depth = depth.checked_sub(1).ok_or_else(|| wire::too_deep(self.limit))?;
                self.message(id, bytes, depth)
            }
        }
    }
}
