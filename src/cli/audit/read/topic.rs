//! One topic under audit: its chains, its folders, and what does not fit.
//!
//! Bounded by: what `audit` holds; requests and files at a time as in the room above.

use std::collections::HashSet;

use futures::StreamExt;

use super::{DEEP, Found, GETS, Listed, Options, get, kafka, one, origin};
use crate::audit::finding::{Class, Findings};
use crate::audit::{Chain, Files, files};
use crate::commit::record;
use crate::config;
use crate::error::Fault;
use crate::partition::hive;
use crate::store::Store;

/// Places without a record that are told one by one.
const HOLES_MAX: u64 = 100;

/// One topic under audit.
pub(super) struct Topic<'a> {
    pub(super) store: &'a Store,
    pub(super) options: &'a Options,
    pub(super) staged: &'a files::Staged,
    pub(super) chains: Vec<Chain>,
    pub(super) files: Files,
}

impl Topic<'_> {
    pub(super) async fn read(
        &mut self,
        chains: Vec<(String, Listed)>,
        out: &mut Findings,
    ) -> Result<(), Fault> {
        for (folder, Listed { places, names, nameless, .. }) in chains {
            let from = self.options.since_ms.map_or(0, |since| {
                places.iter().position(|(_, at)| at.is_none_or(|at| at >= since)).unwrap_or(
                    // Nothing new: the last one tells where the chain stands.
                    places.len().saturating_sub(1),
                )
            });
            let first = if from == 0 { 1 } else { places.get(from).map_or(1, |p| p.0) };
            let head = places.last().map_or(1, |(seq, _)| *seq);
            let mut chain = Chain::new(&folder, (first, head));
            chain.names = names;
            if nameless {
                let message = format!(
                    "group's offset of chain `{folder}`: it names no record, the last one required; `commit.on_lost_authority` says how to go on"
                );
                out.add(Class::AuthorityLost, chain.place(head), message);
            }
            if let Some((seq, _)) = from.checked_sub(1).and_then(|before| places.get(before))
                && *seq + 1 == first
                && let Found::Record(before) = get(self.store, &chain.key(*seq)).await?
            {
                chain.begin_after(&before);
            }
            self.read_chain(chain, places.get(from..).unwrap_or_default(), out).await?;
        }
        Ok(())
    }

    async fn read_chain(
        &mut self,
        mut chain: Chain,
        places: &[(u64, Option<i64>)],
        out: &mut Findings,
    ) -> Result<(), Fault> {
        let (store, options) = (self.store, self.options);
        let keys = chain.clone();
        let at_once = if options.deep { DEEP } else { GETS };
        let mut reads = futures::stream::iter(places)
            .map(|(seq, at)| {
                let key = keys.key(*seq);
                async move { (*seq, *at, one(store, options, &key).await) }
            })
            .buffered(at_once);
        let mut expected = chain.first_seq;
        while let Some((seq, at, found)) = reads.next().await {
            let (found, told) = found?;
            let holes = seq.saturating_sub(expected);
            (expected..seq).take(HOLES_MAX as usize).for_each(|hole| chain.missing(hole, out));
            out.count_only(Class::RecordMissing, holes.saturating_sub(HOLES_MAX));
            expected = seq.saturating_add(1);
            match found {
                Found::Nothing => chain.missing(seq, out),
                Found::Bad(fault) => chain.unreadable(seq, &fault, out),
                Found::Record(record) => {
                    if chain.record(seq, &record, at, out) {
                        out.merge(told);
                        self.files.name(self.chains.len(), &chain, &record, self.staged, out);
                    }
                }
            }
        }
        drop(reads);
        self.chains.push(chain);
        Ok(())
    }

    /// Lists the folders of this topic; each folder once, whichever topic comes first.
    pub(super) async fn list(
        &mut self,
        pipeline: &config::Pipeline,
        done: &mut HashSet<String>,
        out: &mut Findings,
    ) -> Result<(), Fault> {
        let mut folders = self.files.folders().clone();
        for chain in &self.chains {
            folders.insert(hive::component(pipeline.sink.escape, &chain.topic));
            let rejects = hive::component(config::Escape::Hive, &chain.topic);
            folders.insert(format!("{}/{rejects}", pipeline.rejects.prefix));
        }
        for folder in folders {
            let prefix = match folder.as_str() {
                "" => String::new(),
                folder => format!("{folder}/"),
            };
            if !done.insert(prefix.clone()) {
                continue;
            }
            let mut next = None;
            loop {
                let page = self.store.list(&prefix, next.as_deref()).await?;
                for entry in page.entries {
                    self.files.list(entry, self.options.since_ms, out);
                }
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// What is there and not named, what is named and not there.
    pub(super) async fn settle(
        &mut self,
        kafka: &[kafka::Said],
        out: &mut Findings,
    ) -> Result<(), Fault> {
        let strays = self.files.take_strays();
        let late = if strays.is_empty() { HashSet::new() } else { self.late().await? };
        for stray in strays.into_iter().filter(|s| !late.contains(&s.entry.key)) {
            let origin = origin(self.store, &stray.entry.key, stray.entry.bytes).await?;
            Files::judge(&stray, &self.chains, origin.as_ref(), out);
        }
        let published: Vec<Option<u64>> =
            self.chains.iter().map(|chain| kafka::published(chain, kafka)).collect();
        for missing in self.files.missing(&mut self.chains, &published) {
            let Some(chain) = self.chains.get_mut(missing.chain) else { continue };
            let record = match out.keeps(missing.class) || missing.class == Class::Repaired {
                true => get(self.store, &chain.key(missing.seq)).await?,
                false => Found::Nothing,
            };
            match record {
                Found::Record(record) => {
                    self.files.tell_missing(chain, &record, self.staged, missing, out);
                }
                _ => out.count_only(missing.class, missing.files),
            }
        }
        Ok(())
    }

    /// Keys that records name which came after the reading began.
    async fn late(&self) -> Result<HashSet<String>, Fault> {
        let mut keys = HashSet::new();
        for chain in &self.chains {
            let mut seq = chain.head_seq;
            if !chain.names.is_empty() {
                // Whether Kafka has them by now or not.
                keys.extend(self.later(chain).await?);
                continue;
            }
            while let Some(next) = seq.checked_add(1) {
                seq = next;
                match get(self.store, &chain.key(seq)).await? {
                    Found::Record(record) => keys.extend(record.files.into_iter().map(|f| f.key)),
                    Found::Bad(_) => {}
                    Found::Nothing => break,
                }
            }
        }
        Ok(keys)
    }
}

impl Topic<'_> {
    /// Keys that records behind the end of a chain name, where Kafka decides.
    async fn later(&self, chain: &Chain) -> Result<Vec<String>, Fault> {
        let (mut keys, mut next) = (Vec::new(), None);
        loop {
            let page = self.store.list(&chain.folder, next.as_deref()).await?;
            for entry in page.entries {
                let named = record::parse_named_key(&entry.key);
                if named.is_none_or(|(_, seq, _)| seq <= chain.head_seq) {
                    continue;
                }
                if let Found::Record(record) = get(self.store, &entry.key).await? {
                    keys.extend(record.files.into_iter().map(|f| f.key));
                }
            }
            next = page.next;
            if next.is_none() {
                return Ok(keys);
            }
        }
    }
}
