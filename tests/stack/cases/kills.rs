//! Deaths of every kind, while records are written and a reader reads all the time: at each fail point, at random
//! moments, of one process of several, of a process that only seemed dead.
//!
//! What must hold is `py/kills_read.py`'s to say: every record once, nothing unfinished ever listed, order.
//! `FOREBAY_KILLS=1000` makes the random cases that long (10 kills without it), and runs every stop and every case on
//! both stores.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::forebay::clock::Seeded;
use ::forebay::crash::Point;
use libtest_mimic::{Completion, Trial};
use serde_json::Value;

use super::{counted, seed};
use crate::forebay::{Ended, Forebay, LONG};
use crate::proxy::Proxy;
use crate::python::Running;
use crate::rig::Stack;
use crate::{forebay, python};

/// Mean and longest time from a process's start, or its claim, to its end.
const DELAY_MS: (f64, f64) = (500.0, 3_000.0);
/// Until the group gives up a process that does not answer.
const SESSION: Duration = Duration::from_millis(1_500);
/// Of a process that is the only member: nobody waits for it.
const LONG_SESSION: Duration = Duration::from_secs(10);
/// Until MinIO hears that a client is gone.
const LINGER: Duration = Duration::from_secs(2);

pub fn all() -> Vec<Trial> {
    let mut all = Vec::new();
    for store in [Store::S3, Store::Disk, Store::Kafka] {
        all.extend([
            case(store, "every_fail_point", points),
            case(store, "random_kills", random),
            case(store, "stopped_and_woken", zombies),
        ]);
        if store == Store::Kafka {
            // What these add is Kafka's here as well. Two groups are two authorities: the second is refused.
            all.extend([
                case(store, "revoke_fail_points", revokes),
                case(store, "three_instances", three),
            ]);
            continue;
        }
        all.push(case(store, "several_parts", parts));
        // What these add to the others is Kafka's, whatever the store.
        if store == Store::S3 || rounds().is_some() {
            all.extend([
                case(store, "revoke_fail_points", revokes),
                case(store, "three_instances", three),
                case(store, "two_groups_own_everything", two_groups),
            ]);
        }
    }
    all
}

/// Left out where the binary has no fail points, so that nobody believes they were tried.
fn case(store: Store, name: &'static str, run: fn(&Stack, Store)) -> Trial {
    counted(&format!("kills_{}_{name}", store.name()), move |stack| {
        if cfg!(not(debug_assertions)) {
            return Completion::ignored_with("a release build has no fail points");
        }
        run(stack, store);
        Completion::Completed
    })
}

/// Rounds of a random case: a kill each.
fn rounds() -> Option<usize> {
    std::env::var("FOREBAY_KILLS").ok().map(|n| n.parse().expect("FOREBAY_KILLS is a number"))
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Store {
    S3,
    Disk,
    /// S3, puts without conditions, and Kafka as the authority over commits.
    Kafka,
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Store::S3 => "s3",
            Store::Disk => "disk",
            Store::Kafka => "kafka",
        }
    }
}

/// What a case writes.
#[derive(Debug, Clone, Copy)]
struct Load {
    partitions: i32,
    /// Files of a commit.
    lanes: u32,
    /// Of one record's text.
    bytes: u32,
    /// Records a second; 0 for no limit.
    rate: u32,
    most: u64,
    /// When commits seal.
    commit: &'static str,
}

const LOAD: Load = Load {
    partitions: 2,
    lanes: 5,
    bytes: 64,
    rate: 400,
    most: u64::MAX >> 1,
    commit: "interval: 1s, rows: 50",
};

/// A pipeline on its own topic, with a writer and a reader at work.
struct Ground<'a> {
    stack: &'a Stack,
    store: Store,
    name: String,
    folder: PathBuf,
    writer: Running,
    reader: Running,
    /// Where Forebay finds S3.
    endpoint: String,
    commit: &'static str,
    begun: Instant,
}

