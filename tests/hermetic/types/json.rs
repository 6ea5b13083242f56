//! JSON: a row is the schema of the property `f`; with an embedded schema, the field `f` of a struct.

use forebay::config::{Extra, Presence, Reader, Recursion, Unions, Unsigned};
use forebay::decode::Plan;
use forebay::registry::Language;

use super::{Row, Table, row, with};

pub(super) static TABLE: Table = Table {
    title: "JSON Schema",
    plan: |text, options| super::registered(Language::Json, text, options),
    whole,
    rows: ROWS,
    notes: NOTES,
};

pub(super) static CONNECT: Table = Table {
    title: "JSON with an embedded Connect schema",
    plan: |text, options| Plan::embedded(text.as_bytes(), options),
    whole: whole_connect,
    rows: CONNECT_ROWS,
    notes: CONNECT_NOTES,
};

/// A row that begins with `optional ` is a property that may be missing.
fn whole(row: &str) -> String {
    let (row, required) = match row.strip_prefix("optional ") {
        Some(row) => (row, r#""other""#),
        None => (row, r#""f","other""#),
    };
    format!(
        r#"{{"title":"R","type":"object","properties":{{"f":{row},"other":{{"type":"integer"}}}},"required":[{required}]}}"#
    )
}

fn whole_connect(row: &str) -> String {
    let named = row.replacen('{', r#"{"field":"f","#, 1);
    format!(
        r#"{{"type":"struct","name":"R","fields":[{named},{{"field":"other","type":"int64"}}]}}"#
    )
}

const OPTIONAL: &[&str] = &[
    r#"{"type":["integer","null"]}"#,
    r#"{"oneOf":[{"type":"null"},{"type":"integer"}]}"#,
    r#"{"anyOf":[{"type":"integer"},{"type":"null"}]}"#,
    r#"optional {"type":"integer"}"#,
];
const INTEGER: &[&str] = &[r#"{"type":"integer"}"#];
const UNSIGNED: &[&str] = &[r#"{"type":"integer","minimum":0,"maximum":18446744073709551615}"#];
const DATE_TIME: &[&str] = &[r#"{"type":"string","format":"date-time"}"#];
const TIME: &[&str] = &[r#"{"type":"string","format":"time"}"#];
const UUID: &[&str] = &[r#"{"type":"string","format":"uuid"}"#];
const OBJECT: &[&str] = &[
    r#"{"type":"object","properties":{"os":{"type":"string"},"version":{"type":"integer"}},"required":["os"]}"#,
    r#"{"properties":{"os":{"type":"string"},"version":{"type":"integer"}},"required":["os"]}"#,
    r#"{"allOf":[{"properties":{"os":{"type":"string"}},"required":["os"]},{"properties":{"version":{"type":"integer"}}}]}"#,
];
const UNION: &[&str] = &[
    r#"{"type":["string","integer"]}"#,
    r#"{"oneOf":[{"type":"string"},{"type":"integer"}]}"#,
    r#"{"anyOf":[{"type":"string"},{"type":"integer"}]}"#,
];
const RECURSIVE: &[&str] = &[r##"{"$ref":"#"}"##];
const TIME_MILLIS: &[&str] =
    &[r#"{"type":"integer","title":"org.apache.kafka.connect.data.Time","connect.type":"int32"}"#];
const WIDE_DECIMAL: &[&str] = &[
    r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"50"}}"#,
];

static ROWS: &[Row] = &[
    row("`null`", &[r#"{"type":"null"}"#]),
    row("`boolean`", &[r#"{"type":"boolean"}"#, r#"{"const":true}"#]),
    row("`integer`", INTEGER),
    with(INTEGER, "value.presence: nullable", |o| o.value.presence = Presence::Nullable),
    row("`integer` whose `minimum` and `maximum` are those of 64 bits without a sign", UNSIGNED),
    with(UNSIGNED, "value.unsigned: native", |o| o.value.unsigned = Unsigned::Native),
    row("`integer` whose bounds are wider", &[r#"{"type":"integer","maximum":1e30}"#]),
    row(
        "`integer` with `connect.type` `int8`, `int16`, `int32`",
        &[
            r#"{"type":"integer","connect.type":"int8"}"#,
            r#"{"type":"integer","connect.type":"int16"}"#,
            r#"{"type":"integer","connect.type":"int32"}"#,
        ],
    ),
    row(
        "`number`",
        &[
            r#"{"type":"number"}"#,
            r#"{"type":["integer","number"]}"#,
            r#"{"type":"number","connect.type":"float64"}"#,
        ],
    ),
    row(
        "`number` with `connect.type: float32`",
        &[r#"{"type":"number","connect.type":"float32"}"#],
    ),
    row("`string`", &[r#"{"type":"string"}"#, r#"{"type":"string","format":"email"}"#]),
    row(
        "`enum`, `const`: the type of their values",
        &[
            r#"{"enum":["A","B"]}"#,
            r#"{"const":"x"}"#,
            r#"{"oneOf":[{"const":"a"},{"const":"b","title":"B"}]}"#,
        ],
    ),
    row("`format: date`", &[r#"{"type":"string","format":"date"}"#]),
    row("`format: date-time`, to the microsecond", DATE_TIME),
    row("`format: time`", TIME),
    with(TIME, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row("`format: uuid`", UUID),
    with(UUID, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row(
        "`contentEncoding: base64`, `connect.type: bytes`",
        &[
            r#"{"type":"string","contentEncoding":"base64"}"#,
            r#"{"type":"string","connect.type":"bytes"}"#,
        ],
    ),
    row("one type and null, or a property that is not in `required`", OPTIONAL),
    row("several types, `oneOf`, `anyOf`", UNION),
    with(UNION, "value.unions: json", |o| o.value.unions = Unions::Json),
    row("`array`", &[r#"{"type":"array","items":{"type":"integer"}}"#]),
    row("`array` of nullable items", &[r#"{"type":"array","items":{"type":["integer","null"]}}"#]),
    row("`array` without `items`: JSON", &[r#"{"type":"array"}"#]),
    row(
        "`array` with a schema for each place: JSON",
        &[r#"{"type":"array","items":[{"type":"integer"},{"type":"string"}]}"#],
    ),
    row("`object` with `properties`; `allOf` joins them", OBJECT),
    with(OBJECT, "value.extra: keep", |o| o.value.extra = Extra::Keep),
    row(
        "`object` with `additionalProperties` or `patternProperties` alone: a map",
        &[
            r#"{"type":"object","additionalProperties":{"type":"integer"}}"#,
            r#"{"type":"object","connect.type":"map","additionalProperties":{"type":"integer"}}"#,
            r#"{"type":"object","patternProperties":{"^x":{"type":"integer"}},"additionalProperties":false}"#,
        ],
    ),
    row(
        "`array` with `connect.type: map`: a map of its keys and values",
        &[
            r#"{"type":"array","connect.type":"map","items":{"type":"object","properties":{"key":{"type":"integer","connect.type":"int32"},"value":{"type":"string"}},"required":["key","value"]}}"#,
        ],
    ),
    row("`object` that says nothing of its members: JSON", &[r#"{"type":"object"}"#]),
    row(
        "`object` that may have none: whether it is there",
        &[r#"{"type":"object","additionalProperties":false}"#],
    ),
    row("a schema that takes anything: JSON", &["{}", "true"]),
    row("a schema inside itself: JSON", RECURSIVE),
    with(RECURSIVE, "value.recursion: bytes", |o| o.value.recursion = Recursion::Bytes),
    with(RECURSIVE, "value.recursion: drop", |o| o.value.recursion = Recursion::Drop),
    row(
        "title `org.apache.kafka.connect.data.Date`",
        &[
            r#"{"type":"integer","title":"org.apache.kafka.connect.data.Date","connect.type":"int32"}"#,
        ],
    ),
    row("title `….Time`", TIME_MILLIS),
    with(TIME_MILLIS, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row(
        "title `….Timestamp`",
        &[
            r#"{"type":"integer","title":"org.apache.kafka.connect.data.Timestamp","connect.type":"int64"}"#,
        ],
    ),
    row(
        "title `….Decimal`, to 38 digits",
        &[
            r#"{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"12"}}"#,
        ],
    ),
    row("title `….Decimal`, over 38 digits", WIDE_DECIMAL),
    with(WIDE_DECIMAL, "readers: [native]", |o| o.readers = vec![Reader::Native]),
];

const NOTES: &str = "
`value.format: json_schema`, or `json` with `value.schema`; `json` alone makes one column `value` of JSON text. A schema whose top is
no object with properties becomes one column named `value`. Columns have the order of the schema's text, or of `connect.index`. A value is
typed, not judged: `pattern`, `minLength`, the members of an `enum` and their like are the producer's. `value.truncate_timestamps: false`
rejects a `date-time` with more than microseconds, in place of cutting them off.
";

const C_UNSET: &[&str] = &[r#"{"type":"int64","optional":true}"#];
const C_TIME: &[&str] = &[r#"{"type":"int32","name":"org.apache.kafka.connect.data.Time"}"#];
const C_WIDE: &[&str] = &[
    r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2","connect.decimal.precision":"50"}}"#,
];

static CONNECT_ROWS: &[Row] = &[
    row("`boolean`", &[r#"{"type":"boolean"}"#]),
    row(
        "`int8` `int16` `int32`",
        &[r#"{"type":"int8"}"#, r#"{"type":"int16"}"#, r#"{"type":"int32"}"#],
    ),
    row("`int64`", &[r#"{"type":"int64"}"#]),
    row("`float`", &[r#"{"type":"float"}"#, r#"{"type":"float32"}"#]),
    row("`double`", &[r#"{"type":"double"}"#, r#"{"type":"float64"}"#]),
    row("`string`", &[r#"{"type":"string"}"#]),
    row("`bytes`", &[r#"{"type":"bytes"}"#]),
    row("`optional: true`", C_UNSET),
    row("a field with a default", &[r#"{"type":"int64","default":7}"#]),
    row("`array`", &[r#"{"type":"array","items":{"type":"int64","optional":true}}"#]),
    row(
        "`map` of text keys, an object, or of others, a list of pairs",
        &[r#"{"type":"map","keys":{"type":"string"},"values":{"type":"int64"}}"#],
    ),
    row("", &[r#"{"type":"map","keys":{"type":"int32"},"values":{"type":"int64"}}"#]),
    row(
        "`map` of optional or structured keys: JSON",
        &[
            r#"{"type":"map","keys":{"type":"string","optional":true},"values":{"type":"int64"}}"#,
            r#"{"type":"map","keys":{"type":"array","items":{"type":"int64"}},"values":{"type":"int64"}}"#,
        ],
    ),
    row(
        "`struct`",
        &[
            r#"{"type":"struct","fields":[{"field":"os","type":"string"},{"field":"version","type":"int32","optional":true}]}"#,
        ],
    ),
    row(
        "`org.apache.kafka.connect.data.Date`",
        &[r#"{"type":"int32","name":"org.apache.kafka.connect.data.Date"}"#],
    ),
    row("`….Time`", C_TIME),
    with(C_TIME, "readers: [native]", |o| o.readers = vec![Reader::Native]),
    row("`….Timestamp`", &[r#"{"type":"int64","name":"org.apache.kafka.connect.data.Timestamp"}"#]),
    row(
        "`….Decimal`, to 38 digits",
        &[
            r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2","connect.decimal.precision":"12"}}"#,
        ],
    ),
    row(
        "`….Decimal` that does not say its digits",
        &[
            r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}}"#,
        ],
    ),
    row("`….Decimal`, over 38 digits", C_WIDE),
    with(C_WIDE, "readers: [native]", |o| o.readers = vec![Reader::Native]),
];

const CONNECT_NOTES: &str = "
`value.format: json_connect`: each record as Kafka Connect's `JsonConverter` writes it, `{\"schema\": …, \"payload\": …}`. A record with a null schema
is one column `value` of JSON text. Options act as for JSON Schema.
";
