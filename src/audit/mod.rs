//! What a chain and a listing prove: recomputed from the bucket alone.
//!
//! Owns: the checks: one chain's records, the files they name against those listed, what files say of themselves,
//! where one offset is.
//! Does not own: reading (`cli::audit`), what a record may be by itself (`commit::record`).
//! Bounded by: about 70 bytes a named file of one topic; findings beyond [`finding::FINDINGS_MAX`] are counted only.
//! Absent: IO, clocks, async, Kafka.
//!
//! ```text
//! records, in order ─▶ chain ─▶ names ─▶ files ◀─ listing
//!                        └▶ content ◀─ footers, and with --deep whole files
//! ```

pub mod finding;
pub mod chain;
pub mod files;
pub mod content;
pub mod explain;

pub use chain::Chain;
pub use files::{Files, Upload};
pub use finding::{Class, Finding, Findings, Place};

#[cfg(test)]
mod tests;
