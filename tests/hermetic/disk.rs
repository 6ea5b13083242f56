//! Local disk when the disk fails: what is told to be safe is safe, and no failed sync is ever taken for one that
//! worked. A seam below the store fails its system calls one by one; where `strace` is installed, the kernel's
//! own answers are changed as well.
#![cfg(debug_assertions)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use forebay::config::{self, SinkUrl};
use forebay::store::disk_seam::{Call, Watch};
use forebay::store::{Put, Store};

use crate::store_checks::{noise, sink, visible};

const RECORD: &str = "_forebay/p/log/t~id/0/00000000000000000001.json";

async fn open(root: &Path) -> Store {
    Store::open(&sink(SinkUrl::Local(root.to_owned()), config::S3::default())).await.unwrap()
}

/// What a cut of the power after these calls would take away though it was told to be safe.
#[derive(Default)]
struct Volatile {
    /// Files with bytes that are not on disk.
    bytes: BTreeSet<String>,
    /// Names in the stage, and final ones, that are not.
    staged: BTreeSet<String>,
    renamed: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Volatile {
    /// Takes calls in, in order; panics where a name is given to what is not on disk.
    fn take(&mut self, calls: Vec<(Call, String)>) {
        for (call, name) in calls {
            match call {
                Call::Create => drop(self.staged.insert(name)),
                Call::Write => drop(self.bytes.insert(name)),
                Call::SyncFile => drop(self.bytes.remove(&name)),
                Call::MakeFolder => drop(self.folders.insert(name)),
                Call::SyncFolder if name == "_forebay/stage" => self.staged.clear(),
                Call::SyncFolder => {
                    self.folders.retain(|made| !name.starts_with(made.as_str()));
                    self.renamed.retain(|key| key.rsplit_once('/').unwrap().0 != name);
                }
                Call::Rename => {
                    assert!(self.bytes.is_empty(), "{name}: bytes of {:?}", self.bytes);
                    assert!(self.folders.is_empty(), "{name}: folders {:?}", self.folders);
                    self.renamed.insert(name);
                }
            }
        }
    }

    /// Nothing, but for the staged name of what was renamed.
    fn nothing(&self, after: &str) {
        assert!(self.bytes.is_empty(), "{after}: bytes of {:?}", self.bytes);
        assert!(self.renamed.is_empty(), "{after}: names {:?}", self.renamed);
    }
}

async fn stage_record_publish(root: &Path) {
    let store = open(root).await;
    let watch = Watch::new();
    let mut volatile = Volatile::default();
    let mut staged = Vec::new();
    for (seed, key) in [(1, "t/k=1/a.parquet"), (2, "t/k=2/b.parquet")] {
        let mut upload = store.begin(key).await.unwrap();
        store.part(&mut upload, noise(seed, 3_000)).await.unwrap();
        staged.push(store.finish(upload, noise(seed, 10)).await.unwrap());
        volatile.take(watch.take());
        volatile.nothing("staged");
        assert!(volatile.staged.is_empty(), "staged names {:?}", volatile.staged);
    }
    assert_eq!(store.put_create(RECORD, noise(3, 10)).await, Ok(Put::Created));
    volatile.take(watch.take());
    volatile.nothing("recorded");
    for staged in &staged {
        store.publish(staged).await.unwrap();
        volatile.take(watch.take());
        volatile.nothing("published");
    }
}

#[test]
pub(crate) fn what_is_told_to_be_safe_is_on_disk() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let root = tempfile::tempdir().unwrap();
    runtime.block_on(stage_record_publish(root.path()));
}

/// Files below a folder, their bytes left out.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

const EIO: i32 = 5;
const EEXIST: i32 = 17;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EDQUOT: i32 = 122;

