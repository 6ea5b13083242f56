//! Every code of the program, by room; `docs/errors.md` and `forebay explain` out of that one list.
//!
//! Does not own: the codes. A room's own list is here, or `tests/tidy.rs` says which code is missing.

use std::fmt::Write;

use serde_json::json;

use super::{
    ARGUMENTS, Exit, Output, decode as decode_command, evolve, plan, refused, register, say,
};
use crate::error::{Code, Fault, Kind};
use crate::{
    cli, commit, config, decode, file, partition, pipeline, registry, server, source, store, wire,
};

/// A range of codes.
#[derive(Debug)]
pub struct Room {
    /// What the codes have after `FB`: `01`.
    pub range: &'static str,
    pub title: &'static str,
    lists: fn() -> Vec<&'static [&'static Code]>,
}

impl Room {
    /// The room's codes by number.
    pub fn codes(&self) -> Vec<&'static Code> {
        let mut codes: Vec<&Code> = (self.lists)().concat();
        codes.sort_by_key(|code| code.id);
        codes
    }
}

/// All rooms, by range.
pub static ROOMS: &[Room] = &[
    Room { range: "01", title: "Wire format", lists: || vec![wire::CODES] },
    Room {
        range: "02",
        title: "Decoding",
        lists: || {
            vec![
                decode::CODES,
                decode::avro::codes::CODES,
                decode::json::codes::CODES,
                decode::text::CODES,
                decode::envelope::CODES,
            ]
        },
    },
    Room { range: "03", title: "Schemas and registry", lists: || vec![registry::CODES] },
    Room { range: "04", title: "Configuration", lists: || vec![config::CODES] },
    Room { range: "05", title: "Kafka", lists: || vec![source::CODES] },
    Room { range: "06", title: "Partitioning", lists: || vec![partition::CODES] },
    Room { range: "07", title: "Store", lists: || vec![store::CODES] },
    Room { range: "08", title: "Files", lists: || vec![file::CODES] },
    Room {
        range: "09",
        title: "Pipeline and commits",
        lists: || vec![commit::CODES, pipeline::CODES],
    },
    Room {
        range: "10",
        title: "Commands and server",
        lists: || {
            vec![
                cli::CODES,
                register::CODES,
                decode_command::CODES,
                plan::CODES,
                evolve::CODES,
                server::CODES,
            ]
        },
    },
];

/// The code of this id, in any case.
pub fn find(id: &str) -> Option<&'static Code> {
    ROOMS.iter().flat_map(Room::codes).find(|code| code.id.eq_ignore_ascii_case(id))
}

/// What a kind asks of its reader.
fn asks(kind: Kind) -> &'static str {
    match kind {
        Kind::Retry => "Nothing to do: it is tried again.",
        Kind::Reject => "The record stands in a reject file; the others go on.",
        Kind::Pause => "Nothing to do now: the Kafka partition waits and goes on by itself.",
        Kind::Halt => {
            "Somebody has to act: until then the Kafka partition, or the program, stays stopped."
        }
        Kind::Fenced => "Nothing to do: another owner has taken over.",
        Kind::Bug => "This cannot happen: please report it.",
    }
}

/// `docs/errors.md`, as it stands in the repository.
pub fn page() -> String {
    let mut out = String::from(INTRODUCTION);
    for kind in [Kind::Retry, Kind::Reject, Kind::Pause, Kind::Halt, Kind::Fenced, Kind::Bug] {
        let _ = writeln!(out, "| {} | {} |", kind.name(), asks(kind));
    }
    out.push('\n');
    for Room { range, title, .. } in ROOMS {
        let _ = writeln!(out, "- [FB{range}xx: {title}](#fb{range}xx-{})", anchor(title));
    }
    for room in ROOMS {
        let _ = write!(out, "\n## FB{}xx: {}\n", room.range, room.title);
        for code in room.codes() {
            let Code { id, kind, title, help } = code;
            let _ = write!(out, "\n### {id}: {title}\n\n*{}.* {help}\n", kind.name());
        }
    }
    out
}

const INTRODUCTION: &str = "# Codes

<!-- Generated from the CODES of every room: `FOREBAY_BLESS='docs/*' cargo test --lib codes` writes it anew. -->

Every fault and every reject has a code that never changes its meaning: in messages, in logs, in the column `code` of reject files, in
metrics. `forebay explain FB0201` says the same as this page. A code has a kind:

| kind | |
|---|---|
";

/// As hosts of Markdown make anchors: lower case, blanks as hyphens.
fn anchor(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A code: FB and four digits
    code: String,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// `forebay explain`
pub fn run(args: &Args) -> Exit {
    let Some(code) = find(&args.code) else {
        let text = format!("code `{}`: no such code, one of docs/errors.md required", args.code);
        return refused(&[Fault::new(&ARGUMENTS, text)]);
    };
    let Code { id, kind, title, help } = code;
    match args.output {
        Output::Json => say(json!({"code": id, "kind": kind.name(), "title": title, "help": help})),
        Output::Text => {
            say(format_args!("{id}: {title}\n\n{help}\n\n{}: {}", kind.name(), asks(*kind)));
        }
    }
    Exit::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `docs/errors.md` is the list; `FOREBAY_BLESS='docs/*'` writes it anew.
    #[test]
    fn page_of_codes_is_fresh() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors.md");
        let page = page();
        let bless = std::env::var("FOREBAY_BLESS").unwrap_or_default();
        if ["docs/*", "docs/errors.md", "*"].contains(&bless.as_str()) {
            std::fs::write(&path, &page).unwrap();
        }
        assert!(
            std::fs::read_to_string(&path).unwrap_or_default() == page,
            "docs/errors.md is stale: FOREBAY_BLESS='docs/*' cargo test --lib codes writes it anew"
        );
    }

    #[test]
    fn code_is_found_in_any_case() {
        assert_eq!(find("fb0101").map(|code| code.id), Some("FB0101"));
        assert!(find("FB0100").is_none());
    }
}
