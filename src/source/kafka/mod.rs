//! The Kafka source: one consumer of a group, used from one thread.
//!
//! Owns: the client, the partition queues, and what is answered to the group.
//! Does not own: start offsets (`start` resolves what the group and the configuration say; the driver
//! decides), when offsets are committed.
//! Bounded by: `queue_bytes` for each Kafka partition in librdkafka, `room` for what is handed on.
//!
//! Rebalances, as librdkafka's cooperative protocol wants them:
//! - *Assigned* is answered at once with an empty assignment, so that the partitions we kept go on
//!   flowing and the group can rebalance again while the driver recovers the new ones. Each is
//!   assigned to the client when the driver starts it, with its explicit offset.
//! - *Revoked* is answered when the driver has released every partition of the list. Until then
//!   librdkafka pauses all partitions of this member, and the group waits: flush within a budget.
//! - *Lost* is answered at once.

mod commit;
mod context;
mod describe;
mod errors;
mod fenced;
mod group;
mod identity;
mod lanes;
mod look;
mod members;
mod queue;
mod raw;
mod start;
mod token;

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use self::context::{Context, News};
use self::group::Group;
use self::lanes::Lane;
use self::members::Members;
use self::queue::MESSAGES_MAX;
use super::codes::{ASSIGNMENT, BROKERS, COMMIT, FATAL, INSTANCE, TOPICS};
use super::properties::{self, lower};
use super::{Event, Source, Ticket, Watermarks, topics};
use crate::clock;
use crate::config;
use crate::error::Fault;
use crate::position::{Offset, TopicPartition};

pub use self::describe::{Description, TopicInfo, describe};
#[doc(hidden)]
pub use self::errors::stops;
pub use self::look::{Look, Stretch};
pub(super) use self::token::Refresher;
pub use self::token::{Token, TokenFetcher};

/// Longest wait of one poll: how late a record can be noticed.
const WAIT_MAX: Duration = Duration::from_millis(20);
/// Longest wait for a broker's answer in one call.
const ANSWER_MAX: Duration = Duration::from_secs(4);
/// Longest wait for leaving the group.
const CLOSE_MAX: Duration = Duration::from_secs(8);

/// What a source needs beside the configuration.
#[derive(Clone, Default)]
pub struct Options {
    /// Bytes that one Kafka partition may hold unread in the client: budget divided by the partitions
    /// expected. Range 64 KiB to 1 GiB; 0 means 4 MiB. A fetch in flight may overshoot it by 1 MiB or one batch.
    pub queue_bytes: usize,
    /// Commits offsets in transactions of this id, fenced by the group's generation.
    pub transactional_id: Option<String>,
    /// Fetches OAuth tokens; needed with `sasl.mechanism` OAUTHBEARER.
    pub token: Option<TokenFetcher>,
}

/// Records of a consumer group's share of some topics.
pub struct KafkaSource {
    // Before the client: queues hold messages that must go first.
    lanes: Vec<Lane>,
    group: Group,
    /// An assignment came while a revoke was open: it is answered after it.
    owes_assign: bool,
    members: Members<Arc<ConsumerGroupMetadata>>,
    /// Where the next turn starts, so that a shared room serves all.
    turn: usize,
    buffer: Vec<*mut sys::rd_kafka_message_t>,
    clock: clock::System,
    positions_at: u64,
    fatal: bool,
    config: config::Source,
    token: Option<token::Refresher>,
    /// Tickets given.
    tickets: u64,
    commits: Vec<commit::Pending>,
    fenced: Option<fenced::Committer>,
    questions: Vec<Question>,
    client: Option<Arc<BaseConsumer<Context>>>,
}

/// A question that a thread of its own waits with.
struct Question {
    ticket: Ticket,
    answer: mpsc::Receiver<Event>,
    /// What a question comes to that nobody asks any more.
    given_up: fn(Ticket, Fault) -> Event,
}

// SAFETY: the raw pointers in `buffer` never outlive one call; the rest is `Send` by itself.
unsafe impl Send for KafkaSource {}

