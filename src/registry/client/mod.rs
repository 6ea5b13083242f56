//! Asks a registry, and remembers.
//!
//! Owns: the cache, one request for all who ask at once, following references.
//! Does not own: what waits for a schema (`pipeline`).
//! Bounded by: [`SCHEMAS_MAX`] schemas, `VERSIONS_MAX` versions of a subject, 256 references, [`DEPTH_MAX`] levels, 16 MiB of text, and 8 MiB
//! an answer.

mod guard;
mod rest;
mod stats;
mod transport;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use schema_registry_converter::schema_registry_common::SrCall;
use serde_json::Value;

use crate::config;
use crate::error::Fault;
use crate::flaw::{Flaw, planted};
use crate::wire::SchemaRef;

use super::codes::{BAD, REFERENCES, TOO_LARGE, UNAVAILABLE};
use super::compile::{self, Reference};
use super::subject::{in_context_of, path_segment};
use super::{Found, History, Language, Lookup, Numbered, Schema, Want};

use rest::{LATEST, Raw, Rest, Trouble};
pub use stats::{Outcome, Stats, Verb};
pub use transport::{BODY_MAX, Policy};
pub(super) use transport::{explain, read};

/// Most schemas kept.
pub const SCHEMAS_MAX: u64 = 10_000;
/// Most bytes of text of referenced schemas kept.
const TEXTS_BYTES_MAX: u64 = 32 << 20;
/// Versions of one subject that a history has.
const VERSIONS_MAX: usize = 1_000;
/// Deepest chain of references.
pub const DEPTH_MAX: u32 = 32;
/// How long "unknown" and "bad" are kept: a registry's replicas may lag, an operator may repair.
pub const REFUSED_FOR: Duration = Duration::from_secs(10);

/// A reference to another subject's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefTo {
    /// What the text imports: a path for Protobuf, a full name for Avro.
    pub name: String,
    pub subject: String,
    pub version: u32,
}

/// A schema to register, look up or check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchema {
    pub language: Language,
    pub text: String,
    pub references: Vec<RefTo>,
}

/// One version of a subject.
#[derive(Debug, Clone)]
pub struct Version {
    pub subject: String,
    pub version: u32,
    /// As the registry holds it.
    pub text: String,
    pub references: Vec<RefTo>,
    pub schema: Arc<Schema>,
}

/// What a registry says about taking a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub compatible: bool,
    /// Why not, where the registry says it.
    pub messages: Vec<String>,
}

/// The settings of a registry without a configuration file: one URL, no credentials.
pub fn settings(url: &str) -> config::Registry {
    config::Registry {
        urls: vec![url.trim_end_matches('/').to_owned()],
        auth: config::RegistryAuth::None,
        tls: config::Tls::default(),
        headers: BTreeMap::new(),
        subject_name_strategy: config::SubjectNameStrategy::Topic,
        unknown_id_grace: Duration::from_secs(60),
        timeout: Duration::from_secs(30),
    }
}

/// A registry. Cheap to clone; clones share cache and connections.
#[derive(Clone)]
pub struct Client {
    rest: Arc<Rest>,
    stats: Arc<Stats>,
    cache: moka::future::Cache<SchemaRef, Found>,
    /// Answers of [`Client::by_ref_anew`].
    anew: moka::future::Cache<SchemaRef, Found>,
    /// Referenced schemas by subject and version: those never change.
    texts: moka::future::Cache<(String, u32), Arc<Raw>>,
    /// Versions of subjects: those never change.
    numbered: moka::future::Cache<(String, u32), Arc<Schema>>,
    /// Questions under way.
    histories: moka::future::Cache<(String, Want), Arc<History>>,
}

impl Client {
    /// Reads PEM files, opens no connection. Error: [`super::codes::SETTINGS`].
    pub fn new(config: &config::Registry) -> Result<Self, Fault> {
        Self::with_policy(config, Policy::default())
    }

