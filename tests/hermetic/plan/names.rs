//! Columns whose name is another field's by now, that were away for a while, or that a message without fields has
//! not: what readers are told.

use serde_json::{Value, json};

use super::{folder, levels, mode, names, report, texts};

/// Reports of versions of a Protobuf message, the last one new, by each mode's name.
fn of(fields: &[&str], more: &[&str]) -> (Value, i32) {
    let text = |fields: &&str| format!("syntax = \"proto3\"; message R {{ {fields} }}");
    let files: Vec<(String, String)> = fields
        .iter()
        .enumerate()
        .map(|(n, fields)| (format!("r/v{}.proto", n + 1), text(fields)))
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .enumerate()
        .map(|(n, (name, text))| {
            let is_new = n + 1 == files.len();
            (if is_new { "new.proto" } else { name.as_str() }, text.as_str())
        })
        .collect();
    let folder = folder(&files);
    report(folder.path(), &[&["r", "--new", "new.proto"], more].concat())
}

fn level<'a>(mode: &'a Value, reader: &str) -> (&'a str, Vec<&'a str>) {
    let readers = mode["readers"].as_array().unwrap();
    let found = readers.iter().find(|verdict| verdict["reader"] == reader).unwrap();
    (found["level"].as_str().unwrap(), texts(&found["points"], "path"))
}

#[test]
fn column_that_goes_is_told_where_its_field_takes_a_name_that_was_there() {
    let (report, _) = of(&["int32 a = 1; int32 b = 2;", "int32 b = 1;"], &[]);
    let rotate = mode(&report, "rotate");
    assert_eq!(level(rotate, "duckdb"), ("breaks", vec!["a"]));
    assert_eq!(level(rotate, "athena"), ("reads as is", vec!["a"]));
    // Rows of the older version are read onto the newer one: its `a` is `b` now.
    assert_eq!(levels(mode(&report, "latest")), ["breaks"; 6]);
    assert_eq!(level(mode(&report, "latest"), "athena").1, ["a", "b"]);
}

#[test]
fn names_that_fields_swap_break_readers_where_rows_are_read_onto_the_newest() {
    let fields = ["string street = 1; string city = 2;", "string city = 1; string street = 2;"];
    let (report, _) = of(&fields, &[]);
    // There each file has the names that its writer has.
    assert_eq!(levels(mode(&report, "rotate")), ["reads as is"; 6]);
    assert_eq!(levels(mode(&report, "fixed")), ["reads as is"; 6]);
    for name in ["latest", "superset"] {
        let mode = mode(&report, name);
        assert_eq!(levels(mode), ["breaks"; 6], "{name}");
        assert_eq!(level(mode, "iceberg").1, ["order of columns", "city", "street"]);
        for verdict in mode["readers"].as_array().unwrap() {
            assert_eq!(verdict["statements"], json!([]), "{name}");
        }
    }
}

#[test]
fn name_that_a_new_field_takes_breaks_readers_under_latest() {
    let fields = ["int32 a = 1; int32 z = 9;", "int32 a = 2; int32 z = 9;"];
    let (report, _) = of(&fields, &[]);
    assert_eq!(levels(mode(&report, "rotate")), ["reads as is"; 6]);
    assert_eq!(levels(mode(&report, "latest")), ["breaks"; 6]);
    // Nothing that widens a type helps where it is another field's.
    let fields = ["int32 a = 1; int64 b = 2;", "int32 b = 1; int64 a = 2;"];
    let (widened, _) = of(&fields, &[]);
    assert_eq!(levels(mode(&widened, "latest")), ["breaks"; 6]);
    // Rows of the older version keep their own columns there.
    assert_eq!(levels(mode(&report, "superset")), ["reads as is"; 6]);
}

#[test]
fn plain_rename_is_told_once() {
    let (report, _) = of(&["int32 a = 1; int32 z = 9;", "int32 b = 1; int32 z = 9;"], &[]);
    for name in ["rotate", "latest"] {
        assert_eq!(level(mode(&report, name), "athena").1, ["a → b"]);
    }
}

#[test]
fn name_in_other_letters_is_the_same_name() {
    let (report, _) = of(&["int32 street = 1;", "int32 Street = 1;"], &[]);
    for name in ["rotate", "latest"] {
        assert!(!levels(mode(&report, name)).contains(&"breaks"), "{name}: {report:#}");
    }
}

#[test]
fn column_that_comes_back_with_another_type_breaks_the_table_that_has_the_first() {
    let fields = ["int64 id = 1; int32 a = 2;", "int64 id = 1;", "int64 id = 1; string a = 3;"];
    let (report, _) = of(&fields, &[]);
    // Of the newest version it is another field as well.
    for (name, told) in
        [("rotate", &["a: Int32 → Utf8"][..]), ("latest", &["a: Int32 → Utf8", "a"])]
    {
        let mode = mode(&report, name);
        assert_eq!(levels(mode), ["breaks"; 6], "{name}");
        assert_eq!(level(mode, "athena").1, told, "{name}");
    }
    let fields = ["int64 id = 1; int32 a = 2;", "int64 id = 1;", "int64 id = 1; int32 a = 2;"];
    let (report, _) = of(&fields, &[]);
    assert_eq!(level(mode(&report, "rotate"), "athena"), ("reads as is", vec![]));
}

#[test]
fn superset_takes_a_version_without_fields_as_a_run_does() {
    let (report, code) = of(&["int32 a = 1;", ""], &["--mode", "superset"]);
    assert_eq!(code, 0, "{report:#}");
    let superset = mode(&report, "superset");
    assert_eq!((names(superset), &superset["misfits"]), (vec!["a"], &json!([])));
    // Nothing gives a column: nor does it there.
    let (report, code) = of(&["", ""], &["--mode", "superset"]);
    assert_eq!((code, &mode(&report, "superset")["misfits"][0]["code"]), (3, &json!("FB0207")));
}

#[test]
fn text_that_becomes_json_is_told_and_shares_no_column() {
    let text = |property: &str| {
        format!(r#"{{ "title": "R", "type": "object", "properties": {{ "a": {property} }} }}"#)
    };
    let (old, new) = (text(r#"{ "type": "string" }"#), text("{}"));
    let folder = folder(&[("r/v1.json", &old), ("new.json", &new)]);
    let (report, code) = report(folder.path(), &["r", "--new", "new.json", "--mode", "superset"]);
    assert_eq!(code, 3, "{report:#}");
    assert_eq!(
        report["versions"][1]["differences"],
        json!([{ "path": "a", "what": "form", "from": "text", "to": "JSON" }])
    );
    for name in ["rotate", "latest", "superset"] {
        assert_eq!(levels(mode(&report, name)), ["breaks"; 6], "{name}");
    }
    let misfit = mode(&report, "superset")["misfits"][0]["message"].as_str().unwrap();
    assert!(misfit.contains("`a`: text found, JSON required"), "{misfit}");
}
