//! Why an Avro record, or an Avro schema, is refused.

use crate::error::{Code, Kind};

const CORRUPT: &str = "The bytes are not what the writer schema says: the producer wrote them with another schema than it named, or they were cut or changed on the way. Decode the record from its reject file with the schema its producer used.";

const fn reject(id: &'static str, title: &'static str, help: &'static str) -> Code {
    Code { id, kind: Kind::Reject, title, help }
}

pub static TRUNCATED: Code = reject("FB0240", "avro record that ends early", CORRUPT);
pub static TRAILING: Code = reject(
    "FB0241",
    "avro record with bytes left over",
    "The writer schema describes fewer bytes than the record has: the producer wrote them with a newer schema than it named, or framed the record twice.",
);
pub static UNION: Code =
    reject("FB0242", "avro union branch that the schema does not have", CORRUPT);
pub static SYMBOL: Code =
    reject("FB0243", "avro enum symbol that the schema does not have", CORRUPT);
pub static BOOLEAN: Code = reject("FB0244", "avro boolean that is neither 0 nor 1", CORRUPT);
pub static VARINT: Code = reject("FB0245", "avro integer over its 32 or 64 bits", CORRUPT);
pub static LENGTH: Code = reject("FB0246", "avro length below zero", CORRUPT);
pub static BLOCK: Code = reject("FB0247", "avro array or map block of an impossible size", CORRUPT);
pub static DECIMAL: Code = reject(
    "FB0248",
    "avro decimal that does not fit its precision",
    "The producer wrote a number of more digits than the schema's `precision`. Raise the precision in the schema; a cut number would be a wrong number.",
);
pub static UUID: Code = reject(
    "FB0249",
    "avro uuid that is none",
    "A `uuid` is text as in RFC 9562, hexadecimal digits in groups of 8-4-4-4-12. Drop the logical type from the schema, or repair the producer.",
);
pub static SCHEMA: Code = reject(
    "FB0250",
    "avro schema that names what it does not define",
    "The schema uses a type by a name that neither it nor its references define. Register the missing reference with it.",
);
pub static RESOLUTION: Code = reject(
    "FB0251",
    "avro schema that cannot be read as the target",
    "The target asks for what the writer schema does not give: a field without a default, another type, another name. Give the target's field a default, or its type an alias, or leave these records to files of their own.",
);
pub static UNREADABLE: Code = reject(
    "FB0252",
    "avro value that the target has no place for",
    "The writer's union or enum has a branch or symbol that the target's has not. Add it to the target, or give the target's enum a default.",
);

/// Every code of this room; the others it uses are shared ([`crate::decode::codes`]).
pub static CODES: &[&Code] = &[
    &TRUNCATED,
    &TRAILING,
    &UNION,
    &SYMBOL,
    &BOOLEAN,
    &VARINT,
    &LENGTH,
    &BLOCK,
    &DECIMAL,
    &UUID,
    &SCHEMA,
    &RESOLUTION,
    &UNREADABLE,
];
