//! Paths → store → JSON, as Confluent's registry answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::registry::compile::TEXT_MAX;

use super::bodies::{Flags, Json, in_format, number, schema_json, sent, text, version_json};
use super::compat::Level;
use super::store::{Answer, ApiError, Mode, Store, Version};

type Shared = State<Arc<Mutex<Store>>>;

pub(super) fn router() -> Router {
    Router::new()
        .route("/", get(async || Json(json!({}))))
        .route("/schemas", get(schemas))
        .route("/schemas/types", get(async || Json(json!(["JSON", "PROTOBUF", "AVRO"]))))
        .route("/schemas/ids/{id}", get(by_id))
        .route("/schemas/ids/{id}/schema", get(text_by_id))
        .route("/schemas/ids/{id}/subjects", get(subjects_by_id))
        .route("/schemas/ids/{id}/versions", get(versions_by_id))
        .route("/schemas/guids/{guid}", get(by_guid))
        .route("/subjects", get(subjects))
        .route("/subjects/{subject}", post(lookup).delete(delete_subject))
        .route("/subjects/{subject}/versions", get(versions).post(register))
        .route("/subjects/{subject}/versions/{version}", get(version).delete(delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(version_text))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(referenced_by))
        .route("/compatibility/subjects/{subject}/versions", post(compatible_with_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatible_with))
        .route("/config", get(config).put(set_config).delete(delete_config))
        .route(
            "/config/{subject}",
            get(subject_config).put(set_subject_config).delete(delete_subject_config),
        )
        .route("/mode", get(mode).put(set_mode))
        .route(
            "/mode/{subject}",
            get(subject_mode).put(set_subject_mode).delete(delete_subject_mode),
        )
        .fallback(async || ApiError::new(404, 404, "HTTP 404 Not Found"))
        .method_not_allowed_fallback(async || {
            ApiError::new(405, 405, "HTTP 405 Method Not Allowed")
        })
        .layer(DefaultBodyLimit::max(2 * TEXT_MAX))
        .with_state(Arc::new(Mutex::new(Store::new())))
}

type Reply = Answer<Json>;

fn lock(store: &Arc<Mutex<Store>>) -> MutexGuard<'_, Store> {
    // A panic in a handler leaves the maps whole: every change is made at its end.
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

// -- schemas --

async fn schemas(State(store): Shared, Query(flags): Query<Flags>) -> Reply {
    let store = lock(&store);
    let mut out = Vec::new();
    for (subject, versions) in &store.subjects {
        if !subject.starts_with(&flags.subject_prefix) {
            continue;
        }
        let seen: Vec<_> = versions.iter().filter(|v| flags.deleted || !v.deleted).collect();
        let from = if flags.latest_only { seen.len().saturating_sub(1) } else { 0 };
        out.extend(seen[from..].iter().map(|v| Value::Object(version_json(subject, v))));
    }
    Ok(Json(Value::Array(out)))
}

async fn by_id(State(store): Shared, Path(id): Path<String>, Query(flags): Query<Flags>) -> Reply {
    let store = lock(&store);
    let stored = store.by_id(number(&id)?)?;
    Ok(Json(in_format(schema_json(stored), stored, &flags)))
}

async fn by_guid(
    State(store): Shared,
    Path(guid): Path<String>,
    Query(flags): Query<Flags>,
) -> Reply {
    let store = lock(&store);
    let stored = store.by_guid(&guid)?;
    Ok(Json(in_format(schema_json(stored), stored, &flags)))
}

async fn text_by_id(State(store): Shared, Path(id): Path<String>) -> Answer<Response> {
    let store = lock(&store);
    Ok(text(store.by_id(number(&id)?)?))
}

async fn subjects_by_id(
    State(store): Shared,
    Path(id): Path<String>,
    Query(flags): Query<Flags>,
) -> Reply {
    let store = lock(&store);
    let mut subjects: Vec<&str> =
        holders(&store, number(&id)?, &flags)?.into_iter().map(|(subject, _)| subject).collect();
    subjects.dedup();
    Ok(Json(json!(subjects)))
}

