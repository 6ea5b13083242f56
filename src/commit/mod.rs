//! The chain of commit records of one Kafka partition: exactly once, and provable from the bucket.
//!
//! Owns: the persisted forms, the end of a chain, the protocol, what a failure takes back, which uploads are
//! nobody's.
//! Does not own: uploads and their retries (`store`), the Kafka commit call (`source`), carrying anything out
//! (`pipeline`).
//! Bounded by: the sealed commits that are not done, which `pipeline` limits.
//! Absent: IO, clocks, async.

pub mod codes;
pub mod record;
pub mod head;
pub mod rules;
pub mod machine;
pub mod janitor;
pub mod schedule;
pub mod neighbours;

pub use self::codes::*;
