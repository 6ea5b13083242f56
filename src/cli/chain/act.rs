//! `forebay chain skip`, `reset`, `repair`, `removed`: said, asked, done, told.

use std::io::{BufRead, IsTerminal};
use std::sync::Arc;

use serde_json::json;

use super::{Action, Found, Reset, Skip, absent, find};
use crate::cli::{ARGUMENTS, Exit, Output, say};
use crate::commit::machine::{Operation, What};
use crate::commit::record::Hint;
use crate::config;
use crate::error::Fault;
use crate::pipeline;
use crate::pipeline::operate::{self, Done};
use crate::pipeline::rebuild::Rebuild;
use crate::position::OffsetRange;
use crate::registry;
use crate::store::Store;

/// One action, ready to be asked about.
struct Plan<'a> {
    action: &'a Action,
    name: &'static str,
    found: Found,
    what: What,
    /// What it will do, line by line.
    says: Vec<String>,
    rebuild: Option<Rebuild>,
}

pub(super) async fn skip(
    store: &Store,
    pipeline: &config::Pipeline,
    args: &Skip,
) -> Result<Exit, Fault> {
    let found = find(store, pipeline, &args.action.one).await?;
    let end = found.head.to;
    let from = args.from.unwrap_or(end);
    if from < end || args.to <= from {
        return Err(Fault::new(
            &ARGUMENTS,
            format!(
                "`skip`: offsets [{from}, {}), some offsets from `{end}` on required, where the chain ends",
                args.to
            ),
        ));
    }
    let range = OffsetRange { start: from, end: args.to };
    let mut says = Vec::new();
    if from > end {
        says.push(format!("offsets [{end}, {from}) are read from Kafka and committed"));
    }
    says.push(format!("offsets {range} will be in no file; the chain says so"));
    let rebuild = (from > end).then(|| rebuild(store, pipeline, &found)).transpose()?;
    let what = What::Skip(range);
    go(store, pipeline, Plan { action: &args.action, name: "skip", found, what, says, rebuild })
        .await
}

pub(super) async fn reset(
    store: &Store,
    pipeline: &config::Pipeline,
    args: &Reset,
) -> Result<Exit, Fault> {
    let found = find(store, pipeline, &args.action.one).await?;
    let (end, to) = (found.head.to, args.to);
    if to < end && !args.again {
        return Err(Fault::new(
            &ARGUMENTS,
            format!(
                "`reset --to {to}`: offsets [{to}, {end}) are published, and would be once more; with --again that is done (remove their files, or readers meet those rows twice)"
            ),
        ));
    }
    let mut says = vec![format!("the chain goes on at offset {to}; it ends at {end} now")];
    match to < end {
        true => says.push(format!(
            "offsets [{to}, {end}) are published once more, beside the files that are there"
        )),
        false => says.push(format!("offsets [{end}, {to}) will be in no file")),
    }
    let what = What::Reset(to);
    let plan = Plan { action: &args.action, name: "reset", found, what, says, rebuild: None };
    go(store, pipeline, plan).await
}

pub(super) async fn repair(
    store: &Store,
    pipeline: &config::Pipeline,
    action: &Action,
) -> Result<Exit, Fault> {
    let found = find(store, pipeline, &action.one).await?;
    let mut says = missing(store, &found).await?;
    says.push(format!(
        "what can still be published is published; offsets {} are read again from Kafka, and the files that are lost are brought back",
        found.head.range()
    ));
    let rebuild = Some(rebuild(store, pipeline, &found)?);
    let plan = Plan { action, name: "repair", found, what: What::Repair, says, rebuild };
    go(store, pipeline, plan).await
}

pub(super) async fn removed(
    store: &Store,
    pipeline: &config::Pipeline,
    action: &Action,
) -> Result<Exit, Fault> {
    let found = find(store, pipeline, &action.one).await?;
    let mut says = missing(store, &found).await?;
    says.push(
        "what can still be published is published; the others count as published and removed, and the pipeline goes on"
            .to_owned(),
    );
    let plan = Plan { action, name: "removed", found, what: What::Removed, says, rebuild: None };
    go(store, pipeline, plan).await
}

/// Files of the last record that are not there; one at least.
async fn missing(store: &Store, found: &Found) -> Result<Vec<String>, Fault> {
    let absent = absent(store, &found.head).await?;
    if absent.is_empty() {
        return Err(Fault::new(
            &ARGUMENTS,
            format!(
                "record {}: all of its {} files are there, a missing one required",
                found.head.seq,
                found.head.files.len()
            ),
        ));
    }
    Ok(absent.into_iter().map(|key| format!("not there: {key}")).collect())
}

