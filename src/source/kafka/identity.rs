//! Which topic it is: the id that a broker gave it, new when a topic is deleted and made again.
//!
//! A consumer does not notice a topic that was made anew with offsets beyond its position; the commit
//! chain does, by this id. Brokers before Kafka 2.8, and some that only speak its protocol, have none.

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::sync::Arc;

use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR as NO_ERROR;

use super::ANSWER_MAX;
use super::context::Context;
use super::raw::{Event, Queue};
use super::start::with_recent;
use crate::error::Fault;
use crate::source::codes::BROKERS;
use crate::source::properties::lower;

struct Names(NonNull<sys::rd_kafka_TopicCollection_t>);

impl Drop for Names {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_TopicCollection_of_topic_names`, destroyed once.
        unsafe { sys::rd_kafka_TopicCollection_destroy(self.0.as_ptr()) }
    }
}

/// What a broker says a topic is; nothing where it says nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) id: Option<String>,
    /// How many Kafka partitions it has.
    pub(super) partitions: Option<u32>,
}

/// Topic ids in the order asked for, as Kafka's tools write them (base64); `None` where there is none.
pub(super) fn topic_ids(
    client: &BaseConsumer<Context>,
    topics: &[Arc<str>],
) -> Result<Vec<Option<String>>, Fault> {
    // A topic that is gone says nothing of itself.
    let id = |about: Result<About, Fault>| about.ok().and_then(|about| about.id);
    describe(client, topics).map(|found| found.into_iter().map(id).collect())
}

/// Topics in the order asked for. The outer error: no answer; an inner one concerns its topic only.
pub(super) fn describe(
    client: &BaseConsumer<Context>,
    topics: &[Arc<str>],
) -> Result<Vec<Result<About, Fault>>, Fault> {
    let fault = |text: &str| Fault::new(&BROKERS, format!("ids of topics: {text}"));
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<CString> = topics.iter().filter_map(|t| CString::new(&**t).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|n| n.as_ptr()).collect();
    // SAFETY: the names are copied.
    let names = NonNull::new(unsafe {
        sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len())
    })
    .map(Names)
    .ok_or_else(|| fault("no memory"))?;
    if !has_controller(client) {
        return Ok(vec![Ok(About::default()); topics.len()]);
    }
    let queue = Queue::new(client.client()).ok_or_else(|| fault("no queue"))?;
    // SAFETY: a live client, queue and collection; null options are the defaults; all is copied.
    unsafe {
        sys::rd_kafka_DescribeTopics(
            client.client().native_ptr(),
            names.0.as_ptr(),
            std::ptr::null(),
            queue.raw(),
        );
    }
    let event = queue.wait(ANSWER_MAX).ok_or_else(|| fault(&with_recent(client, &"no answer")))?;
    // SAFETY: a live event.
    let err = RDKafkaErrorCode::from(unsafe { sys::rd_kafka_event_error(event.raw()) });
    if err != RDKafkaErrorCode::NoError {
        return Err(fault(&with_recent(client, &err)));
    }
    let found = read(&event);
    let about = |topic: &Arc<str>| {
        let missing = || Err(fault(&format!("no answer for `{topic}`")));
        found.get(&**topic).cloned().unwrap_or_else(missing)
    };
    Ok(topics.iter().map(about).collect())
}

/// The question goes to the controller. Where the one that the brokers name is none of them (librdkafka's mock
/// cluster), it would never be answered; brokers between two controllers name none, and are asked.
fn has_controller(client: &BaseConsumer<Context>) -> bool {
    let brokers = client.fetch_metadata(Some("_"), ANSWER_MAX);
    // The one of this answer, and not one of before that has left since.
    // SAFETY: a live client.
    let id = unsafe { sys::rd_kafka_controllerid(client.client().native_ptr(), 0) };
    id < 0 || brokers.map_or(true, |m| m.brokers().iter().any(|b| b.id() == id))
}

/// Topics by name.
fn read(event: &Event) -> HashMap<String, Result<About, Fault>> {
    let mut count = 0;
    // SAFETY: a live event; the result, if it is one of this kind, lives as long as it.
    let topics = unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event.raw());
        if result.is_null() {
            return HashMap::new();
        }
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if topics.is_null() {
            return HashMap::new();
        }
        std::slice::from_raw_parts(topics, count)
    };
    // SAFETY: each pointer is a description that belongs to the result.
    topics.iter().filter_map(|topic| unsafe { read_one(*topic) }).collect()
}

/// SAFETY (for the caller): null, or a description that lives.
unsafe fn read_one(
    topic: *const sys::rd_kafka_TopicDescription_t,
) -> Option<(String, Result<About, Fault>)> {
    if topic.is_null() {
        return None;
    }
    // SAFETY: a live description; what it returns lives as long as it.
    unsafe {
        let name = sys::rd_kafka_TopicDescription_name(topic);
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        if name.is_null() {
            return None;
        }
        let text = |c: *const c_char| CStr::from_ptr(c).to_string_lossy().into_owned();
        let name = text(name);
        let error = sys::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() && sys::rd_kafka_error_code(error) != NO_ERROR {
            // With it comes an id of zeros, which would say that the topic has none.
            let said = text(sys::rd_kafka_error_string(error));
            return Some((name.clone(), Err(refused(&name, &said))));
        }
        let zero = id.is_null()
            || (sys::rd_kafka_Uuid_most_significant_bits(id) == 0
                && sys::rd_kafka_Uuid_least_significant_bits(id) == 0);
        let id = if zero { std::ptr::null() } else { sys::rd_kafka_Uuid_base64str(id) };
        let id = (!id.is_null()).then(|| text(id));
        let mut count = 0;
        sys::rd_kafka_TopicDescription_partitions(topic, &mut count);
        let partitions = u32::try_from(count).ok().filter(|count| *count > 0);
        Some((name, Ok(About { id, partitions })))
    }
}

fn refused(topic: &str, said: &str) -> Fault {
    Fault::new(&BROKERS, format!("id of topic `{topic}`: {}", lower(said)))
}
