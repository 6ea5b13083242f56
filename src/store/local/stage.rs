//! The stage folder: who owns what in it.
//!
//! ```text
//! <root>/_forebay/stage/<owner>/<number>
//! ```
//! Every opened store makes a folder of its own, named by a fresh id, and holds its lock (`flock`)
//! while it lives; the kernel lets go of it when the process dies, however it dies. So what stands in
//! a folder whose lock is free belongs to nobody, except to the commit records that name it.

use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::clock;

use super::sys;

/// Below the root.
pub const FOLDER: &str = "_forebay/stage";

/// Start of the names of files that are no staged ones and hold nothing.
pub const TRY: &str = "try-";

/// This process's folder; dropping it frees the lock.
#[derive(Debug)]
pub struct Owner {
    pub id: String,
    pub folder: OwnedFd,
}

impl Owner {
    /// Makes and locks a folder below `stage`.
    pub fn new(stage: &OwnedFd) -> rustix::io::Result<Self> {
        for _ in 0..8 {
            let id = clock::fresh_id();
            sys::make_folder(stage, &id)?;
            let folder = match sys::open_folder(stage, &id) {
                // Swept between the two calls, as are those below.
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            if sys::try_lock(&folder)? && same(stage, &id, &folder)? {
                return Ok(Self { id, folder });
            }
        }
        Err(Errno::AGAIN)
    }
}

fn same(stage: &OwnedFd, name: &str, folder: &OwnedFd) -> rustix::io::Result<bool> {
    let inode = sys::stat_open(folder)?.inode;
    Ok(sys::stat(stage, name)?.is_some_and(|s| s.inode == inode))
}

/// `<owner>/<file>` → its halves; `None` for what [`Owner`] would not have named.
pub fn split(name: &str) -> Option<(&str, &str)> {
    let (owner, file) = name.split_once('/')?;
    let hex = |s: &str| s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (owner.len() == 32 && file.len() == 16 && hex(owner) && hex(file)).then_some((owner, file))
}

/// Names of the files whose owner is dead.
pub fn orphans(stage: &OwnedFd) -> rustix::io::Result<Vec<String>> {
    let mut orphans = Vec::new();
    for owner in text_names(stage, FileType::Directory)? {
        let Ok(folder) = sys::open_folder(stage, &owner) else { continue };
        // The lock is let go of again: the files stay, and nobody else makes any in there.
        if !sys::try_lock(&folder)? {
            continue;
        }
        for file in text_names(&folder, FileType::RegularFile)? {
            let name = format!("{owner}/{file}");
            if split(&name).is_some() {
                orphans.push(name);
            } else if file.starts_with(TRY) {
                sys::unlink(&folder, &file)?;
            }
        }
        if sys::stat(stage, &owner)?.is_some() {
            // Refused by the kernel unless it is empty.
            let _ = sys::remove_folder(stage, &owner);
        }
    }
    orphans.sort_unstable();
    Ok(orphans)
}

/// Removes one file if its owner is dead, and the folder with its last one.
pub fn sweep(stage: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    let Some((owner, file)) = split(name) else { return Err(Errno::INVAL) };
    let folder = match sys::open_folder(stage, owner) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    if sys::try_lock(&folder)? {
        sys::unlink(&folder, file)?;
        let _ = sys::remove_folder(stage, owner);
    }
    Ok(())
}

fn text_names(folder: &OwnedFd, wanted: FileType) -> rustix::io::Result<Vec<String>> {
    let names = sys::names(folder)?.into_iter().filter(|(_, kind)| *kind == wanted);
    Ok(names.filter_map(|(name, _)| String::from_utf8(name).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staged_name_of_another_form_is_refused() {
        let owner = "0123456789abcdef0123456789abcdef";
        assert!(split(&format!("{owner}/0000000000000001")).is_some());
        for name in ["", "a/b", "../x", &format!("{owner}/.."), &format!("{owner}/../../x"), owner]
        {
            assert_eq!(split(name), None, "{name}");
        }
    }
}
