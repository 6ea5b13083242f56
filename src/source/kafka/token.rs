//! OAuth tokens for SASL OAUTHBEARER: fetched by a function that the pipeline hands in.
//!
//! Owns: one thread that fetches, sets and renews the token, so that no poll ever waits for an
//! identity provider. The client asks for a token through an event that the wrapper would answer
//! without SASL extensions; this thread answers before it is asked.
//! Bounded by: a renewal at four fifths of a token's life, and waits of 1 s to 1 min after failures.

use std::ffi::{CStr, CString, c_char};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaRespErr;

use crate::clock;
use crate::config::Secret;
use crate::error::Fault;
use crate::source::codes::{CLIENT, TOKEN};

/// A token and what the broker is told with it.
#[derive(Debug, Clone)]
pub struct Token {
    /// The compact JWT, or whatever the broker takes.
    pub value: Secret,
    pub principal: String,
    /// When it ends, ms since 1970.
    pub expires_ms: i64,
    /// SASL extensions (`logicalCluster`, `identityPoolId`, …).
    pub extensions: Vec<(String, String)>,
}

/// Fetches a fresh token. May block for some seconds; called from a thread of its own.
pub type TokenFetcher = Arc<dyn Fn() -> Result<Token, Fault> + Send + Sync>;

/// The client while it lives, and the bell that ends the thread's sleep.
struct Gate {
    client: Mutex<Option<Client>>,
    bell: Condvar,
}

struct Client(*mut sys::rd_kafka_t);

// SAFETY: librdkafka's client may be used from any thread; the gate is emptied before it is destroyed.
unsafe impl Send for Client {}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Option<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a client's token fresh until dropped. Must be dropped before the client.
pub(in crate::source) struct Refresher(Arc<Gate>);

impl Drop for Refresher {
    fn drop(&mut self) {
        *self.0.lock() = None;
        self.0.bell.notify_all();
    }
}

impl Refresher {
    /// Starts the thread; none without a fetcher.
    pub(super) fn begin<C: ConsumerContext>(
        client: &BaseConsumer<C>,
        fetch: Option<TokenFetcher>,
    ) -> Result<Option<Self>, Fault> {
        Self::for_client(client.client(), fetch)
    }

    pub(in crate::source) fn for_client<C: ClientContext>(
        client: &rdkafka::client::Client<C>,
        fetch: Option<TokenFetcher>,
    ) -> Result<Option<Self>, Fault> {
        let Some(fetch) = fetch else { return Ok(None) };
        let gate = Arc::new(Gate {
            client: Mutex::new(Some(Client(client.native_ptr()))),
            bell: Condvar::new(),
        });
        let inner = gate.clone();
        std::thread::Builder::new()
            .name("kafka-token".into())
            .spawn(move || renew(&inner, &fetch))
            .map_err(|e| Fault::new(&CLIENT, format!("kafka client: no thread for tokens, {e}")))?;
        Ok(Some(Self(gate)))
    }
}

/// The thread: until the gate is empty.
fn renew(gate: &Gate, fetch: &TokenFetcher) {
    let clock = clock::System::new();
    let mut failures = 0;
    loop {
        let got = fetch().and_then(|token| token.prepare());
        let mut client = gate.lock();
        let Some(Client(rk)) = *client else { return };
        let wait = match got.and_then(|token| token.set(rk)) {
            Ok(expires_ms) => {
                failures = 0;
                renewal(expires_ms, clock.now().wall_ms)
            }
            Err(fault) => {
                tracing::warn!(%fault, "kafka: no token");
                fail(rk, &fault);
                failures += 1;
                clock::backoff(Duration::from_secs(1), Duration::from_secs(60), failures - 1)
            }
        };
        let until = clock.now().mono_ms.saturating_add(wait.as_millis() as u64);
        while client.is_some() {
            let left = until.saturating_sub(clock.now().mono_ms);
            if left == 0 {
                break;
            }
            let slept = gate.bell.wait_timeout(client, Duration::from_millis(left));
            client = slept.unwrap_or_else(PoisonError::into_inner).0;
        }
        if client.is_none() {
            return;
        }
    }
}

/// How long a token is used: four fifths of what is left, at least one second, at most a day.
fn renewal(expires_ms: i64, now_ms: i64) -> Duration {
    let left = expires_ms.saturating_sub(now_ms).clamp(0, 108_000_000) as u64;
    Duration::from_millis((left / 5 * 4).max(1_000))
}

/// A token as C strings.
struct Prepared {
    value: CString,
    principal: CString,
    expires_ms: i64,
    /// Names and values in turn.
    extensions: Vec<CString>,
}

impl Token {
    fn prepare(&self) -> Result<Prepared, Fault> {
        let text = |what: &str, text: &str| {
            CString::new(text).map_err(|_| {
                Fault::new(&TOKEN, format!("token: {what} holds a zero byte, none allowed"))
            })
        };
        let mut extensions = Vec::with_capacity(self.extensions.len() * 2);
        for (name, value) in &self.extensions {
            extensions.push(text("name of an extension", name)?);
            extensions.push(text("value of an extension", value)?);
        }
        Ok(Prepared {
            value: text("value", self.value.reveal())?,
            principal: text("principal", &self.principal)?,
            expires_ms: self.expires_ms,
            extensions,
        })
    }
}

impl Prepared {
    /// Gives the token to the client; when it ends.
    fn set(&self, rk: *mut sys::rd_kafka_t) -> Result<i64, Fault> {
        let mut extensions: Vec<*const c_char> =
            self.extensions.iter().map(|e| e.as_ptr()).collect();
        let mut text = [0 as c_char; 512];
        // SAFETY: a live client (the gate is locked), C strings that outlive the call, a buffer with its size.
        let err = unsafe {
            sys::rd_kafka_oauthbearer_set_token(
                rk,
                self.value.as_ptr(),
                self.expires_ms,
                self.principal.as_ptr(),
                extensions.as_mut_ptr(),
                extensions.len(),
                text.as_mut_ptr(),
                text.len(),
            )
        };
        if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(self.expires_ms);
        }
        // SAFETY: librdkafka ends the text with a zero byte, and the buffer began as zeros.
        let text = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy();
        Err(Fault::new(&TOKEN, format!("token refused by the client: {text}")))
    }
}

/// Lets the client say why it cannot log in.
fn fail(rk: *mut sys::rd_kafka_t, fault: &Fault) {
    if let Ok(text) = CString::new(fault.to_string().replace('\0', " ")) {
        // SAFETY: a live client (the gate is locked) and a C string.
        unsafe { sys::rd_kafka_oauthbearer_set_token_failure(rk, text.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renewal_of_a_token_comes_before_its_end() {
        assert_eq!(renewal(1_000_000, 0), Duration::from_secs(800));
        assert_eq!(renewal(0, 1_000_000), Duration::from_secs(1));
        assert_eq!(renewal(i64::MAX, 0), Duration::from_secs(86_400));
        assert_eq!(renewal(i64::MIN, i64::MAX), Duration::from_secs(1));
    }
}
