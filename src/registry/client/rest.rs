//! The calls, and what their answers mean.
//!
//! Schemas go through `schema_registry_converter`; what it has no call for goes through the same
//! transport beside it.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest_middleware::ClientWithMiddleware;
use schema_registry_converter::async_impl::schema_registry::{SrSettings, perform_sr_call};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{RawError, RawRegisteredSchema, SrCall};
use serde_json::{Value, json};

use crate::config;
use crate::error::Fault;
use crate::registry::codes::{BAD, DENIED, REFUSED, SETTINGS, SUBJECT, UNAVAILABLE, UNKNOWN};
use crate::registry::subject::path_segment;
use crate::registry::{Language, Lookup};

use super::guard;
use super::stats::Stats;
use super::transport::{Failure, Policy, Transport};
use super::{NewSchema, RefTo};

/// Where the crate believes the registry is; the transport puts the real URL in its place.
pub(super) const BASE: &str = "http://registry";
/// Version of a reference that means the latest.
pub(super) const LATEST: u32 = u32::MAX;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A schema as the registry tells it.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) id: u32,
    pub(super) subject: Option<String>,
    pub(super) version: Option<u32>,
    pub(super) language: Language,
    pub(super) text: String,
    pub(super) references: Vec<RefTo>,
}

/// A client error of the registry: its code and words.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) error_code: u32,
    pub(super) message: String,
}

pub(super) enum Trouble {
    Refused(Refusal),
    Failed(Failure),
    /// An answer of another shape than the API has.
    Shape(String),
}

pub(super) struct Rest {
    settings: SrSettings,
    http: ClientWithMiddleware,
}

impl Rest {
    pub(super) fn new(
        config: &config::Registry,
        policy: Policy,
        stats: Arc<Stats>,
    ) -> Result<Self, Fault> {
        let transport = Arc::new(Transport {
            bases: bases(&config.urls)?,
            authorization: authorization(&config.auth)?,
            headers: headers(config)?,
            policy,
            preferred: AtomicUsize::new(0),
            stats,
        });
        let settings = SrSettings::new_builder(BASE.to_owned())
            .set_timeout(config.timeout)
            .with_middleware(transport.clone().middleware())
            .build_with(http_client(config)?)
            .map_err(|e| Fault::new(&SETTINGS, format!("registry client: {e}")))?;
        let http = http_client(config)?
            .timeout(config.timeout)
            .build()
            .map_err(|e| Fault::new(&SETTINGS, format!("registry client: {e}")))?;
        let http =
            reqwest_middleware::ClientBuilder::new(http).with(transport.middleware()).build();
        Ok(Self { settings, http })
    }

    /// A schema by id, GUID, or subject and version.
    pub(super) async fn schema(&self, call: SrCall<'_>) -> Result<Raw, Trouble> {
        raw(perform_sr_call(&self.settings, call).await.map_err(trouble)?)
    }

