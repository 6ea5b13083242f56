//! What a bucket's own rules may do to a pipeline.
//!
//! Owns: which rules take away what the chain of commits still needs.
//! Absent: asking the bucket (`s3`).

use std::time::Duration;

use super::{LIFECYCLE, STATE};
use crate::config::SinkUrl;
use crate::error::Fault;

const DAY: Duration = Duration::from_secs(86_400);

/// An enabled rule, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleRule {
    pub id: String,
    pub bucket: String,
    /// Of the keys that it is for, in the whole bucket.
    pub prefix: String,
    /// Only for objects with certain tags.
    pub tagged: bool,
    /// Unfinished uploads are aborted then.
    pub aborts_after_days: Option<u32>,
    /// Objects are removed at some time.
    pub expires: bool,
    /// Objects go to a class that nobody can read from at once.
    pub freezes: bool,
}

impl LifecycleRule {
    /// What this rule would take away from a pipeline with files at `data`, state at `state`, and commits every
    /// `commit_age`. Codes: [`LIFECYCLE`].
    pub fn findings(&self, data: &SinkUrl, state: &SinkUrl, commit_age: Duration) -> Vec<Fault> {
        let mut found = Vec::new();
        let found_in = |what: &str, required: &str| {
            Fault::new(
                &LIFECYCLE,
                format!(
                    "lifecycle rule `{}` of bucket `{}`: {what}; {required}",
                    self.id, self.bucket
                ),
            )
        };
        if let Some(days) = self.aborts_after_days
            && self.meets(data, "")
            && DAY * days < commit_age * 2
        {
            found.push(found_in(
                &format!(
                    "aborts unfinished uploads after {days} d, {} h required (twice the time between commits)",
                    (commit_age * 2).as_secs().div_ceil(3_600)
                ),
                "raise it, or lower `commit.interval`",
            ));
        }
        // State has no tags.
        if (self.expires || self.freezes) && !self.tagged && self.meets(state, STATE) {
            let does = if self.expires { "expires" } else { "freezes" };
            found.push(found_in(
                &format!("{does} what stands below `{state}/{STATE}`, commit records among it; nothing of it may go"),
                "limit the rule to other prefixes, or set `state` to a place that it leaves alone",
            ));
        }
        found
    }

    /// Whether the rule is for any key below `folder` of that place.
    fn meets(&self, place: &SinkUrl, folder: &str) -> bool {
        let SinkUrl::S3 { bucket, prefix } = place else { return false };
        let parts = [prefix.as_str(), folder].into_iter().filter(|part| !part.is_empty());
        let mut below = parts.collect::<Vec<_>>().join("/");
        if !below.is_empty() {
            below.push('/');
        }
        *bucket == self.bucket
            && (below.starts_with(&self.prefix) || self.prefix.starts_with(&below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> LifecycleRule {
        LifecycleRule {
            id: "r".into(),
            bucket: "lake".into(),
            prefix: String::new(),
            tagged: false,
            aborts_after_days: None,
            expires: false,
            freezes: false,
        }
    }

    fn at(bucket: &str, prefix: &str) -> SinkUrl {
        SinkUrl::S3 { bucket: bucket.into(), prefix: prefix.into() }
    }

    fn count(rule: &LifecycleRule, state: &SinkUrl, hours: u64) -> usize {
        let found = rule.findings(&at("lake", "raw"), state, Duration::from_secs(hours * 3_600));
        assert!(found.iter().all(|fault| fault.code.id == "FB0721"));
        found.len()
    }

    #[test]
    fn uploads_must_outlive_two_commits() {
        let state = at("lake", "raw");
        for (days, hours, findings) in [(1, 12, 0), (1, 13, 1), (2, 24, 0), (1, 24, 1), (7, 24, 0)]
        {
            let rule = LifecycleRule { aborts_after_days: Some(days), ..rule() };
            assert_eq!(count(&rule, &state, hours), findings, "{days} d, {hours} h");
        }
        for (prefix, findings) in [("raw/", 1), ("ra", 1), ("raw/orders/", 1), ("other/", 0)] {
            let rule =
                LifecycleRule { aborts_after_days: Some(1), prefix: prefix.into(), ..rule() };
            assert_eq!(count(&rule, &state, 24), findings, "{prefix}");
        }
    }

    #[test]
    fn state_must_not_expire_or_freeze() {
        let expires = LifecycleRule { expires: true, ..rule() };
        let freezes = LifecycleRule { freezes: true, ..rule() };
        assert_eq!(count(&expires, &at("lake", "raw"), 1), 1);
        assert_eq!(count(&freezes, &at("lake", "raw"), 1), 1);
        // Elsewhere, or by tag: the rule does not reach it.
        assert_eq!(count(&expires, &at("other", "raw"), 1), 0);
        assert_eq!(
            count(&LifecycleRule { tagged: true, ..expires.clone() }, &at("lake", "raw"), 1),
            0
        );
        let below = |prefix: &str| LifecycleRule { prefix: prefix.into(), ..expires.clone() };
        assert_eq!(count(&below("raw/orders/"), &at("lake", "raw"), 1), 0);
        assert_eq!(count(&below("raw/_forebay/orders/"), &at("lake", "raw"), 1), 1);
        assert_eq!(count(&below("raw/_f"), &at("lake", "raw"), 1), 1);
        assert_eq!(count(&below("_forebay/"), &at("lake", ""), 1), 1);
    }
}
