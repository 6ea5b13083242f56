//! The table of options, and the page that is made of it.

use super::*;

#[test]
fn every_key_of_the_table_is_read() {
    // A value that no option takes: each path must answer with a finding of its own, or take any text.
    for opt in options::OPTIONS {
        let mut text = String::new();
        for (depth, key) in opt.path.split('.').enumerate() {
            text.push_str(&format!("{}{key}:\n", "  ".repeat(depth)));
        }
        let depth = opt.path.split('.').count();
        text.push_str(&format!("{}- {{}}\n{}- {{}}\n", "  ".repeat(depth), "  ".repeat(depth)));
        let faults = parse(&text).unwrap_err();
        let said = faults.iter().any(|fault| {
            fault.code.id == "FB0407" && fault.place.as_ref().unwrap().starts_with(opt.path)
                || opt.path == "partition_by" && fault.message.contains("partition_by[0].expr")
        });
        assert!(said, "{}: {faults:#?}", opt.path);
    }
}

#[test]
fn table_is_in_order_and_every_default_is_legal() {
    for (i, opt) in options::OPTIONS.iter().enumerate() {
        assert!(
            options::OPTIONS[..i].iter().all(|other| other.path != opt.path),
            "{} twice",
            opt.path
        );
        let section = opt.path.rsplit_once('.').map_or("", |(section, _)| section);
        assert!(options::SECTIONS.iter().any(|(name, _)| *name == section), "{}", opt.path);
        assert!(opt.what.ends_with(['.', '…']) && opt.what.len() > 3, "{}", opt.path);
        if let options::Unset::Is(default) = opt.default {
            let keys: Vec<&str> = opt.path.split('.').collect();
            let nested = keys
                .iter()
                .rev()
                .fold(default.to_owned(), |inner, key| format!("{{ {key}: {inner} }}"));
            let line = nested.trim_start_matches("{ ").strip_suffix(" }").unwrap().to_owned();
            let needed = match keys[0] {
                "source" => line.replacen("{ ", "{ brokers: a, topics: [x], ", 1),
                "registry" => line.replacen("{ ", "{ url: 'https://x', ", 1),
                "sink" => line.replacen("{ ", "{ url: 's3://lake', ", 1),
                _ => line,
            };
            let found: Vec<String> =
                findings(&needed).into_iter().filter(|f| !f.contains("oauth")).collect();
            assert!(found.is_empty(), "{needed}: {found:#?}");
        }
    }
}

/// `docs/config.md` is the table; `FOREBAY_BLESS='docs/*'` writes it anew.
#[test]
fn page_of_options_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    let page = page::page();
    if std::env::var("FOREBAY_BLESS").is_ok_and(|glob| matches(&glob, "docs/config.md")) {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "docs/config.md is stale: FOREBAY_BLESS='docs/*' cargo test --lib config writes it anew"
    );
}

/// A glob of `*` and plain text.
fn matches(glob: &str, name: &str) -> bool {
    match glob.split_once('*') {
        None => glob == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(i, _)| i)
                .chain([rest.len()])
                .any(|i| matches(after, &rest[i..]))
        }),
    }
}
