//! Every code of this room.

use crate::error::{Code, Kind};

pub static PROPERTY_OWNED: Code = Code {
    id: "FB0501",
    kind: Kind::Halt,
    title: "Kafka property that Forebay sets itself",
    help: "Remove it from `source.properties`. The message says why it is not yours to set and what to use instead.",
};
pub static PROPERTY: Code = Code {
    id: "FB0502",
    kind: Kind::Halt,
    title: "Kafka property unknown or with a value out of its range",
    help: "Names and values are librdkafka's (CONFIGURATION.md of librdkafka), not those of the Java client.",
};
pub static MECHANISM: Code = Code {
    id: "FB0503",
    kind: Kind::Halt,
    title: "authentication that this build cannot do",
    help: "Use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER with `source.oauth`, or TLS client certificates.",
};
pub static CLIENT: Code = Code {
    id: "FB0504",
    kind: Kind::Halt,
    title: "Kafka client could not be made",
    help: "The properties contradict each other, or a file that one of them names cannot be read.",
};
pub static TOPICS: Code = Code {
    id: "FB0505",
    kind: Kind::Halt,
    title: "topics that cannot be subscribed to",
    help: "A topic name has 1 to 249 characters of `[A-Za-z0-9._-]`; a regular expression is a POSIX extended one over whole names.",
};
pub static BROKERS: Code = Code {
    id: "FB0506",
    kind: Kind::Retry,
    title: "brokers that do not answer",
    help: "The message holds what the client said last: look there for a name that does not resolve, a refused connection, a certificate or a password.",
};
pub static START_RANGE: Code = Code {
    id: "FB0507",
    kind: Kind::Halt,
    title: "start offset outside of the log",
    help: "The offset in `source.start` is not in the log: retention removed it, or the topic was made anew. Give another one.",
};
pub static POSITION_RANGE: Code = Code {
    id: "FB0508",
    kind: Kind::Halt,
    title: "position that fell out of the log",
    help: "Retention, DeleteRecords or a truncation removed the next record to read. Nothing was skipped: `commit.on_lost_offsets` and `commit.on_truncated_log` say where to go on, or `forebay chain skip` does.",
};
pub static CORRUPT: Code = Code {
    id: "FB0509",
    kind: Kind::Halt,
    title: "record batch that is damaged",
    help: "The checksum, the compression or the framing of a batch is wrong. Compare the partition's replicas (kafka-dump-log); nothing was skipped.",
};
pub static PARTITION: Code = Code {
    id: "FB0510",
    kind: Kind::Halt,
    title: "Kafka partition that the broker refuses to serve",
    help: "The message holds the broker's error: an ACL (READ on the topic), or a broker that cannot read its log.",
};
pub static FATAL: Code = Code {
    id: "FB0511",
    kind: Kind::Halt,
    title: "Kafka client that cannot go on",
    help: "Restart the process. If it comes back, the message's text is librdkafka's own reason.",
};
pub static INSTANCE: Code = Code {
    id: "FB0512",
    kind: Kind::Fenced,
    title: "another member uses this group.instance.id",
    help: "Give each process its own `group.instance.id`, or remove the property.",
};
pub static COMMIT: Code = Code {
    id: "FB0513",
    kind: Kind::Retry,
    title: "offsets that could not be committed",
    help: "Nothing is lost: the group's offset is a hint and is sent again with the next commit. If it stays, look at the coordinator and at READ on the group.",
};
pub static TOKEN: Code = Code {
    id: "FB0514",
    kind: Kind::Retry,
    title: "OAuth token that could not be had or used",
    help: "Look at `source.oauth`: address, client id, secret, scope. The client asks again by itself.",
};
pub static ASSIGNMENT: Code = Code {
    id: "FB0515",
    kind: Kind::Retry,
    title: "Kafka partition that could not be started or given back",
    help: "The group has changed meanwhile; the next assignment settles it. If it stays, report it.",
};
pub static PRODUCE: Code = Code {
    id: "FB0516",
    kind: Kind::Halt,
    title: "records that could not be produced",
    help: "The message holds the broker's error and how many records it concerns.",
};
pub static CREATE_TOPIC: Code = Code {
    id: "FB0517",
    kind: Kind::Halt,
    title: "topic that could not be created",
    help: "The message holds the broker's error: an ACL (CREATE on the cluster), a policy, or too few brokers.",
};
pub static MOCK: Code = Code {
    id: "FB0518",
    kind: Kind::Bug,
    title: "mock cluster that could not be made or steered",
    help: "The in-process broker needs a free port on 127.0.0.1.",
};
pub static GROUP: Code = Code {
    id: "FB0519",
    kind: Kind::Retry,
    title: "consumer group that cannot be joined or asked",
    help: "The message holds the broker's error: an ACL (READ on the group), or no coordinator yet.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[
    &PROPERTY_OWNED,
    &PROPERTY,
    &MECHANISM,
    &CLIENT,
    &TOPICS,
    &BROKERS,
    &START_RANGE,
    &POSITION_RANGE,
    &CORRUPT,
    &PARTITION,
    &FATAL,
    &INSTANCE,
    &COMMIT,
    &TOKEN,
    &ASSIGNMENT,
    &PRODUCE,
    &CREATE_TOPIC,
    &MOCK,
    &GROUP,
];
