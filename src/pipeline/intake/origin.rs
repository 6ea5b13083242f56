//! Where the plan of a record comes from, by `value.format` and `key.format`.
//!
//! Owns: plans that no registry gives: one from the configuration, or one from inside each record.
//! Bounded by: [`SCHEMAS_MAX`] embedded schemas of [`SCHEMAS_BYTES`] together, for values and keys each; when
//! they are reached, the caller flushes and all of that side are forgotten.

use std::collections::HashMap;
use std::sync::Arc;

use super::messages::{Stop, of_key, of_value};
use super::{Intake, PLAN, Taken};
use crate::clock::Now;
use crate::config::Format;
use crate::decode::json::{codes, connect};
use crate::decode::{self, Plan};
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
    /// begins so. Of keys, the schema alone.
    last: Option<(Box<[u8]>, usize)>,
}

impl Embedded {
    fn is_crowded(&self) -> bool {
        self.by_schema.len() >= SCHEMAS_MAX || self.bytes >= SCHEMAS_BYTES
    }

    fn remember(&mut self, schema: &[u8], made: &Made) {
        self.bytes += schema.len();
        self.by_schema.insert(schema.into(), made.clone());
    }
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
        let values = matches!(&self.origin, Origin::Record(known) if known.is_crowded());
        values || self.embedded_keys.is_crowded()
    }

    /// Forgets the plans of embedded schemas of values if there are too many; no slot may hold rows.
    fn uncrowd_values(&mut self) {
        if matches!(&self.origin, Origin::Record(known) if known.is_crowded()) {
            self.forget_slots();
            self.origin = Origin::Record(Embedded::default());
            self.value_plans.clear();
            self.before = None;
        }
    }

    /// The same of keys.
    fn uncrowd_keys(&mut self) {
        if self.embedded_keys.is_crowded() {
            self.forget_slots();
            self.embedded_keys = Embedded::default();
            self.key_plans.clear();
        }
    }

    pub(super) fn forget_slots(&mut self) {
        self.oddities = self.take_oddities();
        self.by_pair.clear();
        (self.last_pair, self.last) = (None, None);
        self.slots.clear();
    }

    /// The plan of a key with its schema inside, and its payload. A record without a key takes the plan of the
    /// key before it.
    pub(super) fn embedded_key<'a>(
        &mut self,
        key: Option<&'a [u8]>,
    ) -> Result<(Option<usize>, Option<&'a [u8]>), Stop> {
        // As in `unframed`. The value's plan is chosen by now, and stays.
        if self.rows == 0 {
            self.uncrowd_keys();
        }
        let last = self.embedded_keys.last.as_ref();
        let Some(key) = key else { return Ok((last.map(|(_, plan)| *plan), None)) };
        let levels = self.settings.row.decode.limits.depth.saturating_add(1);
        let envelope = connect::split(key, levels).map_err(of_key)?;
        if let Some((schema, plan)) = last
            && **schema == *envelope.schema
        {
            return Ok((Some(*plan), Some(envelope.payload)));
        }
        let known = self.embedded_keys.by_schema.get(envelope.schema).cloned();
        let made = known.unwrap_or_else(|| {
            let made = embedded(envelope.schema, &self.of_keys).map(|plan| {
                self.key_plans.push((0, plan));
                self.key_plans.len() - 1
            });
            self.embedded_keys.remember(envelope.schema, &made);
            made
        });
        let plan = made.map_err(of_key)?;
        self.embedded_keys.last = Some((envelope.schema.into(), plan));
        Ok((Some(plan), Some(envelope.payload)))
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
            self.uncrowd_values();
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
            Ok(Some(plan)) => self.add_value(ValuePlan { plan, schema: None, target: None }),
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
        let made = embedded(schema, &self.settings.row.decode)
            .and_then(|plan| self.add_value(ValuePlan { plan, schema: None, target: None }));
        if let Origin::Record(known) = &mut self.origin {
            known.remember(schema, &made);
        }
        made
    }
}

/// The plan of a schema inside a record. What is wrong with it is the record's own fault, not that of a schema
/// that others share.
fn embedded(schema: &[u8], options: &decode::Options) -> Result<Arc<Plan>, Box<Reject>> {
    if schema.len() > SCHEMA_BYTES {
        return Err(Reject::new(
            &codes::CONNECT,
            format!("connect schema: {} bytes, at most {SCHEMA_BYTES} required", schema.len()),
        ));
    }
    Plan::embedded(schema, options).map_err(|fault| Reject::new(fault.code, fault.message))
}

/// What stands before the bracket that ends an object, and the white space of JSON behind it.
fn before_end(text: &[u8]) -> Option<&[u8]> {
    let last = text.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
    text[..=last].strip_suffix(b"}")
}
