//! Plans that give the rows of one version of a schema the columns of another.
//!
//! Owns: which way a language goes about it, and what is said of the changes.
//! Does not own: what may become what (`evolve`, and Avro's own resolution), which target it is (`pipeline`).
//!
//! - Avro: schema resolution, compiled into the steps ([`super::avro`]).
//! - Protobuf: the writer's bytes into the target's builders, by field number ([`super::protobuf`]).
//! - JSON: the target's plan reads the text, by name, once the two schemas are found to agree.
//! - A merge of versions: the writer's own plan, its columns filled into those of the merge batch by batch:
//!   what stays the same is not copied, and the merge only widens, so no value can fail.

use std::sync::Arc;

use arrow::datatypes::{Schema as Columns, SchemaRef};

use super::codes::INCOMPATIBLE;
use super::columns::COLUMNS_MAX;
use super::readers::{Exact, Readers};
use super::{Options, Plan, Program, avro, json, protobuf};
use crate::error::Fault;
use crate::evolve::{Bounds, Changes, Law, Misfit, Widened, changes, project, renamed_types};
use crate::registry::{Parsed, Schema};

/// What a plan reads its records onto.
#[derive(Debug)]
pub struct Onto {
    /// Id of the target schema; 0 for a file, and for a merge of several.
    pub target: u32,
    pub changes: Changes,
    /// Fills the columns of a merge; none where the decoder does it all.
    pub(crate) widened: Option<Widened>,
}

impl Options {
    /// What the columns of several versions may be: no more than those of one.
    pub fn bounds(&self) -> Bounds {
        let wide_decimals = Readers::of(self).refuse(Exact::WideDecimal, "").is_none();
        Bounds { columns: COLUMNS_MAX, wide_decimals }
    }
}

impl Plan {
    /// Compiles the plan that reads records of `writer` as rows of `target`: its columns are those of
    /// [`Plan::compile`] for the target. `indexes` name the writer's Protobuf message; the target's is the
    /// one of the same name.
    ///
    /// Errors: those of [`Plan::compile`]; [`avro::codes::RESOLUTION`] and [`INCOMPATIBLE`] where the columns
    /// cannot take every record, each misfit with its path.
    pub fn compile_onto(
        writer: &Schema,
        indexes: &[u32],
        target: &Schema,
        options: &Options,
    ) -> Result<Arc<Plan>, Fault> {
        let (from, to) = (&writer.parsed, &target.parsed);
        let own = Plan::bare(writer, indexes, options);
        if let (Parsed::Avro(from), Parsed::Avro(to)) = (from, to) {
            let mut plan =
                Self::new(avro::compile_onto(from, to, options)?, options, Program::Avro)
                    .marked(target, options)
                    .with_columns()?;
            // A writer without columns of its own has what the target's defaults say.
            let own = own.map_or_else(|_| Arc::new(Columns::empty()), |own| own.schema);
            // Avro's resolution knows no names of Connect's.
            renamed_types(&own, &plan.schema)
                .map_err(|misfits| refuse_all(writer, &plan.record_name, &misfits))?;
            let changes = changes(&own, &plan.schema);
            plan.onto = Some(Onto { target: target.id, changes, widened: None });
            return Ok(Arc::new(plan));
        }
        let own = own?;
        let (mut plan, said) = match (from, to) {
            (Parsed::Protobuf(_), Parsed::Protobuf(to)) => {
                let target = match protobuf::compile_named(to, &own.record_name, options) {
                    Some(compiled) => compiled?,
                    None => {
                        return Err(refuse(
                            writer,
                            target,
                            &format!("no message `{}`", own.record_name),
                        ));
                    }
                };
                let said = project(&own.schema, target.shape.schema(), Law::Defaults)
                    .map_err(|misfits| refuse_all(writer, to.name(), &misfits))?;
                let onto = match &own.program {
                    Program::Protobuf(program) => protobuf::onto(program, target),
                    _ => unreachable!("a Protobuf schema makes a Protobuf program"),
                };
                let compiled =
                    onto.map_err(|path| refuse_all(writer, to.name(), &[forms(path)]))?;
                (Self::new(compiled, options, Program::Protobuf), said.changes)
            }
            (Parsed::Json(_), Parsed::Json(to)) => {
                let compiled = json::compile(to, options)?;
                if compiled.record_name != own.record_name {
                    let other = format!("a schema of `{}`", compiled.record_name);
                    return Err(refuse(
                        writer,
                        target,
                        &format!("{other}, `{}` required", own.record_name),
                    ));
                }
                let plan = Self::new(compiled, options, Program::Json).marked(target, options);
                let said = project(&own.schema, &plan.schema, Law::Required)
                    .map_err(|misfits| refuse_all(writer, &plan.record_name, &misfits))?;
                // The target reads the writer's texts.
                if let (Program::Json(from), Program::Json(to)) = (&own.program, &plan.program) {
                    let unlike = json::unlike(from, to);
                    if !unlike.is_empty() {
                        return Err(refuse_all(writer, &plan.record_name, &unlike));
                    }
                }
                (plan, said.changes)
            }
            (from, to) => {
                let both = format!("{} and {}", language(from), language(to));
                return Err(refuse(writer, target, &format!("{both}, one language required")));
            }
        };
        plan.onto = Some(Onto { target: target.id, changes: said, widened: None });
        plan.with_columns().map(Arc::new)
    }

    /// This plan, with the columns of a merge that its own are part of.
    ///
    /// Error: [`INCOMPATIBLE`], and the plan as it was.
    pub fn widened(mut self, merged: &SchemaRef) -> Result<Self, (Box<Fault>, Box<Self>)> {
        let widened = match Widened::new(&self.schema, merged) {
            Ok(widened) => widened,
            Err(misfits) => return Err((Box::new(self.left_out(&misfits)), Box::new(self))),
        };
        self.schema = widened.schema.clone();
        let changes = widened.changes.clone();
        self.onto = Some(Onto { target: 0, changes, widened: Some(widened) });
        Ok(self)
    }

    /// Why the columns of all versions are without those of this plan: [`INCOMPATIBLE`].
    pub fn left_out(&self, misfits: &[Misfit]) -> Fault {
        let what = format!("columns of `{}` in those of all versions", self.record_name);
        Fault::new(&INCOMPATIBLE, format!("{what}: {}", list(misfits)))
    }
}

fn language(parsed: &Parsed) -> &'static str {
    match parsed {
        Parsed::Protobuf(_) => "Protobuf",
        Parsed::Avro(_) => "Avro",
        Parsed::Json(_) => "JSON Schema",
    }
}

fn forms(path: String) -> Misfit {
    let (found, required) = ("one form on the wire".into(), "the form of the target".into());
    Misfit { path, found, required }
}

fn refuse(writer: &Schema, target: &Schema, why: &str) -> Fault {
    Fault::new(
        &INCOMPATIBLE,
        format!("schema id `{}` read as schema id `{}`: {why}", writer.id, target.id),
    )
}

fn refuse_all(writer: &Schema, target: &str, misfits: &[Misfit]) -> Fault {
    Fault::new(
        &INCOMPATIBLE,
        format!("schema id `{}` read as `{target}`: {}", writer.id, list(misfits)),
    )
}

fn list(misfits: &[Misfit]) -> String {
    let paths: Vec<String> = misfits.iter().map(Misfit::to_string).collect();
    paths.join("; ")
}

#[cfg(test)]
mod tests;
