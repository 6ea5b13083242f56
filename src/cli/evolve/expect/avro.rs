//! Avro: apache-avro reads the body, with its own schema resolution where a target asks for one.
#![allow(deprecated)] // the short way through apache-avro

use std::collections::{BTreeSet, HashMap};

use apache_avro::types::Value;
use apache_avro::{Schema, from_avro_datum};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Decimal256Type, DecimalType, Fields, i256};
use serde_json::{Value as Json, json};

use super::cells::{self, Leaf};
use super::{Columns, Path, Rows, Rules, Same, resolve};
use crate::cli::evolve::form::{Avro, Form, full_name};

/// Reads a body as its writer wrote it.
pub fn read(form: &Avro, mut body: &[u8]) -> Result<Value, String> {
    from_avro_datum(&form.schema, &mut body, None).map_err(|e| e.to_string())
}

pub fn check(
    writer: &Avro,
    columns: Columns<'_>,
    body: &[u8],
    rows: &Rows,
    row: usize,
    rules: Rules,
    root: Path<'_>,
) -> Same {
    let own = match read(writer, body) {
        Ok(value) => value,
        Err(why) => return Path::Root.differs("a row", format!("a reject: {why}")),
    };
    let Columns::Of(Form::Avro(target)) = columns else {
        let (merged, names) = match columns {
            Columns::Merged(forms) => (true, names(forms)),
            _ => (false, HashMap::new()),
        };
        return Walk { form: writer, rules, merged, names }.top(&own, rows, row, root);
    };
    let walk = Walk { form: target, rules, merged: false, names: HashMap::new() };
    let mut rest = body;
    let theirs = from_avro_datum(&writer.schema, &mut rest, Some(&target.schema));
    let mark = root.mark();
    if theirs.is_ok_and(|value| walk.top(&value, rows, row, root).is_ok()) {
        return Ok(());
    }
    root.forget(mark);
    match resolve::resolve(&own, writer, &writer.schema, target, &target.schema) {
        Ok(value) => walk.top(&value, rows, row, root),
        Err(why) => Path::Root.differs("a row", format!("a reject: {why}")),
    }
}

struct Walk<'a> {
    form: &'a Avro,
    rules: Rules,
    merged: bool,
    names: Names,
}

/// By record and a name that a field had: the names that versions give it by alias.
type Names = HashMap<(String, String), BTreeSet<String>>;

/// What all versions say of fields that had other names.
fn names(forms: &[Form]) -> Names {
    let mut names = Names::new();
    for form in forms {
        let Form::Avro(form) = form else { continue };
        gather(&form.schema, &mut names, 0);
    }
    names
}

fn gather(schema: &Schema, names: &mut Names, depth: usize) {
    if depth > 64 {
        return;
    }
    match schema {
        Schema::Record(record) => {
            for field in &record.fields {
                for alias in &field.aliases {
                    let key = (record.name.fullname(None), alias.clone());
                    names.entry(key).or_default().insert(field.name.clone());
                }
                gather(&field.schema, names, depth + 1);
            }
        }
        Schema::Array(of) => gather(&of.items, names, depth + 1),
        Schema::Map(of) => gather(&of.types, names, depth + 1),
        Schema::Union(of) => of.variants().iter().for_each(|s| gather(s, names, depth + 1)),
        _ => {}
    }
}

