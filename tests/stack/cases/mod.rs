//! The cases. Each makes topics, folders and prefixes of its own names, so they run side by side.

use libtest_mimic::{Completion, Trial};

use crate::rig::{self, Absent, Stack};

mod compose;
mod evolution;
mod flights;
mod kafka;
mod kills;
mod memory;
mod outage;
mod plan;
mod poison;
mod requests;
mod restarts;
mod secure;
mod servers;
mod store;
mod tutorial;
mod webhooks;

/// The longest come first, so that the last to run is a short one.
pub fn all() -> Vec<Trial> {
    vec![
        case("memory_million_records_2000_keys_stays_under_limit", memory::million),
        case("flights_avro_every_row_once_in_its_folder", flights::avro),
        case("flights_protobuf_every_row_once_in_its_folder", flights::protobuf),
        case("webhooks_avro_every_field_equal", webhooks::avro),
        case("webhooks_protobuf_every_field_equal", webhooks::protobuf),
        case("outage_registry_down_pauses_and_goes_on", outage::registry),
        case("restarts_sigterm_loses_and_repeats_nothing", restarts::sigterm),
        case("poison_protobuf_rejects_exact_rows_exact", poison::protobuf),
        case("poison_avro_rejects_exact_rows_exact", poison::avro),
        case("tutorial_protobuf_keys_exact", tutorial::protobuf),
        case("tutorial_avro_keys_exact", tutorial::avro),
        case("tutorial_escape_connect_keys_exact", tutorial::connect),
        case("tutorial_field_and_time_keys_exact", tutorial::field_and_time),
        case("evolution_superset_files_of_all_ages_are_one_table", evolution::superset),
        case("evolution_latest_files_hold_rows_of_what_they_declare", evolution::latest),
        case("evolution_histories_hold_for_readers_of_parquet", evolution::histories),
        case("evolution_history_holds_on_real_servers", evolution::real),
        counted("evolution_spark_reads_files_of_all_ages_as_plan_says", evolution::spark),
        case("compose_configuration_and_seed_run", compose::runs),
        case("servers_foreign_clients_round_trip", servers::round_trip),
        case("requests_per_commit_and_file_are_as_documented", requests::per_commit_and_file),
        case("plan_says_of_readers_what_they_do", plan::readers),
        case("secure_tls_and_login_read_everything", secure::tls_and_login),
    ]
    .into_iter()
    .chain(kills::all())
    .chain(kafka::all())
    .chain(store::all())
    .chain([Trial::test("compose_file_is_valid", compose::file)])
    .collect()
}

fn case(name: &str, run: fn(&Stack)) -> Trial {
    counted(name, move |stack| {
        run(stack);
        Completion::Completed
    })
}

/// A case that says itself whether it ran.
fn counted(name: &str, run: impl FnOnce(&Stack) -> Completion + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || match rig::stack() {
        Ok(stack) => Ok(run(stack)),
        Err(Absent::LeftOut(why)) => Ok(Completion::ignored_with(why)),
        Err(Absent::Failed(why)) => Err(why.into()),
    })
}

/// A number that a random case starts from: `FOREBAY_SEED`, else another each time. Printed.
fn seed(case: &str) -> u64 {
    let seed = match std::env::var("FOREBAY_SEED") {
        Ok(text) => text.parse().expect("FOREBAY_SEED is a number"),
        Err(_) => forebay::clock::System::new().now().wall_ms as u64 % 1_000_000_007,
    };
    println!("{case}: FOREBAY_SEED={seed}");
    seed
}
