//! The program as a process: exit codes, what it prints, how it leaves.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::world::{Forebay, World, forebay, parquet_files, rows, until};

const SIGTERM: i32 = libc::SIGTERM;

#[test]
fn demo_ends_well_and_its_files_hold_every_record() {
    let folder = tempfile::tempdir().unwrap();
    let ended = forebay(folder.path(), &["demo", "--records", "2000", "--dir", "made"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let made = folder.path().join("made");
    assert_eq!(rows(&made), 2_000);
    assert_eq!(rows(&made.join("orders")), 1_000);
    assert!(ended.stdout.contains("2000 records -> 2000 rows"), "{}", ended.stdout);
    assert!(ended.stdout.contains("\naudit holds: "), "{}", ended.stdout);
    // A folder of a demo is replaced, another one is left alone.
    std::fs::write(made.join("mine.txt"), "mine").unwrap();
    let again = forebay(folder.path(), &["demo", "--records", "2", "--dir", "made"]);
    assert_eq!(again.code(), Some(1), "{again:?}");
    assert!(again.stderr.contains("mine.txt"), "{}", again.stderr);
    assert_eq!(rows(&made), 2_000);
}

#[test]
fn configuration_errors_are_all_said_one_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "pipeline: \"a b\"\nsource: { brokers: \"h:1\", topics: [o], strat: latest }\nregistry: { url: \"ftp://x\" }\nsink: { url: out, compression: gzp }\ncommit: { interval: 10 parsecs }\n";
    std::fs::write(folder.path().join("f.yaml"), text).unwrap();
    let wrong = ["`a b`", "`start`", "ftp://x", "gzp", "10 parsecs"];
    for command in ["run", "check"] {
        let ended = forebay(folder.path(), &[command, "-c", "f.yaml"]);
        assert_eq!(ended.code(), Some(2), "{ended:?}");
        let said = if command == "run" { &ended.stderr } else { &ended.stdout };
        for word in wrong {
            let lines: Vec<&str> = said.lines().filter(|line| line.contains(word)).collect();
            assert_eq!(lines.len(), 1, "{word}: {said}");
            assert!(lines[0].contains("FB04") && lines[0].contains("f.yaml:"), "{}", lines[0]);
        }
        assert_eq!(
            said.lines().filter(|line| line.contains("FB04")).count(),
            wrong.len(),
            "{said}"
        );
    }
}

#[test]
fn help_of_every_command_shows_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let help = forebay(folder.path(), &["--help"]);
    assert_eq!(help.code(), Some(0));
    let commands = help.stdout.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<&str> = commands
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert_eq!(
        commands,
        [
            "demo", "run", "produce", "register", "check", "decode", "audit", "chain", "registry",
            "explain", "plan", "evolve"
        ]
    );
    for command in commands {
        let help = forebay(folder.path(), &[command, "--help"]);
        assert_eq!(help.code(), Some(0), "{help:?}");
        assert!(help.stdout.contains("Example"), "{}", help.stdout);
        assert!(help.stdout.contains(&format!("forebay {command} ")), "{}", help.stdout);
    }
}

#[test]
fn explain_says_what_a_code_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let ended = forebay(folder.path(), &["explain", "fb0101"]);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("FB0101: payload too short"), "{}", ended.stdout);
    let ended = forebay(folder.path(), &["explain", "FB0101", "--output", "json"]);
    assert_eq!(ended.json()["kind"], "reject");
    assert_eq!(forebay(folder.path(), &["explain", "FB9999"]).code(), Some(2));
}

#[test]
fn wrong_arguments_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for args in
        [&["fly"][..], &["run"], &["demo", "--records", "1"], &["--log-level", "a=b=c", "registry"]]
    {
        assert_eq!(forebay(folder.path(), args).code(), Some(2), "{args:?}");
    }
}

#[test]
fn drain_reads_everything_once() {
    let world = World::new();
    world.fill("orders", 3, 100);
    let config = world.config("[orders]", "partition_by: [country]\nsink: { url: out }\n");
    let args = ["run", "-c", config.to_str().unwrap(), "--drain", "--output", "json"];
    let ended = forebay(world.folder.path(), &args);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let summary = ended.json();
    assert_eq!((&summary["records"], &summary["rows"]), (&100.into(), &100.into()));
    assert_eq!(rows(&world.path("out")), 100);
    assert_eq!(world.committed("orders", 3), [34, 33, 33]);
    // Nothing is left for a second one.
    let ended = forebay(world.folder.path(), &args);
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(ended.json()["records"], 0);
    assert_eq!(rows(&world.path("out")), 100);
}

/// A run that has taken all records and sealed none.
fn streaming(world: &World, more: &str, records: u64) -> Forebay {
    let config = world.config(
        "[orders]",
        &format!(
            "sink: {{ url: out }}\ncommit: {{ interval: 1h }}\nlisten: \"127.0.0.1:0\"\n{more}"
        ),
    );
    let run = Forebay::start(
        world.folder.path(),
        &["run", "-c", config.to_str().unwrap(), "--output", "json"],
    );
    const SAID: &str = "health and metrics on http://";
    until("the address of the metrics", || run.stderr().contains(SAID), || run.stderr());
    let stderr = run.stderr();
    let address = stderr.split(SAID).nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    until("all records to be taken", || taken(&address) == records, || run.stderr());
    assert!(parquet_files(&world.path("out")).is_empty());
    run
}

/// Records taken so far, by the program's own metrics.
fn taken(address: &str) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.lines()
        .filter(|line| line.starts_with("forebay_records_total{"))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[test]
fn sigterm_seals_publishes_commits_and_leaves() {
    let world = World::new();
    world.fill("orders", 2, 100);
    let run = streaming(&world, "", 100);
    run.signal(SIGTERM);
    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(ended.json()["dropped"], false);
    assert_eq!(rows(&world.path("out")), 100);
    assert_eq!(world.committed("orders", 2), [50, 50]);
}

#[test]
fn second_sigterm_leaves_at_once_and_nothing_is_lost() {
    let world = World::new();
    world.fill("orders", 1, 100);
    // Longer than the test: no broker is there to lose the partitions to.
    let run = streaming(&world, "shutdown: { timeout: 1h }\n", 100);
    // Files can be published, offsets cannot be committed: the first one waits for that.
    world.mock.down(1).unwrap();
    run.signal(SIGTERM);
    until("the files to be published", || rows(&world.path("out")) == 100, || run.stderr());
    until(
        "a commit to fail",
        || run.stderr().contains("offsets are committed again"),
        || run.stderr(),
    );
    let mut run = run;
    assert!(run.is_running(), "{}", run.stderr());
    run.signal(SIGTERM);
    let ended = run.end();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    assert_eq!(ended.json()["dropped"], true);
    assert!(ended.stderr.contains("leaving at once"), "{}", ended.stderr);
    // Kafka was told of the claim only. The chain knows better: nothing is read a second time.
    world.mock.up(1).unwrap();
    assert_eq!(world.committed("orders", 1), [0]);
    let drained = forebay(world.folder.path(), &["run", "-c", "t.yaml", "--drain"]);
    assert_eq!(drained.code(), Some(0), "{drained:?}");
    assert_eq!(rows(&world.path("out")), 100);
    assert_eq!(world.committed("orders", 1), [100]);
}