/// What makes files from Kafka as the pipeline would.
fn rebuild(store: &Store, pipeline: &config::Pipeline, found: &Found) -> Result<Rebuild, Fault> {
    let first = |faults: Vec<Fault>| {
        let mut faults = faults.into_iter();
        faults.next().unwrap_or_else(|| Fault::new(&ARGUMENTS, "configuration: refused"))
    };
    let partitioner = pipeline::partitioner(pipeline).map_err(first)?;
    pipeline::fixed_columns(pipeline, &partitioner).map_err(first)?;
    let registry = match pipeline.asks_registry() {
        true => Some(Arc::new(registry::Client::new(&pipeline.registry)?)),
        false => None,
    };
    let part_bytes = store.part_bytes().max(pipeline::PART_BYTES);
    let cluster = found.head.identity.cluster.clone();
    let mut settings = pipeline::settings(pipeline, partitioner, part_bytes, cluster);
    settings.target = pipeline::target(&pipeline.evolution)?;
    // Nobody would see it wait.
    settings.breaker = false;
    settings.unusable_schema = config::UnusableSchema::Reject;
    let (source, token) = (pipeline.source.clone(), pipeline::token(&pipeline.source)?);
    Ok(Rebuild { source, token, settings: Arc::new(settings), registry })
}

async fn go(store: &Store, pipeline: &config::Pipeline, plan: Plan<'_>) -> Result<Exit, Fault> {
    let Plan { action, name, found, what, says, rebuild } = plan;
    if action.why.trim().is_empty() || action.why.len() > 1_000 {
        let message =
            format!("`--why`: {} bytes, a reason of 1 to 1,000 required", action.why.len());
        return Err(Fault::new(&ARGUMENTS, message));
    }
    let head = &found.head;
    let text = action.one.common.output == Output::Text;
    let chain = format!("{}:{}", head.identity.topic, head.identity.partition);
    if text {
        say(format_args!(
            "{chain} ends with record {}, a {} of epoch {}, at offset {}",
            head.seq,
            head.kind.name(),
            head.epoch,
            head.to
        ));
        says.iter().for_each(|line| say(format_args!("  {line}")));
        say(
            "  a pipeline that is running loses the Kafka partition, and goes on behind this record",
        );
    }
    if action.dry_run {
        if text {
            say("nothing was changed (--dry-run)");
        } else {
            say(json!({"action": name, "chain": found.folder, "dry_run": true, "does": says}));
        }
        return Ok(Exit::Done);
    }
    if !action.yes && !confirmed()? {
        say("nothing was changed");
        return Ok(Exit::No);
    }
    let hint = Hint { seq: head.seq, id: head.id.clone() };
    let operation = Operation { head: hint, what, why: action.why.clone() };
    let version = pipeline.commit.record_version;
    let done = operate::operate(store, head, operation, version, rebuild).await?;
    told(name, &found, &done, text);
    Ok(Exit::Done)
}

fn told(name: &str, found: &Found, done: &Done, text: bool) {
    let record = &done.record;
    let files: Vec<&str> = record.files.iter().map(|file| file.key.as_str()).collect();
    if !text {
        return say(json!({
            "action": name, "chain": found.folder, "dry_run": false,
            "seq": record.seq, "id": record.id, "kind": record.kind.name(), "epoch": record.epoch,
            "from": record.from, "to": record.to, "lost": done.lost, "files": files,
        }));
    }
    say(format_args!(
        "done: record {}, a {} of epoch {}; the chain ends at offset {}",
        record.seq,
        record.kind.name(),
        record.epoch,
        record.to
    ));
    done.lost.iter().for_each(|key| say(format_args!("  gone: {key}")));
    files.iter().for_each(|key| say(format_args!("  made: {key}")));
}

/// Asks on the terminal. Error: nobody is there to answer.
#[allow(clippy::print_stderr)] // the door
fn confirmed() -> Result<bool, Fault> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let message = "change of a chain: nobody to ask, --yes required (or --dry-run)";
        return Err(Fault::new(&ARGUMENTS, message));
    }
    eprint!("Go on? [y/N] ");
    let mut answer = String::new();
    let _ = stdin.lock().read_line(&mut answer);
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
