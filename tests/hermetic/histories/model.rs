//! A schema that has versions: what people do to schemas, drawn from a seed, whatever the language.

use forebay::clock::Seeded;

#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Bool,
    Int,
    /// Zigzag in Protobuf.
    Sint,
    Long,
    Float,
    Double,
    Text,
    Bytes,
    Time,
    Enum(usize),
    Record(usize),
    List(Box<Type>),
    Map(Box<Type>),
    /// Members with their numbers: a oneof, a union.
    Union(Vec<(u32, Type)>),
}

#[derive(Debug, Clone)]
pub struct Field {
    pub number: u32,
    pub name: String,
    /// Names it had before.
    pub aliases: Vec<String>,
    pub of: Type,
    pub optional: bool,
}

#[derive(Debug, Clone)]
pub struct Record {
    pub name: String,
    pub fields: Vec<Field>,
    /// Protobuf: declared inside the first one.
    pub inside: bool,
}

/// The first record is the one that is sent. Records hold only records after them.
#[derive(Debug, Clone)]
pub struct Model {
    pub records: Vec<Record>,
    /// Names with their symbols.
    pub enums: Vec<(String, Vec<String>)>,
    next: u32,
}

const LEAVES: [Type; 9] = [
    Type::Bool,
    Type::Int,
    Type::Sint,
    Type::Long,
    Type::Float,
    Type::Double,
    Type::Text,
    Type::Bytes,
    Type::Time,
];

/// What was done to a version, for who reads a failure, and so that a test can tell that all of it happens.
pub const EDITS: [&str; 13] = [
    "add",
    "remove",
    "reorder",
    "rename",
    "promote",
    "nest",
    "union",
    "enum",
    "member",
    "map value",
    "move",
    "incompatible",
    "optional",
];

impl Model {
    pub fn new(random: &mut Seeded, root: &str) -> Self {
        let mut model = Self { records: Vec::new(), enums: Vec::new(), next: 1 };
        for n in 0..1 + random.below(2) {
            let symbols = (0..2 + random.below(3)).map(|s| format!("{root}_E{n}_S{s}"));
            model.enums.push((format!("{root}E{n}"), symbols.collect()));
        }
        let count = 1 + random.below(3) as usize;
        for n in 0..count {
            let name = if n == 0 { root.to_owned() } else { format!("{root}R{n}") };
            model.records.push(Record { name, fields: Vec::new(), inside: false });
        }
        for at in 0..count {
            for _ in 0..1 + random.below(4) {
                let field = model.field(random, at);
                model.records[at].fields.push(field);
            }
        }
        model
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn leaf(&self, random: &mut Seeded) -> Type {
        match random.below(11) {
            9 | 10 => Type::Enum(random.below(self.enums.len() as u64) as usize),
            n => LEAVES[n as usize].clone(),
        }
    }

    /// A type for a field of the record at this place.
    fn some(&mut self, random: &mut Seeded, at: usize) -> Type {
        let later = self.records.len() - at - 1;
        match random.below(10) {
            0 => Type::List(Box::new(self.leaf(random))),
            1 => Type::Map(Box::new(self.leaf(random))),
            2 => self.union(random),
            3 | 4 if later > 0 => Type::Record(at + 1 + random.below(later as u64) as usize),
            5 if later > 0 => {
                let record = at + 1 + random.below(later as u64) as usize;
                Type::List(Box::new(Type::Record(record)))
            }
            _ => self.leaf(random),
        }
    }

    fn union(&mut self, random: &mut Seeded) -> Type {
        let mut members = vec![(self.fresh(), Type::Long), (self.fresh(), Type::Text)];
        if random.one_in(2) {
            members.push((self.fresh(), Type::Bool));
        }
        Type::Union(members)
    }

    fn field(&mut self, random: &mut Seeded, at: usize) -> Field {
        let of = self.some(random, at);
        let number = self.fresh();
        let optional = random.one_in(2) && !matches!(of, Type::List(_) | Type::Map(_));
        Field { number, name: format!("f{number}"), aliases: Vec::new(), of, optional }
    }

    /// The next version. What was done.
    pub fn edit(&mut self, random: &mut Seeded) -> &'static str {
        for _ in 0..50 {
            let edit = EDITS[random.below(EDITS.len() as u64) as usize];
            // What nobody can read is rare, as it is outside.
            if edit == "incompatible" && !random.one_in(3) {
                continue;
            }
            let at = random.below(self.records.len() as u64) as usize;
            if self.done(edit, random, at) {
                return edit;
            }
        }
        let field = self.field(random, 0);
        self.records[0].fields.push(field);
        "add"
    }

