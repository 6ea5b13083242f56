//! `forebay decode`: records or payloads → rows, without a pipeline.
//!
//! Owns: the arguments, and what goes from the input through the decoders to the output.
//! Does not own: reading the input (`input`), schema files (`schema`), what is written (`output`), how
//! rows are shown (`cli::rows`), decoding (`cli::decoding`).
//! Bounded by: one chunk of records at a time; rows are written before more is read.
//! Absent: groups, commits, lanes.

mod input;
mod lines;
mod output;
mod rejects;
mod schema;

use std::path::PathBuf;

use clap::ValueEnum;

use self::input::{Chunk, Flow, Input};
use self::output::Sink;
use crate::cli::decoding::{Decoding, Given, Pushed};
use crate::cli::{ARGUMENTS, Exit, LOCAL, Output, failed, refused, runtime};
use crate::config::{
    self, Config, Format, IndexForm, PartitionColumns, PartitionItem, Pipeline, Placed,
};
use crate::error::{Code, Fault, Kind};
use crate::partition::Partitioner;
use crate::pipeline;
use crate::registry::{self, Client};

pub static INPUT: Code = Code {
    id: "FB1030",
    kind: Kind::Halt,
    title: "input that is not in the form given",
    help: "The message names the line. `--encoding` says how a line is written: `base64` (default), `hex`, or `record`, one JSON object with any of `key`, `value` (base64), `headers`, `timestamp`, `timestamp_type`, `topic`, `partition`, `offset`. A file that is Parquet must be a reject file.",
};
pub static COLUMNS: Code = Code {
    id: "FB1031",
    kind: Kind::Halt,
    title: "rows of several sets of columns for one file",
    help: "One Parquet file has one set of columns. Leave `--out` away, or decode the records of each schema by itself.",
};

/// Every code of this command.
pub static CODES: &[&Code] = &[&INPUT, &COLUMNS];

/// Records read from Kafka where `--count` does not say how many.
const COUNT: u64 = 10;

#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("schema").args(["proto", "avsc", "json_schema", "registry"]),
    after_help = "Examples:
  forebay decode --proto orders.proto --message shop.Order --in payloads.b64
  forebay decode --avsc order.avsc --in - --encoding hex
  forebay decode --registry http://localhost:8081 --framed --in records.b64
  forebay decode -c forebay.yaml --topic orders --partition 3 --offset 918273 --count 10
  forebay decode -c forebay.yaml --in rejects.parquet --out again.parquet
  forebay decode --avsc v1.avsc --target v2.avsc --in payloads.b64

Output, a line each: {\"n\":0,\"row\":{…}} or {\"n\":1,\"reject\":{\"code\":…,\"message\":…}}, in input order;
`n` is the line, from 0, or the offset. Exit code 3: there were rejects."
)]
pub struct Args {
    /// Protobuf schema: a `.proto` file
    #[arg(long, value_name = "FILE")]
    proto: Option<PathBuf>,
    /// Folder where imports are looked for; repeatable; default: the folder of the file
    #[arg(long, value_name = "DIR", requires = "proto")]
    proto_path: Vec<PathBuf>,
    /// The message of the payloads, where the file declares several
    #[arg(long, value_name = "NAME", requires = "proto")]
    message: Option<String>,
    /// Avro schema
    #[arg(long, value_name = "FILE")]
    avsc: Option<PathBuf>,
    /// JSON Schema
    #[arg(long, value_name = "FILE")]
    json_schema: Option<PathBuf>,
    /// A schema that the schema refers to (Avro, JSON Schema); repeatable
    #[arg(long, value_name = "FILE")]
    reference: Vec<PathBuf>,
    /// Schema registry: records name their schemas
    #[arg(long, value_name = "URL", requires = "framed")]
    registry: Option<String>,
    /// Payloads are framed as registry serializers do. With a schema file, the schema id is not looked at
    #[arg(long)]
    framed: bool,
    /// How framed Protobuf payloads write their message indexes; in place of the configuration's
    /// `wire.message_indexes`, else `zigzag`
    #[arg(long, value_enum, value_name = "FORM")]
    message_indexes: Option<Indexes>,
    /// Configuration: its registry, columns, partitions; without `--in`, its brokers
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Payloads, one a line; `-` is standard input; or a reject file of a pipeline (Parquet)
    #[arg(long = "in", value_name = "FILE")]
    input: Option<PathBuf>,
    /// How a line of the input is written
    #[arg(long, value_enum, default_value_t = Encoding::Base64)]
    encoding: Encoding,
    /// Topic of the records; default: the only one of the configuration
    #[arg(long)]
    topic: Option<String>,
    /// Kafka partition of the records; default: 0
    #[arg(long, value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// First offset; default: the start of the log
    #[arg(long, conflicts_with = "input", value_parser = clap::value_parser!(i64).range(0..))]
    offset: Option<i64>,
    /// Stop after so many records; default: 10 from Kafka, all of a file
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// A partition expression: rows come with their key; repeatable; in place of the configuration's
    #[arg(long, value_name = "EXPR", conflicts_with = "out")]
    partition_by: Vec<String>,
    /// Read the rows onto this schema (`.proto`, `.avsc`, `.json`), as `evolution.mode` does: a newer or older version
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    /// Write the rows as one Parquet file (replacing it), all columns in it; rejects go to standard error
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How results are printed: JSON, one object a line, or text
    #[arg(long, value_enum, default_value_t = Output::Json)]
    output: Output,
}

