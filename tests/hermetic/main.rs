//! Tests without network or other programs: one module a room.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/answers.rs"]
mod answers;
#[path = "../support/alloc.rs"]
#[allow(dead_code)] // each caller takes what it asks for
mod alloc;
mod audit;
mod avro;
#[path = "../support/by_hand.rs"]
mod by_hand;
mod chain;
mod check;
mod cli;
mod connect;
mod connect_s3;
mod damage;
mod decode;
mod evolution;
mod evolve;
mod disk;
mod file;
mod flaws;
mod fuzz;
mod histories;
mod indexes;
mod json;
mod partition;
mod plan;
mod protobuf;
mod registry;
mod row;
mod rules;
mod s3_double;
mod s3_lies;
mod seals;
mod server;
mod simulation;
mod state;
mod source;
#[macro_use]
#[path = "../support/store_checks.rs"]
mod store_checks;
mod store;
mod targets;
mod task;
mod threads;
mod token;
mod types;
mod world;
