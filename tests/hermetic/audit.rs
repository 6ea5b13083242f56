//! `forebay audit` over a store that the program made, whole and damaged in every way.
//!
//! What is expected is said by hand: which promise each damage breaks. Records are read and changed as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use forebay::registry::client::{NewSchema, settings};
use forebay::registry::encode::Encoder;
use forebay::registry::{Client, Language};
use forebay::source::producer::{Outgoing, Producer};
use forebay::store::{Handle, Store};
use forebay::wire::SchemaRef;
use serde_json::{Value, json};

use crate::s3_double::Double;
use crate::world::{COUNTRIES, Ended, PATIENCE, SCHEMA, World, forebay, parquet_files};

/// A store of two Kafka partitions, and the world that made it.
///
/// Three runs drained each of them to offset 20, 35 and 50, so that every chain is: claim, commit `[0, 20)`, claim,
/// commit `[20, 35)`, claim, commit `[35, 50)`. The record at offset n has `COUNTRIES[n % 3]`; the one at offset 25
/// cannot be decoded.
pub(crate) struct Made {
    pub(crate) world: World,
    pub(crate) config: String,
}

const ENDS: [i64; 3] = [20, 35, 50];
const BAD: i64 = 25;

fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(Made::new)
}

impl Made {
    pub(crate) fn new() -> Self {
        let world = World::new();
        world.mock.create_topic("orders", 2).unwrap();
        let path = world.config(
            "[orders]",
            "metadata: [offset]\npartition_by: [country]\nsink: { url: out }\ncommit: { interval: 1h }\n",
        );
        let config = fs::read_to_string(path).unwrap();
        let made = Self { world, config };
        let mut from = 0;
        for end in ENDS {
            made.feed(from..end);
            made.run();
            from = end;
        }
        made
    }

    /// Everything that is there, in a process of its own.
    pub(crate) fn run(&self) {
        let ended = forebay(self.world.folder.path(), &["run", "-c", "t.yaml", "--drain"]);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
    }

    /// Records at these offsets of both Kafka partitions.
    pub(crate) fn feed(&self, offsets: std::ops::Range<i64>) {
        let world = &self.world;
        let (id, encoder) = world.runtime.block_on(async {
            let client = Client::new(&settings(&world.registry.url)).unwrap();
            let language = Language::Avro;
            let new = NewSchema { language, text: SCHEMA.to_owned(), references: Vec::new() };
            let (id, _) = client.register("orders-value", &new).await.unwrap();
            let schema = client.by_ref(SchemaRef::Id(id)).await.unwrap();
            (SchemaRef::Id(id), Encoder::new(schema, None).unwrap())
        });
        let producer = Producer::new(&world.mock.brokers(), &BTreeMap::new()).unwrap();
        for n in offsets {
            let country = COUNTRIES[n as usize % 3];
            let row = json!({"id": n, "country": {"string": country}, "made": n});
            let value = match n {
                BAD => b"no frame".to_vec(),
                _ => encoder.framed(id, &row).unwrap(),
            };
            for partition in 0..2 {
                let record = Outgoing {
                    topic: "orders",
                    partition: Some(partition),
                    value: Some(&value),
                    timestamp_ms: Some(1_767_312_000_000 + n),
                    ..Outgoing::default()
                };
                producer.send(record).unwrap();
            }
        }
        producer.flush(PATIENCE).unwrap();
    }
}