/// `wire.message_indexes` as an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Indexes {
    /// As serializers write them today
    Zigzag,
    /// As plain varints: the deprecated form
    Unsigned,
    /// None: payloads are of the schema's first message
    Absent,
    /// Whichever fits the payload, judged one by one
    Auto,
}

/// How a line holds a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Encoding {
    Base64,
    Hex,
    /// One JSON object: `key`, `value`, `headers`, `timestamp` (ms), `timestamp_type` (`CreateTime` or `LogAppendTime`), `topic`, `partition`, `offset`
    Record,
}

pub fn run(args: &Args) -> Exit {
    match prepare(args) {
        Ok(job) => job.run(),
        // What is asked of the cluster may fail; everything else was given with the command.
        Err(faults) => match refused(&faults) {
            _ if faults.iter().any(|f| f.code.id.starts_with("FB05")) => Exit::Fault,
            refused => refused,
        },
    }
}

/// Everything there is to know before the first record is read.
struct Job {
    input: Input,
    decoding: Decoding,
    client: Option<Client>,
    sink: Sink,
    runtime: tokio::runtime::Runtime,
    count: u64,
}

fn prepare(args: &Args) -> Result<Job, Vec<Fault>> {
    let one = |fault: Fault| vec![fault];
    check(args).map_err(one)?;
    let config = match &args.config {
        Some(path) => Some(Config::load(path, &config::Process)?),
        None => None,
    };
    let given = schema::read(args).map_err(one)?.map(|(schema, indexes)| Given {
        schema,
        indexes,
        framed: args.framed,
    });
    let mut pipeline = settings(config.as_ref(), given.is_some(), args.registry.is_some())?;
    if let Some(form) = args.message_indexes {
        let message_indexes = match form {
            Indexes::Zigzag => IndexForm::Zigzag,
            Indexes::Unsigned => IndexForm::Unsigned,
            Indexes::Absent => IndexForm::Absent,
            Indexes::Auto => IndexForm::Auto,
        };
        pipeline.wire = config::Wire { message_indexes, ..config::Wire::default() };
    }
    let target = match (schema::target(args).map_err(one)?, &given) {
        (None, None) => pipeline::target(&pipeline.evolution).map_err(one)?,
        (target, _) => target,
    };
    if target.is_some() && !pipeline.value.format.is_framed() {
        let text = "argument `--target`: the configuration's `value.format` names no schema, records with one required";
        return Err(one(Fault::new(&ARGUMENTS, text)));
    }
    // Beside a schema that is given, keys alone can name one.
    let asks = match &given {
        Some(_) => pipeline.key.format.is_some_and(Format::is_framed),
        None => pipeline.asks_registry(),
    };
    let client = match &args.registry {
        Some(url) => Some(Client::new(&registry::client::settings(url))),
        None => asks.then(|| Client::new(&pipeline.registry)),
    };
    let client = client.transpose().map_err(one)?;
    let keys = !pipeline.partition_by.is_empty() || !args.partition_by.is_empty();
    let decoding = Decoding::new(&pipeline, partitioner(args, &pipeline)?, given, target)?;
    let runtime = runtime().map_err(one)?;
    let input = Input::open(args, config.as_ref(), pipeline.limits).map_err(one)?;
    let sink = Sink::open(args, &pipeline, keys).map_err(one)?;
    let count = match (args.count, &input) {
        (Some(count), _) => count,
        (None, Input::Kafka(_)) => COUNT,
        (None, _) => u64::MAX,
    };
    Ok(Job { input, decoding, client, sink, runtime, count })
}

