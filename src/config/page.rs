//! `docs/config.md` out of the table of options.

use std::fmt::Write;
use std::time::Duration;

use super::options::{Form, NOT_YET, NOT_YET_WORDS, OPTIONS, Opt, SECTIONS, Unset};
use super::units::{show_duration, show_size};

/// The page, as it stands in the repository.
pub fn page() -> String {
    let mut out = String::from(INTRODUCTION);
    for (section, title) in SECTIONS {
        match *section {
            "" => out.push_str("\n## Top level\n"),
            section => {
                let _ = write!(out, "\n## `{section}`\n\n{title}.\n");
            }
        }
        for opt in OPTIONS.iter().filter(|opt| section_of(opt.path) == *section) {
            describe(opt, &mut out);
        }
    }
    out.push_str("\n## Not in this version\n\nThese names are known and refused:\n\n");
    for (path, instead) in NOT_YET {
        let _ = writeln!(out, "- `{path}`: {instead}.");
    }
    for (path, words) in NOT_YET_WORDS {
        let _ = writeln!(out, "- `{path}`: `{}`.", words.join("`, `"));
    }
    out
}

const INTRODUCTION: &str = "# Configuration

<!-- Generated from src/config/options.rs: `FOREBAY_BLESS='docs/*' cargo test --lib config` writes it anew. -->

One YAML file describes one pipeline; `forebay check -c forebay.yaml` says everything that is wrong with it
at once. Aliases, merge keys and tags are not read.

- Durations have units: `500ms`, `25s`, `5m`, `1h30m`, `2d`.
- Sizes have units: `64KiB`, `128MiB`, `1GiB` (powers of 1,024), `1MB`, `1GB` (powers of 1,000); a bare number is bytes.
- `${NAME}` takes an environment variable, `${NAME:-default}` has a default for an unset or empty one, `${file:path}`
  takes a file's text without its last line end (relative paths start at the configuration's folder). They work in
  values, not in keys. `$${` is a plain `${`.
- Secrets are never shown, and a value is shown in messages as the file writes it, before substitution.

A small one:

```yaml
pipeline: orders
source:
  brokers: localhost:9092
  topics: [orders]
registry:
  url: http://localhost:8081
partition_by: [country, \"day(created_at)\"]
sink:
  url: s3://lake/raw
```
";

/// The longest section that a path stands in.
fn section_of(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(section, _)| section)
}

fn describe(opt: &Opt, out: &mut String) {
    let _ = write!(out, "\n### `{}`\n\n{}\n\n", opt.path, opt.what);
    let default = match opt.default {
        Unset::Required => "required".to_owned(),
        Unset::Absent => "none".to_owned(),
        Unset::Is(text) => format!("`{text}`"),
        Unset::Derived(words) => words.to_owned(),
    };
    let _ = writeln!(out, "- Default: {default}");
    if let Some(range) = range(opt.form) {
        let _ = writeln!(out, "- Range: {range}");
    }
    if !opt.why.is_empty() {
        let _ = writeln!(out, "- {}", opt.why);
    }
    if !opt.elsewhere.is_empty() {
        let _ = writeln!(out, "- Known elsewhere as {}", opt.elsewhere);
    }
}

fn range(form: Form) -> Option<String> {
    let time = |ms| show_duration(Duration::from_millis(ms));
    let words = |words: &[&str]| format!("`{}`", words.join("`, `"));
    match form {
        Form::Count(least, most) => Some(format!("{least} to {most}")),
        Form::Duration(least, most) => Some(format!("{} to {}", time(least), time(most))),
        Form::Size(least, most) => Some(format!("{} to {}", show_size(least), show_size(most))),
        Form::Share(least) => Some(format!("at least {}, or 5% to 95%", show_size(least))),
        Form::Flag => Some("`true`, `false`".to_owned()),
        Form::Choice(all) => Some(words(all)),
        Form::Choices(all) => Some(format!("a list of {}", words(all))),
        Form::Texts => Some("a text, or a list of texts".to_owned()),
        Form::Pairs | Form::SecretPairs => Some("keys of your own with single values".to_owned()),
        Form::Secret => Some("a secret; take it from `${NAME}` or `${file:path}`".to_owned()),
        Form::Text | Form::Own => None,
    }
}
