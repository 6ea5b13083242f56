//! Tree of an expression → [`Item`]: what is read from a row, and what is done to it.
//!
//! Every expression comes down to a list of alternatives, the first that is not null wins:
//! `day(coalesce(a, _timestamp))` is `coalesce(day(a), day(_timestamp))`.

use jiff::tz::TimeZone;

use super::codes::{FUNCTION, SYNTAX, TIMEZONE, TYPE};
use super::expr::{METAS, Meta, Node, Placed, Step};
use super::time::{Grain, Shape, Spec, Unit};
use crate::config::{Escape, PartitionItem};
use crate::error::{Code, Fault};

/// Names of all functions.
pub const FUNCTIONS: [&str; 10] = [
    "year", "month", "day", "hour", "minute", "interval", "strftime", "bucket", "truncate",
    "coalesce",
];
const OPTIONS: [&str; 5] = ["unit", "timezone", "pattern", "years", "invalid"];
/// Columns that rows get beside those of their value: their folders are named without the `_`, which readers
/// take for hidden.
const ADDED: [&str; 4] = ["_key", "_op", "_ts_ms", "_deleted"];
/// Most alternatives of one item.
const ALTERNATIVES_MAX: usize = 16;

/// One segment of the path.
#[derive(Debug, Clone)]
pub struct Item {
    pub name: String,
    /// The expression, as messages quote it.
    pub text: String,
    pub place: String,
    pub alternatives: Vec<Alternative>,
}

#[derive(Debug, Clone)]
pub struct Alternative {
    pub function: Function,
    pub source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Path(Vec<Step>),
    Meta(Meta),
    Literal(String),
}

#[derive(Debug, Clone)]
pub enum Function {
    /// The value itself.
    Whole,
    Time(Box<Spec>),
    /// Number of buckets, at least 1.
    Bucket(u32),
    /// Width, at least 1.
    Truncate(u32),
}

