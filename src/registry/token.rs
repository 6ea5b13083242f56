//! OAuth tokens by the client credentials grant (RFC 6749, section 4.4), for the Kafka client.
//!
//! Owns: one request, its limits, and what the answer must hold.
//! Does not own: when a token is fetched again and what waits for it (`source`).
//! Bounded by: [`WAIT_MAX`] a request, [`BODY_MAX`] bytes an answer, no redirects.
//! Absent: refresh tokens, signed assertions; the secret and the token in any message.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{StatusCode, Url};
use serde_json::Value;

use crate::clock::System;
use crate::config::{OAuth, Secret};
use crate::error::Fault;
use crate::source::codes::TOKEN;
use crate::source::kafka::{Token, TokenFetcher};

use super::client::{explain, read};

/// Longest wait for one answer, connection included.
pub const WAIT_MAX: Duration = Duration::from_secs(10);
/// Most bytes of an answer.
pub const BODY_MAX: usize = 1 << 20;
/// Longest word of the server that a message quotes, in bytes.
const QUOTE_MAX: usize = 200;

/// Fetches tokens as `source.oauth` says. Reads certificates, opens no connection.
///
/// The fetcher blocks for at most [`WAIT_MAX`]; it must not be called on a thread of an async runtime.
/// Client id and secret go in the `Authorization` header, form-encoded as the RFC says (section 2.3.1).
///
/// Error: [`TOKEN`].
pub fn fetcher(oauth: &OAuth) -> Result<TokenFetcher, Fault> {
    let client = Client::new(oauth)?;
    Ok(Arc::new(move || {
        // A runtime of its own: the caller's may end while the request is under way.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| client.fault(&format!("no runtime, {e}")))?;
        runtime.block_on(client.fetch())
    }))
}

struct Client {
    http: reqwest::Client,
    url: Url,
    /// Where tokens come from, for messages: never with a query.
    shown: String,
    authorization: HeaderValue,
    body: String,
    oauth: OAuth,
    clock: System,
}