impl KafkaSource {
    /// Makes the client and subscribes. Does not wait for brokers.
    ///
    /// Errors: everything that [`super::check`] finds (the first of it), `CLIENT`, `TOPICS`.
    pub fn open(source: &config::Source, options: Options) -> Result<Self, Fault> {
        if let Some(fault) = super::check(source).into_iter().next() {
            return Err(fault);
        }
        let bytes = if options.queue_bytes == 0 { 4 << 20 } else { options.queue_bytes };
        let client = connect(&properties::consumer(source, bytes))?;
        let fenced = match &options.transactional_id {
            Some(id) => Some(fenced::Committer::begin(source, id, options.token.clone())?),
            None => None,
        };
        let token = token::Refresher::begin(&client, options.token)?;
        let subscription = topics::subscription(&source.topics);
        let names: Vec<&str> = subscription.iter().map(String::as_str).collect();
        client.subscribe(&names).map_err(|e| {
            Fault::new(&TOPICS, format!("topics `{}`: {}", names.join(", "), lower(&e.to_string())))
        })?;
        Ok(Self {
            lanes: Vec::new(),
            group: Group::default(),
            owes_assign: false,
            members: Members::default(),
            turn: 0,
            buffer: Vec::with_capacity(MESSAGES_MAX),
            clock: clock::System::new(),
            positions_at: 0,
            fatal: false,
            config: source.clone(),
            token,
            tickets: 0,
            commits: Vec::new(),
            fenced,
            questions: Vec::new(),
            client: Some(Arc::new(client)),
        })
    }

    /// What the client said last, oldest first: for messages about a source that does not come up.
    pub fn recent_errors(&self) -> Vec<String> {
        self.client.as_ref().map(|c| c.context().recent()).unwrap_or_default()
    }

    /// The one member that all of these are to be committed by.
    fn member_of(
        &self,
        offsets: &[(TopicPartition, Offset, String)],
    ) -> Result<Arc<ConsumerGroupMetadata>, Fault> {
        let mut members = offsets.iter().map(|(partition, ..)| self.members.of(partition));
        let fault = |text| Fault::new(&COMMIT, format!("offset commit: {text}"));
        let none = || fault("this process is no member of the group");
        let member = members.next().flatten().ok_or_else(none)?;
        match members.all(|other| other.is_some_and(|other| Arc::ptr_eq(other, member))) {
            true => Ok(member.clone()),
            false => Err(fault("kafka partitions of two generations of the group")),
        }
    }

