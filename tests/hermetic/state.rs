//! What stands beside the files: the state in a place of its own, the `format` object, neighbours, lifecycle rules;
//! and what a recovery does on a store that brings files back.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use forebay::commit::record::{Format, Record, parse_key};
use forebay::config::{self, Config, SinkUrl};
use forebay::pipeline::simulated::{Report, SimRecord, Simulation, Trouble, World as Simulated};
use forebay::pipeline::state;
use forebay::position::TopicPartition;
use forebay::store::{Chance, Handle, Memory, Probe, Store, Verb};

use crate::s3_double::Double;
use crate::store_checks::{noise, sink, stage};
use crate::world::{World, forebay};

fn simulate(
    store: Store,
    memory: &Memory,
    count: i64,
    trouble: Trouble,
    seed: u64,
) -> (Simulation, Report) {
    let log = (0..count).map(|offset| SimRecord {
        offset,
        timestamp_ms: 1_767_225_600_000,
        value: Some(format!("v{offset}").into_bytes()),
        ..SimRecord::default()
    });
    let log: Vec<SimRecord> = log.collect();
    let world = Simulated {
        log: (0..2).map(|p| (TopicPartition::new("rows", p), log.clone())).collect(),
        schemas: HashMap::new(),
        subjects: std::collections::BTreeMap::new(),
        store,
        memory: Some(memory.clone()),
    };
    let text = "pipeline: sim\nsource: { brokers: 'x:1', topics: [rows] }\nvalue: { format: string }\n\
                sink: { url: 's3://bucket/root' }\ncommit: { interval: 5s, rows: 40 }\n";
    let pipeline = Config::parse(text, "sim.yaml", &config::Process).unwrap().pipeline;
    let settings_of = move |_| {
        let partitioner = forebay::pipeline::partitioner(&pipeline).unwrap();
        Arc::new(forebay::pipeline::settings(&pipeline, partitioner, 1 << 20, None))
    };
    let mut simulation = Simulation::new(settings_of, world, trouble, seed);
    let report = simulation.run(2_000_000);
    assert!(report.finished && report.stopped.is_empty(), "seed {seed}: {report:?}");
    (simulation, report)
}

/// Every file that the chains name is there, and no other; every offset is in one commit.
fn check(files: &BTreeMap<String, Bytes>, state: &BTreeMap<String, Bytes>, count: i64, seed: u64) {
    let records = state.iter().filter(|(key, _)| parse_key(key).is_some());
    let records: Vec<Record> = records.map(|(_, bytes)| Record::parse(bytes).unwrap()).collect();
    let mut named: Vec<&str> =
        records.iter().flat_map(|r| &r.files).map(|f| f.key.as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, files.keys().map(String::as_str).collect::<Vec<_>>(), "seed {seed}");
    for p in 0..2 {
        let chain = records.iter().filter(|r| r.identity.partition == p);
        let rows: u64 = chain.map(|r| r.rows).sum();
        assert_eq!(rows, count as u64, "seed {seed}, kafka partition {p}");
    }
}

#[test]
fn state_in_another_bucket_keeps_everything_but_files_out_of_the_sinks() {
    let mut trouble_met = 0;
    for seed in 0..10 {
        let chance = Chance { before_one_in: 30, after_one_in: 40 };
        let (data, state) = (Memory::new(seed, 1 << 20, chance), Memory::new(!seed, 1, chance));
        state.set_late(6);
        let store = Store::memory_beside(data.clone(), state.clone());
        let trouble = Trouble {
            crash: 300,
            rebalance: 200,
            zombie: 300,
            until: 20_000,
            ..Trouble::default()
        };
        let (_, report) = simulate(store, &data, 300, trouble, seed);
        trouble_met += report.crashes + report.zombies;
        let (files, kept) = (data.objects(), state.objects());
        assert!(files.keys().all(|key| key.starts_with("rows/")), "{:?}", files.keys());
        assert!(kept.keys().all(|key| key.starts_with("_forebay/sim/")), "{:?}", kept.keys());
        check(&files, &kept, 300, seed);
        assert_eq!(state.uploads(), BTreeMap::new());
    }
    assert!(trouble_met > 20, "too calm: {trouble_met}");
}

async fn local(root: &Path, state: &Path) -> Store {
    let mut sink = sink(SinkUrl::Local(root.to_owned()), config::S3::default());
    sink.state = Some(SinkUrl::Local(state.to_owned()));
    Store::open(&sink).await.unwrap()
}

