//! Records → rows, keys and rejects, without lanes, files and commits: for commands that show them.
//!
//! Owns: one decoder for each writer schema and message, rows and rejects in the order of the records.
//! Does not own: asking the registry: an unknown schema comes back as [`Pushed::Needs`].
//! Bounded by: the caller, who finishes at [`Decoding::is_full`].

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::config::{Format, Tombstones};
use crate::decode::{Decoder, Options, Plan};
use crate::error::{Fault, Reject};
use crate::partition::{Bound, Context, Key, Partitioner};
use crate::pipeline::intake::{FORMAT, NO_SCHEMA, PLAN, TOMBSTONE, TOO_LARGE};
use crate::position::{Offset, TopicPartition};
use crate::record::{Record, Timestamp};
use crate::registry::{Found, Language, Lookup, Schema};
use crate::wire::{self, Frame, MessageIndexes, SchemaRef, Side};

/// Records after which rows are worth showing.
const RECORDS: usize = 4_096;
/// Bytes of columns after which no more is taken in.
const BYTES: usize = 64 << 20;

/// Where the schemas of the records come from.
#[derive(Debug)]
pub enum Writer {
    /// Records name them: framed, looked up by whoever calls.
    Registry,
    /// One for all. `framed`: records have a frame, whose schema id is not looked at; its message indexes
    /// are, unless `indexes` are given.
    Fixed { schema: Arc<Schema>, indexes: Option<Vec<u32>>, framed: bool },
}

/// What became of one record.
#[derive(Debug)]
pub enum Outcome {
    /// Row `row` of batch `batch` of [`Decoded::batches`].
    Row {
        batch: usize,
        row: usize,
        key: Option<Arc<Key>>,
    },
    Reject(Box<Reject>),
    /// A tombstone that the configuration leaves out.
    Skipped,
}

/// Rows of one writer schema and message.
#[derive(Debug)]
pub struct Batch {
    pub rows: RecordBatch,
    pub record_name: String,
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
    /// Not taken: tell [`Decoding::learn`] what the registry says of this schema, and push it again.
    Needs(SchemaRef),
}

#[derive(Debug)]
struct Slot {
    decoder: Decoder,
    bound: Option<Bound>,
    schema_id: u32,
    offsets: Vec<Offset>,
    timestamps: Vec<Timestamp>,
    /// Place of each row among the outcomes.
    places: Vec<usize>,
}

type MessageKey = (Option<SchemaRef>, MessageIndexes);
type Made = Result<usize, Box<Reject>>;

/// Decoders of one stream of records.
#[derive(Debug)]
pub struct Decoding {
    writer: Writer,
    options: Options,
    partitioner: Option<Partitioner>,
    schemas: HashMap<SchemaRef, Arc<Schema>>,
    /// What the registry does not have; asked again after each [`Decoding::finish`].
    refused: HashMap<SchemaRef, Fault>,
    by_message: HashMap<MessageKey, Made>,
    slots: Vec<Slot>,
    outcomes: Vec<Outcome>,
}