    pub(super) async fn register(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<RawRegisteredSchema, Trouble> {
        let body = body(schema).to_string();
        let subject = path_segment(subject);
        perform_sr_call(&self.settings, SrCall::PostNew(&subject, &body)).await.map_err(trouble)
    }

    /// The version under which a subject holds exactly this schema.
    pub(super) async fn lookup(
        &self,
        subject: &str,
        schema: &NewSchema,
    ) -> Result<RawRegisteredSchema, Trouble> {
        let body = body(schema).to_string();
        let subject = path_segment(subject);
        perform_sr_call(&self.settings, SrCall::PostForVersion(&subject, &body))
            .await
            .map_err(trouble)
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.send(self.http.get(format!("{BASE}{path}"))).await
    }

    pub(super) async fn post(&self, path: &str, schema: &NewSchema) -> Result<Value, Trouble> {
        let request = self
            .http
            .post(format!("{BASE}{path}"))
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .body(body(schema).to_string());
        self.send(request).await
    }

    async fn send(&self, request: reqwest_middleware::RequestBuilder) -> Result<Value, Trouble> {
        let response = request.header(ACCEPT, MEDIA_TYPE).send().await.map_err(failed)?;
        let status = response.status();
        let bytes =
            response.bytes().await.map_err(|e| Trouble::Shape(e.without_url().to_string()))?;
        if !status.is_success() {
            let error: RawError =
                serde_json::from_slice(&bytes).map_err(|e| Trouble::Shape(e.to_string()))?;
            return Err(Trouble::Refused(Refusal {
                error_code: error.error_code,
                message: error.message,
            }));
        }
        serde_json::from_slice(&bytes).map_err(|e| Trouble::Shape(e.to_string()))
    }
}

/// The body that registers, looks up or checks a schema.
fn body(schema: &NewSchema) -> Value {
    let mut body = json!({ "schema": schema.text, "schemaType": schema.language.name() });
    if !schema.references.is_empty() {
        body["references"] = schema
            .references
            .iter()
            .map(|r| json!({ "name": r.name, "subject": r.subject, "version": r.version }))
            .collect();
    }
    body
}

fn raw(answer: RawRegisteredSchema) -> Result<Raw, Trouble> {
    let language = match answer.schema_type.as_deref() {
        None => Language::Avro,
        Some(name) => Language::from_name(name).ok_or_else(|| {
            Trouble::Shape(format!("schema type `{name}`, PROTOBUF, AVRO or JSON required"))
        })?,
    };
    let text = answer.schema.ok_or_else(|| Trouble::Shape("an answer without `schema`".into()))?;
    let references = answer.references.unwrap_or_default();
    Ok(Raw {
        id: answer.id.unwrap_or(0),
        subject: answer.subject,
        version: answer.version,
        language,
        text,
        references: references
            .into_iter()
            .map(|r| RefTo { name: r.name, subject: r.subject, version: r.version })
            .collect(),
    })
}

fn trouble(error: SRCError) -> Trouble {
    let Some(source) = std::error::Error::source(&error) else {
        return Trouble::Shape(error.error);
    };
    if let Some(refusal) = source.downcast_ref::<RawError>() {
        return Trouble::Refused(Refusal {
            error_code: refusal.error_code,
            message: refusal.message.clone(),
        });
    }
    match source.downcast_ref::<reqwest_middleware::Error>() {
        Some(error) => failure(error),
        // The body is JSON (the transport saw to that), of another shape.
        None => Trouble::Shape(innermost(source)),
    }
}

fn failed(error: reqwest_middleware::Error) -> Trouble {
    failure(&error)
}

fn failure(error: &reqwest_middleware::Error) -> Trouble {
    let failure = match error {
        reqwest_middleware::Error::Middleware(error) => error.downcast_ref::<Failure>().cloned(),
        reqwest_middleware::Error::Reqwest(_) => None,
    };
    Trouble::Failed(
        failure.unwrap_or_else(|| Failure { denied: false, message: error.to_string() }),
    )
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl Trouble {
    /// What a lookup of `what` says.
    pub(super) fn lookup(self, what: &str) -> Lookup {
        match self {
            Trouble::Failed(failure) => unavailable(what, failure),
            Trouble::Shape(found) => {
                Lookup::Bad(Fault::new(&BAD, format!("{what}: the registry answers with {found}")))
            }
            Trouble::Refused(refusal) => match refusal.error_code {
                40_401 | 40_402 | 40_404 | 40_406 => Lookup::Unknown(Fault::new(
                    &SUBJECT,
                    format!("{what}: {} (registry error {})", refusal.message, refusal.error_code),
                )),
                40_403 => Lookup::Unknown(Fault::new(
                    &UNKNOWN,
                    format!("{what}: {} (registry error {})", refusal.message, refusal.error_code),
                )),
                409 | 40_901 | 42_200..42_300 => Lookup::Bad(Fault::new(
                    &REFUSED,
                    format!("{what}: {} (registry error {})", refusal.message, refusal.error_code),
                )),
                code => Lookup::Unavailable(Fault::new(
                    &UNAVAILABLE,
                    format!("{what}: {} (registry error {code})", refusal.message),
                )),
            },
        }
    }
}

fn unavailable(what: &str, failure: Failure) -> Lookup {
    let code = if failure.denied { &DENIED } else { &UNAVAILABLE };
    Lookup::Unavailable(Fault::new(code, format!("{what}: {}", failure.message)))
}

fn bases(urls: &[String]) -> Result<Vec<reqwest::Url>, Fault> {
    let refuse = |url: &str, why: &str| -> Result<reqwest::Url, Fault> {
        Err(Fault::new(&SETTINGS, format!("registry url `{url}`: {why}")))
    };
    if urls.is_empty() {
        return Err(Fault::new(&SETTINGS, "registry url: none given, at least one required"));
    }
    urls.iter()
        .map(|text| match reqwest::Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                refuse(text, "`http` or `https` required")
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                refuse(url.host_str().unwrap_or(""), "credentials in the URL; use `registry.auth`")
            }
            Ok(url) if guard::is_forbidden_host(&url) => {
                refuse(text, "a link-local address, where clouds keep credentials")
            }
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                refuse(text, "a query or fragment, none required")
            }
            Ok(url) => Ok(url),
            Err(error) => refuse(text, &error.to_string()),
        })
        .collect()
}

