//! Text of a number → integers and decimals, every digit kept, no float in between.

use arrow::datatypes::i256;

/// Why a number has no such value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// Digits finer than the scale.
    Fine,
    /// More digits than there is room for.
    Large,
}

/// Most digits that [`i256`] holds whatever they are.
const DIGITS_256: i64 = 76;
/// The same of `i128`.
const DIGITS_128: i64 = 38;

/// A number taken apart: `digits` × 10^`exponent`, neither leading nor trailing zeros; zero has no digits.
struct Parts<'a> {
    negative: bool,
    /// Digits before and after the point.
    digits: [&'a [u8]; 2],
    count: i64,
    exponent: i64,
}

/// Takes the text of a number apart; its grammar has been checked.
fn parts(text: &str) -> Parts<'_> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], exponent(&rest[at + 1..])),
        None => (rest, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let (mut whole, mut part) = (whole.as_bytes(), part.as_bytes());
    let mut exponent = exponent - part.len() as i64;
    let zeros_before = |digits: &[u8]| digits.iter().take_while(|d| **d == b'0').count();
    let zeros_after = |digits: &[u8]| digits.iter().rev().take_while(|d| **d == b'0').count();
    whole = &whole[zeros_before(whole)..];
    if whole.is_empty() {
        part = &part[zeros_before(part)..];
    }
    let cut = zeros_after(part);
    part = &part[..part.len() - cut];
    exponent += cut as i64;
    if part.is_empty() {
        let cut = zeros_after(whole);
        whole = &whole[..whole.len() - cut];
        exponent += cut as i64;
    }
    let count = (whole.len() + part.len()) as i64;
    Parts { negative, digits: [whole, part], count, exponent }
}

/// An exponent's digits, with their sign. What does not fit is far out of any column's range anyway.
fn exponent(text: &str) -> i64 {
    const FAR: i64 = 1 << 40;
    let digits = text.trim_start_matches(['+', '-']);
    let value = digits.bytes().fold(0i64, |sum, d| (sum * 10 + i64::from(d - b'0')).min(FAR));
    if text.starts_with('-') { -value } else { value }
}

/// The digits of `parts` with zeros up to 10^-`scale` behind them: how many digits that makes in all.
fn length(parts: &Parts<'_>, scale: i64) -> Result<i64, Misfit> {
    let zeros = parts.exponent + scale;
    if parts.count == 0 {
        return Ok(0);
    }
    if zeros < 0 {
        // Trailing zeros are gone already, so a digit that is not zero would be cut.
        return Err(if parts.count + zeros > DIGITS_256 { Misfit::Large } else { Misfit::Fine });
    }
    Ok(parts.count + zeros)
}

/// The number × 10^`scale`, if that is whole and of at most `precision` digits, `precision` to 38.
pub(super) fn to_i128(text: &str, precision: u8, scale: i64) -> Result<i128, Misfit> {
    let parts = parts(text);
    let length = length(&parts, scale)?;
    if length > i64::from(precision).min(DIGITS_128) {
        return Err(Misfit::Large);
    }
    let digits = parts.digits.iter().copied().flatten().copied();
    let zeros = std::iter::repeat_n(b'0', (length - parts.count) as usize);
    let value = digits.chain(zeros).fold(0i128, |sum, d| sum * 10 + i128::from(d - b'0'));
    Ok(if parts.negative { -value } else { value })
}

/// The same, `precision` to 76.
pub(super) fn to_i256(text: &str, precision: u8, scale: i64) -> Result<i256, Misfit> {
    let parts = parts(text);
    let length = length(&parts, scale)?;
    if length > i64::from(precision).min(DIGITS_256) {
        return Err(Misfit::Large);
    }
    let ten = i256::from_i128(10);
    let digits = parts.digits.iter().copied().flatten().copied();
    let zeros = std::iter::repeat_n(b'0', (length - parts.count) as usize);
    let value = digits.chain(zeros).fold(i256::ZERO, |sum, d| {
        sum.wrapping_mul(ten).wrapping_add(i256::from_i128(i128::from(d - b'0')))
    });
    Ok(if parts.negative { value.wrapping_neg() } else { value })
}

