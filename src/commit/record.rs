//! The persisted forms of the chain: records, the `format` object, the hint in Kafka, and their keys.
//!
//! Owns: JSON out and in, and what makes a record acceptable by itself.
//! Does not own: whether a record follows the one before it (`machine`), reading and writing (`pipeline`).
//! Bounded by: the bytes given; nothing is allocated by a number read from them.
//! Absent: IO, clocks, async.
//!
//! A release writes [`VERSION_WRITTEN`], or up to [`VERSION_NOW`] when told to, and reads that and all before it. Golden files of every form stand in
//! `tests/corpus/commit`.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use super::codes::{IDENTITY, LINK, RECORD, VERSION};
use crate::config::Authority;
use crate::error::Fault;
use crate::position::{Offset, OffsetRange};
use crate::store::{Handle, Staged};

/// Latest version of the records and the other objects that this release knows.
pub const VERSION_NOW: u32 = 1;
/// Version that it writes until told otherwise: that of the release before it, so that going back stays possible.
pub const VERSION_WRITTEN: u32 = 1;
/// Everything of a pipeline that is no data stands below it.
pub const STATE: &str = "_forebay";
/// Highest seq and epoch: no chain gets there, and what counts on from a record never overflows.
const COUNT_MAX: u64 = 1 << 62;
/// Longest name of a topic's folder, in bytes: local filesystems take 255.
const FOLDER_MAX: usize = 240;

/// What a record does to the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Offsets and the files that hold their rows.
    Commit,
    /// A new owner, with a higher epoch. Zero offsets, but for a skipped range.
    Claim,
    /// Fills the place of a commit that was in doubt, so that it can never be. Zero offsets.
    Void,
    /// New files for offsets of an earlier commit whose uploads were lost. Zero offsets.
    Repair,
    /// An operator moved the end of the chain: the only record that need not begin where the last one ended.
    Reset,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Claim => "claim",
            Kind::Void => "void",
            Kind::Repair => "repair",
            Kind::Reset => "reset",
        }
    }
}

/// What the rows of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Data,
    Reject,
}

/// One file of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct File {
    pub key: String,
    pub bytes: u64,
    #[serde(flatten)]
    pub about: About,
    pub staged: Handle,
}

/// What a file holds, known when it is closed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct About {
    pub role: Role,
    /// CRC-32 (as in gzip) over all bytes.
    pub crc32: u32,
    pub rows: u64,
    /// Offsets of the first and the last row, both in it.
    pub first: Offset,
    pub last: Offset,
    /// Partition values in path order, unescaped.
    pub values: Vec<(String, Option<String>)>,
    /// Fingerprint of the file's columns.
    pub columns: u32,
    /// Id of the schema whose columns the rows have, where that is not their writers' own; 0 for those of no
    /// one schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<u32>,
    /// Ids of the writer schemas, rising.
    pub schema_ids: Vec<u32>,
}

/// Offsets that the chain moves past without rows, on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    pub from: Offset,
    pub to: Offset,
    /// `retention`, or an operator's words.
    pub why: String,
}

/// What a chain belongs to. A record says it again, so that a copied one is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    pub pipeline: String,
    /// Id of the Kafka cluster, where it has one.
    pub cluster: Option<String>,
    pub topic: String,
    /// Id of the topic, where the brokers have ids.
    pub topic_id: Option<String>,
    pub partition: i32,
}

/// One record of a chain. Immutable once it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub version: u32,
    pub kind: Kind,
    #[serde(flatten)]
    pub identity: Identity,
    /// Place in the chain, from 1, dense.
    pub seq: u64,
    /// Unique: tells this record from another one that was sent for the same place.
    pub id: String,
    /// Id of the record at `seq - 1`; empty for the first.
    pub prev: String,
    /// Number of the claim under which it was written; never falls along a chain.
    pub epoch: u64,
    /// Who wrote it: an id of one assignment.
    pub owner: String,
    /// Offsets `[from, to)`.
    pub from: Offset,
    pub to: Offset,
    pub rows: u64,
    pub rejects: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// Least and greatest time of the records, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<i64>,
    /// For a repair: place of the commit whose files it brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repairs: Option<u64>,
    /// What an operator said: why the record is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub files: Vec<File>,
}

/// By what tells it from other records of the same chain, but for its id.
impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.kind, self.seq, self.epoch, &self.owner, self.from, self.to).hash(state);
        for file in &self.files {
            file.staged.hash(state);
        }
    }
}

/// Read first, whatever else a newer release may have written beside it.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl File {
    pub fn staged(&self) -> Staged {
        Staged { key: self.key.clone(), bytes: self.bytes, handle: self.staged.clone() }
    }
}

