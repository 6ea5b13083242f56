use prost::Message;
use prost_reflect::Kind;

use super::*;
use crate::registry::codes::EDITION;

fn protobuf(
    text: &str,
    references: &[(&str, &str)],
) -> Result<crate::registry::ProtobufFile, Fault> {
    match compile(1, Language::Protobuf, text, &list(references))?.parsed {
        Parsed::Protobuf(file) => Ok(file),
        other => panic!("{other:?}"),
    }
}

fn avro(text: &str, references: &[(&str, &str)]) -> Result<crate::registry::AvroSchema, Fault> {
    match compile(1, Language::Avro, text, &list(references))?.parsed {
        Parsed::Avro(schema) => Ok(schema),
        other => panic!("{other:?}"),
    }
}

fn list(references: &[(&str, &str)]) -> Vec<Reference> {
    references
        .iter()
        .map(|&(name, text)| Reference { name: name.to_owned(), text: text.to_owned() })
        .collect()
}

// -- Protobuf --

#[test]
fn protobuf_known_files_need_no_reference() {
    for (name, _) in known::FILES {
        let text = format!("syntax = \"proto3\"; import \"{name}\";");
        let file = protobuf(&text, &[]).unwrap();
        assert!(file.parent_pool().get_file_by_name(name).is_some(), "{name}");
        assert!(is_known_import(name));
    }
    assert!(is_known_import("google/protobuf/timestamp.proto"));
    assert!(!is_known_import("google/protobuf/nothing.proto"));
    let old = "syntax = \"proto3\"; import \"confluent/types/decimal.proto\"; message M { confluent.type.Decimal d = 1; }";
    protobuf(old, &[]).unwrap();
}

#[test]
fn protobuf_imports_are_found_by_name_only() {
    let main = "syntax = \"proto3\"; import \"a/b.proto\"; message M { B b = 1; }";
    let b = "syntax = \"proto3\"; message B {}";
    assert_eq!(protobuf(main, &[("a/b.proto", b)]).unwrap().messages().count(), 1);
    for import in ["a/b.proto", "/etc/hostname", "../../etc/passwd", "Cargo.toml"] {
        let text = format!("syntax = \"proto3\";\nimport \"{import}\"; message M {{ B b = 1; }}");
        let fault = protobuf(&text, &[]).unwrap_err();
        assert!(["FB0304", "FB0305"].contains(&fault.code.id), "{fault}");
    }
}

#[test]
fn protobuf_fault_has_line_and_column() {
    let fault =
        protobuf("syntax = \"proto3\";\nmessage M {\n  strin a = 1;\n}\n", &[]).unwrap_err();
    assert_eq!(fault.code.id, "FB0304");
    assert_eq!(
        fault.message,
        "protobuf schema: `schema.proto` line 3 column 3: name 'strin' is not defined"
    );
    let fault = protobuf("syntax = \"proto3\";\nimport \"b.proto\"; message M { B b = 1; }", &[])
        .unwrap_err();
    assert_eq!(fault.code.id, "FB0305");
    assert_eq!(
        fault.message,
        "protobuf schema: `schema.proto` line 2 column 1: import 'b.proto' not found"
    );
}

#[test]
fn protobuf_edition_that_is_not_known_is_refused_clearly() {
    for text in ["edition = \"2029\"; message M {}", "// a\n/* edition */ edition = 'proto3';"] {
        let fault = protobuf(text, &[]).unwrap_err();
        assert_eq!(fault.code, &EDITION, "{fault}");
    }
    let file =
        prost_types::FileDescriptorProto { syntax: Some("editions".into()), ..Default::default() };
    let fault = protobuf(&base64(&file), &[]).unwrap_err();
    assert_eq!(fault.code, &EDITION);
    protobuf("// edition\nsyntax = \"proto3\"; message edition {}", &[]).unwrap();
}

/// What each feature does to a field: (label, is a group, packed, without presence).
fn looks(file: &crate::registry::ProtobufFile, name: &str) -> (String, bool, bool, bool) {
    let (message, field) = name.rsplit_once('.').unwrap();
    let message = file.parent_pool().get_message_by_name(message).unwrap();
    let field = message.get_field_by_name(field).unwrap();
    let implicit = file.facts.implicit.contains(field.full_name());
    (format!("{:?}", field.cardinality()), field.is_group(), field.is_packed(), implicit)
}

