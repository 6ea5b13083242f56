//! One call: a request, sent again while that can help.

use std::time::Duration;

use crate::clock;
use crate::error::Fault;
use crate::store::Verb;
use crate::store::count::Outcome;

use super::S3;
use super::errors::{Class, Failure};

const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// A good answer, or one of the bad ones that mean something.
#[derive(Debug)]
pub enum Answer<T> {
    Ok(T),
    Absent,
    Exists,
    NoUpload,
}

impl S3 {
    /// Sends until an answer is final or the time is up. The client itself retries nothing, so that
    /// there is one count, one backoff and one deadline.
    pub(super) async fn call<T, F>(
        &self,
        verb: Verb,
        key: &str,
        mut send: impl FnMut() -> F,
    ) -> Result<Answer<T>, Fault>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let clock = clock::System::new();
        let start = clock.now().mono_ms;
        let mut attempt = 0;
        loop {
            let failure = match send().await {
                Ok(answer) => {
                    self.counts.add(verb, Outcome::Ok);
                    return Ok(Answer::Ok(answer));
                }
                Err(failure) => failure.of(verb),
            };
            let negative = match failure.class {
                Class::Absent => Answer::Absent,
                Class::Exists => Answer::Exists,
                Class::NoUpload => Answer::NoUpload,
                Class::Final(_) => {
                    self.counts.add(verb, Outcome::Failed);
                    return Err(failure.fault(verb, key));
                }
                Class::Transient | Class::Unless(_) => {
                    let delay = clock::backoff(BACKOFF, BACKOFF_MAX, attempt);
                    let spent = Duration::from_millis(clock.now().mono_ms - start);
                    if spent + delay > self.trying {
                        self.counts.add(verb, Outcome::Failed);
                        return Err(failure.fault(verb, key));
                    }
                    self.counts.add(verb, Outcome::Retried);
                    tracing::debug!(
                        ?verb,
                        key,
                        attempt,
                        said = failure.said,
                        "s3 request sent again"
                    );
                    clock::sleep(delay).await;
                    attempt += 1;
                    continue;
                }
            };
            self.counts.add(verb, Outcome::Negative);
            return Ok(negative);
        }
    }
}

impl<T> Answer<T> {
    /// The good answer; another one, which this request cannot have, as a fault.
    pub fn must(self, verb: Verb, key: &str) -> Result<T, Fault> {
        let (class, said) = match self {
            Answer::Ok(answer) => return Ok(answer),
            Answer::Absent => (Class::Absent, "404"),
            Answer::Exists => (Class::Exists, "412"),
            Answer::NoUpload => (Class::NoUpload, "no such upload"),
        };
        Err(Failure { class, said: said.to_owned() }.fault(verb, key))
    }
}
