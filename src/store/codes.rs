//! Codes of this room.

use crate::error::{Code, Kind};

pub static KEY: Code = Code {
    id: "FB0701",
    kind: Kind::Halt,
    title: "object key refused",
    help: "A key is 1 to 1,024 bytes with its prefix, of segments that are not empty, `.` or `..`; on local disk a segment is at most 255 bytes. Shorten the sink's prefix or the partition values.",
};
pub static UNREACHABLE: Code = Code {
    id: "FB0702",
    kind: Kind::Retry,
    title: "store does not answer",
    help: "The store was asked again and again and gave no usable answer: network, a store that is down or overloaded, or throttling. It is tried again by itself.",
};
pub static DENIED: Code = Code {
    id: "FB0703",
    kind: Kind::Halt,
    title: "permission missing",
    help: "Grant the action the message names, on the bucket or on the objects below the prefix. README lists all actions a sink needs.",
};
pub static CREDENTIALS: Code = Code {
    id: "FB0704",
    kind: Kind::Pause,
    title: "credentials missing, expired or wrong",
    help: "Set `sink.access_key_id` and `sink.secret_access_key`, or give the process a role, a profile or the AWS_* variables. Credentials that renew themselves are asked again.",
};
pub static BUCKET: Code = Code {
    id: "FB0705",
    kind: Kind::Halt,
    title: "bucket or folder not usable",
    help: "The bucket does not exist, stands in another region or behind another endpoint, or the folder cannot be made or opened. Check `sink.url`, `sink.region` and `sink.endpoint`.",
};
pub static KMS: Code = Code {
    id: "FB0706",
    kind: Kind::Halt,
    title: "encryption key not usable",
    help: "Multipart uploads under a KMS key need kms:GenerateDataKey and kms:Decrypt on it; the key must be enabled and in the bucket's region.",
};
pub static REFUSED: Code = Code {
    id: "FB0707",
    kind: Kind::Halt,
    title: "request refused by the store",
    help: "The store does not accept a request as it is configured: see the store's own code in the message. Storage class, ACL, tags, checksum and encryption options are the usual causes.",
};
pub static LOST: Code = Code {
    id: "FB0708",
    kind: Kind::Halt,
    title: "staged file is gone",
    help: "What was staged is gone and nothing of it stands at its key: a lifecycle rule or a person removed it before it was published, or somebody moved the published file away. Nothing is overwritten.",
};
pub static FOREIGN: Code = Code {
    id: "FB0709",
    kind: Kind::Halt,
    title: "another file is in the way",
    help: "A file that this pipeline did not stage stands at the key. Two pipelines write to one place under equal names, or the file was copied there. Move it away or change the sink.",
};
pub static DISK_FULL: Code = Code {
    id: "FB0710",
    kind: Kind::Pause,
    title: "disk full",
    help: "No space, inodes or quota left on the sink's filesystem. Free some: the pipeline goes on by itself and rebuilds what was being written.",
};
pub static DISK: Code = Code {
    id: "FB0711",
    kind: Kind::Pause,
    title: "disk error",
    help: "Reading, writing or syncing a file failed. The file is thrown away and rebuilt from Kafka; look at the kernel's log.",
};
pub static SYNC: Code = Code {
    id: "FB0712",
    kind: Kind::Halt,
    title: "folder could not be synced",
    help: "The operating system reports a failed sync only once, so nothing later can tell what is on disk. Check the disk and the kernel's log, then restart.",
};
pub static FILESYSTEM: Code = Code {
    id: "FB0713",
    kind: Kind::Halt,
    title: "filesystem not fit for a sink",
    help: "Publishing needs a rename that refuses to overwrite (renameat2 with RENAME_NOREPLACE): ext4, xfs, btrfs, zfs and tmpfs have it, NFS and many FUSE filesystems do not.",
};
pub static PATH: Code = Code {
    id: "FB0714",
    kind: Kind::Halt,
    title: "path leads elsewhere",
    help: "A symbolic link, a mount point or a plain file stands where a folder of the sink should be. Links below the root are never followed: remove it, or make the linked place the sink's root.",
};
pub static CLOCK: Code = Code {
    id: "FB0715",
    kind: Kind::Pause,
    title: "clock wrong",
    help: "The store refuses requests whose time is off by more than a few minutes. Set this machine's clock (NTP).",
};
pub static PART: Code = Code {
    id: "FB0716",
    kind: Kind::Bug,
    title: "part out of bounds",
    help: "An S3 upload has at most 10,000 parts. Raise `sink.part_bytes` or lower `rotate.bytes`, and report it.",
};
pub static CONFIG: Code = Code {
    id: "FB0717",
    kind: Kind::Halt,
    title: "S3 option not usable",
    help: "Correct the option of `sink.s3` that the message names.",
};
pub static HANDLE: Code = Code {
    id: "FB0718",
    kind: Kind::Halt,
    title: "staged file of another kind of store",
    help: "A commit record names a file that was staged on another kind of store than the sink's. The state belongs to another sink: check `sink.url` and where the state is kept.",
};
pub static TOO_LARGE: Code = Code {
    id: "FB0719",
    kind: Kind::Halt,
    title: "object too large to read",
    help: "State objects are small; the object at this key is not one that Forebay wrote.",
};
pub static METADATA: Code = Code {
    id: "FB0720",
    kind: Kind::Halt,
    title: "store drops object metadata",
    help: "Forebay recognises its own files by a token in the object's user metadata, which this store or a proxy before it does not keep.",
};
pub static LIFECYCLE: Code = Code {
    id: "FB0721",
    kind: Kind::Halt,
    title: "lifecycle rule takes away what is needed",
    help: "A rule of the bucket would remove commit records, or abort uploads before their commit is published. Limit the rule to other prefixes, raise its days, or set `state` to a place that it leaves alone.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[
    &KEY,
    &UNREACHABLE,
    &DENIED,
    &CREDENTIALS,
    &BUCKET,
    &KMS,
    &REFUSED,
    &LOST,
    &FOREIGN,
    &DISK_FULL,
    &DISK,
    &SYNC,
    &FILESYSTEM,
    &PATH,
    &CLOCK,
    &PART,
    &CONFIG,
    &HANDLE,
    &TOO_LARGE,
    &METADATA,
    &LIFECYCLE,
];
