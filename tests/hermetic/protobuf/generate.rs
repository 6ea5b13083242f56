//! Random schemas, random records of them, and other spellings of the same record. Everything follows
//! from the seed.
//!
//! The pieces know nothing of the decoder: a fuzz target can use them as they are.

use std::fmt::Write;

use forebay::clock::Seeded;
use prost_reflect::prost::encoding::{
    WireType, decode_key, decode_varint, encode_key, encode_varint,
};
use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage,
    Value,
};

const SCALARS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
    "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes",
];
const KEYS: [&str; 12] = [
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
    "sfixed64", "bool", "string",
];
const KNOWN: [(&str, &str); 16] = [
    ("google.protobuf.Timestamp", "timestamp"),
    ("google.protobuf.Duration", "duration"),
    ("google.protobuf.FieldMask", "field_mask"),
    ("google.protobuf.Empty", "empty"),
    ("google.protobuf.Any", "any"),
    ("google.protobuf.Struct", "struct"),
    ("google.protobuf.Value", "struct"),
    ("google.protobuf.DoubleValue", "wrappers"),
    ("google.protobuf.FloatValue", "wrappers"),
    ("google.protobuf.Int64Value", "wrappers"),
    ("google.protobuf.UInt64Value", "wrappers"),
    ("google.protobuf.Int32Value", "wrappers"),
    ("google.protobuf.UInt32Value", "wrappers"),
    ("google.protobuf.BoolValue", "wrappers"),
    ("google.protobuf.StringValue", "wrappers"),
    ("google.protobuf.BytesValue", "wrappers"),
];

fn pick<T: Copy>(random: &mut Seeded, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

/// The text of a random file; its first message is `M0`.
pub fn schema(random: &mut Seeded) -> String {
    let proto2 = random.one_in(2);
    let mut maker = Maker {
        messages: 1 + random.below(4),
        enums: 1 + random.below(3),
        names: 0,
        imports: Vec::new(),
        proto2,
        random,
    };
    let mut body = String::new();
    for n in 0..maker.enums {
        maker.enumeration(n, &mut body);
    }
    for n in 0..maker.messages {
        let _ = writeln!(body, "message M{n} {{");
        maker.fields(n, 0, &mut body);
        if proto2 && n == 0 {
            body.push_str("extensions 1000 to 1100;\n");
        }
        body.push_str("}\n");
    }
    if proto2 && maker.random.one_in(2) {
        body.push_str("extend M0 {\n");
        for number in 0..1 + maker.random.below(3) {
            let label = pick(maker.random, &["optional", "repeated"]);
            let kind = maker.kind(maker.messages.saturating_sub(1));
            let _ = writeln!(body, "{label} {kind} x{number} = {};", 1_000 + number * 50);
        }
        body.push_str("}\n");
    }
    maker.imports.sort_unstable();
    maker.imports.dedup();
    let mut out =
        format!("syntax = \"{}\";\npackage g;\n", if proto2 { "proto2" } else { "proto3" });
    for import in &maker.imports {
        let _ = writeln!(out, "import \"google/protobuf/{import}.proto\";");
    }
    out + &body
}

/// The same file as edition 2023, written with features; none if it has groups, whose messages stand
/// elsewhere there.
pub fn as_edition(text: &str) -> Option<String> {
    if text.contains(" group ") {
        return None;
    }
    let proto2 = text.starts_with("syntax = \"proto2\"");
    let mut out = String::from("edition = \"2023\";\n");
    for line in text.lines().skip(1) {
        let mut line = line.to_owned();
        let feature = match (proto2, line.split(' ').next().unwrap_or_default()) {
            (true, "required") => "features.field_presence = LEGACY_REQUIRED",
            (false, "optional") => "features.field_presence = EXPLICIT",
            _ => "",
        };
        for label in ["optional ", "required "] {
            line = line.strip_prefix(label).unwrap_or(&line).to_owned();
        }
        for (packed, encoding) in [("true", "PACKED"), ("false", "EXPANDED")] {
            line = line.replace(
                &format!("packed = {packed}"),
                &format!("features.repeated_field_encoding = {encoding}"),
            );
        }
        if !feature.is_empty() {
            line = match line.strip_suffix("];") {
                Some(head) => format!("{head}, {feature}];"),
                None => format!("{} [{feature}];", line.trim_end_matches(';')),
            };
        }
        out += &line;
        out.push('\n');
        if line.starts_with("package") {
            out += match proto2 {
                true => {
                    "option features.repeated_field_encoding = EXPANDED; option features.enum_type = CLOSED;\n"
                }
                false => "option features.field_presence = IMPLICIT;\n",
            };
        }
    }
    Some(out)
}

struct Maker<'a> {
    random: &'a mut Seeded,
    proto2: bool,
    messages: u64,
    enums: u64,
    names: u32,
    imports: Vec<&'static str>,
}

