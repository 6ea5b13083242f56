//! Rows of one Kafka partition, by lane, until they are files.
//!
//! Owns: which rows wait for which lane, when they are worth an encoder, when a file closes.
//! Does not own: encoding (`file`), names of folders (`partition`), when a commit seals (`task`).
//! Bounded by: [`Lanes::memory`], which `task` holds against its share.
//!
//! Rows are not copied when they arrive: a batch is kept whole, and each lane keeps the positions of
//! its rows. A lane with enough rows gathers them into its file; what is left of a batch whose rows
//! are mostly written is gathered anew (`Lanes::compact`), so that a few slow lanes do not pin the
//! memory of many batches. With thousands of thin lanes this costs eight bytes a row, not an array
//! per column and lane.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use crate::commit::machine::FileId;
use crate::commit::record::{About, Role};
use crate::error::{Code, Fault, Kind};
use crate::evolve::{self, Changes};
use crate::file::learn::Learned;
use crate::file::name::{self, Origin};
use crate::file::{Encoding, FileStats, ParquetFile, Provenance, rotation};
use crate::partition::Keys;
use crate::position::{Offset, TopicPartition};

/// Rows that make a lane write into its file.
const WRITE_ROWS: usize = 8_192;
/// Rows that are worth an encoder when memory is wanted back.
const SPARE_ROWS: usize = 1_024;
/// Bytes of waiting rows at which they are sorted out.
const COMPACT_BYTES: usize = 32 << 20;
/// What a lane costs beside its rows: its names, and the footer and pages of the file that a seal makes
/// of it. A seal holds the files of all lanes at once, so that many thin lanes must seal early.
const LANE_BYTES: usize = 8 << 10;

pub static GATHER: Code = Code {
    id: "FB0910",
    kind: Kind::Bug,
    title: "rows could not be gathered",
    help: "The columns of one lane do not fit each other. Report it with the schema ids in the message; the Kafka partition stops, nothing is lost.",
};

/// How files of a pipeline are made; the same for all its Kafka partitions.
#[derive(Debug)]
pub struct Files {
    pub pipeline: String,
    pub encoding: Encoding,
    pub rotate: crate::config::Rotate,
    /// Bytes of one part; a file that stays smaller is staged in one.
    pub part_bytes: usize,
    /// Id of the Kafka cluster, where it has one.
    pub cluster: Option<String>,
}

/// What to hand to the store, in the order made.
#[derive(Debug)]
pub enum Output {
    /// The next part of a file; the first one opens it.
    Part { file: FileId, key: String, bytes: Bytes },
    /// The last bytes of a file.
    End {
        file: FileId,
        key: String,
        tail: Bytes,
        stats: FileStats,
        role: &'static str,
        about: Box<About>,
    },
}

/// The folder of a lane and the partition values its footer names.
#[derive(Debug, PartialEq, Eq, Hash, Clone)]
pub struct Place {
    pub folder: String,
    pub values: Vec<(String, Option<String>)>,
    pub role: &'static str,
}

/// Finished rows of one group, with what each has beside its columns.
#[derive(Debug)]
pub struct Rows {
    pub group: usize,
    pub rows: RecordBatch,
    pub offsets: Vec<Offset>,
    pub schema_ids: Vec<u32>,
}

/// Groups that are kept from one seal to the next.
const GROUPS_KEPT: usize = 1_024;

/// Columns that may share a file.
#[derive(Debug)]
struct Group {
    columns: SchemaRef,
    record_name: String,
    target: Option<u32>,
    /// By id of the writer's schema: what its rows became.
    changes: BTreeMap<u32, Changes>,
    /// Encodings that suited the last file.
    learned: Option<Learned>,
}

/// A batch of rows, kept until each is in a file.
#[derive(Debug)]
struct Stored {
    rows: RecordBatch,
    offsets: Arc<[Offset]>,
    schema_ids: Arc<[u32]>,
    /// Rows not yet in a file.
    live: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Lane {
    place: Place,
    group: usize,
    /// Batch and row of each waiting row.
    waiting: Vec<(u32, u32)>,
    file: Option<Open>,
}

struct Open {
    id: FileId,
    key: String,
    parquet: ParquetFile,
    provenance: Provenance,
    columns: u32,
    crc: crc32fast::Hasher,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("id", &self.id).field("key", &self.key).finish_non_exhaustive()
    }
}

