//! What every store has to do, whichever it is: run over doubles by `tests/hermetic`, over a real server by `tests/stack`.

use ::forebay::clock::Seeded;
use ::forebay::config::{self, SinkUrl};
use ::forebay::error::Kind;
use ::forebay::store::{Put, Staged, Store};
use bytes::Bytes;

/// Hands the names of all checks to a macro.
macro_rules! every_store_check {
    ($with:ident) => {
        $with! {
            staged_file_is_invisible_until_published
            publish_again_is_success
            discard_leaves_nothing
            file_without_bytes_is_published
            odd_key_is_kept_to_the_byte
            key_that_escapes_is_refused
            fifty_uploads_at_once_keep_their_bytes
            big_file_of_many_parts_keeps_its_bytes
            range_gives_the_bytes_that_are_there
            create_only_put_happens_once
            listing_goes_by_bytes_and_pages
            folders_are_named_once_where_objects_stand_below
            folder_is_gone_with_its_last_object
            file_that_may_be_published_is_looked_for_first
            deleted_object_is_gone_and_not_brought_back
            probe_finds_nothing_and_leaves_nothing
            probe_removes_what_a_killed_probe_left_an_hour_ago
        }
    };
}

/// Keys as partition templates make them, and worse.
const ODD_KEYS: &[&str] = &[
    "topic/day=2026-01-02/a+3+00000000000000000042.parquet",
    "a%27b=%2F/c d/e,f/g'h\"i/j+k&l;m@n$o.parquet",
    "größe=ü/日本=東京/🦀.parquet",
    "_rejects/p/x.parquet",
    "back\\slash/<tag>&amp;/#1?x=y/~",
    "dots/.../..x",
    "new\nline/tab\t",
];

pub fn sink(url: SinkUrl, s3: config::S3) -> config::Sink {
    config::Sink {
        url,
        s3,
        compression: config::Compression::None,
        compression_level: None,
        escape: config::Escape::Hive,
        state: None,
        partition_columns: config::PartitionColumns::Auto,
    }
}

/// `count` bytes that are not all alike.
pub fn noise(seed: u64, count: usize) -> Bytes {
    let mut random = Seeded::new(seed);
    (0..count).map(|_| random.next_u64() as u8).collect()
}

pub async fn stage(store: &Store, key: &str, bytes: &Bytes) -> Staged {
    let mut upload = store.begin(key).await.unwrap();
    let part = store.part_bytes().max(1_000);
    let mut rest = bytes.clone();
    while rest.len() > part {
        store.part(&mut upload, rest.split_to(part)).await.unwrap();
    }
    let staged = store.finish(upload, rest).await.unwrap();
    assert_eq!((staged.key.as_str(), staged.bytes), (key, bytes.len() as u64));
    staged
}

pub async fn list(store: &Store, prefix: &str) -> Vec<String> {
    let (mut keys, mut next) = (Vec::new(), None);
    loop {
        let page = store.list(prefix, next.as_deref()).await.unwrap();
        keys.extend(page.entries.into_iter().map(|e| e.key));
        next = page.next;
        if next.is_none() {
            return keys;
        }
    }
}

/// What a reader of the bucket or folder sees: keys outside the program's own folder.
pub async fn visible(store: &Store) -> Vec<String> {
    let all = list(store, "").await;
    all.into_iter().filter(|k| !k.starts_with("_forebay/")).collect()
}

pub async fn staged_file_is_invisible_until_published(store: Store) {
    let bytes = noise(1, 4_500);
    let staged = stage(&store, "a/b.parquet", &bytes).await;
    assert_eq!(visible(&store).await, Vec::<String>::new());
    assert_eq!(store.get("a/b.parquet").await.unwrap(), None);
    assert_eq!(store.head("a/b.parquet").await.unwrap(), None);
    store.publish(&staged).await.unwrap();
    assert_eq!(visible(&store).await, ["a/b.parquet"]);
    assert_eq!(store.get("a/b.parquet").await.unwrap(), Some(bytes));
    assert_eq!(store.head("a/b.parquet").await.unwrap().unwrap().bytes, 4_500);
}

pub async fn publish_again_is_success(store: Store) {
    let bytes = noise(2, 10);
    let staged = stage(&store, "x/y", &bytes).await;
    // As another process would, from a record.
    let staged: Staged = serde_json::from_str(&serde_json::to_string(&staged).unwrap()).unwrap();
    for _ in 0..3 {
        store.publish(&staged).await.unwrap();
    }
    store.discard_staged(&staged).await.unwrap();
    assert_eq!(store.get("x/y").await.unwrap(), Some(bytes));
}

pub async fn discard_leaves_nothing(store: Store) {
    let staged = stage(&store, "d/1", &noise(3, 3_000)).await;
    store.discard_staged(&staged).await.unwrap();
    let mut upload = store.begin("d/2").await.unwrap();
    store.part(&mut upload, noise(4, store.part_bytes().max(10))).await.unwrap();
    store.discard(upload).await.unwrap();
    store.discard(store.begin("d/3").await.unwrap()).await.unwrap();
    assert_eq!(visible(&store).await, Vec::<String>::new());
    let fault = store.publish(&staged).await.unwrap_err();
    assert_eq!((fault.code.id, fault.code.kind), ("FB0708", Kind::Halt), "{fault}");
}

