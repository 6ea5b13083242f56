//! Every option: its text form, unit, default, bounds and reason.
//!
//! Owns: YAML with `${ENV}` and `${file:…}`, the typed [`Config`], and one finding per wrong key,
//! value, unit or missing part, all at once, each with its path.
//! Does not own: what a value points at (`cli::check`), expressions (`partition` compiles their text).
//! Bounded by: a file of 1 MiB.

pub mod model;

pub use model::*;
