//! `forebay chain`: what an operator does to a chain, and that the pipeline and the audit go on with it.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::audit::Made;
use crate::world::{Ended, forebay};

struct Operator {
    made: Made,
}

impl Operator {
    /// Both chains end with record 6 at offset 50; see [`Made`].
    fn new() -> Self {
        Self { made: Made::new() }
    }

    fn forebay(&self, args: &[&str]) -> Ended {
        forebay(self.made.world.folder.path(), args)
    }

    fn chain(&self, args: &[&str]) -> Ended {
        let args = [&["chain", args[0], "-c", "t.yaml", "--output", "json"], &args[1..]].concat();
        self.forebay(&args)
    }

    #[track_caller]
    fn done(&self, args: &[&str]) -> Value {
        let ended = self.chain(args);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        ended.json()
    }

    #[track_caller]
    fn refused(&self, args: &[&str], says: &str) {
        let before = self.ends();
        let ended = self.chain(args);
        assert_eq!(ended.code(), Some(2), "{ended:?}");
        assert!(ended.stderr.contains(says), "{ended:?}");
        assert_eq!(self.ends(), before);
    }

    /// Last places of both chains.
    fn ends(&self) -> Vec<u64> {
        let all = self.done(&["ls"]);
        all["chains"].as_array().unwrap().iter().map(|c| c["seq"].as_u64().unwrap()).collect()
    }

    /// What holds of the store, every file read.
    #[track_caller]
    fn holds(&self, partition: usize, expected: Value) -> Value {
        let ended =
            self.forebay(&["audit", "-c", "t.yaml", "--deep", "--strict", "--output", "json"]);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        let report = ended.json();
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(report["partitions"][partition][name], *value, "{name}: {report}");
        }
        report["counts"].clone()
    }

    fn explain(&self, place: &str) -> Vec<Value> {
        let ended =
            self.forebay(&["audit", "-c", "t.yaml", "--output", "json", "--explain", place]);
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        ended.json()["answers"].as_array().unwrap().clone()
    }

    fn file(&self, key: &Value) -> PathBuf {
        self.made.world.path("out").join(key.as_str().unwrap())
    }

    /// Keys of the files of a chain's last record.
    fn head_files(&self, place: &str) -> Vec<Value> {
        let shown = self.done(&["show", place, "--last", "1"]);
        let files = shown["records"][0]["files"].as_array().unwrap();
        files.iter().map(|file| file["key"].clone()).collect()
    }
}

#[test]
fn chains_and_records_are_shown() {
    let operator = Operator::new();
    let all = operator.done(&["ls"]);
    for (n, chain) in all["chains"].as_array().unwrap().iter().enumerate() {
        let expected = json!({
            "topic": "orders", "partition": n, "seq": 6, "kind": "commit", "epoch": 3, "from": 35, "to": 50,
            "files": 3, "files_absent": [],
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(chain[name], *value, "{name}");
        }
    }
    let shown = operator.done(&["show", "orders:1", "--seq", "3..4"]);
    let kinds: Vec<&Value> =
        shown["records"].as_array().unwrap().iter().map(|r| &r["kind"]).collect();
    assert_eq!(kinds, ["claim", "commit"]);
    let text = operator.forebay(&["chain", "ls", "-c", "t.yaml"]);
    assert!(
        text.stdout.contains("orders:0        6  commit      3  [35, 50)        yes"),
        "{text:?}"
    );
    let text = operator.forebay(&["chain", "show", "-c", "t.yaml", "orders:0", "--seq", "4"]);
    assert!(
        text.stdout
            .starts_with("record 4: commit of [20, 35) under epoch 2: 14 rows, 1 rejects, 4 files"),
        "{text:?}"
    );
    for wrong in [
        &["show", "orders"][..],
        &["show", "orders:0", "--seq", "0"],
        &["show", "orders:0", "--seq", "5..4"],
    ] {
        operator.refused(wrong, "FB1001");
    }
    assert_eq!(operator.chain(&["show", "orders:7"]).code(), Some(1));
}

#[test]
fn skipped_offsets_are_passed_and_said() {
    let operator = Operator::new();
    let skip = ["skip", "orders:0", "--to", "60", "--why", "poison"];
    operator.refused(&skip, "--yes");
    operator.refused(&["skip", "orders:0", "--to", "50", "--why", "x", "--yes"], "FB1001");
    operator.refused(
        &["skip", "orders:0", "--from", "49", "--to", "60", "--why", "x", "--yes"],
        "FB1001",
    );
    operator.refused(&["skip", "orders:0", "--to", "60", "--why", " ", "--yes"], "--why");
    let dry = operator.done(&[&skip[..], &["--dry-run"]].concat());
    assert_eq!(dry["dry_run"], true);
    assert_eq!(operator.ends(), [6, 6]);
    let done = operator.done(&[&skip[..], &["--yes"]].concat());
    assert_eq!(
        (&done["seq"], &done["kind"], &done["epoch"]),
        (&json!(7), &json!("claim"), &json!(4))
    );
    let range = json!([{"from": 50, "to": 60, "why": "poison", "seq": 7}]);
    operator.holds(0, json!({"committed_to": 60, "rows": 49, "skipped": range, "epoch": 4}));

    // The pipeline goes on behind it.
    operator.made.feed(50..70);
    operator.made.run();
    operator.holds(0, json!({"committed_to": 70, "rows": 59, "skipped": range, "epoch": 5}));
    operator.holds(1, json!({"committed_to": 70, "rows": 69, "skipped": []}));
    let found = operator.explain("orders:0:55");
    assert_eq!((&found[0]["what"], &found[0]["why"]), (&json!("skipped"), &json!("poison")));

    // What stands before the offsets to skip is committed with them.
    operator.made.feed(70..90);
    let done =
        operator.done(&["skip", "orders:0", "--from", "80", "--to", "85", "--why", "x", "--yes"]);
    assert_eq!(
        (&done["kind"], &done["from"], &done["to"]),
        (&json!("commit"), &json!(70), &json!(85))
    );
    assert_eq!(done["files"].as_array().map(Vec::len), Some(3));
    operator.holds(0, json!({"committed_to": 85, "rows": 69, "offsets_without_rows": 0}));
    operator.made.run();
    operator.holds(0, json!({"committed_to": 90, "rows": 74, "epoch": 7}));
    // 72, 75, 78 are the offsets of this country before the skip.
    let found = operator.explain("orders:0:78");
    assert_eq!((&found[0]["what"], &found[0]["row"]), (&json!("row"), &json!(2)));
    // Kafka has no more than 90.
    let ended =
        operator.chain(&["skip", "orders:0", "--from", "95", "--to", "99", "--why", "x", "--yes"]);
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.starts_with("FB0940"), "{ended:?}");
    operator.holds(0, json!({"committed_to": 90}));
}