impl Maker<'_> {
    fn enumeration(&mut self, n: u64, out: &mut String) {
        let _ = writeln!(out, "enum E{n} {{ option allow_alias = true;");
        let first = if self.proto2 && self.random.one_in(2) { 7 } else { 0 };
        let _ = writeln!(out, "  E{n}_FIRST = {first}; E{n}_AGAIN = {first};");
        for value in 0..self.random.below(5) {
            let number = pick(self.random, &[1, 2, 3, -1, 511, 512, 100_000, i32::MIN, i32::MAX]);
            let _ = writeln!(out, "  E{n}_V{value} = {number};");
        }
        out.push_str("}\n");
    }

    /// A type's name; messages mostly come later in the file, so that most schemas are trees.
    fn kind(&mut self, from: u64) -> String {
        match self.random.below(10) {
            0..5 => pick(self.random, &SCALARS).to_owned(),
            5 => format!("E{}", self.random.below(self.enums)),
            6 => {
                let (name, import) = pick(self.random, &KNOWN);
                self.imports.push(import);
                name.to_owned()
            }
            7 => format!("M{}", self.random.below(self.messages)),
            _ => match self.messages - from - 1 {
                0 => pick(self.random, &SCALARS).to_owned(),
                later => format!("M{}", from + 1 + self.random.below(later)),
            },
        }
    }

    fn fields(&mut self, message: u64, depth: u32, out: &mut String) {
        let mut number = 0;
        for _ in 0..self.random.below(9) {
            number += match self.random.below(12) {
                0 => 1_200 + self.random.below(1_000),
                1 => 15,
                2 => 40_000_000,
                _ => 1,
            };
            // The numbers that the compiler keeps to itself.
            if (19_000..20_000).contains(&number) {
                number = 20_000;
            }
            self.names += 1;
            let name = format!("f{}", self.names);
            match self.random.below(10) {
                0 => {
                    let (key, value) = (pick(self.random, &KEYS), self.kind(message));
                    let _ = writeln!(out, "map<{key}, {value}> {name} = {number};");
                }
                1 if depth == 0 => {
                    let _ = writeln!(out, "oneof o{} {{", self.names);
                    for member in 0..1 + self.random.below(4) {
                        let kind = self.kind(message);
                        let _ = writeln!(out, "  {kind} {name}_m{member} = {number};");
                        number += 1;
                    }
                    out.push_str("}\n");
                }
                2 if self.proto2 && depth < 2 => {
                    let label =
                        pick(self.random, &["optional", "optional", "required", "repeated"]);
                    let _ = writeln!(out, "{label} group G{} = {number} {{", self.names);
                    self.fields(message, depth + 1, out);
                    out.push_str("}\n");
                }
                3..6 => self.repeated(message, &name, number, out),
                _ => self.singular(message, &name, number, out),
            }
        }
    }

    fn repeated(&mut self, message: u64, name: &str, number: u64, out: &mut String) {
        let kind = self.kind(message);
        let packable = kind.starts_with('E') || SCALARS[..13].contains(&kind.as_str());
        let packed = match self.random.below(3) {
            0 if packable => " [packed = true]",
            1 if packable => " [packed = false]",
            _ => "",
        };
        let _ = writeln!(out, "repeated {kind} {name} = {number}{packed};");
    }

    fn singular(&mut self, message: u64, name: &str, number: u64, out: &mut String) {
        let kind = self.kind(message);
        let label = match (self.proto2, self.random.below(6)) {
            (true, 0) if !kind.starts_with('M') => "required",
            (true, _) => "optional",
            (false, 0 | 1) => "optional",
            (false, _) => "",
        };
        let default = match kind.as_str() {
            "int32" if self.proto2 => " [default = -5]",
            "string" if self.proto2 => " [default = \"x\"]",
            "double" if self.proto2 => " [default = inf]",
            _ => "",
        };
        let _ = writeln!(out, "{label} {kind} {name} = {number}{default};");
    }
}

