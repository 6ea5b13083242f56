//! The unscaled integer of a `decimal`: big-endian two's complement bytes → 128 bits, 256 bits or text.
//!
//! No bytes at all mean zero: some producers write it so. Bytes that only extend the sign are ignored.

use arrow::datatypes::i256;

/// Digits of the widest decimal that becomes text; wider ones stay bytes, because writing a number of
/// `n` digits costs `n²`.
pub(in crate::decode) const TEXT_PRECISION_MAX: usize = 1_000;

/// The bytes without those that only repeat the sign.
fn significant(mut bytes: &[u8]) -> &[u8] {
    while let [first, second, ..] = bytes {
        let sign_only = (*first == 0 && *second < 0x80) || (*first == 0xff && *second >= 0x80);
        if !sign_only {
            break;
        }
        bytes = &bytes[1..];
    }
    bytes
}

fn extend<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let bytes = significant(bytes);
    let negative = bytes.first().is_some_and(|b| *b >= 0x80);
    let mut wide = [if negative { 0xff } else { 0 }; N];
    let start = N.checked_sub(bytes.len())?;
    wide.get_mut(start..)?.copy_from_slice(bytes);
    Some(wide)
}

/// `10^precision` for `precision` to 38: the first magnitude that does not fit.
pub(in crate::decode) fn bound_128(precision: usize) -> u128 {
    10u128.saturating_pow(precision as u32)
}

/// The integer, if its magnitude is below `bound`.
#[inline]
pub(in crate::decode) fn to_i128(bytes: &[u8], bound: u128) -> Option<i128> {
    let value = match bytes.len() {
        0 => 0,
        n @ 1..=8 => {
            // The sign travels along: shift left to the top, then back.
            let mut wide = [0u8; 8];
            wide[..n].copy_from_slice(bytes);
            i128::from(i64::from_be_bytes(wide) >> (64 - 8 * n))
        }
        _ => i128::from_be_bytes(extend::<16>(bytes)?),
    };
    (value.unsigned_abs() < bound).then_some(value)
}

/// The integer, if it has at most `precision` digits, `precision` to 76.
pub(in crate::decode) fn to_i256(bytes: &[u8], precision: usize) -> Option<i256> {
    let value = i256::from_be_bytes(extend::<32>(bytes)?);
    let bound = i256::from_i128(10).checked_pow(precision as u32)?;
    (value < bound && value > bound.wrapping_neg()).then_some(value)
}

/// Appends the number as plain text with `scale` digits after the point, as `BigDecimal.toPlainString`
/// writes it. `None`, and nothing appended, if it has more than `precision` digits.
pub(in crate::decode) fn to_text(
    bytes: &[u8],
    precision: usize,
    scale: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    let bytes = significant(bytes);
    // Three bits and a third for a digit: what is longer than this cannot fit, and is not worth dividing.
    if bytes.len() > precision * 10 / 24 + 2 {
        return None;
    }
    let negative = bytes.first().is_some_and(|b| *b >= 0x80);
    let digits = digits(bytes, negative);
    if digits.len() > precision {
        return None;
    }
    if negative {
        out.push(b'-');
    }
    let whole = digits.len().saturating_sub(scale);
    match digits.get(..whole) {
        Some(whole) if !whole.is_empty() => out.extend_from_slice(whole),
        _ => out.push(b'0'),
    }
    if scale > 0 {
        out.push(b'.');
        out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
        out.extend_from_slice(&digits[whole..]);
    }
    Some(())
}

/// Decimal digits of the magnitude, none for zero.
fn digits(bytes: &[u8], negative: bool) -> Vec<u8> {
    let mut limbs = magnitude(bytes, negative);
    let mut digits = Vec::with_capacity(bytes.len() * 5 / 2 + 9);
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
    while !limbs.is_empty() {
        let mut rest = 0u64;
        for limb in limbs.iter_mut().rev() {
            let part = (rest << 32) | u64::from(*limb);
            *limb = (part / 1_000_000_000) as u32;
            rest = part % 1_000_000_000;
        }
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        for _ in 0..9 {
            digits.push(b'0' + (rest % 10) as u8);
            rest /= 10;
        }
    }
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    digits.reverse();
    digits
}

/// The magnitude in words of 32 bits, lowest first.
fn magnitude(bytes: &[u8], negative: bool) -> Vec<u32> {
    let fill = if negative { 0xff } else { 0 };
    let mut limbs: Vec<u32> = bytes
        .rchunks(4)
        .map(|chunk| {
            let mut word = [fill; 4];
            word[4 - chunk.len()..].copy_from_slice(chunk);
            u32::from_be_bytes(word)
        })
        .collect();
    if negative {
        // Two's complement: invert, add one. The magnitude of the lowest number still fits its words,
        // because they are unsigned.
        let mut carry = true;
        for limb in &mut limbs {
            let (next, over) = (!*limb).overflowing_add(u32::from(carry));
            *limb = next;
            carry = over;
        }
    }
    limbs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], precision: usize, scale: usize) -> Option<String> {
        let mut out = Vec::new();
        to_text(bytes, precision, scale, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn text_places_the_point_and_the_sign() {
        assert_eq!(text(&[], 5, 2).as_deref(), Some("0.00"));
        assert_eq!(text(&[0], 5, 0).as_deref(), Some("0"));
        assert_eq!(text(&[0x04, 0xd2], 5, 2).as_deref(), Some("12.34"));
        assert_eq!(text(&[0xfb, 0x2e], 5, 2).as_deref(), Some("-12.34"));
        assert_eq!(text(&[0xff], 5, 3).as_deref(), Some("-0.001"));
        assert_eq!(text(&[0x80], 5, 0).as_deref(), Some("-128"));
        assert_eq!(text(&[0x80, 0, 0, 0], 10, 0).as_deref(), Some("-2147483648"));
        assert_eq!(text(&[0, 0, 0, 0x64], 3, 0).as_deref(), Some("100"));
        assert_eq!(text(&[0x03, 0xe8], 3, 0), None, "four digits");
    }

    #[test]
    fn text_of_a_long_number_keeps_every_digit() {
        // 2^200, from any table of powers of two.
        let mut bytes = vec![1];
        bytes.resize(26, 0);
        let power = "1606938044258990275541962092341162602522202993782792835301376";
        assert_eq!(text(&bytes, 76, 0).as_deref(), Some(power));
        assert_eq!(to_i256(&bytes, 61).map(|v| v.to_string()).as_deref(), Some(power));
        assert_eq!(to_i256(&bytes, 60), None);
    }

    #[test]
    fn integer_at_the_edge_of_its_precision_fits_and_beyond_it_does_not() {
        assert_eq!(to_i128(&[0x27, 0x0f], bound_128(4)), Some(9_999));
        assert_eq!(to_i128(&[0x27, 0x10], bound_128(4)), None);
        assert_eq!(to_i128(&[0xd8, 0xf1], bound_128(4)), Some(-9_999));
        assert_eq!(to_i128(&[0xd8, 0xf0], bound_128(4)), None);
        assert_eq!(to_i128(&i128::MIN.to_be_bytes(), bound_128(38)), None);
        let long = [[0xff; 40].as_slice(), &[0xd8, 0xf1]].concat();
        assert_eq!(to_i128(&long, bound_128(4)), Some(-9_999), "sign extended");
        assert_eq!(to_i256(&long, 4), Some(i256::from_i128(-9_999)));
        assert_eq!(to_i256(&[0x7f; 33], 76), None);
    }
}