    /// As [`Client::new`], with other tries and waits.
    pub fn with_policy(config: &config::Registry, policy: Policy) -> Result<Self, Fault> {
        let stats = Arc::new(Stats::default());
        let rest = Rest::new(config, policy, stats.clone())?;
        let new_cache = || {
            moka::future::Cache::builder()
                .max_capacity(SCHEMAS_MAX)
                .expire_after(KeepRefusalsBriefly)
                .build()
        };
        static OF_ALL: OnceLock<moka::future::Cache<SchemaRef, Found>> = OnceLock::new();
        let cache = match planted(Flaw::SchemaCacheWithoutUrl) {
            true => OF_ALL.get_or_init(new_cache).clone(),
            false => new_cache(),
        };
        let anew = moka::future::Cache::builder()
            .max_capacity(SCHEMAS_MAX)
            .time_to_live(REFUSED_FOR)
            .build();
        let texts = moka::future::Cache::builder()
            .weigher(|_, raw: &Arc<Raw>| u32::try_from(raw.text.len()).unwrap_or(u32::MAX))
            .max_capacity(TEXTS_BYTES_MAX)
            .build();
        let numbered = moka::future::Cache::new(SCHEMAS_MAX);
        let histories = moka::future::Cache::new(SCHEMAS_MAX);
        Ok(Self { rest: Arc::new(rest), stats, cache, anew, texts, numbered, histories })
    }

    /// The schema a record names. Many who ask for the same one at once share one request.
    ///
    /// Found schemas stay; `Unknown` and `Bad` are asked for again after [`REFUSED_FOR`];
    /// `Unavailable` at once.
    pub async fn by_ref(&self, reference: SchemaRef) -> Found {
        self.through(&self.cache, reference).await
    }

    /// The same as the registry says it today, however long the schema has been known: for one that cannot be
    /// used, which an operator may replace under its id. It is asked once in [`REFUSED_FOR`]; a schema that
    /// it gives is remembered in place of the one before.
    pub async fn by_ref_anew(&self, reference: SchemaRef) -> Found {
        let found = self.through(&self.anew, reference).await;
        if found.is_ok() {
            self.cache.insert(reference, found.clone()).await;
        }
        found
    }

    async fn through(
        &self,
        cache: &moka::future::Cache<SchemaRef, Found>,
        reference: SchemaRef,
    ) -> Found {
        let fetched = cache.try_get_with(reference, async {
            self.stats.misses.fetch_add(1, Ordering::Relaxed);
            match self.fetch(reference).await {
                Err(Lookup::Unavailable(fault)) => Err(fault),
                found => Ok(found),
            }
        });
        match fetched.await {
            Ok(found) => found,
            Err(fault) => Err(Lookup::Unavailable(fault.as_ref().clone())),
        }
    }

    async fn fetch(&self, reference: SchemaRef) -> Found {
        let what = format!("schema `{reference}`");
        let raw = match reference {
            SchemaRef::Id(id) => {
                let raw = self.rest.schema(SrCall::GetById(id)).await;
                // Some answers name another id (that of the oldest equal schema): the record's holds.
                raw.map(|raw| Raw { id, ..raw })
            }
            SchemaRef::Guid(_) => self.rest.schema(SrCall::GetByGuid(&reference.to_string())).await,
        };
        self.compile(&what, raw.map_err(|e| e.lookup(&what))?).await
    }

    /// The newest version of a subject.
    pub async fn latest(&self, subject: &str) -> Result<Version, Lookup> {
        let what = format!("subject `{subject}`");
        let path = path_segment(subject);
        let raw = self.rest.schema(SrCall::GetLatest(&path)).await;
        self.version_of(subject, what, raw).await
    }

    /// One version of a subject; soft-deleted ones too.
    pub async fn version(&self, subject: &str, version: u32) -> Result<Version, Lookup> {
        let what = format!("subject `{subject}` version {version}");
        let path = path_segment(subject);
        let raw = self.rest.schema(SrCall::GetBySubjectAndVersion(&path, version)).await;
        self.version_of(subject, what, raw).await
    }

