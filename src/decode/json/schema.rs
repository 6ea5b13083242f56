//! JSON Schema (drafts 4, 6, 7, 2019-09, 2020-12) → [`Shape`]: what its values look like, not which
//! of them are valid.
//!
//! Read: `type`, `properties`, `required`, `additionalProperties`, `patternProperties`, `items`, `enum`,
//! `const`, `format`, `contentEncoding`, `allOf`, `anyOf`, `oneOf`, `$ref` and its kin, `default`, `title`, the
//! largest and smallest value of integers, and what Connect's converter writes (`connect.type`,
//! `connect.index`, `connect.parameters`). Everything else constrains values without changing what they
//! look like, and is left to producers.

mod combine;
mod connect;

use std::collections::HashSet;

use arrow::datatypes::TimeUnit;

use super::codes;
use super::number;
use super::refs::{Place, References, says_something};
use super::shape::{Field, Kind, Shape, Struct, Symbols};
use super::tree::{Object, Tree};
use crate::config::Connect;
use crate::decode::codes as shared;
use crate::decode::columns::COLUMNS_MAX;
use crate::decode::readers::join;
use crate::error::{Code, Fault};
use combine::union;

/// Schemas inside one another that are followed.
const OPEN_MAX: usize = 128;
/// Schemas of one text that are read, those read again through references counted again.
pub(super) const READ_MAX: usize = 4 * COLUMNS_MAX;
/// Bytes of one text that are copied: a reference may read a long default again and again.
const COPIED_MAX: usize = 64 << 20;
/// Connect's names of logical types start so.
pub(super) const CONNECT_DATA: &str = "org.apache.kafka.connect.data.";

pub(super) struct Reader<'d> {
    references: References<'d>,
    /// Settings of Confluent's converter, if its columns are asked for.
    connect: Option<Connect>,
    /// Schemas that enclose the one at hand.
    open: Vec<*const Tree>,
    read: usize,
    /// Bytes of names, defaults and symbols that were copied, those that are read again counted again.
    copied: usize,
    /// What is read otherwise than the schema might mean it, one line each.
    pub(super) notes: Vec<String>,
}

type Read<T> = Result<T, Fault>;

impl<'d> Reader<'d> {
    pub(super) fn new(references: References<'d>, connect: Option<Connect>) -> Self {
        Self { references, connect, open: Vec::new(), read: 0, copied: 0, notes: Vec::new() }
    }

    pub(super) fn root(&mut self) -> Read<Shape> {
        self.shape(self.references.root(), "")
    }

    /// Name of the whole: its title, else what it is.
    pub(super) fn name(&self) -> Option<String> {
        let root = self.references.root().tree.object();
        root.and_then(|o| o.text("title")).filter(|title| !title.is_empty()).map(str::to_owned)
    }

    fn shape(&mut self, place: Place<'d>, path: &str) -> Read<Shape> {
        self.read += 1;
        if self.read > READ_MAX {
            let found = format!(
                "more than {READ_MAX} schemas to read, at most that allowed; split the topic"
            );
            return Err(self.refuse(&shared::TOO_WIDE, place, path, place.tree, &found));
        }
        let object = match place.tree {
            Tree::Object(object) => object,
            Tree::Bool(true) => return Ok(Kind::Any.into()),
            Tree::Bool(false) => return Ok(Kind::Null.into()),
            other => {
                return Err(self.unreadable(
                    place,
                    path,
                    other,
                    "a schema: an object or a boolean",
                ));
            }
        };
        let identity = std::ptr::from_ref(place.tree);
        if self.open.contains(&identity) {
            return Ok(Kind::Recursive.into());
        }
        if self.open.len() >= OPEN_MAX {
            let found = format!("schemas nested {OPEN_MAX} levels deep, fewer required");
            return Err(self.refuse(&shared::DEPTH, place, path, place.tree, &found));
        }
        self.open.push(identity);
        let shape = self.object(place, object, path);
        self.open.pop();
        shape
    }

