//! Who tests the tests: every flaw of `forebay::flaw`, planted one at a time, is found by a test that runs
//! anyway, within its usual number of tries. What finds it stands in `docs/faults.md`.
#![cfg(debug_assertions)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use forebay::flaw::{Flaw, plant};

use crate::simulation::faults;

/// Seeds within which the simulation must find a flaw; it runs more without one.
const SEEDS: u64 = 100;

/// What finds a flaw.
enum Found {
    /// The simulation with its reader.
    Simulation,
    /// `tests/explorer`, which turns the same rule off in its own way and says so in its own table.
    Explorer,
    /// A test of this name, which must fail.
    Test(&'static str, fn()),
}

use Found::{Explorer, Simulation, Test};

struct Planted {
    flaw: Flaw,
    what: &'static str,
    found: &'static [Found],
}

const fn planted(flaw: Flaw, what: &'static str, found: &'static [Found]) -> Planted {
    Planted { flaw, what, found }
}

macro_rules! test {
    ($($path:ident)::+) => { Test(concat!($("::", stringify!($path)),+), crate::$($path)::+) };
}

static ALL: &[Planted] = &[
    planted(
        Flaw::OffsetBeforePublish,
        "the offset goes to Kafka before the files are published",
        &[Simulation],
    ),
    planted(
        Flaw::CrcErrorsSkipped,
        "a batch with a wrong checksum is skipped",
        &[test!(source::error_after_which_records_would_be_missing_stops_the_kafka_partition)],
    ),
    planted(
        Flaw::StartAtKafkaOffset,
        "a new owner starts at the group's offset, not where the chain ends",
        &[Simulation],
    ),
    planted(
        Flaw::FileNotSynced,
        "a staged file is not synced",
        &[test!(disk::what_is_told_to_be_safe_is_on_disk)],
    ),
    planted(
        Flaw::FolderNotSynced,
        "a folder is not synced",
        &[test!(disk::what_is_told_to_be_safe_is_on_disk)],
    ),
    planted(
        Flaw::EscapeOmitted,
        "one character of partition values is not escaped",
        &[Simulation, test!(partition::escape::hive_escape_common_cases_agree)],
    ),
    planted(
        Flaw::RejectsOutsideChain,
        "reject files are published, and no record names them",
        &[Simulation],
    ),
    planted(
        Flaw::LastRowGroupDropped,
        "a file is closed without its last row group",
        &[Simulation],
    ),
    planted(Flaw::ToOffByOne, "a commit says that it ends one offset later", &[Simulation]),
    planted(
        Flaw::DaylightIgnored,
        "local times ignore the change to summer time",
        &[test!(partition::times::string_times_are_read_in_the_zone_gap_later_overlap_once)],
    ),
    planted(
        Flaw::SchemaCacheWithoutUrl,
        "schemas are remembered by id, whichever registry gave them",
        &[test!(registry::client::one_id_is_two_schemas_in_two_registries)],
    ),
    planted(
        Flaw::PlainPutOfRecord,
        "x1: a record is put without a condition",
        &[Simulation, test!(s3_lies::record_is_never_written_over)],
    ),
    planted(
        Flaw::NoReadBack,
        "x2: any answer but success means that somebody else won; no read-back",
        &[Simulation, Explorer],
    ),
    planted(
        Flaw::PublishNotFinished,
        "x3: a new owner does not publish what the last record names",
        &[Simulation, Explorer],
    ),
    planted(Flaw::ChainTrimmed, "x4: old records of a chain are deleted", &[Simulation]),
    planted(
        Flaw::JanitorWithoutEpoch,
        "x5: the janitor aborts uploads of its own epoch too",
        &[Simulation, Explorer],
    ),
    planted(
        Flaw::PublishByPut,
        "x6: publishing puts the bytes, as often as it is asked",
        &[Simulation, Explorer],
    ),
    planted(
        Flaw::NoRecord,
        "x7: files are published under their names, without a record",
        &[Simulation],
    ),
    planted(
        Flaw::RewindToFile,
        "x9: a file that fails alone is read again, the others of its commit stay",
        &[Simulation],
    ),
    planted(
        Flaw::DoubtAbandoned,
        "x10: a record in doubt that is not there is given up",
        &[Simulation, Explorer],
    ),
    planted(
        Flaw::PromotedAsTarget,
        "a number that became wider is read in the form of the newer version",
        &[test!(evolve::promoted_numbers_keep_their_values)],
    ),
];

/// What was found by one of the ways; panics if it finds nothing.
fn find(planted: &Planted, found: &Found) -> String {
    let Planted { flaw, what, .. } = planted;
    match found {
        Explorer => String::new(),
        Simulation => {
            let run = |seed| plant(*flaw, || faults::run(seed));
            let (_, wrong) = faults::run_many(0..SEEDS, run);
            let (seed, wrong) =
                wrong.unwrap_or_else(|| panic!("{flaw:?} ({what}): {SEEDS} seeds find nothing"));
            format!("seed {seed}: {wrong}")
        }
        Test(name, test) => {
            let failed = catch_unwind(AssertUnwindSafe(|| plant(*flaw, test)));
            let panic = failed.expect_err(&format!("{flaw:?} ({what}): {name} finds nothing"));
            let text = panic.downcast_ref::<String>().cloned();
            format!("{name}: {}", text.unwrap_or_else(|| "a panic".to_owned()))
        }
    }
}

const PAGE: &str = "docs/faults.md";
const BEGIN: &str = "<!-- made by tests/hermetic/flaws.rs -->\n";
const END: &str = "<!-- end -->";

#[test]
fn every_planted_flaw_is_found() {
    let mut table = String::from("| flaw | found by |\n|---|---|\n");
    for planted in ALL {
        let mut by = Vec::new();
        for found in planted.found {
            if !matches!(found, Explorer) {
                let how = find(planted, found);
                println!("{:?}: {}", planted.flaw, how.chars().take(160).collect::<String>());
            }
            by.push(match found {
                Simulation => "the simulation".to_owned(),
                Explorer => "the explorer".to_owned(),
                Test(name, _) => format!("`{}`", name.trim_start_matches(':')),
            });
        }
        table.push_str(&format!("| {} | {} |\n", planted.what, by.join(", ")));
    }
    compare(&table);
}

/// The table stands in the page; `FOREBAY_BLESS='docs/*'` renews it.
fn compare(table: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("no place for the table");
    let (there, after) = rest.split_once(END).expect("no end of the table");
    if std::env::var("FOREBAY_BLESS").is_ok_and(|b| PAGE.starts_with(b.trim_end_matches('*'))) {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(there, table, "{PAGE} is stale: run with FOREBAY_BLESS='docs/*'");
}
