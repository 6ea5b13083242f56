//! What a key may be.

use crate::error::Fault;

use super::codes::KEY;

/// Longest key with its prefix, in bytes of UTF-8 (Amazon S3's limit, kept everywhere).
pub const KEY_BYTES_MAX: usize = 1_024;

/// Refuses a key that is empty, too long, or could mean another place than it says.
pub fn check(prefix: &str, key: &str) -> Result<(), Fault> {
    let found = if key.is_empty() {
        "empty"
    } else if prefix.len() + 1 + key.len() > KEY_BYTES_MAX {
        "too long"
    } else if key.contains('\0') {
        "a NUL byte"
    } else if key.split('/').any(str::is_empty) {
        "an empty segment"
    } else if key.split('/').any(|s| s == "." || s == "..") {
        "a segment `.` or `..`"
    } else {
        return Ok(());
    };
    Err(refused(key, found))
}

/// As [`check`], for the prefix of a listing: may be empty or end inside a segment.
pub fn check_prefix(prefix: &str) -> Result<(), Fault> {
    let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
    if prefix.contains('\0') || prefix.starts_with('/') || prefix.len() > KEY_BYTES_MAX {
        return Err(refused(prefix, "no prefix of a key"));
    }
    if folder.is_empty() { Ok(()) } else { check("", folder) }
}

/// Whether a key, or the folder of one, is of the state and not a file's.
pub fn is_of_state(key: &str) -> bool {
    key.strip_prefix(super::STATE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cold]
fn refused(key: &str, found: &str) -> Fault {
    Fault::new(
        &KEY,
        format!(
            "object key `{}`: {found}, 1 to {KEY_BYTES_MAX} bytes of segments with `/` between them required",
            key.escape_debug()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_that_leaves_its_place_is_refused() {
        for key in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "../a", "a\0b"] {
            let fault = check("", key).unwrap_err();
            assert_eq!(fault.code.id, "FB0701", "{key:?}");
        }
        assert!(check("", &"k".repeat(1_024)).is_err());
        assert!(check("p", &"k".repeat(1_022)).is_ok());
        assert!(check("pp", &"k".repeat(1_022)).is_err());
    }

    #[test]
    fn key_of_odd_characters_is_taken() {
        for key in ["a", "a=b/c", "...", "a/..b", "%2e%2e", "a b", "ü,'\"+", "\\", "C:\\", "\n"] {
            assert_eq!(check("", key), Ok(()), "{key:?}");
        }
    }

    #[test]
    fn prefix_may_end_anywhere_but_not_leave() {
        for prefix in ["", "a", "a/", "a/b", "a/.", "a/.."] {
            assert_eq!(check_prefix(prefix), Ok(()), "{prefix:?}");
        }
        for prefix in ["/", "/a", "../", "a/../b", "a//b"] {
            assert!(check_prefix(prefix).is_err(), "{prefix:?}");
        }
    }
}
