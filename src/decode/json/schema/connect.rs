//! What Confluent's converter reads of a schema, where it is not what the schema says: no formats, no
//! bounds, unions as they are written.
//!
//! Source: `json-schema-converter`, read for what it does (8.4).

use crate::config::Connect;
use crate::decode::json::shape::{Kind, Shape, Symbols};
use crate::decode::json::tree::Tree;

/// One shape for values of any of these: each keeps its place, however much they are alike.
pub(super) fn union(shapes: Vec<Shape>, connect: Connect) -> Shape {
    let written = shapes.len();
    let null = shapes.iter().any(|shape| shape.kind == Kind::Null);
    let mut branches: Vec<Shape> =
        shapes.into_iter().filter(|shape| shape.kind != Kind::Null).collect();
    let alone = null && written == 2 || written == 1 && connect.flatten_singleton_unions;
    let kind = match branches.len() {
        0 => return Kind::Null.into(),
        1 if alone => {
            return branches.pop().map_or(Kind::Null.into(), |only| Shape {
                nullable: only.nullable || null,
                ..only
            });
        }
        _ => Kind::Union(branches),
    };
    Shape { kind, nullable: null, name: None }
}

/// Text; of these values only, if some are said.
pub(super) fn string(values: Option<&[&Tree]>) -> Kind {
    let texts = |values: &[&Tree]| {
        let text = |value: &&Tree| match value {
            Tree::Text(text) => Some(text.clone()),
            _ => None,
        };
        values.iter().filter_map(text).collect()
    };
    Kind::Text(Symbols(values.map(texts)))
}

/// What `enum` or `const` say without a type: text, whatever the values are.
pub(super) fn of_values(values: &[&Tree]) -> Shape {
    let nullable = values.contains(&&Tree::Null);
    let texts = values.iter().all(|value| matches!(value, Tree::Text(_) | Tree::Null));
    let kind = if texts { string(Some(values)) } else { Kind::Written };
    Shape { kind, nullable, name: None }
}