    fn done(&mut self, edit: &str, random: &mut Seeded, at: usize) -> bool {
        let count = self.records[at].fields.len();
        let pick = random.below(count.max(1) as u64) as usize;
        match edit {
            "add" => {
                let field = self.field(random, at);
                let place = random.below(count as u64 + 1) as usize;
                self.records[at].fields.insert(place, field);
            }
            "remove" if count > 1 => drop(self.records[at].fields.remove(pick)),
            "reorder" if count > 1 => {
                let field = self.records[at].fields.remove(pick);
                self.records[at].fields.insert((pick + 1) % count, field);
            }
            "rename" => {
                let number = self.fresh();
                let field = &mut self.records[at].fields[pick];
                let old = std::mem::replace(&mut field.name, format!("r{number}"));
                field.aliases.push(old);
            }
            "promote" => {
                let wider = match &self.records[at].fields[pick].of {
                    Type::Int | Type::Sint => Type::Long,
                    Type::Float => Type::Double,
                    Type::Text => Type::Bytes,
                    _ => return false,
                };
                self.records[at].fields[pick].of = wider;
            }
            "nest" => {
                let number = self.fresh();
                let name = format!("{}N{number}", self.records[0].name);
                let inner = Field { optional: false, ..self.field(random, self.records.len() - 1) };
                self.records.push(Record { name, fields: vec![inner], inside: random.one_in(2) });
                let of = Type::Record(self.records.len() - 1);
                let number = self.fresh();
                let name = format!("f{number}");
                let field = Field { number, name, aliases: Vec::new(), of, optional: true };
                self.records[at].fields.push(field);
            }
            "union" => {
                let of = self.union(random);
                let number = self.fresh();
                let name = format!("f{number}");
                let field = Field { number, name, aliases: Vec::new(), of, optional: true };
                self.records[at].fields.push(field);
            }
            "enum" => {
                let at = random.below(self.enums.len() as u64) as usize;
                let number = self.fresh();
                let symbol = format!("{}_G{number}", self.enums[at].0);
                self.enums[at].1.push(symbol);
            }
            "member" => {
                let number = self.fresh();
                let Type::Union(members) = &mut self.records[at].fields[pick].of else {
                    return false;
                };
                let new = [Type::Double, Type::Bool, Type::Bytes];
                let Some(of) = new.into_iter().find(|t| members.iter().all(|(_, m)| m != t)) else {
                    return false;
                };
                members.push((number, of));
            }
            "map value" => {
                let Type::Map(value) = &mut self.records[at].fields[pick].of else { return false };
                **value = match value.as_ref() {
                    Type::Int | Type::Sint => Type::Long,
                    Type::Float => Type::Double,
                    _ => return false,
                };
            }
            "move" if at > 0 => self.records[at].inside ^= true,
            "incompatible" => {
                let field = &mut self.records[at].fields[pick];
                field.of = match field.of {
                    Type::Text | Type::Bytes => Type::Bool,
                    Type::Record(_) => Type::Long,
                    _ => Type::Text,
                };
            }
            "optional" => {
                let field = &mut self.records[at].fields[pick];
                if matches!(field.of, Type::List(_) | Type::Map(_) | Type::Union(_)) {
                    return false;
                }
                field.optional ^= true;
            }
            _ => return false,
        }
        true
    }
}
