//! The program under test, as a process.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::python;
use crate::rig::{Stack, die_with_parent};

/// Names another binary than the one just built, to measure one against the other.
pub const PROGRAM: &str = "FOREBAY_STACK_PROGRAM";

/// The program under test.
fn program(environment: &[(String, String)]) -> PathBuf {
    let named = environment.iter().find(|(name, _)| name == PROGRAM).map(|(_, path)| path.into());
    let named = named.or_else(|| std::env::var_os(PROGRAM).map(PathBuf::from));
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_forebay").into())
}

/// A pipeline's configuration: what every case has in common, and `more` at its end.
pub fn config(folder: &Path, name: &str, topic: &str, registry: &str, more: &str) -> PathBuf {
    let text = format!(
        "pipeline: {name}
source:
  brokers: ${{FOREBAY_BROKERS}}
  topics: [{topic}]
  start: earliest
  properties: {{ session.timeout.ms: \"3000\", heartbeat.interval.ms: \"500\" }}
registry: {registry}
{more}"
    );
    let path = folder.join(format!("{name}.yaml"));
    std::fs::write(&path, text).unwrap();
    path
}

/// `sink:` of a case: a prefix of its own in the bucket.
pub fn s3_sink(prefix: &str) -> String {
    format!(
        "  url: s3://${{S3_BUCKET}}/{prefix}\n  endpoint: ${{S3_ENDPOINT}}\n  region: ${{AWS_REGION}}\n"
    )
}

/// A running Forebay.
pub struct Forebay {
    child: Child,
    begun: Instant,
    out: PathBuf,
    err: PathBuf,
    ended: bool,
}

/// A Forebay that ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub wall: Duration,
    pub cpu: Duration,
    /// The most memory it ever held, in bytes.
    pub peak_rss: u64,
}

/// Starts `forebay <args>` with the stack's addresses in its environment. `label` names its outputs in `folder`.
pub fn start(stack: &Stack, folder: &Path, label: &str, args: &[&str]) -> Forebay {
    start_with(&python::environment(stack), folder, label, args)
}

pub fn start_with(
    environment: &[(String, String)],
    folder: &Path,
    label: &str,
    args: &[&str],
) -> Forebay {
    let out = folder.join(format!("{label}.out"));
    let err = folder.join(format!("{label}.err"));
    let mut command = Command::new(program(environment));
    command
        .args(args)
        .envs(environment.iter().cloned())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap());
    let begun = Instant::now();
    let child = die_with_parent(&mut command).spawn().unwrap();
    Forebay { child, begun, out, err, ended: false }
}

/// Streams what is there and ends, with exit 0 and a summary. No case should come near the limit, on a
/// slow machine either.
pub fn drain(stack: &Stack, folder: &Path, label: &str, config: &Path) -> Ended {
    let args = ["run", "-c", config.to_str().unwrap(), "--drain", "--output", "json"];
    start(stack, folder, label, &args).wait(LONG).succeeded()
}

/// Until a case gives up on a process.
pub const LONG: Duration = Duration::from_secs(600);

impl Forebay {
    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call; the child was not waited for, so the id is its own.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// What it said so far on stderr.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Waits until it said this.
    #[track_caller]
    pub fn says(&self, what: &str) {
        self.says_one_of(&[what]);
    }

    #[track_caller]
    pub fn says_one_of(&self, these: &[&str]) {
        self.says_all(&format!("{these:?}"), |said| these.iter().any(|what| said.contains(what)));
    }

    /// Waits until it said this so many times.
    #[track_caller]
    pub fn says_times(&self, what: &str, times: usize) {
        self.says_all(&format!("{what:?} {times} times"), |said| {
            said.matches(what).count() >= times
        });
    }

    #[track_caller]
    fn says_all(&self, what: &str, done: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !done(&self.said()) {
            assert!(begun.elapsed() < LONG, "it never said {what}:\n{}", tail(&self.said()));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn running(&mut self) -> bool {
        !self.ended && self.reap(libc::WNOHANG | libc::WNOWAIT).is_none()
    }

    /// Waits for its end; a process that outstays `limit` is killed and fails the case.
    pub fn wait(mut self, limit: Duration) -> Ended {
        let begun = Instant::now();
        let (status, usage) = loop {
            if let Some(ended) = self.take_status() {
                break ended;
            }
            if begun.elapsed() > limit {
                self.signal(libc::SIGKILL);
                let said = tail(&self.said());
                panic!("forebay did not end within {limit:?}; it said last:\n{said}");
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        self.ended = true;
        let seconds = |t: libc::timeval| {
            Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64)
        };
        Ended {
            status: ExitStatus::from_raw(status),
            stdout: std::fs::read_to_string(&self.out).unwrap_or_default(),
            stderr: self.said(),
            wall: self.begun.elapsed(),
            cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
            peak_rss: usage.ru_maxrss as u64 * 1024,
        }
    }

    fn take_status(&mut self) -> Option<(i32, libc::rusage)> {
        let mut status = 0;
        // SAFETY: `wait4` writes the two places it is given, both ours; zero is a valid `rusage`.
        unsafe {
            let mut usage = std::mem::zeroed::<libc::rusage>();
            let pid = self.child.id() as i32;
            let ended = libc::wait4(pid, &mut status, libc::WNOHANG, &mut usage) == pid;
            ended.then_some((status, usage))
        }
    }

    fn reap(&self, options: i32) -> Option<()> {
        // SAFETY: `waitid` writes the struct it is given; with WNOWAIT the child stays as it is.
        unsafe {
            let mut info = std::mem::zeroed::<libc::siginfo_t>();
            let options = options | libc::WEXITED;
            libc::waitid(libc::P_PID, self.child.id(), &mut info, options);
            (info.si_pid() != 0).then_some(())
        }
    }
}

impl Drop for Forebay {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Ended {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        self.exited(0)
    }

    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert!(
            self.status.code() == Some(code),
            "forebay ended with {}, expected exit {code}; stderr ends:\n{}",
            self.status,
            tail(&self.stderr)
        );
        self
    }

    /// Its summary, where it ran with `--output json`.
    #[track_caller]
    pub fn summary(&self) -> serde_json::Value {
        let last = self.stdout.trim_end().lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|e| panic!("no summary: {e}: `{last}`"))
    }

    /// One line for a person: what it took.
    pub fn cost(&self) -> String {
        format!(
            "{:.1} s wall, {:.1} s CPU, {} MiB peak RSS",
            self.wall.as_secs_f64(),
            self.cpu.as_secs_f64(),
            self.peak_rss >> 20
        )
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
