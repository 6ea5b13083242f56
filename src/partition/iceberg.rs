//! Iceberg's `bucket` and `truncate` (table format, appendices A and B): the same numbers for the same
//! values, so that folders line up with a table's partitions.

use arrow::datatypes::i256;

/// 32-bit MurmurHash3 (x86 variant), seed 0.
pub fn murmur3(bytes: &[u8]) -> i32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let mix = |k: u32| k.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    let (blocks, tail) = bytes.as_chunks::<4>();
    let mut hash = 0u32;
    for block in blocks {
        hash ^= mix(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let last = tail.iter().rev().fold(0u32, |k, &b| k << 8 | u32::from(b));
        hash ^= mix(last);
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    (hash ^ hash >> 16) as i32
}

fn bucket(hash: i32, count: u32) -> i64 {
    i64::from((hash & i32::MAX) as u32 % count.max(1))
}

/// Integers, dates (days) and times (microseconds): as eight bytes, little-endian.
pub fn bucket_long(value: i64, count: u32) -> i64 {
    bucket(murmur3(&value.to_le_bytes()), count)
}

/// Strings (UTF-8), UUIDs (big-endian), binary.
pub fn bucket_bytes(value: &[u8], count: u32) -> i64 {
    bucket(murmur3(value), count)
}

/// Decimals: the unscaled value as the fewest big-endian two's-complement bytes.
pub fn bucket_decimal(big_endian: &[u8], count: u32) -> i64 {
    bucket(murmur3(minimal(big_endian)), count)
}

/// Drops leading bytes that only repeat the sign.
fn minimal(mut bytes: &[u8]) -> &[u8] {
    while let [first, second, ..] = bytes {
        let sign = if second & 0x80 == 0 { 0x00 } else { 0xff };
        if *first != sign {
            break;
        }
        bytes = &bytes[1..];
    }
    bytes
}

/// Greatest multiple of `width` that is not above `value`; `None` if it overflows.
pub fn truncate_long(value: i64, width: u32) -> Option<i64> {
    value.checked_sub(value.rem_euclid(i64::from(width.max(1))))
}

pub fn truncate_wide(value: i128, width: u32) -> Option<i128> {
    value.checked_sub(value.rem_euclid(i128::from(width.max(1))))
}

pub fn truncate_widest(value: i256, width: u32) -> Option<i256> {
    let width = i256::from_i128(i128::from(width.max(1)));
    let rest = value.checked_rem(width)?;
    let rest = if rest < i256::ZERO { rest.checked_add(width)? } else { rest };
    value.checked_sub(rest)
}

/// The first `width` code points.
pub fn truncate_str(value: &str, width: u32) -> &str {
    match value.char_indices().nth(width as usize) {
        Some((end, _)) => &value[..end],
        None => value,
    }
}
