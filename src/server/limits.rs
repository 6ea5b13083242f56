//! A listener whose connections are few and short.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Limits;
use crate::clock;

/// Accepts while a permit is free.
pub(super) struct Limited {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    time: Duration,
}

impl Limited {
    pub(super) fn new(listener: TcpListener, limits: Limits) -> Self {
        let permits = Arc::new(Semaphore::new(limits.connections_max.max(1)));
        Self { listener, permits, time: limits.connection_time }
    }
}

impl Listener for Limited {
    type Io = Timed;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Timed, SocketAddr) {
        loop {
            // The semaphore is never closed; without a permit the loop would only try again.
            let Ok(permit) = self.permits.clone().acquire_owned().await else {
                std::future::pending::<()>().await;
                continue;
            };
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let end = Box::pin(clock::sleep(self.time));
                    return (Timed { stream, end, _permit: permit }, address);
                }
                Err(error) => {
                    // No descriptors left, as a rule: some will come back.
                    tracing::warn!(%error, "server: connection not accepted");
                    clock::sleep(Duration::from_millis(250)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when its time is over, whatever the client does.
pub(super) struct Timed {
    stream: TcpStream,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    _permit: OwnedSemaphorePermit,
}

impl Timed {
    fn over(&mut self, task: &mut Context<'_>) -> bool {
        self.end.as_mut().poll(task).is_ready()
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "connection open for too long")
}

impl AsyncRead for Timed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(task, buffer);
        if done.is_pending() && self.over(task) {
            return Poll::Ready(Err(late()));
        }
        done
    }
}

impl AsyncWrite for Timed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(task, bytes);
        if done.is_pending() && self.over(task) {
            return Poll::Ready(Err(late()));
        }
        done
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}
