//! What the registry holds, and its rules. Pure: no IO, no clock.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use base64::Engine;
use prost::Message;

use crate::registry::client::RefTo;
use crate::registry::compile::{self, Reference};
use crate::registry::{Language, Schema};

use super::compat::{self, Level};
use super::guid::guid;

/// Version of a reference that means the latest (`-1` in JSON).
pub(super) const LATEST: u32 = u32::MAX;
const DEPTH_MAX: usize = 32;

/// An error of the API: HTTP status, error code, message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: u32,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn new(status: u16, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn subject_not_found(subject: &str) -> Self {
        Self::new(404, 40401, format!("Subject '{subject}' not found."))
    }

    fn version_not_found(version: &str) -> Self {
        Self::new(404, 40402, format!("Version {version} not found."))
    }

    pub(super) fn schema_not_found(what: &str) -> Self {
        Self::new(404, 40403, format!("Schema {what} not found"))
    }

    pub(super) fn invalid_schema(why: &str) -> Self {
        Self::new(422, 42201, format!("Invalid schema: {why}"))
    }
}

pub(super) type Answer<T> = Result<T, ApiError>;

/// A schema, under one id for all subjects that hold it.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) id: u32,
    pub(super) guid: String,
    pub(super) language: Language,
    pub(super) text: String,
    pub(super) references: Vec<RefTo>,
    pub(super) schema: Schema,
}

#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) version: u32,
    pub(super) deleted: bool,
    pub(super) stored: Arc<Stored>,
}

/// A schema as a client sends it.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) language: Language,
    pub(super) text: String,
    pub(super) references: Vec<RefTo>,
    /// Taken in mode IMPORT only.
    pub(super) id: Option<u32>,
    pub(super) version: Option<u32>,
}

/// What makes two texts one schema: blanks and, in Protobuf, comments do not count.
type Identity = (Language, Vec<u8>, Vec<(String, String, u32)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    ReadWrite,
    ReadOnly,
    ReadOnlyOverride,
    Import,
}

impl Mode {
    pub(super) const ALL: [(Mode, &'static str); 4] = [
        (Mode::ReadWrite, "READWRITE"),
        (Mode::ReadOnly, "READONLY"),
        (Mode::ReadOnlyOverride, "READONLY_OVERRIDE"),
        (Mode::Import, "IMPORT"),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(mode, _)| *mode == self).map_or("", |(_, name)| name)
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(mode, _)| *mode)
    }
}

