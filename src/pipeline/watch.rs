//! What a run shows of itself: totals for the summary and the progress line, and what `/metrics` tells.
//!
//! Owns: folding the counts of tasks together.
//! Does not own: names and text of metrics (`telemetry`, `server`).
//! Bounded by: the assigned Kafka partitions and the codes there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::System;
use crate::error::Fault;
use crate::pipeline::task::Task;
use crate::position::{Offset, OffsetRange, TopicPartition};
use crate::record::Oddities;
use crate::telemetry::{Phase, Telemetry};

/// Counts of a whole run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    pub records: u64,
    /// Raw bytes of keys and values.
    pub bytes: u64,
    /// Rows in closed data files.
    pub rows: u64,
    pub rejects: BTreeMap<&'static str, u64>,
    pub tombstones: u64,
    /// By id of the schema; 0 for schemas without an id.
    pub oddities: BTreeMap<u32, Oddities>,
    /// Closed data files and their bytes.
    pub files: u64,
    pub file_bytes: u64,
    pub reject_files: u64,
    pub commits: u64,
    pub rewinds: u64,
}

impl Totals {
    pub fn rejected(&self) -> u64 {
        self.rejects.values().sum()
    }
}

/// One Kafka partition as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Offset of the next record to take.
    pub position: Offset,
    /// End offset as last seen.
    pub end: Offset,
    /// Offset up to which all is committed.
    pub committed: Offset,
    pub open_lanes: usize,
    pub memory_bytes: usize,
    /// Records taken since the last seal.
    pub waiting_records: u64,
    /// When the open interval seals, by the steady clock.
    pub seals_at_ms: Option<u64>,
    /// Schema that it waits for.
    pub waits_for: Option<String>,
    /// Kafka's timestamp of the last record taken.
    pub last_timestamp_ms: Option<i64>,
    pub stopped: Option<Fault>,
}

#[derive(Debug, Default)]
struct State {
    totals: Totals,
    views: BTreeMap<TopicPartition, View>,
    raw_bytes: usize,
    uploading_bytes: usize,
}

/// Shared by the poll loop, the workers and whoever shows it.
#[derive(Debug, Default)]
pub struct Watch {
    state: Mutex<State>,
    telemetry: Arc<Telemetry>,
    clock: System,
}

impl Watch {
    /// A watch by this clock.
    pub fn new(clock: System) -> Self {
        Self { clock, ..Self::default() }
    }

    /// What `server` shows.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Counts so far.
    pub fn totals(&self) -> Totals {
        self.lock().totals.clone()
    }

    /// The Kafka partitions that are assigned, or were stopped.
    pub fn views(&self) -> BTreeMap<TopicPartition, View> {
        self.lock().views.clone()
    }

    /// Raw bytes under way, and bytes on their way to the store.
    pub fn in_flight(&self) -> (usize, usize) {
        let state = self.lock();
        (state.raw_bytes, state.uploading_bytes)
    }

    pub(super) fn assigned(&self, tp: &TopicPartition, start: Offset, end: Offset) {
        let view = View {
            position: start,
            end,
            committed: start,
            open_lanes: 0,
            memory_bytes: 0,
            waiting_records: 0,
            seals_at_ms: None,
            waits_for: None,
            last_timestamp_ms: None,
            stopped: None,
        };
        self.lock().views.insert(tp.clone(), view);
        let shown = self.telemetry.partition(tp);
        shown.position.set(start);
        shown.committed.set(start);
        shown.end.set(end);
        shown.commit_time_ms.set(self.clock.now().wall_ms);
    }

    /// Where the process is in its life; the run ends in `Stopping`.
    pub(super) fn phase(&self, phase: Phase) {
        self.telemetry.set_phase(phase);
    }

    pub(super) fn fatal(&self, fault: &Fault) {
        self.telemetry.set_fatal(fault.clone());
    }

    pub(super) fn revoked(&self, tp: &TopicPartition) {
        self.lock().views.remove(tp);
        self.telemetry.forget(tp);
    }

    pub(super) fn stopped(&self, tp: &TopicPartition, fault: &Fault) {
        if let Some(view) = self.lock().views.get_mut(tp) {
            view.stopped = Some(fault.clone());
        }
        self.telemetry.partition(tp).set_stopped(Some(fault.clone()));
    }

    pub(super) fn ends_at(&self, tp: &TopicPartition, end: Offset) {
        if let Some(view) = self.lock().views.get_mut(tp) {
            view.end = end;
            self.telemetry.partition(tp).end.set(end);
        }
    }

    pub(super) fn set_in_flight(&self, raw_bytes: usize, uploading_bytes: usize) {
        let mut state = self.lock();
        state.raw_bytes = raw_bytes;
        state.uploading_bytes = uploading_bytes;
        let open: usize = state.views.values().map(|v| v.memory_bytes).sum();
        let lanes: usize = state.views.values().map(|v| v.open_lanes).sum();
        let process = &self.telemetry.process;
        process.bytes_in_flight.set(raw_bytes as i64);
        process.memory_bytes.set((raw_bytes + open + uploading_bytes) as i64);
        process.lanes_open.set(lanes as i64);
    }

    pub(super) fn committed(&self, tp: &TopicPartition, range: OffsetRange) {
        let mut state = self.lock();
        state.totals.commits += 1;
        if let Some(view) = state.views.get_mut(tp) {
            view.committed = range.end;
        }
        let shown = self.telemetry.partition(tp);
        shown.commits.add(1);
        shown.committed.set(range.end);
        shown.commit_time_ms.set(self.clock.now().wall_ms);
    }

    /// Takes over what a task counted in its last step.
    pub(super) fn stepped(&self, tp: &TopicPartition, task: &mut Task) {
        let counted = task.take_counters();
        let shown = self.telemetry.partition(tp);
        shown.records.add(counted.records);
        shown.record_bytes.add(counted.bytes);
        shown.skipped.add(counted.tombstones);
        shown.dropped(&counted.evolved.dropped);
        shown.switches.add(counted.evolved.switches);
        shown.projected.add(counted.evolved.projected);
        shown.incompatible.add(counted.evolved.unfit);
        shown.open_schemas.set(task.open_schemas() as i64);
        shown.position.set(task.position());
        if let Some(time) = counted.last_timestamp_ms {
            shown.record_time_ms.set(time);
        }
        let mut state = self.lock();
        let totals = &mut state.totals;
        totals.records += counted.records;
        totals.bytes += counted.bytes;
        totals.tombstones += counted.tombstones;
        for (schema_id, oddities) in counted.oddities {
            *totals.oddities.entry(schema_id).or_default() += oddities;
            shown.count_oddities(schema_id, oddities);
        }
        totals.rewinds += counted.rewinds;
        for (code, n) in counted.rejects {
            *totals.rejects.entry(code).or_default() += n;
            shown.reject(code, n);
        }
        for (role, (files, rows, bytes)) in counted.files {
            if role == "data" {
                totals.files += files;
                totals.rows += rows;
                totals.file_bytes += bytes;
                shown.files.add(files);
                shown.rows.add(rows);
                shown.file_bytes.add(bytes);
            } else {
                totals.reject_files += files;
            }
        }
        if let Some(view) = state.views.get_mut(tp) {
            view.position = task.position();
            view.open_lanes = task.open_lanes();
            view.memory_bytes = task.memory();
            view.waiting_records = task.interval_records();
            view.seals_at_ms = task.seals_at_ms();
            view.waits_for = task.waits_for().map(|s| s.to_string());
            view.last_timestamp_ms = counted.last_timestamp_ms.or(view.last_timestamp_ms);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
