//! Multipart uploads: staged part by part, visible when completed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::config::Config;
use aws_sdk_s3::operation::upload_part::UploadPartOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;

use crate::clock;
use crate::crash::{self, Point};
use crate::error::Fault;
use crate::store::{FOREIGN, HANDLE, Handle, LOST, PART, Staged, Upload, Verb};

use super::S3;
use super::call::Answer;
use super::errors::{Failure, failure};
use super::object::Found;
use super::options::{completing, sending, timeouts};

/// Name of the user metadata that holds a file's token.
pub const TOKEN: &str = "forebay-upload";

/// Most parts of an upload.
const PARTS_MAX: usize = 10_000;

/// How often a completion is tried and its key looked at before a file is called lost: one whose answer was lost
/// can still be under way, and a store may not know a live upload for a moment.
const LOOKS: u32 = 5;

impl S3 {
    pub async fn part(&self, upload: &mut Upload, bytes: Bytes) -> Result<(), Fault> {
        if bytes.len() < self.part_bytes() {
            return Err(Fault::new(
                &PART,
                format!(
                    "part of `{}`: {} bytes, {} required",
                    upload.key,
                    bytes.len(),
                    self.part_bytes()
                ),
            ));
        }
        self.send(upload, bytes).await
    }

    pub async fn finish(&self, upload: &mut Upload, tail: Bytes) -> Result<(), Fault> {
        let Handle::S3 { etags, .. } = &upload.handle else { return Err(other_store()) };
        // An upload has at least one part, be it empty.
        if tail.is_empty() && !etags.is_empty() { Ok(()) } else { self.send(upload, tail).await }
    }

    async fn send(&self, upload: &mut Upload, bytes: Bytes) -> Result<(), Fault> {
        let Handle::S3 { upload_id, etags, checksums, token } = &mut upload.handle else {
            return Err(other_store());
        };
        if etags.len() >= PARTS_MAX {
            return Err(Fault::new(
                &PART,
                format!(
                    "upload of `{}`: more than {PARTS_MAX} parts, at most that many required",
                    upload.key
                ),
            ));
        }
        if upload_id.is_empty() {
            *upload_id = self.create(&upload.key, token).await?;
            crash::point(Point::UploadCreated);
        }
        let sent = bytes.len() as u64;
        let number = etags.len() as i32 + 1;
        let (etag, checksum) = self.put_part(&upload.key, upload_id, number, bytes).await?;
        etags.push(etag);
        checksums.extend(checksum);
        upload.bytes += sent;
        Ok(())
    }

