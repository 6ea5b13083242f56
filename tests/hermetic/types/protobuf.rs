//! Protobuf: a row is a message's fields, after which other types may stand.

use forebay::config::{Enums, Presence, Reader, Recursion, Unsigned};
use forebay::registry::Language;

use super::{Row, Table, row, with};

pub(super) static TABLE: Table = Table {
    title: "Protobuf",
    plan: |text, options| super::registered(Language::Protobuf, text, options),
    whole,
    rows: ROWS,
    notes: NOTES,
};

/// A row that brings its own syntax is a whole file.
fn whole(row: &str) -> String {
    if row.starts_with("syntax") {
        return row.to_owned();
    }
    let known = [
        "google/protobuf/timestamp",
        "google/protobuf/duration",
        "google/protobuf/wrappers",
        "google/protobuf/struct",
        "google/protobuf/any",
        "google/protobuf/field_mask",
        "google/protobuf/empty",
        "google/type/date",
        "google/type/timeofday",
        "google/type/datetime",
        "google/type/money",
        "google/type/latlng",
        "confluent/type/decimal",
        "confluent/meta",
    ];
    let imports: String = known.iter().map(|name| format!("import \"{name}.proto\"; ")).collect();
    format!(
        "syntax = \"proto3\"; {imports} message M {{ {row} }}
         message Device {{ string os = 1; int32 version = 2; }}
         message Empty {{}} enum Status {{ NONE = 0; PAID = 1; }}"
    )
}

const UINT32: &[&str] = &["uint32 f = 1;", "fixed32 f = 1;"];
const UINT64: &[&str] = &["uint64 f = 1;", "fixed64 f = 1;"];
const ENUM: &[&str] = &["Status f = 1;"];
const RECURSIVE: &[&str] = &["M f = 1; int32 other = 2;"];
const TIME: &[&str] = &["google.type.TimeOfDay f = 1;"];
const WIDE_DECIMAL: &[&str] = &[
    "confluent.type.Decimal f = 1 [(confluent.field_meta) = { params: [{key: \"precision\", value: \"50\"}, {key: \"scale\", value: \"2\"}] }];",
];

static ROWS: &[Row] = &[
    row("`double`", &["double f = 1;"]),
    row("`float`", &["float f = 1;"]),
    row("`bool`", &["bool f = 1;"]),
    row("`int32` `sint32` `sfixed32`", &["int32 f = 1;", "sint32 f = 1;", "sfixed32 f = 1;"]),
    row("`int64` `sint64` `sfixed64`", &["int64 f = 1;", "sint64 f = 1;", "sfixed64 f = 1;"]),
    row("`uint32` `fixed32`", UINT32),
    with(UINT32, "value.unsigned: native", |o| o.value.unsigned = Unsigned::Native),
    row("`uint64` `fixed64`", UINT64),
    with(UINT64, "value.unsigned: native", |o| o.value.unsigned = Unsigned::Native),
    row("`string`", &["string f = 1;"]),
    row("`bytes`", &["bytes f = 1;"]),
    row("enum: its name, an unknown number as digits", ENUM),
    with(ENUM, "value.enums: number", |o| o.value.enums = Enums::Number),
    row("`optional` (proto3)", &["optional int32 f = 1;"]),
    with(&["int32 f = 1;"], "value.presence: nullable", |o| o.value.presence = Presence::Nullable),
    row(
        "`optional` and `required` (proto2)",
        &[
            "syntax = \"proto2\"; message M { optional int32 f = 1; }",
            "syntax = \"proto2\"; message M { required int32 f = 1; }",
        ],
    ),
    row("message", &["Device f = 1;"]),
    row(
        "group (proto2)",
        &["syntax = \"proto2\"; message M { optional group F = 1 { optional int32 x = 1; } }"],
    ),
    row(
        "message without fields: whether it is there",
        &["Empty f = 1;", "google.protobuf.Empty f = 1;"],
    ),
    row(
        "`repeated`, packed or not",
        &["repeated int32 f = 1;", "repeated int32 f = 1 [packed = false];"],
    ),
    row("`repeated` message", &["repeated Device f = 1;"]),
    row("`map`: the last of equal keys", &["map<string, int32> f = 1;"]),
    row("`oneof`: the last one set is not null", &["oneof one { int32 a = 1; string b = 2; }"]),
    row("a message inside itself: JSON", RECURSIVE),
    with(RECURSIVE, "value.recursion: bytes", |o| o.value.recursion = Recursion::Bytes),
    with(RECURSIVE, "value.recursion: drop", |o| o.value.recursion = Recursion::Drop),
    row("`google.protobuf.Timestamp`", &["google.protobuf.Timestamp f = 1;"]),
    row("`google.protobuf.Duration`", &["google.protobuf.Duration f = 1;"]),
    row(
        "`google.protobuf.Int32Value`, the other wrappers as their types",
        &["google.protobuf.Int32Value f = 1;"],
    ),
    row(
        "`google.protobuf.Struct` `Value` `ListValue`",
        &[
            "google.protobuf.Struct f = 1;",
            "google.protobuf.Value f = 1;",
            "google.protobuf.ListValue f = 1;",
        ],
    ),
    row("`google.protobuf.Any`", &["google.protobuf.Any f = 1;"]),
    row("`google.protobuf.FieldMask`", &["google.protobuf.FieldMask f = 1;"]),
    row("`google.type.Date`", &["google.type.Date f = 1;"]),
    row("`google.type.TimeOfDay`", TIME),
    with(TIME, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row("`google.type.Money`", &["google.type.Money f = 1;"]),
    row("`google.type.LatLng`", &["google.type.LatLng f = 1;"]),
    row(
        "`confluent.type.Decimal` with precision 12 and scale 2 in `confluent.field_meta`",
        &[
            "confluent.type.Decimal f = 1 [(confluent.field_meta) = { params: [{key: \"precision\", value: \"12\"}, {key: \"scale\", value: \"2\"}] }];",
        ],
    ),
    row("… with precision over 38", WIDE_DECIMAL),
    with(WIDE_DECIMAL, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row("… without precision", &["confluent.type.Decimal f = 1;"]),
];

const NOTES: &str = "
Editions have the rows of what their features say: presence as `optional` or without, groups for delimited encoding. The numbers
of fields stand in the footer under `forebay.field_numbers`, the unit of a duration or a time of day kept as a whole number under
`forebay.units`. A proto2 default is not filled in; with `readers: [native]` the Arrow field's metadata hold it (`forebay.default`). Any other message, well-known or not, is
the struct that it declares.
";
