//! Handles of librdkafka that the wrapper does not offer: a queue of one's own, and its events.

use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};

/// A queue for the answer to one call. A late answer goes with it.
pub(super) struct Queue(NonNull<sys::rd_kafka_queue_t>);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, destroyed once.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

impl Queue {
    pub(super) fn new<C: ClientContext>(client: &Client<C>) -> Option<Self> {
        // SAFETY: a live client.
        NonNull::new(unsafe { sys::rd_kafka_queue_new(client.native_ptr()) }).map(Self)
    }

    pub(super) fn raw(&self) -> *mut sys::rd_kafka_queue_t {
        self.0.as_ptr()
    }

    /// The answer, if it comes in time.
    pub(super) fn wait(&self, time: Duration) -> Option<Event> {
        let ms = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: a live queue.
        NonNull::new(unsafe { sys::rd_kafka_queue_poll(self.0.as_ptr(), ms) }).map(Event)
    }
}

/// An answer. What is read from it lives as long as it.
pub(super) struct Event(NonNull<sys::rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: returned by `rd_kafka_queue_poll`, destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

impl Event {
    pub(super) fn raw(&self) -> *mut sys::rd_kafka_event_t {
        self.0.as_ptr()
    }
}
