//! Texts with a form of their own: names, addresses, URLs.
//!
//! Every check gives what was required when it refuses: the end of a message.

use std::path::PathBuf;

use super::model::{Secret, SinkUrl};

pub(super) fn pipeline_name(text: &str) -> Result<(), String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    match text.len() <= 128 && text.bytes().all(legal) && !matches!(text, "." | "..") {
        true => Ok(()),
        false => Err("1 to 128 letters, digits, `.`, `_`, `-`".to_owned()),
    }
}

/// Kafka's own rule for the name of a topic.
pub(super) fn topic_name(text: &str) -> Result<(), String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    match text.len() <= 249 && text.bytes().all(legal) && !matches!(text, "." | "..") {
        true => Ok(()),
        false => Err("a topic's name (1 to 249 letters, digits, `.`, `_`, `-`)".to_owned()),
    }
}

/// `host`, `host:port`, `[::1]:port`, perhaps with a protocol before it, as librdkafka takes them.
pub(super) fn broker_address(text: &str) -> Result<(), String> {
    let address = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port))
            if !host.ends_with(':') && (!host.contains(':') || host.ends_with(']')) =>
        {
            (host, Some(port))
        }
        _ => (address, None),
    };
    let bad_port = port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0));
    match host.is_empty()
        || bad_port
        || host.contains(|c: char| c.is_whitespace() || "/@,".contains(c))
    {
        true => Err("`host:port`, comma-separated or a list,".to_owned()),
        false => Ok(()),
    }
}

pub(super) fn host_port(text: &str) -> Result<(), String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            broker_address(host).map_err(|_| required_listen())
        }
        _ => Err(required_listen()),
    }
}

fn required_listen() -> String {
    "`host:port` (`127.0.0.1:9464`, `0.0.0.0:9464`)".to_owned()
}

pub(super) type Url = (String, Option<(String, Secret)>);

/// An http or https URL, without slashes at its end, and the user in it, taken out.
pub(super) fn http_url(text: &str) -> Result<Url, String> {
    let required = || "a URL (`http://host:8081` or `https://…`)".to_owned();
    let (scheme, rest) = text.split_once("://").ok_or_else(required)?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    broker_address(host).map_err(|_| required())?;
    if !matches!(scheme, "http" | "https")
        || path.contains(['?', '#'])
        || text.contains(char::is_whitespace)
    {
        return Err(required());
    }
    let user = user.map(|user| {
        let (name, password) = user.split_once(':').unwrap_or((user, ""));
        (unescape(name), Secret::new(unescape(password)))
    });
    Ok((format!("{scheme}://{host}{}", path.trim_end_matches('/')), user))
}

/// `%XX` undone, as user information in a URL needs it.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = text.get(i + 1..i + 3).filter(|_| bytes[i] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// `s3://bucket/prefix`, `file:///absolute`, or a path.
pub(super) fn sink_url(text: &str) -> Result<SinkUrl, String> {
    let required =
        || "`s3://bucket/prefix`, `file:///absolute/folder` or a folder's path".to_owned();
    if let Some(rest) = text.strip_prefix("s3://") {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let legal = |b: u8| b.is_ascii_alphanumeric() || b".-_:/".contains(&b);
        if bucket.len() < 3 || bucket.len() > 255 || !bucket.bytes().all(legal) {
            return Err(required());
        }
        let prefix = prefix.trim_matches('/');
        let odd =
            |part: &str| matches!(part, "" | "." | "..") || part.chars().any(char::is_control);
        if !prefix.is_empty() && prefix.split('/').any(odd) {
            return Err("a prefix without empty, `.` and `..` segments".to_owned());
        }
        return Ok(SinkUrl::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() });
    }
    let path = match text.split_once("://") {
        Some(("file", path)) if path.starts_with('/') => path,
        Some(_) => return Err(required()),
        None => text,
    };
    match path.is_empty() || path.contains('\0') {
        true => Err(required()),
        false => Ok(SinkUrl::Local(PathBuf::from(path))),
    }
}