    fn client(&self) -> Result<&Arc<BaseConsumer<Context>>, Fault> {
        self.client.as_ref().ok_or_else(|| Fault::new(&ASSIGNMENT, "kafka source: closed"))
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Asks the brokers on a thread of its own.
    fn ask(
        &mut self,
        ask: impl FnOnce(&BaseConsumer<Context>, Ticket) -> Event + Send + 'static,
        given_up: fn(Ticket, Fault) -> Event,
    ) -> Result<Ticket, Fault> {
        let client = self.client()?.clone();
        let ticket = self.ticket();
        let (tell, answer) = mpsc::sync_channel(1);
        let ask = move || {
            let _ = tell.send(ask(&client, ticket));
        };
        std::thread::Builder::new().name("kafka-question".into()).spawn(ask).map_err(|e| {
            Fault::new(&BROKERS, format!("question to the brokers: no thread: {e}"))
        })?;
        self.questions.push(Question { ticket, answer, given_up });
        Ok(ticket)
    }

    /// Answers that have come, and those that did not come in time.
    fn answers(&mut self, out: &mut Vec<Event>) {
        let now_ms = self.clock.now().mono_ms;
        self.commits.retain_mut(|pending| match pending.answer(now_ms) {
            Some(answer) => {
                out.push(Event::Committed(pending.ticket, answer));
                false
            }
            None => true,
        });
        while let Some((ticket, answer)) = self.fenced.as_ref().and_then(|f| f.answer()) {
            out.push(Event::Committed(ticket, answer));
        }
        self.questions.retain(|question| match question.answer.try_recv() {
            Ok(answer) => {
                out.push(answer);
                false
            }
            Err(mpsc::TryRecvError::Empty) => true,
            Err(mpsc::TryRecvError::Disconnected) => {
                let fault = Fault::new(&BROKERS, "question to the brokers: nobody asks any more");
                out.push((question.given_up)(question.ticket, fault));
                false
            }
        });
    }

    /// Serves the client's main queue: rebalances, errors, log lines.
    fn serve(&mut self, wait: Duration, out: &mut Vec<Event>) {
        let Some(client) = &self.client else { return };
        let fatal = match client.poll(wait) {
            Some(Err(KafkaError::MessageConsumptionFatal(_))) => client.client().fatal_error(),
            // Errors were logged by the context. A record cannot come here: queues are taken off the
            // main queue before their partitions are assigned.
            Some(_) | None => None,
        };
        let news = client.context().take();
        if let Some((code, text)) = fatal
            && !self.fatal
        {
            self.fatal = true;
            let code = match code {
                rdkafka::types::RDKafkaErrorCode::FencedInstanceId => &INSTANCE,
                _ => &FATAL,
            };
            out.push(Event::Fatal(Fault::new(code, format!("kafka client: {}", lower(&text)))));
        }
        for news in news {
            self.hear(news, out);
        }
    }

    fn hear(&mut self, news: News, out: &mut Vec<Event>) {
        match news {
            News::Assigned(list, member) => {
                self.group.assigned(&list);
                self.members.assigned(&list, member);
                self.owes_assign = true;
                self.answer_assigned();
                out.push(Event::Assigned(list));
            }
            News::Revoked(list, member) => {
                self.lanes.retain(|lane| !list.contains(&lane.partition));
                self.group.revoked(&list);
                self.members.revoked(&list, member);
                out.push(Event::Revoked(list));
                self.settle();
            }
            News::Lost(list) => {
                self.lanes.retain(|lane| !list.contains(&lane.partition));
                self.group.lost(&list);
                self.members.lost(&list);
                out.push(Event::Lost(list));
                self.settle();
            }
        }
    }

    /// A revoked list can be lost while the driver still flushes it.
    fn notice_loss(&mut self, out: &mut Vec<Event>) {
        let lost = self.client.as_ref().is_some_and(|c| c.assignment_lost());
        if lost && let Some(list) = self.group.give_up() {
            self.members.lost(&list);
            out.push(Event::Lost(list));
            self.settle();
        }
    }

    /// An open revoke is answered first: the group would go on without what is still ours.
    fn answer_assigned(&mut self) {
        if self.owes_assign && !self.group.is_revoking() {
            self.owes_assign = false;
            // A refusal was logged; the client is closing or broken, and says so itself.
            let _ = self.answer(|c| c.incremental_assign(&TopicPartitionList::new()));
        }
    }

    /// True if the client has told all that there is to tell. Only then is anything said that it did not ask for: it
    /// would take that for the answer to what it has asked meanwhile.
    fn all_heard(&self) -> bool {
        let Some(client) = &self.client else { return false };
        // SAFETY: a live client; its queue is counted and given back.
        unsafe {
            let queue = sys::rd_kafka_queue_get_consumer(client.client().native_ptr());
            if queue.is_null() {
                return true;
            }
            let waiting = sys::rd_kafka_queue_length(queue);
            sys::rd_kafka_queue_destroy(queue);
            waiting == 0
        }
    }

    /// Tells the client what has been decided since: partitions to give back, then those to start.
    fn settle(&mut self) {
        if !self.group.owes() && !self.all_heard() {
            return; // with the next turn
        }
        if let Some(list) = self.group.take_unassign() {
            let list = plain(&list);
            if self.answer(|client| client.incremental_unassign(&list)).is_err() {
                // The client knows less of them than we think. It must hear an answer all the same,
                // or the group waits for ever.
                let _ = self.answer(|c| c.incremental_unassign(&TopicPartitionList::new()));
            }
        }
        self.answer_assigned();
    }

    /// Assigns what the driver has started, all at once.
    fn begin(&mut self, out: &mut Vec<Event>) {
        self.settle();
        if !self.all_heard() {
            return;
        }
        let starting = self.group.take_starting();
        if starting.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(starting.len());
        let mut lanes = Vec::with_capacity(starting.len());
        for (partition, offset) in starting {
            match self.lane(&partition, offset) {
                Ok(lane) => {
                    let raw = rdkafka::Offset::Offset(offset);
                    let _ = list.add_partition_offset(&partition.topic, partition.partition, raw);
                    lanes.push(lane);
                }
                Err(fault) => out.push(Event::Stopped(partition, fault)),
            }
        }
        match self.answer(|client| client.incremental_assign(&list)) {
            Ok(()) => self.lanes.append(&mut lanes),
            Err(fault) => {
                for lane in lanes {
                    self.group.not_started(&lane.partition);
                    out.push(Event::Stopped(lane.partition.clone(), fault.clone()));
                }
            }
        }
    }

    /// End of the log as last seen with a fetch.
    fn end_of(&self, lane: &Lane) -> Option<Offset> {
        let client = self.client.as_ref()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: copies two cached numbers of a live client; no IO.
        let err = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                client.client().native_ptr(),
                lane.topic.as_ptr(),
                lane.partition.partition,
                &mut low,
                &mut high,
            )
        };
        (err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    fn answer(
        &self,
        call: impl FnOnce(&BaseConsumer<Context>) -> Result<(), KafkaError>,
    ) -> Result<(), Fault> {
        call(self.client()?).map_err(|e| {
            let fault =
                Fault::new(&ASSIGNMENT, format!("kafka assignment: {}", lower(&e.to_string())));
            tracing::warn!(%fault, "kafka: the client refused a change of assignment");
            fault
        })
    }
}

impl Source for KafkaSource {
    fn poll(
        &mut self,
        wait: Duration,
        room: &mut dyn FnMut(&TopicPartition) -> usize,
        out: &mut Vec<Event>,
    ) {
        let before = out.len();
        self.serve(Duration::ZERO, out);
        self.notice_loss(out);
        self.begin(out);
        self.read(room, out);
        self.positions(out);
        self.answers(out);
        if out.len() == before {
            self.serve(wait.min(WAIT_MAX), out);
        }
    }

