//! One typed value at a time, by path, out of the tree and the table of options.
//!
//! Owns: presence, form, unit, range and word of a value; unknown keys; what a finding says.
//! Does not own: which values make up the [`Config`] (`build`), rules between them (`rules`).
//! A wrong value gives a finding and its default, so that reading goes on and finds the next one.

use std::path::PathBuf;
use std::time::Duration;

use super::expand::{Env, Expanded, expand};
use super::nearest::nearest;
use super::options::{self, Form, NOT_YET_WORDS, Opt, Unset, find, keys_of};
use super::yaml::{Kind, Node};
use super::{
    Config, MISSING, NOT_YET, Placed, SUBSTITUTION, Secret, TYPE, UNKNOWN_KEY, VALUE, units,
};
use crate::error::{Code, Fault};

/// Most findings that are kept.
const FINDINGS_MAX: usize = 300;

/// The file being read, and what was found wrong so far.
pub(super) struct Values<'a> {
    root: Node,
    file: &'a str,
    folder: PathBuf,
    pub(super) env: &'a dyn Env,
    findings: Vec<Fault>,
    /// Paths with a finding.
    wrong: Vec<String>,
    warnings: Vec<String>,
}

/// A single value: as it is read, and as a message may show it.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) shown: String,
    pub(super) line: usize,
}

impl<'a> Values<'a> {
    pub(super) fn new(root: Node, file: &'a str, env: &'a dyn Env, findings: Vec<Fault>) -> Self {
        let folder = std::path::Path::new(file).parent().map(PathBuf::from).unwrap_or_default();
        let mut values =
            Self { root, file, folder, env, findings, wrong: Vec::new(), warnings: Vec::new() };
        values.keys();
        values
    }

    /// The configuration, if nothing was found wrong.
    pub(super) fn finish(self, mut config: Config) -> Result<Config, Vec<Fault>> {
        if self.findings.is_empty() {
            config.warnings = self.warnings;
            return Ok(config);
        }
        Err(self.findings)
    }

    // -- findings --

