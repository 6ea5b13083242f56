//! Somebody who lists and reads all the time, and believes nothing: after every event of a simulated run the
//! promise is recomputed from what is visible, what the chains say and what was sent.
//!
//! Records are read as plain JSON, files by the Parquet library: nothing here asks the program what is right.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use bytes::Bytes;
use forebay::pipeline::simulated::Simulation;
use forebay::position::{Offset, TopicPartition};
use forebay::store::Memory;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// What one record must come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A row in this folder, with this text.
    Row { folder: &'static str, text: String },
    /// A row of a reject file, with these bytes.
    Reject(Vec<u8>),
    /// Nothing.
    Skip,
}

/// Where it reads.
pub(crate) trait Bucket {
    /// Rises with every change that somebody who lists could see.
    fn changes(&self) -> u64;
    fn objects(&self) -> BTreeMap<String, Bytes>;
    /// Whether this upload is neither completed nor aborted.
    fn is_open(&self, upload_id: &str) -> bool;
}

impl Bucket for Memory {
    fn changes(&self) -> u64 {
        Memory::changes(self)
    }

    fn objects(&self) -> BTreeMap<String, Bytes> {
        Memory::objects(self)
    }

    fn is_open(&self, upload_id: &str) -> bool {
        Memory::is_open(self, upload_id)
    }
}

pub(crate) type Sent = BTreeMap<(i32, Offset), Fate>;

/// What was found wrong: the invariant's number and what broke it.
pub(crate) type Wrong = String;

macro_rules! must {
    ($holds:expr, $($why:tt)*) => { if !$holds { return Err(format!($($why)*)); } };
}

/// One record of a chain.
#[derive(Debug)]
struct Linked {
    bytes: Bytes,
    from: Offset,
    to: Offset,
    id: String,
    epoch: u64,
    skipped: Vec<(Offset, Offset)>,
    /// Files that were never seen yet, with their upload ids.
    unseen: BTreeMap<String, String>,
}

/// What a record says of a file.
#[derive(Debug)]
struct Named {
    partition: i32,
    seq: usize,
    bytes: u64,
    crc32: u64,
    rows: u64,
    first: Offset,
    last: Offset,
    commit: String,
}

/// What was read so far.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Records count when Kafka names them.
    kafka: bool,
    changes: u64,
    chains: BTreeMap<i32, Vec<Linked>>,
    named: BTreeMap<String, Named>,
    /// Data files that are visible now, and all that ever were.
    visible: BTreeSet<String>,
    seen: BTreeSet<String>,
    /// How often each offset stands in a file that was visible.
    found: BTreeMap<(i32, Offset), u64>,
}

impl Reader {
    /// A reader of chains whose ends Kafka names.
    pub(crate) fn of_kafka() -> Self {
        Self { kafka: true, ..Self::default() }
    }

    /// Takes in the records that Kafka names since the last look: one at a time, and never one of before.
    fn named_by_kafka(&mut self, run: &Simulation, bucket: &impl Bucket) -> Result<bool, Wrong> {
        let mut objects = None;
        for (tp, (_, text)) in run.committed() {
            let parts: Vec<&str> = text.split(':').collect();
            let (seq, id) = (parts[1].parse::<usize>().unwrap(), parts[3]);
            let chain = self.chains.get(&tp.partition).map_or(&[][..], Vec::as_slice);
            if seq == chain.len() {
                must!(chain[seq - 1].id == id, "I6: {tp}: Kafka names another record {seq}");
                continue;
            }
            must!(seq == chain.len() + 1, "I6: {tp}: Kafka names {seq} after {}", chain.len());
            let objects = objects.get_or_insert_with(|| bucket.objects());
            let leaf = format!("/{}/{seq:020}-{id}.json", tp.partition);
            let found = objects.iter().find(|(key, _)| key.ends_with(&leaf));
            let Some((key, bytes)) = found else { return Err(format!("I6: no record {leaf}")) };
            self.record(&key.replace(&format!("-{id}"), ""), bytes)?;
        }
        Ok(objects.is_some())
    }

    /// Looks at everything that changed since the last look.
    pub(crate) fn look(
        &mut self,
        run: &Simulation,
        bucket: &impl Bucket,
        sent: &Sent,
    ) -> Result<(), Wrong> {
        let named = self.kafka && self.named_by_kafka(run, bucket)?;
        if self.changes != bucket.changes() || named {
            self.changes = bucket.changes();
            let objects = bucket.objects();
            let of_log = |key: &str| key.contains("/log/") && !self.kafka;
            let records: Vec<_> = objects.iter().filter(|(key, _)| of_log(key)).collect();
            let there = records.len();
            for (key, bytes) in records {
                self.record(key, bytes)?;
            }
            let lengths: usize = self.chains.values().map(Vec::len).sum();
            must!(self.kafka || there == lengths, "I6: {there} records are there, {lengths} were");
            self.files(&objects, run, sent)?;
        }
        self.uploads(run, bucket)?;
        for (tp, (offset, _)) in run.committed() {
            let head = self.head(tp.partition);
            must!(*offset <= head, "I8: {tp}: Kafka has {offset}, the chain ends at {head}");
        }
        Ok(())
    }

