//! What S3 and its client say → what to do about it. One table.

use std::error::Error;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::error::{Code, Fault};
use crate::store::{
    BUCKET, CLOCK, CONFIG, CREDENTIALS, DENIED, KMS, LOST, REFUSED, UNREACHABLE, Verb,
};

/// Longest text of a store that is quoted, in bytes.
const QUOTE_MAX: usize = 400;

/// Said in place of a code.
const WITHOUT: &str = "without a code";
/// What the client makes of a 404 without a body, whatever was asked for. S3 says `NoSuchKey` where it can.
const BODILESS: &str = "404 NotFound";

/// Said before what is no answer of S3's form.
const NOT_UNDERSTOOD: &str = "answer not understood";

/// What a failed request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The same request may work later; it may also have worked.
    Transient,
    /// As transient; but if it lasts, this is why.
    Unless(&'static Code),
    /// There is no such object.
    Absent,
    /// There is something at the key.
    Exists,
    /// There is no such upload, or not with these parts.
    NoUpload,
    /// Asking again does not help.
    Final(&'static Code),
}

/// A failed try.
#[derive(Debug, Clone)]
pub struct Failure {
    pub class: Class,
    /// Status, code and message of the store, or what the client says.
    pub said: String,
}

impl Failure {
    /// An answer whose body could not be read.
    pub fn body(said: impl std::fmt::Display) -> Self {
        Self { class: Class::Transient, said: quote(&said.to_string()) }
    }

    /// A refusal that does not say why.
    pub fn is_mute(&self) -> bool {
        let status = self.said.split(' ').next();
        matches!(status, Some("400" | "401" | "403")) && self.said.ends_with(WITHOUT)
    }

    fn is_codeless(&self) -> bool {
        self.said.contains(WITHOUT)
            || self.said.starts_with(NOT_UNDERSTOOD)
            || self.said.starts_with(BODILESS)
    }

    /// As the answer to this request. A 404 that names no code is not the store's: a proxy before it that has no place
    /// to pass it to, as while it is set up anew. Only an answer to HEAD has no body to name one in; and what is to be
    /// taken away may well be gone.
    pub fn of(self, verb: Verb) -> Self {
        let silent = matches!(verb, Verb::Head | Verb::Abort | Verb::Delete);
        match self.class {
            Class::Absent if !silent && self.is_codeless() => {
                Self { class: Class::Transient, ..self }
            }
            _ => self,
        }
    }

    /// The same one, where something else shows that it may pass.
    pub fn passing(self) -> Self {
        match self.class {
            Class::Final(code) => Self { class: Class::Unless(code), ..self },
            _ => self,
        }
    }

    /// As the fault of a request for `key`.
    pub fn fault(&self, verb: Verb, key: &str) -> Fault {
        let code = match self.class {
            Class::Transient => &UNREACHABLE,
            Class::Unless(code) | Class::Final(code) => code,
            Class::NoUpload => &LOST,
            Class::Absent | Class::Exists => &REFUSED,
        };
        let said = &self.said;
        let todo = if *code == DENIED {
            let named = self.said.split_once("to perform: ").and_then(|(_, rest)| {
                rest.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').next()
            });
            format!("; grant `{}`", named.unwrap_or(action(verb)))
        } else if *code == KMS {
            "; grant `kms:GenerateDataKey` and `kms:Decrypt` on the key".to_owned()
        } else {
            String::new()
        };
        Fault::new(code, format!("{} `{key}`: {said}, success required{todo}", request(verb)))
    }
}

/// Name of a request in S3's API.
pub fn request(verb: Verb) -> &'static str {
    match verb {
        Verb::CreateUpload => "CreateMultipartUpload",
        Verb::PutPart => "UploadPart",
        Verb::Complete => "CompleteMultipartUpload",
        Verb::Abort => "AbortMultipartUpload",
        Verb::Put => "PutObject",
        Verb::Get => "GetObject",
        Verb::Head => "HeadObject",
        Verb::List => "ListObjectsV2",
        Verb::ListUploads => "ListMultipartUploads",
        Verb::Delete => "DeleteObject",
    }
}

