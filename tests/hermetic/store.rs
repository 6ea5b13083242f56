//! One suite over every store: local disk, memory, and S3 against a double.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use forebay::config::{self, SinkUrl};
use forebay::error::Kind;
use forebay::store::{Chance, Handle, Memory, Put, Staged, Store, Trouble, Verb};

use crate::s3_double::{self, Double};
use crate::store_checks::{self, noise, sink, stage, visible};

async fn local(root: &Path) -> Store {
    Store::open(&sink(SinkUrl::Local(root.to_owned()), config::S3::default())).await.unwrap()
}

async fn s3(double: &Double) -> Store {
    open_s3(double.sink(), "pre/fix").await
}

async fn open_s3(s3: config::S3, prefix: &str) -> Store {
    let url = SinkUrl::S3 { bucket: "bucket".into(), prefix: prefix.into() };
    Store::open(&sink(url, s3)).await.unwrap()
}

/// Runs each check over each store. A macro, so that a failure names the store and the check.
macro_rules! over_every_store {
    ($($check:ident)*) => {
        $(mod $check {
            use super::*;

            #[tokio::test]
            async fn local() {
                let root = tempfile::tempdir().unwrap();
                store_checks::$check(super::local(&root.path().join("made/by/open")).await).await;
            }

            #[tokio::test]
            async fn memory() {
                let memory = Memory::new(1, 1_000, Chance::default());
                store_checks::$check(Store::memory(memory)).await;
            }

            #[tokio::test]
            async fn s3() {
                let double = Double::start().await;
                store_checks::$check(super::s3(&double).await).await;
            }

            #[tokio::test]
            async fn s3_that_forgets_completed_uploads() {
                let double = Double::start().await;
                double.inner().forgets_uploads = true;
                store_checks::$check(super::s3(&double).await).await;
            }

            #[tokio::test]
            async fn s3_in_trouble() {
                let double = Double::start().await;
                double.inner().forgets_uploads = true;
                double.chance(7, 12);
                store_checks::$check(super::s3(&double).await).await;
            }
        })*
    };
}

every_store_check!(over_every_store);

// -- local disk --

fn tree(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn local_staged_name_is_hidden_from_parquet_readers() {
    let root = tempfile::tempdir().unwrap();
    let store = local(root.path()).await;
    let staged = stage(&store, "a.parquet", &noise(1, 10)).await;
    let files = tree(root.path());
    assert_eq!(files.len(), 1);
    assert!(files[0].starts_with(root.path().join("_forebay/stage")));
    assert_eq!(files[0].extension(), None);
    store.publish(&staged).await.unwrap();
    assert_eq!(tree(root.path()), [root.path().join("a.parquet")]);
}

#[tokio::test]
async fn local_foreign_file_is_refused_and_kept() {
    let root = tempfile::tempdir().unwrap();
    let store = local(root.path()).await;
    let staged = stage(&store, "a/b", &noise(1, 10)).await;
    std::fs::create_dir(root.path().join("a")).unwrap();
    std::fs::write(root.path().join("a/b"), "0123456789").unwrap();
    let fault = store.publish(&staged).await.unwrap_err();
    assert_eq!((fault.code.id, fault.code.kind), ("FB0709", Kind::Halt), "{fault}");
    assert_eq!(std::fs::read(root.path().join("a/b")).unwrap(), b"0123456789");
    // Also when nothing is staged any more: equal size is not enough.
    store.discard_staged(&staged).await.unwrap();
    assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0709");
    // Once it is out of the way the same file can be staged and published.
    std::fs::remove_file(root.path().join("a/b")).unwrap();
    let staged = stage(&store, "a/b", &noise(1, 10)).await;
    store.publish(&staged).await.unwrap();
}

#[tokio::test]
async fn local_link_below_the_root_is_never_followed() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = local(root.path()).await;
    std::os::unix::fs::symlink(outside.path(), root.path().join("day=1")).unwrap();
    let staged = stage(&store, "day=1/x/f", &noise(1, 10)).await;
    let fault = store.publish(&staged).await.unwrap_err();
    assert_eq!((fault.code.id, fault.code.kind), ("FB0714", Kind::Halt), "{fault}");
    let staged = stage(&store, "day=1/f", &noise(1, 10)).await;
    assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0714");
    let put = store.put_create("day=1/f", Bytes::new()).await;
    assert_eq!(put.unwrap_err().code.id, "FB0714");
    std::fs::write(outside.path().join("secret"), "s").unwrap();
    assert_eq!(store.get("day=1/secret").await.unwrap_err().code.id, "FB0714");
    std::os::unix::fs::symlink(outside.path().join("secret"), root.path().join("leaf")).unwrap();
    assert_eq!(store.get("leaf").await.unwrap_err().code.id, "FB0714");
    // A link at the very key is another file in the way, not a way.
    let staged = stage(&store, "leaf", &noise(1, 1)).await;
    assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0709");
    assert_eq!(visible(&store).await, Vec::<String>::new());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn local_file_in_place_of_a_folder_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let store = local(root.path()).await;
    std::fs::write(root.path().join("a"), "").unwrap();
    let staged = stage(&store, "a/b", &noise(1, 10)).await;
    let fault = store.publish(&staged).await.unwrap_err();
    assert_eq!(fault.code.id, "FB0714", "{fault}");
    let long = format!("{}/x", "d".repeat(256));
    let staged = stage(&store, &long, &noise(1, 10)).await;
    assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0701");
}

