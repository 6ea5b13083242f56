//! One function over one source: typed values → ids of their texts. Text is made once per distinct value.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, DecimalType, i256};
use foldhash::fast::RandomState;

use super::codes::VALUE;
use super::iceberg;
use super::item::Function;
use super::memo::Memo;
use super::text::{self, Long};
use super::texts::Texts;
use super::time::{Clock, Shape, Spec};
use crate::error::Reject;

type Found = Result<u32, Box<Reject>>;

#[derive(Debug)]
enum Op {
    Whole,
    Time(Box<Clock>),
    Bucket(u32),
    Truncate(u32),
}

#[derive(Debug)]
pub struct Resolver {
    op: Op,
    kind: Long,
    scale: i8,
    uuid: bool,
    label: Arc<str>,
    longs: HashMap<i64, u32, RandomState>,
    wides: HashMap<i128, u32, RandomState>,
    /// Keys of `longs` met lately.
    memo: Memo<u64>,
    scratch: String,
}

impl Resolver {
    /// `Err` says what is required of the type.
    pub fn new(
        function: &Function,
        data_type: &DataType,
        uuid: bool,
        label: Arc<str>,
    ) -> Result<Self, String> {
        let kind = long_kind(data_type).ok_or("a scalar")?;
        let op = match function {
            Function::Whole => Op::Whole,
            Function::Time(spec) => Op::Time(Box::new(clock(spec, data_type, label.clone())?)),
            Function::Bucket(_) if matches!(kind, Long::Boolean | Long::Float | Long::Double) => {
                return Err("an integer, decimal, time, string or bytes".into());
            }
            Function::Bucket(count) => Op::Bucket(*count),
            Function::Truncate(width) => match data_type {
                DataType::Utf8 | DataType::Dictionary(..) | DataType::Binary | DataType::Null => {
                    Op::Truncate(*width)
                }
                DataType::Decimal128(..) | DataType::Decimal256(..) => Op::Truncate(*width),
                integer if integer.is_integer() => Op::Truncate(*width),
                _ => return Err("an integer, decimal, string or bytes".into()),
            },
        };
        let scale = match data_type {
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => *scale,
            _ => 0,
        };
        Ok(Self {
            op,
            kind: if matches!(function, Function::Bucket(_)) && !kind_is_time(kind) {
                Long::Integer
            } else {
                kind
            },
            scale,
            uuid,
            label,
            longs: HashMap::default(),
            wides: HashMap::default(),
            memo: Memo::default(),
            scratch: String::new(),
        })
    }

    /// Forgets the ids it gave, because the texts do.
    pub fn clear(&mut self) {
        self.longs.clear();
        self.wides.clear();
        self.memo.clear();
        if let Op::Time(clock) = &mut self.op {
            clock.clear();
        }
    }

    /// Entries kept beside the texts.
    pub fn len(&self) -> usize {
        self.longs.len() + self.wides.len()
    }

    /// A boolean, an integer of up to 64 bits with sign, the bits of a float, a date, a time.
    #[inline]
    pub fn long(&mut self, value: i64, texts: &mut Texts) -> Found {
        match &mut self.op {
            Op::Time(clock) => clock.get(value, texts),
            Op::Whole => self.keyed(value, texts),
            Op::Bucket(count) => {
                let count = *count;
                let Some(value) = micros(self.kind, value) else {
                    return Err(self.overflow(&value));
                };
                self.number(iceberg::bucket_long(value, count), texts)
            }
            Op::Truncate(width) => match iceberg::truncate_long(value, *width) {
                Some(value) => self.keyed(value, texts),
                None => Err(self.overflow(&value)),
            },
        }
    }

    /// Id of the text of a value of this source's kind.
    #[inline]
    fn keyed(&mut self, value: i64, texts: &mut Texts) -> Found {
        match self.memo.get(value as u64) {
            Some(id) => Ok(id),
            None => self.keyed_first(value, self.kind, texts),
        }
    }

    /// Id of a bucket's number.
    #[inline]
    fn number(&mut self, value: i64, texts: &mut Texts) -> Found {
        match self.memo.get(value as u64) {
            Some(id) => Ok(id),
            None => self.keyed_first(value, Long::Integer, texts),
        }
    }

    fn keyed_first(&mut self, value: i64, kind: Long, texts: &mut Texts) -> Found {
        let id = match self.longs.get(&value) {
            Some(id) => *id,
            None => {
                self.scratch.clear();
                if !text::push_long(kind, value, &mut self.scratch) {
                    return Err(self.no_text(&value));
                }
                let id = texts.intern(&self.scratch);
                self.longs.insert(value, id);
                id
            }
        };
        self.memo.put(value as u64, id);
        Ok(id)
    }

    /// A decimal of up to 38 digits, unscaled, or an unsigned integer.
    pub fn wide(&mut self, value: i128, texts: &mut Texts) -> Found {
        let value = match &mut self.op {
            Op::Whole => value,
            Op::Time(clock) => {
                return match i64::try_from(value) {
                    Ok(value) => clock.get(value, texts),
                    Err(_) => clock.instead(clock.beyond(&value), texts),
                };
            }
            Op::Bucket(count) => {
                let bucket = iceberg::bucket_decimal(&value.to_be_bytes(), *count);
                return self.number(bucket, texts);
            }
            Op::Truncate(width) => match iceberg::truncate_wide(value, *width) {
                Some(value) => value,
                None => return Err(self.overflow(&value)),
            },
        };
        if let Some(id) = self.wides.get(&value) {
            return Ok(*id);
        }
        let id = texts.intern(&Decimal128Type::format_decimal(value, 38, self.scale));
        self.wides.insert(value, id);
        Ok(id)
    }

