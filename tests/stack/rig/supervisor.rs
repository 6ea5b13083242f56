//! A process that starts the servers and ends them when the pipe to it closes: also after a panic,
//! and when the tests are killed.
//!
//! One JSON object a line goes in for each server, one comes back.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use serde::{Deserialize, Serialize};

/// First argument of this binary when it is the supervisor; the second is the folder of the servers'
/// data, which goes with them.
pub const FLAG: &str = "--supervise";

/// A server to start.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub dir: PathBuf,
    /// Both outputs go here.
    pub log: PathBuf,
}

/// The tests' end of the pipe.
pub struct Supervisor {
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Supervisor {
    pub fn start(data: &Path) -> Result<Self, String> {
        let exe = std::env::current_exe().map_err(|e| e.to_string())?;
        // A group of its own: an interrupt at the terminal ends the tests, the pipe then ends this.
        let mut child = Command::new(exe)
            .arg(FLAG)
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("the supervisor did not start: {e}"))?;
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Ok(Self { orders, answers })
    }

    pub fn order(&mut self, order: &Order) -> Result<(), String> {
        let mut line = serde_json::to_string(order).map_err(|e| e.to_string())?;
        line.push('\n');
        let pipe = self.orders.as_mut().unwrap();
        pipe.write_all(line.as_bytes()).map_err(|e| format!("the supervisor is gone: {e}"))?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(|e| e.to_string())?;
        match answer.trim() {
            "started" => Ok(()),
            "" => Err("the supervisor is gone".into()),
            why => Err(format!("{}: {why}", order.program.display())),
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.orders.take());
        // Its output ends when the servers have; it then removes their data by itself.
        let _ = std::io::copy(&mut self.answers, &mut std::io::sink());
    }
}

/// The supervisor's own main.
pub fn serve() -> ExitCode {
    let data = std::env::args_os().nth(2).map(PathBuf::from);
    let mut servers: Vec<Child> = Vec::new();
    for line in std::io::stdin().lines() {
        let Ok(line) = line else { break };
        let answer = match start(&line) {
            Ok(child) => {
                servers.push(child);
                "started".to_string()
            }
            Err(why) => why.replace('\n', " "),
        };
        println!("{answer}");
        if std::io::stdout().flush().is_err() {
            break;
        }
    }
    for server in &mut servers {
        // SAFETY: a plain system call. The child was not waited for, so its id, which is also its
        // group's, is still its own.
        unsafe { libc::kill(-(server.id() as i32), libc::SIGKILL) };
        let _ = server.wait();
    }
    // SAFETY: nothing prints from here on; the tests wait for this end of the pipe.
    unsafe { libc::close(libc::STDOUT_FILENO) };
    if let Some(data) = data {
        let _ = std::fs::remove_dir_all(data);
    }
    ExitCode::SUCCESS
}

fn start(line: &str) -> Result<Child, String> {
    let order: Order = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let log = std::fs::File::create(&order.log).map_err(|e| e.to_string())?;
    let mut command = Command::new(&order.program);
    command
        .args(&order.args)
        .envs(order.env)
        .current_dir(&order.dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(|e| e.to_string())?)
        .stderr(log)
        .process_group(0);
    super::die_with_parent(&mut command).spawn().map_err(|e| e.to_string())
}
