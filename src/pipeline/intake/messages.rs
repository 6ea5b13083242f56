//! Which message a frame is of, and where the plan of that message stands.

use std::collections::HashMap;
use std::sync::Arc;

use super::schemas::Entry;
use super::{FORMAT, NO_SCHEMA, PLAN};
use crate::clock::Now;
use crate::config::Format;
use crate::decode::avro::codes::RESOLUTION;
use crate::decode::codes::INCOMPATIBLE;
use crate::decode::envelope::ENVELOPE;
use crate::error::{Code, Fault, Reject};
use crate::pipeline::row;
use crate::registry::{Language, Schema};
use crate::wire::{self, Frame, MessageIndexes, Reading, SchemaRef, Side};

/// Codes of rejects that every record of a message comes to.
static KEPT: [&Code; 4] = [&PLAN, &ENVELOPE, &INCOMPATIBLE, &RESOLUTION];

pub(super) type MessageKey = (SchemaRef, MessageIndexes);

/// What is known of the messages that values, or keys, are of.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// Where the plan of each stands.
    pub by_message: HashMap<MessageKey, Result<usize, Box<Reject>>>,
    /// The last one: the next is mostly of the same.
    pub last: Option<(MessageKey, usize)>,
}

/// Why a record does not become a row now.
#[derive(Debug, Clone)]
pub(super) enum Stop {
    Wait(SchemaRef),
    /// The versions of a subject are wanted.
    Subject(Arc<str>),
    /// With the half of the record whose schema may be to blame.
    Reject(Box<Reject>, Side),
}

impl Messages {
    /// Forgets every plan; where they stand stays theirs.
    pub(super) fn forget_all(&mut self) {
        self.by_message.clear();
        self.last = None;
    }

    /// Fast path: the same schema and message as the record before.
    #[inline]
    pub(super) fn same<'a>(
        &self,
        frame: &Frame<'a>,
        reading: Reading,
    ) -> Option<(usize, &'a [u8])> {
        let ((schema, indexes), plan) = self.last.as_ref()?;
        if *schema != frame.schema {
            return None;
        }
        if indexes.is_empty() {
            return Some((*plan, frame.body()));
        }
        let (path, body) = frame.protobuf_as(reading).ok()?;
        (path == *indexes).then_some((*plan, body))
    }

    /// Forgets what a schema gave: another may have come under its reference.
    pub(super) fn forget(&mut self, schema: SchemaRef) {
        self.by_message.retain(|(of, _), _| *of != schema);
        if self.last.as_ref().is_some_and(|((of, _), _)| *of == schema) {
            self.last = None;
        }
    }

    /// Messages that a schema has are few; indexes that name none are as many as records.
    pub(super) fn remember(&mut self, message: &MessageKey, made: &Result<usize, Box<Reject>>) {
        if made.as_ref().map_or_else(|r| KEPT.contains(&r.code), |_| true) {
            self.by_message.insert(message.clone(), made.clone());
        }
    }
}

/// The schema of a frame, which message of it, and the body.
pub(super) fn message<'a>(
    schemas: &HashMap<SchemaRef, Entry>,
    frame: &Frame<'a>,
    reading: Reading,
    now: Now,
    side: Side,
) -> Result<(Arc<Schema>, MessageIndexes, &'a [u8]), Stop> {
    let stop = |reject| if side == Side::Key { of_key(reject) } else { of_value(reject) };
    let schema = match schemas.get(&frame.schema) {
        Some(Entry::Ready(schema)) => schema.clone(),
        Some(Entry::Refused { reason, until_ms }) if now.mono_ms < *until_ms => {
            let text = format!("schema `{}`: {reason}", frame.schema);
            return Err(stop(Reject::new(&NO_SCHEMA, text)));
        }
        _ => return Err(Stop::Wait(frame.schema)),
    };
    let (indexes, body) = match schema.language {
        Language::Protobuf => frame.protobuf_as(reading).map_err(stop)?,
        Language::Avro | Language::Json => (MessageIndexes::new(), frame.body()),
    };
    Ok((schema, indexes, body))
}

/// Refuses a schema in a language that the option does not take. Error: [`FORMAT`].
pub fn takes(format: Format, schema: &Schema, option: &str) -> Result<(), Box<Reject>> {
    let taken = matches!(
        (format, schema.language),
        (Format::Auto, _)
            | (Format::Protobuf, Language::Protobuf)
            | (Format::Avro, Language::Avro)
            | (Format::JsonSchema, Language::Json)
    );
    if taken {
        return Ok(());
    }
    Err(Reject::new(
        &FORMAT,
        format!(
            "schema `{}` of language {}: `{option}` takes another",
            schema.id,
            schema.language.name()
        ),
    ))
}

/// The reject of every record that needs what this fault refuses.
pub(super) fn refused(fault: &Fault) -> Box<Reject> {
    let own = fault.code == &wire::INDEXES || KEPT.contains(&fault.code);
    let code = if own { fault.code } else { &PLAN };
    let text = if fault.code == code { fault.message.clone() } else { fault.to_string() };
    Reject::new(code, text)
}

#[cold]
pub(super) fn of_value(reject: Box<Reject>) -> Stop {
    Stop::Reject(reject, Side::Value)
}

#[cold]
pub(super) fn of_key(reject: Box<Reject>) -> Stop {
    Stop::Reject(row::of_key(&reject), Side::Key)
}