#[tokio::test]
async fn failed_call_while_staging_leaves_nothing_and_the_next_try_works() {
    let table = [
        (Call::Create, ENOSPC, "FB0710"),
        (Call::Create, EROFS, "FB0703"),
        (Call::Write, EIO, "FB0711"),
        (Call::Write, ENOSPC, "FB0710"),
        (Call::Write, EDQUOT, "FB0710"),
        (Call::Write, EROFS, "FB0703"),
        (Call::SyncFile, EIO, "FB0711"),
        // Filesystems that give out blocks late say so only here.
        (Call::SyncFile, ENOSPC, "FB0710"),
    ];
    for (call, errno, code) in table {
        for at_part in [true, false] {
            let root = tempfile::tempdir().unwrap();
            let store = open(root.path()).await;
            let watch = Watch::new();
            let skip = usize::from(!at_part && call != Call::Create);
            watch.fail(call, skip, errno);
            let mut upload = store.begin("t/a").await.unwrap();
            let fault = match store.part(&mut upload, noise(1, 100)).await {
                Err(fault) => {
                    store.discard(upload).await.unwrap();
                    fault
                }
                Ok(()) => store.finish(upload, noise(1, 10)).await.unwrap_err(),
            };
            assert!(watch.is_spent());
            assert_eq!(fault.code.id, code, "{call:?} {errno}: {fault}");
            assert_eq!(files(root.path()), Vec::<PathBuf>::new(), "{call:?} {errno}");
            let staged = crate::store_checks::stage(&store, "t/a", &noise(2, 100)).await;
            store.publish(&staged).await.unwrap();
            assert_eq!(store.get("t/a").await.unwrap(), Some(noise(2, 100)));
        }
    }
}

#[tokio::test]
async fn failed_call_of_a_record_is_doubt_or_told_and_never_half_a_record() {
    let table = [
        (Call::Create, ENOSPC, "FB0710"),
        (Call::Write, EIO, "FB0711"),
        (Call::SyncFile, EIO, "FB0711"),
        (Call::MakeFolder, ENOSPC, "FB0710"),
        (Call::MakeFolder, EROFS, "FB0703"),
        (Call::Rename, EIO, "FB0711"),
        (Call::Rename, ENOSPC, "FB0710"),
        (Call::Rename, EROFS, "FB0703"),
    ];
    for (call, errno, code) in table {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        let watch = Watch::new();
        watch.fail(call, 0, errno);
        let fault = store.put_create(RECORD, noise(1, 10)).await.unwrap_err();
        assert!(watch.is_spent());
        assert_eq!(fault.code.id, code, "{call:?} {errno}: {fault}");
        assert_eq!(files(root.path()), Vec::<PathBuf>::new(), "{call:?} {errno}");
        assert_eq!(store.get(RECORD).await, Ok(None));
        assert_eq!(store.put_create(RECORD, noise(2, 10)).await, Ok(Put::Created));
        assert_eq!(store.get(RECORD).await.unwrap(), Some(noise(2, 10)));
    }
}

#[tokio::test]
async fn name_that_is_taken_loses_the_record_and_refuses_the_file() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).await;
    let watch = Watch::new();
    watch.fail(Call::Rename, 0, EEXIST);
    assert_eq!(store.put_create(RECORD, Bytes::new()).await, Ok(Put::Exists));
    assert_eq!(files(root.path()), Vec::<PathBuf>::new(), "what lost is removed");
    let staged = crate::store_checks::stage(&store, "t/a", &noise(1, 10)).await;
    watch.fail(Call::Rename, 0, EEXIST);
    assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0709");
    // The staged file is kept for the day when the other one is moved away.
    store.publish(&staged).await.unwrap();
}

