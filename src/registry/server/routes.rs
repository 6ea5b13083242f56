//! Paths → store → JSON, as Confluent's registry answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter as Method, MethodRouter};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::registry::compile::TEXT_MAX;

use super::bodies::{Flags, Json, in_format, number, schema_json, sent, text, version_json};
use super::compat::Level;
use super::store::{Answer, ApiError, Mode, Store, Version};

type Shared = Arc<Mutex<Store>>;

/// One request.
struct Asked {
    path: HashMap<String, String>,
    flags: Flags,
    body: Bytes,
}

impl Asked {
    /// A part of the path by its name in the route.
    fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    fn id(&self) -> Answer<u32> {
        number(self.part("id"))
    }

    fn subject(&self) -> &str {
        self.part("subject")
    }

    fn version(&self) -> &str {
        self.part("version")
    }
}

/// A handler is a function of the store and the request; what carries it is here, once.
fn on<R: IntoResponse + 'static>(
    method: Method,
    handle: fn(&mut Store, &Asked) -> Answer<R>,
) -> MethodRouter<Shared> {
    axum::routing::on(
        method,
        async move |State(store): State<Shared>,
                    Path(path): Path<HashMap<String, String>>,
                    Query(flags): Query<Flags>,
                    body: Bytes| {
            handle(&mut lock(&store), &Asked { path, flags, body })
        },
    )
}

pub(super) fn router() -> Router {
    over(Store::new())
}

/// Routes over a registry that checks no compatibility.
pub(super) fn open_router() -> Router {
    let mut store = Store::new();
    store.level = Level::None;
    over(store)
}

