//! The only door to time, sleep, ids and randomness.
//!
//! Stages never read a clock: a driver gives them a [`Now`] with each event. The thread driver takes
//! it from [`System`], the simulated one makes its own.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970 UTC; may jump.
    pub wall_ms: i64,
    /// Milliseconds since some start; never runs backwards.
    pub mono_ms: u64,
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct System {
    start: Instant,
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

#[allow(clippy::disallowed_methods)] // this is the door
impl System {
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }

    pub fn now(&self) -> Now {
        let wall_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or_else(|e| -(e.duration().as_millis() as i64), |d| d.as_millis() as i64);
        Now { wall_ms, mono_ms: self.start.elapsed().as_millis() as u64 }
    }

    /// Blocks the thread. Async code uses [`sleep`].
    pub fn block(&self, time: Duration) {
        std::thread::sleep(time);
    }

    /// User and system CPU time of the whole process so far.
    pub fn process_cpu(&self) -> Duration {
        // SAFETY: `getrusage` only writes the struct it is given.
        let usage = unsafe {
            let mut usage = std::mem::zeroed::<libc::rusage>();
            libc::getrusage(libc::RUSAGE_SELF, &mut usage);
            usage
        };
        let seconds = |t: libc::timeval| {
            Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64)
        };
        seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}

/// Waits without blocking the thread.
#[allow(clippy::disallowed_methods)]
pub async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// A fresh id: 32 hex digits, the first twelve from the clock (UUID version 7).
#[allow(clippy::disallowed_methods)]
pub fn fresh_id() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

/// A delay before try number `attempt` (0, 1, …): doubling from `base` up to `cap`, half of it random.
pub fn backoff(base: Duration, cap: Duration, attempt: u32) -> Duration {
    let full = base.saturating_mul(1u32 << attempt.min(16)).min(cap);
    let half = full / 2;
    half + half.mul_f64(random_unit())
}

/// A number in `[0, 1)` that nobody can foresee.
pub fn chance() -> f64 {
    random_unit()
}

#[allow(clippy::disallowed_methods)]
fn random_unit() -> f64 {
    let bits = (uuid::Uuid::now_v7().as_u128() as u64) & 0xffff_ffff;
    bits as f64 / 4_294_967_296.0
}

/// Seeded random numbers (SplitMix64), for the simulator, the demo and tests: the same seed gives the
/// same sequence on every machine.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `[0, n)`; `n` must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}
