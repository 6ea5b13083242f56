//! Columns under construction, with rollback to any earlier row.

/// The column builders of one plan.
#[derive(Debug)]
pub struct Columns;