/// A random message with about one field in `sparse`, `depth` levels deep.
pub fn message(
    random: &mut Seeded,
    descriptor: &MessageDescriptor,
    depth: u32,
    sparse: u64,
) -> DynamicMessage {
    let mut out = DynamicMessage::new(descriptor.clone());
    if known(random, &mut out, depth) {
        return out;
    }
    for field in descriptor.fields() {
        if random.one_in(sparse)
            && let Some(value) = any_value(random, &field, depth)
        {
            out.set_field(&field, value);
        }
    }
    for extension in descriptor.extensions() {
        if !random.one_in(sparse) || depth == 0 {
            continue;
        }
        let value = match extension.cardinality() {
            Cardinality::Repeated => {
                let count = random.below(4);
                Value::List(
                    (0..count).map(|_| single(random, &extension.kind(), depth - 1)).collect(),
                )
            }
            _ => single(random, &extension.kind(), depth - 1),
        };
        out.set_extension(&extension, value);
    }
    out
}

/// Types whose values have bounds of their own. False: it is none of them.
fn known(random: &mut Seeded, out: &mut DynamicMessage, depth: u32) -> bool {
    let descriptor = out.descriptor();
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let seconds = random.below(4_000_000_000) as i64 - 2_000_000_000;
            out.set_field_by_number(1, Value::I64(seconds));
            out.set_field_by_number(2, Value::I32(random.below(1_000_000) as i32 * 1_000));
        }
        "google.protobuf.Duration" => {
            let sign = if random.one_in(2) { 1 } else { -1 };
            out.set_field_by_number(1, Value::I64(random.below(1_000_000) as i64 * sign));
            let micros = random.below(1_000_000) as i32 * sign as i32;
            out.set_field_by_number(2, Value::I32(micros * 1_000));
        }
        "google.protobuf.FieldMask" => {
            let paths = ["a", "foo_bar", "x_y_z"].map(|path| Value::String(path.to_owned()));
            let paths = paths[random.below(4).min(3) as usize..].to_vec();
            out.set_field_by_number(1, Value::List(paths));
        }
        "google.protobuf.Value" => {
            let number = 1 + random.below(if depth == 0 { 4 } else { 6 }) as u32;
            let field = descriptor.get_field(number).unwrap();
            let value = match number {
                2 => Value::F64(random.below(1_000) as f64 / 8.0),
                1 => Value::EnumNumber(0),
                _ => single(random, &field.kind(), depth),
            };
            out.set_field(&field, value);
        }
        _ => return false,
    }
    true
}

fn any_value(random: &mut Seeded, field: &FieldDescriptor, depth: u32) -> Option<Value> {
    if let Kind::Message(inner) = field.kind() {
        // Message sets are not supported.
        if depth == 0 || inner.name().starts_with("MessageSet") {
            return None;
        }
    }
    if field.is_map() {
        let entry = field.kind();
        let entry = entry.as_message().unwrap();
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let count = random.below(4);
        return Some(Value::Map(
            (0..count)
                .map(|_| {
                    let key: MapKey = match single(random, &key.kind(), 0) {
                        Value::Bool(b) => MapKey::Bool(b),
                        Value::I32(n) => MapKey::I32(n),
                        Value::I64(n) => MapKey::I64(n),
                        Value::U32(n) => MapKey::U32(n),
                        Value::U64(n) => MapKey::U64(n),
                        Value::String(text) => MapKey::String(text),
                        other => panic!("{other:?} as a key"),
                    };
                    (key, single(random, &value.kind(), depth.saturating_sub(1)))
                })
                .collect(),
        ));
    }
    if field.is_list() {
        let count = random.below(4);
        let items = (0..count).map(|_| single(random, &field.kind(), depth.saturating_sub(1)));
        return Some(Value::List(items.collect()));
    }
    Some(single(random, &field.kind(), depth.saturating_sub(1)))
}