    /// Pays for copies of these.
    fn copy<'t>(
        &mut self,
        trees: impl Iterator<Item = &'t Tree>,
        name: &str,
        place: Place<'d>,
        path: &str,
    ) -> Read<()> {
        self.copied += name.len() + trees.map(Tree::text_bytes).sum::<usize>();
        if self.copied <= COPIED_MAX {
            return Ok(());
        }
        let found = format!(
            "more than {COPIED_MAX} bytes of names, defaults and symbols to read, at most that allowed; split the topic"
        );
        Err(self.refuse(&shared::TOO_WIDE, place, path, place.tree, &found))
    }

    /// A schema with its `$ref`.
    fn object(&mut self, place: Place<'d>, object: &'d Object, path: &str) -> Read<Shape> {
        let keys = ["$ref", "$dynamicRef", "$recursiveRef"];
        let Some(reference) = keys.iter().find_map(|key| object.get(key)) else {
            return self.own(place, object, path);
        };
        let Tree::Text(text) = reference else {
            return Err(self.unreadable(place, path, reference, "the text of a reference"));
        };
        let target = self.references.follow(place, text, reference)?;
        let mut shape = self.shape(target, path)?;
        let last = text.rsplit(['/', '#']).find(|s| !s.is_empty());
        shape.name = last.map(|name| name.trim_end_matches(".json").to_owned()).or(shape.name);
        if self.references.is_modern(place) && says_something(object) {
            let own = self.own(place, object, path)?;
            return Ok(self.merge(vec![shape, own], path));
        }
        Ok(shape)
    }

    /// A schema without its `$ref`.
    fn own(&mut self, place: Place<'d>, object: &'d Object, path: &str) -> Read<Shape> {
        let base = self.typed(place, object, path)?;
        let mut shape = self.combined(place, object, base, path)?;
        if let Some(all) = object.get("allOf") {
            let mut parts = vec![shape];
            for part in self.list(place, all, "allOf", path)? {
                parts.push(self.shape(place.inner(part), path)?);
            }
            shape = self.merge(parts, path);
        }
        if let Some(title) = object.text("title").filter(|title| !title.starts_with(CONNECT_DATA)) {
            shape.name = shape.name.or_else(|| Some(title.to_owned()));
        }
        if object.get("nullable") == Some(&Tree::Bool(true)) {
            shape.nullable = true;
        }
        Ok(shape)
    }

    /// What `type`, `enum` and `const` say, or what the other keywords let guess.
    fn typed(&mut self, place: Place<'d>, object: &'d Object, path: &str) -> Read<Shape> {
        let types = match object.get("type") {
            Some(Tree::Text(one)) => vec![one.as_str()],
            Some(Tree::List(several)) => {
                let texts = several.iter().map(|t| match t {
                    Tree::Text(text) => Ok(text.as_str()),
                    other => Err(self.unreadable(place, path, other, "the name of a type")),
                });
                texts.collect::<Read<Vec<_>>>()?
            }
            Some(other) => return Err(self.unreadable(place, path, other, "the name of a type")),
            None => self.guessed(object),
        };
        let values: Option<Vec<&Tree>> = match (object.get("enum"), object.get("const")) {
            (Some(values), _) => Some(self.list(place, values, "enum", path)?.iter().collect()),
            (None, Some(value)) => Some(vec![value]),
            (None, None) => None,
        };
        self.copy(values.iter().flatten().copied(), "", place, path)?;
        if types.is_empty() {
            let of_values = match self.connect {
                None => of_values,
                Some(_) => connect::of_values,
            };
            return Ok(values.map_or(Kind::Any.into(), |values| of_values(&values)));
        }
        let mut shapes = Vec::with_capacity(types.len());
        for name in types {
            shapes.push(Shape::from(self.by_type(place, object, name, values.as_deref(), path)?));
        }
        match shapes.len() {
            1 => Ok(shapes.swap_remove(0)),
            _ => Ok(self.union(shapes)),
        }
    }

    /// One shape for values of any of these.
    fn union(&self, shapes: Vec<Shape>) -> Shape {
        match self.connect {
            None => union(shapes),
            Some(connect) => connect::union(shapes, connect),
        }
    }

    /// The type that keywords without `type` are about.
    fn guessed(&self, object: &Object) -> Vec<&'static str> {
        let any = |keys: &[&str]| keys.iter().any(|key| object.has(key));
        let objects = ["properties", "additionalProperties", "patternProperties", "required"];
        match (any(&objects), any(&["items", "prefixItems"])) {
            (true, false) => vec!["object"],
            (false, true) => vec!["array"],
            _ => Vec::new(),
        }
    }

    fn by_type(
        &mut self,
        place: Place<'d>,
        object: &'d Object,
        name: &str,
        values: Option<&[&Tree]>,
        path: &str,
    ) -> Read<Kind> {
        let hint = object.text("connect.type").unwrap_or_default();
        let title = object.text("title").and_then(|title| title.strip_prefix(CONNECT_DATA));
        Ok(match (name, title, hint) {
            ("null", ..) => Kind::Null,
            ("boolean", ..) => Kind::Bool,
            ("number" | "string" | "integer", Some("Decimal"), _) => decimal(object),
            ("integer" | "number", Some("Date"), _) => Kind::Days,
            ("integer" | "number", Some("Time"), _) => Kind::Millis,
            ("integer" | "number", Some("Timestamp"), _) => Kind::Instant(TimeUnit::Millisecond),
            ("integer" | "number", _, "int8") => Kind::int(8),
            ("integer" | "number", _, "int16") => Kind::int(16),
            ("integer" | "number", _, "int32") => Kind::int(32),
            ("integer" | "number", _, "int64") => Kind::I64,
            ("integer" | "number", _, "float32") => Kind::Float32,
            ("integer" | "number", _, "float64") => Kind::Float64,
            ("integer", ..) if self.connect.is_some() => Kind::I64,
            ("integer", ..) => integer(object),
            ("number", ..) => Kind::Float64,
            ("string", _, "bytes") => Kind::Bytes,
            ("string", ..) if self.connect.is_some() => connect::string(values),
            ("string", ..) => string(object, values),
            ("array", ..) => self.array(place, object, hint == "map", path)?,
            ("object", ..) => self.members(place, object, hint == "map", path)?,
            _ => {
                let found = object.get("type").unwrap_or(place.tree);
                let why = format!(
                    "type `{name}`, one of null, boolean, integer, number, string, array, object required"
                );
                return Err(self.refuse(&codes::SCHEMA, place, path, found, &why));
            }
        })
    }

    fn array(&mut self, place: Place<'d>, object: &'d Object, map: bool, path: &str) -> Read<Kind> {
        let path = format!("{path}[]");
        let items = match object.get("items") {
            // Items of a type each by their place: no column is of several types.
            _ if object.has("prefixItems") => return Ok(Kind::Any),
            Some(Tree::List(_)) => return Ok(Kind::Any),
            None => Kind::Any.into(),
            Some(items) => self.shape(place.inner(items), &path)?,
        };
        if map && let Kind::Struct(entry) = &items.kind {
            let part = |name: &str| {
                let field = entry.fields.iter().find(|field| field.name == name);
                field.map(|field| Box::new(field.shape.clone()))
            };
            if let (Some(key), Some(mut value)) = (part("key"), part("value")) {
                let required = entry.fields.iter().any(|f| f.name == "value" && f.required);
                value.nullable |= !required && self.connect.is_none();
                return Ok(Kind::Pairs { key, value, objects: true });
            }
        }
        Ok(Kind::List(Box::new(items)))
    }

    fn members(
        &mut self,
        place: Place<'d>,
        object: &'d Object,
        map: bool,
        path: &str,
    ) -> Read<Kind> {
        let properties = match object.get("properties") {
            None => None,
            Some(Tree::Object(properties)) => Some(properties),
            Some(other) => return Err(self.unreadable(place, path, other, "an object of schemas")),
        };
        let mut required = Vec::new();
        if let Some(Tree::List(names)) = object.get("required") {
            self.copy(names.iter(), "", place, path)?;
            required.extend(names.iter().filter_map(|name| match name {
                Tree::Text(name) => Some(name.clone()),
                _ => None,
            }));
        }
        let others = object.get("additionalProperties");
        let closed = [others, object.get("unevaluatedProperties")];
        let mut open = !closed.contains(&Some(&Tree::Bool(false)));
        let bare = properties.is_none_or(|p| p.len() == 0);
        let patterns = object.get("patternProperties").and_then(Tree::object);
        let schema_of_others = match (others, patterns.map(|p| p.iter().collect::<Vec<_>>())) {
            (Some(Tree::Object(_)), None) => others,
            (None | Some(Tree::Bool(false)), Some(patterns)) => match patterns.as_slice() {
                [(_, only)] => Some(*only),
                _ => None,
            },
            (Some(Tree::Bool(_)) | None, _) => None,
            (Some(Tree::Object(_)), Some(_)) => None,
            (Some(other), _) => return Err(self.unreadable(place, path, other, "a schema")),
        };
        if let (Some(values), true) = (schema_of_others, bare && required.is_empty() || map) {
            let values = self.shape(place.inner(values), &format!("{path}[]"))?;
            return Ok(Kind::Map(Box::new(values)));
        }
        open |= patterns.is_some();
        let is_required: HashSet<&str> = required.iter().map(String::as_str).collect();
        let mut fields = Vec::new();
        for (name, tree) in properties.iter().flat_map(|p| p.iter()) {
            // A property that may not be there has no column.
            if *tree == Tree::Bool(false) {
                continue;
            }
            let shape = self.shape(place.inner(tree), &join(path, name))?;
            let own = tree.object();
            let index = own.and_then(|o| o.get("connect.index")).and_then(whole);
            let said = own.and_then(|o| o.get("default"));
            self.copy(said.into_iter(), name, place, path)?;
            let filled = said.filter(|d| self.connect.is_some() && **d != Tree::Null).map(written);
            let said = said.map(written);
            let required = is_required.contains(name);
            let name = name.to_owned();
            fields.push(Field { name, shape, required, filled, said, index });
        }
        if fields.iter().any(|field| field.index.is_some()) {
            fields.sort_by_key(|field| field.index.unwrap_or(i64::MAX));
        }
        Ok(Kind::Struct(Struct { fields, required, open }))
    }

    fn list<'t>(
        &self,
        place: Place<'d>,
        tree: &'t Tree,
        key: &str,
        path: &str,
    ) -> Read<&'t [Tree]> {
        match tree {
            Tree::List(items) => Ok(items),
            other => Err(self.unreadable(place, path, other, &format!("a list of `{key}`"))),
        }
    }

    #[cold]
    fn unreadable(&self, place: Place<'d>, path: &str, found: &Tree, required: &str) -> Fault {
        let why = format!("{}, {required} required", found.kind());
        self.refuse(&codes::SCHEMA, place, path, found, &why)
    }

    /// ``json schema: line 3 column 7: field `a.b`: a number, a schema required``
    #[cold]
    fn refuse(
        &self,
        code: &'static Code,
        place: Place<'d>,
        path: &str,
        tree: &Tree,
        why: &str,
    ) -> Fault {
        let at = self.references.at(place.document, tree);
        let field = if path.is_empty() { String::new() } else { format!("field `{path}`: ") };
        Fault::new(code, format!("{at}: {field}{why}"))
    }
}

