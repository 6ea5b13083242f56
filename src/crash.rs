//! Fail points: places in the commit protocol where a test has this very process killed or stopped.
//!
//! Owns: their names, the count of passes, the signal.
//! Does not own: the places (`store`, `pipeline`), what must hold afterwards (`tests/stack/cases/kills.rs`).
//! Absent: everything, from a release build. `debug_assertions` decides: what `cargo test` builds has the points
//! without a flag that could be forgotten, what `cargo build --release` builds cannot have them, and no feature
//! that something else turns on brings them back. There the functions are empty and inlined.
//!
//! `FOREBAY_FAIL_AT=<point>:<pass>` kills at that pass (1 is the first); `<point>:<pass>:stop` stops instead, until
//! SIGCONT.

/// A crash point of the commit protocol, in the order in which a commit passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The claim is about to be sent.
    ClaimUnsent,
    /// The claim is sent, and no answer is here.
    ClaimSent,
    /// The claim is there, and nobody here knows.
    ClaimThere,
    /// Rows are taken, nothing of their file is in the store.
    BeforeUpload,
    /// The upload or staged name is there, and empty; on local disk a record is staged like a file.
    UploadCreated,
    /// A part is there, and it is not the last.
    PartSent,
    /// All parts of a file are there; other files of the commit may have none.
    FileStaged,
    /// All files are staged, the record is about to be sent.
    RecordUnsent,
    /// The record is sent, and no answer is here.
    RecordSent,
    /// The record is there, and nothing is published.
    RecordThere,
    /// A file's publishing is asked for, and no answer is here.
    PublishSent,
    /// Some files are published, others not.
    SomePublished,
    /// All files are published, and Kafka is not told.
    AllPublished,
    /// Kafka is told, and its answer is not here.
    OffsetSent,
    /// The group wants Kafka partitions back; they have been asked to seal.
    RevokeBegun,
    /// They are sealed and published, and not given back yet.
    RevokeFlushed,
}

impl Point {
    pub const ALL: [(Point, &str); 16] = [
        (Point::ClaimUnsent, "claim_unsent"),
        (Point::ClaimSent, "claim_sent"),
        (Point::ClaimThere, "claim_there"),
        (Point::BeforeUpload, "before_upload"),
        (Point::UploadCreated, "upload_created"),
        (Point::PartSent, "part_sent"),
        (Point::FileStaged, "file_staged"),
        (Point::RecordUnsent, "record_unsent"),
        (Point::RecordSent, "record_sent"),
        (Point::RecordThere, "record_there"),
        (Point::PublishSent, "publish_sent"),
        (Point::SomePublished, "some_published"),
        (Point::AllPublished, "all_published"),
        (Point::OffsetSent, "offset_sent"),
        (Point::RevokeBegun, "revoke_begun"),
        (Point::RevokeFlushed, "revoke_flushed"),
    ];
}

/// Passes a point.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: Point) {}

/// Passes a point while `work` is under way: it is begun and, if it is quick, also done.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub async fn under_way<T>(_: Point, work: impl Future<Output = T>) -> T {
    work.await
}

#[cfg(debug_assertions)]
pub use armed::{point, under_way};

#[cfg(debug_assertions)]
mod armed {
    use std::pin::pin;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::Point;
    use crate::clock;

    /// From the start of a request until the process dies of it: about what a request takes here, so that some
    /// have arrived then and some have not.
    const UNDER_WAY: Duration = Duration::from_millis(2);

    struct Fail {
        at: Point,
        pass: u64,
        signal: i32,
    }

    fn wanted() -> Option<&'static Fail> {
        static WANTED: OnceLock<Option<Fail>> = OnceLock::new();
        let read = || std::env::var("FOREBAY_FAIL_AT").ok().and_then(|text| parse(&text));
        WANTED.get_or_init(read).as_ref()
    }

    fn parse(text: &str) -> Option<Fail> {
        let mut words = text.split(':');
        let name = words.next()?;
        let (at, _) = *Point::ALL.iter().find(|(_, known)| *known == name)?;
        let pass = words.next()?.parse().ok()?;
        let signal = match words.next() {
            None => libc::SIGKILL,
            Some("stop") => libc::SIGSTOP,
            Some(_) => return None,
        };
        Some(Fail { at, pass, signal })
    }

    fn is_due(point: Point) -> Option<&'static Fail> {
        static PASSES: AtomicU64 = AtomicU64::new(0);
        let fail = wanted().filter(|fail| fail.at == point)?;
        (PASSES.fetch_add(1, Ordering::Relaxed) + 1 == fail.pass).then_some(fail)
    }

    fn act(fail: &Fail) {
        tracing::error!("fail point {:?}, pass {}: signal {}", fail.at, fail.pass, fail.signal);
        // SAFETY: plain system calls, to this process itself.
        unsafe { libc::kill(libc::getpid(), fail.signal) };
    }

    pub fn point(point: Point) {
        if let Some(fail) = is_due(point) {
            act(fail);
        }
    }

    pub async fn under_way<T>(point: Point, work: impl Future<Output = T>) -> T {
        let Some(fail) = is_due(point) else { return work.await };
        let mut work = pin!(work);
        let done = tokio::select! {
            done = &mut work => Some(done),
            () = clock::sleep(UNDER_WAY) => None,
        };
        act(fail);
        match done {
            Some(done) => done,
            None => work.await, // stopped, and woken
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn every_point_is_named_once_and_others_are_not_armed() {
            for (index, (point, name)) in Point::ALL.iter().enumerate() {
                assert_eq!(*point as usize, index);
                let fail = parse(&format!("{name}:2")).unwrap();
                assert_eq!((fail.at, fail.pass, fail.signal), (*point, 2, libc::SIGKILL));
                assert_eq!(parse(&format!("{name}:1:stop")).unwrap().signal, libc::SIGSTOP);
            }
            for text in ["", "record_there", "record_there:x", "there:1", "record_there:1:go"] {
                assert!(parse(text).is_none(), "{text}");
            }
        }
    }
}