const EDITION_2023: &str = "/* features */ edition = \"2023\"; package p;
    option features.field_presence = IMPLICIT;
    option features = { repeated_field_encoding: EXPANDED enum_type: CLOSED, [pb.java] { legacy_closed_enum: true } };
    message A {
      option features.message_encoding = DELIMITED;
      reserved old, \"older\"; reserved 100 to max;
      int32 bare = 1;
      int32 explicit = 2 [features.field_presence = EXPLICIT, default = -7];
      string needed = 3 [features.field_presence = LEGACY_REQUIRED];
      repeated int32 many = 4; repeated E packed = 5 [features.repeated_field_encoding = PACKED];
      repeated string words = 6; E e = 7; B group = 8; repeated B groups = 9;
      B plain = 10 [features.message_encoding = LENGTH_PREFIXED];
      map<string, B> by_name = 11;
      oneof one { int32 x = 12; B y = 13; }
      E first = 14 [features = { field_presence: EXPLICIT }, default = TWO];
      bytes raw = 15 [features.field_presence = EXPLICIT, default = \"\\001a\"];
      message B { int32 b = 1; A a = 2; }
      enum E { option features.enum_type = OPEN; ONE = 0; TWO = 2 [features.(pb.cpp).x = Y]; reserved THREE; }
      extensions 50 to 60;
    }
    extend A { int32 more = 50; A.B far = 51; }";

#[test]
fn protobuf_features_hold_for_what_they_stand_at_and_below() {
    let file = protobuf(EDITION_2023, &[]).unwrap();
    let is = |label: &str, group, packed, implicit| (label.to_owned(), group, packed, implicit);
    for (name, want) in [
        ("p.A.bare", is("Optional", false, false, true)),
        ("p.A.explicit", is("Optional", false, false, false)),
        ("p.A.needed", is("Required", false, false, false)),
        ("p.A.many", is("Repeated", false, false, false)),
        ("p.A.packed", is("Repeated", false, true, false)),
        ("p.A.words", is("Repeated", false, false, false)),
        ("p.A.e", is("Optional", false, false, true)),
        ("p.A.group", is("Optional", true, false, false)),
        ("p.A.groups", is("Repeated", true, false, false)),
        ("p.A.plain", is("Optional", false, false, false)),
        ("p.A.by_name", is("Repeated", false, false, false)),
        ("p.A.x", is("Optional", false, false, false)),
        ("p.A.y", is("Optional", true, false, false)),
        ("p.A.B.a", is("Optional", true, false, false)),
    ] {
        assert_eq!(looks(&file, name), want, "{name}");
    }
    let a = file.parent_pool().get_message_by_name("p.A").unwrap();
    let default = |name: &str| {
        a.get_field_by_name(name).unwrap().field_descriptor_proto().default_value.clone().unwrap()
    };
    assert_eq!((default("explicit"), default("first")), ("-7".to_owned(), "TWO".to_owned()));
    assert_eq!(default("raw"), "\\x01a");
    let entry = a.get_field_by_name("by_name").unwrap().kind();
    assert!(!entry.as_message().unwrap().map_entry_value_field().is_group());
    // The extension stands outside of `A`, whose features do not hold there.
    assert!(!a.extensions().any(|extension| extension.is_group()));
    // A group type is a message that the text declares.
    let found = crate::registry::message::at(&file, &[0, 0]).unwrap();
    assert_eq!(found.full_name(), "p.A.B");
    assert_eq!(crate::registry::message::indexes(&file, &found), Some(vec![0, 0]));
}

#[test]
fn protobuf_edition_2024_reads_without_its_visibility() {
    let other =
        "edition = \"2024\"; package q; local enum L { Z = 0; } export message T { int32 a = 1; }";
    let text = "edition = \"2024\"; package p; import option \"q.proto\"; import \"q.proto2\";
        option features.default_symbol_visibility = STRICT;
        option features.enforce_naming_style = STYLE_LEGACY;
        export message export { local message local { int32 n = 1; } local here = 1; q.T t = 2; }";
    let file = protobuf(text, &[("q.proto", "edition = \"2024\";"), ("q.proto2", other)]).unwrap();
    assert_eq!(looks(&file, "p.export.here"), ("Optional".to_owned(), false, false, false));
}

#[test]
fn protobuf_feature_that_is_not_known_is_refused_with_its_place() {
    for (feature, place) in [
        ("features.field_presence = SOMETIMES", "p.M.a"),
        ("features.colour = RED", "p.M.a"),
        ("features = { enum_type: AJAR }", "p.M.a"),
    ] {
        let text =
            format!("edition = \"2023\"; package p; message M {{ int32 a = 1 [{feature}]; }}");
        let fault = protobuf(&text, &[]).unwrap_err();
        assert_eq!(fault.code, &EDITION, "{fault}");
        assert!(fault.message.contains(place), "{fault}");
    }
    let fault =
        protobuf("edition = \"2023\"; message M { optional int32 a = 1; }", &[]).unwrap_err();
    assert!(fault.message.contains("`optional`"), "{fault}");
    // Lines and columns are those of the text.
    let fault = protobuf("edition = \"2023\";\nmessage M {\n  int32 a;\n}", &[]).unwrap_err();
    assert!(fault.message.contains("line 3 column 10"), "{fault}");
}

/// Fields of descriptors that the library has no place for, by hand: number and bytes.
fn with(mut message: Vec<u8>, number: u32, body: &[u8]) -> Vec<u8> {
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut message);
    prost::encoding::encode_varint(body.len() as u64, &mut message);
    message.extend_from_slice(body);
    message
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn protobuf_edition_as_a_serialized_descriptor_reads_the_same() {
    use base64::Engine;
    let field = |name: &str, number, options: &[u8]| {
        let field = prost_types::FieldDescriptorProto {
            name: Some(name.into()),
            number: Some(number),
            r#type: Some(11),
            type_name: Some(".p.M".into()),
            label: Some(1),
            ..Default::default()
        };
        with(field.encode_to_vec(), 8, options)
    };
    // FieldOptions.features { message_encoding: DELIMITED }, next to an extension nobody knows.
    let delimited = with(with(Vec::new(), 21, &[0x28, 2]), 5_000, b"x");
    let prefixed = with(Vec::new(), 21, &[0x28, 1]);
    let mut number = prost_types::FieldDescriptorProto {
        name: Some("n".into()),
        number: Some(3),
        r#type: Some(5),
        ..Default::default()
    }
    .encode_to_vec();
    number = with(number, 8, &with(Vec::new(), 21, &[0x08, 2]));
    let message = with(Vec::new(), 1, b"M");
    let message = with(message, 2, &field("a", 1, &delimited));
    let message = with(message, 2, &field("b", 2, &prefixed));
    let message = with(message, 2, &number);
    let file = with(with(Vec::new(), 1, b"x.proto"), 2, b"p");
    let file = with(with(file, 4, &message), 12, b"editions");
    // FileDescriptorProto.edition = EDITION_2023.
    let file = [file, vec![0x70, 0xe8, 0x07]].concat();
    let text = base64::engine::general_purpose::STANDARD.encode(&file);
    let file = protobuf(&text, &[]).unwrap();
    assert!(looks(&file, "p.M.a").1);
    assert!(!looks(&file, "p.M.b").1);
    assert!(looks(&file, "p.M.n").3);
    let imports = protobuf_imports(&text).unwrap();
    assert!(imports.is_empty());
}

#[test]
fn protobuf_names_that_differ_by_case_only_are_two_fields() {
    let text = "syntax = \"proto3\"; package p; message M {
        int32 a = 1; int32 A = 2; optional int32 user_id = 3; E userId = 4; repeated E es = 5; M m = 6; oneof o { bool b = 7; } }
        enum E { ZERO = 0; }";
    let file = protobuf(text, &[]).unwrap();
    assert_eq!(file.forgiven, ["fields of `M` whose names differ only by case or underscores"]);
    let is = |label: &str, packed, implicit| (label.to_owned(), false, packed, implicit);
    for (name, want) in [
        ("p.M.a", is("Optional", false, true)),
        ("p.M.A", is("Optional", false, true)),
        ("p.M.user_id", is("Optional", false, false)),
        ("p.M.userId", is("Optional", false, true)),
        ("p.M.es", is("Repeated", true, false)),
        ("p.M.m", is("Optional", false, false)),
        ("p.M.b", is("Optional", false, false)),
    ] {
        assert_eq!(looks(&file, name), want, "{name}");
    }
    let message = file.messages().next().unwrap();
    assert_eq!(message.oneofs().filter(|oneof| !oneof.is_synthetic()).count(), 1);
}

