//! `forebay chain`: chains of commits, for the operator.
//!
//! Owns: the command line, finding one chain, asking before something is changed.
//! Does not own: what an action does (`commit::machine`, `pipeline::operate`).

mod act;
mod look;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;

use crate::cli::audit::{links, read};
use crate::cli::{ARGUMENTS, Exit, NO_CHAIN, Output, failed, refused, runtime};
use crate::commit::record::Record;
use crate::config::{self, Config};
use crate::error::Fault;
use crate::position::Offset;
use crate::store::Store;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All chains: where each ends, under which owner, and whether all of it is published.
    #[command(after_help = "Example: forebay chain ls -c forebay.yaml")]
    Ls(Common),
    /// Records of one chain.
    #[command(after_help = "Example: forebay chain show -c forebay.yaml orders:3 --last 5")]
    Show(Show),
    /// Go past offsets: they are in no file, and the chain says so, with the reason.
    #[command(
        after_help = "Example: forebay chain skip -c forebay.yaml orders:3 --from 918273 --to 918274 --why 'batch does not decompress'\n\nOffsets between the end of the chain and --from are read and committed first."
    )]
    Skip(Skip),
    /// Let the chain go on at another offset.
    #[command(
        after_help = "Example: forebay chain reset -c forebay.yaml orders:3 --to 1200000 --why 'topic restored from a backup'"
    )]
    Reset(Reset),
    /// Bring files back whose uploads were lost before they were published: their offsets are read again from Kafka.
    #[command(
        after_help = "Example: forebay chain repair -c forebay.yaml orders:3 --why 'lifecycle rule aborted uploads'"
    )]
    Repair(Action),
    /// Say that files of the last commit were published, and removed by somebody since.
    #[command(
        after_help = "Example: forebay chain removed -c forebay.yaml orders:3 --why 'compacted by the nightly job'"
    )]
    Removed(Action),
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The configuration, YAML.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Name of the pipeline, where it is not the configuration's own.
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// How the result is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, clap::Args)]
struct One {
    #[command(flatten)]
    common: Common,
    /// Topic and Kafka partition: `orders:3`.
    #[arg(value_name = "TOPIC:PARTITION")]
    place: String,
    /// Id of the topic, where one of its name was made anew.
    #[arg(long, value_name = "ID")]
    topic_id: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    one: One,
    /// Only so many records, from the end.
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "seq")]
    last: u64,
    /// Only these records: `7` or `3..10`, both in it.
    #[arg(long, value_name = "SEQ")]
    seq: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Action {
    #[command(flatten)]
    one: One,
    /// The reason; it stands in the chain.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask. Required where nobody can answer.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
struct Skip {
    #[command(flatten)]
    action: Action,
    /// First offset to skip; default: the end of the chain.
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    from: Option<Offset>,
    /// First offset that is not skipped.
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to: Offset,
}

#[derive(Debug, clap::Args)]
struct Reset {
    #[command(flatten)]
    action: Action,
    /// Where the chain goes on.
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to: Offset,
    /// Offsets that are published already are published once more.
    #[arg(long)]
    again: bool,
}

pub fn run(args: &Args) -> Exit {
    let common = match &args.command {
        Command::Ls(common) => common,
        Command::Show(show) => &show.one.common,
        Command::Skip(skip) => &skip.action.one.common,
        Command::Reset(reset) => &reset.action.one.common,
        Command::Repair(action) | Command::Removed(action) => &action.one.common,
    };
    let mut config = match Config::load(&common.config, &config::Process) {
        Ok(config) => config,
        Err(faults) => return refused(&faults),
    };
    if let Some(name) = &common.pipeline {
        config.pipeline.name.clone_from(name);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(fault) => return failed(&fault),
    };
    let result = runtime.block_on(carry_out(&args.command, &config.pipeline));
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit,
        Err(fault) if *fault.code == ARGUMENTS => refused(&[fault]),
        Err(fault) => failed(&fault),
    }
}