#[tokio::test]
async fn local_record_that_names_another_path_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let store = local(root.path()).await;
    for name in ["../../../etc/passwd", "", "x/y", "0123456789abcdef0123456789abcdef/../../.."] {
        let handle = Handle::Local { name: name.into(), inode: 1, mtime_ns: 1 };
        let staged = Staged { key: "k".into(), bytes: 1, handle };
        assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0718", "{name}");
    }
}

#[tokio::test]
async fn local_dead_owner_is_published_by_another_and_swept_when_unnamed() {
    let root = tempfile::tempdir().unwrap();
    let dead = local(root.path()).await;
    let named = stage(&dead, "k/named", &noise(1, 10)).await;
    let unnamed = stage(&dead, "k/unnamed", &noise(2, 10)).await;
    let alive = local(root.path()).await;
    let own = stage(&alive, "k/own", &noise(3, 10)).await;
    assert_eq!(alive.orphans("").await.unwrap(), [], "its owner lives");
    drop(dead);
    let orphans = alive.orphans("").await.unwrap();
    assert_eq!(orphans.len(), 2);
    for orphan in &orphans {
        let Handle::Local { name, .. } = &named.handle else { panic!() };
        if orphan.id != *name {
            alive.sweep(orphan).await.unwrap();
        }
    }
    alive.publish(&named).await.unwrap();
    alive.publish(&own).await.unwrap();
    assert_eq!(alive.publish(&unnamed).await.unwrap_err().code.id, "FB0708");
    assert_eq!(alive.orphans("").await.unwrap(), []);
    assert_eq!(visible(&alive).await, ["k/named", "k/own"]);
    let stage = root.path().join("_forebay/stage");
    assert_eq!(std::fs::read_dir(stage).unwrap().count(), 1, "the dead owner's folder is gone");
}

#[tokio::test]
async fn local_staged_file_that_was_changed_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let store = local(root.path()).await;
    let staged = stage(&store, "k", &noise(1, 10)).await;
    let [file] = &tree(root.path())[..] else { panic!() };
    std::fs::write(file, "short").unwrap();
    assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0708");
}

#[tokio::test]
async fn local_root_that_is_a_file_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, "").unwrap();
    let probe = local(&file).await.probe().await;
    assert_eq!(probe.faults.len(), 1);
    assert_eq!(probe.faults[0].code.id, "FB0705", "{}", probe.faults[0]);
}

#[tokio::test]
async fn local_upload_keeps_no_descriptor() {
    let root = tempfile::tempdir().unwrap();
    let store = local(root.path()).await;
    let mut uploads = Vec::new();
    for i in 0..100 {
        let mut upload = store.begin(&format!("k/{i}")).await.unwrap();
        store.part(&mut upload, noise(i, 10)).await.unwrap();
        uploads.push(upload);
    }
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    let open = open.filter_map(|fd| std::fs::read_link(fd.path()).ok());
    let staged = open.filter(|p| p.starts_with(root.path()) && p.is_file()).count();
    assert_eq!(staged, 0);
}

