//! `forebay register` against the embedded registry.

use std::path::PathBuf;

use clap::Parser;
use forebay::cli::Exit;
use forebay::cli::register::{self, Args};
use forebay::error::Fault;
use serde_json::Value;

use super::start;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

async fn run(url: &str, arguments: &[&str]) -> Result<(String, bool), Fault> {
    let mut all = vec!["register", "--registry", url];
    all.extend(arguments);
    let args = Command::try_parse_from(all).unwrap().args;
    let mut out = Vec::new();
    let code = register::run(&args, None, &mut out).await?;
    let done = code == Exit::Done;
    assert!(done || code == Exit::No, "{code:?}");
    Ok((String::from_utf8(out).unwrap(), done))
}

async fn rows(url: &str, arguments: &[&str]) -> Vec<(String, Value, Value, String)> {
    let arguments = [&["--output", "json"], arguments].concat();
    let (text, _) = run(url, &arguments).await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    answer["schemas"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (text(&r["subject"]), r["version"].clone(), r["id"].clone(), text(&r["outcome"])))
        .collect()
}

fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let path = folder.path().to_str().unwrap().to_owned();
    (folder, path)
}

fn sample(folder: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn samples_are_registered_and_stay_compatible() {
    let registry = start().await;
    let paths = [sample("protos"), sample("schemas")];
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let (text, _) = run(&registry.url, &paths).await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    assert!(
        lines[0].starts_with("SUBJECT   VERSION  ID  COMPATIBILITY  OUTCOME     FILE"),
        "{text}"
    );
    assert!(lines[1].starts_with("User      1        1   BACKWARD       registered  "), "{text}");
    // A second time nothing changes.
    let again = rows(&registry.url, &paths).await;
    assert!(again.iter().all(|row| row.3 == "exists"), "{again:?}");
    let subjects: Vec<_> = again.iter().map(|r| (r.0.as_str(), r.1.as_u64().unwrap())).collect();
    assert_eq!(
        subjects,
        [("User", 1), ("orders", 1), ("orders", 2), ("payments", 1), ("payments", 2)]
    );
}

#[tokio::test]
async fn referenced_files_are_registered_first() {
    let (_keep, path) = folder(&[
        (
            "a-top/v1.proto",
            "syntax = \"proto3\"; import \"z-money/v1.proto\"; import \"google/protobuf/timestamp.proto\"; message Top { Money m = 1; google.protobuf.Timestamp t = 2; }",
        ),
        ("z-money/v1.proto", "syntax = \"proto3\"; message Money { int64 units = 1; }"),
        (
            "user/v1.avsc",
            r#"{"type":"record","name":"n.User","fields":[{"name":"home","type":"n.Address"}]}"#,
        ),
        ("zip/v1.avsc", r#"{"type":"fixed","name":"n.Zip","size":5}"#),
        (
            "address/v1.avsc",
            r#"{"type":"record","name":"n.Address","fields":[{"name":"zip","type":"Zip"}]}"#,
        ),
        ("notes/readme.txt", "no schema"),
    ]);
    let registry = start().await;
    let done = rows(&registry.url, &[&path]).await;
    let subjects: Vec<_> = done.iter().map(|row| row.0.as_str()).collect();
    let place = |name| subjects.iter().position(|s| *s == name).unwrap();
    assert_eq!(subjects.len(), 5, "{subjects:?}");
    assert!(place("z-money") < place("a-top"));
    assert!(place("zip") < place("address") && place("address") < place("user"));
    assert!(done.iter().all(|row| row.3 == "registered"), "{done:?}");
    assert!(rows(&registry.url, &[&path]).await.iter().all(|row| row.3 == "exists"));
}

#[tokio::test]
async fn versions_go_in_natural_order_under_a_given_subject() {
    let version = |n: u32| {
        let fields: Vec<String> = (1..=n).map(|i| format!("int32 f{i} = {i};")).collect();
        format!("syntax = \"proto3\"; message M {{ {} }}", fields.join(" "))
    };
    let (v1, v2, v10) = (version(1), version(2), version(3));
    let (_keep, path) = folder(&[("m/v10.proto", &v10), ("m/v2.proto", &v2), ("m/v1.proto", &v1)]);
    let registry = start().await;
    let done = rows(&registry.url, &["--subject", "m-value", &path]).await;
    assert!(done.iter().all(|row| row.0 == "m-value"));
    let client =
        forebay::registry::Client::new(&forebay::registry::client::settings(&registry.url))
            .unwrap();
    assert_eq!(client.latest("m-value").await.unwrap().text, v10);
}

#[tokio::test]
async fn dry_run_changes_nothing_and_tells_what_is_refused() {
    let record = |kind: &str| {
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":"{kind}"}}]}}"#)
    };
    let (int, string) = (record("int"), record("string"));
    let (_keep, path) = folder(&[("r/v1.avsc", &int)]);
    let registry = start().await;
    let (text, done) = run(&registry.url, &["--dry-run", &path]).await.unwrap();
    assert!(done && text.contains("would register"), "{text}");
    run(&registry.url, &[&path]).await.unwrap();
    std::fs::write(format!("{path}/r/v1.avsc"), &string).unwrap();
    let (text, done) = run(&registry.url, &["--dry-run", &path]).await.unwrap();
    assert!(!done && text.contains("incompatible"), "{text}");
    assert!(text.contains("/a: reader has `string`, writer has `int`"), "{text}");
    let fault = run(&registry.url, &[&path]).await.unwrap_err();
    assert_eq!(fault.code.id, "FB0309");
    assert!(fault.place.unwrap().ends_with("r/v1.avsc"));
}

#[tokio::test]
async fn wrong_files_are_refused_before_anything_is_sent() {
    let registry = start().await;
    for (files, expected) in [
        (
            vec![("a/v1.proto", "syntax = \"proto3\"; message A { strin x = 1; }")],
            "name 'strin' is not defined",
        ),
        (vec![("a/v1.proto", "syntax = \"proto3\"; message A {")], "`schema.proto`: expected"),
        (
            vec![("a/v1.proto", "syntax = \"proto3\"; import \"b/v1.proto\";")],
            "import `b/v1.proto` names no file",
        ),
        (
            vec![
                ("a/v1.proto", "syntax = \"proto3\"; import \"v1.proto\";"),
                ("b/v1.proto", "syntax = \"proto3\";"),
                ("c/v1.proto", "syntax = \"proto3\";"),
            ],
            "names several files",
        ),
        (
            vec![
                ("a/v1.proto", "syntax = \"proto3\"; import \"b/v1.proto\";"),
                ("b/v1.proto", "syntax = \"proto3\"; import \"a/v1.proto\";"),
            ],
            "it needs itself",
        ),
        (vec![("a/v1.avsc", "{\"type\": \"record\"")], "line 1"),
        (vec![("a/x.txt", "")], "none found"),
        (vec![("good/v1.avsc", "\"int\""), ("zz/v1.avsc", "\"nope\"")], "nope"),
    ] {
        let (_keep, path) = folder(&files);
        let fault = run(&registry.url, &[&path]).await.unwrap_err();
        assert!(fault.message.contains(expected), "{fault}");
        assert!(fault.to_string().contains(&path) || expected.contains("none"), "{fault}");
    }
    let fault = run(&registry.url, &["/does/not/exist"]).await.unwrap_err();
    assert_eq!(fault.code.id, "FB1020");
    let client =
        forebay::registry::Client::new(&forebay::registry::client::settings(&registry.url))
            .unwrap();
    assert_eq!(client.subjects().await.unwrap(), Vec::<String>::new());
}
