//! What the client makes of good, bad and hostile registries.

use std::sync::Arc;
use std::time::Duration;

use forebay::config::{self, RegistryAuth, Secret};
use forebay::registry::client::{BODY_MAX, Outcome, Policy, Verb, settings};
use forebay::registry::{Client, Language, Lookup, Parsed, Want};
use forebay::wire::SchemaRef;
use serde_json::json;

use super::scripted::{Act, Scripted, answer, serve};
use super::{call, referring, schema, start};

const QUICK: Policy =
    Policy { rounds: 3, base: Duration::from_millis(1), cap: Duration::from_secs(1) };

fn client(url: &str) -> Client {
    Client::with_policy(&settings(url), QUICK).unwrap()
}

fn good() -> Act {
    answer("200 OK", "", r#"{"schema":"\"string\""}"#)
}

async fn unavailable(server: &Scripted) -> String {
    match client(&server.url).by_ref(SchemaRef::Id(1)).await {
        Err(Lookup::Unavailable(fault)) => fault.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn lookup_of_a_registered_schema_is_found_by_id_and_guid() {
    let registry = start().await;
    let client = client(&registry.url);
    let (id, version) = client.register("s", &schema(Language::Avro, r#""string""#)).await.unwrap();
    assert_eq!((id, version), (1, 1));
    let found = client.by_ref(SchemaRef::Id(1)).await.unwrap();
    assert_eq!((found.id, found.language), (1, Language::Avro));
    let url = format!("{}/subjects/s/versions/1", registry.url);
    let (_, answer) = call(reqwest::Method::GET, url, None).await;
    let guid: Vec<u8> = {
        let text: String = answer["guid"].as_str().unwrap().replace('-', "");
        (0..32).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    };
    let found = client.by_ref(SchemaRef::Guid(guid.try_into().unwrap())).await.unwrap();
    assert_eq!(found.language, Language::Avro);
}

#[tokio::test]
async fn lookups_of_one_schema_at_once_share_one_request() {
    let server = serve(|_, _| good()).await;
    let client = client(&server.url);
    let all = (0..100).map(|_| client.by_ref(SchemaRef::Id(7)));
    let found = futures::future::join_all(all).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(server.requests(), 1);
    client.by_ref(SchemaRef::Id(7)).await.unwrap();
    assert_eq!(server.requests(), 1);
    assert_eq!(client.stats().requests_of(Verb::Id, Outcome::Ok), 1);
    assert_eq!(client.stats().misses(), 1);
}

#[tokio::test]
async fn unknown_id_is_unknown_and_asked_once() {
    let server =
        serve(|_, _| answer("404 Not Found", "", r#"{"error_code":40403,"message":"no"}"#)).await;
    let client = client(&server.url);
    for _ in 0..3 {
        let Err(Lookup::Unknown(fault)) = client.by_ref(SchemaRef::Id(9)).await else { panic!() };
        assert_eq!(fault.to_string(), "FB0303 schema `9`: no (registry error 40403)");
    }
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn not_found_that_is_no_registry_answer_is_unavailable() {
    for body in
        ["<html>not here</html>", "", r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#]
    {
        let server = serve(move |_, _| answer("404 Not Found", "", body)).await;
        let text = unavailable(&server).await;
        assert!(text.starts_with("FB0301 schema `1`: `127.0.0.1` answered 404"), "{text}");
        assert_eq!(server.requests(), 1, "{body}");
    }
}

#[tokio::test]
async fn trouble_that_passes_is_asked_again() {
    for status in [
        "500 Internal Server Error",
        "503 Service Unavailable",
        "504 Gateway Timeout",
        "408 Request Timeout",
    ] {
        let server = serve(move |_, n| match n {
            0 | 1 => answer(status, "", r#"{"error_code":50001,"message":"store"}"#),
            _ => good(),
        })
        .await;
        client(&server.url).by_ref(SchemaRef::Id(1)).await.unwrap();
        assert_eq!(server.requests(), 3, "{status}");
    }
}

#[tokio::test]
async fn trouble_that_stays_is_unavailable_and_not_remembered() {
    let server = serve(|_, n| if n < 3 { answer("500 Oops", "", "{}") } else { good() }).await;
    let client = client(&server.url);
    let Err(Lookup::Unavailable(_)) = client.by_ref(SchemaRef::Id(1)).await else { panic!() };
    assert_eq!(server.requests(), 3);
    client.by_ref(SchemaRef::Id(1)).await.unwrap();
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let server = serve(|_, n| match n {
        0 => answer("429 Too Many Requests", "retry-after: 1\r\n", "{}"),
        _ => good(),
    })
    .await;
    let start = std::time::Duration::ZERO;
    let before = forebay::clock::System::new();
    client(&server.url).by_ref(SchemaRef::Id(1)).await.unwrap();
    assert!(before.now().mono_ms >= 1_000 + start.as_millis() as u64);
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn retry_after_beyond_patience_gives_up_at_once() {
    let server = serve(|_, _| answer("429 Too Many Requests", "retry-after: 3600\r\n", "{}")).await;
    let text = unavailable(&server).await;
    assert!(text.contains("answered 429"), "{text}");
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn answers_that_are_none_are_unavailable() {
    let cut = |body: &str| {
        Act::Raw(format!("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{body}").into_bytes())
    };
    let html = serve(|_, _| answer("200 OK", "", "<html>sign in</html>")).await;
    let text = unavailable(&html).await;
    assert!(text.contains("a page of markup (20 bytes), JSON required"), "{text}");
    let truncated = serve(move |_, _| cut(r#"{"schema":"\"str"#)).await;
    unavailable(&truncated).await;
    let half = serve(|_, _| answer("200 OK", "", r#"{"schema":"\"str"#)).await;
    unavailable(&half).await;
    let marked =
        serve(|_, _| answer("200 OK", "", "\u{feff}{\"schema\":\"\\\"string\\\"\"}")).await;
    unavailable(&marked).await;
    let silent = serve(|_, _| Act::Raw(Vec::new())).await;
    unavailable(&silent).await;
}

#[tokio::test]
async fn answer_of_another_shape_is_bad() {
    for body in [
        "[]",
        "{}",
        r#"{"schema":7}"#,
        r#"{"schema":"x","schemaType":"YANG"}"#,
        r#"{"schema":"\"strin\""}"#,
        r#"{"schema":"syntax","schemaType":"PROTOBUF"}"#,
    ] {
        let server = serve(move |_, _| answer("200 OK", "", body)).await;
        let found = client(&server.url).by_ref(SchemaRef::Id(1)).await;
        let Err(Lookup::Bad(fault)) = found else { panic!("{body}: {found:?}") };
        assert_eq!(fault.code.id, "FB0304", "{fault}");
    }
}

#[tokio::test]
async fn credentials_refused_are_unavailable_and_not_tried_again() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let server =
            serve(move |_, _| answer(status, "", r#"{"error_code":401,"message":"no"}"#)).await;
        let text = unavailable(&server).await;
        assert!(text.starts_with("FB0302"), "{text}");
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let trap = serve(|_, _| good()).await;
    let target = trap.url.clone();
    let server = serve(move |_, _| {
        answer("302 Found", &format!("location: {target}/schemas/ids/1\r\n"), "")
    })
    .await;
    let text = unavailable(&server).await;
    assert!(text.contains("redirects are not followed"), "{text}");
    assert_eq!(trap.requests(), 0);
}

#[tokio::test]
async fn body_over_the_limit_is_cut_off() {
    let server = serve(|_, _| {
        let mut bytes = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
        bytes.resize(bytes.len() + BODY_MAX + 1, b' ');
        Act::Hang(bytes)
    })
    .await;
    let text = unavailable(&server).await;
    assert!(text.contains("more than 8388608 bytes"), "{text}");
}

#[tokio::test]
async fn answer_that_never_ends_runs_into_the_timeout() {
    for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let server = serve(|_, _| Act::Hang(bytes.to_vec())).await;
        let config =
            config::Registry { timeout: Duration::from_millis(100), ..settings(&server.url) };
        let client = Client::with_policy(&config, Policy { rounds: 1, ..QUICK }).unwrap();
        let Err(Lookup::Unavailable(fault)) = client.by_ref(SchemaRef::Id(1)).await else {
            panic!()
        };
        assert!(fault.message.contains("in time"), "{fault}");
    }
}

#[tokio::test]
async fn second_url_answers_when_the_first_is_down() {
    let down = serve(|_, _| answer("503 Service Unavailable", "", "")).await;
    let up = serve(|_, _| good()).await;
    let mut config = settings(&format!("{}/", down.url));
    config.urls.push(format!("{}/apis/ccompat/v7/", up.url));
    let client = Client::with_policy(&config, QUICK).unwrap();
    client.by_ref(SchemaRef::Id(1)).await.unwrap();
    client.by_ref(SchemaRef::Id(2)).await.unwrap();
    // The one that answered is asked first from then on.
    assert_eq!((down.requests(), up.requests()), (1, 2));
    let seen = up.seen.lock().unwrap();
    assert!(
        seen[0].starts_with("GET /apis/ccompat/v7/schemas/ids/1?deleted=true HTTP/1.1"),
        "{}",
        seen[0]
    );
}

#[tokio::test]
async fn subject_with_more_versions_than_any_has_is_not_fetched() {
    let numbers: Vec<u32> = (1..=1_001).collect();
    let body = format!("{numbers:?}");
    let server = serve(move |head, _| match head.split(' ').nth(1).unwrap() {
        "/subjects/s/versions" => answer("200 OK", "", &body),
        _ => answer("200 OK", "", r#"{"subject":"s","version":1,"id":1,"schema":"\"string\""}"#),
    })
    .await;
    let found = client(&server.url).history("s", Want::All).await;
    let Err(Lookup::Unavailable(fault)) = found else { panic!("{found:?}") };
    assert_eq!(fault.code.id, "FB0306");
    assert!(fault.message.contains("`1001`"), "{fault}");
    assert_eq!(server.requests(), 1);
}

/// As it is with all versions: one that cannot be used takes the others from nobody.
#[tokio::test]
async fn newest_version_that_can_be_used_is_the_newest() {
    let of = |version: u32, schema: &str| {
        let body = json!({ "subject": "s", "version": version, "id": version, "schema": schema });
        answer("200 OK", "", &body.to_string())
    };
    let server = serve(move |head, _| match head.split(' ').nth(1).unwrap() {
        "/subjects/s/versions" => answer("200 OK", "", "[1,2,3,5]"),
        "/subjects/s/versions/2?deleted=true" => of(2, "\"string\""),
        "/subjects/s/versions/3?deleted=true" => of(3, "\"strin\""),
        "/subjects/s/versions/5?deleted=true" | "/subjects/s/versions/latest" => of(5, "{"),
        "/subjects/bad/versions" => answer("200 OK", "", "[5]"),
        "/subjects/bad/versions/5?deleted=true" | "/subjects/bad/versions/latest" => of(5, "{"),
        other => panic!("{other}"),
    })
    .await;
    let client = client(&server.url);
    let found = client.history("s", Want::Latest).await.unwrap();
    let numbers: Vec<u32> = found.versions.iter().map(|v| v.version).collect();
    let unusable: Vec<u32> = found.unusable.iter().map(|(version, _)| *version).collect();
    assert_eq!((numbers, unusable), (vec![2], vec![5, 3]));
    // A version that is wanted by its number is wanted itself.
    for (subject, want) in [("s", Want::Version(3)), ("bad", Want::Latest), ("bad", Want::All)] {
        let found = client.history(subject, want).await;
        assert!(matches!(found, Err(Lookup::Bad(_))), "{subject} {want:?}: {found:?}");
    }
}

#[tokio::test]
async fn credentials_and_headers_are_sent_with_every_call() {
    let server = serve(|head, _| {
        let ours =
            head.contains("authorization: Basic dXNlcjpwYXNz") && head.contains("x-tenant: a");
        if !ours {
            return answer("401 Unauthorized", "", "");
        }
        match head.split(' ').nth(1).unwrap() {
            "/subjects/a%2Fb%20c/versions" => answer("200 OK", "", "[2,1]"),
            _ => good(),
        }
    })
    .await;
    let mut config = settings(&server.url);
    config.auth = RegistryAuth::Basic { username: "user".into(), password: Secret::new("pass") };
    config.headers.insert("x-tenant".into(), Secret::new("a"));
    let client = Client::with_policy(&config, QUICK).unwrap();
    client.by_ref(SchemaRef::Id(1)).await.unwrap();
    assert_eq!(client.versions("a/b c").await.unwrap(), [1, 2]);
}

#[tokio::test]
async fn references_are_followed_even_when_deleted() {
    let registry = start().await;
    let client = client(&registry.url);
    let deep =
        schema(Language::Protobuf, "syntax = \"proto3\"; package a; message Deep { int32 x = 1; }");
    client.register("deep", &deep).await.unwrap();
    let middle = referring(
        Language::Protobuf,
        "syntax = \"proto3\"; package a; import \"a/deep.proto\"; message Middle { Deep deep = 1; }",
        &[("a/deep.proto", "deep", 1)],
    );
    client.register("middle/1", &middle).await.unwrap();
    let top = referring(
        Language::Protobuf,
        "syntax = \"proto3\"; import \"a/middle.proto\"; message Top { a.Middle middle = 1; }",
        &[("a/middle.proto", "middle/1", 1)],
    );
    let (id, _) = client.register("top", &top).await.unwrap();
    for subject in ["top", "middle%2F1", "deep"] {
        let url = format!("{}/subjects/{subject}", registry.url);
        let (status, _) = call(reqwest::Method::DELETE, url, None).await;
        assert_eq!(status, 200);
    }
    let found = client.by_ref(SchemaRef::Id(id)).await.unwrap();
    let Parsed::Protobuf(file) = &found.parsed else { panic!() };
    assert!(file.parent_pool().get_message_by_name("a.Deep").is_some());
}

#[tokio::test]
async fn reference_that_is_missing_makes_the_schema_bad() {
    let server = serve(|head, _| {
        if head.contains("/schemas/ids/") {
            return answer(
                "200 OK",
                "",
                r#"{"schema":"\"a.B\"","references":[{"name":"a.B","subject":"b","version":3}]}"#,
            );
        }
        answer("404 Not Found", "", r#"{"error_code":40402,"message":"Version 3 not found."}"#)
    })
    .await;
    let Err(Lookup::Bad(fault)) = client(&server.url).by_ref(SchemaRef::Id(1)).await else {
        panic!()
    };
    assert_eq!(fault.code.id, "FB0305");
    assert!(fault.message.contains("reference `a.B` to subject `b` version 3"), "{fault}");
    let seen = server.seen.lock().unwrap();
    assert!(seen[1].starts_with("GET /subjects/b/versions/3?deleted=true "), "{}", seen[1]);
}

#[tokio::test]
async fn reference_to_the_latest_version_is_followed() {
    let server = serve(|head, _| {
        if head.contains("/schemas/ids/") {
            return answer("200 OK", "", r#"{"schema":"\"a.B\"","subject":":.ctx:a","references":[{"name":"a.B","subject":"b","version":-1}]}"#);
        }
        answer("200 OK", "", r#"{"schema":"{\"type\":\"fixed\",\"name\":\"a.B\",\"size\":2}","id":4,"version":9,"subject":"b"}"#)
    })
    .await;
    client(&server.url).by_ref(SchemaRef::Id(1)).await.unwrap();
    let seen = server.seen.lock().unwrap();
    assert!(seen[1].starts_with("GET /subjects/%3A.ctx%3Ab/versions/latest "), "{}", seen[1]);
}

#[tokio::test]
async fn references_without_end_are_bad() {
    // Every schema refers to a new one: an endless chain, and an endless crowd.
    for crowd in [false, true] {
        let server = serve(move |_, n| {
            let one =
                |i: usize| format!(r#"{{"name":"n{n}_{i}","subject":"s{n}_{i}","version":1}}"#);
            let list: Vec<_> = (0..if crowd { 300 } else { 1 }).map(one).collect();
            let body = format!(
                r#"{{"schema":"\"string\"","id":1,"version":1,"references":[{}]}}"#,
                list.join(",")
            );
            answer("200 OK", "", &body)
        })
        .await;
        let Err(Lookup::Bad(fault)) = client(&server.url).by_ref(SchemaRef::Id(1)).await else {
            panic!()
        };
        assert_eq!(fault.code.id, "FB0305", "{fault}");
        assert!(server.requests() <= 34, "{}", server.requests());
    }
}

#[tokio::test]
async fn references_in_a_circle_end() {
    let server = serve(|head, _| {
        let (name, next) = if head.contains("/subjects/a/") { ("a", "b") } else { ("b", "a") };
        let body = json!({
            "schema": format!("syntax = \"proto3\"; import \"{next}.proto\"; message {} {{}}", name.to_uppercase()),
            "schemaType": "PROTOBUF", "id": 1, "version": 1,
            "references": [{ "name": format!("{next}.proto"), "subject": next, "version": 1 }],
        });
        answer("200 OK", "", &body.to_string())
    })
    .await;
    let Err(Lookup::Bad(fault)) = client(&server.url).by_ref(SchemaRef::Id(1)).await else {
        panic!()
    };
    assert!(fault.message.contains("import cycle detected"), "{fault}");
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn schema_that_does_not_compile_is_bad_with_its_place() {
    let text = "syntax = \"proto3\";\nmessage A {\n  int32 a 1;\n}\n";
    let body = json!({ "schema": text, "schemaType": "PROTOBUF" }).to_string();
    let server = serve(move |_, _| answer("200 OK", "", &body)).await;
    let Err(Lookup::Bad(fault)) = client(&server.url).by_ref(SchemaRef::Id(5)).await else {
        panic!()
    };
    assert!(
        fault.message.starts_with("schema `5`: protobuf schema: `schema.proto` line 3 column 11: "),
        "{fault}"
    );
}

#[tokio::test]
async fn register_is_idempotent_and_says_why_not() {
    let registry = start().await;
    let client = client(&registry.url);
    let v1 = schema(
        Language::Avro,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#,
    );
    let v2 = schema(
        Language::Avro,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}"#,
    );
    assert_eq!(client.register("r", &v1).await.unwrap(), (1, 1));
    assert_eq!(client.register("r", &v1).await.unwrap(), (1, 1));
    assert_eq!(client.lookup("r", &v1).await.unwrap(), Some((1, 1)));
    assert_eq!(client.lookup("r", &v2).await.unwrap(), None);
    assert_eq!(client.lookup("unknown", &v2).await.unwrap(), None);
    assert_eq!(client.compatibility_level("r").await.unwrap(), "BACKWARD");
    let verdict = client.compatibility("r", &v2).await.unwrap();
    assert!(!verdict.compatible);
    assert!(
        verdict.messages[0].contains("/a: reader has `string`, writer has `int`"),
        "{verdict:?}"
    );
    let Err(Lookup::Bad(fault)) = client.register("r", &v2).await else { panic!() };
    assert_eq!(fault.code.id, "FB0309");
    assert_eq!(client.versions("r").await.unwrap(), [1]);
    assert_eq!(client.latest("r").await.unwrap().version, 1);
    assert!(matches!(client.latest("no").await, Err(Lookup::Unknown(f)) if f.code.id == "FB0310"));
    assert_eq!(client.subjects().await.unwrap(), ["r"]);
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused() {
    let bad = |change: fn(&mut config::Registry)| {
        let mut config = settings("http://localhost:1");
        change(&mut config);
        let fault = Client::new(&config).err().unwrap();
        assert_eq!(fault.code.id, "FB0308", "{fault}");
    };
    bad(|c| c.urls.clear());
    bad(|c| c.urls[0] = "file:///etc/passwd".into());
    bad(|c| c.urls[0] = "http://user:pw@host".into());
    bad(|c| c.urls[0] = "nonsense".into());
    bad(|c| c.urls[0] = "http://169.254.169.254/latest".into());
    bad(|c| c.tls.ca_file = Some("/does/not/exist".into()));
    bad(|c| c.tls.ca_file = Some("/dev/null".into()));
    bad(|c| c.tls.cert_file = Some("/dev/null".into()));
    bad(|c| {
        c.headers.insert("bad name".into(), Secret::new("x"));
    });
    bad(|c| {
        c.headers.insert("x".into(), Secret::new("a\nb"));
    });
    bad(|c| c.auth = RegistryAuth::Bearer(Secret::new("a\nb")));
}

#[tokio::test]
async fn registry_is_found_by_its_name() {
    let server = serve(|_, _| good()).await;
    let url = server.url.replace("127.0.0.1", "localhost");
    client(&url).by_ref(SchemaRef::Id(1)).await.unwrap();
}

#[tokio::test]
async fn registry_that_is_not_there_is_unavailable() {
    let registry = start().await;
    let url = registry.url.clone();
    registry.shutdown().await;
    let client = Arc::new(client(&url));
    let Err(Lookup::Unavailable(fault)) = client.by_ref(SchemaRef::Id(1)).await else { panic!() };
    assert!(fault.message.contains("cannot be reached"), "{fault}");
}

/// What two registries answer for one id, each through a client of its own.
async fn one_id_of_two_registries() -> Vec<Language> {
    let avro = serve(|_, _| good()).await;
    let protobuf =
        r#"{"schemaType":"PROTOBUF","schema":"syntax=\"proto3\"; message M { int64 n = 1; }"}"#;
    let protobuf = serve(move |_, _| answer("200 OK", "", protobuf)).await;
    let mut found = Vec::new();
    for server in [&avro, &protobuf] {
        found.push(client(&server.url).by_ref(SchemaRef::Id(1)).await.unwrap().language);
    }
    found
}

#[test]
pub(crate) fn one_id_is_two_schemas_in_two_registries() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(one_id_of_two_registries());
    assert_eq!(found, [Language::Avro, Language::Protobuf]);
}

#[tokio::test]
async fn schema_asked_for_anew_is_todays_and_asked_for_once_by_all() {
    let server = serve(|_, n| {
        let body = if n == 0 { r#"{"schema":"\"int\""}"# } else { r#"{"schema":"\"long\""}"# };
        answer("200 OK", "", body)
    })
    .await;
    let client = client(&server.url);
    let before = client.by_ref(SchemaRef::Id(1)).await.unwrap();
    let same = client.by_ref(SchemaRef::Id(1)).await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&before, &same));
    assert_eq!(server.requests(), 1);
    // Several Kafka partitions wait for it, and ask when each of them does.
    for _ in 0..5 {
        let anew = client.by_ref_anew(SchemaRef::Id(1)).await.unwrap();
        assert!(!anew.is_same(&before));
    }
    assert_eq!(server.requests(), 2);
    // From now on it is the schema of that id.
    assert!(!client.by_ref(SchemaRef::Id(1)).await.unwrap().is_same(&before));
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn schema_asked_for_anew_of_a_registry_that_is_away_leaves_what_is_known() {
    let server = serve(|_, n| if n == 0 { good() } else { answer("500 Oops", "", "{}") }).await;
    let client = client(&server.url);
    let before = client.by_ref(SchemaRef::Id(1)).await.unwrap();
    let anew = client.by_ref_anew(SchemaRef::Id(1)).await;
    assert!(matches!(anew, Err(Lookup::Unavailable(_))), "{anew:?}");
    assert!(client.by_ref(SchemaRef::Id(1)).await.unwrap().is_same(&before));
}
