//! Random schemas, random texts of records, and what serde_json's tree of a text says its row is.

use base64::Engine;
use forebay::clock::Seeded;
use serde_json::{Map, Value, json};

/// What a value of a random schema is.
#[derive(Debug, Clone)]
pub enum Type {
    Bool,
    Integer,
    Int32,
    Number,
    Text,
    Symbol,
    Date,
    Bytes,
    /// Any JSON, as text.
    Any,
    List(Box<Typed>),
    Map(Box<Typed>),
    Struct(Vec<Field>),
    /// By kind of JSON value.
    Union(Vec<Typed>),
}

#[derive(Debug, Clone)]
pub struct Typed {
    pub of: Type,
    pub nullable: bool,
}

#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub value: Typed,
    pub required: bool,
}

const NAMES: &[&str] = &[
    "id",
    "name",
    "a",
    "b",
    "c",
    "status",
    "Amount",
    "ü",
    "x y",
    "quo\"te",
    "back\\slash",
    "t\tab",
    "long_name_of_a_property_that_is_over_thirty_two_bytes",
    "é",
    "😀",
    "",
];
const TEXTS: &[&str] =
    &["", "a", "plain text", "ü😀", "q\"b\\s/", "line\nbreak\t\u{1}", "12345678", "123456789"];
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1.5",
    "-2.25",
    "1e3",
    "1E+2",
    "12.5e-1",
    "123456789.125",
    "0.001",
    "9007199254740992",
    "1e22",
];
const INTEGERS: &[&str] = &[
    "0",
    "-1",
    "7",
    "1.0",
    "1e3",
    "-0.0",
    "100e-2",
    "2147483647",
    "-2147483648",
    "999999999999999999",
    "9223372036854775807",
    "-9223372036854775808",
];

fn pick<'a>(random: &mut Seeded, from: &[&'a str]) -> &'a str {
    from[random.below(from.len() as u64) as usize]
}

/// A random object type, with properties.
pub fn object(random: &mut Seeded, depth: u64) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for _ in 0..1 + random.below(7) {
        let name = pick(random, NAMES).to_owned();
        if fields.iter().all(|f| f.name != name) {
            let value = typed(random, depth);
            fields.push(Field { name, value, required: random.one_in(3) });
        }
    }
    fields
}

fn typed(random: &mut Seeded, depth: u64) -> Typed {
    let of = match random.below(if depth > 0 { 15 } else { 10 }) {
        0 => Type::Bool,
        1 | 2 => Type::Integer,
        3 => Type::Int32,
        4 => Type::Number,
        5 => Type::Text,
        6 => Type::Symbol,
        7 => Type::Date,
        8 => Type::Bytes,
        9 => Type::Any,
        10 | 11 => Type::List(Box::new(typed(random, depth - 1))),
        12 => Type::Map(Box::new(typed(random, depth - 1))),
        13 => Type::Struct(object(random, depth - 1)),
        _ => {
            let mut branches = vec![Type::Integer, Type::Text];
            if random.one_in(2) {
                branches.insert(0, Type::Bool);
            }
            if random.one_in(2) {
                branches.push(Type::List(Box::new(typed(random, depth - 1))));
            }
            if random.one_in(2) {
                branches.push(Type::Struct(object(random, depth - 1)));
            }
            Type::Union(branches.into_iter().map(|of| Typed { of, nullable: false }).collect())
        }
    };
    let nullable = matches!(of, Type::Any) || random.one_in(3);
    Typed { of, nullable }
}

/// The schema of an object type, in one of the ways that people write it.
pub fn schema(random: &mut Seeded, fields: &[Field]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        properties.insert(field.name.clone(), schema_of(random, &field.value));
    }
    let required: Vec<&str> =
        fields.iter().filter(|f| f.required).map(|f| f.name.as_str()).collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if random.one_in(4) {
        schema = json!({"allOf": [schema, {"minProperties": 0}]});
    }
    schema
}