#[tokio::test]
async fn failed_publish_is_tried_again_with_the_same_file() {
    for (call, errno, code) in [
        (Call::MakeFolder, ENOSPC, "FB0710"),
        (Call::Rename, EIO, "FB0711"),
        (Call::Rename, EROFS, "FB0703"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        let staged = crate::store_checks::stage(&store, "t/a", &noise(1, 10)).await;
        let watch = Watch::new();
        watch.fail(call, 0, errno);
        assert_eq!(store.publish(&staged).await.unwrap_err().code.id, code);
        assert_eq!(visible(&store).await, Vec::<String>::new());
        store.publish(&staged).await.unwrap();
        assert_eq!(visible(&store).await, ["t/a"]);
    }
}

#[tokio::test]
async fn folder_that_failed_to_sync_once_is_never_believed_again() {
    for during in ["stage", "record", "publish"] {
        let root = tempfile::tempdir().unwrap();
        let store = open(root.path()).await;
        let staged = crate::store_checks::stage(&store, "t/a", &noise(1, 10)).await;
        let watch = Watch::new();
        watch.fail(Call::SyncFolder, 0, EIO);
        let fault = match during {
            "stage" => {
                let upload = store.begin("t/b").await.unwrap();
                store.finish(upload, noise(1, 10)).await.unwrap_err()
            }
            "record" => store.put_create(RECORD, Bytes::new()).await.unwrap_err(),
            _ => store.publish(&staged).await.unwrap_err(),
        };
        assert_eq!(fault.code.id, "FB0712", "{during}: {fault}");
        // The kernel would say now that all is well.
        assert_eq!(store.publish(&staged).await.unwrap_err().code.id, "FB0712", "{during}");
        let put = store.put_create(RECORD, Bytes::new()).await;
        assert_eq!(put.unwrap_err().code.id, "FB0712", "{during}");
        assert_eq!(store.get(RECORD).await.unwrap_err().code.id, "FB0712", "{during}");
    }
}

// -- the kernel's own answers --

/// Stages, records and publishes one file in the folder that the parent names, and prints how it ended.
#[test]
fn child_under_strace() {
    let Some(root) = std::env::var_os("FOREBAY_TEST_CHILD") else { return };
    // `strace` counts calls by thread: all are made by one.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
    let ended = runtime.block_on(async {
        let store = open(Path::new(&root)).await;
        let mut upload = store.begin("t/a").await?;
        store.part(&mut upload, noise(1, 3_000)).await?;
        let staged = store.finish(upload, noise(1, 10)).await?;
        store.put_create(RECORD, noise(2, 10)).await?;
        store.publish(&staged).await
    });
    println!("ended: {}", ended.map_or_else(|fault| fault.code.id.to_owned(), |()| "well".into()));
}

/// Runs the child under `strace`; how it ended, and the calls that were traced. `None` without a `strace` that works.
fn traced(inject: Option<&str>) -> Option<(String, String, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let (root, log) = (folder.path().join("root"), folder.path().join("trace"));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=fsync,fdatasync,renameat2", "-o"]).arg(&log);
    strace.args(inject.iter().flat_map(|inject| ["-e", inject]));
    strace.arg(std::env::current_exe().unwrap());
    strace.args(["disk::child_under_strace", "--exact", "--nocapture", "--test-threads=1"]);
    let out = strace.env("FOREBAY_TEST_CHILD", &root).output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let ended =
        text.lines().find_map(|line| line.split_once("ended: ")).map(|(_, e)| e.to_owned())?;
    Some((ended, std::fs::read_to_string(log).unwrap(), folder))
}

#[test]
fn every_sync_that_the_kernel_fails_is_told() {
    let Some((ended, trace, _)) = traced(None) else {
        println!("left out: no strace that works here");
        return;
    };
    assert_eq!(ended, "well");
    let syncs = |trace: &str, name: &str| trace.matches(&format!(" {name}(")).count();
    // Parts by fdatasync; files at their end, and folders, by fsync.
    let expected = [("fdatasync", syncs(&trace, "fdatasync")), ("fsync", syncs(&trace, "fsync"))];
    assert!(expected.iter().all(|(_, count)| *count >= 2), "{trace}");
    for (call, count) in expected {
        for nth in 1..=count {
            let inject = format!("inject={call}:error=EIO:when={nth}");
            let (ended, trace, folder) = traced(Some(&inject)).unwrap();
            assert!(trace.contains("INJECTED"), "{inject}: {trace}");
            let known = ["FB0705", "FB0711", "FB0712"].contains(&ended.as_str());
            assert!(known, "{inject}: ended {ended}: {trace}");
            // What is visible is whole, whatever failed.
            let file = folder.path().join("root/t/a");
            if let Ok(bytes) = std::fs::read(file) {
                assert_eq!(bytes.len(), 3_010, "{inject}");
            }
        }
    }
}
