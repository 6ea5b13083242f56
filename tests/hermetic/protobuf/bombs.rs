//! Records and schemas made to exhaust memory: refused, with the most memory that was held meanwhile.
#![allow(clippy::print_stdout)]

use forebay::config;
use forebay::decode::{Decoder, Options, Plan};
use forebay::error::Fault;
use forebay::registry::Language;
use forebay::registry::compile::compile;

use crate::alloc::{Used, measured};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// What a record may take as columns here.
const DECODED: usize = 16 * MIB;

fn options() -> Options {
    Options {
        value: config::Value::default(),
        readers: vec![config::Reader::Duckdb],
        limits: config::Limits {
            decoded_bytes: DECODED,
            decoded_bytes_max: DECODED,
            ..config::Limits::default()
        },
    }
}

fn plan(text: &str) -> Result<std::sync::Arc<Plan>, Fault> {
    let text = format!("syntax = \"proto3\"; package t; {text}");
    Plan::compile(&compile(1, Language::Protobuf, &text, &[])?, &[0], &options())
}

/// A body that is refused with this code, holding at most `bytes` meanwhile; neighbours stand.
fn refused(schema: &str, body: &[u8], code: &str, bytes: usize) {
    let mut decoder = Decoder::new(plan(schema).unwrap());
    decoder.append(&[]).unwrap();
    let (got, Used { peak, .. }) = measured(|| decoder.append(body));
    let reject = got.expect_err(schema);
    assert_eq!(reject.code.id, code, "{reject}");
    assert!(peak <= bytes, "{peak} bytes for {schema}: at most {bytes} expected; {reject}");
    println!("{code}: {:>9} bytes of body, at most {peak:>9} held", body.len());
    let (_, Used { kept, .. }) = measured(|| {
        decoder.append(&[]).unwrap();
        assert_eq!(decoder.finish().num_rows(), 2);
        drop(decoder);
    });
    assert_eq!(kept, 0);
}

const SCALARS: &str = "import \"google/protobuf/struct.proto\"; import \"google/protobuf/any.proto\";
    message M { string s = 1; repeated fixed64 p = 2; M m = 3; repeated S l = 4; map<string, S> e = 5;
                google.protobuf.Struct j = 6; google.protobuf.Any a = 7; repeated E n = 8; }
    message S { int64 a = 1; int64 b = 2; int64 c = 3; int64 d = 4; string e = 5; string f = 6; double g = 7; }
    enum E { A_RATHER_LONG_NAME_FOR_A_SYMBOL_THAT_TAKES_ONE_BYTE_ON_THE_WIRE = 0; }";

#[test]
fn lengths_and_tags_that_lie_cost_nothing() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let over = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let half = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    for tag in [0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3a, 0x42, 0x7a] {
        for length in [&huge[..], &over, &half, &[0xff, 0xff, 0xff, 0xff, 0x07], &[0x02]] {
            let body = [&[tag], length, b"x"].concat();
            refused(SCALARS, &body, "FB0201", 16 * KIB);
        }
    }
    // End of a group, wire types 6 and 7, field number 0.
    for byte in [0x0c, 0x0e, 0x0f, 0x00, 0x01, 0x02] {
        refused(SCALARS, &[byte; 64], "FB0201", 16 * KIB);
    }
}

#[test]
fn nesting_costs_nothing_beyond_the_limit() {
    for depth in [101, 100_000] {
        // Unknown groups, inside one another; and the same inside an element of a list.
        let groups = [vec![0x7b; depth], vec![0x7c; depth]].concat();
        refused(SCALARS, &groups, "FB0203", 64 * KIB);
        let mut inside = vec![0x22];
        prost_reflect::prost::encoding::encode_varint(groups.len() as u64, &mut inside);
        refused(SCALARS, &[inside, groups].concat(), "FB0203", 64 * KIB);
    }
    // Known messages: kept as JSON, whose text starts before the depth is known; and `Struct`.
    for (tag, levels) in [(vec![0x1a], 3_000), (vec![0x32, 0x0a, 0x12, 0x2a], 800)] {
        let body = (0..levels).fold(Vec::new(), |inner: Vec<u8>, level| {
            let mut out = vec![tag[level % tag.len()]];
            prost_reflect::prost::encoding::encode_varint(inner.len() as u64, &mut out);
            out.extend(inner);
            out
        });
        let body = match tag.len() {
            1 => body,
            _ => struct_of_structs(400),
        };
        let (size, code) = (body.len(), "FB0203");
        refused(SCALARS, &body, code, 16 * size + 256 * KIB);
    }
}

/// `{ "k": { "k": … } }`, as `google.protobuf.Struct`.
fn struct_of_structs(levels: usize) -> Vec<u8> {
    let wrap = |tag: u8, inner: &[u8], out: &mut Vec<u8>| {
        out.push(tag);
        prost_reflect::prost::encoding::encode_varint(inner.len() as u64, out);
        out.extend_from_slice(inner);
    };
    let mut inner = Vec::new();
    for _ in 0..levels {
        // Struct.fields = 1 { key = 1, value = 2 }, Value.struct_value = 5.
        let mut value = Vec::new();
        wrap(0x2a, &inner, &mut value);
        let mut entry = vec![0x0a, 0x01, b'k'];
        wrap(0x12, &value, &mut entry);
        inner = Vec::new();
        wrap(0x0a, &entry, &mut inner);
    }
    let mut out = Vec::new();
    wrap(0x32, &inner, &mut out);
    out
}

