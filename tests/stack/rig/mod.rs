//! One set of servers for the whole run, started when the first case asks for it.

mod fetch;
pub mod kafka;
mod process;
mod registry;
mod s3;
pub mod supervisor;
mod tls;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

pub use process::die_with_parent;
pub use s3::S3;

use supervisor::Supervisor;

/// The running servers and the tools to talk to them with.
pub struct Stack {
    /// `host:port` of the broker.
    pub brokers: String,
    /// Base URL of the Confluent-compatible interface.
    pub registry: String,
    pub s3: S3,
    /// The same servers behind TLS.
    pub secure: Secure,
    /// The interpreter that has the pinned packages.
    pub python: PathBuf,
    /// The example payloads of GitHub's webhooks.
    pub webhooks: PathBuf,
    /// This run's folder.
    work: PathBuf,
}

/// Broker and registry behind TLS; the broker asks for [`kafka::LOGIN`] too.
pub struct Secure {
    pub brokers: String,
    pub registry: String,
    /// What has to be trusted, as PEM.
    pub ca_file: PathBuf,
}

impl Stack {
    /// A fresh folder for one case.
    pub fn folder(&self, case: &str) -> PathBuf {
        let path = self.work.join("cases").join(case);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Stack {
    /// Where the S3 server keeps what it has; versitygw keeps each object as a file, below a folder for its bucket.
    #[allow(dead_code)] // a bench writes there
    pub fn s3_folder(&self) -> PathBuf {
        self.work.join("data/s3")
    }
}

/// Why there is no stack.
#[derive(Clone)]
pub enum Absent {
    /// Allowed: the case counts as left out.
    LeftOut(String),
    /// `FOREBAY_STACK=required`: the case fails.
    Failed(String),
}

static STACK: OnceLock<Result<Stack, Absent>> = OnceLock::new();
static SUPERVISOR: Mutex<Option<Supervisor>> = Mutex::new(None);

/// The stack, started on first use.
pub fn stack() -> Result<&'static Stack, Absent> {
    STACK
        .get_or_init(|| match mode()? {
            Mode::Off => Err(Absent::LeftOut("FOREBAY_STACK=off".into())),
            Mode::Auto => start().map_err(Absent::LeftOut),
            Mode::Required => start().map_err(Absent::Failed),
        })
        .as_ref()
        .map_err(Absent::clone)
}

static SPARK: OnceLock<Result<PathBuf, Absent>> = OnceLock::new();

/// The interpreter that has Spark, fetched when the first case asks for it.
#[allow(dead_code)] // no bench asks
pub fn spark() -> Result<&'static Path, Absent> {
    SPARK
        .get_or_init(|| {
            let made = fetch::spark().map(|venv| venv.join("bin/python"));
            match mode()? {
                Mode::Required => made.map_err(Absent::Failed),
                _ => made.map_err(Absent::LeftOut),
            }
        })
        .as_deref()
        .map_err(Absent::clone)
}

/// Stops the servers.
pub fn stop() {
    drop(SUPERVISOR.lock().unwrap().take());
}

/// Stops the servers, says what was left out, and tidies up.
pub fn finish(conclusion: &libtest_mimic::Conclusion) {
    stop();
    if let Some(Err(Absent::LeftOut(why))) = SPARK.get() {
        eprintln!("\n######## stack: WHAT SPARK READS WAS LEFT OUT: {why}\n");
    }
    match STACK.get() {
        Some(Err(Absent::LeftOut(why))) => eprintln!(
            "\n######## stack: {} TESTS LEFT OUT: {why}\n######## (FOREBAY_STACK=required makes this a failure)\n",
            conclusion.num_ignored
        ),
        Some(Ok(stack)) => {
            if !conclusion.has_failed() && std::env::var_os("FOREBAY_STACK_KEEP").is_none() {
                let _ = std::fs::remove_dir_all(&stack.work);
            } else {
                eprintln!("stack: logs and case folders are in {}", stack.work.display());
            }
        }
        _ => {}
    }
}

enum Mode {
    Auto,
    Required,
    Off,
}

fn mode() -> Result<Mode, Absent> {
    match std::env::var("FOREBAY_STACK").as_deref() {
        Err(_) | Ok("" | "auto") => Ok(Mode::Auto),
        Ok("required") => Ok(Mode::Required),
        Ok("off") => Ok(Mode::Off),
        Ok(other) => Err(Absent::Failed(format!(
            "FOREBAY_STACK is `{other}`, not one of `auto`, `required`, `off`"
        ))),
    }
}

/// `target/stack`: downloads by name and version, kept across runs.
fn store() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("stack")
}