impl Record {
    pub fn range(&self) -> OffsetRange {
        OffsetRange { start: self.from, end: self.to }
    }

    /// Bytes as they are stored: the same ones for the same record, always.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads a record. Errors: [`VERSION`], [`RECORD`]; the caller says where it stands.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        check_version(bytes, "commit record")?;
        let record: Self = serde_json::from_slice(bytes)
            .map_err(|e| refused(&format!("{e}, the form of version {VERSION_NOW} required")))?;
        record.check()?;
        Ok(record)
    }

    /// What no record that Forebay wrote would say.
    fn check(&self) -> Result<(), Fault> {
        let Self { kind, from, to, seq, id, prev, epoch, .. } = self;
        if *from < 0 || to < from {
            return Err(refused(&format!("offsets [{from}, {to}), a range from 0 on required")));
        }
        let counted = |n: &u64| (1..=COUNT_MAX).contains(n);
        if !counted(seq) || !counted(epoch) || id.is_empty() || (prev.is_empty() != (*seq == 1)) {
            return Err(refused(&format!(
                "seq `{seq}`, epoch `{epoch}`, id `{id}`, prev `{prev}`: seq and epoch from 1 to {COUNT_MAX}, an id, and a prev from seq 2 on required"
            )));
        }
        if *kind != Kind::Commit && !matches!(kind, Kind::Repair) && !self.files.is_empty() {
            return Err(refused(&format!("a {} with files, none required", kind.name())));
        }
        if matches!(kind, Kind::Void | Kind::Repair) && from != to {
            return Err(refused(&format!(
                "a {} over [{from}, {to}), no offsets required",
                kind.name()
            )));
        }
        if (*kind == Kind::Repair) != self.repairs.is_some_and(|r| r > 0 && r < *seq) {
            return Err(refused("`repairs` for a repair and an earlier seq in it required"));
        }
        let mut at = *from;
        for skipped in &self.skipped {
            if skipped.from < at || skipped.to <= skipped.from || skipped.to > *to {
                return Err(refused("skipped ranges out of order or out of the record's offsets"));
            }
            at = skipped.to;
        }
        if *kind == Kind::Claim
            && self.skipped.iter().map(|s| s.to - s.from).sum::<i64>() != to - from
        {
            return Err(refused("a claim over offsets, all of them skipped required"));
        }
        self.files.iter().try_for_each(|file| self.check_file(file))
    }

    fn check_file(&self, file: &File) -> Result<(), Fault> {
        let about = &file.about;
        let inside = self.holds(about);
        if about.first > about.last || !inside || about.rows == 0 {
            return Err(refused(&format!(
                "file `{}` with {} rows from `{}` to `{}`: rows inside of the record's offsets required",
                file.key, about.rows, about.first, about.last
            )));
        }
        if file.key.starts_with("_forebay/") || file.key.is_empty() {
            return Err(refused(&format!(
                "file `{}`: a key outside of the state required",
                file.key
            )));
        }
        Ok(())
    }

    /// A repair brings back offsets that its own range does not hold.
    fn holds(&self, about: &About) -> bool {
        let inside = about.first >= self.from && about.last < self.to;
        inside || (self.kind == Kind::Repair && about.first >= 0)
    }

    /// Whether this record stands where it should. Errors: [`IDENTITY`], [`LINK`].
    ///
    /// A cluster or topic id that one side does not know says nothing.
    pub fn belongs(&self, to: &Identity, seq: u64) -> Result<(), Fault> {
        let differ = |a: &Option<String>, b: &Option<String>| {
            a.as_ref().zip(b.as_ref()).is_some_and(|(a, b)| a != b)
        };
        let own = &self.identity;
        if own.pipeline != to.pipeline
            || own.topic != to.topic
            || own.partition != to.partition
            || differ(&own.cluster, &to.cluster)
            || differ(&own.topic_id, &to.topic_id)
        {
            return Err(Fault::new(
                &IDENTITY,
                format!(
                    "commit record {seq}: of pipeline `{}`, topic `{}-{}`, topic id `{}`, cluster `{}`; `{}`, `{}-{}`, `{}`, `{}` required",
                    own.pipeline,
                    own.topic,
                    own.partition,
                    said(&own.topic_id),
                    said(&own.cluster),
                    to.pipeline,
                    to.topic,
                    to.partition,
                    said(&to.topic_id),
                    said(&to.cluster),
                ),
            ));
        }
        if self.seq != seq {
            return Err(Fault::new(
                &LINK,
                format!("commit record {seq}: it says seq `{}`, its own place required", self.seq),
            ));
        }
        Ok(())
    }

    /// Whether this record follows `previous`. Errors: [`LINK`].
    pub fn follows(&self, previous: &Self) -> Result<(), Fault> {
        let joined = self.kind == Kind::Reset || self.from == previous.to;
        if self.seq == previous.seq.saturating_add(1)
            && self.prev == previous.id
            && self.epoch >= previous.epoch
            && joined
        {
            return Ok(());
        }
        Err(Fault::new(
            &LINK,
            format!(
                "commit record {}: prev `{}`, epoch `{}`, from `{}`; prev `{}`, an epoch from `{}` and from `{}` required after record {}",
                self.seq,
                self.prev,
                self.epoch,
                self.from,
                previous.id,
                previous.epoch,
                previous.to,
                previous.seq
            ),
        ))
    }
}

