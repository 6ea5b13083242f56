//! Escaping against hive-common, Spark and Connect, and its own laws.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
};
use forebay::clock::Seeded;
use forebay::config::Escape;
use forebay::partition::hive;

use super::{batch, compile, corpus, keys, paths, run, run_as};

/// Where we write something else than Hive and Spark, and why.
const OURS: [(&str, &str, &str); 8] = [
    ("", "__EMPTY__", "Hive takes it for null, Spark fails on both in one task"),
    (".", "%2E", "a leading dot hides a file"),
    ("..", "%2E.", "the same, and no value may look like a parent folder"),
    ("...", "%2E..", "a leading dot hides a file"),
    ("__HIVE_DEFAULT_PARTITION__", "%5F_HIVE_DEFAULT_PARTITION__", "this is a value, not null"),
    ("trailing ", "trailing%20", "tools trim spaces at the ends of keys"),
    ("trail ", "trail%20", "the same"),
    (" lead", "%20lead", "the same"),
];

fn escaped(value: Option<&str>) -> String {
    let mut out = String::new();
    hive::push_value(Escape::Hive, value, hive::VALUE_MAX, &mut out);
    out
}

fn expected(value: Option<&str>, theirs: &str) -> String {
    let ours = OURS.iter().find(|(v, _, _)| Some(*v) == value);
    ours.map_or(theirs, |(_, ours, _)| ours).to_owned()
}

