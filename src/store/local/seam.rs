//! Where a test watches the system calls that keep files, and makes one of them fail.
//!
//! Owns: the script of the calling thread, which goes with the work to the threads that may block.
//! Absent: anything in a release build: `reach` is a constant success there.

/// A system call that keeps or loses a file.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A staged file is made.
    Create,
    Write,
    SyncFile,
    SyncFolder,
    /// A staged file gets its final name.
    Rename,
    MakeFolder,
}

/// Before a call on this name: the error that a test wants it to end with.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(super) const fn reach(_: Call, _: &str) -> rustix::io::Result<()> {
    Ok(())
}

/// Takes what a test planted on this thread along to another.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(super) fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    work
}

#[cfg(debug_assertions)]
pub use self::watched::Watch;
#[cfg(debug_assertions)]
pub(super) use self::watched::{carried, reach};

#[cfg(debug_assertions)]
mod watched {
    use std::cell::RefCell;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use rustix::io::Errno;

    use super::Call;
    use crate::flaw;

    thread_local! {
        static SCRIPT: RefCell<Option<Arc<Mutex<Script>>>> = const { RefCell::new(None) };
    }

    #[derive(Debug, Default)]
    struct Script {
        calls: Vec<(Call, String)>,
        fail: Vec<(Call, usize, Errno)>,
    }

    /// Watches the calls of this thread, and of the work it hands over, until it is dropped.
    #[doc(hidden)]
    #[derive(Debug)]
    pub struct Watch(Arc<Mutex<Script>>);

    impl Watch {
        #[allow(clippy::new_without_default)] // it does something
        pub fn new() -> Self {
            let script = Arc::<Mutex<Script>>::default();
            SCRIPT.set(Some(script.clone()));
            Self(script)
        }

        /// The call after `skip` more of its kind does nothing and ends with this error number.
        pub fn fail(&self, call: Call, skip: usize, errno: i32) {
            self.script().fail.push((call, skip, Errno::from_raw_os_error(errno)));
        }

        /// Every call that was not made to fail, in order, with the name it was on.
        pub fn take(&self) -> Vec<(Call, String)> {
            std::mem::take(&mut self.script().calls)
        }

        /// True when every planned failure has happened.
        pub fn is_spent(&self) -> bool {
            self.script().fail.is_empty()
        }

        fn script(&self) -> MutexGuard<'_, Script> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            SCRIPT.set(None);
        }
    }

    pub(in crate::store::local) fn reach(call: Call, name: &str) -> rustix::io::Result<()> {
        let Some(script) = SCRIPT.with_borrow(Clone::clone) else { return Ok(()) };
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        let mut hit = None;
        script.fail.retain_mut(|(planned, skip, errno)| {
            if *planned != call {
                return true;
            }
            if *skip > 0 || hit.is_some() {
                *skip = skip.saturating_sub(1);
                return true;
            }
            hit = Some(*errno);
            false
        });
        match hit {
            Some(errno) => Err(errno),
            None => {
                script.calls.push((call, name.to_owned()));
                Ok(())
            }
        }
    }

    pub(in crate::store::local) fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        let script = SCRIPT.with_borrow(Clone::clone);
        let work = flaw::carried(work);
        move || {
            let before = SCRIPT.replace(script);
            let done = work();
            SCRIPT.set(before);
            done
        }
    }
}
