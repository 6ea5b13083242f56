//! Topic names and regular expressions.
//!
//! Owns: what is subscribed to. An expression is a POSIX extended one, matched by the C library as
//! librdkafka does it, over whole names. Topics that start with `__` belong to Kafka and never match.

use std::ffi::CString;

use super::codes::TOPICS;
use crate::config::Topics;
use crate::error::Fault;

/// Kafka's limit for a topic name.
const NAME_MAX: usize = 249;

/// Findings about the topics of a configuration.
pub(super) fn check(topics: &Topics) -> Vec<Fault> {
    match topics {
        Topics::Names(names) if names.is_empty() => {
            vec![
                Fault::new(&TOPICS, "topics: none given, at least one required")
                    .at("source.topics"),
            ]
        }
        Topics::Names(names) => names.iter().filter_map(|name| check_name(name)).collect(),
        Topics::Regex(regex) => match Regex::new(&anchored(regex)) {
            Ok(_) => Vec::new(),
            Err(reason) => {
                vec![Fault::new(&TOPICS, format!("topics `{regex}`: {reason}")).at("source.topics")]
            }
        },
    }
}

fn check_name(name: &str) -> Option<Fault> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let reason = if name.starts_with("__") {
        "a topic of Kafka itself; read another"
    } else if name.starts_with('^') {
        "looks like a regular expression; write it as `source.topics: {regex: …}`"
    } else if name.is_empty() || name.len() > NAME_MAX {
        "1 to 249 characters required"
    } else if name == "." || name == ".." || !name.chars().all(legal) {
        "characters of `[A-Za-z0-9._-]` required"
    } else {
        return None;
    };
    Some(Fault::new(&TOPICS, format!("topic `{name}`: {reason}")).at("source.topics"))
}

/// What librdkafka subscribes to.
pub(super) fn subscription(topics: &Topics) -> Vec<String> {
    match topics {
        Topics::Names(names) => names.clone(),
        Topics::Regex(regex) => vec![anchored(regex)],
    }
}

/// True if a topic of this name is read.
pub(super) fn matches(topics: &Topics, name: &str) -> bool {
    if name.starts_with("__") {
        return false;
    }
    match topics {
        Topics::Names(names) => names.iter().any(|n| n == name),
        Topics::Regex(regex) => Regex::new(&anchored(regex)).is_ok_and(|r| r.matches(name)),
    }
}

/// The expression over whole names; librdkafka knows one by its first `^`.
fn anchored(regex: &str) -> String {
    format!("^({regex})$")
}

/// A compiled POSIX extended regular expression.
struct Regex(libc::regex_t);

impl Drop for Regex {
    fn drop(&mut self) {
        // SAFETY: compiled by `regcomp`, freed once.
        unsafe { libc::regfree(&mut self.0) }
    }
}

impl Regex {
    fn new(text: &str) -> Result<Self, String> {
        let text = CString::new(text).map_err(|_| "holds a zero byte, none allowed".to_owned())?;
        // SAFETY: `regcomp` fills the struct, which may start as zeros; it is kept only on success.
        unsafe {
            let mut regex = std::mem::zeroed::<libc::regex_t>();
            match libc::regcomp(&mut regex, text.as_ptr(), libc::REG_EXTENDED | libc::REG_NOSUB) {
                0 => Ok(Self(regex)),
                _ => Err("not a POSIX extended regular expression; no `\\d`, no look-ahead, brackets and groups closed".to_owned()),
            }
        }
    }

    fn matches(&self, name: &str) -> bool {
        let Ok(name) = CString::new(name) else { return false };
        // SAFETY: a compiled expression and a C string; no groups are asked for.
        unsafe { libc::regexec(&self.0, name.as_ptr(), 0, std::ptr::null_mut(), 0) == 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(text: &str) -> Topics {
        Topics::Regex(text.to_owned())
    }

    #[test]
    fn regex_matches_whole_names_only() {
        assert!(matches(&regex("orders.*"), "orders-eu"));
        assert!(!matches(&regex("orders"), "orders-eu"));
        assert!(matches(&regex("^orders-(eu|us)$"), "orders-us"));
        assert!(matches(&regex("a|b"), "b"));
        assert!(!matches(&regex("a|b"), "bb"));
    }

    #[test]
    fn regex_never_matches_internal_topics() {
        assert!(!matches(&regex(".*"), "__consumer_offsets"));
        assert!(matches(&regex(".*"), "_schemas"));
    }

    #[test]
    fn regex_that_does_not_compile_is_found() {
        let found = check(&regex("orders-(eu"));
        assert_eq!(found.iter().map(|f| f.code.id).collect::<Vec<_>>(), ["FB0505"]);
        assert!(check(&regex("orders-[0-9]+")).is_empty());
    }

    #[test]
    fn names_that_kafka_refuses_are_found() {
        let names = ["", "..", "a b", "__x", "^a", "ok.name_1-2"].map(str::to_owned).to_vec();
        assert_eq!(check(&Topics::Names(names)).len(), 5);
        assert_eq!(check(&Topics::Names(vec![])).len(), 1);
        assert_eq!(check(&Topics::Names(vec!["x".repeat(250)])).len(), 1);
    }
}