pub async fn file_without_bytes_is_published(store: Store) {
    let staged = stage(&store, "empty", &Bytes::new()).await;
    store.publish(&staged).await.unwrap();
    assert_eq!(store.get("empty").await.unwrap(), Some(Bytes::new()));
}

pub async fn odd_key_is_kept_to_the_byte(store: Store) {
    let mut expected: Vec<&str> = ODD_KEYS.to_vec();
    for (i, key) in expected.iter().enumerate() {
        let staged = stage(&store, key, &noise(i as u64, 100 + i)).await;
        store.publish(&staged).await.unwrap();
    }
    expected.sort_unstable();
    assert_eq!(visible(&store).await, expected);
    for (i, key) in ODD_KEYS.iter().enumerate() {
        assert_eq!(store.get(key).await.unwrap(), Some(noise(i as u64, 100 + i)), "{key:?}");
    }
}

pub async fn key_that_escapes_is_refused(store: Store) {
    let long = "k".repeat(1_025);
    for key in ["", "/etc/x", "../x", "a/../../x", "a//b", "a/./b", "a/", "a\0", &long] {
        assert_eq!(store.begin(key).await.unwrap_err().code.id, "FB0701", "{key:?}");
        let put = store.put_create(key, Bytes::new()).await;
        assert_eq!(put.unwrap_err().code.id, "FB0701", "{key:?}");
        assert_eq!(store.get(key).await.unwrap_err().code.id, "FB0701", "{key:?}");
        assert_eq!(store.delete(key).await.unwrap_err().code.id, "FB0701", "{key:?}");
    }
    // A record is foreign text too.
    let mut staged = stage(&store, "good", &noise(1, 1)).await;
    staged.key = "../bad".into();
    assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0701");
}

pub async fn fifty_uploads_at_once_keep_their_bytes(store: Store) {
    let tasks: Vec<_> = (0..50u64)
        .map(|i| {
            let store = store.clone();
            tokio::spawn(async move {
                let key = format!("p={}/file-{i}", i % 7);
                let staged = stage(&store, &key, &noise(i, 200 * i as usize)).await;
                store.publish(&staged).await.unwrap();
                (key, i)
            })
        })
        .collect();
    for task in tasks {
        let (key, i) = task.await.unwrap();
        assert_eq!(store.get(&key).await.unwrap(), Some(noise(i, 200 * i as usize)), "{key}");
    }
}

pub async fn big_file_of_many_parts_keeps_its_bytes(store: Store) {
    let parts = if store.part_bytes() > 1_000 { 2 } else { 60 };
    let bytes = noise(9, parts * store.part_bytes().max(1_000) + 1);
    let staged = stage(&store, "big", &bytes).await;
    store.publish(&staged).await.unwrap();
    assert!(store.get("big").await.unwrap().unwrap() == bytes);
}

pub async fn range_gives_the_bytes_that_are_there(store: Store) {
    let bytes = noise(5, 3_000);
    let staged = stage(&store, "r/a.parquet", &bytes).await;
    store.publish(&staged).await.unwrap();
    for (from, len) in [
        (0, 3_000),
        (0, 1),
        (2_999, 1),
        (1_000, 500),
        (2_990, 100),
        (3_000, 10),
        (9_000, 5),
        (7, 0),
    ] {
        let end = (from + len).min(3_000);
        let expected = bytes.get(from.min(3_000)..end).unwrap_or_default();
        let found = store.range("r/a.parquet", from as u64, len).await.unwrap();
        assert_eq!(found.as_deref(), Some(expected), "{len} bytes from {from}");
    }
    assert_eq!(store.range("r/none", 0, 10).await.unwrap(), None);
    let listed = store.list("r/", None).await.unwrap().entries;
    let head = store.head("r/a.parquet").await.unwrap();
    assert_eq!(listed.first().map(|e| e.bytes), Some(3_000));
    assert_eq!(head.map(|e| e.bytes), Some(3_000));
}

pub async fn create_only_put_happens_once(store: Store) {
    let puts = (0..8u8).map(|i| store.put_create("log/1.json", Bytes::from(vec![i])));
    let puts = futures::future::join_all(puts).await;
    let created: Vec<usize> =
        (0..8).filter(|&i| puts[i].clone().unwrap() == Put::Created).collect();
    let kept = store.get("log/1.json").await.unwrap().unwrap();
    // An answer can get lost; then nobody is told that it was they.
    assert!(created.len() <= 1, "{created:?}");
    assert!(created.iter().all(|&i| kept[0] as usize == i));
    assert_eq!(store.put_create("log/1.json", Bytes::new()).await.unwrap(), Put::Exists);
    assert_eq!(store.get("log/1.json").await.unwrap().unwrap(), kept);
}

