//! One set of columns for several versions of a schema: it only widens.
//!
//! Owns: the columns of the mode `superset`, and which versions do not fit into them.
//! Bounded by: the columns of the versions given.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};

use super::EXTENSION;
use super::rules::{
    ALIASES, Misfit, NAMES, UNION, aliases, ambiguous, apart, decimal, forms, join, listed, meet,
    member_for, pair, plain, promotes, union_of,
};

/// What columns of several versions may be at most, as those of each are.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Columns, inner ones counted.
    pub columns: usize,
    /// Decimals of more than 38 digits: not every reader has them.
    pub wide_decimals: bool,
}

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
pub fn merge(versions: &[SchemaRef], bounds: &Bounds) -> Option<Merged> {
    let (newest, older) = versions.split_last()?;
    let mut fields = newest.fields().clone();
    let mut left_out = Vec::new();
    for (at, version) in older.iter().enumerate().rev() {
        match both(version.fields(), &fields, "").and_then(|m| within(m, &fields, bounds)) {
            Ok(merged) => fields = merged,
            Err(misfits) => left_out.push((at, misfits)),
        }
    }
    Some(Merged { schema: Arc::new(Schema::new(fields)), left_out })
}

/// These columns, if they are within the bounds, or no further beyond them than those of before.
fn within(merged: Fields, before: &Fields, bounds: &Bounds) -> Result<Fields, Vec<Misfit>> {
    let mut misfits = Vec::new();
    let count = measure(&merged, "", &mut |path, data_type| {
        if matches!(data_type, DataType::Decimal256(..)) && !bounds.wide_decimals {
            let (found, required) = (plain(data_type), "a decimal of at most 38 digits".to_owned());
            misfits.push(Misfit { path: path.to_owned(), found, required });
        }
    });
    let most = bounds.columns.max(measure(before, "", &mut |_, _| {}));
    if count > most {
        let (found, required) = (format!("{count} columns"), format!("at most {most}"));
        misfits.push(Misfit { path: "columns of all versions".into(), found, required });
    }
    if misfits.is_empty() { Ok(merged) } else { Err(misfits) }
}

/// The number of columns, inner ones counted; each is looked at.
fn measure(fields: &Fields, path: &str, look: &mut dyn FnMut(&str, &DataType)) -> usize {
    let mut count = 0;
    for field in fields {
        let path = join(path, field.name());
        look(&path, field.data_type());
        count += 1 + match field.data_type() {
            DataType::Struct(fields) => measure(fields, &path, look),
            DataType::List(item) | DataType::Map(item, _) => {
                measure(&Fields::from(vec![item.clone()]), &path, look)
            }
            _ => 0,
        };
    }
    count
}

/// The fields of an older and a newer struct.
fn both(older: &Fields, newer: &Fields, path: &str) -> Result<Fields, Vec<Misfit>> {
    let mut misfits = Vec::new();
    let mut merged: Vec<FieldRef> = Vec::with_capacity(older.len().max(newer.len()));
    let mut taken = vec![false; newer.len()];
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
            None => merged.push(Arc::new(field.as_ref().clone().with_nullable(true))),
        }
    }
    for (field, _) in newer.iter().zip(taken).filter(|(_, taken)| !taken) {
        merged.push(Arc::new(field.as_ref().clone().with_nullable(true)));
    }
    misfits.extend(twins(&merged, [older, newer]).map(|name| another(path, name)));
    if misfits.is_empty() { Ok(merged.into()) } else { Err(misfits) }
}

/// Names that two columns have, one of which may be another field's by now: to a reader they are one. Names that
/// differ by case are two where a version has such by itself.
fn twins<'f>(merged: &'f [FieldRef], versions: [&Fields; 2]) -> impl Iterator<Item = &'f str> {
    let own: HashSet<String> = versions.iter().flat_map(|fields| case_twins(fields)).collect();
    let (mut exact, mut folded) = (HashSet::new(), HashSet::new());
    merged.iter().map(|field| field.name().as_str()).filter(move |name| {
        let lower = name.to_lowercase();
        let known = own.contains(&lower);
        let (fresh, other_case) = (exact.insert(*name), folded.insert(lower));
        !fresh || !other_case && !known
    })
}

/// Names of more than one column, in lower case.
fn case_twins(fields: &Fields) -> impl Iterator<Item = String> {
    let mut seen = HashSet::new();
    fields.iter().map(|field| field.name().to_lowercase()).filter(move |n| !seen.insert(n.clone()))
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
    let forms = || forms(older, newer).map(|(a, b)| (a.to_owned(), b.to_owned()));
    if let Some((found, required)) = apart(older, newer).or_else(forms) {
        return Err(vec![Misfit { path: path.to_owned(), found, required }]);
    }
    let data_type = match (union_of(older), union_of(newer)) {
        (None, Some(members)) => with_member(older, members, path, true)?,
        (Some(members), None) => with_member(newer, members, path, false)?,
        _ => wider(older.data_type(), newer.data_type(), path)?,
    };
    let mut metadata = newer.metadata().clone();
    metadata.extend(older.metadata().get(UNION).map(|is| (UNION.to_owned(), is.clone())));
    // What is an UUID in one version alone is bytes.
    if older.metadata().get(EXTENSION) != newer.metadata().get(EXTENSION) {
        metadata.retain(|key, _| !key.starts_with("ARROW:extension:"));
    }
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
    let mut types = listed(newer, NAMES);
    types.extend(listed(older, NAMES));
    if !types.is_empty() {
        let mut seen = HashSet::new();
        types.retain(|name| seen.insert(name.clone()));
        metadata.insert(NAMES.to_owned(), serde_json::json!(types).to_string());
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
    let takes = |at: &usize| members.get(*at).is_some_and(|member| forms(column, member).is_none());
    let at = member_for(column, members).filter(takes).ok_or_else(|| {
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

#[cfg(test)]
mod tests;
