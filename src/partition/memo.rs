//! Small direct-mapped caches in front of the hash tables: most rows have a value that was just seen.
//!
//! A slot holds one key; a later key of the same slot takes its place. Key 0 with [`EMPTY`] is no entry.

const BITS: u32 = 9;
const SLOTS: usize = 1 << BITS;
/// The value of a slot that holds nothing. Ids and nodes never reach it.
const EMPTY: u32 = u32::MAX;

/// Keys of up to 16 bytes → numbers.
#[derive(Debug)]
pub struct Memo<K> {
    slots: Box<[(K, u32)]>,
}

/// What a memo can hold.
pub trait Key: Copy + Eq + Default {
    /// Spreads the key over 64 bits, the high ones best.
    fn mix(self) -> u64;
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Key for u64 {
    #[inline]
    fn mix(self) -> u64 {
        (self ^ self >> 32).wrapping_mul(ODD)
    }
}

/// A short text: its bytes, packed, and its length.
impl Key for (u64, u64, u8) {
    #[inline]
    fn mix(self) -> u64 {
        (self.0 ^ self.1.rotate_left(23) ^ u64::from(self.2)).mix()
    }
}

impl<K: Key> Default for Memo<K> {
    fn default() -> Self {
        Self { slots: vec![(K::default(), EMPTY); SLOTS].into_boxed_slice() }
    }
}

impl<K: Key> Memo<K> {
    #[inline]
    fn slot(key: K) -> usize {
        (key.mix() >> (64 - BITS)) as usize
    }

    #[inline]
    pub fn get(&self, key: K) -> Option<u32> {
        match self.slots.get(Self::slot(key)) {
            Some((known, value)) if *known == key && *value != EMPTY => Some(*value),
            _ => None,
        }
    }

    #[inline]
    pub fn put(&mut self, key: K, value: u32) {
        if let Some(slot) = self.slots.get_mut(Self::slot(key)) {
            *slot = (key, value);
        }
    }

    pub fn clear(&mut self) {
        self.slots.fill((K::default(), EMPTY));
    }
}

/// A text of at most 16 bytes as a key: two words that overlap, and the length that tells how.
#[inline]
pub fn pack(text: &str) -> Option<(u64, u64, u8)> {
    let bytes = text.as_bytes();
    let len = bytes.len();
    let word = |half: [u8; 4]| u64::from(u32::from_le_bytes(half));
    let (first, last) = if len > 16 {
        return None;
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        (word(*first), word(*last))
    } else {
        match *bytes {
            [] => (0, 0),
            [a] => (u64::from(a), 0),
            [a, b] => (u64::from(a), u64::from(b)),
            [a, b, c, ..] => (u64::from(a), u64::from(b) | u64::from(c) << 8),
        }
    };
    Some((first, last, len as u8))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::clock::Seeded;

    #[test]
    fn pack_texts_that_differ_have_keys_that_differ() {
        let seed = 7;
        let mut random = Seeded::new(seed);
        let mut seen: HashMap<(u64, u64, u8), String> = HashMap::new();
        for _ in 0..50_000 {
            let len = random.below(20);
            let text: String =
                (0..len).map(|_| if random.one_in(2) { 'a' } else { '\0' }).collect();
            let Some(key) = pack(&text) else {
                assert!(text.len() > 16);
                continue;
            };
            let other = seen.entry(key).or_insert_with(|| text.clone());
            assert_eq!(*other, text, "seed {seed}");
        }
        assert!(seen.len() > 10_000);
    }

    #[test]
    fn memo_gives_back_the_last_of_a_slot_or_nothing() {
        let seed = 8;
        let mut random = Seeded::new(seed);
        let mut memo = Memo::<u64>::default();
        assert_eq!(memo.get(0), None);
        let mut kept = 0;
        for _ in 0..10_000 {
            let key = random.below(2_000);
            if let Some(value) = memo.get(key) {
                assert_eq!(u64::from(value), key + 1, "seed {seed}");
                kept += 1;
            }
            memo.put(key, key as u32 + 1);
            assert_eq!(memo.get(key), Some(key as u32 + 1));
        }
        assert!(kept > 1_000, "seed {seed}: {kept}");
        memo.clear();
        assert!((0..2_000).all(|key| memo.get(key).is_none()));
    }
}
