//! Types that everybody knows by name: what each becomes.

use arrow::datatypes::TimeUnit;
use prost_reflect::{FieldDescriptor, Kind as Type, MessageDescriptor};

use super::{Compiler, Made, op};
use crate::config::{Connect, TimestampUnit};
use crate::decode::columns::Leaf;
use crate::decode::protobuf::plan::{DecimalType, Kind};
use crate::decode::protobuf::source::Source;
use crate::decode::protobuf::wire::LEN;
use crate::decode::readers::{Exact, UNIT};
use crate::error::Fault;

impl Compiler<'_> {
    /// Types that everybody knows by name.
    pub(super) fn known(
        &mut self,
        source: &Source,
        message: &MessageDescriptor,
        name: &str,
        nullable: bool,
        path: &str,
    ) -> Result<Option<Made>, Fault> {
        let tag = source.number << 3 | LEN;
        if self.connect.is_some() {
            self.note_loss(path, &source.kind);
        }
        let micros = TimeUnit::Microsecond;
        let (column, kind) = match message.full_name() {
            _ if source.group => return Ok(None),
            _ if self.connect.is_some_and(|connect| is_plain(connect, message)) => {
                return Ok(None);
            }
            "google.protobuf.Timestamp" => {
                let unit = self.timestamp_unit(path);
                let leaf = Leaf::Timestamp { unit, utc: true };
                (self.layout.leaf(name, leaf, nullable), Kind::Timestamp)
            }
            "google.protobuf.Duration" => {
                (self.layout.leaf(name, Leaf::I64, nullable).with(UNIT, "us"), Kind::Duration)
            }
            "google.type.Date" => (self.layout.leaf(name, Leaf::Date32, nullable), Kind::Date),
            "google.type.TimeOfDay" if self.connect.is_some() => {
                let leaf = Leaf::Time(TimeUnit::Millisecond);
                (self.layout.leaf(name, leaf, nullable), Kind::TimeOfDayMillis)
            }
            "google.type.TimeOfDay" => match self.readers.refuse(Exact::Time, path) {
                Some(note) => {
                    self.notes.push(note);
                    let column = self.layout.leaf(name, Leaf::I64, nullable);
                    (column.with(UNIT, "us"), Kind::TimeOfDay)
                }
                None => (self.layout.leaf(name, Leaf::Time(micros), nullable), Kind::TimeOfDay),
            },
            "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue" => {
                let column = self.layout.leaf(name, Leaf::Json, nullable);
                return Ok(Some(self.json(source, message, column, nullable, Kind::Json, path)));
            }
            _ if is_field_mask(message) => {
                return self.field_mask(message, name, nullable, path, tag);
            }
            "confluent.type.Decimal" => {
                return Ok(Some(self.decimal(source, name, nullable, path, tag)));
            }
            _ if is_wrapper(message) => {
                return self.wrapper(message, name, nullable, path, tag);
            }
            _ => return Ok(None),
        };
        let op = op(tag, kind, column.slot().index());
        Ok(Some((column, op)))
    }

    /// The unit of timestamps, as far as the readers know it.
    fn timestamp_unit(&mut self, path: &str) -> TimeUnit {
        if self.unit == TimestampUnit::Ns
            && let Some(note) = self.readers.refuse(Exact::TimestampNs, path)
        {
            self.notes.push(note);
            self.unit = TimestampUnit::Us;
        }
        match self.unit {
            TimestampUnit::Ms => TimeUnit::Millisecond,
            TimestampUnit::Us => TimeUnit::Microsecond,
            TimestampUnit::Ns => TimeUnit::Nanosecond,
        }
    }

    fn wrapper(
        &mut self,
        message: &MessageDescriptor,
        name: &str,
        nullable: bool,
        path: &str,
        tag: u32,
    ) -> Result<Option<Made>, Fault> {
        let Some(inner) = message.get_field(1) else { return Ok(None) };
        let inner = Source::field(&inner, self.facts);
        let Some((column, inner_op)) = self.value(&inner, name, nullable, path)? else {
            return Ok(None);
        };
        let mut op = op(tag, Kind::Wrapper(column.slot()), column.slot().index());
        op.aux = self.table(path, vec![("value".to_owned(), inner_op)]);
        Ok(Some((column, op)))
    }

    fn field_mask(
        &mut self,
        message: &MessageDescriptor,
        name: &str,
        nullable: bool,
        path: &str,
        tag: u32,
    ) -> Result<Option<Made>, Fault> {
        let Some(paths) = message.get_field(1) else { return Ok(None) };
        let paths = Source::field(&paths, self.facts);
        let Some((element, mut inner)) = self.value(&paths, "element", false, name)? else {
            return Ok(None);
        };
        inner.width = element.width();
        let column = self.layout.list(name, nullable, element);
        inner.list = column.slot().index();
        let mut op = op(tag, Kind::FieldMask, column.slot().index());
        op.aux = self.table(path, vec![("paths".to_owned(), inner)]);
        Ok(Some((column, op)))
    }

    fn decimal(
        &mut self,
        source: &Source,
        name: &str,
        nullable: bool,
        path: &str,
        tag: u32,
    ) -> Made {
        // A scale alone has the widest precision; a precision alone has scale 0.
        let said = match (self.connect, source.decimal) {
            (None, (None, None)) => None,
            (None, (precision, scale)) => Some((precision.unwrap_or(38), scale.unwrap_or(0))),
            (Some(_), (precision, scale)) => {
                Some((precision.unwrap_or(CONNECT_PRECISION), scale.unwrap_or(0)))
            }
        };
        let (leaf, decimal) = match said {
            Some((p @ 1..=38, s)) if (0..=p).contains(&s) => {
                let (p, s) = (p as u8, s as i8);
                (Leaf::Decimal128(p, s), DecimalType::Short(p, s))
            }
            Some((p @ 39..=76, s)) if (0..=p).contains(&s) => {
                let (p, s) = (p as u8, s as i8);
                match self.readers.refuse(Exact::WideDecimal, path) {
                    Some(note) => {
                        self.notes.push(note);
                        (Leaf::Utf8, DecimalType::Text)
                    }
                    None => (Leaf::Decimal256(p, s), DecimalType::Long(p, s)),
                }
            }
            Some((p, s)) => {
                self.notes.push(format!(
                    "{path}: decimal → string, precision {p} and scale {s} fit no column"
                ));
                (Leaf::Utf8, DecimalType::Text)
            }
            None => {
                self.notes.push(format!("{path}: decimal → string, the schema has no precision and scale (`confluent.field_meta`)"));
                (Leaf::Utf8, DecimalType::Text)
            }
        };
        let column = self.layout.leaf(name, leaf, nullable);
        let column = if leaf == Leaf::Utf8 { column.wider(DECIMAL_TEXT_MAX) } else { column };
        let mut op = op(tag, Kind::Decimal, column.slot().index());
        op.aux = self.decimals.len() as u32;
        self.decimals.push(decimal);
        (column, op)
    }
}

