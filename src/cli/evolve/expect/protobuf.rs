//! Protobuf: prost-reflect reads the body with the reader's descriptor.
//!
//! Where the two versions write a field in other forms (`sint32` that became `int64`), a reader with the newer
//! descriptor alone would lose its value, and the program keeps it: there the body is read with the writer's
//! descriptor and its values are carried over, field by field.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Fields};
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage, SerializeOptions, Value,
};

use super::cells::{self, Leaf};
use super::{Columns, Path, Rows, Rules, Same};
use crate::cli::evolve::form::{Form, Protobuf};
use crate::config::{Presence, Recursion};

/// Reads a body of `from` for the columns of `to`: as a message of either.
pub fn read(
    from: &MessageDescriptor,
    to: &MessageDescriptor,
    body: &[u8],
) -> Result<DynamicMessage, String> {
    let decode = |of: &MessageDescriptor| {
        DynamicMessage::decode(of.clone(), body).map_err(|e| e.to_string())
    };
    if from == to || alike(from, to, &mut Vec::new()) {
        return decode(to);
    }
    let message = decode(from)?;
    fits(&message, to).map(|()| message)
}

/// Whether every field that both have is written in the same form.
fn alike(
    from: &MessageDescriptor,
    to: &MessageDescriptor,
    open: &mut Vec<(String, String)>,
) -> bool {
    let pair = (from.full_name().to_owned(), to.full_name().to_owned());
    if open.contains(&pair) {
        return true;
    }
    open.push(pair);
    to.fields().all(|to| match from.get_field(to.number()) {
        None => true,
        Some(from) => match (from.kind(), to.kind()) {
            (Kind::Message(a), Kind::Message(b)) => {
                from.is_group() == to.is_group() && alike(&a, &b, open)
            }
            (a, b) => form(&a) == form(&b),
        },
    })
}

/// A number for each form in which all values are the same bytes.
fn form(kind: &Kind) -> u8 {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Enum(_) => 1,
        Kind::Uint32 | Kind::Uint64 => 2,
        Kind::Bool => 3,
        Kind::Sint32 | Kind::Sint64 => 4,
        Kind::Fixed32 => 5,
        Kind::Sfixed32 => 6,
        Kind::Fixed64 => 7,
        Kind::Sfixed64 => 8,
        Kind::Float => 9,
        Kind::Double => 10,
        Kind::String | Kind::Bytes => 11,
        Kind::Message(_) => 12,
    }
}

/// Whether bytes that became text are text.
fn fits(message: &DynamicMessage, to: &MessageDescriptor) -> Result<(), String> {
    for (field, value) in message.fields() {
        let Some(into) = to.get_field(field.number()) else { continue };
        let kind = match (field.is_map(), into.kind()) {
            (true, Kind::Message(entry)) => entry.map_entry_value_field().kind(),
            (_, kind) => kind,
        };
        let values: Vec<&Value> = match value {
            Value::List(items) => items.iter().collect(),
            Value::Map(entries) => entries.values().collect(),
            other => vec![other],
        };
        for value in values {
            match (value, &kind) {
                (Value::Bytes(bytes), Kind::String) => {
                    std::str::from_utf8(bytes).map_err(|e| format!("{}: {e}", into.name()))?;
                }
                (Value::Message(message), Kind::Message(to)) => fits(message, to)?,
                _ => {}
            }
        }
    }
    Ok(())
}

pub fn check(
    writer: &Protobuf,
    columns: Columns<'_>,
    body: &[u8],
    rows: &Rows,
    row: usize,
    rules: Rules,
    root: Path<'_>,
) -> Same {
    let (target, names): (&Protobuf, Vec<MessageDescriptor>) = match columns {
        Columns::Of(Form::Protobuf(target)) => (target, Vec::new()),
        Columns::Merged(all) => {
            let of = |form: &Form| match form {
                Form::Protobuf(form) => Some(form.message.clone()),
                _ => None,
            };
            (writer, all.iter().filter_map(of).collect())
        }
        _ => (writer, Vec::new()),
    };
    let message = match read(&writer.message, &target.message, body) {
        Ok(message) => message,
        Err(why) => return Path::Root.differs("a row", format!("a reject: {why}")),
    };
    // Read with the reader's descriptor, it names its columns itself.
    let names = match columns {
        Columns::Of(_) if message.descriptor() != target.message => vec![target.message.clone()],
        _ => names,
    };
    let walk = Walk { target, rules, merged: matches!(columns, Columns::Merged(_)) };
    let at = Place { path: root, names: &names, writer: Some(&writer.message) };
    walk.message(
        &message,
        &rows.fields,
        &rows.columns.iter().map(|c| c.as_ref()).collect::<Vec<_>>(),
        row,
        at,
    )
}