#[derive(Debug)]
pub(super) struct Store {
    pub(super) subjects: BTreeMap<String, Vec<Version>>,
    by_identity: HashMap<Identity, u32>,
    by_id: BTreeMap<u32, Arc<Stored>>,
    last_id: u32,
    pub(super) level: Level,
    pub(super) levels: BTreeMap<String, Level>,
    pub(super) mode: Mode,
    pub(super) modes: BTreeMap<String, Mode>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            subjects: BTreeMap::new(),
            by_identity: HashMap::new(),
            by_id: BTreeMap::new(),
            last_id: 0,
            level: Level::Backward,
            levels: BTreeMap::new(),
            mode: Mode::ReadWrite,
            modes: BTreeMap::new(),
        }
    }

    pub(super) fn by_id(&self, id: u32) -> Answer<&Arc<Stored>> {
        self.by_id.get(&id).ok_or_else(|| ApiError::schema_not_found(&id.to_string()))
    }

    pub(super) fn by_guid(&self, guid: &str) -> Answer<&Arc<Stored>> {
        self.by_id
            .values()
            .find(|stored| stored.guid.eq_ignore_ascii_case(guid))
            .ok_or_else(|| ApiError::schema_not_found(guid))
    }

    /// Versions of a subject, oldest first. A subject whose every version is deleted is not found.
    pub(super) fn versions(&self, subject: &str, deleted: bool) -> Answer<Vec<&Version>> {
        let all = self.subjects.get(subject).map_or(&[][..], Vec::as_slice);
        let seen: Vec<_> = all.iter().filter(|v| deleted || !v.deleted).collect();
        if seen.is_empty() { Err(ApiError::subject_not_found(subject)) } else { Ok(seen) }
    }

    /// `latest`, `-1` or a number.
    pub(super) fn version(&self, subject: &str, version: &str, deleted: bool) -> Answer<&Version> {
        let wanted = version_number(version)?;
        let versions = self.versions(subject, deleted)?;
        let found = match wanted {
            LATEST => versions.last().copied(),
            number => versions.iter().copied().find(|v| v.version == number),
        };
        found.ok_or_else(|| ApiError::version_not_found(version))
    }

    pub(super) fn level_of(&self, subject: &str) -> Level {
        self.levels.get(subject).copied().unwrap_or(self.level)
    }

    pub(super) fn mode_of(&self, subject: &str) -> Mode {
        match self.mode {
            Mode::ReadOnlyOverride => self.mode,
            mode => self.modes.get(subject).copied().unwrap_or(mode),
        }
    }

    /// Registers, or finds what is registered.
    pub(super) fn register(&mut self, subject: &str, sent: Sent) -> Answer<Version> {
        check_subject(subject)?;
        let import = self.check_mode(subject, &sent)?;
        let identity = identity(&sent);
        if let Some(found) = self.find(subject, &identity, false) {
            return Ok(found.clone());
        }
        let schema = self.compile(&sent)?;
        if !import {
            let messages = self.incompatibilities(subject, &schema, self.level_of(subject))?;
            if !messages.is_empty() {
                return Err(ApiError::new(
                    409,
                    409,
                    format!(
                        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\": {}",
                        messages.join("; ")
                    ),
                ));
            }
        }
        let stored = self.store(identity, schema, &sent)?;
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        let next = versions.iter().map(|v| v.version).max().unwrap_or(0) + 1;
        let version = sent.version.unwrap_or(next);
        if versions.iter().any(|v| v.version == version) {
            return Err(ApiError::new(422, 42207, format!("Version {version} is taken")));
        }
        let added = Version { version, deleted: false, stored };
        versions.push(added.clone());
        versions.sort_by_key(|v| v.version);
        Ok(added)
    }

    /// The schema under its id; the same one keeps it.
    fn store(&mut self, identity: Identity, schema: Schema, sent: &Sent) -> Answer<Arc<Stored>> {
        let known = self.by_identity.get(&identity).copied();
        let id = match (sent.id, known) {
            (Some(id), Some(known)) if id != known => {
                return Err(ApiError::new(
                    422,
                    42207,
                    format!("Schema already registered with id {known} instead of input id {id}"),
                ));
            }
            (None, Some(known)) => known,
            (Some(id), _) => id,
            (None, None) => self.last_id + 1,
        };
        if let Some(stored) = self.by_id.get(&id) {
            if known != Some(id) {
                return Err(ApiError::new(422, 42207, format!("Id {id} is taken")));
            }
            return Ok(stored.clone());
        }
        let stored = Arc::new(Stored {
            id,
            guid: guid(&sent.text, &sent.references),
            language: sent.language,
            text: sent.text.clone(),
            references: sent.references.clone(),
            schema: Schema { id, ..schema },
        });
        self.by_identity.insert(identity, id);
        self.by_id.insert(id, stored.clone());
        self.last_id = self.last_id.max(id);
        Ok(stored)
    }

    /// Whether the subject is in import mode, where ids may be given.
    fn check_mode(&self, subject: &str, sent: &Sent) -> Answer<bool> {
        let mode = self.mode_of(subject);
        let import = mode == Mode::Import;
        if matches!(mode, Mode::ReadOnly | Mode::ReadOnlyOverride) {
            return Err(ApiError::new(
                422,
                42205,
                format!("Subject {subject} is in read-only mode"),
            ));
        }
        if !import && sent.id.is_some() {
            return Err(ApiError::new(
                422,
                42205,
                format!("Subject {subject} is not in import mode"),
            ));
        }
        Ok(import)
    }

    /// The version that holds exactly this schema.
    pub(super) fn lookup(&self, subject: &str, sent: &Sent, deleted: bool) -> Answer<&Version> {
        self.versions(subject, deleted)?;
        self.find(subject, &identity(sent), deleted)
            .ok_or_else(|| ApiError::new(404, 40403, "Schema not found"))
    }

    fn find(&self, subject: &str, wanted: &Identity, deleted: bool) -> Option<&Version> {
        let id = *self.by_identity.get(wanted)?;
        let versions = self.subjects.get(subject)?;
        versions.iter().rev().find(|v| v.stored.id == id && (deleted || !v.deleted))
    }

    pub(super) fn compile(&self, sent: &Sent) -> Answer<Schema> {
        let references = self.references(&sent.references)?;
        compile::compile(0, sent.language, &sent.text, &references)
            .map_err(|fault| ApiError::invalid_schema(&fault.message))
    }

    /// Every schema reachable by references, each name once, the nearer one first.
    fn references(&self, direct: &[RefTo]) -> Answer<Vec<Reference>> {
        let mut names = HashSet::new();
        let mut found = Vec::new();
        let mut queue: VecDeque<(&RefTo, usize)> = direct.iter().map(|r| (r, 1)).collect();
        while let Some((reference, depth)) = queue.pop_front() {
            if !names.insert(reference.name.as_str()) {
                continue;
            }
            if depth > DEPTH_MAX || found.len() >= compile::REFERENCES_MAX {
                return Err(ApiError::invalid_schema("too many references, or too deep"));
            }
            let version = self
                .version(&reference.subject, &shown_version(reference.version), true)
                .map_err(|_| {
                    ApiError::invalid_schema(&format!(
                        "no schema reference found for subject \"{}\" and version {}",
                        reference.subject,
                        shown_version(reference.version)
                    ))
                })?;
            queue.extend(version.stored.references.iter().map(|r| (r, depth + 1)));
            let text = version.stored.text.clone();
            found.push(Reference { name: reference.name.clone(), text });
        }
        Ok(found)
    }

    /// Why a subject would not take a schema; nothing if it would.
    pub(super) fn incompatibilities(
        &self,
        subject: &str,
        schema: &Schema,
        level: Level,
    ) -> Answer<Vec<String>> {
        let Ok(versions) = self.versions(subject, false) else { return Ok(Vec::new()) };
        let checked = match level {
            Level::None => return Ok(Vec::new()),
            level if level.is_transitive() => versions.as_slice(),
            _ => &versions[versions.len() - 1..],
        };
        let mut messages = Vec::new();
        for version in checked.iter().rev() {
            for message in compat::check(level, &version.stored.schema, schema) {
                messages.push(format!("{message} (version {})", version.version));
            }
        }
        Ok(messages)
    }

    /// Subject and version of every schema that refers to this one.
    pub(super) fn referenced_by(&self, subject: &str, version: u32) -> Vec<&Version> {
        let refers = |v: &&Version| {
            v.stored.references.iter().any(|r| r.subject == subject && r.version == version)
        };
        self.subjects.values().flatten().filter(|v| !v.deleted).filter(refers).collect()
    }

    /// Deletes every version of a subject, softly or for good.
    pub(super) fn delete_subject(&mut self, subject: &str, permanent: bool) -> Answer<Vec<u32>> {
        let versions =
            self.subjects.get(subject).ok_or_else(|| ApiError::subject_not_found(subject))?;
        let live: Vec<u32> = versions.iter().filter(|v| !v.deleted).map(|v| v.version).collect();
        let all: Vec<u32> = versions.iter().map(|v| v.version).collect();
        for &version in if permanent { &all } else { &live } {
            self.check_unreferenced(subject, version)?;
        }
        match (permanent, live.is_empty()) {
            (true, false) => Err(ApiError::new(
                404,
                40405,
                format!(
                    "Subject '{subject}' was not deleted first before being permanently deleted"
                ),
            )),
            (false, true) => Err(ApiError::new(
                404,
                40404,
                format!(
                    "Subject '{subject}' was soft deleted. Set permanent=true to delete permanently"
                ),
            )),
            (true, true) => {
                self.subjects.remove(subject);
                self.levels.remove(subject);
                self.modes.remove(subject);
                self.forget_unused();
                Ok(all)
            }
            (false, false) => {
                if let Some(versions) = self.subjects.get_mut(subject) {
                    versions.iter_mut().for_each(|v| v.deleted = true);
                }
                Ok(live)
            }
        }
    }

    /// Deletes one version, softly or for good.
    pub(super) fn delete_version(
        &mut self,
        subject: &str,
        version: &str,
        permanent: bool,
    ) -> Answer<u32> {
        let found = self.version(subject, version, true)?;
        let (number, deleted) = (found.version, found.deleted);
        self.check_unreferenced(subject, number)?;
        match (permanent, deleted) {
            (true, false) => Err(ApiError::new(
                404,
                40407,
                format!(
                    "Subject '{subject}' Version {number} was not deleted first before being permanently deleted"
                ),
            )),
            (false, true) => Err(ApiError::new(
                404,
                40406,
                format!(
                    "Subject '{subject}' Version {number} was soft deleted. Set permanent=true to delete permanently"
                ),
            )),
            (permanent, _) => {
                if let Some(versions) = self.subjects.get_mut(subject) {
                    if permanent {
                        versions.retain(|v| v.version != number);
                    } else if let Some(v) = versions.iter_mut().find(|v| v.version == number) {
                        v.deleted = true;
                    }
                    if versions.is_empty() {
                        self.subjects.remove(subject);
                    }
                }
                self.forget_unused();
                Ok(number)
            }
        }
    }

    fn check_unreferenced(&self, subject: &str, version: u32) -> Answer<()> {
        if self.referenced_by(subject, version).is_empty() {
            return Ok(());
        }
        Err(ApiError::new(
            422,
            42206,
            format!(
                "One or more references exist to the schema {{subject={subject},version={version}}}."
            ),
        ))
    }

    /// Ids that no version has any more are unknown again.
    fn forget_unused(&mut self) {
        let used: HashSet<u32> = self.subjects.values().flatten().map(|v| v.stored.id).collect();
        self.by_id.retain(|id, _| used.contains(id));
        self.by_identity.retain(|_, id| used.contains(id));
    }
}

