//! One call → one answer: tries, URLs, limits. Runs below `schema_registry_converter` as a
//! middleware, so that its calls and ours behave alike.
//!
//! Owns: retries with jitter on what passes by itself, `Retry-After`, the order of URLs, credentials,
//! the cap on a body, and telling an answer of a registry from anything else.
//! Does not own: what an answer means (`rest`).
//! Bounded by: [`BODY_MAX`] bytes a body, [`Policy`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http;
use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Request, Response, StatusCode, Url};
use reqwest_middleware::{Middleware, Next};

use crate::clock;

use super::stats::{Outcome, Stats, Verb};

/// Most bytes of one answer.
pub const BODY_MAX: usize = 8 << 20;

/// How often and how long.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Rounds over all URLs; at least 1.
    pub rounds: u32,
    /// First wait between rounds; doubles, half of it random.
    pub base: Duration,
    /// Longest wait between rounds. A registry that asks for more (`Retry-After`) is given up on,
    /// and the caller comes back.
    pub cap: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { rounds: 4, base: Duration::from_millis(200), cap: Duration::from_secs(5) }
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// 401 or 403: waiting does not help.
    pub(super) denied: bool,
    pub(super) message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// A failure, and whether the next round may be better.
struct Miss {
    failure: Failure,
    again: bool,
    /// What the registry asked for.
    after: Option<Duration>,
}

pub(super) struct Transport {
    pub(super) bases: Vec<Url>,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) headers: HeaderMap,
    pub(super) policy: Policy,
    /// The URL that answered last: asked first.
    pub(super) preferred: AtomicUsize,
    pub(super) stats: Arc<Stats>,
}

impl Transport {
    /// This transport as a middleware of both clients.
    pub(super) fn middleware(self: Arc<Self>) -> impl Middleware {
        constrain(move |request, extensions, next| {
            let this = self.clone();
            Box::pin(async move { this.run(request, extensions, next).await })
        })
    }

    async fn run(
        &self,
        request: Request,
        extensions: &mut http::Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let verb = Verb::of(&request);
        let mut failure = Failure { denied: false, message: "no URL to ask".to_owned() };
        let mut wait = Some(Duration::ZERO);
        for round in 0..self.policy.rounds.max(1) {
            let Some(time) = wait else { break };
            clock::sleep(time).await;
            let (mut again, mut after) = (false, None);
            let first = self.preferred.load(Ordering::Relaxed);
            for i in 0..self.bases.len() {
                let index = (first + i) % self.bases.len();
                let Some(request) = self.aim(&request, index) else { continue };
                match once(request, extensions, next.clone()).await {
                    Ok(answer) => {
                        self.preferred.store(index, Ordering::Relaxed);
                        self.stats.count(verb, Outcome::of(answer.status()));
                        return Ok(answer);
                    }
                    Err(miss) => {
                        self.stats.count(verb, Outcome::Failed);
                        again |= miss.again;
                        after = after.max(miss.after);
                        failure = miss.failure;
                    }
                }
            }
            wait = self.wait_after(round, after).filter(|_| again);
        }
        Err(reqwest_middleware::Error::middleware(failure))
    }

    /// How long to wait after a round that failed; none to give up, because the registry asks for
    /// more patience than a caller has.
    fn wait_after(&self, round: u32, asked: Option<Duration>) -> Option<Duration> {
        let own = clock::backoff(self.policy.base, self.policy.cap, round);
        match asked {
            Some(asked) if asked > self.policy.cap => None,
            Some(asked) => Some(asked.max(own)),
            None => Some(own),
        }
    }

    /// The request for one of the URLs. The crate was given the placeholder [`super::rest::BASE`].
    fn aim(&self, request: &Request, index: usize) -> Option<Request> {
        let base = self.bases.get(index)?;
        let mut request = request.try_clone()?;
        let mut url = base.clone();
        let path = request.url().path().to_owned();
        url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
        url.set_query(request.url().query());
        if wants_deleted(&request, &path) {
            url.query_pairs_mut().append_pair("deleted", "true");
        }
        *request.url_mut() = url;
        let headers = request.headers_mut();
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        Some(request)
    }
}

/// Records outlive the subjects they were written for: a numbered version is read even when it was
/// soft-deleted since.
fn wants_deleted(request: &Request, path: &str) -> bool {
    let Some((head, version)) = path.rsplit_once('/') else { return false };
    request.method() == reqwest::Method::GET
        && head.ends_with("/versions")
        && version.bytes().all(|b| b.is_ascii_digit())
}

