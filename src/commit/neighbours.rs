//! Whether two pipelines write to one place.
//!
//! Owns: what the `format` objects and chains below one state prefix say of each other.
//! Does not own: reading them (`pipeline::state`).
//! Absent: IO, clocks, async.

use std::collections::BTreeSet;

use super::codes::OVERLAP;
use super::record::{Format, topic_name};
use crate::error::Fault;

/// A pipeline as its neighbours see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    pub name: String,
    /// The sink's address, as in [`Format`].
    pub root: String,
    /// Topics, as their chains' folders name them.
    pub topics: BTreeSet<String>,
}

impl Pipeline {
    /// `folders`: those of its topics' chains, each with its `/`.
    pub fn of(format: &Format, folders: &[String]) -> Self {
        let topics = Self::topics_of(folders).collect();
        Self { name: format.pipeline.clone(), root: format.root.clone(), topics }
    }

    /// Topics that these folders hold chains of.
    pub fn topics_of(folders: &[String]) -> impl Iterator<Item = String> + '_ {
        folders.iter().filter_map(|folder| {
            let (_, leaf) = folder.trim_end_matches('/').rsplit_once('/')?;
            Some(leaf.rsplit_once('~')?.0.to_owned())
        })
    }

    /// One that has written nothing yet.
    pub fn named(name: &str, root: &str, topics: &[String]) -> Self {
        let topics = topics.iter().map(|topic| topic_name(topic)).collect();
        Self { name: name.to_owned(), root: root.to_owned(), topics }
    }

    /// Why this pipeline and a neighbour must not run as they are. Error: [`OVERLAP`].
    pub fn beside(&self, other: &Self) -> Result<(), Fault> {
        if self.name == other.name {
            return Ok(()); // one pipeline: its own `format` decides
        }
        let found = match relation(&self.root, &other.root) {
            Relation::Same => {
                let shared = self.topics.intersection(&other.topics).next();
                shared.map(|topic| format!("both write topic `{topic}`"))
            }
            Relation::Below(first) if other.topics.contains(first) => {
                Some(format!("`{}` is in the other's folder of topic `{first}`", self.root))
            }
            Relation::Above(first) if self.topics.contains(first) => {
                Some(format!("the other's is in the folder of topic `{first}`"))
            }
            Relation::Below(_) | Relation::Above(_) | Relation::Apart => None,
        };
        let Some(found) = found else { return Ok(()) };
        Err(Fault::new(
            &OVERLAP,
            format!(
                "data root `{}`: pipeline `{}` writes to `{}`, and {found}; one pipeline for a topic's folder required",
                self.root, other.name, other.root
            ),
        ))
    }
}

enum Relation<'a> {
    Same,
    /// The first segment from the other's root on.
    Below(&'a str),
    /// The first segment from the own root on.
    Above(&'a str),
    Apart,
}

fn relation<'a>(own: &'a str, other: &'a str) -> Relation<'a> {
    let (own, other) = (own.trim_end_matches('/'), other.trim_end_matches('/'));
    let first = |rest: &'a str| rest.strip_prefix('/')?.split('/').next();
    if own == other {
        Relation::Same
    } else if let Some(first) = own.strip_prefix(other).and_then(first) {
        Relation::Below(first)
    } else if let Some(first) = other.strip_prefix(own).and_then(first) {
        Relation::Above(first)
    } else {
        Relation::Apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipeline(name: &str, root: &str, topics: &[&str]) -> Pipeline {
        let topics: Vec<String> = topics.iter().map(|t| (*t).to_owned()).collect();
        Pipeline::named(name, root, &topics)
    }

    fn meets(root: &str, topics: &[&str], other: &str, others: &[&str]) -> bool {
        let (own, other) = (pipeline("a", root, topics), pipeline("b", other, others));
        let found = own.beside(&other);
        assert_eq!(found.is_err(), other.beside(&own).is_err(), "one sees it, the other does not");
        found.is_err()
    }

    #[test]
    fn neighbours_meet_in_a_topics_folder_and_nowhere_else() {
        let lake = "s3://lake/raw";
        assert!(meets(lake, &["orders", "users"], lake, &["orders"]));
        assert!(!meets(lake, &["orders"], lake, &["users"]));
        assert!(meets("s3://lake/raw/orders", &["x"], lake, &["orders"]));
        assert!(meets("s3://lake/raw/orders/deep/er", &["x"], lake, &["orders"]));
        assert!(!meets("s3://lake/raw/orders", &["orders"], lake, &["users"]));
        assert!(!meets("s3://lake/raw/orders.x", &["x"], lake, &["orders"]));
        assert!(!meets("s3://lake/rawer", &["orders"], lake, &["orders"]));
        assert!(!meets("s3://lake2/raw", &["orders"], lake, &["orders"]));
        assert!(meets("s3://lake/raw", &["x"], "s3://lake/", &["raw"]));
        assert!(meets("/data/raw", &["orders"], "/data/raw", &["orders"]));
    }

    #[test]
    fn topics_are_read_from_their_chains_folders() {
        let format = Format {
            version: 1,
            pipeline: "b".into(),
            cluster: None,
            root: "s3://lake/raw".into(),
            naming: super::super::record::Naming::Native,
            authority: crate::config::Authority::Store,
            group: None,
            create_only: true,
            revives: None,
        };
        let folders = ["orders~Zk1tF2JRQ_G8mHY-5pQ8Kg/", "shop.users~none/", "orders~other/"]
            .map(|leaf| format!("_forebay/b/log/{leaf}"));
        let found = Pipeline::of(&format, &folders);
        assert_eq!(found.topics.into_iter().collect::<Vec<_>>(), ["orders", "shop.users"]);
    }

    #[test]
    fn one_name_is_one_pipeline() {
        let own = pipeline("a", "s3://lake/raw", &["orders"]);
        assert_eq!(own.beside(&own.clone()), Ok(()));
    }
}
