//! The real stack: Apache Kafka, Apicurio Registry and an S3 server, with foreign programs on both
//! sides of Forebay.
//!
//! Owns: the rig (`rig`), the programs that write and read (`py/`), the cases (`cases`).
//! Does not own: tests that need no network (`tests/hermetic`).
//! Bounded by: one set of servers for the whole run; a supervisor process ends it with the run.
//! Absent: the built-in harness. A case that has no stack to run on must be counted as left out, which only
//! a harness of our own can say at run time.
//!
//! `FOREBAY_STACK`: `auto` (default: left out, loudly, where a tool or a download is missing), `required`, `off`.
//! `FOREBAY_STACK_S3`: `minio` (default), `seaweedfs`, `versitygw`.
//! `FOREBAY_STACK_PROGRAM`: another binary of the program than the one just built.
//! `cargo test --test stack -- --serve` starts the servers, prints their addresses, and holds them until
//! its input ends.
//! `FOREBAY_STACK_KEEP`: any value keeps the servers' logs and each case's folder (below `target/stack/run`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // a harness prints
#![allow(clippy::disallowed_methods)] // real processes take real time

#[macro_use]
#[path = "../support/store_checks.rs"]
mod store_checks;

#[path = "../support/answers.rs"]
mod answers;
mod cases;
mod forebay;
/// Schemas that have versions, drawn from seeds.
#[path = "../hermetic/histories"]
mod histories {
    pub mod model;
    pub mod render;
}
mod proxy;
mod python;
mod rig;

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(rig::supervisor::FLAG) => return rig::supervisor::serve(),
        Some("--serve") => return serve(),
        _ => {}
    }
    let arguments = libtest_mimic::Arguments::from_args();
    let conclusion = libtest_mimic::run(&arguments, cases::all());
    rig::finish(&conclusion);
    conclusion.exit_code()
}

/// The stack by hand.
fn serve() -> ExitCode {
    match rig::stack() {
        Ok(stack) => {
            for (name, value) in python::environment(stack) {
                println!("export {name}={value}");
            }
            println!("export PYTHON={}", stack.python.display());
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            rig::stop();
            ExitCode::SUCCESS
        }
        Err(rig::Absent::LeftOut(why) | rig::Absent::Failed(why)) => {
            eprintln!("stack: {why}");
            ExitCode::FAILURE
        }
    }
}
