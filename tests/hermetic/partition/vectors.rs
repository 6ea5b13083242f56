//! Times against Joda-Time and Connect, transforms against PyIceberg, types against Spark.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray,
    Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray,
};
use forebay::config::Escape;
use jiff::civil::{Date, DateTime};

use super::{batch, compile, corpus, keys, paths, run, run_as};

fn millis(value: i64) -> ArrayRef {
    Arc::new(TimestampMillisecondArray::from(vec![value]).with_timezone("UTC"))
}

/// Numbers of a path, in order.
fn numbers(path: &str) -> Vec<&str> {
    path.split('/').map(|part| part.rsplit('=').next().unwrap()).collect()
}

#[test]
fn joda_buckets_agree() {
    let corpus = corpus("partitioner/time_paths.json");
    let cases = corpus["bucket"].as_array().unwrap();
    let mut compared = 0;
    for case in cases {
        let zone = case["tz"].as_str().unwrap();
        let ms = case["ts_ms"].as_i64().unwrap();
        let want = numbers(case["expected"].as_str().unwrap());
        let options = format!("timezone='{zone}', years='1..9999'");
        let get = |function: &str| run(&format!("{function}(x, {options}) as v"), millis(ms));
        let day = want[..3].join("-");
        let seconds = case["duration_ms"].as_i64().unwrap() / 1000;
        assert_eq!(get("year"), [format!("v={}", want[0])], "{case}");
        assert_eq!(get("month"), [format!("v={}", want[..2].join("-"))], "{case}");
        assert_eq!(get("day"), [format!("v={day}")], "{case}");
        if seconds <= 3_600 {
            assert_eq!(get("hour"), [format!("v={day}T{}", want[3])], "{case}");
        }
        if let (60, Some(minute)) = (seconds, want.get(4)) {
            assert_eq!(get("minute"), [format!("v={day}T{}-{minute}", want[3])], "{case}");
        }
        compared += 1;
    }
    assert_eq!(compared, 222);
}

#[test]
fn joda_buckets_agree_in_one_batch_and_in_any_order() {
    let corpus = corpus("partitioner/time_paths.json");
    for zone in
        ["America/Los_Angeles", "America/Sao_Paulo", "Europe/Berlin", "Asia/Kolkata", "+02:00"]
    {
        let mut cases: Vec<(i64, Vec<&str>)> = corpus["bucket"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|c| c["tz"] == zone && c["duration_ms"] == 3_600_000)
            .filter(|c| c["path_format"].as_str().unwrap().starts_with('\''))
            .map(|c| (c["ts_ms"].as_i64().unwrap(), numbers(c["expected"].as_str().unwrap())))
            .collect();
        cases.sort_by_key(|(ms, _)| ms % 7_919);
        let column = TimestampMillisecondArray::from_iter_values(cases.iter().map(|(ms, _)| *ms));
        let got = run(
            &format!("hour(x, timezone='{zone}') as v"),
            Arc::new(column.with_timezone("America/New_York")),
        );
        for ((ms, want), got) in cases.iter().zip(got) {
            let want = format!("v={}T{}", want[..3].join("-"), want[3]);
            assert_eq!(got, want, "{zone} {ms}");
        }
    }
}

#[test]
fn strftime_writes_connects_default_path_format() {
    let corpus = corpus("partitioner/connect_partitioners.json");
    for case in corpus["time"].as_array().unwrap() {
        let zone = case["timezone"].as_str().unwrap();
        let ms = case["ts_ms"].as_i64().unwrap_or_else(|| {
            let local: DateTime = case["ts_local"].as_str().unwrap().parse().unwrap();
            local.in_tz(zone).unwrap().timestamp().as_millisecond()
        });
        let want = case["expect"].as_str().unwrap();
        let items: Vec<String> = ["year %Y", "month %m", "day %d", "hour %H"]
            .iter()
            .take(want.split('/').count())
            .map(|item| item.split_once(' ').unwrap())
            .map(|(name, f)| format!("strftime(x, '{f}', timezone='{zone}') as {name}"))
            .collect();
        let items: Vec<&str> = items.iter().map(String::as_str).collect();
        let batch = batch(vec![("x", millis(ms))]);
        let partitioner = compile(&items, Escape::Connect).unwrap();
        let mut bound = partitioner.bind(&batch.schema(), false).unwrap();
        assert_eq!(paths(&keys(&mut bound, &batch)), [want], "{case}");
    }
}

