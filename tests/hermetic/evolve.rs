//! `forebay evolve` over its embedded stack: samples of the three languages hold, and what does not hold is named by
//! version, offset and field.

use std::path::{Path, PathBuf};

use clap::Parser;
use forebay::cli::Exit;
use forebay::cli::evolve::report::Report;
use forebay::cli::evolve::{Args, Stop, evolve, run};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn args(folder: &Path, rest: &str) -> Args {
    let folder = folder.display().to_string();
    let all =
        ["evolve", &folder].into_iter().chain(rest.split(' ').filter(|word| !word.is_empty()));
    Cli::try_parse_from(all).unwrap().args
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder `name` with these versions.
fn history(name: &str, extension: &str, versions: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(name)).unwrap();
    for (n, text) in versions.iter().enumerate() {
        let path = dir.path().join(name).join(format!("v{}.{extension}", n + 1));
        std::fs::write(path, text).unwrap();
    }
    dir
}

fn hold(args: &Args) -> Vec<Report> {
    let kept = tempfile::tempdir().unwrap();
    let args = Args { dir: Some(kept.path().to_owned()), ..args.clone() };
    let reports = evolve(&args).unwrap_or_else(|stop| panic!("{stop:?}"));
    for report in &reports {
        assert!(report.holds(), "{}", report.text());
    }
    reports
}

#[test]
fn samples_of_the_repository_hold_in_every_mode() {
    for (folder, cells) in [("protos/orders", 16), ("schemas/payments", 9)] {
        let reports = hold(&args(&here(folder), "--records 200 --restarts 1 --mode all"));
        let modes: Vec<&str> = reports.iter().map(|r| r.mode).collect();
        assert_eq!(modes, ["rotate", "latest", "superset", "fixed"]);
        for report in &reports {
            let rows: u64 = report.seen.fates.values().map(|fate| fate.rows).sum();
            assert_eq!((rows, report.kills), (200, 1), "{}", report.text());
            assert!(report.seen.cells >= rows * cells, "{}", report.text());
        }
        // One set of columns for a pinned version, one for each version that writes.
        assert_eq!(reports[3].seen.shapes.len(), 1);
        assert_eq!(reports[0].seen.shapes.len(), 2);
    }
}

const PERSON: &str = r##"{"title": "Person", "type": "object", "required": ["id"], "properties": {
    "id": {"type": "integer"}, "born": {"type": "string", "format": "date"}, "at": {"type": "string", "format": "date-time"},
    "score": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}}, "home": {"$ref": "#/definitions/home"},
    "which": {"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "object", "properties": {"x": {"type": "integer"}}}]},
    "map": {"type": "object", "additionalProperties": {"type": "number"}}},
    "definitions": {"home": {"type": "object", "required": ["street"], "properties": {"street": {"type": "string"}, "zip": {"type": ["string", "null"]}}}}}"##;

#[test]
fn json_schemas_of_several_records_in_one_topic_hold() {
    let more = PERSON
        .replace(r#""score": {"type": "number"},"#, r#""any": {}, "more": {"type": "boolean"},"#);
    let dir = history("people", "json", &[PERSON, &more]);
    std::fs::create_dir(dir.path().join("animals")).unwrap();
    let animal = PERSON.replace("Person", "Animal");
    std::fs::write(dir.path().join("animals/v1.json"), animal).unwrap();
    let rest = "--records 300 --restarts 1 --mode latest --strategy topic_record --output json";
    let reports = hold(&args(dir.path(), rest));
    let names: Vec<&str> = reports[0].subjects.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["evolve-Animal", "evolve-Person"]);
    let report = reports[0].json();
    assert_eq!(report["subjects"][1]["versions"][1]["changes"]["dropped"][0], "score");
}

/// `sint32` and `int64` are written in other forms: who reads one as the other has other numbers.
fn promoted() -> tempfile::TempDir {
    let version = |kind: &str| {
        format!(
            "syntax = \"proto3\"; package t; message R {{ string name = 1; Sum sum = 2; }} message Sum {{ repeated {kind} amounts = 1; }}"
        )
    };
    history("sums", "proto", &[&version("sint32"), &version("int64")])
}

#[test]
pub fn promoted_numbers_keep_their_values() {
    let dir = promoted();
    hold(&args(dir.path(), "--records 200 --restarts 0 --mode latest --pin 2"));
}

#[cfg(debug_assertions)]
#[test]
fn wrong_promotion_is_told_with_version_offset_field_and_file() {
    use forebay::flaw::{Flaw, plant};
    let (dir, kept) = (promoted(), tempfile::tempdir().unwrap());
    let mut args = args(dir.path(), "--records 200 --restarts 1 --mode latest");
    args.dir = Some(kept.path().to_owned());
    let reports = plant(Flaw::PromotedAsTarget, || evolve(&args)).unwrap();
    let report = &reports[0];
    assert!(!report.holds());
    let told = &report.seen.findings.told[0];
    assert_eq!((told.kind, told.version), ("value", 1));
    assert!(told.path.starts_with("sum.amounts["), "{told:?}");
    // Zigzag, read as if it were none: 0, -1, 1, -2 … are written as 0, 1, 2, 3.
    let (found, expected): (i64, i64) =
        (told.found.parse().unwrap(), told.expected.parse().unwrap());
    assert_eq!(found, (expected << 1) ^ (expected >> 63), "{told:?}");
    assert!(Path::new(&told.file).exists(), "{told:?}");
    let text = report.text();
    let offset = told.offset.unwrap();
    assert!(
        text.contains(&format!("version 1, {} offset {offset}, `{}`", told.partition, told.path)),
        "{text}"
    );
    args.dir = Some(tempfile::tempdir().unwrap().path().to_owned());
    assert_eq!(plant(Flaw::PromotedAsTarget, || run(&args)), Exit::No);
}

