//! Records of one Kafka partition → rows in decoders → lanes, or rejects.
//!
//! Owns: which decoder a record goes to, partitioning of finished batches.
//! Does not own: when to flush, what a missing schema means for the Kafka partition (`task`).
//! Bounded by: the caller flushes at [`Intake::rows`].

mod beside;
mod connect;
mod counts;
mod messages;
mod origin;
mod schemas;
mod targets;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use crate::clock::Now;
use crate::config::{Format, Metadata};
use crate::decode::{self, Plan};
use crate::error::{Code, Fault, Kind, Reject};
use crate::file::reject::RejectRows;
use crate::partition::{Bound, Context, Keys};
use crate::pipeline::breaker::{Breaker, Verdict};
use crate::pipeline::lanes::{Lanes, Place, Rows};
use crate::pipeline::row::build::{Finished, unheld};
use crate::pipeline::row::{Builder, KeyPlan, RowPlan, ValuePlan};
use crate::pipeline::task::Settings;
use crate::position::{Offset, TopicPartition};
use crate::record::{self, Oddities, Record};
use crate::registry::{Language, Schema};
use crate::wire::{self, Frame, Reading, SchemaRef, Side};
use connect::Connected;
pub use messages::takes;
use messages::{MessageKey, Messages, Stop, message, of_key, of_value, refused};
use origin::{Embedded, Origin};
use schemas::{Entry, REMEMBERED};
pub use targets::Counted;
use targets::Targets;

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
    help: "`value.tombstones` is `reject`. With `skip` such records are counted and left out; with `row` they are rows of nulls.",
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
    help: "`value.format` or `key.format` names one schema language, and the schema is of another. `auto` takes all of them.",
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
    /// It waits for this: try again when [`Intake::learn`] or [`Intake::learn_subject`] said something.
    Wait(Need),
}

/// What a record may wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    Schema(SchemaRef),
    /// The versions of this subject.
    Subject(Arc<str>),
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Need::Schema(schema) => schema.fmt(f),
            Need::Subject(subject) => write!(f, "subject {subject}"),
        }
    }
}

/// Rows of one writer schema and message, and where each goes.
#[derive(Debug)]
pub struct Ready {
    slot: usize,
    pub rows: RecordBatch,
    /// By row.
    pub offsets: Vec<Offset>,
    pub schema_id: u32,
    pub record_name: String,
    pub keys: Keys,
}

/// What the records since the last time came to.
#[derive(Debug)]
pub struct Drained {
    pub rows: Vec<Ready>,
    /// With the columns of [`crate::file::reject`].
    pub rejects: Vec<RecordBatch>,
}

/// Rows under construction for one writer schema and message, and one of the key.
#[derive(Debug)]
struct Slot {
    rows: Builder,
    bound: Bound,
    group: usize,
    /// The value's; 0 without one.
    schema_id: u32,
    /// The same of the key.
    key_schema_id: u32,
}

/// Plan of the value and of the key; none where there was none yet.
type Pair = (Option<usize>, Option<usize>);

/// Decoders of one Kafka partition.
#[derive(Debug)]
pub struct Intake {
    settings: Arc<Settings>,
    topic_partition: TopicPartition,
    origin: Origin,
    /// How message indexes may be written in this topic: in values, in keys.
    readings: &'static [Reading],
    key_readings: &'static [Reading],
    /// Those that value and key of the record at hand are read with.
    reading: Reading,
    key_reading: Reading,
    schemas: HashMap<SchemaRef, Entry>,
    values: Messages,
    keys: Messages,
    targets: Targets,
    connected: Connected,
    /// [`row::Options::is_plain`]: a value's plan has the number of its slot. Else what follows applies.
    plain: bool,
    value_plans: Vec<ValuePlan>,
    /// With the ids of their schemas, 0 without one.
    key_plans: Vec<(u32, Arc<Plan>)>,
    of_keys: decode::Options,
    /// What keys become, where the configuration says it.
    fixed_key: Result<KeyPlan, Box<Reject>>,
    /// Where keys have their schemas inside.
    embedded_keys: Embedded,
    by_pair: HashMap<Pair, Result<usize, Stop>>,
    last_pair: Option<(Pair, usize)>,
    /// Plans of values that a switch left behind.
    outworn: usize,
    /// The value's plan of the last row that had one.
    before: Option<usize>,
    /// Its message, where its plan is to be made anew: tombstones take the columns of that.
    outdated: Option<MessageKey>,
    /// What was counted by plans that are forgotten.
    oddities: BTreeMap<u32, Oddities>,
    slots: Vec<Slot>,
    /// The slot of the last record.
    last: Option<usize>,
    breaker: Breaker,
    rejects: RejectRows,
    rows: usize,
    /// References remembered at which to look for what can be forgotten.
    forget_at: usize,
    /// Records since the start.
    taken: u64,
    /// Rejects by code since the last [`Intake::take_rejected`].
    rejected: HashMap<&'static str, u64>,
    counted: Counted,
}

