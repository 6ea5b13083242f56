//! Avro text with its references.

use super::*;

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