fn said(id: &Option<String>) -> &str {
    id.as_deref().unwrap_or("none")
}

#[cold]
fn refused(found: &str) -> Fault {
    Fault::new(&RECORD, format!("commit record: {found}"))
}

fn check_version(bytes: &[u8], what: &str) -> Result<(), Fault> {
    match serde_json::from_slice::<Versioned>(bytes) {
        Ok(Versioned { version }) if (1..=VERSION_NOW).contains(&version) => Ok(()),
        Ok(Versioned { version }) => Err(Fault::new(
            &VERSION,
            format!("{what}: version `{version}`, 1 to {VERSION_NOW} required"),
        )),
        Err(e) => Err(Fault::new(&RECORD, format!("{what}: {e}, JSON with a `version` required"))),
    }
}

/// Names of files: only one way today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    Native,
}

/// What must stay the same for a pipeline's chains to mean something. Created once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    pub version: u32,
    pub pipeline: String,
    pub cluster: Option<String>,
    /// The sink's address.
    pub root: String,
    pub naming: Naming,
    /// Who decides a commit.
    #[serde(default, skip_serializing_if = "is_store")]
    pub authority: Authority,
    /// Where that is Kafka: the group whose offsets decide. Another one knows nothing of these chains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What the probe found when the pipeline first ran.
    pub create_only: bool,
    pub revives: Option<bool>,
}

fn is_store(authority: &Authority) -> bool {
    *authority == Authority::Store
}

impl Format {
    pub fn key(pipeline: &str) -> String {
        format!("{STATE}/{pipeline}/format")
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Errors: [`VERSION`], [`RECORD`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        check_version(bytes, "`format` object")?;
        serde_json::from_slice(bytes)
            .map_err(|e| Fault::new(&RECORD, format!("`format` object: {e}, its form required")))
    }

    /// Whether a run with `own` may go on where `self` stands. Error: [`super::codes::FORMAT`].
    pub fn admits(&self, own: &Self) -> Result<(), Fault> {
        let cluster = self.cluster.as_ref().zip(own.cluster.as_ref());
        let differing = [
            ("pipeline", self.pipeline != own.pipeline, &self.pipeline, &own.pipeline),
            ("data root", self.root != own.root, &self.root, &own.root),
        ];
        let found = differing.iter().find(|(_, differs, ..)| *differs);
        let (what, there, here) = match (found, cluster) {
            (Some((what, _, there, here)), _) => (*what, there.as_str(), here.as_str()),
            (None, Some((there, here))) if there != here => {
                ("cluster", there.as_str(), here.as_str())
            }
            _ if self.naming != own.naming => ("naming mode", "another", "native"),
            _ if self.authority != own.authority => {
                ("authority", self.authority.name(), own.authority.name())
            }
            _ if self.group != own.group => ("group", said(&self.group), said(&own.group)),
            _ => return Ok(()),
        };
        Err(Fault::new(
            &super::codes::FORMAT,
            format!(
                "{what} of pipeline `{}`: `{here}`, `{there}` required as in `{}`; give the pipeline another name",
                own.pipeline,
                Self::key(&own.pipeline)
            ),
        ))
    }
}

/// What a topic was when its first chain began: Kafka partitions added since start at the start of their logs.
/// Created once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    pub version: u32,
    pub topic: String,
    /// How many Kafka partitions it had.
    pub partitions: u32,
}

impl Topic {
    pub fn key(identity: &Identity) -> String {
        let leaf = topic_leaf(identity);
        format!("{STATE}/{}/topics/{leaf}.json", identity.pipeline)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Errors: [`VERSION`], [`RECORD`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        check_version(bytes, "object of a topic")?;
        serde_json::from_slice(bytes)
            .map_err(|e| Fault::new(&RECORD, format!("object of a topic: {e}, its form required")))
    }
}

/// What the text of a Kafka commit says: the record up to which all is published.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hint {
    pub seq: u64,
    pub id: String,
}

impl Hint {
    /// `fb1:<seq>:<commit id>`
    pub fn text(seq: u64, id: &str) -> String {
        format!("fb1:{seq}:{id}")
    }

