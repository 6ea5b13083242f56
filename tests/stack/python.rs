//! The foreign programs: Confluent's client writes, DuckDB and pyarrow read.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::rig::{Stack, die_with_parent};

/// Runs `py/<script>` to its end. Its last line on stdout is its result, as JSON.
pub fn program(stack: &Stack, script: &str, args: &[&str]) -> Result<serde_json::Value, String> {
    start(stack, script, args).finish()
}

/// As [`program`]; a failure is the case's.
pub fn run(stack: &Stack, script: &str, args: &[&str]) -> serde_json::Value {
    program(stack, script, args).unwrap_or_else(|why| panic!("{why}"))
}

/// A program that runs beside the case.
pub struct Running {
    child: Child,
    what: String,
}

pub fn start(stack: &Stack, script: &str, args: &[&str]) -> Running {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stack/py").join(script);
    let mut command = Command::new(&stack.python);
    command
        .arg("-B") // no caches in the source tree
        .arg(path)
        .args(args)
        .envs(environment(stack))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let child = die_with_parent(&mut command).spawn().unwrap();
    Running { child, what: format!("{script} {}", args.join(" ")) }
}

impl Running {
    pub fn finish(mut self) -> Result<serde_json::Value, String> {
        let mut out = String::new();
        let read = self.child.stdout.take().unwrap().read_to_string(&mut out);
        let status = self.child.wait().map_err(|e| e.to_string())?;
        if !status.success() || read.is_err() {
            return Err(format!("{}: {status}\n{out}", self.what));
        }
        let last = out.trim_end().lines().last().unwrap_or("null");
        serde_json::from_str(last).map_err(|e| format!("{}: {e}: {last}", self.what))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where everything is, for programs of ours and for Forebay's `${…}`.
pub fn environment(stack: &Stack) -> Vec<(String, String)> {
    [
        ("FOREBAY_BROKERS", stack.brokers.as_str()),
        ("FOREBAY_REGISTRY", &stack.registry),
        ("S3_ENDPOINT", &stack.s3.endpoint),
        ("S3_BUCKET", stack.s3.bucket),
        ("AWS_REGION", stack.s3.region),
        ("AWS_ACCESS_KEY_ID", stack.s3.access_key),
        ("AWS_SECRET_ACCESS_KEY", stack.s3.secret_key),
        ("WEBHOOKS", stack.webhooks.to_str().unwrap()),
    ]
    .map(|(k, v)| (k.to_string(), v.to_string()))
    .into()
}
