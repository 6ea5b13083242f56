//! What programs that read the files as one table would notice.
//!
//! The one place that says it: files with these sets of columns, oldest first, lie in one folder.

use arrow::datatypes::SchemaRef;

use crate::evolve::changes;

/// A line for each thing. Nothing where all files have the same columns.
pub fn see(columns: &[SchemaRef]) -> Vec<String> {
    let Some((first, others)) = columns.split_first() else { return Vec::new() };
    let mut lines = Vec::new();
    for other in others {
        let changes = changes(first, other);
        let missing: Vec<&String> = changes.added.iter().chain(&changes.dropped).collect();
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(|s| s.as_str()).collect();
            lines.push(format!("not in every file: {}", names.join(", ")));
        }
        lines.extend(changes.promoted.iter().map(|what| format!("of two types: {what}")));
    }
    lines.sort();
    lines.dedup();
    lines
}
