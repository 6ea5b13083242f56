//! What is done on the disk, blocking. See [`super`].

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use crate::error::Fault;
use crate::store::{
    BUCKET, DENIED, DISK, DISK_FULL, Entry, FILESYSTEM, FOREIGN, GET_BYTES_MAX, HANDLE, Handle,
    KEY, LOST, PATH, Put, SYNC, Staged, TOO_LARGE,
};

use super::stage::{self, Owner};
use super::sys::{self, Stat};

/// Folders whose names are known to be on disk; beyond this many all are forgotten.
const KNOWN_MAX: usize = 65_536;

/// An open root.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    root: OwnedFd,
    stage: OwnedFd,
    owner: Owner,
    next: AtomicU64,
    known: Mutex<HashSet<String>>,
    broken: OnceLock<String>,
}

impl Disk {
    /// Makes the root and the stage where they are missing, and tries the rename that publishing needs.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        make_root(path).map_err(|e| root_fault(path, &e))?;
        let root = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags((OFlags::DIRECTORY | OFlags::CLOEXEC).bits() as i32)
            .open(path);
        let root: OwnedFd = root.map_err(|e| root_fault(path, &e))?.into();
        let (stage, owner) = open_stage(&root).map_err(|e| fault("folder", stage::FOLDER, e))?;
        try_rename(&owner.folder)?;
        Ok(Self {
            path: path.to_owned(),
            root,
            stage,
            owner,
            next: AtomicU64::new(0),
            known: Mutex::new(HashSet::new()),
            broken: OnceLock::new(),
        })
    }

    /// Refuses everything after a folder failed to sync: a second sync would say that all is well.
    pub fn usable(&self) -> Result<(), Fault> {
        match self.broken.get() {
            None => Ok(()),
            Some(message) => Err(Fault::new(&SYNC, message.clone())),
        }
    }

    /// Writes bytes at `at` of a staged file, making it when its handle has no name yet.
    ///
    /// Each part is synced before its descriptor closes: while none is open the kernel may forget
    /// that writing back failed.
    pub fn append(&self, handle: Handle, at: u64, bytes: &[u8]) -> Result<Handle, Fault> {
        let (name, file) = self.write(handle, at, bytes)?;
        file.sync_data().map_err(|e| io_fault("staged file", &name, &e))?;
        Ok(Handle::Local { name, inode: 0, mtime_ns: 0 })
    }

    /// As [`Disk::append`] for the last bytes; then the file and its name are on disk.
    pub fn seal(&self, handle: Handle, at: u64, tail: &[u8]) -> Result<Handle, Fault> {
        let (name, file) = self.write(handle, at, tail)?;
        file.sync_all().map_err(|e| io_fault("staged file", &name, &e))?;
        let stat = sys::stat_open(&file).map_err(|e| fault("staged file", &name, e))?;
        let written = at + tail.len() as u64;
        if stat.bytes != written {
            let found = stat.bytes;
            return Err(Fault::new(
                &DISK,
                format!("staged file `{name}`: {found} bytes, {written} written; discard it"),
            ));
        }
        self.sync(&self.owner.folder, stage::FOLDER)?;
        Ok(Handle::Local { name, inode: stat.inode, mtime_ns: stat.mtime_ns })
    }

    fn write(&self, handle: Handle, at: u64, bytes: &[u8]) -> Result<(String, File), Fault> {
        let Handle::Local { name, .. } = handle else { return Err(other_store()) };
        let (name, flags) = match name.is_empty() {
            true => (self.new_name(), OFlags::CREATE | OFlags::EXCL),
            false => (name, OFlags::empty()),
        };
        let file = self.open_staged(&name, flags)?;
        if let Err(e) = file.write_all_at(bytes, at) {
            if flags.contains(OFlags::CREATE) {
                // The caller has no name to discard it by.
                let _ = self.discard(&Handle::Local { name: name.clone(), inode: 0, mtime_ns: 0 });
            }
            return Err(io_fault("staged file", &name, &e));
        }
        Ok((name, file))
    }

    /// Renames a staged file to its key.
    pub fn publish(&self, staged: &Staged) -> Result<(), Fault> {
        let Handle::Local { name, inode, mtime_ns } = &staged.handle else {
            return Err(other_store());
        };
        let (owner, file) = stage::split(name).ok_or_else(other_store)?;
        let (folder, leaf) = split(&staged.key);
        // A folder may be removed between making it and renaming into it: a few tries.
        for _ in 0..4 {
            let Some(stage) = self.staged(owner, file, staged)? else { break };
            let target = self.make(folder)?;
            match sys::rename_new(&stage, file, &target, leaf) {
                Ok(()) => {
                    self.sync(&target, folder)?;
                    return self.sync(&stage, stage::FOLDER);
                }
                Err(Errno::EXIST) => return Err(foreign(staged, "it was there before")),
                Err(Errno::NOENT) => {}
                Err(e) => return Err(fault("file", &staged.key, e)),
            }
        }
        let Some(target) = self.folder(folder)? else { return Err(lost(staged)) };
        let found = sys::stat(&target, leaf).map_err(|e| fault("file", &staged.key, e))?;
        let Some(found) = found else { return Err(lost(staged)) };
        // Each alone can be another file's: inodes are used again, and the kernel's clock for files
        // ticks every few milliseconds.
        if (found.bytes, found.inode, found.mtime_ns) != (staged.bytes, *inode, *mtime_ns) {
            return Err(foreign(staged, &format!("{} bytes, inode {}", found.bytes, found.inode)));
        }
        // Whoever renamed it may have died before syncing.
        self.sync(&target, folder)
    }

    /// The folder of a staged file that is there and whole.
    fn staged(&self, owner: &str, file: &str, staged: &Staged) -> Result<Option<OwnedFd>, Fault> {
        let folder = match sys::open_folder(&self.stage, owner) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.map_err(|e| fault("folder", owner, e))?,
        };
        match sys::stat(&folder, file).map_err(|e| fault("staged file", file, e))? {
            None => Ok(None),
            Some(Stat { kind: FileType::RegularFile, bytes, .. }) if bytes == staged.bytes => {
                Ok(Some(folder))
            }
            Some(Stat { bytes, .. }) => Err(Fault::new(
                &LOST,
                format!(
                    "staged file `{owner}/{file}` of `{}`: {bytes} bytes, {} required; somebody changed it",
                    staged.key, staged.bytes
                ),
            )),
        }
    }

    pub fn discard(&self, handle: &Handle) -> Result<(), Fault> {
        let Handle::Local { name, .. } = handle else { return Err(other_store()) };
        if name.is_empty() {
            return Ok(());
        }
        let (owner, file) = stage::split(name).ok_or_else(other_store)?;
        match sys::open_folder(&self.stage, owner) {
            Err(Errno::NOENT) => Ok(()),
            other => other.and_then(|folder| sys::unlink(folder, file)),
        }
        .map_err(|e| fault("staged file", name, e))
    }

    pub fn put_create(&self, key: &str, bytes: &[u8]) -> Result<Put, Fault> {
        let empty = Handle::Local { name: String::new(), inode: 0, mtime_ns: 0 };
        let handle = self.append(empty, 0, bytes)?;
        let Handle::Local { name, .. } = &handle else { return Err(other_store()) };
        let (_, file) = stage::split(name).ok_or_else(other_store)?;
        let (folder, leaf) = split(key);
        let target = self.make(folder)?;
        match sys::rename_new(&self.owner.folder, file, &target, leaf) {
            Ok(()) => self.sync(&target, folder).map(|()| Put::Created),
            Err(Errno::EXIST) => {
                self.discard(&handle)?;
                // Whoever made it may not have synced yet, and the caller will act on it.
                self.sync(&target, folder).map(|()| Put::Exists)
            }
            Err(e) => {
                let _ = self.discard(&handle);
                Err(fault("file", key, e))
            }
        }
    }

    /// Reads an object; what is returned is on disk under its name.
    pub fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        let (folder, leaf) = split(key);
        let Some(folder_open) = self.folder(folder)? else { return Ok(None) };
        // Without NONBLOCK a planted pipe would hold the thread for ever.
        let file = match sys::open(&folder_open, leaf, OFlags::RDONLY | OFlags::NONBLOCK) {
            Err(Errno::NOENT) => return Ok(None),
            other => File::from(other.map_err(|e| fault("file", key, e))?),
        };
        let stat = sys::stat_open(&file).map_err(|e| fault("file", key, e))?;
        if stat.kind != FileType::RegularFile {
            return Err(fault("file", key, Errno::NOTDIR));
        }
        let mut bytes = Vec::new();
        let read = file.take(GET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|e| io_fault("file", key, &e))?;
        if bytes.len() > GET_BYTES_MAX {
            return Err(Fault::new(
                &TOO_LARGE,
                format!("object `{key}`: {} bytes, at most {GET_BYTES_MAX} read", stat.bytes),
            ));
        }
        self.sync(&folder_open, folder)?;
        Ok(Some(bytes.into()))
    }

    pub fn head(&self, key: &str) -> Result<Option<Entry>, Fault> {
        let (folder, leaf) = split(key);
        let Some(folder) = self.folder(folder)? else { return Ok(None) };
        let stat = sys::stat(folder, leaf).map_err(|e| fault("file", key, e))?;
        let file = stat.filter(|s| s.kind == FileType::RegularFile);
        Ok(file.map(|s| Entry { key: key.to_owned(), bytes: s.bytes }))
    }

    pub fn delete(&self, key: &str) -> Result<(), Fault> {
        let (folder, leaf) = split(key);
        let Some(open) = self.folder(folder)? else { return Ok(()) };
        sys::unlink(&open, leaf).map_err(|e| fault("file", key, e))?;
        self.sync(&open, folder)
    }

    pub fn list(&self, prefix: &str, after: &str, max: usize) -> Result<Vec<Entry>, Fault> {
        super::list::list(&self.root, prefix, after, max).map_err(|e| fault("folder", prefix, e))
    }

    pub fn orphans(&self) -> Result<Vec<String>, Fault> {
        stage::orphans(&self.stage).map_err(|e| fault("folder", stage::FOLDER, e))
    }

    pub fn sweep(&self, name: &str) -> Result<(), Fault> {
        stage::sweep(&self.stage, name).map_err(|e| fault("staged file", name, e))
    }

    fn new_name(&self) -> String {
        format!("{}/{:016x}", self.owner.id, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Opens a file of this process's own stage folder for writing.
    fn open_staged(&self, name: &str, flags: OFlags) -> Result<File, Fault> {
        let (owner, file) = stage::split(name).ok_or_else(other_store)?;
        if owner != self.owner.id {
            return Err(other_store());
        }
        let open = sys::open(&self.owner.folder, file, OFlags::WRONLY | flags);
        open.map(File::from).map_err(|e| fault("staged file", name, e))
    }

    /// An existing folder of the root.
    fn folder(&self, path: &str) -> Result<Option<OwnedFd>, Fault> {
        match sys::open_folder(&self.root, path) {
            Ok(folder) => Ok(Some(folder)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(fault("folder", path, e)),
        }
    }

    /// A folder of the root, made where it is missing; it and its parents are on disk afterwards.
    fn make(&self, path: &str) -> Result<OwnedFd, Fault> {
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
            && let Some(folder) = self.folder(path)?
        {
            return Ok(folder);
        }
        let mut at = sys::open_folder(&self.root, "").map_err(|e| fault("folder", "", e))?;
        let mut end = 0;
        for segment in path.split('/').filter(|s| !s.is_empty()) {
            end = path.len().min(end + usize::from(end > 0) + segment.len());
            let made = sys::make_folder(&at, segment).map_err(|e| fault("folder", path, e))?;
            let next = sys::open_folder(&at, segment).map_err(|e| fault("folder", path, e))?;
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if made || !known.contains(&path[..end]) {
                drop(known);
                // Not only when made here: another process may have made it and died before syncing.
                self.sync(&at, path)?;
                known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() >= KNOWN_MAX {
                    known.clear();
                }
                known.insert(path[..end].to_owned());
            }
            at = next;
        }
        Ok(at)
    }

    /// Puts a folder's names on disk. A failure is remembered: see [`Disk::usable`].
    fn sync(&self, folder: impl AsFd, path: &str) -> Result<(), Fault> {
        let Err(e) = rustix::fs::fsync(folder) else { return Ok(()) };
        let message = format!(
            "folder `{path}` of `{}`: {e} at fsync, success required; check the disk, then restart",
            self.path.display()
        );
        let _ = self.broken.set(message.clone());
        Err(Fault::new(&SYNC, message))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Refused by the kernel unless nothing is staged.
        let _ = sys::remove_folder(&self.stage, &self.owner.id);
    }
}

/// Makes the root, each new folder synced into its parent.
fn make_root(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return Ok(()),
    };
    make_root(parent)?;
    match std::fs::create_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    File::open(parent)?.sync_all()
}

fn open_stage(root: &OwnedFd) -> rustix::io::Result<(OwnedFd, Owner)> {
    let mut at = sys::open_folder(root, "")?;
    for segment in stage::FOLDER.split('/') {
        sys::make_folder(&at, segment)?;
        let next = sys::open_folder(&at, segment)?;
        rustix::fs::fsync(&at)?;
        at = next;
    }
    let owner = Owner::new(&at)?;
    rustix::fs::fsync(&at)?;
    Ok((at, owner))
}

/// Makes two files and moves one onto the other, which must be refused, and aside, which must work.
fn try_rename(folder: &OwnedFd) -> Result<(), Fault> {
    let names = ["a", "b", "c"].map(|name| format!("{}{name}", stage::TRY));
    let tried = (|| {
        for name in &names[..2] {
            sys::open(folder, name, OFlags::WRONLY | OFlags::CREATE)?;
        }
        match sys::rename_new(folder, &names[0], folder, &names[1]) {
            Err(Errno::EXIST) => sys::rename_new(folder, &names[0], folder, &names[2]),
            Ok(()) => Err(Errno::NOTSUP),
            Err(e) => Err(e),
        }
    })();
    let cleared = names.iter().try_for_each(|name| sys::unlink(folder, name));
    tried.and(cleared).map_err(|e| fault("folder", stage::FOLDER, e))
}

/// `a/b/c` → `a/b` and `c`.
fn split(key: &str) -> (&str, &str) {
    key.rsplit_once('/').unwrap_or(("", key))
}

#[cold]
fn other_store() -> Fault {
    Fault::new(&HANDLE, "staged file: not one of this folder's stage, one required")
}

#[cold]
fn lost(staged: &Staged) -> Fault {
    let Staged { key, .. } = staged;
    Fault::new(&LOST, format!("file `{key}`: neither staged nor published, either required"))
}

#[cold]
fn foreign(staged: &Staged, found: &str) -> Fault {
    Fault::new(
        &FOREIGN,
        format!(
            "file `{}`: another file is there ({found}), none or the staged one of {} bytes required; move it away",
            staged.key, staged.bytes
        ),
    )
}

#[cold]
fn root_fault(path: &Path, e: &io::Error) -> Fault {
    Fault::new(
        &BUCKET,
        format!("folder `{}`: {e}, a folder that can be made or opened required", path.display()),
    )
}

#[cold]
fn io_fault(what: &str, which: &str, e: &io::Error) -> Fault {
    match Errno::from_io_error(e) {
        Some(errno) => fault(what, which, errno),
        None => Fault::new(&DISK, format!("{what} `{which}`: {e}, success required")),
    }
}

/// One error number → what to do about it.
#[cold]
fn fault(what: &str, which: &str, e: Errno) -> Fault {
    let code = match e {
        Errno::NOSPC | Errno::DQUOT => &DISK_FULL,
        Errno::LOOP | Errno::XDEV | Errno::NOTDIR | Errno::ISDIR => &PATH,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => &DENIED,
        Errno::NAMETOOLONG => &KEY,
        Errno::INVAL | Errno::NOSYS | Errno::NOTSUP => &FILESYSTEM,
        _ => &DISK,
    };
    Fault::new(code, format!("{what} `{which}`: {e}; {}", code.title))
}