/// All lanes of one Kafka partition.
#[derive(Debug)]
pub struct Lanes {
    files: Arc<Files>,
    /// Parts of every file name.
    hash: String,
    /// Of the claim under which files are made.
    epoch: u64,
    /// Id of the commit that the open interval becomes.
    commit: String,
    topic_partition: TopicPartition,
    groups: Vec<Group>,
    stored: Vec<Option<Stored>>,
    free: Vec<u32>,
    stored_bytes: usize,
    /// Bytes at which waiting rows are sorted out next.
    compact_at: usize,
    lanes: Vec<Lane>,
    by_place: HashMap<(String, usize), usize>,
    /// Groups with lanes.
    open_groups: HashSet<usize>,
    /// Memory of open files, as of their last write.
    file_memory: usize,
    next_file: FileId,
    /// Files opened since the last seal.
    opened: Vec<FileId>,
}

impl Lanes {
    /// `generation` numbers the assignments of a run: files of a later one get other names and ids.
    pub fn new(files: Arc<Files>, topic_partition: TopicPartition, generation: u64) -> Self {
        Self {
            hash: String::new(),
            topic_partition,
            groups: Vec::new(),
            stored: Vec::new(),
            free: Vec::new(),
            stored_bytes: 0,
            compact_at: COMPACT_BYTES,
            lanes: Vec::new(),
            by_place: HashMap::new(),
            open_groups: HashSet::new(),
            file_memory: 0,
            next_file: generation << 32,
            epoch: 0,
            commit: String::new(),
            opened: Vec::new(),
            files,
        }
    }

    /// What names of files carry from here on: the epoch, and a hash of all that makes another chain. A topic that
    /// was made anew has the same offsets and epochs again.
    pub fn claimed(&mut self, epoch: u64, topic_id: Option<&str>) {
        let origin = Origin {
            pipeline: &self.files.pipeline,
            cluster: self.files.cluster.as_deref().unwrap_or_default(),
            topic: topic_id.unwrap_or(&self.topic_partition.topic),
            generation: 0,
        };
        self.hash = origin.hash();
        self.epoch = epoch;
    }

    /// The commit that files opened from here on belong to.
    pub fn commit_is(&mut self, id: String) {
        self.commit = id;
    }

    /// The last part of this Kafka partition's file names.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The group of rows with these columns, made if it is new. Groups are few: one per distinct set
    /// of columns that a run has met.
    ///
    /// `target`: the schema that the columns are of, if it is not the writer's (0: no one schema).
    pub fn group(&mut self, columns: &SchemaRef, record_name: &str, target: Option<u32>) -> usize {
        let known = self.groups.iter().position(|g| {
            g.record_name == record_name
                && g.target == target
                && evolve::same_columns(&g.columns, columns)
        });
        known.unwrap_or_else(|| {
            self.groups.push(Group {
                columns: columns.clone(),
                record_name: record_name.to_string(),
                target,
                changes: BTreeMap::new(),
                learned: None,
            });
            self.groups.len() - 1
        })
    }

    /// Footers of this group's files say what became of the rows of this schema.
    pub fn note(&mut self, group: usize, schema_id: u32, changes: &Changes) {
        if let Some(group) = self.groups.get_mut(group)
            && !changes.is_empty()
        {
            group.changes.insert(schema_id, changes.clone());
        }
    }

    /// Forgets all groups if they are very many (columns may come with the records) and no lane holds one.
    /// True: what [`Lanes::group`] gave before is void.
    pub fn forget_groups(&mut self) -> bool {
        let forget = self.groups.len() > GROUPS_KEPT && self.lanes.is_empty();
        if forget {
            self.groups.clear();
        }
        forget
    }

    /// Bytes of waiting rows and open files.
    pub fn memory(&self) -> usize {
        self.stored_bytes + self.file_memory + self.lanes.len() * LANE_BYTES
    }

    /// Lanes with rows in this interval.
    pub fn open(&self) -> usize {
        self.lanes.len()
    }

    /// Sets of columns with lanes in this interval.
    pub fn open_groups(&self) -> usize {
        self.open_groups.len()
    }

    /// True for a file opened since the last seal.
    pub fn opened(&self, file: FileId) -> bool {
        self.opened.binary_search(&file).is_ok() // ids rise
    }

