//! Bytes that nobody should send: no panic, bounded work, neighbours unharmed.

use arrow::array::RecordBatch;
use forebay::clock::Seeded;
use forebay::config::{Limits, Recursion};
use forebay::decode::{Decoder, Options, Plan};
use forebay::error::Reject;
use forebay::registry::{Language, Parsed};
use prost_reflect::ReflectMessage;
use prost_reflect::prost::Message;

use super::{compile, decoder, generate, options, plan, proto3, root, try_plan};

/// Feeds good and bad bodies by turns; the batch must be the one of the accepted bodies alone.
fn neighbours_unharmed(
    decoder: &mut Decoder,
    good: &[Vec<u8>],
    bad: impl Iterator<Item = Vec<u8>>,
) {
    let mut accepted = Vec::new();
    let (mut rejected, mut count) = (0, 0);
    let mut next_good = good.iter().cycle();
    let check = |decoder: &mut Decoder, accepted: &mut Vec<Vec<u8>>| {
        let with = decoder.finish();
        for body in accepted.iter() {
            decoder.append(body).unwrap();
        }
        let without = decoder.finish();
        assert_same(&with, &without);
        accepted.clear();
    };
    for body in bad {
        let rows = decoder.rows();
        match decoder.append(&body) {
            Ok(()) => accepted.push(body),
            Err(reject) => {
                says_what_and_where(&reject, &body);
                assert_eq!(decoder.rows(), rows);
                rejected += 1;
            }
        }
        count += 1;
        if count % 7 == 0 || count < 200 {
            let body = next_good.next().unwrap();
            decoder.append(body).unwrap();
            accepted.push(body.clone());
        }
        if accepted.len() > 500 {
            check(decoder, &mut accepted);
        }
    }
    check(decoder, &mut accepted);
    assert!(rejected > 0, "nothing was refused");
}

/// A reject has a code of the room, the place in the body, what was found and what is required.
fn says_what_and_where(reject: &Reject, body: &[u8]) {
    assert!(reject.code.id.starts_with("FB02"), "{reject}");
    let place = reject.message.split(" at byte ").nth(1).unwrap_or_else(|| panic!("{reject}"));
    let (place, rest) = place.split_once(": ").unwrap();
    let (at, of) = place.split_once(" of ").unwrap();
    assert!(at.parse::<usize>().unwrap() <= body.len(), "{reject}");
    assert_eq!(of, body.len().to_string(), "{reject}");
    assert!(rest.contains("required") || rest.contains("allowed"), "{reject}");
}

fn assert_same(a: &RecordBatch, b: &RecordBatch) {
    for column in a.columns() {
        column.to_data().validate_full().unwrap();
    }
    // By data, whose numbers are bytes: a NaN is not equal to itself.
    for (i, (a, b)) in a.columns().iter().zip(b.columns()).enumerate() {
        assert!(a.to_data() == b.to_data(), "column {i}: {a:?}\n{b:?}");
    }
}

fn samples(
    file: &str,
    text: &str,
    message: &str,
    seed: u64,
    count: usize,
) -> (Decoder, Vec<Vec<u8>>) {
    let file = compile(&[(file, text)]);
    let index = file.messages().position(|m| m.name() == message).unwrap();
    let descriptor = file.messages().nth(index).unwrap();
    let decoder = Decoder::new(try_plan(&file, &[index as u32], &options()).unwrap());
    let mut random = Seeded::new(seed);
    let one = |_| generate::message(&mut random, &descriptor, 3, 5).encode_to_vec();
    (decoder, (0..count).map(one).collect())
}

#[test]
fn every_truncation_leaves_neighbours_unharmed() {
    let text = include_str!("../../corpus/protobuf/test_messages_proto3.proto");
    let (mut decoder, good) = samples("t.proto", text, "TestAllTypesProto3", 11, 3);
    let cuts = good.iter().flat_map(|body| (0..body.len()).map(|n| body[..n].to_vec()));
    neighbours_unharmed(&mut decoder, &good, cuts);
}

#[test]
fn mutated_bytes_leave_neighbours_unharmed() {
    let text = include_str!("../../corpus/event/orders.proto");
    let (mut decoder, good) = samples("orders.proto", text, "Order", 12, 3);
    let every = good.iter().flat_map(|body| {
        (0..body.len() * 255).map(|n| {
            let mut body = body.clone();
            body[n / 255] ^= (n % 255 + 1) as u8;
            body
        })
    });
    neighbours_unharmed(&mut decoder, &good, every);
}

