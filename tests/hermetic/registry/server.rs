//! The embedded registry against what Confluent's registry answers.

use reqwest::Method;
use serde_json::{Value, json};

use super::{call, start};

struct Registry(forebay::registry::server::Handle);

impl Registry {
    async fn new() -> Self {
        Self(start().await)
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        call(method, format!("{}{path}", self.0.url), body).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, None).await
    }

    async fn put(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::PUT, path, Some(body)).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        self.call(Method::DELETE, path, None).await
    }

    async fn avro(&self, subject: &str, schema: Value) -> (u16, Value) {
        self.post(&format!("/subjects/{subject}/versions"), json!({ "schema": schema.to_string() }))
            .await
    }
}

/// Status and error code.
fn error((status, body): (u16, Value)) -> (u16, u64) {
    assert!(body["message"].is_string(), "{body}");
    (status, body["error_code"].as_u64().unwrap())
}

fn record(fields: Value) -> Value {
    json!({ "type": "record", "name": "R", "fields": fields })
}

#[tokio::test]
async fn registered_schema_keeps_its_id_in_every_subject() {
    let registry = Registry::new().await;
    let (status, first) = registry.avro("a", json!("string")).await;
    assert_eq!(status, 200);
    assert_eq!((&first["id"], &first["version"]), (&json!(1), &json!(1)));
    assert_eq!(registry.avro("b", json!("string")).await.1["id"], 1);
    assert_eq!(registry.avro("b", json!("int")).await.0, 409);
    registry.put("/config/b", json!({ "compatibility": "NONE" })).await;
    let (_, second) = registry.avro("b", json!("int")).await;
    assert_eq!((&second["id"], &second["version"]), (&json!(2), &json!(2)));
    // Blanks do not make a schema another one.
    let spaced = json!({ "schema": " { \"type\" : \"int\" } " });
    assert_eq!(registry.post("/subjects/b/versions", spaced).await.1["id"], 3);
    let spaced = json!({ "schema": " \"int\" " });
    assert_eq!(registry.post("/subjects/b/versions", spaced).await.1["id"], 2);
    assert_eq!(registry.get("/subjects").await, (200, json!(["a", "b"])));
    assert_eq!(registry.get("/subjects?subjectPrefix=b").await, (200, json!(["b"])));
    assert_eq!(registry.get("/subjects/b/versions").await, (200, json!([1, 2, 3])));
    assert_eq!(registry.get("/schemas/ids/1/subjects").await, (200, json!(["a", "b"])));
    assert_eq!(
        registry.get("/schemas/ids/2/versions").await,
        (200, json!([{ "subject": "b", "version": 2 }]))
    );
}

#[tokio::test]
async fn answers_leave_out_what_confluent_leaves_out() {
    let registry = Registry::new().await;
    registry.avro("a", json!("string")).await;
    let (_, answer) = registry.get("/schemas/ids/1").await;
    assert_eq!(answer["schema"], "\"string\"");
    assert!(answer.get("schemaType").is_none() && answer.get("references").is_none());
    let proto = json!({ "schema": "syntax = \"proto3\"; message M {}", "schemaType": "PROTOBUF" });
    registry.post("/subjects/p/versions", proto).await;
    let (_, latest) = registry.get("/subjects/p/versions/latest").await;
    assert_eq!(latest["schemaType"], "PROTOBUF");
    assert_eq!(
        (&latest["subject"], &latest["version"], &latest["id"]),
        (&json!("p"), &json!(1), &json!(2))
    );
    assert_eq!(registry.get("/subjects/p/versions/-1").await.1, latest);
    let text =
        reqwest::get(format!("{}/subjects/p/versions/1/schema", registry.0.url)).await.unwrap();
    assert_eq!(text.text().await.unwrap(), "syntax = \"proto3\"; message M {}");
    let text = reqwest::get(format!("{}/schemas/ids/1/schema", registry.0.url)).await.unwrap();
    assert_eq!(text.text().await.unwrap(), "\"string\"");
}

