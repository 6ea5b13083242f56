//! How far a run is, on stderr: results alone go to stdout.
//!
//! Owns: when something is said, and what. Does not own: the count of records (`pipeline::watch`).
//! Bounded by: a line a second at a terminal, else one every five seconds, once it takes longer than that.

use std::sync::Mutex;

use crate::cli::say_aside;
use crate::clock::System;
use crate::pipeline::watch::Totals;

/// Between two lines, at a terminal and elsewhere.
const TERMINAL_MS: u64 = 1_000;
const ELSEWHERE_MS: u64 = 5_000;

/// Lines of one run.
#[derive(Debug)]
pub struct Progress {
    clock: System,
    mode: &'static str,
    every_ms: u64,
    /// When the last line was said, of the first which would be.
    said_ms: Mutex<u64>,
}

impl Progress {
    pub fn new(clock: System, mode: &'static str) -> Self {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let every_ms = if terminal { TERMINAL_MS } else { ELSEWHERE_MS };
        Self { clock, mode, every_ms, said_ms: Mutex::new(0) }
    }

    /// A line, if it is time for one.
    pub fn say(&self, what: impl FnOnce() -> String) {
        let now_ms = self.clock.now().mono_ms;
        let Ok(mut said_ms) = self.said_ms.lock() else { return };
        if now_ms.saturating_sub(*said_ms) >= self.every_ms {
            *said_ms = now_ms;
            let (mode, seconds) = (self.mode, now_ms as f64 / 1e3);
            say_aside(format_args!("evolve: {mode}: {}, {seconds:.0} s", what()));
        }
    }

    /// How far one life of the pipeline is.
    pub fn life(&self, life: u64, totals: &Totals) {
        self.say(|| {
            format!("life {life}, {} records read, {} files closed", totals.records, totals.files)
        });
    }
}
