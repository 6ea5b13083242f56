//! Times → text of the bucket they fall into.
//!
//! A bucket is cut where its zone changes its offset, so inside one the text never changes: a value that
//! falls into a known bucket costs two comparisons, and no calendar.

use std::fmt::Write;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::calendar::{Span, civil_at, days_of, parse_iso, parse_pattern, span};
use super::codes::{TIME, YEAR};
use super::texts::Texts;
use crate::error::Reject;

/// What a time function was told.
#[derive(Debug, Clone)]
pub struct Spec {
    pub shape: Shape,
    /// Of integers.
    pub unit: Option<Unit>,
    pub zone: TimeZone,
    /// strptime pattern of strings.
    pub pattern: Option<String>,
    /// First and last local year that is allowed.
    pub years: (i16, i16),
    /// What a value that is no allowed time becomes, instead of a reject.
    pub invalid: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Second,
    Millisecond,
    Microsecond,
    Nanosecond,
}

impl Unit {
    pub fn per_second(self) -> i64 {
        match self {
            Unit::Second => 1,
            Unit::Millisecond => 1_000,
            Unit::Microsecond => 1_000_000,
            Unit::Nanosecond => 1_000_000_000,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    /// Seconds; divides a day.
    Interval(i64),
    /// strftime format, and how often its text changes.
    Format(String, Grain),
}

/// How often the text of a format can change, between changes of the zone's offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    Day,
    Hour,
    Minute,
    Second,
    /// At any nanosecond.
    Any,
}

impl Grain {
    /// The finest of the directives in `format`; one that is not known counts as [`Grain::Any`].
    pub fn of_format(format: &str) -> Self {
        let mut grain = Grain::Day;
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                continue;
            }
            let directive =
                chars.find(|c| !matches!(c, '-' | '_' | '0'..='9' | '^' | '#' | ':' | '.'));
            grain = grain.max(match directive {
                Some(
                    'Y' | 'C' | 'y' | 'G' | 'g' | 'm' | 'b' | 'B' | 'h' | 'd' | 'e' | 'j' | 'u'
                    | 'w' | 'a' | 'A' | 'U' | 'W' | 'V' | 'D' | 'F' | 'q' | 'n' | 't' | '%' | 'z'
                    | 'Z' | 'Q',
                ) => Grain::Day,
                Some('H' | 'I' | 'k' | 'l' | 'p' | 'P') => Grain::Hour,
                Some('M' | 'R') => Grain::Minute,
                Some('S' | 'T' | 's') => Grain::Second,
                _ => Grain::Any,
            });
        }
        grain
    }
}

/// Most buckets kept: beyond, inserting into the sorted list would cost more than the calendar.
const RANGES_MAX: usize = 4_096;

/// Values `[low, high)` have this text.
#[derive(Debug, Clone, Copy)]
struct Range {
    low: i64,
    high: i64,
    id: u32,
}

/// One time function over one source.
#[derive(Debug)]
pub struct Clock {
    spec: Box<Spec>,
    /// UTC if the values are wall times, which no zone moves.
    zone: TimeZone,
    /// Of the values, in a second; or the values are days.
    per_second: i64,
    days: bool,
    /// What messages call the value.
    label: Arc<str>,
    /// Disjoint, rising.
    ranges: Vec<Range>,
    last: usize,
    span: Span,
    scratch: String,
}

impl Clock {
    /// Values with `per_second` units in a second, or days if that is 0; `wall` times have no zone.
    pub fn new(spec: Box<Spec>, per_second: i64, wall: bool, label: Arc<str>) -> Self {
        let zone = if wall { TimeZone::UTC } else { spec.zone.clone() };
        let days = per_second == 0;
        Self {
            spec,
            zone,
            per_second: per_second.max(1),
            days,
            label,
            ranges: Vec::new(),
            last: 0,
            span: Span { low: 0, high: 0, offset: 0 },
            scratch: String::new(),
        }
    }

    /// Forgets the ids it gave.
    pub fn clear(&mut self) {
        self.ranges.clear();
        self.last = 0;
    }

