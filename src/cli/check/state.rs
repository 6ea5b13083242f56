//! What stands at the place of the state already: the pipeline's own `format` object, its neighbours, and the
//! bucket's own rules.
//!
//! Absent: writing. What a run would create is not created here.

use super::report::{Area, Report};
use crate::commit::neighbours::Pipeline as Neighbour;
use crate::commit::record::Format;
use crate::config::Pipeline;
use crate::error::Fault;
use crate::pipeline::state;
use crate::store::{Probe, Store};

pub(super) async fn check(store: &Store, probe: &Probe, pipeline: &Pipeline, report: &mut Report) {
    let cluster = report.brokers.as_ref().and_then(|(_, cluster)| cluster.clone());
    match state::format(pipeline, cluster, probe) {
        Ok(own) => {
            if let Err(fault) = own_format(store, &own).await {
                report.find(Area::Configuration, [fault]);
            }
        }
        Err(fault) => report.find(Area::Sink, [fault]),
    }
    let topics: Vec<String> = report.topics.iter().map(|t| t.name.clone()).collect();
    let own = Neighbour::named(&pipeline.name, &state::root(&pipeline.sink.url), &topics);
    match state::neighbours(store, &pipeline.name).await {
        Ok(found) => {
            let faults = found.iter().filter_map(|other| own.beside(other).err());
            report.find(Area::Configuration, faults);
        }
        Err(fault) => report.find(Area::Sink, [fault]),
    }
    match store.lifecycle().await {
        Ok(rules) => {
            let sink = &pipeline.sink;
            let age = pipeline.commit.age_max();
            let found = |rule: &crate::store::LifecycleRule| {
                rule.findings(&sink.url, sink.state_url(), age)
            };
            report.find(Area::Sink, rules.iter().flat_map(found));
        }
        // Many stores have no such rules, and many a key may not ask for them.
        Err(fault) => {
            if let Some(sink) = &mut report.sink {
                sink.notes.push(format!("the bucket's lifecycle rules are not known: {fault}"));
            }
        }
    }
    if let Some(sink) = &mut report.sink
        && sink.revives == Some(true)
    {
        sink.notes.push(
            "publishing a file once more brings it back after it was moved away: recoveries look for it first, and \
             a file that was published, moved away and whose commit Kafka has not heard of can come back"
                .to_owned(),
        );
    }
}

/// The pipeline's own `format` object, if it has run before, admits this configuration.
async fn own_format(store: &Store, own: &Format) -> Result<(), Fault> {
    let key = Format::key(&own.pipeline);
    let Some(there) = store.get(&key).await? else { return Ok(()) };
    Format::parse(&there).and_then(|there| there.admits(own)).map_err(|f| f.at(key))
}