// -- S3 --

#[tokio::test]
async fn s3_completion_in_doubt_ends_in_one_file() {
    for forgets in [false, true] {
        for trouble in [
            s3_double::Trouble::Lost,
            s3_double::Trouble::Truncated,
            s3_double::Trouble::Empty,
            s3_double::Trouble::ErrorIn200("InternalError"),
            s3_double::Trouble::Status(503, "SlowDown"),
            s3_double::Trouble::Status(500, "InternalError"),
            s3_double::Trouble::Status(429, "TooManyRequests"),
        ] {
            let double = Double::start().await;
            double.inner().forgets_uploads = forgets;
            let store = s3(&double).await;
            let staged = stage(&store, "k", &noise(1, 2_500)).await;
            double.plan(Verb::Complete, 0, trouble);
            store.publish(&staged).await.unwrap_or_else(|e| panic!("{trouble:?} {forgets}: {e}"));
            assert_eq!(store.get("k").await.unwrap(), Some(noise(1, 2_500)), "{trouble:?}");
            assert!(double.inner().uploads.is_empty());
        }
    }
}

#[tokio::test]
async fn s3_refusal_has_the_code_that_says_what_to_do() {
    let table = [
        (403, "AccessDenied", "FB0703", Kind::Halt),
        (403, "InvalidAccessKeyId", "FB0704", Kind::Pause),
        (404, "NoSuchBucket", "FB0705", Kind::Halt),
        (301, "PermanentRedirect", "FB0705", Kind::Halt),
        (400, "KMS.DisabledException", "FB0706", Kind::Halt),
        (400, "InvalidStorageClass", "FB0707", Kind::Halt),
    ];
    for (status, answer, code, kind) in table {
        let double = Double::start().await;
        let store = s3(&double).await;
        double.plan(Verb::PutPart, 0, s3_double::Trouble::Status(status, answer));
        let upload = store.begin("k").await.unwrap();
        let fault = store.finish(upload, noise(1, 10)).await.unwrap_err();
        assert_eq!((fault.code.id, fault.code.kind), (code, kind), "{fault}");
        assert!(fault.message.contains(answer), "{fault}");
        assert!(!fault.to_string().contains("canary"), "{fault}");
        assert!(double.inner().uploads.is_empty(), "a file that failed is discarded");
    }
}

#[tokio::test]
async fn s3_upload_gone_and_key_absent_is_lost_and_key_taken_is_foreign() {
    let double = Double::start().await;
    double.inner().forgets_uploads = true;
    let store = s3(&double).await;
    let staged = stage(&store, "k", &noise(1, 10)).await;
    double.inner().uploads.clear();
    assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0708");
    store.put_create("k", noise(1, 10)).await.unwrap();
    assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0709");
}

#[tokio::test]
async fn s3_request_carries_the_options_and_no_condition_on_complete() {
    let double = Double::start().await;
    let mut options = double.sink();
    options.sse = Some("aws:kms".into());
    options.kms_key_id = Some("key-1".into());
    options.bucket_key = Some(true);
    options.acl = Some("bucket-owner-full-control".into());
    options.storage_class = Some("STANDARD_IA".into());
    options.tags = [("cost center".to_owned(), "a&b".to_owned())].into();
    options.checksum = Some("crc32c".into());
    let store = open_s3(options, "").await;
    let staged = stage(&store, "k", &Bytes::from_static(b"123456789")).await;
    store.publish(&staged).await.unwrap();
    store.put_create("s", Bytes::from_static(b"{}")).await.unwrap();
    let header =
        |verb, name: &str| double.seen(verb)[0].get(name).map(|v| v.to_str().unwrap().to_owned());
    let some = |s: &str| Some(s.to_owned());
    for verb in [Verb::CreateUpload, Verb::Put] {
        assert_eq!(header(verb, "x-amz-server-side-encryption"), some("aws:kms"));
        assert_eq!(header(verb, "x-amz-server-side-encryption-aws-kms-key-id"), some("key-1"));
        assert_eq!(header(verb, "x-amz-server-side-encryption-bucket-key-enabled"), some("true"));
        assert_eq!(header(verb, "x-amz-acl"), some("bucket-owner-full-control"));
    }
    assert_eq!(header(Verb::CreateUpload, "x-amz-storage-class"), some("STANDARD_IA"));
    assert_eq!(header(Verb::CreateUpload, "x-amz-tagging"), some("cost%20center=a%26b"));
    assert_eq!(header(Verb::CreateUpload, "x-amz-checksum-algorithm"), some("CRC32C"));
    // CRC-32C of "123456789" is e3069283 (RFC 3720's check value).
    assert_eq!(header(Verb::PutPart, "x-amz-checksum-crc32c"), some("4waSgw=="));
    assert_eq!(header(Verb::Put, "if-none-match"), some("*"));
    assert_eq!(header(Verb::Put, "x-amz-storage-class"), None);
    assert_eq!(header(Verb::Put, "x-amz-tagging"), None);
    assert_eq!(header(Verb::Complete, "if-none-match"), None);
}