#[test]
fn times_before_1970_floor() {
    let corpus = corpus("partitioner/time_paths.json");
    for case in corpus["pre_1970"].as_array().unwrap() {
        let zone = case["tz"].as_str().unwrap();
        let want = numbers(case["floor_expected"].as_str().unwrap());
        let expr = format!("hour(x, timezone='{zone}', years='1900..2000') as v");
        let got = run(&expr, millis(case["ts_ms"].as_i64().unwrap()));
        assert_eq!(got, [format!("v={}T{}", want[..3].join("-"), want[3])], "{case}");
    }
}

/// Strings that Joda reads and we refuse: a `pattern` or `unit` says what they are.
const NOT_OURS: [&str; 5] = ["2015-04", "2015-092", "2015-W14-4", "0", "9223372036854775807"];
/// Strings that Joda refuses and we read.
const ALSO_OURS: [&str; 1] = ["2015-04-02 01:00:00"];

#[test]
fn joda_string_times_agree() {
    let corpus = corpus("partitioner/time_paths.json");
    for case in corpus["string_timestamp"].as_array().unwrap() {
        let input = case["input"].as_str().unwrap();
        let got = run("strftime(x, '%s') as v", Arc::new(StringArray::from(vec![input])));
        let want = match case["epoch_ms"].as_i64() {
            Some(ms) if !NOT_OURS.contains(&input) => format!("v={}", ms.div_euclid(1000)),
            None if ALSO_OURS.contains(&input) => "v=1427936400".to_owned(),
            _ => "FB0609".to_owned(),
        };
        assert_eq!(got, [want], "{case}");
    }
}

fn timestamp(text: &str) -> i64 {
    match text.parse::<jiff::Timestamp>() {
        Ok(at) => at.as_microsecond(),
        Err(_) => {
            let local: DateTime = text.parse().unwrap();
            local.in_tz("UTC").unwrap().timestamp().as_microsecond()
        }
    }
}

fn days(text: &str) -> i32 {
    let date: Date = text.parse().unwrap();
    let span = jiff::civil::date(1970, 1, 1).until((jiff::Unit::Day, date)).unwrap();
    span.get_days()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| *b != b'-').collect();
    digits
        .chunks(2)
        .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
        .collect()
}

fn iceberg_column(kind: &str, value: &serde_json::Value) -> ArrayRef {
    let text = value.as_str().unwrap_or_default();
    match kind {
        "int" => Arc::new(Int32Array::from(vec![value.as_i64().unwrap() as i32])),
        "long" => Arc::new(Int64Array::from(vec![value.as_i64().unwrap()])),
        "string" => Arc::new(StringArray::from(vec![text])),
        "binary" => Arc::new(BinaryArray::from_iter_values([bytes(text)])),
        "uuid" => Arc::new(FixedSizeBinaryArray::try_from_iter([bytes(text)].into_iter()).unwrap()),
        "date" => Arc::new(Date32Array::from(vec![days(text)])),
        "timestamp" => Arc::new(TimestampMicrosecondArray::from(vec![timestamp(text)])),
        "timestamptz" => {
            Arc::new(TimestampMicrosecondArray::from(vec![timestamp(text)]).with_timezone("UTC"))
        }
        "decimal(9, 2)" => {
            let unscaled: i128 = text.replace('.', "").parse().unwrap();
            let array = Decimal128Array::from(vec![unscaled]);
            Arc::new(array.with_precision_and_scale(9, 2).unwrap())
        }
        other => panic!("type {other}"),
    }
}

