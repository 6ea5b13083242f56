//! Keys, metadata and tombstones while processes die, groups rebalance, old owners live on and the registry
//! goes away: every row keeps the key and the offset of its record, and stands once.

use std::collections::BTreeMap;

use forebay::clock::Seeded;
use forebay::pipeline::simulated::{SimRecord, Trouble};
use serde_json::{Value, json};

use super::{avro, datum, framed, run_in};

const KEY: &str = r#"{"type":"record","name":"Key","fields":[{"name":"at","type":"long"}]}"#;
const KEY_V2: &str = r#"{"type":"record","name":"Key","fields":[
    {"name":"at","type":"long"},{"name":"more","type":["null","string"]}]}"#;
const ROW: &str = r#"{"type":"record","name":"Row","fields":[{"name":"n","type":"long"}]}"#;

#[derive(Debug, PartialEq, Clone, Copy)]
enum Fate {
    Row,
    /// A row without a key.
    Keyless,
    Tombstone,
    Reject,
}

fn records(random: &mut Seeded) -> (Vec<SimRecord>, Vec<Fate>) {
    let mut fates = Vec::new();
    let records = (0..400)
        .map(|offset| {
            let row = datum(ROW, json!({"n": offset}));
            let key = match random.below(3) {
                0 => framed(11, &datum(KEY_V2, json!({"at": offset, "more": "x"}))),
                _ => framed(10, &datum(KEY, json!({"at": offset}))),
            };
            let mut key = Some(key);
            let (value, fate) = match random.below(13) {
                0 | 1 => (None, Fate::Tombstone),
                2 => {
                    key = Some(framed(98, b""));
                    (Some(framed(1, &row)), Fate::Reject)
                }
                3 => {
                    key = key.map(|key| key[..5].to_vec());
                    (Some(framed(1, &row)), Fate::Reject)
                }
                4 => (Some(framed(1, b"")), Fate::Reject),
                5 => {
                    key = None;
                    (Some(framed(1, &row)), Fate::Keyless)
                }
                _ => (Some(framed(1, &row)), Fate::Row),
            };
            fates.push(fate);
            SimRecord { offset, key, value, ..SimRecord::default() }
        })
        .collect();
    (records, fates)
}

#[test]
fn every_row_stands_once_with_its_key_and_offset_whatever_goes_wrong() {
    let more = "value: { tombstones: row }\nkey: { format: auto }\nmetadata: [offset]\n\
                rejects: { breaker: false }\nrotate: { rows: 50 }";
    for seed in 0..12 {
        let mut random = Seeded::new(seed);
        let (records, fates) = records(&mut random);
        let crash = if seed % 2 == 0 { 0 } else { 150 };
        let trouble = Trouble {
            crash,
            rebalance: 60,
            registry: 3,
            commit: 4,
            lost: 120,
            zombie: 150,
            until: 3_000,
            ..Trouble::default()
        };
        let schemas = vec![avro(1, ROW), avro(10, KEY), avro(11, KEY_V2)];
        let (data, rejects) = run_in(trouble, seed, more, schemas, records);
        let mut found: BTreeMap<i64, (Fate, u32)> = BTreeMap::new();
        for row in data.iter().flat_map(super::File::json) {
            let offset = row["_offset"].as_i64().unwrap();
            // Before the first key since a start there is no column for it.
            let keyless = row.get("_key").is_none_or(Value::is_null);
            assert!(keyless || row["_key"]["at"] == offset, "seed {seed}: {row}");
            let deleted = row["_deleted"] == true;
            let n = row.get("n").cloned().unwrap_or_default();
            assert_eq!(n, if deleted { Value::Null } else { json!(offset) }, "seed {seed}: {row}");
            let fate = match (deleted, keyless) {
                (true, false) => Fate::Tombstone,
                (false, false) => Fate::Row,
                (false, true) => Fate::Keyless,
                (true, true) => panic!("seed {seed}: {row}"),
            };
            found.entry(offset).or_insert((fate, 0)).1 += 1;
        }
        for row in rejects.iter().flat_map(super::File::json) {
            found.entry(row["offset"].as_i64().unwrap()).or_insert((Fate::Reject, 0)).1 += 1;
        }
        let got: Vec<Fate> = found.values().map(|(fate, _)| *fate).collect();
        assert_eq!(got, fates, "seed {seed}");
        let once = found.values().all(|(_, times)| *times == 1);
        assert!(once, "seed {seed}: something stands twice");
    }
}
