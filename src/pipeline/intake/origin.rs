//! Where the plan of a record comes from, by `value.format`.
//!
//! Owns: plans that no registry gives: one from the configuration, or one from inside each record.
//! Bounded by: [`SCHEMAS_MAX`] embedded schemas of [`SCHEMAS_BYTES`] together; when they are reached, the
//! caller flushes and all are forgotten.

use std::collections::HashMap;

use super::messages::{Stop, of_value};
use super::{Intake, PLAN, Taken};
use crate::clock::Now;
use crate::config::Format;
use crate::decode::Plan;
use crate::decode::json::{codes, connect};
use crate::error::Reject;
use crate::pipeline::row::ValuePlan;
use crate::record::Record;

/// Most embedded schemas known at once.
const SCHEMAS_MAX: usize = 1_024;
/// Most bytes of them; their plans take about ten times as much.
const SCHEMAS_BYTES: usize = 2 << 20;
/// Longest embedded schema.
const SCHEMA_BYTES: usize = 1 << 20;

/// Where a value's plan stands, or why there is none.
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
    /// What the last record began with, up to its payload, and where its plan stands: the next one mostly
    /// begins so.
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
    fn uncrowd(&mut self) {
        if self.is_crowded() {
            self.unknown_fields = self.take_unknown_fields();
            self.origin = Origin::Record(Embedded::default());
            self.value_plans.clear();
            self.by_pair.clear();
            (self.last_pair, self.before, self.last) = (None, None, None);
            self.slots.clear();
        }
    }

    /// Takes a record whose value names no schema of the registry.
    pub(super) fn unframed(
        &mut self,
        record: &Record<'_>,
        value: &[u8],
        now: Now,
    ) -> Result<Taken, Stop> {
        // As soon as it can be: as long as they are crowded, the caller flushes after each record.
        if self.rows == 0 {
            self.uncrowd();
        }
        if let Origin::Record(known) = &self.origin {
            // Fast path: the same beginning, then the payload, then the end of the object. Whatever else it
            // may be is for the slow path to find out.
            if let Some((beginning, at)) = &known.last
                && let Some(rest) = value.strip_prefix(&**beginning)
                && let Some(payload) = before_end(rest)
            {
                match self.append(record, *at, payload, now) {
                    Err(Stop::Reject(..)) => {}
                    taken => return taken,
                }
            }
            return self.by_record(record, value, now);
        }
        let at = self.by_configuration().map_err(of_value)?;
        self.append(record, at, value, now)
    }

    /// The plan of the configuration.
    fn by_configuration(&mut self) -> Made {
        if let Origin::Configuration(Some(made)) = &self.origin {
            return made.clone();
        }
        let made = match Plan::fixed(&self.settings.row.decode) {
            Ok(Some(plan)) => self.add_value(ValuePlan { plan, schema: None }),
            Ok(None) => Err(Reject::new(&PLAN, "`value.format`: no plan of its own")),
            Err(fault) => Err(Reject::new(&PLAN, fault.to_string())),
        };
        self.origin = Origin::Configuration(Some(made.clone()));
        made
    }

    /// Takes a record by the schema inside it.
    fn by_record(&mut self, record: &Record<'_>, value: &[u8], now: Now) -> Result<Taken, Stop> {
        let levels = self.settings.row.decode.limits.depth.saturating_add(1);
        let envelope = connect::split(value, levels).map_err(of_value)?;
        let known = match &self.origin {
            Origin::Record(known) => known.by_schema.get(envelope.schema).cloned(),
            Origin::Registry | Origin::Configuration(_) => None,
        };
        let at = known.unwrap_or_else(|| self.learn_embedded(envelope.schema)).map_err(of_value)?;
        let taken = self.append(record, at, envelope.payload, now)?;
        let beginning = envelope.payload.as_ptr() as usize - value.as_ptr() as usize;
        let schema_ends =
            envelope.schema.as_ptr() as usize - value.as_ptr() as usize + envelope.schema.len();
        if let (Origin::Record(known), true) = (&mut self.origin, schema_ends <= beginning) {
            known.last = Some((value[..beginning].into(), at));
        }
        Ok(taken)
    }

    fn learn_embedded(&mut self, schema: &[u8]) -> Made {
        if schema.len() > SCHEMA_BYTES {
            return Err(Reject::new(
                &codes::CONNECT,
                format!("connect schema: {} bytes, at most {SCHEMA_BYTES} required", schema.len()),
            ));
        }
        let made = match Plan::embedded(schema, &self.settings.row.decode) {
            Ok(plan) => self.add_value(ValuePlan { plan, schema: None }),
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
