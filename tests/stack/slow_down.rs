//! An HTTP proxy before an S3 server that answers some requests itself: `503 SlowDown`, as Amazon S3 does under load.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::forebay::clock::Seeded;

const REFUSAL: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";

pub struct SlowDown {
    pub address: SocketAddr,
    counts: Arc<[AtomicU64; 2]>,
}

impl SlowDown {
    /// Refuses `percent` of the requests to `target` (`host:port`).
    pub fn start(target: &str, percent: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let counts: Arc<[AtomicU64; 2]> = Arc::default();
        let (shared, target) = (counts.clone(), target.to_owned());
        std::thread::spawn(move || {
            for (number, client) in (1..).zip(listener.incoming().flatten()) {
                let (counts, target) = (shared.clone(), target.clone());
                std::thread::spawn(move || {
                    // Ends with either side; the other one sees it.
                    let _ = serve(client, &target, percent, &mut Seeded::new(number), &counts);
                });
            }
        });
        Self { address, counts }
    }

    /// Requests passed on, and refused.
    pub fn counts(&self) -> [u64; 2] {
        [0, 1].map(|at: usize| self.counts[at].load(Ordering::Relaxed))
    }
}

fn serve(
    client: TcpStream,
    target: &str,
    percent: u64,
    some: &mut Seeded,
    counts: &[AtomicU64; 2],
) -> std::io::Result<()> {
    let server = TcpStream::connect(target)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut to_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let (mut from_client, mut from_server) = (BufReader::new(client), BufReader::new(server));
    loop {
        let Some(request) = message(&mut from_client, false)? else { return Ok(()) };
        let refuse = some.below(100) < percent;
        counts[usize::from(refuse)].fetch_add(1, Ordering::Relaxed);
        if refuse {
            let length = REFUSAL.len();
            let head = format!(
                "HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\r\n"
            );
            to_client.write_all(head.as_bytes())?;
            let is_head = request.starts_with(b"HEAD ");
            to_client.write_all(if is_head { b"" } else { REFUSAL.as_bytes() })?;
            continue;
        }
        to_server.write_all(&request)?;
        let Some(answer) = message(&mut from_server, request.starts_with(b"HEAD "))? else {
            return Ok(());
        };
        to_client.write_all(&answer)?;
    }
}

/// One whole message as it came; none at the end of the stream.
fn message(from: &mut impl BufRead, without_body: bool) -> std::io::Result<Option<Vec<u8>>> {
    let (mut bytes, mut length, mut chunked) = (Vec::new(), 0, false);
    loop {
        let begin = bytes.len();
        if from.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&bytes[begin..]).trim().to_ascii_lowercase();
        match line.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().unwrap_or(0),
            Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    let has_none = without_body || bytes.starts_with(b"HTTP/1.1 204");
    if chunked && !has_none {
        loop {
            let begin = bytes.len();
            from.read_until(b'\n', &mut bytes)?;
            let size = String::from_utf8_lossy(&bytes[begin..]).trim().to_owned();
            let size = u64::from_str_radix(&size, 16).map_err(std::io::Error::other)?;
            from.by_ref().take(size + 2).read_to_end(&mut bytes)?;
            if size == 0 {
                return Ok(Some(bytes));
            }
        }
    }
    if !has_none {
        from.by_ref().take(length).read_to_end(&mut bytes)?;
    }
    Ok(Some(bytes))
}