    /// Id of the bucket of `value`. Error: [`YEAR`].
    #[inline]
    pub fn get(&mut self, value: i64, texts: &mut Texts) -> Result<u32, Box<Reject>> {
        match self.ranges.get(self.last) {
            Some(range) if range.low <= value && value < range.high => Ok(range.id),
            _ => self.find(value, texts),
        }
    }

    fn find(&mut self, value: i64, texts: &mut Texts) -> Result<u32, Box<Reject>> {
        let next = self.ranges.partition_point(|r| r.low <= value);
        if let Some(range) = next.checked_sub(1).and_then(|i| self.ranges.get(i))
            && value < range.high
        {
            self.last = next - 1;
            return Ok(range.id);
        }
        self.add(value, next, texts)
    }

    #[cold]
    fn add(&mut self, value: i64, next: usize, texts: &mut Texts) -> Result<u32, Box<Reject>> {
        self.try_add(value, next, texts).or_else(|reject| self.instead(reject, texts))
    }

    /// What stands for a value that was refused: the `invalid` text, or the reject.
    #[cold]
    pub fn instead(&self, reject: Box<Reject>, texts: &mut Texts) -> Result<u32, Box<Reject>> {
        match &self.spec.invalid {
            Some(text) => Ok(texts.intern(text)),
            None => Err(reject),
        }
    }

    fn try_add(&mut self, value: i64, next: usize, texts: &mut Texts) -> Result<u32, Box<Reject>> {
        let (second, nanosecond) = if self.days {
            (value.saturating_mul(86_400), 0)
        } else {
            let rest = value.rem_euclid(self.per_second);
            (value.div_euclid(self.per_second), rest * (1_000_000_000 / self.per_second))
        };
        let (low, high) = self.write(second, nanosecond as u32, &value)?;
        let id = texts.intern(&self.scratch);
        if low < high {
            let full = self.ranges.len() >= RANGES_MAX;
            if full {
                self.clear();
            }
            let at = if full { 0 } else { next };
            let (low, high) = if self.days {
                // Of each day only midnight is asked for, so that part of one counts as all of it.
                (low.div_euclid(86_400), high.saturating_add(86_399).div_euclid(86_400))
            } else {
                (low.saturating_mul(self.per_second), high.saturating_mul(self.per_second))
            };
            self.ranges.insert(at, Range { low, high, id });
            self.last = at;
        }
        Ok(id)
    }

    /// Id of the bucket of a string. Errors: [`TIME`], [`YEAR`].
    pub fn text(&mut self, text: &str, texts: &mut Texts) -> Result<u32, Box<Reject>> {
        self.try_text(text, texts).or_else(|reject| self.instead(reject, texts))
    }

    fn try_text(&mut self, text: &str, texts: &mut Texts) -> Result<u32, Box<Reject>> {
        if self.spec.unit.is_some() {
            let value = text.parse::<i64>().map_err(|_| self.no_time(text, "an integer"))?;
            return self.get(value, texts);
        }
        let found = match &self.spec.pattern {
            Some(pattern) => parse_pattern(pattern, text, &self.zone),
            None => parse_iso(text, &self.zone),
        };
        let Some((second, nanosecond)) = found else {
            let required = match &self.spec.pattern {
                Some(pattern) => format!("a text of pattern `{pattern}`"),
                None => "ISO 8601".to_owned(),
            };
            return Err(self.no_time(text, &required));
        };
        if matches!(self.spec.shape, Shape::Format(_, Grain::Any)) {
            self.write(second, nanosecond, &text)?;
            return Ok(texts.intern(&self.scratch));
        }
        self.get(second, texts)
    }

    #[cold]
    fn no_time(&self, text: &str, required: &str) -> Box<Reject> {
        let quoted = super::text::quoted(text);
        Reject::new(&TIME, format!("time `{quoted}` of `{}`: {required} required", self.label))
    }