fn schema_of(random: &mut Seeded, typed: &Typed) -> Value {
    let inner = match &typed.of {
        Type::Bool => json!({"type": "boolean"}),
        Type::Integer => json!({"type": "integer"}),
        Type::Int32 => json!({"type": "integer", "connect.type": "int32"}),
        Type::Number => json!({"type": "number", "minimum": -1e30}),
        Type::Text => json!({"type": "string", "maxLength": 1000}),
        Type::Symbol => json!({"enum": ["A", "B", "long symbol"]}),
        Type::Date => json!({"type": "string", "format": "date"}),
        Type::Bytes => json!({"type": "string", "connect.type": "bytes"}),
        Type::Any => return if random.one_in(2) { json!({}) } else { json!(true) },
        Type::List(item) => json!({"type": "array", "items": schema_of(random, item)}),
        Type::Map(value) => {
            let values = match schema_of(random, value) {
                // Of an open object nothing is known: it is text, not a map.
                Value::Bool(true) => json!({}),
                values => values,
            };
            json!({"type": "object", "additionalProperties": values})
        }
        Type::Struct(fields) => schema(random, fields),
        Type::Union(branches) => {
            let mut all: Vec<Value> = branches.iter().map(|b| schema_of(random, b)).collect();
            if typed.nullable {
                all.insert(random.below(3) as usize, json!({"type": "null"}));
            }
            return json!({ "anyOf": all });
        }
    };
    if !typed.nullable {
        return inner;
    }
    match (random.below(3), inner["type"].as_str()) {
        (0, Some(name)) => {
            let mut inner = inner.clone();
            inner["type"] = json!([name, "null"]);
            inner
        }
        (1, _) => json!({"oneOf": [{"type": "null"}, inner]}),
        _ => json!({"anyOf": [inner, {"type": "null"}]}),
    }
}

/// Text of one record; now and then one that does not fit.
pub struct Texts<'r> {
    pub random: &'r mut Seeded,
    /// One value in so many is of another type.
    pub wrong: u64,
    pub out: String,
}

impl Texts<'_> {
    pub fn record(random: &mut Seeded, fields: &[Field], wrong: u64) -> String {
        let mut texts = Texts { random, wrong, out: String::new() };
        texts.space();
        texts.object(fields);
        texts.space();
        texts.out
    }

    fn space(&mut self) {
        if self.random.one_in(8) {
            let spaces = [" ", "\n  ", "\t", "\r\n"];
            self.out.push_str(pick(self.random, &spaces));
        }
    }

    fn object(&mut self, fields: &[Field]) {
        let mut order: Vec<&Field> = fields.iter().collect();
        if self.random.one_in(3) {
            for i in (1..order.len()).rev() {
                order.swap(i, self.random.below(i as u64 + 1) as usize);
            }
        }
        order.retain(|f| if f.required { !self.random.one_in(40) } else { !self.random.one_in(4) });
        if !order.is_empty() && self.random.one_in(10) {
            order.push(order[0]);
        }
        self.out.push('{');
        let mut first = true;
        for field in order {
            if self.random.one_in(12) {
                self.comma(&mut first);
                self.out.push_str("\"unknown\"");
                self.colon();
                self.any(3);
            }
            self.comma(&mut first);
            self.string(&field.name);
            self.colon();
            self.typed(&field.value);
        }
        self.space();
        self.out.push('}');
    }

    fn comma(&mut self, first: &mut bool) {
        self.space();
        if !std::mem::take(first) {
            self.out.push(',');
            self.space();
        }
    }

    fn colon(&mut self) {
        self.space();
        self.out.push(':');
        self.space();
    }

    /// A string, any of its characters escaped.
    fn string(&mut self, text: &str) {
        let escape = if self.random.one_in(4) { 2 } else { 1_000_000 };
        self.out.push('"');
        for c in text.chars() {
            if self.random.one_in(escape) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                let quoted = Value::from(c.to_string()).to_string();
                self.out.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
        self.out.push('"');
    }

    fn one_of(&mut self, texts: &[&str]) {
        let text = pick(self.random, texts);
        self.string(text);
    }

    fn any(&mut self, depth: u64) {
        match self.random.below(if depth > 0 { 7 } else { 5 }) {
            0 => self.out.push_str("null"),
            1 => self.out.push_str("true"),
            2 => self.out.push_str(pick(self.random, NUMBERS)),
            3 | 4 => self.one_of(TEXTS),
            5 => {
                self.out.push('[');
                let mut first = true;
                for _ in 0..self.random.below(4) {
                    self.comma(&mut first);
                    self.any(depth - 1);
                }
                self.out.push(']');
            }
            _ => {
                self.out.push('{');
                let mut first = true;
                for at in 0..self.random.below(4) {
                    self.comma(&mut first);
                    self.string(["k", "\"", "ü", "k2"][at as usize]);
                    self.colon();
                    self.any(depth - 1);
                }
                self.out.push('}');
            }
        }
    }

    fn typed(&mut self, typed: &Typed) {
        if typed.nullable && self.random.one_in(3) {
            return self.out.push_str("null");
        }
        if self.random.one_in(self.wrong) {
            return self.any(1);
        }
        match &typed.of {
            Type::Bool => self.out.push_str(pick(self.random, &["true", "false"])),
            Type::Integer => self.out.push_str(pick(self.random, INTEGERS)),
            Type::Int32 => self.out.push_str(pick(self.random, &INTEGERS[..9])),
            Type::Number => self.out.push_str(pick(self.random, NUMBERS)),
            Type::Text => self.one_of(TEXTS),
            Type::Symbol => self.out.push_str(pick(self.random, &["\"A\"", "\"B\"", "\"new\""])),
            Type::Date => self.out.push_str(pick(
                self.random,
                &["\"1970-01-01\"", "\"2024-02-29\"", "\"0001-01-01\"", "\"9999-12-31\""],
            )),
            Type::Bytes => {
                let text = pick(self.random, TEXTS);
                let text = base64::engine::general_purpose::STANDARD.encode(text);
                self.string(&text);
            }
            Type::Any => self.any(4),
            Type::List(item) => {
                self.out.push('[');
                let mut first = true;
                for _ in 0..self.random.below(5) {
                    self.comma(&mut first);
                    self.typed(item);
                }
                self.space();
                self.out.push(']');
            }
            Type::Map(value) => {
                self.out.push('{');
                let mut first = true;
                for _ in 0..self.random.below(5) {
                    self.comma(&mut first);
                    self.one_of(NAMES);
                    self.colon();
                    self.typed(value);
                }
                self.out.push('}');
            }
            Type::Struct(fields) => self.object(fields),
            Type::Union(branches) => {
                let branch = &branches[self.random.below(branches.len() as u64) as usize];
                self.typed(branch);
            }
        }
    }
}

