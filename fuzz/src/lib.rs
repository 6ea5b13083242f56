//! What every fuzz target does with its bytes: the code under test, and an oracle that is not ours.
//!
//! A target is a function of bytes that says whether they were taken, and panics where a promise is
//! broken. `fuzz_targets` gives it to libFuzzer; `tests/hermetic/fuzz.rs` includes this file, replays the
//! corpus on a stable compiler and changes it at random. One more target: a module with `run`, a line in
//! [`TARGETS`], three lines in `fuzz_targets`, a `[[bin]]`, and a few files in `corpus`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(deprecated)] // the short way through apache-avro

pub mod avro;
pub mod cells;
pub mod frame;
pub mod json;
pub mod oracle;
pub mod protobuf;
pub mod record;
pub mod schema_text;
pub mod tree;

/// One target: its name, its body, and words that lead inputs further.
pub struct Target {
    pub name: &'static str,
    /// True if the bytes were taken; panics where a promise is broken.
    pub run: fn(&[u8]) -> bool,
    pub words: &'static [&'static [u8]],
}

pub static TARGETS: &[Target] = &[
    Target { name: "frame", run: frame::run, words: frame::WORDS },
    Target { name: "protobuf", run: protobuf::run, words: protobuf::WORDS },
    Target { name: "avro", run: avro::run, words: avro::WORDS },
    Target { name: "json", run: json::run, words: json::WORDS },
    Target { name: "record", run: record::run, words: record::WORDS },
    Target { name: "schema_text", run: schema_text::run, words: schema_text::WORDS },
];

/// Does work and says the most bytes it held at once.
pub type Measure = fn(&mut dyn FnMut()) -> usize;

/// Set where the allocator counts.
pub static MEASURE: std::sync::OnceLock<Measure> = std::sync::OnceLock::new();

/// Does `work` of the code under test, which may hold `bytes_max` at once.
fn bounded<T>(bytes_max: usize, work: impl FnOnce() -> T) -> T {
    let (mut work, mut done) = (Some(work), None);
    let mut run = || done = work.take().map(|work| work());
    match MEASURE.get() {
        Some(measure) => {
            let peak = measure(&mut run);
            assert!(peak <= bytes_max, "{peak} bytes at once, at most {bytes_max} required");
        }
        None => run(),
    }
    done.unwrap()
}