/// Digits of a decimal whose precision nobody says, as Confluent's converters have it.
const CONNECT_PRECISION: i64 = 64;

/// Bytes of the longest decimal text.
const DECIMAL_TEXT_MAX: usize = 160;

/// Types with a name of their own that Confluent's converter takes for any message.
fn is_plain(connect: Connect, message: &MessageDescriptor) -> bool {
    let wrappers = connect.wrapper_for_nullables || connect.wrapper_for_raw_primitives;
    match message.full_name() {
        "google.protobuf.Duration" | "google.protobuf.FieldMask" => true,
        _ => !wrappers && is_wrapper(message),
    }
}

/// Types whose empty message stands for no value at all.
pub(super) fn has_no_default(full_name: &str) -> bool {
    matches!(full_name, "google.type.Date" | "confluent.type.Decimal")
}

/// A wrapper as Google defines it. Anybody may register another message under its name.
pub fn is_wrapper(message: &MessageDescriptor) -> bool {
    let name = message.full_name().strip_prefix("google.protobuf.");
    let is_named = name.is_some_and(|name| {
        matches!(
            name,
            "DoubleValue"
                | "FloatValue"
                | "Int64Value"
                | "UInt64Value"
                | "Int32Value"
                | "UInt32Value"
                | "BoolValue"
                | "StringValue"
                | "BytesValue"
        )
    });
    let is_scalar = |kind| !matches!(kind, Type::Message(_) | Type::Enum(_));
    is_named && only(message).is_some_and(|field| !field.is_list() && is_scalar(field.kind()))
}

/// The same of a field mask.
pub fn is_field_mask(message: &MessageDescriptor) -> bool {
    message.full_name() == "google.protobuf.FieldMask"
        && only(message).is_some_and(|field| field.is_list() && field.kind() == Type::String)
}

/// Field 1 of a message that has no other.
fn only(message: &MessageDescriptor) -> Option<FieldDescriptor> {
    message.get_field(1).filter(|_| message.fields().len() == 1)
}