/// One try at one URL.
async fn once(
    request: Request,
    extensions: &mut http::Extensions,
    next: Next<'_>,
) -> Result<Response, Miss> {
    let host = request.url().host_str().unwrap_or("registry").to_owned();
    let miss = |again, message: String| Miss {
        failure: Failure { denied: false, message: format!("`{host}` {message}") },
        again,
        after: None,
    };
    let response = next.run(request, extensions).await.map_err(|e| match e {
        reqwest_middleware::Error::Reqwest(e) => miss(!e.is_timeout(), explain(&e.without_url())),
        other => miss(false, other.to_string()),
    })?;
    let status = response.status();
    let after = retry_after(response.headers());
    let body = read(response, BODY_MAX).await.map_err(|message| miss(true, message))?;
    if is_answer(status, &body) {
        return Ok(answer(status, body));
    }
    Err(match status.as_u16() {
        401 | 403 => Miss {
            failure: Failure { denied: true, message: format!("`{host}` answered {status}") },
            again: false,
            after: None,
        },
        408 | 425 | 429 | 500..=599 => Miss { after, ..miss(true, format!("answered {status}")) },
        300..=399 => miss(false, format!("answered {status}: redirects are not followed")),
        200..=299 => miss(true, format!("answered {status} with {}, JSON required", sketch(&body))),
        _ => miss(
            false,
            format!("answered {status} with {}, an error of a registry required", sketch(&body)),
        ),
    })
}

/// A registry's own words: JSON with 2xx, or a client error that carries an error code of the
/// registry. (404 of a wrong path, or of a proxy, does not say that a schema is unknown.)
fn is_answer(status: StatusCode, body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Error {
        error_code: u32,
    }
    match status.as_u16() {
        200..=299 => serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok(),
        404 | 409 | 422 => serde_json::from_slice::<Error>(body)
            .is_ok_and(|e| e.error_code == 409 || (40_000..50_000).contains(&e.error_code)),
        _ => false,
    }
}

/// The whole body, as far as it is allowed to go. The client's timeout covers this too.
pub(in crate::registry) async fn read(
    mut response: Response,
    bytes_max: usize,
) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > bytes_max => {
                return Err(format!("answered with more than {bytes_max} bytes"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(explain(&error.without_url())),
        }
    }
}

/// The answer again, its body read. A negative version of a reference means "latest"; the crate
/// reads versions as `u32`, where the greatest stands for it ([`super::rest::LATEST`]).
fn answer(status: StatusCode, body: Vec<u8>) -> Response {
    let body = latest_as_number(&body).unwrap_or(body);
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    Response::from(response)
}

fn latest_as_number(body: &[u8]) -> Option<Vec<u8>> {
    // Looked for as text first: nearly no answer has one.
    if !body.windows(10).any(|w| w == b"\"version\":") || !body.contains(&b'-') {
        return None;
    }
    let mut value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut changed = false;
    for reference in value.get_mut("references")?.as_array_mut()? {
        let version = reference.get_mut("version")?;
        if version.as_i64().is_some_and(|v| v < 0) {
            *version = super::rest::LATEST.into();
            changed = true;
        }
    }
    if !changed {
        return None;
    }
    serde_json::to_vec(&value).ok()
}

/// Seconds, as registries send them; a date is not read, and the usual wait holds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What a body is, without quoting it: it may hold anything.
fn sketch(body: &[u8]) -> String {
    let start = body.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(body.len());
    let kind = match &body[start..] {
        [] => "an empty body",
        [b'<', ..] => "a page of markup",
        [b'{' | b'[', ..] => "a body of JSON that is cut or no answer",
        _ => "a body that is no JSON",
    };
    format!("{kind} ({} bytes)", body.len())
}

/// An error with its causes: reqwest says only the outermost.
pub(in crate::registry) fn explain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "did not answer in time".to_owned();
    }
    let mut text = if error.is_connect() {
        "cannot be reached".to_owned()
    } else {
        "did not answer".to_owned()
    };
    let mut source = std::error::Error::source(error);
    let mut innermost = None;
    while let Some(error) = source {
        innermost = Some(error.to_string());
        source = error.source();
    }
    if let Some(cause) = innermost {
        text.push_str(": ");
        text.push_str(&cause);
    }
    text
}

/// Fixes the lifetimes of a closure to those of a middleware.
fn constrain<F>(f: F) -> F
where
    F: Send
        + Sync
        + 'static
        + for<'a> Fn(
            Request,
            &'a mut http::Extensions,
            Next<'a>,
        ) -> BoxFuture<'a, reqwest_middleware::Result<Response>>,
{
    f
}
