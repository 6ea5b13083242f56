//! Every option: its text form, unit, default, bounds and reason.
//!
//! Owns: YAML with `${ENV}` and `${file:…}`, the typed [`Config`], and one finding per wrong key,
//! value, unit or missing part, all at once, each with its path.
//! Does not own: what a value points at (`cli::check`), expressions (`partition` compiles their text).
//! Bounded by: a file of 1 MiB.

pub mod model;
pub mod options;
pub mod units;
mod expand;
mod nearest;
mod yaml;
mod values;
mod lists;
mod forms;
mod source;
mod registry;
mod commit;
mod build;
mod rules;
pub mod page;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::error::{Code, Fault, Kind};

pub use expand::{Env, Process, SecretFile};
pub use model::*;

pub static UNREADABLE: Code = Code {
    id: "FB0401",
    kind: Kind::Halt,
    title: "configuration file that cannot be read",
    help: "The path after `-c` is wrong, or this user may not read it, or it is not text in UTF-8.",
};
pub static TOO_LARGE: Code = Code {
    id: "FB0402",
    kind: Kind::Halt,
    title: "configuration file too large",
    help: "A configuration takes at most 1 MiB. Is it the right file?",
};
pub static SYNTAX: Code = Code {
    id: "FB0403",
    kind: Kind::Halt,
    title: "configuration that is not plain YAML",
    help: "The file is read as one YAML document without aliases, merge keys and tags. Look at the line, and at the indentation above it.",
};
pub static DUPLICATE: Code = Code {
    id: "FB0404",
    kind: Kind::Halt,
    title: "key given twice",
    help: "A key may stand once in its section: which of the two values is meant cannot be known.",
};
pub static UNKNOWN_KEY: Code = Code {
    id: "FB0405",
    kind: Kind::Halt,
    title: "unknown key",
    help: "No option has this name. `docs/config.md` lists them all.",
};
pub static MISSING: Code = Code {
    id: "FB0406",
    kind: Kind::Halt,
    title: "missing option",
    help: "This option has no default, or another option needs it.",
};
pub static TYPE: Code = Code {
    id: "FB0407",
    kind: Kind::Halt,
    title: "value of the wrong form",
    help: "A single value, a list or a map of keys stands where another of them belongs.",
};
pub static VALUE: Code = Code {
    id: "FB0408",
    kind: Kind::Halt,
    title: "value out of its range",
    help: "The option takes other values: another unit, range or word. `docs/config.md` says which, and why.",
};
pub static NOT_YET: Code = Code {
    id: "FB0409",
    kind: Kind::Halt,
    title: "option that this version does not have",
    help: "The name is known, and this version does not have it. The message says what to do instead.",
};
pub static SUBSTITUTION: Code = Code {
    id: "FB0410",
    kind: Kind::Halt,
    title: "value that cannot be substituted",
    help: "`${NAME}` takes an environment variable, `${NAME:-default}` has a default, `${file:path}` takes a file's text; `$${` is a plain `${`.",
};
pub static CONFLICT: Code = Code {
    id: "FB0411",
    kind: Kind::Halt,
    title: "options that exclude each other",
    help: "Each value is right by itself; together they mean nothing, or something nobody wants.",
};

/// Every code of this room.
pub static CODES: &[&Code] = &[
    &UNREADABLE,
    &TOO_LARGE,
    &SYNTAX,
    &DUPLICATE,
    &UNKNOWN_KEY,
    &MISSING,
    &TYPE,
    &VALUE,
    &NOT_YET,
    &SUBSTITUTION,
    &CONFLICT,
];

impl Config {
    /// Reads a file. Relative paths in `${file:…}` start at its folder. All findings at once.
    pub fn load(path: &Path, env: &dyn Env) -> Result<Config, Vec<Fault>> {
        let shown = path.display().to_string();
        let unreadable = |why: String| {
            vec![Fault::new(
                &UNREADABLE,
                format!("configuration file `{shown}`: {why}; a readable file required"),
            )]
        };
        let text = read_file(path).map_err(unreadable)?;
        Self::parse(&text, &shown, env)
    }

    /// Reads a text; `file_name` is what places say (its folder is where relative paths start).
    pub fn parse(text: &str, file_name: &str, env: &dyn Env) -> Result<Config, Vec<Fault>> {
        let mut findings = Vec::new();
        let Some(root) = yaml::read(text, file_name, &mut findings) else { return Err(findings) };
        let mut values = values::Values::new(root, file_name, env, findings);
        let config = build::config(&mut values);
        rules::check(&config, &mut values);
        values.finish(config)
    }
}

/// The text of a file, one byte more than allowed at most.
fn read_file(path: &Path) -> Result<String, String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    if file.metadata().is_ok_and(|about| about.is_dir()) {
        return Err("a folder".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(yaml::FILE_MAX as u64 + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    String::from_utf8(bytes)
        .map_err(|e| format!("byte {} is not UTF-8", e.utf8_error().valid_up_to()))
}
