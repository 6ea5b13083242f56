//! Records of one Kafka partition → rows in decoders → lanes, or rejects.
//!
//! Owns: which decoder a record goes to, what is known of its schema, partitioning of finished
//! batches.
//! Does not own: when to flush, what a missing schema means for the Kafka partition (`task`).
//! Bounded by: the caller flushes at [`Intake::rows`].

mod origin;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use crate::clock::Now;
use crate::config::{Format, Tombstones};
use crate::decode::{Decoder, Plan};
use crate::error::{Code, Fault, Kind, Reject};
use crate::file::reject::RejectRows;
use crate::partition::{Bound, Context};
use crate::pipeline::breaker::{Breaker, Verdict};
use crate::pipeline::lanes::{Lanes, Place, Rows};
use crate::pipeline::task::Settings;
use crate::position::{Offset, TopicPartition};
use crate::record::{self, Record, Timestamp};
use crate::registry::{Found, Language, Lookup, Schema};
use crate::wire::{self, Frame, MessageIndexes, SchemaRef, Side};
use origin::Origin;

/// First and longest pause between questions to the registry, in ms.
const ASK_MS: (u64, u64) = (250, 10_000);
/// Schemas asked for at once: ids come from records, and may be any.
const ASK_MAX: usize = 1_024;
/// References remembered at which refusals that are over are forgotten.
const REMEMBERED: usize = 4_096;

pub static NO_SCHEMA: Code = Code {
    id: "FB0911",
    kind: Kind::Reject,
    title: "a schema that the registry does not give",
    help: "The registry was asked for `registry.unknown_id_grace` and has no such schema, or one that cannot be used. Was the record made with another registry, or its schema deleted for good?",
};
pub static TOMBSTONE: Code = Code {
    id: "FB0912",
    kind: Kind::Reject,
    title: "a record without a value",
    help: "`value.tombstones` is `reject`. With `skip` such records are counted and left out.",
};
pub static TOO_LARGE: Code = Code {
    id: "FB0913",
    kind: Kind::Reject,
    title: "a record over the size limit",
    help: "The reject file holds its size, a hash and its first bytes. Raise `limits.record_bytes` to take such records.",
};
pub static FORMAT: Code = Code {
    id: "FB0914",
    kind: Kind::Reject,
    title: "a schema language that the pipeline does not take",
    help: "`value.format` names one schema language, and the record's schema is of another. `auto` takes all of them.",
};
pub static PLAN: Code = Code {
    id: "FB0915",
    kind: Kind::Reject,
    title: "a schema that gives no columns",
    help: "The schema is known, but cannot become columns with this configuration; the message says which part. Its records are rejected, others are not.",
};

/// What a record came to.
pub enum Taken {
    Row,
    /// A tombstone, left out.
    Skipped,
    Rejected,
    /// It waits for this schema: try again when [`Intake::learn`] said something.
    Wait(SchemaRef),
}

/// What is known of a schema reference.
#[derive(Debug)]
enum Entry {
    /// `unknown_ms`: for how long the registry said that it has no such schema, from one such answer to
    /// the next; `unknown_at_ms`: the last answer, if it was one. Time without answers does not count.
    Asked {
        unknown_ms: u64,
        unknown_at_ms: Option<u64>,
        tries: u32,
    },
    Ready(Arc<Schema>),
    /// Its records are rejected until the time given; then it is asked for again.
    Refused {
        reason: Fault,
        until_ms: u64,
    },
}

/// Rows under construction for one writer schema and message.
#[derive(Debug)]
struct Slot {
    decoder: Decoder,
    bound: Bound,
    group: usize,
    schema_id: u32,
    offsets: Vec<Offset>,
    timestamps: Vec<Timestamp>,
}

type MessageKey = (SchemaRef, MessageIndexes);