    fn head(&self, partition: i32) -> Offset {
        self.chains.get(&partition).and_then(|chain| chain.last()).map_or(0, |last| last.to)
    }

    /// I6: dense, linked, contiguous, epochs that never fall; and no record ever changes.
    fn record(&mut self, key: &str, bytes: &Bytes) -> Result<(), Wrong> {
        let (folder, leaf) = key.rsplit_once('/').unwrap();
        let partition: i32 = folder.rsplit_once('/').unwrap().1.parse().unwrap();
        let seq: usize = leaf.strip_suffix(".json").unwrap().parse().unwrap();
        let chain = self.chains.entry(partition).or_default();
        if let Some(known) = seq.checked_sub(1).and_then(|at| chain.get(at)) {
            must!(known.bytes == *bytes, "I6: {key}: the record is another one than before");
            return Ok(());
        }
        must!(seq == chain.len() + 1, "I6: {key}: {} records are before it", chain.len());
        let record: Value = serde_json::from_slice(bytes).unwrap();
        let number = |name: &str| record[name].as_i64().unwrap();
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        let (from, to, epoch) = (number("from"), number("to"), number("epoch") as u64);
        let (prev, before, least) = chain.last().map_or(("", from, 1), |b| (&b.id, b.to, b.epoch));
        must!(record["seq"] == seq, "I6: {key}: seq {}", record["seq"]);
        must!(record["prev"] == prev, "I6: {key}: prev {}, {prev} is before it", record["prev"]);
        must!(from == before && from <= to, "I6: {key}: [{from}, {to}) after {before}");
        must!(epoch >= least, "I6: {key}: epoch {epoch} after {least}");
        let skipped = record["skipped"].as_array().into_iter().flatten();
        let skipped = skipped.map(|s| (s["from"].as_i64().unwrap(), s["to"].as_i64().unwrap()));
        let mut linked = Linked {
            bytes: bytes.clone(),
            from,
            to,
            id: text("id"),
            epoch,
            skipped: skipped.collect(),
            unseen: BTreeMap::new(),
        };
        for file in record["files"].as_array().unwrap() {
            let key = file["key"].as_str().unwrap().to_owned();
            let upload = file["staged"]["s3"]["upload_id"].as_str().unwrap().to_owned();
            let number = |name: &str| file[name].as_u64().unwrap();
            let named = Named {
                partition,
                seq,
                bytes: number("bytes"),
                crc32: number("crc32"),
                rows: number("rows"),
                first: number("first") as i64,
                last: number("last") as i64,
                commit: linked.id.clone(),
            };
            let again = self.named.insert(key.clone(), named);
            must!(again.is_none(), "I2: {key}: named twice");
            linked.unseen.insert(key, upload);
        }
        chain.push(linked);
        Ok(())
    }

    fn files(
        &mut self,
        objects: &BTreeMap<String, Bytes>,
        run: &Simulation,
        sent: &Sent,
    ) -> Result<(), Wrong> {
        let data = |key: &&String| !key.starts_with("_forebay/");
        let now: BTreeSet<String> = objects.keys().filter(data).cloned().collect();
        for key in self.visible.difference(&now) {
            must!(run.stolen().contains_key(key), "I5: {key}: it vanished");
        }
        let new: Vec<String> = now.difference(&self.visible).cloned().collect();
        for key in &new {
            must!(!run.stolen().contains_key(key), "I2: {key}: it was moved away and came back");
            self.file(key, &objects[key], sent).map_err(|wrong| format!("{wrong}: {key}"))?;
            self.seen.insert(key.clone());
        }
        for key in &new {
            let named = &self.named[key];
            let chain = self.chains.get_mut(&named.partition).unwrap();
            chain[named.seq - 1].unseen.remove(key);
        }
        for key in &new {
            let named = &self.named[key];
            let before = &self.chains[&named.partition][..named.seq - 1];
            // Only an end that is not whole is ever looked at: those before it are.
            let hole = before.iter().rev().find_map(|record| record.unseen.keys().next());
            must!(hole.is_none(), "I5: {key} is visible and {hole:?} before it is not");
        }
        self.visible = now;
        Ok(())
    }

