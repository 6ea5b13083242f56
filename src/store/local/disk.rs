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

use crate::crash::{self, Point};
use crate::error::Fault;
use crate::flaw::{Flaw, planted};
use crate::store::{
    BUCKET, DENIED, DISK, DISK_FULL, Entry, FILESYSTEM, FOREIGN, GET_BYTES_MAX, HANDLE, Handle,
    KEY, LOST, PATH, Put, SYNC, Staged, TOO_LARGE, key,
};

use super::seam::{self, Call};
use super::stage::{self, Owner};
use super::sys::{self, Stat};

/// Folders whose names are known to be on disk; beyond this many all are forgotten.
const KNOWN_MAX: usize = 65_536;

/// An open root.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    root: OwnedFd,
    /// The folder that `_forebay` stands in, if it is another one.
    state: Option<OwnedFd>,
    /// None: opened for reading only.
    writer: Option<Writer>,
    next: AtomicU64,
    known: Mutex<HashSet<String>>,
    broken: OnceLock<String>,
}

/// What writing needs.
#[derive(Debug)]
struct Writer {
    stage: OwnedFd,
    owner: Owner,
}

impl Disk {
    /// Opens what is there, and writes nothing, ever.
    pub fn read_only(path: &Path, state: &Path) -> Result<Self, Fault> {
        let root = open_there(path)?;
        let state_open = if state == path { None } else { Some(open_there(state)?) };
        Ok(Self::new(path, root, state_open, None))
    }

    fn new(path: &Path, root: OwnedFd, state: Option<OwnedFd>, writer: Option<Writer>) -> Self {
        Self {
            path: path.to_owned(),
            root,
            state,
            writer,
            next: AtomicU64::new(0),
            known: Mutex::new(HashSet::new()),
            broken: OnceLock::new(),
        }
    }

    fn writer(&self) -> Result<&Writer, Fault> {
        self.writer.as_ref().ok_or_else(|| {
            let path = self.path.display();
            Fault::new(&DENIED, format!("folder `{path}`: opened for reading only"))
        })
    }

    /// Makes the root and the stage where they are missing, and tries the rename that publishing needs.
    ///
    /// Errors: [`FILESYSTEM`] also where the state stands on another filesystem than the files.
    pub fn open(path: &Path, state: &Path) -> Result<Self, Fault> {
        let root = open_root(path)?;
        let state_open = if state == path { None } else { Some(open_root(state)?) };
        let (stage, owner) = open_stage(state_open.as_ref().unwrap_or(&root))
            .map_err(|e| fault("folder", stage::FOLDER, e))?;
        try_rename(&owner.folder)?;
        if state_open.is_some() {
            try_across(&owner.folder, &root, state, path)?;
        }
        Ok(Self::new(path, root, state_open, Some(Writer { stage, owner })))
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
        self.sync_file(&name, at, || file.sync_data())?;
        Ok(Handle::Local { name, inode: 0, mtime_ns: 0 })
    }

    /// As [`Disk::append`] for the last bytes; then the file and its name are on disk.
    pub fn seal(&self, handle: Handle, at: u64, tail: &[u8]) -> Result<Handle, Fault> {
        let (name, file) = self.write(handle, at, tail)?;
        self.sync_file(&name, at, || file.sync_all())?;
        let stat = sys::stat_open(&file).map_err(|e| fault("staged file", &name, e))?;
        let written = at + tail.len() as u64;
        if stat.bytes != written {
            let found = stat.bytes;
            return Err(Fault::new(
                &DISK,
                format!("staged file `{name}`: {found} bytes, {written} written; discard it"),
            ));
        }
        self.sync(&self.writer()?.owner.folder, stage::FOLDER)?;
        Ok(Handle::Local { name, inode: stat.inode, mtime_ns: stat.mtime_ns })
    }

    fn write(&self, handle: Handle, at: u64, bytes: &[u8]) -> Result<(String, File), Fault> {
        let Handle::Local { name, .. } = handle else { return Err(other_store()) };
        let (name, flags) = match name.is_empty() {
            true => (self.new_name(), OFlags::CREATE | OFlags::EXCL),
            false => (name, OFlags::empty()),
        };
        let file = self.open_staged(&name, flags)?;
        if flags.contains(OFlags::CREATE) {
            crash::point(Point::UploadCreated);
        }
        let written = seam::reach(Call::Write, &name).map_err(io::Error::from);
        if let Err(e) = written.and_then(|()| file.write_all_at(bytes, at)) {
            return Err(self.give_up(&name, at, &e));
        }
        Ok((name, file))
    }