#[test]
fn protobuf_schema_says_what_it_was_forgiven() {
    let text = "syntax = \"proto3\"; import \"gone.proto\"; option (acme.owner) = \"x\";
        message M { int32 a = 1 [(acme.rule).min = 1]; }";
    let file = protobuf(text, &[]).unwrap();
    assert_eq!(
        file.forgiven,
        [
            "option `(acme.owner)` not read",
            "option `(acme.rule).min` not read",
            "import `gone.proto` not found"
        ]
    );
    assert!(protobuf("syntax = \"proto3\"; message M {}", &[]).unwrap().forgiven.is_empty());
    let edition = text.replace("syntax = \"proto3\"", "edition = \"2023\"");
    assert_eq!(protobuf(&edition, &[]).unwrap().forgiven, file.forgiven);
}

fn base64(file: &prost_types::FileDescriptorProto) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(file.encode_to_vec())
}

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
fn protobuf_serialized_descriptor_is_as_good_as_text() {
    let b = "syntax = \"proto3\"; package p; message B { int32 x = 1; }";
    let main = "syntax = \"proto3\"; package p; import \"b.proto\"; message M { B b = 1; map<string, B> all = 2; }";
    let text = protobuf(main, &[("b.proto", b)]).unwrap();
    let main_descriptor = base64(text.file_descriptor_proto());
    let b_descriptor =
        base64(text.parent_pool().get_file_by_name("b.proto").unwrap().file_descriptor_proto());
    let read = protobuf(&main_descriptor, &[("b.proto", &b_descriptor)]).unwrap();
    let fields = |file: &prost_reflect::FileDescriptor| -> Vec<(String, u32)> {
        let message = file.parent_pool().get_message_by_name("p.M").unwrap();
        message.fields().map(|f| (f.full_name().to_owned(), f.number())).collect()
    };
    assert_eq!(fields(&read), fields(&text));
    assert!(matches!(
        read.parent_pool().get_message_by_name("p.M").unwrap().get_field(1).unwrap().kind(),
        Kind::Message(_)
    ));
}

