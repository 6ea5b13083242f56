//! What columns the rows of a subject's versions get, by `evolution.mode`, before there is a record.
//!
//! Owns: the same choices that the intake makes record by record, made for whole versions.
//! Does not own: what may become what (`evolve`), compiling (`decode`), asking the registry.
//! Bounded by: one plan a version.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema as Columns, SchemaRef};

use super::intake::takes;
use super::row::{KeyPlan, Options, RowPlan, ValuePlan};
use crate::config::{EvolutionMode, Format};
use crate::decode::codes::INCOMPATIBLE;
use crate::decode::{self, Plan};
use crate::error::Fault;
use crate::evolve::{self, Merged};
use crate::file;
use crate::partition::Partitioner;
use crate::registry::{Parsed, Schema, message};

/// What a configuration says of rows.
#[derive(Debug)]
pub struct Outlook<'a> {
    pub options: Options,
    pub format: Format,
    pub key: KeyPlan,
    pub partitioner: &'a Partitioner,
}

/// What the rows of one version are.
#[derive(Debug)]
pub struct Rows {
    pub plan: Arc<RowPlan>,
    /// Columns of the files: those of the rows without what stands in the path alone.
    pub files: SchemaRef,
    /// Fields of `partition_by` that the rows do not have: their folder is that of null.
    pub missing: Vec<Fault>,
}

/// The columns of all versions that have a message or record of this name, oldest first, and the places of
/// those versions in what was given. None if there are none.
///
/// Versions that cannot be compiled, or are of another message, have no rows there.
pub fn merged<'a>(
    versions: impl Iterator<Item = &'a Schema>,
    record_name: &str,
    options: &decode::Options,
) -> Option<(Vec<usize>, Merged)> {
    let plans = versions.enumerate().filter_map(|(at, schema)| {
        let plan = Plan::of_message(schema, record_name, options)?.ok()?;
        Some((at, plan.schema))
    });
    let (places, columns): (Vec<usize>, Vec<SchemaRef>) = plans.unzip();
    Some((places, evolve::merge(&columns, &options.bounds())?))
}

/// Indexes of the message of this name in a Protobuf file; empty for other languages. None if the file has
/// no such message of its own.
pub fn indexes_of(schema: &Schema, record_name: &str) -> Option<Vec<u32>> {
    let Parsed::Protobuf(file) = &schema.parsed else { return Some(Vec::new()) };
    let message = file.file.parent_pool().get_message_by_name(record_name)?;
    (message.parent_file() == file.file).then(|| message::indexes(file, &message))?
}

impl Outlook<'_> {
    /// Rows of each version, by a mode. `fixed`: the schema that `fixed` pins. None: the version has no
    /// message or record of this name. Errors: why rows of a version cannot have the columns that the mode
    /// gives the others; under [`EvolutionMode::Rotate`] and for [`Self::own`], why there are none at all.
    pub fn rows(
        &self,
        mode: EvolutionMode,
        versions: &[Arc<Schema>],
        fixed: Option<&Arc<Schema>>,
        record_name: &str,
    ) -> Vec<Option<Result<Rows, Fault>>> {
        let target = match mode {
            EvolutionMode::Latest => versions.last(),
            EvolutionMode::Fixed => fixed,
            EvolutionMode::Rotate | EvolutionMode::Superset => None,
        };
        let mut merges: HashMap<String, Option<(Vec<usize>, Merged)>> = HashMap::new();
        let mut of = |schema: &Arc<Schema>| {
            if let Some(target) = target {
                return self.onto(schema, target, record_name);
            }
            let plan = match self.plan(schema, record_name)? {
                Ok(plan) if mode == EvolutionMode::Superset => plan,
                plan => return Some(plan.and_then(|p| self.finish(Arc::new(p), schema, None))),
            };
            let all = merges.entry(plan.record_name.clone()).or_insert_with(|| {
                let schemas = versions.iter().map(AsRef::as_ref);
                merged(schemas, &plan.record_name, &self.options.decode)
            });
            let plan = match all {
                Some((places, all)) => {
                    let is_own = |at: &usize| {
                        let place = places.get(*at);
                        place
                            .and_then(|at| versions.get(*at))
                            .is_some_and(|v| Arc::ptr_eq(v, schema))
                    };
                    match all.left_out.iter().find(|(at, _)| is_own(at)) {
                        Some((_, misfits)) => Err(plan.left_out(misfits)),
                        None => plan.widened(&all.schema).map_err(|(fault, _)| *fault),
                    }
                }
                None => Ok(plan),
            };
            Some(plan.and_then(|plan| self.finish(Arc::new(plan), schema, None)))
        };
        versions.iter().map(&mut of).collect()
    }

    /// Rows with the columns of their own version.
    pub fn own(&self, schema: &Arc<Schema>, record_name: &str) -> Option<Result<Rows, Fault>> {
        let plan = self.plan(schema, record_name)?;
        Some(plan.and_then(|plan| self.finish(Arc::new(plan), schema, None)))
    }

    /// A plan of a version's own columns. Avro records and JSON Schemas are one a version, whatever their name.
    fn plan(&self, schema: &Schema, record_name: &str) -> Option<Result<Plan, Fault>> {
        if let Err(reject) = takes(self.format, schema, "value.format") {
            return Some(Err(Fault::new(reject.code, reject.message.clone())));
        }
        match &schema.parsed {
            Parsed::Protobuf(_) => Plan::of_message(schema, record_name, &self.options.decode)
                .map(|plan| plan.and_then(Plan::with_columns)),
            Parsed::Avro(_) | Parsed::Json(_) => Some(Plan::of(schema, &[], &self.options.decode)),
        }
    }

    fn onto(
        &self,
        schema: &Arc<Schema>,
        target: &Arc<Schema>,
        record_name: &str,
    ) -> Option<Result<Rows, Fault>> {
        let indexes = indexes_of(schema, record_name)?;
        let plan = Plan::compile_onto(schema, &indexes, target, &self.options.decode);
        Some(plan.and_then(|plan| self.finish(plan, schema, Some(target))))
    }

    /// The value's plan with what stands beside it, and the columns that its files have.
    fn finish(
        &self,
        plan: Arc<Plan>,
        schema: &Arc<Schema>,
        target: Option<&Arc<Schema>>,
    ) -> Result<Rows, Fault> {
        let value =
            ValuePlan { plan, schema: Some(schema.clone()), target: target.map(Arc::clone) };
        let plan = RowPlan::new(Some(value), self.key.clone(), &self.options)?;
        let first = |faults: Vec<Fault>| {
            let none = || Fault::new(&INCOMPATIBLE, "partition_by: no reason given");
            faults.into_iter().next().unwrap_or_else(none)
        };
        let bound = self.partitioner.bind(&plan.schema, true).map_err(first)?;
        let lenient = self.options.key.comes_later();
        let missing = self.partitioner.bind(&plan.schema, lenient).err().unwrap_or_default();
        let kept = plan.schema.fields().iter().enumerate();
        let kept = kept.filter(|(at, _)| !bound.dropped().contains(at)).map(|(_, f)| f.clone());
        let files: SchemaRef = Arc::new(Columns::new(kept.collect::<Vec<_>>()));
        file::schema::check(&files)?;
        Ok(Rows { plan, files, missing })
    }
}
