//! A bitmap that can be cut back.

use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer};

/// Bits, least significant first, as Arrow lays them out. Bits past `len` are always zero.
#[derive(Debug, Default, Clone)]
pub struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn push(&mut self, bit: bool) {
        let at = self.len & 7;
        match self.bytes.last_mut() {
            Some(last) if at != 0 => *last |= u8::from(bit) << at,
            _ => self.bytes.push(u8::from(bit)),
        }
        self.len += 1;
    }

    /// Bit `index`, or none past the end.
    pub fn get(&self, index: usize) -> Option<bool> {
        (index < self.len).then(|| self.bytes[index >> 3] >> (index & 7) & 1 == 1)
    }

    /// Cuts back to `len` bits, or fills up to `len` with zeros.
    pub fn align(&mut self, len: usize) {
        self.bytes.resize(len.div_ceil(8), 0);
        if len < self.len && len & 7 != 0 {
            let last = len >> 3;
            self.bytes[last] &= (1u8 << (len & 7)) - 1;
        }
        self.len = len;
    }

    /// The bits as an Arrow buffer; starts anew with the same capacity.
    pub fn take(&mut self) -> BooleanBuffer {
        let next = Vec::with_capacity(self.bytes.len());
        let bytes = std::mem::replace(&mut self.bytes, next);
        BooleanBuffer::new(Buffer::from_vec(bytes), 0, std::mem::take(&mut self.len))
    }

    /// The bits as validity; none if every value is valid.
    pub fn take_nulls(&mut self) -> Option<NullBuffer> {
        Some(NullBuffer::new(self.take())).filter(|nulls| nulls.null_count() > 0)
    }
}
