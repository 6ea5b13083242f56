//! What the benchmarks share: time by the record, not by the batch; CPU time, because it says more than
//! the clock on a machine that does other work.

use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;
use forebay::clock::System;

/// Measures `batch`, which does `rows` records on this thread; the time shown is the CPU time of one.
pub fn per_record(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    rows: usize,
    mut batch: impl FnMut(),
) {
    group.bench_function(name, |b| {
        b.iter_custom(|records| {
            let batches = records.div_ceil(rows as u64);
            let clock = System::new();
            let before = clock.process_cpu();
            (0..batches).for_each(|_| batch());
            let spent = clock.process_cpu().saturating_sub(before);
            let one = spent.as_secs_f64() / (batches * rows as u64) as f64;
            Duration::from_secs_f64(one * records as f64)
        });
    });
}

/// Says how long the records are.
#[allow(clippy::print_stderr)]
pub fn say_size(name: &str, bodies: &[Vec<u8>]) {
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    eprintln!("{name}: {:.0} bytes a record", bytes as f64 / bodies.len() as f64);
}
