//! Two sets of columns, side by side: what a person wants to know of a new version.
//!
//! Owns: the list of differences, all the way down.
//! Does not own: whether rows of one may take the columns of the other ([`super::rules`]), what readers make of
//! it ([`super::verdict`]).
//! Bounded by: the columns of the two schemas.

use arrow::datatypes::{DataType, Field, Fields, Schema};

use super::rules::{UNIT, forms, meet, pair, promotes};

/// Which column of one side is which of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// As the pipeline sees them: by the numbers of Protobuf fields, else by name.
    Field,
    /// As readers of the files see them: by name, whatever the case of its letters.
    Name,
}

/// One difference between the columns of an older and a newer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Names from the top, in the newer version, in the older one for [`What::Dropped`]; elements of lists are
    /// `element`, those of maps `key` and `value`. Of [`What::Order`]: the struct's, empty at the top.
    pub path: Vec<String>,
    pub what: What,
}

impl Difference {
    /// `device.os`
    pub fn dotted(&self) -> String {
        self.path.join(".")
    }

    /// False for what stands inside a column.
    pub fn is_top(&self) -> bool {
        self.path.len() + usize::from(self.what == What::Order) <= 1
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Added {
        to: DataType,
        nullable: bool,
    },
    Dropped {
        from: DataType,
        nullable: bool,
    },
    /// The name before. Only the letters' case differs where columns meet by name.
    Renamed {
        from: String,
    },
    Type {
        from: DataType,
        to: DataType,
    },
    /// Unit of a time that stands as a bare integer.
    Unit {
        from: String,
        to: String,
    },
    /// What the text of a column is: `text` or `JSON`.
    Form {
        from: &'static str,
        to: &'static str,
    },
    /// Was never null, and may be.
    Nullable,
    /// May have been null, and is not any more.
    Required,
    /// Columns that both have stand in another order.
    Order,
}

impl What {
    /// Whether every value before is one after.
    pub fn is_promotion(&self) -> bool {
        matches!(self, What::Type { from, to } if promotes(from, to))
    }
}

/// Every difference: of the newer version's columns in their order, then what the older one had beside them.
pub fn compare(older: &Schema, newer: &Schema, by: By) -> Vec<Difference> {
    let mut walk = Walk { by, path: Vec::new(), found: Vec::new() };
    walk.fields(older.fields(), newer.fields());
    walk.found
}

/// `Utf8`, and `Struct`, `List`, `Map` without what is in them.
pub fn brief(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(_) => "Struct".to_owned(),
        DataType::List(item) if item.data_type().is_nested() => "List".to_owned(),
        DataType::List(item) => format!("List({})", brief(item.data_type())),
        DataType::Map(entries, _) => match pair(entries) {
            Some((key, value)) => {
                format!("Map({}, {})", brief(key.data_type()), brief(value.data_type()))
            }
            None => "Map".to_owned(),
        },
        DataType::Dictionary(_, value) => brief(value),
        leaf => leaf.to_string(),
    }
}

struct Walk {
    by: By,
    /// Where it stands.
    path: Vec<String>,
    found: Vec<Difference>,
}

impl Walk {
    /// For each newer column the older one that is the same.
    fn matches(&self, newer: &Fields, older: &Fields) -> Vec<Option<usize>> {
        let by_name = |field: &Field| {
            let exact = older.iter().position(|other| other.name() == field.name());
            let folded = || {
                let name = field.name().to_lowercase();
                older.iter().position(|other| other.name().to_lowercase() == name)
            };
            exact.or_else(folded)
        };
        match self.by {
            By::Field => meet(newer, older),
            By::Name => newer.iter().map(|field| by_name(field)).collect(),
        }
    }

    fn fields(&mut self, older: &Fields, newer: &Fields) {
        let matches = self.matches(newer, older);
        let order: Vec<usize> = matches.iter().flatten().copied().collect();
        for (new, at) in newer.iter().zip(&matches) {
            self.inside(new.name(), |walk| match at.and_then(|at| older.get(at)) {
                None => {
                    let to = new.data_type().clone();
                    walk.say(What::Added { to, nullable: new.is_nullable() });
                }
                Some(old) => walk.column(old, new),
            });
        }
        for (at, old) in older.iter().enumerate() {
            if !order.contains(&at) {
                let (from, nullable) = (old.data_type().clone(), old.is_nullable());
                self.inside(old.name(), |walk| walk.say(What::Dropped { from, nullable }));
            }
        }
        if order.windows(2).any(|pair| pair[0] > pair[1]) {
            self.say(What::Order);
        }
    }

