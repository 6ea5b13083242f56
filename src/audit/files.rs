//! Files that records name against files that are listed, for one topic.
//!
//! Owns: the ledger of names, kept by the hash of the key (128 bits of SHA-256): whole keys of millions of files
//! would not fit.
//! Bounded by: about 70 bytes a named file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::Chain;
use super::finding::{Class, Findings, Place};
use crate::commit::record::{File, Record, Role};
use crate::file::Provenance;
use crate::file::name::{self, Origin};
use crate::position::Offset;
use crate::store::{Entry, Handle};

/// Something staged and not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Upload id, or name below the stage.
    pub id: String,
    /// Final key, where it is known.
    pub key: Option<String>,
    pub started_ms: Option<i64>,
}

/// A file that a record names.
#[derive(Debug, Clone, Copy)]
struct Named {
    seq: u64,
    bytes: u64,
    chain: u32,
    seen: bool,
    /// What was staged for it is still there.
    staged: bool,
}

/// A named file that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    pub chain: usize,
    pub seq: u64,
    pub class: Class,
    pub files: u64,
}

/// A listed file that no record names, and whose name is one of this pipeline's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    pub entry: Entry,
    pub partition: i32,
    pub first: Offset,
}

/// The ledger of one topic.
#[derive(Debug, Default)]
pub struct Files {
    named: HashMap<u128, Named>,
    /// Last parts of this pipeline's file names.
    hashes: HashSet<String>,
    /// Folders below which files were named: the first segment of data, the whole folder of rejects.
    folders: BTreeSet<String>,
    /// Ids of uploads that records name.
    used: HashSet<String>,
    /// Listed files and their bytes.
    pub listed: u64,
    pub listed_bytes: u64,
    strays: Vec<Stray>,
}

/// Ids of what is staged.
pub type Staged = HashMap<String, Upload>;

fn hash(key: &str) -> u128 {
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}

fn staged_id(handle: &Handle) -> &str {
    match handle {
        Handle::S3 { upload_id, .. } => upload_id,
        Handle::Local { name, .. } => name,
    }
}

impl Files {
    /// Takes the names of a record in. `at`: the chain's number among those of this topic.
    pub fn name(
        &mut self,
        at: usize,
        chain: &Chain,
        record: &Record,
        staged: &Staged,
        out: &mut Findings,
    ) {
        let identity = &record.identity;
        let topics = [Some(&identity.topic), identity.topic_id.as_ref()];
        for topic in topics.into_iter().flatten() {
            let origin = Origin {
                pipeline: &identity.pipeline,
                cluster: identity.cluster.as_deref().unwrap_or_default(),
                topic,
                generation: 0,
            };
            self.hashes.insert(origin.hash());
        }
        for file in &record.files {
            self.name_one(at, chain, record.seq, file, staged, out);
        }
    }

    fn name_one(
        &mut self,
        at: usize,
        chain: &Chain,
        seq: u64,
        file: &File,
        staged: &Staged,
        out: &mut Findings,
    ) {
        let (folder, leaf) = file.key.rsplit_once('/').unwrap_or(("", &file.key));
        let folder = match file.about.role {
            Role::Data => folder.split('/').next().unwrap_or_default(),
            Role::Reject => folder,
        };
        if !self.folders.contains(folder) {
            self.folders.insert(folder.to_owned());
        }
        if let Some(parts) = name::parse(leaf)
            && !self.hashes.contains(parts.hash)
        {
            self.hashes.insert(parts.hash.to_owned());
        }
        let id = staged_id(&file.staged);
        let is_staged = staged.contains_key(id);
        if is_staged {
            self.used.insert(id.to_owned());
        }
        let named =
            Named { seq, bytes: file.bytes, chain: at as u32, seen: false, staged: is_staged };
        if let Some(other) = self.named.insert(hash(&file.key), named) {
            let message = format!(
                "file `{}`: named by record {seq}, and by record {} before; one record required",
                file.key, other.seq
            );
            out.add(Class::FileNamedTwice, chain.place(seq).key(&file.key), message);
        }
    }

    /// Folders below the root in which files of this topic were named.
    pub fn folders(&self) -> &BTreeSet<String> {
        &self.folders
    }

    /// Takes a listed file in. `since_ms`: older files may be of records that were not read.
    pub fn list(&mut self, entry: Entry, since_ms: Option<i64>, out: &mut Findings) {
        self.listed += 1;
        self.listed_bytes = self.listed_bytes.saturating_add(entry.bytes);
        let old = since_ms.is_some_and(|since| entry.modified_ms.is_none_or(|at| at < since));
        match self.named.get_mut(&hash(&entry.key)) {
            Some(named) => {
                named.seen = true;
                if named.bytes != entry.bytes {
                    let message = format!(
                        "file `{}`: {} bytes, {} required by record {}",
                        entry.key, entry.bytes, named.bytes, named.seq
                    );
                    let place = Place { seq: Some(named.seq), ..Place::file(&entry.key) };
                    out.add(Class::SizeDiffers, place, message);
                }
            }
            None if old => {}
            None => self.stray(entry, out),
        }
    }