    /// Versions of a subject, fresh from the registry. Many who ask at once share one request; those of
    /// its versions that were fetched before are not fetched again. Versions that cannot be used are left out and
    /// named: of [`Want::Latest`] it is the newest that can be. Error: there is none.
    pub async fn history(&self, subject: &str, want: Want) -> Result<Arc<History>, Lookup> {
        let key = (subject.to_owned(), want);
        let fetched =
            self.histories.try_get_with(key.clone(), self.fetch_history(subject, want)).await;
        // Who asks next wants what is there then.
        self.histories.invalidate(&key).await;
        fetched.map_err(|why| Lookup::clone(&why))
    }

    async fn fetch_history(&self, subject: &str, want: Want) -> Result<Arc<History>, Lookup> {
        let numbers = match want {
            Want::Latest => match self.latest(subject).await {
                Ok(Version { version, schema, .. }) => {
                    let versions = vec![Numbered { version, schema }];
                    return Ok(Arc::new(History { versions, ..History::default() }));
                }
                // The newest that can be used.
                Err(Lookup::Bad(_)) => {
                    let mut numbers = few(subject, self.versions(subject).await?)?;
                    numbers.reverse();
                    numbers
                }
                Err(why) => return Err(why),
            },
            Want::Version(version) => vec![version],
            Want::All => few(subject, self.versions(subject).await?)?,
        };
        let mut history = History::default();
        for version in numbers {
            let key = (subject.to_owned(), version);
            let known = self.numbered.try_get_with(key, async {
                self.version(subject, version).await.map(|found| found.schema)
            });
            match known.await.map_err(|why| Lookup::clone(&why)) {
                Ok(schema) => history.versions.push(Numbered { version, schema }),
                // Of many versions one that cannot be used hides the others from nobody.
                Err(Lookup::Bad(why)) if !matches!(want, Want::Version(_)) => {
                    history.unusable.push((version, why));
                }
                Err(why) => return Err(why),
            }
            if want == Want::Latest && !history.versions.is_empty() {
                break;
            }
        }
        match (history.versions.is_empty(), history.unusable.first()) {
            (true, Some((_, why))) => Err(Lookup::Bad(why.clone())),
            _ => Ok(Arc::new(history)),
        }
    }

    async fn version_of(
        &self,
        subject: &str,
        what: String,
        raw: Result<Raw, Trouble>,
    ) -> Result<Version, Lookup> {
        let raw = raw.map_err(|e| e.lookup(&what))?;
        let version = raw.version.ok_or_else(|| shape(&what, "no version"))?;
        let (text, references) = (raw.text.clone(), raw.references.clone());
        let schema = self.compile(&what, raw).await?;
        Ok(Version { subject: subject.to_owned(), version, text, references, schema })
    }

    /// Subjects of the registry, in its order.
    pub async fn subjects(&self) -> Result<Vec<String>, Lookup> {
        let what = "subjects";
        let answer = self.rest.get("/subjects").await.map_err(|e| e.lookup(what))?;
        serde_json::from_value(answer).map_err(|e| shape(what, &e.to_string()))
    }

    /// Version numbers of a subject, ascending.
    pub async fn versions(&self, subject: &str) -> Result<Vec<u32>, Lookup> {
        let what = format!("subject `{subject}`");
        let path = format!("/subjects/{}/versions", path_segment(subject));
        let answer = self.rest.get(&path).await.map_err(|e| e.lookup(&what))?;
        let mut versions: Vec<u32> =
            serde_json::from_value(answer).map_err(|e| shape(&what, &e.to_string()))?;
        versions.sort_unstable();
        Ok(versions)
    }