fn start() -> Result<Stack, String> {
    let begun = Instant::now();
    let kind = s3::Kind::chosen()?;
    let installed = install(kind)?;
    let fetched = begun.elapsed();
    let work = run_folder()?;
    let logs = work.join("logs");
    let data = work.join("data");
    for folder in [&logs, &data] {
        std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    }
    let mut supervisor = Supervisor::start(&data)?;
    let ports = free_ports(8)?;
    let launched = launch(&mut supervisor, &installed, kind, &ports, &data, &logs);
    let (brokers, registry, s3, secure) =
        launched.map_err(|why| format!("{why} (logs are in {})", logs.display()))?;
    *SUPERVISOR.lock().unwrap() = Some(supervisor);
    let stack = Stack {
        brokers,
        registry,
        s3,
        secure,
        python: installed.venv.join("bin/python"),
        webhooks: installed.webhooks.join("api.github.com/index.json"),
        work,
    };
    s3::make_bucket(&stack)?;
    eprintln!(
        "stack: kafka {}, apicurio {}, {} {} up after {:.1} s (fetching took {:.1} s)",
        stack.brokers,
        stack.registry,
        kind.name(),
        stack.s3.endpoint,
        begun.elapsed().as_secs_f64(),
        fetched.as_secs_f64(),
    );
    Ok(stack)
}

struct Installed {
    kafka: PathBuf,
    registry: PathBuf,
    s3: PathBuf,
    venv: PathBuf,
    webhooks: PathBuf,
    certificates: tls::Certificates,
}

/// Fetches what is not there yet, side by side.
fn install(kind: s3::Kind) -> Result<Installed, String> {
    fetch::tools(&["java", "keytool", "python3"])?;
    std::thread::scope(|scope| {
        let kafka = scope.spawn(kafka::install);
        let registry = scope.spawn(registry::install);
        let s3 = scope.spawn(move || kind.install());
        let venv = scope.spawn(fetch::venv);
        let webhooks = scope.spawn(fetch::webhooks);
        let certificates = scope.spawn(tls::install);
        Ok(Installed {
            kafka: kafka.join().unwrap()?,
            registry: registry.join().unwrap()?,
            s3: s3.join().unwrap()?,
            venv: venv.join().unwrap()?,
            webhooks: webhooks.join().unwrap()?,
            certificates: certificates.join().unwrap()?,
        })
    })
}

fn launch(
    supervisor: &mut Supervisor,
    installed: &Installed,
    kind: s3::Kind,
    ports: &[u16],
    data: &Path,
    logs: &Path,
) -> Result<(String, String, S3, Secure), String> {
    let certificates = &installed.certificates;
    let s3 = kind.launch(supervisor, &installed.s3, &ports[5..], data, logs)?;
    let [registry, secure_registry] =
        registry::launch(supervisor, &installed.registry, certificates, &ports[3..5], logs)?;
    let [brokers, secure_brokers] =
        kafka::launch(supervisor, &installed.kafka, certificates, &ports[..3], data, logs)?;
    wait_for("kafka", || kafka::ready(&brokers))?;
    wait_for("apicurio", || http_ok(&format!("{registry}/subjects")))?;
    wait_for(kind.name(), || {
        std::net::TcpStream::connect(s3.endpoint.trim_start_matches("http://")).is_ok()
    })?;
    let secure = Secure {
        brokers: secure_brokers,
        registry: secure_registry,
        ca_file: certificates.ca_file.clone(),
    };
    Ok((brokers, registry, s3, secure))
}

/// This run's folder; those of runs that are gone are removed.
fn run_folder() -> Result<PathBuf, String> {
    let runs = store().join("run");
    std::fs::create_dir_all(&runs).map_err(|e| format!("{}: {e}", runs.display()))?;
    for entry in std::fs::read_dir(&runs).map_err(|e| e.to_string())?.flatten() {
        let gone = !Path::new("/proc").join(entry.file_name()).exists();
        if gone && std::env::var_os("FOREBAY_STACK_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(runs.join(std::process::id().to_string()))
}

/// Ports nobody listens on. All are held until all are known, so that they differ.
fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let held: Result<Vec<_>, _> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    let held = held.map_err(|e| format!("no free port: {e}"))?;
    Ok(held.iter().map(|l| l.local_addr().unwrap().port()).collect())
}

/// Asks until yes; a server that is not up after two minutes will not come.
fn wait_for(what: &str, mut ready: impl FnMut() -> bool) -> Result<(), String> {
    let begun = Instant::now();
    while !ready() {
        if begun.elapsed() > Duration::from_secs(120) {
            return Err(format!("{what} did not answer within 120 s"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Whether a GET answers 200.
fn http_ok(url: &str) -> bool {
    use std::io::{Read, Write};
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let Ok(mut stream) = std::net::TcpStream::connect(host) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut head = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut head).is_ok()
        && head.ends_with(b" 200")
}