impl Decoding {
    /// `partitioner`: rows come with their keys.
    pub fn new(writer: Writer, options: Options, partitioner: Option<Partitioner>) -> Self {
        Self {
            writer,
            options,
            partitioner,
            schemas: HashMap::new(),
            refused: HashMap::new(),
            by_message: HashMap::new(),
            slots: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// Compiles the one schema and binds the keys to its columns, so that a schema or an expression which
    /// cannot be used is said once and not for each record. Nothing to do where records name schemas.
    pub fn prepare(&self) -> Result<(), Vec<Fault>> {
        let Writer::Fixed { schema, indexes, framed } = &self.writer else { return Ok(()) };
        if *framed && indexes.is_none() && schema.language == Language::Protobuf {
            return Ok(());
        }
        let indexes = indexes.as_deref().unwrap_or_default();
        let plan = Plan::compile(schema, indexes, &self.options).map_err(|f| vec![f])?;
        match &self.partitioner {
            Some(partitioner) => partitioner.bind(&plan.schema, false).map(drop),
            None => Ok(()),
        }
    }

    /// True when it is time to [`Decoding::finish`].
    pub fn is_full(&self) -> bool {
        self.outcomes.len() >= RECORDS
            || self.slots.iter().map(|s| s.decoder.bytes()).sum::<usize>() >= BYTES
    }

    /// Takes one record in.
    pub fn push(&mut self, record: &Record<'_>) -> Pushed {
        match self.row(record) {
            Ok(Ok(outcome)) => self.outcomes.push(outcome),
            Ok(Err(reject)) => self.outcomes.push(Outcome::Reject(reject)),
            Err(schema) => return Pushed::Needs(schema),
        }
        Pushed::Taken
    }

    /// Takes a record in that is refused already.
    pub fn push_reject(&mut self, reject: Box<Reject>) {
        self.outcomes.push(Outcome::Reject(reject));
    }

    /// What the registry says of a schema. Error: it cannot be asked now.
    pub fn learn(&mut self, reference: SchemaRef, found: Found) -> Result<(), Fault> {
        match found {
            Ok(schema) => {
                self.schemas.insert(reference, schema);
            }
            Err(Lookup::Unknown(fault) | Lookup::Bad(fault)) => {
                self.refused.insert(reference, fault);
            }
            Err(Lookup::Unavailable(fault)) => return Err(fault),
        }
        Ok(())
    }

    /// `Err`: this schema is needed. `Ok(Err)`: it is a reject.
    fn row(&mut self, record: &Record<'_>) -> Result<Result<Outcome, Box<Reject>>, SchemaRef> {
        let Some(value) = record.value else {
            return Ok(match self.options.value.tombstones {
                Tombstones::Skip => Ok(Outcome::Skipped),
                Tombstones::Reject => Err(Reject::new(&TOMBSTONE, "null value: a value required")),
            });
        };
        let limit = self.options.limits.record_bytes;
        let size = value.len() + record.key.map_or(0, <[u8]>::len);
        if size > limit {
            return Ok(Err(Reject::new(
                &TOO_LARGE,
                format!("key and value of {size} bytes: at most {limit} required"),
            )));
        }
        let (slot, body) = match self.slot(record, value)? {
            Ok(found) => found,
            Err(reject) => return Ok(Err(reject)),
        };
        let (place, slot_index) = (self.outcomes.len(), slot);
        let slot = &mut self.slots[slot];
        Ok(slot.decoder.append(body).map(|()| {
            slot.offsets.push(record.offset);
            slot.timestamps.push(record.timestamp);
            slot.places.push(place);
            Outcome::Row { batch: slot_index, row: slot.places.len() - 1, key: None }
        }))
    }

    /// The decoder for a record, and the body it decodes.
    #[allow(clippy::type_complexity)]
    fn slot<'a>(
        &mut self,
        record: &Record<'a>,
        value: &'a [u8],
    ) -> Result<Result<(usize, &'a [u8]), Box<Reject>>, SchemaRef> {
        let found = match &self.writer {
            Writer::Fixed { schema, indexes, framed } => {
                let schema = schema.clone();
                let found = fixed(&schema, indexes.as_deref(), *framed, record, value);
                found.map(|(indexes, body)| (schema, (None, indexes), body))
            }
            Writer::Registry => {
                let frame = match Frame::parse(value, record.headers, Side::Value) {
                    Ok(frame) => frame,
                    Err(reject) => return Ok(Err(reject)),
                };
                match (self.schemas.get(&frame.schema), self.refused.get(&frame.schema)) {
                    (Some(schema), _) => unframed(&frame, schema.language)
                        .map(|(i, body)| (schema.clone(), (Some(frame.schema), i), body)),
                    (None, Some(fault)) => {
                        let text = format!("schema `{}`: {fault}", frame.schema);
                        Err(Reject::new(&NO_SCHEMA, text))
                    }
                    (None, None) => return Err(frame.schema),
                }
            }
        };
        Ok(found.and_then(|(schema, key, body)| {
            let made = match self.by_message.get(&key) {
                Some(made) => made.clone(),
                None => {
                    let made = self.make_slot(&schema, &key.1);
                    // Indexes that name no message are as many as records may say.
                    if made.as_ref().map_or_else(|reject| reject.code == &PLAN, |_| true) {
                        self.by_message.insert(key, made.clone());
                    }
                    made
                }
            };
            made.map(|slot| (slot, body))
        }))
    }

    fn make_slot(&mut self, schema: &Schema, indexes: &[u32]) -> Made {
        let wanted = match self.options.value.format {
            Format::Protobuf => Some(Language::Protobuf),
            Format::Avro => Some(Language::Avro),
            Format::Auto => None,
        };
        if wanted.is_some_and(|wanted| wanted != schema.language) {
            let (id, language) = (schema.id, schema.language.name());
            let text = format!("schema `{id}` of type {language}: `value.format` takes another");
            return Err(Reject::new(&FORMAT, text));
        }
        let refused = |fault: &Fault| match fault.code == &wire::INDEXES {
            true => Reject::new(fault.code, fault.message.clone()),
            false => Reject::new(&PLAN, fault.to_string()),
        };
        let plan = Plan::compile(schema, indexes, &self.options).map_err(|f| refused(&f))?;
        let bound = match &self.partitioner {
            None => None,
            Some(partitioner) => Some(partitioner.bind(&plan.schema, true).map_err(|faults| {
                faults.first().map_or_else(|| Reject::new(&PLAN, "no reason"), refused)
            })?),
        };
        self.slots.push(Slot {
            decoder: Decoder::new(plan),
            bound,
            schema_id: schema.id,
            offsets: Vec::new(),
            timestamps: Vec::new(),
            places: Vec::new(),
        });
        Ok(self.slots.len() - 1)
    }

    /// What became of the records since the last call; all were of this Kafka partition.
    pub fn finish(&mut self, topic_partition: &TopicPartition) -> Decoded {
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let mut batches = Vec::new();
        let mut batch_of_slot = vec![0; self.slots.len()];
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.decoder.rows() == 0 {
                continue;
            }
            let rows = slot.decoder.finish();
            let record_name = slot.decoder.plan().record_name.clone();
            slot.keys(&rows, topic_partition, &record_name, &mut outcomes);
            slot.offsets.clear();
            slot.timestamps.clear();
            slot.places.clear();
            batch_of_slot[index] = batches.len();
            batches.push(Batch { rows, record_name, schema_id: slot.schema_id });
        }
        for outcome in &mut outcomes {
            if let Outcome::Row { batch, .. } = outcome {
                *batch = batch_of_slot[*batch];
            }
        }
        self.refused.clear();
        Decoded { outcomes, batches }
    }
}

