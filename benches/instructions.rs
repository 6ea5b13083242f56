//! Instructions a record, counted by callgrind: the same on a busy machine as on an idle one, so that a
//! regression is seen where time says nothing.
//!
//! `cargo bench --bench instructions` runs this program under `valgrind`, once for each shape of
//! `tests/support/shapes.rs` and encoding, prints the counts beside those kept in
//! `benches/instructions.tsv`, and fails where one is over 3 % higher. `FOREBAY_BLESS='benches/*'` keeps the
//! new ones. Only what happens inside [`forebay_counted`] counts: 2,048 records, after as many to warm up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};

use forebay::decode::Decoder;
use forebay::registry::Language;

#[path = "../tests/support/shapes.rs"]
#[allow(dead_code)] // not every benchmark uses all of it
mod shapes;

const RECORDS: usize = 2_048;
/// Names what a process that is counted does: `protobuf flat`.
const CASE: &str = "FOREBAY_INSTRUCTIONS_CASE";
/// A count may be so much higher than the one that is kept.
const TOLERANCE: f64 = 1.03;
const LANGUAGES: [(&str, Language); 3] =
    [("protobuf", Language::Protobuf), ("avro", Language::Avro), ("json", Language::Json)];

/// What is counted: callgrind knows it by its name.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn forebay_counted(decoder: &mut Decoder, bodies: &[Vec<u8>]) {
    bodies.iter().for_each(|body| decoder.append(body).unwrap());
    black_box(decoder.finish());
}

fn main() -> ExitCode {
    if let Ok(case) = std::env::var(CASE) {
        counted(&case);
        return ExitCode::SUCCESS;
    }
    let kept_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.tsv");
    let kept = kept(&std::fs::read_to_string(&kept_path).unwrap_or_default());
    let (mut page, mut worse) = (String::from("case\tinstructions a record\n"), false);
    println!("{:<20} {:>10} {:>10}", "case", "now", "kept");
    for (language, _) in LANGUAGES {
        for shape in shapes::all() {
            let case = format!("{language} {}", shape.name);
            let Some(now) = count(&case) else {
                println!("valgrind is not there, or does not run: nothing is counted");
                return ExitCode::SUCCESS;
            };
            let before = kept.get(&case).copied();
            let change = before.map_or(0.0, |before| now / before - 1.0) * 100.0;
            println!("{case:<20} {now:>10.0} {:>10.0} {change:>+7.1} %", before.unwrap_or(0.0));
            worse |= before.is_some_and(|before| now > before * TOLERANCE);
            let _ = writeln!(page, "{case}\t{now:.0}");
        }
    }
    if std::env::var("FOREBAY_BLESS").is_ok_and(|glob| glob == "benches/*" || glob == "*") {
        std::fs::write(kept_path, page).unwrap();
        return ExitCode::SUCCESS;
    }
    if worse { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn counted(case: &str) {
    let (language, shape) = case.split_once(' ').unwrap();
    let (_, language) = LANGUAGES.into_iter().find(|(name, _)| *name == language).unwrap();
    let shape = shapes::all().into_iter().find(|s| s.name == shape).unwrap();
    let bodies = shape.bodies(language, RECORDS);
    let mut decoder = shape.decoder(language);
    bodies.iter().for_each(|body| decoder.append(body).unwrap());
    black_box(decoder.finish());
    forebay_counted(&mut decoder, &bodies);
}

/// Instructions of one record, by a process of its own under callgrind.
fn count(case: &str) -> Option<f64> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let ended = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=forebay_counted"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().unwrap())
        .env(CASE, case)
        .output()
        .ok()
        .filter(|ended| ended.status.success())?;
    drop(ended);
    let text = std::fs::read_to_string(out).ok()?;
    let total = text.lines().find_map(|line| {
        line.strip_prefix("summary: ")
            .or_else(|| line.strip_prefix("totals: "))?
            .trim()
            .parse()
            .ok()
    });
    total.map(|total: f64| total / RECORDS as f64)
}

fn kept(text: &str) -> BTreeMap<String, f64> {
    let pair = |line: &str| {
        let (case, count) = line.split_once('\t')?;
        Some((case.to_owned(), count.parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}
