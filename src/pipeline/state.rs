//! What a pipeline keeps in the store beside its chains: the `format` object, and staged files of the dead.
//!
//! Owns: creating and checking `format`; the janitor of local disk.
//! Does not own: what the object says (`commit::record`), uploads on S3 (`effects`).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use bytes::Bytes;

use crate::clock;
use crate::commit::neighbours::Pipeline;
use crate::commit::record::{
    Format, Naming, Record, STATE, log_folder, parse_key, parse_named_key,
};
use crate::commit::{FORMAT, NO_AUTHORITY};
use crate::config::{self, Authority, SinkUrl};
use crate::error::Fault;
use crate::store::{Handle, Probe, Store};

/// How long another first start may take from not finding the `format` object to writing its own.
const LAST_WRITTEN: Duration = Duration::from_secs(2);

/// What the `format` object of this pipeline must say. Error: [`NO_AUTHORITY`].
pub fn format(
    pipeline: &config::Pipeline,
    cluster: Option<String>,
    probe: &Probe,
) -> Result<Format, Fault> {
    let authority = pipeline.commit.authority;
    if probe.create_only == Some(false) && authority == Authority::Store {
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
        authority,
        group: (authority == Authority::Kafka).then(|| pipeline.source.group.clone()),
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

/// Creates the pipeline's `format` object, or checks it against the one that is there; returns what is there.
///
/// Errors: [`FORMAT`] and those of reading it.
pub async fn admit(store: &Store, own: &Format) -> Result<Format, Fault> {
    let key = Format::key(&own.pipeline);
    let there = match store.get(&key).await? {
        Some(there) => Some(there),
        None => {
            // Another process may be doing the same: what is there in the end counts.
            let _ = store.put_once(&key, Bytes::from(own.to_bytes())).await;
            if !own.create_only {
                // The store may keep the last one that was written: it is the same for all who wrote by then.
                clock::sleep(LAST_WRITTEN).await;
            }
            store.get(&key).await?
        }
    };
    let Some(there) = there else {
        return Err(Fault::new(&FORMAT, "`format` object: not there after it was written").at(key));
    };
    let there = Format::parse(&there).map_err(|f| f.at(key.clone()))?;
    there.admits(own).map_err(|f| f.at(key))?;
    Ok(there)
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

/// Refuses to run where another pipeline writes to a folder of this one's topics: those that it names, and those that
/// it has chains of. Error: [`crate::commit::codes::OVERLAP`].
///
/// Costs a listing of the folders in `_forebay/`, and an object and a listing for each neighbour. What cannot be
/// read keeps nobody from running; `check` says it.
pub async fn apart(store: &Store, pipeline: &config::Pipeline) -> Result<(), Fault> {
    let topics = match &pipeline.source.topics {
        config::Topics::Names(names) => names.as_slice(),
        config::Topics::Regex(_) => &[],
    };
    let looked = async {
        let found = neighbours(store, &pipeline.name).await?;
        let chains = match found.is_empty() {
            true => Vec::new(),
            false => store.folders(&log_folder(&pipeline.name)).await?,
        };
        Ok::<_, Fault>((found, chains))
    };
    let (found, chains) = match looked.await {
        Ok(looked) => looked,
        Err(fault) => {
            tracing::warn!("pipelines beside this one are not known: {fault}");
            return Ok(());
        }
    };
    let mut own = Pipeline::named(&pipeline.name, &root(&pipeline.sink.url), topics);
    own.topics.extend(Pipeline::topics_of(&chains));
    found.iter().try_for_each(|other| own.beside(other))
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
    let (mut heads, mut named_ends) = (BTreeMap::<String, u64>::new(), Vec::new());
    let mut next = None;
    loop {
        let page = store.list(&format!("{STATE}/"), next.as_deref()).await?;
        for entry in &page.entries {
            if let Some((chain, seq)) = parse_key(&entry.key) {
                let head = heads.entry(chain.to_owned()).or_default();
                *head = seq.max(*head);
            }
            if let Some((chain, seq, _)) = parse_named_key(&entry.key) {
                let head = heads.entry(chain.to_owned()).or_default();
                *head = seq.max(*head);
                named_ends.push((chain.to_owned(), seq, entry.key.clone()));
            }
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let mut named = HashSet::new();
    // Where Kafka is the authority, it names one of the last place or of the one before.
    named_ends.retain(|(chain, seq, _)| {
        heads.get(chain).is_some_and(|last| seq.saturating_add(1) >= *last)
    });
    let of_kafka: HashSet<String> = named_ends.iter().map(|(chain, ..)| chain.clone()).collect();
    let of_store = heads.into_iter().filter(|(chain, _)| !of_kafka.contains(chain));
    let of_store = of_store.map(|(chain, seq)| format!("{chain}{seq:020}.json"));
    for key in of_store.chain(named_ends.into_iter().map(|(.., key)| key)) {
        let Some(bytes) = store.get(&key).await? else { continue };
        let record = Record::parse(&bytes).map_err(|f| f.at(key))?;
        named.extend(record.files.into_iter().filter_map(|file| match file.staged {
            Handle::Local { name, .. } => Some(name),
            Handle::S3 { .. } => None,
        }));
    }
    Ok(named)
}
