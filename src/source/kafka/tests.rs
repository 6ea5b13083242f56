//! What only shows from inside: injected fatal errors, the context's list.

use std::collections::BTreeMap;

use rdkafka::client::ClientContext;

use super::*;
use crate::config::{Start, Topics};
use crate::source::mock::Mock;

fn open(mock: &Mock) -> KafkaSource {
    let source = config::Source {
        brokers: mock.brokers(),
        topics: Topics::Names(vec!["t".into()]),
        group: "g".into(),
        start: Start::Auto,
        properties: BTreeMap::new(),
        oauth: None,
    };
    KafkaSource::open(&source, Options::default()).unwrap()
}

fn fatal(err: RDKafkaRespErr) -> Vec<&'static str> {
    let mock = Mock::new(1).unwrap();
    mock.create_topic("t", 1).unwrap();
    let mut source = open(&mock);
    let rk = source.client().unwrap().client().native_ptr();
    // SAFETY: a live client and a C string.
    unsafe { sys::rd_kafka_test_fatal_error(rk, err, c"injected".as_ptr()) };
    let (clock, mut codes) = (clock::System::new(), Vec::new());
    while codes.is_empty() && clock.now().mono_ms < 30_000 {
        let mut out = Vec::new();
        source.poll(WAIT_MAX, &mut |_| 1, &mut out);
        codes.extend(out.into_iter().filter_map(|event| match event {
            Event::Fatal(fault) => Some(fault.code.id),
            _ => None,
        }));
    }
    // Said once.
    let mut out = Vec::new();
    source.poll(WAIT_MAX, &mut |_| 1, &mut out);
    assert!(!out.iter().any(|event| matches!(event, Event::Fatal(_))));
    codes
}

#[test]
fn fatal_error_of_the_client_is_an_event_once() {
    assert_eq!(fatal(RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER), ["FB0511"]);
}

#[test]
fn fenced_instance_id_has_its_own_code() {
    assert_eq!(fatal(RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID), ["FB0512"]);
}

#[test]
fn context_keeps_the_last_errors_once_each() {
    let context = Context::new();
    for n in [1, 2, 3, 4, 5, 6, 7, 8, 9, 3, 4] {
        context.note(&format!("error {n}"));
    }
    let recent = context.recent();
    assert_eq!(recent, [2, 5, 6, 7, 8, 9, 3, 4].map(|n| format!("error {n}")));
    let before = recent.len();
    context.error(KafkaError::Global(rdkafka::types::RDKafkaErrorCode::AllBrokersDown), "1/1 down");
    assert_eq!(context.recent().len(), before);
    assert!(!context.recent().contains(&"1/1 down".to_owned()));
}