#[test]
fn iceberg_transforms_agree() {
    let corpus = corpus("iceberg/transforms.json");
    let cases = corpus["transforms"].as_array().unwrap();
    for case in cases {
        let (name, number) = case["transform"]
            .as_str()
            .unwrap()
            .split_once('[')
            .unwrap_or((case["transform"].as_str().unwrap(), ""));
        let number = number.trim_end_matches(']');
        let expr = match name {
            "bucket" | "truncate" => format!("{name}({number}, x) as v"),
            time => format!("{time}(x, years='1..9999') as v"),
        };
        let kind = case["type"].as_str().unwrap();
        let human = case["human"].as_str().unwrap();
        let want = match (name, kind) {
            // Iceberg separates the hour by a dash, we by ISO's T.
            ("hour", _) => format!("v={}T{}", &human[..human.len() - 3], &human[human.len() - 2..]),
            // Iceberg writes bytes as Base64, which has a slash.
            ("truncate", "binary") => format!("v={}", case["result"].as_str().unwrap()),
            _ => format!("v={}", human.replace('/', "%2F")),
        };
        let got = run(&expr, iceberg_column(kind, &case["value"]));
        assert_eq!(got, [want], "{case}");
    }
    assert!(cases.len() > 90);
}

#[test]
fn iceberg_buckets_of_a_time_do_not_depend_on_its_unit() {
    // 2017-11-16T22:31:08: hash -2047944441 (Iceberg's specification, appendix B).
    let want = format!("v={}", (-2_047_944_441i32 & i32::MAX) % 1_000);
    let second = 1_510_871_468i64;
    let milli = TimestampMillisecondArray::from(vec![second * 1_000]);
    let nano = TimestampNanosecondArray::from(vec![second * 1_000_000_000 + 1]);
    assert_eq!(run("bucket(1000, x) as v", Arc::new(milli))[0], want);
    assert_eq!(run("bucket(1000, x) as v", Arc::new(nano))[0], want);
}

#[test]
fn iceberg_hashes_of_the_specification_agree() {
    let corpus = corpus("iceberg/transforms.json");
    for case in corpus["hash32"].as_array().unwrap() {
        let kind = case["type"].as_str().unwrap();
        let column = match kind {
            "int|long" => iceberg_column("long", &case["v"]),
            "decimal" => iceberg_column("decimal(9, 2)", &case["v"]),
            "fixed|binary" => iceberg_column("binary", &case["v_hex"]),
            "date" | "timestamp" | "timestamptz" | "string" | "uuid" => {
                iceberg_column(kind, &case["v"])
            }
            _ => continue,
        };
        let hash = case["h"].as_i64().unwrap() as i32 & i32::MAX;
        let got = run("bucket(2147483647, x) as v", column);
        assert_eq!(got, [format!("v={}", hash % i32::MAX)], "{case}");
    }
}

#[test]
fn spark_typed_values_agree() {
    let corpus = corpus("partitioner/spark_partition_dirs.json");
    let typed = &corpus["typed"];
    let decimal = Decimal128Array::from(vec![150]).with_precision_and_scale(5, 2).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("d", Arc::new(Date32Array::from(vec![days("2024-02-29")]))),
        ("ts", iceberg_column("timestamptz", &"2024-02-29T23:59:59.123456Z".into())),
        ("dec", Arc::new(decimal)),
        ("f", Arc::new(Float64Array::from(vec![1.5]))),
        ("b", Arc::new(BooleanArray::from(vec![true]))),
        ("l", Arc::new(Int64Array::from(vec![1_000_000_000_000]))),
    ];
    for (name, column) in columns {
        let got = run_as(&format!("x as {name}"), column, Escape::Hive);
        assert_eq!(got, [typed[name].as_str().unwrap()], "{name}");
    }
    // Spark takes bytes for UTF-8; we write hex, because not all bytes are.
    assert_eq!(typed["bin"], "bin=ab");
    assert_eq!(run("x as bin", Arc::new(BinaryArray::from_iter_values([b"ab"]))), ["bin=6162"]);
}
