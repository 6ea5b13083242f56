//! Every order of events within small bounds, over the real `commit::machine`: two workers that nobody keeps
//! apart, deaths at any point, lost and late answers, files moved downstream, uploads that a lifecycle rule
//! aborts, operators' repairs. The rules of the protocol hold what it promises; with one of them turned off the
//! explorer finds the loss or the duplicate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod world;

use std::collections::{HashSet, VecDeque};
use std::fmt::Write;
use std::rc::Rc;

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
    vec![
        Bounds { name: "two owners, deaths at any point", offsets: 3, ..CALM },
        Bounds { name: "+ lost and late puts of records", late: 2, ..CALM },
        Bounds { name: "+ void records for commits in doubt", late: 1, voids: 1, ..CALM },
        Bounds { name: "+ files moved downstream", moves: 1, late: 1, ..CALM },
        Bounds { name: "+ a lifecycle rule, repairs", expire: 1, repairs: 1, ..CALM },
        Bounds { name: "+ the janitor", janitor: 2, late: 1, ..CALM },
        Bounds { name: "local disk", disk: true, late: 1, moves: 1, ..CALM },
    ]
}

fn without() -> Vec<(&'static str, Bounds)> {
    let late = Bounds { late: 1, ..CALM };
    vec![
        ("1 read back", Bounds { rules: Rules { read_back: false, ..ON }, ..late }),
        ("2 never abandon", Bounds { rules: Rules { resend: false, ..ON }, ..late }),
        ("3 finish first", Bounds { rules: Rules { finish_first: false, ..ON }, ..CALM }),
        ("4 single use, S3", Bounds { rules: Rules { single_use: false, ..ON }, moves: 1, ..CALM }),
        (
            "4 single use, disk",
            Bounds { rules: Rules { single_use: false, ..ON }, moves: 1, disk: true, ..CALM },
        ),
        (
            "6 janitor's epoch",
            Bounds { rules: Rules { janitor_epoch: false, ..ON }, janitor: 1, ..CALM },
        ),
    ]
}

#[test]
fn protocol_holds_in_every_order_of_events() {
    let only = std::env::var("FOREBAY_EXPLORE").ok();
    for bounds in scenarios() {
        if only.as_ref().is_some_and(|o| !bounds.name.contains(o)) {
            continue;
        }
        let found = explore(&bounds, false);
        println!(
            "{}: {} states, {} complete, {} ms",
            bounds.name, found.states, found.complete, found.ms
        );
        if let Some((wrong, steps)) = found.violation {
            panic!("{}: {wrong}: {steps:#?}", bounds.name);
        }
        assert!(found.complete > 0, "{}: nothing is ever published", bounds.name);
    }
}

#[test]
fn each_rule_turned_off_loses_or_duplicates() {
    for (rule, bounds) in without() {
        let found = explore(&bounds, true);
        let (wrong, steps) = found.violation.unwrap_or_else(|| panic!("{rule}: nothing found"));
        let mut text = String::new();
        for step in &steps {
            write!(text, "{step:?} ").unwrap();
        }
        println!("{rule}: {wrong} ({} states, {} ms): {text}", found.states, found.ms);
    }
}
