//! Forebay: Kafka to typed, partitioned Parquet, by the schema registry.
//!
//! The modules stand in the order of the data; a module may use only those above it
//! (`tests/tidy.rs`). `ARCHITECTURE.md` has the map.

// -- nouns --
pub mod error;
pub mod position;
pub mod record;
pub mod clock;
#[doc(hidden)]
pub mod flaw;
pub mod crash;
pub mod config;
pub mod telemetry;
// -- the data path, in order --
pub mod source;
pub mod wire;
pub mod registry;
pub mod evolve;
pub mod decode;
pub mod partition;
pub mod store;
pub mod file;
pub mod commit;
pub mod audit;
// -- the whole --
pub mod server;
pub mod pipeline;
pub mod cli;
