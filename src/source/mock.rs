//! A Kafka cluster inside the process, for the demo and for tests without a network.
//!
//! librdkafka's own mock brokers on 127.0.0.1. Bounded by librdkafka: each Kafka partition keeps at most
//! 5 MiB or 100,000 records, older ones fall away; consume while producing, or use many partitions.
//! Absent there: transactions' effects, authentication, TLS, admin requests, offsets by time.

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr, RDKafkaType};

use super::codes::MOCK;
use super::properties::{self, lower};
use crate::error::Fault;

/// Bytes that one Kafka partition of a mock cluster keeps.
pub const PARTITION_BYTES_MAX: usize = 5 << 20;
/// Records that one Kafka partition of a mock cluster keeps.
pub const PARTITION_RECORDS_MAX: usize = 100_000;

/// A request that errors can be put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    Produce,
    Fetch,
    ListOffsets,
    Metadata,
    OffsetCommit,
    OffsetFetch,
    FindCoordinator,
    JoinGroup,
    SyncGroup,
    Heartbeat,
}

/// Kafka error codes, as the protocol numbers them, for [`Mock::fail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    OffsetOutOfRange,
    NotLeader,
    CoordinatorNotAvailable,
    NotCoordinator,
    RebalanceInProgress,
    UnknownMember,
    TopicAuthorization,
    GroupAuthorization,
    Corrupt,
    StorageError,
    /// UNKNOWN_SERVER_ERROR, number -1.
    Unknown,
    /// The connection is cut.
    Disconnect,
}

/// How long a new group waits for more members.
const GROUP_DELAY_MS: i32 = 50;

/// Mock brokers, gone when dropped.
pub struct Mock {
    raw: NonNull<sys::rd_kafka_mock_cluster_t>,
    brokers: i32,
    // The brokers live in this client's thread: it goes after them.
    _host: Client<DefaultClientContext>,
}

// SAFETY: librdkafka guards the cluster with a lock of its own; the handle is only passed on to it.
unsafe impl Send for Mock {}
// SAFETY: as above.
unsafe impl Sync for Mock {}