impl Item {
    /// The single column this item writes as it is, by name.
    pub fn plain_column(&self) -> Option<&str> {
        match self.alternatives.as_slice() {
            [Alternative { function: Function::Whole, source: Source::Path(steps) }] => {
                match steps.as_slice() {
                    [Step::Field(name)] => Some(name),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Compiles one item of `partition_by`; `key`: rows have the column `_key`. Faults have no place yet.
pub fn compile(item: &PartitionItem, escape: Escape, key: bool) -> Result<Item, Fault> {
    let text = &item.expr.text;
    let tree = super::expr::parse(text, key)?;
    let compiler = Compiler { text, timezone: item.timezone.as_ref().map(|t| t.text.as_str()) };
    let alternatives = compiler.alternatives(&tree, false)?;
    let timed = alternatives.iter().any(|a| matches!(a.function, Function::Time(_)));
    if alternatives.iter().all(|a| matches!(a.source, Source::Literal(_))) {
        return Err(compiler.fault(&FUNCTION, 0, "a text alone, at least one field required"));
    }
    if alternatives.len() > ALTERNATIVES_MAX {
        let what = format!("{} sources, at most {ALTERNATIVES_MAX} required", alternatives.len());
        return Err(compiler.fault(&FUNCTION, 0, what));
    }
    if let (Some(timezone), false) = (&item.timezone, timed) {
        return Err(Fault::new(
            &TIMEZONE,
            format!(
                "timezone `{}` of `{text}`: the expression has no time function, which a timezone requires; remove it",
                timezone.text
            ),
        ));
    }
    let name = item.name.clone().unwrap_or_else(|| name_of(&tree, escape));
    Ok(Item { name, text: text.clone(), place: item.expr.place.clone(), alternatives })
}

/// The name of an item that was given none.
fn name_of(tree: &Placed, escape: Escape) -> String {
    match &tree.node {
        Node::Path(steps) => {
            if let [Step::Field(name)] = steps.as_slice()
                && ADDED.contains(&name.as_str())
            {
                return name.trim_start_matches('_').to_owned();
            }
            let text = |step: &Step| match step {
                Step::Field(name) | Step::Entry(name) => name.clone(),
            };
            match escape {
                Escape::Hive => steps.last().map(text).unwrap_or_default(),
                Escape::Connect => steps.iter().map(text).collect::<Vec<_>>().join("."),
            }
        }
        Node::Meta(meta) => METAS
            .iter()
            .find(|(_, m)| m == meta)
            .map(|(name, _)| name.trim_start_matches('_').to_owned())
            .unwrap_or_default(),
        Node::Call { name, args, .. } => {
            let source = args
                .iter()
                .find(|a| matches!(a.node, Node::Path(_) | Node::Meta(_) | Node::Call { .. }));
            let source = source.map(|a| name_of(a, escape)).unwrap_or_default();
            format!("{source}_{name}")
        }
        Node::Text(_) | Node::Integer(_) | Node::Duration(_) => String::new(),
    }
}

struct Compiler<'a> {
    text: &'a str,
    /// Of the item.
    timezone: Option<&'a str>,
}

impl Compiler<'_> {
    fn fault(&self, code: &'static Code, at: usize, what: impl Into<String>) -> Fault {
        let text = super::text::quoted(self.text);
        Fault::new(code, format!("expression `{text}` at byte {at}: {}", what.into()))
    }

    fn alternatives(&self, tree: &Placed, literals: bool) -> Result<Vec<Alternative>, Fault> {
        let whole = |source| Ok(vec![Alternative { function: Function::Whole, source }]);
        match &tree.node {
            Node::Path(steps) => whole(Source::Path(steps.clone())),
            Node::Meta(meta) => whole(Source::Meta(*meta)),
            Node::Text(text) if literals => whole(Source::Literal(text.clone())),
            Node::Text(_) => Err(self.fault(
                &FUNCTION,
                tree.at,
                "a text, a field required; texts stand last in `coalesce`, names with odd characters in double quotes",
            )),
            Node::Integer(_) | Node::Duration(_) => {
                Err(self.fault(&SYNTAX, tree.at, "a number, a field required"))
            }
            Node::Call { name, args, options } => self.call(tree.at, name, args, options),
        }
    }

    fn call(
        &self,
        at: usize,
        name: &str,
        args: &[Placed],
        options: &[(String, Placed)],
    ) -> Result<Vec<Alternative>, Fault> {
        let timed =
            matches!(name, "year" | "month" | "day" | "hour" | "minute" | "interval" | "strftime");
        if !FUNCTIONS.contains(&name) {
            let near = super::near::hint(name, FUNCTIONS.iter().copied());
            return Err(self.fault(&FUNCTION, at, format!("unknown function `{name}`; {near}")));
        }
        if let (false, Some((option, value))) = (timed, options.first()) {
            let what = format!("option `{option}` of `{name}`, which takes none");
            return Err(self.fault(&FUNCTION, value.at, what));
        }
        match (name, args) {
            ("coalesce", [_, _, ..]) => self.coalesce(args),
            ("coalesce", _) => {
                Err(self.fault(&FUNCTION, at, "`coalesce` of less than two, at least two required"))
            }
            ("bucket", [count, source]) => {
                self.apply(name, source, Function::Bucket(self.count(count)?))
            }
            ("truncate", [width, source]) => {
                self.apply(name, source, Function::Truncate(self.count(width)?))
            }
            ("bucket" | "truncate", _) => Err(self.fault(
                &FUNCTION,
                at,
                format!("{} arguments, `{name}(number, field)` required", args.len()),
            )),
            (_, [source, rest @ ..]) => {
                let shape = self.shape(at, name, rest)?;
                let spec = self.spec(shape, options)?;
                self.apply(name, source, Function::Time(Box::new(spec)))
            }
            (_, []) => {
                Err(self.fault(&FUNCTION, at, format!("`{name}` of nothing, a field required")))
            }
        }
    }

    fn coalesce(&self, args: &[Placed]) -> Result<Vec<Alternative>, Fault> {
        let mut all = Vec::new();
        for (i, arg) in args.iter().enumerate() {
            let last = i + 1 == args.len();
            if matches!(arg.node, Node::Text(_)) && !last {
                let what =
                    "a text before the end: what follows is never used, the text last required";
                return Err(self.fault(&FUNCTION, arg.at, what));
            }
            all.extend(self.alternatives(arg, last)?);
        }
        Ok(all)
    }

    /// A function over each alternative of its argument.
    fn apply(
        &self,
        name: &str,
        source: &Placed,
        function: Function,
    ) -> Result<Vec<Alternative>, Fault> {
        let mut all = self.alternatives(source, false)?;
        for alternative in &mut all {
            if !matches!(alternative.function, Function::Whole) {
                let what = format!("a function inside `{name}`, a field or `coalesce` required");
                return Err(self.fault(&FUNCTION, source.at, what));
            }
            alternative.function = function.clone();
        }
        Ok(all)
    }

    fn count(&self, arg: &Placed) -> Result<u32, Fault> {
        match arg.node {
            Node::Integer(n @ 1..=0x7fff_ffff) => Ok(n as u32),
            _ => Err(self.fault(&FUNCTION, arg.at, "a number of 1 to 2147483647 required first")),
        }
    }

    fn shape(&self, at: usize, name: &str, rest: &[Placed]) -> Result<Shape, Fault> {
        match (name, rest) {
            ("year", []) => Ok(Shape::Year),
            ("month", []) => Ok(Shape::Month),
            ("day", []) => Ok(Shape::Day),
            ("hour", []) => Ok(Shape::Hour),
            ("minute", []) => Ok(Shape::Minute),
            ("interval", [Placed { at, node: Node::Duration(seconds) }]) => {
                if *seconds < 60 || *seconds > 86_400 || 86_400 % *seconds != 0 {
                    return Err(self.fault(&FUNCTION, *at, "an interval that does not divide a day, 1m to 24h that does required"));
                }
                Ok(Shape::Interval(*seconds as i64))
            }
            ("interval", _) => Err(self.fault(
                &FUNCTION,
                at,
                "`interval` without its length, `interval(field, 15m)` required",
            )),
            ("strftime", [Placed { at, node: Node::Text(format) }]) => {
                let grain = Grain::of_format(format);
                super::calendar::check_format(format)
                    .map_err(|e| self.fault(&FUNCTION, *at, format!("format `{format}`: {e}")))?;
                Ok(Shape::Format(format.clone(), grain))
            }
            ("strftime", _) => Err(self.fault(
                &FUNCTION,
                at,
                "`strftime` without its format, `strftime(field, '%Y-%m-%d')` required",
            )),
            (_, [extra, ..]) => Err(self.fault(
                &FUNCTION,
                extra.at,
                format!("a second argument of `{name}`, one field required; options have names: `timezone='Europe/Paris'`"),
            )),
            (_, []) => Err(self.fault(&FUNCTION, at, format!("unknown function `{name}`"))),
        }
    }

    fn spec(&self, shape: Shape, options: &[(String, Placed)]) -> Result<Spec, Fault> {
        let mut spec = Spec {
            shape,
            unit: None,
            zone: TimeZone::UTC,
            pattern: None,
            years: (1970, 2100),
            invalid: None,
        };
        let mut timezone = self.timezone;
        for (i, (name, value)) in options.iter().enumerate() {
            if options[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(self.fault(
                    &FUNCTION,
                    value.at,
                    format!("option `{name}` twice, once required"),
                ));
            }
            let Node::Text(text) = &value.node else {
                let what = format!("option `{name}`: a text in single quotes required");
                return Err(self.fault(&FUNCTION, value.at, what));
            };
            match name.as_str() {
                "unit" => spec.unit = Some(self.unit(value.at, text)?),
                "years" => spec.years = self.years(value.at, text)?,
                "invalid" => spec.invalid = Some(text.clone()),
                "pattern" => {
                    super::calendar::check_pattern(text).map_err(|e| {
                        self.fault(&FUNCTION, value.at, format!("pattern `{text}`: {e}"))
                    })?;
                    spec.pattern = Some(text.clone());
                }
                "timezone" => {
                    if timezone.is_some_and(|other| other != text) {
                        return Err(self.fault(&TIMEZONE, value.at, format!("timezone `{text}`: the item's `timezone` says another, one of them required")));
                    }
                    timezone = Some(text);
                }
                _ => {
                    let near = super::near::hint(name, OPTIONS.iter().copied());
                    return Err(self.fault(
                        &FUNCTION,
                        value.at,
                        format!("unknown option `{name}`; {near}"),
                    ));
                }
            }
        }
        if spec.unit.is_some() && spec.pattern.is_some() {
            return Err(self.fault(&TYPE, 0, "both `unit` and `pattern`, one of them required"));
        }
        if let Some(name) = timezone {
            spec.zone = super::calendar::zone(name).ok_or_else(|| {
                self.fault(&TIMEZONE, 0, format!("unknown timezone `{name}`, an IANA name (`Europe/Paris`) or an offset (`+02:00`) required"))
            })?;
        }
        Ok(spec)
    }

    fn unit(&self, at: usize, text: &str) -> Result<Unit, Fault> {
        match text {
            "s" => Ok(Unit::Second),
            "ms" => Ok(Unit::Millisecond),
            "us" => Ok(Unit::Microsecond),
            "ns" => Ok(Unit::Nanosecond),
            _ => {
                Err(self.fault(&FUNCTION, at, format!("unit `{text}`, one of s ms us ns required")))
            }
        }
    }

    /// `1900..2200`, both included.
    fn years(&self, at: usize, text: &str) -> Result<(i16, i16), Fault> {
        let parse = || {
            let (first, last) = text.split_once("..")?;
            let years: (i16, i16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (1 <= years.0 && years.0 <= years.1 && years.1 <= 9999).then_some(years)
        };
        parse().ok_or_else(|| {
            self.fault(
                &FUNCTION,
                at,
                format!("years `{text}`, `first..last` within 1..9999 required"),
            )
        })
    }
}