async fn carry_out(command: &Command, pipeline: &config::Pipeline) -> Result<Exit, Fault> {
    let reads = matches!(command, Command::Ls(_) | Command::Show(_));
    if !reads && pipeline.commit.authority == config::Authority::Kafka {
        // Each is a record that Kafka would have to name, as the group's member that nobody else may be.
        let message = "action on a chain: found with `commit.authority: kafka`, `store` required; where Kafka decides, set `commit.on_lost_offsets`, `commit.on_truncated_log` or `commit.on_lost_authority`";
        return Err(Fault::new(&ARGUMENTS, message));
    }
    let store = match reads {
        true => Store::open_to_read(&pipeline.sink).await?,
        false => Store::open(&pipeline.sink).await?,
    };
    match command {
        Command::Ls(common) => look::list(&store, pipeline, common.output).await,
        Command::Show(show) => look::show(&store, pipeline, show).await,
        Command::Skip(skip) => act::skip(&store, pipeline, skip).await,
        Command::Reset(reset) => act::reset(&store, pipeline, reset).await,
        Command::Repair(action) => act::repair(&store, pipeline, action).await,
        Command::Removed(action) => act::removed(&store, pipeline, action).await,
    }
}

/// One chain: its folder, and its last record.
struct Found {
    folder: String,
    /// Ids of its records, where Kafka decides.
    names: links::Names,
    head: Arc<Record>,
}

/// Finds a chain by topic and Kafka partition.
async fn find(store: &Store, pipeline: &config::Pipeline, one: &One) -> Result<Found, Fault> {
    let place = one.place.rsplit_once(':').and_then(|(topic, partition)| {
        Some((topic, partition.parse::<i32>().ok().filter(|p| *p >= 0)?))
    });
    let Some((topic, partition)) = place else {
        let message = format!("chain: `{}`, a place such as `orders:3` required", one.place);
        return Err(Fault::new(&ARGUMENTS, message));
    };
    let mut found = Vec::new();
    for (folder, listed) in read::chains(store, &pipeline.name, None).await? {
        let own = folder.trim_end_matches('/').rsplit('/').next();
        if own.and_then(|own| own.parse().ok()) != Some(partition) {
            continue;
        }
        let Some((seq, _)) = listed.places.last() else { continue };
        let names = listed.names;
        let head = record(store, &links::key(&folder, *seq, Some(&names))).await?;
        let other_id = one.topic_id.is_some() && head.identity.topic_id != one.topic_id;
        if head.identity.topic == topic && !other_id {
            found.push(Found { folder, names, head });
        }
    }
    if found.len() > 1 {
        let ids: Vec<&str> =
            found.iter().filter_map(|f| f.head.identity.topic_id.as_deref()).collect();
        let message = format!(
            "chain of `{}`: the topic was made anew, one of `{}` required with --topic-id",
            one.place,
            ids.join("`, `")
        );
        return Err(Fault::new(&ARGUMENTS, message));
    }
    found.pop().ok_or_else(|| {
        let message = format!(
            "chain of `{}` of pipeline `{}` in `{}`: none, one required",
            one.place, pipeline.name, pipeline.sink.url
        );
        Fault::new(&NO_CHAIN, message)
    })
}

/// One record that the listing shows.
async fn record(store: &Store, key: &str) -> Result<Arc<Record>, Fault> {
    let bytes = store.get(key).await?.ok_or_else(|| {
        Fault::new(&NO_CHAIN, format!("commit record `{key}`: gone since it was listed"))
    })?;
    Record::parse(&bytes).map(Arc::new).map_err(|fault| fault.at(key))
}

/// Files of a record that are not there.
async fn absent(store: &Store, record: &Record) -> Result<Vec<String>, Fault> {
    use futures::StreamExt;
    let looks: Vec<_> = futures::stream::iter(&record.files)
        .map(|file| async move { (file.key.clone(), store.head(&file.key).await) })
        .buffered(16)
        .collect()
        .await;
    let mut absent = Vec::new();
    for (key, entry) in looks {
        if entry?.is_none() {
            absent.push(key);
        }
    }
    Ok(absent)
}