/// The whole number in `least..=most`; both of at most 38 digits.
pub(super) fn whole(text: &str, least: i128, most: i128) -> Result<i128, Misfit> {
    let value = to_i128(text, DIGITS_128 as u8, 0)?;
    if (least..=most).contains(&value) { Ok(value) } else { Err(Misfit::Large) }
}

/// Ten to the power of the index: the powers that a double holds exactly.
static POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The nearest double; `None` past the largest one.
#[inline]
pub(super) fn to_f64(text: &str) -> Option<f64> {
    if let Some(value) = short(text.as_bytes()) {
        return Some(value);
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The nearest single; `None` past the largest one.
pub(super) fn to_f32(text: &str) -> Option<f32> {
    text.parse().ok().filter(|value: &f32| value.is_finite())
}

/// Numbers of at most 15 digits, without exponent: both the digits and the power of ten are exact as
/// doubles, so one division rounds once (W. Clinger, "How to Read Floating Point Numbers Accurately").
#[inline]
fn short(text: &[u8]) -> Option<f64> {
    let negative = text.first() == Some(&b'-');
    let text = &text[usize::from(negative)..];
    if text.len() > 16 {
        return None;
    }
    let (mut digits, mut point) = (0u64, text.len());
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' => point = at + 1,
            _ => return None,
        }
    }
    if digits >= 1 << 53 {
        return None;
    }
    let value = digits as f64 / POWERS[text.len() - point];
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_whole_however_they_are_written() {
        let long = |text| whole(text, i64::MIN.into(), i64::MAX.into());
        for text in ["1000", "1e3", "1.0e3", "10000e-1", "1000.000", "0.001e6", "1000.0E+0"] {
            assert_eq!(long(text), Ok(1000), "{text}");
        }
        assert_eq!(long("-0.0e-5"), Ok(0));
        assert_eq!(long("0e99999999999999999999999"), Ok(0));
        assert_eq!(long("9223372036854775807"), Ok(i64::MAX.into()));
        assert_eq!(long("9.223372036854775807e18"), Ok(i64::MAX.into()));
        assert_eq!(long("-9223372036854775808"), Ok(i64::MIN.into()));
        assert_eq!(long("9223372036854775808"), Err(Misfit::Large));
        assert_eq!(long("1e999999999999999999999"), Err(Misfit::Large));
        assert_eq!(long("1.5"), Err(Misfit::Fine));
        assert_eq!(long("1e-1"), Err(Misfit::Fine));
        assert_eq!(long("1e-99999999999999999999"), Err(Misfit::Fine));
    }

    #[test]
    fn decimals_keep_every_digit_or_are_refused() {
        assert_eq!(to_i128("12.30", 5, 2), Ok(1230));
        assert_eq!(to_i128("-0.01", 5, 2), Ok(-1));
        assert_eq!(to_i128("999.99", 5, 2), Ok(99_999));
        assert_eq!(to_i128("1000", 5, 2), Err(Misfit::Large));
        assert_eq!(to_i128("0.001", 5, 2), Err(Misfit::Fine));
        assert_eq!(to_i128("0.0010e1", 5, 2), Ok(1));
        let digits =
            "1234567890123456789012345678901234567890123456789012345678901234567890.123456";
        let value = to_i256(digits, 76, 6).unwrap();
        assert_eq!(value.to_string(), digits.replace('.', ""));
        assert_eq!(to_i256(digits, 75, 6), Err(Misfit::Large));
    }

    #[test]
    fn doubles_are_those_of_the_standard_library() {
        let mut random = crate::clock::Seeded::new(7);
        for _ in 0..20_000 {
            let digits = random.next_u64() >> (random.below(60));
            let text = match random.below(3) {
                0 => format!("{digits}"),
                1 => format!("-{}.{}", digits, random.below(100_000)),
                _ => format!("{}.{}e{}", digits % 1000, digits, random.below(80) as i64 - 40),
            };
            assert_eq!(to_f64(&text), text.parse().ok(), "{text}");
        }
        assert_eq!(to_f64("1e309"), None);
        assert_eq!(to_f64("-0").map(f64::is_sign_negative), Some(true));
    }
}