#[tokio::test]
async fn s3_without_checksum_option_sends_none_to_another_store() {
    let double = Double::start().await;
    let store = s3(&double).await;
    stage(&store, "k", &noise(1, 10)).await;
    for headers in double.seen(Verb::PutPart) {
        assert!(!headers.keys().any(|k| k.as_str().starts_with("x-amz-checksum")), "{headers:?}");
    }
}

#[tokio::test]
async fn s3_probe_names_each_missing_permission_once() {
    let table = [
        (Verb::Get, "s3:GetObject"),
        (Verb::List, "s3:ListBucket"),
        (Verb::ListUploads, "s3:ListBucketMultipartUploads"),
        (Verb::Delete, "s3:DeleteObject"),
        (Verb::Abort, "s3:AbortMultipartUpload"),
        (Verb::Put, "s3:PutObject"),
        (Verb::CreateUpload, "s3:PutObject"),
        (Verb::Complete, "s3:PutObject"),
    ];
    for (verb, action) in table {
        let double = Double::start().await;
        double.inner().denied.push(verb);
        let probe = s3(&double).await.probe().await;
        let faults: Vec<_> = probe.faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 1, "{verb:?}: {faults:#?}");
        assert!(faults[0].starts_with("FB0703") && faults[0].contains(action), "{faults:#?}");
        let inner = double.inner();
        let asked = inner.seen.iter().map(|(_, key, _)| key).filter(|k| !k.is_empty());
        for key in asked {
            assert!(key.starts_with("pre/fix/_forebay/probe-"), "{key}");
        }
    }
}

#[tokio::test]
async fn s3_probe_tells_a_store_without_conditions_or_metadata() {
    let double = Double::start().await;
    double.inner().ignores_conditions = true;
    let probe = s3(&double).await.probe().await;
    assert_eq!((probe.faults, probe.create_only), (vec![], Some(false)));
    let double = Double::start().await;
    double.inner().drops_metadata = true;
    let probe = s3(&double).await.probe().await;
    let codes: Vec<_> = probe.faults.iter().map(|f| f.code.id).collect();
    assert_eq!(codes, ["FB0720"]);
}

#[tokio::test]
async fn s3_listing_that_repeats_ends_in_a_fault() {
    let double = Double::start().await;
    let store = s3(&double).await;
    for i in 0..20 {
        store.put_create(&format!("k{i:02}"), Bytes::new()).await.unwrap();
    }
    double.inner().pages_repeat = true;
    let first = store.list("", None).await.unwrap();
    let fault = store.list("", first.next.as_deref()).await.unwrap_err();
    assert_eq!(fault.code.id, "FB0702", "{fault}");
}