/// What `enum` or `const` alone let guess.
fn of_values(values: &[&Tree]) -> Shape {
    let shape = |value: &&Tree| -> Shape {
        match value {
            Tree::Null => Kind::Null.into(),
            Tree::Bool(_) => Kind::Bool.into(),
            Tree::Number(text) if number::whole(text, i64::MIN.into(), i64::MAX.into()).is_ok() => {
                Kind::I64.into()
            }
            Tree::Number(_) => Kind::Float64.into(),
            Tree::Text(text) => Kind::Text(Symbols(Some(vec![text.clone()]))).into(),
            Tree::List(_) | Tree::Object(_) => Kind::Any.into(),
        }
    };
    match union(values.iter().map(shape).collect()) {
        // Values of several types have no column in common.
        Shape { kind: Kind::Union(_), .. } => Kind::Any.into(),
        shape => shape,
    }
}

fn string(object: &Object, values: Option<&[&Tree]>) -> Kind {
    if values.is_some() {
        return connect::string(values);
    }
    match (object.text("format"), object.text("contentEncoding")) {
        (_, Some("base64")) => Kind::Bytes,
        (Some("date"), _) => Kind::Date,
        (Some("time"), _) => Kind::Time,
        (Some("date-time"), _) => Kind::DateTime,
        (Some("uuid"), _) => Kind::Uuid,
        _ => Kind::text(),
    }
}

