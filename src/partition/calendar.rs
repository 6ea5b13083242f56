//! The calendar: strings → instants, instants ↔ dates, and how long a zone keeps its offset.

use jiff::civil;
use jiff::fmt::{strtime, temporal::DateTimeParser};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::flaw::{Flaw, planted};

static PARSER: DateTimeParser = DateTimeParser::new();

/// An IANA zone or a fixed offset.
pub fn zone(name: &str) -> Option<TimeZone> {
    let zone = PARSER.parse_time_zone(name).ok()?;
    (!zone.is_unknown()).then_some(zone)
}

/// 2001-02-03 04:05:06, to try formats on.
fn sample() -> Zoned {
    let at = Timestamp::from_second(981_173_106).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::UTC)
}

/// Tries a strftime format.
pub fn check_format(format: &str) -> Result<(), String> {
    match strtime::format(format, &sample()) {
        Ok(text) if text.is_empty() => Err("makes no text, at least one letter required".into()),
        Ok(_) => Ok(()),
        Err(e) => Err(format!("{e}")),
    }
}

/// Tries a strptime pattern: it must read back a date.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    let text = strtime::format(pattern, &sample()).map_err(|e| e.to_string())?;
    match parse_pattern(pattern, &text, &TimeZone::UTC) {
        Some(_) => Ok(()),
        None => Err("does not say year, month and day, which is required".into()),
    }
}

/// Seconds since 1970 UTC, and nanoseconds of the second.
pub type Instant = (i64, u32);

fn instant(at: Timestamp) -> Instant {
    // Before 1970 jiff counts both parts downwards.
    let nanosecond = at.as_nanosecond();
    let second = nanosecond.div_euclid(1_000_000_000) as i64;
    (second, nanosecond.rem_euclid(1_000_000_000) as u32)
}

/// A string without a zone is read in `zone`: in a gap later, in an overlap earlier.
fn in_zone(at: civil::DateTime, zone: &TimeZone) -> Option<Instant> {
    zone.to_timestamp(at).ok().map(instant)
}

/// ISO 8601, as RFC 3339, RFC 9557 or Temporal have it: a date alone is its midnight.
pub fn parse_iso(text: &str, zone: &TimeZone) -> Option<Instant> {
    if let Some(found) = parse_usual(text.as_bytes()) {
        return Some(found);
    }
    let pieces = PARSER.parse_pieces(text).ok()?;
    let at = pieces.date().to_datetime(pieces.time().unwrap_or(civil::Time::midnight()));
    if let Some(offset) = pieces.to_numeric_offset() {
        return offset.to_timestamp(at).ok().map(instant);
    }
    match pieces.to_time_zone().ok()? {
        Some(named) => in_zone(at, &named),
        None => in_zone(at, zone),
    }
}

/// `2026-01-02T15:04:05.123Z` and with `±hh:mm`; `None` for every other form, good or bad.
fn parse_usual(text: &[u8]) -> Option<Instant> {
    let digits = |range: std::ops::Range<usize>| {
        text.get(range)?
            .iter()
            .try_fold(0i64, |n, &b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    };
    let is = |at: usize, wanted: u8| (text.get(at) == Some(&wanted)).then_some(());
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let (hour, minute, second) = (digits(11..13)?, digits(14..16)?, digits(17..19)?);
    is(4, b'-')?;
    is(7, b'-')?;
    matches!(text.get(10), Some(b'T' | b't' | b' ')).then_some(())?;
    is(13, b':')?;
    is(16, b':')?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // The calendar, leap years included, is jiff's.
    civil::Date::new(year as i16, month as i8, day as i8).ok()?;
    let mut at = 19;
    let mut nanosecond = 0;
    if text.get(at) == Some(&b'.') {
        let count = text.get(20..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        if count == 0 || count > 9 {
            return None;
        }
        nanosecond = digits(20..20 + count)? * 10i64.pow(9 - count as u32);
        at = 20 + count;
    }
    let offset = match text.get(at..)? {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (digits(at + 1..at + 3)?, digits(at + 4..at + 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3_600 + minutes * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let days = days_of(year, month, day);
    Some((days * 86_400 + hour * 3_600 + minute * 60 + second - offset, nanosecond as u32))
}

pub fn parse_pattern(pattern: &str, text: &str, zone: &TimeZone) -> Option<Instant> {
    let parts = strtime::parse(pattern, text).ok()?;
    if parts.timestamp().is_some() || parts.offset().is_some() {
        return parts.to_timestamp().ok().map(instant);
    }
    if parts.iana_time_zone().is_some() {
        return parts.to_zoned().ok().map(|z| instant(z.timestamp()));
    }
    let date = parts.to_date().ok()?;
    let time = if parts.hour().is_some() { parts.to_time().ok()? } else { civil::Time::midnight() };
    in_zone(date.to_datetime(time), zone)
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
pub fn days_of(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day last.
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_cycle = year.rem_euclid(400);
    year.div_euclid(400) * 146_097 + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year
        - 719_468
}

/// Date and time of `second`, counted from 1970 on the same clock; `None` outside years -9999 to 9999.
///
/// jiff's own instants end a day before year 9999 does, and 9999-12-31 is what people write for never.
pub fn civil_at(second: i64) -> Option<civil::DateTime> {
    let days = second.div_euclid(86_400);
    if days.abs() > 5_000_000 {
        return None;
    }
    // Days since 0000-03-01, in cycles of 400 years; then the year and the day in it.
    let from_march = days + 719_468;
    let of_cycle = from_march.rem_euclid(146_097);
    let year_of_cycle =
        (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12 + 1;
    let year = from_march.div_euclid(146_097) * 400 + year_of_cycle + i64::from(month <= 2);
    let date = civil::Date::new(year as i16, month as i8, day as i8).ok()?;
    let rest = second.rem_euclid(86_400);
    let (hour, minute) = (rest / 3_600, rest / 60 % 60);
    Some(date.at(hour as i8, minute as i8, (rest % 60) as i8, 0))
}

/// Seconds `[low, high)` have this offset.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub low: i64,
    pub high: i64,
    pub offset: i64,
}

/// The stretch around `second` in which `zone` keeps its offset.
pub fn span(zone: &TimeZone, second: i64) -> Span {
    let instant = |second: i64| {
        let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        Timestamp::from_second(second.clamp(first, last)).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let at = instant(second);
    let of = match planted(Flaw::DaylightIgnored) {
        true => instant(second - second.rem_euclid(31_557_600)),
        false => at,
    };
    let offset = i64::from(zone.to_offset(of).seconds());
    // `preceding` is strict, and a transition at this very second has happened.
    let before = zone.preceding(instant(second.saturating_add(1))).next();
    let low = before.map_or(i64::MIN, |t| t.timestamp().as_second());
    let high = zone.following(at).next().map_or(i64::MAX, |t| t.timestamp().as_second());
    Span { low, high, offset }
}
