//! `forebay register`: schema files → registry.
//!
//! A folder is a subject, a file a version (`protos/orders/v1.proto`, `v2.proto`, …). Referenced
//! files are registered before those that refer to them, and what is registered already stays as it
//! is, so that the command can be repeated.

use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config;
use crate::error::{Code, Fault, Kind};
use crate::registry::client::{NewSchema, RefTo, settings};
use crate::registry::compile::compile;
use crate::registry::{Client, Lookup};

use super::schema_files::{self, SchemaFile};
use super::{Exit, Output};

pub static OUTPUT: Code = Code {
    id: "FB1021",
    kind: Kind::Halt,
    title: "the result cannot be written",
    help: "Standard output was closed before the result was written.",
};
pub static REGISTRY: Code = Code {
    id: "FB1022",
    kind: Kind::Halt,
    title: "no registry named",
    help: "Give `-c forebay.yaml` or `--registry http://localhost:8081`.",
};

/// Every code of this command.
pub static CODES: &[&Code] = &[&schema_files::FILES, &OUTPUT, &REGISTRY];

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Example:\n  forebay register --registry http://localhost:8081 protos schemas\n  forebay register -c forebay.yaml --subject orders-value protos/orders/v2.proto"
)]
pub struct Args {
    /// Configuration file whose registry is used
    #[arg(short, long, value_name = "FILE", conflicts_with = "registry")]
    pub config: Option<PathBuf>,
    /// URL of the registry
    #[arg(long, value_name = "URL")]
    pub registry: Option<String>,
    /// Subject of all files; default: the name of a file's folder
    #[arg(long)]
    pub subject: Option<String>,
    /// Says what would be done, and changes nothing; exit code 3 if a schema would be refused
    #[arg(long)]
    pub dry_run: bool,
    /// Form of the result
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    /// Schema files (.proto, .avsc, .json for JSON Schema), or folders of them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// What became of one file.
struct Row {
    file: String,
    subject: String,
    version: Option<u32>,
    id: Option<u32>,
    compatibility: String,
    outcome: &'static str,
    messages: Vec<String>,
}

/// Registers the files. `configured` is the registry of the configuration file, if one was named.
///
/// Exit code 0, or 3 where a dry run finds a schema that the registry would refuse.
/// Errors: codes of `schema_files` and `registry`.
pub async fn run(
    args: &Args,
    configured: Option<&config::Registry>,
    out: &mut impl Write,
) -> Result<Exit, Fault> {
    let client = match (&args.registry, configured) {
        (Some(url), _) => Client::new(&settings(url))?,
        (None, Some(config)) => Client::new(config)?,
        (None, None) => {
            return Err(Fault::new(
                &REGISTRY,
                "registry: none named, `-c` or `--registry` required",
            ));
        }
    };
    let files = schema_files::read(&args.paths, args.subject.as_deref())?;
    for (i, file) in files.iter().enumerate() {
        // Before anything is sent: a set of files is registered whole or, if one is wrong, not begun.
        compile(0, file.language, &file.text, &schema_files::references(&files, i))
            .map_err(|fault| fault.at(file.path.display().to_string()))?;
    }
    let mut rows: Vec<Row> = Vec::with_capacity(files.len());
    for file in &files {
        let row = match new_schema(file, &files, &rows) {
            Some(schema) if args.dry_run => consider(&client, file, &schema).await,
            Some(schema) => register(&client, file, &schema).await,
            // Only in a dry run: what it refers to is not in the registry yet.
            None => Ok(row(file, "would register, unchecked")),
        };
        rows.push(row.map_err(|lookup| lookup.into_fault().at(file.path.display().to_string()))?);
    }
    let written = match args.output {
        Output::Text => write_text(&rows, out),
        Output::Json => write_json(&rows, out),
    };
    written.map_err(|e| Fault::new(&OUTPUT, format!("result: {e}")))?;
    let refused = rows.iter().any(|row| row.outcome == "incompatible");
    Ok(if refused { Exit::No } else { Exit::Done })
}

fn row(file: &SchemaFile, outcome: &'static str) -> Row {
    Row {
        file: file.path.display().to_string(),
        subject: file.subject.clone(),
        version: None,
        id: None,
        compatibility: "-".to_owned(),
        outcome,
        messages: Vec::new(),
    }
}

/// The schema with its references as the registry numbers them; none while one has no number.
fn new_schema(file: &SchemaFile, files: &[SchemaFile], rows: &[Row]) -> Option<NewSchema> {
    let references = file.references.iter().map(|(name, to)| {
        let version = rows.get(*to)?.version?;
        Some(RefTo { name: name.clone(), subject: files[*to].subject.clone(), version })
    });
    Some(NewSchema {
        language: file.language,
        text: file.text.clone(),
        references: references.collect::<Option<_>>()?,
    })
}

async fn register(client: &Client, file: &SchemaFile, schema: &NewSchema) -> Result<Row, Lookup> {
    let known = client.lookup(&file.subject, schema).await?;
    let (id, version) = match known {
        Some(known) => known,
        None => client.register(&file.subject, schema).await?,
    };
    Ok(Row {
        version: Some(version),
        id: Some(id),
        compatibility: client.compatibility_level(&file.subject).await?,
        ..row(file, if known.is_some() { "exists" } else { "registered" })
    })
}

async fn consider(client: &Client, file: &SchemaFile, schema: &NewSchema) -> Result<Row, Lookup> {
    let compatibility = client.compatibility_level(&file.subject).await?;
    if let Some((id, version)) = client.lookup(&file.subject, schema).await? {
        let row = row(file, "exists");
        return Ok(Row { version: Some(version), id: Some(id), compatibility, ..row });
    }
    let verdict = client.compatibility(&file.subject, schema).await?;
    let outcome = if verdict.compatible { "would register" } else { "incompatible" };
    Ok(Row { compatibility, messages: verdict.messages, ..row(file, outcome) })
}

fn write_text(rows: &[Row], out: &mut impl Write) -> std::io::Result<()> {
    let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let head = ["SUBJECT", "VERSION", "ID", "COMPATIBILITY", "OUTCOME", "FILE"].map(str::to_owned);
    let mut table = vec![head];
    table.extend(rows.iter().map(|row| {
        [
            row.subject.clone(),
            number(row.version),
            number(row.id),
            row.compatibility.clone(),
            row.outcome.to_owned(),
            row.file.clone(),
        ]
    }));
    let width = |column: usize| {
        table.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    for (i, line) in table.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            write!(out, "{cell:width$}  ")?;
        }
        writeln!(out, "{}", line[5])?;
        let messages = i.checked_sub(1).and_then(|i| rows.get(i)).map(|row| &row.messages);
        for message in messages.into_iter().flatten() {
            writeln!(out, "    {message}")?;
        }
    }
    out.flush()
}

fn write_json(rows: &[Row], out: &mut impl Write) -> std::io::Result<()> {
    let schemas: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "subject": row.subject,
                "version": row.version,
                "id": row.id,
                "compatibility": row.compatibility,
                "outcome": row.outcome,
                "file": row.file,
                "messages": row.messages,
            })
        })
        .collect();
    writeln!(out, "{}", json!({ "schemas": schemas }))?;
    out.flush()
}