fn names(root: &Path) -> Vec<String> {
    let mut found: Vec<String> = std::fs::read_dir(root)
        .map(|entries| entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    found.sort();
    found
}

#[tokio::test]
async fn local_state_elsewhere_stages_there_and_renames_into_the_sink() {
    let folder = tempfile::tempdir().unwrap();
    let (root, place) = (folder.path().join("data"), folder.path().join("state"));
    let store = local(&root, &place).await;
    assert_eq!(store.probe().await.faults, []);
    let bytes = noise(1, 100);
    let staged = stage(&store, "orders/a.parquet", &bytes).await;
    assert_eq!((names(&root), names(&place)), (Vec::new(), vec!["_forebay".to_owned()]));
    store.publish(&staged).await.unwrap();
    store.put_create("_forebay/p/format", Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(names(&root), ["orders"]);
    assert_eq!(std::fs::read(root.join("orders/a.parquet")).unwrap(), bytes);
    assert_eq!(std::fs::read(place.join("_forebay/p/format")).unwrap(), b"x");
    assert_eq!(store.get("_forebay/p/format").await.unwrap().unwrap().as_ref(), b"x");
    assert_eq!(store.list("", None).await.unwrap().entries.len(), 1);
    assert_eq!(store.folders("_forebay/").await.unwrap(), ["_forebay/p/"]);
    // What a dead process staged is found from the next one, and published or swept.
    let left = stage(&store, "orders/b.parquet", &bytes).await;
    drop(store);
    let next = local(&root, &place).await;
    assert_eq!(next.orphans("").await.unwrap().len(), 1);
    next.publish(&left).await.unwrap();
    assert_eq!(names(&root.join("orders")), ["a.parquet", "b.parquet"]);
}

#[tokio::test]
async fn local_state_on_another_filesystem_is_refused() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    let device = |path: &Path| path.metadata().unwrap().dev();
    assert_ne!(device(one.path()), device(other.path()), "this machine has one filesystem only");
    let store = local(one.path(), other.path()).await;
    let faults = store.probe().await.faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].code.id, "FB0713", "{faults:?}");
    assert!(faults[0].message.contains("another filesystem"), "{faults:?}");
    assert_eq!(names(one.path()), [""; 0]);
}

async fn s3(double: &Double, state: Option<&str>) -> Store {
    let at = |prefix: &str| SinkUrl::S3 { bucket: "bucket".into(), prefix: prefix.into() };
    let mut sink = sink(at("raw"), double.sink());
    sink.state = state.map(at);
    Store::open(&sink).await.unwrap()
}

#[tokio::test]
async fn s3_state_under_another_prefix_is_probed_where_it_stands() {
    let double = Double::start().await;
    let store = s3(&double, Some("state")).await;
    assert_eq!(store.probe().await.faults, []);
    let keys = |verb: Verb| -> Vec<String> {
        let inner = double.inner();
        let seen = inner.seen.iter().filter(|(v, ..)| *v == verb);
        seen.map(|(_, key, _)| key.clone()).collect()
    };
    assert!(keys(Verb::Put).iter().all(|key| key.starts_with("state/_forebay/probe-")));
    assert!(keys(Verb::Complete).iter().all(|key| key.starts_with("raw/_forebay/probe-")));
    assert!(!keys(Verb::Put).is_empty() && !keys(Verb::Complete).is_empty());
    assert_eq!(double.inner().objects.len(), 0);
    store.put_create("_forebay/p/format", Bytes::from_static(b"x")).await.unwrap();
    let staged = stage(&store, "orders/a", &noise(1, 10)).await;
    store.publish(&staged).await.unwrap();
    let objects: Vec<String> = double.inner().objects.keys().cloned().collect();
    assert_eq!(objects, ["raw/orders/a", "state/_forebay/p/format"]);
    assert_eq!(store.list("", None).await.unwrap().entries.len(), 1);
}

const RULES: &str = "<LifecycleConfiguration>\
    <Rule><ID>tidy</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>\
      <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
    <Rule><ID>old</ID><Status>Enabled</Status><Prefix>raw/</Prefix><Expiration><Days>30</Days></Expiration></Rule>\
    <Rule><ID>off</ID><Status>Disabled</Status><Prefix>raw/</Prefix><Expiration><Days>1</Days></Expiration></Rule>\
    <Rule><ID>cold</ID><Status>Enabled</Status><Filter><And><Prefix>raw/_forebay/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag></And></Filter>\
      <Transition><Days>1</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition></Rule>\
    <Rule><ID>ice</ID><Status>Enabled</Status><Filter><Prefix>raw/_forebay/</Prefix></Filter>\
      <Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition></Rule>\
    </LifecycleConfiguration>";