/// Arguments that do not go together, beyond what the parser knows.
fn check(args: &Args) -> Result<(), Fault> {
    let fault = |text: &str| Err(Fault::new(&ARGUMENTS, text));
    let schema = args.proto.is_some() || args.avsc.is_some() || args.json_schema.is_some();
    if !schema && args.registry.is_none() && args.config.is_none() {
        return fault(
            "schema: none given, one of `--proto`, `--avsc`, `--json-schema`, `--registry` or `-c` required",
        );
    }
    if args.input.is_none() && args.config.is_none() {
        return fault("input: none given, `--in FILE` (`-` for standard input) or `-c` required");
    }
    if !args.reference.is_empty() && args.avsc.is_none() && args.json_schema.is_none() {
        return fault("argument `--reference`: `--avsc` or `--json-schema` required with it");
    }
    Ok(())
}

/// A configuration that says nothing: what is asked of it is defaults.
const NOTHING: &str = "pipeline: decode
source: { brokers: \"localhost:9092\", topics: [decode] }
registry: { url: \"http://localhost:8081\" }
sink: { url: . }
";

/// What records become by the configuration. Arguments that say where schemas come from win over its
/// `value.format`; frames are written here then (`given`), or are those of serializers (`framed`).
fn settings(config: Option<&Config>, given: bool, framed: bool) -> Result<Pipeline, Vec<Fault>> {
    let Some(config) = config else {
        return Ok(Config::parse(NOTHING, "defaults", &config::Process)?.pipeline);
    };
    let mut pipeline = config.pipeline.clone();
    if given || (framed && !pipeline.value.format.is_framed()) {
        pipeline.value.format = Format::Auto;
        pipeline.value.schema = None;
    }
    Ok(pipeline)
}

/// What gives rows their keys.
fn partitioner(args: &Args, pipeline: &Pipeline) -> Result<Partitioner, Vec<Fault>> {
    if args.partition_by.is_empty() {
        return pipeline::partitioner(pipeline);
    }
    let items: Vec<PartitionItem> = args
        .partition_by
        .iter()
        .enumerate()
        .map(|(i, text)| PartitionItem {
            expr: Placed { text: text.clone(), place: format!("--partition-by, number {}", i + 1) },
            name: None,
            timezone: None,
        })
        .collect();
    let key = pipeline.key.format.is_some();
    Partitioner::compile(&items, pipeline.sink.escape, PartitionColumns::Keep, key)
}

impl Job {
    fn run(self) -> Exit {
        let Job { input, mut decoding, client, mut sink, runtime, count } = self;
        let mut left = count;
        let read = input.each(&mut |chunk| {
            let flow = take(chunk, &mut decoding, client.as_ref(), &mut sink, &runtime, &mut left)?;
            sink.flush()?;
            Ok(flow)
        });
        let ended = match read {
            Ok(()) => sink.finish(),
            // What was decoded stays said; a file is made whole or not at all.
            Err(fault) => Err(fault),
        };
        match ended {
            Ok(rejects) if rejects > 0 => Exit::No,
            Ok(_) => Exit::Done,
            Err(fault) if fault.code == &INPUT => refused(&[fault]),
            Err(fault) => failed(&fault),
        }
    }
}

/// Takes the records of one chunk, as many as are left to take.
fn take(
    chunk: Chunk,
    decoding: &mut Decoding,
    client: Option<&Client>,
    sink: &mut Sink,
    runtime: &tokio::runtime::Runtime,
    left: &mut u64,
) -> Result<Flow, Fault> {
    let batch = decoding.accept(chunk.batch);
    let from = &batch.topic_partition;
    let mut places = Vec::new();
    for (record, place) in batch.iter().zip(chunk.places) {
        if *left == 0 {
            break;
        }
        *left -= 1;
        match place.refused {
            Some(reject) => decoding.push_reject(reject.code.id, reject.message),
            None => {
                while let Pushed::Needs(need) = decoding.push(from, &record) {
                    runtime.block_on(decoding.supply(from, need, client))?;
                }
            }
        }
        places.push(output::Place { n: place.n, offset: record.offset });
        if decoding.is_full(from) {
            if !sink.write(decoding.finish(&batch)?, &places, from)? {
                return Ok(Flow::Stop);
            }
            places.clear();
        }
    }
    let goes_on = sink.write(decoding.finish(&batch)?, &places, from)?;
    Ok(if goes_on && *left > 0 { Flow::Go } else { Flow::Stop })
}

/// A file that cannot be read or written.
fn io(path: &std::path::Path, error: &dyn std::fmt::Display, required: &str) -> Fault {
    Fault::new(&LOCAL, format!("file `{}`: {error}, {required} required", path.display()))
}