    fn resolve_start(&mut self, partitions: &[TopicPartition]) -> Result<Ticket, Fault> {
        let (config, partitions) = (self.config.clone(), partitions.to_vec());
        let ask = move |client: &BaseConsumer<Context>, ticket| {
            Event::Starts(ticket, start::resolve(client, &config, &partitions))
        };
        self.ask(ask, |ticket, fault| Event::Starts(ticket, Err(fault)))
    }

    fn start(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), Fault> {
        if offset < 0 {
            return Err(Fault::new(
                &ASSIGNMENT,
                format!(
                    "kafka partition `{partition}`: start offset `{offset}`, 0 or more required"
                ),
            ));
        }
        self.lanes.retain(|lane| lane.partition != *partition);
        self.group.start(partition, offset)
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), Fault> {
        self.lanes.retain(|lane| !partitions.contains(&lane.partition));
        self.group.release(partitions);
        self.members.released(partitions);
        self.settle();
        Ok(())
    }

    fn commit(&mut self, offsets: &[(TopicPartition, Offset, String)]) -> Result<Ticket, Fault> {
        // A commit by somebody who is no member makes librdkafka join anew: repeated, it would never
        // come to a new assignment.
        let held = |(partition, ..): &&(TopicPartition, _, _)| self.group.holds(partition);
        let ours: Vec<_> = offsets.iter().filter(held).cloned().collect();
        let others = offsets.iter().find(|offset| !held(offset)).map(|(partition, ..)| {
            let text = format!(
                "offset commit of kafka partition `{partition}`: not assigned to this member"
            );
            Fault::new(&COMMIT, text)
        });
        let ticket = self.ticket();
        if let Some(fenced) = &self.fenced {
            if let Some(fault) = others {
                return Err(fault);
            }
            let member = self.member_of(&ours)?;
            fenced.send(ticket, commit::list(&ours)?, member)?;
            return Ok(ticket);
        }
        let now_ms = self.clock.now().mono_ms;
        let sent = commit::Pending::send(self.client()?, &ours, others, ticket, now_ms)?;
        self.commits.push(sent);
        Ok(ticket)
    }