    pub(super) fn find(
        &mut self,
        code: &'static Code,
        path: &str,
        line: Option<usize>,
        message: String,
    ) {
        if self.full() {
            return;
        }
        self.wrong.push(path.to_owned());
        let path = printable(path);
        let place = match line {
            Some(line) => format!("{path} ({}:{line})", self.file),
            None => format!("{path} ({})", self.file),
        };
        let finding = Fault::new(code, message).at(place);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Whether something was found wrong at this path or below it.
    pub(super) fn is_wrong(&self, path: &str) -> bool {
        let at = |wrong: &String| {
            wrong
                .strip_prefix(path)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        self.wrong.iter().any(at)
    }

    /// Whether there are as many findings as anybody reads.
    fn full(&self) -> bool {
        self.findings.len() >= FINDINGS_MAX
    }

    pub(super) fn warn(&mut self, path: &str, message: &str) {
        let line = self.node(path).map(|node| format!(":{}", node.line)).unwrap_or_default();
        self.warnings.push(format!("{message} ({path} ({}{line}))", self.file));
    }

    pub(super) fn missing(&mut self, path: &str, message: String) {
        // A section of the wrong form has its finding already.
        if !self.broken(path) {
            self.find(&MISSING, path, None, message);
        }
    }

    /// Line of a path, if it is in the file.
    pub(super) fn line(&self, path: &str) -> Option<usize> {
        self.node(path).map(|node| node.line)
    }

    // -- the tree --

    /// The node of a dotted path; a null is none.
    pub(super) fn node(&self, path: &str) -> Option<&Node> {
        let node = path.split('.').try_fold(&self.root, |node, key| node.get(key))?;
        (node.kind != Kind::Null).then_some(node)
    }

    /// Whether a section above this path is no map.
    fn broken(&self, path: &str) -> bool {
        let mut node = &self.root;
        for key in path.split('.') {
            match &node.kind {
                Kind::Map(_) => {}
                Kind::Null => return false,
                _ => return true,
            }
            match node.get(key) {
                Some(below) => node = below,
                None => return false,
            }
        }
        false
    }

    /// Refuses every key that no option has, section by section.
    fn keys(&mut self) {
        let root = self.root.clone();
        if !matches!(root.kind, Kind::Map(_) | Kind::Null) {
            let message =
                format!("configuration: {} found, a map of keys required", root.kind.name());
            let place = format!("{}:{}", self.file, root.line);
            self.findings.push(Fault::new(&TYPE, message).at(place));
        }
        self.section("", &root);
    }

    fn section(&mut self, section: &str, node: &Node) {
        let Kind::Map(entries) = &node.kind else {
            if node.kind != Kind::Null && !section.is_empty() {
                let message = format!(
                    "section `{section}`: {} found, a map of keys required",
                    node.kind.name()
                );
                self.find(&TYPE, section, Some(node.line), message);
            }
            return;
        };
        let known = keys_of(section);
        for (key, value) in entries {
            let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
            if known.contains(&key.as_str()) {
                if find(&path).is_none() {
                    self.section(&path, value);
                }
            } else {
                self.unknown(&path, key, value.line, &known);
            }
        }
    }

    fn unknown(&mut self, path: &str, key: &str, line: usize, known: &[&str]) {
        if self.full() {
            return;
        }
        let shown = printable(key);
        if let Some((_, instead)) = options::NOT_YET.iter().find(|(later, _)| *later == path) {
            let message = format!("option `{path}`: not in this version; {instead}");
            return self.find(&NOT_YET, path, Some(line), message);
        }
        let message = match nearest(key, known) {
            Some(near) => {
                format!("key `{shown}`: no option, `{near}` is the nearest; correct or remove it")
            }
            None => format!(
                "key `{shown}`: no option, one of `{}` required; correct or remove it",
                known.join("`, `")
            ),
        };
        self.find(&UNKNOWN_KEY, path, Some(line), message);
    }

    // -- single values --

    /// The value of a path if it is in the file: substituted, and safe to show by `shown`.
    pub(super) fn scalar(&mut self, path: &str) -> Option<Scalar> {
        let node = self.node(path)?.clone();
        let secret = matches!(find(path).map(|opt| opt.form), Some(Form::Secret));
        self.scalar_of(&node, path, secret)
    }

    /// The same for a node inside a list or a map of the user's own keys.
    pub(super) fn scalar_of(&mut self, node: &Node, path: &str, secret: bool) -> Option<Scalar> {
        let Kind::Scalar(written) = &node.kind else {
            self.wrong_form(path, node, "a single value");
            return None;
        };
        match expand(written, &self.folder, self.env) {
            Ok(Expanded { text, warnings }) => {
                let place = format!("{path} ({}:{})", self.file, node.line);
                self.warnings.extend(warnings.into_iter().map(|what| format!("{what} ({place})")));
                // What was substituted may be secret wherever it stands: the file's own text is shown.
                let shown = if secret { "***".to_owned() } else { masked(written) };
                Some(Scalar { text, shown, line: node.line })
            }
            Err(why) => {
                self.find(
                    &SUBSTITUTION,
                    path,
                    Some(node.line),
                    format!("value of `{path}`: {why}"),
                );
                None
            }
        }
    }

    pub(super) fn wrong_form(&mut self, path: &str, node: &Node, required: &str) {
        let message = format!("value of `{path}`: {} found, {required} required", node.kind.name());
        self.find(&TYPE, path, Some(node.line), message);
    }

    pub(super) fn wrong_value(&mut self, path: &str, value: &Scalar, required: &str) {
        let message = format!("value of `{path}`: `{}` found, {required} required", value.shown);
        self.find(&VALUE, path, Some(value.line), message);
    }

    /// A value by its option's row: from the file, else the row's default.
    fn parsed<T>(
        &mut self,
        path: &str,
        read: impl Fn(&Opt, &str) -> Result<T, String>,
    ) -> Option<T> {
        let opt = find(path);
        debug_assert!(opt.is_some(), "no row for option `{path}`");
        let opt = opt?;
        let fallback = match opt.default {
            Unset::Is(text) => read(opt, text).ok(),
            Unset::Required | Unset::Absent | Unset::Derived(_) => None,
        };
        if self.node(path).is_none() {
            if matches!(opt.default, Unset::Required) {
                let short = opt.what.split(['.', ';']).next().unwrap_or_default();
                self.missing(path, format!("option `{path}`: not set, required; {short}"));
            }
            return fallback;
        }
        let value = self.scalar(path)?;
        match read(opt, &value.text) {
            Ok(value) => Some(value),
            Err(required) => {
                let word = NOT_YET_WORDS
                    .iter()
                    .any(|(p, words)| *p == path && words.contains(&value.text.as_str()));
                if word {
                    let message = format!(
                        "value of `{path}`: `{}` is not in this version; {required} required",
                        value.shown
                    );
                    self.find(&NOT_YET, path, Some(value.line), message);
                } else {
                    self.wrong_value(path, &value, &required);
                }
                fallback
            }
        }
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        self.checked(path, |_| Ok(()))
    }

    /// What the file says that an option names; a relative path starts at the configuration's folder.
    pub(super) fn text_of_file(&mut self, path: &str) -> Option<Placed> {
        let name = self.text(path)?;
        match self.env.plain_file(&self.folder.join(&name)) {
            Ok(text) => Some(Placed { text, place: format!("{path} ({name})") }),
            Err(why) => {
                let line = self.line(path);
                let message = format!("file of `{path}`: {why}; a readable file required");
                self.find(&VALUE, path, line, message);
                None
            }
        }
    }

    /// A text that passes a check; the check says what is required.
    pub(super) fn checked(
        &mut self,
        path: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Option<String> {
        self.parsed(path, |_, text| match text {
            "" => Err("a text".to_owned()),
            text => check(text).map(|()| text.to_owned()),
        })
    }

    pub(super) fn secret(&mut self, path: &str) -> Option<Secret> {
        self.text(path).map(Secret::new)
    }

    pub(super) fn flag(&mut self, path: &str) -> Option<bool> {
        self.parsed(path, |_, text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("`true` or `false`".to_owned()),
        })
    }

    pub(super) fn count(&mut self, path: &str) -> Option<u64> {
        self.parsed(path, |opt, text| match opt.form {
            Form::Count(least, most) => within(units::count(text)?, least, most, |n| n.to_string()),
            _ => Err("a count".to_owned()),
        })
    }

    pub(super) fn duration(&mut self, path: &str) -> Option<Duration> {
        self.parsed(path, |opt, text| match opt.form {
            Form::Duration(least, most) => {
                let show = |ms: u64| units::show_duration(Duration::from_millis(ms));
                let ms = u64::try_from(units::duration(text)?.as_millis()).unwrap_or(u64::MAX);
                within(ms, least, most, show).map(Duration::from_millis)
            }
            _ => Err("a duration".to_owned()),
        })
    }

    pub(super) fn size(&mut self, path: &str) -> Option<u64> {
        self.parsed(path, |opt, text| match opt.form {
            Form::Size(least, most) => within(units::size(text)?, least, most, units::show_size),
            _ => Err("a size".to_owned()),
        })
    }

    /// A size, or percent of the memory there is.
    pub(super) fn share(&mut self, path: &str) -> Option<u64> {
        let memory = self.env.memory_bytes();
        self.parsed(path, |opt, text| {
            let least = if let Form::Share(least) = opt.form { least } else { 0 };
            match units::percent(text) {
                Some(share @ 5..=95) => Ok((memory / 100).saturating_mul(share).max(least)),
                Some(_) => Err("5% to 95%".to_owned()),
                None => match units::size(text) {
                    Ok(bytes) => within(bytes, least, u64::MAX, units::show_size),
                    Err(_) => Err("a size (`2GiB`) or a share (`70%`)".to_owned()),
                },
            }
        })
    }

    /// One of the option's words, as what it stands for.
    pub(super) fn choice<T: Copy>(&mut self, path: &str, meanings: &[(&str, T)]) -> Option<T> {
        self.parsed(path, |opt, text| meaning(opt, text, meanings))
    }

    /// A text for another room, with its place.
    pub(super) fn placed(&self, value: &Scalar, path: &str) -> Placed {
        Placed { text: value.text.clone(), place: format!("{path} ({}:{})", self.file, value.line) }
    }
}

fn within(value: u64, least: u64, most: u64, show: impl Fn(u64) -> String) -> Result<u64, String> {
    match (least..=most).contains(&value) {
        true => Ok(value),
        false if most == u64::MAX => Err(format!("at least {}", show(least))),
        false => Err(format!("{} to {}", show(least), show(most))),
    }
}

pub(super) fn meaning<T: Copy>(opt: &Opt, text: &str, meanings: &[(&str, T)]) -> Result<T, String> {
    let words: Vec<&str> = meanings.iter().map(|(word, _)| *word).collect();
    debug_assert!(
        matches!(opt.form, Form::Choice(all) | Form::Choices(all) if all == words),
        "words of `{}` differ from its row",
        opt.path
    );
    match meanings.iter().find(|(word, _)| *word == text) {
        Some((_, meaning)) => Ok(*meaning),
        None => Err(match nearest(text, &words) {
            Some(near) => format!("one of `{}` (`{near}` is the nearest)", words.join("`, `")),
            None => format!("one of `{}`", words.join("`, `")),
        }),
    }
}

/// A written value for a message: what stands between `://` and `@` is hidden, long ones are cut.
fn masked(written: &str) -> String {
    match (written.find("://"), written.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            printable(&format!("{}***{}", &written[..scheme + 3], &written[at..]))
        }
        _ => printable(written),
    }
}

/// A text of the file for a terminal: cut, and no control character in it.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() > 200 {
            out.push('…');
            break;
        }
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}
