//! Which librdkafka error stops what.
//!
//! Owns: the verdict on an error of one Kafka partition. An error that makes librdkafka go on *after*
//! the trouble (checksum, compression, framing) or that ends fetching must stop the partition, for
//! records would be missing. All others leave the position where it is and are tried again by librdkafka.

use rdkafka::types::RDKafkaRespErr as Known;

use crate::error::Fault;
use crate::flaw::{Flaw, planted};
use crate::position::{Offset, TopicPartition};
use crate::source::codes::{CORRUPT, PARTITION, POSITION_RANGE};
use crate::source::properties::lower;

/// What an error on a partition's queue means for it.
#[derive(Debug)]
pub(super) enum Verdict {
    Ignore,
    Log(String),
    Stop(Fault),
}

/// Codes after which librdkafka reads on behind the trouble.
const DAMAGED: &[Known] = &[
    Known::RD_KAFKA_RESP_ERR__BAD_MSG,
    Known::RD_KAFKA_RESP_ERR__BAD_COMPRESSION,
    Known::RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED,
    Known::RD_KAFKA_RESP_ERR__UNDERFLOW,
    Known::RD_KAFKA_RESP_ERR_INVALID_MSG,
    Known::RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE,
    Known::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
    Known::RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE,
];

/// Codes that say that the next record is not there.
const GONE: &[Known] = &[
    Known::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET,
    Known::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
    Known::RD_KAFKA_RESP_ERR__LOG_TRUNCATION,
];

/// Codes after which librdkafka fetches no more.
const REFUSED: &[Known] = &[
    Known::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    Known::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
    Known::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
    Known::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
    Known::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
    Known::RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
];

/// Judges error number `err` of `partition`, whose next record to read is `next`.
///
/// A number, for a broker may send one that this client's list does not have.
pub(super) fn judge(err: i32, text: &str, partition: &TopicPartition, next: Offset) -> Verdict {
    let is = |list: &[Known]| list.iter().any(|known| *known as i32 == err);
    if planted(Flaw::CrcErrorsSkipped) && err == Known::RD_KAFKA_RESP_ERR__BAD_MSG as i32 {
        return Verdict::Ignore;
    }
    let code = if is(DAMAGED) {
        &CORRUPT
    } else if is(GONE) {
        &POSITION_RANGE
    } else if is(REFUSED) {
        &PARTITION
    } else if err == Known::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32 {
        return Verdict::Ignore;
    } else {
        return Verdict::Log(format!("{} (kafka error {err})", lower(text)));
    };
    let fault = Fault::new(
        code,
        format!(
            "kafka partition `{partition}`: {} (kafka error {err}); stopped, nothing skipped",
            lower(text)
        ),
    );
    Verdict::Stop(fault.at(format!("{partition} offset {next}")))
}

/// Whether an error of this number on a partition's queue stops the partition.
#[doc(hidden)]
pub fn stops(err: i32) -> bool {
    matches!(judge(err, "", &TopicPartition::new("t", 0), 0), Verdict::Stop(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of the Kafka protocol and of `rdkafka.h`.
    fn code(err: i32) -> Option<&'static str> {
        match judge(err, "Broker: text", &TopicPartition::new("t", 0), 7) {
            Verdict::Stop(fault) => Some(fault.code.id),
            Verdict::Log(_) => None,
            Verdict::Ignore => Some("ignore"),
        }
    }

    #[test]
    fn error_after_which_records_would_be_missing_stops() {
        assert_eq!(code(2), Some("FB0509")); // CORRUPT_MESSAGE
        assert_eq!(code(-199), Some("FB0509")); // bad message, checksum
        assert_eq!(code(-198), Some("FB0509")); // bad compression
        assert_eq!(code(-140), Some("FB0508")); // auto.offset.reset=error
        assert_eq!(code(1), Some("FB0508")); // OFFSET_OUT_OF_RANGE
        assert_eq!(code(29), Some("FB0510")); // TOPIC_AUTHORIZATION_FAILED
        assert_eq!(code(-190), Some("FB0510")); // unknown partition: the topic is gone
    }

    #[test]
    fn error_that_the_client_retries_is_logged() {
        assert_eq!(code(-195), None); // transport
        assert_eq!(code(-185), None); // timed out
        assert_eq!(code(56), None); // KAFKA_STORAGE_ERROR
        assert_eq!(code(12_345), None); // a number nobody knows
        assert_eq!(code(-191), Some("ignore")); // end of partition
    }
}
