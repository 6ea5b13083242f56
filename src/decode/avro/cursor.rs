//! A place in the bytes of one datum, and the reads of Avro's binary encoding.
//!
//! Every read checks what is left first; a failed read says why as a [`Bad`], which becomes a reject
//! only where the field is known. Source: the Avro 1.12 specification, "Binary Encoding".

/// Why a read failed. Small and plain: made in hot code, spelled out in cold code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// Fewer bytes remain than the value takes: what it takes (0: unknown, a cut varint).
    Truncated(u64),
    /// A varint that does not end within its 32 or 64 bits.
    Varint(u32),
    /// A length below zero.
    Length(i64),
    /// A boolean byte that is neither 0 nor 1.
    Boolean(u8),
    /// Text that is not UTF-8.
    Utf8,
    /// A union branch that the schema does not have: found, branches.
    Union(i64, usize),
    /// An enum symbol that the schema does not have: found, symbols.
    Symbol(i64, usize),
    /// A block of more items than could be: the count.
    Count(i64),
    /// A block whose items take other bytes than it says: said, taken (or left).
    BlockSize(i64, usize),
}

/// Half-open window on the bytes of a datum that only moves forward.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    #[inline]
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Bytes left.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The bytes from `start` up to here.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// `n` bytes as they are.
    #[inline(always)]
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Bad> {
        // `at <= len` always holds, so the subtraction in `left` cannot wrap.
        if n > self.left() {
            return Err(Bad::Truncated(n as u64));
        }
        let taken = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(taken)
    }

    #[inline(always)]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Bad> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(Bad::Truncated(N as u64)),
        }
    }

    #[inline(always)]
    pub(super) fn boolean(&mut self) -> Result<bool, Bad> {
        match self.bytes.get(self.at) {
            Some(0) => {
                self.at += 1;
                Ok(false)
            }
            Some(1) => {
                self.at += 1;
                Ok(true)
            }
            Some(&byte) => Err(Bad::Boolean(byte)),
            None => Err(Bad::Truncated(1)),
        }
    }

    /// An `int`: zigzag varint of at most five bytes and 32 bits.
    #[inline(always)]
    pub(super) fn int(&mut self) -> Result<i32, Bad> {
        let start = self.at;
        let raw = self.varint()?;
        match u32::try_from(raw) {
            Ok(raw) if self.at - start <= 5 => Ok((raw >> 1) as i32 ^ -((raw & 1) as i32)),
            _ => {
                self.at = start;
                Err(Bad::Varint(32))
            }
        }
    }

    /// A `long`: zigzag varint of at most ten bytes and 64 bits.
    #[inline(always)]
    pub(super) fn long(&mut self) -> Result<i64, Bad> {
        let raw = self.varint()?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Bad> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(byte))
            }
            _ => self.varint_long(),
        }
    }

    /// Varints of two bytes and more: eight bytes at once where eight are left.
    #[inline]
    fn varint_long(&mut self) -> Result<u64, Bad> {
        let rest = &self.bytes[self.at..];
        let Some(word) = rest.first_chunk::<8>() else {
            return self.varint_slow();
        };
        let word = u64::from_le_bytes(*word);
        let stops = !word & 0x8080_8080_8080_8080;
        if stops == 0 {
            return self.varint_slow();
        }
        self.at += (stops.trailing_zeros() / 8 + 1) as usize;
        // Keep the bytes up to the stop, then close the gaps of one, two and four bits.
        let kept = word & (stops ^ stops.wrapping_sub(1));
        let w = kept & 0x7f7f_7f7f_7f7f_7f7f;
        let w = (w & 0x007f_007f_007f_007f) | ((w & 0x7f00_7f00_7f00_7f00) >> 1);
        let w = (w & 0x0000_3fff_0000_3fff) | ((w & 0x3fff_0000_3fff_0000) >> 2);
        Ok((w & 0x0000_0000_0fff_ffff) | ((w & 0x0fff_ffff_0000_0000) >> 4))
    }

    /// Varints near the end of the datum, and those of nine and ten bytes.
    #[cold]
    fn varint_slow(&mut self) -> Result<u64, Bad> {
        let mut raw = 0u64;
        for (i, &byte) in self.bytes[self.at..].iter().take(10).enumerate() {
            if i == 9 && byte > 1 {
                return Err(Bad::Varint(64));
            }
            raw |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.at += i + 1;
                return Ok(raw);
            }
        }
        // Ten bytes without an end return above, so the datum ends first.
        Err(Bad::Truncated(0))
    }

    /// The length of a string or bytes, known to be left.
    #[inline(always)]
    fn length(&mut self) -> Result<usize, Bad> {
        let length = self.long()?;
        if length as u64 > self.left() as u64 {
            return Err(match length {
                ..0 => Bad::Length(length),
                _ => Bad::Truncated(length as u64),
            });
        }
        Ok(length as usize)
    }

    /// `bytes`: a length and as many bytes.
    #[inline(always)]
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Bad> {
        let length = self.length()?;
        self.take(length)
    }

    /// `string`: a length and as many bytes of UTF-8.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<&'a str, Bad> {
        let bytes = self.bytes()?;
        text(bytes)
    }

    /// The branch of a union of `branches`.
    #[inline(always)]
    pub(super) fn branch(&mut self, branches: u32) -> Result<u32, Bad> {
        let index = self.long()?;
        if (index as u64) < u64::from(branches) {
            Ok(index as u32)
        } else {
            Err(Bad::Union(index, branches as usize))
        }
    }

    /// The symbol of an enum of `symbols`.
    #[inline(always)]
    pub(super) fn symbol(&mut self, symbols: usize) -> Result<usize, Bad> {
        let index = self.long()?;
        if (index as u64) < symbols as u64 {
            Ok(index as usize)
        } else {
            Err(Bad::Symbol(index, symbols))
        }
    }

    /// The head of the next block of an array or map, `None` where there are no more.
    #[inline(always)]
    pub(super) fn block(&mut self) -> Result<Option<Block>, Bad> {
        let count = self.long()?;
        match count {
            0 => Ok(None),
            1.. => Ok(Some(Block { count: count as u64, end: None })),
            ..0 => self.sized_block(count),
        }
    }

    /// A block with its count negated and its bytes said.
    #[cold]
    fn sized_block(&mut self, count: i64) -> Result<Option<Block>, Bad> {
        if count == i64::MIN {
            return Err(Bad::Count(count));
        }
        let size = self.long()?;
        match usize::try_from(size) {
            Ok(size) if size <= self.left() => {
                Ok(Some(Block { count: count.unsigned_abs(), end: Some(self.at + size) }))
            }
            _ => Err(Bad::BlockSize(size, self.left())),
        }
    }

    /// Checks that a block's items ended where the block said.
    #[inline(always)]
    pub(super) fn close(&self, block: &Block, start: usize) -> Result<(), Bad> {
        match block.end {
            Some(end) if end != self.at => {
                Err(Bad::BlockSize(end.saturating_sub(start) as i64, self.at - start))
            }
            _ => Ok(()),
        }
    }
}

