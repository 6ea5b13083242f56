//! Offset commits that the coordinator refuses once the group has a later generation: for `commit.authority: kafka`.
//!
//! Owns: a transactional producer that sends nothing but offsets, on a thread of its own; making it anew after
//! anything but success. Does not own: which generation a commit carries (`context` notes it at each rebalance, before
//! the group is answered).
//! Bounded by: one transaction at a time, for all that wait of one member; those are the tasks' commits under way.
//!
//! Why not the consumer's own offset commit: librdkafka fills in the generation when it sends, not when it is asked.
//! A commit that waits for the coordinator is sent with a later generation, and once the group has thrown the member
//! out, with none: which a coordinator takes from anybody as soon as the group is empty. Here each commit carries the
//! generation (and member id) in which the Kafka partition was ours for certain (`members`).
//!
//! Why a transaction: the offset can be committed with a generation in no other way; and whoever reads the offset
//! waits until no transaction has it in hand (`isolation.level` is `read_committed`), so that what was read is final.
//! After a failure the producer is made anew under the same transactional id: that ends the transaction of the one
//! before, and refuses whatever of it comes late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::{TopicPartitionList, TopicPartitionListElem};

use super::token::{Refresher, TokenFetcher};
use crate::config;
use crate::error::Fault;
use crate::source::Ticket;
use crate::source::codes::COMMIT;
use crate::source::properties::{self, lower};

/// Longest wait for each step of a transaction.
const WAIT: Duration = Duration::from_secs(10);
/// Longest wait for giving a transaction up; without an answer it ends by its timeout.
const ABORT_WAIT: Duration = Duration::from_secs(2);
/// After so long the coordinator ends a transaction whose owner is gone: as long may its successor wait.
const TRANSACTION_MS: &str = "15000";
/// Longest wait for one answer: a client whose requests outlive its transactions cannot be made.
const SOCKET_MS_MAX: u64 = 10_000;

/// Commits, and the member that they are of.
struct Batch {
    tickets: Vec<Ticket>,
    offsets: TopicPartitionList,
    member: Arc<ConsumerGroupMetadata>,
}

/// The thread that commits; it ends with this.
pub(super) struct Committer {
    send: Sender<Batch>,
    answers: Receiver<(Ticket, Result<(), Fault>)>,
}

impl Committer {
    /// `id` is unique to this process. Nothing is asked of the brokers before the first commit.
    pub(super) fn begin(
        source: &config::Source,
        id: &str,
        token: Option<TokenFetcher>,
    ) -> Result<Self, Fault> {
        let config = config(source, id);
        // What the client refuses of the properties is known at the start, without a word to the brokers.
        let producer: BaseProducer<Quiet> =
            config.create_with_context(Quiet).map_err(|e| properties::client_fault(&e))?;
        drop(producer);
        let (send, batches) = channel::<Batch>();
        let (tell, answers) = channel();
        let run = move || {
            let mut session = Session { config, token, producer: None };
            while let Ok(first) = batches.recv() {
                let mut waiting = VecDeque::from([first]);
                waiting.extend(batches.try_iter());
                while let Some(batch) = next_of(&mut waiting) {
                    let mut done = batch.tickets;
                    let result = match session.begin() {
                        Ok(client) => session.commit(client, &batch.offsets, &batch.member),
                        Err(fault) => {
                            // Each of the others would wait as long for the same brokers.
                            done.extend(waiting.drain(..).flat_map(|batch| batch.tickets));
                            Err(fault)
                        }
                    };
                    for ticket in done {
                        if tell.send((ticket, result.clone())).is_err() {
                            return;
                        }
                    }
                }
            }
        };
        std::thread::Builder::new()
            .name("kafka-commit".into())
            .spawn(run)
            .map_err(|e| Fault::new(&COMMIT, format!("offset commits: no thread: {e}")))?;
        Ok(Self { send, answers })
    }

    pub(super) fn send(
        &self,
        ticket: Ticket,
        offsets: TopicPartitionList,
        member: Arc<ConsumerGroupMetadata>,
    ) -> Result<(), Fault> {
        self.send
            .send(Batch { tickets: vec![ticket], offsets, member })
            .map_err(|_| Fault::new(&COMMIT, "offset commit: its thread is gone"))
    }

    /// An answer, if one is there. Does not wait.
    pub(super) fn answer(&self) -> Option<(Ticket, Result<(), Fault>)> {
        self.answers.try_recv().ok()
    }
}

/// Settings that the user's properties, made for a consumer, must not spoil.
fn config(source: &config::Source, id: &str) -> ClientConfig {
    let given = source.properties.get("socket.timeout.ms").and_then(|p| p.reveal().parse().ok());
    let socket_ms = given.unwrap_or(SOCKET_MS_MAX).min(SOCKET_MS_MAX).to_string();
    let owned = [
        ("transactional.id", id),
        ("transaction.timeout.ms", TRANSACTION_MS),
        ("message.timeout.ms", TRANSACTION_MS),
        ("socket.timeout.ms", &socket_ms),
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("max.in.flight.requests.per.connection", "5"),
    ];
    properties::client(&source.brokers, &source.properties, &[], &owned)
}

