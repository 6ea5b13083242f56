//! The server, over real connections to 127.0.0.1.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use forebay::error::{Code, Fault, Kind};
use forebay::position::TopicPartition;
use forebay::record::Oddities;
use forebay::server::{self, Limits};
use forebay::telemetry::{Phase, Telemetry};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

static CODE: Code = Code { id: "FB0999", kind: Kind::Halt, title: "t", help: "h" };

/// Status, headers in lower case, body.
async fn get(handle: &server::Handle, path: &str) -> (u16, BTreeMap<String, String>, String) {
    let mut stream = TcpStream::connect(handle.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // Ends because the server closes after each answer.
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    (status, headers, body.to_owned())
}

fn filled() -> Arc<Telemetry> {
    let telemetry = Arc::new(Telemetry::new());
    telemetry.set_phase(Phase::Running);
    let partition = telemetry.partition(&TopicPartition::new("orders", 3));
    partition.records.add(12);
    partition.record_bytes.add(1_200);
    partition.rows.add(10);
    partition.reject(CODE.id, 2);
    let oddities = Oddities { unknown_fields: 4, repeated_keys: 1, ..Oddities::default() };
    partition.count_oddities(7, oddities);
    partition.switches.add(1);
    partition.projected.add(6);
    partition.incompatible.add(3);
    partition.open_schemas.set(2);
    partition.dropped(&[("device.\"os\"".to_owned(), 4)].into());
    partition.dropped(&[("device.\"os\"".to_owned(), 1)].into());
    partition.position.set(100);
    partition.end.set(150);
    partition.commit_time_ms.set(0);
    telemetry.process.bytes_in_flight.set(77);
    telemetry.watch_store(Arc::new(|| vec![("put_part", "ok", 5), ("put_part", "retry", 1)]));
    telemetry.watch_registry(Arc::new(|| vec![("get_schema", "ok", 2)]));
    telemetry
}

#[tokio::test]
async fn health_is_ok_while_the_process_lives() {
    let telemetry = Arc::new(Telemetry::new());
    telemetry.set_fatal(Fault::new(&CODE, "x"));
    let handle = server::start("127.0.0.1:0", telemetry).await.unwrap();
    let (status, _, body) = get(&handle, "/healthz").await;
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    assert_eq!(get(&handle, "/nothing").await.0, 404);
    handle.stop().await;
}

#[tokio::test]
async fn readiness_follows_phase_and_stopped_partitions() {
    let telemetry = Arc::new(Telemetry::new());
    let handle = server::start("127.0.0.1:0", telemetry.clone()).await.unwrap();
    let (status, headers, body) = get(&handle, "/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(headers["content-type"], "application/json");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["ready"], false);
    assert_eq!(body["reasons"][0]["what"], "starting");

    telemetry.set_phase(Phase::Running);
    assert_eq!(get(&handle, "/readyz").await.0, 200);

    let tp = TopicPartition::new("orders", 3);
    let stop = Fault::new(&CODE, "batch refused: \"quoted\"").at("orders-3 offset 7");
    telemetry.partition(&tp).set_stopped(Some(stop));
    let (status, _, body) = get(&handle, "/readyz").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 503);
    assert_eq!(body["reasons"][0]["partition"], "orders-3");
    assert_eq!(body["reasons"][0]["code"], "FB0999");
    let message = body["reasons"][0]["message"].as_str().unwrap();
    assert_eq!(message, "FB0999 batch refused: \"quoted\" (orders-3 offset 7)");

    telemetry.partition(&tp).set_stopped(None);
    assert_eq!(get(&handle, "/readyz").await.0, 200);
}

#[tokio::test]
async fn metrics_are_openmetrics_text_with_these_names() {
    let telemetry = filled();
    let handle = server::start("127.0.0.1:0", telemetry.clone()).await.unwrap();
    let (status, headers, body) = get(&handle, "/metrics").await;
    assert_eq!(status, 200);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(headers["content-type"], kind);
    assert!(body.ends_with("# EOF\n"));
    for line in [
        "# TYPE forebay_records counter",
        "forebay_records_total{topic=\"orders\",partition=\"3\"} 12",
        "forebay_record_bytes_total{topic=\"orders\",partition=\"3\"} 1200",
        "forebay_rows_total{topic=\"orders\",partition=\"3\"} 10",
        "forebay_rejects_total{topic=\"orders\",partition=\"3\",code=\"FB0999\"} 2",
        "forebay_unknown_fields_total{topic=\"orders\",partition=\"3\",schema_id=\"7\"} 4",
        "forebay_repeated_keys_total{topic=\"orders\",partition=\"3\",schema_id=\"7\"} 1",
        "forebay_target_switches_total{topic=\"orders\",partition=\"3\"} 1",
        "forebay_projected_rows_total{topic=\"orders\",partition=\"3\"} 6",
        "forebay_incompatible_rows_total{topic=\"orders\",partition=\"3\"} 3",
        // A column may have any name.
        "forebay_dropped_column_rows_total{topic=\"orders\",partition=\"3\",column=\"device.\\\"os\\\"\"} 5",
        "forebay_open_schemas{topic=\"orders\",partition=\"3\"} 2",
        "forebay_position_offset{topic=\"orders\",partition=\"3\"} 100",
        "# TYPE forebay_lag_offsets gauge",
        "forebay_lag_offsets{topic=\"orders\",partition=\"3\"} 50",
        "forebay_partition_stopped{topic=\"orders\",partition=\"3\"} 0",
        "forebay_in_flight_bytes 77",
        "forebay_store_requests_total{verb=\"put_part\",outcome=\"ok\"} 5",
        "forebay_store_requests_total{verb=\"put_part\",outcome=\"retry\"} 1",
        "forebay_registry_requests_total{verb=\"get_schema\",outcome=\"ok\"} 2",
        "forebay_ready 1",
    ] {
        assert!(body.lines().any(|l| l == line), "no `{line}` in\n{body}");
    }
    assert!(body.contains("forebay_build_info{version="), "{body}");
    assert!(body.contains("forebay_commit_age_seconds{"), "{body}");
    // Unknown levels are left out, not zero.
    assert!(!body.contains("forebay_committed_offset{"), "{body}");
    assert!(!body.contains("forebay_memory_bytes "), "{body}");

    telemetry.forget(&TopicPartition::new("orders", 3));
    assert!(!get(&handle, "/metrics").await.2.contains("topic=\"orders\""));
}

#[tokio::test]
async fn status_shows_partitions() {
    let handle = server::start("127.0.0.1:0", filled()).await.unwrap();
    let (status, _, body) = get(&handle, "/status").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["phase"]), (200, &Value::from("running")));
    assert_eq!(body["partitions"][0]["lag_offsets"], 50);
    assert_eq!(body["partitions"][0]["rejects"]["FB0999"], 2);
    let evolution = serde_json::json!({
        "switches": 1, "projected_rows": 6, "incompatible_rows": 3,
        "dropped_column_rows": { "device.\"os\"": 5 }, "open_schemas": 2,
    });
    assert_eq!(body["partitions"][0]["evolution"], evolution);
}

#[tokio::test]
async fn silent_clients_are_cut_and_others_get_their_turn() {
    let limits = Limits { connections_max: 2, connection_time: Duration::from_millis(200) };
    let handle = server::start_with("127.0.0.1:0", filled(), limits).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(TcpStream::connect(handle.address()).await.unwrap());
    }
    // Four rounds of two silent ones have to go first.
    assert_eq!(get(&handle, "/healthz").await.0, 200);
    for mut stream in silent {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
}

#[tokio::test]
async fn address_in_use_is_refused_with_a_code() {
    let handle = server::start("127.0.0.1:0", filled()).await.unwrap();
    let taken = handle.address().to_string();
    let fault = server::start(&taken, filled()).await.unwrap_err();
    assert_eq!(fault.code.id, "FB1051");
}
