//! Payloads or records, one a line.
//!
//! Bounded by: a line of [`LINE_MAX`] bytes, or four times `limits.record_bytes`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;

use super::input::{CHUNK_BYTES, CHUNK_RECORDS, Chunk, Flow, Place, Take, wrong};
use super::{Encoding, INPUT, io};
use crate::config::Limits;
use crate::error::Fault;
use crate::position::TopicPartition;
use crate::record::{RecordBatch, TimestampType};

/// Longest line, in bytes, whatever the limits say.
const LINE_MAX: usize = 128 << 20;
/// What is read ahead.
const BUFFER: usize = 256 << 10;

/// Padding or none.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) struct Lines {
    reader: BufReader<Box<dyn Read>>,
    path: PathBuf,
    encoding: Encoding,
    /// Of lines that do not say it.
    from: TopicPartition,
    line_max: usize,
    line: i64,
}

impl Lines {
    pub(super) fn open(
        path: &Path,
        encoding: Encoding,
        from: TopicPartition,
        limits: Limits,
    ) -> Result<Self, Fault> {
        let reader: Box<dyn Read> = match path.to_str() {
            Some("-") => Box::new(std::io::stdin()),
            _ => {
                let required = "a readable file";
                let file = File::open(path).map_err(|e| io(path, &e, required))?;
                if file.metadata().is_ok_and(|meta| meta.is_dir()) {
                    return Err(io(path, &"a folder", required));
                }
                Box::new(file)
            }
        };
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            path: path.to_owned(),
            encoding,
            from,
            line_max: LINE_MAX.max(limits.record_bytes.saturating_mul(4)),
            line: 0,
        })
    }

    /// Chunks of what is there: a line that was typed is answered before the next one is waited for.
    pub(super) fn each(mut self, take: &mut Take<'_>) -> Result<(), Fault> {
        let mut chunk: Option<Chunk> = None;
        loop {
            let read = self.next();
            let read = match read {
                Ok(Some((n, parsed))) => {
                    let from = parsed.from(&self.from);
                    let offset = parsed.offset.unwrap_or(n);
                    if let Some(full) = chunk.take_if(|c| !c.takes(&from, offset))
                        && take(full)? == Flow::Stop
                    {
                        return Ok(());
                    }
                    let chunk = chunk.get_or_insert_with(|| Chunk {
                        batch: RecordBatch::new(from, 0),
                        places: Vec::new(),
                    });
                    parsed.push(n, &mut chunk.batch);
                    chunk.places.push(Place { n, refused: None });
                    let full =
                        chunk.batch.len() >= CHUNK_RECORDS || chunk.batch.bytes() >= CHUNK_BYTES;
                    if !full && self.reader.buffer().contains(&b'\n') {
                        continue;
                    }
                    Ok(Flow::Go)
                }
                Ok(None) => Ok(Flow::Stop),
                Err(fault) => Err(fault),
            };
            // Also before a fault: the lines above it are good.
            let taken = chunk.take().map_or(Ok(Flow::Go), &mut *take)?;
            if read? == Flow::Stop || taken == Flow::Stop {
                return Ok(());
            }
        }
    }

    /// The next line and its number from 0; blank lines are passed over where they are no payload.
    fn next(&mut self) -> Result<Option<(i64, Parsed)>, Fault> {
        loop {
            let mut text = Vec::new();
            let limit = self.line_max as u64 + 1;
            let read = (&mut self.reader).take(limit).read_until(b'\n', &mut text);
            let n = self.line;
            let place = |fault: Fault| fault.at(format!("{} line {}", self.path.display(), n + 1));
            match read.map_err(|e| io(&self.path, &e, "a readable file"))? {
                0 => return Ok(None),
                size if size > self.line_max => {
                    let found = format!("a line of over {} bytes", self.line_max);
                    return Err(place(wrong(&self.path, &found, "shorter lines")));
                }
                _ => {}
            }
            self.line += 1;
            let text = text.trim_ascii();
            if text.is_empty() && self.encoding == Encoding::Record {
                continue;
            }
            return parse(text, self.encoding).map(|parsed| Some((n, parsed))).map_err(place);
        }
    }
}

