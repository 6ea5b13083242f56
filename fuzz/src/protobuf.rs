//! Protobuf bodies against prost-reflect: taken or refused, and the row of the body is the row of what
//! prost-reflect makes of it and writes again in its own order.
//!
//! Input: one byte that picks a message, then the body.

use std::sync::{Arc, OnceLock};

use arrow::array::StructArray;
use forebay::config::{self, Reader};
use forebay::decode::{Decoder, Options, Plan, codes};
use forebay::registry::{Language, compile};
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use serde_json::Value;

use super::cells::json;

pub const WORDS: &[&[u8]] = &[
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x0b, 0x0c],
    &[0x0e],
    &[0x07],
    &[0x00],
    &[0x0a, 0x00],
    &[0xc3, 0x28],
];

const PROTO3: &str = r#"
syntax = "proto3";
package f;
import "google/protobuf/timestamp.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/wrappers.proto";
message All {
  int32 a = 1; int64 b = 2; uint32 c = 3; uint64 d = 4; sint32 e = 5; sint64 f = 6;
  fixed32 g = 7; fixed64 h = 8; sfixed32 i = 9; sfixed64 j = 10; float k = 11; double l = 12;
  bool m = 13; string n = 14; bytes o = 15; Kind p = 16; All q = 17; Inner r = 18;
  repeated int32 s = 19; repeated string t = 20; repeated Inner u = 21; repeated Kind v = 22;
  map<string, int64> w = 23; map<int32, Inner> x = 24; map<bool, string> y = 25;
  oneof z { int32 z1 = 26; string z2 = 27; Inner z3 = 28; }
  optional int32 aa = 29; optional string ab = 30;
  google.protobuf.Timestamp ac = 31; google.protobuf.Duration ad = 32;
  google.protobuf.Int64Value ae = 33; google.protobuf.StringValue af = 34;
  repeated sint64 ag = 35 [packed = false]; Empty ah = 36;
}
message Inner { int32 a = 1; string b = 2; repeated double c = 3; Deep d = 4; }
message Deep { repeated fixed32 a = 1; map<string, string> b = 2; }
message Empty {}
enum Kind { ZERO = 0; ONE = 1; MINUS = -1; }
"#;

const PROTO2: &str = r#"
syntax = "proto2";
package g;
message Old {
  optional int32 a = 1 [default = 7]; optional string b = 2; repeated int64 c = 3 [packed = true];
  optional group G = 4 { optional int32 x = 1; repeated string y = 2; }
  repeated group H = 5 { optional Old z = 1; }
  optional Kind d = 6; repeated Kind e = 7;
  extensions 100 to 200;
}
enum Kind { ONE = 1; TWO = 2; }
extend Old { optional int32 more = 100; }
"#;

/// Bytes that two records may hold while their columns grow: both decoded, twice.
const PEAK_MAX: usize = 4 * DECODED_MAX;
const DECODED_MAX: usize = 1 << 22;
/// Deeper messages are refused by one or the other.
const DEPTH_MAX: u32 = 90;

struct Case {
    message: MessageDescriptor,
    plan: Arc<Plan>,
}

fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| vec![case(PROTO3, "f.All"), case(PROTO2, "g.Old")])
}

struct One(&'static str);

impl protox::file::FileResolver for One {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        protox::file::File::from_source(name, self.0)
    }
}

fn case(text: &'static str, name: &str) -> Case {
    let mut resolver = protox::file::ChainFileResolver::new();
    resolver.add(protox::file::GoogleFileResolver::new());
    resolver.add(One(text));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).open_file("t.proto").unwrap();
    let message = compiler.descriptor_pool().get_message_by_name(name).unwrap();
    let limits =
        config::Limits { nodes: 100_000, decoded_bytes: DECODED_MAX, ..config::Limits::default() };
    let options =
        Options { value: config::Value::default(), readers: vec![Reader::Native], limits };
    let registered = compile::compile(1, Language::Protobuf, text, &[]).unwrap();
    Case { message, plan: Plan::compile(&registered, &[0], &options).unwrap() }
}

