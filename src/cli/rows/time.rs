//! Dates and times as text.

use std::fmt::Write;

use arrow::datatypes::TimeUnit;

const DAY_S: i64 = 86_400;

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// Days since 1970 as `2026-01-02`.
pub(super) fn date(days: i64) -> String {
    let (year, month, day) = civil(days);
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{year:+05}-{month:02}-{day:02}"),
    }
}

/// A time of day as `15:04:05.250`.
pub(super) fn clock(value: i64, unit: TimeUnit) -> String {
    let per_second = per_second(unit);
    let (second, rest) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let mut text = format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60);
    let nanos = rest * (1_000_000_000 / per_second);
    let _ = match nanos {
        0 => Ok(()),
        n if n % 1_000_000 == 0 => write!(text, ".{:03}", n / 1_000_000),
        n if n % 1_000 == 0 => write!(text, ".{:06}", n / 1_000),
        n => write!(text, ".{n:09}"),
    };
    text
}

/// A time since 1970 as RFC 3339 writes it; without `Z` if it is local.
pub(super) fn instant(value: i64, unit: TimeUnit, utc: bool) -> String {
    let day = DAY_S * per_second(unit);
    let zone = if utc { "Z" } else { "" };
    format!("{}T{}{zone}", date(value.div_euclid(day)), clock(value.rem_euclid(day), unit))
}

/// Days since 1970-01-01 → year, month, day of the proleptic Gregorian calendar. Years are counted
/// from March, so that the leap day is the last of its year; 400 years have 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_0000_03_01 = days.saturating_add(719_468);
    let era = from_0000_03_01.div_euclid(146_097);
    let day_of_era = from_0000_03_01.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}
