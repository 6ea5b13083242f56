//! Subject names.

use crate::config::SubjectNameStrategy;
use crate::error::Fault;
use crate::wire::Side;

use super::codes::SUBJECT;

/// The subject of one side of a topic's records: `orders-value`, `shop.Order`, `orders-shop.Order`.
///
/// `record` is the full name of the Protobuf message or Avro record. Error: [`SUBJECT`] where the
/// strategy needs a record name and the schema has none (an Avro primitive).
pub fn subject_name(
    strategy: SubjectNameStrategy,
    topic: &str,
    side: Side,
    record: Option<&str>,
) -> Result<String, Fault> {
    let record = || {
        record.filter(|name| !name.is_empty()).ok_or_else(|| {
            Fault::new(
                &SUBJECT,
                format!("subject of topic `{topic}`: the schema has no record name, one required by the subject name strategy; use strategy `topic`"),
            )
        })
    };
    Ok(match strategy {
        SubjectNameStrategy::Topic => match side {
            Side::Key => format!("{topic}-key"),
            Side::Value => format!("{topic}-value"),
        },
        SubjectNameStrategy::Record => record()?.to_owned(),
        SubjectNameStrategy::TopicRecord => format!("{topic}-{}", record()?),
    })
}

/// A subject with the context it belongs to, as registries write it: `:.context:subject`.
///
/// Gives a referenced subject the context of the subject that refers to it, unless it names its own.
pub(super) fn in_context_of(parent: Option<&str>, subject: &str) -> String {
    let context = |s: &str| -> Option<String> {
        let rest = s.strip_prefix(":.")?;
        let (context, _) = rest.split_once(':')?;
        Some(format!(":.{context}:"))
    };
    match parent.and_then(context) {
        Some(prefix) if !subject.starts_with(":.") => format!("{prefix}{subject}"),
        _ => subject.to_owned(),
    }
}

/// Percent-encodes a subject as one path segment (RFC 3986: only unreserved characters stay).
pub(super) fn path_segment(subject: &str) -> String {
    let mut out = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(byte as char),
            // A segment of dots alone would be taken as `.` or `..` by URL parsers.
            b'.' if subject.bytes().any(|b| b != b'.') => out.push('.'),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.push('%');
                out.push(HEX[usize::from(byte >> 4)] as char);
                out.push(HEX[usize::from(byte & 15)] as char);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_names_follow_the_reference_clients() {
        use SubjectNameStrategy::*;
        let name = |strategy, side, record| subject_name(strategy, "t", side, record);
        assert_eq!(name(Topic, Side::Key, None).unwrap(), "t-key");
        assert_eq!(name(Topic, Side::Value, Some("com.acme.R")).unwrap(), "t-value");
        assert_eq!(name(Record, Side::Value, Some("com.acme.R")).unwrap(), "com.acme.R");
        assert_eq!(name(TopicRecord, Side::Value, Some("com.acme.R")).unwrap(), "t-com.acme.R");
        assert_eq!(name(Record, Side::Value, None).unwrap_err().code.id, "FB0310");
    }

    #[test]
    fn referenced_subject_inherits_the_context() {
        assert_eq!(in_context_of(Some(":.ctx:a"), "b"), ":.ctx:b");
        assert_eq!(in_context_of(Some(":.ctx:a"), ":.other:b"), ":.other:b");
        assert_eq!(in_context_of(Some("a"), "b"), "b");
        assert_eq!(in_context_of(Some(":ctx1:subject1"), "b"), "b");
        assert_eq!(in_context_of(None, "b"), "b");
    }

    #[test]
    fn path_segment_leaves_nothing_for_the_url_parser() {
        assert_eq!(path_segment("a/b c%2F?#é"), "a%2Fb%20c%252F%3F%23%C3%A9");
        assert_eq!(path_segment(".."), "%2E%2E");
        assert_eq!(path_segment("a.b-c_d~e"), "a.b-c_d~e");
    }
}
