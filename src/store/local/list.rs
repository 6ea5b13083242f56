//! Listing in the order of the keys' bytes, which is not the order of folders: `a.b` < `a/b`.

use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use rustix::io::{Errno, Result};

use crate::store::Entry;

use super::sys;

/// Folders below folders; a path of `PATH_MAX` bytes has no more.
const DEPTH_MAX: usize = 2_048;

/// At most `max` files whose keys start with `prefix` and are greater than `after`. Holds the names of the folders on one path, not of the whole tree. What is no
/// plain file is left out, links among them; names that are not UTF-8 are shown with U+FFFD.
pub fn list(root: &OwnedFd, prefix: &str, after: &str, max: usize) -> Result<Vec<Entry>> {
    let start = prefix.rfind('/').map_or("", |end| &prefix[..=end]);
    let mut found = Vec::new();
    let mut stack = vec![read(root, start)?];
    while let Some(names) = stack.last_mut() {
        if found.len() >= max {
            break;
        }
        let Some(name) = names.pop() else {
            stack.pop();
            continue;
        };
        if name.ends_with('/') {
            let below = name.starts_with(prefix) || prefix.starts_with(&name);
            let reached = *name > *after || after.starts_with(&name);
            if below && reached && stack.len() < DEPTH_MAX {
                let names = read(root, &name)?;
                stack.push(names);
            }
        } else if name.starts_with(prefix)
            && *name > *after
            && let Some((bytes, modified_ms)) = stat(root, &name)?
        {
            found.push(Entry { key: name, bytes, modified_ms });
        }
    }
    Ok(found)
}

/// Paths of folders that start with `prefix` and go on to its next `/`, each with it, in order.
pub fn folders(root: &OwnedFd, prefix: &str) -> Result<Vec<String>> {
    let start = prefix.rfind('/').map_or("", |end| &prefix[..=end]);
    let mut names = read(root, start)?;
    names.retain(|name| name.ends_with('/') && name.starts_with(prefix));
    names.reverse();
    Ok(names)
}

/// Keys of a folder's files, and of its folders with a `/` at the end, greatest first.
fn read(root: &OwnedFd, folder: &str) -> Result<Vec<String>> {
    let opened = match sys::open_folder(root, folder.trim_end_matches('/')) {
        // Removed meanwhile, or a listing of what never was.
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for (name, kind) in sys::names(opened)? {
        let name = String::from_utf8_lossy(&name);
        match kind {
            FileType::Directory => names.push(format!("{folder}{name}/")),
            FileType::RegularFile => names.push(format!("{folder}{name}")),
            _ => {}
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

/// Size and time of a file that is still there, 0 for one whose name cannot be said as text.
fn stat(root: &OwnedFd, key: &str) -> Result<Option<(u64, Option<i64>)>> {
    let (folder, leaf) = key.rsplit_once('/').unwrap_or(("", key));
    let opened = match sys::open_folder(root, folder) {
        Err(Errno::NOENT) => return Ok(None),
        other => other?,
    };
    match sys::stat(opened, leaf)? {
        Some(stat) => Ok(Some((stat.bytes, Some(stat.mtime_ns / 1_000_000)))),
        None if leaf.contains('\u{fffd}') => Ok(Some((0, None))),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_after_any_key_goes_on_in_byte_order() {
        let root = tempfile::tempdir().unwrap();
        let mut keys = ["a-/x", "a.b", "a/1", "a/b.c", "a/b/c", "a/b/d", "a0", "b/.h", "ä"];
        for key in keys {
            let path = root.path().join(key);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, key).unwrap();
        }
        std::os::unix::fs::symlink("a0", root.path().join("link")).unwrap();
        keys.sort_unstable();
        let fd = OwnedFd::from(std::fs::File::open(root.path()).unwrap());
        for prefix in ["", "a", "a/", "a/b", "a/b/", "none/", "b/.", "a0/", "a.b/x"] {
            for after in ["", "a", "a/", "a/1", "a/b/c", "a0", "b", "zz", "ä"] {
                for max in [1, 2, 100] {
                    let wanted = |k: &&str| k.starts_with(prefix) && *k > after;
                    let expected: Vec<_> = keys.into_iter().filter(wanted).take(max).collect();
                    let found = list(&fd, prefix, after, max).unwrap();
                    let found: Vec<_> = found.iter().map(|e| e.key.as_str()).collect();
                    assert_eq!(found, expected, "`{prefix}` after `{after}`, {max}");
                }
            }
        }
    }
}
