//! Every way to damage one byte of a record, for every type: a row or a reject that says where, and the
//! rows beside it stay what they are.

use arrow::array::{Array, ArrayRef};
use forebay::config::{Recursion, Unions};
use forebay::decode::{Decoder, Options, codes as shared};

use super::mapping::{TYPES, field};
use super::{decoder, everyone, native, onto, unhex};
use crate::alloc::measured;

/// Longer than any value of [`TYPES`], and nested: what one type does to the next.
const NESTED: &[(&str, &str)] = &[
    (
        r#"{"type":"record","name":"P","fields":[{"name":"l","type":{"type":"array","items":["null",{"type":"record","name":"Q","fields":[{"name":"s","type":"string"},{"name":"n","type":"long"}]}]}},{"name":"m","type":{"type":"map","values":{"type":"array","items":"boolean"}}},{"name":"u","type":["null","string","P",{"type":"fixed","name":"F","size":2}]}]}"#,
        "04020661626380010000020478790401000000040002026b02010000066c75",
    ),
    (
        r#"{"type":"array","items":{"type":"map","values":["null","bytes",{"type":"enum","name":"E","symbols":["A","B","C"]}]}}"#,
        "0404026100026202040716000108026304040000",
    ),
];

fn damages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut damages: Vec<Vec<u8>> = (0..bytes.len()).map(|end| bytes[..end].to_vec()).collect();
    for at in 0..bytes.len() {
        for change in 1..=255u8 {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= change;
            damages.push(damaged);
        }
    }
    damages.extend((0..=255u8).map(|more| [bytes, &[more]].concat()));
    damages
}

/// Gives accepted and refused.
fn poisoned(at: &str, mut decoder: Decoder, bytes: &[u8]) -> (usize, usize) {
    let columns = |decoder: &mut Decoder| -> Vec<ArrayRef> { decoder.finish().columns().to_vec() };
    decoder.append(bytes).unwrap_or_else(|e| panic!("{at}: {e}"));
    let good = columns(&mut decoder);
    let mut good_rows = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for damaged in damages(bytes) {
        good_rows.push(decoder.rows());
        decoder.append(bytes).unwrap();
        let before = (decoder.rows(), decoder.bytes());
        let (result, used) = measured(|| decoder.append(&damaged));
        match result {
            Ok(()) => accepted += 1,
            Err(reject) => {
                assert_eq!((decoder.rows(), decoder.bytes()), before, "{at}");
                let m = &reject.message;
                let where_and_what = m.contains(" at byte ") && m.contains("required");
                let bound = reject.code == &shared::TOO_LARGE && m.contains(" at byte ");
                assert!(where_and_what || bound, "{at}: {reject}");
                refused += 1;
            }
        }
        // Growth of the columns counts all rows so far; a damaged record of these asks for no megabyte.
        assert!(used.peak < (1 << 20) + 8 * decoder.bytes(), "{at}: {} bytes", used.peak);
    }
    good_rows.push(decoder.rows());
    decoder.append(bytes).unwrap();
    let all = columns(&mut decoder);
    for row in good_rows {
        for (all, good) in all.iter().zip(&good) {
            assert!(all.slice(row, 1).to_data() == good.to_data(), "{at}: row {row}");
        }
    }
    (accepted, refused)
}

fn every_option() -> Vec<Options> {
    let mut json = everyone();
    json.value.unions = Unions::Json;
    json.value.recursion = Recursion::Bytes;
    let mut dropped = native();
    dropped.value.recursion = Recursion::Drop;
    vec![native(), everyone(), json, dropped]
}

#[test]
fn every_cut_and_every_changed_byte_of_every_type_harms_no_neighbour() {
    let (mut accepted, mut refused) = (0, 0);
    let types = TYPES.iter().map(|(field_type, hex, ..)| (*field_type, *hex));
    for (field_type, hex) in types.chain(NESTED.iter().copied()) {
        for options in every_option() {
            let decoder = decoder(&field(field_type), &options);
            let (a, r) = poisoned(field_type, decoder, &unhex(hex));
            (accepted, refused) = (accepted + a, refused + r);
        }
    }
    assert!(accepted > 10_000 && refused > 50_000, "{accepted} accepted, {refused} refused");
}

/// The same where the record is read onto another schema.
#[test]
fn every_cut_and_every_changed_byte_harms_no_neighbour_of_a_target() {
    let pairs = [
        (
            NESTED[0].0.to_owned(),
            NESTED[0]
                .0
                .replace(r#""type":"long""#, r#""type":"double""#)
                .replace(r#"{"name":"s","type":"string"},"#, ""),
            NESTED[0].1,
        ),
        (
            NESTED[1].0.to_owned(),
            NESTED[1].0.replace("\"bytes\"", "\"string\"").replace(r#""A","B""#, r#""B""#),
            NESTED[1].1,
        ),
    ];
    for (writer, target, hex) in pairs {
        for options in every_option() {
            // Bytes of a record inside itself are those of the writer: refused when it differs.
            let Ok(plan) = onto(&field(&writer), &field(&target), &options) else { continue };
            let (accepted, refused) = poisoned(&target, Decoder::new(plan), &unhex(hex));
            assert!(accepted > 0 && refused > 100, "{accepted} accepted, {refused} refused");
        }
    }
}
