//! A small S3 in this process: path style, ten verbs, and trouble on demand.
//!
//! Written from Amazon's API reference. It takes only what that says a client sends: a signed
//! request, a whole body, parts in rising order with the ETags it gave out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use forebay::clock::Seeded;
use forebay::config;
use forebay::store::Verb;

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Refused with this status and code; nothing happens.
    Status(u16, &'static str),
    /// Applied, and the connection breaks.
    Lost,
    /// Not applied; status 200 and an error in the body.
    ErrorIn200(&'static str),
    /// Applied; the answer's body is cut in the middle.
    Truncated,
    /// Applied; status 200 and an empty body.
    Empty,
}

#[derive(Debug, Clone)]
pub struct Double {
    pub endpoint: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
pub struct Inner {
    pub objects: BTreeMap<String, Object>,
    pub uploads: BTreeMap<String, Upload>,
    completed: BTreeMap<String, String>,
    next: u64,
    planned: Vec<(Verb, u64, Trouble)>,
    chance: Option<(Seeded, u64)>,
    /// Every request: verb, key, headers.
    pub seen: Vec<(Verb, String, HeaderMap)>,
    /// Verbs that are answered with AccessDenied.
    pub denied: Vec<Verb>,
    /// As MinIO: a completed upload is not known any more. Otherwise completing again is success.
    pub forgets_uploads: bool,
    /// As s3rver: `If-None-Match` means nothing.
    pub ignores_conditions: bool,
    pub drops_metadata: bool,
    /// Every page of a listing is the first again.
    pub pages_repeat: bool,
}

#[derive(Debug, Clone)]
pub struct Object {
    pub bytes: Bytes,
    pub etag: String,
    pub metadata: BTreeMap<String, String>,
}

#[derive(Debug)]
pub struct Upload {
    pub key: String,
    metadata: BTreeMap<String, String>,
    parts: BTreeMap<u32, (Bytes, String)>,
}

impl Double {
    /// Serves bucket `bucket` on a free port until the runtime ends.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let double = Self { endpoint, inner: Arc::default() };
        let app = Router::new().fallback(handle).with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        double
    }

    pub fn sink(&self) -> config::S3 {
        config::S3 {
            endpoint: Some(self.endpoint.clone()),
            access_key_id: Some(config::Secret::new("AKIAEXAMPLE")),
            secret_access_key: Some(config::Secret::new("canary-of-a-secret")),
            part_bytes: Some(1_000),
            ..Default::default()
        }
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The request after `skip` more of this verb goes wrong so.
    pub fn plan(&self, verb: Verb, skip: u64, trouble: Trouble) {
        self.inner().planned.push((verb, skip, trouble));
    }

    /// One request in `n` fails before, and one after it was applied.
    pub fn chance(&self, seed: u64, n: u64) {
        self.inner().chance = Some((Seeded::new(seed), n));
    }

    pub fn seen(&self, verb: Verb) -> Vec<HeaderMap> {
        let inner = self.inner();
        inner.seen.iter().filter(|(v, ..)| *v == verb).map(|(.., h)| h.clone()).collect()
    }
}

async fn handle(State(double): State<Double>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 64 << 20).await else {
        return error(400, "IncompleteBody");
    };
    let mut inner = double.inner();
    let query = query(&head.uri);
    let path = decode(head.uri.path(), false);
    let key = path.strip_prefix("/bucket").map(|k| k.trim_start_matches('/').to_owned());
    let Some(key) = key else { return error(404, "NoSuchBucket") };
    let Some(verb) = verb(&head.method, &query, &key) else {
        return error(501, "NotImplemented");
    };
    inner.seen.push((verb, key.clone(), head.headers.clone()));
    let text = |name: &str| {
        head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
    };
    if !text("authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/") {
        return error(403, "AccessDenied");
    }
    if text("content-encoding").contains("aws-chunked") || !text("x-amz-trailer").is_empty() {
        return error(501, "NotImplemented");
    }
    if inner.denied.contains(&verb) {
        return error(403, "AccessDenied");
    }
    let trouble = inner.trouble(verb);
    match trouble {
        Some(Trouble::Status(status, code)) => return error(status, code),
        Some(Trouble::ErrorIn200(code)) => {
            return (StatusCode::OK, error_body(code)).into_response();
        }
        _ => {}
    }
    let answer = inner.apply(verb, key, &query, &head.headers, body);
    match trouble {
        Some(Trouble::Lost) => {
            let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
            Body::from_stream(broken).into_response()
        }
        Some(Trouble::Truncated) => {
            (StatusCode::OK, "<?xml version=\"1.0\"?><CompleteMultipartUploadResult><ETa")
                .into_response()
        }
        Some(Trouble::Empty) => StatusCode::OK.into_response(),
        _ => answer,
    }
}

fn verb(method: &Method, query: &BTreeMap<String, String>, key: &str) -> Option<Verb> {
    let has = |name| query.contains_key(name);
    Some(match method.as_str() {
        "PUT" if has("partNumber") => Verb::PutPart,
        "PUT" => Verb::Put,
        "POST" if has("uploads") => Verb::CreateUpload,
        "POST" if has("uploadId") => Verb::Complete,
        "DELETE" if has("uploadId") => Verb::Abort,
        "DELETE" => Verb::Delete,
        "HEAD" => Verb::Head,
        "GET" if key.is_empty() && has("uploads") => Verb::ListUploads,
        "GET" if key.is_empty() => Verb::List,
        "GET" => Verb::Get,
        _ => return None,
    })
}

impl Inner {
    fn trouble(&mut self, verb: Verb) -> Option<Trouble> {
        let mut hit = None;
        self.planned.retain_mut(|(planned, skip, trouble)| {
            if *planned == verb && *skip == 0 {
                hit = Some(*trouble);
                return false;
            }
            *skip -= u64::from(*planned == verb);
            true
        });
        let (Some((random, n)), None) = (self.chance.as_mut(), hit) else { return hit };
        match random.below(*n) {
            0 => Some(Trouble::Status(503, "SlowDown")),
            1 => Some(Trouble::Lost),
            _ => None,
        }
    }

    fn apply(
        &mut self,
        verb: Verb,
        key: String,
        query: &BTreeMap<String, String>,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Response {
        let get = |name: &str| query.get(name).cloned().unwrap_or_default();
        match verb {
            Verb::Put => self.put(key, headers, body),
            Verb::CreateUpload => {
                self.next += 1;
                let id = format!("upload+{}/=", self.next);
                let metadata = self.metadata(headers);
                let xml = format!(
                    "<InitiateMultipartUploadResult><Bucket>bucket</Bucket><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                self.uploads.insert(id, Upload { key, metadata, parts: BTreeMap::new() });
                xml.into_response()
            }
            Verb::PutPart => match self.uploads.get_mut(&get("uploadId")) {
                Some(upload) if upload.key == key => {
                    let etag = etag(&body);
                    let number = get("partNumber").parse().unwrap();
                    upload.parts.insert(number, (body, etag.clone()));
                    [("etag", etag)].into_response()
                }
                _ => error(404, "NoSuchUpload"),
            },
            Verb::Complete => self.complete(key, get("uploadId"), &String::from_utf8_lossy(&body)),
            Verb::Abort => match self.uploads.remove(&get("uploadId")) {
                Some(_) => StatusCode::NO_CONTENT.into_response(),
                None => error(404, "NoSuchUpload"),
            },
            Verb::Delete => {
                self.objects.remove(&key);
                StatusCode::NO_CONTENT.into_response()
            }
            Verb::Get => self.objects.get(&key).map_or_else(
                || error(404, "NoSuchKey"),
                |o| ([("etag", o.etag.clone())], o.bytes.clone()).into_response(),
            ),
            Verb::Head => match self.objects.get(&key) {
                None => StatusCode::NOT_FOUND.into_response(),
                Some(object) => {
                    let mut answer = Response::builder()
                        .header("content-length", object.bytes.len())
                        .header("etag", &object.etag);
                    for (name, value) in &object.metadata {
                        answer = answer.header(format!("x-amz-meta-{name}"), value);
                    }
                    answer.body(Body::empty()).unwrap()
                }
            },
            Verb::List => self.list(&get("prefix"), &get("continuation-token")),
            Verb::ListUploads => self.list_uploads(&get("prefix")),
        }
    }

    fn put(&mut self, key: String, headers: &HeaderMap, bytes: Bytes) -> Response {
        let create = headers.get("if-none-match").is_some_and(|v| v == "*");
        if create && !self.ignores_conditions && self.objects.contains_key(&key) {
            return error(412, "PreconditionFailed");
        }
        let (etag, metadata) = (etag(&bytes), self.metadata(headers));
        self.objects.insert(key, Object { bytes, etag: etag.clone(), metadata });
        [("etag", etag)].into_response()
    }

    fn complete(&mut self, key: String, id: String, xml: &str) -> Response {
        let done = |etag: &str| {
            format!("<?xml version=\"1.0\"?>\n<CompleteMultipartUploadResult><Key>k</Key><ETag>{etag}</ETag></CompleteMultipartUploadResult>").into_response()
        };
        let Some(upload) = self.uploads.get(&id).filter(|u| u.key == key) else {
            return match self.completed.get(&id) {
                Some(etag) if !self.forgets_uploads => done(etag),
                _ => error(404, "NoSuchUpload"),
            };
        };
        let asked: Vec<(u32, String)> = between(xml, "<Part>", "</Part>")
            .map(|part| {
                let inner = |a, b| between(part, a, b).next().unwrap_or_default();
                let etag = inner("<ETag>", "</ETag>").replace("&quot;", "\"");
                (inner("<PartNumber>", "</PartNumber>").parse().unwrap_or(0), etag)
            })
            .collect();
        if asked.is_empty() || asked.windows(2).any(|w| w[0].0 >= w[1].0) {
            return error(400, "InvalidPartOrder");
        }
        let mut bytes = Vec::new();
        for (number, etag) in &asked {
            match upload.parts.get(number) {
                Some((part, known)) if known == etag => bytes.extend_from_slice(part),
                _ => return error(400, "InvalidPart"),
            }
        }
        let etag = format!("\"{}-{}\"", etag(&bytes).trim_matches('"'), asked.len());
        let metadata = upload.metadata.clone();
        self.uploads.remove(&id);
        self.completed.insert(id, etag.clone());
        self.objects.insert(key, Object { bytes: bytes.into(), etag: etag.clone(), metadata });
        done(&etag)
    }

    fn list(&self, prefix: &str, token: &str) -> Response {
        let after = token.strip_prefix("after+").unwrap_or_default();
        // Small pages, so that there are several.
        let max = 7;
        let found =
            self.objects.iter().filter(|(k, _)| k.starts_with(prefix) && k.as_str() > after);
        let found: Vec<_> = found.take(max + 1).collect();
        let mut xml = "<ListBucketResult><EncodingType>url</EncodingType>".to_owned();
        if found.len() > max {
            let next =
                if self.pages_repeat { "after+" } else { &format!("after+{}", found[max - 1].0) };
            xml.push_str(&format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>"));
        }
        for (key, object) in found.into_iter().take(max) {
            let (key, size) = (encode(key), object.bytes.len());
            xml.push_str(&format!("<Contents><Key>{key}</Key><Size>{size}</Size></Contents>"));
        }
        (xml + "</ListBucketResult>").into_response()
    }

    fn list_uploads(&self, prefix: &str) -> Response {
        let mut xml = "<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>".to_owned();
        for (id, upload) in self.uploads.iter().filter(|(_, u)| u.key.starts_with(prefix)) {
            let key = encode(&upload.key);
            xml.push_str(&format!("<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>2026-01-02T03:04:05.000Z</Initiated></Upload>"));
        }
        (xml + "</ListMultipartUploadsResult>").into_response()
    }

    fn metadata(&self, headers: &HeaderMap) -> BTreeMap<String, String> {
        let pairs = headers.iter().filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("x-amz-meta-")?;
            Some((name.to_owned(), value.to_str().ok()?.to_owned()))
        });
        if self.drops_metadata { BTreeMap::new() } else { pairs.collect() }
    }
}

fn error(status: u16, code: &'static str) -> Response {
    (StatusCode::from_u16(status).unwrap(), error_body(code)).into_response()
}

fn error_body(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as planned</Message></Error>"
    )
}

/// Not MD5: clients may not take an ETag for one.
fn etag(bytes: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| Some(rest.split_once(close)?.0))
}

fn query(uri: &Uri) -> BTreeMap<String, String> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|p| !p.is_empty());
    let pair = |p: &str| {
        let (name, value) = p.split_once('=').unwrap_or((p, ""));
        (decode(name, true), decode(value, true))
    };
    pairs.map(pair).collect()
}

fn decode(text: &str, form: bool) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'%', [a, b, tail @ ..]) => {
                let hex = [*a, *b];
                out.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
                rest = tail;
            }
            (b'+', _) if form => out.push(b' '),
            _ => out.push(*byte),
        }
    }
    String::from_utf8(out).unwrap()
}

fn encode(text: &str) -> String {
    let plain: BTreeSet<u8> =
        (b'a'..=b'z').chain(b'A'..=b'Z').chain(b'0'..=b'9').chain(*b"-_./*").collect();
    text.bytes()
        .map(|b| match b {
            b' ' => "+".to_owned(),
            b if plain.contains(&b) => (b as char).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect()
}