/// What no independent decoder has a reason to refuse is no reject.
#[test]
fn records_that_a_mode_refuses_are_told() {
    let version = |kind: &str| format!("syntax = \"proto3\"; message R {{ {kind} n = 1; }}");
    let dir = history("rows", "proto", &[&version("int32"), &version("string")]);
    let config = dir.path().join("forebay.yaml");
    let text = "pipeline: p\nsource: { brokers: 'x:1', topics: [x] }\nregistry: { url: 'http://x' }\nsink: { url: /x }\n\
                evolution: { mode: latest, on_incompatible: reject }\n";
    std::fs::write(&config, text).unwrap();
    let folder = dir.path().join("rows");
    let mut args = args(&folder, "--records 100 --restarts 0");
    args.config = Some(config);
    args.dir = Some(tempfile::tempdir().unwrap().path().to_owned());
    let reports = evolve(&args).unwrap();
    let text = reports[0].text();
    let told = &reports[0].seen.findings.told[0];
    assert_eq!((told.kind, told.version), ("reject", 1), "{text}");
    assert!(told.found.contains("FB0210"), "{text}");
    assert_eq!(reports[0].mode, "latest");
}

#[test]
fn folders_that_are_no_history_are_refused() {
    let dir = history("rows", "proto", &["syntax = \"proto3\"; message R { int32 n = 1; }"]);
    std::fs::write(dir.path().join("rows/v2.avsc"), r#"{"type":"record","name":"R","fields":[]}"#)
        .unwrap();
    let folder = dir.path().join("rows");
    match evolve(&args(&folder, "")) {
        Err(Stop::Refused(faults)) => assert_eq!(faults[0].code.id, "FB1061"),
        other => panic!("{other:?}"),
    }
    assert_eq!(run(&args(&folder, "")), Exit::Refused);
    assert_eq!(run(&args(&dir.path().join("nothing"), "")), Exit::Refused);
    std::fs::write(dir.path().join("rows/v2.avsc"), "{").unwrap();
    assert_eq!(run(&args(&folder, "")), Exit::Refused);
}

/// The specification of Protobuf: of a field without presence nothing is written where it is its default, for floats
/// the number whose bits are all zero. What has a sign is written, and is read.
#[test]
fn negative_zero_without_presence_is_expected_as_it_was_written() {
    use arrow::array::{ArrayRef, Float64Array};
    use arrow::datatypes::{DataType, Field, Fields};
    use forebay::cli::evolve::expect::{Columns, Rows, Rules, check};
    use forebay::cli::evolve::form::Form;
    use forebay::config::{Presence, Recursion};
    use forebay::registry::{Language, compile::compile};
    let text = "syntax = \"proto3\"; message R { double d = 1; }";
    let form = Form::of(&compile(1, Language::Protobuf, text, &[]).unwrap(), None).unwrap();
    let body = [&[0x09], &(-0.0f64).to_le_bytes()[..]].concat();
    let rules = Rules { presence: Presence::Default, recursion: Recursion::Json, partial: false };
    let held = |value: f64, body: &[u8]| {
        let column: ArrayRef = std::sync::Arc::new(Float64Array::from(vec![value]));
        let fields = Fields::from(vec![Field::new("d", DataType::Float64, true)]);
        let rows = Rows { fields, columns: vec![column] };
        check(&form, Columns::Own, body, &rows, 0, rules, None).is_ok()
    };
    assert_eq!((held(-0.0, &body), held(0.0, &body)), (true, false));
    assert_eq!((held(-0.0, &[]), held(0.0, &[])), (false, true), "an absent one is positive");
}

/// What another reader of the files compares with: a line for each record, in the folder of each mode.
#[test]
fn expected_rows_stand_beside_the_files_once_for_each_record() {
    let kept = tempfile::tempdir().unwrap();
    let rest = "--records 100 --restarts 1 --mode all";
    let mut args = args(&here("protos/orders"), rest);
    (args.dir, args.expected) = (Some(kept.path().to_owned()), true);
    let reports = evolve(&args).unwrap();
    for report in &reports {
        assert!(report.holds(), "{}", report.text());
        let path = kept.path().join(format!("evolve-{}", report.mode)).join("expected.jsonl");
        let text = std::fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<serde_json::Value> = lines.collect();
        let at = |line: &serde_json::Value| format!("{} {}", line["partition"], line["offset"]);
        let places: std::collections::BTreeSet<String> = lines.iter().map(at).collect();
        assert_eq!((lines.len(), places.len()), (100, 100), "{}", report.mode);
        for line in &lines {
            assert!(line["cells"].as_array().unwrap().len() >= 8, "{line}");
            assert!(Path::new(line["file"].as_str().unwrap()).is_file(), "{line}");
        }
    }
    assert!(Cli::try_parse_from(["evolve", "x", "--expected"]).is_err(), "no folder to stand in");
}
