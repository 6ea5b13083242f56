//! The Protobuf wire format: varints, lengths, what to skip.
//!
//! Every function takes the rest of a body and moves it on. Nothing here allocates but failures.
//! Source: "Encoding" of the Protocol Buffers documentation.

use crate::decode::codes;
use crate::error::{Code, Reject};

/// Wire types, the low three bits of a tag.
pub const VARINT: u32 = 0;
pub const I64: u32 = 1;
pub const LEN: u32 = 2;
pub const START: u32 = 3;
pub const END: u32 = 4;
pub const I32: u32 = 5;

/// Why a body is refused, with the fields that lead to the place.
#[derive(Debug)]
pub struct Failure {
    pub code: &'static Code,
    pub text: String,
    /// Innermost first.
    pub path: Vec<String>,
    /// Address of the innermost field's tag, within the body.
    at: Option<usize>,
}

pub type Outcome<T> = Result<T, Box<Failure>>;

impl Failure {
    #[cold]
    #[inline(never)]
    pub fn new(code: &'static Code, text: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, text: text.into(), path: Vec::new(), at: None })
    }

    /// Names the field around, whose tag stands where `tag` points; the innermost place stays.
    #[cold]
    #[inline(never)]
    pub fn inside(mut self: Box<Self>, name: &str, tag: *const u8) -> Box<Self> {
        self.path.push(name.to_owned());
        self.at(tag)
    }

    /// Says where in the body; the innermost place stays.
    #[cold]
    #[inline(never)]
    pub fn at(mut self: Box<Self>, tag: *const u8) -> Box<Self> {
        self.at.get_or_insert(tag.addr());
        self
    }

    /// `body of `shop.Order`, field `device.os` at byte 17 of 40: …`
    #[cold]
    pub fn into_reject(mut self, record_name: &str, body: &[u8]) -> Box<Reject> {
        self.path.reverse();
        let field = match self.path.is_empty() {
            true => String::new(),
            false => format!(", field `{}`", self.path.join(".")),
        };
        let offset = self.at.and_then(|at| at.checked_sub(body.as_ptr().addr()));
        let place = match offset.filter(|offset| *offset <= body.len()) {
            Some(offset) => format!(" at byte {offset} of {}", body.len()),
            None => String::new(),
        };
        Reject::new(self.code, format!("body of `{record_name}`{field}{place}: {}", self.text))
    }
}

impl From<Box<Reject>> for Box<Failure> {
    #[cold]
    fn from(reject: Box<Reject>) -> Self {
        Failure::new(reject.code, reject.message)
    }
}

impl From<crate::decode::columns::Full> for Box<Failure> {
    #[cold]
    fn from(full: crate::decode::columns::Full) -> Self {
        Box::<Reject>::from(full).into()
    }
}

#[cold]
#[inline(never)]
pub fn malformed(text: &str) -> Box<Failure> {
    Failure::new(&codes::MALFORMED, text)
}

#[cold]
#[inline(never)]
fn cut(what: &str) -> Box<Failure> {
    malformed(&format!("{what} that passes the end, a whole one required"))
}

#[cold]
#[inline(never)]
pub fn too_deep(limit: u32) -> Box<Failure> {
    Failure::new(
        &codes::DEPTH,
        format!(
            "messages or groups nested deeper than `{limit}`, at most that allowed; raise `limits.depth` if the data is honest"
        ),
    )
}

/// Reads a varint of at most 64 bits.
#[inline(always)]
pub fn varint(buf: &mut &[u8]) -> Outcome<u64> {
    match buf.split_first() {
        Some((&byte, rest)) if byte < 0x80 => {
            *buf = rest;
            Ok(u64::from(byte))
        }
        _ => long_varint(buf),
    }
}

/// Eight bytes at once where there are eight; the stop bit says how many count.
#[inline]
fn long_varint(buf: &mut &[u8]) -> Outcome<u64> {
    if let Some(chunk) = buf.first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let stops = !word & 0x8080_8080_8080_8080;
        if stops != 0 {
            let bits = stops.trailing_zeros() + 1;
            *buf = &buf[(bits / 8) as usize..];
            let word = word & (u64::MAX >> (64 - bits)) & 0x7f7f_7f7f_7f7f_7f7f;
            let word = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
            let word = (word & 0x0000_3fff_0000_3fff) | ((word & 0x3fff_0000_3fff_0000) >> 2);
            return Ok((word & 0x0fff_ffff) | ((word & 0x0fff_ffff_0000_0000) >> 4));
        }
    }
    slow_varint(buf)
}

#[inline(never)]
fn slow_varint(buf: &mut &[u8]) -> Outcome<u64> {
    let mut value = 0u64;
    for (index, &byte) in buf.iter().take(10).enumerate() {
        if index == 9 && byte > 1 {
            return Err(malformed("a varint over 64 bits, at most 64 allowed"));
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            *buf = &buf[index + 1..];
            return Ok(value);
        }
    }
    Err(cut("a varint"))
}

/// Reads a tag: field number and wire type.
#[inline(always)]
pub fn tag(buf: &mut &[u8]) -> Outcome<u32> {
    match **buf {
        [byte, ref rest @ ..] if byte < 0x80 => {
            *buf = rest;
            Ok(u32::from(byte))
        }
        [low, high, ref rest @ ..] if high < 0x80 => {
            *buf = rest;
            Ok(u32::from(low & 0x7f) | u32::from(high) << 7)
        }
        _ => long_tag(buf),
    }
}