/// One block of an array or map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) count: u64,
    /// Where it says that it ends.
    pub(super) end: Option<usize>,
}

/// Checks text; short ASCII, the usual case, without a call.
#[inline(always)]
fn text(bytes: &[u8]) -> Result<&str, Bad> {
    if bytes.is_ascii() {
        // SAFETY: ASCII is UTF-8.
        return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    simdutf8::basic::from_utf8(bytes).map_err(|_| Bad::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Integer, encoding: from the specification's table and its rule, written out by hand.
    const LONGS: &[(i64, &[u8])] = &[
        (0, &[0]),
        (-1, &[1]),
        (1, &[2]),
        (-2, &[3]),
        (2, &[4]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (8192, &[0x80, 0x80, 0x01]),
        (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        (1 << 55, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]),
        (1 << 47, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40]),
        (-(1 << 56), &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        (1 << 56, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]),
    ];

    #[test]
    fn long_of_every_length_reads_the_same_near_the_end_and_far_from_it() {
        for (value, bytes) in LONGS {
            for tail in [0, 1, 7, 8, 20] {
                let mut padded = bytes.to_vec();
                padded.resize(bytes.len() + tail, 0xff);
                let mut cursor = Cursor::new(&padded);
                assert_eq!(cursor.long(), Ok(*value), "{bytes:x?} and {tail} bytes");
                assert_eq!(cursor.at(), bytes.len());
            }
        }
    }

    #[test]
    fn long_cut_anywhere_is_truncated() {
        for (_, bytes) in LONGS {
            for end in 0..bytes.len() {
                assert_eq!(Cursor::new(&bytes[..end]).long(), Err(Bad::Truncated(0)));
            }
        }
    }

    #[test]
    fn long_over_64_bits_is_refused() {
        let mut eleven = [0x80u8; 12];
        assert_eq!(Cursor::new(&eleven).long(), Err(Bad::Varint(64)));
        eleven[9] = 2;
        assert_eq!(Cursor::new(&eleven).long(), Err(Bad::Varint(64)));
        eleven[9] = 1;
        assert_eq!(Cursor::new(&eleven).long(), Ok(1 << 62));
    }

    #[test]
    fn int_over_32_bits_or_five_bytes_is_refused() {
        let max = [0xfe, 0xff, 0xff, 0xff, 0x0f];
        let min = [0xff, 0xff, 0xff, 0xff, 0x0f];
        assert_eq!(Cursor::new(&max).int(), Ok(i32::MAX));
        assert_eq!(Cursor::new(&min).int(), Ok(i32::MIN));
        let over = [0xfe, 0xff, 0xff, 0xff, 0x1f];
        assert_eq!(Cursor::new(&over).int(), Err(Bad::Varint(32)));
        let long_zero = [0x80, 0x80, 0x80, 0x80, 0x80, 0x00];
        assert_eq!(Cursor::new(&long_zero).int(), Err(Bad::Varint(32)));
        assert_eq!(Cursor::new(&long_zero[1..]).int(), Ok(0), "five bytes, not the shortest form");
    }

    #[test]
    fn length_below_zero_or_beyond_the_end_is_refused() {
        assert_eq!(Cursor::new(&[1]).bytes(), Err(Bad::Length(-1)));
        assert_eq!(Cursor::new(&[4, 0]).bytes(), Err(Bad::Truncated(2)));
        assert_eq!(Cursor::new(&[4, 0, 0]).bytes(), Ok(&[0u8, 0][..]));
    }

    #[test]
    fn block_of_a_count_that_has_no_positive_is_refused() {
        let min = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00];
        assert!(matches!(Cursor::new(&min).block(), Err(Bad::Count(i64::MIN))));
    }
}
