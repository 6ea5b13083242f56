//! Tests without network or other programs: one module a room.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/alloc.rs"]
#[allow(dead_code)] // each caller takes what it asks for
mod alloc;
mod avro;
mod check;
mod cli;
mod file;
mod fuzz;
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