#[inline(never)]
fn long_tag(buf: &mut &[u8]) -> Outcome<u32> {
    u32::try_from(varint(buf)?).map_err(|_| malformed("a tag over 32 bits, at most 32 allowed"))
}

/// Reads a length and the bytes it speaks of.
#[inline(always)]
pub fn delimited<'a>(buf: &mut &'a [u8]) -> Outcome<&'a [u8]> {
    let len = varint(buf)?;
    if len > buf.len() as u64 {
        return Err(cut("a length"));
    }
    let (head, rest) = buf.split_at(len as usize);
    *buf = rest;
    Ok(head)
}

#[inline(always)]
pub fn fixed<const N: usize>(buf: &mut &[u8]) -> Outcome<[u8; N]> {
    match buf.split_first_chunk::<N>() {
        Some((head, rest)) => {
            *buf = rest;
            Ok(*head)
        }
        None => Err(cut("a fixed-width value")),
    }
}

#[inline(always)]
pub fn zigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Skips the value after `tag`, groups with all in them. `depth` is how many levels may still open, of
/// `limit`.
pub fn skip(buf: &mut &[u8], tag: u32, depth: u32, limit: u32) -> Outcome<()> {
    if tag >> 3 == 0 {
        return Err(malformed("a tag of field number 0, 1 to 536870911 required"));
    }
    match tag & 7 {
        VARINT => varint(buf).map(drop),
        I64 => fixed::<8>(buf).map(drop),
        LEN => delimited(buf).map(drop),
        I32 => fixed::<4>(buf).map(drop),
        START => {
            let depth = depth.checked_sub(1).ok_or_else(|| too_deep(limit))?;
            loop {
                let inner = self::tag(buf)?;
                if inner == tag + 1 {
                    return Ok(());
                }
                skip(buf, inner, depth, limit)?;
            }
        }
        END => Err(malformed("the end of a group that did not start, a field required")),
        _ => Err(malformed("a wire type of 6 or 7, 0 to 5 required")),
    }
}

/// The bytes of a group up to its end tag, which is consumed too.
pub fn group<'a>(buf: &mut &'a [u8], start: u32, depth: u32, limit: u32) -> Outcome<&'a [u8]> {
    let whole = *buf;
    let depth = depth.checked_sub(1).ok_or_else(|| too_deep(limit))?;
    loop {
        let before = buf.len();
        let inner = tag(buf)?;
        if inner == start + 1 {
            return Ok(&whole[..whole.len() - before]);
        }
        skip(buf, inner, depth, limit)?;
    }
}

/// Checks that `text` is UTF-8. ASCII, the usual case, does not leave this function.
#[inline]
pub fn utf8(text: &[u8]) -> Outcome<()> {
    if is_ascii(text) { Ok(()) } else { full_utf8(text) }
}

/// Whole words, the last one overlapping the one before.
#[inline]
fn is_ascii(text: &[u8]) -> bool {
    let high = match (text.last_chunk::<8>(), text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(last), ..) => {
            let (words, _) = text.as_chunks::<8>();
            let last = u64::from_le_bytes(*last);
            words.iter().fold(last, |all, word| all | u64::from_le_bytes(*word))
        }
        (None, Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last))
        }
        _ => text.iter().fold(0, |all, byte| all | u64::from(*byte)),
    };
    high & 0x8080_8080_8080_8080 == 0
}

#[inline(never)]
fn full_utf8(text: &[u8]) -> Outcome<()> {
    simdutf8::basic::from_utf8(text).map(drop).map_err(|_| {
        Failure::new(
            &codes::UTF8,
            "text that is not UTF-8, UTF-8 required; see `value.binary`, or make the field `bytes`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varint_of_every_length_reads_back() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                prost::encoding::encode_varint(value, &mut bytes);
                for tail in [0, 12] {
                    let mut padded = bytes.clone();
                    padded.resize(bytes.len() + tail, 0xff);
                    let mut buf = &padded[..];
                    assert_eq!(varint(&mut buf).unwrap(), value);
                    assert_eq!(buf.len(), tail);
                }
            }
        }
    }

    #[test]
    fn varint_over_64_bits_or_cut_is_refused() {
        let over = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert!(varint(&mut &over[..]).is_err());
        assert!(varint(&mut &[0x80u8; 11][..]).is_err());
        assert!(varint(&mut &[0x80u8; 3][..]).is_err());
        assert!(varint(&mut &[][..]).is_err());
    }

    #[test]
    fn ascii_is_told_from_the_rest_at_every_length_and_place() {
        for len in 0..40 {
            let plain = vec![b'a'; len];
            assert!(is_ascii(&plain));
            for at in 0..len {
                let mut text = plain.clone();
                text[at] = 0x80;
                assert!(!is_ascii(&text), "{len} {at}");
                assert!(utf8(&text).is_err());
            }
        }
        utf8("straße, 日本語".as_bytes()).unwrap();
    }

    #[test]
    fn unknown_groups_deeper_than_the_limit_are_refused() {
        let deep = [[0x0b; 200].as_slice(), &[0x0c; 200]].concat();
        let mut buf = &deep[..];
        let first = tag(&mut buf).unwrap();
        assert_eq!(skip(&mut buf, first, 100, 100).unwrap_err().code, &codes::DEPTH);
        let shallow = [[0x0b; 50].as_slice(), &[0x0c; 50]].concat();
        let mut buf = &shallow[..];
        let first = tag(&mut buf).unwrap();
        skip(&mut buf, first, 100, 100).unwrap();
        assert!(buf.is_empty());
    }
}
