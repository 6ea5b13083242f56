//! Times from strings, integers, wall clocks; what each function makes of them.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, StringArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt64Array,
};

use forebay::config::Escape;

use super::{batch, compile, keys, paths, run};

#[test]
pub(crate) fn string_times_are_read_in_the_zone_gap_later_overlap_once() {
    let texts = StringArray::from(vec![
        "2026-03-29T02:30:00",                 // does not exist in Paris: 03:30
        "2026-10-25T02:30:00",                 // exists twice
        "2026-10-25T00:30:00Z",                // 02:30+02:00
        "2026-10-25T01:30:00Z",                // 02:30+01:00
        "2026-01-01T23:30:00.123456789-01:00", // 01:30 on the next day
        "2026-01-01",
        "20260101T120000",
        "2026-06-01T12:00:00[Asia/Tokyo]",
        "2026-02-30T00:00:00Z",
        "yesterday",
    ]);
    let got = run("hour(x, timezone='Europe/Paris') as h", Arc::new(texts));
    let want = [
        "h=2026-03-29T03",
        "h=2026-10-25T02",
        "h=2026-10-25T02",
        "h=2026-10-25T02",
        "h=2026-01-02T01",
        "h=2026-01-01T00",
        "h=2026-01-01T12",
        "h=2026-06-01T05",
        "FB0609",
        "FB0609",
    ];
    assert_eq!(got, want);
}

#[test]
fn invalid_times_have_a_folder_if_the_option_names_one() {
    let texts = StringArray::from(vec![Some("2026-01-02"), Some("soon"), Some("0001-01-01"), None]);
    let got = run("day(x, invalid='__invalid_time__') as d", Arc::new(texts));
    let bad = "d=%5F_invalid_time__";
    assert_eq!(got, ["d=2026-01-02", bad, bad, "d=__HIVE_DEFAULT_PARTITION__"]);
    let numbers = UInt64Array::from(vec![u64::MAX, 0]);
    let got = run("day(x, unit='s', invalid='bad') as d", Arc::new(numbers));
    assert_eq!(got, ["d=bad", "d=1970-01-01"]);
}

#[test]
fn patterns_and_units_read_strings() {
    let texts = StringArray::from(vec!["02/01/2026", "31/12/2025 23:59", "2026-01-02"]);
    let got = run("day(x, pattern='%d/%m/%Y') as d", Arc::new(texts));
    assert_eq!(got, ["d=2026-01-02", "FB0609", "FB0609"]);
    let zoned = StringArray::from(vec!["Fri, 02 Jan 2026 23:30:00 +0000"]);
    let got = run(
        "day(x, pattern='%a, %d %b %Y %H:%M:%S %z', timezone='Europe/Paris') as d",
        Arc::new(zoned),
    );
    assert_eq!(got, ["d=2026-01-03"]);
    let numbers = StringArray::from(vec!["1767366245000", "1767366245000.5", "-1", ""]);
    let got = run("day(x, unit='ms') as d", Arc::new(numbers));
    assert_eq!(got, ["d=2026-01-02", "FB0609", "FB0610", "FB0609"]);
}

#[test]
fn wall_times_are_moved_by_no_zone() {
    let wall = TimestampMillisecondArray::from(vec![1_767_398_400_000 - 1]); // 2026-01-02T23:59:59.999
    let zone = "timezone='Asia/Tokyo'";
    assert_eq!(run(&format!("hour(x, {zone}) as h"), Arc::new(wall.clone())), ["h=2026-01-02T23"]);
    let instant = Arc::new(wall.with_timezone("Asia/Tokyo"));
    assert_eq!(run(&format!("hour(x, {zone}) as h"), instant), ["h=2026-01-03T08"]);
    let date = Date32Array::from(vec![20_455]);
    assert_eq!(run(&format!("day(x, {zone}) as d"), Arc::new(date)), ["d=2026-01-02"]);
}

#[test]
fn intervals_count_from_local_midnight() {
    // 2026-01-02 15:04:05 UTC is 20:34:05 in India.
    let at =
        || Arc::new(TimestampMillisecondArray::from(vec![1_767_366_245_000]).with_timezone("UTC"));
    assert_eq!(run("interval(x, 15m) as i", at()), ["i=2026-01-02T15-00"]);
    assert_eq!(run("minute(x) as i", at()), ["i=2026-01-02T15-04"]);
    assert_eq!(run("interval(x, 6h, timezone='Asia/Kolkata') as i", at()), ["i=2026-01-02T18-00"]);
    assert_eq!(run("interval(x, 24h) as i", at()), ["i=2026-01-02T00-00"]);
}

#[test]
fn strftime_is_exact_to_the_grain_of_its_format() {
    let at = |v: Vec<i64>| Arc::new(TimestampNanosecondArray::from(v).with_timezone("UTC"));
    let second = 1_767_366_245_000_000_000;
    let values =
        || at(vec![second, second + 1_000_000, second + 999_999_999, second + 55_000_000_000]);
    assert_eq!(
        run("strftime(x, '%H%M%S') as s", values()),
        ["s=150405", "s=150405", "s=150405", "s=150500"]
    );
    let got = run("strftime(x, '%S.%3f') as s", values());
    assert_eq!(got, ["s=05.000", "s=05.001", "s=05.999", "s=00.000"]);
    let got =
        run("strftime(x, '%G-W%V/%j') as s", at(vec![second, second - 5 * 86_400_000_000_000]));
    assert_eq!(got, ["s=2026-W01%2F002", "s=2025-W52%2F362"]);
    let got = run(
        "strftime(x, '%z', timezone='Europe/Paris') as s",
        at(vec![second, second + 180 * 86_400_000_000_000]),
    );
    assert_eq!(got, ["s=+0100", "s=+0200"]);
}

#[test]
fn more_minutes_than_are_kept_in_any_order_agree() {
    // 7,919 is prime, so that the steps meet each of 9,000 minutes once.
    let minutes: Vec<i64> = (0..9_000).map(|i| i * 7_919 % 9_000).collect();
    let column = TimestampSecondArray::from_iter_values(minutes.iter().map(|m| m * 60 + 59));
    let batch = batch(vec![("x", Arc::new(column) as ArrayRef)]);
    let mut bound =
        compile(&["minute(x) as m"], Escape::Hive).unwrap().bind(&batch.schema(), false).unwrap();
    let got = paths(&keys(&mut bound, &batch));
    let kept = format!("{bound:?}").matches("Range {").count();
    assert!((1..=4_096).contains(&kept), "{kept} buckets are kept");
    for (minute, got) in minutes.iter().zip(got) {
        let (day, hour) = (minute / 1_440 + 1, minute / 60 % 24);
        assert_eq!(got, format!("m=1970-01-{day:02}T{hour:02}-{:02}", minute % 60));
    }
}

#[test]
fn dates_take_formats_finer_than_a_day() {
    let dates = Date32Array::from(vec![20_455, 20_456, 20_455, -1]);
    let got = run("strftime(x, '%F %T', years='1900..2100') as t", Arc::new(dates));
    let want = ["2026-01-02", "2026-01-03", "2026-01-02", "1969-12-31"];
    assert_eq!(got, want.map(|day| format!("t={day} 00%3A00%3A00")));
}