/// A copy of the store, to be damaged.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&made().world.path("out"), &folder.path().join("out"));
        fs::write(folder.path().join("t.yaml"), &made().config).unwrap();
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn audit(&self, more: &[&str]) -> Ended {
        let args = [&["audit", "-c", "t.yaml", "--output", "json"], more].concat();
        forebay(self.folder.path(), &args)
    }

    /// Classes and their counts, and the exit code.
    fn found(&self, more: &[&str]) -> (BTreeMap<String, u64>, Option<i32>) {
        let ended = self.audit(more);
        let report = ended.json();
        let counts = report["counts"].as_object().unwrap();
        let counts = counts.iter().map(|(class, n)| (class.clone(), n.as_u64().unwrap()));
        (counts.filter(|(_, n)| *n > 0).collect(), ended.code())
    }

    #[track_caller]
    fn expect(&self, more: &[&str], classes: &[(&str, u64)], code: i32) {
        let expected = classes.iter().map(|(class, n)| ((*class).to_owned(), *n)).collect();
        assert_eq!(self.found(more), (expected, Some(code)), "{:?}", self.audit(more));
    }

    fn record_path(&self, partition: i32, seq: u64) -> PathBuf {
        let log = self.root().join("_forebay/t/log");
        let topic = fs::read_dir(log).unwrap().next().unwrap().unwrap().path();
        topic.join(format!("{partition}/{seq:020}.json"))
    }

    fn record(&self, partition: i32, seq: u64) -> Value {
        serde_json::from_slice(&fs::read(self.record_path(partition, seq)).unwrap()).unwrap()
    }

    fn edit(&self, partition: i32, seq: u64, change: impl Fn(&mut Value)) {
        let mut record = self.record(partition, seq);
        change(&mut record);
        fs::write(self.record_path(partition, seq), record.to_string()).unwrap();
    }

    /// Path of a file that a record names: the one of this country, or of rejects.
    fn file(&self, partition: i32, seq: u64, part: &str) -> PathBuf {
        let record = self.record(partition, seq);
        let files = record["files"].as_array().unwrap();
        let mut keys = files.iter().map(|f| f["key"].as_str().unwrap());
        self.root().join(keys.rfind(|key| key.contains(part)).unwrap())
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => {
                fs::copy(&path, &target).unwrap();
            }
        }
    }
}

#[test]
fn whole_store_holds_and_says_what_is_in_it() {
    let copy = Copy::new();
    for more in
        [&[][..], &["--deep"], &["--no-footers"], &["--strict", "--expect-all"], &["--broker"]]
    {
        let ended = copy.audit(more);
        assert_eq!(ended.code(), Some(0), "{more:?} {ended:?}");
        let report = ended.json();
        assert_eq!(report["holds"], true);
        assert_eq!(report["findings"], json!([]), "{more:?}");
        let partitions = report["partitions"].as_array().unwrap();
        assert_eq!(partitions.len(), 2);
        for (n, partition) in partitions.iter().enumerate() {
            let expected = json!({
                "topic": "orders", "partition": n, "start": 0, "committed_to": 50, "published_to": 50,
                "rows": 49, "rejects": 1, "offsets": 50, "offsets_without_rows": 0, "skipped": [], "resets": [],
                "files": 9, "reject_files": 1, "first_seq": 1, "head_seq": 6, "epoch": 3, "records": 6, "claims": 3,
                "files_pending": 0, "files_removed": 0, "files_undecided": 0,
                "min_ms": 1_767_312_000_000_i64, "max_ms": 1_767_312_000_049_i64,
            });
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!(partition[name], *value, "{name} with {more:?}");
            }
            if *more == ["--broker"] {
                let kafka =
                    json!({"log_start": 0, "log_end": 50, "committed": 50, "lag": 0, "lag_ms": 0});
                assert_eq!(partition["kafka"], kafka);
            }
        }
        assert_eq!(report["totals"]["listed_files"], 20);
    }
    let text = forebay(copy.folder.path(), &["audit", "-c", "t.yaml"]);
    assert!(text.stdout.contains("holds: 12 records in 2 chains, 20 listed files"), "{text:?}");
}

/// Every path below a folder.
fn tree(root: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(tree(&path));
        }
        all.push(path);
    }
    all.sort();
    all
}