/// What the row of a parsed text is, as the columns say it: absent members null, texts of anything parsed,
/// unions as `{"kind": value}`. `None`: the text does not fit the type.
pub fn expected(fields: &[Field], value: &Value) -> Option<Value> {
    let object = value.as_object()?;
    let mut row = Map::new();
    for field in fields {
        let value = match object.get(&field.name) {
            None if field.required && !field.value.nullable => return None,
            None => Value::Null,
            Some(Value::Null) if !field.required || field.value.nullable => Value::Null,
            Some(value) => expected_of(&field.value, value)?,
        };
        row.insert(field.name.clone(), value);
    }
    Some(Value::Object(row))
}

fn whole(value: &Value) -> Option<i64> {
    match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) => Some(whole),
        // Exact below 2^53, and the generator writes no larger ones with a point or an exponent.
        (None, Some(double)) if double.fract() == 0.0 && double.abs() < 9e15 => Some(double as i64),
        _ => None,
    }
}

fn expected_of(typed: &Typed, value: &Value) -> Option<Value> {
    if value.is_null() {
        return typed.nullable.then_some(Value::Null);
    }
    Some(match &typed.of {
        Type::Bool => json!(value.as_bool()?),
        Type::Integer => json!(whole(value)?),
        Type::Int32 => json!(i32::try_from(whole(value)?).ok()?),
        Type::Number => json!(value.as_f64()?),
        Type::Text | Type::Symbol => json!(value.as_str()?),
        Type::Date => {
            let date: jiff::civil::Date = value.as_str().filter(|t| t.len() == 10)?.parse().ok()?;
            json!(jiff::civil::date(1970, 1, 1).until(date).ok()?.get_days())
        }
        Type::Bytes => {
            let text = value.as_str()?;
            json!(base64::engine::general_purpose::STANDARD.decode(text).ok()?)
        }
        Type::Any => value.clone(),
        Type::List(item) => {
            let items = value.as_array()?.iter().map(|value| expected_of(item, value));
            Value::Array(items.collect::<Option<_>>()?)
        }
        Type::Map(of) => {
            let entries = value.as_object()?.iter();
            let entries = entries.map(|(k, v)| Some((k.clone(), expected_of(of, v)?)));
            Value::Object(entries.collect::<Option<_>>()?)
        }
        Type::Struct(fields) => expected(fields, value)?,
        Type::Union(branches) => {
            let kind = |of: &Type| match of {
                Type::Bool => value.is_boolean().then_some("boolean"),
                Type::Integer => value.is_number().then_some("integer"),
                Type::Text => value.is_string().then_some("string"),
                Type::List(_) => value.is_array().then_some("array"),
                Type::Struct(_) => value.is_object().then_some("object"),
                _ => None,
            };
            let (name, branch) = branches.iter().find_map(|b| Some((kind(&b.of)?, b)))?;
            json!({ name: expected_of(branch, value)? })
        }
    })
}
