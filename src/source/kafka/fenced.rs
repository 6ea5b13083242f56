//! Offset commits that the coordinator refuses once the group has a later generation: for `commit.authority: kafka`.
//!
//! Owns: a transactional producer that sends nothing but offsets, on a thread of its own; making it anew after
//! anything but success. Does not own: which generation a commit carries (`context` notes it at each rebalance, before
//! the group is answered).
//! Bounded by: one transaction at a time; those that wait are the tasks' commits under way.
//!
//! Why not the consumer's own offset commit: librdkafka fills in the generation when it sends, not when it is asked.
//! A commit that waits for the coordinator is sent with a later generation, and once the group has thrown the member
//! out, with none: which a coordinator takes from anybody as soon as the group is empty. Here each commit carries the
//! generation (and member id) of the last rebalance that this process has heard of. It cannot be a later one than
//! that in which the Kafka partition was held, for the group goes on only after it was answered.
//!
//! Why a transaction: the offset can be committed with a generation in no other way; and whoever reads the offset
//! waits until no transaction has it in hand (`isolation.level` is `read_committed`), so that what was read is final.
//! After a failure the producer is made anew under the same transactional id: that ends the transaction of the one
//! before, and refuses whatever of it comes late.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;

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

/// A commit, and the member that it is of.
struct Batch {
    ticket: Ticket,
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
        let defaults = [("enable.idempotence", "true")];
        let owned = [("transactional.id", id), ("transaction.timeout.ms", TRANSACTION_MS)];
        let config = properties::client(&source.brokers, &source.properties, &defaults, &owned);
        let (send, batches) = channel::<Batch>();
        let (tell, answers) = channel();
        let run = move || {
            let mut session = Session { config, token, producer: None };
            for batch in batches {
                let result = session.commit(&batch);
                if tell.send((batch.ticket, result)).is_err() {
                    return;
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
            .send(Batch { ticket, offsets, member })
            .map_err(|_| Fault::new(&COMMIT, "offset commit: its thread is gone"))
    }

    /// An answer, if one is there. Does not wait.
    pub(super) fn answer(&self) -> Option<(Ticket, Result<(), Fault>)> {
        self.answers.try_recv().ok()
    }
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
    fn commit(&mut self, batch: &Batch) -> Result<(), Fault> {
        let client = match self.producer.take() {
            Some(client) => client,
            None => self.open()?,
        };
        let producer = &client.producer;
        producer.begin_transaction().map_err(|e| fault("begin", &e))?;
        if let Err(e) = producer.send_offsets_to_transaction(&batch.offsets, &batch.member, WAIT) {
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