#[tokio::test]
async fn lifecycle_rules_that_take_state_or_uploads_are_found() {
    let double = Double::start().await;
    let store = s3(&double, None).await;
    assert_eq!(store.lifecycle().await.unwrap(), []);
    double.inner().lifecycle = Some(RULES.to_owned());
    let rules = store.lifecycle().await.unwrap();
    let raw = SinkUrl::S3 { bucket: "bucket".into(), prefix: "raw".into() };
    let elsewhere = SinkUrl::S3 { bucket: "other".into(), prefix: "raw".into() };
    let found = |state: &SinkUrl, hours: u64| -> Vec<String> {
        let age = std::time::Duration::from_secs(hours * 3_600);
        let all = rules.iter().flat_map(|rule| {
            rule.findings(&raw, state, age).into_iter().map(|f| (rule.id.clone(), f))
        });
        all.map(|(id, fault)| format!("{id} {}", fault.code.id)).collect()
    };
    assert_eq!(found(&raw, 1), ["old FB0721", "ice FB0721"]);
    assert_eq!(found(&raw, 24), ["tidy FB0721", "old FB0721", "ice FB0721"]);
    assert_eq!(found(&elsewhere, 1), [""; 0]);
}

#[tokio::test]
async fn recovery_on_a_store_that_brings_files_back_completes_only_what_is_absent() {
    let memory = Memory::new(1, 1_000, Chance::default());
    memory.set_revives(true);
    let store = Store::memory(memory.clone());
    let probe = store.probe().await;
    assert_eq!((probe.faults.len(), probe.revives), (0, Some(true)));
    let staged = stage(&store, "t/1", &noise(1, 50)).await;
    let completes = || -> u64 {
        let requests = store.requests();
        requests.iter().filter(|(verb, ..)| *verb == "complete").map(|(.., n)| n).sum()
    };
    let before = completes();
    store.publish(&staged).await.unwrap();
    store.publish_unless_there(&staged).await.unwrap();
    assert_eq!(completes(), before + 1, "what is there was completed once more");
    // Without looking first, it is overwritten in place, or brought back.
    memory.remove_foreign("t/1");
    store.publish(&staged).await.unwrap();
    assert!(memory.objects().contains_key("t/1"), "this store does not bring files back");
}

/// Files are moved away only after Kafka has heard of their commit: those never come back, also on such a store.
#[test]
fn recoveries_on_a_store_that_brings_files_back_overwrite_nothing() {
    let (mut rebalances, mut heads) = (0, 0);
    for seed in 0..10 {
        let memory = Memory::new(seed, 1 << 20, Chance { before_one_in: 40, after_one_in: 20 });
        memory.set_revives(true);
        let store = Store::memory(memory.clone());
        let trouble = Trouble {
            crash: 500,
            rebalance: 300,
            zombie: 700,
            commit: 2,
            revives: true,
            until: 20_000,
            ..Trouble::default()
        };
        let (simulation, report) = simulate(store, &memory, 300, trouble, seed);
        let (files, kept): (BTreeMap<_, _>, BTreeMap<_, _>) =
            memory.objects().into_iter().partition(|(key, _)| !key.starts_with("_forebay/"));
        check(&files, &kept, 300, seed);
        assert_eq!(memory.overwritten(), Vec::<String>::new(), "seed {seed}");
        rebalances += report.crashes + report.rebalances;
        let requests = simulation.store().requests();
        heads += requests.iter().filter(|(verb, ..)| *verb == "head").map(|(.., n)| n).sum::<u64>();
    }
    assert!(rebalances > 20 && heads > 20, "{rebalances} rebalances, {heads} looks");
}

// -- format and neighbours --

fn pipeline(text: &str) -> config::Pipeline {
    let text = format!(
        "pipeline: p\nsource: {{ brokers: 'x:1', topics: [orders] }}\nregistry: {{ url: 'http://x' }}\n{text}\n"
    );
    Config::parse(&text, "t.yaml", &config::Process).unwrap().pipeline
}

fn probe() -> Probe {
    Probe { create_only: Some(true), revives: Some(false), ..Probe::default() }
}

