//! Durations, sizes, counts and shares as text, and back.
//!
//! Every function gives what was required when it refuses: the end of a message.

use std::time::Duration;

/// `500ms`, `25s`, `5m`, `1h30m`, `2d`: units falling, each at most once.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let required = || "a duration with its unit (`500ms`, `25s`, `5m`, `1h30m`)".to_owned();
    let (mut rest, mut next, mut total) = (text, 0, 0u64);
    while !rest.is_empty() {
        let (number, tail) = split_number(rest).ok_or_else(required)?;
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, tail) = tail.split_at(letters);
        let at = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(required)?;
        if at < next {
            return Err(required());
        }
        next = at + 1;
        total = number
            .checked_mul(UNITS[at].1)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| "a duration below 500 million years".to_owned())?;
        rest = tail;
    }
    if text.is_empty() { Err(required()) } else { Ok(Duration::from_millis(total)) }
}

/// `128MiB`, `1GB`, `65536`: a whole number of bytes, KiB, MiB, GiB, TiB, or kB, MB, GB, TB.
pub fn size(text: &str) -> Result<u64, String> {
    let required = || "a whole number with its unit (`64KiB`, `128MiB`, `1GB`)".to_owned();
    let (number, unit) = split_number(text).ok_or_else(required)?;
    let factor: u64 = match unit.trim_start_matches(' ') {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(required()),
    };
    number.checked_mul(factor).ok_or_else(|| "a size below 16 EiB".to_owned())
}

/// `70%`: a whole number of percent.
pub fn percent(text: &str) -> Option<u64> {
    text.strip_suffix('%')?.trim_end().parse().ok()
}

/// `1000000` or `1_000_000`.
pub fn count(text: &str) -> Result<u64, String> {
    match split_number(text) {
        Some((number, "")) => Ok(number),
        _ => Err("a whole number".to_owned()),
    }
}

/// Digits at the start, perhaps with `_` between them.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'_').count();
    let (digits, rest) = text.split_at(end);
    if digits.is_empty() || digits.starts_with('_') || digits.ends_with('_') {
        return None;
    }
    let number = digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .try_fold(0u64, |n, digit| n.checked_mul(10)?.checked_add(u64::from(digit - b'0')))?;
    Some((number, rest))
}

/// A size as people write it: the largest unit that divides it.
pub fn show_size(bytes: u64) -> String {
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >> shift != 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

/// A duration as people write it: the largest unit that divides it.
pub fn show_duration(time: Duration) -> String {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms >= length && ms % length == 0 {
            return format!("{}{unit}", ms / length);
        }
    }
    format!("{ms}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_with_every_unit() {
        for (text, ms) in [
            ("500ms", 500),
            ("25s", 25_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1d1h1m1s1ms", 90_061_001),
            ("0s", 0),
            ("1_000ms", 1_000),
        ] {
            assert_eq!(duration(text).map(|d| d.as_millis()), Ok(ms), "{text}");
        }
    }

    #[test]
    fn durations_of_another_form_are_refused() {
        for text in [
            "",
            "5",
            "5 m",
            "m",
            "-5m",
            "5min",
            "30m1h",
            "5m5m",
            "1.5h",
            "5M",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_read_with_binary_and_decimal_units() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("1B", 1),
            ("64KiB", 65_536),
            ("128MiB", 134_217_728),
            ("1GB", 1_000_000_000),
            ("2 GiB", 2_147_483_648),
            ("3kB", 3_000),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn sizes_of_another_form_are_refused() {
        for text in
            ["", "MiB", "128mb", "128Mb", "1.5GiB", "-1", "128MiB ", "99999999TiB", "_1", "1e9"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for bytes in [1, 1_000, 1 << 10, 3 << 20, 128 << 20, 1 << 40, u64::MAX] {
            assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }
        for ms in [1, 999, 1_000, 60_000, 90_000, 86_400_000] {
            assert_eq!(
                duration(&show_duration(Duration::from_millis(ms))),
                Ok(Duration::from_millis(ms))
            );
        }
    }
}
