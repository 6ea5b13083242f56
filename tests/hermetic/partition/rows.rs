//! Rows of every type and nesting, nulls, rejects, many batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    DictionaryArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int32Array, Int64Array,
    MapBuilder, NullArray, RecordBatch, StringArray, StringBuilder, StructArray, Time32SecondArray,
    Time64NanosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt32Array, UInt64Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, i256};
use forebay::clock::Seeded;
use forebay::config::{Escape, PartitionColumns};
use forebay::partition::{Context, Keys, Partitioner, hive};
use forebay::position::TopicPartition;

use super::{batch, compile, item, keys, keys_at, paths, run};

const NULL: &str = "x=__HIVE_DEFAULT_PARTITION__";

#[test]
fn each_type_has_one_text() {
    let cases: Vec<(ArrayRef, Vec<&str>)> = vec![
        (Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])), vec!["true", "false"]),
        (Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(7), None])), vec!["-2147483648", "7"]),
        (Arc::new(UInt32Array::from(vec![Some(u32::MAX), None])), vec!["4294967295"]),
        (Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])), vec!["18446744073709551615"]),
        (Arc::new(Int64Array::from(vec![Some(i64::MIN), None])), vec!["-9223372036854775808"]),
        (Arc::new(Float32Array::from(vec![Some(0.1), None])), vec!["0.1"]),
        (
            Arc::new(Date32Array::from(vec![Some(-1), Some(2_932_896), None])),
            vec!["1969-12-31", "9999-12-31"],
        ),
        (Arc::new(Time32SecondArray::from(vec![Some(86_399), None])), vec!["23%3A59%3A59"]),
        (
            Arc::new(Time64NanosecondArray::from(vec![Some(1_500_000_000), None])),
            vec!["00%3A00%3A01.5"],
        ),
        (
            Arc::new(TimestampSecondArray::from(vec![Some(-1), None])),
            vec!["1969-12-31 23%3A59%3A59"],
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![Some(1), None])),
            vec!["1970-01-01 00%3A00%3A00.000000001"],
        ),
        (Arc::new(StringArray::from(vec![Some("a"), Some(""), None])), vec!["a", "__EMPTY__"]),
        (Arc::new(BinaryArray::from_opt_vec(vec![Some(b"\xff\x00"), None])), vec!["ff00"]),
        (
            Arc::new(
                vec![Some("new"), Some("paid"), None]
                    .into_iter()
                    .collect::<DictionaryArray<Int32Type>>(),
            ),
            vec!["new", "paid"],
        ),
        (
            Arc::new(
                Decimal128Array::from(vec![Some(-5), None]).with_precision_and_scale(5, 3).unwrap(),
            ),
            vec!["-0.005"],
        ),
        (
            Arc::new(
                Decimal256Array::from(vec![Some(i256::from_i128(-1234)), None])
                    .with_precision_and_scale(50, 2)
                    .unwrap(),
            ),
            vec!["-12.34"],
        ),
    ];
    for (column, want) in cases {
        let kind = column.data_type().clone();
        let mut want: Vec<String> = want.iter().map(|v| format!("x={v}")).collect();
        want.push(NULL.to_owned());
        assert_eq!(run("x", column), want, "{kind}");
    }
    assert_eq!(run("x", Arc::new(NullArray::new(2))), [NULL, NULL]);
}

