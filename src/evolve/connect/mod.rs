//! Kafka Connect's `schema.compatibility`: may a record go into a file that was begun with another schema?
//!
//! Owns: the decision ([`decide`]), and what it looks at: a schema as Confluent's converters hand it to a
//! sink ([`Declared`]).
//! Does not own: which schema a file was begun with (`pipeline`), how a record's row takes its columns (`decode`).
//! Bounded by: [`FORMS_MAX`] parts of a schema.
//!
//! Source: the storage sinks' `StorageSchemaCompatibility`, read for what it does; its cases stand in
//! tests/corpus/connect_s3.

mod avro;
mod columns;
mod protobuf;

use std::collections::BTreeMap;

use crate::config::{Compatibility, Connect};
use crate::registry::{Parsed, Schema};
use arrow::datatypes::SchemaRef;

/// Most parts of a schema that are compared; larger ones are equal to themselves and to nothing else.
pub const FORMS_MAX: usize = 50_000;

/// A schema with its version in its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    pub version: Option<u32>,
    pub form: Form,
}

/// A type as Connect has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Form {
    pub kind: Kind,
    /// Of a record, message, enum, fixed or logical type.
    pub name: Option<String>,
    pub optional: bool,
    /// As JSON text; none for null.
    pub default: Option<String>,
    /// Connect's parameters; those that document are told apart by their names, which end with `doc`.
    pub params: BTreeMap<String, String>,
    /// Symbols of an enum, with what stands for each.
    pub symbols: Option<BTreeMap<String, String>>,
    pub doc: Option<String>,
}

/// What values of a type are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Kind {
    #[default]
    Null,
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    String,
    Bytes,
    Array(Box<Form>),
    Map(Box<Form>, Box<Form>),
    Struct(Vec<(String, Form)>),
    /// A type inside itself, known by its name.
    Again,
    /// Of no schema but this one: it was too large to compare.
    Alone(u32),
}

/// Whether a record goes on in the file of another schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its row takes the columns of the file.
    Keep,
    /// It begins a file of its own schema.
    Rotate(Reason),
    /// Connect gives up here, for this reason.
    Refuse(&'static str),
}

/// Why a record does not go on in a file, under Connect's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    DifferentSchema,
    DifferentVersion,
    DifferentName,
    DifferentType,
    DifferentParams,
    IncompatibleOptionality,
    MissingRequiredField,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::DifferentSchema => "DIFFERENT_SCHEMA",
            Reason::DifferentVersion => "DIFFERENT_VERSION",
            Reason::DifferentName => "DIFFERENT_NAME",
            Reason::DifferentType => "DIFFERENT_TYPE",
            Reason::DifferentParams => "DIFFERENT_PARAMS",
            Reason::IncompatibleOptionality => "INCOMPATIBLE_OPTIONALITY",
            Reason::MissingRequiredField => "MISSING_REQUIRED_FIELD",
        }
    }
}

/// Decides about a record's schema beside the one that the file was begun with; none is a record or a file
/// without a schema.
pub fn decide(mode: Compatibility, record: Option<&Declared>, file: Option<&Declared>) -> Verdict {
    let (record, file) = match (record, file) {
        (None, None) => return Verdict::Keep,
        (Some(record), Some(file)) => (record, file),
        _ => return Verdict::Refuse("records with and without a schema in one file"),
    };
    if record == file {
        return Verdict::Keep;
    }
    if mode == Compatibility::None {
        return Verdict::Rotate(Reason::DifferentSchema);
    }
    let (Some(new), Some(old)) = (record.version, file.version) else {
        return Verdict::Refuse("a schema without a version");
    };
    let turned = match mode {
        Compatibility::Forward => new < old,
        Compatibility::None | Compatibility::Backward | Compatibility::Full => new > old,
    };
    if turned {
        return Verdict::Rotate(Reason::DifferentVersion);
    }
    match fits(&record.form, &file.form) {
        Ok(()) => Verdict::Keep,
        Err(reason) => Verdict::Rotate(reason),
    }
}