#[tokio::test]
async fn schema_is_given_in_the_format_that_is_asked_for() {
    use base64::Engine;
    use prost::Message;
    let registry = Registry::new().await;
    let proto = json!({ "schema": "syntax = \"proto3\"; package p; message M {}", "schemaType": "PROTOBUF" });
    registry.post("/subjects/p/versions", proto).await;
    for path in ["/schemas/ids/1", "/subjects/p/versions/1"] {
        let (_, answer) = registry.get(&format!("{path}?format=serialized")).await;
        let text = answer["schema"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        let file = prost_types::FileDescriptorProto::decode(bytes.as_slice()).unwrap();
        assert_eq!((file.package(), file.message_type[0].name()), ("p", "M"));
    }
    registry.avro("b", json!({ "type": "fixed", "name": "a.B", "size": 1 })).await;
    let body = json!({ "schema": "[\"null\",\"a.B\"]", "references": [{ "name": "a.B", "subject": "b", "version": 1 }] });
    registry.post("/subjects/a/versions", body).await;
    let (_, answer) = registry.get("/schemas/ids/3?format=resolved").await;
    assert!(answer["schema"].as_str().unwrap().contains("fixed"), "{answer}");
}

#[tokio::test]
async fn guids_are_those_of_confluent() {
    let golden: Value =
        serde_json::from_str(include_str!("../../corpus/registry/guids.json")).unwrap();
    let registry = Registry::new().await;
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    // What the golden schemas refer to: User version 1, Address versions 1 and 2.
    for (i, case) in cases.iter().enumerate() {
        let kind = case["schemaType"].as_str().unwrap();
        let references = case["references"].as_array().unwrap();
        if kind == "AVRO" && references.is_empty() {
            // Refers to names that nothing defines; no registry takes it.
            let body = json!({ "schema": case["schema"] });
            assert_eq!(error(registry.post("/subjects/g/versions", body).await), (422, 42201));
            continue;
        }
        let registry = Registry::new().await;
        for (subject, version) in [("User", 1), ("Address", 1), ("Address", 2)] {
            let text = match kind {
                "AVRO" => json!({ "type": "record", "name": subject, "namespace": "io.confluent.kafka.example", "doc": version.to_string(), "fields": [] }).to_string(),
                "PROTOBUF" => format!("syntax = \"proto3\"; package r{version}; message {subject} {{}}"),
                _ => json!({ "title": version }).to_string(),
            };
            registry.put("/config", json!({ "compatibility": "NONE" })).await;
            let body = json!({ "schema": text, "schemaType": kind });
            assert_eq!(registry.post(&format!("/subjects/{subject}/versions"), body).await.0, 200);
        }
        let body =
            json!({ "schema": case["schema"], "schemaType": kind, "references": references });
        let (status, answer) = registry.post(&format!("/subjects/g{i}/versions"), body).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["guid"], case["guid"]);
        let guid = case["guid"].as_str().unwrap();
        let (status, found) = registry.get(&format!("/schemas/guids/{guid}")).await;
        assert_eq!((status, &found["schema"]), (200, &case["schema"]));
    }
    let none = "/schemas/guids/00000000-0000-0000-0000-000000000000";
    assert_eq!(error(registry.get(none).await), (404, 40403));
}

#[tokio::test]
async fn errors_have_confluents_codes() {
    let registry = Registry::new().await;
    registry.avro("a", json!("string")).await;
    for (path, expected) in [
        ("/subjects/none/versions", (404, 40401)),
        ("/subjects/none/versions/1", (404, 40401)),
        ("/subjects/a/versions/2", (404, 40402)),
        ("/subjects/a/versions/0", (422, 42202)),
        ("/subjects/a/versions/abc", (422, 42202)),
        ("/subjects/a/versions/2147483648", (422, 42202)),
        ("/schemas/ids/99", (404, 40403)),
        ("/schemas/ids/99/subjects", (404, 40403)),
        ("/schemas/ids/x", (404, 404)),
        ("/config/a", (404, 40408)),
        ("/mode/a", (404, 40409)),
        ("/nowhere", (404, 404)),
    ] {
        assert_eq!(error(registry.get(path).await), expected, "{path}");
    }
    for (body, expected) in [
        (json!({}), (422, 42201)),
        (json!({ "schema": "" }), (422, 42201)),
        (json!({ "schema": "\"strin\"" }), (422, 42201)),
        (json!({ "schema": "x", "schemaType": "YANG" }), (422, 42201)),
        (json!({ "schema": 7 }), (400, 400)),
        (
            json!({ "schema": "syntax = \"proto3\"; import \"a.proto\"; message M { A a = 1; }", "schemaType": "PROTOBUF" }),
            (422, 42201),
        ),
        (
            json!({ "schema": "\"a.B\"", "references": [{ "name": "a.B", "subject": "no", "version": 1 }] }),
            (422, 42201),
        ),
        (json!({ "schema": "\"int\"", "id": 7 }), (422, 42205)),
    ] {
        assert_eq!(
            error(registry.post("/subjects/b/versions", body.clone()).await),
            expected,
            "{body}"
        );
    }
    assert_eq!(
        error(registry.put("/config", json!({ "compatibility": "MAYBE" })).await),
        (422, 42203)
    );
    assert_eq!(error(registry.put("/mode", json!({ "mode": "MAYBE" })).await), (422, 42204));
    assert_eq!(
        error(registry.post("/subjects/none", json!({ "schema": "\"int\"" })).await),
        (404, 40401)
    );
    assert_eq!(
        error(registry.post("/subjects/a", json!({ "schema": "\"int\"" })).await),
        (404, 40403)
    );
    assert_eq!(error(registry.put("/subjects", json!({})).await), (405, 405));
}

