//! Where versions come from: a registry, or files.
//!
//! Owns: versions in order, oldest first; the new one with what it refers to; the registry's answer about it.
//! Does not own: compiling, the rules of files (`schema_files`).
//! Bounded by: a request a version, [`REFERENCES_MAX`] references.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Stop;
use crate::cli::ARGUMENTS;
use crate::cli::schema_files::{self, FILES, SchemaFile};
use crate::error::Fault;
use crate::partition::near;
use crate::registry::client::{NewSchema, RefTo, Version as Registered};
use crate::registry::compile::{REFERENCES_MAX, Reference, TEXT_MAX, compile, protobuf_imports};
use crate::registry::{Client, Language, Lookup, Schema};

/// One version: `1`, or the name of its file.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) label: String,
    /// 0: none of a registry.
    pub(super) id: u32,
    pub(super) file: Option<String>,
    pub(super) is_new: bool,
    pub(super) schema: Result<Arc<Schema>, Fault>,
}

/// What the registry says of the new version.
#[derive(Debug)]
pub(super) enum Answer {
    /// Why not.
    NotAsked(String),
    /// There is no new version.
    Nothing {
        level: String,
    },
    /// It is registered already.
    Known {
        version: u32,
        id: u32,
    },
    Judged {
        level: String,
        compatible: bool,
        messages: Vec<String>,
    },
}

pub(super) struct Asked {
    pub(super) subject: String,
    pub(super) versions: Vec<Version>,
    pub(super) answer: Answer,
    pub(super) notes: Vec<String>,
    pub(super) client: Option<Client>,
}

/// The versions of a subject, and the file of a new one.
pub(super) async fn registry(
    client: &Client,
    subject: &str,
    new: Option<&Path>,
) -> Result<Asked, Stop> {
    let mut notes = Vec::new();
    let numbers = match client.versions(subject).await {
        Ok(numbers) => numbers,
        Err(Lookup::Unknown(fault)) => {
            let said = unknown(client, subject, fault).await?;
            match new {
                None => return Err(said.into()),
                // The first version of a subject; or its name is mistyped.
                Some(_) => notes.push(said.message),
            }
            Vec::new()
        }
        Err(lookup) => return Err(Stop::Failed(lookup.into_fault())),
    };
    let mut versions = Vec::with_capacity(numbers.len() + 1);
    let mut newest: Option<Registered> = None;
    for number in numbers {
        let (id, schema) = match client.version(subject, number).await {
            Ok(found) => {
                let of = (found.schema.id, Ok(found.schema.clone()));
                newest = Some(found);
                of
            }
            Err(Lookup::Bad(fault)) => (0, Err(fault)),
            // Deleted since it was listed.
            Err(Lookup::Unknown(_)) => continue,
            Err(Lookup::Unavailable(fault)) => return Err(Stop::Failed(fault)),
        };
        let label = number.to_string();
        versions.push(Version { label, id, file: None, is_new: false, schema });
    }
    let answer = match new {
        None => Answer::Nothing { level: level(client, subject).await? },
        Some(path) => {
            let (version, answer) = judged(client, subject, path, newest.as_ref()).await?;
            // One that is there is no newer one.
            match &answer {
                Answer::Known { version, .. } => {
                    notes.push(format!("`{}` is version {version} already", path.display()));
                }
                _ => versions.push(version),
            }
            answer
        }
    };
    let client = Some(client.clone());
    Ok(Asked { subject: subject.to_owned(), versions, answer, notes, client })
}

async fn level(client: &Client, subject: &str) -> Result<String, Stop> {
    client.compatibility_level(subject).await.map_err(|e| Stop::Failed(e.into_fault()))
}

/// What is said of a subject that is not there.
async fn unknown(client: &Client, subject: &str, fault: Fault) -> Result<Fault, Stop> {
    let failed = |lookup: Lookup| Stop::Failed(lookup.into_fault());
    if client.has_deleted(subject).await.map_err(failed)? {
        let message = format!("{}; its versions are deleted", fault.message);
        return Ok(Fault { message, ..fault });
    }
    let known = client.subjects().await.map_err(failed)?;
    let near = near::hint(subject, known.iter().map(String::as_str));
    Ok(Fault { message: format!("{}; {near}", fault.message), ..fault })
}

