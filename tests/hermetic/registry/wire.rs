//! Frames of other producers: schema found, message named, body exact; and written again, byte for byte.

use std::sync::Arc;

use forebay::position::TopicPartition;
use forebay::record::{RecordBatch, TimestampType};
use forebay::registry::compile::compile;
use forebay::registry::encode::Encoder;
use forebay::registry::{Client, Language, Parsed, Schema, client, message};
use forebay::wire::{Frame, SchemaRef, Side};
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};

use super::{call, start};

const SHAPES: &str = include_str!("../../corpus/wire/shapes.proto");
const MANY: &str = include_str!("../../corpus/wire/many.proto");
const VECTORS: &str = include_str!("../../corpus/wire/wire_vectors.json");

fn text(case: &Value) -> &str {
    match case["file"].as_str() {
        Some("shapes.proto") => SHAPES,
        Some("many.proto") => MANY,
        None => case["schema"].as_str().unwrap(),
        Some(other) => panic!("{other}"),
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn batch(case: &Value) -> RecordBatch {
    let mut batch = RecordBatch::new(TopicPartition::new("t", 0), 0);
    let headers: Vec<(String, Vec<u8>)> = case["headers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|h| (h[0].as_str().unwrap().to_owned(), hex(h[1].as_str().unwrap())))
        .collect();
    batch.push(
        0,
        None,
        TimestampType::CreateTime,
        None,
        Some(&hex(case["value_hex"].as_str().unwrap())),
        headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_slice()))),
    );
    batch
}

/// Checks a frame against its case, and the encoder against the frame.
fn check(case: &Value, schema: Arc<Schema>) {
    let batch = batch(case);
    let record = batch.get(0);
    let payload = record.value.unwrap();
    let frame = Frame::parse(payload, record.headers, Side::Value).unwrap();
    let header = record.headers.last("__value_schema_id");
    let value = match &schema.parsed {
        Parsed::Protobuf(file) => {
            let (indexes, body) = frame.protobuf().unwrap();
            let message = message::at(file, &indexes).unwrap();
            assert_eq!(message.full_name(), case["message"], "{case}");
            assert_eq!(message::indexes(file, &message).unwrap(), indexes.as_slice());
            assert_eq!(body, hex(case["body_hex"].as_str().unwrap()), "{case}");
            let read = DynamicMessage::decode(message, body).unwrap();
            let json = serde_json::to_value(&read).unwrap();
            assert_eq!(json, case["json"], "{case}");
            json
        }
        Parsed::Avro(avro) if avro.json == "\"bytes\"" => {
            Value::String(hex(case["value"].as_str().unwrap()).iter().map(|&b| b as char).collect())
        }
        Parsed::Json(_) => {
            assert_eq!(serde_json::from_slice::<Value>(frame.body()).unwrap(), case["value"]);
            case["value"].clone()
        }
        Parsed::Avro(_) => case["value"].clone(),
    };
    let encoder = Encoder::new(schema, case["message"].as_str()).unwrap();
    match header {
        None => assert_eq!(encoder.framed(frame.schema, &value).unwrap(), payload, "{case}"),
        Some(header) => {
            assert_eq!(encoder.header(frame.schema), header, "{case}");
            let mut body = Vec::new();
            encoder.body(&value, &mut body).unwrap();
            assert_eq!(body, payload, "{case}");
        }
    }
}

#[test]
fn frames_of_other_producers_are_read_and_written_again() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 36);
    for case in cases {
        let language = Language::from_name(case["type"].as_str().unwrap()).unwrap();
        let id = u32::try_from(case["schema_id"].as_u64().unwrap()).unwrap();
        let schema = Arc::new(compile(id, language, text(case), &[]).unwrap());
        let batch = batch(case);
        let frame =
            Frame::parse(batch.get(0).value.unwrap(), batch.get(0).headers, Side::Value).unwrap();
        match frame.schema {
            SchemaRef::Id(found) => assert_eq!(found, id),
            SchemaRef::Guid(_) => assert_eq!(frame.schema.to_string(), case["guid"]),
        }
        check(case, schema);
    }
}

#[tokio::test]
async fn framed_ids_are_found_in_a_registry_that_holds_them() {
    let registry = start().await;
    let url = &registry.url;
    call(reqwest::Method::PUT, format!("{url}/mode"), Some(json!({ "mode": "IMPORT" }))).await;
    let client = Client::new(&client::settings(url)).unwrap();
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        if case["mode"] != "prefix" {
            continue;
        }
        // The producer's registry gave the same text several ids: blanks make them differ here.
        let id = case["schema_id"].as_u64().unwrap();
        let body = match case["type"].as_str().unwrap() {
            "PROTOBUF" => format!("{}\nmessage Id{id} {{}}\n", text(case)),
            "AVRO" if text(case).starts_with('{') => {
                text(case).replacen('{', &format!("{{\"doc\":\"{id}\","), 1)
            }
            _ => text(case).to_owned(),
        };
        let body = json!({ "schema": body, "schemaType": case["type"], "id": id, "version": 1 });
        let (status, answer) =
            call(reqwest::Method::POST, format!("{url}/subjects/s{id}/versions"), Some(body)).await;
        assert_eq!((status, &answer["id"]), (200, &json!(id)), "{answer}");
        let batch = batch(case);
        let record = batch.get(0);
        let frame = Frame::parse(record.value.unwrap(), record.headers, Side::Value).unwrap();
        let found = client.by_ref(frame.schema).await.unwrap();
        assert_eq!(u64::from(found.id), id);
        // `bytes` has another text form in no registry.
        check(case, found);
    }
    registry.shutdown().await;
}

#[test]
fn frame_without_message_indexes_is_refused_not_misread() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    for case in vectors["kafkajs"]["cases"].as_array().unwrap() {
        let language = Language::from_name(case["type"].as_str().unwrap()).unwrap();
        let schema = compile(1, language, case["schema"].as_str().unwrap(), &[]).unwrap();
        let batch = batch(case);
        let record = batch.get(0);
        let frame = Frame::parse(record.value.unwrap(), record.headers, Side::Value).unwrap();
        assert_eq!(frame.schema.to_string(), case["id"].to_string());
        if let Parsed::Protobuf(file) = &schema.parsed {
            // `0a` is a count of 5; what follows names no message.
            let named = frame.protobuf().ok().and_then(|(indexes, _)| message::at(file, &indexes));
            assert!(named.is_none());
        }
    }
}