impl Drop for Mock {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_mock_cluster_new`, destroyed once, before its host.
        unsafe { sys::rd_kafka_mock_cluster_destroy(self.raw.as_ptr()) }
    }
}

impl Mock {
    /// Starts `brokers` brokers, ids from 1.
    pub fn new(brokers: i32) -> Result<Self, Fault> {
        let config = ClientConfig::new();
        let native = config.create_native_config().map_err(|e| properties::client_fault(&e))?;
        let host =
            Client::new(&config, native, RDKafkaType::RD_KAFKA_PRODUCER, DefaultClientContext)
                .map_err(|e| properties::client_fault(&e))?;
        // SAFETY: a live client.
        let raw = unsafe { sys::rd_kafka_mock_cluster_new(host.native_ptr(), brokers.max(1)) };
        let raw = NonNull::new(raw)
            .ok_or_else(|| Fault::new(&MOCK, "mock cluster: no port on 127.0.0.1, one required"))?;
        // SAFETY: a live cluster, as in every call below.
        unsafe {
            sys::rd_kafka_mock_group_initial_rebalance_delay_ms(raw.as_ptr(), GROUP_DELAY_MS);
        }
        Ok(Self { raw, brokers: brokers.max(1), _host: host })
    }

    /// `host:port,…`
    pub fn brokers(&self) -> String {
        // SAFETY: a C string that lives as long as the cluster.
        unsafe { CStr::from_ptr(sys::rd_kafka_mock_cluster_bootstraps(self.raw.as_ptr())) }
            .to_string_lossy()
            .into_owned()
    }

    /// Creates a topic. One that exists is refused.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), Fault> {
        let topic = topic(name)?;
        // SAFETY: the name is copied.
        done(unsafe {
            sys::rd_kafka_mock_topic_create(
                self.raw.as_ptr(),
                topic.as_ptr(),
                partitions,
                self.brokers.min(3),
            )
        })
    }

    /// The next requests of this kind fail, one after the other, in this way.
    pub fn fail(&self, request: Request, refusals: &[Refusal]) {
        let errors: Vec<RDKafkaRespErr> = refusals.iter().map(|r| r.raw()).collect();
        // SAFETY: the array is copied.
        unsafe {
            sys::rd_kafka_mock_push_request_errors_array(
                self.raw.as_ptr(),
                request.raw().into(),
                errors.len(),
                errors.as_ptr(),
            );
        }
    }

    /// Takes a broker down: connections cut, new ones refused.
    pub fn down(&self, broker: i32) -> Result<(), Fault> {
        // SAFETY: no pointers but the cluster.
        done(unsafe { sys::rd_kafka_mock_broker_set_down(self.raw.as_ptr(), broker) })
    }

    pub fn up(&self, broker: i32) -> Result<(), Fault> {
        // SAFETY: no pointers but the cluster.
        done(unsafe { sys::rd_kafka_mock_broker_set_up(self.raw.as_ptr(), broker) })
    }

    /// Delays every answer of a broker.
    pub fn slow(&self, broker: i32, delay: Duration) -> Result<(), Fault> {
        let ms = i32::try_from(delay.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: no pointers but the cluster.
        done(unsafe { sys::rd_kafka_mock_broker_set_rtt(self.raw.as_ptr(), broker, ms) })
    }

    /// Lets a broker name another place than its own, as where a proxy stands before it.
    pub fn advertise(&self, broker: i32, host: &str, port: u16) -> Result<(), Fault> {
        let host = topic(host)?;
        // SAFETY: the name is copied.
        unsafe {
            sys::rd_kafka_mock_broker_set_host_port(
                self.raw.as_ptr(),
                broker,
                host.as_ptr(),
                port.into(),
            );
        }
        Ok(())
    }

    /// Moves a partition's leadership.
    pub fn lead(&self, name: &str, partition: i32, broker: i32) -> Result<(), Fault> {
        let topic = topic(name)?;
        // SAFETY: the name is only read.
        done(unsafe {
            sys::rd_kafka_mock_partition_set_leader(
                self.raw.as_ptr(),
                topic.as_ptr(),
                partition,
                broker,
            )
        })
    }

    /// Moves a group's coordinator.
    pub fn coordinate(&self, group: &str, broker: i32) -> Result<(), Fault> {
        let group = topic(group)?;
        // SAFETY: both texts are only read.
        done(unsafe {
            sys::rd_kafka_mock_coordinator_set(
                self.raw.as_ptr(),
                c"group".as_ptr(),
                group.as_ptr(),
                broker,
            )
        })
    }
}

fn topic(name: &str) -> Result<CString, Fault> {
    CString::new(name).map_err(|_| Fault::new(&MOCK, "mock cluster: a name holds a zero byte"))
}

fn done(err: RDKafkaRespErr) -> Result<(), Fault> {
    if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    let text = lower(&RDKafkaErrorCode::from(err).to_string());
    Err(Fault::new(&MOCK, format!("mock cluster: {text}")))
}

impl Request {
    fn raw(self) -> RDKafkaApiKey {
        match self {
            Request::Produce => RDKafkaApiKey::Produce,
            Request::Fetch => RDKafkaApiKey::Fetch,
            Request::ListOffsets => RDKafkaApiKey::ListOffsets,
            Request::Metadata => RDKafkaApiKey::Metadata,
            Request::OffsetCommit => RDKafkaApiKey::OffsetCommit,
            Request::OffsetFetch => RDKafkaApiKey::OffsetFetch,
            Request::FindCoordinator => RDKafkaApiKey::FindCoordinator,
            Request::JoinGroup => RDKafkaApiKey::JoinGroup,
            Request::SyncGroup => RDKafkaApiKey::SyncGroup,
            Request::Heartbeat => RDKafkaApiKey::Heartbeat,
        }
    }
}

impl Refusal {
    fn raw(self) -> RDKafkaRespErr {
        match self {
            Refusal::OffsetOutOfRange => RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
            Refusal::NotLeader => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            Refusal::CoordinatorNotAvailable => {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE
            }
            Refusal::NotCoordinator => RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            Refusal::RebalanceInProgress => RDKafkaRespErr::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
            Refusal::UnknownMember => RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
            Refusal::TopicAuthorization => {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED
            }
            Refusal::GroupAuthorization => {
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED
            }
            Refusal::Corrupt => RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_MSG,
            Refusal::StorageError => RDKafkaRespErr::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
            Refusal::Unknown => RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN,
            Refusal::Disconnect => RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
        }
    }
}
