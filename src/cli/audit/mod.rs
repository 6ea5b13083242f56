//! `forebay audit`: proves the guarantees from the chain and a listing.
//!
//! Owns: the command line, exit codes. Reads, and writes nothing.
//! Does not own: what is checked (`audit`).

mod explain;
mod kafka;
pub mod links;
pub mod read;
pub mod report;

use std::path::PathBuf;
use std::time::Duration;

use crate::audit::finding::Strictness;
use crate::cli::{ARGUMENTS, Exit, NO_CHAIN, Output, failed, refused, runtime, say};
use crate::clock::System;
use crate::config::{self, Config, units};
use crate::error::Fault;
use crate::store::Store;

pub use self::read::{Options, audit};
pub use self::report::Report;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration, YAML.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Name of the pipeline, where it is not the configuration's own.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Read every file: checksum and rows; with `metadata: [offset]` order and multiplicity of offsets too.
    #[arg(long, conflicts_with = "no_footers")]
    deep: bool,
    /// Do not read what files say of themselves: chain and listing alone.
    #[arg(long)]
    no_footers: bool,
    /// Files that were removed since they were published are violations too.
    #[arg(long)]
    expect_all: bool,
    /// Files that somebody else put there, and old uploads that nobody names, are violations too.
    #[arg(long)]
    strict: bool,
    /// Only commits since then: an age such as `24h`, or a time such as `2026-01-31T00:00:00Z`.
    #[arg(long, value_name = "AGE|TIME")]
    since: Option<String>,
    /// Age from which an unfinished upload that no record names is told of.
    #[arg(long, value_name = "AGE", default_value = "24h")]
    orphan_age: String,
    /// Ask Kafka too: lag, offsets that the group committed, offsets that are lost.
    #[arg(long)]
    broker: bool,
    /// Where one record went: file, row, commit; or why it is in none.
    #[arg(long, value_name = "TOPIC:PARTITION:OFFSET")]
    explain: Option<String>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub fn run(args: &Args) -> Exit {
    let mut config = match Config::load(&args.config, &config::Process) {
        Ok(config) => config,
        Err(faults) => return refused(&faults),
    };
    if let Some(name) = &args.pipeline {
        config.pipeline.name.clone_from(name);
    }
    let clock = System::new();
    let options = match options(args, clock) {
        Ok(options) => options,
        Err(fault) => return refused(&[fault]),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(fault) => return failed(&fault),
    };
    let result = match &args.explain {
        Some(what) => match explain::parse(what) {
            Ok(asked) => runtime.block_on(explain::explain(&config.pipeline, &asked, args.output)),
            Err(fault) => return refused(&[fault]),
        },
        None => runtime.block_on(whole(&config.pipeline, &options, args)),
    };
    runtime.shutdown_background();
    result.unwrap_or_else(|fault| failed(&fault))
}

async fn whole(pipeline: &config::Pipeline, options: &Options, args: &Args) -> Result<Exit, Fault> {
    let store = Store::open_to_read(&pipeline.sink).await?;
    let report = audit(pipeline, &store, options).await?;
    if report.partitions.is_empty() {
        return Err(no_chain(pipeline));
    }
    match args.output {
        Output::Json => say(report.json()),
        Output::Text => {
            say(report.text());
            if report.unasked {
                say(
                    "Kafka decides which record is the last of a chain and was not asked: the last one that nothing speaks against is taken. `--broker` asks.",
                );
            }
        }
    }
    Ok(if report.violations() > 0 { Exit::No } else { Exit::Done })
}

/// Nothing to audit is no proof.
#[cold]
pub(super) fn no_chain(pipeline: &config::Pipeline) -> Fault {
    Fault::new(
        &NO_CHAIN,
        format!(
            "chains of pipeline `{}` in `{}`: none found, one at least required",
            pipeline.name, pipeline.sink.url
        ),
    )
}

fn options(args: &Args, clock: System) -> Result<Options, Fault> {
    let now_ms = clock.now().wall_ms;
    let since_ms = args.since.as_deref().map(|text| since(text, now_ms)).transpose()?;
    let age = |text: &str| units::duration(text).map_err(|why| refuse("--orphan-age", text, &why));
    let orphan_age: Duration = age(&args.orphan_age)?;
    Ok(Options {
        deep: args.deep,
        footers: !args.no_footers,
        since_ms,
        now_ms,
        orphan_age_ms: i64::try_from(orphan_age.as_millis()).unwrap_or(i64::MAX),
        strictness: Strictness { expect_all: args.expect_all, strict: args.strict },
        broker: args.broker,
    })
}

/// An age or a time, as ms since 1970.
fn since(text: &str, now_ms: i64) -> Result<i64, Fault> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.as_millisecond());
    }
    let age = units::duration(text)
        .map_err(|_| refuse("--since", text, "an age such as `24h` or a time with its zone"))?;
    Ok(now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)))
}

#[cold]
fn refuse(option: &str, found: &str, required: &str) -> Fault {
    Fault::new(&ARGUMENTS, format!("`{option}`: `{found}`, {required} required"))
}