#[test]
fn protobuf_lenient_reading_keeps_what_is_known() {
    // As Kafka Connect writes it: the option is used, its file is not imported.
    let text = r#"syntax = "proto3";
        import "confluent/type/decimal.proto";
        import "nobody/registered.proto";
        message M {
          confluent.type.Decimal d = 1 [(confluent.field_meta) = {
            params: [{ key: "precision", value: "12" }, { key: "scale", value: "2" }]
          }];
          string s = 2 [(some.company.option) = true, deprecated = true];
        }"#;
    let file = protobuf(text, &[]).unwrap();
    let message = file.messages().next().unwrap();
    let options = message.get_field(1).unwrap().options();
    let extension = file.parent_pool().get_extension_by_name("confluent.field_meta").unwrap();
    let meta = options.get_extension(&extension);
    let params = meta.as_message().unwrap().get_field_by_name("params").unwrap().into_owned();
    let params = params.as_map().unwrap();
    assert_eq!(params[&prost_reflect::MapKey::String("precision".into())].as_str(), Some("12"));
    let deprecated = message.get_field(2).unwrap().options();
    assert_eq!(deprecated.get_field_by_name("deprecated").unwrap().as_bool(), Some(true));
}

#[test]
fn protobuf_serialized_descriptor_keeps_custom_options() {
    use base64::Engine;
    let text = r#"syntax = "proto3"; import "confluent/meta.proto";
        message M { bytes d = 1 [(confluent.field_meta) = { doc: "price" }]; }"#;
    let bytes = protobuf(text, &[]).unwrap().encode_to_vec();
    let file = protobuf(&base64::engine::general_purpose::STANDARD.encode(bytes), &[]).unwrap();
    assert_eq!(file.name(), "schema.proto");
    let extension = file.parent_pool().get_extension_by_name("confluent.field_meta").unwrap();
    let options = file.messages().next().unwrap().get_field(1).unwrap().options();
    let meta = options.get_extension(&extension);
    let doc = meta.as_message().unwrap().get_field_by_name("doc").unwrap();
    assert_eq!(doc.as_str(), Some("price"));
}

