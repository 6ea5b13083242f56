//! The few system calls, all relative to an open folder and none of them following a link.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::{Errno, Result};

/// What is known of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub kind: FileType,
    pub bytes: u64,
    pub inode: u64,
    pub mtime_ns: i64,
}

/// Opens `path` below `base` for reading as a folder.
pub fn open_folder(base: impl AsFd, path: &str) -> Result<OwnedFd> {
    let path = if path.is_empty() { "." } else { path };
    open(base, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens `path` below `base`. The kernel refuses `..` above it, links anywhere, and other mounts
/// (`ELOOP`, `EXDEV`).
pub fn open(base: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = if flags.contains(OFlags::CREATE) { file_mode() } else { Mode::empty() };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    for _ in 0..8 {
        match fs::openat2(&base, path, flags, mode, resolve) {
            // A rename elsewhere on the path went on meanwhile.
            Err(Errno::AGAIN) => {}
            // Kernels before 5.6, and sandboxes that do not know the call.
            Err(Errno::NOSYS | Errno::PERM) => return walk(base, path, flags, mode),
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// As [`open`], folder by folder. Does not notice mounts; a rename across one fails all the same.
fn walk(base: impl AsFd, path: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let (parents, last) = path.rsplit_once('/').unwrap_or(("", path));
    let mut at = fs::openat(base, ".", folder, Mode::empty())?;
    for segment in parents.split('/').filter(|s| !s.is_empty()) {
        if segment == ".." {
            return Err(Errno::XDEV);
        }
        at = fs::openat(at, segment, folder, Mode::empty())?;
    }
    if last == ".." {
        return Err(Errno::XDEV);
    }
    fs::openat(at, last, flags, mode)
}

/// Makes one folder; that it is there already is success. Returns whether it was made.
pub fn make_folder(base: impl AsFd, name: &str) -> Result<bool> {
    match fs::mkdirat(base, name, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(e) => Err(e),
    }
}

/// What stands at a name; `None` when nothing does.
pub fn stat(base: impl AsFd, name: &str) -> Result<Option<Stat>> {
    match fs::statat(base, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(convert(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}

pub fn stat_open(file: impl AsFd) -> Result<Stat> {
    fs::fstat(file).map(|stat| convert(&stat))
}

#[allow(clippy::unnecessary_cast)] // the fields' types differ between machines
fn convert(stat: &fs::Stat) -> Stat {
    Stat {
        kind: FileType::from_raw_mode(stat.st_mode),
        bytes: stat.st_size as u64,
        inode: stat.st_ino as u64,
        mtime_ns: (stat.st_mtime as i64)
            .saturating_mul(1_000_000_000)
            .saturating_add(stat.st_mtime_nsec as i64),
    }
}

/// Moves a name; `EEXIST` when the new one is taken, whoever took it.
pub fn rename_new(from: impl AsFd, name: &str, to: impl AsFd, new: &str) -> Result<()> {
    fs::renameat_with(from, name, to, new, RenameFlags::NOREPLACE)
}

/// Removes a file's name; that there is none is success.
pub fn unlink(base: impl AsFd, name: &str) -> Result<()> {
    match fs::unlinkat(base, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e),
    }
}

pub fn remove_folder(base: impl AsFd, name: &str) -> Result<()> {
    fs::unlinkat(base, name, AtFlags::REMOVEDIR)
}

/// Names in a folder but `.` and `..`, unordered, with what they are.
pub fn names(folder: impl AsFd) -> Result<Vec<(Vec<u8>, FileType)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat = fs::statat(&folder, OsStr::from_bytes(name), AtFlags::SYMLINK_NOFOLLOW);
                stat.map_or(FileType::Unknown, |s| FileType::from_raw_mode(s.st_mode))
            }
            kind => kind,
        };
        names.push((name.to_vec(), kind));
    }
    Ok(names)
}

/// Takes the lock of a folder, held until the descriptor closes; false when another process has it.
pub fn try_lock(folder: impl AsFd) -> Result<bool> {
    match fs::flock(folder, fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e),
    }
}

fn file_mode() -> Mode {
    Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH
}

#[cfg(test)]
mod tests {
    use super::*;

    type Open = fn(&OwnedFd, &str, OFlags) -> Result<OwnedFd>;

    /// The kernel's walk and ours, which stands in for it on old kernels, refuse the same.
    #[test]
    fn path_that_leaves_the_base_is_refused_by_both_walks() {
        let root = tempfile::tempdir().unwrap();
        let base = root.path().join("base");
        std::fs::create_dir_all(base.join("in/side")).unwrap();
        std::fs::write(base.join("in/file"), "x").unwrap();
        std::fs::write(root.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink("..", base.join("up")).unwrap();
        std::os::unix::fs::symlink("file", base.join("in/leaf")).unwrap();
        let base = OwnedFd::from(std::fs::File::open(base).unwrap());
        let kernel: Open = |base, path, flags| open(base, path, flags);
        let ours: Open = |base, path, flags| {
            walk(base, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
        };
        for (name, open) in [("kernel", kernel), ("ours", ours)] {
            assert!(open(&base, "in/file", OFlags::RDONLY).is_ok(), "{name}");
            assert!(open(&base, "in/side", OFlags::RDONLY | OFlags::DIRECTORY).is_ok(), "{name}");
            for path in ["../secret", "in/../../secret", "up/secret", "..", "up", "in/leaf"] {
                let refused = open(&base, path, OFlags::RDONLY).unwrap_err();
                let known = [Errno::XDEV, Errno::LOOP, Errno::NOTDIR];
                assert!(known.contains(&refused), "{name} {path}: {refused}");
            }
        }
    }
}