/// The new version, and what the registry says of it.
async fn judged(
    client: &Client,
    subject: &str,
    path: &Path,
    newest: Option<&Registered>,
) -> Result<(Version, Answer), Stop> {
    let (language, text) = open(path)?;
    let place = path.display().to_string();
    let wanted = match language {
        Language::Protobuf => protobuf_imports(&text).map_err(|fault| fault.at(place.clone()))?,
        Language::Avro | Language::Json => Vec::new(),
    };
    let known = newest.map(|newest| newest.references.as_slice()).unwrap_or_default();
    let used = |r: &&RefTo| language != Language::Protobuf || wanted.contains(&r.name);
    let references: Vec<RefTo> = known.iter().filter(used).cloned().collect();
    let mut texts = texts(client, &references).await?;
    let mut local = Vec::new();
    for name in wanted.iter().filter(|name| !references.iter().any(|r| r.name == **name)) {
        if let Some(found) = beside(path, name) {
            let (_, text) = open(&found)?;
            texts.push(Reference { name: name.clone(), text });
            local.push(format!("`{name}`"));
        }
    }
    let schema = compile(0, language, &text, &texts).map_err(|f| f.at(place.clone()))?;
    let version = Version {
        label: "new".to_owned(),
        id: 0,
        file: Some(place),
        is_new: true,
        schema: Ok(Arc::new(schema)),
    };
    if !local.is_empty() {
        let why = format!(
            "it imports {}, which the newest version does not refer to; register that first",
            local.join(", ")
        );
        return Ok((version, Answer::NotAsked(why)));
    }
    let new = NewSchema { language, text, references };
    if newest.is_some() {
        match client.lookup(subject, &new).await {
            Ok(Some((id, version_number))) => {
                return Ok((version, Answer::Known { version: version_number, id }));
            }
            // What it says of a schema that it cannot use, it says again below.
            Ok(None) | Err(Lookup::Bad(_)) => {}
            Err(lookup) => return Err(Stop::Failed(lookup.into_fault())),
        }
    }
    let level = level(client, subject).await?;
    let (compatible, messages) = match client.compatibility(subject, &new).await {
        Ok(verdict) => (verdict.compatible, verdict.messages),
        Err(Lookup::Bad(fault)) => (false, vec![fault.message]),
        Err(lookup) => return Err(Stop::Failed(lookup.into_fault())),
    };
    Ok((version, Answer::Judged { level, compatible, messages }))
}

/// A file that is imported, below the folder of the one that imports it, or a folder above.
fn beside(path: &Path, import: &str) -> Option<PathBuf> {
    let plain =
        Path::new(import).components().all(|c| matches!(c, std::path::Component::Normal(_)));
    let folder = std::path::absolute(path).ok()?;
    let mut folders = folder.ancestors().skip(1).take(4);
    folders.find_map(|folder| Some(folder.join(import)).filter(|p| plain && p.is_file()))
}

/// The texts of references, and of theirs.
async fn texts(client: &Client, references: &[RefTo]) -> Result<Vec<Reference>, Stop> {
    let mut wanted = references.to_vec();
    let mut found: Vec<Reference> = Vec::new();
    while let Some(reference) = wanted.pop() {
        if found.len() >= REFERENCES_MAX || found.iter().any(|r| r.name == reference.name) {
            continue;
        }
        let version = client.version(&reference.subject, reference.version).await;
        let version = version.map_err(|e| Stop::Failed(e.into_fault()))?;
        wanted.extend(version.references);
        found.push(Reference { name: reference.name, text: version.text });
    }
    Ok(found)
}

fn open(path: &Path) -> Result<(Language, String), Fault> {
    let fault = |why: &str| Fault::new(&FILES, format!("schema file `{}`: {why}", path.display()));
    let language = match path.extension().and_then(|e| e.to_str()) {
        Some("proto") => Language::Protobuf,
        Some("avsc") => Language::Avro,
        Some("json") => Language::Json,
        _ => return Err(fault("a file of another name, `.proto`, `.avsc` or `.json` required")),
    };
    let size = std::fs::metadata(path).map_err(|e| fault(&e.to_string()))?.len();
    if size > TEXT_MAX as u64 {
        return Err(fault("over 16 MiB, at most that required"));
    }
    Ok((language, std::fs::read_to_string(path).map_err(|e| fault(&e.to_string()))?))
}

