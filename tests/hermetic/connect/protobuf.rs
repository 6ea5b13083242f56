//! Protobuf: a row is a message's fields, after which other types may stand.

use std::sync::Arc;

use forebay::decode::{Options, Plan};
use forebay::registry::compile::compile;
use forebay::registry::{Language, Parsed, Schema};
use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message;

use super::{Row, columns, compare, confluent, corpus, line, options, row};

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
        "confluent/type/decimal",
        "confluent/meta",
    ];
    let imports: String = known.iter().map(|name| format!("import \"{name}.proto\"; ")).collect();
    format!(
        "syntax = \"proto3\"; {imports} message M {{ {row} }}
         message Device {{ string os = 1; int32 version = 2; }}
         enum Status {{ NONE = 0; PAID = 1; }}"
    )
}

fn schema(body: &str) -> Schema {
    let text = whole(body);
    compile(1, Language::Protobuf, &text, &[]).unwrap_or_else(|e| panic!("{body}: {e}"))
}

fn plan(schema: &Schema, options: &Options) -> Arc<Plan> {
    Plan::compile(schema, &[0], options).unwrap_or_else(|e| panic!("{e}"))
}

/// Bytes of a record in Protobuf's JSON, or in hexadecimal behind `0x`, by another library.
fn encode(schema: &Schema, record: &str) -> Vec<u8> {
    if let Some(hex) = record.strip_prefix("0x") {
        return crate::protobuf::unhex(hex);
    }
    let Parsed::Protobuf(file) = &schema.parsed else { panic!("no protobuf") };
    let message = file.messages().next().unwrap();
    let mut json = serde_json::Deserializer::from_str(record);
    DynamicMessage::deserialize(message, &mut json).unwrap().encode_to_vec()
}

const fn fact(
    fact: &'static str,
    schema: &'static str,
    record: &'static str,
    columns: &'static str,
    row: &'static str,
) -> Row {
    Row { fact, settings: "", schema, record, columns, row, differs: "" }
}

const fn with(
    fact: &'static str,
    settings: &'static str,
    schema: &'static str,
    record: &'static str,
    columns: &'static str,
    row: &'static str,
) -> Row {
    Row { fact, settings, schema, record, columns, row, differs: "" }
}

const fn differs(why: &'static str, row: Row) -> Row {
    Row { differs: why, ..row }
}

const DECIMAL: &str = "confluent.type.Decimal f = 1 [(confluent.field_meta) = { params: [{key: \"precision\", value: \"12\"}, {key: \"scale\", value: \"2\"}] }];";
const INT64S: &str = "int64,uint64,sint64,fixed64,sfixed64";
const WRAPPERS: &str = "google.protobuf.*Value wrappers";
const PLAIN: &str = "Duration, Any, Struct, FieldMask, Empty, ListValue";
const ONEOF: &str = "int64 id = 9; oneof pay { string card = 1; int64 cash = 2; Device box = 3; } optional int32 o = 4;";

