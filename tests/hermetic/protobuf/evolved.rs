//! A random file as its next version, and records of one read as the other: the oracle is prost-reflect
//! with the *reader's* descriptor.

use forebay::clock::Seeded;
use forebay::decode::{Decoder, Plan};
use forebay::registry::{Language, Parsed, Schema};
use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FileDescriptor};

use super::differential::oracle;
use super::generate::{message, schema};
use super::{compile, options, render, root};

/// Wider types that have the same form on the wire.
const WIDER: [(&str, &str); 5] = [
    ("int32", "int64"),
    ("uint32", "uint64"),
    ("sint32", "sint64"),
    ("string", "bytes"),
    ("bytes", "string"),
];

/// The same file after some edits, line by line: fields removed, added, renamed, reordered, promoted.
fn edited(random: &mut Seeded, text: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let (mut fresh, mut oneof) = (0, false);
    for line in text.lines() {
        let field =
            line.contains(" = ") && line.ends_with(';') && !line.trim_start().starts_with('E');
        let field = field && !line.starts_with("syntax") && !line.starts_with("enum ");
        oneof = (oneof || line.starts_with("oneof ")) && line != "}";
        let extension = line.contains(" x") && line.contains("= 1");
        if !field || extension {
            out.push(line.to_owned());
            let opens = line.starts_with("message ") && line.ends_with('{');
            if opens && random.one_in(2) {
                fresh += 1;
                let label = if text.contains("\"proto2\"") { "optional " } else { "" };
                out.push(format!("{label}string added{fresh} = {};", 30_000_000 + fresh));
            }
            continue;
        }
        let mut line = line.to_owned();
        match random.below(8) {
            // A oneof needs one member.
            0 if !oneof && !line.starts_with("required") => continue,
            1 => line = renamed(&line),
            2 => {
                for (narrow, wide) in WIDER {
                    let types =
                        [format!(" {narrow} "), format!("<{narrow}, "), format!(", {narrow}>")];
                    // A key that is text stays text, and so does a default.
                    let keeps = line.contains("default") || line.contains('<');
                    if line.contains(&types[0]) && !keeps {
                        line = line
                            .replace(&types[0], &format!(" {wide} "))
                            .replace(" [packed = true]", "")
                            .replace(" [packed = false]", "");
                        break;
                    }
                }
            }
            // The order of declaration.
            3 if out.last().is_some_and(|last| last.contains(" = ") && last.ends_with(';')) => {
                out.insert(out.len() - 1, line);
                continue;
            }
            // One becomes many.
            4 if !oneof && text.contains("\"proto3\"") => {
                let single = ["repeated ", "map<", "optional ", "group "];
                let packed = line.contains('[');
                if !packed && !single.iter().any(|word| line.contains(word)) {
                    line = format!("repeated {line}");
                }
            }
            _ => {}
        }
        out.push(line);
    }
    out.join("\n") + "\n"
}

fn renamed(line: &str) -> String {
    let (head, tail) = line.split_once(" = ").unwrap();
    let name = head.rsplit(' ').next().unwrap();
    // Groups are named as their messages are.
    if name.starts_with('G') { line.to_owned() } else { format!("{head}_r = {tail}") }
}

fn registered(file: &FileDescriptor, id: u32) -> Schema {
    Schema { id, language: Language::Protobuf, parsed: Parsed::Protobuf(file.clone().into()) }
}

const HISTORIES: u64 = 1_500;
const SEED: u64 = 20_261_123;

#[test]
fn random_records_of_one_version_read_as_another_as_prost_reflect_reads_them() {
    let asked = std::env::var("FOREBAY_FUZZ_SCHEMAS").ok().and_then(|n| n.parse().ok());
    let seed = std::env::var("FOREBAY_FUZZ_SEED").ok().and_then(|n| n.parse().ok());
    let (histories, first) = (asked.unwrap_or(HISTORIES), seed.unwrap_or(SEED));
    let (mut rows, mut unfit) = (0, 0);
    for seed in first..first + histories {
        match history(seed) {
            Ok(compared) => rows += compared,
            Err(()) => unfit += 1,
        }
    }
    println!("seeds {first} to {}: {rows} rows, {unfit} pairs that do not fit", first + histories);
    assert!(unfit * 4 < histories, "{unfit} of {histories} pairs cannot be compared");
}

