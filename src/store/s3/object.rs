//! Whole objects: small ones of state, and what there is.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::EncodingType;
use bytes::{Bytes, BytesMut};

use crate::error::Fault;
use crate::flaw::{Flaw, planted};
use crate::store::codes::REFUSED;
use crate::store::{
    Entry, FOLDERS_MAX, GET_BYTES_MAX, Orphan, Page, Put, TOO_LARGE, UNREACHABLE, Verb, key, part,
};

use super::S3;
use super::call::Answer;
use super::errors::{Failure, failure};
use super::options::decode;
use super::upload::TOKEN;

/// What a HEAD says.
#[derive(Debug)]
pub struct Found {
    pub bytes: u64,
    pub token: Option<String>,
    pub modified_ms: Option<i64>,
}

impl S3 {
    /// State is not tagged and has the default storage class: lifecycle rules must leave it alone,
    /// and it is read again.
    /// As [`S3::put_create`], with the condition also where records have none: a store that knows it keeps what is
    /// there. One that refuses the request for it gets it without.
    pub async fn put_once(&self, key: &str, bytes: Bytes) -> Result<Put, Fault> {
        if !self.conditional {
            let asking = Self { conditional: true, ..self.clone() };
            match asking.put_create(key, bytes.clone()).await {
                Err(fault) if *fault.code == REFUSED => {}
                answer => return answer,
            }
        }
        self.put_create(key, bytes).await
    }