#[tokio::test]
async fn deletes_are_soft_first() {
    let registry = Registry::new().await;
    registry.put("/config", json!({ "compatibility": "NONE" })).await;
    registry.avro("s", json!("int")).await;
    registry.avro("s", json!("long")).await;
    assert_eq!(error(registry.delete("/subjects/s?permanent=true").await), (404, 40405));
    assert_eq!(error(registry.delete("/subjects/s/versions/2?permanent=true").await), (404, 40407));
    assert_eq!(registry.delete("/subjects/s/versions/latest").await, (200, json!(2)));
    assert_eq!(error(registry.delete("/subjects/s/versions/2").await), (404, 40406));
    assert_eq!(registry.get("/subjects/s/versions/latest").await.1["version"], 1);
    assert_eq!(registry.get("/schemas/ids/2").await.0, 200);
    assert_eq!(registry.get("/subjects/s/versions").await.1, json!([1]));
    assert_eq!(registry.get("/subjects/s/versions?deleted=true").await.1, json!([1, 2]));
    assert_eq!(registry.get("/subjects/s/versions/2?deleted=true").await.1["deleted"], true);
    // As Python's client spells it, and with parameters that this registry does not know.
    assert_eq!(registry.get("/subjects/s/versions?deleted=True&offset=0").await.1, json!([1, 2]));
    assert_eq!(registry.get("/subjects/s/versions?deleted=False&x").await.1, json!([1]));
    // The same schema again: its id, the next version.
    let (_, again) = registry.avro("s", json!("long")).await;
    assert_eq!((&again["id"], &again["version"]), (&json!(2), &json!(3)));
    assert_eq!(registry.delete("/subjects/s").await, (200, json!([1, 3])));
    assert_eq!(error(registry.delete("/subjects/s").await), (404, 40404));
    assert_eq!(error(registry.get("/subjects/s/versions/latest").await), (404, 40401));
    assert_eq!(registry.get("/subjects").await.1, json!([]));
    assert_eq!(registry.get("/subjects?deleted=true").await.1, json!(["s"]));
    assert_eq!(registry.delete("/subjects/s?permanent=true").await, (200, json!([1, 2, 3])));
    assert_eq!(error(registry.get("/schemas/ids/2").await), (404, 40403));
    assert_eq!(error(registry.delete("/subjects/s").await), (404, 40401));
}

#[tokio::test]
async fn referenced_schema_cannot_be_deleted() {
    let registry = Registry::new().await;
    registry.avro("b", json!({ "type": "fixed", "name": "a.B", "size": 1 })).await;
    let body = json!({ "schema": "\"a.B\"", "references": [{ "name": "a.B", "subject": "b", "version": 1 }] });
    assert_eq!(registry.post("/subjects/a/versions", body).await.0, 200);
    assert_eq!(registry.get("/subjects/b/versions/1/referencedby").await, (200, json!([2])));
    assert_eq!(error(registry.delete("/subjects/b").await), (422, 42206));
    assert_eq!(error(registry.delete("/subjects/b/versions/1").await), (422, 42206));
    let (_, answer) = registry.get("/schemas/ids/2").await;
    assert_eq!(answer["references"], json!([{ "name": "a.B", "subject": "b", "version": 1 }]));
}

