//! The codes of this room: 03xx.

use crate::error::{Code, Kind};

pub static UNAVAILABLE: Code = Code {
    id: "FB0301",
    kind: Kind::Pause,
    title: "schema registry cannot be asked",
    help: "The registry is down, slow, overloaded, or answers with something that is no registry's answer (a proxy's page, a redirect, a cut body). Schemas that are already known keep working. Check `registry.url`, with the path that some registries need (`/apis/ccompat/v7`).",
};
pub static DENIED: Code = Code {
    id: "FB0302",
    kind: Kind::Pause,
    title: "schema registry refuses the credentials",
    help: "The registry answered 401 or 403. Check `registry.auth` and what the account may read.",
};
pub static UNKNOWN: Code = Code {
    id: "FB0303",
    kind: Kind::Reject,
    title: "schema not in the registry",
    help: "The record names a schema that this registry does not hold: it was written through another registry or context, or the schema was deleted for good.",
};
pub static BAD: Code = Code {
    id: "FB0304",
    kind: Kind::Halt,
    title: "schema that does not compile",
    help: "The registry holds a schema text that its language refuses. Register a corrected schema, and have the producers use it.",
};
pub static REFERENCES: Code = Code {
    id: "FB0305",
    kind: Kind::Halt,
    title: "schema references that cannot be followed",
    help: "A referenced schema is missing, or there are too many, too deep or too large. At most 256 references, 32 deep, 16 MiB of text in all.",
};
pub static TOO_LARGE: Code = Code {
    id: "FB0306",
    kind: Kind::Halt,
    title: "schema or subject too large",
    help: "A schema with its references takes at most 16 MiB of text, and each text of Avro holds at most 40,000 objects. Of a subject at most 1,000 versions are read.",
};
pub static EDITION: Code = Code {
    id: "FB0307",
    kind: Kind::Halt,
    title: "Protobuf edition or feature that is not known",
    help: "Editions 2023 and 2024 are read, with the features that they define. Register the schema with one of them, or with `syntax = \"proto3\"`; the wire format of the records stays the same.",
};
pub static SETTINGS: Code = Code {
    id: "FB0308",
    kind: Kind::Halt,
    title: "registry settings that cannot be used",
    help: "The URL, a header or a PEM file of `registry` is not usable. Files hold PEM text; `cert_file` and `key_file` come together.",
};
pub static REFUSED: Code = Code {
    id: "FB0309",
    kind: Kind::Halt,
    title: "schema refused by the registry",
    help: "The registry does not take the schema: it is invalid, or incompatible with the versions before it. Change the schema, or the subject's compatibility level.",
};
pub static SUBJECT: Code = Code {
    id: "FB0310",
    kind: Kind::Halt,
    title: "subject without a name or not in the registry",
    help: "Check `registry.subject_name_strategy`, and that the subject has a version.",
};
pub static ENCODE: Code = Code {
    id: "FB0311",
    kind: Kind::Reject,
    title: "JSON value that does not fit the schema",
    help: "The value at the named path cannot be written as the type that the schema gives it.",
};
pub static SERVER: Code = Code {
    id: "FB0312",
    kind: Kind::Halt,
    title: "the embedded registry cannot listen",
    help: "The address is in use, or may not be bound. Port 0 takes any free port.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[
    &UNAVAILABLE,
    &DENIED,
    &UNKNOWN,
    &BAD,
    &REFERENCES,
    &TOO_LARGE,
    &EDITION,
    &SETTINGS,
    &REFUSED,
    &SUBJECT,
    &ENCODE,
    &SERVER,
];