fn single(random: &mut Seeded, kind: &Kind, depth: u32) -> Value {
    let bits = random.next_u64() >> random.below(64);
    let signed = if random.one_in(2) { bits as i64 } else { -(bits as i64 >> 1) };
    match kind {
        Kind::Double => {
            Value::F64(pick(random, &[0.0, -0.5, 1e300, 12.25, 1e-9, f64::INFINITY, f64::NAN]))
        }
        Kind::Float => Value::F32(pick(random, &[0.0, -0.5, 1e30, 0.1, -1e-30, f32::NEG_INFINITY])),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(signed as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(signed),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(bits as u32),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(bits),
        Kind::Bool => Value::Bool(bits % 2 == 1),
        Kind::String => {
            let texts = [
                "",
                "a",
                "straße",
                "日本語 テキスト",
                "quote\"\\\n\u{1}",
                "a longer piece of plain text",
            ];
            Value::String(pick(random, &texts).to_owned())
        }
        Kind::Bytes => {
            Value::Bytes((0..bits % 5).map(|b| (b * 77) as u8).collect::<Vec<u8>>().into())
        }
        Kind::Enum(e) => {
            let values: Vec<i32> = e.values().map(|v| v.number()).collect();
            Value::EnumNumber(values[(bits as usize) % values.len()])
        }
        Kind::Message(m) => Value::Message(message(random, m, depth, 4)),
    }
}

/// One field of a message as it stands on the wire.
struct Part {
    number: u32,
    wire: WireType,
    /// What its length speaks of, or the value itself; of a group what stands between its tags.
    value: Vec<u8>,
}

/// The fields of bytes that a library wrote.
fn parts(mut rest: &[u8]) -> Vec<Part> {
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (number, wire) = decode_key(&mut rest).unwrap();
        out.push(Part { number, wire, value: value(&mut rest, number, wire) });
    }
    out
}

fn value(rest: &mut &[u8], number: u32, wire: WireType) -> Vec<u8> {
    let before = *rest;
    let len = match wire {
        WireType::LengthDelimited => {
            let len = decode_varint(rest).unwrap() as usize;
            let (body, tail) = rest.split_at(len);
            *rest = tail;
            return body.to_vec();
        }
        WireType::StartGroup => loop {
            let at = before.len() - rest.len();
            let (inner, wire) = decode_key(rest).unwrap();
            if wire == WireType::EndGroup {
                assert_eq!(inner, number);
                return before[..at].to_vec();
            }
            value(rest, inner, wire);
        },
        WireType::Varint => before.iter().position(|byte| *byte < 0x80).unwrap() + 1,
        WireType::SixtyFourBit => 8,
        WireType::ThirtyTwoBit => 4,
        WireType::EndGroup => panic!("the end of no group"),
    };
    *rest = &before[len..];
    before[..len].to_vec()
}

fn put(part: &Part, random: &mut Seeded, out: &mut Vec<u8>) {
    encode_key(part.number, part.wire, out);
    match part.wire {
        WireType::LengthDelimited => encode_varint(part.value.len() as u64, out),
        // Longer than need be, which is legal.
        WireType::Varint if part.value.len() < 9 && random.one_in(8) => {
            let (last, head) = part.value.split_last().unwrap();
            out.extend_from_slice(head);
            out.extend([last | 0x80, 0x00]);
            return;
        }
        _ => {}
    }
    out.extend_from_slice(&part.value);
    if part.wire == WireType::StartGroup {
        encode_key(part.number, WireType::EndGroup, out);
    }
}

