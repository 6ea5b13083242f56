//! What one record may take as columns.

use crate::config::Limits;
use crate::decode::codes;
use crate::error::Reject;

/// A decoded record may take this many times its own size, below `decoded_bytes_max`.
const GROWTH: usize = 64;

/// Counts nodes and bytes of the record in progress against [`Limits`], and bytes of the batch.
#[derive(Debug, Clone)]
pub struct Meter {
    limits: Limits,
    nodes_left: u32,
    bytes_left: usize,
    bytes_start: usize,
    /// Of the rows that stand.
    batch_bytes: usize,
}

impl Meter {
    pub fn new(limits: Limits) -> Self {
        Self { limits, nodes_left: 0, bytes_left: 0, bytes_start: 0, batch_bytes: 0 }
    }

    /// Levels that a record may nest.
    pub fn depth_max(&self) -> u32 {
        self.limits.depth
    }

    /// Starts a record of `len` bytes whose row takes `width` bytes ([`super::Shape::width`]). The
    /// record's own bytes are counted here, so strings that are copied once need no [`Meter::bytes`].
    #[inline]
    pub fn start(&mut self, len: usize, width: usize) -> Result<(), Box<Reject>> {
        self.nodes_left = self.limits.nodes;
        let most = self.limits.decoded_bytes.max(len.saturating_mul(GROWTH));
        self.bytes_start = most.min(self.limits.decoded_bytes_max);
        self.bytes_left = self.bytes_start;
        self.bytes(len.saturating_add(width))
    }

    /// Starts the same record again.
    pub fn again(&mut self) {
        self.nodes_left = self.limits.nodes;
        self.bytes_left = self.bytes_start;
    }

    /// Counts one list element, map entry or sub-message that takes `width` bytes
    /// ([`super::Column::width`]) when nothing is written to it.
    #[inline]
    pub fn node(&mut self, width: u32) -> Result<(), Box<Reject>> {
        if self.nodes_left == 0 || self.bytes_left < width as usize {
            return Err(self.refuse());
        }
        self.nodes_left -= 1;
        self.bytes_left -= width as usize;
        Ok(())
    }

    /// Counts `count` nodes at once.
    #[inline]
    pub fn nodes(&mut self, count: usize, width: u32) -> Result<(), Box<Reject>> {
        let bytes = count.saturating_mul(width as usize);
        if self.nodes_left as usize >= count && self.bytes_left >= bytes {
            self.nodes_left -= count as u32;
            self.bytes_left -= bytes;
            return Ok(());
        }
        Err(self.refuse())
    }

    /// Counts bytes that stand in columns and not in the record: JSON text, names of enum symbols.
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<(), Box<Reject>> {
        if self.bytes_left < count {
            return Err(self.refuse());
        }
        self.bytes_left -= count;
        Ok(())
    }

    /// The record became a row: its bytes count for the batch.
    #[inline]
    pub fn commit(&mut self) {
        self.batch_bytes += self.bytes_start - self.bytes_left;
    }

    /// Bytes of the rows that stand, about.
    pub fn batch_bytes(&self) -> usize {
        self.batch_bytes
    }

    /// Starts a new batch.
    pub fn reset(&mut self) {
        self.batch_bytes = 0;
    }

    #[cold]
    fn refuse(&self) -> Box<Reject> {
        Reject::new(
            &codes::TOO_LARGE,
            format!(
                "record as columns: more than `{}` list elements, map entries and sub-messages or more than `{}` bytes, at most these allowed; raise `limits.nodes` or `limits.decoded_bytes` if the data is honest",
                self.limits.nodes, self.bytes_start
            ),
        )
    }
}
