//! Whose columns the rows of a pipeline have, as its configuration says it.
//!
//! Owns: which versions of a subject that needs.
//! Does not own: what becomes of rows (`intake`).

use super::Settings;
use crate::config;
use crate::registry::Want;

/// How rows find their columns.
#[derive(Debug, Clone, Copy)]
pub struct Evolution {
    pub mode: config::EvolutionMode,
    pub on_incompatible: config::OnIncompatible,
    pub refresh_ms: u64,
    pub version: Option<u32>,
    pub strategy: config::SubjectNameStrategy,
    pub compatibility: Option<config::Compatibility>,
    /// Those that say what a schema is to Connect.
    pub connect: config::Connect,
}

impl Evolution {
    pub fn of(pipeline: &config::Pipeline) -> Self {
        let evolution = &pipeline.evolution;
        Self {
            mode: evolution.mode,
            on_incompatible: evolution.on_incompatible,
            refresh_ms: evolution.refresh.as_millis() as u64,
            version: evolution.version,
            strategy: pipeline.registry.subject_name_strategy,
            compatibility: evolution.compatibility,
            connect: pipeline.value.dialect.connect().unwrap_or_default(),
        }
    }

    /// Which versions of a subject matter.
    pub fn want(&self) -> Want {
        match (self.mode, self.version) {
            _ if self.compatibility.is_some() => Want::All,
            (config::EvolutionMode::Superset, _) => Want::All,
            (config::EvolutionMode::Fixed, Some(version)) => Want::Version(version),
            _ => Want::Latest,
        }
    }
}

impl Settings {
    /// Whether rows are to have other columns than their writer's.
    pub fn has_target(&self) -> bool {
        let evolution = &self.evolution;
        self.target.is_some()
            || evolution.compatibility.is_some()
            || evolution.mode != config::EvolutionMode::Rotate
    }
}