impl Walk<'_> {
    fn top(&self, value: &Value, rows: &Rows, row: usize, root: Path<'_>) -> Same {
        let columns: Vec<&dyn Array> = rows.columns.iter().map(|c| c.as_ref()).collect();
        match (self.form.resolve(&self.form.schema), value) {
            (Schema::Record(record), Value::Record(fields)) => {
                let mut open = vec![record.name.fullname(None)];
                self.record(record, fields, &rows.fields, &columns, row, root, &mut open)
            }
            (schema, value) => match columns.as_slice() {
                [column] => {
                    let path = Path::Name(&root, "value");
                    self.value(schema, value, *column, row, path, &mut Vec::new())
                }
                _ => Path::Root.differs(format!("{} columns", columns.len()), "one column"),
            },
        }
    }

    #[allow(clippy::too_many_arguments)] // one row, from both ends
    fn record(
        &self,
        record: &apache_avro::schema::RecordSchema,
        values: &[(String, Value)],
        fields: &Fields,
        columns: &[&dyn Array],
        row: usize,
        path: Path<'_>,
        open: &mut Vec<String>,
    ) -> Same {
        let columns_of: Vec<Option<usize>> =
            record.fields.iter().map(|f| self.column_of(record, f, fields)).collect();
        for (n, (field, column)) in fields.iter().zip(columns).enumerate() {
            let path = Path::Name(&path, field.name());
            let at = columns_of.iter().position(|column| *column == Some(n));
            match at.and_then(|at| Some((record.fields.get(at)?, values.get(at)?))) {
                Some((field, (_, value))) => {
                    self.value(&field.schema, value, *column, row, path, open)?;
                }
                None if self.merged => cells::null(*column, row, path)?,
                None => return path.differs("a column", "no column: the schema has no such field"),
            }
        }
        let dropped = self.rules.recursion == crate::config::Recursion::Drop
            || self.merged && self.rules.partial;
        for (field, column) in record.fields.iter().zip(columns_of).filter(|_| !dropped) {
            if column.is_none() {
                return Path::Name(&path, &field.name).differs("no column", "a column");
            }
        }
        Ok(())
    }

    /// The column of a field: of its name, else in the columns of several versions of one that it had or has by
    /// alias, over several versions too.
    fn column_of(
        &self,
        record: &apache_avro::schema::RecordSchema,
        field: &apache_avro::schema::RecordField,
        fields: &Fields,
    ) -> Option<usize> {
        let position = |name: &str| fields.iter().position(|f| f.name() == name);
        if let Some(at) = position(&field.name).or_else(|| {
            let mut known = field.aliases.iter().filter(|_| self.merged);
            known.find_map(|alias| position(alias))
        }) {
            return Some(at);
        }
        let (mut todo, mut met) = (vec![field.name.clone()], BTreeSet::new());
        while let Some(name) = todo.pop() {
            if let Some(at) = position(&name) {
                return Some(at);
            }
            let later = self.names.get(&(record.name.fullname(None), name.clone()));
            if met.insert(name) {
                todo.extend(later.into_iter().flatten().cloned());
            }
        }
        None
    }

    /// A value of one type where another version has a union: in one member, and the others are null.
    fn member(
        &self,
        schema: &Schema,
        value: &Value,
        array: &dyn Array,
        row: usize,
        path: Path<'_>,
        open: &mut Vec<String>,
    ) -> Same {
        let Some(union) = array.as_struct_opt() else {
            return path.wrong(array, row, format!("{value:?}"));
        };
        let set: Vec<usize> =
            (0..union.num_columns()).filter(|n| union.column(*n).is_valid(row)).collect();
        match set.as_slice() {
            [one] => {
                let path = Path::Name(&path, union.fields()[*one].name());
                self.value(schema, value, union.column(*one), row, path, open)
            }
            _ => path.differs(format!("{} members", set.len()), "one member"),
        }
    }

    fn value(
        &self,
        schema: &Schema,
        value: &Value,
        array: &dyn Array,
        row: usize,
        path: Path<'_>,
        open: &mut Vec<String>,
    ) -> Same {
        let schema = self.form.resolve(schema);
        if self.merged
            && let DataType::Struct(fields) = array.data_type()
            && array.is_valid(row)
        {
            let own = match schema {
                Schema::Record(record) => {
                    fields.iter().any(|f| record.fields.iter().any(|own| own.name == *f.name()))
                        || record.fields.iter().any(|f| self.column_of(record, f, fields).is_some())
                }
                Schema::Union(_) | Schema::Duration(_) => true,
                _ => false,
            };
            if !own && !matches!(value, Value::Null | Value::Union(..)) {
                return self.member(schema, value, array, row, path, open);
            }
        }
        match (schema, value) {
            (_, Value::Null) => cells::null(array, row, path),
            (Schema::Union(union), Value::Union(at, inner)) => {
                self.union(union.variants(), *at as usize, inner, array, row, path, open)
            }
            _ if array.is_null(row) => path.wrong(array, row, format!("{value:?}")),
            (Schema::Record(record), Value::Record(values)) => {
                let name = record.name.fullname(None);
                match array.data_type() {
                    DataType::Struct(fields) => {
                        open.push(name);
                        let columns: Vec<&dyn Array> =
                            array.as_struct().columns().iter().map(|c| c.as_ref()).collect();
                        let same = self.record(record, values, fields, &columns, row, path, open);
                        open.pop();
                        same
                    }
                    DataType::Boolean => cells::leaf(Leaf::Bool(true), array, row, path),
                    DataType::Utf8 => {
                        cells::tree(&reread(&self.json(schema, value)), array, row, path)
                    }
                    // A record inside itself, kept as bytes.
                    DataType::Binary => {
                        cells::any(path);
                        Ok(())
                    }
                    _ => path.wrong(array, row, "a record"),
                }
            }
            (Schema::Array(of), Value::Array(items)) => {
                let Some(list) = array.as_list_opt::<i32>() else {
                    return path.wrong(array, row, format!("{} items", items.len()));
                };
                let found = list.value(row);
                if found.len() != items.len() {
                    return path.wrong(array, row, format!("{} items", items.len()));
                }
                cells::items(items.len(), path);
                for (n, item) in items.iter().enumerate() {
                    self.value(&of.items, item, &found, n, Path::At(&path, n), open)?;
                }
                Ok(())
            }
            (Schema::Map(of), Value::Map(entries)) => {
                let Some(map) = array.as_map_opt() else {
                    return path.wrong(array, row, format!("{} entries", entries.len()));
                };
                let found = map.value(row);
                if found.len() != entries.len() {
                    return path.wrong(array, row, format!("{} entries", entries.len()));
                }
                cells::items(entries.len(), path);
                for n in 0..found.len() {
                    let key = cells::bytes(found.column(0), n).unwrap_or_default();
                    let key = String::from_utf8_lossy(key);
                    let Some(value) = entries.get(key.as_ref()) else {
                        return path.differs(format!("key {key:?}"), "no such key");
                    };
                    self.value(
                        &of.types,
                        value,
                        found.column(1),
                        n,
                        Path::Name(&path, &key),
                        open,
                    )?;
                }
                Ok(())
            }
            (schema, value) => leaf(schema, value, array, row, path),
        }
    }

    #[allow(clippy::too_many_arguments)] // one cell, from both ends
    fn union(
        &self,
        variants: &[Schema],
        at: usize,
        inner: &Value,
        array: &dyn Array,
        row: usize,
        path: Path<'_>,
        open: &mut Vec<String>,
    ) -> Same {
        let Some(branch) = variants.get(at) else { return path.differs("a row", "no such branch") };
        let real: Vec<usize> =
            (0..variants.len()).filter(|i| !matches!(variants[*i], Schema::Null)).collect();
        if real.len() <= 1 || matches!(inner, Value::Null) {
            return self.value(branch, inner, array, row, path, open);
        }
        let Some(union) = array.as_struct_opt().filter(|a| a.is_valid(row)) else {
            if *array.data_type() == DataType::Utf8 && array.is_valid(row) {
                let whole = Value::Union(at as u32, Box::new(inner.clone()));
                let schema = variants.to_vec();
                let Ok(schema) = apache_avro::schema::UnionSchema::new(schema) else {
                    cells::any(path);
                    return Ok(());
                };
                let expected = reread(&self.json(&Schema::Union(schema), &whole));
                return cells::tree(&expected, array, row, path);
            }
            return path.wrong(array, row, format!("{inner:?}"));
        };
        let resolved = self.form.resolve(branch);
        let (simple, full) = (branch_name(resolved), full_name(resolved));
        let columns = union.fields();
        let by_name = |name: &str| columns.iter().position(|f| f.name() == name);
        // Of two types with one simple name the later has its full one.
        let place = match self.merged {
            true => full.as_deref().and_then(by_name).or_else(|| by_name(&simple)),
            false => real.iter().position(|branch| *branch == at),
        };
        for (n, (field, column)) in columns.iter().zip(union.columns()).enumerate() {
            let path = Path::Name(&path, field.name());
            match Some(n) == place {
                true => self.value(branch, inner, column, row, path, open)?,
                false => cells::null(column, row, path)?,
            }
        }
        match place {
            Some(_) => Ok(()),
            None => path.differs("no column", format!("a column for {simple}")),
        }
    }

    /// The JSON text of a value without columns of its own.
    fn json(&self, schema: &Schema, value: &Value) -> Json {
        let schema = self.form.resolve(schema);
        match (schema, value) {
            (Schema::Union(union), Value::Union(index, inner)) => {
                let Some(branch) = union.variants().get(*index as usize) else { return Json::Null };
                let value = self.json(branch, inner);
                let real = union.variants().iter().filter(|v| !matches!(v, Schema::Null)).count();
                match value {
                    value if real <= 1 || value.is_null() => value,
                    value => json!({ branch_name(self.form.resolve(branch)): value }),
                }
            }
            (Schema::Record(record), Value::Record(fields)) => {
                let pairs = record.fields.iter().zip(fields);
                pairs.map(|(f, (name, v))| (name.clone(), self.json(&f.schema, v))).collect()
            }
            (Schema::Array(a), Value::Array(items)) => {
                items.iter().map(|item| self.json(&a.items, item)).collect()
            }
            (Schema::Map(m), Value::Map(entries)) => {
                entries.iter().map(|(k, v)| (k.clone(), self.json(&m.types, v))).collect()
            }
            (schema, value) => json_leaf(schema, value),
        }
    }
}