/// Decoders of one Kafka partition.
#[derive(Debug)]
pub struct Intake {
    settings: Arc<Settings>,
    topic_partition: TopicPartition,
    origin: Origin,
    schemas: HashMap<SchemaRef, Entry>,
    by_message: HashMap<MessageKey, Result<usize, Box<Reject>>>,
    slots: Vec<Slot>,
    /// The slot of the last record: the next one is mostly of the same.
    last: Option<(MessageKey, usize)>,
    /// Where the last row went.
    last_slot: usize,
    breaker: Breaker,
    rejects: RejectRows,
    rows: usize,
    /// References remembered at which to look for what can be forgotten.
    forget_at: usize,
    /// Records since the start.
    taken: u64,
    /// Rejects by code since the last [`Intake::take_rejected`].
    rejected: HashMap<&'static str, u64>,
}

impl Intake {
    pub fn new(settings: Arc<Settings>, topic_partition: TopicPartition) -> Self {
        Self {
            breaker: Breaker::new(settings.breaker),
            rejects: RejectRows::new(topic_partition.clone(), settings.decode.limits.record_bytes),
            origin: Origin::new(settings.decode.value.format),
            settings,
            topic_partition,
            schemas: HashMap::new(),
            by_message: HashMap::new(),
            slots: Vec::new(),
            last: None,
            last_slot: 0,
            rows: 0,
            forget_at: REMEMBERED,
            taken: 0,
            rejected: HashMap::new(),
        }
    }

    /// Rows and rejects that are not in lanes yet.
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn memory(&self) -> usize {
        self.rejects.bytes() + self.slots.iter().map(|s| s.decoder.bytes()).sum::<usize>()
    }

    /// Decoded bytes where the last row went, and of rejects.
    pub fn taken_bytes(&self) -> usize {
        let last = self.slots.get(self.last_slot);
        self.rejects.bytes() + last.map_or(0, |s| s.decoder.bytes())
    }

