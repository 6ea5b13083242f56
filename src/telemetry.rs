//! What a running process says about itself: counters, levels, and whether it is ready.
//!
//! Owns: plain atomics that the data path touches, one set for each assigned Kafka partition; every
//! metric name ([`PARTITION_COUNTERS`] and its neighbours). `server` renders them.
//! Does not own: clocks. Times come in as milliseconds since 1970 from whoever has them.
//! Bounded by: the partitions assigned now; a partition given back takes its series along.
//! Absent: global state. Two pipelines in one process have two of these.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Fault;
use crate::position::TopicPartition;
use crate::record::Oddities;

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A level that comes and goes; unknown until it is set.
#[derive(Debug)]
pub struct Level(AtomicI64);

const UNKNOWN: i64 = i64::MIN;

impl Default for Level {
    fn default() -> Self {
        Self(AtomicI64::new(UNKNOWN))
    }
}

impl Level {
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Keeps the larger of the two.
    pub fn raise(&self, value: i64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|v| *v != UNKNOWN)
    }
}

/// Most columns that are counted by name, so that no schema makes series without end.
pub const DROPPED_MAX: usize = 256;
/// The name of those beyond them.
pub const OTHER_COLUMNS: &str = "(others)";

/// One assigned Kafka partition. Cheap to touch: relaxed atomics, once for each batch.
#[derive(Debug, Default)]
pub struct Partition {
    /// Records read, rejected and skipped ones included.
    pub records: Count,
    /// Bytes of keys, values and headers read.
    pub record_bytes: Count,
    /// Rows written to data files.
    pub rows: Count,
    /// Records left out on purpose: tombstones, recorded skips.
    pub skipped: Count,
    /// Times that rows got the columns of another schema than before: `evolution`.
    pub switches: Count,
    /// Rows in the columns of another schema than their writer's.
    pub projected: Count,
    /// Rows that keep their writer's columns because those of their target do not take them.
    pub incompatible: Count,
    /// Data files published.
    pub files: Count,
    /// Bytes of data files published, as stored.
    pub file_bytes: Count,
    /// Commits made durable.
    pub commits: Count,
    /// Offset of the next record to read.
    pub position: Level,
    /// Offset behind the last published record.
    pub committed: Level,
    /// End of the log as last seen.
    pub end: Level,
    /// Sets of columns with open rows.
    pub open_schemas: Level,
    /// Timestamp of the last record read, ms since 1970.
    pub record_time_ms: Level,
    /// When the last commit became durable (at first: when the partition was assigned), ms since 1970.
    pub commit_time_ms: Level,
    rejects: Mutex<BTreeMap<&'static str, u64>>,
    oddities: Mutex<BTreeMap<u32, Oddities>>,
    dropped: Mutex<BTreeMap<String, u64>>,
    stopped: Mutex<Option<Fault>>,
}

impl Partition {
    /// Counts records that became rows of a reject file.
    pub fn reject(&self, code: &'static str, records: u64) {
        *lock(&self.rejects).entry(code).or_default() += records;
    }

    /// Rejects by code.
    pub fn rejects(&self) -> Vec<(&'static str, u64)> {
        lock(&self.rejects).iter().map(|(code, n)| (*code, *n)).collect()
    }

    /// `schema_id`: 0 for a schema without an id.
    pub fn count_oddities(&self, schema_id: u32, oddities: Oddities) {
        *lock(&self.oddities).entry(schema_id).or_default() += oddities;
    }

    /// Where records and schemas disagree, by id of the schema.
    pub fn oddities(&self) -> Vec<(u32, Oddities)> {
        lock(&self.oddities).iter().map(|(id, o)| (*id, *o)).collect()
    }

    /// Counts rows whose writer has columns that their target has not, by those columns' paths.
    pub fn dropped(&self, rows: &BTreeMap<String, u64>) {
        if rows.is_empty() {
            return;
        }
        let mut dropped = lock(&self.dropped);
        for (column, rows) in rows {
            let full = dropped.len() >= DROPPED_MAX && !dropped.contains_key(column);
            let column = if full { OTHER_COLUMNS } else { column };
            *dropped.entry(column.to_owned()).or_default() += rows;
        }
    }

    /// Those rows by column.
    pub fn dropped_columns(&self) -> BTreeMap<String, u64> {
        lock(&self.dropped).clone()
    }

    /// Marks the partition as stopped, or as going on (`None`).
    pub fn set_stopped(&self, fault: Option<Fault>) {
        *lock(&self.stopped) = fault;
    }