    /// Takes a batch in. `of_row` names each row's place ([`Keys::REJECTED`]: none).
    pub fn add(&mut self, rows: Rows, of_row: &[u32], places: impl IntoIterator<Item = Place>) {
        let Rows { group, rows, offsets, schema_ids } = rows;
        // Versions that share a file may note other things of their columns: rows of both are gathered together.
        let columns = self.groups.get(group).map(|group| &group.columns);
        let rows = match columns.map(|columns| evolve::relabel(rows.clone(), columns)) {
            Some(Ok(rows)) => rows,
            _ => rows, // other columns: gathering refuses them
        };
        let lanes: Vec<usize> = places.into_iter().map(|p| self.lane(p, group)).collect();
        let batch = self.free.pop().unwrap_or_else(|| {
            self.stored.push(None);
            (self.stored.len() - 1) as u32
        });
        let mut live = 0;
        for (row, &place) in of_row.iter().enumerate() {
            if place == Keys::REJECTED {
                continue;
            }
            self.lanes[lanes[place as usize]].waiting.push((batch, row as u32));
            live += 1;
        }
        if live == 0 {
            self.free.push(batch);
            return;
        }
        let bytes = rows.get_array_memory_size() + offsets.len() * 12;
        self.stored_bytes += bytes;
        self.stored[batch as usize] = Some(Stored {
            rows,
            offsets: offsets.into(),
            schema_ids: schema_ids.into(),
            live,
            bytes,
        });
    }

    fn lane(&mut self, place: Place, group: usize) -> usize {
        let key = (place.folder, group);
        if let Some(&lane) = self.by_place.get(&key) {
            return lane;
        }
        let lane = self.lanes.len();
        let place = Place { folder: key.0.clone(), values: place.values, role: place.role };
        self.lanes.push(Lane { place, group, waiting: Vec::new(), file: None });
        self.by_place.insert(key, lane);
        self.open_groups.insert(group);
        lane
    }

    /// Writes what is worth writing. Call it after each round of [`Lanes::add`].
    pub fn write_ready(&mut self, out: &mut Vec<Output>) -> Result<(), Fault> {
        for lane in 0..self.lanes.len() {
            if self.lanes[lane].waiting.len() >= WRITE_ROWS {
                self.write(lane, out)?;
            }
        }
        if self.stored_bytes > self.compact_at {
            for lane in 0..self.lanes.len() {
                if self.lanes[lane].waiting.len() >= SPARE_ROWS {
                    self.write(lane, out)?;
                }
            }
            self.compact()?;
            self.compact_at = COMPACT_BYTES.max(self.stored_bytes * 2);
        }
        Ok(())
    }

    /// Closes every lane; the interval is over. Returns the files opened since the last seal.
    pub fn seal(&mut self, out: &mut Vec<Output>) -> Result<Vec<FileId>, Fault> {
        for lane in 0..self.lanes.len() {
            self.write(lane, out)?;
            self.close(lane, out)?;
        }
        self.clear();
        Ok(std::mem::take(&mut self.opened))
    }

    /// Forgets everything that is open. Returns the files that the store may know.
    pub fn drop_all(&mut self) -> Vec<FileId> {
        self.clear();
        std::mem::take(&mut self.opened)
    }

    fn clear(&mut self) {
        self.lanes.clear();
        self.by_place.clear();
        self.open_groups.clear();
        self.stored.clear();
        self.free.clear();
        self.stored_bytes = 0;
        self.file_memory = 0;
        self.compact_at = COMPACT_BYTES;
    }