    /// Puts what was written to a staged file from `at` on on disk. A failure is told once by the kernel: the
    /// file is good for nothing any more.
    fn sync_file(
        &self,
        name: &str,
        at: u64,
        sync: impl FnOnce() -> io::Result<()>,
    ) -> Result<(), Fault> {
        if planted(Flaw::FileNotSynced) {
            return Ok(());
        }
        let synced = seam::reach(Call::SyncFile, name).map_err(io::Error::from);
        synced.and_then(|()| sync()).map_err(|e| self.give_up(name, at, &e))
    }

    /// The caller learns the name of a file with its first bytes: without them it cannot discard it.
    fn give_up(&self, name: &str, at: u64, e: &io::Error) -> Fault {
        if at == 0 {
            let _ = self.discard(&Handle::Local { name: name.to_owned(), inode: 0, mtime_ns: 0 });
        }
        io_fault("staged file", name, e)
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
            match rename(&stage, file, &target, leaf, &staged.key) {
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
        let folder = match sys::open_folder(&self.writer()?.stage, owner) {
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
        match sys::open_folder(&self.writer()?.stage, owner) {
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
        let target = match self.make(folder) {
            Ok(target) => target,
            Err(fault) => {
                // A full disk is asked again and again: nothing may pile up.
                let _ = self.discard(&handle);
                return Err(fault);
            }
        };
        match rename(&self.writer()?.owner.folder, file, &target, leaf, key) {
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
        if self.writer.is_some() {
            self.sync(&folder_open, folder)?;
        }
        Ok(Some(bytes.into()))
    }

    /// Reads a part of a file that is published; nothing is done by its word, so nothing is synced.
    pub fn range(&self, key: &str, from: u64, len: usize) -> Result<Option<Bytes>, Fault> {
        let (folder, leaf) = split(key);
        let Some(folder) = self.folder(folder)? else { return Ok(None) };
        let file = match sys::open(&folder, leaf, OFlags::RDONLY | OFlags::NONBLOCK) {
            Err(Errno::NOENT) => return Ok(None),
            other => File::from(other.map_err(|e| fault("file", key, e))?),
        };
        let stat = sys::stat_open(&file).map_err(|e| fault("file", key, e))?;
        if stat.kind != FileType::RegularFile {
            return Err(fault("file", key, Errno::NOTDIR));
        }
        let there = usize::try_from(stat.bytes.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(there)];
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, from + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(io_fault("file", key, &e)),
            }
        }
        bytes.truncate(filled);
        Ok(Some(bytes.into()))
    }

    pub fn head(&self, key: &str) -> Result<Option<Entry>, Fault> {
        let (folder, leaf) = split(key);
        let Some(folder) = self.folder(folder)? else { return Ok(None) };
        let stat = sys::stat(folder, leaf).map_err(|e| fault("file", key, e))?;
        let file = stat.filter(|s| s.kind == FileType::RegularFile);
        Ok(file.map(|s| Entry {
            key: key.to_owned(),
            bytes: s.bytes,
            modified_ms: Some(s.mtime_ns / 1_000_000),
        }))
    }

    pub fn delete(&self, key: &str) -> Result<(), Fault> {
        let (folder, leaf) = split(key);
        let Some(open) = self.folder(folder)? else { return Ok(()) };
        sys::unlink(&open, leaf).map_err(|e| fault("file", key, e))?;
        self.sync(&open, folder)
    }

    pub fn list(&self, prefix: &str, after: &str, max: usize) -> Result<Vec<Entry>, Fault> {
        super::list::list(self.base(prefix), prefix, after, max)
            .map_err(|e| fault("folder", prefix, e))
    }

    /// Folders whose path starts with `prefix` up to its next `/`, where a file stands below.
    pub fn folders(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let base = self.base(prefix);
        let found = (|| {
            let mut found = Vec::new();
            for folder in super::list::folders(base, prefix)? {
                if !super::list::list(base, &folder, "", 1)?.is_empty() {
                    found.push(folder);
                }
            }
            found.truncate(crate::store::FOLDERS_MAX);
            Ok(found)
        })();
        found.map_err(|e| fault("folder", prefix, e))
    }

    /// The folder that a path is relative to.
    fn base(&self, path: &str) -> &OwnedFd {
        self.state.as_ref().filter(|_| key::is_of_state(path)).unwrap_or(&self.root)
    }

    pub fn orphans(&self) -> Result<Vec<String>, Fault> {
        stage::orphans(&self.writer()?.stage).map_err(|e| fault("folder", stage::FOLDER, e))
    }

    pub fn sweep(&self, name: &str) -> Result<(), Fault> {
        stage::sweep(&self.writer()?.stage, name).map_err(|e| fault("staged file", name, e))
    }

    fn new_name(&self) -> String {
        let id = self.writer.as_ref().map_or("", |writer| &writer.owner.id);
        format!("{id}/{:016x}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Opens a file of this process's own stage folder for writing.
    fn open_staged(&self, name: &str, flags: OFlags) -> Result<File, Fault> {
        let (owner, file) = stage::split(name).ok_or_else(other_store)?;
        let writer = self.writer()?;
        if owner != writer.owner.id {
            return Err(other_store());
        }
        let reached = match flags.contains(OFlags::CREATE) {
            true => seam::reach(Call::Create, name),
            false => Ok(()),
        };
        let open =
            reached.and_then(|()| sys::open(&writer.owner.folder, file, OFlags::WRONLY | flags));
        open.map(File::from).map_err(|e| fault("staged file", name, e))
    }

    /// An existing folder of the root.
    fn folder(&self, path: &str) -> Result<Option<OwnedFd>, Fault> {
        match sys::open_folder(self.base(path), path) {
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
        let mut at = sys::open_folder(self.base(path), "").map_err(|e| fault("folder", "", e))?;
        let mut end = 0;
        for segment in path.split('/').filter(|s| !s.is_empty()) {
            end = path.len().min(end + usize::from(end > 0) + segment.len());
            let made = seam::reach(Call::MakeFolder, &path[..end])
                .and_then(|()| sys::make_folder(&at, segment))
                .map_err(|e| fault("folder", path, e))?;
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
        if planted(Flaw::FolderNotSynced) {
            return Ok(());
        }
        let synced = seam::reach(Call::SyncFolder, path).and_then(|()| rustix::fs::fsync(folder));
        let Err(e) = synced else { return Ok(()) };
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
        if let Some(Writer { stage, owner }) = &self.writer {
            let _ = sys::remove_folder(stage, &owner.id);
        }
    }
}

/// Makes a root where it is missing, and opens it.
fn open_root(path: &Path) -> Result<OwnedFd, Fault> {
    make_root(path).map_err(|e| root_fault(path, &e))?;
    open_there(path)
}

/// Opens a root that is there.
fn open_there(path: &Path) -> Result<OwnedFd, Fault> {
    let root = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::DIRECTORY | OFlags::CLOEXEC).bits() as i32)
        .open(path);
    Ok(root.map_err(|e| root_fault(path, &e))?.into())
}

/// Whether a file can be renamed from one folder into the other. Asked by a name that is not there: the kernel
/// compares the mounts before it looks for it.
fn try_across(stage: &OwnedFd, root: &OwnedFd, state: &Path, path: &Path) -> Result<(), Fault> {
    let name = format!("{}none", stage::TRY);
    match sys::rename_new(stage, &name, root, &name) {
        Err(Errno::NOENT) | Ok(()) => Ok(()),
        Err(Errno::XDEV) => Err(Fault::new(
            &FILESYSTEM,
            format!(
                "state `{}`: on another filesystem than the files in `{}`, the same one required; files are renamed from one to the other",
                state.display(),
                path.display()
            ),
        )),
        Err(e) => Err(fault("folder", stage::FOLDER, e)),
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

/// [`sys::rename_new`] of a staged file to its key.
fn rename(
    from: impl AsFd,
    name: &str,
    to: impl AsFd,
    new: &str,
    key: &str,
) -> rustix::io::Result<()> {
    seam::reach(Call::Rename, key)?;
    sys::rename_new(from, name, to, new)
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
