//! Codes of this room: FB0201 to FB0219 for every format, FB0220 to FB0239 Protobuf, FB0240 to
//! FB0259 Avro, FB0260 to FB0279 JSON, FB0280 and after text and bytes. FB0209 is not used any more.

use crate::error::{Code, Kind};

pub static MALFORMED: Code = Code {
    id: "FB0201",
    kind: Kind::Reject,
    title: "body that is not what its schema says",
    help: "The record was cut, or written with another schema than its id names. Look at the producer; the bytes stand in the reject file.",
};
pub static UTF8: Code = Code {
    id: "FB0202",
    kind: Kind::Reject,
    title: "string that is not UTF-8",
    help: "The producer wrote bytes into a string field. Make the field `bytes`, or repair the producer.",
};
pub static DEPTH: Code = Code {
    id: "FB0203",
    kind: Kind::Reject,
    title: "nesting too deep",
    help: "Raise `limits.depth` if the data is honest.",
};
pub static TOO_LARGE: Code = Code {
    id: "FB0204",
    kind: Kind::Reject,
    title: "record too large as columns",
    help: "Raise `limits.nodes` or `limits.decoded_bytes` if the data is honest: a few bytes of a record can stand for many rows of a list.",
};
pub static RANGE: Code = Code {
    id: "FB0205",
    kind: Kind::Reject,
    title: "value that its column cannot hold",
    help: "A timestamp, date, time or decimal is outside the range or finer than the column. For finer timestamps see `value.truncate_timestamps`.",
};
pub static BATCH_FULL: Code = Code {
    id: "FB0206",
    kind: Kind::Reject,
    title: "column over 2 GiB in one batch",
    help: "One record and those before it do not fit in one Arrow batch. Lower `limits.record_bytes`.",
};
pub static NO_COLUMNS: Code = Code {
    id: "FB0207",
    kind: Kind::Reject,
    title: "schema without columns",
    help: "A message or record without fields, or one whose fields are all dropped, makes no table.",
};
pub static TOO_WIDE: Code = Code {
    id: "FB0208",
    kind: Kind::Reject,
    title: "schema with too many columns",
    help: "Nested types are written out in full, so a schema that names a large type in many places grows. Split the topic, or make the part `bytes`.",
};

pub static INCOMPATIBLE: Code = Code {
    id: "FB0210",
    kind: Kind::Reject,
    title: "schema that cannot be read as its target",
    help: "`evolution.mode` gives the rows of every version one set of columns, and this version has a field that they cannot hold. `evolution.on_incompatible` decides: its own files (`rotate`), a reject, or a pause. `forebay plan` shows the versions side by side, `forebay decode --target` tries records at hand.",
};

/// The codes of every format.
pub static CODES: &[&Code] = &[
    &MALFORMED,
    &UTF8,
    &DEPTH,
    &TOO_LARGE,
    &RANGE,
    &BATCH_FULL,
    &NO_COLUMNS,
    &TOO_WIDE,
    &INCOMPATIBLE,
];