    /// A decimal of up to 76 digits, unscaled.
    pub fn widest(&mut self, value: i256, texts: &mut Texts) -> Found {
        let value = match &mut self.op {
            Op::Whole => value,
            Op::Time(clock) => {
                return match value.to_i128().and_then(|v| i64::try_from(v).ok()) {
                    Some(value) => clock.get(value, texts),
                    None => clock.instead(clock.beyond(&value), texts),
                };
            }
            Op::Bucket(count) => {
                let bucket = iceberg::bucket_decimal(&value.to_be_bytes(), *count);
                return self.number(bucket, texts);
            }
            Op::Truncate(width) => match iceberg::truncate_widest(value, *width) {
                Some(value) => value,
                None => return Err(self.overflow(&value)),
            },
        };
        Ok(texts.intern(&Decimal256Type::format_decimal(value, 76, self.scale)))
    }

    #[inline]
    pub fn text(&mut self, value: &str, texts: &mut Texts) -> Found {
        match &mut self.op {
            Op::Whole => Ok(texts.intern(value)),
            Op::Time(clock) => clock.text(value, texts),
            Op::Truncate(width) => Ok(texts.intern(iceberg::truncate_str(value, *width))),
            Op::Bucket(count) => {
                let bucket = iceberg::bucket_bytes(value.as_bytes(), *count);
                self.number(bucket, texts)
            }
        }
    }

    pub fn bytes(&mut self, value: &[u8], texts: &mut Texts) -> Found {
        let value = match &self.op {
            Op::Bucket(count) => {
                let bucket = iceberg::bucket_bytes(value, *count);
                return self.number(bucket, texts);
            }
            Op::Truncate(width) => &value[..value.len().min(*width as usize)],
            Op::Whole | Op::Time(_) => value,
        };
        self.scratch.clear();
        text::push_bytes(value, self.uuid, &mut self.scratch);
        Ok(texts.intern(&self.scratch))
    }

    #[cold]
    fn overflow(&self, value: &dyn std::fmt::Display) -> Box<Reject> {
        Reject::new(
            &VALUE,
            format!(
                "value `{value}` of `{}`: overflows its type, a smaller one required",
                self.label
            ),
        )
    }

    #[cold]
    fn no_text(&self, value: &dyn std::fmt::Display) -> Box<Reject> {
        Reject::new(
            &VALUE,
            format!(
                "value `{value}` of `{}`: outside years 0 to 9999 or a day's hours, one inside required",
                self.label
            ),
        )
    }
}

fn kind_is_time(kind: Long) -> bool {
    matches!(kind, Long::Timestamp(_) | Long::Time(_))
}

/// Times hash as microseconds, whatever their unit; everything else as it is.
fn micros(kind: Long, value: i64) -> Option<i64> {
    match kind {
        Long::Timestamp(unit) | Long::Time(unit) => match text::per_second(unit) {
            1_000_000_000 => Some(value.div_euclid(1_000)),
            per => value.checked_mul(1_000_000 / per),
        },
        _ => Some(value),
    }
}

/// How a column of this type is written; any for types that are not read as `i64`. `None` if it cannot be
/// a partition value.
fn long_kind(data_type: &DataType) -> Option<Long> {
    Some(match data_type {
        DataType::Boolean => Long::Boolean,
        DataType::Float32 => Long::Float,
        DataType::Float64 => Long::Double,
        DataType::Date32 => Long::Date,
        DataType::Timestamp(unit, _) => Long::Timestamp(*unit),
        DataType::Time32(unit) | DataType::Time64(unit) => Long::Time(*unit),
        DataType::Dictionary(key, value)
            if **key == DataType::Int32 && **value == DataType::Utf8 =>
        {
            Long::Integer
        }
        DataType::Utf8 | DataType::Binary | DataType::FixedSizeBinary(_) | DataType::Null => {
            Long::Integer
        }
        DataType::Decimal128(..) | DataType::Decimal256(..) => Long::Integer,
        integer if integer.is_integer() => Long::Integer,
        _ => return None,
    })
}

/// A clock for values of this type, or what is required.
fn clock(spec: &Spec, data_type: &DataType, label: Arc<str>) -> Result<Clock, String> {
    let text = matches!(data_type, DataType::Utf8 | DataType::Dictionary(..) | DataType::Null);
    let integer = data_type.is_integer()
        || matches!(data_type, DataType::Decimal128(_, 0) | DataType::Decimal256(_, 0));
    if spec.pattern.is_some() && !text {
        return Err("a string, as `pattern` is set,".into());
    }
    if spec.unit.is_some() && !text && !integer {
        return Err("an integer or a string, as `unit` is set,".into());
    }
    let (per_second, wall) = match data_type {
        DataType::Timestamp(unit, zone) => (text::per_second(*unit), zone.is_none()),
        DataType::Date32 => {
            if matches!(spec.shape, Shape::Hour | Shape::Minute)
                || matches!(spec.shape, Shape::Interval(size) if size < 86_400)
            {
                return Err("a time with hours".into());
            }
            (0, true)
        }
        _ if text => (spec.unit.map_or(1, |u| u.per_second()), false),
        _ if integer => match spec.unit {
            Some(unit) => (unit.per_second(), false),
            None => return Err("`unit='s'`, `'ms'`, `'us'` or `'ns'` with an integer".into()),
        },
        _ => return Err("a timestamp, a date, a string, or an integer with `unit`".into()),
    };
    Ok(Clock::new(Box::new(spec.clone()), per_second, wall, label))
}
