//! Every order of events within small bounds, over the real `commit::machine`: two workers that nobody keeps
//! apart, deaths at any point, lost and late answers, files moved downstream, uploads that a lifecycle rule
//! aborts, operators' repairs. The rules of the protocol hold what it promises; with one of them turned off the
//! explorer finds the loss or the duplicate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod world;

use std::collections::{HashSet, VecDeque};
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use forebay::clock::System;
use forebay::commit::rules::Rules;

use world::{Bounds, CALM, Step, World};

/// The way to a state, back to the start.
struct Way {
    step: Step,
    before: Option<Rc<Way>>,
}

struct Found {
    states: u64,
    complete: u64,
    violation: Option<(String, Vec<Step>)>,
    ms: u64,
}

/// Visits every state once. Shortest ways first if `shortest`, which costs memory; else deepest first.
fn explore(bounds: &Bounds, shortest: bool) -> Found {
    let clock = System::new();
    let hasher = foldhash::quality::FixedState::with_seed(7);
    let mut seen = HashSet::with_hasher(foldhash::fast::FixedState::with_seed(1));
    let start = World::new(bounds);
    seen.insert(start.digest(&hasher));
    let mut queue: VecDeque<(World, Option<Rc<Way>>)> = VecDeque::from([(start, None)]);
    let mut found = Found { states: 0, complete: 0, violation: None, ms: 0 };
    while let Some((world, way)) = if shortest { queue.pop_front() } else { queue.pop_back() } {
        found.states += 1;
        found.complete += u64::from(world.is_complete(bounds));
        if let Some(wrong) = world.check(bounds) {
            let mut steps = Vec::new();
            let mut at = way;
            while let Some(way) = at {
                steps.push(way.step);
                at = way.before.clone();
            }
            steps.reverse();
            found.violation = Some((wrong, steps));
            break;
        }
        for step in world.steps(bounds) {
            let next = world.after(step, bounds);
            if seen.insert(next.digest(&hasher)) {
                queue.push_back((next, Some(Rc::new(Way { step, before: way.clone() }))));
            }
        }
    }
    found.ms = clock.now().mono_ms;
    found
}

const ON: Rules = CALM.rules;

fn scenarios() -> Vec<Bounds> {
    let two = Bounds { assignments: 2, ahead: 1, ..CALM };
    let three = Bounds { assignments: 3, ahead: 1, ..CALM };
    let mut all = vec![
        Bounds { name: "three owners, commits under way together", offsets: 3, ahead: 2, ..three },
        Bounds { name: "lost and late puts", late: 2, ..two },
        Bounds { name: "a late put, three owners", late: 1, offsets: 1, ..three },
        Bounds { name: "a void for a commit in doubt", late: 1, voids: 1, ..two },
        Bounds { name: "files moved downstream", moves: 1, late: 1, ahead: 2, ..three },
        Bounds { name: "a lifecycle rule, and a repair", expire: 1, repairs: 1, ..three },
        Bounds { name: "the janitor", janitor: 2, late: 1, ..two },
        Bounds {
            name: "local disk, files moved",
            disk: true,
            late: 1,
            moves: 1,
            ahead: 2,
            ..three
        },
    ];
    let kafka = Bounds { kafka: true, ..CALM };
    all.extend([
        Bounds {
            name: "kafka decides: lost answers, late commits, three owners",
            late: 2,
            ..kafka
        },
        Bounds {
            name: "kafka decides: files moved, the janitor",
            late: 1,
            moves: 1,
            janitor: 1,
            ahead: 1,
            ..kafka
        },
        Bounds {
            name: "kafka decides: it forgets, and the last record is adopted",
            late: 1,
            forgets: 1,
            ahead: 1,
            ..kafka
        },
    ]);
    if std::env::var("FOREBAY_EXPLORE").is_ok_and(|w| w == "wide") {
        for bounds in &mut all {
            (bounds.assignments, bounds.ahead, bounds.offsets) = (3, 2, bounds.offsets.max(2));
        }
    }
    all
}