    /// `None` for a text that is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, id) = text.strip_prefix("fb1:")?.split_once(':')?;
        let seq: u64 = seq.parse().ok().filter(|seq| (1..=COUNT_MAX).contains(seq))?;
        (!id.is_empty() && id.len() <= 256).then(|| Self { seq, id: id.to_owned() })
    }
}

/// What the text of a Kafka commit says where Kafka is the authority: the last record of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Point {
    pub seq: u64,
    pub id: String,
    /// Its files are visible.
    pub published: bool,
}

impl Point {
    /// `fb2:<seq>:c:<commit id>`, and `p` in the place of `c` once its files are visible.
    pub fn text(&self) -> String {
        let state = if self.published { 'p' } else { 'c' };
        format!("fb2:{}:{state}:{}", self.seq, self.id)
    }

    /// `None` for a text that is none of ours. The id can stand in a key.
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, rest) = text.strip_prefix("fb2:")?.split_once(':')?;
        let (state, id) = rest.split_once(':')?;
        let published = match state {
            "c" => false,
            "p" => true,
            _ => return None,
        };
        let seq: u64 = seq.parse().ok().filter(|seq| (1..=COUNT_MAX).contains(seq))?;
        is_key_part(id).then(|| Self { seq, id: id.to_owned(), published })
    }
}

/// Whether an id can be part of an object's name.
fn is_key_part(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=200).contains(&id.len()) && id.bytes().all(plain)
}

/// Where the chains of a pipeline stand; with a `/` at its end.
pub fn log_folder(pipeline: &str) -> String {
    format!("{STATE}/{pipeline}/log/")
}

/// What all folders of a topic's chains start with, whatever the topic's id.
pub fn topic_prefix(pipeline: &str, topic: &str) -> String {
    format!("{}{}~", log_folder(pipeline), topic_name(topic))
}

/// Where the chains of one topic stand; with a `/` at its end.
pub fn topic_folder(identity: &Identity) -> String {
    format!("{}{}/", log_folder(&identity.pipeline), topic_leaf(identity))
}

/// Where the chains of this topic stand that were begun while the brokers named no id.
pub fn nameless_folder(identity: &Identity) -> String {
    topic_folder(&Identity { topic_id: None, ..identity.clone() })
}

/// Topic and its id.
fn topic_leaf(identity: &Identity) -> String {
    format!("{}~{}", topic_name(&identity.topic), folder_id(identity.topic_id.as_deref()))
}

/// A topic's id as folders of chains have it: standard base64 has a letter that would be a folder of its own.
pub fn folder_id(topic_id: Option<&str>) -> String {
    topic_id.unwrap_or("none").replace('/', "_").replace('+', "-")
}

/// Where one chain stands; with a `/` at its end.
pub fn chain_folder(identity: &Identity) -> String {
    format!("{}{}/", topic_folder(identity), identity.partition)
}

/// Key of one record.
pub fn key(identity: &Identity, seq: u64) -> String {
    format!("{}{seq:020}.json", chain_folder(identity))
}

/// Key of one record where Kafka is the authority: several may want one place, and Kafka names the one that has it.
pub fn named_key(identity: &Identity, seq: u64, id: &str) -> String {
    format!("{}{seq:020}-{id}.json", chain_folder(identity))
}

/// The folder (with its `/`), the seq and the id of a record's key where Kafka is the authority.
pub fn parse_named_key(key: &str) -> Option<(&str, u64, &str)> {
    let at = key.rfind('/')? + 1;
    let (digits, id) = key.get(at..)?.strip_suffix(".json")?.split_once('-')?;
    let whole = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()) && is_key_part(id);
    Some((key.get(..at)?, digits.parse().ok().filter(|_| whole)?, id))
}

/// The folder (with its `/`) and the seq of a record's key; `None` for any other key.
pub fn parse_key(key: &str) -> Option<(&str, u64)> {
    let at = key.rfind('/')? + 1;
    let digits = key.get(at..)?.strip_suffix(".json")?;
    let whole = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    Some((key.get(..at)?, digits.parse().ok().filter(|_| whole)?))
}

/// A topic's name as part of a folder's. Kafka's letters are all harmless; a long name is cut.
pub(super) fn topic_name(topic: &str) -> String {
    let mut out = String::with_capacity(topic.len());
    for byte in topic.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    // Room for `~`, an id of 22 letters, and the hash.
    let room = FOLDER_MAX - 36;
    if out.len() > room {
        out.truncate(room);
        out.push_str(&format!("~~{:08x}", crc32fast::hash(topic.as_bytes())));
    }
    out
}

#[cfg(test)]
pub(crate) mod tests;
