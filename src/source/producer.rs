//! A small producer, for `produce`, the demo and tests.
//!
//! Owns: sending with backpressure, delivery errors, creating topics.
//! Does not own: serialisation. Absent: transactions, async.
//! Bounded by: librdkafka's queue (`queue.buffering.max.messages`, `.kbytes`): a full one makes `send` wait.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Task, Poll, Wake, Waker};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::codes::{CREATE_TOPIC, PRODUCE};
use super::kafka::TokenFetcher;
use super::properties::{self, lower};
use crate::clock;
use crate::config::Secret;
use crate::error::Fault;

/// Longest wait for room in the queue.
const ROOM_WAIT: Duration = Duration::from_secs(60);

/// Longest wait for a new topic's leaders.
const LEADERS_WAIT: Duration = Duration::from_secs(15);

/// What came of the records so far.
#[derive(Default)]
struct Outcome {
    delivered: AtomicU64,
    failed: AtomicU64,
    first: Mutex<Option<String>>,
}

struct Context(Arc<Outcome>);

impl ClientContext for Context {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(target: "forebay::kafka", facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "forebay::kafka", %error, "{reason}");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.0.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                self.0.failed.fetch_add(1, Ordering::Relaxed);
                let mut first = self.0.first.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| lower(&error.to_string()));
            }
        }
    }
}

/// Sends records in order for each Kafka partition. Used from one thread.
pub struct Producer {
    // Before the client: it holds a pointer to it.
    _token: Option<super::kafka::Refresher>,
    inner: BaseProducer<Context>,
    outcome: Arc<Outcome>,
    clock: clock::System,
    brokers: String,
    properties: BTreeMap<String, Secret>,
}

/// One record to send. Everything optional but the topic.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outgoing<'a> {
    pub topic: &'a str,
    /// `None`: by hash of the key (Java's murmur2), or any.
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Milliseconds since 1970; `None`, and 0 (which librdkafka cannot send): now.
    pub timestamp_ms: Option<i64>,
}

impl Producer {
    /// An idempotent producer with lz4; the properties override.
    pub fn new(brokers: &str, properties: &BTreeMap<String, Secret>) -> Result<Self, Fault> {
        Self::with_token(brokers, properties, None)
    }

    /// The same, with OAuth.
    pub fn with_token(
        brokers: &str,
        properties: &BTreeMap<String, Secret>,
        token: Option<TokenFetcher>,
    ) -> Result<Self, Fault> {
        let defaults = [
            ("enable.idempotence", "true"),
            ("compression.type", "lz4"),
            ("linger.ms", "5"),
            ("partitioner", "murmur2_random"),
        ];
        let outcome = Arc::<Outcome>::default();
        let inner: BaseProducer<Context> = properties::client(brokers, properties, &defaults, &[])
            .create_with_context(Context(outcome.clone()))
            .map_err(|e| properties::client_fault(&e))?;
        let token = super::kafka::Refresher::for_client(inner.client(), token)?;
        Ok(Self {
            _token: token,
            inner,
            outcome,
            clock: clock::System::new(),
            brokers: brokers.to_owned(),
            properties: properties.clone(),
        })
    }

    /// Queues a record; waits up to a minute where the queue is full. Whether it arrived, [`Producer::flush`] says.
    ///
    /// Error: `PRODUCE`, where the client refuses the record or stays full.
    pub fn send(&self, record: Outgoing<'_>) -> Result<(), Fault> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in record.headers {
            headers = headers.insert(Header { key, value: *value });
        }
        let mut out = BaseRecord::<[u8], [u8]>::to(record.topic);
        out.partition = record.partition;
        out.key = record.key;
        out.payload = record.value;
        out.timestamp = record.timestamp_ms;
        out.headers = (!record.headers.is_empty()).then_some(headers);
        let end = self.clock.now().mono_ms + ROOM_WAIT.as_millis() as u64;
        loop {
            match self.inner.send(out) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if self.clock.now().mono_ms < end =>
                {
                    out = back;
                    self.inner.poll(Duration::from_millis(100));
                }
                Err((error, _)) => {
                    return Err(Fault::new(
                        &PRODUCE,
                        format!(
                            "record for topic `{}`: {}",
                            record.topic,
                            lower(&error.to_string())
                        ),
                    ));
                }
            }
        }
    }

    /// Waits until every record is delivered or refused. Error: how many were not delivered, and why the first.
    pub fn flush(&self, timeout: Duration) -> Result<(), Fault> {
        let flushed = self.inner.flush(timeout);
        let failed = self.outcome.failed.swap(0, Ordering::Relaxed);
        let first = self.outcome.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (failed, flushed) {
            (0, Ok(())) => Ok(()),
            (0, Err(_)) => Err(Fault::new(
                &PRODUCE,
                format!(
                    "{} records: not delivered in {} ms",
                    self.inner.in_flight_count(),
                    timeout.as_millis()
                ),
            )),
            (failed, _) => Err(Fault::new(
                &PRODUCE,
                format!(
                    "{failed} records: not delivered, the first because of: {}",
                    first.unwrap_or_default()
                ),
            )),
        }
    }

    /// Records that a broker has confirmed.
    pub fn delivered(&self) -> u64 {
        self.outcome.delivered.load(Ordering::Relaxed)
    }

    /// Creates a topic with the cluster's default replication, and waits until its partitions have
    /// leaders. True if it is new, false if it was there.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<bool, Fault> {
        let fault = |text: String| Fault::new(&CREATE_TOPIC, format!("topic `{name}`: {text}"));
        let admin: AdminClient<DefaultClientContext> =
            properties::client(&self.brokers, &self.properties, &[], &[])
                .create()
                .map_err(|e| properties::client_fault(&e))?;
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(15)));
        // -1: the broker's default.
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        let results = wait(admin.create_topics([&topic], &options))
            .map_err(|e| fault(lower(&e.to_string())))?;
        match results.into_iter().next() {
            Some(Ok(_)) => {
                self.await_leaders(name, partitions);
                Ok(true)
            }
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
            Some(Err((_, code))) => Err(fault(lower(&code.to_string()))),
            None => Err(fault("no answer for it".to_owned())),
        }
    }
}

impl Producer {
    /// A cluster says that a topic is made before every broker knows it. Gives up after a while: it is
    /// there, and clients find it in their own time.
    fn await_leaders(&self, name: &str, partitions: i32) {
        let end = self.clock.now().mono_ms + LEADERS_WAIT.as_millis() as u64;
        while self.clock.now().mono_ms < end {
            let metadata = self.inner.client().fetch_metadata(Some(name), Duration::from_secs(5));
            let led = metadata.is_ok_and(|metadata| {
                metadata.topics().iter().any(|topic| {
                    let led = topic.partitions().iter().filter(|p| p.leader() >= 0).count();
                    topic.name() == name && i32::try_from(led).is_ok_and(|led| led >= partitions)
                })
            });
            if led {
                return;
            }
            self.clock.block(Duration::from_millis(50));
        }
    }
}

/// Drives a future whose work is done by another thread (the admin client's).
fn wait<F: Future>(future: F) -> F::Output {
    struct Parked(std::thread::Thread);
    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Parked(std::thread::current())));
    let mut task = Task::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut task) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park_timeout(Duration::from_millis(100)),
        }
    }
}