/// The permission a request needs.
pub fn action(verb: Verb) -> &'static str {
    match verb {
        Verb::CreateUpload | Verb::PutPart | Verb::Complete | Verb::Put => "s3:PutObject",
        Verb::Abort => "s3:AbortMultipartUpload",
        // Without the second an object that is not there reads as forbidden.
        Verb::Get | Verb::Head => "s3:GetObject` and `s3:ListBucket",
        Verb::List => "s3:ListBucket",
        Verb::ListUploads => "s3:ListBucketMultipartUploads",
        Verb::Delete => "s3:DeleteObject",
    }
}

/// Classifies what the client returned.
pub fn failure<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let status = error.raw_response().map(|r| r.status().as_u16());
    match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code().filter(|code| !code.is_empty());
            let message = service.err().message();
            let class = classify(status.unwrap_or(0), code, message.unwrap_or_default());
            let region = service.raw().headers().get("x-amz-bucket-region");
            let mut said = format!("{} {}", status.unwrap_or(0), code.unwrap_or(WITHOUT));
            if let Some(message) = message {
                said.push_str(&format!(" ({message})"));
            }
            if let (Class::Final(_), Some(region), Some(301 | 400)) = (class, region, status) {
                said.push_str(&format!("; the bucket is in region `{region}`"));
            }
            Failure { class, said: quote(&said) }
        }
        SdkError::ResponseError(_) => {
            let class = match status {
                Some(200..=299) | None => Class::Transient,
                Some(status) => classify(status, None, ""),
            };
            Failure { class, said: quote(&format!("{NOT_UNDERSTOOD}: {}", chain(&error))) }
        }
        SdkError::TimeoutError(_) => {
            Failure { class: Class::Transient, said: "no answer in time".to_owned() }
        }
        SdkError::DispatchFailure(dispatch) => {
            let said = chain(&error);
            let class = if said.contains("credential") || said.contains("identity") {
                Class::Unless(&CREDENTIALS)
            } else if dispatch.is_user() {
                Class::Final(&CONFIG)
            } else {
                Class::Transient
            };
            Failure { class, said: quote(&said) }
        }
        other => {
            let said = chain(other);
            let credentials = said.contains("credential") || said.contains("identity");
            let class =
                if credentials { Class::Unless(&CREDENTIALS) } else { Class::Final(&CONFIG) };
            Failure { class, said: quote(&said) }
        }
    }
}

/// The table: HTTP status, S3's code if the answer had a body, its message.
fn classify(status: u16, code: Option<&str>, message: &str) -> Class {
    let code = code.unwrap_or_default();
    match (status, code) {
        (_, "NoSuchBucket" | "PermanentRedirect" | "AuthorizationHeaderMalformed") => {
            Class::Final(&BUCKET)
        }
        (_, "IllegalLocationConstraintException" | "InvalidBucketName") => Class::Final(&BUCKET),
        (_, "NoSuchUpload" | "InvalidPart" | "InvalidPartOrder") => Class::NoUpload,
        (_, "NoSuchKey" | "NotFound") => Class::Absent,
        (_, "PreconditionFailed") => Class::Exists,
        (_, "ExpiredToken" | "TokenRefreshRequired" | "ExpiredTokenException") => {
            Class::Unless(&CREDENTIALS)
        }
        (
            _,
            "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "InvalidSecurity"
            | "NotSignedUp",
        ) => Class::Final(&CREDENTIALS),
        (_, "RequestTimeTooSkewed" | "RequestExpired") => Class::Unless(&CLOCK),
        (
            _,
            "SlowDown"
            | "SlowDownRead"
            | "SlowDownWrite"
            | "Throttling"
            | "ThrottlingException"
            | "RequestLimitExceeded"
            | "TooManyRequests"
            | "RequestTimeout"
            | "InternalError"
            | "ServiceUnavailable"
            | "Busy"
            | "OperationAborted"
            | "ConditionalRequestConflict"
            | "KMS.ThrottlingException"
            | "BadDigest"
            | "XAmzContentChecksumMismatch"
            | "IncompleteBody"
            | "XAmzContentSHA256Mismatch"
            | "TemporaryRedirect",
        ) => Class::Transient,
        (_, code) if code.starts_with("KMS.") => Class::Final(&KMS),
        (401 | 403, _) if message.contains("kms:") => Class::Final(&KMS),
        (401 | 403, _) => Class::Final(&DENIED),
        (404, "") => Class::Absent,
        (412, _) => Class::Exists,
        (301, _) => Class::Final(&BUCKET),
        // 409 without a code: two requests for one key met.
        (307 | 408 | 409 | 425 | 429 | 500 | 502..=599, _) => Class::Transient,
        // To a HEAD, which gets no body: expired credentials among others.
        (400, "") => Class::Unless(&REFUSED),
        // An error in the body of a good status came after the status was sent.
        (200..=299, _) => Class::Transient,
        _ => Class::Final(&REFUSED),
    }
}

