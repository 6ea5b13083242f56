//! One set of columns for several versions of a schema: it only widens.
//!
//! Owns: the columns of the mode `superset`, and which versions do not fit into them.
//! Bounded by: the columns of the versions given.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use super::rules::{
    ALIASES, Misfit, UNION, UNIT, aliases, ambiguous, decimal, join, meet, member_for, pair, plain,
    promotes, union_of,
};

/// Columns that hold the rows of several versions.
#[derive(Debug, Clone)]
pub struct Merged {
    /// Those of the oldest version first, then what each newer one adds. Names and metadata are the newest's.
    pub schema: SchemaRef,
    /// Versions that do not fit, by their place in what was given, and why: their rows keep their own columns.
    pub left_out: Vec<(usize, Vec<Misfit>)>,
}

/// Merges versions, oldest first. The newest one always fits; none given is none back.
///
/// A column is nullable if one version has none or a nullable one; of two types the one that holds both.
pub fn merge(versions: &[SchemaRef]) -> Option<Merged> {
    let (newest, older) = versions.split_last()?;
    let mut fields = newest.fields().clone();
    let mut left_out = Vec::new();
    for (at, version) in older.iter().enumerate().rev() {
        match both(version.fields(), &fields, "") {
            Ok(merged) => fields = merged,
            Err(misfits) => left_out.push((at, misfits)),
        }
    }
    Some(Merged { schema: Arc::new(Schema::new(fields)), left_out })
}

/// The fields of an older and a newer struct.
fn both(older: &Fields, newer: &Fields, path: &str) -> Result<Fields, Vec<Misfit>> {
    let mut misfits = Vec::new();
    let mut merged: Vec<FieldRef> = Vec::with_capacity(older.len().max(newer.len()));
    let mut taken = vec![false; newer.len()];
    let mut gone: HashSet<String> = HashSet::new();
    let met = meet(older, newer);
    if let Some(name) = ambiguous(older, newer, &met) {
        misfits.push(another(path, name));
    }
    for (field, met) in older.iter().zip(met) {
        match met.and_then(|at| newer.get(at).map(|f| (at, f))) {
            Some((at, new)) => {
                taken[at] = true;
                match one(field, new, &join(path, new.name())) {
                    Ok(field) => merged.push(field),
                    Err(found) => misfits.extend(found),
                }
            }
            None => {
                gone.insert(field.name().to_lowercase());
                merged.push(Arc::new(field.as_ref().clone().with_nullable(true)));
            }
        }
    }
    for (field, _) in newer.iter().zip(taken).filter(|(_, taken)| !taken) {
        // A name that was another column's: the two would be one to a reader.
        if gone.contains(&field.name().to_lowercase()) {
            misfits.push(another(path, field.name()));
        }
        merged.push(Arc::new(field.as_ref().clone().with_nullable(true)));
    }
    if misfits.is_empty() { Ok(merged.into()) } else { Err(misfits) }
}

fn another(path: &str, name: &str) -> Misfit {
    Misfit {
        path: join(path, name),
        found: "another field of that name".into(),
        required: "the same field".into(),
    }
}

/// One column of both.
fn one(older: &Field, newer: &Field, path: &str) -> Result<FieldRef, Vec<Misfit>> {
    let nullable = older.is_nullable() || newer.is_nullable();
    let (was, is) = (older.metadata().get(UNIT), newer.metadata().get(UNIT));
    if was != is {
        let unit = |unit: Option<&String>| format!("in {}", unit.map_or("units", |u| u));
        return Err(vec![Misfit { path: path.to_owned(), found: unit(was), required: unit(is) }]);
    }
    let data_type = match (union_of(older), union_of(newer)) {
        (None, Some(members)) => with_member(older, members, path, true)?,
        (Some(members), None) => with_member(newer, members, path, false)?,
        _ => wider(older.data_type(), newer.data_type(), path)?,
    };
    let mut metadata = newer.metadata().clone();
    metadata.extend(older.metadata().get(UNION).map(|is| (UNION.to_owned(), is.clone())));
    let mut names = aliases(newer);
    let renamed = (older.name() != newer.name()).then(|| older.name().clone());
    for name in aliases(older).into_iter().chain(renamed) {
        if !names.contains(&name) && name != *newer.name() {
            names.push(name);
        }
    }
    // By number, names do not matter.
    if older.metadata().contains_key(ALIASES) || newer.metadata().contains_key(ALIASES) {
        metadata.insert(ALIASES.to_owned(), serde_json::json!(names).to_string());
    }
    let field = Field::new(newer.name(), data_type, nullable);
    Ok(Arc::new(field.with_metadata(metadata)))
}

