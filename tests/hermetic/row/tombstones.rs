//! Records with a null value.

use forebay::pipeline::simulated::SimRecord;
use serde_json::{Value, json};

use super::{File, avro, datum, framed, framed_protobuf, protobuf, reasons, run};

const ROW: &str = r#"{"type":"record","name":"Row","fields":[{"name":"n","type":"long"}]}"#;
const WIDER: &str = r#"{"type":"record","name":"Row","fields":[
    {"name":"n","type":"long"},{"name":"s","type":"string"}]}"#;
/// A column of every shape, none of them nullable by itself.
const SHAPES: &str = r#"{"type":"record","name":"Row","fields":[
    {"name":"b","type":"boolean"},{"name":"d","type":{"type":"int","logicalType":"date"}},
    {"name":"f","type":{"type":"fixed","name":"F","size":2}},
    {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},
    {"name":"r","type":{"type":"record","name":"R","fields":[
        {"name":"x","type":"double"},{"name":"l","type":{"type":"array","items":"string"}}]}},
    {"name":"m","type":{"type":"map","values":"long"}},{"name":"z","type":"null"}]}"#;

fn value(n: i64) -> SimRecord {
    let value = Some(framed(1, &datum(ROW, json!({"n": n}))));
    SimRecord { key: Some(format!("k{n}").into_bytes()), value, ..SimRecord::default() }
}

fn tombstone(key: &str) -> SimRecord {
    SimRecord { key: Some(key.as_bytes().to_vec()), ..SimRecord::default() }
}

const ROWS: &str =
    "value: { tombstones: row }\nkey: { format: string }\nmetadata: [offset, schema_id]";

fn of_columns(files: &[File], count: usize) -> &File {
    files.iter().find(|file| file.columns().len() == count).unwrap()
}

#[test]
fn tombstone_is_a_row_of_nulls_among_the_rows_of_the_value_before_it() {
    let records = vec![value(1), tombstone("k1"), value(3), tombstone("k3"), tombstone("k0")];
    let (data, _) = run(ROWS, vec![avro(1, ROW)], records);
    assert_eq!(data.len(), 1);
    assert_eq!(
        data[0].columns(),
        ["n: Int64?", "_deleted: Boolean", "_key: Utf8?", "_offset: Int64", "_schema_id: Int32?"]
    );
    assert_eq!(
        data[0].json(),
        [
            json!({"n": 1, "_deleted": false, "_key": "k1", "_offset": 0, "_schema_id": 1}),
            json!({"n": null, "_deleted": true, "_key": "k1", "_offset": 1, "_schema_id": null}),
            json!({"n": 3, "_deleted": false, "_key": "k3", "_offset": 2, "_schema_id": 1}),
            json!({"n": null, "_deleted": true, "_key": "k3", "_offset": 3, "_schema_id": null}),
            json!({"n": null, "_deleted": true, "_key": "k0", "_offset": 4, "_schema_id": null}),
        ]
    );
}

#[test]
fn tombstone_before_the_first_value_has_the_columns_of_key_and_metadata() {
    let (data, _) = run(ROWS, vec![avro(1, ROW)], vec![tombstone("k0"), value(2)]);
    assert_eq!(data.len(), 2);
    let early = of_columns(&data, 4);
    assert_eq!(
        early.json(),
        [json!({"_deleted": true, "_key": "k0", "_offset": 0, "_schema_id": null})]
    );
    assert_eq!(of_columns(&data, 5).json()[0]["n"], 2);
}

#[test]
fn tombstone_follows_the_schema_of_the_value_right_before_it() {
    let wide = SimRecord {
        value: Some(framed(2, &datum(WIDER, json!({"n": 2, "s": "x"})))),
        ..SimRecord::default()
    };
    let records = vec![value(0), wide, tombstone("a"), value(3), tombstone("b")];
    let (data, _) = run(ROWS, vec![avro(1, ROW), avro(2, WIDER)], records);
    let offsets = |file: &File| -> Vec<i64> {
        file.json().iter().map(|row| row["_offset"].as_i64().unwrap()).collect()
    };
    assert_eq!(offsets(of_columns(&data, 5)), [0, 3, 4]);
    assert_eq!(offsets(of_columns(&data, 6)), [1, 2]);
}

