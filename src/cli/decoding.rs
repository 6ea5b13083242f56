//! Records → rows, keys and rejects as a run makes them, without lanes, files and commits: for commands
//! that show them.
//!
//! Owns: rows and rejects in the order of the records; frames for records whose schema is given.
//! Does not own: what a record becomes: that is the pipeline's own intake; asking the registry: an unknown
//! schema comes back as [`Pushed::Needs`].
//! Bounded by: the caller, who finishes at [`Decoding::is_full`]; [`INTAKES_MAX`] Kafka partitions known at
//! a time.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch as Rows};
use arrow::datatypes::Int64Type;

use crate::cli::ARGUMENTS;
use crate::clock::System;
use crate::config::{EvolutionMode, IndexForm, OnIncompatible, Pipeline, UnusableSchema};
use crate::decode::{Decoder, Plan};
use crate::error::Fault;
use crate::partition::{Key, Partitioner};
use crate::pipeline;
use crate::pipeline::intake::{Drained, Intake, Need, Taken};
use crate::pipeline::row::{self, RowPlan, ValuePlan};
use crate::pipeline::task::Settings;
use crate::position::{Offset, TopicPartition};
use crate::record::{Record, RecordBatch};
use crate::registry::client::Client;
use crate::registry::{Language, Lookup, Schema, message};
use crate::wire::{self, Frame, Reading, SchemaRef, Side, VALUE_HEADER};

/// Records after which rows are worth showing.
const RECORDS: usize = 4_096;
/// Bytes of columns after which no more is taken in.
const BYTES: usize = 64 << 20;
/// Kafka partitions whose plans are kept.
const INTAKES_MAX: usize = 256;
/// How a schema that is given is called in frames: as no registry calls one, whose schemas keys may name.
const GIVEN: [u8; 16] = [0; 16];

/// The schema of all records, where they need not name it.
#[derive(Debug)]
pub struct Given {
    pub schema: Arc<Schema>,
    /// The message (Protobuf); none: frames say it.
    pub indexes: Option<Vec<u32>>,
    /// Records have frames, whose schema id does not count.
    pub framed: bool,
}

/// What became of one record.
#[derive(Debug)]
pub enum Outcome {
    /// Row `row` of batch `batch` of [`Decoded::batches`].
    Row {
        batch: usize,
        row: usize,
        key: Arc<Key>,
    },
    Reject {
        code: String,
        message: String,
    },
    /// A tombstone that the configuration leaves out.
    Skipped,
}

/// Rows of one writer schema and message.
#[derive(Debug)]
pub struct Batch {
    pub rows: Rows,
    pub record_name: String,
    /// 0: none of a registry.
    pub schema_id: u32,
}

/// Records since the last time, in their order.
#[derive(Debug, Default)]
pub struct Decoded {
    pub outcomes: Vec<Outcome>,
    pub batches: Vec<Batch>,
}

/// Whether a record was taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    Taken,
    /// Not taken: [`Decoding::supply`] it, and push it again.
    Needs(Need),
}

/// What is known of a record before rows are finished.
#[derive(Debug)]
enum Pushes {
    Taken(Offset),
    Skipped,
    Refused { code: String, message: String },
}

/// Records of one stream on their way to rows. Offsets rise between two calls of [`Decoding::finish`], and
/// the Kafka partition stays the same.
#[derive(Debug)]
pub struct Decoding {
    settings: Arc<Settings>,
    given: Option<Given>,
    /// The plan of the given message.
    plan: Option<Arc<Plan>>,
    intakes: HashMap<TopicPartition, Intake>,
    clock: System,
    pushed: Vec<Pushes>,
}

