//! `forebay plan`, by the program as a process, over files and over the embedded registry.

mod ddl;
mod names;

use std::path::Path;

use forebay::registry::client::{NewSchema, settings};
use forebay::registry::{Client, Language, server};
use serde_json::{Value, json};

use crate::registry::call;
use crate::world::{Ended, forebay};

const V1: &str = "syntax = \"proto3\"; package shop;
message Order { int64 id = 1; string country = 2; int32 amount = 3; string street = 4; string note = 5; Address home = 6; }
message Address { string city = 1; }
";
/// A column comes.
const V2: &str = "syntax = \"proto3\"; package shop;
message Order { int64 id = 1; string country = 2; int32 amount = 3; string street = 4; string note = 5; Address home = 6; optional string email = 7; }
message Address { string city = 1; }
";
/// One is wider, one has another name, one goes, one comes inside another.
const V3: &str = "syntax = \"proto3\"; package shop;
message Order { int64 id = 1; string country = 2; int64 amount = 3; string road = 4; Address home = 6; optional string email = 7; }
message Address { string city = 1; string zip = 2; }
";
/// Nothing that held a number holds a text.
const V4: &str = "syntax = \"proto3\"; package shop;
message Order { int64 id = 1; string country = 2; string amount = 3; }
";

/// Files by name in a folder of their own.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn plan(folder: &Path, args: &[&str]) -> Ended {
    forebay(folder, &[&["plan"], args].concat())
}

/// The report as JSON, with its exit code.
fn report(folder: &Path, args: &[&str]) -> (Value, i32) {
    let ended = plan(folder, &[args, &["--output", "json"]].concat());
    (ended.json(), ended.code().unwrap())
}

fn texts<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

fn mode<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["modes"].as_array().unwrap().iter().find(|mode| mode["mode"] == name).unwrap()
}

/// Level of each reader, in the order athena, spark, trino, duckdb, iceberg, pyarrow.
fn levels(mode: &Value) -> Vec<&str> {
    texts(&mode["readers"], "level")
}

fn names(mode: &Value) -> Vec<&str> {
    texts(&mode["columns"], "name")
}

struct Registry {
    server: server::Handle,
    runtime: tokio::runtime::Runtime,
}

impl Registry {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(server::start("127.0.0.1:0")).unwrap();
        Self { server, runtime }
    }

    fn register(&self, subject: &str, language: Language, texts: &[&str]) {
        self.runtime.block_on(async {
            let client = Client::new(&settings(&self.server.url)).unwrap();
            for text in texts {
                let text = (*text).to_owned();
                let new = NewSchema { language, text, references: Vec::new() };
                client.register(subject, &new).await.unwrap();
            }
        });
    }

    fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) {
        let url = format!("{}{path}", self.server.url);
        let (status, answer) = self.runtime.block_on(call(method, url, body));
        assert_eq!(status, 200, "{answer}");
    }

    fn url(&self) -> &str {
        &self.server.url
    }
}

#[test]
fn plan_of_a_folder_shows_each_version_beside_the_one_before() {
    let folder =
        folder(&[("orders/v1.proto", V1), ("orders/v2.proto", V2), ("orders/v10.proto", V3)]);
    let (report, code) = report(folder.path(), &["orders"]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["ok"], true);
    assert_eq!((&report["subject"], &report["record"]), (&json!("orders"), &json!("shop.Order")));
    assert_eq!(report["registry"]["asked"], false);
    let versions = &report["versions"];
    assert_eq!(texts(versions, "version"), ["v1.proto", "v2.proto", "v10.proto"]);
    assert_eq!(
        texts(&versions[0]["columns"], "name"),
        ["id", "country", "amount", "street", "note", "home"]
    );
    assert_eq!(versions[0]["differences"], json!([]));
    assert_eq!(
        versions[1]["differences"],
        json!([{ "path": "email", "what": "added", "type": "Utf8", "nullable": true }])
    );
    assert_eq!(
        versions[2]["differences"],
        json!([
            { "path": "amount", "what": "promoted", "from": "Int32", "to": "Int64" },
            { "path": "road", "what": "renamed", "from": "street" },
            { "path": "home.zip", "what": "added", "type": "Utf8", "nullable": false },
            { "path": "note", "what": "dropped", "type": "Utf8" },
        ])
    );
}