#[test]
fn protobuf_strict_reading_keeps_custom_options() {
    let options = r#"syntax = "proto2"; import "google/protobuf/descriptor.proto";
        extend google.protobuf.FieldOptions { optional string pii = 50001; }"#;
    let text =
        r#"syntax = "proto3"; import "o.proto"; message M { string s = 1 [(pii) = "yes"]; }"#;
    let file = protobuf(text, &[("o.proto", options)]).unwrap();
    let extension = file.parent_pool().get_extension_by_name("pii").unwrap();
    let field = file.messages().next().unwrap().get_field(1).unwrap();
    assert_eq!(field.options().get_extension(&extension).as_str(), Some("yes"));
}

#[test]
fn protobuf_public_imports_survive_a_dropped_one() {
    let main = "syntax = \"proto3\"; import \"missing.proto\"; import \"pub.proto\"; message M { A a = 1; }";
    let public = "syntax = \"proto3\"; import \"gone.proto\"; import public \"a.proto\";";
    let a = "syntax = \"proto3\"; message A {}";
    protobuf(main, &[("pub.proto", public), ("a.proto", a)]).unwrap();
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
    let text = include_str!("../../../tests/corpus/wire/shapes.proto");
    let descriptor = protobuf(text, &[]).unwrap().file_descriptor_proto().encode_to_vec();
    let schema = include_str!("../../../schemas/payments/v2.avsc");
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

// -- Avro --

const ADDRESS: &str = r#"{"type":"record","name":"Address","namespace":"a","fields":[
    {"name":"zip","type":{"type":"record","name":"Zip","fields":[{"name":"code","type":"string"}]}},
    {"name":"on","type":{"type":"int","logicalType":"date"},"default":0}]}"#;