#[test]
fn tombstone_makes_nulls_of_columns_of_every_shape() {
    let row = json!({"b": true, "d": 20_000, "f": "ab", "e": "B", "r": {"x": 1.5, "l": ["p", "q"]},
        "m": {"k": 4}});
    let record = || SimRecord {
        value: Some(framed(1, &datum(SHAPES, row.clone()))),
        ..SimRecord::default()
    };
    let only = "value: { tombstones: row }";
    let records = vec![record(), tombstone("x"), record(), tombstone("y")];
    let (data, _) = run(only, vec![avro(1, SHAPES)], records);
    let rows = data[0].json();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0], rows[2]);
    assert_eq!((&rows[0]["e"], &rows[0]["r"]), (&json!("B"), &json!({"x": 1.5, "l": ["p", "q"]})));
    assert_eq!((&rows[0]["m"], &rows[0]["f"]), (&json!({"k": 4}), &json!("6162")));
    for row in [&rows[1], &rows[3]] {
        let row = row.as_object().unwrap();
        assert!(row.iter().all(|(name, v)| name == "_deleted" || v.is_null()), "{row:?}");
    }
    // A batch of nothing but tombstones: the commit interval parts them from the value.
    let records = (0..300).map(|at| if at == 0 { record() } else { tombstone("x") }).collect();
    let commits = format!("{only}\nrotate: {{ rows: 1 }}");
    let (data, _) = run(&commits, vec![avro(1, SHAPES)], records);
    assert_eq!(data.iter().map(|file| file.rows.num_rows()).sum::<usize>(), 300);
    assert!(data.iter().all(|file| file.columns() == data[0].columns()));
}

#[test]
fn tombstones_of_a_protobuf_topic_make_every_column_nullable() {
    let text = "syntax = \"proto3\"; message Row { message In { int32 a = 1; } \
                int64 n = 1; In one = 2; repeated In more = 3; map<string, In> by = 4; }";
    let records = vec![
        SimRecord { value: Some(framed_protobuf(1, &[0x08, 5])), ..SimRecord::default() },
        tombstone("x"),
    ];
    let (data, _) = run("value: { tombstones: row }", vec![protobuf(1, text)], records);
    let null = Value::Null;
    let rows = data[0].json();
    assert_eq!(
        (&rows[0]["n"], &rows[0]["more"], &rows[0]["by"]),
        (&json!(5), &json!([]), &json!({}))
    );
    assert_eq!((&rows[1]["n"], &rows[1]["more"], &rows[1]["by"]), (&null, &null, &null));
}

#[test]
fn tombstones_go_to_the_folder_that_null_has() {
    let partitioned = format!("{ROWS}\npartition_by: [n]");
    let (data, _) = run(&partitioned, vec![avro(1, ROW)], vec![value(1), tombstone("k1")]);
    let mut folders: Vec<&str> = data.iter().map(|file| file.folder.as_str()).collect();
    folders.sort();
    assert_eq!(folders, ["rows/n=1", "rows/n=__HIVE_DEFAULT_PARTITION__"]);
}

#[test]
fn tombstones_are_left_out_or_rejected_as_the_option_says() {
    let records = || vec![value(1), tombstone("k1"), value(3)];
    let (data, rejects) = run("", vec![avro(1, ROW)], records());
    assert_eq!((data[0].rows.num_rows(), rejects.len()), (2, 0));
    let (data, rejects) = run("value: { tombstones: reject }", vec![avro(1, ROW)], records());
    assert_eq!(data[0].rows.num_rows(), 2);
    assert_eq!(reasons(&rejects)[0].0, "FB0912");
}
