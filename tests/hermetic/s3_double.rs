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
    /// Refused with this status and no body.
    Bare(u16),
    /// Applied, and the connection breaks.
    Lost,
    /// Not applied; status 200 and an error in the body.
    ErrorIn200(&'static str),
    /// Applied; the answer's body is cut in the middle.
    Truncated,
    /// Applied; status 200 and an empty body.
    Empty,
    /// Applied, and the connection is closed without a byte of an answer.
    AppliedCut,
    /// Not applied, and the connection is closed.
    Cut,
    /// The connection is closed; applied after so many more requests.
    Late(u64),
    /// Applied; the answer names another ETag.
    WrongEtag,
    /// Not applied; redirected to where nobody listens.
    Redirect,
}

/// What [`Double::chance`] chooses from.
pub const LIES: [Trouble; 13] = [
    Trouble::Status(503, "SlowDown"),
    Trouble::Status(500, "InternalError"),
    Trouble::Status(429, "TooManyRequests"),
    Trouble::Status(409, "OperationAborted"),
    Trouble::Status(400, "RequestTimeout"),
    Trouble::Status(403, "RequestTimeTooSkewed"),
    Trouble::ErrorIn200("InternalError"),
    Trouble::Truncated,
    Trouble::Lost,
    Trouble::AppliedCut,
    Trouble::Cut,
    Trouble::Late(9),
    Trouble::Redirect,
];

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
    chance: Option<(Seeded, u64, &'static [Trouble])>,
    late: Vec<Late>,
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
    /// The bucket's lifecycle rules, in XML.
    pub lifecycle: Option<String>,
    /// Listings tell what was there at this moment.
    pub stale: Option<Vec<(String, usize)>>,
}

/// A request that is applied when so many have come.
#[derive(Debug)]
struct Late {
    at: usize,
    verb: Verb,
    key: String,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
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
        const BOTH: [Trouble; 2] = [Trouble::Status(503, "SlowDown"), Trouble::Lost];
        self.inner().chance = Some((Seeded::new(seed), n, &BOTH));
    }

    /// One request in `n` for each of the `lies` meets it.
    pub fn lie(&self, seed: u64, n: u64, lies: &'static [Trouble]) {
        self.inner().chance = Some((Seeded::new(seed), n, lies));
    }

    /// From here on nothing goes wrong, and nothing is under way.
    pub fn calm(&self) {
        let mut inner = self.inner();
        inner.chance = None;
        inner.land(usize::MAX);
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
    if key.is_empty() && query.contains_key("lifecycle") {
        return match &inner.lifecycle {
            Some(xml) => xml.clone().into_response(),
            None => error(404, "NoSuchLifecycleConfiguration"),
        };
    }
    let Some(verb) = verb(&head.method, &query, &key) else {
        return error(501, "NotImplemented");
    };
    inner.seen.push((verb, key.clone(), head.headers.clone()));
    let now = inner.seen.len();
    inner.land(now);
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
        Some(Trouble::Bare(status)) => {
            return StatusCode::from_u16(status).unwrap().into_response();
        }
        Some(Trouble::ErrorIn200(code)) => {
            return (StatusCode::OK, error_body(code)).into_response();
        }
        Some(Trouble::Redirect) => {
            let to = [("location", "http://127.0.0.1:9/bucket")];
            let status = StatusCode::TEMPORARY_REDIRECT;
            return (status, to, error_body("TemporaryRedirect")).into_response();
        }
        Some(Trouble::Cut) => hang_up(inner),
        Some(Trouble::Late(after)) => {
            let at = now + after as usize;
            inner.late.push(Late { at, verb, key, query, headers: head.headers, body });
            hang_up(inner)
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
        Some(Trouble::AppliedCut) => hang_up(inner),
        Some(Trouble::WrongEtag) => {
            let mut answer = answer;
            answer.headers_mut().insert("etag", "\"ffffffffffffffff\"".parse().unwrap());
            answer
        }
        _ => answer,
    }
}