#[tokio::test]
async fn format_admits_what_it_was_made_for_and_nothing_else() {
    let store = Store::memory(Memory::new(1, 1, Chance::default()));
    let of = |text: &str, cluster: Option<&str>| {
        state::format(&pipeline(text), cluster.map(str::to_owned), &probe()).unwrap()
    };
    let raw = "sink: { url: 's3://lake/raw' }";
    state::admit(&store, &of(raw, Some("c1"))).await.unwrap();
    let there = store.get("_forebay/p/format").await.unwrap().unwrap();
    let code =
        async |own: Format| state::admit(&store, &own).await.map(drop).map_err(|f| f.code.id);
    assert_eq!(code(of(raw, Some("c1"))).await, Ok(()));
    assert_eq!(code(of(raw, None)).await, Ok(()), "a cluster that does not say its id");
    // The run takes the id that is there: names of files say the cluster, and the janitor knows them by that.
    let there_now = state::admit(&store, &of(raw, None)).await.unwrap();
    assert_eq!(there_now.cluster.as_deref(), Some("c1"));
    assert_eq!(code(of(&format!("{raw}\nstate: s3://lake/st"), Some("c1"))).await, Ok(()));
    assert_eq!(code(of(raw, Some("c2"))).await, Err("FB0931"));
    assert_eq!(code(of("sink: { url: 's3://lake/raw2' }", Some("c1"))).await, Err("FB0931"));
    // Refusing changes nothing.
    assert_eq!(store.get("_forebay/p/format").await.unwrap(), Some(there.clone()));
    let text = String::from_utf8(there.to_vec()).unwrap();
    assert!(text.contains("\"version\": 1") && text.contains("s3://lake/raw"), "{text}");
    let later = Format { pipeline: "q".into(), version: 9, ..of(raw, None) };
    store.put_create("_forebay/q/format", later.to_bytes().into()).await.unwrap();
    let own = Format { pipeline: "q".into(), ..of(raw, None) };
    assert_eq!(code(own).await, Err("FB0921"), "a format of a later release");
}

#[test]
fn format_without_conditional_writes_is_refused() {
    let probe = Probe { create_only: Some(false), ..Probe::default() };
    let fault = state::format(&pipeline("sink: { url: out }"), None, &probe).unwrap_err();
    assert_eq!(fault.code.id, "FB0932");
}

#[test]
fn check_and_run_refuse_another_root_and_neighbours_in_the_same_folder() {
    let world = World::new();
    world.fill("orders", 1, 5);
    world.mock.create_topic("users", 1).unwrap();
    let code = |ended: &crate::world::Ended| -> Vec<String> {
        let report = ended.json();
        let found = report["findings"].as_array().unwrap().iter();
        found.map(|f| f["code"].as_str().unwrap().to_owned()).collect()
    };
    let check = |config: &Path| {
        forebay(world.folder.path(), &["check", "-c", config.to_str().unwrap(), "--output", "json"])
    };
    let run = |config: &Path| {
        forebay(world.folder.path(), &["run", "--drain", "-c", config.to_str().unwrap()])
    };
    let config = world.config("[orders]", "sink: { url: out }\nstate: kept\n");
    let ended = run(&config);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(names(&world.path("out")), ["orders"]);
    assert!(world.path("kept/_forebay/t/format").exists());
    assert_eq!(code(&check(&config)), [""; 0]);
    // The same pipeline to another place.
    let moved = world.config("[orders]", "sink: { url: elsewhere }\nstate: kept\n");
    let ended = check(&moved);
    assert_eq!((ended.code(), code(&ended)), (Some(2), vec!["FB0931".to_owned()]), "{ended:?}");
    let ended = run(&moved);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(format!("{ended:?}").contains("FB0931"), "{ended:?}");
    // Another pipeline, the same state.
    let other = |topics: &str, sink: &str| {
        let config = world.config(topics, &format!("sink: {{ url: {sink} }}\nstate: kept\n"));
        let text =
            std::fs::read_to_string(config).unwrap().replacen("pipeline: t", "pipeline: u", 1);
        check(&world.file("u.yaml", &text))
    };
    let found = |ended: &crate::world::Ended| code(ended).contains(&"FB0935".to_owned());
    let ended = other("[orders]", "out");
    assert!(found(&ended) && ended.code() == Some(2), "{ended:?}");
    assert!(found(&other("[users]", "out/orders")));
    assert!(!found(&other("[users]", "out")));
    assert!(!found(&other("[orders]", "out2")));
    // A run refuses them as well, before it reads a record.
    let run_other = |topics: &str, sink: &str| {
        let config = world.config(topics, &format!("sink: {{ url: {sink} }}\nstate: kept\n"));
        let text =
            std::fs::read_to_string(config).unwrap().replacen("pipeline: t", "pipeline: v", 1);
        run(&world.file("v.yaml", &text))
    };
    let ended = run_other("[orders]", "out");
    assert!(ended.code() == Some(1) && format!("{ended:?}").contains("FB0935"), "{ended:?}");
    assert_eq!(names(&world.path("out")), ["orders"]);
    assert!(!world.path("kept/_forebay/v").exists());
    let ended = run_other("[users]", "out");
    assert_eq!(ended.code(), Some(0), "{ended:?}");
}

#[test]
fn handle_of_a_disk_names_what_is_staged_below_the_state() {
    // What a record says of a staged file does not say where the state stands: it can be moved.
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = local(&folder.path().join("d"), &folder.path().join("s")).await;
        let staged = stage(&store, "a", &noise(1, 5)).await;
        let Handle::Local { name, .. } = &staged.handle else { panic!("{staged:?}") };
        assert!(folder.path().join("s/_forebay/stage").join(name).exists());
    });
}