    /// I2, I3 and I4: what a file holds, its footer, its record, and what was sent.
    fn file(&mut self, key: &str, bytes: &Bytes, sent: &Sent) -> Result<(), Wrong> {
        let Some(named) = self.named.get(key) else { return Err("I2: no record names it".into()) };
        must!(bytes.len() as u64 == named.bytes, "I2: {} bytes", bytes.len());
        must!(u64::from(crc32fast::hash(bytes)) == named.crc32, "I2: another checksum");
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes.clone())
            .map_err(|e| format!("I5: not readable: {e}"))?;
        let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap().iter();
        let footer: HashMap<&str, &str> =
            pairs.map(|kv| (kv.key.as_str(), kv.value.as_deref().unwrap_or_default())).collect();
        let expected = [
            ("forebay.partition", named.partition.to_string()),
            ("forebay.first_offset", named.first.to_string()),
            ("forebay.last_offset", named.last.to_string()),
            ("forebay.commit", named.commit.clone()),
        ];
        for (name, value) in &expected {
            must!(footer.get(name) == Some(&value.as_str()), "I2: footer {name}: {footer:?}");
        }
        let rejects = footer["forebay.role"] == "reject";
        let mut offsets: Vec<Offset> = Vec::new();
        for batch in reader.build().unwrap() {
            let batch = batch.map_err(|e| format!("I5: not readable: {e}"))?;
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            let of_row = column(if rejects { "offset" } else { "n" });
            let of_row = of_row.as_primitive::<Int64Type>().values().to_vec();
            for (row, offset) in of_row.iter().enumerate() {
                let fate = sent.get(&(named.partition, *offset));
                let same = match fate {
                    Some(Fate::Row { folder, text }) if !rejects => {
                        let found = column("s");
                        key.starts_with(&format!("rows/{folder}/"))
                            && found.as_string::<i32>().value(row) == text
                    }
                    Some(Fate::Reject(value)) if rejects => {
                        let (p, found) = (column("partition"), column("value"));
                        p.as_primitive::<Int32Type>().value(row) == named.partition
                            && found.as_binary::<i32>().value(row) == value
                    }
                    _ => false,
                };
                must!(same, "I3: offset {offset} was sent as {fate:?}");
            }
            offsets.extend(of_row);
        }
        must!(offsets.windows(2).all(|w| w[0] < w[1]), "I4: offsets {offsets:?}");
        let ends = (offsets.first().copied(), offsets.last().copied());
        must!(ends == (Some(named.first), Some(named.last)), "I2: offsets {ends:?}");
        must!(offsets.len() as u64 == named.rows, "I2: {} rows", offsets.len());
        for offset in offsets {
            let times = self.found.entry((named.partition, offset)).or_default();
            *times += 1;
            must!(*times == 1, "I1: duplicate: offset {offset} stands in another file too");
        }
        Ok(())
    }

    /// I7: what a record names is there, or can be published still.
    fn uploads(&self, run: &Simulation, bucket: &impl Bucket) -> Result<(), Wrong> {
        for chain in self.chains.values() {
            for (key, upload) in chain.iter().rev().take(2).flat_map(|record| &record.unseen) {
                let there = bucket.is_open(upload) || run.expired().contains(upload);
                must!(there, "I7: loss: {key} is in a record, and {upload} was thrown away");
            }
        }
        Ok(())
    }

    /// I1, once nothing happens any more.
    pub(crate) fn end(&self, run: &Simulation, sent: &Sent) -> Result<(), Wrong> {
        for ((partition, offset), fate) in sent {
            let tp = TopicPartition::new("rows", *partition);
            let times = self.found.get(&(*partition, *offset)).copied().unwrap_or(0);
            let chain = self.chains.get(partition).map_or(&[][..], Vec::as_slice);
            let inside = |(from, to): &(Offset, Offset)| (*from..*to).contains(offset);
            let skipped = chain.iter().flat_map(|r| &r.skipped).any(inside);
            let of = chain.iter().find(|record| inside(&(record.from, record.to)));
            let lost = of.is_some_and(|record| !record.unseen.is_empty());
            let stopped = run.stopped().contains(&tp);
            // A run without a chain before them starts behind what Kafka had deleted by then.
            let before = chain.first().is_some_and(|first| *offset < first.from);
            let expected = match fate {
                Fate::Skip => 0,
                _ if skipped || before => {
                    must!(*offset < run.low(&tp), "I1: {tp}: {offset} is skipped and was there");
                    0
                }
                // Its uploads were aborted: that stopped the Kafka partition, and no more can be said.
                _ if lost && stopped => times.min(1),
                _ if of.is_some() => 1,
                _ => {
                    must!(stopped, "I10: {tp}: offset {offset} is not reached");
                    0
                }
            };
            must!(times == expected, "I1: {tp}: offset {offset}: {times} times, not {expected}");
        }
        Ok(())
    }
}