/// What an error and its causes say, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    // Bounded: a chain comes from libraries, but a cycle would be ours to hang in.
    for _ in 0..12 {
        let Some(error) = cause else { break };
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// Foreign text for a message: cut, control characters shown.
fn quote(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(QUOTE_MAX)];
    cut.chars()
        .flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes and statuses of the "Error responses" page of the S3 API reference.
    #[test]
    fn answer_has_the_class_that_the_reference_implies() {
        let table = [
            (503, "SlowDown", Class::Transient),
            (500, "InternalError", Class::Transient),
            (200, "InternalError", Class::Transient),
            (503, "", Class::Transient),
            (429, "", Class::Transient),
            (400, "RequestTimeout", Class::Transient),
            (409, "OperationAborted", Class::Transient),
            (409, "ConditionalRequestConflict", Class::Transient),
            (307, "TemporaryRedirect", Class::Transient),
            (501, "NotImplemented", Class::Final(&REFUSED)),
            (412, "PreconditionFailed", Class::Exists),
            (404, "NoSuchUpload", Class::NoUpload),
            (400, "InvalidPart", Class::NoUpload),
            (404, "NoSuchKey", Class::Absent),
            (404, "", Class::Absent),
            (404, "NoSuchBucket", Class::Final(&BUCKET)),
            (301, "PermanentRedirect", Class::Final(&BUCKET)),
            (403, "AccessDenied", Class::Final(&DENIED)),
            (403, "", Class::Final(&DENIED)),
            (400, "", Class::Unless(&REFUSED)),
            (403, "RequestTimeTooSkewed", Class::Unless(&CLOCK)),
            (400, "ExpiredToken", Class::Unless(&CREDENTIALS)),
            (403, "InvalidAccessKeyId", Class::Final(&CREDENTIALS)),
            (403, "SignatureDoesNotMatch", Class::Final(&CREDENTIALS)),
            (400, "KMS.DisabledException", Class::Final(&KMS)),
            (400, "EntityTooSmall", Class::Final(&REFUSED)),
            (400, "InvalidStorageClass", Class::Final(&REFUSED)),
        ];
        for (status, code, class) in table {
            let found = classify(status, Some(code).filter(|c| !c.is_empty()), "");
            assert_eq!(found, class, "{status} {code}");
        }
    }

    #[test]
    fn denied_fault_names_the_action() {
        let failure = |said: &str| Failure { class: Class::Final(&DENIED), said: said.into() };
        let plain = failure("403 AccessDenied").fault(Verb::Abort, "k");
        assert_eq!(
            plain.to_string(),
            "FB0703 AbortMultipartUpload `k`: 403 AccessDenied, success required; grant `s3:AbortMultipartUpload`"
        );
        let said = "403 AccessDenied (User: arn:aws:iam::1:user/u is not authorized to perform: s3:PutObjectTagging on resource: x)";
        assert!(
            failure(said).fault(Verb::Put, "k").message.ends_with("; grant `s3:PutObjectTagging`")
        );
    }

    #[test]
    fn kms_denial_is_told_apart() {
        let message = "User is not authorized to perform: kms:GenerateDataKey on the resource";
        assert_eq!(classify(403, Some("AccessDenied"), message), Class::Final(&KMS));
    }

    #[test]
    fn quoted_text_is_cut_and_printable() {
        assert_eq!(quote("a\nb\u{1b}[0m"), "a\\nb\\u{1b}[0m");
        assert_eq!(quote(&"ü".repeat(QUOTE_MAX)).len(), QUOTE_MAX);
    }
}