#[test]
fn every_cut_of_random_records_of_random_schemas_leaves_neighbours_unharmed() {
    let mut whole = 0;
    for seed in 0..150 {
        let mut random = Seeded::new(seed);
        let text = generate::schema(&mut random);
        let file = compile(&[("g.proto", &text)]);
        let Ok(plan) = try_plan(&file, &[0], &options()) else { continue };
        let mut decoder = Decoder::new(plan);
        let one = |_| generate::message(&mut random, &root(&file), 3, 2).encode_to_vec();
        let bodies: Vec<Vec<u8>> = (0..3).map(one).collect();
        let damaged: Vec<Vec<u8>> = bodies
            .iter()
            .flat_map(|body| {
                let cuts = (0..body.len()).map(|n| body[..n].to_vec());
                // Wire type 7, field number 0, the end of no group.
                let wrong =
                    [vec![0x07], vec![0x00], vec![0x0c]].map(|head| [head, body.clone()].concat());
                cuts.chain(wrong).collect::<Vec<_>>()
            })
            .collect();
        neighbours_unharmed(&mut decoder, &bodies, damaged.into_iter());
        whole += 1;
    }
    assert!(whole > 100, "{whole}");
}

/// Messages with one field each, for every field of a type, and those of them that are not empty.
fn one_field_each(descriptor: &prost_reflect::MessageDescriptor, seed: u64) -> Vec<Vec<u8>> {
    let mut random = Seeded::new(seed);
    let mut out = Vec::new();
    let mut take = |whole: prost_reflect::DynamicMessage| {
        for (field, value) in whole.fields() {
            let mut one = prost_reflect::DynamicMessage::new(whole.descriptor());
            one.set_field(&field, value.clone());
            out.push(one.encode_to_vec());
        }
        for (extension, value) in whole.extensions() {
            let mut one = prost_reflect::DynamicMessage::new(whole.descriptor());
            one.set_extension(&extension, value.clone());
            out.push(one.encode_to_vec());
        }
    };
    // Of the members of a oneof only one is set at a time.
    (0..8).for_each(|_| take(generate::message(&mut random, descriptor, 2, 1)));
    out.sort_by_key(|body| (body.first_chunk::<2>().copied(), body.len()));
    // A few of each field, the short ones: long ones have more of the same.
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for body in out {
        let same = |other: &&Vec<u8>| other.first_chunk::<2>() == body.first_chunk::<2>();
        if kept.iter().rev().take_while(same).count() < 2 {
            kept.push(body);
        }
    }
    kept
}

#[test]
fn every_cut_and_every_changed_byte_of_every_type_leaves_neighbours_unharmed() {
    for (text, message) in [
        (include_str!("../../corpus/protobuf/test_messages_proto3.proto"), "TestAllTypesProto3"),
        (include_str!("../../corpus/protobuf/test_messages_proto2.proto"), "TestAllTypesProto2"),
        (GOOGLE_AND_CONFLUENT, "Known"),
    ] {
        let schema = forebay::registry::compile::compile(1, Language::Protobuf, text, &[]).unwrap();
        let Parsed::Protobuf(file) = &schema.parsed else { panic!() };
        let index = file.messages().position(|m| m.name() == message).unwrap();
        let plan = Plan::compile(&schema, &[index as u32], &options()).unwrap();
        let descriptor = file.messages().nth(index).unwrap();
        let mut decoder = Decoder::new(plan);
        let bodies = one_field_each(&descriptor, 31);
        // What no type allows from the start (a date of random numbers) is poison, too.
        let good: Vec<Vec<u8>> =
            bodies.iter().filter(|b| decoder.append(b).is_ok()).cloned().collect();
        decoder.finish();
        assert!(good.len() >= descriptor.fields().len().min(20), "{} of {message}", good.len());
        let cuts = bodies.iter().flat_map(|b| (0..b.len()).map(|n| b[..n].to_vec()));
        let changed = bodies.iter().flat_map(|body| {
            let short = body.len().min(8);
            (0..short * 255).map(|n| {
                let mut body = body.clone();
                body[n / 255] ^= (n % 255 + 1) as u8;
                body
            })
        });
        neighbours_unharmed(&mut decoder, &good, cuts.chain(changed));
    }
}

