//! Staged files → published → offsets committed, in order, for one Kafka partition.
//!
//! Owns: the order of publish and offset commit; what a failure takes back.
//! Does not own: uploads and their retries (`store`), the Kafka commit call (`source`).
//! Bounded by: the sealed commits that are not done, which `pipeline` limits.
//! Absent: IO, clocks, async; and, in this version, the commit record: the guarantee is at least
//! once. [`machine::Machine`] is where the chain of records takes its place: files reach it staged,
//! never published.

pub mod machine;

use crate::error::{Code, Kind};

pub static STAGE_FAILED: Code = Code {
    id: "FB0901",
    kind: Kind::Retry,
    title: "a file could not be staged",
    help: "The Kafka partition goes back to its last commit and reads again, after a pause. If it repeats, look at the store's errors beside this one.",
};
pub static PUBLISH_FAILED: Code = Code {
    id: "FB0902",
    kind: Kind::Retry,
    title: "a staged file could not be published",
    help: "It is tried again until it succeeds; nothing after it is published before. Look at the store's errors beside this one.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[&STAGE_FAILED, &PUBLISH_FAILED];
