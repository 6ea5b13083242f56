//! When commits seal, and where their records stand.
//!
//! Owns: the sections `commit` and `state`. Does not own: rules between options (`rules`).

use std::time::Duration;

use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::TimeZone;

use super::forms::sink_url;
use super::model::{Authority, Commit, Schedule, SinkUrl};
use super::values::Values;

/// Where nothing but a schedule asks for commits: longer than any two of its marks are apart.
const NO_INTERVAL: Duration = Duration::from_secs(72 * 3_600);

pub(super) fn commit(v: &mut Values<'_>) -> Commit {
    let flag = |v: &mut Values<'_>, path: &str, yes: &'static str| {
        v.choice(path, &[("stop", false), (yes, true)]).unwrap_or(false)
    };
    let schedule = schedule(v);
    let usual = if schedule.is_some() { NO_INTERVAL } else { Duration::from_secs(600) };
    Commit {
        interval: v.duration("commit.interval").unwrap_or(usual),
        schedule,
        idle: v.duration("commit.idle"),
        rows: v.count("commit.rows"),
        bytes: v.size("commit.bytes"),
        skip_lost_offsets: flag(v, "commit.on_lost_offsets", "skip"),
        restart_recreated: flag(v, "commit.on_recreated_topic", "restart"),
        reset_truncated: flag(v, "commit.on_truncated_log", "reset"),
        ignore_group_ahead: flag(v, "commit.on_group_ahead", "ignore"),
        authority: v
            .choice("commit.authority", &[("store", Authority::Store), ("kafka", Authority::Kafka)])
            .unwrap_or_default(),
        adopt_lost_authority: flag(v, "commit.on_lost_authority", "adopt"),
        record_version: v.count("commit.record_version").unwrap_or(1) as u32,
    }
}

fn schedule(v: &mut Values<'_>) -> Option<Schedule> {
    let every = v.duration("commit.schedule");
    let zone = v.checked("commit.timezone", |name| zone(name).map(|_| ()));
    let zone = zone.and_then(|name| zone_of(&name)).unwrap_or(TimeZone::UTC);
    every.map(|every| Schedule { every, zone })
}

fn zone(name: &str) -> Result<TimeZone, String> {
    zone_of(name).ok_or_else(|| "a time zone (`Europe/Paris`, `UTC`, `+05:30`)".to_owned())
}

fn zone_of(name: &str) -> Option<TimeZone> {
    let zone = DateTimeParser::new().parse_time_zone(name).ok()?;
    (!zone.is_unknown()).then_some(zone)
}

/// The root of `_forebay/`; none where it is the sink's.
pub(super) fn state(v: &mut Values<'_>, sink: &SinkUrl) -> Option<SinkUrl> {
    let text = v.checked("state", |text| sink_url(text).map(|_| ()))?;
    sink_url(&text).ok().filter(|url| url != sink)
}

/// What makes a place for the state unfit beside the sink's; `rejects` is the folder of reject files below it.
pub(super) fn misplaced(state: &SinkUrl, sink: &SinkUrl, rejects: &str) -> Option<String> {
    let (state, sink) = match (state, sink) {
        (SinkUrl::S3 { bucket, prefix }, SinkUrl::S3 { bucket: other, prefix: root }) => {
            if bucket != other {
                return None;
            }
            (prefix.clone(), root.clone())
        }
        (SinkUrl::Local(state), SinkUrl::Local(root)) => {
            (state.display().to_string(), root.display().to_string())
        }
        _ => return Some(format!("`{state}` found beside `{sink}`, two of one kind required")),
    };
    let segments = |path: &str| -> Vec<String> {
        path.split('/').filter(|s| !matches!(*s, "" | ".")).map(str::to_owned).collect()
    };
    let (state, root) = (segments(&state), segments(&sink));
    if let Some(below) = state.strip_prefix(root.as_slice()) {
        let rejects = segments(rejects);
        let of_a_topic = below.first().is_some_and(|first| !first.starts_with('_'));
        let taken = below.starts_with(&rejects) && !rejects.is_empty();
        let nested = below.first().is_some_and(|first| first == "_forebay");
        if of_a_topic || taken || nested {
            return Some(format!(
                "`{}` below the sink found, a first folder that starts with `_` and is not that of the rejects or `_forebay` required",
                below.join("/")
            ));
        }
    }
    let below = root.strip_prefix(state.as_slice())?;
    below.first().is_some_and(|first| first == "_forebay").then(|| {
        "the sink found inside of the state's `_forebay`, a place beside it required".to_owned()
    })
}