/// `-1` for [`LATEST`].
pub(super) fn shown_version(version: u32) -> String {
    if version == LATEST { "-1".to_owned() } else { version.to_string() }
}

fn version_number(text: &str) -> Answer<u32> {
    match text {
        "latest" | "-1" => Ok(LATEST),
        text => text
            .parse::<u32>()
            .ok()
            .filter(|&version| (1..=i32::MAX as u32).contains(&version))
            .ok_or_else(|| {
                ApiError::new(
                    422,
                    42202,
                    format!("The specified version '{text}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""),
                )
            }),
    }
}

fn check_subject(subject: &str) -> Answer<()> {
    if subject.is_empty() || subject.chars().any(char::is_control) {
        return Err(ApiError::new(
            422,
            42208,
            format!("The specified subject '{subject}' is not a valid."),
        ));
    }
    Ok(())
}

fn identity(sent: &Sent) -> Identity {
    let references =
        sent.references.iter().map(|r| (r.name.clone(), r.subject.clone(), r.version)).collect();
    let text = match sent.language {
        Language::Avro | Language::Json => {
            serde_json::from_str::<serde_json::Value>(&sent.text).ok().map(|v| v.to_string().into())
        }
        Language::Protobuf => protobuf_identity(&sent.text),
    };
    (sent.language, text.unwrap_or_else(|| sent.text.clone().into_bytes()), references)
}

/// The descriptor of the file alone, without its name, comments and places.
fn protobuf_identity(text: &str) -> Option<Vec<u8>> {
    let mut file = match protox_parse::parse("schema.proto", text) {
        Ok(file) => file,
        Err(_) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
            prost_types::FileDescriptorProto::decode(bytes.as_slice()).ok()?
        }
    };
    file.name = None;
    file.source_code_info = None;
    Some(file.encode_to_vec())
}
