//! The GUID of a schema: MD5 of its text and references, shown as a UUID (no version bits set).

use md5::{Digest, Md5};

use crate::registry::client::RefTo;

/// MD5 over the text, then for each reference its name, its subject and its version (four bytes,
/// big-endian). Source: `tests/corpus/registry/guids.json`.
pub(super) fn guid(text: &str, references: &[RefTo]) -> String {
    let mut hash = Md5::new();
    hash.update(text.as_bytes());
    for reference in references {
        hash.update(reference.name.as_bytes());
        hash.update(reference.subject.as_bytes());
        hash.update(reference.version.to_be_bytes());
    }
    uuid::Uuid::from_bytes(hash.finalize().into()).to_string()
}