    pub fn stopped(&self) -> Option<Fault> {
        lock(&self.stopped).clone()
    }

    /// Offsets between the position and the end of the log.
    pub fn lag(&self) -> Option<u64> {
        let (end, position) = (self.end.get()?, self.position.get()?);
        Some(end.saturating_sub(position).max(0) as u64)
    }

    /// Milliseconds between `now` and the last record read; 0 where nothing is left to read.
    pub fn lag_ms(&self, now_ms: i64) -> Option<u64> {
        match (self.lag(), self.record_time_ms.get()) {
            (Some(0), _) => Some(0),
            (_, Some(time)) => Some(now_ms.saturating_sub(time).max(0) as u64),
            (_, None) => None,
        }
    }

    /// Milliseconds since the last commit.
    pub fn commit_age_ms(&self, now_ms: i64) -> Option<u64> {
        Some(now_ms.saturating_sub(self.commit_time_ms.get()?).max(0) as u64)
    }
}

/// What the process holds now.
#[derive(Debug, Default)]
pub struct Process {
    /// Raw records between the source and the encoder, in bytes.
    pub bytes_in_flight: Level,
    /// All that counts against `memory_limit`, in bytes.
    pub memory_bytes: Level,
    pub memory_limit_bytes: Level,
    /// Output keys with open rows.
    pub lanes_open: Level,
    /// Files being written.
    pub files_open: Level,
    /// Uploads in progress.
    pub uploads_open: Level,
}

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Not yet a member of the group.
    #[default]
    Starting,
    /// The group has given its first assignment, perhaps an empty one.
    Running,
    /// Flushing before the end.
    Stopping,
}

/// Counts of requests by verb and outcome, as `store` and `registry` keep them.
pub type Requests = dyn Fn() -> Vec<(&'static str, &'static str, u64)> + Send + Sync;

/// Why a process is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `starting`, `stopping`, `partition stopped`, `process stopped`.
    pub what: &'static str,
    pub partition: Option<TopicPartition>,
    pub fault: Option<Fault>,
}

#[derive(Default)]
struct Shared {
    phase: Phase,
    fatal: Option<Fault>,
    partitions: BTreeMap<TopicPartition, Arc<Partition>>,
    store: Option<Arc<Requests>>,
    registry: Option<Arc<Requests>>,
}