#[test]
fn audit_writes_nothing_and_makes_no_folder() {
    let copy = Copy::new();
    let before = tree(&copy.root());
    for more in [&["--deep"][..], &["--explain", "orders:0:36"]] {
        assert_eq!(copy.audit(more).code(), Some(0));
    }
    let ended = forebay(copy.folder.path(), &["chain", "ls", "-c", "t.yaml"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(tree(&copy.root()), before);
    fs::rename(copy.root(), copy.folder.path().join("elsewhere")).unwrap();
    let ended = copy.audit(&[]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("FB0705"), "{ended:?}");
    assert!(!copy.root().exists());
}

#[test]
fn damaged_record_is_found_and_named() {
    // Their four files each stand where no record can be read.
    let copy = Copy::new();
    fs::remove_file(copy.record_path(1, 4)).unwrap();
    copy.expect(&[], &[("record_missing", 1), ("record_gone", 4)], 3);
    let report = copy.audit(&[]).json();
    let missing = &report["findings"][0];
    assert_eq!((&missing["partition"], &missing["seq"]), (&json!(1), &json!(4)));

    let copy = Copy::new();
    let mut bytes = fs::read(copy.record_path(0, 4)).unwrap();
    bytes[0] = b'<';
    fs::write(copy.record_path(0, 4), bytes).unwrap();
    copy.expect(&[], &[("record_unreadable", 1), ("record_gone", 4)], 3);

    // Of a release to come.
    let copy = Copy::new();
    copy.edit(0, 4, |r| r["version"] = json!(1_000));
    copy.expect(&[], &[("record_unreadable", 1), ("record_gone", 4)], 3);
}

#[test]
fn last_record_that_is_gone_leaves_files_that_nobody_names() {
    let copy = Copy::new();
    fs::remove_file(copy.record_path(0, 6)).unwrap();
    copy.expect(&[], &[("unnamed", 3)], 3);
    let copy = Copy::new();
    fs::remove_file(copy.record_path(0, 6)).unwrap();
    // And Kafka knows better where the chain ended.
    copy.expect(&["--broker"], &[("unnamed", 3), ("kafka_ahead", 1)], 3);
}

#[test]
fn chain_that_does_not_hang_together_is_found() {
    // The link is broken on both sides of a record whose id was changed; its files name the old one.
    let copy = Copy::new();
    copy.edit(0, 5, |r| r["prev"] = json!("another"));
    copy.expect(&[], &[("link_broken", 1)], 3);

    // Claims have no files that would speak against it.
    let copy = Copy::new();
    copy.edit(0, 3, |r| (r["from"], r["to"]) = (json!(19), json!(19)));
    copy.expect(&[], &[("range_overlap", 1), ("range_gap", 1)], 3);

    let copy = Copy::new();
    copy.edit(0, 6, |r| r["epoch"] = json!(2));
    copy.expect(&[], &[("epoch_falls", 1)], 3);

    // Moving the begin of a commit past its first file makes it no record.
    let copy = Copy::new();
    copy.edit(0, 4, |r| r["from"] = json!(21));
    copy.expect(&[], &[("record_unreadable", 1), ("record_gone", 4)], 3);

    let copy = Copy::new();
    copy.edit(0, 4, |r| r["from"] = json!(18));
    copy.expect(&[], &[("range_overlap", 1)], 3);

    let copy = Copy::new();
    copy.edit(0, 4, |r| r["to"] = json!(37));
    copy.expect(&[], &[("range_overlap", 1)], 3);
}

#[test]
fn record_in_the_place_of_another_is_found() {
    let copy = Copy::new();
    fs::copy(copy.record_path(0, 6), copy.record_path(0, 7)).unwrap();
    copy.expect(&[], &[("record_misplaced", 1)], 3);

    let copy = Copy::new();
    fs::copy(copy.record_path(0, 5), copy.record_path(1, 5)).unwrap();
    copy.expect(&[], &[("record_misplaced", 1)], 3);

    // Beyond a hole: places 7 and 8 are empty.
    let copy = Copy::new();
    let mut far = copy.record(0, 5);
    (far["seq"], far["from"], far["to"]) = (json!(9), json!(50), json!(50));
    fs::write(copy.record_path(0, 9), far.to_string()).unwrap();
    copy.expect(&[], &[("record_missing", 2)], 3);
}

#[test]
fn file_that_is_gone_is_a_class_of_its_own() {
    let copy = Copy::new();
    fs::remove_file(copy.file(0, 4, "country=FR")).unwrap();
    copy.expect(&[], &[("removed", 1)], 0);
    copy.expect(&["--expect-all"], &[("removed", 1)], 3);
    // Of the last record nothing but Kafka tells loss and removal apart.
    let copy = Copy::new();
    fs::remove_file(copy.file(0, 6, "country=FR")).unwrap();
    copy.expect(&["--deep"], &[("undecided", 1)], 0);
    copy.expect(&["--broker"], &[("removed", 1)], 0);
    let report = copy.audit(&[]).json();
    let partition = &report["partitions"][0];
    assert_eq!((&partition["published_to"], &partition["committed_to"]), (&json!(35), &json!(50)));
}

/// What was staged for a file is there again, as if it had never been published.
fn stage_again(copy: &Copy, seq: u64) {
    let path = copy.file(0, seq, "country=FR");
    let key = path.strip_prefix(copy.root()).unwrap().to_str().unwrap().to_owned();
    let record = copy.record(0, seq);
    let files = record["files"].as_array().unwrap();
    let file = files.iter().find(|f| f["key"] == key.as_str()).unwrap();
    let name = file["staged"]["local"]["name"].as_str().unwrap();
    let staged = copy.root().join("_forebay/stage").join(name);
    fs::create_dir_all(staged.parent().unwrap()).unwrap();
    fs::rename(path, staged).unwrap();
}

#[test]
fn file_that_was_never_published_is_pending_at_the_end_and_wrong_before_it() {
    let copy = Copy::new();
    stage_again(&copy, 6);
    copy.expect(&["--strict", "--expect-all"], &[("pending", 1)], 0);
    let report = copy.audit(&[]).json();
    assert_eq!(report["partitions"][0]["published_to"], 35);
    let copy = Copy::new();
    stage_again(&copy, 4);
    copy.expect(&[], &[("unpublished", 1)], 3);
}

#[test]
fn upload_that_nobody_names_is_told_of_when_it_is_old() {
    let copy = Copy::new();
    let owner = copy.root().join("_forebay/stage/0123456789abcdef0123456789abcdef");
    fs::create_dir_all(&owner).unwrap();
    let file = fs::File::create(owner.join("0000000000000001")).unwrap();
    copy.expect(&["--strict"], &[], 0);
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    file.set_modified(old).unwrap();
    copy.expect(&[], &[("stale_upload", 1)], 0);
    copy.expect(&["--strict"], &[("stale_upload", 1)], 3);
    copy.expect(&["--orphan-age", "365000d"], &[], 0);
}

#[test]
fn file_that_somebody_put_there_is_foreign() {
    let copy = Copy::new();
    let orders = copy.root().join("orders");
    fs::write(orders.join("_SUCCESS"), "").unwrap();
    let file = copy.file(0, 4, "country=FR");
    fs::copy(&file, orders.join("part-0000.parquet")).unwrap();
    // The same name in another folder: its footer names a commit, and that names another key.
    let other = orders.join("country=DE").join(file.file_name().unwrap());
    fs::copy(&file, &other).unwrap();
    copy.expect(&[], &[("foreign", 3)], 0);
    copy.expect(&["--strict"], &[("foreign", 3)], 3);
    // Other folders are nobody's.
    let copy = Copy::new();
    fs::write(copy.root().join("README"), "").unwrap();
    fs::create_dir(copy.root().join("ordersx")).unwrap();
    fs::write(copy.root().join("ordersx/a.parquet"), "").unwrap();
    copy.expect(&["--strict"], &[], 0);
}

#[test]
fn file_that_is_not_the_one_recorded_is_found() {
    let copy = Copy::new();
    let path = copy.file(0, 4, "country=FR");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    copy.expect(&["--deep"], &[("size_differs", 1)], 3);
    fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
    copy.expect(&["--deep"], &[("size_differs", 1)], 3);

    // The last four bytes are Parquet's own mark.
    let mut unmarked = bytes.clone();
    *unmarked.last_mut().unwrap() = b'?';
    fs::write(&path, unmarked).unwrap();
    copy.expect(&["--deep"], &[("footer_unreadable", 1)], 3);

    // The first four are too, and nothing but a checksum looks there.
    let mut unmarked = bytes.clone();
    unmarked[0] = b'?';
    fs::write(&path, unmarked).unwrap();
    copy.expect(&[], &[], 0);
    copy.expect(&["--deep"], &[("content_differs", 1)], 3);
}

#[test]
fn footer_that_says_another_thing_is_found() {
    // Files of a commit whose record has another id now.
    let copy = Copy::new();
    copy.edit(0, 2, |r| r["id"] = json!("another"));
    copy.edit(0, 3, |r| r["prev"] = json!("another"));
    copy.expect(&[], &[("footer_differs", 3)], 3);
    copy.expect(&["--no-footers"], &[], 0);

    let copy = Copy::new();
    copy.edit(0, 4, |r| {
        r["files"][0]["rows"] = json!(r["files"][0]["rows"].as_u64().unwrap() - 1);
        let total = if r["files"][0]["role"] == "data" { "rows" } else { "rejects" };
        r[total] = json!(r[total].as_u64().unwrap() - 1);
    });
    let ended = copy.audit(&[]);
    // A reject file with no row left is no record.
    let class = match ended.json()["counts"]["footer_differs"].as_u64() {
        Some(1) => "footer_differs",
        _ => "record_unreadable",
    };
    assert_eq!(ended.json()["counts"][class], 1, "{ended:?}");

    let copy = Copy::new();
    copy.edit(0, 6, |r| r["rows"] = json!(14));
    copy.expect(&[], &[("rows_wrong", 1)], 3);
    let copy = Copy::new();
    copy.edit(0, 4, |r| r["rejects"] = json!(0));
    copy.expect(&[], &[("rows_wrong", 1)], 3);
}

#[test]
fn bound_by_time_reads_the_end_only() {
    let copy = Copy::new();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    for partition in 0..2 {
        for seq in 1..=4 {
            let file = fs::File::open(copy.record_path(partition, seq)).unwrap();
            file.set_modified(old).unwrap();
        }
        for seq in [2, 4] {
            for file in copy.record(partition, seq)["files"].as_array().unwrap() {
                let path = copy.root().join(file["key"].as_str().unwrap());
                fs::File::open(path).unwrap().set_modified(old).unwrap();
            }
        }
    }
    // What is damaged before is not looked at; the link to it is.
    fs::remove_file(copy.record_path(0, 2)).unwrap();
    for since in ["2024-01-01T00:00:00Z", "24h"] {
        let ended = copy.audit(&["--since", since]);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let partition = &ended.json()["partitions"][0];
        let expected =
            json!({"first_seq": 5, "head_seq": 6, "records": 2, "start": 35, "rows": 15});
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(partition[name], *value, "{name}");
        }
    }
    copy.edit(0, 5, |r| r["prev"] = json!("another"));
    copy.expect(&["--since", "24h"], &[("link_broken", 1)], 3);
    assert_eq!(copy.audit(&["--since", "yesterday"]).code(), Some(2));
}

#[test]
fn every_offset_is_explained() {
    let copy = Copy::new();
    let explain = |place: &str| {
        let args = ["audit", "-c", "t.yaml", "--output", "json", "--explain", place];
        let ended = forebay(copy.folder.path(), &args);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let answers = ended.json()["answers"].as_array().unwrap().clone();
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers[0].clone()
    };
    // Offsets 35 to 49 whose rest by three is 1: 37, 40, 43, 46, 49.
    for (row, offset) in [37, 40, 43, 46, 49].into_iter().enumerate() {
        let found = explain(&format!("orders:1:{offset}"));
        assert_eq!((&found["what"], &found["row"]), (&json!("row"), &json!(row)), "{found}");
        assert_eq!((&found["seq"], &found["exact"]), (&json!(6), &json!(true)));
        let key = found["key"].as_str().unwrap();
        assert!(key.starts_with("orders/country=DE/orders+1+"), "{key}");
        assert_eq!(found["schema_ids"].as_array().map(Vec::len), Some(1));
    }
    let found = explain("orders:0:25");
    assert_eq!(
        (&found["what"], &found["row"], &found["seq"]),
        (&json!("reject"), &json!(0), &json!(4))
    );
    let found = explain("orders:0:50");
    assert_eq!((&found["what"], &found["chain_end"]), (&json!("not_yet_committed"), &json!(50)));
    let text = forebay(copy.folder.path(), &["audit", "-c", "t.yaml", "--explain", "orders:0:36"]);
    assert!(
        text.stdout
            .starts_with("orders-0 offset 36: row 0 (the first is row 0) of orders/country=FR/"),
        "{text:?}"
    );
    for wrong in ["orders", "orders:0", "orders:x:1", "orders:0:-1", ":0:1"] {
        let ended = forebay(copy.folder.path(), &["audit", "-c", "t.yaml", "--explain", wrong]);
        assert_eq!(ended.code(), Some(2), "{wrong}");
    }
    let none = forebay(copy.folder.path(), &["audit", "-c", "t.yaml", "--explain", "other:0:1"]);
    assert_eq!(none.code(), Some(1));
    assert!(none.stderr.contains("FB1004"), "{none:?}");
}

#[test]
fn pipeline_without_a_chain_is_no_proof() {
    let copy = Copy::new();
    let ended = copy.audit(&["--pipeline", "another"]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.starts_with("FB1004"), "{ended:?}");
    assert_eq!(parquet_files(&copy.root()).len(), 18);
}

/// A sink on S3, drained once to offset 20 and once to 35, one Kafka partition.
struct Bucket {
    made: Made,
    double: Double,
}

impl Bucket {
    fn new() -> Self {
        let world = World::new();
        world.mock.create_topic("orders", 2).unwrap();
        let double = world.runtime.block_on(Double::start());
        let more = format!(
            "sink: {{ url: 's3://bucket/root', endpoint: '{}', region: us-east-1, access_key_id: AKIAEXAMPLE, secret_access_key: canary-of-a-secret }}\n\
             commit: {{ interval: 1h }}\n",
            double.endpoint
        );
        let path = world.config("[orders]", &more);
        let config = fs::read_to_string(path).unwrap();
        let made = Made { world, config };
        made.feed(0..20);
        made.run();
        made.feed(20..35);
        made.run();
        Self { made, double }
    }

    fn counts(&self, more: &[&str]) -> (Value, BTreeMap<String, u64>, Option<i32>) {
        let args = [&["audit", "-c", "t.yaml", "--output", "json"], more].concat();
        let ended = forebay(self.made.world.folder.path(), &args);
        let report = ended.json();
        let counts = report["counts"].as_object().unwrap();
        let counts = counts.iter().map(|(class, n)| (class.clone(), n.as_u64().unwrap()));
        (report.clone(), counts.filter(|(_, n)| *n > 0).collect(), ended.code())
    }

    #[track_caller]
    fn expect(&self, more: &[&str], classes: &[(&str, u64)], code: i32) {
        let (report, found, ended) = self.counts(more);
        let expected = classes.iter().map(|(class, n)| ((*class).to_owned(), *n)).collect();
        assert_eq!((found, ended), (expected, Some(code)), "{report}");
    }

    /// The first data file of a record of Kafka partition 0 is staged once more, and not published.
    fn stage_again(&self, seq: u64) {
        let record_key = {
            let inner = self.double.inner();
            let end = format!("/0/{seq:020}.json");
            inner.objects.keys().find(|key| key.ends_with(&end)).unwrap().clone()
        };
        let bytes = self.double.inner().objects[&record_key].bytes.clone();
        let mut record: Value = serde_json::from_slice(&bytes).unwrap();
        let key = record["files"][0]["key"].as_str().unwrap().to_owned();
        let file = self.double.inner().objects.remove(&format!("root/{key}")).unwrap();
        let url = forebay::config::SinkUrl::S3 { bucket: "bucket".into(), prefix: "root".into() };
        let sink = crate::store_checks::sink(url, self.double.sink());
        let staged = self.made.world.runtime.block_on(async {
            let store = Store::open(&sink).await.unwrap();
            let upload = store.begin(&key).await.unwrap();
            store.finish(upload, file.bytes).await.unwrap()
        });
        let Handle::S3 { upload_id, .. } = staged.handle else { panic!("{staged:?}") };
        record["files"][0]["staged"]["s3"]["upload_id"] = json!(upload_id);
        let mut inner = self.double.inner();
        inner.objects.get_mut(&record_key).unwrap().bytes = record.to_string().into();
    }
}

#[test]
fn bucket_is_audited_as_a_folder_is() {
    let bucket = Bucket::new();
    for more in [&["--strict", "--expect-all"][..], &["--deep"]] {
        bucket.expect(more, &[], 0);
    }
    let (report, ..) = bucket.counts(&["--deep"]);
    // One file of data a commit, and the reject of the second.
    let expected = json!({"rows": 34, "rejects": 1, "files": 2, "reject_files": 1, "head_seq": 4, "published_to": 35});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(report["partitions"][0][name], *value, "{name}: {report}");
    }
    bucket.stage_again(4);
    bucket.expect(&["--strict"], &[("pending", 1)], 0);
    bucket.stage_again(2);
    bucket.expect(&["--strict"], &[("pending", 1), ("unpublished", 1)], 3);
}

