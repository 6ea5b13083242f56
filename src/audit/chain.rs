//! One chain: records in the order of their places, and what they add up to.
//!
//! Source: the promise of the commit protocol, as ARCHITECTURE.md states it: places dense, each record naming the
//! one before it, epochs that never fall, offsets without gap or overlap.

use std::collections::{BTreeMap, HashSet};

use sha2::{Digest, Sha256};

use super::finding::{Class, Findings, Place};
use crate::commit::record::{self, File, Kind, Record, Role, Skipped};
use crate::error::Fault;
use crate::position::{Offset, OffsetRange};

/// Offsets that the chain moved past on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    pub range: OffsetRange,
    pub why: String,
    pub seq: u64,
}

/// A move of the chain's end by an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    pub seq: u64,
    pub from: Offset,
    pub to: Offset,
    pub why: String,
}

/// What the next record must follow.
#[derive(Debug, Clone)]
struct Before {
    seq: u64,
    id: String,
    epoch: u64,
    to: Offset,
}

/// A chain while it is read, and its sums afterwards.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    /// Its folder below the state, with the `/`.
    pub folder: String,
    pub topic: String,
    pub topic_id: Option<String>,
    /// The topic's id as the folder has it.
    folder_id: String,
    pub partition: i32,
    /// Records read.
    pub records: u64,
    /// Places that the listing shows: the first one read and the last.
    pub first_seq: u64,
    pub head_seq: u64,
    pub head_id: String,
    pub epoch: u64,
    /// Where the first record read begins; the chain's start unless only its end was read.
    pub start: Option<Offset>,
    /// End of the last record.
    pub committed_to: Option<Offset>,
    /// Begin of the last record that has files.
    head_from: Option<Offset>,
    pub rows: u64,
    pub rejects: u64,
    pub data_files: u64,
    pub reject_files: u64,
    pub bytes: u64,
    /// Offsets of all commits.
    pub offsets: u64,
    pub skipped: Vec<Skip>,
    pub resets: Vec<Reset>,
    pub claims: u64,
    /// When the last commit was recorded, by the store's clock.
    pub last_commit_ms: Option<i64>,
    /// Least and greatest time of its records.
    pub times_ms: Option<(i64, i64)>,
    /// Places whose files a repair wrote anew, with the rows and rejects that it brought back.
    pub repaired: BTreeMap<u64, (u64, u64)>,
    /// Named files that are not there.
    pub removed: u64,
    pub pending: u64,
    pub undecided: u64,
    /// Where Kafka decides: ids of the records, which stand in their keys.
    pub names: BTreeMap<u64, String>,
    before: Option<Before>,
    /// Offsets whose records could not be read; the last such range may have no end yet.
    holes: Vec<OffsetRange>,
    hole: Option<Offset>,
    /// First bytes of the SHA-256 of the records' ids.
    ids: HashSet<u64>,
}

