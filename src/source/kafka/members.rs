//! As which member, and of which generation of the group, offsets are committed where Kafka decides.
//!
//! Owns: for each Kafka partition, the generation in which it was ours for certain. Does not own: the commit
//! (`fenced`), what the group gives and takes (`group`).
//!
//! What the group wants back keeps the generation in which it said so. The client can be in a later one before the
//! Kafka partition is released: it takes any change of its assignment for the answer that the group waits for, also
//! one that was on its way when the group spoke.

use std::collections::HashMap;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::types::RDKafkaConsumerGroupMetadata;

use crate::position::TopicPartition;

/// This process as the group knows it: `None` for none of its members.
pub(super) fn member<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
) -> Option<ConsumerGroupMetadata> {
    use rdkafka::bindings as sys;
    // SAFETY: a live client; what it returns is ours, read before it is destroyed, and null is asked for.
    let is_member = unsafe {
        let raw: *mut RDKafkaConsumerGroupMetadata =
            sys::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if raw.is_null() {
            return None;
        }
        let id = sys::rd_kafka_consumer_group_metadata_member_id(raw);
        let named = !id.is_null() && *id != 0;
        // Without a member a coordinator takes offsets from anybody.
        let is = named && sys::rd_kafka_consumer_group_metadata_generation_id(raw) >= 0;
        sys::rd_kafka_consumer_group_metadata_destroy(raw);
        is
    };
    consumer.group_metadata().filter(|_| is_member)
}

/// Members by Kafka partition.
#[derive(Debug)]
pub(super) struct Members<M> {
    now: Option<M>,
    revoked: HashMap<TopicPartition, Option<M>>,
}

impl<M> Default for Members<M> {
    fn default() -> Self {
        Self { now: None, revoked: HashMap::new() }
    }
}

impl<M: Clone> Members<M> {
    pub(super) fn assigned(&mut self, list: &[TopicPartition], member: Option<M>) {
        self.now = member;
        list.iter().for_each(|tp| {
            self.revoked.remove(tp);
        });
    }

    pub(super) fn revoked(&mut self, list: &[TopicPartition], member: Option<M>) {
        self.now.clone_from(&member);
        for tp in list {
            self.revoked.entry(tp.clone()).or_insert_with(|| member.clone());
        }
    }

    pub(super) fn lost(&mut self, list: &[TopicPartition]) {
        self.now = None;
        self.released(list);
    }

    pub(super) fn released(&mut self, list: &[TopicPartition]) {
        list.iter().for_each(|tp| {
            self.revoked.remove(tp);
        });
    }

    /// Who commits the offset of this one.
    pub(super) fn of(&self, partition: &TopicPartition) -> Option<&M> {
        self.revoked.get(partition).unwrap_or(&self.now).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generations, in the order in which a client tells of them that took another call for the answer to a revoke.
    #[test]
    fn what_the_group_wants_back_keeps_its_generation_until_it_is_released() {
        let tp = |p| TopicPartition::new("t", p);
        let mut members = Members::default();
        assert_eq!(members.of(&tp(0)), None);
        members.assigned(&[tp(0), tp(1)], Some(5));
        members.revoked(&[tp(1)], Some(6));
        assert_eq!((members.of(&tp(0)), members.of(&tp(1))), (Some(&6), Some(&6)));
        members.assigned(&[], Some(6));
        members.assigned(&[], Some(7));
        assert_eq!((members.of(&tp(0)), members.of(&tp(1))), (Some(&7), Some(&6)));
        members.released(&[tp(1)]);
        members.assigned(&[tp(1)], Some(9));
        assert_eq!(members.of(&tp(1)), Some(&9));
        members.lost(&[tp(0), tp(1)]);
        assert_eq!((members.of(&tp(0)), members.of(&tp(1))), (None, None));
    }
}
