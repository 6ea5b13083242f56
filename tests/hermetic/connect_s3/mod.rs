//! What Kafka Connect's S3 sink makes of records, by configuration, beside what the pipeline makes of them:
//! tests/corpus/connect_s3.

mod compat;
mod rotation;

pub(crate) use compat::rows as compat_rows;
pub(crate) use rotation::differences;