struct Walk<'a> {
    target: &'a Protobuf,
    rules: Rules,
    /// Columns are of all versions: what the writer does not have is null.
    merged: bool,
}

/// Where the walk is.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: Path<'a>,
    /// The same message in the versions that name the columns, newest first, where it is not read as one of them.
    names: &'a [MessageDescriptor],
    /// The message as the writer has it.
    writer: Option<&'a MessageDescriptor>,
}

impl Walk<'_> {
    fn message(
        &self,
        message: &DynamicMessage,
        fields: &Fields,
        columns: &[&dyn Array],
        row: usize,
        at: Place<'_>,
    ) -> Same {
        let descriptor = message.descriptor();
        for (column, array) in fields.iter().zip(columns) {
            let path = Path::Name(&at.path, column.name());
            if let Some(name) = column.name().strip_prefix('[') {
                let name = name.trim_end_matches(']');
                let found = descriptor.extensions().find(|e| e.full_name() == name);
                let Some(extension) = found else { continue };
                match message.has_extension(&extension) || extension.is_list() {
                    true => {
                        let value = message.get_extension(&extension);
                        let at = Place { path, names: &[], writer: None };
                        self.value(&value, &extension.kind(), *array, row, at, None)?;
                    }
                    false => cells::null(*array, row, path)?,
                }
                continue;
            }
            let named = match at.names {
                [] => descriptor.get_field_by_name(column.name()),
                names => names.iter().find_map(|m| m.get_field_by_name(column.name())),
            };
            let Some(named) = named else {
                return path.differs("a column", "no column: the schema has no such field");
            };
            let held = descriptor.get_field(named.number());
            if held.is_none() && self.merged {
                cells::null(*array, row, path)?;
                continue;
            }
            // How its absence is told: as the target says, or the writer, where columns are of all.
            let field = if self.merged { held.clone().unwrap_or(named) } else { named };
            let below: Vec<MessageDescriptor> =
                at.names.iter().filter_map(|m| inner(&m.get_field(field.number())?)).collect();
            let own = at.writer.and_then(|m| m.get_field(field.number()));
            let own_message = own.as_ref().and_then(inner);
            let below = Place { path, names: &below, writer: own_message.as_ref() };
            let own_enum = own.and_then(|f| f.kind().as_enum().cloned());
            self.field(&field, held.as_ref(), message, *array, row, below, own_enum.as_ref())?;
        }
        self.complete(&descriptor, fields, at)
    }

    /// Every field has a column.
    fn complete(&self, descriptor: &MessageDescriptor, fields: &Fields, at: Place<'_>) -> Same {
        if self.rules.recursion == Recursion::Drop || fields.len() >= descriptor.fields().len() {
            return Ok(());
        }
        for field in descriptor.fields() {
            let named = match at.names {
                [] => Some(field.clone()),
                names => names.iter().find_map(|m| m.get_field(field.number())),
            };
            let Some(named) = named else { continue };
            let set = |m: &MessageDescriptor| m.name().starts_with("MessageSet");
            if fields.find(named.name()).is_none() && !inner(&named).as_ref().is_some_and(set) {
                return Path::Name(&at.path, named.name()).differs("no column", "a column");
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)] // one cell, from both ends
    fn field(
        &self,
        field: &FieldDescriptor,
        held: Option<&FieldDescriptor>,
        message: &DynamicMessage,
        array: &dyn Array,
        row: usize,
        at: Place<'_>,
        own: Option<&EnumDescriptor>,
    ) -> Same {
        let implicit = self.target.facts.implicit.contains(field.full_name());
        let presence = field.supports_presence() && !implicit;
        let nullable =
            self.rules.presence == Presence::Nullable && !field.is_list() && !field.is_map();
        let value = held.filter(|held| has(message, held)).map(|held| message.get_field(held));
        match value {
            None if presence || nullable => cells::null(array, row, at.path),
            None => {
                let default = Value::default_value_for_field(field);
                self.value(&default, &field.kind(), array, row, at, own)
            }
            Some(value) => {
                // The type it was read as: of a map, its own entries.
                let kind = held.map_or(field.kind(), FieldDescriptor::kind);
                let kind = if field.is_map() { kind } else { field.kind() };
                // One value where the target has a list: its one item.
                if field.is_list() && !matches!(*value, Value::List(_)) {
                    let one = Value::List(vec![value.into_owned()]);
                    return self.value(&one, &kind, array, row, at, own);
                }
                self.value(&value, &kind, array, row, at, own)
            }
        }
    }

    fn value(
        &self,
        value: &Value,
        kind: &Kind,
        array: &dyn Array,
        row: usize,
        at: Place<'_>,
        own: Option<&EnumDescriptor>,
    ) -> Same {
        match value {
            Value::List(items) => {
                let Some(list) = array.as_list_opt::<i32>().filter(|l| l.is_valid(row)) else {
                    return at.path.wrong(array, row, format!("{} items", items.len()));
                };
                let found = list.value(row);
                if found.len() != items.len() {
                    return at.path.wrong(array, row, format!("{} items", items.len()));
                }
                cells::items(items.len(), at.path);
                for (n, item) in items.iter().enumerate() {
                    let at = Place { path: Path::At(&at.path, n), ..at };
                    self.value(item, kind, &found, n, at, own)?;
                }
                Ok(())
            }
            Value::Map(entries) => self.map(entries, kind, array, row, at),
            Value::Message(message) => self.single(message, array, row, at),
            Value::EnumNumber(number) => {
                let of = kind.as_enum();
                if of.is_some_and(|e| e.full_name() == "google.protobuf.NullValue") {
                    cells::any(at.path);
                    return Ok(());
                }
                self.symbol(*number, of, own, array, row, at.path)
            }
            Value::Bool(v) => cells::leaf(Leaf::Bool(*v), array, row, at.path),
            Value::I32(v) => cells::leaf(Leaf::Int((*v).into()), array, row, at.path),
            Value::I64(v) => cells::leaf(Leaf::Int((*v).into()), array, row, at.path),
            Value::U32(v) => cells::leaf(Leaf::Int((*v).into()), array, row, at.path),
            Value::U64(v) => cells::leaf(Leaf::Int((*v).into()), array, row, at.path),
            Value::F32(v) => cells::leaf(Leaf::Single(*v), array, row, at.path),
            Value::F64(v) => cells::leaf(Leaf::Double(*v), array, row, at.path),
            Value::String(v) => cells::leaf(Leaf::Text(v), array, row, at.path),
            Value::Bytes(v) => cells::leaf(Leaf::Bytes(v), array, row, at.path),
        }
    }

    /// The name of a number: the reader's, else the writer's, else its digits.
    fn symbol(
        &self,
        number: i32,
        of: Option<&EnumDescriptor>,
        own: Option<&EnumDescriptor>,
        array: &dyn Array,
        row: usize,
        path: Path<'_>,
    ) -> Same {
        if *array.data_type() == DataType::Int32 {
            return cells::leaf(Leaf::Int(number.into()), array, row, path);
        }
        // Of several names of one number the first that is declared counts.
        let name = |e: &EnumDescriptor| {
            let values = &e.enum_descriptor_proto().value;
            values.iter().find(|v| v.number() == number).map(|v| v.name().to_owned())
        };
        let name = of.and_then(name).or(own.and_then(name)).unwrap_or_else(|| number.to_string());
        cells::leaf(Leaf::Text(&name), array, row, path)
    }

    fn map(
        &self,
        entries: &std::collections::HashMap<MapKey, Value>,
        kind: &Kind,
        array: &dyn Array,
        row: usize,
        at: Place<'_>,
    ) -> Same {
        let (Some(map), Some(entry)) =
            (array.as_map_opt().filter(|m| m.is_valid(row)), kind.as_message())
        else {
            return at.path.wrong(array, row, format!("{} entries", entries.len()));
        };
        let (keys_of, value_of) =
            (entry.map_entry_key_field().kind(), entry.map_entry_value_field());
        let found = map.value(row);
        if found.len() != entries.len() {
            return at.path.wrong(array, row, format!("{} entries", entries.len()));
        }
        cells::items(entries.len(), at.path);
        let below: Vec<MessageDescriptor> =
            at.names.iter().filter_map(|m| inner(&m.get_field(2)?)).collect();
        let own = at.writer.and_then(|m| m.get_field(2));
        let own_message = own.as_ref().and_then(inner);
        let own_enum = own.and_then(|f| f.kind().as_enum().cloned());
        for (key, value) in entries {
            let key = Value::from(key.clone());
            let is = |n: &usize| {
                let nowhere = Place { path: Path::Root, names: &[], writer: None };
                self.value(&key, &keys_of, found.column(0), *n, nowhere, None).is_ok()
            };
            let Some(n) = (0..found.len()).find(is) else {
                return at.path.wrong(array, row, format!("the key {key:?}"));
            };
            let path = Path::At(&at.path, n);
            path.note("key", || json_value(&keys_of, &key));
            let below = Place { path, names: &below, writer: own_message.as_ref() };
            self.value(value, &value_of.kind(), found.column(1), n, below, own_enum.as_ref())?;
        }
        Ok(())
    }

    /// A message in a column of its own.
    fn single(
        &self,
        message: &DynamicMessage,
        array: &dyn Array,
        row: usize,
        at: Place<'_>,
    ) -> Same {
        let descriptor = message.descriptor();
        let number = |n: u32| match message.get_field_by_number(n).as_deref() {
            Some(Value::I32(n)) => i64::from(*n),
            Some(Value::I64(n)) => *n,
            _ => 0,
        };
        let name = descriptor.full_name();
        match (name, array.data_type()) {
            ("google.protobuf.Timestamp", DataType::Timestamp(..)) => {
                let nanos = i128::from(number(1)) * 1_000_000_000 + i128::from(number(2));
                cells::leaf(Leaf::Instant(nanos), array, row, at.path)
            }
            ("google.protobuf.Duration", DataType::Int64) => {
                let micros = i128::from(number(1)) * 1_000_000 + i128::from(number(2) / 1_000);
                cells::leaf(Leaf::Int(micros), array, row, at.path)
            }
            ("google.protobuf.FieldMask", DataType::List(_)) => {
                let paths = message.get_field_by_number(1);
                let paths = paths.as_deref().unwrap_or(&Value::Bool(false));
                self.value(paths, &Kind::String, array, row, at, None)
            }
            ("google.type.Date", DataType::Date32) => {
                let date =
                    jiff::civil::Date::new(number(1) as i16, number(2) as i8, number(3) as i8);
                let days = date.ok().and_then(|date| {
                    jiff::civil::date(1970, 1, 1).until(date).ok().map(|span| span.get_days())
                });
                match days {
                    Some(days) => cells::leaf(Leaf::Days(days.into()), array, row, at.path),
                    None => at.path.wrong(array, row, "a reject: no date"),
                }
            }
            ("google.type.TimeOfDay", DataType::Int64 | DataType::Time64(_)) => {
                let seconds = number(1) * 3_600 + number(2) * 60 + number(3);
                let value = seconds * 1_000_000 + number(4) / 1_000;
                cells::leaf(Leaf::Clock { value, unit: 1_000 }, array, row, at.path)
            }
            ("confluent.type.Decimal", _) if !matches!(array.data_type(), DataType::Struct(_)) => {
                let bytes = message.get_field_by_number(1).map(|v| v.into_owned());
                let bytes = bytes.as_ref().and_then(Value::as_bytes).cloned().unwrap_or_default();
                let text = super::avro::decimal_text(&bytes, number(3) as i32);
                cells::leaf(Leaf::Decimal(&text), array, row, at.path)
            }
            (_, DataType::Boolean) if descriptor.fields().len() == 0 => {
                cells::leaf(Leaf::Bool(true), array, row, at.path)
            }
            (_, DataType::Struct(fields)) if array.is_valid(row) => {
                let columns: Vec<&dyn Array> =
                    array.as_struct().columns().iter().map(|c| c.as_ref()).collect();
                self.message(message, fields, &columns, row, at)
            }
            (_, DataType::Struct(_)) => at.path.wrong(array, row, "a message"),
            (name, _) if is_wrapper(name) => {
                let Some(field) = descriptor.get_field(1) else { return Ok(()) };
                self.value(&message.get_field(&field), &field.kind(), array, row, at, None)
            }
            (_, DataType::Utf8) => cells::tree(&json(message), array, row, at.path),
            (_, DataType::Binary) => {
                let bytes = array.is_valid(row).then(|| cells::bytes(array, row)).flatten();
                let found = bytes.and_then(|b| DynamicMessage::decode(descriptor, b).ok());
                match found.as_ref() == Some(message) {
                    true => {
                        cells::any(at.path);
                        Ok(())
                    }
                    false => at.path.wrong(array, row, "the bytes of the message"),
                }
            }
            _ => at.path.wrong(array, row, format!("a message `{name}`")),
        }
    }
}

