//! Columns of what Kafka and the registry say of a record.

use forebay::pipeline::simulated::SimRecord;
use serde_json::{Value, json};

use super::{avro, datum, framed, framed_protobuf, protobuf, run};

const ROW: &str = r#"{"type":"record","name":"Row","fields":[{"name":"n","type":"long"}]}"#;

fn row(n: i64) -> Vec<u8> {
    framed(5, &datum(ROW, json!({"n": n})))
}

fn all(value: Vec<u8>) -> SimRecord {
    let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    SimRecord {
        timestamp_ms: 1_767_312_000_123,
        key: Some(b"k1".to_vec()),
        value: Some(value),
        headers: vec![
            header("trace", Some(b"\x01")),
            header("none", None),
            header("trace", Some(b"\x02\xff")),
        ],
        ..SimRecord::default()
    }
}

#[test]
fn every_metadata_column_says_what_kafka_said() {
    let words = "[schema_id, topic, partition, offset, timestamp, timestamp_type, key, headers]";
    let (data, _) = run(&format!("metadata: {words}"), vec![avro(5, ROW)], vec![all(row(40))]);
    // Whatever the order of the words, the columns have one.
    assert_eq!(
        data[0].columns(),
        [
            "n: Int64",
            "_key: Binary?",
            "_topic: Utf8",
            "_partition: Int32",
            "_offset: Int64",
            "_timestamp: Timestamp(ms, \"UTC\")?",
            "_timestamp_type: Utf8?",
            "_headers: Map(\"key_value\": non-null Struct(\"key\": non-null Utf8, \"value\": Binary), unsorted)",
            "_schema_id: Int32?",
        ]
    );
    // Of two headers of one name the last counts, as for Kafka's `lastHeader`.
    let expected = json!({"n": 40, "_key": "6b31", "_topic": "rows", "_partition": 3, "_offset": 0,
        "_timestamp": "2026-01-02T00:00:00.123+00:00", "_timestamp_type": "CreateTime",
        "_headers": {"none": null, "trace": "02ff"}, "_schema_id": 5});
    let mut found = data[0].json();
    found[0]["_timestamp"] = normal(&found[0]["_timestamp"]);
    assert_eq!(found, [expected]);
}

/// `Z` and `+00:00` are one zone.
fn normal(time: &Value) -> Value {
    json!(time.as_str().unwrap().replace('Z', "+00:00"))
}

#[test]
fn no_option_no_column() {
    let (data, _) = run("", vec![avro(5, ROW)], vec![all(row(1))]);
    assert_eq!(data[0].columns(), ["n: Int64"]);
}

#[test]
fn field_with_the_name_of_a_metadata_column_gets_a_suffix() {
    let text = "syntax = \"proto3\"; message Row { int64 _offset = 1; int32 _offset_2 = 2; }";
    let record = SimRecord {
        offset: 3,
        value: Some(framed_protobuf(1, &[0x08, 7, 0x10, 9])),
        ..SimRecord::default()
    };
    let (data, _) = run("metadata: [offset]", vec![protobuf(1, text)], vec![record]);
    assert_eq!(data[0].json(), [json!({"_offset_3": 7, "_offset_2": 9, "_offset": 3})]);
}

#[test]
fn partition_expressions_of_metadata_and_its_columns_stand_side_by_side() {
    let (data, _) = run(
        "metadata: [topic, offset]\npartition_by: [_topic, day(_timestamp), _offset]",
        vec![avro(5, ROW)],
        vec![all(row(1)), all(row(2))],
    );
    let folders: Vec<&str> = data.iter().map(|file| file.folder.as_str()).collect();
    assert_eq!(
        folders,
        [
            "rows/topic=rows/timestamp_day=2026-01-02/offset=0",
            "rows/topic=rows/timestamp_day=2026-01-02/offset=1"
        ]
    );
    assert_eq!(data[1].json(), [json!({"n": 2, "_topic": "rows", "_offset": 1})]);
}

#[test]
fn many_headers_of_many_names_keep_the_last_of_each() {
    let mut record = all(row(1));
    record.headers =
        (0..5_000).map(|i| (format!("h{}", i % 40), Some(vec![(i / 40) as u8]))).collect();
    let (data, _) = run("metadata: [headers]", vec![avro(5, ROW)], vec![record]);
    let row = &data[0].json()[0];
    let headers = row["_headers"].as_object().unwrap();
    assert_eq!(headers.len(), 40);
    assert!(headers.values().all(|v| v == "7c"), "{headers:?}"); // 4,999 / 40 = 124
}

#[test]
fn rejected_record_leaves_no_metadata_behind() {
    let records = vec![all(row(1)), all(vec![0, 0, 0, 0, 5]), all(row(3))];
    let (data, rejects) =
        run("metadata: [offset, headers, timestamp_type]", vec![avro(5, ROW)], records);
    let rows = data[0].json();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[1]["n"].as_i64(), rows[1]["_offset"].as_i64()), (Some(3), Some(2)));
    assert_eq!(rejects[0].rows.num_rows(), 1);
}

#[test]
fn headers_over_the_size_limit_reject_a_record_only_where_they_are_a_column() {
    let mut record = all(row(1));
    record.headers = vec![("big".to_owned(), Some(vec![7; 3_000]))];
    let limit = "limits: { record_bytes: 2KiB }";
    let (data, _) = run(limit, vec![avro(5, ROW)], vec![record.clone()]);
    assert_eq!(data[0].rows.num_rows(), 1);
    let more = format!("{limit}\nmetadata: [headers]");
    let (data, rejects) = run(&more, vec![avro(5, ROW)], vec![record]);
    assert_eq!(data.len(), 0);
    assert_eq!(super::reasons(&rejects)[0].0, "FB0913");
}
