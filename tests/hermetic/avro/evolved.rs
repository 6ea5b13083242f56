//! A random schema as its next version: the changes that people make, and some that cannot be read.

use forebay::clock::Seeded;
use serde_json::{Map, Value as Json, json};

pub struct Changes<'r> {
    pub random: &'r mut Seeded,
    count: u32,
}

impl<'r> Changes<'r> {
    pub fn new(random: &'r mut Seeded) -> Self {
        Self { random, count: 0 }
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("g{}", self.count)
    }

    /// The same type, changed here and there.
    pub fn schema(&mut self, schema: &Json) -> Json {
        match schema {
            Json::String(name) => self.primitive(name),
            Json::Array(branches) => self.union(branches),
            Json::Object(object) => self.object(object),
            other => other.clone(),
        }
    }

    fn primitive(&mut self, name: &str) -> Json {
        let wider: &[&str] = match name {
            "int" => &["long", "float", "double"],
            "long" => &["float", "double"],
            "float" => &["double"],
            "string" => &["bytes"],
            "bytes" => &["string"],
            _ => &[],
        };
        if !wider.is_empty() && self.random.one_in(4) {
            return json!(wider[self.random.below(wider.len() as u64) as usize]);
        }
        match self.random.below(20) {
            0 if name != "null" => json!(["null", name]),
            1 if name != "null" => json!([name, "null"]),
            2 if name != "null" => json!([name]),
            3 => json!("boolean"),
            _ => json!(name),
        }
    }

    fn union(&mut self, branches: &[Json]) -> Json {
        let mut changed: Vec<Json> = branches
            .iter()
            .map(|branch| match branch {
                // Primitives of a union stay: two of a kind are no union.
                Json::String(name) => json!(name),
                Json::Object(object) => self.object(object),
                other => other.clone(),
            })
            .collect();
        if changed.len() > 1 && self.random.one_in(4) {
            changed.rotate_left(1);
        }
        if self.random.one_in(6) && !changed.contains(&json!("boolean")) {
            changed.push(json!("boolean"));
        }
        if changed.len() > 1 && self.random.one_in(8) {
            changed.pop();
        }
        Json::Array(changed)
    }

    fn object(&mut self, object: &Map<String, Json>) -> Json {
        let mut out = object.clone();
        match object["type"].as_str() {
            Some("record") => {
                let fields = object["fields"].as_array().unwrap();
                out.insert("fields".into(), self.fields(fields));
            }
            Some("enum") => {
                let mut symbols = object["symbols"].as_array().unwrap().clone();
                match self.random.below(4) {
                    0 => symbols.insert(0, json!("NEW")),
                    1 if symbols.len() > 1 => {
                        symbols.remove(0);
                    }
                    _ => {}
                }
                if self.random.one_in(2) {
                    out.insert("default".into(), symbols[0].clone());
                }
                out.insert("symbols".into(), Json::Array(symbols));
            }
            Some("array") => {
                out.insert("items".into(), self.schema(&object["items"]));
            }
            Some("map") => {
                out.insert("values".into(), self.schema(&object["values"]));
            }
            Some("int") if self.random.one_in(4) => {
                out.insert("type".into(), json!("long"));
                out.remove("logicalType");
            }
            Some("bytes") if self.random.one_in(3) && object.contains_key("precision") => {
                let precision = object["precision"].as_u64().unwrap();
                out.insert("precision".into(), json!((precision + 2).min(76)));
            }
            _ => {}
        }
        Json::Object(out)
    }

    fn fields(&mut self, fields: &[Json]) -> Json {
        let mut changed = Vec::new();
        for field in fields {
            let mut field = field.as_object().unwrap().clone();
            if self.random.one_in(8) {
                continue;
            }
            field.insert("type".into(), self.schema(&field["type"]));
            if self.random.one_in(8) {
                let name = self.fresh();
                let old = field.insert("name".into(), json!(name)).unwrap();
                field.insert("aliases".into(), json!(["nobody", old]));
            }
            changed.push(Json::Object(field));
        }
        for _ in 0..self.random.below(3) {
            let (field_type, default) = self.added();
            let name = self.fresh();
            let mut field = json!({"name": name, "type": field_type});
            if !self.random.one_in(20) {
                field["default"] = default;
            }
            let at = self.random.below(changed.len() as u64 + 1) as usize;
            changed.insert(at, field);
        }
        Json::Array(changed)
    }

    fn added(&mut self) -> (Json, Json) {
        let name = self.fresh();
        match self.random.below(12) {
            0 => (json!("int"), json!(-7)),
            1 => (json!("long"), json!(1i64 << 40)),
            2 => (json!("string"), json!("neu")),
            3 => (json!(["null", "string"]), Json::Null),
            4 => (json!(["string", "null"]), json!("d")),
            5 => (json!({"type": "array", "items": "int"}), json!([1, 2, 3])),
            6 => (json!({"type": "map", "values": "string"}), json!({"k": "v"})),
            7 => (json!("double"), json!(2.5)),
            8 => (json!("boolean"), json!(true)),
            9 => (json!({"type": "enum", "name": name, "symbols": ["P", "Q"]}), json!("Q")),
            10 => (json!({"type": "long", "logicalType": "timestamp-millis"}), json!(1000)),
            _ => (
                json!({"type": "record", "name": name, "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "string", "default": "z"}]}),
                json!({"x": 5}),
            ),
        }
    }
}