impl Slot {
    /// Gives the rows their keys; those without become rejects.
    fn keys(
        &mut self,
        rows: &RecordBatch,
        topic_partition: &TopicPartition,
        record_name: &str,
        outcomes: &mut [Outcome],
    ) {
        let Some(bound) = &mut self.bound else { return };
        let schema_ids = vec![self.schema_id; self.offsets.len()];
        let keys = bound.keys(
            rows,
            Context {
                topic_partition,
                record_name,
                offsets: &self.offsets,
                timestamps: &self.timestamps,
                schema_ids: &schema_ids,
            },
        );
        for (place, of_row) in self.places.iter().zip(&keys.of_row) {
            if let Outcome::Row { key, .. } = &mut outcomes[*place] {
                *key = keys.keys.get(*of_row as usize).cloned();
            }
        }
        for (row, reject) in keys.rejects {
            outcomes[self.places[row as usize]] = Outcome::Reject(reject);
        }
    }
}

/// Message indexes and body by the schema's language.
fn unframed<'a>(
    frame: &Frame<'a>,
    language: Language,
) -> Result<(MessageIndexes, &'a [u8]), Box<Reject>> {
    match language {
        Language::Protobuf => frame.protobuf(),
        Language::Avro | Language::Json => Ok((MessageIndexes::new(), frame.body())),
    }
}

fn fixed<'a>(
    schema: &Schema,
    indexes: Option<&[u32]>,
    framed: bool,
    record: &Record<'a>,
    value: &'a [u8],
) -> Result<(MessageIndexes, &'a [u8]), Box<Reject>> {
    let given = indexes.map(MessageIndexes::from_slice);
    if !framed {
        return Ok((given.unwrap_or_default(), value));
    }
    let frame = Frame::parse(value, record.headers, Side::Value)?;
    let (found, body) = unframed(&frame, schema.language)?;
    Ok((given.unwrap_or(found), body))
}
