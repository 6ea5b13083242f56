//! The fuzz targets on a stable compiler: their corpus replayed, and changed at random.
//!
//! `FOREBAY_FUZZ_SECONDS=600 cargo test --test hermetic fuzz:: -- --nocapture` goes on for that long, with
//! a seed of its own; `FOREBAY_FUZZ_SEED` repeats one, `FOREBAY_FUZZ_TARGET` picks one target. An input
//! that breaks a promise is written to `target/fuzz-findings`: move it to the target's corpus when it is
//! mended.
#![allow(clippy::print_stderr)] // seeds and findings

#[path = "../../fuzz/src/lib.rs"]
pub mod targets;

use std::path::{Path, PathBuf};

use forebay::clock::{Seeded, System};
use targets::{TARGETS, Target};

/// Inputs of one target in the short run.
const SHORT: u64 = 1_500;
/// Longest input.
const LENGTH_MAX: usize = 1 << 13;
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target.name);
    let mut files: Vec<_> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn findings() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz-findings");
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Runs one input; a broken promise leaves the input behind.
fn checked(target: &Target, input: &[u8], seed: u64) -> bool {
    let _ = targets::MEASURE.set(|work| crate::alloc::measured(work).1.peak);
    if std::env::var_os("FOREBAY_FUZZ_KEEP").is_some() {
        std::fs::write(findings().join(format!("last-{}", target.name)), input).unwrap();
    }
    let run = || (target.run)(input);
    let broken = || {
        let hash = input.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        let file = findings().join(format!("{}-{hash:016x}", target.name));
        std::fs::write(&file, input).unwrap();
        eprintln!("seed {seed}: {}: broken promise: {}", target.name, file.display());
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(taken) => taken,
        Err(panic) => {
            broken();
            std::panic::resume_unwind(panic);
        }
    }
}

/// apache-avro and prost-reflect go down by calls as deep as an input does, with frames of an unoptimized build.
fn on_a_deep_stack(work: fn()) {
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(work).unwrap();
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

#[test]
fn corpus_keeps_its_promises() {
    on_a_deep_stack(replay);
}

fn replay() {
    for target in TARGETS {
        let corpus = corpus(target);
        assert!(corpus.len() >= 5, "{}: {} inputs", target.name, corpus.len());
        let taken = corpus.iter().filter(|input| checked(target, input, 0)).count();
        assert!(taken > 0, "{}: no input of the corpus is taken", target.name);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn corpus_changed_at_random_keeps_its_promises() {
    on_a_deep_stack(change);
}

fn change() {
    let clock = System::new();
    let seconds = number("FOREBAY_FUZZ_SECONDS");
    let own = seconds.map_or(1, |_| clock.now().wall_ms as u64);
    let seed = number("FOREBAY_FUZZ_SEED").unwrap_or(own);
    let one = std::env::var("FOREBAY_FUZZ_TARGET").ok();
    let chosen: Vec<&Target> =
        TARGETS.iter().filter(|t| one.as_ref().is_none_or(|name| name == t.name)).collect();
    eprintln!("FOREBAY_FUZZ_SEED={seed}");
    for target in &chosen {
        let mut random = Seeded::new(seed);
        let mut pool = corpus(target);
        let kept = pool.len() + 2_000;
        let start = clock.now().mono_ms;
        let until = seconds.map(|s| start + s * 1_000 / chosen.len() as u64);
        let (mut runs, mut taken) = (0u64, 0u64);
        while until.map_or(runs < SHORT, |until| runs % 64 != 0 || clock.now().mono_ms < until) {
            let input = changed(&mut random, &pool, target.words);
            runs += 1;
            if checked(target, &input, seed) {
                taken += 1;
                // What is taken leads further than what is not.
                if pool.len() < kept {
                    pool.push(input);
                } else {
                    let at = random.below(pool.len() as u64) as usize;
                    pool[at] = input;
                }
            }
        }
        let ms = clock.now().mono_ms - start;
        eprintln!("{}: {runs} inputs, {taken} taken, {ms} ms", target.name);
    }
}

/// An input of the pool with a few things changed.
fn changed(random: &mut Seeded, pool: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
    let any = |random: &mut Seeded, n: usize| random.below(n.max(1) as u64) as usize;
    let mut input = pool[any(random, pool.len())].clone();
    for _ in 0..=random.below(4) {
        let at = any(random, input.len() + 1);
        let end = (at + any(random, 16)).min(input.len());
        match random.below(10) {
            0 | 1 if at < input.len() => input[at] ^= 1 << random.below(8),
            2 if at < input.len() => input[at] = random.next_u64() as u8,
            3 => input.insert(at, random.next_u64() as u8),
            4 => {
                input.drain(at..end);
            }
            5 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            6 => {
                let other = &pool[any(random, pool.len())];
                let from = any(random, other.len() + 1);
                let to = (from + any(random, 64)).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            7 => {
                input.splice(at..at, words[any(random, words.len())].iter().copied());
            }
            8 => input.truncate(at),
            _ => {
                let few = random.below(4);
                input.splice(at..at, (0..few).map(|_| random.below(16) as u8));
            }
        }
    }
    input.truncate(LENGTH_MAX);
    input
}