#[test]
fn avro_reference_used_twice_is_defined_once() {
    let text = r#"{"type":"record","name":"User","namespace":"b","fields":[
        {"name":"home","type":"a.Address"},
        {"name":"work","type":["null","a.Address"],"default":null},
        {"name":"zip","type":"a.Zip"}]}"#;
    let schema = avro(text, &[("a.Address", ADDRESS)]).unwrap();
    // Self-contained: another parser that sees only this text takes it.
    apache_avro::Schema::parse_str(&schema.json).unwrap();
    assert_eq!(schema.json.matches("\"zip\"").count(), 2);
    assert_eq!(schema.json.matches(r#""name":"Address""#).count(), 1);
    assert!(schema.json.contains(r#""logicalType":"date""#));
    assert!(schema.json.contains(r#""default":0"#));
}

#[test]
fn avro_types_inside_lists_maps_and_unions_of_a_reference_are_found() {
    let part = r#"{"type":"record","name":"p.P","fields":[
        {"name":"l","type":{"type":"array","items":{"type":"fixed","name":"A","size":1}}},
        {"name":"m","type":{"type":"map","values":{"type":"enum","name":"B","symbols":["X"]}}},
        {"name":"u","type":["null",{"type":"record","name":"C","fields":[{"name":"p","type":["null","P"]}]}],"default":null}]}"#;
    for (name, defined) in [("p.A", 1), ("p.B", 1), ("p.C", 4), ("p.P", 4)] {
        let text = format!(
            r#"{{"type":"record","name":"U","fields":[{{"name":"z","type":"{name}"}},{{"name":"y","type":"{name}"}}]}}"#
        );
        let schema = avro(&text, &[("p.P", part)]).unwrap();
        assert_eq!(schema.json.matches(r#""namespace":"p""#).count(), defined, "{}", schema.json);
        apache_avro::Schema::parse_str(&schema.json).unwrap();
    }
}

#[test]
fn avro_type_nested_in_a_reference_is_found() {
    let text = r#"{"type":"record","name":"U","fields":[{"name":"z","type":"a.Zip"}]}"#;
    let schema = avro(text, &[("a.Address", ADDRESS)]).unwrap();
    assert!(schema.json.contains(r#""name":"Zip""#), "{}", schema.json);
    assert!(!schema.json.contains("Address"), "{}", schema.json);
}

#[test]
fn avro_references_refer_to_one_another_in_any_order() {
    let text = r#""c.Top""#;
    let top = r#"{"type":"record","name":"c.Top","fields":[{"name":"m","type":"c.Middle"},{"name":"self","type":["null","c.Top"]}]}"#;
    let middle = r#"{"type":"record","name":"c.Middle","fields":[{"name":"l","type":{"type":"array","items":"c.Leaf"}}]}"#;
    let leaf = r#"{"type":"fixed","name":"c.Leaf","size":2}"#;
    for references in [
        [("c.Top", top), ("c.Middle", middle), ("c.Leaf", leaf)],
        [("c.Leaf", leaf), ("c.Middle", middle), ("c.Top", top)],
    ] {
        let schema = avro(text, &references).unwrap();
        apache_avro::Schema::parse_str(&schema.json).unwrap();
    }
}

#[test]
fn avro_text_without_references_stays_as_it_is() {
    let text = r#"{ "type": "record", "name": "R", "java-class": "x.Y", "fields": [ {"name": "a", "type": "int", "order": "ignore"} ] }"#;
    assert_eq!(avro(text, &[]).unwrap().json, text);
}

#[test]
fn avro_fault_says_where_or_what() {
    let fault = avro("{\"type\":\n \"record\",]", &[]).unwrap_err();
    assert_eq!(
        (fault.code.id, fault.message.starts_with("avro schema: line 2 column 11:")),
        ("FB0304", true),
        "{fault}"
    );
    let missing = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"x.Missing"}]}"#;
    for references in [&[][..], &[("a.Address", ADDRESS)]] {
        let fault = avro(missing, references).unwrap_err();
        assert!(fault.message.contains("x.Missing"), "{fault}");
        assert!(fault.message.starts_with("avro schema: line 1 column 58: "), "{fault}");
    }
    // What is JSON and no schema: the text that is wrong, where the error names it.
    for (text, place) in [
        ("{\n \"type\": \"recrod\", \"name\": \"R\"}", "line 2 column 10: "),
        (
            "{\"type\":\"record\",\"name\":\"R\",\n\"fields\":[{\"name\":\"größe\",\"type\":\"s\"}]}",
            "line 2 column 34: ",
        ),
        (
            "{\"type\":\"enum\",\"name\":\"E\",\n  \"symbols\":[\"A\",\"B\",\"A\"]}",
            "line 2 column 14: ",
        ),
    ] {
        let fault = avro(text, &[]).unwrap_err();
        assert!(fault.message.starts_with(&format!("avro schema: {place}")), "{fault}");
    }
    let fault = avro(r#""a.B""#, &[("a.B", r#"["null","int"]"#)]).unwrap_err();
    assert_eq!(fault.code.id, "FB0305");
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

// -- all --

#[test]
fn limits_are_checked_before_parsing() {
    let big = " ".repeat(TEXT_MAX);
    let fault = compile(1, Language::Avro, &big, &list(&[("a", "x")])).unwrap_err();
    assert_eq!(fault.code.id, "FB0306");
    let many = vec![Reference { name: "a".into(), text: String::new() }; REFERENCES_MAX + 1];
    let fault = compile(1, Language::Protobuf, "", &many).unwrap_err();
    assert_eq!(fault.code.id, "FB0305");
}

#[test]
fn json_schema_is_kept_as_text() {
    let schema = compile(1, Language::Json, "{\"title\": 1}", &[]).unwrap();
    assert!(matches!(schema.parsed, Parsed::Json(json) if json.text == "{\"title\": 1}"));
    assert_eq!(compile(1, Language::Json, "{", &[]).unwrap_err().code.id, "FB0304");
}
