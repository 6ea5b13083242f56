//! Texts and the forms of values; whatever they are, nothing panics.

use super::*;

#[test]
fn start_reads_timestamps_with_zones() {
    let start = |text: &str| {
        parse(&with(&format!("source: {{ brokers: a, topics: [x], start: {text} }}")))
            .unwrap()
            .pipeline
            .source
            .start
    };
    assert_eq!(start("2026-01-02T00:00:00Z"), Start::Timestamp(1_767_312_000_000));
    assert_eq!(start("2026-01-02T01:00:00+01:00"), Start::Timestamp(1_767_312_000_000));
    assert_eq!(start("{ timestamp: 2026-01-02T00:00:00Z }"), Start::Timestamp(1_767_312_000_000));
    assert_eq!(start("latest"), Start::Latest);
}

#[test]
fn sinks_on_disk_are_folders() {
    for (url, path) in [
        ("file:///data/raw", "/data/raw"),
        ("/data/raw", "/data/raw"),
        ("out", "out"),
        ("./a b", "./a b"),
    ] {
        let config = parse(&with(&format!("sink: {{ url: '{url}' }}"))).unwrap();
        assert_eq!(config.pipeline.sink.url, SinkUrl::Local(path.into()), "{url}");
    }
    let config = parse(&with("sink: { url: /data }\nrejects: { url: /data/_bad }")).unwrap();
    assert_eq!(config.pipeline.rejects.prefix, "_bad");
}

#[test]
fn yaml_that_is_not_plain_is_refused_at_its_line() {
    let bomb: String = std::iter::once("a0: &a0 [x, x]\n".to_owned())
        .chain((1..30).map(|i| format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1)))
        .collect();
    for (text, line, part) in [
        (bomb.as_str(), 2, "alias"),
        ("pipeline: x\n<<: { a: b }\n", 2, "merge key"),
        ("pipeline: !!str x\n", 1, "tag"),
        ("a: b\n---\na: c\n", 2, "second one"),
        ("a: [b\nc: d\n", 3, ""),
        ("a: 'b\n", 2, ""),
        ("? [a]\n: b\n", 1, "key"),
    ] {
        let found = parse(text).unwrap_err();
        let last = found.last().unwrap();
        assert_eq!(last.code.id, "FB0403", "{text}\n{found:#?}");
        assert!(last.message.contains(part), "{text}\n{found:#?}");
        let place = last.place.as_deref().unwrap();
        assert!(place.starts_with("forebay.yaml:"), "{place}");
        if !part.is_empty() {
            assert_eq!(place, format!("forebay.yaml:{line}"), "{text}");
        }
    }
}

#[test]
fn deep_and_large_texts_are_refused_in_little_time() {
    for text in
        ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "a:\n ".repeat(50_000)]
    {
        assert!(parse(&text).is_err());
    }
    let deep = format!("a: {}x{}", "[".repeat(40), "]".repeat(40));
    assert!(parse(&deep).unwrap_err().iter().any(|f| f.message.contains("nesting")), "{deep}");
    let many = format!("a: [{}]", "x,".repeat(200_000));
    assert!(parse(&many).unwrap_err().iter().any(|f| f.message.contains("more than 100000")));
    let large = " ".repeat((1 << 20) + 1);
    assert_eq!(parse(&large).unwrap_err()[0].code.id, "FB0402");
    let keys: String = (0..50_000).map(|i| format!("k{i}: x\n")).collect();
    assert!(parse(&keys).unwrap_err().len() <= 300);
    let key = format!("{}: x", "k".repeat(1_000));
    let found = parse(&key).unwrap_err();
    assert!(found.iter().all(|f| f.to_string().len() < 4_096));
}

#[test]
fn control_characters_do_not_reach_a_terminal() {
    for text in ["\"a\\e[31m\": x", "pipeline: \"a\\e[31m\"", "\"\\e[31m\": 1\n\"\\e[31m\": 2"] {
        let found = parse(text).unwrap_err();
        assert!(found.iter().all(|f| !f.to_string().contains('\u{1b}')), "{found:?}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    let seed = 20_260_102;
    let mut random = Seeded::new(seed);
    let base =
        with("partition_by: [{ expr: a, name: '${X:-y}' }]\nrotate: { rows: 5, bytes: 8MiB }")
            .into_bytes();
    for round in 0..4_000 {
        let mut text = base.clone();
        for _ in 0..1 + random.below(6) {
            let at = random.below(text.len().max(1) as u64) as usize;
            match random.below(4) {
                0 if at < text.len() => text[at] = random.next_u64() as u8,
                1 if at < text.len() => drop(text.remove(at)),
                0 | 1 => {}
                2 => text.insert(at, b"[]{}:-#&*!|>'\"%@`,? \n\t$"[random.below(23) as usize]),
                _ => text.truncate(at.max(1)),
            }
        }
        let text = String::from_utf8_lossy(&text);
        let result = std::panic::catch_unwind(|| drop(parse(&text)));
        assert!(result.is_ok(), "seed {seed}, round {round}:\n{text}");
    }
}
