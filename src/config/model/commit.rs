//! When and how commits happen.

use super::*;

/// When all files of a Kafka partition close and become visible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Since the first record; longer than any schedule where only that is set.
    pub interval: Duration,
    /// By the clock on the wall.
    pub schedule: Option<Schedule>,
    /// Without a record.
    pub idle: Option<Duration>,
    pub rows: Option<u64>,
    /// Raw bytes consumed.
    pub bytes: Option<u64>,
    /// Offsets that Kafka has deleted before they were committed are skipped, and the chain says so.
    pub skip_lost_offsets: bool,
    /// A topic that was made anew begins a new chain.
    pub restart_recreated: bool,
    /// A log that ends before the chain: the chain's end is set back to it, and says so.
    pub reset_truncated: bool,
    /// A committed offset of the group beyond the chain means nothing.
    pub ignore_group_ahead: bool,
    pub authority: Authority,
    /// Where Kafka is the authority and says nothing: go on at the one end that the records have.
    pub adopt_lost_authority: bool,
    /// Of the records and the `format` object that are written.
    pub record_version: u32,
}

/// Where a commit is decided.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// In the store: by the create-only put of its record.
    #[default]
    Store,
    /// In Kafka: by the group's committed offset, whose text names its record.
    Kafka,
}

impl Authority {
    /// As the configuration has it.
    pub fn name(self) -> &'static str {
        match self {
            Authority::Store => "store",
            Authority::Kafka => "kafka",
        }
    }
}

impl Commit {
    /// Longest time from a record's arrival to its commit, but for what delays everything.
    pub fn age_max(&self) -> Duration {
        match &self.schedule {
            Some(schedule) => self.interval.min(schedule.every),
            None => self.interval,
        }
    }
}

/// Times of a day at which commits seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Since midnight; at most a day.
    pub every: Duration,
    pub zone: jiff::tz::TimeZone,
}