/// 64 bits, unless the schema says that values go beyond.
fn integer(object: &Object) -> Kind {
    let bound = |keys: [&str; 2]| {
        keys.iter().find_map(|key| match object.get(key) {
            Some(Tree::Number(text)) => number::to_i128(text, 38, 0).ok(),
            _ => None,
        })
    };
    let (least, most) =
        (bound(["minimum", "exclusiveMinimum"]), bound(["maximum", "exclusiveMaximum"]));
    let (small, large) = (i128::from(i64::MIN), i128::from(i64::MAX));
    match (least, most) {
        (Some(0..), Some(most)) if most > large && most <= i128::from(u64::MAX) => {
            Kind::Int { least: 0, most: u64::MAX.into(), small: false }
        }
        (Some(least), _) if least < small => wide(),
        (_, Some(most)) if most > large => wide(),
        _ => Kind::I64,
    }
}

/// Every integer of 38 digits.
fn wide() -> Kind {
    let most = 10i128.pow(38) - 1;
    Kind::Int { least: -most, most, small: false }
}

/// Connect's decimal: its scale in `connect.parameters`, its precision there or unknown.
fn decimal(object: &Object) -> Kind {
    let parameters = object.get("connect.parameters").and_then(Tree::object);
    let number = |key: &str| parameters.and_then(|p| p.get(key)).and_then(whole);
    let precision = number("connect.decimal.precision").unwrap_or(0).clamp(0, 100_000) as u32;
    let scale = number("scale").unwrap_or(0).clamp(-100_000, 100_000) as i32;
    Kind::Decimal { precision, scale }
}

/// A number, or the text of one.
pub(super) fn whole(tree: &Tree) -> Option<i64> {
    match tree {
        Tree::Number(text) => {
            number::whole(text, i64::MIN.into(), i64::MAX.into()).ok()?.try_into().ok()
        }
        Tree::Text(text) => text.parse().ok(),
        _ => None,
    }
}

/// A tree as JSON text.
pub(super) fn written(tree: &Tree) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    match tree {
        Tree::Null => "null".to_owned(),
        Tree::Bool(value) => value.to_string(),
        Tree::Number(text) => text.clone(),
        Tree::Text(text) => quoted(text),
        Tree::List(items) => {
            let items: Vec<String> = items.iter().map(written).collect();
            format!("[{}]", items.join(","))
        }
        Tree::Object(object) => {
            let members: Vec<String> = object
                .iter()
                .map(|(key, value)| format!("{}:{}", quoted(key), written(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}
