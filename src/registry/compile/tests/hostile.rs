//! Schemas made to harm: refused, at a small cost.

use super::*;

#[test]
fn protobuf_descriptor_with_a_map_entry_that_is_none_is_refused() {
    use prost_types::field_descriptor_proto::{Label, Type};
    let field = |number: i32, kind: Type, label: Label| prost_types::FieldDescriptorProto {
        name: Some(if number == 1 { "key" } else { "value" }.into()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(kind.into()),
        ..Default::default()
    };
    let file = |fields: Vec<prost_types::FieldDescriptorProto>| {
        let entry = prost_types::DescriptorProto {
            name: Some("EEntry".into()),
            field: fields,
            options: Some(prost_types::MessageOptions {
                map_entry: Some(true),
                ..Default::default()
            }),
            ..Default::default()
        };
        let of_entry = prost_types::FieldDescriptorProto {
            name: Some("e".into()),
            type_name: Some(".M.EEntry".into()),
            ..field(1, Type::Message, Label::Repeated)
        };
        let message = prost_types::DescriptorProto {
            name: Some("M".into()),
            field: vec![of_entry],
            nested_type: vec![entry],
            ..Default::default()
        };
        base64(&prost_types::FileDescriptorProto {
            name: Some("m.proto".into()),
            message_type: vec![message],
            syntax: Some("proto3".into()),
            ..Default::default()
        })
    };
    let one = |number, kind| field(number, kind, Label::Optional);
    protobuf(&file(vec![one(1, Type::String), one(2, Type::Int32)]), &[]).unwrap();
    for fields in [
        vec![],
        vec![one(1, Type::String)],
        vec![one(2, Type::String)],
        vec![one(1, Type::Double), one(2, Type::Int32)],
        vec![one(1, Type::Bytes), one(2, Type::Int32)],
        vec![field(1, Type::String, Label::Repeated), one(2, Type::Int32)],
        vec![one(1, Type::String), field(2, Type::Int32, Label::Repeated)],
    ] {
        let fault = protobuf(&file(fields), &[]).unwrap_err();
        assert!(fault.message.contains("map entry `M.EEntry`"), "{fault}");
    }
}

#[test]
fn protobuf_hostile_text_is_refused_and_harmless() {
    let deep = |open: &str, close: &str, n: usize| open.repeat(n) + &close.repeat(n);
    let texts = [
        deep("message M {", "}", 100_000),
        format!("message M {{ int32 a = 1 [x = {}]; }}", deep("{a{", "}}", 100_000)),
        "message M { oneof o { ".repeat(50_000),
        "message M { extend M { optional group G = 1 { ".repeat(50_000),
        "/*".repeat(100_000),
        "\"".repeat(100_001),
        "import \"schema.proto\";".to_owned(),
        "message M { int32 a = 99999999999999999999; }".to_owned(),
        "enum E { }".to_owned(),
        "message M { reserved 1 to max; int32 a = 1; }".to_owned(),
        "message M { oneof o {} }".to_owned(),
        "\u{0}".to_owned(),
    ];
    for text in texts {
        let start: String = text.chars().take(40).collect();
        let text = format!("syntax = \"proto3\"; {text}");
        assert!(protobuf(&text, &[]).is_err(), "{start}");
    }
    // Options are values of a type, which may hold itself.
    let own = "import \"google/protobuf/descriptor.proto\"; message O { optional O a = 1; repeated O l = 2; } extend google.protobuf.FileOptions { optional O x = 50001; }";
    for value in [
        deep("{ a ", "}", 100_000),
        deep("{ a ", "}", 2_000),
        format!("{{ l: {} }}", deep("[", "]", 100_000)),
        deep("{ l: [", "]}", 100_000),
        deep("{ l <", ">}", 100_000),
    ] {
        for own in ["", own] {
            // Taken or refused, and the stack holds.
            let _ = protobuf(&format!("syntax = \"proto2\"; {own} option (x) = {value};"), &[]);
        }
    }
    // A circle of references.
    let a = "syntax = \"proto3\"; import \"b.proto\";";
    let b = "syntax = \"proto3\"; import \"a.proto\";";
    let fault = protobuf(a, &[("a.proto", a), ("b.proto", b)]).unwrap_err();
    assert!(fault.message.contains("import cycle"), "{fault}");
}

#[test]
fn protobuf_hostile_descriptors_are_refused_and_harmless() {
    use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};
    let field = |f: FieldDescriptorProto| FileDescriptorProto {
        syntax: Some("proto3".into()),
        message_type: vec![DescriptorProto {
            name: Some("M".into()),
            field: vec![f],
            ..Default::default()
        }],
        ..Default::default()
    };
    let base = FieldDescriptorProto {
        name: Some("a".into()),
        number: Some(1),
        r#type: Some(5),
        label: Some(1),
        ..Default::default()
    };
    let files = [
        FileDescriptorProto { public_dependency: vec![7, -1], ..Default::default() },
        field(FieldDescriptorProto { oneof_index: Some(5), ..base.clone() }),
        field(FieldDescriptorProto { oneof_index: Some(-5), ..base.clone() }),
        field(FieldDescriptorProto { number: Some(-1), ..base.clone() }),
        field(FieldDescriptorProto { r#type: Some(99), ..base.clone() }),
        field(FieldDescriptorProto { label: Some(99), ..base.clone() }),
        field(FieldDescriptorProto {
            type_name: Some(".M.M.M".into()),
            r#type: Some(11),
            ..base.clone()
        }),
        field(FieldDescriptorProto { name: None, ..base.clone() }),
        field(FieldDescriptorProto { default_value: Some("x".into()), ..base.clone() }),
        FileDescriptorProto { syntax: Some("proto9".into()), ..Default::default() },
    ];
    for file in files {
        // Refused or taken; never a panic that leaves this function.
        let _ = protobuf(&base64(&file), &[]);
    }
    let mut deep = DescriptorProto { name: Some("M".into()), ..Default::default() };
    for _ in 0..90 {
        deep = DescriptorProto {
            name: Some("M".into()),
            nested_type: vec![deep],
            ..Default::default()
        };
    }
    let file = FileDescriptorProto { message_type: vec![deep], ..Default::default() };
    let _ = protobuf(&base64(&file), &[]);
}

/// Random damage to text and descriptor: refused or taken, the process lives.
#[test]
fn damaged_schemas_are_harmless() {
    const SEED: u64 = 20_261_122;
    let mut random = crate::clock::Seeded::new(SEED);
    let text = include_str!("../../../../tests/corpus/wire/shapes.proto");
    let descriptor = protobuf(text, &[]).unwrap().file_descriptor_proto().encode_to_vec();
    let schema = include_str!("../../../../schemas/payments/v2.avsc");
    let edition = EDITION_2023.as_bytes();
    // Its descriptor, with other features of the file.
    let serialized = protobuf(EDITION_2023, &[]).unwrap().file_descriptor_proto().encode_to_vec();
    let serialized = [with(serialized, 12, b"editions"), vec![0x70, 0xe8, 0x07]].concat();
    let serialized = with(serialized, 8, &with(Vec::new(), 50, &[0x08, 2, 0x28, 2]));
    assert!(protobuf(&encoded(&serialized), &[]).is_ok_and(|f| !f.facts.editions.is_empty()));
    for round in 0..300 {
        for (kind, whole) in [
            (0, text.as_bytes()),
            (1, descriptor.as_slice()),
            (2, schema.as_bytes()),
            (0, edition),
            (1, &serialized),
        ] {
            let mut bytes = whole.to_vec();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len() as u64) as usize;
                match random.below(4) {
                    0 => bytes[at] = random.next_u64() as u8,
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, b"{}[]<>\"',;.=0"[random.below(13) as usize]),
                    _ => {
                        let end = (at + random.below(40) as usize).min(bytes.len());
                        let piece = bytes[at..end].to_vec();
                        let to = random.below(bytes.len() as u64) as usize;
                        bytes.splice(to..to, piece);
                    }
                }
            }
            let (language, text) = match kind {
                1 => {
                    use base64::Engine;
                    let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
                    (Language::Protobuf, text)
                }
                0 => (Language::Protobuf, String::from_utf8_lossy(&bytes).into_owned()),
                _ => (Language::Avro, String::from_utf8_lossy(&bytes).into_owned()),
            };
            if let Err(fault) = compile(1, language, &text, &[]) {
                let internal = fault.message.contains("its compiler failed");
                assert!(!internal, "seed {SEED} round {round} kind {kind}: {text}");
            }
        }
    }
}

