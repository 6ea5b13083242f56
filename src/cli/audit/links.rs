//! Which records are a chain, where Kafka decides: several may want one place.
//!
//! Owns: the way back from the last record by what each names as the one before it. The last one is the one that Kafka
//! names; where it is not asked, the last one that nothing speaks against: a record without files, or one of whose
//! files one is visible.
//! Bounded by: the listing; records are read only where two want one place, and at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::read::Places;
use crate::commit::record::{Point, Record};
use crate::error::Fault;
use crate::store::Store;

/// Ids of the records of one chain by their places.
pub type Names = BTreeMap<u64, String>;

/// Records of one folder by the places that they want, with their ids and when they were written.
pub type Wanted = BTreeMap<u64, Vec<(String, Option<i64>)>>;

/// Key of a record: under its id, where Kafka decides.
pub fn key(folder: &str, seq: u64, names: Option<&Names>) -> String {
    match names.and_then(|names| names.get(&seq)) {
        Some(id) => format!("{folder}{seq:020}-{id}.json"),
        None => format!("{folder}{seq:020}.json"),
    }
}

/// The chain among these records. Errors: the store's.
pub async fn chain(
    store: &Store,
    folder: &str,
    wanted: &Wanted,
    said: Option<Point>,
) -> Result<(Places, Names), Fault> {
    let mut names = Names::new();
    let end = match said {
        Some(point) => Some((point.seq, point.id)),
        None => end(store, folder, wanted).await?,
    };
    let Some((last, id)) = end else { return Ok((Places::new(), names)) };
    names.insert(last, id);
    let mut seq = last;
    for (before, who) in wanted.range(1..last).rev() {
        match who.as_slice() {
            [(only, _)] => {
                names.insert(*before, only.clone());
            }
            // Without the record after it nobody can say which one it is.
            _ if before + 1 == seq => {
                if let Some(after) = get(store, &key(folder, seq, Some(&names))).await? {
                    names.insert(*before, after.prev.clone());
                }
            }
            _ => {}
        }
        seq = *before;
    }
    let at = |seq: &u64, id: &String| {
        let there = wanted.get(seq)?.iter().find(|(other, _)| other == id)?;
        Some((*seq, there.1))
    };
    let places = names.iter().filter_map(|(seq, id)| at(seq, id)).collect();
    Ok((places, names))
}

/// The last record, where Kafka is not asked.
async fn end(store: &Store, folder: &str, wanted: &Wanted) -> Result<Option<(u64, String)>, Fault> {
    let Some((seq, last)) = wanted.last_key_value() else { return Ok(None) };
    let (mut bare, mut before) = (None, None);
    for (id, _) in last {
        let names = Names::from([(*seq, id.clone())]);
        let Some(record) = get(store, &key(folder, *seq, Some(&names))).await? else {
            // The audit says what is wrong with it.
            return Ok(Some((*seq, id.clone())));
        };
        for file in &record.files {
            if store.head(&file.key).await?.is_some() {
                return Ok(Some((*seq, id.clone())));
            }
        }
        if record.files.is_empty() {
            bare = Some(id.clone());
        }
        before = seq.checked_sub(1).filter(|before| *before > 0).map(|b| (b, record.prev.clone()));
    }
    Ok(bare.map(|id| (*seq, id)).or(before))
}

async fn get(store: &Store, key: &str) -> Result<Option<Arc<Record>>, Fault> {
    let there = store.get(key).await?;
    Ok(there.and_then(|bytes| Record::parse(&bytes).ok()).map(Arc::new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::record::tests::{identity, record};
    use crate::commit::record::{About, File, Role, chain_folder, named_key};
    use crate::store::{Chance, Handle, Memory};

    /// Records by place, id and the id before: another one wants the second place, and the fourth one has a file.
    const RECORDS: [(u64, &str, &str); 5] =
        [(1, "a", ""), (2, "b", "a"), (2, "late", "a"), (3, "d", "b"), (4, "e", "d")];

    async fn store(visible: bool) -> (Store, Wanted) {
        let store = Store::memory(Memory::new(1, 1, Chance::default()));
        let mut wanted = Wanted::new();
        for (seq, id, prev) in RECORDS {
            let mut record = Record { id: id.into(), prev: prev.into(), ..record(seq) };
            if seq == 4 {
                let about = About {
                    role: Role::Data,
                    crc32: 0,
                    rows: 1,
                    first: 40,
                    last: 40,
                    values: Vec::new(),
                    columns: 0,
                    target: None,
                    schema_ids: Vec::new(),
                };
                let staged = Handle::Local { name: "s".into(), inode: 1, mtime_ns: 0 };
                record.files = vec![File { key: "t/f".into(), bytes: 1, about, staged }];
            }
            let key = named_key(&identity(), seq, id);
            store.put_create(&key, record.to_bytes().into()).await.unwrap();
            wanted.entry(seq).or_default().push((id.to_owned(), None));
        }
        if visible {
            store.put_create("t/f", "x".into()).await.unwrap();
        }
        (store, wanted)
    }

    async fn ids(visible: bool, said: Option<Point>) -> Vec<String> {
        let (store, wanted) = store(visible).await;
        let folder = chain_folder(&identity());
        let (places, names) = chain(&store, &folder, &wanted, said).await.unwrap();
        assert_eq!(places.len(), names.len());
        names.into_values().collect()
    }

    #[tokio::test]
    async fn chain_is_what_the_last_record_leads_back_to() {
        // Nothing of the last one is visible: it may never have counted.
        assert_eq!(ids(false, None).await, ["a", "b", "d"]);
        assert_eq!(ids(true, None).await, ["a", "b", "d", "e"]);
        let said = |seq, id: &str| Some(Point { seq, id: id.into(), published: false });
        assert_eq!(ids(false, said(4, "e")).await, ["a", "b", "d", "e"]);
        assert_eq!(ids(true, said(2, "late")).await, ["a", "late"]);
    }

    #[tokio::test]
    async fn object_planted_far_behind_the_chain_costs_no_walk_to_it() {
        let (store, mut wanted) = store(true).await;
        wanted.insert(u64::MAX, vec![("planted".to_owned(), None)]);
        let (_, names) = chain(&store, &chain_folder(&identity()), &wanted, None).await.unwrap();
        assert_eq!(names.into_values().collect::<Vec<_>>(), ["a", "b", "d", "e", "planted"]);
    }
}
