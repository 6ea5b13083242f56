//! What programs that read the files as one table would notice.
//!
//! The one place that says it: files with these sets of columns, oldest first, lie in one folder.

use arrow::datatypes::SchemaRef;

use crate::evolve::compare::brief;
use crate::evolve::{By, What, compare};

/// A line for each thing. Nothing where all files have the same columns.
pub fn see(columns: &[SchemaRef]) -> Vec<String> {
    let Some((first, others)) = columns.split_first() else { return Vec::new() };
    let mut lines = Vec::new();
    for other in others {
        let mut missing = Vec::new();
        for difference in compare(first, other, By::Name) {
            let path = difference.dotted();
            match difference.what {
                What::Added { .. } | What::Dropped { .. } => missing.push(path),
                What::Type { from, to } => {
                    lines.push(format!("of two types: {path}: {} → {}", brief(&from), brief(&to)));
                }
                What::Form { from, to } => {
                    lines.push(format!("of two forms: {path}: {from} → {to}"));
                }
                What::Unit { .. } => lines.push(format!("of two units: {path}")),
                What::Renamed { .. } | What::Nullable | What::Required | What::Order => {}
            }
        }
        if !missing.is_empty() {
            lines.push(format!("not in every file: {}", missing.join(", ")));
        }
    }
    lines.sort();
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;
    use crate::evolve::FIELD_NUMBER;

    /// Readers know names alone.
    #[test]
    fn readers_see_two_names_of_one_field_and_types_that_do_not_promote() {
        let columns = |name: &str, of: DataType| -> SchemaRef {
            let number = [(FIELD_NUMBER.to_owned(), "1".to_owned())];
            let field = Field::new(name, DataType::Utf8, true).with_metadata(number);
            Arc::new(Schema::new(vec![field, Field::new("n", of, true)]))
        };
        let all = [columns("street", DataType::Utf8), columns("road", DataType::Int32)];
        assert_eq!(see(&all), ["not in every file: road, street", "of two types: n: Utf8 → Int32"]);
        assert!(see(&all[..1]).is_empty());
    }
}
