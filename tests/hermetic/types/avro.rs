//! Avro: a row is the type of the field `f`.

use forebay::config::{Reader, Recursion, Unions};
use forebay::registry::Language;

use super::{Row, Table, row, with};

pub(super) static TABLE: Table = Table {
    title: "Avro",
    plan: |text, options| super::registered(Language::Avro, text, options),
    whole,
    rows: ROWS,
    notes: NOTES,
};

fn whole(row: &str) -> String {
    format!(
        r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{row}}},{{"name":"other","type":"int"}}]}}"#
    )
}

const UUID: &[&str] = &[
    r#"{"type":"string","logicalType":"uuid"}"#,
    r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#,
];
const MILLIS: &[&str] = &[r#"{"type":"int","logicalType":"time-millis"}"#];
const MICROS: &[&str] = &[r#"{"type":"long","logicalType":"time-micros"}"#];
const NANOS: &[&str] = &[r#"{"type":"long","logicalType":"timestamp-nanos"}"#];
const LOCAL_NANOS: &[&str] = &[r#"{"type":"long","logicalType":"local-timestamp-nanos"}"#];
const WIDE_DECIMAL: &[&str] = &[
    r#"{"type":"bytes","logicalType":"decimal","precision":50,"scale":2}"#,
    r#"{"type":"fixed","name":"D","size":24,"logicalType":"decimal","precision":50,"scale":2}"#,
];
const UNION: &[&str] = &[r#"["null","string","long"]"#];
const RECURSIVE: &[&str] = &[r#"["null","R"]"#];

static ROWS: &[Row] = &[
    row("`null`", &[r#""null""#]),
    row("`boolean`", &[r#""boolean""#]),
    row("`int`", &[r#""int""#]),
    row("`long`", &[r#""long""#]),
    row("`float`", &[r#""float""#]),
    row("`double`", &[r#""double""#]),
    row("`string`", &[r#""string""#]),
    row("`bytes`", &[r#""bytes""#]),
    row("`fixed`", &[r#"{"type":"fixed","name":"F","size":6}"#]),
    row("`enum`: its symbol", &[r#"{"type":"enum","name":"E","symbols":["A","B"]}"#]),
    row("union of null and one type", &[r#"["null","long"]"#, r#"["long","null"]"#]),
    row("union of several", UNION),
    with(UNION, "value.unions: json", |o| o.value.unions = Unions::Json),
    row("`array`", &[r#"{"type":"array","items":"int"}"#]),
    row("`array` of nullable items", &[r#"{"type":"array","items":["null","int"]}"#]),
    row("`map`", &[r#"{"type":"map","values":"int"}"#]),
    row(
        "`record`",
        &[
            r#"{"type":"record","name":"Device","fields":[{"name":"os","type":"string"},{"name":"version","type":["null","int"]}]}"#,
        ],
    ),
    row("a record inside itself: JSON", RECURSIVE),
    with(RECURSIVE, "value.recursion: bytes", |o| o.value.recursion = Recursion::Bytes),
    with(RECURSIVE, "value.recursion: drop", |o| o.value.recursion = Recursion::Drop),
    row(
        "`decimal` to 38 digits, in `bytes` or `fixed`",
        &[
            r#"{"type":"bytes","logicalType":"decimal","precision":12,"scale":2}"#,
            r#"{"type":"fixed","name":"D","size":8,"logicalType":"decimal","precision":12,"scale":2}"#,
        ],
    ),
    row("`decimal` over 38 digits", WIDE_DECIMAL),
    with(WIDE_DECIMAL, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row("`big-decimal`", &[r#"{"type":"bytes","logicalType":"big-decimal"}"#]),
    row("`uuid`, in `string` or `fixed`", UUID),
    with(UUID, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row("`date`", &[r#"{"type":"int","logicalType":"date"}"#]),
    row("`time-millis`", MILLIS),
    with(MILLIS, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row("`time-micros`", MICROS),
    with(MICROS, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row("`timestamp-millis`", &[r#"{"type":"long","logicalType":"timestamp-millis"}"#]),
    row("`timestamp-micros`", &[r#"{"type":"long","logicalType":"timestamp-micros"}"#]),
    row("`timestamp-nanos`", NANOS),
    with(NANOS, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row("`local-timestamp-millis`", &[r#"{"type":"long","logicalType":"local-timestamp-millis"}"#]),
    row("`local-timestamp-micros`", &[r#"{"type":"long","logicalType":"local-timestamp-micros"}"#]),
    row("`local-timestamp-nanos`", LOCAL_NANOS),
    with(LOCAL_NANOS, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row("`duration`", &[r#"{"type":"fixed","name":"T","size":12,"logicalType":"duration"}"#]),
    row(
        "a logical type that is not known: its base type",
        &[r#"{"type":"long","logicalType":"fortnights"}"#, r#""long""#],
    ),
];

const NOTES: &str = "
A schema whose top is no record becomes one column named `value`. `value.truncate_timestamps: false` rejects a record whose nanoseconds do not
fit microseconds, in place of cutting them off. `value.uuid: string` makes UUIDs text whatever the readers are.
";
