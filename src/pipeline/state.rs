//! What a pipeline keeps in the store beside its chains: the `format` object, and staged files of the dead.
//!
//! Owns: creating and checking `format`; the janitor of local disk.
//! Does not own: what the object says (`commit::record`), uploads on S3 (`effects`).

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;

use crate::commit::neighbours::Pipeline;
use crate::commit::record::{Format, Naming, Record, STATE, log_folder, parse_key};
use crate::commit::{FORMAT, NO_AUTHORITY};
use crate::config::{self, SinkUrl};
use crate::error::Fault;
use crate::store::{Handle, Probe, Store};

/// What the `format` object of this pipeline must say. Error: [`NO_AUTHORITY`].
pub fn format(
    pipeline: &config::Pipeline,
    cluster: Option<String>,
    probe: &Probe,
) -> Result<Format, Fault> {
    if probe.create_only == Some(false) {
        return Err(Fault::new(
            &NO_AUTHORITY,
            "create-only put: two of two for one key answered success, a store with conditional writes required",
        ));
    }
    Ok(Format {
        version: pipeline.commit.record_version,
        pipeline: pipeline.name.clone(),
        cluster,
        root: root(&pipeline.sink.url),
        naming: Naming::Native,
        create_only: probe.create_only.unwrap_or(false),
        revives: probe.revives,
    })
}

/// The sink's address as the `format` object has it: one text for one place.
pub fn root(url: &SinkUrl) -> String {
    match url {
        SinkUrl::S3 { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
        SinkUrl::Local(path) => {
            std::path::absolute(path).map_or_else(|_| url.to_string(), |p| p.display().to_string())
        }
    }
}

/// Creates the pipeline's `format` object, or checks it against the one that is there.
///
/// Errors: [`FORMAT`] and those of reading it.
pub async fn admit(store: &Store, own: &Format) -> Result<(), Fault> {
    let key = Format::key(&own.pipeline);
    let there = match store.get(&key).await? {
        Some(there) => Some(there),
        None => {
            // Another process may be doing the same: what is there in the end counts.
            let _ = store.put_create(&key, Bytes::from(own.to_bytes())).await;
            store.get(&key).await?
        }
    };
    let Some(there) = there else {
        return Err(Fault::new(&FORMAT, "`format` object: not there after it was written").at(key));
    };
    Format::parse(&there).and_then(|there| there.admits(own)).map_err(|f| f.at(key))
}

/// The other pipelines whose state stands at the same place. Errors: the store's, and those of reading what they
/// left: one that cannot be read keeps the others from being found.
pub async fn neighbours(store: &Store, own: &str) -> Result<Vec<Pipeline>, Fault> {
    let mut found = Vec::new();
    for folder in store.folders(&format!("{STATE}/")).await? {
        let name = folder.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let key = Format::key(name);
        if name == own {
            continue;
        }
        // What is being staged on a disk has a folder, too.
        let Some(bytes) = store.get(&key).await? else { continue };
        let format = Format::parse(&bytes).map_err(|f| f.at(key))?;
        let chains = store.folders(&log_folder(name)).await?;
        found.push(Pipeline::of(&format, &chains));
    }
    Ok(found)
}

/// Removes staged files of dead processes that no chain needs, on local disk. What fails is left for the next
/// start.
///
/// First what is staged is listed, then the chains' ends are read: the dead write no records in between.
pub async fn sweep_disk(store: &Store) {
    if store.part_bytes() > 0 {
        return; // S3: under claims, by `effects`
    }
    if let Err(fault) = try_sweep_disk(store).await {
        tracing::info!("staged files of dead processes stay for now: {fault}");
    }
}

async fn try_sweep_disk(store: &Store) -> Result<(), Fault> {
    let orphans = store.orphans("").await?;
    if orphans.is_empty() {
        return Ok(());
    }
    let named = named_by_heads(store).await?;
    for orphan in orphans.iter().filter(|o| !named.contains(&o.id)) {
        store.sweep(orphan).await?;
        tracing::info!(id = orphan.id, "a staged file of a dead process is removed");
    }
    Ok(())
}

/// Staged names in the last record of every chain below the root, of all pipelines. Those before it are
/// published: nothing follows a record before that.
async fn named_by_heads(store: &Store) -> Result<HashSet<String>, Fault> {
    let mut heads: BTreeMap<String, u64> = BTreeMap::new();
    let mut next = None;
    loop {
        let page = store.list(&format!("{STATE}/"), next.as_deref()).await?;
        for entry in &page.entries {
            if let Some((chain, seq)) = parse_key(&entry.key) {
                let head = heads.entry(chain.to_owned()).or_default();
                *head = seq.max(*head);
            }
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let mut named = HashSet::new();
    for (chain, seq) in heads {
        let key = format!("{chain}{seq:020}.json");
        let Some(bytes) = store.get(&key).await? else { continue };
        let record = Record::parse(&bytes).map_err(|f| f.at(key))?;
        named.extend(record.files.into_iter().filter_map(|file| match file.staged {
            Handle::Local { name, .. } => Some(name),
            Handle::S3 { .. } => None,
        }));
    }
    Ok(named)
}