impl<'a> Ground<'a> {
    fn new(stack: &'a Stack, store: Store, case: &str, load: Load) -> Self {
        let name = format!("kills-{}-{case}", store.name());
        let folder = stack.folder(&name);
        stack.topic(&name, load.partitions);
        let [partitions, lanes, bytes, rate, most] = [
            load.partitions.to_string(),
            load.lanes.to_string(),
            load.bytes.to_string(),
            load.rate.to_string(),
            load.most.to_string(),
        ];
        let (kind, root) = match store {
            Store::S3 | Store::Kafka => ("s3", name.clone()),
            Store::Disk => ("disk", folder.join("lake").display().to_string()),
        };
        let stop = |who: &str| folder.join(format!("stop-{who}")).display().to_string();
        let writer = [&name, &stop("writer"), &partitions, &lanes, &bytes, &rate, &most];
        let writer = python::start(stack, "kills_write.py", &writer.map(String::as_str));
        let reader = [kind, &root, &name, &stop("reader"), &partitions, &lanes, &bytes];
        let reader = python::start(stack, "kills_read.py", &reader);
        let (commit, begun) = (load.commit, Instant::now());
        let endpoint = endpoint(stack);
        Self { stack, store, name, folder, writer, reader, endpoint, commit, begun }
    }

