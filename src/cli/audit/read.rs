//! Reading for the audit: chains, files and listings, many requests at a time.
//!
//! Owns: the order of reading, which lets a pipeline go on meanwhile: ends of chains first, then what is staged,
//! then topic by topic (`topic`) records and files; what was recorded after the beginning is looked up at the end.
//! Bounded by: 24 bytes a record, what `audit` holds, `GETS` requests, `DEEP` files.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;

use super::kafka;
use super::links::{self, Names, Wanted};
use super::report::Report;
use crate::audit::content::{self, Offsets, Tail};
use crate::audit::finding::{Class, Findings, Place, Strictness};
use crate::audit::{Chain, Files, Upload, files};
use crate::cli::{LOCAL, RUNTIME};
use crate::commit::record::{self, File, Format, Record};
use crate::config;
use crate::error::Fault;
use crate::file::Provenance;
use crate::position::OffsetRange;
use crate::store::Store;

mod topic;

use topic::Topic;

/// Records read at a time.
const GETS: usize = 32;
/// Files of one record read at a time.
const FILES: usize = 8;
/// Files read whole at a time.
const DEEP: usize = 4;
/// Bytes of a whole file that one request reads.
const CHUNK: usize = 8 << 20;

/// What to read, and what to make of it.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub deep: bool,
    pub footers: bool,
    pub since_ms: Option<i64>,
    pub now_ms: i64,
    pub orphan_age_ms: i64,
    pub strictness: Strictness,
    /// Ask Kafka too.
    pub broker: bool,
}

impl Options {
    /// Every file read, and nothing foreign expected.
    pub fn thorough(now_ms: i64) -> Self {
        Self {
            deep: true,
            footers: true,
            since_ms: None,
            now_ms,
            orphan_age_ms: 24 * 3_600_000,
            strictness: Strictness { expect_all: true, strict: true },
            broker: false,
        }
    }
}

/// Places of one chain and when each was written, rising.
pub type Places = Vec<(u64, Option<i64>)>;

/// One chain as the listing shows it.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    pub places: Places,
    /// Where Kafka decides: the ids of the records.
    pub names: Names,
    /// The same, and Kafka was not asked.
    pub unasked: bool,
    /// Kafka was asked, and names none.
    pub nameless: bool,
}

/// Reads and checks everything. Errors: a store that does not answer, or a broker that was to be asked.
pub async fn audit(
    pipeline: &config::Pipeline,
    store: &Store,
    options: &Options,
) -> Result<Report, Fault> {
    let mut findings = Findings::default();
    let asked = if options.broker { Some(pipeline) } else { None };
    let listed = chains(store, &pipeline.name, asked).await?;
    let mut staged = staged(store).await?;
    if revives(store, &pipeline.name).await? {
        // Such a store may list what is published long since.
        staged.clear();
    }
    let mut report = Report::new(pipeline, options);
    let mut topics: BTreeMap<String, Vec<(String, Listed)>> = BTreeMap::new();
    for (folder, listed) in listed {
        report.unasked |= listed.unasked;
        topics.entry(topic_of(&folder)).or_default().push((folder, listed));
    }
    let mut used = HashSet::new();
    let mut done = HashSet::new();
    for (_, chains) in topics {
        let (chains_read, files) = (Vec::new(), Files::default());
        let mut topic = Topic { store, options, staged: &staged, chains: chains_read, files };
        topic.read(chains, &mut findings).await?;
        if options.broker {
            let asked = kafka::ask(pipeline, &topic.chains).await?;
            kafka::check(&topic.chains, &asked, &mut findings);
            report.kafka.extend(asked);
        }
        topic.list(pipeline, &mut done, &mut findings).await?;
        topic.settle(&report.kafka, &mut findings).await?;
        report.files += topic.files.listed;
        report.bytes += topic.files.listed_bytes;
        used.extend(topic.files.used().iter().cloned());
        report.partitions.append(&mut topic.chains);
    }
    unnamed_uploads(&staged, &used, options, &mut findings);
    report.partitions.sort_by(|a, b| {
        (&a.topic, &a.topic_id, a.partition).cmp(&(&b.topic, &b.topic_id, b.partition))
    });
    report.findings = findings;
    report.requests = store.requests();
    Ok(report)
}

/// What stands before the topic's id: chains of one topic share folders of data.
fn topic_of(chain: &str) -> String {
    chain.rsplit_once('~').map_or(chain, |(topic, _)| topic).to_owned()
}