/// Through text, because readers of JSON do not give back every float that writers write.
fn reread(json: &Json) -> Json {
    serde_json::from_str(&json.to_string()).unwrap_or_default()
}

fn branch_name(schema: &Schema) -> String {
    if let Some(full) = full_name(schema) {
        return full.rsplit('.').next().unwrap_or_default().to_owned();
    }
    match schema {
        Schema::Boolean => "boolean",
        Schema::Int | Schema::Date | Schema::TimeMillis => "int",
        Schema::Float => "float",
        Schema::Double => "double",
        Schema::Bytes | Schema::Decimal(_) => "bytes",
        Schema::String | Schema::Uuid(_) => "string",
        Schema::Array(_) => "array",
        Schema::Map(_) => "map",
        _ => "long",
    }
    .to_owned()
}

/// Big-endian bytes → number, as text.
pub fn decimal_text(bytes: &[u8], scale: i32) -> String {
    let mut wide = [if bytes.first().is_some_and(|b| *b > 127) { 0xff } else { 0 }; 32];
    let from = bytes.len().saturating_sub(32);
    let start = 32 - (bytes.len() - from);
    wide[start..].copy_from_slice(&bytes[from..]);
    Decimal256Type::format_decimal(i256::from_be_bytes(wide), 76, scale as i8)
}

