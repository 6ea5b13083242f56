//! `forebay produce`: JSON lines → records framed by a subject's schema.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::cli::{ARGUMENTS, Exit, LOCAL, failed, runtime, say};
use crate::config::Secret;
use crate::error::Fault;
use crate::registry::client::settings;
use crate::registry::encode::Encoder;
use crate::registry::{Client, Lookup, Schema};
use crate::source::producer::{Outgoing, Producer};
use crate::wire::SchemaRef;

/// Longest line, in bytes.
const LINE_MAX: u64 = 32 << 20;
/// Longest wait for the last records to be confirmed.
const FLUSH_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Brokers, `host:port,…`.
    #[arg(long, env = "FOREBAY_BROKERS", default_value = "localhost:9092")]
    brokers: String,
    /// The schema registry.
    #[arg(
        long,
        env = "FOREBAY_REGISTRY",
        default_value = "http://localhost:8081",
        value_name = "URL"
    )]
    registry: String,
    /// The subject whose latest version frames the records.
    #[arg(long, required_unless_present = "schema_id")]
    subject: Option<String>,
    /// A schema id instead of a subject.
    #[arg(long)]
    schema_id: Option<u32>,
    /// The Protobuf message, where the file declares several; default: the first.
    #[arg(long, value_name = "NAME")]
    message: Option<String>,
    #[arg(long)]
    topic: String,
    /// A top-level field whose text becomes the record's key.
    #[arg(long, value_name = "FIELD")]
    key_field: Option<String>,
    /// Kafka partition; default: by key.
    #[arg(long)]
    partition: Option<i32>,
    /// Create the topic with this many Kafka partitions if it is not there.
    #[arg(long, value_name = "PARTITIONS")]
    create_topic: Option<i32>,
    /// A librdkafka property, `name=value`; repeatable.
    #[arg(long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// One JSON object a line; `-` reads standard input.
    file: PathBuf,
}

pub fn run(args: &Args) -> Exit {
    match produce(args) {
        Ok(count) => {
            say(format_args!("{count} records in {}", args.topic));
            Exit::Done
        }
        Err(fault) => failed(&fault),
    }
}

fn produce(args: &Args) -> Result<u64, Fault> {
    let (id, schema) = find_schema(args)?;
    let encoder = Encoder::new(schema, args.message.as_deref())?;
    let producer = Producer::new(&args.brokers, &properties(&args.properties)?)?;
    if let Some(partitions) = args.create_topic {
        producer.create_topic(&args.topic, partitions)?;
    }
    let mut lines = Lines::open(args)?;
    while let Some((number, text, value)) = lines.next()? {
        let place = || format!("{} line {number}", args.file.display());
        let payload = match encoder.framed_text(SchemaRef::Id(id), &text) {
            Some(payload) => payload,
            None => encoder.framed(SchemaRef::Id(id), &value).map_err(|f| f.at(place()))?,
        };
        let key = args.key_field.as_ref().and_then(|field| key_text(&value, field));
        producer.send(Outgoing {
            topic: &args.topic,
            partition: args.partition,
            key: key.as_deref().map(str::as_bytes),
            value: Some(&payload),
            ..Outgoing::default()
        })?;
    }
    producer.flush(FLUSH_MAX)?;
    Ok(lines.taken)
}

fn find_schema(args: &Args) -> Result<(u32, Arc<Schema>), Fault> {
    let client = Client::new(&settings(&args.registry))?;
    let runtime = runtime()?;
    match (args.schema_id, &args.subject) {
        (Some(id), _) => {
            let found = runtime.block_on(client.by_ref(SchemaRef::Id(id)));
            found.map(|schema| (id, schema)).map_err(Lookup::into_fault)
        }
        (None, subject) => {
            let subject = subject.as_deref().unwrap_or_default();
            let version = runtime.block_on(client.latest(subject)).map_err(Lookup::into_fault)?;
            Ok((version.schema.id, version.schema))
        }
    }
}

fn properties(given: &[String]) -> Result<BTreeMap<String, Secret>, Fault> {
    given
        .iter()
        .map(|text| match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_string(), Secret::new(value))),
            _ => Err(Fault::new(&ARGUMENTS, "property: no `=` found, `name=value` required")
                .at("--property")),
        })
        .collect()
}

fn key_text(value: &Value, field: &str) -> Option<String> {
    match value.get(field)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// JSON lines with their numbers; empty lines are passed over.
struct Lines {
    input: Box<dyn BufRead>,
    name: String,
    line: u64,
    taken: u64,
}

impl Lines {
    fn open(args: &Args) -> Result<Self, Fault> {
        let name = args.file.display().to_string();
        let input: Box<dyn BufRead> = if name == "-" {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            let file = std::fs::File::open(&args.file).map_err(|e| {
                Fault::new(&LOCAL, format!("file `{name}`: {e}, a readable file required"))
            })?;
            Box::new(BufReader::new(file))
        };
        Ok(Self { input, name, line: 0, taken: 0 })
    }

    /// The next line: its number, its text, and what it says.
    fn next(&mut self) -> Result<Option<(u64, String, Value)>, Fault> {
        loop {
            let mut text = String::new();
            let fault = |line, e: &dyn std::fmt::Display| {
                Fault::new(&ARGUMENTS, format!("line: {e}, one JSON object required"))
                    .at(format!("{} line {line}", self.name))
            };
            let read = (&mut self.input).take(LINE_MAX).read_line(&mut text);
            self.line += 1;
            match read {
                Ok(0) => return Ok(None),
                Ok(n) if n as u64 == LINE_MAX => return Err(fault(self.line, &"over 32 MiB")),
                Ok(_) if text.trim().is_empty() => {}
                Ok(_) => {
                    let value = serde_json::from_str(&text).map_err(|e| fault(self.line, &e))?;
                    self.taken += 1;
                    return Ok(Some((self.line, text, value)));
                }
                Err(e) => return Err(fault(self.line, &e)),
            }
        }
    }
}