    /// A configuration of this pipeline. `more` goes to `source`.
    fn config(&self, label: &str, more: &str) -> PathBuf {
        let url = match self.store {
            Store::S3 | Store::Kafka => forebay::s3_sink(&self.name),
            Store::Disk => format!("  url: {}\n", self.folder.join("lake").display()),
        };
        let text = format!(
            "pipeline: {name}
source:
  brokers: ${{FOREBAY_BROKERS}}
  topics: [{name}]
  start: earliest
{more}
registry: {{ url: \"${{FOREBAY_REGISTRY}}\" }}
metadata: [partition, offset]
partition_by: [half]
sink:
{url}commit: {{ {commit}{authority} }}
memory: {{ limit: 1GiB }}
",
            name = self.name,
            commit = self.commit,
            authority = if self.store == Store::Kafka { ", authority: kafka" } else { "" },
        );
        let path = self.folder.join(format!("{label}.yaml"));
        std::fs::write(&path, text).unwrap();
        path
    }

    /// One member: with an id of its own it takes its Kafka partitions back at once after a restart.
    fn alone(&self) -> PathBuf {
        self.config(
            "alone",
            &properties(&format!("group.instance.id: {}, ", self.name), LONG_SESSION),
        )
    }

    fn member(&self, label: &str) -> PathBuf {
        self.config(label, &properties("", SESSION))
    }

    fn start(&self, config: &std::path::Path, label: &str, fail_at: Option<&str>) -> Forebay {
        let mut environment = python::environment(self.stack);
        environment.push(("S3_ENDPOINT".to_owned(), self.endpoint.clone()));
        environment.extend(fail_at.map(|at| ("FOREBAY_FAIL_AT".to_owned(), at.to_owned())));
        let args = ["run", "-c", config.to_str().unwrap()];
        forebay::start_with(&environment, &self.folder, label, &args)
    }

    /// Runs until it dies of this fail point.
    fn dies(&self, config: &std::path::Path, fail_at: &str) -> Ended {
        let ended = self.start(config, &fail_at.replace(':', "-"), Some(fail_at)).wait(LONG);
        died_there(&ended, fail_at);
        ended
    }

    /// A second checker: the chains against every file, as the program itself sees it.
    fn audit(stack: &Stack, folder: &std::path::Path, store: Store, config: &std::path::Path) {
        let mut args = vec!["audit", "-c", config.to_str().unwrap(), "--deep", "--expect-all"];
        // Whether the last record counts is Kafka's to say.
        args.extend((store == Store::Kafka).then_some("--broker"));
        forebay::start(stack, folder, "audit", &args).wait(LONG).succeeded();
    }

    /// Ends the writer, has one clean run commit the rest, and asks the reader.
    fn check(self, what: &str) -> Value {
        let config = self.alone();
        std::fs::write(self.folder.join("stop-writer"), "").unwrap();
        let written = self.writer.finish().unwrap();
        let last = forebay::drain(self.stack, &self.folder, "last", &config);
        if self.store == Store::Disk {
            // The next start removes what the dead have staged.
            forebay::drain(self.stack, &self.folder, "sweep", &config);
        }
        Self::audit(self.stack, &self.folder, self.store, &config);
        let stop = self.folder.join("stop-reader");
        std::fs::write(stop.with_extension("new"), written["records"].to_string()).unwrap();
        std::fs::rename(stop.with_extension("new"), stop).unwrap();
        let read = self.reader.finish().unwrap();
        println!(
            "{}: {what} in {:.0} s; {written}; last run {}; {read}",
            self.name,
            self.begun.elapsed().as_secs_f64(),
            last.cost()
        );
        assert_eq!(read["problems"], serde_json::json!([]), "{read}");
        assert_eq!((&read["missing"], &read["beyond"]), (&0.into(), &0.into()), "{read}");
        assert_ne!(read["rows"], 0, "{read}");
        if self.store == Store::Disk {
            assert_eq!(read["left"], 0, "staged files of the dead: {read}");
        }
        read
    }
}

/// MinIO gives a request up when its client is gone, also in the middle of completing an upload, whose parts it has
/// removed by then: neither the upload nor the object is left, and only Kafka still has the records (FB0930). So
/// here it does not hear of a client's death before it has answered, as behind many a load balancer.
fn endpoint(stack: &Stack) -> String {
    if stack.s3.name != "minio" {
        return stack.s3.endpoint.clone();
    }
    let proxy = Proxy::lingering(stack.s3.endpoint.trim_start_matches("http://"), LINGER);
    format!("http://{}", proxy.address())
}

fn properties(more: &str, session: Duration) -> String {
    let session = session.as_millis();
    format!(
        "  properties: {{ {more}session.timeout.ms: \"{session}\", heartbeat.interval.ms: \"300\" }}"
    )
}

#[track_caller]
fn died_there(ended: &Ended, fail_at: &str) {
    let killed = ended.status.signal() == Some(libc::SIGKILL);
    assert!(
        killed && ended.stderr.contains("fail point"),
        "{fail_at}: {}, a death there expected; it said:\n{}",
        ended.status,
        ended.stderr
    );
}

/// Each crash point of the protocol, at its first and at a later pass, and those of a recovery. One Kafka partition:
/// what a restart publishes before its claim is what the dead process has recorded.
fn points(stack: &Stack, store: Store) {
    let ground = Ground::new(stack, store, "points", Load { partitions: 1, rate: 200, ..LOAD });
    let config = ground.alone();
    let mut deaths = 0;
    for (point, name) in Point::ALL {
        let passes: &[u32] = match point {
            // Cases of their own.
            Point::PartSent | Point::RevokeBegun | Point::RevokeFlushed => continue,
            // A process passes the claim once.
            Point::ClaimUnsent | Point::ClaimSent | Point::ClaimThere => &[1],
            _ => &[1, 3],
        };
        for pass in passes {
            ground.dies(&config, &format!("{name}:{pass}"));
            deaths += 1;
        }
    }
    // Dead where its commit stands and nothing of it is published. Where Kafka decides, a record alone is none.
    let recorded = if store == Store::Kafka { "publish_sent:1" } else { "record_there:1" };
    for again in [
        "publish_sent:1",
        "publish_sent:3",
        "some_published:1",
        "some_published:3",
        "all_published:1",
    ] {
        ground.dies(&config, recorded);
        let ended = ground.dies(&config, again);
        assert!(
            !ended.stderr.contains("is claimed"),
            "it died after the recovery:\n{}",
            ended.stderr
        );
        // And what that one left.
        ground.dies(&config, "claim_unsent:1");
        deaths += 3;
    }
    ground.check(&format!("{deaths} deaths at fail points"));
}

/// Files of several parts.
fn parts(stack: &Stack, store: Store) {
    let load = Load {
        partitions: 1,
        lanes: 1,
        bytes: 16 << 10,
        rate: 0,
        most: 4_500,
        commit: "interval: 1h, rows: 4500",
    };
    let ground = Ground::new(stack, store, "parts", load);
    let config = ground.alone();
    for fail_at in ["part_sent:1", "part_sent:2", "publish_sent:1"] {
        ground.dies(&config, fail_at);
    }
    ground.check("3 deaths");
}

/// Deaths while the group takes Kafka partitions back, at the first and at the second time.
fn revokes(stack: &Stack, store: Store) {
    let ground = Ground::new(stack, store, "revokes", LOAD);
    let config = ground.member("member");
    for name in ["revoke_begun", "revoke_flushed"] {
        for pass in [1, 2] {
            let fail_at = format!("{name}:{pass}");
            let first = ground.start(&config, &fail_at.replace(':', "-"), Some(&fail_at));
            first.says("1 is claimed");
            first.says("0 is claimed");
            for joins in 1..pass {
                let other = ground.start(&config, &format!("other-{joins}"), None);
                other.says("is claimed");
                other.signal(libc::SIGTERM);
                other.wait(LONG).succeeded();
                // Else the next one gets it at once, and nobody gives anything back.
                first.says_times("is claimed", 2 + joins);
            }
            let second = ground.start(&config, "second", None);
            died_there(&first.wait(LONG), &fail_at);
            second.says("1 is claimed");
            second.says("0 is claimed");
            second.signal(libc::SIGTERM);
            second.wait(LONG).succeeded();
        }
    }
    ground.check("4 deaths");
}

/// kill -9 at random moments of a process's life.
fn random(stack: &Stack, store: Store) {
    let count = rounds().unwrap_or(10);
    // The reader lists everything each time.
    let rate = if count > 100 { 120 } else { LOAD.rate };
    let ground = Ground::new(stack, store, "random", Load { rate, ..LOAD });
    let config = ground.alone();
    let mut some = Seeded::new(seed(&ground.name));
    let mut claimed = 0;
    for round in 0..count {
        let mut run = ground.start(&config, &format!("run-{}", round % 20), None);
        // Some die while they start and claim, most while they work.
        if round % 4 != 0 {
            run.says("is claimed");
        }
        std::thread::sleep(delay(&mut some));
        assert!(run.running(), "round {round}: it ended by itself:\n{}", run.said());
        run.signal(libc::SIGKILL);
        let ended = run.wait(Duration::from_secs(10));
        claimed += usize::from(ended.stderr.contains("is claimed"));
        healthy(&ended.stderr);
    }
    ground.check(&format!("{count} kills, {claimed} of them after a claim"));
}

fn delay(some: &mut Seeded) -> Duration {
    let (mean, most) = DELAY_MS;
    Duration::from_millis((-(1.0 - some.unit()).ln() * mean).min(most) as u64)
}

/// No Kafka partition stopped, and nothing panicked.
#[track_caller]
fn healthy(said: &str) {
    let bad = said.lines().find(|l| l.contains("is stopped") || l.contains("panicked"));
    assert_eq!(bad, None, "in:\n{said}");
}

/// A process stops at a point for longer than its session, another one takes over, and then it goes on.
fn zombies(stack: &Stack, store: Store) {
    let ground = Ground::new(stack, store, "zombies", LOAD);
    let config = ground.member("member");
    let every = [
        "record_unsent:2",
        "some_published:3",
        "file_staged:2",
        "claim_there:1",
        "before_upload:1",
        "upload_created:40", // the first ones are the probe's, before there is anything to lose
        "claim_unsent:1",
        "claim_sent:1",
        "record_sent:2",
        "record_there:1",
        "publish_sent:2",
        "all_published:1",
        "offset_sent:1",
    ];
    let (mut fenced, mut stops) = (0, 0);
    for at in &every[..if rounds().is_some() { every.len() } else { 2 }] {
        let zombie = ground.start(&config, &at.replace(':', "-"), Some(&format!("{at}:stop")));
        zombie.says("fail point");
        let heir = ground.start(&config, "heir", None);
        heir.says("1 is claimed");
        heir.says("0 is claimed");
        zombie.signal(libc::SIGCONT);
        // What it was about to do is refused, or the group tells it first; then the two share the work.
        zombie.says_one_of(&["is given up", "lost these Kafka partitions"]);
        fenced += usize::from(zombie.said().contains("is given up"));
        std::thread::sleep(SESSION);
        for one in [zombie, heir] {
            healthy(&one.said());
            one.signal(libc::SIGTERM);
            one.wait(LONG).succeeded();
        }
        stops += 1;
    }
    ground.check(&format!(
        "{stops} stops, {fenced} of them fenced by the chain before the group told"
    ));
}

/// Three members come, leave, die and sleep at random.
fn three(stack: &Stack, store: Store) {
    let ground = Ground::new(stack, store, "three", Load { partitions: 4, ..LOAD });
    let config = ground.member("member");
    let mut some = Seeded::new(seed(&ground.name));
    let count = rounds().map_or(8, |n| n / 5);
    let mut members: [Option<Forebay>; 3] = [None, None, None];
    let mut did = [0; 4];
    for round in 0..count {
        let at = some.below(3) as usize;
        let act = some.below(3) as usize;
        did[if members[at].is_none() { 3 } else { act }] += 1;
        match members[at].take() {
            None => {
                members[at] = Some(ground.start(&config, &format!("member-{}", round % 20), None))
            }
            Some(one) => {
                healthy(&one.said());
                match act {
                    0 => one.signal(libc::SIGKILL),
                    1 => one.signal(libc::SIGTERM),
                    _ => {
                        one.signal(libc::SIGSTOP);
                        std::thread::sleep(SESSION * 2 + delay(&mut some));
                        one.signal(libc::SIGCONT);
                        members[at] = Some(one);
                        continue;
                    }
                }
                let ended = one.wait(LONG);
                if act == 1 {
                    left(ended);
                }
            }
        }
        std::thread::sleep(delay(&mut some));
    }
    for one in members.into_iter().flatten() {
        one.signal(libc::SIGTERM);
        left(one.wait(LONG));
    }
    let [kills, leaves, sleeps, starts] = did;
    ground.check(&format!("{kills} kills, {leaves} clean ends, {sleeps} sleeps, {starts} starts"));
}

/// It ended well, or had not even begun to listen to signals.
#[track_caller]
fn left(ended: Ended) {
    let too_early = ended.status.signal() == Some(libc::SIGTERM) && ended.stderr.is_empty();
    if !too_early {
        ended.succeeded();
    }
}

/// Two processes of one pipeline in two groups: each is assigned every Kafka partition all the time.
fn two_groups(stack: &Stack, store: Store) {
    let ground = Ground::new(stack, store, "groups", LOAD);
    let configs = ["one", "two"].map(|group| {
        let more = format!(
            "  group: {}-{group}\n{}",
            ground.name,
            properties(&format!("group.instance.id: {group}, "), LONG_SESSION)
        );
        ground.config(group, &more)
    });
    let mut some = Seeded::new(seed(&ground.name));
    let start = |at: usize| ground.start(&configs[at], ["one", "two"][at], None);
    let mut runs = [start(0), start(1)];
    // Whoever claimed last works; the other one claims back after its pause, and again.
    for run in &runs {
        run.says("is claimed");
        run.says("is given up");
    }
    let kills = rounds().map_or(2, |n| n / 20);
    for _ in 0..kills {
        let at = some.below(2) as usize;
        std::thread::sleep(delay(&mut some));
        runs.iter().for_each(|run| healthy(&run.said()));
        runs[at].signal(libc::SIGKILL);
        let dead = std::mem::replace(&mut runs[at], start(at));
        dead.wait(LONG);
    }
    for run in runs {
        healthy(&run.said());
        run.signal(libc::SIGTERM);
        left(run.wait(LONG));
    }
    ground.check(&format!("two owners of everything, {kills} kills"));
}
