//! The registry client, the embedded registry, and framed bytes, together.

pub(crate) mod client;
mod register;
mod scripted;
mod server;
mod wire;

use std::sync::OnceLock;

use forebay::registry::client::{NewSchema, RefTo};
use forebay::registry::{Language, server as embedded};

pub(crate) fn schema(language: Language, text: &str) -> NewSchema {
    NewSchema { language, text: text.to_owned(), references: Vec::new() }
}

pub(crate) fn referring(language: Language, text: &str, to: &[(&str, &str, u32)]) -> NewSchema {
    let references = to
        .iter()
        .map(|&(name, subject, version)| RefTo {
            name: name.to_owned(),
            subject: subject.to_owned(),
            version,
        })
        .collect();
    NewSchema { references, ..schema(language, text) }
}

pub(crate) async fn start() -> embedded::Handle {
    embedded::start("127.0.0.1:0").await.unwrap()
}

/// One request, its status and its JSON.
pub(crate) async fn call(
    method: reqwest::Method,
    url: String,
    body: Option<serde_json::Value>,
) -> (u16, serde_json::Value) {
    // One client for all tests (a new one reads the machine's certificates), without kept
    // connections: each test has a runtime of its own.
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    let client = CLIENT
        .get_or_init(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap());
    let mut request = client.request(method, url);
    if let Some(body) = body {
        request = request
            .header("content-type", "application/vnd.schemaregistry.v1+json")
            .body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let media = response.headers()["content-type"].to_str().unwrap().to_owned();
    let text = response.text().await.unwrap();
    assert_eq!(media, "application/vnd.schemaregistry.v1+json", "{text}");
    (status, serde_json::from_str(&text).unwrap())
}
