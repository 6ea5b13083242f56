//! `${NAME}`, `${NAME:-default}` and `${file:path}` in values.
//!
//! Owns: substitution, and the door to environment, secret files and the machine's memory.
//! Bounded by: a file of 64 KiB, a value of 64 KiB.
//! Absent: substitution inside what was substituted, in keys, and in data of any kind.

use std::path::{Path, PathBuf};

/// Largest file that `${file:…}` reads, and largest value after substitution; bytes.
pub const VALUE_MAX: usize = 64 << 10;
/// Longest file that an option names.
pub const FILE_MAX: usize = 1 << 20;

/// What a configuration may ask of the world it is read in.
pub trait Env {
    /// An environment variable.
    fn var(&self, name: &str) -> Option<String>;
    /// A file that `${file:…}` names; the text of an error says why not.
    fn file(&self, path: &Path) -> Result<SecretFile, String>;
    /// A file that is no secret, at most `FILE_MAX` bytes; the text of an error says why not.
    fn plain_file(&self, path: &Path) -> Result<String, String>;
    /// Bytes of memory this process may use: the cgroup's limit, else the machine's.
    fn memory_bytes(&self) -> u64;
}

/// What a file holds, without one line end at its end.
#[derive(Debug, Clone)]
pub struct SecretFile {
    pub text: String,
    /// Why somebody else might read it: `readable by everybody (mode 644)`.
    pub exposed: Option<String>,
}

/// A value after substitution.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Files that others can read, one line each.
    pub(super) warnings: Vec<String>,
}

/// Substitutes in one value. `folder` is where relative paths start. `$${` is a plain `${`.
/// An error names what is missing and never what was found.
pub(super) fn expand(text: &str, folder: &Path, env: &dyn Env) -> Result<Expanded, String> {
    let mut out = Expanded::default();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        if let Some(plain) = before.strip_suffix('$') {
            out.text.push_str(plain);
            out.text.push_str("${");
            rest = &after[2..];
            continue;
        }
        out.text.push_str(before);
        let end = after
            .find('}')
            .ok_or("`${` without `}`: `${NAME}` required; write `$${` for a plain one")?;
        let part = one(&after[2..end], folder, env, &mut out.warnings)?;
        out.text.push_str(&part);
        if out.text.len() > VALUE_MAX {
            return Err(format!("a value over {VALUE_MAX} bytes: a shorter one required"));
        }
        rest = &after[end + 1..];
    }
    out.text.push_str(rest);
    Ok(out)
}

fn one(
    inside: &str,
    folder: &Path,
    env: &dyn Env,
    warnings: &mut Vec<String>,
) -> Result<String, String> {
    if inside.contains("${") {
        return Err("`${` inside `${…}`: a plain default required".to_owned());
    }
    if let Some(path) = inside.strip_prefix("file:") {
        let path: PathBuf = folder.join(path);
        let file = env.file(&path).map_err(|why| format!("file `{}`: {why}", path.display()))?;
        warnings.extend(file.exposed.map(|how| format!("secret file `{}`: {how}", path.display())));
        return Ok(file.text);
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || !name.bytes().all(legal) || name.as_bytes()[0].is_ascii_digit() {
        return Err(format!(
            "`${{{inside}}}`: a variable's name (letters, digits, `_`), or `file:` and a path required"
        ));
    }
    match (env.var(name), default) {
        (Some(value), _) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (Some(empty), None) => Ok(empty),
        (None, None) => Err(format!(
            "environment variable `{name}`: not set, a value required; set it, or write `${{{name}:-default}}`"
        )),
    }
}

/// The text of a regular file of at most `max` bytes.
fn read_file(path: &Path, max: usize) -> Result<(String, std::fs::Metadata), String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let about = file.metadata().map_err(|e| e.to_string())?;
    if !about.is_file() {
        return Err("not a regular file, one required".to_owned());
    }
    let mut text = String::new();
    file.take(max as u64 + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() > max {
        return Err(format!("over {max} bytes, a shorter one required"));
    }
    Ok((text, about))
}

/// The process, its files, its machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Process;

impl Env for Process {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<SecretFile, String> {
        use std::os::unix::fs::PermissionsExt;
        let (mut text, about) = read_file(path, VALUE_MAX)?;
        if text.ends_with('\n') {
            text.pop();
            text.truncate(text.trim_end_matches('\r').len());
        }
        let mode = about.permissions().mode() & 0o777;
        let exposed = (mode & 0o004 != 0).then(|| {
            format!("readable by everybody (mode {mode:03o}); take the right away with `chmod o-r`")
        });
        Ok(SecretFile { text, exposed })
    }

    fn plain_file(&self, path: &Path) -> Result<String, String> {
        Ok(read_file(path, FILE_MAX)?.0)
    }

    fn memory_bytes(&self) -> u64 {
        let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            kib.checked_mul(1_024)
        });
        let limits = cgroup_files()
            .into_iter()
            .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
        limits.chain(machine).min().unwrap_or(1 << 30)
    }
}

/// Files that may hold a memory limit over this process: its cgroup's and those above it.
fn cgroup_files() -> Vec<PathBuf> {
    let mine = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut files = vec![PathBuf::from("/sys/fs/cgroup/memory/memory.limit_in_bytes")];
    let own = mine.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let mut folder = PathBuf::from("/sys/fs/cgroup").join(own.trim_start_matches('/'));
    while folder.starts_with("/sys/fs/cgroup") {
        files.push(folder.join("memory.max"));
        if !folder.pop() {
            break;
        }
    }
    files
}
