//! Every code of this room.

use crate::error::{Code, Kind};

pub static STAGE_FAILED: Code = Code {
    id: "FB0901",
    kind: Kind::Retry,
    title: "a file could not be staged",
    help: "The Kafka partition goes back to its last commit and reads again, after a pause. If it repeats, look at the store's errors beside this one.",
};
pub static PUBLISH_FAILED: Code = Code {
    id: "FB0902",
    kind: Kind::Retry,
    title: "a staged file could not be published",
    help: "It is tried again until it succeeds; nothing after it is published before. Look at the store's errors beside this one.",
};
pub static RECORD: Code = Code {
    id: "FB0920",
    kind: Kind::Halt,
    title: "commit record not readable",
    help: "An object of the chain is not what Forebay writes: it was changed, cut, or put there by something else. Bring back the object of that name from the bucket's versions or a backup; nothing is written before that. `forebay audit` names every damaged record, `forebay chain show` prints those beside it.",
};
pub static VERSION: Code = Code {
    id: "FB0921",
    kind: Kind::Halt,
    title: "state written by a newer release",
    help: "The chain or the `format` object has a version that this release does not know. Run the release that wrote it, or a later one.",
};
pub static IDENTITY: Code = Code {
    id: "FB0922",
    kind: Kind::Halt,
    title: "commit record of something else",
    help: "The record at this place says that it belongs to another pipeline, cluster, topic or Kafka partition: state was copied between prefixes, or two pipelines share a name. Give the pipeline another name, or bring back its own state. `forebay chain show` prints the record.",
};
pub static LINK: Code = Code {
    id: "FB0923",
    kind: Kind::Halt,
    title: "chain of commits broken",
    help: "A record does not follow the one before it, or one is missing between two others: state was deleted, or copied from two places. Bring back the object that the message names from the bucket's versions or a backup. `forebay audit` names every break.",
};
pub static STATE_LOST: Code = Code {
    id: "FB0924",
    kind: Kind::Halt,
    title: "commit records lost",
    help: "Kafka's committed offset names a commit record that is not there: the state was deleted, moved, or restored from an earlier time. Bring it back; going on without it would write rows a second time. `forebay chain ls` shows where each chain ends now. If the files written since are to be given up, remove them and delete the group's offset.",
};
pub static RETENTION: Code = Code {
    id: "FB0925",
    kind: Kind::Halt,
    title: "Kafka has deleted offsets that are not committed",
    help: "The log starts behind the end of the chain: retention or DeleteRecords was quicker than the pipeline. The offsets in the message are lost to it. Set `commit.on_lost_offsets: skip` to go on at the start of the log; the skipped range is recorded in the chain. `forebay chain skip --to <start of the log>` does it for one Kafka partition, with your reason.",
};
pub static TRUNCATED: Code = Code {
    id: "FB0926",
    kind: Kind::Halt,
    title: "Kafka's log ends before the chain",
    help: "The log was cut after an unclean leader election, or the topic was made anew. What is published came from records that Kafka no longer has. Set `commit.on_truncated_log: reset` to set the chain's end back to the end of the log: published files stay, and new records with the same offsets are published beside them. `forebay chain reset --to <end of the log> --again` does it for one Kafka partition, with your reason.",
};
pub static TOPIC_UNKNOWN: Code = Code {
    id: "FB0903",
    kind: Kind::Retry,
    title: "topic without an id for now",
    help: "The brokers named no id of a topic that had one. It is asked again, and nothing is read until they do: without it nobody can tell whether the topic is the same.",
};
pub static TOPIC_IDENTITY: Code = Code {
    id: "FB0927",
    kind: Kind::Halt,
    title: "topic made anew",
    help: "The topic has another id than the one this chain was written for: it was deleted and created again under the same name. Set `commit.on_recreated_topic: restart` to begin a new chain at the start of its log; the files of the old topic stay. `forebay chain ls` shows both.",
};
pub static AHEAD: Code = Code {
    id: "FB0928",
    kind: Kind::Halt,
    title: "group's offset is ahead of the chain",
    help: "Somebody moved the group's committed offset forward. The chain decides what is published, so nothing is skipped by that: set the group's offset back to the end of the chain, delete it, or set `commit.on_group_ahead: ignore`. If the offsets in between are to be passed, `forebay chain skip` says so in the chain.",
};
pub static FENCED: Code = Code {
    id: "FB0929",
    kind: Kind::Fenced,
    title: "another owner has taken this Kafka partition over",
    help: "Nothing is lost and nothing is written twice. If it repeats, two pipelines of the same name write to the same place: stop one, or give it a name and a prefix of its own.",
};
pub static UPLOAD_LOST: Code = Code {
    id: "FB0930",
    kind: Kind::Halt,
    title: "a committed file is gone before it was published",
    help: "A commit record names a staged file that is neither staged any more nor at its key: a lifecycle rule aborted the upload, or somebody moved the published file away. If it was never published, `forebay chain repair` reads its offsets again from Kafka and brings it back; if somebody removed it after it was published, `forebay chain removed` says so, and the pipeline goes on.",
};
pub static FORMAT: Code = Code {
    id: "FB0931",
    kind: Kind::Halt,
    title: "state of another sink or cluster",
    help: "The pipeline's `format` object was made for another Kafka cluster, data root, naming mode or authority over commits (with `commit.authority: kafka`: another group). Give this pipeline another name, or put back what was changed.",
};
pub static NO_AUTHORITY: Code = Code {
    id: "FB0932",
    kind: Kind::Halt,
    title: "store cannot hold the chain of commits",
    help: "A create-only put (`If-None-Match: *`) answered success twice for one key, so two owners could both believe that they committed. Use a store that has conditional writes (Amazon S3, MinIO, SeaweedFS 3.80, Ceph, R2, GCS's XML API with a proxy that keeps the header), upgrade it, or remove the proxy that drops the header. Where none of it can be had, set `commit.authority: kafka` for a pipeline that has not run yet.",
};
pub static RECORD_REFUSED: Code = Code {
    id: "FB0933",
    kind: Kind::Halt,
    title: "commit record refused by the store",
    help: "The store does not take the record for good; see its error in the message. What was staged for it stays until the next owner settles it. `forebay chain ls` shows where the chain ends.",
};
pub static START: Code = Code {
    id: "FB0934",
    kind: Kind::Halt,
    title: "start outside of the log",
    help: "There is no chain yet, and the group's committed offset is not in Kafka's log. Reset or delete the group's offset, or set `commit.on_lost_offsets: skip` to begin at the start of the log.",
};