fn authorization(auth: &config::RegistryAuth) -> Result<Option<HeaderValue>, Fault> {
    use base64::Engine;
    let text = match auth {
        config::RegistryAuth::None => return Ok(None),
        config::RegistryAuth::Basic { username, password } => {
            let pair = format!("{username}:{}", password.reveal());
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }
        config::RegistryAuth::Bearer(token) => format!("Bearer {}", token.reveal()),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        Fault::new(&SETTINGS, "registry credentials: characters that a header cannot carry")
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn headers(config: &config::Registry) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let bad = || {
            Fault::new(
                &SETTINGS,
                format!("registry header `{name}`: a name or value that HTTP cannot carry"),
            )
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
        let mut value = HeaderValue::from_str(value.reveal()).map_err(|_| bad())?;
        value.set_sensitive(true);
        if header == AUTHORIZATION && config.auth != config::RegistryAuth::None {
            return Err(Fault::new(
                &SETTINGS,
                "registry header `authorization`: given beside `auth`, one of both required",
            ));
        }
        headers.insert(header, value);
    }
    Ok(headers)
}

/// No redirects: credentials go to the configured servers only.
fn http_client(config: &config::Registry) -> Result<reqwest::ClientBuilder, Fault> {
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(guard::Resolver)
        .connect_timeout(config.timeout)
        .user_agent(concat!("forebay/", env!("CARGO_PKG_VERSION")));
    let pem = |what: &str, path: &str| {
        std::fs::read(path)
            .map_err(|e| Fault::new(&SETTINGS, format!("registry tls {what} `{path}`: {e}")))
    };
    let refuse = |what: &str, path: &str, e: reqwest::Error| {
        Fault::new(&SETTINGS, format!("registry tls {what} `{path}`: {e}, PEM required"))
    };
    if let Some(path) = &config.tls.ca_file {
        let certificates = reqwest::Certificate::from_pem_bundle(&pem("ca_file", path)?)
            .map_err(|e| refuse("ca_file", path, e))?;
        if certificates.is_empty() {
            return Err(Fault::new(
                &SETTINGS,
                format!(
                    "registry tls ca_file `{path}`: no certificate in it, at least one required"
                ),
            ));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    match (&config.tls.cert_file, &config.tls.key_file) {
        (Some(cert), Some(key)) => {
            let mut both = pem("cert_file", cert)?;
            both.push(b'\n');
            both.extend(pem("key_file", key)?);
            let identity = reqwest::Identity::from_pem(&both)
                .map_err(|e| refuse("cert_file and key_file", cert, e))?;
            builder = builder.identity(identity);
        }
        (None, None) => {}
        _ => {
            return Err(Fault::new(
                &SETTINGS,
                "registry tls: one of `cert_file` and `key_file`, both required",
            ));
        }
    }
    Ok(builder)
}
