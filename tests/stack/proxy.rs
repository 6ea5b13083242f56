//! A TCP proxy that can be switched off: connections are then closed as soon as they are made. It can keep a client's
//! death from the server for a while.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    up: AtomicBool,
    refused: AtomicU64,
    /// How long the server is not told that a client has gone.
    linger: Duration,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Passes connections on to `target` (`host:port`).
    pub fn start(target: &str) -> Self {
        Self::lingering(target, Duration::ZERO)
    }

    /// As a load balancer that sees a request through whose client is gone.
    pub fn lingering(target: &str, linger: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            up: AtomicBool::new(true),
            refused: AtomicU64::new(0),
            linger,
            open: Mutex::new(Vec::new()),
        });
        let (shared, target) = (state.clone(), target.to_string());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                shared.accept(client, &target);
            }
        });
        Self { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes what is open and what comes.
    pub fn down(&self) {
        self.state.up.store(false, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn up(&self) {
        self.state.up.store(true, Ordering::SeqCst);
    }

    /// Connections made while it was down.
    pub fn refused(&self) -> u64 {
        self.state.refused.load(Ordering::SeqCst)
    }
}

impl State {
    fn accept(&self, client: TcpStream, target: &str) {
        let mut open = self.open.lock().unwrap();
        if !self.up.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return;
        }
        let Ok(server) = TcpStream::connect(target) else { return };
        for (from, to, linger) in
            [(&client, &server, self.linger), (&server, &client, Duration::ZERO)]
        {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            if self.linger.is_zero() {
                open.push(from.try_clone().unwrap());
            }
            std::thread::spawn(move || copy(from, to, linger));
        }
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, linger: Duration) {
    let mut buffer = [0; 16384];
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    std::thread::sleep(linger);
    let _ = to.shutdown(Shutdown::Write);
}
