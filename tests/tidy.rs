//! House rules that a machine can hold: the import law, one meaning a code, documents that name what
//! is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Every file below `src`, with the module of `lib.rs` it belongs to.
fn sources() -> Vec<(String, PathBuf, String)> {
    let src = root().join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let below = path.strip_prefix(&src).unwrap();
            let first = below.components().next().unwrap().as_os_str().to_string_lossy();
            let module = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            (module, path, text)
        })
        .collect()
}

/// Modules in the order `lib.rs` declares them.
fn module_order() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    lib.lines()
        .filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

/// The code of a file without comments and without its tests.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .map(|line| line.find("//").map_or(line, |at| &line[..at]))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Names after `crate::`, those of a `use crate::{a, b}` group too.
fn imported(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let group =
            rest.strip_prefix('{').and_then(|r| r.split_once('}')).map(|(inside, _)| inside);
        for part in group.unwrap_or(rest).split(',') {
            let name: String =
                part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            names.push(name);
            if group.is_none() {
                break;
            }
        }
    }
    names
}

#[test]
fn modules_import_only_what_is_declared_above_them() {
    let order = module_order();
    assert!(order.len() > 10, "lib.rs: found only {order:?}");
    let rank = |name: &str| order.iter().position(|m| m == name);
    let mut wrong = Vec::new();
    for (module, path, text) in sources() {
        let Some(own) = rank(&module) else { continue };
        for name in imported(&code(&text)) {
            if rank(&name).is_some_and(|r| r > own) {
                wrong.push(format!("{}: crate::{name} is declared below {module}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn libraries_stay_in_their_rooms() {
    let rooms: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("rdkafka::", &["source"] as &[&str]),
        ("aws_sdk_s3::", &["store"]),
        ("aws_config::", &["store"]),
        ("reqwest::", &["registry"]),
        ("axum::", &["registry", "server"]),
    ]);
    let mut wrong = Vec::new();
    for (module, path, text) in sources() {
        let code = code(&text);
        for (library, allowed) in &rooms {
            let used = code.match_indices(library).any(|(at, _)| {
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            });
            if used && !allowed.contains(&module.as_str()) {
                wrong.push(format!("{}: {library} belongs to {allowed:?}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn pure_rooms_know_no_clock_no_io_no_async() {
    let pure = ["wire", "evolve", "decode", "partition", "file", "commit", "audit"];
    let banned =
        ["clock::System", "tokio::", "std::fs", "std::net", "std::thread", "async fn", ".await"];
    let mut wrong = Vec::new();
    for (module, path, text) in sources() {
        if pure.contains(&module.as_str()) {
            let code = code(&text);
            wrong.extend(
                banned
                    .iter()
                    .filter(|b| code.contains(*b))
                    .map(|b| format!("{}: {b}", path.display())),
            );
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn is_tests(path: &Path) -> bool {
    let path = path.to_string_lossy();
    path.ends_with("tests.rs")
        || path.rsplit_once("/src/").is_some_and(|(_, p)| p.contains("/tests/"))
}

/// Codes that the text of the program declares, with the module of each.
fn declared_codes() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (module, path, text) in sources() {
        if is_tests(&path) {
            continue;
        }
        let text = &text[..text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len())];
        for (at, _) in text.match_indices("\"FB") {
            let id: String = text[at + 1..].chars().take_while(|c| *c != '"').collect();
            if id.len() == 6 {
                found.entry(id).or_default().push(module.clone());
            }
        }
    }
    found
}

#[test]
fn codes_are_unique_in_their_rooms_range_and_in_the_one_list() {
    let modules = [
        ("01", &["wire"][..]),
        ("02", &["decode"]),
        ("03", &["registry"]),
        ("04", &["config"]),
        ("05", &["source"]),
        ("06", &["partition"]),
        ("07", &["store"]),
        ("08", &["file"]),
        ("09", &["commit", "pipeline"]),
        ("10", &["server", "cli"]),
    ];
    let declared = declared_codes();
    for (id, places) in &declared {
        assert_eq!(places.len(), 1, "{id} stands in the code more than once: {places:?}");
        let (_, allowed) = modules.iter().find(|(range, _)| *range == &id[2..4]).unwrap();
        assert!(allowed.contains(&places[0].as_str()), "{id} stands in {}", places[0]);
    }
    let mut listed = Vec::new();
    for room in forebay::cli::codes::ROOMS {
        for code in room.codes() {
            assert_eq!(&code.id[2..4], room.range, "{} is listed under {}", code.id, room.title);
            assert!(!code.title.is_empty() && !code.title.ends_with('.'), "title of {}", code.id);
            assert!(code.help.ends_with(['.', '?']), "help of {}: {}", code.id, code.help);
            listed.push(code.id.to_owned());
        }
    }
    let missing: Vec<&String> = declared.keys().filter(|id| !listed.contains(id)).collect();
    assert_eq!(missing, Vec::<&String>::new(), "declared, and not in cli::codes::ROOMS");
    assert_eq!(listed.len(), declared.len(), "listed twice, or not declared: {listed:?}");
}

#[test]
fn documents_name_files_that_are_there() {
    let mut wrong = Vec::new();
    for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(root().join(name)).unwrap_or_default();
        for word in text.split(|c: char| !(c.is_alphanumeric() || "/._-".contains(c))) {
            let word = word.trim_end_matches(['.', '/', '-']);
            let ours = ["src/", "tests/", "benches/", "docs/", "protos/", "schemas/", "compose/"];
            if ours.iter().any(|p| word.starts_with(p)) && !root().join(word).exists() {
                wrong.push(format!("{name}: {word}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn source_files_have_one_subject_and_so_no_thousand_lines() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|(_, path, text)| {
            !path.to_string_lossy().contains("tests") && code(text).lines().count() > 700
        })
        .map(|(_, path, text)| format!("{}: {} lines", path.display(), code(&text).lines().count()))
        .collect();
    assert_eq!(long, Vec::<String>::new());
}

#[test]
fn public_files_say_what_they_own() {
    let missing: Vec<String> = sources()
        .into_iter()
        .filter(|(_, path, text)| !is_tests(path) && !text.starts_with("//!"))
        .map(|(_, path, _)| path.display().to_string())
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}
