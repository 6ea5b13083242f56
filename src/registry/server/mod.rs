//! A registry inside the program, for the demo, tests and small set-ups: the REST interface of
//! Confluent's Schema Registry, in memory.
//!
//! Owns: subjects, versions, ids, GUIDs, references, modes, compatibility levels and checks.
//! Does not own: authentication, durability: what was registered is gone when the program ends.
//! Bounded by: bodies of 16 MiB, and the limits of `compile`.
//! Absent: contexts in paths (`:.context:subject` is a plain name here), metadata and rule sets,
//! compatibility of JSON Schema (refused with 409 unless the level is NONE), normalisation.
//!
//! Source: Confluent's API reference and `tests/corpus/registry`.

mod bodies;
mod compat;
mod compat_avro;
mod compat_protobuf;
mod guid;
mod routes;
mod store;

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::Fault;

use super::codes::SERVER;

/// A running registry. Dropping it stops the server.
#[derive(Debug)]
pub struct Handle {
    /// `http://127.0.0.1:8081`
    pub url: String,
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Handle {
    /// Stops taking connections, and waits for the requests that run.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        // Connections that clients keep open would hold the server: they get a moment, no more.
        let patience = crate::clock::sleep(std::time::Duration::from_millis(250));
        tokio::select! {
            _ = &mut self.task => {}
            () = patience => self.task.abort(),
        }
    }

    /// Runs until the server ends.
    pub async fn wait(mut self) {
        let _ = (&mut self.task).await;
    }
}

/// Starts an empty registry on an address (`127.0.0.1:0`: any free port). Error: [`SERVER`].
pub async fn start(address: &str) -> Result<Handle, Fault> {
    serve(address, routes::router()).await
}

/// The same, and it takes every schema, compatible or not: its level is NONE.
pub async fn start_open(address: &str) -> Result<Handle, Fault> {
    serve(address, routes::open_router()).await
}

async fn serve(address: &str, router: axum::Router) -> Result<Handle, Fault> {
    let fault = |e: std::io::Error| {
        Fault::new(&SERVER, format!("registry address `{address}`: {e}; use another one"))
    };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    let bound = listener.local_addr().map_err(fault)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        let serve = axum::serve(listener, router)
            // A dropped sender is as good as a word.
            .with_graceful_shutdown(async move {
                let _ = stopped.await;
            });
        if let Err(error) = serve.await {
            tracing::error!(%error, "embedded registry stopped");
        }
    });
    Ok(Handle { url: format!("http://{bound}"), address: bound, stop: Some(stop), task })
}