/// A number of whole units, whatever logical type it has.
fn whole(value: &Value) -> Option<i64> {
    Some(match value {
        Value::Int(v) | Value::Date(v) | Value::TimeMillis(v) => i64::from(*v),
        Value::Long(v)
        | Value::TimeMicros(v)
        | Value::TimestampMillis(v)
        | Value::TimestampMicros(v)
        | Value::TimestampNanos(v)
        | Value::LocalTimestampMillis(v)
        | Value::LocalTimestampMicros(v)
        | Value::LocalTimestampNanos(v) => *v,
        _ => return None,
    })
}

/// Bytes, whatever logical type they have.
fn raw(value: &Value) -> Option<Vec<u8>> {
    Some(match value {
        Value::Bytes(v) | Value::Fixed(_, v) => v.clone(),
        Value::String(v) => v.clone().into_bytes(),
        // No bytes are zero; apache-avro reads them so, and cannot give them back.
        Value::Decimal(v) => v.try_into().unwrap_or_default(),
        Value::Uuid(v) => v.to_string().into_bytes(),
        _ => return None,
    })
}

/// Compares by the reader's type: the value may still have the writer's.
fn leaf(schema: &Schema, value: &Value, array: &dyn Array, row: usize, path: Path<'_>) -> Same {
    let cell = |leaf: Leaf<'_>| cells::leaf(leaf, array, row, path);
    let nanos = |unit: i128| whole(value).map(|v| i128::from(v) * unit);
    let instant = |unit: i128| match nanos(unit) {
        Some(nanos) => cell(Leaf::Instant(nanos)),
        None => path.wrong(array, row, format!("{value:?}")),
    };
    let clock = |unit: i64| match whole(value) {
        Some(value) => cell(Leaf::Clock { value, unit }),
        None => path.wrong(array, row, format!("{value:?}")),
    };
    match (schema, value) {
        (_, Value::Boolean(v)) => cell(Leaf::Bool(*v)),
        (_, Value::Float(v)) => cell(Leaf::Single(*v)),
        (_, Value::Double(v)) => cell(Leaf::Double(*v)),
        (_, Value::Enum(_, symbol)) => cell(Leaf::Text(symbol)),
        (_, Value::Duration(v)) => {
            let parts = [u32::from(v.months()), u32::from(v.days()), u32::from(v.millis())];
            let Some(columns) = array.as_struct_opt() else {
                return path.wrong(array, row, format!("{value:?}"));
            };
            for ((field, column), part) in columns.fields().iter().zip(columns.columns()).zip(parts)
            {
                let path = Path::Name(&path, field.name());
                cells::leaf(Leaf::Int(part.into()), column, row, path)?;
            }
            Ok(())
        }
        (Schema::TimeMillis, _) => clock(1_000_000),
        (Schema::TimeMicros, _) => clock(1_000),
        (Schema::TimestampMillis | Schema::LocalTimestampMillis, _) => instant(1_000_000),
        (Schema::TimestampMicros | Schema::LocalTimestampMicros, _) => instant(1_000),
        (Schema::TimestampNanos | Schema::LocalTimestampNanos, _) => instant(1),
        (Schema::Uuid(_), Value::Uuid(v)) => cell(Leaf::Uuid(*v)),
        (Schema::Decimal(of), _) if raw(value).is_some() => {
            let text = decimal_text(&raw(value).unwrap_or_default(), of.scale as i32);
            cell(Leaf::Decimal(&text))
        }
        (_, value) => match (whole(value), raw(value)) {
            (Some(v), _) => cell(Leaf::Int(v.into())),
            (_, Some(v)) => cell(Leaf::Bytes(&v)),
            _ => path.wrong(array, row, format!("{value:?}")),
        },
    }
}