const GOOGLE_AND_CONFLUENT: &str = r#"syntax = "proto3"; package k;
    import "google/type/date.proto"; import "google/type/timeofday.proto"; import "google/type/datetime.proto";
    import "google/type/money.proto"; import "google/type/latlng.proto";
    import "confluent/meta.proto"; import "confluent/type/decimal.proto";
    message Known {
      google.type.Date date = 1; google.type.TimeOfDay time = 2; google.type.DateTime at = 3;
      google.type.Money money = 4; google.type.LatLng place = 5;
      confluent.type.Decimal text = 6;
      confluent.type.Decimal short = 7 [(confluent.field_meta) = { params: [{ key: "precision", value: "20" }, { key: "scale", value: "2" }] }];
      repeated google.type.Date dates = 8; map<string, confluent.type.Decimal> decimals = 9;
      oneof one { google.type.Date other = 10; bytes raw = 11; }
    }"#;

#[test]
fn random_damage_to_messages_of_all_types_leaves_neighbours_unharmed() {
    for (file, text, message) in [
        (
            "t3.proto",
            include_str!("../../corpus/protobuf/test_messages_proto3.proto"),
            "TestAllTypesProto3",
        ),
        (
            "t2.proto",
            include_str!("../../corpus/protobuf/test_messages_proto2.proto"),
            "TestAllTypesProto2",
        ),
    ] {
        let (mut decoder, good) = samples(file, text, message, 13, 8);
        let mut random = Seeded::new(14);
        let damaged: Vec<Vec<u8>> = (0..600)
            .map(|_| {
                let mut body = good[random.below(8) as usize].clone();
                for _ in 0..1 + random.below(4) {
                    let at = random.below(body.len() as u64) as usize;
                    match random.below(3) {
                        0 => body[at] = random.next_u64() as u8,
                        1 => drop(body.remove(at)),
                        _ => body.insert(at, random.next_u64() as u8),
                    }
                }
                body
            })
            .collect();
        neighbours_unharmed(&mut decoder, &good, damaged.into_iter());
    }
}

#[test]
fn malformed_wire_is_rejected_by_its_cause() {
    let file = proto3(
        "message M { int32 a = 1; string b = 2; repeated M c = 3; S s = 4; } message S { string x = 1; }",
    );
    let mut decoder = decoder(&file);
    let cases: &[(&[u8], &str)] = &[
        (&[0x12, 0x05, b'a'], "FB0201"),
        (&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "FB0201"),
        (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], "FB0201"),
        (&[0x00, 0x01], "FB0201"),
        (&[0x0e], "FB0201"),
        (&[0x0f], "FB0201"),
        (&[0x0c], "FB0201"),
        (&[0x2b, 0x08, 0x01], "FB0201"),
        (&[0x2b, 0x34], "FB0201"),
        (&[0xf8, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00], "FB0201"),
        (&[0x12, 0x02, 0xc3, 0x28], "FB0202"),
        (&[0x22, 0x04, 0x0a, 0x02, 0xc3, 0x28], "FB0202"),
    ];
    for (body, code) in cases {
        let reject = decoder.append(body).unwrap_err();
        assert_eq!(reject.code.id, *code, "{body:02x?}: {reject}");
    }
    assert_eq!(decoder.rows(), 0);
}

#[test]
fn reject_names_the_innermost_field_and_the_byte_of_its_tag() {
    let file = proto3(
        "import \"google/protobuf/timestamp.proto\";
         message M { int32 a = 1; string b = 2; repeated M c = 3; S s = 4; google.protobuf.Timestamp at = 5;
                     map<int32, S> m = 6; repeated S l = 7; repeated fixed32 p = 8; }
         message S { string x = 1; }",
    );
    let mut decoder = decoder(&file);
    for (body, place) in [
        // A good field first; then a string that passes the end.
        (&[0x08, 0x01, 0x12, 0x05, b'a'][..], "field `b` at byte 2 of 5: "),
        (&[0x08, 0x01, 0x22, 0x04, 0x0a, 0x02, 0xc3, 0x28], "field `s.x` at byte 4 of 8: "),
        (&[0x3a, 0x00, 0x3a, 0x02, 0x0a, 0x09], "field `l.x` at byte 4 of 6: "),
        (&[0x32, 0x05, 0x12, 0x03, 0x0a, 0x01, 0xff], "field `m.value.x` at byte 4 of 7: "),
        (&[0x42, 0x03, 0, 0, 0], "field `p` at byte 0 of 5: "),
        (&[0x2a, 0x02, 0x10, 0x80], "field `at` at byte 0 of 4: "),
        (&[0x1a, 0x03, 0x08, 0x01, 0x0f], "field `c` at byte 0 of 5: "),
        // Of a field that the schema does not have, its number.
        (&[0x08, 0x01, 0xaa, 0x1f, 0x7f], "field `#501` at byte 2 of 5: "),
        (&[0x08, 0x01, 0x80], "body of `t.M` at byte 2 of 3: "),
    ] {
        let reject = decoder.append(body).unwrap_err();
        assert!(reject.message.contains(place), "{reject}, expected {place}");
        says_what_and_where(&reject, body);
    }
    // A message kept as JSON whose parts fit together only when the row is over.
    let body = [0x1a, 0x02, 0x08, 0x01, 0x1a, 0x02, 0x12, 0x09];
    let reject = decoder.append(&body).unwrap_err();
    assert!(reject.message.contains("field `c"), "{reject}");
}