    /// Whether a subject has versions that are deleted and not forgotten yet.
    pub async fn has_deleted(&self, subject: &str) -> Result<bool, Lookup> {
        let what = format!("subject `{subject}`");
        let path = format!("/subjects/{}/versions?deleted=true", path_segment(subject));
        match self.rest.get(&path).await.map_err(|e| e.lookup(&what)) {
            Ok(answer) => Ok(answer.as_array().is_some_and(|versions| !versions.is_empty())),
            Err(Lookup::Unknown(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Registers a schema, or finds that it is registered. Gives id and version.
    pub async fn register(&self, subject: &str, schema: &NewSchema) -> Result<(u32, u32), Lookup> {
        let what = format!("subject `{subject}`");
        let answer = self.rest.register(subject, schema).await.map_err(|e| e.lookup(&what))?;
        let id = answer.id.ok_or_else(|| shape(&what, "no id"))?;
        match answer.version {
            Some(version) => Ok((id, version)),
            // Registries before 8.0 say the id only.
            None => match self.lookup(subject, schema).await? {
                Some((_, version)) => Ok((id, version)),
                None => Err(shape(&what, "an id, and does not find the schema it registered")),
            },
        }
    }

    /// Id and version under which a subject holds exactly this schema, if it does.
    pub async fn lookup(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<Option<(u32, u32)>, Lookup> {
        let what = format!("subject `{subject}`");
        match self.rest.lookup(subject, schema).await.map_err(|e| e.lookup(&what)) {
            Ok(answer) => match (answer.id, answer.version) {
                (Some(id), Some(version)) => Ok(Some((id, version))),
                _ => Err(shape(&what, "neither id nor version")),
            },
            Err(Lookup::Unknown(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Whether a subject would take a schema. A subject that does not exist takes all.
    pub async fn compatibility(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<Verdict, Lookup> {
        let what = format!("compatibility with subject `{subject}`");
        let path =
            format!("/compatibility/subjects/{}/versions?verbose=true", path_segment(subject));
        let answer = match self.rest.post(&path, schema).await.map_err(|e| e.lookup(&what)) {
            Ok(answer) => answer,
            Err(Lookup::Unknown(_)) => {
                return Ok(Verdict { compatible: true, messages: Vec::new() });
            }
            Err(other) => return Err(other),
        };
        let compatible =
            answer["is_compatible"].as_bool().ok_or_else(|| shape(&what, "no `is_compatible`"))?;
        let messages = answer["messages"].as_array().map_or_else(Vec::new, |messages| {
            messages.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        });
        Ok(Verdict { compatible, messages })
    }

    /// `BACKWARD`, `FULL_TRANSITIVE`, … as it holds for a subject.
    pub async fn compatibility_level(&self, subject: &str) -> Result<String, Lookup> {
        let what = format!("compatibility level of subject `{subject}`");
        let path = format!("/config/{}?defaultToGlobal=true", path_segment(subject));
        let answer = match self.rest.get(&path).await {
            Err(Trouble::Refused(_)) => self.rest.get("/config").await,
            other => other,
        };
        let answer = answer.map_err(|e| e.lookup(&what))?;
        let level = answer["compatibilityLevel"].as_str().or(answer["compatibility"].as_str());
        level.map(str::to_owned).ok_or_else(|| shape(&what, "no level"))
    }

    /// What was asked so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Fetches what a schema refers to, and compiles it off the async threads.
    async fn compile(&self, what: &str, raw: Raw) -> Found {
        let references = self.references(what, &raw).await?;
        let Raw { id, language, text, .. } = raw;
        let compiled =
            tokio::task::spawn_blocking(move || compile::compile(id, language, &text, &references));
        match compiled.await {
            Ok(Ok(schema)) => Ok(Arc::new(schema)),
            Ok(Err(fault)) => {
                Err(Lookup::Bad(Fault { message: format!("{what}: {}", fault.message), ..fault }))
            }
            Err(_) => Err(Lookup::Unavailable(Fault::new(
                &UNAVAILABLE,
                format!("{what}: the program is leaving"),
            ))),
        }
    }

    /// Every schema reachable from this one, each name once. Breadth first, so that of two
    /// references of one name the nearer one wins.
    async fn references(&self, what: &str, root: &Raw) -> Result<Vec<Reference>, Lookup> {
        let mut found = Vec::new();
        let mut names = HashSet::new();
        let mut bytes = root.text.len();
        let mut queue: VecDeque<(RefTo, Option<String>, u32)> = VecDeque::new();
        let enqueue = |queue: &mut VecDeque<_>, names: &mut HashSet<String>, raw: &Raw, depth| {
            for reference in &raw.references {
                if names.insert(reference.name.clone()) {
                    queue.push_back((reference.clone(), raw.subject.clone(), depth));
                }
            }
            names.len()
        };
        let mut known = enqueue(&mut queue, &mut names, root, 1);
        while let Some((reference, parent, depth)) = queue.pop_front() {
            if known > compile::REFERENCES_MAX || depth > DEPTH_MAX {
                return Err(Lookup::Bad(Fault::new(
                    &REFERENCES,
                    format!(
                        "{what}: more than {} references or {DEPTH_MAX} levels of them",
                        compile::REFERENCES_MAX
                    ),
                )));
            }
            let raw = self.referenced(what, &reference, parent.as_deref(), root.language).await?;
            bytes = bytes.saturating_add(raw.text.len());
            if bytes > compile::TEXT_MAX {
                return Err(Lookup::Bad(Fault::new(
                    &TOO_LARGE,
                    format!("{what}: over {} bytes with its references", compile::TEXT_MAX),
                )));
            }
            known = enqueue(&mut queue, &mut names, &raw, depth + 1);
            found.push(Reference { name: reference.name, text: raw.text.clone() });
        }
        Ok(found)
    }

    async fn referenced(
        &self,
        what: &str,
        reference: &RefTo,
        parent: Option<&str>,
        language: Language,
    ) -> Result<Arc<Raw>, Lookup> {
        let subject = in_context_of(parent, &reference.subject);
        let path = path_segment(&subject);
        let call = match reference.version {
            LATEST => SrCall::GetLatest(&path),
            version => SrCall::GetBySubjectAndVersion(&path, version),
        };
        let what = format!(
            "{what}: reference `{}` to subject `{subject}` version {}",
            reference.name, reference.version
        );
        let key = (subject.clone(), reference.version);
        let raw = match self.texts.get(&key).await {
            Some(raw) => raw,
            None => {
                let raw = self.rest.schema(call).await.map_err(|e| match e.lookup(&what) {
                    Lookup::Unknown(fault) => Lookup::Bad(Fault { code: &REFERENCES, ..fault }),
                    other => other,
                })?;
                let subject = raw.subject.clone().or(Some(subject));
                let raw = Arc::new(Raw { subject, ..raw });
                if reference.version != LATEST {
                    self.texts.insert(key, raw.clone()).await;
                }
                raw
            }
        };
        if raw.language != language {
            return Err(Lookup::Bad(Fault::new(
                &REFERENCES,
                format!(
                    "{what}: a schema of type {}, {} required",
                    raw.language.name(),
                    language.name()
                ),
            )));
        }
        Ok(raw)
    }
}

fn shape(what: &str, found: &str) -> Lookup {
    Lookup::Bad(Fault::new(&BAD, format!("{what}: the registry answers with {found}")))
}

/// A history is held in memory, each version once.
fn few(subject: &str, numbers: Vec<u32>) -> Result<Vec<u32>, Lookup> {
    let found = numbers.len();
    if found <= VERSIONS_MAX {
        return Ok(numbers);
    }
    let text = format!(
        "subject `{subject}`: `{found}` versions, at most {VERSIONS_MAX} are read; delete old ones that nobody writes"
    );
    Err(Lookup::Unavailable(Fault::new(&TOO_LARGE, text)))
}

struct KeepRefusalsBriefly;

impl moka::Expiry<SchemaRef, Found> for KeepRefusalsBriefly {
    fn expire_after_create(&self, _: &SchemaRef, found: &Found, _: Instant) -> Option<Duration> {
        found.is_err().then_some(REFUSED_FOR)
    }
}