impl Decoding {
    /// As the pipeline is configured. `target`: rows have its columns. `given`: the schema of all records,
    /// compiled and bound to the keys here, so that what cannot be used is said once and not for each record.
    pub fn new(
        pipeline: &Pipeline,
        partitioner: Partitioner,
        given: Option<Given>,
        target: Option<Arc<Schema>>,
    ) -> Result<Self, Vec<Fault>> {
        let mut given_plan = None;
        if let Some(Given { schema, indexes: Some(indexes), .. }) = &given {
            let options = row::Options::of(pipeline);
            let plan = match &target {
                None => Plan::compile(schema, indexes, &options.decode),
                Some(target) => Plan::compile_onto(schema, indexes, target, &options.decode),
            };
            let plan = plan.map_err(|f| vec![f])?;
            given_plan = Some(plan.clone());
            let value = ValuePlan { plan, schema: Some(schema.clone()), target: target.clone() };
            let key = options.key_plan().map_err(|f| vec![f])?;
            let plan = RowPlan::new(Some(value), key, &options).map_err(|f| vec![f])?;
            // Keys that name a schema are known once one is read.
            partitioner.bind(&plan.schema, options.key.comes_later())?;
        }
        let mut settings = pipeline::settings(pipeline, partitioner, 0, None);
        // Nobody waits here: what the registry does not have is said at once.
        settings.unknown_id_grace_ms = 0;
        settings.breaker = false;
        settings.unusable_schema = UnusableSchema::Reject;
        if given.is_some() || target.is_some() {
            settings.evolution.mode = EvolutionMode::Rotate;
        }
        // Nor goes anything into files of its own.
        if target.is_some() || settings.evolution.on_incompatible == OnIncompatible::Pause {
            settings.evolution.on_incompatible = OnIncompatible::Reject;
        }
        settings.target = target;
        // Frames are written here, but for those whose own indexes count.
        if given.as_ref().is_some_and(|given| !given.framed || given.indexes.is_some()) {
            settings.value_indexes = Some(IndexForm::Zigzag);
        }
        Ok(Self {
            settings: Arc::new(settings),
            given,
            plan: given_plan,
            intakes: HashMap::new(),
            clock: System::new(),
            pushed: Vec::new(),
        })
    }

    /// The records as they have to be pushed: in frames that name the given schema, if there is one.
    pub fn accept(&self, batch: RecordBatch) -> RecordBatch {
        let Some(given) = &self.given else { return batch };
        let mut framed = RecordBatch::new(batch.topic_partition.clone(), 0);
        framed.reserve(batch.len(), batch.bytes() + 20 * batch.len());
        let form = self.settings.wire.message_indexes(&batch.topic_partition.topic);
        let mut forms =
            Forms { readings: wire::readings(form), tried: self.plan.clone().map(Decoder::new) };
        let mut payload = Vec::new();
        for record in batch.iter() {
            let value = record.value.map(|value| {
                payload.clear();
                given.frame(&record, value, &mut forms, &mut payload);
                payload.as_slice()
            });
            // It would name another schema.
            let headers = record.headers.iter().filter(|(name, _)| *name != VALUE_HEADER);
            framed.push(
                record.offset,
                record.timestamp,
                record.timestamp_type,
                record.key,
                value,
                headers,
            );
        }
        framed
    }

    /// True when it is time to [`Decoding::finish`].
    pub fn is_full(&self, from: &TopicPartition) -> bool {
        self.pushed.len() >= RECORDS
            || self
                .intakes
                .get(from)
                .is_some_and(|intake| intake.memory() >= BYTES || intake.is_crowded())
    }

    /// Takes one record in.
    pub fn push(&mut self, from: &TopicPartition, record: &Record<'_>) -> Pushed {
        let now = self.clock.now();
        match self.intake(from).take(record, now) {
            Taken::Row | Taken::Rejected => self.pushed.push(Pushes::Taken(record.offset)),
            Taken::Skipped => self.pushed.push(Pushes::Skipped),
            Taken::Wait(need) => return Pushed::Needs(need),
        }
        Pushed::Taken
    }

    /// Takes a record in that is refused already.
    pub fn push_reject(&mut self, code: &str, message: String) {
        self.pushed.push(Pushes::Refused { code: code.to_owned(), message });
    }

    /// Gets what a record needs: the given schema, or what the registry says. Error: it cannot be asked now, or
    /// there is none.
    pub async fn supply(
        &mut self,
        from: &TopicPartition,
        need: Need,
        client: Option<&Client>,
    ) -> Result<(), Fault> {
        let none = || Fault::new(&ARGUMENTS, "registry: none given");
        match need {
            Need::Schema(reference) => {
                let given = self.given.as_ref().map(|given| given.schema.clone());
                let found = match (given, client) {
                    (Some(given), _) if reference == SchemaRef::Guid(GIVEN) => Ok(given),
                    (_, Some(client)) => client.by_ref(reference).await,
                    (_, None) => return Err(none()),
                };
                if let Err(Lookup::Unavailable(fault)) = found {
                    return Err(fault);
                }
                let now = self.clock.now();
                let intake = self.intake(from);
                intake.ask(reference, now);
                intake.learn(reference, found, now);
            }
            Need::Subject(subject) => {
                let Some(client) = client else { return Err(none()) };
                let want = self.settings.evolution.want();
                let found = client.history(&subject, want).await;
                if let Err(Lookup::Unavailable(fault)) = found {
                    return Err(fault);
                }
                let now = self.clock.now();
                let intake = self.intake(from);
                intake.ask_subject(&subject);
                intake.learn_subject(&subject, found, now);
            }
        }
        Ok(())
    }