    /// Gathers the waiting rows of a lane into its file, closing files as they fill up.
    fn write(&mut self, lane: usize, out: &mut Vec<Output>) -> Result<(), Fault> {
        let mut waiting = std::mem::take(&mut self.lanes[lane].waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        // Two schema ids with the same columns share a lane, and each came in its own batch.
        let offset_of = |stored: &[Option<Stored>], (batch, row): (u32, u32)| {
            stored[batch as usize].as_ref().map_or(0, |s| s.offsets[row as usize])
        };
        if !waiting.is_sorted_by_key(|at| offset_of(&self.stored, *at)) {
            waiting.sort_unstable_by_key(|at| offset_of(&self.stored, *at));
        }
        let mut from = 0;
        while from < waiting.len() {
            let room = self.rows_left(lane);
            let to = waiting.len().min(from + WRITE_ROWS.min(room));
            self.write_chunk(lane, &waiting[from..to])?;
            from = to;
            self.hand_out(lane, out)?;
        }
        for (batch, _) in waiting {
            self.release(batch);
        }
        Ok(())
    }

    fn rows_left(&self, lane: usize) -> usize {
        let rows = self.lanes[lane].file.as_ref().map_or(0, |f| f.parquet.rows());
        usize::try_from(rotation::room(&self.files.rotate, rows)).unwrap_or(usize::MAX)
    }

    fn write_chunk(&mut self, lane: usize, at: &[(u32, u32)]) -> Result<(), Fault> {
        let rows = gather(&self.stored, at)?;
        let offset = |&(batch, row): &(u32, u32)| {
            self.stored[batch as usize].as_ref().map_or(0, |s| s.offsets[row as usize])
        };
        let (first, last) = (at.first().map_or(0, offset), at.last().map_or(0, offset));
        // What a new file holds before its first row counts too: closing it takes all of it off.
        let new = self.lanes[lane].file.is_none();
        if new {
            let open = self.open_file(lane, first)?;
            self.lanes[lane].file = Some(open);
        }
        let mut ids = BTreeSet::new();
        let mut previous = None;
        for &(batch, row) in at {
            let id = self.stored[batch as usize].as_ref().map_or(0, |s| s.schema_ids[row as usize]);
            // 0 is no id: a reject without a frame, a tombstone before the first value.
            if previous != Some(id) && id != 0 {
                ids.insert(id);
                previous = Some(id);
            }
        }
        if let Some(open) = &mut self.lanes[lane].file {
            let before = if new { 0 } else { open.parquet.memory() };
            open.parquet.write(&rows)?;
            open.provenance.last = last;
            open.provenance.schema_ids.extend(ids);
            self.file_memory = (self.file_memory + open.parquet.memory()).saturating_sub(before);
        }
        Ok(())
    }

    fn open_file(&mut self, lane: usize, first: Offset) -> Result<Open, Fault> {
        let Lane { place, group, .. } = &self.lanes[lane];
        let group = &self.groups[*group];
        let (columns, encoding) = (group.columns.clone(), &self.files.encoding);
        let parquet = match &group.learned {
            Some(learned) => ParquetFile::with_learned(columns, encoding, learned)?,
            None => ParquetFile::new(columns, encoding)?,
        };
        let name = name::native(&self.topic_partition, first, self.epoch, &self.hash);
        let id = self.next_file;
        self.next_file += 1;
        self.opened.push(id);
        Ok(Open {
            id,
            key: format!("{}/{name}", place.folder),
            columns: evolve::fingerprint(&group.columns),
            crc: crc32fast::Hasher::new(),
            parquet,
            provenance: Provenance {
                pipeline: self.files.pipeline.clone(),
                commit: self.commit.clone(),
                topic_partition: self.topic_partition.clone(),
                first,
                last: first,
                schema_ids: BTreeSet::new(),
                record_name: group.record_name.clone(),
                target: group.target,
                changes: BTreeMap::new(),
                role: place.role,
                partition_values: place.values.clone(),
            },
        })
    }

    /// Hands finished parts to the store, and closes the file if it is full.
    fn hand_out(&mut self, lane: usize, out: &mut Vec<Output>) -> Result<(), Fault> {
        let Some(open) = &mut self.lanes[lane].file else { return Ok(()) };
        let before = open.parquet.memory();
        while let Some(bytes) = open.parquet.take_part(self.files.part_bytes) {
            open.crc.update(&bytes);
            out.push(Output::Part { file: open.id, key: open.key.clone(), bytes });
        }
        self.file_memory = (self.file_memory + open.parquet.memory()).saturating_sub(before);
        let due = rotation::due(&self.files.rotate, open.parquet.rows(), open.parquet.size());
        if due.is_some() { self.close(lane, out) } else { Ok(()) }
    }

    fn close(&mut self, lane: usize, out: &mut Vec<Output>) -> Result<(), Fault> {
        let Some(open) = self.lanes[lane].file.take() else { return Ok(()) };
        self.file_memory = self.file_memory.saturating_sub(open.parquet.memory());
        let group = &mut self.groups[self.lanes[lane].group];
        group.learned = group.learned.take().or_else(|| open.parquet.learned().cloned());
        let Open { id: file, key, parquet, mut provenance, columns, mut crc } = open;
        let ids = provenance.schema_ids.iter();
        let changes = ids.filter_map(|id| Some((*id, group.changes.get(id)?.clone())));
        provenance.changes = changes.collect();
        let (tail, stats) = parquet.finish(&provenance)?;
        crc.update(&tail);
        let role = provenance.role;
        let about = Box::new(About {
            role: if role == "data" { Role::Data } else { Role::Reject },
            crc32: crc.finalize(),
            rows: stats.rows,
            first: provenance.first,
            last: provenance.last,
            values: provenance.partition_values,
            columns,
            target: provenance.target,
            schema_ids: provenance.schema_ids.into_iter().collect(),
        });
        out.push(Output::End { file, key, tail, stats, role, about });
        Ok(())
    }

    fn release(&mut self, batch: u32) {
        if let Some(stored) = &mut self.stored[batch as usize] {
            stored.live -= 1;
            if stored.live == 0 {
                self.stored_bytes -= stored.bytes;
                self.stored[batch as usize] = None;
                self.free.push(batch);
            }
        }
    }

    /// Copies the waiting rows of mostly written batches together, so that the batches can go.
    fn compact(&mut self) -> Result<(), Fault> {
        for group in 0..self.groups.len() {
            let mut at: Vec<(u32, u32)> = Vec::new();
            for lane in self.lanes.iter().filter(|l| l.group == group) {
                at.extend(lane.waiting.iter().copied().filter(|(b, _)| self.is_sparse(*b)));
            }
            if at.is_empty() {
                continue;
            }
            at.sort_unstable_by_key(|&(b, r)| {
                self.stored[b as usize].as_ref().map_or(0, |s| s.offsets[r as usize])
            });
            let moved = self.store_gathered(&at)?;
            let new_row: HashMap<(u32, u32), u32> =
                at.iter().enumerate().map(|(row, old)| (*old, row as u32)).collect();
            for lane in self.lanes.iter_mut().filter(|l| l.group == group) {
                for entry in &mut lane.waiting {
                    if let Some(&row) = new_row.get(entry) {
                        *entry = (moved, row);
                    }
                }
            }
            for (batch, _) in at {
                self.release(batch);
            }
        }
        Ok(())
    }

    /// True for a batch of which less than half the rows still wait.
    fn is_sparse(&self, batch: u32) -> bool {
        self.stored[batch as usize].as_ref().is_some_and(|s| s.live * 2 < s.rows.num_rows())
    }

    fn store_gathered(&mut self, at: &[(u32, u32)]) -> Result<u32, Fault> {
        let rows = gather(&self.stored, at)?;
        let of = |&(batch, row): &(u32, u32)| {
            self.stored[batch as usize]
                .as_ref()
                .map_or((0, 0), |s| (s.offsets[row as usize], s.schema_ids[row as usize]))
        };
        let (offsets, ids): (Vec<_>, Vec<_>) = at.iter().map(of).unzip();
        let bytes = rows.get_array_memory_size() + offsets.len() * 12;
        self.stored_bytes += bytes;
        let stored = Some(Stored {
            live: rows.num_rows(),
            rows,
            offsets: offsets.into(),
            schema_ids: ids.into(),
            bytes,
        });
        match self.free.pop() {
            Some(slot) => {
                self.stored[slot as usize] = stored;
                Ok(slot)
            }
            None => {
                self.stored.push(stored);
                Ok((self.stored.len() - 1) as u32)
            }
        }
    }
}

/// The rows at these positions, in this order, as one batch.
fn gather(stored: &[Option<Stored>], at: &[(u32, u32)]) -> Result<RecordBatch, Fault> {
    let fault = |e: &dyn std::fmt::Display| {
        Fault::new(&GATHER, format!("{} waiting rows: {e}, one set of columns required", at.len()))
    };
    let (first, last) = match (at.first(), at.last()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => return Err(fault(&"no rows")),
    };
    // The rows of a lane that takes whole batches stand side by side: no copy.
    let side_by_side = first.0 == last.0
        && (last.1.wrapping_sub(first.1)) as usize == at.len() - 1
        && at.windows(2).all(|w| w[0].0 == w[1].0 && w[0].1 + 1 == w[1].1);
    if side_by_side && let Some(batch) = &stored[first.0 as usize] {
        return Ok(batch.rows.slice(first.1 as usize, at.len()));
    }
    let mut dense: HashMap<u32, usize> = HashMap::new();
    let mut batches: Vec<&RecordBatch> = Vec::new();
    let mut indices = Vec::with_capacity(at.len());
    let mut previous: Option<(u32, usize)> = None;
    for &(batch, row) in at {
        let slot = match previous {
            Some((same, slot)) if same == batch => slot,
            _ => *dense.entry(batch).or_insert_with(|| {
                batches.extend(stored[batch as usize].as_ref().map(|s| &s.rows));
                batches.len() - 1
            }),
        };
        previous = Some((batch, slot));
        indices.push((slot, row as usize));
    }
    interleave_record_batch(&batches, &indices).map_err(|e| fault(&e))
}