    pub async fn put_create(&self, key: &str, bytes: Bytes) -> Result<Put, Fault> {
        key::check(&self.prefix, key)?;
        let conditional = self.conditional && !planted(Flaw::PlainPutOfRecord);
        let send = || async {
            let request = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(self.full(key))
                .set_if_none_match(conditional.then(|| "*".to_owned()))
                .set_server_side_encryption(self.options.sse.clone())
                .set_ssekms_key_id(self.options.kms_key_id.clone())
                .set_bucket_key_enabled(self.options.bucket_key)
                .set_acl(self.options.acl.clone())
                .set_checksum_algorithm(self.options.checksum.clone())
                .body(ByteStream::from(bytes.clone()));
            let answer = request.send().await.map_err(failure)?;
            answer.e_tag().map(|_| ()).ok_or_else(|| Failure::body("no ETag"))
        };
        match self.call(Verb::Put, key, send).await? {
            Answer::Exists => Ok(Put::Exists),
            other => other.must(Verb::Put, key).map(|_| Put::Created),
        }
    }

    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        key::check(&self.prefix, key)?;
        let request = self.client.get_object().bucket(&self.bucket).key(self.full(key));
        let send = || async {
            let answer = request.clone().send().await.map_err(failure)?;
            body(answer, GET_BYTES_MAX).await
        };
        match self.call(Verb::Get, key, send).await? {
            Answer::Absent => Ok(None),
            other => match other.must(Verb::Get, key)? {
                Some(bytes) => Ok(Some(bytes)),
                None => Err(Fault::new(
                    &TOO_LARGE,
                    format!("object `{key}`: over {GET_BYTES_MAX} bytes, at most that read"),
                )),
            },
        }
    }

    pub async fn range(&self, key: &str, from: u64, len: usize) -> Result<Option<Bytes>, Fault> {
        key::check(&self.prefix, key)?;
        let Some(last) = (len as u64).checked_sub(1).and_then(|n| from.checked_add(n)) else {
            return Ok(self.head(key).await?.map(|_| Bytes::new()));
        };
        let request = self.client.get_object().bucket(&self.bucket).key(self.full(key));
        let request = request.range(format!("bytes={from}-{last}"));
        let send = || async {
            let answer = match request.clone().send().await {
                // The object ends before the range does begin.
                Err(e) if e.raw_response().is_some_and(|r| r.status().as_u16() == 416) => {
                    return Ok(Some(Bytes::new()));
                }
                other => other.map_err(failure)?,
            };
            let is_part = answer.content_range().is_some();
            let most = if is_part { len } else { GET_BYTES_MAX };
            let bytes = body(answer, most).await?;
            Ok(bytes.map(|bytes| if is_part { bytes } else { part(&bytes, from, len) }))
        };
        match self.call(Verb::Get, key, send).await? {
            Answer::Absent => Ok(None),
            other => match other.must(Verb::Get, key)? {
                Some(bytes) => Ok(Some(bytes)),
                None => Err(Fault::new(
                    &TOO_LARGE,
                    format!(
                        "object `{key}`: more than the {len} bytes asked for, a store that knows ranges required"
                    ),
                )),
            },
        }
    }

    pub async fn head(&self, key: &str) -> Result<Option<Entry>, Fault> {
        key::check(&self.prefix, key)?;
        let found = self.head_token(key).await?;
        Ok(found.map(|f| Entry { key: key.to_owned(), bytes: f.bytes, modified_ms: f.modified_ms }))
    }

    pub async fn head_token(&self, key: &str) -> Result<Option<Found>, Fault> {
        let request = self.client.head_object().bucket(&self.bucket).key(self.full(key));
        let send = || async {
            let answer = match request.clone().send().await.map_err(failure) {
                Ok(answer) => answer,
                Err(failure) if failure.is_mute() => return Err(self.why(key, failure).await),
                Err(failure) => return Err(failure),
            };
            let bytes = answer.content_length().and_then(|n| u64::try_from(n).ok());
            let bytes = bytes.ok_or_else(|| Failure::body("no Content-Length"))?;
            let token = answer.metadata().and_then(|m| m.get(TOKEN)).cloned();
            let modified_ms = answer.last_modified().and_then(|t| t.to_millis().ok());
            Ok(Found { bytes, token, modified_ms })
        };
        match self.call(Verb::Head, key, send).await? {
            Answer::Absent => Ok(None),
            other => other.must(Verb::Head, key).map(Some),
        }
    }

    /// A HEAD's refusal has no body, so a wrong clock looks like a missing permission. A GET of one byte is
    /// refused for the same reason, and says it.
    async fn why(&self, key: &str, mute: Failure) -> Failure {
        let request = self.client.get_object().bucket(&self.bucket).key(self.full(key));
        match request.range("bytes=0-0").send().await.map_err(failure) {
            Err(said) => said,
            Ok(_) => mute.passing(),
        }
    }

    pub async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, Fault> {
        key::check_prefix(prefix)?;
        let request = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(self.full(prefix))
            .encoding_type(EncodingType::Url)
            .set_continuation_token(next.map(str::to_owned));
        let send = || async { request.clone().send().await.map_err(failure) };
        let answer = self.call(Verb::List, prefix, send).await?.must(Verb::List, prefix)?;
        let encoded = answer.encoding_type() == Some(&EncodingType::Url);
        let mut page = Page::default();
        for object in answer.contents() {
            let full = object.key().unwrap_or_default();
            let full = if encoded { decode(full) } else { full.to_owned() };
            let Some(key) = self.relative(&full).filter(|key| key.starts_with(prefix)) else {
                continue;
            };
            let bytes = object.size().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
            let modified_ms = object.last_modified().and_then(|t| t.to_millis().ok());
            page.entries.push(Entry { key: key.to_owned(), bytes, modified_ms });
        }
        if answer.is_truncated().unwrap_or(false) {
            page.next = answer.next_continuation_token().map(str::to_owned);
            if page.next.is_none() || page.next.as_deref() == next {
                return Err(no_progress(Verb::List, prefix));
            }
        }
        Ok(page)
    }

    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        key::check_prefix(prefix)?;
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let request = self
                .client
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(self.full(prefix))
                .delimiter("/")
                .encoding_type(EncodingType::Url)
                .set_continuation_token(next.clone());
            let send = || async { request.clone().send().await.map_err(failure) };
            let answer = self.call(Verb::List, prefix, send).await?.must(Verb::List, prefix)?;
            let encoded = answer.encoding_type() == Some(&EncodingType::Url);
            for folder in answer.common_prefixes().iter().filter_map(|p| p.prefix()) {
                let full = if encoded { decode(folder) } else { folder.to_owned() };
                found.extend(self.relative(&full).map(str::to_owned));
            }
            if !answer.is_truncated().unwrap_or(false) || found.len() >= FOLDERS_MAX {
                return Ok(found);
            }
            let after = answer.next_continuation_token().map(str::to_owned);
            if after.is_none() || after == next {
                return Err(no_progress(Verb::List, prefix));
            }
            next = after;
        }
    }

    pub async fn delete(&self, key: &str) -> Result<(), Fault> {
        key::check(&self.prefix, key)?;
        let request = self.client.delete_object().bucket(&self.bucket).key(self.full(key));
        let send = || async { request.clone().send().await.map_err(failure) };
        match self.call(Verb::Delete, key, send).await? {
            Answer::Absent => Ok(()),
            other => other.must(Verb::Delete, key).map(|_| ()),
        }
    }

    /// MinIO lists an upload only when `prefix` is its whole key.
    pub async fn orphans(&self, prefix: &str) -> Result<Vec<Orphan>, Fault> {
        key::check_prefix(prefix)?;
        let request = self
            .client
            .list_multipart_uploads()
            .bucket(&self.bucket)
            .prefix(self.full(prefix))
            .encoding_type(EncodingType::Url);
        let mut found = Vec::new();
        let mut markers: Option<(String, String)> = None;
        loop {
            let mut request = request.clone();
            if let Some((key, id)) = &markers {
                request = request.key_marker(key).upload_id_marker(id);
            }
            let send = || async { request.clone().send().await.map_err(failure) };
            let verb = Verb::ListUploads;
            let answer = self.call(verb, prefix, send).await?.must(verb, prefix)?;
            let encoded = answer.encoding_type() == Some(&EncodingType::Url);
            let plain = |s: &str| if encoded { decode(s) } else { s.to_owned() };
            for upload in answer.uploads() {
                let full = plain(upload.key().unwrap_or_default());
                let (Some(key), Some(id)) = (self.relative(&full), upload.upload_id()) else {
                    continue;
                };
                found.push(Orphan {
                    key: Some(key.to_owned()),
                    id: id.to_owned(),
                    started_ms: upload.initiated().and_then(|t| t.to_millis().ok()),
                });
            }
            if !answer.is_truncated().unwrap_or(false) {
                return Ok(found);
            }
            let next = answer.next_key_marker().zip(answer.next_upload_id_marker());
            let next = next.map(|(key, id)| (plain(key), id.to_owned()));
            if next.is_none() || next == markers {
                return Err(no_progress(verb, prefix));
            }
            markers = next;
        }
    }

    pub async fn sweep(&self, orphan: &Orphan) -> Result<(), Fault> {
        match &orphan.key {
            Some(key) => self.abort(key, &orphan.id).await,
            None => Ok(()),
        }
    }
}

/// The bytes of an object; none for more than `most`.
async fn body(answer: GetObjectOutput, most: usize) -> Result<Option<Bytes>, Failure> {
    let length = answer.content_length().and_then(|n| usize::try_from(n).ok());
    let mut body = answer.body;
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(Failure::body)?);
        if bytes.len() > most {
            return Ok(None);
        }
    }
    match length {
        Some(length) if length != bytes.len() => Err(Failure::body("body cut short")),
        _ => Ok(Some(bytes.freeze())),
    }
}

#[cold]
fn no_progress(verb: Verb, prefix: &str) -> Fault {
    let request = super::errors::request(verb);
    Fault::new(
        &UNREACHABLE,
        format!(
            "{request} `{prefix}`: a page that says more follows and leads nowhere, an end required"
        ),
    )
}