#[tokio::test]
async fn config_and_mode_hold_by_subject() {
    let registry = Registry::new().await;
    assert_eq!(registry.get("/config").await.1, json!({ "compatibilityLevel": "BACKWARD" }));
    let (_, echo) = registry.put("/config/s", json!({ "compatibility": "full_transitive" })).await;
    assert_eq!(echo, json!({ "compatibility": "FULL_TRANSITIVE" }));
    assert_eq!(
        registry.get("/config/s").await.1,
        json!({ "compatibilityLevel": "FULL_TRANSITIVE" })
    );
    assert_eq!(
        registry.get("/config/t?defaultToGlobal=true").await.1,
        json!({ "compatibilityLevel": "BACKWARD" })
    );
    assert_eq!(
        registry.delete("/config/s").await.1,
        json!({ "compatibilityLevel": "FULL_TRANSITIVE" })
    );
    registry.put("/mode/s", json!({ "mode": "READONLY" })).await;
    assert_eq!(error(registry.avro("s", json!("int")).await), (422, 42205));
    assert_eq!(registry.avro("t", json!("int")).await.0, 200);
    registry.put("/mode/s", json!({ "mode": "IMPORT" })).await;
    let body = json!({ "schema": "\"long\"", "id": 500, "version": 9 });
    let (_, imported) = registry.post("/subjects/s/versions", body).await;
    assert_eq!((&imported["id"], &imported["version"]), (&json!(500), &json!(9)));
    assert_eq!(registry.avro("t", json!(["int", "string"])).await.1["id"], 501);
}

/// Whether `new` may follow `old` at a level.
async fn may_follow(level: &str, kind: &str, old: &str, new: &str) -> bool {
    let registry = Registry::new().await;
    registry.put("/config", json!({ "compatibility": level })).await;
    let body = |text: &str| json!({ "schema": text, "schemaType": kind });
    let (status, answer) = registry.post("/subjects/s/versions", body(old)).await;
    assert_eq!(status, 200, "{answer}");
    let (_, verdict) =
        registry.post("/compatibility/subjects/s/versions/latest?verbose=true", body(new)).await;
    let (_, all) = registry.post("/compatibility/subjects/s/versions", body(new)).await;
    assert_eq!(verdict["is_compatible"], all["is_compatible"]);
    assert_eq!(
        verdict["messages"].as_array().unwrap().is_empty(),
        verdict["is_compatible"] == true
    );
    let (status, _) = registry.post("/subjects/s/versions", body(new)).await;
    assert_eq!(status == 200, verdict["is_compatible"] == true);
    status == 200
}

#[tokio::test]
async fn avro_compatibility_looks_the_way_of_its_level() {
    let a = json!({ "name": "a", "type": "int" });
    let b = json!({ "name": "b", "type": "int" });
    let b_default = json!({ "name": "b", "type": "int", "default": 0 });
    let device =
        json!({ "type": "record", "name": "D", "fields": [{ "name": "x", "type": "int" }] });
    let cases = [
        // old, new, BACKWARD, FORWARD
        (record(json!([a])), record(json!([a, b])), false, true),
        (record(json!([a])), record(json!([a, b_default])), true, true),
        (record(json!([a, b])), record(json!([a])), true, false),
        (record(json!([a])), record(json!([{ "name": "a", "type": "long" }])), true, false),
        (
            record(json!([a])),
            record(json!([{ "name": "a", "type": ["null", "int"] }])),
            true,
            false,
        ),
        (
            record(json!([a])),
            record(json!([{ "name": "c", "type": "int", "aliases": ["a"] }])),
            true,
            false,
        ),
        (
            record(json!([a])),
            json!({ "type": "record", "name": "Other", "fields": [a] }),
            false,
            false,
        ),
        (
            json!({ "type": "enum", "name": "E", "symbols": ["A"] }),
            json!({ "type": "enum", "name": "E", "symbols": ["A", "B"] }),
            true,
            false,
        ),
        (
            json!({ "type": "enum", "name": "E", "symbols": ["A", "B"] }),
            json!({ "type": "enum", "name": "E", "symbols": ["A"], "default": "A" }),
            true,
            true,
        ),
        (json!("string"), json!("bytes"), true, true),
        (json!("long"), json!({ "type": "long", "logicalType": "timestamp-millis" }), true, true),
        (
            json!({ "type": "fixed", "name": "F", "size": 1 }),
            json!({ "type": "fixed", "name": "F", "size": 2 }),
            false,
            false,
        ),
        // A type moves to its first use; it is the same type.
        (
            record(json!([{ "name": "x", "type": device }])),
            record(
                json!([{ "name": "w", "type": ["null", device], "default": null }, { "name": "x", "type": "D" }]),
            ),
            true,
            true,
        ),
        // Recursive, and different below.
        (
            record(json!([{ "name": "next", "type": ["null", "R"] }, a])),
            record(
                json!([{ "name": "next", "type": ["null", "R"] }, { "name": "a", "type": "string" }]),
            ),
            false,
            false,
        ),
    ];
    for (old, new, backward, forward) in cases {
        let (old, new) = (old.to_string(), new.to_string());
        assert_eq!(may_follow("BACKWARD", "AVRO", &old, &new).await, backward, "{old} {new}");
        assert_eq!(may_follow("FORWARD", "AVRO", &old, &new).await, forward, "{old} {new}");
        assert_eq!(
            may_follow("FULL", "AVRO", &old, &new).await,
            backward && forward,
            "{old} {new}"
        );
        assert!(may_follow("NONE", "AVRO", &old, &new).await);
    }
}