fn json_leaf(schema: &Schema, value: &Value) -> Json {
    use base64::Engine;
    let base64 = |bytes: &[u8]| json!(base64::prelude::BASE64_STANDARD.encode(bytes));
    let special = |value: f64| match value {
        value if value.is_nan() => "NaN",
        value if value > 0.0 => "Infinity",
        _ => "-Infinity",
    };
    let time = |result: Result<jiff::Timestamp, jiff::Error>, raw: i64, utc: bool| match result {
        Ok(t) if utc => json!(t.to_string()),
        Ok(t) => json!(t.to_string().trim_end_matches('Z')),
        Err(_) => json!(raw),
    };
    let utc = matches!(
        schema,
        Schema::TimestampMillis | Schema::TimestampMicros | Schema::TimestampNanos
    );
    match (schema, value) {
        (_, Value::Boolean(v)) => json!(v),
        (_, Value::Int(v)) => json!(v),
        (_, Value::Long(v)) => json!(v),
        (_, Value::Float(v)) if v.is_finite() => {
            serde_json::from_str(&format!("{v:?}")).unwrap_or_default()
        }
        (_, Value::Double(v)) if v.is_finite() => json!(v),
        (_, Value::Float(v)) => json!(special(f64::from(*v))),
        (_, Value::Double(v)) => json!(special(*v)),
        (Schema::Decimal(of), Value::Decimal(_)) => {
            json!(decimal_text(&raw(value).unwrap_or_default(), of.scale as i32))
        }
        (_, Value::Bytes(v) | Value::Fixed(_, v)) => base64(v),
        (_, Value::String(v) | Value::Enum(_, v)) => json!(v),
        (_, Value::Uuid(v)) => json!(v.to_string()),
        (_, Value::Date(v)) => {
            let second = jiff::Timestamp::from_second(i64::from(*v) * 86_400);
            second.map_or(json!(v), |t| json!(t.to_string().trim_end_matches("T00:00:00Z")))
        }
        (_, Value::TimeMillis(v)) => clock(i64::from(*v), 1_000_000),
        (_, Value::TimeMicros(v)) => clock(*v, 1_000),
        (_, Value::TimestampMillis(v) | Value::LocalTimestampMillis(v)) => {
            time(jiff::Timestamp::from_millisecond(*v), *v, utc)
        }
        (_, Value::TimestampMicros(v) | Value::LocalTimestampMicros(v)) => {
            time(jiff::Timestamp::from_microsecond(*v), *v, utc)
        }
        (_, Value::TimestampNanos(v) | Value::LocalTimestampNanos(v)) => {
            time(jiff::Timestamp::from_nanosecond(i128::from(*v)), *v, utc)
        }
        (_, Value::Duration(v)) => json!({
            "months": u32::from(v.months()), "days": u32::from(v.days()), "millis": u32::from(v.millis())
        }),
        _ => Json::Null,
    }
}

/// A time of day in `unit` nanoseconds, three or six digits after the second.
fn clock(value: i64, unit: i64) -> Json {
    let nanos = value * unit;
    match (jiff::Timestamp::from_nanosecond(nanos.into()), unit) {
        (Ok(t), 1_000_000) => json!(t.strftime("%H:%M:%S.%3f").to_string()),
        (Ok(t), _) => json!(t.strftime("%H:%M:%S.%6f").to_string()),
        (Err(_), _) => json!(value),
    }
}
