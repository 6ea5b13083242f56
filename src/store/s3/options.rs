//! `sink.s3` → a client, and what every request that makes an object carries.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::types::{ChecksumAlgorithm, ObjectCannedAcl, ServerSideEncryption, StorageClass};

use crate::config;
use crate::error::Fault;
use crate::store::{BUCKET, CONFIG};

/// From a request's first byte to its answer's last, where no part is sent.
const ANSWER: Duration = Duration::from_secs(60);
/// Slowest link on which a part is not given up.
const BYTES_PER_SECOND: u64 = 128 << 10;
/// What each part adds to the time that completing an upload may take.
const COMPLETING: Duration = Duration::from_millis(20);

/// What an object is made with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub sse: Option<ServerSideEncryption>,
    pub kms_key_id: Option<String>,
    pub bucket_key: Option<bool>,
    pub acl: Option<ObjectCannedAcl>,
    pub storage_class: Option<StorageClass>,
    /// URL-encoded.
    pub tagging: Option<String>,
    pub checksum: Option<ChecksumAlgorithm>,
}

/// Builds the client. Asks the provider chain for a region at most; nothing of the bucket.
///
/// Errors: [`CONFIG`], [`BUCKET`] without a region.
pub async fn client(sink: &config::S3) -> Result<(Client, Options), Fault> {
    if let Some(endpoint) = &sink.endpoint {
        let host = endpoint.strip_prefix("https://").or(endpoint.strip_prefix("http://"));
        if host.is_none_or(|h| h.is_empty() || h.contains(char::is_whitespace)) {
            return Err(Fault::new(
                &CONFIG,
                format!("`sink.endpoint`: `{endpoint}`, http:// or https:// and a host required"),
            ));
        }
    }
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    if let Some(credentials) = credentials(sink)? {
        loader = loader.credentials_provider(credentials);
    }
    match (&sink.region, &sink.endpoint) {
        (Some(region), _) => loader = loader.region(Region::new(region.clone())),
        // What other stores call their region matters to nobody; asking the chain can take seconds.
        (None, Some(_)) if std::env::var_os("AWS_REGION").is_none() => {
            loader = loader.region(Region::from_static("us-east-1"));
        }
        (None, _) => {}
    }
    let shared = loader.load().await;
    if shared.region().is_none() {
        return Err(Fault::new(
            &BUCKET,
            "region of the bucket: none found, one required; set `sink.region` or AWS_REGION",
        ));
    }
    let custom = sink.endpoint.is_some() || shared.endpoint_url().is_some();
    let options = options(sink, custom)?;
    let mut builder = Builder::from(&shared)
        .force_path_style(sink.path_style.unwrap_or(custom))
        // One layer of retries, ours: see `call`.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(ANSWER))
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled().grace_period(ANSWER).build(),
        )
        // The name is misleading: `WhenRequired` drops the checksum also of a request that asks for
        // one, and then sends the algorithm without its value.
        .request_checksum_calculation(match options.checksum {
            Some(_) => RequestChecksumCalculation::WhenSupported,
            None => RequestChecksumCalculation::WhenRequired,
        })
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if let Some(endpoint) = &sink.endpoint {
        builder = builder.endpoint_url(endpoint);
    }
    Ok((Client::from_conf(builder.build()), options))
}

/// Deadlines of one try.
pub fn timeouts(answer: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(10))
        .operation_attempt_timeout(answer)
        .build()
}

/// How long one try may take that sends so many bytes.
pub fn sending(bytes: usize) -> Duration {
    ANSWER + Duration::from_secs(bytes as u64 / BYTES_PER_SECOND)
}

/// How long one try to complete an upload may take: with thousands of parts the store needs minutes.
pub fn completing(parts: usize) -> Duration {
    ANSWER + COMPLETING * parts.min(10_000) as u32
}

fn credentials(sink: &config::S3) -> Result<Option<Credentials>, Fault> {
    match (&sink.access_key_id, &sink.secret_access_key) {
        (None, None) => Ok(None),
        (Some(id), Some(secret)) => Ok(Some(Credentials::new(
            id.reveal(),
            secret.reveal(),
            sink.session_token.as_ref().map(|t| t.reveal().to_owned()),
            None,
            "forebay",
        ))),
        _ => Err(Fault::new(
            &CONFIG,
            "`sink.s3`: one of `access_key_id` and `secret_access_key`, both or none required",
        )),
    }
}

fn options(sink: &config::S3, custom: bool) -> Result<Options, Fault> {
    let checksum = match (&sink.checksum, custom) {
        (Some(name), _) => {
            let name = name.to_ascii_uppercase();
            let known = ["CRC32", "CRC32C", "CRC64NVME", "SHA256"];
            known_value("checksum", &name, &known)?;
            Some(ChecksumAlgorithm::from(name.as_str()))
        }
        // Amazon checks it, and buckets with object lock require one.
        (None, false) => Some(ChecksumAlgorithm::Crc32),
        (None, true) => None,
    };
    if let Some(sse) = &sink.sse {
        known_value("sse", sse, &["AES256", "aws:kms", "aws:kms:dsse"])?;
    }
    if let Some(acl) = &sink.acl {
        known_value("acl", acl, ObjectCannedAcl::values())?;
    }
    if let Some(class) = &sink.storage_class {
        known_value("storage_class", class, StorageClass::values())?;
    }
    Ok(Options {
        sse: sink.sse.as_deref().map(ServerSideEncryption::from),
        kms_key_id: sink.kms_key_id.clone(),
        bucket_key: sink.bucket_key,
        acl: sink.acl.as_deref().map(ObjectCannedAcl::from),
        storage_class: sink.storage_class.as_deref().map(StorageClass::from),
        tagging: (!sink.tags.is_empty()).then(|| {
            let pairs = sink.tags.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v)));
            pairs.collect::<Vec<_>>().join("&")
        }),
        checksum,
    })
}

fn known_value(option: &str, found: &str, known: &[&str]) -> Result<(), Fault> {
    if known.contains(&found) {
        return Ok(());
    }
    let known = known.join("`, `");
    Err(Fault::new(&CONFIG, format!("`sink.{option}`: `{found}`, one of `{known}` required")))
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Undoes the `url` encoding of listings, where `+` is a space.
pub fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let hex = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                out.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                rest = after;
            }
            (b'+', _) => out.push(b' '),
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_key_is_decoded_as_forms_are() {
        for (text, key) in
            [("a%2Fb+c", "a/b c"), ("%C3%BC%2B", "ü+"), ("%", "%"), ("%4", "%4"), ("%zz", "%zz")]
        {
            assert_eq!(decode(text), key);
        }
    }

    #[test]
    fn tags_are_encoded() {
        assert_eq!(encode("cost center/1+2"), "cost%20center%2F1%2B2");
    }

    #[test]
    fn option_that_s3_does_not_know_is_refused() {
        let sink = config::S3 { storage_class: Some("COLD".into()), ..Default::default() };
        let fault = options(&sink, true).unwrap_err();
        assert!(fault.message.starts_with("`sink.storage_class`: `COLD`, one of `"), "{fault}");
    }
}
