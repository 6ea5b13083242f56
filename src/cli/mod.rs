//! Commands: arguments → the library → text.
//!
//! Owns: the command line, exit codes, what is printed. Results go to stdout, everything else to
//! stderr.
//! Does not own: any work; each command is a few calls into the library.

pub mod run;
pub mod demo;
pub mod evolve;
pub mod register;
pub mod schema_files;
pub mod produce;
pub mod check;
pub mod codes;
pub mod decode;
mod decoding;
mod rows;
pub mod registry;
pub mod audit;
pub mod chain;
pub mod plan;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::{self, Config};
use crate::error::{Code, Fault, Kind};

pub static ARGUMENTS: Code = Code {
    id: "FB1001",
    kind: Kind::Halt,
    title: "an argument that cannot be used",
    help: "The message names the argument, what was found and what is required. `forebay <command> --help` shows an example.",
};
pub static LOCAL: Code = Code {
    id: "FB1002",
    kind: Kind::Halt,
    title: "a local file, folder or port that cannot be used",
    help: "The message says which one and what the system said.",
};
pub static RUNTIME: Code = Code {
    id: "FB1003",
    kind: Kind::Halt,
    title: "the system gives no threads or signals",
    help: "Look at the limits of the process (threads, file descriptors).",
};

pub static NO_CHAIN: Code = Code {
    id: "FB1004",
    kind: Kind::Halt,
    title: "no chain of commits there",
    help: "Nothing was recorded under this pipeline's name at this place. Is it the right configuration, and has the pipeline run? `--pipeline` takes another name; `forebay chain ls` shows what is there.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[&ARGUMENTS, &LOCAL, &RUNTIME, &NO_CHAIN];

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    /// Stopped by a fault, which was said.
    Fault,
    /// The command line or configuration was refused.
    Refused,
    /// The answer is "no".
    No,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => ExitCode::SUCCESS,
            Exit::Fault => ExitCode::from(1),
            Exit::Refused => ExitCode::from(2),
            Exit::No => ExitCode::from(3),
        }
    }
}

/// Kafka topics with schemas → typed, partitioned Parquet files on S3 or disk.
#[derive(Debug, Parser)]
#[command(name = "forebay", version, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 stopped by a fault, 2 command line or configuration refused, 3 the answer is no."
)]
struct Cli {
    /// How log lines are written to stderr.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// error, warn, info, debug, trace; or a filter such as `info,forebay::source=debug`.
    #[arg(long, global = true, default_value = "info", env = "FOREBAY_LOG_LEVEL")]
    log_level: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The main job with everything embedded: broker, registry, local folder.
    #[command(after_help = "Example: forebay demo --records 50000 --dir /tmp/demo")]
    Demo(demo::Args),
    /// Stream: Kafka → files, as the configuration says.
    #[command(after_help = "Example: forebay run -c forebay.yaml --drain")]
    Run(run::Args),
    /// JSON lines → records framed by a subject's schema.
    #[command(
        after_help = "Example: forebay produce --brokers localhost:9092 --registry http://localhost:8081 --subject User --topic test users.jsonl"
    )]
    Produce(produce::Args),
    /// Register schema files: a folder per subject, a file per version.
    #[command(
        after_help = "Example: forebay register --registry http://localhost:8081 protos schemas"
    )]
    Register(register::Args),
    /// Check a configuration and what it points at; writes nothing but a probe.
    #[command(after_help = "Example: forebay check -c forebay.yaml --sample 10")]
    Check(check::Args),
    /// Records or payloads → rows as JSON or Parquet, without a pipeline.
    Decode(decode::Args),
    /// Prove the guarantees from the chain of commits and a listing; lag and completeness by Kafka partition.
    #[command(
        after_help = "Example: forebay audit -c forebay.yaml --deep\n         forebay audit -c forebay.yaml --explain orders:3:918273"
    )]
    Audit(audit::Args),
    /// Look at chains of commits, and do what an operator must do where a Kafka partition stopped.
    #[command(
        after_help = "Example: forebay chain ls -c forebay.yaml\n         forebay chain skip -c forebay.yaml orders:3 --from 918273 --to 918274 --why 'batch does not decompress'"
    )]
    Chain(chain::Args),
    /// The embedded Confluent-compatible schema registry, as a server of its own (in memory).
    #[command(after_help = "Example: forebay registry --listen 127.0.0.1:8081")]
    Registry(registry::Args),
    /// What a code means and what to do about it.
    #[command(after_help = "Example: forebay explain FB0201")]
    Explain(codes::Args),
    /// Which columns a subject's versions give, and what a new version would change: may it be registered?
    Plan(plan::Args),
    /// Run a history of schema versions through the whole pipeline before it is registered, and prove every row.
    #[command(
        after_help = "Example: forebay evolve protos/orders\n         forebay evolve -c forebay.yaml --mode all --records 20000 protos schemas"
    )]
    Evolve(evolve::Args),
}

/// Parses the arguments, runs the command, says what went wrong.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(fault) = start_log(&cli) {
        return refused(&[fault]).into();
    }
    // Two TLS stacks could be linked some day; the choice must not depend on the order of use.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let exit = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(&args),
        Command::Produce(args) => produce::run(&args),
        Command::Register(args) => register(&args),
        Command::Check(args) => check::run(&args),
        Command::Decode(args) => decode::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Chain(args) => chain::run(&args),
        Command::Registry(args) => registry::run(&args),
        Command::Explain(args) => codes::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Evolve(args) => evolve::run(&args),
    };
    exit.into()
}

fn register(args: &register::Args) -> Exit {
    let config = match args.config.as_deref().map(|path| Config::load(path, &config::Process)) {
        Some(Err(faults)) => return refused(&faults),
        Some(Ok(config)) => Some(config),
        None => None,
    };
    let configured = config.as_ref().map(|c| &c.pipeline.registry);
    let result = runtime()
        .and_then(|rt| rt.block_on(register::run(args, configured, &mut std::io::stdout())));
    result.unwrap_or_else(|fault| failed(&fault))
}

fn start_log(cli: &Cli) -> Result<(), Fault> {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_new(&cli.log_level).map_err(|e| {
        Fault::new(
            &ARGUMENTS,
            format!("log level `{}`: {e}, a level such as `info` required", cli.log_level),
        )
        .at("--log-level")
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    match cli.log_format {
        LogFormat::Text => builder.with_ansi(ansi).with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// Prints faults on stderr, one line each.
#[allow(clippy::print_stderr)] // the door
pub(crate) fn say_faults(faults: &[Fault]) {
    for fault in faults {
        eprintln!("{fault}");
    }
}

/// Prints a line on stderr: how far something is.
pub(crate) fn say_aside(line: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints a line on stdout; a reader that is gone ends the printing, not the program.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

pub(crate) fn refused(faults: &[Fault]) -> Exit {
    say_faults(faults);
    Exit::Refused
}

pub(crate) fn failed(fault: &Fault) -> Exit {
    say_faults(std::slice::from_ref(fault));
    Exit::Fault
}

/// The async runtime of a command.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Fault::new(&RUNTIME, format!("async runtime: {e}, threads required")))
}