/// Whether a field was written. Of a field without presence, prost-reflect takes -0.0 for its default, 0.0: to the
/// specification the default is the one whose bits are all zero, and writers write the other.
fn has(message: &DynamicMessage, field: &FieldDescriptor) -> bool {
    message.has_field(field)
        || match message.get_field(field).as_ref() {
            Value::F32(x) => x.to_bits() != 0 && *x == 0.0,
            Value::F64(x) => x.to_bits() != 0 && *x == 0.0,
            _ => false,
        }
}

/// The message type of a field, entries of maps too.
fn inner(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    field.kind().as_message().cloned()
}

fn is_wrapper(name: &str) -> bool {
    name.strip_prefix("google.protobuf.")
        .and_then(|name| name.strip_suffix("Value"))
        .is_some_and(|kind| !kind.is_empty() && kind != "List" && kind != "Null")
}

/// Protobuf's own JSON of a message, names as declared, defaults without presence left out.
fn json(message: &DynamicMessage) -> serde_json::Value {
    let name = message.descriptor().full_name().to_owned();
    let known = name.strip_prefix("google.protobuf.").unwrap_or_default();
    match known {
        "Value" if message.fields().count() == 0 => serde_json::Value::Null,
        "Timestamp" | "Duration" | "FieldMask" | "Struct" | "ListValue" | "Value" => {
            let options = SerializeOptions::new().use_proto_field_name(true);
            let mut text = Vec::new();
            let mut serializer = serde_json::Serializer::new(&mut text);
            let written = message.serialize_with_options(&mut serializer, &options);
            written.ok().and_then(|()| serde_json::from_slice(&text).ok()).unwrap_or_default()
        }
        _ if is_wrapper(&name) => message
            .descriptor()
            .get_field(1)
            .map(|field| json_value(&field.kind(), &message.get_field(&field)))
            .unwrap_or_default(),
        _ => {
            let mut out = serde_json::Map::new();
            for (field, value) in message.fields().filter(|(field, _)| message.has_field(field)) {
                out.insert(field.name().to_owned(), json_value(&field.kind(), value));
            }
            for (extension, value) in message.extensions() {
                let name = format!("[{}]", extension.full_name());
                out.insert(name, json_value(&extension.kind(), value));
            }
            out.into()
        }
    }
}