const TYPES: &[Row] = &[
    fact(
        "int32,sint32,sfixed32",
        "int32 a = 1; sint32 b = 2; sfixed32 c = 3;",
        r#"{"a":-1,"b":-2,"c":-3}"#,
        "a int32?, b int32?, c int32?",
        r#"{"a":-1,"b":-2,"c":-3}"#,
    ),
    fact(
        "int32,sint32,sfixed32",
        r#"int32 f = 1 [(confluent.field_meta) = { params: [{key: "connect.type", value: "int8"}] }];"#,
        r#"{"f":7}"#,
        "f int32?",
        r#"{"f":7}"#,
    ),
    fact(
        "uint32,fixed32",
        "uint32 a = 1; fixed32 b = 2;",
        r#"{"a":4294967295,"b":4294967295}"#,
        "a int64?, b int64?",
        r#"{"a":4294967295,"b":4294967295}"#,
    ),
    fact(
        INT64S,
        "int64 a = 1; sint64 b = 2; sfixed64 c = 3;",
        r#"{"a":"-1","b":"-2","c":"-3"}"#,
        "a int64?, b int64?, c int64?",
        r#"{"a":-1,"b":-2,"c":-3}"#,
    ),
    fact(
        INT64S,
        "uint64 a = 1; fixed64 b = 2; repeated uint64 c = 3;",
        r#"{"a":"18446744073709551615","b":"9223372036854775808","c":["18446744073709551614"]}"#,
        "a int64?, b int64?, c [int64?]?",
        r#"{"a":-1,"b":-9223372036854775808,"c":[-2]}"#,
    ),
    fact("float", "float f = 1;", r#"{"f":1.5}"#, "f float32?", r#"{"f":1.5}"#),
    fact("double", "double f = 1;", r#"{"f":1.5}"#, "f float64?", r#"{"f":1.5}"#),
    fact("bool", "bool f = 1;", r#"{"f":true}"#, "f boolean?", r#"{"f":true}"#),
    fact("string", "string f = 1;", r#"{"f":"a"}"#, "f text?", r#"{"f":"a"}"#),
    fact("bytes", "bytes f = 1;", r#"{"f":"yv4="}"#, "f binary?", r#"{"f":"cafe"}"#),
    fact("enum", "Status f = 1;", r#"{"f":"PAID"}"#, "f text?", r#"{"f":"PAID"}"#),
    fact(
        "enum",
        "Status f = 1; repeated Status g = 2;",
        r#"{"f":-7,"g":[1,9]}"#,
        "f text?, g [text?]?",
        r#"{"f":"UNKNOWN_ENUM_VALUE_Status_-7","g":["PAID","UNKNOWN_ENUM_VALUE_Status_9"]}"#,
    ),
    fact(
        "repeated T",
        "repeated int32 a = 1; repeated Device b = 2;",
        r#"{"a":[1,0],"b":[{"os":"x"}]}"#,
        "a [int32?]?, b [{os text?, version int32?}?]?",
        r#"{"a":[1,0],"b":[{"os":"x","version":0}]}"#,
    ),
    differs(
        "keys are optional by default, so that the sink writes a list of entries",
        fact(
            "map<K,V>",
            "map<string, int32> f = 1;",
            r#"{"f":{"a":1}}"#,
            "f [{key text?, value int32?}]?",
            r#"{"f":[{"key":"a","value":1}]}"#,
        ),
    ),
    differs(
        "the sink writes a map only for keys of text",
        fact(
            "map<K,V>",
            "map<int32, Device> f = 1;",
            r#"{"f":{"7":{"os":"x"}}}"#,
            "f [{key int32?, value {os text?, version int32?}?}]?",
            r#"{"f":[{"key":7,"value":{"os":"x","version":0}}]}"#,
        ),
    ),
    with(
        "map<K,V>",
        "allow_optional_map_keys: true",
        "map<string, int32> f = 1;",
        r#"{"f":{"a":0}}"#,
        "f <text, int32?>?",
        r#"{"f":{"a":0}}"#,
    ),
    with(
        "map<K,V>",
        "optional_for_nullables: true",
        "map<string, int32> a = 1; map<bool, Status> b = 2;",
        r#"{"a":{"x":1},"b":{"true":"PAID"}}"#,
        "a <text, int32>, b [{key boolean, value text?}]",
        r#"{"a":{"x":1},"b":[{"key":true,"value":"PAID"}]}"#,
    ),
    fact(
        "message",
        "Device f = 1;",
        r#"{"f":{"os":"x"}}"#,
        "f {os text?, version int32?}?",
        r#"{"f":{"os":"x","version":0}}"#,
    ),
    fact(
        "oneof",
        ONEOF,
        r#"{"cash":"5","id":"1"}"#,
        "pay_0 {card text?, cash int64?, box {os text?, version int32?}?}?, id int64?, o int32?",
        r#"{"pay_0":{"card":null,"cash":5,"box":null},"id":1,"o":null}"#,
    ),
    with(
        "oneof",
        "generate_index_for_unions: false",
        ONEOF,
        r#"{"box":{"version":3},"o":0}"#,
        "pay {card text?, cash int64?, box {os text?, version int32?}?}?, id int64?, o int32?",
        r#"{"pay":{"card":null,"cash":null,"box":{"os":"","version":3}},"id":0,"o":0}"#,
    ),
    with(
        "oneof",
        "flatten_unions: true",
        ONEOF,
        r#"{"card":""}"#,
        "card text?, cash int64?, box {os text?, version int32?}?, id int64?, o int32?",
        r#"{"card":"","cash":null,"box":null,"id":0,"o":null}"#,
    ),
    fact(
        "google.protobuf.Timestamp",
        "google.protobuf.Timestamp f = 1;",
        r#"{"f":"2026-01-02T03:04:05.678999999Z"}"#,
        "f timestamp(ms, UTC)?",
        r#"{"f":"2026-01-02T03:04:05.678Z"}"#,
    ),
    fact(
        "google.protobuf.Timestamp",
        "google.protobuf.Timestamp f = 1;",
        r#"{"f":"1969-12-31T23:59:59.999999999Z"}"#,
        "f timestamp(ms, UTC)?",
        r#"{"f":"1969-12-31T23:59:59.999Z"}"#,
    ),
    fact(
        "google.type.Date",
        "google.type.Date f = 1;",
        r#"{"f":{"year":2026,"month":1,"day":2}}"#,
        "f date?",
        r#"{"f":"2026-01-02"}"#,
    ),
    fact(
        "google.type.TimeOfDay",
        "google.type.TimeOfDay f = 1;",
        r#"{"f":{"hours":1,"minutes":2,"seconds":3,"nanos":456999999}}"#,
        "f time(ms)?",
        r#"{"f":"01:02:03.456"}"#,
    ),
    fact(
        "confluent.type.Decimal",
        DECIMAL,
        r#"{"f":{"value":"BNI=","scale":2}}"#,
        "f decimal(12, 2)?",
        r#"{"f":12.34}"#,
    ),
    fact(
        "confluent.type.Decimal",
        "confluent.type.Decimal f = 1;",
        r#"{"f":{"value":"BNI="}}"#,
        "f decimal(64, 0)?",
        r#"{"f":1234}"#,
    ),
    differs(
        "no reader has the type: its two columns",
        fact(
            "confluent.type.Variant",
            "syntax = \"proto3\"; import \"confluent/type/variant.proto\"; message M { confluent.type.Variant f = 1; }",
            r#"{"f":{"value":"yv4="}}"#,
            "f {metadata binary?, value binary?}?",
            r#"{"f":{"metadata":"","value":"cafe"}}"#,
        ),
    ),
    differs(
        "the converter takes wrappers off inside messages too, unless `wrapper.for.raw.primitives` is false",
        fact(
            WRAPPERS,
            "google.protobuf.StringValue a = 1; google.protobuf.UInt32Value b = 2; google.protobuf.UInt64Value c = 3; google.protobuf.BoolValue d = 4;",
            r#"{"a":"","b":4294967295,"c":"18446744073709551615"}"#,
            "a text?, b int64?, c int64?, d boolean?",
            r#"{"a":"","b":4294967295,"c":-1,"d":null}"#,
        ),
    ),
    with(
        WRAPPERS,
        "wrapper_for_raw_primitives: false",
        "google.protobuf.UInt32Value b = 2;",
        r#"{"b":5}"#,
        "b {value int64?}?",
        r#"{"b":{"value":5}}"#,
    ),
    with(
        WRAPPERS,
        "wrapper_for_nullables: true, wrapper_for_raw_primitives: false",
        "google.protobuf.StringValue a = 1; int32 i = 2; Status e = 3; Device d = 4; repeated int32 r = 5; map<string, int32> m = 6; optional int32 o = 7;",
        "{}",
        "a text?, i int32, e text?, d {os text, version int32}?, r [int32?]?, m <text, int32>, o int32?",
        r#"{"a":null,"i":0,"e":"NONE","d":null,"r":[],"m":{},"o":null}"#,
    ),
    fact(
        WRAPPERS,
        "syntax = \"proto3\"; package google.protobuf; message Int32Value { int32 value = 1; }",
        r#"7"#,
        "value int32?",
        r#"{"value":7}"#,
    ),
    differs(
        "Parquet has no type that holds itself: JSON text",
        fact(
            "recursive message",
            "M f = 1; int32 n = 2;",
            r#"{"f":{"n":1}}"#,
            "f text?, n int32?",
            r#"{"f":"{\"n\":1}","n":0}"#,
        ),
    ),
    fact(
        PLAIN,
        "google.protobuf.Duration a = 1; google.protobuf.Any b = 2; google.protobuf.FieldMask c = 3;",
        "0x0a040801100212060a016b1201001a030a0161",
        "a {seconds int64?, nanos int32?}?, b {type_url text?, value binary?}?, c {paths [text?]?}?",
        r#"{"a":{"seconds":1,"nanos":2},"b":{"type_url":"k","value":"00"},"c":{"paths":["a"]}}"#,
    ),
    differs(
        "Struct, Value and ListValue hold themselves: JSON text; Parquet has no empty group: whether Empty is there",
        fact(
            PLAIN,
            "google.protobuf.Struct a = 1; google.protobuf.ListValue b = 2; google.protobuf.Empty c = 3;",
            r#"{"a":{"x":1},"b":[true],"c":{}}"#,
            "a text?, b text?, c boolean?",
            r#"{"a":"{\"x\":1}","b":"[true]","c":true}"#,
        ),
    ),
];

const PRESENCE: &[Row] = &[
    fact(
        "proto3 scalar no presence, absent",
        "int32 a = 1; string b = 2; bool c = 3; Status d = 4; double e = 5; bytes f = 6;",
        "{}",
        "a int32?, b text?, c boolean?, d text?, e float64?, f binary?",
        r#"{"a":0,"b":"","c":false,"d":"NONE","e":0.0,"f":""}"#,
    ),
    fact(
        "proto3 optional / proto2 optional absent",
        "optional int32 a = 1; optional Status b = 2;",
        "{}",
        "a int32?, b text?",
        r#"{"a":null,"b":null}"#,
    ),
    fact(
        "proto3 optional / proto2 optional absent",
        "syntax = \"proto2\"; message M { optional int32 a = 1; optional string b = 2; }",
        r#"{"a":0}"#,
        "a int32?, b text?",
        r#"{"a":0,"b":null}"#,
    ),
    with(
        "proto3 optional / proto2 optional absent",
        "optional_for_nullables: true",
        "int32 a = 1; optional int32 b = 2; Status c = 3; Device d = 4; repeated int32 e = 5; oneof x { int32 y = 6; }",
        "{}",
        "x_0 {y int32?}?, a int32, b int32?, c text?, d {os text, version int32}?, e [int32?]?",
        r#"{"x_0":null,"a":0,"b":null,"c":"NONE","d":null,"e":[]}"#,
    ),
    fact("message absent", "Device f = 1;", "{}", "f {os text?, version int32?}?", r#"{"f":null}"#),
    with(
        "message absent",
        "generate_struct_for_nulls: true",
        "Device f = 1; google.protobuf.Timestamp t = 2; google.protobuf.Int32Value i = 3; oneof x { Device y = 4; }",
        "{}",
        "x_0 {y {os text?, version int32?}?}?, f {os text?, version int32?}?, t timestamp(ms, UTC)?, i int32?",
        r#"{"x_0":null,"f":{"os":"","version":0},"t":"1970-01-01T00:00:00Z","i":0}"#,
    ),
    fact(
        "repeated/map absent",
        "repeated int32 a = 1; map<string, int32> b = 2;",
        "{}",
        "a [int32?]?, b [{key text?, value int32?}]?",
        r#"{"a":[],"b":[]}"#,
    ),
    fact("oneof none set", "oneof x { int32 y = 1; }", "{}", "x_0 {y int32?}?", r#"{"x_0":null}"#),
    with(
        "proto2 [default=X] absent, optional.for.proto2=false",
        "optional_for_proto2: false",
        "syntax = \"proto2\"; message M { optional int32 a = 1 [default = 7]; optional bool b = 2 [default = true]; optional string c = 3 [default = \"x\"]; optional double d = 4 [default = -1.5]; optional uint64 e = 5 [default = 18446744073709551615]; optional E f = 6 [default = TWO]; optional bytes g = 7 [default = \"yz\"]; optional int64 h = 8; enum E { ONE = 1; TWO = 2; } }",
        "{}",
        "a int32?, b boolean?, c text?, d float64?, e int64?, f text?, g binary?, h int64?",
        r#"{"a":7,"b":true,"c":"x","d":-1.5,"e":-1,"f":"TWO","g":"797a","h":0}"#,
    ),
    fact("unknown fields", "int32 a = 1;", "0x08011005", "a int32?", r#"{"a":1}"#),
    fact(
        "groups",
        "syntax = \"proto2\"; message M { optional group G = 1 { optional int32 x = 2; } }",
        "0x0b10030c",
        "g {x int32?}?",
        r#"{"g":{"x":3}}"#,
    ),
];

fn run(rows: &[Row]) {
    for case in rows {
        let what = format!("{}, {}: {}", case.fact, case.settings, case.schema);
        let schema = schema(case.schema);
        let plan = plan(&schema, &confluent(case.settings));
        let shown = columns(&plan).replace("G {", "g {");
        assert_eq!(shown, case.columns, "{what}");
        let batch = row(&plan, &encode(&schema, case.record));
        let batch = batch.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(line(&batch), case.row, "{what}");
    }
}

#[test]
fn every_protobuf_fact_of_the_converter_has_its_column_and_value() {
    let facts = corpus(include_str!("../../corpus/protobuf/connect_facts.json"));
    let differ = [compare(&facts["types"], TYPES), compare(&facts["presence"], PRESENCE)];
    println!("| fact | here | why |\n|---|---|---|\n{}", differ.concat());
    run(TYPES);
    run(PRESENCE);
}

/// The fact `field_order`, and the settings' defaults.
#[test]
fn oneofs_come_first_and_the_settings_default_to_the_converters() {
    let facts = corpus(include_str!("../../corpus/protobuf/connect_facts.json"));
    assert!(facts["field_order"].as_str().unwrap().starts_with("all oneofs first"));
    let schema = schema(
        "int32 z = 1; oneof b { int32 b1 = 2; } int32 a = 3; oneof a1 { string a2 = 4; int32 a3 = 5; }",
    );
    let plan = plan(&schema, &confluent(""));
    let names: Vec<&str> = plan.schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["b_0", "a1_1", "z", "a"]);
    let is = confluent("").value.dialect.connect().unwrap();
    let here = [
        ("generalized.sum.type.support", is.generalized_sum_type_support),
        ("optional.for.nullables", is.optional_for_nullables),
        ("optional.for.proto2", is.optional_for_proto2),
        ("wrapper.for.nullables", is.wrapper_for_nullables),
        ("wrapper.for.raw.primitives", is.wrapper_for_raw_primitives),
        ("generate.struct.for.nulls", is.generate_struct_for_nulls),
        ("generate.index.for.unions", is.generate_index_for_unions),
        ("flatten.unions", is.flatten_unions),
        ("scrub.invalid.names", is.scrub_invalid_names),
    ];
    for (name, ours) in here {
        assert_eq!(facts["defaults"][name], ours, "{name}");
    }
    // `int.for.enums` is `value.enums: number`; names of records make no column.
    let rest = ["int.for.enums", "enhanced.protobuf.schema.support"];
    let defaults = facts["defaults"].as_object().unwrap();
    assert_eq!(defaults.len(), here.len() + rest.len());
    assert!(rest.iter().all(|name| defaults.contains_key(*name)));
}

#[test]
fn int_for_enums_is_the_option_of_values() {
    let schema = schema("Status f = 1; repeated Status g = 2;");
    let plan = plan(&schema, &options("dialect: confluent\nvalue: { enums: number }"));
    assert_eq!(columns(&plan), "f int32?, g [int32?]?");
    let batch = row(&plan, &encode(&schema, r#"{"g":[1,-9]}"#)).unwrap();
    assert_eq!(line(&batch), r#"{"f":0,"g":[1,-9]}"#);
}

#[test]
fn default_of_an_absent_enum_is_its_number_where_enums_are_numbers() {
    let schema = schema(
        "syntax = \"proto2\"; message M { optional E f = 1 [default = TWO]; enum E { ONE = 1; TWO = 2; } }",
    );
    let options = options(
        "dialect: confluent\nconnect: { optional_for_proto2: false }\nvalue: { enums: number }",
    );
    let batch = row(&plan(&schema, &options), b"").unwrap();
    assert_eq!(line(&batch), r#"{"f":2}"#);
}

/// What `check` shows of columns that cannot hold every value.
#[test]
fn columns_that_lose_something_are_named() {
    let of = |body: &str, options: &Options| plan(&schema(body), options).notes.clone();
    let body = "Device d = 1; repeated uint64 n = 2; google.protobuf.Timestamp at = 3; map<string, fixed64> m = 4;";
    assert_eq!(
        of(body, &confluent("")),
        [
            "n: from 9223372036854775808 on negative, by `dialect: confluent`",
            "at: cut to the millisecond, by `dialect: confluent`",
            "m.value: from 9223372036854775808 on negative, by `dialect: confluent`",
        ]
    );
    let extended = "syntax = \"proto2\"; message M { optional int32 a = 1; extensions 100 to 200; } extend M { optional int32 x = 100; }";
    let notes = of(extended, &confluent(""));
    assert_eq!(notes, ["[x]: an unknown field, by `dialect: confluent`"]);
    assert!(of(body, &options("")).is_empty());
}

/// The sink takes a generalized sum for a union of Avro's.
#[test]
fn oneof_as_a_generalized_sum_has_members_without_names() {
    let schema = schema(ONEOF);
    let plan = plan(&schema, &confluent("generalized_sum_type_support: true"));
    assert_eq!(
        columns(&plan),
        "pay_0 {member0 text?, member1 int64?, member2 {os text?, version int32?}?}?, id int64?, o int32?"
    );
    let batch = row(&plan, &encode(&schema, r#"{"cash":"5"}"#)).unwrap();
    assert!(line(&batch).starts_with(r#"{"pay_0":{"member0":null,"member1":5,"member2":null}"#));
}

/// On the wire the last member of a oneof counts; entries of a map may have equal keys, or no key at all.
#[test]
fn oneofs_and_maps_on_the_wire_keep_what_comes_last() {
    let oneof = schema("oneof x { string a = 1; Device b = 2; } int32 z = 3;");
    let plan_ = plan(&oneof, &confluent(""));
    let body = [&b"\x12\x03\x0a\x01x"[..], b"\x0a\x01k", b"\x12\x02\x10\x05", b"\x18\x01"].concat();
    let batch = row(&plan_, &body).unwrap();
    assert_eq!(line(&batch), r#"{"x_0":{"a":null,"b":{"os":"","version":5}},"z":1}"#);
    let maps = schema("map<string, int32> a = 1; map<int32, string> b = 2;");
    let plan_ = plan(&maps, &confluent(""));
    let body = [
        &b"\x0a\x05\x0a\x01k\x10\x01"[..],
        b"\x0a\x00",
        b"\x0a\x05\x0a\x01k\x10\x02",
        b"\x12\x05\x08\x07\x12\x01u",
        b"\x12\x03\x12\x01v",
        b"\x12\x05\x08\x07\x12\x01w",
    ]
    .concat();
    let batch = row(&plan_, &body).unwrap();
    assert_eq!(
        line(&batch),
        r#"{"a":[{"key":"","value":0},{"key":"k","value":2}],"b":[{"key":0,"value":"v"},{"key":7,"value":"w"}]}"#
    );
}

#[test]
fn time_of_day_in_two_parts_is_one_and_no_time_is_refused() {
    let schema = schema(
        "google.type.TimeOfDay f = 1; google.type.Date d = 2; google.protobuf.Timestamp t = 3;",
    );
    let plan = plan(&schema, &confluent(""));
    let body = b"\x0a\x02\x08\x17\x0a\x04\x10\x3b\x18\x01";
    assert_eq!(line(&row(&plan, body).unwrap()), r#"{"f":"23:59:01","d":null,"t":null}"#);
    // Minute 61, which a second part makes 1.
    let body = b"\x0a\x02\x10\x3d\x0a\x02\x10\x01";
    assert_eq!(line(&row(&plan, body).unwrap()), r#"{"f":"00:01:00","d":null,"t":null}"#);
    let refused = row(&plan, b"\x0a\x02\x10\x3d\x1a\x02\x08\x05").unwrap_err();
    assert!(refused.to_string().contains("time of day `0:61:0`"), "{refused}");
}

/// What tables of Confluent's own (Flink, Tableflow) have, beside `dialect: clean`.
#[test]
fn table_facts_of_protobuf_are_those_of_the_clean_dialect() {
    let facts = corpus(include_str!("../../corpus/protobuf/table_facts.json"));
    // Fact, message, columns; where they differ, why.
    let rows = [
        ("proto3 scalar without optional", "int32 f = 1;", "f int32", ""),
        (
            "optional scalar, message, wrapper",
            "optional int32 a = 1; Device b = 2; google.protobuf.Int32Value c = 3;",
            "a int32?, b {os text, version int32}?, c int32?",
            "",
        ),
        (
            "repeated/map",
            "repeated int32 a = 1; map<string, int32> b = 2;",
            "a [int32], b <text, int32>",
            "",
        ),
        (
            "oneof",
            "oneof x { int32 y = 1; string z = 2; }",
            "y int32?, z text?",
            "a column a member, as Parquet has no union",
        ),
        ("enum", "Status f = 1;", "f text", ""),
        (
            "google.protobuf.*Value field or root",
            "google.protobuf.StringValue f = 1;",
            "f text?",
            "",
        ),
        (
            "Timestamp",
            "google.protobuf.Timestamp f = 1;",
            "f timestamp(us, UTC)?",
            "nanoseconds by `value.timestamps: ns`, where every reader opens them",
        ),
        ("google.type.Date", "google.type.Date f = 1;", "f date?", ""),
        ("TimeOfDay", "google.type.TimeOfDay f = 1;", "f time(us)?", ""),
        ("confluent.type.Decimal", DECIMAL, "f decimal(12, 2)?", ""),
        ("recursive root", "M f = 1; int32 n = 2;", "f text?, n int32", "JSON text, not refused"),
    ];
    let names: Vec<&str> =
        facts["proto"].as_array().unwrap().iter().map(|f| f[0].as_str().unwrap()).collect();
    assert_eq!(names, rows.map(|(name, ..)| name));
    for (name, body, shown, _) in rows {
        assert_eq!(columns(&plan(&schema(body), &options("readers: [native]"))), shown, "{name}");
    }
}
