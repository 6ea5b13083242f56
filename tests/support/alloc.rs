//! Bytes that a piece of work allocates, measured: a global allocator that counts, thread by thread.
//!
//! A test binary that wants it says `#[path = "../support/alloc.rs"] mod alloc;` once. Threads count for
//! themselves, so tests that run beside each other do not meet; work that hands memory to another thread
//! is not measured well here.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

#[derive(Clone, Copy)]
struct Counts {
    /// Bytes allocated and not freed, since the thread began; below zero when it frees for others.
    live: isize,
    peak: isize,
    calls: u64,
}

thread_local! {
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { live: 0, peak: 0, calls: 0 }) };
}

fn count(grown: isize, calls: u64) {
    // A thread that ends has no counts left; nobody asks for them then.
    let _ = COUNTS.try_with(|counts| {
        let mut now = counts.get();
        now.live += grown;
        now.peak = now.peak.max(now.live);
        now.calls += calls;
        counts.set(now);
    });
}

// SAFETY: every call goes to `System` as it came; counting touches no memory that it manages.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize, 1);
        // SAFETY: the caller's promises are those of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize, 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize), 0);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new may stand side by side while the bytes move.
        count(size as isize, 1);
        count(-(layout.size() as isize), 0);
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// What a piece of work took from the allocator, on this thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Most bytes at once, above what stood before the work.
    pub peak: usize,
    /// Bytes that the work left behind (its result among them).
    pub kept: usize,
    /// Calls for memory.
    pub calls: u64,
}

/// Does `work` and says what it took.
pub fn measured<T>(work: impl FnOnce() -> T) -> (T, Used) {
    let before = COUNTS.with(|counts| {
        let mut now = counts.get();
        now.peak = now.live;
        counts.set(now);
        now
    });
    let done = work();
    let after = COUNTS.with(Cell::get);
    let above = |bytes: isize| usize::try_from(bytes - before.live).unwrap_or(0);
    let used = Used {
        peak: above(after.peak),
        kept: above(after.live),
        calls: after.calls - before.calls,
    };
    (done, used)
}

#[test]
fn bytes_of_a_vector_are_counted_while_it_lives() {
    let (vector, used) = measured(|| {
        drop(vec![1u8; 3_000_000]);
        vec![2u8; 1_000_000]
    });
    assert_eq!(vector.len(), 1_000_000);
    assert_eq!((used.peak, used.kept, used.calls), (3_000_000, 1_000_000, 2));
}