/// A message in itself `depth` times, by a length-delimited field of this tag.
fn nested(tag: u8, depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |inner, _| {
        let mut out = vec![tag];
        prost_reflect::prost::encoding::encode_varint(inner.len() as u64, &mut out);
        out.extend(inner);
        out
    })
}

#[test]
fn nesting_deeper_than_the_limit_is_rejected_on_known_and_unknown_paths() {
    let text = include_str!("../../corpus/protobuf/test_messages_proto2.proto");
    let (mut decoder, _) = samples("t2.proto", text, "TestAllTypesProto2", 1, 0);
    // recursive_message = 27, which is kept as JSON from the first level on.
    let recursive = |depth: usize| {
        (0..depth).fold(Vec::new(), |inner: Vec<u8>, _| {
            let mut out = vec![0xda, 0x01];
            prost_reflect::prost::encoding::encode_varint(inner.len() as u64, &mut out);
            out.extend(inner);
            out
        })
    };
    decoder.append(&recursive(100)).unwrap();
    assert_eq!(decoder.append(&recursive(101)).unwrap_err().code.id, "FB0203");
    assert_eq!(decoder.append(&recursive(20_000)).unwrap_err().code.id, "FB0203");
    for depth in [101, 1_000_000] {
        // Group of the unknown number 15, in itself.
        let groups = [vec![0x7b; depth], vec![0x7c; depth]].concat();
        assert_eq!(decoder.append(&groups).unwrap_err().code.id, "FB0203");
    }
    // Structs, lists and values of google.protobuf.Struct.
    let list = proto3("message M { L l = 1; } message L { repeated L l = 1; }");
    let mut json = Decoder::new(plan(&list, &options()));
    json.append(&nested(0x0a, 90)).unwrap();
    assert_eq!(json.append(&nested(0x0a, 5_000)).unwrap_err().code.id, "FB0203");
}

