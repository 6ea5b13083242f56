//! Which unfinished uploads are nobody's any more.
//!
//! Owns: the decision. Listing and aborting are `pipeline`'s.
//! Absent: clocks: an upload's age says nothing.
//!
//! Under an own claim of epoch *e*, an upload whose key carries an epoch below *e* can never be published: the
//! commit that names it would have to be recorded before the claim, and then it was published before the claim
//! was made; or after it, and then the claim fences its owner.

use super::rules::Rules;
use crate::file::name;
use crate::position::TopicPartition;

/// What a claim says about names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claimed {
    pub partition: TopicPartition,
    pub epoch: u64,
    /// The last part of this pipeline's file names for the topic.
    pub hash: String,
}

/// Whether an unfinished upload at this key is garbage under one of these claims.
pub fn is_garbage(key: &str, claims: &[Claimed]) -> bool {
    garbage(key, claims, Rules::default())
}

#[doc(hidden)]
pub fn garbage(key: &str, claims: &[Claimed], rules: Rules) -> bool {
    let leaf = key.rsplit('/').next().unwrap_or(key);
    let Some(parts) = name::parse(leaf) else { return false };
    claims.iter().any(|claimed| {
        let Claimed { partition, epoch, hash } = claimed;
        (parts.epoch < *epoch || !rules.janitor_epoch)
            && parts.hash == hash
            && name::native(partition, parts.first, parts.epoch, hash) == leaf
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_names_of_a_lower_epoch_are_garbage() {
        let claimed =
            Claimed { partition: TopicPartition::new("a.b", 3), epoch: 5, hash: "0a1b2c3d".into() };
        let key = |topic: &str, p: i32, epoch: u64, hash: &str| {
            format!("{topic}/k=1/{topic}+{p}+00000000000000000007+{epoch:013}-{hash}.parquet")
        };
        let claims = [claimed];
        assert!(is_garbage(&key("a.b", 3, 4, "0a1b2c3d"), &claims));
        for key in [
            key("a.b", 3, 5, "0a1b2c3d"),
            key("a.b", 3, 6, "0a1b2c3d"),
            key("a.b", 4, 4, "0a1b2c3d"),
            key("a.c", 3, 4, "0a1b2c3d"),
            key("a.b", 3, 4, "0a1b2c3e"),
            "a.b/part-0000.parquet".to_owned(),
        ] {
            assert!(!is_garbage(&key, &claims), "{key}");
        }
    }
}
