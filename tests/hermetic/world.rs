//! A broker, a registry and a folder inside the test's process, and the program as a process beside it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use forebay::clock::System;
use forebay::config::{self, Start, Topics};
use forebay::registry::client::{NewSchema, settings};
use forebay::registry::encode::Encoder;
use forebay::registry::{Client, Language, server};
use forebay::source::kafka::Look;
use forebay::source::mock::Mock;
use forebay::source::producer::{Outgoing, Producer};
use forebay::wire::SchemaRef;
use serde_json::{Value, json};

/// Only a test that hangs gets here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The schema of the records that [`World::fill`] makes.
pub(crate) const SCHEMA: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":"long"},{"name":"country","type":["null","string"],"default":null},
    {"name":"made","type":{"type":"long","logicalType":"timestamp-micros"}}]}"#;

pub(crate) const COUNTRIES: [&str; 3] = ["FR", "DE", "O'K/é"];

pub(crate) struct World {
    pub(crate) mock: Mock,
    pub(crate) registry: server::Handle,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let registry = runtime.block_on(server::start("127.0.0.1:0")).unwrap();
        Self {
            mock: Mock::new(1).unwrap(),
            registry,
            runtime,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A topic with registered schema and `count` records over its Kafka partitions; offsets from 0.
    pub(crate) fn fill(&self, topic: &str, partitions: i32, count: i64) {
        self.mock.create_topic(topic, partitions).unwrap();
        let encoder = self.runtime.block_on(async {
            let client = Client::new(&settings(&self.registry.url)).unwrap();
            let new = NewSchema {
                language: Language::Avro,
                text: SCHEMA.to_owned(),
                references: Vec::new(),
            };
            let (id, _) = client.register(&format!("{topic}-value"), &new).await.unwrap();
            let schema = client.by_ref(SchemaRef::Id(id)).await.unwrap();
            (SchemaRef::Id(id), Encoder::new(schema, None).unwrap())
        });
        let producer = Producer::new(&self.mock.brokers(), &BTreeMap::new()).unwrap();
        for n in 0..count {
            let country = COUNTRIES[n as usize % COUNTRIES.len()];
            let row = json!({"id": n, "country": {"string": country}, "made": n});
            let value = encoder.1.framed(encoder.0, &row).unwrap();
            let record = Outgoing {
                topic,
                partition: Some((n % i64::from(partitions)) as i32),
                value: Some(&value),
                timestamp_ms: Some(1_767_312_000_000 + n),
                ..Outgoing::default()
            };
            producer.send(record).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// A configuration file: what every case has in common, and `more` at its end.
    pub(crate) fn config(&self, topics: &str, more: &str) -> PathBuf {
        // A broker that is down must not cost the assignment where a test takes it down.
        let session_ms = if more.contains("shutdown:") { 60_000 } else { 6_000 };
        let text = format!(
            "pipeline: t\nsource:\n  brokers: {}\n  topics: {topics}\n  properties: {{ session.timeout.ms: \"{session_ms}\", heartbeat.interval.ms: \"500\" }}\nregistry:\n  url: {}\n{more}",
            self.mock.brokers(),
            self.registry.url
        );
        self.file("t.yaml", &text)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What the group has committed, by Kafka partition; -1 for nothing.
    pub(crate) fn committed(&self, topic: &str, partitions: i32) -> Vec<i64> {
        let source = config::Source {
            brokers: self.mock.brokers(),
            topics: Topics::Names(vec![topic.to_owned()]),
            group: "forebay-t".to_owned(),
            start: Start::Earliest,
            properties: BTreeMap::new(),
            oauth: None,
        };
        let look = Look::open(&source, None).unwrap();
        let asked: Vec<_> =
            (0..partitions).map(|p| forebay::position::TopicPartition::new(topic, p)).collect();
        let starts = look.starts(&asked).unwrap();
        starts.into_iter().map(|(_, s)| s.unwrap().committed.map_or(-1, |c| c.offset)).collect()
    }
}

/// A running program; killed with the test.
pub(crate) struct Forebay {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Drop for Forebay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Forebay {
    /// Starts `forebay <args>`; its outputs go to files in `folder`.
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let id = forebay::clock::fresh_id();
        let (out, err) = (folder.join(format!("{id}.out")), folder.join(format!("{id}.err")));
        let child = Command::new(env!("CARGO_BIN_EXE_forebay"))
            .args(args)
            .current_dir(folder)
            .env_remove("FOREBAY_LOG_LEVEL")
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        Self { child, out, err }
    }

    pub(crate) fn stderr(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap()
    }

    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: a child that is not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let err = self.err.clone();
        let said = || std::fs::read_to_string(&err).unwrap();
        until("the program to end", || !self.is_running(), said);
        let status = self.child.wait().unwrap();
        let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
        Ended { status, stdout: read(&self.out), stderr: read(&self.err) }
    }
}

/// `forebay <args>` to its end.
pub(crate) fn forebay(folder: &Path, args: &[&str]) -> Ended {
    Forebay::start(folder, args).end()
}

/// Polls until it is so; panics with what `state` says when patience ends.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool, state: impl Fn() -> String) {
    let clock = System::new();
    while !so() {
        assert!(
            clock.now().mono_ms < PATIENCE.as_millis() as u64,
            "waited for {what}: {}",
            state()
        );
        clock.block(Duration::from_millis(20));
    }
}

/// Parquet files below a folder that are published: no file or folder that starts with `_` or `.`.
pub(crate) fn parquet_files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(root) else { return files };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with(['_', '.']) {
            continue;
        }
        if path.is_dir() {
            files.extend(parquet_files(&path));
        } else if name.ends_with(".parquet") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Rows of all published files.
pub(crate) fn rows(root: &Path) -> i64 {
    let rows = |path: &PathBuf| {
        let file = File::open(path).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
        reader.unwrap().metadata().file_metadata().num_rows()
    };
    parquet_files(root).iter().map(rows).sum()
}
