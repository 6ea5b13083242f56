//! File names: which log the rows came from, and where in it. Pure.
//!
//! Owns: `<topic>+<kafka partition>+<first offset:020>+<epoch:013>-<h8>.parquet` and its way back.
//! Does not own: folders (`partition`).
//! Bounded by: [`NAME_MAX`] bytes, whatever the topic is called.
//!
//! Names of one Kafka partition sort by first offset. Two runs that reach the same first offset write
//! two names, because their epochs differ: a run never meets a file it did not write.

use crate::position::{Offset, TopicPartition};

/// Longest name, in bytes: local filesystems take 255, and a staged file adds to it.
pub const NAME_MAX: usize = 240;

/// What stands behind `+`, `+`, `+`, `-` and `.parquet` when every number is as long as it can be.
const TAIL_MAX: usize = 1 + 10 + 1 + 20 + 1 + 20 + 1 + 8 + 8;

/// Whose files these are: all that must differ for two writers into one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin<'a> {
    pub pipeline: &'a str,
    /// Id of the Kafka cluster; empty where the brokers do not say.
    pub cluster: &'a str,
    /// Id of the topic; its name where the brokers have no topic ids.
    pub topic: &'a str,
    /// Counts how often the pipeline was told to begin anew.
    pub generation: u64,
}

impl Origin<'_> {
    /// 8 hex digits that differ for different origins: CRC-32 over the parts with their lengths.
    pub fn hash(&self) -> String {
        let mut crc = crc32fast::Hasher::new();
        for part in [self.pipeline, self.cluster, self.topic] {
            crc.update(&(part.len() as u64).to_le_bytes());
            crc.update(part.as_bytes());
        }
        crc.update(&self.generation.to_le_bytes());
        format!("{:08x}", crc.finalize())
    }
}

/// The name of a file, without its folder. `epoch` must rise from run to run (the milliseconds of the
/// start do); `first` is the offset of its first row, 0 or more; `hash` is [`Origin::hash`].
pub fn native(from: &TopicPartition, first: Offset, epoch: u64, hash: &str) -> String {
    let topic = escape(&from.topic);
    format!("{topic}+{}+{first:020}+{epoch:013}-{hash}.parquet", from.partition)
}

/// What a name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native<'a> {
    /// As it stands in the name: escaped, and cut if it was long.
    pub topic: &'a str,
    pub partition: i32,
    pub first: Offset,
    pub epoch: u64,
    pub hash: &'a str,
}

/// Takes a name apart; `None` for a name that [`native`] does not make.
pub fn parse(name: &str) -> Option<Native<'_>> {
    let stem = name.strip_suffix(".parquet")?;
    let (stem, hash) = stem.rsplit_once('-')?;
    let mut parts = stem.split('+');
    let (topic, partition) = (parts.next()?, parts.next()?);
    let (first, epoch) = (parts.next()?, parts.next()?);
    let digits =
        |text: &str, least: usize| text.len() >= least && text.bytes().all(|b| b.is_ascii_digit());
    let hex = hash.len() == 8 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if parts.next().is_some() || topic.is_empty() || !hex || !digits(partition, 1) {
        return None;
    }
    if first.len() != 20 || !digits(first, 20) || !digits(epoch, 13) {
        return None;
    }
    Some(Native {
        topic,
        partition: partition.parse().ok()?,
        first: first.parse().ok()?,
        epoch: epoch.parse().ok()?,
        hash,
    })
}

/// Whether the file with this key is of the chain with this hash.
pub fn is_of(key: &str, hash: &str) -> bool {
    parse(key.rsplit('/').next().unwrap_or(key)).is_some_and(|parts| parts.hash == hash)
}

/// A topic as part of a name: Kafka's own letters stand, a leading `.` or `_` (readers hide such
/// files) and all others become `%XX`; a long one keeps its beginning and a hash, after a `~`.
fn escape(topic: &str) -> String {
    let mut out = String::with_capacity(topic.len());
    for (i, byte) in topic.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => out.push(byte as char),
            b'.' | b'_' if i > 0 => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    let room = NAME_MAX - TAIL_MAX;
    if out.len() > room {
        out.truncate(room - 9);
        out.push_str(&format!("~{:08x}", crc32fast::hash(topic.as_bytes())));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_usual_file_reads_as_designed() {
        let name =
            native(&TopicPartition::new("orders", 3), 918_273, 1_767_312_000_000, "0a1b2c3d");
        assert_eq!(name, "orders+3+00000000000000918273+1767312000000-0a1b2c3d.parquet");
    }

    #[test]
    fn names_sort_by_first_offset_whatever_the_epoch() {
        let tp = TopicPartition::new("orders", 3);
        let name = |first, epoch| native(&tp, first, epoch, "00000000");
        let names = [name(0, 9), name(5, 3), name(5, 4), name(10, 0), name(Offset::MAX, 1)];
        assert!(names.is_sorted(), "{names:?}");
    }

    #[test]
    fn name_taken_apart_gives_what_it_was_made_of() {
        let name = native(&TopicPartition::new("a.b_c-d", 12), Offset::MAX, u64::MAX, "ffffffff");
        let parts = parse(&name).unwrap();
        assert_eq!((parts.topic, parts.partition), ("a.b_c-d", 12));
        assert_eq!((parts.first, parts.epoch, parts.hash), (Offset::MAX, u64::MAX, "ffffffff"));
    }

    #[test]
    fn foreign_names_are_not_taken_apart() {
        for name in [
            "",
            ".parquet",
            "orders+3+0000000123.gz.parquet",
            "part-0000.parquet",
            "a+1+x+0-00000000.parquet",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn longest_topic_gives_a_name_that_disks_take_and_stays_distinct() {
        let (a, b) = ("x".repeat(248) + "a", "x".repeat(248) + "b");
        let name =
            |t: &str| native(&TopicPartition::new(t, i32::MAX), Offset::MAX, u64::MAX, "00000000");
        assert!(name(&a).len() <= NAME_MAX, "{}", name(&a).len());
        assert_ne!(name(&a), name(&b));
    }

    #[test]
    fn topic_that_readers_would_hide_is_escaped() {
        assert!(
            native(&TopicPartition::new("_schemas", 0), 0, 0, "00000000")
                .starts_with("%5Fschemas+0+")
        );
        assert!(native(&TopicPartition::new("..", 0), 0, 0, "00000000").starts_with("%2E.+0+"));
    }

    #[test]
    fn hash_differs_when_letters_move_between_parts() {
        let origin =
            |pipeline, cluster| Origin { pipeline, cluster, topic: "t", generation: 0 }.hash();
        assert_ne!(origin("ab", "c"), origin("a", "bc"));
    }
}