/// Builders grow by doubling, and hold old and new for a moment.
const COLUMNS: usize = 3 * DECODED + MIB;

#[test]
fn empty_elements_are_bounded_by_what_they_take_as_columns() {
    // Ten million empty messages of seven columns each in 20 MB.
    refused(SCALARS, &[0x22, 0x00].repeat(10_000_000), "FB0204", COLUMNS);
    // The same as entries of a map, all of one key, and of as many keys.
    refused(SCALARS, &[0x2a, 0x00].repeat(2_000_000), "FB0204", COLUMNS);
    let entries: Vec<u8> = (0..500_000u32)
        .flat_map(|n| {
            [&[0x2a, 0x06, 0x0a, 0x04][..], format!("{n:04x}").as_bytes()]
                .concat()
                .into_iter()
                .take(8)
        })
        .collect();
    refused(SCALARS, &entries, "FB0204", COLUMNS);
    // Symbols of one byte with a name of 66.
    let packed = [&[0x42, 0x80, 0x80, 0x80, 0x02][..], &vec![0; 4 << 20]].concat();
    refused(SCALARS, &packed, "FB0204", COLUMNS);
}

#[test]
fn json_text_is_bounded_as_columns_are() {
    // A recursive message is text: two bytes make an object of a few, and a symbol its name.
    let inside = |body: &[u8]| {
        let mut out = vec![0x1a];
        prost_reflect::prost::encoding::encode_varint(body.len() as u64, &mut out);
        out.extend_from_slice(body);
        out
    };
    refused(SCALARS, &inside(&[0x22, 0x00].repeat(2_000_000)), "FB0204", 2 * COLUMNS);
    let symbols = [&[0x42, 0x80, 0x80, 0x80, 0x01][..], &vec![0; 2 << 20]].concat();
    refused(SCALARS, &inside(&symbols), "FB0204", 2 * COLUMNS);
    // Control characters are six bytes each.
    let text = [&[0x0a, 0x80, 0x80, 0x80, 0x02][..], &vec![1; 4 << 20]].concat();
    refused(SCALARS, &inside(&text), "FB0204", 2 * COLUMNS);
}

#[test]
fn unknown_fields_without_end_are_counted_and_cost_nothing() {
    let mut decoder = Decoder::new(plan(SCALARS).unwrap());
    let body = [0xf8, 0x01, 0x00].repeat(1_000_000);
    let (got, Used { peak, .. }) = measured(|| decoder.append(&body));
    got.unwrap();
    assert_eq!(decoder.take_oddities().unknown_fields, 1_000_000);
    assert!(peak <= 16 * KIB, "{peak}");
}

#[test]
fn a_message_that_comes_in_a_million_parts_takes_time_and_memory_of_its_bytes() {
    // Each part is another occurrence of the same JSON column.
    let body = [0x1a, 0x02, 0x12, 0x00].repeat(250_000);
    let mut decoder = Decoder::new(plan(SCALARS).unwrap());
    let (got, Used { peak, .. }) = measured(|| decoder.append(&body));
    if let Err(reject) = got {
        assert_eq!(reject.code.id, "FB0204", "{reject}");
    }
    assert!(peak <= 2 * COLUMNS, "{peak}");
}

#[test]
fn schemas_made_large_are_refused_or_take_memory_of_their_text() {
    let fields =
        |count: usize| (1..=count).map(|n| format!("int32 f{n} = {n};")).collect::<String>();
    let wide = format!("message M {{ {} }}", fields(9_999));
    let name = "n".repeat(64 << 10);
    let long = format!("message M {{ int32 {name} = 1; }}");
    let twins = "message M { int32 a = 1; int32 A = 2; int32 _topic = 3; int32 item = 4; }";
    // Eight levels of ten fields each of the next level: 10^8 columns from 80 fields.
    let levels: String = (0..8)
        .map(|level| {
            let fields: String = (1..=10).map(|n| format!("L{} f{n} = {n};", level + 1)).collect();
            format!("message L{level} {{ {fields} }}")
        })
        .collect();
    let grown = format!("{levels} message L8 {{ int32 a = 1; }}");
    for (schema, refusal, bytes) in [
        (wide.as_str(), None, 64 * MIB),
        (&long, None, 8 * MIB),
        (twins, None, MIB),
        (&grown, Some("FB0208"), 64 * MIB),
    ] {
        let (got, Used { peak, .. }) = measured(|| plan(schema));
        println!("{peak:>9} bytes for a schema of {}", schema.len());
        assert_eq!(got.err().map(|fault| fault.code.id), refusal, "{schema:.80}");
        assert!(peak <= bytes, "{peak} bytes for {schema:.80}");
    }
}
