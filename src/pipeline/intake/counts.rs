//! What an intake counted, taken by its task.
//!
//! Owns: the counts since the last call.
//! Does not own: what is made of them (`telemetry`).
//! Bounded by: the schemas and codes that records named.

use std::collections::{BTreeMap, HashMap};

use super::{Counted, Intake};
use crate::record::Oddities;

impl Intake {
    /// Rejects by code since the last call.
    pub fn take_rejected(&mut self) -> HashMap<&'static str, u64> {
        std::mem::take(&mut self.rejected)
    }

    /// What was counted since the last call, by id of the schema; 0 for schemas without an id.
    pub fn take_oddities(&mut self) -> BTreeMap<u32, Oddities> {
        let mut counted = std::mem::take(&mut self.oddities);
        for slot in &mut self.slots {
            let [of_values, of_keys] = slot.rows.take_oddities();
            for (id, oddities) in [(slot.schema_id, of_values), (slot.key_schema_id, of_keys)] {
                if oddities != Oddities::default() {
                    *counted.entry(id).or_default() += oddities;
                }
            }
        }
        counted
    }

    /// What targets did to rows since the last call.
    pub fn take_counted(&mut self) -> Counted {
        std::mem::take(&mut self.counted)
    }
}
