//! OAuth tokens from a server that follows a script.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use forebay::clock::System;
use forebay::config::{OAuth, Secret};
use forebay::error::Fault;
use forebay::registry::token::{BODY_MAX, fetcher};
use forebay::source::kafka::Token;

const SECRET: &str = "s3cr t&+/é";

struct Asked {
    headers: HeaderMap,
    body: String,
}

/// An identity provider with one answer, and what it was asked.
struct Provider {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    _runtime: tokio::runtime::Runtime,
}

fn provider(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> Provider {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let handler = move |headers: HeaderMap, body: Bytes| async move {
        log.lock()
            .unwrap()
            .push(Asked { headers, body: String::from_utf8(body.to_vec()).unwrap() });
        answer()
    };
    let router = Router::new().route("/oauth/token", post(handler));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}/oauth/token", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, router).await });
    Provider { url, asked, _runtime: runtime }
}

fn oauth(url: &str) -> OAuth {
    OAuth {
        token_url: url.to_owned(),
        client_id: "forebay client".to_owned(),
        client_secret: Secret::new(SECRET),
        scope: Some("kafka read".to_owned()),
        extensions: BTreeMap::from([("logicalCluster".to_owned(), "lkc-1".to_owned())]),
    }
}

fn fetch(url: &str) -> Result<Token, Fault> {
    fetcher(&oauth(url)).unwrap()()
}

fn json(status: u16, body: &'static str) -> impl Fn() -> Response + Clone + Send + Sync + 'static {
    move || {
        let kind = [(header::CONTENT_TYPE, "application/json")];
        (StatusCode::from_u16(status).unwrap(), kind, body).into_response()
    }
}

/// The fault of an answer: always FB0514, never with the secret.
fn fault(status: u16, body: &'static str) -> String {
    refused(&provider(json(status, body)).url)
}

fn refused(url: &str) -> String {
    let fault = fetch(url).unwrap_err();
    assert_eq!(fault.code.id, "FB0514");
    assert!(!fault.to_string().contains(SECRET), "{fault}");
    fault.to_string()
}

#[test]
fn token_is_asked_for_as_the_rfc_says() {
    let provider =
        provider(json(200, r#"{"access_token":"abc.def","token_type":"bearer","expires_in":300}"#));
    let before_ms = System::new().now().wall_ms;
    let token = fetch(&provider.url).unwrap();
    let after_ms = System::new().now().wall_ms;
    assert_eq!(token.value.reveal(), "abc.def");
    assert_eq!(token.principal, "forebay client");
    assert_eq!(token.extensions, [("logicalCluster".to_owned(), "lkc-1".to_owned())]);
    assert!((before_ms + 300_000..=after_ms + 300_000).contains(&token.expires_ms));

    let asked = provider.asked.lock().unwrap();
    assert_eq!(asked.len(), 1);
    // RFC 6749, sections 2.3.1 and 4.4.2: both parts form-encoded, then joined, then base64.
    let basic = asked[0].headers["authorization"].to_str().unwrap().strip_prefix("Basic ").unwrap();
    let basic = String::from_utf8(BASE64_STANDARD.decode(basic).unwrap()).unwrap();
    assert_eq!(basic, "forebay+client:s3cr+t%26%2B%2F%C3%A9");
    assert_eq!(asked[0].headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(asked[0].body, "grant_type=client_credentials&scope=kafka+read");
}

#[test]
fn token_without_expires_in_lives_as_long_as_its_claims_say() {
    // {"alg":"none"} . {"exp":4102444800}: the first of January 2100.
    let token = "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.";
    let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer"}}"#);
    let provider = provider(json(200, Box::leak(body.into_boxed_str())));
    assert_eq!(fetch(&provider.url).unwrap().expires_ms, 4_102_444_800_000);
}

#[test]
fn answer_that_is_no_token_is_refused_by_what_is_wrong() {
    assert!(fault(200, "<html>").contains("no `access_token`"));
    assert!(fault(200, r#"{"access_token":""}"#).contains("no `access_token`"));
    assert!(fault(200, r#"{"access_token":7}"#).contains("no `access_token`"));
    assert!(fault(200, r#"{"access_token":"a\nb","expires_in":1}"#).contains("visible ASCII"));
    assert!(
        fault(200, r#"{"access_token":"a","token_type":"mac","expires_in":1}"#)
            .contains("`Bearer` required")
    );
    assert!(fault(200, r#"{"access_token":"a"}"#).contains("neither `expires_in`"));
    assert!(fault(200, r#"{"access_token":"a","expires_in":0}"#).contains("has ended already"));
    assert!(fault(200, r#"{"access_token":"a","expires_in":"-5"}"#).contains("has ended already"));
}

#[test]
fn refusal_of_the_server_is_quoted_without_the_secret() {
    let text = fault(401, r#"{"error":"invalid_client","error_description":"no `such` client"}"#);
    assert!(text.contains("401 Unauthorized, `invalid_client`, `no such client`"), "{text}");
    let echo = Box::leak(format!(r#"{{"error":"x {SECRET}"}}"#).into_boxed_str());
    assert!(fault(400, echo).contains("answered 400"));
    assert!(fault(500, "boom").contains("answered 500"));
}

#[test]
fn redirect_is_not_followed() {
    let target = provider(json(200, r#"{"access_token":"a","expires_in":60}"#));
    let to = target.url.clone();
    let from = provider(move || {
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to.clone())]).into_response()
    });
    assert!(refused(&from.url).contains("redirects are not followed"));
    assert!(target.asked.lock().unwrap().is_empty());
}

#[test]
fn answer_over_the_limit_is_cut_off() {
    let provider = provider(|| vec![b' '; BODY_MAX + 1].into_response());
    assert!(refused(&provider.url).contains("more than 1048576 bytes"));
}

#[test]
fn server_that_is_not_there_is_named() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = refused(&format!("http://{free}/token?tenant=hidden"));
    assert!(text.contains(&format!("`{free}`: cannot be reached")), "{text}");
    assert!(!text.contains("hidden"), "{text}");
}
