//! Folders of schema files → subjects with their versions.
//!
//! Owns: which files are streamed and which only referred to, topics, the message that each version is of.
//! Bounded by: `schema_files`.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::schema_files::{self, SchemaFile};
use crate::config::SubjectNameStrategy;
use crate::error::Fault;
use crate::registry::client::{NewSchema, RefTo};
use crate::registry::compile::compile;
use crate::registry::encode::Encoder;
use crate::registry::{Client, Language, Lookup, Parsed, Schema, message, subject};
use crate::wire::{SchemaRef, Side};

use super::HISTORY;
use super::form::Form;

/// Records of one folder.
#[derive(Debug)]
pub struct Subject {
    /// Name of the folder.
    pub folder: String,
    pub topic: String,
    /// Under which its versions are registered.
    pub name: String,
    pub language: Language,
    /// Oldest first; at least one.
    pub versions: Vec<Version>,
}

/// One file of a folder.
#[derive(Debug)]
pub struct Version {
    /// From 1, in the order of the files.
    pub number: usize,
    pub path: PathBuf,
    pub schema: Arc<Schema>,
    pub form: Form,
    pub indexes: Vec<u32>,
    pub encoder: Encoder,
    /// Place among all files.
    file: usize,
    /// What the registry calls it, once it is registered; its place among all files, from 1, until then.
    pub id: u32,
}

impl Version {
    /// The record with its frame.
    pub fn framed(&self, body: &[u8]) -> Vec<u8> {
        let mut payload = self.encoder.header(SchemaRef::Id(self.id));
        payload.extend_from_slice(body);
        payload
    }
}

/// All that was read.
#[derive(Debug)]
pub struct Histories {
    files: Vec<SchemaFile>,
    pub subjects: Vec<Subject>,
    /// Id and version of each file, by its place.
    registered: Vec<Option<(u32, u32)>>,
}

/// How topics and subjects are named.
#[derive(Debug, Clone)]
pub struct Naming {
    pub strategy: SubjectNameStrategy,
    /// Before the names of topics.
    pub prefix: String,
    /// Protobuf message of all versions, in full.
    pub message: Option<String>,
}

impl Histories {
    /// Reads and compiles every version. Errors: files that are no schemas, versions in two languages.
    pub fn read(paths: &[PathBuf], naming: &Naming) -> Result<Self, Fault> {
        Self::of(schema_files::read(paths, None)?, naming)
    }

    /// The same of files that are read already, in the order in which they can be registered.
    pub fn of(files: Vec<SchemaFile>, naming: &Naming) -> Result<Self, Fault> {
        let referred: HashSet<&str> = files
            .iter()
            .flat_map(|file| &file.references)
            .filter_map(|(_, to)| files.get(*to))
            .map(|file| file.subject.as_str())
            .collect();
        let mut folders: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, file) in files.iter().enumerate() {
            if !referred.contains(file.subject.as_str()) {
                folders.entry(&file.subject).or_default().push(at);
            }
        }
        let made = folders.iter().map(|(folder, of)| subject(folder, of, &files, naming));
        let subjects = made.collect::<Result<Vec<_>, Fault>>()?;
        if subjects.is_empty() {
            return Err(Fault::new(
                &HISTORY,
                "folders: every one is referred to by another, one to stream required",
            ));
        }
        let registered = vec![None; files.len()];
        Ok(Self { files, subjects, registered })
    }

    /// Registers all files of the first versions: those up to `newest`, counted from the end (0: all).
    pub async fn register(&mut self, client: &Client, held_back: usize) -> Result<(), Fault> {
        let mut later = HashSet::new();
        for subject in &self.subjects {
            let from = subject.versions.len().saturating_sub(held_back).max(1);
            later.extend(subject.versions.iter().skip(from).map(|v| v.file));
        }
        for at in 0..self.files.len() {
            if self.registered[at].is_some() || later.contains(&at) {
                continue;
            }
            let file = &self.files[at];
            let references = file.references.iter().map(|(name, to)| {
                let version = self.registered.get(*to).copied().flatten()?.1;
                Some(RefTo { name: name.clone(), subject: self.subject_of(*to), version })
            });
            let new = NewSchema {
                language: file.language,
                text: file.text.clone(),
                references: references.collect::<Option<_>>().unwrap_or_default(),
            };
            let place = file.path.display().to_string();
            let told = client.register(&self.subject_of(at), &new).await;
            let (id, version) = told.map_err(|why| Lookup::into_fault(why).at(place))?;
            self.registered[at] = Some((id, version));
            let all = self.subjects.iter_mut().flat_map(|s| &mut s.versions);
            all.filter(|v| v.file == at).for_each(|v| v.id = id);
        }
        Ok(())
    }

    fn subject_of(&self, file: usize) -> String {
        let streamed = self.subjects.iter().find(|s| s.versions.iter().any(|v| v.file == file));
        streamed.map_or_else(|| self.files[file].subject.clone(), |s| s.name.clone())
    }

    /// Names of the topics, each once.
    pub fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.subjects.iter().map(|s| s.topic.clone()).collect();
        topics.sort();
        topics.dedup();
        topics
    }
}