fn hash(id: &str) -> u64 {
    Sha256::digest(id.as_bytes()).iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

impl Chain {
    /// `seqs`: the first place to be read and the last one there is. `topic` until a record says it.
    pub fn new(folder: &str, seqs: (u64, u64)) -> Self {
        let mut parts = folder.trim_end_matches('/').rsplit('/');
        let partition = parts.next().and_then(|p| p.parse().ok()).unwrap_or(-1);
        let (topic, id) = parts.next().and_then(|t| t.rsplit_once('~')).unwrap_or_default();
        Self {
            folder: folder.to_owned(),
            topic: topic.to_owned(),
            folder_id: id.to_owned(),
            partition,
            first_seq: seqs.0,
            head_seq: seqs.1,
            ..Self::default()
        }
    }

    /// Whether it may be of the topic with this id; one that was begun without an id may be of any.
    pub fn may_be_of(&self, topic_id: &str) -> bool {
        self.folder_id == record::folder_id(None)
            || self.folder_id == record::folder_id(Some(topic_id))
    }

    pub fn place(&self, seq: u64) -> Place {
        Place {
            topic: Some(self.topic.clone()),
            partition: Some(self.partition),
            chain: Some(self.folder.clone()),
            seq: Some(seq),
            ..Place::default()
        }
    }

    pub fn key(&self, seq: u64) -> String {
        match self.names.get(&seq) {
            Some(id) => format!("{}{seq:020}-{id}.json", self.folder),
            None => format!("{}{seq:020}.json", self.folder),
        }
    }

    /// What follows cannot be held against what was before.
    fn breaks(&mut self) {
        self.before = None;
        self.hole.get_or_insert(self.committed_to.unwrap_or_default());
    }

    /// Whether the record that would hold this offset could not be read.
    pub fn is_lost(&self, offset: Offset) -> bool {
        self.holes.iter().any(|hole| (hole.start..hole.end).contains(&offset))
            || self.hole.is_some_and(|from| offset >= from)
    }

    /// Nothing stands at this place, and something after it.
    pub fn missing(&mut self, seq: u64, out: &mut Findings) {
        self.breaks();
        let message = format!(
            "commit record {seq} of `{}-{}`: none, one required as there is a record {}",
            self.topic, self.partition, self.head_seq
        );
        out.add(Class::RecordMissing, self.place(seq).key(&self.key(seq)), message);
    }

    /// What stands at this place is none.
    pub fn unreadable(&mut self, seq: u64, fault: &Fault, out: &mut Findings) {
        self.breaks();
        let place = self.place(seq).key(&self.key(seq));
        out.add(Class::RecordUnreadable, place, format!("commit record {seq}: {fault}"));
    }

    /// The record at the next place. `modified_ms`: when it was put there. False: it is not of this chain, and
    /// its files are not to be counted.
    pub fn record(
        &mut self,
        seq: u64,
        record: &Record,
        modified_ms: Option<i64>,
        out: &mut Findings,
    ) -> bool {
        let identity = &record.identity;
        let folder = record::chain_folder(identity);
        if folder != self.folder || record.seq != seq {
            let message = format!(
                "commit record {seq}: it says it is record {} of `{folder}`, its own place required",
                record.seq
            );
            out.add(Class::RecordMisplaced, self.place(seq).key(&self.key(seq)), message);
            self.breaks();
            return false;
        }
        (self.topic, self.topic_id) = (identity.topic.clone(), identity.topic_id.clone());
        if let Some(start) = self.hole.take() {
            self.holes.push(OffsetRange { start, end: record.from });
        }
        self.follow(record, out);
        self.sum(record, out);
        self.count(record, modified_ms);
        true
    }

    /// Whether a record of this id was read.
    pub fn knows(&self, id: &str) -> bool {
        self.ids.contains(&hash(id))
    }

    /// Only to know what the first record to be read must follow.
    pub fn begin_after(&mut self, record: &Record) {
        self.before = Some(Before::of(record));
    }

    fn follow(&mut self, record: &Record, out: &mut Findings) {
        let Some(before) = self.before.replace(Before::of(record)) else { return };
        let Record { seq, prev, epoch, from, .. } = record;
        let place = self.place(*seq).key(&self.key(*seq));
        if *prev != before.id {
            let message = format!(
                "commit record {seq}: prev `{prev}`, `{}` required, the id of record {}",
                before.id, before.seq
            );
            out.add(Class::LinkBroken, place.clone(), message);
        }
        if *epoch < before.epoch {
            let message = format!(
                "commit record {seq}: epoch `{epoch}`, at least `{}` required",
                before.epoch
            );
            out.add(Class::EpochFalls, place.clone(), message);
        }
        if record.kind == Kind::Reset {
            let why = record.note.clone().unwrap_or_default();
            self.resets.push(Reset { seq: *seq, from: before.to, to: record.to, why });
            return;
        }
        let class = match from.cmp(&before.to) {
            std::cmp::Ordering::Equal => return,
            std::cmp::Ordering::Greater => Class::RangeGap,
            std::cmp::Ordering::Less => Class::RangeOverlap,
        };
        let place = Place { offset: Some((*from).min(before.to)), ..place };
        let message = format!(
            "commit record {seq}: offsets from `{from}`, from `{}` required, where record {} ends",
            before.to, before.seq
        );
        out.add(class, place, message);
    }

    /// Counts of the record against those of its files and its offsets.
    fn sum(&self, record: &Record, out: &mut Findings) {
        let rows = |role: Role| -> u64 {
            let files = record.files.iter().filter(|file| file.about.role == role);
            files.fold(0, |sum: u64, file| sum.saturating_add(file.about.rows))
        };
        let (rows, rejects) = (rows(Role::Data), rows(Role::Reject));
        let place = || self.place(record.seq).key(&self.key(record.seq));
        if (rows, rejects) != (record.rows, record.rejects) {
            let message = format!(
                "commit record {}: {} rows and {} rejects, {rows} and {rejects} required, as its files have",
                record.seq, record.rows, record.rejects
            );
            return out.add(Class::RowsWrong, place(), message);
        }
        let range = record.range().len();
        if record.kind == Kind::Commit && rows.saturating_add(rejects) > range {
            let message = format!(
                "commit record {}: {rows} rows and {rejects} rejects, at most the {range} offsets of {} required",
                record.seq,
                record.range()
            );
            return out.add(Class::RowsWrong, place(), message);
        }
        for file in &record.files {
            let about = &file.about;
            let span = OffsetRange { start: about.first, end: about.last.saturating_add(1) }.len();
            if about.rows > span {
                let message = format!(
                    "file `{}`: {} rows, at most {span} required from offset `{}` to `{}`",
                    file.key, about.rows, about.first, about.last
                );
                out.add(Class::RowsWrong, self.place(record.seq).key(&file.key), message);
            }
        }
    }

    fn count(&mut self, record: &Record, modified_ms: Option<i64>) {
        self.records += 1;
        self.ids.insert(hash(&record.id));
        self.epoch = record.epoch;
        if record.seq == self.head_seq {
            self.head_id.clone_from(&record.id);
        }
        self.start.get_or_insert(record.from);
        self.committed_to = Some(record.to);
        self.skipped.extend(record.skipped.iter().map(|Skipped { from, to, why }| Skip {
            range: OffsetRange { start: *from, end: *to },
            why: why.clone(),
            seq: record.seq,
        }));
        for file in &record.files {
            match file.about.role {
                Role::Data => self.data_files += 1,
                Role::Reject => self.reject_files += 1,
            }
            self.bytes = self.bytes.saturating_add(file.bytes);
        }
        match record.kind {
            Kind::Commit => {
                self.rows = self.rows.saturating_add(record.rows);
                self.rejects = self.rejects.saturating_add(record.rejects);
                let passed =
                    record.skipped.iter().map(|s| s.to.saturating_sub(s.from).max(0) as u64);
                let held = record.range().len().saturating_sub(passed.sum());
                self.offsets = self.offsets.saturating_add(held);
                self.last_commit_ms = modified_ms.or(self.last_commit_ms);
                self.head_from = Some(record.from);
                let times = record.min_ms.zip(record.max_ms);
                self.times_ms = match (self.times_ms, times) {
                    (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                    (a, b) => a.or(b),
                };
            }
            Kind::Claim => self.claims += 1,
            Kind::Repair => {
                let (rows, rejects) = rows(&record.files);
                if let Some(seq) = record.repairs {
                    let back = self.repaired.entry(seq).or_default();
                    *back = (back.0.saturating_add(rows), back.1.saturating_add(rejects));
                }
            }
            Kind::Void | Kind::Reset => {}
        }
    }

    /// Whether a repair of this place brought back as many rows and rejects as these files held.
    pub fn is_back<'a>(&self, seq: u64, files: impl IntoIterator<Item = &'a File>) -> bool {
        let lost = rows(files);
        self.repaired.get(&seq).is_some_and(|back| lost.0 <= back.0 && lost.1 <= back.1)
    }

    /// Offset up to which everything is published; what was removed since counts as published.
    pub fn published_to(&self) -> Option<Offset> {
        match self.pending + self.undecided {
            0 => self.committed_to,
            _ => self.head_from.or(self.committed_to),
        }
    }

    /// Offsets of commits that made neither row nor reject: tombstones left out, transaction markers, offsets
    /// that compaction removed.
    pub fn offsets_without_rows(&self) -> u64 {
        self.offsets.saturating_sub(self.rows.saturating_add(self.rejects))
    }
}

/// Rows and rejects in these files.
fn rows<'a>(files: impl IntoIterator<Item = &'a File>) -> (u64, u64) {
    files.into_iter().fold((0, 0), |(rows, rejects): (u64, u64), file| match file.about.role {
        Role::Data => (rows.saturating_add(file.about.rows), rejects),
        Role::Reject => (rows, rejects.saturating_add(file.about.rows)),
    })
}

impl Before {
    fn of(record: &Record) -> Self {
        Self { seq: record.seq, id: record.id.clone(), epoch: record.epoch, to: record.to }
    }
}
