//! Text ↔ path segment: Hive's `%XX`, made injective, and Connect's raw form.
//!
//! Hive escapes `" # % ' * / : = ? [ \ ] ^ {`, 0x01–0x1F and 0x7F (hive-common `FileUtils`; Spark the
//! same). On top of that we escape what Hive leaves ambiguous or dangerous: NUL, a space at either end,
//! a leading `.` or `_` (readers hide such files), C1 and bidi controls, line separators, the byte order
//! mark and noncharacters (S3 cannot list them). Null and the empty text have tokens, which start with
//! an underscore, as no escaped value does.

use sha2::{Digest, Sha256};

use crate::config::Escape;
use crate::flaw::{Flaw, planted};

/// Stands for null (Hive's own token).
pub const NULL: &str = "__HIVE_DEFAULT_PARTITION__";
/// Stands for the empty text: Spark refuses `name=`, and Hive would take it for null.
pub const EMPTY: &str = "__EMPTY__";
/// What Connect's FieldPartitioner writes for null.
const CONNECT_NULL: &str = "null";
/// Bytes of `~` and 32 hex digits, which end a value that was cut.
const MARK: usize = 33;

/// Longest value in a path, in bytes after escaping.
pub const VALUE_MAX: usize = 256;
/// Longest path component: what local filesystems take.
pub const COMPONENT_MAX: usize = 255;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// True for what is escaped wherever it stands, in hive mode.
fn special(c: char) -> bool {
    match c {
        '[' if planted(Flaw::EscapeOmitted) => false,
        '\0'..='\x1f' | '\x7f' => true,
        '"' | '#' | '%' | '\'' | '*' | '/' | ':' | '=' | '?' | '[' | '\\' | ']' | '^' | '{' => true,
        ' '..='~' => false,
        _ => unseen(c),
    }
}

/// Characters that are invisible, reorder what a reader sees, or cannot stand in XML.
fn unseen(c: char) -> bool {
    matches!(c, '\u{80}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fdd0}'..='\u{fdef}')
        || (c as u32) & 0xfffe == 0xfffe
}

/// True for what would leave the folder or make a key invalid, in connect mode.
fn unsafe_raw(c: char) -> bool {
    matches!(c, '/' | '\0'..='\x1f' | '\x7f'..='\u{9f}') || (c as u32) & 0xfffe == 0xfffe
}

fn push_escaped(c: char, out: &mut String) {
    let mut bytes = [0; 4];
    for &byte in c.encode_utf8(&mut bytes).as_bytes() {
        out.push('%');
        out.push(HEX[usize::from(byte >> 4)] as char);
        out.push(HEX[usize::from(byte & 15)] as char);
    }
}

/// Appends `text`, escaped, but stops before `out` has grown by more than `max` bytes.
/// Returns how many bytes of `text` it took.
fn push_text(escape: Escape, text: &str, max: usize, out: &mut String) -> usize {
    let end = out.len() + max;
    // A text that looks like a cut one must not meet it: its tilde is escaped.
    let tilde = (escape == Escape::Hive && is_cut(text)).then(|| text.len() - MARK);
    for (at, c) in text.char_indices() {
        let last = at + c.len_utf8() == text.len();
        let escaped = match escape {
            Escape::Hive => {
                special(c)
                    || (at == 0 && matches!(c, '.' | '_' | ' '))
                    || (last && c == ' ')
                    || tilde == Some(at)
            }
            Escape::Connect => unsafe_raw(c),
        };
        let before = out.len();
        if escaped {
            push_escaped(c, out);
        } else {
            out.push(c);
        }
        if out.len() > end {
            out.truncate(before);
            return at;
        }
    }
    text.len()
}

/// One whole path component: a topic, or the name before `=`.
pub fn component(escape: Escape, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let escape = if matches!(text, "." | "..") { Escape::Hive } else { escape };
    push_text(escape, text, usize::MAX / 2, &mut out);
    out
}

/// Appends what stands after `name=`. Returns how many bytes of `text` stand before the hash, if the
/// value was cut because it is over `max` bytes when escaped.
pub fn push_value(
    escape: Escape,
    text: Option<&str>,
    max: usize,
    out: &mut String,
) -> Option<usize> {
    let text = match (text, escape) {
        (None, Escape::Hive) => {
            out.push_str(NULL);
            return None;
        }
        (None, Escape::Connect) => {
            out.push_str(CONNECT_NULL);
            return None;
        }
        (Some(""), Escape::Hive) => {
            out.push_str(EMPTY);
            return None;
        }
        (Some(text), _) => text,
    };
    let start = out.len();
    if push_text(escape, text, max, out) == text.len() {
        return None;
    }
    out.truncate(start);
    let taken = push_text(escape, text, max.saturating_sub(MARK), out);
    push_mark(&digest(text), out);
    Some(taken)
}

/// First 128 bits of SHA-256: what `printf %s "$value" | sha256sum` begins with.
pub fn digest(text: &str) -> [u8; 16] {
    let full = Sha256::digest(text.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&full[..16]);
    half
}

/// Appends `~` and 32 lower-case hex digits.
pub fn push_mark(digest: &[u8; 16], out: &mut String) {
    out.push('~');
    super::text::push_hex(digest, out);
}

/// True if `text` ends as a value that was cut does.
pub fn is_cut(text: &str) -> bool {
    let Some(start) = text.len().checked_sub(MARK) else { return false };
    let tail = &text.as_bytes()[start..];
    tail[0] == b'~' && tail[1..].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Reads back what [`component`] or a value in hive mode wrote: `%XX` is a byte. `None` if the bytes
/// are not UTF-8. The tokens are [`value`]'s part.
pub fn unescape(text: &str) -> Option<String> {
    let hex = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, hex(tail.first()), hex(tail.get(1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &tail[2..];
            }
            _ => bytes.push(first),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Reads back the value of a segment in hive mode: outer `None` if it is not UTF-8, inner for null.
/// A value that was cut comes back as its prefix and hash.
pub fn value(text: &str) -> Option<Option<String>> {
    match text {
        NULL => Some(None),
        EMPTY => Some(Some(String::new())),
        _ => unescape(text).map(Some),
    }
}
