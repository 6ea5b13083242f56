//! Few bytes that ask for much: refused before anything is made of them, and without a trace.

use forebay::config::Limits;
use forebay::decode::{Options, avro, codes};

use super::{decoder, native};
use crate::alloc::measured;

/// A varint of `value`, zigzag.
fn long(value: i64) -> Vec<u8> {
    let mut raw = (value << 1 ^ value >> 63) as u64;
    let mut bytes = Vec::new();
    while raw >= 0x80 {
        bytes.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    bytes.push(raw as u8);
    bytes
}

fn record(field_type: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field_type}}}]}}"#)
}

/// The body is refused with `code`, costs no memory, and leaves the decoder as it was.
#[track_caller]
fn refused(schema: &str, body: &[u8], code: &forebay::error::Code) -> String {
    refused_by(schema, body, code, &native())
}

#[track_caller]
fn refused_by(schema: &str, body: &[u8], code: &forebay::error::Code, options: &Options) -> String {
    refused_within(schema, body, code, options, 64 << 10)
}

/// At most `peak_max` bytes are allocated at once on the way to the refusal.
#[track_caller]
fn refused_within(
    schema: &str,
    body: &[u8],
    code: &forebay::error::Code,
    options: &Options,
    peak_max: usize,
) -> String {
    let mut decoder = decoder(schema, options);
    let (result, used) = measured(|| decoder.append(body));
    let reject = result.unwrap_err();
    assert_eq!(reject.code, code, "{reject}");
    assert!(used.peak < peak_max, "{} bytes at once, {peak_max} allowed: {reject}", used.peak);
    assert_eq!((decoder.rows(), decoder.bytes()), (0, 0));
    let kept = decoder.finish().get_array_memory_size();
    assert!(kept < 2 << 20, "{kept} bytes kept of a refused record");
    reject.message
}

