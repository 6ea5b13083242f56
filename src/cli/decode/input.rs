//! Where records come from: lines, a reject file, a Kafka partition.
//!
//! Owns: opening them, and the chunks they come in.
//! Bounded by: a chunk is of one Kafka partition and ends at [`CHUNK_RECORDS`] or [`CHUNK_BYTES`].

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use super::lines::Lines;
use super::rejects::Rejects;
use super::{Args, io};
use crate::cli::ARGUMENTS;
use crate::config::{Config, Limits, Topics};
use crate::error::{Fault, Reject};
use crate::pipeline;
use crate::position::{Offset, TopicPartition};
use crate::record::RecordBatch;
use crate::source::kafka::{Look, Stretch};

/// Most records of a chunk.
pub(super) const CHUNK_RECORDS: usize = 1_024;
/// A chunk ends at so many bytes of records.
pub(super) const CHUNK_BYTES: usize = 4 << 20;
/// Longest wait for the brokers' first answer.
const BROKERS_WAIT: Duration = Duration::from_secs(10);
/// Longest silence of a Kafka partition whose log goes on.
const IDLE: Duration = Duration::from_secs(10);

/// Records of one Kafka partition, offsets rising, and a place for each.
pub(super) struct Chunk {
    pub(super) batch: RecordBatch,
    pub(super) places: Vec<Place>,
}

impl Chunk {
    /// Whether a record of this place may follow.
    pub(super) fn takes(&self, from: &TopicPartition, offset: Offset) -> bool {
        self.batch.topic_partition == *from && (self.batch.is_empty() || offset >= self.batch.next)
    }
}

pub(super) struct Place {
    /// What the output calls it: line from 0, or offset.
    pub(super) n: i64,
    /// Why it need not be tried.
    pub(super) refused: Option<Box<Reject>>,
}

/// Whether more is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    Stop,
}

pub(super) type Take<'a> = dyn FnMut(Chunk) -> Result<Flow, Fault> + 'a;

pub(super) enum Input {
    Lines(Lines),
    Rejects(Rejects),
    Kafka(Box<Kafka>),
}

impl Input {
    pub(super) fn open(
        args: &Args,
        config: Option<&Config>,
        limits: Limits,
    ) -> Result<Self, Fault> {
        match (&args.input, config) {
            (Some(path), _) if is_parquet(path) => Rejects::open(path).map(Input::Rejects),
            (Some(path), _) => {
                let topic = topic(args, config).unwrap_or_default();
                let from = TopicPartition::new(topic, args.partition.unwrap_or(0));
                Lines::open(path, args.encoding, from, limits).map(Input::Lines)
            }
            (None, Some(config)) => {
                Kafka::open(args, config).map(|kafka| Input::Kafka(Box::new(kafka)))
            }
            (None, None) => Err(Fault::new(&ARGUMENTS, "input: none given, `--in` required")),
        }
    }

    /// Hands every chunk on, until there is none or no more is wanted.
    pub(super) fn each(self, take: &mut Take<'_>) -> Result<(), Fault> {
        match self {
            Input::Lines(lines) => lines.each(take),
            Input::Rejects(rejects) => rejects.each(take),
            Input::Kafka(kafka) => kafka.each(take),
        }
    }
}

/// The topic of records that do not say it: the argument's, else the only one of the configuration.
fn topic<'a>(args: &'a Args, config: Option<&'a Config>) -> Option<&'a str> {
    match (&args.topic, config.map(|config| &config.pipeline.source.topics)) {
        (Some(topic), _) => Some(topic),
        (None, Some(Topics::Names(names))) if names.len() == 1 => names.first().map(String::as_str),
        (None, _) => None,
    }
}

/// Four bytes at either end; a text of base64 could have those at its start.
fn is_parquet(path: &Path) -> bool {
    let ends = || -> std::io::Result<([u8; 4], [u8; 4])> {
        let mut file = File::open(path)?;
        let (mut head, mut tail) = ([0; 4], [0; 4]);
        file.read_exact(&mut head)?;
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut tail)?;
        Ok((head, tail))
    };
    let regular = std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    regular && ends().is_ok_and(|(head, tail)| &head == b"PAR1" && &tail == b"PAR1")
}

/// One Kafka partition, from an offset to the end its log had when it was asked.
pub(super) struct Kafka {
    look: Look,
    stretch: Stretch,
}

impl Kafka {
    fn open(args: &Args, config: &Config) -> Result<Self, Fault> {
        let source = &config.pipeline.source;
        let topic = topic(args, Some(config)).ok_or_else(|| {
            let text = "topic: the configuration does not name exactly one, `--topic` required";
            Fault::new(&ARGUMENTS, text)
        })?;
        let partition = TopicPartition::new(topic, args.partition.unwrap_or(0));
        let look = Look::open(source, pipeline::token(source)?)?;
        let log = look.log(&partition, BROKERS_WAIT)?;
        let from = args.offset.unwrap_or(log.low);
        if from < log.low || from > log.high {
            return Err(Fault::new(
                &ARGUMENTS,
                format!(
                    "offset `{from}` of kafka partition `{partition}`: {} to {} required",
                    log.low, log.high
                ),
            )
            .at("--offset"));
        }
        Ok(Self { look, stretch: Stretch { partition, from, log } })
    }

    fn each(self, take: &mut Take<'_>) -> Result<(), Fault> {
        let mut stopped = false;
        let mut take = |batch: RecordBatch| {
            let places = batch.iter().map(|r| Place { n: r.offset, refused: None }).collect();
            let flow = take(Chunk { batch, places })?;
            stopped = flow == Flow::Stop;
            Ok(!stopped)
        };
        let next: Offset = self.look.read(&self.stretch, IDLE, &mut take)?;
        let Stretch { partition, log, .. } = &self.stretch;
        if !stopped && next < log.high {
            tracing::warn!(
                "kafka partition {partition}: nothing came for {} s after offset {next}, the log ends at {}; \
                 what is left may be control records",
                IDLE.as_secs(),
                log.high
            );
        }
        Ok(())
    }
}

/// A file that holds something else than said.
pub(super) fn wrong(path: &Path, found: &dyn std::fmt::Display, required: &str) -> Fault {
    let Fault { message, .. } = io(path, found, required);
    Fault::new(&super::INPUT, message)
}
