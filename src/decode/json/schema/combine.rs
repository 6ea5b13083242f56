//! Several schemas for one value → one [`Shape`]: `allOf`, `oneOf`, `anyOf`, several types.

use std::collections::HashSet;

use super::{Read, Reader};
use crate::decode::json::refs::Place;
use crate::decode::json::shape::{Field, Kind, Shape, Struct};
use crate::decode::json::tree::Object;
use crate::decode::readers::join;

impl<'d> Reader<'d> {
    /// `base` with what `oneOf` or `anyOf` say.
    pub(super) fn combined(
        &mut self,
        place: Place<'d>,
        object: &'d Object,
        base: Shape,
        path: &str,
    ) -> Read<Shape> {
        let key = if object.has("oneOf") { "oneOf" } else { "anyOf" };
        let Some(branches) = object.get(key) else { return Ok(base) };
        if key == "oneOf" && object.has("anyOf") {
            self.notes.push(format!("{path}: anyOf beside oneOf is not read"));
        }
        let mut shapes = Vec::new();
        for branch in self.list(place, branches, key, path)? {
            shapes.push(self.shape(place.inner(branch), path)?);
        }
        if is_bare(&base) {
            // Branches that say nothing of their own only constrain.
            if shapes.iter().all(is_bare) {
                return Ok(base);
            }
            let nullable = base.nullable && !matches!(base.kind, Kind::Any);
            let mut shape = self.union(shapes);
            shape.nullable |= nullable;
            return Ok(shape);
        }
        let Kind::Struct(own) = base.kind else {
            let null = shapes.iter().any(|shape| shape.kind == Kind::Null);
            return Ok(Shape { nullable: base.nullable || null, ..base });
        };
        // Properties that only some of the branches have, beside those that all have.
        let mut all = Struct { open: own.open, required: own.required, fields: own.fields };
        for shape in shapes {
            if let Kind::Struct(part) = shape.kind {
                for mut field in part.fields {
                    field.required = false;
                    self.add(&mut all, field, false, path);
                }
            }
        }
        Ok(Shape { kind: Kind::Struct(all), ..base })
    }

    /// What all of the parts say together.
    pub(super) fn merge(&mut self, parts: Vec<Shape>, path: &str) -> Shape {
        let name = parts.iter().find_map(|part| part.name.clone());
        let mut said: Vec<Shape> =
            parts.into_iter().filter(|part| part.kind != Kind::Any).collect();
        if said.iter().any(|part| matches!(part.kind, Kind::Struct(_)))
            && said.iter().all(|part| matches!(part.kind, Kind::Struct(_)))
        {
            let nullable = said.iter().all(|part| part.nullable);
            let mut all = Struct { open: true, ..Struct::default() };
            for part in said {
                let Kind::Struct(part) = part.kind else { continue };
                all.open &= part.open;
                all.required.extend(part.required);
                for field in part.fields {
                    self.add(&mut all, field, true, path);
                }
            }
            let required: HashSet<&String> = all.required.iter().collect();
            for field in &mut all.fields {
                field.required |= required.contains(&field.name);
            }
            return Shape { kind: Kind::Struct(all), nullable, name };
        }
        let Some(first) = said.pop() else { return Shape { name, ..Kind::Any.into() } };
        let nullable = first.nullable && said.iter().all(|part| part.nullable);
        if said.iter().all(|part| part.kind == first.kind) {
            return Shape { nullable, name, ..first };
        }
        self.notes.push(format!("{path}: allOf of different types → JSON text"));
        Shape { name, ..Kind::Any.into() }
    }

    /// Adds a field; `both`: one of the same name is the same value, so that both must hold.
    fn add(&mut self, all: &mut Struct, field: Field, both: bool, path: &str) {
        let Some(there) = all.fields.iter_mut().find(|f| f.name == field.name) else {
            all.fields.push(field);
            return;
        };
        there.required |= both && field.required;
        let path = join(path, &field.name);
        if both {
            let parts = vec![there.shape.clone(), field.shape];
            let merged = self.merge(parts, &path);
            if let Some(there) = all.fields.iter_mut().find(|f| f.name == field.name) {
                there.shape = merged;
            }
        } else if there.shape.kind != field.shape.kind {
            self.notes.push(format!("{path}: of different types in several branches → JSON text"));
            there.shape = Kind::Any.into();
        } else {
            there.shape.nullable |= field.shape.nullable;
            if let (Kind::Text(mine), Kind::Text(theirs)) =
                (&mut there.shape.kind, field.shape.kind)
            {
                mine.join(theirs);
            }
        }
    }
}

/// One shape for values of any of these.
pub(in crate::decode::json) fn union(shapes: Vec<Shape>) -> Shape {
    let mut nullable = false;
    let mut branches: Vec<Shape> = Vec::with_capacity(shapes.len());
    for shape in shapes {
        nullable |= shape.nullable;
        match shape.kind {
            Kind::Null => {}
            Kind::Union(inner) => branches.extend(inner),
            _ => branches.push(Shape { nullable: false, ..shape }),
        }
    }
    // A number column takes integers; and what takes any text takes these texts.
    if branches.iter().any(|b| b.kind == Kind::Float64) {
        branches.retain(|b| !matches!(b.kind, Kind::Int { .. }));
    }
    let mut kept: Vec<Shape> = Vec::with_capacity(branches.len());
    for branch in branches {
        match kept.iter_mut().find(|k| k.kind == branch.kind) {
            None => kept.push(branch),
            Some(there) => {
                if let (Kind::Text(mine), Kind::Text(theirs)) = (&mut there.kind, branch.kind) {
                    mine.join(theirs);
                }
            }
        }
    }
    if kept.iter().any(|b| matches!(b.kind, Kind::Any)) {
        return Kind::Any.into();
    }
    let kind = match kept.len() {
        0 => return Kind::Null.into(),
        1 => return kept.pop().map_or(Kind::Null.into(), |only| Shape { nullable, ..only }),
        _ => Kind::Union(kept),
    };
    Shape { kind, nullable, name: None }
}

/// Whether a shape says no more than that a value is there, or is an object.
fn is_bare(shape: &Shape) -> bool {
    match &shape.kind {
        Kind::Any => true,
        Kind::Struct(s) => s.fields.is_empty() && s.open,
        _ => false,
    }
}