    fn stray(&mut self, entry: Entry, out: &mut Findings) {
        let leaf = entry.key.rsplit('/').next().unwrap_or_default();
        match name::parse(leaf).filter(|parts| self.hashes.contains(parts.hash)) {
            Some(parts) => {
                let (partition, first) = (parts.partition, parts.first);
                self.strays.push(Stray { entry, partition, first });
            }
            None => {
                let message = format!(
                    "file `{}`: no record names it, and its name is none of this pipeline's",
                    entry.key
                );
                out.add(Class::Foreign, Place::file(&entry.key), message);
            }
        }
    }

    /// Files with names of this pipeline that no record read so far names: read on, and what they say of
    /// themselves, and give that to [`Files::judge`].
    pub fn take_strays(&mut self) -> Vec<Stray> {
        std::mem::take(&mut self.strays)
    }

    /// Whether a record named it meanwhile.
    pub fn is_named(&self, key: &str) -> bool {
        self.named.contains_key(&hash(key))
    }

    /// What a stray is. `chains`: those of this topic; `origin`: what its footer says, if it can be read.
    pub fn judge(stray: &Stray, chains: &[Chain], origin: Option<&Provenance>, out: &mut Findings) {
        let key = &stray.entry.key;
        // A topic that was made anew has several.
        let own = || chains.iter().filter(|chain| chain.partition == stray.partition);
        let known = origin.is_some_and(|origin| own().any(|chain| chain.knows(&origin.commit)));
        let start = own().filter_map(|chain| chain.start).min();
        let (class, why) = if known {
            let why =
                "its footer names a commit of the chain, whose record names another key: a copy";
            (Class::Foreign, why)
        } else if start.is_none_or(|start| stray.first < start) {
            (Class::Foreign, "it is from before the chain")
        } else if own().any(|chain| chain.is_lost(stray.first)) {
            (Class::RecordGone, Class::RecordGone.meaning())
        } else if origin.is_some() {
            (Class::Unnamed, "no record names it, nor is there the commit that its footer names")
        } else {
            (Class::Unnamed, "no record names it, and its footer cannot be read")
        };
        let place = Place {
            topic: own().next().map(|chain| chain.topic.clone()),
            partition: Some(stray.partition),
            offset: Some(stray.first),
            ..Place::file(key)
        };
        out.add(class, place, format!("file `{key}`: {why}"));
    }

    /// Places whose files are not all there, with what that means; and the counts in the chains.
    /// `published`: by chain, the place up to which Kafka's committed offset calls all published.
    pub fn missing(&self, chains: &mut [Chain], published: &[Option<u64>]) -> Vec<Missing> {
        let mut missing = BTreeMap::new();
        for named in self.named.values().filter(|named| !named.seen) {
            let Some(chain) = chains.get_mut(named.chain as usize) else { continue };
            let said = published.get(named.chain as usize).copied().flatten();
            let class = if chain.repaired.contains_key(&named.seq) {
                Class::Repaired
            } else if named.seq < chain.head_seq {
                if named.staged { Class::Unpublished } else { Class::Removed }
            } else if named.staged {
                Class::Pending
            } else if said.is_some_and(|seq| seq >= named.seq) {
                Class::Removed
            } else {
                Class::Undecided
            };
            match class {
                Class::Pending => chain.pending += 1,
                Class::Undecided => chain.undecided += 1,
                Class::Removed => chain.removed += 1,
                _ => {}
            }
            *missing.entry((named.chain as usize, named.seq, class)).or_default() += 1;
        }
        let missing = missing.into_iter();
        missing.map(|((chain, seq, class), files)| Missing { chain, seq, class, files }).collect()
    }

    /// Says which files of a record are not there.
    pub fn tell_missing(
        &self,
        chain: &mut Chain,
        record: &Record,
        staged: &Staged,
        mut missing: Missing,
        out: &mut Findings,
    ) {
        let unseen = |file: &&File| self.named.get(&hash(&file.key)).is_some_and(|n| !n.seen);
        if missing.class == Class::Repaired
            && !chain.is_back(record.seq, record.files.iter().filter(unseen))
        {
            // Some went after the repair, or it brought back less: nothing says which.
            missing.class = Class::Removed;
            chain.removed = chain.removed.saturating_add(missing.files);
        }
        for file in record.files.iter().filter(unseen) {
            let is_staged = staged.contains_key(staged_id(&file.staged));
            // One record can have both: published ones that are gone, and some that never were.
            if matches!(missing.class, Class::Pending | Class::Unpublished) != is_staged
                && missing.class != Class::Repaired
            {
                continue;
            }
            let message = format!(
                "file `{}` of record {}, offsets `{}` to `{}`: not there; {}",
                file.key,
                record.seq,
                file.about.first,
                file.about.last,
                missing.class.meaning()
            );
            let place = Place { offset: Some(file.about.first), ..chain.place(record.seq) };
            out.add(missing.class, place.key(&file.key), message);
        }
    }

    /// Ids of uploads that records name.
    pub fn used(&self) -> &HashSet<String> {
        &self.used
    }
}