impl Intake {
    pub fn new(settings: Arc<Settings>, topic_partition: TopicPartition) -> Self {
        let limit = settings.row.decode.limits.record_bytes;
        let form = settings.wire.message_indexes(&topic_partition.topic);
        let readings = wire::readings(settings.value_indexes.unwrap_or(form));
        let key_readings = wire::readings(form);
        Self {
            breaker: Breaker::new(settings.breaker, settings.unusable_schema),
            rejects: RejectRows::new(topic_partition.clone(), limit),
            plain: settings.row.is_plain(),
            of_keys: settings.row.of_keys(),
            fixed_key: settings.row.key_plan().map_err(|f| refused(&f)),
            embedded_keys: Embedded::default(),
            origin: Origin::new(settings.row.decode.value.format),
            readings,
            key_readings,
            reading: first(readings),
            key_reading: first(key_readings),
            settings,
            topic_partition,
            schemas: HashMap::new(),
            values: Messages::default(),
            keys: Messages::default(),
            targets: Targets::default(),
            connected: Connected::default(),
            value_plans: Vec::new(),
            key_plans: Vec::new(),
            by_pair: HashMap::new(),
            last_pair: None,
            outworn: 0,
            before: None,
            outdated: None,
            oddities: BTreeMap::new(),
            slots: Vec::new(),
            last: None,
            rows: 0,
            forget_at: REMEMBERED,
            taken: 0,
            rejected: HashMap::new(),
            counted: Counted::default(),
        }
    }

    /// Rows and rejects that are not in lanes yet.
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn memory(&self) -> usize {
        self.rejects.bytes() + self.slots.iter().map(|s| s.rows.bytes()).sum::<usize>()
    }

    /// Decoded bytes where the last row went, and of rejects.
    pub fn taken_bytes(&self) -> usize {
        let last = self.last.and_then(|slot| self.slots.get(slot));
        self.rejects.bytes() + last.map_or(0, |s| s.rows.bytes())
    }

    /// Takes one record: a row, a reject, a skip, or a wait.
    pub fn take(&mut self, record: &Record<'_>, now: Now) -> Taken {
        self.taken += 1;
        let taken = match self.row(record, now) {
            Err(stop @ Stop::Reject(..))
                if self.readings.len().max(self.key_readings.len()) > 1 =>
            {
                self.guess(stop, record, now)
            }
            taken => taken,
        };
        match taken {
            Ok(taken) => {
                self.rows += usize::from(matches!(taken, Taken::Row));
                taken
            }
            Err(Stop::Reject(reject, side)) => {
                let schema = self.frame_of(record, side);
                match self.breaker.note(&reject, schema, self.taken, now) {
                    Verdict::Go => {
                        self.reject(record, &reject);
                        Taken::Rejected
                    }
                    Verdict::Pause(schema) => {
                        if let Some(Entry::Ready(unusable)) = self.schemas.get(&schema) {
                            self.breaker.blame(schema, unusable.clone());
                        }
                        Taken::Wait(Need::Schema(schema))
                    }
                }
            }
            Err(Stop::Wait(schema)) => Taken::Wait(Need::Schema(schema)),
            Err(Stop::Subject(subject)) => Taken::Wait(Need::Subject(subject)),
        }
    }

    fn row(&mut self, record: &Record<'_>, now: Now) -> Result<Taken, Stop> {
        let Some(value) = record.value else { return self.tombstone(record, now) };
        self.check_size(record)?;
        if !matches!(self.origin, Origin::Registry) {
            return self.unframed(record, value, now);
        }
        let frame = Frame::parse(value, record.headers, Side::Value).map_err(of_value)?;
        let (at, body) = self.value(&frame, now)?;
        self.append(record, at, body, now)
    }