/// Ends the connection's task without a message about it.
fn hang_up(inner: MutexGuard<'_, Inner>) -> ! {
    drop(inner);
    std::panic::resume_unwind(Box::new("hung up"))
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

/// `bytes=<first>-<last>`, both in it (RFC 9110, section 14).
fn part(object: &Object, range: &str) -> Response {
    let total = object.bytes.len();
    let ends = range.strip_prefix("bytes=").and_then(|r| r.split_once('-'));
    let ends = ends.and_then(|(a, b)| Some((a.parse::<usize>().ok()?, b.parse::<usize>().ok()?)));
    let Some((first, last)) = ends else { return error(400, "InvalidArgument") };
    if first >= total {
        return error(416, "InvalidRange");
    }
    let last = last.min(total - 1);
    let headers =
        [("etag", object.etag.clone()), ("content-range", format!("bytes {first}-{last}/{total}"))];
    (StatusCode::PARTIAL_CONTENT, headers, object.bytes.slice(first..=last)).into_response()
}

impl Inner {
    fn trouble(&mut self, verb: Verb) -> Option<Trouble> {
        let mut hit = None;
        self.planned.retain_mut(|(planned, skip, trouble)| {
            if *planned == verb && *skip == 0 && hit.is_none() {
                hit = Some(*trouble);
                return false;
            }
            *skip = skip.saturating_sub(u64::from(*planned == verb && hit.is_none()));
            true
        });
        let (Some((random, n, lies)), None) = (self.chance.as_mut(), hit) else { return hit };
        match lies.get(random.below(*n) as usize).copied() {
            // Whatever body comes to a GET is what was asked for: Amazon never says otherwise.
            Some(Trouble::ErrorIn200(_) | Trouble::Truncated) if verb == Verb::Get => {
                Some(Trouble::Lost)
            }
            lie => lie,
        }
    }

    /// Applies what is late and due.
    fn land(&mut self, now: usize) {
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.late).into_iter().partition(|late| late.at <= now);
        self.late = later;
        for Late { verb, key, query, headers, body, .. } in due {
            self.apply(verb, key, &query, &headers, body);
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
                |o| match headers.get("range").and_then(|range| range.to_str().ok()) {
                    Some(range) => part(o, range),
                    None => ([("etag", o.etag.clone())], o.bytes.clone()).into_response(),
                },
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
            Verb::List if !get("delimiter").is_empty() => {
                self.folders(&get("prefix"), &get("delimiter"), &get("continuation-token"))
            }
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

    /// What a listing tells: keys and sizes.
    pub fn listed(&self) -> Vec<(String, usize)> {
        self.objects.iter().map(|(key, object)| (key.clone(), object.bytes.len())).collect()
    }

    fn list(&self, prefix: &str, token: &str) -> Response {
        let after = token.strip_prefix("after+").unwrap_or_default();
        // Small pages, so that there are several.
        let max = 7;
        let all = self.stale.clone().unwrap_or_else(|| self.listed());
        let found = all.iter().filter(|(k, _)| k.starts_with(prefix) && k.as_str() > after);
        let found: Vec<_> = found.take(max + 1).collect();
        let mut xml = "<ListBucketResult><EncodingType>url</EncodingType>".to_owned();
        if found.len() > max {
            let next =
                if self.pages_repeat { "after+" } else { &format!("after+{}", found[max - 1].0) };
            xml.push_str(&format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{next}</NextContinuationToken>"));
        }
        for (key, size) in found.into_iter().take(max) {
            let key = encode(key);
            xml.push_str(&format!("<Contents><Key>{key}</Key><Size>{size}</Size></Contents>"));
        }
        (xml + "</ListBucketResult>").into_response()
    }

    /// Objects with the delimiter after the prefix are rolled up; small pages, of both kinds together.
    fn folders(&self, prefix: &str, delimiter: &str, token: &str) -> Response {
        let after = token.strip_prefix("after+").unwrap_or_default();
        let rolled: BTreeSet<String> = self
            .objects
            .keys()
            .filter_map(|key| {
                let rest = key.strip_prefix(prefix)?;
                let end = rest.find(delimiter).map_or(rest.len(), |end| end + delimiter.len());
                Some(format!("{prefix}{}", &rest[..end]))
            })
            .filter(|name| name.as_str() > after)
            .collect();
        let mut xml = "<ListBucketResult><EncodingType>url</EncodingType>".to_owned();
        for name in rolled.iter().take(7) {
            match name.ends_with(delimiter) {
                true => xml.push_str(&format!(
                    "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>",
                    encode(name)
                )),
                false => xml.push_str(&format!(
                    "<Contents><Key>{}</Key><Size>1</Size></Contents>",
                    encode(name)
                )),
            }
        }
        if let Some(last) = rolled.iter().take(7).next_back().filter(|_| rolled.len() > 7) {
            xml.push_str(&format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>after+{last}</NextContinuationToken>"
            ));
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