/// One record as a line gave it.
#[derive(Default)]
struct Parsed {
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
    timestamp: Option<i64>,
    timestamp_type: Option<TimestampType>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Parsed {
    /// Where the record is from, as far as its line says it.
    fn from(&self, default: &TopicPartition) -> TopicPartition {
        let partition = self.partition.unwrap_or(default.partition);
        match &self.topic {
            Some(topic) => TopicPartition::new(topic.as_str(), partition),
            None => TopicPartition { topic: default.topic.clone(), partition },
        }
    }

    fn push(&self, n: i64, batch: &mut RecordBatch) {
        batch.push(
            self.offset.unwrap_or(n),
            self.timestamp,
            self.timestamp_type.unwrap_or(TimestampType::Unknown),
            self.key.as_deref(),
            self.value.as_deref(),
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())),
        );
    }
}

fn parse(text: &[u8], encoding: Encoding) -> Result<Parsed, Fault> {
    match encoding {
        Encoding::Base64 => {
            base64("payload", text).map(|v| Parsed { value: Some(v), ..Parsed::default() })
        }
        Encoding::Hex => hex(text).map(|v| Parsed { value: Some(v), ..Parsed::default() }),
        Encoding::Record => record(text),
    }
}

fn refuse(what: &str, found: &dyn std::fmt::Display, required: &str) -> Fault {
    Fault::new(&INPUT, format!("{what}: {found}, {required} required"))
}

fn base64(what: &str, text: &[u8]) -> Result<Vec<u8>, Fault> {
    BASE64.decode(text).map_err(|e| {
        let found = e.to_string();
        let found = found[..1].to_lowercase() + &found[1..];
        refuse(what, &found, "base64 (or another `--encoding`)")
    })
}

fn hex(text: &[u8]) -> Result<Vec<u8>, Fault> {
    let digit = |c: u8| (c as char).to_digit(16).map(|d| d as u8);
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>().ok_or_else(|| {
        match text.iter().find(|c| digit(**c).is_none()) {
            Some(c) => refuse("payload", &format!("`{}`", c.escape_ascii()), "hexadecimal digits"),
            None => refuse("payload", &format!("{} digits", text.len()), "an even number"),
        }
    })
}

/// What a line may say of a record.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: Option<String>,
    value: Option<String>,
    #[serde(default)]
    headers: Vec<(String, Option<String>)>,
    timestamp: Option<i64>,
    timestamp_type: Option<String>,
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
}

fn record(text: &[u8]) -> Result<Parsed, Fault> {
    let line: Line = serde_json::from_slice(text)
        .map_err(|e| refuse("record", &e, "one JSON object of a record's parts"))?;
    let bytes = |what: &str, text: &Option<String>| {
        text.as_ref().map(|text| base64(what, text.as_bytes())).transpose()
    };
    if line.offset.is_some_and(|offset| !(0..i64::MAX).contains(&offset)) {
        return Err(refuse("`offset`", &line.offset.unwrap_or_default(), "0 or more"));
    }
    let headers = line.headers.iter().map(|(name, value)| {
        let value = bytes(&format!("header `{name}`"), value)?;
        Ok((name.clone(), value))
    });
    let timestamp_type = match line.timestamp_type.as_deref() {
        None => None,
        Some("CreateTime") => Some(TimestampType::CreateTime),
        Some("LogAppendTime") => Some(TimestampType::LogAppendTime),
        Some(other) => {
            return Err(refuse("`timestamp_type`", &other, "`CreateTime` or `LogAppendTime`"));
        }
    };
    Ok(Parsed {
        topic: line.topic,
        partition: line.partition,
        offset: line.offset,
        timestamp: line.timestamp.filter(|ms| *ms != -1),
        timestamp_type,
        key: bytes("`key`", &line.key)?,
        value: bytes("`value`", &line.value)?,
        headers: headers.collect::<Result<_, Fault>>()?,
    })
}