#[test]
fn chain_that_is_reset_goes_on_there() {
    let operator = Operator::new();
    operator.made.feed(50..70);
    let reset = ["reset", "orders:1", "--to", "65", "--why", "restored", "--yes"];
    operator.done(&reset);
    operator.made.run();
    operator.holds(0, json!({"committed_to": 70, "rows": 69, "resets": []}));
    let resets = json!([{"from": 50, "to": 65, "why": "restored", "seq": 7}]);
    operator.holds(1, json!({"committed_to": 70, "rows": 54, "resets": resets}));
    assert_eq!(operator.explain("orders:1:60")[0]["why"], "restored");

    let back = ["reset", "orders:1", "--to", "60", "--why", "again", "--yes"];
    operator.refused(&back, "--again");
    operator.done(&[&back[..], &["--again"]].concat());
    operator.made.run();
    // 60 to 64 were never there, 65 to 69 are there twice now, as was asked for.
    operator.holds(1, json!({"committed_to": 70, "rows": 64}));
    assert_eq!(operator.explain("orders:1:66").len(), 2);
}

#[test]
fn files_that_somebody_removed_stop_nothing_once_that_is_said() {
    let operator = Operator::new();
    operator
        .refused(&["removed", "orders:0", "--why", "x", "--yes"], "all of its 3 files are there");
    let key = operator.head_files("orders:0")[0].clone();
    fs::remove_file(operator.file(&key)).unwrap();
    let done = operator.done(&["removed", "orders:0", "--why", "compacted", "--yes"]);
    assert_eq!((&done["kind"], &done["lost"]), (&json!("claim"), &json!([key])));
    let counts =
        operator.holds(0, json!({"committed_to": 50, "published_to": 50, "files_removed": 1}));
    assert_eq!(counts["removed"], 1);
    operator.made.feed(50..55);
    operator.made.run();
    operator.holds(0, json!({"committed_to": 55, "published_to": 55}));
}

#[test]
fn lost_files_are_brought_back() {
    let operator = Operator::new();
    operator
        .refused(&["repair", "orders:0", "--why", "x", "--yes"], "all of its 3 files are there");
    // One of three, and all of them.
    let (one, all) = (operator.head_files("orders:0"), operator.head_files("orders:1"));
    fs::remove_file(operator.file(&one[1])).unwrap();
    all.iter().for_each(|key| fs::remove_file(operator.file(key)).unwrap());
    let done = operator.done(&["repair", "orders:0", "--why", "lifecycle", "--yes"]);
    assert_eq!((&done["kind"], &done["lost"]), (&json!("repair"), &json!([one[1]])));
    assert_eq!(done["files"].as_array().map(Vec::len), Some(1));
    let done = operator.done(&["repair", "orders:1", "--why", "lifecycle", "--yes"]);
    assert_eq!(done["files"].as_array().map(Vec::len), Some(3));
    for partition in 0..2 {
        let expected =
            json!({"committed_to": 50, "published_to": 50, "rows": 49, "repaired_seqs": [6]});
        let counts = operator.holds(partition, expected);
        assert_eq!(counts["repaired"], 4);
        for offset in 35..50 {
            let found = operator.explain(&format!("orders:{partition}:{offset}"));
            let there: Vec<_> = found.iter().filter(|f| f["what"] == "row").collect();
            assert_eq!(there.len(), 1, "{found:?}");
            assert_eq!(there[0]["row"], (offset - 35) / 3);
        }
    }
    operator.made.feed(50..55);
    operator.made.run();
    operator.holds(0, json!({"committed_to": 55, "rows": 54}));
    operator.holds(1, json!({"committed_to": 55, "rows": 54}));
}