pub async fn listing_goes_by_bytes_and_pages(store: Store) {
    let keys = ["a-/x", "a.b", "a/1", "a/b/c", "a/b.c", "a/b/d", "a0", "b", "b/.hidden", "ä"];
    let mut keys: Vec<_> = keys.iter().filter(|k| **k != "b").map(|k| (*k).to_owned()).collect();
    for i in 0..20 {
        keys.push(format!("many/{i:020}.json"));
    }
    for key in &keys {
        store.put_create(key, Bytes::from_static(b"x")).await.unwrap();
    }
    keys.sort_unstable();
    assert_eq!(visible(&store).await, keys);
    for prefix in ["a", "a/", "a/b", "a/b/", "many/000", "none/", "b/.h", "a.b/"] {
        let expected: Vec<_> = keys.iter().filter(|k| k.starts_with(prefix)).collect();
        assert_eq!(list(&store, prefix).await.iter().collect::<Vec<_>>(), expected, "{prefix}");
    }
}

pub async fn folders_are_named_once_where_objects_stand_below(store: Store) {
    for i in 0..20 {
        store
            .put_create(&format!("log/a~1/{}/{i:03}", i % 3), Bytes::from_static(b"x"))
            .await
            .unwrap();
        store.put_create(&format!("log/b~{i:02}/x"), Bytes::from_static(b"x")).await.unwrap();
    }
    for key in ["log/a", "log/a~2/x.json", "log/a~3", "logs/x", "log/ü ~/x"] {
        store.put_create(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let folders = async |prefix: &str| {
        let mut found = store.folders(prefix).await.unwrap();
        found.sort_unstable();
        found
    };
    assert_eq!(folders("log/a~").await, ["log/a~1/", "log/a~2/"]);
    assert_eq!(folders("log/a~1/").await, ["log/a~1/0/", "log/a~1/1/", "log/a~1/2/"]);
    assert_eq!(folders("log").await, ["log/", "logs/"]);
    assert_eq!(folders("log/b~").await.len(), 20);
    assert_eq!(folders("log/ü").await, ["log/ü ~/"]);
    assert_eq!(folders("none/").await, [""; 0]);
}

pub async fn folder_is_gone_with_its_last_object(store: Store) {
    for key in ["log/gone~1/x", "log/gone~2/x", "log/gone~2/y"] {
        store.put_create(key, Bytes::from_static(b"x")).await.unwrap();
    }
    store.delete("log/gone~1/x").await.unwrap();
    store.delete("log/gone~2/x").await.unwrap();
    assert_eq!(store.folders("log/gone").await.unwrap(), ["log/gone~2/"]);
}

pub async fn file_that_may_be_published_is_looked_for_first(store: Store) {
    let bytes = noise(1, 50);
    let staged = stage(&store, "t/1", &bytes).await;
    for _ in 0..3 {
        store.publish_unless_there(&staged).await.unwrap();
        assert_eq!(store.get("t/1").await.unwrap(), Some(bytes.clone()));
    }
    let other = stage(&store, "t/1", &noise(2, 50)).await;
    let fault = store.publish_unless_there(&other).await.unwrap_err();
    assert_eq!(fault.code.id, "FB0709", "{fault}");
    assert_eq!(store.get("t/1").await.unwrap(), Some(bytes));
}

pub async fn deleted_object_is_gone_and_not_brought_back(store: Store) {
    let staged = stage(&store, "t/1", &noise(1, 50)).await;
    store.publish(&staged).await.unwrap();
    store.delete("t/1").await.unwrap();
    store.delete("t/1").await.unwrap();
    // Amazon answers that all is well, others that the upload is gone; nothing comes back.
    let _ = store.publish(&staged).await;
    assert_eq!(visible(&store).await, Vec::<String>::new());
}

pub async fn probe_finds_nothing_and_leaves_nothing(store: Store) {
    let probe = store.probe().await;
    assert_eq!(probe.faults, []);
    assert_eq!((probe.create_only, probe.revives), (Some(true), Some(false)));
    assert_eq!(list(&store, "").await, Vec::<String>::new());
}

pub async fn probe_removes_what_a_killed_probe_left_an_hour_ago(store: Store) {
    // Ids are UUIDs of version 7: their first twelve digits are milliseconds since 1970. This one is of June 2024.
    let old = "_forebay/probe-018fd4a2c0007000800000000000000.file";
    let fresh = format!("_forebay/probe-{}.file", ::forebay::clock::fresh_id());
    for key in [old, &fresh, "_forebay/probe-", "_forebay/probe-ü", "_forebay/other"] {
        store.put_create(key, Bytes::from_static(b"x")).await.unwrap();
    }
    store.probe().await;
    let mut expected = ["_forebay/other", "_forebay/probe-", &fresh, "_forebay/probe-ü"];
    expected.sort_unstable();
    assert_eq!(list(&store, "").await, expected);
}