#[test]
fn record_that_makes_too_many_nodes_or_bytes_is_rejected() {
    // Ten million empty sub-messages in 20 MB; each would be a row of eight columns.
    let file = proto3("message M { repeated S s = 1; repeated E e = 2; map<int32, S> m = 3; }
        message S { int64 a = 1; int64 b = 2; int64 c = 3; int64 d = 4; string e = 5; string f = 6; double g = 7; double h = 8; }
        enum E { A_RATHER_LONG_NAME_FOR_A_SYMBOL_THAT_TAKES_ONE_BYTE_ON_THE_WIRE = 0; }");
    let mut small = Options { limits: Limits { nodes: 1_000, ..Limits::default() }, ..options() };
    let bomb = [0x0a, 0x00].repeat(2_000);
    let mut decoder = Decoder::new(plan(&file, &small));
    assert_eq!(decoder.append(&bomb).unwrap_err().code.id, "FB0204");
    decoder.append(&bomb[..1_000]).unwrap();

    small.limits = Limits { decoded_bytes: 10_000, ..Limits::default() };
    let mut decoder = Decoder::new(plan(&file, &small));
    // 64 times its size is allowed, but an element takes more than 32 bytes for each of its two.
    decoder.append(&[0x0a, 0x00].repeat(100)).unwrap();
    let packed = [vec![0x12, 0x80, 0x10], vec![0; 2_048]].concat();
    assert_eq!(decoder.append(&packed).unwrap_err().code.id, "FB0204");
    let batch = decoder.finish();
    assert_eq!(batch.num_rows(), 1);
}

#[test]
fn decoder_counts_rows_and_bytes_and_starts_anew() {
    let file = proto3("message M { string a = 1; repeated int32 b = 2; }");
    let mut decoder = decoder(&file);
    assert_eq!(root(&file).full_name(), decoder.plan().record_name);
    for _ in 0..10 {
        decoder.append(&[0x0a, 0x03, b'a', b'b', b'c', 0x12, 0x02, 1, 2]).unwrap();
    }
    assert_eq!(decoder.rows(), 10);
    assert!((100..1_000).contains(&decoder.bytes()), "{}", decoder.bytes());
    assert_eq!(decoder.finish().num_rows(), 10);
    assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
    assert_eq!(decoder.finish().num_rows(), 0);
}

#[test]
fn oneof_that_switches_without_end_is_rejected() {
    let wide: String = (1..=200).map(|n| format!("int64 f{n} = {n};")).collect();
    let file = proto3(&format!(
        "message M {{ oneof o {{ Wide a = 1; int32 b = 2; }} }} message Wide {{ {wide} }}"
    ));
    let limits = Limits { decoded_bytes: 1 << 20, ..Limits::default() };
    let mut decoder = Decoder::new(plan(&file, &Options { limits, ..options() }));
    let switch = [0x0a, 0x00, 0x10, 0x01];
    decoder.append(&switch.repeat(100)).unwrap();
    assert_eq!(decoder.append(&switch.repeat(10_000)).unwrap_err().code.id, "FB0204");
}

#[test]
fn messages_under_well_known_names_that_are_none_are_messages() {
    use forebay::registry::{Language, compile::compile};
    for (text, columns) in [
        ("message Int32Value { Int32Value value = 1; int32 n = 2; }", "value: Utf8; n: Int32"),
        (
            "message M { StringValue s = 1; } message StringValue { StringValue value = 1; int32 n = 2; }",
            r#"s: Struct("value": Utf8, "n": non-null Int32)"#,
        ),
        (
            "message M { FieldMask m = 1; } message FieldMask { repeated FieldMask paths = 1; int32 n = 2; }",
            r#"m: Struct("paths": non-null List(non-null Utf8, field: 'element'), "n": non-null Int32)"#,
        ),
        (
            "message M { BoolValue b = 1; } message BoolValue { repeated bool value = 1; }",
            r#"b: Struct("value": non-null List(non-null Boolean, field: 'element'))"#,
        ),
        (
            "message M { repeated BytesValue b = 1; } message BytesValue { bytes value = 1; M m = 2; }",
            r#"b: List(non-null Struct("value": non-null Binary, "m": Utf8), field: 'element')"#,
        ),
    ] {
        let text = format!("syntax = \"proto3\"; package google.protobuf; {text}");
        let schema = compile(1, Language::Protobuf, &text, &[]).unwrap();
        let plan = Plan::compile(&schema, &[0], &options()).unwrap();
        let fields =
            plan.schema.fields().iter().map(|f| format!("{}: {}", f.name(), f.data_type()));
        let mut found = fields.collect::<Vec<_>>().join("; ");
        while let Some(at) = found.find(", metadata: {") {
            let end = at + found[at..].find('}').unwrap();
            found.replace_range(at..=end, "");
        }
        assert_eq!(found, columns, "{text}");
        let mut decoder = Decoder::new(plan);
        for body in [&[][..], &[0x0a, 0], &[0x0a, 2, 0x0a, 0], &[0x0a, 4, 0x0a, 2, 0x0a, 0]] {
            let _ = decoder.append(body);
        }
        decoder.finish();
    }
}

#[test]
fn types_that_all_hold_each_other_are_refused_whatever_recursion_becomes() {
    let fields: String = (0..12).map(|n| format!("T{n} f{n} = {};", n + 1)).collect();
    let types: String = (0..12).map(|n| format!("message T{n} {{ {fields} }}")).collect();
    let file = proto3(&types);
    for recursion in [Recursion::Json, Recursion::Bytes, Recursion::Drop] {
        let mut options = options();
        options.value.recursion = recursion;
        assert_eq!(try_plan(&file, &[0], &options).unwrap_err().code.id, "FB0208", "{recursion:?}");
    }
}
