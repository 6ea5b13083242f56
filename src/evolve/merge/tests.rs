use super::super::rules::{FIELD_NUMBER, UNIT};
use super::super::{Widened, fingerprint, same_columns};
use super::*;

const WIDE: Bounds = Bounds { columns: 10_000, wide_decimals: true };

fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn with(field: Field, key: &str, value: &str) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(key.to_owned(), value.to_owned());
    field.with_metadata(metadata)
}

fn numbered(name: &str, number: u32) -> Field {
    with(field(name, DataType::Int32), FIELD_NUMBER, &number.to_string())
}

fn columns(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

fn inside(fields: Vec<Field>) -> SchemaRef {
    columns(vec![with(field("s", DataType::Struct(fields.into())), FIELD_NUMBER, "7")])
}

/// Paths that keep the older of two versions out.
fn left_out(versions: [&SchemaRef; 2]) -> Vec<String> {
    let merged = merge(&versions.map(Clone::clone), &WIDE).unwrap();
    let paths: Vec<String> =
        merged.left_out.iter().flat_map(|(_, m)| m.iter().map(|m| m.path.clone())).collect();
    assert_eq!(Widened::new(versions[0], &merged.schema).is_err(), !paths.is_empty());
    paths
}

/// A file cannot hold two columns of one name, and readers know no case.
#[test]
fn columns_of_several_versions_have_one_name_each() {
    for (older, newer, twin) in [
        // A name that went to a field that was there before.
        (vec![numbered("a", 1), numbered("b", 2)], vec![numbered("b", 1)], "b"),
        (vec![numbered("a", 1), numbered("B", 2)], vec![numbered("b", 1)], "B"),
        // One that a new field has again.
        (vec![numbered("a", 1), numbered("b", 2)], vec![numbered("a", 1), numbered("b", 3)], "b"),
        (vec![numbered("b", 2)], vec![numbered("B", 3)], "B"),
    ] {
        assert_eq!(left_out([&columns(older.clone()), &columns(newer.clone())]), [twin]);
        assert_eq!(left_out([&inside(older), &inside(newer)]), [format!("s.{twin}")]);
    }
    // What one version has by itself, its readers take.
    let twins = vec![numbered("a", 1), numbered("A", 2)];
    let more = vec![numbered("a", 1), numbered("A", 2), numbered("b", 3)];
    assert_eq!(left_out([&columns(twins), &columns(more)]), Vec::<String>::new());
}

/// The text `"x"` and JSON's `"x"` are two values, and one text.
#[test]
fn text_and_json_of_several_versions_are_no_one_column() {
    let text = || field("a", DataType::Utf8);
    let json = || with(text(), "ARROW:extension:name", "arrow.json");
    let list = |item| field("l", DataType::List(Arc::new(item)));
    for (older, newer, paths) in [
        (json(), json(), vec![]),
        (text(), json(), vec!["a"]),
        (json(), text(), vec!["a"]),
        (list(json()), list(text()), vec!["l"]),
        // Bytes that are an UUID are bytes.
        (with(text(), "ARROW:extension:name", "arrow.uuid"), text(), vec![]),
    ] {
        assert_eq!(left_out([&columns(vec![older]), &columns(vec![newer])]), paths);
    }
}

/// At every level: what the number or the text means is part of the column.
#[test]
fn columns_of_other_units_or_kinds_of_text_share_no_file() {
    let wrap: [fn(Field) -> Field; 4] = [
        |f| f,
        |f| field("s", DataType::Struct(vec![f].into())),
        |f| field("l", DataType::List(Arc::new(f))),
        |f| {
            let pair = vec![Field::new("key", DataType::Utf8, false), f];
            let entries = Field::new("entries", DataType::Struct(pair.into()), false);
            field("m", DataType::Map(Arc::new(entries), false))
        },
    ];
    let whole = || field("a", DataType::Int64);
    let text = || field("a", DataType::Utf8);
    let kinds = [
        whole(),
        with(whole(), UNIT, "ms"),
        with(whole(), UNIT, "us"),
        text(),
        with(text(), "ARROW:extension:name", "arrow.json"),
    ];
    for wrap in wrap {
        let all: Vec<Schema> = kinds.iter().map(|f| Schema::new(vec![wrap(f.clone())])).collect();
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(same_columns(a, b), i == j, "{a:?} {b:?}");
                assert_eq!(fingerprint(a) == fingerprint(b), i == j, "{a:?} {b:?}");
            }
        }
    }
    // Numbers of fields and documentation say nothing of the values.
    let noted = Schema::new(vec![numbered("a", 1)]);
    assert!(same_columns(&noted, &Schema::new(vec![numbered("a", 2)])));
}

/// Names of files have it: CRC-32 (zlib's) of `"a"?Int64,` and of `"a"?["element"?Int64,],`.
#[test]
fn fingerprint_of_plain_columns_stays_what_it_was() {
    let whole = |name| field(name, DataType::Int64);
    assert_eq!(fingerprint(&Schema::new(vec![whole("a")])), 1_163_804_057);
    let list = field("a", DataType::List(Arc::new(whole("element"))));
    assert_eq!(fingerprint(&Schema::new(vec![list])), 3_290_736_626);
}

/// Each version is within the bound, and so are all together.
#[test]
fn merge_takes_in_no_more_columns_than_one_version_may_have() {
    let version =
        |from: u32, to: u32| inside((from..to).map(|n| numbered(&format!("f{n}"), n)).collect());
    // With the struct around them.
    let bounds = Bounds { columns: 8, wide_decimals: true };
    let versions = [version(0, 5), version(3, 8), version(1, 8), version(5, 8)];
    let merged = merge(&versions, &bounds).unwrap();
    let left_out: Vec<usize> = merged.left_out.iter().map(|(at, _)| *at).collect();
    assert_eq!(left_out, [0]);
    assert_eq!(
        merged.schema.field(0).data_type(),
        merge(&versions[1..], &WIDE).unwrap().schema.field(0).data_type()
    );
    // A version beyond it is refused elsewhere; its own columns are no reason here.
    let versions = [version(1, 9), version(0, 12)];
    assert!(merge(&versions, &bounds).unwrap().left_out.is_empty());
}