#[test]
fn upload_in_a_bucket_that_nobody_names_is_told_of_when_it_is_old() {
    let bucket = Bucket::new();
    let url = forebay::config::SinkUrl::S3 { bucket: "bucket".into(), prefix: "root".into() };
    let sink = crate::store_checks::sink(url, bucket.double.sink());
    bucket.made.world.runtime.block_on(async {
        let store = Store::open(&sink).await.unwrap();
        let upload = store.begin("orders/x.parquet").await.unwrap();
        store.finish(upload, "bytes".into()).await.unwrap();
    });
    // The double says that all uploads were begun on 2 January 2026.
    bucket.expect(&[], &[("stale_upload", 1)], 0);
    bucket.expect(&["--strict"], &[("stale_upload", 1)], 3);
    bucket.expect(&["--strict", "--orphan-age", "36500d"], &[], 0);
}

#[test]
fn offset_without_a_column_is_found_by_the_range_of_its_file() {
    // No partitions and no column `_offset`: a file without gaps says where each row is.
    let bucket = Bucket::new();
    let explain = |offset: i64| {
        let place = format!("orders:0:{offset}");
        let args = ["audit", "-c", "t.yaml", "--output", "json", "--explain", &place];
        forebay(bucket.made.world.folder.path(), &args).json()["answers"].clone()
    };
    let found = explain(13);
    assert_eq!((&found[0]["row"], &found[0]["exact"]), (&json!(13), &json!(true)), "{found}");
    // The second file has a gap where the reject is: which row it is cannot be told.
    let found = explain(30);
    assert_eq!((&found[0]["row"], &found[0]["exact"]), (&json!(null), &json!(false)), "{found}");
    assert_eq!(explain(25)[0]["what"], "reject");
}