/// Everything that a process says about itself. Shared by `Arc`.
#[derive(Default)]
pub struct Telemetry {
    pub process: Process,
    shared: Mutex<Shared>,
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("process", &self.process).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Telemetry {
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of a partition; made where it is new.
    pub fn partition(&self, partition: &TopicPartition) -> Arc<Partition> {
        lock(&self.shared).partitions.entry(partition.clone()).or_default().clone()
    }

    /// The partition went to another member: its series end here.
    pub fn forget(&self, partition: &TopicPartition) {
        lock(&self.shared).partitions.remove(partition);
    }

    /// All of them, by name.
    pub fn partitions(&self) -> Vec<(TopicPartition, Arc<Partition>)> {
        let shared = lock(&self.shared);
        shared.partitions.iter().map(|(tp, p)| (tp.clone(), p.clone())).collect()
    }

    pub fn set_phase(&self, phase: Phase) {
        lock(&self.shared).phase = phase;
    }

    pub fn phase(&self) -> Phase {
        lock(&self.shared).phase
    }

    /// The process as a whole cannot go on.
    pub fn set_fatal(&self, fault: Fault) {
        lock(&self.shared).fatal = Some(fault);
    }

    /// Where request counts of the store come from; asked at each scrape.
    pub fn watch_store(&self, requests: Arc<Requests>) {
        lock(&self.shared).store = Some(requests);
    }

    /// Where request counts of the registry come from; asked at each scrape.
    pub fn watch_registry(&self, requests: Arc<Requests>) {
        lock(&self.shared).registry = Some(requests);
    }

    /// Requests to the store by verb and outcome.
    pub fn store_requests(&self) -> Vec<(&'static str, &'static str, u64)> {
        let watch = lock(&self.shared).store.clone();
        watch.map(|w| w()).unwrap_or_default()
    }

    /// Requests to the registry by verb and outcome.
    pub fn registry_requests(&self) -> Vec<(&'static str, &'static str, u64)> {
        let watch = lock(&self.shared).registry.clone();
        watch.map(|w| w()).unwrap_or_default()
    }

    /// Why this process is not ready; empty where it is.
    pub fn reasons(&self) -> Vec<Reason> {
        let shared = lock(&self.shared);
        let mut reasons = Vec::new();
        let mut say = |what, partition, fault| reasons.push(Reason { what, partition, fault });
        match shared.phase {
            Phase::Starting => say("starting", None, None),
            Phase::Stopping => say("stopping", None, None),
            Phase::Running => {}
        }
        if let Some(fault) = &shared.fatal {
            say("process stopped", None, Some(fault.clone()));
        }
        for (tp, partition) in &shared.partitions {
            if let Some(fault) = partition.stopped() {
                say("partition stopped", Some(tp.clone()), Some(fault));
            }
        }
        reasons
    }
}

/// A metric: its name without prefix, what it says, and how it is read.
pub struct Metric<T: ?Sized, V> {
    pub name: &'static str,
    pub help: &'static str,
    pub read: fn(&T) -> V,
}

/// Prefix of every name.
pub const PREFIX: &str = "forebay";

/// Counters of a Kafka partition (labels `topic`, `partition`); rendered with `_total`.
pub static PARTITION_COUNTERS: &[Metric<Partition, u64>] = &[
    Metric { name: "records", help: "Records read.", read: |p| p.records.get() },
    Metric {
        name: "record_bytes",
        help: "Bytes of keys, values and headers read.",
        read: |p| p.record_bytes.get(),
    },
    Metric { name: "rows", help: "Rows written to data files.", read: |p| p.rows.get() },
    Metric {
        name: "skipped_records",
        help: "Records left out on purpose: tombstones, recorded skips.",
        read: |p| p.skipped.get(),
    },
    Metric {
        name: "target_switches",
        help: "Times that rows got the columns of another schema than before.",
        read: |p| p.switches.get(),
    },
    Metric {
        name: "projected_rows",
        help: "Rows in the columns of another schema than their writer's.",
        read: |p| p.projected.get(),
    },
    Metric {
        name: "incompatible_rows",
        help: "Rows that keep their writer's columns, for those of their target do not take them.",
        read: |p| p.incompatible.get(),
    },
    Metric { name: "files", help: "Data files published.", read: |p| p.files.get() },
    Metric {
        name: "file_bytes",
        help: "Bytes of data files published, as stored.",
        read: |p| p.file_bytes.get(),
    },
    Metric { name: "commits", help: "Commits made durable.", read: |p| p.commits.get() },
];

/// Counter of rejects (labels `topic`, `partition`, `code`).
pub static REJECTS: (&str, &str) =
    ("rejects", "Records that became rows of reject files, by code.");

/// Counters of a schema in a Kafka partition (labels `topic`, `partition`, `schema_id`; 0: a schema without an
/// id); rendered with `_total`, where they are not zero.
pub static SCHEMA_COUNTERS: &[Metric<Oddities, u64>] = &[
    Metric {
        name: "unknown_fields",
        help: "Fields that the schema does not know, by its id.",
        read: |o| o.unknown_fields,
    },
    Metric {
        name: "missing_fields",
        help: "Required fields of Protobuf that did not come, by id of the schema.",
        read: |o| o.missing_fields,
    },
    Metric {
        name: "repeated_keys",
        help: "Keys of a JSON object that came before, by id of the schema.",
        read: |o| o.repeated_keys,
    },
];

/// Counter of rows by column that was left out (labels `topic`, `partition`, `column`).
pub static DROPPED: (&str, &str) = (
    "dropped_column_rows",
    "Rows whose writer has a column that their target has not, by its path.",
);

/// Levels of a Kafka partition; left out while unknown.
pub static PARTITION_LEVELS: &[Metric<Partition, Option<i64>>] = &[
    Metric {
        name: "position_offset",
        help: "Offset of the next record to read.",
        read: |p| p.position.get(),
    },
    Metric {
        name: "committed_offset",
        help: "Offset behind the last published record.",
        read: |p| p.committed.get(),
    },
    Metric { name: "end_offset", help: "End of the log as last seen.", read: |p| p.end.get() },
    Metric {
        name: "lag_offsets",
        help: "Offsets between the position and the end of the log.",
        read: |p| p.lag().map(|lag| i64::try_from(lag).unwrap_or(i64::MAX)),
    },
    Metric {
        name: "open_schemas",
        help: "Sets of columns with open rows.",
        read: |p| p.open_schemas.get(),
    },
    Metric {
        name: "partition_stopped",
        help: "1 where the Kafka partition is stopped and waits for somebody.",
        read: |p| Some(i64::from(p.stopped().is_some())),
    },
];

/// How long ago something was, in ms before the time given; rendered in seconds.
pub type Age = fn(&Partition, i64) -> Option<u64>;

/// Ages of a Kafka partition: name, help, milliseconds at a time. Rendered in seconds.
pub static PARTITION_AGES: &[(&str, &str, Age)] = &[
    (
        "lag_seconds",
        "Time between now and the last record read; 0 where nothing is left to read.",
        Partition::lag_ms,
    ),
    ("commit_age_seconds", "Time since the last commit.", Partition::commit_age_ms),
];

/// Levels of the process; left out while unknown.
pub static PROCESS_LEVELS: &[Metric<Process, Option<i64>>] = &[
    Metric {
        name: "in_flight_bytes",
        help: "Raw records between source and encoder.",
        read: |p| p.bytes_in_flight.get(),
    },
    Metric {
        name: "memory_bytes",
        help: "What counts against the memory limit.",
        read: |p| p.memory_bytes.get(),
    },
    Metric {
        name: "memory_limit_bytes",
        help: "The memory limit.",
        read: |p| p.memory_limit_bytes.get(),
    },
    Metric {
        name: "open_lanes",
        help: "Output keys with open rows.",
        read: |p| p.lanes_open.get(),
    },
    Metric { name: "open_files", help: "Files being written.", read: |p| p.files_open.get() },
    Metric { name: "open_uploads", help: "Uploads in progress.", read: |p| p.uploads_open.get() },
];

/// Counters of requests (labels `verb`, `outcome`).
pub static STORE_REQUESTS: (&str, &str) =
    ("store_requests", "Requests to the store, by verb and outcome.");
/// Counters of requests (labels `verb`, `outcome`).
pub static REGISTRY_REQUESTS: (&str, &str) =
    ("registry_requests", "Requests to the schema registry, by verb and outcome.");
/// CPU time of the process.
pub static CPU: (&str, &str) = ("cpu_seconds", "User and system CPU time of the process.");
/// Always 1; what runs stands in its labels (`version`, `target`).
pub static BUILD: (&str, &str) = ("build_info", "What runs.");
/// 1 where `/readyz` says so.
pub static READY: (&str, &str) = ("ready", "1 where the process is ready, as /readyz says.");

#[cfg(test)]
mod tests {
    use super::*;