/// A union, one member of which takes the values of a column as well. `older`: the column is.
fn with_member(
    column: &Field,
    members: &Fields,
    path: &str,
    older: bool,
) -> Result<DataType, Vec<Misfit>> {
    let at = member_for(column, members).ok_or_else(|| {
        let union = plain(&DataType::Struct(members.clone()));
        let own = plain(column.data_type());
        let (found, required) = if older { (own, union) } else { (union, own) };
        vec![Misfit { path: path.to_owned(), found, required }]
    })?;
    let merged = members.iter().enumerate().map(|(i, member)| match i == at {
        true => {
            let path = join(path, member.name());
            let (a, b) = (column.data_type(), member.data_type());
            let data_type = if older { wider(a, b, &path)? } else { wider(b, a, &path)? };
            Ok(Arc::new(member.as_ref().clone().with_data_type(data_type)))
        }
        false => Ok(member.clone()),
    });
    Ok(DataType::Struct(merged.collect::<Result<Vec<FieldRef>, Vec<Misfit>>>()?.into()))
}

/// The type that holds the values of both.
fn wider(older: &DataType, newer: &DataType, path: &str) -> Result<DataType, Vec<Misfit>> {
    match (older, newer) {
        (DataType::Struct(older), DataType::Struct(newer)) => {
            Ok(DataType::Struct(both(older, newer, path)?))
        }
        (DataType::List(older), DataType::List(newer)) => {
            Ok(DataType::List(one(older, newer, path)?))
        }
        (DataType::Map(older, _), DataType::Map(newer, sorted)) => {
            let (Some((old_key, old_value)), Some((key, value))) = (pair(older), pair(newer))
            else {
                return Ok(DataType::Map(newer.clone(), *sorted));
            };
            let key = one(old_key, key, &join(path, "key"))?;
            let value = one(old_value, value, &join(path, "value"))?;
            let entry = DataType::Struct(Fields::from(vec![key, value]));
            let entries = newer.as_ref().clone().with_data_type(entry);
            Ok(DataType::Map(Arc::new(entries), *sorted))
        }
        (older, newer) if older == newer => Ok(newer.clone()),
        (DataType::Utf8, DataType::Binary) | (DataType::Binary, DataType::Utf8) => {
            Ok(DataType::Binary)
        }
        (older, newer) if promotes(older, newer) => Ok(newer.clone()),
        (older, newer) if promotes(newer, older) => Ok(older.clone()),
        // Every `int64` is a `double` by the rules, a `float` is one, and neither is the other.
        (DataType::Int64, DataType::Float32) | (DataType::Float32, DataType::Int64) => {
            Ok(DataType::Float64)
        }
        _ => decimals(older, newer).ok_or_else(|| {
            vec![Misfit { path: path.to_owned(), found: plain(older), required: plain(newer) }]
        }),
    }
}

/// The decimal with the integer digits of one and the fraction of the other.
fn decimals(a: &DataType, b: &DataType) -> Option<DataType> {
    let ((p, s), (q, t)) = (decimal(a)?, decimal(b)?);
    let scale = s.max(t);
    let precision = (p - s).max(q - t) + scale;
    let (precision, scale) = (u8::try_from(precision).ok()?, i8::try_from(scale).ok()?);
    match precision {
        0..=38 => Some(DataType::Decimal128(precision, scale)),
        39..=76 => Some(DataType::Decimal256(precision, scale)),
        _ => None,
    }
}