#[test]
fn each_mode_says_which_columns_files_get_and_what_closes() {
    let folder = folder(&[("orders/v1.proto", V1), ("orders/v2.proto", V2), ("new.proto", V3)]);
    let (report, code) = report(folder.path(), &["orders", "--new", "new.proto"]);
    assert_eq!(code, 0, "{report:#}");
    let newest = ["id", "country", "amount", "road", "home", "email"];
    let rotate = mode(&report, "rotate");
    assert_eq!(names(rotate), newest);
    assert_eq!((&rotate["new_lane"], &rotate["open_files_close"]), (&json!(true), &json!(false)));
    assert_eq!((&rotate["selected"], &rotate["changes"]), (&json!(true), &json!({})));
    let latest = mode(&report, "latest");
    assert_eq!(names(latest), newest);
    assert_eq!(latest["open_files_close"], true);
    assert_eq!(
        latest["changes"]["v1.proto"],
        json!({
            "added": ["home.zip", "email"], "dropped": ["note"],
            "promoted": ["amount: Int32 → Int64"], "renamed": ["street → road"],
        })
    );
    let superset = mode(&report, "superset");
    // The oldest first, then what comes; the newest names.
    assert_eq!(names(superset), ["id", "country", "amount", "road", "note", "home", "email"]);
    assert_eq!(superset["open_files_close"], true);
    let fixed = mode(&report, "fixed");
    assert_eq!(fixed["pinned"], "v2.proto");
    // An int64 is no int32: by `on_incompatible: rotate` its rows keep their own columns.
    assert_eq!(fixed["misfits"][0]["version"], "new");
    assert_eq!((names(fixed), &fixed["new_lane"]), (newest.to_vec(), &json!(true)));
}

#[test]
fn fixed_keeps_the_columns_of_the_version_before_and_names_what_it_drops() {
    let folder = folder(&[("orders/v1.proto", V1), ("new.proto", V2)]);
    let (report, code) =
        report(folder.path(), &["orders", "--new", "new.proto", "--mode", "fixed"]);
    assert_eq!(code, 0, "{report:#}");
    let fixed = mode(&report, "fixed");
    assert_eq!(names(fixed), ["id", "country", "amount", "street", "note", "home"]);
    assert_eq!((&fixed["new_lane"], &fixed["open_files_close"]), (&json!(false), &json!(false)));
    assert_eq!(fixed["changes"], json!({ "new": { "dropped": ["email"] } }));
    assert_eq!(levels(fixed), ["reads as is"; 6]);
}

#[test]
fn mode_that_cannot_take_the_new_version_is_a_no() {
    let folder = folder(&[("orders/v1.proto", V1), ("new.proto", V4)]);
    let args = ["orders", "--new", "new.proto", "--mode"];
    for (mode_name, expected) in [("rotate", 0), ("latest", 3), ("superset", 3), ("fixed", 3)] {
        let (report, code) = report(folder.path(), &[&args[..], &[mode_name]].concat());
        assert_eq!(code, expected, "{mode_name}: {report:#}");
        assert_eq!(report["ok"], expected == 0);
        if expected == 3 {
            let misfit = &mode(&report, mode_name)["misfits"][0];
            let message = misfit["message"].as_str().unwrap();
            assert!(message.contains("`amount`: "), "{message}");
            assert_eq!(misfit["code"], "FB0210");
            assert_eq!(misfit["new"], true);
        }
    }
    let ended = plan(folder.path(), &["orders", "--new", "new.proto", "--mode", "latest"]);
    let first = ended.stdout.lines().next().unwrap();
    assert_eq!(first, "answer     no: mode `latest` cannot take version v1.proto");
    assert!(
        ended.stdout.contains("on_incompatible `rotate`: its rows keep their own columns"),
        "{}",
        ended.stdout
    );
}

/// A misfit that was there before is no news, and no reason against a new version.
#[test]
fn misfit_of_old_versions_is_no_reason_against_a_new_one() {
    let text = |more: &str| format!("syntax = \"proto3\"; message R {{ {more} }}");
    let (v1, v2, v3) =
        (text("string a = 1;"), text("int64 a = 1;"), text("int64 a = 1; optional string b = 2;"));
    let folder = folder(&[("r/v1.proto", &v1), ("r/v2.proto", &v2), ("v3.proto", &v3)]);
    let (report, code) = report(folder.path(), &["r", "--new", "v3.proto", "--mode", "superset"]);
    assert_eq!(code, 0, "{report:#}");
    let misfits = &mode(&report, "superset")["misfits"];
    assert_eq!((&misfits[0]["version"], &misfits[0]["new"]), (&json!("v1.proto"), &json!(false)));
    let (_, code) = self::report(folder.path(), &["r", "--mode", "superset"]);
    assert_eq!(code, 3, "without a new version every one counts");
}

