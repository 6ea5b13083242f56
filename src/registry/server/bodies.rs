//! What requests and answers look like: query parameters and JSON.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::registry::client::RefTo;
use crate::registry::{Language, Parsed};

use super::store::{Answer, ApiError, LATEST, Sent, Stored, Version};

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// JSON with the registry's media type.
pub(super) struct Json(pub(super) Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, MEDIA_TYPE)], self.0.to_string()).into_response()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = Json(json!({ "error_code": self.code, "message": self.message }));
        (status, body).into_response()
    }
}

/// Query parameters. Read as Java does: any spelling of `true` is true (Python's client writes
/// `True`), all else false; unknown ones do not count.
#[derive(Deserialize, Default)]
#[serde(from = "Vec<(String, String)>")]
pub(super) struct Flags {
    pub(super) deleted: bool,
    pub(super) deleted_only: bool,
    pub(super) permanent: bool,
    pub(super) verbose: bool,
    pub(super) latest_only: bool,
    pub(super) default_to_global: bool,
    pub(super) subject_prefix: String,
    /// `serialized` (Protobuf: base64 of the descriptor), `resolved` (Avro: references inlined).
    pub(super) format: String,
    /// Only versions of this subject.
    pub(super) subject: Option<String>,
}

impl From<Vec<(String, String)>> for Flags {
    fn from(pairs: Vec<(String, String)>) -> Self {
        let mut flags = Self::default();
        for (name, value) in pairs {
            let yes = value.eq_ignore_ascii_case("true");
            match name.as_str() {
                "deleted" => flags.deleted = yes,
                "deletedOnly" => flags.deleted_only = yes,
                "permanent" => flags.permanent = yes,
                "verbose" => flags.verbose = yes,
                "latestOnly" => flags.latest_only = yes,
                "defaultToGlobal" => flags.default_to_global = yes,
                "format" => flags.format = value,
                "subjectPrefix" => flags.subject_prefix = value,
                "subject" => flags.subject = Some(value).filter(|s| !s.is_empty()),
                _ => {}
            }
        }
        flags
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    schema: Option<String>,
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<BodyReference>>,
    id: Option<i64>,
    version: Option<i64>,
}

#[derive(Deserialize)]
struct BodyReference {
    name: String,
    subject: String,
    version: i64,
}

pub(super) fn sent(body: &[u8]) -> Answer<Sent> {
    let body: Body = serde_json::from_slice(body)
        .map_err(|e| ApiError::new(400, 400, format!("Unrecognized request body: {e}")))?;
    let language = match body.schema_type.as_deref() {
        None | Some("") => Language::Avro,
        Some(name) => Language::from_name(name).ok_or_else(|| {
            ApiError::invalid_schema(&format!(
                "schema type {name}, AVRO, PROTOBUF or JSON required"
            ))
        })?,
    };
    let text = body.schema.filter(|text| !text.trim().is_empty());
    let text = text.ok_or_else(|| ApiError::invalid_schema("empty schema"))?;
    let references = body.references.unwrap_or_default();
    Ok(Sent {
        language,
        text,
        references: references.into_iter().map(reference).collect::<Answer<_>>()?,
        id: body.id.filter(|&id| id >= 0).map(positive).transpose()?,
        version: body.version.filter(|&v| v > 0).map(positive).transpose()?,
    })
}

fn reference(body: BodyReference) -> Answer<RefTo> {
    let version = if body.version == -1 { LATEST } else { positive(body.version)? };
    Ok(RefTo { name: body.name, subject: body.subject, version })
}

fn positive(value: i64) -> Answer<u32> {
    i32::try_from(value).ok().filter(|&v| v > 0).map(i32::unsigned_abs).ok_or_else(|| {
        ApiError::new(
            422,
            42202,
            format!("The specified version '{value}' is not a valid version id."),
        )
    })
}

pub(super) fn number(id: &str) -> Answer<u32> {
    id.parse().map_err(|_| ApiError::new(404, 404, "HTTP 404 Not Found"))
}

pub(super) fn text(stored: &Stored) -> Response {
    let media = match stored.schema.parsed {
        Parsed::Protobuf(_) => "text/plain",
        Parsed::Avro(_) | Parsed::Json(_) => MEDIA_TYPE,
    };
    ([(header::CONTENT_TYPE, media)], stored.text.clone()).into_response()
}

/// What every answer says of a schema: Avro is not named, empty lists are left out.
pub(super) fn schema_json(stored: &Stored) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("schema".into(), json!(stored.text));
    out.insert("guid".into(), json!(stored.guid));
    if stored.language != Language::Avro {
        out.insert("schemaType".into(), json!(stored.language.name()));
    }
    if !stored.references.is_empty() {
        let references = stored.references.iter().map(|r| {
            let version = if r.version == LATEST { -1 } else { i64::from(r.version) };
            json!({ "name": r.name, "subject": r.subject, "version": version })
        });
        out.insert("references".into(), references.collect());
    }
    out
}

pub(super) fn version_json(subject: &str, version: &Version) -> Map<String, Value> {
    let mut out = schema_json(&version.stored);
    out.insert("subject".into(), json!(subject));
    out.insert("version".into(), json!(version.version));
    out.insert("id".into(), json!(version.stored.id));
    if version.deleted {
        out.insert("deleted".into(), json!(true));
    }
    out
}

/// The answer, its text in the form that was asked for.
pub(super) fn in_format(mut answer: Map<String, Value>, stored: &Stored, flags: &Flags) -> Value {
    let text = match (&stored.schema.parsed, flags.format.as_str()) {
        // A file with an edition stands in the pool as proto2, which is not what was registered: its
        // answer keeps the text.
        (Parsed::Protobuf(file), "serialized") if file.facts.editions.is_empty() => {
            Some(base64::engine::general_purpose::STANDARD.encode(file.encode_to_vec()))
        }
        (Parsed::Avro(avro), "resolved") => Some(avro.json.clone()),
        _ => None,
    };
    if let Some(text) = text {
        answer.insert("schema".into(), json!(text));
    }
    Value::Object(answer)
}