/// Whether values of one type can be written as another.
fn fits(record: &Form, file: &Form) -> Result<(), Reason> {
    if !kind_fits(&record.kind, &file.kind) {
        return Err(Reason::DifferentType);
    }
    if record.name != file.name {
        return Err(Reason::DifferentName);
    }
    if !params_fit(record, file) {
        return Err(Reason::DifferentParams);
    }
    if record.optional && !file.optional && file.default.is_none() {
        return Err(Reason::IncompatibleOptionality);
    }
    match (&record.kind, &file.kind) {
        (Kind::Struct(record), Kind::Struct(file)) => fields_fit(record, file),
        (Kind::Array(record), Kind::Array(file)) => fits(record, file),
        (Kind::Map(key, value), Kind::Map(file_key, file_value)) => {
            fits(key, file_key).and_then(|()| fits(value, file_value))
        }
        _ => Ok(()),
    }
}

/// Fields meet by name; what the file does not have is left out.
fn fields_fit(record: &[(String, Form)], file: &[(String, Form)]) -> Result<(), Reason> {
    let of_record: BTreeMap<&str, &Form> =
        record.iter().map(|(name, form)| (name.as_str(), form)).collect();
    for (name, form) in file {
        match of_record.get(name.as_str()) {
            Some(own) => fits(own, form)?,
            None if form.optional || form.default.is_some() => {}
            None => return Err(Reason::MissingRequiredField),
        }
    }
    Ok(())
}

/// The same type, or a number that the other holds.
fn kind_fits(record: &Kind, file: &Kind) -> bool {
    let width = |kind: &Kind| match kind {
        Kind::Int8 => Some(0),
        Kind::Int16 => Some(1),
        Kind::Int32 => Some(2),
        Kind::Int64 => Some(3),
        Kind::Float32 => Some(4),
        Kind::Float64 => Some(5),
        _ => None,
    };
    match (width(record), width(file)) {
        (Some(record), Some(file)) => record <= file,
        _ => match (record, file) {
            (Kind::Alone(record), Kind::Alone(file)) => record == file,
            _ => std::mem::discriminant(record) == std::mem::discriminant(file),
        },
    }
}

/// Equal parameters, documentation apart; an enum may have fewer symbols than that of the file.
fn params_fit(record: &Form, file: &Form) -> bool {
    let said = |form: &Form| -> BTreeMap<String, String> {
        let said = form.params.iter().filter(|(key, _)| !key.ends_with("doc"));
        said.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let symbols = match (&record.symbols, &file.symbols) {
        (None, None) => true,
        (Some(record), Some(file)) => record.iter().all(|(s, value)| file.get(s) == Some(value)),
        _ => false,
    };
    symbols && said(record) == said(file)
}

impl Declared {
    /// A schema of the registry as Confluent's converter for its language has it. `record_name` is that of its
    /// Protobuf message; `columns` those of its rows, by which JSON Schemas are told apart.
    pub fn of(
        schema: &Schema,
        record_name: &str,
        columns: &SchemaRef,
        version: Option<u32>,
        connect: Connect,
    ) -> Self {
        let mut left = Left(FORMS_MAX);
        let form = match &schema.parsed {
            Parsed::Avro(avro) => avro::form(&avro.json, &mut left),
            Parsed::Protobuf(file) => protobuf::form(file, record_name, connect, &mut left),
            Parsed::Json(_) => columns::form(record_name, columns, &mut left),
        };
        let alone = || Form { kind: Kind::Alone(schema.id), ..Form::default() };
        Self { version, form: form.unwrap_or_else(alone) }
    }
}

/// How many more parts a schema may have.
struct Left(usize);

impl Left {
    /// None: too many.
    fn take(&mut self) -> Option<()> {
        self.0 = self.0.checked_sub(1)?;
        Some(())
    }
}

impl From<Kind> for Form {
    fn from(kind: Kind) -> Self {
        Self { kind, ..Self::default() }
    }
}

impl Form {
    fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.params.insert(key.to_owned(), value.to_string());
        self
    }
}