    fn column(&mut self, old: &Field, new: &Field) {
        if old.name() != new.name() {
            self.say(What::Renamed { from: old.name().clone() });
        }
        let unit = |field: &Field| field.metadata().get(UNIT).cloned().unwrap_or_default();
        let (from, to) = (unit(old), unit(new));
        if from != to {
            self.say(What::Unit { from, to });
        }
        self.item(old, new);
    }

    /// A column, or what has no name of its own: an element of a list, a key or a value of a map.
    fn item(&mut self, old: &Field, new: &Field) {
        match (old.is_nullable(), new.is_nullable()) {
            (false, true) => self.say(What::Nullable),
            (true, false) => self.say(What::Required),
            _ => {}
        }
        if old.data_type() == new.data_type()
            && let Some((from, to)) = forms(old, new)
        {
            self.say(What::Form { from, to });
        }
        match (old.data_type(), new.data_type()) {
            (DataType::Struct(old), DataType::Struct(new)) => self.fields(old, new),
            (DataType::List(old), DataType::List(new)) => {
                self.inside("element", |walk| walk.item(old, new));
            }
            (DataType::Map(old, _), DataType::Map(new, _)) => {
                if let (Some((old_key, old_value)), Some((key, value))) = (pair(old), pair(new)) {
                    self.inside("key", |walk| walk.item(old_key, key));
                    self.inside("value", |walk| walk.item(old_value, value));
                }
            }
            (old, new) if plain(old) == plain(new) => {}
            (from, to) => self.say(What::Type { from: plain(from), to: plain(to) }),
        }
    }

    fn inside(&mut self, name: &str, then: impl FnOnce(&mut Self)) {
        self.path.push(name.to_owned());
        then(self);
        self.path.pop();
    }

    fn say(&mut self, what: What) {
        self.found.push(Difference { path: self.path.clone(), what });
    }
}

/// The type in the file: dictionaries are how text is held in memory.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => value.as_ref().clone(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::evolve::FIELD_NUMBER;

    fn field(name: &str, data_type: DataType, number: u32) -> Field {
        let metadata = [(FIELD_NUMBER.to_owned(), number.to_string())];
        Field::new(name, data_type, true).with_metadata(metadata)
    }

    #[test]
    fn rename_is_one_difference_by_field_and_two_by_name() {
        let old = Schema::new(vec![field("street", DataType::Utf8, 1)]);
        let new = Schema::new(vec![field("road", DataType::Utf8, 1)]);
        let found = compare(&old, &new, By::Field);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].what, What::Renamed { from: "street".into() });
        let kinds: Vec<What> =
            compare(&old, &new, By::Name).into_iter().map(|found| found.what).collect();
        let (to, from) = (DataType::Utf8, DataType::Utf8);
        assert_eq!(
            kinds,
            [What::Added { to, nullable: true }, What::Dropped { from, nullable: true }]
        );
    }

    #[test]
    fn differences_say_where_they_stand_and_order_is_said_once_a_struct() {
        let inner = |fields: Vec<Field>| DataType::Struct(fields.into());
        let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
        let old = Schema::new(vec![
            Field::new("a", DataType::Int32, false),
            Field::new(
                "b",
                list(inner(vec![
                    Field::new("x", DataType::Int32, true),
                    Field::new("y", DataType::Utf8, true),
                ])),
                true,
            ),
        ]);
        let new = Schema::new(vec![
            Field::new(
                "b",
                list(inner(vec![
                    Field::new("y", DataType::Utf8, true),
                    Field::new("x", DataType::Int64, false),
                    Field::new("z", DataType::Utf8, true),
                ])),
                true,
            ),
            Field::new("a", DataType::Int32, true),
        ]);
        let found = compare(&old, &new, By::Name);
        let said: Vec<(String, bool, &What)> =
            found.iter().map(|d| (d.dotted(), d.is_top(), &d.what)).collect();
        let (from, to) = (DataType::Int32, DataType::Int64);
        assert_eq!(
            said,
            [
                ("b.element.x".to_owned(), false, &What::Required),
                ("b.element.x".to_owned(), false, &What::Type { from, to }),
                (
                    "b.element.z".to_owned(),
                    false,
                    &What::Added { to: DataType::Utf8, nullable: true }
                ),
                ("b.element".to_owned(), false, &What::Order),
                ("a".to_owned(), true, &What::Nullable),
                ("".to_owned(), true, &What::Order),
            ]
        );
    }
}