#[test]
fn registry_answers_with_its_messages_and_exit_code_is_three_where_it_says_no() {
    let registry = Registry::new();
    let record = |fields: &str| {
        format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":"int"}}{fields}]}}"#)
    };
    let v1 = record("");
    let fits = record(r#",{"name":"b","type":["null","string"],"default":null}"#);
    let refused = record(r#",{"name":"b","type":"string"}"#);
    registry.register("r-value", Language::Avro, &[&v1]);
    let folder = folder(&[("fits.avsc", &fits), ("refused.avsc", &refused), ("same.avsc", &v1)]);
    let args = ["--registry", registry.url(), "--subject", "r-value"];
    let ask = |file: &str| report(folder.path(), &[&args[..], &["--new", file]].concat());

    let (said, code) = ask("fits.avsc");
    assert_eq!(code, 0, "{said:#}");
    assert_eq!(
        said["registry"],
        json!({ "asked": true, "compatible": true, "level": "BACKWARD", "messages": [] })
    );
    assert_eq!(texts(&said["versions"], "version"), ["1", "new"]);
    let (said, code) = ask("refused.avsc");
    assert_eq!(code, 3, "{said:#}");
    assert_eq!(said["registry"]["compatible"], false);
    let message = said["registry"]["messages"][0].as_str().unwrap();
    assert!(message.contains('b'), "{message}");
    assert_eq!(said["reasons"], json!(["the registry refuses it (BACKWARD)"]));
    let (said, code) = ask("same.avsc");
    assert_eq!(code, 0, "{said:#}");
    assert_eq!(
        (&said["registry"]["version"], texts(&said["versions"], "version")),
        (&json!(1), vec!["1"])
    );
    // Nothing was registered.
    let (said, _) = report(folder.path(), &args);
    assert_eq!(texts(&said["versions"], "version"), ["1"]);
}

#[test]
fn subject_that_is_not_there_is_named_with_the_nearest_one() {
    let registry = Registry::new();
    registry.register("orders-value", Language::Protobuf, &[V1]);
    registry.register("gone-value", Language::Protobuf, &[V1]);
    registry.call(reqwest::Method::DELETE, "/subjects/gone-value", None);
    let folder = folder(&[("v1.proto", V1)]);
    let ask = |subject: &str, more: &[&str]| {
        let args = ["--registry", registry.url(), "--subject", subject];
        plan(folder.path(), &[&args[..], more].concat())
    };
    let ended = ask("order-value", &[]);
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("did you mean `orders-value`?"), "{}", ended.stderr);
    let ended = ask("gone-value", &[]);
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.stderr.contains("its versions are deleted"), "{}", ended.stderr);
    // The first version of a new subject may be planned; a slip of the keyboard is said all the same.
    let ended = ask("order-value", &["--new", "v1.proto"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("did you mean `orders-value`?"), "{}", ended.stdout);
    let ended = plan(folder.path(), &["--registry", "http://127.0.0.1:1", "--subject", "x"]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("FB03"), "{}", ended.stderr);
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    let registry = Registry::new();
    registry.register("r-value", Language::Protobuf, &[V1]);
    let broken = "syntax = \"proto3\";\nmessage A {\n  strin x = 1;\n}\n";
    let folder = folder(&[
        ("bad/v1.proto", broken),
        ("bad.avsc", "{\"type\": \"record\",\n  \"name\": }"),
        ("empty/readme.txt", "no schema"),
        ("enum/v1.proto", "syntax = \"proto3\"; enum E { A = 0; }"),
        ("a/v1.proto", V1),
        ("b/v1.proto", V1),
        ("a/b/none.txt", ""),
        ("v1.txt", V1),
    ]);
    std::fs::create_dir(folder.path().join("bytes")).unwrap();
    std::fs::write(folder.path().join("bytes/v1.avsc"), [0xff, 0xfe, 0]).unwrap();
    let named = ["--registry", registry.url(), "--subject", "r-value", "--new"];
    let cases: [(&[&str], &[&str]); 10] = [
        (&["bad"], &["bad/v1.proto", "strin", "line 3 column 3"]),
        (&[&named[..], &["bad.avsc"]].concat(), &["bad.avsc", "line 2"]),
        (&[&named[..], &["bad/v1.proto"]].concat(), &["bad/v1.proto", "line 3 column 3"]),
        (&["empty"], &["FB1020", "none found"]),
        (&["enum"], &["no message in it"]),
        (&["bytes"], &["bytes/v1.avsc"]),
        (&["a", "b"], &["`a`, `b`", "--subject"]),
        (&[&named[..], &["v1.txt"]].concat(), &["v1.txt", "`.proto`, `.avsc` or `.json`"]),
        (&[], &["--registry"]),
        (&["a", "--message", "Ordr"], &["`Ordr`", "shop.Order"]),
    ];
    for (args, expected) in cases {
        let ended = plan(folder.path(), args);
        assert_eq!(ended.code(), Some(2), "{args:?}: {ended:?}");
        for part in expected {
            assert!(ended.stderr.contains(part), "{args:?}: {part} not in {}", ended.stderr);
        }
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn file_of_a_folder_above_has_that_folders_name() {
    let folder = folder(&[("orders/v1.proto", V1), ("orders/deep/x.txt", "")]);
    let ended = plan(&folder.path().join("orders/deep"), &["../v1.proto", "--output", "json"]);
    assert_eq!(ended.json()["subject"], "orders", "{ended:?}");
}

#[test]
fn schema_that_had_to_be_forgiven_is_said_to_be() {
    let text = "syntax = \"proto3\"; import \"acme/nowhere.proto\"; message M { int64 a = 1; }";
    let registry = Registry::new();
    registry.register(
        "m-value",
        Language::Protobuf,
        &["syntax = \"proto3\"; message M { int64 a = 1; }"],
    );
    let folder = folder(&[("m.proto", text)]);
    let args = ["--registry", registry.url(), "--subject", "m-value", "--new", "m.proto"];
    let (said, _) = report(folder.path(), &args);
    assert_eq!(said["versions"][1]["lenient"], json!(["import `acme/nowhere.proto` not found"]));
    let ended = plan(folder.path(), &args);
    assert!(
        ended.stdout.contains("read leniently: import `acme/nowhere.proto` not found"),
        "{}",
        ended.stdout
    );
}

/// Columns beside the value's, those of partitions, and a field that `partition_by` does not find any more.
#[test]
fn configuration_gives_mode_columns_and_partitions() {
    let registry = Registry::new();
    registry.register("orders-value", Language::Protobuf, &[V1]);
    let without = V1.replace("string country = 2;", "");
    let folder = folder(&[("v2.proto", &without)]);
    let config = format!(
        "pipeline: t\nsource: {{ brokers: 'x:1', topics: [orders] }}\nregistry: {{ url: '{}' }}\n\
         sink: {{ url: out }}\npartition_by: [country]\nmetadata: [offset]\nevolution: {{ mode: superset, on_incompatible: reject }}\n",
        registry.url()
    );
    std::fs::write(folder.path().join("f.yaml"), config).unwrap();
    let (said, code) = report(folder.path(), &["-c", "f.yaml", "--new", "v2.proto"]);
    // The embedded registry takes a field away under BACKWARD.
    assert_eq!(code, 0, "{said:#}");
    assert_eq!((&said["mode"], &said["on_incompatible"]), (&json!("superset"), &json!("reject")));
    assert_eq!(said["subject"], "orders-value");
    let columns = texts(&said["versions"][0]["columns"], "name");
    assert_eq!(columns, ["id", "country", "amount", "street", "note", "home", "_offset"]);
    // The folder alone has the country.
    assert_eq!(names(mode(&said, "rotate")), ["id", "amount", "street", "note", "home", "_offset"]);
    let notes = said["versions"][1]["notes"].to_string();
    assert!(notes.contains("partition_by") && notes.contains("`country`"), "{notes}");
    let ended = plan(folder.path(), &["-c", "f.yaml", "--topic", "order"]);
    assert_eq!(ended.code(), Some(2));
    assert!(ended.stderr.contains("did you mean `orders`?"), "{}", ended.stderr);
}

/// By hand, after the documentation of each reader.
#[test]
fn readers_are_judged_by_what_differs_in_the_files() {
    let record = |fields: &[(&str, &str)]| {
        let fields: Vec<Value> = fields
            .iter()
            .map(|(name, of)| json!({ "name": name, "type": serde_json::from_str::<Value>(of).unwrap() }))
            .collect();
        json!({ "type": "record", "name": "R", "fields": fields }).to_string()
    };
    let (int, long, text, float) = ("\"int\"", "\"long\"", "\"string\"", "\"float\"");
    let inner = |fields: &str| format!(r#"{{"type":"record","name":"I","fields":[{fields}]}}"#);
    let (x, xy) = (
        inner(r#"{"name":"x","type":"int"}"#),
        inner(r#"{"name":"x","type":"int"},{"name":"y","type":"int"}"#),
    );
    let as_is = ["reads as is"; 6];
    for (what, old, new, expected) in [
        ("same", vec![("a", int)], vec![("a", int)], as_is),
        ("added", vec![("a", int)], vec![("a", int), ("b", text)], ["needs ALTER"; 6]),
        (
            "gone",
            vec![("a", int), ("b", text)],
            vec![("a", int)],
            ["reads as is", "reads as is", "reads as is", "breaks", "reads as is", "reads as is"],
        ),
        ("order", vec![("a", int), ("b", text)], vec![("b", text), ("a", int)], as_is),
        (
            "wider",
            vec![("a", int)],
            vec![("a", long)],
            ["breaks", "breaks", "breaks", "breaks", "needs ALTER", "breaks"],
        ),
        ("another type", vec![("a", int)], vec![("a", text)], ["breaks"; 6]),
        ("rounded", vec![("a", long)], vec![("a", float)], ["breaks"; 6]),
        ("field", vec![("a", x.as_str())], vec![("a", xy.as_str())], ["needs ALTER"; 6]),
    ] {
        let folder = folder(&[("r/v1.avsc", &record(&old)), ("r/v2.avsc", &record(&new))]);
        let (report, code) = report(folder.path(), &["r"]);
        assert_eq!(code, 0, "{what}: {report:#}");
        assert_eq!(levels(mode(&report, "rotate")), expected, "{what}");
        let fixed = mode(&report, "fixed");
        if fixed["misfits"] == json!([]) {
            assert_eq!(levels(fixed), as_is, "{what}: one set of columns");
        }
    }
}

const GOLDEN: &str = "tests/corpus/plan";

/// What a user reads. Each golden file was read line by line when it was made.
#[test]
fn text_answers_first_and_stays_short() {
    let folder = folder(&[("orders/v1.proto", V1), ("orders/v2.proto", V2), ("new.proto", V3)]);
    let ended = plan(folder.path(), &["orders", "--new", "new.proto", "--mode", "latest"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    golden("orders.txt", &ended.stdout);
}

#[test]
fn long_history_is_told_by_what_changes() {
    let version = |n: usize| {
        let more = if n < 5 { "" } else { r#",{"name":"a","type":"int","default":3}"# };
        format!(
            r#"{{"type":"record","name":"R","doc":"{n}","fields":[{{"name":"id","type":"long"}}{more}]}}"#
        )
    };
    let names: Vec<String> = (1..=40).map(|n| format!("r/v{n}.avsc")).collect();
    let texts: Vec<String> = (1..=40).map(version).collect();
    let files: Vec<(&str, &str)> =
        names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    let folder = folder(&files);
    let ended = plan(folder.path(), &["r"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    for line in [
        "versions   v2.avsc to v4.avsc: the same columns\n",
        "             + a required Int32\n",
        "versions   v6.avsc to v40.avsc: the same columns\n",
        "rows of v1.avsc to v4.avsc: filled a\n",
        "readers    athena, spark, trino, duckdb, iceberg, pyarrow read files from before and after together",
    ] {
        assert!(ended.stdout.contains(line), "{line} not in {}", ended.stdout);
    }
    assert!(ended.stdout.lines().count() < 20, "{}", ended.stdout);
}

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN).join(name);
    if std::env::var("FOREBAY_BLESS").is_ok_and(|glob| glob == format!("{GOLDEN}/*")) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "{name}: FOREBAY_BLESS='{GOLDEN}/*' writes it anew");
}
