//! What columns the rows of a subject's versions get, by `evolution.mode`, before there is a record.
//!
//! Owns: the columns that a target gives a writer's rows, for the intake record by record, for plans by whole
//! versions.
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
use crate::evolve::{self, Misfit};
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

/// Whose columns the rows of a writer are to have.
#[derive(Debug, Clone)]
pub enum Target {
    /// The writer's.
    Own,
    Schema(Arc<Schema>),
    Common(Arc<Common>),
}

/// The columns of all versions that have a message or record of one name.
#[derive(Debug)]
pub struct Common {
    pub columns: SchemaRef,
    /// Versions that are no part of them, by their places in what was given, and why.
    pub left_out: Vec<(usize, Vec<Misfit>)>,
}

/// Why rows cannot have the columns of their target.
#[derive(Debug)]
pub struct Unfit {
    pub fault: Fault,
    /// The writer's plan, perhaps without columns; none where there are no rows of it at all.
    pub own: Option<Plan>,
}

/// A plan, and the schema that its columns are of if that is not the writer's.
pub type Evolved = (Arc<Plan>, Option<Arc<Schema>>);

impl Common {
    /// Versions, oldest first. None if no version gives a column: those that cannot be compiled, or are of another
    /// message, have no rows there.
    pub fn of<'a>(
        versions: impl Iterator<Item = &'a Schema>,
        record_name: &str,
        options: &decode::Options,
    ) -> Option<Self> {
        let plans = versions.enumerate().filter_map(|(at, schema)| {
            let plan = Plan::of_message(schema, record_name, options)?.ok()?;
            Some((at, plan.schema))
        });
        let (places, columns): (Vec<usize>, Vec<SchemaRef>) = plans.unzip();
        let merged = evolve::merge(&columns, &options.bounds())?;
        if merged.schema.fields().is_empty() {
            return None;
        }
        let of_all = |(at, why)| Some((*places.get(at)?, why));
        let left_out = merged.left_out.into_iter().filter_map(of_all).collect();
        Some(Self { columns: merged.schema, left_out })
    }
}

impl Target {
    /// Whether both give rows the same columns.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Target::Own, Target::Own) => true,
            (Target::Schema(a), Target::Schema(b)) => Arc::ptr_eq(a, b),
            (Target::Common(a), Target::Common(b)) => a.columns == b.columns,
            _ => false,
        }
    }

    /// The rows of a writer in these columns. `own`: its plan, perhaps without columns; `at`: its place among the
    /// versions of [`Common::of`].
    pub fn plan(
        &self,
        writer: &Schema,
        indexes: &[u32],
        own: Plan,
        at: Option<usize>,
        options: &decode::Options,
    ) -> Result<Evolved, Box<Unfit>> {
        let unfit = |fault, own| Err(Box::new(Unfit { fault, own }));
        match self {
            Target::Own => match own.with_columns() {
                Ok(own) => Ok((Arc::new(own), None)),
                Err(fault) => unfit(fault, None),
            },
            Target::Schema(target) => match Plan::compile_onto(writer, indexes, target, options) {
                Ok(plan) => Ok((plan, Some(target.clone()))),
                Err(fault) => unfit(fault, Some(own)),
            },
            Target::Common(common) => match own.widened(&common.columns) {
                Ok(plan) => Ok((Arc::new(plan), None)),
                Err((fault, own)) => {
                    let known = common.left_out.iter().find(|(place, _)| Some(*place) == at);
                    unfit(known.map_or(*fault, |(_, why)| own.left_out(why)), Some(*own))
                }
            },
        }
    }
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
        let target = target.map_or(Target::Own, |target| Target::Schema(target.clone()));
        let mut common: HashMap<String, Target> = HashMap::new();
        let mut of = |at: usize, schema: &Arc<Schema>| {
            let indexes = indexes_of(schema, record_name)?;
            let own = match self.bare(schema, record_name)? {
                Ok(own) => own,
                Err(fault) => return Some(Err(fault)),
            };
            let target = match mode {
                EvolutionMode::Superset => {
                    common.entry(own.record_name.clone()).or_insert_with(|| {
                        let schemas = versions.iter().map(AsRef::as_ref);
                        let all = Common::of(schemas, &own.record_name, &self.options.decode);
                        all.map_or(Target::Own, |all| Target::Common(Arc::new(all)))
                    })
                }
                _ => &target,
            };
            let plan = target.plan(schema, &indexes, own, Some(at), &self.options.decode);
            let plan = plan.map_err(|unfit| unfit.fault);
            Some(plan.and_then(|(plan, target)| self.finish(plan, schema, target)))
        };
        versions.iter().enumerate().map(|(at, schema)| of(at, schema)).collect()
    }

    /// Rows with the columns of their own version.
    pub fn own(&self, schema: &Arc<Schema>, record_name: &str) -> Option<Result<Rows, Fault>> {
        let plan = self.bare(schema, record_name)?.and_then(Plan::with_columns);
        Some(plan.and_then(|plan| self.finish(Arc::new(plan), schema, None)))
    }

    /// A plan of a version's own columns, perhaps without any. Avro records and JSON Schemas are one a version,
    /// whatever their name.
    fn bare(&self, schema: &Schema, record_name: &str) -> Option<Result<Plan, Fault>> {
        if let Err(reject) = takes(self.format, schema, "value.format") {
            return Some(Err(Fault::new(reject.code, reject.message.clone())));
        }
        match &schema.parsed {
            Parsed::Protobuf(_) => Plan::of_message(schema, record_name, &self.options.decode),
            Parsed::Avro(_) | Parsed::Json(_) => {
                Some(Plan::bare(schema, &[], &self.options.decode))
            }
        }
    }

    /// The value's plan with what stands beside it, and the columns that its files have.
    fn finish(
        &self,
        plan: Arc<Plan>,
        schema: &Arc<Schema>,
        target: Option<Arc<Schema>>,
    ) -> Result<Rows, Fault> {
        let value = ValuePlan { plan, schema: Some(schema.clone()), target };
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
