//! Versions that come while files are written: across a restart, and across a rebalance between two instances.
//! Files of all ages are one table to DuckDB, to pyarrow and to Spark.

use std::path::Path;
use std::time::Duration;

use libtest_mimic::Completion;

use crate::histories::model::Model;
use crate::histories::render;
use crate::rig::{self, Absent, Stack};
use crate::{forebay, python};
use ::forebay::clock::Seeded;

pub fn superset(stack: &Stack) {
    check(stack, "superset");
}

pub fn latest(stack: &Stack) {
    check(stack, "latest");
}

/// Records of the first version, then of two, then of all three by turns.
fn check(stack: &Stack, mode: &str) {
    let name = format!("evolved-{mode}");
    let folder = stack.folder(&name);
    stack.topic(&name, 4);
    let config = config(&folder, &name, mode);
    python::run(stack, "evolved_write.py", &[&name, "1", "0", "4000", "4", "0"]);
    forebay::drain(stack, &folder, "first", &config);
    python::run(stack, "evolved_write.py", &[&name, "2", "4000", "4000", "4", "0"]);
    forebay::drain(stack, &folder, "restarted", &config);

    // Two instances, the second of which comes while records flow.
    let writer =
        python::start(stack, "evolved_write.py", &[&name, "3", "8000", "16000", "4", "1000"]);
    let args = ["run", "-c", config.to_str().unwrap()];
    let one = forebay::start(stack, &folder, "one", &args);
    one.says("rows take the columns of subject");
    let other = forebay::start(stack, &folder, "other", &args);
    other.says("rows take the columns of subject");
    let written = writer.finish().unwrap();
    for running in [&one, &other] {
        running.signal(libc::SIGTERM);
    }
    for running in [one, other] {
        running.wait(Duration::from_secs(60)).succeeded();
    }
    forebay::drain(stack, &folder, "rest", &config);

    let objects = folder.join("objects");
    let ids = written["ids"].to_string();
    let args = [mode, &name, &name, objects.to_str().unwrap(), "24000", &ids];
    let read = python::run(stack, "evolved_read.py", &args);
    println!("{name}: {read}");
    assert_eq!(read["rows"], 24_000, "{read}");
    for nothing in ["rejects", "wrong", "missing", "twice"] {
        assert_eq!(read[nothing], 0, "{read}");
    }
    assert_eq!(read["readers_differ"], false, "{read}");
    // A file's rows are of the writers that it names, in the columns of the target that it names.
    assert_eq!(read["undeclared"], serde_json::json!([]), "{read}");
    assert_eq!(read["columns"], 3, "columns of three ages: {read}");
    assert!(read["mixed"].as_u64() > Some(0), "versions share files: {read}");
}

fn config(folder: &Path, name: &str, mode: &str) -> std::path::PathBuf {
    let more = format!(
        "evolution: {{ mode: {mode}, refresh: 1s }}\ncommit: {{ interval: 1s }}\nsink:\n{}",
        forebay::s3_sink(name)
    );
    forebay::config(folder, name, name, "{ url: \"${FOREBAY_REGISTRY}\" }", &more)
}

/// Files of three ages in a table that has the current columns, and pairs of versions in a table of the older one's.
///
/// One Spark for both: it takes longer to start than to read.
pub fn spark(stack: &Stack) -> Completion {
    let python = match rig::spark() {
        Ok(python) => python.to_str().unwrap(),
        Err(Absent::LeftOut(why)) => return Completion::ignored_with(why),
        Err(Absent::Failed(why)) => panic!("{why}"),
    };
    let name = "evolved-spark";
    let folder = stack.folder(name);
    stack.topic(name, 2);
    let config = config(&folder, name, "superset");
    for (versions, first) in [("1", "0"), ("2", "2000"), ("3", "4000")] {
        python::run(stack, "evolved_write.py", &[name, versions, first, "2000", "2", "0"]);
        forebay::drain(stack, &folder, &format!("of {versions}"), &config);
    }
    let program = env!("CARGO_BIN_EXE_forebay");
    let args = [program, name, folder.to_str().unwrap(), "6000", python];
    let read = python::run(stack, "spark_read.py", &args);
    println!("{name}: {read}");
    assert_eq!(read["rows"], 6_000, "{read:#}");
    for nothing in ["missing", "twice", "wrong"] {
        assert_eq!(read[nothing], 0, "{read:#}");
    }
    assert_eq!(read["readers_differ"], false, "{read:#}");
    assert_eq!(read["columns"], 3, "columns of three ages: {read:#}");
    assert_eq!(read["pairs"], 20, "{read:#}");
    assert_eq!(read["plan"], serde_json::json!([]), "{read:#}");
    Completion::Completed
}

/// Histories of each language, and the seed that makes them.
const HISTORIES: u64 = 5;
const SEED: u64 = 20;

