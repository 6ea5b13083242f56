//! Random expressions, and random times in zones with odd rules, against jiff's own calendar.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use forebay::clock::Seeded;
use forebay::config::Escape;
use forebay::partition::{Bound, Partitioner};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{batch, compile, keys, paths};

/// Half-hour and 45-minute offsets, changes at midnight, a skipped day, negative and half-hour DST.
const ZONES: [&str; 14] = [
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Europe/Dublin",
    "Africa/Casablanca",
    "Asia/Tehran",
    "Pacific/Chatham",
    "America/St_Johns",
    "Africa/Monrovia",
    "Antarctica/Troll",
];

#[test]
fn random_times_agree_with_the_calendar_in_every_zone() {
    let seed = 0x0607;
    let mut random = Seeded::new(seed);
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        // Half of them near a change of the zone, where caches would go wrong.
        let changes: Vec<i64> = zone
            .following(Timestamp::UNIX_EPOCH)
            .take(200)
            .map(|t| t.timestamp().as_second())
            .collect();
        let mut times: Vec<i64> = Vec::new();
        for _ in 0..3_000 {
            let any = 86_400 + random.below(4_000_000_000) as i64;
            let near = changes.get(random.below(changes.len().max(1) as u64) as usize);
            let second = match near {
                Some(change) if random.one_in(2) => change + random.below(14_400) as i64 - 7_200,
                _ => any,
            };
            times.push(
                second.clamp(86_400, 4_100_000_000) * 1_000_000 + random.below(1_000_000) as i64,
            );
        }
        let column = TimestampMicrosecondArray::from(times.clone()).with_timezone("UTC");
        let batch = batch(vec![("x", Arc::new(column) as ArrayRef)]);
        let zoned = |call: &str| format!("{call}, timezone='{name}') as v");
        let items = [
            "year(x",
            "month(x",
            "day(x",
            "hour(x",
            "minute(x",
            "interval(x, 90m",
            "strftime(x, '%A %d %z %H'",
            "strftime(x, '%T %Z'",
        ]
        .map(zoned);
        for (i, item) in items.iter().enumerate() {
            let partitioner = compile(&[item], Escape::Connect).unwrap();
            let mut bound = partitioner.bind(&batch.schema(), false).unwrap();
            let got = paths(&keys(&mut bound, &batch));
            for (us, got) in times.iter().zip(got) {
                let at = Timestamp::from_microsecond(*us).unwrap().to_zoned(zone.clone());
                let want = match i {
                    0 => at.strftime("%Y").to_string(),
                    1 => at.strftime("%Y-%m").to_string(),
                    2 => at.strftime("%Y-%m-%d").to_string(),
                    3 => at.strftime("%Y-%m-%dT%H").to_string(),
                    4 => at.strftime("%Y-%m-%dT%H-%M").to_string(),
                    5 => {
                        let minute = (i32::from(at.hour()) * 60 + i32::from(at.minute())) / 90 * 90;
                        format!("{}T{:02}-{:02}", at.strftime("%Y-%m-%d"), minute / 60, minute % 60)
                    }
                    6 => at.strftime("%A %d %z %H").to_string(),
                    _ => at.strftime("%T %Z").to_string(),
                };
                assert_eq!(got, format!("v={want}"), "seed {seed} {item} {at}");
            }
        }
    }
}

#[test]
fn random_expressions_compile_or_say_why_and_never_panic() {
    const PARTS: [&str; 32] = [
        "x",
        "day",
        "(",
        ")",
        ",",
        "'",
        "\"",
        "[",
        "]",
        ".",
        " ",
        "16",
        "15m",
        "coalesce",
        "bucket",
        "strftime",
        "unit",
        "=",
        "'ms'",
        "timezone",
        "'Europe/Paris'",
        "_topic",
        "_key",
        "'%Y'",
        "é",
        "\u{202e}",
        "%",
        "\0",
        "interval",
        "99999999999999999999",
        "pattern",
        "'%F %Q %9f'",
    ];
    let seed = 0x0608;
    let mut random = Seeded::new(seed);
    let mut good = 0;
    for _ in 0..30_000 {
        let count = random.below(12);
        let text: String = (0..count).map(|_| PARTS[random.below(32) as usize]).collect();
        match compile(&[&text], Escape::Hive) {
            Ok(_) => good += 1,
            Err(faults) => {
                let fault = faults[0].to_string();
                assert!(fault.starts_with("FB06"), "seed {seed}: {text:?}: {fault}");
                assert!(
                    fault.contains("required")
                        || fault.contains("did you mean")
                        || fault.contains("there are"),
                    "seed {seed}: {text:?}: {fault}"
                );
            }
        }
    }
    assert!(good > 50, "seed {seed}: {good}");
}

#[test]
fn partitioner_and_bound_may_move_between_threads() {
    fn moves<T: Send + 'static>() {}
    moves::<Partitioner>();
    moves::<Bound>();
}
