//! Where the plan of a record comes from, by `value.format`.
//!
//! Owns: plans that no registry gives: one from the configuration, or one from inside each record.
//! Bounded by: [`SCHEMAS_MAX`] embedded schemas of [`SCHEMAS_BYTES`] together; when they are reached, the
//! caller flushes and all are forgotten.

use std::collections::HashMap;

use super::{Intake, PLAN};
use crate::config::Format;
use crate::decode::Plan;
use crate::decode::json::{codes, connect};
use crate::error::Reject;

/// Most embedded schemas known at once.
const SCHEMAS_MAX: usize = 1_024;
/// Most bytes of them; their plans take about ten times as much.
const SCHEMAS_BYTES: usize = 2 << 20;
/// Longest embedded schema.
const SCHEMA_BYTES: usize = 1 << 20;

/// The slot of a plan, or why there is none.
type Made = Result<usize, Box<Reject>>;

#[derive(Debug)]
pub(super) enum Origin {
    /// The registry, by the frame of each record.
    Registry,
    /// The configuration: one for all.
    Configuration(Option<Made>),
    /// The Connect schema inside each record.
    Record(Embedded),
}

/// What is known of the schemas inside records.
#[derive(Debug, Default)]
pub(super) struct Embedded {
    by_schema: HashMap<Box<[u8]>, Made>,
    /// Bytes of those schemas.
    bytes: usize,
    /// What the last record began with, up to its payload, and its slot: the next one mostly begins so.
    last: Option<(Box<[u8]>, usize)>,
}

impl Origin {
    pub(super) fn new(format: Format) -> Self {
        match format {
            Format::Auto | Format::Protobuf | Format::Avro | Format::JsonSchema => Origin::Registry,
            Format::Json | Format::String | Format::Bytes => Origin::Configuration(None),
            Format::JsonConnect => Origin::Record(Embedded::default()),
        }
    }
}

impl Intake {
    /// Whether plans have to be forgotten: flush, so that they can be.
    pub fn is_crowded(&self) -> bool {
        match &self.origin {
            Origin::Record(known) => {
                known.by_schema.len() >= SCHEMAS_MAX || known.bytes >= SCHEMAS_BYTES
            }
            Origin::Registry | Origin::Configuration(_) => false,
        }
    }

    /// Forgets the plans of embedded schemas if there are too many; no slot may hold rows.
    pub(super) fn uncrowd(&mut self) {
        if self.is_crowded() {
            self.origin = Origin::Record(Embedded::default());
            self.slots.clear();
        }
    }

    /// Appends a record by the plan of the configuration; gives its slot.
    pub(super) fn by_configuration(&mut self, value: &[u8]) -> Made {
        let slot = match &self.origin {
            Origin::Configuration(Some(made)) => made.clone()?,
            _ => {
                let plan = Plan::fixed(&self.settings.decode);
                let made = match plan {
                    Ok(Some(plan)) => self.add_slot(plan, 0),
                    Ok(None) => Err(Reject::new(&PLAN, "`value.format`: no plan of its own")),
                    Err(fault) => Err(Reject::new(&PLAN, fault.to_string())),
                };
                self.origin = Origin::Configuration(Some(made.clone()));
                made?
            }
        };
        self.slots[slot].decoder.append(value).map(|()| slot)
    }

    /// Appends a record by the schema inside it; gives its slot.
    pub(super) fn by_record(&mut self, value: &[u8]) -> Made {
        let Origin::Record(known) = &self.origin else {
            return Err(Reject::new(&PLAN, "`value.format`: no schema inside records"));
        };
        // Fast path: the same beginning, then the payload, then the end of the object. Whatever else it may
        // be is for the slow path to find out.
        if let Some((beginning, slot)) = &known.last
            && let Some(rest) = value.strip_prefix(&**beginning)
            && let Some(payload) = before_end(rest)
            && self.slots[*slot].decoder.append(payload).is_ok()
        {
            return Ok(*slot);
        }
        let levels = self.settings.decode.limits.depth.saturating_add(1);
        let envelope = connect::split(value, levels)?;
        let slot = match known.by_schema.get(envelope.schema) {
            Some(made) => made.clone()?,
            None => self.learn_embedded(envelope.schema)?,
        };
        self.slots[slot].decoder.append(envelope.payload)?;
        let beginning = envelope.payload.as_ptr() as usize - value.as_ptr() as usize;
        let schema_ends =
            envelope.schema.as_ptr() as usize - value.as_ptr() as usize + envelope.schema.len();
        if let (Origin::Record(known), true) = (&mut self.origin, schema_ends <= beginning) {
            known.last = Some((value[..beginning].into(), slot));
        }
        Ok(slot)
    }

    fn learn_embedded(&mut self, schema: &[u8]) -> Made {
        if schema.len() > SCHEMA_BYTES {
            return Err(Reject::new(
                &codes::CONNECT,
                format!("connect schema: {} bytes, at most {SCHEMA_BYTES} required", schema.len()),
            ));
        }
        let made = match Plan::embedded(schema, &self.settings.decode) {
            Ok(plan) => self.add_slot(plan, 0),
            // The record itself is bad, not a schema that others share.
            Err(fault) => Err(Reject::new(fault.code, fault.message)),
        };
        if let Origin::Record(known) = &mut self.origin {
            known.bytes += schema.len();
            known.by_schema.insert(schema.into(), made.clone());
        }
        made
    }
}

/// What stands before the bracket that ends an object, and the white space of JSON behind it.
fn before_end(text: &[u8]) -> Option<&[u8]> {
    let last = text.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
    text[..=last].strip_suffix(b"}")
}
