//! Where files go, and when one is full.

use super::*;

#[derive(Debug, Clone)]
pub struct Sink {
    pub url: SinkUrl,
    pub s3: S3,
    pub compression: Compression,
    /// gzip 0 to 9 (default 6), zstd 1 to 22 (default 3); none for the others.
    pub compression_level: Option<u32>,
    pub escape: Escape,
    pub partition_columns: PartitionColumns,
    /// Where `_forebay/` stands, if not at the root: a place of the same kind.
    pub state: Option<SinkUrl>,
}

impl Sink {
    /// The root of `_forebay/`.
    pub fn state_url(&self) -> &SinkUrl {
        self.state.as_ref().unwrap_or(&self.url)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkUrl {
    /// Prefix without leading or trailing slash; may be empty.
    S3 { bucket: String, prefix: String },
    /// Absolute or relative path of a folder.
    Local(std::path::PathBuf),
}

impl fmt::Display for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkUrl::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            SinkUrl::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            SinkUrl::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

/// What only S3 sinks have. Everything optional; the SDK's own chain fills the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3 {
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Default: true with an endpoint, false without.
    pub path_style: Option<bool>,
    pub access_key_id: Option<Secret>,
    pub secret_access_key: Option<Secret>,
    pub session_token: Option<Secret>,
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub sse: Option<String>,
    pub kms_key_id: Option<String>,
    pub bucket_key: Option<bool>,
    /// Canned ACL: `private`, `bucket-owner-full-control`, …
    pub acl: Option<String>,
    pub storage_class: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// `crc32`, `crc32c`, `crc64nvme`, `sha256`: sent with every part. Default: only when the store requires one.
    pub checksum: Option<String>,
    /// Bytes of a multipart part; 5 MiB to 5 GiB, default 8 MiB.
    pub part_bytes: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zstd,
    Snappy,
    Lz4,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Hive's `%XX`, injective.
    Hive,
    /// Raw, as Connect's partitioners write them, except where a value would leave its folder.
    Connect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionColumns {
    /// A column leaves the file only if it is top level and used as itself.
    Auto,
    Keep,
    Drop,
}

/// When one file closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotate {
    pub rows: u64,
    /// As stored.
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejects {
    /// Key prefix below the sink's root, without slashes at its ends, with the topic below it:
    /// `_rejects/<pipeline>`. Its first segment starts with `_`, which no topic's folder does.
    pub prefix: String,
    /// Whether rejects that look like a fault of the registry or of a deployment pause a Kafka partition.
    pub breaker: bool,
    pub unusable_schema: UnusableSchema,
}
