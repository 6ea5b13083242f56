//! Protobuf bodies → columns.
//!
//! Owns: what each type of proto2, proto3 and editions becomes, and the loop that fills the columns from the wire.
//! Does not own: framing and message indexes (`wire`), schema text (`registry`).
//! Bounded by: depth, nodes and bytes per record, on known and on unknown fields; 10,000 columns per plan.
//! Absent: trees of values; message sets; unknown fields of messages that become one value (they are counted).
//!
//! # What becomes what
//!
//! `double` `float` `bool` `int32` `int64` and their kin: the Arrow type of that name. `uint32` Int64 and `uint64`
//! Decimal128(20,0), or unsigned by option. Enums: their names as text, unknown numbers as decimal text (closed
//! enums too: nothing is lost), or Int32 by option. Messages: nullable structs; without fields, a Boolean that
//! says whether they are there. Repeated: lists of non-null elements, packed or not. Maps: the last of equal
//! keys. A oneof: its members as nullable columns, of which the last one set is not null. proto3 scalars
//! without presence: non-null with default; proto2 fields, `required` ones too: nullable.
//! `Timestamp`: microseconds, UTC, or milliseconds or nanoseconds by option. `Duration`: Int64 microseconds.
//! Wrappers: nullable scalars. `Struct`, `Value`, `ListValue`: JSON text. `FieldMask`: a list of text. `google.type.Date`, `TimeOfDay`: date, time.
//! `confluent.type.Decimal`: decimal by `confluent.field_meta`, else text. A message inside itself: JSON text.
//! Any other well-known type is the struct that it declares. Extensions that the schema knows: `[full.name]`.
//! Unknown fields: counted, and kept in `_unknown` by option; what a message set holds is unknown, and a note says so.

mod compile;
mod json;
mod onto;
mod plan;
mod run;
mod source;
mod special;
mod wire;

use prost_reflect::MessageDescriptor;

use super::{Compiled, Options};
use crate::error::Fault;
use crate::registry::ProtobufFile;

pub use onto::onto;
pub use plan::Program;
pub use run::State;

/// Compiles the program and the columns of the message that `indexes` name.
///
/// Errors: [`crate::wire::INDEXES`], [`super::codes::TOO_WIDE`].
pub fn compile(
    file: &ProtobufFile,
    indexes: &[u32],
    options: &Options,
) -> Result<Compiled<Program>, Fault> {
    of_message(file, &source::message(file, indexes)?, options)
}

/// As [`compile`], for the message of this name; none if the file has no such one.
pub fn compile_named(
    file: &ProtobufFile,
    name: &str,
    options: &Options,
) -> Option<Result<Compiled<Program>, Fault>> {
    let message = file.file.parent_pool().get_message_by_name(name)?;
    Some(of_message(file, &message, options))
}

fn of_message(
    file: &ProtobufFile,
    message: &MessageDescriptor,
    options: &Options,
) -> Result<Compiled<Program>, Fault> {
    let mut compiled = compile::compile(message, &file.facts, options)?;
    compiled.notes.extend(file.forgiven.iter().map(|line| format!("schema: {line}")));
    Ok(compiled)
}
