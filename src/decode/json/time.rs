//! Dates, times and date-times as RFC 3339 writes them → numbers since 1970, or since midnight.

/// Why a text is no time of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// Not that form, or no such day or hour.
    Form,
    /// Digits finer than microseconds, and they may not be cut.
    Fine,
}

const DAY_SECONDS: i64 = 86_400;

/// `2026-01-31` → days since 1970. Years 1 to 9999.
pub(super) fn days(text: &[u8]) -> Option<i32> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *text else { return None };
    let number = |digits: &[u8]| {
        digits
            .iter()
            .try_fold(0i32, |n, d| d.is_ascii_digit().then(|| n * 10 + i32::from(d - b'0')))
    };
    let (year, month, day) = (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || !(1..=last).contains(&day) {
        return None;
    }
    // Years start in March here, so that the leap day is their last: 306 days from March to December.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let in_year = (153 * month + 2) / 5 + day - 1;
    Some(365 * year + year / 4 - year / 100 + year / 400 + in_year - 719_468)
}

/// `2026-01-31T13:45:00.123+01:00` → microseconds since 1970 in UTC. An offset is required: without
/// one, the text names no moment. `truncate` cuts finer digits off.
pub(super) fn timestamp(text: &[u8], truncate: bool) -> Result<i64, Bad> {
    let Some((date, [b'T' | b't' | b' ', rest @ ..])) = text.split_at_checked(10) else {
        return Err(Bad::Form);
    };
    let days = i64::from(days(date).ok_or(Bad::Form)?);
    let (micros, offset) = clock(rest, truncate)?;
    let offset = offset.ok_or(Bad::Form)?;
    Ok((days * DAY_SECONDS - offset) * 1_000_000 + micros)
}

/// `13:45:00.123Z` → microseconds since midnight, in UTC; a time without an offset is taken as it is.
pub(super) fn time_of_day(text: &[u8], truncate: bool) -> Result<i64, Bad> {
    let (micros, offset) = clock(text, truncate)?;
    Ok((micros - offset.unwrap_or(0) * 1_000_000).rem_euclid(DAY_SECONDS * 1_000_000))
}

/// `13:45:00[.digits][Z|±hh:mm]` → microseconds since midnight, and the offset in seconds. A leap
/// second is the first of the next minute.
fn clock(text: &[u8], truncate: bool) -> Result<(i64, Option<i64>), Bad> {
    let Some(([h0, h1, b':', m0, m1, b':', s0, s1], mut rest)) = text.split_first_chunk::<8>()
    else {
        return Err(Bad::Form);
    };
    let two = |tens: &u8, ones: &u8, most: u8| {
        let both = tens.is_ascii_digit() && ones.is_ascii_digit();
        let value = tens.wrapping_sub(b'0').wrapping_mul(10).wrapping_add(ones.wrapping_sub(b'0'));
        if both && value <= most { Ok(i64::from(value)) } else { Err(Bad::Form) }
    };
    let seconds = two(h0, h1, 23)? * 3_600 + two(m0, m1, 59)? * 60 + two(s0, s1, 60)?;
    let mut micros = 0;
    if let Some((b'.', digits)) = rest.split_first() {
        let count = digits.iter().take_while(|d| d.is_ascii_digit()).count();
        if count == 0 {
            return Err(Bad::Form);
        }
        for at in 0..6 {
            micros = micros * 10 + digits[..count].get(at).map_or(0, |d| i64::from(d - b'0'));
        }
        if !truncate && digits[..count].iter().skip(6).any(|d| *d != b'0') {
            return Err(Bad::Fine);
        }
        rest = &digits[count..];
    }
    let offset = match rest {
        [] => None,
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let offset = two(h0, h1, 23)? * 3_600 + two(m0, m1, 59)? * 60;
            Some(if *sign == b'-' { -offset } else { offset })
        }
        _ => return Err(Bad::Form),
    };
    Ok((seconds * 1_000_000 + micros, offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{Timestamp, civil};

    #[test]
    fn days_are_those_of_another_calendar() {
        let epoch = civil::date(1970, 1, 1);
        for year in 0..=9999i16 {
            for month in 1..=12i8 {
                for day in [1i8, 27, 28, 29, 30, 31] {
                    let text = format!("{year:04}-{month:02}-{day:02}");
                    let theirs = civil::Date::new(year, month, day)
                        .ok()
                        .filter(|_| year > 0)
                        .and_then(|date| epoch.until(date).ok())
                        .map(|span| span.get_days());
                    assert_eq!(days(text.as_bytes()), theirs, "{text}");
                }
            }
        }
        for bad in ["2026-00-01", "2026-13-01", "2026-01-00", "26-01-01", "2026-1-1", "2026-01-01 "]
        {
            assert_eq!(days(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn date_times_are_those_of_another_library() {
        for text in [
            "2026-01-31T13:45:00Z",
            "2026-01-31t13:45:00.5z",
            "2026-01-31 13:45:00.123456+23:59",
            "0001-06-01T00:00:00-23:00",
            "1969-12-31T23:59:59.999999Z",
            "2000-02-29T12:00:00+05:30",
        ] {
            let theirs: Timestamp = text.parse().unwrap();
            assert_eq!(timestamp(text.as_bytes(), false), Ok(theirs.as_microsecond()), "{text}");
        }
        assert_eq!(timestamp(b"1970-01-01T00:00:00.1234567Z", true), Ok(123_456));
        assert_eq!(timestamp(b"1970-01-01T00:00:00.1234567Z", false), Err(Bad::Fine));
        assert_eq!(timestamp(b"1970-01-01T00:00:00.1234560Z", false), Ok(123_456));
        assert_eq!(
            timestamp(b"1990-12-31T23:59:60Z", false),
            timestamp(b"1991-01-01T00:00:00Z", false)
        );
        for bad in [
            "2026-01-31T13:45:00",
            "2026-01-31T24:00:00Z",
            "2026-01-31T13:45Z",
            "2026-01-31",
            "2026-01-31T13:45:00.Z",
            "2026-01-31T13:45:00+0100",
            "2026-01-31T13:45:00Z ",
            "",
        ] {
            assert_eq!(timestamp(bad.as_bytes(), true), Err(Bad::Form), "{bad}");
        }
    }

    #[test]
    fn time_of_day_is_that_of_utc() {
        assert_eq!(time_of_day(b"00:00:01", false), Ok(1_000_000));
        assert_eq!(time_of_day(b"01:00:00+02:00", false), Ok(23 * 3_600_000_000));
        assert_eq!(time_of_day(b"23:00:00.25-02:00", false), Ok(3_600_250_000));
        assert_eq!(time_of_day(b"1:00:00", false), Err(Bad::Form));
    }
}