pub static OPERATION: Code = Code {
    id: "FB0940",
    kind: Kind::Halt,
    title: "action on a chain that does not fit it",
    help: "`forebay chain` changes a chain only as it was when it was looked at, and only where the action means something; the message says what was found. `forebay chain ls` and `show` show the chain as it is now.",
};
pub static OVERLAP: Code = Code {
    id: "FB0935",
    kind: Kind::Halt,
    title: "two pipelines write to one folder",
    help: "Another pipeline whose state stands at the same place writes to a folder of this one's topics, or the other way round: readers of that folder would meet rows twice. Give one of them another `sink.url`, or other topics; a replay goes to a prefix of its own.",
};

pub static AUTHORITY_LOST: Code = Code {
    id: "FB0936",
    kind: Kind::Halt,
    title: "Kafka does not name the end of the chain any more",
    help: "With `commit.authority: kafka` the group's committed offset says which commit record is the last, and now it says nothing, or something else, while records are there: the offsets expired (`offsets.retention.minutes`), the group was deleted, its offsets were reset with a tool, or a coordinator lost some. Nothing is begun anew by itself, for that would write rows a second time. `forebay audit` shows the longest linked chain; set `commit.on_lost_authority: adopt` for one start to go on at its end, and take it out again.",
};
pub static UNDECIDED: Code = Code {
    id: "FB0937",
    kind: Kind::Fenced,
    title: "commit not confirmed by Kafka",
    help: "With `commit.authority: kafka`: Kafka refused an offset commit, because this member is no more of the group's present generation, or did not answer it. Nothing of it is published unless Kafka has it: whoever owns the Kafka partition next, this process included, asks Kafka and goes on from there. If it repeats, look at the group's rebalances and at the transaction coordinator.",
};

pub static TOO_OLD: Code = Code {
    id: "FB0938",
    kind: Kind::Halt,
    title: "brokers too old to decide commits",
    help: "With `commit.authority: kafka` the brokers must refuse offset commits of an earlier generation of the group, which they do from Kafka 2.5 on. Forebay knows them by topic ids, which they have from 2.8 on: brokers that give topics no ids are taken for older ones. Upgrade them, or use a store that has conditional writes.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[
    &STAGE_FAILED,
    &PUBLISH_FAILED,
    &RECORD,
    &VERSION,
    &IDENTITY,
    &LINK,
    &STATE_LOST,
    &RETENTION,
    &TRUNCATED,
    &TOPIC_IDENTITY,
    &TOPIC_UNKNOWN,
    &AHEAD,
    &FENCED,
    &UPLOAD_LOST,
    &FORMAT,
    &NO_AUTHORITY,
    &RECORD_REFUSED,
    &START,
    &OVERLAP,
    &OPERATION,
    &AUTHORITY_LOST,
    &UNDECIDED,
    &TOO_OLD,
];