    fn intake(&mut self, from: &TopicPartition) -> &mut Intake {
        if self.intakes.len() >= INTAKES_MAX && !self.intakes.contains_key(from) {
            // All are empty: one is filled at a time.
            self.intakes.clear();
        }
        let new = || Intake::new(self.settings.clone(), from.clone());
        self.intakes.entry(from.clone()).or_insert_with(new)
    }

    /// What became of the records since the last call, which came from this batch. Error: a bug.
    pub fn finish(&mut self, held: &RecordBatch) -> Result<Decoded, Fault> {
        let Drained { rows, rejects } = self.intake(&held.topic_partition).finish(&[held])?;
        let mut fates: HashMap<Offset, Outcome> = HashMap::new();
        let mut batches = Vec::new();
        for ready in rows {
            for (row, (offset, key)) in ready.offsets.iter().zip(&ready.keys.of_row).enumerate() {
                if let Some(key) = ready.keys.keys.get(*key as usize) {
                    let batch = batches.len();
                    fates.insert(*offset, Outcome::Row { batch, row, key: key.clone() });
                }
            }
            let (record_name, schema_id) = (ready.record_name, ready.schema_id);
            batches.push(Batch { rows: ready.rows, record_name, schema_id });
        }
        for rows in &rejects {
            refusals(rows, &mut fates);
        }
        let outcome = |pushed| match pushed {
            Pushes::Skipped => Some(Outcome::Skipped),
            Pushes::Refused { code, message } => Some(Outcome::Reject { code, message }),
            Pushes::Taken(offset) => fates.remove(&offset),
        };
        let outcomes: Vec<Outcome> = self.pushed.drain(..).filter_map(outcome).collect();
        Ok(Decoded { outcomes, batches })
    }
}

/// Offsets, codes and messages of a reject file's rows.
fn refusals(rows: &Rows, fates: &mut HashMap<Offset, Outcome>) {
    let text = |name: &str| rows.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
    let offsets = rows.column_by_name("offset").and_then(|c| c.as_primitive_opt::<Int64Type>());
    if let (Some(offsets), Some(codes), Some(messages)) = (offsets, text("code"), text("message")) {
        for (row, offset) in offsets.values().iter().enumerate() {
            let (code, message) = (codes.value(row).to_owned(), messages.value(row).to_owned());
            fates.insert(*offset, Outcome::Reject { code, message });
        }
    }
}

/// How the payloads at hand may write their message indexes.
struct Forms {
    readings: &'static [Reading],
    /// Decodes the given message, where that has to tell them apart.
    tried: Option<Decoder>,
}

impl Forms {
    /// The body of a frame whose message is given: behind the indexes in the first form that fits. None: in no
    /// form there are any.
    fn body<'a>(&mut self, frame: &Frame<'a>) -> Option<&'a [u8]> {
        let mut bodies =
            self.readings.iter().filter_map(|r| frame.protobuf_as(*r).ok()).map(|(_, body)| body);
        let first = bodies.next()?;
        let Some(tried) = self.tried.as_mut().filter(|_| self.readings.len() > 1) else {
            return Some(first);
        };
        let fits = std::iter::once(first).chain(bodies).find(|body| tried.append(body).is_ok());
        tried.finish();
        fits.or(Some(first))
    }
}

impl Given {
    /// The payload in a frame that names this schema.
    fn frame(&self, record: &Record<'_>, value: &[u8], forms: &mut Forms, out: &mut Vec<u8>) {
        let protobuf = self.schema.language == Language::Protobuf;
        let prefix = |out: &mut Vec<u8>| {
            out.push(1);
            out.extend_from_slice(&GIVEN);
        };
        let write = |indexes: &[u32], body: &[u8], out: &mut Vec<u8>| {
            prefix(out);
            if protobuf {
                message::write_indexes(indexes, out);
            }
            out.extend_from_slice(body);
        };
        let given = self.indexes.as_deref();
        if !self.framed {
            return write(given.unwrap_or(&[0]), value, out);
        }
        // A frame that is none is left as it is: the intake says why.
        let Ok(frame) = Frame::parse(value, record.headers, Side::Value) else {
            return out.extend_from_slice(value);
        };
        match given.and_then(|indexes| Some((indexes, forms.body(&frame)?))) {
            _ if !protobuf => write(&[], frame.body(), out),
            Some((indexes, body)) => write(indexes, body, out),
            // Its own indexes count, or are none: they stay as they are.
            None => {
                prefix(out);
                frame.write_tail(out);
            }
        }
    }
}
