//! Editions and their features, in text and in descriptors.

use super::*;

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
