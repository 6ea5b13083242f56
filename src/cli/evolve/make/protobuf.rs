//! Protobuf messages of a descriptor.

use prost_reflect::prost::Message;
use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage,
    Value,
};

use super::{DEPTH, Turn};

/// First and last second that a `Timestamp` may have.
const SECONDS: (i64, i64) = (-62_135_596_800, 253_402_300_799);

pub fn body(descriptor: &MessageDescriptor, turn: &mut Turn<'_>) -> Vec<u8> {
    message(descriptor, turn, DEPTH).encode_to_vec()
}

/// A message; fields are absent now and then. Messages inside one another end at `depth`.
pub fn message(descriptor: &MessageDescriptor, turn: &mut Turn<'_>, depth: u32) -> DynamicMessage {
    let mut out = DynamicMessage::new(descriptor.clone());
    if known(&mut out, turn, depth) {
        return out;
    }
    // All fields, hardly any, or most of them.
    let sparse = turn.pick(&[0, 6, 3, 2]).unwrap_or_default();
    for oneof in descriptor.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let members: Vec<FieldDescriptor> = oneof.fields().collect();
        let at = turn.choice(members.len() + 1);
        if let Some(field) = members.get(at)
            && let Some(value) = single(&field.kind(), turn, depth.saturating_sub(1))
        {
            out.set_field(field, value);
        }
    }
    for field in descriptor.fields() {
        let in_oneof = field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic());
        let required = field.cardinality() == Cardinality::Required;
        if in_oneof || (!required && sparse > 0 && !turn.random.one_in(sparse)) {
            continue;
        }
        let depth = if required { depth.max(1) } else { depth };
        if let Some(value) = any(&field, turn, depth) {
            out.set_field(&field, value);
        }
    }
    for extension in descriptor.extensions().filter(|_| depth > 0) {
        if sparse > 0 && !turn.random.one_in(sparse) {
            continue;
        }
        let value = match extension.cardinality() {
            Cardinality::Repeated => {
                let count = turn.count();
                Some(Value::List(
                    (0..count).filter_map(|_| single(&extension.kind(), turn, depth - 1)).collect(),
                ))
            }
            _ => single(&extension.kind(), turn, depth - 1),
        };
        value.into_iter().for_each(|value| out.set_extension(&extension, value));
    }
    out
}

fn any(field: &FieldDescriptor, turn: &mut Turn<'_>, depth: u32) -> Option<Value> {
    let kind = field.kind();
    if field.is_map() {
        let entry = kind.as_message()?;
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let count = turn.count();
        let pairs = (0..count).filter_map(|_| {
            let key = match single(&key.kind(), turn, 0)? {
                Value::Bool(b) => MapKey::Bool(b),
                Value::I32(n) => MapKey::I32(n),
                Value::I64(n) => MapKey::I64(n),
                Value::U32(n) => MapKey::U32(n),
                Value::U64(n) => MapKey::U64(n),
                Value::String(text) => MapKey::String(text),
                _ => return None,
            };
            Some((key, single(&value.kind(), turn, depth.saturating_sub(1))?))
        });
        return Some(Value::Map(pairs.collect()));
    }
    if field.is_list() {
        let count = turn.count();
        let items = (0..count).filter_map(|_| single(&kind, turn, depth.saturating_sub(1)));
        return Some(Value::List(items.collect()));
    }
    single(&kind, turn, depth.saturating_sub(1))
}

/// None: a message that would be too deep, or a message set.
fn single(kind: &Kind, turn: &mut Turn<'_>, depth: u32) -> Option<Value> {
    Some(match kind {
        Kind::Double => Value::F64(turn.double()),
        Kind::Float => Value::F32(turn.float()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(turn.int()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(turn.long()),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(turn.int() as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(turn.long() as u64),
        Kind::Bool => Value::Bool(turn.choice(2) == 1),
        Kind::String => Value::String(turn.text().to_owned()),
        Kind::Bytes => Value::Bytes(turn.any_bytes().into()),
        Kind::Enum(of) => {
            let values: Vec<i32> = of.values().map(|v| v.number()).collect();
            Value::EnumNumber(turn.pick(&values).unwrap_or_default())
        }
        Kind::Message(of) if depth == 0 || of.name().starts_with("MessageSet") => return None,
        Kind::Message(of) => Value::Message(message(of, turn, depth)),
    })
}

/// Types whose values have bounds of their own. False: it is none of them.
fn known(out: &mut DynamicMessage, turn: &mut Turn<'_>, depth: u32) -> bool {
    let descriptor = out.descriptor();
    let mut set = |number: u32, value: Value| {
        let _ = out.try_set_field_by_number(number, value);
    };
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let seconds = turn.pick(&[0, SECONDS.0, SECONDS.1, -1, 1_767_225_600]);
            set(1, Value::I64(seconds.unwrap_or_default()));
            set(
                2,
                Value::I32(turn.pick(&[0, 1_000, 999_999_999, 500_000_000]).unwrap_or_default()),
            );
        }
        "google.protobuf.Duration" => {
            let sign = if turn.choice(2) == 0 { 1 } else { -1 };
            let seconds = turn.pick(&[0, 1, 86_400, 315_576_000_000]).unwrap_or_default();
            set(1, Value::I64(seconds * sign));
            set(2, Value::I32(turn.random.below(1_000_000) as i32 * 1_000 * sign as i32));
        }
        "google.protobuf.FieldMask" => {
            let paths = ["a", "foo_bar", "x_y_z"].map(|path| Value::String(path.to_owned()));
            let from = turn.choice(4).min(3);
            set(1, Value::List(paths[from..].to_vec()));
        }
        "google.protobuf.Value" => {
            let number = 1 + turn.choice(if depth <= 1 { 4 } else { 6 }) as u32;
            let value = match (number, descriptor.get_field(number)) {
                (1, _) => Some(Value::EnumNumber(0)),
                (2, _) => Some(Value::F64(turn.random.below(1_000) as f64 / 8.0)),
                (_, Some(field)) => single(&field.kind(), turn, depth - 1),
                _ => None,
            };
            set(number, value.unwrap_or(Value::EnumNumber(0)));
        }
        "google.type.Date" => {
            set(1, Value::I32(turn.pick(&[1, 1970, 2026, 9999]).unwrap_or(1970)));
            set(2, Value::I32(1 + turn.random.below(12) as i32));
            set(3, Value::I32(1 + turn.random.below(28) as i32));
        }
        "google.type.TimeOfDay" => {
            set(1, Value::I32(turn.pick(&[0, 23, 12]).unwrap_or_default()));
            set(2, Value::I32(turn.random.below(60) as i32));
            set(3, Value::I32(turn.random.below(60) as i32));
            set(4, Value::I32(turn.random.below(1_000_000) as i32 * 1_000));
        }
        "confluent.type.Decimal" => {
            let byte = turn.random.next_u64() as u8;
            set(1, Value::Bytes(vec![byte].into()));
            set(2, Value::U32(12));
            set(3, Value::I32(2));
        }
        _ => return false,
    }
    true
}
