use prost::Message;
use prost_reflect::Kind;

use super::*;
use crate::registry::codes::EDITION;

mod avro;
mod edition;
mod hostile;

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
fn json_schema_is_kept_as_text() {
    let schema = compile(1, Language::Json, "{\"title\": 1}", &[]).unwrap();
    assert!(matches!(schema.parsed, Parsed::Json(json) if json.text == "{\"title\": 1}"));
    assert_eq!(compile(1, Language::Json, "{", &[]).unwrap_err().code.id, "FB0304");
}