fn json_value(kind: &Kind, value: &Value) -> serde_json::Value {
    use base64::Engine;
    use serde_json::json;
    let float = |value: f64, text: String| match value {
        _ if value.is_nan() => json!("NaN"),
        _ if value.is_infinite() => json!(if value > 0.0 { "Infinity" } else { "-Infinity" }),
        _ => text.parse::<f64>().map_or(json!(value), |value| json!(value)),
    };
    match value {
        Value::Bool(b) => json!(b),
        Value::I32(n) => json!(n),
        Value::U32(n) => json!(n),
        Value::I64(n) => json!(n.to_string()),
        Value::U64(n) => json!(n.to_string()),
        Value::F32(x) => float(f64::from(*x), x.to_string()),
        Value::F64(x) => float(*x, x.to_string()),
        Value::String(text) => json!(text),
        Value::Bytes(bytes) => json!(base64::prelude::BASE64_STANDARD.encode(bytes)),
        Value::EnumNumber(number) => match kind {
            Kind::Enum(e) if e.full_name() == "google.protobuf.NullValue" => json!(null),
            Kind::Enum(e) => {
                let values = &e.enum_descriptor_proto().value;
                let named = values.iter().find(|value| value.number() == *number);
                named.map_or_else(|| json!(number), |value| json!(value.name()))
            }
            _ => json!(number),
        },
        Value::Message(message) => json(message),
        Value::List(items) => items.iter().map(|item| json_value(kind, item)).collect(),
        Value::Map(entries) => {
            let Some(entry) = kind.as_message() else { return json!(null) };
            let kind = entry.map_entry_value_field().kind();
            let key = |key: &MapKey| match key {
                MapKey::Bool(b) => b.to_string(),
                MapKey::I32(n) => n.to_string(),
                MapKey::I64(n) => n.to_string(),
                MapKey::U32(n) => n.to_string(),
                MapKey::U64(n) => n.to_string(),
                MapKey::String(text) => text.clone(),
            };
            entries.iter().map(|(k, value)| (key(k), json_value(&kind, value))).collect()
        }
    }
}