/// Rows compared. Error: one of the two makes no columns, or the two are incompatible.
fn history(seed: u64) -> Result<u64, ()> {
    let mut random = Seeded::new(seed);
    let old = schema(&mut random);
    let mut new = edited(&mut random, &old);
    if random.one_in(3) {
        new = edited_again(&mut random, &new);
    }
    let (writer, target) = match random.one_in(3) {
        true => (&new, &old),
        false => (&old, &new),
    };
    let (from, to) = (compile(&[("g.proto", writer)]), compile(&[("g.proto", target)]));
    let plan = Plan::compile_onto(&registered(&from, 1), &[0], &registered(&to, 2), &options());
    let plan = match plan {
        Ok(plan) => plan,
        Err(fault) if matches!(fault.code.id, "FB0207" | "FB0208" | "FB0210") => return Err(()),
        Err(fault) => panic!("seed {seed}: {fault}\n{writer}\n{target}"),
    };
    let own = Plan::compile(&registered(&to, 2), &[0], &options()).unwrap();
    assert_eq!(plan.schema, own.schema, "seed {seed}");
    let mut decoder = Decoder::new(plan);
    let mut bodies = Vec::new();
    for _ in 0..6 {
        let sparse = 1 + random.below(4);
        let body = message(&mut random, &root(&from), 4, sparse).encode_to_vec();
        // What is no text, or no message, to the reader is a reject.
        let read = DynamicMessage::decode(root(&to), body.as_slice());
        match (decoder.append(&body), read) {
            (Ok(()), Ok(_)) => bodies.push(body),
            (Err(_), Err(_)) => {}
            (Err(reject), Ok(_)) if reject.code.id == "FB0205" => {}
            (ours, theirs) => {
                panic!(
                    "seed {seed}: {ours:?} here, {theirs:?} required\n{writer}\n{target}\n{body:02x?}"
                )
            }
        }
    }
    let rows = decoder.finish();
    for (row, body) in bodies.iter().enumerate() {
        let (got, want) = (render::row(&root(&to), &rows, row), oracle(&root(&to), body));
        assert!(
            render::same(&got, &want),
            "seed {seed} row {row}: {}\n{writer}\n{target}\n{body:02x?}",
            render::difference(&got, &want)
        );
    }
    Ok(bodies.len() as u64)
}

fn edited_again(random: &mut Seeded, text: &str) -> String {
    // Names and numbers that the first edit made would be made again.
    edited(random, &text.replace("added", "before").replace("= 3000000", "= 3100000"))
}

/// What a reader with the target's descriptor alone would lose: the value is the writer's.
#[test]
fn promoted_number_of_another_wire_form_keeps_its_value() {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type};
    let from =
        "sint32 a = 1; float b = 2; sfixed32 c = 3; repeated sint32 d = 4; repeated float e = 5;
        map<string, float> f = 6; int32 g = 7; fixed32 h = 8;";
    let to =
        "int64 a = 1; double b = 2; sint64 c = 3; repeated sfixed64 d = 4; repeated double e = 5;
        map<string, double> f = 6; double g = 7; int64 h = 8;";
    let file = |body: &str| super::proto3(&format!("message R {{ {body} }}"));
    let (from, to) = (file(from), file(to));
    let json =
        r#"{"a":-7,"b":1.5,"c":-9,"d":[-1,2],"e":[0.25],"f":{"k":-2.5},"g":-3,"h":4000000000}"#;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let body = DynamicMessage::deserialize(root(&from), &mut deserializer).unwrap().encode_to_vec();
    let plan = Plan::compile_onto(&registered(&from, 1), &[0], &registered(&to, 2), &options());
    let plan = plan.unwrap();
    let onto = plan.onto.as_ref().unwrap();
    assert_eq!((onto.target, onto.changes.promoted.len()), (2, 7), "{:?}", onto.changes);
    let mut decoder = Decoder::new(plan);
    decoder.append(&body).unwrap();
    let rows = decoder.finish();
    let whole = |name: &str| rows[name].as_primitive::<Int64Type>().value(0);
    let float = |name: &str| rows[name].as_primitive::<Float64Type>().value(0);
    assert_eq!((whole("a"), whole("c"), whole("h")), (-7, -9, 4_000_000_000));
    assert_eq!((float("b"), float("g")), (1.5, -3.0));
    assert_eq!(rows["d"].as_list::<i32>().value(0).as_primitive::<Int64Type>().values(), &[-1, 2]);
    assert_eq!(rows["e"].as_list::<i32>().value(0).as_primitive::<Float64Type>().values(), &[0.25]);
    let map = rows["f"].as_map().value(0);
    assert_eq!(map.column(1).as_primitive::<Float64Type>().values(), &[-2.5]);
}