/// The next commits that go together: those of one member, and each Kafka partition once.
fn next_of(waiting: &mut VecDeque<Batch>) -> Option<Batch> {
    let mut first = waiting.pop_front()?;
    while let Some(next) = waiting.front() {
        let twice = |e: &TopicPartitionListElem<'_>| {
            first.offsets.find_partition(e.topic(), e.partition()).is_some()
        };
        let apart = !Arc::ptr_eq(&first.member, &next.member);
        if apart || next.offsets.elements().iter().any(twice) {
            break;
        }
        let Some(next) = waiting.pop_front() else { break };
        for element in next.offsets.elements() {
            let mut added = first.offsets.add_partition(element.topic(), element.partition());
            // It was taken before.
            let _ = added.set_offset(element.offset());
            added.set_metadata(element.metadata());
        }
        first.tickets.extend(next.tickets);
    }
    Some(first)
}

struct Client {
    // Before the client: it holds a pointer to it.
    _token: Option<Refresher>,
    producer: BaseProducer<Quiet>,
}

struct Session {
    config: ClientConfig,
    token: Option<TokenFetcher>,
    producer: Option<Client>,
}

impl Session {
    /// A transaction without anything in it.
    fn begin(&mut self) -> Result<Client, Fault> {
        let client = match self.producer.take() {
            Some(client) => client,
            None => self.open()?,
        };
        match client.producer.begin_transaction() {
            Ok(()) => return Ok(client),
            // Nothing was sent.
            Err(e) => tracing::debug!("the producer of offset commits is made anew: {e}"),
        }
        drop(client);
        let client = self.open()?;
        client.producer.begin_transaction().map_err(|e| fault("begin", &e))?;
        Ok(client)
    }

    fn commit(
        &mut self,
        client: Client,
        offsets: &TopicPartitionList,
        member: &ConsumerGroupMetadata,
    ) -> Result<(), Fault> {
        let producer = &client.producer;
        if let Err(e) = producer.send_offsets_to_transaction(offsets, member, WAIT) {
            // Else whoever reads the offset waits for the timeout.
            let _ = producer.abort_transaction(ABORT_WAIT);
            return Err(fault("offsets", &e));
        }
        producer.commit_transaction(WAIT).map_err(|e| fault("commit", &e))?;
        self.producer = Some(client);
        Ok(())
    }

    fn open(&self) -> Result<Client, Fault> {
        let producer: BaseProducer<Quiet> =
            self.config.create_with_context(Quiet).map_err(|e| properties::client_fault(&e))?;
        let token = Refresher::for_client(producer.client(), self.token.clone())?;
        producer.init_transactions(WAIT).map_err(|e| fault("start", &e))?;
        Ok(Client { _token: token, producer })
    }
}

#[cold]
fn fault(step: &str, error: &KafkaError) -> Fault {
    let text = lower(&error.to_string());
    Fault::new(&COMMIT, format!("offset commit, {step} of its transaction: {text}"))
}

/// Says in the debug log what the client says.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(target: "forebay::kafka", facility, "{text}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "forebay::kafka", %error, "{reason}");
    }
}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Secret, Start, Topics};

    /// What consumers are often given would keep the client from being made, at the first commit and at each one.
    #[test]
    fn properties_made_for_a_consumer_do_not_keep_offsets_from_being_committed() {
        let given = [
            ("socket.timeout.ms", "60000"),
            ("message.timeout.ms", "300000"),
            ("enable.idempotence", "false"),
            ("acks", "1"),
            ("max.in.flight.requests.per.connection", "1000"),
        ];
        let given = given.map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())));
        let source = config::Source {
            brokers: "127.0.0.1:1".into(),
            topics: Topics::Names(vec!["t".into()]),
            group: "g".into(),
            start: Start::Auto,
            properties: BTreeMap::from(given),
            oauth: None,
        };
        assert!(Committer::begin(&source, "id", None).is_ok());
    }

    /// What the client would refuse at each commit is refused at the start.
    #[test]
    fn properties_that_no_transaction_has_are_refused_at_the_start() {
        let retries = [("retries".to_owned(), Secret::new("0".to_owned()))];
        let source = config::Source {
            brokers: "127.0.0.1:1".into(),
            topics: Topics::Names(vec!["t".into()]),
            group: "g".into(),
            start: Start::Auto,
            properties: BTreeMap::from(retries),
            oauth: None,
        };
        let refused = Committer::begin(&source, "id", None).err().unwrap();
        assert_eq!(refused.code.id, "FB0504");
    }
}
