//! Decimal text ↔ the bytes of an unscaled number, of any size.

/// Most digits of a number, before and after the point together.
const DIGITS_MAX: usize = 10_000;

/// An unscaled number: its digits, most significant first, without leading zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unscaled {
    pub(super) negative: bool,
    pub(super) digits: Vec<u8>,
    pub(super) scale: i64,
}

/// Reads `-12.340`, `1e3`, `.5`; none where it is no decimal number, or over [`DIGITS_MAX`] digits.
pub(super) fn parse(text: &str) -> Option<Unscaled> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() > DIGITS_MAX || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    if !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: Vec<u8> = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|b| b - b'0')
        .skip_while(|&digit| digit == 0)
        .collect();
    let scale = fraction.len() as i64 - i64::from(exponent);
    Some(Unscaled { negative, digits, scale })
}

impl Unscaled {
    /// The same number at another scale; none where digits would be lost or grow without bound.
    pub(super) fn at_scale(mut self, scale: i64) -> Option<Self> {
        while self.scale > scale && self.digits.last() == Some(&0) {
            self.digits.pop();
            self.scale -= 1;
        }
        if self.digits.is_empty() {
            return Some(Self { scale, ..self });
        }
        let zeros = usize::try_from(scale.checked_sub(self.scale)?).ok()?;
        if self.digits.len().checked_add(zeros)? > DIGITS_MAX {
            return None;
        }
        self.digits.resize(self.digits.len() + zeros, 0);
        Some(Self { scale, ..self })
    }

    /// Two's complement, big-endian, as short as it can be.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Little-endian magnitude: times ten, plus the digit.
        let mut magnitude: Vec<u8> = Vec::new();
        for &digit in &self.digits {
            let mut carry = u16::from(digit);
            for byte in &mut magnitude {
                let value = u16::from(*byte) * 10 + carry;
                *byte = value as u8;
                carry = value >> 8;
            }
            if carry > 0 {
                magnitude.push(carry as u8);
            }
        }
        magnitude.push(0);
        if self.negative {
            let mut carry = true;
            for byte in &mut magnitude {
                let (value, over) = (!*byte).overflowing_add(u8::from(carry));
                *byte = value;
                carry = over;
            }
        }
        magnitude.reverse();
        shortest(magnitude)
    }
}

/// Without the leading bytes that only repeat the sign.
fn shortest(bytes: Vec<u8>) -> Vec<u8> {
    let repeats = bytes
        .windows(2)
        .take_while(|pair| {
            matches!(pair, [0, next] if *next < 0x80)
                || matches!(pair, [0xff, next] if *next >= 0x80)
        })
        .count();
    bytes[repeats..].to_vec()
}

/// Widens two's complement to a fixed size; none where it does not fit.
pub(super) fn widen(bytes: &[u8], size: usize) -> Option<Vec<u8>> {
    let missing = size.checked_sub(bytes.len())?;
    let sign = if bytes.first().is_some_and(|b| *b >= 0x80) { 0xff } else { 0 };
    let mut out = vec![sign; missing];
    out.extend_from_slice(bytes);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str, scale: i64) -> Option<Vec<u8>> {
        Some(parse(text)?.at_scale(scale)?.to_bytes())
    }

    #[test]
    fn decimal_bytes_are_twos_complement() {
        // Expected by i128: big-endian bytes, shortest.
        for n in
            [0i128, 1, -1, 127, 128, -128, -129, 255, 256, 32_767, -32_768, i128::from(i64::MIN)]
        {
            let full = n.to_be_bytes();
            let expected = shortest(full.to_vec());
            assert_eq!(bytes(&n.to_string(), 0).unwrap(), expected, "{n}");
        }
        assert_eq!(bytes("12.34", 2).unwrap(), 1234i16.to_be_bytes());
        assert_eq!(bytes("-12.34", 3).unwrap(), (-12340i16).to_be_bytes());
        assert_eq!(bytes("1.5e2", 0).unwrap(), [0, 150]);
        assert_eq!(bytes("12.30", 1).unwrap(), [123]);
    }

    #[test]
    fn decimal_that_loses_digits_is_refused() {
        assert_eq!(bytes("1.234", 2), None);
        assert_eq!(bytes("1e99999999", 0), None);
        for text in ["", ".", "-", "1.2.3", "0x10", "١", "1e", "NaN"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