fn subject(
    folder: &str,
    of: &[usize],
    files: &[SchemaFile],
    naming: &Naming,
) -> Result<Subject, Fault> {
    let mut versions: Vec<Version> = Vec::with_capacity(of.len());
    let mut name = naming.message.clone();
    for (n, at) in of.iter().enumerate() {
        let file = &files[*at];
        let place = file.path.display().to_string();
        if let Some(first) = versions.first()
            && first.schema.language != file.language
        {
            return Err(Fault::new(
                &HISTORY,
                format!(
                    "version {}: {} after {}, one language for all versions required",
                    n + 1,
                    file.language.name(),
                    first.schema.language.name()
                ),
            )
            .at(place));
        }
        let references = schema_files::references(files, *at);
        let schema = compile(*at as u32 + 1, file.language, &file.text, &references);
        let schema = Arc::new(schema.map_err(|f| f.at(place.clone()))?);
        // The same message in every version, wherever it stands in the file.
        let known = name.as_deref().filter(|name| has(&schema, name) || naming.message.is_some());
        let form = Form::of(&schema, known).map_err(|f| f.at(place.clone()))?;
        let own = match &form {
            Form::Protobuf(form) => Some(form.message.full_name().to_owned()),
            _ => None,
        };
        let encoder = Encoder::new(schema.clone(), own.as_deref()).map_err(|f| f.at(place))?;
        let indexes = match (&schema.parsed, &form) {
            (Parsed::Protobuf(file), Form::Protobuf(form)) => {
                message::indexes(file, &form.message).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        name = own.or(name);
        versions.push(Version {
            number: n + 1,
            path: file.path.clone(),
            schema,
            form,
            indexes,
            encoder,
            file: *at,
            id: *at as u32 + 1,
        });
    }
    let record = versions.first().and_then(|v| v.encoder.record_name());
    let topic = match naming.strategy {
        SubjectNameStrategy::Topic => format!("{}{folder}", naming.prefix),
        // Several records in one topic, as these strategies are for.
        _ => format!("{}evolve", naming.prefix),
    };
    let topic = topic_name(&topic);
    let name = subject::subject_name(naming.strategy, &topic, Side::Value, record.as_deref())?;
    let language = files.get(of[0]).map_or(Language::Avro, |file| file.language);
    Ok(Subject { folder: folder.to_owned(), topic, name, language, versions })
}

/// Kafka takes letters, digits, `.`, `_` and `-`.
fn topic_name(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    text.chars().map(allowed).take(200).collect()
}

fn has(schema: &Schema, name: &str) -> bool {
    match &schema.parsed {
        Parsed::Protobuf(file) => file.parent_pool().get_message_by_name(name).is_some(),
        _ => false,
    }
}