/// The versions that files hold, by the rules of `register`.
pub(super) fn files(
    paths: &[PathBuf],
    subject: Option<&str>,
    new: Option<&Path>,
) -> Result<Asked, Stop> {
    let mut files = schema_files::read(paths, None)?;
    let chosen = match (planned(&files), subject) {
        (Planned::Among(names), Some(subject)) if names.iter().any(|n| n == subject) => {
            subject.to_owned()
        }
        (_, Some(subject)) => {
            files = schema_files::read(paths, Some(subject))?;
            subject.to_owned()
        }
        (Planned::One(name), None) => name,
        (Planned::Among(names), None) => {
            let text = format!(
                "schema files: of several subjects, `{}`, one required; `--subject` names one",
                names.join("`, `")
            );
            return Err(Fault::new(&ARGUMENTS, text).into());
        }
    };
    let mut versions: Vec<Version> = Vec::new();
    let mut newest = None;
    for (at, file) in files.iter().enumerate().filter(|(_, file)| file.subject == chosen) {
        let place = file.path.display().to_string();
        let references = schema_files::references(&files, at);
        let schema = compile(0, file.language, &file.text, &references);
        let schema = schema.map_err(|fault| fault.at(place.clone()))?;
        let label = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let schema = Ok(Arc::new(schema));
        versions.push(Version { label, id: 0, file: Some(place), is_new: false, schema });
        newest = Some(at);
    }
    if let Some(path) = new {
        versions.push(of_file(path, &files, newest)?);
    }
    let answer = Answer::NotAsked("versions come from files".to_owned());
    Ok(Asked { subject: chosen, versions, answer, notes: Vec::new(), client: None })
}

/// A new version beside those of files: what it refers to is among them, or beside it.
fn of_file(path: &Path, files: &[SchemaFile], newest: Option<usize>) -> Result<Version, Fault> {
    let (language, text) = open(path)?;
    let place = path.display().to_string();
    let mut references = Vec::new();
    match language {
        Language::Protobuf => {
            for name in protobuf_imports(&text).map_err(|f| f.at(place.clone()))? {
                if let Some(at) = files.iter().position(|file| file.path.ends_with(&name)) {
                    references.extend(schema_files::references(files, at));
                    references.push(Reference { name, text: files[at].text.clone() });
                } else if let Some(found) = beside(path, &name) {
                    let (_, text) = open(&found)?;
                    references.push(Reference { name, text });
                }
            }
        }
        Language::Avro | Language::Json => {
            references.extend(newest.iter().flat_map(|at| schema_files::references(files, *at)));
        }
    }
    let schema = compile(0, language, &text, &references).map_err(|f| f.at(place.clone()))?;
    let (label, file) = ("new".to_owned(), Some(place));
    Ok(Version { label, id: 0, file, is_new: true, schema: Ok(Arc::new(schema)) })
}

enum Planned {
    One(String),
    Among(Vec<String>),
}

/// The subject that is meant: the one whose files no other subject's refer to.
fn planned(files: &[SchemaFile]) -> Planned {
    let mut names: Vec<String> = Vec::new();
    for file in files {
        if !names.contains(&file.subject) {
            names.push(file.subject.clone());
        }
    }
    let referred = |name: &String| {
        let of_others = files.iter().filter(|file| file.subject != *name);
        let to = |(_, at): &(String, usize)| files.get(*at).is_some_and(|f| f.subject == *name);
        of_others.flat_map(|file| &file.references).any(to)
    };
    let mut roots: Vec<String> = names.iter().filter(|name| !referred(name)).cloned().collect();
    match (roots.len(), names.len()) {
        (1, _) => Planned::One(roots.remove(0)),
        (_, 1) => Planned::One(names.remove(0)),
        _ => Planned::Among(names),
    }
}
