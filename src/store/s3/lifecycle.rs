//! What a bucket removes by itself.

use aws_sdk_s3::types::{ExpirationStatus, LifecycleRule as Raw, LifecycleRuleFilter};

use crate::error::Fault;
use crate::store::{DENIED, LifecycleRule, Verb};

use super::S3;
use super::errors::{Class, failure};

impl S3 {
    /// The enabled rules of the bucket. Asked once, for advice: nothing is tried again.
    pub async fn lifecycle(&self) -> Result<Vec<LifecycleRule>, Fault> {
        let request = self.client.get_bucket_lifecycle_configuration().bucket(&self.bucket);
        let answer = match request.send().await.map_err(failure) {
            Ok(answer) => answer,
            // A bucket without rules answers so.
            Err(failure) if failure.said.contains("NoSuchLifecycleConfiguration") => {
                return Ok(Vec::new());
            }
            Err(failure) => {
                let code = match failure.class {
                    Class::Final(code) | Class::Unless(code) => code,
                    _ => failure.fault(Verb::List, "").code,
                };
                let todo = match *code == DENIED {
                    true => "; grant `s3:GetLifecycleConfiguration`",
                    false => "",
                };
                return Err(Fault::new(
                    code,
                    format!(
                        "GetBucketLifecycleConfiguration `{}`: {}, success required{todo}",
                        self.bucket, failure.said
                    ),
                ));
            }
        };
        let enabled = answer.rules().iter().filter(|r| *r.status() == ExpirationStatus::Enabled);
        Ok(enabled.map(|raw| self.rule(raw)).collect())
    }

    fn rule(&self, raw: &Raw) -> LifecycleRule {
        let filter = raw.filter();
        let and = filter.and_then(LifecycleRuleFilter::and);
        #[allow(deprecated)] // buckets still have rules of that form
        let old = raw.prefix();
        let prefix = filter.and_then(|f| f.prefix()).or(and.and_then(|a| a.prefix())).or(old);
        let tagged =
            filter.is_some_and(|f| f.tag().is_some()) || and.is_some_and(|a| !a.tags().is_empty());
        let days = |days: Option<i32>| days.and_then(|days| u32::try_from(days).ok());
        let cold = |t: &&aws_sdk_s3::types::Transition| {
            t.storage_class().is_some_and(|c| matches!(c.as_str(), "GLACIER" | "DEEP_ARCHIVE"))
        };
        LifecycleRule {
            id: raw.id().unwrap_or("without a name").to_owned(),
            bucket: self.bucket.clone(),
            prefix: prefix.unwrap_or_default().to_owned(),
            tagged,
            aborts_after_days: days(
                raw.abort_incomplete_multipart_upload().and_then(|a| a.days_after_initiation()),
            ),
            expires: raw.expiration().is_some_and(|e| e.days().is_some() || e.date().is_some()),
            freezes: raw.transitions().iter().any(|t| cold(&t)),
        }
    }
}
