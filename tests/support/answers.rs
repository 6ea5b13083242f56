//! Questions to a source whose answer a test waits for.

use std::time::Duration;

use ::forebay::clock::System;
use ::forebay::error::Fault;
use ::forebay::position::{Offset, TopicPartition};
use ::forebay::source::{Event, Source, Starts};

/// Only a test that hangs gets here.
const PATIENCE_MS: u64 = 60_000;

/// Where partitions start. What else happens meanwhile goes to `events`; no records are read.
pub fn starts(
    source: &mut impl Source,
    partitions: &[TopicPartition],
    events: &mut Vec<Event>,
) -> Result<Starts, Fault> {
    let ticket = source.resolve_start(partitions)?;
    answer(source, events, |event| match event {
        Event::Starts(of, answer) if *of == ticket => Some(answer.clone()),
        _ => None,
    })
}

/// Commits, as [`starts`] asks.
pub fn commit(
    source: &mut impl Source,
    offsets: &[(TopicPartition, Offset, String)],
    events: &mut Vec<Event>,
) -> Result<(), Fault> {
    let ticket = source.commit(offsets)?;
    answer(source, events, |event| match event {
        Event::Committed(of, answer) if *of == ticket => Some(answer.clone()),
        _ => None,
    })
}

fn answer<T>(
    source: &mut impl Source,
    events: &mut Vec<Event>,
    is_it: impl Fn(&Event) -> Option<T>,
) -> T {
    let clock = System::new();
    loop {
        assert!(clock.now().mono_ms < PATIENCE_MS, "no answer");
        let mut more = Vec::new();
        source.poll(Duration::from_millis(20), &mut |_| 0, &mut more);
        let found = more.iter().position(|event| is_it(event).is_some());
        let answer = found.and_then(|at| is_it(&more.remove(at)));
        events.append(&mut more);
        if let Some(answer) = answer {
            return answer;
        }
    }
}