    static CODE: crate::error::Code =
        crate::error::Code { id: "FB0999", kind: crate::error::Kind::Halt, title: "t", help: "h" };

    #[test]
    fn lag_needs_both_ends_and_is_never_negative() {
        let partition = Partition::default();
        assert_eq!((partition.lag(), partition.lag_ms(5)), (None, None));
        partition.position.set(10);
        partition.end.set(25);
        assert_eq!(partition.lag(), Some(15));
        assert_eq!(partition.lag_ms(5_000), None);
        partition.record_time_ms.set(2_000);
        assert_eq!(partition.lag_ms(5_000), Some(3_000));
        assert_eq!(partition.lag_ms(1_000), Some(0));
        partition.position.set(30);
        assert_eq!((partition.lag(), partition.lag_ms(5_000)), (Some(0), Some(0)));
    }

    #[test]
    fn readiness_names_every_reason() {
        let telemetry = Telemetry::new();
        let whats = |t: &Telemetry| t.reasons().iter().map(|r| r.what).collect::<Vec<_>>();
        assert_eq!(whats(&telemetry), ["starting"]);
        telemetry.set_phase(Phase::Running);
        assert!(whats(&telemetry).is_empty());
        let tp = TopicPartition::new("t", 1);
        telemetry.partition(&tp).set_stopped(Some(Fault::new(&CODE, "x")));
        telemetry.set_fatal(Fault::new(&CODE, "y"));
        assert_eq!(whats(&telemetry), ["process stopped", "partition stopped"]);
        telemetry.forget(&tp);
        assert_eq!(whats(&telemetry), ["process stopped"]);
    }

    #[test]
    fn names_are_unique_and_of_the_allowed_characters() {
        let mut names: Vec<&str> = PARTITION_COUNTERS.iter().map(|m| m.name).collect();
        names.extend(SCHEMA_COUNTERS.iter().map(|m| m.name));
        names.extend(PARTITION_LEVELS.iter().map(|m| m.name));
        names.extend(PROCESS_LEVELS.iter().map(|m| m.name));
        names.extend(PARTITION_AGES.iter().map(|m| m.0));
        names.extend(
            [REJECTS, DROPPED, STORE_REQUESTS, REGISTRY_REQUESTS, CPU, BUILD, READY].map(|m| m.0),
        );
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        let legal = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(names.iter().all(|name| legal(name) && !name.ends_with("_total")));
    }
}