/// Generated histories in every mode; pyarrow and DuckDB find in their files what independent decoders of the
/// records expect in each cell.
pub fn histories(stack: &Stack) {
    let name = "histories";
    let folder = stack.folder(name);
    let schemas = folder.join("schemas");
    let first = std::env::var("FOREBAY_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(SEED);
    let mut versions = 0;
    for seed in first..first + HISTORIES {
        for language in ["proto", "avsc", "json"] {
            let place = schemas.join(format!("{language}{seed}"));
            std::fs::create_dir_all(&place).unwrap();
            versions += history(&place, language, seed);
        }
    }
    let kept = folder.join("kept");
    let args = [
        "evolve",
        schemas.to_str().unwrap(),
        "--mode",
        "all",
        "--records",
        "1500",
        "--partitions",
        "1",
        "--restarts",
        "1",
        "--dir",
        kept.to_str().unwrap(),
        "--expected",
        "--output",
        "json",
    ];
    let ended = forebay::start(stack, &folder, name, &args).wait(forebay::LONG).succeeded();
    assert_eq!(ended.summary()["holds"], true);
    let read = python::run(stack, "histories_read.py", &[kept.to_str().unwrap()]);
    println!("{name}: {versions} versions; {}; {read}", ended.cost());
    assert_eq!(read["wrong"], serde_json::json!([]), "{read:#}");
    assert_eq!(read["modes"], 4, "{read:#}");
    assert_eq!(read["topics"], HISTORIES * 3, "{read:#}");
    let all = read["rows"].as_u64().unwrap() + read["rejects"].as_u64().unwrap();
    assert_eq!(all, 1_500 * 4, "{read:#}");
    for kind in ["int", "float", "near", "text", "bytes", "bool", "instant", "items", "key", "null"]
    {
        assert!(read["kinds"][kind].as_u64() > Some(0), "{kind}: {read:#}");
    }
}

/// Writes the versions of one history; how many.
fn history(place: &Path, language: &str, seed: u64) -> usize {
    let mut random = Seeded::new(seed);
    let mut model = Model::new(&mut random, "Row");
    let mut texts: Vec<String> = Vec::new();
    for version in 0..3 + random.below(10) {
        if version > 0 {
            model.edit(&mut random);
        }
        let text = match language {
            "proto" => render::protobuf(&model),
            "avsc" => render::avro(&model),
            _ => render::json(&model),
        };
        // What changes nothing that the language knows is no version.
        if texts.last() != Some(&text) {
            std::fs::write(place.join(format!("v{:02}.{language}", texts.len() + 1)), &text)
                .unwrap();
            texts.push(text);
        }
    }
    texts.len()
}

/// `forebay evolve` on the broker, the registry and the store of the rig, under names of its own.
pub fn real(stack: &Stack) {
    let name = "evolve-real";
    let folder = stack.folder(name);
    let more = format!("sink:\n{}", forebay::s3_sink(name));
    let registry = "{ url: \"${FOREBAY_REGISTRY}\" }";
    let config = forebay::config(&folder, name, name, registry, &more);
    let samples = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (orders, payments) = (samples.join("protos/orders"), samples.join("schemas/payments"));
    let args = [
        "evolve",
        "-c",
        config.to_str().unwrap(),
        "--real",
        "--mode",
        "all",
        "--records",
        "400",
        "--restarts",
        "2",
        "--output",
        "json",
        orders.to_str().unwrap(),
        payments.to_str().unwrap(),
    ];
    let ended = forebay::start(stack, &folder, "all", &args).wait(forebay::LONG).succeeded();
    let report = ended.summary();
    println!("{name}: {}", ended.cost());
    assert_eq!(report["holds"], true, "{report:#}");
    // Who waits is told how far it is; what reads the report is not.
    let told = ended.stderr.contains("records read");
    assert!(told || ended.wall < Duration::from_secs(15), "{}", ended.stderr);
    assert!(!ended.stdout.contains("records read"));
    let runs = report["runs"].as_array().unwrap();
    let modes: Vec<_> = runs.iter().map(|run| run["mode"].as_str().unwrap()).collect();
    assert_eq!(modes, ["rotate", "latest", "superset", "fixed"]);
    for run in runs {
        assert_eq!((&run["rows"], &run["kills"]), (&400.into(), &2.into()), "{report:#}");
    }

    // Real brokers and a real registry alone: files go to a folder.
    let kept = folder.join("kept");
    let args = [
        "evolve",
        "--brokers",
        &stack.brokers,
        "--registry",
        &stack.registry,
        "--mode",
        "latest",
        "--records",
        "200",
        "--restarts",
        "1",
        "--dir",
        kept.to_str().unwrap(),
        "--output",
        "json",
        orders.to_str().unwrap(),
    ];
    let ended = forebay::start(stack, &folder, "folder", &args).wait(forebay::LONG).succeeded();
    let report = ended.summary();
    assert_eq!(
        (&report["holds"], &report["runs"][0]["rows"]),
        (&true.into(), &200.into()),
        "{report:#}"
    );
}