    async fn create(&self, key: &str, token: &str) -> Result<String, Fault> {
        let options = &self.options;
        let request = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(key))
            .metadata(TOKEN, token)
            .set_server_side_encryption(options.sse.clone())
            .set_ssekms_key_id(options.kms_key_id.clone())
            .set_bucket_key_enabled(options.bucket_key)
            .set_acl(options.acl.clone())
            .set_storage_class(options.storage_class.clone())
            .set_tagging(options.tagging.clone())
            .set_checksum_algorithm(options.checksum.clone());
        let verb = Verb::CreateUpload;
        let send = || async {
            let answer = request.clone().send().await.map_err(failure)?;
            let id = answer.upload_id().filter(|id| !id.is_empty());
            id.map(str::to_owned).ok_or_else(|| Failure::body("no upload id"))
        };
        self.call(verb, key, send).await?.must(verb, key)
    }

    async fn put_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        bytes: Bytes,
    ) -> Result<(String, Option<String>), Fault> {
        let deadline = timeouts(sending(bytes.len()));
        let send = || async {
            let request = self
                .client
                .upload_part()
                .bucket(&self.bucket)
                .key(self.full(key))
                .upload_id(upload_id)
                .part_number(number)
                .set_checksum_algorithm(self.options.checksum.clone())
                .body(ByteStream::from(bytes.clone()));
            let slow = Config::builder().timeout_config(deadline.clone());
            let answer = request.customize().config_override(slow).send().await.map_err(failure)?;
            let etag = answer.e_tag().ok_or_else(|| Failure::body("no ETag"))?;
            Ok((etag.to_owned(), checksum(&answer)))
        };
        self.call(Verb::PutPart, key, send).await?.must(Verb::PutPart, key)
    }

    pub async fn publish(&self, staged: &Staged) -> Result<(), Fault> {
        self.publish_looking(staged, LOOKS).await
    }

    /// As [`S3::publish`], looking for the object so many times before it is called lost.
    pub async fn publish_looking(&self, staged: &Staged, looks: u32) -> Result<(), Fault> {
        let Handle::S3 { upload_id, etags, checksums, token } = &staged.handle else {
            return Err(other_store());
        };
        crate::store::key::check(&self.prefix, &staged.key)?;
        let parts = etags.iter().enumerate().map(|(i, etag)| {
            let part = CompletedPart::builder().part_number(i as i32 + 1).e_tag(etag);
            checksums.get(i).map_or(part.clone(), |c| with_checksum(part, c)).build()
        });
        let request = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(&staged.key))
            .upload_id(upload_id)
            .multipart_upload(
                CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build(),
            );
        let (request, sent) = (&request, &AtomicBool::new(false));
        let send = || async move {
            // The answer before may be lost and the object there: readers may have moved it away soon after, and a
            // store that forgets no upload would bring it back.
            let again = sent.swap(true, Ordering::Relaxed);
            if again && self.is_there(staged, token).await == Ok(true) {
                return Ok(true);
            }
            let slow = Config::builder().timeout_config(timeouts(completing(etags.len())));
            let done = request.clone().customize().config_override(slow).send().await;
            done.map(|done| done.e_tag().is_some()).map_err(failure)
        };
        let key = &staged.key;
        for attempt in 0..looks {
            match self.call(Verb::Complete, key, send).await? {
                Answer::Ok(true) => return Ok(()),
                // Some answers say 200 and nothing more; and an upload is gone also when it is done.
                Answer::Ok(_) | Answer::NoUpload | Answer::Absent | Answer::Exists => {}
            }
            match self.is_there(staged, token).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // Some answers are no object's: another file is believed when it is seen time and again.
                Err(fault) if fault.code == &FOREIGN && attempt + 1 < looks => {}
                Err(fault) => return Err(fault),
            }
            // Sending it again brings nothing back: an upload is completed once.
            if attempt + 1 < looks {
                let (first, longest) = (Duration::from_millis(200), Duration::from_secs(2));
                clock::sleep(clock::backoff(first, longest, attempt)).await;
            }
        }
        Err(Fault::new(
            &LOST,
            format!("object `{key}`: neither the upload nor the object is there, either required"),
        ))
    }

    /// Whether the staged file is at its key; another one there is refused.
    pub async fn is_published(&self, staged: &Staged) -> Result<bool, Fault> {
        let Handle::S3 { token, .. } = &staged.handle else { return Err(other_store()) };
        crate::store::key::check(&self.prefix, &staged.key)?;
        self.is_there(staged, token).await
    }

    /// Whether the staged file stands at its key. Error: [`FOREIGN`] for another one there.
    async fn is_there(&self, staged: &Staged, token: &str) -> Result<bool, Fault> {
        match self.head_token(&staged.key).await? {
            None => Ok(false),
            Some(found) => is_mine(staged, token, &found).map(|()| true),
        }
    }

    pub async fn discard(&self, key: &str, handle: &Handle) -> Result<(), Fault> {
        match handle {
            Handle::S3 { upload_id, .. } if upload_id.is_empty() => Ok(()),
            Handle::S3 { upload_id, .. } => self.abort(key, upload_id).await,
            Handle::Local { .. } => Err(other_store()),
        }
    }

    pub(super) async fn abort(&self, key: &str, upload_id: &str) -> Result<(), Fault> {
        let request = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(self.full(key))
            .upload_id(upload_id);
        let send = || async { request.clone().send().await.map_err(failure) };
        match self.call(Verb::Abort, key, send).await? {
            Answer::Ok(_) | Answer::NoUpload | Answer::Absent => Ok(()),
            other => other.must(Verb::Abort, key).map(|_| ()),
        }
    }
}

/// `<algorithm>=<base64>`, where the store says one.
fn checksum(answer: &UploadPartOutput) -> Option<String> {
    let pairs = [
        ("crc32", answer.checksum_crc32()),
        ("crc32c", answer.checksum_crc32_c()),
        ("crc64nvme", answer.checksum_crc64_nvme()),
        ("sha256", answer.checksum_sha256()),
    ];
    pairs.iter().find_map(|(name, sum)| sum.map(|sum| format!("{name}={sum}")))
}

fn with_checksum(
    part: aws_sdk_s3::types::builders::CompletedPartBuilder,
    checksum: &str,
) -> aws_sdk_s3::types::builders::CompletedPartBuilder {
    match checksum.split_once('=') {
        Some(("crc32", sum)) => part.checksum_crc32(sum),
        Some(("crc32c", sum)) => part.checksum_crc32_c(sum),
        Some(("crc64nvme", sum)) => part.checksum_crc64_nvme(sum),
        Some(("sha256", sum)) => part.checksum_sha256(sum),
        _ => part,
    }
}

/// Error: [`FOREIGN`].
fn is_mine(staged: &Staged, token: &str, found: &Found) -> Result<(), Fault> {
    if found.token.as_deref() == Some(token) && found.bytes == staged.bytes {
        return Ok(());
    }
    let (bytes, whose) = (found.bytes, if found.token.is_some() { "another" } else { "no" });
    Err(Fault::new(
        &FOREIGN,
        format!(
            "object `{}`: {bytes} bytes with {whose} token of an upload, the staged {} bytes required",
            staged.key, staged.bytes
        ),
    ))
}

#[cold]
fn other_store() -> Fault {
    Fault::new(&HANDLE, "staged file: not a multipart upload, one required")
}