    /// A value so large that it is no time in any unit.
    #[cold]
    pub fn beyond(&self, value: &dyn std::fmt::Display) -> Box<Reject> {
        let (first, last) = self.spec.years;
        Reject::new(
            &YEAR,
            format!(
                "time `{value}` of `{}`: outside the calendar, years {first} to {last} required; check its unit",
                self.label
            ),
        )
    }

    /// Writes the text of an instant to `scratch`. Returns the seconds `[low, high)` that share it,
    /// none if only this instant does.
    fn write(
        &mut self,
        second: i64,
        nanosecond: u32,
        value: &dyn std::fmt::Display,
    ) -> Result<(i64, i64), Box<Reject>> {
        if !(self.span.low <= second && second < self.span.high) {
            self.span = span(&self.zone, second);
        }
        let Span { low, high, offset } = self.span;
        let local = civil_at(second.saturating_add(offset)).ok_or_else(|| self.beyond(value))?;
        let (first, last) = self.spec.years;
        if !(first..=last).contains(&local.year()) {
            return Err(Reject::new(
                &YEAR,
                format!(
                    "time `{value}` of `{}`: year {}, {first} to {last} required; check its unit, or set `years`",
                    self.label,
                    local.year()
                ),
            ));
        }
        let (from, to) = self.bucket(second + offset, local);
        self.scratch.clear();
        self.push(second, nanosecond, local);
        if self.scratch.is_empty() {
            return Err(Reject::new(
                &TIME,
                format!(
                    "time `{value}` of `{}`: its format makes no text, one required",
                    self.label
                ),
            ));
        }
        Ok(((from.saturating_sub(offset)).max(low), (to.saturating_sub(offset)).min(high)))
    }

    /// Local seconds `[low, high)` of the bucket that `local` is in.
    fn bucket(&self, second: i64, local: civil::DateTime) -> (i64, i64) {
        let (year, month) = (i64::from(local.year()), i64::from(local.month()));
        let midnight = |year, month| days_of(year, month, 1) * 86_400;
        let size = match &self.spec.shape {
            Shape::Year => return (midnight(year, 1), midnight(year + 1, 1)),
            Shape::Month if month == 12 => return (midnight(year, 12), midnight(year + 1, 1)),
            Shape::Month => return (midnight(year, month), midnight(year, month + 1)),
            Shape::Day | Shape::Format(_, Grain::Day) => 86_400,
            Shape::Hour | Shape::Format(_, Grain::Hour) => 3_600,
            Shape::Minute | Shape::Format(_, Grain::Minute) => 60,
            Shape::Interval(size) => *size,
            Shape::Format(_, Grain::Second) => 1,
            Shape::Format(_, Grain::Any) => return (second, second),
        };
        let low = second.div_euclid(size) * size;
        (low, low + size)
    }

    fn push(&mut self, second: i64, nanosecond: u32, local: civil::DateTime) {
        let out = &mut self.scratch;
        let (year, month, day) = (local.year(), local.month(), local.day());
        let (hour, minute) = (local.hour(), local.minute());
        // Writing to a String cannot fail.
        let _ = match &self.spec.shape {
            Shape::Year => write!(out, "{year:04}"),
            Shape::Month => write!(out, "{year:04}-{month:02}"),
            Shape::Day => write!(out, "{year:04}-{month:02}-{day:02}"),
            Shape::Hour => write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}"),
            Shape::Minute => {
                write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}")
            }
            Shape::Interval(size) => {
                let start = (i64::from(hour) * 3_600 + i64::from(minute) * 60) / size * size;
                let (hour, minute) = (start / 3_600, start / 60 % 60);
                write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}-{minute:02}")
            }
            Shape::Format(format, _) => {
                let parts = match Timestamp::new(second, nanosecond as i32) {
                    Ok(at) => strtime::BrokenDownTime::from(&at.to_zoned(self.zone.clone())),
                    Err(_) => strtime::BrokenDownTime::from(local),
                };
                let written = parts.format(format, &mut *out);
                if written.is_err() {
                    // Past jiff's last instant there is no zone to write; half a text is worse than none.
                    out.clear();
                }
                Ok(())
            }
        };
    }
}
