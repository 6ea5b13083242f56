//! What the demo shows: progress, the tree of files, one schema, some rows, and what to try next.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::cli::{LOCAL, rows, say};
use crate::clock;
use crate::error::Fault;
use crate::pipeline::watch::Watch;

/// Rows shown.
const ROWS: usize = 5;
/// Folders of one topic that are listed; the others are counted.
const FOLDERS: usize = 12;

/// Says how far it is, a few times a second.
pub async fn progress(watch: Arc<Watch>, records: u64) {
    let mut said = u64::MAX;
    loop {
        clock::sleep(Duration::from_millis(250)).await;
        let totals = watch.totals();
        if totals.records != said {
            said = totals.records;
            say(format_args!(
                "  {:>8} of {records} records, {:>5.1} MB, {} files closed",
                totals.records,
                totals.bytes as f64 / 1e6,
                totals.files
            ));
        }
    }
}

struct Found {
    path: PathBuf,
    bytes: u64,
    rows: u64,
}

/// The tree with rows and bytes, the schema of one file, five rows, and lines to try.
pub fn results(dir: &Path) -> Result<(), Fault> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    tree(dir, &files);
    if let Some(file) = files.iter().max_by_key(|f| f.rows) {
        schema_and_rows(dir, file)?;
    }
    let shown = dir.display();
    say("\nTry:");
    say(format_args!(
        "  duckdb -c \"SELECT country, count(*), sum(amount) FROM read_parquet('{shown}/orders/**/*.parquet', \
         hive_partitioning = true, union_by_name = true) GROUP BY ALL ORDER BY 2 DESC LIMIT 5\""
    ));
    say(format_args!(
        "  python3 -c \"import pyarrow.dataset as ds; d = ds.dataset('{shown}/payments', partitioning='hive'); \
         print(d.schema, d.count_rows())\""
    ));
    Ok(())
}

/// Every Parquet file of the demo.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files.into_iter().map(|file| file.path).collect())
}

fn collect(dir: &Path, out: &mut Vec<Found>) -> Result<(), Fault> {
    let fault = |e: std::io::Error| {
        Fault::new(&LOCAL, format!("folder `{}`: {e}, a readable folder required", dir.display()))
    };
    for entry in std::fs::read_dir(dir).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_dir() {
            if !path.ends_with("_forebay") {
                collect(&path, out)?;
            }
        } else if path.extension().is_some_and(|e| e == "parquet") {
            let reader = open(&path)?;
            let rows = reader.metadata().file_metadata().num_rows().max(0) as u64;
            let bytes = path.metadata().map(|m| m.len()).unwrap_or_default();
            out.push(Found { path, bytes, rows });
        }
    }
    Ok(())
}

pub fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, Fault> {
    let fault = |e: &dyn std::fmt::Display| {
        Fault::new(&LOCAL, format!("file `{}`: {e}, a Parquet file required", path.display()))
    };
    let file = File::open(path).map_err(|e| fault(&e))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| fault(&e))
}

/// Folder by folder: files, rows, bytes.
fn tree(dir: &Path, files: &[Found]) {
    let mut topics: BTreeMap<String, BTreeMap<String, (u64, u64, u64)>> = BTreeMap::new();
    for file in files {
        let below = file.path.strip_prefix(dir).unwrap_or(&file.path);
        let mut parts = below.components().map(|c| c.as_os_str().to_string_lossy().into_owned());
        let topic = parts.next().unwrap_or_default();
        let folder: Vec<String> = parts.collect();
        let folder = folder[..folder.len().saturating_sub(1)].join("/");
        let sums = topics.entry(topic).or_default().entry(folder).or_default();
        sums.0 += 1;
        sums.1 += file.rows;
        sums.2 += file.bytes;
    }
    say(dir.display());
    for (topic, folders) in &topics {
        let total = folders.values().fold((0, 0, 0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
        line(2, &format!("{topic}/"), total);
        for (folder, sums) in folders.iter().take(FOLDERS) {
            line(4, &format!("{folder}/"), *sums);
        }
        if folders.len() > FOLDERS {
            say(format_args!("    … {} more folders", folders.len() - FOLDERS));
        }
    }
}

fn line(indent: usize, name: &str, (files, rows, bytes): (u64, u64, u64)) {
    say(format_args!(
        "{:indent$}{name:<width$} {files:>4} files {rows:>8} rows {:>9.1} kB",
        "",
        bytes as f64 / 1e3,
        width = 58 - indent
    ));
}

fn schema_and_rows(dir: &Path, file: &Found) -> Result<(), Fault> {
    let below = file.path.strip_prefix(dir).unwrap_or(&file.path);
    let reader = open(&file.path)?;
    say(format_args!("\nschema of {}:", below.display()));
    for field in reader.schema().fields() {
        let null = if field.is_nullable() { "nullable" } else { "required" };
        say(format_args!("  {:<14} {null} {}", field.name(), field.data_type()));
    }
    say(format_args!("\n{ROWS} of its rows:"));
    let fault = |e: &dyn std::fmt::Display| {
        Fault::new(&LOCAL, format!("file `{}`: {e}, a Parquet file required", file.path.display()))
    };
    let batches = reader.with_limit(ROWS).build().map_err(|e| fault(&e))?;
    for batch in batches {
        let batch = batch.map_err(|e| fault(&e))?;
        for row in rows::json(&batch) {
            say(format_args!("  {row}"));
        }
    }
    Ok(())
}