    /// A row of a body, by the plan of its value.
    #[inline]
    fn append(
        &mut self,
        record: &Record<'_>,
        at: usize,
        body: &[u8],
        now: Now,
    ) -> Result<Taken, Stop> {
        if !self.plain {
            return self.row_beside(record, Some((at, body)), now);
        }
        self.last = Some(at);
        self.slots[at].rows.append(record, Some(body), None).map_err(of_value)?;
        Ok(Taken::Row)
    }

    /// The other ways to read the message indexes of a record that the first made a reject: each of its
    /// halves has its own, because a key may come from another serializer than its value. If none fits, the
    /// reject of the first stands.
    #[cold]
    fn guess(&mut self, stop: Stop, record: &Record<'_>, now: Now) -> Result<Taken, Stop> {
        let (values, keys) = (self.guesses(record, Side::Value), self.guesses(record, Side::Key));
        let pairs = values.iter().flat_map(|value| keys.iter().map(move |key| (*value, *key)));
        let mut found = Err(stop);
        for pair in pairs.skip(1) {
            (self.reading, self.key_reading) = pair;
            match self.row(record, now) {
                Err(Stop::Reject(..)) => {}
                taken => {
                    found = taken;
                    break;
                }
            }
        }
        (self.reading, self.key_reading) = (first(self.readings), first(self.key_readings));
        found
    }

    /// The ways in which one half of a record may be read: one, where there are no message indexes.
    fn guesses(&self, record: &Record<'_>, side: Side) -> &'static [Reading] {
        let readings = if side == Side::Key { self.key_readings } else { self.readings };
        let schema = self.frame_of(record, side).and_then(|schema| self.schemas.get(&schema));
        match schema {
            Some(Entry::Ready(schema)) if schema.language == Language::Protobuf => readings,
            _ => readings.get(..1).unwrap_or_default(),
        }
    }

    fn check_size(&self, record: &Record<'_>) -> Result<(), Stop> {
        let limit = self.settings.row.decode.limits.record_bytes;
        let value = record.value.map_or(0, <[u8]>::len);
        // Headers count where they are columns; else nothing is made of them.
        let beside = if self.plain { 0 } else { self.header_bytes(record) };
        if value + record.key.map_or(0, <[u8]>::len) + beside <= limit {
            return Ok(());
        }
        let text = match beside {
            0 => format!("value of {value} bytes: key and value of at most {limit} required"),
            _ => format!(
                "value of {value} bytes and headers of {beside}: key, value and headers of at most {limit} required"
            ),
        };
        Err(of_value(Reject::new(&TOO_LARGE, text)))
    }

    /// Bytes of the headers that become a column.
    fn header_bytes(&self, record: &Record<'_>) -> usize {
        if !self.settings.row.metadata.contains(&Metadata::Headers) {
            return 0;
        }
        record.headers.iter().map(|(name, v)| name.len() + v.map_or(0, <[u8]>::len)).sum()
    }

    /// The plan of a frame's message, and the body it decodes.
    fn value<'a>(&mut self, frame: &Frame<'a>, now: Now) -> Result<(usize, &'a [u8]), Stop> {
        if let Some(found) = self.values.same(frame, self.reading) {
            return Ok(found);
        }
        let (schema, indexes, body) =
            message(&self.schemas, frame, self.reading, now, Side::Value)?;
        let key = (frame.schema, indexes);
        let made = match self.values.by_message.get(&key) {
            Some(made) => made.clone(),
            None => {
                let made = self.make_value(&schema, &key)?;
                self.values.remember(&key, &made);
                made
            }
        };
        let plan = made.map_err(of_value)?;
        self.values.last = Some((key, plan));
        Ok((plan, body))
    }