#[test]
pub(crate) fn hive_escape_common_cases_agree() {
    let corpus = corpus("partitioner/hive_escape.json");
    let cases = corpus["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 42);
    for case in cases {
        let value = case["in"].as_str();
        let want = expected(value, case["escaped"].as_str().unwrap());
        assert_eq!(escaped(value), want, "{case}");
        assert_eq!(hive::value(&want), Some(value.map(str::to_owned)), "{case}");
    }
}

#[test]
fn spark_directories_common_cases_agree() {
    let corpus = corpus("partitioner/spark_partition_dirs.json");
    let cases = corpus["strings"].as_array().unwrap();
    let values: Vec<_> = cases.iter().map(|c| c["value"].as_str()).collect();
    let paths = run("x as k", Arc::new(StringArray::from(values)));
    for (case, path) in cases.iter().zip(paths) {
        let theirs = case["spark_dir"].as_str().unwrap().strip_prefix("k=").unwrap();
        assert_eq!(path, format!("k={}", expected(case["value"].as_str(), theirs)), "{case}");
    }
}

#[test]
fn company_name_with_quote_escapes_as_hive_does() {
    let names = StringArray::from(vec!["O'Keefe, O'Conner and Ullrich"]);
    let paths = run("x as company", Arc::new(names));
    assert_eq!(paths, ["company=O%27Keefe, O%27Conner and Ullrich"]);
}

#[test]
fn every_dangerous_value_stays_one_segment_and_reads_back() {
    let values = [
        "../../x",
        "..",
        ".",
        "/abs",
        "a//b",
        "\\",
        "C:\\",
        "~",
        "$(x)",
        "%2e%2e",
        "%252e",
        "k=v",
        "a&b",
        "#1",
        "\n",
        "*",
        "?",
        "\u{202e}txt.exe",
        "\u{feff}x",
        "\u{fffe}",
        "\0",
        "\u{85}",
        "_SUCCESS",
        ".hidden",
        " ",
        "  ",
        "__EMPTY__",
        "\u{2028}",
    ];
    for value in values {
        let text = escaped(Some(value));
        assert_eq!(hive::value(&text), Some(Some(value.to_owned())), "{value:?} → {text}");
        assert!(!text.contains('/') && !text.starts_with(['.', '_', ' ']), "{value:?} → {text}");
        assert!(text.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{value:?} → {text}");
    }
}

/// A text of letters that matter to escaping.
fn random_text(random: &mut Seeded) -> String {
    const LETTERS: [&str; 24] = [
        "a",
        "B",
        "0",
        "f",
        "%",
        "2",
        "E",
        "=",
        "/",
        ".",
        "_",
        " ",
        "~",
        "é",
        "\u{202e}",
        "日",
        "\n",
        "__EMPTY__",
        "__HIVE_DEFAULT_PARTITION__",
        "%2F",
        "\0",
        "\u{ffff}",
        "😀",
        "{",
    ];
    let len = if random.one_in(8) { random.below(300) } else { random.below(5) };
    (0..len).map(|_| LETTERS[random.below(LETTERS.len() as u64) as usize]).collect()
}

#[test]
fn escaped_values_that_are_equal_come_from_equal_values() {
    let seed = 0x0602;
    let mut random = Seeded::new(seed);
    let mut seen: HashMap<String, Option<String>> = HashMap::new();
    seen.insert(escaped(None), None);
    let mut cut = 0;
    for i in 0..20_000 {
        // Every fourth is made of what an earlier one became.
        let text = if i % 4 == 3 {
            let base = random_text(&mut random);
            escaped(Some(&base))
        } else {
            random_text(&mut random)
        };
        let out = escaped(Some(&text));
        assert!(out.len() <= hive::VALUE_MAX, "seed {seed}: {text:?} → {out}");
        if hive::is_cut(&out) {
            cut += 1;
        } else {
            assert_eq!(hive::value(&out), Some(Some(text.clone())), "seed {seed}: {out}");
        }
        if let Some(other) = seen.insert(out.clone(), Some(text.clone())) {
            assert_eq!(other, Some(text), "seed {seed}: both become {out}");
        }
    }
    assert!(cut > 100, "seed {seed}: only {cut} were cut");
}

#[test]
fn value_over_256_bytes_keeps_a_prefix_and_the_start_of_its_sha256() {
    // head -c 300 /dev/zero | tr '\0' a | sha256sum
    let hash = "9835fa6bf4e20a9b9ea812506302e989";
    let long = "a".repeat(300);
    let path = run("x", Arc::new(StringArray::from(vec![long.as_str()])));
    let value = path[0].strip_prefix("x=").unwrap();
    assert!(value.starts_with("aaaa") && value.len() == 253, "{value}");
    assert_eq!(value.rsplit_once('~').unwrap().1, hash);
    // A value that looks like the cut one is another.
    let both = run("x", Arc::new(StringArray::from(vec![long.as_str(), value])));
    assert_ne!(both[0], both[1]);
}

#[test]
fn connect_fields_are_byte_compatible() {
    let corpus = corpus("partitioner/connect_partitioners.json");
    for case in corpus["field"].as_array().unwrap() {
        let (Some(want), Some([field])) =
            (case["expect"].as_str(), case["fields"].as_array().map(Vec::as_slice))
        else {
            continue;
        };
        let (field, value) = (field.as_str().unwrap(), &case["value"]);
        if field.contains('.') {
            continue; // nested: `rows`
        }
        let column: ArrayRef = match (field, case["type"].as_str()) {
            ("boolean", _) => Arc::new(BooleanArray::from(vec![value.as_bool()])),
            (_, Some("int8")) => Arc::new(Int8Array::from(vec![value.as_i64().unwrap() as i8])),
            (_, Some("int16")) => Arc::new(Int16Array::from(vec![value.as_i64().unwrap() as i16])),
            (_, Some("int32")) => Arc::new(Int32Array::from(vec![value.as_i64().unwrap() as i32])),
            (_, Some("int64")) => Arc::new(Int64Array::from(vec![value.as_i64()])),
            _ => Arc::new(StringArray::from(vec![value.as_str()])),
        };
        // The one difference: a slash would make a folder of its own.
        let want = want.replace("test/with", "test%2Fwith");
        let got = run_as(&format!("x as {field}"), column, Escape::Connect);
        assert_eq!(got, [want], "{case}");
    }
}

#[test]
fn connect_fields_in_order_and_with_nulls_agree() {
    let batch = batch(vec![
        ("string", Arc::new(StringArray::from(vec!["def"])) as ArrayRef),
        ("int", Arc::new(Int32Array::from(vec![None]))),
        ("boolean", Arc::new(BooleanArray::from(vec![None]))),
    ]);
    let partitioner = compile(&["string", "int", "boolean"], Escape::Connect).unwrap();
    let mut bound = partitioner.bind(&batch.schema(), false).unwrap();
    assert_eq!(paths(&keys(&mut bound, &batch)), ["string=def/int=null/boolean=null"]);
}

#[test]
fn connect_null_and_the_text_null_share_one_key() {
    let column = Arc::new(StringArray::from(vec![None, Some("null"), Some("x")]));
    let batch = batch(vec![("x", column as ArrayRef)]);
    let mut bound = compile(&["x"], Escape::Connect).unwrap().bind(&batch.schema(), false).unwrap();
    let keys = keys(&mut bound, &batch);
    assert_eq!(keys.of_row, [0, 0, 1]);
    assert_eq!(keys.keys.len(), 2);
}