    /// Rejects by code since the last call.
    pub fn take_rejected(&mut self) -> HashMap<&'static str, u64> {
        std::mem::take(&mut self.rejected)
    }

    /// Unknown fields skipped since the last call.
    pub fn take_unknown_fields(&mut self) -> u64 {
        self.slots.iter_mut().map(|s| s.decoder.take_unknown_fields()).sum()
    }

    /// Takes one record: a row, a reject, a skip, or a wait.
    pub fn take(&mut self, record: &Record<'_>, now: Now) -> Taken {
        self.taken += 1;
        match self.row(record, now) {
            Ok(Ok(taken)) => {
                self.rows += usize::from(matches!(taken, Taken::Row));
                taken
            }
            Ok(Err(reject)) => {
                let schema = self.frame_of(record);
                match self.breaker.note(&reject, schema, self.taken, now) {
                    Verdict::Go => {
                        self.reject(record, &reject);
                        Taken::Rejected
                    }
                    Verdict::Pause(schema) => Taken::Wait(schema),
                }
            }
            Err(schema) => Taken::Wait(schema),
        }
    }

    /// `Err`: it waits for this schema. `Ok(Err)`: it is a reject.
    fn row(
        &mut self,
        record: &Record<'_>,
        now: Now,
    ) -> Result<Result<Taken, Box<Reject>>, SchemaRef> {
        let Some(value) = record.value else {
            return Ok(match self.settings.decode.value.tombstones {
                Tombstones::Skip => Ok(Taken::Skipped),
                Tombstones::Reject => Err(Reject::new(
                    &TOMBSTONE,
                    "null value: a value required by `value.tombstones`",
                )),
            });
        };
        let limit = self.settings.decode.limits.record_bytes;
        if value.len() + record.key.map_or(0, <[u8]>::len) > limit {
            return Ok(Err(Reject::new(
                &TOO_LARGE,
                format!(
                    "value of {} bytes: key and value of at most {limit} required",
                    value.len()
                ),
            )));
        }
        let appended = match &self.origin {
            Origin::Registry => match Frame::parse(value, record.headers, Side::Value) {
                Ok(frame) => self
                    .slot(&frame, now)?
                    .and_then(|(slot, body)| self.slots[slot].decoder.append(body).map(|()| slot)),
                Err(reject) => Err(reject),
            },
            Origin::Configuration(_) => self.by_configuration(value),
            Origin::Record(_) => self.by_record(value),
        };
        Ok(appended.map(|slot| {
            self.last_slot = slot;
            let slot = &mut self.slots[slot];
            slot.offsets.push(record.offset);
            slot.timestamps.push(record.timestamp);
            Taken::Row
        }))
    }

    /// The decoder for a frame, and the body it decodes.
    #[allow(clippy::type_complexity)]
    fn slot<'a>(
        &mut self,
        frame: &Frame<'a>,
        now: Now,
    ) -> Result<Result<(usize, &'a [u8]), Box<Reject>>, SchemaRef> {
        // Fast path: the same schema and message as the record before.
        if let Some(((schema, indexes), slot)) = &self.last
            && *schema == frame.schema
        {
            if indexes.is_empty() {
                return Ok(Ok((*slot, frame.body())));
            }
            if let Ok((path, body)) = frame.protobuf()
                && path == *indexes
            {
                return Ok(Ok((*slot, body)));
            }
        }
        let schema = match self.schemas.get(&frame.schema) {
            Some(Entry::Ready(schema)) => schema.clone(),
            Some(Entry::Refused { reason, until_ms }) if now.mono_ms < *until_ms => {
                return Ok(Err(Reject::new(
                    &NO_SCHEMA,
                    format!("schema `{}`: {reason}", frame.schema),
                )));
            }
            _ => return Err(frame.schema),
        };
        let (indexes, body) = match schema.language {
            Language::Protobuf => match frame.protobuf() {
                Ok(found) => found,
                Err(reject) => return Ok(Err(reject)),
            },
            Language::Avro | Language::Json => (MessageIndexes::new(), frame.body()),
        };
        let key = (frame.schema, indexes);
        let made = match self.by_message.get(&key) {
            Some(made) => made.clone(),
            None => {
                let made = self.make_slot(&schema, &key.1);
                // Messages that a schema has are few; indexes that name none are as many as records.
                if made.as_ref().map_or_else(|reject| reject.code == &PLAN, |_| true) {
                    self.by_message.insert(key.clone(), made.clone());
                }
                made
            }
        };
        Ok(made.map(|slot| {
            self.last = Some((key, slot));
            (slot, body)
        }))
    }

    fn make_slot(&mut self, schema: &Schema, indexes: &[u32]) -> Result<usize, Box<Reject>> {
        let taken = matches!(
            (self.settings.decode.value.format, schema.language),
            (Format::Auto, _)
                | (Format::Protobuf, Language::Protobuf)
                | (Format::Avro, Language::Avro)
                | (Format::JsonSchema, Language::Json)
        );
        if !taken {
            return Err(Reject::new(
                &FORMAT,
                format!(
                    "schema `{}` of language {:?}: `value.format` takes another",
                    schema.id, schema.language
                ),
            ));
        }
        let plan =
            Plan::compile(schema, indexes, &self.settings.decode).map_err(|f| refused(&f))?;
        self.add_slot(plan, schema.id)
    }

    /// A slot for a plan that no slot has yet.
    fn add_slot(&mut self, plan: Arc<Plan>, schema_id: u32) -> Result<usize, Box<Reject>> {
        let bound = self.settings.partitioner.bind(&plan.schema, true).map_err(|faults| {
            faults.first().map_or_else(|| Reject::new(&PLAN, "no reason"), refused)
        })?;
        self.slots.push(Slot {
            decoder: Decoder::new(plan),
            bound,
            group: usize::MAX,
            schema_id,
            offsets: Vec::new(),
            timestamps: Vec::new(),
        });
        Ok(self.slots.len() - 1)
    }

    /// True if the schema has to be asked for now: it is neither known nor asked for already.
    pub fn ask(&mut self, schema: SchemaRef, now: Now) -> bool {
        match self.schemas.get(&schema) {
            Some(Entry::Ready(_) | Entry::Asked { .. }) if !self.breaker.paused(schema) => false,
            Some(Entry::Refused { until_ms, .. })
                if now.mono_ms < *until_ms && !self.breaker.paused(schema) =>
            {
                false
            }
            _ => {
                self.forget(now);
                // A refusal that ran out has spent its grace: one more "no" is enough, so that an id which
                // stays unknown costs a question now and then, not a grace each time.
                let unknown_ms = match self.schemas.get(&schema) {
                    Some(Entry::Refused { .. }) => self.settings.unknown_id_grace_ms,
                    _ => 0,
                };
                let asked = Entry::Asked { unknown_ms, unknown_at_ms: None, tries: 0 };
                self.schemas.insert(schema, asked);
                true
            }
        }
    }

    /// Drops refusals that are over, once there are many.
    fn forget(&mut self, now: Now) {
        if self.schemas.len() >= self.forget_at {
            self.schemas.retain(
                |_, e| !matches!(e, Entry::Refused { until_ms, .. } if *until_ms <= now.mono_ms),
            );
            self.forget_at = REMEMBERED.max(self.schemas.len() * 2);
        }
    }

    /// Takes the registry's answer in. `Some(ms)`: ask again after this pause.
    pub fn learn(&mut self, schema: SchemaRef, found: Found, now: Now) -> Option<u64> {
        let (unknown_ms, unknown_at_ms, tries) = match self.schemas.get(&schema) {
            Some(Entry::Asked { unknown_ms, unknown_at_ms, tries }) => {
                (*unknown_ms, *unknown_at_ms, *tries)
            }
            // Nobody waits: the answer to a question of an earlier assignment.
            _ => return None,
        };
        let pause = (ASK_MS.0 << tries.min(10)).min(ASK_MS.1);
        let grace = self.settings.unknown_id_grace_ms;
        let tries = tries.saturating_add(1);
        // A registry that comes back may not have everything yet: the grace is not spent while it is away.
        let away = matches!(found, Err(Lookup::Unavailable(_)));
        let unknown_ms = match unknown_at_ms {
            Some(at) if !away => unknown_ms + now.mono_ms.saturating_sub(at),
            _ => unknown_ms,
        };
        let again =
            Entry::Asked { unknown_ms, unknown_at_ms: (!away).then_some(now.mono_ms), tries };
        let (entry, after) = match found {
            Ok(found) if self.breaker.found(schema) => {
                self.by_message.retain(|(s, _), made| *s != schema || made.is_ok());
                (Entry::Ready(found), None)
            }
            Ok(_) => (again, Some(ASK_MS.1)),
            Err(Lookup::Unavailable(_)) => (again, Some(pause)),
            Err(Lookup::Unknown(reason) | Lookup::Bad(reason)) => {
                let left = grace.saturating_sub(unknown_ms);
                if !self.breaker.refused(schema, &reason.message) {
                    (again, Some(ASK_MS.1))
                } else if left > 0 {
                    (again, Some(pause.min(left)))
                } else {
                    (Entry::Refused { reason, until_ms: now.mono_ms + grace.max(1_000) }, None)
                }
            }
        };
        self.schemas.insert(schema, entry);
        after
    }

    /// True when records of this schema need not wait any more.
    pub fn resolved(&self, schema: SchemaRef) -> bool {
        !matches!(self.schemas.get(&schema), Some(Entry::Asked { .. }) | None)
    }

    /// Schema references among these records that nothing is known of; some of them, if they are many.
    pub fn unknown_in(&self, records: impl Iterator<Item = SchemaRef>) -> Vec<SchemaRef> {
        let mut unknown = BTreeSet::new();
        for schema in records {
            if unknown.len() < ASK_MAX && !self.schemas.contains_key(&schema) {
                unknown.insert(schema);
            }
        }
        unknown.into_iter().collect()
    }

    fn frame_of(&self, record: &Record<'_>) -> Option<SchemaRef> {
        if !matches!(self.origin, Origin::Registry) {
            return None;
        }
        Frame::parse(record.value?, record.headers, Side::Value).ok().map(|f| f.schema)
    }

    fn reject(&mut self, record: &Record<'_>, reject: &Reject) {
        let schema_id = match self.frame_of(record) {
            Some(SchemaRef::Id(id)) => Some(id),
            _ => None,
        };
        *self.rejected.entry(reject.code.id).or_default() += 1;
        self.rejects.push(record, reject, schema_id);
        self.rows += 1;
    }

    /// Moves all rows and rejects to the lanes. `held` are the batches they came from: a row whose
    /// partition values are refused becomes a reject, and needs its raw bytes.
    pub fn flush(&mut self, held: &[&record::RecordBatch], lanes: &mut Lanes) {
        let mut refused: Vec<(Offset, Box<Reject>)> = Vec::new();
        if lanes.forget_groups() {
            self.slots.iter_mut().for_each(|slot| slot.group = usize::MAX);
        }
        for slot in self.slots.iter_mut().filter(|s| s.decoder.rows() > 0) {
            let rows = slot.decoder.finish();
            let offsets = std::mem::take(&mut slot.offsets);
            let schema_ids = vec![slot.schema_id; offsets.len()];
            let plan = slot.decoder.plan();
            let keys = slot.bound.keys(
                &rows,
                Context {
                    topic_partition: &self.topic_partition,
                    record_name: &plan.record_name,
                    offsets: &offsets,
                    timestamps: &slot.timestamps,
                    schema_ids: &schema_ids,
                },
            );
            slot.timestamps.clear();
            refused.extend(keys.rejects.into_iter().map(|(row, r)| (offsets[row as usize], r)));
            let rows = without(rows, slot.bound.dropped());
            if slot.group == usize::MAX {
                slot.group = lanes.group(&rows.schema(), &plan.record_name);
            }
            let places = keys.keys.iter().map(|key| Place {
                folder: key.path.clone(),
                values: key.values.clone(),
                role: "data",
            });
            lanes.add(Rows { group: slot.group, rows, offsets, schema_ids }, &keys.of_row, places);
        }
        for (offset, reject) in refused {
            if let Some(record) = held.iter().find_map(|batch| batch.find(offset)) {
                self.reject(&record, &reject);
            }
        }
        self.flush_rejects(lanes);
        self.rows = 0;
        self.uncrowd();
    }

    fn flush_rejects(&mut self, lanes: &mut Lanes) {
        for rows in self.rejects.finish() {
            let group = lanes.group(&rows.schema(), "");
            let offsets = int64s(&rows, "offset");
            let schema_ids = int64s(&rows, "schema_id").into_iter().map(|id| id as u32).collect();
            let of_row = vec![0; offsets.len()];
            let place = Place {
                folder: self.settings.rejects_folder(&self.topic_partition.topic),
                values: Vec::new(),
                role: "reject",
            };
            lanes.add(Rows { group, rows, offsets, schema_ids }, &of_row, [place]);
        }
    }

    /// Forgets all rows; schemas and plans stay.
    pub fn drop_rows(&mut self) {
        for slot in self.slots.iter_mut().filter(|s| s.decoder.rows() > 0) {
            slot.decoder.finish();
            slot.offsets.clear();
            slot.timestamps.clear();
        }
        self.rejects.finish();
        self.rows = 0;
    }
}

/// Why a schema has no slot, as its records' reject.
fn refused(fault: &Fault) -> Box<Reject> {
    let code = if fault.code == &wire::INDEXES { fault.code } else { &PLAN };
    let text = if fault.code == code { fault.message.clone() } else { fault.to_string() };
    Reject::new(code, text)
}

/// A column of the reject file; nulls as 0.
fn int64s(rows: &RecordBatch, name: &str) -> Vec<i64> {
    let column = rows.column_by_name(name).and_then(|c| c.as_primitive_opt::<Int64Type>());
    column.map(|c| c.iter().map(Option::unwrap_or_default).collect()).unwrap_or_default()
}

/// The batch without some of its top-level columns.
fn without(rows: RecordBatch, dropped: &[usize]) -> RecordBatch {
    if dropped.is_empty() {
        return rows;
    }
    let kept: Vec<usize> = (0..rows.num_columns()).filter(|c| !dropped.contains(c)).collect();
    rows.project(&kept).unwrap_or(rows)
}