/// Folders of all chains of a pipeline, with their places. `ask`: where Kafka decides which record is the last of a
/// chain, it is asked.
pub async fn chains(
    store: &Store,
    pipeline: &str,
    ask: Option<&config::Pipeline>,
) -> Result<BTreeMap<String, Listed>, Fault> {
    let mut chains: BTreeMap<String, Listed> = BTreeMap::new();
    let mut wanted: BTreeMap<String, Wanted> = BTreeMap::new();
    let mut next = None;
    loop {
        let page = store.list(&record::log_folder(pipeline), next.as_deref()).await?;
        for entry in page.entries {
            if let Some((folder, seq, id)) = record::parse_named_key(&entry.key) {
                let of_seq = wanted.entry(folder.to_owned()).or_default().entry(seq).or_default();
                of_seq.push((id.to_owned(), entry.modified_ms));
            }
            let Some((folder, seq)) = record::parse_key(&entry.key) else { continue };
            let place = (seq, entry.modified_ms);
            match chains.get_mut(folder) {
                Some(listed) => listed.places.push(place),
                None => {
                    let listed = Listed { places: vec![place], ..Listed::default() };
                    chains.insert(folder.to_owned(), listed);
                }
            }
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    chains.values_mut().for_each(|listed| listed.places.sort_unstable());
    let heads: Vec<Chain> = wanted.keys().map(|folder| Chain::new(folder, (1, 1))).collect();
    let said = match ask.filter(|_| !heads.is_empty()) {
        Some(pipeline) => kafka::ask(pipeline, &heads).await?,
        None => Vec::new(),
    };
    for ((folder, wanted), head) in wanted.into_iter().zip(&heads) {
        let end = kafka::named(head, &said);
        let (unasked, nameless) =
            (ask.is_none(), end.is_none() && kafka::of(head, &said).is_some());
        let (places, names) = links::chain(store, &folder, &wanted, end).await?;
        chains.insert(folder, Listed { places, names, unasked, nameless });
    }
    Ok(chains)
}

/// Whether the store keeps uploads that are completed, as the probe found when the pipeline first ran.
async fn revives(store: &Store, pipeline: &str) -> Result<bool, Fault> {
    let there = store.get(&Format::key(pipeline)).await?;
    let format = there.and_then(|bytes| Format::parse(&bytes).ok());
    Ok(format.is_some_and(|format| format.revives == Some(true)))
}

/// What is staged and not published, by its id.
async fn staged(store: &Store) -> Result<files::Staged, Fault> {
    if store.part_bytes() > 0 {
        let orphans = store.orphans("").await?.into_iter();
        return Ok(orphans
            .map(|o| (o.id.clone(), Upload { id: o.id, key: o.key, started_ms: o.started_ms }))
            .collect());
    }
    let (folder, mut next, mut found) = ("_forebay/stage/", None, files::Staged::new());
    loop {
        let page = store.list(folder, next.as_deref()).await?;
        for entry in page.entries {
            let Some(id) = entry.key.strip_prefix(folder).map(str::to_owned) else { continue };
            let upload = Upload { id: id.clone(), key: None, started_ms: entry.modified_ms };
            found.insert(id, upload);
        }
        next = page.next;
        if next.is_none() {
            return Ok(found);
        }
    }
}

fn unnamed_uploads(
    staged: &files::Staged,
    used: &HashSet<String>,
    options: &Options,
    out: &mut Findings,
) {
    for upload in staged.values().filter(|upload| !used.contains(&upload.id)) {
        let age_ms = upload.started_ms.map(|at| options.now_ms.saturating_sub(at));
        if let Some(age_ms) = age_ms.filter(|age| *age >= options.orphan_age_ms) {
            let key = upload.key.as_deref().unwrap_or("unknown");
            let message = format!(
                "unfinished upload `{}` for key `{key}`: begun {} h ago, and no record names it",
                upload.id,
                age_ms / 3_600_000
            );
            let place = Place { key: upload.key.clone(), ..Place::default() };
            out.add(Class::StaleUpload, place, message);
        }
    }
}

/// What became of reading one place.
enum Found {
    Nothing,
    Bad(Fault),
    Record(Box<Record>),
}

async fn get(store: &Store, key: &str) -> Result<Found, Fault> {
    Ok(match store.get(key).await? {
        None => Found::Nothing,
        Some(bytes) => match Record::parse(&bytes) {
            Ok(record) => Found::Record(Box::new(record)),
            Err(fault) => Found::Bad(fault),
        },
    })
}

/// One record, and what its files say of themselves.
async fn one(store: &Store, options: &Options, key: &str) -> Result<(Found, Findings), Fault> {
    let found = get(store, key).await?;
    let mut out = Findings::default();
    let Found::Record(record) = &found else { return Ok((found, out)) };
    if options.deep {
        let mut offsets = Offsets::of(span(record));
        for file in &record.files {
            offsets = deep(store, record, file, offsets, &mut out).await?;
        }
    } else if options.footers {
        let mut footers = futures::stream::iter(&record.files)
            .map(|file| async move { footer(store, record, file).await })
            .buffered(FILES);
        while let Some(told) = footers.next().await {
            out.merge(told?.1);
        }
    }
    Ok((found, out))
}

/// Offsets that the files of a record may have; a repair's are of an earlier commit.
fn span(record: &Record) -> OffsetRange {
    let files = || record.files.iter().map(|file| &file.about);
    let ends = files().map(|a| a.first).min().zip(files().map(|a| a.last).max());
    match ends {
        Some((start, last)) if record.kind == record::Kind::Repair => {
            OffsetRange { start, end: last.saturating_add(1) }
        }
        _ => record.range(),
    }
}

fn place(record: &Record, file: &File) -> Place {
    Place {
        topic: Some(record.identity.topic.clone()),
        partition: Some(record.identity.partition),
        chain: Some(record::chain_folder(&record.identity)),
        seq: Some(record.seq),
        key: Some(file.key.clone()),
        offset: Some(file.about.first),
    }
}

/// The footer of a file against its record; true: it is there, and as the record says. A file that is not there,
/// or not as long as it should be, is the listing's to find.
async fn footer(store: &Store, record: &Record, file: &File) -> Result<(bool, Findings), Fault> {
    let mut out = Findings::default();
    let mut wanted = content::TAIL;
    loop {
        let Some(bytes) = end_of(store, &file.key, file.bytes, wanted).await? else {
            return Ok((false, out));
        };
        match content::tail(&bytes, file.bytes) {
            Tail::Footer(metadata) => {
                let good = content::says(record, file, place(record, file), &metadata, &mut out);
                return Ok((good, out));
            }
            Tail::More(more) if more > wanted => wanted = more,
            Tail::More(_) => {
                content::no_footer(file, place(record, file), "its footer has no end", &mut out);
                return Ok((false, out));
            }
            Tail::Bad(why) => {
                content::no_footer(file, place(record, file), &why, &mut out);
                return Ok((false, out));
            }
        }
    }
}

/// The last bytes of a file that is as long as it should be.
async fn end_of(store: &Store, key: &str, total: u64, wanted: u64) -> Result<Option<Bytes>, Fault> {
    let from = total.saturating_sub(wanted);
    let len = usize::try_from(total - from).unwrap_or(usize::MAX);
    // One more, to see that it ends there.
    let bytes = store.range(key, from, len.saturating_add(1)).await?;
    Ok(bytes.filter(|bytes| bytes.len() == len))
}

/// What a file that no record names says of itself.
async fn origin(store: &Store, key: &str, total: u64) -> Result<Option<Provenance>, Fault> {
    let mut wanted = content::TAIL;
    loop {
        let Some(bytes) = end_of(store, key, total, wanted).await? else { return Ok(None) };
        match content::tail(&bytes, total) {
            Tail::Footer(metadata) => return Ok(Provenance::read(&metadata).ok()),
            Tail::More(more) if more > wanted => wanted = more,
            Tail::More(_) | Tail::Bad(_) => return Ok(None),
        }
    }
}

/// The whole file: footer, checksum, rows.
async fn deep(
    store: &Store,
    record: &Record,
    file: &File,
    offsets: Offsets,
    out: &mut Findings,
) -> Result<Offsets, Fault> {
    let (good, told) = footer(store, record, file).await?;
    out.merge(told);
    if !good {
        return Ok(offsets);
    }
    let Some((copy, crc32)) = copy(store, &file.key, file.bytes).await? else {
        return Ok(offsets);
    };
    if crc32 != file.about.crc32 {
        let message = format!(
            "file `{}` of record {}: CRC-32 {crc32:08x}, {:08x} required",
            file.key, record.seq, file.about.crc32
        );
        out.add(Class::ContentDiffers, place(record, file), message);
        return Ok(offsets);
    }
    let (record, file) = (Arc::new(record.clone()), file.clone());
    let work = move || {
        let (mut told, mut offsets) = (Findings::default(), offsets);
        let place = place(&record, &file);
        content::rows(copy, &record, &file, place, &mut offsets, &mut told);
        (told, offsets)
    };
    let (told, offsets) = tokio::task::spawn_blocking(work).await.map_err(ended)?;
    out.merge(told);
    Ok(offsets)
}

#[cold]
fn ended(e: tokio::task::JoinError) -> Fault {
    Fault::new(&RUNTIME, format!("reading a file: {e}, an end required"))
}

/// A copy of a file without a name in the system's folder for such, and its CRC-32; none where it is not there, or
/// ends too early.
pub(super) async fn copy(
    store: &Store,
    key: &str,
    total: u64,
) -> Result<Option<(std::fs::File, u32)>, Fault> {
    let mut to = scratch()?;
    let mut crc = crc32fast::Hasher::new();
    let mut at = 0;
    while at < total {
        let len = usize::try_from(total - at).unwrap_or(usize::MAX).min(CHUNK);
        let Some(bytes) = store.range(key, at, len).await?.filter(|b| !b.is_empty()) else {
            return Ok(None);
        };
        crc.update(&bytes);
        std::io::Write::write_all(&mut to, &bytes).map_err(|e| local(&e))?;
        at += bytes.len() as u64;
    }
    Ok(Some((to, crc.finalize())))
}

/// A file that is gone when it is closed.
fn scratch() -> Result<std::fs::File, Fault> {
    let path = std::env::temp_dir().join(format!("forebay-audit-{}", crate::clock::fresh_id()));
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).open(&path);
    let file = file.map_err(|e| local(&e))?;
    std::fs::remove_file(&path).map_err(|e| local(&e))?;
    Ok(file)
}

#[cold]
fn local(e: &std::io::Error) -> Fault {
    let folder = std::env::temp_dir();
    Fault::new(
        &LOCAL,
        format!(
            "copy of a file in `{}`: {e}, room required; TMPDIR names the folder",
            folder.display()
        ),
    )
}
