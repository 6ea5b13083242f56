//! Tests without network or other programs: one module a room.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod avro;
mod check;
mod cli;
mod file;
mod json;
mod partition;
mod protobuf;
mod registry;
mod s3_double;
mod server;
mod simulation;
mod source;
mod store;
mod task;
mod token;
mod world;