fn over(store: Store) -> Router {
    let (get, put, post, delete) = (Method::GET, Method::PUT, Method::POST, Method::DELETE);
    Router::new()
        .route("/", on(get, |_, _| Ok(Json(json!({})))))
        .route("/schemas", on(get, schemas))
        .route("/schemas/types", on(get, |_, _| Ok(Json(json!(["JSON", "PROTOBUF", "AVRO"])))))
        .route("/schemas/ids/{id}", on(get, by_id))
        .route("/schemas/ids/{id}/schema", on(get, text_by_id))
        .route("/schemas/ids/{id}/subjects", on(get, subjects_by_id))
        .route("/schemas/ids/{id}/versions", on(get, versions_by_id))
        .route("/schemas/guids/{guid}", on(get, by_guid))
        .route("/subjects", on(get, subjects))
        .route("/subjects/{subject}", on(post, lookup).merge(on(delete, delete_subject)))
        .route("/subjects/{subject}/versions", on(get, versions).merge(on(post, register)))
        .route(
            "/subjects/{subject}/versions/{version}",
            on(get, version).merge(on(delete, delete_version)),
        )
        .route("/subjects/{subject}/versions/{version}/schema", on(get, version_text))
        .route("/subjects/{subject}/versions/{version}/referencedby", on(get, referenced_by))
        .route("/compatibility/subjects/{subject}/versions", on(post, compatible_with_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", on(post, compatible_with))
        .route(
            "/config",
            on(get, config).merge(on(put, set_config)).merge(on(delete, delete_config)),
        )
        .route(
            "/config/{subject}",
            on(get, subject_config)
                .merge(on(put, set_subject_config))
                .merge(on(delete, delete_subject_config)),
        )
        .route("/mode", on(get, mode).merge(on(put, set_mode)))
        .route(
            "/mode/{subject}",
            on(get, subject_mode)
                .merge(on(put, set_subject_mode))
                .merge(on(delete, delete_subject_mode)),
        )
        .fallback(async || ApiError::new(404, 404, "HTTP 404 Not Found"))
        .method_not_allowed_fallback(async || {
            ApiError::new(405, 405, "HTTP 405 Method Not Allowed")
        })
        .layer(DefaultBodyLimit::max(2 * TEXT_MAX))
        .with_state(Arc::new(Mutex::new(store)))
}

type Reply = Answer<Json>;

fn lock(store: &Arc<Mutex<Store>>) -> MutexGuard<'_, Store> {
    // A panic in a handler leaves the maps whole: every change is made at its end.
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

// -- schemas --

fn schemas(store: &mut Store, asked: &Asked) -> Reply {
    let mut out = Vec::new();
    for (subject, versions) in &store.subjects {
        if !subject.starts_with(&asked.flags.subject_prefix) {
            continue;
        }
        let seen: Vec<_> = versions.iter().filter(|v| asked.flags.deleted || !v.deleted).collect();
        let from = if asked.flags.latest_only { seen.len().saturating_sub(1) } else { 0 };
        out.extend(seen[from..].iter().map(|v| Value::Object(version_json(subject, v))));
    }
    Ok(Json(Value::Array(out)))
}

fn by_id(store: &mut Store, asked: &Asked) -> Reply {
    let stored = store.by_id(asked.id()?)?;
    Ok(Json(in_format(schema_json(stored), stored, &asked.flags)))
}

fn by_guid(store: &mut Store, asked: &Asked) -> Reply {
    let stored = store.by_guid(asked.part("guid"))?;
    Ok(Json(in_format(schema_json(stored), stored, &asked.flags)))
}

fn text_by_id(store: &mut Store, asked: &Asked) -> Answer<Response> {
    Ok(text(store.by_id(asked.id()?)?))
}

fn subjects_by_id(store: &mut Store, asked: &Asked) -> Reply {
    let mut subjects: Vec<&str> = holders(store, asked.id()?, &asked.flags)?
        .into_iter()
        .map(|(subject, _)| subject)
        .collect();
    subjects.dedup();
    Ok(Json(json!(subjects)))
}

fn versions_by_id(store: &mut Store, asked: &Asked) -> Reply {
    let versions: Vec<Value> = holders(store, asked.id()?, &asked.flags)?
        .into_iter()
        .map(|(subject, version)| json!({ "subject": subject, "version": version }))
        .collect();
    Ok(Json(Value::Array(versions)))
}

fn holders<'a>(store: &'a Store, id: u32, flags: &Flags) -> Answer<Vec<(&'a str, u32)>> {
    store.by_id(id)?;
    let mut found = Vec::new();
    for (subject, versions) in &store.subjects {
        if flags.subject.as_ref().is_some_and(|only| only != subject) {
            continue;
        }
        let held = versions.iter().filter(|v| v.stored.id == id && (flags.deleted || !v.deleted));
        found.extend(held.map(|v| (subject.as_str(), v.version)));
    }
    Ok(found)
}

// -- subjects --

fn subjects(store: &mut Store, asked: &Asked) -> Reply {
    let shown = |versions: &[Version]| {
        let live = versions.iter().any(|v| !v.deleted);
        if asked.flags.deleted_only { !live } else { live || asked.flags.deleted }
    };
    let names: Vec<&str> = store
        .subjects
        .iter()
        .filter(|(name, versions)| name.starts_with(&asked.flags.subject_prefix) && shown(versions))
        .map(|(name, _)| name.as_str())
        .collect();
    Ok(Json(json!(names)))
}

fn versions(store: &mut Store, asked: &Asked) -> Reply {
    let versions =
        store.versions(asked.subject(), asked.flags.deleted || asked.flags.deleted_only)?;
    let numbers: Vec<u32> = versions
        .iter()
        .filter(|v| !asked.flags.deleted_only || v.deleted)
        .map(|v| v.version)
        .collect();
    Ok(Json(json!(numbers)))
}

fn version(store: &mut Store, asked: &Asked) -> Reply {
    let found = store.version(asked.subject(), asked.version(), asked.flags.deleted)?;
    let answer = version_json(asked.subject(), found);
    Ok(Json(in_format(answer, &found.stored, &asked.flags)))
}

fn version_text(store: &mut Store, asked: &Asked) -> Answer<Response> {
    Ok(text(&store.version(asked.subject(), asked.version(), asked.flags.deleted)?.stored))
}

fn referenced_by(store: &mut Store, asked: &Asked) -> Reply {
    let number = store.version(asked.subject(), asked.version(), true)?.version;
    let mut ids: Vec<u32> =
        store.referenced_by(asked.subject(), number).into_iter().map(|v| v.stored.id).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(Json(json!(ids)))
}

fn register(store: &mut Store, asked: &Asked) -> Reply {
    let sent = sent(&asked.body)?;
    let added = store.register(asked.subject(), sent)?;
    Ok(Json(Value::Object(version_json(asked.subject(), &added))))
}

fn lookup(store: &mut Store, asked: &Asked) -> Reply {
    let sent = sent(&asked.body)?;
    let found = store.lookup(asked.subject(), &sent, asked.flags.deleted)?;
    Ok(Json(Value::Object(version_json(asked.subject(), found))))
}

fn delete_subject(store: &mut Store, asked: &Asked) -> Reply {
    let versions = store.delete_subject(asked.subject(), asked.flags.permanent)?;
    Ok(Json(json!(versions)))
}

fn delete_version(store: &mut Store, asked: &Asked) -> Reply {
    let number = store.delete_version(asked.subject(), asked.version(), asked.flags.permanent)?;
    Ok(Json(json!(number)))
}

// -- compatibility --

fn compatible_with_all(store: &mut Store, asked: &Asked) -> Reply {
    let sent = sent(&asked.body)?;
    let schema = store.compile(&sent)?;
    let messages =
        store.incompatibilities(asked.subject(), &schema, store.level_of(asked.subject()))?;
    Ok(verdict(messages, asked.flags.verbose))
}

fn compatible_with(store: &mut Store, asked: &Asked) -> Reply {
    let sent = sent(&asked.body)?;
    let schema = store.compile(&sent)?;
    let old = store.version(asked.subject(), asked.version(), false)?;
    let messages =
        super::compat::check(store.level_of(asked.subject()), &old.stored.schema, &schema);
    Ok(verdict(messages, asked.flags.verbose))
}

fn verdict(messages: Vec<String>, verbose: bool) -> Json {
    let mut answer = json!({ "is_compatible": messages.is_empty() });
    if verbose {
        answer["messages"] = json!(messages);
    }
    Json(answer)
}

// -- config and mode --

#[derive(Deserialize)]
struct NewLevel {
    compatibility: String,
}

fn level(body: &[u8]) -> Answer<Level> {
    let wrong = || {
        ApiError::new(
            422,
            42203,
            "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive",
        )
    };
    let new: NewLevel = serde_json::from_slice(body).map_err(|_| wrong())?;
    Level::from_name(&new.compatibility).ok_or_else(wrong)
}

fn config(store: &mut Store, _: &Asked) -> Reply {
    Ok(Json(json!({ "compatibilityLevel": store.level.name() })))
}

fn set_config(store: &mut Store, asked: &Asked) -> Reply {
    let level = level(&asked.body)?;
    store.level = level;
    Ok(Json(json!({ "compatibility": level.name() })))
}

fn delete_config(store: &mut Store, _: &Asked) -> Reply {
    let old = std::mem::replace(&mut store.level, Level::Backward);
    Ok(Json(json!({ "compatibilityLevel": old.name() })))
}

fn subject_config(store: &mut Store, asked: &Asked) -> Reply {
    let own = store.levels.get(asked.subject()).copied();
    let level = own.or(asked.flags.default_to_global.then_some(store.level)).ok_or_else(|| {
        ApiError::new(
            404,
            40408,
            format!(
                "Subject '{}' does not have subject-level compatibility configured",
                asked.subject()
            ),
        )
    })?;
    Ok(Json(json!({ "compatibilityLevel": level.name() })))
}

fn set_subject_config(store: &mut Store, asked: &Asked) -> Reply {
    let level = level(&asked.body)?;
    store.levels.insert(asked.subject().to_owned(), level);
    Ok(Json(json!({ "compatibility": level.name() })))
}

fn delete_subject_config(store: &mut Store, asked: &Asked) -> Reply {
    let old = store.levels.remove(asked.subject());
    match old {
        Some(level) => Ok(Json(json!({ "compatibilityLevel": level.name() }))),
        None => Err(ApiError::subject_not_found(asked.subject())),
    }
}

#[derive(Deserialize)]
struct NewMode {
    mode: String,
}

fn new_mode(body: &[u8]) -> Answer<Mode> {
    let wrong = || {
        ApiError::new(
            422,
            42204,
            "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, IMPORT",
        )
    };
    let new: NewMode = serde_json::from_slice(body).map_err(|_| wrong())?;
    Mode::from_name(&new.mode).ok_or_else(wrong)
}

fn mode(store: &mut Store, _: &Asked) -> Reply {
    Ok(Json(json!({ "mode": store.mode.name() })))
}

fn set_mode(store: &mut Store, asked: &Asked) -> Reply {
    let mode = new_mode(&asked.body)?;
    store.mode = mode;
    Ok(Json(json!({ "mode": mode.name() })))
}

fn subject_mode(store: &mut Store, asked: &Asked) -> Reply {
    let own = store.modes.get(asked.subject()).copied();
    let mode = own.or(asked.flags.default_to_global.then_some(store.mode)).ok_or_else(|| {
        ApiError::new(
            404,
            40409,
            format!("Subject '{}' does not have subject-level mode configured", asked.subject()),
        )
    })?;
    Ok(Json(json!({ "mode": mode.name() })))
}

fn set_subject_mode(store: &mut Store, asked: &Asked) -> Reply {
    let mode = new_mode(&asked.body)?;
    store.modes.insert(asked.subject().to_owned(), mode);
    Ok(Json(json!({ "mode": mode.name() })))
}

fn delete_subject_mode(store: &mut Store, asked: &Asked) -> Reply {
    let old = store.modes.remove(asked.subject());
    match old {
        Some(mode) => Ok(Json(json!({ "mode": mode.name() }))),
        None => Err(ApiError::subject_not_found(asked.subject())),
    }
}