/// The bytes of a message, spelled as no encoder would: fields in any order, some of them twice,
/// messages in two parts, lists packed, unpacked and both, overlong varints, fields nobody knows.
/// What they mean may change (the last one wins): ask another decoder.
pub fn respell(random: &mut Seeded, descriptor: &MessageDescriptor, bytes: &[u8]) -> Vec<u8> {
    let mut all: Vec<Part> = Vec::new();
    for part in parts(bytes) {
        let field = descriptor.get_field(part.number).map(|f| (f.kind(), f.is_list(), f.is_map()));
        let field = field.or_else(|| {
            let extension = descriptor.get_extension(part.number)?;
            Some((extension.kind(), extension.is_list(), extension.is_map()))
        });
        match field {
            Some((Kind::Message(inner), list, map)) => {
                // Two parts of an element are two elements, and of an entry two entries.
                let halves = if list || map { vec![part] } else { halve(random, part) };
                for half in halves {
                    let value = respell(random, &inner, &half.value);
                    all.push(Part { value, ..half });
                }
            }
            Some((kind, true, _)) if !matches!(kind, Kind::String | Kind::Bytes) => {
                all.extend(repack(random, &kind, part));
            }
            _ => {
                if random.one_in(6) {
                    all.push(Part {
                        number: part.number,
                        wire: part.wire,
                        value: part.value.clone(),
                    });
                }
                all.push(part);
            }
        }
    }
    if random.one_in(3) && !descriptor.is_map_entry() {
        all.push(unknown(random, descriptor));
    }
    if random.one_in(2) {
        for i in (1..all.len()).rev() {
            all.swap(i, random.below(i as u64 + 1) as usize);
        }
    }
    let mut out = Vec::new();
    all.iter().for_each(|part| put(part, random, &mut out));
    out
}

/// A message in one part or in two.
fn halve(random: &mut Seeded, part: Part) -> Vec<Part> {
    let inner = parts(&part.value);
    if inner.len() < 2 || random.one_in(2) {
        return vec![part];
    }
    let (head, tail) = inner.split_at(random.below(inner.len() as u64) as usize);
    [head, tail]
        .map(|half| {
            let mut value = Vec::new();
            half.iter().for_each(|part| put(part, random, &mut value));
            Part { number: part.number, wire: part.wire, value }
        })
        .into()
}

/// Items of a list of numbers, packed or one by one, or first some of one and then of the other.
fn repack(random: &mut Seeded, kind: &Kind, part: Part) -> Vec<Part> {
    let wire = match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => WireType::SixtyFourBit,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => WireType::ThirtyTwoBit,
        _ => WireType::Varint,
    };
    let mut rest = part.value.as_slice();
    let mut items: Vec<Vec<u8>> = Vec::new();
    while !rest.is_empty() {
        items.push(value(&mut rest, part.number, wire));
    }
    let (packed, single) = items.split_at(random.below(items.len() as u64 + 1) as usize);
    let mut out = Vec::new();
    if !packed.is_empty() || random.one_in(4) {
        let value = packed.concat();
        out.push(Part { number: part.number, wire: WireType::LengthDelimited, value });
    }
    out.extend(single.iter().map(|item| Part { number: part.number, wire, value: item.clone() }));
    out
}

/// A field that the message does not have, of any wire type.
fn unknown(random: &mut Seeded, descriptor: &MessageDescriptor) -> Part {
    let mut number = 1 + random.below(600) as u32;
    while descriptor.get_field(number).is_some() || descriptor.get_extension(number).is_some() {
        number += 1;
    }
    let (wire, value) = match random.below(5) {
        0 => (WireType::Varint, vec![0xff, 0x01]),
        1 => (WireType::SixtyFourBit, vec![1; 8]),
        2 => (WireType::ThirtyTwoBit, vec![2; 4]),
        3 => (WireType::LengthDelimited, b"who knows".to_vec()),
        _ => (WireType::StartGroup, vec![0x08, 0x01, 0x13, 0x14]),
    };
    Part { number, wire, value }
}
