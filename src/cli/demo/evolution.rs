//! What evolution did in the demo: sets of columns, whose rows they hold, and what became of the flips.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use crate::cli::evolve::Mode;
use crate::cli::say;
use crate::error::Fault;
use crate::evolve::{changes, same_columns};
use crate::file::Provenance;

use super::show;

/// Files with the same columns.
struct Shape {
    columns: SchemaRef,
    writers: BTreeSet<u32>,
    files: u64,
    rows: u64,
}

/// Changes of version in the order of each Kafka partition, by topic: what one file a flip would cost.
pub type Flips = BTreeMap<&'static str, u64>;

/// The name of a mode in the configuration.
pub fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Rotate | Mode::All => "rotate",
        Mode::Latest => "latest",
        Mode::Superset => "superset",
        Mode::Fixed => "fixed",
    }
}

/// Says it, topic by topic.
pub fn report(dir: &Path, mode: Mode, flips: &Flips) -> Result<(), Fault> {
    let mut topics: BTreeMap<String, Vec<Shape>> = BTreeMap::new();
    for path in show::files(dir)? {
        let reader = show::open(&path)?;
        let from = Provenance::read(reader.metadata())?;
        if from.role != "data" {
            continue;
        }
        let rows = reader.metadata().file_metadata().num_rows().max(0) as u64;
        let columns = Schema::new(reader.schema().fields().clone());
        let shapes = topics.entry(from.topic_partition.topic.to_string()).or_default();
        match shapes.iter_mut().find(|shape| same_columns(&shape.columns, &columns)) {
            Some(shape) => {
                shape.writers.extend(&from.schema_ids);
                shape.files += 1;
                shape.rows += rows;
            }
            None => shapes.push(Shape {
                columns: Arc::new(columns),
                writers: from.schema_ids,
                files: 1,
                rows,
            }),
        }
    }
    say(format_args!(
        "\nevolution, mode {}: both versions of each schema, record by record",
        name(mode)
    ));
    for (topic, shapes) in &mut topics {
        shapes.sort_by_key(|shape| shape.columns.fields().len());
        let files: u64 = shapes.iter().map(|s| s.files).sum();
        let flips = flips.get(topic.as_str()).copied().unwrap_or_default();
        say(format_args!(
            "  {topic}: {files} files; one file for each change of version would have been {flips}"
        ));
        for (n, shape) in shapes.iter().enumerate() {
            let ids: Vec<String> = shape.writers.iter().map(u32::to_string).collect();
            let before = n.checked_sub(1).and_then(|n| shapes.get(n));
            let more = before.map(|before| changes(&before.columns, &shape.columns).added);
            let more = more.filter(|more| !more.is_empty());
            let more = more.map(|more| format!(", also {}", more.join(", "))).unwrap_or_default();
            say(format_args!(
                "    {:>3} columns: {} files, {} rows of schema ids {}{more}",
                shape.columns.fields().len(),
                shape.files,
                shape.rows,
                ids.join(", ")
            ));
        }
    }
    Ok(())
}
