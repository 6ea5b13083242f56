//! When one file closes. Pure.
//!
//! Owns: the limits of `rotate`. Does not own: seals of a commit, which close every file of a Kafka
//! partition, nor the memory budget, which closes the largest: both are the pipeline's.

use crate::config::Rotate;

/// Why a file closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Rows,
    Bytes,
}

/// Whether a file of so many rows and bytes as stored ([`super::ParquetFile::size`]) closes now.
/// An empty file never does.
pub fn due(rotate: &Rotate, rows: u64, bytes: u64) -> Option<Due> {
    if rows == 0 {
        None
    } else if rows >= rotate.rows {
        Some(Due::Rows)
    } else if bytes >= rotate.bytes {
        Some(Due::Bytes)
    } else {
        None
    }
}

/// Rows that may still go into a file of so many rows; at least 1, so that a caller always moves on.
pub fn room(rotate: &Rotate, rows: u64) -> u64 {
    rotate.rows.saturating_sub(rows).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Rotate = Rotate { rows: 10, bytes: 1_000 };

    #[test]
    fn file_closes_at_the_limit_and_not_one_before() {
        assert_eq!(due(&LIMITS, 9, 999), None);
        assert_eq!(due(&LIMITS, 10, 0), Some(Due::Rows));
        assert_eq!(due(&LIMITS, 1, 1_000), Some(Due::Bytes));
    }

    #[test]
    fn file_without_rows_stays_open() {
        assert_eq!(due(&LIMITS, 0, 5_000), None);
    }

    #[test]
    fn room_is_what_is_left_and_never_none() {
        assert_eq!(room(&LIMITS, 4), 6);
        assert_eq!(room(&LIMITS, 12), 1);
    }
}
