//! Why a JSON record, or the schema it is read by, is refused.

use crate::error::{Code, Kind};

const OTHER: &str = "The record is JSON, but not what its schema says: the producer does not validate, or names another schema. Repair the producer, or widen the schema.";

const fn reject(id: &'static str, title: &'static str, help: &'static str) -> Code {
    Code { id, kind: Kind::Reject, title, help }
}

pub static SYNTAX: Code = reject(
    "FB0260",
    "body that is not JSON",
    "The text is not JSON (RFC 8259) at the byte given: the record was cut, or the topic holds something else. Set `value.format` to what it holds.",
);
pub static TRAILING: Code = reject(
    "FB0261",
    "json record with text left over",
    "One JSON value a record is read. Several values, one after the other, belong into several records.",
);
pub static TYPE: Code = reject("FB0262", "json value of another type than its column", OTHER);
pub static NULL: Code = reject(
    "FB0263",
    "json null where the schema has none",
    "Say `null` in the schema's type, or set `value.presence: nullable`: then every column takes nulls.",
);
pub static MISSING: Code = reject(
    "FB0264",
    "json object without a required property",
    "Take the property out of `required`, or set `value.presence: nullable`: then every column takes nulls.",
);
pub static NUMBER: Code = reject(
    "FB0265",
    "json number that its column cannot hold",
    "An integer column takes whole numbers in its range, written in any way (`3`, `3.0`, `3e0`); a cut number would be a wrong number. Make the property a `number`, or raise its `maximum`.",
);
pub static DECIMAL: Code = reject(
    "FB0266",
    "json decimal that does not fit its precision or scale",
    "The number has more digits, or finer ones, than the column. Raise the schema's scale or precision; a cut number would be a wrong number.",
);
pub static BASE64: Code = reject(
    "FB0267",
    "json string that is not base64",
    "Columns of bytes take base64 (RFC 4648, standard alphabet, with or without padding).",
);
pub static FORMAT: Code = reject(
    "FB0268",
    "json string that is not the date, time or uuid its schema says",
    "Dates are `2026-01-31`, times `13:45:00Z`, date-times `2026-01-31T13:45:00Z` with an offset (RFC 3339), uuids 8-4-4-4-12 hexadecimal digits. Take `format` out of the schema to keep the text as it is.",
);
pub static ESCAPE: Code = reject(
    "FB0269",
    "json string with half a character",
    "The string has a lone surrogate (`\\ud800`), which no text column can hold. The producer cuts text in the middle of a character.",
);
pub static UNION: Code =
    reject("FB0270", "json value that fits no branch of its `oneOf` or `anyOf`", OTHER);
pub static SCHEMA: Code = reject(
    "FB0271",
    "json schema that cannot be read",
    "A keyword of the schema has a value that JSON Schema does not allow there. The message says where.",
);
pub static REFERENCE: Code = reject(
    "FB0272",
    "json schema reference that leads nowhere",
    "`$ref` is followed inside the schema and to the references it is registered with, by name or `$id`. Nothing is ever fetched from the network or the disk: register the schema it names, and refer to it.",
);
pub static ENVELOPE: Code = reject(
    "FB0273",
    "record without an embedded schema",
    "`json_connect` reads `{\"schema\": …, \"payload\": …}`, as Kafka Connect's JsonConverter writes it with `schemas.enable=true`. For JSON without a schema set `value.format: json`.",
);
pub static CONNECT: Code = reject(
    "FB0274",
    "embedded Connect schema that cannot be read",
    "The record's `schema` is not one that Kafka Connect's JsonConverter writes. The message says where.",
);

/// Every code of this room; the others it uses are shared ([`crate::decode::codes`]).
pub static CODES: &[&Code] = &[
    &SYNTAX, &TRAILING, &TYPE, &NULL, &MISSING, &NUMBER, &DECIMAL, &BASE64, &FORMAT, &ESCAPE,
    &UNION, &SCHEMA, &REFERENCE, &ENVELOPE, &CONNECT,
];
