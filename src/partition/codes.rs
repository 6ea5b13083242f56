//! The error codes of this room, FB0601 to FB0613.

use crate::error::{Code, Kind};

pub static SYNTAX: Code = Code {
    id: "FB0601",
    kind: Kind::Halt,
    title: "partition expression that does not parse",
    help: "The message says at which byte. An expression is a field path (`device.os`, `tags['env']`, `\"odd name\"`), a name of Kafka metadata (`_timestamp`), or a function of one.",
};
pub static FUNCTION: Code = Code {
    id: "FB0602",
    kind: Kind::Halt,
    title: "unknown function, option or argument in a partition expression",
    help: "Functions: year, month, day, hour, minute, interval, strftime, bucket, truncate, coalesce. Options of the time functions: unit, timezone, pattern, years, invalid.",
};
pub static NAME: Code = Code {
    id: "FB0603",
    kind: Kind::Halt,
    title: "partition name that cannot be used",
    help: "Give the item a `name` of its own: not empty, at most 100 bytes, different from the other items and from the columns that stay in the files, also when case is ignored.",
};
pub static TIMEZONE: Code = Code {
    id: "FB0604",
    kind: Kind::Halt,
    title: "unknown time zone",
    help: "Use an IANA name (`Europe/Paris`, `UTC`) or an offset (`+02:00`).",
};
pub static FIELD: Code = Code {
    id: "FB0605",
    kind: Kind::Halt,
    title: "partition field that the schema does not have",
    help: "The message names the nearest field there is. Names are case-sensitive; quote a name that has odd characters: `\"my-field\"`.",
};
pub static TYPE: Code = Code {
    id: "FB0606",
    kind: Kind::Halt,
    title: "partition expression over a type it cannot take",
    help: "Lists, maps and structs cannot be partition values: name one field or map entry inside. Integers need `unit='ms'` (s, ms, us, ns) to be times.",
};
pub static LATER: Code = Code {
    id: "FB0607",
    kind: Kind::Halt,
    title: "partition source that is not supported",
    help: "The record's key is a column where `key.format` says what it holds. Partitioning by headers is not supported by this version. A field of that name is reached with quotes: `\"headers\".x`.",
};
pub static COLUMNS: Code = Code {
    id: "FB0608",
    kind: Kind::Halt,
    title: "`sink.partition_columns` that would lose data",
    help: "With `sink.escape: connect` different values may share a folder, and a file needs at least one column: use `sink.partition_columns: keep`.",
};
pub static TIME: Code = Code {
    id: "FB0609",
    kind: Kind::Reject,
    title: "value that is not a time",
    help: "Strings must be ISO 8601 (`2026-01-02T15:04:05Z`; without a zone they are read in the item's `timezone`), or fit the declared `pattern`. `invalid='unknown'` gives such rows a folder instead.",
};
pub static YEAR: Code = Code {
    id: "FB0610",
    kind: Kind::Reject,
    title: "time outside the years allowed",
    help: "Usually a wrong `unit` (seconds read as milliseconds). If the times are real, widen the guard: `day(x, years='1900..2200')`.",
};
pub static LENGTH: Code = Code {
    id: "FB0611",
    kind: Kind::Reject,
    title: "partition value or key too long",
    help: "A value of more than 256 bytes after escaping needs its column in the file (`sink.partition_columns: keep`), where the path holds a prefix and a hash of it; a whole key has at most 1,024 bytes. Partition by `bucket(n, x)` or `truncate(n, x)`.",
};
pub static VALUE: Code = Code {
    id: "FB0612",
    kind: Kind::Reject,
    title: "value that cannot be written as a partition value",
    help: "The value is outside what its type allows (a date beyond year 9999, a time of day beyond 24 hours), or a transform of it overflows.",
};
pub static MISFIT: Code = Code {
    id: "FB0613",
    kind: Kind::Bug,
    title: "batch that does not fit its plan",
    help: "The partitioner was bound to other columns than the batch has. Please report it.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[
    &SYNTAX, &FUNCTION, &NAME, &TIMEZONE, &FIELD, &TYPE, &LATER, &COLUMNS, &TIME, &YEAR, &LENGTH,
    &VALUE, &MISFIT,
];