#[test]
fn doubles_are_written_as_java_does() {
    // Double.toString of JDK 19 and later (its documentation, and JDK-4511638).
    let cases = [
        (1.5, "1.5"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (0.0, "0.0"),
        (1e-3, "0.001"),
        (1e-7, "1.0E-7"),
        (9_999_999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (1.234_567_8e7, "1.2345678E7"),
        (1e10, "1.0E10"),
        (123_456.789, "123456.789"),
        (0.001_234, "0.001234"),
        (9.99e-4, "9.99E-4"),
        (2e23, "2.0E23"),
        (4.9e-324, "4.9E-324"),
        (f64::MAX, "1.7976931348623157E308"),
        (f64::NAN, "NaN"),
        (-f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
        (100.0, "100.0"),
    ];
    let column = Float64Array::from_iter_values(cases.iter().map(|(v, _)| *v));
    for ((value, want), got) in cases.iter().zip(run("x", Arc::new(column))) {
        assert_eq!(got, format!("x={want}"), "{value:e}");
    }
}

#[test]
fn uuid_is_written_with_dashes_only_where_the_schema_says_uuid() {
    let bytes = FixedSizeBinaryArray::try_from_iter([[0xab; 16]].into_iter()).unwrap();
    let plain = Field::new("x", DataType::FixedSizeBinary(16), true);
    let marked = plain.clone().with_metadata(HashMap::from([(
        "ARROW:extension:name".to_owned(),
        "arrow.uuid".to_owned(),
    )]));
    for (field, want) in [
        (plain, "x=abababababababababababababababab"),
        (marked, "x=abababab-abab-abab-abab-abababababab"),
    ] {
        let schema = Arc::new(Schema::new(vec![field]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(bytes.clone())]).unwrap();
        let mut bound =
            compile(&["x"], Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap();
        assert_eq!(paths(&keys(&mut bound, &batch)), [want]);
    }
}

#[test]
fn values_without_text_are_rejects_and_neighbours_stay() {
    let dates = Date32Array::from(vec![i32::MAX, 0, i32::MIN]);
    assert_eq!(run("x", Arc::new(dates)), ["FB0612", "x=1970-01-01", "FB0612"]);
    let times = Time32SecondArray::from(vec![86_400, 0, -1]);
    assert_eq!(run("x", Arc::new(times)), ["FB0612", "x=00%3A00%3A00", "FB0612"]);
    let seconds = TimestampSecondArray::from(vec![i64::MAX, i64::MIN, 0]);
    let got = run("day(x)", Arc::new(seconds.clone()));
    assert_eq!(got, ["FB0610", "FB0610", "x_day=1970-01-01"]);
    let got = run("bucket(4, x) as b", Arc::new(seconds));
    assert_eq!(got[..2], ["FB0612", "FB0612"]);
    let longs = Int64Array::from(vec![i64::MIN, i64::MAX]);
    assert_eq!(
        run("truncate(10, x) as t", Arc::new(longs.clone())),
        ["FB0612", "t=9223372036854775800"]
    );
    assert_eq!(run("day(x, unit='ns') as d", Arc::new(longs)), ["FB0610", "FB0610"]);
    let huge = UInt64Array::from(vec![u64::MAX, 1_767_366_245]);
    assert_eq!(run("day(x, unit='s') as d", Arc::new(huge)), ["FB0610", "d=2026-01-02"]);
}

/// device { os, net { kind } }, each level nullable, and tags map.
fn nested() -> RecordBatch {
    let kind: ArrayRef = Arc::new(StringArray::from(vec![Some("4g"), Some("5g"), Some("x"), None]));
    let net = StructArray::new(
        vec![Field::new("kind", DataType::Utf8, true)].into(),
        vec![kind],
        Some(NullBuffer::from(vec![true, true, false, true])),
    );
    let os: ArrayRef = Arc::new(StringArray::from(vec!["ios", "hidden", "web", "tv"]));
    let device = StructArray::new(
        vec![
            Field::new("os", DataType::Utf8, false),
            Field::new("net", net.data_type().clone(), true),
        ]
        .into(),
        vec![os, Arc::new(net)],
        Some(NullBuffer::from(vec![true, false, true, true])),
    );
    let mut tags = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in [
        Some(vec![("env", Some("prod")), ("a", Some("1"))]),
        None,
        Some(vec![("env", Some("old")), ("env", Some("new"))]),
        Some(vec![("a", Some("2")), ("env", None)]),
    ] {
        let present = row.is_some();
        for (key, value) in row.unwrap_or_default() {
            tags.keys().append_value(key);
            tags.values().append_option(value);
        }
        tags.append(present).unwrap();
    }
    batch(vec![("device", Arc::new(device) as ArrayRef), ("tags", Arc::new(tags.finish()))])
}

#[test]
fn nested_fields_and_map_entries_are_null_where_a_parent_is() {
    let batch = nested();
    let partitioner =
        compile(&["device.os", "device.net.kind", "tags['env']"], Escape::Hive).unwrap();
    let mut bound = partitioner.bind(&batch.schema(), false).unwrap();
    let null = "__HIVE_DEFAULT_PARTITION__";
    let want = [
        "os=ios/kind=4g/env=prod".to_owned(),
        format!("os={null}/kind={null}/env={null}"),
        format!("os=web/kind={null}/env=new"),
        format!("os=tv/kind={null}/env={null}"),
    ];
    assert_eq!(paths(&keys(&mut bound, &batch)), want);
    // A slice of the batch has the same values, and so has the batch after it.
    assert_eq!(paths(&keys(&mut bound, &batch.slice(2, 2))), want[2..]);
    assert_eq!(paths(&keys(&mut bound, &batch)), want);
}

#[test]
fn connect_nested_field_and_null_parent_agree() {
    let corpus = super::corpus("partitioner/connect_partitioners.json");
    let wants: Vec<&str> = corpus["field"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["fields"][0] == "user.address.city")
        .map(|c| c["expect"].as_str().unwrap())
        .collect();
    assert_eq!(wants.len(), 3);
    let city: ArrayRef = Arc::new(StringArray::from(vec![Some("NYC"), None, Some("hidden")]));
    let address =
        StructArray::new(vec![Field::new("city", DataType::Utf8, true)].into(), vec![city], None);
    let parents = NullBuffer::from(vec![true, true, false]);
    let field = Field::new("address", address.data_type().clone(), true);
    let user = StructArray::new(vec![field].into(), vec![Arc::new(address)], Some(parents));
    let batch = batch(vec![("user", Arc::new(user) as ArrayRef)]);
    let partitioner = compile(&["user.address.city"], Escape::Connect).unwrap();
    let mut bound = partitioner.bind(&batch.schema(), false).unwrap();
    assert_eq!(paths(&keys(&mut bound, &batch)), wants);
}

#[test]
fn nested_names_that_are_missing_name_the_nearest() {
    let batch = nested();
    let find = |expr: &str| {
        compile(&[expr], Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap_err()[0]
            .to_string()
    };
    assert!(
        find("device.so").contains("no field `so` in `device`; did you mean `os`?"),
        "{}",
        find("device.so")
    );
    assert!(find("tags.env").contains("an entry required, `tags['env']`"), "{}", find("tags.env"));
    assert!(find("device").contains("over a struct, a scalar required"));
    assert!(find("tags").contains("over a map, a scalar required"));
}

#[test]
fn coalesce_takes_the_first_that_is_not_null_and_rejects_what_is_bad() {
    let at = TimestampMicrosecondArray::from(vec![Some(0), None, None, Some(i64::MAX)]);
    let text = StringArray::from(vec![None, Some("2026-01-02"), None, Some("2026-01-02")]);
    let batch = batch(vec![
        ("at", Arc::new(at.with_timezone("UTC")) as ArrayRef),
        ("text", Arc::new(text)),
    ]);
    let items = [
        "coalesce(text, 'none') as a",
        "day(coalesce(at, text, _timestamp)) as b",
        "coalesce(day(at), 'unknown') as c",
    ];
    let mut bound = compile(&items, Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap();
    let stamp = Some(1_767_366_245_000);
    let keys = keys_at(&mut bound, &batch, &[stamp, stamp, stamp, stamp]);
    assert_eq!(
        paths(&keys),
        [
            "a=none/b=1970-01-01/c=1970-01-01",
            "a=2026-01-02/b=2026-01-02/c=unknown",
            "a=none/b=2026-01-02/c=unknown",
            "FB0610",
        ]
    );
    assert_eq!(keys.rejects.len(), 1, "one reject per row");
}

#[test]
fn metadata_of_kafka_and_registry_are_sources() {
    let batch = batch(vec![("x", Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef)]);
    let items = [
        "_topic",
        "_partition",
        "truncate(10, _offset) as o",
        "hour(_timestamp)",
        "_schema_id",
        "_record_name",
    ];
    let mut bound = compile(&items, Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap();
    let keys = keys_at(&mut bound, &batch, &[Some(1_767_366_245_000), None, Some(-1)]);
    let path = |hour: &str| {
        format!(
            "topic=orders/partition=3/o=100/timestamp_hour={hour}/schema_id=7/record_name=shop.Order"
        )
    };
    assert_eq!(
        paths(&keys),
        [path("2026-01-02T15"), path("__HIVE_DEFAULT_PARTITION__"), "FB0610".to_owned()]
    );
    assert_eq!(keys.keys[0].path, format!("orders/{}", path("2026-01-02T15")));
    assert_eq!(
        keys.keys[0].values[3],
        ("timestamp_hour".to_owned(), Some("2026-01-02T15".to_owned()))
    );
    assert_eq!(keys.keys[1].values[3].1, None);
}

#[test]
fn value_too_long_is_cut_or_rejected_by_where_its_column_is() {
    let long = "é".repeat(200);
    let batch = batch(vec![
        ("x", Arc::new(StringArray::from(vec![long.as_str(), "b"])) as ArrayRef),
        ("y", Arc::new(Int32Array::from(vec![1, 1]))),
    ]);
    let run = |columns| {
        let partitioner = Partitioner::compile(&[item("x")], Escape::Hive, columns, false).unwrap();
        let mut bound = partitioner.bind(&batch.schema(), false).unwrap();
        keys(&mut bound, &batch)
    };
    assert_eq!(paths(&run(PartitionColumns::Auto)), ["FB0611", "x=b"]);
    let kept = run(PartitionColumns::Keep);
    let segment = kept.keys[0].path.strip_prefix("orders/").unwrap();
    assert!(segment.len() <= 255 && hive::is_cut(segment), "{segment}");
    let value = kept.keys[0].values[0].1.as_deref().unwrap();
    assert_eq!(segment.strip_prefix("x=").unwrap(), value);
}

#[test]
fn key_over_1024_bytes_is_rejected_and_the_prefix_counts() {
    let value = "v".repeat(200);
    let columns: Vec<_> = ["a", "b", "c", "d"]
        .map(|n| (n, Arc::new(StringArray::from(vec![value.as_str(), "short"])) as ArrayRef))
        .into();
    let batch = batch(columns);
    let items = ["a", "b", "c", "d"];
    let run = |reserved| {
        let partitioner = compile(&items, Escape::Hive).unwrap().reserving(reserved);
        let mut bound = partitioner.bind(&batch.schema(), false).unwrap();
        paths(&keys(&mut bound, &batch))
    };
    assert!(run(0)[0].starts_with("a=vvv"));
    assert_eq!(run(150), ["FB0611", "a=short/b=short/c=short/d=short"]);
}

#[test]
fn topics_are_escaped_and_may_alternate() {
    let batch = batch(vec![("x", Arc::new(Int32Array::from(vec![1, 1])) as ArrayRef)]);
    let mut bound = compile(&["x"], Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap();
    let mut run = |topic: &str| {
        let context = Context {
            topic_partition: &TopicPartition::new(topic, 0),
            record_name: "R",
            offsets: &[1, 2],
            timestamps: &[None, None],
            schema_ids: &[1, 1],
        };
        let keys = bound.keys(&batch, context);
        assert_eq!(keys.of_row, [0, 0]);
        keys.keys[0].path.clone()
    };
    for _ in 0..2 {
        assert_eq!(run("orders"), "orders/x=1");
        assert_eq!(run("_orders"), "%5Forders/x=1");
        assert_eq!(run("a.b"), "a.b/x=1");
    }
}

#[test]
fn no_items_means_one_key_per_topic() {
    let batch = batch(vec![("x", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef)]);
    let mut bound = compile(&[], Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap();
    let keys = keys(&mut bound, &batch);
    assert_eq!((keys.keys[0].path.as_str(), keys.of_row.as_slice()), ("orders", [0, 0].as_slice()));
    assert!(keys.keys[0].values.is_empty());
}

#[test]
fn batch_that_does_not_fit_is_a_bug_of_every_row_and_no_panic() {
    let one = batch(vec![("x", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef)]);
    let other = batch(vec![("x", Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef)]);
    let mut bound = compile(&["x"], Escape::Hive).unwrap().bind(&one.schema(), false).unwrap();
    assert_eq!(paths(&keys(&mut bound, &other)), ["FB0613", "FB0613"]);
    let context = Context {
        topic_partition: &TopicPartition::new("t", 0),
        record_name: "R",
        offsets: &[1],
        timestamps: &[None, None],
        schema_ids: &[1, 1],
    };
    assert_eq!(bound.keys(&one, context).rejects.len(), 2);
    assert_eq!(paths(&keys(&mut bound, &one)), ["x=1", "x=2"]);
}

#[test]
fn keys_are_distinct_numbered_by_first_use_and_shared_between_batches() {
    let seed = 0x0604;
    let mut random = Seeded::new(seed);
    let make = |random: &mut Seeded, rows: usize| {
        let names: Vec<Option<String>> = (0..rows)
            .map(|_| (!random.one_in(10)).then(|| format!("c{}", random.below(30))))
            .collect();
        let at: Vec<i64> =
            (0..rows).map(|_| 1_767_366_245_000 + random.below(200_000_000) as i64).collect();
        (names, at)
    };
    let mut bound = None;
    for round in 0..20 {
        let (names, at) = make(&mut random, 500);
        let batch = batch(vec![
            ("c", Arc::new(StringArray::from(names.clone())) as ArrayRef),
            ("at", Arc::new(TimestampMillisecondArray::from(at.clone()).with_timezone("UTC"))),
        ]);
        let bound = bound.get_or_insert_with(|| {
            compile(&["c", "day(at)"], Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap()
        });
        let keys = keys(bound, &batch);
        let mut seen: Vec<String> = Vec::new();
        for (row, (name, at)) in names.iter().zip(&at).enumerate() {
            let day =
                jiff::Timestamp::from_millisecond(*at).unwrap().strftime("%Y-%m-%d").to_string();
            let name = name.as_deref().unwrap_or("__HIVE_DEFAULT_PARTITION__");
            let want = format!("orders/c={name}/at_day={day}");
            let index = seen.iter().position(|s| *s == want).unwrap_or_else(|| {
                seen.push(want.clone());
                seen.len() - 1
            });
            assert_eq!(keys.of_row[row] as usize, index, "seed {seed} round {round} row {row}");
        }
        let got: Vec<&String> = keys.keys.iter().map(|k| &k.path).collect();
        assert_eq!(got, seen.iter().collect::<Vec<_>>(), "seed {seed} round {round}");
        if round > 0 {
            assert!(Arc::strong_count(&keys.keys[0]) > 1, "kept for the next batch");
        }
    }
}

#[test]
fn memory_is_bounded_when_every_value_is_new_and_old_values_stay_right() {
    let items = ["s", "truncate(1, y) as y", "day(at)", "wide", "bucket(4, x) as b"];
    let mut bound = None;
    for round in 0..40i64 {
        let numbers: Vec<i64> = (round * 4_000..(round + 1) * 4_000).collect();
        // Every hundredth row is as it was in every batch before.
        let value = |n: &i64| if n % 100 == 0 { n % 4_000 } else { *n };
        let values: Vec<i64> = numbers.iter().map(value).collect();
        let batch = batch(vec![
            (
                "s",
                Arc::new(StringArray::from_iter_values(values.iter().map(|v| format!("s{v}"))))
                    as ArrayRef,
            ),
            ("y", Arc::new(Int64Array::from(values.clone()))),
            (
                "at",
                Arc::new(TimestampSecondArray::from_iter_values(
                    values.iter().map(|v| v * 86_400 / 10),
                )),
            ),
            ("wide", Arc::new(UInt64Array::from_iter_values(values.iter().map(|v| *v as u64)))),
            ("x", Arc::new(Int32Array::from_iter_values(values.iter().map(|_| 34)))),
        ]);
        let bound = bound.get_or_insert_with(|| {
            compile(&items, Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap()
        });
        let keys = keys(bound, &batch);
        for (row, v) in values.iter().enumerate() {
            let day =
                jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(v / 10)).unwrap();
            // 34 hashes to 2017239379 (Iceberg's specification): bucket 3 of 4.
            let want = format!("orders/s=s{v}/y={v}/at_day={day}/wide={v}/b=3");
            let key = &keys.keys[keys.of_row[row] as usize];
            assert_eq!(key.path, want, "round {round} row {row}");
        }
    }
    // `{:?}` shows what is kept: at most 65,536 keys and a batch, not all 160,000.
    let kept = format!("{bound:?}").matches("path: \"orders/").count();
    assert!(kept <= 65_536 + 4_000, "{kept} keys are kept");
}

#[test]
fn empty_batch_has_no_keys() {
    let batch = batch(vec![("x", Arc::new(Int32Array::from(Vec::<i32>::new())) as ArrayRef)]);
    let mut bound = compile(&["x"], Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap();
    let keys: Keys = keys(&mut bound, &batch);
    assert!(keys.of_row.is_empty() && keys.keys.is_empty() && keys.rejects.is_empty());
}

#[test]
fn rejects_of_several_items_stand_in_order_of_rows() {
    let text = |bad: usize| {
        let texts = (0..6).map(|i| if i == bad { "soon" } else { "2026-01-02" });
        Arc::new(StringArray::from_iter_values(texts)) as ArrayRef
    };
    let batch = batch(vec![("a", text(5)), ("b", text(2)), ("c", text(5))]);
    let items = ["day(a)", "day(b)", "day(c)"];
    let mut bound = compile(&items, Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap();
    let keys = keys(&mut bound, &batch);
    let rows: Vec<u32> = keys.rejects.iter().map(|(row, _)| *row).collect();
    assert_eq!(rows, [2, 5]);
    assert_eq!(keys.of_row, [0, 0, Keys::REJECTED, 0, 0, Keys::REJECTED]);
    let message = &keys.rejects[1].1.message;
    assert_eq!(message, "time `soon` of `day(a)`: ISO 8601 required");
}

#[test]
fn first_values_met_again_last_are_not_mistaken_after_memory_is_dropped() {
    let batch =
        |values: Vec<i32>| batch(vec![("x", Arc::new(Int32Array::from(values)) as ArrayRef)]);
    // More than is kept, and the first ones once more at the end.
    let many = batch((0..70_000).chain(0..100).collect());
    let mut bound = compile(&["x"], Escape::Hive).unwrap().bind(&many.schema(), false).unwrap();
    assert_eq!(keys(&mut bound, &many).keys.len(), 70_000);
    let few: Vec<i32> = (0..100).rev().collect();
    let want: Vec<String> = few.iter().map(|v| format!("x={v}")).collect();
    assert_eq!(paths(&keys(&mut bound, &batch(few))), want);
}