async fn versions_by_id(
    State(store): Shared,
    Path(id): Path<String>,
    Query(flags): Query<Flags>,
) -> Reply {
    let store = lock(&store);
    let versions: Vec<Value> = holders(&store, number(&id)?, &flags)?
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

async fn subjects(State(store): Shared, Query(flags): Query<Flags>) -> Reply {
    let store = lock(&store);
    let shown = |versions: &[Version]| {
        let live = versions.iter().any(|v| !v.deleted);
        if flags.deleted_only { !live } else { live || flags.deleted }
    };
    let names: Vec<&str> = store
        .subjects
        .iter()
        .filter(|(name, versions)| name.starts_with(&flags.subject_prefix) && shown(versions))
        .map(|(name, _)| name.as_str())
        .collect();
    Ok(Json(json!(names)))
}

async fn versions(
    State(store): Shared,
    Path(subject): Path<String>,
    Query(flags): Query<Flags>,
) -> Reply {
    let store = lock(&store);
    let versions = store.versions(&subject, flags.deleted || flags.deleted_only)?;
    let numbers: Vec<u32> =
        versions.iter().filter(|v| !flags.deleted_only || v.deleted).map(|v| v.version).collect();
    Ok(Json(json!(numbers)))
}

async fn version(
    State(store): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(flags): Query<Flags>,
) -> Reply {
    let store = lock(&store);
    let found = store.version(&subject, &version, flags.deleted)?;
    let answer = version_json(&subject, found);
    Ok(Json(in_format(answer, &found.stored, &flags)))
}

async fn version_text(
    State(store): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(flags): Query<Flags>,
) -> Answer<Response> {
    let store = lock(&store);
    Ok(text(&store.version(&subject, &version, flags.deleted)?.stored))
}

async fn referenced_by(
    State(store): Shared,
    Path((subject, version)): Path<(String, String)>,
) -> Reply {
    let store = lock(&store);
    let number = store.version(&subject, &version, true)?.version;
    let mut ids: Vec<u32> =
        store.referenced_by(&subject, number).into_iter().map(|v| v.stored.id).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(Json(json!(ids)))
}

async fn register(State(store): Shared, Path(subject): Path<String>, body: Bytes) -> Reply {
    let sent = sent(&body)?;
    let added = lock(&store).register(&subject, sent)?;
    Ok(Json(Value::Object(version_json(&subject, &added))))
}

async fn lookup(
    State(store): Shared,
    Path(subject): Path<String>,
    Query(flags): Query<Flags>,
    body: Bytes,
) -> Reply {
    let sent = sent(&body)?;
    let store = lock(&store);
    let found = store.lookup(&subject, &sent, flags.deleted)?;
    Ok(Json(Value::Object(version_json(&subject, found))))
}

async fn delete_subject(
    State(store): Shared,
    Path(subject): Path<String>,
    Query(flags): Query<Flags>,
) -> Reply {
    let versions = lock(&store).delete_subject(&subject, flags.permanent)?;
    Ok(Json(json!(versions)))
}

async fn delete_version(
    State(store): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(flags): Query<Flags>,
) -> Reply {
    let number = lock(&store).delete_version(&subject, &version, flags.permanent)?;
    Ok(Json(json!(number)))
}

// -- compatibility --

async fn compatible_with_all(
    State(store): Shared,
    Path(subject): Path<String>,
    Query(flags): Query<Flags>,
    body: Bytes,
) -> Reply {
    let sent = sent(&body)?;
    let store = lock(&store);
    let schema = store.compile(&sent)?;
    let messages = store.incompatibilities(&subject, &schema, store.level_of(&subject))?;
    Ok(verdict(messages, flags.verbose))
}

async fn compatible_with(
    State(store): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(flags): Query<Flags>,
    body: Bytes,
) -> Reply {
    let sent = sent(&body)?;
    let store = lock(&store);
    let schema = store.compile(&sent)?;
    let old = store.version(&subject, &version, false)?;
    let messages = super::compat::check(store.level_of(&subject), &old.stored.schema, &schema);
    Ok(verdict(messages, flags.verbose))
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

async fn config(State(store): Shared) -> Json {
    Json(json!({ "compatibilityLevel": lock(&store).level.name() }))
}

async fn set_config(State(store): Shared, body: Bytes) -> Reply {
    let level = level(&body)?;
    lock(&store).level = level;
    Ok(Json(json!({ "compatibility": level.name() })))
}

async fn delete_config(State(store): Shared) -> Json {
    let old = std::mem::replace(&mut lock(&store).level, Level::Backward);
    Json(json!({ "compatibilityLevel": old.name() }))
}

async fn subject_config(
    State(store): Shared,
    Path(subject): Path<String>,
    Query(flags): Query<Flags>,
) -> Reply {
    let store = lock(&store);
    let own = store.levels.get(&subject).copied();
    let level = own.or(flags.default_to_global.then_some(store.level)).ok_or_else(|| {
        ApiError::new(
            404,
            40408,
            format!("Subject '{subject}' does not have subject-level compatibility configured"),
        )
    })?;
    Ok(Json(json!({ "compatibilityLevel": level.name() })))
}

async fn set_subject_config(
    State(store): Shared,
    Path(subject): Path<String>,
    body: Bytes,
) -> Reply {
    let level = level(&body)?;
    lock(&store).levels.insert(subject, level);
    Ok(Json(json!({ "compatibility": level.name() })))
}

async fn delete_subject_config(State(store): Shared, Path(subject): Path<String>) -> Reply {
    let old = lock(&store).levels.remove(&subject);
    match old {
        Some(level) => Ok(Json(json!({ "compatibilityLevel": level.name() }))),
        None => Err(ApiError::subject_not_found(&subject)),
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

async fn mode(State(store): Shared) -> Json {
    Json(json!({ "mode": lock(&store).mode.name() }))
}

async fn set_mode(State(store): Shared, body: Bytes) -> Reply {
    let mode = new_mode(&body)?;
    lock(&store).mode = mode;
    Ok(Json(json!({ "mode": mode.name() })))
}

async fn subject_mode(
    State(store): Shared,
    Path(subject): Path<String>,
    Query(flags): Query<Flags>,
) -> Reply {
    let store = lock(&store);
    let own = store.modes.get(&subject).copied();
    let mode = own.or(flags.default_to_global.then_some(store.mode)).ok_or_else(|| {
        ApiError::new(
            404,
            40409,
            format!("Subject '{subject}' does not have subject-level mode configured"),
        )
    })?;
    Ok(Json(json!({ "mode": mode.name() })))
}

async fn set_subject_mode(State(store): Shared, Path(subject): Path<String>, body: Bytes) -> Reply {
    let mode = new_mode(&body)?;
    lock(&store).modes.insert(subject, mode);
    Ok(Json(json!({ "mode": mode.name() })))
}

async fn delete_subject_mode(State(store): Shared, Path(subject): Path<String>) -> Reply {
    let old = lock(&store).modes.remove(&subject);
    match old {
        Some(mode) => Ok(Json(json!({ "mode": mode.name() }))),
        None => Err(ApiError::subject_not_found(&subject)),
    }
}