    /// What the key plan takes, and which plan that is. A record without a key takes the plan of the one
    /// before it.
    fn key<'a>(
        &mut self,
        record: &Record<'a>,
        now: Now,
    ) -> Result<(Option<usize>, Option<&'a [u8]>), Stop> {
        let Some(format) = self.settings.row.key.format else { return Ok((None, None)) };
        if format == Format::JsonConnect {
            return self.embedded_key(record.key);
        }
        if !format.is_framed() {
            return Ok((None, record.key));
        }
        let Some(key) = record.key else {
            return Ok((self.keys.last.as_ref().map(|(_, plan)| *plan), None));
        };
        let frame = Frame::parse(key, record.headers, Side::Key).map_err(of_key)?;
        if let Some((plan, body)) = self.keys.same(&frame, self.key_reading) {
            return Ok((Some(plan), Some(body)));
        }
        let (schema, indexes, body) =
            message(&self.schemas, &frame, self.key_reading, now, Side::Key)?;
        let message = (frame.schema, indexes);
        let made = match self.keys.by_message.get(&message) {
            Some(made) => made.clone(),
            None => {
                let made = takes(format, &schema, "key.format").and_then(|()| {
                    Plan::compile(&schema, &message.1, &self.of_keys).map_err(|f| refused(&f))
                });
                let made = made.map(|plan| {
                    self.key_plans.push((schema.id, plan));
                    self.key_plans.len() - 1
                });
                self.keys.remember(&message, &made);
                made
            }
        };
        let plan = made.map_err(of_key)?;
        self.keys.last = Some((message, plan));
        Ok((Some(plan), Some(body)))
    }

    /// The inner reject is that of every record of the message. Error: [`Stop::Subject`].
    fn make_value(
        &mut self,
        schema: &Arc<Schema>,
        key: &MessageKey,
    ) -> Result<Result<usize, Box<Reject>>, Stop> {
        if let Err(reject) = takes(self.settings.row.decode.value.format, schema, "value.format") {
            return Ok(Err(reject));
        }
        if let (Some(mode), None) = (self.settings.evolution.compatibility, &self.settings.target) {
            return self.connected(mode, schema, key);
        }
        Ok(match self.evolved(schema, &key.1)? {
            Ok((plan, target)) => {
                self.add_value(ValuePlan { plan, schema: Some(schema.clone()), target })
            }
            Err(fault) => Err(refused(&fault)),
        })
    }

    /// Plans are made anew from the next record on; rows that are there keep theirs.
    fn forget_plans(&mut self) {
        let last = self.values.last.take();
        if let Some((key, _)) = last.filter(|(_, plan)| Some(*plan) == self.before) {
            self.outdated = Some(key);
        }
        self.outworn += self.values.by_message.len();
        self.values.forget_all();
        self.connected.forget_messages();
        self.by_pair.clear();
        self.last_pair = None;
    }

    fn add_value(&mut self, value: ValuePlan) -> Result<usize, Box<Reject>> {
        self.say_changes(&value);
        if self.plain {
            return self
                .make_slot(Some(value), (0, KeyPlan::None))
                .map_err(|fault| refused(&fault));
        }
        self.value_plans.push(value);
        Ok(self.value_plans.len() - 1)
    }

    /// The slot of a value's plan and a key's.
    fn pair(&mut self, pair: Pair) -> Result<usize, Stop> {
        if let Some(made) = self.by_pair.get(&pair) {
            return made.clone();
        }
        let value = pair.0.and_then(|plan| self.value_plans.get(plan)).cloned();
        let (key_schema_id, key) = match pair.1.and_then(|plan| self.key_plans.get(plan)) {
            Some((id, plan)) => (*id, KeyPlan::Plan(plan.clone())),
            None => (0, self.fixed_key.clone().map_err(of_key)?),
        };
        let made = self.make_slot(value.clone(), (key_schema_id, key.clone())).map_err(|fault| {
            // The key is to blame if the value does without it.
            let alone = matches!(key, KeyPlan::Plan(_)) && self.fits(value, KeyPlan::None).is_ok();
            Stop::Reject(refused(&fault), if alone { Side::Key } else { Side::Value })
        });
        self.by_pair.insert(pair, made.clone());
        made
    }

    /// What a row is, and where it goes.
    fn fits(&self, value: Option<ValuePlan>, key: KeyPlan) -> Result<(Arc<RowPlan>, Bound), Fault> {
        let plan = RowPlan::new(value, key, &self.settings.row)?;
        let bound = self.settings.partitioner.bind(&plan.schema, true);
        let bound = bound.map_err(|faults| {
            faults.into_iter().next().unwrap_or_else(|| Fault::new(&PLAN, "no reason"))
        })?;
        Ok((plan, bound))
    }

    /// `key`: with the id of its schema.
    fn make_slot(
        &mut self,
        value: Option<ValuePlan>,
        (key_schema_id, key): (u32, KeyPlan),
    ) -> Result<usize, Fault> {
        let schema_id = value.as_ref().map_or(0, ValuePlan::schema_id);
        let (plan, bound) = self.fits(value, key)?;
        let (rows, group) = (Builder::new(plan), usize::MAX);
        self.slots.push(Slot { rows, bound, group, schema_id, key_schema_id });
        Ok(self.slots.len() - 1)
    }

    /// The schema that one half of a record names; none where it names none.
    fn frame_of(&self, record: &Record<'_>, side: Side) -> Option<SchemaRef> {
        let (payload, framed) = match side {
            Side::Key => (record.key, self.settings.row.key.format.is_some_and(Format::is_framed)),
            Side::Value => (record.value, matches!(self.origin, Origin::Registry)),
        };
        let payload = payload.filter(|_| framed)?;
        Frame::parse(payload, record.headers, side).ok().map(|frame| frame.schema)
    }

    fn reject(&mut self, record: &Record<'_>, reject: &Reject) {
        let schema_id = match self.frame_of(record, Side::Value) {
            Some(SchemaRef::Id(id)) => Some(id),
            _ => None,
        };
        *self.rejected.entry(reject.code.id).or_default() += 1;
        self.rejects.push(record, reject, schema_id);
        self.rows += 1;
    }

    /// Moves all rows and rejects to the lanes. `held` are the batches they came from: a row whose
    /// partition values are refused becomes a reject, and needs its raw bytes.
    ///
    /// Error: [`row::build::ROWS`](crate::pipeline::row::build::ROWS), a bug.
    pub fn flush(&mut self, held: &[&record::RecordBatch], lanes: &mut Lanes) -> Result<(), Fault> {
        if lanes.forget_groups() {
            self.slots.iter_mut().for_each(|slot| slot.group = usize::MAX);
        }
        let Drained { rows, rejects } = self.finish(held)?;
        for Ready { slot, rows, offsets, schema_id, record_name, keys } in rows {
            let slot = &mut self.slots[slot];
            let rows = without(rows, slot.bound.dropped());
            let onto = slot.rows.plan().onto();
            let has_target = self.settings.has_target() && schema_id != 0;
            self.counted.rows(rows.num_rows() as u64, onto.map(|onto| &onto.changes), has_target);
            if slot.group == usize::MAX {
                let target = onto.map(|onto| onto.target);
                slot.group = lanes.group(&rows.schema(), &record_name, target);
                if let Some(onto) = onto {
                    lanes.note(slot.group, schema_id, &onto.changes);
                }
            }
            let places = keys.keys.iter().map(|key| Place {
                folder: key.path.clone(),
                values: key.values.clone(),
                role: "data",
            });
            let schema_ids = vec![schema_id; offsets.len()];
            lanes.add(Rows { group: slot.group, rows, offsets, schema_ids }, &keys.of_row, places);
        }
        self.flush_rejects(rejects, lanes);
        self.forget_outworn();
        Ok(())
    }

    /// All rows, with the columns that files leave to the path, and all rejects as a reject file has them;
    /// none is left. `held` and error as for [`Intake::flush`].
    pub fn finish(&mut self, held: &[&record::RecordBatch]) -> Result<Drained, Fault> {
        let mut refused: Vec<(Offset, Box<Reject>)> = Vec::new();
        let mut ready = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.rows.rows() == 0 {
                slot.rows.clear(); // keys of refused records
                continue;
            }
            let Finished { rows, offsets, timestamps } =
                slot.rows.finish(&self.topic_partition, slot.schema_id)?;
            let schema_ids = vec![slot.schema_id; offsets.len()];
            let plan = slot.rows.plan();
            let mut keys = slot.bound.keys(
                &rows,
                Context {
                    topic_partition: &self.topic_partition,
                    record_name: &plan.record_name,
                    offsets: &offsets,
                    timestamps: &timestamps,
                    schema_ids: &schema_ids,
                },
            );
            let rejects = std::mem::take(&mut keys.rejects);
            refused.extend(rejects.into_iter().map(|(row, r)| (offsets[row as usize], r)));
            let (schema_id, record_name) = (slot.schema_id, plan.record_name.clone());
            ready.push(Ready { slot: index, rows, offsets, schema_id, record_name, keys });
        }
        for (offset, reject) in refused {
            let record = held.iter().find_map(|batch| batch.find(offset));
            self.reject(&record.ok_or_else(|| unheld(offset))?, &reject);
        }
        self.rows = 0;
        Ok(Drained { rows: ready, rejects: self.rejects.finish() })
    }

    fn flush_rejects(&mut self, rejects: Vec<RecordBatch>, lanes: &mut Lanes) {
        for rows in rejects {
            let group = lanes.group(&rows.schema(), "", None);
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
        for slot in &mut self.slots {
            slot.rows.clear();
        }
        self.rejects.finish();
        self.rows = 0;
    }
}

fn first(readings: &[Reading]) -> Reading {
    readings.first().copied().unwrap_or(Reading::Zigzag)
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
