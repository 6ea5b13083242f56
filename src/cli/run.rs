//! `forebay run`: streams until asked to leave.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::cli::{Exit, Output, RUNTIME, failed, refused, runtime, say};
use crate::clock::{self, System};
use crate::config::{self, Config};
use crate::error::Fault;
use crate::pipeline::threads::{Control, Ended};
use crate::pipeline::watch::{Totals, Watch};
use crate::pipeline::{self, Options};
use crate::record::Oddities;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration, YAML.
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Stop at the end offsets seen at the start, everything committed and published.
    #[arg(long)]
    drain: bool,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How often the log says how far a run is.
const PROGRESS: Duration = Duration::from_secs(10);

pub fn run(args: &Args) -> Exit {
    let config = match Config::load(&args.config, &config::Process) {
        Ok(config) => config,
        Err(faults) => return refused(&faults),
    };
    config.warnings.iter().for_each(|w| tracing::warn!("{w}"));
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(fault) => return failed(&fault),
    };
    let control = Arc::new(Control::default());
    if let Err(fault) = runtime.block_on(async { leave_on_signals(control.clone()) }) {
        return failed(&fault);
    }
    let clock = System::new();
    let watch = Arc::new(Watch::new(clock));
    runtime.spawn(progress(watch.clone(), clock));
    let options = Options { drain: args.drain, clock };
    let ended = match pipeline::run(&config, options, control, watch.clone(), runtime.handle()) {
        Ok(ended) => ended,
        Err(faults) => return refused_or_failed(&faults),
    };
    say(summary(&watch.totals(), &ended, clock, args.output));
    // Requests that are still under way belong to nothing that is committed.
    runtime.shutdown_background();
    exit_of(&ended, args.drain)
}

/// Configuration faults refuse; the world's faults fail.
fn refused_or_failed(faults: &[Fault]) -> Exit {
    match refused(faults) {
        _ if faults
            .iter()
            .any(|f| !f.code.id.starts_with("FB04") && !f.code.id.starts_with("FB06")) =>
        {
            Exit::Fault
        }
        refused => refused,
    }
}

pub(super) fn exit_of(ended: &Ended, drain: bool) -> Exit {
    match &ended.fatal {
        Some(fault) => failed(fault),
        None if drain && !ended.stopped.is_empty() => Exit::Fault,
        None => Exit::Done,
    }
}

/// The first SIGTERM or SIGINT asks to leave, the second one to leave at once.
fn leave_on_signals(control: Arc<Control>) -> Result<(), Fault> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| {
        signal(kind).map_err(|e| {
            Fault::new(&RUNTIME, format!("signal handler: {e}, SIGTERM and SIGINT required"))
        })
    };
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if asked {
                tracing::warn!("asked again: leaving at once, what is not committed is read again");
                control.leave_at_once();
            } else {
                tracing::info!("asked to leave: sealing, publishing, committing");
                control.leave();
                asked = true;
            }
        }
    });
    Ok(())
}

/// Says now and then how far the run is.
pub(super) async fn progress(watch: Arc<Watch>, clock: System) {
    let mut before = Totals::default();
    loop {
        clock::sleep(PROGRESS).await;
        let (totals, views) = (watch.totals(), watch.views());
        let seconds = PROGRESS.as_secs_f64();
        let lag: i64 = views.values().map(|v| (v.end - v.position).max(0)).sum();
        let waiting: u64 = views.values().map(|v| v.waiting_records).sum();
        let lanes: usize = views.values().map(|v| v.open_lanes).sum();
        let now_ms = clock.now().mono_ms;
        let due = views
            .values()
            .filter_map(|v| v.seals_at_ms)
            .min()
            .map(|at| at.saturating_sub(now_ms) / 1_000);
        tracing::info!(
            records = totals.records,
            records_per_s = ((totals.records - before.records) as f64 / seconds) as u64,
            mb_per_s = format!("{:.1}", (totals.bytes - before.bytes) as f64 / seconds / 1e6),
            lag,
            waiting,
            open_lanes = lanes,
            next_commit_s = due,
            rejects = totals.rejected(),
            files = totals.files,
            "streaming"
        );
        for (tp, view) in views.iter().filter(|(_, v)| v.waits_for.is_some()) {
            tracing::warn!(
                "{tp} waits for schema {}",
                view.waits_for.as_deref().unwrap_or_default()
            );
        }
        before = totals;
    }
}

fn oddities((schema_id, oddities): (&u32, &Oddities)) -> serde_json::Value {
    json!({
        "schema_id": schema_id, "unknown_fields": oddities.unknown_fields,
        "missing_fields": oddities.missing_fields, "repeated_keys": oddities.repeated_keys,
    })
}

fn schema(id: u32) -> String {
    if id == 0 { "schemas without an id".to_owned() } else { format!("schema {id}") }
}

/// The last words of a run.
pub(super) fn summary(totals: &Totals, ended: &Ended, clock: System, output: Output) -> String {
    let wall = clock.now().mono_ms as f64 / 1e3;
    let cpu = clock.process_cpu().as_secs_f64();
    if output == Output::Json {
        let stopped: Vec<_> = ended
            .stopped
            .iter()
            .map(|(tp, fault)| json!({"partition": tp.to_string(), "code": fault.code.id, "message": fault.message}))
            .collect();
        return json!({
            "records": totals.records, "bytes": totals.bytes, "rows": totals.rows,
            "rejects": totals.rejects, "skipped": totals.tombstones,
            "oddities": totals.oddities.iter().map(oddities).collect::<Vec<_>>(),
            "files": totals.files, "file_bytes": totals.file_bytes, "reject_files": totals.reject_files,
            "commits": totals.commits, "rewinds": totals.rewinds,
            "wall_s": wall, "cpu_s": cpu, "stopped": stopped, "dropped": ended.dropped,
        })
        .to_string();
    }
    let mut text = format!(
        "{} records ({:.1} MB) -> {} rows in {} files ({:.1} MB), {} rejects, {} skipped, {} commits; \
         {wall:.1} s, {cpu:.1} CPU-s",
        totals.records,
        totals.bytes as f64 / 1e6,
        totals.rows,
        totals.files,
        totals.file_bytes as f64 / 1e6,
        totals.rejected(),
        totals.tombstones,
        totals.commits,
    );
    if totals.records > 0 {
        text.push_str(&format!(", {:.2} CPU-us a record", cpu * 1e6 / totals.records as f64));
    }
    for (code, n) in &totals.rejects {
        text.push_str(&format!("\n  {n} rejects {code}"));
    }
    for (schema_id, oddities) in &totals.oddities {
        for (n, what) in [
            (oddities.unknown_fields, "unknown fields"),
            (oddities.missing_fields, "required fields missing"),
            (oddities.repeated_keys, "keys repeated"),
        ] {
            if n > 0 {
                text.push_str(&format!("\n  {n} {what} in records of {}", schema(*schema_id)));
            }
        }
    }
    for (tp, fault) in &ended.stopped {
        text.push_str(&format!("\n  {tp} stopped: {fault}"));
    }
    text
}