impl Client {
    fn new(oauth: &OAuth) -> Result<Self, Fault> {
        let refused = |what: String| Fault::new(&TOKEN, what).at("source.oauth");
        let url = Url::parse(&oauth.token_url)
            .map_err(|e| refused(format!("token url: {e}, an http or https URL required")))?;
        let host = url.host_str().unwrap_or("token endpoint");
        let shown = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(WAIT_MAX)
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|e| refused(format!("token client: {}", explain(&e))))?;
        let mut pairs = vec![("grant_type", "client_credentials")];
        pairs.extend(oauth.scope.as_deref().map(|scope| ("scope", scope)));
        let user = format!("{}:{}", form(&oauth.client_id), form(oauth.client_secret.reveal()));
        let header = format!("Basic {}", BASE64_STANDARD.encode(user));
        let mut authorization = HeaderValue::from_str(&header)
            .map_err(|e| refused(format!("token credentials: {e}")))?;
        authorization.set_sensitive(true);
        Ok(Self {
            http,
            url,
            shown,
            authorization,
            body: form_pairs(&pairs),
            oauth: oauth.clone(),
            clock: System::new(),
        })
    }

    async fn fetch(&self) -> Result<Token, Fault> {
        // Taken before the request: a slow answer must not make a token live longer.
        let asked_ms = self.clock.now().wall_ms;
        let response = self
            .http
            .post(self.url.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(self.body.clone())
            .send()
            .await
            .map_err(|e| self.fault(&explain(&e.without_url())))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(self.fault(&format!(
                "answered {status}: redirects are not followed; set the last URL"
            )));
        }
        let body = read(response, BODY_MAX).await.map_err(|e| self.fault(&e))?;
        let answer = serde_json::from_slice::<Value>(&body).unwrap_or(Value::Null);
        if !status.is_success() {
            return Err(self.fault(&self.refusal(status, &answer)));
        }
        self.token(&answer, asked_ms)
    }

    /// What a successful answer must hold (RFC 6749, section 5.1).
    fn token(&self, answer: &Value, asked_ms: i64) -> Result<Token, Fault> {
        let fault = |found: &str| self.fault(&format!("answered with {found}"));
        let value = answer["access_token"]
            .as_str()
            .filter(|token| !token.is_empty())
            .ok_or_else(|| fault("no `access_token`, JSON with one required"))?;
        if !value.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(fault("an `access_token` of other characters than visible ASCII"));
        }
        let bearer = |kind: &Value| kind.as_str().is_some_and(|k| k.eq_ignore_ascii_case("bearer"));
        if !answer["token_type"].is_null() && !bearer(&answer["token_type"]) {
            return Err(fault("another `token_type`, `Bearer` required"));
        }
        let expires_ms = match seconds(&answer["expires_in"]) {
            Some(seconds) => asked_ms.saturating_add(seconds.saturating_mul(1_000)),
            None => expiry(value).ok_or_else(|| {
                fault(
                    "neither `expires_in` nor a token that says when it ends, one of them required",
                )
            })?,
        };
        if expires_ms <= asked_ms {
            return Err(fault("a token that has ended already; compare the clocks"));
        }
        Ok(Token {
            value: Secret::new(value),
            principal: self.oauth.client_id.clone(),
            expires_ms,
            extensions: self.oauth.extensions.clone().into_iter().collect(),
        })
    }

    /// An error answer in a few words (RFC 6749, section 5.2).
    fn refusal(&self, status: StatusCode, answer: &Value) -> String {
        let mut text = format!("answered {status}");
        for key in ["error", "error_description"] {
            // A server may echo what it was sent.
            let secret = self.oauth.client_secret.reveal();
            let said =
                answer[key].as_str().filter(|said| secret.is_empty() || !said.contains(secret));
            if let Some(said) = said.map(quote).filter(|said| !said.is_empty()) {
                text.push_str(&format!(", `{said}`"));
            }
        }
        text
    }

    fn fault(&self, found: &str) -> Fault {
        let text = format!("token from `{}`: {found}", self.shown);
        Fault::new(&TOKEN, text).at("source.oauth")
    }
}

/// A number of seconds; some servers write it as a text.
fn seconds(value: &Value) -> Option<i64> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Some(number as i64) // saturates; NaN is 0
}

/// When a JWT says that it ends (RFC 7519, `exp`), ms since 1970. The broker checks it, not we.
fn expiry(token: &str) -> Option<i64> {
    let claims = token.split('.').nth(1)?;
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    Some(seconds(&claims["exp"])?.saturating_mul(1_000))
}

fn quote(said: &str) -> String {
    let clean: String = said.chars().filter(|c| !c.is_control() && *c != '`').collect();
    clean[..clean.floor_char_boundary(QUOTE_MAX)].to_owned()
}

/// One text as `application/x-www-form-urlencoded` has it.
fn form(text: &str) -> String {
    // With an empty name the pair is `=` and the text.
    form_pairs(&[("", text)]).trim_start_matches('=').to_owned()
}

fn form_pairs(pairs: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse("http://form") else { return String::new() };
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_text_is_encoded_as_the_html_standard_says() {
        assert_eq!(form("a b&c=d:é+"), "a+b%26c%3Dd%3A%C3%A9%2B");
        assert_eq!(form("=="), "%3D%3D");
        assert_eq!(form_pairs(&[("a", "x y"), ("b", "")]), "a=x+y&b=");
    }

    #[test]
    fn expiry_is_read_from_the_claims() {
        // {"alg":"none"} . {"exp":1700000000}
        assert_eq!(
            expiry("eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDB9."),
            Some(1_700_000_000_000)
        );
        assert_eq!(expiry("opaque"), None);
        assert_eq!(expiry("a.b.c"), None);
    }
}