pub fn run(data: &[u8]) -> bool {
    let [pick, body @ ..] = data else { return false };
    let case = &cases()[usize::from(*pick) % cases().len()];
    let ours = row(&case.plan, body);
    let wire = mismatched(Some(&case.message), &mut { body }, (None, DEPTH_MAX));
    match (&ours, DynamicMessage::decode(case.message.clone(), body)) {
        (Ok(ours), Ok(message)) if wire == Some(false) => {
            let again = message.encode_to_vec();
            assert_eq!(row(&case.plan, &again).as_ref(), Ok(ours), "written again: {again:?}");
        }
        (Ok(_), Ok(_)) => {}
        (Ok(_), Err(error)) => {
            assert_eq!(wire, Some(true), "taken, but: {error}");
        }
        (Err(code), Ok(_)) if wire == Some(false) => {
            let held = [codes::RANGE.id, codes::TOO_LARGE.id, codes::DEPTH.id, codes::UTF8.id];
            assert!(held.contains(&code.as_str()), "{code}");
        }
        (Err(_), _) => {}
    }
    ours.is_ok()
}

/// Whether some field has another wire type than its own. To protoc's parsers, and to us, it is an unknown
/// field; prost-reflect refuses the message, or reads a map's entry from where there is none.
///
/// Walks one message, or one group up to its end; `None` where the bytes are no message.
fn mismatched(
    message: Option<&MessageDescriptor>,
    body: &mut &[u8],
    (group, depth): (Option<u64>, u32),
) -> Option<bool> {
    let depth = depth.checked_sub(1)?;
    let mut found = false;
    while !body.is_empty() {
        let tag = varint(body)?;
        let number = tag >> 3;
        let field = message.and_then(|message| message.get_field(number as u32));
        let inner = field.as_ref().map(|field| field.kind());
        let inner = inner.as_ref().and_then(|kind| kind.as_message());
        let mut part: &[u8] = match tag & 7 {
            0 => varint(body).map(|_| &[][..])?,
            1 => body.split_off(..8).map(|_| &[][..])?,
            2 => varint(body).and_then(|n| body.split_off(..usize::try_from(n).ok()?))?,
            3 => {
                found |= mismatched(inner, body, (Some(number), depth))?;
                &[]
            }
            4 => return (group == Some(number)).then_some(found),
            5 => body.split_off(..4).map(|_| &[][..])?,
            _ => return None,
        };
        let Some(field) = field else {
            // The extension of these schemas is an `int32`.
            let extension = message.and_then(|message| message.get_extension(number as u32));
            found |= extension.is_some() && tag & 7 != 0;
            continue;
        };
        let own = match field.kind() {
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
            Kind::Message(_) if field.is_group() => 3,
            Kind::String | Kind::Bytes | Kind::Message(_) => 2,
            _ => 0,
        };
        found |= tag & 7 != own && !(field.is_list() && tag & 7 == 2 && own != 3);
        if own == 2 && tag & 7 == 2 && inner.is_some() {
            found |= mismatched(inner, &mut part, (None, depth))?;
        }
    }
    group.is_none().then_some(found)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// The row of a body, or the code of its reject.
fn row(plan: &Arc<Plan>, body: &[u8]) -> Result<Value, String> {
    let mut decoder = Decoder::new(plan.clone());
    let (first, again) = super::bounded(PEAK_MAX, || (decoder.append(body), decoder.append(body)));
    assert_eq!(first, again);
    assert_eq!(decoder.rows(), if first.is_ok() { 2 } else { 0 });
    let batch = StructArray::from(decoder.finish());
    first.map_err(|reject| reject.code.id.to_owned())?;
    let (row, same) = (json(&batch, 0), json(&batch, 1));
    assert_eq!(row, same);
    Ok(row)
}
