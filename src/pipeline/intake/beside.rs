//! Rows with more than their value's columns, or with none of its values: keys beside them, tombstones.
//!
//! Owns: which table a tombstone is a row of.
//! Does not own: the plans of values and keys (`intake`).

use super::messages::{Stop, of_value};
use super::schemas::Entry;
use super::{Intake, TOMBSTONE, Taken};
use crate::clock::Now;
use crate::config::Tombstones;
use crate::error::Reject;
use crate::record::Record;

impl Intake {
    pub(super) fn tombstone(&mut self, record: &Record<'_>, now: Now) -> Result<Taken, Stop> {
        match self.settings.row.decode.value.tombstones {
            Tombstones::Skip => Ok(Taken::Skipped),
            Tombstones::Row => {
                self.check_size(record)?;
                self.row_beside(record, None, now)
            }
            Tombstones::Reject => Err(of_value(Reject::new(
                &TOMBSTONE,
                "null value: a value required by `value.tombstones`",
            ))),
        }
    }

    /// A row with more than its value's columns. Without a value it is a tombstone, and takes the columns
    /// of the value before it.
    pub(super) fn row_beside(
        &mut self,
        record: &Record<'_>,
        value: Option<(usize, &[u8])>,
        now: Now,
    ) -> Result<Taken, Stop> {
        let (key_plan, key) = self.key(record, now)?;
        let plan = match value {
            Some((plan, _)) => Some(plan),
            None => self.of_value_before()?,
        };
        let pair = (plan, key_plan);
        let slot = match &self.last_pair {
            Some((last, slot)) if *last == pair => *slot,
            _ => self.pair(pair)?,
        };
        self.last_pair = Some((pair, slot));
        self.last = Some(slot);
        let body = value.map(|(_, body)| body);
        self.slots[slot].rows.append(record, body, key).map_err(of_value)?;
        self.before = pair.0;
        self.outdated = None;
        Ok(Taken::Row)
    }

    /// The plan of the last value, as it would be made now.
    fn of_value_before(&mut self) -> Result<Option<usize>, Stop> {
        let Some(key) = self.outdated.clone() else { return Ok(self.before) };
        let made = match (self.values.by_message.get(&key), self.schemas.get(&key.0)) {
            (Some(made), _) => made.clone(),
            (None, Some(Entry::Ready(schema))) => {
                let schema = schema.clone();
                let made = self.make_value(&schema, &key)?;
                self.values.remember(&key, &made);
                made
            }
            (None, _) => return Ok(self.before),
        };
        let Ok(plan) = made else { return Ok(self.before) };
        self.values.last = Some((key, plan));
        Ok(Some(plan))
    }
}
