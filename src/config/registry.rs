//! The section `registry`.

use std::collections::BTreeMap;

use super::build::secrets;
use super::forms::http_url;
use super::model::*;
use super::values::{Values, printable};
use super::{CONFLICT, MISSING, VALUE};

pub(super) fn registry(v: &mut Values<'_>) -> Registry {
    let mut urls = Vec::new();
    let mut in_url = None;
    for value in v.texts("registry.url").unwrap_or_default() {
        match http_url(&value.text) {
            Ok((url, user)) => {
                if in_url.is_some() && user.is_some() && in_url != user {
                    v.find(&CONFLICT, "registry.url", Some(value.line), "users of several registry URLs: different ones found, one for all required".to_owned());
                }
                in_url = in_url.or(user);
                urls.push(url);
            }
            Err(required) => v.wrong_value("registry.url", &value, &required),
        }
    }
    Registry {
        urls,
        auth: registry_auth(v, in_url),
        tls: Tls {
            ca_file: v.text("registry.tls.ca_file"),
            cert_file: v.text("registry.tls.cert_file"),
            key_file: v.text("registry.tls.key_file"),
        },
        headers: headers(v),
        subject_name_strategy: v
            .choice(
                "registry.subject_name_strategy",
                &[
                    ("topic", SubjectNameStrategy::Topic),
                    ("record", SubjectNameStrategy::Record),
                    ("topic_record", SubjectNameStrategy::TopicRecord),
                ],
            )
            .unwrap_or(SubjectNameStrategy::Topic),
        unknown_id_grace: v.duration("registry.unknown_id_grace").unwrap_or_default(),
        timeout: v.duration("registry.timeout").unwrap_or_default(),
    }
}

fn registry_auth(v: &mut Values<'_>, in_url: Option<(String, Secret)>) -> RegistryAuth {
    let username = v.text("registry.auth.username");
    let password = v.secret("registry.auth.password");
    let bearer = v.secret("registry.auth.bearer");
    let ways = [username.is_some() || password.is_some(), bearer.is_some(), in_url.is_some()];
    if ways.iter().filter(|way| **way).count() > 1 {
        let line = v.line("registry.auth");
        v.find(&CONFLICT, "registry.auth", line, "registry credentials: several found (user name, bearer token, user in the URL), one required".to_owned());
    }
    match (username, password, bearer, in_url) {
        (_, _, Some(token), _) => RegistryAuth::Bearer(token),
        (Some(username), Some(password), ..) => RegistryAuth::Basic { username, password },
        (Some(_), None, ..) => half(v, "registry.auth.password", "registry.auth.username"),
        (None, Some(_), ..) => half(v, "registry.auth.username", "registry.auth.password"),
        (None, None, None, Some((username, password))) => {
            RegistryAuth::Basic { username, password }
        }
        (None, None, None, None) => RegistryAuth::None,
    }
}

fn half(v: &mut Values<'_>, missing: &str, given: &str) -> RegistryAuth {
    if v.node(missing).is_none() {
        v.find(
            &MISSING,
            missing,
            None,
            format!("option `{missing}`: not set, required beside `{given}`"),
        );
    }
    RegistryAuth::None
}

fn headers(v: &mut Values<'_>) -> BTreeMap<String, Secret> {
    let pairs = v.pairs("registry.headers");
    for (name, value) in &pairs {
        let path = format!("registry.headers.{name}");
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            v.find(
                &VALUE,
                &path,
                Some(value.line),
                format!(
                    "header name `{}`: a name of letters, digits and `-` required",
                    printable(name)
                ),
            );
        }
        if value.text.bytes().any(|b| b < 0x20 && b != b'\t' || b == 0x7f) {
            v.wrong_value(&path, value, "a text without control characters");
        }
    }
    secrets(pairs)
}
