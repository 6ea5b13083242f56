//! Offsets committed to the group, with an answer within a bound.
//!
//! The wrapper's commits wait for the coordinator as long as that takes, or tell a callback; this one has
//! a queue of its own to look at, and a late answer finds nobody.

use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::ANSWER_MAX;
use super::context::Context;
use super::raw::{Event, Queue};
use crate::error::Fault;
use crate::position::{Offset, TopicPartition};
use crate::source::Ticket;
use crate::source::codes::COMMIT;
use crate::source::properties::lower;

/// A commit that the broker has not answered yet.
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    /// None: there was nothing to send.
    queue: Option<Queue>,
    /// By the steady clock, in ms.
    until_ms: u64,
    /// What is wrong with it whatever the broker says.
    but: Option<Fault>,
}

impl Pending {
    /// Sends the next offset to read of each partition, with its metadata text (may be empty).
    pub(super) fn send(
        client: &BaseConsumer<Context>,
        offsets: &[(TopicPartition, Offset, String)],
        but: Option<Fault>,
        ticket: Ticket,
        now_ms: u64,
    ) -> Result<Self, Fault> {
        let until_ms = now_ms.saturating_add(ANSWER_MAX.as_millis() as u64);
        if offsets.is_empty() {
            return Ok(Self { ticket, queue: None, until_ms, but });
        }
        let list = list(offsets)?;
        let rk = client.client().native_ptr();
        let queue = Queue::new(client.client())
            .ok_or_else(|| Fault::new(&COMMIT, "offset commit: no queue"))?;
        // SAFETY: the list is copied by the call; no callback is given.
        let err = unsafe {
            sys::rd_kafka_commit_queue(rk, list.ptr(), queue.raw(), None, std::ptr::null_mut())
        };
        refuse(err.into(), "")?;
        Ok(Self { ticket, queue: Some(queue), until_ms, but })
    }

    /// The answer, if it is there or overdue. Does not wait.
    pub(super) fn answer(&mut self, now_ms: u64) -> Option<Result<(), Fault>> {
        let but = self.but.clone();
        let Some(queue) = &self.queue else { return Some(but.map_or(Ok(()), Err)) };
        match queue.wait(Duration::ZERO) {
            Some(event) => Some(read(&event).and_then(|()| but.map_or(Ok(()), Err))),
            None if now_ms < self.until_ms => None,
            None => {
                let wait = ANSWER_MAX.as_millis();
                Some(Err(Fault::new(
                    &COMMIT,
                    format!(
                        "offset commit: no answer in {wait} ms; sent again with the next commit"
                    ),
                )))
            }
        }
    }
}

fn read(event: &Event) -> Result<(), Fault> {
    // SAFETY: reads a live event.
    refuse(unsafe { sys::rd_kafka_event_error(event.raw()) }.into(), "")?;
    // SAFETY: the list, if any, belongs to the event: it is looked at and not dropped.
    let answered = unsafe { sys::rd_kafka_event_topic_partition_list(event.raw()) };
    partition_errors(answered)
}

pub(super) fn list(
    offsets: &[(TopicPartition, Offset, String)],
) -> Result<TopicPartitionList, Fault> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, offset, metadata) in offsets {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        if element.set_offset(rdkafka::Offset::Offset(*offset)).is_err() || *offset < 0 {
            return Err(Fault::new(
                &COMMIT,
                format!("offset commit of `{partition}`: offset `{offset}`, 0 or more required"),
            ));
        }
        if !metadata.is_empty() {
            element.set_metadata(metadata);
        }
    }
    Ok(list)
}

/// The first partition of an answer that was refused.
fn partition_errors(list: *mut sys::rd_kafka_topic_partition_list_t) -> Result<(), Fault> {
    let Some(list) = NonNull::new(list) else { return Ok(()) };
    // SAFETY: a live list of its event; `elems` holds `cnt` elements.
    let elements = unsafe {
        let list = list.as_ref();
        match usize::try_from(list.cnt) {
            Ok(count) if !list.elems.is_null() => std::slice::from_raw_parts(list.elems, count),
            _ => &[],
        }
    };
    for element in elements {
        // SAFETY: `err` is a C enum of 32 bits, read as a number: a broker may send any.
        let err = unsafe { (&raw const element.err).cast::<i32>().read() };
        if err != 0 {
            let partition = element.partition;
            return Err(Fault::new(
                &COMMIT,
                format!("offset commit of kafka partition `{partition}`: kafka error {err}"),
            ));
        }
    }
    Ok(())
}

fn refuse(code: RDKafkaErrorCode, what: &str) -> Result<(), Fault> {
    if code == RDKafkaErrorCode::from(RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR) {
        return Ok(());
    }
    Err(Fault::new(&COMMIT, format!("offset commit{what}: {}", lower(&code.to_string()))))
}