#[test]
fn items_without_bytes_beyond_the_nodes_are_refused_unread() {
    for items in [
        r#""null""#,
        r#"{"type":"record","name":"E","fields":[]}"#,
        r#"{"type":"record","name":"N","fields":[{"name":"a","type":"null"},{"name":"b","type":"null"}]}"#,
        r#"{"type":"fixed","name":"F","size":0}"#,
    ] {
        let schema = record(&format!(r#"{{"type":"array","items":{items}}}"#));
        for count in [10_000_001, i64::from(i32::MAX), i64::MAX] {
            refused(&schema, &[long(count), vec![0]].concat(), &codes::TOO_LARGE);
            let sized = [long(-count), vec![0], vec![0]].concat();
            refused(&schema, &sized, &codes::TOO_LARGE);
        }
    }
}

#[test]
fn many_blocks_of_items_without_bytes_share_one_bound() {
    let schema = record(r#"{"type":"array","items":"null"}"#);
    let block = long(9_000_000);
    refused(&schema, &[&block[..], &block, &[0]].concat(), &codes::TOO_LARGE);
    let mut decoder = decoder(&schema, &native());
    decoder.append(&[&block[..], &[0]].concat()).unwrap();
}

#[test]
fn items_of_many_columns_are_counted_by_what_they_make() {
    let fields: Vec<String> =
        (0..2_000).map(|i| format!(r#"{{"name":"c{i}","type":["null","long"]}}"#)).collect();
    let wide =
        format!(r#"["null",{{"type":"record","name":"W","fields":[{}]}}]"#, fields.join(","));
    let schema = record(&format!(r#"{{"type":"array","items":{wide}}}"#));
    // 100,000 nulls in as many bytes would be 200,000,000 cells.
    let body = [long(100_000), vec![0; 100_001]].concat();
    refused(&schema, &body, &codes::TOO_LARGE);
}

#[test]
fn nested_arrays_multiply_nothing() {
    let schema = record(r#"{"type":"array","items":{"type":"array","items":"null"}}"#);
    let inner = [long(4_000_000), vec![0]].concat();
    let body = [long(3), inner.repeat(3), vec![0]].concat();
    refused(&schema, &body, &codes::TOO_LARGE);
}

#[test]
fn block_of_more_items_than_bytes_is_refused_unread() {
    for items in [r#""int""#, r#""string""#, r#"["null","long"]"#] {
        let schema = record(&format!(r#"{{"type":"array","items":{items}}}"#));
        for count in [5, i64::from(i32::MAX), i64::MAX, -i64::MAX] {
            let mut body = long(count);
            if count < 0 {
                body.push(0);
            }
            body.push(0);
            refused(&schema, &body, &avro::codes::BLOCK);
        }
    }
    let schema = record(r#"{"type":"map","values":"null"}"#);
    refused(&schema, &[long(i64::MAX), vec![0]].concat(), &avro::codes::BLOCK);
}

#[test]
fn block_with_a_count_without_a_positive_is_refused() {
    let schema = record(r#"{"type":"array","items":"null"}"#);
    refused(&schema, &[long(i64::MIN), vec![0, 0]].concat(), &avro::codes::BLOCK);
}

#[test]
fn block_with_bytes_it_does_not_have_is_refused() {
    let schema = record(r#"{"type":"array","items":"int"}"#);
    for size in [-1, 0, 1, 3, 100, i64::MAX, i64::MIN] {
        let body = [long(-2), long(size), vec![2, 4, 0]].concat();
        refused(&schema, &body, &avro::codes::BLOCK);
    }
    let mut decoder = decoder(&schema, &native());
    decoder.append(&[long(-2), long(2), vec![2, 4], long(1), vec![6, 0]].concat()).unwrap();
}

#[test]
fn length_beyond_the_body_is_refused_without_allocating() {
    for (kind, length) in [("string", i64::MAX), ("bytes", 1 << 40), ("string", 3)] {
        let schema = record(&format!("\"{kind}\""));
        refused(&schema, &[long(length), vec![b'a']].concat(), &avro::codes::TRUNCATED);
    }
    refused(&record("\"bytes\""), &long(-5), &avro::codes::LENGTH);
    refused(&record("\"string\""), &long(i64::MIN), &avro::codes::LENGTH);
    let huge = r#"{"type":"fixed","name":"F","size":2147483647}"#;
    refused(&record(huge), &[0; 100], &avro::codes::TRUNCATED);
    let beyond = r#"{"type":"fixed","name":"F","size":9223372036854775807}"#;
    refused(&record(beyond), &[0; 100], &avro::codes::TRUNCATED);
}

#[test]
fn null_of_a_huge_fixed_costs_nothing() {
    let schema = record(r#"["null",{"type":"fixed","name":"F","size":2147483647}]"#);
    let mut decoder = decoder(&schema, &native());
    for _ in 0..10_000 {
        decoder.append(&[0]).unwrap();
    }
    assert!(decoder.finish().get_array_memory_size() < 1 << 20);
}

#[test]
fn recursion_deeper_than_the_limit_is_refused() {
    let schema = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
    for recursion in [forebay::config::Recursion::Json, forebay::config::Recursion::Bytes] {
        let mut options = native();
        options.value.recursion = recursion;
        let message = refused_by(schema, &[2; 1_000_000], &codes::DEPTH, &options);
        // Each byte is a union and the record in it: two levels.
        assert!(message.starts_with("avro field `next.next.next."), "{message}");
        let ending = "at byte 50: value nested 101 levels deep, at most `limits.depth` of 100 required; raise it if the data is honest";
        assert!(message.ends_with(ending), "{message}");
        let mut decoder = decoder(schema, &options);
        decoder.append(&[[2; 40].as_slice(), &[0]].concat()).unwrap();
    }
}

#[test]
fn record_that_holds_itself_without_end_is_refused() {
    let schema = r#"{"type":"record","name":"A","fields":[{"name":"a","type":"A"},{"name":"x","type":"int"}]}"#;
    refused(schema, &[0; 10], &codes::DEPTH);
    let items = r#"{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"array","items":"A"}}]}"#;
    refused(items, &[2; 10_000], &codes::DEPTH);
}

#[test]
fn json_of_items_without_bytes_is_bounded_by_its_text() {
    // The symbol is long, and each item is one byte of the body.
    let symbol = "S".repeat(10_000);
    let schema = format!(
        r#"{{"type":"record","name":"A","fields":[{{"name":"e","type":{{"type":"array","items":{{"type":"enum","name":"E","symbols":["{symbol}"]}}}}}},{{"name":"a","type":["null","A"]}}]}}"#
    );
    let mut options = native();
    options.limits = Limits { decoded_bytes: 1 << 20, ..Limits::default() };
    // The outer record is empty, the inner one has 20,000 symbols: 200 MB of text.
    let body = [vec![0, 2], long(20_000), vec![0; 20_000], vec![0, 0]].concat();
    refused_within(&schema, &body, &codes::TOO_LARGE, &options, 4 << 20);
    // The same in a column: text, too.
    let body = [long(20_000), vec![0; 20_000], vec![0, 0]].concat();
    refused_within(&schema, &body, &codes::TOO_LARGE, &options, 4 << 20);
}

/// A decimal of sixteen million bytes, in every column that a decimal may have and as JSON text.
#[test]
fn giant_decimal_is_refused_before_it_is_worked_out() {
    let giant = vec![0x7f; 16 << 20];
    let body = [long(giant.len() as i64), giant].concat();
    let bytes = |precision: usize| {
        format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":2}}"#)
    };
    for precision in [4, 38, 39, 76, 77, 1_000] {
        for options in [native(), super::everyone()] {
            refused_by(&record(&bytes(precision)), &body, &avro::codes::DECIMAL, &options);
        }
    }
    // Padded with its sign it is a small number, and costs nothing but its bytes.
    let mut padded = vec![0; 16 << 20];
    padded.extend([0x04, 0xd2]);
    let body = [long(padded.len() as i64), padded].concat();
    for precision in [4, 39, 1_000] {
        let mut decoder = decoder(&record(&bytes(precision)), &native());
        let (result, used) = measured(|| decoder.append(&body));
        result.unwrap();
        assert!(used.peak < 64 << 10, "{} bytes at once", used.peak);
    }
    // As JSON every digit is said, up to a thousand of them; then the bytes.
    let schema = r#"{"type":"record","name":"A","fields":[{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":4}},{"name":"a","type":["null","A"]}]}"#;
    let giant = vec![0x7f; 16 << 20];
    let body = [&[0, 2][..], &long(giant.len() as i64), &giant, &[0]].concat();
    let mut decoder = decoder(schema, &native());
    let (result, used) = measured(|| decoder.append(&body));
    result.unwrap();
    assert!(used.peak < 6 * giant.len(), "{} bytes at once", used.peak);
}

/// Many blocks of one item each: time and memory of their bytes, no more.
#[test]
fn many_small_blocks_cost_what_they_hold() {
    let schema = record(r#"{"type":"array","items":"int"}"#);
    let body = [[2u8, 14].repeat(1 << 20), vec![0]].concat();
    let mut decoder = decoder(&schema, &native());
    let (result, used) = measured(|| decoder.append(&body));
    result.unwrap();
    // Four bytes an item, and once more while the column grows.
    assert!(used.peak < 16 << 20, "{} bytes at once", used.peak);
}

/// A million records without bytes inside one list, inside a list, and as text.
#[test]
fn zero_width_items_within_the_nodes_take_bits() {
    let empty = r#"{"type":"record","name":"E","fields":[]}"#;
    for (items, peak_max) in [
        (r#""null""#, 64 << 10),
        (empty, 4 << 20),
        (r#"{"type":"record","name":"N","fields":[{"name":"a","type":"null"}]}"#, 4 << 20),
    ] {
        let schema = record(&format!(r#"{{"type":"array","items":{items}}}"#));
        let mut decoder = decoder(&schema, &native());
        let body = [long(9_000_000), vec![0]].concat();
        let (result, used) = measured(|| decoder.append(&body));
        result.unwrap();
        assert!(used.peak < peak_max, "{items}: {} bytes at once", used.peak);
    }
    let mut options = native();
    options.value.unions = forebay::config::Unions::Json;
    let schema = record(&format!(r#"["int",{{"type":"array","items":{empty}}}]"#));
    let body = [vec![2], long(4_000_000), vec![0]].concat();
    let mut decoder = decoder(&schema, &options);
    let (result, used) = measured(|| decoder.append(&body));
    result.unwrap();
    // `{},` four million times, twice while it grows and is copied.
    assert!(used.peak < 4 * 12_000_000, "{} bytes at once", used.peak);
}

#[test]
fn nested_maps_of_equal_keys_take_the_time_of_their_bytes() {
    // Each level has its key twice; a reader that goes back at each level takes 2^60 steps.
    let schema = r#"{"type":"record","name":"M","fields":[{"name":"m","type":{"type":"map","values":"M"}}]}"#;
    let mut inner = vec![0];
    for _ in 0..12 {
        inner = [vec![4, 2, b'k'], inner.clone(), vec![2, b'k'], inner, vec![0]].concat();
    }
    let mut decoder = decoder(schema, &native());
    decoder.append(&inner).unwrap();
    let batch = decoder.finish();
    assert_eq!(batch.num_rows(), 1);
}

#[test]
fn schema_that_grows_beyond_the_columns_is_refused() {
    // Each record names the next one ten times: 10^6 columns from 70 fields.
    let mut json =
        r#"{"type":"record","name":"R0","fields":[{"name":"x","type":"int"}]}"#.to_owned();
    for level in 1..=6 {
        let first = format!(r#"{{"name":"f0","type":{json}}}"#);
        let rest: Vec<String> =
            (1..10).map(|i| format!(r#"{{"name":"f{i}","type":"R{}"}}"#, level - 1)).collect();
        json = format!(
            r#"{{"type":"record","name":"R{level}","fields":[{first},{}]}}"#,
            rest.join(",")
        );
    }
    let fault =
        forebay::decode::Plan::compile(&super::registered(&json), &[], &native()).unwrap_err();
    assert_eq!(fault.code, &codes::TOO_WIDE, "{fault}");
}

#[test]
fn skipped_records_of_many_empty_fields_are_counted() {
    // Dropped fields leave neither columns nor text, so only time would tell.
    let nulls: Vec<String> =
        (0..5_000).map(|i| format!(r#"{{"name":"n{i}","type":"null"}}"#)).collect();
    let empty = format!(r#"{{"type":"record","name":"E","fields":[{}]}}"#, nulls.join(","));
    let schema = format!(
        r#"{{"type":"record","name":"A","fields":[{{"name":"e","type":["null",{{"type":"array","items":{empty}}}]}},{{"name":"a","type":["null","A"]}}]}}"#
    );
    let mut options = native();
    options.value.recursion = forebay::config::Recursion::Drop;
    let body = [vec![0, 2, 2], long(9_000_000), vec![0, 0]].concat();
    refused_by(&schema, &body, &codes::TOO_LARGE, &options);
}

/// Texts that a registry may hold, or a producer may register: compiled and planned, or refused, within memory that
/// goes by their size.
#[test]
fn schema_texts_take_memory_of_their_size() {
    use forebay::registry::{Language, compile::compile};
    let deep = |n: usize| r#"{"type":"array","items":"#.repeat(n) + "\"int\"" + &"}".repeat(n);
    let fixed = |i: usize| format!(r#"{{"type":"fixed","name":"F{i}","size":1}}"#);
    let branches: Vec<String> = (0..100_000).map(fixed).collect();
    let doc = "d".repeat(10 << 20);
    let twice = r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"fixed","name":"F","size":1}},{"name":"b","type":{"type":"fixed","name":"F","size":2}}]}"#;
    for (what, text, code) in [
        (
            "ten mebibytes of documentation",
            record("\"int\"").replace(r#""fields""#, &format!(r#""doc":"{doc}","fields""#)),
            None,
        ),
        ("white space", format!("{}\"int\"", " ".repeat(10 << 20)), None),
        ("ten thousand levels", deep(10_000), Some("FB0304")),
        ("as many levels as the parser follows", deep(60), None),
        (
            "a record that holds itself",
            record("\"R\"").replace(r#""name":"A""#, r#""name":"R""#),
            None,
        ),
        ("a hundred thousand branches", format!("[{}]", branches.join(",")), Some("FB0306")),
        (
            "one branch a hundred thousand times",
            format!("[{}\"int\"]", "\"int\",".repeat(100_000)),
            Some("FB0304"),
        ),
        // Each field has the type that stands there.
        ("a name of two types", twice.to_owned(), None),
        (
            "a class to make",
            r#"{"type":"string","java-class":"javax.script.ScriptEngineManager"}"#.to_owned(),
            None,
        ),
    ] {
        let (got, used) = measured(|| {
            let schema = compile(1, Language::Avro, &text, &[])?;
            forebay::decode::Plan::compile(&schema, &[], &native()).map(|_| ())
        });
        println!("{:>10} bytes at once for a schema of {:>9}: {what}", used.peak, text.len());
        assert_eq!(got.as_ref().err().map(|fault| fault.code.id), code, "{what}: {got:?}");
        assert!(used.peak < (1 << 20) + 64 * text.len(), "{what}: {} bytes", used.peak);
    }
}