/// Each rule turned off, where that does harm.
fn without() -> Vec<Bounds> {
    let late = Bounds { late: 1, ..CALM };
    let moved = Bounds { moves: 1, rules: Rules { single_use: false, ..ON }, ..CALM };
    vec![
        Bounds {
            name: "without rule 1: a record is read back",
            rules: Rules { read_back: false, ..ON },
            ..late
        },
        Bounds {
            name: "without rule 2: a commit in doubt is not abandoned",
            rules: Rules { resend: false, ..ON },
            ..late
        },
        Bounds {
            name: "without rule 3: the last commit is finished first",
            rules: Rules { finish_first: false, ..ON },
            ..CALM
        },
        Bounds { name: "without rule 4: publishing is single-use (S3)", ..moved },
        Bounds { name: "without rule 4: publishing is single-use (disk)", disk: true, ..moved },
        Bounds {
            name: "without rule 6: the janitor spares its own epoch",
            rules: Rules { janitor_epoch: false, ..ON },
            janitor: 1,
            ..CALM
        },
        Bounds {
            name: "kafka decides: without the fence of generations",
            kafka: true,
            fenced: false,
            late: 1,
            ..CALM
        },
        Bounds {
            name: "kafka decides: without rule 3: the last commit is finished first",
            kafka: true,
            rules: Rules { finish_first: false, ..ON },
            ..CALM
        },
    ]
}

/// Explores all of these, on as many threads as there are.
fn explore_all(all: &[Bounds], shortest: bool) -> Vec<Found> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(bounds) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = explore(bounds, shortest);
                    println!("{}: {} states, {} ms", bounds.name, one.states, one.ms);
                    found.lock().unwrap().push((bounds.name, one));
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    let place = |name: &str| all.iter().position(|b| b.name == name);
    found.sort_by_key(|(name, _)| place(name));
    found.into_iter().map(|(_, found)| found).collect()
}

#[test]
fn protocol_holds_in_every_order_and_with_each_rule_turned_off_it_does_not() {
    let mut table = String::from(
        "| what may happen | offsets | assignments | states | result |\n|---|---|---|---|---|\n",
    );
    let (mut on, mut off) = (scenarios(), without());
    // A part of a name: only the scenarios that have it.
    let part = std::env::var("FOREBAY_EXPLORE").ok().filter(|part| part != "wide");
    if let Some(part) = &part {
        on.retain(|bounds| bounds.name.contains(part.as_str()));
        off.retain(|bounds| bounds.name.contains(part.as_str()));
    }
    for (bounds, found) in on.iter().zip(explore_all(&on, false)) {
        if let Some((wrong, steps)) = found.violation {
            panic!("{}: {wrong}: {steps:#?}", bounds.name);
        }
        assert!(found.complete > 0, "{}: nothing is ever published", bounds.name);
        let (name, offsets, owners) = (bounds.name, bounds.offsets, bounds.assignments);
        writeln!(table, "| {name} | {offsets} | {owners} | {} | holds |", found.states).unwrap();
    }
    for (bounds, found) in off.iter().zip(explore_all(&off, true)) {
        let Bounds { name, offsets, assignments, .. } = bounds;
        let (wrong, steps) = found.violation.unwrap_or_else(|| panic!("{name}: nothing is found"));
        let kind = wrong.split([':', ' ']).next().unwrap_or_default().to_lowercase();
        assert!(kind == "loss" || kind == "duplicate" || kind == "order", "{name}: {wrong}");
        writeln!(
            table,
            "| {name} | {offsets} | {assignments} | | {kind} after {} steps |",
            steps.len()
        )
        .unwrap();
    }
    match std::env::var("FOREBAY_EXPLORE").is_ok() {
        true => println!("{table}"),
        false => compare(&table),
    }
}

const BEGIN: &str = "<!-- made by tests/explorer -->\n";
const END: &str = "<!-- end -->";

/// The table stands in ARCHITECTURE.md; `FOREBAY_BLESS='ARCHITECTURE.md'` renews it.
fn compare(table: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("no place for the table");
    let (there, after) = rest.split_once(END).expect("no end of the table");
    if std::env::var("FOREBAY_BLESS")
        .is_ok_and(|b| "ARCHITECTURE.md".starts_with(b.trim_end_matches('*')))
    {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(there, table, "ARCHITECTURE.md is stale: run with FOREBAY_BLESS=ARCHITECTURE.md");
}