#[tokio::test]
async fn s3_unfinished_uploads_are_listed_and_swept() {
    let double = Double::start().await;
    let store = s3(&double).await;
    stage(&store, "t/a b+c", &noise(1, 10)).await;
    stage(&store, "u/x", &noise(1, 10)).await;
    let orphans = store.orphans("t/").await.unwrap();
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].key.as_deref(), Some("t/a b+c"));
    assert_eq!(orphans[0].started_ms, Some(1_767_323_045_000));
    store.sweep(&orphans[0]).await.unwrap();
    assert_eq!(store.orphans("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn s3_requests_are_counted_by_verb_and_outcome() {
    let double = Double::start().await;
    let store = s3(&double).await;
    double.plan(Verb::Put, 0, s3_double::Trouble::Status(503, "SlowDown"));
    store.put_create("k", Bytes::new()).await.unwrap();
    store.put_create("k", Bytes::new()).await.unwrap();
    store.get("none").await.unwrap();
    let expected =
        [("put", "ok", 1), ("put", "negative", 1), ("put", "retried", 1), ("get", "negative", 1)];
    assert_eq!(store.requests(), expected);
}

#[tokio::test]
async fn s3_half_of_a_key_pair_and_no_endpoint_are_refused() {
    let double = Double::start().await;
    let url = SinkUrl::S3 { bucket: "bucket".into(), prefix: String::new() };
    let half = config::S3 { secret_access_key: None, ..double.sink() };
    let fault = Store::open(&sink(url.clone(), half)).await.unwrap_err();
    assert_eq!(fault.code.id, "FB0717");
    let bare = config::S3 { endpoint: Some("localhost:9000".into()), ..double.sink() };
    let fault = Store::open(&sink(url, bare)).await.unwrap_err();
    assert_eq!(fault.code.id, "FB0717", "{fault}");
}

// -- memory --

#[test]
fn memory_needs_no_runtime_and_replays_from_its_seed() {
    let run = |seed| {
        let memory = Memory::new(seed, 10, Chance { before_one_in: 5, after_one_in: 5 });
        let store = Store::memory(memory.clone());
        let mut told = Vec::new();
        futures::executor::block_on(async {
            for i in 0..200 {
                let put = store.put_create(&format!("k{}", i % 50), Bytes::from(vec![i])).await;
                told.push(put.map_err(|f| f.message));
            }
        });
        (told, memory.objects())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn memory_trouble_is_before_or_after_as_planned() {
    let memory = Memory::new(1, 10, Chance::default());
    let store = Store::memory(memory.clone());
    memory.plan(Verb::Put, 1, Trouble::Before);
    memory.plan(Verb::Put, 2, Trouble::After);
    futures::executor::block_on(async {
        assert_eq!(store.put_create("a", Bytes::new()).await, Ok(Put::Created));
        for key in ["b", "c"] {
            assert_eq!(
                store.put_create(key, Bytes::new()).await.unwrap_err().code.kind,
                Kind::Retry
            );
        }
        assert_eq!(store.put_create("d", Bytes::new()).await, Ok(Put::Created));
    });
    assert_eq!(memory.objects().keys().collect::<Vec<_>>(), ["a", "c", "d"]);
}

#[test]
fn memory_upload_in_trouble_leaves_what_it_says() {
    let memory = Memory::new(1, 10, Chance::default());
    let store = Store::memory(memory.clone());
    futures::executor::block_on(async {
        let upload = store.begin("k").await.unwrap();
        let staged = store.finish(upload, Bytes::from_static(b"12")).await.unwrap();
        assert_eq!(memory.uploads().into_values().collect::<Vec<_>>(), ["k"]);
        memory.plan(Verb::Complete, 0, Trouble::After);
        assert_eq!(store.publish(&staged).await.unwrap_err().code.kind, Kind::Retry);
        assert_eq!(store.publish(&staged).await, Ok(()));
        assert!(memory.overwritten().is_empty());
        memory.remove_foreign("k");
        assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0708");
    });
}

/// Where Kafka decides commits, records are put without a condition. What two first starts of one pipeline both write
/// is kept all the same, where the store can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_object_that_is_made_once_is_kept_beside_records_without_a_condition() {
    let double = Double::start().await;
    let store = s3(&double).await.unconditional();
    assert_eq!(store.put_once("format", "first".into()).await, Ok(Put::Created));
    assert_eq!(store.put_once("format", "second".into()).await, Ok(Put::Exists));
    assert_eq!(store.get("format").await, Ok(Some("first".into())));
    assert_eq!(store.put_create("format", "third".into()).await, Ok(Put::Created));
    assert_eq!(store.get("format").await, Ok(Some("third".into())));
    // One that does not know the condition refuses the request for it.
    double.plan(Verb::Put, 0, s3_double::Trouble::Status(501, "NotImplemented"));
    assert_eq!(store.put_once("other", "first".into()).await, Ok(Put::Created));
}