#[tokio::test]
async fn transitive_level_looks_at_every_version() {
    for (level, expected) in [("BACKWARD", 200), ("BACKWARD_TRANSITIVE", 409)] {
        let registry = Registry::new().await;
        registry.put("/config", json!({ "compatibility": level })).await;
        // The second drops `a`, the third brings it back as a string.
        let b = json!({ "name": "b", "type": "int" });
        registry.avro("s", record(json!([{ "name": "a", "type": "int" }, b]))).await;
        assert_eq!(registry.avro("s", record(json!([b]))).await.0, 200);
        let third = record(json!([{ "name": "a", "type": "string", "default": "" }, b]));
        assert_eq!(registry.avro("s", third).await.0, expected);
    }
}

#[tokio::test]
async fn protobuf_compatibility_follows_the_reference_rules() {
    let m = |body: &str| format!("syntax = \"proto3\"; package p; message M {{ {body} }}");
    let cases = [
        // old, new, BACKWARD
        (m("int32 a = 1;"), m("int32 a = 1; string b = 2;"), true),
        (m("int32 a = 1; string b = 2;"), m("int32 a = 1;"), true),
        (m("int32 a = 1;"), m("int32 renamed = 1;"), true),
        (m("int32 a = 1;"), m("int64 a = 1;"), true),
        (m("int32 a = 1;"), m("sint32 a = 1;"), false),
        (m("int32 a = 1;"), m("string a = 1;"), false),
        (m("string a = 1;"), m("bytes a = 1;"), true),
        (m("string a = 1;"), m("repeated string a = 1;"), true),
        (m("int32 a = 1;"), m("repeated int32 a = 1;"), false),
        (m("message N {} N n = 1;"), m("message N {} message O {} O n = 1;"), false),
        (m("message N {} "), m(""), false),
        (m("enum E { A = 0; } E e = 1;"), m("enum E { A = 0; B = 1; } E e = 1;"), true),
        (m("int32 a = 1; int32 b = 2;"), m("oneof o { int32 a = 1; int32 b = 2; }"), false),
        (m("int32 a = 1;"), m("oneof o { int32 a = 1; }"), true),
        (m("oneof o { int32 a = 1; int32 b = 2; }"), m("oneof o { int32 a = 1; }"), false),
        (m("map<string, int32> m = 1;"), m("map<string, int64> m = 1;"), true),
        (m("map<string, int32> m = 1;"), m("map<string, string> m = 1;"), false),
        (m("optional int32 a = 1;"), m("int32 a = 1;"), true),
        (m("int32 a = 1;"), m("int32 a = 1;").replace("package p", "package q"), true),
        (
            "syntax = \"proto2\"; message M { optional int32 a = 1; }".into(),
            "syntax = \"proto2\"; message M { optional int32 a = 1; required int32 b = 2; }".into(),
            false,
        ),
        (
            "syntax = \"proto2\"; message M { required int32 a = 1; }".into(),
            "syntax = \"proto2\"; message M {}".into(),
            false,
        ),
    ];
    for (old, new, backward) in cases {
        assert_eq!(may_follow("BACKWARD", "PROTOBUF", &old, &new).await, backward, "{old}\n{new}");
        assert!(may_follow("NONE", "PROTOBUF", &old, &new).await);
    }
}

#[tokio::test]
async fn json_schema_is_kept_and_its_changes_are_refused() {
    let (old, new) = (r#"{"title":"a"}"#, r#"{"title":"b"}"#);
    assert!(!may_follow("BACKWARD", "JSON", old, new).await);
    assert!(may_follow("NONE", "JSON", old, new).await);
    assert!(may_follow("FULL", "JSON", old, r#"{ "title": "a" }"#).await);
}

#[tokio::test]
async fn protobuf_comments_and_blanks_make_no_new_version() {
    let registry = Registry::new().await;
    for text in [
        "syntax = \"proto3\"; message M { int32 a = 1; }",
        "syntax = \"proto3\";\n// a comment\nmessage M {\n  int32 a = 1;\n}\n",
    ] {
        let body = json!({ "schema": text, "schemaType": "PROTOBUF" });
        assert_eq!(registry.post("/subjects/s/versions", body).await.1["version"], 1);
    }
}
