//! Health, readiness, metrics: what an orchestrator and Prometheus ask for.
//!
//! Owns: `/healthz`, `/readyz`, `/metrics`, `/status`; limits against slow and many clients.
//! Does not own: the numbers (`telemetry`). Changes nothing: every request is a read.
//! Bounded by: [`Limits`]: so many connections, each for one request and so long; what comes above
//! waits in the kernel's queue, away from the data path.
//! Absent: TLS and authentication. Listen on an inner address.

mod limits;
mod render;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock;
use crate::error::{Code, Fault, Kind};
use crate::telemetry::Telemetry;

/// What clients may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most connections at once. Default: 128.
    pub connections_max: usize,
    /// Longest life of a connection, so that a slow client leaves again. Default: 10 s.
    pub connection_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections_max: 128, connection_time: Duration::from_secs(10) }
    }
}

/// What `/metrics` answers with (OpenMetrics 1.0 text).
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub static LISTEN: Code = Code {
    id: "FB1051",
    kind: Kind::Halt,
    title: "address that cannot be listened on",
    help: "`listen` is `host:port` of this machine, free, and above 1023 for an ordinary user; port 0 takes any free one.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[&LISTEN];

/// A running server. Dropped: it ends at once.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Handle {
    /// Where it listens; the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more requests, and waits for those that are being answered.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let _ = (&mut self.task).await;
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.stop.is_some() {
            self.task.abort();
        }
    }
}

#[derive(Clone)]
struct App {
    telemetry: Arc<Telemetry>,
    clock: clock::System,
}

/// Listens on `host:port` and serves in the background of the current runtime.
///
/// Error: `LISTEN`.
pub async fn start(address: &str, telemetry: Arc<Telemetry>) -> Result<Handle, Fault> {
    start_with(address, telemetry, Limits::default()).await
}

/// The same, with other limits.
pub async fn start_with(
    address: &str,
    telemetry: Arc<Telemetry>,
    limits: Limits,
) -> Result<Handle, Fault> {
    let refused = |e: std::io::Error| Fault::new(&LISTEN, format!("listen `{address}`: {e}"));
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let local = listener.local_addr().map_err(refused)?;
    let app = router(App { telemetry, clock: clock::System::new() });
    let (stop, stopped) = oneshot::channel::<()>();
    let serve =
        axum::serve(limits::Limited::new(listener, limits), app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
    let task = tokio::spawn(async move {
        if let Err(error) = serve.await {
            tracing::warn!(%error, "server: ended");
        }
    });
    Ok(Handle { address: local, stop: Some(stop), task })
}

fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(app)
        .layer(axum::middleware::map_response(once))
}

/// One request a connection: a client that comes back takes its turn again.
async fn once(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn ready(State(app): State<App>) -> Response {
    let reasons = app.telemetry.reasons();
    let code = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, axum::Json(json!({ "ready": reasons.is_empty(), "reasons": render::reasons(&reasons) })))
        .into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    match render::metrics(&app.telemetry, app.clock) {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(std::fmt::Error) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn status(State(app): State<App>) -> Response {
    axum::Json(render::status(&app.telemetry, app.clock.now().wall_ms)).into_response()
}
