//! What a schema says of a value, whichever language it says it in: references followed, hints settled.

use arrow::datatypes::TimeUnit;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    /// `null` is one of its values.
    pub(super) nullable: bool,
    /// What a union calls this branch, where the schema has a name for it.
    pub(super) name: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Nothing is said: any value, kept as JSON text.
    Any,
    /// A type that stands inside itself.
    Recursive,
    /// Only `null`.
    Null,
    Bool,
    /// Whole numbers in this range.
    Int {
        least: i128,
        most: i128,
        small: bool,
    },
    Float32,
    Float64,
    Text(Symbols),
    /// Texts as they are, numbers and booleans as they are written.
    Written,
    /// Base64.
    Bytes,
    /// `2026-01-31`
    Date,
    /// `13:45:00Z`
    Time,
    /// `2026-01-31T13:45:00Z`
    DateTime,
    Uuid,
    /// Days since 1970, a number.
    Days,
    /// Milliseconds since midnight, a number.
    Millis,
    /// Since 1970, a number.
    Instant(TimeUnit),
    /// A number, or base64 of its unscaled value; precision 0: not said.
    Decimal {
        precision: u32,
        scale: i32,
    },
    List(Box<Shape>),
    /// Object as a map.
    Map(Box<Shape>),
    /// Map with keys of any type: `[[k, v], …]`, or `[{"key": k, "value": v}, …]`.
    Pairs {
        key: Box<Shape>,
        value: Box<Shape>,
        objects: bool,
    },
    Struct(Struct),
    Union(Vec<Shape>),
}

/// The only texts a value may have. Told apart where a union has to choose; never a reason for two
/// shapes to differ.
#[derive(Debug, Clone, Default)]
pub(super) struct Symbols(pub(super) Option<Vec<String>>);

impl Symbols {
    /// The texts of both, any text if either takes any.
    pub(super) fn join(&mut self, theirs: Symbols) {
        match (&mut self.0, theirs.0) {
            (Some(mine), Some(theirs)) => mine.extend(theirs),
            (mine, _) => *mine = None,
        }
    }
}

impl PartialEq for Symbols {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Struct {
    pub(super) fields: Vec<Field>,
    /// Properties that must be there, with a column or without.
    pub(super) required: Vec<String>,
    /// Other properties may be there.
    pub(super) open: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) required: bool,
    /// JSON text that stands for the value where it is absent or null.
    pub(super) filled: Option<String>,
    /// JSON text of a default that is only said, not filled in.
    pub(super) said: Option<String>,
    /// Place among its fellows, where the schema says one.
    pub(super) index: Option<i64>,
}

impl Kind {
    pub(super) const I64: Kind =
        Kind::Int { least: i64::MIN as i128, most: i64::MAX as i128, small: false };

    /// Integers of so many bits, in a column of 32.
    pub(super) fn int(bits: u32) -> Kind {
        let half = 1i128 << (bits - 1);
        Kind::Int { least: -half, most: half - 1, small: true }
    }

    pub(super) fn text() -> Kind {
        Kind::Text(Symbols(None))
    }

    /// What a union calls a branch that has no name of its own.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Kind::Any | Kind::Recursive => "any",
            Kind::Null => "null",
            Kind::Bool => "boolean",
            Kind::Int { .. } | Kind::Days | Kind::Millis | Kind::Instant(_) => "integer",
            Kind::Float32 | Kind::Float64 | Kind::Decimal { .. } => "number",
            Kind::Text(_) | Kind::Written | Kind::Bytes => "string",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::DateTime => "date_time",
            Kind::Uuid => "uuid",
            Kind::List(_) | Kind::Pairs { .. } => "array",
            Kind::Map(_) | Kind::Struct(_) => "object",
            Kind::Union(_) => "union",
        }
    }
}

impl From<Kind> for Shape {
    fn from(kind: Kind) -> Self {
        let nullable = matches!(kind, Kind::Any | Kind::Null | Kind::Recursive);
        Shape { kind, nullable, name: None }
    }
}