    fn watermarks(&mut self, partition: &TopicPartition) -> Result<Watermarks, Fault> {
        let (low, high) = self
            .client()?
            .fetch_watermarks(&partition.topic, partition.partition, ANSWER_MAX)
            .map_err(|e| {
                let text = lower(&e.to_string());
                Fault::new(&BROKERS, format!("watermarks of kafka partition `{partition}`: {text}"))
            })?;
        Ok(Watermarks { low, high })
    }

    fn end(&self, partition: &TopicPartition) -> Option<Offset> {
        self.end_of(self.lanes.iter().find(|lane| lane.partition == *partition)?)
    }

    fn ends(&self, each: &mut dyn FnMut(&TopicPartition, Offset)) {
        for lane in &self.lanes {
            if let Some(end) = self.end_of(lane) {
                each(&lane.partition, end);
            }
        }
    }

    fn topic_ids(&mut self, topics: &[Arc<str>]) -> Result<Vec<Option<String>>, Fault> {
        identity::topic_ids(self.client()?, topics)
    }

    fn ask_topic_ids(&mut self, topics: &[Arc<str>]) -> Result<Ticket, Fault> {
        let topics = topics.to_vec();
        let ask = move |client: &BaseConsumer<Context>, ticket| {
            let ids = identity::topic_ids(client, &topics);
            Event::TopicIds(ticket, ids.map(|ids| topics.into_iter().zip(ids).collect()))
        };
        self.ask(ask, |ticket, fault| Event::TopicIds(ticket, Err(fault)))
    }

    fn cluster_id(&mut self) -> Option<String> {
        self.client().ok()?.client().fetch_cluster_id(ANSWER_MAX).filter(|id| !id.is_empty())
    }

    fn close(&mut self) {
        self.lanes.clear();
        self.group = Group::default();
        self.token = None;
        // Queues go before their client; threads that still ask end by themselves.
        self.commits.clear();
        self.questions.clear();
        let Some(client) = self.client.take() else { return };
        client.context().close();
        if self.fatal {
            // librdkafka 2.12.1 may never end a client whose fatal error came while it joined: its main
            // thread would spin for ever. The broken client stays behind, idle; the process is about to end.
            std::mem::forget(client);
            return;
        }
        // Leaving waits for brokers, which may be gone: it goes on by itself where it takes long.
        let (done, wait) = mpsc::sync_channel::<()>(1);
        let clock = self.clock;
        let leave = move || {
            while Arc::strong_count(&client) > 1 {
                clock.block(WAIT_MAX); // who still asks would be the one to leave
            }
            drop(client);
            let _ = done.send(());
        };
        if std::thread::Builder::new().name("kafka-close".into()).spawn(leave).is_ok() {
            let _ = wait.recv_timeout(CLOSE_MAX);
        }
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.close();
    }
}

fn connect(config: &ClientConfig) -> Result<BaseConsumer<Context>, Fault> {
    config.create_with_context(Context::new()).map_err(|e| properties::client_fault(&e))
}

/// A list without offsets.
fn plain(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

/// Shares an `Arc` topic among partitions found in a list.
fn find<'a>(list: &'a [TopicPartition], topic: &str, partition: i32) -> Option<&'a TopicPartition> {
    list.iter().find(|tp| tp.partition == partition && &*tp.topic == topic)
}

/// The token fetcher's type must stay usable from other threads.
const _: fn() = || {
    fn send<T: Send>() {}
    send::<KafkaSource>();
    send::<Arc<TokenFetcher>>();
};

#[cfg(test)]
mod tests;