#[test]
fn avro_hostile_text_is_refused_and_harmless() {
    let deep = |open: &str, close: &str, n: usize| open.repeat(n) + &close.repeat(n);
    for text in [
        deep(r#"{"type":"array","items":"#, "}", 100_000),
        deep("[", "]", 100_000),
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#.into(),
        r#"{"type":"fixed","name":"F","size":-1}"#.into(),
        r#"["int","int"]"#.into(),
        "null".into(),
        "7".into(),
        String::new(),
    ] {
        let start: String = text.chars().take(60).collect();
        assert!(avro(&text, &[]).is_err(), "{start}");
    }
    let branches: Vec<String> =
        (0..20_000).map(|i| format!(r#"{{"type":"fixed","name":"F{i}","size":1}}"#)).collect();
    avro(&format!("[{}]", branches.join(",")), &[]).unwrap();
}

#[test]
fn limits_are_checked_before_parsing() {
    let big = " ".repeat(TEXT_MAX);
    let fault = compile(1, Language::Avro, &big, &list(&[("a", "x")])).unwrap_err();
    assert_eq!(fault.code.id, "FB0306");
    let many = vec![Reference { name: "a".into(), text: String::new() }; REFERENCES_MAX + 1];
    let fault = compile(1, Language::Protobuf, "", &many).unwrap_err();
    assert_eq!(fault.code.id, "FB0305");
}
